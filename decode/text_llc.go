package decode

import "encoding/binary"

// Service access points of IEEE 802.2.
const (
	sapIP     = 0x06
	sapSTP    = 0x42
	sapSNAP   = 0xaa
	sapGlobal = 0xff
)

// llc prints a frame of IEEE 802.2; frame is where the Ethernet header with the addresses
// is, or -1 if there is none. It returns how long the header is, and reports whether all
// of the frame was printed.
func (t *Text) llc(o, length, frame int) (size int, known bool) {
	t.proto = "llc"
	if !t.has(o, 3) || length < 3 {
		return t.llcCut(o, length)
	}
	dsap, ssap, control := t.u8(o), t.u8(o+1), t.u8(o+2)
	unnumbered := control&3 == 3
	if size = 3; !unnumbered {
		size = 4
		if !t.has(o, 4) || length < 4 {
			return t.llcCut(o, length)
		}
		control = int(binary.LittleEndian.Uint16(t.data[o+2:]))
	}
	response := ssap & 1
	if dsap != sapGlobal || ssap != sapGlobal {
		ssap &^= 1
	}
	group := dsap & 1
	if ssap != sapGlobal {
		dsap &^= 1
	}
	if t.opt.LinkHeader {
		t.s("LLC, dsap ")
		t.name(sapName(dsap), "Unknown")
		t.s(" (0x")
		t.x(uint32(dsap), 2)
		t.s([...]string{") Individual, ssap ", ") Group, ssap "}[group])
		t.name(sapName(ssap), "Unknown")
		t.s(" (0x")
		t.x(uint32(ssap), 2)
		t.s([...]string{") Command, ctrl 0x", ") Response, ctrl 0x"}[response])
		t.x(uint32(control), 2*size-4)
		t.s(": ")
	}
	left := length - size
	if ssap == dsap && control == 3 {
		switch ssap {
		case sapSNAP:
			known = t.snap(o+3, left, frame)
			return size + 5, known
		case sapSTP:
			t.stp(o+3, left)
			return size, true
		case sapIP:
			t.ip(o+3, left)
			return size, true
		}
	}
	if !t.opt.LinkHeader {
		t.saps(dsap, ssap, frame)
	}
	poll := control & 0x10
	if !unnumbered {
		poll = control & 0x100
	}
	which := response
	if poll != 0 {
		which += 2
	}
	flags := [...]string{"Command", "Response", "Poll", "Final"}[which]
	switch {
	case unnumbered:
		t.s("Unnumbered, ")
		if name := llcCommandName(control &^ 0x10); name != "" {
			t.s(name)
		} else {
			t.x(uint32(control&^0x10), 2)
		}
	case control&3 == 1:
		t.s("Supervisory, ")
		t.s([...]string{"Receiver Ready", "Receiver not Ready", "Reject", "?"}[control>>2&3])
	default:
		t.s("Information, send seq ")
		t.u(control >> 1 & 0x7f)
	}
	if !unnumbered {
		t.s(", rcv seq ")
		t.u(control >> 9)
	}
	t.s(", Flags [")
	t.s(flags)
	t.s("], length ")
	t.u(length)
	if unnumbered && control&^0x10 == 0xaf { // XID
		o += size
		switch {
		case left == 0:
			return size, true
		case !t.need(o, 1):
			return size, true
		case t.u8(o) == 0x81:
			if left < 3 || !t.has(o, 3) {
				t.llcCut(o, left)
				return size, true
			}
			t.s(": ")
			t.hex(o+1, 2, " ")
			return size, true
		}
	}
	return size, !unnumbered && control&3 == 1
}

// llcCut marks a truncation, and prints what is there.
func (t *Text) llcCut(o, length int) (size int, known bool) {
	t.s(" [|llc]")
	t.dumpAlways("\n\t", o, t.end-o)
	t.stop()
	return min(t.end-o, length), true
}

func (t *Text) saps(dsap, ssap, frame int) {
	sap := func(unknown string, v int) {
		if name := sapName(v); name != "" {
			t.s(name)
		} else {
			t.s(unknown)
			t.x(uint32(v), 2)
		}
		t.s(" ")
	}
	if frame >= 0 {
		t.mac(frame + 6)
		t.s(" ")
	}
	if ssap != dsap {
		sap("Unknown SSAP 0x", ssap)
	}
	if ssap != dsap || frame >= 0 {
		t.s("> ")
	}
	if frame >= 0 {
		t.mac(frame)
		t.s(" ")
	}
	sap("Unknown DSAP 0x", dsap)
}

// snap prints what follows a SNAP header, and reports whether it can.
func (t *Text) snap(o, length, frame int) bool {
	if t.proto = "snap"; !t.has(o, 5) || length < 5 {
		t.trunc()
		return true
	}
	oui, pid := t.u24(o), t.u16(o+3)
	what, name := "pid ", snapName(oui, pid)
	if oui == 0 {
		what = "ethertype "
	}
	if t.opt.LinkHeader {
		t.s("oui ")
		t.name(ouiName(oui), "Unknown")
		t.s(" (0x")
		t.x(uint32(oui), 6)
		t.s("), ")
		t.s(what)
		t.name(name, "Unknown")
		t.s(" (0x")
		t.x(uint32(pid), 4)
		t.s("), length ")
		t.u(length - 5)
		t.s(": ")
	}
	o, length = o+5, length-5
	switch {
	case oui == 0 || oui == 0x0000f8:
		if t.etherPayload(pid, o, length) {
			return true
		}
	case oui == 0x00000c && (pid == 0x010b || pid == 0x010c), oui == 0x0080c2 && pid == 0x000e:
		t.stp(o, length)
		return true
	case oui == 0x0080c2 && (pid == 1 || pid == 7):
		if !t.need(o, 2) {
			return true
		}
		t.ether(o+2, length-2)
		return true
	}
	if t.opt.LinkHeader {
		return false
	}
	if frame >= 0 {
		t.mac(frame + 6)
		t.s(" > ")
		t.mac(frame)
		t.s(" ")
	}
	t.s("SNAP, ")
	if oui != 0 {
		t.s("oui ")
		t.name(ouiName(oui), "Unknown")
		t.s(" (0x")
		t.x(uint32(oui), 6)
		t.s("), ")
	}
	t.s(what)
	t.name(name, "Unknown")
	t.s(" (0x")
	t.x(uint32(pid), 4)
	t.s("), length ")
	t.u(length)
	t.s(": ")
	return false
}

// snapName returns tcpdump's name of an organization's protocol, if it has one.
func snapName(oui, pid int) string {
	switch oui {
	case 0, 0x0000f8, 0x080007:
		return etherTypeName(pid)
	case 0x00000c:
		switch pid {
		case 0x0104:
			return "Cisco DTP"
		case 0x010b:
			return "PVST"
		case 0x010c:
			return "VLAN Bridge"
		case 0x0111:
			return "UDLD"
		case 0x2000:
			return "CDP"
		case 0x2003:
			return "VTP"
		}
	case 0x0080c2:
		switch pid {
		case 1:
			return "Ethernet + FCS"
		case 2:
			return "802.4 + FCS"
		case 3:
			return "Token Ring + FCS"
		case 4:
			return "FDDI + FCS"
		case 7:
			return "Ethernet w/o FCS"
		case 8:
			return "802.4 w/o FCS"
		case 9:
			return "Token Ring w/o FCS"
		case 10:
			return "FDDI w/o FCS"
		case 14:
			return "BPDU"
		}
	}
	return ""
}

func sapName(sap int) string {
	switch sap {
	case 0:
		return "Null"
	case 0x02:
		return "802.1B I"
	case 0x03:
		return "802.1B G"
	case 0x04:
		return "SNA"
	case sapIP:
		return "IP"
	case 0x0e:
		return "ProWay NM"
	case sapSTP:
		return "STP"
	case 0x4e:
		return "RS511"
	case 0x7e:
		return "ISO8208"
	case 0x8e:
		return "ProWay"
	case sapSNAP:
		return "SNAP"
	case 0xe0:
		return "IPX"
	case 0xf0:
		return "NetBeui"
	case 0xfe:
		return "OSI"
	case sapGlobal:
		return "Global"
	}
	return ""
}

func llcCommandName(command int) string {
	switch command {
	case 0x03:
		return "ui"
	case 0x0f:
		return "dm"
	case 0x43:
		return "disc"
	case 0x63:
		return "ua"
	case 0x6f:
		return "sabme"
	case 0x87:
		return "frmr"
	case 0xaf:
		return "xid"
	case 0xe3:
		return "test"
	}
	return ""
}

// ouiName returns tcpdump's name of an organization, if it has one.
func ouiName(oui int) string {
	switch oui {
	case 0x000000:
		return "Ethernet"
	case 0x00000c:
		return "Cisco"
	case 0x00005e:
		return "IANA"
	case 0x000081:
		return "Nortel Networks SONMP"
	case 0x0000f8:
		return "Cisco bridged"
	case 0x0080c2:
		return "Ethernet bridged"
	case 0x00a03e:
		return "ATM Forum"
	case 0x080007:
		return "Appletalk"
	case 0x009069:
		return "Juniper"
	case 0x080009:
		return "Hewlett-Packard"
	case 0x00120f:
		return "IEEE 802.3 Private"
	case 0x0012bb:
		return "ANSI/TIA"
	case 0x001b21:
		return "DCBX"
	case 0x002320:
		return "Nicira Networks"
	case 0x5c16c7:
		return "Big Switch Networks"
	case 0xb0d2f5:
		return "Vello Systems"
	case 0x0004ea:
		return "HP-Labs"
	case 0x748771:
		return "Infoblox Inc"
	case 0xa42305:
		return "Open Networking Lab"
	case 0x00049f:
		return "Freescale"
	case 0x0015ad:
		return "Netronome"
	case 0x001018:
		return "Broadcom"
	case 0x00e004:
		return "PMC-Sierra"
	}
	return ""
}
