// Package random makes random packets and filter expressions for tests. Both use the
// same few addresses, ports and identifiers, so that filters match often, and
// both count what they made, so that a test can tell what never occurred.
package random

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"strconv"
)

// Gen is a generator. It repeats itself for the same seed.
type Gen struct {
	*rand.Rand
	// Made counts the headers, primitives and operators that were made, by name.
	Made map[string]int
	// Tunnels switches the primitives that libpcap does not know on.
	Tunnels bool
}

// New returns a generator.
func New(seed uint64) *Gen {
	return &Gen{Rand: rand.New(rand.NewPCG(seed, 0)), Made: map[string]int{}, Tunnels: true}
}

// Rounds returns how many rounds a test of n rounds runs: as many times n as
// TUNDUMP_LONG says, which make test-long sets.
func Rounds(n int) int {
	if k, err := strconv.Atoi(os.Getenv("TUNDUMP_LONG")); err == nil {
		return n * k
	}
	return n
}

func pick[T any](g *Gen, from ...T) T { return from[g.IntN(len(from))] }

func (g *Gen) one(in int) bool { return g.IntN(in) == 0 }

func (g *Gen) made(name string) { g.Made[name]++ }

func be16(v int) []byte { return binary.BigEndian.AppendUint16(nil, uint16(v)) }
func be32(v int) []byte { return binary.BigEndian.AppendUint32(nil, uint32(v)) }

func (g *Gen) addr4() netip.Addr {
	return netip.AddrFrom4([4]byte{10, byte(g.IntN(2)), 0, byte(1 + g.IntN(3))})
}

func (g *Gen) addr6() netip.Addr {
	return netip.MustParseAddr(fmt.Sprintf("2001:db8:%d::%d", g.IntN(2), 1+g.IntN(3)))
}

func (g *Gen) mac() []byte { return []byte{0x52, 0x54, 0, 0, byte(g.IntN(2)), byte(1 + g.IntN(2))} }

func (g *Gen) portNumber() int { return pick(g, 22, 53, 80, 443, 1024, 4789) }

// ID is an identifier of a tunnel.
func (g *Gen) id() int { return pick(g, 0, 1, 7, 42, 0x2a00, 0x123456) }

// Packet returns an Ethernet frame with up to depth tunnels inside each other. Some
// are cut short, and some have headers that are wrong.
func (g *Gen) Packet(depth int) []byte {
	p := g.ether(depth)
	if g.one(8) {
		p = p[:g.IntN(len(p)+1)]
		g.made("cut")
	}
	return p
}

// Like returns a packet with other bytes where they are free, now and then others elsewhere, cut off or
// longer.
func (g *Gen) Like(data []byte, free func(n int) bool) []byte {
	data = append([]byte{}, data...)
	for n := range data {
		if free(n) && !g.one(3) {
			data[n] = byte(g.IntN(256))
		}
	}
	for g.one(3) {
		data[g.IntN(len(data))] = byte(pick(g, 0, 1, 4, 6, 17, 41, 44, 47, 51, 0x45, 0x46, 0x60, 0x20, 0x80, 0xff))
	}
	if g.one(8) {
		return data[:g.IntN(len(data)+1)]
	}
	return append(data, make([]byte, g.IntN(40))...)
}

func (g *Gen) ether(depth int) []byte {
	g.made("ether")
	p := append(g.mac(), g.mac()...)
	tags := 0
	if g.one(4) {
		tags = g.IntN(6)
		g.made(fmt.Sprint("tags ", tags))
	}
	for range tags {
		p = append(p, be16(pick(g, 0x8100, 0x88a8, 0x9100))...)
		p = append(p, be16(g.IntN(0x10000))...)
	}
	typ, payload := g.network(depth)
	return append(append(p, be16(typ)...), payload...)
}

func (g *Gen) network(depth int) (typ int, p []byte) {
	if g.one(8) {
		return g.tagged(depth)
	}
	switch g.IntN(16) {
	case 0:
		return 0x0806, g.arp("arp")
	case 1:
		return 0x8035, g.arp("rarp")
	case 2:
		g.made("unknown type")
		return pick(g, 0x88cc, 0x0100, 0x88be), make([]byte, g.IntN(60))
	case 3, 4, 5, 6, 7:
		return 0x86dd, g.ip6(depth)
	}
	return 0x0800, g.ip(depth)
}

func (g *Gen) arp(name string) []byte {
	g.made(name)
	p := []byte{0, 1, 8, 0, 6, 4, 0, byte(1 + g.IntN(2))}
	p = append(append(p, g.mac()...), g.addr4().AsSlice()...)
	return append(append(p, g.mac()...), g.addr4().AsSlice()...)
}

func (g *Gen) ip(depth int) []byte {
	g.made("ip")
	proto, payload := g.transport(depth, false)
	options := 0
	if g.one(4) {
		options = 4 * g.IntN(11)
		g.made("ip options")
	}
	if g.one(16) {
		g.made("ah behind ip")
		payload = append([]byte{byte(proto), 4, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, payload...)
		proto = 51
	}
	p := make([]byte, 20+options)
	p[0] = 0x40 | byte(len(p)/4)
	if g.one(40) {
		p[0] = byte(g.IntN(256))
		g.made("bad version or length")
	}
	binary.BigEndian.PutUint16(p[2:], uint16(len(p)+len(payload)))
	switch g.IntN(12) {
	case 0:
		binary.BigEndian.PutUint16(p[6:], uint16(0x2000))
		g.made("first fragment")
	case 1:
		binary.BigEndian.PutUint16(p[6:], uint16(g.IntN(0x4000)))
		g.made("later fragment")
	}
	p[8], p[9] = 64, byte(proto)
	copy(p[12:], g.addr4().AsSlice())
	copy(p[16:], g.addr4().AsSlice())
	for i := range p[20:] {
		p[20+i] = 1
	}
	return append(p, payload...)
}

func (g *Gen) ip6(depth int) []byte {
	g.made("ip6")
	proto, payload := g.transport(depth, true)
	extensions := 0
	if g.one(3) {
		extensions = g.IntN(9)
		g.made(fmt.Sprint("extensions ", extensions))
	}
	for range extensions {
		var h []byte
		switch kind := pick(g, 0, 43, 60, 44, 51); kind {
		case 44:
			h = []byte{byte(proto), 0, 0, byte(g.IntN(2)), 0, 0, 0, 1}
			if g.one(3) {
				h[3] = 8
				g.made("later fragment of ip6")
			}
			proto = kind
			g.made("frag")
		case 51:
			h = make([]byte, 12+4*g.IntN(4))
			h[0], h[1] = byte(proto), byte(len(h)/4-2)
			proto = kind
			g.made("ah")
		default:
			h = make([]byte, 8+8*g.IntN(3))
			h[0], h[1] = byte(proto), byte(len(h)/8-1)
			proto = kind
			g.made(fmt.Sprint("extension ", kind))
		}
		payload = append(h, payload...)
	}
	p := make([]byte, 40)
	p[0] = 0x60
	binary.BigEndian.PutUint16(p[4:], uint16(len(payload)))
	p[6], p[7] = byte(proto), 64
	copy(p[8:], g.addr6().AsSlice())
	copy(p[24:], g.addr6().AsSlice())
	return append(p, payload...)
}

func (g *Gen) ports() []byte { return append(be16(g.portNumber()), be16(g.portNumber())...) }

func (g *Gen) transport(depth int, v6 bool) (proto int, p []byte) {
	if depth > 0 && !g.one(4) {
		return g.tunnel(depth)
	}
	body := make([]byte, g.IntN(24))
	switch g.IntN(8) {
	case 0, 1, 2:
		g.made("tcp")
		return 6, append(append(g.ports(), 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x18, 1, 0, 0, 0, 0, 0), body...)
	case 3, 4:
		g.made("udp")
		return 17, append(append(append(g.ports(), be16(8+len(body))...), 0, 0), body...)
	case 5:
		g.made("sctp")
		return 132, append(append(g.ports(), 0, 0, 0, 1, 0, 0, 0, 0), body...)
	case 6:
		if v6 {
			g.made("icmp6")
			return 58, append([]byte{128, 0, 0, 0, 0, 1, 0, 1}, body...)
		}
		g.made("icmp")
		return 1, append([]byte{8, 0, 0, 0, 0, 1, 0, 1}, body...)
	}
	g.made("unknown protocol")
	return pick(g, 1, 50, 58, 89), body
}

func (g *Gen) tunnel(depth int) (proto int, p []byte) {
	next := depth - 1
	if g.one(3) {
		return g.rareTunnel(next)
	}
	switch g.IntN(8) {
	case 0:
		g.made("ipip")
		return 4, g.ip(next)
	case 1:
		g.made("ip6 in ip")
		return 41, g.ip6(next)
	case 2:
		g.made("vxlan")
		h := append(append([]byte{8, 0, 0, 0}, be32(g.id()<<8)...), g.ether(next)...)
		if g.one(10) {
			h[0] = 0
			g.made("vxlan without vni")
		}
		return 17, g.udp(pick(g, 4789, 8472), h)
	case 3:
		g.made("geneve")
		options := pick(g, 0, 0, 1, 2, 63)
		typ, payload := g.payload(next)
		h := append([]byte{byte(options), 0}, be16(typ)...)
		h = append(append(h, be32(g.id()<<8)...), make([]byte, 4*options)...)
		if g.one(10) {
			h[0] |= 0x40
			g.made("geneve version 1")
		}
		return 17, g.udp(6081, append(h, payload...))
	}
	return 47, g.gre(next)
}

func (g *Gen) udp(port int, payload []byte) []byte {
	p := append(be16(g.portNumber()), be16(port)...)
	return append(append(append(p, be16(8+len(payload))...), 0, 0), payload...)
}

// payload returns what tunnels with an EtherType carry.
func (g *Gen) payload(depth int) (typ int, p []byte) {
	switch g.IntN(10) {
	case 0, 1:
		return 0x0800, g.ip(depth)
	case 2:
		return 0x86dd, g.ip6(depth)
	case 3:
		g.made("unknown payload")
		return pick(g, 0x0806, 0x880b, 0), g.arp("arp")
	case 4:
		g.made("mpls in a tunnel")
		return pick(g, 0x8847, 0x8848), g.labelled(depth)
	case 5:
		return 0x894f, g.nsh(depth)
	}
	return 0x6558, g.ether(depth)
}

func (g *Gen) gre(depth int) []byte {
	flags := pick(g, 0, 0x8000, 0x2000, 0x1000, 0xa000, 0x9000, 0x3000, 0xb000)
	g.made(fmt.Sprintf("gre %#x", flags))
	typ, payload := g.payload(depth)
	switch {
	case g.one(10):
		typ, payload = 0x22eb, g.erspan3(depth)
		flags |= 0x1000
	case g.one(10):
		typ, payload = 0x883e, g.ip(depth)
		if g.one(2) {
			payload = append([]byte{byte(g.IntN(4)), 1, 2, 3}, g.packet(depth)...)
			g.made("wccp 2")
		} else {
			g.made("wccp 1")
		}
	case g.one(8):
		typ, payload = 0x88be, g.ether(depth)
		if flags&0x1000 != 0 {
			g.made("erspan2")
			payload = append([]byte{0x10 | byte(g.IntN(2)), 1, 0, byte(g.id()), 0, 0, 0, 0}, payload...)
			if g.one(8) {
				payload[0] = 0x20
			}
		} else {
			g.made("erspan1")
		}
	}
	wrong := 0
	if g.one(12) {
		wrong = pick(g, 1, 2, 0x4000)
		g.made("gre of another version")
	}
	p := append(be16(flags|wrong), be16(typ)...)
	if flags&0x8000 != 0 {
		p = append(p, 0x12, 0x34, 0, 0)
	}
	if flags&0x2000 != 0 {
		p = append(p, be32(pick(g, g.id(), g.id()<<8|g.IntN(256)))...)
	}
	if flags&0x1000 != 0 {
		p = append(p, be32(g.IntN(100))...)
	}
	return append(p, payload...)
}
