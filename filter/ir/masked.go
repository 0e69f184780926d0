package ir

import (
	"encoding/binary"
	"math"
	"slices"
)

// masked is a test whether bits of a number are what they should be.
type masked struct {
	of         Expr
	mask, bits uint32
	to, other  int
}

// masked returns a test as one, if it is one.
func (g *Graph) masked(t test) (m masked, ok bool) {
	v, constant := g.Const(t.b)
	if !constant {
		return m, false
	}
	m = masked{of: t.a, mask: math.MaxUint32, bits: v, to: t.yes, other: t.no}
	switch t.cond {
	case Set:
		m.mask, m.bits, m.to, m.other = v, 0, t.no, t.yes
	case Eq:
	default:
		return m, false
	}
	for {
		e := g.all[m.of]
		c, constant := g.Const(e.B)
		switch {
		case e.Op == And && constant:
			m.of, m.mask = e.A, m.mask&c
		case e.Op == Shl && constant && c < 32 && m.bits>>c<<c == m.bits:
			// Bits that are shifted out are not asked for.
			m.of, m.mask, m.bits = e.A, m.mask>>c, m.bits>>c
		case e.Op == Shr && constant && c < 32 && m.bits<<c>>c == m.bits:
			m.of, m.mask, m.bits = e.A, m.mask<<c, m.bits<<c
		default:
			return m, m.bits&^m.mask == 0
		}
	}
}

// test returns the test that m is.
func (g *Graph) test(m masked) test {
	return test{Eq, g.op(And, m.of, g.number(m.mask)), g.number(m.bits), m.to, m.other}
}

// octets are bytes of the packet with what they should be.
type octets struct {
	at         uint32
	mask, bits [8]byte
}

// octets returns the bytes that m is about, from the first that it asks for on; none if they are not at a constant offset.
func (g *Graph) octets(m masked) (o octets, ok bool) {
	t := g.all[m.of]
	mask, bits := m.mask<<(32-8*t.Size), m.bits<<(32-8*t.Size)
	if t.Op != Load || t.A != Zero || mask == 0 {
		return o, false
	}
	for o.at = t.Imm; mask>>24 == 0; o.at++ {
		mask, bits = mask<<8, bits<<8
	}
	for n := 0; mask != 0; n++ {
		o.mask[n], o.bits[n] = byte(mask>>24), byte(bits>>24)
		mask, bits = mask<<8, bits<<8
	}
	return o, true
}

// both returns m and n as one, if they ask for different bits of one number, or of bytes that can be
// loaded as one.
func (g *Graph) both(m, n masked) (masked, bool) {
	if m.of == n.of {
		m.mask, m.bits = m.mask|n.mask, m.bits|n.bits
		return m, true
	}
	a, aOK := g.octets(m)
	b, bOK := g.octets(n)
	if !aOK || !bOK {
		return m, false
	}
	if b.at < a.at {
		a, b = b, a
	}
	if b.at-a.at >= 4 {
		return m, false
	}
	for n := range 4 {
		if k := int(b.at-a.at) + n; b.mask[n] != 0 {
			if a.mask[k]&b.mask[n] != 0 {
				return m, false
			}
			a.mask[k] |= b.mask[n]
			a.bits[k] |= b.bits[n]
		}
	}
	if a.mask[4] != 0 || a.mask[5] != 0 || a.mask[6] != 0 {
		return m, false
	}
	m.of = g.load(4, Zero, a.at)
	m.mask, m.bits = binary.BigEndian.Uint32(a.mask[:]), binary.BigEndian.Uint32(a.bits[:])
	return m, true
}

// excludes reports whether m and n cannot both hold.
func (g *Graph) excludes(m, n masked) bool {
	a, aOK := g.octets(m)
	b, bOK := g.octets(n)
	if !aOK || !bOK {
		return m.of == n.of && m.mask&n.mask&(m.bits^n.bits) != 0
	}
	for k := range a.mask {
		if j := int(a.at) + k - int(b.at); j >= 0 && j < len(b.mask) && a.mask[k]&b.mask[j]&(a.bits[k]^b.bits[j]) != 0 {
			return true
		}
	}
	return false
}

// run returns what is asked from test n on, one after the other, before anything depends on the
// answers: all of it must hold, or the shortcut is unsure. What is asked of the same bytes is one.
func (g *Graph) run(n int, into []int) (all []masked, within []test, to int) {
	for n >= 0 && into[n] == 1 {
		t := g.tests[n]
		if t.cond == Within && t.no == Unsure {
			within, n = append(within, t), t.yes
			continue
		}
		m, ok := g.masked(t)
		if !ok || m.other != Unsure {
			break
		}
		merged := false
		for k := range all {
			if both, ok := g.both(all[k], m); ok {
				all[k], merged = both, true
				break
			}
		}
		if !merged {
			all = append(all, m)
		}
		n = m.to
	}
	return all, within, n
}

// join makes one test of those, one behind the other, that compare bits of the same number and are
// unsure of the same.
func (g *Graph) join() *Graph {
	into := make([]int, len(g.tests)) // how many lead to each
	for _, n := range g.reach() {
		for _, to := range []int{g.tests[n].yes, g.tests[n].no} {
			if to >= 0 {
				into[to]++
			}
		}
	}
	return g.rebuildWith(func(h *Graph, n int, to func(int) int) int {
		t := g.tests[n]
		m, ok := g.masked(t)
		if !ok {
			t.yes, t.no = to(t.yes), to(t.no)
			return h.add(t)
		}
		if m.to == Unsure { // unless it holds
			if all, _, _ := g.run(m.other, into); slices.ContainsFunc(all, func(a masked) bool { return g.excludes(m, a) }) {
				return to(m.other) // which is unsure as well if it does
			}
		}
		all, within, next := g.run(m.to, into)
		if m.other == Unsure {
			into := slices.Clone(into)
			into[n] = 1
			all, within, next = g.run(n, into)
		}
		at := to(next)
		emit := func(all []masked) {
			for _, m := range slices.Backward(all) {
				m.to, m.other = at, Unsure
				at = h.add(g.test(m))
			}
			for _, t := range slices.Backward(within) {
				at = h.add(test{Within, t.a, t.b, at, Unsure})
			}
		}
		if m.other == Unsure {
			emit(all)
			return at
		}
		// What is asked next of bytes beside those of m can be asked with it.
		joined, merged := m, false
		if len(within) == 0 {
			all = slices.DeleteFunc(all, func(a masked) bool {
				both, ok := g.both(joined, a)
				if ok && a.of != m.of {
					joined, merged = both, true
				}
				return ok && a.of != m.of
			})
		}
		if merged {
			emit(all)
			joined.to = at
			m.to, m.other = Unsure, to(m.other)
			joined.other = h.add(g.test(m))
			return h.add(g.test(joined))
		}
		m.to, m.other = to(m.to), to(m.other)
		return h.add(g.test(m))
	})
}
