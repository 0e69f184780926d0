// Package ir is the intermediate form of filters: basic blocks over a few
// 32-bit registers. What a filter means is decided once, by whoever builds the
// program; [Prog.Match] says what a program means, and the back ends only translate.
//
//	prog   = block+                                 the first block is the entry
//	block  = instr* cond                            then go to True or to False
//	instr  = reg = a op b                           unsigned, mod 2^32: mov add sub mul
//	                                                div mod and or xor shl shr
//	       | reg = load size [a + imm]              1, 2 or 4 bytes, network byte order
//	       | reg = meta                             what is known about the packet
//	cond   = always | a == b | a > b | a >= b | a & b != 0
//	       | a + imm <= captured length             within: those bytes can be loaded
//	       | a in set, 16 bytes [a] in set          look-ups
//	       | first a, follows a, keep               what a filter remembers of fragments
//	       | again a < imm                          a++, and back to a head
//	target = block | accept | reject
//
// Nothing fails in silence: a load needs a within before it on every path, a
// division by a register a comparison that shows it not to be 0, a shift by one that
// it is below 32; and what happens otherwise is an edge like any other. All edges go forward but
// one: the true edge of again goes back to the head of a loop, and its register counts
// how often. So there are loops, over tunnel levels and extension headers, and
// every one ends.
package ir

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Reg is a register. There are at most 32, so that a set of them is a uint32; classic
// BPF has 16 memory cells for those that one program keeps at the same time.
type Reg uint8

// The registers, by the role that the filter compiler gives them.
const (
	L2    Reg = iota // where the level starts
	L3               // where its network header starts
	L4               // where its transport header starts
	Kind             // what the level starts with, as an EtherType
	Type             // EtherType of the network header
	Proto            // IP protocol of the transport header
	Cur              // where the next level starts
	Level            // how many levels have been walked since level 1
	Ext              // how many extension headers have been walked since the first
	S2               // like L2: where a tunnel primitive outside a scope has shifted
	S3               // the rest of the expression to; S3 is like L3,
	SType            // and SType like Type
	T0               // temporaries
	T1
	T2
	T3
	T4
	T5
	T6
	T7
	T8
	T9
	NRegs // how many there are

	// NoReg as an operand reads as 0.
	NoReg Reg = 0xff
)

func (r Reg) String() string {
	if r < NRegs {
		return [...]string{"l2", "l3", "l4", "kind", "type", "proto", "cur", "level", "ext", "s2", "s3", "stype", "t0", "t1", "t2", "t3", "t4", "t5", "t6", "t7", "t8", "t9"}[r]
	}
	return "0"
}

// Absent is the offset of a header that is not there: no within holds for it.
const Absent = 1 << 31

// Op is what an instruction does.
type Op uint8

const (
	Mov      Op = iota // Dst = B
	Add                // Dst = A + B
	Sub                // Dst = A - B
	Mul                // Dst = A * B
	Div                // Dst = A / B, where B is not 0
	Mod                // Dst = A % B, where B is not 0
	And                // Dst = A & B
	Or                 // Dst = A | B
	Xor                // Dst = A ^ B
	Shl                // Dst = A << B, where B is below 32
	Shr                // Dst = A >> B, where B is below 32
	Load               // Dst = the Size bytes at A + B.Imm
	LoadMeta           // Dst = a fact about the packet: MetaLen, ..., by B.Imm
)

// Facts about a packet that are not in its bytes.
const (
	// MetaLen is how long the packet was on the wire, without a tag that is in the metadata.
	MetaLen = iota
	// MetaTag is the length of the VLAN tag that the NIC or the kernel took out of
	// the packet: 4 or 0.
	MetaTag
	// MetaVLAN is that tag's TCI: priority, DEI and VLAN ID. The kernel may say
	// anything where there is no tag, so it is to be asked for MetaTag first.
	MetaVLAN
	// MetaType is whom the packet is for: PacketHost, ...
	MetaType
	// MetaIfindex is the index of the interface that it was seen on; 0 if unknown.
	MetaIfindex
	nMetas
)

// What MetaType may be (linux/if_packet.h).
const (
	PacketHost      = iota // for this host
	PacketBroadcast        // for all
	PacketMulticast        // for a group
	PacketOtherHost        // for another host, and seen all the same
	PacketOutgoing         // from this host
)

// Val is an operand: the register Reg, or the constant Imm if Reg is NoReg.
type Val struct {
	Reg Reg
	Imm uint32
}

// Imm returns the operand for a constant.
func Imm(v uint32) Val { return Val{NoReg, v} }

// R returns the operand for a register.
func R(r Reg) Val { return Val{Reg: r} }

// Instr is one instruction.
type Instr struct {
	Op   Op
	Dst  Reg
	A    Reg
	B    Val
	Size uint8 // of a Load: 1, 2 or 4
}

// Cond is how a block ends.
type Cond uint8

const (
	Always  Cond = iota // True
	Eq                  // True if A == B
	Gt                  // True if A > B
	Ge                  // True if A >= B
	Set                 // True if A & B != 0
	Within              // True if A + B.Imm bytes of the packet were captured
	Again               // True, a head, after A++, if A < B.Imm
	In                  // True if Sets[B.Imm] has A
	InLong              // True if Sets[B.Imm] has the number in the 16 bytes at A
	First               // True; the IP header at A, of the slot B.Imm, is that of a first fragment
	Follows             // True if what is at A is a later fragment whose first one was kept
	Keep                // True; the first fragments of this packet are kept

	// In IPv6 First and Follows have the offset of the fragment header in B.Reg.
)

// Targets that are not blocks.
const (
	Accept = -1
	Reject = -2
)

// Block is a basic block. True and False are indices into Prog.Blocks, Accept, or
// Reject.
type Block struct {
	Code        []Instr
	Cond        Cond
	A           Reg
	B           Val
	True, False int
}

// Prog is a filter.
type Prog struct {
	Blocks []Block
	// Heads lists, in ascending order, the blocks that Again returns to.
	Heads []int
	// Sets are what In and InLong look values up in.
	Sets []*Members
	// Likely returns packets that are worth being judged fast; it is nil if none are. They make no
	// difference to what the program says.
	Likely func() []Likely
}

// Meta is what is known about a packet besides its captured bytes.
type Meta struct {
	Len     uint32 // length on the wire, in bytes
	Tag     uint32 // 4 if a VLAN tag was taken out of the packet, else 0
	VLAN    uint32 // that tag's TCI, else 0
	Type    uint32 // PacketHost, ...
	Ifindex uint32 // of the interface, 0 if unknown
}

func (m *Meta) fact(n uint32) uint32 {
	switch n {
	case MetaLen:
		return m.Len
	case MetaTag:
		return m.Tag
	case MetaVLAN:
		return m.VLAN
	case MetaType:
		return m.Type
	}
	return m.Ifindex
}

// Match runs the program on the captured bytes of a packet and reports whether
// it accepts. It allocates nothing, and does not panic if Verify found nothing. It remembers
// no fragments.
func (p *Prog) Match(data []byte, m Meta) bool { return p.end(data, &m, nil) == Accept }

// MatchFragments is Match with what is remembered of fragments.
func (p *Prog) MatchFragments(data []byte, m Meta, f *Fragments) bool {
	f.begin()
	return p.end(data, &m, f) == Accept
}

// Sure is Match for a shortcut: sure is false where that does not know.
func (p *Prog) Sure(data []byte, m Meta) (match, sure bool) {
	end := p.end(data, &m, nil)
	return end == Accept, end != Unsure
}

// end returns the target that the program ends with.
func (p *Prog) end(data []byte, m *Meta, f *Fragments) int {
	var regs [NRegs]uint32
	val := func(v Val) uint32 {
		if v.Reg == NoReg {
			return v.Imm
		}
		return regs[v.Reg]
	}
	for at := 0; ; {
		b := &p.Blocks[at]
		for _, i := range b.Code {
			a := val(Val{Reg: i.A})
			v := val(i.B)
			switch i.Op {
			case Load:
				off := a + v
				a = 0
				for _, c := range data[off : off+uint32(i.Size)] {
					a = a<<8 | uint32(c)
				}
			case LoadMeta:
				a = m.fact(v)
			default:
				a = i.Op.Of(a, v)
			}
			regs[i.Dst] = a
		}
		a, v := val(Val{Reg: b.A}), val(b.B)
		var ok bool
		switch b.Cond {
		case Always:
			ok = true
		case Eq:
			ok = a == v
		case Gt:
			ok = a > v
		case Ge:
			ok = a >= v
		case Set:
			ok = a&v != 0
		case Within:
			ok = uint64(a)+uint64(v) <= uint64(len(data))
		case Again:
			if ok = a < v; ok {
				regs[b.A]++
			}
		case In:
			ok = p.Sets[v].Has(a)
		case InLong:
			ok = p.Sets[v].HasLong(U128Of(data[a : a+16]))
		case First:
			if ok = true; f != nil {
				f.first(b.B.Imm, fragmentOf(data, b.B, a, v))
			}
		case Follows:
			ok = f != nil && f.follows(fragmentOf(data, b.B, a, v))
		case Keep:
			if ok = true; f != nil {
				f.keep()
			}
		}
		if at = b.False; ok {
			at = b.True
		}
		if at < 0 {
			return at
		}
	}
}

// Of returns what an operation on two numbers, which is neither Load nor LoadMeta,
// comes to. It panics for a division by 0, which Verify does not let pass.
func (o Op) Of(a, b uint32) uint32 {
	switch o {
	case Mov:
		return b
	case Add:
		return a + b
	case Sub:
		return a - b
	case Mul:
		return a * b
	case Div:
		return a / b
	case Mod:
		return a % b
	case And:
		return a & b
	case Or:
		return a | b
	case Xor:
		return a ^ b
	case Shl:
		return a << b
	}
	return a >> b
}

// reads calls f with the operand's register, if it is one.
func (v Val) reads(f func(Reg)) {
	if v.Reg != NoReg {
		f(v.Reg)
	}
}

// Reads calls f for each register that the instruction reads.
func (i Instr) Reads(f func(Reg)) {
	if i.Op != Mov && i.Op != LoadMeta {
		Val{Reg: i.A}.reads(f)
	}
	i.B.reads(f)
}

// Reads calls f for each register that the block's condition reads.
func (b Block) Reads(f func(Reg)) {
	if b.Cond != Always {
		Val{Reg: b.A}.reads(f)
		b.B.reads(f)
	}
}

// Live returns for each block the registers, as bits, that it or what comes
// after it reads before they are written.
func (p *Prog) Live() []uint32 {
	live := make([]uint32, len(p.Blocks))
	for changed := true; changed; {
		changed = false
		for n, b := range slices.Backward(p.Blocks) {
			if s := b.LiveBefore(0, live); s != live[n] {
				live[n], changed = s, true
			}
		}
	}
	return live
}

// LiveBefore returns the registers that are live before instruction n of the
// block's code, given what is live on entry to each block.
func (b Block) LiveBefore(n int, live []uint32) uint32 {
	var s uint32
	for _, to := range []int{b.True, b.False} {
		if to >= 0 {
			s |= live[to]
		}
	}
	b.Reads(func(r Reg) { s |= 1 << r })
	for _, i := range slices.Backward(b.Code[n:]) {
		s &^= 1 << i.Dst
		i.Reads(func(r Reg) { s |= 1 << r })
	}
	return s
}

// maxAgain is how often a loop may go round.
const maxAgain = 64

// Verify checks what Match and the back ends rely on: that every target
// exists, that all edges but those of Again go forward and come back a bounded number of times, that every register is
// written before it is read, that every load is within the packet, and that no
// divisor is 0 and no shift is by more than 31 bits.
func (p *Prog) Verify() error {
	if len(p.Blocks) == 0 {
		return errors.New("ir: program without blocks")
	}
	// known holds what is true on entry to a block on every path found so far.
	type known struct {
		reached bool
		defined uint32            // registers, as bits
		within  [NRegs + 1]uint64 // bytes that are there from a register on; the last from 0 on
		is      [NRegs + 1]Range  // what registers may hold
	}
	// there returns how many bytes are there from a register on.
	there := func(k *known, r Reg) uint64 {
		if all, last := k.within[NRegs], uint64(k.is[r].Hi); all > last {
			return max(k.within[r], all-last)
		}
		return k.within[r]
	}
	in := make([]known, len(p.Blocks))
	in[0].reached = true
	for r := range NRegs {
		in[0].is[r] = Any()
	}
	slot := func(r Reg) Reg {
		if r == NoReg {
			return NRegs
		}
		return r
	}
	for n, b := range p.Blocks {
		fail := func(format string, a ...any) error {
			return fmt.Errorf("ir: block %d: %s", n, fmt.Sprintf(format, a...))
		}
		k := in[n]
		if !k.reached {
			return fail("cannot be reached")
		}
		if slices.Contains(p.Heads, n) {
			// Registers change from level to level, the packet does not.
			k.within = [NRegs + 1]uint64{NRegs: k.within[NRegs]}
			for r := range NRegs {
				k.is[r] = Any()
			}
		}
		var err error
		read := func(r Reg) {
			if r >= NRegs {
				err = fail("no register %d", r)
			} else if k.defined>>r&1 == 0 {
				err = fail("%v is read before it is written", r)
			}
		}
		for _, i := range b.Code {
			i.Reads(read)
			if err != nil {
				return err
			}
			of := func(v Val) Range {
				if v.Reg == NoReg {
					return Range{v.Imm, v.Imm}
				}
				return k.is[v.Reg]
			}
			switch {
			case i.Op > LoadMeta || i.Dst >= NRegs:
				return fail("bad instruction %v", i)
			case (i.Op == Shl || i.Op == Shr) && of(i.B).Hi > 31:
				return fail("%v shifts by what may be more than 31 bits", i)
			case (i.Op == Div || i.Op == Mod) && of(i.B).Lo == 0:
				return fail("%v divides by what may be 0", i)
			case i.Op == LoadMeta && (i.B.Reg != NoReg || i.B.Imm >= nMetas):
				return fail("bad instruction %v", i)
			case i.Op == Load && (i.B.Reg != NoReg || i.Size != 1 && i.Size != 2 && i.Size != 4):
				return fail("bad instruction %v", i)
			case i.Op == Load && uint64(i.B.Imm)+uint64(i.Size) > there(&k, slot(i.A)):
				return fail("%v may be beyond the packet", i)
			}
			var within uint64
			if i.Op == Mov && i.B.Reg != NoReg {
				within = k.within[i.B.Reg]
			}
			k.defined |= 1 << i.Dst
			k.is[i.Dst], k.within[i.Dst] = i.Result(of(Val{Reg: i.A}), of(i.B)), within
		}
		if b.Reads(read); err != nil {
			return err
		}
		yes := k
		if b.A != NoReg && b.B.Reg == NoReg {
			yes.is[b.A] = k.is[b.A].Where(b.Cond, b.B.Imm, true)
			k.is[b.A] = k.is[b.A].Where(b.Cond, b.B.Imm, false)
		}
		if b.Cond == Within {
			if b.B.Reg != NoReg || b.B.Imm >= Absent {
				return fail("within needs a constant below 2^31")
			}
			yes.within[slot(b.A)] = max(there(&k, slot(b.A)), uint64(b.B.Imm))
		}
		edge := func(to int, k known) error {
			switch {
			case to == Accept || to == Reject || to == Unsure:
				return nil
			case to <= n || to >= len(p.Blocks):
				return fail("edge to %d", to)
			case !in[to].reached:
				k.reached = true
				in[to] = k
				return nil
			}
			in[to].defined &= k.defined
			var merged [NRegs + 1]uint64
			for r := range merged {
				merged[r] = min(there(&in[to], Reg(r)), there(&k, Reg(r)))
				in[to].is[r] = in[to].is[r].Or(k.is[r])
			}
			in[to].within = merged
			return nil
		}
		switch {
		case b.Cond > Keep:
			return fail("bad condition %d", b.Cond)
		case (b.Cond == In || b.Cond == InLong) && (b.A >= NRegs || b.B.Reg != NoReg || b.B.Imm >= uint32(len(p.Sets))):
			return fail("a look-up needs a register and one of %d sets", len(p.Sets))
		case (b.Cond == First || b.Cond == Follows) && (b.A >= NRegs || b.B.Imm >= Slots):
			return fail("a fragment needs a register and one of %d slots", Slots)
		case (b.Cond == First || b.Cond == Follows) && b.B.Reg == NoReg && there(&k, b.A) < 20,
			(b.Cond == First || b.Cond == Follows) && b.B.Reg != NoReg && (there(&k, b.A) < 40 || there(&k, b.B.Reg) < 8):
			return fail("the fragment at %v may be beyond the packet", b.A)
		case b.Cond == InLong && there(&k, b.A) < 16:
			return fail("the address at %v may be beyond the packet", b.A)
		case b.Cond == Again:
			if !slices.Contains(p.Heads, b.True) || b.True > n {
				return fail("again to %d, which is no head before it", b.True)
			}
			if b.A >= NRegs || b.B.Reg != NoReg || b.B.Imm > maxAgain {
				return fail("again needs a register and a constant up to %d", maxAgain)
			}
			if missing := in[b.True].defined &^ k.defined; missing != 0 {
				return fail("again loses registers")
			}
			for m := range p.body(n) {
				for _, i := range p.Blocks[m].Code {
					if i.Dst == b.A {
						return fail("%v in block %d changes the loop's counter", i, m)
					}
				}
			}
		default:
			if err := edge(b.True, yes); err != nil {
				return err
			}
		}
		if b.Cond != Always {
			if err := edge(b.False, k); err != nil {
				return err
			}
		}
	}
	for n, h := range p.Heads {
		if h < 0 || h >= len(p.Blocks) || n > 0 && h <= p.Heads[n-1] {
			return fmt.Errorf("ir: bad head %d", h)
		}
	}
	return nil
}

// body returns the blocks of the loop that block n, which ends with Again,
// closes: those from its head on that lead to n. Some do so only on another turn of
// a loop inside, and such a block may stand behind n.
func (p *Prog) body(n int) map[int]bool {
	head := p.Blocks[n].True
	in := map[int]bool{n: true}
	for grown := true; grown; {
		grown = false
		for m := len(p.Blocks) - 1; m >= head; m-- {
			b := p.Blocks[m]
			if !in[m] && (in[b.True] && (b.Cond != Again || b.True > head) || in[b.False] && b.Cond != Always) {
				in[m], grown = true, true
			}
		}
	}
	return in
}

// Loops returns the blocks of each loop, by its head.
func (p *Prog) Loops() map[int]map[int]bool {
	loops := map[int]map[int]bool{}
	for n, b := range p.Blocks {
		if b.Cond != Again {
			continue
		}
		if loops[b.True] == nil {
			loops[b.True] = map[int]bool{}
		}
		maps.Copy(loops[b.True], p.body(n))
	}
	return loops
}

// Unroll returns the program without Again: with as many more copies of what
// each head leads back to as it may go round. Classic BPF and kernels before 5.3
// need that. The loops' counters have to be 0 where they are entered.
func (p *Prog) Unroll() *Prog {
	loops := make([][]int, len(p.Blocks)) // the heads of the loops that a block is part of
	times := map[int]int{}
	for n, b := range p.Blocks {
		if b.Cond != Again {
			continue
		}
		times[b.True] = int(b.B.Imm)
		for m := range p.body(n) {
			if !slices.Contains(loops[m], b.True) {
				loops[m] = append(loops[m], b.True)
			}
		}
	}
	// A copy of a block is made for each number of turns left in its loops.
	type turns map[int]int
	name := func(n int, left turns) string {
		s := fmt.Sprint(n)
		for _, h := range loops[n] {
			s += fmt.Sprint(",", h, ":", left[h])
		}
		return s
	}
	at := map[string]int{}
	var post []Block  // in post-order, targets counted in that order too
	var live []uint32 // what each of them, or what it leads to, reads before it is written
	var visit func(n int, left turns) int
	// enter goes from a block of the loops in from to block to.
	enter := func(to int, from []int, left turns) int {
		if to < 0 {
			return to
		}
		next := turns{}
		for _, h := range loops[to] {
			if next[h] = times[h]; slices.Contains(from, h) {
				next[h] = left[h]
			}
		}
		return visit(to, next)
	}
	visit = func(n int, left turns) int {
		key := name(n, left)
		if done, ok := at[key]; ok {
			return done
		}
		b := p.Blocks[n]
		switch {
		case b.Cond == Again && left[b.True] > 0:
			again := maps.Clone(left)
			again[b.True]--
			turn := uint32(times[b.True] - again[b.True])
			b.Code = append(slices.Clip(b.Code), Instr{Op: Mov, Dst: b.A, A: NoReg, B: Imm(turn)})
			b.True = enter(b.True, loops[n], again)
			b.Cond, b.A, b.B, b.False = Always, NoReg, Imm(0), b.True
		case b.Cond == Again:
			b.True = enter(b.False, loops[n], left)
			b.Cond, b.A, b.B, b.False = Always, NoReg, Imm(0), b.True
		default:
			b.True = enter(b.True, loops[n], left)
			if b.False = b.True; b.Cond != Always {
				b.False = enter(p.Blocks[n].False, loops[n], left)
			}
		}
		// In the last turn much of what led to another one is not needed any more.
		if b.True == b.False && b.Cond < Again {
			b.Cond, b.A, b.B = Always, NoReg, Imm(0)
		}
		var after uint32
		for _, to := range []int{b.True, b.False} {
			if to >= 0 {
				after |= live[to]
			}
		}
		b.Reads(func(r Reg) { after |= 1 << r })
		var code []Instr
		for _, i := range slices.Backward(b.Code) {
			if after>>i.Dst&1 == 1 {
				after &^= 1 << i.Dst
				i.Reads(func(r Reg) { after |= 1 << r })
				code = append(code, i)
			}
		}
		slices.Reverse(code)
		if b.Code = code; b.Cond == Always && len(code) == 0 {
			at[key] = b.True
			return b.True
		}
		post, live = append(post, b), append(live, after)
		at[key] = len(post) - 1
		return len(post) - 1
	}
	to := enter(0, nil, nil)
	if post = post[:max(to+1, 0)]; to < 0 {
		post = append(post, Block{A: NoReg, B: Imm(0), True: to, False: to})
	}
	u := &Prog{Blocks: post, Sets: p.Sets}
	slices.Reverse(u.Blocks)
	for n := range u.Blocks {
		for _, to := range []*int{&u.Blocks[n].True, &u.Blocks[n].False} {
			if *to >= 0 {
				*to = len(post) - 1 - *to
			}
		}
	}
	return u
}

// sweep leaves out instructions whose result nobody reads: what counted turns.
func (p *Prog) sweep() {
	live := p.Live()
	for n := range p.Blocks {
		b := &p.Blocks[n]
		var keep []Instr
		for k, i := range b.Code {
			if b.LiveBefore(k+1, live)>>i.Dst&1 == 1 {
				keep = append(keep, i)
			}
		}
		b.Code = keep
	}
}

func (v Val) String() string {
	if v.Reg != NoReg && v.Imm > 0 { // a fragment's
		return fmt.Sprintf("%v, %d", v.Reg, v.Imm)
	}
	if v.Reg != NoReg {
		return v.Reg.String()
	}
	return fmt.Sprintf("%#x", v.Imm)
}

func address(a Reg, off uint32) string {
	if a == NoReg {
		return fmt.Sprint(off)
	}
	return fmt.Sprintf("%v + %d", a, off)
}

func (i Instr) String() string {
	switch i.Op {
	case Mov:
		return fmt.Sprintf("%v = %v", i.Dst, i.B)
	case Load:
		return fmt.Sprintf("%v = load%d [%s]", i.Dst, i.Size, address(i.A, i.B.Imm))
	case LoadMeta:
		return fmt.Sprintf("%v = %s", i.Dst, [...]string{"len", "taglen", "vlan", "type", "ifindex", "?"}[min(i.B.Imm, nMetas)])
	}
	return fmt.Sprintf("%v = %v %s %v", i.Dst, i.A, [...]string{Add: "+", Sub: "-", Mul: "*", Div: "/", Mod: "%", And: "&", Or: "|", Xor: "^", Shl: "<<", Shr: ">>", LoadMeta: "?"}[min(i.Op, LoadMeta)], i.B)
}

// String lists the program, a block's label in front of its instructions.
func (p *Prog) String() string {
	var s strings.Builder
	to := func(n int) string {
		switch n {
		case Accept:
			return "accept"
		case Reject:
			return "reject"
		case Unsure:
			return "unsure"
		}
		return fmt.Sprintf("b%d", n)
	}
	for n, b := range p.Blocks {
		label := fmt.Sprintf("b%d:", n)
		if slices.Contains(p.Heads, n) {
			label = fmt.Sprintf("b%d*", n)
		}
		for _, i := range b.Code {
			fmt.Fprintf(&s, "%-6s%v\n", label, i)
			label = ""
		}
		fmt.Fprintf(&s, "%-6s", label)
		switch b.Cond {
		case Always:
			fmt.Fprintf(&s, "goto %s\n", to(b.True))
			continue
		case Within:
			fmt.Fprintf(&s, "if %s <= captured", address(b.A, b.B.Imm))
		case Again:
			fmt.Fprintf(&s, "if %v++ < %v", b.A, b.B)
		case In:
			fmt.Fprintf(&s, "if %v in set %d", b.A, b.B.Imm)
		case InLong:
			fmt.Fprintf(&s, "if 16 bytes [%v] in set %d", b.A, b.B.Imm)
		case First, Follows:
			fmt.Fprintf(&s, "if %s %v, %v", [...]string{First: "first", Follows: "follows"}[b.Cond], b.A, b.B)
		case Keep:
			s.WriteString("if keep")
		default:
			fmt.Fprintf(&s, "if %v %s %v", b.A, [...]string{Eq: "==", Gt: ">", Ge: ">=", Set: "&", Within: "?"}[min(b.Cond, Within)], b.B)
		}
		fmt.Fprintf(&s, " goto %s else %s\n", to(b.True), to(b.False))
	}
	return s.String()
}
