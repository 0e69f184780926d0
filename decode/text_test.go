package decode

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/tundump/tundump/capture"
	"github.com/tundump/tundump/filter/header"
)

var _ Sink = (*Text)(nil)

// forms are the ways to print that are compared with tcpdump's.
var forms = []form{
	{"normal", nil, TextOptions{}},
	{"e", []string{"-e"}, TextOptions{LinkHeader: true}},
	{"q", []string{"-q"}, TextOptions{Quiet: true}},
	{"eq", []string{"-e", "-q"}, TextOptions{LinkHeader: true, Quiet: true}},
	{"v", []string{"-v"}, TextOptions{Verbose: 1}},
	{"vv", []string{"-vv"}, TextOptions{Verbose: 2}},
	{"ev", []string{"-e", "-v"}, TextOptions{LinkHeader: true, Verbose: 1}},
	{"x", []string{"-x"}, TextOptions{Hex: 1}},
	{"vvv", []string{"-vvv", "-X"}, TextOptions{Verbose: 3, HexASCII: 1}},
	{"evvX", []string{"-e", "-vv", "-X"}, TextOptions{LinkHeader: true, Verbose: 2, HexASCII: 1}},
	{"vA", []string{"-v", "-A"}, TextOptions{Verbose: 1, ASCII: 1}},
	{"XX", []string{"-XX"}, TextOptions{HexASCII: 2}},
	{"exx", []string{"-e", "-xx"}, TextOptions{LinkHeader: true, Hex: 2}},
	{"AA", []string{"-A", "-A"}, TextOptions{ASCII: 2}},
	{"XxA", []string{"-X", "-xx", "-A"}, TextOptions{HexASCII: 1, Hex: 2, ASCII: 1}},
	{"xA", []string{"-x", "-A", "-A"}, TextOptions{Hex: 1, ASCII: 2}},
	{"t", []string{"-t", "-S"}, TextOptions{Time: TimeNone, AbsoluteSeq: true}},
	{"tt", []string{"-tt", "-v", "-S"}, TextOptions{Time: TimeUnix, Verbose: 1, AbsoluteSeq: true}},
	{"ttt", []string{"-ttt", "--nano"}, TextOptions{Time: TimeDelta, Nanoseconds: true}},
	{"ttt micro", []string{"-ttt"}, TextOptions{Time: TimeDelta}},
	{"tttt", []string{"-tttt", "-e"}, TextOptions{Time: TimeDate, LinkHeader: true}},
	{"ttttt", []string{"-ttttt", "--nano"}, TextOptions{Time: TimeSinceFirst, Nanoseconds: true}},
}

// formsOfHeaders is how many of forms are about what the headers look like, formsOfHeadings
// how many of them are so without -v.
const (
	formsOfHeaders  = 8
	formsOfHeadings = 4
)

// differences that we want in many packets: where tcpdump's text goes on with the
// first expression, ours may go on with the second. TestTextDifferences has those in
// single packets. All others fail the tests.
var differences = []struct {
	why           string
	tcpdump, ours *regexp.Regexp
}{
	{"we look into ERSPAN", regexp.MustCompile(`(?s)gre-proto-0x88be(\n.*)?$`), regexp.MustCompile(`^(?s)ERSPAN( type I: | type II, session \d+(, vlan \d+, cos \d, index \d+)?: | unknown-version | \[\|erspan\]).*$`)},
	// tcpdump forgets how long the link-layer header is, if it gives up.
	{"nothing but the dump follows a truncation mark, and -x leaves the link-layer header out of it", regexp.MustCompile(`(?s)\[\|\w+\]( \[\|icmp\]|\[No valid Jumbo[^\n]*)?(\n.*)?$`), regexp.MustCompile(`^(?s)\[\|\w+\](\n.*)?$`)},
	{"a cooked packet that is neither tcpdump prints as nothing", regexp.MustCompile(`(?s)(^| )(\n.*)?$`), regexp.MustCompile(`^(?s) *(\w+ |\? )?(ifindex \d+ )?02:00:00:00:00:0a (ethertype Unknown \(0x0009\), length \d+: )?(\n.*)?$`)},
	{"8472 was Linux's port for VXLAN before it was Cisco's for OTV", regexp.MustCompile(`(?s)OTV[, ].*$`), regexp.MustCompile(`^(?s)VXLAN.*$`)},
	{"only the destination port makes a tunnel", regexp.MustCompile(`(?s)(VXLAN|Geneve), .*$`), regexp.MustCompile(`^UDP, length \d+(?s)(\n.*)?$`)},
	{"VXLAN has the flag I", regexp.MustCompile(`(?s)\[invalid\] \(0x..\), vni \d+\n.*$`), regexp.MustCompile(`^(?s)\[invalid\] \(0x..\), vni \d+, length \d+(\n.*)?$`)},
	{"what is in link states for traffic engineering is left out", regexp.MustCompile(`(?s)Traffic Engineering LSA \(1\), Opaque-ID \d+\n.*$`), regexp.MustCompile(`^(?s)Traffic Engineering LSA \(1\), Opaque-ID \d+\n.*$`)},
	{"BGP's routes of multicast in VPNs, of route targets, of NSAP and of VPLS are left out", regexp.MustCompile(`(?s)SAFI: (Multicast VPN|MDT|Route Target Routing Information|VPLS) .*$|AFI: (NSAP|VPLS) .*$`), regexp.MustCompile(`^(?s)S?AFI: .*$`)},
	{"-q keeps tunnels", regexp.MustCompile(`(?s)UDP, (length \d+|bad length \d+ > \d+)(\n.*)?$`), regexp.MustCompile(`^(?s)(VXLAN|Geneve).*$`)},
}

// packets is a capture file in memory.
type packets struct {
	link    header.LinkType
	packets []capture.Packet
}

func readPcap(t testing.TB, file string) packets {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := pcapgo.NewReader(f)
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	p := packets{link: header.LinkType(r.LinkType())}
	for {
		data, ci, err := r.ReadPacketData()
		if errors.Is(err, io.EOF) {
			return p
		}
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		p.packets = append(p.packets, capture.Packet{Time: ci.Timestamp.UnixNano(), Len: ci.Length, Data: data})
	}
}

func (p packets) write(t testing.TB) string {
	t.Helper()
	var b bytes.Buffer
	w := pcapgo.NewWriterNanos(&b)
	if err := w.WriteFileHeader(262144, layers.LinkType(p.link)); err != nil {
		t.Fatal(err)
	}
	for _, p := range p.packets {
		ci := gopacket.CaptureInfo{Timestamp: time.Unix(0, p.Time), CaptureLength: len(p.Data), Length: p.Len}
		if err := w.WritePacket(ci, p.Data); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(t.TempDir(), "test.pcap")
	if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// print returns our text of each packet.
func (p packets) print(t testing.TB, opt TextOptions) []string {
	t.Helper()
	opt.Location, opt.Number = time.UTC, true
	var b bytes.Buffer
	s := NewText(&b, opt)
	for i := range p.packets {
		if err := s.Packet(&p.packets[i], &capture.Interface{LinkType: uint32(p.link)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return numbered(b.String())
}

// tcpdumpVersion is empty if there is none.
var tcpdumpVersion = sync.OnceValue(func() string {
	out, err := exec.Command("tcpdump", "--version").CombinedOutput()
	if err != nil {
		return ""
	}
	_, version, _ := strings.Cut(string(out), "tcpdump version ")
	version, _, _ = strings.Cut(version, "\n")
	return version
})

// tcpdump returns its text of each packet in the file.
func tcpdump(t testing.TB, file string, args ...string) []string {
	t.Helper()
	if v := tcpdumpVersion(); v != "4.99.3" {
		t.Skipf("found tcpdump version %q to compare with, need 4.99.3: install Debian 12's (apt-get install tcpdump)", v)
	}
	cmd := exec.Command("tcpdump", append([]string{"-n", "-#", "-r", file}, args...)...)
	cmd.Env = append(os.Environ(), "TZ=UTC")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("tcpdump %s: %v\n%s", args, err, stderr.Bytes())
	}
	return numbered(string(out))
}

// numbered splits the text of a capture at the packets' numbers, and takes these off.
func numbered(text string) (lines []string) {
	text, ok := strings.CutPrefix(text, "    1  ")
	for n := 2; ok; n++ {
		var line string
		line, text, ok = strings.Cut(text, fmt.Sprintf("\n%5d  ", n))
		lines = append(lines, strings.TrimSuffix(line, "\n"))
	}
	return lines
}

// form is a way to print.
type form struct {
	name string
	args []string
	opt  TextOptions
}

// compare prints the packets in each of the first n forms and compares with tcpdump.
func compare(t *testing.T, p packets, n int, args ...string) {
	t.Helper()
	compareForms(t, p, forms[:n], args...)
}

func compareForms(t *testing.T, p packets, forms []form, args ...string) {
	t.Helper()
	file := p.write(t)
	for _, form := range forms {
		t.Run(form.name, func(t *testing.T) {
			form.opt.AbsoluteSeq = form.opt.AbsoluteSeq || slices.Contains(args, "-S")
			form.opt.Depth = header.MaxDepth
			want := tcpdump(t, file, append(args, form.args...)...)
			got := p.print(t, form.opt)
			if len(want) != len(got) {
				t.Fatalf("%d packets, tcpdump prints %d", len(got), len(want))
			}
			failed := 0
			for i := range got {
				if got[i] != want[i] && !wanted(want[i], got[i]) {
					failed++
					if failed <= 3 {
						t.Errorf("packet %d: %d of %d bytes, % x\n%s", i+1, len(p.packets[i].Data), p.packets[i].Len, p.packets[i].Data[:min(120, len(p.packets[i].Data))], differing(got[i], want[i]))
					}
				}
			}
			if failed > 3 {
				t.Errorf("%d of %d packets differ", failed, len(got))
			}
		})
	}
}

// differing shows two texts from shortly before they differ.
func differing(got, want string) string {
	same := 0
	for same < len(got) && same < len(want) && got[same] == want[same] {
		same++
	}
	from := max(0, same-60)
	return fmt.Sprintf(" got ...%q\nwant ...%q", got[from:min(len(got), same+140)], want[from:min(len(want), same+140)])
}

func wanted(tcpdump, ours string) bool {
	for _, d := range differences {
		for _, at := range d.tcpdump.FindAllStringIndex(tcpdump, -1) {
			if strings.HasPrefix(ours, tcpdump[:at[0]]) && d.ours.MatchString(ours[at[0]:]) {
				return true
			}
		}
	}
	return false
}

// captures returns the capture files that there are to compare with.
func captures(t testing.TB) (files []string) {
	t.Helper()
	for _, pattern := range []string{"../testdata/*.pcap", "../../shared/pcaps/*.pcap"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		if len(found) == 0 {
			t.Logf("no captures %s", pattern)
		}
		files = append(files, found...)
	}
	return files
}

func TestTextCaptures(t *testing.T) {
	for _, file := range captures(t) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			p := readPcap(t, file)
			p.disguise()
			// Which connections there are inside of tunnels is tested by TestTextFlows.
			if filepath.Base(file) == "headings.pcap" {
				// With -v tcpdump prints what is in these, and we do not.
				compare(t, p, formsOfHeadings, "-S")
				return
			}
			compare(t, p, len(forms), "-S")
		})
	}
}

// disguise changes what would make tcpdump print something of its own: the index of
// one of this machine's interfaces, and the port 49152, which it takes for Broadcom's LI.
func (p packets) disguise() {
	for _, packet := range p.packets {
		if p.link == header.LinkSLL2 && len(packet.Data) >= 8 {
			binary.BigEndian.PutUint32(packet.Data[4:], 0x9999)
		}
		for _, to := range []string{"\x12\xb5", "\x21\x18", "\x17\xc1"} { // VXLAN, Geneve
			for i := 0; i+4 <= len(packet.Data); i++ {
				if string(packet.Data[i:i+4]) == "\xc0\x00"+to {
					packet.Data[i+1] = 1
				}
			}
		}
	}
}

func TestTextLinkTypes(t *testing.T) {
	cooked := func(typ uint16, payload []byte) (frames [2][]byte) {
		frames[0] = bytesOf("0000 0001 0006 02000000000a 0000", typ, payload)
		frames[1] = bytesOf(typ, "0000 00009999 0001 00 06 02000000000a 0000", payload)
		return frames
	}
	frames := map[header.LinkType][][]byte{
		header.LinkRaw:  {ping, ping6, {0x50}, {0x45}, ping[:10], {0x60}, ip4(protoGRE, gre(0, header.TypeIP, nil, ping))},
		header.LinkIPv4: {ping, ip4(protoUDP, udp(4789, vxlan(1, eth(header.TypeIP, ping))))},
		header.LinkIPv6: {ping6, ip6(protoGRE, gre(0, header.TypeIP6, nil, ping6))},
	}
	for _, family := range []byte{2, 24, 28, 30, 99} {
		payload := ping
		if family != 2 {
			payload = ping6
		}
		for _, h := range [][]byte{{family, 0, 0, 0}, {0, 0, 0, family}} {
			frames[linkNull] = append(frames[linkNull], append(h, payload...), h[:3], h)
			frames[linkLoop] = append(frames[linkLoop], append(h, payload...))
		}
	}
	for _, c := range [][2][]byte{
		cooked(header.TypeIP, ping), cooked(header.TypeIP6, ping6), cooked(header.TypeVLAN, vlan(100, header.TypeIP, ping)), cooked(0x88b5, someData), cooked(header.TypeVLAN, vlan(100, 0x88b5, someData)),
		cooked(header.TypeARP, bytesOf("0001 0800 0604 0002 02000000000a 0a000001 02000000000b 0a000002")), cooked(header.TypeIP, ip4(protoGRE, gre(0, header.TypeIP, nil, ping))), cooked(9, nil),
	} {
		for typ := range 6 { // the kind of packet
			for i, link := range []header.LinkType{header.LinkSLL, header.LinkSLL2} {
				b := append([]byte(nil), c[i]...)
				b[[]int{1, 10}[i]] = byte(typ)
				frames[link] = append(frames[link], b)
			}
		}
		for n := 1; n < 24; n++ {
			frames[header.LinkSLL] = append(frames[header.LinkSLL], c[0][:min(n, len(c[0]))])
			frames[header.LinkSLL2] = append(frames[header.LinkSLL2], c[1][:min(n, len(c[1]))])
		}
	}
	for link, frames := range frames {
		t.Run(fmt.Sprint(link), func(t *testing.T) {
			p := packets{link: link}
			for _, f := range frames {
				p.packets = append(p.packets, capture.Packet{Len: len(f), Data: f})
			}
			compare(t, p, len(forms))
		})
	}
}

// one prints a packet.
func one(t *testing.T, opt TextOptions, in capture.Interface, p capture.Packet) string {
	t.Helper()
	var b bytes.Buffer
	if opt.Location == nil {
		opt.Location = time.UTC
	}
	s := NewText(&b, opt)
	if p.Len == 0 {
		p.Len = len(p.Data)
	}
	if err := s.Packet(&p, &in); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestTextOptions(t *testing.T) {
	const text = "IP 10.0.0.1 > 10.0.0.2: ICMP echo request, id 7, seq 1, length 32\n"
	frame := eth(header.TypeIP, ping)
	at := time.Date(2026, 11, 22, 3, 4, 5, 60070, time.UTC).UnixNano()
	for _, test := range []struct {
		name string
		opt  TextOptions
		p    capture.Packet
		want string
	}{
		{"default", TextOptions{}, capture.Packet{Time: at}, "03:04:05.000060 " + text},
		{"nanoseconds", TextOptions{Nanoseconds: true}, capture.Packet{Time: at}, "03:04:05.000060070 " + text},
		{"before 1970", TextOptions{Nanoseconds: true}, capture.Packet{Time: -1}, "23:59:59.999999999 " + text},
		{"time zone", TextOptions{Location: time.FixedZone("", 5*3600+1800)}, capture.Packet{Time: at}, "08:34:05.000060 " + text},
		{"in", TextOptions{ShowInterface: true}, capture.Packet{Direction: capture.DirectionIn}, "00:00:00.000000 eth0  In  " + text},
		{"out", TextOptions{ShowInterface: true}, capture.Packet{Direction: capture.DirectionOut}, "00:00:00.000000 eth0  Out " + text},
		{"lengths", TextOptions{Lengths: true, Number: true}, capture.Packet{Time: at, Len: 1000}, "    1  caplen 66, len 1000, 03:04:05.000060 " + text},
		{"direction unknown", TextOptions{ShowInterface: true}, capture.Packet{}, "00:00:00.000000 eth0  ?   " + text},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.p.Data = frame
			got := one(t, test.opt, capture.Interface{Name: "eth0", LinkType: uint32(header.LinkEthernet)}, test.p)
			if got != test.want {
				t.Errorf(" got %q\nwant %q", got, test.want)
			}
		})
	}
}

// A packet that is older than the one before, or the first.
func TestTextTimeBackwards(t *testing.T) {
	frame := eth(header.TypeIP, ping)
	for form, want := range map[TimeForm][]string{
		TimeDelta:      {" 00:00:00.000000", "-00:00:01.500000", " 25:00:01.000000"},
		TimeSinceFirst: {" 00:00:00.000000", "-00:00:01.500000", " 24:59:59.500000"},
	} {
		p := packets{link: header.LinkEthernet}
		for _, at := range []int64{0, -15e8, 25*3600e9 - 5e8} {
			p.packets = append(p.packets, capture.Packet{Time: 5e9 + at, Len: len(frame), Data: frame})
		}
		for i, line := range p.print(t, TextOptions{Time: form}) {
			if !strings.HasPrefix(line, want[i]+" IP ") {
				t.Errorf("form %d: got %q, want %q", form, line, want[i])
			}
		}
	}
}

type namer struct{}

func (namer) Addr(a netip.Addr) string {
	switch a.String() {
	case "10.0.0.1", "2001:db8::1":
		return "one.example\n"
	}
	return ""
}

func (namer) Port(transport string, port uint16) string {
	if port == 9999 {
		return "nines-" + transport
	}
	return ""
}

func TestTextNames(t *testing.T) {
	in := capture.Interface{LinkType: uint32(header.LinkEthernet)}
	for _, test := range []struct {
		frame []byte
		want  string
	}{
		{eth(header.TypeIP, ip4(protoTCP, tcp(40000, 9999, 1, 1, tcpAck, nil, nil))), "IP one.example^J.40000 > 10.0.0.2.nines-tcp: Flags [.], ack 1, win 501, length 0\n"},
		{eth(header.TypeIP6, ip6(protoUDP, udp(9999, nil))), "IP6 one.example^J.40000 > 2001:db8::2.nines-udp: UDP, length 0\n"},
		{eth(header.TypeIP, ip4(protoSCTP, bytesOf(uint16(9999), uint16(9998), uint32(7), uint32(0)))), "IP one.example^J.nines-sctp > 10.0.0.2.9998: sctp\n"},
	} {
		if got := one(t, TextOptions{Time: TimeNone, Names: namer{}}, in, capture.Packet{Data: test.frame}); got != test.want {
			t.Errorf(" got %q\nwant %q", got, test.want)
		}
	}
}

func TestTextInterfaceName(t *testing.T) {
	got := one(t, TextOptions{ShowInterface: true}, capture.Interface{Name: "\x1b[31m\n\xff", LinkType: uint32(header.LinkEthernet)}, capture.Packet{Data: eth(header.TypeIP, ping)})
	if want := "00:00:00.000000 ^[[31m^JM-^? ?   IP "; !strings.HasPrefix(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestTextTunnelOptions(t *testing.T) {
	const (
		to   = "00:00:00.000000 IP 10.0.0.1.40000 > 10.0.0.2."
		vni  = "VXLAN, flags [I] (0x08), vni "
		echo = "IP 10.0.0.1 > 10.0.0.2: ICMP echo request, id 7, seq 1, length 32\n"
		ends = "IP 10.0.0.1 > 10.0.0.2: "
	)
	nested := ping
	for range 9 {
		nested = ip4(protoGRE, gre(0, header.TypeIP, nil, nested))
	}
	over := func(port uint16, b []byte) []byte { return eth(header.TypeIP, ip4(protoUDP, udp(port, b))) }
	inner := eth(header.TypeIP, ping)
	for _, test := range []struct {
		name  string
		opt   TextOptions
		frame []byte
		want  string
	}{
		{"no tunnel at another port", TextOptions{}, over(9999, vxlan(5, inner)), to + "9999: UDP, length 74\n"},
		{"a port of our own", TextOptions{Table: header.New(header.Ports{VXLAN: []uint16{9999}})}, over(9999, vxlan(5, inner)), to + "9999: " + vni + "5\n" + echo},
		{"a port of our own for VXLAN-GPE", TextOptions{Table: header.New(header.Ports{GPE: []uint16{9999}})}, over(9999, append(bytesOf("0c00000300000500"), inner...)), to + "9999: VXLAN-GPE, flags [IP], vni 5: " + echo},
		{"not the default port then", TextOptions{Table: header.New(header.Ports{VXLAN: []uint16{9999}})}, over(4789, vxlan(5, inner)), to + "4789: UDP, length 74\n"},
		{"depth 1", TextOptions{Depth: 1}, over(4789, vxlan(5, over(4789, vxlan(6, inner)))),
			to + "4789: " + vni + "5\nIP 10.0.0.1.40000 > 10.0.0.2.4789: " + vni + "6, length 74\n"},
		{"depth 2", TextOptions{Depth: 2}, over(4789, vxlan(5, over(4789, vxlan(6, inner)))),
			to + "4789: " + vni + "5\nIP 10.0.0.1.40000 > 10.0.0.2.4789: " + vni + "6\n" + echo},
		{"default depth", TextOptions{}, eth(header.TypeIP, nested), "00:00:00.000000 " + ends + "GREv0, length 248: " + ends + "GREv0, length 224: " + ends + "GREv0, length 200: " + ends + "GREv0, length 176: gre-proto-0x800\n"},
		{"IP in IP beyond the depth", TextOptions{Depth: 1}, eth(header.TypeIP, ip4(protoIPIP, ip4(protoIPIP, ping))), "00:00:00.000000 " + ends + ends + " ip-proto-4 52\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := one(t, test.opt, capture.Interface{LinkType: uint32(header.LinkEthernet)}, capture.Packet{Data: test.frame})
			if got != test.want {
				t.Errorf(" got %q\nwant %q", got, test.want)
			}
		})
	}
}

// The same addresses and ports in different tunnels are different connections.
func TestTextFlows(t *testing.T) {
	segment := func(sport, dport uint16, seq uint32) []byte {
		return eth(header.TypeIP, ip4(protoTCP, tcp(sport, dport, seq, 1, tcpAck, nil, someData)))
	}
	in := func(vni uint32, frame []byte) []byte {
		return eth(header.TypeIP, ip4(protoUDP, udp(4789, vxlan(vni, frame))))
	}
	back := func(frame []byte) []byte { // the outer addresses of the other direction
		b := append([]byte(nil), frame...)
		copy(b[26:30], frame[30:34])
		copy(b[30:34], frame[26:30])
		return b
	}
	p := packets{link: header.LinkEthernet}
	for _, f := range [][]byte{
		segment(1, 2, 1000), segment(1, 2, 1009),
		in(1, segment(1, 2, 2000)), in(1, segment(1, 2, 2009)), back(in(1, segment(1, 2, 2018))),
		in(2, segment(1, 2, 3000)), in(2, segment(1, 2, 3009)),
		in(1, in(2, segment(1, 2, 4000))), in(1, in(2, segment(1, 2, 4009))),
		segment(1, 2, 1018), in(1, segment(1, 2, 2018)), in(2, segment(1, 2, 3018)),
	} {
		p.packets = append(p.packets, capture.Packet{Len: len(f), Data: f})
	}
	sequence := regexp.MustCompile(`seq \d+:\d+`)
	var got []string
	for _, line := range p.print(t, TextOptions{}) {
		got = append(got, sequence.FindString(line))
	}
	want := []string{"seq 1000:1009", "seq 9:18", "seq 2000:2009", "seq 9:18", "seq 18:27", "seq 3000:3009", "seq 9:18",
		"seq 4000:4009", "seq 9:18", "seq 18:27", "seq 18:27", "seq 18:27"}
	if !slices.Equal(got, want) {
		t.Errorf(" got %q\nwant %q", got, want)
	}
}

// The table of connections does not grow, and keeps those in use.
func TestTextFlowsBounded(t *testing.T) {
	s := NewText(io.Discard, TextOptions{})
	in := &capture.Interface{LinkType: uint32(header.LinkEthernet)}
	send := func(src uint32, sport uint16) {
		f := eth(header.TypeIP, ip4(protoTCP, tcp(sport, 2, 1, 1, tcpAck, nil, nil)))
		binary.BigEndian.PutUint32(f[26:], src)
		if err := s.Packet(&capture.Packet{Len: len(f), Data: f}, in); err != nil {
			t.Fatal(err)
		}
	}
	for i := range uint32(5 * maxFlows) {
		send(i, 1)
		if i%1000 == 0 {
			send(0xffffffff, 1)
		}
	}
	if n := len(s.flows.now) + len(s.flows.past); n > 2*maxFlows {
		t.Errorf("%d connections kept, at most %d are allowed", n, 2*maxFlows)
	}
	kept := false
	for _, m := range []map[flowKey]flow{s.flows.now, s.flows.past} {
		for k := range m {
			kept = kept || k.low[12] == 0xff && k.low[15] == 0xff && k.low[13] == 0xff || k.high[12] == 0xff && k.high[13] == 0xff
		}
	}
	if !kept {
		t.Error("a connection in use was forgotten")
	}
}

func TestTextOddPackets(t *testing.T) {
	ether := capture.Interface{LinkType: uint32(header.LinkEthernet)}
	if got, want := one(t, TextOptions{}, ether, capture.Packet{}), "[Invalid header: caplen==0, len==0]\n"; got != want {
		t.Errorf("an empty packet: got %q, want %q", got, want)
	}
	if got, want := one(t, TextOptions{}, ether, capture.Packet{Data: make([]byte, 20), Len: 10}), "[Invalid header: len(10) < caplen(20)]\n"; got != want {
		t.Errorf("less on the wire than captured: got %q, want %q", got, want)
	}
	if got, want := one(t, TextOptions{}, capture.Interface{LinkType: 147}, capture.Packet{Data: make([]byte, 20)}), "00:00:00.000000 link-type 147, length 20\n"; got != want {
		t.Errorf("a link type that is not supported: got %q, want %q", got, want)
	}
	big := ip4(protoUDP, udp(9999, nil))
	binary.BigEndian.PutUint16(big[2:], 0)
	if got, want := one(t, TextOptions{}, ether, capture.Packet{Data: eth(header.TypeIP, big), Len: 100014}), "00:00:00.000000 IP 10.0.0.1.40000 > 10.0.0.2.9999: UDP, length 0\n"; got != want {
		t.Errorf("BIG TCP: got %q, want %q", got, want)
	}
	// As many SCTP chunks as a packet can have
	chunks := bytes.Repeat([]byte{6, 0, 0, 4}, 15000)
	for verbose := range 3 {
		long := one(t, TextOptions{Verbose: verbose}, ether, capture.Packet{Data: eth(header.TypeIP, ip4(protoSCTP, append(make([]byte, 12), chunks...)))})
		if len(long) > maxLine+16 || !strings.HasSuffix(long, " [...]\n") {
			t.Errorf("a long line has %d bytes and ends with %q", len(long), long[len(long)-20:])
		}
	}
}

// failing is a writer that fails after n bytes.
type failing struct {
	bytes.Buffer
	n int
}

var errFull = errors.New("disk full")

func (f *failing) Write(b []byte) (int, error) {
	if f.Len()+len(b) > f.n {
		return 0, errFull
	}
	return f.Buffer.Write(b)
}

func TestTextWriteError(t *testing.T) {
	frame := eth(header.TypeIP, ping)
	in := &capture.Interface{LinkType: uint32(header.LinkEthernet)}
	p := &capture.Packet{Len: len(frame), Data: frame}
	w := &failing{n: 100 << 10}
	s := NewText(w, TextOptions{})
	var err error
	for i := 0; err == nil && i < 10000; i++ {
		err = s.Packet(p, in)
	}
	if !errors.Is(err, errFull) {
		t.Fatalf("got error %v, want one that is %v", err, errFull)
	}
	if b := w.Bytes(); len(b) == 0 || b[len(b)-1] != '\n' {
		t.Error("what was written does not end with a whole line")
	}
	if err := s.Packet(p, in); !errors.Is(err, errFull) {
		t.Errorf("the next packet: got error %v", err)
	}
	if err := s.Flush(); !errors.Is(err, errFull) {
		t.Errorf("Flush: got error %v", err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("Close reports the error again: %v", err)
	}
	s = NewText(&failing{}, TextOptions{})
	if err := s.Packet(p, in); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); !errors.Is(err, errFull) {
		t.Errorf("Close: got error %v, want one that is %v", err, errFull)
	}
}

// Without options no packet costs memory, once the buffers and the connections are there.
func TestTextAllocations(t *testing.T) {
	s := NewText(io.Discard, TextOptions{})
	in := &capture.Interface{LinkType: uint32(header.LinkEthernet)}
	frames := samples(t)
	for _, f := range frames {
		_ = s.Packet(&capture.Packet{Len: len(f), Data: f}, in)
	}
	for _, f := range frames {
		p := &capture.Packet{Len: len(f), Data: f}
		if n := testing.AllocsPerRun(2, func() { _ = s.Packet(p, in) }); n != 0 {
			t.Errorf("%v allocations for a packet, % x", n, f[:min(80, len(f))])
		}
	}
}

func FuzzText(f *testing.F) {
	for _, frames := range examples() {
		for i, frame := range frames {
			if i%8 == 0 {
				f.Add(frame, uint8(i), uint16(0), uint8(0))
			}
		}
	}
	for i, frame := range samples(f) {
		f.Add(frame, uint8(i), uint16(0), uint8(0))
	}
	for i, packet := range readPcap(f, "../testdata/headings.pcap").packets {
		f.Add(packet.Data, uint8(i), uint16(0), uint8(0))
	}
	links := append(header.Links(), linkNull, linkLoop, linkPPP)
	f.Fuzz(func(t *testing.T, data []byte, form uint8, missing uint16, link uint8) {
		opt := forms[int(form)%len(forms)].opt
		opt.Verbose += int(form) / 128
		opt.Depth = 1 + int(form)/16%header.MaxDepth
		l := links[int(link)%len(links)]
		text := one(t, opt, capture.Interface{LinkType: uint32(l)}, capture.Packet{Len: len(data) + int(missing), Data: data})
		if len(text) > maxLine+16+32*len(data) { // what dumps print comes on top
			t.Errorf("%d bytes of text", len(text))
		}
	})
}

func BenchmarkText(b *testing.B) {
	inner := eth(header.TypeIP, ip4(protoTCP, tcp(40000, 9999, 1, 1, tcpAck, bytesOf("0101080a0000000100000002"), someData)))
	for _, bench := range []struct {
		name  string
		frame []byte
	}{
		{"tcp", inner},
		{"udp", eth(header.TypeIP, ip4(protoUDP, udp(9999, someData)))},
		{"icmp6", eth(header.TypeIP6, ping6)},
		{"gre", eth(header.TypeIP, ip4(protoGRE, gre(0x2000, header.TypeTEB, bytesOf("0000002a"), inner)))},
		{"vxlan", eth(header.TypeIP, ip4(protoUDP, udp(4789, vxlan(2000, inner))))},
		{"geneve", eth(header.TypeIP, ip4(protoUDP, udp(6081, geneve(2000, header.TypeTEB, nil, inner))))},
	} {
		b.Run(bench.name, func(b *testing.B) {
			s := NewText(io.Discard, TextOptions{})
			in := &capture.Interface{LinkType: uint32(header.LinkEthernet)}
			p := &capture.Packet{Len: len(bench.frame), Data: bench.frame}
			b.ReportAllocs()
			for b.Loop() {
				if err := s.Packet(p, in); err != nil {
					b.Fatal(err)
				}
				p.Time += 1000
			}
		})
	}
}
