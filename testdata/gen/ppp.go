package main

import "github.com/gopacket/gopacket/layers"

// lcp is a message of RFC 1661's link control protocol, or of one like it.
func lcp(proto uint16, code, id int, parts ...any) []byte {
	b := wire(parts...)
	return wire(proto, code, id, uint16(4+len(b)), b)
}

// pppFrames are frames without address and control field.
func pppFrames() [][]byte {
	const (
		LCP, IPCP, IP6CP, CCP, BACP = 0xc021, 0x8021, 0x8057, 0x80fd, 0xc02b
		PAP, CHAP                   = 0xc023, 0xc223
	)
	frames := [][]byte{
		wire("0021", encode(bodies4[0]())), wire("0057", encode(bodies6[1]())), wire("21", encode(bodies4[3]())), wire("57", encode(bodies6[0]())),
		wire("0281", "00064140", encode(bodies4[3]())), wire("0283", "00002140", encode(bodies4[0]())), wire("00fd 0102030405"), wire("002d 0102030405"), wire("8029 01010004"), wire("4021 0102"), wire("c025 000102"), wire("c02d 0101"),
		wire("003d 8123 0021", encode(bodies4[3]())), wire("003d c001 00"), wire("003d 0001"),
		lcp(LCP, 1, 1, "01 04 05d4", "02 06 00000000", "03 05 c223 05", "05 06 12345678", "07 02", "08 02"), lcp(LCP, 2, 1, "03 04 c023", "03 05 c223 80", "03 05 c223 81", "03 05 c223 09", "03 04 c227", "03 04 c123", "03 04 c027", "03 06 1234 0102"),
		lcp(LCP, 3, 2, "04 08 c025 00000064", "04 04 c0ff", "0d 03 06", "0d 03 00", "0d 03 05", "11 04 05dc", "12 02", "13 03 00", "13 05 01 6162", "13 07 02 0a010001", "13 09 03 020000000001", "13 05 04 0102", "13 04 05 31", "13 03 09", "17 04 1234"),
		lcp(LCP, 4, 2, "00 06 00000c 01", "00 08 0090690102 03", "06 02", "09 03 07", "0b 04 0102", "14 04 0102", "1e 02", "1f 02", "ff 04 0102"), lcp(LCP, 1, 3),
		lcp(LCP, 5, 4, plainText("bye")), lcp(LCP, 6, 4), lcp(LCP, 7, 5, "0f010004"), lcp(LCP, 8, 6, "8057 0101 000e 010a 0000000000000001"), lcp(LCP, 8, 6, "1234"), lcp(LCP, 9, 7, "12345678"), lcp(LCP, 10, 7, "12345678", plainText("some data")), lcp(LCP, 11, 8, "00000000"),
		lcp(LCP, 12, 9, "12345678", plainText("a system")), lcp(LCP, 13, 10, "12345678 00000e10", plainText("soon")), lcp(LCP, 0, 11, "12345678 00000c 01 0203"), lcp(LCP, 16, 12, "0102"),
		lcp(IPCP, 1, 1, "03 06 0a010001", "81 06 00000000", "82 06 0a010002", "83 06 00000000", "84 06 0a010003", "04 06 0a010009"), lcp(IPCP, 2, 1, "02 06 002d 0f01", "01 0a 0a010001 0a010002", "02 0e 0061 000f 000f 0100 0005 00a8", "02 12 0061 000f 000f 0100 0005 00a8 01 02 02 02", "02 04 1234", "63 04 0102"),
		lcp(IP6CP, 1, 1, "01 0a 0211 22ff fe33 4455"), lcp(IP6CP, 3, 1, "02 04 004f"), lcp(CCP, 1, 1, "12 06 01000020", "15 03 2f", "1a 04 7800", "1a 04 7103", "18 04 e102", "11 05 000103", "00 03 01", "ff 02", "20 03 00"), lcp(CCP, 14, 2), lcp(BACP, 1, 1, "01 06 12345678", "02 02"), lcp(0x8023, 1, 1, "0102"), lcp(0x8281, 1, 1, "0102"),
		lcp(CHAP, 1, 1, 16, repeat(0xa5, 16), plainText("server")), lcp(CHAP, 2, 1, 16, repeat(0x5a, 16), plainText("client\x01")), lcp(CHAP, 3, 1, plainText("welcome")), lcp(CHAP, 4, 1), lcp(CHAP, 9, 1, "01"),
		lcp(PAP, 1, 1, text8("user"), text8("pass\xffword")), lcp(PAP, 2, 1, text8("ok")), lcp(PAP, 3, 1, text8("")), lcp(PAP, 9, 1, "01"),
	}
	return frames
}

// oddPPP are frames that are wrong.
func oddPPP() [][]byte {
	return [][]byte{
		wire("c021 01 01 0003"), wire("c021 01 01 00ff 0104"), wire("c021 01"), wire("c021"), wire("c0"), lcp(0xc021, 1, 1, "01 05 05dc 00"), lcp(0xc021, 1, 1, "01 00"), lcp(0xc021, 1, 1, "01 01"), lcp(0xc021, 1, 1, "01 ff 0102"), lcp(0xc021, 1, 1, "01"), lcp(0xc021, 1, 1, "01 08 0102"), lcp(0xc021, 1, 1, "ff 00"), lcp(0xc021, 1, 1, "02 04 0000", "05 06 00000001"), lcp(0xc021, 1, 1, "05 04 0000", "01 04 05dc"), lcp(0xc021, 1, 1, "03 03 c0"), lcp(0xc021, 1, 1, "04 02"), lcp(0xc021, 1, 1, "13 02"), lcp(0xc021, 1, 1, "13 06 02 0a0100"), lcp(0xc021, 1, 1, "0d 02"), lcp(0xc021, 1, 1, "17 02"), lcp(0xc021, 1, 1, "11 02"), lcp(0xc021, 1, 1, "00 04 0102"), lcp(0xc021, 9, 1, "1234"), lcp(0xc021, 8, 1, "12"),
		lcp(0x8021, 1, 1, "03 05 0a0100"), lcp(0x8021, 1, 1, "01 04 0102"), lcp(0x8021, 1, 1, "02 03 00"), lcp(0x8021, 1, 1, "02 05 0061 00"), lcp(0x8021, 1, 1, "02 12 0061 000f 000f 0100 0005 00a8 01 09 02 02"), lcp(0x8021, 1, 1, "02 12 0061 000f 000f 0100 0005 00a8 00 00 02 02"), lcp(0x8057, 1, 1, "01 04 0102"), lcp(0x80fd, 1, 1, "15 02"), lcp(0x80fd, 1, 1, "1a 02", "15 03 2f"), lcp(0x80fd, 1, 1, "18 02"), lcp(0xc02b, 1, 1, "01 02"),
		wire("c223"), wire("c223 01"), wire("c223 01 02 0000"), lcp(0xc223, 1, 1, "ff"), wire("c223 01 01 0004 10", repeat(1, 16), plainText("x")), wire("c023"), wire("c023 01 02"), wire("c023 01 01 0005 04"), wire("c023 01 01 00ff"), wire("c023 01 01 0003"), wire("c023 02 01 0004"), lcp(0xc023, 1, 1, "ff00"), lcp(0xc023, 1, 1, 1, "61 09"), wire("003d"), wire("003d 80"),
	}
}

func pppPackets() []packet {
	var ps []packet
	for i, f := range pppFrames() {
		head := "ff03"
		switch i % 8 {
		case 5:
			head = "0003"
		case 6:
			head = "0103"
		case 7:
			head = ""
		}
		ps = append(ps, packet{data: wire(head, f)})
	}
	return ps
}

// pppoeSession is a frame of RFC 2516.
func pppoeSession(session uint16, payload []byte) []byte {
	return wire("1100", session, uint16(len(payload)), payload)
}

func pppoePackets() []packet {
	discovery := func(code int, session uint16, tags ...any) packet {
		b := wire(tags...)
		return packet{data: wire(mac(0xb1), mac(0xa1), "8863 11", code, session, uint16(len(b)), b)}
	}
	ps := []packet{
		discovery(0x09, 0, "0101 0000 0103 0004 deadbeef"), discovery(0x07, 0, "0101 0000", "0102 0003", plainText("bras"), "0104 0010", repeat(0xc7, 16)), discovery(0x19, 0, "0101 0008", plainText("internet"), "0120 0002 05dc"),
		discovery(0x65, 0x1234, "0101 0000 0110 0004 00000001 0105 0006 00000de9 6162"), discovery(0xa7, 0x1234, "0203 0009", plainText("goodbye\xff.")), discovery(0xa7, 1, "0201 0000 0202 0000 0999 0001 61 0000 0000 0101 0001 61"), discovery(0x33, 1),
		discovery(0x07, 0, "0102 0064", []byte("a very long name of an access concentrator, longer than what anybody wants to read in one line; really.")),
	}
	ps[1].data = wire(mac(0xb1), mac(0xa1), "8863 1107 0000 001f", "0101 0000", "0102 0004", plainText("bras"), "0104 000f", repeat(0xc7, 15))
	for _, f := range pppFrames() {
		ps = append(ps, packet{data: wire(mac(0xb1), mac(0xa1), "8864", pppoeSession(0x2a, f))})
	}
	ps = append(ps, packet{data: wire(mac(0xb1), mac(0xa1), "8100 0064 8864", pppoeSession(0x2a, pppFrames()[0]), repeat(0, 6))})
	return ps
}

func oddPPPPackets() []packet {
	var ps []packet
	for _, f := range oddPPP() {
		ps = append(ps, packet{data: wire(mac(0xb1), mac(0xa1), "8864", pppoeSession(0x2a, f))})
	}
	for _, s := range []string{"8863 2109 0000 0000", "8863 1209 0000 0000", "8863 1109 0000 05dc", "8863 1107 0000 0004 0101", "8863 1107 0000 0006 0101 0009 6162", "8863 1107 0000", "8864 1100 0001 0040 0021 45", "8847 00064140", "8847 00064040 00", "8847 00064040", "8847"} {
		ps = append(ps, packet{data: wire(mac(0xb1), mac(0xa1), s)})
	}
	return ps
}

// mplsPackets have label stacks of RFC 3032.
func mplsPackets() []packet {
	label := func(l, rest uint32) []byte { return wire(l<<12 | rest) }
	var ps []packet
	add := func(parts ...any) {
		ps = append(ps, packet{data: wire(append([]any{mac(0xb1), mac(0xa1), "8847"}, parts...)...)})
	}
	v4, v6 := encode(bodies4[0]()), encode(bodies6[0]())
	add(label(100, 0x140), v4)
	add(label(100, 0x040), label(200, 0xf3f), v6)
	add(label(100, 0x0ff), label(5, 0x2ff), label(0, 0x1ff), v4)
	add(label(2, 0x1ff), v6)
	add(label(3, 0x1ff), v4)
	add(label(1, 0x0ff), label(15, 0x1ff), v4)
	add(label(100, 0x140), "00000000", mac(2), mac(1), "0800", v4) // RFC 4385, Ethernet over MPLS
	ps = append(ps, packet{data: wire(mac(0xb1), mac(0xa1), "8848", label(100, 0x140), v4)},
		packet{data: wire(mac(0xb1), mac(0xa1), "8100 0064 8847", label(100, 0x140), v6)},
		packet{data: wire(mac(0xb1), mac(0xa1), "8847", label(100, 0x140), encode(outer4(), greWith(greK), inner(), bodies4[0]()))})
	g := outer4()
	g[0].(*layers.IPv4).Protocol = layers.IPProtocolGRE
	return append(ps, pkt(eth(), g, bytesOf(wire("0000 8847", label(100, 0x140), v4))))
}
