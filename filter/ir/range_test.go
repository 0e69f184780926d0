package ir

import (
	"math/rand/v2"
	"testing"
)

// guarded divides and shifts by the second byte where the comparison, holding or not,
// shows that this can be done, and accepts what is not compared.
func guarded(op Op, c Cond, v uint32, holds bool) *Prog {
	p := &Prog{Blocks: []Block{
		{Cond: Within, A: NoReg, B: Imm(2), True: 1, False: Reject},
		{Code: []Instr{
			{Op: Load, Dst: T0, A: NoReg, B: Imm(0), Size: 1}, {Op: Load, Dst: T1, A: NoReg, B: Imm(1), Size: 1},
		}, Cond: c, A: T1, B: Imm(v), True: Accept, False: 2},
		{Code: []Instr{{Op: op, Dst: T0, A: T0, B: R(T1)}}, Cond: Eq, A: T0, B: Imm(2), True: Accept, False: Reject},
	}}
	if b := &p.Blocks[1]; holds {
		b.True, b.False = b.False, b.True
	}
	return p
}

// TestGuards has what shows that a divisor is not 0 and a shift below 32, and what does
// not.
func TestGuards(t *testing.T) {
	for _, c := range []struct {
		op    Op
		cond  Cond
		v     uint32
		holds bool
		want  bool
	}{
		{Div, Eq, 0, false, true}, {Mod, Eq, 0, false, true}, {Div, Eq, 0, true, false}, {Div, Eq, 1, false, false},
		{Div, Eq, 7, true, true}, {Div, Gt, 0, true, true}, {Div, Gt, 0, false, false}, {Div, Gt, 9, false, false},
		{Div, Ge, 1, true, true}, {Div, Ge, 0, true, false}, {Div, Set, 6, true, true}, {Div, Set, 6, false, false},
		{Shl, Gt, 31, false, true}, {Shr, Gt, 31, false, true}, {Shl, Gt, 32, false, false}, {Shl, Gt, 31, true, false},
		{Shl, Ge, 32, false, true}, {Shl, Ge, 33, false, false}, {Shl, Eq, 31, true, true}, {Shl, Eq, 31, false, false},
	} {
		p := guarded(c.op, c.cond, c.v, c.holds)
		if err := p.Verify(); (err == nil) != c.want {
			t.Errorf("error is %v\n%v", err, p)
		}
	}
	// Where paths meet, the divisor must not be 0 on any.
	p := guarded(Div, Eq, 0, false)
	p.Blocks[1].True = 2
	if err := p.Verify(); err == nil {
		t.Errorf("no error\n%v", p)
	}
	// A masked shift needs no comparison.
	p = guarded(Shl, Always, 0, true)
	p.Blocks[1].A, p.Blocks[1].False = NoReg, p.Blocks[1].True
	p.Blocks[1].Code = append(p.Blocks[1].Code, Instr{Op: And, Dst: T1, A: T1, B: Imm(31)})
	if err := p.Verify(); err != nil {
		t.Errorf("%v\n%v", err, p)
	}
}

// TestRange computes with random numbers out of random ranges: the result must be in the
// range that is said.
func TestRange(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	number := func() uint32 { return rng.Uint32() >> rng.IntN(33) }
	some := func() (Range, uint32) {
		r := Range{number(), number()}
		if r.Lo > r.Hi {
			r.Lo, r.Hi = r.Hi, r.Lo
		}
		return r, r.Lo + uint32(rng.Uint64N(uint64(r.Hi-r.Lo)+1))
	}
	in := func(r Range, v uint32) bool { return r.Lo <= v && v <= r.Hi }
	narrow := map[Op]int{}
	for range 200_000 {
		op := Op(rng.IntN(int(Load)))
		a, x := some()
		b, y := some()
		if (op == Shl || op == Shr) && b.Hi > 31 {
			b = Range{b.Lo % 32, 31}
			y = b.Lo + y%(32-b.Lo)
		}
		if (op == Div || op == Mod) && y == 0 {
			continue
		}
		r := (Instr{Op: op, A: T0, B: R(T1)}).Result(a, b)
		if !in(r, op.Of(x, y)) {
			t.Fatalf("%v of %d in %v and %d in %v is %d, not in %v", Instr{Op: op, A: T0, B: R(T1)}, x, a, y, b, op.Of(x, y), r)
		}
		if r != Any() {
			narrow[op]++
		}
		c := Cond(rng.IntN(int(Within)))
		holds := [...]bool{Always: true, Eq: x == y, Gt: x > y, Ge: x >= y, Set: x&y != 0}[c]
		if r := a.Where(c, y, holds); !in(r, x) {
			t.Fatalf("%d in %v is not in %v, where condition %d with %d is %v", x, a, r, c, y, holds)
		}
	}
	for op := range Load {
		if narrow[op] < 100 {
			t.Errorf("operation %d is hardly ever known to be in a range: the test says little", op)
		}
	}
}
