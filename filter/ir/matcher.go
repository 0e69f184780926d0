package ir

import (
	"encoding/binary"
	"slices"
)

// Matcher is a program in a form that runs fast: the back end for packets of files. It
// says of every packet what [Prog.Match] says.
//
// Its operations are those of the program, with what often stands together put into one, in
// one list, each with where to go on. A chain of blocks that compare one register with one
// constant after the other is one operation.
//
// A Matcher does not change, and may be used by several goroutines.
type Matcher struct {
	ops    []op
	start  int32
	tables []table
	sets   []*Members
}

// op is one operation. It reads registers, of which the one that zero says is always 0.
type op struct {
	code    opcode
	dst     Reg // what it writes
	a, b    Reg
	shift   uint8
	other   Op // of opOther
	imm     uint32
	mask    uint32
	yes, no int32 // where to go on; an operation that does not choose goes on behind it
}

// zero is the register that NoReg is.
const zero Reg = 31

// Where operations stand.
const atAccept, atReject = 0, 1

type opcode uint8

const (
	opSet       opcode = iota // dst = imm
	opAdd                     // dst = a + imm
	opAddReg                  // dst = a + b
	opShiftL                  // dst = (a & mask) << shift
	opShiftR                  // dst = (a & mask) >> shift
	opAddShiftL               // dst = b + (a & mask) << shift
	opAddShiftR               // dst = b + (a & mask) >> shift
	opLoad1                   // dst = 1 byte at a + imm
	opLoad2                   // dst = 2 bytes
	opLoad4                   // dst = 4 bytes
	opMeta                    // dst = the fact imm
	opOther                   // dst = a other b + imm
	opEq                      // a & mask == imm
	opEqReg                   // a == b
	opGt                      // a > b + imm, one of which is 0
	opGe                      // a >= b + imm
	opAny                     // a & (b + imm) != 0
	opWithin                  // a + imm bytes were captured
	opLoad1Eq                 // dst = 1 byte at a + shift; dst & mask == imm
	opLoad2Eq                 // dst = 2 bytes
	opLoad4Eq                 // dst = 4 bytes
	opTable                   // tables[imm] says where a leads to
	opAgain                   // a++ if it is less than imm
	opIn                      // sets[imm] has a
	opInLong                  // sets[imm] has the 16 bytes at a
	opFirst                   // as the conditions
	opFollows
	opKeep
	opAccept
	opReject
)

// table is where the values of a register lead to. Each stands where its hash says, and nothing
// else does.
type table struct {
	multiplier uint32
	shift      uint8
	entries    []entry
	other      int32 // where other values lead to
}

type entry struct {
	value uint32
	to    int32
}

func (t *table) find(v uint32) int32 {
	if e := &t.entries[v*t.multiplier>>t.shift]; e.value == v {
		return e.to
	}
	return t.other
}

// Matcher returns the program as one. It must have passed Verify.
func (p *Prog) Matcher() *Matcher {
	m := &matcherMaker{prog: p, live: p.Live(), at: make([]int32, len(p.Blocks)), m: &Matcher{sets: p.Sets}}
	for n := range m.at {
		m.at[n] = -1
	}
	m.m.ops = []op{atAccept: {code: opAccept}, atReject: {code: opReject}}
	m.blocks()
	for n := range m.m.tables {
		t := &m.m.tables[n]
		t.other = m.place(t.other)
		for k := range t.entries {
			t.entries[k].to = m.place(t.entries[k].to)
		}
	}
	for n := range m.m.ops {
		if o := &m.m.ops[n]; o.code >= opEq && o.code < opAccept {
			o.yes, o.no = m.place(o.yes), m.place(o.no)
		}
	}
	m.m.start = m.place(0)
	return m.m
}

// matcherMaker makes a Matcher. Until it is finished, its targets are blocks.
type matcherMaker struct {
	prog *Prog
	live []uint32
	at   []int32 // where the blocks' operations start, -1 where there are none yet
	m    *Matcher
}

// place returns where the operations of a target start.
func (m *matcherMaker) place(block int32) int32 {
	switch block = int32(m.prog.through(int(block))); block {
	case Accept:
		return atAccept
	case Reject:
		return atReject
	}
	return m.at[block]
}

// through returns where a target leads to that does nothing itself.
func (p *Prog) through(n int) int {
	for n >= 0 && p.Blocks[n].Cond == Always && len(p.Blocks[n].Code) == 0 {
		n = p.Blocks[n].True
	}
	return n
}

// blocks adds the operations of all blocks that can be reached, in the order in which they are
// first needed: what runs together stands together.
func (m *matcherMaker) blocks() {
	for todo := []int{0}; len(todo) > 0; {
		n := m.prog.through(todo[len(todo)-1])
		todo = todo[:len(todo)-1]
		if n < 0 || m.at[n] >= 0 {
			continue
		}
		m.at[n] = int32(len(m.m.ops))
		b := &m.prog.Blocks[n]
		m.code(b)
		if b.Cond != Always {
			next := m.condition(n, b)
			slices.Reverse(next)
			todo = append(todo, next...)
			continue
		}
		todo = append(todo, b.True)
		if next := m.prog.through(b.True); next < 0 || m.at[next] >= 0 { // it does not come behind
			m.add(op{code: opWithin, a: zero, yes: int32(next), no: int32(next)}) // leads there in either case
		}
	}
}

func (m *matcherMaker) add(o op) { m.m.ops = append(m.m.ops, o) }

// operand returns the register that is a, or reads as 0.
func operand(a Reg) Reg {
	if a == NoReg {
		return zero
	}
	return a
}

// code adds the instructions of a block.
func (m *matcherMaker) code(b *Block) {
	for n := 0; n < len(b.Code); n++ {
		start := len(m.m.ops)
		m.add(instruction(b.Code[n]))
		for n+1 < len(b.Code) && start < len(m.m.ops) {
			merged, ok := merge(m.m.ops[start], b.Code[n+1], func(r Reg) bool { return b.LiveBefore(n+2, m.live)>>r&1 == 1 })
			if !ok {
				break
			}
			m.m.ops[start] = merged
			n++
		}
	}
}

// instruction returns the operation that is one instruction.
func instruction(i Instr) op {
	o := op{dst: i.Dst, a: operand(i.A), b: operand(i.B.Reg), imm: i.B.Imm, mask: ^uint32(0)}
	constant := i.B.Reg == NoReg
	if !constant {
		o.imm = 0
	}
	switch {
	case i.Op == Mov && constant:
		o.code = opSet
	case i.Op == Mov:
		o.code, o.a, o.b = opShiftR, o.b, zero
	case i.Op == Add && constant:
		o.code = opAdd
	case i.Op == Add:
		o.code = opAddReg
	case i.Op == And && constant:
		o.code, o.mask, o.imm = opShiftR, i.B.Imm, 0
	case i.Op == Shl && constant:
		o.code, o.shift, o.imm = opShiftL, uint8(i.B.Imm), 0
	case i.Op == Shr && constant:
		o.code, o.shift, o.imm = opShiftR, uint8(i.B.Imm), 0
	case i.Op == Load:
		o.code = map[uint8]opcode{1: opLoad1, 2: opLoad2, 4: opLoad4}[i.Size]
	case i.Op == LoadMeta:
		o.code = opMeta
	default:
		o.code, o.other = opOther, i.Op
	}
	return o
}

// merge returns the operation that does what o and then i do, if there is one. needed tells whether
// a register is read later.
func merge(o op, i Instr, needed func(Reg) bool) (op, bool) {
	// Only x = (a & mask) shifted, which i does something with.
	if o.code != opShiftL && o.code != opShiftR {
		return o, false
	}
	if i.Dst != o.dst && needed(o.dst) {
		return o, false
	}
	constant := i.B.Reg == NoReg
	switch {
	case i.Op == Mov && i.B.Reg == o.dst:
		o.dst = i.Dst
	case i.Op == And && i.A == o.dst && constant && o.shift == 0:
		o.dst, o.mask = i.Dst, o.mask&i.B.Imm
	case i.Op == Shl && i.A == o.dst && constant && o.shift == 0:
		o.code, o.dst, o.shift = opShiftL, i.Dst, uint8(i.B.Imm)
	case i.Op == Shr && i.A == o.dst && constant && o.shift == 0:
		o.code, o.dst, o.shift = opShiftR, i.Dst, uint8(i.B.Imm)
	case i.Op == Add && i.B.Reg == o.dst && i.A != o.dst:
		o.code, o.dst, o.b = o.code+opAddShiftL-opShiftL, i.Dst, operand(i.A)
	case i.Op == Add && i.A == o.dst && !constant && i.B.Reg != o.dst:
		o.code, o.dst, o.b = o.code+opAddShiftL-opShiftL, i.Dst, i.B.Reg
	default:
		return o, false
	}
	return o, true
}

// condition adds how block n ends, and returns the targets, what is likelier first.
func (m *matcherMaker) condition(n int, b *Block) []int {
	if t, ok := m.chain(n); ok {
		m.m.tables = append(m.m.tables, t)
		m.add(op{code: opTable, a: b.A, imm: uint32(len(m.m.tables) - 1), yes: Reject, no: Reject})
		to := []int{int(t.other)}
		for _, e := range t.entries {
			to = append(to, int(e.to))
		}
		return to
	}
	o := op{a: operand(b.A), b: operand(b.B.Reg), imm: b.B.Imm, mask: ^uint32(0), yes: int32(b.True), no: int32(b.False)}
	constant := b.B.Reg == NoReg
	if !constant && b.Cond < First {
		o.imm = 0
	}
	switch b.Cond {
	case Eq:
		if o.code = opEq; !constant {
			o.code = opEqReg
		}
	case Gt:
		o.code = opGt
	case Ge:
		o.code = opGe
	case Set:
		o.code = opAny
		if constant { // in the form that loads go together with
			o.code, o.mask, o.imm, o.yes, o.no = opEq, b.B.Imm, 0, o.no, o.yes
		}
	case Within:
		o.code = opWithin
	case Again:
		o.code = opAgain
	case In:
		o.code = opIn
	case InLong:
		o.code = opInLong
	case First:
		o.code = opFirst
	case Follows:
		o.code = opFollows
	case Keep:
		o.code = opKeep
	}
	m.end(n, o)
	return []int{b.True, b.False}
}

// end adds the operation that block n ends with, as part of the one before it if that can be.
func (m *matcherMaker) end(n int, o op) {
	last := len(m.m.ops) - 1
	before := &m.m.ops[last]
	switch {
	case o.code != opEq || int(m.at[n]) > last || before.dst != o.a:
		m.add(o)
	case before.code == opShiftR && before.shift == 0 && !m.liveAfter(&m.prog.Blocks[n], o.a):
		// x = a & mask; x == imm
		o.a, o.mask = before.a, before.mask&o.mask
		*before = o
	case before.code >= opLoad1 && before.code <= opLoad4 && before.imm < 256:
		o.code = before.code + opLoad1Eq - opLoad1
		o.dst, o.a, o.shift = before.dst, before.a, uint8(before.imm)
		*before = o
	default:
		m.add(o)
	}
}

// liveAfter reports whether what a block leads to reads a register.
func (m *matcherMaker) liveAfter(b *Block, r Reg) bool {
	for _, to := range []int{b.True, b.False} {
		if to >= 0 && m.live[to]>>r&1 == 1 {
			return true
		}
	}
	return false
}

// A table takes the place of so many comparisons: fewer are faster, of more it would be hard to
// find a hash.
const leastChain, longestChain = 3, 16

// chain returns the table of the blocks, from block n on, that do nothing but compare one register.
func (m *matcherMaker) chain(n int) (table, bool) {
	first := &m.prog.Blocks[n]
	t := table{other: int32(n)}
	for n >= 0 && len(t.entries) < longestChain {
		b := &m.prog.Blocks[n]
		if b.Cond != Eq || b.A == NoReg || b.A != first.A || b.B.Reg != NoReg || b != first && len(b.Code) > 0 {
			break
		}
		if !slices.ContainsFunc(t.entries, func(e entry) bool { return e.value == b.B.Imm }) {
			t.entries = append(t.entries, entry{b.B.Imm, int32(b.True)})
		}
		n = m.prog.through(b.False)
		t.other = int32(n)
	}
	if len(t.entries) < leastChain {
		return t, false
	}
	return t, t.hash()
}

// hash puts the entries where they are found; it fails if it finds no way to do so.
func (t *table) hash() bool {
	const golden = 0x9e3779b1 // 2^32 over the golden ratio, which spreads well
	for bits := 2; bits <= 8; bits++ {
		size := 1 << bits
		if size < len(t.entries) {
			continue
		}
		t.shift = uint8(32 - bits)
	next:
		for try := range uint32(32) {
			t.multiplier = golden*(2*try+1) | 1
			at := make([]entry, size)
			// No value of a free place leads to it: its own hash is another one.
			used := make([]bool, size)
			for _, e := range t.entries {
				h := e.value * t.multiplier >> t.shift
				if used[h] {
					continue next
				}
				at[h], used[h] = e, true
			}
			for n := range at {
				if !used[n] {
					at[n].to = t.other
				}
			}
			t.entries = at
			return true
		}
	}
	return false
}

// Match is [Prog.MatchFragments], or with no memory Prog.Match.
func (m *Matcher) Match(data []byte, meta *Meta, f *Fragments) bool {
	if f != nil {
		f.begin()
	}
	return m.run(data, meta, f, false) == accepted
}

// Ahead judges a packet as far as that can be done without what is remembered of fragments of the
// packets before it: known is false if that matters, or if the packet is to be remembered. Then
// nothing was done, and Match is to be asked when its turn comes.
func (m *Matcher) Ahead(data []byte, meta *Meta) (match, known bool) {
	switch m.run(data, meta, nil, true) {
	case accepted:
		return true, true
	case rejected:
		return false, true
	}
	return false, false
}

type verdict uint8

const (
	rejected verdict = iota
	accepted
	unknown
)

// run runs the operations; with ahead only until one is about fragments.
func (m *Matcher) run(data []byte, meta *Meta, f *Fragments, ahead bool) verdict {
	var (
		regs [32]uint32
		ops  = m.ops
		yes  bool
	)
	for at := m.start; ; {
		o := &ops[at]
		switch o.code {
		case opSet:
			regs[o.dst&31] = o.imm
			at++
			continue
		case opAdd:
			regs[o.dst&31] = regs[o.a&31] + o.imm
			at++
			continue
		case opAddReg:
			regs[o.dst&31] = regs[o.a&31] + regs[o.b&31]
			at++
			continue
		case opShiftL:
			regs[o.dst&31] = regs[o.a&31] & o.mask << (o.shift & 31)
			at++
			continue
		case opShiftR:
			regs[o.dst&31] = regs[o.a&31] & o.mask >> (o.shift & 31)
			at++
			continue
		case opAddShiftL:
			regs[o.dst&31] = regs[o.b&31] + regs[o.a&31]&o.mask<<(o.shift&31)
			at++
			continue
		case opAddShiftR:
			regs[o.dst&31] = regs[o.b&31] + regs[o.a&31]&o.mask>>(o.shift&31)
			at++
			continue
		case opLoad1:
			regs[o.dst&31] = uint32(data[regs[o.a&31]+o.imm])
			at++
			continue
		case opLoad2:
			regs[o.dst&31] = uint32(binary.BigEndian.Uint16(data[regs[o.a&31]+o.imm:]))
			at++
			continue
		case opLoad4:
			regs[o.dst&31] = binary.BigEndian.Uint32(data[regs[o.a&31]+o.imm:])
			at++
			continue
		case opMeta:
			regs[o.dst&31] = meta.fact(o.imm)
			at++
			continue
		case opOther:
			regs[o.dst&31] = o.other.Of(regs[o.a&31], regs[o.b&31]+o.imm)
			at++
			continue
		case opEq:
			yes = regs[o.a&31]&o.mask == o.imm
		case opEqReg:
			yes = regs[o.a&31] == regs[o.b&31]
		case opGt:
			yes = regs[o.a&31] > regs[o.b&31]+o.imm
		case opGe:
			yes = regs[o.a&31] >= regs[o.b&31]+o.imm
		case opAny:
			yes = regs[o.a&31]&(regs[o.b&31]+o.imm) != 0
		case opWithin:
			yes = uint64(regs[o.a&31])+uint64(o.imm) <= uint64(len(data))
		case opLoad1Eq:
			v := uint32(data[regs[o.a&31]+uint32(o.shift)])
			regs[o.dst&31] = v
			yes = v&o.mask == o.imm
		case opLoad2Eq:
			v := uint32(binary.BigEndian.Uint16(data[regs[o.a&31]+uint32(o.shift):]))
			regs[o.dst&31] = v
			yes = v&o.mask == o.imm
		case opLoad4Eq:
			v := binary.BigEndian.Uint32(data[regs[o.a&31]+uint32(o.shift):])
			regs[o.dst&31] = v
			yes = v&o.mask == o.imm
		case opTable:
			at = m.tables[o.imm].find(regs[o.a&31])
			continue
		case opAgain:
			if yes = regs[o.a&31] < o.imm; yes {
				regs[o.a&31]++
			}
		case opIn:
			yes = m.sets[o.imm].Has(regs[o.a&31])
		case opInLong:
			a := regs[o.a&31]
			yes = m.sets[o.imm].HasLong(U128Of(data[a : a+16]))
		case opFirst, opFollows:
			if ahead {
				return unknown
			}
			yes = o.code == opFirst
			if f != nil {
				v := Val{Reg: o.b, Imm: o.imm}
				if v.Reg == zero {
					v.Reg = NoReg
				}
				x := fragmentOf(data, v, regs[o.a&31], regs[o.b&31])
				if yes {
					f.first(o.imm, x)
				} else {
					yes = f.follows(x)
				}
			}
		case opKeep:
			// Ahead comes here only if nothing was noted.
			if yes = true; f != nil {
				f.keep()
			}
		case opAccept:
			return accepted
		default:
			return rejected
		}
		if yes {
			at = o.yes
		} else {
			at = o.no
		}
	}
}
