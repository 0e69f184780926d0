package bpf

import (
	"golang.org/x/net/bpf"

	"github.com/tundump/tundump/filter/ir"
)

// selector translates a graph. A, X and the memory cells are remembered from test to
// test, as far as all that leads to a test agrees on what they hold.
type selector struct {
	*ir.Graph
	*code
	live   bool
	at     contents
	pinned [cells]bool // cells that the test at hand needs
	uses   map[ir.Expr]int
}

// cells is how many numbers classic BPF keeps in memory (BPF_MEMWORDS).
const cells = 16

// contents says what the machine's registers and cells hold.
type contents struct {
	a, x ir.Expr
	m    [cells]ir.Expr
}

// nothing is what a register holds of which nothing is known.
const nothing ir.Expr = -1

func unknown() contents {
	c := contents{a: nothing, x: nothing}
	for n := range c.m {
		c.m[n] = nothing
	}
	return c
}

// meet leaves what two contents have in common.
func (c *contents) meet(d *contents) {
	same := func(a *ir.Expr, b ir.Expr) {
		if *a != b {
			*a = nothing
		}
	}
	same(&c.a, d.a)
	same(&c.x, d.x)
	for n := range c.m {
		same(&c.m[n], d.m[n])
	}
}

// fromGraph returns the code for a graph.
func fromGraph(g *ir.Graph, live bool) *code {
	s := &selector{Graph: g, code: &code{blocks: max(1, g.Len())}, live: live, uses: map[ir.Expr]int{}}
	if g.Start() < 0 {
		s.jump(nil, g.Start(), g.Start())
		return s.code
	}
	// Tests are numbered so that each comes after those that lead to it, and those that are but
	// loads before the packet is accepted last, so that nothing needs to be jumped over.
	var order, last []int
	for n := g.Len() - 1; n >= 0; n-- {
		if t := g.Test(n); t.Cond == ir.Within && t.True == ir.Accept {
			last = append(last, n)
		} else {
			order = append(order, n)
		}
	}
	order = append(order, last...)
	at := make([]int, g.Len())
	for k, n := range order {
		at[n] = k
	}
	number := func(n int) int {
		if n < 0 {
			return n
		}
		return at[n]
	}
	for n := range g.Len() {
		t := g.Test(n)
		left := 2 * patience
		s.count(t.A, &left)
		s.count(t.B, &left)
	}
	entry := make([]*contents, g.Len())
	start := unknown()
	entry[number(g.Start())] = &start
	for n := range g.Len() {
		t := g.Test(order[n])
		s.block, s.at = n, *entry[n]
		s.pinned = [cells]bool{}
		t.True, t.False = number(t.True), number(t.False)
		s.test(t)
		for _, to := range []int{t.True, t.False} {
			switch {
			case to < 0:
			case entry[to] == nil:
				at := s.at
				entry[to] = &at
			default:
				entry[to].meet(&s.at)
			}
		}
	}
	return s.code
}

// patience bounds how large expressions are looked at to save instructions.
const patience = 32

// count counts how often expressions are needed; left bounds what is looked at.
func (s *selector) count(e ir.Expr, left *int) {
	t := s.Term(e)
	if s.uses[e]++; *left == 0 || t.Op == ir.Mov || t.Op == ir.LoadMeta {
		return
	}
	*left--
	s.count(t.A, left)
	if t.Op != ir.Load {
		s.count(t.B, left)
	}
}

// test emits a test, and the jump to where it leads.
func (s *selector) test(t ir.Test) {
	if t.Cond == ir.Within {
		s.within(t)
		return
	}
	cond := map[ir.Cond]bpf.JumpTest{ir.Eq: bpf.JumpEqual, ir.Gt: bpf.JumpGreaterThan, ir.Ge: bpf.JumpGreaterOrEqual, ir.Set: bpf.JumpBitsSet}[t.Cond]
	if v, ok := s.Const(t.B); ok {
		if a := s.Term(t.A); s.live && a.Op == ir.LoadMeta && a.Imm == ir.MetaTag && v%4 == 0 && s.at.a != t.A {
			s.emit(fact(ir.MetaTag)) // it says 1 where the tag has 4 bytes
			s.at.a = nothing
			v /= 4
		} else {
			s.ldA(t.A)
		}
		s.jump(bpf.JumpIf{Cond: cond, Val: v}, t.True, t.False)
		return
	}
	swap := s.pair(t.A, t.B, true)
	switch {
	case swap && t.Cond == ir.Gt: // a > b: not b >= a
		cond, t.True, t.False = bpf.JumpGreaterOrEqual, t.False, t.True
	case swap && t.Cond == ir.Ge:
		cond, t.True, t.False = bpf.JumpGreaterThan, t.False, t.True
	}
	s.jump(bpf.JumpIfX{Cond: cond}, t.True, t.False)
}

// within emits the test that bytes were captured.
func (s *selector) within(t ir.Test) {
	n, _ := s.Const(t.B)
	last := s.Range(t.A).Hi
	if t.False == ir.Reject && n > 0 && uint64(last)+uint64(n) < ir.Absent { // a load of the last byte does it
		s.load(1, t.A, n-1)
		s.at.a = nothing
		s.jump(nil, t.True, t.True)
		return
	}
	if t.A == ir.Zero {
		s.emit(bpf.LoadExtension{Num: bpf.ExtLen})
		s.at.a = nothing
		s.jump(bpf.JumpIf{Cond: bpf.JumpGreaterOrEqual, Val: n}, t.True, t.False)
		return
	}
	s.ldA(t.A)
	if uint64(last)+uint64(n) >= 1<<32 { // the sum could wrap around
		s.jump(bpf.JumpIf{Cond: bpf.JumpGreaterOrEqual, Val: ir.Absent}, t.False, fall)
	}
	if n > 0 {
		s.emit(bpf.ALUOpConstant{Op: bpf.ALUOpAdd, Val: n})
	}
	s.emit(bpf.TAX{}, bpf.LoadExtension{Num: bpf.ExtLen})
	s.at.a, s.at.x = nothing, nothing
	s.jump(bpf.JumpIfX{Cond: bpf.JumpGreaterOrEqual}, t.True, t.False)
}

// headerLength reports whether e is what ldxb 4*([k]&0xf) puts in X: the length of an IPv4
// header.
func (s *selector) headerLength(e ir.Expr) (k uint32, ok bool) {
	shl := s.Term(e)
	if two, ok := s.Const(shl.B); shl.Op != ir.Shl || !ok || two != 2 {
		return 0, false
	}
	and := s.Term(shl.A)
	if mask, ok := s.Const(and.B); and.Op != ir.And || !ok || mask != 0xf {
		return 0, false
	}
	load := s.Term(and.A)
	return load.Imm, load.Op == ir.Load && load.Size == 1 && load.A == ir.Zero
}

// cell returns the memory cell that holds e.
func (s *selector) cell(e ir.Expr) (n int, ok bool) {
	for n, held := range s.at.m {
		if held == e {
			return n, true
		}
	}
	return 0, false
}

// keep stores A, which holds e, in a memory cell, and returns which. If none is free, it
// returns false.
func (s *selector) keep(e ir.Expr) (n int, ok bool) {
	if n, ok := s.cell(e); ok {
		return n, true
	}
	n = -1
	for k, held := range s.at.m {
		if !s.pinned[k] && (n < 0 || s.at.m[n] != nothing && held == nothing) {
			n = k
		}
	}
	if n < 0 {
		return 0, false
	}
	s.emit(bpf.StoreScratch{Src: bpf.RegA, N: n})
	s.at.m[n] = e
	return n, true
}

// simple reports whether e can be put in A without a change of X.
func (s *selector) simple(e ir.Expr) bool {
	for {
		t := s.Term(e)
		if _, held := s.cell(e); held || e == s.at.a || e == s.at.x || t.Op == ir.Mov || t.Op == ir.LoadMeta {
			return true
		}
		if t.Op == ir.Load {
			return t.A == ir.Zero || t.A == s.at.x
		}
		if _, ok := s.Const(t.B); !ok && t.B != s.at.x {
			return false
		}
		e = t.A
	}
}

// direct reports whether e can be put in X without a change of A.
func (s *selector) direct(e ir.Expr) bool {
	_, held := s.cell(e)
	_, constant := s.Const(e)
	_, length := s.headerLength(e)
	return held || constant || length || e == s.at.x
}

// pair puts a in A and b in X, or if that is shorter and swaps is true, b in A and a in
// X, and then returns true.
func (s *selector) pair(a, b ir.Expr, swaps bool) (swapped bool) {
	switch {
	case s.direct(b) && s.at.a == a:
		s.ldX(b)
		return false
	case swaps && s.direct(a) && s.at.a == b:
		s.ldX(a)
		return true
	case s.direct(b) && !s.simple(a):
		// It is put in A first, and X then.
		s.ldA(a)
		if s.direct(b) {
			s.ldX(b)
			return false
		}
	case s.simpleBeside(a, b):
		s.ldX(b)
		s.ldA(a)
		return false
	case swaps && s.simpleBeside(b, a):
		s.ldX(a)
		s.ldA(b)
		return true
	}
	if s.crowded() { // then not even one more cell is kept while a is computed
		s.ldA(a)
		if n, ok := s.keep(a); ok {
			s.pinned[n] = true
			s.ldX(b)
			s.pinned[n] = false
			s.ldA(a)
			return false
		}
	}
	s.ldA(b)
	n, ok := s.keep(b)
	if !ok {
		s.full = true
		return false
	}
	was := s.pinned[n]
	s.pinned[n] = true
	s.ldA(a)
	s.pinned[n] = was
	if s.at.x != b {
		s.emit(bpf.LoadScratch{Dst: bpf.RegX, N: n})
		s.at.x = b
	}
	return false
}

// crowded reports whether half of the memory cells are needed.
func (s *selector) crowded() bool {
	n := 0
	for _, pinned := range s.pinned {
		if pinned {
			n++
		}
	}
	return n >= cells/2
}

// simpleBeside reports whether a can be put in A without a change of X after b was put
// in X, which changes A.
func (s *selector) simpleBeside(a, b ir.Expr) bool {
	was := s.at
	defer func() { s.at = was }()
	if s.at.x = b; !s.direct(b) && s.at.a != b {
		s.at.a = b
	}
	return s.simple(a)
}

// ldA puts e in A.
func (s *selector) ldA(e ir.Expr) {
	const most = 1 << 14 // instructions; the kernel takes far fewer
	if len(s.insns) > most {
		s.full = true
	}
	if s.at.a == e || s.full {
		return
	}
	t := s.Term(e)
	n, held := s.cell(e)
	switch {
	case s.at.x == e:
		s.emit(bpf.TXA{})
	case held:
		s.emit(bpf.LoadScratch{Dst: bpf.RegA, N: n})
	case t.Op == ir.Mov:
		s.emit(bpf.LoadConstant{Dst: bpf.RegA, Val: t.Imm})
	case t.Op == ir.LoadMeta && t.Imm == ir.MetaLen:
		s.emit(bpf.LoadExtension{Num: bpf.ExtLen})
	case t.Op == ir.LoadMeta:
		s.emit(fact(t.Imm))
		if t.Imm == ir.MetaTag {
			s.emit(bpf.ALUOpConstant{Op: bpf.ALUOpShiftLeft, Val: 2})
		}
	case t.Op == ir.Load:
		s.load(int(t.Size), t.A, t.Imm)
	default:
		s.alu(t)
	}
	s.at.a = e
	if s.uses[e] > 1 && s.dear(e) && !held {
		s.keep(e) // it is left out again if nobody loads it
	}
}

// load puts bytes of the packet in A.
func (s *selector) load(size int, base ir.Expr, off uint32) {
	if base == ir.Zero {
		s.emit(bpf.LoadAbsolute{Off: off, Size: size})
		return
	}
	if s.at.x != base && s.Range(base).Hi >= ir.Absent {
		// The kernel takes offsets right below 2^32 for something else (SKF_NET_OFF).
		s.ldA(base)
		s.jump(bpf.JumpIf{Cond: bpf.JumpGreaterOrEqual, Val: ir.Absent}, ir.Reject, fall)
	}
	s.ldX(base)
	s.emit(bpf.LoadIndirect{Off: off, Size: size})
}

// alu computes a term in A.
func (s *selector) alu(t ir.Term) {
	op := map[ir.Op]bpf.ALUOp{
		ir.Add: bpf.ALUOpAdd, ir.Sub: bpf.ALUOpSub, ir.Mul: bpf.ALUOpMul, ir.Div: bpf.ALUOpDiv, ir.Mod: bpf.ALUOpMod,
		ir.And: bpf.ALUOpAnd, ir.Or: bpf.ALUOpOr, ir.Xor: bpf.ALUOpXor, ir.Shl: bpf.ALUOpShiftLeft, ir.Shr: bpf.ALUOpShiftRight,
	}[t.Op]
	v, constant := s.Const(t.B)
	zero := v == 0 && (t.Op == ir.Div || t.Op == ir.Mod) // the machine refuses it as a constant
	if constant && !zero {
		s.ldA(t.A)
		s.emit(bpf.ALUOpConstant{Op: op, Val: v})
		return
	}
	commutes := t.Op == ir.Add || t.Op == ir.Mul || t.Op == ir.And || t.Op == ir.Or || t.Op == ir.Xor
	s.pair(t.A, t.B, commutes)
	s.emit(bpf.ALUOpX{Op: op})
}

// ldX puts e in X.
func (s *selector) ldX(e ir.Expr) {
	if s.at.x == e {
		return
	}
	n, held := s.cell(e)
	k, length := s.headerLength(e)
	switch v, constant := s.Const(e); {
	case s.at.a == e:
		s.emit(bpf.TAX{})
	case length:
		s.emit(bpf.LoadMemShift{Off: k})
	case held:
		s.emit(bpf.LoadScratch{Dst: bpf.RegX, N: n})
	case constant:
		s.emit(bpf.LoadConstant{Dst: bpf.RegX, Val: v})
	default:
		s.ldA(e)
		s.emit(bpf.TAX{})
	}
	s.at.x = e
}

// dear reports whether it takes more than two instructions to compute e.
func (s *selector) dear(e ir.Expr) bool {
	cost := 0
	for {
		t := s.Term(e)
		_, length := s.headerLength(e)
		switch {
		case t.Op == ir.Mov || t.Op == ir.LoadMeta || length || t.Op == ir.Load && t.A == ir.Zero:
			return cost+1 > 2
		case t.Op == ir.Load:
			cost++
			if _, ok := s.headerLength(t.A); !ok {
				cost++ // it goes to X
			}
		default:
			if _, ok := s.Const(t.B); !ok {
				return true
			}
			cost++
		}
		e = t.A
	}
}
