package decode

import "time"

const portNTP = 123

// ntp prints RFC 5905's messages.
func (t *Text) ntp(o, length int) {
	t.proto = "ntp"
	status := t.u8(o)
	if t.stopped() {
		return
	}
	mode := status & 7
	t.s("NTPv")
	t.u(status >> 3 & 7)
	t.s(", ")
	t.s([...]string{"unspecified", "symmetric active", "symmetric passive", "Client", "Server", "Broadcast", "Control Message", "Reserved"}[mode])
	t.s(", length ")
	t.u(length)
	if t.opt.Verbose == 0 {
		return
	}
	leap := status >> 6
	t.s("\n\tLeap indicator: ")
	t.s([...]string{"", "+1s", "-1s", "clock unsynchronized"}[leap])
	t.s(" (")
	t.u(leap << 6)
	t.s(")")
	switch mode {
	case 6:
		t.ntpControl(o, length)
	case 7:
	default:
		t.ntpTime(o, length)
	}
}

func (t *Text) ntpTime(o, length int) {
	if length < 48 {
		t.invalid()
		t.need(o, length)
		return
	}
	stratum := t.u8(o + 1)
	if t.stopped() {
		return
	}
	t.s(", Stratum ")
	t.u(stratum)
	switch {
	case stratum == 0:
		t.s(" (unspecified)")
	case stratum == 1:
		t.s(" (primary reference)")
	case stratum <= 15:
		t.s(" (secondary reference)")
	default:
		t.s(" (reserved)")
	}
	poll := t.i8(o + 2)
	if t.stopped() {
		return
	}
	t.s(", poll ")
	t.i(poll)
	switch {
	case poll >= 0 && poll < 32:
		t.numbers(" (", 1<<poll, "s)")
	case poll < 0 && poll > -32:
		t.numbers(" (1/", 1<<-poll, "s)")
	}
	precision := t.i8(o + 3)
	if t.stopped() {
		return
	}
	t.s(", precision ")
	t.i(precision)
	t.ntpShort("\n\tRoot Delay: ", o+4)
	t.ntpShort(", Root dispersion: ", o+8)
	if !t.need(o+12, 4) {
		return
	}
	t.s(", Reference-ID: ")
	switch stratum {
	case 0:
		t.s("(unspec)")
	case 1:
		t.chars(o+12, 4)
	case 62:
		t.ip4Addr(o + 12)
		t.s(" INFO_QUERY")
		return
	case 63:
		t.ip4Addr(o + 12)
		t.s(" INFO_REPLY")
		return
	default:
		v := t.u32(o + 12)
		t.s("0x")
		t.x(v, 8)
	}
	for i, title := range []string{"Reference Timestamp:  ", "Originator Timestamp: ", "Receive Timestamp:    ", "Transmit Timestamp:   "} {
		if !t.need(o+16+8*i, 8) {
			return
		}
		t.s("\n\t  ")
		t.s(title)
		t.ntpStamp(o + 16 + 8*i)
	}
	t.s("\n\t    Originator - Receive Timestamp:  ")
	t.ntpDelta(o+24, o+32)
	t.s("\n\t    Originator - Transmit Timestamp: ")
	t.ntpDelta(o+24, o+40)
	switch length {
	case 48:
	case 52, 68, 72: // a key's identifier, and a digest of 128 or 160 bits
		key := t.u32(o + 48)
		t.s("\n\tKey id: ")
		t.u(int(key))
		if length > 52 && t.need(o+52, length-52) {
			t.s("\n\tAuthentication: ")
			t.hex(o+52, length-52, "")
		}
	default:
		t.numbers("\n\t(", length-48, " more bytes after the header)")
	}
}

// ntpShort prints a number of 16 bits before and 16 behind the point.
func (t *Text) ntpShort(title string, o int) {
	if !t.need(o, 4) {
		return
	}
	t.s(title)
	t.u(t.u16(o))
	t.s(".")
	t.digits(t.u16(o+2)*1000000/65536, 6)
}

// digits prints a number of so many digits.
func (t *Text) digits(v, n int) {
	limit := 1
	for range n - 1 {
		limit *= 10
	}
	for ; v < limit && limit > 1; limit /= 10 {
		t.s("0")
	}
	t.u(v)
}

// ntpStamp prints a time in seconds since 1900, and as a date.
func (t *Text) ntpStamp(o int) {
	if !t.need(o, 8) {
		return
	}
	seconds := t.u32(o)
	t.u(int(seconds))
	t.s(".")
	t.digits(ntpNanoseconds(t.u32(o+4)), 9)
	if seconds == 0 || t.stopped() {
		return
	}
	t.s(" (")
	t.buf = time.Unix(int64(seconds)-ntpEpoch, 0).UTC().AppendFormat(t.buf, "2006-01-02T15:04:05Z")
	t.s(")")
}

// ntpEpoch is how many seconds 1970 began after 1900.
const ntpEpoch = 2208988800

// ntpNanoseconds returns a fraction of 32 bits in nanoseconds.
func ntpNanoseconds(fraction uint32) int {
	return int(uint64(fraction) * 1e9 >> 32)
}

// ntpDelta prints how much later than the time at from that at to is.
func (t *Text) ntpDelta(from, to int) {
	if !t.need(from, 8) || !t.need(to, 8) {
		return
	}
	a, b := t.u64At(from), t.u64At(to)
	if a == 0 {
		t.ntpStamp(to)
		return
	}
	if b > a {
		t.s("+")
		a, b = b, a
	} else {
		t.s("-")
	}
	delta := a - b
	t.u(int(delta >> 32))
	t.s(".")
	t.digits(ntpNanoseconds(uint32(delta)), 9)
}

func (t *Text) ntpControl(o, length int) {
	if length < 12 {
		t.invalid()
		t.need(o, length)
		return
	}
	control := t.u8(o + 1)
	if t.stopped() {
		return
	}
	for i, names := range [...][2]string{{", Request", ", Response"}, {", OK", ", Error"}, {", Last", ", More"}} {
		t.s(names[control>>(7-i)&1])
	}
	t.numbers(", OpCode=", control&31, "\n")
	for i, title := range []string{"\tSequence=", ", Status=", ", Assoc.=", ", Offset=", ", Count="} {
		v := t.u16(o + 2 + 2*i)
		t.s(title)
		if i != 1 {
			t.u(v)
			continue
		}
		if v != 0 {
			t.s("0x")
		}
		t.x(uint32(v), 1)
	}
	count := t.u16(o + 10)
	if 12+count > length {
		t.invalid()
		t.need(o, length)
		return
	}
	if count != 0 && t.need(o+12, count) {
		t.s("\n\tTO-BE-DONE: data not interpreted")
	}
}
