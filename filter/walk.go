package filter

import (
	"math/bits"
	"slices"

	"github.com/tundump/tundump/filter/header"
	"github.com/tundump/tundump/filter/ir"
)

// This file builds the walk through the levels of a packet. It never rejects:
// what is not there leaves Absent in the register of its offset, and ends the walk.
// A level exists if its first header's fixed part was captured.

// noType is what Type holds where nothing is known of what follows; a small number would
// be the length of an LLC frame.
const noType = 1 << 16

// noProto is what Proto holds where there is no IP protocol.
const noProto = 256

// startType returns the number by which the registers Type and Kind know what starts
// with the header: its EtherType if it has one, else a number that is no EtherType.
func startType(id header.ID) uint32 {
	switch id {
	case header.None:
		return 0
	case header.Ether:
		return header.TypeTEB
	case header.IP:
		return header.TypeIP
	case header.IP6:
		return header.TypeIP6
	case header.ARP:
		return header.TypeARP
	case header.MPLS:
		return header.TypeMPLS
	case header.PBB:
		return header.TypePBB
	case header.NSH:
		return header.TypeNSH
	}
	return 1<<16 + uint32(id)
}

// scope builds the walk that tests s.x at the levels of the scope.
func (l *lowerer) scope(s scope, yes, no block) block {
	test := func(wire bool, yes, no block) block {
		to := func(n block) cont { return func(frame) block { return n } }
		return l.expr(s.x, frame{scoped: true, wire: wire}, to(yes), to(no))
	}
	needsTransport := anyOf(s.x, looksAtTransport)
	// here tests the expression at a level whose link header has been walked,
	// and goes on with deeper, which needs the transport header.
	here := func(l *lowerer, wire bool, no, deeper block) block {
		switch {
		case deeper == no && !needsTransport:
			return test(wire, yes, no)
		case needsTransport:
			n := test(wire, yes, deeper)
			return l.toTransport(n, n)
		}
		return test(wire, yes, l.toTransport(deeper, no))
	}
	if s.last == 0 {
		return l.wire(here(l, true, no, no), no)
	}

	// A turn of the loop goes from what is behind a transport header, or instead of
	// one, through a tunnel to the same place of the next level.
	head := l.head(set(ir.Proto, ir.L4, ir.Level) | l.reads(yes) | l.reads(no))
	// Most packets have no tunnel, or none within it.
	unlessTCP := func(n block) block { return l.add(nil, ir.Eq, ir.Proto, ir.Imm(protoTCP), no, n) }
	again := no
	if s.last > 1 {
		again = unlessTCP(l.add(nil, ir.Again, ir.Level, ir.Imm(uint32(s.last-1)), head, no))
	}
	in := l.following(ignored)
	if needsTransport {
		in = l.following(inner)
	}
	body := here(in, false, no, again)
	if s.first > 1 { // one level only, and not the first
		body = l.add(nil, ir.Eq, ir.Level, ir.Imm(uint32(s.first-1)), here(in, false, no, no), in.toTransport(again, no))
	}
	l.loop(head, l.tunnel(selector{walk: true}, l.level(body, no), no))
	deeper := unlessTCP(l.do(head, mov(ir.Level, 0)))
	if s.first > 0 {
		return l.wire(l.toTransport(deeper, no), no)
	}
	return l.wire(here(l, true, no, deeper), no)
}

// looksAtTransport reports whether a node needs to know what the network header carries.
func looksAtTransport(n node) bool {
	switch n := n.(type) {
	case proto, port, tunnel:
		return true
	case compare:
		return slices.ContainsFunc(n.checks, looksAtTransport)
	}
	return false
}

// wire builds the walk over the link header of level 0, in front of next. If
// there is no level 0, it goes to none.
func (l *lowerer) wire(next, none block) block {
	rules := l.opt.LinkType.First()
	tags := l.tags(next)
	n := none
	for _, r := range slices.Backward(rules) {
		hit := l.first(r.To, addr{ir.NoReg, 0}, next, tags, none)
		if r.If.Size == 0 {
			n = hit
		} else {
			n = l.equals(addr{ir.NoReg, uint32(r.If.Off)}, r.If.Size, r.If.Mask, r.If.Value, hit, n)
		}
	}
	if len(rules) > 1 {
		n = l.within(addr{ir.NoReg, 0}, 1, n, none)
	}
	return n
}

// level builds the walk over the link header of the level that starts at Cur
// with what Type says.
func (l *lowerer) level(next, none block) block {
	tags := l.tags(next)
	n := none
	for _, id := range []header.ID{header.MPLS, header.IP6, header.IP, header.Ether} {
		if l.opt.Table.Header(id) == nil {
			continue
		}
		n = l.add(nil, ir.Eq, ir.Type, ir.Imm(startType(id)), l.first(id, addr{ir.Cur, 0}, next, tags, none), n)
	}
	return n
}

// first builds the walk over a level's first header: it sets L2, Kind, Type and L3, and
// goes to next, or where there may be tags behind it, or it is one, to tags.
func (l *lowerer) first(id header.ID, at addr, next, tags, none block) block {
	h := l.opt.Table.Header(id)
	code := []ir.Instr{at.mov(ir.L2), mov(ir.Kind, startType(id))}
	switch h.Class {
	case header.Link:
		f, _ := h.Field(h.Next.By)
		code = append(code, at.plus(h.Fixed).mov(ir.L3))
		if next = tags; carriesTypes(h) {
			code = append(code, load(ir.Type, at.plus(uint32(f.Off)), f.Size))
			break
		}
		var values []uint32
		var to []block
		for _, r := range h.Next.Rules {
			values, to = append(values, r.Value), append(to, l.do(tags, mov(ir.Type, startType(r.To))))
		}
		next = l.among(ir.T0, values, to, l.do(tags, mov(ir.Type, noType)))
		code = append(code, load(ir.T0, at.plus(uint32(f.Off)), f.Size))
	case header.Tag:
		next = tags
		fallthrough
	default:
		code = append(code, mov(ir.Type, startType(id)), at.mov(ir.L3))
	}
	return l.within(at, h.Min, l.do(next, code...), none)
}

// tags builds the loop over what is between the link and the network header, at L3, as
// Type says.
func (l *lowerer) tags(next block) block {
	head := l.head(set(ir.Type, ir.L3, ir.Ext) | l.reads(next))
	again := l.add(nil, ir.Again, ir.Ext, ir.Imm(header.MaxTags-1), head, next)
	n := next
	read := l.read(l.opt.Table.Header(header.VLAN), addr{ir.L3, 0}).share()
	var values []uint32 // those that are as short as a VLAN tag, which are read together
	var short []block
	for _, r := range slices.Backward(l.opt.Table.Header(header.Ether).Next.Rules) {
		switch h := l.opt.Table.Header(r.To); {
		case h.Class != header.Tag:
		case h.Min == read.h.Min:
			values = append(values, r.Value)
			short = append(short, l.overTag(read.of(h), again, next))
		default:
			n = l.add(nil, ir.Eq, ir.Type, ir.Imm(r.Value), l.overTag(l.read(h, read.addr), again, next), n)
		}
	}
	n = l.among(ir.Type, values, slices.Repeat([]block{read.loaded(l.oneOf(ir.Type, values, short), next)}, len(values)), n)
	l.loop(head, n)
	// Most packets have none.
	types := ipTypes()
	return l.among(ir.Type, types, slices.Repeat([]block{next}, len(types)), l.do(head, mov(ir.Ext, 0)))
}

// overTag builds the walk over one tag at L3: to again where another one may follow,
// else to next. If it is cut or malformed, Type stays what led here.
func (l *lowerer) overTag(at reading, again, next block) block {
	h, end := at.h, at.plus(at.h.Fixed)
	to := func(n block, code ...ir.Instr) block { return l.do(n, append(code, end.mov(ir.L3))...) }
	f, ok := h.Field(h.Next.By)
	var n block
	if ok && carriesTypes(h) {
		n = to(again, at.field(ir.Type, f)...)
	} else {
		n = l.rules(at, end, ir.T2, to(next, mov(ir.Type, noType)), func(r header.Rule) block {
			switch {
			case r.To == h.ID: // and Type stays
				return to(again)
			case l.opt.Table.Header(r.To).Class == header.Tag:
				return to(again, mov(ir.Type, startType(r.To)))
			}
			return to(next, mov(ir.Type, startType(r.To)))
		})
		if ok {
			n = l.do(n, at.field(ir.T2, f)...)
		}
	}
	return at.there(n, next)
}

// carriesTypes reports whether the header names what follows by an EtherType, whatever
// that is.
func carriesTypes(h *header.Header) bool { return h.Next.By == "type" }

// linkTunnels returns the types of the tunnel headers that stand where a network header
// could, and the headers.
func (l *lowerer) linkTunnels() (types []uint32, ids []header.ID) {
	for _, id := range []header.ID{header.Ether, header.MPLS} {
		from := l.opt.Table.Header(id)
		if from == nil {
			continue
		}
		for _, r := range from.Next.Rules {
			if h := l.opt.Table.Header(r.To); h != nil && h.Class == header.Tunnel && !slices.Contains(ids, r.To) {
				types, ids = append(types, startType(r.To)), append(ids, r.To)
			}
		}
	}
	return types, ids
}

// toTransport builds the walk over the network header at L3, and the extension
// headers behind it: it sets Proto and L4 and goes to next. Where there is no
// transport header, because something is cut, or in a fragment other than the
// first, L4 is Absent, and it goes to none. A tunnel header that stands where a
// network header could is taken for the transport header: Proto is its type, which is
// no IP protocol.
func (l *lowerer) toTransport(next, none block) block {
	bad := l.do(none, mov(ir.Proto, noProto), mov(ir.L4, ir.Absent))
	ip, ip6 := l.opt.Table.Header(header.IP), l.opt.Table.Header(header.IP6)
	extensions := l.extensions(ip6.Next.Rules, next, none)
	// Behind IPv4 most of their numbers mean something else.
	behindIP := next
	for _, r := range ip.Next.Rules {
		if l.opt.Table.Header(r.To).Class == header.Extension {
			behindIP = l.add(nil, ir.Eq, ir.Proto, ir.Imm(r.Value), extensions, behindIP)
		}
	}
	types, _ := l.linkTunnels()
	tunnel := l.do(next, move(ir.Proto, ir.Type), move(ir.L4, ir.L3))
	n := l.among(ir.Type, types, slices.Repeat([]block{tunnel}, len(types)), bad)
	return l.among(ir.Type, []uint32{header.TypeIP, header.TypeIP6},
		[]block{l.over(l.read(ip, addr{ir.L3, 0}), behindIP, none, bad), l.over(l.read(ip6, addr{ir.L3, 0}), extensions, none, bad)}, n)
}

// extensions builds the loop over extension headers.
func (l *lowerer) extensions(rules []header.Rule, next, none block) block {
	carried := set(ir.Proto, ir.L4, ir.Ext)
	if l.fragments != ignored {
		carried |= set(ir.L3)
	}
	head := l.head(carried | l.reads(next) | l.reads(none))
	again := l.add(nil, ir.Again, ir.Ext, ir.Imm(header.MaxExtensions-1), head, next)
	absent := l.do(none, mov(ir.L4, ir.Absent))
	// All of them have so much in common that they are read together.
	var kinds []header.Rule
	for _, r := range rules {
		if l.opt.Table.Header(r.To).Class == header.Extension {
			kinds = append(kinds, r)
		}
	}
	var values []uint32
	var to []block
	at := l.read(l.opt.Table.Header(kinds[0].To), addr{ir.L4, 0}).share()
	for _, r := range kinds {
		values = append(values, r.Value)
		to = append(to, l.over(at.of(l.opt.Table.Header(r.To)), again, none, absent))
	}
	over := at.loaded(l.oneOf(ir.Proto, values, to), absent)
	l.loop(head, l.among(ir.Proto, values, slices.Repeat([]block{over}, len(values)), next))
	return l.do(head, mov(ir.Ext, 0))
}

// oneOf is among for a register that has one of the values: no test is needed for the block that
// most of them lead to.
func (l *lowerer) oneOf(r ir.Reg, values []uint32, to []block) block {
	times := map[block]int{}
	most := to[0]
	for _, n := range to {
		if times[n]++; times[n] > times[most] {
			most = n
		}
	}
	n := most
	for i, v := range values {
		if to[i] != most {
			n = l.add(nil, ir.Eq, r, ir.Imm(v), to[i], n)
		}
	}
	return n
}

// over builds the walk over a network or extension header: it sets Proto and L4,
// and goes to next, or to later behind a fragment other than the first, with L4 Absent. What
// is cut or malformed goes to bad.
func (l *lowerer) over(at reading, next, later, bad block) block {
	h, base := at.h, at.reg
	f, _ := h.Field(h.Next.By)
	proto := at.field(ir.Proto, f)
	var n block
	if h.Fixed < h.Min { // the length may come out as too short: an IHL below 5
		n = l.do(next, append(proto, ir.Instr{Op: ir.Add, Dst: ir.L4, A: base, B: ir.R(ir.T2)})...)
		n = l.add(append([]ir.Instr{mov(ir.T2, h.Fixed)}, at.terms(h.Len, ir.T2)...), ir.Ge, ir.T2, ir.Imm(h.Min), n, bad)
	} else {
		n = l.do(next, slices.Concat([]ir.Instr{at.plus(h.Fixed).mov(ir.L4)}, at.terms(h.Len, ir.L4), proto)...)
	}
	if h.Later.Size > 0 {
		n = l.fragment(at, n, l.do(later, append(at.field(ir.Proto, f), mov(ir.L4, ir.Absent))...))
	}
	return at.there(n, bad)
}

// test builds a test of the bytes at a, which must be within the packet.
func (l *lowerer) test(t header.Test, a addr, yes, no block) block {
	if t.Size == 0 {
		return yes
	}
	return l.equals(a.plus(uint32(t.Off)), t.Size, t.Mask, t.Value, yes, no)
}

// peek builds the test of what is at a, which need not be within the packet.
func (l *lowerer) peek(t header.Test, a addr, yes, no block) block {
	if t.Size == 0 {
		return yes
	}
	return l.within(a, uint32(t.Off)+uint32(t.Size), l.test(t, a, yes, no), no)
}

// rules builds the branches by what a header that ends at end says follows it. The field that Next.By names is in the register by.
func (l *lowerer) rules(at reading, end addr, by ir.Reg, unknown block, to func(r header.Rule) block) block {
	n := unknown
	rules := at.h.Next.Rules
	for i := len(rules) - 1; i >= 0; i-- {
		// The If that several rules have in a row is tested once.
		r := rules[i]
		others := n
		for ; i >= 0 && rules[i].If == r.If && rules[i].Value == r.Value; i-- {
			hit := unknown
			if rules[i].To != header.None {
				hit = to(rules[i])
			}
			n = l.peek(rules[i].Peek, end, hit, n)
		}
		i++
		n = at.test(r.If, n, others)
		if at.h.Next.By != "" {
			n = l.add(nil, ir.Eq, by, ir.Imm(r.Value), n, others)
		}
	}
	return n
}

// tunnel builds the test for a tunnel header at L4, behind what Proto says, and goes
// to yes with Cur and Type set to where and how the next level starts. Where a
// primitive has found its tunnel, and cannot tell what is in it, Cur is Absent. L4 is
// changed, but for a selector with test set.
func (l *lowerer) tunnel(s selector, yes, no block) block {
	if s.test {
		yes, no = l.do(yes, move(ir.L4, ir.Ext)), l.do(no, move(ir.L4, ir.Ext))
	}
	// by builds the branches by the values in a register; what they lead to is at L4.
	by := func(reg ir.Reg, rules []header.Rule) block {
		groups, together := l.group(rules)
		n := no
		if len(together) > 0 {
			at := l.read(l.opt.Table.Header(together[0].To), addr{ir.L4, 0}).share()
			for _, r := range slices.Backward(together) {
				n = l.add(nil, ir.Eq, reg, ir.Imm(r.Value), l.into(at.of(l.opt.Table.Header(r.To)), s, yes, no), n)
			}
			n = at.loaded(n, no)
		}
		for _, g := range slices.Backward(groups) {
			n = l.add(nil, ir.Eq, reg, ir.Imm(g[0].Value), l.sameValue(g, s, yes, no), n)
		}
		return n
	}
	udp := l.opt.Table.Header(header.UDP)
	port, _ := udp.Field(udp.Next.By)
	behindUDP := l.within(addr{ir.L4, 0}, udp.Min, l.do(by(ir.T0, udp.Next.Rules),
		load(ir.T0, addr{ir.L4, uint32(port.Off)}, port.Size), addr{ir.L4, udp.Fixed}.mov(ir.L4)), no)

	var rules []header.Rule
	for _, r := range l.opt.Table.Header(header.IP).Next.Rules {
		if l.opt.Table.Header(r.To).Class == header.Tunnel {
			rules = append(rules, r)
		}
	}
	types, ids := l.linkTunnels()
	for i, typ := range types {
		rules = append(rules, header.Rule{Value: typ, To: ids[i]})
	}
	n := l.add(nil, ir.Eq, ir.Proto, ir.Imm(protoUDP), behindUDP, by(ir.Proto, rules))
	if s.test {
		n = l.do(n, move(ir.Ext, ir.L4))
	}
	return n
}

// group divides rules to tunnel headers by their values. Of those with a value of their own
// together has headers that are equally long and can be read together; what else stands
// at a packet's place is then no longer asked for.
func (l *lowerer) group(rules []header.Rule) (groups [][]header.Rule, together []header.Rule) {
	for _, r := range rules {
		if l.opt.Table.Header(r.To).Class != header.Tunnel {
			continue
		}
		i := slices.IndexFunc(groups, func(g []header.Rule) bool { return g[0].Value == r.Value })
		if i < 0 {
			groups = append(groups, []header.Rule{r})
		} else {
			groups[i] = append(groups[i], r)
		}
	}
	common := func(g []header.Rule) bool {
		h := l.opt.Table.Header(g[0].To)
		return len(g) == 1 && h.Min == 8 && l.read(h, addr{ir.L4, 0}).short()
	}
	for _, g := range groups {
		if common(g) {
			together = append(together, g[0])
		}
	}
	if len(together) < 2 {
		return groups, nil
	}
	return slices.DeleteFunc(groups, common), together
}

// sameValue builds the test for the tunnel headers that rules with the same value lead to.
func (l *lowerer) sameValue(rules []header.Rule, s selector, yes, no block) block {
	n := no
	for _, r := range slices.Backward(rules) {
		at := l.read(l.opt.Table.Header(r.To), addr{ir.L4, 0})
		n = l.peek(r.Peek, at.addr, l.into(at, s, yes, no), n)
	}
	return n
}

// into builds the test for one tunnel header at L4, which may carry another one on
// the same level, as GRE does ERSPAN.
func (l *lowerer) into(at reading, s selector, yes, no block) block {
	if s.walk {
		return l.payload(at, yes, no)
	}
	h := at.h
	n := no
	if l.leadsTo(h, s) {
		n = l.carried(at, ir.T2, no, func(r header.Rule) block {
			if l.opt.Table.Header(r.To).Class == header.Tunnel {
				return l.do(l.into(l.read(l.opt.Table.Header(r.To), at.addr), s, yes, no), move(ir.L4, ir.Cur))
			}
			return no
		})
	}
	if s.matches(h) {
		found := yes
		if !s.test { // what is in it no longer matters for that
			found = l.payload(at, yes, l.do(yes, mov(ir.Cur, ir.Absent), mov(ir.Type, noType)))
		}
		n = l.identified(h, at.addr, *s.tunnel, found, n)
	}
	return l.sound(at, n, no)
}

// sound builds the test that a tunnel header is there and right. Where its length may
// come out as too short, that is left in Cur.
func (l *lowerer) sound(at reading, yes, no block) block {
	if h := at.h; h.Fixed < h.Min {
		yes = l.add(append([]ir.Instr{mov(ir.Cur, h.Fixed)}, at.terms(h.Len, ir.Cur)...), ir.Ge, ir.Cur, ir.Imm(h.Min), yes, no)
	}
	return at.there(yes, no)
}

// leadsTo reports whether the header may carry a tunnel header on the same level that the
// selector matches.
func (l *lowerer) leadsTo(h *header.Header, s selector) bool {
	return slices.ContainsFunc(h.Next.Rules, func(r header.Rule) bool {
		next := l.opt.Table.Header(r.To)
		return next != nil && next.Class == header.Tunnel && (s.matches(next) || l.leadsTo(next, s))
	})
}

// payload builds the walk over the tunnel header at L4 and its parts: it sets Cur and
// Type, or goes to unknown.
func (l *lowerer) payload(at reading, yes, unknown block) block {
	h := at.h
	var head, again block
	if h.Repeats() {
		head = l.head(set(ir.L4, ir.Ext) | l.reads(yes) | l.reads(unknown))
		again = l.add(nil, ir.Again, ir.Ext, ir.Imm(header.MaxRepeats-1), head, unknown)
	}
	n := l.carried(at, ir.Type, unknown, func(r header.Rule) block {
		switch next := l.opt.Table.Header(r.To); {
		case next == h:
			return l.do(again, move(ir.L4, ir.Cur))
		case !next.Starts():
			return l.do(l.payload(l.read(next, at.addr), yes, unknown), move(ir.L4, ir.Cur))
		}
		return l.do(yes, mov(ir.Type, startType(r.To)))
	})
	n = l.sound(at, n, unknown)
	if h.Repeats() {
		l.loop(head, n)
		n = l.do(head, mov(ir.Ext, 0))
	}
	return n
}

// carried computes Cur, the end of a header that is sound, and branches by what it says
// follows it; by is a register for that.
func (l *lowerer) carried(at reading, by ir.Reg, unknown block, to func(r header.Rule) block) block {
	h := at.h
	n := l.rules(at, addr{ir.Cur, 0}, by, unknown, to)
	if f, ok := h.Field(h.Next.By); ok {
		n = l.do(n, at.field(by, f)...)
	}
	if h.Fixed < h.Min {
		return l.do(n, ir.Instr{Op: ir.Add, Dst: ir.Cur, A: ir.Cur, B: ir.R(ir.L4)})
	}
	return l.do(n, append([]ir.Instr{at.plus(h.Fixed).mov(ir.Cur)}, at.terms(h.Len, ir.Cur)...)...)
}

// identified builds the test of a primitive's identifier.
func (l *lowerer) identified(h *header.Header, a addr, t tunnel, yes, no block) block {
	if h.ID == header.GRE {
		// RFC 7637: NVGRE is GRE with a key that carries Ethernet.
		vsid := func(no block) block {
			var n block
			if t.hasID {
				n = l.field(h, "vsid", a, t, yes, no)
			} else {
				f, _ := h.Field("vsid")
				n = l.test(f.If, a, yes, no)
			}
			return l.equals(a.plus(2), 2, 0xffff, header.TypeTEB, n, no)
		}
		switch {
		case t.word == "nvgre":
			return vsid(no)
		case t.word == "tunnel" && t.hasID:
			return l.field(h, h.TunnelID, a, t, yes, vsid(no))
		}
	}
	switch {
	case !t.hasID:
		return yes
	case h.TunnelID == "":
		return no
	}
	return l.field(h, h.TunnelID, a, t, yes, no)
}

// field builds the test that a field of the header at a is there and has the
// identifier of t.
func (l *lowerer) field(h *header.Header, name string, a addr, t tunnel, yes, no block) block {
	f, _ := h.Field(name)
	mask := uint32(1<<(8*uint64(f.Size)) - 1)
	if f.Mask != 0 {
		mask = f.Mask
	}
	low := bits.TrailingZeros32(mask)
	if t.id > mask>>low {
		return no
	}
	at := a.plus(uint32(f.Off))
	var code []ir.Instr
	if len(f.Pos) > 0 {
		code = append([]ir.Instr{at.mov(ir.T2)}, l.read(h, a).terms(f.Pos, ir.T2)...)
		at = addr{ir.T2, 0}
	}
	var n block
	if t.in != nil {
		r, code := ir.T0, []ir.Instr{load(ir.T0, at, f.Size)}
		if bits.OnesCount32(mask) < 8*int(f.Size) {
			r, code = ir.T1, append(code, op(ir.And, ir.T1, ir.T0, mask), op(ir.Shr, ir.T1, ir.T1, uint32(low)))
		}
		n = l.do(l.inSet(r, t.in, yes, no), code...)
	} else {
		n = l.equals(at, f.Size, mask, t.id<<low, yes, no)
	}
	n = l.within(at, uint32(f.Size), n, no)
	return l.test(f.If, a, l.do(n, code...), no)
}

// move returns the instruction that copies a register.
func move(to, from ir.Reg) ir.Instr { return ir.Instr{Op: ir.Mov, Dst: to, A: ir.NoReg, B: ir.R(from)} }
