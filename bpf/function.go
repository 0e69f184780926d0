package bpf

import (
	"fmt"
	"slices"

	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"

	"github.com/tundump/tundump/filter/ir"
)

// unit is what becomes one eBPF function: one turn of a loop without the loops in it, or what
// is in no loop, the main function.
//
// The verifier follows every way through a program: through a loop once for each
// turn, and through what comes after it once for all that may be different then. A global function it
// looks at once, with nothing known about its arguments, whatever calls it.
type unit struct {
	n      int // its number, 0 for the main function
	head   int // where it starts
	blocks map[int]ir.Block
	calls  map[int]*unit // the loops in it, by their heads
	order  []int         // its blocks and these heads
	// counter counts the turns of the loop; whoever calls the function does. Its blocks that end
	// with Again go to targets behind all blocks instead, that of turns[0] first.
	counter ir.Reg
	turns   []ir.Block
	touched uint32   // the registers that it may change
	liveAt  []uint32 // by target, those of its registers that are read from there on
	exits   []int    // the targets that it returns the number of
	// loads has, by block, how many loads it starts with of bytes that the Within in front of
	// it has found to be there. They are done with that.
	loads map[int]int
	// name is that of the function. Units with the same instructions share one.
	name  string
	short bool // whether it is a shortcut, in the main function
	apart bool // or instead of it
}

// none is no target.
const none = -1 << 31

// called reports whether other functions call it.
func (u *unit) called() bool { return u.n > 0 }

// divide divides a program into functions, the main one first; into that one alone if loops
// are to stay loops. direct says that the program can read the packet itself.
func divide(p *ir.Prog, functions, direct bool) ([]*unit, error) {
	units := []*unit{{calls: map[int]*unit{}, blocks: map[int]ir.Block{}}}
	of := map[int]*unit{} // by head
	loops := p.Loops()
	if functions {
		for _, h := range p.Heads {
			of[h] = &unit{n: len(units), name: fmt.Sprintf("loop%d", len(units)), head: h, calls: map[int]*unit{}, blocks: map[int]ir.Block{}}
			units = append(units, of[h])
		}
	}
	// innermost returns the function of block n, or the one around the loop that it is the head of.
	innermost := func(n int, around bool) *unit {
		for _, h := range slices.Backward(p.Heads) {
			if loops[h][n] && of[h] != nil && (h != n || !around) {
				return of[h]
			}
		}
		return units[0]
	}
	if functions {
		absorb(p, loops)
	}
	for n, b := range p.Blocks {
		if loop := of[n]; loop != nil {
			outer := innermost(n, true)
			outer.calls[n], outer.order = loop, append(outer.order, n)
		}
		u := innermost(n, false)
		u.order = append(u.order, n)
		for _, to := range []int{b.True, b.False} {
			for h := range of {
				if to > 0 && to != h && loops[h][to] && !loops[h][n] {
					return nil, fmt.Errorf("block %d jumps into the loop of block %d", n, h)
				}
			}
		}
		if b.Cond == ir.Again && u.called() {
			u.turns, u.counter = append(u.turns, b), b.A
			to := len(p.Blocks) + len(u.turns) - 1
			b = ir.Block{Code: b.Code, Cond: ir.Always, A: ir.NoReg, B: ir.Imm(0), True: to, False: to}
		}
		u.blocks[n] = b
	}
	for _, u := range units {
		u.hoist(direct)
	}
	live := p.Live()
	if !functions {
		units[0].liveAt = live
		return units, nil
	}
	for _, u := range slices.Backward(units) { // what is called first
		if u.finish(live); u.called() && u.touched>>u.counter&1 == 1 {
			return nil, fmt.Errorf("the loop of block %d changes its counter", u.head)
		}
	}
	return units, nil
}

// absorb adds to each loop what only it leads to, up to other loops: what stands behind two loops that
// are alike then does not make them differ.
func absorb(p *ir.Prog, loops map[int]map[int]bool) {
	into := make([][]int, len(p.Blocks)) // the blocks that lead to each
	counters := map[int]ir.Reg{}         // by head
	for n, b := range p.Blocks {
		if b.Cond == ir.Again {
			counters[b.True] = b.A
		}
		for _, to := range []int{b.True, b.False} {
			if to >= 0 && (to == b.True || b.Cond != ir.Always) {
				into[to] = append(into[to], n)
			}
		}
	}
	for _, h := range slices.Backward(p.Heads) { // inner ones first
		for n := h + 1; n < len(p.Blocks); n++ {
			if loops[n] != nil || len(into[n]) == 0 || loops[h][n] || slices.ContainsFunc(into[n], func(from int) bool {
				b := p.Blocks[from]
				return !loops[h][from] || b.Cond == ir.Again && b.True == h // where the caller goes on
			}) {
				continue
			}
			if slices.ContainsFunc(p.Blocks[n].Code, func(i ir.Instr) bool { return i.Dst == counters[h] }) {
				continue // the caller has it
			}
			for _, blocks := range loops {
				if blocks[h] { // of this loop, and of those around it
					blocks[n] = true
				}
			}
		}
	}
}

// hoist moves loads to where a Within has just found their bytes to be there, as far as
// no other way leads there. Those at constant offsets in a header area need no check anyway.
func (u *unit) hoist(direct bool) {
	u.loads = map[int]int{}
	edges := map[int]int{u.head: 1}
	for _, b := range u.blocks {
		edges[b.True]++
		edges[b.False]++
	}
	for _, inner := range u.calls {
		for _, b := range inner.blocks {
			edges[b.True] += 2 // from a call
			edges[b.False] += 2
		}
		for _, b := range inner.turns {
			edges[b.False] += 2
		}
	}
	for k, n := range u.order[:len(u.order)-1] {
		b, next := u.blocks[n], u.order[k+1]
		if b.Cond != ir.Within || b.A == ir.NoReg && !direct || b.B.Imm > headSize || b.True != next || edges[next] > 1 || u.calls[n] != nil || u.calls[next] != nil {
			continue
		}
		to := u.blocks[next]
		var first, rest []ir.Instr
		var read, written uint32 // by what is not moved
		for _, i := range to.Code {
			if i.Op == ir.Load && i.A == b.A && i.B.Imm+uint32(i.Size) <= b.B.Imm && written>>i.A&1 == 0 && (read|written)>>i.Dst&1 == 0 && !slices.ContainsFunc(first, func(f ir.Instr) bool { return f.Dst == i.A }) {
				first = append(first, i)
				continue
			}
			rest = append(rest, i)
			i.Reads(func(r ir.Reg) { read |= 1 << r })
			written |= 1 << i.Dst
		}
		to.Code = append(first, rest...)
		u.blocks[next] = to
		u.loads[next] = len(first)
	}
}

// finish computes what a function reads and changes, from what is live in the program.
func (u *unit) finish(live []uint32) {
	var read uint32
	reads := func(r ir.Reg) { read |= 1 << r }
	for _, b := range u.blocks {
		b.Reads(reads)
		for _, i := range b.Code {
			i.Reads(reads)
			u.touched |= 1 << i.Dst
		}
	}
	for _, inner := range u.calls {
		u.touched |= inner.touched | 1<<inner.counter
		read |= inner.liveAt[inner.head]
	}
	at := slices.Clone(live)
	for _, turn := range u.turns {
		after := live[turn.True]
		if turn.False >= 0 {
			after |= live[turn.False]
		}
		at = append(at, after)
	}
	for n := range at {
		at[n] &= u.touched | read
	}
	u.liveAt = at
}

// to returns the label of a target: a block of the function, or the way out of it.
func (u *unit) to(n int) string {
	if _, ok := u.blocks[n]; ok || u.calls[n] != nil {
		return fmt.Sprintf("%sb%d", u.prefix(), n)
	}
	if u.short && (n == ir.Reject || u.apart && n != ir.Unsure) {
		return map[int]string{ir.Accept: "short.accept", ir.Reject: "short.reject"}[n]
	}
	if !u.called() {
		return map[int]string{ir.Accept: "accept", ir.Reject: "reject", ir.Unsure: "unsure"}[n]
	}
	code := slices.Index(u.exits, n)
	if code < 0 {
		code = len(u.exits)
		u.exits = append(u.exits, n)
	}
	return fmt.Sprintf("%sexit%d", u.prefix(), code)
}

// prefix returns what makes labels those of the function.
func (u *unit) prefix() string {
	switch {
	case u.short:
		return "short."
	case !u.called():
		return ""
	}
	return fmt.Sprintf("loop%d.", u.n)
}

// live returns the registers of the function that are read from a target on.
func (u *unit) live(to int) uint32 {
	if to < 0 {
		return 0
	}
	return u.liveAt[to]
}

// Arguments and results of functions are in the map value, a word for each register.
func argument(r ir.Reg) int16 { return registersAt + 4*int16(r) }

// each calls f for each register of a set.
func each(set uint32, f func(ir.Reg)) {
	for r := range ir.NRegs {
		if set>>r&1 == 1 {
			f(r)
		}
	}
}

// function emits a unit. A called one comes before what calls it, so that its exits are known.
func (e *emitter) function(u *unit) asm.Instructions {
	e.unit, e.out, e.slow, e.place = u, nil, nil, [ir.NRegs]asm.Register{}
	e.assign()
	if !u.called() {
		short := e.short
		apart := short != nil && short.apart()
		first, name := asm.Mov.Reg(ctx, asm.R1), "tundump"
		if apart {
			name = "walk"
			first = first.WithSymbol(name)
		}
		e.add(btf.WithFuncMetadata(first, signature(name, false)))
		if usesBytes(e.prog) {
			e.prologue()
		}
		if short != nil && !apart {
			e.insert(short)
		}
		e.body()
		rejected, accepted := e.ends()
		if apart && e.tap != nil { // what is done is up to the caller
			rejected, accepted = asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()}, asm.Instructions{asm.Mov.Imm(asm.R0, 1), asm.Return()}
		}
		// The verifier refuses what cannot be reached.
		if usesBytes(e.prog) || leads(e.prog, ir.Reject) {
			e.mark("reject")
			e.add(rejected...)
		}
		if leads(e.prog, ir.Accept) {
			e.mark("accept")
			e.add(accepted...)
		}
		if apart {
			return slices.Concat(short.alone(), e.out, e.slow)
		}
		return append(e.out, e.slow...)
	}
	first := asm.Mov.Reg(ctx, asm.R1).WithSymbol(u.name)
	e.add(btf.WithFuncMetadata(first, signature(u.name, true)))
	e.add(
		asm.Mov.Reg(area, asm.R2),
		asm.JEq.Imm(area, 0, u.to(none)), // cannot be, but the verifier wants to see it
	)
	each(u.live(u.head), func(r ir.Reg) {
		at := e.target(r)
		e.add(asm.LoadMem(at, area, argument(r), asm.Word))
		e.put(r, at)
	})
	e.body()
	for code, n := range u.exits {
		e.mark(u.to(n))
		each(u.live(n)&u.touched, func(r ir.Reg) {
			e.add(asm.StoreMem(area, argument(r), e.get(r, asm.R0), asm.Word))
		})
		e.add(asm.Mov.Imm(asm.R0, int32(code)), asm.Return())
	}
	return append(e.out, e.slow...)
}

// same reports whether two functions are the same but for their labels.
func same(a, b asm.Instructions) bool {
	return slices.Equal(withoutLabels(a), withoutLabels(b))
}

// unlabelled is an instruction that refers to another one by how far that is, and to
// what is elsewhere by its name.
type unlabelled struct {
	op       asm.OpCode
	dst, src asm.Register
	offset   int16
	constant int64
	to       int
	name     string
}

func withoutLabels(code asm.Instructions) []unlabelled {
	at := map[string]int{}
	for n, i := range code {
		at[i.Symbol()] = n
	}
	all := make([]unlabelled, len(code))
	for n, i := range code {
		all[n] = unlabelled{i.OpCode, i.Dst, i.Src, i.Offset, i.Constant, 0, ""}
		if to, ok := at[i.Reference()]; ok && i.Reference() != "" {
			all[n].to = to - n
		} else {
			all[n].name = i.Reference()
		}
	}
	return all
}

// call emits a loop of calls.
func (e *emitter) call(f *unit) {
	given := f.live(f.head)
	each(given, func(r ir.Reg) { e.add(asm.StoreMem(area, argument(r), e.get(r, asm.R0), asm.Word)) })
	turn := fmt.Sprintf("%sturn%d", e.prefix(), f.n)
	// What the function does not change, and a call does.
	kept := func(to int) (rs []ir.Reg) {
		each(e.unit.live(to)&^f.touched, func(r ir.Reg) {
			if at := e.place[r]; at >= asm.R2 && at <= asm.R5 {
				rs = append(rs, r)
			}
		})
		return rs
	}
	var after uint32
	for _, n := range f.exits {
		for _, to := range f.leads(n, len(e.prog.Blocks)) {
			for _, r := range kept(to) {
				after |= 1 << r
			}
		}
	}
	each(after, func(r ir.Reg) { e.add(asm.StoreMem(asm.RFP, e.stack[r], e.place[r], asm.DWord)) })
	e.mark(turn)
	call := asm.Instruction{OpCode: asm.OpCode(asm.JumpClass).SetJumpOp(asm.Call), Src: asm.PseudoCall, Constant: -1}.WithReference(f.name)
	e.add(asm.Mov.Reg(asm.R1, ctx), asm.Mov.Reg(asm.R2, area), call)
	leave := func(to int) {
		if e.unit.live(to)>>f.counter&1 == 0 && e.place[f.counter] > asm.R5 {
			// Else the verifier follows each number of turns on its own through all that comes after.
			e.add(asm.Mov.Imm(e.place[f.counter], 0))
		}
		each(e.unit.live(to)&f.touched, func(r ir.Reg) {
			at := e.target(r)
			e.add(asm.LoadMem(at, area, argument(r), asm.Word))
			e.put(r, at)
		})
		for _, r := range kept(to) {
			e.add(asm.LoadMem(e.place[r], asm.RFP, e.stack[r], asm.DWord))
		}
		e.add(asm.Ja.Label(e.to(to)))
	}
	for code, n := range f.exits {
		next := fmt.Sprintf("%sloop%d.%d", e.prefix(), f.n, code)
		last := code == len(f.exits)-1
		if !last {
			e.add(asm.JNE.Imm(asm.R0, int32(code), next))
		}
		switch k := n - len(e.prog.Blocks); {
		case n == none:
			e.add(asm.Ja.Label(e.to(ir.Reject)))
		case k < 0:
			leave(n)
		default:
			again := f.turns[k]
			done := fmt.Sprintf("%sdone%d.%d", e.prefix(), f.n, code)
			c := e.get(f.counter, asm.R0)
			e.add(asm.JGE.Imm32(c, int32(again.B.Imm), done), asm.Add.Imm32(c, 1))
			e.put(f.counter, c)
			if given>>f.counter&1 == 1 {
				e.add(asm.StoreMem(area, argument(f.counter), c, asm.Word))
			}
			e.add(asm.Ja.Label(turn))
			e.mark(done)
			leave(again.False)
		}
		if !last {
			e.mark(next)
		}
	}
}

// leads returns where the caller goes on, given what the function returns.
func (u *unit) leads(exit, blocks int) []int {
	if exit < blocks {
		return []int{exit}
	}
	again := u.turns[exit-blocks]
	return []int{u.head, again.False}
}

// signature returns the type of a function: int (struct __sk_buff *), or
// int (struct __sk_buff *, struct area *) if others call it.
func signature(name string, called bool) *btf.Func {
	number := &btf.Int{Name: "int", Size: 4, Encoding: btf.Signed}
	pointer := func(s string, size uint32) *btf.Pointer {
		byte := &btf.Int{Name: "unsigned char", Size: 1}
		index := &btf.Int{Name: "unsigned int", Size: 4}
		bytes := &btf.Array{Index: index, Type: byte, Nelems: size}
		return &btf.Pointer{Target: &btf.Struct{Name: s, Size: size, Members: []btf.Member{{Name: "bytes", Type: bytes}}}}
	}
	params := []btf.FuncParam{{Name: "skb", Type: pointer("__sk_buff", 192)}}
	if called {
		params = append(params, btf.FuncParam{Name: "area", Type: pointer("area", areaSize)})
	}
	return &btf.Func{Name: name, Linkage: btf.GlobalFunc, Type: &btf.FuncProto{Return: number, Params: params}}
}
