package decode

import "github.com/tundump/tundump/filter/header"

// gre prints RFC 2784 and RFC 2890, and what is in it.
func (t *Text) gre(o, length int) {
	t.proto = "gre"
	if length < 2 {
		t.trunc()
		return
	}
	if !t.need(o, 2) {
		return
	}
	flags := t.u16(o)
	version := flags & 7
	t.s("GREv")
	t.u(version)
	if version > 1 {
		t.s(" ERROR: unknown-version")
		return
	}
	if t.opt.Verbose > 0 {
		t.s(", Flags [")
		t.flags([]flag{{0x8000, "checksum present"}, {0x4000, "routing present"}, {0x2000, "key present"},
			{0x1000, "sequence# present"}, {0x0800, "source routing present"}, {0x0080, "ack present"}}, uint32(flags), ", ", "none")
		t.s("]")
	}
	// word tells whether the n bytes of an optional field are there, and skips them.
	at, left := o+2, length-2
	word := func(n int) bool {
		if left < n {
			t.trunc()
			return false
		}
		if !t.need(at, n) {
			return false
		}
		at, left = at+n, left-n
		return true
	}
	if !word(2) {
		return
	}
	proto := t.u16(o + 2)
	key, sequence := ", key=0x", ", seq "
	if version == 1 { // PPTP's, RFC 2637
		key = ", call "
	} else if flags&0xc000 != 0 {
		if !word(2) {
			return
		}
		if t.opt.Verbose > 0 {
			t.s(", sum 0x")
			t.x(uint32(t.u16(at-2)), 1)
		}
		if !word(2) {
			return
		}
		t.s(", off 0x")
		t.x(uint32(t.u16(at-2)), 1)
	}
	if flags&0x2000 != 0 {
		if !word(4) {
			return
		}
		t.s(key)
		if version == 1 {
			t.u(t.u16(at - 2))
		} else {
			t.x(t.u32(at-4), 1)
		}
	}
	if flags&0x1000 != 0 {
		if !word(4) {
			return
		}
		t.s(sequence)
		t.u(int(t.u32(at - 4)))
	}
	if version == 0 && flags&0x4000 != 0 {
		if at, left = t.greRouting(at, left); t.stopped() {
			return
		}
	}
	if version == 1 && flags&0x80 != 0 {
		if !word(4) {
			return
		}
		t.s(", ack ")
		t.u(int(t.u32(at - 4)))
	}
	empty := version == 1 && flags&0x1000 == 0
	if empty {
		t.s(", no-payload")
	}
	t.tunnelProto(proto)
	t.s(", length ")
	t.u(length)
	if empty {
		return
	}
	t.into("\n\t")
	if !t.greInner(o, version, proto, at, left) {
		t.s("gre-proto-0x")
		t.x(uint32(proto), 1)
	}
}

// greInner prints what is in it, and reports whether it can.
func (t *Text) greInner(o, version, proto, at, length int) bool {
	if tunnel, ok := t.layer(o, header.GRE); ok {
		if id := t.enter(tunnel); id != header.None && t.inner(id, at, length) {
			return true
		} else if id != header.None || tunnel.Level >= t.depth {
			return false
		}
	} else if !t.deeper() {
		return false
	}
	switch {
	case version == 1 && proto == 0x880b:
		t.ppp(at, length)
	case version == 1:
		return false
	case proto == header.TypeTEB:
		t.ether(at, length)
	case proto == header.TypeIP, proto == header.TypeIP6, proto == 0x8847:
		t.etherPayload(proto, at, length)
	default:
		return false
	}
	return true
}

// greRouting prints RFC 1701's source routes, and returns where they end and what is left.
func (t *Text) greRouting(o, left int) (int, int) {
	for {
		if left < 4 {
			t.trunc()
			return o, left
		}
		family, at, size := t.u16(o), t.u8(o+2), t.u8(o+3)
		o, left = o+4, left-4
		if family == 0 && size == 0 || t.stopped() {
			return o, left
		}
		switch family {
		case 0x0800:
			t.greRoute(", (rtaf=ip", o, at, size, left, 4, t.number4)
		case 0xfffe:
			t.greRoute(", (rtaf=asn", o, at, size, left, 2, func(o int) { t.x(uint32(t.u16(o)), 1) })
		default:
			t.s(", (rtaf=0x")
			t.x(uint32(family), 1)
			t.s(")")
		}
		if left < size {
			t.trunc()
			return o, left
		}
		o, left = o+size, left-size
	}
}

func (t *Text) greRoute(title string, o, current, size, left, each int, hop func(o int)) {
	t.s(title)
	switch {
	case current%each != 0:
		t.numbers(", badoffset=", current)
	case size%each != 0:
		t.numbers(", badlength=", size)
	case current >= size:
		t.numbers(", badoff/len=", current, "/", size)
	default:
		for i := 0; i < size && i+each <= left && !t.stopped(); i += each {
			t.s(" ")
			if i == current {
				t.s("*")
			}
			hop(o + i)
		}
	}
	t.s(")")
}

// tunnelProto prints what -e adds.
func (t *Text) tunnelProto(proto int) {
	if t.opt.LinkHeader {
		t.s(", proto ")
		t.name(etherTypeName(proto), "unknown")
		t.s(" (0x")
		t.x(uint32(proto), 4)
		t.s(")")
	}
}

// into goes on to what is in a tunnel: in the same line, or as tcpdump -v does.
func (t *Text) into(newline string) {
	if t.opt.Verbose > 0 {
		t.s(newline)
	} else {
		t.s(": ")
	}
}

// erspan prints draft-foschiano-erspan-03's types I and II.
func (t *Text) erspan(id header.ID, o, length int) {
	tunnel, ok := t.layer(o, id)
	t.s("ERSPAN")
	if id == header.ERSPAN1 {
		t.s(" type I: ")
	} else {
		t.proto = "erspan"
		if !t.need(o, 8) {
			return
		}
		if v := t.u8(o) >> 4; v != 1 {
			t.s(" unknown-version ")
			t.u(v)
			return
		}
		t.s(" type II, session ")
		t.u(t.u16(o+2) & 0x3ff)
		if t.opt.Verbose > 0 {
			t.s(", vlan ")
			t.u(t.u16(o) & 0xfff)
			t.s(", cos ")
			t.u(t.u8(o+2) >> 5)
			t.s(", index ")
			t.u(int(t.u32(o+4) & 0xfffff))
		}
		t.s(": ")
		o, length = o+8, length-8
	}
	if ok {
		t.inner(t.enter(tunnel), o, length)
	}
}

// vxlan prints RFC 7348 and what is in it.
func (t *Text) vxlan(o, length int) {
	t.proto = "vxlan"
	t.s("VXLAN")
	if length < 8 {
		t.invalid()
		return
	}
	if !t.need(o, 1) {
		return
	}
	flags := t.u8(o)
	t.s(", flags [")
	t.flags([]flag{{8, "I"}}, uint32(flags), "", "invalid")
	t.s("] (0x")
	t.x(uint32(flags), 2)
	t.s("), ")
	if !t.need(o, 7) {
		return
	}
	t.s("vni ")
	t.u(int(t.u32(o+3) & 0xffffff))
	if !t.has(o, 8) {
		t.s("\n")
		t.trunc()
		return
	}
	// Without the flag I there is no VNI: this is something else.
	if tunnel, ok := t.layer(o, header.VXLAN); ok {
		if id := t.enter(tunnel); id != header.None {
			t.s("\n")
			t.inner(id, o+8, length-8)
			return
		}
	}
	t.s(", length ")
	t.u(length)
}

// geneve prints RFC 8926 and what is in it.
func (t *Text) geneve(o, length int) {
	t.proto = "geneve"
	t.s("Geneve")
	if length < 8 {
		t.s(" [length ")
		t.u(length)
		t.s(" < 8]")
		t.invalid()
		return
	}
	if !t.need(o, 8) {
		return
	}
	if v := t.u8(o) >> 6; v != 0 {
		t.s(" ERROR: unknown-version ")
		t.u(v)
		return
	}
	proto := t.u16(o + 2)
	t.s(", Flags [")
	t.flags([]flag{{0x80, "O"}, {0x40, "C"}, {0x20, "R1"}, {0x10, "R2"}, {0x08, "R3"}, {0x04, "R4"}, {0x02, "R5"}, {0x01, "R6"}},
		uint32(t.u8(o+1)), "", "none")
	t.s("], vni 0x")
	t.x(t.u32(o+4)>>8, 1)
	if v := t.u8(o + 7); v != 0 {
		t.s(", rsvd 0x")
		t.x(uint32(v), 1)
	}
	t.tunnelProto(proto)
	options := t.u8(o) & 0x3f * 4
	at, left := o+8, length-8
	if left < options {
		t.s(" truncated-geneve - ")
		t.u(options - left)
		t.s(" bytes missing")
		return
	}
	if !t.need(at, options) {
		return
	}
	if options > 0 {
		t.s(", options [")
		if t.opt.Verbose > 0 {
			t.geneveOptions(at, options)
		} else {
			t.u(options)
			t.s(" bytes")
		}
		t.s("]")
	}
	t.into("\n\t")
	at, left = at+options, left-options
	if tunnel, ok := t.layer(o, header.Geneve); ok {
		if id := t.enter(tunnel); id != header.None && t.inner(id, at, left) {
			return
		} else if id == header.None && tunnel.Level < t.depth && t.etherPayload(proto, at, left) {
			return
		}
	}
	t.s("geneve-proto-0x")
	t.x(uint32(proto), 1)
}

func (t *Text) geneveOptions(o, left int) {
	for first := true; left > 0; first = false {
		if !first {
			t.s(", ")
		}
		class, typ := t.u16(o), t.u8(o+2)
		size := 4 + t.u8(o+3)&0x1f*4
		t.s("class ")
		t.s(geneveClassName(class))
		t.s(" (0x")
		t.x(uint32(class), 1)
		t.s(") type 0x")
		t.x(uint32(typ), 1)
		if typ&0x80 != 0 {
			t.s("(C)")
		}
		t.s(" len ")
		t.u(size)
		if size > left {
			t.s(" [bad length]")
			return
		}
		if t.opt.Verbose > 1 && size > 4 {
			t.s(" data")
			for at := 4; at < size; at += 4 {
				t.s(" ")
				t.hex(o+at, 4, "")
			}
		}
		o, left = o+size, left-size
	}
}

func geneveClassName(class int) string {
	switch {
	case class == 0x0100:
		return "Linux"
	case class == 0x0101:
		return "Open vSwitch"
	case class == 0x0102:
		return "Open Virtual Networking (OVN)"
	case class == 0x0103:
		return "In-band Network Telemetry (INT)"
	case class == 0x0104:
		return "VMware"
	case class <= 0x00ff:
		return "Standard"
	case class >= 0xfff0:
		return "Experimental"
	}
	return "Unknown"
}
