package filter

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"github.com/tundump/tundump/filter/header"
	"github.com/tundump/tundump/filter/ir"
	"github.com/tundump/tundump/testdata/random"
)

// names is a system with a few names.
type names struct{}

var errNone = errors.New("no such name")

func (names) Hosts(name string) ([]netip.Addr, error) {
	if name == "both" {
		return []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("2001:db8::1")}, nil
	}
	return nil, errNone
}

func (names) Network(name string) (netip.Prefix, error) {
	if name == "ten" {
		return netip.MustParsePrefix("10.0.0.0/8"), nil
	}
	return netip.Prefix{}, errNone
}

func (names) Port(protocol, name string) (uint16, error) {
	switch {
	case name == "domain" && protocol != "sctp", name == "inner" && protocol == "tcp":
		return 53, nil
	case name == "http" && protocol == "tcp", name == "bfd-control" && protocol == "udp":
		return 80, nil
	case name == "m3ua" && protocol == "sctp":
		return 2905, nil
	}
	return 0, errNone
}

func (names) Protocol(name string) (uint8, error) {
	if name == "gre" {
		return 47, nil
	}
	return 0, errNone
}

func (names) Ether(name string) (net.HardwareAddr, error) {
	if name == "router" {
		return net.HardwareAddr{2, 0, 0, 0, 0, 1}, nil
	}
	return nil, errNone
}

// TestEqual has pairs of expressions that mean the same.
func TestEqual(t *testing.T) {
	opt := testOptions()
	opt.Names = names{}
	for _, c := range [][2]string{
		// A value alone takes over qualifiers, scope included.
		{"inner host 10.0.0.1 or 10.0.0.2", "inner host 10.0.0.1 or inner host 10.0.0.2"},
		{"inner 2 tcp src port 80 or 81 and not 82", "inner 2 tcp src port 80 or inner 2 tcp src port 81 and not inner 2 tcp src port 82"},
		{"inner host (10.0.0.1 or 10.0.0.2)", "inner host 10.0.0.1 or inner host 10.0.0.2"},
		{"host 10.0.0.1 or (10.0.0.2 and not 10.0.0.3)", "host 10.0.0.1 or (host 10.0.0.2 and not host 10.0.0.3)"},
		{"not host 10.0.0.1 or 10.0.0.2", "(not host 10.0.0.1) or host 10.0.0.2"},
		{"host 10.0.0.1 and (tcp) or 10.0.0.2", "(host 10.0.0.1 and tcp) or host 10.0.0.2"},
		// and and or bind alike, to the left.
		{"tcp or udp and port 80", "(tcp or udp) and port 80"},
		{"tcp and udp or port 80", "(tcp and udp) or port 80"},
		// Scopes bind like not.
		{"inner tcp and udp", "(inner tcp) and udp"},
		{"outer not tcp", "outer (not tcp)"},
		{"any host 10.0.0.1", "any (src host 10.0.0.1 or dst host 10.0.0.1)"},
		// Spellings.
		{"tcp && ! udp || icmp", "tcp and not udp or icmp"},
		{"len==5", "len = 5"},
		{"100 <= len", "greater 100"},
		{"len <= 100", "less 100"},
		{"port 0x50", "port 80"},
		{"port 0120", "port 80"},
		{"portrange 90-80", "portrange 80-90"},
		{"net 10", "net 10.0.0.0/8"},
		{"net 10.1", "net 10.1.0.0 mask 255.255.0.0"},
		{"host 10.0.0", "net 10.0.0.0/24"},
		{"dst or src host 10.0.0.1", "host 10.0.0.1"},
		{"dst and src net 10", "src and dst net 10"},
		{"link src 02:00:00:00:00:01", "ether src 2-0-0-0-0-1"},
		{"ether dst 0200.0000.0001", "ether dst host 020000000001"},
		{"gre 0x2a", "gre 42"},
		// Names.
		{"host both", "host 10.0.0.1 or host 2001:db8::1"},
		{"ip host both", "ip host 10.0.0.1"},
		{"ip6 src both", "ip6 src host 2001:db8::1"},
		{"net ten", "net 10.0.0.0/8"},
		{"port domain", "port 53"},
		{"port http", "tcp port 80"},
		{"port bfd-control", "udp port 80"},
		{`tcp port \inner`, "tcp port 53"},
		{"portrange domain-http", "portrange 53-80"},
		{`ip proto \gre`, "ip proto 47"},
		{"ether host router", "ether host 02:00:00:00:00:01"},
	} {
		a, err := Compile(c[0], opt)
		if err != nil {
			t.Errorf("%s: %v", c[0], err)
			continue
		}
		b, err := Compile(c[1], opt)
		if err != nil {
			t.Errorf("%s: %v", c[1], err)
			continue
		}
		if a.String() != b.String() && !sameMatches(a, b) {
			t.Errorf("%s\nis not\n%s", c[0], c[1])
		}
	}
}

// sameMatches compares two programs on random packets.
func sameMatches(a, b *ir.Prog) bool {
	g := random.New(5)
	for range 3000 {
		p := g.Packet(3)
		if m := (ir.Meta{Len: uint32(len(p))}); a.Match(p, m) != b.Match(p, m) {
			return false
		}
	}
	return true
}

// TestErrors has what is wrong with expressions; a caret points to the column.
func TestErrors(t *testing.T) {
	opt := testOptions()
	opt.Names = names{}
	for _, c := range []struct{ text, want string }{
		{"inner host 10.5.5.", "10.5.5. is not an IPv4 address, at column 12"},
		{"host 10.0.0.1 bu host 10.0.0.2", `unexpected "bu": and, or, or the end should stand here, at column 15`},
		{"host 256.0.0.1", "256.0.0.1 is not an IPv4 address, at column 6"},
		{"host 1.2.3.4.5", "1.2.3.4.5 is not an IPv4 address, at column 6"},
		{"10.0.0.1", `unexpected "10.0.0.1": host, net, port, a protocol, inner, outer or another primitive should stand here, at column 1`},
		{strings.Repeat("a", 1000), `unexpected "` + strings.Repeat("a", 64) + `"...: host, net, port, a protocol, inner, outer or another primitive should stand here, at column 1`},
		{"tcp and", "the expression ends where a primitive such as host, port or tcp should stand, at column 8"},
		{"(tcp", `the expression ends where ")", "and" or "or" should stand, at column 5`},
		{"tcp)", `unexpected ")": and, or, or the end should stand here, at column 4`},
		{"inner", "the expression ends where a primitive such as host, port or tcp should stand, at column 6"},
		{"inner (host 10.0.0.1 and outer tcp)", `scopes do not nest: "outer" inside another scope, at column 26`},
		{"inner any tcp", `scopes do not nest: "any" inside another scope, at column 7`},
		{"inner 0 tcp", "level 0 is what is on the wire: write outer, at column 7"},
		{"inner 4 tcp", "level 4 is deeper than the 3 levels that are walked; --depth sets them, at column 7"},
		{"tcp host 10.0.0.1", `"tcp" has no addresses, at column 1`},
		{"ip port 80", `"ip" has no ports, at column 1`},
		{"ether net 10", `"ether" has no networks, at column 1`},
		{"tcp proto 5", `"tcp" has no protocol numbers, at column 1`},
		{"src proto 5", "a direction goes with host, net, port or portrange, not with proto, at column 5"},
		{"ip6 host 10.0.0.1", `"ip6" has no addresses like 10.0.0.1, at column 10`},
		{"ip host 2001:db8::1", `"ip" has no addresses like 2001:db8::1, at column 9`},
		{"port 65536", "port 65536 is larger than 65535, at column 6"},
		{"port 99999999999", "99999999999 is not a number of 32 bits, at column 6"},
		{"port nosuch", `unknown port "nosuch": no such name, at column 6`},
		{"udp port http", "\"http\" is no port of udp, at column 10"},
		{"portrange 80", ""}, // one port is a range too

		{"portrange a-b", `unknown port "a": no such name, at column 11`},
		{"portrange 80-x", `unknown port "x": no such name, at column 14`},
		{"host nosuch", `unknown host "nosuch": no such name, at column 6`},
		{"net nosuch", `unknown network "nosuch": no such name, at column 5`},
		{`proto \nosuch`, `unknown protocol "nosuch": no such name, at column 7`},
		{"proto 256", `unexpected "256": an IP protocol number from 0 to 255 should stand here, at column 7`},
		{"proto tcp", `"tcp" is a word of the language; write \tcp for something of that name, at column 7`},
		{"ether proto 65536", "65536 is no EtherType, 0 to 65535, at column 13"},
		{"ether proto 1.2", `unexpected "1.2": an EtherType, an LLC service access point or its name should stand here, at column 13`},
		{"ether host 10.0.0.1", `unexpected "10.0.0.1": a MAC address such as 52:54:00:12:34:56 should stand here, at column 12`},
		{"ether host nosuch", `unknown host "nosuch": no such name, at column 12`},
		{"host 52:54:00:12:34:56", "a MAC address needs ether in front: ether host 52:54:00:12:34:56, at column 6"},
		{"host 2001:db8", `unexpected ":": and, or, or the end should stand here, at column 10`},
		{"net 10.0.0.1/8", "10.0.0.1 has bits set outside its mask, at column 5"},
		{"net 2001:db8::1/32", "2001:db8::1 has bits set behind its first 32, at column 5"},
		{"net 10.0.0.0/33", `unexpected "33": a prefix length from 0 to 32 should stand here, at column 14`},
		{"host 10.0.0.0/8", "a mask needs net in front: net 10.0.0.0, at column 14"},
		{"net 10.0.0.0 mask 255.0.255.0", ""},
		{"net 10.0.0.0 mask 8", `unexpected "8": a mask such as 255.255.0.0 should stand here, at column 19`},
		{"vxlan 16777216", "VNI 16777216 is larger than 16777215, at column 7"},
		{"inner geneve 0x1000000", "VNI 16777216 is larger than 16777215, at column 14"},
		{"nvgre 16777216", "VSID 16777216 is larger than 16777215, at column 7"},
		{"erspan 1024", "session 1024 is larger than 1023, at column 8"},
		{"ipip 5", "ipip has no identifier, at column 6"},
		{"less", "the expression ends where a number of bytes should stand, at column 5"},
		{"len", "the expression ends where a comparison such as < or >= should stand, at column 4"},
		{"len > x", `unexpected "x": a number, len or bytes such as ip[8] should stand here, at column 7`},
		{"vlan 4096", "VLAN ID 4096 is larger than 4095, at column 6"},
		{"mpls 1048576", "MPLS label 1048576 is larger than 1048575, at column 6"},
		{"pppoes 65536", "PPPoE session 65536 is larger than 65535, at column 8"},
		{"mpls and vlan", "behind MPLS labels only IP can be looked for, not vlan, at column 10"},
		{"mpls and arp", "behind MPLS labels only IP can be looked for, at column 10"},
		{"pppoes and vlan", "packets of link type PPP have no VLAN tags, at column 12"},
		{"ip[8", `the expression ends where "]", ":" or an operator should stand, at column 5`},
		{"ip[8:3] = 1", "3 bytes cannot be loaded: 1, 2 or 4 can, at column 6"},
		{"ah[0] = 1", "ah has no bytes that could be looked at, at column 1"},
		{"len / 0 = 1", "division by zero, at column 5"},
		{"len << 32 = 1", "shift by 32, more than 31 bits, at column 5"},
		{"09 = len", "09 starts with 0, which makes it octal, and has other digits, at column 1"},
		{"len ++ 4 = 5", `"++" is no operator, at column 5`},
		{"byte 0 = 256", "256 is more than a byte holds, at column 10"},
		{"llc foo", `"foo" is no type of LLC frame, at column 5`},
		{"wlan type mgt", `"type" is about a link type or a system that tundump does not support, at column 6`},
		{"vpi 5", `"vpi" is about a link type or a system that tundump does not support, at column 1`},
		{"radio", "radio is about a link type that tundump does not support, at column 1"},
		{"arp proto 5", `"arp" has no protocol numbers, at column 1`},
		{"gateway 10.0.0.1", "a gateway needs a name, that has a MAC address in /etc/ethers and an IP address, at column 9"},
		{"inner inbound", "inbound is about the whole packet, and cannot stand inside a scope, at column 7"},
		{"decnet host 64.1", "64.1 is no DECnet address: area 0 to 63, node 0 to 1023, at column 13"},
		{"port ((80 or 443))", "a group of values cannot start with another group, at column 7"},
		{"geneve and protochain 6", "a chain of headers can be followed inside a tunnel only with a scope: inner protochain 6, at column 23"},
		{"host 10.0.0.1 and ä", "unexpected character \"ä\", at column 19"},
		{"tcp and\thost #", "unexpected character \"#\", at column 14"},
		{"tcp and 80", `"80" has no qualifiers such as host or port in front of it, at column 9`},
		{"host (10.0.0.1 or port 80)", `"port" is a word of the language; write \port for something of that name, at column 19`},
		{strings.Repeat("inner tcp and ", 40) + "udp", "the tunnels would be walked too often; what is asked of one level goes into one group, at column 1"},
		{strings.Repeat("gre or ", 257) + "udp", "more than 256 primitives that move what comes after them, at column 1793"},
		{strings.Repeat("inner tcp or ", 40) + "udp", ""},
		{strings.Repeat("(", 300) + "tcp", "more than 200 parentheses and operators inside each other, at column 201"},
		{strings.Repeat("not ", 300) + "tcp", "more than 200 parentheses and operators inside each other, at column 801"},
	} {
		_, err := Compile(c.text, opt)
		var e *Error
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%q: %v", c.text, err)
		case c.want != "" && !errors.As(err, &e):
			t.Errorf("%q: error is %v, want %s", c.text, err, c.want)
		case c.want != "" && err.Error() != c.want:
			t.Errorf("%q:\nhave %v\nwant %s", c.text, err, c.want)
		}
	}
}

func TestOptions(t *testing.T) {
	for _, c := range []struct {
		change func(*Options)
		text   string
		want   string
	}{
		{func(o *Options) { o.Depth = 0 }, "tcp", "depth 0 is not between 1 and 8"},
		{func(o *Options) { o.Depth = 9 }, "tcp", "depth 9 is not between 1 and 8"},
		{func(o *Options) { o.LinkType = 147 }, "tcp", "link type 147 is not supported by filters"},
		{func(o *Options) { o.LinkType = header.LinkRaw }, "ether host 1:2:3:4:5:6", "packets of link type RAW have no MAC addresses, at column 12"},
		{func(o *Options) { o.Names = nil }, "host a", `unknown host "a", at column 6`},
		{func(o *Options) { o.Names = nil }, "port a", `unknown port "a", at column 6`},
	} {
		opt := testOptions()
		c.change(&opt)
		if _, err := Compile(c.text, opt); err == nil || err.Error() != c.want {
			t.Errorf("%q: error is %v, want %s", c.text, err, c.want)
		}
	}
	// Inside a scope it is the level that has to have MAC addresses.
	opt := testOptions()
	opt.LinkType = header.LinkRaw
	if _, err := Compile("inner ether host 1:2:3:4:5:6 or inner (tcp and ether src 1:2:3:4:5:6)", opt); err != nil {
		t.Error(err)
	}
}

// TestLinkTypes gives the same packets a different link header, or none: what
// looks behind it comes to the same.
func TestLinkTypes(t *testing.T) {
	texts := []string{"host 10.0.0.1", "tcp port 80", "ip6", "arp", "inner host 10.0.0.1", "outer host 10.0.0.2", "any tcp", "gre and host 10.0.0.1",
		"inner ether host 52:54:00:00:00:01", "proto 47", "inner 2 ip", "outer len > 10", "net 2001:db8::/32"}
	front := map[header.LinkType]func(typ []byte) []byte{
		header.LinkSLL:  func(typ []byte) []byte { return append(make([]byte, 14), typ...) },
		header.LinkSLL2: func(typ []byte) []byte { return append(append([]byte{}, typ...), make([]byte, 18)...) },
		header.LinkRaw:  func([]byte) []byte { return nil },
		header.LinkIPv4: func([]byte) []byte { return nil },
		header.LinkIPv6: func([]byte) []byte { return nil },
		header.LinkNull: func(typ []byte) []byte { return []byte{map[byte]byte{8: 2, 0x86: 10}[typ[0]], 0, 0, 0} },
		header.LinkLoop: func(typ []byte) []byte { return []byte{0, 0, 0, map[byte]byte{8: 2, 0x86: 10}[typ[0]]} },
		header.LinkPPP:  func(typ []byte) []byte { return []byte{0xff, 3, 0, map[byte]byte{8: 0x21, 0x86: 0x57}[typ[0]]} },
	}
	if len(front)+1 != len(header.Links()) {
		t.Fatal("a link type is not tested")
	}
	for link, f := range front {
		for _, text := range texts {
			opt := testOptions()
			ether, err := Compile(text, opt)
			if err != nil {
				t.Fatal(err)
			}
			opt.LinkType = link
			other, err := Compile(text, opt)
			if err != nil {
				t.Fatal(err)
			}
			g := random.New(6)
			matched := 0
			for range 2000 {
				p := g.Packet(3)
				if len(p) < 15 {
					continue
				}
				typ := fmt.Sprintf("%x", p[12:14])
				if link == header.LinkIPv4 && typ != "0800" || link == header.LinkIPv6 && typ != "86dd" || link != header.LinkSLL && link != header.LinkSLL2 && typ != "0800" && typ != "86dd" {
					continue
				}
				if link == header.LinkRaw && p[14]>>4 != map[string]byte{"0800": 4, "86dd": 6}[typ] {
					continue // it goes by the version
				}
				if strings.HasPrefix(text, "outer") && typ != "0800" && typ != "86dd" || text != "arp" && len(p) < 14+40 {
					continue // level 0 exists only if its first header is there
				}
				q := append(f(p[12:14]), p[14:]...)
				m := ir.Meta{Len: uint32(len(p))}
				if got, want := other.Match(q, m), ether.Match(p, m); got != want {
					t.Fatalf("link type %d: %s\non %x\nis %v; behind Ethernet %v", link, text, q, got, want)
				} else if got {
					matched++
				}
			}
			if impossible := link != header.LinkSLL && link != header.LinkSLL2 && text == "arp" ||
				link == header.LinkIPv4 && (text == "ip6" || strings.Contains(text, "2001")) ||
				link == header.LinkIPv6 && (text == "host 10.0.0.1" || strings.HasPrefix(text, "outer host")); matched == 0 && !impossible {
				t.Errorf("link type %d: %s never matched", link, text)
			}
		}
	}
}

// TestPorts moves the tunnels to other ports.
func TestPorts(t *testing.T) {
	opt := testOptions()
	opt.Table = header.New(header.Ports{VXLAN: []uint16{5000}})
	p, err := Compile("vxlan", opt)
	if err != nil {
		t.Fatal(err)
	}
	packet := append(make([]byte, 12), 0x08, 0)
	packet = append(packet, 0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8)
	packet = append(packet, 0, 1, 5000>>8, 5000&0xff, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 7, 0)
	if !p.Match(packet, ir.Meta{Len: uint32(len(packet))}) {
		t.Error("VXLAN on port 5000 is not found")
	}
	packet[36], packet[37] = 4789>>8, 4789&0xff
	if p.Match(packet, ir.Meta{Len: uint32(len(packet))}) {
		t.Error("VXLAN on port 4789 is found although it was replaced")
	}
}

// TestMerge checks that neighbours with one scope are walked once.
func TestMerge(t *testing.T) {
	for text, want := range map[string]int{
		"inner tcp or inner udp":                       1,
		"inner host 10.0.0.1 or 10.0.0.2 or 10.0.0.3":  1,
		"not inner tcp and not inner udp":              1,
		"inner tcp and inner udp":                      2,
		"inner tcp or outer udp or inner 2 icmp":       3,
		"arp or inner tcp or inner udp":                1,
		"inner tcp or arp or inner udp":                2,
		"not (inner tcp or inner udp) and not any ip6": 2,
	} {
		tree, _, err := parse(text, testOptions())
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := walks(merge(tree)); got != want {
			t.Errorf("%s: %d walks, want %d", text, got, want)
		}
	}
}

func TestUsesTunnels(t *testing.T) {
	for text, want := range map[string]bool{"": false, "host 10.0.0.1 or not tcp": false, "not (tcp or inner udp)": true, "gre": true, "inner (": false} {
		if got := UsesTunnels(text, testOptions()); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

// TestEarlyReject checks that plain TCP is rejected after a handful of loads.
func TestEarlyReject(t *testing.T) {
	p, err := Compile("inner host 10.5.5.5", testOptions())
	if err != nil {
		t.Fatal(err)
	}
	tcp := append(make([]byte, 12), 0x08, 0)
	tcp = append(tcp, 0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 10, 5, 5, 5, 10, 5, 5, 6)
	tcp = append(tcp, make([]byte, 20)...)
	if loads := countLoads(p, tcp); loads > 4 {
		t.Errorf("plain TCP is rejected after %d loads", loads)
	}
}

// countLoads runs a program with every block's loads counted.
func countLoads(p *ir.Prog, data []byte) int {
	// The longest prefix of the path is found by making one block after the other accept.
	loads := 0
	for n, b := range p.Blocks {
		q := &ir.Prog{Blocks: append([]ir.Block(nil), p.Blocks...), Heads: p.Heads}
		q.Blocks[n] = ir.Block{Code: b.Code, Cond: ir.Always, A: ir.NoReg, B: ir.Imm(0), True: ir.Accept, False: ir.Accept}
		if q.Match(data, ir.Meta{Len: uint32(len(data))}) {
			for _, i := range b.Code {
				if i.Op == ir.Load {
					loads++
				}
			}
		}
	}
	return loads
}

// FuzzCompile compiles any text: without a panic, with a place in every error, and
// with a program that holds what it promises.
func FuzzCompile(f *testing.F) {
	g := random.New(7)
	for range 50 {
		f.Add(g.Expr(4))
	}
	for _, s := range []string{"(", "host ::", "portrange -", "inner 1", `\`, "net 1 mask", "a-b", "ether host 1.2.3", "len<=", "host 10.0.0.1/",
		"host in { 10.0.0.1, 2001:db8::/32 }", "inner (port in { 80, 1-2 } or gre in {0x7})", "net in @file", "0%1%1", "@\"a\nb\"", "host in @\"\n\"", "{", "@", "in {}"} {
		f.Add(s)
	}
	opt := testOptions()
	opt.Names = names{}
	opt.Sets = NewSets(memory{"file": "10.0.0.1\n"}.open)
	packet := random.New(8).Packet(3)
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 1<<16 {
			return
		}
		p, err := Compile(text, opt)
		if err != nil {
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("%q: %v", text, err)
			}
			if e.Pos < 0 || e.Pos > e.End || e.End > len(text) || e.Text != text || strings.Contains(e.Msg, "\n") {
				t.Fatalf("%q: %#v", text, e)
			}
			return
		}
		meta := ir.Meta{Len: uint32(len(packet))}
		match := p.Match(packet, meta)
		if p.Likely == nil {
			return
		}
		likely := p.Likely()
		q := p.Shortcut(likely, func(ir.Block) bool { return true })
		if q == nil {
			return
		}
		if err := q.Verify(); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if got, sure := q.Sure(packet, meta); sure && got != match {
			t.Fatalf("%q: the shortcut says %v, Match says %v\n%v", text, got, match, q)
		}
		for _, l := range likely {
			meta := ir.Meta{Len: uint32(len(l.Data))}
			if got, sure := q.Sure(l.Data, meta); sure && got != p.Match(l.Data, meta) {
				t.Fatalf("%q on %x: the shortcut says %v, Match does not\n%v", text, l.Data, got, q)
			}
		}
	})
}

// FuzzMatch runs some programs on any packet, and compares with the reference.
func FuzzMatch(f *testing.F) {
	g := random.New(9)
	for n := range 40 {
		f.Add(byte(n), g.Packet(4))
	}
	opt := testOptions()
	type compiled struct {
		text   string
		tree   node
		shifts []node
		prog   *ir.Prog
	}
	var all []compiled
	for len(all) < 24 {
		text := g.Expr(4)
		tree, shifts, err := parse(text, opt)
		if err != nil {
			f.Fatal(err)
		}
		p, err := Compile(text, opt)
		if err != nil {
			f.Fatal(err)
		}
		all = append(all, compiled{text, tree, shifts, p})
	}
	f.Fuzz(func(t *testing.T, which byte, data []byte) {
		c := all[int(which)%len(all)]
		o, _ := newReference(opt, c.shifts, data, uint32(len(data))).eval(c.tree, spot{link: opt.LinkType})
		if got := c.prog.Match(data, ir.Meta{Len: uint32(len(data))}); got != (o == yes) {
			t.Fatalf("%s\non %x\nis %v", c.text, data, got)
		}
	})
}

func TestTreeIsPlain(t *testing.T) {
	// Trees are compared and copied freely; nothing in them may be shared state.
	a, _, _ := parse("inner (host 10.0.0.1 and tcp port 80)", testOptions())
	b, _, _ := parse("inner (host 10.0.0.1 and tcp port 80)", testOptions())
	if !reflect.DeepEqual(a, b) {
		t.Error("the same text has two trees")
	}
}
