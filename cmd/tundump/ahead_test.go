package main

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/tundump/tundump/capture"
	"github.com/tundump/tundump/decode"
	"github.com/tundump/tundump/filter/header"
	"github.com/tundump/tundump/testdata/random"
)

// aheadFile makes a file of several chunks: fragments in any order, tunnels, all sizes, packets of both
// directions, and from its middle on a second interface of another link type.
func aheadFile(t *testing.T, seed uint64) []byte {
	t.Helper()
	var file bytes.Buffer
	w, err := decode.NewPcapng(&file, decode.PcapngOptions{})
	if err != nil {
		t.Fatal(err)
	}
	all := []capture.Interface{{Name: "a", LinkType: uint32(header.LinkEthernet)}, {Name: "b", LinkType: uint32(header.LinkRaw)}}
	if err := w.AddInterface(all[0]); err != nil {
		t.Fatal(err)
	}
	const packets = 12_000
	g := random.New(seed)
	raw := g.Frames(uint32(header.LinkRaw), 100)
	for n := range packets {
		if n == packets/2 {
			if err := w.AddInterface(all[1]); err != nil {
				t.Fatal(err)
			}
		}
		p := capture.Packet{Time: int64(n) * 1e6, Direction: capture.Direction(n % 3)}
		switch {
		case n > packets/2 && n%9 == 0:
			p.Interface, p.Data = 1, raw[n%len(raw)]
		case n%3 == 0:
			p.Data = g.Packet(3)
		default:
			p.Data = g.Fragment()
		}
		if n%4 == 0 {
			p.Data = append(p.Data, make([]byte, g.IntN(1200))...)
		}
		if p.Len = len(p.Data); n%3000 == 7 {
			p.Data = append(p.Data, make([]byte, 200_000)...)
			p.Len = len(p.Data)
		}
		if err := w.Packet(&p, &all[p.Interface]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

// outcome is all that a run of the program leaves behind.
type outcome struct {
	status      int
	out, errors string
	files       map[string][]byte
}

// outcomeOf runs the program on a file, which is the standard input if name is "-", with so many workers.
func outcomeOf(t *testing.T, workers int, name string, input []byte, arg ...string) (o outcome) {
	t.Helper()
	cmd := exec.Command("tundump", arg...)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), fmt.Sprintf("GOMAXPROCS=%d", workers))
	var out, errors bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errors
	if name == "-" {
		cmd.Stdin = bytes.NewReader(input) // through a pipe
	}
	_ = cmd.Run() // the status tells
	o.status = cmd.ProcessState.ExitCode()
	o.out, o.errors = out.String(), strings.ReplaceAll(errors.String(), name, "FILE")
	if name == "-" {
		o.errors = strings.ReplaceAll(strings.ReplaceAll(errors.String(), "file -,", "file FILE,"), "tundump: -:", "tundump: FILE:")
	}
	o.files = folder(t, cmd.Dir)
	return o
}

func (o outcome) compare(t *testing.T, other outcome) {
	t.Helper()
	if o.status != other.status || o.errors != other.errors {
		t.Errorf("exit status %d, %s\none by one it is %d, %s", o.status, o.errors, other.status, other.errors)
	}
	if o.out != other.out {
		t.Errorf("%d bytes are printed, one by one %d", len(o.out), len(other.out))
	}
	if len(o.files) != len(other.files) {
		t.Errorf("%d files, one by one %d", len(o.files), len(other.files))
	}
	for name, content := range o.files {
		if !bytes.Equal(content, other.files[name]) {
			t.Errorf("%s has %d bytes, one by one %d, or others", name, len(content), len(other.files[name]))
		}
	}
}

// TestAhead compares files, which are read and judged by many at the same time, with pipes, from which
// packets are taken one by one.
func TestAhead(t *testing.T) {
	whole := aheadFile(t, 1000)
	damaged := bytes.Clone(whole)
	for n := range 40 {
		damaged[len(damaged)*2/3+n*1001] ^= 0x55
	}
	inputs := map[string][]byte{"whole": whole, "cut": whole[:len(whole)*4/5+5], "damaged": damaged, "small": whole[:3000]}
	dir := t.TempDir()
	for name, content := range inputs {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	late, statuses := 0, map[int]int{}
	for _, c := range []struct{ input, arg string }{
		{"whole", "-w out.pcapng inner host 10.0.0.1"},
		{"whole", "-w out.pcapng --no-follow-fragments inner host 10.0.0.1"},
		{"whole", "-w out.pcapng --follow-fragments udp port 53"},
		{"whole", "-w out.pcapng not inner host 10.0.0.1"},
		{"whole", "-w out.pcapng"},
		{"whole", "-w out.pcapng -Q in gre or vxlan"},
		{"whole", "-w out.pcapng -c 700 inner udp"},
		{"whole", "-w out.pcapng --skip 500 -c 10 inner udp"},
		{"whole", "-w out.pcapng len > 300"},
		{"whole", "-w out.pcapng -C 1 ip"},
		{"whole", "-w out.pcapng --decap inner ip"},
		{"whole", "-w out.pcap inner ip"},            // has two link types
		{"whole", "-w out.pcapng vlan and inner ip"}, // one of which has no tags
		{"whole", "-w out.pcapng host nowhere.invalid"},
		{"whole", "--count inner tcp"},
		{"whole", "-n inner port 53"},
		{"cut", "-w out.pcapng inner host 10.0.0.1"},
		{"cut", "-w out.pcapng"},
		{"damaged", "-w out.pcapng inner host 10.0.0.1"},
		{"damaged", "--count"},
		{"small", "-n"},
	} {
		t.Run(c.input+" "+c.arg, func(t *testing.T) {
			name := filepath.Join(dir, c.input)
			words := strings.Fields(c.arg)
			slow := outcomeOf(t, 2, "-", inputs[c.input], append([]string{"-r", "-"}, words...)...)
			alone := outcomeOf(t, 1, name, nil, append([]string{"-r", name}, words...)...)
			alone.compare(t, slow)
			fast := outcomeOf(t, 7, name, nil, append([]string{"-r", name}, words...)...) // more than are needed
			fast.compare(t, slow)
			if strings.Contains(fast.errors, "later fragment") {
				late++
			}
			statuses[fast.status]++
			if c.input != "small" && fast.status == done && len(fast.out) < 10 && len(fast.files["out.pcapng"]) < 1000 {
				t.Errorf("next to nothing came out: the test says little: %s", fast.errors)
			}
		})
	}
	if late == 0 || statuses[done] < 10 || statuses[failed] < 4 {
		t.Errorf("fragments came too late in %d cases, exit statuses %v: the test says little", late, statuses)
	}
}

// TestAheadInput reads a file as standard input, from where somebody else has left off, and leaves it at its end.
func TestAheadInput(t *testing.T) {
	content := aheadFile(t, 1006)
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, append(make([]byte, 12345), content...), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.Seek(12345, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	arg := []string{"-r", "-", "-w", "out.pcapng", "inner", "host", "10.0.0.1"}
	cmd := exec.Command("tundump", arg...)
	cmd.Dir, cmd.Stdin = t.TempDir(), file
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	slow := outcomeOf(t, 2, "-", content, arg...)
	if got := folder(t, cmd.Dir)["out.pcapng"]; !bytes.Equal(got, slow.files["out.pcapng"]) || len(got) < 10_000 {
		t.Errorf("%d bytes, from a pipe %d, or others", len(got), len(slow.files["out.pcapng"]))
	}
	if at, err := file.Seek(0, io.SeekCurrent); err != nil || at != int64(12345+len(content)) {
		t.Errorf("the input is left at %d of %d: %v", at, 12345+len(content), err)
	}
}

// TestAheadFiles does so for several files, the last of them cut: compressed ones are read one by one.
func TestAheadFiles(t *testing.T) {
	dir := t.TempDir()
	var plain, compressed []string
	for n := range 3 {
		content := aheadFile(t, uint64(1001+n))
		if n == 2 {
			content = content[:len(content)-5]
		}
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		if _, err := z.Write(content); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		name := filepath.Join(dir, string(rune('a'+n)))
		for suffix, content := range map[string][]byte{"": content, ".gz": b.Bytes()} {
			if err := os.WriteFile(name+suffix, content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		plain, compressed = append(plain, name), append(compressed, name+".gz")
	}
	run := func(names []string) outcome {
		list := filepath.Join(dir, "list")
		if err := os.WriteFile(list, []byte(strings.Join(names, "\n")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		o := outcomeOf(t, 3, dir, nil, "-V", list, "-w", "out.pcapng", "inner", "host", "10.0.0.1")
		o.errors = strings.ReplaceAll(o.errors, ".gz", "")
		return o
	}
	fast, slow := run(plain), run(compressed)
	fast.compare(t, slow)
	if strings.Count(fast.errors, "reading from file") != 3 || fast.status != failed || len(fast.files["out.pcapng"]) < 10_000 {
		t.Errorf("%d, %d bytes: %s", fast.status, len(fast.files["out.pcapng"]), fast.errors)
	}
}

// copyFile is session.read, but keeps the privileges, which other tests need.
func (s *session) copyFile(name string) error {
	src := &files{s: s, names: []string{name}}
	defer src.Close()
	if err := src.open(); err != nil {
		return err
	}
	out, err := s.open(src, time.Time{})
	if err != nil {
		return err
	}
	_, err = s.copy(s.ctx, src, out)
	return errors.Join(err, out.finish())
}

// TestFileAllocations: a packet of a file costs no memory, whoever reads it, and wherever it goes.
func TestFileAllocations(t *testing.T) {
	content := aheadFile(t, 1005)
	const copies = 4 // in sections
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, bytes.Repeat(content, copies), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("gzip", "-1k", name).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	for _, arg := range []string{"-w /dev/null", "-w /dev/null --no-follow-fragments not inner host 10.0.0.1", "-n --no-follow-fragments inner 2 ip"} {
		for _, compressed := range []bool{false, true} {
			name := name
			if compressed {
				name += ".gz"
			}
			opt, err := parseFlags("tundump", append([]string{"-r", name}, strings.Fields(arg)...))
			if err != nil {
				t.Fatal(err)
			}
			s := newSession(t.Context(), stdio{os.Stdin, null, io.Discard}, opt)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			err = s.copyFile(name)
			runtime.ReadMemStats(&after)
			s.close()
			// A filter takes some thousand for each kind of interface. (To remember a fragment takes one,
			// so that none are followed.)
			const packets, others = 12_000 * copies, 20_000
			if n := after.Mallocs - before.Mallocs; err != nil || n > others {
				t.Errorf("%s, compressed %v: %d allocations for %d packets: %v", arg, compressed, n, packets, err)
			}
		}
	}
}
