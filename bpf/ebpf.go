package bpf

import (
	"errors"
	"fmt"
	"slices"

	"github.com/cilium/ebpf/asm"

	"github.com/tundump/tundump/filter/ir"
)

// headSize is how many bytes from the start of a packet are copied into the
// header area: enough for two levels of Ethernet, IPv6 and a transport header.
const headSize = 120

// areaSize is the size of the map value: the header area, a word that is always 0,
// which the verifier does not know, notes about fragments, keys of look-ups, and what functions take
// and return.
const areaSize = uint32(registersEnd)

// Maps are what a program needs in the kernel besides itself.
type Maps struct {
	Area      int // file descriptor of a per-CPU array of one value of areaSize bytes
	Fragments *Fragments
	Kernel    *Kernel // nil if packets are not to be read in place
	tables    map[half]*table
}

// Fields of struct __sk_buff (include/uapi/linux/bpf.h).
const (
	skbLen         = 0
	skbType        = 4
	skbVLANPresent = 20
	skbVLAN        = 24
	skbIfindex     = 40
)

// Fixed uses of registers. R6 has to hold the context for LD_IND and survives
// calls, as do R7, R8 and R9.
const (
	ctx  = asm.R6
	area = asm.R9
	// onStack is the place of a register that has no machine register: no place, R0.
	onStack = asm.R0
)

// emitter collects eBPF instructions.
//
// A socket filter cannot access the packet directly, and each load by LD_ABS,
// LD_IND or bpf_skb_load_bytes is a call. So the start of the packet is copied once
// into the header area, a per-CPU map value: unlike the stack it may be read at
// unaligned and variable offsets (the verifier insists on aligned stack access). What
// lies behind it is loaded by LD_IND. Filters run with bottom halves disabled,
// so no two runs on a CPU share the area.
type emitter struct {
	out   asm.Instructions
	slow  asm.Instructions // loads from behind the header area, off the straight way
	label string           // for the next instruction
	place [ir.NRegs]asm.Register
	stack [ir.NRegs]int16
	names int    // of pieces of code with labels of their own
	blur  bool   // whether to hide constants from the verifier
	live  uint32 // the registers that are read after the instruction at hand

	prog    *ir.Prog
	maps    Maps
	snapLen uint32
	forgets bool     // whether to hide what is known where ways join
	tap     *tap     // nil for a socket filter
	reads   reads    // of a shortcut, else 0
	short   *emitter // the shortcut, nil if there is none
	rejects bool     // whether that has been seen to reject
	left    bool     // and there is code for it
	*unit            // the function at hand
}

// EBPF returns the program as eBPF for a socket filter (BPF_PROG_TYPE_SOCKET_FILTER),
// which returns snapLen or 0. Its loops are functions, for which it needs Linux 5.12; and LoadEBPF
// knows what to do without.
func EBPF(p *ir.Prog, snapLen uint32, maps Maps) (asm.Instructions, error) {
	return emit(p, snapLen, maps, functions, nil)
}

// form says what is done so that the verifier has little to do.
type form uint8

const (
	direct    form = iota // like functions, and the shortcut reads packets in place
	functions             // loops are functions, each of which it looks at once
	loops                 // loops, for which it needs Linux 5.3
	forgetful             // these, and it is let know nothing where ways join: more instructions, and fewer ways
)

// emit is EBPF in one of the forms, or with a tap, for tcx.
func emit(p *ir.Prog, snapLen uint32, maps Maps, f form, t *tap) (asm.Instructions, error) {
	if err := p.Verify(); err != nil {
		return nil, err
	}
	for _, b := range p.Blocks {
		if (b.Cond == ir.In || b.Cond == ir.InLong) && maps.tables[halfOf(b)] == nil {
			return nil, fmt.Errorf("there is no map for set %d", b.B.Imm)
		}
	}
	if p.FollowsFragments() && maps.Fragments == nil {
		return nil, errors.New("there are no maps for fragments")
	}
	units, err := divide(p, f <= functions, t != nil)
	if err != nil {
		return nil, err
	}
	e := &emitter{prog: p, maps: maps, snapLen: snapLen, tap: t}
	e.blur = (len(p.Heads) > 0 || len(p.Blocks) > 64) && usesBytes(p)
	e.forgets = f == forgetful && e.blur
	short := make(chan *emitter, 1)
	go func() { short <- e.shortcut() }() // it takes longer than all the rest
	// What is called first, for its exits to be known.
	all := make([]asm.Instructions, len(units))
	for n, u := range slices.Backward(units) {
		if !u.called() {
			e.short = <-short
		}
		code := e.function(u)
		if err := check(code); err != nil {
			return nil, err
		}
		for m, v := range units[n+1:] {
			if len(code) == len(all[n+1+m]) && same(code, all[n+1+m]) {
				u.name, code = v.name, nil
				break
			}
		}
		all[n] = code
	}
	return slices.Concat(all...), nil
}

// body emits the blocks of the unit at hand.
func (e *emitter) body() {
	for k, n := range e.order {
		e.mark(e.to(n))
		if inner := e.calls[n]; inner != nil {
			e.call(inner)
			continue
		}
		b := e.blocks[n]
		if !e.called() {
			for _, r := range spent(e.prog, n, e.liveAt) {
				if e.place[r] != onStack && !e.held(e.place[r], e.liveAt[n]) {
					e.add(asm.Mov.Imm32(e.place[r], 0))
				}
			}
			if e.forgets && joins(e.prog, n) {
				e.forget(e.liveAt[n])
			}
		}
		for k, i := range b.Code {
			if k < e.loads[n] {
				continue
			}
			e.live = b.LiveBefore(k+1, e.liveAt)
			e.instr(i)
		}
		e.live = 0
		for _, to := range []int{b.True, b.False} {
			if to >= 0 {
				e.live |= e.liveAt[to]
			}
		}
		next := none
		if k+1 < len(e.order) {
			next = e.order[k+1]
		}
		e.branch(b, next)
		if e.reads != 0 {
			e.rejects = e.rejects || b.True == ir.Reject || b.False == ir.Reject
			if b.True != next && b.False != next {
				e.leave()
			}
		}
	}
}

// check refuses what cilium/ebpf or the kernel could not encode: jumps have 16
// bits, and the kernel expands LD_IND and LD_ABS.
func check(all asm.Instructions) error {
	const expanded = 12
	size := len(all)
	for _, i := range all {
		if c := i.OpCode; c.Class() == asm.LdClass && (c.Mode() == asm.IndMode || c.Mode() == asm.AbsMode) {
			size += expanded
		}
	}
	if size >= 1<<15 {
		return fmt.Errorf("the filter needs %d eBPF instructions, which is more than jumps can cross", size)
	}
	return nil
}

// leads reports whether an edge goes to the target.
func leads(p *ir.Prog, to int) bool {
	return slices.ContainsFunc(p.Blocks, func(b ir.Block) bool { return b.True == to || b.False == to })
}

// joins reports whether more than one edge leads to block n.
func joins(p *ir.Prog, n int) bool {
	edges := 0
	for _, b := range p.Blocks {
		if b.True == n {
			edges++
		}
		if b.False == n && b.Cond != ir.Always {
			edges++
		}
	}
	return edges > 1
}

// forget lets the verifier know nothing of the registers, so that whatever led to a block, what
// comes after it is looked at once. Loop counters it must know.
func (e *emitter) forget(regs uint32) {
	for r := range ir.NRegs {
		if r == ir.Level || r == ir.Ext || regs>>r&1 == 0 {
			continue
		}
		at := e.get(r, asm.R0)
		e.add(asm.LoadMem(asm.R1, area, headSize, asm.Word), asm.Add.Reg32(at, asm.R1))
		e.put(r, at)
	}
}

// spent returns the loop counters that are no longer needed in block n, but were in one
// that leads to it. If such a one kept its value, the verifier would follow each number of
// turns on its own through all that comes after the loop.
func spent(p *ir.Prog, n int, live []uint32) (counters []ir.Reg) {
	for _, r := range []ir.Reg{ir.Level, ir.Ext} {
		if live[n]>>r&1 == 0 && slices.ContainsFunc(p.Blocks, func(b ir.Block) bool {
			return (b.True == n || b.False == n) && (b.Cond == ir.Again && b.A == r || b.LiveBefore(0, live)>>r&1 == 1)
		}) {
			counters = append(counters, r)
		}
	}
	return counters
}

func usesBytes(p *ir.Prog) bool {
	return slices.ContainsFunc(p.Blocks, func(b ir.Block) bool {
		return b.Cond >= ir.In || slices.ContainsFunc(b.Code, func(i ir.Instr) bool { return i.Op == ir.Load })
	})
}

// assign gives registers a machine register, as long as there is one that none holds which is
// needed at the same time, in the order of how often they are used; and each a place on
// the stack. Loop counters come first: on the stack the verifier loses count of them
// and sees an endless loop.
func (e *emitter) assign() {
	var uses [ir.NRegs]int
	count := func(r ir.Reg) { uses[r]++ }
	var apart [ir.NRegs]uint32 // from which registers each has to be kept apart
	together := func(set uint32) {
		each(set, func(r ir.Reg) { apart[r] |= set })
	}
	for n, live := range e.liveAt {
		if _, ok := e.blocks[n]; ok || e.calls[n] != nil || slices.Contains(e.exits, n) {
			together(live)
		}
	}
	for _, b := range e.blocks {
		for k, i := range b.Code {
			i.Reads(count)
			count(i.Dst)
			after := b.LiveBefore(k+1, e.liveAt)
			each(after, func(r ir.Reg) { apart[r] |= 1 << i.Dst })
			apart[i.Dst] |= after
		}
		b.Reads(count)
		if b.Cond == ir.Again {
			uses[b.A] = 1 << 30
		}
	}
	for _, inner := range e.calls {
		uses[inner.counter] = 1 << 30
	}
	if e.reads != 0 {
		uses[ir.Start] = 0 // see packetAt
	}
	order := make([]ir.Reg, ir.NRegs)
	for r := range order {
		order[r] = ir.Reg(r)
	}
	slices.SortStableFunc(order, func(a, b ir.Reg) int { return uses[b] - uses[a] })
	slots := int16(0)
	held := map[asm.Register]uint32{}
	for _, r := range order {
		if uses[r] == 0 {
			break
		}
		slots++
		e.stack[r] = -8 * slots
		for _, free := range e.free() {
			if held[free]&apart[r] == 0 {
				e.place[r] = free
				held[free] |= 1 << r
				break
			}
		}
	}
}

func (e *emitter) add(is ...asm.Instruction) {
	if e.label != "" && len(is) > 0 {
		is[0] = is[0].WithSymbol(e.label)
		e.label = ""
	}
	e.out = append(e.out, is...)
}

// mark gives the next instruction a label.
func (e *emitter) mark(label string) {
	if e.label != "" { // an instruction has one label only
		e.add(asm.Mov.Reg(asm.R0, asm.R0))
	}
	e.label = label
}

// prologue finds the map value, and copies the start of the packet into the header area, unless
// the program can read the packet itself.
func (e *emitter) prologue() {
	e.add(
		asm.StoreImm(asm.RFP, -4, 0, asm.Word),
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, -4),
		asm.LoadMapPtr(asm.R1, e.maps.Area),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "reject"), // cannot be, but the verifier wants to see it
		asm.Mov.Reg(area, asm.R0),
	)
	e.beginNotes(e.prog)
	if e.tap != nil {
		return
	}
	e.add(
		asm.LoadMem(asm.R4, ctx, skbLen, asm.Word),
		// bpf_skb_load_bytes fails as a whole beyond the end, and takes no size of 0.
		asm.JEq.Imm(asm.R4, 0, e.to(0)),
		asm.JLE.Imm(asm.R4, headSize, "fits"),
		asm.Mov.Imm(asm.R4, headSize),
		asm.Mov.Reg(asm.R1, ctx).WithSymbol("fits"),
		asm.Mov.Imm(asm.R2, 0),
		asm.Mov.Reg(asm.R3, area),
		asm.FnSkbLoadBytes.Call(),
	)
}

// held reports whether a machine register holds one of the registers.
func (e *emitter) held(at asm.Register, set uint32) (is bool) {
	each(set, func(r ir.Reg) { is = is || e.place[r] == at })
	return is
}

// get returns a machine register with the value of r: its own, or tmp.
func (e *emitter) get(r ir.Reg, tmp asm.Register) asm.Register {
	if at := e.place[r]; at != onStack {
		return at
	}
	e.add(asm.LoadMem(tmp, asm.RFP, e.stack[r], asm.DWord))
	return tmp
}

// copy puts the value of r, which may be NoReg, into tmp.
func (e *emitter) copy(tmp asm.Register, r ir.Reg) {
	switch {
	case r == ir.NoReg:
		e.add(asm.Mov.Imm(tmp, 0))
	case e.place[r] == onStack:
		e.get(r, tmp)
	case e.place[r] != tmp:
		e.add(asm.Mov.Reg(tmp, e.place[r]))
	}
}

// target returns the machine register in which to compute r; put stores it.
func (e *emitter) target(r ir.Reg) asm.Register {
	if at := e.place[r]; at != onStack {
		return at
	}
	return asm.R0
}

func (e *emitter) put(r ir.Reg, from asm.Register) {
	switch at := e.place[r]; {
	case at == onStack:
		e.add(asm.StoreMem(asm.RFP, e.stack[r], from, asm.DWord))
	case at != from:
		e.add(asm.Mov.Reg(at, from))
	}
}

// instr emits one instruction. Registers hold 32 bits, zero-extended.
func (e *emitter) instr(i ir.Instr) {
	if e.reads != 0 && i.Dst == ir.Start {
		e.move(i.B.Imm)
		return
	}
	dst := e.target(i.Dst)
	switch i.Op {
	case ir.Mov:
		if i.B.Reg != ir.NoReg {
			e.plus(dst, i.B.Reg, 0, asm.Add.Reg32, asm.Add.Imm32)
			break
		}
		e.add(asm.Mov.Imm32(dst, int32(i.B.Imm)))
		if e.blur && i.Dst != ir.Level && i.Dst != ir.Ext {
			// The verifier would follow every constant offset and type on its own through
			// all that comes after it, level by level: 420,000 instructions for
			// "inner host A". To add 0 from memory makes it forget them.
			e.add(asm.LoadMem(asm.R1, area, headSize, asm.Word), asm.Add.Reg32(dst, asm.R1))
		}
	case ir.Load:
		e.load(i)
		return
	case ir.LoadMeta:
		if e.tap != nil && e.tap.outgoing && i.B.Imm == ir.MetaType { // which the packet does not say yet
			e.add(asm.Mov.Imm32(dst, ir.PacketOutgoing))
			break
		}
		field := map[uint32]int16{ir.MetaLen: skbLen, ir.MetaTag: skbVLANPresent, ir.MetaVLAN: skbVLAN, ir.MetaType: skbType, ir.MetaIfindex: skbIfindex}[i.B.Imm]
		e.add(asm.LoadMem(dst, ctx, field, asm.Word))
		if i.B.Imm == ir.MetaTag {
			e.add(asm.LSh.Imm(dst, 2))
		}
	default:
		op := map[ir.Op]asm.ALUOp{
			ir.Add: asm.Add, ir.Sub: asm.Sub, ir.Mul: asm.Mul, ir.Div: asm.Div, ir.Mod: asm.Mod,
			ir.And: asm.And, ir.Or: asm.Or, ir.Xor: asm.Xor, ir.Shl: asm.LSh, ir.Shr: asm.RSh,
		}[i.Op]
		if i.B.Reg != ir.NoReg {
			b := e.get(i.B.Reg, asm.R1)
			if dst == b { // which must not be overwritten yet
				e.add(asm.Mov.Reg(asm.R1, b))
				b = asm.R1
			}
			e.copy(dst, i.A)
			e.add(op.Reg32(dst, b))
			e.put(i.Dst, dst)
			return
		}
		if i.Op == ir.Add {
			e.plus(dst, i.A, i.B.Imm, asm.Add.Reg32, asm.Add.Imm32)
			break
		}
		e.copy(dst, i.A)
		e.add(op.Imm32(dst, int32(i.B.Imm)))
	}
	e.put(i.Dst, dst)
}

// load emits a load. Within has made sure that the bytes are there.
func (e *emitter) load(i ir.Instr) {
	size := sizeOf(i)
	last := int64(headSize) - int64(i.Size)
	dst := e.target(i.Dst)
	off := int64(i.B.Imm)
	swap := func() {
		if i.Size > 1 {
			e.add(asm.HostTo(asm.BE, dst, size))
		}
	}
	switch {
	case e.tap != nil && e.reads == 0:
		e.loadDirect(i)
		return
	case e.reads != 0:
		start, _ := e.packetAt()
		e.add(asm.LoadMem(dst, start, int16(off), size))
		swap()
	case i.A == ir.NoReg && off <= last:
		e.add(asm.LoadMem(dst, area, int16(off), size))
		swap()
	case i.A == ir.NoReg:
		e.add(e.packet(i.Dst, asm.LoadAbs(int32(off), size))...)
		dst = asm.R0
	default:
		name := fmt.Sprintf("%sload%d", e.prefix(), len(e.out))
		e.offset(i.A, i.B.Imm)
		e.add(
			asm.JGT.Imm(asm.R1, int32(last), name+".far"),
			asm.Add.Reg(asm.R1, area),
			asm.LoadMem(dst, asm.R1, 0, size))
		swap()
		e.mark(name)
		far := e.packet(i.Dst, asm.LoadInd(asm.R0, asm.R1, 0, size))
		far[0] = far[0].WithSymbol(name + ".far")
		far = append(far, narrow(dst, i)...)
		e.slow = append(append(e.slow, far...), asm.Ja.Label(name))
	}
	e.put(i.Dst, dst)
}

// loadAll emits the first n loads of block to, of what the Within that b ends with has found
// to be there. The end of that is in R1.
func (e *emitter) loadAll(b, to ir.Block, n int) {
	far, done := e.name("far"), e.name("loaded")
	e.names++
	e.add(asm.JGT.Imm(asm.R1, headSize, far), asm.Add.Reg(asm.R1, area))
	e.loadsBefore(b, to, n)
	e.mark(done)
	begin := len(e.slow)
	e.loadsByCalls(b, to, n, done)
	e.slow[begin] = e.slow[begin].WithSymbol(far)
}

// loadsBefore emits the first n loads of block to from memory, which ends at R1 with what the Within
// that b ends with is about.
func (e *emitter) loadsBefore(b, to ir.Block, n int) {
	for _, i := range to.Code[:n] {
		dst := e.target(i.Dst)
		size := sizeOf(i)
		e.add(asm.LoadMem(dst, asm.R1, int16(int64(i.B.Imm)-int64(b.B.Imm)), size))
		if i.Size > 1 {
			e.add(asm.HostTo(asm.BE, dst, size))
		}
		e.put(i.Dst, dst)
	}
}

// loadsByCalls emits the same loads off the straight way, by a call each, and a jump to done.
func (e *emitter) loadsByCalls(b, to ir.Block, n int, done string) {
	live := to.LiveBefore(n, e.liveAt)
	var dsts uint32
	for _, i := range to.Code[:n] {
		dsts |= 1 << i.Dst
	}
	onCall := func(r ir.Reg) bool { return e.place[r] >= asm.R2 && e.place[r] <= asm.R5 }
	add := func(is ...asm.Instruction) { e.slow = append(e.slow, is...) }
	each(live&^dsts|1<<b.A, func(r ir.Reg) {
		if onCall(r) {
			add(asm.StoreMem(asm.RFP, e.stack[r], e.place[r], asm.DWord))
		}
	})
	for k, i := range to.Code[:n] {
		switch {
		case b.A == ir.NoReg:
			add(asm.LoadAbs(int32(i.B.Imm), sizeOf(i)))
		case e.place[b.A] == onStack || onCall(b.A):
			add(asm.LoadMem(asm.R1, asm.RFP, e.stack[b.A], asm.DWord))
			add(asm.LoadInd(asm.R0, asm.R1, int32(i.B.Imm), sizeOf(i)))
		default:
			add(asm.Mov.Reg(asm.R1, e.place[b.A]))
			add(asm.LoadInd(asm.R0, asm.R1, int32(i.B.Imm), sizeOf(i)))
		}
		if k < n-1 {
			add(narrow(asm.R0, i)...)
			add(asm.StoreMem(asm.RFP, e.stack[i.Dst], asm.R0, asm.DWord))
		}
	}
	each(live&^dsts, func(r ir.Reg) {
		if onCall(r) {
			add(asm.LoadMem(e.place[r], asm.RFP, e.stack[r], asm.DWord))
		}
	})
	last := to.Code[n-1]
	each(dsts, func(r ir.Reg) {
		if e.place[r] != onStack && r != last.Dst {
			add(asm.LoadMem(e.place[r], asm.RFP, e.stack[r], asm.DWord))
		}
	})
	dst := e.target(last.Dst)
	add(narrow(dst, last)...)
	if e.place[last.Dst] == onStack {
		add(asm.StoreMem(asm.RFP, e.stack[last.Dst], dst, asm.DWord))
	}
	add(asm.Ja.Label(done))
}

func sizeOf(i ir.Instr) asm.Size {
	return map[uint8]asm.Size{1: asm.Byte, 2: asm.Half, 4: asm.Word}[i.Size]
}

// narrow returns what gives the result of a call, which the verifier takes for 64 unknown bits, the
// same bounds as what is loaded from the header area: then it need not look at what follows once more.
func narrow(dst asm.Register, i ir.Instr) asm.Instructions {
	code := asm.Instructions{asm.Mov.Reg32(dst, asm.R0)}
	if i.Size < 4 {
		code = append(code, asm.And.Imm32(dst, 1<<(8*i.Size)-1))
	}
	return code
}

// offset computes an offset in the packet in R1, and overwrites R0. It has 64 bits, so that
// one that is Absent does not wrap around.
func (e *emitter) offset(base ir.Reg, off uint32) {
	e.plus(asm.R1, base, off, asm.Add.Reg, asm.Add.Imm)
}

// plus computes the sum of a register, which may be NoReg, and a number. The number comes first: of
// a copy of a register the verifier knows that it is one, also of one to which a number was added.
// It would learn about the one from comparisons of the other, and tell states apart by
// what is a copy of what.
func (e *emitter) plus(dst asm.Register, r ir.Reg, v uint32, reg func(dst, src asm.Register) asm.Instruction, imm func(asm.Register, int32) asm.Instruction) {
	if r == ir.NoReg {
		e.add(asm.Mov.Imm32(dst, int32(v)))
		return
	}
	other := asm.R0
	if dst == other {
		other = asm.R1
	}
	switch from := e.get(r, other); {
	case from != dst:
		e.add(asm.Mov.Imm(dst, int32(v)), reg(dst, from))
	case v != 0:
		e.add(imm(dst, int32(v)))
	}
}

// packet returns a load into R0 by a call, which returns it in the host's byte order
// and overwrites R1 to R5: what is needed of them is put on the stack meanwhile.
func (e *emitter) packet(dst ir.Reg, insn asm.Instruction) asm.Instructions {
	var before, after asm.Instructions
	for r, at := range e.place {
		if at >= asm.R2 && at <= asm.R5 && e.live>>r&1 == 1 && ir.Reg(r) != dst {
			before = append(before, asm.StoreMem(asm.RFP, e.stack[r], at, asm.DWord))
			after = append(after, asm.LoadMem(at, asm.RFP, e.stack[r], asm.DWord))
		}
	}
	return slices.Concat(before, asm.Instructions{insn}, after)
}

// branch emits the end of a block; next is the block that follows.
func (e *emitter) branch(b ir.Block, next int) {
	yes, no := e.to(b.True), ""
	if b.Cond != ir.Always && b.Cond != ir.First && b.Cond != ir.Keep {
		no = e.to(b.False)
	}
	v := int32(b.B.Imm)
	// jump emits the test, or its opposite where that saves a jump.
	jump := func(op, opposite asm.JumpOp, emit func(op asm.JumpOp, to string)) {
		switch {
		case b.True == next && opposite != asm.InvalidJumpOp:
			emit(opposite, no)
		default:
			emit(op, yes)
			if b.False != next {
				e.add(asm.Ja.Label(no))
			}
		}
	}
	compare := func(op, opposite asm.JumpOp) {
		if b.B.Reg != ir.NoReg {
			r, a := e.get(b.B.Reg, asm.R1), e.get(b.A, asm.R0)
			jump(op, opposite, func(op asm.JumpOp, to string) { e.add(op.Reg32(a, r, to)) })
			return
		}
		a := e.get(b.A, asm.R0)
		jump(op, opposite, func(op asm.JumpOp, to string) { e.add(op.Imm32(a, v, to)) })
	}
	switch b.Cond {
	case ir.Always:
		if b.True != next {
			e.add(asm.Ja.Label(yes))
		}
	case ir.Eq:
		compare(asm.JEq, asm.JNE)
	case ir.Gt:
		compare(asm.JGT, asm.JLE)
	case ir.Ge:
		compare(asm.JGE, asm.JLT)
	case ir.Set:
		compare(asm.JSet, asm.InvalidJumpOp)
	case ir.Within:
		if e.reads != 0 {
			e.whole(b, next)
			return
		}
		if e.tap != nil && b.True == next && e.loads[next] > 0 {
			e.withinDirect(b, e.blocks[next], e.loads[next], no)
			return
		}
		if b.A == ir.NoReg {
			e.add(asm.LoadMem(asm.R0, ctx, skbLen, asm.Word))
			jump(asm.JGE, asm.JLT, func(op asm.JumpOp, to string) { e.add(op.Imm(asm.R0, v, to)) })
			return
		}
		e.offset(b.A, b.B.Imm)
		e.add(asm.LoadMem(asm.R0, ctx, skbLen, asm.Word))
		jump(asm.JLE, asm.JGT, func(op asm.JumpOp, to string) { e.add(op.Reg(asm.R1, asm.R0, to)) })
		if b.True == next && e.loads[next] > 0 {
			e.loadAll(b, e.blocks[next], e.loads[next])
		}
	case ir.In, ir.InLong:
		e.lookUp(b, e.maps.tables[halfOf(b)])
		jump(asm.JNE, asm.JEq, func(op asm.JumpOp, to string) { e.add(op.Imm(asm.R0, 0, to)) })
	case ir.Follows:
		e.follows(b, e.maps.Fragments)
		jump(asm.JNE, asm.JEq, func(op asm.JumpOp, to string) { e.add(op.Imm(asm.R0, 0, to)) })
	case ir.First, ir.Keep:
		if b.Cond == ir.First {
			e.first(b, e.maps.Fragments)
		} else {
			e.keep(e.prog, e.maps.Fragments)
		}
		if b.True != next {
			e.add(asm.Ja.Label(yes))
		}
	case ir.Again:
		a := e.get(b.A, asm.R0)
		e.add(asm.JGE.Imm32(a, v, no), asm.Add.Imm32(a, 1))
		e.put(b.A, a)
		e.add(asm.Ja.Label(yes))
	}
}
