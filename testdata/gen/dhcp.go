package main

import "github.com/gopacket/gopacket/layers"

// bootp is a message of RFC 951; op is 1 for a request. The addresses are the client's,
// your, the server's and the relay's.
func bootp(op int, addrs string, vendor ...any) []byte {
	return wire(op, "01 06 00 3903f326 0000 0000", addrs, mac(1), repeat(0, 10), repeat(0, 64), repeat(0, 128), wire(vendor...))
}

// dhcp is one of RFC 2131 with the options.
func dhcp(op int, addrs string, options ...any) []byte {
	return bootp(op, addrs, append([]any{"63825363"}, options...)...)
}

// dhcpOption is an option of RFC 2132.
func dhcpOption(code int, data ...any) []byte {
	b := wire(data...)
	return wire(code, len(b), b)
}

func edited(b []byte, at int, with ...byte) []byte {
	b = append([]byte(nil), b...)
	copy(b[at:], with)
	return b
}

func dhcpMessages() [][]byte {
	const (
		none   = "00000000 00000000 00000000 00000000"
		all    = "0a010001 0a010002 0a010003 0a010004"
		offers = "00000000 0a010064 0a010001 00000000"
	)
	var ms [][]byte
	for typ := 0; typ <= 19; typ++ {
		ms = append(ms, dhcp(1+typ%2, none, dhcpOption(53, typ), 255))
	}
	ms = append(ms,
		dhcp(1, none, dhcpOption(53, 1), dhcpOption(61, 1, mac(1)), dhcpOption(12, plainText("host")), dhcpOption(55, 1, 3, 6, 15, 26, 28, 42, 51, 54, 58, 59, 119, 121, 249), dhcpOption(57, uint16(1500)), dhcpOption(50, "0a010064"), dhcpOption(60, plainText("udhcp 1.36")), 255),
		dhcp(2, offers, dhcpOption(53, 2), dhcpOption(54, "0a010001"), dhcpOption(51, uint32(86400)), dhcpOption(1, "ffffff00"), dhcpOption(3, "0a010001"), dhcpOption(6, "0a010001 08080808"), dhcpOption(15, plainText("example.com")), dhcpOption(28, "0a0100ff"), dhcpOption(2, uint32(0xfffff1f0)), dhcpOption(26, uint16(1450)), dhcpOption(58, uint32(43200)), dhcpOption(59, uint32(75600)), 255, 0, 0, 0),
		dhcp(1, all, 0, 0, dhcpOption(53, 3), dhcpOption(82, 1, text8("eth0"), 2, text8("sw\x011"), 6, text8("sub"), 9, text8("?")), 0, 255),
		dhcp(1, all, dhcpOption(82, 1, 20, plainText("short"))), dhcp(1, all, dhcpOption(82, 1)), dhcp(1, all, dhcpOption(82)),
		dhcp(2, all, dhcpOption(121, 24, "0a0200 0a010001", 0, "0a010001", 32, "0a030303 0a010001", 9, "0a80 0a010001"), dhcpOption(249, 24, "0a0200 0a010001")),
		dhcp(2, all, dhcpOption(121, 33, "0a0200 0a010001"), dhcpOption(121, 24, "0a0200"), dhcpOption(121, 24, "0a0200 0a01"), dhcpOption(121)),
		dhcp(1, none, dhcpOption(81, 0, 0, 0, plainText("host.example.com")), dhcpOption(81, 0x0f, 255, 255, plainText("h")), dhcpOption(81, 0xf5, 0, 1), dhcpOption(81, 1, 1)),
		dhcp(1, none, dhcpOption(77, text8("one"), text8("two")), dhcpOption(77, 0, 1), dhcpOption(77, 9, plainText("ab")), dhcpOption(77, 1)),
		dhcp(1, none, dhcpOption(61, 0, plainText("a name")), dhcpOption(61, 6, "0102"), dhcpOption(61, 7, 1), dhcpOption(61, 15), dhcpOption(61, 23, 1), dhcpOption(61, 24, 1), dhcpOption(61, 255, "00010203"), dhcpOption(61)),
		dhcp(1, none, dhcpOption(52, 1), dhcpOption(52, 2), dhcpOption(52, 3), dhcpOption(52, 4), dhcpOption(52), dhcpOption(52, 1, 2), dhcpOption(46, 1), dhcpOption(46, 2), dhcpOption(46, 4), dhcpOption(46, 8), dhcpOption(46, 9), dhcpOption(46)),
		dhcp(1, none, dhcpOption(53, 1, 2), dhcpOption(53), dhcpOption(55), dhcpOption(19, 0, 1, 2), dhcpOption(21, "0a010000 ffff0000 0a020000 ffff0000"), dhcpOption(21, "0a01"), dhcpOption(33, "0a010000 ffff0000 01"), dhcpOption(25, "0044 0128 02"), dhcpOption(3, "0a01000102"), dhcpOption(43, "0104c0a80001ff"), dhcpOption(126, "0001 0002"), dhcpOption(127, "0001 0002")),
		edited(dhcp(1, none, dhcpOption(53, 1), 255), 1, 6), edited(dhcp(1, none, 255), 2, 8), edited(dhcp(1, none, 255), 3, 2), edited(dhcp(1, none, 255), 8, 0, 9, 0x80, 0), edited(dhcp(1, none, 255), 10, 0x7f, 0xff), edited(dhcp(3, none, 255), 4, 0, 0, 0, 0),
		edited(dhcp(2, all, 255), 44, []byte("server\x00name")...), edited(dhcp(2, all, 255), 108, []byte("pxelinux.0")...), edited(dhcp(2, all, 255), 44, repeat('s', 64)...), edited(dhcp(2, all, 255), 108, repeat('f', 128)...),
		bootp(1, none, repeat(0, 64)), bootp(1, none, "12345678"), bootp(2, all, "434d5500", 1, 0, 0, 0, "ffffff00 0a010001 0a010002 00000000 0a010003 0a010004 0a010005 0a010006", repeat(0, 24)), bootp(2, all, "434d5500", 6, 0, 0, 0, "ffffff00"))
	for code := 1; code < 255; code += 6 { // every option, of different lengths
		var options []any
		for i := code; i < min(code+6, 255); i++ {
			options = append(options, dhcpOption(i, []byte("abcdefgh")[:1+i%8]))
		}
		ms = append(ms, dhcp(1, none, append(options, 255)...))
	}
	codes := make([]byte, 255)
	for i := range codes {
		codes[i] = byte(i)
	}
	return append(ms, dhcp(1, none, dhcpOption(55, codes)))
}

func dhcpPackets() []packet {
	var ps []packet
	for _, m := range dhcpMessages() {
		if m[0] == 2 {
			ps = append(ps, pkt(eth(), ip("10.1.0.1", "255.255.255.255"), udp(67, 68), bytesOf(m)))
		} else {
			ps = append(ps, pkt(stack{&layers.Ethernet{SrcMAC: mac(1), DstMAC: repeat(0xff, 6)}}, ip("0.0.0.0", "255.255.255.255"), udp(68, 67), bytesOf(m)))
		}
	}
	return ps
}
