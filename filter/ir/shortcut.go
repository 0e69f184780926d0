package ir

import "slices"

// Unsure is where a shortcut leads to that does not know: a target, as Accept and Reject are.
const Unsure = -3

// Start is the register that a shortcut counts in how far into the packet it is: it loads what is there at
// constant offsets from that, or from the start of the packet as long as it has not been written.
const Start = SType

// Shortcut returns a program without loops that says of packets like those given what p says,
// fast: all of its loads are at constant offsets from [Start]. Of others it says the same as p
// or is [Unsure]. It depends on no fragment that was seen, and notes none. It is for packets of
// which at least so many bytes are where they can be read as it asks for with Within; where they
// are not, it is unsure. It is nil if it would never be sure.
//
// The packets are run through p, with what depends on their bytes as expressions over them: each test that
// they come to is in the shortcut, with the ways that they went, and where the bytes are free the other
// way as well. Where something starts that is not at a constant offset, a test sees to it that it is
// where it was in these packets. What p does the same wherever it starts, as with a frame in any tunnel, is run
// as if the packet started there, once for all packets that go on alike, and is there once. looks says which look-ups in
// sets it may have.
func (p *Prog) Shortcut(packets []Likely, looks func(Block) bool) *Prog {
	s := &shortcut{
		prog: p, live: p.Live(), g: newGraph(newTerms(), false), bases: make([]uint32, len(p.Blocks)), returns: make([]bool, len(p.Blocks)), looks: looks,
		nodes: make(map[place]*node, len(p.Blocks)), alike: map[string]*Likely{},
		ends: map[int]*node{Accept: {leaf: Accept}, Reject: {leaf: Reject}, Unsure: {leaf: Unsure}},
	}
	for changed := true; changed; {
		changed = false
		for n := range slices.Backward(p.Blocks) {
			bases, returns := s.basesAt(n, 0), s.returnsAt(n)
			if bases != s.bases[n] || returns != s.returns[n] {
				s.bases[n], s.returns[n], changed = bases, returns, true
			}
		}
	}
	for n := range packets {
		s.run(&packets[n])
	}
	start := s.nodes[place{}]
	if start == nil {
		return nil
	}
	return s.join(s.divide(start, packets))
}

// mostNodes bounds a shortcut.
const mostNodes = 2000

// shortcut is one that is made.
type shortcut struct {
	prog    *Prog
	live    []uint32
	g       *Graph
	bases   []uint32 // of each block, the registers that loads are relative to before they are written
	returns []bool   // and whether what comes then reads at constant offsets
	looks   func(Block) bool
	nodes   map[place]*node
	ends    map[int]*node
	alike   map[string]*Likely // what packets go on with: one for all that do so alike
	todo    []visit
}

// place is somewhere in the program, and what the registers hold that are read from there on.
type place struct {
	block, pc int
	regs      [NRegs]Expr // Zero for others
	moved     bool        // whether it is as if the packet started at the header at hand: then
	offsets   uint32      // these registers, as bits, are offsets from there, and no other is one
}

// node is what the program does from a place on, up to what depends on the packet.
type node struct {
	done    bool
	leaf    int // where it ends, if it is no test: Accept, Reject or Unsure
	test    test
	yes, no edge            // to nil where no packet went
	starts  map[uint32]edge // if it is not nil, test.a must be one of these for what comes then
	came    []*Likely       // the packets that came here

	moved  bool
	from   []spot // see divide
	passed bool
}

// edge leads to a node, past so many bytes of the packet.
type edge struct {
	to   *node
	skip uint32
}

// visit is a packet's at a node.
type visit struct {
	node   *node
	at     place
	vals   [NRegs]uint32
	packet *Likely
}

// basesAt returns the registers that loads are relative to, or what is computed from them, before they
// are written, from an instruction of a block on.
func (s *shortcut) basesAt(block, pc int) (bases uint32) {
	b := &s.prog.Blocks[block]
	for _, to := range []int{b.True, b.False} {
		if to >= 0 {
			bases |= s.bases[to]
		}
	}
	if b.Cond == Within && b.A != NoReg {
		bases |= 1 << b.A
	}
	for _, i := range slices.Backward(b.Code[pc:]) {
		is := bases>>i.Dst&1 == 1
		if bases &^= 1 << i.Dst; is && i.Op < Load || i.Op == Load {
			i.Reads(func(r Reg) { bases |= 1 << r })
		}
	}
	return bases
}

// returnsAt returns whether a block, or what comes then, reads at constant offsets.
func (s *shortcut) returnsAt(block int) bool {
	b := &s.prog.Blocks[block]
	return b.True >= 0 && s.returns[b.True] || b.False >= 0 && s.returns[b.False] || b.Cond == Within && b.A == NoReg ||
		slices.ContainsFunc(b.Code, func(i Instr) bool { return i.Op == Load && i.A == NoReg })
}

// run runs a packet through the program.
func (s *shortcut) run(p *Likely) {
	s.to(p, 0, place{}, [NRegs]uint32{})
	for len(s.todo) > 0 {
		v := s.todo[len(s.todo)-1]
		s.todo = s.todo[:len(s.todo)-1]
		s.step(v)
	}
}

// to has a packet visit the node of a block, and returns the way there: to nil if there are too many.
func (s *shortcut) to(p *Likely, block int, at place, vals [NRegs]uint32) edge {
	if block < 0 {
		return edge{to: s.ends[block]}
	}
	at.block, at.pc = block, 0
	s.forget(&at, &vals, s.live[block])
	skip := s.move(&at, &vals, p)
	if skip > 0 {
		p = s.rest(p, skip)
	}
	return edge{s.visit(p, at, vals), skip}
}

// forget leaves only what is read.
func (s *shortcut) forget(at *place, vals *[NRegs]uint32, live uint32) {
	for r := range at.regs {
		if live>>r&1 == 0 {
			at.regs[r], vals[r] = Zero, 0
		}
	}
	at.offsets &= live
}

// visit has a packet visit the node of a place, if it has not yet.
func (s *shortcut) visit(p *Likely, at place, vals [NRegs]uint32) *node {
	n := s.nodes[at]
	if n == nil {
		if len(s.nodes) == mostNodes {
			return nil
		}
		n = &node{leaf: Unsure, moved: at.moved}
		s.nodes[at] = n
	}
	if !slices.Contains(n.came, p) {
		n.came = append(n.came, p)
		s.todo = append(s.todo, visit{n, at, vals, p})
	}
	return n
}

// offsets are the registers that have offsets in the packet.
const offsets = 1<<L2 | 1<<L3 | 1<<L4 | 1<<Cur | 1<<S2 | 1<<S3

// move makes it as if the packet started where the first register says that is read, if nothing that is read
// depends on the packet. It returns how far that is.
func (s *shortcut) move(at *place, vals *[NRegs]uint32, p *Likely) (skip uint32) {
	if s.returns[at.block] {
		return 0
	}
	skip = uint32(len(p.Data))
	moved := uint32(0)
	for r := range NRegs {
		v, constant := s.g.Const(at.regs[r])
		if !constant {
			return 0
		}
		live := s.live[at.block]>>r&1 == 1
		if live && (at.offsets>>r&1 == 1 || !at.moved && offsets>>r&1 == 1 && v < Absent) {
			moved |= 1 << r
			skip = min(skip, v)
		}
	}
	if moved == 0 || skip == 0 {
		return 0
	}
	at.moved, at.offsets = true, moved
	each(moved, func(r Reg) {
		vals[r] -= skip
		at.regs[r] = s.g.number(vals[r])
	})
	return skip
}

// each calls f for each register of a set.
func each(set uint32, f func(Reg)) {
	for r := range NRegs {
		if set>>r&1 == 1 {
			f(r)
		}
	}
}

// rest returns what a packet goes on with.
func (s *shortcut) rest(p *Likely, skip uint32) *Likely {
	rest := Likely{p.Data[skip:], p.Roles[skip:]}
	key := make([]byte, 0, 2*len(rest.Data))
	key = append(key, rest.Data...)
	for _, r := range rest.Roles {
		key = append(key, byte(r))
	}
	if s.alike[string(key)] == nil {
		s.alike[string(key)] = &rest
	}
	return s.alike[string(key)]
}

// follow returns which registers are offsets after an instruction that is run as if the packet started
// elsewhere. It fails if what is computed depends on where the packet starts in another way.
func follow(i Instr, offsets uint32) (after uint32, ok bool) {
	is := func(r Reg) bool { return r != NoReg && offsets>>r&1 == 1 }
	a, b, offset := is(i.A), is(i.B.Reg), false
	switch i.Op {
	case Load:
		ok = a
	case LoadMeta:
		ok = true
	case Mov:
		ok, offset = true, b
	case Add:
		ok, offset = !a || !b, a || b
	case Sub:
		ok, offset = a || !b, a && !b
	default:
		ok = !a && !b
	}
	if offsets &^= 1 << i.Dst; offset {
		offsets |= 1 << i.Dst
	}
	return offsets, ok
}

// asks is follow for what a block ends with.
func asks(b *Block, offsets uint32) bool {
	is := func(r Reg) bool { return r != NoReg && offsets>>r&1 == 1 }
	switch b.Cond {
	case Always, Keep:
		return true
	case Within:
		return is(b.A)
	}
	return !is(b.A) && !is(b.B.Reg)
}

// step runs a packet from a node on up to those that come next.
func (s *shortcut) step(v visit) {
	n, p, at, vals := v.node, v.packet, v.at, v.vals
	b := &s.prog.Blocks[at.block]
	expr := func(v Val) Expr {
		if v.Reg == NoReg {
			return s.g.number(v.Imm)
		}
		return at.regs[v.Reg]
	}
	value := func(v Val) uint32 {
		if v.Reg == NoReg {
			return v.Imm
		}
		return vals[v.Reg]
	}
	for pc := at.pc; pc < len(b.Code); pc++ {
		i := b.Code[pc]
		a, x := expr(Val{Reg: i.A}), value(Val{Reg: i.A})
		if at.moved {
			var ok bool
			if at.offsets, ok = follow(i, at.offsets); !ok {
				return
			}
		}
		switch y := value(i.B); {
		case i.Op == Load:
			from := x + i.B.Imm
			if _, constant := s.g.Const(a); !constant || uint64(from)+uint64(i.Size) > uint64(len(p.Data)) {
				return // it cannot be, but for a packet that went a way that was not its own
			}
			a, x = s.g.load(i.Size, a, i.B.Imm), 0
			for _, c := range p.Data[from : from+uint32(i.Size)] {
				x = x<<8 | uint32(c)
			}
		case i.Op == LoadMeta:
			m := Meta{Len: uint32(len(p.Data))}
			a, x = s.g.meta(i.B.Imm), m.fact(i.B.Imm)
		case (i.Op == Div || i.Op == Mod) && y == 0, (i.Op == Shl || i.Op == Shr) && y > 31:
			return // likewise
		default:
			a, x = s.g.op(i.Op, a, expr(i.B)), i.Op.Of(x, y)
		}
		at.regs[i.Dst], vals[i.Dst] = a, x
		if _, constant := s.g.Const(a); !constant && i.Op != Load && i.Op != LoadMeta && s.basesAt(at.block, pc+1)>>i.Dst&1 == 1 {
			if n.starts == nil {
				n.done, n.test.a, n.starts = true, a, map[uint32]edge{}
			}
			at.regs[i.Dst] = s.g.number(x)
			at.pc = pc + 1
			s.forget(&at, &vals, b.LiveBefore(at.pc, s.live))
			n.starts[x] = edge{to: s.visit(p, at, vals)}
			return
		}
	}
	if at.moved && !asks(b, at.offsets) {
		return
	}
	to := func(block int) edge { return s.to(p, block, at, vals) }
	a, x := expr(Val{Reg: b.A}), value(Val{Reg: b.A})
	c, y := expr(b.B), value(b.B)
	switch b.Cond {
	case Always, Keep: // nothing was noted
		n.done, n.test, n.yes = true, test{cond: Always}, to(b.True)
		return
	case Again:
		if _, constant := s.g.Const(a); !constant {
			return
		}
		n.done, n.test = true, test{cond: Always}
		if x >= b.B.Imm {
			n.yes = to(b.False)
			return
		}
		at.regs[b.A], vals[b.A] = s.g.number(x+1), x+1
		n.yes = to(b.True)
		return
	case Within:
		if from, constant := s.g.Const(a); !constant || uint64(from)+uint64(b.B.Imm) > uint64(len(p.Data)) {
			return
		}
		n.done, n.test = true, test{cond: Within, a: Zero, b: s.g.number(x + b.B.Imm)}
		n.yes = to(b.True)
		return
	case In:
		if !s.looks(*b) {
			return
		}
	case First, Follows, InLong:
		return
	}
	n.done, n.test = true, test{cond: b.Cond, a: a, b: c}
	holds := b.Cond.holds(x, y)
	if b.Cond == In {
		holds = s.prog.Sets[b.B.Imm].Has(x)
	}
	if known := s.g.simple(test{b.Cond, a, c, Accept, Reject}); known.cond == Always {
		n.test = test{cond: Always}
		if known.yes == Accept {
			n.yes = to(b.True)
		} else {
			n.yes = to(b.False)
		}
		return
	}
	either := s.g.is(Free, a, p) && s.g.is(Free, c, p)
	if !holds || either {
		n.no = to(b.False)
	}
	if holds || either {
		if _, constant := s.g.Const(c); b.Cond == Eq && constant {
			for r := range at.regs { // what is known now
				if at.regs[r] == a {
					at.regs[r], vals[r] = c, y
				}
			}
		}
		n.yes = to(b.True)
	}
}
