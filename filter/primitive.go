package filter

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/tundump/tundump/filter/header"
)

// This file says what primitives mean, in terms of the tree.

// protocol returns the meaning of a protocol word that stands alone.
func (p *parser) protocol(t token) (node, error) {
	at := p.at()
	link := func(num uint32) (node, error) { return p.link(t, num) }
	carried := func(num uint32, types ...uint32) (node, error) { return proto{at, types, num}, nil }
	switch t.text {
	case "ip":
		return link(header.TypeIP)
	case "ip6":
		return link(header.TypeIP6)
	case "arp":
		return link(header.TypeARP)
	case "rarp":
		return link(typeRARP)
	case "atalk":
		return link(typeATALK)
	case "aarp":
		return link(typeAARP)
	case "decnet":
		return link(typeDECnet)
	case "sca":
		return link(typeSCA)
	case "lat":
		return link(typeLAT)
	case "mopdl":
		return link(typeMOPDL)
	case "moprc":
		return link(typeMOPRC)
	case "iso":
		return link(sapISO)
	case "stp":
		return link(sapSTP)
	case "ipx":
		return link(sapIPX)
	case "netbeui":
		return link(sapNetBEUI)
	case "tcp":
		return carried(protoTCP, ipTypes()...)
	case "udp":
		return carried(protoUDP, ipTypes()...)
	case "sctp":
		return carried(protoSCTP, ipTypes()...)
	case "icmp":
		return carried(protoICMP, header.TypeIP)
	case "icmp6":
		return carried(protoICMP6, header.TypeIP6)
	case "igmp":
		return carried(protoIGMP, header.TypeIP)
	case "igrp":
		return carried(protoIGRP, header.TypeIP)
	case "vrrp", "carp":
		return carried(protoVRRP, header.TypeIP)
	case "pim":
		return carried(protoPIM, ipTypes()...)
	case "ah":
		return carried(protoAH, ipTypes()...)
	case "esp":
		return carried(protoESP, ipTypes()...)
	case "clnp":
		return p.iso(t, isoCLNP)
	case "esis":
		return p.iso(t, isoESIS)
	case "isis":
		return p.iso(t, isoISIS)
	case "l1":
		return p.isis(t, isisL1PSNP, isisL1CSNP, isisL1LSP, isisL1IIH, isisIIH)
	case "l2":
		return p.isis(t, isisL2PSNP, isisL2CSNP, isisL2LSP, isisL2IIH, isisIIH)
	case "iih":
		return p.isis(t, isisL1IIH, isisL2IIH, isisIIH)
	case "lsp":
		return p.isis(t, isisL1LSP, isisL2LSP)
	case "snp":
		return p.isis(t, isisL1CSNP, isisL2CSNP, isisL1PSNP, isisL2PSNP)
	case "csnp":
		return p.isis(t, isisL1CSNP, isisL2CSNP)
	case "psnp":
		return p.isis(t, isisL1PSNP, isisL2PSNP)
	}
	return nil, p.errorf(t, "%s is about a link type that tundump does not support", t.text)
}

// link returns the test of what the link header says follows.
func (p *parser) link(t token, num uint32) (node, error) {
	if p.scope == nil && p.place.labels > 0 && num != header.TypeIP && num != header.TypeIP6 {
		return nil, p.errorf(t, "behind MPLS labels only IP can be looked for")
	}
	return linkProto{p.at(), num}, nil
}

// iso returns the test of what an ISO network layer packet is.
func (p *parser) iso(t token, num uint32) (node, error) {
	n, err := p.link(t, sapISO)
	if err != nil {
		return nil, err
	}
	return and{n, same(p.at(), fromISO, 0, 1, 0xff, num)}, nil
}

// isis returns the test for one of some types of IS-IS packets.
func (p *parser) isis(t token, types ...uint32) (node, error) {
	n, err := p.iso(t, isoISIS)
	if err != nil {
		return nil, err
	}
	// ISO 10589: five bits; the others are reserved.
	kind := same(p.at(), fromISO, 4, 1, 0x1f, types[0])
	for _, num := range types[1:] {
		kind = or{kind, same(p.at(), fromISO, 4, 1, 0x1f, num)}
	}
	return and{n, kind}, nil
}

// cast parses nothing: word is broadcast or multicast, behind the protocol's word.
func (p *parser) cast(t token, protocol, word string) (node, error) {
	at := p.at()
	switch {
	case protocol == "" || protocol == "ether":
		if p.linkType() != header.LinkEthernet {
			return nil, p.errorf(t, "packets of link type %s have no MAC addresses, and so no %s", p.linkName(), word)
		}
		if word == "broadcast" {
			return ether{at, dst, [6]byte{255, 255, 255, 255, 255, 255}}, nil
		}
		return and{framed{at}, compared(at, fromLink, 0, 1, 0x01, notEqual, 0)}, nil // the group bit of the destination
	case protocol == "ip" && word == "broadcast":
		host := ^p.opt.Netmask
		return and{linkProto{at, header.TypeIP},
			or{same(at, fromNetwork, 16, 4, host, 0), same(at, fromNetwork, 16, 4, host, host)}}, nil
	case protocol == "ip":
		return and{linkProto{at, header.TypeIP}, same(at, fromNetwork, 16, 1, 0xf0, 0xe0)}, nil
	case protocol == "ip6" && word == "multicast":
		return and{linkProto{at, header.TypeIP6}, same(at, fromNetwork, 24, 1, 0xff, 0xff)}, nil
	}
	return nil, p.errorf(t, "%s has no %s addresses that could be filtered by", protocol, word)
}

// byteOp parses what follows byte: an offset, an operator and a value.
func (p *parser) byteOp() (node, error) {
	off, err := p.number("an offset in bytes")
	if err != nil {
		return nil, err
	}
	op := p.next()
	if !op.isOneOf("=", "<", ">", "&", "|") {
		return nil, p.unexpected(op, "=, <, >, & or |")
	}
	v, err := p.number("a value from 0 to 255")
	if err != nil {
		return nil, err
	}
	if v.num > 255 {
		return nil, p.errorf(v, "%d is more than a byte holds", v.num)
	}
	n := compare{a: field{at: p.at(), base: fromLink, index: constant{off.num}, size: 1}, b: constant{v.num}}
	switch op.text {
	case "<":
		n.op = less
	case ">":
		n.op = greater
	case "&", "|":
		o, _ := operatorOf(op)
		n.a, n.b, n.op = operated(o, n.a, n.b), constant{0}, notEqual
	}
	return n, nil
}

// llc parses what may follow llc: a type of LLC frame.
func (p *parser) llc(t token) (node, error) {
	at := p.at()
	if p.linkType() != header.LinkEthernet || p.scope == nil && p.place.labels > 0 {
		return nil, p.errorf(t, "llc needs Ethernet, and these packets are of link type %s", p.linkName())
	}
	n := linkProto{at, anyLLC}
	kind := p.peek()
	if kind.kind != name && !kind.is("rnr") {
		return n, nil
	}
	p.next()
	control := func(mask, v uint32) (node, error) { return and{n, same(at, fromPayload, 2, 1, mask, v)}, nil }
	word := strings.ToLower(kind.text)
	switch word {
	case "i":
		return control(0x01, 0)
	case "s":
		return control(0x03, 0x01)
	case "u":
		return control(0x03, 0x03)
	}
	if v, ok := map[string]uint32{"rr": 0x01, "rnr": 0x05, "rej": 0x09}[word]; ok {
		return control(0x0f, v)
	}
	if v, ok := map[string]uint32{"ui": 0x03, "ua": 0x63, "disc": 0x43, "dm": 0x0f, "sabme": 0x6f, "test": 0xe3, "xid": 0xaf, "frmr": 0x87}[word]; ok {
		return control(0xef, v)
	}
	return nil, p.errorf(kind, "%v is no type of LLC frame", kind)
}

// primary parses one value.
func (p *parser) primary(q qualifiers) (node, error) {
	n, err := p.meaning(q)
	if err != nil {
		return nil, err
	}
	return q.scope.apply(n), nil
}

// meaning returns what a value means for its qualifiers.
func (p *parser) meaning(q qualifiers) (node, error) {
	// A value takes over the scope of the term before it, but does not stand behind it.
	if q.scope != nil {
		p.scope = q.scope
		defer func() { p.scope = nil }()
	}
	if p.startsSet() {
		return p.valueSet(q)
	}
	t := p.next()
	if isOurs(t) {
		t.kind = name
	}
	switch t.kind {
	case number, dotted, colons, mac, name:
	case keyword:
		return nil, p.errorf(t, `%v is a word of the language; write \%s for something of that name`, t, t.text)
	default:
		return nil, p.unexpected(t, "an address, number or name")
	}
	switch {
	case q.typ == "port":
		return p.port(q, t)
	case q.typ == "portrange":
		return p.portRange(q, t)
	case q.typ == "proto":
		return p.proto(q, t)
	case q.typ == "protochain":
		return p.protoChain(q, t)
	case q.typ == "gateway":
		return p.gateway(q, t)
	case q.proto == "ether":
		return p.ether(q, t)
	case q.proto == "decnet":
		return p.decnet(q, t)
	}
	return p.host(q, t)
}

// host returns what host and net mean, for the token and what follows it.
func (p *parser) host(q qualifiers, t token) (node, error) {
	n := host{at: p.at(), dir: q.dir}
	var err error
	switch t.kind {
	case number, dotted:
		n.nets, err = p.ipv4(q, t)
	case colons:
		n.nets, err = p.ipv6(q, t)
	case mac:
		return nil, p.errorf(t, "a MAC address needs ether in front: ether host %s", t.text)
	default:
		if strings.Trim(t.text, "0123456789.") == "" {
			// Behind a backslash it is a name, which resolvers take for the address.
			a, err := netip.ParseAddr(t.text)
			if err != nil || q.typ == "net" {
				return nil, p.errorf(t, "%s is not an IPv4 address", t.text)
			}
			n.nets = []network{networkOf(netip.PrefixFrom(a, 32))}
			break
		}
		n.nets, err = p.named(q, t)
	}
	if err != nil {
		return nil, err
	}
	if n.types = p.addressTypes(q); len(n.types) == 0 {
		return nil, p.errorf(t, "behind MPLS labels only IP can be looked for")
	}
	if !slices.ContainsFunc(n.nets, func(a network) bool {
		return slices.ContainsFunc(n.types, func(typ uint32) bool { return (typ == header.TypeIP6) != a.is4 })
	}) {
		return nil, p.errorf(t, "%q has no addresses like %s", q.proto, t.text)
	}
	return n, nil
}

// addressTypes returns the network headers whose addresses the qualifiers mean.
func (p *parser) addressTypes(q qualifiers) []uint32 {
	types := []uint32{header.TypeIP, header.TypeARP, typeRARP, header.TypeIP6}
	switch q.proto {
	case "ip":
		types = []uint32{header.TypeIP}
	case "ip6":
		types = []uint32{header.TypeIP6}
	case "arp":
		types = []uint32{header.TypeARP}
	case "rarp":
		types = []uint32{typeRARP}
	}
	if p.scope == nil && p.place.labels > 0 { // as in libpcap
		types = slices.DeleteFunc(types, func(typ uint32) bool { return typ == header.TypeARP || typ == typeRARP })
	}
	return types
}

// ipv6 returns the network of an IPv6 address and a prefix length.
func (p *parser) ipv6(q qualifiers, t token) ([]network, error) {
	bits := 128
	if slash := p.peek(); p.accept("/") {
		n, err := p.prefixLength(128)
		if err != nil {
			return nil, err
		}
		if bits = n; bits < 128 && q.typ != "net" {
			return nil, p.errorf(slash, "a prefix length needs net in front: net %s", t.text)
		}
	}
	a := netip.PrefixFrom(t.addr, bits)
	if a != a.Masked() {
		return nil, p.errorf(t, "%v has bits set behind its first %d", t.addr, bits)
	}
	return []network{{prefix: a}}, nil
}

// ipv4 returns the network of an IPv4 address, or of the first bytes of one, with
// its mask. A number alone is the whole address for host, and its first bytes for net.
func (p *parser) ipv4(q qualifiers, t token) ([]network, error) {
	if t.kind == number {
		n := network{is4: true, addr: t.num, mask: ^uint32(0)}
		for q.typ == "net" && n.addr != 0 && n.addr>>24 == 0 {
			n.addr, n.mask = n.addr<<8, n.mask<<8
		}
		return []network{n}, nil
	}
	n, err := p.dotted(t)
	if err != nil {
		return nil, err
	}
	given := p.peek()
	switch {
	case p.accept("/"):
		bits, err := p.prefixLength(32)
		if err != nil {
			return nil, err
		}
		n.mask = uint32(^uint64(0) << (32 - bits))
	case p.accept("mask"):
		m := p.next()
		if m.kind != dotted {
			return nil, p.unexpected(m, "a mask such as 255.255.0.0")
		}
		mask, err := p.dotted(m)
		if err != nil {
			return nil, err
		}
		n.mask = mask.addr
	}
	if given.isOneOf("/", "mask") && q.typ != "net" {
		return nil, p.errorf(given, "a mask needs net in front: net %s", t.text)
	}
	if n.addr&^n.mask != 0 {
		return nil, p.errorf(t, "%s has bits set outside its mask", t.text)
	}
	return []network{n}, nil
}

// dotted reads the first one to four bytes of an IPv4 address.
func (p *parser) dotted(t token) (network, error) {
	n := network{is4: true}
	parts := strings.Split(t.text, ".")
	for _, s := range parts {
		var b uint32
		for _, c := range s {
			b = min(b*10+uint32(c-'0'), 256)
		}
		if b > 255 || s == "" || len(parts) > 4 {
			return n, p.errorf(t, "%s is not an IPv4 address", t.text)
		}
		n.addr = n.addr<<8 | b
	}
	rest := 8 * (4 - len(parts))
	n.addr, n.mask = n.addr<<rest, ^uint32(0)<<rest
	return n, nil
}

// prefixLength parses the number behind a slash.
func (p *parser) prefixLength(limit int) (int, error) {
	t := p.next()
	if t.kind != number || t.num > uint32(limit) {
		return 0, p.unexpected(t, fmt.Sprintf("a prefix length from 0 to %d", limit))
	}
	return int(t.num), nil
}

// named looks up a host's or network's name.
func (p *parser) named(q qualifiers, t token) ([]network, error) {
	if p.opt.Names == nil {
		return nil, p.errorf(t, "unknown host %v", t)
	}
	if q.typ == "net" {
		prefix, err := p.opt.Names.Network(t.text)
		if err != nil {
			return nil, p.errorf(t, "unknown network %v: %v", t, err)
		}
		return []network{networkOf(prefix)}, nil
	}
	addrs, err := p.opt.Names.Hosts(t.text)
	if err != nil {
		return nil, p.errorf(t, "unknown host %v: %v", t, err)
	}
	var nets []network
	for _, a := range addrs {
		a = a.Unmap()
		nets = append(nets, networkOf(netip.PrefixFrom(a, a.BitLen())))
	}
	if len(nets) == 0 {
		return nil, p.errorf(t, "host %v has no address", t)
	}
	return nets, nil
}

func networkOf(a netip.Prefix) network {
	if !a.Addr().Is4() {
		return network{prefix: a}
	}
	b := a.Addr().As4()
	return network{is4: true, addr: uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3]), mask: uint32(^uint64(0) << (32 - a.Bits()))}
}

// ether returns what the value means behind ether: a MAC address.
func (p *parser) ether(q qualifiers, t token) (node, error) {
	if p.linkType() != header.LinkEthernet {
		// Inside a scope it is for the level to start with Ethernet.
		return nil, p.errorf(t, "packets of link type %s have no MAC addresses", p.linkName())
	}
	m := t.mac
	switch {
	case t.kind == mac:
	case t.kind == name && p.opt.Names != nil:
		var err error
		if m, err = p.opt.Names.Ether(t.text); err != nil {
			return nil, p.errorf(t, "unknown host %v: %v", t, err)
		}
	case t.kind == name:
		return nil, p.errorf(t, "unknown host %v", t)
	default:
		return nil, p.unexpected(t, "a MAC address such as 52:54:00:12:34:56")
	}
	if len(m) != 6 {
		return nil, p.errorf(t, "%v is no Ethernet address", m)
	}
	return ether{at: p.at(), dir: q.dir, mac: [6]byte(m)}, nil
}

// decnet returns what the value means behind decnet: an address, area.node. It
// stands in one of four places, by the format of the header and whether it is padded
// (DECnet Phase IV Routing Layer Functional Specification).
func (p *parser) decnet(q qualifiers, t token) (node, error) {
	if t.kind != dotted {
		return nil, p.unexpected(t, "a DECnet address such as 1.2")
	}
	area, number, _ := strings.Cut(t.text, ".")
	a, aErr := strconv.ParseUint(area, 10, 6)
	n, nErr := strconv.ParseUint(number, 10, 10)
	if aErr != nil || nErr != nil {
		return nil, p.errorf(t, "%s is no DECnet address: area 0 to 63, node 0 to 1023", t.text)
	}
	addr := uint32(a<<10 | n)
	first, err := p.link(t, typeDECnet)
	if err != nil {
		return nil, err
	}
	at := p.at()
	addr = addr>>8 | addr&0xff<<8
	is := func(short, long uint32) node {
		place := func(size uint8, mask, flags, off uint32) node {
			return and{same(at, fromNetwork, 2, size, mask, flags), same(at, fromNetwork, off, 2, 0xffff, addr)}
		}
		return either(place(1, 0x07, 0x02, short), place(2, 0xff07, 0x8102, short+1), place(1, 0x07, 0x06, long), place(2, 0xff07, 0x8106, long+1))
	}
	from, to := is(5, 17), is(3, 9)
	switch q.dir {
	case src:
		return and{first, from}, nil
	case dst:
		return and{first, to}, nil
	case srcAndDst:
		return all(first, from, to), nil
	}
	return and{first, or{from, to}}, nil
}

// gateway returns the test for packets that a host forwards: its MAC address, and
// not its own IP address.
func (p *parser) gateway(q qualifiers, t token) (node, error) {
	if t.kind != name {
		return nil, p.errorf(t, "a gateway needs a name, that has a MAC address in /etc/ethers and an IP address")
	}
	station, err := p.ether(qualifiers{}, t)
	if err != nil {
		return nil, err
	}
	nets, err := p.named(qualifiers{}, t)
	if err != nil {
		return nil, err
	}
	// It is about IPv4.
	n := host{at: p.at(), types: p.addressTypes(q), nets: slices.DeleteFunc(nets, func(a network) bool { return !a.is4 })}
	if len(n.nets) == 0 || len(n.types) == 0 {
		return nil, p.errorf(t, "host %v has no IPv4 address that could be looked for", t)
	}
	return and{station, not{n}}, nil
}

// linkNames returns the names that ether proto knows: libpcap's.
func linkNames() map[string]uint32 {
	return map[string]uint32{
		"ip": header.TypeIP, "ip6": header.TypeIP6, "arp": header.TypeARP, "rarp": typeRARP, "aarp": typeAARP, "atalk": typeATALK,
		"decnet": typeDECnet, "lat": typeLAT, "loopback": typeLoopback, "mopdl": typeMOPDL, "moprc": typeMOPRC, "sca": typeSCA,
		"iso": sapISO, "stp": sapSTP, "ipx": sapIPX, "netbeui": sapNetBEUI,
	}
}

// proto returns what the value means behind proto.
func (p *parser) proto(q qualifiers, t token) (node, error) {
	switch q.proto {
	case "ether":
		v, ok := linkNames()[t.text]
		switch {
		case t.kind == number && t.num > 0xffff && slices.Contains([]header.LinkType{header.LinkEthernet, header.LinkSLL, header.LinkSLL2, header.LinkPPP}, p.linkType()):
			return nil, p.errorf(t, "%d is no EtherType, 0 to 65535", t.num)
		case t.kind == number && t.num > 0xff && t.num <= maxLLC && (p.linkType() == header.LinkEthernet || p.linkType() == header.LinkSLL):
			return nil, p.errorf(t, "%d is neither an EtherType, above 1500, nor an LLC service access point, 0 to 255", t.num)
		case t.kind == number:
			return p.link(t, t.num)
		case t.kind == name && ok:
			return p.link(t, v)
		}
		return nil, p.unexpected(t, "an EtherType, an LLC service access point or its name")
	case "iso", "isis":
		v, ok := map[string]uint32{"clnp": isoCLNP, "esis": isoESIS, "isis": isoISIS}[t.text]
		switch {
		case t.kind == number && t.num > 255:
			return nil, p.errorf(t, "%d is no protocol number, 0 to 255", t.num)
		case t.kind == number && q.proto == "isis" && t.num > 31:
			return nil, p.errorf(t, "%d is no type of IS-IS packet, 0 to 31", t.num)
		case t.kind == number && q.proto == "isis":
			return p.isis(t, t.num)
		case t.kind == number:
			return p.iso(t, t.num)
		case t.kind == name && ok && q.proto == "iso":
			return p.iso(t, v)
		}
		return nil, p.unexpected(t, "a protocol number from 0 to 255")
	}
	num, err := p.protocolNumber(t)
	return proto{p.at(), q.types(), num}, err
}

// types returns the network headers that the qualifier means.
func (q qualifiers) types() []uint32 {
	switch q.proto {
	case "ip":
		return ipTypes()[:1]
	case "ip6":
		return ipTypes()[1:]
	}
	return ipTypes()
}

// protocolNumber returns the IP protocol that t names.
func (p *parser) protocolNumber(t token) (uint32, error) {
	switch {
	case t.kind == number && t.num <= 255:
		return t.num, nil
	case t.kind == name && p.opt.Names != nil:
		v, err := p.opt.Names.Protocol(t.text)
		if err != nil {
			return 0, p.errorf(t, "unknown protocol %v: %v", t, err)
		}
		return uint32(v), nil
	case t.kind == name:
		return 0, p.errorf(t, "unknown protocol %v", t)
	}
	return 0, p.unexpected(t, "an IP protocol number from 0 to 255")
}

// protoChain returns the test for a protocol anywhere in the chain of headers.
func (p *parser) protoChain(q qualifiers, t token) (node, error) {
	if p.scope == nil && slices.ContainsFunc(p.shifts, func(n node) bool { _, ok := n.(tunnel); return ok }) {
		return nil, p.errorf(t, "a chain of headers can be followed inside a tunnel only with a scope: inner protochain %s", t.text)
	}
	num, err := p.protocolNumber(t)
	if err != nil {
		return nil, err
	}
	var n node
	for _, typ := range q.types() {
		if c := (chain{p.at(), typ, num}); n == nil {
			n = c
		} else {
			n = or{n, c}
		}
	}
	return n, nil
}

// protos returns the IP protocols that have ports, as far as the qualifiers
// allow them.
func (q qualifiers) protos() []uint32 {
	switch q.proto {
	case "tcp":
		return []uint32{protoTCP}
	case "udp":
		return []uint32{protoUDP}
	case "sctp":
		return []uint32{protoSCTP}
	}
	return []uint32{protoTCP, protoUDP, protoSCTP}
}

func (p *parser) port(q qualifiers, t token) (node, error) {
	n := port{at: p.at(), dir: q.dir}
	if t.kind != number && t.kind != name {
		return nil, p.unexpected(t, "a port number or name")
	}
	var err error
	if n.lo, n.protos, err = p.portNumber(t); err != nil {
		return nil, err
	}
	n.hi = n.lo
	n.protos, err = p.only(q, t, n.protos)
	return n, err
}

// portNumber returns the port that t names, and the protocols that have it: a service
// that is known for TCP or UDP only means that one. As in libpcap, there are no
// services of SCTP alone.
func (p *parser) portNumber(t token) (uint16, []uint32, error) {
	if t.kind == number {
		if t.num > 0xffff {
			return 0, nil, p.errorf(t, "port %d is larger than 65535", t.num)
		}
		return uint16(t.num), qualifiers{}.protos(), nil
	}
	if v, err := strconv.ParseUint(t.text, 10, 16); err == nil { // behind a backslash
		return uint16(v), qualifiers{}.protos(), nil
	}
	if p.opt.Names == nil {
		return 0, nil, p.errorf(t, "unknown port %v", t)
	}
	tcp, err := p.opt.Names.Port("tcp", t.text)
	udp, udpErr := p.opt.Names.Port("udp", t.text)
	switch {
	case err == nil && udpErr == nil && tcp == udp:
		return tcp, qualifiers{}.protos(), nil
	case err == nil:
		return tcp, []uint32{protoTCP}, nil
	case udpErr == nil:
		return udp, []uint32{protoUDP}, nil
	}
	return 0, nil, p.errorf(t, "unknown port %v: %v", t, err)
}

// only returns those of the protocols of a port that the qualifiers allow.
func (p *parser) only(q qualifiers, t token, protos []uint32) ([]uint32, error) {
	if q.proto == "" {
		return protos, nil
	}
	for _, num := range q.protos() {
		if slices.Contains(protos, num) {
			return []uint32{num}, nil
		}
	}
	return nil, p.errorf(t, "%v is no port of %s", t, q.proto)
}

func (p *parser) portRange(q qualifiers, t token) (node, error) {
	if t.kind == number {
		return p.port(q, t)
	}
	n := port{at: p.at(), dir: q.dir}
	from, to, ok := strings.Cut(t.text, "-")
	if !ok || from == "" || to == "" {
		return nil, p.unexpected(t, "a range of ports such as 6000-6008")
	}
	if strings.Contains(to, "-") {
		return nil, p.errorf(t, "%v has more than one dash: names of ports with dashes cannot stand in a range", t)
	}
	lo, protos, err := p.portEnd(t, 0, len(from))
	if err != nil {
		return nil, err
	}
	hi, hiProtos, err := p.portEnd(t, len(from)+1, len(t.text))
	if err != nil {
		return nil, err
	}
	if !slices.Equal(protos, hiProtos) {
		protos = qualifiers{}.protos()
	}
	n.lo, n.hi = min(lo, hi), max(lo, hi)
	n.protos, err = p.only(q, t, protos)
	return n, err
}

// portEnd returns one end of a range: the port that t.text[from:to] names.
func (p *parser) portEnd(t token, from, to int) (uint16, []uint32, error) {
	start := t.end - len(t.text) // behind a backslash
	end, err := (&lexer{text: p.text}).word(start+from, start+to)
	if err != nil {
		return 0, nil, err
	}
	if end.kind != number && end.kind != name {
		return 0, nil, p.unexpected(end, "a port number or name")
	}
	return p.portNumber(end)
}
