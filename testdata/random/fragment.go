package random

import "fmt"

// Fragment returns an Ethernet frame with one or two tunnels in it, of which packets are
// fragmented on any level. Few names of fragments are used again and again, so that
// pieces of the same packet, and of others with the same name, come in any order.
func (g *Gen) Fragment() []byte {
	proto, payload := 17, g.datagram(pick(g, 53, 80, 443), nil)
	if g.one(3) {
		proto, payload = 6, append(append(be16(pick(g, 53, 443)), be16(80)...), make([]byte, 16)...)
	}
	level := 1 + g.IntN(2)
	for ; level > 0; level-- {
		typ, p := g.piece(level, proto, payload)
		switch g.IntN(3) {
		case 0:
			proto, payload = 47, append(append([]byte{0x20, 0}, be16(typ)...), append(be32(g.id()), p...)...)
		case 1:
			frame := append(append(append(g.mac(), g.mac()...), be16(typ)...), p...)
			vxlan := append(append([]byte{8, 0, 0, 0}, be32(g.id()<<8)...), frame...)
			proto, payload = 17, g.datagram(4789, vxlan)
		default:
			if proto, payload = 4, p; typ == 0x86dd {
				proto = 41
			}
		}
	}
	typ, p := g.piece(0, proto, payload)
	frame := append(g.mac(), g.mac()...)
	if g.one(6) {
		g.made("tag before a fragment")
		frame = append(frame, 0x81, 0, 0, 7)
	}
	frame = append(append(frame, be16(typ)...), p...)
	if g.one(20) {
		g.made("cut fragment")
		frame = frame[:g.IntN(len(frame)+1)]
	}
	return frame
}

func (g *Gen) datagram(port int, payload []byte) []byte {
	h := append(append(be16(pick(g, 53, 1024)), be16(port)...), be16(8+len(payload))...)
	return append(append(h, 0, 0), payload...)
}

// piece returns a network packet with the payload, or a fragment of one.
func (g *Gen) piece(level, proto int, payload []byte) (typ int, p []byte) {
	kind := pick(g, "whole", "first", "first", "middle", "last")
	offset, more := 0, 0
	switch kind {
	case "first":
		more = 1
	case "middle":
		offset, more = 1+g.IntN(3), 1
	case "last":
		offset = 1 + g.IntN(3)
	}
	if offset > 0 {
		payload = append(make([]byte, g.IntN(24)), payload...)
	}
	id := pick(g, 1, 2, 0x1234)
	version := pick(g, 4, 4, 6)
	g.made(fmt.Sprintf("%s fragment of IPv%d on level %d", kind, version, min(level, 1)))
	if version == 4 {
		options := 4 * g.IntN(2)
		p = append([]byte{byte(0x45 + options/4), 0}, be16(20+options+len(payload))...)
		p = append(append(p, be16(id)...), be16(more<<13|offset)...)
		p = append(p, 64, byte(proto), 0, 0, 10, 0, 0, byte(1+g.IntN(2)), 10, 0, 0, byte(1+g.IntN(2)))
		return 0x0800, append(append(p, make([]byte, options)...), payload...)
	}
	next := proto
	var extensions []byte
	if kind != "whole" || g.one(4) {
		extensions = append([]byte{byte(proto), 0}, be16(offset<<3|more)...)
		extensions = append(extensions, be32(id<<8)...)
		next = 44
	}
	if g.one(3) {
		g.made("extension header before a fragment header")
		extensions = append([]byte{byte(next), 0, 1, 4, 0, 0, 0, 0}, extensions...)
		next = 60
	}
	p = append([]byte{0x60, 0, 0, 0}, be16(len(extensions)+len(payload))...)
	p = append(p, byte(next), 64)
	for range 2 {
		p = append(p, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, byte(1+g.IntN(2)))
	}
	return 0x86dd, append(append(p, extensions...), payload...)
}

// FragmentNames returns the names of what a long run of Fragment must have made.
func FragmentNames() []string {
	names := []string{"tag before a fragment", "cut fragment", "extension header before a fragment header"}
	for _, kind := range []string{"whole", "first", "middle", "last"} {
		for _, version := range []int{4, 6} {
			for level := range 2 {
				names = append(names, fmt.Sprintf("%s fragment of IPv%d on level %d", kind, version, level))
			}
		}
	}
	return names
}
