package decode

// portGPE is VXLAN-GPE's, as IANA has it.
const portGPE = 4790

// gpe prints draft-ietf-nvo3-vxlan-gpe-12 and what is in it.
func (t *Text) gpe(o, length int) {
	t.proto = "vxlan_gpe"
	t.s("VXLAN-GPE, ")
	if length < 8 {
		t.numbers(" (len ", length, " < 8)")
		t.invalid()
		return
	}
	flags := t.u8(o)
	if t.stopped() {
		return
	}
	t.s("flags [")
	t.flags([]flag{{8, "I"}, {4, "P"}, {2, "B"}, {1, "O"}}, uint32(flags), "", "none")
	t.s("], ")
	if !t.need(o, 7) {
		return
	}
	next := t.u8(o + 3)
	t.numbers("vni ", t.u24(o+4))
	if !t.need(o, 8) {
		return
	}
	t.into("\n    ")
	o, length = o+8, length-8
	switch {
	case next < 1 || next > 4:
		t.s("ERROR: unknown-next-protocol")
		t.invalid()
	case !t.deeper():
		t.numbers("length ", length)
	case next == 1:
		t.ip(o, length)
	case next == 2:
		t.ip6(o, length)
	case next == 3:
		t.ether(o, length)
	default:
		t.nsh(o, length)
	}
}
