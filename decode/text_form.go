package decode

import (
	"net/netip"
	"time"

	"github.com/tundump/tundump/capture"
)

// TimeForm says how the time of a packet is printed.
type TimeForm uint8

const (
	TimeOfDay      TimeForm = iota // 03:04:05.123456
	TimeNone                       // nothing, tcpdump's -t
	TimeUnix                       // seconds since 1970-01-01 00:00 UTC, -tt
	TimeDelta                      // since the packet printed before, -ttt
	TimeDate                       // the date as well, -tttt
	TimeSinceFirst                 // since the first packet printed, -ttttt
)

// Names finds the names that are printed instead of numbers. It is asked for every
// packet again: what takes time to find out should be remembered.
type Names interface {
	// Addr returns the name of an address, or "" if it has none.
	Addr(netip.Addr) string
	// Port returns the name of the service at a port of "tcp", "udp" or "sctp", or
	// "" if it has none.
	Port(transport string, port uint16) string
}

// dumps tells whether what nobody here can read is printed in hexadecimal: not if all
// of the packet is, and not with -q.
func (o *TextOptions) dumps() bool { return !o.Quiet && o.HexASCII+o.Hex == 0 }

// start prints what is in front of the time.
func (t *Text) start(p *capture.Packet) {
	t.number++
	if t.opt.Number {
		for limit := uint64(10000); limit > t.number; limit /= 10 {
			t.s(" ")
		}
		t.u64(t.number)
		t.s("  ")
	}
	if t.opt.Lengths {
		t.s("caplen ")
		t.u(len(p.Data))
		t.s(", len ")
		t.u(p.Len)
		t.s(", ")
	}
}

// time prints a time in nanoseconds since 1970.
func (t *Text) time(ns int64) {
	unit := int64(1)
	if !t.opt.Nanoseconds {
		unit = 1000
	}
	second, fraction := ns/1e9, ns%1e9
	if fraction < 0 {
		second, fraction = second-1, fraction+1e9
	}
	fraction -= fraction % unit
	switch t.opt.Time {
	case TimeNone:
		return
	case TimeUnix:
		if second < 0 {
			t.s("-")
			second = -second
		}
		t.u64(uint64(second))
	case TimeDelta, TimeSinceFirst:
		// In whole units, which is how the times themselves are printed.
		now := second*1e9 + fraction
		if !t.referred {
			t.reference, t.referred = now, true
		}
		delta := now - t.reference
		sign := " "
		if delta < 0 {
			delta, sign = -delta, "-"
		}
		t.s(sign)
		if t.opt.Time == TimeDelta {
			t.reference = now
		}
		second, fraction = delta/1e9, delta%1e9
		t.two(int(second / 3600))
		t.s(":")
		t.two(int(second / 60 % 60))
		t.s(":")
		t.two(int(second % 60))
	default:
		if second != t.second {
			layout := time.TimeOnly
			if t.opt.Time == TimeDate {
				layout = time.DateTime
			}
			t.clock = time.Unix(second, 0).In(t.opt.Location).AppendFormat(t.clock[:0], layout)
			t.second = second
		}
		t.buf = append(t.buf, t.clock...)
	}
	digits := 9
	if unit == 1000 {
		digits, fraction = 6, fraction/1000
	}
	t.buf = append(t.buf, ".000000000 "[:digits+1]...)
	for i := len(t.buf) - 1; fraction > 0; i-- {
		t.buf[i] += byte(fraction % 10)
		fraction /= 10
	}
	t.buf = append(t.buf, ' ')
}

// two prints a number with at least two digits.
func (t *Text) two(v int) {
	if v < 10 {
		t.s("0")
	}
	t.u(v)
}

// relative32 prints seconds in weeks, days, hours, minutes and seconds.
func (t *Text) relative32(seconds uint32) {
	if seconds == 0 {
		t.s("0s")
	}
	for _, unit := range [...]struct {
		seconds uint32
		name    string
	}{{7 * 86400, "w"}, {86400, "d"}, {3600, "h"}, {60, "m"}, {1, "s"}} {
		if n := seconds / unit.seconds; n > 0 {
			t.u(int(n))
			t.s(unit.name)
			seconds %= unit.seconds
		}
	}
}

// chars prints n bytes as text, as many as there are, and returns false if they are not
// all there.
func (t *Text) chars(o, n int) bool {
	for _, c := range t.data[min(o, t.end):max(min(o, t.end), min(o+n, t.end))] {
		t.char(c)
	}
	return t.has(o, n)
}

// payload prints the packet's bytes as the options ask for.
func (t *Text) payload(data []byte) {
	o := min(t.linkSize, len(data))
	if t.opt.HexASCII > 1 || t.opt.HexASCII == 0 && (t.opt.Hex > 1 || t.opt.Hex == 0 && t.opt.ASCII > 1) {
		o = 0
	}
	data = data[o:]
	switch {
	case len(data) == 0:
	case t.opt.HexASCII > 0:
		t.buf = appendHexDump(t.buf, "\n\t", data, true)
	case t.opt.Hex > 0:
		t.buf = appendHexDump(t.buf, "\n\t", data, false)
	case t.opt.ASCII > 0:
		t.buf = appendASCII(append(t.buf, '\n'), data)
	}
}

// dump prints length bytes that nobody here can read, in hexadecimal and as text.
func (t *Text) dump(o, length int) { t.dumpAs("\n\t", o, length) }

func (t *Text) dumpAs(newline string, o, length int) {
	if t.opt.dumps() {
		t.dumpAlways(newline, o, length)
	}
}

func (t *Text) dumpAlways(newline string, o, length int) {
	if t.stopped() || length < 0 {
		return
	}
	before := len(t.buf)
	t.buf = appendHexDump(t.buf, newline, t.data[min(o, t.end):max(o, min(o+length, t.end))], true)
	t.room += len(t.buf) - before
	if !t.has(o, length) {
		t.trunc()
	}
}

// unknownData prints as many of length bytes as there are, in hexadecimal, even if
// all of the packet is printed so.
func (t *Text) unknownData(newline string, o, length int) {
	if t.stopped() || o > t.end {
		return
	}
	before := len(t.buf)
	t.buf = appendHexDump(t.buf, newline, t.data[o:max(o, min(o+length, t.end))], false)
	t.room += len(t.buf) - before
}

// appendHexDump appends lines of 16 bytes, each behind newline.
func appendHexDump(to []byte, newline string, data []byte, text bool) []byte {
	for o := 0; o < len(data); o += 16 {
		to = append(append(to, newline...), "0x"...)
		shift := 12
		for o>>shift > 15 {
			shift += 4
		}
		for ; shift >= 0; shift -= 4 {
			to = append(to, digits[o>>shift&15])
		}
		to = append(to, ": "...)
		line := data[o:min(o+16, len(data))]
		for i, b := range line {
			if i%2 == 0 {
				to = append(to, ' ')
			}
			to = append(to, digits[b>>4], digits[b&15])
		}
		if !text {
			continue
		}
		for i := len(line); i < 16; i++ {
			to = append(to, "   "[:2+(i+1)%2]...)
		}
		to = append(to, "  "...)
		for _, b := range line {
			if !graphic(b) {
				b = '.'
			}
			to = append(to, b)
		}
	}
	return to
}

// appendASCII appends the data as text whose lines are lines.
func appendASCII(to, data []byte) []byte {
	for i, b := range data {
		switch {
		case b == '\r' && (i+2 >= len(data) || data[i+1] == '\n'): // tcpdump's choice
		case graphic(b) || b == '\t' || b == ' ' || b == '\n':
			to = append(to, b)
		default:
			to = append(to, '.')
		}
	}
	return to
}

func graphic(b byte) bool { return b > ' ' && b < 0x7f }
