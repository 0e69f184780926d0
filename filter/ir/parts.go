package ir

import (
	"maps"
	"slices"
)

// part is what a shortcut does from somewhere in a packet on, wherever that is.
type part struct {
	n       int
	start   *node
	tests   int
	packets []Likely // those that come to it, from there on
	g       *Graph
}

// spot is how a part comes to a node: behind so many bytes.
type spot struct {
	part *part
	at   uint32
}

// leastPart is how many tests are worth a part of their own: to come to one costs three instructions.
const leastPart = 8

// divide returns the parts of a shortcut, none before one that leads to it. What can be come to in several ways
// is one, unless it is small.
func (s *shortcut) divide(start *node, packets []Likely) []*part {
	all := order(start)
	for small := map[*node]bool{}; ; {
		parts := []*part{{start: start, packets: packets, tests: leastPart}}
		for _, n := range all {
			n.from = n.from[:0]
		}
		start.from = append(start.from, spot{part: parts[0]})
		for _, n := range all {
			if len(n.from) > 1 && n.moved && !small[n] {
				p := &part{n: len(parts), start: n}
				parts = append(parts, p)
				n.from = append(n.from[:0], spot{part: p})
			}
			if n.done && (n.starts != nil || n.test.cond != Always && n.test.cond != Within) {
				for _, f := range n.from {
					f.part.tests++
				}
			}
			n.edges(func(e edge) {
				for _, f := range n.from {
					if f.at += e.skip; !slices.Contains(e.to.from, f) {
						e.to.from = append(e.to.from, f)
					}
				}
			})
		}
		again := false
		for _, p := range parts {
			if p.tests < leastPart {
				small[p.start], again = true, true
			}
		}
		if again {
			continue
		}
		for _, p := range parts[1:] {
			for _, l := range p.start.came {
				p.packets = append(p.packets, *l)
			}
		}
		return parts
	}
}

// edges calls f for each way on that leads to a node.
func (n *node) edges(f func(edge)) {
	visit := func(e edge) {
		if e.to != nil {
			f(e)
		}
	}
	if n.starts != nil {
		for _, v := range slices.Sorted(maps.Keys(n.starts)) {
			visit(n.starts[v])
		}
	}
	visit(n.yes)
	visit(n.no)
}

// order returns the nodes that can be come to, none before one that leads to it.
func order(start *node) (all []*node) {
	var visit func(n *node)
	visit = func(n *node) {
		if n.passed {
			return
		}
		n.passed = true
		n.edges(func(e edge) { visit(e.to) })
		all = append(all, n)
	}
	visit(start)
	slices.Reverse(all)
	return all
}

// leap is a target in a part's graph that stands for another part, behind so many bytes: the first
// is firstLeap, and others are below it.
type leap struct {
	part *part
	skip uint32
}

const firstLeap = Unsure - 1

// join makes the parts a program.
func (s *shortcut) join(parts []*part) *Prog {
	var leaps []leap
	for _, p := range slices.Backward(parts) {
		p.g = newGraph(s.g.terms, false)
		b := &partBuilder{s: s, part: p, leaps: &leaps, built: map[spotted]int{}, needs: map[spotted]uint32{}, shifted: map[shift]Expr{}}
		p.g.start, _ = b.build(edge{to: p.start})
		p.g = p.g.thread().join().thread().order(p.packets).layout(p.packets)
	}
	if parts[0].g.start == Unsure {
		return nil
	}
	q := &Prog{Sets: s.prog.Sets}
	waits := map[*part][]int{} // blocks that lead to it
	for _, p := range parts {
		if p.n > 0 && waits[p] == nil {
			continue
		}
		r := p.g.Prog()
		if r == nil {
			return nil
		}
		first := len(q.Blocks)
		for _, n := range waits[p] {
			q.Blocks[n].True, q.Blocks[n].False = first, first
		}
		if !q.add(r, p.n > 0) {
			return nil
		}
		at := map[int]int{} // the block of each leap
		leave := func(to int) int {
			if to > firstLeap {
				return to
			}
			if _, ok := at[to]; !ok {
				l := leaps[firstLeap-to]
				at[to] = len(q.Blocks)
				i := Instr{Op: Mov, Dst: Start, A: NoReg, B: Imm(l.skip)}
				if p.n > 0 {
					i.Op, i.A = Add, Start
				}
				waits[l.part] = append(waits[l.part], len(q.Blocks))
				q.Blocks = append(q.Blocks, Block{Code: []Instr{i}, A: NoReg, B: Imm(0)})
			}
			return at[to]
		}
		for n := range r.Blocks {
			yes, no := leave(q.Blocks[first+n].True), leave(q.Blocks[first+n].False)
			q.Blocks[first+n].True, q.Blocks[first+n].False = yes, no
		}
	}
	return q
}

// add adds the blocks of a part, which is not the first if it is to start at Start. It reports whether it leaves that alone.
func (p *Prog) add(part *Prog, moved bool) bool {
	first := len(p.Blocks)
	start := func(r *Reg) {
		if moved && *r == NoReg {
			*r = Start
		}
	}
	for _, b := range part.Blocks {
		for n := range b.Code {
			i := &b.Code[n]
			if i.Dst == Start {
				return false
			}
			if i.Op == Load {
				start(&i.A)
			}
		}
		if b.Cond == Within {
			b.False = Unsure
			start(&b.A)
		}
		for _, to := range []*int{&b.True, &b.False} {
			if *to >= 0 {
				*to += first
			}
		}
		p.Blocks = append(p.Blocks, b)
	}
	return true
}

// partBuilder builds the graph of a part.
type partBuilder struct {
	s       *shortcut
	part    *part
	leaps   *[]leap
	built   map[spotted]int
	needs   map[spotted]uint32
	shifted map[shift]Expr
}

// spotted is a node with where it is in the part.
type spotted struct {
	node *node
	at   uint32
}

// shift is an expression with how much farther on what is loaded for it is.
type shift struct {
	of Expr
	by uint32
}

// shift returns it.
func (b *partBuilder) shift(e Expr, by uint32) Expr {
	t := b.part.g.all[e]
	if by == 0 || t.Op == Mov || t.Op == LoadMeta {
		return e
	}
	key := shift{e, by}
	if _, ok := b.shifted[key]; !ok {
		if t.Op == Load {
			b.shifted[key] = b.part.g.load(t.Size, t.A, t.Imm+by)
		} else {
			b.shifted[key] = b.part.g.op(t.Op, b.shift(t.A, by), b.shift(t.B, by))
		}
	}
	return b.shifted[key]
}

// build returns the target that an edge's node is in the graph, with how far the edge is from the start of the part, and how
// many bytes from there on what comes then may ask for.
func (b *partBuilder) build(e edge) (to int, need uint32) {
	n := e.to
	if n == nil {
		return Unsure, 0
	}
	if other := n.from[0].part; other.start == n && other != b.part {
		if start := other.g.start; start < 0 && start > firstLeap {
			return start, 0
		}
		l := leap{other, e.skip}
		k := slices.Index(*b.leaps, l)
		if k < 0 {
			k = len(*b.leaps)
			*b.leaps = append(*b.leaps, l)
		}
		return firstLeap - k, 0
	}
	key := spotted{n, e.skip}
	if to, ok := b.built[key]; ok {
		return to, b.needs[key]
	}
	g := b.part.g
	on := func(f edge) (int, uint32) { return b.build(edge{f.to, e.skip + f.skip}) }
	to = n.leaf
	t := n.test
	t.a, t.b = b.shift(t.a, e.skip), b.shift(t.b, e.skip)
	switch {
	case !n.done:
	case n.starts != nil:
		to = Unsure
		for _, v := range slices.Backward(slices.Sorted(maps.Keys(n.starts))) {
			yes, more := on(n.starts[v])
			need = max(need, more)
			if yes != to {
				start := test{Eq, t.a, g.number(v), yes, to}
				if m, ok := g.masked(start); ok {
					start = g.test(m)
				}
				to = g.add(start)
			}
		}
	case n.yes.to == nil && n.no.to == nil:
	case t.cond == Always:
		to, need = on(n.yes)
	default:
		var more uint32
		t.yes, need = on(n.yes)
		t.no, more = on(n.no)
		need = max(need, more)
		if t.cond == Within {
			// What comes then asks for more, of packets that have it.
			shortest := len(n.came[0].Data)
			for _, p := range n.came {
				shortest = min(shortest, len(p.Data))
			}
			size := max(g.all[t.b].Imm+e.skip, min(need, uint32(shortest)+e.skip))
			t.b, need = g.number(size), max(need, size)
		}
		if to = t.yes; t.yes != t.no {
			to = g.add(t)
		}
	}
	b.built[key], b.needs[key] = to, need
	return to, need
}
