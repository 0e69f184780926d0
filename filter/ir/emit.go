package ir

import (
	"slices"
)

// Prog returns the graph as a program: with a within before each load, and a test before
// each division, where no earlier one does for it. Numbers stay in registers as
// long as these are not needed for others; as in Graph, it is nil if there are not enough.
func (g *Graph) Prog() *Prog {
	if g.start < 0 {
		return &Prog{Blocks: []Block{{A: NoReg, B: Imm(0), True: g.start, False: g.start}}}
	}
	order := g.reach()
	e := &writer{Graph: g, last: map[Expr]int{}, need: make([]int8, len(g.all))}
	for at, n := range order {
		e.use(g.tests[n].a, at)
		e.use(g.tests[n].b, at)
	}
	entry := make([]*registers, len(g.tests))
	start := newRegisters()
	entry[g.start] = &start
	block := make([]int, len(g.tests)) // the first of each test
	for at, n := range order {
		t := g.tests[n]
		e.at, e.now = *entry[n], at
		block[n] = len(e.blocks)
		yes, no := e.test(t)
		for to, with := range map[int]registers{t.yes: yes, t.no: no} {
			switch {
			case to < 0:
			case entry[to] == nil:
				entry[to] = &with
			default:
				entry[to].meet(&with)
			}
		}
		entry[n] = nil
	}
	if e.full {
		return nil
	}
	for i := range e.blocks {
		b := &e.blocks[i]
		for _, to := range []*int{&b.True, &b.False} {
			if *to >= later {
				*to = block[*to-later]
			}
		}
	}
	return &Prog{Blocks: e.blocks}
}

// later is added to tests that blocks lead to, until it is known where they are.
const later = 1 << 32

// writer writes the blocks of a Prog.
type writer struct {
	*Graph
	blocks []Block
	code   []Instr // of the next block
	at     registers
	now    int          // how many tests have been written
	last   map[Expr]int // the last test that each expression is used for
	need   []int8       // how many registers each takes
	pinned uint32       // registers that the instruction at hand needs, as bits
	full   bool         // they were not enough
}

// registers says what they hold, and what Verify knows of that.
type registers struct {
	held   [NRegs]Expr // nothing if that is unknown
	within [NRegs + 1]uint32
	is     [NRegs]Range
}

// nothing is what a register holds of which nothing is known.
const nothing Expr = -1

func newRegisters() (r registers) {
	for n := range r.held {
		r.held[n] = nothing
	}
	return r
}

func (r *registers) meet(s *registers) {
	for n := range r.held {
		if r.held[n] != s.held[n] {
			r.held[n] = nothing
		}
		r.is[n] = r.is[n].Or(s.is[n])
	}
	for n := range r.within {
		r.within[n] = min(r.within[n], s.within[n])
	}
}

// use notes that a test uses an expression.
func (e *writer) use(x Expr, at int) {
	if last, ok := e.last[x]; ok && last == at {
		return
	}
	e.last[x] = at
	if t := e.all[x]; t.Op != Mov && t.Op != LoadMeta {
		e.use(t.A, at)
		if t.Op != Load {
			e.use(t.B, at)
		}
	}
}

// needs returns how many registers it takes to compute an expression, if of two operands
// that which needs more comes first.
func (e *writer) needs(x Expr) int8 {
	if e.need[x] > 0 {
		return e.need[x]
	}
	n := int8(1)
	if t := e.all[x]; t.Op != Mov && t.Op != LoadMeta {
		n = e.needs(t.A)
		if t.Op != Load {
			if m := e.needs(t.B); m == n {
				n++
			} else {
				n = max(n, m)
			}
		}
	}
	e.need[x] = n
	return n
}

// end ends a block.
func (e *writer) end(c Cond, a Reg, b Val, yes, no int) {
	e.blocks = append(e.blocks, Block{Code: e.code, Cond: c, A: a, B: b, True: yes, False: no})
	e.code = nil
}

// test writes a test, and returns what the registers hold on its edges.
func (e *writer) test(t test) (yes, no registers) {
	to := func(n int) int {
		if n < 0 {
			return n
		}
		return n + later
	}
	e.pinned = 0
	if t.cond == Within {
		r, n := e.base(t.a), e.all[t.b].Imm
		e.end(Within, r, Imm(n), to(t.yes), to(t.no))
		no = e.at
		e.at.within[slot(r)] = max(e.at.within[slot(r)], n)
		return e.at, no
	}
	e.ensure(t.a, t.b)
	a, b := e.both(t.a, t.b)
	e.end(t.cond, a, b, to(t.yes), to(t.no))
	yes, no = e.at, e.at
	if b.Reg == NoReg {
		yes.is[a] = yes.is[a].Where(t.cond, b.Imm, true)
		no.is[a] = no.is[a].Where(t.cond, b.Imm, false)
	}
	return yes, no
}

func slot(r Reg) Reg { return min(r, NRegs) }

// ensure makes sure that what is loaded at constant offsets is there, all at once.
func (e *writer) ensure(xs ...Expr) {
	var size uint32
	left := patience
	var visit func(x Expr)
	visit = func(x Expr) {
		t := e.all[x]
		if left--; left < 0 || t.Op == Mov || t.Op == LoadMeta || slices.Contains(e.at.held[:], x) {
			return
		}
		if t.Op == Load && t.A == Zero {
			size = max(size, t.Imm+uint32(t.Size))
		}
		visit(t.A)
		if t.Op != Load {
			visit(t.B)
		}
	}
	for _, x := range xs {
		visit(x)
	}
	e.within(NoReg, size)
}

// within makes sure that bytes from a register on are there.
func (e *writer) within(r Reg, size uint32) {
	if e.at.within[slot(r)] >= size {
		return
	}
	e.end(Within, r, Imm(size), len(e.blocks)+1, Reject)
	e.at.within[slot(r)] = size
}

// base returns a register for an offset in the packet.
func (e *writer) base(x Expr) Reg {
	if x == Zero {
		return NoReg
	}
	return e.get(x)
}

// both returns a register for a, and the operand for b.
func (e *writer) both(a, b Expr) (Reg, Val) {
	var ra, rb Reg
	was := e.pinned
	v, constant := e.Const(b)
	switch {
	case constant:
		ra = e.get(a)
	case e.needs(a) >= e.needs(b):
		ra = e.get(a)
		e.pinned |= 1 << ra
		rb = e.get(b)
	default:
		rb = e.get(b)
		e.pinned |= 1 << rb
		ra = e.get(a)
	}
	e.pinned = was
	if constant {
		return ra, Imm(v)
	}
	return ra, R(rb)
}

// get returns a register that holds an expression.
func (e *writer) get(x Expr) Reg {
	if r := slices.Index(e.at.held[:], x); r >= 0 {
		return Reg(r)
	}
	var i Instr
	was := e.pinned
	switch t := e.all[x]; t.Op {
	case Mov, LoadMeta:
		i = Instr{Op: t.Op, A: NoReg, B: Imm(t.Imm)}
	case Load:
		i = Instr{Op: Load, A: e.base(t.A), B: Imm(t.Imm), Size: t.Size}
		e.within(i.A, t.Imm+uint32(t.Size))
	default:
		i = Instr{Op: t.Op}
		i.A, i.B = e.both(t.A, t.B)
		if r := i.B.Reg; r != NoReg {
			// Reject where the result would be none.
			switch is := e.at.is[r]; {
			case (t.Op == Div || t.Op == Mod) && is.Lo == 0:
				e.end(Eq, r, Imm(0), Reject, len(e.blocks)+1)
				e.at.is[r] = is.Where(Eq, 0, false)
			case (t.Op == Shl || t.Op == Shr) && is.Hi > 31:
				e.end(Gt, r, Imm(31), Reject, len(e.blocks)+1)
				e.at.is[r] = is.Where(Gt, 31, false)
			}
		}
	}
	if i.A != NoReg {
		e.pinned |= 1 << i.A
	}
	if i.B.Reg != NoReg {
		e.pinned |= 1 << i.B.Reg
	}
	i.Dst = e.free()
	e.pinned = was
	of := func(v Val) Range {
		if v.Reg == NoReg {
			return Range{v.Imm, v.Imm}
		}
		return e.at.is[v.Reg]
	}
	e.at.is[i.Dst] = i.Result(of(Val{Reg: i.A}), of(i.B))
	e.at.held[i.Dst], e.at.within[i.Dst] = x, 0
	e.code = append(e.code, i)
	return i.Dst
}

// free returns a register for a new number: the first that holds nothing that is needed
// later, or else that whose number is needed for longest. Temporaries come first.
func (e *writer) free() Reg {
	best, until := NoReg, -1
	for n := range NRegs {
		r := (n + T0) % NRegs
		if e.pinned>>r&1 == 1 {
			continue
		}
		x := e.at.held[r]
		if x == nothing || e.last[x] < e.now {
			return r
		}
		if e.last[x] > until {
			best, until = r, e.last[x]
		}
	}
	if best == NoReg {
		e.full = true
		return T0
	}
	return best
}
