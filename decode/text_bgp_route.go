package decode

// The routes of BGP. Lengths of prefixes are in bits.

// bgpForm is how the routes of a pair of address families are written.
type bgpForm struct {
	bits    int  // of an address
	labeled bool // RFC 8277
	vpn     bool // RFC 4364: with a distinguisher, and labels
}

// bgpFormOf returns how routes are written; known, if tcpdump can read them; ok if we can, too.
func bgpFormOf(family, sub int) (f bgpForm, ok, known bool) {
	switch family {
	case 1:
		f.bits = 32
	case 2:
		f.bits = 128
	case 3: // NSAP
		return f, false, sub >= 1 && sub <= 3 || sub >= 128 && sub <= 130
	case 25:
		return f, false, sub == 65 || sub >= 128 && sub <= 130
	default:
		return f, false, false
	}
	switch sub {
	case 1, 2, 3:
		ok = true
	case 4:
		f.labeled, ok = true, true
	case 128, 129, 130:
		f.vpn, ok = true, true
	case 5, 66, 132: // multicast in VPNs, route targets
		known = family == 1
	}
	return f, ok, known || ok
}

// prefixSize returns how many bytes of an address a prefix has.
func prefixSize(bits int) int { return (bits + 7) / 8 }

// hasPaths reports whether routes look as if they had RFC 7911's identifiers, which only the
// opened connection would tell.
func (t *Text) hasPaths(o, length, bits int) bool {
	if length <= 4 || !t.has(o, length) {
		return false
	}
	routes := t.data[o : o+length]
	fits := func(before, least int) bool {
		at := 0
		for at < length {
			if at += before; at >= length {
				// Tcpdump's guess goes wrong where the capture ends.
				return at == length && !t.has(o+at, 1)
			}
			n := int(routes[at])
			if n < least || n > bits {
				return false
			}
			at += 1 + prefixSize(n)
		}
		return at == length
	}
	return fits(4, 0) && !fits(0, 1)
}

// bgpPrefixes prints IPv4 routes, and returns how many bytes are none.
func (t *Text) bgpPrefixes(before string, o, length int) (left int) {
	paths := t.hasPaths(o, length, 32)
	for length > 0 && !t.stopped() {
		path := uint32(0)
		if paths {
			if length < 4 {
				return length
			}
			path = t.u32(o)
			o, length = o+4, length-4
		}
		n := t.bgpPrefix(before, o, length, 32)
		if n <= 0 {
			return length
		}
		if paths {
			t.s("   Path Id: ")
			t.u(int(path))
		}
		o, length = o+n, length-n
	}
	return length
}

// bgpPrefix prints the route at o, and returns its size, or 0 if there is none.
func (t *Text) bgpPrefix(before string, o, left, bits int) int {
	if left < 1 {
		t.bgpCut()
		return 0
	}
	n := t.u8(o)
	if n > bits {
		t.s("\n\t    (illegal prefix length)")
		return 0
	}
	size := prefixSize(n)
	if !t.need(o+1, size) {
		return 0
	}
	if size > left-1 {
		t.bgpCut()
		return 0
	}
	t.s(before)
	t.masked(o+1, n, bits)
	return 1 + size
}

// masked prints the prefix of n bits of an address that has bits, with its length.
func (t *Text) masked(o, n, bits int) {
	var a [16]byte
	size := prefixSize(n)
	copy(a[:], t.data[o:o+size])
	if n%8 != 0 {
		a[size-1] &= 0xff << (8 - n%8)
	}
	if bits == 32 {
		t.dotted([4]byte(a[:4]))
	} else {
		t.prefix(a)
	}
	t.numbers("/", n)
}

// bgpLabel prints one label of RFC 8277, three bytes.
func (t *Text) bgpLabel(o int) {
	v := t.u24(o)
	t.numbers(", label:", v>>4)
	if v&1 != 0 {
		t.s(" (bottom)")
	} else {
		t.s(" (BOGUS: Bottom of Stack NOT set!)")
	}
}

// bgpRoute prints a route of the form at o, and returns its size: 0 if there is no whole one.
func (t *Text) bgpRoute(f bgpForm, paths bool, o, left int) int {
	start, path := o, uint32(0)
	if paths {
		path = t.u32(o)
		o, left = o+4, left-4
	}
	more := 0 // bytes before the address
	switch {
	case f.vpn:
		more = 3 + 8
	case f.labeled:
		more = 3
	}
	if left < 1+min(more, 3) && !f.vpn {
		return 0
	}
	if f.labeled && !t.has(o, 4) {
		t.bgpCut()
		return 0
	}
	n := t.u8(o) - 8*more
	if t.stopped() {
		return 0
	}
	if n < 0 || n > f.bits {
		t.s("\n\t    (illegal prefix length)")
		return 0
	}
	size := prefixSize(n)
	at := o + 1
	if !t.need(at, more+size) {
		return 0
	}
	if !f.vpn && 1+more+size > left {
		return 0
	}
	t.s("\n\t      ")
	if f.vpn {
		t.s("RD: ")
		t.distinguisher(at + 3)
		t.s(", ")
	}
	t.masked(at+more, n, f.bits)
	if more > 0 {
		t.bgpLabel(at)
	}
	if paths {
		t.s("   Path Id: ")
		t.u(int(path))
	}
	return at + more + size - start
}

// distinguisher prints RFC 4364's eight bytes.
func (t *Text) distinguisher(o int) {
	if !t.need(o, 8) {
		return
	}
	switch t.u16(o) {
	case 0:
		t.numbers(t.u16(o+2), ":", int(t.u32(o+4)), " (= ")
		t.number4(o + 4)
		t.s(")")
	case 1:
		t.number4(o + 2)
		t.numbers(":", t.u16(o+6))
	case 2:
		t.as(t.u32(o + 2))
		t.numbers(":", t.u16(o+6), " (")
		t.number4(o + 2)
		t.numbers(":", t.u16(o+6), ")")
	default:
		t.s("unknown RD format")
	}
}

// bgpReach prints RFC 4760's routes that can be reached.
func (t *Text) bgpReach(o, length int) {
	if length < 3 || !t.need(o, 3) {
		t.bgpCut()
		return
	}
	family, sub := t.u16(o), t.u8(o+2)
	t.bgpFamilies(family, sub)
	f, ok, known := bgpFormOf(family, sub)
	if !known {
		t.bgpNoRoutes(family, sub, o, length)
		return
	}
	at, end := o+3, o+length
	next := t.u8(at)
	at++
	if next > 0 {
		if next > end-at {
			t.bgpCut()
			return
		}
		t.s("\n\t    nexthop: ")
		at = t.bgpNextHop(f, ok, family, at, next)
	}
	t.numbers(", nh-length: ", next)
	snpa := t.u8(at)
	at++
	if snpa == 0 {
		t.s(", no SNPA")
	} else {
		t.numbers("\n\t    ", snpa, " SNPA")
	}
	for ; snpa > 0 && !t.stopped(); snpa-- {
		n := t.u8(at)
		t.numbers("\n\t      ", n, " bytes")
		if !t.has(at+1, n) {
			t.bgpCut()
		}
		at += 1 + n
	}
	t.bgpRouteList(f, ok, at, end, length)
}

// bgpNextHop prints where routes lead, and returns where it ends.
func (t *Text) bgpNextHop(f bgpForm, ok bool, family, o, left int) int {
	if !ok {
		f = bgpForm{bits: 32} // those of multicast in VPNs, and of route targets
		if family != 1 {
			return o + left
		}
	}
	size := f.bits / 8
	if f.vpn {
		size += 8
	}
	for start := o; left > 0 && !t.stopped(); {
		if o > start {
			t.s(", ")
		}
		if left < size {
			t.s("invalid len")
			o += left
			left = 0
			break
		}
		if !t.need(o, size) {
			return o
		}
		at := o
		if f.vpn {
			t.s("RD: ")
			t.distinguisher(at)
			t.s(", ")
			at += 8
		}
		if f.bits == 32 {
			t.number4(at)
		} else {
			t.prefix([16]byte(t.data[at : at+16]))
		}
		o, left = o+size, left-size
	}
	return o
}

// bgpUnreach prints RFC 4760's routes that are no more.
func (t *Text) bgpUnreach(o, length int) {
	if !t.need(o, 3) {
		return
	}
	family, sub := t.u16(o), t.u8(o+2)
	t.bgpFamilies(family, sub)
	f, ok, known := bgpFormOf(family, sub)
	if !known {
		t.bgpNoRoutes(family, sub, o, length)
		return
	}
	if length == 3 {
		t.s("\n\t      End-of-Rib Marker (empty NLRI)")
	}
	t.bgpRouteList(f, ok, o+3, o+length, length)
}

// bgpRouteList prints the routes up to end in an attribute of size bytes, which is what tcpdump
// believes that there are left for each.
func (t *Text) bgpRouteList(f bgpForm, ok bool, o, end, size int) {
	if !ok { // they are left out
		return
	}
	paths := !f.labeled && !f.vpn && t.hasPaths(o, end-o, f.bits)
	for o < end && !t.stopped() {
		n := t.bgpRoute(f, paths, o, size)
		if n <= 0 {
			return
		}
		o += n
	}
}

func (t *Text) bgpFamilies(family, sub int) {
	t.s("\n\t    AFI: ")
	t.name(bgpFamily(family), "Unknown AFI")
	t.numbers(" (", family, "), ")
	if sub > 128 {
		t.s("vendor specific ")
	}
	t.s("SAFI: ")
	t.name(bgpSubsequent(sub), "Unknown SAFI")
	t.numbers(" (", sub, ")")
}

func (t *Text) bgpNoRoutes(family, sub, o, length int) {
	t.numbers("\n\t    no AFI ", family, " / SAFI ", sub, " decoder")
	if t.opt.Verbose <= 1 {
		t.unknownData("\n\t    ", o, length)
	}
}
