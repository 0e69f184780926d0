package decode

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
)

const portRIP = 520

const ripEntrySize = 20

// rip prints RFC 1058's and RFC 2453's messages, with -v the routes in them.
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
	t.numbers("RIPv", version)
	if version == 0 {
		t.unknownData("\n\t", o, length)
		return
	}
	t.s(", ")
	t.nameOr(pick(command, "", "Request", "Response", "Trace on", "Trace off", "Poll", "Poll Entry"), command, "unknown command (", ")")
	t.numbers(", length: ", length)
	if t.opt.Verbose == 0 {
		return
	}
	switch {
	case command >= 4 && command <= 6:
	case command != 1 && command != 2:
		if t.opt.Verbose <= 1 {
			t.unknownData("\n\t", o, length)
		}
	case version == 1:
		t.numbers(", routes: ", (length-4)/ripEntrySize)
		t.ripEntries(o+4, min(length, t.end-o)-4, t.rip1Entry)
	case version == 2:
		t.numbers(", routes: ", (length-4)/ripEntrySize, " or less")
		t.ripEntries(o+4, min(length, t.end-o)-4, t.rip2Entry)
	default:
		t.s(", unknown version")
	}
	if t.opt.Verbose > 1 {
		t.unknownData("\n\t", o, length)
	}
}

// ripEntries prints routes, each with entry, which returns false for the last one.
func (t *Text) ripEntries(o, left int, entry func(o, left int) bool) {
	for left > 0 && !t.stopped() && entry(o, left) {
		if left < ripEntrySize {
			t.numbers(" [remaining entries length ", left, " < ", ripEntrySize, "]")
			t.invalid()
			return
		}
		o, left = o+ripEntrySize, left-ripEntrySize
	}
}

func (t *Text) rip1Entry(o, left int) bool {
	if left < ripEntrySize {
		t.trunc()
		return false
	}
	family := t.u16(o)
	switch {
	case (family == 0 || family == 2) && (t.u16(o+2) != 0 || t.u64At(o+8) != 0): // must be zero
		t.unknownData("\n\t  ", o, ripEntrySize)
		return true
	case family == 0:
		t.s("\n\t  AFI 0, ")
	case family == 2:
		t.s("\n\t  ")
	default:
		t.s("\n\t AFI ")
		t.ripFamily(family)
		t.s(", ")
		t.unknownData("\n\t  ", o+4, 16)
		return true
	}
	t.ip4Addr(o + 4)
	t.numbers(", metric: ", int(t.u32(o+16)))
	return true
}

func (t *Text) rip2Entry(o, left int) bool {
	if !t.need(o, 4) {
		return false
	}
	family := t.u16(o)
	switch family {
	case 0xffff:
		return t.ripAuthentication(o, left)
	case 0, 2:
		if !t.need(o, ripEntrySize) {
			return false
		}
		address := netip.AddrFrom4([4]byte(t.data[o+4 : o+8])).String()
		t.s("\n\t  AFI ")
		t.s(pick(family, "0", "", "IPv4"))
		t.s(", ")
		for n := len(address); n < 15; n++ {
			t.s(" ")
		}
		t.s(address)
		t.s("/")
		mask := binary.BigEndian.Uint32(t.data[o+8:])
		if length := bits.LeadingZeros32(^mask); mask<<length == 0 {
			t.u(length)
			if length < 10 {
				t.s(" ")
			}
		} else {
			t.s("-1") // there is no such length
		}
		t.s(", tag 0x")
		t.x(uint32(t.u16(o+2)), 4)
		t.numbers(", metric: ", int(t.u32(o+16)), ", next-hop: ")
		if t.u32(o+12) == 0 {
			t.s("self")
		} else {
			t.ip4Addr(o + 12)
		}
	default:
		t.s("\n\t  AFI ")
		t.ripFamily(family)
		t.unknownData("\n\t  ", o+4, 16)
	}
	return true
}

// ripFamily prints one of BSD's address families that RIP is not about.
func (t *Text) ripFamily(family int) {
	name := ""
	switch family {
	case 6:
		name = "NS"
	case 7:
		name = "ISO"
	case 16:
		name = "AppleTalk"
	case 23:
		name = "IPX"
	case 24, 28, 30:
		name = "IPv6"
	}
	t.nameOr(name, family, "Unknown (", ")")
}

// ripAuthentication prints what proves who a message is from, RFC 2453 and RFC 4822.
func (t *Text) ripAuthentication(o, left int) bool {
	kind := t.u16(o + 2)
	if t.stopped() {
		return false
	}
	switch kind {
	case 1:
		t.s("\n\t  Auth trailer:")
		t.unknownData("\n\t  ", o+4, left-4)
		return false
	case 2:
		t.s("\n\t  Simple Text Authentication data: ")
		for at := o + 4; at < o+ripEntrySize && t.u8(at) != 0; at++ {
			t.char(byte(t.u8(at)))
		}
	case 3:
		if !t.need(o, ripEntrySize) {
			return false
		}
		t.numbers("\n\t  Auth header: Packet Len ", t.u16(o+4), ", Key-ID ", t.u8(o+6), ", Auth Data Len ", t.u8(o+7), ", SeqNo ", int(t.u32(o+8)),
			", MBZ ", int(t.u32(o+12)), ", MBZ ", int(t.u32(o+16)))
	default:
		t.numbers("\n\t  Unknown (", kind, ") Authentication data:")
		t.unknownData("\n\t  ", o+4, left-4)
		return false
	}
	return true
}
