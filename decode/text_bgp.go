package decode

import "bytes"

const portBGP = 179

const (
	bgpHeaderSize = 19
	bgpOpen       = 1
	bgpUpdate     = 2
	bgpNotify     = 3
	bgpRefresh    = 5
)

// pick returns names[i], "" if there is none.
func pick(i int, names ...string) string {
	if i < 0 || i >= len(names) {
		return ""
	}
	return names[i]
}

// bgp prints the messages of RFC 4271, with -v.
func (t *Text) bgp(o, length int) {
	t.proto = "bgp"
	t.s(": BGP")
	if t.opt.Verbose == 0 {
		return
	}
	marker := bytes.Repeat([]byte{0xff}, 16)
	start := o
	for end := min(o+length, t.end); o < end && !t.stopped(); {
		// Segments may begin and end anywhere.
		if t.data[o] != 0xff {
			o++
			continue
		}
		if !t.has(o, 16) {
			return
		}
		if !bytes.Equal(t.data[o:o+16], marker) {
			o++
			continue
		}
		if !t.need(o, bgpHeaderSize) {
			return
		}
		if start != o {
			t.s(" [|bgp]")
		}
		size := t.u16(o + 16)
		if size < bgpHeaderSize {
			t.numbers("\nmessage length ", size, " < ", bgpHeaderSize)
			t.invalid()
			return
		}
		if !t.has(o, size) {
			t.s("\n[|BGP ")
			t.name(bgpName(t.u8(o+18)), "Unknown Message Type")
			t.s("]")
			return
		}
		room := t.room
		if t.bgpMessage(o, size); t.resumes {
			t.resumes, t.room = false, room
		}
		o += size
		start = o
	}
}

func bgpName(kind int) string {
	return pick(kind, "", "Open", "Update", "Notification", "Keepalive", "Route Refresh")
}

// bgpCut marks a message that ends too early, which others may follow.
func (t *Text) bgpCut() {
	if !t.stopped() {
		t.trunc()
		t.resumes = true
	}
}

// bgpHas reports whether a message of size bytes has as many as its kind must have. It tells only
// of what was not captured.
func (t *Text) bgpHas(o, size, least int) bool {
	if !t.has(o, least) {
		t.bgpCut()
		return false
	}
	return size >= least
}

// bgpMessage prints one message, which is all there.
func (t *Text) bgpMessage(o, size int) {
	kind := t.u8(o + 18)
	t.s("\n\t")
	t.name(bgpName(kind), "Unknown")
	t.numbers(" Message (", kind, "), length: ", size)
	switch kind {
	case bgpOpen:
		t.bgpOpen(o, size)
	case bgpUpdate:
		t.bgpUpdate(o+bgpHeaderSize, size-bgpHeaderSize)
	case bgpNotify:
		t.bgpNotify(o, size)
	case 4:
	case bgpRefresh:
		if !t.bgpHas(o, size, bgpHeaderSize+4) {
			return
		}
		t.s("\n\t  ")
		t.bgpRoutes(t.u16(o+19), t.u8(o+22))
		if t.opt.Verbose > 1 {
			t.unknownData("\n\t  ", o, size)
		}
	default:
		t.numbers("\n\t  no Message ", kind, " decoder")
		t.unknownData("\n\t  ", o, size)
	}
}

func bgpFamily(family int) string {
	switch family {
	case 25:
		return "VPLS"
	case 196:
		return "Layer-2 VPN"
	}
	return pick(family, "Reserved", "IPv4", "IPv6", "NSAP", "HDLC", "BBN 1822", "802", "E.163", "E.164", "F.69", "X.121", "Novell IPX", "Appletalk", "Decnet IV", "Banyan Vines",
		"E.164 with NSAP subaddress")
}

// bgpSubsequent names a subsequent address family.
func bgpSubsequent(family int) string {
	switch {
	case family == 70:
		return "EVPN"
	case family >= 128:
		return pick(family-128, "labeled VPN Unicast", "labeled VPN Multicast", "labeled VPN Unicast+Multicast", "", "Route Target Routing Information")
	case family >= 64:
		return pick(family-64, "Tunnel", "VPLS", "MDT")
	}
	return pick(family, "Reserved", "Unicast", "Multicast", "Unicast+Multicast", "labeled Unicast", "Multicast VPN")
}

// as prints the number of an autonomous system.
func (t *Text) as(n uint32) {
	if t.opt.ASDot && n > 0xffff {
		t.numbers(int(n>>16), ".", int(n&0xffff))
		return
	}
	t.u(int(n))
}

func (t *Text) bgpOpen(o, size int) {
	if !t.has(o, 29) || size < 29 {
		t.bgpCut()
		return
	}
	t.numbers("\n\t  Version ", t.u8(o+19), ", my AS ")
	t.as(uint32(t.u16(o + 20)))
	t.numbers(", Holdtime ", t.u16(o+22), "s, ID ")
	t.number4(o + 24)
	length := t.u8(o + 28)
	t.numbers("\n\t  Optional parameters, length: ", length)
	for at, end := o+29, o+29+length; at < end && !t.stopped(); {
		if !t.has(at, 2) {
			t.bgpCut()
			return
		}
		kind, n := t.u8(at), t.u8(at+1)
		if at+2+n > end {
			t.numbers("\n\t     Option ", kind, ", length: ", n, ", goes past the end of the options")
			return
		}
		t.s("\n\t    Option ")
		t.name(pick(kind, "", "Authentication Information", "Capabilities Advertisement"), "Unknown")
		t.numbers(" (", kind, "), length: ", n)
		if kind == 2 {
			t.bgpCapabilities(at+2, n)
		} else {
			t.numbers("\n\t      no decoder for option ", kind)
		}
		at += 2 + n
	}
}

// bgpCapabilities prints RFC 5492's parameters.
func (t *Text) bgpCapabilities(o, length int) {
	for end := o + length; o < end; {
		if !t.has(o, 2) {
			t.s(" [|bgp]")
			return
		}
		kind, n := t.u8(o), t.u8(o+1)
		t.s("\n\t      ")
		t.name(bgpCapability(kind), "Unknown")
		t.numbers(" (", kind, "), length: ", n)
		if !t.has(o+2, n) {
			t.s(" [|bgp]")
			return
		}
		least := 0
		switch kind {
		case 1, 65:
			least = 4
		case 64:
			least = 2
		}
		switch {
		case n < least:
			t.numbers(" (too short, < ", least, ")")
			return
		case kind == 1:
			t.s("\n\t\t")
			t.bgpRoutes(t.u16(o+2), t.u8(o+5))
		case kind == 2 || kind == 128:
		case kind == 64:
			t.s("\n\t\tRestart Flags: [")
			restart := t.u16(o + 2)
			t.flags([]flag{{8, "R"}}, uint32(restart>>12), "", "none")
			t.numbers("], Restart Time ", restart&0xfff, "s")
			for at, left := o+4, n-2; left >= 4; at, left = at+4, left-4 {
				t.s("\n\t\t  ")
				t.bgpRoutes(t.u16(at), t.u8(at+2))
				t.s(", Forwarding state preserved: ")
				t.s(word("no yes", t.u8(at+3)>>7))
			}
		case kind == 65:
			t.s("\n\t\t 4 Byte AS ")
			t.as(t.u32(o + 2))
		case kind == 69:
			if n == 0 {
				t.s(" (bogus)")
				break
			}
			if n%4 != 0 {
				t.invalid()
				break
			}
			for at := o + 2; at < o+2+n; at += 4 {
				t.s("\n\t\t")
				t.bgpRoutes(t.u16(at), t.u8(at+2))
				t.s(", Send/Receive: ")
				if way := pick(t.u8(at+3), "", "Receive", "Send", "Both"); way != "" {
					t.s(way)
				} else {
					t.s("Bogus (0x")
					t.x(uint32(t.u8(at+3)), 2)
					t.s(")")
				}
			}
		case kind == 8:
			for at, left := o+2, n; left >= 4; at, left = at+4, left-4 {
				t.s("\n\t\t")
				t.bgpRoutes(t.u16(at), t.u8(at+2))
				t.numbers(", Count: ", t.u8(at+3))
			}
		case kind == 71:
		default:
			t.numbers("\n\t\tno decoder for Capability ", kind)
			if t.opt.Verbose <= 1 {
				t.unknownData("\n\t\t", o+2, n)
			}
		}
		if t.opt.Verbose > 1 && n > 0 {
			t.unknownData("\n\t\t", o+2, n)
		}
		o += 2 + n
	}
}

func bgpCapability(kind int) string {
	switch {
	case kind == 128:
		return "Route Refresh (Cisco)"
	case kind >= 64:
		return pick(kind-64, "Graceful Restart", "32-Bit AS Number", "", "Dynamic Capability", "Multisession BGP", "Multiple Paths", "Enhanced Route Refresh", "Long-lived Graceful Restart")
	}
	return pick(kind, "", "Multiprotocol Extensions", "Route Refresh", "Cooperative Route Filtering", "Multiple Routes to a Destination", "Extended Next Hop Encoding", "", "", "Multiple Labels")
}

// bgpRoutes prints which kind of routes something is about.
func (t *Text) bgpRoutes(family, sub int) {
	t.s("AFI ")
	t.name(bgpFamily(family), "Unknown")
	t.numbers(" (", family, "), SAFI ")
	t.name(bgpSubsequent(sub), "Unknown")
	t.numbers(" (", sub, ")")
}

// bgpNotify prints why a connection ends.
func (t *Text) bgpNotify(o, size int) {
	if !t.bgpHas(o, size, 21) {
		return
	}
	code, sub := t.u8(o+19), t.u8(o+20)
	t.s(", ")
	t.name(pick(code, "", "Message Header Error", "OPEN Message Error", "UPDATE Message Error", "Hold Timer Expired", "Finite State Machine Error", "Cease", "Capability Message Error"), "Unknown Error")
	t.numbers(" (", code, ")")
	subs := [...][]string{
		1: {"", "Connection Not Synchronized", "Bad Message Length", "Bad Message Type"},
		2: {"", "Unsupported Version Number", "Bad Peer AS", "Bad BGP Identifier", "Unsupported Optional Parameter", "Authentication Failure", "Unacceptable Hold Time", "Capability Message Error"},
		3: {"", "Malformed Attribute List", "Unrecognized Well-known Attribute", "Missing Well-known Attribute", "Attribute Flags Error", "Attribute Length Error", "Invalid ORIGIN Attribute",
			"AS Routing Loop", "Invalid NEXT_HOP Attribute", "Optional Attribute Error", "Invalid Network Field", "Malformed AS_PATH"},
		5: {"Unspecified Error", "In OpenSent State", "In OpenConfirm State", "In Established State"},
		6: {"", "Maximum Number of Prefixes Reached", "Administrative Shutdown", "Peer Unconfigured", "Administrative Reset", "Connection Rejected", "Other Configuration Change",
			"Connection Collision Resolution"},
		7: {"", "Invalid Action Value", "Invalid Capability Length", "Malformed Capability Value", "Unsupported Capability Code"},
	}
	if code >= len(subs) || subs[code] == nil {
		return
	}
	if code != 5 && code != 7 {
		t.s(",")
	}
	t.s(" subcode ")
	t.name(pick(sub, subs[code]...), "Unknown")
	t.numbers(" (", sub, ")")
	if code != 6 {
		return
	}
	at := o + 21
	switch {
	case sub == 1 && size >= 21+7:
		if !t.need(at, 7) {
			return
		}
		t.s(", ")
		t.bgpRoutes(t.u16(at), t.u8(at+2))
		t.numbers(", Max Prefixes: ", int(t.u32(at+3)))
	case (sub == 2 || sub == 4) && size >= 21+1: // RFC 9003
		n, rest := t.u8(at), size-21
		switch {
		case n == 0:
			t.s(", empty Shutdown Communication")
			rest, at = rest-1, at+1
		case n > rest-1:
			t.s(", invalid Shutdown Communication length")
		default:
			t.numbers(", Shutdown Communication (length: ", n, "): \"")
			t.chars(at+1, n)
			t.s("\"")
			rest, at = rest-1-n, at+1+n
		}
		if rest > 0 {
			t.numbers(", Data: (length: ", rest, ")")
			t.unknownData("\n\t\t", at, rest)
		}
	}
}

// bgpUpdate prints routes, and what is to be known of them.
func (t *Text) bgpUpdate(o, length int) {
	if length < 2 || !t.need(o, 2) {
		t.bgpCut()
		return
	}
	withdrawn := t.u16(o)
	o, length = o+2, length-2
	if withdrawn > length {
		t.bgpCut()
		return
	}
	left := withdrawn
	if withdrawn > 1 {
		t.s("\n\t  Withdrawn routes:")
		left = t.bgpPrefixes("\n\t    ", o, withdrawn)
	}
	if withdrawn > 1 { // what is none remains, and is taken for what follows
		withdrawn -= left
	}
	o, length = o+withdrawn, length-withdrawn
	if length < 2 || t.stopped() {
		t.bgpCut()
		return
	}
	size := t.u16(o)
	o, length = o+2, length-2
	if left == 0 && size == 0 && length == 0 {
		t.s("\n\t  End-of-Rib Marker (empty NLRI)")
		return
	}
	if size > length {
		t.bgpCut()
		return
	}
	if size > 0 {
		t.bgpAttributes(o, size, 0, 0)
	}
	if o, length = o+size, length-size; length > 0 {
		t.s("\n\t  Updated routes:")
		t.bgpPrefixes("\n\t    ", o, length)
	}
}
