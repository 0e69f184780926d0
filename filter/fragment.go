package filter

import (
	"github.com/tundump/tundump/filter/header"
	"github.com/tundump/tundump/filter/ir"
)

// Only the first fragment of a packet has the headers that an expression asks about. With
// Options.Fragments the later ones of a packet that was accepted are accepted as well: those
// of what is on the wire, and those of what is in a tunnel where a scope asked about what
// is behind the network header. The walks do that on their way, where they come by the offset
// of a fragment anyway, so that a packet that is none costs nothing.

// fragments says what a walk does at fragments.
type fragments uint8

const (
	ignored fragments = iota // nothing
	outer                    // they are what is on the wire
	inner                    // they are in a tunnel
)

// following returns l with walks that follow fragments, if that is asked for.
func (l *lowerer) following(f fragments) *lowerer {
	c := *l
	if c.fragments = ignored; l.opt.Fragments != FollowNone {
		c.fragments = f
	}
	return &c
}

// fragment builds the branch by what a header says: to later behind a fragment other than the
// first, else to next.
func (l *lowerer) fragment(at reading, next, later block) block {
	h := at.h
	none := func(mask uint32) header.Test { return header.Test{Off: h.Later.Off, Size: h.Later.Size, Mask: mask} }
	if l.fragments == ignored {
		return at.test(none(h.Later.Mask), next, later)
	}
	slot := ir.Imm(uint32(l.fragments - outer))
	if h.ID != header.IP {
		slot.Reg = at.reg
	}
	first := l.add(nil, ir.First, ir.L3, slot, next, next)
	n := l.add(nil, ir.Follows, ir.L3, slot, ir.Accept, later)
	if h.ID != header.IP { // and the walk over extension headers does not know that it is there
		ip6 := l.opt.Table.Header(header.IP6).Min
		first, n = l.within(addr{ir.L3, 0}, ip6, first, next), l.within(addr{ir.L3, 0}, ip6, n, later)
	}
	return at.test(none(h.Later.Mask|h.More), next, at.test(none(h.Later.Mask), first, n))
}

// accept returns where the program goes with a packet that it accepts.
func (l *lowerer) accept() block {
	if l.opt.Fragments == FollowNone {
		return ir.Accept
	}
	return l.add(nil, ir.Keep, ir.NoReg, ir.Imm(0), ir.Accept, ir.Accept)
}

// pastFragments builds the walk to the fragments of what is on the wire, in front of a program that
// does not begin with it.
func (l *lowerer) pastFragments(start block) block {
	if l.opt.Fragments == FollowNone {
		return start
	}
	w := l.following(outer)
	return w.wire(w.toTransport(start, start), start)
}

// leading is a scope that is the first that a program comes to.
type leading struct{ scope }

// lead marks the scope that the program begins with, if it begins with one that walks over
// the network header of level 0 before it asks anything.
func lead(n node) (marked node, ok bool) {
	switch n := n.(type) {
	case and:
		n.a, ok = lead(n.a)
		return n, ok
	case or:
		n.a, ok = lead(n.a)
		return n, ok
	case not:
		n.x, ok = lead(n.x)
		return n, ok
	case phrase:
		n.x, ok = lead(n.x)
		return n, ok
	case scope:
		if n.first > 0 || anyOf(n.x, looksAtTransport) {
			return leading{n}, true
		}
	}
	return n, false
}
