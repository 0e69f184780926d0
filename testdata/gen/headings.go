package main

import "github.com/gopacket/gopacket/layers"

// headings are messages of which the text has only what they are: what is in them takes
// a printer each.
func headings() []packet {
	var ps []packet
	datagram := func(port uint16, s string) {
		ps = append(ps, pkt(eth(), ip(a4, b4), udp(40000, port), bytesOf(wire(s))), pkt(eth(), ip(b6, a6), udp(port, 40000), bytesOf(wire(s))))
	}
	protocol := func(number layers.IPProtocol, s string) {
		n := ip(a4, b4)
		n[0].(*layers.IPv4).Protocol = number
		ps = append(ps, pkt(eth(), n, bytesOf(wire(s))))
	}
	// BGP
	marker := "ffffffffffffffffffffffffffffffff"
	for _, s := range []string{marker + "0013 04", marker + "001d 01 04 fde8 00b4 0a000001 00", marker + "0017 02 0000 0000", marker + "0015 03 06 02" + marker + "0013 04", marker + "0017 05 0001 00 01", "00", marker + "0012 04"} {
		ps = append(ps, pkt(eth(), ip(a4, b4), tcp(40000, 179, layers.TCP{ACK: true, PSH: true, Seq: 1000, Ack: 1}), bytesOf(wire(s))))
	}
	for code := range 50 { // RADIUS
		datagram([]uint16{1645, 1646, 1700, 1812, 1813, 3799}[code%6], string(hexDigits(code))+" 05 0014 0f403f9473978057bd83d5cb98f4227a")
	}
	for typ := range 20 { // DHCPv6
		ps = append(ps, pkt(eth(), ip(a6, b6), udp(546, 547), bytesOf(wire(typ, "123456 0008 0002 0000"))))
	}
	for typ := range 14 { // OSPF, PIM
		protocol(89, "02"+string(hexDigits(typ))+"002c 01010101 00000000 0000 0000 0000000000000000 ffffff00 000a 02 01 00000028 c0a80001 00000000")
		protocol(103, string(hexDigits(0x20|typ))+"000000 0001 0002 0069 0014 0004 12345678")
	}
	protocol(89, "0305 0020 01010101 00000001 0000 0000 00000000 00000000 00000000")
	protocol(103, "10000000 0001 0002 0069")
	for command := range 7 { // RIP
		datagram(520, string(hexDigits(command))+"020000 0002 0000 0a000000 ff000000 00000000 00000001")
	}
	for exchange := range 40 { // IKE
		if exchange < 34 {
			ps = append(ps, pkt(eth(), ip(a4, b4), udp(40000, 500), bytesOf(wire("0102030405060708 0000000000000000 01 10", exchange, "00 00000000 0000001c"))))
		} else {
			datagram(500, "0102030405060708 1112131415161718 21 20"+string(hexDigits(exchange))+string(hexDigits(exchange*8&0x38))+string(hexDigits(exchange%2))+"000000 0000001c")
		}
	}
	for typ := range 6 { // IEEE 802.1X
		ps = append(ps, packet{data: wire("0180c2000003", mac(1), "888e 01", typ, "0000")})
	}
	return ps
}

// hexDigits are those of a byte.
func hexDigits(v int) []byte {
	const digits = "0123456789abcdef"
	return []byte{digits[v>>4], digits[v&15]}
}
