package main

// control are the protocols that bridges speak with each other: STP, LACP, LLDP; and IEEE 802.2.
func control() []packet {
	var ps []packet
	length := func(b []byte) packet { return packet{data: wire("0180c2000000", mac(1), uint16(len(b)), b)} }
	for _, b := range bpdus() {
		ps = append(ps, length(wire("424203", b)))
	}
	ps = append(ps, packet{data: wire("0180c2000000", mac(1), "0026 424203", bpdus()[0], repeat(0, 8))}, // padded
		length(wire("aaaa03 00000c 010b", bpdus()[0], "0000 0002 0064")), length(wire("aaaa03 00000c 010c", bpdus()[0])), length(wire("aaaa03 0080c2 000e", bpdus()[0])))
	for _, b := range slowMessages() {
		ps = append(ps, packet{data: wire("0180c2000002", mac(1), "8809", b)})
	}
	for _, b := range lldpMessages() {
		ps = append(ps, packet{data: wire("0180c200000e", mac(1), "88cc", b)})
	}
	// IEEE 802.2: every access point, every command, SNAP.
	for sap := 0; sap < 256; sap += 2 {
		switch sap {
		case 0x42, 0xaa, 0xe0, 0xfe, 0xf0: // those are protocols
		default:
			ps = append(ps, length(wire(sap, sap, 3, "01020304")))
		}
	}
	for c := range 256 {
		ps = append(ps, length(wire(0x10, 0x20+c&1, c, "05060708")))
	}
	v4 := encode(bodies4[3]())
	ps = append(ps, length(wire("f1f003 81010f")), length(wire("0001af 810102")), length(wire("0000bf")), length(wire("0001af 81")), length(wire("0004bf 0102")),
		length(wire("aaaa03 000000 0800", v4)), length(wire("aaaa03 000000 86dd", encode(bodies6[1]()))), length(wire("aaaa03 000000 0806 0001080006040001", mac(1), "0a010001 000000000000 0a010002")),
		length(wire("aaaa03 0000f8 0800", v4)), length(wire("aaaa03 0080c2 0007 0000", encode(inner(), bodies4[0]()))), length(wire("aaaa03 0080c2 0001 0000", encode(inner(), bodies4[0]()))), length(wire("060603", v4)),
		packet{data: wire(mac(2), mac(1), "8870 424203", bpdus()[0])}, packet{data: wire(mac(2), mac(1), "8100 0064 0026 424203", bpdus()[0])})
	for _, oui := range []string{"000000", "00000c", "00005e", "000081", "0000f8", "0080c2", "00a03e", "001000", "080007", "009069", "080009", "00120f", "0012bb", "001b21", "002320", "5c16c7", "b0d2f5", "0004ea", "748771", "a42305", "00049f", "0015ad", "001018", "00e004", "123456"} {
		for _, pid := range []string{"88b5", "0002"} {
			ps = append(ps, length(wire("aaaa03", oui, pid, "0102030405")))
		}
	}
	return ps
}

// bpdus are the messages of the spanning tree protocols.
func bpdus() [][]byte {
	const root, bridge = "8001 020000000001", "8002 020000000002"
	config := func(version, typ, flags int, cost uint32) []byte {
		return wire("0000", version, typ, flags, root, cost, bridge, "8003 0100 1400 0200 0f00")
	}
	mst := func(version, flags int, instances ...any) []byte {
		more := wire(instances...)
		return wire(config(version, 2, flags, 20000), 0, uint16(64+len(more)), 0, plainText("region-one"), repeat(0, 22), "0007", repeat(0xac, 16), uint32(200), bridge, 20, more)
	}
	instance := wire("7c 8005 020000000001 000000c8 80 80 13")
	all := [][]byte{config(0, 0, 0, 4), config(0, 0, 0x81, 0), wire("0000 00 80"), mst(3, 0x7c), mst(3, 0x0e, instance, instance), wire(mst(4, 0x3c, instance), "0055 00", plainText("aux"), repeat(0, 29), "0001", repeat(0xbb, 16), "d8 00 12 34 0005", repeat(0, 8), repeat(0xcd, 20))}
	for flags := 0; flags < 256; flags += 5 {
		all = append(all, append(config(2, 2, flags, 2000), 0))
	}
	for i := range 8 { // times that must be rounded
		all = append(all, wire("0000 00 00 00", root, "00000000", bridge, "8003", uint16(i*33+1), uint16(5120+i*7), uint16(i*51+2), uint16(0xffff-i)))
	}
	return all
}

func slowMessages() [][]byte {
	info := func(typ, state int) []byte {
		return wire(typ, 20, "8000", mac(1), "0011 00ff 0002", state, "000000")
	}
	all := [][]byte{
		wire(1, 1, info(1, 0x3d), info(2, 0x3f), "03 10 8000", repeat(0, 12), "00 00", repeat(0, 50)), wire(1, 1, info(1, 0), info(2, 0xff)), wire(1, 1, info(1, 0xc2), "09 06 01020304", "00 00"),
		wire(2, 1, "01 10 0005", mac(2), "12345678 0000", "00 00", repeat(0, 90)), wire(2, 1, "02 04 0102"), wire(2, 1, "03 10", repeat(1, 14)),
		wire(4, "01020304"), wire(9, "0102"),
	}
	return all
}

// oddControl are such messages that are wrong.
func oddControl() []packet {
	var ps []packet
	for _, s := range []string{"01", "01 02", "02 02", "01 01 01", "01 01 01 01", "01 01 01 00", "01 01 01 14 8000", "01 01 01 05 010203", "01 01 03 05 010203", "02 01 01 05 010203", "01 01 09 02", ""} {
		ps = append(ps, packet{data: wire("0180c2000002", mac(1), "8809", s)})
	}
	for _, s := range []string{"", "00", "0000 00", "0000 00 00", "0000 02 02 00", "0000 03 02 00", "0000 05 00 00", "0000 00 44 00", "1234 00 00", "0000 03 00 00"} {
		b := wire("424203", s)
		ps = append(ps, packet{data: wire("0180c2000000", mac(1), uint16(len(b)), b)})
	}
	mst := bpdus()[3]
	for _, b := range [][]byte{edited(mst, 35, 1), edited(mst, 36, 0, 200), mst[:100], edited(bpdus()[5], 118, 0, 99), edited(bpdus()[5], 118, 0, 9), bpdus()[0][:34], append([]byte{0, 0, 2, 2}, bpdus()[0][4:]...)} {
		b = wire("424203", b)
		ps = append(ps, packet{data: wire("0180c2000000", mac(1), uint16(len(b)), b)})
	}
	for _, s := range []string{"42", "4242", "0010", "001001", "aaaa03 0000", "aaaa03 000000 08", "0000 bf 81"} {
		b := wire(s)
		ps = append(ps, packet{data: wire(mac(2), mac(1), uint16(len(b)), b)}, packet{data: wire(mac(2), mac(1), "0100", b)})
	}
	for _, s := range []string{"", "02", "0207", "0201 04", "0202 04 02", "0401 05", "0601 00", "0e02 0001", "1001 05", "1001 01", "1003 02 01 0a", "1006 05 01 0a010001 02", "100b 05 01 0a010001 02 00000001", "100c 05 01 0a010001 02 00000001 09", "fe02 0080", "fe03 0080c2", "fe04 0080c2 01", "fe05 0080c2 02 00", "fe07 0080c2 03 0001 09", "fe05 0080c2 04 09", "fe06 0080c2 09 0000", "fe07 0080c2 0c 00 0102", "fe04 00120f 01", "fe04 0012bb 01", "fe05 0012bb 02 01", "fe05 0012bb 03 02", "fe0a 0012bb 03 02 09 02 4445 01", "fe0c 0012bb 03 02 05 02 4445 01 09 62", "fe05 00005e 01 61", "ffff"} {
		ps = append(ps, packet{data: wire("0180c200000e", mac(1), "88cc", s)})
	}
	return ps
}

// tlv is a part of an LLDP message.
func tlv(typ int, parts ...any) []byte {
	b := wire(parts...)
	return wire(uint16(typ<<9|len(b)), b)
}

func lldpMessages() [][]byte {
	first := wire(tlv(1, 4, mac(1)), tlv(2, 5, plainText("swp1")), tlv(3, uint16(120)))
	message := func(parts ...[]byte) []byte { return wire(first, wire(anys(parts)...), "0000") }
	all := [][]byte{
		message(tlv(4, plainText("to the rack")), tlv(5, plainText("leaf1")), tlv(6, plainText("Linux 6.1, a system\x00")), tlv(7, "0014 0004"), tlv(8, 5, 1, "0a010001", 2, uint32(3), 0)),
		message(tlv(8, 17, 2, "20010db8000000000000000000000001", 3, uint32(7), 3, "2b0601")), message(tlv(8, 7, 6, mac(2), 1, uint32(7))), message(tlv(7, "ffff 0000")), message(tlv(9, "0102"), tlv(100, "030405")),
	}
	for kind := range 9 {
		all = append(all, wire(tlv(1, kind, plainText("chassis")), tlv(2, kind, plainText("port123")), tlv(3, "0001"), "0000"))
	}
	all = append(all, wire(tlv(1, 5, 1, "0a010001"), tlv(2, 4, 2, repeat(1, 16)), tlv(3, "0001")), wire(tlv(1, 5, 6, mac(3)), tlv(2, 4, 9, plainText("x"))))
	bridge, ether, med := "0080c2", "00120f", "0012bb"
	for kind := range 16 {
		all = append(all, message(tlv(127, bridge, kind, "8e 02 03", repeat(byte(0x11*kind), 22))), message(tlv(127, ether, kind, "03 6c01 001e 05")), message(tlv(127, med, kind, "01 40 62 9b", repeat(byte(0x21+kind), 20))))
	}
	for family := range 30 {
		all = append(all, wire(tlv(1, 5, family, repeat(7, 16))))
	}
	for kind := range 43 {
		all = append(all, message(tlv(127, ether, 1, kind&3, uint16(0x8001<<(kind%15)), uint16(kind))))
	}
	for i := range 6 {
		all = append(all, message(tlv(127, ether, 2, i*3, i, i)), message(tlv(127, med, 1, uint16(0x15*i), i)), message(tlv(127, med, 2, i*2, i<<5, "2345")), message(tlv(127, med, 4, 0x10*i+i, uint16(i*250))))
	}
	return append(all,
		message(tlv(127, bridge, 1, uint16(10)), tlv(127, bridge, 2, 6, uint16(20)), tlv(127, bridge, 3, uint16(100), text8("users")), tlv(127, bridge, 4, text8("STP")), tlv(127, bridge, 7, 3, uint32(9))),
		message(tlv(127, bridge, 12, 0, "638906 810cbc"), tlv(127, bridge, 12, 0, "6389"), tlv(127, bridge, 14, 0x88, 0, "0001 001001 002002")),
		message(tlv(127, ether, 3, 3, uint32(1)), tlv(127, ether, 4, uint16(9216)), tlv(127, med, 9, plainText("Maker")), tlv(127, med, 8, plainText("12345\x00 "))),
		message(tlv(127, med, 3, 1, repeat(0x5a, 16)), tlv(127, med, 3, 2, 18, 1, plainText("DE"), 1, text8("Bavaria"), 3, text8("City"), 6, 0), tlv(127, med, 3, 3, plainText("112")), tlv(127, med, 3, 9, "0102")),
		message(tlv(127, "00005e", 1, plainText("https://example.com/mud")), tlv(127, "00005e", 2, "0102030405"), tlv(127, "123456", 1, "0203")),
		first, wire(first, tlv(5)))
}
