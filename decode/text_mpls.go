package decode

// mpls prints a label stack, RFC 3032, and the packet behind it, as far as it shows
// what it is.
func (t *Text) mpls(o, length int) {
	t.proto = "mpls"
	t.s("MPLS")
	label := 0
	for first := true; ; first = false {
		if length < 4 {
			t.invalid()
			t.need(o, length)
			return
		}
		entry := t.u32(o)
		if t.stopped() {
			return
		}
		if label = int(entry >> 12); !first && t.opt.Verbose > 0 {
			t.s("\n\t(label ")
		} else {
			t.s(" (label ")
		}
		t.u(label)
		if t.opt.Verbose > 0 && label < 16 {
			t.s(" (")
			t.s(mplsLabelName(label))
			t.s(")")
		}
		t.s(", tc ")
		t.u(int(entry >> 9 & 7))
		if entry&0x100 != 0 {
			t.s(", [S]")
		}
		t.s(", ttl ")
		t.u(int(entry & 0xff))
		t.s(")")
		o, length = o+4, length-4
		if entry&0x100 != 0 {
			break
		}
	}
	version := 0
	switch label {
	case 0, 3:
		version = 4
	case 2:
		version = 6
	default:
		if length < 1 {
			return
		}
		switch b := t.u8(o); {
		case b > 0x44 && b < 0x50:
			version = 4
		case b>>4 == 6:
			version = 6
		}
	}
	if version == 0 {
		t.dump(o, length)
		return
	}
	if t.opt.Verbose > 0 {
		t.s("\n\t")
	} else {
		t.s(" ")
	}
	if version == 4 {
		t.ip(o, length)
	} else {
		t.ip6(o, length)
	}
}

func mplsLabelName(label int) string {
	switch label {
	case 0:
		return "IPv4 explicit NULL"
	case 1:
		return "router alert"
	case 2:
		return "IPv6 explicit NULL"
	case 3:
		return "implicit NULL"
	}
	return "rsvd"
}
