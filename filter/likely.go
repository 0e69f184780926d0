package filter

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/tundump/tundump/filter/ir"
)

// likely returns packets of the forms that most of the traffic between hypervisors has, as short as
// they can be: plain ones, and those that GRE, VXLAN and Geneve over IPv4 carry. They say what to be fast
// at, and nothing else. They are written as bytes in hexadecimal digits, with dots for those that may be anything, and tildes
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
	packets := append([]string{}, frames...)
	outer := ether + "08 00 "
	for _, key := range []string{"", any4} {
		gre := outer + ipv4(47) + "00 00 "
		if key != "" {
			gre = outer + ipv4(47) + "20 00 "
		}
		for _, f := range frames {
			packets = append(packets, gre+"65 58 "+key+f)
		}
		for _, p := range over4 {
			packets = append(packets, gre+"08 00 "+key+p)
		}
	}
	ports := opt.Table.Ports
	for n, port := range slices.Concat(ports.VXLAN, ports.Geneve) {
		tunnel := "08 .. .. .. .. .. .. .. "
		if n >= len(ports.VXLAN) {
			tunnel = "00 00 65 58 .. .. .. .. "
		}
		inside := frames
		if n > 0 { // what comes then is no other than behind the first port
			inside = frames[1:2]
		}
		for _, f := range inside {
			packets = append(packets, outer+ipv4(17)+udp(port)+tunnel+f)
		}
	}
	for _, p := range packets {
		var l ir.Likely
		for _, field := range strings.Fields(p) {
			b, role := uint64(0), ir.Fixed
			switch field {
			case "..":
				role = ir.Free
			case "~~": // no tunnel has port 0
				role = ir.Other
			default:
				b, _ = strconv.ParseUint(field, 16, 8)
			}
			l.Data, l.Roles = append(l.Data, byte(b)), append(l.Roles, role)
		}
		all = append(all, l)
	}
	return all
}
