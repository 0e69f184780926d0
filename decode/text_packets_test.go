package decode

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/tundump/tundump/capture"
	"github.com/tundump/tundump/filter/header"
)

// Packets made by hand, so that they can be wrong.

func bytesOf(parts ...any) []byte {
	var b []byte
	for _, p := range parts {
		switch p := p.(type) {
		case int:
			b = append(b, byte(p))
		case uint16:
			b = binary.BigEndian.AppendUint16(b, p)
		case uint32:
			b = binary.BigEndian.AppendUint32(b, p)
		case []byte:
			b = append(b, p...)
		case string: // hexadecimal
			h, err := hex.DecodeString(strings.ReplaceAll(p, " ", ""))
			if err != nil {
				panic(err)
			}
			b = append(b, h...)
		}
	}
	return b
}

func eth(typ uint16, payload []byte) []byte {
	return bytesOf("02 00 00 00 0b 01 02 00 00 00 0a 01", typ, payload)
}

func vlan(tci, typ uint16, payload []byte) []byte { return bytesOf(tci, typ, payload) }

// ip4 makes an IPv4 packet from 10.0.0.1 to 10.0.0.2.
func ip4(proto int, payload []byte) []byte { return ip4Options(nil, 0x4000, proto, payload) }

func ip4Options(options []byte, frag uint16, proto int, payload []byte) []byte {
	size := 20 + len(options)
	b := bytesOf(0x40|size/4, 0, uint16(size+len(payload)), "1234", frag, 64, proto, "0000 0a000001 0a000002", options)
	binary.BigEndian.PutUint16(b[10:], uint16(checksum(0, b)))
	return append(b, payload...)
}

// ip6 makes an IPv6 packet from 2001:db8::1 to 2001:db8::2.
func ip6(next int, payload []byte) []byte {
	return bytesOf(uint32(0x60000000), uint16(len(payload)), next, 64,
		"20010db8000000000000000000000001 20010db8000000000000000000000002", payload)
}

func udp(dport uint16, payload []byte) []byte {
	return bytesOf(uint16(40000), dport, uint16(8+len(payload)), uint16(0), payload)
}

func tcp(sport, dport uint16, seq, ack uint32, flags int, options, payload []byte) []byte {
	return bytesOf(sport, dport, seq, ack, (5+len(options)/4)<<4, flags, uint16(501), uint16(0x1234), uint16(7), options, payload)
}

// fix sets the checksum of a transport header, at offset at, in an IPv4 or IPv6 packet without options.
func fix(packet []byte, proto, at int) []byte {
	b := append([]byte(nil), packet...)
	start, addrs := 20, b[12:20]
	if b[0]>>4 == 6 {
		start, addrs = 40, b[8:40]
	}
	sum := ^checksum(uint32(proto+len(b)-start), addrs) & 0xffff
	if proto == protoICMP || proto == protoIGMP {
		sum = 0
	}
	binary.BigEndian.PutUint16(b[start+at:], 0)
	binary.BigEndian.PutUint16(b[start+at:], uint16(checksum(sum, b[start:])))
	return b
}

func gre(flags, proto uint16, fields, payload []byte) []byte {
	return bytesOf(flags, proto, fields, payload)
}

func vxlan(vni uint32, payload []byte) []byte { return bytesOf("08000000", vni<<8, payload) }

func geneve(vni uint32, proto uint16, options, payload []byte) []byte {
	return bytesOf(len(options)/4, 0, proto, vni<<8, options, payload)
}

var (
	ping     = ip4(protoICMP, bytesOf("0800 f7f3 0007 0001", make([]byte, 24)))
	ping6    = fix(ip6(protoICMP6, bytesOf("8000 0000 0007 0001", make([]byte, 24))), protoICMP6, 2)
	someData = []byte("some data")
)

// examples are Ethernet frames, several of each protocol.
func examples() map[string][][]byte {
	e4 := func(packets ...[]byte) (frames [][]byte) {
		for _, p := range packets {
			frames = append(frames, eth(header.TypeIP, p))
		}
		return frames
	}
	e6 := func(packets ...[]byte) (frames [][]byte) {
		for _, p := range packets {
			frames = append(frames, eth(header.TypeIP6, p))
		}
		return frames
	}
	both := func(proto, sumAt int, payloads ...[]byte) (frames [][]byte) {
		for _, p := range payloads {
			frames = append(frames, e4(ip4(proto, p), fix(ip4(proto, p), proto, sumAt))...)
			frames = append(frames, e6(ip6(proto, p), fix(ip6(proto, p), proto, sumAt))...)
		}
		return frames
	}
	edit := func(b []byte, at int, value ...byte) []byte {
		b = append([]byte(nil), b...)
		copy(b[at:], value)
		return b
	}
	m := map[string][][]byte{}

	m["ether"] = [][]byte{
		eth(0x88b5, someData), eth(0x88b5, someData)[:14],
		eth(header.TypeVLAN, vlan(100, header.TypeIP, ping)),
		eth(header.TypeVLAN, vlan(0xf064, header.TypeIP6, ping6)),
		eth(header.TypeQinQ, vlan(200, header.TypeVLAN, vlan(100, header.TypeIP, ping))),
		eth(0x9100, vlan(1, 0x9200, vlan(2, header.TypeVLAN, vlan(3, header.TypeQinQ, vlan(4, header.TypeVLAN, vlan(5, header.TypeIP, ping)))))),
		eth(header.TypeVLAN, vlan(100, 0x88b5, someData)),
		eth(header.TypeIP, append(ip4(protoUDP, udp(9999, nil)), make([]byte, 18)...)), // padding
		eth(header.TypeIP6, ping), eth(header.TypeIP, ping6), eth(header.TypeIP, edit(ping, 0, 0x55)), eth(header.TypeIP6, edit(ping6, 0, 0x50)),
	}

	arp := func(op uint16, tha string) []byte {
		return eth(header.TypeARP, bytesOf(uint16(1), uint16(0x800), 6, 4, op, "02000000000a", "0a000001", tha, "0a000002"))
	}
	for op := range uint16(12) {
		m["arp"] = append(m["arp"], arp(op, "000000000000"), arp(op, "02000000000b"))
	}
	m["arp"] = append(m["arp"],
		edit(arp(1, "000000000000"), 16, 0x86, 0xdd), edit(arp(1, "000000000000"), 16, 0x99, 0x99), edit(arp(1, "000000000000"), 14, 0, 6),
		edit(arp(2, "000000000000"), 18, 0), edit(arp(2, "000000000000"), 19, 3), edit(arp(2, "000000000000"), 14, 0, 99), edit(arp(2, "000000000000"), 18, 8),
		append(arp(2, "000000000000"), make([]byte, 18)...), eth(0x8035, arp(3, "02000000000b")[14:]))

	options := []string{"01010100", "00000000", "0707040a00000100", "070b080a0000010a00000200", "8307040a00000900", "8907080a00000900",
		"440c0500" + "00000001" + "00000000", "440c0501" + "0a000001" + "00000005", "440c0903" + "0a000001" + "00000005", "440c0522" + "0a000001" + "00000005",
		"94040000", "94040001", "82040000", "52040000", "55040000", "07010000", "07ff0400", "94030000", "440c05f1" + "0a000001" + "00000005", "8803120094040000"}
	for _, o := range options {
		m["ip options"] = append(m["ip options"], e4(ip4Options(bytesOf(o), 0, protoUDP, udp(9999, someData)))...)
	}
	for tos := range 4 {
		m["ip"] = append(m["ip"], e4(edit(ping, 1, byte(0xb8+tos)), edit(ping, 8, byte(tos)))...)
	}
	m["ip"] = append(m["ip"], e4(
		ip4Options(nil, 0x2000, protoUDP, udp(9999, make([]byte, 32))), ip4Options(nil, 0x2005, protoUDP, make([]byte, 32)),
		ip4Options(nil, 5, protoTCP, make([]byte, 32)), ip4Options(nil, 0x8000, protoICMP, ping[20:]), ip4Options(nil, 0x2000, protoICMP, ping[20:]),
		ip4Options(nil, 0x2000, protoTCP, tcp(40000, 9999, 1, 1, tcpAck, nil, someData)),
		edit(ping, 0, 0x44), edit(ping, 0, 0x4f), edit(ping, 2, 0xff, 0xff), edit(ping, 2, 0, 0), edit(ping, 2, 0, 10), edit(ping, 2, 0, 20), edit(ping, 2, 0, 22),
		ip4(99, someData), ip4(3, nil), ip4(protoESP, bytesOf("00000005 00000006", someData)), ip4(protoESP, bytesOf("00000005 00000006")),
		ip4(protoAH, bytesOf(protoTCP, 4, "0000 00000007 00000001 0102030405060708090a0b0c", tcp(40000, 9999, 1, 1, tcpAck, nil, nil))),
		ip4(protoAH, bytesOf(protoUDP, 2, "0001 00000007 00000001 01020304", udp(9999, nil))), ip4(protoAH, bytesOf(protoUDP, 0, "0000 00000007")),
		ip4(protoICMP6, someData), ip4(protoNone, someData), ip4(255, someData),
	)...)

	m["udp"] = both(protoUDP, 6, udp(9999, someData), udp(9999, nil), udp(9999, []byte("odd")))
	m["udp"] = append(m["udp"], e4(ip4(protoUDP, edit(udp(9999, someData), 4, 0, 7)), ip4(protoUDP, edit(udp(9999, someData), 4, 0, 8)),
		ip4(protoUDP, edit(udp(9999, someData), 4, 1, 0)), ip4(protoUDP, udp(9999, nil)[:7]), ip4(protoUDP, udp(9999, nil)[:3]), ip4(protoUDP, nil), ip4(protoUDP, edit(udp(9999, someData), 4, 0, 0)))...)

	for flags := range 256 {
		m["tcp flags"] = append(m["tcp flags"], e4(ip4(protoTCP, tcp(40000, 9999, 5, 6, flags, nil, nil)))...)
	}
	for _, o := range []string{"020405b4", "03030700", "04020101", "0101080a0000000100000002", "0101050a0000010000000200", "01010512" + "00000100" + "00000200" + "00000300" + "00000400",
		"0000", "00000000", "05060000", "050b00000000000000000001", "06060000000101ff", "0706000000010101", "0b060000000101010c06000000010101",
		"14040001", "1c048005", "1c040005", "1d0401ff", "1d0800010a0b0c0d", "1d030101", "2202" + "0101", "2206" + "01020304" + "0101",
		"22030101", "fe04f989", "fe08f98901020304", "fe041234", "fe030101", "fd04abcd", "21020101", "02", "0204", "0203ff01", "0206ff010101ffff", "02010101", "02ff0101", "04030101", "0303", "0804000001010101"} {
		b := bytesOf(o)
		for len(b)%4 != 0 {
			b = append(b, 1)
		}
		m["tcp options"] = append(m["tcp options"], e4(ip4(protoTCP, tcp(40000, 9999, 7, 8, tcpAck, b, nil)), ip4(protoTCP, tcp(9999, 40000, 7, 8, tcpAck, b, someData)))...)
	}
	m["tcp"] = both(protoTCP, 16, tcp(40001, 9999, 100, 0, tcpSyn, nil, nil), tcp(9999, 40001, 500, 101, tcpSyn|tcpAck, nil, nil),
		tcp(40001, 9999, 101, 501, tcpAck, nil, nil), tcp(40001, 9999, 101, 501, tcpAck|tcpPsh, nil, someData), tcp(9999, 40001, 501, 110, tcpAck|tcpUrg, nil, someData),
		tcp(9999, 40001, 510, 110, tcpAck|tcpFin, nil, nil), tcp(40001, 9999, 110, 511, tcpAck|tcpRst, nil, append(someData, 7, 0x83, 0x7f, 0xff)),
		tcp(40001, 9999, 110, 511, tcpRst, nil, make([]byte, 40)), tcp(7777, 7777, 1, 1, tcpAck, nil, nil), tcp(7777, 7777, 5, 5, tcpAck, nil, someData))
	short := tcp(40002, 9999, 1, 1, tcpAck, nil, nil)
	m["tcp"] = append(m["tcp"], e4(ip4(protoTCP, edit(short, 12, 0x40)), ip4(protoTCP, edit(short, 12, 0xf0)), ip4(protoTCP, short[:19]), ip4(protoTCP, short[:3]), ip4(protoTCP, nil))...)

	for code := range 18 {
		m["icmp"] = append(m["icmp"], e4(
			ip4(protoICMP, bytesOf(3, code, "0000 0000 05dc", ip4(protoUDP, udp(9999, someData)))),
			ip4(protoICMP, bytesOf(3, code, "0000 0000 0000", ip4(protoTCP, tcp(40003, 9999, 1, 1, tcpAck, nil, nil)))),
			ip4(protoICMP, bytesOf(3, code, "0000 0000 0000", ip4(99, someData))),
			ip4(protoICMP, bytesOf(3, code, "0000 0000 0000", ip4(protoUDP, udp(9999, make([]byte, 400)))[:36])))...)
		m["icmp"] = append(m["icmp"], e4(ip4(protoICMP, bytesOf(5, code, "0000 0a000009", ping)), ip4(protoICMP, bytesOf(11, code, "0000 00000000", ping)),
			ip4(protoICMP, bytesOf(12, code, "0000 05000000", ping)))...)
	}
	for typ := range 20 {
		m["icmp"] = append(m["icmp"], e4(ip4(protoICMP, bytesOf(typ, 0, "0000 0001 0002 04fd0a01 0036ee80 00000000")))...)
	}
	long := ip4(protoUDP, udp(9999, make([]byte, 100)))
	for _, extension := range []string{"2000dfff 00", "2000dffe 00", "30000000", "2000 dfff"} {
		for _, unused := range []string{"00000000", "00200000"} {
			m["icmp"] = append(m["icmp"], e4(ip4(protoICMP, bytesOf("0b00 0000", unused, long, extension)))...)
		}
	}
	for _, seconds := range []uint16{30, 1800, 9999} {
		m["icmp"] = append(m["icmp"], e4(ip4(protoICMP, bytesOf("0900 0000 02 02", seconds, "0a000001 00000000 0a000002 00000001")), ip4(protoICMP, bytesOf("0900 0000 02 03", seconds, "0a000001")))...)
	}

	e0e1 := func(b []byte) []byte { return e4(fix(ip4(protoIGMP, b), protoIGMP, 2))[0] }
	for _, s := range []string{"1100 0000 00000000", "1164 0000 00000000", "1165 0000 e0010203", "1164 0000 00000000 02 7d 0000", "118a 0000 e0010203 02 7d 0001 0a000001", "11ff 0000 e0010203 02 7d 0000",
		"110a 0000 e0010203 02 7d 0009", "1164 0000 00000000 0000", "1200 0000 e0010203", "1200 0000 e0010203 00", "1600 0000 e0010203", "1700 0000 e0010203",
		"2200 0000 0000 0001 04000000 e0010203", "2200 0000 0000 0002 0100 0001 e0010203 0a000001 0300 0000 e0010204", "2200 0000 0000 0001 09000000 e0010203", "2200 0000 0000 0002 04000000 e0010203",
		"2200 0000 0000 0001 0400 0005 e0010203", "2200 0000 0000 0001", "9900 0000 00000000"} {
		m["igmp"] = append(m["igmp"], e0e1(bytesOf(s)), e4(ip4(protoIGMP, bytesOf(s)))[0])
	}

	hop := func(next int, options string) []byte { return bytesOf(next, len(bytesOf(options))/8, bytesOf(options)) }
	for _, o := range []string{"010400000000", "000000000000", "05020000 0100", "050200000000", "0503000000 00", "1e04 01020304", "0108 00000000", "c90400000000", "c204 00000000", "c204 00020000", "c203 000200 00", "01ff 00000000", "000000000001",
		"c910 20010db8000000000000000000000009 010200 00"[:44]} {
		b := bytesOf(o)
		for len(b)%8 != 6 {
			b = append(b, 0)
		}
		for _, h := range []int{protoHopOpts, protoDstOpts} {
			m["ip6 options"] = append(m["ip6 options"], e6(ip6(h, append(hop(protoICMP6, hex.EncodeToString(b)), ping6[40:]...)), ip6(h, append(hop(protoUDP, hex.EncodeToString(b)), udp(9999, someData)...)))...)
		}
	}
	addr := "20010db80000000000000000000000ff"
	m["ip6"] = e6(ping6, edit(ping6, 0, 0x6b, 0x81, 0x23, 0x45), edit(ping6, 4, 0, 0), edit(ping6, 4, 1, 0), edit(ping6, 4, 0, 1), ip6(protoNone, nil), ip6(protoNone, someData), ip6(99, someData), ip6(protoICMP, someData), ip6(protoIGMP, someData),
		ip6(protoHopOpts, append(hop(protoDstOpts, "010400000000"), append(hop(protoHopOpts, "010400000000"), hop(protoNone, "010400000000")...)...)),
		ip6(protoDstOpts, append(hop(protoHopOpts, "010400000000"), hop(protoNone, "010400000000")...)),
		edit(ip6(protoHopOpts, append(hop(protoUDP, "010400000000"), udp(9999, someData)...)), 4, 0, 0), edit(ip6(protoDstOpts, append(hop(protoUDP, "010400000000"), udp(9999, someData)...)), 4, 0, 0),
		ip6(protoFragment, bytesOf(protoUDP, 0, "0001 00000007", udp(9999, make([]byte, 32)))), ip6(protoFragment, bytesOf(protoUDP, 0, "0029 00000007", make([]byte, 32))), ip6(protoFragment, bytesOf(protoICMP6, 0, "0000 00000007", ping6[40:])),
		ip6(protoFragment, bytesOf(protoUDP, 0, "0001 00000007")),
		ip6(protoRouting, bytesOf(protoUDP, 2, 0, 1, "00000000", addr, udp(9999, someData))), ip6(protoRouting, bytesOf(protoTCP, 2, 2, 1, "00000001", addr, tcp(40000, 9999, 1, 2, tcpAck, nil, someData))),
		ip6(protoRouting, bytesOf(protoUDP, 4, 4, 1, "01000005", addr, addr, udp(9999, someData))), ip6(protoRouting, bytesOf(protoUDP, 1, 0, 1, "00000000", "0000000000000000", udp(9999, someData))),
		ip6(protoRouting, bytesOf(protoUDP, 0, 99, 1, "00000000", udp(9999, someData))),
		ip6(protoAH, bytesOf(protoUDP, 2, "0000 00000007 00000001 01020304", udp(9999, someData))),
		edit(ping6, 8, make([]byte, 10)...), edit(ping6, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 1), edit(ping6, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 10, 0, 0, 1), edit(ping6, 8, make([]byte, 16)...), edit(ping6, 8, 0x20, 1, 0, 0, 0, 1),
	)

	i6 := func(s string, payload ...byte) []byte {
		return e6(fix(ip6(protoICMP6, append(bytesOf(s), payload...)), protoICMP6, 2))[0]
	}
	quoted := ip6(protoUDP, udp(9999, someData))
	for code := range 6 {
		m["icmp6"] = append(m["icmp6"], i6("01"+hex.EncodeToString([]byte{byte(code)})+"0000 00000000", quoted...), i6("03"+hex.EncodeToString([]byte{byte(code)})+"0000 00000000", quoted...),
			i6("04"+hex.EncodeToString([]byte{byte(code)})+"0000 00000028", quoted...))
	}
	for _, q := range [][]byte{ip6(protoTCP, tcp(40000, 9999, 1, 1, tcpAck, nil, nil)), ip6(99, someData), ip6(protoDstOpts, append(hop(protoUDP, "010400000000"), udp(9999, nil)...)), ip6(protoFragment, bytesOf(protoUDP, 0, "0029 00000007", make([]byte, 32))),
		ip6(protoFragment, bytesOf(protoUDP, 0, "0001 00000007", udp(9999, nil))), ip6(protoAH, bytesOf(protoUDP, 2, "0000 00000007 00000001 01020304", udp(9999, someData))), ip6(protoUDP, nil)} {
		m["icmp6"] = append(m["icmp6"], i6("0104 0000 00000000", q...))
	}
	lladdr := "0101 02000000000a"
	m["icmp6"] = append(m["icmp6"], i6("0200 0000 000005dc", quoted...), i6("8000 0000 0001 0002"), i6("8100 0000 0001 0002", 1, 2, 3), e6(ip6(protoICMP6, nil))[0], e6(ip6(protoICMP6, bytesOf(128)))[0],
		i6("8200 0000 03e8 0000"+addr), i6("8200 0000 03e8 0000"+addr+"0a7d 0000"), i6("8200 0000 9388 0000"+addr+"0293 0001"+addr), i6("8200 0000 03e8 0000"+addr+"027d 0009"+addr), i6("8200 0000 03e8 0000 00000000"),
		i6("8300 0000 0000 0000"+addr), i6("8400 0000 0000 0000"+addr),
		i6("8500 0000 00000000"+lladdr), i6("8500 0000 00000000"), i6("8500 0000 00000000 0100 02000000000a"), i6("8500 0000 00000000 0109 02000000000a"),
		i6("8600 0000 40 c8 0708 00000000 00000000"+lladdr+"0501 0000 000005dc"+"0304 40c0 00278d00 ffffffff 00000000"+addr+"1903 0000 00000258"+addr+"1801 4008 00000258 1802 4008 00000258 20010db800000000 1803 4018 ffffffff"+addr+"0701 0000 000003e8"),
		i6("8700 0000 00000000"+addr+lladdr), i6("8800 0000 e0000000"+addr+"0201 02000000000b"), i6("8800 0000 00000000"+addr), i6("8900 0000 00000000"+addr+addr+lladdr),
		i6("8f00 0000 0000 0001 0400 0000"+addr), i6("8f00 0000 0000 0002 0100 0001"+addr+addr+"0300 0000"+addr), i6("8f00 0000 0000 0001 0900 0000"+addr), i6("8f00 0000 0000 0002 0400 0000"+addr), i6("8f00 0000 0000 0001 0400 0007"+addr), i6("8f00 0000"),
		i6("8d00 0000 00000000"))
	// A router's answer with each option, whatever is in it, and one behind that.
	for option := range 48 {
		for _, rest := range []string{"01 000000000258", "02 0000 00000258 00112233 44556677", "03 4000 00000258 03777777 07657861 6d706c65 00 0361 6200", "04 40c0 00278d00 ffffffff 00000000" + addr, "00 000000000000", "09 000000000258"} {
			m["nd options"] = append(m["nd options"], i6(fmt.Sprintf("8600 0000 40 c8 0708 00000000 00000000 %02x", option)+rest+lladdr))
		}
	}
	m["nd options"] = append(m["nd options"], i6("8600 0000 40 c8 0708 00000000 00000000"+lladdr+"1f03 0000 00000258 03777777 00 036c616e 00 000000000000"), i6("8900 0000 00000000"+addr+addr+lladdr+"0404 0000 00000000", quoted[:24]...),
		i6("9100 0000 0001 0000"+addr+addr), i6("9100 0000 0001"), i6("9300 0000 0001 c000"+"0304 40c0 00278d00 ffffffff 00000000"+addr), i6("9300 0000 0001 0000"))

	sctp := func(chunks ...string) []byte {
		return bytesOf(uint16(40000), uint16(9999), uint32(7), uint32(0), bytesOf(strings.Join(chunks, "")))
	}
	data := "00030015 00000001 00020003 00000000 6162636465 000000"
	m["sctp"] = append(e4(ip4(protoSCTP, sctp(data)), ip4(protoSCTP, sctp(data, data)), ip4(protoSCTP, sctp(strings.Replace(data, "0003", "0007", 1), strings.Replace(data, "0003", "0000", 1))),
		ip4(protoSCTP, sctp("00030010 00000001 00020003 00000012")), ip4(protoSCTP, sctp("00030014 00000001 00020003 00000012 61626364")), ip4(protoSCTP, sctp("00030014 00000001 00020003 00009912 61626364")), ip4(protoSCTP, sctp("0003000c 00000001 00020003")),
		ip4(protoSCTP, sctp("01000014 0000000a 0000ffff 000a0005 00000001")), ip4(protoSCTP, sctp("01000018 0000000a 0000ffff 000a0005 00000001 00000000")), ip4(protoSCTP, sctp("02000014 0000000a 0000ffff 000a0005 00000001")), ip4(protoSCTP, sctp("01000010 0000000a 0000ffff 000a0005")),
		ip4(protoSCTP, sctp("03000010 0000000a 0000ffff 00000000")), ip4(protoSCTP, sctp("03000018 0000000a 0000ffff 00010001 00020003 00000009")), ip4(protoSCTP, sctp("03000012 0000000a 0000ffff 00010000 00020000")), ip4(protoSCTP, sctp("0300000c 0000000a 0000ffff")),
		ip4(protoSCTP, sctp("04000008 00010004", "05000008 00010004", "06000004", "07000008 00000001", "08000004", "09000004", "0a000004", "0b000004", "0c000004", "0d000004", "0e000004", "c0000008 00000001", "c1000004", "99000004")),
		ip4(protoSCTP, sctp("00000002")), ip4(protoSCTP, sctp("0600")), ip4(protoSCTP, sctp("06000005 00")), ip4(protoSCTP, sctp("06000040")), ip4(protoSCTP, sctp()), ip4(protoSCTP, sctp()[:11])),
		e6(ip6(protoSCTP, sctp(data)), ip6(protoDstOpts, append(hop(protoSCTP, "010400000000"), sctp(data)...)))...)

	inner := eth(header.TypeIP, ping)
	m["gre"] = e4(ip4(protoGRE, gre(0, header.TypeIP, nil, ping)), ip4(protoGRE, gre(0, header.TypeIP6, nil, ping6)), ip4(protoGRE, gre(0, header.TypeTEB, nil, inner)), ip4(protoGRE, gre(0, 0x9999, nil, someData)),
		ip4(protoGRE, gre(0x8000, header.TypeIP, bytesOf("1234 0000"), ping)), ip4(protoGRE, gre(0x2000, header.TypeTEB, bytesOf("0000002a"), inner)), ip4(protoGRE, gre(0x1000, header.TypeTEB, bytesOf("00000005"), inner)),
		ip4(protoGRE, gre(0xb000, header.TypeTEB, bytesOf("1234 0000 0000002a 00000005"), inner)), ip4(protoGRE, gre(0x2000, header.TypeTEB, bytesOf("0001ea01"), eth(header.TypeVLAN, vlan(5, header.TypeIP, ping)))),
		ip4(protoGRE, gre(0x2081, 0x880b, bytesOf("00140005 00000001"), nil)), ip4(protoGRE, gre(3, 0x880b, nil, nil)), ip4(protoGRE, bytesOf("20")), ip4(protoGRE, nil), ip4(protoGRE, gre(0xb000, header.TypeIP, nil, nil)),
		ip4(protoGRE, gre(0, header.TypeIP, nil, nil)), ip4(protoGRE, gre(0, header.TypeTEB, nil, inner[:10])),
		ip4(protoGRE, gre(0, header.TypeIP, nil, ip4(protoGRE, gre(0, header.TypeIP, nil, ping)))))
	m["gre"] = append(m["gre"], e6(ip6(protoGRE, gre(0x2000, header.TypeTEB, bytesOf("0000002a"), inner)), ip6(protoDstOpts, append(hop(protoGRE, "04010401 0000"), gre(0x2000, header.TypeTEB, bytesOf("0000002a"), inner)...)))...)
	m["ipip"] = append(e4(ip4(protoIPIP, ping), ip4(protoIPv6, ping6), ip4(protoIPIP, ip4(protoIPIP, ping)), ip4(protoIPIP, ping6), ip4(protoIPIP, nil), ip4(protoIPIP, ip4(protoTCP, tcp(40000, 9999, 1, 1, tcpAck, nil, nil)))),
		e6(ip6(protoIPIP, ping), ip6(protoIPv6, ping6))...)
	m["vxlan"] = append(e4(ip4(protoUDP, udp(4789, vxlan(2000, inner))), ip4(protoUDP, udp(4789, vxlan(2000, eth(header.TypeIP6, ping6)))), ip4(protoUDP, udp(4789, vxlan(2000, eth(header.TypeVLAN, vlan(7, header.TypeIP, ping))))),
		ip4(protoUDP, udp(4789, vxlan(0xffffff, nil))), ip4(protoUDP, udp(4789, vxlan(1, nil)[:7])), ip4(protoUDP, udp(4789, nil)),
		ip4(protoUDP, udp(4789, edit(vxlan(1, inner), 0, 0xff))),
		ip4(protoUDP, udp(4789, vxlan(1, eth(header.TypeIP, ip4(protoUDP, udp(4789, vxlan(2, inner)))))))), e6(ip6(protoUDP, udp(4789, vxlan(2000, inner))))...)
	m["geneve"] = e4(ip4(protoUDP, udp(6081, geneve(1000, header.TypeTEB, nil, inner))), ip4(protoUDP, udp(6081, geneve(1000, header.TypeIP, nil, ping))), ip4(protoUDP, udp(6081, geneve(1000, header.TypeIP6, nil, ping6))),
		ip4(protoUDP, udp(6081, geneve(1000, header.TypeTEB, bytesOf("0102 80 01 00000001 0101 02 00"), inner))), ip4(protoUDP, udp(6081, geneve(1000, header.TypeTEB, bytesOf("0000 80 1f 0100 00 00 ffff 01 00 0103 00 00 0104 00 00 0500 00 00"), inner))),
		ip4(protoUDP, udp(6081, geneve(1000, header.TypeTEB, bytesOf("0100 00 00 ffff 01 00 0103 00 00 0104 00 00 0500 00 00 0000 00 00"), inner))),
		ip4(protoUDP, udp(6081, edit(geneve(1000, 0x9999, nil, someData), 1, 0xff))), ip4(protoUDP, udp(6081, edit(geneve(1000, header.TypeIP, nil, ping), 7, 5))), ip4(protoUDP, udp(6081, edit(geneve(1000, header.TypeIP, nil, ping), 0, 0x40))),
		ip4(protoUDP, udp(6081, edit(geneve(1000, header.TypeIP, nil, ping), 0, 0x3f))), ip4(protoUDP, udp(6081, geneve(1, 0, nil, nil)[:7])), ip4(protoUDP, udp(6081, geneve(1, header.TypeTEB, nil, nil))))
	m["erspan"] = e4(ip4(protoGRE, gre(0, header.TypeERSPAN, nil, inner)), ip4(protoGRE, gre(0x1000, header.TypeERSPAN, bytesOf("00000001"), bytesOf("1064 0805 00000003", inner))),
		ip4(protoGRE, gre(0x1000, header.TypeERSPAN, bytesOf("00000001"), bytesOf("2064 0805 00000003", inner))))
	m["errors about tunnels"] = e4(ip4(protoICMP, bytesOf("0303 0000 00000000", ip4(protoUDP, udp(4789, vxlan(2000, inner))))), ip4(protoICMP, bytesOf("0302 0000 00000000", ip4(protoGRE, gre(0x2000, header.TypeTEB, bytesOf("0000002a"), inner)))),
		ip4(protoICMP, bytesOf("0300 0000 00000000", ip4(protoIPIP, ping))), ip4(protoGRE, gre(0, header.TypeIP, nil, ip4(protoICMP, bytesOf("0300 0000 00000000", ip4(protoIPIP, ping))))))
	maps.Copy(m, routingExamples())
	return m
}

func TestTextProtocols(t *testing.T) {
	for name, frames := range examples() {
		t.Run(name, func(t *testing.T) {
			p := packets{link: header.LinkEthernet}
			for i, f := range frames {
				p.packets = append(p.packets, capture.Packet{Time: 1e9 + int64(i)*1234567891 + int64(i%5)*3e9, Len: len(f), Data: f})
			}
			compare(t, p, len(forms))
		})
	}
}

func TestTextTruncated(t *testing.T) {
	for name, frames := range examples() {
		t.Run(name, func(t *testing.T) {
			p := packets{link: header.LinkEthernet}
			for _, f := range frames {
				for n := 1; n < min(len(f), 200); n++ {
					p.packets = append(p.packets, capture.Packet{Time: 1e9 + int64(n)*1e6, Len: len(f), Data: f[:n]})
				}
			}
			compare(t, p, formsOfHeaders)
		})
	}
}

// TestTextDifferences has the packets that we print otherwise than tcpdump on purpose.
func TestTextDifferences(t *testing.T) {
	inner := eth(header.TypeIP, ping)
	tcpOption := func(s string) []byte {
		return eth(header.TypeIP, ip4(protoTCP, tcp(40000, 9999, 7, 8, tcpSyn, bytesOf(s), nil)))
	}
	const (
		ends  = "IP 10.0.0.1 > 10.0.0.2: "
		echo  = ends + "ICMP echo request, id 7, seq 1, length 32"
		macs  = "02:00:00:00:0a:01 > 02:00:00:00:0b:01, "
		ports = "IP 10.0.0.1.40000 > 10.0.0.2."
	)
	for _, test := range []struct {
		why           string
		frame         []byte
		ours, tcpdump string
	}{
		{"tcpdump takes 8472 for OTV", eth(header.TypeIP, ip4(protoUDP, udp(8472, vxlan(1, inner)))),
			ports + "8472: VXLAN, flags [I] (0x08), vni 1\n" + echo, ports + "8472: OTV, flags [I] (0x08), overlay 0, instance 1\n" + echo},
		{"49152 is not only Broadcom's", eth(header.TypeIP, ip4(protoUDP, bytesOf(uint16(49152), uint16(9999), uint16(12), uint16(0), "01020304"))),
			"IP 10.0.0.1.49152 > 10.0.0.2.9999: UDP, length 4", "IP 10.0.0.1.49152 > 10.0.0.2.9999: BCM-LI-SHIM: direction unknown, pkt-type unknown, pkt-subtype unknown, li-id 131844"},
		{"only the destination port makes a tunnel", eth(header.TypeIP, ip4(protoUDP, bytesOf(uint16(4789), uint16(40000), uint16(16), uint16(0), vxlan(1, nil)))),
			"IP 10.0.0.1.4789 > 10.0.0.2.40000: UDP, length 8", "IP 10.0.0.1.4789 > 10.0.0.2.40000: VXLAN, flags [I] (0x08), vni 1\n [|ether]"},
		{"VXLAN has the flag I", eth(header.TypeIP, ip4(protoUDP, udp(4789, bytesOf("00000000 00000100", inner)))),
			ports + "4789: VXLAN, flags [invalid] (0x00), vni 1, length 74", ports + "4789: VXLAN, flags [invalid] (0x00), vni 1\n" + echo},
		{"tcpdump knows more IP protocols", eth(header.TypeIP, ip4(88, bytesOf("0205000000000000000000000000000000000001"))),
			ends + " ip-proto-88 20", ends + "EIGRP Hello, length: 20"},
		{"and more protocols with ports", eth(header.TypeIP, ip4(protoUDP, udp(1701, bytesOf("c802000c0001000000000000")))),
			ports + "1701: UDP, length 12", ports + "1701:  l2tp:[TLS](1/0)Ns=0,Nr=0 ZLB"},
		{"tcpdump knows more ICMPv6 messages", eth(header.TypeIP6, ip6(protoICMP6, bytesOf("9b00 0000 0000"))),
			"IP6 2001:db8::1 > 2001:db8::2: ICMP6, RPL, length 6\n\t0x0000:  9b00 0000 0000", "IP6 2001:db8::1 > 2001:db8::2: ICMP6, RPL, (CLR)DODAG Information Solicitation, length 6"},
		{"we have no -M for the secret", tcpOption("1312 00112233445566778899aabbccddeeff 0101"),
			ports + "9999: Flags [S], seq 7, win 501, options [md5 00112233445566778899aabbccddeeff,nop,nop], length 0",
			ports + "9999: Flags [S], seq 7, win 501, options [md5 shared secret not supplied with -M, can't check - 00112233445566778899aabbccddeeff,nop,nop], length 0"},
		{"tcpdump has no name for CC.ECHO", tcpOption("0d06 00000001 0101"),
			ports + "9999: Flags [S], seq 7, win 501, options [ccecho 1,nop,nop], length 0", ports + "9999: Flags [S], seq 7, win 501, options [ 1,nop,nop], length 0"},
	} {
		t.Run(test.why, func(t *testing.T) {
			p := packets{header.LinkEthernet, []capture.Packet{{Len: len(test.frame), Data: test.frame}}}
			if got, want := p.print(t, TextOptions{})[0], "00:00:00.000000 "+test.ours; got != want {
				t.Errorf(" got %q\nwant %q", got, want)
			}
			if got, want := tcpdump(t, p.write(t))[0], "00:00:00.000000 "+test.tcpdump; got != want {
				t.Errorf("tcpdump prints %q\n        no more %q", got, want)
			}
		})
	}
}
