package filter

import (
	"net/netip"

	"github.com/tundump/tundump/filter/header"
	"github.com/tundump/tundump/filter/ir"
)

// node is a node of the syntax tree. Names are resolved and qualifiers spelled
// out, so that a leaf says all it means.
type node interface{ isNode() }

type (
	and struct{ a, b node }
	or  struct{ a, b node }
	not struct{ x node }

	// scope holds if x holds at one of the levels first to last.
	scope struct {
		first, last int
		x           node
	}

	// host holds if the network header has an address in one of the nets.
	host struct {
		dir   direction
		types []uint32 // of the network headers that are looked at, as EtherTypes
		nets  []netip.Prefix
		in    *ir.Members // instead of nets, if not nil
	}
	ether struct {
		dir direction
		mac [6]byte
	}
	port struct {
		dir    direction
		protos []uint32
		lo, hi uint16
		in     *ir.Members // instead of lo and hi, if not nil
	}
	// proto is an IP protocol, under IPv4, IPv6 or both.
	proto struct {
		types []uint32
		num   uint32
	}
	etherType struct{ num uint32 }
	// length compares the packet's length with n.
	length struct {
		op relation
		n  uint32
	}
	// always holds for every packet.
	always struct{}
)

func (and) isNode()       {}
func (or) isNode()        {}
func (not) isNode()       {}
func (scope) isNode()     {}
func (host) isNode()      {}
func (ether) isNode()     {}
func (port) isNode()      {}
func (proto) isNode()     {}
func (etherType) isNode() {}
func (length) isNode()    {}
func (always) isNode()    {}

// direction is a direction qualifier.
type direction uint8

const (
	srcOrDst direction = iota
	src
	dst
	srcAndDst
)

// relation is a comparison of unsigned numbers.
type relation uint8

const (
	equal relation = iota
	notEqual
	greater
	greaterEqual
	less
	lessEqual
)

// typeRARP is no header of the table, but host looks into it as libpcap does.
const typeRARP = 0x8035

// IP protocols of the primitives.
const (
	protoICMP  = 1
	protoTCP   = 6
	protoUDP   = 17
	protoICMP6 = 58
	protoSCTP  = 132
)

func ipTypes() []uint32 { return []uint32{header.TypeIP, header.TypeIP6} }

// anyOf reports whether f holds for n or a node below it.
func anyOf(n node, f func(node) bool) bool {
	if f(n) {
		return true
	}
	switch n := n.(type) {
	case and:
		return anyOf(n.a, f) || anyOf(n.b, f)
	case or:
		return anyOf(n.a, f) || anyOf(n.b, f)
	case not:
		return anyOf(n.x, f)
	case scope:
		return anyOf(n.x, f)
	}
	return false
}

func usesTunnels(n node) bool {
	return anyOf(n, func(n node) bool {
		switch n.(type) {
		case scope, tunnel:
			return true
		}
		return false
	})
}
