package filter

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/tundump/tundump/filter/header"
	"github.com/tundump/tundump/filter/ir"
)

// Sets has the sets of files, "in @FILE". Each file is read once, however often and for
// however many link types the expression is compiled; new Sets read them again.
type Sets struct {
	open    func(name string) (io.ReadCloser, error)
	read    map[setKey]*ir.Members
	files   int // that were read
	entries int // in all of them
}

type setKey struct {
	name    string
	numbers bool
	most    uint32
}

// NewSets returns sets of files that open opens. An error of open need not name the file.
func NewSets(open func(name string) (io.ReadCloser, error)) *Sets {
	return &Sets{open: open, read: map[setKey]*ir.Members{}}
}

// Used reports whether any file was read.
func (s *Sets) Used() bool { return s.files > 0 }

// Forget frees the memory of the sets, when no more is to be compiled with them.
func (s *Sets) Forget() { clear(s.read) }

// file returns the set of a file.
func (s *Sets) file(name string, e entries) (*ir.Members, error) {
	key := setKey{name, e.numbers, e.most}
	if m := s.read[key]; m != nil {
		return m, nil
	}
	shown := name
	if strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) {
		shown = strconv.Quote(name)
	}
	f, err := s.open(name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", shown, err)
	}
	defer f.Close()
	if err := e.lines(f); err != nil {
		return nil, fmt.Errorf("%s%w", shown, err)
	}
	m := ir.NewMembers(e.short, e.long)
	s.read[key] = m
	s.files++
	s.entries += e.n
	return m, nil
}

// String says how much was read: "3 entries of 1 set".
func (s *Sets) String() string {
	count := func(n int, one, more string) string {
		if n == 1 {
			return "1 " + one
		}
		return fmt.Sprintf("%d %s", n, more)
	}
	return count(s.entries, "entry", "entries") + " of " + count(s.files, "set", "sets")
}

const (
	// maxEntries bounds what a set takes of memory: 256 MiB if all are IPv6.
	maxEntries = 1 << 23
	// maxLine bounds a line of a file, in bytes.
	maxLine = 4096
)

// entries collects what is in a set: addresses and prefixes, or numbers and ranges
// of them.
type entries struct {
	numbers bool
	most    uint32 // the largest number, and
	what    string // what a number is called
	n       int
	short   []ir.Span[uint32]
	long    []ir.Span[ir.U128]
}

// lines reads a file: an entry a line, and comments that start with #. The error starts
// with the line's number.
func (e *entries) lines(r io.Reader) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, maxLine), maxLine)
	n := 0
	for lines.Scan() {
		n++
		line := lines.Bytes()
		if i := bytes.IndexByte(line, '#'); i >= 0 {
			line = line[:i]
		}
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		if err := e.add(string(line)); err != nil {
			return fmt.Errorf(", line %d: %w", n, err)
		}
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return fmt.Errorf(", line %d: it has more than %d bytes", n+1, maxLine)
	case err != nil:
		return fmt.Errorf(": %w", err)
	}
	return nil
}

// add adds an entry.
func (e *entries) add(entry string) error {
	if e.n++; e.n > maxEntries {
		return fmt.Errorf("a set has room for %d entries", maxEntries)
	}
	if e.numbers {
		return e.addNumber(entry)
	}
	var p netip.Prefix
	var err error
	if strings.Contains(entry, "/") {
		p, err = netip.ParsePrefix(entry)
	} else {
		var a netip.Addr
		a, err = netip.ParseAddr(entry)
		p = netip.PrefixFrom(a.WithZone(""), a.BitLen())
		if a.Zone() != "" {
			err = errors.New("a zone is not in packets")
		}
	}
	switch {
	case err != nil:
		return fmt.Errorf("%s is neither an address nor a prefix", quote(entry))
	case p != p.Masked():
		return fmt.Errorf("%v has bits set behind its first %d", p.Addr(), p.Bits())
	case p.Addr().Is4():
		b := p.Addr().As4()
		lo := binary.BigEndian.Uint32(b[:])
		e.short = append(e.short, ir.Span[uint32]{Lo: lo, Hi: lo | uint32(ir.Ones(32-p.Bits()).Lo)})
	default:
		b := p.Addr().As16()
		lo := ir.U128Of(b[:])
		e.long = append(e.long, ir.Span[ir.U128]{Lo: lo, Hi: lo.Or(ir.Ones(128 - p.Bits()))})
	}
	return nil
}

// addNumber adds a number, or a range of them such as 8000-8100.
func (e *entries) addNumber(entry string) error {
	first, last, isRange := strings.Cut(entry, "-")
	if !isRange {
		last = first
	}
	var v [2]uint32
	for i, s := range []string{first, last} {
		s = strings.TrimSpace(s)
		digits, base := s, 10
		if hex, ok := strings.CutPrefix(s, "0x"); ok {
			digits, base = hex, 16
		}
		n, err := strconv.ParseUint(digits, base, 32)
		switch {
		case errors.Is(err, strconv.ErrRange), err == nil && n > uint64(e.most):
			return fmt.Errorf("%s %s is larger than %d", e.what, quote(s), e.most)
		case err != nil:
			return fmt.Errorf("%s is not a %s: a number, or a range such as 10-19", quote(entry), e.what)
		case base == 10 && len(s) > 1 && s[0] == '0':
			return fmt.Errorf("%s %s starts with 0: it might be meant as octal", e.what, quote(s))
		}
		v[i] = uint32(n)
	}
	if v[0] > v[1] {
		return fmt.Errorf("the range %s ends before it begins", quote(entry))
	}
	e.short = append(e.short, ir.Span[uint32]{Lo: v[0], Hi: v[1]})
	return nil
}

// quote quotes an entry, which may be anything and long.
func quote(s string) string {
	if len(s) > 60 {
		s = s[:60] + "..."
	}
	return strconv.Quote(s)
}

// lexSet makes a token of the set that starts at text[pos]: { ... }, or @FILE, where FILE
// may stand in quotation marks.
func lexSet(text string, pos int) (token, error) {
	t := token{kind: list, pos: pos}
	rest, close := text[pos+1:], "}"
	if text[pos] == '@' {
		t.kind, close = file, ""
		if strings.HasPrefix(rest, `"`) {
			rest, close = rest[1:], `"`
		}
	}
	n := strings.Index(rest, close)
	if close == "" {
		if n = strings.IndexAny(rest, " \t\r\n)"); n < 0 {
			n = len(rest)
		}
	}
	if n < 0 {
		return t, &Error{text, pos, len(text), fmt.Sprintf("the expression ends where %s should stand", close)}
	}
	t.text = rest[:n]
	t.end = len(text) - len(rest) + n + len(close)
	if t.kind == file && t.text == "" {
		return t, &Error{text, pos, t.end, "the name of a file should stand behind @"}
	}
	return t, nil
}

// startsSet reports whether a set comes next: in { ... } or in @FILE.
func (p *parser) startsSet() bool {
	t := p.peek()
	return t.kind == name && t.text == "in" && t.end-t.pos == len("in") && (p.tokens[1].kind == list || p.tokens[1].kind == file)
}

// set parses a set of what e is for.
func (p *parser) set(e entries) (*ir.Members, error) {
	p.next()
	t := p.next()
	if t.kind == file {
		if p.opt.Sets == nil {
			return nil, p.errorf(t, "no files are read here")
		}
		m, err := p.opt.Sets.file(t.text, e)
		if err != nil {
			return nil, p.errorf(t, "%v", err)
		}
		return m, nil
	}
	at := t.pos + len("{")
	if strings.TrimSpace(t.text) == "" {
		return nil, p.errorf(t, "there is nothing in the set")
	}
	for entry := range strings.SplitSeq(t.text, ",") {
		word := strings.TrimSpace(entry)
		place := token{pos: at + strings.Index(entry, word)}
		place.end = place.pos + len(word)
		at += len(entry) + len(",")
		if word == "" {
			place.end++
			return nil, p.errorf(place, "an entry of the set should stand here")
		}
		if err := e.add(word); err != nil {
			return nil, p.errorf(place, "%v", err)
		}
	}
	return ir.NewMembers(e.short, e.long), nil
}

// valueSet parses a set in place of a value.
func (p *parser) valueSet(q qualifiers) (node, error) {
	t := p.peek()
	switch {
	case q.typ == "port":
		m, err := p.set(entries{numbers: true, most: 0xffff, what: "port"})
		return port{at: p.at(), dir: q.dir, protos: q.protos(), in: m}, err
	case q.typ == "portrange":
		return nil, p.errorf(t, "a set may have ranges of ports, and stands behind port: port in { 80, 8000-8100 }")
	case q.typ == "proto" || q.typ == "protochain" || q.typ == "gateway" || q.proto == "ether" || q.proto == "decnet":
		return nil, p.errorf(t, "sets have IP addresses, ports, or identifiers of tunnels")
	}
	m, err := p.set(entries{})
	n := host{at: p.at(), dir: q.dir, types: p.addressTypes(q), in: m}
	if err == nil && len(n.types) == 0 {
		return nil, p.errorf(t, "behind MPLS labels only IP can be looked for")
	}
	return n, err
}

// hasSet reports whether the leaf has a set.
func hasSet(n node) bool {
	switch n := n.(type) {
	case host:
		return n.in != nil
	case port:
		return n.in != nil
	case tunnel:
		return n.in != nil
	}
	return false
}

// maxSpelled is how many entries a set may have that is written out.
const maxSpelled = 64

// spellOut returns the expression without sets, which pcap-filter(7) does not have.
func spellOut(n node, shifts []node) (node, error) {
	if len(shifts) > 0 {
		return nil, errors.New("pcap-filter has no sets of what stands in tunnel headers, and none beside vlan, mpls or a tunnel outside a scope")
	}
	var failed error
	var spell func(n node) node
	spell = func(n node) node {
		switch n := n.(type) {
		case and:
			return and{spell(n.a), spell(n.b)}
		case or:
			return or{spell(n.a), spell(n.b)}
		case not:
			return not{spell(n.x)}
		case scope:
			n.x = spell(n.x)
			return n
		}
		if !hasSet(n) {
			return n
		}
		spelled, err := spellLeaf(n)
		if err != nil {
			failed = err
			return n
		}
		return spelled
	}
	return spell(n), failed
}

// spellLeaf returns a primitive that has a set without it.
func spellLeaf(n node) (node, error) {
	tooLarge := func(n int) error {
		return fmt.Errorf("pcap-filter has no sets, and one of %d entries is too large to be written out", n)
	}
	switch n := n.(type) {
	case host:
		if size := len(n.in.Short) + len(n.in.Long); size > maxSpelled {
			return nil, tooLarge(size)
		}
		for _, long := range []bool{false, true} {
			n.in.Prefixes(long, func(v ir.U128, length int) {
				b := binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, v.Hi), v.Lo)
				if !long {
					b = b[12:]
				}
				a, _ := netip.AddrFromSlice(b)
				n.nets = append(n.nets, networkOf(netip.PrefixFrom(a, length)))
			})
		}
		if n.in = nil; n.dir != srcAndDst {
			return n, nil
		}
		from, to := n, n // the two may be different entries
		from.dir, to.dir = src, dst
		return and{from, to}, nil
	case port:
		if size := len(n.in.Short); size > maxSpelled {
			return nil, tooLarge(size)
		}
		either := func(d direction) (all node) {
			for _, s := range n.in.Short {
				one := n
				one.in, one.dir, one.lo, one.hi = nil, d, uint16(s.Lo), uint16(s.Hi)
				if all == nil {
					all = one
				} else {
					all = or{all, one}
				}
			}
			return all
		}
		if n.dir == srcAndDst {
			return and{either(src), either(dst)}, nil
		}
		return either(n.dir), nil
	}
	return nil, errors.New("pcap-filter has no sets of what stands in tunnel headers")
}

// inSet builds the test that a register's value is in a set.
func (l *lowerer) inSet(r ir.Reg, m *ir.Members, yes, no block) block {
	return l.add(nil, ir.In, r, l.set(m), yes, no)
}

// set returns the number of a set.
func (l *lowerer) set(m *ir.Members) ir.Val {
	n := slices.Index(l.sets, m)
	if n < 0 {
		n = len(l.sets)
		l.sets = append(l.sets, m)
	}
	return ir.Imm(uint32(n))
}

// addressSet builds the test that an address of the network header at l3, of the given type, is
// in a set.
func (l *lowerer) addressSet(l3 addr, typ uint32, n host, yes, no, short block) block {
	srcOff, dstOff := addressesOf(typ)
	return eitherWay(n.dir, func(dst bool, yes, no block) block {
		r, at := ir.T0, l3.plus(srcOff) // as in addresses
		if dst {
			r, at = ir.T2, l3.plus(dstOff)
		}
		if typ != header.TypeIP6 {
			return l.within(at, 4, l.do(l.inSet(r, n.in, yes, no), load(r, at, 4)), short)
		}
		n := l.add(nil, ir.InLong, r, l.set(n.in), yes, no)
		return l.do(l.within(addr{r, 0}, 16, n, short), at.mov(r))
	}, yes, no)
}
