package ir

import (
	"strings"
	"testing"
)

// port80 accepts a two-byte packet of 80 at an offset that the first byte gives.
func port80() *Prog {
	return &Prog{Blocks: []Block{
		{Cond: Within, A: NoReg, B: Imm(1), True: 1, False: Reject},
		{Code: []Instr{{Op: Load, Dst: T0, A: NoReg, B: Imm(0), Size: 1}}, Cond: Within, A: T0, B: Imm(2), True: 2, False: Reject},
		{Code: []Instr{{Op: Load, Dst: T1, A: T0, B: Imm(0), Size: 2}}, Cond: Eq, A: T1, B: Imm(80), True: Accept, False: Reject},
	}}
}

// chain follows at most three links: each byte is the distance to the next, and
// 255 is what is looked for.
func chain() *Prog {
	return &Prog{Heads: []int{1}, Blocks: []Block{
		{Code: []Instr{{Op: Mov, Dst: Cur, A: NoReg, B: Imm(0)}, {Op: Mov, Dst: Level, A: NoReg, B: Imm(0)}}, A: NoReg, B: Imm(0), True: 1, False: 1},
		{Cond: Within, A: Cur, B: Imm(1), True: 2, False: Reject},
		{Code: []Instr{{Op: Load, Dst: T0, A: Cur, B: Imm(0), Size: 1}, {Op: Add, Dst: Cur, A: Cur, B: R(T0)}}, Cond: Eq, A: T0, B: Imm(255), True: Accept, False: 3},
		{Cond: Again, A: Level, B: Imm(3), True: 1, False: Reject},
	}}
}

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		prog func() *Prog
		data string
		want bool
	}{
		{port80, "\x01\x00\x50", true},
		{port80, "\x01\x00\x51", false},
		{port80, "\x02\x00\x50", false},
		{port80, "\xff\x00\x50", false},
		{port80, "", false},
		{chain, "\xff", true},
		{chain, "\x01\x01\x01\xff", true},
		{chain, "\x01\x01\x01\x01\xff", false}, // one turn more than there are
		{chain, "\x00", false},                 // a link to itself
		{chain, "\x02\x00\xff", true},
		{chain, "\x02\x00", false},
	} {
		p := c.prog()
		if err := p.Verify(); err != nil {
			t.Fatal(err)
		}
		u := p.Unroll()
		if err := u.Verify(); err != nil {
			t.Fatalf("unrolled: %v\n%v", err, u)
		}
		if len(u.Heads) > 0 || strings.Contains(u.String(), "++") {
			t.Errorf("unrolled, it still has loops:\n%v", u)
		}
		if got := p.Match([]byte(c.data), Meta{}); got != c.want {
			t.Errorf("%q is %v\n%v", c.data, got, p)
		}
		if got := u.Match([]byte(c.data), Meta{}); got != c.want {
			t.Errorf("unrolled, %q is %v\n%v", c.data, got, u)
		}
		if got := p.Matcher().Match([]byte(c.data), &Meta{}, nil); got != c.want {
			t.Errorf("to a Matcher, %q is %v\n%v", c.data, got, p)
		}
	}
}

// TestOps runs each instruction and condition on values for which the others come
// to something else.
func TestOps(t *testing.T) {
	for _, c := range []struct {
		code []Instr
		cond Cond
		b    Val
	}{
		{[]Instr{{Op: Mov, Dst: T0, A: NoReg, B: Imm(7)}}, Eq, Imm(7)},
		{[]Instr{{Op: Mov, Dst: T1, A: NoReg, B: Imm(7)}, {Op: Mov, Dst: T0, A: NoReg, B: R(T1)}}, Eq, R(T1)},
		{[]Instr{{Op: Mov, Dst: T1, A: NoReg, B: Imm(0xffffffff)}, {Op: Add, Dst: T0, A: T1, B: Imm(8)}}, Eq, Imm(7)},
		{[]Instr{{Op: Mov, Dst: T1, A: NoReg, B: Imm(3)}, {Op: Sub, Dst: T0, A: T1, B: Imm(4)}}, Eq, Imm(0xffffffff)},
		{[]Instr{{Op: Mov, Dst: T1, A: NoReg, B: Imm(0x80000003)}, {Op: Mul, Dst: T0, A: T1, B: Imm(6)}}, Eq, Imm(18)},
		{[]Instr{{Op: Mov, Dst: T1, A: NoReg, B: Imm(0xffffffff)}, {Op: Div, Dst: T0, A: T1, B: Imm(2)}}, Eq, Imm(0x7fffffff)},
		{[]Instr{{Op: Mov, Dst: T1, A: NoReg, B: Imm(0xffffffff)}, {Op: Mod, Dst: T0, A: T1, B: Imm(16)}}, Eq, Imm(15)},
		{[]Instr{{Op: Mov, Dst: T1, A: NoReg, B: Imm(3)}, {Op: Div, Dst: T0, A: T1, B: R(T1)}}, Eq, Imm(1)},
		{[]Instr{{Op: Mov, Dst: T1, A: NoReg, B: Imm(3)}, {Op: Mod, Dst: T0, A: T1, B: R(T1)}}, Eq, Imm(0)},
		{[]Instr{{Op: Mov, Dst: T1, A: NoReg, B: Imm(0x0c)}, {Op: Or, Dst: T0, A: T1, B: Imm(0x0a)}}, Eq, Imm(0x0e)},
		{[]Instr{{Op: Mov, Dst: T1, A: NoReg, B: Imm(0x0c)}, {Op: Xor, Dst: T0, A: T1, B: Imm(0x0a)}}, Eq, Imm(0x06)},
		{[]Instr{{Op: Mov, Dst: T1, A: NoReg, B: Imm(3)}, {Op: Shl, Dst: T0, A: T1, B: R(T1)}}, Eq, Imm(24)},
		{[]Instr{{Op: Mov, Dst: T1, A: NoReg, B: Imm(3)}, {Op: Shr, Dst: T0, A: T1, B: R(T1)}}, Eq, Imm(0)},
		{[]Instr{{Op: Mov, Dst: T1, A: NoReg, B: Imm(0xff)}, {Op: And, Dst: T0, A: T1, B: Imm(0x10f)}}, Eq, Imm(0xf)},
		{[]Instr{{Op: Mov, Dst: T1, A: NoReg, B: Imm(0xf000000f)}, {Op: Shl, Dst: T0, A: T1, B: Imm(4)}}, Eq, Imm(0xf0)},
		{[]Instr{{Op: Mov, Dst: T1, A: NoReg, B: Imm(0xf000000f)}, {Op: Shr, Dst: T0, A: T1, B: Imm(4)}}, Eq, Imm(0xf000000)},
		{[]Instr{{Op: LoadMeta, Dst: T0, A: NoReg, B: Imm(MetaLen)}}, Eq, Imm(100)},
		{[]Instr{{Op: LoadMeta, Dst: T0, A: NoReg, B: Imm(MetaTag)}}, Eq, Imm(4)},
		{[]Instr{{Op: LoadMeta, Dst: T0, A: NoReg, B: Imm(MetaVLAN)}}, Eq, Imm(0x2007)},
		{[]Instr{{Op: LoadMeta, Dst: T0, A: NoReg, B: Imm(MetaType)}}, Eq, Imm(PacketOutgoing)},
		{[]Instr{{Op: LoadMeta, Dst: T0, A: NoReg, B: Imm(MetaIfindex)}}, Eq, Imm(3)},
		{[]Instr{{Op: Mov, Dst: T0, A: NoReg, B: Imm(0x80000000)}}, Gt, Imm(0x7fffffff)}, // unsigned
		{[]Instr{{Op: Mov, Dst: T0, A: NoReg, B: Imm(5)}}, Ge, Imm(5)},
		{[]Instr{{Op: Mov, Dst: T0, A: NoReg, B: Imm(6)}}, Set, Imm(2)},
		{[]Instr{{Op: Mov, Dst: T1, A: NoReg, B: Imm(2)}, {Op: Mov, Dst: T0, A: NoReg, B: Imm(6)}}, Set, R(T1)},
		{[]Instr{{Op: Mov, Dst: T1, A: NoReg, B: Imm(5)}, {Op: Mov, Dst: T0, A: NoReg, B: Imm(6)}}, Gt, R(T1)},
		{[]Instr{{Op: Mov, Dst: T1, A: NoReg, B: Imm(6)}, {Op: Mov, Dst: T0, A: NoReg, B: Imm(6)}}, Ge, R(T1)},
	} {
		meta := Meta{Len: 100, Tag: 4, VLAN: 0x2007, Type: PacketOutgoing, Ifindex: 3}
		p := &Prog{Blocks: []Block{{Code: c.code, Cond: c.cond, A: T0, B: c.b, True: Accept, False: Reject}}}
		if err := p.Verify(); err != nil {
			t.Errorf("%v\n%v", err, p)
		} else if !p.Match(nil, meta) {
			t.Errorf("does not match:\n%v", p)
		} else if !p.Matcher().Match(nil, &meta, nil) {
			t.Errorf("does not match as a Matcher:\n%v", p)
		}
	}
	for _, c := range []Block{
		{Cond: Gt, B: Imm(5)}, {Cond: Ge, B: Imm(6)}, {Cond: Set, B: Imm(2)}, {Cond: Eq, B: Imm(4)}, {Cond: Within, B: Imm(0)}, {Cond: Set, B: R(T1)},
	} {
		c.Code, c.A, c.True, c.False = []Instr{{Op: Mov, Dst: T0, A: NoReg, B: Imm(5)}, {Op: Mov, Dst: T1, A: NoReg, B: Imm(2)}}, T0, Accept, Reject
		p := &Prog{Blocks: []Block{c}}
		if p.Match([]byte("four"), Meta{}) || p.Matcher().Match([]byte("four"), &Meta{}, nil) {
			t.Errorf("matches:\n%v", p)
		}
	}
}

// TestVerify breaks good programs in one place each.
func TestVerify(t *testing.T) {
	for _, c := range []struct {
		want string
		edit func(p *Prog)
	}{
		{"without blocks", func(p *Prog) { p.Blocks = nil }},
		{"edge to 9", func(p *Prog) { p.Blocks[1].True = 9 }},
		{"edge to 1", func(p *Prog) { p.Blocks[2].True = 1 }},
		{"edge to -4", func(p *Prog) { p.Blocks[2].False = -4 }},
		{"block 3: cannot be reached", func(p *Prog) { p.Blocks[2].False = Reject }},
		{"t1 is read before it is written", func(p *Prog) { p.Blocks[2].Code[1].B = R(T1) }},
		{"level is read before it is written", func(p *Prog) { p.Blocks[0].Code = p.Blocks[0].Code[:1] }},
		{"no register 77", func(p *Prog) { p.Blocks[2].Code[1].A = 77 }},
		{"bad instruction", func(p *Prog) { p.Blocks[2].Code[1].Dst = 77 }},
		{"bad instruction", func(p *Prog) { p.Blocks[2].Code[1].Op = 99 }},
		{"bad instruction", func(p *Prog) { p.Blocks[2].Code[0].Size = 3 }},
		{"bad instruction", func(p *Prog) { p.Blocks[2].Code[0].B = R(Cur) }},
		{"bad instruction", func(p *Prog) { p.Blocks[2].Code[1] = Instr{Op: LoadMeta, Dst: T0, A: NoReg, B: Imm(nMetas)} }},
		{"may be beyond the packet", func(p *Prog) { p.Blocks[2].Code[0].Size = 2 }},
		{"may be beyond the packet", func(p *Prog) { p.Blocks[2].Code[0].B = Imm(1) }},
		{"may be beyond the packet", func(p *Prog) { p.Blocks[1].B = Imm(0) }},
		{"may be beyond the packet", func(p *Prog) { p.Blocks[1].True, p.Blocks[1].False = 2, 2 }},
		{"may be beyond the packet", func(p *Prog) {
			p.Blocks[2].Code = append([]Instr{{Op: Add, Dst: Cur, A: Cur, B: Imm(1)}}, p.Blocks[2].Code...)
		}},
		{"shifts by what may be more than 31", func(p *Prog) { p.Blocks[2].Code[1] = Instr{Op: Shl, Dst: T0, A: T0, B: Imm(32)} }},
		{"shifts by what may be more than 31", func(p *Prog) { p.Blocks[2].Code[1] = Instr{Op: Shr, Dst: T0, A: T0, B: R(T0)} }},
		{"divides by what may be 0", func(p *Prog) { p.Blocks[2].Code[1] = Instr{Op: Div, Dst: T0, A: T0, B: Imm(0)} }},
		{"divides by what may be 0", func(p *Prog) { p.Blocks[2].Code[1] = Instr{Op: Mod, Dst: T0, A: T0, B: R(T0)} }},
		{"within needs a constant", func(p *Prog) { p.Blocks[1].B = R(Cur) }},
		{"within needs a constant", func(p *Prog) { p.Blocks[1].B = Imm(Absent) }},
		{"bad condition", func(p *Prog) { p.Blocks[2].Cond = 99 }},
		{"again to 2, which is no head", func(p *Prog) { p.Blocks[3].True = 2 }},
		{"again to 1, which is no head", func(p *Prog) { p.Heads = nil }},
		{"again needs a register and a constant", func(p *Prog) { p.Blocks[3].B = Imm(1000) }},
		{"again needs a register and a constant", func(p *Prog) { p.Blocks[3].B = R(Cur) }},
		{"changes the loop's counter", func(p *Prog) { p.Blocks[2].Code[1].Dst = Level }},
		{"bad head 1", func(p *Prog) { p.Heads = []int{1, 1} }},
		{"bad head 7", func(p *Prog) { p.Heads = []int{1, 7} }},
	} {
		p := chain()
		c.edit(p)
		if err := p.Verify(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error is %v, want %s\n%v", err, c.want, p)
		}
	}
	// What is known of a register is lost when a loop comes round.
	p := chain()
	p.Blocks[0].Code = append(p.Blocks[0].Code, Instr{Op: Mov, Dst: L3, A: NoReg, B: Imm(0)})
	p.Blocks[2].Code = append(p.Blocks[2].Code, Instr{Op: Add, Dst: L3, A: L3, B: R(T0)}, Instr{Op: Load, Dst: T1, A: L3, B: Imm(0), Size: 1})
	if err := p.Verify(); err == nil {
		t.Error("a load without its within is accepted in a loop")
	}
}

// TestNested unrolls a loop in a loop: the inner one starts anew each time.
func TestNested(t *testing.T) {
	p := &Prog{Heads: []int{1, 2}, Blocks: []Block{
		{Code: []Instr{{Op: Mov, Dst: Level, A: NoReg, B: Imm(0)}, {Op: Mov, Dst: T0, A: NoReg, B: Imm(0)}}, A: NoReg, B: Imm(0), True: 1, False: 1},
		{Code: []Instr{{Op: Mov, Dst: Ext, A: NoReg, B: Imm(0)}}, A: NoReg, B: Imm(0), True: 2, False: 2},
		{Code: []Instr{{Op: Add, Dst: T0, A: T0, B: Imm(1)}}, Cond: Again, A: Ext, B: Imm(2), True: 2, False: 3},
		{Cond: Again, A: Level, B: Imm(3), True: 1, False: 4},
		{Cond: Eq, A: T0, B: Imm(12), True: Accept, False: Reject}, // 4 times 3
	}}
	if err := p.Verify(); err != nil {
		t.Fatal(err)
	}
	u := p.Unroll()
	if err := u.Verify(); err != nil {
		t.Fatal(err)
	}
	if !p.Match(nil, Meta{}) || !u.Match(nil, Meta{}) || !p.Matcher().Match(nil, &Meta{}, nil) {
		t.Errorf("the loops do not go round twelve times: %v, unrolled %v, as a Matcher %v\n%v", p.Match(nil, Meta{}), u.Match(nil, Meta{}), p.Matcher().Match(nil, &Meta{}, nil), u)
	}
}

func TestString(t *testing.T) {
	want := `b0:   cur = 0x0
      level = 0x0
      goto b1
b1*   if cur + 1 <= captured goto b2 else reject
b2:   t0 = load1 [cur + 0]
      cur = cur + t0
      if t0 == 0xff goto accept else b3
b3:   if level++ < 0x3 goto b1 else reject
`
	if got := chain().String(); got != want {
		t.Errorf("have\n%swant\n%s", got, want)
	}
}

// TestMatchAllocates makes sure that it does not.
func TestMatchAllocates(t *testing.T) {
	p, data := chain(), []byte("\x01\x01\x01\xff")
	if n := testing.AllocsPerRun(100, func() { p.Match(data, Meta{}) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
