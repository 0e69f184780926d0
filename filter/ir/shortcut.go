package ir

import (
	"maps"
	"math"
	"slices"
)

// Unsure is where a shortcut leads to that does not know: a target, as Accept and Reject are.
const Unsure = -3

// Shortcut returns a program without loops that says of packets like those given what p says,
// fast: all of its loads are at constant offsets, below limit bytes. Of others it says the same as p
// or is [Unsure]. It depends on no fragment that was seen, and notes none. It is for packets of
// which at least so many bytes are where they can be read as it asks for with Within; where they
// are not, it is unsure. It is nil if it would never be sure.
//
// The packets are run through p, with what depends on their bytes as expressions over them: each test that
// they come to is in the shortcut, with the ways that they went, and where the bytes are free the other
// way as well. Where something starts that is not at a constant offset, a test sees to it that it is
// where it was in these packets. looks says which look-ups in sets it may have.
func (p *Prog) Shortcut(packets []Likely, limit uint32, looks func(Block) bool) *Prog {
	s := &shortcut{prog: p, live: p.Live(), g: newGraph(newTerms(), false), bases: make([]uint32, len(p.Blocks)), nodes: map[place]*node{}, limit: limit, looks: looks}
	for changed := true; changed; {
		changed = false
		for n := range p.Blocks {
			if bases := s.basesAt(n, 0); bases != s.bases[n] {
				s.bases[n], changed = bases, true
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
	s.g.start, _ = s.build(start)
	g := s.g.thread().join().thread().order(packets).layout(packets)
	if g.start == Unsure {
		return nil
	}
	q := g.Prog()
	if q == nil {
		return nil
	}
	q.Sets = p.Sets
	for n := range q.Blocks {
		if b := &q.Blocks[n]; b.Cond == Within {
			b.False = Unsure
		}
	}
	return q
}

// mostNodes bounds a shortcut.
const mostNodes = 2000

// shortcut is one that is made.
type shortcut struct {
	prog   *Prog
	live   []uint32
	g      *Graph
	bases  []uint32 // of each block, the registers that loads are relative to before they are written
	nodes  map[place]*node
	limit  uint32
	looks  func(Block) bool
	packet *Likely
	todo   []visit
}

// place is somewhere in the program, and what the registers hold that are read from there on.
type place struct {
	block, pc int
	regs      [NRegs]Expr // Zero for others
}

// node is what the program does from a place on, up to what depends on the packet.
type node struct {
	done     bool
	leaf     int // where it ends, if it is no test: Accept, Reject or Unsure
	test     test
	yes, no  *node            // nil where no packet went
	starts   map[uint32]*node // if it is not nil, test.a must be one of these for what comes then
	shortest uint32           // the length of the shortest packet that came here
}

// visit is a packet's at a node.
type visit struct {
	at   place
	vals [NRegs]uint32
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

// run runs a packet through the program.
func (s *shortcut) run(p *Likely) {
	s.packet = p
	s.todo = []visit{{}}
	for seen := map[*node]bool{}; len(s.todo) > 0; {
		v := s.todo[len(s.todo)-1]
		s.todo = s.todo[:len(s.todo)-1]
		n := s.node(v.at)
		if n == nil || seen[n] {
			continue
		}
		seen[n] = true
		n.shortest = min(n.shortest, uint32(len(p.Data)))
		s.step(n, v)
	}
}

// node returns the node of a place, nil if there are too many.
func (s *shortcut) node(at place) *node {
	n := s.nodes[at]
	if n == nil && len(s.nodes) < mostNodes {
		n = &node{leaf: Unsure, shortest: math.MaxUint32}
		s.nodes[at] = n
	}
	return n
}

// to returns the node of a place that a packet goes to, and has it visited.
func (s *shortcut) to(block, pc int, regs [NRegs]Expr, vals [NRegs]uint32) *node {
	if block < 0 {
		return &node{leaf: block}
	}
	live := s.prog.Blocks[block].LiveBefore(pc, s.live)
	for r := range regs {
		if live>>r&1 == 0 {
			regs[r], vals[r] = Zero, 0
		}
	}
	at := place{block, pc, regs}
	s.todo = append(s.todo, visit{at, vals})
	return s.node(at)
}

// step runs a packet from a node on up to those that come next.
func (s *shortcut) step(n *node, v visit) {
	regs, vals := v.at.regs, v.vals
	b := &s.prog.Blocks[v.at.block]
	expr := func(v Val) Expr {
		if v.Reg == NoReg {
			return s.g.number(v.Imm)
		}
		return regs[v.Reg]
	}
	value := func(v Val) uint32 {
		if v.Reg == NoReg {
			return v.Imm
		}
		return vals[v.Reg]
	}
	for pc := v.at.pc; pc < len(b.Code); pc++ {
		i := b.Code[pc]
		a, x := expr(Val{Reg: i.A}), value(Val{Reg: i.A})
		switch y := value(i.B); {
		case i.Op == Load:
			at := x + i.B.Imm
			if _, constant := s.g.Const(a); !constant || uint64(at)+uint64(i.Size) > uint64(len(s.packet.Data)) {
				return // it cannot be, but for a packet that went a way that was not its own
			}
			a, x = s.g.load(i.Size, a, i.B.Imm), 0
			for _, c := range s.packet.Data[at : at+uint32(i.Size)] {
				x = x<<8 | uint32(c)
			}
		case i.Op == LoadMeta:
			m := Meta{Len: uint32(len(s.packet.Data))}
			a, x = s.g.meta(i.B.Imm), m.fact(i.B.Imm)
		case (i.Op == Div || i.Op == Mod) && y == 0, (i.Op == Shl || i.Op == Shr) && y > 31:
			return // likewise
		default:
			a, x = s.g.op(i.Op, a, expr(i.B)), i.Op.Of(x, y)
		}
		regs[i.Dst], vals[i.Dst] = a, x
		if _, constant := s.g.Const(a); !constant && s.basesAt(v.at.block, pc+1)>>i.Dst&1 == 1 && i.Op != Load && i.Op != LoadMeta {
			if n.starts == nil {
				n.done, n.test.a, n.starts = true, a, map[uint32]*node{}
			}
			regs[i.Dst] = s.g.number(x)
			n.starts[x] = s.to(v.at.block, pc+1, regs, vals)
			return
		}
	}
	n.done = true
	a, x := expr(Val{Reg: b.A}), value(Val{Reg: b.A})
	c, y := expr(b.B), value(b.B)
	switch b.Cond {
	case Always, Keep: // nothing was noted
		n.test, n.yes = test{cond: Always}, s.to(b.True, 0, regs, vals)
		return
	case Again:
		if _, constant := s.g.Const(a); !constant {
			return
		}
		n.test = test{cond: Always}
		if x >= b.B.Imm {
			n.yes = s.to(b.False, 0, regs, vals)
			return
		}
		regs[b.A], vals[b.A] = s.g.number(x+1), x+1
		n.yes = s.to(b.True, 0, regs, vals)
		return
	case Within:
		if at, constant := s.g.Const(a); !constant || uint64(at)+uint64(b.B.Imm) > uint64(min(s.limit, uint32(len(s.packet.Data)))) {
			return
		}
		n.test = test{cond: Within, a: Zero, b: s.g.number(x + b.B.Imm)}
		n.yes = s.to(b.True, 0, regs, vals)
		return
	case In:
		if !s.looks(*b) {
			return
		}
	case First, Follows, InLong:
		return
	}
	n.test = test{cond: b.Cond, a: a, b: c}
	holds := b.Cond.holds(x, y)
	if b.Cond == In {
		holds = s.prog.Sets[b.B.Imm].Has(x)
	}
	if known := s.g.simple(test{b.Cond, a, c, Accept, Reject}); known.cond == Always {
		n.test = test{cond: Always}
		to := b.False
		if known.yes == Accept {
			to = b.True
		}
		n.yes = s.to(to, 0, regs, vals)
		return
	}
	either := s.g.is(Free, a, s.packet) && s.g.is(Free, c, s.packet)
	if holds || either {
		n.yes = s.to(b.True, 0, regs, vals)
	}
	if !holds || either {
		n.no = s.to(b.False, 0, regs, vals)
	}
}

// build returns the target that a node is in the graph, and how many bytes of the packet what
// comes then may ask for.
func (s *shortcut) build(n *node) (to int, need uint32) {
	built := map[*node]int{}
	needs := map[*node]uint32{}
	var build func(n *node) (int, uint32)
	build = func(n *node) (int, uint32) {
		if n == nil {
			return Unsure, 0
		}
		if to, ok := built[n]; ok {
			return to, needs[n]
		}
		to, need := n.leaf, uint32(0)
		t := n.test
		switch {
		case !n.done:
		case n.starts != nil:
			to = Unsure
			for _, v := range slices.Backward(slices.Sorted(maps.Keys(n.starts))) {
				yes, more := build(n.starts[v])
				need = max(need, more)
				if yes != to {
					start := test{Eq, t.a, s.g.number(v), yes, to}
					if m, ok := s.g.masked(start); ok {
						start = s.g.test(m)
					}
					to = s.g.add(start)
				}
			}
		case n.yes == nil && n.no == nil:
		case t.cond == Always:
			to, need = build(n.yes)
		default:
			var more uint32
			t.yes, need = build(n.yes)
			t.no, more = build(n.no)
			need = max(need, more)
			if t.cond == Within {
				// What comes then asks for more, of packets that have it.
				size := max(s.g.all[t.b].Imm, min(need, n.shortest))
				t.b, need = s.g.number(size), max(need, size)
			}
			if to = t.yes; t.yes != t.no {
				to = s.g.add(t)
			}
		}
		built[n], needs[n] = to, need
		return to, need
	}
	return build(n)
}
