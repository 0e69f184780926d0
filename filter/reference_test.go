package filter

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"
	"testing"

	"github.com/tundump/tundump/filter/header"
	"github.com/tundump/tundump/filter/ir"
	"github.com/tundump/tundump/testdata/random"
)

func testOptions() Options {
	return Options{LinkType: header.LinkEthernet, Table: header.New(random.Ports()), Depth: header.DefaultDepth}
}

// reference says what an expression means for a packet in the plainest way: it
// walks the packet with the header table and interprets the tree, level by
// level. It shares neither the lowering nor the intermediate form.
type reference struct {
	opt    Options
	shifts []node
	data   []byte
	length uint32
	levels []spot
}

// spot is where a primitive looks.
type spot struct {
	// Inside a scope:
	scoped, exists bool
	start          int // of the level
	ether          bool
	typ            uint32 // EtherType of the network header
	l3             int
	proto          int // IP protocol, -1 if none
	l4             int // -1 if there is none
	tunnels        []header.Layer
	tags           []header.Layer
	// Outside: what starts with link at base, moved by the shifts from the index on.
	link    header.LinkType
	base    int
	typeOff int // of linkTyped, where the type is
	from    int
}

func newReference(opt Options, shifts []node, data []byte, length uint32) *reference {
	r := &reference{opt: opt, shifts: shifts, data: data, length: length, levels: make([]spot, opt.Depth+1)}
	layers := opt.Table.Walk(nil, opt.LinkType, data, opt.Depth)
	for i, l := range layers {
		p := &r.levels[l.Level]
		if !p.exists {
			*p = spot{exists: true, scoped: true, start: int(l.Off), proto: -1, l4: -1}
		}
		r.layer(p, l, i+1 < len(layers))
	}
	// A level that starts with a malformed header exists all the same.
	if n := len(layers); n > 0 && !layers[n-1].Starts() && layers[n-1].Level < opt.Depth {
		last := layers[n-1]
		next := last.Follows(data)
		if h := opt.Table.Header(next); h != nil && h.Starts() && int(last.End()+h.Min) <= len(data) {
			p := spot{exists: true, scoped: true, start: int(last.End()), proto: -1, l4: -1, l3: int(last.End()), typ: startType(next)}
			r.levels[last.Level+1] = p
		}
	}
	return r
}

// layer adds a header to its level.
func (r *reference) layer(p *spot, l header.Layer, more bool) {
	switch l.Class {
	case header.Link:
		p.ether = l.ID == header.Ether
		fallthrough
	case header.Tag:
		v, ok := l.Value(r.data, "type")
		if next := l.Follows(r.data); !ok && next == l.ID {
			v = p.typ // another label
		} else if !ok {
			v = startType(next)
		}
		p.typ, p.l3 = v, int(l.End())
		if l.Class == header.Tag {
			p.tags = append(p.tags, l)
		}
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
func (r *reference) eval(n node, p spot) (outcome, spot) {
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
	case phrase:
		return r.eval(n.x, p)
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

// place returns where p looks, outside scopes.
func (r *reference) place(p spot, at int) place {
	pl := startsWith(p.link)
	for _, n := range r.shifts[min(p.from, at):at] {
		if _, ok := n.(tunnel); !ok {
			pl = pl.behind(n)
		}
	}
	return pl
}

// network returns where the network header is.
func (r *reference) network(p spot, at int) int {
	if p.scoped {
		return p.l3
	}
	pl := r.place(p, at)
	return p.base + int(pl.payload+pl.network)
}

// typeOf returns the EtherType of what p looks at: 1 if it is none that counts.
func (r *reference) typeOf(p spot, at int) (uint32, bool) {
	if p.scoped {
		return p.typ, true
	}
	pl := r.place(p, at)
	if pl.labels > 0 {
		off := p.base + int(pl.payload+pl.network)
		bottom, ok := r.num(off-2, 1)
		if !ok || bottom&1 == 0 {
			return 1, ok
		}
		version, ok := r.num(off, 1)
		return map[uint32]uint32{4: header.TypeIP, 6: header.TypeIP6}[version>>4], ok
	}
	switch pl.link {
	case linkKnown:
		return p.typ, true
	case header.LinkEthernet:
		return r.num(p.base+int(pl.typ), 2)
	case linkTyped:
		return r.num(p.typeOff+int(pl.typ), 2)
	case header.LinkIPv4:
		return header.TypeIP, true
	case header.LinkIPv6:
		return header.TypeIP6, true
	case header.LinkPPP:
		v, ok := r.num(p.base+int(pl.typ), 2)
		for _, t := range []uint32{header.TypeIP, header.TypeIP6} {
			if pppProtocol(t) == v {
				return t, ok
			}
		}
		return v, ok
	}
	return 1, true
}

// number returns the value of n; ok is false where it is beyond the packet or divided by 0.
func (r *reference) number(n number32, p spot) (uint32, bool) {
	switch n := n.(type) {
	case constant:
		return n.v, true
	case packetLen:
		if p.scoped {
			return r.length - uint32(p.start), true
		}
		return r.length, true
	case field:
		index, ok := r.number(n.index, p)
		if !ok || p.scoped && index > 1<<30 {
			return 0, false
		}
		l3 := r.network(p, n.at)
		pl := r.place(p, n.at)
		variable := p.base
		off := map[base]int{fromNetwork: l3, fromTransport6: l3 + 40}[n.base]
		switch {
		case p.scoped && n.base == fromLink:
			if off = p.start; !p.ether {
				return 0, false
			}
		case p.scoped && n.base == fromPayload:
			off = p.l3
		case p.scoped && n.base == fromISO:
			off = p.l3 + 3
		case p.scoped && n.base >= fromTransport:
			if off = p.l4; off < 0 {
				return 0, false
			}
		case n.base == fromLink:
			if off = p.base + int(pl.header); p.from > 0 && pl.link != header.LinkEthernet && pl.link != header.LinkPPP && pl.link != linkTyped {
				return 0, false
			}
		case n.base == fromPayload:
			off = p.base + int(pl.payload)
		case n.base == fromISO:
			off = p.base + int(pl.payload+pl.iso)
		case n.base == fromTransport:
			ihl, ok := r.num(l3, 1)
			if !ok {
				return 0, false
			}
			off = l3 + int(ihl&15)*4
			variable += int(ihl&15) * 4
		}
		if p.scoped {
			return r.num(off+int(index), int(n.size))
		}
		// What is known only from the packet is added first, and may wrap around.
		v := uint32(variable) + index
		if v >= ir.Absent {
			return 0, false
		}
		return r.num(off-variable+int(v), int(n.size))
	case operation:
		a, aok := r.number(n.a, p)
		b, bok := r.number(n.b, p)
		if !aok || !bok || b == 0 && (n.op == divided || n.op == modulo) {
			return 0, false
		}
		switch n.op {
		case plus:
			return a + b, true
		case minus:
			return a - b, true
		case times:
			return a * b, true
		case divided:
			return a / b, true
		case modulo:
			return a % b, true
		case bitAnd:
			return a & b, true
		case bitOr:
			return a | b, true
		case bitXor:
			return a ^ b, true
		case shiftLeft:
			return a << b, true
		case shiftRight:
			return a >> b, true
		}
	}
	panic(fmt.Sprintf("%T", n))
}

func (r *reference) leaf(n node, p spot) outcome {
	switch n := n.(type) {
	case always:
		return yes
	case compare:
		for _, c := range n.checks {
			if o := r.leaf(c, p); o != yes {
				return o
			}
		}
		a, aok := r.number(n.a, p)
		b, bok := r.number(n.b, p)
		if !aok || !bok {
			return short
		}
		return truth(map[relation]bool{equal: a == b, notEqual: a != b, greater: a > b, greaterEqual: a >= b, less: a < b, lessEqual: a <= b}[n.op])
	case ether:
		at := p.base
		if p.scoped {
			if at = p.start; !p.ether {
				return no
			}
		} else {
			pl := r.place(p, n.at)
			if at += int(pl.header); pl.link != header.LinkEthernet {
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
	case framed:
		if p.scoped {
			return truth(p.ether)
		}
		return truth(r.place(p, n.at).link == header.LinkEthernet)
	case vlan:
		return r.vlan(n, p)
	case notLater:
		v, ok := r.num(r.network(p, n.at)+6, 2)
		if !ok {
			return short
		}
		return truth(v&0x1fff == 0)
	case linkProto:
		typ, ok := r.typeOf(p, n.at)
		if !ok {
			return short
		}
		return truth(typ == n.num)
	case proto:
		typ, ok := r.typeOf(p, n.at)
		switch {
		case !ok:
			return short
		case !slices.Contains(n.types, typ):
			return no
		}
		return r.proto(p, typ, r.network(p, n.at), []uint32{n.num})
	case host:
		typ, ok := r.typeOf(p, n.at)
		switch {
		case !ok:
			return short
		case !slices.Contains(n.types, typ):
			return no
		}
		return r.host(n, p, typ, r.network(p, n.at))
	case port:
		typ, ok := r.typeOf(p, n.at)
		switch {
		case !ok:
			return short
		case typ != header.TypeIP && typ != header.TypeIP6:
			return no
		}
		return r.port(n, p, typ, r.network(p, n.at))
	}
	panic(fmt.Sprintf("%T", n))
}

func (r *reference) vlan(n vlan, p spot) outcome {
	if p.scoped {
		for _, l := range p.tags {
			id, _ := l.Value(r.data, "id")
			if l.ID == header.VLAN && (!n.hasID || id == n.id) {
				return yes
			}
		}
		return no
	}
	typ, ok := r.typeOf(p, n.at)
	switch {
	case !ok:
		return short
	case typ != header.TypeVLAN && typ != header.TypeQinQ && typ != header.TypeQinQ1:
		return no
	case !n.hasID:
		return yes
	}
	id, ok := r.num(p.base+int(r.place(p, n.at).payload), 2)
	if !ok {
		return short
	}
	return truth(id&0xfff == n.id)
}

func (r *reference) host(n host, p spot, typ uint32, l3 int) outcome {
	offs := map[uint32][2]int{header.TypeIP: {12, 16}, header.TypeIP6: {8, 24}, header.TypeARP: {14, 24}, typeRARP: {14, 24}}[typ]
	for _, net := range n.nets {
		if net.is4 == (typ == header.TypeIP6) {
			continue
		}
		o := r.pair(n.dir, l3+offs[0], l3+offs[1], func(off int) outcome {
			if net.is4 {
				v, ok := r.num(off, 4)
				if !ok {
					return short
				}
				return truth(v&net.mask == net.addr)
			}
			want := net.prefix.Addr().AsSlice()
			for word := range 4 {
				got, ok := r.get(off+4*word, 4)
				if !ok {
					return short
				}
				for bit := 0; bit < 32 && 32*word+bit < net.prefix.Bits(); bit++ {
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
}

func (r *reference) port(n port, p spot, typ uint32, l3 int) outcome {
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

// proto4 is what port asks: the protocol right behind the network header.
func (r *reference) proto4(p spot, typ uint32, l3 int, nums []uint32) outcome {
	if p.scoped {
		return truth(p.proto >= 0 && slices.Contains(nums, uint32(p.proto)))
	}
	v, ok := r.num(l3+map[uint32]int{header.TypeIP: 9, header.TypeIP6: 6}[typ], 1)
	if !ok {
		return short
	}
	return truth(slices.Contains(nums, v))
}

func (r *reference) proto(p spot, typ uint32, l3 int, nums []uint32) outcome {
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
func (r *reference) tunnel(n tunnel, p spot) (outcome, spot) {
	found := p.tunnels
	if !p.scoped {
		typ, ok := r.typeOf(p, n.at)
		if !ok {
			return short, p
		}
		l3 := r.network(p, n.at)
		if n.word == "geneve" || n.word == "vxlan" {
			return r.udpTunnel(n, p, typ, l3)
		}
		if l3 < 0 || l3 > len(r.data) {
			return no, p
		}
		found = nil
		// An Ethernet header in front lets Walk find what has the EtherType.
		frame := append(binary.BigEndian.AppendUint16(make([]byte, 12), uint16(typ)), r.data[l3:]...)
		for i, l := range r.opt.Table.Walk(nil, header.LinkEthernet, frame, 1) {
			if l.Class == header.Tag {
				break
			}
			if i > 0 && l.Level == 0 && !l.Starts() {
				l.Off += uint32(l3) - 14
				found = append(found, l)
			}
		}
	}
	for _, l := range found {
		word := l.Class == header.Tunnel && (n.word == "tunnel" || n.word == l.Word || n.word == "nvgre" && l.ID == header.GRE)
		if !word || !r.identified(n, l) {
			continue
		}
		if p.scoped {
			return yes, p
		}
		last := found[len(found)-1]
		q := spot{link: header.LinkPPP + 1, base: int(last.End()), from: n.at + 1}
		switch last.Follows(r.data) {
		case header.Ether:
			if q.base+14 <= len(r.data) {
				q.link = header.LinkEthernet
			}
		case header.IP:
			q.link = header.LinkIPv4
		case header.IP6:
			q.link = header.LinkIPv6
		case header.MPLS:
			q.link, q.typ = linkKnown, header.TypeMPLS
		}
		return yes, q
	}
	return no, p
}

// udpTunnel is what libpcap takes for Geneve or VXLAN: right behind UDP, right behind IP.
func (r *reference) udpTunnel(n tunnel, p spot, typ uint32, l3 int) (outcome, spot) {
	if typ != header.TypeIP && typ != header.TypeIP6 {
		return no, p
	}
	ports := r.opt.Table.Ports.VXLAN
	if n.word == "geneve" {
		ports = r.opt.Table.Ports.Geneve
	}
	o := no
	for _, dport := range ports {
		if o = r.port(port{at: n.at, dir: dst, protos: []uint32{17}, lo: dport, hi: dport}, p, typ, l3); o != no {
			break
		}
	}
	if o != yes {
		return o, p
	}
	h := l3 + 48
	if typ == header.TypeIP {
		ihl, _ := r.num(l3, 1)
		h = l3 + int(ihl&15)*4 + 8
	}
	flags, ok := r.num(h, 1)
	if !ok {
		return short, p
	}
	if n.word == "geneve" && flags&0xc0 != 0 || n.word == "vxlan" && flags&8 == 0 {
		return no, p
	}
	if n.hasID {
		if v, ok := r.num(h+4, 4); !ok {
			return short, p
		} else if v>>8 != n.id {
			return no, p
		}
	}
	q := spot{link: header.LinkEthernet, base: h + 8, from: n.at + 1}
	if n.word == "geneve" {
		kind, ok := r.num(h+2, 2)
		if !ok {
			return short, p
		}
		q.base += int(flags&0x3f) * 4
		if kind != header.TypeTEB {
			q.link, q.typeOff = linkTyped, h+2
		}
	}
	return yes, q
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
	matched, total, cut := 0, 0, 0
	for range random.Rounds(1500) {
		text := g.Expr(1 + g.IntN(6))
		tree, shifts, err := parse(text, opt)
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
			o, _ := newReference(opt, shifts, data, length).eval(tree, spot{link: opt.LinkType})
			m := ir.Meta{Len: length}
			if o == short && !usesTunnels(tree) {
				// What is tested in between need not be looked at, as in libpcap: TestTcpdump
				// asks it.
				cut++
				continue
			}
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
	if cut > total/20 {
		t.Errorf("%d of %d packets end too early: the test says little", cut, total)
	}
	if matched < total/20 || matched > total*19/20 {
		t.Errorf("%d of %d matched: the test says little", matched, total)
	}
}
