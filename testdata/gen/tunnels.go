package main

import "github.com/gopacket/gopacket/layers"

// carried makes an IP payload with the protocol number, over each of the underlays, plain and
// behind tags.
func carried(protocol layers.IPProtocol, payload ...any) []packet {
	var ps []packet
	for i, under := range underlays {
		n := under()
		switch h := n[0].(type) {
		case *layers.IPv4:
			h.Protocol = protocol
		case *layers.IPv6:
			h.NextHeader = protocol
		}
		tags := []stack{nil, vlan(100), join(qinq(200), vlan(100))}
		ps = append(ps, pkt(eth(), tags[(i+len(payload)+int(protocol))%3], n, bytesOf(wire(payload...))))
	}
	return ps
}

// datagram makes a UDP payload over each of the underlays.
func datagram(port uint16, payload ...any) []packet {
	var ps []packet
	for _, under := range underlays {
		ps = append(ps, pkt(eth(), under(), udp(49152, port), bytesOf(wire(payload...))))
	}
	return ps
}

// behindGRE makes what is behind a GRE header without options but those that flags say.
func behindGRE(protocol layers.EthernetType, seq bool, payload ...any) []packet {
	var ps []packet
	for _, under := range underlays {
		ps = append(ps, pkt(eth(), under(), stack{&layers.GRE{Protocol: protocol, SeqPresent: seq, Seq: 7}}, bytesOf(wire(payload...))))
	}
	return ps
}

// rareTunnels has every tunnel that has no file of its own, with packets of either version
// in it where it can carry them.
func rareTunnels() []packet {
	var ps []packet
	add := func(more []packet) { ps = append(ps, more...) }
	v4, v6 := encode(bodies4[3]()), encode(bodies6[1]())
	frame := encode(inner(), bodies4[0]())
	tagged := encode(inner(), vlan(7), bodies6[3]())

	// draft-foschiano-erspan-03, section 4.3: version 2, VLAN 7, session 0x155, no
	// platform specific subheader; with one; FT 2, an IP packet.
	add(behindGRE(0x22eb, true, "2007 0155 00000001 0000 8000", frame))
	add(behindGRE(0x22eb, true, "2007 0155 00000001 0000 8001 1000000000000000", tagged))
	// draft-wilson-wrec-wccp-v2-01, section 4.12: a redirect header of four bytes; WCCP
	// version 1 has none.
	add(behindGRE(0x883e, false, "00 05 00 07", v4))
	add(behindGRE(0x883e, false, v4))
	// RFC 8300: MD type 1, of six words; MD type 2 with no metadata; next protocols 1, 2, 3.
	add(behindGRE(0x894f, false, "0fc6 01 01 00002aff", repeat(0, 16), v4))
	add(datagram(4790, "0c 0000 04 00002a00", "0fc6 01 03 00002aff", repeat(0, 16), frame))
	add(datagram(4790, "0c 0000 04 00002a00", "0fc2 02 02 00002aff", v6))
	ps = append(ps, packet{data: wire("0200000000b1 0200000000a1 894f", "0fc2 02 03 00002aff", frame)})
	// draft-ietf-nvo3-vxlan-gpe: I and P flags, next protocols 1, 2, 3.
	add(datagram(4790, "0c 0000 01 00002a00", v4))
	add(datagram(4790, "0c 0000 02 00002a00", v6))
	add(datagram(4790, "0c 0000 03 00002a00", tagged))
	// 3GPP TS 29.281, section 5.1: a G-PDU; with a sequence number; with the PDU session
	// container (3GPP TS 38.415) as extension header; with two extension headers.
	length := func(b []byte, more int) uint16 { return uint16(len(b) + more) }
	add(datagram(2152, "30 ff", length(v4, 0), "00000042", v4))
	add(datagram(2152, "30 ff", length(v6, 0), "00000042", v6))
	add(datagram(2152, "32 ff", length(v4, 4), "00000042", "0007 00 00", v4))
	add(datagram(2152, "34 ff", length(v4, 8), "00000042", "0000 00 85", "01 00 09 00", v4))
	add(datagram(2152, "36 ff", length(v6, 12), "00000042", "0007 00 c0", "01 1234 85", "01 00 09 00", v6))
	// Not a G-PDU: an echo request.
	add(datagram(2152, "32 01 0004 00000000 0001 00 00"))
	// RFC 3378
	add(carried(97, "3000", frame))
	add(carried(97, "3000", tagged))
	// RFC 4023; RFC 7510; labels 100 and 101, the second at the bottom.
	add(carried(137, "00064040 00065140", v4))
	add(carried(137, "00065140", v6))
	add(datagram(6635, "00064040 00065140", v4))
	add(datagram(6635, "00065140", v6))
	// RFC 4448: the control word of an Ethernet pseudowire, and none.
	add(carried(137, "00065140 00000000", frame))
	ps = append(ps,
		packet{data: wire("0200000000b1 0200000000a1 8847", "00065140 00000001", frame)},
		packet{data: wire("0200000000b1 0200000000a1 8847", "00064040 00065140", "001b21000001 001b21000002", frame[12:])})
	// RFC 3931, section 4.1.1: session 42, no cookie; behind it the default sublayer,
	// or nothing, as Linux sends it.
	add(carried(115, "0000002a 00000000", frame))
	add(carried(115, "0000002a", frame))
	add(carried(115, "0000002a 00000000 ff030021", v4))
	// RFC 4380, section 5.1.1: alone, with an origin indication, with authentication, with both.
	add(datagram(3544, v6))
	add(datagram(3544, "0000 bfff 3ffffdfe", v6))
	add(datagram(3544, "0001 00 00 0102030405060708 00", v6))
	add(datagram(3544, "0001 00 00 0102030405060708 00", "0000 bfff 3ffffdfe", v6))
	// RFC 2637: call 5, with the sequence number and an acknowledgement; PPP with and
	// without address and control field, and with a protocol field of one byte.
	add(carried(47, "3001 880b", uint16(len(v4)+4), "0005 00000001 ff030021", v4))
	add(carried(47, "3081 880b", uint16(len(v6)+2), "0005 00000001 00000002 0057", v6))
	add(carried(47, "3001 880b", uint16(len(v4)+1), "0005 00000001 21", v4))
	// RFC 2516, session 5
	ps = append(ps,
		packet{data: wire("0200000000b1 0200000000a1 8864", "1100 0005", uint16(len(v4)+2), "0021", v4)},
		packet{data: wire("0200000000b1 0200000000a1 8100 0007 8864", "1100 0005", uint16(len(v6)+2), "0057", v6)})
	// IEEE 802.1ah: I-SID 42, behind a B-TAG and alone.
	ps = append(ps,
		packet{data: wire("0200000000b1 0200000000a1 88a8 0064 88e7", "0000002a", frame)},
		packet{data: wire("0200000000b1 0200000000a1 88e7", "0000002a", tagged)})
	// What is encrypted ends the walk: ESP (RFC 4303), MACsec (IEEE 802.1AE), WireGuard.
	add(carried(50, "00000001 00000001", repeat(0xa5, 40)))
	ps = append(ps, packet{data: wire("0200000000b1 0200000000a1 88e5", "2c00 00000001", repeat(0xa5, 40))})
	add(datagram(51820, "04000000 00000001 0000000000000001", repeat(0xa5, 48)))
	return ps
}
