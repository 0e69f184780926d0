package header

import (
	"math/bits"
	"slices"
)

// EtherType values by which the table's headers are known.
const (
	TypeIP    = 0x0800
	TypeARP   = 0x0806
	TypeVLAN  = 0x8100 // IEEE 802.1Q
	TypeIP6   = 0x86dd
	TypeQinQ  = 0x88a8 // IEEE 802.1ad
	TypeQinQ1 = 0x9100 // 802.1ad before it had a number of its own
	TypeMPLS  = 0x8847
	TypeMPLSM = 0x8848 // the label was assigned upstream, RFC 5332
	TypePPPoE = 0x8864 // a session's; discovery has another one
	TypePBB   = 0x88e7 // the I-TAG of IEEE 802.1ah
	TypeTEB   = 0x6558 // transparent Ethernet bridging: an Ethernet frame inside GRE, Geneve
	TypeNSH   = 0x894f
	// What follows these numbers is only in GRE: the mirrored frame of ERSPAN I and II, that
	// of III, what WCCP redirects, and the PPP of PPTP.
	TypeERSPAN  = 0x88be
	TypeERSPAN3 = 0x22eb
	TypeWCCP    = 0x883e
	TypePPP     = 0x880b
)

// UDP ports of tunnels that have no others.
const (
	PortMPLS   = 6635 // RFC 7510
	PortTeredo = 3544 // RFC 4380
)

// tunnels returns the rules for the IP protocols that carry tunnels.
func tunnels() []Rule {
	return []Rule{
		{Value: 4, To: IPIP}, {Value: 41, To: IPIP6},
		{Value: 47, Peek: Test{0, 2, 7, 1}, To: PPTP}, {Value: 47, To: GRE}, // by the version
		{Value: 97, To: EtherIP}, {Value: 115, To: L2TP}, {Value: 137, To: MPLSIP},
	}
}

// TunnelProtocol reports whether an IP protocol carries a tunnel of the table.
func TunnelProtocol(protocol uint8) bool {
	return slices.ContainsFunc(tunnels(), func(r Rule) bool { return r.Value == uint32(protocol) })
}

// udp returns the rules for the UDP ports. The first use of a port counts.
func (ports Ports) udp() []Rule {
	var all []Rule
	port := func(port uint16, to ...Rule) {
		value := uint32(port)
		if slices.ContainsFunc(all, func(r Rule) bool { return r.Value == value }) {
			return
		}
		for _, r := range to {
			r.Value = value
			all = append(all, r)
		}
	}
	for _, f := range ports.FOU {
		if f.Protocol == 0 {
			// draft-ietf-intarea-gue: the version is the upper two bits, and 1 those of
			// an IP packet that is there instead of the header.
			port(f.Port, Rule{Peek: Test{0, 1, 0xf0, 0x40}, To: IPIP}, Rule{Peek: Test{0, 1, 0xf0, 0x60}, To: IPIP6}, Rule{To: GUE})
			continue
		}
		port(f.Port, slices.DeleteFunc(tunnels(), func(r Rule) bool { return r.Value != uint32(f.Protocol) })...)
	}
	for _, p := range ports.VXLAN {
		port(p, Rule{To: VXLAN})
	}
	for _, p := range ports.Geneve {
		port(p, Rule{To: Geneve})
	}
	for _, p := range ports.GPE {
		port(p, Rule{To: GPE})
	}
	for _, p := range ports.GTP {
		port(p, Rule{To: GTP})
	}
	port(PortMPLS, Rule{To: MPLSIP})
	port(PortTeredo, Rule{To: Teredo})
	return all
}

// New returns the table in which the given UDP ports lead to tunnels.
func New(ports Ports) *Table {
	t := &Table{Ports: ports}

	etherTypes := []Rule{
		{Value: TypeIP, To: IP}, {Value: TypeIP6, To: IP6}, {Value: TypeARP, To: ARP},
		{Value: TypeVLAN, To: VLAN}, {Value: TypeQinQ, To: VLAN}, {Value: TypeQinQ1, To: VLAN},
		{Value: TypeMPLS, To: MPLS}, {Value: TypeMPLSM, To: MPLS}, {Value: TypePPPoE, To: PPPoE},
		{Value: TypePBB, To: PBB}, {Value: TypeNSH, To: NSH},
	}
	// What a tunnel that carries an EtherType may carry, and one that has the
	// numbers of VXLAN-GPE and NSH.
	payloads := []Rule{{Value: TypeTEB, To: Ether}, {Value: TypeIP, To: IP}, {Value: TypeIP6, To: IP6},
		{Value: TypeMPLS, To: MPLS}, {Value: TypeMPLSM, To: MPLS}, {Value: TypeNSH, To: NSH}}
	services := []Rule{{Value: 3, To: Ether}, {Value: 1, To: IP}, {Value: 2, To: IP6}, {Value: 5, To: MPLS}}
	// IP packets are known by their first four bits.
	version4, version6 := Test{0, 1, 0xf0, 0x40}, Test{0, 1, 0xf0, 0x60}
	packets := []Rule{{Peek: version4, To: IP}, {Peek: version6, To: IP6}}
	// PPP, RFC 1661 and 1662: the address and control field may be left out, and so may be
	// the upper byte of the protocol; the lower byte is odd, the upper even.
	protocolField := []Rule{{Peek: Test{0, 1, 1, 0}, To: PPP}, {Peek: Test{0, 1, 1, 1}, To: PPP1}}
	ppp := append([]Rule{{Peek: Test{0, 2, 0xffff, 0xff03}, To: HDLC}}, protocolField...)
	pppProtocols := []Rule{{Value: 0x21, To: IP}, {Value: 0x57, To: IP6}} // RFC 1332, RFC 5072
	gtpExtensions := []Rule{{Peek: Test{0, 1, 0xff, 0}, To: GTPEnd}, {To: GTPExt}}

	protocols := append([]Rule{
		{Value: 6, To: TCP}, {Value: 17, To: UDP}, {Value: 132, To: SCTP}, {Value: 51, To: AH},
	}, tunnels()...)
	protocols4 := append([]Rule{{Value: 1, To: ICMP}}, protocols...)
	protocols6 := append([]Rule{
		{Value: 58, To: ICMP6},
		{Value: 0, To: HopOpts}, {Value: 43, To: Routing}, {Value: 44, To: Fragment}, {Value: 60, To: DstOpts},
	}, protocols...)
	either := append([]Rule{{Value: 1, To: ICMP}}, protocols6...) // AH does not know behind which of the two it is

	// GRE's optional words come in this order: checksum, key, sequence number.
	var (
		greC = LenTerm{0, 2, 0x8000, -13}
		greK = LenTerm{0, 2, 0x2000, -11}
		greS = LenTerm{0, 2, 0x1000, -10}
	)
	ports2 := []Field{{Name: "sport", Off: 0, Size: 2}, {Name: "dport", Off: 2, Size: 2}}
	options := []LenTerm{{1, 1, 0xff, 3}} // RFC 8200: units of 8 bytes, the first not counted

	for _, h := range []Header{
		// IEEE 802.3
		{ID: Ether, Name: "ether", Class: Link, Min: 14, Fixed: 14,
			Fields: []Field{{Name: "dst", Off: 0, Size: 6}, {Name: "src", Off: 6, Size: 6}, {Name: "type", Off: 12, Size: 2}},
			Next:   Next{"type", etherTypes}},
		// https://www.tcpdump.org/linktypes/LINKTYPE_LINUX_SLL.html
		{ID: SLL, Name: "sll", Class: Link, Min: 16, Fixed: 16,
			Fields: []Field{{Name: "pkttype", Off: 0, Size: 2}, {Name: "arphrd", Off: 2, Size: 2}, {Name: "type", Off: 14, Size: 2}},
			Next:   Next{"type", etherTypes}},
		// https://www.tcpdump.org/linktypes/LINKTYPE_LINUX_SLL2.html
		{ID: SLL2, Name: "sll2", Class: Link, Min: 20, Fixed: 20,
			Fields: []Field{{Name: "type", Off: 0, Size: 2}, {Name: "ifindex", Off: 4, Size: 4}, {Name: "arphrd", Off: 8, Size: 2}, {Name: "pkttype", Off: 10, Size: 1}},
			Next:   Next{"type", etherTypes}},
		// https://www.tcpdump.org/linktypes/LINKTYPE_NULL.html: in the byte order of the machine
		// that captured, and IPv6 has a number of its own on each system
		{ID: Null, Name: "null", Class: Link, Min: 4, Fixed: 4,
			Fields: []Field{{Name: "family", Off: 0, Size: 4}}, Next: Next{"family", families()}},
		// RFC 1662
		{ID: Frame, Name: "pppframe", Class: Link, Min: 4, Fixed: 4,
			Fields: []Field{{Name: "address", Off: 0, Size: 1}, {Name: "control", Off: 1, Size: 1}, {Name: "proto", Off: 2, Size: 2}},
			Next:   Next{"proto", append(append([]Rule(nil), pppProtocols...), Rule{Value: 0x281, To: MPLS})}},
		// IEEE 802.1Q
		{ID: VLAN, Name: "vlan", Class: Tag, Min: 4, Fixed: 4,
			Fields: []Field{{Name: "id", Off: 0, Size: 2, Mask: 0x0fff}, {Name: "pcp", Off: 0, Size: 1, Mask: 0xe0}, {Name: "dei", Off: 0, Size: 1, Mask: 0x10}, {Name: "type", Off: 2, Size: 2}},
			Next:   Next{"type", etherTypes}},
		// RFC 3032. What is under the last label its header does not say. RFC 4385 keeps
		// 0 as the first four bits for control words, and 1 for what goes with them; for
		// Ethernet, RFC 4448, the next twelve are 0 too. It may also be there without a
		// control word: then we want to see an EtherType that we know.
		{ID: MPLS, Name: "mpls", Class: Tag, Min: 4, Fixed: 4,
			Fields: []Field{{Name: "label", Off: 0, Size: 4, Mask: 0xfffff000}, {Name: "tc", Off: 2, Size: 1, Mask: 0x0e}, {Name: "bottom", Off: 2, Size: 1, Mask: 0x01}, {Name: "ttl", Off: 3, Size: 1}},
			Next: Next{"", []Rule{{If: Test{2, 1, 0x01, 0}, To: MPLS}, packets[0], packets[1],
				{Peek: Test{12, 2, 0xfff9, TypeIP & TypeARP}, To: PWRaw}, {Peek: Test{12, 2, 0xffff, TypeIP6}, To: PWRaw},
				{Peek: Test{12, 2, 0xffff, TypeVLAN}, To: PWRaw},
				{Peek: Test{0, 2, 0xffff, 0}, To: PW}}}},
		// RFC 2516: version 1, type 1, code 0; then RFC 1661, section 2
		{ID: PPPoE, Name: "pppoe", Class: Tag, Min: 8, Fixed: 8,
			Valid:  []Test{{0, 2, 0xffff, 0x1100}},
			Fields: []Field{{Name: "code", Off: 1, Size: 1}, {Name: "session", Off: 2, Size: 2}, {Name: "len", Off: 4, Size: 2}, {Name: "proto", Off: 6, Size: 2}},
			Next:   Next{"proto", pppProtocols}},
		// RFC 791
		{ID: IP, Name: "ip", Class: Network, Min: 20, Len: []LenTerm{{0, 1, 0x0f, 2}},
			Valid: []Test{{0, 1, 0xf0, 0x40}}, Later: Test{6, 2, 0x1fff, 0}, More: 0x2000,
			Fields: []Field{{Name: "ihl", Off: 0, Size: 1, Mask: 0x0f}, {Name: "tos", Off: 1, Size: 1}, {Name: "len", Off: 2, Size: 2},
				{Name: "id", Off: 4, Size: 2}, {Name: "flags", Off: 6, Size: 1, Mask: 0xe0}, {Name: "fragoff", Off: 6, Size: 2, Mask: 0x1fff},
				{Name: "ttl", Off: 8, Size: 1}, {Name: "proto", Off: 9, Size: 1}, {Name: "src", Off: 12, Size: 4}, {Name: "dst", Off: 16, Size: 4}},
			Next: Next{"proto", protocols4}},
		// RFC 8200
		{ID: IP6, Name: "ip6", Class: Network, Min: 40, Fixed: 40,
			Valid: []Test{{0, 1, 0xf0, 0x60}},
			Fields: []Field{{Name: "flow", Off: 0, Size: 4, Mask: 0xfffff}, {Name: "len", Off: 4, Size: 2}, {Name: "proto", Off: 6, Size: 1},
				{Name: "hlim", Off: 7, Size: 1}, {Name: "src", Off: 8, Size: 16}, {Name: "dst", Off: 24, Size: 16}},
			Next: Next{"proto", protocols6}},
		// RFC 826, with the sizes of Ethernet and IPv4 addresses
		{ID: ARP, Name: "arp", Class: Network, Min: 28, Fixed: 28,
			Fields: []Field{{Name: "htype", Off: 0, Size: 2}, {Name: "ptype", Off: 2, Size: 2}, {Name: "hlen", Off: 4, Size: 1}, {Name: "plen", Off: 5, Size: 1},
				{Name: "op", Off: 6, Size: 2}, {Name: "sha", Off: 8, Size: 6}, {Name: "spa", Off: 14, Size: 4}, {Name: "tha", Off: 18, Size: 6}, {Name: "tpa", Off: 24, Size: 4}}},
		// RFC 8200, sections 4.3 to 4.6
		{ID: HopOpts, Name: "hopopts", Class: Extension, Min: 8, Fixed: 8, Len: options,
			Fields: []Field{{Name: "proto", Off: 0, Size: 1}, {Name: "len", Off: 1, Size: 1}}, Next: Next{"proto", protocols6}},
		{ID: Routing, Name: "routing", Class: Extension, Min: 8, Fixed: 8, Len: options,
			Fields: []Field{{Name: "proto", Off: 0, Size: 1}, {Name: "len", Off: 1, Size: 1}}, Next: Next{"proto", protocols6}},
		{ID: Fragment, Name: "frag", Class: Extension, Min: 8, Fixed: 8, Later: Test{2, 2, 0xfff8, 0}, More: 1,
			Fields: []Field{{Name: "proto", Off: 0, Size: 1}, {Name: "fragoff", Off: 2, Size: 2, Mask: 0xfff8}, {Name: "id", Off: 4, Size: 4}}, Next: Next{"proto", protocols6}},
		{ID: DstOpts, Name: "dstopts", Class: Extension, Min: 8, Fixed: 8, Len: options,
			Fields: []Field{{Name: "proto", Off: 0, Size: 1}, {Name: "len", Off: 1, Size: 1}}, Next: Next{"proto", protocols6}},
		// RFC 4302: units of 4 bytes, two not counted
		{ID: AH, Name: "ah", Class: Extension, Min: 8, Fixed: 8, Len: []LenTerm{{1, 1, 0xff, 2}},
			Fields: []Field{{Name: "proto", Off: 0, Size: 1}, {Name: "len", Off: 1, Size: 1}, {Name: "spi", Off: 4, Size: 4}}, Next: Next{"proto", either}},
		// RFC 9293
		{ID: TCP, Name: "tcp", Class: Transport, Min: 20, Len: []LenTerm{{12, 1, 0xf0, -2}},
			Fields: append([]Field{{Name: "seq", Off: 4, Size: 4}, {Name: "ack", Off: 8, Size: 4}, {Name: "flags", Off: 13, Size: 1}, {Name: "win", Off: 14, Size: 2}}, ports2...)},
		// RFC 768
		{ID: UDP, Name: "udp", Class: Transport, Min: 8, Fixed: 8,
			Fields: append([]Field{{Name: "len", Off: 4, Size: 2}, {Name: "sum", Off: 6, Size: 2}}, ports2...),
			Next:   Next{"dport", ports.udp()}},
		// RFC 9260
		{ID: SCTP, Name: "sctp", Class: Transport, Min: 12, Fixed: 12,
			Fields: append([]Field{{Name: "tag", Off: 4, Size: 4}}, ports2...)},
		// RFC 792, RFC 4443
		{ID: ICMP, Name: "icmp", Class: Transport, Min: 8, Fixed: 8, Fields: []Field{{Name: "type", Off: 0, Size: 1}, {Name: "code", Off: 1, Size: 1}}},
		{ID: ICMP6, Name: "icmp6", Class: Transport, Min: 4, Fixed: 4, Fields: []Field{{Name: "type", Off: 0, Size: 1}, {Name: "code", Off: 1, Size: 1}}},
		// RFC 2003, RFC 4213, RFC 2473
		{ID: IPIP, Name: "ipip", Class: Tunnel, Word: "ipip", Next: Next{"", []Rule{{To: IP}}}},
		{ID: IPIP6, Name: "ipip6", Class: Tunnel, Word: "ipip", Next: Next{"", []Rule{{To: IP6}}}},
		// RFC 2784, RFC 2890. Bit 0x4000 was "routing present" in RFC 1701, whose
		// source routes nobody sends; version 1 is PPTP's.
		{ID: GRE, Name: "gre", Class: Tunnel, Word: "gre", Min: 4, Fixed: 4, Len: []LenTerm{greC, greK, greS},
			Valid: []Test{{0, 2, 0x4007, 0}}, TunnelID: "key",
			Fields: []Field{{Name: "flags", Off: 0, Size: 2}, {Name: "proto", Off: 2, Size: 2},
				{Name: "sum", Off: 4, Size: 2, If: Test{0, 2, 0x8000, 0x8000}},
				{Name: "key", Off: 4, Size: 4, Pos: []LenTerm{greC}, If: Test{0, 2, 0x2000, 0x2000}},
				// RFC 7637, with proto 0x6558: the upper 24 bits of the key
				{Name: "vsid", Off: 4, Size: 4, Mask: 0xffffff00, Pos: []LenTerm{greC}, If: Test{0, 2, 0x2000, 0x2000}},
				{Name: "seq", Off: 4, Size: 4, Pos: []LenTerm{greC, greK}, If: Test{0, 2, 0x1000, 0x1000}}},
			// draft-foschiano-erspan-03: type II has a sequence number in its GRE
			// header, type I has not. draft-wilson-wrec-wccp-v2-01, section 4.12: version
			// 2 of WCCP has a header of its own.
			Next: Next{"proto", append(append([]Rule(nil), payloads...),
				Rule{Value: TypeERSPAN, If: Test{0, 2, 0x1000, 0x1000}, To: ERSPAN2}, Rule{Value: TypeERSPAN, To: ERSPAN1},
				Rule{Value: TypeERSPAN3, To: ERSPAN3},
				Rule{Value: TypeWCCP, Peek: version4, To: IP}, Rule{Value: TypeWCCP, To: WCCP})}},
		{ID: ERSPAN1, Name: "erspan1", Class: Tunnel, Word: "erspan", Next: Next{"", []Rule{{To: Ether}}}},
		{ID: ERSPAN2, Name: "erspan2", Class: Tunnel, Word: "erspan", Min: 8, Fixed: 8,
			Valid: []Test{{0, 1, 0xf0, 0x10}}, TunnelID: "session",
			Fields: []Field{{Name: "vlan", Off: 0, Size: 2, Mask: 0x0fff}, {Name: "session", Off: 2, Size: 2, Mask: 0x03ff}, {Name: "index", Off: 4, Size: 4, Mask: 0xfffff}},
			Next:   Next{"", []Rule{{To: Ether}}}},
		// The same draft, section 4.3: the last bit says whether the platform specific
		// subheader is there; FT is 0 for Ethernet frames, 2 for IP packets.
		{ID: ERSPAN3, Name: "erspan3", Class: Tunnel, Word: "erspan", Min: 12, Fixed: 12, Len: []LenTerm{{11, 1, 0x01, 3}},
			Valid: []Test{{0, 1, 0xf0, 0x20}}, TunnelID: "session",
			Fields: []Field{{Name: "vlan", Off: 0, Size: 2, Mask: 0x0fff}, {Name: "session", Off: 2, Size: 2, Mask: 0x03ff}, {Name: "timestamp", Off: 4, Size: 4},
				{Name: "sgt", Off: 8, Size: 2}, {Name: "ft", Off: 10, Size: 1, Mask: 0x7c}, {Name: "hwid", Off: 10, Size: 2, Mask: 0x03f0},
				{Name: "platform", Off: 12, Size: 4, If: Test{11, 1, 0x01, 0x01}}},
			Next: Next{"", []Rule{{If: Test{10, 1, 0x7c, 0}, To: Ether},
				{If: Test{10, 1, 0x7c, 0x08}, Peek: version4, To: IP}, {If: Test{10, 1, 0x7c, 0x08}, Peek: version6, To: IP6}}}},
		{ID: WCCP, Name: "wccp", Class: Part, Min: 4, Fixed: 4,
			Fields: []Field{{Name: "service", Off: 1, Size: 1}, {Name: "altbucket", Off: 2, Size: 1}, {Name: "bucket", Off: 3, Size: 1}},
			Next:   Next{"", packets}},
		// RFC 2637, section 4.1: a key, which is the payload's length and the call ID, the
		// sequence number if there is a payload, an acknowledgment number.
		{ID: PPTP, Name: "pptp", Class: Tunnel, Word: "pptp", Min: 8, Fixed: 8, Len: []LenTerm{greS, {0, 2, 0x0080, -5}},
			Valid: []Test{{0, 2, 0xe007, 0x2001}, {2, 2, 0xffff, TypePPP}}, TunnelID: "call",
			Fields: []Field{{Name: "flags", Off: 0, Size: 2}, {Name: "proto", Off: 2, Size: 2}, {Name: "len", Off: 4, Size: 2}, {Name: "call", Off: 6, Size: 2},
				{Name: "seq", Off: 8, Size: 4, If: Test{0, 2, 0x1000, 0x1000}},
				{Name: "ack", Off: 8, Size: 4, Pos: []LenTerm{greS}, If: Test{0, 2, 0x0080, 0x0080}}},
			Next: Next{"", append([]Rule{{If: Test{0, 2, 0x1000, 0}, To: None}}, ppp...)}},
		{ID: HDLC, Name: "hdlc", Class: Part, Min: 2, Fixed: 2, Next: Next{"", protocolField}},
		{ID: PPP, Name: "ppp", Class: Part, Min: 2, Fixed: 2, Fields: []Field{{Name: "proto", Off: 0, Size: 2}}, Next: Next{"proto", pppProtocols}},
		{ID: PPP1, Name: "ppp1", Class: Part, Min: 1, Fixed: 1, Fields: []Field{{Name: "proto", Off: 0, Size: 1}}, Next: Next{"proto", pppProtocols}},
		// RFC 7348: the I flag says that there is a VNI
		{ID: VXLAN, Name: "vxlan", Class: Tunnel, Word: "vxlan", Min: 8, Fixed: 8,
			Valid: []Test{{0, 1, 0x08, 0x08}}, TunnelID: "vni",
			Fields: []Field{{Name: "flags", Off: 0, Size: 1}, {Name: "vni", Off: 4, Size: 4, Mask: 0xffffff00}},
			Next:   Next{"", []Rule{{To: Ether}}}},
		// draft-ietf-nvo3-vxlan-gpe: version 0, and the P flag says that there is a next
		// protocol, else it is VXLAN.
		{ID: GPE, Name: "gpe", Class: Tunnel, Word: "gpe", Min: 8, Fixed: 8,
			Valid: []Test{{0, 1, 0x38, 0x08}}, TunnelID: "vni",
			Fields: []Field{{Name: "flags", Off: 0, Size: 1}, {Name: "next", Off: 3, Size: 1}, {Name: "vni", Off: 4, Size: 4, Mask: 0xffffff00}},
			Next: Next{"next", append(append([]Rule{{Value: 0, If: Test{0, 1, 0x04, 0}, To: Ether}}, services...),
				Rule{Value: 4, To: NSH})}},
		// RFC 8926
		{ID: Geneve, Name: "geneve", Class: Tunnel, Word: "geneve", Min: 8, Fixed: 8, Len: []LenTerm{{0, 1, 0x3f, 2}},
			Valid: []Test{{0, 1, 0xc0, 0}}, TunnelID: "vni",
			Fields: []Field{{Name: "optlen", Off: 0, Size: 1, Mask: 0x3f}, {Name: "flags", Off: 1, Size: 1}, {Name: "proto", Off: 2, Size: 2}, {Name: "vni", Off: 4, Size: 4, Mask: 0xffffff00}},
			Next:   Next{"proto", payloads}},
		// RFC 8300: the length is in units of 4 bytes, all of the header counted. An NSH in
		// an NSH, next protocol 4, is not walked.
		{ID: NSH, Name: "nsh", Class: Tunnel, Word: "nsh", Min: 8, Len: []LenTerm{{1, 1, 0x3f, 2}},
			Valid: []Test{{0, 1, 0xc0, 0}}, TunnelID: "spi",
			Fields: []Field{{Name: "mdtype", Off: 2, Size: 1, Mask: 0x0f}, {Name: "next", Off: 3, Size: 1}, {Name: "spi", Off: 4, Size: 4, Mask: 0xffffff00}, {Name: "si", Off: 7, Size: 1}},
			Next:   Next{"next", services}},
		// 3GPP TS 29.281, section 5: version 1, not GTP', message type 255 (G-PDU). One
		// flag of three makes the header longer; E is the one for extension headers. A
		// T-PDU is an IP packet, or what we do not know.
		{ID: GTP, Name: "gtp", Class: Tunnel, Word: "gtp", Min: 8, Fixed: 8,
			Valid: []Test{{0, 2, 0xf0ff, 0x30ff}}, TunnelID: "teid",
			Fields: []Field{{Name: "flags", Off: 0, Size: 1}, {Name: "len", Off: 2, Size: 2}, {Name: "teid", Off: 4, Size: 4}},
			Next: Next{"", []Rule{{If: Test{0, 1, 0x07, 0}, Peek: version4, To: IP}, {If: Test{0, 1, 0x07, 0}, Peek: version6, To: IP6},
				{If: Test{0, 1, 0x07, 0}, To: None}, {If: Test{0, 1, 0x04, 0x04}, To: GTPOpt}, {To: GTPSeq}}}},
		{ID: GTPSeq, Name: "gtpseq", Class: Part, Min: 4, Fixed: 4, Next: Next{"", packets}},
		{ID: GTPOpt, Name: "gtpopt", Class: Part, Min: 3, Fixed: 3, Next: Next{"", gtpExtensions}},
		{ID: GTPExt, Name: "gtpext", Class: Part, Min: 2, Len: []LenTerm{{1, 1, 0xff, 2}}, Next: Next{"", gtpExtensions}},
		{ID: GTPEnd, Name: "gtpend", Class: Part, Min: 1, Fixed: 1, Next: Next{"", packets}},
		// RFC 3378
		{ID: EtherIP, Name: "etherip", Class: Tunnel, Word: "etherip", Min: 2, Fixed: 2,
			Valid: []Test{{0, 1, 0xf0, 0x30}}, Next: Next{"", []Rule{{To: Ether}}}},
		// RFC 4023, RFC 7510
		{ID: MPLSIP, Name: "mplsip", Class: Tunnel, Word: "mplsip", Next: Next{"", []Rule{{To: MPLS}}}},
		// RFC 3931, section 4.1.1: session 0 is for control messages. Cookies and sublayers
		// are agreed on there, the packet does not say. The cookie is an option; apart from
		// it we take it for what Linux sends by default: the default sublayer without a
		// sequence number, all 0, or no sublayer.
		{ID: L2TP, Name: "l2tp", Class: Tunnel, Word: "l2tp", Min: 4, Fixed: 4 + uint32(ports.L2TPCookie), TunnelID: "session",
			Fields: []Field{{Name: "session", Off: 0, Size: 4}},
			Next: Next{"", []Rule{{If: Test{0, 4, 0xffffffff, 0}, To: None}, {Peek: Test{0, 4, 0xffffffff, 0}, To: L2TPSub},
				{Peek: Test{0, 2, 0xffff, 0xff03}, To: HDLC}, {To: Ether}}}},
		{ID: L2TPSub, Name: "l2spec", Class: Part, Min: 4, Fixed: 4,
			Next: Next{"", []Rule{{Peek: Test{0, 2, 0xffff, 0xff03}, To: HDLC}, {To: Ether}}}},
		// RFC 4380, section 5.1.1
		{ID: Teredo, Name: "teredo", Class: Tunnel, Word: "teredo",
			Next: Next{"", []Rule{{Peek: Test{0, 2, 0xffff, 1}, To: TeredoAuth}, {Peek: Test{0, 2, 0xffff, 0}, To: TeredoOrigin}, {Peek: version6, To: IP6}}}},
		{ID: TeredoAuth, Name: "auth", Class: Part, Min: 4, Fixed: 13, Len: []LenTerm{{2, 1, 0xff, 0}, {3, 1, 0xff, 0}},
			Next: Next{"", []Rule{{Peek: Test{0, 2, 0xffff, 0}, To: TeredoOrigin}, {Peek: version6, To: IP6}}}},
		{ID: TeredoOrigin, Name: "origin", Class: Part, Min: 8, Fixed: 8, Next: Next{"", []Rule{{Peek: version6, To: IP6}}}},
		// draft-ietf-intarea-gue-09, section 3: version 0, no control message
		{ID: GUE, Name: "gue", Class: Tunnel, Word: "gue", Min: 4, Fixed: 4, Len: []LenTerm{{0, 1, 0x1f, 2}},
			Valid:  []Test{{0, 1, 0xe0, 0}},
			Fields: []Field{{Name: "hlen", Off: 0, Size: 1, Mask: 0x1f}, {Name: "proto", Off: 1, Size: 1}, {Name: "flags", Off: 2, Size: 2}},
			Next:   Next{"proto", tunnels()}},
		// IEEE 802.1ah: the rest of the I-TAG, then the customer's frame
		{ID: PBB, Name: "pbb", Class: Tunnel, Word: "pbb", Min: 4, Fixed: 4, TunnelID: "isid",
			Fields: []Field{{Name: "pcp", Off: 0, Size: 1, Mask: 0xe0}, {Name: "isid", Off: 0, Size: 4, Mask: 0x00ffffff}},
			Next:   Next{"", []Rule{{To: Ether}}}},
		// RFC 4448
		{ID: PW, Name: "pw", Class: Tunnel, Word: "pw", Min: 4, Fixed: 4,
			Fields: []Field{{Name: "seq", Off: 2, Size: 2}}, Next: Next{"", []Rule{{To: Ether}}}},
		{ID: PWRaw, Name: "pwraw", Class: Tunnel, Word: "pw", Next: Next{"", []Rule{{To: Ether}}}},
	} {
		t.headers[h.ID] = h
	}
	return t
}

// families returns what address families stand for, in either byte order: AF_INET, and
// AF_INET6 of Linux, NetBSD and OpenBSD, FreeBSD, and macOS.
func families() (rules []Rule) {
	for _, f := range []Rule{{Value: 2, To: IP}, {Value: 10, To: IP6}, {Value: 24, To: IP6}, {Value: 28, To: IP6}, {Value: 30, To: IP6}} {
		rules = append(rules, f, Rule{Value: bits.ReverseBytes32(f.Value), To: f.To})
	}
	return rules
}
