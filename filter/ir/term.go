package ir

import "math/bits"

// Expr is a number that depends on nothing but the packet: an index into the terms of
// a [Graph]. Equal numbers, as far as that can be seen, are one Expr.
type Expr int32

// Term says how a number is computed.
type Term struct {
	Op   Op     // Mov for the constant Imm
	Size uint8  // of a Load
	A, B Expr   // operands; of a Load, A is the base
	Imm  uint32 // constant, offset of a Load from its base, or fact of a LoadMeta
}

// terms is a table of expressions. A term's operands come before it.
type terms struct {
	all    []Term
	at     map[Term]Expr
	ranges []Range       // of each term
	reads  []bool        // whether computing it may reject the packet: by a byte that is not there, or dividing by 0
	loads  map[Term]Expr // by where the bytes are, with constants taken off the base
}

func newTerms() *terms {
	x := &terms{at: map[Term]Expr{}, loads: map[Term]Expr{}}
	x.number(0)
	return x
}

// Zero is the number 0, and the base of loads from constant offsets.
const Zero Expr = 0

// Term returns how an expression is computed.
func (x *terms) Term(e Expr) Term { return x.all[e] }

// Range returns what an expression may be.
func (x *terms) Range(e Expr) Range { return x.ranges[e] }

// Const returns the number that an expression is, if it is the same for each packet.
func (x *terms) Const(e Expr) (v uint32, ok bool) {
	t := x.all[e]
	return t.Imm, t.Op == Mov
}

func (x *terms) intern(t Term) Expr {
	if e, ok := x.at[t]; ok {
		return e
	}
	i := Instr{Op: t.Op, Size: t.Size, B: Imm(t.Imm)}
	r := Range{t.Imm, t.Imm}
	switch {
	case t.Op == Load || t.Op == LoadMeta:
		r = i.Result(r, r)
	case t.Op != Mov:
		r = i.Result(x.ranges[t.A], x.ranges[t.B])
	}
	reads := t.Op == Load || t.Op == Div || t.Op == Mod || t.Op < Load && t.Op != Mov && (x.reads[t.A] || x.reads[t.B])
	if r.Lo == r.Hi && t.Op != Mov && !reads {
		return x.number(r.Lo)
	}
	e := Expr(len(x.all))
	x.all, x.ranges, x.reads = append(x.all, t), append(x.ranges, r), append(x.reads, reads)
	x.at[t] = e
	return e
}

func (x *terms) number(v uint32) Expr { return x.intern(Term{Op: Mov, Imm: v}) }

func (x *terms) meta(fact uint32) Expr { return x.intern(Term{Op: LoadMeta, Imm: fact}) }

// address returns an offset in the packet from a base, from Zero if it is constant. Other
// bases are left as they are, though a constant could be taken off them: what starts
// at different places behind different headers is then the same code.
func (x *terms) address(base Expr, off uint32) (Expr, uint32) {
	if v, ok := x.Const(base); ok && uint64(v)+uint64(off) < Absent {
		return Zero, v + off
	}
	return base, off
}

// inner returns the same place from a base that has no constant part.
func (x *terms) inner(base Expr, off uint32) (Expr, uint32) {
	if add := x.all[base]; add.Op == Add {
		if c, ok := x.Const(add.B); ok && uint64(x.ranges[add.A].Hi)+uint64(c)+uint64(off) < Absent {
			return add.A, c + off
		}
	}
	return base, off
}

func (x *terms) load(size uint8, base Expr, off uint32) Expr {
	base, off = x.address(base, off)
	// What has been loaded at the same place from another base is that.
	place := Term{Op: Load, Size: size}
	place.A, place.Imm = x.inner(base, off)
	if _, ok := x.loads[place]; !ok {
		x.loads[place] = x.intern(Term{Op: Load, Size: size, A: base, Imm: off})
	}
	return x.loads[place]
}

// op returns the number that an operation on two numbers comes to.
func (x *terms) op(op Op, a, b Expr) Expr {
	u, aConst := x.Const(a)
	if commutes := op == Add || op == Mul || op == And || op == Or || op == Xor; aConst && commutes {
		a, b = b, a // a op b = b op a
		u, aConst = x.Const(a)
	}
	v, bConst := x.Const(b)
	switch {
	case op == Mov:
		return b
	case bConst && (v == 0 && (op == Div || op == Mod) || v > 31 && (op == Shl || op == Shr)):
		return x.intern(Term{Op: op, A: a, B: b}) // what cannot be is left alone
	case aConst && bConst:
		return x.number(op.Of(u, v))
	case a == b && (op == Sub || op == Xor) && !x.reads[a]: // a - a = a ^ a = 0
		return Zero
	case a == b && (op == And || op == Or): // a & a = a | a = a
		return a
	case !bConst:
		return x.intern(Term{Op: op, A: a, B: b})
	}
	ta := x.all[a]
	inner, nested := x.Const(ta.B)
	nested = nested && ta.Op == op
	switch op {
	case Add:
		if nested { // a + c + v = a + (c + v)
			return x.op(Add, ta.A, x.number(inner+v))
		}
	case And:
		if nested { // a & c & v = a & (c & v)
			return x.op(And, ta.A, x.number(inner&v))
		}
		if v&(v+1) == 0 && x.ranges[a].Hi <= v { // no bit is lost
			return a
		}
	case Mul:
		if v == 0 {
			return x.op(And, a, b)
		}
		if v&(v-1) == 0 { // a * 2^n = a << n
			return x.op(Shl, a, x.number(uint32(bits.TrailingZeros32(v))))
		}
	case Div:
		if v&(v-1) == 0 { // a / 2^n = a >> n
			return x.op(Shr, a, x.number(uint32(bits.TrailingZeros32(v))))
		}
	case Mod:
		if v&(v-1) == 0 { // a % 2^n = a & (2^n - 1)
			return x.op(And, a, x.number(v-1))
		}
	}
	if v == 0 && op != And { // a + 0 = a - 0 = a | 0 = a ^ 0 = a << 0 = a >> 0 = a
		return a
	}
	return x.intern(Term{Op: op, A: a, B: b})
}

// test is a comparison of two numbers, and where it leads to.
type test struct {
	cond    Cond
	a, b    Expr
	yes, no int
}

// simple returns a test that says the same with less to compute, Always if its outcome
// is known. Constants stand on the right.
func (x *terms) simple(t test) test {
	for {
		s := x.simpler(t)
		if s == t {
			return t
		}
		t = s
	}
}

func (x *terms) simpler(t test) test {
	always := func(holds bool) test {
		if holds {
			return test{Always, Zero, Zero, t.yes, t.yes}
		}
		return test{Always, Zero, Zero, t.no, t.no}
	}
	inverse := func(c Cond, a, b Expr) test { return test{c, a, b, t.no, t.yes} }
	u, aConst := x.Const(t.a)
	v, bConst := x.Const(t.b)
	r := x.ranges[t.a]
	switch {
	case t.yes == t.no:
		return always(true)
	case t.cond == Always || t.cond == Again || t.cond == In:
		return t
	case t.cond == Within:
		base, n := x.address(t.a, v)
		switch {
		case x.ranges[base].Lo >= Absent: // what the offset is of is absent
			return always(false)
		case base == Zero && n == 0:
			return always(true)
		}
		return test{Within, base, x.number(n), t.yes, t.no}
	case aConst && !bConst:
		switch t.cond {
		case Gt: // u > b: not b >= u
			return inverse(Ge, t.b, t.a)
		case Ge:
			return inverse(Gt, t.b, t.a)
		}
		return test{t.cond, t.b, t.a, t.yes, t.no}
	case aConst:
		return always(t.cond.holds(u, v))
	case t.a == t.b && t.cond != Set:
		return always(t.cond != Gt)
	case !bConst:
		return t
	}
	a := x.all[t.a]
	c, nested := x.Const(a.B)
	switch t.cond {
	case Eq:
		switch {
		case v < r.Lo || v > r.Hi:
			return always(false)
		case a.Op == And && nested && v&^c != 0:
			return always(false)
		case a.Op == And && nested && v == 0: // a & c == 0: not a & c != 0
			return inverse(Set, a.A, a.B)
		case a.Op == And && nested && v == c && c&(c-1) == 0:
			return test{Set, a.A, a.B, t.yes, t.no}
		case a.Op == And && v == 0:
			return inverse(Set, a.A, a.B)
		case a.Op == Add && nested: // a + c == v: a == v - c
			return test{Eq, a.A, x.number(v - c), t.yes, t.no}
		case a.Op == Sub && nested:
			return test{Eq, a.A, x.number(v + c), t.yes, t.no}
		case a.Op == Xor && nested:
			return test{Eq, a.A, x.number(v ^ c), t.yes, t.no}
		case (a.Op == Sub || a.Op == Xor) && v == 0: // a - b == 0: a == b
			return test{Eq, a.A, a.B, t.yes, t.no}
		}
	case Gt:
		switch {
		case r.Lo > v:
			return always(true)
		case r.Hi <= v:
			return always(false)
		case v == 0:
			return inverse(Eq, t.a, t.b)
		}
	case Ge:
		switch {
		case r.Lo >= v:
			return always(true)
		case r.Hi < v:
			return always(false)
		case v == 1:
			return inverse(Eq, t.a, Zero)
		}
	case Set:
		used := uint32(1<<bits.Len32(r.Hi) - 1) // bits that may be set
		switch {
		case v&used == 0:
			return always(false)
		case v&used == used:
			return inverse(Eq, t.a, Zero)
		case a.Op == And && nested: // a & c & v != 0
			return test{Set, a.A, x.number(c & v), t.yes, t.no}
		}
	}
	return t
}

// holds reports whether the condition, a comparison, holds for two numbers.
func (c Cond) holds(a, b uint32) bool {
	switch c {
	case Eq:
		return a == b
	case Gt:
		return a > b
	case Ge:
		return a >= b
	case Set:
		return a&b != 0
	}
	return true
}
