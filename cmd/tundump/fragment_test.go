package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// whole asks tshark, which puts fragments together, for the packets that a display filter
// selects, and returns their numbers, from 0, with all of their fragments'.
func whole(t *testing.T, file, display string) []int {
	t.Helper()
	tshark := exec.Command("tshark", "-n", "-r", file, "-Y", display, "-T", "fields", "-E", "occurrence=a", "-E", "separator=,",
		"-e", "frame.number", "-e", "ip.fragment", "-e", "ipv6.fragment")
	var stderr bytes.Buffer
	tshark.Stderr = &stderr
	out, err := tshark.Output()
	if err != nil {
		t.Fatalf("%v: %v: %s", tshark.Args, err, &stderr)
	}
	var all []int
	for _, word := range regexp.MustCompile(`\d+`).FindAllString(string(out), -1) {
		n, err := strconv.Atoi(word)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, n-1)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// fragments cuts a frame of Ethernet and IPv4 or IPv6 into fragments of size bytes of payload each, a
// multiple of 8.
func fragments(frame []byte, id uint32, size int) (all [][]byte) {
	header, rest := frame[:34], frame[34:]
	if frame[12] == 0x86 {
		header, rest = frame[:54], frame[54:]
	}
	for off := 0; off < len(rest); off += size {
		piece, more := rest[off:min(off+size, len(rest))], 0
		if off+size < len(rest) {
			more = 1
		}
		f := bytes.Clone(header)
		if len(header) == 34 {
			binary.BigEndian.PutUint16(f[16:], uint16(20+len(piece)))
			binary.BigEndian.PutUint16(f[18:], uint16(id))
			binary.BigEndian.PutUint16(f[20:], uint16(more<<13|off/8))
			binary.BigEndian.PutUint16(f[24:], 0)
			var sum uint32
			for n := 14; n < 34; n += 2 {
				sum += uint32(binary.BigEndian.Uint16(f[n:]))
			}
			for sum>>16 > 0 {
				sum = sum>>16 + sum&0xffff
			}
			binary.BigEndian.PutUint16(f[24:], ^uint16(sum))
		} else {
			binary.BigEndian.PutUint16(f[18:], uint16(8+len(piece)))
			f = append(f, f[20], 0, 0, 0)
			f[20] = 44
			binary.BigEndian.PutUint16(f[56:], uint16(off|more))
			f = binary.BigEndian.AppendUint32(f, id)
		}
		all = append(all, append(f, piece...))
	}
	return all
}

func ipv6(src, dst string) layer {
	return &layers.IPv6{Version: 6, HopLimit: 64, SrcIP: net.ParseIP(src), DstIP: net.ParseIP(dst)}
}

// tunnelled returns a frame from the inner host to 10.5.5.5 in GRE over IPv4, VXLAN over IPv4, or
// VXLAN over IPv6, by n, with a payload of size bytes.
func tunnelled(t *testing.T, n, host, size int) []byte {
	t.Helper()
	in := []layer{ethernet(), ipv4(fmt.Sprintf("10.5.5.%d", host), "10.5.5.5"), udp(9000), payload(append(make([]byte, size-8), sequence(host, n)...))}
	switch n % 3 {
	case 0:
		return frame(t, append([]layer{ethernet(), ipv4("192.0.2.1", "192.0.2.2"), gre(0x2a)}, in...)...)
	case 1:
		return frame(t, append([]layer{ethernet(), ipv4("192.0.2.1", "192.0.2.2"), udp(4789), vxlan(42)}, in...)...)
	}
	return frame(t, append([]layer{ethernet(), ipv6("2001:db8::1", "2001:db8::2"), udp(4789), vxlan(42)}, in...)...)
}

// mixedFragments returns packets of the inner hosts 1 to 3, most of them in fragments, among which
// those of other packets come; each later one comes after the first one of its packet.
func mixedFragments(t *testing.T, n int) (frames [][]byte) {
	t.Helper()
	var open [][][]byte // fragments of the last packets that are still to come
	for i := range n {
		size := 40 + i*37%1000
		pieces := fragments(tunnelled(t, i, 1+i/3%3, size), uint32(1000+i), 256)
		if i%7 == 0 {
			pieces = [][]byte{tunnelled(t, i, 1+i/3%3, size)} // no fragment
		}
		open = append(open, pieces)
		for k := range open {
			if len(open[k]) > 0 {
				frames, open[k] = append(frames, open[k][0]), open[k][1:]
			}
		}
	}
	for _, rest := range open {
		frames = append(frames, rest...)
	}
	return frames
}

// writeFrames makes a pcap file.
func writeFrames(t *testing.T, name string, frames [][]byte) {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := pcapgo.NewWriterNanos(f)
	if err := w.WriteFileHeader(262144, layers.LinkTypeEthernet); err != nil {
		t.Fatal(err)
	}
	for n, data := range frames {
		ci := gopacket.CaptureInfo{Timestamp: time.Unix(1700000000, int64(n)*1000), CaptureLength: len(data), Length: len(data)}
		if err := w.WritePacket(ci, data); err != nil {
			t.Fatal(err)
		}
	}
}

// TestFragments compares what is selected with what tshark puts together.
func TestFragments(t *testing.T) {
	if _, err := exec.LookPath("tshark"); err != nil {
		t.Skip("needs tshark: run make setup")
	}
	made := filepath.Join(t.TempDir(), "made.pcap")
	writeFrames(t, made, mixedFragments(t, 200))
	inside := filepath.Join(t.TempDir(), "inside.pcap")
	writeFrames(t, inside, innerFragments(t, 60))
	for _, c := range []struct{ file, expression, display string }{
		{filepath.Join(shared, "mtu1476-frag.pcap"), "inner src host 10.0.0.1", "ip.src == 10.0.0.1 || arp.src.proto_ipv4 == 10.0.0.1"},
		{filepath.Join(shared, "mtu1476-frag.pcap"), "inner (src host 10.0.0.1 and tcp)", "ip.src == 10.0.0.1 && tcp"},
		{made, "inner src host 10.5.5.2", "ip.src == 10.5.5.2"},
		{made, "gre 0x2a and src host 10.5.5.3", "gre && ip.src == 10.5.5.3"},
		{made, "ip6 and inner src host 10.5.5.1", "ipv6 && ip.src == 10.5.5.1"},
		{made, "inner (host 10.5.5.1 or host 10.5.5.3)", "ip.src == 10.5.5.1 || ip.src == 10.5.5.3"},
		{inside, "inner port 9001", "udp.port == 9001"},
		{inside, "inner (udp port 9002 and src net 10.5.5.0/24)", "udp.port == 9002"},
		{inside, "inner src host 10.5.5.2", "ip.src == 10.5.5.2"},
	} {
		t.Run(filepath.Base(c.file)+" "+c.expression, func(t *testing.T) {
			if _, err := os.Stat(c.file); err != nil && strings.HasPrefix(c.file, shared) {
				t.Skip("there are no captures of real tunnels: put some into ../shared/pcaps, beside the repository")
			}
			all := readCapture(t, c.file)
			var want []record
			for _, n := range whole(t, c.file, c.display) {
				want = append(want, all[n])
			}
			out := filepath.Join(t.TempDir(), "out.pcapng")
			msg, err := exec.Command("tundump", "-r", c.file, "-w", out, c.expression).CombinedOutput()
			if err != nil || strings.Contains(string(msg), "later fragment") {
				t.Fatalf("%v: %s", err, msg)
			}
			if d := cmp.Diff(numberIn(all, want), numberIn(all, readCapture(t, out))); d != "" {
				t.Errorf("numbers of the packets (-tshark +tundump):\n%s", d)
			}
			if len(want) == 0 || len(want) == len(all) {
				t.Errorf("%d packets of %d are selected: the test says little", len(want), len(all))
			}
			if msg, err := exec.Command("tundump", "--no-follow-fragments", "-r", c.file, "-w", out, c.expression).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, msg)
			}
			if few := len(readCapture(t, out)); few == 0 || few >= len(want) && c.expression != "inner src host 10.5.5.2" {
				t.Errorf("without fragments %d packets of %d are selected", few, len(want))
			}
		})
	}
}

// innerFragments returns packets that were fragmented before they went into a tunnel.
func innerFragments(t *testing.T, n int) (frames [][]byte) {
	t.Helper()
	for i := range n {
		in := frame(t, ethernet(), ipv4(fmt.Sprintf("10.5.5.%d", 1+i%3), "10.5.5.5"), udp(uint16(9000+i%4)), payload(make([]byte, 900)))
		for _, piece := range fragments(in, uint32(500+i), 400) {
			if i%2 == 0 {
				frames = append(frames, frame(t, ethernet(), ipv4("192.0.2.1", "192.0.2.2"), gre(0x2a), payload(piece)))
			} else {
				frames = append(frames, frame(t, ethernet(), ipv6("2001:db8::1", "2001:db8::2"), udp(4789), vxlan(42), payload(piece)))
			}
		}
	}
	return frames
}

// TestLateFragments: what comes before its first fragment is counted, if that is selected.
func TestLateFragments(t *testing.T) {
	var frames [][]byte
	for i, host := range []int{2, 1, 2} {
		pieces := fragments(tunnelled(t, i, host, 700), uint32(i), 256)
		slices.Reverse(pieces)
		frames = append(frames, pieces...)
	}
	file := filepath.Join(t.TempDir(), "in.pcap")
	writeFrames(t, file, frames)
	out, err := exec.Command("tundump", "-r", file, "-w", os.DevNull, "inner host 10.5.5.2").CombinedOutput()
	late := len(frames) / 3 * 2 // of two of three packets
	late -= 2                   // the first ones
	want := fmt.Sprintf("\n%d later fragments were not selected: they came before the first one of their packet\n", late)
	if err != nil || !strings.HasSuffix(string(out), want) {
		t.Errorf("%v: %q, want %q at the end", err, out, want)
	}
	out, err = exec.Command("tundump", "--no-follow-fragments", "-r", file, "-w", os.DevNull, "inner host 10.5.5.2").CombinedOutput()
	if err != nil || strings.Contains(string(out), "later") {
		t.Errorf("without following them: %v: %s", err, out)
	}
}

// TestPlainFragments: an expression of libpcap's stays libpcap's, unless the option is given.
func TestPlainFragments(t *testing.T) {
	file := filepath.Join(t.TempDir(), "in.pcap")
	var frames [][]byte
	for i := range 4 {
		frames = append(frames, fragments(frame(t, ethernet(), ipv4("192.0.2.1", "192.0.2.2"), udp(uint16(9000+i%2)), payload(make([]byte, 700))), uint32(i), 256)...)
	}
	writeFrames(t, file, frames)
	for _, c := range []struct {
		option string
		want   int
	}{{"-n", 2}, {"--no-follow-fragments", 2}, {"--follow-fragments", 6}} {
		out := filepath.Join(t.TempDir(), "out.pcapng")
		if msg, err := exec.Command("tundump", c.option, "-r", file, "-w", out, "udp port 9001").CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, msg)
		}
		if n := len(readCapture(t, out)); n != c.want {
			t.Errorf("%s: %d packets, want %d", c.option, n, c.want)
		}
	}
}

// TestLiveFragments has the kernel's VXLAN device send packets that are too large for the underlay, so
// that the kernel fragments them, and fragments of GRE and VXLAN over IPv6 made by hand.
func TestLiveFragments(t *testing.T) {
	l := newLab(t)
	for _, ns := range []string{l.A, l.B} {
		for _, c := range []string{"link set vxlan0 mtu 1450", "link set eth1 mtu 1300"} {
			if out, err := exec.Command("ip", strings.Fields("-n "+ns+" "+c)...).CombinedOutput(); err != nil {
				t.Fatalf("ip %s: %v: %s", c, err, out)
			}
		}
	}
	const total = 3000
	var inner [][]byte
	for i := range total {
		host := 1 + i%3
		eth := &layers.Ethernet{SrcMAC: net.HardwareAddr{2, 0, 0, 0, 0, 0x0a}, DstMAC: net.HardwareAddr{2, 0, 0, 0, 0, 0x0b}, EthernetType: layers.EthernetTypeIPv4}
		inner = append(inner, frame(t, eth, ipv4(fmt.Sprintf("10.5.5.%d", host), "10.5.5.5"), udp(9000), payload(append(make([]byte, 1000+i%400), sequence(host, i)...))))
	}
	crafted := mixedFragments(t, 300)
	for _, ns := range []string{l.A, l.B} {
		dir := t.TempDir()
		everything, out := filepath.Join(dir, "all.pcapng"), filepath.Join(dir, "out.pcapng")
		all := start(t, l, ns, "tundump", "-i", "eth1", "-w", everything, "ip or ip6")
		some := start(t, l, ns, "tundump", "-i", "eth1", "-w", out, "inner src host 10.5.5.2")
		if err := l.Transmit(l.A, "vxlan0", inner); err != nil {
			t.Fatal(err)
		}
		if err := l.Transmit(l.A, "eth1", crafted); err != nil {
			t.Fatal(err)
		}
		log := some.stop(syscall.SIGINT)
		all.stop(syscall.SIGINT)
		packets := readCapture(t, everything)
		var want, got [][]byte
		for _, n := range whole(t, everything, "ip.src == 10.5.5.2") {
			want = append(want, packets[n].Data)
		}
		for _, r := range readCapture(t, out) {
			got = append(got, r.Data)
		}
		if !slices.EqualFunc(want, got, bytes.Equal) {
			t.Errorf("%d packets, want %d\n%s", len(got), len(want), log)
		}
		if c, r, d := counters(t, log); c != len(want) || r != len(want) || d != 0 {
			t.Errorf("captured %d, received %d, dropped %d; want %d, %[4]d, 0", c, r, d, len(want))
		}
		// Put together, each packet of that host is there, with all of its payload.
		sent := map[string]bool{}
		for i := range total {
			if i%3 == 1 {
				sent[fmt.Sprintf("%d,%d,%x", 10, 1008+i%400, sequence(2, i))] = true
			}
		}
		tshark := exec.Command("tshark", "-n", "-r", out, "-Y", "vxlan && ip.src == 10.5.5.2 && eth.src == 02:00:00:00:00:0a", "-T", "fields", "-e", "udp.length", "-e", "data.data", "-E", "occurrence=l")
		text, err := tshark.Output()
		if err != nil {
			t.Fatal(err)
		}
		fragmented := 0
		for line := range strings.Lines(string(text)) {
			length, data, _ := strings.Cut(strings.TrimSpace(line), "\t")
			n, _ := strconv.Atoi(length)
			if len(data) != 2*(n-8) || n < 1008 {
				t.Fatalf("tshark shows %d bytes of %s", len(data)/2, length)
			}
			delete(sent, fmt.Sprintf("%d,%d,%s", 10, n-8, data[len(data)-16:]))
			if n+8+8+14+20+20 > 1300 {
				fragmented++
			}
		}
		if len(sent) > 0 || fragmented < 100 {
			t.Errorf("of %d packets %d are not whole; %d were fragmented", total/3, len(sent), fragmented)
		}
	}
}

// TestLiveInnerFragments has the kernel fragment packets before they go into the tunnel, and
// asks for a port, which only the first fragments have.
func TestLiveInnerFragments(t *testing.T) {
	l := newLab(t)
	s := newSender(t, l)
	dir := t.TempDir()
	everything, out := filepath.Join(dir, "all.pcapng"), filepath.Join(dir, "out.pcapng")
	all := start(t, l, l.B, "tundump", "-i", "eth1", "-w", everything, "ip")
	some := start(t, l, l.B, "tundump", "-i", "eth1", "-w", out, "inner (src host 10.5.5.3 and dst port 9000)")
	for i := range 300 {
		if _, err := s.socks[i%3].Write(append(make([]byte, 2000+i*5), sequence(1+i%3, i)...)); err != nil {
			t.Fatal(err)
		}
	}
	log := some.stop(syscall.SIGINT)
	all.stop(syscall.SIGINT)
	packets := readCapture(t, everything)
	var want, got [][]byte
	for _, n := range whole(t, everything, "ip.src == 10.5.5.3 && udp.port == 9000") {
		want = append(want, packets[n].Data)
	}
	for _, r := range readCapture(t, out) {
		got = append(got, r.Data)
	}
	if !slices.EqualFunc(want, got, bytes.Equal) || len(want) < 200 {
		t.Errorf("%d packets, want %d\n%s", len(got), len(want), log)
	}
}

// TestLiveLateFragments counts fragments in the kernel that come too early, and says where there
// is no eBPF that none are followed.
func TestLiveLateFragments(t *testing.T) {
	l := newLab(t)
	var frames [][]byte
	for i := range 9 {
		pieces := fragments(tunnelled(t, i, 2, 700), uint32(i), 256)
		slices.Reverse(pieces)
		frames = append(frames, pieces...)
	}
	r := start(t, l, l.B, "tundump", "-i", "eth1", "-w", filepath.Join(t.TempDir(), "out.pcapng"), "inner host 10.5.5.2")
	if err := l.Transmit(l.A, "eth1", frames); err != nil {
		t.Fatal(err)
	}
	log := r.stop(syscall.SIGINT)
	want := fmt.Sprintf("\n%d later fragments were not captured: they came before the first one of their packet\n", len(frames)-9)
	if c, _, _ := counters(t, log); c != 9 || !strings.HasSuffix(log, want) {
		t.Errorf("no %q in\n%s", want, log)
	}
	r = start(t, l, l.B, "setpriv", "--bounding-set", "-bpf,-sys_admin", "tundump", "-i", "eth1", "-w", filepath.Join(t.TempDir(), "out.pcapng"), "inner host 10.5.5.2")
	r.until("later fragments")
	log = r.stop(syscall.SIGINT)
	if line := "tundump: filter: later fragments are not followed without eBPF\n"; strings.Count(log, line) != 1 || strings.Contains(log, "came before") {
		t.Errorf("no %q in\n%s", line, log)
	}
}

// TestReloadFragments reads sets again between the first fragments and the later ones: what
// is remembered stays.
func TestReloadFragments(t *testing.T) {
	l := newLab(t)
	dir := t.TempDir()
	hosts, out := filepath.Join(dir, "hosts"), filepath.Join(dir, "out.pcapng")
	replace(t, hosts, "10.5.5.2\n")
	var first, later [][]byte
	for i := range 30 {
		pieces := fragments(tunnelled(t, i, 2, 700), uint32(i), 256)
		first, later = append(first, pieces[0]), append(later, pieces[1:]...)
	}
	r := start(t, l, l.B, "tundump", "-i", "eth1", "-w", out, "inner host in @"+hosts)
	if err := l.Transmit(l.A, "eth1", first); err != nil {
		t.Fatal(err)
	}
	replace(t, hosts, "10.5.5.3\n")
	if err := r.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	r.until("read the sets again")
	if err := l.Transmit(l.A, "eth1", later); err != nil {
		t.Fatal(err)
	}
	log := r.stop(syscall.SIGINT)
	if n := len(readCapture(t, out)); n != len(first)+len(later) {
		t.Errorf("%d packets, want %d\n%s", n, len(first)+len(later), log)
	}
}
