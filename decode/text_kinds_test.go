package decode

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/tundump/tundump/capture"
	"github.com/tundump/tundump/filter/header"
)

// kind is a packet with some number in it, behind which is anything.
type kind struct {
	name   string
	number int
	frame  []byte
}

// kinds are packets with every number that a protocol, a message or an option may have.
func kinds(r *rand.Rand) (all []kind) {
	anything := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(r.Uint32())
			if r.IntN(2) == 0 {
				b[i] &= 7
			}
		}
		return b
	}
	inner := eth(header.TypeIP, ping)
	for n := range 256 {
		add := func(name string, frame []byte) { all = append(all, kind{name, n, frame}) }
		for range 3 {
			add("IP protocol", eth(header.TypeIP, ip4(n, anything(40))))
			add("IPv6 next header", eth(header.TypeIP6, ip6(n, anything(40))))
		}
		for code := range 8 {
			add("ICMP type", eth(header.TypeIP, ip4(protoICMP, bytesOf(n, code, anything(60)))))
			add("ICMPv6 type", eth(header.TypeIP6, fix(ip6(protoICMP6, bytesOf(n, code, anything(60))), protoICMP6, 2)))
			add("option of neighbour discovery", eth(header.TypeIP6, fix(ip6(protoICMP6, bytesOf("8600 0000 40 00 0708 00000000 00000000", n, code, anything(62))), protoICMP6, 2)))
			add("TCP option", eth(header.TypeIP, ip4(protoTCP, tcp(40000, 9999, 7, 8, tcpAck, bytesOf(n, code+1, anything(min(code, 7)), make([]byte, 10-min(code, 7))), nil))))
			add("IPv4 option", eth(header.TypeIP, ip4Options(bytesOf(n, code+1, anything(10)), 0, protoUDP, udp(9999, someData))))
			add("IPv6 option", eth(header.TypeIP6, ip6(protoHopOpts, bytesOf(protoNone, 1, n, code, anything(12)))))
			add("routing header", eth(header.TypeIP6, ip6(protoRouting, bytesOf(protoNone, 2, n, code, anything(20)))))
			add("IGMP type", eth(header.TypeIP, fix(ip4(protoIGMP, bytesOf(n, code, anything(20))), protoIGMP, 2)))
			add("SCTP chunk", eth(header.TypeIP, ip4(protoSCTP, bytesOf("9c40 270f 00000007 00000000", n, code, uint16(8+code*2), anything(30)))))
			add("DHCP option", eth(header.TypeIP, ip4(protoUDP, bytesOf("0044 0043", uint16(8+240+14), "0000 0101060012345678", make([]byte, 8+16+16+64+128), "63825363", n, code*2, anything(12)))))
			add("DNS type", eth(header.TypeIP, ip4(protoUDP, bytesOf("0035 9c40", uint16(8+12+6+6+10+20), "0000 1234 8180 0001 0001 0000 0000 0161 00 0001 0001 c00c", uint16(n), "0001 00000001 0014", anything(20)))))
			add("ARP operation", eth(header.TypeARP, bytesOf("0001 0800 0604", uint16(n), anything(20))))
			add("LLDP part", bytesOf("0180c200000e 020000000a01 88cc", n, code*3, anything(40)))
			add("slow protocol", bytesOf("0180c2000002 020000000a01 8809", n, code, anything(60)))
			add("LLC service", bytesOf("0180c2000000 020000000a01 0026", n, n, code, anything(40)))
			add("Ethernet type 0x88", eth(uint16(0x8800+n), anything(30)))
			add("PPP protocol 0xc0", eth(0x8864, bytesOf("11 00 0001 0020 c0", n, code, 1, "001e", anything(30))))
			add("PPPoE tag", eth(0x8863, bytesOf("11 09 0000 0020 01", n, uint16(code*2), anything(28))))
			add("GRE protocol 0x65", eth(header.TypeIP, ip4(protoGRE, bytesOf(uint16(code<<13), uint16(0x6500+n), anything(30)))))
			add("Geneve option", eth(header.TypeIP, ip4(protoUDP, udp(6081, bytesOf("04 00 6558 00000100", anything(2), n, code&3, anything(12), inner)))))
			add("VXLAN-GPE protocol", eth(header.TypeIP, ip4(protoUDP, udp(4790, bytesOf(0x0c, 0, 0, n, "00000100", anything(30))))))
		}
	}
	return all
}

// unknownKinds are those of which tcpdump knows more than we do: the README says so.
func unknownKinds() map[string]string {
	return map[string]string{
		"IP protocol 8": "EGP", "IP protocol 9": "IGRP", "IP protocol 33": "DCCP", "IP protocol 46": "RSVP", "IP protocol 55": "mobile IP", "IP protocol 77": "Sun ND", "IP protocol 88": "EIGRP",
		"IP protocol 108": "IPComp", "IP protocol 113": "PGM", "IP protocol 143": "Ethernet in IPv6, in IPv4",
		"IPv6 next header 8": "EGP", "IPv6 next header 9": "IGRP", "IPv6 next header 33": "DCCP", "IPv6 next header 46": "RSVP", "IPv6 next header 55": "mobile IP", "IPv6 next header 62": "mobility",
		"IPv6 next header 77": "Sun ND", "IPv6 next header 88": "EIGRP", "IPv6 next header 108": "IPComp", "IPv6 next header 113": "PGM", "IPv6 next header 135": "mobility",
		"IPv6 next header 143": "Ethernet in IPv6",
		"ICMPv6 type 138":      "router renumbering", "ICMPv6 type 139": "node information", "ICMPv6 type 140": "node information", "ICMPv6 type 155": "RPL",
		"IGMP type 19": "DVMRP", "IGMP type 20": "PIM version 1", "IGMP type 30": "traceroute", "IGMP type 31": "traceroute", "TCP option 13": "CC.ECHO has a name",
		"slow protocol 3": "OAM", "LLC service 224": "IPX", "LLC service 225": "IPX", "LLC service 254": "OSI", "LLC service 255": "IPX", "PPP protocol 0xc0 61": "MLPPP-CP",
		"Ethernet type 0x88 8": "MPCP", "Ethernet type 0x88 11": "PPP", "Ethernet type 0x88 111": "MS NLB", "Ethernet type 0x88 153": "Realtek", "Ethernet type 0x88 162": "AoE",
		"Ethernet type 0x88 202": "TIPC", "Ethernet type 0x88 229": "MACsec", "Ethernet type 0x88 247": "PTP",
	}
}

// TestTextKinds compares packets with every number of a protocol, a message or an option. Those that we do
// not know are a list.
func TestTextKinds(t *testing.T) {
	all := kinds(rand.New(rand.NewPCG(7, 8)))
	p := packets{link: header.LinkEthernet}
	for _, k := range all {
		p.packets = append(p.packets, capture.Packet{Time: 1e9, Len: len(k.frame), Data: k.frame})
	}
	p.disguise()
	file := p.write(t)
	unknown, differ := unknownKinds(), map[string]bool{}
	for _, form := range []form{{"normal", nil, TextOptions{}}, {"v", []string{"-v"}, TextOptions{Verbose: 1}}, {"vv", []string{"-vv"}, TextOptions{Verbose: 2}}} {
		form.opt.Depth, form.opt.AbsoluteSeq = header.MaxDepth, true
		want, got := tcpdump(t, file, append([]string{"-S"}, form.args...)...), p.print(t, form.opt)
		if len(want) != len(got) {
			t.Fatalf("%d packets, tcpdump prints %d", len(got), len(want))
		}
		told := map[string]bool{}
		for i := range got {
			if got[i] == want[i] || wanted(want[i], got[i]) {
				continue
			}
			name := fmt.Sprint(all[i].name, " ", all[i].number)
			differ[name] = true
			if unknown[name] == "" && !told[name] && len(told) < 10 {
				told[name] = true
				t.Errorf("%s: %s: % x\n%s", form.name, name, all[i].frame, differing(got[i], want[i]))
			}
		}
	}
	for name, what := range unknown {
		if !differ[name] {
			t.Errorf("%s is the same as tcpdump's: %s is known", name, what)
		}
	}
}
