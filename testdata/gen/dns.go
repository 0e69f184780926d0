package main

import (
	"strings"

	"github.com/gopacket/gopacket/layers"
)

// domain is a name of RFC 1035, not compressed.
func domain(name string) []byte {
	var b []byte
	for _, label := range strings.Split(strings.TrimSuffix(name, "."), ".") {
		if label != "" {
			b = append(b, wire(text8(label))...)
		}
	}
	return append(b, 0)
}

// question asks for a class IN record.
func question(name string, typ uint16) []byte { return wire(domain(name), typ, "0001") }

// record is a resource record that names what the first question asks about.
func record(typ uint16, data []byte) []byte {
	return wire("c00c", typ, "0001", uint32(3600), uint16(len(data)), data)
}

// recordOf is a record of any name, class and time to live.
func recordOf(name []byte, typ, class uint16, ttl uint32, data []byte) []byte {
	return wire(name, typ, class, ttl, uint16(len(data)), data)
}

// opt is the pseudo-record of RFC 6891.
func opt(size uint16, ttl uint32, options ...[]byte) []byte {
	return recordOf([]byte{0}, 41, size, ttl, wire(anys(options)...))
}

func option(code uint16, data []byte) []byte { return wire(code, uint16(len(data)), data) }

func anys(parts [][]byte) []any {
	var all []any
	for _, p := range parts {
		all = append(all, p)
	}
	return all
}

// message is a DNS message; each section is the records in it.
func message(id, flags uint16, sections ...[][]byte) []byte {
	b := wire(id, flags)
	for i := range 4 {
		n := 0
		if i < len(sections) {
			n = len(sections[i])
		}
		b = append(b, wire(uint16(n))...)
	}
	for _, s := range sections {
		b = append(b, wire(anys(s)...)...)
	}
	return b
}

func one(b []byte) [][]byte { return [][]byte{b} }

// dnsMessages are questions and answers of every kind.
func dnsMessages() [][]byte {
	const host = "www.example.com"
	ask := func(typ uint16) [][]byte { return one(question(host, typ)) }
	answer := func(typ uint16, data ...[]byte) []byte {
		var records [][]byte
		for _, d := range data {
			records = append(records, record(typ, d))
		}
		return message(0x1234, 0x8580, ask(typ), records)
	}
	soa := wire(domain("ns1.example.com"), domain("hostmaster.example.com"), uint32(2026010203), uint32(7200), uint32(900), uint32(1209600), uint32(300))
	var all [][]byte
	// Questions: flags, operations, types and classes.
	for _, flags := range []uint16{0, 0x0100, 0x0110, 0x0120, 0x0130, 0x0800, 0x1000, 0x2000, 0x2800, 0x0040, 0x0500, 0x7900} {
		all = append(all, message(0xbeef, flags, ask(1)))
	}
	for typ := uint16(1); typ <= 60; typ++ {
		all = append(all, message(typ, 0x0100, ask(typ)))
	}
	for _, typ := range []uint16{64, 65, 99, 100, 101, 102, 103, 104, 249, 250, 251, 252, 253, 254, 255, 256, 257, 32769} {
		all = append(all, message(typ, 0x0100, ask(typ)))
	}
	for _, class := range []uint16{2, 3, 4, 254, 255, 0x8001} {
		all = append(all, message(1, 0x0100, one(wire(domain(host), uint16(1), class))))
	}
	all = append(all,
		message(1, 0x0100, one(question(".", 2))), message(1, 0x0100, one(question("a.b\x01\x80 \"c", 1))),
		message(1, 0x0100, [][]byte{question(host, 1), question("example.org", 28)}), message(1, 0x0100),
		message(1, 0x0800, nil, one(record(1, wire("c0000201")))),
		message(1, 0x0100, ask(1), one(record(1, wire("c0000201"))), one(record(2, domain("ns1.example.com"))), one(record(1, wire("c0000202")))),
		message(1, 0x2400, one(question("example.com", 6)), one(recordOf(wire("c00c"), 6, 1, 0, soa))))
	// Results.
	for code := uint16(0); code < 16; code++ {
		all = append(all, message(2, 0x8180|code, ask(1)))
	}
	for _, high := range []uint32{0, 1, 2, 3, 0xff} {
		all = append(all, message(2, 0x8187, ask(1), nil, nil, one(opt(1232, high<<24))), message(2, 0x8180, ask(1), nil, nil, one(opt(1232, high<<24))))
	}
	for _, flags := range []uint16{0x8000, 0x8400, 0x8200, 0x8080, 0x8020, 0x8010, 0x8100, 0xa580, 0x87b0} {
		all = append(all, message(3, flags, ask(1), one(record(1, wire("c0000201")))))
	}
	// Records.
	all = append(all,
		answer(1, wire("c0000201"), wire("c0000202")),
		answer(28, wire("20010db8000000000000000000000001"), wire("00000000000000000000ffffc0000201")),
		answer(2, domain("ns1.example.com"), wire(text8("ns2"), "c010")),
		answer(5, domain("web.example.net")), answer(12, domain("host.example.com")), answer(39, domain("example.net")),
		answer(6, soa), answer(15, wire(uint16(10), domain("mx1.example.com")), wire(uint16(20), text8("mx2"), "c010")),
		answer(16, wire(text8("v=spf1 -all"), text8("a \"quoted\"\x07 \xe4 text"), text8(""))), answer(16, wire(text8("short"))), answer(16, nil),
		answer(33, wire(uint16(1), uint16(2), uint16(5060), domain("sip.example.com"))),
		answer(38, wire(0, "20010db8000000000000000000000001")), answer(38, wire(64, "0000000000000001", domain("net.example.com"))), answer(38, wire(128, domain("all.example.com"))), answer(38, wire(200)),
		answer(13, wire(text8("PC"), text8("Linux"))), answer(35, wire(uint16(1), uint16(2), text8("s"), text8("SIP+D2U"), text8(""), domain("sip.example.com"))),
		answer(43, wire(uint16(12345), 8, 2, repeat(0xab, 32))), answer(46, wire(uint16(1), 8, 3, uint32(3600), uint32(1), uint32(2), uint16(12345), domain("example.com"), repeat(0xcd, 64))),
		answer(48, wire(uint16(257), 3, 13, repeat(0xee, 64))), answer(47, wire(domain("next.example.com"), "0006 4000000008")),
		answer(257, wire(0, text8("issue"), plainText("ca.example.net"))), answer(65, wire(uint16(1), domain("."), "0001 0003 026832")), answer(99, wire(text8("v=spf1 -all"))),
		answer(256, wire(uint16(1), uint16(2), plainText("https://example.com/"))), answer(104, []byte("any text\x01")), answer(10, nil),
		answer(250, wire(domain("hmac-sha256"), "000065a1b2c3", uint16(300), uint16(4), "01020304", uint16(99), uint16(0), uint16(0))),
		message(4, 0x8180, [][]byte{question(host, 1), question(host, 28)}, one(record(1, wire("c0000201")))),
		message(4, 0x8180, nil, one(recordOf(domain(host), 1, 1, 60, wire("c0000201")))),
		message(4, 0x8180, ask(1), one(recordOf(wire("c00c"), 1, 3, 60, wire("c0000201"))), one(recordOf(wire("c010"), 2, 1, 604800+86400+3600+60+1, domain("ns1.example.com"))),
			[][]byte{recordOf(domain("ns1.example.com"), 1, 1, 0, wire("c0000235")), recordOf(domain("ns1.example.com"), 28, 1, 3600, wire("20010db8000000000000000000000035")), opt(4096, 0x8000)}),
		message(4, 0x8183, ask(1), nil, one(recordOf(wire("c010"), 6, 1, 300, soa))))
	// EDNS options.
	for _, options := range [][][]byte{
		{option(3, nil)}, {option(3, []byte("ns1"))}, {option(8, wire("0001 18 00 c00002"))}, {option(8, wire("0002 38 00 20010db8000100"))}, {option(8, wire("0001 20 20 c0000201"))}, {option(8, wire("0003 18 00 c00002"))}, {option(8, wire("0001 21 00 c0000201 00"))}, {option(8, wire("0001"))}, {option(8, wire("0001 18 00 c000"))},
		{option(10, wire("0102030405060708"))}, {option(10, wire("0102030405060708 1112131415161718"))}, {option(10, wire("01020304"))}, {option(11, wire("0064"))}, {option(11, wire("ffff"))}, {option(11, wire("00"))}, {option(11, nil)}, {option(12, repeat(0, 20))},
		{option(9, wire("00015180"))}, {option(9, wire("00"))}, {option(13, domain("example.com"))}, {option(13, domain("."))}, {option(14, wire("1234 5678"))}, {option(14, wire("123456"))}, {option(5, wire("0801050d0e0f10fcfdfe0002030607"))}, {option(6, wire("0102030405"))}, {option(7, wire("0102"))},
		{option(1, wire("0001"))}, {option(2, wire("0001"))}, {option(15, wire("0012"))}, {option(16, wire("0001"))}, {option(17, wire("0001"))}, {option(26946, wire("abcd"))},
		{option(3, []byte("ns1")), option(10, wire("0102030405060708")), option(12, nil)},
	} {
		all = append(all, message(5, 0x0120, ask(1), nil, nil, one(opt(1232, 0x8000, options...))), message(5, 0x8180, ask(1), nil, nil, one(opt(512, 0, options...))))
	}
	return all
}

// oddDNS are messages that are wrong.
func oddDNS() [][]byte {
	const host = "www.example.com"
	head := func(questions, answers uint16) []byte { return wire("1234 8180", questions, answers, "0000 0000") }
	ask := func(name []byte) []byte { return wire("1234 0100 0001 0000 0000 0000", name, "0001 0001") }
	long := strings.Repeat(strings.Repeat("x", 63)+".", 3)
	return [][]byte{
		nil, wire("1234"), wire("1234 0100 0001 0000 0000"), wire("1234 0100 0002 0000 0000 0000", question(host, 1)), wire("1234 0100 ffff 0000 0000 0000"),
		ask(wire("c00c")), ask(wire("c010")), ask(wire("c0ff")), ask(wire("ffff")), ask(wire(text8("a"), "c00c")), ask(wire(text8("a"), "80")), ask(wire("4008ff00")), ask(wire("4108ff00")), ask(wire("4103e000")), ask(wire("410dabcd00")), ask(wire("4100", repeat(1, 32), 0)), ask(wire("4200")), ask(wire("bf00")), ask(wire("3f61")),
		ask(wire("4105f8", text8("rest"), 0)), ask(domain(long + long)), ask(domain(long + "y")),
		wire(head(1, 1), question(host, 1), "c00c 0001 0001 0000003c 0005 c0000201"), wire(head(1, 1), question(host, 1), "c00c 0001 0001 0000003c 0003 c00002"), wire(head(1, 2), question(host, 1), record(1, wire("c0000201"))),
		wire(head(1, 1), question(host, 1), "c00c 0001 0001"), wire(head(1, 1), question(host, 1)), wire(head(2, 1), question(host, 1)), wire(head(1, 1), question(host, 1), "80"), wire(head(1, 1), question(host, 1), "ff"),
		wire(head(1, 1), question(host, 1), record(16, wire("10616263"))), wire(head(1, 1), question(host, 1), record(15, wire("00"))), wire(head(1, 1), question(host, 1), record(33, wire("0001"))), wire(head(1, 1), question(host, 1), record(28, wire("2001"))),
		wire(head(1, 1), question(host, 1), record(5, wire("c0ff"))), wire(head(1, 1), question(host, 1), record(6, domain("a."))), wire(head(1, 1), question(host, 1), record(38, wire("40"))), wire(head(1, 1), question(host, 1), record(250, domain("a."))),
		wire("1234 0100 0001 0000 0000 0001", question(host, 1), opt(512, 0, wire("0003 0009 6162"))), wire("1234 0100 0001 0000 0000 0001", question(host, 1), opt(512, 0, wire("0003 00"))), wire("1234 0100 0001 0000 0000 0001", question(host, 1), opt(512, 0, wire("00"))),
		wire("1234 0100 0001 0000 0001 0001", question(host, 1), record(2, domain("ns."))), wire("1234 8100 0001 0000 0001 0000", question(host, 1)), wire("1234 8100 0001 0000 0000 0002", question(host, 1), opt(512, 0)),
	}
}

func dnsPackets() []packet {
	var ps []packet
	for i, m := range dnsMessages() {
		src, dst := uint16(40000), uint16(53)
		if m[2]&0x80 != 0 {
			src, dst = dst, src
		}
		from, to := a4, b4
		if i%7 == 0 {
			from, to = a6, b6
		}
		ps = append(ps, pkt(eth(), ip(from, to), udp(src, dst), bytesOf(m)))
		if i%5 == 0 { // RFC 7766
			ps = append(ps, pkt(eth(), ip(from, to), tcp(src, dst, layers.TCP{ACK: true, PSH: true, Seq: 1000, Ack: 1}), bytesOf(wire(uint16(len(m)), m))))
		}
	}
	// RFC 6762: unicast wanted, cache flush.
	local := func(class uint16) []byte { return wire(domain("printer.local"), uint16(1), class) }
	for _, m := range [][]byte{
		message(0, 0, one(local(1))), message(0, 0, one(local(0x8001))), message(0, 0, one(local(0x8003))),
		message(0, 0x8400, nil, [][]byte{recordOf(domain("printer.local"), 1, 0x8001, 120, wire("0a010002")), recordOf(wire("c00c"), 28, 1, 120, wire("20010db8000100000000000000000002")), recordOf(domain("_ipp._tcp.local"), 12, 1, 4500, wire(text8("Printer"), "c040"))}),
		message(0, 0x8400, nil, one(recordOf(domain("Printer._ipp._tcp.local"), 33, 0x8001, 120, wire(uint16(0), uint16(0), uint16(631), domain("printer.local")))), nil, one(recordOf([]byte{0}, 41, 1440, 0x1194, option(4, wire("00020200000000a1"))))),
	} {
		ps = append(ps, pkt(stack{&layers.Ethernet{SrcMAC: mac(1), DstMAC: []byte{1, 0, 0x5e, 0, 0, 0xfb}}}, ip(a4, "224.0.0.251"), udp(5353, 5353), bytesOf(m)))
	}
	// In a tunnel.
	ps = append(ps, pkt(eth(), outer4(), vxlanOn(4789, 42), inner(), ip(a4, b4), udp(40000, 53), bytesOf(dnsMessages()[1])))
	return ps
}

func oddDNSPackets() []packet {
	var ps []packet
	for _, m := range oddDNS() {
		ps = append(ps, pkt(eth(), ip(a4, b4), udp(40000, 53), bytesOf(m)))
		if len(m) > 2 {
			ps = append(ps, pkt(eth(), ip(a4, b4), tcp(40000, 53, layers.TCP{ACK: true, Seq: 1000, Ack: 1}), bytesOf(wire(uint16(len(m)), m))), pkt(eth(), ip(a4, b4), tcp(40000, 53, layers.TCP{ACK: true, Seq: 1000, Ack: 1}), bytesOf(m)))
		}
	}
	return ps
}
