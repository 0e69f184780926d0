package filter

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tundump/tundump/filter/ir"
)

// likely returns packets of the forms that most of the traffic between hypervisors has, as short as
// they can be: plain ones, and those that GRE, VXLAN and Geneve carry over IPv4 and IPv6, with and without a VLAN tag inside,
// and IP in IP. They say what to be fast at, and nothing else. A tag in front of all is seldom in the packet: the kernel has
// it in the metadata. They are written as bytes in hexadecimal digits, with dots for those that may be anything, and tildes
// for a port of no tunnel.
func likely(opt Options) (all []ir.Likely) {
	const (
		ether = ".. .. .. .. .. .. .. .. .. .. .. .. "
		arp   = "08 06 00 01 08 00 06 04 .. .. .. .. .. .. .. .. .. .. .. .. .. .. .. .. .. .. .. .. .. .. "
		any4  = ".. .. .. .. "
		tcp   = any4 + any4 + any4 + "50 .. .. .. " + any4
		icmp  = any4 + any4
	)
	udp := func(port uint16) string { return fmt.Sprintf(".. .. %02x %02x .. .. .. .. ", port>>8, port&0xff) }
	const udpAlone = ".. .. ~~ ~~ .. .. .. .. " + any4 + any4
	ipv4 := func(protocol int) string {
		return fmt.Sprintf("45 .. .. .. .. .. 00 00 .. %02x .. .. ", protocol) + any4 + any4
	}
	ipv6 := func(next int) string {
		return fmt.Sprintf("60 .. .. .. .. .. %02x .. ", next) + strings.Repeat(any4, 8)
	}
	over4 := []string{ipv4(6) + tcp, ipv4(17) + udpAlone, ipv4(1) + icmp}
	over6 := []string{ipv6(6) + tcp, ipv6(17) + udpAlone, ipv6(58) + icmp}
	frames := []string{ether + arp}
	for _, p := range over4 {
		frames = append(frames, ether+"08 00 "+p)
	}
	for _, p := range over6 {
		frames = append(frames, ether+"86 dd "+p)
	}
	untagged := len(frames)
	// The shortest: those that are longer are like them.
	frames = append(frames, ether+"81 00 .. .. 08 00 "+over4[2], ether+"81 00 .. .. 86 dd "+over6[2])
	packets := append([]string{}, frames[:untagged]...)
	for n, underlay := range []func(int) string{ipv4, ipv6} {
		outer := ether + []string{"08 00 ", "86 dd "}[n]
		packets = append(packets, outer+underlay(4)+over4[2], outer+underlay(41)+over6[2])
		// What a tunnel carries is no other behind a key, behind another port than the first, or over IPv6.
		inside := [][]string{frames, frames[:untagged], frames[1:2]}[2*n:]
		for k, key := range []string{"", any4} {
			gre := outer + underlay(47) + []string{"00 00 ", "20 00 "}[k]
			for _, f := range inside[min(k, len(inside)-1)] {
				packets = append(packets, gre+"65 58 "+key+f)
			}
			for _, p := range over4 {
				packets = append(packets, gre+"08 00 "+key+p)
			}
		}
		ports := opt.Table.Ports
		for k, port := range slices.Concat(ports.VXLAN, ports.Geneve) {
			tunnel := "08 .. .. .. .. .. .. .. "
			if k >= len(ports.VXLAN) {
				tunnel = "00 00 65 58 .. .. .. .. "
			}
			frames := inside[0]
			if k > 0 {
				frames = inside[len(inside)-1]
			}
			for _, f := range frames {
				packets = append(packets, outer+underlay(17)+udp(port)+tunnel+f)
			}
		}
	}
	for _, p := range packets {
		l := ir.Likely{Data: make([]byte, 0, len(p)/3), Roles: make([]ir.Role, 0, len(p)/3)}
		for n := 0; n < len(p); n += len(".. ") {
			b, role := byte(0), ir.Fixed
			switch p[n] {
			case '.':
				role = ir.Free
			case '~': // no tunnel has port 0
				role = ir.Other
			default:
				b = digit(p[n])<<4 | digit(p[n+1])
			}
			l.Data, l.Roles = append(l.Data, b), append(l.Roles, role)
		}
		all = append(all, l)
	}
	return all
}

// digit returns what a hexadecimal digit stands for.
func digit(c byte) byte { return byte(strings.IndexByte("0123456789abcdef", c)) }
