package filter

import (
	"slices"

	"github.com/tundump/tundump/filter/header"
	"github.com/tundump/tundump/filter/ir"
)

// tunnel holds if there is a tunnel header that its word means, with that identifier
// if it has one.
type tunnel struct {
	at    int // as in the leaves of the tree
	word  string
	hasID bool
	id    uint32
	in    *ir.Members // instead of id, if not nil
}

func (tunnel) isNode() {}

// tunnelWord is a primitive that stands for tunnels.
type tunnelWord struct {
	word string
	id   string // what the number behind it is called; "" if there is none
	most uint32 // that number's largest value
}

// tunnelWords returns the primitives that stand for tunnels, in the order of the
// documentation.
func tunnelWords() []tunnelWord {
	const bits10, bits16, bits24, bits32 = 1<<10 - 1, 1<<16 - 1, 1<<24 - 1, 1<<32 - 1
	return []tunnelWord{
		{"gre", "key", bits32},
		{"nvgre", "VSID", bits24},
		{"vxlan", "VNI", bits24},
		{"geneve", "VNI", bits24},
		{"ipip", "", 0},
		{"gtp", "TEID", bits32},
		{"erspan", "session", bits10},
		{"gpe", "VNI", bits24},
		{"nsh", "SPI", bits24},
		{"pptp", "call", bits16},
		{"l2tp", "session", bits32},
		{"etherip", "", 0},
		{"mplsip", "", 0},
		{"pw", "", 0},
		{"pbb", "I-SID", bits24},
		{"teredo", "", 0},
		{"gue", "", 0},
		{"tunnel", "identifier", bits32}, // any of them
	}
}

// isTunnelWord reports whether the token is the word of a tunnel primitive.
func isTunnelWord(t token) bool {
	return t.kind == keyword && slices.ContainsFunc(tunnelWords(), func(w tunnelWord) bool { return w.word == t.text })
}

// tunnel parses a tunnel primitive, which comes next.
func (p *parser) tunnel() (node, error) {
	t := p.next()
	n := tunnel{at: p.at(), word: t.text}
	set := p.startsSet()
	id, ok := p.peek(), set
	var err error
	if !set {
		id, ok, err = p.optionalNumber()
	}
	if err != nil || !ok {
		return n, err
	}
	words := tunnelWords()
	w := words[slices.IndexFunc(words, func(w tunnelWord) bool { return w.word == t.text })]
	if w.id == "" {
		return nil, p.errorf(id, "%s has no identifier", w.word)
	}
	if set {
		n.in, err = p.set(entries{numbers: true, most: w.most, what: w.id})
		n.hasID = true
		return n, err
	}
	if id.num > w.most {
		return nil, p.errorf(id, "%s %d is larger than %d", w.id, id.num, w.most)
	}
	n.hasID, n.id = true, id.num
	return n, nil
}

// selector says which tunnels are looked for: those of a primitive, or to walk
// on, every one whose payload is known.
type selector struct {
	tunnel *tunnel
	walk   bool
	// test says to leave Type alone, which describes the level that is tested.
	test bool
}

// matches reports whether the header is what the primitive's word means.
func (s selector) matches(h *header.Header) bool {
	if s.walk {
		return true
	}
	w := s.tunnel.word
	return w == "tunnel" || w == h.Word || w == "nvgre" && h.ID == header.GRE
}
