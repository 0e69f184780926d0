package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket/layers"
	"golang.org/x/sys/unix"

	"github.com/tundump/tundump/testdata/lab"
)

// newLab makes an overlay network for a test: inner hosts 10.5.5.1, .2 and .3 at
// A, 10.5.5.5 at B.
func newLab(t *testing.T) *lab.Lab {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, for network namespaces: sudo make test")
	}
	l, err := lab.New([]string{"10.5.5.1", "10.5.5.2", "10.5.5.3"}, []string{"10.5.5.5"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// running is a tundump that captures.
type running struct {
	t      *testing.T
	cmd    *exec.Cmd
	stdout io.Reader
	log    bytes.Buffer // standard error, complete after wait
	said   chan string  // its lines, for until
	copied chan struct{}
}

// start runs a command, of which tundump is a part, in a namespace, and returns
// when it captures.
func start(t *testing.T, l *lab.Lab, ns string, arg ...string) *running {
	t.Helper()
	r := &running{t: t, said: make(chan string, 1000), copied: make(chan struct{})}
	r.cmd = l.Command(t.Context(), ns, arg...)
	var err error
	if r.stdout, err = r.cmd.StdoutPipe(); err != nil {
		t.Fatal(err)
	}
	stderr, err := r.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ready := make(chan struct{})
	go func() {
		defer close(r.copied)
		var once sync.Once
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			fmt.Fprintln(&r.log, lines.Text())
			select {
			case r.said <- lines.Text():
			default: // nobody asks
			}
			if strings.Contains(lines.Text(), "instruction") || strings.Contains(lines.Text(), "filter: none") {
				once.Do(func() { close(ready) })
			}
		}
	}()
	select {
	case <-ready:
	case <-r.copied:
		t.Fatalf("%v ended: %v\n%s", arg, r.cmd.Wait(), &r.log)
	}
	return r
}

// until waits for a line of the standard error with text in it, and returns it.
func (r *running) until(text string) string {
	r.t.Helper()
	timeout := time.After(time.Minute)
	for {
		select {
		case line := <-r.said:
			if strings.Contains(line, text) {
				return line
			}
		case <-r.copied:
			r.t.Fatalf("%v ended without saying %q\n%s", r.cmd.Args, text, &r.log)
		case <-timeout:
			r.t.Fatalf("%v does not say %q", r.cmd.Args, text)
		}
	}
}

// wait waits for the end and checks the exit status. It returns the standard error.
func (r *running) wait(status int) string {
	r.t.Helper()
	<-r.copied
	err := r.cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		r.t.Fatal(err)
	}
	if got := r.cmd.ProcessState.ExitCode(); got != status {
		r.t.Fatalf("%v: exit status %d, want %d\n%s", r.cmd.Args, got, status, &r.log)
	}
	return r.log.String()
}

// stop ends the capture with a signal and waits for it.
func (r *running) stop(sig os.Signal) string {
	r.t.Helper()
	if err := r.cmd.Process.Signal(sig); err != nil {
		r.t.Fatal(err)
	}
	return r.wait(done)
}

// counters returns what the three last lines say.
func counters(t *testing.T, log string) (captured, received, dropped int) {
	t.Helper()
	m := regexp.MustCompile(`(?m)^(\d+) packets? captured\n(\d+) packets? received by filter\n(\d+) packets? dropped by kernel$`).FindStringSubmatch(log)
	if m == nil {
		t.Fatalf("no counters in\n%s", log)
	}
	captured, _ = strconv.Atoi(m[1])
	received, _ = strconv.Atoi(m[2])
	dropped, _ = strconv.Atoi(m[3])
	return captured, received, dropped
}

// readable checks that other programs find n packets in a capture file.
func readable(t *testing.T, file string, n int) {
	t.Helper()
	for reader, line := range map[string]*regexp.Regexp{
		"tcpdump": regexp.MustCompile(`(?m)^\d\d:\d\d:`), // it prints some packets in several lines
		"tshark":  regexp.MustCompile(`(?m)^.`),
	} {
		cmd := exec.Command(reader, "-nr", file)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Errorf("%s: %v: %s", reader, err, &stderr)
		}
		if got := len(line.FindAll(out, -1)); got != n {
			t.Errorf("%s prints %d packets, want %d: %s", reader, got, n, &stderr)
		}
	}
	out, err := exec.Command("capinfos", "-c", "-M", file).CombinedOutput()
	if err != nil || !regexp.MustCompile(`Number of packets: +`+strconv.Itoa(n)+`\n`).Match(out) {
		t.Errorf("capinfos wants %d packets: %v: %s", n, err, out)
	}
}

// sequence is the end of a test packet: who sent it, and the how manieth.
func sequence(host, n int) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, uint32(host)), uint32(n))
}

// sequences returns what the packets' ends say.
func sequences(records []record) (all [][2]int) {
	for _, r := range records {
		end := r.Data[len(r.Data)-8:]
		all = append(all, [2]int{int(binary.BigEndian.Uint32(end)), int(binary.BigEndian.Uint32(end[4:]))})
	}
	return all
}

// wantSequences is what is to be captured of total packets, sent in turn by the hosts 1
// to 3, if only that host's are.
func wantSequences(host, total int) (all [][2]int) {
	for n := range total {
		if 1+n%3 == host {
			all = append(all, [2]int{host, n})
		}
	}
	return all
}

// sender sends UDP datagrams through the VXLAN, in turn from each of the inner
// hosts at A, to B.
type sender struct {
	t     *testing.T
	socks [3]*net.UDPConn
	sent  int
}

func newSender(t *testing.T, l *lab.Lab) *sender {
	t.Helper()
	s := &sender{t: t}
	// Somebody listens, or there would be ICMP errors. It does not matter what he loses.
	to := &net.UDPAddr{IP: net.IPv4(10, 5, 5, 5), Port: 9000}
	open := func(ns string, f func() (*net.UDPConn, error)) (c *net.UDPConn) {
		err := l.In(ns, func() (err error) {
			c, err = f()
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	open(l.B, func() (*net.UDPConn, error) { return net.ListenUDP("udp4", to) })
	for i := range s.socks {
		from := &net.UDPAddr{IP: net.IPv4(10, 5, 5, byte(1+i))}
		s.socks[i] = open(l.A, func() (*net.UDPConn, error) { return net.DialUDP("udp4", from, to) })
	}
	return s
}

// send sends n datagrams.
func (s *sender) send(n int) {
	s.t.Helper()
	for range n {
		if _, err := s.socks[s.sent%3].Write(sequence(1+s.sent%3, s.sent)); err != nil {
			s.t.Fatal(err)
		}
		s.sent++
	}
}

func TestLiveVXLAN(t *testing.T) {
	l := newLab(t)
	const total = 10_000
	dir := t.TempDir()
	files := []string{filepath.Join(dir, "two.pcapng"), filepath.Join(dir, "three.pcap")}
	s := newSender(t, l)
	two := start(t, l, l.A, "tundump", "-i", "eth1", "-w", files[0], "inner", "host", "10.5.5.2")
	three := start(t, l, l.B, "tundump", "-ni", "eth1", "-w", files[1], "inner src host 10.5.5.3")
	s.send(total)
	for i, r := range []*running{two, three} {
		host := 2 + i
		log := r.stop(syscall.SIGINT)
		want := wantSequences(host, total)
		if d := cmp.Diff(want, sequences(readCapture(t, files[i]))); d != "" {
			t.Errorf("packets of 10.5.5.%d (-want +got):\n%s", host, d)
		}
		if c, r, d := counters(t, log); c != len(want) || r != len(want) || d != 0 {
			t.Errorf("captured %d, received %d, dropped %d; want %d, %[4]d, 0", c, r, d, len(want))
		}
		readable(t, files[i], len(want))
		for _, line := range []string{
			`(?m)^tundump: listening on eth1, link-type EN10MB \(Ethernet\), snapshot length 262144 bytes$`,
			`(?m)^tundump: filter: eBPF, \d+ instructions, tunnels to depth 3, VXLAN on 4789 and 8472$`,
		} {
			if !regexp.MustCompile(line).MatchString(log) {
				t.Errorf("no line %s in\n%s", line, log)
			}
		}
	}
	out, err := exec.Command("capinfos", files[0]).CombinedOutput()
	for _, want := range []string{"Name = eth1", "Filter string = inner host 10.5.5.2", "Number of stat entries = 1"} {
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("capinfos: no %q: %v\n%s", want, err, out)
		}
	}
}

// greFrames returns frames from the hosts 1 to 3 in turn to 10.5.5.5, in GRE with a
// key, behind the given VLAN tags.
func greFrames(t *testing.T, n int, tags ...uint16) (frames [][]byte) {
	for i := range n {
		host := 1 + i%3
		ls := []layer{ethernet()}
		for _, tag := range tags {
			ls = append(ls, &layers.Dot1Q{VLANIdentifier: tag})
		}
		ls = append(ls, ipv4("192.0.2.1", "192.0.2.2"), gre(0x2a), ethernet(),
			ipv4("10.5.5."+strconv.Itoa(host), "10.5.5.5"), udp(9000), payload(sequence(host, i)))
		frames = append(frames, frame(t, ls...))
	}
	return frames
}

func TestLiveGRE(t *testing.T) {
	for _, tt := range []struct {
		name string
		tags []uint16
	}{{"plain", nil}, {"VLAN", []uint16{100}}, {"QinQ", []uint16{100, 7}}} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLab(t)
			const total = 10_000
			frames := greFrames(t, total, tt.tags...)
			var want [][]byte
			for i := 1; i < total; i += 3 {
				want = append(want, frames[i]) // those of 10.5.5.2
			}
			for _, ns := range []string{l.A, l.B} {
				// At the sending end the tag is in the packet, at the other one the
				// kernel has taken it out.
				file := filepath.Join(t.TempDir(), "out.pcapng")
				r := start(t, l, ns, "tundump", "-i", "eth1", "-w", file, "inner host 10.5.5.2")
				if err := l.Transmit(l.A, "eth1", frames); err != nil {
					t.Fatal(err)
				}
				log := r.stop(syscall.SIGTERM)
				if c, r, d := counters(t, log); c != len(want) || r != len(want) || d != 0 {
					t.Errorf("captured %d, received %d, dropped %d; want %d, %[4]d, 0", c, r, d, len(want))
				}
				var got [][]byte
				for _, r := range readCapture(t, file) {
					got = append(got, r.Data)
				}
				if !slices.EqualFunc(got, want, bytes.Equal) {
					t.Errorf("%d packets, want the %d of 10.5.5.2; %s", len(got), len(want), log)
				}
				readable(t, file, len(want))
			}
		})
	}
}

// TestLiveLength: a tag counts in the length on the wire, whether it is in the
// packet or the kernel has taken it out, in eBPF and in classic BPF; it does not
// count inside a tunnel.
func TestLiveLength(t *testing.T) {
	l := newLab(t)
	frames := greFrames(t, 30, 100)
	n := len(frames[0])
	inside := n - (14 + 4 + 20 + 8)
	for _, ns := range []string{l.A, l.B} {
		for _, run := range [][]string{{"tundump"}, {"setpriv", "--bounding-set", "-bpf,-sys_admin", "tundump"}} {
			file := filepath.Join(t.TempDir(), "out.pcapng")
			r := start(t, l, ns, append(run, "-i", "eth1", "-w", file,
				fmt.Sprintf("len = %d and outer len = %d and less %d and not greater %d and inner len = %d", n, n, n, n+1, inside))...)
			if err := l.Transmit(l.A, "eth1", frames); err != nil {
				t.Fatal(err)
			}
			if c, _, _ := counters(t, r.stop(syscall.SIGINT)); c != len(frames) {
				t.Errorf("%v captured %d of %d frames", run, c, len(frames))
			}
		}
	}
}

// TestLiveClassic captures without the right to load eBPF.
func TestLiveClassic(t *testing.T) {
	l := newLab(t)
	file := filepath.Join(t.TempDir(), "out.pcapng")
	s := newSender(t, l)
	r := start(t, l, l.B, "setpriv", "--bounding-set", "-bpf,-sys_admin", "tundump", "-i", "eth1", "-w", file, "inner host 10.5.5.1")
	s.send(3000)
	log := r.stop(syscall.SIGINT)
	if d := cmp.Diff(wantSequences(1, 3000), sequences(readCapture(t, file))); d != "" {
		t.Errorf("packets (-want +got):\n%s", d)
	}
	if !regexp.MustCompile(`(?m)^tundump: filter: not as eBPF: .+\ntundump: filter: classic BPF, \d+ instructions, tunnels`).MatchString(log) {
		t.Errorf("nothing about classic BPF in\n%s", log)
	}
}

func TestLiveTwoInterfaces(t *testing.T) {
	l := newLab(t)
	file := filepath.Join(t.TempDir(), "out.pcapng")
	s := newSender(t, l)
	r := start(t, l, l.A, "tundump", "-i", "vxlan0", "-i", "eth1", "-w", file, "any host 10.5.5.3")
	text := start(t, l, l.A, "tundump", "-i", "vxlan0", "-i", "eth1", "-c", "200", "any host 10.5.5.3")
	s.send(300)
	printed, err := io.ReadAll(text.stdout)
	if err != nil {
		t.Fatal(err)
	}
	text.wait(done)
	for _, name := range []string{"vxlan0", "eth1"} {
		if n := len(regexp.MustCompile(`(?m)^\S+ `+name+` +Out `).FindAll(printed, -1)); n != 100 {
			t.Errorf("%d packets of %s, want 100, in\n%s", n, name, printed)
		}
	}
	log := r.stop(syscall.SIGINT)
	if c, _, _ := counters(t, log); c != 200 {
		t.Errorf("captured %d packets, want 100 on each of two interfaces", c)
	}
	readable(t, file, 200)
	out, err := exec.Command("tshark", "-nr", file, "-T", "fields", "-e", "frame.interface_name", "-e", "frame.packet_flags_direction").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"vxlan0\t0x00000002\n", "eth1\t0x00000002\n"} { // 2 is outbound
		if n := strings.Count(string(out), line); n != 100 {
			t.Errorf("%d packets of %q, want 100", n, line)
		}
	}
}

// TestLiveInterrupt stops a capture in the middle of a stream of packets.
func TestLiveInterrupt(t *testing.T) {
	for _, sig := range []os.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(sig.String(), func(t *testing.T) {
			l := newLab(t)
			file := filepath.Join(t.TempDir(), "out.pcapng")
			s := newSender(t, l)
			r := start(t, l, l.B, "tundump", "-i", "eth1", "-w", file, "inner host 10.5.5.2")
			s.send(3000) // these must be there
			if err := r.cmd.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			s.send(3000) // of these some may be
			log := r.wait(done)
			got := sequences(readCapture(t, file))
			want := wantSequences(2, 6000)
			if len(got) < 1000 || len(got) > 2000 || !slices.Equal(got, want[:len(got)]) {
				t.Errorf("%d packets, want 1000 to 2000, none left out", len(got))
			}
			if c, r, d := counters(t, log); c != len(got) || r < c || d != 0 {
				t.Errorf("captured %d, received %d, dropped %d; %d are in the file", c, r, d, len(got))
			}
			readable(t, file, len(got))
		})
	}
}

func TestLiveCount(t *testing.T) {
	l := newLab(t)
	file := filepath.Join(t.TempDir(), "out.pcapng")
	s := newSender(t, l)
	r := start(t, l, l.A, "tundump", "-c1", "-i", "eth1", "-w", file, "-s", "60", "inner host 10.5.5.2")
	s.send(30)
	if log := r.wait(done); !strings.Contains(log, "\n1 packet captured\n") {
		t.Errorf("want 1 packet in\n%s", log)
	}
	readable(t, file, 1)
	for _, p := range readCapture(t, file) {
		if len(p.Data) != 60 || p.Len != 14+20+8+8+14+20+8+8 {
			t.Errorf("%d of %d bytes, want 60 of 100", len(p.Data), p.Len)
		}
	}
}

// TestLivePipes checks that somebody who reads along gets packets as they come, and that
// the capture ends quietly when he does not want any more.
func TestLivePipes(t *testing.T) {
	for _, arg := range [][]string{{"inner host 10.5.5.2"}, {"-w", "-", "inner host 10.5.5.2"}} {
		t.Run(strings.Join(arg, " "), func(t *testing.T) {
			l := newLab(t)
			s := newSender(t, l)
			r := start(t, l, l.A, append([]string{"tundump", "-i", "eth1"}, arg...)...)
			// Each packet makes at least 50 bytes, the headers of the file 500 at most.
			for read := 0; read < 1000; {
				s.send(30)
				buf := make([]byte, 1000)
				n, err := r.stdout.Read(buf)
				if err != nil {
					t.Fatal(err)
				}
				read += n
			}
			if err := r.stdout.(io.Closer).Close(); err != nil {
				t.Fatal(err)
			}
			s.send(30)
			if log := r.wait(done); strings.Contains(log, "broken pipe") {
				t.Errorf("not quiet:\n%s", log)
			}
		})
	}
}

// TestLiveSecondSignal: a capture that cannot end, as nobody reads what it writes, is
// ended by the second signal.
func TestLiveSecondSignal(t *testing.T) {
	l := newLab(t)
	s := newSender(t, l)
	r := start(t, l, l.A, "tundump", "-i", "eth1", "-w", "-")
	s.send(3000) // 100 bytes each, and a pipe holds 64 KiB
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		<-r.copied
		_ = r.cmd.Wait() // its state tells
	}()
	for {
		_ = r.cmd.Process.Signal(syscall.SIGINT) // it may have ended
		select {
		case <-ended:
			if status, ok := r.cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGINT {
				t.Errorf("it ended by itself, %v:\n%s", r.cmd.ProcessState, &r.log)
			}
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// TestLivePromiscuous: the interface is promiscuous during a capture, but not with -p.
func TestLivePromiscuous(t *testing.T) {
	l := newLab(t)
	for option, want := range map[string]string{"-n": "promiscuity 1 ", "-p": "promiscuity 0 "} {
		r := start(t, l, l.A, "tundump", "-i", "eth1", option)
		out, err := exec.Command("ip", "-n", l.A, "-d", "link", "show", "eth1").CombinedOutput()
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("%s: no %q: %v: %s", option, want, err, out)
		}
		r.stop(syscall.SIGINT)
	}
}

// TestLiveInterfaceGone removes the interface in the middle.
func TestLiveInterfaceGone(t *testing.T) {
	l := newLab(t)
	file := filepath.Join(t.TempDir(), "out.pcapng")
	s := newSender(t, l)
	r := start(t, l, l.A, "tundump", "-i", "eth1", "-w", file, "inner host 10.5.5.2")
	s.send(3000)
	if out, err := exec.Command("ip", "-n", l.B, "link", "delete", "eth1").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	log := r.wait(failed)
	told := regexp.MustCompile(`(?m)^tundump: eth1: .*removed$`).FindAllString(log, -1)
	if len(told) != 1 || !strings.HasSuffix(log, "\ntundump: no interface is left\n") {
		t.Errorf("not once about the interface, or nothing about the end, in\n%s", log)
	}
	if d := cmp.Diff(wantSequences(2, 3000), sequences(readCapture(t, file))); d != "" {
		t.Errorf("packets (-want +got):\n%s", d)
	}
	if c, _, _ := counters(t, log); c != 1000 {
		t.Errorf("captured %d packets, want 1000", c)
	}
	readable(t, file, 1000)
}

// TestLiveDiskFull captures more than the file system holds.
func TestLiveDiskFull(t *testing.T) {
	l := newLab(t)
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=400k"); err != nil {
		t.Skip("needs the right to mount a tmpfs: ", err)
	}
	defer func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	}()
	file := filepath.Join(dir, "out.pcapng")
	s := newSender(t, l)
	for _, options := range [][]string{nil, {"--fanout", "2"}} {
		r := start(t, l, l.A, append([]string{"tundump", "-i", "eth1", "-w", file}, options...)...)
		s.send(10_000) // 100 bytes each
		log := r.wait(failed)
		if n := strings.Count(log, "no space left on device"); n != 1 {
			t.Errorf("%q: the disk is full %d times in\n%s", options, n, log)
		}
		counters(t, log)
		got := len(readCapture(t, file))
		if got < 1000 {
			t.Errorf("%q: only %d packets are in the file", options, got)
		}
		readable(t, file, got)
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
	}
}

// TestUnprivileged runs tundump as nobody.
func TestUnprivileged(t *testing.T) {
	const nobody = 65534
	dir, err := os.MkdirTemp("", "tundump") // not t.TempDir, where only we may look
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	path, err := exec.LookPath("tundump")
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	tundump := filepath.Join(dir, "tundump")
	if err := os.WriteFile(tundump, program, 0o755); err != nil {
		t.Fatal(err)
	}
	command := func(arg ...string) (string, int) {
		cmd := exec.Command(tundump, arg...)
		cmd.Dir = dir
		if os.Geteuid() == 0 {
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		}
		out, _ := cmd.CombinedOutput() // the exit status tells
		return string(out), cmd.ProcessState.ExitCode()
	}
	out, status := command("-i", "lo", "-w", "out.pcapng", "inner", "host", "10.5.5.5")
	if status != failed || !strings.HasPrefix(out, "tundump: lo: ") || strings.Count(out, "\n") != 1 || !strings.Contains(out, "CAP_NET_RAW") {
		t.Errorf("exit status %d, want 1 and one line about CAP_NET_RAW:\n%s", status, out)
	}
	if _, err := os.Stat(filepath.Join(dir, "out.pcapng")); err == nil {
		t.Error("there is a file of a capture that never began")
	}
	// What is wrong with the expression can be told without any privilege.
	out, status = command("-i", "lo", "inner", "host")
	if status != wrong || !strings.HasPrefix(out, "tundump: expression, column 11: ") {
		t.Errorf("exit status %d, want 2 and the place:\n%s", status, out)
	}
	// Who has no right to become another does not go on as himself.
	in, err := os.ReadFile("../../testdata/gre.pcap")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "in.pcap"), in, 0o644); err != nil {
		t.Fatal(err)
	}
	out, status = command("-r", "in.pcap", "-Z", "root")
	if status != failed || out != "tundump: option -Z: changing to user root: operation not permitted\n" {
		t.Errorf("exit status %d, want 1 and one line:\n%s", status, out)
	}
	for _, arg := range [][]string{{"-D"}, {"-d", "tcp"}, {"-r", "in.pcap", "-w", "out.pcapng"}, {"-r", "out.pcapng", "--count"}} {
		if out, status := command(arg...); status != done {
			t.Errorf("%v: exit status %d:\n%s", arg, status, out)
		}
	}
}

// TestNoSuchInterface: each is one line, and no file is made.
func TestNoSuchInterface(t *testing.T) {
	file := filepath.Join(t.TempDir(), "out.pcapng")
	for _, tt := range []struct{ device, want string }{
		{"nosuch0", "tundump: nosuch0: no such interface: no such device\n"},
		{"[a", "tundump: [a: this is no pattern: syntax error in pattern\n"},
	} {
		cmd := exec.Command("tundump", "-i", tt.device, "-w", file, "tcp")
		out, _ := cmd.CombinedOutput() // the exit status tells
		if status := cmd.ProcessState.ExitCode(); status != failed || string(out) != tt.want {
			t.Errorf("exit status %d, want 1:\n%swant\n%s", status, out, tt.want)
		}
		if _, err := os.Stat(file); err == nil {
			t.Error("there is a file of a capture that never began")
		}
	}
}

// TestDefaultInterface: without -i it is the first one that is up and no loopback.
func TestDefaultInterface(t *testing.T) {
	l := newLab(t)
	r := start(t, l, l.A, "tundump")
	if log := r.stop(syscall.SIGINT); !strings.HasPrefix(log, "tundump: listening on eth1, ") {
		t.Errorf("not on eth1:\n%s", log)
	}
}

// TestLiveFilterLine: what was loaded is told, and of tunnels only if the expression
// looks into them.
func TestLiveFilterLine(t *testing.T) {
	l := newLab(t)
	for _, tt := range []struct{ args, want string }{
		{"", "none, every packet is captured"},
		{"tcp", `classic BPF, \d+ instructions`},
		{"--depth 1 --vxlan-port 7,8,9 inner tcp", `eBPF, \d+ instructions, tunnels to depth 1, VXLAN on 7, 8, 9 and 4789, with the port of a device here, 4789`},
		{"--vxlan-port 7 --geneve-port 8 gre", `eBPF, \d+ instructions, tunnels to depth 3, VXLAN on 7 and 4789, Geneve on 8, with the port of a device here, 4789`},
	} {
		r := start(t, l, l.A, append([]string{"tundump", "-i", "eth1"}, strings.Fields(tt.args)...)...)
		if log := r.stop(syscall.SIGINT); !regexp.MustCompile(`(?m)^tundump: filter: ` + tt.want + `$`).MatchString(log) {
			t.Errorf("%q: no line about %s in\n%s", tt.args, tt.want, log)
		}
	}
}

// TestLiveTerminal: the counters do not stand behind the ^C that a terminal shows.
func TestLiveTerminal(t *testing.T) {
	l := newLab(t)
	term := newTerminal(t, 80)
	cmd := l.Command(t.Context(), l.A, "tundump", "-i", "eth1")
	term.start(cmd)
	term.waitFor("filter: none, .*\n")
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	term.wait(cmd)
	if lines := term.screen(); len(lines) < 4 || lines[2] != "" || !strings.HasSuffix(lines[3], " captured") {
		t.Errorf("the screen has %q", lines)
	}
}

// TestInterruptedRead: also a pipe in which nothing comes any more can be left.
func TestInterruptedRead(t *testing.T) {
	capture, err := os.ReadFile("../../testdata/gre.pcap")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ come, status int }{{1, failed}, {24, done}} {
		t.Run(fmt.Sprintf("after %d bytes", tt.come), func(t *testing.T) {
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			defer w.Close()
			cmd := exec.CommandContext(t.Context(), "tundump", "-r", "-")
			cmd.Stdin = r
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write(capture[:tt.come]); err != nil {
				t.Fatal(err)
			}
			for left := 1; left > 0; time.Sleep(time.Millisecond) { // until it has read that
				if left, err = unix.IoctlGetInt(int(w.Fd()), unix.TIOCINQ); err != nil {
					t.Fatal(err)
				}
			}
			if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait() // the exit status tells
			if got := cmd.ProcessState.ExitCode(); got != tt.status {
				t.Errorf("exit status %d, want %d", got, tt.status)
			}
		})
	}
}
