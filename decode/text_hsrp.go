package decode

const portHSRP = 1985

// hsrp prints RFC 2281's messages.
func (t *Text) hsrp(o, length int) {
	t.proto = "hsrp"
	version := t.u8(o)
	if t.stopped() {
		return
	}
	t.numbers("HSRPv", version)
	if version != 0 {
		return
	}
	t.s("-")
	kind := t.u8(o + 1)
	if t.stopped() {
		return
	}
	t.nameOr(pick(kind, "hello", "coup", "resign"), kind, "unknown (", ")")
	t.numbers(" ", length, ": ")
	state := t.u8(o + 2)
	if t.stopped() {
		return
	}
	t.s("state=")
	t.nameOr(pick(state, "initial", "learn", "listen", "", "speak", "", "", "", "standby", "", "", "", "", "", "", "", "active"), state, "Unknown (", ")")
	t.s(" ")
	group := t.u8(o + 6)
	if t.stopped() {
		return
	}
	t.numbers("group=", group, " ")
	if reserved := t.u8(o + 7); reserved != 0 {
		t.numbers("[reserved=", reserved, "!] ")
	}
	if !t.need(o+16, 4) {
		return
	}
	t.s("addr=")
	t.ip4Addr(o + 16)
	if t.opt.Verbose == 0 {
		return
	}
	for i, title := range []string{" hellotime=", " holdtime="} {
		t.s(title)
		if seconds := t.u8(o + 3 + i); seconds > 0 {
			t.duration(seconds)
		} else {
			t.s("0s")
		}
	}
	t.numbers(" priority=", t.u8(o+5), " auth=\"")
	for at := o + 8; at < o+16 && t.data[at] != 0; at++ {
		t.char(t.data[at])
	}
	t.s("\"")
}
