package main

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// A stack is part of a packet, from the outside in. Layers are changed when
// they are put together: every packet needs new ones.
type stack []gopacket.SerializableLayer

// join puts stacks on top of each other.
func join(parts ...stack) stack {
	var all stack
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

// encode makes bytes of stacks. Types and protocols of the next layer that
// were left 0 follow from the next layer, lengths and checksums are computed.
func encode(parts ...stack) []byte {
	all := join(parts...)
	var network gopacket.NetworkLayer
	for i, l := range all {
		var next gopacket.SerializableLayer
		if i+1 < len(all) {
			next = all[i+1]
		}
		if n, ok := l.(gopacket.NetworkLayer); ok {
			network = n
		}
		if err := link(l, next, network); err != nil {
			panic(err)
		}
	}
	buf := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, all...); err != nil {
		panic(err)
	}
	return buf.Bytes()
}

// pkt makes a packet of stacks.
func pkt(parts ...stack) packet { return packet{data: encode(parts...)} }

// link tells l what follows it, unless it knows, and in which packet it is.
func link(l, next gopacket.SerializableLayer, network gopacket.NetworkLayer) error {
	switch l := l.(type) {
	case *layers.Ethernet:
		follow(&l.EthernetType, next, etherType)
	case *tag:
		follow(&l.Type, next, etherType)
	case *layers.GRE:
		follow(&l.Protocol, next, etherType)
	case *layers.Geneve:
		follow(&l.Protocol, next, etherType)
	case *layers.IPv4:
		follow(&l.Protocol, next, protocol)
	case *layers.IPv6:
		follow(&l.NextHeader, next, protocol)
	case *layers.IPv6HopByHop:
		follow(&l.NextHeader, next, protocol)
	case *layers.IPv6Routing:
		follow(&l.NextHeader, next, protocol)
	case *layers.IPv6Destination:
		follow(&l.NextHeader, next, protocol)
	case *layers.IPv6Fragment:
		follow(&l.NextHeader, next, protocol)
	case *ah:
		follow(&l.next, next, protocol)
	case *layers.TCP:
		return l.SetNetworkLayerForChecksum(network)
	case *layers.UDP:
		return l.SetNetworkLayerForChecksum(network)
	case *layers.ICMPv6:
		return l.SetNetworkLayerForChecksum(network)
	}
	return nil
}

func follow[T comparable](field *T, next gopacket.SerializableLayer, of func(gopacket.SerializableLayer) T) {
	var zero T
	if *field == zero {
		*field = of(next)
	}
}

func etherType(next gopacket.SerializableLayer) layers.EthernetType {
	switch next := next.(type) {
	case *layers.Ethernet:
		return layers.EthernetTypeTransparentEthernetBridging
	case *layers.IPv4:
		return layers.EthernetTypeIPv4
	case *layers.IPv6:
		return layers.EthernetTypeIPv6
	case *layers.ARP:
		return layers.EthernetTypeARP
	case *layers.ERSPANII:
		return layers.EthernetTypeERSPAN
	case *tag:
		return next.tpid
	}
	panic(fmt.Sprintf("no EtherType for a %T", next))
}

func protocol(next gopacket.SerializableLayer) layers.IPProtocol {
	switch next.(type) {
	case *layers.IPv4:
		return layers.IPProtocolIPv4
	case *layers.IPv6:
		return layers.IPProtocolIPv6
	case *layers.IPv6HopByHop:
		return layers.IPProtocolIPv6HopByHop
	case *layers.IPv6Routing:
		return layers.IPProtocolIPv6Routing
	case *layers.IPv6Destination:
		return layers.IPProtocolIPv6Destination
	case *layers.IPv6Fragment:
		return layers.IPProtocolIPv6Fragment
	case *ah:
		return layers.IPProtocolAH
	case *layers.TCP:
		return layers.IPProtocolTCP
	case *layers.UDP:
		return layers.IPProtocolUDP
	case *layers.SCTP:
		return layers.IPProtocolSCTP
	case *layers.ICMPv4:
		return layers.IPProtocolICMPv4
	case *layers.ICMPv6:
		return layers.IPProtocolICMPv6
	case *layers.GRE:
		return layers.IPProtocolGRE
	}
	panic(fmt.Sprintf("no IP protocol for a %T", next))
}

// tag is a VLAN tag that knows its own EtherType.
type tag struct {
	*layers.Dot1Q
	tpid layers.EthernetType
}

// ah is an IPsec authentication header (RFC 4302) with an integrity check
// value of 12 bytes, all 0: gopacket reads such a header, but does not write one.
type ah struct{ next layers.IPProtocol }

func (*ah) LayerType() gopacket.LayerType { return layers.LayerTypeIPSecAH }

func (a *ah) SerializeTo(b gopacket.SerializeBuffer, _ gopacket.SerializeOptions) error {
	h, err := b.PrependBytes(24)
	if err != nil {
		return err
	}
	copy(h, make([]byte, 24))
	h[0] = byte(a.next)
	h[1] = 24/4 - 2
	h[7] = 9  // security parameters index
	h[11] = 1 // sequence number
	return nil
}

// The hosts: 4 and 6 for the version of IP.
const (
	outerA4, outerB4 = "192.0.2.1", "192.0.2.2"
	outerA6, outerB6 = "2001:db8::1", "2001:db8::2"
	a4, b4, c4       = "10.1.0.1", "10.1.0.2", "10.1.0.3"
	a6, b6           = "2001:db8:1::1", "2001:db8:1::2"
)

// mac is an address made up for host n.
func mac(n byte) net.HardwareAddr { return net.HardwareAddr{2, 0, 0, 0, 0, n} }

// eth is the Ethernet header of the underlay, inner that of a mirrored or
// tunnelled frame.
func eth() stack   { return stack{&layers.Ethernet{SrcMAC: mac(0xa1), DstMAC: mac(0xb1)}} }
func inner() stack { return stack{&layers.Ethernet{SrcMAC: mac(1), DstMAC: mac(2)}} }

// vlan is an 802.1Q tag, qinq one of 802.1ad.
func vlan(id uint16) stack {
	return stack{&tag{&layers.Dot1Q{VLANIdentifier: id, Priority: 3}, layers.EthernetTypeDot1Q}}
}
func qinq(id uint16) stack {
	return stack{&tag{&layers.Dot1Q{VLANIdentifier: id}, layers.EthernetTypeQinQ}}
}

// ip is an IPv4 or IPv6 header.
func ip(src, dst string) stack {
	s, d := netip.MustParseAddr(src), netip.MustParseAddr(dst)
	if s.Is4() {
		return stack{&layers.IPv4{Version: 4, TTL: 64, Id: 0x1234, SrcIP: s.AsSlice(), DstIP: d.AsSlice()}}
	}
	return stack{&layers.IPv6{Version: 6, HopLimit: 64, FlowLabel: 0x12345, SrcIP: s.AsSlice(), DstIP: d.AsSlice()}}
}

// ipOptions is an IPv4 header with n bytes of options, a multiple of 4: record
// route, RFC 791, behind a byte of padding.
func ipOptions(src, dst string, n int) stack {
	s := ip(src, dst)
	h := s[0].(*layers.IPv4)
	h.Options = []layers.IPv4Option{
		{OptionType: 1},
		{OptionType: 7, OptionLength: uint8(n - 1), OptionData: append([]byte{4}, make([]byte, n-4)...)},
	}
	return s
}

// outer4 and outer6 are the underlay's headers.
func outer4() stack { return ip(outerA4, outerB4) }
func outer6() stack { return ip(outerA6, outerB6) }

func hopOpts() stack {
	h := &layers.IPv6HopByHop{Options: []*layers.IPv6HopByHopOption{
		{OptionType: 5, OptionData: []byte{0, 0}}, // router alert, RFC 2711
		{OptionType: 1}, // PadN
	}}
	return stack{h}
}

// dstOpts has the tunnel encapsulation limit of RFC 2473, as Linux puts it
// in front of what it tunnels in IPv6.
func dstOpts() stack {
	h := &layers.IPv6Destination{Options: []*layers.IPv6DestinationOption{
		{OptionType: 4, OptionData: []byte{4}},
		{OptionType: 1, OptionData: []byte{0}}, // PadN
	}}
	return stack{h}
}

// routing is a segment routing header, RFC 8754, at the last segment: the
// four bytes that older types reserve say that there is one, number 0.
func routing() stack {
	return stack{&layers.IPv6Routing{RoutingType: 4, Reserved: make([]byte, 4), SourceRoutingIPs: []net.IP{net.ParseIP(b6)}}}
}

func fragment(offset uint16, more bool) stack {
	return stack{&layers.IPv6Fragment{FragmentOffset: offset / 8, MoreFragments: more, Identification: 0x12345678}}
}

// fragments cuts the packet that network, one IP header, and rest make after
// first bytes of rest, a multiple of 8, and puts both parts behind what front makes.
func fragments(first int, front, network func() stack, rest ...stack) []packet {
	whole := encode(append([]stack{network()}, rest...)...)
	var ps []packet
	part := func(offset int, more bool, payload []byte) {
		n := network()
		switch h := n[0].(type) {
		case *layers.IPv4:
			h.Protocol = layers.IPProtocol(whole[9])
			h.FragOffset = uint16(offset / 8)
			if more {
				h.Flags = layers.IPv4MoreFragments
			}
		case *layers.IPv6:
			f := fragment(uint16(offset), more)
			f[0].(*layers.IPv6Fragment).NextHeader = layers.IPProtocol(whole[6])
			n = join(n, f)
		}
		ps = append(ps, pkt(front(), n, bytesOf(payload)))
	}
	payload := whole[40:]
	if whole[0]>>4 == 4 {
		payload = whole[4*int(whole[0]&0xf):]
	}
	part(0, true, payload[:first])
	part(first, false, payload[first:])
	return ps
}

func bytesOf(b []byte) stack { return stack{gopacket.Payload(b)} }

func text(s string) stack { return bytesOf([]byte(s)) }

func udp(src, dst uint16) stack {
	return stack{&layers.UDP{SrcPort: layers.UDPPort(src), DstPort: layers.UDPPort(dst)}}
}

// Of GRE: which optional words there are.
const (
	greC = 1 << iota
	greK
	greS
	greAll = greC | greK | greS
)

const greKey = 0x2a

func greWith(flags int) stack {
	return stack{&layers.GRE{
		ChecksumPresent: flags&greC != 0,
		KeyPresent:      flags&greK != 0, Key: greKey,
		SeqPresent: flags&greS != 0, Seq: 7,
	}}
}

func vxlanOn(port uint16, vni uint32) stack {
	return join(udp(49152, port), stack{&layers.VXLAN{ValidIDFlag: true, VNI: vni}})
}

// geneveWith has n bytes of options.
func geneveWith(n int, vni uint32) stack {
	h := &layers.Geneve{VNI: vni}
	for n > 0 {
		data := min(n-4, 124) // the most that one option can have
		h.Options = append(h.Options, &layers.GeneveOption{Class: 0x0108, Type: 1, Data: make([]byte, data)})
		n -= 4 + data
	}
	return join(udp(49152, 6081), stack{h})
}

func tcp(src, dst uint16, h layers.TCP) stack {
	h.SrcPort, h.DstPort, h.Window = layers.TCPPort(src), layers.TCPPort(dst), 64240
	return stack{&h}
}

func syn() stack {
	return tcp(40000, 80, layers.TCP{SYN: true, Seq: 1000, Options: []layers.TCPOption{
		{OptionType: layers.TCPOptionKindMSS, OptionData: []byte{5, 0xb4}},
		{OptionType: layers.TCPOptionKindSACKPermitted},
		{OptionType: layers.TCPOptionKindTimestamps, OptionData: []byte{0, 0, 0, 1, 0, 0, 0, 0}},
		{OptionType: layers.TCPOptionKindNop},
		{OptionType: layers.TCPOptionKindWindowScale, OptionData: []byte{7}},
	}})
}

func sctp() stack {
	init := &layers.SCTPInit{InitiateTag: 0x01020304, AdvertisedReceiverWindowCredit: 65536, OutboundStreams: 1, InboundStreams: 1, InitialTSN: 5}
	init.Type = layers.SCTPChunkTypeInit
	return stack{&layers.SCTP{SrcPort: 5000, DstPort: 5001}, init}
}

func ping4() stack {
	return join(stack{&layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(layers.ICMPv4TypeEchoRequest, 0), Id: 1, Seq: 2}}, text("ping"))
}

func ping6() stack {
	return join(stack{&layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(layers.ICMPv6TypeEchoRequest, 0)}, &layers.ICMPv6Echo{Identifier: 1, SeqNumber: 2}}, text("ping"))
}

func arp(src, dst string) stack {
	return stack{&layers.ARP{AddrType: layers.LinkTypeEthernet, Protocol: layers.EthernetTypeIPv4, Operation: layers.ARPRequest,
		SourceHwAddress: mac(1), SourceProtAddress: netip.MustParseAddr(src).AsSlice(),
		DstHwAddress: make([]byte, 6), DstProtAddress: netip.MustParseAddr(dst).AsSlice()}}
}

// bodies4 and bodies6 make what the inner hosts send each other.
var bodies4 = []func() stack{
	func() stack { return join(ip(a4, b4), syn()) },
	func() stack {
		return join(ip(b4, a4), tcp(80, 40000, layers.TCP{ACK: true, PSH: true, Seq: 2000, Ack: 1001}), text("hello"))
	},
	func() stack {
		return join(ip(a4, b4), tcp(40000, 80, layers.TCP{ACK: true, FIN: true, Seq: 1001, Ack: 2005}))
	},
	func() stack { return join(ip(a4, c4), udp(40000, 9), text("to the third")) },
	func() stack { return join(ip(c4, a4), udp(9, 40000), text("from the third")) },
	func() stack { return join(ip(c4, b4), sctp()) },
	func() stack { return join(ip(a4, b4), ping4()) },
}

var bodies6 = []func() stack{
	func() stack { return join(ip(a6, b6), syn()) },
	func() stack { return join(ip(b6, a6), udp(9, 40000), text("version 6")) },
	func() stack { return join(ip(a6, b6), sctp()) },
	func() stack { return join(ip(b6, a6), ping6()) },
	func() stack {
		return join(ip(a6, b6), tcp(40000, 443, layers.TCP{ACK: true, FIN: true, Seq: 1001, Ack: 2005}))
	},
}

// frames makes Ethernet frames between the inner hosts.
func frames() []func() stack {
	all := []func() stack{
		func() stack { return join(inner(), arp(a4, b4)) },
		func() stack { return join(inner(), vlan(7), ip(a4, b4), syn()) },
		func() stack { return join(inner(), qinq(8), vlan(7), ip(b6, a6), ping6()) },
	}
	for _, body := range append(bodies4[:len(bodies4):len(bodies4)], bodies6...) {
		all = append(all, func() stack { return join(inner(), body()) })
	}
	return all
}

// payloads makes one packet after the other of each kind that a tunnel can
// carry, so that every tunnel has had different ones.
type payloads struct{ frame, v4, v6 int }

func (p *payloads) next(kind layers.EthernetType) stack {
	pick := func(from []func() stack, i *int) stack {
		*i++
		return from[(*i-1)%len(from)]()
	}
	switch kind {
	case layers.EthernetTypeIPv4:
		return pick(bodies4, &p.v4)
	case layers.EthernetTypeIPv6:
		return pick(bodies6, &p.v6)
	}
	return pick(frames(), &p.frame)
}

// kinds are the EtherTypes of what a tunnel with an EtherType carries.
var kinds = []layers.EthernetType{layers.EthernetTypeTransparentEthernetBridging, layers.EthernetTypeIPv4, layers.EthernetTypeIPv6}
