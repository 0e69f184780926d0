package decode

const lsaHeaderSize = 20

// Kinds of link states, RFC 2328, RFC 3101 and RFC 5250.
const (
	lsaRouter = 1 + iota
	lsaNetwork
	lsaSummary
	lsaSummaryASBR
	lsaExternal
	lsaGroup
	lsaNSSA
	_
	lsaOpaqueLink
	lsaOpaqueArea
	lsaOpaqueDomain
)

// Kinds of opaque ones.
const (
	opaqueEngineering = 1
	opaqueGrace       = 3
	opaqueRouter      = 4
)

func isOpaque(kind int) bool { return kind >= lsaOpaqueLink && kind <= lsaOpaqueDomain }

func (t *Text) lsaName(kind int) {
	names := [...]string{"", "Router", "Network", "Summary", "ASBR Summary", "External", "Multicast Group", "NSSA", "", "Link Local Opaque", "Area Local Opaque", "Domain Wide Opaque"}
	name := ""
	if kind < len(names) {
		name = names[kind]
	}
	t.name(name, "unknown")
	t.numbers(" LSA (", kind, ")")
}

func (t *Text) opaqueName(kind int) {
	t.name(pick(kind, "", "Traffic Engineering", "", "Graceful restart", "Router Information"), "unknown")
	t.numbers(" LSA (", kind, ")")
}

// lsaHeader prints the header of a link state, and returns how long what is behind it claims
// to be, or a negative number.
func (t *Text) lsaHeader(o int) int {
	size := t.u16(o + 18)
	if t.stopped() {
		return -1
	}
	if size < lsaHeaderSize {
		t.numbers("\n\t    Bogus length ", size, " < header (", lsaHeaderSize, ")")
		return -1
	}
	t.s("\n\t  Advertising Router ")
	t.ip4Addr(o + 8)
	t.s(", seq 0x")
	t.x(t.u32(o+12), 8)
	t.numbers(", age ", t.u16(o), "s, length ", size-lsaHeaderSize)
	kind := t.u8(o + 3)
	t.s("\n\t    ")
	t.lsaName(kind)
	if isOpaque(kind) {
		t.s(", Opaque-Type ")
		t.opaqueName(t.u8(o + 4))
		t.numbers(", Opaque-ID ", t.u24(o+5))
	} else {
		t.s(", LSA-ID: ")
		t.ip4Addr(o + 4)
	}
	t.s("\n\t    Options: [")
	t.ospfOptionNames(t.u8(o + 2))
	t.s("]")
	if t.stopped() {
		return -1
	}
	return size - lsaHeaderSize
}

// lsa prints a link state, and returns where the next one is.
func (t *Text) lsa(o int) int {
	kind := t.u8(o + 3)
	size := t.lsaHeader(o)
	if size < 0 {
		t.trunc()
		return o
	}
	o += lsaHeaderSize
	end, goesOn := o+size, true
	switch kind {
	case lsaRouter:
		goesOn = t.lsaLinks(o)
	case lsaNetwork:
		t.lsaMask(o)
		t.s("\n\t    Connected Routers:")
		for at := o + 4; at < end && t.need(at, 4); at += 4 {
			t.s("\n\t      ")
			t.ip4Addr(at)
		}
	case lsaSummary:
		t.lsaMask(o)
		t.lsaMetrics(o+4, end)
	case lsaSummaryASBR:
		t.lsaMetrics(o+4, end)
	case lsaExternal, lsaNSSA:
		t.lsaMask(o)
		t.lsaExternal(o+4, end)
	case lsaGroup:
		t.lsaGroup(o, end)
	case lsaOpaqueLink, lsaOpaqueArea, lsaOpaqueDomain:
		switch t.u8(o - lsaHeaderSize + 4) {
		case opaqueGrace:
			goesOn = t.opaqueGrace(o, size)
		case opaqueRouter:
			goesOn = t.opaqueRouter(o, size)
		case opaqueEngineering: // what is in it is left out
		default:
			goesOn = t.opt.Verbose > 1
			if !goesOn {
				t.lsaDump(o, size)
			}
		}
	}
	if goesOn && t.opt.Verbose > 1 {
		t.lsaDump(o, size)
	}
	return end
}

func (t *Text) lsaDump(o, size int) {
	t.unknownData("\n\t    ", o, size)
}

func (t *Text) lsaMask(o int) {
	if !t.need(o, 4) {
		return
	}
	t.s("\n\t    Mask ")
	t.ip4Addr(o)
}

// topology prints the identifier of RFC 4915.
func (t *Text) topology(id int) {
	t.s("\n\t\ttopology ")
	t.name(word("default multicast management", id), "Unknown")
	t.numbers(" (", id, ")")
}

// lsaLinks prints the links of a router.
func (t *Text) lsaLinks(o int) bool {
	if !t.need(o, 1) {
		return false
	}
	t.s("\n\t    Router LSA Options: [")
	t.flags([]flag{{1, "ABR"}, {2, "ASBR"}, {4, "Virtual"}, {8, "Wildcard"}, {16, "Nt"}, {128, "Host"}}, uint32(t.u8(o)), ", ", "none")
	t.s("]")
	count := t.u16(o + 2)
	o += 4
	t.need(o, 12) // even if there is no link
	for ; count > 0 && t.need(o, 12); count-- {
		titles := [...][2]string{{"Neighbor Router-ID", "Interface Address"}, {"Neighbor Network-ID", "Interface Address"},
			{"Stub Network", "Mask"}, {"Virtual Link: Neighbor Router-ID", "Interface Address"}}
		kind := t.u8(o + 8)
		if kind < 1 || kind > len(titles) {
			t.numbers("\n\t      Unknown Router Link Type (", kind, ")")
			return false
		}
		t.numbers("\n\t      ", titles[kind-1][0], ": ")
		t.ip4Addr(o)
		t.numbers(", ", titles[kind-1][1], ": ")
		t.ip4Addr(o + 4)
		metrics := t.u8(o+9) + 1 // the first is the default topology's
		id := 0
		for o += 8; metrics > 0 && !t.stopped(); metrics-- {
			metric := t.u16(o + 2)
			if !t.stopped() {
				t.topology(id)
				t.numbers(", metric ", metric)
			}
			o += 4
			if metrics > 1 {
				id = t.u8(o)
			}
		}
	}
	return true
}

func (t *Text) lsaMetrics(o, end int) {
	t.need(o, 4) // even if there is none
	for ; o < end && !t.stopped(); o += 4 {
		v := t.u32(o)
		if t.stopped() {
			return
		}
		t.topology(int(v >> 24 & 0x7f))
		t.numbers(" metric ", int(v&0xffffff))
	}
}

func (t *Text) lsaExternal(o, end int) {
	t.need(o, 4) // even if there is none
	for ; o < end && !t.stopped(); o += 12 {
		v := t.u32(o)
		if t.stopped() {
			return
		}
		t.topology(int(v >> 24 & 0x7f))
		t.numbers(", type ", 1+int(v>>31), ", metric ")
		if metric := int(v & 0xffffff); metric == 0xffffff {
			t.s("infinite")
		} else {
			t.u(metric)
		}
		if t.u32(o+4) != 0 {
			t.s(", forward ")
			t.ip4Addr(o + 4)
		}
		if t.u32(o+8) != 0 {
			t.s(", tag ")
			t.number4(o + 8)
		}
	}
}

// lsaGroup prints where the members of a multicast group are, RFC 1584.
func (t *Text) lsaGroup(o, end int) {
	for ; o < end && t.need(o, 4); o += 8 {
		kind := t.u32(o)
		if (kind == 1 || kind == 2) && !t.need(o, 8) {
			return
		}
		switch kind {
		case 1:
			t.s("\n\t    Router Router-ID ")
			t.ip4Addr(o + 4)
		case 2:
			t.s("\n\t    Network Designated Router ")
			t.ip4Addr(o + 4)
		default:
			t.numbers("\n\t    unknown VertexType (", int(kind), ")")
		}
	}
}

// opaqueGrace prints RFC 3623's announcement of a restart.
func (t *Text) opaqueGrace(o, size int) bool {
	// A last part without its padding makes tcpdump believe that there are 4 GiB more.
	for left := uint32(size); left > 0 && !t.stopped(); {
		if !t.has(o, 4) {
			return false
		}
		if left < 4 {
			t.numbers("\n\t    Remaining LS length ", int(left), " < 4")
			return false
		}
		kind, n := t.u16(o), t.u16(o+2)
		o, left = o+4, left-4
		t.s("\n\t    ")
		names := [...]string{"", "Grace Period", "Graceful restart Reason", "IPv4 interface address"}
		if kind > 0 && kind < len(names) {
			t.s(names[kind])
		} else {
			t.s("unknown")
		}
		t.numbers(" TLV (", kind, "), length ", n, ", value: ")
		if uint32(n) > left {
			t.numbers("\n\t    Bogus length ", n, " > ", int(left))
			return false
		}
		if kind == 0 || n == 0 {
			return false
		}
		if !t.has(o, n) {
			return false
		}
		want := [...]int{1: 4, 2: 1, 3: 4}
		if kind > 0 && kind < len(want) && n != want[kind] {
			t.numbers("\n\t    Bogus length ", n, " != ", want[kind])
			return false
		}
		switch kind {
		case 1:
			t.u(int(t.u32(o)))
			t.s("s")
		case 2:
			reasons := [...]string{"Unknown", "Software Restart", "Software Reload/Upgrade", "Control Processor Switch"}
			v, name := t.u8(o), "Unknown"
			if v < len(reasons) {
				name = reasons[v]
			}
			t.numbers(name, " (", v, ")")
		case 3:
			t.ip4Addr(o)
		default:
			if t.opt.Verbose <= 1 {
				t.unknownData("\n\t      ", o, n)
			}
		}
		n = (n + 3) &^ 3
		o, left = o+n, left-uint32(n)
	}
	return true
}

// opaqueRouter prints what a router can, RFC 7770.
func (t *Text) opaqueRouter(o, left int) bool {
	for left > 0 && !t.stopped() {
		if !t.need(o, 4) {
			return false
		}
		if left < 4 {
			t.numbers("\n\t    Remaining LS length ", left, " < 4")
			return false
		}
		kind, n := t.u16(o), t.u16(o+2)
		o, left = o+4, left-4
		t.s("\n\t    ")
		if kind == 1 {
			t.s("Router Capabilities")
		} else {
			t.s("unknown")
		}
		t.numbers(" TLV (", kind, "), length: ", n, ", value: ")
		if n > left {
			t.numbers("\n\t    Bogus length ", n, " > remaining LS length ", left)
			return false
		}
		switch {
		case !t.need(o, n):
			return false
		case kind != 1:
			if t.opt.Verbose <= 1 {
				t.unknownData("\n\t      ", o, n)
			}
		case n != 4:
			t.numbers("\n\t    Bogus length ", n, " != 4")
			return false
		default:
			t.s("Capabilities: ")
			t.flags([]flag{{1, "Reserved"}, {2, "Reserved"}, {4, "Reserved"}, {8, "Reserved"}, {0x10, "graceful restart capable"}, {0x20, "graceful restart helper"},
				{0x40, "Stub router support"}, {0x80, "Traffic engineering"}, {0x100, "p2p over LAN"}, {0x200, "path computation server"}}, t.u32(o), ", ", "Unknown")
		}
		// tcpdump does not skip the padding.
		o, left = o+n, left-n
	}
	return true
}
