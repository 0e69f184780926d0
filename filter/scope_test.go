package filter

import (
	"encoding/binary"
	"slices"
	"testing"

	"github.com/gopacket/gopacket/layers"

	"github.com/tundump/tundump/filter/header"
	"github.com/tundump/tundump/filter/ir"
	"github.com/tundump/tundump/testdata/oracle"
	"github.com/tundump/tundump/testdata/random"
)

// The least of each header; the rest is 0.
func etherBytes(kind uint16) []byte { return binary.BigEndian.AppendUint16(make([]byte, 12), kind) }
func ip4Bytes(protocol byte) []byte {
	return slices.Concat([]byte{0x45, 8: 0, 9: protocol}, make([]byte, 10))
}
func udpBytes(dport uint16) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint16([]byte{0, 0}, dport), 0)
}
func vxlanBytes(vni uint32) []byte {
	return binary.BigEndian.AppendUint32([]byte{8, 0, 0, 0}, vni<<8)
}

// TestScopesAreLevels compares what holds inside a tunnel with what the real tcpdump says of
// the packet in it: "inner 1 E" on a packet is E on its inner frame. Left out is where
// scopes are wanted to be different: behind tags, labels and extension headers, and bytes
// of transport headers behind IPv6.
func TestScopesAreLevels(t *testing.T) {
	g := random.New(11)
	llc := func(b ...byte) []byte {
		return slices.Concat([]byte{1, 0x80, 0xc2, 0, 0, 0, 0x52, 0x54, 0, 0, 0, 1, 0, byte(len(b))}, b, make([]byte, 40))
	}
	typed := func(kind uint16, b ...byte) []byte {
		return slices.Concat([]byte{0x52, 0x54, 0, 0, 0, 2, 0x52, 0x54, 0, 0, 0, 1, byte(kind >> 8), byte(kind)}, b, make([]byte, 40))
	}
	frames := [][]byte{
		llc(0x42, 0x42, 3), llc(0xfe, 0xfe, 3, 0x83, 27, 1, 0, 15), llc(0xfe, 0xfe, 3, 0x82), llc(0xe0, 0xe0, 3), llc(0xff, 0xff, 0, 30),
		llc(0xf0, 0xf0, 1, 1), llc(0xaa, 0xaa, 3, 8, 0, 7, 0x80, 0x9b), llc(0xaa, 0xaa, 3, 0, 0, 0, 0x80, 0xf3), llc(0x10, 0x10, 0x63), llc(0x10, 0x10, 0x02),
		typed(0x6003, 0, 0, 2, 1, 4, 2, 4), typed(0x6003, 0, 0, 0x81, 2, 1, 4, 2, 4), typed(0x6004), typed(0x6002), typed(0x809b), typed(0x8137), typed(0x8863),
	}
	table := testOptions().Table
	for len(frames) < 1500 {
		p := g.Packet(0)
		if len(p) < 60 {
			continue
		}
		typ := uint32(p[12])<<8 | uint32(p[13])
		if slices.ContainsFunc(table.Header(header.Ether).Next.Rules, func(r header.Rule) bool {
			return r.Value == typ && table.Header(r.To).Class != header.Network
		}) {
			continue
		}
		if p[12] == 0x86 && p[13] == 0xdd && slices.Contains([]byte{0, 43, 44, 51, 60}, p[20]) || p[12] == 8 && p[13] == 0 && (p[23] == 51 || p[14]>>4 != 4 || p[14]&15 < 5) {
			continue
		}
		frames = append(frames, p)
	}
	var packets [][]byte
	for _, p := range frames {
		packets = append(packets, slices.Concat(etherBytes(0x0800), ip4Bytes(17), udpBytes(4789), vxlanBytes(7), p))
	}
	file := oracle.Write(t, layers.LinkTypeEthernet, frames, nil)
	opt := testOptions()
	matched := 0
	for _, text := range []string{
		"ip", "ip6", "arp", "rarp", "tcp", "udp", "sctp", "icmp", "icmp6", "igmp", "pim", "esp", "ether proto 0x88cc",
		"ip[8] = 64", "ip[0] & 0xf = 5", "ip[2:2] > 60", "ip[12:4] = 0x0a000001", "ip6[6] = 6", "arp[6:2] = 1", "rarp[7] = 2",
		"tcp[tcpflags] & tcp-ack != 0 and ip", "udp[4:2] > 10 and ip", "icmp[icmptype] = icmp-echo", "sctp[0:2] = 80 and ip", "icmp6[0] = 128",
		"ip[2:2] - ((ip[0] & 0xf) << 2) > 20", "tcp[(tcp[12] & 0xf0) >> 2] = 0 and ip", "ip[ip[9]] < 100", "ip[6:2] % 3 * 2 + 1 > 1 ^ ip[8]",
		"ether[0] & 1 = 0", "ether[12:2] = 0x0800", "link[5] = 2", "len > 80", "len - 14 <= 50", "less 70", "greater 71", "byte 5 & 1", "byte 11 < 2", "byte 0 = 0x52",
		"broadcast", "multicast", "ip multicast", "ip6 multicast", "ip broadcast", "ether host 52:54:00:00:00:01", "ether src 52:54:00:00:01:02",
		"host 10.0.0.1", "src host 10.0.0.2", "dst net 10.1", "net 10.0.0.0 mask 255.0.0.3", "ip6 host 2001:db8::1", "net 2001:db8:1::/48", "arp host 10.0.0.1",
		"port 80", "src port 53", "udp dst port 443", "portrange 53-443", "ip proto 17", "ip6 proto 6", "proto 132",
		"ip protochain 6", "ip6 protochain 17", "protochain 58",
		"llc", "llc u", "llc i", "llc s", "llc ua", "stp", "iso", "esis", "isis", "l1", "iih", "clnp", "ipx", "netbeui", "atalk", "aarp", "decnet", "lat", "moprc", "pppoed",
		"ether proto 0x42", "ether proto 0xf0", "decnet src 1.2", "decnet host 1.2",
	} {
		p, err := Compile("inner 1 ("+text+")", opt)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		want, plain := oracle.Tcpdump(t, file, text), oracle.Tcpdump(t, file, text, "-O")
		if text == "ip multicast" || text == "byte 5 & 1" || text == "l1" || text == "iih" {
			want, plain = nil, nil // Debian's libpcap differs from 1.11
		}
		for n, data := range packets {
			got := p.Match(data, ir.Meta{Len: uint32(len(data))})
			if got {
				matched++
			}
			if want != nil && got != want[n] && got != plain[n] {
				t.Errorf("inner 1 (%s)\non %x\nis %v, tcpdump says %v of the inner frame", text, data, got, want[n])
				break
			}
		}
	}
	if matched < len(packets) {
		t.Errorf("%d matches say little", matched)
	}
}

// TestScopedShifts checks vlan, mpls and pppoes inside scopes: they look through all that
// stands between a level's link header and its network header, and move nothing.
func TestScopedShifts(t *testing.T) {
	inner := slices.Concat(etherBytes(0x8100), []byte{0, 7, 0x88, 0xa8, 0, 8, 0x88, 0x47}, []byte{0, 6, 0x40, 64, 0, 6, 0x51, 64}, ip4Bytes(6), make([]byte, 20))
	session := slices.Concat(etherBytes(0x8100), []byte{0, 7, 0x88, 0x64}, []byte{0x11, 0, 0, 9, 0, 42, 0, 0x21}, ip4Bytes(17), udpBytes(53))
	for _, c := range []struct {
		text  string
		inner []byte
		want  bool
	}{
		{"vlan", inner, true}, {"vlan 7", inner, true}, {"vlan 8", inner, true}, {"vlan 9", inner, false}, {"vlan 7 and vlan 8", inner, true}, {"vlan 8 and vlan 7", inner, true},
		{"mpls", inner, true}, {"mpls 100", inner, true}, {"mpls 101", inner, true}, {"mpls 102", inner, false}, {"pppoes", inner, false},
		{"pppoes", session, true}, {"pppoes 9", session, true}, {"pppoes 8", session, false}, {"vlan 7 and pppoes 9", session, true}, {"mpls", session, false},
		{"vlan", slices.Concat(etherBytes(0x0800), ip4Bytes(6)), false}, {"mpls", slices.Concat(etherBytes(0x8847), []byte{0, 6, 0x41}), true}, {"mpls 100", slices.Concat(etherBytes(0x8847), []byte{0, 6, 0x41}), false},
	} {
		for _, scope := range []string{"inner", "outer"} {
			data := c.inner
			if scope == "inner" {
				data = slices.Concat(etherBytes(0x0800), ip4Bytes(17), udpBytes(4789), vxlanBytes(7), c.inner)
			}
			p, err := Compile(scope+" ("+c.text+")", testOptions())
			if err != nil {
				t.Fatal(err)
			}
			if got := p.Match(data, ir.Meta{Len: uint32(len(data))}); got != c.want {
				t.Errorf("%s (%s) on %x is %v", scope, c.text, data, got)
			}
		}
	}
	// Packets without a link header have none of them.
	opt := testOptions()
	opt.LinkType = header.LinkRaw
	p, err := Compile("outer vlan or outer mpls or outer pppoes", opt)
	if err != nil {
		t.Fatal(err)
	}
	if p.Match(slices.Concat(ip4Bytes(6), make([]byte, 20)), ir.Meta{Len: 40}) {
		t.Error("a raw packet has a tag")
	}
}
