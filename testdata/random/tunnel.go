package random

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/tundump/tundump/filter/header"
)

// The UDP ports of foo-over-UDP.
const (
	portGUE  = 5555
	portGRE  = 5556
	portIPIP = 5557
)

// Ports returns the ports of the tunnels in the packets that are made.
func Ports() header.Ports {
	p := header.DefaultPorts()
	p.FOU = []header.FOU{{Port: portGUE}, {Port: portGRE, Protocol: 47}, {Port: portIPIP, Protocol: 4}}
	return p
}

// tunnelNames are what this file makes.
func tunnelNames() []string {
	names := strings.Split("mpls in a tunnel,mpls,mpls to ip,mpls to ip6,mpls to nothing,mpls to a control word,mpls to ethernet,pppoe,pppoe of another kind,"+
		"pbb,nsh,nsh behind ethernet,nsh that is too short,nsh in gpe,gpe,gpe without a next protocol,gpe without vni,gtp,gtp seq,gtp message,"+
		"gtp opt,etherip,etherip version 2,mpls in ip,mpls in udp,l2tp,l2tp control,l2tp sublayer,teredo,teredo auth,teredo origin,"+
		"pptp,pptp ack,pptp without payload,hdlc,ppp,ppp1,ppp of another kind,wccp 1,wccp 2,erspan3,erspan3 platform,erspan3 of ip,erspan3 of another kind,"+
		"gue,gue version 1,gue of another kind,fou gre,fou ipip", ",")
	for i := range 7 {
		names = append(names, fmt.Sprint("gtp extensions ", i))
	}
	for i := 1; i < 8; i++ {
		names = append(names, fmt.Sprint("labels ", i))
	}
	return names
}

// tagged makes what may stand between Ethernet and the network header, and the tunnels
// that stand there.
func (g *Gen) tagged(depth int) (typ int, p []byte) {
	kind := g.IntN(4)
	switch {
	case kind == 0:
		g.made("pppoe")
		typ, payload := 0x21, g.ip
		if g.one(3) {
			typ, payload = 0x57, g.ip6
		}
		p := append([]byte{0x11, 0, 0, byte(g.id()), 0, 0}, be16(typ)...)
		if g.one(6) {
			p[g.IntN(2)] = 7
			g.made("pppoe of another kind")
		}
		return 0x8864, append(p, payload(depth)...)
	case kind == 1 && depth > 0:
		g.made("pbb")
		return 0x88e7, append(be32(g.id()), g.ether(depth-1)...)
	case kind == 2 && depth > 0:
		g.made("nsh behind ethernet")
		return 0x894f, g.nsh(depth - 1)
	}
	return pick(g, 0x8847, 0x8848), g.labelled(depth)
}

// labelled makes labels and what is under them.
func (g *Gen) labelled(depth int) []byte {
	g.made("mpls")
	n := 1 + g.IntN(2)
	if g.one(6) {
		n = 1 + g.IntN(7)
	}
	g.made(fmt.Sprint("labels ", n))
	var p []byte
	for i := range n {
		label := g.id()<<12 | 64
		if i == n-1 {
			label |= 0x100
		}
		p = append(p, be32(label)...)
	}
	switch kind := g.IntN(8); {
	case kind < 2:
		g.made("mpls to ip6")
		return append(p, g.ip6(depth)...)
	case kind == 2:
		g.made("mpls to nothing")
		return append(p, pick(g, nil, []byte{0x10, 0, 0, 0x21}, []byte{0, 1, 2, 3, 4})...)
	case kind < 5 && depth > 0:
		g.made("mpls to a control word")
		return append(append(p, 0, 0, 0, byte(g.IntN(2))), g.ether(depth-1)...)
	case kind < 6 && depth > 0:
		g.made("mpls to ethernet")
		return append(p, g.ether(depth-1)...)
	}
	g.made("mpls to ip")
	return append(p, g.ip(depth)...)
}

// nsh makes a network service header. What it carries is one level in.
func (g *Gen) nsh(depth int) []byte {
	g.made("nsh")
	words := pick(g, 2, 2, 6, 9, 63)
	if g.one(10) {
		words = g.IntN(2)
		g.made("nsh that is too short")
	}
	typ, payload := g.service(depth)
	p := append([]byte{byte(g.IntN(64)), byte(words), 1, byte(typ)}, be32(g.id()<<8|255)...)
	if g.one(16) {
		p[0] |= 0x40
	}
	return append(append(p, make([]byte, max(4*words-8, 0))...), payload...)
}

// service makes what VXLAN-GPE and NSH carry.
func (g *Gen) service(depth int) (typ int, p []byte) {
	switch g.IntN(6) {
	case 0, 1:
		return 1, g.ip(depth)
	case 2:
		return 2, g.ip6(depth)
	case 3:
		return 5, g.labelled(depth)
	case 4:
		return 3, g.ether(depth)
	}
	return pick(g, 0, 6, 4, 128), g.ip(depth)
}

// packet makes an IP packet of either version.
func (g *Gen) packet(depth int) []byte {
	if g.one(3) {
		return g.ip6(depth)
	}
	return g.ip(depth)
}

// rareTunnel makes an IP payload that is a tunnel; depth is that of what it carries.
func (g *Gen) rareTunnel(depth int) (proto int, p []byte) {
	switch g.IntN(11) {
	case 0:
		g.made("gpe")
		typ, payload := g.service(depth)
		if g.one(4) {
			typ, payload = 4, g.nsh(depth)
			g.made("nsh in gpe")
		}
		p := append([]byte{0x0c, 0, 0, byte(typ)}, be32(g.id()<<8)...)
		switch g.IntN(8) {
		case 0:
			p[0], p[3], payload = 8, 0, g.ether(depth)
			g.made("gpe without a next protocol")
		case 1:
			p[0] = 4
			g.made("gpe without vni")
		}
		return 17, g.udp(4790, append(p, payload...))
	case 1, 2:
		return 17, g.udp(2152, g.gtp(depth))
	case 3:
		return 97, g.etherIP(depth)
	case 4:
		if g.one(2) {
			g.made("mpls in udp")
			return 17, g.udp(6635, g.labelled(depth))
		}
		g.made("mpls in ip")
		return 137, g.labelled(depth)
	case 5:
		return 115, g.l2tp(depth)
	case 6:
		g.made("teredo")
		var p []byte
		if g.one(2) {
			id, value := g.IntN(6), g.IntN(6)
			p = append([]byte{0, 1, byte(id), byte(value)}, make([]byte, id+value+9)...)
			g.made("teredo auth")
		}
		if g.one(2) {
			p = append(p, 0, 0, 1, 2, 3, 4, 5, 6)
			g.made("teredo origin")
		}
		return 17, g.udp(3544, append(p, g.packet(depth)...))
	case 7:
		return 47, g.pptp(depth)
	case 8:
		return 17, g.udp(portGUE, g.gue(depth))
	case 9:
		if g.one(2) {
			g.made("fou ipip")
			return 17, g.udp(portIPIP, g.ip(depth))
		}
		g.made("fou gre")
		return 17, g.udp(portGRE, pick(g, g.gre, g.pptp)(depth))
	}
	return 47, g.gre(depth)
}

func (g *Gen) etherIP(depth int) []byte {
	g.made("etherip")
	p := []byte{0x30, 0}
	if g.one(8) {
		p[0] = 0x20
		g.made("etherip version 2")
	}
	return append(p, g.ether(depth)...)
}

func (g *Gen) gtp(depth int) []byte {
	g.made("gtp")
	p := append([]byte{0x30, 0xff, 0, 0}, be32(g.id())...)
	switch g.IntN(4) {
	case 0:
		p[0] |= byte(1 + g.IntN(3))
		p = append(p, 0, 1, 2, byte(g.IntN(256)))
		g.made("gtp seq")
	case 1:
		p[0] |= 4 | byte(g.IntN(4))
		p = append(p, 0, 1, 2)
		g.made("gtp opt")
		n := g.IntN(7)
		g.made(fmt.Sprint("gtp extensions ", n))
		for range n {
			words := 1 + g.IntN(3)
			if g.one(16) {
				words = 0
			}
			p = append(append(p, 0x85, byte(words)), make([]byte, max(4*words-2, 0))...)
		}
		p = append(p, 0)
	}
	if g.one(10) {
		p[g.IntN(2)] ^= 0x10
		g.made("gtp message")
	}
	return append(p, g.packet(depth)...)
}

func (g *Gen) l2tp(depth int) []byte {
	g.made("l2tp")
	p := be32(1 + g.id())
	if g.one(8) {
		p = be32(0)
		g.made("l2tp control")
	}
	if g.one(2) {
		p = append(p, 0, 0, 0, 0)
		g.made("l2tp sublayer")
	}
	if g.one(3) {
		return append(append(p, 0xff, 0x03), g.ppp(depth)...)
	}
	return append(p, g.ether(depth)...)
}

// ppp makes PPP from the protocol field on.
func (g *Gen) ppp(depth int) []byte {
	typ, payload := 0x21, g.ip(depth)
	switch g.IntN(5) {
	case 0, 1:
		typ, payload = 0x57, g.ip6(depth)
	case 2:
		typ = 0x81
		g.made("ppp of another kind")
	}
	if g.one(2) {
		g.made("ppp1")
		return append([]byte{byte(typ)}, payload...)
	}
	g.made("ppp")
	return append(be16(typ), payload...)
}

func (g *Gen) pptp(depth int) []byte {
	g.made("pptp")
	p := append([]byte{0x30, 1, 0x88, 0x0b, 0, 9}, be16(g.id())...)
	if g.one(6) {
		p[0] = 0x20
		g.made("pptp without payload")
	} else {
		p = append(p, be32(g.IntN(9))...)
	}
	if g.one(2) {
		p[1] |= 0x80
		p = append(p, be32(g.IntN(9))...)
		g.made("pptp ack")
	}
	if g.one(16) {
		p[g.IntN(4)] ^= 0x40
	}
	if g.one(2) {
		p = append(p, 0xff, 0x03)
		g.made("hdlc")
	}
	return append(p, g.ppp(depth)...)
}

func (g *Gen) erspan3(depth int) []byte {
	g.made("erspan3")
	p := []byte{0x20, 7, 0, byte(g.id()), 0, 0, 0, 1, 0, 0, 0x80, 0}
	binary.BigEndian.PutUint16(p[2:], uint16(g.id()&0x3ff))
	payload := g.ether
	switch g.IntN(6) {
	case 0:
		p[10] |= 2 << 2
		payload = g.packet
		g.made("erspan3 of ip")
	case 1:
		p[10] |= byte(g.IntN(32) << 2)
		g.made("erspan3 of another kind")
	}
	if g.one(2) {
		p[11] |= 1
		p = append(p, 1, 2, 3, 4, 5, 6, 7, 8)
		g.made("erspan3 platform")
	}
	if g.one(10) {
		p[0] ^= 0x10
	}
	return append(p, payload(depth)...)
}

func (g *Gen) gue(depth int) []byte {
	if g.one(4) {
		g.made("gue version 1")
		return g.packet(depth)
	}
	g.made("gue")
	proto, payload := 4, g.ip
	switch g.IntN(9) {
	case 0:
		proto, payload = 41, g.ip6
	case 1:
		proto, payload = 47, g.gre
	case 2:
		proto, payload = 137, g.labelled
	case 3:
		proto, payload = 47, g.pptp
	case 4:
		proto, payload = 97, g.etherIP
	case 5:
		proto, payload = 115, g.l2tp
	}
	words := pick(g, 0, 0, 1, 3, 31)
	p := append([]byte{byte(words), byte(proto), 0, 0}, make([]byte, 4*words)...)
	if g.one(8) {
		p[g.IntN(2)] ^= 0x20
		g.made("gue of another kind")
	}
	return append(p, payload(depth)...)
}
