package decode

const (
	protoPIM = 103
	portRIP  = 520
)

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
