package bpf

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/tundump/tundump/filter/ir"
	"github.com/tundump/tundump/testdata/random"
)

// programs makes random programs, also such as no expression comes to. It counts what
// it made of instructions and conditions.
type programs struct {
	*rand.Rand
	made map[string]int
}

// number returns one that is often small, or the largest.
func (g *programs) number() uint32 {
	if g.IntN(8) == 0 {
		return 1<<32 - 1
	}
	return g.Uint32() >> g.IntN(32)
}

// kept is how many registers the programs use: as many as classic BPF has cells for.
const kept = 12

// program returns one with up to n blocks, that reads no more than the first 16 bytes of
// the packet.
func (g *programs) program(n int) *ir.Prog {
	var regs []ir.Reg // that are used
	for _, r := range g.Perm(int(ir.NRegs))[:kept] {
		regs = append(regs, ir.Reg(r))
	}
	reg := func() ir.Reg { return regs[g.IntN(len(regs))] }
	start := ir.Block{Cond: ir.Within, A: ir.NoReg, B: ir.Imm(16), True: 1, False: ir.Reject}
	first := ir.Block{Cond: ir.Always, A: ir.NoReg, B: ir.Imm(0), True: 2, False: 2}
	for _, r := range regs {
		size := uint8(1) << g.IntN(3)
		first.Code = append(first.Code, ir.Instr{Op: ir.Load, Dst: r, A: ir.NoReg, B: ir.Imm(uint32(g.IntN(17 - int(size)))), Size: size})
	}
	p := &ir.Prog{Blocks: []ir.Block{start, first}}
	guarded := map[int]bool{} // blocks that rely on the branch of the one before them
	for len(p.Blocks) < n {
		at := len(p.Blocks)
		to := func() int {
			if t := at + 1 + g.IntN(n+2-at); t < n {
				return t
			}
			return []int{ir.Accept, ir.Reject}[g.IntN(2)]
		}
		b := ir.Block{True: to(), False: at + 1}
		if g.IntN(8) == 0 { // a load relative to a register
			r, size := reg(), uint8(1)<<g.IntN(3)
			off := uint32(g.IntN(8))
			b.Code = append(b.Code, ir.Instr{Op: ir.And, Dst: r, A: r, B: ir.Imm(7)})
			b.Cond, b.A, b.B, b.True, b.False = ir.Within, r, ir.Imm(off+uint32(size)), at+1, ir.Reject
			if at+1 < n {
				p.Blocks = append(p.Blocks, b)
				at++
				guarded[at] = true
				b = ir.Block{True: to(), False: at + 1}
				b.Code = []ir.Instr{{Op: ir.Load, Dst: reg(), A: r, B: ir.Imm(off), Size: size}}
				g.made["load"]++
			}
		}
		for range g.IntN(4) {
			b.Code = append(b.Code, g.instr(reg)...)
		}
		if g.IntN(6) == 0 && at+1 < n { // an edge that guards a division
			r := reg()
			b.Cond, b.A, b.B = ir.Eq, r, ir.Imm(0)
			p.Blocks = append(p.Blocks, b)
			at++
			guarded[at] = true
			b = ir.Block{True: to(), False: at + 1, Code: []ir.Instr{{Op: ir.Mod, Dst: reg(), A: reg(), B: ir.R(r)}}}
			g.made["guard"]++
		}
		b.Cond, b.A, b.B = ir.Cond(g.IntN(int(ir.Within))), reg(), ir.Imm(g.number())
		if g.IntN(3) == 0 {
			b.B = ir.R(reg())
		}
		g.made[fmt.Sprint("condition ", b.Cond, b.B.Reg != ir.NoReg)]++
		if b.Cond == ir.Always {
			b.A, b.B, b.True = ir.NoReg, ir.Imm(0), b.False
		}
		p.Blocks = append(p.Blocks, b)
	}
	for i := range p.Blocks {
		b := &p.Blocks[i]
		if b.False == n {
			b.False = ir.Accept
		}
		if b.True == n || guarded[b.True] && b.Cond != ir.Within && b.Cond != ir.Always {
			b.True = ir.Reject
		}
		if b.Cond == ir.Always {
			b.True = b.False
		}
	}
	return p
}

// instr returns a random instruction, if need be with another before it that makes sure
// that it is allowed.
func (g *programs) instr(reg func() ir.Reg) []ir.Instr {
	i := ir.Instr{Op: ir.Op(g.IntN(int(ir.LoadMeta) + 1)), Dst: reg(), A: reg(), B: ir.R(reg())}
	constant := g.IntN(2) == 0
	if constant {
		i.B = ir.Imm(g.number())
	}
	if g.IntN(16) == 0 {
		i.A = ir.NoReg
	}
	var before []ir.Instr
	switch i.Op {
	case ir.Mov:
		i.A = ir.NoReg
	case ir.Load:
		i.Size = 1 << g.IntN(3)
		i.A, i.B = ir.NoReg, ir.Imm(uint32(g.IntN(17-int(i.Size))))
	case ir.LoadMeta:
		// Not MetaIfindex: a packet of a socket pair has no interface, for which classic BPF
		// rejects it.
		i.A, i.B = ir.NoReg, ir.Imm(uint32(g.IntN(ir.MetaIfindex)))
	case ir.Div, ir.Mod:
		if constant {
			i.B.Imm |= 1
		} else {
			before = []ir.Instr{{Op: ir.Or, Dst: i.B.Reg, A: i.B.Reg, B: ir.Imm(1)}}
		}
	case ir.Shl, ir.Shr:
		if constant {
			i.B.Imm %= 32
		} else {
			before = []ir.Instr{{Op: ir.And, Dst: i.B.Reg, A: i.B.Reg, B: ir.Imm(31)}}
		}
	}
	g.made[fmt.Sprint("op ", i.Op, i.B.Reg != ir.NoReg)]++
	return append(before, i)
}

// TestPrograms runs random programs in every back end.
func TestPrograms(t *testing.T) {
	defer sayLeftOut(t)
	g := &programs{rand.New(rand.NewPCG(7, 0)), map[string]int{}}
	matched, total, graphs := 0, 0, 0
	for range random.Rounds(300) {
		p := g.program(3 + g.IntN(20))
		text := p.String()
		if err := p.Verify(); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		var simple *ir.Prog
		if g := p.Graph(false, false); g != nil {
			if simple = g.Prog(); simple == nil {
				t.Fatalf("too few registers for\n%s", text)
			}
			if err := simple.Verify(); err != nil {
				t.Fatalf("%v\n%v\nfrom\n%s", err, simple, text)
			}
			graphs++
		}
		b := newBackendsOf(t, text, p)
		b.addTaps(t, text)
		if b.vm == nil || b.classic == nil {
			t.Fatalf("no classic BPF for\n%s", text)
		}
		for range 60 {
			data := make([]byte, 10+g.IntN(12))
			for i := range data {
				data[i] = byte(g.number())
			}
			got := b.check(t, text, data)
			if total++; got {
				matched++
			}
			if simple != nil && simple.Match(data, ir.Meta{Len: uint32(len(data))}) != got {
				t.Fatalf("on %x\n%s\nis %v, but not\n%v", data, text, got, simple)
			}
		}
		b.close()
	}
	for op := ir.Mov; op <= ir.LoadMeta; op++ {
		for _, reg := range []bool{false, true} {
			if g.made[fmt.Sprint("op ", op, reg)] == 0 && (op < ir.Load || !reg) {
				t.Errorf("operation %d, with a register %v, was never made", op, reg)
			}
		}
	}
	for c := ir.Always; c < ir.Within; c++ {
		if g.made[fmt.Sprint("condition ", c, true)] == 0 || g.made[fmt.Sprint("condition ", c, false)] == 0 {
			t.Errorf("condition %d was never made", c)
		}
	}
	if g.made["load"] == 0 || g.made["guard"] == 0 {
		t.Error("no load relative to a register, or no guarded division, was ever made")
	}
	if graphs < 100 {
		t.Errorf("only %d programs as graphs: the test says little", graphs)
	}
	if matched < total/10 || matched > total*9/10 {
		t.Errorf("of %d packets %d matched: the test says little", total, matched)
	}
}
