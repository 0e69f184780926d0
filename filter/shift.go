package filter

import (
	"slices"

	"github.com/tundump/tundump/filter/header"
	"github.com/tundump/tundump/filter/ir"
)

// This file lowers the primitives that shift what comes after them.

// vlanTypes returns the EtherTypes of VLAN tags.
func vlanTypes() []uint32 { return []uint32{header.TypeVLAN, header.TypeQinQ, header.TypeQinQ1} }

// vlan builds the test for a VLAN tag.
func (l *lowerer) vlan(f frame, n vlan, yes, no, short block) block {
	inMeta := yes
	if n.hasID {
		inMeta = l.add([]ir.Instr{loadMeta(ir.T0, ir.MetaVLAN), op(ir.And, ir.T0, ir.T0, 0xfff)}, ir.Eq, ir.T0, ir.Imm(n.id), yes, no)
	}
	if f.scoped {
		test := l.inTags(f, func(tag addr, next block) block {
			if !n.hasID {
				return yes
			}
			return l.within(tag, 2, l.equals(tag, 2, 0xfff, n.id, yes, next), no)
		}, func(_ addr, _ ir.Reg) block { return no }, no)
		if f.wire && l.opt.Origin == OriginLive {
			if n.hasID {
				inMeta = l.add([]ir.Instr{loadMeta(ir.T0, ir.MetaVLAN), op(ir.And, ir.T0, ir.T0, 0xfff)}, ir.Eq, ir.T0, ir.Imm(n.id), yes, test)
			}
			test = l.add([]ir.Instr{loadMeta(ir.T0, ir.MetaTag)}, ir.Eq, ir.T0, ir.Imm(0), test, inMeta)
		}
		return test
	}
	if f.tagged && l.firstTag(f, n.at) {
		return inMeta
	}
	if n.hasID {
		id := l.addr(f, n.at, fromPayload)
		yes = l.within(id, 2, l.equals(id, 2, 0xfff, n.id, yes, no), short)
	}
	types := vlanTypes()
	return l.byType(f, n.at, types, slices.Repeat([]block{yes}, len(types)), no, short)
}

// mpls builds the test for an MPLS label: the one at the top of the stack, or outside
// scopes the one behind those that were asked for before. Inside a scope it may be any.
func (l *lowerer) mpls(f frame, n mpls, yes, no, short block) block {
	label := func(at addr, no block) block {
		if !n.hasID {
			return yes
		}
		return l.within(at, 4, l.equals(at, 4, 0xfffff000, n.id<<12, yes, no), short)
	}
	if f.scoped {
		return l.inTags(f, func(_ addr, next block) block { return next }, func(at addr, typ ir.Reg) block {
			next := no
			for i := maxLabels - 1; i >= 0; i-- {
				a := at.plus(uint32(4 * i))
				bottom := l.equals(a.plus(2), 1, 0x01, 0x01, no, next)
				next = label(a, bottom)
				if n.hasID {
					next = l.within(a, 4, next, no)
				}
			}
			return l.among(typ, []uint32{typeMPLS, typeMPLS + 1}, []block{next, next}, no)
		}, no)
	}
	at := l.addr(f, n.at, fromNetwork)
	test := label(at, no)
	if p := l.place(f, n.at); p.labels == 0 {
		typ := uint32(typeMPLS)
		if p.link == header.LinkPPP {
			typ = 0x0281 // RFC 3032
		}
		return l.byType(f, n.at, []uint32{typ}, []block{test}, no, short)
	}
	bottom := addr{at.reg, at.off - 2}
	return l.within(bottom, 1, l.equals(bottom, 1, 0x01, 0, test, no), short)
}

// maxLabels bounds the stack in which mpls looks for a label inside a scope.
const maxLabels = 8

// pppoe builds the test for a PPPoE session header.
func (l *lowerer) pppoe(f frame, n pppoe, yes, no, short block) block {
	session := func(at addr) block {
		if !n.hasID {
			return yes
		}
		return l.within(at, 4, l.equals(at, 4, 0xffff, n.id, yes, no), short)
	}
	if f.scoped {
		return l.inTags(f, func(_ addr, next block) block { return next }, func(at addr, typ ir.Reg) block {
			return l.among(typ, []uint32{typePPPoES}, []block{session(at)}, no)
		}, no)
	}
	return l.byType(f, n.at, []uint32{typePPPoES}, []block{session(l.addr(f, n.at, fromPayload))}, no, short)
}

// inTags builds the walk over the link header and the VLAN tags of a level inside a
// scope: tag builds what is asked of each tag, in front of the next, and last what is
// asked of what comes behind them, whose EtherType is in the register given.
func (l *lowerer) inTags(f frame, tag func(at addr, next block) block, last func(at addr, typ ir.Reg) block, no block) block {
	id := header.Ether
	if f.wire {
		first := l.opt.LinkType.First()
		if len(first) != 1 {
			return no
		}
		id = first[0].To
	}
	h := l.opt.Table.Header(id)
	if h.Class != header.Link {
		return no
	}
	field, _ := h.Field(h.Next.By)
	types := vlanTypes()
	var walk func(typ, end uint32, tags int) block
	walk = func(typ, end uint32, tags int) block {
		at := addr{ir.L2, end}
		n := last(at, ir.T0)
		if tags < header.MaxTags {
			next := tag(at, walk(end+2, end+4, tags+1))
			n = l.among(ir.T0, types, slices.Repeat([]block{next}, len(types)), n)
		}
		return l.within(addr{ir.L2, typ}, 2, l.do(n, load(ir.T0, addr{ir.L2, typ}, 2)), no)
	}
	n := walk(uint32(field.Off), h.Fixed, 0)
	if f.wire {
		return n
	}
	labels := l.do(last(addr{ir.L2, 0}, ir.T0), mov(ir.T0, header.TypeMPLS))
	return l.among(ir.Kind, []uint32{header.TypeTEB, header.TypeMPLS}, []block{n, labels}, no)
}

// enter builds a tunnel primitive outside a scope: it looks behind the link
// header, or where the one before it found a tunnel, and moves S2, and with it the
// frame of what comes after it, to what is in the tunnel.
func (l *lowerer) enter(t tunnel, f frame, yes cont, no block) block {
	// From here on only what comes later in the text shifts.
	in := func(link header.LinkType) block {
		return yes(frame{link: link, inTunnel: true, from: t.at + 1})
	}
	switch t.word {
	case "geneve", "vxlan":
		return l.enterUDP(t, f, in, no)
	}
	next := in(linkKnown)
	ether := l.opt.Table.Header(header.Ether)
	typ, _ := ether.Field(ether.Next.By)
	cur := addr{ir.Cur, 0}
	absent := l.do(next, mov(ir.S2, ir.Absent), mov(ir.S3, ir.Absent), mov(ir.SType, 0))
	asEther := l.within(cur, ether.Min, l.do(next, cur.mov(ir.S2), load(ir.SType, cur.plus(uint32(typ.Off)), typ.Size),
		cur.plus(ether.Fixed).mov(ir.S3)), absent)
	asNetwork := l.do(next, mov(ir.S2, ir.Absent), cur.mov(ir.S3), move(ir.SType, ir.Type))
	found := l.add(nil, ir.Eq, ir.Type, ir.Imm(header.TypeTEB), asEther, asNetwork)
	s := selector{tunnel: &t}
	n := l.toTransport(l.tunnel(s, found, no), no)
	types := ipTypes()
	for _, r := range ether.Next.Rules {
		if h := l.opt.Table.Header(r.To); h.Class == header.Tunnel && (s.matches(h) || l.leadsTo(h, s)) {
			types = append(types, r.Value)
		}
	}
	l3 := l.addr(f, t.at, fromNetwork)
	var to []block
	for _, typ := range types {
		to = append(to, l.do(n, mov(ir.Type, typ), l3.mov(ir.L3)))
	}
	return l.byType(f, t.at, types, to, no, ir.Reject)
}

// enterUDP builds geneve and vxlan as libpcap has them: right behind a UDP header, right
// behind an IP header without extension headers.
func (l *lowerer) enterUDP(t tunnel, f frame, in func(header.LinkType) block, no block) block {
	ports := l.opt.Table.Ports.VXLAN
	if t.word == "geneve" {
		ports = l.opt.Table.Ports.Geneve
	}
	l3 := l.addr(f, t.at, fromNetwork)
	behind := func(udp addr) block {
		h := udp.plus(8)
		var n block
		if t.word == "geneve" {
			n = l.geneve(t, h, in, no)
		} else {
			n = l.vxlanHeader(t, h, in, no)
		}
		numbers := make([]uint32, len(ports))
		for i, p := range ports {
			numbers[i] = uint32(p)
		}
		n = l.among(ir.T0, numbers, slices.Repeat([]block{n}, len(ports)), no)
		port := udp.plus(2)
		return l.within(port, 2, l.do(n, load(ir.T0, port, 2)), ir.Reject)
	}
	var to []block
	for _, typ := range ipTypes() {
		n := l.transport(f, t.at, typ, behind, no, ir.Reject)
		at := l3.plus(9)
		if typ == header.TypeIP6 {
			at = l3.plus(6)
		}
		to = append(to, l.within(at, 1, l.equals(at, 1, 0xff, protoUDP, n, no), ir.Reject))
	}
	return l.byType(f, t.at, ipTypes(), to, no, ir.Reject)
}

// vni builds the test of the identifier in the header at h, behind which comes next.
func (l *lowerer) vni(t tunnel, h addr, next, no block) block {
	if !t.hasID {
		return next
	}
	at := h.plus(4)
	if t.in != nil {
		return l.within(at, 4, l.do(l.inSet(ir.T0, t.in, next, no), load(ir.T0, at, 4), op(ir.Shr, ir.T0, ir.T0, 8)), ir.Reject)
	}
	return l.within(at, 4, l.equals(at, 4, 0xffffff00, t.id<<8, next, no), ir.Reject)
}

// vxlanHeader builds the test of the VXLAN header at h: RFC 7348, with the I flag.
func (l *lowerer) vxlanHeader(t tunnel, h addr, in func(header.LinkType) block, no block) block {
	n := l.vni(t, h, l.do(in(header.LinkEthernet), h.plus(8).mov(ir.S2)), no)
	return l.within(h, 1, l.equals(h, 1, 0x08, 0x08, n, no), ir.Reject)
}

// geneve builds the test of the Geneve header at h: RFC 8926, version 0. What it
// carries starts behind the options, and is no Ethernet frame but for one type.
func (l *lowerer) geneve(t tunnel, h addr, in func(header.LinkType) block, no block) block {
	typ := h.plus(2)
	typed := l.do(in(linkTyped), typ.mov(ir.SType))
	n := l.among(ir.T0, []uint32{header.TypeTEB}, []block{in(header.LinkEthernet)}, typed)
	n = l.do(n, load(ir.T0, typ, 2), load(ir.T1, h, 1), op(ir.And, ir.T1, ir.T1, 0x3f), op(ir.Shl, ir.T1, ir.T1, 2),
		h.plus(8).mov(ir.T2), ir.Instr{Op: ir.Add, Dst: ir.S2, A: ir.T2, B: ir.R(ir.T1)})
	n = l.vni(t, h, l.within(h, 4, n, ir.Reject), no)
	return l.within(h, 1, l.equals(h, 1, 0xc0, 0, n, no), ir.Reject)
}
