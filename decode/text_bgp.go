package decode

import "bytes"

const portBGP = 179

// bgp prints which messages of RFC 4271 there are, with -v; what is in an update
// it leaves out.
func (t *Text) bgp(o, length int) {
	t.proto = "bgp"
	t.s(": BGP")
	if t.opt.Verbose == 0 {
		return
	}
	for end := min(o+length, t.end); o < end && !t.stopped(); {
		// Segments may begin and end anywhere.
		marker := bytes.Repeat([]byte{0xff}, 16)
		if !t.has(o, 1) {
			return
		}
		if t.data[o] != 0xff {
			o++
			continue
		}
		if !t.has(o, 19) || !bytes.Equal(t.data[o:o+16], marker) {
			break
		}
		size := t.u16(o + 16)
		if size < 19 {
			t.trunc()
			return
		}
		typ := t.u8(o + 18)
		t.s("\n\t")
		t.name(bgpName(typ), "Unknown")
		t.numbers(" Message (", typ, "), length: ", size)
		if typ == 1 && size >= 29 && t.has(o, 29) {
			t.numbers("\n\t  Version ", t.u8(o+19), ", my AS ", t.u16(o+20), ", Holdtime ", t.u16(o+22), "s, ID ")
			t.ip4Addr(o + 24)
			t.numbers("\n\t  Optional parameters, length: ", t.u8(o+28))
		}
		if typ == 3 && size >= 21 && t.has(o, 21) {
			t.bgpError(t.u8(o+19), t.u8(o+20))
		}
		o += size
	}
}

// bgpError prints why a connection ends.
func (t *Text) bgpError(code, subcode int) {
	t.s(", ")
	names := [...]string{"", "Message Header Error", "OPEN Message Error", "UPDATE Message Error", "Hold timer expired", "Finite State Machine Error", "Cease"}
	if code >= 1 && code < len(names) {
		t.s(names[code])
	} else {
		t.s("Unknown Error")
	}
	t.numbers(" (", code, "), subcode ")
	name := "Unknown"
	if code == 6 && subcode >= 1 && subcode <= 9 {
		name = [...]string{"Maximum Number of Prefixes Reached", "Administrative Shutdown", "Peer Unconfigured", "Administrative Reset", "Connection Rejected",
			"Other Configuration Change", "Connection Collision Resolution", "Out of Resources", "Hard Reset"}[subcode-1]
	}
	t.s(name)
	t.numbers(" (", subcode, ")")
}

func bgpName(typ int) string {
	if typ < 1 || typ > 5 {
		return ""
	}
	return [...]string{"Open", "Update", "Notification", "Keepalive", "Route Refresh"}[typ-1]
}
