package filter

import (
	"errors"
	"fmt"
	"math/bits"
	"net/netip"
	"slices"
	"strings"

	"github.com/tundump/tundump/filter/header"
	"github.com/tundump/tundump/filter/stack"
)

// PlainOptions say what packets the text of [Plain] is for. Text has no loops,
// so it lists what may stand in a packet, up to some bounds.
type PlainOptions struct {
	Options
	// Tags is how many VLAN tags, labels and the like it looks behind inside scopes, on each level.
	Tags int
	// Extensions is how many extension headers it looks behind, on each level, and in GTP.
	Extensions int
	// Tunnels names those that it looks into, beside those that primitives of the expression
	// name; all stands for all of Table, and so does nil.
	Tunnels []string
	// OuterOnly leaves out what is asked of the inside of tunnels: the text selects
	// every packet in which that could hold.
	OuterOnly bool
	// Stack, if not nil, says that the packets have these headers and no others; the
	// text tests that, and every offset in it is a constant.
	Stack *stack.Stack
}

// maxPlain bounds the text, in bytes; maxPlainWork what is written on the way to it.
const (
	maxPlain     = 256 << 10
	maxPlainWork = 16 << 20
)

// Plain returns an expression in plain pcap-filter(7) syntax that selects the
// packets that the expression in text selects: those within the bounds of the
// options, with no header malformed. A packet that ends before something that
// the result looks at is rejected by libpcap, where Compile's program only finds
// that primitive false. The error is an *Error if the expression is wrong.
func Plain(text string, opt PlainOptions) (string, error) {
	if opt.Depth < 1 || opt.Depth > header.MaxDepth {
		return "", fmt.Errorf("depth %d is not between 1 and %d", opt.Depth, header.MaxDepth)
	}
	if opt.Tags < 0 || opt.Tags > header.MaxTags {
		return "", fmt.Errorf("%d VLAN tags are not between 0 and %d", opt.Tags, header.MaxTags)
	}
	if opt.Extensions < 0 || opt.Extensions > header.MaxExtensions {
		return "", fmt.Errorf("%d extension headers are not between 0 and %d", opt.Extensions, header.MaxExtensions)
	}
	if name, _ := opt.LinkType.Name(); name == "" {
		return "", fmt.Errorf("link type %d is not supported by filters", opt.LinkType)
	}
	if opt.Stack != nil && opt.LinkType != header.LinkEthernet {
		return "", errors.New("a stack starts with Ethernet, and so must the packets")
	}
	tree, shifts, err := parse(text, opt.Options)
	if err != nil {
		return "", err
	}
	if anyOf(tree, hasSet) {
		if tree, err = spellOut(tree, shifts); err != nil {
			return "", err
		}
	}
	plain := !usesTunnels(tree) && opt.Stack == nil
	if plain && len(shifts) > 0 {
		return text, nil
	}
	if slices.ContainsFunc(shifts, func(n node) bool { _, ok := n.(tunnel); return !ok }) {
		return "", errors.New("vlan, mpls and pppoes move what plain text looks at, so they cannot stand beside what looks into tunnels; outer vlan does not move anything")
	}
	if opt.Stack != nil {
		opt.Extensions = header.MaxExtensions // it says how many there are
	} else if opt.Tunnels != nil {
		if opt.Table, err = choose(opt.Table, append(slices.Clone(opt.Tunnels), named(tree)...)); err != nil {
			return "", err
		}
	}
	p := &plainer{opt: opt}
	var c cond
	if opt.Stack != nil {
		c, err = p.inStack(merge(tree))
		if err != nil {
			return "", err
		}
	} else {
		c = p.expr(merge(tree), view{where: behindLink}, true)
	}
	if p.err == nil && len(c.text) > maxPlain {
		p.err = fmt.Errorf("the text would be %d KiB long, more than %d: with a smaller depth, fewer tunnels, VLAN tags or extension headers it is shorter", len(c.text)>>10, maxPlain>>10)
	}
	if p.err != nil && plain {
		return text, nil
	}
	if p.err != nil {
		return "", p.err
	}
	switch c.op {
	case never:
		return "", &Error{text, 0, len(text), "no packet is selected by this, within the bounds"}
	case ever:
		return "", nil // as in pcap-filter(7)
	}
	return c.text, nil
}

// cond is a condition as text. The zero cond never holds.
type cond struct {
	op   condOp
	text string
}

type condOp uint8

const (
	never condOp = iota
	ever
	single   // one primitive, or not and one
	conjoint // joined by and
	disjoint // joined by or
)

// sum is an offset in a packet as text: a constant and terms.
type sum struct {
	n     uint32
	terms []string
}

func (s sum) plus(n uint32) sum { return sum{s.n + n, s.terms} }

func (s sum) add(terms ...string) sum { return sum{s.n, append(slices.Clip(s.terms), terms...)} }

func (s sum) String() string {
	parts := s.terms
	if s.n > 0 || len(parts) == 0 {
		parts = append([]string{fmt.Sprint(s.n)}, parts...)
	}
	return strings.Join(parts, "+")
}

// view is where a primitive looks, in one of the kinds of packets that the text
// lists.
type view struct {
	where where
	// start is where the level starts, id the header that it starts with; None if
	// nothing of the table does.
	start sum
	id    header.ID
	// net is set if the network header is known: it is at l3, and has the EtherType typ.
	net bool
	typ uint32
	l3  sum
}

// where says what kind of place a view is.
type where uint8

const (
	behindLink where = iota // right behind the link header, where libpcap looks
	inTunnel                // behind a tunnel primitive
	atLevel                 // in a scope
)

// plainer writes the text. Methods return never once err is set.
type plainer struct {
	opt  PlainOptions
	work int
	err  error
}

// write counts text towards what may be written.
func (p *plainer) write(op condOp, text string) cond {
	if p.work += len(text); p.work > maxPlainWork && p.err == nil {
		p.err = errors.New("the text would be far too long: with a smaller depth, fewer tunnels, VLAN tags, extension headers or primitives it is shorter")
	}
	if p.err != nil {
		return cond{}
	}
	return cond{op, text}
}

// join joins conditions; those that are neutral make no difference, and one that
// is absorbing decides.
func (p *plainer) join(op, neutral, absorbing condOp, word string, cs []cond) cond {
	var parts []string
	var last cond
	for _, c := range cs {
		switch {
		case c.op == neutral:
			continue
		case c.op == absorbing:
			return c
		case c.op != op && c.op != single:
			parts = append(parts, "("+c.text+")")
		default:
			parts = append(parts, c.text)
		}
		last = c
	}
	switch len(parts) {
	case 0:
		return cond{op: neutral}
	case 1:
		return last
	}
	return p.write(op, strings.Join(parts, word))
}

func (p *plainer) and(cs ...cond) cond { return p.join(conjoint, ever, never, " and ", cs) }
func (p *plainer) or(cs ...cond) cond  { return p.join(disjoint, never, ever, " or ", cs) }

func (p *plainer) not(c cond) cond {
	switch c.op {
	case never:
		return cond{op: ever}
	case ever:
		return cond{}
	case single:
		if text, ok := strings.CutPrefix(c.text, "not "); ok {
			return cond{single, text}
		}
		return p.write(single, "not "+c.text)
	}
	return p.write(single, "not ("+c.text+")")
}

// branch is an alternative: if guard holds, then counts.
type branch struct{ guard, then cond }

// branch makes an alternative of which only what can come about is computed.
func (p *plainer) branch(guard cond, then func() cond) branch {
	if guard.op == never {
		return branch{}
	}
	return branch{guard, then()}
}

// among returns the condition that one of the alternatives holds. Those that
// come to the same are written once.
func (p *plainer) among(bs []branch) cond {
	var all []cond
	for i, b := range bs {
		if slices.ContainsFunc(bs[:i], func(e branch) bool { return e.then == b.then }) {
			continue
		}
		var guards []cond
		for _, e := range bs[i:] {
			if e.then == b.then {
				guards = append(guards, e.guard)
			}
		}
		all = append(all, p.and(p.or(guards...), b.then))
	}
	return p.or(all...)
}

// name is what byte accesses start with.
func (p *plainer) name() string {
	if p.opt.LinkType == header.LinkEthernet {
		return "ether"
	}
	return "link"
}

// load returns the text for size bytes at an offset.
func (p *plainer) load(at sum, size uint8) string {
	name := p.name()
	if s := p.opt.Stack; s != nil && s.Network() != nil && len(at.terms) == 0 && at.n >= uint32(s.Network().Off) {
		// A tag that the NIC took out of the packet does not move these.
		name, at.n = s.Network().Name, at.n-uint32(s.Network().Off)
	} else if s != nil && s.Network() != nil && p.err == nil && slices.ContainsFunc(s.Layers, func(l stack.Layer) bool { return l.ID == header.PPPoE && l.Level == 0 }) {
		p.err = errors.New("the Ethernet header in front of pppoe cannot be looked at in plain pcap-filter text: pppoes moves ether[] behind it")
	}
	if size == 1 {
		return fmt.Sprintf("%s[%v]", name, at)
	}
	return fmt.Sprintf("%s[%v:%d]", name, at, size)
}

// equals returns the test that size bytes, masked, have a value.
func (p *plainer) equals(at sum, size uint8, mask, v uint32) cond {
	text := p.load(at, size)
	if mask != full(size) {
		text += fmt.Sprintf(" & %#x", mask)
	}
	if size == 1 && mask == full(size) || v == 0 {
		return p.write(single, fmt.Sprintf("%s = %d", text, v))
	}
	return p.write(single, fmt.Sprintf("%s = 0x%0*x", text, 2*size, v))
}

// full returns the mask of all bits of size bytes.
func full(size uint8) uint32 { return uint32(1<<(8*uint64(size)) - 1) }

// tests returns the condition that all tests hold for the header at an offset. Those of
// neighbouring bytes are made by one load.
func (p *plainer) tests(h *header.Header, at sum, ts ...header.Test) cond {
	var words []header.Test
	for _, t := range ts {
		if t.Size == 0 {
			continue
		}
		i := 0
		for ; i < len(words); i++ {
			w, possible, ok := window(words[i], t, h.Min)
			if !possible {
				return cond{}
			}
			if ok {
				words[i] = w
				break
			}
		}
		if i == len(words) {
			words = append(words, t)
		}
	}
	all := make([]cond, len(words))
	for i, w := range words {
		all[i] = p.equals(at.plus(uint32(w.Off)), w.Size, w.Mask, w.Value)
	}
	return p.and(all...)
}

// window returns the test that both tests hold, of at most four bytes within the first
// limit bytes of the header, if there is one. Possible is false if they exclude each
// other.
func window(a, b header.Test, limit uint32) (w header.Test, possible, ok bool) {
	first, last := min(a.Off, b.Off), max(a.Off+a.Size, b.Off+b.Size)
	if last-first == 3 {
		if last++; uint32(last) > limit {
			first, last = first-1, last-1
		}
	}
	if last-first > 4 || first > last {
		return w, true, false
	}
	w = header.Test{Off: first, Size: last - first}
	place := func(t header.Test) (mask, v uint32) {
		shift := 8 * (last - t.Off - t.Size)
		return t.Mask << shift, t.Value << shift
	}
	am, av := place(a)
	bm, bv := place(b)
	w.Mask, w.Value = am|bm, av|bv
	return w, (av^bv)&am&bm == 0, true
}

// is returns the test that the field by which the header says what follows has a value.
func is(h *header.Header, v uint32) header.Test {
	f, ok := h.Field(h.Next.By)
	if !ok {
		return header.Test{}
	}
	return header.Test{Off: f.Off, Size: f.Size, Mask: full(f.Size), Value: v}
}

// leads returns the condition that the header at an offset says that what one of the
// values means follows, and the tests hold.
func (p *plainer) leads(h *header.Header, at sum, values []uint32, ts ...header.Test) cond {
	if l := p.layer(h, at); l != nil && len(l.Next) > 0 {
		if slices.ContainsFunc(l.Next, func(v uint32) bool { return slices.Contains(values, v) }) {
			return cond{op: ever}
		}
		return cond{}
	}
	// Two values that differ in one bit could share a test with a mask. But where a load
	// is tested with a mask between tests without one, the optimiser of libpcap 1.10
	// loses the store of an offset, and reads it all the same.
	var any []cond
	for _, v := range values {
		any = append(any, p.tests(h, at, append(slices.Clip(ts), is(h, v))...))
	}
	return p.or(any...)
}

// layer returns the layer of the stack that the header at an offset is, or nil.
func (p *plainer) layer(h *header.Header, at sum) *stack.Layer {
	if p.opt.Stack == nil || len(at.terms) > 0 {
		return nil
	}
	i := slices.IndexFunc(p.opt.Stack.Layers, func(l stack.Layer) bool { return l.ID == h.ID && uint32(l.Off) == at.n })
	if i < 0 {
		return nil
	}
	return &p.opt.Stack.Layers[i]
}

// following returns the layer of the stack that is behind a header, nil if there is none.
func (p *plainer) following(h *header.Header, at sum) *stack.Layer {
	l := p.layer(h, at)
	if l == nil || l == &p.opt.Stack.Layers[len(p.opt.Stack.Layers)-1] {
		return nil
	}
	i := slices.IndexFunc(p.opt.Stack.Layers, func(o stack.Layer) bool { return o.ID == l.ID && o.Off == l.Off })
	return &p.opt.Stack.Layers[i+1]
}

// leadsTo returns the condition that the header at an offset leads to another one right
// behind it, and that the tests hold for it.
func (p *plainer) leadsTo(h *header.Header, at sum, to *header.Header, ts ...header.Test) cond {
	if next := p.following(h, at); next != nil {
		if next.ID != to.ID {
			return cond{}
		}
		return p.tests(h, at, ts...)
	}
	end := p.past(h, at)
	var any []cond
	for _, w := range header.Ways(h.Next.Rules, to.ID) {
		any = append(any, p.way(h, at, end, to, w, ts))
	}
	return p.or(any...)
}

// way returns the condition that the header from at to end leads on by one way, and that
// the tests hold for it. What a tunnel header's own tests say of it is left to them.
func (p *plainer) way(h *header.Header, at, end sum, to *header.Header, w header.Way, ts []header.Test) cond {
	ts = append(slices.Clone(ts), w.Tests...)
	if h.Next.By != "" {
		ts = append(ts, is(h, w.Value))
	}
	all := []cond{p.tests(h, at, ts...)}
	peek := func(t header.Test) cond {
		if t.Size == 0 {
			return cond{op: ever}
		}
		return p.equals(end.plus(uint32(t.Off)), t.Size, t.Mask, t.Value)
	}
	if holds, _ := says(to, w.Peek); !holds {
		all = append(all, peek(w.Peek))
	}
	for _, x := range w.Not {
		if _, fails := says(to, x.Peek); !fails {
			all = append(all, p.not(p.and(p.tests(h, at, x.Own), peek(x.Peek))))
		}
	}
	return p.and(all...)
}

// says reports what the tests of a tunnel header, which are made in any case, say of a
// test of the same bytes.
func says(h *header.Header, t header.Test) (holds, fails bool) {
	for _, v := range h.Valid {
		if h.Class == header.Tunnel && v.Off == t.Off && v.Size == t.Size {
			holds = holds || v.Mask&t.Mask == t.Mask && v.Value&t.Mask == t.Value
			fails = fails || v.Mask&t.Mask&(v.Value^t.Value) != 0
		}
	}
	return holds, fails
}

// nexts returns the headers of some classes that may follow a header, each once.
func (p *plainer) nexts(h *header.Header, classes ...header.Class) (all []*header.Header) {
	for _, r := range h.Next.Rules {
		if x := p.opt.Table.Header(r.To); x != nil && slices.Contains(classes, x.Class) && !slices.Contains(all, x) {
			all = append(all, x)
		}
	}
	return all
}

// past returns where the header at an offset ends.
func (p *plainer) past(h *header.Header, at sum) sum {
	if l := p.layer(h, at); l != nil && len(l.Parts) > 0 {
		end := at
		for _, part := range l.Parts {
			if part.Name != stack.Extensions || l.Class != header.Network {
				end = end.plus(uint32(part.Bytes))
			}
		}
		return end
	}
	return p.move(at.plus(h.Fixed), h.Len, at)
}

// move adds length terms of the header at an offset to a sum.
func (p *plainer) move(to sum, terms []header.LenTerm, at sum) sum {
	if t, ok := p.lookup(terms, at); ok {
		return to.add(t)
	}
	for _, t := range terms {
		field := p.load(at.plus(uint32(t.Off)), t.Size)
		if t.Mask != full(t.Size) {
			field = fmt.Sprintf("(%s&%#x)", field, t.Mask)
		}
		switch {
		case t.Shift < 0:
			field = fmt.Sprintf("(%s>>%d)", field, -t.Shift)
		case t.Shift > 0:
			field = fmt.Sprintf("(%s<<%d)", field, t.Shift)
		}
		to = to.add(field)
	}
	return to
}

// lookup returns the sum of several terms of one field in one load: the bits that
// they depend on, at most four together, are an index into a table of sixteen
// numbers of two bits, which is a constant.
func (p *plainer) lookup(terms []header.LenTerm, at sum) (string, bool) {
	if len(terms) < 2 {
		return "", false
	}
	f := terms[0]
	mask := uint32(0)
	for _, t := range terms {
		if t.Off != f.Off || t.Size != f.Size {
			return "", false
		}
		mask |= t.Mask
	}
	low := bits.TrailingZeros32(mask)
	if mask>>low > 0xf {
		return "", false
	}
	table := uint32(0)
	for i := range uint32(16) {
		v := uint32(0)
		for _, t := range terms {
			v += t.Of(i << low)
		}
		if v%4 != 0 || v > 12 {
			return "", false
		}
		table |= v / 4 << (2 * i)
	}
	index := p.load(at.plus(uint32(f.Off)), f.Size)
	if low > 0 {
		index = fmt.Sprintf("(%s>>%d)", index, low)
	}
	if low+4 < 8*int(f.Size) {
		index = fmt.Sprintf("(%s&0xf)", index)
	}
	// The 2 comes first: libpcap takes a number over 31 that a shift count starts
	// with for the whole of it.
	return fmt.Sprintf("(((%#x>>(2*%s))&3)<<2)", table, index), true
}

// keeps reports whether what comes after n looks where n did: where n holds, and where
// it does not.
func keeps(n node) (holds, fails bool) {
	switch n := n.(type) {
	case phrase:
		return keeps(n.x)
	case and:
		aHolds, aFails := keeps(n.a)
		bHolds, bFails := keeps(n.b)
		return aHolds && bHolds, aFails && aHolds && bFails
	case or:
		aHolds, aFails := keeps(n.a)
		bHolds, bFails := keeps(n.b)
		return aHolds && aFails && bHolds, aFails && bFails
	case not:
		holds, fails = keeps(n.x)
		return fails, holds
	case tunnel:
		return false, true
	}
	return true, true
}

// settled reports whether n means the same wherever it looks.
func settled(n node) bool {
	switch n := n.(type) {
	case and:
		return settled(n.a) && settled(n.b)
	case or:
		return settled(n.a) && settled(n.b)
	case not:
		return settled(n.x)
	case scope, always:
		return true
	case phrase:
		return settled(n.x)
	case compare:
		return isLen(n.a) && isLen(n.b)
	}
	return false
}

// expr returns the condition that n holds at a view. Where something is left out, it
// is too wide if wide is set, else too narrow.
func (p *plainer) expr(n node, v view, wide bool) cond {
	if p.err != nil {
		return cond{}
	}
	switch n := n.(type) {
	case and:
		if same, _ := keeps(n.a); same || v.where == atLevel || settled(n.b) {
			return p.and(p.expr(n.a, v, wide), p.expr(n.b, v, wide))
		}
		return p.then(n, v, wide, everHolds, neverHolds)
	case or:
		if _, same := keeps(n.a); same || v.where == atLevel || settled(n.b) {
			return p.or(p.expr(n.a, v, wide), p.expr(n.b, v, wide))
		}
		return p.then(n, v, wide, everHolds, neverHolds)
	case not:
		return p.not(p.expr(n.x, v, !wide))
	case always:
		return cond{op: ever}
	case scope:
		return p.scope(n, wide)
	case tunnel:
		return p.tunnels(v, p.extensions(n, v), func(h *header.Header, at sum) cond { return p.match(n, h, at) })
	}
	if _, ok := n.(ether); ok && v.where == behindLink && p.opt.LinkType != header.LinkEthernet {
		return cond{} // in libpcap, it is an error
	}
	if phrase, ok := n.(phrase); ok {
		if v.where == behindLink && p.opt.Stack == nil && (p.opt.LinkType == header.LinkEthernet || !anyOf(phrase.x, isEther)) {
			return p.write(single, phrase.text)
		}
		return p.expr(phrase.x, v, wide)
	}
	switch {
	case v.where == inTunnel && p.opt.OuterOnly:
		if wide {
			return cond{op: ever}
		}
		return cond{}
	case v.where == behindLink && p.opt.Stack == nil:
		text := keywords(n)
		if text == "" {
			p.unable(n)
		}
		return p.write(single, text)
	}
	return p.primitive(n, v)
}

func isEther(n node) bool {
	_, ok := n.(ether)
	return ok
}

func everHolds(view) cond  { return cond{op: ever} }
func neverHolds(view) cond { return cond{} }

// then returns the condition that n holds and then yes does, where what comes after
// n looks, or n does not hold and no does.
func (p *plainer) then(n node, v view, wide bool, yes, no func(view) cond) cond {
	if p.err != nil {
		return cond{}
	}
	if holds, fails := keeps(n); holds && fails {
		holds, fails := p.expr(n, v, wide), p.not(p.expr(n, v, !wide))
		a, b := yes(v), no(v)
		switch {
		case a == b:
			return a
		case a.op == ever:
			return p.or(holds, b)
		case b.op == ever:
			return p.or(fails, a)
		}
		return p.or(p.and(holds, a), p.and(fails, b))
	}
	switch n := n.(type) {
	case and:
		return p.then(n.a, v, wide, func(v view) cond { return p.then(n.b, v, wide, yes, no) }, no)
	case or:
		return p.then(n.a, v, wide, yes, func(v view) cond { return p.then(n.b, v, wide, yes, no) })
	case not:
		return p.then(n.x, v, wide, no, yes)
	case tunnel:
		in := p.tunnels(v, p.extensions(n, v), func(h *header.Header, at sum) cond { return p.enter(n, h, at, yes) })
		out := no(v)
		if out.op == never {
			return in
		}
		found := p.expr(n, v, wide)
		if in == found {
			return p.or(in, out)
		}
		return p.or(in, p.and(p.not(found), out))
	}
	return cond{}
}

// scope returns the condition that what is in the scope holds at one of its levels.
func (p *plainer) scope(s scope, wide bool) cond {
	if p.opt.Stack != nil {
		var any []cond
		for k := s.first; k <= min(s.last, p.opt.Stack.Innermost()); k++ {
			any = append(any, p.here(s, k, p.level(k), wide))
		}
		return p.or(any...)
	}
	return p.starts(func(id header.ID) cond {
		return p.levels(s, 0, view{where: atLevel, id: id}, wide)
	})
}

// starts returns the condition that f holds for a packet's first header.
func (p *plainer) starts(f func(id header.ID) cond) cond {
	var bs []branch
	for _, r := range p.opt.LinkType.First() {
		guard := cond{op: ever}
		if r.If.Size > 0 {
			guard = p.equals(sum{n: uint32(r.If.Off)}, r.If.Size, r.If.Mask, r.If.Value)
		}
		bs = append(bs, branch{guard, f(r.To)})
	}
	return p.among(bs)
}

// levels returns the condition that what is in the scope holds at level k, which starts
// at the view, or at a deeper one.
func (p *plainer) levels(s scope, k int, v view, wide bool) cond {
	var here, deeper cond
	if k >= s.first {
		here = p.here(s, k, v, wide)
	}
	if k < s.last && here.op != ever {
		deeper = p.tunnels(v, p.opt.Extensions, func(h *header.Header, at sum) cond {
			return p.payload(h, at, nil, func(id header.ID, at sum) cond {
				return p.levels(s, k+1, view{where: atLevel, id: id, start: at}, wide)
			})
		})
	}
	return p.or(here, deeper)
}

// here returns the condition that what is in the scope holds at level k.
func (p *plainer) here(s scope, k int, v view, wide bool) cond {
	if k > 0 && p.opt.OuterOnly {
		if wide {
			return cond{op: ever}
		}
		return cond{}
	}
	types := networks(s.x)
	if v.net || len(types) == 0 || p.early(s.x) {
		return p.expr(s.x, v, wide)
	}
	// If it can only hold for some EtherTypes, they are told apart here, once.
	known := v
	known.net = true
	if p.expr(s.x, known, wide).op != never {
		return p.expr(s.x, v, wide)
	}
	return p.byType(v, types, func(typ uint32, l3 sum) cond {
		known.typ, known.l3 = typ, l3
		return p.expr(s.x, known, wide)
	})
}

// networks returns the EtherTypes that the primitives below n ask for.
func networks(n node) (types []uint32) {
	anyOf(n, func(n node) bool {
		var more []uint32
		switch n := n.(type) {
		case host:
			more = n.types
		case proto:
			more = n.types
		case linkProto:
			more = []uint32{n.num}
		case compare:
			more = n.types()
		case port, tunnel:
			more = ipTypes()
		}
		for _, t := range more {
			if !slices.Contains(types, t) {
				types = append(types, t)
			}
		}
		return false
	})
	return types
}

// networkHeader returns the header that an EtherType stands for, as far as its
// addresses go.
func (p *plainer) networkHeader(typ uint32) *header.Header {
	if typ == typeRARP {
		typ = header.TypeARP
	}
	for _, r := range p.opt.Table.Header(header.Ether).Next.Rules {
		if r.Value == typ {
			return p.opt.Table.Header(r.To)
		}
	}
	return nil
}

// early reports whether n asks for a tunnel that may stand where a network header may.
func (p *plainer) early(n node) bool {
	return anyOf(n, func(n node) bool {
		t, ok := n.(tunnel)
		if !ok {
			return false
		}
		return slices.ContainsFunc(p.opt.Table.All(), func(h *header.Header) bool {
			return (h.Class == header.Link || h.Class == header.Tag) && slices.ContainsFunc(p.nexts(h, header.Tunnel), (selector{tunnel: &t}).matches)
		})
	})
}

// byType returns the condition that the view has a network header with one of the
// EtherTypes, and that f holds for it. Inside scopes it looks behind tags.
func (p *plainer) byType(v view, types []uint32, f func(typ uint32, l3 sum) cond) cond {
	return p.reach(v, types, f, nil)
}

// reach is byType, or else that the view has a tunnel header where a network header could be,
// and that g, if it is not nil, holds for that.
func (p *plainer) reach(v view, types []uint32, f func(typ uint32, l3 sum) cond, g func(h *header.Header, at sum) cond) cond {
	if v.net {
		if slices.Contains(types, v.typ) {
			return f(v.typ, v.l3)
		}
		return cond{}
	}
	if v.where == behindLink && v.id == header.None {
		return p.starts(func(id header.ID) cond {
			v.id = id
			return p.reach(v, types, f, g)
		})
	}
	h := p.opt.Table.Header(v.id)
	b := behind{types: types, network: f, tunnel: g}
	if v.where == atLevel {
		b.tags = p.opt.Tags
	}
	switch {
	case h == nil:
		return cond{}
	case h.Class == header.Link:
		return p.behind(h, v.start, b)
	case h.Class == header.Tag && b.tags > 0:
		b.tags--
		return p.behind(h, v.start, b)
	case slices.Contains(types, startType(v.id)):
		return f(startType(v.id), v.start)
	}
	return cond{}
}

// behind is what is looked for behind a link header or a tag.
type behind struct {
	types   []uint32 // EtherTypes of network headers
	network func(typ uint32, l3 sum) cond
	tunnel  func(h *header.Header, at sum) cond // nil if it is not looked for
	tags    int                                 // how many of them may be in front
}

// behind is reach for what follows a link header or tag at an offset.
func (p *plainer) behind(h *header.Header, at sum, b behind) cond {
	if p.err != nil {
		return cond{}
	}
	end := p.past(h, at)
	tags := p.nexts(h, header.Tag)
	var bs []branch
	for _, typ := range b.types {
		then := func() cond { return b.network(typ, end) }
		to := p.networkHeader(typ)
		switch {
		case h.Next.By == "type":
			isTag := slices.ContainsFunc(h.Next.Rules, func(r header.Rule) bool {
				return r.Value == typ && slices.Contains(tags, p.opt.Table.Header(r.To))
			})
			if !isTag || b.tags == 0 {
				bs = append(bs, p.branch(p.leads(h, at, []uint32{typ}), then))
			}
		case to != nil && typ != typeRARP:
			bs = append(bs, p.branch(p.leadsTo(h, at, to), then))
		}
	}
	if b.tunnel != nil {
		for _, to := range p.nexts(h, header.Tunnel) {
			bs = append(bs, p.branch(p.leadsTo(h, at, to), func() cond { return b.tunnel(to, end) }))
		}
	}
	if b.tags > 0 {
		b.tags--
		for _, to := range tags {
			bs = append(bs, p.branch(p.and(p.leadsTo(h, at, to), p.tests(to, end, to.Valid...)), func() cond { return p.behind(to, end, b) }))
		}
	}
	return p.among(bs)
}

// transport returns the condition that f holds for a header that ends where the transport
// header starts: the network header at l3, or one of at most n extension headers behind it.
func (p *plainer) transport(typ uint32, l3 sum, n int, f func(h *header.Header, at, end sum) cond) cond {
	h := p.networkHeader(typ)
	if l := p.layer(h, l3); l != nil {
		switch {
		case n == 0 && l.Extended(): // what is looked for would be right behind the network header
			return cond{}
		case len(l.Next) > 0:
			return f(h, l3, sum{n: uint32(l.Off + l.Bytes())})
		}
		first := p.past(h, l3)
		n = min(n, (l.Off+l.Bytes()-int(first.n))/8)
	} else if p.opt.Stack != nil { // behind the end of the stack
		n = 0
	}
	return p.chain(h, l3, n, f)
}

func (p *plainer) chain(h *header.Header, at sum, n int, f func(h *header.Header, at, end sum) cond) cond {
	if p.err != nil {
		return cond{}
	}
	end := p.past(h, at)
	bs := []branch{{cond{op: ever}, f(h, at, end)}}
	var done []string
	for _, r := range h.Next.Rules {
		x := p.opt.Table.Header(r.To)
		// Those with the same form are one case.
		if n == 0 || x == nil || x.Class != header.Extension || slices.Contains(done, form(x)) {
			continue
		}
		done = append(done, form(x))
		var values []uint32
		for _, r := range h.Next.Rules {
			if y := p.opt.Table.Header(r.To); y.Class == header.Extension && form(y) == form(x) {
				values = append(values, r.Value)
			}
		}
		bs = append(bs, p.branch(p.leads(h, at, values, h.Later), func() cond { return p.chain(x, end, n-1, f) }))
	}
	return p.among(bs)
}

// form returns what decides how a header is walked over.
func form(h *header.Header) string {
	return fmt.Sprint(h.Min, h.Fixed, h.Len, h.Valid, h.Later, h.Next)
}

// tunnels returns the condition that f holds for a tunnel header that the view's transport
// header is, or that is behind UDP or where a network header could be.
func (p *plainer) tunnels(v view, extensions int, f func(h *header.Header, at sum) cond) cond {
	return p.reach(v, ipTypes(), func(typ uint32, l3 sum) cond {
		return p.transport(typ, l3, extensions, func(h *header.Header, at, end sum) cond {
			known := p.carried(h, at)
			var bs []branch
			for _, r := range h.Next.Rules {
				x := p.opt.Table.Header(r.To)
				to := f
				switch {
				case x == nil || known != nil && known.ID != x.ID:
					continue
				case x.ID == header.UDP:
					to = func(h *header.Header, at sum) cond { return p.ports(h, at, f) }
				case x.Class != header.Tunnel:
					continue
				}
				bs = append(bs, p.branch(p.leads(h, at, []uint32{r.Value}, h.Later), func() cond { return to(x, end) }))
			}
			return p.among(bs)
		})
	}, f)
}

// carried returns the layer of the stack that a network header carries, behind its extension
// headers; nil if that is not known.
func (p *plainer) carried(h *header.Header, at sum) *stack.Layer {
	if h.Class != header.Network {
		return nil
	}
	return p.following(h, at)
}

// extensions returns behind how many extension headers a tunnel primitive looks: geneve
// and vxlan outside scopes are libpcap's, and look behind none.
func (p *plainer) extensions(n tunnel, v view) int {
	if v.where != atLevel && (n.word == "geneve" || n.word == "vxlan") {
		return 0
	}
	return p.opt.Extensions
}

// ports is tunnels for a UDP header at an offset.
func (p *plainer) ports(udp *header.Header, at sum, f func(h *header.Header, at sum) cond) cond {
	end := p.past(udp, at)
	var bs []branch
	for _, to := range p.nexts(udp, header.Tunnel) {
		bs = append(bs, p.branch(p.leadsTo(udp, at, to), func() cond { return f(to, end) }))
	}
	return p.among(bs)
}

// payload returns the condition that the tunnel header at an offset is right, that the
// tests hold for it, and that f holds for what the next level starts with.
func (p *plainer) payload(h *header.Header, at sum, ts []header.Test, f func(id header.ID, at sum) cond) cond {
	return p.onward(h, at, ts, p.opt.Extensions, f)
}

// onward is payload for a tunnel header or part of one, with so many extension headers of GTP
// behind it.
func (p *plainer) onward(h *header.Header, at sum, ts []header.Test, extensions int, f func(id header.ID, at sum) cond) cond {
	if p.err != nil {
		return cond{}
	}
	ts = append(slices.Clone(h.Valid), ts...)
	end := p.past(h, at)
	if next := p.following(h, at); next != nil && h.ID == header.GTP { // its parts are options of the layer
		return p.and(p.tests(h, at, ts...), f(next.ID, end))
	}
	var bs []branch
	for _, to := range p.nexts(h, header.Link, header.Tag, header.Network, header.Tunnel, header.Part) {
		then := func() cond { return f(to.ID, end) }
		if !to.Starts() {
			left := extensions
			if to.ID == header.GTPExt {
				if left--; left < 0 {
					continue
				}
			}
			then = func() cond { return p.onward(to, end, nil, left, f) }
		}
		bs = append(bs, p.branch(p.leadsTo(h, at, to, ts...), then))
	}
	return p.among(bs)
}

// claim is one way for a tunnel header to be what a primitive asks for.
type claim struct {
	tests []header.Test
	id    cond // that its identifier is the right one, where that moves
}

// claims returns the ways for the header at an offset.
func (p *plainer) claims(t tunnel, h *header.Header, at sum) (cs []claim) {
	if !(selector{tunnel: &t}).matches(h) {
		return nil
	}
	field := func(name string, ts ...header.Test) {
		f, _ := h.Field(name)
		mask := full(f.Size)
		if f.Mask != 0 {
			mask = f.Mask
		}
		low := bits.TrailingZeros32(mask)
		ts = append(append(ts, f.If), h.Valid...)
		switch {
		case t.id > mask>>low:
		case len(f.Pos) == 0:
			ts = append(ts, header.Test{Off: f.Off, Size: f.Size, Mask: mask, Value: t.id << low})
			cs = append(cs, claim{ts, cond{op: ever}})
		default:
			at := p.move(at.plus(uint32(f.Off)), f.Pos, at)
			cs = append(cs, claim{ts, p.equals(at, f.Size, mask, t.id<<low)})
		}
	}
	if vsid, ok := h.Field("vsid"); ok {
		// RFC 7637: NVGRE is GRE with a key that carries Ethernet.
		ether := is(h, header.TypeTEB)
		switch {
		case t.word == "nvgre" && t.hasID:
			field("vsid", ether)
			return cs
		case t.word == "nvgre":
			return []claim{{append([]header.Test{ether, vsid.If}, h.Valid...), cond{op: ever}}}
		case t.word == "tunnel" && t.hasID:
			field("vsid", ether)
		}
	}
	switch {
	case !t.hasID:
		cs = append(cs, claim{h.Valid, cond{op: ever}})
	case h.TunnelID != "":
		field(h.TunnelID)
	}
	return cs
}

// match returns the condition that the tunnel header at an offset, or one that it
// carries on the same level, is what a primitive asks for.
func (p *plainer) match(t tunnel, h *header.Header, at sum) cond {
	return p.either(t, h, at, func(c claim) cond { return p.and(p.tests(h, at, c.tests...), c.id) },
		func(h *header.Header, at sum) cond { return p.match(t, h, at) })
}

// either returns the condition that one of the claims for the header at an offset holds, or
// that it carries another tunnel header for which inside does.
func (p *plainer) either(t tunnel, h *header.Header, at sum, here func(claim) cond, inside func(h *header.Header, at sum) cond) cond {
	var any []cond
	for _, c := range p.claims(t, h, at) {
		any = append(any, here(c))
	}
	if !t.hasID && len(any) > 0 {
		return p.or(any...)
	}
	end := p.past(h, at)
	for _, next := range p.nexts(h, header.Tunnel) {
		any = append(any, p.among([]branch{p.branch(p.leadsTo(h, at, next, h.Valid...), func() cond { return inside(next, end) })}))
	}
	return p.or(any...)
}

// enter is match for a primitive outside scopes: what comes after it, yes, looks at
// what the tunnel carries, or at nothing if that is unknown.
func (p *plainer) enter(t tunnel, h *header.Header, at sum, yes func(view) cond) cond {
	return p.either(t, h, at, func(c claim) cond {
		same := true
		nowhere := yes(view{where: inTunnel})
		known := p.payload(h, at, c.tests, func(id header.ID, at sum) cond {
			then := yes(view{where: inTunnel, id: id, start: at})
			same = same && then == nowhere
			return then
		})
		if same {
			return p.and(p.tests(h, at, c.tests...), c.id, nowhere)
		}
		var unknown cond
		if nowhere.op != never {
			any := p.payload(h, at, c.tests, func(header.ID, sum) cond { return cond{op: ever} })
			unknown = p.and(p.tests(h, at, c.tests...), p.not(any), nowhere)
		}
		if c.id.op == ever {
			return p.or(known, unknown)
		}
		// Whether there is an identifier is asked first: it may be beyond the packet.
		return p.and(p.tests(h, at, c.tests...), c.id, p.or(known, unknown))
	}, func(h *header.Header, at sum) cond { return p.enter(t, h, at, yes) })
}

// primitive returns the condition of a primitive at a view.
func (p *plainer) primitive(n node, v view) cond {
	switch n := n.(type) {
	case linkProto:
		if n.num <= maxLLC || n.num == anyLLC || n.num == typeIPX || n.num == typeATALK || n.num == typeAARP {
			return p.unable(n)
		}
		return p.byType(v, []uint32{n.num}, func(uint32, sum) cond { return cond{op: ever} })
	case compare:
		return p.compare(n, v)
	case proto:
		return p.byType(v, n.types, func(typ uint32, l3 sum) cond { return p.proto(v, typ, l3, n.num) })
	case host:
		return p.byType(v, n.types, func(typ uint32, l3 sum) cond { return p.host(n, typ, l3) })
	case port:
		extensions := 0
		if v.where == atLevel {
			extensions = p.opt.Extensions
		}
		return p.byType(v, ipTypes(), func(typ uint32, l3 sum) cond {
			return p.transport(typ, l3, extensions, func(h *header.Header, at, end sum) cond {
				return p.and(p.leads(h, at, n.protos, h.Later), p.port(n, end))
			})
		})
	case ether:
		h := p.opt.Table.Header(header.Ether)
		if v.id != h.ID {
			return cond{}
		}
		return p.pair(h, "src", "dst", n.dir, func(f *header.Field) cond {
			at := v.start.plus(uint32(f.Off))
			return p.bytes(at, n.mac[:], 8*len(n.mac))
		})
	}
	return p.unable(n)
}

// String returns the relation as it is written.
func (r relation) String() string { return [...]string{"=", "!=", ">", ">=", "<", "<="}[r] }

// pair returns the test of a header's source and destination for a direction.
func (p *plainer) pair(h *header.Header, srcName, dstName string, d direction, test func(f *header.Field) cond) cond {
	s, _ := h.Field(srcName)
	t, _ := h.Field(dstName)
	switch d {
	case src:
		return test(s)
	case dst:
		return test(t)
	case srcAndDst:
		return p.and(test(s), test(t))
	}
	return p.or(test(s), test(t))
}

// host returns the test of the addresses of a network header.
func (p *plainer) host(n host, typ uint32, l3 sum) cond {
	h := p.networkHeader(typ)
	s, d := "src", "dst"
	if h.ID == header.ARP {
		s, d = "spa", "tpa"
	}
	var any []cond
	for _, a := range n.nets {
		if a.is4 == (typ == header.TypeIP6) {
			continue
		}
		any = append(any, p.pair(h, s, d, n.dir, func(f *header.Field) cond {
			at := l3.plus(uint32(f.Off))
			if a.is4 {
				if a.mask == 0 {
					return cond{op: ever}
				}
				return p.equals(at, 4, a.mask, a.addr)
			}
			return p.bytes(at, a.prefix.Addr().AsSlice(), a.prefix.Bits())
		}))
	}
	return p.or(any...)
}

// bytes returns the test that the bytes at an offset start with the first n bits of b.
func (p *plainer) bytes(at sum, b []byte, n int) cond {
	var all []cond
	for ; n > 0; n -= 32 {
		size := uint8(min(4, len(b)))
		var v uint32
		for _, c := range b[:size] {
			v = v<<8 | uint32(c)
		}
		mask := full(size)
		if whole := 8 * int(size); n < whole {
			mask &^= 1<<(whole-n) - 1
		}
		all = append(all, p.equals(at, size, mask, v&mask))
		at, b = at.plus(uint32(size)), b[size:]
	}
	return p.and(all...)
}

// port returns the test of the ports of a transport header.
func (p *plainer) port(n port, l4 sum) cond {
	return p.pair(p.opt.Table.Header(header.UDP), "sport", "dport", n.dir, func(f *header.Field) cond {
		text := p.load(l4.plus(uint32(f.Off)), f.Size)
		if n.lo == n.hi {
			return p.write(single, fmt.Sprintf("%s = %d", text, n.lo))
		}
		return p.write(single, fmt.Sprintf("%s - %d <= %d", text, n.lo, n.hi-n.lo)) // below lo it wraps to large numbers
	})
}

// proto returns the test that a network header, and the extension headers behind
// it, carry an IP protocol.
func (p *plainer) proto(v view, typ uint32, l3 sum, num uint32) cond {
	network := p.networkHeader(typ)
	starts := p.tests(network, l3, is(network, num))
	if v.where != atLevel {
		if typ == header.TypeIP {
			return starts
		}
		// libpcap looks at the first header, and at what follows it if it is a fragment header.
		for _, r := range network.Next.Rules {
			if r.To == header.Fragment {
				f := p.opt.Table.Header(r.To)
				return p.or(starts, p.and(p.tests(network, l3, is(network, r.Value)), p.tests(f, p.past(network, l3), is(f, num))))
			}
		}
		return starts
	}
	return p.transport(typ, l3, p.opt.Extensions, func(h *header.Header, at, _ sum) cond {
		here := p.leads(h, at, []uint32{num})
		if h == network && typ == header.TypeIP6 {
			// An extension header is there if it is the first one, too.
			if l := p.layer(h, at); l != nil && l.Extended() {
				here = p.or(here, starts)
			}
			return here
		}
		for _, r := range h.Next.Rules {
			if r.Value == num && p.opt.Table.Header(r.To).Class == header.Extension {
				// It is walked over, but in a fragment other than the first.
				if h.Later.Size == 0 {
					return cond{}
				}
				return p.and(here, p.not(p.tests(h, at, h.Later)))
			}
		}
		return here
	})
}

// inStack returns the condition that the packet has the stack, and n holds.
func (p *plainer) inStack(n node) (cond, error) {
	s := p.opt.Stack
	layout, err := s.Expression(stack.Conditions{Exact: true})
	if err != nil {
		return cond{}, err
	}
	c := p.expr(n, view{where: behindLink, id: header.Ether}, true)
	if c.op == never && p.err == nil {
		return c, fmt.Errorf("no packet with the stack %v is selected by the expression", s)
	}
	if layout == "" {
		return c, nil
	}
	return p.and(cond{conjoint, layout}, c), nil
}

// level returns the view of a level of the stack.
func (p *plainer) level(k int) view {
	v := view{where: atLevel}
	for _, l := range p.opt.Stack.Layers {
		switch {
		case l.Level != k || !l.Starts():
			continue
		case v.id == header.None:
			v.id, v.start = l.ID, sum{n: uint32(l.Off)}
		}
		if l.Class == header.Network {
			v.net, v.typ, v.l3 = true, networkType(l.ID), sum{n: uint32(l.Off)}
		}
	}
	return v
}

// networkType returns the EtherType of a network header.
func networkType(id header.ID) uint32 {
	if id == header.ARP {
		return header.TypeARP
	}
	return startType(id)
}

// keywords returns a primitive in the words of pcap-filter(7); "" if it has none.
func keywords(n node) string {
	dir := func(d direction) string { return [...]string{"", "src ", "dst ", "src and dst "}[d] }
	switch n := n.(type) {
	case linkProto:
		if w := typeWord(n.num); w != "" {
			return w
		}
		return fmt.Sprintf("ether proto 0x%04x", n.num)
	case proto:
		for w, num := range map[string]uint32{"tcp": protoTCP, "udp": protoUDP, "sctp": protoSCTP} {
			if n.num == num && len(n.types) == 2 {
				return w
			}
		}
		return typesWord(n.types) + fmt.Sprintf("proto %d", n.num)
	case chain:
		return typesWord([]uint32{n.typ}) + fmt.Sprintf("protochain %d", n.num)
	case host:
		var any []string
		for _, a := range n.nets {
			any = append(any, typesWord(n.types)+dir(n.dir)+a.String())
		}
		if len(any) == 1 {
			return any[0]
		}
		return "(" + strings.Join(any, " or ") + ")"
	case port:
		of := ""
		if len(n.protos) == 1 {
			of = keywords(proto{types: ipTypes(), num: n.protos[0]}) + " "
		}
		if n.lo == n.hi {
			return of + dir(n.dir) + fmt.Sprintf("port %d", n.lo)
		}
		return of + dir(n.dir) + fmt.Sprintf("portrange %d-%d", n.lo, n.hi)
	case ether:
		return "ether " + dir(n.dir) + fmt.Sprintf("host %02x:%02x:%02x:%02x:%02x:%02x", n.mac[0], n.mac[1], n.mac[2], n.mac[3], n.mac[4], n.mac[5])
	}
	return ""
}

func typeWord(typ uint32) string {
	return map[uint32]string{header.TypeIP: "ip", header.TypeIP6: "ip6", header.TypeARP: "arp", typeRARP: "rarp"}[typ]
}

// typesWord returns the qualifier for the EtherTypes.
func typesWord(types []uint32) string {
	if len(types) == 1 {
		return typeWord(types[0]) + " "
	}
	return ""
}

// String returns the network as it is written.
func (a network) String() string {
	b := func(v uint32) netip.Addr {
		return netip.AddrFrom4([4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)})
	}
	switch {
	case a.is4 && a.mask == ^uint32(0):
		return "host " + b(a.addr).String()
	case a.is4 && bits.OnesCount32(a.mask) == bits.LeadingZeros32(^a.mask):
		return fmt.Sprintf("net %v/%d", b(a.addr), bits.OnesCount32(a.mask))
	case a.is4:
		return fmt.Sprintf("net %v mask %v", b(a.addr), b(a.mask))
	case a.prefix.IsSingleIP():
		return "host " + a.prefix.Addr().String()
	}
	return "net " + a.prefix.String()
}

// unable says that a primitive cannot be written.
func (p *plainer) unable(n node) cond {
	if p.err == nil {
		what := "this"
		switch n := n.(type) {
		case chain:
			what = "protochain inside a tunnel"
		case vlan:
			what = "vlan inside a scope"
		case mpls:
			what = "mpls inside a scope"
		case pppoe:
			what = "pppoes inside a scope"
		case linkProto:
			what = fmt.Sprintf("what an LLC header carries (%#x) inside a tunnel", n.num)
		case compare:
			what = "a relation of bytes of several protocols inside a tunnel"
		}
		p.err = fmt.Errorf("%s cannot be expressed in plain pcap-filter text", what)
	}
	return cond{}
}

func isLen(n number32) bool {
	switch n := n.(type) {
	case field, meta:
		return false
	case operation:
		return isLen(n.a) && isLen(n.b)
	}
	return true
}

// of returns the IP protocol or the EtherType that all bytes of a relation are of. Ok is
// false if there are several.
func (n compare) of() (protocol *proto, link *linkProto, ok bool) {
	for _, c := range n.checks {
		if c, is := c.(proto); is {
			if protocol != nil && protocol.num != c.num {
				return nil, nil, false
			}
			protocol = &c
		}
	}
	for _, c := range n.checks {
		switch c := c.(type) {
		case notLater: // a transport header says the same
		case linkProto:
			if link != nil && link.num != c.num {
				return nil, nil, false
			}
			link = &c
		}
	}
	return protocol, link, true
}

// types returns the EtherTypes for which the relation can hold, none if for all.
func (n compare) types() []uint32 {
	protocol, link, _ := n.of()
	switch {
	case link != nil:
		return []uint32{link.num}
	case protocol != nil:
		return protocol.types
	}
	return nil
}

// compare returns the condition of a relation at a view.
func (p *plainer) compare(n compare, v view) cond {
	protocol, _, ok := n.of()
	if !ok {
		return p.unable(n)
	}
	bases := map[base]sum{fromLink: v.start}
	relation := func() cond {
		a, aok := p.number(n.a, v, bases)
		b, bok := p.number(n.b, v, bases)
		if !aok || !bok {
			return p.unable(n)
		}
		return p.write(single, fmt.Sprintf("%s %v %s", a, n.op, b))
	}
	types := n.types()
	if len(types) == 0 {
		if !isLen(n.a) && v.id != header.Ether {
			return cond{}
		}
		return relation()
	}
	return p.byType(v, types, func(typ uint32, l3 sum) cond {
		bases[fromNetwork] = l3
		if protocol == nil {
			return relation()
		}
		extensions := 0
		if v.where == atLevel {
			extensions = p.opt.Extensions
		}
		return p.transport(typ, l3, extensions, func(h *header.Header, at, end sum) cond {
			bases[fromTransport], bases[fromTransport6] = end, end
			return p.and(p.leads(h, at, []uint32{protocol.num}, h.Later), relation())
		})
	})
}

// number returns the text for a number; ok is false if it has bytes of what is in no
// known place.
func (p *plainer) number(n number32, v view, bases map[base]sum) (text string, ok bool) {
	switch n := n.(type) {
	case constant:
		return fmt.Sprint(n.v), true
	case packetLen:
		switch s := v.start; {
		case v.where != atLevel || s.n == 0 && len(s.terms) == 0:
			return "len", true
		case len(s.terms) > 0:
			return fmt.Sprintf("(len - (%v))", s), true
		default:
			return fmt.Sprintf("(len - %v)", s), true
		}
	case field:
		at, ok := bases[n.base]
		if !ok {
			return "", false
		}
		if c, is := n.index.(constant); is {
			return p.load(at.plus(c.v), n.size), true
		}
		index, ok := p.number(n.index, v, bases)
		return p.load(at.add(index), n.size), ok
	case operation:
		a, aok := p.number(n.a, v, bases)
		b, bok := p.number(n.b, v, bases)
		return fmt.Sprintf("(%s %v %s)", a, n.op, b), aok && bok
	}
	return "", false
}

// String returns the operator as it is written.
func (o operator) String() string {
	return [...]string{"+", "-", "*", "/", "%", "&", "|", "^", "<<", ">>"}[o]
}
