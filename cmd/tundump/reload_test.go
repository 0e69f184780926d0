package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// replace writes a file at once, so that nobody sees half of it.
func replace(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name+".new", []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(name+".new", name); err != nil {
		t.Fatal(err)
	}
}

// TestReload changes the files of sets while packets come that are in all of the sets: none may be
// lost. A bad file changes nothing.
func TestReload(t *testing.T) {
	for _, engine := range []string{"packet", "tcx"} {
		t.Run(engine, func(t *testing.T) { testReload(t, engine) })
	}
}

func testReload(t *testing.T, engine string) {
	l := newLab(t)
	dir := t.TempDir()
	hosts, ports, out := filepath.Join(dir, "hosts"), filepath.Join(dir, "ports"), filepath.Join(dir, "out.pcapng")
	var many strings.Builder
	for n := range 20_000 {
		fmt.Fprintf(&many, "10.9.%d.%d\n2001:db8::%x\n", n/250, n%250, n)
	}
	replace(t, hosts, "10.5.5.1\n")
	replace(t, ports, "9000 # of the sender\n")
	s := newSender(t, l)
	r := start(t, l, l.B, "tundump", "--engine", engine, "-i", "eth1", "-w", out, fmt.Sprintf("inner (src host in @%s and dst port in @%s)", hosts, ports))
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
				s.send(30)
			}
		}
	}()
	reload := func(want string) {
		t.Helper()
		if err := r.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Error(err)
		}
		if line := r.until("again"); !strings.HasSuffix(line, want) {
			t.Errorf("it says %q, not %q", line, want)
		}
	}
	for range 4 {
		replace(t, hosts, "10.5.5.1\n"+many.String()+"10.8.0.0/16\n")
		replace(t, ports, "1000-2000\n9000\n8000-8999\n10000-60000\n7\n9\n11\n")
		reload("tundump: read the sets again: 40009 entries of 2 sets")
		replace(t, hosts, "10.5.5.1/32\n")
		replace(t, ports, "9000\n")
		reload("tundump: read the sets again: 2 entries of 2 sets")
	}
	replace(t, hosts, "10.5.5.1\n10.5.5.\n")
	reload(fmt.Sprintf(`tundump: reading the sets again: %s, line 2: "10.5.5." is neither an address nor a prefix; the old ones stay`, hosts))
	replace(t, hosts, "10.5.5.2\n")
	if err := os.WriteFile(ports, bytes.Repeat([]byte("1\n"), 1<<23+1), 0o644); err != nil {
		t.Fatal(err)
	}
	reload(fmt.Sprintf("tundump: reading the sets again: %s, line 8388609: a set has room for 8388608 entries; the old ones stay", ports))
	if err := os.Remove(ports); err != nil {
		t.Fatal(err)
	}
	reload(fmt.Sprintf("tundump: reading the sets again: %s: no such file or directory; the old ones stay", ports))
	close(stop)
	<-stopped
	before := s.sent
	replace(t, ports, "9000\n")
	reload("tundump: read the sets again: 2 entries of 2 sets")
	s.send(300)
	log := r.stop(syscall.SIGINT)
	want := wantSequences(1, before)
	for _, seq := range wantSequences(2, s.sent) {
		if seq[1] >= before {
			want = append(want, seq)
		}
	}
	if d := cmp.Diff(want, sequences(readCapture(t, out))); d != "" {
		t.Errorf("packets (-want +got):\n%s", d)
	}
	if c, received, dropped := counters(t, log); c != len(want) || received != len(want) || dropped != 0 {
		t.Errorf("captured %d, received %d, dropped %d; want %d, %[4]d, 0", c, received, dropped, len(want))
	}
	if before < 1000 {
		t.Errorf("only %d packets came while the sets were read: the test says little", before)
	}
	t.Logf("%d packets while the sets were read", before)
}

// TestReloadRefused has the kernel refuse the tables of new sets, by a limit on files, which they
// are: the old ones stay, and later others take their place.
func TestReloadRefused(t *testing.T) {
	l := newLab(t)
	dir := t.TempDir()
	hosts, out := filepath.Join(dir, "hosts"), filepath.Join(dir, "out.pcapng")
	var many strings.Builder
	for n := range 2000 {
		fmt.Fprintf(&many, "10.9.%d.%d\n2001:db8::%x\n", n/250, n%250, n)
	}
	replace(t, hosts, "10.5.5.1\n"+many.String())
	s := newSender(t, l)
	r := start(t, l, l.B, "tundump", "-i", "eth1", "-w", out, "inner src host in @"+hosts)
	s.send(30)
	pid := r.cmd.Process.Pid
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	for _, fd := range open {
		used[fd.Name()] = true
	}
	// One is left, for the file of the set.
	few, free := uint64(0), 0
	for ; free < 1; few++ {
		if !used[fmt.Sprint(few)] {
			free++
		}
	}
	var before unix.Rlimit
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &before); err != nil {
		t.Fatal(err)
	}
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: few, Max: before.Max}, nil); err != nil {
		t.Fatal(err)
	}
	replace(t, hosts, "10.5.5.2\n"+many.String())
	if err := r.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	line := r.until("again")
	t.Log(line)
	if !strings.Contains(line, "too many open files") || !strings.HasSuffix(line, "; the old ones stay") {
		t.Errorf("it says %q", line)
	}
	s.send(30)
	kept := s.sent
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, &before, nil); err != nil {
		t.Fatal(err)
	}
	if err := r.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	if line := r.until("again"); !strings.HasSuffix(line, "read the sets again: 4001 entries of 1 set") {
		t.Errorf("it says %q", line)
	}
	s.send(30)
	log := r.stop(syscall.SIGINT)
	want := wantSequences(1, kept)
	for _, seq := range wantSequences(2, s.sent) {
		if seq[1] >= kept {
			want = append(want, seq)
		}
	}
	if d := cmp.Diff(want, sequences(readCapture(t, out))); d != "" {
		t.Errorf("packets (-want +got):\n%s\n%s", d, log)
	}
}
