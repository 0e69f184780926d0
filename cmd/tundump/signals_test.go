package main

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestLiveSignals: SIGUSR1 prints the counters, as --stats does again and again; SIGUSR2 makes
// what was captured readable; the capture goes on after both.
func TestLiveSignals(t *testing.T) {
	l := newLab(t)
	file := filepath.Join(t.TempDir(), "out.pcapng")
	r := start(t, l, l.A, "tundump", "-i", "eth1", "-w", file, "--stats", "100ms", "udp and dst port 5000")
	frames := [][]byte{numberedPacket(0, 60), numberedPacket(1, 60), numberedPacket(2, 60)}
	if err := l.Transmit(l.A, "eth1", frames); err != nil {
		t.Fatal(err)
	}
	if err := r.cmd.Process.Signal(syscall.SIGUSR2); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); len(numbers(t, file)) != 3; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d packets are in the file", len(numbers(t, file)))
		}
	}
	if err := r.cmd.Process.Signal(syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	time.Sleep(300 * time.Millisecond) // some turns of --stats
	if err := l.Transmit(l.A, "eth1", frames[:1]); err != nil {
		t.Fatal(err)
	}
	log := r.stop(syscall.SIGTERM)
	line := regexp.MustCompile(`(?m)^tundump: \d packets? captured, \d packets? received by filter, 0 packets dropped by kernel$`)
	if n := len(line.FindAllString(log, -1)); n < 3 || !strings.Contains(log, "tundump: 3 packets captured, 3 packets received by filter, 0 packets dropped by kernel\n") {
		t.Errorf("%d lines of counters in\n%s", n, log)
	}
	if n := len(numbers(t, file)); n != 4 {
		t.Errorf("%d packets are in the file, want 4", n)
	}
}

// TestUSR1AlonePrintsCounters: without --stats there is one line for one signal.
func TestUSR1AlonePrintsCounters(t *testing.T) {
	l := newLab(t)
	r := start(t, l, l.A, "tundump", "-i", "eth1")
	if err := r.cmd.Process.Signal(syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	time.Sleep(200 * time.Millisecond)
	log := r.stop(syscall.SIGINT)
	if n := strings.Count(log, "captured, "); n != 1 {
		t.Errorf("%d lines of counters in\n%s", n, log)
	}
}

// TestDuration: --duration ends a capture, and reading what never ends.
func TestDuration(t *testing.T) {
	l := newLab(t)
	r := start(t, l, l.A, "tundump", "-i", "eth1", "--duration", "300ms")
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
