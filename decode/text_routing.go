package decode

const protoPIM = 103

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
