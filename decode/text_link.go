package decode

import (
	"encoding/binary"

	"github.com/tundump/tundump/filter/header"
)

// Link types whose packets the table does not walk from the start.
const (
	linkNull header.LinkType = 0
	linkPPP  header.LinkType = 9
	linkLoop header.LinkType = 108
)

// linkLayer prints the packet; length is what it had on the wire.
func (t *Text) linkLayer(length int) {
	switch t.link {
	case header.LinkEthernet:
		t.linkSize = t.etherSize()
		t.ether(0, length)
	case header.LinkSLL:
		t.linkSize = 16
		t.sll(length)
	case header.LinkSLL2:
		t.linkSize = 20
		t.sll2(length)
	case linkNull, linkLoop:
		t.loopback(length)
	case linkPPP:
		t.linkSize = 4
		if t.proto = "ppp"; t.need(0, 4) {
			t.ppp(0, length)
		}
	case header.LinkRaw, header.LinkIPv4, header.LinkIPv6:
		t.proto = "raw"
		if t.opt.LinkHeader {
			t.s("ip: ")
		}
		switch v := t.u8(0) >> 4; v {
		case 4:
			t.ip(0, length)
		case 6:
			t.ip6(0, length)
		default:
			t.s("unknown ip ")
			t.u(v)
		}
	default:
		t.s("link-type ")
		t.u(int(t.link))
		t.s(", length ")
		t.u(length)
	}
}

// loopback prints a packet of BSD's loopback interface: its header is the protocol family, in the
// byte order of who captured it, or in the network's.
func (t *Text) loopback(length int) {
	t.linkSize = 4
	if t.proto = "null"; !t.need(0, 4) {
		return
	}
	family := binary.LittleEndian.Uint32(t.data)
	if family&0xffff0000 != 0 {
		family = binary.BigEndian.Uint32(t.data)
	}
	if t.opt.LinkHeader {
		t.familyHeader(family, length)
	}
	switch family {
	case 2:
		t.ip(4, length-4)
	case 24, 28, 30: // of NetBSD, FreeBSD, Darwin
		t.ip6(4, length-4)
	default:
		if !t.opt.LinkHeader {
			t.familyHeader(family, length)
		}
		t.dump(4, t.end-4)
	}
}

func (t *Text) familyHeader(family uint32, length int) {
	name := ""
	switch family {
	case 2:
		name = "IPv4"
	case 6:
		name = "NS"
	case 7:
		name = "ISO"
	case 16:
		name = "APPLETALK"
	case 23:
		name = "IPX"
	case 24, 28, 30:
		name = "IPv6"
	}
	if t.opt.Quiet {
		t.nameOr(name, int(family), "Unknown AF ", "")
	} else {
		t.s("AF ")
		t.name(name, "Unknown")
		t.numbers(" (", int(family), ")")
	}
	t.numbers(", length ", length, ": ")
}

// etherSize returns the length of the packet's Ethernet header with the VLAN tags.
func (t *Text) etherSize() int {
	size := 14
	for t.has(0, size+4) && isTag(int(binary.BigEndian.Uint16(t.data[size-2:]))) {
		size += 4
	}
	return size
}

func isTag(typ int) bool { return typ == 0x8100 || typ == 0x88a8 || typ == 0x9100 || typ == 0x9200 }

// ether prints an Ethernet frame, IEEE 802.3.
func (t *Text) ether(o, length int) {
	t.proto = "ether"
	if length < t.end-o {
		t.s("[length ")
		t.u(length)
		t.s(" < caplen ")
		t.u(t.end - o)
		t.s("]")
		t.invalid()
		return
	}
	if !t.need(o, 14) {
		return
	}
	frame, total := o, length
	if t.opt.LinkHeader {
		t.etherAddrs(frame)
	}
	typ := t.u16(o + 12)
	o, length = o+14, length-14
	printed := false // the frame's length, once
	for isTag(typ) {
		if t.proto = "vlan"; !t.need(o, 4) {
			return
		}
		if t.opt.LinkHeader {
			t.etherType(typ)
			t.comma(&printed, total)
			t.tag(t.u16(o))
		}
		typ = t.u16(o + 2)
		o, length = o+4, length-4
	}
	if typ <= 1500 || typ == 0x8870 { // an IEEE 802.2 frame, whose type field is a length; or a jumbo one
		whole := t.end
		if typ <= 1500 { // what is behind it is padding
			length = min(length, typ)
			t.cut(o, length)
		}
		if t.opt.LinkHeader && typ <= 1500 {
			t.s("802.3")
			if !printed {
				t.s(", length ")
				t.u(length)
				t.s(": ")
			}
		}
		size, known := t.llc(o, length, frame)
		if frame == 0 && t.link == header.LinkEthernet && t.base == 0 {
			t.linkSize += size
		}
		if !known {
			t.dump(o, t.end-o)
		}
		t.end = whole
		return
	}
	if t.opt.LinkHeader {
		t.etherType(typ)
		t.comma(&printed, total)
	}
	if t.etherPayload(typ, o, length) {
		return
	}
	if !t.opt.LinkHeader {
		t.etherAddrs(frame)
		t.etherType(typ)
		t.s(", length ")
		t.u(total)
		t.s(": ")
	}
	t.dump(o, t.end-o)
}

// comma goes on behind an EtherType: with the frame's length, if that is not printed yet.
func (t *Text) comma(printed *bool, length int) {
	t.s(", ")
	if !*printed {
		t.s("length ")
		t.u(length)
		t.s(": ")
	}
	*printed = true
}

func (t *Text) etherAddrs(o int) {
	t.mac(o + 6)
	t.s(" > ")
	t.mac(o)
	t.s(", ")
}

func (t *Text) etherType(typ int) {
	name := etherTypeName(typ)
	switch {
	case !t.opt.Quiet:
		t.s("ethertype ")
		t.name(name, "Unknown")
		t.s(" (0x")
	case name != "":
		t.s(name)
		return
	default:
		t.s("Unknown Ethertype (0x")
	}
	t.x(uint32(typ), 4)
	t.s(")")
}

func (t *Text) tag(tci int) {
	t.s("vlan ")
	t.u(tci & 0xfff)
	t.s(", p ")
	t.u(tci >> 13)
	if tci&0x1000 != 0 {
		t.s(", DEI")
	}
	t.s(", ")
}

// etherPayload prints what follows an EtherType, and reports whether it can.
func (t *Text) etherPayload(typ, o, length int) bool {
	switch typ {
	case header.TypeIP:
		t.ip(o, length)
	case header.TypeIP6:
		t.ip6(o, length)
	case header.TypeARP, 0x8035: // RARP, RFC 903
		t.arp(o, length)
	case 0x8847, 0x8848:
		t.mpls(o, length)
	case 0x8863, 0x8864:
		t.pppoe(o, length)
	case 0x888e:
		t.eapol(o, length)
	case 0x894f:
		t.nsh(o, length)
	case 0x8809:
		t.slow(o, length)
	case 0x88cc:
		t.lldp(o, length)
	default:
		return false
	}
	return true
}

// https://www.tcpdump.org/linktypes/LINKTYPE_LINUX_SLL.html
func (t *Text) sll(length int) {
	if t.proto = "sll"; !t.need(0, 16) {
		return
	}
	t.cooked(t.u16(14), 16, length, func() {
		pktType := sllPacketType(t.u16(0))
		for i := len(pktType); i < 3; i++ {
			t.s(" ")
		}
		t.s(pktType)
		t.s(" ")
		if t.u16(4) == 6 {
			t.mac(6)
			t.s(" ")
		}
	})
}

// https://www.tcpdump.org/linktypes/LINKTYPE_LINUX_SLL2.html
func (t *Text) sll2(length int) {
	if t.proto = "sll2"; !t.need(0, 20) {
		return
	}
	// The interface's index means nothing on this machine: no name.
	if !t.opt.ShowInterface {
		t.padded("?", 5)
		t.padded(sllPacketType(t.u8(10)), 3)
	}
	t.cooked(t.u16(0), 20, length, func() {
		t.s("ifindex ")
		t.u(int(t.u32(4)))
		t.s(" ")
		if t.u8(11) == 6 {
			t.mac(12)
			t.s(" ")
		}
	})
}

// cooked prints what follows a cooked header of size bytes.
func (t *Text) cooked(typ, size, length int, link func()) {
	if t.opt.LinkHeader {
		t.cookedHeader(typ, length, link)
	}
	o, left, first := size, length-size, typ
	for typ == header.TypeVLAN {
		if t.proto = "vlan"; !t.need(o, 4) {
			return
		}
		if t.opt.LinkHeader {
			t.tag(t.u16(o))
		}
		typ = t.u16(o + 2)
		if !t.opt.Quiet {
			t.s("ethertype ")
			t.name(etherTypeName(typ), "Unknown")
			t.s(", ")
		}
		o, left = o+4, left-4
		t.linkSize += 4
	}
	if t.etherPayload(typ, o, left) {
		return
	}
	if !t.opt.LinkHeader {
		t.cookedHeader(first, left+size, link)
	}
	t.dump(o, t.end-o)
}

func (t *Text) cookedHeader(typ, length int, link func()) {
	link()
	if t.opt.Quiet {
		return
	}
	switch typ {
	case 1: // Novell's raw 802.3
		t.s("802.3")
	case 4: // a frame with an 802.2 header
		t.s("802.2")
	default:
		t.etherType(typ)
	}
	t.s(", length ")
	t.u(length)
	t.s(": ")
}

func sllPacketType(v int) string {
	switch v {
	case 0:
		return "In"
	case 1:
		return "B"
	case 2:
		return "M"
	case 3:
		return "P"
	case 4:
		return "Out"
	}
	return "?"
}

// arp prints RFC 826 and RFC 903.
func (t *Text) arp(o, length int) {
	t.proto = "arp"
	if !t.need(o, 8) {
		return
	}
	hrd, pro := t.u16(o), t.u16(o+2)
	hln, pln := t.u8(o+4), t.u8(o+5)
	op := t.u16(o + 6)
	sha := o + 8
	spa, tha, tpa := sha+hln, sha+hln+pln, sha+2*hln+pln
	if !t.need(tpa, pln) {
		return
	}
	if !t.opt.LinkHeader {
		t.s("ARP, ")
	}
	ip := pro == header.TypeIP || pro == 0x1000 // trailers, RFC 893
	if !ip || pln != 4 || hln == 0 || t.opt.Verbose > 0 {
		t.nameOr(arpHardware(hrd), hrd, "Unknown Hardware (", ")")
		t.s(" (len ")
		t.u(hln)
		t.s("), ")
		if name := etherTypeName(pro); name != "" {
			t.s(name)
		} else {
			t.s("Unknown Protocol (0x")
			t.x(uint32(pro), 4)
			t.s(")")
		}
		t.s(" (len ")
		t.u(pln)
		t.s(")")
		if t.opt.Verbose == 0 {
			t.s(", length ")
			t.u(length)
			return
		}
		t.s(", ")
	}
	protocolAddr := func(at int) {
		switch {
		case !ip:
			t.s("<wrong proto type>")
		case pln != 4:
			t.s("<wrong len>")
		default:
			t.ip4Addr(at)
		}
	}
	hardwareAddr := func(at int) {
		if hln == 0 {
			t.s("<empty>")
			return
		}
		t.hex(at, hln, ":")
	}
	t.nameOr(arpOperation(op), op, "Unknown (", ")")
	t.s(" ")
	switch op {
	case 1:
		t.s("who-has ")
		protocolAddr(tpa)
		for i := range hln {
			if t.u8(tha+i) != 0 {
				t.s(" (")
				hardwareAddr(tha)
				t.s(")")
				break
			}
		}
		t.s(" tell ")
		protocolAddr(spa)
	case 2:
		protocolAddr(spa)
		t.s(" is-at ")
		hardwareAddr(sha)
	case 3, 8:
		t.s("who-is ")
		hardwareAddr(tha)
		t.s(" tell ")
		hardwareAddr(sha)
	case 4:
		hardwareAddr(tha)
		t.s(" at ")
		protocolAddr(tpa)
	case 9:
		hardwareAddr(sha)
		t.s(" at ")
		protocolAddr(spa)
	default:
		t.dumpAlways("\n\t", o, t.end-o)
		return
	}
	t.s(", length ")
	t.u(length)
}

func arpOperation(op int) string {
	switch op {
	case 1:
		return "Request"
	case 2:
		return "Reply"
	case 3:
		return "Reverse Request"
	case 4:
		return "Reverse Reply"
	case 8:
		return "Inverse Request"
	case 9:
		return "Inverse Reply"
	case 10:
		return "NACK Reply"
	}
	return ""
}

func arpHardware(hrd int) string {
	switch hrd {
	case 1:
		return "Ethernet"
	case 6:
		return "TokenRing"
	case 7:
		return "ArcNet"
	case 15:
		return "FrameRelay"
	case 19:
		return "ATM"
	case 23:
		return "Strip"
	case 24:
		return "IEEE 1394"
	case 32:
		return "InfiniBand"
	}
	return ""
}

// etherTypeName returns tcpdump's name of an EtherType, if it has one.
func etherTypeName(typ int) string {
	switch typ {
	case 0x00fe:
		return "GRE-OSI"
	case 0x0200:
		return "PUP"
	case 0x0500:
		return "Sprite"
	case 0x0600:
		return "NS"
	case 0x0707:
		return "GeoNet (old)"
	case 0x0800:
		return "IPv4"
	case 0x0806:
		return "ARP"
	case 0x1000:
		return "Trail"
	case 0x1111:
		return "CALM FAST"
	case 0x6001:
		return "MOP DL"
	case 0x6002:
		return "MOP RC"
	case 0x6003:
		return "DN"
	case 0x6004:
		return "LAT"
	case 0x6007:
		return "SCA"
	case 0x6558:
		return "TEB"
	case 0x8035:
		return "Reverse ARP"
	case 0x8038:
		return "Lanbridge"
	case 0x803c:
		return "DEC DNS"
	case 0x803e:
		return "DEC DTS"
	case 0x805b:
		return "VEXP"
	case 0x805c:
		return "VPROD"
	case 0x809b:
		return "Appletalk"
	case 0x80f3:
		return "Appletalk ARP"
	case 0x8100:
		return "802.1Q"
	case 0x8137:
		return "IPX"
	case 0x86dd:
		return "IPv6"
	case 0x8808:
		return "MPCP"
	case 0x8809:
		return "Slow Protocols"
	case 0x880b:
		return "PPP"
	case 0x8847:
		return "MPLS unicast"
	case 0x8848:
		return "MPLS multicast"
	case 0x8863:
		return "PPPoE D"
	case 0x8864:
		return "PPPoE S"
	case 0x886f:
		return "MS NLB heartbeat"
	case 0x8870:
		return "Jumbo"
	case 0x888e:
		return "EAPOL"
	case 0x8899:
		return "Realtek protocols"
	case 0x88a2:
		return "AoE"
	case 0x88a8:
		return "802.1Q-QinQ"
	case 0x88ca:
		return "TIPC"
	case 0x88cc:
		return "LLDP"
	case 0x88e5:
		return "802.1AE MACsec"
	case 0x88f7:
		return "PTP"
	case 0x8902:
		return "CFM"
	case 0x893a:
		return "IEEE1905.1"
	case 0x8947:
		return "GeoNet"
	case 0x894f:
		return "NSH"
	case 0x9000:
		return "Loopback"
	case 0x9100:
		return "802.1Q-9100"
	case 0x9200:
		return "802.1Q-9200"
	case 0xabcd:
		return "CFM (old)"
	case 0xd28b:
		return "Arista Vendor Specific Protocol"
	case 0xfefe:
		return "OSI"
	}
	return ""
}
