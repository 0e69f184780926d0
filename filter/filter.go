// Package filter compiles the filter language, pcap-filter(7) plus scopes
// that look inside tunnels, into the intermediate form of package ir:
//
//	text -> lex -> parse -> tree -> lower -> ir.Prog
//
// It makes no system calls: names are looked up through [Names].
package filter

import (
	"fmt"
	"net"
	"net/netip"
	"unicode/utf8"

	"github.com/tundump/tundump/filter/header"
	"github.com/tundump/tundump/filter/ir"
)

// Options say what packets an expression is compiled for.
type Options struct {
	// LinkType is what packets start with.
	LinkType header.LinkType
	// Table has the headers that are walked.
	Table *header.Table
	// Depth is how many tunnel levels are walked, 1 to header.MaxDepth.
	Depth int
	// Names looks up what is not a number. Nil knows no names.
	Names Names
	// Fragments says whether later fragments of a packet are accepted because the first one
	// was. Only what remembers can do that: [ir.Prog.MatchFragments], eBPF.
	Fragments FollowFragments
	// Sets has the sets that files hold. With nil the expression cannot name any.
	Sets *Sets
	// Origin says where the packets come from, and so what is known about them.
	Origin Origin
	// Netmask is that of the network that ip broadcast means; 0 if it is not known.
	Netmask uint32
	// BigEndian says that packets of LINKTYPE_NULL were captured on such a machine.
	BigEndian bool
	// NoOptimise leaves out the optimiser, as in tcpdump -O.
	NoOptimise bool
}

// Origin says where packets come from.
type Origin uint8

const (
	// OriginUnknown is for a program that is only printed.
	OriginUnknown Origin = iota
	// OriginFile has no facts but the packets' bytes and length: inbound, outbound and
	// ifindex are refused, unless the link header says it.
	OriginFile
	// OriginLive may have a VLAN tag in the metadata, and not in the packet.
	OriginLive
)

// FollowFragments says for what expressions fragments are followed.
type FollowFragments uint8

const (
	FollowNone    FollowFragments = iota
	FollowTunnels                 // for those that have a scope or a tunnel primitive
	FollowAll
)

// Names looks up the names in expressions. An error says why it cannot; the name
// itself need not be repeated.
type Names interface {
	// Hosts returns the addresses of a host.
	Hosts(name string) ([]netip.Addr, error)
	// Network returns the address of a network, as in /etc/networks.
	Network(name string) (netip.Prefix, error)
	// Port returns the port of a service with the protocol "tcp", "udp" or "sctp".
	Port(protocol, name string) (uint16, error)
	// Protocol returns the number of an IP protocol.
	Protocol(name string) (uint8, error)
	// Ether returns a host's MAC address, as in /etc/ethers.
	Ether(name string) (net.HardwareAddr, error)
}

// Error is what is wrong with an expression, and where.
type Error struct {
	Text     string // the expression
	Pos, End int    // the place in Text, in bytes; empty at the end of the text
	Msg      string
}

// Error returns one line: the reason, and the column in characters, from 1.
func (e *Error) Error() string {
	return fmt.Sprintf("%s, at column %d", e.Msg, e.Column())
}

// Column returns the place as a number of characters, from 1.
func (e *Error) Column() int { return utf8.RuneCountInString(e.Text[:e.Pos]) + 1 }

// Compile returns the program for an expression. An expression of nothing but
// white space accepts every packet. The error is an *Error if the expression
// is wrong.
func Compile(text string, opt Options) (*ir.Prog, error) {
	if opt.Depth < 1 || opt.Depth > header.MaxDepth {
		return nil, fmt.Errorf("depth %d is not between 1 and %d", opt.Depth, header.MaxDepth)
	}
	if name, _ := opt.LinkType.Name(); name == "" {
		return nil, fmt.Errorf("link type %d is not supported by filters", opt.LinkType)
	}
	tree, shifts, err := parse(text, opt)
	if err != nil {
		return nil, err
	}
	tree = merge(tree)
	if scopes, tunnels := walks(tree); scopes > maxScopes || tunnels > maxTunnels {
		return nil, &Error{text, 0, len(text), "the tunnels would be walked too often; what is asked of one level goes into one group"}
	}
	if opt.Fragments == FollowTunnels && !usesTunnels(tree) {
		opt.Fragments = FollowNone // it means what it means in libpcap
	}
	p := lower(tree, shifts, opt)
	if err := p.Verify(); err != nil {
		return nil, fmt.Errorf("compiling %q: %w", text, err)
	}
	if len(p.Heads) > 0 && opt.LinkType == header.LinkEthernet { // others are short, or rare
		p.Likely = func() []ir.Likely { return likely(opt) }
	}
	return p, nil
}

// These bound the size of programs: each scope that cannot be merged with the one
// before it, and each tunnel primitive, is a walk of its own.
const (
	maxScopes  = 32
	maxTunnels = 256
)

// UsesTunnels reports whether the expression looks into tunnels: whether it has
// a scope or a tunnel primitive. It is false for an expression that is wrong.
func UsesTunnels(text string, opt Options) bool {
	tree, _, err := parse(text, opt)
	return err == nil && usesTunnels(tree)
}
