package decode

// nsh prints RFC 8300's service header and what is behind it.
func (t *Text) nsh(o, length int) {
	t.proto = "nsh"
	if length < 8 {
		t.numbers(" (packet length ", length, " < 8)")
		t.invalid()
		return
	}
	base := t.u32(o)
	if t.stopped() {
		return
	}
	t.s("NSH, ")
	if t.opt.Verbose > 1 {
		t.numbers("ver ", int(base>>30), ", ")
	}
	if base>>30 != 0 {
		return
	}
	t.s("flags [")
	t.flags([]flag{{2, "O"}}, base>>28&3, "", "none")
	t.s("], ")
	words, kind, next := int(base>>16&63), int(base>>8&15), int(base&0xff)
	if t.opt.Verbose > 2 {
		t.numbers("TTL ", int(base>>22&63), ", length ", words, ", md type ")
		t.hexOr(map[int]string{0: "reserved", 1: "1", 2: "2", 15: "experimental"}[kind], kind)
		t.s(", ")
	}
	if t.opt.Verbose > 1 {
		t.s("next-protocol ")
		t.hexOr(map[int]string{1: "IPv4", 2: "IPv6", 3: "Ethernet", 4: "NSH", 5: "MPLS", 254: "Experiment 1", 255: "Experiment 2"}[next], next)
		t.s(", ")
	}
	if length < 4*words {
		t.numbers(" (too many headers for packet length ", length, ")")
		t.invalid()
		return
	}
	path := t.u24(o + 4)
	if t.stopped() {
		return
	}
	t.s("service-path-id 0x")
	t.x(uint32(path), 6)
	t.s(", ")
	index := t.u8(o + 7)
	if t.stopped() {
		return
	}
	t.s("service-index 0x")
	t.x(uint32(index), 1)
	if words < 2 {
		t.s(" (less than two headers)")
		t.invalid()
		return
	}
	end := o + 4*words
	if t.opt.Verbose > 2 && (kind == 1 || kind == 2) {
		if !t.nshContext(o+8, end, kind) {
			return
		}
	} else if !t.need(o+8, end-o-8) {
		return
	}
	t.into("\n    ")
	length -= 4 * words
	switch {
	case next < 1 || next > 3:
		t.s("ERROR: unknown-next-protocol")
	case !t.deeper():
		t.numbers("length ", length)
	case next == 1:
		t.ip(end, length)
	case next == 2:
		t.ip6(end, length)
	default:
		t.ether(end, length)
	}
}

// nshContext prints the context headers, and reports whether they end at end.
func (t *Text) nshContext(o, end, kind int) bool {
	if kind == 1 {
		if end-o != 16 {
			t.s(" (invalid length for the MD type)")
			t.invalid()
			return false
		}
		for i := range 4 {
			word := t.u32(o + 4*i)
			if t.stopped() {
				return false
			}
			t.numbers("\n        Context[0", i, "]: 0x")
			t.x(word, 8)
		}
		return true
	}
	for o < end {
		if !t.need(o, 4) {
			return false
		}
		n := t.u8(o+3) & 0x7f
		t.numbers("\n        TLV Class ", t.u16(o), ", Type ", t.u8(o+2), ", Len ", n)
		o += 4
		padded := (n + 3) &^ 3
		if o+padded > end {
			t.s(" (length too big)")
			t.invalid()
			return false
		}
		if n > 0 {
			t.s("\n            Value: ")
			for i := range n {
				v := t.u8(o + i)
				if t.stopped() {
					return false
				}
				if i == 0 {
					t.s("0x")
				} else {
					t.s(":")
				}
				t.x(uint32(v), 2)
			}
			if !t.need(o, padded) {
				return false
			}
		}
		o += padded
	}
	return true
}

// hexOr prints the name, or else that the number is unknown.
func (t *Text) hexOr(name string, v int) {
	if name != "" {
		t.s(name)
		return
	}
	t.s("unknown (0x")
	t.x(uint32(v), 2)
	t.s(")")
}
