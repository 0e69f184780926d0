package filter

import (
	"math"
	"slices"

	"github.com/tundump/tundump/filter/ir"
)

// This file lowers relations between numbers.

// maxTemporaries is how many registers there are for arithmetic; one is left for what a
// leaf needs besides.
const maxTemporaries = int(ir.T9 - ir.T0)

// temporaries returns them.
func temporaries() []ir.Reg {
	all := make([]ir.Reg, maxTemporaries)
	for i := range all {
		all[i] = ir.T0 + ir.Reg(i)
	}
	return all
}

// compare builds the test of a relation, behind those of what it needs.
func (l *lowerer) compare(f frame, n compare, yes, no, short block) block {
	test := l.relation(f, n, yes, no, short)
	for _, c := range slices.Backward(n.checks) {
		test = l.primitive(c, f, test, no)
	}
	return test
}

func (l *lowerer) relation(f frame, n compare, yes, no, short block) block {
	a, b, op := n.a, n.b, n.op
	if _, ok := a.(constant); ok {
		a, b = b, a
		op = [...]relation{equal, notEqual, less, lessEqual, greater, greaterEqual}[op]
	}
	cond := ir.Eq
	switch op {
	case notEqual:
		yes, no = no, yes
	case greater:
		cond = ir.Gt
	case greaterEqual:
		cond = ir.Ge
	case less:
		cond, yes, no = ir.Ge, no, yes
	case lessEqual:
		cond, yes, no = ir.Gt, no, yes
	}
	pool := temporaries()
	if v, ok := b.(constant); ok {
		if c, ok := a.(constant); ok {
			if c.v > v.v && cond != ir.Eq || c.v == v.v && cond != ir.Gt {
				return yes
			}
			return no
		}
		if x, ok := a.(operation); ok && x.op == bitAnd && cond == ir.Eq {
			if m, ok := x.b.(constant); ok && m.v != 0 && (v.v == 0 || v.v == m.v && m.v&(m.v-1) == 0) {
				if v.v == 0 {
					yes, no = no, yes
				}
				return l.number(f, x.a, pool, l.add(nil, ir.Set, pool[0], ir.Imm(m.v), yes, no), short)
			}
		}
		return l.number(f, a, pool, l.add(nil, cond, pool[0], ir.Imm(v.v), yes, no), short)
	}
	return l.both(f, a, b, pool, func(x, y ir.Reg) block {
		return l.add(nil, cond, x, ir.R(y), yes, no)
	}, short)
}

// registers returns how many registers it takes to compute a number.
func registers(n number32) int {
	switch n := n.(type) {
	case field:
		return registers(n.index)
	case operation:
		return n.registers
	}
	return 1
}

// operated returns a op b.
func operated(op operator, a, b number32) operation {
	n := operation{op, a, b, max(registers(a), registers(b))}
	// What takes more is computed first, and then kept in one register. A constant takes none.
	if _, ok := b.(constant); !ok && registers(a) == registers(b) {
		n.registers++
	}
	return n
}

// both builds the computation of a and b in front of what then says: with the one that
// takes more registers first.
func (l *lowerer) both(f frame, a, b number32, pool []ir.Reg, then func(a, b ir.Reg) block, short block) block {
	x, y := pool[0], pool[1]
	if registers(a) >= registers(b) {
		return l.number(f, a, pool, l.number(f, b, pool[1:], then(x, y), short), short)
	}
	return l.number(f, b, pool, l.number(f, a, pool[1:], then(y, x), short), short)
}

// most returns an upper bound of a number.
func most(n number32) uint64 {
	const all = math.MaxUint32
	switch n := n.(type) {
	case constant:
		return uint64(n.v)
	case field:
		return 1<<(8*uint64(n.size)) - 1
	case operation:
		a, b := most(n.a), most(n.b)
		switch n.op {
		case plus:
			return min(a+b, all)
		case times:
			if a == 0 || b <= all/a {
				return a * b
			}
		case divided, shiftRight:
			return a
		case modulo:
			return min(a, b)
		case bitAnd:
			return min(a, b)
		case shiftLeft:
			if c, ok := n.b.(constant); ok {
				return min(a<<c.v, all)
			}
		}
	}
	return all
}

// number builds the computation of a number in the first of the registers in pool, in
// front of next. It may use all of them. Where a byte is not there, or
// something is divided by 0, it goes to short.
func (l *lowerer) number(f frame, n number32, pool []ir.Reg, next, short block) block {
	to := pool[0]
	switch n := n.(type) {
	case constant:
		return l.do(next, mov(to, n.v))
	case meta:
		return l.do(next, loadMeta(to, n.fact))
	case packetLen:
		return l.length(f, to, next)
	case field:
		return l.fieldOf(f, n, pool, next, short)
	case operation:
		return l.operation(f, n, pool, next, short)
	}
	return next
}

// length builds the computation of the packet's length, and, inside a scope, of what it is
// from the level on.
func (l *lowerer) length(f frame, to ir.Reg, next block) block {
	whole := []ir.Instr{loadMeta(to, ir.MetaLen)}
	if l.opt.Origin == OriginLive {
		whole = append(whole, loadMeta(ir.T9, ir.MetaTag), ir.Instr{Op: ir.Add, Dst: to, A: to, B: ir.R(ir.T9)})
	}
	if !f.scoped || f.wire { // a tag in the metadata belongs to level 0, which starts at 0
		return l.do(next, whole...)
	}
	return l.do(next, loadMeta(to, ir.MetaLen), ir.Instr{Op: ir.Sub, Dst: to, A: to, B: ir.R(ir.L2)})
}

// fieldOf builds the load of bytes.
func (l *lowerer) fieldOf(f frame, n field, pool []ir.Reg, next, short block) block {
	to := pool[0]
	load := func(a addr) block { return l.within(a, uint32(n.size), l.do(next, load(to, a, n.size)), short) }
	indexed := func(a addr) block {
		c, fixed := n.index.(constant)
		wraps := most(n.index)+uint64(a.off) >= ir.Absent
		if fixed && !wraps {
			return load(a.plus(c.v))
		}
		add := func(next block) block {
			if a.reg == ir.NoReg {
				return next
			}
			return l.do(next, ir.Instr{Op: ir.Add, Dst: to, A: to, B: ir.R(a.reg)})
		}
		tooFar := func(next block) block {
			if !wraps {
				return next
			}
			return l.add(nil, ir.Ge, to, ir.Imm(ir.Absent), short, next)
		}
		body := load(addr{to, a.off})
		if f.scoped { // nothing is in front of a level
			body = tooFar(add(body))
		} else { // as in libpcap, tcp[-1] is the last byte of the IP header
			body = add(tooFar(body))
		}
		return l.number(f, n.index, pool, body, short)
	}
	if n.base == fromLink && (f.scoped || f.link == linkKnown) {
		return l.hasLinkHeader(f, n.at, indexed(l.addr(f, n.at, n.base)), short)
	}
	if n.base == fromTransport && !f.scoped {
		return l.behindIP(l.addr(f, n.at, fromNetwork), to, indexed, short)
	}
	return indexed(l.addr(f, n.at, n.base))
}

// operation builds the computation of an code.
func (l *lowerer) operation(f frame, n operation, pool []ir.Reg, next, short block) block {
	code := map[operator]ir.Op{plus: ir.Add, minus: ir.Sub, times: ir.Mul, divided: ir.Div, modulo: ir.Mod,
		bitAnd: ir.And, bitOr: ir.Or, bitXor: ir.Xor, shiftLeft: ir.Shl, shiftRight: ir.Shr}[n.op]
	to := pool[0]
	if c, ok := n.b.(constant); ok {
		switch {
		case c.v == 0 && (n.op == divided || n.op == modulo):
			return short // the parser refuses it
		case c.v > 31 && (n.op == shiftLeft || n.op == shiftRight): // nothing is left
			return l.number(f, n.a, pool, l.do(next, mov(to, 0)), short)
		}
		return l.number(f, n.a, pool, l.do(next, op(code, to, to, c.v)), short)
	}
	if c, ok := n.a.(constant); ok && c.v == 0 && n.op == minus { // the sign
		return l.number(f, n.b, pool, l.do(next, ir.Instr{Op: ir.Sub, Dst: to, A: ir.NoReg, B: ir.R(to)}), short)
	}
	return l.both(f, n.a, n.b, pool, func(a, b ir.Reg) block {
		done := l.do(next, ir.Instr{Op: code, Dst: to, A: a, B: ir.R(b)})
		switch n.op {
		case divided, modulo:
			return l.add(nil, ir.Eq, b, ir.Imm(0), short, done)
		case shiftLeft, shiftRight: // by 32 bits and more, nothing is left
			return l.add(nil, ir.Ge, b, ir.Imm(32), l.do(next, mov(to, 0)), done)
		}
		return done
	}, short)
}
