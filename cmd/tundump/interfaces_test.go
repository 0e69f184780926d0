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

	"github.com/google/go-cmp/cmp"

	"github.com/tundump/tundump/capture"
	"github.com/tundump/tundump/filter/header"
)

// perInterface returns how many packets of each interface tshark finds in a file.
func perInterface(t *testing.T, file string) map[string]int {
	t.Helper()
	out, err := exec.Command("tshark", "-nr", file, "-T", "fields", "-e", "frame.interface_name").Output()
	if err != nil {
		t.Fatal(err)
	}
	n := map[string]int{}
	for name := range strings.Lines(string(out)) {
		n[strings.TrimSpace(name)]++
	}
	return n
}

// ipCommand runs ip in a namespace.
func ipCommand(t *testing.T, ns string, arg ...string) {
	t.Helper()
	if out, err := exec.Command("ip", append([]string{"-n", ns}, arg...)...).CombinedOutput(); err != nil {
		t.Fatalf("ip %v: %v: %s", arg, err, out)
	}
}

// logged waits until a capture has said something.
func (r *running) logged(file, pattern string) {
	r.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		out, err := exec.Command("grep", "-c", "-e", pattern, file).Output()
		if err == nil && string(out) != "0\n" {
			return
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("it did not say %q", pattern)
		}
	}
}

// TestLiveAny captures from all interfaces, each of which is one in the file; printed lines
// have its name, and the direction, as tcpdump's.
func TestLiveAny(t *testing.T) {
	l := newLab(t)
	file := filepath.Join(t.TempDir(), "out.pcapng")
	r := start(t, l, l.A, "tundump", "-i", "any", "-w", file, "--print", "-t", "any udp dst port 9000")
	lines := make(chan string)
	go func() {
		var out bytes.Buffer
		_, _ = out.ReadFrom(r.stdout)
		lines <- out.String()
	}()
	newSender(t, l).send(1)
	time.Sleep(100 * time.Millisecond)
	if err := r.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	printed := <-lines
	r.wait(done)
	n := perInterface(t, file)
	if n["eth1"] != 1 || len(n) < 2 {
		t.Errorf("packets by interface: %v, want one of eth1, and one of the tunnel's own", n)
	}
	if !regexp.MustCompile(`(?m)^eth1  Out IP 192\.0\.2\.1\.\d+ > 192\.0\.2\.2\.4789: VXLAN`).MatchString(printed) {
		t.Errorf("printed:\n%s", printed)
	}
}

// TestLiveHotplug waits for interfaces that match a pattern. One comes, goes, and comes again.
func TestLiveHotplug(t *testing.T) { hotplug(t, "1") }

// TestLiveHotplugFanout does with several threads that write, which the file gets further interfaces between.
func TestLiveHotplugFanout(t *testing.T) { hotplug(t, "2") }

func hotplug(t *testing.T, fanout string) {
	l := newLab(t)
	dir := t.TempDir()
	file, log := filepath.Join(dir, "out.pcapng"), filepath.Join(dir, "log")
	r := start(t, l, l.A, "sh", "-c", `exec tundump -i 'tap*' -w "$1" --fanout "$3" udp dst port 5000 2>&1 >/dev/null | tee "$2" >&2`, "sh", file, log, fanout)
	for range 2 {
		ipCommand(t, l.A, "link", "add", "tap7", "type", "veth", "peer", "name", "peer7")
		ipCommand(t, l.A, "link", "set", "peer7", "up")
		ipCommand(t, l.A, "link", "set", "tap7", "up")
		r.logged(log, "listening on tap7")
		if err := l.Transmit(l.A, "peer7", [][]byte{numberedPacket(0, 60), numberedPacket(1, 60)}); err != nil {
			t.Fatal(err)
		}
		ipCommand(t, l.A, "link", "delete", "tap7")
		r.logged(log, "tap7: the interface was removed")
		if err := exec.Command("truncate", "-s", "0", log).Run(); err != nil {
			t.Fatal(err)
		}
	}
	// The shell has become tee's sibling; tundump is what captures.
	pids, err := exec.Command("ip", "netns", "pids", l.A).Output()
	if err != nil {
		t.Fatal(err)
	}
	for pid := range strings.FieldsSeq(string(pids)) {
		name, _ := exec.Command("cat", "/proc/"+pid+"/comm").Output()
		if strings.HasPrefix(string(name), "tundump") {
			if err := exec.Command("kill", "-INT", pid).Run(); err != nil {
				t.Error(err)
			}
		}
	}
	said := r.wait(done)
	if c, _, d := counters(t, said); c != 4 || d != 0 || !strings.Contains(said, "tundump: no interface matches yet\ntundump: filter: classic BPF") {
		t.Errorf("captured %d, dropped %d\n%s", c, d, said)
	}
	if n := perInterface(t, file); n["tap7"] != 4 {
		t.Errorf("packets by interface: %v", n)
	}
	readable(t, file, 4)
}

// TestLiveOneGone: one of two interfaces is removed, which is told, and the capture goes on with the other.
func TestLiveOneGone(t *testing.T) {
	l := newLab(t)
	for _, args := range []string{"link add tap8 type veth peer name peer8", "link set peer8 up", "link set tap8 up"} {
		ipCommand(t, l.A, strings.Fields(args)...)
	}
	file := filepath.Join(t.TempDir(), "out.pcapng")
	r := start(t, l, l.A, "tundump", "-i", "eth1", "-i", "tap8", "-w", file, "udp and dst port 5000")
	send := func(device string, n uint64) {
		if err := l.Transmit(l.A, device, [][]byte{numberedPacket(n, 60)}); err != nil {
			t.Fatal(err)
		}
	}
	send("eth1", 0)
	send("peer8", 1)
	ipCommand(t, l.A, "link", "delete", "tap8")
	r.until("tundump: tap8: ")
	send("eth1", 2)
	log := r.stop(syscall.SIGINT)
	got := numbers(t, file)
	slices.Sort(got)
	if !slices.Equal(got, []uint64{0, 1, 2}) {
		t.Errorf("packets %d are in the file\n%s", got, log)
	}
	if c, _, d := counters(t, log); c != 3 || d != 0 {
		t.Errorf("%d packets were captured, %d dropped\n%s", c, d, log)
	}
}

// TestLiveNetns captures at both ends, from neither.
func TestLiveNetns(t *testing.T) {
	l := newLab(t)
	file := filepath.Join(t.TempDir(), "out.pcapng")
	cmd := exec.Command("tundump", "--netns", l.A, "--netns", "/run/netns/"+l.B, "-i", "eth1", "-w", file, "-c", "60", "udp dst port 5000")
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() { ended <- cmd.Wait() }()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		if err := l.Transmit(l.A, "eth1", [][]byte{numberedPacket(0, 60)}); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-ended:
			if n := perInterface(t, file); err != nil || n[l.A+"/eth1"] == 0 || n["/run/netns/"+l.B+"/eth1"] == 0 {
				t.Errorf("packets by interface: %v, %v\n%s", n, err, &said)
			}
			return
		case <-time.After(20 * time.Millisecond):
		}
	}
	t.Error("nothing was captured")
	_ = cmd.Process.Kill()
	<-ended
}

// TestLiveDirection: -Q takes one direction.
func TestLiveDirection(t *testing.T) {
	l := newLab(t)
	dir := t.TempDir()
	captures := map[string]*running{}
	for _, way := range []string{"in", "out", "inout"} {
		captures[way] = start(t, l, l.A, "tundump", "-i", "eth1", "-Q", way, "-w", filepath.Join(dir, way+".pcapng"), "udp dst port 5000")
	}
	if err := l.Transmit(l.A, "eth1", [][]byte{numberedPacket(0, 60), numberedPacket(1, 60)}); err != nil {
		t.Fatal(err)
	}
	if err := l.Transmit(l.B, "eth1", [][]byte{numberedPacket(10, 60)}); err != nil {
		t.Fatal(err)
	}
	want := map[string][]uint64{"in": {10}, "out": {0, 1}, "inout": {0, 1, 10}}
	for way, r := range captures {
		r.stop(syscall.SIGINT)
		file := filepath.Join(dir, way+".pcapng")
		if got := numbers(t, file); !slices.Equal(got, want[way]) {
			t.Errorf("-Q %s: packets %d, want %d", way, got, want[way])
		}
		// A file tells the directions, too.
		out, err := exec.Command("tundump", "-r", file, "-Q", "in", "--count").Output()
		if n := strings.Fields(string(out)); err != nil || (n[0] == "1") != slices.Contains(want[way], 10) {
			t.Errorf("-r -Q in: %s, %v", out, err)
		}
	}
}

// TestLists compares -L and -J with tcpdump's, for interfaces by name and by number.
func TestLists(t *testing.T) {
	l := newLab(t)
	run := func(arg ...string) string {
		out, err := l.Command(t.Context(), l.A, arg...).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %v: %s", arg, err, out)
		}
		return string(out)
	}
	for _, arg := range [][]string{{"-L", "-i", "lo"}, {"-J", "-i", "lo"}, {"-J", "-i", "eth1"}, {"-J"}} {
		want := run(append([]string{"tcpdump"}, arg...)...)
		if got := run(append([]string{"tundump"}, arg...)...); got != want {
			t.Errorf("%v:\n%swant\n%s", arg, got, want)
		}
	}
	// Of Ethernet tcpdump offers DOCSIS frames besides.
	if got, want := run("tundump", "-L"), "Data link types for eth1 (use option -y to set):\n  EN10MB (Ethernet)\n"; got != want {
		t.Errorf("-L:\n%swant\n%s", got, want)
	}
	for i, line := range strings.Split(strings.TrimSpace(run("tundump", "-D")), "\n") {
		name := regexp.MustCompile(`^\d+\.(\S+)`).FindStringSubmatch(line)[1]
		if got := run("tundump", "-J", "-i", fmt.Sprint(i+1)); !strings.HasPrefix(got, "Time stamp types for "+name+" ") {
			t.Errorf("interface %d is %s: %s", i+1, name, got)
		}
	}
	out, err := l.Command(t.Context(), l.A, "tundump", "-i", "77").CombinedOutput()
	if err == nil || !regexp.MustCompile(`^tundump: 77: no such interface: -D lists \d\n$`).Match(out) {
		t.Errorf("%v: %s", err, out)
	}
	// -i by a pattern lists what matches, --netns looks there.
	got, err := exec.Command("tundump", "--netns", l.B, "-J", "-i", "eth*").CombinedOutput()
	if err != nil || string(got) != "Time stamp types for eth1 (use option -j to set):\n  host (Host)\n" {
		t.Errorf("%v: %s", err, got)
	}
	// An adapter's clock that is not there is one line.
	out, err = l.Command(t.Context(), l.A, "tundump", "-i", "eth1", "-j", "adapter").CombinedOutput()
	if err == nil || string(out) != "tundump: eth1: the interface has no time stamps of the type adapter, only [host]\n" {
		t.Errorf("%v: %s", err, out)
	}
}

// TestImmediateMode: a packet is printed at once, though -B and the time-out of blocks would let
// it wait.
func TestImmediateMode(t *testing.T) {
	l := newLab(t)
	r := start(t, l, l.A, "tundump", "-i", "eth1", "--immediate-mode", "-t", "udp dst port 5000")
	if err := l.Transmit(l.A, "eth1", [][]byte{numberedPacket(0, 60)}); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 100)
	if n, err := r.stdout.Read(buf); err != nil || !strings.HasPrefix(string(buf[:n]), "IP 10.0.0.1.4000 > 10.0.0.2.5000: UDP") {
		t.Errorf("%q, %v", buf[:n], err)
	}
	r.stop(syscall.SIGINT)
}

// TestOnePcapLinkType: a pcap file takes interfaces of one link type.
func TestOnePcapLinkType(t *testing.T) {
	s := session{opt: Options{Write: "x.pcap"}}
	accept := s.liveOptions().Accept
	var got []string
	for _, link := range []header.LinkType{header.LinkEthernet, header.LinkRaw, header.LinkEthernet} {
		got = append(got, fmt.Sprint(accept(capture.Interface{LinkType: uint32(link)})))
	}
	refused := "its link type is RAW (Raw IP), this pcap file has EN10MB (Ethernet), and pcap allows only one: write pcapng instead"
	if d := cmp.Diff([]string{"<nil>", refused, "<nil>"}, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	s.opt.Write = "x.pcapng"
	if s.liveOptions().Accept != nil {
		t.Error("a pcapng file takes all")
	}
}

// TestBufferSize: -B is the size of the ring that is mapped.
func TestBufferSize(t *testing.T) {
	l := newLab(t)
	for option, want := range map[string]int{"-B4096": 4 << 10, "-B8M": 8 << 10, "-n": capture.DefaultBufferSize >> 10} {
		r := start(t, l, l.A, "tundump", "-i", "eth1", option)
		// It is mapped after the kernel has begun to write to it.
		var m [][]byte
		for range 500 {
			maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps", r.cmd.Process.Pid))
			if err != nil {
				t.Fatal(err)
			}
			if m = regexp.MustCompile(`(?m)^\S+ .* socket:\[\d+\]\nSize: +(\d+) kB`).FindSubmatch(maps); m != nil {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		if m == nil || string(m[1]) != fmt.Sprint(want) {
			t.Errorf("%s: a ring of %s KiB, want %d", option, m, want)
		}
		r.stop(syscall.SIGINT)
	}
}
