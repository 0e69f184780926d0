package filter

import (
	"fmt"
	"slices"

	"github.com/tundump/tundump/filter/header"
	"github.com/tundump/tundump/filter/ir"
)

// The grammar is libpcap's, and scopes. and and or have the same precedence and
// group to the left. A value alone takes over the qualifiers of the term before it,
// scope included ("inner host a or b").
//
//	expr   = term { (and|or) (term | value) }
//	term   = not term | scope term | ( expr ) | primitive
//	scope  = inner [number] | outer | any
//	value  = address | name | number | not value | ( values )
//	values = (address | name | number | not value) { (and|or) value }
//
// qualifiers are what stands in front of a value: [proto] [dir] [type].
type qualifiers struct {
	proto string // "" if none
	dir   direction
	valid bool       // false after a term that hands on no qualifiers
	typ   string     // host, net, port, portrange, proto, protochain, gateway; "" if none was given
	scope *scopeWord // that stands in front of the qualifiers
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
	all     []token
	tokens  []token       // those of all that come next
	closing map[int]token // by the place of an opening parenthesis, what stands behind its closing one
	opt     Options
	nesting int
	scope   *scopeWord // around what is being parsed
	// shifts are the primitives so far, outside scopes, that shift what comes after them,
	// in the order of the text, as libpcap counts them.
	shifts []node
	// place is where a primitive outside scopes would look now, if all of the shifts hold.
	place place
}

func parse(text string, opt Options) (node, []node, error) {
	tokens, err := lex(text)
	if err != nil {
		return nil, nil, err
	}
	p := &parser{text: text, all: tokens, tokens: tokens, opt: opt, closing: map[int]token{}, place: startsWith(opt.LinkType)}
	if p.peek().kind == end {
		return always{}, nil, nil
	}
	var open []token
	for i, t := range tokens {
		switch {
		case t.is("("):
			open = append(open, t)
		case t.is(")") && len(open) > 0:
			p.closing[open[len(open)-1].pos] = tokens[i+1]
			open = open[:len(open)-1]
		}
	}
	n, _, err := p.expr(qualifiers{})
	if err != nil {
		return nil, nil, err
	}
	if t := p.peek(); t.kind != end {
		return nil, nil, p.unexpected(t, "and, or, or the end")
	}
	return n, p.shifts, nil
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

// expr parses an expression. The result's qualifiers are those of its last term; before are
// those of what stands before it.
func (p *parser) expr(before qualifiers) (node, qualifiers, error) {
	n, q, err := p.term(before)
	if err != nil {
		return nil, q, err
	}
	for {
		combine := p.operator()
		if combine == nil {
			return n, q, nil
		}
		var r node
		if t, ok := p.startsValue(); ok || p.isProtocolName(q, t) {
			if !q.valid {
				return nil, q, p.errorf(t, "%v has no qualifiers such as host or port in front of it", t)
			}
			r, err = p.value(q)
		} else {
			r, q, err = p.term(q)
		}
		if err != nil {
			return nil, q, err
		}
		n = combine(n, r)
	}
}

// startsValue reports whether what comes next is a value and no term: after
// any number of parentheses and nots stands an address, number or name.
func (p *parser) startsValue() (token, bool) {
	i := 0
	for p.tokens[i].is("(") || p.tokens[i].is("not") {
		i++
	}
	t := p.tokens[i]
	switch t.kind {
	case number:
		// In parentheses it may be the start of arithmetic.
		for i++; p.tokens[i].is(")"); i++ {
		}
		return t, !arithmetic(p.tokens[i])
	case dotted, colons, mac, name:
		return t, true
	}
	return t, false
}

// isOurs reports whether the token is a word of the language that is none of libpcap's,
// where it may name a host or something else behind qualifiers.
func isOurs(t token) bool {
	return t.isOneOf("inner", "outer", "any") || isTunnelWord(t) && !t.isOneOf("geneve", "vxlan")
}

// isProtocolName reports whether a word of ours that comes next, behind and or or, is the
// value that libpcap takes it for: "ip proto 6 or gre" is a number of a protocol.
func (p *parser) isProtocolName(q qualifiers, t token) bool {
	if !isOurs(t) || !q.valid || q.typ != "proto" && q.typ != "protochain" || q.proto == "ether" || p.opt.Names == nil {
		return false
	}
	_, err := p.opt.Names.Protocol(t.text)
	return err == nil
}

// arithmetic reports whether the token goes on with arithmetic, or is a relation.
func arithmetic(t token) bool {
	_, tight := operatorOf(t)
	return tight != noOperator || isRelation(t)
}

func (p *parser) term(before qualifiers) (node, qualifiers, error) {
	var none qualifiers
	out, err := p.nest()
	if err != nil {
		return nil, none, err
	}
	defer out()
	t := p.peek()
	switch {
	case p.accept("not"):
		n, q, err := p.term(before)
		if err != nil {
			return nil, q, err
		}
		return not{n}, q, nil
	case t.is("(") && !arithmetic(p.closing[t.pos]):
		p.next()
		n, _, err := p.expr(before)
		if err != nil {
			return nil, none, err
		}
		if !p.accept(")") {
			return nil, none, p.unexpected(p.peek(), `")", "and" or "or"`)
		}
		// A group hands on the qualifiers from before it: "host a and (tcp) or b".
		return n, before, nil
	case t.isOneOf("inner", "outer", "any"):
		s, err := p.scopeWord()
		if err != nil {
			return nil, none, err
		}
		p.scope = s
		n, q, err := p.term(none)
		p.scope = nil
		if err != nil {
			return nil, q, err
		}
		q.scope = s
		return s.apply(n), q, nil
	}
	return p.primitive()
}

// scopeWord parses a scope word and its level.
func (p *parser) scopeWord() (*scopeWord, error) {
	t := p.next()
	if p.scope != nil {
		return nil, p.errorf(t, "scopes do not nest: %v inside another scope", t)
	}
	s := &scopeWord{0, 0}
	switch t.text {
	case "inner":
		s.first, s.last = 1, p.opt.Depth
		if n := p.peek(); n.kind == number && !arithmetic(p.tokens[1]) {
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

// protocols lists the words that name a protocol: those that may stand alone, in
// front of other qualifiers, or in front of a byte access.
func isProtocol(t token) bool {
	return t.isOneOf("ether", "ip", "ip6", "arp", "rarp", "tcp", "udp", "sctp", "icmp", "icmp6", "igmp", "igrp", "pim", "vrrp", "carp",
		"ah", "esp", "atalk", "aarp", "decnet", "lat", "sca", "moprc", "mopdl", "iso", "clnp", "esis", "isis", "l1", "l2", "iih",
		"lsp", "snp", "csnp", "psnp", "stp", "ipx", "netbeui", "radio")
}

// primitive parses what is neither operator, scope nor group.
func (p *parser) primitive() (node, qualifiers, error) {
	var none qualifiers
	t := p.peek()
	var n node
	var err error
	switch {
	case t.isOneOf("len", "-", "(") || t.kind == number && arithmetic(p.tokens[1]) || isProtocol(t) && p.tokens[1].is("["):
		n, err = p.relation()
	case isTunnelWord(t):
		if n, err = p.tunnel(); err == nil {
			n, err = p.shift(t, n)
		}
		return n, none, err
	case t.isOneOf("vlan", "mpls", "pppoes"):
		n, err = p.shifting()
		return n, none, err
	case t.isOneOf("inbound", "outbound", "ifindex"):
		n, err = p.captured()
	default:
		p.next()
		switch {
		case t.isOneOf("less", "greater"):
			var length token
			if length, err = p.number("a number of bytes"); err == nil {
				n = compare{a: packetLen{}, b: constant{length.num}, op: map[string]relation{"less": lessEqual, "greater": greaterEqual}[t.text]}
			}
		case t.is("byte"):
			n, err = p.byteOp()
		case t.is("pppoed"):
			n, err = p.link(t, typePPPoED)
		case t.is("llc"):
			n, err = p.llc(t)
		case t.isOneOf("broadcast", "multicast"):
			n, err = p.cast(t, "", t.text)
		case isProtocol(t) && p.peek().isOneOf("broadcast", "multicast"):
			n, err = p.cast(t, t.text, p.next().text)
		default:
			return p.qualified(t)
		}
	}
	if err != nil {
		return nil, none, err
	}
	return phrase{p.text[t.pos:p.before()], n}, none, nil
}

// before returns where the token before the next one ends.
func (p *parser) before() int { return p.all[len(p.all)-len(p.tokens)-1].end }

// number parses a number.
func (p *parser) number(what string) (token, error) {
	t := p.next()
	if t.kind != number {
		return t, p.unexpected(t, what)
	}
	return t, nil
}

// optionalNumber parses a number, if one comes next, in parentheses or not.
func (p *parser) optionalNumber() (t token, ok bool, err error) {
	if t = p.peek(); t.kind != number && !t.is("(") {
		return t, false, nil
	}
	depth := 0
	for p.accept("(") {
		depth++
	}
	if t, err = p.number("a number"); err != nil {
		return t, false, err
	}
	for range depth {
		if !p.accept(")") {
			return t, false, p.unexpected(p.peek(), `")"`)
		}
	}
	return t, true, nil
}

// qualified parses a protocol word, or qualifiers and their first value. Its first
// token is t.
func (p *parser) qualified(t token) (node, qualifiers, error) {
	var none qualifiers
	q := qualifiers{valid: true}
	first := t
	if isProtocol(t) {
		q.proto = t.text
		t = p.peek()
		if !t.isOneOf("src", "dst", "host", "net", "port", "portrange", "proto", "protochain", "gateway") {
			if q.proto == "ether" {
				return nil, none, p.unexpected(t, "host, src, dst, proto, broadcast or multicast")
			}
			n, err := p.protocol(first)
			return phrase{first.text, n}, none, err
		}
		p.next()
	}
	directed := t.isOneOf("src", "dst")
	if directed {
		q.dir = src
		if t.is("dst") {
			q.dir = dst
		}
		// "src or dst" is one qualifier; "src or ..." anything else is not.
		if op := p.peek(); op.isOneOf("or", "and") && p.tokens[1].isOneOf("src", "dst") && !p.tokens[1].is(t.text) {
			p.next()
			p.next()
			q.dir = srcOrDst
			if op.is("and") {
				q.dir = srcAndDst
			}
		}
		if t = p.peek(); t.isOneOf("host", "net", "port", "portrange") {
			p.next()
			q.typ = t.text
		} else if t.isOneOf("proto", "protochain", "gateway") {
			return nil, none, p.errorf(t, "a direction goes with host, net, port or portrange, not with %s", t.text)
		}
	} else if t.isOneOf("host", "net", "port", "portrange", "proto", "protochain", "gateway") {
		q.typ = t.text
	} else if t.kind == end || t.is(")") {
		return nil, none, p.unexpected(t, "a primitive such as host, port or tcp")
	} else {
		return nil, none, p.unexpected(t, "host, net, port, a protocol, inner, outer or another primitive")
	}
	if t, ok := p.startsValue(); !ok && !isOurs(t) {
		if t := p.peek(); t.kind == keyword {
			return nil, none, p.errorf(t, `%v is a word of the language; write \%s for something of that name`, t, t.text)
		}
		return nil, none, p.unexpected(p.peek(), "an address, number or name")
	}
	if err := q.check(); err != nil {
		return nil, none, p.errorf(first, "%v", err)
	}
	n, err := p.value(q)
	return n, q, err
}

// check refuses qualifiers that do not go together.
func (q qualifiers) check() error {
	allowed := []string{"", "tcp", "udp", "sctp"}
	what := "ports"
	switch q.typ {
	case "", "host", "net":
		if allowed = []string{"", "ip", "ip6", "arp", "rarp", "ether", "decnet"}; q.typ == "net" {
			allowed = []string{"", "ip", "ip6", "arp", "rarp"}
		}
		what = "addresses"
		if q.typ == "net" {
			what = "networks"
		}
	case "proto":
		allowed, what = []string{"", "ip", "ip6", "ether", "iso", "isis"}, "protocol numbers"
	case "protochain":
		allowed, what = []string{"", "ip", "ip6"}, "chain of headers"
	case "gateway":
		allowed, what = []string{"", "ip", "arp", "rarp"}, "gateways"
	}
	if slices.Contains(allowed, q.proto) {
		return nil
	}
	return fmt.Errorf("%q has no %s", q.proto, what)
}

// value parses a value, or a group of values, for the qualifiers q.
func (p *parser) value(q qualifiers) (node, error) {
	out, err := p.nest()
	if err != nil {
		return nil, err
	}
	defer out()
	if p.accept("not") {
		n, err := p.value(q)
		return not{n}, err
	}
	if !p.peek().is("(") {
		return p.primary(q)
	}
	if _, ok, err := p.parenthesised(); err != nil {
		return nil, err
	} else if ok { // a number alone
		return p.primary(q)
	}
	p.next()
	n, err := p.first(q)
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

// first parses the first value of a group, which in libpcap's grammar is no group
// itself.
func (p *parser) first(q qualifiers) (node, error) {
	if !p.peek().is("(") {
		return p.value(q)
	}
	t := p.peek()
	if _, ok, err := p.parenthesised(); err != nil || !ok {
		return nil, p.errorf(t, "a group of values cannot start with another group")
	}
	return p.primary(q)
}

// parenthesised reports whether a number alone stands in the parentheses that come
// next, and takes them off it.
func (p *parser) parenthesised() (t token, ok bool, err error) {
	i := 0
	for p.tokens[i].is("(") {
		i++
	}
	if p.tokens[i].kind != number {
		return t, false, nil
	}
	for k := range i {
		if !p.tokens[i+1+k].is(")") {
			return t, false, nil
		}
	}
	t = p.tokens[i]
	p.tokens = p.tokens[2*i:]
	p.tokens[0] = t
	return t, true, nil
}

// at returns how many shifts a primitive that stands here comes after.
func (p *parser) at() int {
	if p.scope != nil {
		return 0
	}
	return len(p.shifts)
}

// linkType returns what packets start with where a primitive would look now: inside a
// scope, and behind a tunnel, possibly Ethernet.
func (p *parser) linkType() header.LinkType {
	if p.scope != nil {
		return header.LinkEthernet
	}
	return p.place.link
}

// linkName names it for an error.
func (p *parser) linkName() string {
	name, _ := p.linkType().Name()
	return name
}

// shift counts a primitive that shifts what comes after it, if it is outside a scope.
func (p *parser) shift(t token, n node) (node, error) {
	if p.scope != nil {
		return n, nil
	}
	p.shifts = append(p.shifts, n)
	if len(p.shifts) > maxShifts {
		return nil, p.errorf(t, "more than %d primitives that move what comes after them", maxShifts)
	}
	p.place = p.place.behind(n)
	return n, nil
}

// maxShifts bounds how far primitives are shifted.
const maxShifts = 256

// shifting parses vlan, mpls and pppoes.
func (p *parser) shifting() (node, error) {
	t := p.next()
	n := identified{at: p.at()}
	id, ok, err := p.optionalNumber()
	if err != nil {
		return nil, err
	}
	n.hasID, n.id = ok, id.num
	most, what := uint32(0xfff), "VLAN ID"
	switch t.text {
	case "mpls":
		most, what = 0xfffff, "MPLS label"
	case "pppoes":
		most, what = 0xffff, "PPPoE session"
	}
	if ok && id.num > most {
		return nil, p.errorf(id, "%s %d is larger than %d", what, id.num, most)
	}
	if p.scope == nil && p.place.labels > 0 && !t.is("mpls") {
		return nil, p.errorf(t, "behind MPLS labels only IP can be looked for, not %s", t.text)
	}
	link := p.linkType()
	switch t.text {
	case "vlan":
		if link != header.LinkEthernet {
			return nil, p.errorf(t, "packets of link type %s have no VLAN tags", p.linkName())
		}
		return p.shift(t, vlan{n})
	case "mpls":
		if link != header.LinkEthernet && link != header.LinkPPP {
			return nil, p.errorf(t, "packets of link type %s have no MPLS labels", p.linkName())
		}
		return p.shift(t, mpls{n})
	}
	return p.shift(t, pppoe{n})
}

// captured parses a primitive about the capture and not the packet.
func (p *parser) captured() (node, error) {
	t := p.next()
	if p.scope != nil {
		return nil, p.errorf(t, "%s is about the whole packet, and cannot stand inside a scope", t.text)
	}
	at, link := p.at(), p.place.link
	if t.is("ifindex") {
		index, err := p.number("the index of an interface")
		switch {
		case err != nil:
			return nil, err
		case link == header.LinkSLL2:
			return same(at, fromLink, 4, 4, ^uint32(0), index.num), nil
		case p.opt.Origin == OriginFile:
			return nil, p.errorf(t, "packets of link type %s in a file have no interface index", p.linkName())
		}
		return compare{a: meta{ir.MetaIfindex}, b: constant{index.num}}, nil
	}
	op := equal
	if t.is("inbound") {
		op = notEqual
	}
	switch {
	case link == header.LinkSLL:
		return compared(at, fromLink, 0, 2, 0xffff, op, ir.PacketOutgoing), nil
	case link == header.LinkSLL2:
		return compared(at, fromLink, 10, 1, 0xff, op, ir.PacketOutgoing), nil
	case p.opt.Origin == OriginFile:
		return nil, p.errorf(t, "packets of link type %s in a file have no direction", p.linkName())
	}
	return compare{a: meta{ir.MetaType}, b: constant{ir.PacketOutgoing}, op: op}, nil
}
