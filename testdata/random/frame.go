package random

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// The link types of Frame, LINKTYPE_ values.
const (
	Null     = 0
	Ethernet = 1
	PPP      = 9
	Raw      = 101
	Loop     = 108
	SLL      = 113
	IPv4     = 228
	IPv6     = 229
	SLL2     = 276
)

// Links returns the link types of Frame.
func Links() []uint32 {
	return []uint32{Ethernet, Raw, IPv4, IPv6, SLL, SLL2, Null, Loop, PPP}
}

// content is what follows a link header: either a payload with its EtherType or one that
// starts with an LLC header, or, for Novell's raw 802.3, with two bytes 0xff.
type content struct {
	name  string
	etype int // 0 for LLC
	p     []byte
}

// Frame returns a packet of a link type with one of all the protocols that libpcap's
// language has words for. With Packet, it makes what no tunnel needs: other link types
// and what they carry besides IP.
func (g *Gen) Frame(link uint32) []byte {
	p := g.frame(link, 2)
	if g.one(10) {
		p = p[:g.IntN(len(p)+1)]
		g.made("cut frame")
	}
	return p
}

// frame makes a link header and what follows it, at most depth of tags, labels and
// tunnels deep.
func (g *Gen) frame(link uint32, depth int) []byte {
	c := g.content(link, depth)
	g.made(fmt.Sprintf("%s on link type %d", c.name, link))
	switch link {
	case Ethernet:
		return g.etherFrame(c)
	case SLL:
		p := append(be16(g.IntN(5)), be16(1)...)
		p = append(append(append(p, be16(6)...), g.mac()...), 0, 0)
		return append(append(p, be16(g.cooked(c))...), c.p...)
	case SLL2:
		p := append(be16(g.cooked(c)), 0, 0)
		p = append(append(append(p, be32(1+g.IntN(3))...), be16(1)...), byte(g.IntN(5)), 6)
		return append(append(append(p, g.mac()...), 0, 0), c.p...)
	case PPP:
		return append(append([]byte{0xff, 3}, be16(g.pppProtocol(c))...), c.p...)
	case Null, Loop:
		af := map[int]int{0x0800: 2, 0x86dd: pick(g, 24, 28, 30, 10)}[c.etype]
		if af == 0 {
			af = pick(g, 7, 23)
		}
		if g.one(20) {
			af = pick(g, 2, 24, 28, 30, 10, 0x02000000)
		}
		if link == Loop {
			return append(be32(af), c.p...)
		}
		return append(binary.LittleEndian.AppendUint32(nil, uint32(af)), c.p...)
	}
	return c.p // RAW, IPV4, IPV6
}

func (g *Gen) etherFrame(c content) []byte {
	dst := g.mac()
	switch g.IntN(8) {
	case 0:
		dst = []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
		g.made("broadcast")
	case 1:
		dst = []byte{1, 0, 0x5e, 0, 0, 1}
		g.made("multicast")
	}
	typ := c.etype
	if typ == 0 {
		typ = pick(g, len(c.p), len(c.p), 0x05dc)
	}
	return append(append(append(dst, g.mac()...), be16(typ)...), c.p...)
}

// cooked returns the protocol field of Linux's cooked captures.
func (g *Gen) cooked(c content) int {
	switch {
	case c.etype != 0:
		return c.etype
	case c.name == "novell":
		return 1
	case g.one(6):
		return pick(g, 1, 0x42, 0xe0, 0xf0, 0xfe, 0xaa) // as if SAPs were protocols
	}
	return 4
}

// pppProtocol returns a protocol of RFC 1661 for the content.
func (g *Gen) pppProtocol(c content) int {
	known := map[string]int{"ip": 0x21, "ip6": 0x57, "decnet": 0x27, "atalk": 0x29, "stp": 0x31, "ipx": 0x2b, "iso": 0x23, "mpls": 0x281}
	switch typ, ok := known[c.name]; {
	case g.one(20):
		return pick(g, 0xc021, 0x8021, 0x25, 0x21, 0x57)
	case ok:
		return typ
	case c.etype == 0:
		return pick(g, 0x23, 0x31, 0x2b, 0xf0)
	}
	return c.etype
}

// Identifiers of tags, labels and sessions.
func (g *Gen) vlanID() int  { return pick(g, 0, 1, 5, 100, 4095) }
func (g *Gen) label() int   { return pick(g, 0, 1, 5, 1000, 1048575) }
func (g *Gen) session() int { return pick(g, 0, 1, 5, 65535) }

func (g *Gen) content(link uint32, depth int) content {
	v4, v6 := link != IPv6, link != IPv4
	if link == Raw || link == IPv4 || link == IPv6 {
		if g.one(12) {
			return content{"anything", 0, g.bytes(60)}
		}
	} else if !g.one(3) && (link != Null && link != Loop || g.one(4)) {
		return g.other(link, depth)
	}
	if v4 && (!v6 || g.one(2)) {
		return content{"ip", 0x0800, g.ipv4Frame(depth)}
	}
	return content{"ip6", 0x86dd, g.ipv6Frame(depth)}
}

// other is what is not IP.
func (g *Gen) other(link uint32, depth int) content {
	switch g.IntN(20) {
	case 0, 1:
		return content{"arp", 0x0806, g.arp("arp")}
	case 2:
		return content{"rarp", 0x8035, g.arp("rarp")}
	case 3:
		return content{"decnet", 0x6003, g.decnet()}
	case 4:
		names := map[int]string{0x6001: "mopdl", 0x6002: "moprc", 0x6004: "lat", 0x6007: "sca"}
		typ := pick(g, 0x6001, 0x6002, 0x6004, 0x6007)
		return content{names[typ], typ, g.bytes(30)}
	case 5:
		if g.one(2) {
			return content{"atalk", 0x809b, g.bytes(30)}
		}
		return content{"aarp", 0x80f3, g.bytes(30)}
	case 6:
		return content{"ipx", 0x8137, append([]byte{0xff, 0xff}, g.bytes(30)...)}
	case 7:
		typ := pick(g, 0x88cc, 0x9000, 0x0600, 0x05dd, 0x05ff, 0x0281, 0xffff)
		return content{"unknown type", typ, g.bytes(40)}
	case 8:
		return content{"pppoed", 0x8863, append([]byte{0x11, 9, 0, 0, 0, 0}, g.bytes(20)...)}
	case 9, 10:
		if depth > 0 {
			return content{"pppoes", 0x8864, g.pppoe(depth - 1)}
		}
	case 11, 12:
		if depth > 0 {
			return g.mpls(depth - 1)
		}
	case 13, 14, 15:
		if depth > 0 {
			inner := g.content(link, depth-1)
			typ := inner.etype
			if typ == 0 {
				typ = len(inner.p)
			}
			tag := append(be16(g.IntN(16)<<12|g.vlanID()), be16(typ)...)
			return content{"vlan", pick(g, 0x8100, 0x8100, 0x88a8, 0x9100), append(tag, inner.p...)}
		}
	}
	return g.llc()
}

// llc makes an LLC header, or Novell's frame without one.
func (g *Gen) llc() content {
	switch g.IntN(9) {
	case 0:
		return content{"stp", 0, append([]byte{0x42, 0x42, 3}, g.bytes(35)...)}
	case 1, 2:
		return content{"iso", 0, append([]byte{0xfe, 0xfe, 3}, g.iso()...)}
	case 3:
		return content{"netbeui", 0, append([]byte{0xf0, pick[byte](g, 0xf0, 0xf1), 3}, g.bytes(30)...)}
	case 4:
		return content{"ipx", 0, append([]byte{0xe0, 0xe0, 3, 0xff, 0xff}, g.bytes(30)...)}
	case 5:
		return content{"novell", 0, append([]byte{0xff, 0xff}, g.bytes(30)...)}
	case 6, 7:
		oui := pick(g, 0, 0, 0x080007, 0x00000c)
		typ := pick(g, 0x0800, 0x809b, 0x80f3, 0x8137, 0x86dd, 0x2000)
		h := append([]byte{0xaa, 0xaa, pick[byte](g, 3, 3, 3, 1)}, be32(oui << 8)[:3]...)
		return content{"snap", 0, append(append(h, be16(typ)...), g.bytes(30)...)}
	}
	// All types of frames: information, supervisory, unnumbered with and without the poll bit.
	control := pick[byte](g, 0, 2, 0x1e, 0x01, 0x05, 0x09, 0x0d, 0x03, 0x13, 0x63, 0x73, 0x43, 0x53, 0x0f, 0x1f, 0x6f, 0x7f, 0xe3, 0xf3, 0xaf, 0xbf, 0x87, 0x97)
	return content{"llc", 0, append([]byte{pick[byte](g, 4, 6, 0x80, 0xaa, 0xfe), pick[byte](g, 4, 6, 0xfe), control}, g.bytes(20)...)}
}

func (g *Gen) iso() []byte {
	pdu := pick[byte](g, 15, 16, 17, 18, 20, 24, 25, 26, 27, 3)
	return append([]byte{pick[byte](g, 0x81, 0x82, 0x83, 0x83, 0x83), 27, 1, 0, pdu, 1, 0, 0}, g.bytes(20)...)
}

// decnet makes routing headers, short and long, with padding and without.
func (g *Gen) decnet() []byte {
	node := func() []byte { return binary.LittleEndian.AppendUint16(nil, uint16(1<<10|1+g.IntN(3))) }
	p := be16(30)
	if g.one(2) {
		p = append(p, 0x81)
	}
	if g.one(2) {
		return append(append(append(append(p, 0x02), node()...), node()...), g.bytes(20)...)
	}
	p = append(p, 0x26, 0, 0, 0xaa, 0, 4, 0)
	p = append(append(p, node()...), 0, 0, 0xaa, 0, 4, 0)
	return append(append(p, node()...), g.bytes(20)...)
}

func (g *Gen) pppoe(depth int) []byte {
	c := g.content(PPP, depth)
	h := append(append([]byte{0x11, 0}, be16(g.session())...), be16(len(c.p)+2)...)
	return append(append(h, be16(g.pppProtocol(c))...), c.p...)
}

func (g *Gen) mpls(depth int) content {
	n := 1 + g.IntN(3)
	g.made(fmt.Sprint("labels ", n))
	var p []byte
	for i := range n {
		v := g.label()<<12 | g.IntN(8)<<9 | 64
		if i == n-1 && !g.one(10) {
			v |= 0x100 // bottom of stack
		}
		p = append(p, be32(v)...)
	}
	switch g.IntN(8) {
	case 0:
		p = append(p, g.bytes(30)...)
	case 1, 2, 3:
		p = append(p, g.ipv6Frame(depth)...)
	default:
		p = append(p, g.ipv4Frame(depth)...)
	}
	return content{"mpls", pick(g, 0x8847, 0x8847, 0x8847, 0x8848), p}
}

// bytes returns up to n bytes, small numbers often.
func (g *Gen) bytes(n int) []byte {
	p := make([]byte, g.IntN(n+1))
	for i := range p {
		p[i] = byte(g.IntN(256))
		if g.one(2) {
			p[i] &= 7
		}
	}
	return p
}

// ipv4Frame makes an IPv4 packet with what Packet does not have: all protocols, flags and
// types that the language names, and destinations of all kinds.
func (g *Gen) ipv4Frame(depth int) []byte {
	if g.one(3) {
		return g.ip(1)
	}
	proto, payload := g.upper(depth, false)
	p := make([]byte, 20+4*pick(g, 0, 0, 0, 1, 10))
	p[0] = 0x40 | byte(len(p)/4)
	if g.one(30) {
		p[0] = byte(g.IntN(256))
	}
	p[1] = byte(g.IntN(256))
	binary.BigEndian.PutUint16(p[2:], uint16(len(p)+len(payload)))
	binary.BigEndian.PutUint16(p[6:], uint16(pick(g, 0, 0, 0, 0x4000, 0x2000, 0x2001, 1, 0x1fff)))
	p[8], p[9] = byte(pick(g, 1, 64, 255)), byte(proto)
	copy(p[12:], g.addr4().AsSlice())
	copy(p[16:], g.addr4().AsSlice())
	if g.one(5) {
		copy(p[16:], pick(g, []byte{255, 255, 255, 255}, []byte{224, 0, 0, 5}, []byte{239, 1, 1, 1}, []byte{240, 0, 0, 1}, []byte{10, 0, 0, 255}, []byte{0, 0, 0, 0}))
		g.made("ip group")
	}
	for i := range p[20:] {
		p[20+i] = 1
	}
	return append(p, payload...)
}

func (g *Gen) ipv6Frame(depth int) []byte {
	if g.one(3) {
		return g.ip6(1)
	}
	proto, payload := g.upper(depth, true)
	if g.one(6) {
		payload = append([]byte{byte(proto), 0, 0, pick[byte](g, 0, 1, 8), 0, 0, 0, 1}, payload...)
		proto = 44
	}
	p := make([]byte, 40)
	p[0], p[1] = 0x60, byte(g.IntN(256))
	binary.BigEndian.PutUint16(p[4:], uint16(len(payload)))
	p[6], p[7] = byte(proto), byte(pick(g, 1, 64, 255))
	copy(p[8:], g.addr6().AsSlice())
	copy(p[24:], g.addr6().AsSlice())
	if g.one(6) {
		copy(p[24:], []byte{0xff, 2})
		g.made("ip6 group")
	}
	return append(p, payload...)
}

// upper makes what IP carries.
func (g *Gen) upper(depth int, v6 bool) (proto int, p []byte) {
	switch g.IntN(16) {
	case 0, 1, 2, 3:
		g.made("tcp flags")
		offset := pick[byte](g, 0x50, 0x50, 0x60, 0x80)
		return 6, append(append(g.ports(), 0, 0, 0, byte(g.IntN(256)), 0, 0, 0, 2, offset, byte(g.IntN(256)), 1, 0, 0, 0, 0, 0), g.bytes(24)...)
	case 4, 5:
		body := g.bytes(24)
		return 17, append(append(append(g.ports(), be16(8+len(body))...), 0, 0), body...)
	case 6:
		return 132, append(append(g.ports(), 0, 0, 0, byte(g.IntN(256)), 0, 0, 0, 0), g.bytes(24)...)
	case 7, 8:
		if v6 {
			g.made("icmp6 type")
			return 58, append([]byte{pick(g, byte(1+g.IntN(4)), byte(128+g.IntN(27))), byte(g.IntN(5)), 0, 0, 0, 1, 0, 1}, g.bytes(24)...)
		}
		g.made("icmp type")
		return 1, append([]byte{byte(g.IntN(19)), byte(g.IntN(5)), 0, 0, 0, 1, 0, 1}, g.bytes(24)...)
	case 9, 10:
		proto = pick(g, 2, 9, 103, 112, 50, 1, 58)
		g.made(fmt.Sprint("protocol ", proto))
		return proto, append([]byte{byte(g.IntN(4)), byte(g.IntN(4))}, g.bytes(24)...)
	case 11:
		proto, p = g.upper(0, v6)
		words := 1 + g.IntN(4)
		g.made("ah frame")
		return 51, append(append([]byte{byte(proto), byte(words)}, make([]byte, 4*words+6)...), p...)
	case 12, 13:
		if depth > 0 {
			return 17, g.overlay(depth - 1)
		}
	}
	g.made("any protocol")
	return g.IntN(256), g.bytes(30)
}

// overlay makes Geneve and VXLAN in UDP.
func (g *Gen) overlay(depth int) []byte {
	vni := be32(g.id()<<8 | g.IntN(256))
	if g.one(2) {
		g.made("vxlan frame")
		return g.udp(pick(g, 4789, 8472), append(append([]byte{pick[byte](g, 8, 8, 8, 0, 0x88), 0, 0, 0}, vni...), g.frame(Ethernet, depth)...))
	}
	g.made("geneve frame")
	options := pick(g, 0, 0, 1, 3)
	h := []byte{byte(options) | pick[byte](g, 0, 0, 0, 0, 0x40), 0}
	var typ int
	var p []byte
	if g.one(2) {
		typ, p = 0x6558, g.frame(Ethernet, depth)
	} else {
		c := g.content(Ethernet, depth)
		typ, p = c.etype, c.p
	}
	h = append(append(append(h, be16(typ)...), vni...), make([]byte, 4*options)...)
	return g.udp(6081, append(h, p...))
}

// Cuts returns all prefixes of a packet, the empty one and the packet itself included.
func Cuts(p []byte) [][]byte {
	var all [][]byte
	for n := range len(p) + 1 {
		all = append(all, p[:n])
	}
	return all
}

// Frames returns n packets of a link type and, behind them, all prefixes of some of
// them. None has two authentication headers, nor bytes that look like the number
// of one twice, as on some of these libpcap's protochain never ends: it takes
// the offset behind the header for one that counts from the network header.
func (g *Gen) Frames(link uint32, n int) [][]byte {
	const ah = 51
	var all [][]byte
	for len(all) < n {
		if p := g.Frame(link); bytes.Count(p, []byte{ah}) < 2 {
			all = append(all, p)
		}
	}
	for whole := 0; whole < 5; {
		if p := g.frame(link, 2); len(p) < 130 && bytes.Count(p, []byte{ah}) < 2 {
			all = append(all, Cuts(p)...)
			whole++
		}
	}
	return all
}
