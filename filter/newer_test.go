package filter

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/gopacket/gopacket/layers"

	"github.com/tundump/tundump/filter/header"
	"github.com/tundump/tundump/filter/ir"
	"github.com/tundump/tundump/testdata/oracle"
	"github.com/tundump/tundump/testdata/random"
)

// newer has what libpcap 1.11 does otherwise than the 1.10.3 that Debian has, where we
// follow 1.11: an expression that means the same to 1.10.3, or "" for what 1.11 refuses.
// links are those it is about, nil for all.
var newer = []struct {
	why   string
	links []uint32
	texts [][2]string
}{
	{"240.0.0.0 and above is no multicast", nil, [][2]string{
		{"ip multicast", "ip[16] & 0xf0 = 0xe0"},
		{"not ip multicast", "not ip[16] & 0xf0 = 0xe0"},
	}},
	{"and of course behind tags, labels and PPPoE", []uint32{random.Ethernet}, [][2]string{
		{"vlan and ip multicast", "vlan and ip[16] & 0xf0 = 0xe0"},
		{"mpls and ip multicast", "mpls and ip[16] & 0xf0 = 0xe0"},
		{"pppoes and ip multicast", "pppoes and ip[16] & 0xf0 = 0xe0"},
	}},
	{"byte with & and | loads the byte", nil, [][2]string{
		{"byte 9 & 6", "link[9] & 6 != 0"},
		{"byte 0x17 & 021", "link[23] & 17 != 0"},
		{"byte 9 | 6", "link[9] | 6 != 0"},
		{"byte 9 | 0", "link[9] != 0"},
		{"not byte 9 & 1", "not link[9] & 1 != 0"},
	}},
	{"a byte is at most 255", nil, [][2]string{
		{"byte 5 = 256", ""}, {"byte 5 > 256", ""}, {"byte 5 < 4294967295", ""}, {"byte 5 & 0x100", ""}, {"byte 5 | 256", ""},
	}},
	{"IP protocols are at most 255", nil, [][2]string{
		{"proto 256", ""}, {"ip proto 256", ""}, {"ip6 proto 65536", ""}, {"ip proto 6 or 256", ""}, {"proto (6 or 4294967295)", ""},
		{"protochain 256", ""}, {"ip protochain 0x100", ""}, {"ip6 protochain 65536", ""},
	}},
	{"so are those of ISO, and PDU types of IS-IS have five bits", nil, [][2]string{
		{"iso proto 256", ""}, {"isis proto 32", ""}, {"isis proto 255", ""},
	}},
	{"SAPs are at most 255, EtherTypes 65535", []uint32{random.Ethernet, random.SLL}, [][2]string{
		{"ether proto 256", ""}, {"ether proto 0x281", ""}, {"ether proto 0x5dc", ""}, {"ether proto 65536", ""}, {"link proto 4294967295", ""},
	}},
	{"there are no SAPs in SLL2 and PPP", []uint32{random.SLL2, random.PPP}, [][2]string{
		{"ether proto 256", "ether proto 256"}, {"ether proto 0x281", "ether proto 0x281"}, {"ether proto 65536", ""}, {"ether proto 4294967295", ""},
	}},
	{"no number is one too many where no protocol is told", []uint32{random.Raw, random.IPv4, random.IPv6, random.Null, random.Loop}, [][2]string{
		{"ether proto 256", "1 = 2"}, {"ether proto 65536", "1 = 2"}, {"not ether proto 4294967295", "1 = 1"},
	}},
	{"behind tags and PPPoE too", []uint32{random.Ethernet}, [][2]string{
		{"vlan and ether proto 256", ""}, {"pppoes and ether proto 65536", ""}, {"pppoes and ether proto 256", "pppoes and ppp[0:2] = 256"}, {"geneve and ether proto 1500", ""},
	}},
	{"both ends of a range are numbers of C", nil, [][2]string{
		{"portrange 010-020", "portrange 8-16"}, {"portrange 0x10-0x100", "portrange 16-256"}, {"tcp src portrange 0120-443", "tcp src portrange 80-443"},
		{"portrange 08-10", ""}, {"portrange 1-2-3", ""}, {"tcp portrange 80-90-100", ""}, {"portrange 0x1-65536", ""}, {"portrange 80-0x", ""},
	}},
	{"DECnet has areas up to 63, nodes up to 1023, hosts and nothing else", nil, [][2]string{
		{"decnet host 64.1", ""}, {"decnet host 1.1024", ""}, {"decnet src 1.2.3", ""}, {"decnet host 1.2.3.4", ""}, {"decnet host 1026", ""}, {"decnet net 1.2", ""}, {"decnet src net 1.2", ""},
	}},
}

// TestNewer goes through newer.
func TestNewer(t *testing.T) {
	for _, link := range random.Links() {
		t.Run(linkName(link), func(t *testing.T) {
			f := testFile(t, link, 20, 500)
			var texts []string
			var questions []oracle.Question
			for _, c := range newer {
				if c.links != nil && !slices.Contains(c.links, link) {
					continue
				}
				for _, pair := range c.texts {
					if pair[1] != "" {
						texts = append(texts, pair[0])
						questions = append(questions, oracle.Question{File: f.file, Expression: pair[1]}, oracle.Question{File: f.file, Expression: pair[1], Plain: true})
					} else if _, err := Compile(pair[0], f.opt); checkError(pair[0], err) != nil {
						t.Errorf("%s\n%v: %s", pair[0], checkError(pair[0], err), c.why)
					}
				}
			}
			answers := oracle.Ask(t, questions)
			for i, text := range texts {
				p, err := Compile(text, f.opt)
				if err != nil {
					t.Errorf("%s\nis refused: %v", text, err)
					continue
				}
				for n, data := range f.packets {
					got := p.Match(data, f.meta(n))
					if got != answers[2*i].Selected[n] && got != answers[2*i+1].Selected[n] {
						t.Errorf("%s\non %x\nis %v, tcpdump says %v of %s", text, data, got, answers[2*i].Selected[n], questions[2*i].Expression)
						break
					}
				}
			}
		})
	}
}

// TestReservedBits checks that the upper three bits of an IS-IS PDU type do not count, which
// 1.10.3 compares, too.
func TestReservedBits(t *testing.T) {
	f := testFile(t, random.Ethernet, 20, 0)
	f.packets, f.lengths = nil, nil
	for pdu := range 256 {
		p := append(make([]byte, 12), 0, 40, 0xfe, 0xfe, 3, 0x83, 27, 1, 0, byte(pdu), 0, 0, 0)
		f.packets, f.lengths = append(f.packets, p), append(f.lengths, len(p))
	}
	f.file = oracle.Write(t, layers.LinkType(random.Ethernet), f.packets, f.lengths)
	const pdu = "isis and ether[21] & 0x1f = "
	for text, want := range map[string]string{
		"isis proto 15": pdu + "15", "isis proto 0x1f": pdu + "31", "not isis proto 20": "not (" + pdu + "20)",
		"l1":  fmt.Sprintf("isis and (%s15 or %[1]s17 or %[1]s18 or %[1]s24 or %[1]s26)", "ether[21] & 0x1f = "),
		"l2":  fmt.Sprintf("isis and (%s16 or %[1]s17 or %[1]s20 or %[1]s25 or %[1]s27)", "ether[21] & 0x1f = "),
		"iih": fmt.Sprintf("isis and (%s15 or %[1]s16 or %[1]s17)", "ether[21] & 0x1f = "), "lsp": fmt.Sprintf("isis and (%s18 or %[1]s20)", "ether[21] & 0x1f = "),
		"snp":  fmt.Sprintf("isis and (%s24 or %[1]s25 or %[1]s26 or %[1]s27)", "ether[21] & 0x1f = "),
		"csnp": fmt.Sprintf("isis and (%s24 or %[1]s25)", "ether[21] & 0x1f = "), "psnp": fmt.Sprintf("isis and (%s26 or %[1]s27)", "ether[21] & 0x1f = "),
	} {
		p, err := Compile(text, f.opt)
		if err != nil {
			t.Fatal(err)
		}
		selected := oracle.Tcpdump(t, f.file, want)
		for n, data := range f.packets {
			if got := p.Match(data, f.meta(n)); got != selected[n] {
				t.Errorf("%s: PDU type %#x: %v", text, n, got)
			}
		}
	}
}

// TestVXLAN compares vxlan, which 1.10.3 does not know, with byte accesses that mean the
// same, on both of our ports and with the I flag set, and what it moves the rest of the expression to.
func TestVXLAN(t *testing.T) {
	f := testFile(t, random.Ethernet, 60, 0)
	f.packets, f.lengths = nil, nil
	for g := random.New(60); len(f.packets) < 1500; {
		before := g.Made["vxlan frame"]
		if p := g.Frame(random.Ethernet); g.Made["vxlan frame"] > before {
			f.packets, f.lengths = append(f.packets, p), append(f.lengths, len(p))
		}
	}
	f.file = oracle.Write(t, layers.LinkType(random.Ethernet), f.packets, f.lengths)
	// The VXLAN header is at h behind IPv4, and at 62 behind IPv6.
	const h = "((ip[0] & 0xf) << 2) + 22"
	v4 := "udp and ip[6:2] & 0x1fff = 0 and (udp[2:2] = 4789 or udp[2:2] = 8472) and udp[8] & 8 = 8"
	v6 := "ip6[6] = 17 and (ether[56:2] = 4789 or ether[56:2] = 8472) and ether[62] & 8 = 8"
	// both writes what holds behind the VXLAN header, for both versions: %s is its place.
	both := func(inner string) string {
		return "(" + v4 + " and " + strings.ReplaceAll(inner, "AT", h) + ") or (" + v6 + " and " + strings.ReplaceAll(inner, "AT", "62") + ")"
	}
	ip, tcp := "ether[AT + 20:2] = 0x800", "ether[AT + 20:2] = 0x800 and ether[AT + 31] = 6"
	host := "(ether[AT + 34:4] = 0x0a000001 or ether[AT + 38:4] = 0x0a000001)"
	matched := 0
	for _, pair := range [][2]string{
		{"vxlan", "(" + v4 + ") or (" + v6 + ")"},
		{"not vxlan", "not ((" + v4 + ") or (" + v6 + "))"},
		{"vxlan 7", both("ether[AT + 4:4] & 0xffffff00 = 0x700")},
		{"vxlan 0x2a", both("ether[AT + 4:4] & 0xffffff00 = 0x2a00")},
		{"vxlan (1)", both("ether[AT + 4:4] & 0xffffff00 = 0x100")},
		{"vxlan and ip", both(ip)},
		{"vxlan and ip6", both("ether[AT + 20:2] = 0x86dd")},
		{"vxlan and arp", both("ether[AT + 20:2] = 0x806")},
		{"vxlan and ip host 10.0.0.1", both(ip + " and " + host)},
		{"vxlan 7 and ip host 10.0.0.1", both("ether[AT + 4:4] & 0xffffff00 = 0x700 and " + ip + " and " + host)},
		{"vxlan and ip proto 6", both(tcp)},
		{"vxlan and ether src 52:54:00:00:00:01", both("ether[AT + 14:4] = 0x52540000 and ether[AT + 18:2] = 1")},
		{"vxlan and broadcast", both("ether[AT + 8:4] = 0xffffffff and ether[AT + 12:2] = 0xffff")},
		{"vxlan and ether[0] & 1 = 1", both("ether[AT + 8] & 1 = 1")},
		{"vxlan and ether multicast", both("ether[AT + 8] & 1 = 1")},
		{"vxlan and ip[8] > 5", both(ip + " and ether[AT + 30] > 5")},
		{"vxlan and vlan 5", both("(ether[AT + 20:2] = 0x8100 or ether[AT + 20:2] = 0x88a8 or ether[AT + 20:2] = 0x9100) and ether[AT + 22:2] & 0xfff = 5")},
		{"vxlan and vlan and ip", both("(ether[AT + 20:2] = 0x8100 or ether[AT + 20:2] = 0x88a8 or ether[AT + 20:2] = 0x9100) and ether[AT + 24:2] = 0x800")},
		{"vxlan and stp", both("ether[AT + 20:2] <= 1500 and ether[AT + 22] = 0x42")},
		{"vxlan and len > 100", both("len > 100")},
	} {
		p, err := Compile(pair[0], f.opt)
		if err != nil {
			t.Errorf("%s\nis refused: %v", pair[0], err)
			continue
		}
		want, plain := oracle.Tcpdump(t, f.file, pair[1]), oracle.Tcpdump(t, f.file, pair[1], "-O")
		if matched += len(want); len(want) == 0 {
			t.Errorf("%s selects nothing", pair[0])
		}
		for n, data := range f.packets {
			if got := p.Match(data, f.meta(n)); got != want[n] && got != plain[n] {
				t.Errorf("%s\non %x\nis %v, tcpdump says %v", pair[0], data, got, want[n])
				break
			}
		}
	}
	for _, text := range []string{"vxlan 16777216", "vxlan and protochain 6", "vxlan x", "vxlan[0] = 8"} {
		if _, err := Compile(text, f.opt); checkError(text, err) != nil {
			t.Error(text, checkError(text, err))
		}
	}
}

// gateway is a machine that knows a host with addresses of all kinds, and hosts that
// lack one.
type gateway struct{ oracle.Names }

func (gateway) Hosts(name string) ([]netip.Addr, error) {
	switch name {
	case "router", "nomac":
		return []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("2001:db8::1")}, nil
	case "six":
		return []netip.Addr{netip.MustParseAddr("2001:db8::1")}, nil
	}
	return nil, errNone
}

func (gateway) Ether(name string) (net.HardwareAddr, error) {
	if name == "nomac" {
		return nil, errNone
	}
	return net.HardwareAddr{0x52, 0x54, 0, 0, 0, 1}, nil
}

// TestGateway compares gateway, which Debian's libpcap was built without, with what the
// manual page says it means. It is about IPv4.
func TestGateway(t *testing.T) {
	f := testFile(t, random.Ethernet, 20, 500)
	f.opt.Names = gateway{}
	const mac = "ether host 52:54:00:00:00:01 and not "
	for text, want := range map[string]string{
		"gateway router":      mac + "host (10.0.0.1 or 10.0.0.2)",
		"ip gateway router":   mac + "ip host (10.0.0.1 or 10.0.0.2)",
		"arp gateway router":  mac + "arp host (10.0.0.1 or 10.0.0.2)",
		"rarp gateway router": mac + "rarp host (10.0.0.1 or 10.0.0.2)",
		"not gateway router":  "not (" + mac + "host (10.0.0.1 or 10.0.0.2))",
	} {
		p, err := Compile(text, f.opt)
		if err != nil {
			t.Errorf("%s\nis refused: %v", text, err)
			continue
		}
		selected, plain := oracle.Tcpdump(t, f.file, want), oracle.Tcpdump(t, f.file, want, "-O")
		for n, data := range f.packets {
			if got := p.Match(data, f.meta(n)); got != selected[n] && got != plain[n] {
				t.Errorf("%s\non %x\nis %v, tcpdump says %v", text, data, got, selected[n])
				break
			}
		}
	}
	for _, text := range []string{"gateway nomac", "gateway nohost", "gateway six", "gateway 10.0.0.1", "gateway 5", "ether gateway router", "tcp gateway router", "ip6 gateway router", "src gateway router"} {
		if _, err := Compile(text, f.opt); checkError(text, err) != nil {
			t.Error(text, checkError(text, err))
		}
	}
	for _, link := range random.Links()[1:] {
		f.opt.LinkType = header.LinkType(link)
		if _, err := Compile("gateway router", f.opt); checkError("gateway router", err) != nil {
			t.Error(linkName(link), checkError("gateway router", err))
		}
	}
}

// TestLive checks what a program for a capture knows besides the packet, and that a
// file has it only in Linux's cooked headers.
func TestLive(t *testing.T) {
	for _, link := range random.Links() {
		opt := testOptions()
		opt.LinkType, opt.Names = header.LinkType(link), oracle.Names{}
		cooked := link == random.SLL || link == random.SLL2
		for text, file := range map[string]bool{"inbound": cooked, "outbound": cooked, "ifindex 2": link == random.SLL2} {
			opt.Origin = OriginFile
			if _, err := Compile(text, opt); (err == nil) != file {
				t.Errorf("%s of a file, %s: %v", text, linkName(link), err)
			}
			opt.Origin = OriginLive
			p, err := Compile(text, opt)
			if err != nil {
				t.Errorf("%s, %s: %v", text, linkName(link), err)
				continue
			}
			for meta, want := range map[ir.Meta]bool{
				{Len: 60, Type: ir.PacketOutgoing, Ifindex: 2}: text != "inbound",
				{Len: 60, Type: ir.PacketHost, Ifindex: 1}:     text == "inbound",
			} {
				data := make([]byte, 60)
				data[1], data[10], data[7] = byte(meta.Type), byte(meta.Type), byte(meta.Ifindex)
				if link == random.SLL {
					data[10] = 0
				}
				if got := p.Match(data, meta); got != want {
					t.Errorf("%s, %s, %+v: %v", text, linkName(link), meta, got)
				}
			}
		}
	}
}

// TestByteOrder compares LINKTYPE_NULL of a machine of the other byte order.
func TestByteOrder(t *testing.T) {
	f := testFile(t, random.Null, 20, 400)
	f.opt.BigEndian = true
	for _, p := range f.packets {
		if len(p) >= 4 {
			slices.Reverse(p[:4])
		}
	}
	// The byte order of a file is that of its headers.
	b := binary.BigEndian.AppendUint32(nil, 0xa1b2c3d4)
	b = append(b, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, random.Null)
	for n, p := range f.packets {
		for _, v := range []int{n, 0, len(p), f.lengths[n]} {
			b = binary.BigEndian.AppendUint32(b, uint32(v))
		}
		b = append(b, p...)
	}
	if err := os.WriteFile(f.file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	selected := f.compare(t, []string{"ip", "ip6", "not ip", "arp", "host 10.0.0.1", "port 80", "icmp6", "tcp[0] > 0", "ip6[6] = 6", "geneve and ip", "link[3] = 2"})
	if selected[0] == 0 || selected[1] == 0 {
		t.Error("no IP packet was selected: the test says little")
	}
}

// TestDead compares what is accepted for a program that is only printed with tcpdump -d,
// for part of the tables. There 1.10.3 takes the capture for a live one.
func TestDead(t *testing.T) {
	oracle.NeedTcpdump(t)
	all := append(table(t, "testdata/primitives.txt"), table(t, "testdata/refused.txt")...)
	asked := 0
	for _, link := range random.Links() {
		opt := testOptions()
		opt.LinkType, opt.Names = header.LinkType(link), oracle.Names{}
		for _, e := range all {
			if always := e.text == "inbound" || e.text == "outbound" || e.text == "ifindex 2" || e.text == "vlan"; !always && !one(120, link+1000, e.text) {
				continue
			}
			asked++
			out, err := exec.Command("tcpdump", "-y", linkName(link), "-O", "-d", "--", e.text).CombinedOutput()
			if _, ours := Compile(e.text, opt); (ours == nil) != (err == nil) {
				t.Errorf("%s: %s\nwe say %v, tcpdump says %s", linkName(link), e.text, ours, out)
			}
		}
	}
	if asked < 60 {
		t.Errorf("only %d expressions", asked)
	}
}
