package ir

import "math/bits"

// Range is what a register may hold: a number from Lo to Hi. The range of none is that
// from 1 to 0: nothing gets there, and what is said about its numbers is true.
type Range struct{ Lo, Hi uint32 }

func none() Range { return Range{1, 0} }

func (r Range) isNone() bool { return r.Lo > r.Hi }

// Any returns the range of all numbers.
func Any() Range { return Range{0, 1<<32 - 1} }

// Or returns the range of what is in one of two.
func (r Range) Or(s Range) Range {
	switch {
	case r.isNone():
		return s
	case s.isNone():
		return r
	}
	return Range{min(r.Lo, s.Lo), max(r.Hi, s.Hi)}
}

// Result returns what the instruction's result may be, where its operands are in
// the ranges a and b. Those are ignored for an operand that is not read.
func (i Instr) Result(a, b Range) Range {
	if i.A == NoReg {
		a = Range{}
	}
	if i.Op < Load && (a.isNone() || b.isNone()) {
		return none()
	}
	if i.Op < Load && a.Lo == a.Hi && b.Lo == b.Hi && (i.Op != Div && i.Op != Mod || b.Lo > 0) {
		v := i.Op.Of(a.Lo, b.Lo)
		return Range{v, v}
	}
	wide := func(lo, hi uint64) Range {
		if hi >= 1<<32 {
			return Any()
		}
		return Range{uint32(lo), uint32(hi)}
	}
	// below returns all numbers of no more bits than the largest.
	below := func(largest uint32) Range { return Range{0, uint32(1<<bits.Len32(largest) - 1)} }
	switch i.Op {
	case Mov:
		return b
	case Load:
		return Range{0, uint32(1<<(8*uint64(i.Size)) - 1)}
	case LoadMeta:
		switch i.B.Imm {
		case MetaTag:
			return Range{0, 4}
		case MetaVLAN:
			return Range{0, 0xffff}
		}
		return Any()
	case Add:
		return wide(uint64(a.Lo)+uint64(b.Lo), uint64(a.Hi)+uint64(b.Hi))
	case Sub:
		if a.Lo >= b.Hi {
			return Range{a.Lo - b.Hi, a.Hi - b.Lo}
		}
	case Mul:
		return wide(uint64(a.Lo)*uint64(b.Lo), uint64(a.Hi)*uint64(b.Hi))
	case Div:
		if b.Lo > 0 {
			return Range{a.Lo / b.Hi, a.Hi / b.Lo}
		}
	case Mod:
		if b.Lo > 0 {
			return Range{0, min(a.Hi, b.Hi-1)}
		}
	case And:
		return Range{0, min(a.Hi, b.Hi)}
	case Or:
		return Range{max(a.Lo, b.Lo), below(a.Hi | b.Hi).Hi}
	case Xor:
		return below(a.Hi | b.Hi)
	case Shl:
		if b.Hi < 32 {
			return wide(uint64(a.Lo)<<b.Lo, uint64(a.Hi)<<b.Hi)
		}
	case Shr:
		if b.Hi < 32 {
			return Range{a.Lo >> b.Hi, a.Hi >> b.Lo}
		}
	}
	return Any()
}

// Where returns what is left of the range where a comparison with v holds, or where
// it does not.
func (r Range) Where(c Cond, v uint32, holds bool) Range {
	s := r
	switch {
	case c == Eq && holds:
		s = Range{max(v, r.Lo), min(v, r.Hi)}
	case c == Eq && r.Lo == v && r.Hi == v:
		return none()
	case c == Eq && r.Lo == v:
		s.Lo++
	case c == Eq && r.Hi == v:
		s.Hi--
	case c == Gt && holds && v == 1<<32-1, c == Ge && !holds && v == 0:
		return none()
	case c == Gt && holds:
		s.Lo = max(s.Lo, v+1)
	case c == Gt && !holds:
		s.Hi = min(s.Hi, v)
	case c == Ge && holds:
		s.Lo = max(s.Lo, v)
	case c == Ge:
		s.Hi = min(s.Hi, v-1)
	case c == Set && holds:
		s.Lo = max(s.Lo, 1)
	}
	if s.isNone() {
		return none()
	}
	return s
}
