package filter

import (
	"math/bits"
	"slices"

	"github.com/tundump/tundump/filter/header"
	"github.com/tundump/tundump/filter/ir"
)

// lowerer turns the tree into blocks. It passes continuations: what to build
// where the expression holds, and where it does not. A load beyond the packet
// rejects it, as in libpcap; inside a scope it makes the primitive false.
type lowerer struct {
	*builder
	opt       Options
	shifts    []node    // of the whole expression, in the order of the text
	fragments fragments // what walks do at fragments
}

func lower(n node, shifts []node, opt Options) *ir.Prog {
	const usual = 256 // blocks; a scope with all tunnels has a few more
	l := &lowerer{builder: newBuilder(usual), opt: opt, shifts: shifts}
	loose := !usesTunnels(n)
	accept, leads := l.accept(), false
	if opt.Fragments != FollowNone {
		n, leads = lead(n)
	}
	from := func(f frame) block {
		return l.expr(n, f, func(frame) block { return accept }, func(frame) block { return ir.Reject })
	}
	f := frame{link: opt.LinkType}
	start := from(f)
	if opt.Origin == OriginLive && slices.ContainsFunc(shifts, func(n node) bool { _, ok := n.(vlan); return ok }) {
		f.tagged = true
		start = l.add([]ir.Instr{loadMeta(ir.T0, ir.MetaTag)}, ir.Eq, ir.T0, ir.Imm(0), start, from(f))
	}
	if !leads {
		start = l.pastFragments(start)
	}
	p := l.finish(start)
	if !opt.NoOptimise {
		p = optimise(p, loose)
	}
	p.Sets = l.sets
	return p
}

// merge joins neighbours with the same scope, which then walk the tunnels once:
// at some level a, or at some level b, is at some level (a or b).
func merge(n node) node {
	switch n := n.(type) {
	case not:
		return not{merge(n.x)}
	case and:
		a, b := merge(n.a), merge(n.b)
		left, last := split(a, func(n node) (node, node, bool) { x, ok := n.(and); return x.a, x.b, ok })
		x, xok := last.(not)
		y, yok := b.(not)
		if xok && yok {
			if s, ok := join(x.x, y.x); ok {
				return rejoin(left, not{s}, func(a, b node) node { return and{a, b} })
			}
		}
		return and{a, b}
	case or:
		a, b := merge(n.a), merge(n.b)
		left, last := split(a, func(n node) (node, node, bool) { x, ok := n.(or); return x.a, x.b, ok })
		if s, ok := join(last, b); ok {
			return rejoin(left, s, func(a, b node) node { return or{a, b} })
		}
		return or{a, b}
	}
	return n
}

// walks counts what walks through tunnels.
func walks(n node) (scopes, tunnels int) {
	anyOf(n, func(n node) bool {
		switch n.(type) {
		case scope:
			scopes++
		case tunnel:
			tunnels++
		}
		return false
	})
	return scopes, tunnels
}

// split takes the last operand off a chain of one operator; the rest is nil if
// n is no chain.
func split(n node, chain func(node) (a, b node, ok bool)) (rest, last node) {
	if a, b, ok := chain(n); ok {
		return a, b
	}
	return nil, n
}

func rejoin(rest, last node, op func(a, b node) node) node {
	if rest == nil {
		return last
	}
	return op(rest, last)
}

// join returns the scope in which a or b holds, if both are the same scope.
func join(a, b node) (scope, bool) {
	x, xok := a.(scope)
	y, yok := b.(scope)
	if !xok || !yok || x.first != y.first || x.last != y.last {
		return scope{}, false
	}
	return scope{x.first, x.last, or{x.x, y.x}}, true
}

// cont builds what comes next, for the frame that then holds.
type cont func(frame) block

// memo makes a continuation that builds once for each frame.
func memo(c cont) cont {
	built := map[frame]block{}
	return func(f frame) block {
		n, ok := built[f]
		if !ok {
			n = c(f)
			built[f] = n
		}
		return n
	}
}

// expr builds the test of n. A tunnel primitive that holds changes the frame of
// what comes after it on that path: in "gre or vxlan" the second is tried on the
// packets that are no GRE, and looks where the first did.
func (l *lowerer) expr(n node, f frame, yes, no cont) block {
	switch n := n.(type) {
	case and:
		return l.expr(n.a, f, memo(func(f frame) block { return l.expr(n.b, f, yes, no) }), no)
	case or:
		return l.expr(n.a, f, yes, memo(func(f frame) block { return l.expr(n.b, f, yes, no) }))
	case not:
		return l.expr(n.x, f, no, yes)
	case scope:
		return l.scope(n, yes(f), no(f))
	case leading:
		return l.following(outer).scope(n.scope, yes(f), no(f))
	case phrase:
		return l.expr(n.x, f, yes, no)
	case tunnel:
		if f.scoped {
			return l.tunnel(selector{tunnel: &n, test: true}, yes(f), no(f))
		}
		return l.enter(n, f, yes, no(f))
	}
	return l.primitive(n, f, yes(f), no(f))
}

// primitive builds the test of a leaf that changes no frame.
func (l *lowerer) primitive(n node, f frame, yes, no block) block {
	short := no
	if !f.scoped {
		short = ir.Reject
	}
	switch n := n.(type) {
	case always:
		return yes
	case linkProto:
		return l.linkProto(f, n, yes, no, short)
	case proto:
		var to []block
		for _, t := range n.types {
			to = append(to, l.proto(f, n.at, t, []uint32{n.num}, yes, no, short))
		}
		return l.byType(f, n.at, n.types, to, no, short)
	case host:
		var to []block
		for _, t := range n.types {
			to = append(to, l.addresses(f, t, n, yes, no, short))
		}
		return l.byType(f, n.at, n.types, to, no, short)
	case port:
		types := ipTypes()
		var to []block
		for _, t := range types {
			to = append(to, l.port(f, t, n, yes, no, short))
		}
		return l.byType(f, n.at, types, to, no, short)
	case ether:
		return l.ether(f, n, yes, no, short)
	case chain:
		return l.byType(f, n.at, []uint32{n.typ}, []block{l.chain(f, n, yes, no, short)}, no, short)
	case notLater:
		at := l.addr(f, n.at, fromNetwork).plus(6)
		return l.within(at, 2, l.add([]ir.Instr{load(ir.T0, at, 2)}, ir.Set, ir.T0, ir.Imm(0x1fff), no, yes), short)
	case framed:
		return l.hasLinkHeader(f, n.at, yes, no)
	case compare:
		return l.compare(f, n, yes, no, short)
	case vlan:
		return l.vlan(f, n, yes, no, short)
	case mpls:
		return l.mpls(f, n, yes, no, short)
	case pppoe:
		return l.pppoe(f, n, yes, no, short)
	}
	return no
}

// within builds the test that n bytes from a on were captured.
func (l *lowerer) within(a addr, n uint32, yes, no block) block {
	return l.add(nil, ir.Within, a.reg, ir.Imm(a.off+n), yes, no)
}

func load(to ir.Reg, a addr, size uint8) ir.Instr {
	return ir.Instr{Op: ir.Load, Dst: to, A: a.reg, B: ir.Imm(a.off), Size: size}
}

func mov(to ir.Reg, v uint32) ir.Instr {
	return ir.Instr{Op: ir.Mov, Dst: to, A: ir.NoReg, B: ir.Imm(v)}
}

func op(o ir.Op, to, a ir.Reg, v uint32) ir.Instr {
	return ir.Instr{Op: o, Dst: to, A: a, B: ir.Imm(v)}
}

// do builds code in front of n.
func (l *lowerer) do(n block, code ...ir.Instr) block {
	return l.add(code, ir.Always, ir.NoReg, ir.Imm(0), n, n)
}

// among builds the jump to the block of the value that r has, or to other.
func (l *lowerer) among(r ir.Reg, values []uint32, to []block, other block) block {
	n := other
	for i := len(values) - 1; i >= 0; i-- {
		n = l.add(nil, ir.Eq, r, ir.Imm(values[i]), to[i], n)
	}
	return n
}

// equals builds the test that the size bytes at a, masked, are v. They must be
// within the packet.
func (l *lowerer) equals(a addr, size uint8, mask, v uint32, yes, no block) block {
	return l.equalsIn(ir.T0, a, size, mask, v, yes, no)
}

// equalsIn is equals with the register that the bytes are loaded into.
func (l *lowerer) equalsIn(r ir.Reg, a addr, size uint8, mask, v uint32, yes, no block) block {
	code := []ir.Instr{load(r, a, size)}
	switch {
	case v == 0 && mask != 0:
		return l.add(code, ir.Set, r, ir.Imm(mask), no, yes)
	case mask == 0:
		return yes
	case v == mask && v&(v-1) == 0:
		return l.add(code, ir.Set, r, ir.Imm(mask), yes, no)
	}
	if mask != 1<<(8*uint64(size))-1 {
		code = append(code, op(ir.And, ir.T1, r, mask))
		r = ir.T1
	}
	return l.add(code, ir.Eq, r, ir.Imm(v), yes, no)
}

// loadMeta returns the load of a fact that is not in the packet's bytes.
func loadMeta(to ir.Reg, fact uint32) ir.Instr {
	return ir.Instr{Op: ir.LoadMeta, Dst: to, A: ir.NoReg, B: ir.Imm(fact)}
}

// typed builds the jump to the block of the type that the field at a has, or to other.
func (l *lowerer) typed(a addr, types []uint32, to []block, other, short block) block {
	return l.within(a, 2, l.do(l.among(ir.T0, types, to, other), load(ir.T0, a, 2)), short)
}

// byType builds the jump to the block of what the link header carries, by EtherType, or
// to other.
func (l *lowerer) byType(f frame, at int, types []uint32, to []block, other, short block) block {
	if f.scoped {
		return l.among(ir.Type, types, to, other)
	}
	p := l.place(f, at)
	if p.labels > 0 {
		return l.behindLabels(p, types, to, other, short)
	}
	hit := func(typ uint32) block {
		if at := slices.Index(types, typ); at >= 0 {
			return to[at]
		}
		return other
	}
	switch p.link {
	case header.LinkEthernet, header.LinkSLL, header.LinkSLL2:
		return l.typed(addr{p.base, p.typ}, types, to, other, short)
	case linkTyped:
		return l.typed(addr{ir.SType, p.typ}, types, to, other, short)
	case linkKnown:
		if p.typ == 0 {
			return l.among(ir.SType, types, to, other)
		}
		return l.typed(addr{p.base, p.payload - 2}, types, to, other, short) // behind a VLAN tag
	case header.LinkPPP:
		var protocols []uint32
		for _, t := range types {
			protocols = append(protocols, pppProtocol(t))
		}
		return l.typed(addr{p.base, p.typ}, protocols, to, other, short)
	case header.LinkIPv4:
		return hit(header.TypeIP)
	case header.LinkIPv6:
		return hit(header.TypeIP6)
	case header.LinkRaw:
		return l.byVersion(addr{p.base, p.payload}, hit(header.TypeIP), hit(header.TypeIP6), other, short)
	case header.LinkNull, header.LinkLoop:
		// An address family: that of IPv6 differs among systems, and in a file may be any
		// BSD's; here it is Linux's. NULL has it in the byte order of the machine that
		// captured, LOOP in network byte order.
		families, to := []uint32{2, 10}, []block{hit(header.TypeIP), hit(header.TypeIP6)}
		if l.opt.Origin == OriginFile {
			families, to = []uint32{2, 24, 28, 30}, []block{to[0], to[1], to[1], to[1]}
		}
		if p.link == header.LinkNull && !l.opt.BigEndian {
			for i := range families {
				families[i] = bits.ReverseBytes32(families[i])
			}
		}
		a := addr{p.base, p.header}
		n := l.among(ir.T0, families, to, other)
		if n == other {
			return other
		}
		return l.within(a, 4, l.do(n, load(ir.T0, a, 4)), short)
	}
	return other
}

// byVersion builds the jump by the version of the IP header at a.
func (l *lowerer) byVersion(a addr, ip, ip6, other, short block) block {
	if ip == other && ip6 == other {
		return other
	}
	n := l.among(ir.T1, []uint32{0x40, 0x60}, []block{ip, ip6}, other)
	return l.within(a, 1, l.do(n, load(ir.T0, a, 1), op(ir.And, ir.T1, ir.T0, 0xf0)), short)
}

// behindLabels is byType behind MPLS labels: libpcap takes what follows the bottom of
// the stack for IP if it has a version.
func (l *lowerer) behindLabels(p place, types []uint32, to []block, other, short block) block {
	ip, ip6 := other, other
	for i, t := range types {
		switch t {
		case header.TypeIP:
			ip = to[i]
		case header.TypeIP6:
			ip6 = to[i]
		}
	}
	if ip == other && ip6 == other {
		return other
	}
	top := addr{p.base, p.payload + p.network}
	bottom := addr{p.base, top.off - 2}
	return l.within(bottom, 1, l.equals(bottom, 1, 0x01, 0x01, l.byVersion(top, ip, ip6, other, short), other), short)
}

// pppProtocol returns the PPP protocol for an EtherType or LLC service access point.
func pppProtocol(typ uint32) uint32 {
	switch typ {
	case header.TypeIP:
		return 0x0021
	case header.TypeIP6:
		return 0x0057
	case typeDECnet:
		return 0x0027
	case typeATALK:
		return 0x0029
	case 0x0600: // XNS
		return 0x0025
	case sapISO:
		return 0x0023
	case sapSTP:
		return 0x0031
	case sapIPX:
		return 0x002b
	}
	return typ
}

// anyLLC as the type of a linkProto stands for any LLC header.
const anyLLC = 1 << 16

// linkProto builds the test of what the link header carries.
func (l *lowerer) linkProto(f frame, n linkProto, yes, no, short block) block {
	p := l.place(f, n.at)
	direct := func() block { return l.byType(f, n.at, []uint32{n.num}, []block{yes}, no, short) }
	switch n.num {
	case sapIPX, typeATALK, typeAARP, anyLLC:
	default:
		if n.num > maxLLC {
			return direct()
		}
	}
	cooked := p.link == header.LinkSLL
	if p.link == linkKnown {
		return l.byType(f, n.at, []uint32{n.num}, []block{yes}, no, short) // LLC is looked for in scopes
	}
	if !f.scoped && (p.labels > 0 || p.link != header.LinkEthernet && p.link != linkTyped && !cooked) {
		return direct()
	}
	if f.scoped {
		cooked = f.wire && l.opt.LinkType == header.LinkSLL
	}
	llc := l.addr(f, n.at, fromPayload)
	typ := addr{p.base, p.typ}
	if p.link == linkTyped {
		typ.reg = ir.SType
	}
	half := func(v uint32, yes, no block) block {
		return l.within(llc, 2, l.equals(llc, 2, 0xffff, v, yes, no), short)
	}
	first := func(v uint32, yes, no block) block {
		return l.within(llc, 1, l.equals(llc, 1, 0xff, v, yes, no), short)
	}
	// snap looks for the header of IEEE 802a, the last four bytes first.
	snap := func(organisation, number uint32, yes, no block) block {
		a := llc.plus(4)
		head := l.within(llc, 4, l.equals(llc, 4, ^uint32(0), 0xaaaa0300|organisation>>16, yes, no), short)
		return l.within(a, 4, l.equals(a, 4, ^uint32(0), organisation<<16|number, head, no), short)
	}
	var others []uint32 // types that say the same without LLC
	var in block
	switch n.num {
	case anyLLC:
		in = half(0xffff, no, yes) // Novell's "raw 802.3"
	case sapISO, sapIP, sapNetBEUI:
		in = half(n.num<<8|n.num, yes, no)
	case sapIPX:
		others = []uint32{typeIPX}
		if cooked {
			others = append(others, sllRaw)
			in = first(sapIPX, yes, snap(0, typeIPX, yes, no))
		} else {
			in = snap(0, typeIPX, yes, first(sapIPX, yes, half(0xffff, yes, no)))
		}
	case typeATALK:
		others, in = []uint32{typeATALK}, snap(0x080007, typeATALK, yes, no)
	case typeAARP:
		others, in = []uint32{typeAARP}, snap(0, typeAARP, yes, no)
	default:
		if p.link == linkTyped && !f.scoped { // libpcap takes what follows the type for it
			llc = typ.plus(2)
		}
		in = first(n.num, yes, no)
	}
	// Whether there is an LLC header: cooked captures have a type of their own for
	// that, Ethernet has a length.
	r := ir.T0
	if f.scoped {
		r = ir.Type
	}
	var test block
	if cooked {
		test = l.among(r, []uint32{sllLLC}, []block{in}, no)
	} else {
		test = l.add(nil, ir.Gt, r, ir.Imm(maxLLC), no, in)
		if f.scoped {
			test = l.among(ir.Kind, []uint32{header.TypeTEB}, []block{test}, no)
		}
	}
	test = l.among(r, others, slices.Repeat([]block{yes}, len(others)), test)
	if f.scoped {
		return test
	}
	return l.within(typ, 2, l.do(test, load(ir.T0, typ, 2)), short)
}

// Types that cooked captures have for packets without an EtherType.
const (
	sllRaw = 1 // IPX right behind an IEEE 802.3 header
	sllLLC = 4
)

// proto builds the test that the packet, known to have a network header of the
// given type, carries one of the IP protocols.
func (l *lowerer) proto(f frame, at int, typ uint32, nums []uint32, yes, no, short block) block {
	hits := slices.Repeat([]block{yes}, len(nums))
	l3 := l.addr(f, at, fromNetwork)
	if f.scoped {
		n := l.among(ir.Proto, nums, hits, no)
		if typ != header.TypeIP6 {
			return n
		}
		// An extension header is there if it is the first one, too.
		first := l3.plus(6)
		return l.among(ir.Proto, nums, hits, l.within(first, 1, l.do(l.among(ir.T0, nums, hits, no), load(ir.T0, first, 1)), no))
	}
	if typ == header.TypeIP {
		a := l3.plus(9)
		return l.within(a, 1, l.do(l.among(ir.T0, nums, hits, no), load(ir.T0, a, 1)), short)
	}
	// libpcap looks at the first header, and at what follows it if it is a fragment header.
	first, behind := l3.plus(6), l3.plus(40)
	fragment := l.within(behind, 1, l.do(l.among(ir.T0, nums, hits, no), load(ir.T0, behind, 1)), short)
	other := l.among(ir.T0, []uint32{protoFragment}, []block{fragment}, no)
	return l.within(first, 1, l.do(l.among(ir.T0, nums, hits, other), load(ir.T0, first, 1)), short)
}

// eitherWay builds the tests of a source and a destination for a direction.
func eitherWay(d direction, test func(dst bool, yes, no block) block, yes, no block) block {
	switch d {
	case src:
		return test(false, yes, no)
	case dst:
		return test(true, yes, no)
	case srcAndDst:
		return test(false, test(true, yes, no), no)
	}
	return test(false, yes, test(true, yes, no))
}

// addressesOf returns where a network header of the given type has its addresses.
func addressesOf(typ uint32) (src, dst uint32) {
	switch typ {
	case header.TypeIP6:
		return 8, 24
	case header.TypeARP, typeRARP:
		return 14, 24 // RFC 826: the protocol addresses, behind Ethernet ones
	}
	return 12, 16
}

// addresses builds the test of a network header of the given type for a host
// or net primitive.
func (l *lowerer) addresses(f frame, typ uint32, n host, yes, no, short block) block {
	l3 := l.addr(f, n.at, fromNetwork)
	if n.in != nil {
		return l.addressSet(l3, typ, n, yes, no, short)
	}
	result := no
	for _, a := range slices.Backward(n.nets) {
		if a.is4 == (typ == header.TypeIP6) {
			continue
		}
		srcOff, dstOff := addressesOf(typ)
		result = eitherWay(n.dir, func(dst bool, yes, no block) block {
			// Each in a register of its own, where it stays for the next address.
			if dst {
				return l.inNet(ir.T2, l3.plus(dstOff), a, yes, no, short)
			}
			return l.inNet(ir.T0, l3.plus(srcOff), a, yes, no, short)
		}, yes, result)
	}
	return result
}

// inNet builds the test that the address at a is in a network, word by word.
func (l *lowerer) inNet(r ir.Reg, at addr, a network, yes, no, short block) block {
	if a.is4 {
		return l.within(at, 4, l.equalsIn(r, at, 4, a.mask, a.addr, yes, no), short)
	}
	b := a.prefix.Addr().AsSlice()
	for i := 3; i >= 0; i-- {
		w := b[4*i:]
		mask := ^uint32(0)
		if rest := a.prefix.Bits() - 32*i; rest < 32 {
			mask = uint32(^uint64(0) << (32 - max(rest, 0)))
		}
		v := uint32(w[0])<<24 | uint32(w[1])<<16 | uint32(w[2])<<8 | uint32(w[3])
		word := at.plus(uint32(4 * i))
		yes = l.within(word, 4, l.equalsIn(r, word, 4, mask, v, yes, no), short)
	}
	return yes
}

// hasLinkHeader builds the test that what is looked at starts with Ethernet.
func (l *lowerer) hasLinkHeader(f frame, at int, yes, no block) block {
	switch {
	case f.scoped:
		return l.among(ir.Kind, []uint32{header.TypeTEB}, []block{yes}, no)
	case l.place(f, at).link == header.LinkEthernet:
		return yes
	case l.place(f, at).link == linkKnown:
		return l.add(nil, ir.Eq, ir.S2, ir.Imm(ir.Absent), no, yes)
	}
	return no
}

// ether builds the test of MAC addresses.
func (l *lowerer) ether(f frame, n ether, yes, no, short block) block {
	at := l.addr(f, n.at, fromLink)
	m := n.mac
	n4 := uint32(m[2])<<24 | uint32(m[3])<<16 | uint32(m[4])<<8 | uint32(m[5])
	n2 := uint32(m[0])<<8 | uint32(m[1])
	return l.hasLinkHeader(f, n.at, eitherWay(n.dir, func(dst bool, yes, no block) block {
		a := at.plus(6)
		if dst {
			a = at
		}
		// The last four bytes first: the others are often equal.
		return l.within(a.plus(2), 4, l.equals(a.plus(2), 4, ^uint32(0), n4,
			l.within(a, 2, l.equals(a, 2, 0xffff, n2, yes, no), short), no), short)
	}, yes, no), no)
}

// transport builds the computation of where the transport header is, for a
// network header of the given type, in front of a test of it. A fragment other
// than the first has none.
func (l *lowerer) transport(f frame, at int, typ uint32, test func(at addr) block, no, short block) block {
	if f.scoped {
		return test(addr{ir.L4, 0})
	}
	l3 := l.addr(f, at, fromNetwork)
	if typ == header.TypeIP6 {
		return test(l3.plus(40))
	}
	n := l.behindIP(l3, ir.T0, test, short)
	offset := l3.plus(6)
	return l.within(offset, 2, l.add([]ir.Instr{load(ir.T0, offset, 2)}, ir.Set, ir.T0, ir.Imm(0x1fff), no, n), short)
}

// behindIP builds the computation of where the IPv4 header at l3 ends, in L4, in front
// of a test of what is there. It uses the register free.
func (l *lowerer) behindIP(l3 addr, free ir.Reg, test func(at addr) block, short block) block {
	at, code := addr{ir.L4, l3.off}, []ir.Instr{
		load(free, l3, 1), op(ir.And, free, free, 0x0f), op(ir.Shl, ir.L4, free, 2),
	}
	if l3.reg != ir.NoReg {
		code = append(code, ir.Instr{Op: ir.Add, Dst: ir.L4, A: ir.L4, B: ir.R(l3.reg)})
	}
	return l.within(l3, 1, l.do(test(at), code...), short)
}

// port builds the test of the ports behind a network header of the given type.
func (l *lowerer) port(f frame, typ uint32, n port, yes, no, short block) block {
	ports := l.transport(f, n.at, typ, func(at addr) block {
		return eitherWay(n.dir, func(dst bool, yes, no block) block {
			a := at
			if dst {
				a = at.plus(2)
			}
			if n.in != nil {
				return l.within(a, 2, l.do(l.inSet(ir.T0, n.in, yes, no), load(ir.T0, a, 2)), short)
			}
			return l.within(a, 2, l.inRange(a, n.lo, n.hi, yes, no), short)
		}, yes, no)
	}, no, short)
	hits := slices.Repeat([]block{ports}, len(n.protos))
	if f.scoped {
		return l.among(ir.Proto, n.protos, hits, no)
	}
	at := l.addr(f, n.at, fromNetwork).plus(9)
	if typ == header.TypeIP6 {
		at = l.addr(f, n.at, fromNetwork).plus(6)
	}
	return l.within(at, 1, l.do(l.among(ir.T0, n.protos, hits, no), load(ir.T0, at, 1)), short)
}

// inRange builds the test that the two bytes at a are from lo to hi.
func (l *lowerer) inRange(a addr, lo, hi uint16, yes, no block) block {
	if lo == hi {
		return l.equals(a, 2, 0xffff, uint32(lo), yes, no)
	}
	n := l.add(nil, ir.Gt, ir.T0, ir.Imm(uint32(hi)), no, yes)
	return l.add([]ir.Instr{load(ir.T0, a, 2)}, ir.Ge, ir.T0, ir.Imm(uint32(lo)), n, no)
}

// chain builds the walk along the headers behind the network header, to one that
// is the protocol. It follows what libpcap follows: AH, and behind IPv6 the extension headers.
// Of AH, like libpcap, it takes the length for an offset from the network header. It
// turns at most maxChain times, where libpcap's goes on for ever on a chain that is a ring.
func (l *lowerer) chain(f frame, n chain, yes, no, short block) block {
	const kind, off = ir.T1, ir.T3
	l3 := l.addr(f, n.at, fromNetwork)
	at := addr{off, l3.off}
	var move []ir.Instr
	if l3.reg != ir.NoReg {
		move, at.reg = []ir.Instr{{Op: ir.Add, Dst: ir.T4, A: off, B: ir.R(l3.reg)}}, ir.T4
	}
	head := l.head(set(kind, off, ir.Ext) | l.reads(yes) | l.reads(no) | l.reads(short) | l3.reads())
	again := l.add(nil, ir.Again, ir.Ext, ir.Imm(maxChain-1), head, no)
	// over goes on behind a header whose length is (length + more) << shift.
	over := func(more, shift uint32, from ir.Reg) block {
		length := []ir.Instr{load(kind, at, 1), load(ir.T0, at.plus(1), 1), op(ir.Add, ir.T0, ir.T0, more), op(ir.Shl, ir.T0, ir.T0, shift)}
		if from == ir.NoReg {
			length = append(length, ir.Instr{Op: ir.Mov, Dst: off, A: ir.NoReg, B: ir.R(ir.T0)})
		} else {
			length = append(length, ir.Instr{Op: ir.Add, Dst: off, A: from, B: ir.R(ir.T0)})
		}
		return l.do(l.within(at, 2, l.do(again, length...), short), move...)
	}
	next := l.among(kind, []uint32{protoAH}, []block{over(2, 2, ir.NoReg)}, no)
	if n.typ == header.TypeIP6 {
		extensions := []uint32{0, 60, 43, protoFragment}
		next = l.among(kind, extensions, slices.Repeat([]block{over(1, 3, off)}, len(extensions)), next)
	}
	l.loop(head, l.among(kind, []uint32{n.num, protoNone}, []block{yes, no}, next))
	begin := l.do(head, mov(ir.Ext, 0))
	if n.typ == header.TypeIP6 {
		first := l3.plus(6)
		return l.within(first, 1, l.do(begin, load(kind, first, 1), mov(off, 40)), short)
	}
	protocol := l3.plus(9)
	begin = l.within(l3, 1, l.do(begin, load(ir.T0, l3, 1), op(ir.And, ir.T0, ir.T0, 0x0f), op(ir.Shl, off, ir.T0, 2)), short)
	return l.within(protocol, 1, l.do(begin, load(kind, protocol, 1)), short)
}

// maxChain bounds a walk along a chain of headers.
const maxChain = 32
