package decode

// Ports of IKE, and of IKE and ESP behind a translator of addresses.
const (
	portIKE  = 500
	portNATT = 4500
)

// natt prints RFC 3948's packets: ESP, IKE, or what keeps the translation alive.
func (t *Text) natt(o, length int) {
	t.proto = "isakmp_rfc3948"
	if length < 1 {
		t.trunc()
		return
	}
	switch first := t.u8(o); {
	case t.stopped():
		return
	case length == 1 && first == 0xff:
		t.s("isakmp-nat-keep-alive")
		return
	case length < 4:
		t.trunc()
		return
	}
	marker := t.u32(o)
	if t.stopped() {
		return
	}
	if marker == 0 {
		t.s("NONESP-encap: ")
		t.ike(o+4, length-4)
		return
	}
	t.s("UDP-encap: ")
	t.esp(o, length)
}

// ike prints which message of RFC 2409 or RFC 7296 this is.
func (t *Text) ike(o, length int) {
	t.proto = "isakmp"
	if !t.need(o, 28) {
		return
	}
	version, exchange, flags, message := t.u8(o+17), t.u8(o+18), t.u8(o+19), t.u32(o+20)
	t.s("isakmp")
	if t.opt.Verbose > 0 {
		t.numbers(" ", version>>4, ".", version&15, " msgid ")
		t.x(message, 8)
	}
	t.s(":")
	switch {
	case version>>4 == 1 && message == 0:
		t.s(" phase 1")
	case version>>4 == 1:
		t.s(" phase 2/others")
	case message == 0:
		t.s(" parent_sa")
	default:
		t.s(" child_sa ")
	}
	if version>>4 == 1 {
		// Who began is in the messages before, if at all.
		if t.u64At(o+8) == 0 {
			t.s(" I")
		} else {
			t.s(" ?")
		}
	}
	t.s(" ")
	t.nameOr(ikeName(exchange), exchange, "#", "")
	if version>>4 == 1 {
		t.flags([]flag{{1, "[E]"}, {2, "[C]"}}, uint32(flags), "", "")
	} else if flags&0x38 != 0 {
		t.s("[")
		t.flags([]flag{{0x08, "I"}, {0x10, "V"}, {0x20, "R"}}, uint32(flags), "", "")
		t.s("]")
	}
}

// ikeName names the exchanges of both versions.
func ikeName(exchange int) string {
	switch {
	case exchange <= 5:
		return word("none base ident auth agg inf", exchange)
	case exchange >= 32 && exchange <= 37:
		return word("oakley-quick oakley-newgroup ikev2_init ikev2_auth child_sa inf2", exchange-32)
	}
	return ""
}
