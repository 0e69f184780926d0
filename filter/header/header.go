// Package header is the table of protocol headers that tundump walks: how
// long each is, where its fields are, and what may follow it. The filter
// compiler, the offset and MTU calculators and the printer all read this one
// table, so a new tunnel is one new entry.
//
// Every variable length is affine in masked fields, so a header is data:
//
//	length  = Fixed + Σ (field & Mask) << Shift        (>> -Shift if negative)
//	next    = the first Rule whose Value equals the field named Next.By,
//	          and whose tests hold: of the header, and of what follows it
//
// What comes in a number that varies is a header that may follow itself: MPLS
// labels, the extension headers of GTP-U. All fields are in network byte order, all offsets and lengths in bytes.
package header

import "strings"

// LenTerm is one addend of a header's length, or of a field's offset, in
// bytes: (field & Mask) << Shift, or >> -Shift if Shift is negative. The field
// is Size bytes (1, 2 or 4) at Off from the start of the header.
type LenTerm struct {
	Off, Size uint8
	Mask      uint32
	Shift     int8
}

// Test holds for a header if (field & Mask) == Value. The zero Test (Size 0)
// holds always.
type Test struct {
	Off, Size   uint8
	Mask, Value uint32
}

// Field is a named part of a header: Size bytes (1, 2, 4, 6 or 16) at
// Off + Σ Pos, there only if If holds. A Mask other than 0 selects bits of it.
type Field struct {
	Name string
	Off  uint8
	Size uint8
	Mask uint32
	Pos  []LenTerm
	If   Test
}

// Class says what part a header plays in a level.
type Class uint8

const (
	Link      Class = iota // starts a level and has addresses of its own: Ethernet, cooked captures
	Tag                    // between link and network header: VLAN tags, MPLS labels, PPPoE
	Network                // IPv4, IPv6, ARP
	Extension              // between the network header and the transport: IPv6 extension headers, AH
	Transport              // TCP, UDP, SCTP, ICMP, ICMPv6
	Tunnel                 // what follows belongs to the next level
	Part                   // belongs to the tunnel header in front of it
)

func (c Class) String() string {
	return [...]string{"link", "tag", "network", "extension", "transport", "tunnel", "part"}[c]
}

// ID names a header of the table.
type ID uint8

const (
	None ID = iota // nothing that the table knows
	Ether
	SLL   // LINUX_SLL, cooked capture version 1
	SLL2  // LINUX_SLL2, cooked capture version 2
	Null  // NULL and LOOP, an address family
	Frame // PPP with address and control field
	VLAN
	MPLS  // one label
	PPPoE // of a session, and the PPP protocol field behind it
	IP
	IP6
	ARP
	HopOpts
	Routing
	Fragment
	DstOpts
	AH
	TCP
	UDP
	SCTP
	ICMP
	ICMP6
	IPIP  // nothing at all: the payload of IP protocol 4 is an IPv4 packet
	IPIP6 // nothing at all: the payload of IP protocol 41 is an IPv6 packet
	GRE
	ERSPAN1 // nothing at all: a mirrored frame right behind a GRE header without sequence number
	ERSPAN2
	ERSPAN3
	WCCP // a redirect header behind GRE's
	PPTP // GRE version 1
	VXLAN
	GPE
	Geneve
	NSH
	GTP
	GTPSeq // its sequence and N-PDU numbers, if no extension header can follow
	GTPOpt // those, but for the byte that says which extension header follows
	GTPExt // that byte, and the extension header without its last one
	GTPEnd // that byte, where it says that none follows
	EtherIP
	MPLSIP // nothing at all: the payload of IP protocol 137 and of UDP port 6635 is an MPLS label
	L2TP
	L2TPSub // the default sublayer of L2TPv3
	HDLC    // PPP's address and control field
	PPP     // its protocol field, of two bytes
	PPP1    // that of one byte
	Teredo  // nothing at all
	TeredoAuth
	TeredoOrigin
	GUE
	PBB
	PW    // an Ethernet pseudowire's control word
	PWRaw // nothing at all: an Ethernet frame right behind an MPLS label
	NumIDs
)

// Rule is one line of "what may follow": the header To follows if the field
// has this Value, If holds for the header itself, and Peek for what follows: its
// Off counts from the end of the header. To is None where nothing follows that
// could be walked.
type Rule struct {
	Value uint32
	If    Test
	Peek  Test
	To    ID
}

// Next says what follows a header: the first rule whose Value is that of the
// field By and whose tests hold. If By is empty, there is no Value to compare.
type Next struct {
	By    string
	Rules []Rule
}

// Header describes one protocol header.
type Header struct {
	ID    ID
	Name  string // as in stacks: ip/gre,key/ether/ip
	Class Class
	// Word is the filter language's primitive for a tunnel; headers may share it.
	Word string
	// Min is how many bytes must be there before anything of the header can be
	// used: they cover Len, Valid, Later and the field that Next.By names. A
	// header whose length computes to less than Min is malformed, and ends a walk.
	Min   uint32
	Fixed uint32
	Len   []LenTerm
	// Valid lists what must hold, or this is not such a header (GRE version 0,
	// the I flag of VXLAN).
	Valid []Test
	// Later holds in a fragment other than the first: what follows is not
	// the start of anything. Its Value is what the masked field must differ from.
	Later Test
	// More are the bits of the field of Later that tell that more fragments come.
	More uint32
	// TunnelID is the name of the field with the tunnel's identifier, if it has one.
	TunnelID string
	Fields   []Field
	Next     Next
}

// Field returns the named field; ok is false if the header has none such.
func (h *Header) Field(name string) (f *Field, ok bool) {
	for i := range h.Fields {
		if h.Fields[i].Name == name {
			return &h.Fields[i], true
		}
	}
	return nil, false
}

// Constant reports whether the header always has the length Fixed.
func (h *Header) Constant() bool { return len(h.Len) == 0 }

// Starts reports whether a level may start with the header, where it follows a tunnel.
func (h *Header) Starts() bool { return h.Class != Tunnel && h.Class != Part }

// Repeats reports whether the header may follow itself.
func (h *Header) Repeats() bool {
	for _, r := range h.Next.Rules {
		if r.To == h.ID {
			return true
		}
	}
	return false
}

// Ports is what no packet says: the UDP destination ports by which tunnels are
// recognised, and what the two ends of one have agreed on.
type Ports struct {
	VXLAN, GPE, Geneve, GTP []uint16
	// L2TPCookie is how many bytes of cookie all L2TPv3 sessions have: 0, 4 or 8.
	L2TPCookie uint8
	// FOU has no ports by default, there are none that IANA gave it. They come
	// before all others.
	FOU []FOU
}

// FOU is a port of foo-over-UDP: behind the UDP header is what would be behind an
// IP header with the protocol, or a GUE header.
type FOU struct {
	Port     uint16
	Protocol uint8 // one for which TunnelProtocol holds; 0 for GUE
}

// DefaultPorts returns IANA's ports, and 8472, which Linux used for VXLAN
// before it had one.
func DefaultPorts() Ports {
	return Ports{VXLAN: []uint16{4789, 8472}, GPE: []uint16{4790}, Geneve: []uint16{6081}, GTP: []uint16{2152}}
}

// Limits of a walk, so that no packet makes it long. A header beyond them ends
// the walk.
const (
	MaxTags       = 4 // VLAN tags, MPLS labels and the like in front of one network header
	MaxExtensions = 6 // extension headers in front of one transport header
	MaxRepeats    = 3 // parts of one kind in a tunnel header
	MaxDepth      = 8 // tunnel levels
	DefaultDepth  = 3
)

// Table is the set of headers for one choice of ports. It is never written
// after New and may be shared.
type Table struct {
	Ports   Ports
	headers [NumIDs]Header
}

// Header returns the table's entry; it is nil for None, values out of range, and what
// Only has left out.
func (t *Table) Header(id ID) *Header {
	if id == None || id >= NumIDs || t.headers[id].ID != id {
		return nil
	}
	return &t.headers[id]
}

// All returns every header of the table, in the order of their IDs.
func (t *Table) All() []*Header {
	all := make([]*Header, 0, NumIDs-1)
	for id := None + 1; id < NumIDs; id++ {
		if h := t.Header(id); h != nil {
			all = append(all, h)
		}
	}
	return all
}

// Only returns the table without those headers of the classes Tag, Tunnel and Part for
// which keep does not hold.
func (t *Table) Only(keep func(*Header) bool) *Table {
	only := *t
	for i := range only.headers {
		if !kept(&only.headers[i], keep) {
			only.headers[i] = Header{}
			continue
		}
		next := &only.headers[i].Next
		rules := next.Rules
		next.Rules = nil
		for i, r := range rules {
			// The last rule of a value is for what those before it do not tell.
			if i+1 < len(rules) && next.By != "" && r.Peek != (Test{}) && rules[i+1].Value == r.Value && !kept(t.Header(rules[i+1].To), keep) {
				continue
			}
			if kept(t.Header(r.To), keep) {
				next.Rules = append(next.Rules, r)
			}
		}
	}
	return &only
}

func kept(h *Header, keep func(*Header) bool) bool {
	switch {
	case h == nil:
		return true
	case h.Class == Tag || h.Class == Tunnel || h.Class == Part:
		return keep(h)
	}
	return true
}

// LinkType is a pcap link-layer type, a LINKTYPE_ value
// (https://www.tcpdump.org/linktypes.html).
type LinkType uint32

const (
	LinkNull     LinkType = 0 // an address family in the byte order of the machine that captured
	LinkEthernet LinkType = 1
	LinkPPP      LinkType = 9
	LinkRaw      LinkType = 101 // IPv4 or IPv6 by the version nibble
	LinkLoop     LinkType = 108 // an address family in network byte order
	LinkSLL      LinkType = 113
	LinkIPv4     LinkType = 228
	LinkIPv6     LinkType = 229
	LinkSLL2     LinkType = 276
)

// Links returns the link types whose packets can be walked.
func Links() []LinkType {
	return []LinkType{LinkNull, LinkEthernet, LinkPPP, LinkRaw, LinkLoop, LinkSLL, LinkIPv4, LinkIPv6, LinkSLL2}
}

// LinkTypeOf returns the link type of a name, as tcpdump -y takes it: in any case, and
// with DLT_ in front or not.
func LinkTypeOf(name string) (l LinkType, ok bool) {
	short := strings.TrimPrefix(strings.ToUpper(name), "DLT_")
	for _, l := range Links() {
		if n, _ := l.Name(); n == short {
			return l, true
		}
	}
	return 0, false
}

// Name returns the name that tcpdump -y takes and prints, and its
// description; both are empty for a link type that is not supported.
func (l LinkType) Name() (name, description string) {
	switch l {
	case LinkNull:
		return "NULL", "BSD loopback"
	case LinkEthernet:
		return "EN10MB", "Ethernet"
	case LinkPPP:
		return "PPP", "PPP"
	case LinkLoop:
		return "LOOP", "OpenBSD loopback"
	case LinkRaw:
		return "RAW", "Raw IP"
	case LinkSLL:
		return "LINUX_SLL", "Linux cooked v1"
	case LinkIPv4:
		return "IPV4", "Raw IPv4"
	case LinkIPv6:
		return "IPV6", "Raw IPv6"
	case LinkSLL2:
		return "LINUX_SLL2", "Linux cooked v2"
	}
	return "", ""
}

// First returns the rules that choose a packet's first header. Only RAW has to
// look: its rules compare the byte at 0 masked with 0xf0, through their If.
func (l LinkType) First() []Rule {
	switch {
	case l == LinkRaw:
		return []Rule{
			{If: Test{Off: 0, Size: 1, Mask: 0xf0, Value: 0x40}, To: IP},
			{If: Test{Off: 0, Size: 1, Mask: 0xf0, Value: 0x60}, To: IP6},
		}
	case l.only() != None:
		return []Rule{{To: l.only()}}
	}
	return nil
}

// only returns the header that all packets of the link type start with, None if they
// start with several or the link type is unknown.
func (l LinkType) only() ID {
	switch l {
	case LinkEthernet:
		return Ether
	case LinkSLL:
		return SLL
	case LinkSLL2:
		return SLL2
	case LinkNull, LinkLoop:
		return Null
	case LinkPPP:
		return Frame
	case LinkIPv4:
		return IP
	case LinkIPv6:
		return IP6
	}
	return None
}
