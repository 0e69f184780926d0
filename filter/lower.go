package filter

import (
	"net/netip"
	"slices"

	"github.com/tundump/tundump/filter/header"
	"github.com/tundump/tundump/filter/ir"
)

// lowerer turns the tree into blocks. It passes continuations: what to build
// where the expression holds, and where it does not. A load beyond the packet
// rejects it, as in libpcap; inside a scope it makes the primitive false.
type lowerer struct {
	*builder
	opt  Options
	sets []*ir.Members // that the program looks up
}

func lower(n node, opt Options) *ir.Prog {
	l := &lowerer{builder: newBuilder(), opt: opt}
	start := l.expr(n, plain, func(frame) block { return ir.Accept }, func(frame) block { return ir.Reject })
	p := optimise(l.finish(start))
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

// addr is an offset in the packet: a register and a constant.
type addr struct {
	reg ir.Reg
	off uint32
}

func (a addr) plus(n uint32) addr { return addr{a.reg, a.off + n} }

// mov returns the instruction that computes the address.
func (a addr) mov(to ir.Reg) ir.Instr {
	if a.reg == ir.NoReg {
		return ir.Instr{Op: ir.Mov, Dst: to, A: ir.NoReg, B: ir.Imm(a.off)}
	}
	return ir.Instr{Op: ir.Add, Dst: to, A: a.reg, B: ir.Imm(a.off)}
}

// frame says where a primitive finds the headers it looks at.
type frame uint8

const (
	// plain primitives look right behind the link header, at constant offsets.
	plain frame = iota
	// shifted ones look behind the tunnel header that a tunnel primitive before
	// them has matched: S2, S3 and SType say where.
	shifted
	// scoped ones look at the level that L2, L3, Type, and if needed Proto and L4,
	// describe.
	scoped
)

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

// expr builds the test of n. A tunnel primitive that holds shifts the frame of
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
	case tunnel:
		if f == scoped {
			return l.tunnel(selector{tunnel: &n, test: true}, yes(f), no(f))
		}
		return l.shift(n, f, yes(shifted), no(f))
	}
	t, e := yes(f), no(f)
	short := e
	if f != scoped {
		short = ir.Reject
	}
	return l.primitive(n, f, t, e, short)
}

// primitive builds the test of a leaf that shifts nothing.
func (l *lowerer) primitive(n node, f frame, yes, no, short block) block {
	switch n := n.(type) {
	case always:
		return yes
	case etherType:
		return l.byType(f, []uint32{n.num}, []block{yes}, no, short)
	case proto:
		var to []block
		for _, t := range n.types {
			to = append(to, l.proto(f, t, []uint32{n.num}, yes, no, short))
		}
		return l.byType(f, n.types, to, no, short)
	case host:
		var to []block
		for _, t := range n.types {
			to = append(to, l.addresses(f, t, n, yes, no, short))
		}
		return l.byType(f, n.types, to, no, short)
	case port:
		types := ipTypes()
		var to []block
		for _, t := range types {
			to = append(to, l.port(f, t, n, yes, no, short))
		}
		return l.byType(f, types, to, no, short)
	case ether:
		return l.ether(f, n, yes, no, short)
	case length:
		return l.length(f, n, yes, no)
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
	case v == mask && v&(v-1) == 0:
		return l.add(code, ir.Set, r, ir.Imm(mask), yes, no)
	}
	if mask != 1<<(8*uint64(size))-1 {
		code = append(code, op(ir.And, ir.T1, r, mask))
		r = ir.T1
	}
	return l.add(code, ir.Eq, r, ir.Imm(v), yes, no)
}

// byType builds the jump to the block of the network header's EtherType, or to
// other.
func (l *lowerer) byType(f frame, types []uint32, to []block, other, short block) block {
	switch {
	case f == scoped:
		return l.among(ir.Type, types, to, other)
	case f == shifted:
		return l.among(ir.SType, types, to, other)
	}
	switch at, _, size := l.plainType(); size {
	case 2:
		return l.within(at, 2, l.do(l.among(ir.T0, types, to, other), load(ir.T0, at, size)), short)
	default: // no type field: by what the link type says, or by the version
		rules := l.opt.LinkType.First()
		n := other
		for i := len(rules) - 1; i >= 0; i-- {
			hit := other
			if at := slices.Index(types, startType(rules[i].To)); at >= 0 {
				hit = to[at]
			}
			if test := rules[i].If; test.Size == 0 {
				n = hit
			} else {
				n = l.equals(addr{ir.NoReg, uint32(test.Off)}, test.Size, test.Mask, test.Value, hit, n)
			}
		}
		if len(rules) > 1 {
			n = l.within(addr{ir.NoReg, 0}, 1, n, short)
		}
		return n
	}
}

// plainType returns where the link header has the EtherType, and where it ends. The
// size is 0 if there is no link header.
func (l *lowerer) plainType() (at addr, end uint32, size uint8) {
	h := l.opt.Table.Header(l.opt.LinkType.First()[0].To)
	if h.Class != header.Link {
		return addr{}, 0, 0
	}
	field, _ := h.Field(h.Next.By)
	return addr{ir.NoReg, uint32(field.Off)}, h.Fixed, field.Size
}

// network returns where the network header is.
func (l *lowerer) network(f frame) addr {
	switch f {
	case scoped:
		return addr{ir.L3, 0}
	case shifted:
		return addr{ir.S3, 0}
	}
	_, end, _ := l.plainType()
	return addr{ir.NoReg, end}
}

// proto builds the test that the packet, known to have a network header of the
// given type, carries one of the IP protocols.
func (l *lowerer) proto(f frame, typ uint32, nums []uint32, yes, no, short block) block {
	hits := slices.Repeat([]block{yes}, len(nums))
	if f == scoped {
		n := l.among(ir.Proto, nums, hits, no)
		if typ != header.TypeIP6 {
			return n
		}
		// An extension header is there if it is the first one, too.
		at := addr{ir.L3, 6}
		return l.among(ir.Proto, nums, hits, l.within(at, 1, l.do(l.among(ir.T0, nums, hits, no), load(ir.T0, at, 1)), no))
	}
	l3 := l.network(f)
	if typ == header.TypeIP {
		at := l3.plus(9)
		return l.within(at, 1, l.do(l.among(ir.T0, nums, hits, no), load(ir.T0, at, 1)), short)
	}
	// libpcap looks at the first header, and at what follows it if it is a fragment header.
	at, behind := l3.plus(6), l3.plus(40)
	fragment := l.within(behind, 1, l.do(l.among(ir.T0, nums, hits, no), load(ir.T0, behind, 1)), short)
	other := l.among(ir.T0, []uint32{44}, []block{fragment}, no)
	return l.within(at, 1, l.do(l.among(ir.T0, nums, hits, other), load(ir.T0, at, 1)), short)
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
	l3 := l.network(f)
	result := no
	if n.in != nil {
		return l.addressSet(l3, typ, n, yes, no, short)
	}
	for _, prefix := range slices.Backward(n.nets) {
		if prefix.Addr().Is4() == (typ == header.TypeIP6) {
			continue
		}
		srcOff, dstOff := addressesOf(typ)
		result = eitherWay(n.dir, func(dst bool, yes, no block) block {
			// Each in a register of its own, where it stays for the next address.
			if dst {
				return l.inNet(ir.T2, l3.plus(dstOff), prefix, yes, no, short)
			}
			return l.inNet(ir.T0, l3.plus(srcOff), prefix, yes, no, short)
		}, yes, result)
	}
	return result
}

// inNet builds the test that the address at a is in a network, word by word.
func (l *lowerer) inNet(r ir.Reg, a addr, prefix netip.Prefix, yes, no, short block) block {
	b := prefix.Addr().AsSlice()
	for i := (prefix.Bits() - 1) / 32; i >= 0 && prefix.Bits() > 0; i-- {
		w := b[4*i:]
		mask := ^uint32(0)
		if rest := prefix.Bits() - 32*i; rest < 32 {
			mask <<= 32 - rest
		}
		v := uint32(w[0])<<24 | uint32(w[1])<<16 | uint32(w[2])<<8 | uint32(w[3])
		at := a.plus(uint32(4 * i))
		yes = l.within(at, 4, l.equalsIn(r, at, 4, mask, v, yes, no), short)
	}
	return yes
}

// ether builds the test of the level's MAC addresses.
func (l *lowerer) ether(f frame, n ether, yes, no, short block) block {
	at := addr{ir.NoReg, 0}
	switch f {
	case scoped:
		at = addr{ir.L2, 0}
	case shifted:
		at, short = addr{ir.S2, 0}, no // S2 is absent if the tunnel carries no Ethernet
	}
	m := n.mac
	n4 := uint32(m[2])<<24 | uint32(m[3])<<16 | uint32(m[4])<<8 | uint32(m[5])
	n2 := uint32(m[0])<<8 | uint32(m[1])
	test := eitherWay(n.dir, func(dst bool, yes, no block) block {
		a := at.plus(6)
		if dst {
			a = at
		}
		// The last four bytes first: the others are often equal.
		return l.within(a.plus(2), 4, l.equals(a.plus(2), 4, ^uint32(0), n4,
			l.within(a, 2, l.equals(a, 2, 0xffff, n2, yes, no), short), no), short)
	}, yes, no)
	if f == scoped {
		test = l.among(ir.Kind, []uint32{header.TypeTEB}, []block{test}, no)
	}
	return test
}

// transport builds the computation of where the transport header is, for a
// network header of the given type, in front of a test of it. A fragment other
// than the first has none.
func (l *lowerer) transport(f frame, typ uint32, test func(at addr) block, no, short block) block {
	if f == scoped {
		return test(addr{ir.L4, 0})
	}
	l3 := l.network(f)
	if typ == header.TypeIP6 {
		return test(l3.plus(40))
	}
	at, code := addr{ir.L4, l3.off}, []ir.Instr{
		load(ir.T0, l3, 1), op(ir.And, ir.T1, ir.T0, 0x0f), op(ir.Shl, ir.L4, ir.T1, 2),
	}
	if l3.reg != ir.NoReg {
		at.off = 0
		code = append(code, ir.Instr{Op: ir.Add, Dst: ir.L4, A: ir.L4, B: ir.R(l3.reg)})
	}
	n := l.within(l3, 1, l.do(test(at), code...), short)
	offset := l3.plus(6)
	return l.within(offset, 2, l.add([]ir.Instr{load(ir.T0, offset, 2)}, ir.Set, ir.T0, ir.Imm(0x1fff), no, n), short)
}

// port builds the test of the ports behind a network header of the given type.
func (l *lowerer) port(f frame, typ uint32, n port, yes, no, short block) block {
	ports := l.transport(f, typ, func(at addr) block {
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
	if f == scoped {
		return l.among(ir.Proto, n.protos, hits, no)
	}
	at := l.network(f).plus(9)
	if typ == header.TypeIP6 {
		at = l.network(f).plus(6)
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

// length builds the comparison of the packet's length; inside a scope, of the bytes
// from the start of the level to the end of the packet.
func (l *lowerer) length(f frame, n length, yes, no block) block {
	cond := ir.Eq
	switch n.op {
	case notEqual:
		yes, no = no, yes
	case greater:
		cond = ir.Gt
	case greaterEqual:
		cond = ir.Ge
	case less:
		cond, yes, no = ir.Ge, no, yes
	case lessEqual:
		cond, yes, no = ir.Gt, no, yes
	}
	compare := func(code ...ir.Instr) block {
		code = append([]ir.Instr{{Op: ir.LoadMeta, Dst: ir.T0, A: ir.NoReg, B: ir.Imm(ir.MetaLen)}}, code...)
		return l.add(code, cond, ir.T0, ir.Imm(n.n), yes, no)
	}
	whole := compare(
		ir.Instr{Op: ir.LoadMeta, Dst: ir.T1, A: ir.NoReg, B: ir.Imm(ir.MetaTag)},
		ir.Instr{Op: ir.Add, Dst: ir.T0, A: ir.T0, B: ir.R(ir.T1)})
	if f != scoped {
		return whole
	}
	// A tag in the metadata belongs to level 0, which starts at 0.
	rest := compare(ir.Instr{Op: ir.Sub, Dst: ir.T0, A: ir.T0, B: ir.R(ir.L2)})
	return l.among(ir.L2, []uint32{0}, []block{whole}, rest)
}
