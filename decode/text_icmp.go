package decode

import "github.com/tundump/tundump/filter/header"

// icmp prints RFC 792.
func (t *Text) icmp(o, length int, fragment bool) {
	t.proto = "icmp"
	if !t.need(o, 2) {
		return
	}
	typ, code := t.u8(o), t.u8(o+1)
	if !t.icmpMessage(typ, code, o) {
		return
	}
	t.s(", length ")
	t.u(length)
	if t.opt.Verbose == 0 {
		return
	}
	if !fragment && t.has(o, length) {
		if sum := checksum(0, t.data[o:o+length]); sum != 0 {
			given := t.u16(o + 2)
			t.s(" (wrong icmp cksum ")
			t.x(uint32(given), 1)
			t.s(" (->")
			t.x(shouldBe(given, sum), 1)
			t.s(")!)")
		}
	}
	switch typ {
	case 3, 4, 5, 11, 12:
		t.s("\n\t")
		end := t.end
		t.quote(o + 8)
		t.end = end
	}
	switch typ {
	case 3, 11, 12:
		t.icmpExtension(o, length)
	}
}

// icmpExtension prints the header of an extension, RFC 4884, which may follow the
// 128 bytes of the packet that an error is about. Most that send one do not
// say so; its checksum does.
func (t *Text) icmpExtension(o, length int) {
	const at = 8 + 128
	if length <= at {
		return
	}
	if t.proto = "icmp"; !t.need(o, at+5) {
		return
	}
	extension := length - at
	correct := t.has(o+at, extension) && checksum(0, t.data[o+at:o+length]) == 0
	if t.u8(o+5) == 0 && t.has(o+at, extension) && !correct {
		return
	}
	version := t.u8(o+at) >> 4
	t.s("\n\tICMP Multi-Part extension v")
	t.u(version)
	if version != 2 {
		t.s(" packet not supported")
		return
	}
	if t.has(o+at, extension) {
		t.s(", checksum 0x")
		t.x(uint32(t.u16(o+at+2)), 4)
		if correct {
			t.s(" (correct), length ")
		} else {
			t.s(" (incorrect), length ")
		}
		t.u(extension)
	}
}

// quote prints the IPv4 packet that an error is about, which starts at o.
func (t *Text) quote(o int) {
	if !t.need(o, 4) {
		return
	}
	length := t.u16(o + 2)
	if t.cut(o, length); !t.need(o, 4) {
		return
	}
	// It is no part of the walk so far. Tunnels in it are walked from here.
	t.link, t.base, t.walked = header.LinkIPv4, o, false
	t.ip(o, length)
}

// icmpMessage returns false if the message is cut.
func (t *Text) icmpMessage(typ, code, o int) bool {
	dst := o + 24 // of the packet that an error is about
	switch typ {
	case 0, 8:
		if !t.need(o, 8) {
			return false
		}
		if typ == 8 {
			t.s("ICMP echo request, id ")
		} else {
			t.s("ICMP echo reply, id ")
		}
		t.u(t.u16(o + 4))
		t.s(", seq ")
		t.u(t.u16(o + 6))
	case 3:
		return t.icmpUnreachable(code, o)
	case 5:
		if !t.need(o, 28) {
			return false
		}
		before, after := " ", " to "
		switch code {
		case 0:
			after = " to net "
		case 1:
			after = " to host "
		case 2:
			before, after = "-tos ", " to net "
		case 3:
			before, after = "-tos ", " to host "
		}
		t.s("ICMP redirect")
		if code > 3 {
			t.s("-#")
			t.u(code)
		}
		t.s(before)
		t.ip4Addr(dst)
		t.s(after)
		t.ip4Addr(o + 4)
	case 9: // RFC 1256
		return t.icmpRouterAdvertisement(o)
	case 11:
		if !t.need(o, 28) {
			return false
		}
		switch code {
		case 0:
			t.s("ICMP time exceeded in-transit")
		case 1:
			t.s("ICMP ip reassembly time exceeded")
		default:
			t.s("ICMP time exceeded-#")
			t.u(code)
		}
	case 12:
		if code != 0 {
			t.s("ICMP parameter problem - code ")
			t.u(code)
			break
		}
		if !t.need(o, 5) {
			return false
		}
		t.s("ICMP parameter problem - octet ")
		t.u(t.u8(o + 4))
	case 13:
		if !t.need(o, 8) {
			return false
		}
		t.s("ICMP time stamp query id ")
		t.u(t.u16(o + 4))
		t.s(" seq ")
		t.u(t.u16(o + 6))
	case 14:
		if !t.need(o, 20) {
			return false
		}
		t.s("ICMP time stamp reply id ")
		t.u(t.u16(o + 4))
		t.s(" seq ")
		t.u(t.u16(o + 6))
		for i, what := range []string{": org ", ", recv ", ", xmit "} {
			t.s(what)
			t.milliseconds(t.u32(o + 8 + 4*i))
		}
	case 18:
		if !t.need(o, 12) {
			return false
		}
		t.s("ICMP address mask is 0x")
		t.x(t.u32(o+8), 8)
	case 4:
		t.s("ICMP source quench")
	case 10:
		t.s("ICMP router solicitation")
	case 15:
		t.s("ICMP information request")
	case 16:
		t.s("ICMP information reply")
	case 17:
		t.s("ICMP address mask request")
	default:
		t.s("ICMP type-#")
		t.u(typ)
	}
	return true
}

func (t *Text) icmpUnreachable(code, o int) bool {
	quoted := o + 8
	dst := quoted + 16
	port := 0
	if code == 3 {
		if !t.need(quoted, 10) {
			return false
		}
		at := quoted + t.u8(quoted)&15*4 + 2
		if !t.need(at, 2) {
			return false
		}
		port = t.u16(at)
	}
	if !t.need(o, 28) {
		return false
	}
	t.s("ICMP ")
	switch code {
	case 0, 6, 9, 11:
		t.s("net ")
	case 1, 7, 10, 12, 13, 14, 15:
		t.s("host ")
	}
	t.ip4Addr(dst)
	proto := t.u8(quoted + 9)
	switch code {
	case 2:
		t.s(" protocol ")
		t.u(proto)
	case 3:
		switch proto {
		case protoTCP:
			t.s(" tcp")
		case protoUDP:
			t.s(" udp")
		default:
			t.s(" protocol ")
			t.u(proto)
		}
		t.s(" port ")
		t.u(port)
	}
	t.s(" unreachable")
	switch code {
	case 0, 1, 2, 3:
	case 4: // RFC 1191
		t.s(" - need to frag")
		if mtu := t.u16(o + 6); mtu != 0 {
			t.s(" (mtu ")
			t.u(mtu)
			t.s(")")
		}
	case 5:
		t.s(" - source route failed")
	case 6, 7:
		t.s(" - unknown")
	case 8:
		t.s(" - source host isolated")
	case 9, 10:
		t.s(" - admin prohibited")
	case 11, 12:
		t.s(" - tos prohibited")
	case 13:
		t.s(" - admin prohibited filter")
	case 14:
		t.s(" - host precedence violation")
	case 15:
		t.s(" - precedence cutoff")
	default:
		t.s(" - #")
		t.u(code)
	}
	return true
}

func (t *Text) icmpRouterAdvertisement(o int) bool {
	if !t.need(o, 8) {
		return false
	}
	count, size, lifetime := t.u8(o+4), t.u8(o+5), t.u16(o+6)
	if size == 2 && !t.need(o+8, 8*count) {
		return false
	}
	t.s("ICMP router advertisement lifetime ")
	two := func(v int) {
		if v < 10 {
			t.s("0")
		}
		t.u(v)
	}
	switch {
	case lifetime < 60:
		t.u(lifetime)
	case lifetime < 3600:
		t.u(lifetime / 60)
		t.s(":")
		two(lifetime % 60)
	default:
		t.u(lifetime / 3600)
		t.s(":")
		two(lifetime % 3600 / 60)
		t.s(":")
		two(lifetime % 60)
	}
	t.s(" ")
	t.u(count)
	t.s(":")
	if size != 2 {
		t.s(" [size ")
		t.u(size)
		t.s("]")
		return true
	}
	for i := range count {
		t.s(" {")
		t.ip4Addr(o + 8 + 8*i)
		t.s(" ")
		t.u(int(t.u32(o + 12 + 8*i)))
		t.s("}")
	}
	return true
}

// milliseconds prints a time of day.
func (t *Text) milliseconds(v uint32) {
	for _, part := range []struct {
		unit, mod uint32
		width     int
		before    string
	}{{3600000, 1193, 2, ""}, {60000, 60, 2, ":"}, {1000, 60, 2, ":"}, {1, 1000, 3, "."}} {
		t.s(part.before)
		n := v / part.unit % part.mod
		for width, limit := part.width, uint32(10); width > 1; width, limit = width-1, limit*10 {
			if n < limit {
				t.s("0")
			}
		}
		t.u(int(n))
	}
}

// igmp prints RFC 1112, RFC 2236 and RFC 3376.
func (t *Text) igmp(o, length int) {
	t.proto = "igmp"
	if t.opt.Quiet {
		t.s("igmp")
		return
	}
	if !t.need(o, 1) {
		return
	}
	otherLength := func() {
		if length != 8 {
			t.s(" [len ")
			t.u(length)
			t.s("]")
		}
	}
	switch typ := t.u8(o); typ {
	case 0x11:
		t.s("igmp query")
		switch {
		case length >= 12:
			t.igmp3Query(o, length)
		default:
			if v := t.u8(o + 1); v != 0 {
				t.s(" v2")
				if v != 100 {
					t.s(" [max resp time ")
					t.u(v)
					t.s("]")
				}
			} else {
				t.s(" v1")
			}
			if t.u32(o+4) != 0 {
				t.s(" [gaddr ")
				t.ip4Addr(o + 4)
				t.s("]")
			}
			otherLength()
		}
	case 0x12, 0x16, 0x17:
		if !t.need(o, 8) {
			return
		}
		switch typ {
		case 0x12:
			t.s("igmp v1 report ")
		case 0x16:
			t.s("igmp v2 report ")
		case 0x17:
			t.s("igmp leave ")
		}
		t.ip4Addr(o + 4)
		if typ == 0x12 {
			otherLength()
		}
	case 0x22:
		t.s("igmp v3 report")
		if length < 16 || length&3 != 0 {
			t.s(" [invalid len ")
			t.u(length)
			t.s("]")
			break
		}
		t.groupRecords(o, length, 4)
	default:
		t.s("igmp-")
		t.u(typ)
	}
	if t.opt.Verbose > 0 && length >= 4 && t.has(o, length) && checksum(0, t.data[o:o+length]) != 0 {
		t.s(" bad igmp cksum ")
		t.x(uint32(t.u16(o+2)), 1)
		t.s("!")
	}
}

func (t *Text) igmp3Query(o, length int) {
	t.s(" v3")
	if length&3 != 0 {
		t.s(" [invalid len ")
		t.u(length)
		t.s("]")
		return
	}
	code := t.u8(o + 1)
	if code != 100 {
		tenths := code
		if code >= 128 {
			tenths = (code&15 | 16) << (code>>4&7 + 3)
		}
		t.s(" [max resp time ")
		if tenths < 600 {
			t.u(tenths / 10)
			t.s(".")
			t.u(tenths % 10)
			t.s("s")
		} else {
			t.duration(tenths / 10)
		}
		t.s("]")
	}
	if t.u32(o+4) == 0 {
		return
	}
	t.s(" [gaddr ")
	t.ip4Addr(o + 4)
	t.querySources(o+10, length-12, 4)
}

// duration prints seconds in larger units.
func (t *Text) duration(seconds int) {
	for _, part := range []struct {
		seconds int
		unit    string
	}{{3600, "h"}, {60, "m"}, {1, "s"}} {
		if n := seconds / part.seconds; n > 0 {
			t.u(n)
			t.s(part.unit)
			seconds %= part.seconds
		}
	}
}

// groupRecords prints the records of an IGMPv3 or MLDv2 report; size is that of an address.
func (t *Text) groupRecords(o, length, size int) {
	count := t.u16(o + 6)
	t.s(", ")
	t.u(count)
	t.s(" group record(s)")
	if t.opt.Verbose == 0 {
		return
	}
	version := 4
	if size == 16 {
		version = 6
	}
	for at := 8; count > 0 && !t.stopped(); count-- {
		if length < at+4+size {
			t.s(" [invalid number of groups]")
			return
		}
		t.need(o+at+4, size)
		t.s(" [gaddr ")
		t.addr(version, o+at+4)
		t.s(" ")
		switch typ := t.u8(o + at); typ {
		case 1:
			t.s("is_in")
		case 2:
			t.s("is_ex")
		case 3:
			t.s("to_in")
		case 4:
			t.s("to_ex")
		case 5:
			t.s("allow")
		case 6:
			t.s("block")
		default:
			if version == 4 {
				t.s(" [v3-report-#")
			} else {
				t.s(" [v2-report-#")
			}
			t.u(typ)
			t.s("]")
		}
		sources := t.u16(o + at + 2)
		at += 4 + size
		if length < at+sources*size {
			t.s(" [invalid number of sources ")
			t.u(sources)
			t.s("]")
			return
		}
		if t.opt.Verbose == 1 {
			t.s(", ")
			t.u(sources)
			t.s(" source(s)")
		} else {
			t.sources(o+at, sources, size)
		}
		t.s("]")
		at += sources * size
	}
}

// querySources ends a query with the sources whose number is at o.
func (t *Text) querySources(o, left, size int) {
	switch count := t.u16(o); {
	case count == 0:
	case left < count*size:
		t.s(" [invalid number of sources]")
	case t.opt.Verbose > 1:
		t.sources(o+2, count, size)
	default:
		t.s(", ")
		t.u(count)
		t.s(" source(s)")
	}
	t.s("]")
}

func (t *Text) sources(o, count, size int) {
	version := 4
	if size == 16 {
		version = 6
	}
	t.s(" {")
	for ; count > 0 && !t.stopped(); count-- {
		t.need(o, size)
		t.s(" ")
		t.addr(version, o)
		o += size
	}
	t.s(" }")
}

// icmp6 prints RFC 4443, RFC 4861, RFC 2710 and RFC 3810.
func (t *Text) icmp6(o, length int, fragment bool) {
	t.proto = "icmp6"
	if length == 0 {
		t.s("ICMP6, length 0")
		t.invalid()
		return
	}
	verbose := t.opt.Verbose > 0
	if verbose && !fragment {
		if sum, ok := t.transportChecksum(protoICMP6, o, length); ok && t.need(o, 4) {
			if given := t.u16(o + 2); sum != 0 {
				t.s("[bad icmp6 cksum 0x")
				t.x(uint32(given), 4)
				t.s(" -> 0x")
				t.x(shouldBe(given, sum), 4)
				t.s("!] ")
			} else {
				t.s("[icmp6 sum ok] ")
			}
		}
	}
	if !t.need(o, 1) {
		return
	}
	typ := t.u8(o)
	t.s("ICMP6, ")
	t.nameOr(icmp6TypeName(typ), typ, "unknown icmp6 type (", ")")
	early := typ >= 133 && typ <= 137 || typ == 145 || typ == 147 // those of which -v prints more behind the length
	if verbose && early {
		t.s(", length ")
		t.u(length)
	}
	code := t.u8(o + 1)
	quoted := o + 8
	known := true
	switch typ {
	case 1:
		t.icmp6Unreachable(code, quoted)
		if code > 4 {
			if t.opt.Verbose <= 1 {
				t.unknownData("\n\t", o, length)
			}
			return
		}
	case 2:
		if t.need(o, 8) {
			t.s(", mtu ")
			t.u(int(t.u32(o + 4)))
		}
	case 3:
		switch code {
		case 0:
			if t.need(quoted+24, 16) {
				t.s(" for ")
				t.ip6Addr(quoted + 24)
			}
		case 1:
			t.s(" (reassembly)")
		default:
			t.s(", unknown code (")
			t.u(code)
			t.s(")")
		}
	case 4:
		if !t.need(quoted+24, 16) {
			return
		}
		switch code {
		case 0:
			t.s(", erroneous - octet ")
		case 1:
			t.s(", next header - octet ")
		case 2:
			t.s(", option - octet ")
		case 3:
			t.s(", incomplete header chain - octet ")
		default:
			t.s(", code-#")
			t.u(code)
		}
		if code <= 3 {
			t.u(int(t.u32(o + 4)))
		}
	case 128, 129:
		if t.need(o, 8) {
			t.s(", id ")
			t.u(t.u16(o + 4))
			t.s(", seq ")
			t.u(t.u16(o + 6))
		}
	case 130:
		switch {
		case length == 24:
			t.mld1(o)
		case length >= 28:
			t.s(" v2")
			t.mld2Query(o, length)
		default:
			t.s(" unknown-version (len ")
			t.u(length)
			t.s(") ")
		}
	case 131, 132:
		t.mld1(o)
	case 133:
		if verbose {
			t.ndOptions(o+8, length-8)
		}
	case 134:
		if verbose {
			t.routerAdvertisement(o)
			t.ndOptions(o+16, length-16)
		}
	case 135:
		if t.need(o+8, 16) {
			t.s(", who has ")
			t.ip6Addr(o + 8)
		}
		if verbose {
			t.ndOptions(o+24, length-24)
		}
	case 136:
		if t.need(o+8, 16) {
			t.s(", tgt is ")
			t.ip6Addr(o + 8)
		}
		if verbose {
			t.s(", Flags [")
			t.flags([]flag{{0x80000000, "router"}, {0x40000000, "solicited"}, {0x20000000, "override"}}, t.u32(o+4), ", ", "none")
			t.s("]")
			t.ndOptions(o+24, length-24)
		}
	case 137:
		if t.need(o+24, 16) {
			t.s(", ")
			t.ip6Addr(o + 24)
		}
		t.s(" to ")
		t.ip6Addr(o + 8)
		if verbose {
			t.ndOptions(o+40, length-40)
		}
	case 143:
		if length < 8 {
			t.s(" [invalid len ")
			t.u(length)
			t.s("]")
			break
		}
		t.groupRecords(o, length, 16)
	case 144, 146: // RFC 6275
		if t.need(o, 6) {
			t.s(", id 0x")
			t.x(uint32(t.u16(o+4)), 4)
		}
	case 145, 147: // RFC 6275
		t.homeAgent(typ, o, length)
		return
	case 141, 142:
	default:
		known = false
	}
	if !known || !verbose {
		t.s(", length ")
		t.u(length)
	}
	if !known && t.opt.Verbose <= 1 {
		t.unknownData("\n\t", o, length)
	}
}

// homeAgent prints what a home agent of RFC 6275 answers.
func (t *Text) homeAgent(typ, o, length int) {
	if t.opt.Verbose == 0 {
		t.numbers(", length ", length)
		return
	}
	if !t.need(o, 6) {
		return
	}
	t.s(", id 0x")
	t.x(uint32(t.u16(o+4)), 4)
	if typ == 145 {
		for at := o + 8; at < o+length && t.need(at, 16); at += 16 {
			t.s(", ")
			t.ip6Addr(at)
		}
		return
	}
	if flags := t.u16(o + 6); flags&0xc000 != 0 {
		t.s(" ")
		t.flags([]flag{{0x8000, "M"}, {0x4000, "O"}}, uint32(flags), "", "")
	}
	t.ndOptions(o+8, length-8)
}

func (t *Text) icmp6Unreachable(code, quoted int) {
	t.s(", ")
	switch code {
	case 0:
		t.s("unreachable route")
	case 1:
		t.s(" unreachable prohibited")
	case 2:
		t.s("beyond scope")
	case 3:
		t.s("unreachable address")
	case 4:
		t.s("unreachable port")
	default:
		t.s("unknown unreach code (")
		t.u(code)
		t.s(")")
	}
	src, dst := quoted+8, quoted+24
	switch code {
	case 0, 1, 3:
		if t.need(dst, 16) {
			t.s(" ")
			t.ip6Addr(dst)
		}
	case 2:
		if t.need(src, 32) {
			t.s(" ")
			t.ip6Addr(dst)
			t.s(", source address ")
			t.ip6Addr(src)
		}
	case 4:
		proto, at := t.upperLayer(quoted)
		if at == 0 {
			t.trunc()
			return
		}
		t.s(", ")
		t.ip6Addr(dst)
		if proto == protoTCP {
			t.s(" tcp port ")
		} else {
			t.s(" udp port ")
		}
		t.u(t.u16(at + 2))
	}
}

// upperLayer finds the TCP or UDP header of the IPv6 packet at o; at is 0 if
// there is none.
func (t *Text) upperLayer(o int) (proto, at int) {
	if !t.has(o+6, 1) {
		return 0, 0
	}
	proto = t.u8(o + 6)
	for at = o + 40; t.has(at, 4); {
		switch proto {
		case protoTCP, protoUDP:
			return proto, at
		case protoHopOpts, protoDstOpts, protoRouting:
			proto, at = t.u8(at), at+(t.u8(at+1)+1)*8
		case protoFragment:
			if t.u16(at+2)&0xfff8 != 0 {
				return 0, 0
			}
			proto, at = t.u8(at), at+8
		case protoAH:
			proto, at = t.u8(at), at+(t.u8(at+1)+2)*4
		default:
			return 0, 0
		}
	}
	return 0, 0
}

// mld1 prints RFC 2710's messages.
func (t *Text) mld1(o int) {
	if !t.has(o, 24) {
		return
	}
	t.s("max resp delay: ")
	t.u(t.u16(o + 4))
	t.s(" addr: ")
	t.ip6Addr(o + 8)
}

// mld2Query prints RFC 3810's query.
func (t *Text) mld2Query(o, length int) {
	verbose := t.opt.Verbose > 0
	if code := t.u16(o + 4); verbose {
		delay := code
		if code >= 32768 {
			delay = (code&0xfff | 0x1000) << (code>>12&7 + 3)
		}
		t.s(" [max resp delay=")
		t.u(delay)
		t.s("]")
	}
	if !t.need(o+8, 16) {
		return
	}
	t.s(" [gaddr ")
	t.ip6Addr(o + 8)
	if verbose {
		flags := t.u8(o + 24)
		if flags&8 != 0 {
			t.s(" sflag")
		}
		if flags&7 != 0 {
			t.s(" robustness=")
			t.u(flags & 7)
		}
		interval := t.u8(o + 25)
		if interval >= 128 {
			interval = (interval&15 | 16) << (interval>>4&7 + 3)
		}
		if t.stopped() {
			return
		}
		t.s(" qqi=")
		t.u(interval)
	}
	t.querySources(o+26, length-28, 16)
}

func (t *Text) routerAdvertisement(o int) {
	if !t.need(o, 16) {
		return
	}
	flags := t.u8(o + 5)
	t.s("\n\thop limit ")
	t.u(t.u8(o + 4))
	t.s(", Flags [")
	t.flags([]flag{{0x80, "managed"}, {0x40, "other stateful"}, {0x20, "home agent"}, {0x02, "ipv6 only"}}, uint32(flags), ", ", "none")
	t.s("], pref ")
	t.s(routerPreference(flags))
	t.s(", router lifetime ")
	t.u(t.u16(o + 6))
	t.s("s, reachable time ")
	t.u(int(t.u32(o + 8)))
	t.s("ms, retrans timer ")
	t.u(int(t.u32(o + 12)))
	t.s("ms")
}

// routerPreference names the bits of RFC 4191.
func routerPreference(flags int) string {
	return [...]string{"medium", "high", "rsv", "low"}[flags>>3&3]
}

func (t *Text) lifetime(seconds uint32) {
	if seconds == 0xffffffff {
		t.s("infinity")
		return
	}
	t.u(int(seconds))
	t.s("s")
}

// ndOptions prints the options of neighbour discovery, a line each.
func (t *Text) ndOptions(o, left int) {
	first := o
	for o < t.end && !t.stopped() {
		if !t.has(o, 2) {
			t.trunc()
			return
		}
		if left <= 0 {
			return
		}
		typ, units := t.u8(o), t.u8(o+1)
		n := units * 8
		if n == 0 || !t.has(o, n) {
			t.trunc()
			return
		}
		t.s("\n\t  ")
		t.name(ndOptionName(typ), "unknown")
		t.s(" option (")
		t.u(typ)
		t.s("), length ")
		t.u(n)
		t.s(" (")
		t.u(units)
		t.s("): ")
		switch typ {
		case 1, 2:
			t.hex(o+2, n-2, ":")
		case 3:
			if !t.need(o, 32) {
				return
			}
			t.ip6Addr(o + 16)
			t.s("/")
			t.u(t.u8(o + 2))
			if units != 4 {
				t.s("badlen")
			}
			t.s(", Flags [")
			t.flags([]flag{{0x80, "onlink"}, {0x40, "auto"}, {0x20, "router"}}, uint32(t.u8(o+3)), ", ", "none")
			t.s("], valid time ")
			t.lifetime(t.u32(o + 4))
			t.s(", pref. time ")
			t.lifetime(t.u32(o + 8))
		case 5:
			t.s(" ")
			t.u(int(t.u32(o + 4)))
			if units != 1 {
				t.s("bad option length")
			}
		case 25: // RFC 8106
			t.s(" lifetime ")
			t.u(int(t.u32(o + 4)))
			t.s("s,")
			for i := range (units - 1) / 2 {
				t.s(" addr: ")
				t.ip6Addr(o + 8 + 16*i)
			}
		case 7: // RFC 6275
			t.s(" ")
			t.u(int(t.u32(o + 4)))
			t.s("ms")
		case 24:
			t.routeInformation(o, units)
		case 4: // of which tcpdump shows as many bytes of the first option
			t.unknownData("\n\t    ", first, n)
		case 31: // RFC 8106
			t.s(" lifetime ")
			t.u(int(t.u32(o + 4)))
			t.s("s, domain(s):")
			for at := o + 8; at < o+n && t.u8(at) != 0; {
				t.s(" ")
				if at = (dnsMessage{t, o, false}).domain(at); at < 0 {
					t.trunc()
					return
				}
			}
		case 8: // RFC 6275
			t.numbers(" preference ", t.u16(o+4), ", lifetime ", t.u16(o+6))
		default:
			if t.opt.Verbose == 1 { // tcpdump does not go on then
				t.unknownData("\n\t  ", o+2, n-2)
				return
			}
		}
		if t.opt.Verbose > 1 {
			t.unknownData("\n\t    ", o+2, n-2)
		}
		o, left = o+n, left-n
	}
}

// routeInformation prints RFC 4191's option.
func (t *Text) routeInformation(o, units int) {
	if units > 3 {
		t.trunc()
		return
	}
	t.s(" ")
	var prefix [16]byte
	copy(prefix[:], t.data[o+8:o+8*units])
	t.prefix(prefix)
	t.s("/")
	t.u(t.u8(o + 2))
	t.s(", pref=")
	t.s(routerPreference(t.u8(o + 3)))
	t.s(", lifetime=")
	t.lifetime(t.u32(o + 4))
}

func ndOptionName(typ int) string {
	switch typ {
	case 1:
		return "source link-address"
	case 2:
		return "destination link-address"
	case 3:
		return "prefix info"
	case 4:
		return "redirected header"
	case 5:
		return "mtu"
	case 7:
		return "advertisement interval"
	case 8:
		return "homeagent information"
	case 24:
		return "route info"
	case 25:
		return "rdnss"
	case 31:
		return "dnssl"
	}
	return ""
}

func icmp6TypeName(typ int) string {
	switch typ {
	case 1:
		return "destination unreachable"
	case 2:
		return "packet too big"
	case 3:
		return "time exceeded in-transit"
	case 4:
		return "parameter problem"
	case 128:
		return "echo request"
	case 129:
		return "echo reply"
	case 130:
		return "multicast listener query"
	case 131:
		return "multicast listener report"
	case 132:
		return "multicast listener done"
	case 133:
		return "router solicitation"
	case 134:
		return "router advertisement"
	case 135:
		return "neighbor solicitation"
	case 136:
		return "neighbor advertisement"
	case 137:
		return "redirect"
	case 138:
		return "router renumbering"
	case 139:
		return "who-are-you request"
	case 140:
		return "who-are-you reply"
	case 141:
		return "inverse neighbor solicitation"
	case 142:
		return "inverse neighbor advertisement"
	case 143:
		return "multicast listener report v2"
	case 144:
		return "ha discovery request"
	case 145:
		return "ha discovery reply"
	case 146:
		return "mobile router solicitation"
	case 147:
		return "mobile router advertisement"
	case 155:
		return "RPL"
	case 200:
		return "mtrace response"
	case 201:
		return "mtrace message"
	}
	return ""
}
