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

// noProto is what Proto holds where there is no IP protocol.
const noProto = 256

// startType returns the EtherType by which the registers Type and Kind know what
// starts with the header.
func startType(id header.ID) uint32 {
	switch id {
	case header.Ether:
		return header.TypeTEB
	case header.IP:
		return header.TypeIP
	case header.IP6:
		return header.TypeIP6
	}
	return 0
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

	deeper := no
	in := l.following(ignored)
	if needsTransport {
		in = l.following(inner)
	}
	if s.last > 0 {
		head := l.head(set(ir.Cur, ir.Type, ir.Level) | l.reads(yes) | l.reads(no))
		again := no
		if l.opt.Depth > 1 {
			again = l.add(nil, ir.Again, ir.Level, ir.Imm(uint32(l.opt.Depth-1)), head, no)
		}
		step := l.tunnel(selector{walk: true}, again, no)
		var body block
		switch {
		case s.first > 1: // one level only, and not the first
			body = l.add(nil, ir.Eq, ir.Level, ir.Imm(uint32(s.first-1)), here(in, false, no, no), in.toTransport(step, no))
		case s.last == 1:
			body = here(in, false, no, no)
		default:
			body = here(in, false, no, step)
		}
		l.loop(head, l.level(body, no))
		deeper = l.tunnel(selector{walk: true}, l.do(head, mov(ir.Level, 0)), no)
	}
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
	n := none
	for _, r := range slices.Backward(rules) {
		hit := l.first(r.To, addr{ir.NoReg, 0}, next, none)
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
	n := none
	for _, id := range []header.ID{header.IP6, header.IP, header.Ether} {
		n = l.add(nil, ir.Eq, ir.Type, ir.Imm(startType(id)), l.first(id, addr{ir.Cur, 0}, next, none), n)
	}
	return n
}

// first builds the walk over a level's first header, and the VLAN tags behind
// it: it sets L2, Kind, Type and L3.
func (l *lowerer) first(id header.ID, at addr, next, none block) block {
	h := l.opt.Table.Header(id)
	code := []ir.Instr{at.mov(ir.L2), mov(ir.Kind, startType(id))}
	if h.Class == header.Link {
		next = l.tags(next)
		f, _ := h.Field(h.Next.By)
		code = append(code, load(ir.Type, at.plus(uint32(f.Off)), f.Size))
	} else {
		code = append(code, mov(ir.Type, startType(id)))
	}
	end := at
	if h.Class == header.Link {
		end = at.plus(h.Fixed)
	}
	return l.within(at, h.Min, l.do(next, append(code, end.mov(ir.L3))...), none)
}

// tags builds the walk over VLAN tags.
func (l *lowerer) tags(next block) block {
	h := l.opt.Table.Header(header.VLAN)
	f, _ := h.Field(h.Next.By)
	var types []uint32
	for _, r := range l.opt.Table.Header(header.Ether).Next.Rules {
		if r.To == header.VLAN {
			types = append(types, r.Value)
		}
	}
	n := next
	for range header.MaxTags {
		tag := l.within(addr{ir.L3, 0}, h.Min, l.do(n,
			load(ir.Type, addr{ir.L3, uint32(f.Off)}, f.Size), op(ir.Add, ir.L3, ir.L3, h.Fixed)), next)
		n = l.among(ir.Type, types, slices.Repeat([]block{tag}, len(types)), next)
	}
	return n
}

// toTransport builds the walk over the network header at L3, and the extension
// headers behind it: it sets Proto and L4 and goes to next. Where there is no
// transport header, because something is cut, or in a fragment other than the
// first, L4 is Absent, and it goes to none.
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
	return l.among(ir.Type, []uint32{header.TypeIP, header.TypeIP6},
		[]block{l.over(ip, ir.L3, behindIP, none, bad), l.over(ip6, ir.L3, extensions, none, bad)}, bad)
}

// extensions builds the loop over extension headers.
func (l *lowerer) extensions(rules []header.Rule, next, none block) block {
	carried := set(ir.Proto, ir.L4, ir.Ext)
	if l.fragments != ignored {
		carried |= set(ir.L3)
	}
	head := l.head(carried | l.reads(next) | l.reads(none))
	again := l.add(nil, ir.Again, ir.Ext, ir.Imm(header.MaxExtensions-1), head, next)
	n := next
	for _, r := range slices.Backward(rules) {
		if h := l.opt.Table.Header(r.To); h.Class == header.Extension {
			n = l.add(nil, ir.Eq, ir.Proto, ir.Imm(r.Value), l.over(h, ir.L4, again, none, l.do(none, mov(ir.L4, ir.Absent))), n)
		}
	}
	l.loop(head, n)
	return l.do(head, mov(ir.Ext, 0))
}

// over builds the walk over the header at the offset in base: it sets Proto and L4,
// and goes to next, or to later behind a fragment other than the first, with L4 Absent. What
// is cut or malformed goes to bad.
func (l *lowerer) over(h *header.Header, base ir.Reg, next, later, bad block) block {
	at := addr{base, 0}
	f, _ := h.Field(h.Next.By)
	proto := load(ir.Proto, at.plus(uint32(f.Off)), f.Size)
	var n block
	if h.Fixed < h.Min { // the length may come out as too short: an IHL below 5
		n = l.do(next, proto, ir.Instr{Op: ir.Add, Dst: ir.L4, A: base, B: ir.R(ir.T2)})
		n = l.add(append([]ir.Instr{mov(ir.T2, h.Fixed)}, terms(h.Len, at, ir.T2)...), ir.Ge, ir.T2, ir.Imm(h.Min), n, bad)
	} else {
		// L4 may be the base, which the loads still need.
		code := append([]ir.Instr{at.plus(h.Fixed).mov(ir.T2)}, terms(h.Len, at, ir.T2)...)
		n = l.do(next, append(code, proto, ir.Instr{Op: ir.Mov, Dst: ir.L4, A: ir.NoReg, B: ir.R(ir.T2)})...)
	}
	if h.Later.Size > 0 {
		later := l.do(later, proto, mov(ir.L4, ir.Absent))
		n = l.fragment(h, base, n, later)
	}
	return l.within(at, h.Min, l.valid(h, at, n, bad), bad)
}

// terms returns the code that adds length terms of the header at a to sum.
func terms(ts []header.LenTerm, a addr, sum ir.Reg) []ir.Instr {
	var code []ir.Instr
	for _, t := range ts {
		code = append(code, load(ir.T0, a.plus(uint32(t.Off)), t.Size))
		r := ir.T0
		if t.Mask != 1<<(8*uint64(t.Size))-1 {
			code = append(code, op(ir.And, ir.T1, r, t.Mask))
			r = ir.T1
		}
		shift := ir.Shl
		if t.Shift < 0 {
			shift = ir.Shr
		}
		code = append(code, op(shift, ir.T1, r, uint32(max(t.Shift, -t.Shift))),
			ir.Instr{Op: ir.Add, Dst: sum, A: sum, B: ir.R(ir.T1)})
	}
	return code
}

// valid builds the tests that there is such a header at a.
func (l *lowerer) valid(h *header.Header, a addr, yes, no block) block {
	for _, v := range slices.Backward(h.Valid) {
		yes = l.test(v, a, yes, no)
	}
	return yes
}

func (l *lowerer) test(t header.Test, a addr, yes, no block) block {
	if t.Size == 0 {
		return yes
	}
	return l.equals(a.plus(uint32(t.Off)), t.Size, t.Mask, t.Value, yes, no)
}

// tunnel builds the test for a tunnel header at L4: it sets Cur and Type to
// where and how the next level starts. Where a primitive has found its tunnel, and
// cannot tell what is in it, Cur is Absent.
func (l *lowerer) tunnel(s selector, yes, no block) block {
	udp := l.opt.Table.Header(header.UDP)
	port, _ := udp.Field(udp.Next.By)
	behindUDP := no
	for _, r := range slices.Backward(udp.Next.Rules) {
		behindUDP = l.add(nil, ir.Eq, ir.T0, ir.Imm(r.Value), l.into(r.To, addr{ir.L4, udp.Fixed}, s, yes, no), behindUDP)
	}
	at := addr{ir.L4, uint32(port.Off)}
	behindUDP = l.within(addr{ir.L4, 0}, udp.Min, l.do(behindUDP, load(ir.T0, at, port.Size)), no)

	n := no
	for _, r := range slices.Backward(l.opt.Table.Header(header.IP).Next.Rules) {
		switch h := l.opt.Table.Header(r.To); {
		case r.To == header.UDP:
			n = l.among(ir.Proto, []uint32{r.Value}, []block{behindUDP}, n)
		case h.Class == header.Tunnel:
			n = l.among(ir.Proto, []uint32{r.Value}, []block{l.into(r.To, addr{ir.L4, 0}, s, yes, no)}, n)
		}
	}
	return n
}

// into builds the test for one tunnel header at a.
func (l *lowerer) into(id header.ID, a addr, s selector, yes, no block) block {
	h := l.opt.Table.Header(id)
	if s.walk {
		n := l.payload(h, a, yes, no)
		return l.within(a, h.Min, l.valid(h, a, n, no), no)
	}
	// It may carry another one on the same level, as GRE does ERSPAN.
	n := l.carried(h, a, no, func(r header.Rule, at addr) block {
		if l.opt.Table.Header(r.To).Class == header.Tunnel {
			return l.into(r.To, at, s, yes, no)
		}
		return no
	})
	if s.matches(h) {
		found := yes
		if !s.test { // what is in it no longer matters for that
			found = l.payload(h, a, yes, l.do(yes, mov(ir.Cur, ir.Absent), mov(ir.Type, 0)))
		}
		n = l.identified(h, a, *s.tunnel, found, n)
	}
	return l.within(a, h.Min, l.valid(h, a, n, no), no)
}

// payload builds the computation of Cur and Type behind the tunnel header at a.
func (l *lowerer) payload(h *header.Header, a addr, yes, unknown block) block {
	return l.carried(h, a, unknown, func(r header.Rule, at addr) block {
		if l.opt.Table.Header(r.To).Class == header.Tunnel {
			return l.into(r.To, at, selector{walk: true}, yes, unknown)
		}
		return l.do(yes, mov(ir.Type, startType(r.To)))
	})
}

// carried computes Cur, the end of the header at a, and branches by what the
// header says follows it.
func (l *lowerer) carried(h *header.Header, a addr, unknown block, to func(r header.Rule, at addr) block) block {
	n := unknown
	for _, r := range slices.Backward(h.Next.Rules) {
		hit := to(r, addr{ir.Cur, 0})
		hit = l.test(r.If, a, hit, n)
		if h.Next.By == "" {
			n = hit
		} else {
			n = l.add(nil, ir.Eq, ir.T2, ir.Imm(r.Value), hit, n)
		}
	}
	code := append([]ir.Instr{a.plus(h.Fixed).mov(ir.Cur)}, terms(h.Len, a, ir.Cur)...)
	if f, ok := h.Field(h.Next.By); ok {
		code = append(code, load(ir.T2, a.plus(uint32(f.Off)), f.Size))
	}
	return l.do(n, code...)
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
		code = append([]ir.Instr{at.mov(ir.T2)}, terms(f.Pos, a, ir.T2)...)
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
