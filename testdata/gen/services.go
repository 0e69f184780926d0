package main

import (
	"slices"

	"github.com/gopacket/gopacket/layers"
)

// services are what programs say to each other at ports that are known.
func services() []packet {
	var ps []packet
	datagram := func(port uint16, b []byte) {
		ps = append(ps, pkt(eth(), ip(a4, b4), udp(40000, port), bytesOf(b)))
	}
	segment := func(port uint16, s string) {
		ps = append(ps,
			pkt(eth(), ip(a4, b4), tcp(40000, port, layers.TCP{ACK: true, PSH: true, Seq: 1000, Ack: 1}), text(s)),
			pkt(eth(), ip(b6, a6), tcp(port, 40000, layers.TCP{ACK: true, PSH: true, Seq: 1000, Ack: 1}), text(s)))
	}
	for _, m := range ntpMessages() {
		datagram(123, m)
	}
	for _, port := range []uint16{80, 8080} {
		for _, s := range []string{
			"GET / HTTP/1.1\r\nHost: example.com\r\nAccept: */*\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", "POST /form HTTP/1.0\nX: y\n\n\x00\x01", "get /lower http/1.0\r\n",
			"PROPFIND /dav HTTP/1.1\r\n\r\n", "hello", "HTTP/1.1 2000 no\r\n", "HTTP/1.1\r\n", "GET /without an end", "GET /with a \x80 byte\r\n", "GET /ends in CR\r", "GET\r\n", " GET / HTTP/1.1\r\n", "GET /tab\there\r\n", "HTTP/1.1 204\r\n\r\n", "\r\n", "X", "HEAD / HTTP/1.1\n", "UNLOCK\t/ HTTP/1.1\r\n",
		} {
			segment(port, s)
		}
	}
	for _, s := range []string{"220 mail.example.com ESMTP\r\n", "EHLO client\r\nMAIL FROM:<a@example.com>\r\n", "binary \x01\r\n"} {
		segment(25, s)
		segment(21, s)
		segment(43, s)
	}
	for _, s := range []string{"SSH-2.0-OpenSSH_9.2\r\n", "SSH-2.0-OpenSSH_9.2", "\x00\x00\x01\x02\x03", "SSH"} {
		segment(22, s)
	}
	for _, s := range []string{"OPTIONS rtsp://example.com RTSP/1.0\r\nCSeq: 1\r\n\r\n", "RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n", "DESCRIBE x RTSP/1.0\r\n", "$\x00\x00\x10 data"} {
		segment(554, s)
		segment(8554, s)
	}
	for _, s := range []string{"INVITE sip:b@example.com SIP/2.0\r\nVia: SIP/2.0/UDP a\r\n\r\n", "SIP/2.0 100 Trying\r\n\r\n", "REGISTER sip:example.com SIP/2.0\r\n", "\r\n\r\n", "PUBLISH x"} {
		datagram(5060, []byte(s))
	}
	v4, v6, frame := encode(bodies4[0]()), encode(bodies6[1]()), encode(inner(), bodies4[3]())
	for _, m := range [][]byte{
		wire("0c000001 00002a00", v4), wire("0c000002 00002a00", v6), wire("0c000003 00002a00", frame), wire("08000000 00002a00", frame), wire("0c000000 00002a00"), wire("0f000001 00002a00 0102"),
		wire("0e000003 ffffff07", frame), wire("04000001 00002a00", v4), wire("1c000001 00002a00", v4), wire("3c000001 00002a00", v4), wire("00000000 00000000"), wire("0c0000"), wire("0c000001 00002a00"), wire("0c000001 00002a00", encode(ip(a4, b4), udp(40000, 4790), bytesOf(wire("0c000001 00002b00", v4)))),
	} {
		datagram(4790, m)
	}
	for _, m := range [][]byte{
		wire("0fc20203 00002aff", frame), wire("0fc20201 00002aff", v4), wire("2fc60102 00002a0f 00000001 00000002 00000003 00000004", v6), wire("0fc50101 00002aff 00000001 00000002 00000003", v4), wire("0fc40201 00002aff 01020102 abcd0000", v4),
		wire("0fc40201 00002aff 01020100 01020300", v4), wire("0fc40201 00002aff 01020108 01020300", v4), wire("0fc30301 00002aff 00000009", v4), wire("4fc20201 00002aff", v4), wire("0fff0201 00002aff", v4), wire("0fc10201 00002aff", v4),
		wire("0fc20204 00002aff 0fc20201 00002aff", v4), wire("0fc202fe 00002aff", v4), wire("0fc202aa 00002aff"), wire("0fc20f05 00002aff"), wire("0fc20200 000000"), wire("1fc20003 fffffe00", frame),
	} {
		datagram(4790, wire("0c000004 00002a00", m))
		ps = append(ps, pkt(bytesOf(wire("0200000000b1 0200000000a1 894f", m))))
	}
	for _, s := range []string{"<34>Oct 11 22:14:15 host su: failed", "<0>x", "<191>y", "<192>z", "<999>w", "<1234>v", "<>u", "no", "<5", "<13>with \x01\xff bytes\n", "<165>1 2026-01-02T03:04:05Z - - - - -"} {
		datagram(514, []byte(s))
	}
	for _, s := range []string{
		"\x00\x01file\x00octet\x00", "\x00\x02dir/file\x00netascii\x00blksize\x001400\x00tsize\x000\x00", "\x00\x03\x00\x01data", "\x00\x04\x00\x01", "\x00\x05\x00\x01not found\x00", "\x00\x05\x00\x09odd\x00", "\x00\x06blksize\x001400\x00",
		"\x00\x07", "\x00\x00", "\x00", "\x00\x01", "\x00\x01file", "\x00\x01file\x00", "\x00\x01file\x00octet", "\x00\x03\x00", "\x00\x05\x00\x02", "\x00\x05\x00", "\x00\x06a", "\x00\x06\x00\x00a\x00", "\x00\x06",
	} {
		datagram(69, []byte(s))
	}
	for _, s := range []string{
		"20 c0 03 18 00000001 00000000 000f4240 000f4240 00000000", "21 40 05 18 00000001 00000002 000186a0 000493e0 0000c350", "28 3b ff 18 00000001 00000002 ffffffff 000003e7 00000000", "29 80 03 18 00000001 00000002 000f4240 000f4240 00000000", "40 c0 03 18 00000001 00000000", "20c003", "20 c0 03 18 0000",
	} {
		for _, port := range []uint16{3784, 3785, 4784, 6784} {
			if s[:2] != "40" {
				datagram(port, wire(s))
			}
		}
	}
	for _, s := range []string{"ff", "00", "", "123456", "12345678 00000001 0102", "12345678 00000001"} {
		datagram(4500, wire(s))
	}
	datagram(6635, wire("00064140", v4))
	for _, s := range []string{"21 01 64 01 00 01 ba52 c0a80001 0000000000000000", "31 01 64 02 0064 0000 c0a80001 c0a80002", "21 02 64 01 01 01 0000 c0a80001 7365637265740000", "22 01", "21 01 64 00 02 05 0000", "11 01 64 00 02 05 0000", "21 01", "21 01 64", "21 05 ff 03 07 01 0000 c0a80001"} {
		for _, limit := range []uint8{255, 64} {
			n := ip(a4, b4)
			n[0].(*layers.IPv4).Protocol, n[0].(*layers.IPv4).TTL = 112, limit
			ps = append(ps, pkt(eth(), n, bytesOf(wire(s))))
		}
	}
	n := ip(a6, b6)
	n[0].(*layers.IPv6).NextHeader = 112
	ps = append(ps, pkt(eth(), n, bytesOf(wire("31 01 64 01 0064 0000 fe800000000000000000000000000001"))))
	return append(ps, mptcp()...)
}

// mptcp are the options of RFC 8684, each in a SYN, an answer to one, and an ACK.
func mptcp() []packet {
	var ps []packet
	for _, o := range []string{
		"1e0400 81", "1e0401 01", "1e0402 01", "1e0c01 81 0102030405060708", "1e1401 01 0102030405060708 1112131415161718", "1e1600 81 0102030405060708 1112131415161718 0032", "1e0501 0100",
		"1e0c11 05 01020304 05060708", "1e0c10 05 01020304 05060708", "1e1011 06 0102030405060708 090a0b0c", "1e1810 00 0102030405060708090a0b0c0d0e0f1011121314", "1e0610 000102",
		"1e0420 00", "1e0820 01 00000007", "1e0c20 03 0000000700000008", "1e1220 04 00000009 0000000a 0010 1234 0000", "1e1020 04 00000009 0000000a 0010 1234", "1e0e20 04 00000009 0000000a 0010", "1e1c20 0f 0000000000000007 0000000000000009 0000000a 0010 1234", "1e1420 15 00000007 00000009 0000000a 0010 1234", "1e0620 01 0000", "1e0a20 04 000000010000", "1e0c20 04 00000001 00000002", "1e0620 00 0102", "1e0320",
		"1e0834 05 0a010001", "1e0a34 05 0a010001 1f90", "1e1030 05 0a010001 0102030405060708", "1e1231 05 0a010001 1f90 0102030405060708", "1e1436 05 20010db8000000000000000000000001", "1e1636 05 20010db8000000000000000000000001 1f90", "1e1c30 05 20010db8000000000000000000000001 0102030405060708", "1e1e35 05 20010db8000000000000000000000001 1f90 0102030405060708", "1e0930 05 0a01000102",
		"1e0440 05", "1e0640 050607", "1e0340", "1e0350", "1e0351", "1e0451 05", "1e0551 0506", "1e0c60 00 0000000000000007", "1e0460 00", "1e0c70 00 0102030405060708", "1e0470 00", "1e0480 00", "1e04f0 00", "1e02",
	} {
		b := wire(o)
		for len(b)%4 != 0 {
			b = append(b, 1)
		}
		for _, flags := range []int{0x02, 0x12, 0x10} {
			segment := wire("9c40 270f 00000064 00000001", (5+len(b)/4)<<4, flags, "01f5 1234 0000", b)
			n := ip(a4, b4)
			n[0].(*layers.IPv4).Protocol = layers.IPProtocolTCP
			ps = append(ps, pkt(eth(), n, bytesOf(segment)))
		}
	}
	return ps
}

// ntpMessages are of every mode, stratum and length.
func ntpMessages() [][]byte {
	message := func(first, stratum, poll, precision int, id string, times string) []byte {
		return wire(first, stratum, poll, precision, "00012000 0003ffff", id, times)
	}
	const (
		times = "e9d1a2b3 80000000 e9d1a2b4 40000001 e9d1a2b4 c0000000 e9d1a2b5 00000000"
		first = "00000000 00000000 00000000 00000000 00000000 00000000 e9d1a2b5 12345678"
		later = "ffffffff ffffffff 00000001 00000001 e9d1a2b4 c0000000 e9d1a2b3 ffffffff"
		same  = "83aa7e80 00000000 e9d1a2b4 c0000000 e9d1a2b4 40000000 e9d1a2b4 d0000000"
	)
	var all [][]byte
	for mode := range 8 {
		all = append(all, message(0x20|mode, 2, 6, 0xe9, "c0000201", times), message(0xd8|mode, 0, 10, 0, "00000000", first))
	}
	for _, stratum := range []int{0, 1, 2, 15, 16, 62, 63, 255} {
		all = append(all, message(0x24, stratum, 3, 0xfa, "47505300", later), message(0x64, stratum, 0xfd, 20, "01807f41", same))
	}
	for _, n := range []int{0, 4, 8, 20, 24, 40} {
		all = append(all, wire(message(0xa4, 2, 0x80, 0x7f, "c0000201", times), repeat(0xab, n)))
	}
	for _, poll := range []int{0, 31, 32, 0xe1, 0xe0} {
		all = append(all, message(0xe3, 3, poll, 0, "c0000201", times))
	}
	return append(all, wire("26 c2 0001 0615 0000 0000 0004 61626364"), wire("16 21 0002 0000 0001 0002 0000"), wire("1e 40 0002 0000 0001 0002 0009 61"))
}

// odd are packets that no program should send: the printers must be as robust as
// tcpdump's, and print the same.
func odd() []packet {
	var ps []packet
	for _, s := range []string{"", "24", "240206", "26", "26c2 0001"} {
		ps = append(ps, pkt(eth(), ip(a4, b4), udp(123, 40000), bytesOf(wire(s))))
	}
	return slices.Concat(oddDNSPackets(), oddPPPPackets(), oddControl(), ps)
}
