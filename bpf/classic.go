package bpf

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/tundump/tundump/filter/ir"
)

// Classic returns the program as classic BPF, which returns snapLen or 0. It has
// no loops, so those of p are unrolled. live says that it is for a socket, where
// a VLAN tag may be in the metadata; x/net/bpf's machine and capture files know no
// metadata. It remembers nothing, and so does not follow fragments. It is an error if
// the program is longer than the kernel takes.
func Classic(p *ir.Prog, snapLen uint32, live bool) ([]bpf.Instruction, error) {
	u, err := unrolled(p)
	if err != nil {
		return nil, err
	}
	var insns []bpf.Instruction
	g := u.Graph(!live, false)
	if g != nil {
		insns, err = fromGraph(g, live).finish(snapLen)
	}
	// Unrolled loops may be shorter with registers than with a graph of all ways through them.
	if g == nil || err != nil || len(p.Heads) > 0 {
		other, otherErr := fromBlocks(u, live).finish(snapLen)
		if insns == nil || otherErr == nil && len(other) < len(insns) {
			insns, err = other, otherErr
		}
	}
	return fits(insns, err)
}

// ClassicUnoptimised is Classic without what makes the program shorter, for tcpdump's -O: each
// block of the program is translated as it is.
func ClassicUnoptimised(p *ir.Prog, snapLen uint32, live bool) ([]bpf.Instruction, error) {
	u, err := unrolled(p)
	if err != nil {
		return nil, err
	}
	c := fromBlocks(u, live)
	if err := c.assignCells(); err != nil {
		return nil, err
	}
	return fits(c.link(snapLen), nil)
}

// unrolled returns the program as far as classic BPF can express it.
func unrolled(p *ir.Prog) (*ir.Prog, error) {
	if err := p.Verify(); err != nil {
		return nil, err
	}
	p = p.WithoutFragments().Expand(ClassicSet)
	if n := p.LargestSet(); n > 0 {
		return nil, fmt.Errorf("a set of %d entries needs eBPF: classic BPF has no tables, and takes sets of at most %d", n, ClassicSet)
	}
	return p.Unroll(), nil
}

// fits returns the instructions, if the kernel would take so many.
func fits(insns []bpf.Instruction, err error) ([]bpf.Instruction, error) {
	const limit = 4096 // BPF_MAXINSNS
	if err == nil && len(insns) > limit {
		err = fmt.Errorf("the filter needs %d instructions, and classic BPF has room for %d", len(insns), limit)
	}
	if err != nil {
		return nil, err
	}
	return insns, nil
}

// finish returns the program.
func (c *code) finish(snapLen uint32) ([]bpf.Instruction, error) {
	c.dropStores()
	c.mergeBlocks()
	if err := c.assignCells(); err != nil {
		return nil, err
	}
	return c.link(snapLen), nil
}

// code is a classic program in the making: blocks, which lead to later ones.
type code struct {
	insns  []insn
	block  int  // the one that is being made
	blocks int  // how many there are
	full   bool // there were not enough memory cells
}

// insn is an instruction, or a jump to blocks.
type insn struct {
	bpf.Instruction // nil for a jump without condition
	jump            bool
	yes, no         int // blocks, ir.Accept, ir.Reject or fall, for a jump
	block           int // the block that it belongs to
}

// fall is the target of a jump to the next instruction.
const fall = -3

func (c *code) emit(is ...bpf.Instruction) {
	for _, i := range is {
		c.insns = append(c.insns, insn{Instruction: i, block: c.block})
	}
}

func (c *code) jump(cond bpf.Instruction, yes, no int) {
	c.insns = append(c.insns, insn{Instruction: cond, jump: true, yes: yes, no: no, block: c.block})
}

// fromBlocks translates blocks. Registers are the machine's memory cells; A and X
// are used within a block, and remembered as long as all that leads to a block
// agrees.
type fromBlock struct {
	*code
	p     *ir.Prog
	live  bool
	at    holds
	entry []*holds // what A and X hold at the start of each block
}

func fromBlocks(p *ir.Prog, live bool) *code {
	c := &fromBlock{code: &code{blocks: len(p.Blocks)}, p: p, live: live, entry: make([]*holds, len(p.Blocks))}
	c.entry[0] = &holds{}
	for n := range p.Blocks {
		c.code.block = n
		c.translate(n)
	}
	return c.code
}

// holds says which cells A and X are equal to, as bits.
type holds struct{ a, x uint32 }

// ldA makes A equal to a register.
func (c *fromBlock) ldA(r ir.Reg) {
	switch {
	case r == ir.NoReg:
		c.emit(bpf.LoadConstant{Dst: bpf.RegA})
	case c.at.a>>r&1 == 1:
		return
	default:
		c.emit(bpf.LoadScratch{Dst: bpf.RegA, N: int(r)})
	}
	c.at.a = 0
	if r != ir.NoReg {
		c.at.a = 1 << r
	}
}

// ldX makes X equal to a register.
func (c *fromBlock) ldX(r ir.Reg) {
	switch {
	case c.at.x>>r&1 == 1:
		return
	case c.at.a>>r&1 == 1:
		c.emit(bpf.TAX{})
		c.at.x = c.at.a
		return
	}
	c.emit(bpf.LoadScratch{Dst: bpf.RegX, N: int(r)})
	c.at.x = 1 << r
}

// stA stores A, whose value is new, in a register.
func (c *fromBlock) stA(r ir.Reg) {
	c.emit(bpf.StoreScratch{Src: bpf.RegA, N: int(r)})
	c.at.a |= 1 << r
	c.at.x &^= 1 << r
}

func (c *fromBlock) translate(n int) {
	b := c.p.Blocks[n]
	c.at = *c.entry[n]
	for _, i := range b.Code {
		c.instr(i)
	}
	jump := func(cond bpf.Instruction, yes, no int) {
		c.jump(cond, yes, no)
		for _, to := range []int{yes, no} {
			switch {
			case to < 0:
			case c.entry[to] == nil:
				at := c.at
				c.entry[to] = &at
			default:
				c.entry[to].a &= c.at.a
				c.entry[to].x &= c.at.x
			}
		}
	}
	test := map[ir.Cond]bpf.JumpTest{ir.Eq: bpf.JumpEqual, ir.Gt: bpf.JumpGreaterThan, ir.Ge: bpf.JumpGreaterOrEqual, ir.Set: bpf.JumpBitsSet}[b.Cond]
	switch b.Cond {
	case ir.Always:
		jump(nil, b.True, b.True)
	case ir.Within:
		switch {
		case c.impliedByLoad(b):
			jump(nil, b.True, b.True)
		case b.A == ir.NoReg:
			c.emit(bpf.LoadExtension{Num: bpf.ExtLen})
			c.at.a = 0
			jump(bpf.JumpIf{Cond: bpf.JumpGreaterOrEqual, Val: b.B.Imm}, b.True, b.False)
		default:
			c.ldA(b.A)
			if b.B.Imm != 0 {
				c.emit(bpf.ALUOpConstant{Op: bpf.ALUOpAdd, Val: b.B.Imm})
			}
			c.emit(bpf.TAX{}, bpf.LoadExtension{Num: bpf.ExtLen})
			c.at = holds{}
			jump(bpf.JumpIfX{Cond: bpf.JumpGreaterOrEqual}, b.True, b.False)
		}
	default:
		if b.B.Reg != ir.NoReg {
			c.ldX(b.B.Reg)
			c.ldA(b.A)
			jump(bpf.JumpIfX{Cond: test}, b.True, b.False)
			return
		}
		c.ldA(b.A)
		jump(bpf.JumpIf{Cond: test, Val: b.B.Imm}, b.True, b.False)
	}
}

// impliedByLoad reports whether a within can be left out: if it does not hold,
// the packet is rejected, and that is what the machine does for the load beyond
// the packet that comes next.
func (c *fromBlock) impliedByLoad(b ir.Block) bool {
	if b.False != ir.Reject || b.True < 0 {
		return false
	}
	for _, i := range c.p.Blocks[b.True].Code {
		if i.Op == ir.Load && i.A == b.A && i.B.Imm+uint32(i.Size) >= b.B.Imm {
			return true
		}
		if i.Dst == b.A {
			return false
		}
	}
	return false
}

func (c *fromBlock) instr(i ir.Instr) {
	switch i.Op {
	case ir.Mov:
		if i.B.Reg == ir.NoReg {
			c.emit(bpf.LoadConstant{Dst: bpf.RegA, Val: i.B.Imm})
			c.at.a = 0
		} else {
			c.ldA(i.B.Reg)
		}
	case ir.Load:
		if i.A == ir.NoReg {
			c.emit(bpf.LoadAbsolute{Off: i.B.Imm, Size: int(i.Size)})
		} else {
			c.ldX(i.A)
			c.emit(bpf.LoadIndirect{Off: i.B.Imm, Size: int(i.Size)})
		}
		c.at.a = 0
	case ir.LoadMeta:
		switch {
		case i.B.Imm == ir.MetaLen:
			c.emit(bpf.LoadExtension{Num: bpf.ExtLen})
		case !c.live:
			c.emit(bpf.LoadConstant{Dst: bpf.RegA})
		default:
			c.emit(fact(i.B.Imm))
			if i.B.Imm == ir.MetaTag {
				c.emit(bpf.ALUOpConstant{Op: bpf.ALUOpShiftLeft, Val: 2})
			}
		}
		c.at.a = 0
	default:
		op := map[ir.Op]bpf.ALUOp{
			ir.Add: bpf.ALUOpAdd, ir.Sub: bpf.ALUOpSub, ir.Mul: bpf.ALUOpMul, ir.Div: bpf.ALUOpDiv, ir.Mod: bpf.ALUOpMod,
			ir.And: bpf.ALUOpAnd, ir.Or: bpf.ALUOpOr, ir.Xor: bpf.ALUOpXor, ir.Shl: bpf.ALUOpShiftLeft, ir.Shr: bpf.ALUOpShiftRight,
		}[i.Op]
		if i.B.Reg != ir.NoReg {
			c.ldX(i.B.Reg)
			c.ldA(i.A)
			c.emit(bpf.ALUOpX{Op: op})
			c.at.a = 0
			break
		}
		c.ldA(i.A)
		if i.B.Imm != 0 || i.Op == ir.And || i.Op == ir.Mul {
			c.emit(bpf.ALUOpConstant{Op: op, Val: i.B.Imm})
			c.at.a = 0
		}
	}
	c.stA(i.Dst)
}

// fact returns the load of a fact about the packet. The kernel ignores its size;
// it is that which libpcap uses.
func fact(meta uint32) bpf.Instruction {
	switch meta {
	case ir.MetaTag:
		return bpf.RawInstruction{Op: unix.BPF_LD | unix.BPF_ABS | unix.BPF_B, K: extensions + uint32(bpf.ExtVLANTagPresent)}
	case ir.MetaVLAN:
		return bpf.RawInstruction{Op: unix.BPF_LD | unix.BPF_ABS | unix.BPF_H, K: extensions + uint32(bpf.ExtVLANTag)}
	case ir.MetaType:
		return bpf.RawInstruction{Op: unix.BPF_LD | unix.BPF_ABS | unix.BPF_H, K: extensions + uint32(bpf.ExtType)}
	}
	return bpf.RawInstruction{Op: unix.BPF_LD | unix.BPF_ABS | unix.BPF_W, K: extensions + uint32(bpf.ExtInterfaceIndex)}
}

// dropStores leaves out what is stored and never loaded: most of it, since A
// remembers.
func (c *code) dropStores() {
	live := make([]uint32, c.blocks) // cells that are loaded in a block or behind it
	var keep []insn
	var cells uint32
	for _, i := range slices.Backward(c.insns) {
		switch op := i.Instruction.(type) {
		case bpf.StoreScratch:
			if cells>>op.N&1 == 0 {
				continue
			}
			cells &^= 1 << op.N
		case bpf.LoadScratch:
			cells |= 1 << op.N
		}
		if i.jump {
			if i.no != fall {
				cells = 0
			}
			for _, to := range []int{i.yes, i.no} {
				if to >= 0 {
					cells |= live[to]
				}
			}
		}
		live[i.block] = cells
		keep = append(keep, i)
	}
	slices.Reverse(keep)
	c.insns = keep
}

// mergeBlocks leaves out each block that does and leads to the same as a later one. What
// they started with does not matter, once they are the same instructions.
func (c *code) mergeBlocks() {
	same := map[string]int{}
	at := make([]int, c.blocks)
	to := func(n int) int {
		if n < 0 {
			return n
		}
		return at[n]
	}
	var keep []insn
	for end := len(c.insns); end > 0; {
		start := end
		for start > 0 && c.insns[start-1].block == c.insns[end-1].block {
			start--
		}
		block := c.insns[start:end]
		end = start
		var key strings.Builder
		for n := range block {
			i := &block[n]
			i.yes, i.no = to(i.yes), to(i.no)
			fmt.Fprintf(&key, "%T%v %v %d %d\n", i.Instruction, i.Instruction, i.jump, i.yes, i.no)
		}
		n := block[0].block
		if known, ok := same[key.String()]; ok {
			at[n] = known
			continue
		}
		at[n] = n
		same[key.String()] = n
		for _, i := range slices.Backward(block) {
			keep = append(keep, i)
		}
	}
	slices.Reverse(keep)
	c.insns = keep
}

// assignCells gives the registers that are still stored the first memory cells.
func (c *code) assignCells() error {
	cell := map[int]int{}
	of := func(r int) int {
		if _, ok := cell[r]; !ok {
			cell[r] = len(cell)
		}
		return cell[r]
	}
	for n, i := range c.insns {
		switch op := i.Instruction.(type) {
		case bpf.StoreScratch:
			op.N = of(op.N)
			c.insns[n].Instruction = op
		case bpf.LoadScratch:
			op.N = of(op.N)
			c.insns[n].Instruction = op
		}
	}
	if len(cell) > cells || c.full {
		return fmt.Errorf("the filter keeps more numbers at a time than the %d that classic BPF has room for", cells)
	}
	return nil
}

// leads reports whether there is a jump to a target.
func (c *code) leads(to int) bool {
	return slices.ContainsFunc(c.insns, func(i insn) bool { return i.jump && (i.yes == to || i.no == to) })
}

// link places the instructions and resolves the jumps. A conditional jump reaches
// 255 instructions; farther ones go over a jump that stands behind them.
func (c *code) link(snapLen uint32) []bpf.Instruction {
	accepts, rejects := c.leads(ir.Accept), c.leads(ir.Reject)
	// needless reports whether a jump without condition leads to what comes next anyway.
	needless := func(n int) bool {
		i := c.insns[n]
		if n < len(c.insns)-1 {
			return i.yes == c.insns[n+1].block
		}
		return i.yes == ir.Accept || !accepts
	}
	far := make([]struct{ yes, no bool }, len(c.insns))
	pos := make([]int, len(c.insns))
	start := make([]int, c.blocks)
	accept, reject := 0, 0
	target := func(n int) int {
		switch n {
		case ir.Accept:
			return accept
		case ir.Reject:
			return reject
		}
		return start[n]
	}
	for changed := true; changed; {
		changed = false
		at := 0
		for n, i := range c.insns {
			if n == 0 || i.block != c.insns[n-1].block {
				start[i.block] = at
			}
			pos[n] = at
			switch {
			case i.jump && i.Instruction == nil:
				if !needless(n) {
					at++
				}
			default:
				at++
				if far[n].yes {
					at++
				}
				if far[n].no {
					at++
				}
			}
		}
		accept, reject = at, at
		if accepts {
			reject++
		}
		for n, i := range c.insns {
			if !i.jump || i.Instruction == nil {
				continue
			}
			// Positions only grow, so this comes to an end.
			if f := &far[n]; !f.yes && target(i.yes)-pos[n] > 255 {
				f.yes, changed = true, true
			}
			if f := &far[n]; !f.no && i.no != fall && target(i.no)-pos[n] > 254 {
				f.no, changed = true, true
			}
		}
	}
	var out []bpf.Instruction
	for n, i := range c.insns {
		if !i.jump {
			out = append(out, i.Instruction)
			continue
		}
		if i.Instruction == nil {
			if !needless(n) {
				out = append(out, bpf.Jump{Skip: uint32(target(i.yes) - pos[n] - 1)})
			}
			continue
		}
		yes, no := target(i.yes)-pos[n]-1, 0
		if i.no != fall {
			no = target(i.no) - pos[n] - 1
		}
		var behind []bpf.Instruction
		if far[n].yes {
			behind = append(behind, bpf.Jump{Skip: uint32(yes - 1)})
			yes = 0
		}
		if far[n].no {
			k := len(behind)
			behind = append(behind, bpf.Jump{Skip: uint32(no - 1 - k)})
			no = k
		}
		if i.no == fall {
			no = len(behind)
		}
		switch op := i.Instruction.(type) {
		case bpf.JumpIf:
			op.SkipTrue, op.SkipFalse = uint8(yes), uint8(no)
			out = append(out, op)
		case bpf.JumpIfX:
			op.SkipTrue, op.SkipFalse = uint8(yes), uint8(no)
			out = append(out, op)
		}
		out = append(out, behind...)
	}
	if accepts {
		out = append(out, bpf.RetConstant{Val: snapLen})
	}
	if rejects {
		out = append(out, bpf.RetConstant{})
	}
	return out
}
