package main

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tundump/tundump/testdata/lab"
)

// talker is a tundump whose lines on standard error are read as they come.
type talker struct {
	t     *testing.T
	cmd   *exec.Cmd
	lines chan string
}

// startTalker starts a command in a namespace, and returns when it captures.
func startTalker(t *testing.T, l *lab.Lab, ns string, arg ...string) *talker {
	t.Helper()
	r := &talker{t, l.Command(t.Context(), ns, arg...), make(chan string, 1000)}
	stderr, err := r.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(r.lines)
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			r.lines <- lines.Text()
		}
	}()
	r.until("tundump: filter: ")
	return r
}

// until waits for a line that starts so.
func (r *talker) until(prefix string) {
	r.t.Helper()
	timeout := time.After(30 * time.Second)
	for {
		select {
		case line, ok := <-r.lines:
			if !ok {
				r.t.Fatalf("it ended before it said %q", prefix)
			}
			if strings.HasPrefix(line, prefix) {
				return
			}
		case <-timeout:
			r.t.Fatalf("it did not say %q", prefix)
		}
	}
}

// signal sends a signal.
func (r *talker) signal(sig os.Signal) {
	r.t.Helper()
	if err := r.cmd.Process.Signal(sig); err != nil {
		r.t.Fatal(err)
	}
}

// end waits for the end, and returns what was said meanwhile.
func (r *talker) end() (lines []string) {
	r.t.Helper()
	for line := range r.lines {
		lines = append(lines, line)
	}
	if err := r.cmd.Wait(); err != nil {
		r.t.Error(err)
	}
	return lines
}

// TestLiveSignals: SIGUSR1 prints the counters once, SIGUSR2 makes what was captured readable;
// the capture goes on after both.
func TestLiveSignals(t *testing.T) {
	l := newLab(t)
	file := filepath.Join(t.TempDir(), "out.pcapng")
	r := startTalker(t, l, l.A, "tundump", "-i", "eth1", "-w", file, "udp and dst port 5000")
	frames := [][]byte{numberedPacket(0, 60), numberedPacket(1, 60), numberedPacket(2, 60)}
	if err := l.Transmit(l.A, "eth1", frames); err != nil {
		t.Fatal(err)
	}
	r.signal(syscall.SIGUSR2)
	for deadline := time.Now().Add(20 * time.Second); len(numbers(t, file)) != 3; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d packets are in the file", len(numbers(t, file)))
		}
	}
	r.signal(syscall.SIGUSR1)
	r.until("tundump: 3 packets captured, 3 packets received by filter, 0 packets dropped by kernel")
	if err := l.Transmit(l.A, "eth1", frames[:1]); err != nil {
		t.Fatal(err)
	}
	r.signal(syscall.SIGTERM)
	for _, line := range r.end() {
		if strings.Contains(line, "captured, ") {
			t.Errorf("one signal, and another line: %s", line)
		}
	}
	if n := len(numbers(t, file)); n != 4 {
		t.Errorf("%d packets are in the file, want 4", n)
	}
}

// TestLiveHangUp: without sets of files, the end of a terminal ends a capture in order; but not one
// of nohup's.
func TestLiveHangUp(t *testing.T) {
	l := newLab(t)
	for _, ignored := range []bool{false, true} {
		file := filepath.Join(t.TempDir(), "out.pcapng")
		args := []string{"tundump", "-i", "eth1", "-w", file, "udp and dst port 5000"}
		if ignored {
			args = append([]string{"nohup"}, args...)
		}
		r := startTalker(t, l, l.A, args...)
		if err := l.Transmit(l.A, "eth1", [][]byte{numberedPacket(0, 60)}); err != nil {
			t.Fatal(err)
		}
		r.signal(syscall.SIGHUP)
		if ignored {
			r.signal(syscall.SIGUSR1)
			r.until("tundump: ")
			r.signal(syscall.SIGINT)
		}
		if lines := r.end(); !slices.Contains(lines, "1 packet captured") {
			t.Errorf("ignored %v: it said %q", ignored, lines)
		}
		if n := len(numbers(t, file)); n != 1 {
			t.Errorf("ignored %v: %d packets are in the file, want 1", ignored, n)
		}
	}
}

// TestStats: --stats prints the counters again and again.
func TestStats(t *testing.T) {
	l := newLab(t)
	r := startTalker(t, l, l.A, "tundump", "-i", "eth1", "--stats", "20ms", "udp and dst port 5000")
	for range 3 {
		r.until("tundump: 0 packets captured, 0 packets received by filter, 0 packets dropped by kernel")
	}
	r.signal(syscall.SIGINT)
	r.end()
}

// TestDuration: --duration ends a capture, and reading what never ends.
func TestDuration(t *testing.T) {
	l := newLab(t)
	r := start(t, l, l.A, "tundump", "-i", "eth1", "--duration", "300ms", "--count", "udp dst port 5000")
	if err := l.Transmit(l.A, "eth1", [][]byte{numberedPacket(0, 60)}); err != nil {
		t.Fatal(err)
	}
	if said, err := io.ReadAll(r.stdout); err != nil || string(said) != "1 packet\n" {
		t.Errorf("%q, %v", said, err)
	}
	counters(t, r.wait(done))

	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	defer out.Close()
	numbered(t, in, 3, 60)
	cmd := exec.Command("tundump", "-r", "-", "--duration", "300ms", "--count")
	cmd.Stdin = out
	got, err := cmd.Output()
	if err != nil || string(got) != "3 packets\n" {
		t.Errorf("%q, %v", got, err)
	}
}

// TestLineBuffered: with -l, or -U, a line is there before the next packet is, though the
// output is no terminal.
func TestLineBuffered(t *testing.T) {
	for _, option := range []string{"-l", "-U"} {
		cmd := exec.Command("tundump", "-r", "-", option)
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewReader(out)
		numbered(t, in, 1, 60)
		if _, err := lines.ReadString('\n'); err != nil {
			t.Error(err)
		}
		if err := in.Close(); err != nil {
			t.Error(err)
		}
		if rest, err := io.ReadAll(lines); len(rest) != 0 || err != nil {
			t.Errorf("%s: %q, %v", option, rest, err)
		}
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	}
}
