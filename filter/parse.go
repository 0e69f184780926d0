package filter

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/tundump/tundump/filter/header"
)

// The grammar. and and or have the same precedence and group to the left. A
// value alone takes over the qualifiers of the term before it, scope included
// ("inner host a or b").
//
//	expr  = term { (and|or) (term | value) }
//	term  = not term | scope term | ( expr ) | primitive
//	scope = inner [number] | outer | any
//	value = address | number | name | not value | ( value { (and|or) value } )
//
// qualifiers are what stands in front of a value: [proto] [dir] [type].
type qualifiers struct {
	proto string // "" if none, "ether" for link
	dir   direction
	hasDir,
	valid bool // false after a term that hands on no qualifiers
	typ    string     // host, net, port, portrange, proto; "" if none was given
	scope  *scopeWord // that stands in front of the qualifiers
	scoped bool       // whether there is a scope around them
}

// scopeWord is a scope without what it is applied to.
type scopeWord struct{ first, last int }

func (s *scopeWord) apply(n node) node {
	if s == nil {
		return n
	}
	return scope{s.first, s.last, n}
}

// maxNesting bounds parentheses, nots and scopes inside each other, and with
// them the depth of every recursion over the tree's right sides.
const maxNesting = 200

type parser struct {
	text    string
	tokens  []token
	opt     Options
	nesting int
}

func parse(text string, opt Options) (node, error) {
	tokens, err := lex(text)
	if err != nil {
		return nil, err
	}
	p := &parser{text: text, tokens: tokens, opt: opt}
	if p.peek().kind == end {
		return always{}, nil
	}
	n, _, err := p.expr(nil)
	if err != nil {
		return nil, err
	}
	if t := p.peek(); t.kind != end {
		return nil, p.unexpected(t, "and, or, or the end")
	}
	return n, nil
}

func (p *parser) peek() token { return p.tokens[0] }

func (p *parser) next() token {
	t := p.tokens[0]
	if t.kind != end {
		p.tokens = p.tokens[1:]
	}
	return t
}

func (p *parser) accept(s string) bool {
	if p.peek().is(s) {
		p.next()
		return true
	}
	return false
}

func (p *parser) errorf(t token, format string, a ...any) error {
	return &Error{p.text, t.pos, t.end, fmt.Sprintf(format, a...)}
}

func (p *parser) unexpected(t token, want string) error {
	if t.kind == end {
		return p.errorf(t, "the expression ends where %s should stand", want)
	}
	return p.errorf(t, "unexpected %v: %s should stand here", t, want)
}

// nest is called on the way into a recursion, and returns the way out.
func (p *parser) nest() (out func(), err error) {
	p.nesting++
	if p.nesting > maxNesting {
		return nil, p.errorf(p.peek(), "more than %d parentheses and operators inside each other", maxNesting)
	}
	return func() { p.nesting-- }, nil
}

// operator accepts and, or.
func (p *parser) operator() (combine func(a, b node) node) {
	switch {
	case p.accept("and"):
		return func(a, b node) node { return and{a, b} }
	case p.accept("or"):
		return func(a, b node) node { return or{a, b} }
	}
	return nil
}

// expr parses an expression in the scope in. The result's qualifiers are those
// of its last term.
func (p *parser) expr(in *scopeWord) (node, qualifiers, error) {
	n, q, err := p.term(in)
	if err != nil {
		return nil, q, err
	}
	for {
		combine := p.operator()
		if combine == nil {
			return n, q, nil
		}
		var r node
		if q.valid && p.startsValue() {
			r, err = p.value(q)
		} else {
			// A group hands on the qualifiers from before it, as in libpcap's
			// grammar: "host a and (tcp) or b".
			before, group := q, p.peek().is("(")
			if r, q, err = p.term(in); group {
				q = before
			}
		}
		if err != nil {
			return nil, q, err
		}
		n = combine(n, r)
	}
}

// startsValue reports whether what comes next is a value and no term: after
// any number of parentheses and nots stands an address, number or name.
func (p *parser) startsValue() bool {
	i := 0
	for p.tokens[i].is("(") || p.tokens[i].is("not") {
		i++
	}
	switch t := p.tokens[i]; t.kind {
	case number:
		return !relational(p.tokens[i+1])
	case dotted, colons, mac, name:
		return true
	}
	return false
}

func relational(t token) bool {
	return t.kind == symbol && slices.Contains([]string{"=", "!=", "<", "<=", ">", ">="}, t.text)
}

func (p *parser) term(in *scopeWord) (node, qualifiers, error) {
	var none qualifiers
	out, err := p.nest()
	if err != nil {
		return nil, none, err
	}
	defer out()
	t := p.peek()
	switch {
	case p.accept("not"):
		n, q, err := p.term(in)
		if err != nil {
			return nil, q, err
		}
		return not{n}, q, nil
	case p.accept("("):
		n, _, err := p.expr(in)
		if err != nil {
			return nil, none, err
		}
		if !p.accept(")") {
			return nil, none, p.unexpected(p.peek(), `")", "and" or "or"`)
		}
		return n, none, nil
	case t.is("inner") || t.is("outer") || t.is("any"):
		s, err := p.scope(in)
		if err != nil {
			return nil, none, err
		}
		n, q, err := p.term(s)
		if err != nil {
			return nil, q, err
		}
		q.scope = s
		return s.apply(n), q, nil
	}
	return p.primitive(in)
}

// scope parses a scope word and its level.
func (p *parser) scope(in *scopeWord) (*scopeWord, error) {
	t := p.next()
	if in != nil {
		return nil, p.errorf(t, "scopes do not nest: %v inside another scope", t)
	}
	s := &scopeWord{0, 0}
	switch t.text {
	case "inner":
		s.first, s.last = 1, p.opt.Depth
		if n := p.peek(); n.kind == number && !relational(p.tokens[1]) {
			p.next()
			switch {
			case n.num == 0:
				return nil, p.errorf(n, "level 0 is what is on the wire: write outer")
			case n.num > uint32(p.opt.Depth):
				return nil, p.errorf(n, "level %d is deeper than the %d levels that are walked; --depth sets them", n.num, p.opt.Depth)
			}
			s.first, s.last = int(n.num), int(n.num)
		}
	case "any":
		s.last = p.opt.Depth
	}
	return s, nil
}

// primitive parses what is neither operator, scope nor group.
func (p *parser) primitive(in *scopeWord) (node, qualifiers, error) {
	var none qualifiers
	t := p.peek()
	switch {
	case t.is("less") || t.is("greater"):
		p.next()
		n := p.next()
		if n.kind != number {
			return nil, none, p.unexpected(n, "a number of bytes")
		}
		if t.is("less") {
			return length{lessEqual, n.num}, none, nil
		}
		return length{greaterEqual, n.num}, none, nil
	case t.is("len") || t.kind == number && relational(p.tokens[1]):
		n, err := p.relation()
		return n, none, err
	case isTunnelWord(t):
		n, err := p.tunnel()
		return n, none, err
	}
	return p.qualified(in)
}

// relation parses a comparison of len with a number.
func (p *parser) relation() (node, error) {
	a, op, b := p.next(), p.next(), p.next()
	rel, ok := map[string]relation{"=": equal, "!=": notEqual, ">": greater, ">=": greaterEqual, "<": less, "<=": lessEqual}[op.text]
	if !ok || op.kind != symbol {
		return nil, p.unexpected(op, "a comparison such as < or >=")
	}
	if a.kind == number {
		a, b = b, a
		rel = [...]relation{equal, notEqual, less, lessEqual, greater, greaterEqual}[rel]
	}
	if !a.is("len") {
		return nil, p.unexpected(a, "len")
	}
	if b.kind != number {
		return nil, p.unexpected(b, "a number of bytes")
	}
	return length{rel, b.num}, nil
}

// qualified parses a protocol word, or qualifiers and their first value.
func (p *parser) qualified(in *scopeWord) (node, qualifiers, error) {
	var none qualifiers
	q := qualifiers{valid: true, scoped: in != nil}
	first := p.peek()
	if first.kind == keyword && slices.Contains([]string{"ip", "ip6", "arp", "rarp", "tcp", "udp", "sctp", "icmp", "icmp6", "ether", "link"}, first.text) {
		p.next()
		if q.proto = first.text; q.proto == "link" {
			q.proto = "ether"
		}
	}
	if t := p.peek(); t.is("src") || t.is("dst") {
		p.next()
		q.hasDir, q.dir = true, src
		if t.is("dst") {
			q.dir = dst
		}
		// "src or dst" is one qualifier; "src or ..." anything else is not.
		if op := p.peek(); (op.is("or") || op.is("and")) && (p.tokens[1].is("src") || p.tokens[1].is("dst")) && !p.tokens[1].is(t.text) {
			p.next()
			p.next()
			q.dir = srcOrDst
			if op.is("and") {
				q.dir = srcAndDst
			}
		}
	}
	switch t := p.peek(); {
	case t.is("host") || t.is("net") || t.is("port") || t.is("portrange"):
		p.next()
		q.typ = t.text
	case t.is("proto"):
		if q.hasDir {
			return nil, none, p.unexpected(t, "host, net, port or portrange")
		}
		p.next()
		q.typ = t.text
	case q.hasDir:
	case q.proto == "ether":
		return nil, none, p.unexpected(t, "host, src, dst or proto")
	case q.proto != "":
		return protocol(q.proto), none, nil
	case t.kind == end || t.is(")"):
		return nil, none, p.unexpected(t, "a primitive such as host, port or tcp")
	default:
		return nil, none, p.unexpected(t, "host, net, port, a protocol, inner, outer or another primitive")
	}
	if err := q.check(); err != nil {
		return nil, none, p.errorf(first, "%v", err)
	}
	n, err := p.value(q)
	return n, q, err
}

// check refuses qualifiers that do not go together.
func (q qualifiers) check() error {
	switch q.typ {
	case "", "host", "net":
		if !slices.Contains([]string{"", "ip", "ip6", "arp", "rarp", "ether"}, q.proto) || q.proto == "ether" && q.typ == "net" {
			typ := q.typ
			if typ == "" {
				typ = "host"
			}
			return fmt.Errorf("%q has no %s addresses", q.proto, typ)
		}
	case "port", "portrange":
		if !slices.Contains([]string{"", "tcp", "udp", "sctp"}, q.proto) {
			return fmt.Errorf("%q has no ports", q.proto)
		}
	case "proto":
		if !slices.Contains([]string{"", "ip", "ip6", "ether"}, q.proto) {
			return fmt.Errorf("%q does not name what it carries by a number", q.proto)
		}
	}
	return nil
}

// protocol returns the meaning of a protocol word that stands alone.
func protocol(word string) node {
	switch word {
	case "ip":
		return etherType{header.TypeIP}
	case "ip6":
		return etherType{header.TypeIP6}
	case "arp":
		return etherType{header.TypeARP}
	case "rarp":
		return etherType{typeRARP}
	case "icmp":
		return proto{[]uint32{header.TypeIP}, protoICMP}
	case "icmp6":
		return proto{[]uint32{header.TypeIP6}, protoICMP6}
	case "tcp":
		return proto{ipTypes(), protoTCP}
	case "udp":
		return proto{ipTypes(), protoUDP}
	}
	return proto{ipTypes(), protoSCTP}
}

// value parses a value, or a group of values, for the qualifiers q.
func (p *parser) value(q qualifiers) (node, error) {
	out, err := p.nest()
	if err != nil {
		return nil, err
	}
	defer out()
	switch {
	case p.accept("not"):
		n, err := p.value(q)
		return not{n}, err
	case p.accept("("):
		n, err := p.value(q)
		for err == nil && !p.accept(")") {
			combine := p.operator()
			if combine == nil {
				return nil, p.unexpected(p.peek(), `")", "and" or "or"`)
			}
			var r node
			r, err = p.value(q)
			n = combine(n, r)
		}
		return n, err
	}
	n, err := p.primary(q)
	if err != nil {
		return nil, err
	}
	return q.scope.apply(n), nil
}

// primary parses one value.
func (p *parser) primary(q qualifiers) (node, error) {
	if p.startsSet() {
		return p.valueSet(q)
	}
	t := p.next()
	switch t.kind {
	case number, dotted, colons, mac, name:
	case keyword:
		return nil, p.errorf(t, `%v is a word of the language; write \%s for something of that name`, t, t.text)
	default:
		return nil, p.unexpected(t, "an address, number or name")
	}
	switch {
	case q.typ == "port":
		return p.port(q, t)
	case q.typ == "portrange":
		return p.portRange(q, t)
	case q.typ == "proto":
		return p.proto(q, t)
	case q.proto == "ether":
		return p.ether(q, t)
	}
	return p.host(q, t)
}

// host returns what host and net mean, for the token and what follows it.
func (p *parser) host(q qualifiers, t token) (node, error) {
	var nets []netip.Prefix
	var err error
	switch t.kind {
	case number, dotted:
		nets, err = p.ipv4(q, t)
	case colons:
		bits := 128
		if p.accept("/") {
			if bits, err = p.prefixLength(128); err != nil {
				return nil, err
			}
		}
		nets = []netip.Prefix{netip.PrefixFrom(t.addr, bits)}
		if nets[0] != nets[0].Masked() {
			return nil, p.errorf(t, "%v has bits set behind its first %d", t.addr, bits)
		}
	case mac:
		return nil, p.errorf(t, "a MAC address needs ether in front: ether host %s", t.text)
	default:
		nets, err = p.named(q, t)
	}
	if err != nil {
		return nil, err
	}
	n := host{dir: q.dir, types: q.types(), nets: nets}
	if !slices.ContainsFunc(n.nets, func(prefix netip.Prefix) bool {
		return slices.ContainsFunc(n.types, func(typ uint32) bool { return (typ == header.TypeIP6) == prefix.Addr().Is6() })
	}) {
		return nil, p.errorf(t, "%q has no addresses like %s", q.proto, t.text)
	}
	return n, nil
}

// types returns the network headers whose addresses the qualifiers mean.
func (q qualifiers) types() []uint32 {
	switch q.proto {
	case "ip":
		return []uint32{header.TypeIP}
	case "ip6":
		return []uint32{header.TypeIP6}
	case "arp":
		return []uint32{header.TypeARP}
	case "rarp":
		return []uint32{typeRARP}
	}
	return []uint32{header.TypeIP, header.TypeARP, typeRARP, header.TypeIP6}
}

// ipv4 returns the network of an IPv4 address, or of the first bytes of one, with
// its mask. A number alone is the whole address for host, and its first bytes for net.
func (p *parser) ipv4(q qualifiers, t token) ([]netip.Prefix, error) {
	var addr uint32
	bits := 32
	if t.kind == number {
		addr = t.num
		for q.typ == "net" && addr != 0 && addr>>24 == 0 {
			addr, bits = addr<<8, bits-8
		}
	} else {
		parts := strings.Split(t.text, ".")
		for _, s := range parts {
			var b uint32
			for _, c := range s {
				b = min(b*10+uint32(c-'0'), 256)
			}
			if b > 255 || s == "" {
				return nil, p.errorf(t, "%s is not an IPv4 address", t.text)
			}
			addr = addr<<8 | b
		}
		if len(parts) > 4 {
			return nil, p.errorf(t, "%s is not an IPv4 address", t.text)
		}
		bits = 8 * len(parts)
		addr <<= 32 - bits
	}
	mask := ^uint32(0) << (32 - bits)
	if t.kind == dotted {
		given := p.peek()
		switch {
		case p.accept("/"):
			n, err := p.prefixLength(32)
			if err != nil {
				return nil, err
			}
			if mask = ^uint32(0); n < 32 {
				mask <<= 32 - n
			}
		case p.accept("mask"):
			m := p.next()
			if m.kind != dotted {
				return nil, p.unexpected(m, "a mask such as 255.255.0.0")
			}
			mq, err := p.ipv4(qualifiers{typ: "mask"}, m)
			if err != nil {
				return nil, err
			}
			b := mq[0].Addr().As4()
			mask = uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
		}
		if (given.is("/") || given.is("mask")) && q.typ != "net" {
			return nil, p.errorf(given, "a mask needs net in front: net %s", t.text)
		}
		if addr&^mask != 0 {
			return nil, p.errorf(t, "%s has bits set outside its mask", t.text)
		}
	}
	a := netip.AddrFrom4([4]byte{byte(addr >> 24), byte(addr >> 16), byte(addr >> 8), byte(addr)})
	n := 0
	for ; n < 32 && mask<<n&(1<<31) != 0; n++ {
	}
	if n < 32 && mask<<n != 0 {
		return nil, p.errorf(t, "a mask with holes is not supported")
	}
	return []netip.Prefix{netip.PrefixFrom(a, n)}, nil
}

// prefixLength parses the number behind a slash.
func (p *parser) prefixLength(limit int) (int, error) {
	t := p.next()
	if t.kind != number || t.num > uint32(limit) {
		return 0, p.unexpected(t, fmt.Sprintf("a prefix length from 0 to %d", limit))
	}
	return int(t.num), nil
}

// named looks up a host's or network's name.
func (p *parser) named(q qualifiers, t token) ([]netip.Prefix, error) {
	if p.opt.Names == nil {
		return nil, p.errorf(t, "unknown host %v", t)
	}
	if q.typ == "net" {
		prefix, err := p.opt.Names.Network(t.text)
		if err != nil {
			return nil, p.errorf(t, "unknown network %v: %v", t, err)
		}
		return []netip.Prefix{prefix}, nil
	}
	addrs, err := p.opt.Names.Hosts(t.text)
	if err != nil {
		return nil, p.errorf(t, "unknown host %v: %v", t, err)
	}
	var nets []netip.Prefix
	for _, a := range addrs {
		a = a.Unmap()
		nets = append(nets, netip.PrefixFrom(a, a.BitLen()))
	}
	if len(nets) == 0 {
		return nil, p.errorf(t, "host %v has no address", t)
	}
	return nets, nil
}

// ether returns what the value means after ether: proto, or a MAC address.
func (p *parser) ether(q qualifiers, t token) (node, error) {
	if p.opt.LinkType != header.LinkEthernet && !q.scoped {
		// Inside a scope it is for the level to start with Ethernet.
		name, _ := p.opt.LinkType.Name()
		return nil, p.errorf(t, "packets of link type %s have no MAC addresses", name)
	}
	m := t.mac
	switch {
	case t.kind == mac:
	case t.kind == name && p.opt.Names != nil:
		var err error
		if m, err = p.opt.Names.Ether(t.text); err != nil {
			return nil, p.errorf(t, "unknown host %v: %v", t, err)
		}
	case t.kind == name:
		return nil, p.errorf(t, "unknown host %v", t)
	default:
		return nil, p.unexpected(t, "a MAC address such as 52:54:00:12:34:56")
	}
	if len(m) != 6 {
		return nil, p.errorf(t, "%v is no Ethernet address", m)
	}
	return ether{dir: q.dir, mac: [6]byte(m)}, nil
}

// proto returns what the value means after proto.
func (p *parser) proto(q qualifiers, t token) (node, error) {
	if q.proto == "ether" {
		types := map[string]uint32{"ip": header.TypeIP, "ip6": header.TypeIP6, "arp": header.TypeARP, "rarp": typeRARP}
		v, ok := types[t.text]
		switch {
		case t.kind == name && ok:
			return etherType{v}, nil
		case t.kind == number && t.num >= 0x600 && t.num <= 0xffff:
			return etherType{t.num}, nil
		}
		return nil, p.unexpected(t, "an EtherType from 0x600 to 0xffff")
	}
	n := proto{types: ipTypes()}
	switch q.proto {
	case "ip":
		n.types = n.types[:1]
	case "ip6":
		n.types = n.types[1:]
	}
	switch {
	case t.kind == number && t.num <= 255:
		n.num = t.num
	case t.kind == name && p.opt.Names != nil:
		v, err := p.opt.Names.Protocol(t.text)
		if err != nil {
			return nil, p.errorf(t, "unknown protocol %v: %v", t, err)
		}
		n.num = uint32(v)
	case t.kind == name:
		return nil, p.errorf(t, "unknown protocol %v", t)
	default:
		return nil, p.unexpected(t, "an IP protocol number from 0 to 255")
	}
	return n, nil
}

// protos returns the IP protocols that have ports, as far as the qualifiers
// allow them.
func (q qualifiers) protos() []uint32 {
	switch q.proto {
	case "tcp":
		return []uint32{protoTCP}
	case "udp":
		return []uint32{protoUDP}
	case "sctp":
		return []uint32{protoSCTP}
	}
	return []uint32{protoTCP, protoUDP, protoSCTP}
}

func (p *parser) port(q qualifiers, t token) (node, error) {
	n := port{dir: q.dir, protos: q.protos()}
	if t.kind != number && t.kind != name {
		return nil, p.unexpected(t, "a port number or name")
	}
	var err error
	n.lo, n.protos, err = p.portNumber(q, t)
	n.hi = n.lo
	return n, err
}

// portNumber returns the port that t names, and the protocols that have it: a
// service that is known for one protocol only means that one.
func (p *parser) portNumber(q qualifiers, t token) (uint16, []uint32, error) {
	if t.kind == number {
		if t.num > 0xffff {
			return 0, nil, p.errorf(t, "port %d is larger than 65535", t.num)
		}
		return uint16(t.num), q.protos(), nil
	}
	if p.opt.Names == nil {
		return 0, nil, p.errorf(t, "unknown port %v", t)
	}
	if q.proto != "" {
		v, err := p.opt.Names.Port(q.proto, t.text)
		if err != nil {
			return 0, nil, p.errorf(t, "unknown %s port %v: %v", q.proto, t, err)
		}
		return v, q.protos(), nil
	}
	tcp, err := p.opt.Names.Port("tcp", t.text)
	udp, udpErr := p.opt.Names.Port("udp", t.text)
	switch {
	case err == nil && udpErr == nil && tcp == udp:
		return tcp, q.protos(), nil
	case err == nil:
		return tcp, []uint32{protoTCP}, nil
	case udpErr == nil:
		return udp, []uint32{protoUDP}, nil
	}
	sctp, sctpErr := p.opt.Names.Port("sctp", t.text)
	if sctpErr != nil {
		return 0, nil, p.errorf(t, "unknown port %v: %v", t, err)
	}
	return sctp, []uint32{protoSCTP}, nil
}

func (p *parser) portRange(q qualifiers, t token) (node, error) {
	if t.kind == number {
		return p.port(q, t)
	}
	n := port{dir: q.dir, protos: q.protos()}
	// A name may have dashes of its own: try each.
	for i := range t.text {
		if t.text[i] != '-' {
			continue
		}
		lo, loErr := p.portEnd(q, t, 0, i)
		hi, hiErr := p.portEnd(q, t, i+1, len(t.text))
		if loErr == nil && hiErr == nil {
			n.lo, n.hi = min(lo, hi), max(lo, hi)
			return n, nil
		}
	}
	if lo, hi, ok := strings.Cut(t.text, "-"); ok && lo != "" && hi != "" {
		if _, err := p.portEnd(q, t, 0, len(lo)); err != nil {
			return nil, err
		}
		_, err := p.portEnd(q, t, len(lo)+1, len(t.text))
		return nil, err
	}
	return nil, p.unexpected(t, "a range of ports such as 6000-6008")
}

// portEnd returns one end of a range: the port that t.text[from:to] names.
func (p *parser) portEnd(q qualifiers, t token, from, to int) (uint16, error) {
	start := t.end - len(t.text) // behind a backslash
	w, err := word(p.text, start+from, start+to, nil)
	if err != nil {
		return 0, err
	}
	if w.kind != number && w.kind != name {
		return 0, p.unexpected(w, "a port number or name")
	}
	v, _, err := p.portNumber(q, w)
	return v, err
}
