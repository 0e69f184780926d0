package ir

import "slices"

// Graph is a program without registers: a decision diagram, each test of which
// compares numbers that depend on nothing but the packet. Loops, and registers whose
// value depends on the path, have no place in it.
//
// As in classic BPF, and in libpcap's idea of a filter, a load beyond the packet and
// a division by 0 reject the packet. So a test that does that beforehand is left out.
type Graph struct {
	*terms
	tests []test // those that a test leads to come before it
	known map[test]int
	start int
	loose bool // see Prog.Graph
}

// Test is a test of a Graph.
type Test struct {
	Cond        Cond
	A, B        Expr // of Within, B is a constant
	True, False int  // indices of tests, Accept, or Reject
}

// Start returns the first test, Accept, or Reject.
func (g *Graph) Start() int { return g.start }

// Len returns how many tests there are. Each leads to tests with smaller indices only.
func (g *Graph) Len() int { return len(g.tests) }

// Test returns a test by its index.
func (g *Graph) Test(n int) Test {
	t := g.tests[n]
	return Test{t.cond, t.a, t.b, t.yes, t.no}
}

func newGraph(x *terms, loose bool) *Graph {
	return &Graph{terms: x, known: map[test]int{}, loose: loose}
}

// Graph returns the program as a graph in which nothing is tested twice, or nil: if there
// are loops, look-ups in sets or memory of fragments, or if parts of it would have to be repeated too often because they run
// with different values in registers. offline says that all facts about packets but their
// length are 0. loose says that a packet that ends before something that is tested may be
// accepted, if that test turns out not to matter: so does libpcap's optimiser.
func (p *Prog) Graph(offline, loose bool) *Graph {
	more := slices.ContainsFunc(p.Blocks, func(b Block) bool { return b.Cond >= In })
	if len(p.Heads) > 0 || more {
		return nil
	}
	type place struct {
		block int
		regs  [NRegs]Expr // those that are live, else Zero
	}
	g := newGraph(newTerms(), loose)
	live := p.Live()
	built := map[place]int{}
	most := 4*len(p.Blocks) + 256
	var visit func(n int, regs [NRegs]Expr) int
	visit = func(n int, regs [NRegs]Expr) int {
		switch {
		case n < 0:
			return n
		case len(built) > most: // nothing will come of it
			return Reject
		}
		for r := range regs {
			if live[n]>>r&1 == 0 {
				regs[r] = Zero
			}
		}
		at := place{n, regs}
		if done, ok := built[at]; ok {
			return done
		}
		val := func(v Val) Expr {
			if v.Reg == NoReg {
				return g.number(v.Imm)
			}
			return regs[v.Reg]
		}
		b := &p.Blocks[n]
		for _, i := range b.Code {
			a := val(Val{Reg: i.A})
			switch i.Op {
			case Load:
				a = g.load(i.Size, a, i.B.Imm)
			case LoadMeta:
				if a = Zero; !offline || i.B.Imm == MetaLen {
					a = g.meta(i.B.Imm)
				}
			default:
				a = g.op(i.Op, a, val(i.B))
			}
			regs[i.Dst] = a
		}
		t := test{b.Cond, val(Val{Reg: b.A}), val(b.B), 0, 0}
		if b.Cond == Always {
			t.a, t.b = Zero, Zero
		}
		// What is known without running is not followed both ways.
		switch s := g.simple(test{t.cond, t.a, t.b, Accept, Reject}); {
		case s.cond != Always || g.loose && g.reads(t.a, t.b): // see add
			t.no = visit(b.False, regs)
			t.yes = visit(b.True, regs)
			built[at] = g.add(t)
		case s.yes == Accept:
			built[at] = visit(b.True, regs)
		default:
			built[at] = visit(b.False, regs)
		}
		return built[at]
	}
	g.start = visit(0, [NRegs]Expr{})
	if len(built) > most {
		return nil
	}
	if loose {
		g = g.repeat(func(g *Graph) *Graph { return g.thread().cluster() })
		g.loose = false
		// libpcap's optimiser keeps the first load, if any test is left.
		if b := p.Blocks[0]; b.Cond == Within && b.A == NoReg && b.False == Reject && g.start >= 0 {
			g.start = g.add(test{Within, Zero, g.number(b.B.Imm), g.start, Reject})
		}
	}
	return g.repeat(func(g *Graph) *Graph { return g.thread().bypass().cluster() })
}

// add returns the index of a test, or where it leads to if that is known.
func (g *Graph) add(t test) int {
	if t.yes == t.no && t.cond != Within && !g.loose {
		return g.without(t.yes, t.a, t.b)
	}
	asked := t
	t = g.simple(t)
	switch {
	case t.cond == Always && asked.cond != Within && asked.yes != asked.no && g.reads(asked.a, asked.b):
		// It holds, or does not, whatever the bytes are; but they must be there. libpcap does
		// not see that.
		if !g.loose {
			return g.without(t.yes, asked.a, asked.b)
		}
		t = asked
	case t.cond == Always:
		return t.yes
	case t.cond == Within && t.no == Reject && (g.loose || g.rejects(t.yes, t.a, g.all[t.b].Imm, patience)):
		return t.yes
	case t.cond == Eq && t.b == Zero && t.yes == Reject && g.divides(t.no, t.a, patience):
		return t.no
	}
	if n, ok := g.known[t]; ok {
		return n
	}
	g.tests = append(g.tests, t)
	g.known[t] = len(g.tests) - 1
	return len(g.tests) - 1
}

// without returns the way to test n of a test of some numbers that makes no difference:
// only what cannot be computed for want of bytes still rejects the packet.
func (g *Graph) without(n int, numbers ...Expr) int {
	var all []Expr // that are computed, each behind those that it is computed from
	seen := map[Expr]bool{}
	var visit func(e Expr)
	visit = func(e Expr) {
		t := g.all[e]
		if seen[e] || t.Op == Mov || t.Op == LoadMeta {
			return
		}
		seen[e] = true
		visit(t.A)
		if t.Op != Load {
			visit(t.B)
		}
		all = append(all, e)
	}
	for _, e := range numbers {
		visit(e)
	}
	for _, e := range slices.Backward(all) {
		switch t := g.all[e]; t.Op {
		case Load:
			n = g.add(test{Within, t.A, g.number(t.Imm + uint32(t.Size)), n, Reject})
		case Div, Mod:
			n = g.add(test{Eq, t.B, Zero, Reject, n})
		}
	}
	return n
}

// reads reports whether computing the numbers may reject the packet.
func (g *Graph) reads(numbers ...Expr) bool {
	return slices.ContainsFunc(numbers, func(e Expr) bool { return g.terms.reads[e] })
}

// patience bounds how far it is looked for what makes a test needless.
const patience = 64

// everywhere reports whether something is found in one of the expressions of test n, or
// on every way from there to Accept.
func (g *Graph) everywhere(n int, found func(Term) bool, left *int) bool {
	if n < 0 {
		return n == Reject
	}
	if *left--; *left < 0 {
		return false
	}
	t := g.tests[n]
	return g.has(t.a, found, left) || t.cond != Within && g.has(t.b, found, left) ||
		g.everywhere(t.yes, found, left) && g.everywhere(t.no, found, left)
}

// has reports whether something is found in an expression.
func (g *Graph) has(e Expr, found func(Term) bool, left *int) bool {
	t := g.all[e]
	switch {
	case t.Op == Mov || t.Op == LoadMeta:
		return false
	case found(t):
		return true
	}
	if *left--; *left < 0 {
		return false
	}
	return g.has(t.A, found, left) || t.Op != Load && g.has(t.B, found, left)
}

// rejects reports whether on every way from test n to Accept something is loaded that
// is not there if there are fewer than size bytes from base on.
func (g *Graph) rejects(n int, base Expr, size uint32, left int) bool {
	return g.everywhere(n, func(t Term) bool {
		return t.Op == Load && t.A == base && t.Imm+uint32(t.Size) >= size
	}, &left)
}

// divides is rejects for divisions by e.
func (g *Graph) divides(n int, e Expr, left int) bool {
	return g.everywhere(n, func(t Term) bool { return (t.Op == Div || t.Op == Mod) && t.B == e }, &left)
}

// reach returns the tests that can be reached, the last one first: so each comes after
// those that lead to it.
func (g *Graph) reach() []int {
	reached := make([]bool, len(g.tests))
	if g.start >= 0 {
		reached[g.start] = true
	}
	var order []int
	for n := len(g.tests) - 1; n >= 0; n-- {
		if !reached[n] {
			continue
		}
		order = append(order, n)
		for _, to := range []int{g.tests[n].yes, g.tests[n].no} {
			if to >= 0 {
				reached[to] = true
			}
		}
	}
	return order
}

// rebuild returns the graph with each test as edited by edit, as far as it is reached.
func (g *Graph) rebuild(edit func(n int) test) *Graph {
	return g.rebuildWith(func(h *Graph, n int, to func(int) int) int {
		t := edit(n)
		t.yes, t.no = to(t.yes), to(t.no)
		return h.add(t)
	})
}

// rebuildWith returns the graph that put adds a test to for each test that is reached. It
// returns its index; to returns that of what it leads to.
func (g *Graph) rebuildWith(put func(h *Graph, n int, to func(int) int) int) *Graph {
	h := newGraph(g.terms, g.loose)
	at := make([]int, len(g.tests))
	to := func(n int) int {
		if n < 0 {
			return n
		}
		return at[n]
	}
	for _, n := range slices.Backward(g.reach()) {
		at[n] = put(h, n, to)
	}
	h.start = to(g.start)
	return h
}
