package ir

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// Judge is a Matcher that learns: much of the traffic of a file is alike, and what a program
// does on a packet depends on few of its bits. For a packet of a new kind the Judge runs the
// program, and keeps what it has asked of the packet, with the answers. A packet that gives all
// of those answers is judged like the first one, and nothing has to be run:
//
//	kind     = at least and below so many bytes were captured, these bits are these, demand* is answered so
//	demand = bits of 1, 2 or 4 bytes == > >= a constant, in a set; 16 bytes in a set
//
// What cannot be said like that, as where a header starts, is said by its bits. So the answer is
// that of the program, always. A program that asks for facts beside the packet is run each time.
//
// A Judge is for one goroutine.
type Judge struct {
	m      *Matcher
	kinds  []*kind // what is asked for more often comes first, roughly
	spare  *kind
	rest   int // packets before kinds are looked at again
	looked int // packets in a row for which they were
	missed int // of those that were of no kind
}

const (
	maxKinds = 24
	// A Judge that misses too many of a round of packets rests: all of them are different.
	judgeRound, judgeMisses, judgeRest = 1024, 256, 16384
	// maxHeaders is how far into a packet the bits of a kind are, in bytes.
	maxHeaders = 256
	// fewBits are told apart by what they are, not by what is asked of them.
	fewBits = 8
	// maxAsked bounds what a kind asks, so that this is faster than to run the program.
	maxAsked = 48
)

// kind is packets that a program does the same with.
type kind struct {
	least, below int    // captured length
	words        []word // all of them are like that
	others       []word // none of them is
	demands      []demand
	verdict      verdict
}

// word is 8 bytes, as a little-endian number, of which bits are what they were.
type word struct {
	at        int
	mask, are uint64
}

// demand is what was asked of one field.
type demand struct {
	code opcode // opGt, opGe, opIn or opInLong; opEq only until it is a word
	size uint8
	yes  bool
	at   int
	mask uint32
	imm  uint32
}

// Judge returns a new Judge.
func (m *Matcher) Judge() *Judge {
	j := &Judge{m: m, spare: &kind{}}
	for _, o := range m.ops {
		if o.code == opMeta {
			j.rest = math.MaxInt
		}
	}
	return j
}

// Ahead is like that of the Matcher.
func (j *Judge) Ahead(data []byte, meta *Meta) (match, known bool) {
	var v verdict
	if j.rest > 0 {
		j.rest--
		v = j.m.run(data, meta, nil, true)
	} else {
		v = j.look(data)
	}
	return v == accepted, v != unknown
}

// look finds the verdict on a packet through its kind, or makes a new one.
func (j *Judge) look(data []byte) verdict {
	if j.looked++; j.looked == judgeRound {
		if j.missed > judgeMisses {
			j.rest = judgeRest
		}
		j.looked, j.missed = 0, 0
	}
	for n, k := range j.kinds {
		if k.has(data, j.m.sets) {
			if n > 0 {
				j.kinds[n-1], j.kinds[n] = k, j.kinds[n-1]
			}
			return k.verdict
		}
	}
	j.missed++
	return j.learn(data)
}

// learn finds the verdict by the program, and makes a kind of what it did.
func (j *Judge) learn(data []byte) verdict {
	r := recorder{kind: j.spare, data: data, m: j.m}
	if !r.run() {
		return r.kind.verdict
	}
	if len(j.kinds) < maxKinds {
		j.kinds, j.spare = append(j.kinds, j.spare), &kind{}
	} else {
		last := &j.kinds[len(j.kinds)-1]
		*last, j.spare = j.spare, *last
	}
	return r.kind.verdict
}

// has reports whether a packet is of the kind.
func (k *kind) has(data []byte, sets []*Members) bool {
	if len(data) < k.least || len(data) >= k.below {
		return false
	}
	for _, w := range k.words {
		if binary.LittleEndian.Uint64(data[w.at:w.at+8])&w.mask != w.are {
			return false
		}
	}
	for _, w := range k.others {
		if binary.LittleEndian.Uint64(data[w.at:w.at+8])&w.mask == w.are {
			return false
		}
	}
	for n := range k.demands {
		if t := &k.demands[n]; t.answer(data, sets) != t.yes {
			return false
		}
	}
	return true
}

// answer asks it of a packet.
func (t *demand) answer(data []byte, sets []*Members) bool {
	if t.code == opInLong {
		return sets[t.imm].HasLong(U128Of(data[t.at : t.at+16]))
	}
	return t.holds(t.value(data)&t.mask, sets)
}

// value returns the field of a packet.
func (t *demand) value(data []byte) uint32 {
	switch t.size {
	case 1:
		return uint32(data[t.at])
	case 2:
		return uint32(binary.BigEndian.Uint16(data[t.at:]))
	}
	return binary.BigEndian.Uint32(data[t.at:])
}

// holds asks it of a field's value.
func (t *demand) holds(v uint32, sets []*Members) bool {
	switch t.code {
	case opEq:
		return v == t.imm
	case opGt:
		return v > t.imm
	case opGe:
		return v >= t.imm
	}
	return sets[t.imm].Has(v)
}

// recorder runs a program on a packet, and makes the packet's kind.
type recorder struct {
	kind *kind
	data []byte
	m    *Matcher
	regs [32]uint32
	from [32]field // what registers hold
	// mask are the bits that the kind has, of the bytes of its header.
	mask [maxHeaders + 8]byte
}

// field is what a register holds: size bytes at at, those of the bits in mask, shifted. A size of 0
// stands for a value that is the same for all packets of the kind.
type field struct {
	at   uint32
	size uint8
	code opcode // opShiftL or opShiftR
	by   uint8
	mask uint32
}

// run runs the program. It returns false, and only the verdict counts, if the packet makes no kind.
func (r *recorder) run() bool {
	k := r.kind
	k.least, k.below, k.words, k.others, k.demands = 0, math.MaxInt, k.words[:0], k.others[:0], k.demands[:0]
	for at := r.m.start; ; {
		o := &r.m.ops[at]
		a, b := o.a, o.b
		v := r.regs[a]
		var yes bool
		at++
		switch o.code {
		case opSet:
			r.set(o.dst, o.imm)
		case opAdd:
			r.fix(a)
			r.set(o.dst, v+o.imm)
		case opAddReg:
			r.fix(a)
			r.fix(b)
			r.set(o.dst, v+r.regs[b])
		case opShiftL, opShiftR:
			f := r.from[a]
			if f.size != 0 && f.by != 0 && (o.shift != 0 || o.mask != ^uint32(0)) { // more than a field says
				r.fix(a)
				f = field{}
			}
			if f.size != 0 && f.by == 0 {
				f.mask &= o.mask
				f.code, f.by = o.code, o.shift
			}
			r.set(o.dst, shifted(o.code, v&o.mask, o.shift))
			r.from[o.dst] = f
		case opAddShiftL, opAddShiftR:
			r.fixBits(a, o.mask)
			r.fix(b)
			r.set(o.dst, r.regs[b]+shifted(o.code-opAddShiftL+opShiftL, v&o.mask, o.shift))
		case opLoad1, opLoad2, opLoad4:
			r.load(o.dst, a, o.imm, 1<<(o.code-opLoad1))
		case opOther:
			r.fix(a)
			r.fix(b)
			r.set(o.dst, o.other.Of(v, r.regs[b]+o.imm))
		case opEq:
			yes = r.ask(a, opEq, o.mask, o.imm)
		case opEqReg:
			r.fix(a)
			r.fix(b)
			yes = v == r.regs[b]
		case opGt, opGe:
			r.fix(b)
			yes = r.ask(a, o.code, ^uint32(0), r.regs[b]+o.imm)
		case opAny:
			r.fix(b)
			yes = !r.ask(a, opEq, r.regs[b]+o.imm, 0)
		case opWithin:
			r.fix(a)
			end := uint64(v) + uint64(o.imm)
			if yes = end <= uint64(len(r.data)); yes {
				k.least = max(k.least, int(end))
			} else {
				k.below = min(k.below, int(end))
			}
		case opLoad1Eq, opLoad2Eq, opLoad4Eq:
			r.load(o.dst, a, uint32(o.shift), 1<<(o.code-opLoad1Eq))
			yes = r.ask(o.dst, opEq, o.mask, o.imm)
		case opTable:
			t := &r.m.tables[o.imm]
			at = t.find(v)
			if at != t.other || r.from[a].size == 0 || bits.OnesCount32(r.from[a].mask) <= fewBits {
				r.fix(a)
				continue
			}
			for n := range t.entries { // a free place stands for 0, which leads there as well
				if t.entries[n].to != t.other {
					r.ask(a, opEq, ^uint32(0), t.entries[n].value)
				}
			}
		case opAgain:
			r.fix(a)
			if yes = v < o.imm; yes {
				r.regs[a]++
			}
		case opIn:
			yes = r.ask(a, opIn, ^uint32(0), o.imm)
		case opInLong:
			r.fix(a)
			t := demand{code: opInLong, at: int(v), imm: o.imm}
			t.yes = t.answer(r.data, r.m.sets)
			k.demands = append(k.demands, t)
			yes = t.yes
		case opKeep:
			yes = true
		case opAccept, opReject:
			if k.verdict = rejected; o.code == opAccept {
				k.verdict = accepted
			}
			return r.finish()
		default: // opFirst, opFollows; there is no opMeta
			k.verdict = unknown
			return false
		}
		if o.code >= opEq && o.code != opTable {
			if at = o.no; yes {
				at = o.yes
			}
		}
	}
}

func shifted(code opcode, v uint32, by uint8) uint32 {
	if code == opShiftL {
		return v << by
	}
	return v >> by
}

// set writes a value that is the same for all packets of the kind.
func (r *recorder) set(dst Reg, v uint32) {
	r.regs[dst], r.from[dst] = v, field{}
}

// load loads a field.
func (r *recorder) load(dst, a Reg, off uint32, size uint8) {
	r.fix(a)
	f := field{at: r.regs[a] + off, size: size, code: opShiftR, mask: uint32(1<<(8*size) - 1)}
	t := demand{size: size, at: int(f.at), mask: f.mask}
	r.regs[dst], r.from[dst] = t.value(r.data), f
}

// fix makes a register the same for all packets of the kind.
func (r *recorder) fix(a Reg) {
	r.fixBits(a, ^uint32(0))
	r.from[a] = field{}
}

// fixBits makes bits of a register the same for all packets of the kind.
func (r *recorder) fixBits(a Reg, mask uint32) {
	f := &r.from[a]
	if f.size == 0 {
		return
	}
	if f.by == 0 {
		mask &= f.mask
	} else {
		mask = f.mask
	}
	for n := range uint32(f.size) {
		at := min(f.at+n, maxHeaders) // finish sees what is beyond
		r.mask[at] |= byte(mask >> (8 * (uint32(f.size) - 1 - n)))
		if f.at+n >= maxHeaders {
			r.mask[maxHeaders] = 1
		}
	}
}

// ask asks for something of a register's bits, and makes the answer that of the kind.
func (r *recorder) ask(a Reg, code opcode, mask, imm uint32) bool {
	f := r.from[a]
	t := demand{code: code, size: f.size, at: int(f.at), mask: f.mask & mask, imm: imm}
	switch {
	case f.size == 0 || f.by != 0 || bits.OnesCount32(t.mask) <= fewBits:
		r.fixBits(a, mask)
		return t.holds(r.regs[a]&mask, r.m.sets)
	}
	t.yes = t.holds(r.regs[a]&mask, r.m.sets)
	if code == opEq && t.yes {
		r.fixBits(a, mask)
		return true
	}
	r.kind.demands = append(r.kind.demands, t)
	return t.yes
}

// finish turns the bits of the kind, and what fields are not, into words. It fails if they are too far
// away, if there is not room for one word, or if too much was asked.
func (r *recorder) finish() bool {
	k := r.kind
	if k.least = max(k.least, 8); len(r.data) < k.least || r.mask[maxHeaders] != 0 || len(k.demands) > maxAsked {
		return false
	}
	for n := 0; n < maxHeaders; n++ {
		if r.mask[n] == 0 {
			continue
		}
		w := k.word(n)
		w.mask = binary.LittleEndian.Uint64(r.mask[w.at:])
		w.are = binary.LittleEndian.Uint64(r.data[w.at:]) & w.mask
		k.words = append(k.words, w)
		n = w.at + 7
	}
	asked := k.demands
	k.demands = k.demands[:0]
	for _, t := range asked {
		if t.code != opEq {
			k.demands = append(k.demands, t)
			continue
		}
		if t.imm&^t.mask != 0 { // it never is
			continue
		}
		// The answer was no, or its bits would be those of the kind.
		w := k.word(t.at)
		for n := range int(t.size) {
			shift, from := 8*(t.at+n-w.at), 8*(int(t.size)-1-n)
			w.mask |= uint64(byte(t.mask>>from)) << shift
			w.are |= uint64(byte(t.imm>>from)) << shift
		}
		k.others = append(k.others, w)
	}
	return true
}

// word returns the word for what is at at. Where it would reach beyond what is captured of all of them,
// it starts before.
func (k *kind) word(at int) word { return word{at: min(at, k.least-8)} }
