package ir

import "slices"

// Likely is a packet of a form that is common. What a program does with such packets is worth
// being done fast.
type Likely struct {
	Data  []byte
	Roles []Role // of the bytes
}

// Role is what a byte of a [Likely] packet says.
type Role uint8

const (
	Fixed Role = iota // what headers there are
	Other             // that it is none of those that lead on, as a port of no tunnel
	Free              // nothing: an address, a length, payload
)

// is reports whether all bytes of the packet that an expression depends on have the role.
func (g *Graph) is(r Role, e Expr, p *Likely) bool {
	switch t := g.all[e]; t.Op {
	case Mov, LoadMeta:
		return true
	case Load:
		return t.A == Zero && uint64(t.Imm)+uint64(t.Size) <= uint64(len(p.Roles)) &&
			!slices.ContainsFunc(p.Roles[t.Imm:t.Imm+uint32(t.Size)], func(s Role) bool { return s != r })
	default:
		return g.is(r, t.A, p) && g.is(r, t.B, p)
	}
}

// value returns what an expression is of a packet; 0 if it is not all there.
func (g *Graph) value(e Expr, p *Likely) (v uint32) {
	switch t := g.all[e]; t.Op {
	case Mov:
		return t.Imm
	case LoadMeta:
		return (&Meta{Len: uint32(len(p.Data))}).fact(t.Imm)
	case Load:
		at := uint64(g.value(t.A, p)) + uint64(t.Imm)
		if at+uint64(t.Size) <= uint64(len(p.Data)) {
			for _, c := range p.Data[at : at+uint64(t.Size)] {
				v = v<<8 | uint32(c)
			}
		}
		return v
	default:
		a, b := g.value(t.A, p), g.value(t.B, p)
		if b == 0 && (t.Op == Div || t.Op == Mod) || b > 31 && (t.Op == Shl || t.Op == Shr) {
			return 0
		}
		return t.Op.Of(a, b)
	}
}

// order asks first for what is likeliest, where a number is compared with one constant after the other: also
// for numbers that are none of these. If no packet has others, it is unsure of them.
func (g *Graph) order(packets []Likely) *Graph {
	came, into := g.visits(packets)
	type way struct {
		v           uint32
		to, packets int
	}
	return g.rebuildWith(func(h *Graph, n int, to func(int) int) int {
		t := g.tests[n]
		var ways []way
		other := n
		for other >= 0 && (other == n || into[other] == 1) {
			u := g.tests[other]
			v, constant := g.Const(u.b)
			if u.cond != Eq || u.a != t.a || !constant {
				break
			}
			ways, other = append(ways, way{v, u.yes, 0}), u.no
		}
		if len(ways) < 2 || len(came[n]) == 0 {
			t.yes, t.no = to(t.yes), to(t.no)
			return h.add(t)
		}
		rest := Unsure
		for _, p := range came[n] {
			v := g.value(t.a, p)
			k := slices.IndexFunc(ways, func(w way) bool { return w.v == v })
			switch {
			case k >= 0:
				ways[k].packets++
			case g.is(Other, t.a, p):
				rest = to(other)
			default:
				ways = append(ways, way{v, other, 1})
			}
		}
		slices.SortStableFunc(ways, func(a, b way) int { return b.packets - a.packets })
		at := rest
		for _, w := range slices.Backward(ways) {
			if to := to(w.to); to != at || w.packets > 0 {
				at = h.put(test{Eq, t.a, g.number(w.v), to, at})
			}
		}
		return at
	})
}

// visits returns the packets that come to each test, and how many edges lead there.
func (g *Graph) visits(packets []Likely) (came [][]*Likely, into []int) {
	came, into = make([][]*Likely, len(g.tests)), make([]int, len(g.tests))
	if g.start >= 0 {
		for n := range packets {
			came[g.start] = append(came[g.start], &packets[n])
		}
	}
	for _, n := range g.reach() {
		t := g.tests[n]
		for _, p := range came[n] {
			to := t.no
			switch a, b := g.value(t.a, p), g.value(t.b, p); {
			case t.cond == Within && uint64(a)+uint64(b) <= uint64(len(p.Data)), t.cond < Within && t.cond.holds(a, b):
				to = t.yes
			}
			if to >= 0 {
				came[to] = append(came[to], p)
			}
		}
		for _, to := range []int{t.yes, t.no} {
			if to >= 0 {
				into[to]++
			}
		}
	}
	return came, into
}

// layout puts behind each test that to which more packets go on, but keeps together what compares
// one number.
func (g *Graph) layout(packets []Likely) *Graph {
	came, _ := g.visits(packets)
	h := newGraph(g.terms, false)
	at := make([]int, len(g.tests))
	seen := make([]bool, len(g.tests))
	var visit func(n int) int
	visit = func(n int) int {
		if n < 0 {
			return n
		}
		if seen[n] {
			return at[n]
		}
		seen[n] = true
		t := g.tests[n]
		noFirst := t.yes >= 0 && t.no >= 0 && g.tests[t.no].a != t.a && len(came[t.yes]) > len(came[t.no])
		if noFirst {
			t.no, t.yes = visit(t.no), visit(t.yes)
		} else {
			t.yes, t.no = visit(t.yes), visit(t.no)
		}
		at[n] = h.put(t)
		return at[n]
	}
	h.start = visit(g.start)
	return h
}

// put adds a test even if it makes no difference.
func (g *Graph) put(t test) int {
	g.tests = append(g.tests, t)
	return len(g.tests) - 1
}
