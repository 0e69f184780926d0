package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// threads returns what the status of each thread of a process says of its users and capabilities,
// each once.
func threads(t *testing.T, pid int) []string {
	t.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, f := range files {
		status, err := os.ReadFile(f)
		if err != nil { // it has ended
			continue
		}
		var said []string
		for _, m := range regexp.MustCompile(`(?m)^(Uid|Gid|CapInh|CapPrm|CapEff|CapAmb):\s+(\S+)`).FindAllStringSubmatch(string(status), -1) {
			said = append(said, m[1]+" "+strings.TrimLeft(m[2], "0"))
		}
		all = append(all, strings.Join(said, ", "))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// wantThreads waits until all threads have these users and capabilities: what start waits for comes
// just before they are dropped.
func wantThreads(t *testing.T, pid int, want string) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		got := threads(t, pid)
		if slices.Equal(got, []string{want}) {
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("threads have %q, want %q", got, want)
			return
		}
	}
}

const (
	dacOverride = 1 << 1
	netAdmin    = 1 << 12
	netRaw      = 1 << 13
	bpfLoad     = 1<<39 | 1<<38 // CAP_BPF and CAP_PERFMON
)

// TestPrivileges: a capture has no capabilities, but for what it needs later.
func TestPrivileges(t *testing.T) {
	l := newLab(t)
	file := filepath.Join(t.TempDir(), "out.pcapng")
	set := filepath.Join(t.TempDir(), "set")
	if err := os.WriteFile(set, []byte("10.5.5.5\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args                 []string
		permitted, effective uint64
	}{
		{[]string{"-i", "eth1"}, 0, 0},
		{[]string{"-i", "eth1", "-w", file, "inner host 10.5.5.5"}, 0, 0},
		{[]string{"-i", "eth1", "-w", file, "-C", "1", "udp"}, dacOverride, 0},
		{[]string{"-i", "eth*", "udp"}, netRaw | bpfLoad, netRaw | bpfLoad},
		{[]string{"-i", "eth1", "host in @" + set}, bpfLoad, bpfLoad},
		{[]string{"-i", "eth1", "--engine", "tcx", "inner host 10.5.5.5"}, 0, 0},
		{[]string{"-i", "eth1", "--engine", "tcx", "host in @" + set}, bpfLoad | netAdmin, bpfLoad | netAdmin},
	} {
		r := start(t, l, l.A, append([]string{"tundump"}, tt.args...)...)
		wantThreads(t, r.cmd.Process.Pid,
			fmt.Sprintf("Uid , Gid , CapInh , CapPrm %s, CapEff %s, CapAmb ", hexOrNone(tt.permitted), hexOrNone(tt.effective)))
		r.stop(syscall.SIGINT)
	}
	// Packets of a file have no more rights.
	cmd := exec.Command("tundump", "-r", "-", "-w", file)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	numbered(t, in, 1, 60)
	wantThreads(t, cmd.Process.Pid, "Uid , Gid , CapInh , CapPrm , CapEff , CapAmb ")
	if err := in.Close(); err != nil {
		t.Error(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

func hexOrNone(n uint64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%x", n)
}

// TestUser: with -Z the files are that user's, also in a folder in which only root may create files, and
// also after a rotation, as tcpdump's are.
func TestUser(t *testing.T) {
	l := newLab(t)
	dir := t.TempDir()
	owners := func(pattern string) (owners []uint32) {
		files, _ := filepath.Glob(filepath.Join(dir, pattern))
		for _, f := range files {
			info, err := os.Stat(f)
			if err != nil {
				t.Fatal(err)
			}
			owners = append(owners, info.Sys().(*syscall.Stat_t).Uid)
		}
		return owners
	}
	frames := make([][]byte, 2500)
	for i := range frames {
		frames[i] = numberedPacket(uint64(i), 1000)
	}
	r := start(t, l, l.A, "tundump", "-i", "eth1", "-Z", "nobody", "-w", filepath.Join(dir, "out.pcapng"), "-C", "1", "udp dst port 5000")
	wantThreads(t, r.cmd.Process.Pid, "Uid 65534, Gid 65534, CapInh , CapPrm 2, CapEff , CapAmb ")
	if err := l.Transmit(l.A, "eth1", frames); err != nil {
		t.Fatal(err)
	}
	log := r.stop(syscall.SIGINT)
	if got := owners("out.pcapng*"); !slices.Equal(got, []uint32{65534, 65534, 65534}) {
		t.Errorf("files are of the users %d", got)
	}
	if c, _, d := counters(t, log); c != len(frames) || d != 0 || !strings.Contains(log, "tundump: dropped privileges to user nobody\n") {
		t.Errorf("captured %d, dropped %d:\n%s", c, d, log)
	}
	// Without a rotation nothing is left.
	r = start(t, l, l.A, "tundump", "-i", "eth1", "-Z", "nobody", "-w", filepath.Join(dir, "one.pcapng"))
	wantThreads(t, r.cmd.Process.Pid, "Uid 65534, Gid 65534, CapInh , CapPrm , CapEff , CapAmb ")
	r.stop(syscall.SIGINT)
	if got := owners("one.pcapng"); !slices.Equal(got, []uint32{65534}) {
		t.Errorf("the file is of the user %d", got)
	}
	// And what is read is read as that user.
	var in bytes.Buffer
	numbered(t, &in, 3, 60)
	cmd := exec.Command("tundump", "-r", "-", "-Z", "nobody", "-w", filepath.Join(dir, "read.pcapng"))
	cmd.Stdin = &in
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	if got := owners("read.pcapng"); !slices.Equal(got, []uint32{65534}) {
		t.Errorf("the file is of the user %d", got)
	}
	out, err := exec.Command("tundump", "-r", "../../testdata/gre.pcap", "-Z", "nosuchuser").CombinedOutput()
	if err == nil || string(out) != "tundump: option -Z: user: unknown user nosuchuser\n" {
		t.Errorf("%v: %s", err, out)
	}
}
