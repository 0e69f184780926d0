package stack_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/bits"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/gopacket/gopacket/layers"

	"github.com/tundump/tundump/filter"
	"github.com/tundump/tundump/filter/header"
	"github.com/tundump/tundump/filter/ir"
	"github.com/tundump/tundump/filter/stack"
	"github.com/tundump/tundump/testdata/oracle"
	"github.com/tundump/tundump/testdata/random"
)

func parse(t *testing.T, text string) *stack.Stack {
	t.Helper()
	s, err := stack.Parse(table(), text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func table() *header.Table { return header.New(random.Ports()) }

// The builders below know the layouts from their RFCs, and not from the table.

func cat(parts ...[]byte) []byte { return slices.Concat(parts...) }

func be(size int, v uint64) []byte { return binary.BigEndian.AppendUint64(nil, v)[8-size:] }

// frame is an Ethernet header, with tags that each are a tag's identifier.
func frame(etherType uint64, tags ...uint64) []byte {
	b := []byte{2, 0, 0, 0, 0, 0xb, 2, 0, 0, 0, 0, 0xa}
	for _, tag := range tags {
		b = cat(b, be(2, 0x8100), be(2, tag))
	}
	return cat(b, be(2, etherType))
}

func ip4(options int, proto byte, src, dst string) []byte {
	b := cat([]byte{byte(0x45 + options/4), 0, 0, 100, 0, 0, 0, 0, 64, proto, 0, 0},
		netip.MustParseAddr(src).AsSlice(), netip.MustParseAddr(dst).AsSlice())
	return cat(b, bytes.Repeat([]byte{1}, options))
}

func ip6(next byte, src, dst string) []byte {
	return cat([]byte{0x60, 0, 0, 0, 0, 100, next, 64}, netip.MustParseAddr(src).AsSlice(), netip.MustParseAddr(dst).AsSlice())
}

func udp(port uint64) []byte { return cat(be(2, 49152), be(2, port), be(2, 100), be(2, 0)) }

func arp(src, dst string) []byte {
	return cat([]byte{0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1}, netip.MustParseAddr(src).AsSlice(), make([]byte, 6), netip.MustParseAddr(dst).AsSlice())
}

// TestLayouts gives the expressions of stacks to tcpdump, with packets that have
// these layers, some from and to the host, and some between others.
func TestLayouts(t *testing.T) {
	const (
		a4, b4, c4 = "10.5.5.5", "10.1.0.1", "192.168.0.1"
		a6, b6, c6 = "2001:db8::5", "2001:db8:0:1::5", "2001:db8::6"
		key        = 0x2a
	)
	outer4 := func(options int, proto byte) []byte { return ip4(options, proto, "192.0.2.1", "192.0.2.2") }
	outer6 := func(next byte) []byte { return ip6(next, "2001:db8::1", "2001:db8::2") }
	gre := func(flags, typ uint64, words ...uint64) []byte {
		b := cat(be(2, flags), be(2, typ))
		for _, w := range words {
			b = cat(b, be(4, w))
		}
		return b
	}
	tcp := make([]byte, 20)
	for _, test := range []struct {
		stack, start string
		packet       func(src, dst string) []byte
		a, b, c      string
		want         string // the expression for a
	}{
		{"ip/gre,key/ether/ip", "14 34 42 56", func(src, dst string) []byte {
			return cat(frame(0x800), outer4(0, 47), gre(0x2000, 0x6558, key), frame(0x800), ip4(0, 6, src, dst), tcp)
		}, a4, b4, c4, "ip proto 47 and (ip[54:4] = 0x0a050505 or ip[58:4] = 0x0a050505)"},
		{"ip/gre/ip", "14 34 38", func(src, dst string) []byte {
			return cat(frame(0x800), outer4(0, 47), gre(0, 0x800), ip4(0, 6, src, dst), tcp)
		}, a4, b4, c4, "ip proto 47 and (ip[36:4] = 0x0a050505 or ip[40:4] = 0x0a050505)"},
		{"ip/gre,csum,key,seq/ether/ip6", "14 34 50 64", func(src, dst string) []byte {
			return cat(frame(0x800), outer4(0, 47), gre(0xb000, 0x6558, 0, key, 1), frame(0x86dd), ip6(6, src, dst), tcp)
		}, a6, b6, c6, "ip proto 47 and ((ip[58:4] = 0x20010db8 and ip[62:4] = 0x00000000 and ip[66:4] = 0x00000000 and ip[70:4] = 0x00000005)" +
			" or (ip[74:4] = 0x20010db8 and ip[78:4] = 0x00000000 and ip[82:4] = 0x00000000 and ip[86:4] = 0x00000005))"},
		{"vlan/ip/udp/vxlan/ether/vlan/ip", "14 18 38 46 54 68 72", func(src, dst string) []byte {
			return cat(frame(0x800, 100), outer4(0, 17), udp(4789), be(8, 0x08000000_0007d000), frame(0x800, 7), ip4(0, 6, src, dst), tcp)
		}, a4, b4, c4, "vlan and ip and udp dst port (4789 or 8472) and (ip[66:4] = 0x0a050505 or ip[70:4] = 0x0a050505)"},
		{"ip,ihl=6/gre,key/ether/arp", "14 38 46 60", func(src, dst string) []byte {
			return cat(frame(0x800), outer4(4, 47), gre(0x2000, 0x6558, key), frame(0x806), arp(src, dst))
		}, a4, b4, c4, "ip proto 47 and (ip[60:4] = 0x0a050505 or ip[70:4] = 0x0a050505)"},
		{"ip6,ext=8/gre,key/ether/ip", "14 62 70 84", func(src, dst string) []byte {
			return cat(frame(0x86dd), outer6(60), []byte{47, 0, 4, 1, 4, 1, 1, 0}, gre(0x2000, 0x6558, key), frame(0x800), ip4(0, 6, src, dst), tcp)
		}, a4, b4, c4, "(((ip6[6] = 0 or ip6[6] = 43 or ip6[6] = 60 or ip6[6] = 51) and ip6[41] = 0x00 and ip6[40] = 47)" +
			" or (ip6[6] = 44 and ip6[42:2] & 0xfff8 = 0 and ip6[40] = 47)) and (ip6[82:4] = 0x0a050505 or ip6[86:4] = 0x0a050505)"},
		{"ip/udp/geneve,opts=8/ether/ip", "14 34 42 58 72", func(src, dst string) []byte {
			return cat(frame(0x800), outer4(0, 17), udp(6081), be(8, 0x02006558_0003e800), be(8, 0x01080101_01020304), frame(0x800), ip4(0, 6, src, dst), tcp)
		}, a4, b4, c4, "ip and udp dst port 6081 and (ip[70:4] = 0x0a050505 or ip[74:4] = 0x0a050505)"},
	} {
		t.Run(strings.ReplaceAll(test.stack, "/", " "), func(t *testing.T) {
			s := parse(t, test.stack)
			var starts []string
			for _, l := range s.Layers[1:] {
				starts = append(starts, fmt.Sprint(l.Off))
			}
			if got := strings.Join(starts, " "); got != test.start {
				t.Errorf("the layers start at %s, want %s", got, test.start)
			}
			file := oracle.Write(t, layers.LinkTypeEthernet, [][]byte{
				test.packet(test.a, test.b), test.packet(test.b, test.a), test.packet(test.b, test.c), test.packet(test.a, test.c),
			}, nil)
			for _, exact := range []bool{false, true} {
				for host, want := range map[string]string{
					test.a: "map[0:true 1:true 3:true]", test.b: "map[0:true 1:true 2:true]", test.c: "map[2:true 3:true]",
				} {
					text, err := s.Expression(stack.Conditions{Hosts: []netip.Addr{netip.MustParseAddr(host)}, Exact: exact})
					if err != nil {
						t.Fatal(err)
					}
					if host == test.a && !exact && text != test.want {
						t.Errorf("the expression is\n%s, want\n%s", text, test.want)
					}
					if got := fmt.Sprint(oracle.Tcpdump(t, file, text)); got != want {
						t.Errorf("%s selects %s, want %s", text, got, want)
					}
				}
			}
		})
	}
}

// packet is a random packet, and its layers as the walk finds them.
type packet struct {
	data   []byte
	layers []token
}

// token is a layer with its options, other than ext, as in a stack.
type token struct {
	name, options string
	ext           []int // bytes of each extension header
}

// tokens describes a packet, with the knowledge of the options that this test has.
func tokens(tb *header.Table, data []byte) []token {
	var all []token
	var gtp, messages int
	for _, l := range tb.Walk(nil, header.LinkEthernet, data, header.MaxDepth) {
		n := len(all)
		switch {
		case l.Min == 0 && l.Name != "erspan1" && l.Name != "teredo" || n == 0 && l.Off == 0 && l.ID != header.Ether:
		case l.Class == header.Extension:
			all[n-1].ext = append(all[n-1].ext, int(l.Bytes))
		case l.ID == header.GTP:
			all = append(all, token{name: "gtp"})
			gtp = int(l.Off)
		case l.ID == header.GTPSeq:
			for i, name := range []string{",seq", ",npdu"} {
				if data[gtp]&(2>>i) != 0 {
					all[n-1].options += name
				}
			}
		case l.ID == header.GTPOpt:
		case l.ID == header.GTPExt:
			messages += int(l.Bytes)
		case l.ID == header.GTPEnd:
			all[n-1].options = fmt.Sprintf(",ext=%d", messages)
			messages = 0
		case l.ID == header.VLAN && l.Off >= 2 && l.Level > 0 && binary.BigEndian.Uint16(data[l.Off-2:]) != 0x8100:
			all = append(all, token{name: "qinq"})
		case l.ID == header.IP && data[l.Off]&0xf != 5:
			all = append(all, token{name: "ip", options: fmt.Sprintf(",ihl=%d", data[l.Off]&0xf)})
		case l.ID == header.GRE:
			options := ""
			for i, name := range []string{",csum", "", ",key", ",seq"} {
				if data[l.Off]&(0x80>>i) != 0 {
					options += name
				}
			}
			all = append(all, token{name: "gre", options: options})
		case l.ID == header.PPTP:
			options := ""
			if data[l.Off]&0x10 != 0 {
				options = ",seq"
			}
			if data[l.Off+1]&0x80 != 0 {
				options += ",ack"
			}
			all = append(all, token{name: "pptp", options: options})
		case l.ID == header.Geneve && l.Bytes > 8:
			all = append(all, token{name: "geneve", options: fmt.Sprintf(",opts=%d", l.Bytes-8)})
		case l.ID == header.NSH && l.Bytes > 8:
			all = append(all, token{name: "nsh", options: fmt.Sprintf(",context=%d", l.Bytes-8)})
		case l.ID == header.GUE && l.Bytes > 4:
			all = append(all, token{name: "gue", options: fmt.Sprintf(",opts=%d", l.Bytes-4)})
		case l.ID == header.ERSPAN3 && data[l.Off+11]&1 != 0:
			all = append(all, token{name: "erspan3", options: ",platform"})
		case l.ID == header.TeredoAuth:
			options := ""
			for i, name := range []string{"id", "value"} {
				if n := data[int(l.Off)+2+i]; n > 0 {
					options += fmt.Sprintf(",%s=%d", name, n)
				}
			}
			all = append(all, token{name: "auth", options: options})
		default:
			all = append(all, token{name: l.Name})
		}
	}
	return all
}

// starts reports whether a packet starts with the stack; full says that the length
// of the stack's last layer matters in any case.
func starts(p packet, text string, full bool) bool {
	want := strings.Split(text, "/")
	if want[0] != "ether" {
		want = append([]string{"ether"}, want...)
	}
	if len(p.layers) < len(want) {
		return false
	}
	network := false
	for i, w := range want {
		name, options, given := strings.Cut(w, ",")
		ext := 0
		if j := strings.Index(w, ",ext="); j >= 0 && name != "gtp" {
			fmt.Sscan(w[j+len(",ext="):], &ext)
			options = strings.TrimPrefix(w[:j], name)
		} else if given {
			options = "," + options
		}
		got := p.layers[i]
		if !network && name == "qinq" { // libpcap's vlan takes both kinds
			name = "vlan"
		}
		network = network || slices.Contains([]string{"ip", "ip6", "arp", "pbb", "nsh", "pw"}, name) || i > 0 && name == "ether"
		last := i == len(want)-1
		if got.name != name {
			return false
		}
		if last && !given && !full {
			continue
		}
		if got.options != options {
			return false
		}
		sum, ok := 0, ext == 0
		for _, n := range got.ext {
			sum += n
			ok = ok || sum == ext
		}
		if !last || full {
			ok = sum == ext
		}
		if !ok {
			return false
		}
	}
	return true
}

// TestRandom compares expressions for random stacks and conditions with what the filter
// language selects, on random packets with all kinds of stacks.
func TestRandom(t *testing.T) {
	tb := table()
	g := random.New(7)
	var packets []packet
	var data [][]byte
	var stacks []string
	for len(packets) < 10000 {
		cuts := g.Made["cut"]
		p := packet{data: g.Packet(3)}
		if g.Made["cut"] > cuts {
			continue // where a packet must be cut not to be selected is not the stack's business
		}
		walked := tb.Walk(nil, header.LinkEthernet, p.data, header.MaxDepth)
		last := walked[len(walked)-1]
		if h := tb.Header(last.Follows(p.data)); h != nil && !last.Later && int(last.End()+h.Min) > len(p.data) {
			continue // likewise: a header that is too short
		}
		p.layers = tokens(tb, p.data)
		text := stack.Of(tb, walked, p.data)
		if !starts(p, text, true) {
			t.Fatalf("%x\nhas not the stack %s", p.data, text)
		}
		// The stack may end anywhere, and in front there are more packets with it.
		names := strings.Split(text, "/")
		stacks = append(stacks, strings.Join(names[:1+min(g.IntN(len(names)), g.IntN(len(names)))], "/"), text)
		packets, data = append(packets, p), append(data, p.data)
	}
	file := oracle.Write(t, layers.LinkTypeEthernet, data, nil)

	wanted := combinations(t, tb)
	var selected, cases int
	done := map[string]bool{}
	for _, text := range stacks {
		// Once there are enough, only those that try something new.
		news := slices.ContainsFunc(combined(text), func(c string) bool { return wanted[c] })
		if done[text] || !news && cases >= random.Rounds(300) {
			continue
		}
		done[text] = true
		s, err := stack.Parse(tb, text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		c, want, ok := condition(g, s)
		if !ok {
			continue
		}
		exact := c
		exact.Exact = true
		short, err := s.Expression(c)
		if err != nil {
			if strings.Contains(err.Error(), "at most 32 bytes") {
				continue
			}
			t.Fatalf("%s, %s: %v", text, want, err)
		}
		long, err := s.Expression(exact)
		if err != nil {
			t.Fatalf("%s, %s: %v", text, want, err)
		}
		cases++
		for _, c := range combined(text) {
			delete(wanted, c)
		}
		prog, err := filter.Compile(want, filter.Options{LinkType: header.LinkEthernet, Table: tb, Depth: header.MaxDepth})
		if err != nil {
			t.Fatalf("%q: %v", want, err)
		}
		gotShort, gotLong := oracle.Tcpdump(t, file, short), oracle.Tcpdump(t, file, long)
		for n, p := range packets {
			has := starts(p, text, len(c.Ports)+len(c.Protos) > 0)
			hit := has && prog.Match(p.data, ir.Meta{Len: uint32(len(p.data))})
			if hit {
				selected++
			}
			if gotLong[n] != hit || has && gotShort[n] != hit {
				t.Fatalf("%s, %s\non %x\nis %v, tcpdump says %v to %s\nand %v to %s", text, want, p.data, hit, gotLong[n], long, gotShort[n], short)
			}
		}
	}
	t.Logf("%d expressions, which selected %d packets", cases, selected)
	if len(wanted) > 0 {
		t.Errorf("never tried: %v", wanted)
	}
	if selected < 10*cases {
		t.Errorf("%d expressions selected only %d packets: the test says little", cases, selected)
	}
}

// combinations returns what must have been tried: each header that may follow
// another, and each option.
func combinations(t *testing.T, tb *header.Table) map[string]bool {
	all := map[string]bool{
		"ip,ihl=6": true, "ip,ext=24": true, "ip6,ext=8": true, "ip6,ext=16": true, "ip6,ext=24": true,
		"geneve,opts=4": true, "geneve,opts=8": true, "geneve,opts=252": true,
		"gtp,seq": true, "gtp,npdu": true, "gtp,seq,npdu": true, "gtp,ext=0": true, "gtp,ext=4": true, "gtp,ext=8": true, "gtp,ext=12": true, "gtp,ext=20": true,
		"nsh,context=16": true, "nsh,context=28": true, "gue,opts=4": true, "gue,opts=124": true, "erspan3,platform": true,
		"pptp,seq": true, "pptp,ack": true, "pptp,seq,ack": true, "auth,id=5": true, "auth,value=5": true, "auth,id=1,value=2": true,
	}
	for flags := 1; flags < 8; flags++ {
		text := "gre"
		for i, name := range []string{",csum", ",key", ",seq"} {
			if flags>>i&1 != 0 {
				text += name
			}
		}
		all[text] = true
	}
	front := map[string]string{ // how to come to a header
		"ether": "", "vlan": "", "qinq": "", "ip": "", "ip6": "", "arp": "",
		"tcp": "ip/", "udp": "ip/", "sctp": "ip/", "icmp": "ip/", "icmp6": "ip6/", "gre": "ip/",
		"erspan1": "ip/gre/", "erspan2": "ip/gre,seq/", "vxlan": "ip/udp/", "geneve": "ip/udp/",
		"mpls": "", "pppoe": "", "pbb": "", "nsh": "", "pw": "mpls/", "erspan3": "ip/gre,seq/", "wccp": "ip/gre/", "pptp": "ip/",
		"gpe": "ip/udp/", "gtp": "ip/udp/", "etherip": "ip/", "l2tp": "ip/", "l2spec": "ip/l2tp/", "hdlc": "ip/pptp,seq/",
		"ppp": "ip/pptp,seq/hdlc/", "ppp1": "ip/pptp,seq/hdlc/", "teredo": "ip/udp/", "auth": "ip/udp/teredo/",
		"origin": "ip/udp/teredo/", "gue": "ip/udp/",
	}
	for _, h := range tb.All() {
		if _, ok := front[h.Name]; !ok && !slices.Contains([]string{"sll", "sll2", "null", "pppframe", "hopopts", "routing", "frag", "dstopts", "ah", "ipip", "ipip6",
			"gtpseq", "gtpopt", "gtpext", "gtpend", "mplsip", "pwraw"}, h.Name) {
			t.Errorf("this test does not know how to come to %s", h.Name)
		}
	}
	for a, f := range front {
		for b := range front {
			for _, seq := range []string{"", ",seq"} {
				if a != "gre" && a != "pptp" {
					seq = ""
				}
				if _, err := stack.Parse(tb, f+a+seq+"/"+b); err == nil {
					all[a+"/"+b] = true
				}
			}
		}
	}
	return all
}

// combined returns what a stack tries of that.
func combined(text string) []string {
	var all []string
	names := strings.Split(text, "/")
	for i, n := range names {
		all = append(all, n)
		a, _, _ := strings.Cut(n, ",")
		if i+1 < len(names) {
			b, _, _ := strings.Cut(names[i+1], ",")
			all = append(all, a+"/"+b)
		}
	}
	return all
}

// condition makes a condition that the stack can have, and the same in the filter
// language.
func condition(g *random.Gen, s *stack.Stack) (c stack.Conditions, text string, ok bool) {
	scope := func(level int) string {
		if level == 0 {
			return "outer "
		}
		return fmt.Sprintf("inner %d ", level)
	}
	level := s.Innermost()
	last := s.Layers[len(s.Layers)-1]
	var choices []func()
	for _, l := range s.Layers {
		if l.Level != level {
			continue
		}
		switch {
		case l.ID == header.Ether:
			choices = append(choices, func() {
				mac := [6]byte{0x52, 0x54, 0, 0, byte(g.IntN(2)), byte(1 + g.IntN(2))}
				c.MACs = append(c.MACs, mac)
				text = fmt.Sprintf("ether host %02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5])
			})
		case l.Class == header.Network:
			addr := netip.AddrFrom4([4]byte{10, byte(g.IntN(2)), 0, byte(1 + g.IntN(3))})
			if l.ID == header.IP6 {
				addr = netip.MustParseAddr(fmt.Sprintf("2001:db8:%d::%d", g.IntN(2), 1+g.IntN(3)))
			}
			choices = append(choices, func() {
				c.Hosts = append(c.Hosts, addr)
				text = "host " + addr.String()
			}, func() {
				prefix := netip.PrefixFrom(addr, 1+g.IntN(addr.BitLen())).Masked()
				c.Nets = append(c.Nets, prefix)
				text = "net " + prefix.String()
			})
			if l.ID != header.ARP {
				choices = append(choices, func() {
					n := []uint8{1, 4, 6, 17, 41, 47, 58, 132}[g.IntN(8)]
					c.Protos = append(c.Protos, n)
					text = fmt.Sprintf("%s proto %d", l.Name, n)
				})
			}
			if l.ID == last.ID && l.ID != header.ARP {
				choices = append(choices, func() {
					n := []uint16{22, 53, 80, 443, 1024, 4789}[g.IntN(6)]
					c.Ports = append(c.Ports, n)
					text = fmt.Sprintf("port %d", n)
				})
			}
		case l.ID == header.TCP, l.ID == header.UDP, l.ID == header.SCTP:
			choices = append(choices, func() {
				n := []uint16{22, 53, 80, 443, 1024, 4789}[g.IntN(6)]
				c.Ports = append(c.Ports, n)
				text = fmt.Sprintf("port %d", n)
			})
		}
	}
	if len(choices) > 0 {
		choices[g.IntN(len(choices))]()
		text = scope(level) + "(" + text + ")"
	}
	if text != "" && g.IntN(3) > 0 {
		return c, text, true
	}
	for _, l := range slices.Backward(s.Layers) {
		f, ok := l.Field(l.TunnelID)
		if !ok {
			continue
		}
		n := []uint32{0, 1, 7, 42, 0x2a00, 0x123456}[g.IntN(6)] & (f.Mask >> bits.TrailingZeros32(f.Mask))
		if f.Mask == 0 {
			n = []uint32{0, 1, 7, 42, 0x2a00, 0x123456}[g.IntN(6)] & (1<<(8*f.Size) - 1)
		}
		c.IDs = append(c.IDs, stack.Identifier{Name: l.TunnelID, Value: n})
		if text != "" {
			text += " and "
		}
		text += fmt.Sprintf("%s%s %d", scope(l.Level), l.Word, n)
		break
	}
	return c, text, text != ""
}
