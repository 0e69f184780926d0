package filter

import (
	"encoding/binary"
	"slices"

	"github.com/tundump/tundump/filter/ir"
)

// block names a block that has been built, ir.Accept or ir.Reject. Programs are
// built back to front: the targets of a block exist before it does.
type block int

// regs is a set of registers.
type regs uint32

func set(rs ...ir.Reg) (s regs) {
	for _, r := range rs {
		s |= 1 << r
	}
	return s
}

// builder collects blocks. Since it knows what the targets of a new block read,
// it leaves out every instruction whose result nobody reads, and every branch
// that makes no difference; equal blocks are one. So a walk computes only what
// the expression behind it asks for.
type builder struct {
	blocks []ir.Block // targets are indices into blocks
	live   []regs     // what each block, or what it leads to, reads before it is written
	known  map[string]block
	heads  []block
	entry  map[block]block // of each head, its first block
	sets   []*ir.Members   // that the program looks up
}

// newBuilder returns a builder, with room for so many blocks.
func newBuilder(room int) *builder {
	return &builder{
		blocks: make([]ir.Block, 0, room), live: make([]regs, 0, room),
		known: make(map[string]block, room), entry: map[block]block{},
	}
}

// reads returns the registers that must be defined on entry to n.
func (b *builder) reads(n block) regs {
	if n < 0 {
		return 0
	}
	return b.live[n]
}

// add returns a block that runs code and then branches. It changes code.
func (b *builder) add(code []ir.Instr, cond ir.Cond, a ir.Reg, v ir.Val, yes, no block) block {
	if yes == no && cond != ir.Again && cond != ir.First && cond != ir.Keep {
		cond = ir.Always
	}
	if cond == ir.Always {
		a, v, no = ir.NoReg, ir.Imm(0), yes
	}
	n := ir.Block{Cond: cond, A: a, B: v, True: int(yes), False: int(no)}
	live := b.reads(yes) | b.reads(no)
	n.Reads(func(r ir.Reg) { live |= set(r) })
	for i := len(code) - 1; i >= 0; i-- {
		if live&set(code[i].Dst) == 0 {
			code = slices.Delete(code, i, i+1)
			continue
		}
		live &^= set(code[i].Dst)
		code[i].Reads(func(r ir.Reg) { live |= set(r) })
	}
	if cond == ir.Always && len(code) == 0 {
		return yes
	}
	n.Code = code
	key := identity(n)
	if old, ok := b.known[key]; ok {
		return old
	}
	b.blocks = append(b.blocks, n)
	b.live = append(b.live, live)
	b.known[key] = block(len(b.blocks) - 1)
	return block(len(b.blocks) - 1)
}

// identity returns what is the same for blocks that do the same.
func identity(n ir.Block) string {
	const perInstr = 10
	key := make([]byte, 0, 24+perInstr*len(n.Code))
	operand := func(a ir.Reg, v ir.Val) {
		key = binary.LittleEndian.AppendUint32(append(key, byte(a), byte(v.Reg)), v.Imm)
	}
	for _, i := range n.Code {
		key = append(key, byte(i.Op), byte(i.Dst), i.Size)
		operand(i.A, i.B)
	}
	key = append(key, byte(n.Cond))
	operand(n.A, n.B)
	key = binary.LittleEndian.AppendUint64(key, uint64(n.True))
	return string(binary.LittleEndian.AppendUint64(key, uint64(n.False)))
}

// head returns a name for a loop's first block, which is built last. From one turn to
// the next only the registers in carried are kept.
func (b *builder) head(carried regs) block {
	b.blocks = append(b.blocks, ir.Block{})
	b.live = append(b.live, carried)
	h := block(len(b.blocks) - 1)
	b.heads = append(b.heads, h)
	return h
}

// loop closes the loop of a head: its first block is n.
func (b *builder) loop(head, n block) { b.entry[head] = n }

// finish returns the program that starts at n: what can be reached, in
// topological order, so that all edges but those of Again go forward.
func (b *builder) finish(n block) *ir.Prog {
	const unseen = -1
	at := slices.Repeat([]int{unseen}, len(b.blocks))
	post := make([]block, 0, len(b.blocks))
	var visit func(n block)
	resolve := func(n block) block {
		if first, ok := b.entry[n]; ok {
			return first
		}
		return n
	}
	visit = func(n block) {
		if n = resolve(n); n < 0 {
			return
		}
		if at[n] != unseen {
			return
		}
		at[n] = len(b.blocks) // not known yet
		blk := b.blocks[n]
		visit(block(blk.False))
		if blk.Cond != ir.Again {
			visit(block(blk.True))
		}
		at[n] = len(post)
		post = append(post, n)
	}
	p := &ir.Prog{}
	if n < 0 {
		p.Blocks = []ir.Block{{A: ir.NoReg, B: ir.Imm(0), True: int(n), False: int(n)}}
		return p
	}
	visit(n)
	p.Blocks = make([]ir.Block, 0, len(post))
	target := func(n int) int {
		if n < 0 {
			return n
		}
		if n = int(resolve(block(n))); n < 0 {
			return n
		}
		return len(post) - 1 - at[block(n)]
	}
	for i := len(post) - 1; i >= 0; i-- {
		blk := b.blocks[post[i]]
		blk.True, blk.False = target(blk.True), target(blk.False)
		if blk.Cond == ir.Again && !slices.Contains(p.Heads, blk.True) {
			p.Heads = append(p.Heads, blk.True)
		}
		p.Blocks = append(p.Blocks, blk)
	}
	slices.Sort(p.Heads)
	return straighten(p)
}

// straighten joins each block with the only one that leads to it, if nothing
// else can happen there.
func straighten(p *ir.Prog) *ir.Prog {
	into := make([]int, len(p.Blocks)) // how many edges lead to each
	for _, h := range p.Heads {
		into[h] = 2
	}
	for _, b := range p.Blocks {
		if b.True >= 0 && b.Cond != ir.Again {
			into[b.True]++
		}
		if b.False >= 0 && b.Cond != ir.Always {
			into[b.False]++
		}
	}
	q := &ir.Prog{Blocks: make([]ir.Block, 0, len(p.Blocks))}
	joined := make([]bool, len(p.Blocks))
	at := make([]int, len(p.Blocks))
	for n, b := range p.Blocks {
		if joined[n] {
			continue
		}
		b.Code = slices.Clip(b.Code)
		for b.Cond == ir.Always && b.True >= 0 && into[b.True] == 1 {
			next := p.Blocks[b.True]
			joined[b.True] = true
			b.Code = append(b.Code, next.Code...)
			b.Cond, b.A, b.B, b.True, b.False = next.Cond, next.A, next.B, next.True, next.False
		}
		at[n] = len(q.Blocks)
		q.Blocks = append(q.Blocks, b)
	}
	for n := range q.Blocks {
		for _, to := range []*int{&q.Blocks[n].True, &q.Blocks[n].False} {
			if *to >= 0 {
				*to = at[*to]
			}
		}
	}
	for _, h := range p.Heads {
		q.Heads = append(q.Heads, at[h])
	}
	return q
}
