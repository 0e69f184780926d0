package filter

import (
	"math/bits"
	"slices"

	"github.com/tundump/tundump/filter/ir"
)

// fact is what is known about a register where a block starts or an edge goes.
type fact struct {
	is     bool // its value is v
	v      uint32
	not    []uint32 // its value is none of these
	within uint64   // this many bytes from it on were captured
	lacks  uint64   // this many were not, if it is not 0
	loaded ir.Instr // the load that it holds the result of, if Size > 0
}

func (f fact) isNot(v uint32) bool {
	if f.is {
		return f.v != v
	}
	return slices.Contains(f.not, v)
}

// facts has one for each register, and one for NoReg at the end.
type facts [ir.NRegs + 1]fact

func slot(r ir.Reg) ir.Reg { return min(r, ir.NRegs) }

// optimise returns a program that does the same and less: a load of what is
// in a register already, a comparison whose result is known from an earlier
// one, and a within that another one implies are left out. It goes on until nothing changes.
// loose allows what loose of [ir.Prog.Graph] does, where the program is much smaller for
// it, as libpcap's then is: for long lists of addresses, and where most of the text
// makes no difference.
func optimise(p *ir.Prog, loose bool) *ir.Prog {
	g := p.Graph(false, false)
	// Longer ones fit into no classic program, for which a shorter form would matter.
	const longest = 1 << 14
	if loose && len(p.Blocks) <= longest {
		if h := p.Graph(false, true); h != nil && (g == nil || 2*size(g) > 3*size(h)) {
			g = h
		}
	}
	if g != nil {
		if q := g.Prog(); q != nil {
			return q
		}
	}
	for range 8 {
		q := pass(p)
		same := slices.EqualFunc(p.Blocks, q.Blocks, func(a, b ir.Block) bool {
			return a.Cond == b.Cond && a.A == b.A && a.B == b.B && a.True == b.True && a.False == b.False && slices.Equal(a.Code, b.Code)
		})
		if same {
			break
		}
		p = q
	}
	return p
}

// size returns about how many instructions of classic BPF a graph is: a test is one, and the
// load of what it tests is one, if what was tested before it was something else.
func size(g *ir.Graph) int {
	loads := make([]bool, g.Len())
	n := 0
	for i := range loads {
		t := g.Test(i)
		for _, to := range []int{t.True, t.False} {
			if to >= 0 && g.Test(to).A != t.A {
				loads[to] = true
			}
		}
		if t.Cond != ir.Within {
			n++
		}
	}
	for i, load := range loads {
		if load && g.Test(i).Cond != ir.Within {
			n++
		}
	}
	return n
}

// pass finds the facts at each block from the first to the last, and rebuilds
// the blocks from the last to the first.
func pass(p *ir.Prog) *ir.Prog {
	in := make([]*facts, len(p.Blocks))
	in[0] = &facts{}
	var spare []*facts // of blocks that are done: edges go forward
	reached := make([]bool, len(p.Blocks))
	blocks := slices.Clone(p.Blocks)
	for n := range blocks {
		b := &blocks[n]
		k := in[n]
		if k == nil {
			continue // all that led here has been decided
		}
		reached[n] = true
		if slices.Contains(p.Heads, n) {
			*k = facts{ir.NRegs: {within: k[ir.NRegs].within}}
		}
		k.run(b)
		yes, no := *k, *k
		switch k.decide(b.Cond, b.A, b.B) {
		case known:
			b.Cond, b.False = ir.Always, b.True
		case refuted:
			b.Cond, b.True = ir.Always, b.False
		default:
			yes.learn(b, true)
			no.learn(b, false)
		}
		spare = append(spare, k)
		if b.Cond != ir.Again {
			b.True = yes.thread(p, b.True)
			yes.meet(in, b.True, &spare)
		}
		if b.Cond != ir.Always {
			b.False = no.thread(p, b.False)
			no.meet(in, b.False, &spare)
		}
	}

	l, live := newBuilder(len(p.Blocks)), p.Live()
	at := make([]block, len(blocks))
	heads := map[int]block{}
	target := func(n int) block {
		if n < 0 {
			return block(n)
		}
		return at[n]
	}
	for n := len(blocks) - 1; n >= 0; n-- {
		b := blocks[n]
		if !reached[n] {
			continue
		}
		if b.Cond == ir.Again {
			if _, ok := heads[b.True]; !ok {
				heads[b.True] = l.head(regs(live[b.True]))
			}
			at[n] = l.add(slices.Clone(b.Code), b.Cond, b.A, b.B, heads[b.True], target(b.False))
			continue
		}
		at[n] = l.add(slices.Clone(b.Code), b.Cond, b.A, b.B, target(b.True), target(b.False))
		if h, ok := heads[n]; ok {
			l.loop(h, at[n])
			at[n] = h
		}
	}
	return l.finish(at[0])
}

// run applies the block's code to the facts, and leaves out what is no news.
func (k *facts) run(b *ir.Block) {
	var code []ir.Instr
	for _, i := range b.Code {
		if i.Op == ir.Load && i.A == slot(i.A) && k[i.A].is {
			i.A, i.B.Imm = ir.NoReg, i.B.Imm+k[i.A].v
		}
		if i.B.Reg != ir.NoReg && k[i.B.Reg].is {
			i.B = ir.Imm(k[i.B.Reg].v)
		}
		if i.Op < ir.Load && i.Op != ir.Mov {
			i = k.fold(i)
		}
		if i.Op == ir.Load {
			if k[i.Dst].loaded == i {
				continue
			}
			held := slices.IndexFunc(k[:ir.NRegs], func(f fact) bool {
				l := f.loaded
				return l.Size == i.Size && l.Op == i.Op && l.A == i.A && l.B == i.B
			})
			if held >= 0 {
				i = ir.Instr{Op: ir.Mov, Dst: i.Dst, A: ir.NoReg, B: ir.R(ir.Reg(held))}
			}
		}
		var f fact
		switch {
		case i.Op == ir.Mov && i.B.Reg == ir.NoReg:
			if k[i.Dst].is && k[i.Dst].v == i.B.Imm {
				continue
			}
			f = fact{is: true, v: i.B.Imm}
		case i.Op == ir.Mov:
			f = k[i.B.Reg]
		case i.Op == ir.Load && i.A != i.Dst:
			f.loaded = i
		}
		// What was loaded from an address in the old value is no longer at it.
		for r := range k {
			if k[r].loaded.Size > 0 && k[r].loaded.A == i.Dst {
				k[r].loaded = ir.Instr{}
			}
		}
		if f.loaded.Size > 0 && f.loaded.A == i.Dst {
			f.loaded = ir.Instr{}
		}
		k[i.Dst] = f
		code = append(code, i)
	}
	b.Code = code
	if b.Cond == ir.Within && b.A != ir.NoReg && k[b.A].is && k[b.A].v < ir.Absent {
		b.A, b.B = ir.NoReg, ir.Imm(b.B.Imm+k[b.A].v)
	}
}

// fold returns the same operation on two numbers with less to do.
func (k *facts) fold(i ir.Instr) ir.Instr {
	a, known := uint32(0), true
	if i.A != ir.NoReg {
		a, known = k[i.A].v, k[i.A].is
	}
	if i.B.Reg == ir.NoReg && (i.B.Imm == 0 && (i.Op == ir.Div || i.Op == ir.Mod) || i.B.Imm > 31 && (i.Op == ir.Shl || i.Op == ir.Shr)) {
		return i // for Verify to refuse
	}
	if known && i.B.Reg == ir.NoReg {
		return mov(i.Dst, i.Op.Of(a, i.B.Imm))
	}
	if known && slices.Contains([]ir.Op{ir.Add, ir.Mul, ir.And, ir.Or, ir.Xor}, i.Op) {
		i.A, i.B = i.B.Reg, ir.Imm(a) // a op b = b op a
	}
	if i.B.Reg != ir.NoReg {
		return i
	}
	same := ir.Instr{Op: ir.Mov, Dst: i.Dst, A: ir.NoReg, B: ir.R(i.A)}
	switch v := i.B.Imm; i.Op {
	case ir.Add, ir.Sub, ir.Or, ir.Xor, ir.Shl, ir.Shr: // a op 0 = a
		if v == 0 {
			return same
		}
	case ir.Mul, ir.Div, ir.Mod:
		switch {
		case v == 0 || v == 1 && i.Op == ir.Mod: // a * 0 = a % 1 = 0
			return mov(i.Dst, 0)
		case v == 1: // a * 1 = a / 1 = a
			return same
		case v&(v-1) != 0:
		case i.Op == ir.Mod: // a % 2^n = a & (2^n - 1)
			return op(ir.And, i.Dst, i.A, v-1)
		case i.Op == ir.Mul:
			return op(ir.Shl, i.Dst, i.A, uint32(bits.TrailingZeros32(v)))
		case i.Op == ir.Div:
			return op(ir.Shr, i.Dst, i.A, uint32(bits.TrailingZeros32(v)))
		}
	case ir.And:
		switch v {
		case 0:
			return mov(i.Dst, 0)
		case 1<<32 - 1:
			return same
		}
	}
	return i
}

// answer is what the facts say about a condition.
type answer uint8

const (
	open answer = iota
	known
	refuted
)

func (k *facts) decide(c ir.Cond, a ir.Reg, b ir.Val) answer {
	if b.Reg != ir.NoReg || c == ir.Again {
		return open
	}
	yes := func(v bool) answer {
		if v {
			return known
		}
		return refuted
	}
	f := k[slot(a)]
	switch c {
	case ir.Always:
		return known
	case ir.Within:
		switch {
		case uint64(b.Imm) <= f.within && f.within > 0:
			return known
		case f.is && f.v >= ir.Absent, f.lacks > 0 && uint64(b.Imm) >= f.lacks:
			return refuted
		}
	case ir.Eq:
		switch {
		case f.is:
			return yes(f.v == b.Imm)
		case slices.Contains(f.not, b.Imm):
			return refuted
		}
	case ir.Ge:
		if f.is {
			return yes(f.v >= b.Imm)
		}
	case ir.Gt:
		if f.is {
			return yes(f.v > b.Imm)
		}
	case ir.Set:
		if f.is {
			return yes(f.v&b.Imm != 0)
		}
	}
	return open
}

// learn adds what the branch that is taken says.
func (k *facts) learn(b *ir.Block, yes bool) {
	f := &k[slot(b.A)]
	switch {
	case b.Cond == ir.Within && yes:
		f.within = max(f.within, uint64(b.B.Imm))
	case b.Cond == ir.Within && (f.lacks == 0 || uint64(b.B.Imm) < f.lacks):
		f.lacks = uint64(b.B.Imm)
	case b.Cond == ir.Eq && b.B.Reg == ir.NoReg && yes:
		*f = fact{is: true, v: b.B.Imm, within: f.within, lacks: f.lacks, loaded: f.loaded}
	case b.Cond == ir.Eq && b.B.Reg == ir.NoReg:
		f.not = append(slices.Clip(f.not), b.B.Imm)
	}
}

// thread follows an edge through blocks that do nothing but branch, where the
// facts at the edge say how they will.
func (k *facts) thread(p *ir.Prog, to int) int {
	for to >= 0 && len(p.Blocks[to].Code) == 0 && !slices.Contains(p.Heads, to) {
		b := p.Blocks[to]
		switch k.decide(b.Cond, b.A, b.B) {
		case known:
			to = b.True
		case refuted:
			to = b.False
		default:
			return to
		}
	}
	return to
}

// there returns how many bytes are known to be captured from register r on.
func (k *facts) there(r int) uint64 {
	if all := k[ir.NRegs].within; k[r].is && all > uint64(k[r].v) {
		return max(k[r].within, all-uint64(k[r].v))
	}
	return k[r].within
}

// meet adds an edge with the facts k to block n: what holds there is what holds
// on all edges. The first one's are kept in one of the spare ones, if there is any.
func (k *facts) meet(in []*facts, n int, spare *[]*facts) {
	if n < 0 {
		return
	}
	if in[n] == nil {
		last := len(*spare) - 1
		if last < 0 {
			in[n] = new(facts)
		} else {
			in[n], *spare = (*spare)[last], (*spare)[:last]
		}
		*in[n] = *k
		return
	}
	var there [len(k)]uint64
	for r := range there {
		there[r] = in[n].there(r)
	}
	for r := range in[n] {
		f, g := &in[n][r], k[r]
		if f.is != g.is || f.v != g.v {
			f.not = slices.Compact(slices.Sorted(func(yield func(uint32) bool) {
				for _, v := range slices.Concat(f.not, g.not) {
					if f.isNot(v) && g.isNot(v) && !yield(v) {
						return
					}
				}
			}))
			f.is, f.v = false, 0
		} else if !f.is {
			f.not = slices.DeleteFunc(slices.Clone(f.not), func(v uint32) bool { return !slices.Contains(g.not, v) })
		}
		f.within = min(there[r], k.there(r))
		if f.lacks == 0 || g.lacks == 0 {
			f.lacks = 0
		} else {
			f.lacks = max(f.lacks, g.lacks)
		}
		if f.loaded != g.loaded {
			f.loaded = ir.Instr{}
		}
	}
}
