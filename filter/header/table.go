package header

// EtherType values by which the table's headers are known.
const (
	TypeIP    = 0x0800
	TypeARP   = 0x0806
	TypeVLAN  = 0x8100 // IEEE 802.1Q
	TypeIP6   = 0x86dd
	TypeQinQ  = 0x88a8 // IEEE 802.1ad
	TypeQinQ1 = 0x9100 // 802.1ad before it had a number of its own
	TypeTEB   = 0x6558 // transparent Ethernet bridging: an Ethernet frame inside GRE, Geneve
	// The mirrored frame of ERSPAN I and II, only in GRE.
	TypeERSPAN = 0x88be
)

// New returns the table in which the given UDP ports lead to tunnels.
func New(ports Ports) *Table {
	t := &Table{Ports: ports}

	etherTypes := []Rule{
		{Value: TypeIP, To: IP}, {Value: TypeIP6, To: IP6}, {Value: TypeARP, To: ARP},
		{Value: TypeVLAN, To: VLAN}, {Value: TypeQinQ, To: VLAN}, {Value: TypeQinQ1, To: VLAN},
	}
	// What a tunnel that carries an EtherType may carry.
	payloads := []Rule{{Value: TypeTEB, To: Ether}, {Value: TypeIP, To: IP}, {Value: TypeIP6, To: IP6}}
	protocols := []Rule{
		{Value: 6, To: TCP}, {Value: 17, To: UDP}, {Value: 132, To: SCTP},
		{Value: 4, To: IPIP}, {Value: 41, To: IPIP6}, {Value: 47, To: GRE},
		{Value: 51, To: AH},
	}
	protocols4 := append([]Rule{{Value: 1, To: ICMP}}, protocols...)
	protocols6 := append([]Rule{
		{Value: 58, To: ICMP6},
		{Value: 0, To: HopOpts}, {Value: 43, To: Routing}, {Value: 44, To: Fragment}, {Value: 60, To: DstOpts},
	}, protocols...)
	either := append([]Rule{{Value: 1, To: ICMP}}, protocols6...) // AH does not know behind which of the two it is
	var udpPorts []Rule
	for _, p := range ports.VXLAN {
		udpPorts = append(udpPorts, Rule{Value: uint32(p), To: VXLAN})
	}
	for _, p := range ports.Geneve {
		udpPorts = append(udpPorts, Rule{Value: uint32(p), To: Geneve})
	}

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
		// IEEE 802.1Q
		{ID: VLAN, Name: "vlan", Class: Tag, Min: 4, Fixed: 4,
			Fields: []Field{{Name: "id", Off: 0, Size: 2, Mask: 0x0fff}, {Name: "pcp", Off: 0, Size: 1, Mask: 0xe0}, {Name: "dei", Off: 0, Size: 1, Mask: 0x10}, {Name: "type", Off: 2, Size: 2}},
			Next:   Next{"type", etherTypes}},
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
			Next:   Next{"dport", udpPorts}},
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
			// header, type I has not.
			Next: Next{"proto", append(append([]Rule(nil), payloads...),
				Rule{Value: TypeERSPAN, If: Test{0, 2, 0x1000, 0x1000}, To: ERSPAN2}, Rule{Value: TypeERSPAN, To: ERSPAN1})}},
		{ID: ERSPAN1, Name: "erspan1", Class: Tunnel, Word: "erspan", Next: Next{"", []Rule{{To: Ether}}}},
		{ID: ERSPAN2, Name: "erspan2", Class: Tunnel, Word: "erspan", Min: 8, Fixed: 8,
			Valid: []Test{{0, 1, 0xf0, 0x10}}, TunnelID: "session",
			Fields: []Field{{Name: "vlan", Off: 0, Size: 2, Mask: 0x0fff}, {Name: "session", Off: 2, Size: 2, Mask: 0x03ff}, {Name: "index", Off: 4, Size: 4, Mask: 0xfffff}},
			Next:   Next{"", []Rule{{To: Ether}}}},
		// RFC 7348: the I flag says that there is a VNI
		{ID: VXLAN, Name: "vxlan", Class: Tunnel, Word: "vxlan", Min: 8, Fixed: 8,
			Valid: []Test{{0, 1, 0x08, 0x08}}, TunnelID: "vni",
			Fields: []Field{{Name: "flags", Off: 0, Size: 1}, {Name: "vni", Off: 4, Size: 4, Mask: 0xffffff00}},
			Next:   Next{"", []Rule{{To: Ether}}}},
		// RFC 8926
		{ID: Geneve, Name: "geneve", Class: Tunnel, Word: "geneve", Min: 8, Fixed: 8, Len: []LenTerm{{0, 1, 0x3f, 2}},
			Valid: []Test{{0, 1, 0xc0, 0}}, TunnelID: "vni",
			Fields: []Field{{Name: "optlen", Off: 0, Size: 1, Mask: 0x3f}, {Name: "flags", Off: 1, Size: 1}, {Name: "proto", Off: 2, Size: 2}, {Name: "vni", Off: 4, Size: 4, Mask: 0xffffff00}},
			Next:   Next{"proto", payloads}},
	} {
		t.headers[h.ID] = h
	}
	return t
}
