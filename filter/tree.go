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

	// A leaf's at is how many primitives that shift what comes after them stand
	// before it, see parser.shifts: it looks where they have moved the headers to.

	// linkProto holds if the link header says that the packet is of this type: an
	// EtherType, or, up to 1500, an LLC service access point.
	linkProto struct {
		at  int
		num uint32
	}
	// host holds if the network header has an address in one of the nets.
	host struct {
		at    int
		dir   direction
		types []uint32 // of the network headers that are looked at, as EtherTypes
		nets  []network
		in    *ir.Members // instead of nets, if not nil
	}
	// ether holds if the link header has the MAC address.
	ether struct {
		at  int
		dir direction
		mac [6]byte
	}
	port struct {
		at     int
		dir    direction
		protos []uint32
		lo, hi uint16
		in     *ir.Members // instead of lo and hi, if not nil
	}
	// proto is an IP protocol, under IPv4, IPv6 or both.
	proto struct {
		at    int
		types []uint32
		num   uint32
	}
	// chain is a protocol anywhere in the chain of headers behind IPv4 or IPv6.
	chain struct {
		at  int
		typ uint32
		num uint32
	}
	// notLater holds unless the packet is a fragment of IPv4 other than the first.
	notLater struct{ at int }
	// framed holds if what is looked at starts with an Ethernet header.
	framed struct{ at int }
	// compare holds if the relation holds between a and b, and all of the checks: that the
	// packet has the headers that a and b look into.
	compare struct {
		checks []node
		a, b   number32
		op     relation
	}
	// vlan, mpls and pppoe hold if there is such a tag, label or session
	// header, with that identifier if it has one. Outside a scope they shift what comes after them.
	vlan  struct{ identified }
	mpls  struct{ identified }
	pppoe struct{ identified }
	// phrase is what a piece of the text means that says all of it.
	phrase struct {
		text string
		x    node
	}
	// always holds for every packet.
	always struct{}
)

// identified is a primitive that may have an identifier.
type identified struct {
	at    int
	hasID bool
	id    uint32
}

func (and) isNode()       {}
func (or) isNode()        {}
func (not) isNode()       {}
func (scope) isNode()     {}
func (linkProto) isNode() {}
func (host) isNode()      {}
func (ether) isNode()     {}
func (port) isNode()      {}
func (proto) isNode()     {}
func (chain) isNode()     {}
func (notLater) isNode()  {}
func (framed) isNode()    {}
func (compare) isNode()   {}
func (vlan) isNode()      {}
func (mpls) isNode()      {}
func (pppoe) isNode()     {}
func (phrase) isNode()    {}
func (always) isNode()    {}

// network is a set of addresses: IPv4 with any mask, or an IPv6 prefix.
type network struct {
	prefix netip.Prefix // IPv6, if mask is not used
	is4    bool
	addr   uint32 // IPv4
	mask   uint32
}

// number32 is an arithmetic expression: unsigned, modulo 2^32.
type number32 interface{ isNumber() }

type (
	constant struct{ v uint32 }
	// packetLen is the length of the packet on the wire; inside a scope, from the
	// start of the level.
	packetLen struct{}
	// meta is a fact about the packet that is not in its bytes, as ir.LoadMeta has them.
	meta struct{ fact uint32 }
	// field is size bytes of the packet, at an offset from the start of a header.
	field struct {
		at    int
		base  base
		index number32
		size  uint8
	}
	operation struct {
		op        operator
		a, b      number32
		registers int // how many it takes to compute it
	}
)

func (constant) isNumber()  {}
func (packetLen) isNumber() {}
func (meta) isNumber()      {}
func (field) isNumber()     {}
func (operation) isNumber() {}

// base says what the offset of a field counts from.
type base uint8

const (
	fromLink       base = iota // the link header
	fromPayload                // what the link header carries: LLC, an MPLS label, PPPoE
	fromNetwork                // the network header, behind MPLS labels
	fromISO                    // the network header behind an LLC header without SNAP
	fromTransport              // what the IPv4 header carries; in a scope, or the IPv6 headers
	fromTransport6             // what follows an IPv6 header without extension headers
)

// operator is one of arithmetic.
type operator uint8

const (
	plus operator = iota
	minus
	times
	divided
	modulo
	bitAnd
	bitOr
	bitXor
	shiftLeft
	shiftRight
)

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

// Types of the primitives that are no headers of the table, as EtherTypes or LLC
// service access points.
const (
	typeRARP     = 0x8035
	typeATALK    = 0x809b
	typeAARP     = 0x80f3
	typeDECnet   = 0x6003
	typeLAT      = 0x6004
	typeSCA      = 0x6007
	typeMOPDL    = 0x6001
	typeMOPRC    = 0x6002
	typeLoopback = 0x9000
	typeIPX      = 0x8137
	typeMPLS     = 0x8847
	typePPPoED   = 0x8863
	typePPPoES   = 0x8864
	sapSTP       = 0x42
	sapIP        = 0x06
	sapIPX       = 0xe0
	sapNetBEUI   = 0xf0
	sapISO       = 0xfe
	// maxLLC is the largest length in a link header; what is above is an EtherType.
	maxLLC = 1500
)

// Protocols of the primitives that IP carries.
const (
	protoICMP     = 1
	protoIGMP     = 2
	protoTCP      = 6
	protoIGRP     = 9
	protoUDP      = 17
	protoESP      = 50
	protoAH       = 51
	protoICMP6    = 58
	protoNone     = 59
	protoFragment = 44
	protoPIM      = 103
	protoVRRP     = 112 // and CARP
	protoSCTP     = 132
)

// What ISO network layer packets start with, and types of IS-IS packets.
const (
	isoCLNP = 0x81
	isoESIS = 0x82
	isoISIS = 0x83

	isisL1IIH  = 15
	isisL2IIH  = 16
	isisIIH    = 17
	isisL1LSP  = 18
	isisL2LSP  = 20
	isisL1CSNP = 24
	isisL2CSNP = 25
	isisL1PSNP = 26
	isisL2PSNP = 27
)

func ipTypes() []uint32 { return []uint32{header.TypeIP, header.TypeIP6} }

// same returns the comparison of a field with a constant.
func same(at int, b base, off uint32, size uint8, mask, v uint32) node {
	return compared(at, b, off, size, mask, equal, v)
}

func compared(at int, b base, off uint32, size uint8, mask uint32, op relation, v uint32) node {
	var a number32 = field{at: at, base: b, index: constant{off}, size: size}
	if mask != 1<<(8*uint64(size))-1 {
		a = operated(bitAnd, a, constant{mask})
	}
	return compare{a: a, b: constant{v}, op: op}
}

// all and either join nodes.
func all(first node, rest ...node) node {
	for _, n := range rest {
		first = and{first, n}
	}
	return first
}

func either(first node, rest ...node) node {
	for _, n := range rest {
		first = or{first, n}
	}
	return first
}

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
	case phrase:
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
