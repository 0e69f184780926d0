package decode

// slow prints the protocols of IEEE 802.3 annex 57A: link aggregation and its markers.
func (t *Text) slow(o, length int) {
	t.proto = "slow"
	if length < 1 {
		t.tooShort()
		return
	}
	kind := t.u8(o)
	if t.stopped() {
		return
	}
	switch kind {
	case 1, 2:
		name := word("LACP MARKER", kind-1)
		if length < 2 {
			t.tooShort()
			return
		}
		if version := t.u8(o + 1); version != 1 {
			t.s(name)
			t.s(" version ")
			t.u(version)
			t.s(" packet not supported")
			return
		}
		t.s(word("LACP MARKER", kind-1))
		t.s("v1, length ")
		t.u(length)
		if t.opt.Verbose > 0 {
			t.slowTLVs(kind, o+2, length-2)
		}
	case 3:
		t.s("OAM, length ")
		t.u(length)
		if t.opt.Verbose > 0 {
			t.oam(o+1, length-1)
		}
	default:
		t.s("unknown (")
		t.u(kind)
		t.s("), length ")
		t.u(length)
		t.unknownData("\n\t", o, length)
	}
}

func (t *Text) tooShort() {
	if t.opt.Verbose == 0 {
		t.s(" (packet is too short)")
	} else {
		t.s("\n\t\t packet is too short")
	}
}

// slowTLVs prints the parts of a message of link aggregation or of a marker, a line or two each.
func (t *Text) slowTLVs(kind, o, left int) {
	for left > 0 && !t.stopped() {
		if left < 2 {
			t.tooShort()
			return
		}
		typ, n := t.u8(o), t.u8(o+1)
		if t.stopped() {
			return
		}
		name := ""
		switch {
		case typ == 0:
			name = "Terminator"
		case kind == 2 && typ == 1:
			name = "Marker Information"
		case kind == 1 && typ <= 3:
			name = word("Actor Partner Collector", typ-1)
		}
		t.s("\n\t")
		t.name(name, "Unknown")
		if kind == 1 && typ >= 1 && typ <= 3 {
			t.s(" Information")
		}
		t.s(" TLV (0x")
		t.x(uint32(typ), 2)
		t.s("), length ")
		t.u(n)
		if typ == 0 {
			return
		}
		if n < 2 {
			t.s("\n\t    ERROR: illegal length - should be >= 2")
			return
		}
		if left < n {
			t.tooShort()
			return
		}
		if !t.need(o, n) {
			return
		}
		want := 0
		if name != "" {
			want = 20
			if kind == 2 || typ == 3 {
				want = 16
			}
		}
		switch {
		case name == "":
			if t.opt.Verbose == 1 {
				t.unknownData("\n\t  ", o+2, n-2)
			}
		case n != want:
			t.s("\n\t    ERROR: illegal length - should be ")
			t.u(want)
		case kind == 2:
			t.s("\n\t  Request System ")
			t.mac(o + 4)
			t.s(", Request Port ")
			t.u(t.u16(o + 2))
			t.s(", Request Transaction ID 0x")
			t.x(t.u32(o+10), 8)
		case typ == 3:
			t.s("\n\t  Max Delay ")
			t.u(t.u16(o + 2))
		default:
			t.s("\n\t  System ")
			t.mac(o + 4)
			t.s(", System Priority ")
			t.u(t.u16(o + 2))
			t.s(", Key ")
			t.u(t.u16(o + 10))
			t.s(", Port ")
			t.u(t.u16(o + 14))
			t.s(", Port Priority ")
			t.u(t.u16(o + 12))
			t.s("\n\t  State Flags [")
			t.flags([]flag{{0x01, "Activity"}, {0x02, "Timeout"}, {0x04, "Aggregation"}, {0x08, "Synchronization"},
				{0x10, "Collecting"}, {0x20, "Distributing"}, {0x40, "Default"}, {0x80, "Expired"}}, uint32(t.u8(o+16)), ", ", "none")
			t.s("]")
		}
		if t.opt.Verbose > 1 {
			t.unknownData("\n\t  ", o+2, n-2)
		}
		o, left = o+n, left-n
	}
}

// oam prints the code of an OAM message of IEEE 802.3 clause 57.
func (t *Text) oam(o, length int) {
	if length < 3 {
		t.tooShort()
		return
	}
	if !t.need(o, 3) {
		return
	}
	code := t.u8(o + 2)
	name := ""
	if code <= 4 {
		name = [...]string{"Information", "Event Notification", "Variable Request", "Variable Response", "Loopback Control"}[code]
	} else if code == 0xfe {
		name = "Vendor Private"
	}
	t.s("\n\tCode ")
	t.nameOr(name, code, "Unknown (", ")")
	t.s(" OAM PDU, Flags [")
	t.flags([]flag{{0x01, "Link Fault"}, {0x02, "Dying Gasp"}, {0x04, "Critical Event"}, {0x08, "Local Evaluating"},
		{0x10, "Local Stable"}, {0x20, "Remote Evaluating"}, {0x40, "Remote Stable"}}, uint32(t.u16(o)), ", ", "none")
	t.s("]")
}
