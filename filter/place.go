package filter

import (
	"slices"

	"github.com/tundump/tundump/filter/header"
	"github.com/tundump/tundump/filter/ir"
)

// place says where a primitive outside scopes looks. As in libpcap, it starts right
// behind the link header, and vlan, mpls and pppoes move it by the constant size of what
// they stand for, in the order of the text: "vlan or ip" looks for IP behind a tag.
// A tunnel primitive moves it to the register S2, where the tunnel was found.
type place struct {
	link header.LinkType // how what is carried is told, and whether there are addresses
	// Offsets, in bytes, from base:
	base    ir.Reg
	header  uint32 // of the link header
	typ     uint32 // of the field with the type of what is carried, if the link type has one
	payload uint32 // of what the link header carries
	// Offsets from payload:
	network uint32 // of the network header: behind MPLS labels
	iso     uint32 // of an ISO network header
	labels  int    // how many MPLS labels have been asked for
}

// Link types of what tunnels carry, that are not those of captures.
const (
	// linkTyped is a payload without a link header: the tunnel's own header
	// has its EtherType, and SType says where.
	linkTyped header.LinkType = 1<<31 + iota
	// linkKnown is a payload whose EtherType the walk has found: it is in SType, and the
	// network header is at S3. S2 is where an Ethernet header is, or Absent.
	linkKnown
)

// startsWith returns the place behind the link header of packets.
func startsWith(link header.LinkType) place {
	p := place{link: link, base: ir.NoReg}
	switch link {
	case header.LinkEthernet:
		p.typ, p.payload, p.iso = 12, 14, 3
	case header.LinkSLL:
		p.typ, p.payload = 14, 16
	case header.LinkSLL2:
		p.typ, p.payload = 0, 20
	case header.LinkPPP: // RFC 1662, with address and control field
		p.typ, p.payload = 2, 4
	case header.LinkNull, header.LinkLoop:
		p.payload = 4
	case linkKnown:
		p.iso = 3
	}
	return p
}

// behind returns the place behind what a primitive stands for.
func (p place) behind(n node) place {
	switch n.(type) {
	case vlan:
		p.typ += 4
		p.payload += 4
	case mpls:
		p.network += 4
		p.iso += 4
		p.labels++
	case pppoe: // RFC 2516: six bytes, and PPP without address and control field
		p.link, p.header = header.LinkPPP, p.payload+p.network+6
		p.typ, p.payload = p.header, p.header+2
		p.network, p.iso = 0, 0
	case tunnel:
		p = startsWith(header.LinkEthernet)
		p.base = ir.S2
	}
	return p
}

// frame says where a primitive finds the headers it looks at, on one path through the
// program.
type frame struct {
	// scoped primitives look at the level that L2, L3, Type, and if needed Proto and L4,
	// describe; wire is the outermost one.
	scoped, wire bool
	// Others look at what starts with link, at the start of the packet or, in a tunnel,
	// at S2, moved by the shifts in the text from the index on.
	link     header.LinkType
	inTunnel bool
	from     int
	// tagged tells that the kernel has taken the outermost VLAN tag out of the packet.
	tagged bool
}

// place returns where a primitive outside scopes looks that stands behind the first at shifts.
func (l *lowerer) place(f frame, at int) place {
	p := startsWith(f.link)
	switch {
	case f.link == linkKnown:
		p.base = ir.S3
	case f.inTunnel:
		p.base = ir.S2
		// libpcap keeps how far behind the link header an ISO packet was outside of the tunnel.
		p.iso = startsWith(l.opt.LinkType).iso
		for _, n := range l.shifts[:min(f.from, at)] {
			switch n.(type) {
			case mpls:
				p.iso += 4
			case pppoe:
				p.iso = 0
			}
		}
	}
	tagged := f.tagged
	for _, n := range l.shifts[min(f.from, at):at] {
		switch n.(type) {
		case tunnel: // it moves only the paths on which it was found, see frame
			continue
		case vlan:
			if tagged {
				tagged = false
				continue
			}
		}
		p = p.behind(n)
	}
	return p
}

// firstTag reports whether a vlan primitive asks for the outermost tag of the packet.
func (l *lowerer) firstTag(f frame, at int) bool {
	return !slices.ContainsFunc(l.shifts[min(f.from, at):at], func(n node) bool { _, ok := n.(vlan); return ok })
}

// addr is an offset in the packet: a register and a constant.
type addr struct {
	reg ir.Reg
	off uint32
}

func (a addr) plus(n uint32) addr { return addr{a.reg, a.off + n} }

// reads returns the register that the address needs.
func (a addr) reads() regs {
	if a.reg == ir.NoReg {
		return 0
	}
	return set(a.reg)
}

// mov returns the instruction that computes the address.
func (a addr) mov(to ir.Reg) ir.Instr {
	if a.reg == ir.NoReg {
		return ir.Instr{Op: ir.Mov, Dst: to, A: ir.NoReg, B: ir.Imm(a.off)}
	}
	return ir.Instr{Op: ir.Add, Dst: to, A: a.reg, B: ir.Imm(a.off)}
}

// addr returns where the headers of a base start. The transport header is where L4 says.
func (l *lowerer) addr(f frame, at int, b base) addr {
	if f.scoped {
		switch b {
		case fromLink:
			return addr{ir.L2, 0}
		case fromISO:
			return addr{ir.L3, 3}
		case fromTransport, fromTransport6:
			return addr{ir.L4, 0}
		}
		return addr{ir.L3, 0}
	}
	p := l.place(f, at)
	switch b {
	case fromLink:
		if p.link == linkKnown {
			return addr{ir.S2, 0}
		}
		return addr{p.base, p.header}
	case fromPayload:
		return addr{p.base, p.payload}
	case fromISO:
		return addr{p.base, p.payload + p.iso}
	case fromTransport:
		return addr{ir.L4, 0}
	case fromTransport6:
		return addr{p.base, p.payload + p.network + 40}
	}
	return addr{p.base, p.payload + p.network}
}
