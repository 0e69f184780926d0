package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// terminal is a pseudo terminal, with all that was written to it.
type terminal struct {
	t      *testing.T
	master *os.File
	slave  *os.File // for the program

	mu   sync.Mutex
	text bytes.Buffer
	gone chan struct{} // nobody has the slave any more
}

func newTerminal(t *testing.T, columns uint16) *terminal {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { master.Close() })
	fd := int(master.Fd())
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: columns})
	}
	if err != nil {
		t.Fatal(err)
	}
	term := &terminal{t: t, master: master, gone: make(chan struct{})}
	if term.slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(term.gone)
		b := make([]byte, 4096)
		for {
			n, err := master.Read(b) // EIO when the last slave is closed
			term.mu.Lock()
			term.text.Write(b[:n])
			term.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	return term
}

func (term *terminal) String() string {
	term.mu.Lock()
	defer term.mu.Unlock()
	return term.text.String()
}

// waitAtMost is how long a test waits for something to appear on a terminal.
const waitAtMost = time.Minute

// waitFor waits until something that matches has been written.
func (term *terminal) waitFor(pattern string) {
	term.t.Helper()
	re := regexp.MustCompile(pattern)
	for deadline := time.Now().Add(waitAtMost); !re.MatchString(term.String()); {
		if time.Now().After(deadline) {
			term.t.Fatalf("%s has not been written:\n%q", pattern, term.String())
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// start starts a command whose standard error is the terminal, and which has the only slave.
func (term *terminal) start(cmd *exec.Cmd) {
	term.t.Helper()
	cmd.Stderr = term.slave
	if err := cmd.Start(); err != nil {
		term.t.Fatal(err)
	}
	term.slave.Close()
}

// control starts a command that has the terminal for itself, as a login has.
func (term *terminal) control(cmd *exec.Cmd) {
	term.t.Helper()
	cmd.Stdin, cmd.Stdout = term.slave, term.slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	term.start(cmd)
}

// typed is what somebody types.
func (term *terminal) typed(text string) {
	term.t.Helper()
	if _, err := io.WriteString(term.master, text); err != nil {
		term.t.Fatal(err)
	}
}

// wait waits for the end of the command and of what it writes.
func (term *terminal) wait(cmd *exec.Cmd) {
	term.t.Helper()
	if err := cmd.Wait(); err != nil {
		term.t.Fatalf("%v: %v\n%s", cmd.Args, err, term)
	}
	<-term.gone
}

// screen returns the lines that somebody in front of the terminal sees.
func (term *terminal) screen() (lines []string) {
	for _, line := range strings.Split(strings.ReplaceAll(term.String(), "\r\n", "\n"), "\n") {
		if i := strings.LastIndex(line, eraseLine); i >= 0 {
			line = line[i+len(eraseLine):]
		}
		lines = append(lines, line)
	}
	return lines
}

// TestColour checks where there are colours, with a terminal and without.
func TestColour(t *testing.T) {
	tundump := func(env []string, expression string) *exec.Cmd {
		cmd := exec.Command("tundump", "-r", "../../testdata/vxlan.pcap", expression)
		cmd.Env = append(os.Environ(), append([]string{"TERM=xterm", "NO_COLOR=", "CLICOLOR_FORCE="}, env...)...)
		return cmd
	}
	for _, c := range []struct {
		env        []string
		expression string
		terminal   bool
		want       bool
	}{
		{nil, "inner tcp", true, true},
		{nil, "inner tcp", false, false},
		{nil, "tcp or udp", true, false},
		{nil, "outer udp", true, false},
		{[]string{"NO_COLOR=1"}, "inner tcp", true, false},
		{[]string{"TERM=dumb"}, "inner tcp", true, false},
		{[]string{"CLICOLOR_FORCE=1"}, "inner tcp", false, true},
		{[]string{"CLICOLOR_FORCE=0"}, "inner tcp", false, false},
		{[]string{"CLICOLOR_FORCE=1", "NO_COLOR=1"}, "inner tcp", false, false},
	} {
		cmd := tundump(c.env, c.expression)
		var text string
		if c.terminal {
			term := newTerminal(t, 80)
			cmd.Stdout = term.slave
			term.start(cmd)
			term.wait(cmd)
			text = term.String()
		} else {
			out, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			text = string(out)
		}
		bright := regexp.MustCompile(`(?s)\x1b\[2mIP6? [^\x1b]*VXLAN[^\x1b]*\x1b\[0m\x1b\[1m[^\x1b]*IP6? [^\x1b]*Flags[^\x1b]*\x1b\[0m`).MatchString(text)
		if bright != c.want || strings.Contains(text, "\x1b") != c.want {
			t.Errorf("%q %s, terminal %v: coloured %v\n%.300q", c.env, c.expression, c.terminal, bright, text)
		}
	}
}

// longFile returns a capture file of more than what pipes and buffers hold.
func longFile(t *testing.T) (name string, content []byte) {
	t.Helper()
	content, err := os.ReadFile("../../testdata/vxlan.pcap")
	if err != nil {
		t.Fatal(err)
	}
	records := content[24:]
	content = append(content[:24:24], bytes.Repeat(records, 3<<20/len(records))...)
	name = filepath.Join(t.TempDir(), "long.pcap")
	if err := os.WriteFile(name, content, 0o644); err != nil {
		t.Fatal(err)
	}
	return name, content
}

// TestProgress reads a file that takes long, because the program must wait for the reader
// of its output.
func TestProgress(t *testing.T) {
	name, _ := longFile(t)
	term := newTerminal(t, 200)
	cmd := exec.Command("tundump", "-r", name, "-w", "-")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	term.start(cmd)
	term.waitFor(`(?s)\[#+\.+\] \d+ % of 3\.1 MB, [\d.]+ [kM]?B/s, \d+s left.*\r\x1b\[K\[#+\.+\]`)
	if n, err := io.Copy(io.Discard, stdout); err != nil || n < 1<<20 {
		t.Fatalf("%d bytes, %v", n, err)
	}
	term.wait(cmd)
	lines := term.screen()
	if len(lines) != 2 || !strings.HasPrefix(lines[0], "reading from file ") || lines[1] != "" {
		t.Errorf("at the end the screen has %q", lines)
	}
}

// TestProgressOfPipe reads from a pipe, whose end cannot be foretold, on a narrow terminal.
func TestProgressOfPipe(t *testing.T) {
	_, content := longFile(t)
	term := newTerminal(t, 40)
	cmd := exec.Command("tundump", "-r", "-", "-w", os.DevNull, "inner tcp")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	term.start(cmd)
	if _, err := stdin.Write(content[:len(content)/2]); err != nil {
		t.Fatal(err)
	}
	term.waitFor(`\d+ packets read, \d+ selected, `)
	if _, err := stdin.Write(content[len(content)/2:]); err != nil {
		t.Fatal(err)
	}
	stdin.Close()
	term.wait(cmd)
	for _, part := range regexp.MustCompile(`\d+ packets read[^\r]*`).FindAllString(term.String(), -1) {
		if len(part) != 39 {
			t.Errorf("%q has %d of 40 columns", part, len(part))
		}
	}
	if last := term.screen(); last[len(last)-1] != "" {
		t.Errorf("at the end the screen has %q", last)
	}
}

// TestProgressAbsent checks that there is none without a terminal, nor between packets on one.
func TestProgressAbsent(t *testing.T) {
	_, content := longFile(t)
	for _, c := range []struct {
		args     []string
		terminal bool
	}{{[]string{"-r", "-", "-w", os.DevNull}, false}, {[]string{"-r", "-", "-q", "inner arp"}, true},
		{[]string{"-r", "-", "-q", "-w", os.DevNull, "--print", "inner arp"}, true}} {
		cmd := exec.Command("tundump", c.args...)
		stdin, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		var stderr bytes.Buffer
		term := newTerminal(t, 80)
		if c.terminal {
			cmd.Stdout = term.slave
			term.start(cmd)
		} else {
			cmd.Stderr = &stderr
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			term.slave.Close()
		}
		if _, err := stdin.Write(content[:1<<20]); err != nil {
			t.Fatal(err)
		}
		time.Sleep(progressAfter + 300*time.Millisecond)
		stdin.Close() // within a packet
		err = cmd.Wait()
		<-term.gone
		if text := stderr.String() + term.String(); err == nil || strings.Contains(text, "packets read") || strings.Contains(text, eraseLine) {
			t.Errorf("%q: %v\n%q", c.args, err, text)
		}
	}
}

// TestCounter captures in a namespace, with the counters on a terminal, and an error line
// between them.
func TestCounter(t *testing.T) {
	l := newLab(t)
	term := newTerminal(t, 100)
	out := filepath.Join(t.TempDir(), "out.pcapng")
	cmd := l.Command(t.Context(), l.A, "tundump", "-i", "lo", "-i", "eth1", "-w", out, "udp port 9")
	term.start(cmd)
	term.waitFor(`\r\x1b\[K0 packets, 0 bytes, 0 packets/s, 0 dropped`)
	err := l.In(l.A, func() error {
		c, err := net.Dial("udp", "127.0.0.1:9")
		if err != nil {
			return err
		}
		defer c.Close()
		for range 30 {
			_, _ = c.Write([]byte("hello")) // nobody listens, which a later one is told
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	term.waitFor(`\r\x1b\[K[1-9]\d* packets, [\d.]+ (bytes|kB), \d+ packets/s, 0 dropped`)
	if msg, err := exec.Command("ip", "-n", l.A, "link", "set", "eth1", "down").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, msg)
	}
	term.waitFor(`\r\x1b\[Ktundump: eth1: [^\n]*\n[^\n]*0 dropped`)
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	term.wait(cmd)
	screen := strings.Join(term.screen(), "\n")
	if !regexp.MustCompile(`\n(tundump: filter:.*\n)+tundump: eth1: .*\n\d+ packets captured\n\d+ packets received by filter\n0 packets dropped by kernel\n$`).MatchString(screen) {
		t.Errorf("at the end the screen has\n%s", screen)
	}
}

func TestProgressText(t *testing.T) {
	for _, c := range []struct {
		at, total int64
		elapsed   time.Duration
		want      string
	}{
		{0, 100, time.Second, "[..............................] 0 % of 100 bytes, 0 bytes/s"},
		{50, 100, 2 * time.Second, "[###############...............] 50 % of 100 bytes, 25 bytes/s, 2s left"},
		{3_000_000_000, 12_000_000_000, 30 * time.Second, "[#######.......................] 25 % of 12.0 GB, 100.0 MB/s, 1m30s left"},
		{120, 100, 0, "[##############################] 100 % of 100 bytes, 100.0 kB/s, 0s left"}, // it grows
	} {
		if got := progress(c.at, c.total, c.elapsed); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
	for n, want := range map[uint64]string{0: "0 bytes", 999: "999 bytes", 1000: "1.0 kB", 999_940: "999.9 kB", 999_960: "1.0 MB", 1 << 63: "9.2 EB"} {
		if got := size(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}
