// Package stack reads the stacks of headers that the calculators take,
// ip/gre,key/ether/ip, and writes filter expressions for packets with such a
// stack in plain pcap-filter syntax, with constant offsets.
//
// Which header may follow which, how long they are and where their fields
// are, is all in the table of package header. What is here is the syntax: the
// names of the options, and which part of a header each of them states.
package stack

import (
	"fmt"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tundump/tundump/filter/header"
)

// Stack is the headers of a packet, from the outside in.
type Stack struct {
	// Layers has every header, also those that the text leaves out. The first
	// one is Ethernet.
	Layers []Layer
	table  *header.Table
}

// Layer is one header of a stack.
type Layer struct {
	*header.Header
	// Name is the header's in a stack: a VLAN tag may be vlan or qinq.
	Name string
	// Implied is set if the text leaves the layer out: the Ethernet header in
	// front, or what stands between two IP headers and has no bytes.
	Implied bool
	// Off is where the header starts, in bytes from the start of the Ethernet
	// frame.
	Off int
	// Parts are what the layer is made of: the header, and what its options add.
	Parts []Part
	// Level counts tunnels: 0 is what is on the wire.
	Level int
	// Next has the values of the field Header.Next.By with which the next layer
	// follows; empty if there is none, or if no such field decides.
	Next []uint32

	ways     []header.Way  // by which the next layer follows
	tests    []header.Test // what holds for the header in this stack, one for each word
	ext      int           // bytes of extension headers behind the header
	chained  bool          // ext is given, it may be 0
	open     bool          // the length is not stated, nor needed: no layer follows
	pos, end int           // in the text
	options  []piece
}

// Part is a part of a layer: ip, gre, key.
type Part struct {
	Name  string
	Bytes int
}

// Names of parts that have no fields; they are behind all others.
const (
	Options    = "options"    // of IPv4, Geneve and the like
	Optional   = "optional"   // the words of GTP that are there together or not at all
	Extensions = "extensions" // extension headers
)

// Bytes returns the length of the layer, extension headers included.
func (l *Layer) Bytes() int {
	n := 0
	for _, p := range l.Parts {
		n += p.Bytes
	}
	return n
}

// Extended reports whether the layer has extension headers.
func (l *Layer) Extended() bool { return l.ext > 0 }

// Field is a field of a layer.
type Field struct {
	Name string
	Off  int // bytes from the start of the Ethernet frame
	Size int // 1, 2, 4, 6 or 16 bytes
	// Mask selects bits of them; 0 stands for all.
	Mask uint32
}

// Fields returns the fields that the header has in this stack, in the table's
// order.
func (l *Layer) Fields() []Field {
	var fields []Field
	for _, f := range l.Header.Fields {
		if l.holds(f.If) {
			fields = append(fields, Field{f.Name, l.Off + int(f.Off) + l.sum(f.Pos), int(f.Size), f.Mask})
		}
	}
	return fields
}

// Field returns the named field; ok is false if the header has none such in this
// stack.
func (l *Layer) Field(name string) (f Field, ok bool) {
	fields := l.Fields()
	i := slices.IndexFunc(fields, func(f Field) bool { return f.Name == name })
	if i < 0 {
		return Field{}, false
	}
	return fields[i], true
}

// know adds to what holds for the header.
func (l *Layer) know(t header.Test) {
	for i := range l.tests {
		if k := &l.tests[i]; k.Off == t.Off && k.Size == t.Size {
			k.Mask, k.Value = k.Mask|t.Mask, k.Value&^t.Mask|t.Value
			return
		}
	}
	l.tests = append(l.tests, t)
}

// word returns what is known of the header's Size bytes at Off.
func (l *Layer) word(off, size uint8) header.Test {
	for _, k := range l.tests {
		if k.Off == off && k.Size == size {
			return k
		}
	}
	return header.Test{}
}

// holds reports whether it is known that t holds for the header.
func (l *Layer) holds(t header.Test) bool {
	k := l.word(t.Off, t.Size)
	return t.Size == 0 || k.Mask&t.Mask == t.Mask && k.Value&t.Mask == t.Value
}

// excludes reports whether it is known that t does not hold for the header.
func (l *Layer) excludes(t header.Test) bool {
	k := l.word(t.Off, t.Size)
	return t.Size != 0 && k.Mask&t.Mask&(k.Value^t.Value) != 0
}

// sum returns what the terms add up to.
func (l *Layer) sum(terms []header.LenTerm) int {
	n := 0
	for _, t := range terms {
		n += int(t.Of(l.word(t.Off, t.Size).Value))
	}
	return n
}

// Network returns the outermost network header: what byte offsets count from. It
// is nil if the stack has none on the wire.
func (s *Stack) Network() *Layer { return s.find(0, header.Network) }

// Innermost returns the innermost level.
func (s *Stack) Innermost() int { return s.Layers[len(s.Layers)-1].Level }

// find returns the first layer of the class on the level, or nil.
func (s *Stack) find(level int, class header.Class) *Layer {
	for i := range s.Layers {
		if l := &s.Layers[i]; l.Level == level && l.Class == class {
			return l
		}
	}
	return nil
}

// String returns the stack as Parse takes it.
func (s *Stack) String() string {
	var layers []string
	for _, l := range s.Layers {
		if l.Implied {
			continue
		}
		layers = append(layers, l.text())
	}
	return strings.Join(layers, "/")
}

// text returns the layer as Parse takes it.
func (l *Layer) text() string {
	text := l.Name
	for _, o := range l.options {
		text += "," + o.text
	}
	return text
}

// Error is what is wrong with a stack, and where.
type Error struct {
	Text     string // the stack
	Pos, End int    // the place in Text, in bytes; empty where something is missing
	Msg      string
}

// Error returns one line: the reason, and the column in characters, from 1.
func (e *Error) Error() string { return fmt.Sprintf("%s, at column %d", e.Msg, e.Column()) }

// Column returns the place as a number of characters, from 1.
func (e *Error) Column() int { return utf8.RuneCountInString(e.Text[:e.Pos]) + 1 }

// A piece is a part of the text.
type piece struct {
	text     string
	pos, end int
}

// split cuts a piece at the separators.
func (p piece) split(sep string) []piece {
	var all []piece
	pos := p.pos
	for text := range strings.SplitSeq(p.text, sep) {
		all = append(all, piece{text, pos, pos + len(text)})
		pos += len(text) + len(sep)
	}
	return all
}

// A word is the name of a layer.
type word struct {
	name  string
	id    header.ID
	types []uint32 // only these lead to it; empty means any
}

// implied reports whether a header has no bytes, and follows from its neighbours.
func implied(id header.ID) bool {
	return slices.Contains([]header.ID{header.IPIP, header.IPIP6, header.MPLSIP, header.PWRaw}, id)
}

// folded reports whether a header is an option of that in front of it.
func folded(id header.ID) bool {
	return slices.Contains([]header.ID{header.GTPSeq, header.GTPOpt, header.GTPExt, header.GTPEnd}, id)
}

// cooked reports whether a header is only in captures: no filter can count from it.
func cooked(id header.ID) bool {
	return slices.Contains([]header.ID{header.SLL, header.SLL2, header.Null, header.Frame}, id)
}

// words returns the names of layers, in the table's order.
func words(t *header.Table) []word {
	var all []word
	for _, h := range t.All() {
		switch {
		case h.ID == header.VLAN:
			all = append(all, word{"vlan", h.ID, []uint32{header.TypeVLAN}},
				word{"qinq", h.ID, []uint32{header.TypeQinQ, header.TypeQinQ1}})
		case h.Class == header.Extension: // an option of the header in front
		case folded(h.ID), implied(h.ID), cooked(h.ID):
		default:
			all = append(all, word{name: h.Name, id: h.ID})
		}
	}
	return all
}

// parser reads one stack.
type parser struct {
	table *header.Table
	text  string
	words []word
}

// Parse reads a stack: layers with slashes between them, each a name of the
// table's with options behind commas. Where the text starts with what an Ethernet
// frame may carry, an Ethernet header is in front of it. The error is an *Error.
func Parse(table *header.Table, text string) (*Stack, error) {
	p := parser{table, text, words(table)}
	var names []word
	var layers []Layer
	for i, part := range (piece{text, 0, len(text)}).split("/") {
		pieces := part.split(",")
		var prev *Layer
		if i > 0 {
			prev = &layers[i-1]
		}
		w, err := p.name(pieces[0], prev)
		if err != nil {
			return nil, err
		}
		names = append(names, w)
		layers = append(layers, Layer{Header: table.Header(w.id), Name: w.name, pos: part.pos, end: part.end, options: pieces[1:]})
	}
	// That two headers do not go together says more than a wrong option of one of them.
	for i := 1; i < len(layers); i++ {
		if _, ways := p.follow(&layers[i-1], names[i]); ways == nil {
			return nil, p.misplaced(&layers[i-1], &layers[i], false)
		}
	}
	for i := range layers {
		if err := p.options(&layers[i]); err != nil {
			return nil, err
		}
		layers[i].open = i == len(layers)-1 && len(layers[i].options) == 0
	}
	s := &Stack{table: table}
	if layers[0].ID != header.Ether {
		h := table.Header(header.Ether)
		ether := Layer{Header: h, Name: h.Name, Implied: true, Parts: []Part{{h.Name, int(h.Fixed)}}}
		if _, ways := p.follow(&ether, names[0]); ways == nil {
			return nil, p.misplaced(nil, &layers[0], true)
		}
		s.Layers = append(s.Layers, ether)
	}
	tags := 0
	for i, l := range layers {
		if n := len(s.Layers); n > 0 {
			prev := &s.Layers[n-1]
			via, ways := p.follow(prev, names[i])
			if ways == nil {
				return nil, p.misplaced(prev, &l, true)
			}
			prev.lead(ways)
			l.Off, l.Level = prev.Off+prev.Bytes(), prev.Level
			if via != nil {
				s.Layers = append(s.Layers, Layer{Header: via, Name: via.Name, Implied: true, Off: l.Off, Level: l.Level})
			}
			if !s.Layers[len(s.Layers)-1].Starts() && l.Starts() {
				l.Level++
				tags = 0
			}
		}
		if l.Class == header.Tag {
			tags++
		}
		switch {
		case l.Level > header.MaxDepth:
			return nil, p.wrong(l.pos, l.end, "%s is inside of more than %d tunnels", l.Name, header.MaxDepth)
		case tags > header.MaxTags:
			return nil, p.wrong(l.pos, l.end, "%s is tag number %d: at most %d can stand in front of a network header", l.Name, tags, header.MaxTags)
		}
		s.Layers = append(s.Layers, l)
	}
	return s, nil
}

func (p *parser) wrong(pos, end int, format string, args ...any) error {
	return &Error{p.text, pos, end, fmt.Sprintf(format, args...)}
}

// name finds the name of the layer behind prev, or with none of the first one.
func (p *parser) name(text piece, prev *Layer) (word, error) {
	i := slices.IndexFunc(p.words, func(w word) bool { return w.name == text.text })
	if i >= 0 {
		return p.words[i], nil
	}
	can := list(p.candidates(prev, false))
	if text.text == "" {
		return word{}, p.wrong(text.pos, text.end, "a layer is missing: %s", can)
	}
	for _, h := range p.table.All() {
		if h.Name == text.text && h.Class == header.Extension {
			return word{}, p.wrong(text.pos, text.end, "%s is no layer: extension headers are an option of the layer in front, ip6,ext=BYTES", h.Name)
		}
	}
	return word{}, p.wrong(text.pos, text.end, "unknown layer %q: %s", shorten(text.text), can)
}

// shorten returns the start of what may be long.
func shorten(text string) string {
	const most = 40
	if len(text) <= most {
		return text
	}
	return text[:most] + "..."
}

// list joins what may stand in a place.
func list(names []string) string {
	switch n := len(names); n {
	case 0:
		return "nothing can"
	case 1:
		return names[0] + " can stand here"
	default:
		return strings.Join(names[:n-1], ", ") + " or " + names[n-1] + " can stand here"
	}
}

// follow looks for the ways from a layer to what comes next, nil if there are none: with
// what is known of the layer so far. Via is the header without bytes between them, if
// there is one.
func (p *parser) follow(prev *Layer, next word) (via *header.Header, ways []header.Way) {
	rules := p.rules(prev)
	if ways = prev.reach(rules, next.id, next.types); ways != nil {
		return nil, ways
	}
	for _, r := range rules {
		if implied(r.To) && p.table.Header(r.To).Next.Rules[0].To == next.id {
			return p.table.Header(r.To), prev.reach(rules, r.To, nil)
		}
	}
	return nil, nil
}

// reach returns the ways from a layer to a header by the rules; if there are types,
// only by those.
func (l *Layer) reach(rules []header.Rule, id header.ID, types []uint32) (ways []header.Way) {
	for _, w := range header.Ways(rules, id, types...) {
		if slices.ContainsFunc(w.Tests, l.excludes) {
			continue
		}
		w.Tests = slices.DeleteFunc(w.Tests, l.holds)
		w.Not = slices.DeleteFunc(w.Not, func(x header.Exception) bool { return l.excludes(x.Own) })
		taken := false
		for i := range w.Not {
			if x := &w.Not[i]; l.holds(x.Own) {
				x.Own = header.Test{}
				taken = taken || x.Peek.Size == 0
			}
		}
		if !taken {
			ways = append(ways, w)
		}
	}
	return ways
}

// lead sets the ways by which the next layer follows. What all of them have in common
// is known of the layer from then on.
func (l *Layer) lead(ways []header.Way) {
	for _, t := range slices.Clone(ways[0].Tests) {
		if slices.ContainsFunc(ways, func(w header.Way) bool { return !slices.Contains(w.Tests, t) }) {
			continue
		}
		l.know(t)
		for i := range ways {
			ways[i].Tests = slices.DeleteFunc(ways[i].Tests, func(o header.Test) bool { return o == t })
		}
	}
	l.ways = ways
	for _, w := range ways {
		if l.Header.Next.By != "" && !slices.Contains(l.Next, w.Value) {
			l.Next = append(l.Next, w.Value)
		}
	}
}

// has reports whether the option with that name is given.
func (l *Layer) has(option string) bool {
	return slices.ContainsFunc(l.options, func(o piece) bool {
		name, _, _ := strings.Cut(o.text, "=")
		return name == option
	})
}

// rules returns what may follow a layer: if extension headers are between, what may
// follow those.
func (p *parser) rules(l *Layer) []header.Rule {
	switch {
	case l.ID == header.GTP && l.has("ext"):
		return p.table.Header(header.GTPEnd).Next.Rules
	case l.ID == header.GTP && (l.has("seq") || l.has("npdu")):
		return p.table.Header(header.GTPSeq).Next.Rules
	case !l.has("ext"):
		return l.Header.Next.Rules
	}
	var rules []header.Rule
	seen := map[header.ID]bool{}
	var visit func(*header.Header)
	visit = func(h *header.Header) {
		for _, r := range h.Next.Rules {
			if x := p.table.Header(r.To); x != nil && x.Class == header.Extension && !seen[r.To] {
				seen[r.To] = true
				rules = append(rules, x.Next.Rules...)
				visit(x)
			}
		}
	}
	visit(l.Header)
	return rules
}

// candidates returns the names of what can follow a layer, or with none start a
// stack.
func (p *parser) candidates(prev *Layer, strict bool) []string {
	from := prev
	if prev == nil {
		from = &Layer{Header: p.table.Header(header.Ether)}
	} else if !strict {
		from = &Layer{Header: prev.Header, options: prev.options}
	}
	var can []string
	for _, w := range p.words {
		if _, ways := p.follow(from, w); ways != nil || prev == nil && w.id == header.Ether {
			can = append(can, w.name)
		}
	}
	return can
}

// misplaced says that a layer cannot follow another, or with none cannot start a
// stack.
func (p *parser) misplaced(prev, l *Layer, strict bool) error {
	can := list(p.candidates(prev, strict))
	if prev == nil {
		return p.wrong(l.pos, l.end, "a stack cannot start with %s: %s", l.Name, can)
	}
	if !strict {
		return p.wrong(l.pos, l.end, "%s cannot follow %s: %s", l.Name, prev.Name, can)
	}
	// The options are known to be right, and may be the reason.
	if other := p.instead(prev, l); other != "" {
		can += "; it can follow " + other
	}
	return p.wrong(l.pos, l.end, "%s cannot follow %s: %s", l.Name, shorten(p.text[prev.pos:prev.end]), can)
}

// instead returns the layer prev with an option more, or one less, which another layer could follow;
// "" if there is none.
func (p *parser) instead(prev, l *Layer) string {
	w := p.words[slices.IndexFunc(p.words, func(w word) bool { return w.name == l.Name })]
	for _, o := range options(prev.Header) {
		if o.kind != flag {
			continue
		}
		other := Layer{Header: prev.Header, Name: prev.Name, options: slices.DeleteFunc(slices.Clone(prev.options), func(g piece) bool { return g.text == o.name })}
		if !prev.has(o.name) {
			other.options = append(other.options, piece{text: o.name})
		}
		if p.options(&other) != nil {
			continue
		}
		if _, ways := p.follow(&other, w); ways != nil {
			return other.text()
		}
	}
	return ""
}

// An option states a part of a header.
type option struct {
	name  string
	kind  kind
	field string // of flag and count
	term  int    // which of the header's length terms count and extra are about
	when  header.Test
}

type kind uint8

const (
	flag  kind = iota // the field is there
	count             // the value of the field, which the length depends on
	extra             // the bytes that the header's length term adds
	ext               // the bytes of the extension headers behind the header
	bit               // a bit, when, of GTP's header
)

// options returns the options that a layer can have.
func options(h *header.Header) []option {
	switch h.ID {
	case header.IP:
		return []option{{name: "ihl", kind: count, field: "ihl"}, {name: "ext", kind: ext}}
	case header.IP6:
		return []option{{name: "ext", kind: ext}}
	case header.GRE:
		return []option{{name: "csum", field: "sum"}, {name: "key", field: "key"}, {name: "seq", field: "seq"}}
	case header.PPTP:
		return []option{{name: "seq", field: "seq"}, {name: "ack", field: "ack"}}
	case header.ERSPAN3:
		return []option{{name: "platform", field: "platform"}}
	case header.Geneve, header.GUE:
		return []option{{name: "opts", kind: extra}}
	case header.NSH:
		return []option{{name: "context", kind: extra}}
	case header.TeredoAuth:
		return []option{{name: "id", kind: extra}, {name: "value", kind: extra, term: 1}}
	case header.GTP:
		return []option{
			{name: "seq", kind: bit, when: header.Test{Off: 0, Size: 1, Mask: 2, Value: 2}},
			{name: "npdu", kind: bit, when: header.Test{Off: 0, Size: 1, Mask: 1, Value: 1}},
			{name: "ext", kind: ext, when: header.Test{Off: 0, Size: 1, Mask: 4, Value: 4}},
		}
	}
	return nil
}

// usage returns how an option is written.
func (o option) usage() string {
	switch o.kind {
	case flag, bit:
		return o.name
	case count:
		return o.name + "=N"
	}
	return o.name + "=BYTES"
}

// given returns the layer's options by their names.
func (p *parser) given(l *Layer, known []option) (map[string]piece, error) {
	given := map[string]piece{}
	for _, o := range l.options {
		name, _, _ := strings.Cut(o.text, "=")
		if !slices.ContainsFunc(known, func(k option) bool { return k.name == name }) {
			var can []string
			for _, k := range known {
				can = append(can, k.usage())
			}
			return nil, p.wrong(o.pos, o.end, "unknown option %q of %s: %s", shorten(o.text), l.Name, list(can))
		}
		if _, twice := given[name]; twice {
			return nil, p.wrong(o.pos, o.end, "option %s of %s is given twice", name, l.Name)
		}
		given[name] = o
	}
	return given, nil
}

// options reads the layer's options, and computes what follows from them.
func (p *parser) options(l *Layer) error {
	for _, v := range l.Valid {
		l.know(v)
	}
	l.Parts = []Part{{l.Name, shortest(l.Header)}}
	known := options(l.Header)
	given, err := p.given(l, known)
	if err != nil {
		return err
	}
	for _, o := range known {
		text, ok := given[o.name]
		if o.kind == flag || o.kind == bit {
			if strings.Contains(text.text, "=") {
				return p.wrong(text.pos, text.end, "option %s of %s has no value: it says that the field is there", o.name, l.Name)
			}
			p.flag(l, o, ok)
			continue
		}
		values := o.values(p.table, l.Header)
		n := values.first
		if ok {
			_, number, _ := strings.Cut(text.text, "=")
			if n, err = strconv.Atoi(number); err != nil || number[0] == '+' || n < values.first || n > values.last || (n-values.first)%values.step != 0 {
				return p.wrong(text.pos, text.end, "option %q of %s: %s can stand here", shorten(text.text), l.Name, values)
			}
		}
		if o.kind == ext {
			if ok {
				l.extend(n, o.when)
			} else if o.when.Size > 0 {
				l.know(header.Test{Off: o.when.Off, Size: o.when.Size, Mask: o.when.Mask})
			}
			continue
		}
		term := l.Len[o.term]
		if o.kind == count {
			n = n*unit(term) - least(l.Header)
		}
		l.know(termTest(term, n+least(l.Header)))
		if n > 0 {
			name := Options
			if len(l.Len) > 1 { // they are not behind all others
				name = o.name
			}
			l.Parts = append(l.Parts, Part{name, n})
		}
	}
	return nil
}

// flag sets what follows from an option without a value, given or not.
func (p *parser) flag(l *Layer, o option, given bool) {
	when := o.when
	if f, ok := l.Header.Field(o.field); ok {
		when = f.If
	}
	if !given {
		when.Value = 0
		if o.kind == flag || !l.has("ext") { // of GTP, any of three make it longer
			l.know(when)
		}
		return
	}
	before := l.sum(l.Len)
	l.know(when)
	switch {
	case o.kind == flag:
		l.Parts = append(l.Parts, Part{o.name, l.sum(l.Len) - before})
	case len(l.Parts) == 1:
		l.Parts = append(l.Parts, Part{Optional, int(p.table.Header(header.GTPSeq).Fixed)})
	}
}

// extend gives the layer extension headers of n bytes. When is how GTP's header says that
// there are some, which also makes it longer.
func (l *Layer) extend(n int, when header.Test) {
	l.ext, l.chained = n, true
	if when.Size > 0 {
		l.know(when)
		const words = 4 // sequence and N-PDU number, and which extension header comes first
		if len(l.Parts) == 1 {
			l.Parts = append(l.Parts, Part{Optional, words})
		}
	}
	l.Parts = append(l.Parts, Part{Extensions, n})
}

// shortest returns the least bytes that the header can have.
func shortest(h *header.Header) int { return int(max(h.Fixed, h.Min)) } // Fixed is less if the length term counts all of the header

// least returns how much the term of such a header counts at least.
func least(h *header.Header) int { return shortest(h) - int(h.Fixed) }

// steps is a range of numbers.
type steps struct{ first, last, step int }

func (s steps) String() string {
	if s.step == 1 {
		return fmt.Sprintf("%d to %d", s.first, s.last)
	}
	return fmt.Sprintf("%d to %d in steps of %d", s.first, s.last, s.step)
}

// values returns what numbers an option can have.
func (o option) values(t *header.Table, h *header.Header) steps {
	if o.kind == ext && h.ID == header.GTP {
		term := t.Header(header.GTPExt).Len[0]
		return steps{0, header.MaxRepeats * int(term.Of(term.Mask)), unit(term)}
	} else if o.kind == ext {
		return extensions(t)
	}
	term := h.Len[o.term]
	most, n := int(term.Of(term.Mask)), unit(term)
	switch {
	case o.kind == count:
		return steps{least(h) / n, most / n, 1}
	}
	return steps{0, most - least(h), n}
}

// unit returns the bytes that a term adds for each one in its field.
func unit(t header.LenTerm) int { return int(t.Of(t.Mask & -t.Mask)) }

// termTest returns the test that a term adds n bytes, which must be possible.
func termTest(t header.LenTerm, n int) header.Test {
	return header.Test{Off: t.Off, Size: t.Size, Mask: t.Mask, Value: uint32(n/unit(t)) << bits.TrailingZeros32(t.Mask)}
}

// lengthTest returns the test that a header with at most one length term has n
// bytes. It is empty if the header always has; ok is false if it never has.
func lengthTest(h *header.Header, n int) (t header.Test, ok bool) {
	if len(h.Len) == 0 {
		return t, n == int(h.Fixed)
	}
	term := h.Len[0]
	more := n - int(h.Fixed)
	if n < int(h.Min) || more%unit(term) != 0 || more > int(term.Of(term.Mask)) {
		return t, false
	}
	return termTest(term, more), true
}

// extensions returns how many bytes of extension headers there can be.
func extensions(t *header.Table) steps {
	var s steps
	for _, x := range t.All() {
		if x.Class != header.Extension {
			continue
		}
		if s.step == 0 {
			s.first, s.step = int(x.Min), int(x.Min)
		}
		s.first = min(s.first, int(x.Min))
		for _, term := range x.Len {
			s.step = min(s.step, unit(term))
			s.last = max(s.last, header.MaxExtensions*int(x.Fixed+term.Of(term.Mask)))
		}
	}
	return s
}

// Of returns the stack of a packet, for Parse, from the layers that
// header.Table.Walk has found in data. It is empty if there is none that a stack
// can have. Cooked link headers are left out; then the offsets are those behind an
// Ethernet header.
func Of(table *header.Table, layers []header.Layer, data []byte) string {
	var text []string
	for i := 0; i < len(layers); i++ {
		l := layers[i]
		name := l.Name
		switch {
		case implied(l.ID), cooked(l.ID), l.ID == header.Ether && i == 0 && len(layers) > 1:
			continue
		case l.ID == header.VLAN:
			if t, ok := layers[i-1].Value(data, "type"); ok && t != header.TypeVLAN {
				name = "qinq"
			}
		}
		behind := layers[i+1:]
		n := slices.IndexFunc(behind, func(b header.Layer) bool { return b.Class != header.Extension && !folded(b.ID) })
		if n >= 0 {
			behind = behind[:n]
		}
		i += len(behind)
		name += optionsOf(table, l, behind, data)
		text = append(text, name)
	}
	return strings.Join(text, "/")
}

// optionsOf returns the options of a layer of a packet, and those for the extension headers
// and the like behind it.
func optionsOf(table *header.Table, l header.Layer, behind []header.Layer, data []byte) string {
	text, bytes, last := "", 0, header.None
	for _, b := range behind {
		if last = b.ID; b.Class == header.Extension || b.ID == header.GTPExt {
			bytes += int(b.Bytes)
		}
	}
	for _, o := range options(l.Header) {
		switch o.kind {
		case flag:
			if f, _ := l.Field(o.field); l.Holds(data, f.If) {
				text += "," + o.name
			}
		case count:
			v, _ := l.Value(data, o.field)
			if n := int(v); n != o.values(table, l.Header).first {
				text += fmt.Sprintf(",%s=%d", o.name, n)
			}
		case extra:
			if n := int(l.Term(data, l.Len[o.term])) - least(l.Header); n > 0 {
				text += fmt.Sprintf(",%s=%d", o.name, n)
			}
		case ext:
			if bytes > 0 && l.Class == header.Network || last == header.GTPEnd {
				text += fmt.Sprintf(",%s=%d", o.name, bytes)
			}
		case bit:
			if last == header.GTPSeq && l.Holds(data, o.when) {
				text += "," + o.name
			}
		}
	}
	return text
}
