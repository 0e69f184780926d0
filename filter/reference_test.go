package filter

import (
	"bytes"
	"fmt"
	"math/bits"
	"slices"
	"testing"

	"github.com/tundump/tundump/filter/header"
	"github.com/tundump/tundump/filter/ir"
	"github.com/tundump/tundump/testdata/random"
)

func testOptions() Options {
	return Options{LinkType: header.LinkEthernet, Table: header.New(header.DefaultPorts()), Depth: header.DefaultDepth}
}

// reference says what an expression means for a packet in the plainest way: it
// walks the packet with the header table and interprets the tree, level by
// level. It shares neither the lowering nor the intermediate form.
type reference struct {
	opt    Options
	data   []byte
	length uint32
	levels []place
}

// place is where a primitive looks.
type place struct {
	exists         bool
	start          int // of the level
	ether          bool
	typ            uint32 // EtherType of the network header
	l3             int
	proto          int // IP protocol, -1 if none
	l4             int // -1 if there is none
	tunnels        []header.Layer
	scoped, behind bool // behind a tunnel primitive
}

func newReference(opt Options, data []byte, length uint32) *reference {
	r := &reference{opt: opt, data: data, length: length, levels: make([]place, opt.Depth+1)}
	layers := opt.Table.Walk(nil, opt.LinkType, data, opt.Depth)
	for i, l := range layers {
		p := &r.levels[l.Level]
		if !p.exists {
			*p = place{exists: true, scoped: true, start: int(l.Off), proto: -1, l4: -1}
		}
		r.layer(p, l, i+1 < len(layers))
	}
	// A level that starts with a malformed header exists all the same.
	if n := len(layers); n > 0 && layers[n-1].Class == header.Tunnel && layers[n-1].Level < opt.Depth {
		last := layers[n-1]
		next := last.Follows(data)
		if h := opt.Table.Header(next); h != nil && h.Class != header.Tunnel && int(last.End()+h.Min) <= len(data) {
			p := place{exists: true, scoped: true, start: int(last.End()), proto: -1, l4: -1, l3: int(last.End()), typ: startType(next)}
			r.levels[last.Level+1] = p
		}
	}
	return r
}

// layer adds a header to its level.
func (r *reference) layer(p *place, l header.Layer, more bool) {
	switch l.Class {
	case header.Link:
		p.ether = l.ID == header.Ether
		fallthrough
	case header.Tag:
		v, _ := l.Value(r.data, "type")
		p.typ, p.l3 = v, int(l.End())
	case header.Network, header.Extension:
		if p.l3 == 0 || l.Class == header.Network {
			p.l3 = int(l.Off)
			if t := startType(l.ID); t != 0 {
				p.typ = t
			}
		}
		if v, ok := l.Value(r.data, "proto"); ok {
			p.proto = int(v)
		}
		p.l4 = int(l.End())
		if l.Later || l.ID == header.ARP {
			p.l4 = -1
		}
	case header.Tunnel:
		p.tunnels = append(p.tunnels, l)
	}
	if !more && (l.Class == header.Network || l.Class == header.Extension) && p.l4 >= 0 {
		// What follows may be an extension header that is cut or too far in.
		if next := l.Follows(r.data); next != header.None {
			if h := r.opt.Table.Header(next); h.Class == header.Extension {
				p.l4 = -1
			}
		}
	}
}

// outcome is what a primitive comes to; short means that the packet ends before
// what it needs.
type outcome int

const (
	no outcome = iota
	yes
	short
)

func truth(b bool) outcome {
	if b {
		return yes
	}
	return no
}

// eval returns the outcome at p, and where a primitive behind n looks.
func (r *reference) eval(n node, p place) (outcome, place) {
	switch n := n.(type) {
	case and:
		o, q := r.eval(n.a, p)
		if o != yes {
			return o, q
		}
		return r.eval(n.b, q)
	case or:
		o, q := r.eval(n.a, p)
		if o != no {
			return o, q
		}
		return r.eval(n.b, q)
	case not:
		switch o, q := r.eval(n.x, p); o {
		case yes:
			return no, q
		case no:
			return yes, q
		default:
			return o, q
		}
	case scope:
		for i := n.first; i <= n.last; i++ {
			if l := r.levels[i]; l.exists {
				if o, _ := r.eval(n.x, l); o == yes {
					return yes, p
				}
			}
		}
		return no, p
	case tunnel:
		return r.tunnel(n, p)
	}
	o := r.leaf(n, p)
	if o == short && p.scoped {
		o = no
	}
	return o, p
}

// get returns size bytes at off.
func (r *reference) get(off, size int) ([]byte, bool) {
	if off < 0 || off+size > len(r.data) {
		return nil, false
	}
	return r.data[off : off+size], true
}

func (r *reference) num(off, size int) (v uint32, ok bool) {
	b, ok := r.get(off, size)
	for _, c := range b {
		v = v<<8 | uint32(c)
	}
	return v, ok
}

// typeOf returns the EtherType where p looks.
func (r *reference) typeOf(p place) (uint32, bool) {
	if p.scoped || p.behind {
		return p.typ, true
	}
	return r.num(12, 2)
}

func (r *reference) leaf(n node, p place) outcome {
	l3 := p.l3
	if !p.scoped && !p.behind {
		l3 = 14
	}
	switch n := n.(type) {
	case always:
		return yes
	case length:
		v := r.length
		if p.scoped {
			v -= uint32(p.start)
		}
		return truth(map[relation]bool{equal: v == n.n, notEqual: v != n.n, greater: v > n.n, greaterEqual: v >= n.n, less: v < n.n, lessEqual: v <= n.n}[n.op])
	case ether:
		at := 0
		if p.scoped || p.behind {
			if at = p.start; !p.ether {
				return no
			}
		}
		return r.pair(n.dir, at+6, at, func(off int) outcome {
			// libpcap compares the last four bytes first.
			b, ok := r.get(off+2, 4)
			if !ok {
				return short
			}
			if !bytes.Equal(b, n.mac[2:]) {
				return no
			}
			if b, ok = r.get(off, 2); !ok {
				return short
			}
			return truth(bytes.Equal(b, n.mac[:2]))
		})
	}
	typ, ok := r.typeOf(p)
	if !ok {
		return short
	}
	switch n := n.(type) {
	case etherType:
		return truth(typ == n.num)
	case proto:
		if !slices.Contains(n.types, typ) {
			return no
		}
		return r.proto(p, typ, l3, []uint32{n.num})
	case host:
		if !slices.Contains(n.types, typ) {
			return no
		}
		offs := map[uint32][2]int{header.TypeIP: {12, 16}, header.TypeIP6: {8, 24}, header.TypeARP: {14, 24}, typeRARP: {14, 24}}[typ]
		for _, net := range n.nets {
			if net.Addr().Is6() != (typ == header.TypeIP6) {
				continue
			}
			o := r.pair(n.dir, l3+offs[0], l3+offs[1], func(off int) outcome {
				want := net.Addr().AsSlice()
				for word := 0; 32*word < net.Bits(); word++ {
					got, ok := r.get(off+4*word, 4)
					if !ok {
						return short
					}
					for bit := 0; bit < 32 && 32*word+bit < net.Bits(); bit++ {
						if (got[bit/8]^want[4*word+bit/8])&(0x80>>(bit%8)) != 0 {
							return no
						}
					}
				}
				return yes
			})
			if o != no {
				return o
			}
		}
		return no
	case port:
		if typ != header.TypeIP && typ != header.TypeIP6 {
			return no
		}
		if o := r.proto4(p, typ, l3, n.protos); o != yes {
			return o
		}
		l4 := p.l4
		if !p.scoped {
			if l4 = l3 + 40; typ == header.TypeIP {
				frag, ok := r.num(l3+6, 2)
				if !ok {
					return short
				}
				if frag&0x1fff != 0 {
					return no
				}
				ihl, _ := r.num(l3, 1)
				l4 = l3 + int(ihl&15)*4
			}
		} else if l4 < 0 {
			return no
		}
		return r.pair(n.dir, l4, l4+2, func(off int) outcome {
			v, ok := r.num(off, 2)
			if !ok {
				return short
			}
			return truth(v >= uint32(n.lo) && v <= uint32(n.hi))
		})
	}
	panic(fmt.Sprintf("%T", n))
}

// proto4 is what port asks: the protocol right behind the network header.
func (r *reference) proto4(p place, typ uint32, l3 int, nums []uint32) outcome {
	if p.scoped {
		return truth(p.proto >= 0 && slices.Contains(nums, uint32(p.proto)))
	}
	v, ok := r.num(l3+map[uint32]int{header.TypeIP: 9, header.TypeIP6: 6}[typ], 1)
	if !ok {
		return short
	}
	return truth(slices.Contains(nums, v))
}

func (r *reference) proto(p place, typ uint32, l3 int, nums []uint32) outcome {
	o := r.proto4(p, typ, l3, nums)
	if o != no || typ != header.TypeIP6 {
		return o
	}
	if v, ok := r.num(l3+6, 1); p.scoped {
		return truth(ok && slices.Contains(nums, v))
	} else if v != 44 {
		return no
	}
	v, ok := r.num(l3+40, 1)
	if !ok {
		return short
	}
	return truth(slices.Contains(nums, v))
}

func (r *reference) pair(d direction, srcOff, dstOff int, test func(off int) outcome) outcome {
	switch d {
	case src:
		return test(srcOff)
	case dst:
		return test(dstOff)
	}
	o := test(srcOff)
	if d == srcOrDst && o == no || d == srcAndDst && o == yes {
		return test(dstOff)
	}
	return o
}

// tunnel finds a tunnel header at p's level, or outside scopes behind where p looks.
func (r *reference) tunnel(n tunnel, p place) (outcome, place) {
	found := p.tunnels
	if !p.scoped {
		typ, ok := r.typeOf(p)
		if !ok {
			return short, p
		}
		l3 := p.l3
		if !p.behind {
			l3 = 14
		}
		link := map[uint32]header.LinkType{header.TypeIP: header.LinkIPv4, header.TypeIP6: header.LinkIPv6}[typ]
		if link == 0 || l3 < 0 || l3 > len(r.data) {
			return no, p
		}
		found = nil
		for _, l := range r.opt.Table.Walk(nil, link, r.data[l3:], 1) {
			if l.Level == 0 && l.Class == header.Tunnel {
				l.Off += uint32(l3)
				found = append(found, l)
			}
		}
	}
	for _, l := range found {
		word := n.word == "tunnel" || n.word == l.Word || n.word == "nvgre" && l.ID == header.GRE
		if !word || !r.identified(n, l) {
			continue
		}
		q := place{behind: true, start: -1, l3: -1, proto: -1, l4: -1}
		if p.scoped {
			return yes, p
		}
		last := found[len(found)-1]
		next := last.Follows(r.data)
		if h := r.opt.Table.Header(next); h != nil && h.Class == header.Tunnel {
			return yes, q // and that one is cut or wrong
		}
		at := int(last.End())
		switch next {
		case header.Ether:
			if t, ok := r.num(at+12, 2); ok {
				q.ether, q.start, q.typ, q.l3 = true, at, t, at+14
			}
		case header.IP, header.IP6:
			q.typ, q.l3 = startType(next), at
		}
		return yes, q
	}
	return no, p
}

func (r *reference) identified(n tunnel, l header.Layer) bool {
	proto, _ := l.Value(r.data, "proto")
	vsid, hasVSID := l.Value(r.data, "vsid")
	isNVGRE := l.ID == header.GRE && proto == 0x6558
	if isNVGRE = isNVGRE && hasVSID; n.word == "nvgre" {
		if !n.hasID {
			// The key's presence is what counts.
			flags, _ := l.Value(r.data, "flags")
			return l.ID == header.GRE && proto == 0x6558 && flags&0x2000 != 0
		}
		return isNVGRE && vsid == n.id
	}
	if !n.hasID {
		return true
	}
	if n.word == "tunnel" && isNVGRE && vsid == n.id {
		return true
	}
	if l.TunnelID == "" {
		return false
	}
	f, _ := l.Field(l.TunnelID)
	v, ok := l.Value(r.data, l.TunnelID)
	return ok && v == n.id && (f.Mask == 0 || n.id <= f.Mask>>bits.TrailingZeros32(f.Mask))
}

// TestReference compares the compiled program with the reference, on random
// expressions and packets. It fails if a header, operator or primitive was never made.
func TestReference(t *testing.T) {
	opt := testOptions()
	g := random.New(1)
	matched, total := 0, 0
	for range random.Rounds(1500) {
		text := g.Expr(1 + g.IntN(6))
		tree, err := parse(text, opt)
		if err != nil {
			t.Fatalf("%s\n%v", text, err)
		}
		p, err := Compile(text, opt)
		if err != nil {
			t.Fatalf("%s\n%v", text, err)
		}
		unrolled := p.Unroll()
		if err := unrolled.Verify(); err != nil {
			t.Fatalf("%s\nunrolled: %v", text, err)
		}
		for range 100 {
			data := g.Packet(4)
			length := uint32(len(data))
			if g.IntN(8) == 0 {
				length += uint32(g.IntN(100))
			}
			o, _ := newReference(opt, data, length).eval(tree, place{})
			m := ir.Meta{Len: length}
			if got := p.Match(data, m); got != (o == yes) {
				t.Fatalf("%s\non %x, %d bytes on the wire\nis %v, want %v\ntree %#v", text, data, length, got, o == yes, tree)
			}
			if got := unrolled.Match(data, m); got != (o == yes) {
				t.Fatalf("%s\non %x\nunrolled is %v", text, data, got)
			}
			if total++; o == yes {
				matched++
			}
		}
	}
	if missing := g.Missing(); missing != nil {
		t.Errorf("never generated: %q", missing)
	}
	if matched < total/20 || matched > total*19/20 {
		t.Errorf("%d of %d matched: the test says little", matched, total)
	}
}
