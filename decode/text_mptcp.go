package decode

// mptcp prints RFC 8684's option, whose n bytes start at o, in a segment with the TCP flags;
// it returns false if it is wrong.
func (t *Text) mptcp(o, n, flags int) bool {
	if n < 3 {
		return false
	}
	subtype := t.u8(o+2) >> 4
	if t.stopped() {
		return false
	}
	t.numbers(" ", n, " ")
	if subtype > 7 {
		t.s("unknown")
		return true
	}
	t.s(word("capable join dss add-addr rem-addr prio fail fast-close", subtype))
	low := t.u8(o+2) & 15
	syn, ack := flags&tcpSyn != 0, flags&tcpAck != 0
	switch subtype {
	case 0:
		if !((n == 12 || n == 4) && syn || (n == 20 || n == 22) && ack && !syn) {
			return false
		}
		if low > 1 {
			t.numbers(" Unknown Version (", low, ")")
			return true
		}
		t.numbers(" v", low)
		if t.u8(o+3)&0x80 != 0 {
			t.s(" csum")
		}
		if n >= 12 {
			t.wide(" {0x", o+4)
			if n >= 20 {
				t.wide(",0x", o+12)
			}
			t.s("}")
		}
	case 1:
		if !(n == 12 && syn || n == 16 && syn && ack || n == 24 && ack) {
			return false
		}
		if n != 24 {
			if low&1 != 0 {
				t.s(" backup")
			}
			t.numbers(" id ", t.u8(o+3))
		}
		switch n {
		case 12:
			t.hexed(" token 0x", o+4)
			t.hexed(" nonce 0x", o+8)
		case 16:
			t.wide(" hmac 0x", o+4)
			t.hexed(" nonce 0x", o+12)
		case 24:
			t.s(" hmac 0x")
			t.hex(o+4, 20, "")
		}
	case 2:
		return n >= 4 && !syn && t.mptcpDSS(o, n)
	case 3:
		return t.mptcpAddress(o, n, low)
	case 4:
		if n < 4 {
			return false
		}
		t.s(" id")
		for i := 3; i < n; i++ {
			t.numbers(" ", t.u8(o+i))
		}
	case 5:
		if n != 3 && n != 4 {
			return false
		}
		if low&1 != 0 {
			t.s(" backup")
		} else {
			t.s(" non-backup")
		}
		if n == 4 {
			t.numbers(" id ", t.u8(o+3))
		}
	case 6:
		if n != 12 {
			return false
		}
		t.s(" seq ")
		t.u64(t.u64At(o + 4))
	case 7:
		if n != 12 {
			return false
		}
		t.wide(" key 0x", o+4)
	}
	return true
}

// wide prints 8 bytes in hexadecimal, without zeros in front.
func (t *Text) wide(title string, o int) {
	v := t.u64At(o)
	t.s(title)
	if v>>32 != 0 {
		t.x(uint32(v>>32), 1)
		t.x(uint32(v), 8)
	} else {
		t.x(uint32(v), 1)
	}
}

func (t *Text) hexed(title string, o int) {
	v := t.u32(o)
	t.s(title)
	t.x(v, 1)
}

// mptcpDSS prints the data sequence signal.
func (t *Text) mptcpDSS(o, n int) bool {
	flags := t.u8(o + 3)
	if flags&0x10 != 0 {
		t.s(" fin")
	}
	o, n = o+4, n-4
	number := func(title string, long bool) bool {
		t.s(title)
		switch {
		case long && n >= 8:
			t.u64(t.u64At(o))
			o, n = o+8, n-8
		case !long && n >= 4:
			t.u(int(t.u32(o)))
			o, n = o+4, n-4
		default:
			return false
		}
		return true
	}
	if flags&1 != 0 && !number(" ack ", flags&2 != 0) {
		return false
	}
	if flags&4 != 0 {
		if !number(" seq ", flags&8 != 0) || n < 4 {
			return false
		}
		number(" subseq ", false)
		if n < 2 {
			return false
		}
		t.numbers(" len ", t.u16(o))
		if o, n = o+2, n-2; n >= 2 {
			t.s(" csum 0x")
			t.x(uint32(t.u16(o)), 1)
			n -= 2
		}
	}
	return n == 0
}

// mptcpAddress prints what announces an address, and maybe a port and a code that proves it.
func (t *Text) mptcpAddress(o, n, version int) bool {
	size := 4
	switch n {
	case 8, 10, 16, 18:
	case 20, 22, 28, 30:
		size = 16
	default:
		return false
	}
	switch version {
	case 6:
		t.s(" v0-ip6")
	case 4:
		t.s(" v0-ip4")
	case 1:
		t.s(" v1-echo")
	case 0:
		t.s(" v1")
	default:
		t.s(" [bad version/echo]")
	}
	t.numbers(" id ", t.u8(o+3))
	t.s(" ")
	if size == 4 {
		t.ip4Addr(o + 4)
	} else {
		t.ip6Addr(o + 4)
	}
	o, n = o+4+size, n-4-size
	if n == 2 || n == 10 {
		t.numbers(":", t.u16(o))
		o, n = o+2, n-2
	}
	if n == 8 {
		t.wide(" hmac 0x", o)
	}
	return true
}
