package decode

// bfd prints RFC 5880's control packets without authentication, and echoes.
func (t *Text) bfd(dport, o, length int) {
	if t.proto = "bfd"; dport == 3785 {
		t.numbers("BFD, Echo, length: ", length)
		if t.opt.Verbose > 0 {
			t.unknownData("\n\t", o, length)
		}
		return
	}
	if length < 4 {
		t.trunc()
		return
	}
	first := t.u8(o)
	if t.stopped() {
		return
	}
	version, diagnostic := first>>5, first&31
	if version != 1 {
		t.numbers("BFDv", version, ", Control, length: ", length)
		return
	}
	if length < 24 {
		t.trunc()
		return
	}
	if !t.need(o, 24) {
		return
	}
	flags := t.u8(o + 1)
	t.s("BFDv1, ")
	if t.opt.Verbose > 0 {
		t.numbers("length: ", length, "\n\t")
	}
	switch dport {
	case 4784:
		t.s("Multihop")
	case 6784:
		t.s("Lag")
	default:
		t.s("Control")
	}
	t.s(", State ")
	t.s([...]string{"AdminDown", "Down", "Init", "Up"}[flags>>6])
	t.s(", Flags: [")
	t.flags([]flag{{0x20, "Poll"}, {0x10, "Final"}, {0x08, "Control Plane Independent"}, {0x04, "Authentication Present"}, {0x02, "Demand"}, {0x01, "Multipoint"}}, uint32(flags&0x3f), ", ", "none")
	t.s("]")
	if t.opt.Verbose == 0 {
		t.numbers(", length: ", length)
		return
	}
	t.s(", Diagnostic: ")
	if diagnostic < 9 {
		t.s([...]string{"No Diagnostic", "Control Detection Time Expired", "Echo Function Failed", "Neighbor Signaled Session Down", "Forwarding Plane Reset",
			"Path Down", "Concatenated Path Down", "Administratively Down", "Reverse Concatenated Path Down"}[diagnostic])
	} else {
		t.s("unknown")
	}
	t.s(" (0x")
	t.x(uint32(diagnostic), 2)
	t.s(")")
	multiplier := t.u8(o + 2)
	desired := t.u32(o + 12)
	t.numbers("\n\tDetection Timer Multiplier: ", multiplier, " (", int(uint32(multiplier)*desired/1000), " ms Detection time), BFD Length: ", t.u8(o+3))
	t.s("\n\tMy Discriminator: 0x")
	t.x(t.u32(o+4), 8)
	t.s(", Your Discriminator: 0x")
	t.x(t.u32(o+8), 8)
	for i, title := range []string{"\n\t  Desired min Tx Interval:    ", "\n\t  Required min Rx Interval:   ", "\n\t  Required min Echo Interval: "} {
		ms := int(t.u32(o+12+4*i)) / 1000
		t.s(title)
		for limit := 1000; ms < limit && limit > 1; limit /= 10 {
			t.s(" ")
		}
		t.numbers("", ms, " ms")
	}
}

func isBFD(port int) bool {
	switch port {
	case 3784, 3785, 4784, 6784:
		return true
	}
	return false
}
