package filter

import (
	"fmt"
	"slices"

	"github.com/tundump/tundump/filter/header"
)

// This file parses relations between numbers, and what they are made of.

func isRelation(t token) bool {
	return t.kind == symbol && slices.Contains([]string{"=", "!=", "<", "<=", ">", ">="}, t.text)
}

// Precedences of arithmetic, the loosest first. libpcap's grammar gives none to % and
// ^, and its parser then reads on as far as it can: the operand behind them is all that
// follows, and the one before them what stands next to them.
const (
	noOperator = iota
	ofOr
	ofAnd
	ofShift
	ofSum
	ofProduct
	ofMinus // the sign
	readsOn
)

// operatorOf returns the operator that the token is; its precedence is noOperator
// if it is none.
func operatorOf(t token) (op operator, precedence int) {
	if t.kind != symbol {
		return 0, noOperator
	}
	switch t.text {
	case "|":
		return bitOr, ofOr
	case "&":
		return bitAnd, ofAnd
	case "<<":
		return shiftLeft, ofShift
	case ">>":
		return shiftRight, ofShift
	case "+":
		return plus, ofSum
	case "-":
		return minus, ofSum
	case "*":
		return times, ofProduct
	case "/":
		return divided, ofProduct
	case "%":
		return modulo, readsOn
	case "^":
		return bitXor, readsOn
	}
	return 0, noOperator
}

// relation parses a comparison of two numbers.
func (p *parser) relation() (node, error) {
	var n compare
	var err error
	if n.a, err = p.sum(ofOr, &n.checks); err != nil {
		return nil, err
	}
	t := p.next()
	var ok bool
	n.op, ok = map[string]relation{"=": equal, "!=": notEqual, ">": greater, ">=": greaterEqual, "<": less, "<=": lessEqual}[t.text]
	if !ok || t.kind != symbol {
		return nil, p.unexpected(t, "a comparison such as < or >=")
	}
	if n.b, err = p.sum(ofOr, &n.checks); err != nil {
		return nil, err
	}
	if operated(minus, n.a, n.b).registers > maxTemporaries {
		return nil, p.errorf(t, "the numbers on the two sides are made of too many parts inside each other")
	}
	return n, nil
}

// sum parses operands joined by operators that bind at least as tightly as loosest.
// It appends to checks what headers the packet must have.
func (p *parser) sum(loosest int, checks *[]node) (number32, error) {
	out, err := p.nest()
	if err != nil {
		return nil, err
	}
	defer out()
	var a number32
	if p.accept("-") {
		if a, err = p.sum(ofMinus, checks); err == nil {
			a = fold(minus, constant{0}, a)
		}
	} else {
		a, err = p.operand(checks)
	}
	for err == nil {
		t := p.peek()
		op, tight := operatorOf(t)
		if tight < loosest || tight == noOperator {
			return a, nil
		}
		p.next()
		next := tight + 1
		if tight == readsOn {
			next = ofOr
		}
		if c, ok := p.firstNumber(); ok {
			why := ""
			if c.pos != p.peek().pos {
				why = fmt.Sprintf("; libpcap means the first number behind it, %d", c.num)
			}
			switch {
			case c.num == 0 && (op == divided || op == modulo):
				return nil, p.errorf(t, "division by zero%s", why)
			case c.num > 31 && (op == shiftLeft || op == shiftRight):
				return nil, p.errorf(t, "shift by %d, more than 31 bits%s", c.num, why)
			}
		}
		rest := checks
		if p.scope == nil {
			// As in libpcap, what the right operand needs is not asked for: "3 + ip[8] < 5"
			// looks at the byte of any packet.
			rest = new([]node)
		}
		var b number32
		if b, err = p.sum(next, rest); err != nil {
			break
		}
		if b == (constant{0}) && (op == divided || op == modulo) {
			return nil, p.errorf(t, "division by zero")
		}
		a = fold(op, a, b)
	}
	return nil, err
}

// firstNumber returns the number that the operand that comes next starts with, in
// parentheses, behind a sign or as an offset. It is where libpcap looks for a zero
// that would be divided by, and for a shift that is too far.
func (p *parser) firstNumber() (token, bool) {
	i := 0
	for {
		switch t := p.tokens[i]; {
		case t.is("(") || t.is("-"):
			i++
		case isProtocol(t) && p.tokens[i+1].is("["):
			i += 2
		default:
			return t, t.kind == number
		}
	}
}

// fold returns a op b, which is a constant if both are.
func fold(op operator, a, b number32) number32 {
	x, xok := a.(constant)
	y, yok := b.(constant)
	if !xok || !yok {
		return operated(op, a, b)
	}
	switch op {
	case plus:
		x.v += y.v
	case minus:
		x.v -= y.v
	case times:
		x.v *= y.v
	case divided:
		x.v /= y.v
	case modulo:
		x.v %= y.v
	case bitAnd:
		x.v &= y.v
	case bitOr:
		x.v |= y.v
	case bitXor:
		x.v ^= y.v
	case shiftLeft:
		x.v <<= y.v
	case shiftRight:
		x.v >>= y.v
	}
	return x
}

// operand parses a number, len, bytes of a header, or arithmetic in parentheses.
func (p *parser) operand(checks *[]node) (number32, error) {
	t := p.next()
	switch {
	case t.kind == number:
		return constant{t.num}, nil
	case t.is("len"):
		return packetLen{}, nil
	case t.is("("):
		n, err := p.sum(ofOr, checks)
		if err == nil && !p.accept(")") {
			return nil, p.unexpected(p.peek(), `")" or an operator`)
		}
		return n, err
	case isProtocol(t) && p.peek().is("["):
		return p.bytes(t, checks)
	}
	return nil, p.unexpected(t, "a number, len or bytes such as ip[8]")
}

// bytes parses the access to bytes behind the name of a protocol.
func (p *parser) bytes(t token, checks *[]node) (number32, error) {
	p.next()
	f := field{at: p.at(), size: 1, base: fromNetwork}
	var inner []node
	var err error
	if f.index, err = p.sum(ofOr, &inner); err != nil {
		return nil, err
	}
	if p.accept(":") {
		size, err := p.number("1, 2 or 4 bytes")
		if err != nil {
			return nil, err
		}
		if size.num != 1 && size.num != 2 && size.num != 4 {
			return nil, p.errorf(size, "%d bytes cannot be loaded: 1, 2 or 4 can", size.num)
		}
		f.size = uint8(size.num)
	}
	if !p.accept("]") {
		return nil, p.unexpected(p.peek(), `"]", ":" or an operator`)
	}
	scoped := p.scope != nil
	switch {
	case t.is("ether"):
		f.base = fromLink
		*checks = append(*checks, inner...)
		return f, nil
	case t.isOneOf("tcp", "udp", "sctp", "icmp", "igmp", "igrp", "pim", "vrrp", "carp"):
		f.base = fromTransport
		if !scoped { // libpcap finds them behind IPv4 only
			*checks = append(*checks, linkProto{f.at, ipTypes()[0]})
		}
	case t.is("icmp6") && !scoped: // right behind the header only
		f.base = fromTransport6
		*checks = append(append(*checks, inner...), linkProto{f.at, header.TypeIP6}, same(f.at, fromNetwork, 6, 1, 0xff, protoICMP6))
		return f, nil
	case t.is("icmp6"):
		f.base = fromTransport
	case !t.isOneOf("ip", "ip6", "arp", "rarp", "atalk", "decnet", "lat", "sca", "moprc", "mopdl"):
		return nil, p.errorf(t, "%s has no bytes that could be looked at", t.text)
	}
	n, err := p.protocol(t)
	if err != nil {
		return nil, err
	}
	*checks = append(append(*checks, inner...), n)
	if f.base == fromTransport && !scoped {
		*checks = append(*checks, notLater{f.at})
	}
	return f, nil
}
