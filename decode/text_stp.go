package decode

// stp prints the bridge protocol data units of IEEE 802.1D, 802.1w, 802.1s and 802.1aq.
func (t *Text) stp(o, length int) {
	t.proto = "stp"
	if length < 4 {
		t.invalid()
		return
	}
	if t.u16(o) != 0 {
		t.s("unknown STP version, length ")
		t.u(length)
		return
	}
	version := t.u8(o + 2)
	if t.stopped() {
		return
	}
	t.s("STP ")
	switch version {
	case 0:
		t.s("802.1d")
	case 2:
		t.s("802.1w")
	case 3:
		t.s("802.1s")
	case 4:
		t.s("802.1aq")
	default:
		t.s("Unknown STP protocol (0x")
		t.x(uint32(version), 2)
		t.s(")")
		return
	}
	typ := t.u8(o + 3)
	if t.stopped() {
		return
	}
	switch typ {
	case 0:
		t.s(", Config")
		if length < 35 {
			t.invalid()
			return
		}
		t.stpConfig(o, length)
	case 2:
		t.s(", Rapid STP")
		switch {
		case version == 2 && length < 36, version >= 3 && length < 102:
			t.invalid()
		case version == 2:
			t.stpConfig(o, length)
		case version >= 3:
			t.mstp(version, o, length)
		}
	case 0x80:
		t.s(", Topology Change")
	default:
		t.s(", Unknown BPDU Type (0x")
		t.x(uint32(typ), 2)
		t.s(")")
	}
}

func (t *Text) stpFlags(v int) {
	t.flags([]flag{{0x01, "Topology change"}, {0x02, "Proposal"}, {0x10, "Learn"}, {0x20, "Forward"}, {0x40, "Agreement"}, {0x80, "Topology change ACK"}}, uint32(v), ", ", "none")
}

func stpRole(flags int) string {
	return [...]string{"Unknown", "Alternate", "Root", "Designated"}[flags>>2&3]
}

// bridgeID prints a priority and an address.
func (t *Text) bridgeID(o int) {
	if !t.need(o, 8) {
		return
	}
	t.hex(o, 2, "")
	t.s(".")
	t.mac(o + 2)
}

// stpTimes prints the times of a message, which are in 256ths of a second.
func (t *Text) stpTimes(o int) {
	for i, title := range []string{"\n\tmessage-age ", ", max-age ", ", hello-time ", ", forwarding-delay "} {
		v := t.u16(o + 2*i)
		t.s(title)
		// to two decimals, half to even as printf does
		hundredths := v * 100 / 256
		if rest := v * 100 % 256; rest > 128 || rest == 128 && hundredths%2 == 1 {
			hundredths++
		}
		t.u(hundredths / 100)
		t.s(".")
		t.two(hundredths % 100)
		t.s("s")
	}
}

func (t *Text) stpConfig(o, length int) {
	flags := t.u8(o + 4)
	t.s(", Flags [")
	t.stpFlags(flags)
	t.s("]")
	if !t.need(o+17, 10) {
		return
	}
	t.s(", bridge-id ")
	t.bridgeID(o + 17)
	t.s(".")
	t.x(uint32(t.u16(o+25)), 4)
	t.s(", length ")
	t.u(length)
	if t.opt.Verbose == 0 {
		return
	}
	if !t.need(o+27, 8) {
		return
	}
	t.stpTimes(o + 27)
	t.s("\n\troot-id ")
	t.bridgeID(o + 5)
	t.s(", root-pathcost ")
	t.u(int(t.u32(o + 13)))
	if t.u8(o+2) == 2 {
		t.s(", port-role ")
		t.s(stpRole(flags))
	}
}

// mstp prints IEEE 802.1s's message; the offsets are its figure's.
func (t *Text) mstp(version, o, length int) {
	if t.u8(o+35) != 0 {
		t.invalid()
		return
	}
	size := t.u16(o+36) + 2
	if t.stopped() {
		return
	}
	if length < 36+size {
		t.invalid()
		return
	}
	flags := t.u8(o + 4)
	t.s(", CIST Flags [")
	t.stpFlags(flags)
	t.s("], length ")
	t.u(length)
	if t.opt.Verbose > 0 {
		t.mstpDetails(o, flags, size-2)
	}
	if version != 4 || t.stopped() {
		return
	}
	more := t.u16(o+36+size) + 2
	if t.stopped() {
		return
	}
	if length < 36+size+more || more < 87 {
		t.invalid()
		return
	}
	if t.opt.Verbose > 0 {
		t.spb(o + 36 + size)
	}
}

func (t *Text) mstpDetails(o, flags, size int) {
	t.s("\n\tport-role ")
	t.s(stpRole(flags))
	t.s(", CIST root-id ")
	t.bridgeID(o + 5)
	t.s(", CIST ext-pathcost ")
	t.u(int(t.u32(o + 13)))
	t.s("\n\tCIST regional-root-id ")
	t.bridgeID(o + 17)
	t.s(", CIST port-id ")
	t.x(uint32(t.u16(o+25)), 4)
	t.s(",")
	if !t.need(o+27, 8) {
		return
	}
	t.stpTimes(o + 27)
	t.s("\n\tv3len ")
	t.u(size)
	t.s(", MCID Name ")
	t.padding(o+39, 32)
	if !t.need(o+71, 18) {
		return
	}
	t.s(", rev ")
	t.u(t.u16(o + 71))
	t.s(",\n\t\tdigest ")
	t.hex(o+73, 16, "")
	t.s(", CIST int-root-pathcost ")
	t.u(int(t.u32(o + 89)))
	t.s(",\n\tCIST bridge-id ")
	t.bridgeID(o + 93)
	t.s(", CIST remaining-hops ")
	t.u(t.u8(o + 101))
	for at, left := o+102, size-64; left >= 16 && !t.stopped(); at, left = at+16, left-16 {
		flags := t.u8(at)
		t.s("\n\tMSTI ")
		t.u(t.u16(at+1) & 0xfff)
		t.s(", Flags [")
		t.stpFlags(flags)
		t.s("], port-role ")
		t.s(stpRole(flags))
		t.s("\n\t\tMSTI regional-root-id ")
		t.bridgeID(at + 1)
		t.s(", pathcost ")
		t.u(int(t.u32(at + 9)))
		t.s("\n\t\tMSTI bridge-prio ")
		t.u(t.u8(at+13) >> 4)
		t.s(", port-prio ")
		t.u(t.u8(at+14) >> 4)
		t.s(", hops ")
		t.u(t.u8(at + 15))
	}
}

// spb prints what IEEE 802.1aq adds.
func (t *Text) spb(o int) {
	t.s("\n\tv4len ")
	t.u(t.u16(o))
	t.s(", AUXMCID Name ")
	t.padding(o+3, 32)
	t.s(", Rev ")
	t.u(t.u16(o + 35))
	t.s(",\n\t\tdigest ")
	t.hex(o+37, 16, "")
	agreement, format, convention := t.u8(o+53), t.u8(o+55), t.u8(o+56)
	t.s("\n\tAgreement num ")
	t.u(agreement >> 6)
	t.s(", Discarded Agreement num ")
	t.u(agreement >> 4 & 3)
	t.s(", Agreement valid-flag ")
	t.u(agreement >> 3 & 1)
	t.s(",\n\tRestricted role-flag: ")
	t.u(agreement >> 2 & 1)
	t.s(", Format id ")
	t.u(format >> 4)
	t.s(" cap ")
	t.u(format)
	t.s(", Convention id ")
	t.u(convention >> 4)
	t.s(" cap ")
	t.u(convention)
	t.s(",\n\tEdge count ")
	t.u(t.u16(o + 57))
	t.s(", Agreement digest ")
	t.hex(o+67, 20, "")
}

// padding prints text of at most n bytes, which ends at a zero.
func (t *Text) padding(o, n int) {
	for i := range n {
		c := t.u8(o + i)
		if c == 0 || t.stopped() {
			return
		}
		t.char(byte(c))
	}
}
