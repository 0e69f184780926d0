package decode

// pppoe prints RFC 2516's packets: discovery with its tags, or a session's.
func (t *Text) pppoe(o, length int) {
	t.proto = "pppoe"
	if length < 6 {
		t.s(" (length ")
		t.u(length)
		t.s(" < 6)")
		t.invalid()
		return
	}
	if length -= 6; !t.need(o, 6) {
		return
	}
	kind, code, session, n := t.u8(o), t.u8(o+1), t.u16(o+2), t.u16(o+4)
	if kind>>4 != 1 {
		t.s(" [ver ")
		t.u(kind >> 4)
		t.s("]")
	}
	if kind&15 != 1 {
		t.s(" [type ")
		t.u(kind & 15)
		t.s("]")
	}
	t.s("PPPoE ")
	switch code {
	case 0x09:
		t.s("PADI")
	case 0x07:
		t.s("PADO")
	case 0x19:
		t.s("PADR")
	case 0x65:
		t.s("PADS")
	case 0xa7:
		t.s("PADT")
	case 0:
	default:
		t.s("PAD-")
		t.x(uint32(code), 1)
	}
	if code == 9 && n > 1484-6 {
		t.s(" [len ")
		t.u(n)
		t.s("!]")
	}
	if n > length {
		t.s(" [len ")
		t.u(n)
		t.s(" > ")
		t.u(length)
		t.s("!]")
		n = length
	}
	if session != 0 {
		t.s(" [ses 0x")
		t.x(uint32(session), 1)
		t.s("]")
	}
	if o += 6; code == 0 {
		t.s(" ")
		t.ppp(o, n)
		return
	}
	for end := o + n; o < end && !t.stopped(); {
		if !t.need(o, 4) {
			return
		}
		tag, size := t.u16(o), t.u16(o+2)
		if o += 4; !t.need(o, size) {
			return
		}
		t.s(" [")
		if name := pppoeTagName(tag); name != "" {
			t.s(name)
		} else {
			t.s("TAG-0x")
			t.x(uint32(tag), 1)
		}
		if size > 0 {
			t.pppoeValue(o, size)
		}
		t.s("]")
		if tag == 0 {
			return
		}
		o += size
	}
}

// pppoeValue prints a tag's value as text, of which 79 characters are enough, if most of
// it is.
func (t *Text) pppoeValue(o, n int) {
	shown := t.data[o : o+min(n, 79)]
	printable := 0
	for _, c := range shown {
		if c >= ' ' && c < 0x7f {
			printable++
		}
	}
	if printable <= len(shown)-printable {
		t.s(" 0x")
		for i := range n {
			v := t.data[o+i]
			t.upper(v >> 4)
			t.upper(v & 15)
		}
		return
	}
	t.s(" \"")
	for _, c := range shown {
		if c < ' ' || c >= 0x7f {
			c = '.'
		}
		t.char(c)
	}
	t.s("\"")
}

// upper prints a hexadecimal digit in upper case.
func (t *Text) upper(v byte) {
	c := digits[v]
	if c >= 'a' {
		c -= 'a' - 'A'
	}
	t.char(c)
}

func pppoeTagName(tag int) string {
	switch tag {
	case 0:
		return "EOL"
	case 0x0101:
		return "Service-Name"
	case 0x0102:
		return "AC-Name"
	case 0x0103:
		return "Host-Uniq"
	case 0x0104:
		return "AC-Cookie"
	case 0x0105:
		return "Vendor-Specific"
	case 0x0110:
		return "Relay-Session-ID"
	case 0x0120:
		return "PPP-Max-Payload"
	case 0x0201:
		return "Service-Name-Error"
	case 0x0202:
		return "AC-System-Error"
	case 0x0203:
		return "Generic-Error"
	}
	return ""
}
