package decode

import (
	"fmt"
	"math"
	"strings"
)

// bgpAttributes prints the attributes of routes. Level is 0 for those that are not in another one, which
// is at set.
func (t *Text) bgpAttributes(o, length, level, set int) {
	for length > 0 && !t.stopped() {
		flags, kind := t.u8(o), t.u8(o+1)
		n, head := t.u8(o+2), 3
		if flags&0x10 != 0 {
			n, head = t.u16(o+2), 4
		}
		if t.stopped() {
			return
		}
		if head > length {
			if level == 0 {
				t.s("\n\t  [path attrs too short]")
			} else {
				t.s(" [path attr too short]")
				t.bgpDump(set, length)
			}
			return
		}
		o, length = o+head, length-head
		if level == 0 {
			t.s("\n\t  ")
		} else {
			t.s("\n\t      ")
		}
		t.name(bgpAttribute(kind), "Unknown Attribute")
		t.numbers(" (", kind, "), length: ", n)
		if flags != 0 {
			t.s(", Flags [")
			for i, letter := range []string{"O", "T", "P", "E"} {
				if flags&(0x80>>i) != 0 {
					t.s(letter)
				}
			}
			if flags&0xf != 0 {
				t.s("+")
				t.x(uint32(flags&0xf), 1)
			}
			t.s("]")
			if level == 0 {
				t.s(": ")
			}
		}
		if level > 0 {
			t.s(": ")
		}
		if n > length {
			if level == 0 {
				t.s(" [path attrs too short]")
			} else {
				t.s(" [path attr too short]")
				t.bgpDump(set, length)
			}
			return
		}
		t.bgpValue(kind, o, n, level)
		o, length = o+n, length-n
	}
}

func bgpAttribute(kind int) string {
	switch {
	case kind == 128:
		return "Attribute Set"
	case kind == 255:
		return "Reserved for development"
	case kind == 32:
		return "Large Community"
	}
	return pick(kind, "", "Origin", "AS Path", "Next Hop", "Multi Exit Discriminator", "Local Preference", "Atomic Aggregate", "Aggregator", "Community", "Originator ID", "Cluster List",
		"DPA", "Advertisers", "RCID Path / Cluster ID", "Multi-Protocol Reach NLRI", "Multi-Protocol Unreach NLRI", "Extended Community", "AS4 Path", "Aggregator4",
		"", "", "", "PMSI Tunnel", "Tunnel Encapsulation", "Traffic Engineering", "IPv6 Extended Community", "Accumulated IGP Metric", "PE Distinguisher Label", "Entropy Label")
}

// bgpValue prints what an attribute says.
func (t *Text) bgpValue(kind, o, n, level int) {
	if !t.need(o, n) {
		return
	}
	if !bgpFits(kind, n) {
		t.s("invalid len")
		t.bgpDump(o, n)
		return
	}
	switch kind {
	case 1:
		t.name(pick(t.u8(o), "IGP", "EGP", "Incomplete"), "Unknown Origin Typecode")
	case 2, 17:
		t.asPath(kind, o, n)
	case 3, 9:
		t.number4(o)
	case 4, 5:
		t.u(int(t.u32(o)))
	case 6:
	case 7, 18:
		t.s(" AS #")
		if n == 8 {
			t.as(t.u32(o))
		} else {
			t.as(uint32(t.u16(o)))
		}
		t.s(", origin ")
		t.number4(o + n - 4)
	case 8:
		t.communities(o, n)
	case 10:
		for at := o; at < o+n; at += 4 {
			if at > o {
				t.s(", ")
			}
			t.number4(at)
		}
	case 14:
		t.bgpReach(o, n)
	case 15:
		t.bgpUnreach(o, n)
	case 16:
		for at := o; at < o+n && !t.stopped(); at += 8 {
			t.extendedCommunity(at)
		}
	case 22:
		t.pmsiTunnel(o, n)
	case 26:
		t.aigp(o, n)
	case 32:
		for at := o; at < o+n && !t.stopped(); at += 12 {
			if at == o {
				t.s("\n\t    ")
			} else {
				t.s(", ")
			}
			t.numbers(int(t.u32(at)), ":", int(t.u32(at+4)), ":", int(t.u32(at+8)))
		}
	case 128:
		t.attributeSet(o, n, level)
	default:
		t.numbers("\n\t    no Attribute ", kind, " decoder")
		if t.opt.Verbose <= 1 {
			t.unknownData("\n\t    ", o, n)
		}
	}
	if kind != 32 && kind != 128 {
		t.bgpDump(o, n)
	}
}

// bgpFits reports whether the value of an attribute may be n bytes long.
func bgpFits(kind, n int) bool {
	switch kind {
	case 1:
		return n == 1
	case 3, 4, 5, 9:
		return n == 4
	case 6:
		return n == 0
	case 7:
		return n == 6 || n == 8
	case 8, 10:
		return n%4 == 0
	case 16:
		return n%8 == 0
	case 18:
		return n == 8
	case 32:
		return n > 0 && n%12 == 0
	}
	return true
}

func (t *Text) bgpDump(o, n int) {
	if t.opt.Verbose > 1 && n > 0 {
		t.unknownData("\n\t    ", o, n)
	}
}

// asSequence is the usual kind of a part of a path.
const asSequence = 2

// asPath prints through which systems a route leads.
func (t *Text) asPath(kind, o, n int) {
	if n%2 != 0 {
		t.s("invalid len")
		return
	}
	if n == 0 {
		t.s("empty")
		return
	}
	size := 4
	if kind == 2 && t.shortNumbers(o, n) {
		size = 2
	}
	for at := o; at < o+n && t.need(at, 2); {
		segment := t.u8(at)
		if segment != asSequence {
			t.name(pick(segment, "", "{ ", "", "( ", "({ "), "?")
		}
		count := t.u8(at + 1)
		at += 2
		for ; count > 0 && t.need(at, size); count-- {
			if size == 2 {
				t.as(uint32(t.u16(at)))
			} else {
				t.as(t.u32(at))
			}
			t.s(" ")
			at += size
		}
		if segment != asSequence {
			t.name(pick(segment, "", "}", "", ")", "})"), "?")
		}
	}
}

// shortNumbers guesses whether the numbers of systems in a path have two bytes each, and not four.
func (t *Text) shortNumbers(o, n int) bool {
	for at := o; at < o+n; {
		if kind := t.u8(at); kind < 1 || kind > 4 {
			return false
		}
		if at+1 >= o+n {
			return true
		}
		if at += 2 + 2*t.u8(at+1); at > o+n {
			return false
		}
	}
	return true
}

func (t *Text) communities(o, n int) {
	for at := o; at < o+n; at += 4 {
		switch v := t.u32(at); v {
		case 0xffffff01:
			t.s(" NO_EXPORT")
		case 0xffffff02:
			t.s(" NO_ADVERTISE")
		case 0xffffff03:
			t.s(" NO_EXPORT_SUBCONFED")
		default:
			t.numbers(int(v>>16), ":", int(v&0xffff))
			if at+4 < o+n {
				t.s(", ")
			}
		}
	}
}

// extendedCommunity prints eight bytes of RFC 4360.
func (t *Text) extendedCommunity(o int) {
	kind := t.u16(o)
	name := ""
	switch kind {
	case 0x0002, 0x0102, 0x0202:
		name = "target"
	case 0x0003, 0x0103, 0x0203:
		name = "origin"
	case 0x0005, 0x0105, 0x0205, 0x8005:
		name = "ospf-domain"
	case 0x0009:
		name = "source-AS"
	case 0x000a, 0xf10a:
		name = "l2vpn-id"
	case 0x0107, 0x8001:
		name = "ospf-router-id"
	case 0x010b:
		name = "vrf-route-import"
	case 0x0306, 0x8000:
		name = "ospf-route-type"
	case 0x030c:
		name = "encapsulation"
	case 0x4004:
		name = "link-BW"
	case 0x800a:
		name = "layer2-info"
	case 0x8800:
		name = "eigrp-general-route (flag, tag)"
	case 0x8801:
		name = "eigrp-route-metric (AS, delay)"
	case 0x8802:
		name = "eigrp-route-metric (reliability, nexthop, bandwidth)"
	case 0x8803:
		name = "eigrp-route-metric (load, MTU)"
	case 0x8804:
		name = "eigrp-external-route (remote-AS, remote-ID)"
	case 0x8805:
		name = "eigrp-external-route (remote-proto, remote-metric)"
	}
	t.s("\n\t    ")
	t.name(name, "unknown extd community typecode")
	t.s(" (0x")
	t.x(uint32(kind), 4)
	t.s("), Flags [")
	t.flags([]flag{{0x8000, "vendor-specific"}, {0x4000, "non-transitive"}}, uint32(kind), ", ", "none")
	t.s("]: ")
	switch kind {
	case 0x0002, 0x0003, 0x000a:
		t.numbers(t.u16(o+2), ":", int(t.u32(o+4)), " (= ")
		t.number4(o + 4)
		t.s(")")
	case 0x0102, 0x0103, 0x010b, 0xf10a:
		t.number4(o + 2)
		t.numbers(":", t.u16(o+6))
	case 0x0202, 0x0203:
		t.as(t.u32(o + 2))
		t.numbers(":", t.u16(o+6))
	case 0x0005, 0x0105, 0x0205, 0x8005, 0x0107, 0x8001:
		t.number4(o + 2)
	case 0x0009:
		t.numbers("AS ", t.u16(o+2))
	case 0x0306, 0x8000:
		t.ospfRoute(o)
	case 0x030c:
		t.s("Tunnel type: ")
		t.name(pick(t.u16(o+6), "", "L2TPv3 over IP", "GRE", "Transmit Tunnel", "IPsec", "IP in IP with IPsec", "MPLS in IP with IPsec", "IP in IP", "VXLAN", "NVGRE", "MPLS", "MPLS in GRE",
			"VXLAN GPE", "MPLS in UDP", "IPv6", "SR TE", "Bare", "SR"), "unknown encaps")
	case 0x4004:
		t.s("bandwidth: ")
		// In single precision, as the bytes per second are.
		megabits := math.Float32frombits(t.u32(o+4)) * 8 / 1000000
		if megabits != megabits && t.u32(o+4)>>31 != 0 {
			t.s("-")
		}
		t.s(strings.ToLower(strings.TrimPrefix(fmt.Sprintf("%.3f", megabits), "+")))
		t.s(" Mbps")
	case 0x800a:
		encapsulation := t.u8(o + 2)
		t.name(bgpEncapsulation(encapsulation), "unknown encaps")
		t.s(" Control Flags [0x")
		t.x(uint32(t.u8(o+3)), 2)
		t.numbers("]:MTU ", t.u16(o+4))
	default:
		t.hex(o+2, 6, "")
	}
}

// ospfRoute prints what a route was in OSPF, RFC 4577.
func (t *Text) ospfRoute(o int) {
	t.s("area:")
	t.number4(o + 2)
	kind, options := t.u8(o+6), t.u8(o+7)
	t.s(", router-type:")
	name := pick(kind, "", "Router", "Network", "Summary", "", "External", "", "NSSA External")
	if kind == 129 {
		name = "MPLS-VPN Sham"
	}
	if name == "" {
		t.s("unknown (0x")
		t.x(uint32(kind), 2)
		t.s(")")
	}
	t.s(name)
	t.s(", metric-type:")
	if options&1 != 0 {
		t.s("E2")
	}
	if kind == 5 || kind == 7 {
		t.s("E1")
	}
}

// bgpEncapsulation names what a pseudowire carries.
func bgpEncapsulation(v int) string {
	if v >= 40 {
		return pick(v-40, "Structure-agnostic E3 over packet", "Octet-aligned playload for Structure-agnostic DS1 circuits", "E1 Nx64kbit/s with CAS using Structure-aware",
			"DS1 (ESF) Nx64kbit/s with CAS using Structure-aware", "DS1 (SF) Nx64kbit/s with CAS using Structure-aware")
	}
	return pick(v, "Reserved", "Frame Relay", "ATM AAL5 SDU VCC transport", "ATM transparent cell transport", "Ethernet (VLAN) Tagged Mode", "Ethernet Raw Mode", "Cisco HDLC", "PPP",
		"SONET/SDH Circuit Emulation Service over MPLS", "ATM n-to-one VCC cell transport", "ATM n-to-one VPC cell transport", "IP layer 2 transport", "", "", "", "Frame Relay Port mode", "",
		"Structure-agnostic E1 over packet", "Structure-agnostic T1 (DS1) over packet", "VPLS", "Structure-agnostic T3 (DS3) over packet", "Nx64kbit/s Basic Service using Structure-aware",
		"", "", "", "Frame Relay DLCI")
}

// pmsiTunnel prints RFC 6514's attribute, which EVPN uses as well.
func (t *Text) pmsiTunnel(o, n int) {
	if n < 5 {
		t.bgpCut()
		return
	}
	flags, kind := t.u8(o), t.u8(o+1)
	t.s("\n\t    Tunnel-type ")
	t.name(pick(kind, "", "RSVP-TE P2MP LSP", "LDP P2MP LSP", "PIM-SSM Tree", "PIM-SM Tree", "PIM-Bidir Tree", "Ingress Replication", "LDP MP2MP LSP"), "Unknown")
	t.numbers(" (", kind, "), Flags [")
	t.flags([]flag{{1, "Leaf Information required"}}, uint32(flags), ", ", "none")
	t.numbers("], MPLS Label ", t.u24(o+2)>>4)
	o, n = o+5, n-5
	if kind >= 1 && kind <= 7 && !t.need(o, 4) || kind >= 1 && kind <= 7 && kind != 6 && !t.need(o, 8) {
		return
	}
	switch kind {
	case 1:
		t.s("\n\t      Extended-Tunnel-ID ")
		t.number4(o)
		t.s(", P2MP-ID 0x")
		t.x(t.u32(o+4), 8)
	case 2, 7:
		t.s("\n\t      Root-Node ")
		t.number4(o)
		t.s(", LSP-ID 0x")
		t.x(t.u32(o+4), 8)
	case 3:
		t.s("\n\t      Root-Node ")
		t.number4(o)
		t.s(", P-Group ")
		t.number4(o + 4)
	case 4, 5:
		t.s("\n\t      Sender ")
		t.number4(o)
		t.s(", P-Group ")
		t.number4(o + 4)
	case 6:
		t.s("\n\t      Tunnel-Endpoint ")
		t.number4(o)
	default:
		if t.opt.Verbose <= 1 && n > 0 {
			t.unknownData("\n\t      ", o, n)
		}
	}
}

// aigp prints RFC 7311's metric.
func (t *Text) aigp(o, n int) {
	for n >= 3 && !t.stopped() {
		kind, size := t.u8(o), t.u16(o+1)
		t.s("\n\t    ")
		t.name(pick(kind, "", "AIGP"), "Unknown")
		t.numbers(" TLV (", kind, "), length ", size)
		if size < 3 || size > n || kind == 1 && size != 11 {
			t.bgpCut()
			return
		}
		if kind == 1 {
			t.s(", metric ")
			t.u64(t.u64At(o + 3))
		} else if t.opt.Verbose <= 1 {
			t.unknownData("\n\t      ", o+3, size-3)
		}
		o, n = o+size, n-size
	}
}

// maxSets is how many sets of attributes may be in one another. There is no use of it.
const maxSets = 10

// attributeSet prints RFC 6368's attributes of a customer.
func (t *Text) attributeSet(o, n, level int) {
	if level > maxSets {
		t.s("(too many nested levels, not recursing)")
		return
	}
	if n < 4 {
		t.bgpCut()
		return
	}
	t.s("\n\t    Origin AS: ")
	t.as(t.u32(o))
	t.bgpAttributes(o+4, n-4, level+1, o)
}
