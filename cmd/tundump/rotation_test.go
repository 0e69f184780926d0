package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// numbered writes a pcap file of so many UDP packets of size bytes. The payload starts with the
// packet's number, 8 bytes, from 0.
func numbered(t *testing.T, w io.Writer, packets, size int) {
	t.Helper()
	f := pcapgo.NewWriter(w)
	if err := f.WriteFileHeader(262144, layers.LinkTypeEthernet); err != nil {
		t.Fatal(err)
	}
	for i := range packets {
		data := numberedPacket(uint64(i), size)
		at := time.Unix(1_700_000_000+int64(i)/1000, int64(i)%1000*1e6)
		if err := f.WritePacket(gopacket.CaptureInfo{Timestamp: at, CaptureLength: len(data), Length: len(data)}, data); err != nil {
			t.Fatal(err)
		}
	}
}

// numberAt is where the number is in a packet.
const numberAt = 14 + 20 + 8

func numberedPacket(number uint64, size int) []byte {
	data := make([]byte, size)
	copy(data, []byte{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45})
	binary.BigEndian.PutUint16(data[16:], uint16(size-14))
	copy(data[22:], []byte{64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2})
	binary.BigEndian.PutUint16(data[34:], 4000)
	binary.BigEndian.PutUint16(data[36:], 5000)
	binary.BigEndian.PutUint16(data[38:], uint16(size-34))
	binary.BigEndian.PutUint64(data[numberAt:], number)
	return data
}

// folder returns the files of a folder by their names.
func folder(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for _, e := range entries {
		if files[e.Name()], err = os.ReadFile(filepath.Join(dir, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// TestRotationOfTcpdump writes the same packets with tcpdump and with us, and compares all
// files that there are then, every byte.
func TestRotationOfTcpdump(t *testing.T) {
	from := filepath.Join(t.TempDir(), "in.pcap")
	f, err := os.Create(from)
	if err != nil {
		t.Fatal(err)
	}
	numbered(t, f, 16000, 1000)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args  string
		files int
	}{
		{"-w out.pcap -C 1", 17},
		{"-w out.pcap -C 1 -U -c 3000", 4},
		{"-w out -C 3 -W 20", 6}, // fewer than the ring: 00 to 05
		{"-w out.pcap -C 1 -W 1", 1},
		{"-w out.pcap -C 1 -W 2", 2},
		{"-w out.pcap -C 1 -W 10", 10},
		{"-w out.pcap -C 1 -W 11", 11},
		{"-w %Y-%H.pcap -C 2", 9}, // no -G, no strftime
		{"-w %Y.pcap -C 2 -G 3600", 9},
		{"-w %Y.pcap -C 2 -G 3600 -W 3", 3},
		{"-w out.pcap -G 3600 -W 2", 1},
	} {
		t.Run(tt.args, func(t *testing.T) {
			dirs := [2]string{t.TempDir(), t.TempDir()}
			for i, program := range [][]string{{"tcpdump", "-Z", "root"}, {"tundump", "--format", "pcap"}} {
				cmd := exec.Command(program[0], append(append(program[1:], "-r", from), strings.Fields(tt.args)...)...)
				cmd.Dir = dirs[i]
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Fatalf("%s: %v\n%s", program, err, out)
				}
			}
			want, got := folder(t, dirs[0]), folder(t, dirs[1])
			if len(want) != tt.files {
				t.Errorf("%d files of tcpdump, want %d", len(want), tt.files)
			}
			for name := range want {
				if !bytes.Equal(want[name], got[name]) {
					t.Errorf("%s: %d bytes, tcpdump has %d", name, len(got[name]), len(want[name]))
				}
				delete(got, name)
			}
			for name := range got {
				t.Errorf("%s is not tcpdump's", name)
			}
		})
	}
}

// TestRotationPeriods lets the clock run, which nobody can do with tcpdump: what it does
// is from its source, dump_packet_and_trunc in tcpdump.c.
func TestRotationPeriods(t *testing.T) {
	for _, tt := range []struct {
		name string
		opt  Options
		want []string // after each second; "" if there is no next file, "end" if there may be none
	}{
		{"period", Options{Write: "%S", FilePeriod: 2 * time.Second}, []string{"", "02", "", "04", "", "06"}},
		{"count", Options{Write: "%S", FilePeriod: 2 * time.Second, FileCount: 2}, []string{"", "02", "", "end"}},
		{"size too", Options{Write: "%M-%S.", FilePeriod: 3 * time.Second, FileSize: 1},
			[]string{"00-00.1", "00-00.2", "00-03.", "00-03.1", "00-03.2", "00-06."}},
		{"ring of a period", Options{Write: "%S.", FilePeriod: 5 * time.Second, FileSize: 1, FileCount: 2},
			[]string{"00.1", "00.0", "00.1", "00.0", "05.0", "05.1", "05.0"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			now := time.Date(2026, 11, 25, 13, 0, 0, 999_999_999, time.Local)
			r := newRotation(&tt.opt, func() time.Time { return now })
			var got []string
			for range tt.want {
				now = now.Add(time.Second)
				next, last := r.due(2)
				switch {
				case last:
					got = append(got, "end")
				case next:
					got = append(got, r.path())
				default:
					got = append(got, "")
				}
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

// TestRotationByTime feeds tcpdump and us through pipes until -W stops both.
func TestRotationByTime(t *testing.T) {
	var packets bytes.Buffer
	numbered(t, &packets, 100, 100)
	// Both start in the same second, or else the second file of one may be over before.
	type result struct {
		files  int
		stderr string
		err    error
	}
	results := make(chan result, 2)
	for _, program := range [][]string{{"tcpdump", "-Z", "root"}, {"tundump"}} {
		dir := t.TempDir()
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		cmd := exec.CommandContext(ctx, program[0], append(program[1:], "-r", "-", "-w", "%H%M%S.pcap", "-G", "1", "-W", "2")...)
		cmd.Dir = dir
		to, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		go func() {
			all := packets.Bytes()
			for chunk := 24; len(all) >= chunk; chunk = 116 { // the header, then packet by packet
				if _, err := to.Write(all[:chunk]); err != nil {
					break // the program has seen enough
				}
				all = all[chunk:]
				time.Sleep(50 * time.Millisecond)
			}
			err := cmd.Wait()
			results <- result{len(folder(t, dir)), stderr.String(), err}
		}()
	}
	for range 2 {
		r := <-results
		if r.files != 2 || r.err != nil || !strings.Contains(r.stderr, "Maximum file limit reached: 2\n") {
			t.Errorf("%d files, %v, %s", r.files, r.err, r.stderr)
		}
	}
}

// TestFileCommand checks that -z runs for each file that is complete, at the lowest
// priority, while the capture goes on: the command of the first file waits until there is a third.
func TestFileCommand(t *testing.T) {
	dir := t.TempDir()
	script := filepath.Join(dir, "command")
	if err := os.WriteFile(script, []byte(`#!/bin/sh
case $1 in
*.pcapng) while ! [ -e out.pcapng2 ]; do sleep 0.05; done;;
esac
capinfos -c -M "$1" >"done.$1" && nice >>"done.$1"
`), 0o755); err != nil {
		t.Fatal(err)
	}
	from, err := os.Create(filepath.Join(dir, "in.pcap"))
	if err != nil {
		t.Fatal(err)
	}
	numbered(t, from, 2500, 1000)
	if err := from.Close(); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("tundump", "-r", from.Name(), "-w", "out.pcapng", "-C", "1", "-z", script)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	// As in tcpdump the last file is not rotated, and nobody waits for the children.
	for i, name := range []string{"out.pcapng", "out.pcapng1"} {
		var said []byte
		for deadline := time.Now().Add(20 * time.Second); !bytes.HasSuffix(said, []byte("\n19\n")); {
			said, _ = os.ReadFile(filepath.Join(dir, "done."+name))
			if time.Now().After(deadline) {
				t.Fatalf("file %d: the command said %q", i, said)
			}
			time.Sleep(20 * time.Millisecond)
		}
		if !bytes.Contains(said, []byte("Number of packets:")) {
			t.Errorf("the command said %q", said)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "done.*")); len(left) != 2 {
		t.Errorf("the command ran for %q", left)
	}
	// A command that fails, or is not there, is reported.
	cmd = exec.Command("tundump", "-r", from.Name(), "-w", "out.pcapng", "-C", "1", "-z", "./missing")
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if want := "tundump: ./missing out.pcapng: "; err != nil || !strings.Contains(string(out), want) {
		t.Errorf("%v, %s, want %q", err, out, want)
	}
}
