package decode

const portTFTP = 69

// tftp prints RFC 1350's messages, and the options of RFC 2347.
func (t *Text) tftp(o, length int) {
	t.proto = "tftp"
	t.numbers("TFTP, length ", length)
	if length < 2 {
		t.trunc()
		return
	}
	op := t.u16(o)
	if t.stopped() {
		return
	}
	t.s(", ")
	if op < 1 || op > 6 {
		t.numbers("tftp-#", op)
		return
	}
	t.s(word("RRQ WRQ DATA ACK ERROR OACK", op-1))
	o, length = o+2, length-2
	// next prints a string, and reports whether it has an end.
	next := func() bool {
		for length > 0 && o < t.end {
			c := t.data[o]
			o, length = o+1, length-1
			if c == 0 {
				return true
			}
			t.char(c)
		}
		return false
	}
	switch op {
	case 1, 2:
		if length == 0 {
			t.trunc()
			return
		}
		t.s(" \"")
		whole := next()
		t.s("\"")
		if !whole || length == 0 {
			t.trunc()
			return
		}
		t.s(" ")
		if !next() {
			t.trunc()
			return
		}
		t.tftpOptions(&o, &length, next)
	case 3, 4:
		if length < 2 {
			t.trunc()
			return
		}
		block := t.u16(o)
		t.numbers(" block ", block)
	case 5:
		if length < 2 {
			t.trunc()
			return
		}
		code := t.u16(o)
		if t.stopped() {
			return
		}
		t.s(" ")
		if name := word("EUNDEF ENOTFOUND EACCESS ENOSPACE EBADOP EBADID EEXISTS ENOUSER", code); name != "" {
			t.s(name)
		} else {
			t.numbers("tftp-err-#", code, " \"")
		}
		if o, length = o+2, length-2; length == 0 {
			t.trunc()
			return
		}
		t.s(" \"")
		whole := next()
		t.s("\"")
		if !whole {
			t.trunc()
		}
	case 6:
		t.tftpOptions(&o, &length, next)
	}
}

func (t *Text) tftpOptions(o, length *int, next func() bool) {
	for *length > 0 && !t.stopped() {
		if t.u8(*o) != 0 {
			t.s(" ")
		}
		if !next() {
			t.trunc()
		}
	}
}
