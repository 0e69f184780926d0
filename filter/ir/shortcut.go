package ir

import (
	"encoding/binary"
	"maps"
	"math"
	"slices"
)

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
			if uint64(at)+uint64(i.Size) > uint64(len(s.packet.Data)) {
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
	if t.Op != Load || t.A != Zero || m.mask == 0 {
		return o, false
	}
	mask, bits := m.mask<<(32-8*t.Size), m.bits<<(32-8*t.Size)
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
