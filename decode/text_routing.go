package decode

const (
	protoOSPF = 89
	protoPIM  = 103
	portRIP   = 520
)

// ospf prints which message of RFC 2328 or RFC 5340 this is; with -v from whom. What
// is in it it leaves out.
func (t *Text) ospf(o, length int) {
	version, _, _, _ := t.network()
	if t.proto = "ospf2"; version == 6 {
		t.proto = "ospf3"
	}
	have, typ := t.u8(o), t.u8(o+1)
	if t.stopped() {
		return
	}
	t.numbers("OSPFv", have, ", ")
	t.nameOr(ospfName(typ), typ, "unknown LS-type ", "")
	t.numbers(", length ", length)
	if have == 2 && t.opt.Verbose > 0 {
		size := t.u16(o + 2)
		if size != length && t.has(o+2, 2) {
			t.numbers(" [len ", size, "]")
		}
		if !t.need(o, 24) {
			return
		}
		t.s("\n\tRouter-ID ")
		t.ip4Addr(o + 4)
		if t.u32(o+8) == 0 {
			t.s(", Backbone Area")
		} else {
			t.s(", Area ")
			t.ip4Addr(o + 8)
		}
		authentication := t.u16(o + 14)
		t.s(", Authentication Type: ")
		t.name(word("none simple MD5", authentication), "unknown")
		t.numbers(" (", authentication, ")")
	}
}

func ospfName(typ int) string {
	if typ < 1 || typ > 5 {
		return ""
	}
	return [...]string{"Hello", "Database Description", "LS-Request", "LS-Update", "LS-Ack"}[typ-1]
}

// pim prints which message of RFC 7761 this is; what is in it it leaves out.
func (t *Text) pim(o, length int) {
	t.proto = "pim"
	first := t.u8(o)
	if t.stopped() {
		return
	}
	if first>>4 != 2 {
		t.numbers("PIMv", first>>4, ", length ", length)
		return
	}
	t.s("PIMv2, ")
	name, typ := "", first&15
	if typ <= 12 {
		name = [...]string{"Hello", "Register", "Register Stop", "Join / Prune", "Bootstrap", "Assert", "Graft", "Graft Acknowledgement", "Candidate RP Advertisement",
			"Prune Refresh", "DF Election", "ECMP Redirect", ""}[typ]
	}
	if t.opt.Verbose == 0 {
		t.name(name, "Unknown Type")
		t.numbers(", length ", length)
		return
	}
	t.numbers("length ", length, "\n\t")
	t.name(name, "Unknown Type")
}

// rip prints which message of RFC 1058 or RFC 2453 this is; with -v how many routes there are, but
// not where they lead.
func (t *Text) rip(o, length int) {
	t.proto = "rip"
	if length < 4 || !t.has(o, 4) {
		t.trunc()
		return
	}
	command, version := t.u8(o), t.u8(o+1)
	if t.opt.Verbose > 0 {
		t.s("\n\t")
	}
	t.numbers("RIPv", version, ", ")
	name := ""
	if command >= 1 && command <= 6 {
		name = [...]string{"Request", "Response", "Trace on", "Trace off", "Poll", "Poll Entry"}[command-1]
	}
	t.nameOr(name, command, "unknown command (", ")")
	t.numbers(", length: ", length)
}
