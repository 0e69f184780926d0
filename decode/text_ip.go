package decode

import (
	"encoding/binary"

	"github.com/tundump/tundump/filter/header"
)

// IP protocol numbers, https://www.iana.org/assignments/protocol-numbers.
const (
	protoHopOpts  = 0
	protoICMP     = 1
	protoIGMP     = 2
	protoIPIP     = 4
	protoTCP      = 6
	protoUDP      = 17
	protoIPv6     = 41
	protoRouting  = 43
	protoFragment = 44
	protoGRE      = 47
	protoESP      = 50
	protoAH       = 51
	protoICMP6    = 58
	protoNone     = 59
	protoDstOpts  = 60
	protoSCTP     = 132
)

// printsAddresses tells which protocols print the addresses with the ports.
func printsAddresses(proto int) bool {
	return proto == protoTCP || proto == protoUDP || proto == protoSCTP
}

// ip prints an IPv4 packet, RFC 791.
func (t *Text) ip(o, length int) {
	t.proto = "ip"
	if !t.need(o, 1) {
		return
	}
	switch v := t.u8(o) >> 4; v {
	case 4:
	case 6:
		t.s("IP6, wrong link-layer encapsulation")
		t.invalid()
		return
	default:
		t.s("IP")
		t.u(v)
		t.invalid()
		return
	}
	if !t.opt.LinkHeader {
		t.s("IP ")
	}
	if !t.need(o, 20) {
		return
	}
	if length < 20 {
		t.s("truncated-ip ")
		t.u(length)
		return
	}
	size := t.u8(o) & 15 * 4
	if size < 20 {
		t.s("bad-hlen ")
		t.u(size)
		return
	}
	total := t.u16(o + 2)
	if length < total {
		t.s("truncated-ip - ")
		t.u(total - length)
		t.s(" bytes missing! ")
	}
	if total < size {
		if total != 0 || length <= 0xffff {
			t.s("bad-len ")
			t.u(total)
			return
		}
		total = length // Linux's BIG TCP: too long for the field
	}
	t.cut(o, total)
	t.outer, t.final = o, o+16
	frag, proto := t.u16(o+6), t.u8(o+9)
	if t.opt.Verbose > 0 {
		t.ipHeader(o, size, frag, proto)
	}
	if frag&0x1fff != 0 {
		t.ip4Addr(o + 12)
		t.s(" > ")
		t.ip4Addr(o + 16)
		t.s(": ip-proto-")
		t.u(proto)
		return
	}
	if !printsAddresses(proto) {
		t.ipAddrs(4, o)
	}
	if !t.has(o, size) {
		t.remaining(o, size)
		return
	}
	t.demux(proto, o+size, total-size, frag&0x2000 != 0)
}

// ipAddrs prints the addresses of the network header at o.
func (t *Text) ipAddrs(version, o int) {
	src, dst := o+12, o+16
	if version == 6 {
		src, dst = o+8, o+24
	}
	t.addr(version, src)
	t.s(" > ")
	t.addr(version, dst)
	t.s(": ")
}

func (t *Text) remaining(o, size int) {
	t.s(" [remaining caplen(")
	t.u(t.end - o)
	t.s(") < header length(")
	t.u(size)
	t.s(")]")
	t.trunc()
}

// ipHeader prints what -v adds.
func (t *Text) ipHeader(o, size, frag, proto int) {
	tos := t.u8(o + 1)
	t.s("(tos 0x")
	t.x(uint32(tos), 1)
	switch tos & 3 {
	case 1:
		t.s(",ECT(1)")
	case 2:
		t.s(",ECT(0)")
	case 3:
		t.s(",CE")
	}
	if ttl := t.u8(o + 8); ttl >= 1 {
		t.s(", ttl ")
		t.u(ttl)
	}
	t.s(", id ")
	t.u(t.u16(o + 4))
	t.s(", offset ")
	t.u(frag & 0x1fff * 8)
	t.s(", flags [")
	t.flags([]flag{{0x2000, "+"}, {0x4000, "DF"}, {0x8000, "rsvd"}}, uint32(frag), ", ", "none")
	t.s("], proto ")
	t.name(ipProtoName(proto), "unknown")
	t.s(" (")
	t.u(proto)
	t.s("), length ")
	t.u(t.u16(o + 2))
	truncated := false
	if size > 20 {
		t.s(", options (")
		if !t.ipOptions(o+20, size-20) {
			t.s(" [truncated-option]")
			truncated = true
		}
		t.s(")")
	}
	if !t.opt.NoChecksums && t.has(o, size) {
		if sum := checksum(0, t.data[o:o+size]); sum != 0 {
			t.s(", bad cksum ")
			t.x(uint32(t.u16(o+10)), 1)
			t.s(" (->")
			t.x(shouldBe(t.u16(o+10), sum), 1)
			t.s(")!")
		}
	}
	t.s(")\n    ")
	if truncated {
		t.ipAddrs(4, o)
		t.trunc()
	}
}

// ipOptions returns false if the options are not all there.
func (t *Text) ipOptions(o, length int) bool {
	for first := true; length > 0 && !t.stopped(); first = false {
		if !first {
			t.s(",")
		}
		code := t.u8(o)
		t.nameOr(ipOptionName(code), code, "unknown ", "")
		n := 1
		if code > 1 {
			if n = t.u8(o + 1); n < 2 {
				t.badLength(n)
				return true
			}
		}
		if n > length {
			t.badLength(n)
			return true
		}
		if !t.has(o, n) {
			return false
		}
		switch code {
		case 0:
			return true
		case 7, 131, 137:
			t.ipRoute(o, n)
			if code != 7 && n >= 7 {
				t.final = o + n - 4
			}
		case 68:
			t.ipTimestamps(o, n)
		case 148:
			if n < 4 {
				t.badLength(n)
			} else if v := t.u16(o + 2); v != 0 {
				t.s(" value ")
				t.u(v)
			}
		}
		o, length = o+n, length-n
	}
	return true
}

func (t *Text) badLength(n int) {
	t.s(" [bad length ")
	t.u(n)
	t.s("]")
}

func (t *Text) badPointer(p int) {
	t.s(" [bad ptr ")
	t.u(p)
	t.s("]")
}

func (t *Text) ipRoute(o, n int) {
	if n < 3 {
		t.badLength(n)
		return
	}
	if (n+1)&3 != 0 {
		t.badLength(n)
	}
	pointer := t.u8(o+2) - 1
	if pointer < 3 || (pointer+1)&3 != 0 || pointer > n+1 {
		t.badPointer(pointer + 1)
	}
	for at := 3; at < n; at += 4 {
		t.s(" ")
		t.ip4Addr(o + at)
		if pointer > at || pointer < 0 {
			t.s(",")
		}
	}
}

func (t *Text) ipTimestamps(o, n int) {
	if n < 4 {
		t.s("[bad length ")
		t.u(n)
		t.s("]")
		return
	}
	t.s(" TS{")
	flags := t.u8(o + 3)
	size := 8
	if flags&15 == 0 {
		size = 4
	}
	if (n-4)%size != 0 {
		t.s("[bad length ")
		t.u(n)
		t.s("]")
	}
	pointer := t.u8(o+2) - 1
	if pointer < 4 || (pointer-4)%size != 0 || pointer > n+1 {
		t.s("[bad ptr ")
		t.u(pointer + 1)
		t.s("]")
	}
	at := 0
	switch flags & 15 {
	case 0:
		t.s("TSONLY")
	case 1:
		t.s("TS+ADDR")
	case 3:
		t.s("PRESPEC")
	default:
		t.s("[bad ts type ")
		t.u(flags & 15)
		t.s("]")
		n = 0
	}
	for at = min(4, n); at < n; at += size {
		if pointer == at {
			t.s(" ^ ")
		} else {
			t.s(" ")
		}
		t.u(int(t.u32(o + at + size - 4)))
		t.s("@")
		if size == 8 {
			t.ip4Addr(o + at)
		}
	}
	if pointer == at {
		t.s(" ^ ")
	}
	if flags>>4 != 0 {
		t.s(" [")
		t.u(flags >> 4)
		t.s(" hops not recorded]} ")
	} else {
		t.s("}")
	}
}

// ip6 prints an IPv6 packet, RFC 8200.
func (t *Text) ip6(o, length int) {
	t.proto = "ip6"
	if !t.need(o, 40) {
		return
	}
	if length < 40 {
		t.s("truncated-ip6 ")
		t.u(length)
		return
	}
	if !t.opt.LinkHeader {
		t.s("IP6 ")
	}
	if v := t.u8(o) >> 4; v != 6 {
		t.s("version error: ")
		t.u(v)
		t.s(" != 6")
		return
	}
	payload := t.u16(o + 4)
	left := payload + 40
	if payload == 0 {
		left = length + 40 // until a jumbo payload option, RFC 2675, says how much
	} else if length < left {
		t.s("truncated-ip6 - ")
		t.u(left - length)
		t.s(" bytes missing!")
	}
	next := t.u8(o + 6)
	if t.opt.Verbose > 0 {
		t.ip6Header(o, next, payload)
	}
	whole := t.end
	t.cut(o, left)
	t.outer, t.final = o, o+24
	at, left := o+40, left-40
	if !printsAddresses(next) {
		t.ipAddrs(6, o)
	}
	jumbo, extended, fragment := false, false, false
	for {
		size := 0
		switch next {
		case protoHopOpts:
			if at != o+40 {
				if t.u8(o+6) == protoHopOpts {
					t.s("[The Hop-by-Hop Options header was already found]")
				} else {
					t.s("[The Hop-by-Hop Options header don't follow the IPv6 header]")
				}
				t.invalid()
				return
			}
			if size = t.ip6Options("hbhopt", "HBH ", at, &payload, &jumbo); size == 0 {
				return
			}
			if payload == 0 {
				t.s("[No valid Jumbo Payload Hop-by-Hop option found]")
				t.invalid()
				return
			}
		case protoDstOpts:
			if size = t.ip6Options("dstopt", "DSTOPT ", at, nil, nil); size == 0 {
				return
			}
		case protoRouting:
			if size = t.routing(at); size == 0 {
				return
			}
		case protoFragment:
			if !t.fragment(o, at) || t.end <= at+8 {
				return
			}
			size, fragment = 8, true
		default:
			switch {
			case jumbo:
				left = payload + 40 - (at - o)
				if left < 0 {
					t.trunc()
					return
				}
				if length < payload+40 {
					t.s("truncated-ip6 - ")
					t.u(payload + 40 - length)
					t.s(" bytes missing!")
				}
				t.end = min(whole, o+payload+40)
			case payload == 0 && extended:
				t.trunc()
				return
			case payload == 0:
				left, t.end = 0, min(whole, o+40)
			}
			t.demux(next, at, left, fragment)
			return
		}
		extended = true
		next = t.u8(at)
		t.proto = "ip6"
		if at >= t.end || t.stopped() {
			return
		}
		if left < size {
			t.trunc()
			return
		}
		at, left = at+size, left-size
	}
}

// ip6Header prints what -v adds.
func (t *Text) ip6Header(o, next, payload int) {
	t.s("(")
	flow := t.u32(o)
	if class := flow >> 20 & 0xff; class != 0 {
		t.s("class 0x")
		t.x(class, 2)
		t.s(", ")
	}
	if label := flow & 0xfffff; label != 0 {
		t.s("flowlabel 0x")
		t.x(label, 5)
		t.s(", ")
	}
	t.s("hlim ")
	t.u(t.u8(o + 7))
	t.s(", next-header ")
	t.name(ipProtoName(next), "unknown")
	t.s(" (")
	t.u(next)
	t.s(") payload length: ")
	t.u(payload)
	t.s(") ")
}

// ip6Options prints a header of options and returns its size, or 0 if nothing can follow.
// In a hop-by-hop header a jumbo payload option sets payload and jumbo.
func (t *Text) ip6Options(proto, name string, o int, payload *int, jumbo *bool) int {
	t.proto = proto
	if !t.need(o, 2) {
		return 0
	}
	size := (t.u8(o+1) + 1) * 8
	if !t.need(o, size) {
		return 0
	}
	t.s(name)
	verbose := t.opt.Verbose > 0
	if !verbose && payload == nil {
		return size
	}
	seen := false
	for at, end := o+2, o+size; at < end; {
		code, n := t.u8(at), 1
		if code != 0 {
			if at+1 == end {
				t.trunc()
				return 0
			}
			n = t.u8(at+1) + 2
		}
		if at+n > end {
			t.trunc()
			return 0
		}
		bad := func(option string, want int) bool {
			switch {
			case end-at < want:
				t.s("(" + option + ": trunc)")
			case n < want || option != "homeaddr" && n > want:
				t.s("(" + option + ": invalid len ")
				t.u(n - 2)
				t.s(")")
			default:
				return false
			}
			t.trunc()
			return true
		}
		switch code {
		case 0:
			if verbose {
				t.s("(pad1)")
			}
		case 1:
			if verbose {
				t.s("(padn)")
			}
		case 5: // RFC 2711
			if bad("rtalert", 4) {
				return 0
			}
			if verbose {
				t.s("(rtalert: 0x")
				t.x(uint32(t.u16(at+2)), 4)
				t.s(") ")
			}
		case 0xc2: // RFC 2675
			if bad("jumbo", 6) {
				return 0
			}
			length, note := int(t.u32(at+2)), ""
			switch {
			case seen:
				note = " - already seen"
			case payload == nil:
				note = " - not a hop-by-hop option"
			case *payload != 0:
				note = " - payload len != 0"
			case length < 65536:
				note = " - < 65536"
			default:
				*payload, *jumbo = length, true
			}
			seen = true
			if verbose {
				t.s("(jumbo: ")
				t.u(length)
				t.s(note)
				t.s(") ")
			}
		case 0xc9: // RFC 6275
			if bad("homeaddr", 18) {
				return 0
			}
			if verbose {
				t.s("(homeaddr: ")
				t.ip6Addr(at + 2)
				t.s(")")
			}
		default:
			if verbose {
				t.s("(opt_type 0x")
				t.x(uint32(code), 2)
				t.s(": len=")
				t.u(n - 2)
				t.s(")")
			}
		}
		at += n
	}
	if verbose {
		t.s(" ")
	}
	return size
}

// routing prints a routing header and returns its size, or 0 if nothing can follow.
func (t *Text) routing(o int) int {
	if !t.need(o, 1) {
		return 0
	}
	t.proto = "rt6"
	t.s("RT6")
	n := t.u8(o + 1)
	t.s(" (len=")
	t.u(n)
	typ := t.u8(o + 2)
	t.s(", type=")
	t.u(typ)
	if typ == 0 {
		t.s(" [Deprecated]")
	}
	left := t.u8(o + 3)
	t.s(", segleft=")
	t.u(left)
	switch typ {
	case 0, 2: // RFC 5095, RFC 6275
		if v := t.u32(o + 4); v != 0 || t.opt.Verbose > 0 {
			t.s(", rsv=0x")
			t.x(v, 1)
		}
	case 4: // RFC 8754
		entry := t.u8(o + 4)
		t.s(", last-entry=")
		t.u(entry)
		if v := t.u8(o + 5); v != 0 || t.opt.Verbose > 0 {
			t.s(", flags=0x")
			t.x(uint32(v), 1)
		}
		tag := t.u16(o + 6)
		t.s(", tag=")
		t.x(uint32(tag), 1)
	default:
		t.s(" (unknown type)")
		t.invalid()
		return 0
	}
	if n%2 == 1 {
		t.s(" (invalid length ")
		t.u(n)
		t.s(")")
		t.invalid()
		return 0
	}
	for i := range n / 2 {
		addr := o + 8 + 16*i
		if !t.need(addr, 16) {
			return 0
		}
		t.s(", [")
		t.u(i)
		t.s("]")
		t.ip6Addr(addr)
		// The segments of RFC 8754 are in reverse order.
		if typ != 4 || i == 0 {
			t.final = addr
		}
	}
	t.s(") ")
	return (n + 1) * 8
}

// fragment prints the fragment header of the packet at o, and reports whether
// something decodable may follow.
func (t *Text) fragment(o, at int) bool {
	t.proto = "frag6"
	if !t.need(at, 4) || t.opt.Verbose > 0 && !t.need(at, 8) {
		return false
	}
	t.s("frag (")
	if t.opt.Verbose > 0 {
		t.s("0x")
		t.x(t.u32(at+4), 8)
		t.s(":")
	}
	offset := t.u16(at+2) & 0xfff8
	t.u(offset)
	t.s("|")
	t.u(40 + t.u16(o+4) - (at - o) - 8)
	t.s(")")
	if offset != 0 {
		return false
	}
	t.s(" ")
	return true
}

// demux prints the payload of an IP packet.
func (t *Text) demux(proto, o, length int, fragment bool) {
	version, _, _, _ := t.network()
	for proto == protoAH {
		size := t.ah(o)
		if t.stopped() {
			return
		}
		proto, o, length = t.u8(o), o+size, length-size
	}
	switch proto {
	case protoTCP:
		t.tcp(o, length, fragment)
	case protoUDP:
		t.udp(o, length, fragment)
	case protoSCTP:
		t.sctp(o, length)
	case protoICMP:
		if version != 4 {
			t.s("[ICMP requires IPv4]")
			t.invalid()
			return
		}
		t.icmp(o, length, fragment)
	case protoICMP6:
		if version != 6 {
			t.s("[ICMPv6 requires IPv6]")
			t.invalid()
			return
		}
		t.icmp6(o, length, fragment)
	case protoIGMP:
		if version != 4 {
			t.s("[IGMP requires IPv4]")
			t.invalid()
			return
		}
		t.igmp(o, length)
	case protoIPIP, protoIPv6:
		tunnel, ok := t.layer(o, header.IPIP, header.IPIP6)
		switch {
		case ok && t.inner(t.enter(tunnel), o, length):
		case ok || !t.deeper():
			t.unknownProto(proto, length)
		case proto == protoIPIP:
			t.ip(o, length)
		default:
			t.ip6(o, length)
		}
	case protoGRE:
		t.gre(o, length)
	case protoESP:
		t.esp(o, length)
	case protoOSPF:
		t.ospf(o, length)
	case protoPIM:
		t.pim(o, length)
	case protoVRRP:
		t.vrrp(o, length)
	case protoNone:
		t.s("no next header")
	default:
		t.unknownProto(proto, length)
	}
}

// esp prints what of RFC 4303 is not encrypted.
func (t *Text) esp(o, length int) {
	t.proto = "esp"
	if !t.need(o, 9) {
		return
	}
	t.s("ESP(spi=0x")
	t.x(t.u32(o), 8)
	t.s(",seq=0x")
	t.x(t.u32(o+4), 1)
	t.s("), length ")
	t.u(length)
}

func (t *Text) unknownProto(proto, length int) {
	t.s(" ip-proto-")
	t.u(proto)
	t.s(" ")
	t.u(length)
}

// ah prints an authentication header, RFC 4302, and returns its size.
func (t *Text) ah(o int) int {
	t.proto = "ah"
	if !t.need(o, 1) {
		return 0
	}
	t.s("AH")
	n := t.u8(o + 1)
	size := (n + 2) * 4
	t.s("(")
	if t.opt.Verbose > 0 {
		t.s("length=")
		t.u(n)
		t.s("(")
		t.u(size)
		t.s("-bytes),")
	}
	if v := t.u16(o + 2); v != 0 {
		t.s("reserved=0x")
		t.x(uint32(v), 1)
		t.s("[MustBeZero],")
	}
	if spi := t.u32(o + 4); !t.stopped() {
		t.s("spi=0x")
		t.x(spi, 8)
		t.s(",")
	}
	if seq := t.u32(o + 8); !t.stopped() {
		t.s("seq=0x")
		t.x(seq, 1)
		t.s(",")
	}
	t.s("icv=0x")
	t.hex(o+12, max(0, min(size-12, t.end-o-12)), "")
	t.need(o, size)
	t.s("): ")
	return size
}

func ipProtoName(proto int) string {
	switch proto {
	case 0:
		return "Options"
	case 1:
		return "ICMP"
	case 2:
		return "IGMP"
	case 4:
		return "IPIP"
	case 6:
		return "TCP"
	case 8:
		return "EGP"
	case 9:
		return "IGRP"
	case 17:
		return "UDP"
	case 33:
		return "DCCP"
	case 41:
		return "IPv6"
	case 43:
		return "Routing"
	case 44:
		return "Fragment"
	case 46:
		return "RSVP"
	case 47:
		return "GRE"
	case 50:
		return "ESP"
	case 51:
		return "AH"
	case 55:
		return "Mobile IP"
	case 58:
		return "ICMPv6"
	case 62:
		return "Mobile IP (old)"
	case 88:
		return "EIGRP"
	case 89:
		return "OSPF"
	case 103:
		return "PIM"
	case 108:
		return "Compressed IP"
	case 112:
		return "VRRP"
	case 113:
		return "PGM"
	case 132:
		return "SCTP"
	case 135:
		return "Mobility"
	case 143:
		return "Ethernet"
	}
	return ""
}

func ipOptionName(code int) string {
	switch code {
	case 0:
		return "EOL"
	case 1:
		return "NOP"
	case 7:
		return "RR"
	case 68:
		return "timestamp"
	case 82:
		return "traceroute"
	case 130:
		return "security"
	case 131:
		return "LSRR"
	case 137:
		return "SSRR"
	case 148:
		return "RA"
	}
	return ""
}

// checksum returns the Internet checksum, RFC 1071, of b, to which sum has been
// added before: 0 if b has a correct one in it.
func checksum(sum uint32, b []byte) uint32 {
	s := uint64(sum)
	for ; len(b) >= 2; b = b[2:] {
		s += uint64(binary.BigEndian.Uint16(b))
	}
	if len(b) > 0 {
		s += uint64(b[0]) << 8
	}
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return ^uint32(s) & 0xffff
}

// shouldBe returns the checksum that would have been right where sum was and
// wrong is what checksum returned.
func shouldBe(sum int, wrong uint32) uint32 {
	v := uint32(sum) + wrong
	return (v&0xffff + v>>16) & 0xffff
}

// transportChecksum returns the checksum of the length bytes at o with the pseudo-header of
// the IP packet around them; ok is false if they are not all there.
func (t *Text) transportChecksum(proto, o, length int) (sum uint32, ok bool) {
	if !t.has(o, length) {
		return 0, false
	}
	src, _ := t.addresses()
	n := len(src)
	if !t.has(t.final, n) {
		return 0, false
	}
	// checksum returns the complement.
	sum = ^checksum(uint32(proto)+uint32(length)&0xffff+uint32(length)>>16, src) & 0xffff
	sum = ^checksum(sum, t.data[t.final:t.final+n]) & 0xffff
	return checksum(sum, t.data[o:o+length]), true
}
