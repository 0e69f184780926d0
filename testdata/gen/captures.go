package main

import (
	"encoding/binary"

	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// underlays are the two IP headers that a tunnel's packets can have.
var underlays = []func() stack{outer4, outer6}

// plain has no tunnels, except in what ICMP errors quote.
func plain() []packet {
	ps := []packet{pkt(eth(), arp(outerA4, outerB4))}
	for _, body := range append(bodies4[:len(bodies4):len(bodies4)], bodies6...) {
		ps = append(ps, pkt(eth(), body()))
	}

	// IPv4: options, fragments, AH.
	for _, n := range []int{4, 20, 40} {
		ps = append(ps, pkt(eth(), ipOptions(a4, b4, n), udp(40000, 9), text("options")))
	}
	ps = append(ps, fragments(16, eth, func() stack { return ip(a4, b4) }, udp(40000, 9), text("a datagram in two parts"))...)
	ps = append(ps, fragments(16, eth, func() stack { return ipOptions(a4, b4, 8) }, udp(40000, 9), text("a datagram in two parts"))...)
	ps = append(ps, pkt(eth(), ip(a4, b4), stack{&ah{}}, syn()))

	// IPv6 extension headers: each, several, a fragment's.
	for _, extension := range []stack{
		hopOpts(), routing(), dstOpts(), fragment(0, false), {&ah{}},
		join(hopOpts(), dstOpts(), routing(), stack{&ah{}}, dstOpts()),
	} {
		ps = append(ps, pkt(eth(), ip(a6, b6), extension, udp(40000, 9), text("extended")))
	}
	ps = append(ps, fragments(16, eth, func() stack { return ip(a6, b6) }, udp(40000, 9), text("a datagram in two parts"))...)
	// A later fragment behind other extension headers, and headers that are only in the
	// first fragment.
	later := fragment(1400, false)
	later[0].(*layers.IPv6Fragment).NextHeader = layers.IPProtocolUDP
	ps = append(ps,
		pkt(eth(), ip(a6, b6), hopOpts(), later, text("the last part")),
		pkt(eth(), ip(a6, b6), fragment(0, false), dstOpts(), syn()))

	// VLAN tags: 0 was above.
	for n := 1; n <= 5; n++ {
		tags := []stack{vlan(1), qinq(2), vlan(3), vlan(4094), vlan(5)}
		ps = append(ps, pkt(eth(), join(tags[:n]...), ip(a4, b4), syn()))
	}
	ps = append(ps, pkt(eth(), qinq(10), vlan(20), ip(a6, b6), syn()), pkt(eth(), vlan(10), arp(a4, b4)))

	// ICMP errors that quote a tunnel packet: no tunnel.
	quoted4 := encode(outer4(), greWith(greK), inner(), bodies4[0]())
	quoted6 := encode(outer6(), vxlanOn(4789, 42), inner(), bodies4[0]())
	ps = append(ps,
		pkt(eth(), ip("192.0.2.254", outerA4), stack{&layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(layers.ICMPv4TypeDestinationUnreachable, layers.ICMPv4CodeFragmentationNeeded), Seq: 1400}}, bytesOf(quoted4)),
		pkt(eth(), ip("192.0.2.254", outerA4), stack{&layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(layers.ICMPv4TypeTimeExceeded, 0)}}, bytesOf(encode(outer4(), bodies4[3]()))),
		pkt(eth(), ip("2001:db8::fe", outerA6), stack{&layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(layers.ICMPv6TypePacketTooBig, 0)}}, bytesOf(append([]byte{0, 0, 5, 0}, quoted6...))))

	ps = append(ps,
		pkt(eth(), stack{&tag{&layers.Dot1Q{VLANIdentifier: 6}, 0x9100}}, vlan(7), ip(a4, b4), syn()),
		pkt(eth(), ip(a4, b4), stack{&ah{}}, ping4()))
	return ps
}

func greTunnels() []packet {
	var ps []packet
	var p payloads
	for _, under := range underlays {
		for flags := 0; flags <= greAll; flags++ {
			for _, kind := range kinds {
				ps = append(ps, pkt(eth(), under(), greWith(flags), p.next(kind)))
			}
		}
	}
	for _, frame := range frames() {
		ps = append(ps, pkt(eth(), outer4(), greWith(greK), frame()))
	}

	// NVGRE, RFC 7637: a key of a virtual subnet ID and a flow ID.
	for _, under := range underlays {
		h := &layers.GRE{KeyPresent: true, Key: 0x0abcde<<8 | 0x11}
		ps = append(ps, pkt(eth(), under(), stack{h}, p.next(0)))
	}
	// As Linux's ip6gre and ip6gretap send it.
	for _, kind := range kinds {
		ps = append(ps, pkt(eth(), outer6(), dstOpts(), greWith(greK), p.next(kind)))
	}
	// IPv4 with options.
	ps = append(ps, pkt(eth(), ipOptions(outerA4, outerB4, 12), greWith(greC|greK), p.next(0)))
	// In fragments: the inner packet is in the first.
	for _, under := range underlays {
		ps = append(ps, fragments(64, eth, under, greWith(greK), inner(), bodies4[0]())...)
	}

	// RFC 1701: source routing, which ended with RFC 2784. The rest of the
	// header is not where it seems to be.
	routed := &layers.GRE{RoutingPresent: true, KeyPresent: true, Key: greKey,
		GRERouting: &layers.GRERouting{AddressFamily: 0x0800, SRELength: 4, RoutingInformation: []byte{192, 0, 2, 9}}}
	ps = append(ps, pkt(eth(), outer4(), stack{routed}, bodies4[0]()))
	// RFC 2637: version 1, key (payload length, call ID), sequence number, then
	// PPP (RFC 1661) with IPv4.
	payload := append([]byte{0xff, 0x03, 0x00, 0x21}, encode(bodies4[0]())...)
	v1 := []byte{0x30, 0x01, 0x88, 0x0b, 0, byte(len(payload)), 0, 5, 0, 0, 0, 1}
	o := outer4()
	o[0].(*layers.IPv4).Protocol = layers.IPProtocolGRE
	ps = append(ps, pkt(eth(), o, bytesOf(v1), bytesOf(payload)))
	// A protocol that we do not walk: a local experimental EtherType.
	unknown := &layers.GRE{Protocol: 0x88b5}
	ps = append(ps, pkt(eth(), outer4(), stack{unknown}, text("something else")))
	return ps
}

func vxlanTunnels() []packet {
	var ps []packet
	for _, under := range underlays {
		for _, frame := range frames() {
			ps = append(ps, pkt(eth(), under(), vxlanOn(4789, 42), frame()))
		}
	}
	for _, frame := range frames()[:8] {
		ps = append(ps, pkt(eth(), outer4(), vxlanOn(8472, 0xfffffe), frame()))
	}
	body := frames()[3]
	// Inner packets in fragments.
	front := func() stack { return join(eth(), outer4(), vxlanOn(4789, 42), inner()) }
	for _, hosts := range [][2]string{{a4, b4}, {a6, b6}} {
		ps = append(ps, fragments(16, front, func() stack { return ip(hosts[0], hosts[1]) }, udp(40000, 9), text("a datagram in two parts"))...)
	}
	// No I flag: no VXLAN network identifier.
	ps = append(ps, pkt(eth(), outer4(), udp(49152, 4789), stack{&layers.VXLAN{}}, body()))
	// It is the destination port that counts.
	ps = append(ps, pkt(eth(), outer4(), udp(4789, 49152), stack{&layers.VXLAN{ValidIDFlag: true, VNI: 42}}, body()))
	// Behind IPv6 extension headers; in fragments.
	ps = append(ps, pkt(eth(), outer6(), hopOpts(), dstOpts(), vxlanOn(4789, 42), body()))
	for _, under := range underlays {
		ps = append(ps, fragments(72, eth, under, vxlanOn(4789, 42), body())...)
	}

	// Tunnels in tunnels, 2 to 5 deep.
	mid := func(n string) stack { return ip("172.16."+n+".1", "172.16."+n+".2") }
	mid6 := func(n string) stack { return ip("2001:db8:"+n+"::1", "2001:db8:"+n+"::2") }
	for _, last := range []func() stack{bodies4[0], bodies6[0]} {
		last := func() stack { return join(inner(), last()) }
		ps = append(ps,
			pkt(eth(), outer4(), vxlanOn(4789, 1), inner(), mid("2"), vxlanOn(4789, 2), last()),
			pkt(eth(), outer4(), vxlanOn(4789, 1), inner(), mid6("22"), vxlanOn(8472, 2), last()),
			pkt(eth(), outer4(), vxlanOn(4789, 1), inner(), mid("2"), greWith(greK), last()),
			pkt(eth(), outer6(), vxlanOn(4789, 1), inner(), vlan(5), mid6("22"), dstOpts(), greWith(greAll), last()),
			pkt(eth(), outer4(), greWith(greK|greS), inner(), mid("2"), vxlanOn(4789, 2), last()),
			pkt(eth(), outer6(), greWith(0), mid("2"), vxlanOn(4789, 2), last()),
			pkt(eth(), outer4(), vxlanOn(4789, 1), inner(), mid("2"), geneveWith(8, 2), inner(), mid("3"), greWith(greK), last()),
			pkt(eth(), outer4(), vxlanOn(4789, 1), inner(), mid("2"), vxlanOn(4789, 2), inner(), mid6("33"), vxlanOn(4789, 3), inner(), mid("4"), vxlanOn(4789, 4), last()),
			pkt(eth(), outer4(), vxlanOn(4789, 1), inner(), mid("2"), vxlanOn(4789, 2), inner(), mid("3"), vxlanOn(4789, 3), inner(), mid("4"), vxlanOn(4789, 4), inner(), mid("5"), vxlanOn(4789, 5), last()),
			pkt(eth(), outer6(), vxlanOn(4789, 1), inner(), mid("2"), greWith(greC), mid6("33"), mid("4"), geneveWith(0, 4), mid("5"), greWith(greAll), last()))
	}
	return ps
}

func geneveTunnels() []packet {
	var ps []packet
	var p payloads
	for _, under := range underlays {
		for _, n := range []int{0, 4, 8, 60, 252} {
			for _, kind := range kinds {
				ps = append(ps, pkt(eth(), under(), geneveWith(n, 1000), p.next(kind)))
			}
		}
	}
	// with has its header changed.
	with := func(change func(*layers.Geneve)) stack {
		s := geneveWith(4, 1000)
		change(s[1].(*layers.Geneve))
		return s
	}
	body := frames()[3]
	ps = append(ps,
		pkt(eth(), outer4(), with(func(h *layers.Geneve) { h.OAMPacket = true }), body()),
		pkt(eth(), outer4(), with(func(h *layers.Geneve) { h.CriticalOption = true }), body()),
		// There is no version 1.
		pkt(eth(), outer4(), with(func(h *layers.Geneve) { h.Version = 1 }), body()),
		// A local experimental EtherType.
		pkt(eth(), outer4(), with(func(h *layers.Geneve) { h.Protocol = 0x88b5 }), text("something else")))
	// It is the destination port that counts.
	reply := geneveWith(0, 1000)
	reply[0] = udp(6081, 49152)[0]
	ps = append(ps, pkt(eth(), outer4(), reply, body()))
	for _, under := range underlays {
		ps = append(ps, fragments(72, eth, under, geneveWith(4, 1000), body())...)
	}
	return ps
}

func ipipTunnels() []packet {
	var ps []packet
	for _, under := range underlays {
		for _, body := range append(bodies4[:len(bodies4):len(bodies4)], bodies6...) {
			ps = append(ps, pkt(eth(), under(), body()))
		}
	}
	mid4 := func() stack { return ip("172.16.2.1", "172.16.2.2") }
	mid6 := func() stack { return ip("2001:db8:22::1", "2001:db8:22::2") }
	ps = append(ps,
		// As Linux's ip6tnl sends it.
		pkt(eth(), outer6(), dstOpts(), bodies4[0]()),
		pkt(eth(), outer6(), dstOpts(), bodies6[0]()),
		pkt(eth(), ipOptions(outerA4, outerB4, 8), bodies4[0]()),
		pkt(eth(), outer4(), mid4(), bodies4[0]()),
		pkt(eth(), outer4(), mid6(), bodies4[0]()),
		pkt(eth(), outer6(), mid4(), bodies6[0]()),
		pkt(eth(), outer6(), mid6(), ipOptions(a4, b4, 4), syn()),
		pkt(eth(), outer4(), mid4(), greWith(greK), inner(), bodies4[0]()),
		pkt(eth(), outer4(), greWith(greK), mid4(), bodies4[0]()),
		pkt(eth(), outer4(), vxlanOn(4789, 42), inner(), mid6(), bodies4[0]()))
	for _, under := range underlays {
		ps = append(ps, fragments(40, eth, under, bodies4[0]())...)
	}
	// As many extension headers as are followed, and one more.
	for _, n := range []int{6, 7} {
		var extensions stack
		for range n {
			extensions = append(extensions, dstOpts()...)
		}
		ps = append(ps, pkt(eth(), outer6(), extensions, bodies4[0]()))
	}
	return ps
}

func vlanTunnels() []packet {
	var ps []packet
	outsides := []func() stack{
		func() stack { return vlan(100) },
		func() stack { return join(qinq(200), vlan(100)) },
		func() stack { return join(vlan(0), vlan(2), vlan(3), vlan(4)) }, // 0: a priority only
	}
	insides := []func() stack{
		func() stack { return nil },
		func() stack { return vlan(7) },
		func() stack { return join(qinq(8), vlan(7)) },
	}
	i := 0
	for _, outside := range outsides {
		for _, inside := range insides {
			for _, tunnel := range []stack{greWith(greK), vxlanOn(4789, 42), geneveWith(8, 1000)} {
				under := underlays[i%2]
				body := append(bodies4[:len(bodies4):len(bodies4)], bodies6...)[i%(len(bodies4)+len(bodies6))]
				ps = append(ps, pkt(eth(), outside(), under(), tunnel, inner(), inside(), body()))
				i++
			}
		}
	}
	// Without an inner Ethernet header; without an outer tag; inner ARP.
	ps = append(ps,
		pkt(eth(), vlan(100), outer4(), greWith(greK), bodies4[0]()),
		pkt(eth(), vlan(100), outer4(), bodies4[0]()),
		pkt(eth(), outer4(), vxlanOn(4789, 42), inner(), vlan(7), bodies6[1]()),
		pkt(eth(), vlan(100), outer6(), vxlanOn(4789, 42), inner(), vlan(7), arp(a4, b4)),
		// Tags at two levels, and at the third.
		pkt(eth(), vlan(100), outer4(), vxlanOn(4789, 1), inner(), vlan(7), ip("172.16.2.1", "172.16.2.2"), vxlanOn(4789, 2), inner(), vlan(8), bodies4[0]()))
	return ps
}

func erspanTunnels() []packet {
	var ps []packet
	for _, under := range underlays {
		for _, frame := range frames() {
			ps = append(ps, pkt(eth(), under(), greWith(greS), stack{&layers.ERSPANII{Version: 1, VLANIdentifier: 7, SessionID: 0x155, Index: 0x54321}}, frame()))
		}
		for _, frame := range frames()[:6] {
			// draft-foschiano-erspan-03: type I has no header of its own, and a
			// GRE header without a sequence number.
			ps = append(ps, pkt(eth(), under(), stack{&layers.GRE{Protocol: layers.EthernetTypeERSPAN}}, frame()))
		}
	}
	// With a key as well; a version that has another header; an outer tag; a
	// tunnel in a mirrored frame.
	second := func(version uint8) stack {
		return stack{&layers.ERSPANII{Version: version, VLANIdentifier: 7, SessionID: 0x155}}
	}
	ps = append(ps,
		pkt(eth(), outer4(), greWith(greAll), second(1), frames()[3]()),
		pkt(eth(), outer4(), greWith(greS), second(3), frames()[3]()),
		pkt(eth(), vlan(100), outer4(), greWith(greS), second(1), frames()[3]()),
		pkt(eth(), outer4(), greWith(greS), second(1), inner(), ip("172.16.2.1", "172.16.2.2"), vxlanOn(4789, 2), frames()[3]()))
	return ps
}

// short has tunnel packets cut after every number of bytes: first as packets
// that were so short on the wire, then as the snapshot length does it.
func short() []packet {
	var ps []packet
	for _, whole := range [][]byte{
		encode(eth(), outer4(), greWith(greAll), inner(), bodies4[0]()),
		encode(eth(), vlan(100), outer6(), vxlanOn(4789, 42), inner(), vlan(7), bodies4[3]()),
		encode(eth(), ipOptions(outerA4, outerB4, 4), geneveWith(12, 1000), bodies6[1]()),
		encode(eth(), outer6(), dstOpts(), bodies4[6]()),
		encode(eth(), outer4(), greWith(greS), stack{&layers.ERSPANII{Version: 1, SessionID: 5}}, frames()[0]()),
	} {
		for n := range whole {
			ps = append(ps, packet{data: whole[:n]})
		}
		for n := range whole {
			ps = append(ps, packet{data: whole[:n], len: len(whole)})
		}
		ps = append(ps, packet{data: whole})
	}
	return ps
}

// mixed has packets of two interfaces, eth1 and tun0, which has no link
// header.
func mixed() []packet {
	directions := []pcapgo.NgEpbFlag{pcapgo.NgEpbFlagDirectionInbound, pcapgo.NgEpbFlagDirectionOutbound, pcapgo.NgEpbFlagDirectionUnknown}
	var ps []packet
	var p payloads
	for i := range 24 {
		var part packet
		switch i % 4 {
		case 0:
			part = pkt(eth(), outer4(), vxlanOn(4789, 42), p.next(0))
		case 1:
			part = pkt(p.next(layers.EthernetTypeIPv4))
			part.in = 1
		case 2:
			part = pkt(eth(), outer6(), greWith(greK), p.next(layers.EthernetTypeIPv4))
		case 3:
			part = pkt(outer4(), greWith(greK), p.next(0))
			part.in = 1
		}
		part.direction = directions[i%3]
		ps = append(ps, part)
	}
	// A snapped one.
	last := &ps[len(ps)-2]
	last.len = len(last.data)
	last.data = last.data[:80]
	return ps
}

// cooked makes packets with another link header than Ethernet's.
func cooked(link func(layers.EthernetType) []byte) []packet {
	var ps []packet
	add := func(kind layers.EthernetType, parts ...stack) {
		ps = append(ps, pkt(append([]stack{bytesOf(link(kind))}, parts...)...))
	}
	for _, body := range bodies4 {
		add(layers.EthernetTypeIPv4, body())
	}
	for _, body := range bodies6 {
		add(layers.EthernetTypeIPv6, body())
	}
	for i, frame := range frames() {
		switch i % 3 {
		case 0:
			add(layers.EthernetTypeIPv4, outer4(), greWith(greK), frame())
		case 1:
			add(layers.EthernetTypeIPv6, outer6(), vxlanOn(4789, 42), frame())
		case 2:
			add(layers.EthernetTypeIPv4, outer4(), geneveWith(8, 1000), frame())
		}
	}
	add(layers.EthernetTypeIPv4, outer4(), bodies6[0]())
	if len(link(layers.EthernetTypeIPv4)) > 0 { // not raw IP
		add(layers.EthernetTypeARP, arp(a4, b4))
		add(layers.EthernetTypeDot1Q, vlanAlone(100, layers.EthernetTypeIPv4), outer4(), greWith(greK), frames()[3]())
	}
	return ps
}

// vlanAlone is a VLAN tag behind a header that gopacket does not write.
func vlanAlone(id uint16, next layers.EthernetType) stack {
	b := binary.BigEndian.AppendUint16(nil, id)
	return bytesOf(binary.BigEndian.AppendUint16(b, uint16(next)))
}

// raw is no header: IPv4 and IPv6 tell themselves apart.
func raw(layers.EthernetType) []byte { return nil }

// sll is a LINUX_SLL header,
// https://www.tcpdump.org/linktypes/LINKTYPE_LINUX_SLL.html: packet type (0: to
// us), ARPHRD_ETHER, address length, address, protocol.
func sll(kind layers.EthernetType) []byte {
	b := []byte{0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 0xa1, 0, 0}
	return binary.BigEndian.AppendUint16(b, uint16(kind))
}

// sll2 is a LINUX_SLL2 header,
// https://www.tcpdump.org/linktypes/LINKTYPE_LINUX_SLL2.html: protocol,
// reserved, interface index, ARPHRD_ETHER, packet type (0: to us), address length,
// address.
func sll2(kind layers.EthernetType) []byte {
	b := binary.BigEndian.AppendUint16(nil, uint16(kind))
	return append(b, 0, 0, 0, 0, 0, 3, 0, 1, 0, 6, 2, 0, 0, 0, 0, 0xa1, 0, 0)
}
