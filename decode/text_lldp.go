package decode

// lldp prints IEEE 802.1AB's message: its parts with -v, a line or more each.
func (t *Text) lldp(o, length int) {
	t.proto = "lldp"
	t.s("LLDP, length ")
	t.u(length)
	for length >= 2 && !t.stopped() {
		if !t.need(o, 2) {
			return
		}
		tlv := t.u16(o)
		typ, n := tlv>>9, tlv&0x1ff
		o, length = o+2, length-2
		if t.opt.Verbose > 0 {
			t.s("\n\t")
			t.name(lldpName(typ), "Unknown")
			t.s(" TLV (")
			t.u(typ)
			t.s("), length ")
			t.u(n)
		}
		if typ == 0 || n == 0 {
			return
		}
		if !t.need(o, n) {
			return
		}
		if length < n {
			t.trunc()
			return
		}
		switch known, whole := t.lldpPart(typ, o, n); {
		case !whole:
			t.trunc()
			return
		case t.opt.Verbose > 1 || t.opt.Verbose == 1 && !known:
			t.unknownData("\n\t  ", o, n)
		}
		o, length = o+n, length-n
	}
}

// lldpPart prints a part; whole is false if it is too short for what it is.
func (t *Text) lldpPart(typ, o, n int) (known, whole bool) {
	if t.opt.Verbose == 0 {
		if typ == 5 {
			t.s(": ")
			t.padding(o, n)
		}
		return true, true
	}
	switch typ {
	case 1:
		return t.lldpID(lldpChassisName, 4, 5, o, n)
	case 2:
		return t.lldpID(lldpPortName, 3, 4, o, n)
	case 3:
		if n < 2 {
			return true, false
		}
		t.s(": TTL ")
		t.u(t.u16(o))
		t.s("s")
	case 4, 5:
		t.s(": ")
		t.padding(o, n)
	case 6:
		t.s("\n\t  ")
		t.padding(o, n)
	case 7:
		if n < 4 {
			return true, false
		}
		for i, title := range []string{"\n\t  System  Capabilities [", "\n\t  Enabled Capabilities ["} {
			v := t.u16(o + 2*i)
			t.s(title)
			t.flags([]flag{{0x01, "Other"}, {0x02, "Repeater"}, {0x04, "Bridge"}, {0x08, "WLAN AP"}, {0x10, "Router"},
				{0x20, "Telephone"}, {0x40, "Docsis"}, {0x80, "Station Only"}}, uint32(v), ", ", "none")
			t.s("] (0x")
			t.x(uint32(v), 4)
			t.s(")")
		}
	case 8:
		return true, t.lldpManagement(o, n)
	case 127:
		if n < 3 {
			return true, false
		}
		oui := t.u24(o)
		t.s(": OUI ")
		t.name(ouiName(oui), "Unknown")
		t.s(" (0x")
		t.x(uint32(oui), 6)
		t.s(")")
		switch oui {
		case 0x0080c2:
			return t.lldp8021(o, n), true
		case 0x00120f:
			return t.lldp8023(o, n), true
		case 0x0012bb:
			return t.lldpMED(o, n), true
		case 0x00005e:
			return t.lldpIANA(o, n), true
		}
		return false, true
	default:
		return false, true
	}
	return true, true
}

// lldpID prints what identifies a chassis or a port; mac and network are the subtypes of
// addresses.
func (t *Text) lldpID(name func(int) string, mac, network, o, n int) (known, whole bool) {
	if n < 2 {
		return true, false
	}
	kind := t.u8(o)
	t.s("\n\t  Subtype ")
	t.name(name(kind), "Unknown")
	t.s(" (")
	t.u(kind)
	t.s("): ")
	switch {
	case kind == mac:
		if n < 7 {
			return true, false
		}
		t.mac(o + 1)
	case kind == network:
		return true, t.familyAddr("", o+1, n-1)
	case kind >= 1 && kind <= 7:
		t.padding(o+1, n-1)
	default:
		return false, true
	}
	return true, true
}

// familyAddr prints an address of n bytes, of which the first is the address family, behind the
// title, and returns false if it is too short.
func (t *Text) familyAddr(title string, o, n int) bool {
	if n < 1 {
		return false
	}
	family, size := t.u8(o), 0
	switch family {
	case 1:
		size = 4
	case 2:
		size = 16
	case 6:
		size = 6
	}
	if n-1 < size {
		return false
	}
	t.s(title)
	t.s("AFI ")
	t.name(familyName(family), "Unknown")
	t.s(" (")
	t.u(family)
	switch family {
	case 1:
		t.s("): ")
		t.ip4Addr(o + 1)
	case 2:
		t.s("): ")
		t.ip6Addr(o + 1)
	case 6:
		t.s("): ")
		t.mac(o + 1)
	default:
		t.s("), no AF printer !")
	}
	return true
}

func (t *Text) lldpManagement(o, n int) bool {
	size := t.u8(o)
	if n-1 < size || size < 1 {
		return false
	}
	mark := len(t.buf)
	t.s("\n\t  Management Address length ")
	t.u(size)
	if !t.familyAddr(", ", o+1, size) {
		if !t.stopped() {
			t.buf = t.buf[:mark]
		}
		return false
	}
	o, n = o+1+size, n-1-size
	if n < 5 {
		return false
	}
	kind := t.u8(o)
	t.s("\n\t  ")
	switch kind {
	case 2:
		t.s("Interface Index")
	case 3:
		t.s("System Port Number")
	default:
		t.s("Unknown")
	}
	t.s(" Interface Numbering (")
	t.u(kind)
	t.s("): ")
	t.u(int(t.u32(o + 1)))
	if o, n = o+5, n-5; n == 0 {
		return true
	}
	size = t.u8(o)
	if n < 1+size {
		return false
	}
	if size > 0 {
		t.s("\n\t  OID length ")
		t.u(size)
		t.padding(o+1, size)
	}
	return true
}

func (t *Text) lldpSubtype(name string, kind int) {
	t.s("\n\t  ")
	t.name(name, "unknown")
	t.s(" Subtype (")
	t.u(kind)
	t.s(")")
}

// lldp8021 prints a part of IEEE 802.1's.
func (t *Text) lldp8021(o, n int) bool {
	if n < 4 {
		return true
	}
	kind := t.u8(o + 3)
	t.lldpSubtype(lldp8021Name(kind), kind)
	switch kind {
	case 1:
		if n >= 6 {
			t.s("\n\t    port vlan id (PVID): ")
			t.u(t.u16(o + 4))
		}
	case 2:
		if n >= 7 {
			flags := t.u8(o + 4)
			t.s("\n\t    port and protocol vlan id (PPVID): ")
			t.u(t.u16(o + 5))
			t.s(", flags [")
			t.flags([]flag{{2, "supported"}, {4, "enabled"}}, uint32(flags), ", ", "none")
			t.s("] (0x")
			t.x(uint32(flags), 2)
			t.s(")")
		}
	case 3:
		if n >= 6 {
			t.s("\n\t    vlan id (VID): ")
			t.u(t.u16(o + 4))
		}
		if n >= 7 && n >= 7+t.u8(o+6) {
			t.s("\n\t    vlan name: ")
			t.padding(o+7, t.u8(o+6))
		}
	case 4:
		if n >= 5 && n >= 5+t.u8(o+4) {
			t.s("\n\t    protocol identity: ")
			t.padding(o+5, t.u8(o+4))
		}
	case 7:
		if n >= 9 {
			t.aggregation(o)
		}
	case 8:
		if n >= 6 {
			t.perPriority("Pre-Priority CNPV Indicator", t.u8(o+4))
			t.perPriority("Pre-Priority Ready Indicator", t.u8(o+5))
		}
	case 9:
		if n >= 25 {
			v := t.u8(o + 4)
			t.numbers("\n\t    Willing:", v>>7, ", CBS:", v>>6&2, ", RES:", v>>3&7, ", Max TCs:", v&7)
			t.trafficClasses(o + 5)
		}
	case 10:
		if n >= 25 {
			t.numbers("\n\t    RES: ", t.u8(o+4))
			t.trafficClasses(o + 5)
		}
	case 11:
		if n >= 6 {
			v := t.u8(o + 4)
			t.numbers("\n\t    Willing: ", v>>7, ", MBC: ", v>>6&1, ", RES: ", v>>4&3, ", PFC cap:", v&15)
			t.s(" ")
			t.perPriority("PFC Enable", t.u8(o+5))
		}
	case 12:
		if n >= 5 {
			t.numbers("\n\t    RES: ", t.u8(o+4))
		}
		if n > 5 && (n-5)%3 == 0 {
			t.s("\n\t    Application Priority Table")
			for at := o + 5; at < o+n; at += 3 {
				v := t.u8(at)
				t.numbers("\n\t      Priority: ", v>>5, ", RES: ", v>>3&3, ", Sel: ", v&7, ", Protocol ID: ", t.u16(at+1))
			}
		}
	case 13:
		if n >= 9 {
			t.lldpEVB(o + 4)
		}
	case 14:
		if n >= 8 {
			v := t.u8(o + 4)
			t.numbers("\n\t    Role: ", v>>7, ", RES: ", v>>4&7, ", Scomp: ", v>>3&1, " ChnCap: ", t.u16(o+6)&0xfff)
			for at := o + 8; (n-8)%3 == 0 && at < o+n; at += 3 {
				v := t.u24(at)
				t.numbers("\n\t    SCID: ", v>>12, ", SVID: ", v&0xfff)
			}
		}
	default:
		return false
	}
	return true
}

// numbers prints titles, each with the number behind it.
func (t *Text) numbers(parts ...any) {
	for _, p := range parts {
		switch p := p.(type) {
		case string:
			t.s(p)
		case int:
			t.u(p)
		}
	}
}

func (t *Text) perPriority(title string, bits int) {
	t.s("\n\t    ")
	t.s(title)
	t.s("\n\t     Priority : 0  1  2  3  4  5  6  7\n\t     Value    : ")
	for i := range 8 {
		t.u(bits >> i & 1)
		t.s("  ")
	}
}

// trafficClasses prints the tables of enhanced transmission selection.
func (t *Text) trafficClasses(o int) {
	row := func(title string, value func(i int) int) {
		t.s(title)
		for i := range 8 {
			v := value(i)
			if i > 0 {
				t.s(" ")
			}
			t.u(v)
			for limit := 10; limit <= 100; limit *= 10 {
				if v < limit {
					t.s(" ")
				}
			}
		}
	}
	row("\n\t    Priority Assignment Table\n\t     Priority : 0   1   2   3   4   5   6   7\n\t     Value    : ", func(i int) int { return t.u8(o+i/2) >> (4 - i%2*4) & 15 })
	row("\n\t    TC Bandwidth Table\n\t     TC%   : 0   1   2   3   4   5   6   7\n\t     Value : ", func(i int) int { return t.u8(o + 4 + i) })
	row("\n\t    TSA Assignment Table\n\t     Traffic Class: 0   1   2   3   4   5   6   7\n\t     Value        : ", func(i int) int { return t.u8(o + 12 + i) })
}

func (t *Text) lldpEVB(o int) {
	bridge, station, r, mode, keep := t.u8(o), t.u8(o+1), t.u8(o+2), t.u8(o+3), t.u8(o+4)
	t.s("\n\t    EVB Bridge Status")
	t.numbers("\n\t      RES: ", bridge>>3, ", BGID: ", bridge>>2&1, ", RRCAP: ", bridge>>1&1, ", RRCTR: ", bridge&1)
	t.s("\n\t    EVB Station Status")
	t.numbers("\n\t      RES: ", station>>4, ", SGID: ", station>>3&1, ", RRREQ: ", station>>2&1, ",RRSTAT: ", station&3)
	t.numbers("\n\t    R: ", r>>5, ", RTE: ", r&31)
	t.s(", EVB Mode: ")
	t.s([...]string{"Not Supported", "EVB Bridge", "EVB Station", "Reserved for future Standardization"}[mode>>6])
	t.numbers(" [", mode>>6, "]\n\t    ROL: ", mode>>5&1, ", RWD: ", mode&31, ", RES: ", keep>>6, ", ROL: ", keep>>5&1, ", RKA: ", keep&31)
}

func (t *Text) aggregation(o int) {
	t.s("\n\t    aggregation status [")
	t.flags([]flag{{1, "supported"}, {2, "enabled"}}, uint32(t.u8(o+4)), ", ", "none")
	t.s("], aggregation port ID ")
	t.u(int(t.u32(o + 5)))
}

// lldp8023 prints a part of IEEE 802.3's.
func (t *Text) lldp8023(o, n int) bool {
	if n < 4 {
		return true
	}
	kind, name := t.u8(o+3), ""
	switch kind {
	case 1:
		name = "MAC/PHY configuration/status"
	case 2:
		name = "Power via MDI"
	case 3:
		name = "Link aggregation"
	case 4:
		name = "Max frame size"
	}
	t.lldpSubtype(name, kind)
	switch kind {
	case 1:
		if n >= 9 {
			t.lldpPHY(o + 4)
		}
	case 2:
		if n >= 7 {
			t.s("\n\t    MDI power support [")
			t.flags([]flag{{1, "PSE"}, {2, "supported"}, {4, "enabled"}, {8, "can be controlled"}}, uint32(t.u8(o+4)), ", ", "none")
			t.s("], power pair ")
			switch t.u8(o + 5) {
			case 1:
				t.s("signal")
			case 2:
				t.s("spare")
			default:
				t.s("unknown")
			}
			t.s(", power class ")
			if class := t.u8(o + 6); class >= 1 && class <= 5 {
				t.numbers("class", class-1)
			} else {
				t.s("unknown")
			}
		}
	case 3:
		if n >= 9 {
			t.aggregation(o)
		}
	case 4:
		if n >= 6 {
			t.numbers("\n\t    MTU size ", t.u16(o+4))
		}
	default:
		return false
	}
	return true
}

func (t *Text) lldpPHY(o int) {
	negotiation, able, kind := t.u8(o), t.u16(o+1), t.u16(o+3)
	t.s("\n\t    autonegotiation [")
	t.flags([]flag{{1, "supported"}, {2, "enabled"}}, uint32(negotiation), ", ", "none")
	t.s("] (0x")
	t.x(uint32(negotiation), 2)
	t.s(")\n\t    PMD autoneg capability [")
	t.flags([]flag{{0x4000, "10BASE-T hdx"}, {0x2000, "10BASE-T fdx"}, {0x1000, "100BASE-T4"}, {0x0800, "100BASE-TX hdx"}, {0x0400, "100BASE-TX fdx"},
		{0x0200, "100BASE-T2 hdx"}, {0x0100, "100BASE-T2 fdx"}, {0x0080, "Pause for fdx links"}, {0x0040, "Asym PAUSE for fdx"}, {0x0020, "Sym PAUSE for fdx"},
		{0x0010, "Asym and Sym PAUSE for fdx"}, {0x0008, "1000BASE-{X LX SX CX} hdx"}, {0x0004, "1000BASE-{X LX SX CX} fdx"},
		{0x0002, "1000BASE-T hdx"}, {0x0001, "1000BASE-T fdx"}}, uint32(able), ", ", "unknown")
	t.s("] (0x")
	t.x(uint32(able), 4)
	t.s(")\n\t    MAU type ")
	t.name(mauName(kind), "unknown")
	t.s(" (0x")
	t.x(uint32(kind), 4)
	t.s(")")
}

// mauName names the kinds of RFC 3636, as tcpdump does.
func mauName(kind int) string {
	switch kind {
	case 5:
		return "10BASET duplex mode unknown"
	case 8:
		return "10BASEFL duplex mode unknown"
	}
	const first = "Unknown AUI 10BASE_5 FOIRL 10BASE2 - 10BASEFP 10BASEFB - 10BROAD36"
	const last = "10GBASEX 10GBASELX4 10GBASER 10GBASEER 10GBASELR 10GBASESR 10GBASEW 10GBASEEW 10GBASELW 10GBASESW"
	switch {
	case kind <= 9:
		return word(first, kind)
	case kind == 14:
		return "100BASET4"
	case kind >= 31 && kind <= 40:
		return word(last, kind-31)
	}
	for _, both := range [...]struct {
		half     int
		hdx, fdx string
	}{{10, "10BASET hdx", "10BASET fdx"}, {12, "10BASEFL hdx", "10BASEFL fdx"}, {15, "100BASETX hdx", "100BASETX fdx"}, {17, "100BASEFX hdx", "100BASEFX fdx"},
		{19, "100BASET2 hdx", "100BASET2 fdx"}, {21, "1000BASEX hdx", "1000BASEX fdx"}, {23, "1000BASELX hdx", "1000BASELX fdx"},
		{25, "1000BASESX hdx", "1000BASESX fdx"}, {27, "1000BASECX hdx", "1000BASECX fdx"}, {29, "1000BASET hdx", "1000BASET fdx"}} {
		switch kind {
		case both.half:
			return both.hdx
		case both.half + 1:
			return both.fdx
		}
	}
	return ""
}

// lldpIANA prints RFC 8520's part.
func (t *Text) lldpIANA(o, n int) bool {
	if n < 8 {
		return true
	}
	kind := t.u8(o + 3)
	if kind != 1 {
		t.lldpSubtype("", kind)
		return false
	}
	t.lldpSubtype("MUD-URL", kind)
	t.s("\n\t  MUD-URL=")
	t.chars(o+4, n-4)
	return true
}

func lldpName(typ int) string {
	switch typ {
	case 0:
		return "End"
	case 1:
		return "Chassis ID"
	case 2:
		return "Port ID"
	case 3:
		return "Time to Live"
	case 4:
		return "Port Description"
	case 5:
		return "System Name"
	case 6:
		return "System Description"
	case 7:
		return "System Capabilities"
	case 8:
		return "Management Address"
	case 127:
		return "Organization specific"
	}
	return ""
}

func lldpChassisName(kind int) string {
	if kind < 1 || kind > 7 {
		return ""
	}
	return [...]string{"Chassis component", "Interface alias", "Port component", "MAC address", "Network address", "Interface name", "Local"}[kind-1]
}

func lldpPortName(kind int) string {
	if kind < 1 || kind > 7 {
		return ""
	}
	return [...]string{"Interface alias", "Port component", "MAC address", "Network Address", "Interface Name", "Agent circuit ID", "Local"}[kind-1]
}

func lldp8021Name(kind int) string {
	switch kind {
	case 1:
		return "Port VLAN Id"
	case 2:
		return "Port and Protocol VLAN ID"
	case 3:
		return "VLAN name"
	case 4:
		return "Protocol Identity"
	case 7:
		return "Link aggregation"
	case 8:
		return "Congestion Notification"
	case 9:
		return "ETS Configuration"
	case 10:
		return "ETS Recommendation"
	case 11:
		return "Priority Flow Control Configuration"
	case 12:
		return "Application Priority"
	case 13:
		return "EVB"
	case 14:
		return "CDCP"
	}
	return ""
}

// familyName names the address families of
// https://www.iana.org/assignments/address-family-numbers, as tcpdump does.
func familyName(family int) string {
	switch {
	case family <= 15:
		return [...]string{"Reserved", "IPv4", "IPv6", "NSAP", "HDLC", "BBN 1822", "802", "E.163", "E.164", "F.69", "X.121", "Novell IPX", "Appletalk",
			"Decnet IV", "Banyan Vines", "E.164 with NSAP subaddress"}[family]
	case family == 25:
		return "VPLS"
	}
	return ""
}
