package ir

import (
	"container/list"
	"encoding/binary"
	"slices"
)

// A fragment is known by its network header's source, destination, identification and
// protocol. Only the first one of a packet has the headers that a filter asks about, so a
// program that follows fragments remembers those it has accepted, and accepts the
// later ones of the same packets as well:
//
//	First     notes the first fragment that the packet has at some level
//	Keep      stands before Accept: what was noted is remembered
//	Follows   asks whether the first fragment of a later one is remembered
//
// A later fragment that comes before the first cannot be told from any other. It is
// counted if its first one is accepted then.

// Slots is how many first fragments one packet can note: there are two levels of
// fragments, what is on the wire and what is in a tunnel.
const Slots = 2

// MaxFragments is how many first fragments are remembered, and how many packets whose first
// fragment has not come. Of more, those that were not seen for the longest time are forgotten.
const MaxFragments = 16384

// Fragments is what filters remember of fragments between packets. The zero value
// remembers nothing. It is not for more than one goroutine at a time.
type Fragments struct {
	kept  memory // first fragments that were accepted
	early memory // later fragments whose first one has not come
	noted [Slots]note
	late  uint64
}

// Late returns how many later fragments came before the first one of their packet, which
// then was accepted.
func (f *Fragments) Late() uint64 { return f.late }

// note is a first fragment of the packet at hand.
type note struct {
	fragment
	is    bool
	early uint64 // how many later ones came before it
}

// fragment is what fragments of one packet have in common.
type fragment struct {
	src, dst [16]byte
	id       uint32
	proto    uint8
	kind     uint8 // the slot, and 2 if it is IPv6
}

// fragmentOf returns the fragment that a block's condition is about, with the
// registers' values a and b.
func fragmentOf(data []byte, cond Val, a, b uint32) fragment {
	f := fragment{kind: uint8(cond.Imm)}
	h := data[a:]
	if cond.Reg == NoReg {
		copy(f.src[:], h[12:16])
		copy(f.dst[:], h[16:20])
		f.id, f.proto = uint32(binary.BigEndian.Uint16(h[4:])), h[9]
		return f
	}
	copy(f.src[:], h[8:24])
	copy(f.dst[:], h[24:40])
	f.id, f.proto = binary.BigEndian.Uint32(data[b+4:]), data[b]
	f.kind |= 2
	return f
}

// begin forgets what the packet before has noted.
func (f *Fragments) begin() {
	for n := range f.noted {
		f.noted[n].is, f.noted[n].early = false, 0
	}
}

// first notes a first fragment. What was known under its name was another packet.
func (f *Fragments) first(slot uint32, x fragment) {
	f.kept.remove(x)
	n := &f.noted[slot]
	n.fragment, n.is = x, true
	n.early += f.early.remove(x) // nothing, if another scope has noted it before
}

// keep remembers what was noted.
func (f *Fragments) keep() {
	for n := range f.noted {
		if f.noted[n].is {
			f.kept.add(f.noted[n].fragment)
			f.late += f.noted[n].early
		}
	}
}

// follows reports whether the first one of a later fragment was kept.
func (f *Fragments) follows(x fragment) bool {
	if f.kept.has(x) {
		return true
	}
	f.early.add(x)
	return false
}

// memory counts fragments. It forgets those that it was not asked about for the longest time.
type memory struct {
	at    map[fragment]*list.Element
	order *list.List // of counted, the latest first
}

type counted struct {
	fragment
	n uint64
}

func (m *memory) has(x fragment) bool {
	e := m.at[x]
	if e != nil {
		m.order.MoveToFront(e)
	}
	return e != nil
}

// add counts x.
func (m *memory) add(x fragment) {
	if m.at == nil {
		m.at, m.order = map[fragment]*list.Element{}, list.New()
	}
	if m.has(x) {
		m.at[x].Value.(*counted).n++
		return
	}
	if len(m.at) >= MaxFragments {
		delete(m.at, m.order.Remove(m.order.Back()).(*counted).fragment)
	}
	m.at[x] = m.order.PushFront(&counted{x, 1})
}

// remove returns how often x was counted, and forgets it.
func (m *memory) remove(x fragment) uint64 {
	e := m.at[x]
	if e == nil {
		return 0
	}
	delete(m.at, x)
	return m.order.Remove(e).(*counted).n
}

// FollowsFragments reports whether the program remembers fragments.
func (p *Prog) FollowsFragments() bool {
	return slices.ContainsFunc(p.Blocks, func(b Block) bool { return b.Cond == Follows })
}

// WithoutFragments returns the program that remembers nothing: that judges each fragment as a
// packet of its own.
func (p *Prog) WithoutFragments() *Prog {
	q := &Prog{Blocks: slices.Clone(p.Blocks), Heads: p.Heads, Sets: p.Sets}
	for n := range q.Blocks {
		b := &q.Blocks[n]
		switch b.Cond {
		case First, Keep:
			b.Cond, b.A, b.B, b.False = Always, NoReg, Imm(0), b.True
		case Follows:
			b.Cond, b.A, b.B, b.True = Always, NoReg, Imm(0), b.False
		}
	}
	q = q.reachable()
	q.sweep()
	return q
}
