package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tundump/tundump/filter/header"
)

// TestFanout captures numbered packets of many flows with several threads: all are in the file once, in
// the order of time, which capinfos looks at, and of one interface. Privileges were dropped by then.
func TestFanout(t *testing.T) {
	l := newLab(t)
	const total = 100_000
	frames := make([][]byte, total)
	for i := range frames {
		frames[i] = numberedPacket(uint64(i), 60)
		binary.BigEndian.PutUint16(frames[i][34:], uint16(1024+i%997))
	}
	for _, tt := range []struct {
		n              int
		ns, name, file string
		options        []string
	}{
		{2, l.A, "eth1", "out.pcapng", nil},
		{4, l.B, l.A + "/eth1", "out.pcapng.gz", []string{"--netns", l.A, "-Q", "out"}},
	} {
		file := filepath.Join(t.TempDir(), tt.file)
		arg := append([]string{"tundump", "-i", "eth1", "-w", file, "--fanout", fmt.Sprint(tt.n)}, tt.options...)
		r := start(t, l, tt.ns, append(arg, "udp and dst port 5000")...)
		if err := l.Transmit(l.A, "eth1", frames); err != nil {
			t.Fatal(err)
		}
		log := r.stop(syscall.SIGINT)
		if c, r, d := counters(t, log); c != total || r != total || d != 0 {
			t.Errorf("fanout %d: captured %d, received %d, dropped %d", tt.n, c, r, d)
		}
		if strings.Count(log, "listening on ") != 1 {
			t.Errorf("fanout %d: %s", tt.n, log)
		}
		if name, ok := strings.CutSuffix(file, ".gz"); ok {
			if out, err := exec.Command("gunzip", file).CombinedOutput(); err != nil {
				t.Fatalf("gunzip: %v: %s", err, out)
			}
			file = name
		}
		all := numbers(t, file)
		if len(all) != total {
			t.Fatalf("fanout %d: %d packets", tt.n, len(all))
		}
		for i, number := range all {
			if number != uint64(i) {
				t.Fatalf("fanout %d: packet %d has the number %d", tt.n, i, number)
			}
		}
		out, err := exec.Command("capinfos", file).CombinedOutput()
		out = bytes.Join(bytes.Fields(out), []byte(" "))
		for _, want := range []string{
			"Number of packets: 100 k", "Strict time order: True", "Number of interfaces in file: 1", "Name = " + tt.name, "Number of stat entries = 1",
		} {
			if err != nil || !strings.Contains(string(out), want) {
				t.Errorf("fanout %d: capinfos: no %q: %v\n%s", tt.n, want, err, out)
			}
		}
	}
}

// TestFanoutCount: as many packets are in the file as --count says, the first ones, in either format.
func TestFanoutCount(t *testing.T) {
	l := newLab(t)
	frames := make([][]byte, 10_000)
	for i := range frames {
		frames[i] = numberedPacket(uint64(i), 60+i%500)
		binary.BigEndian.PutUint16(frames[i][34:], uint16(1024+i%997))
	}
	for _, name := range []string{"out.pcap", "out.pcapng"} {
		const count = 5001
		file := filepath.Join(t.TempDir(), name)
		r := start(t, l, l.A, "tundump", "-i", "eth1", "-w", file, "--fanout", "3", "-c", fmt.Sprint(count), "udp and dst port 5000")
		if err := l.Transmit(l.A, "eth1", frames); err != nil {
			t.Fatal(err)
		}
		if c, _, _ := counters(t, r.wait(0)); c != count {
			t.Errorf("%s: %d captured", name, c)
		}
		all := numbers(t, file)
		if len(all) != count {
			t.Errorf("%s: %d packets", name, len(all))
		}
		for i, number := range all {
			if number != uint64(i) {
				t.Fatalf("%s: packet %d has the number %d", name, i, number)
			}
		}
	}
}

// keeping is a source whose packets can be kept.
type keeping struct {
	fixed
	settle func() error
}

func (k *keeping) Keep(settle func() error) { k.settle = settle }

// TestFanoutWriters: several threads write the file of --fanout, and ask for what they keep; but not where
// something else happens to the packets.
func TestFanoutWriters(t *testing.T) {
	for _, tt := range []struct {
		what string
		want bool
		set  func(o *Options)
	}{
		{"--fanout", true, func(*Options) {}},
		{"pcap", true, func(o *Options) { o.Format = "pcap" }},
		{"one thread", false, func(o *Options) { o.Fanout = 1 }},
		{"--print", false, func(o *Options) { o.Print = true }},
		{"--annotate", false, func(o *Options) { o.Annotate = true }},
		{"--decap", false, func(o *Options) { o.Decap = true }},
		{"-U", false, func(o *Options) { o.PacketBuffered = true }},
		{"-C", false, func(o *Options) { o.FileSize = 1 << 20 }},
	} {
		opt := Options{Write: filepath.Join(t.TempDir(), "out"), Fanout: 2, Depth: 3, Ports: header.DefaultPorts()}
		tt.set(&opt)
		s := newSession(t.Context(), stdio{os.Stdin, os.Stdout, os.Stderr}, opt)
		src := &keeping{}
		o, err := s.open(src, time.Now())
		if err != nil {
			t.Fatalf("%s: %v", tt.what, err)
		}
		if got := o.save.writers != nil; got != tt.want || (src.settle != nil) != tt.want {
			t.Errorf("%s: writers: %v, packets are kept: %v", tt.what, got, src.settle != nil)
		}
		if src.settle != nil {
			if err := src.settle(); err != nil {
				t.Errorf("%s: %v", tt.what, err)
			}
		}
		if err := o.finish(); err != nil {
			t.Errorf("%s: %v", tt.what, err)
		}
	}
}
