package decode

import (
	"bytes"
	"strconv"
	"time"

	"github.com/tundump/tundump/filter/header"
)

// control prints what bridges and links speak among themselves behind an Ethernet header
// or tag with that type, and reports whether it can.
func (j *JSON) control(typ int, b []byte, off, level, length int) bool {
	switch {
	case typ == 0x88cc:
		return j.lldp(b, off, level, length)
	case typ == 0x8809:
		return j.lacp(b, off, level, length)
	case typ <= 1500 && len(b) >= 3 && b[0] == 0x42 && b[1] == 0x42 && b[2] == 3: // IEEE 802.2's header
		return j.stp(b[3:], off+3, level, length-3)
	}
	return false
}

// stp prints IEEE 802.1D's and its successors' messages; of MSTP what is in those, too.
func (j *JSON) stp(b []byte, off, level, length int) bool {
	if len(b) < 4 || be16(b) != 0 {
		return false
	}
	kind := b[3]
	change := kind == 0x80
	if !change && len(b) < 35 {
		return false
	}
	j.startLayer("stp", level, off, length)
	j.number("version", uint64(b[2]))
	j.number("type", uint64(kind))
	if !change {
		// The port's role is a number between the flags.
		j.flags("flags", []flag{{0x01, "topology_change"}, {0x02, "proposal"}, {0x10, "learning"}, {0x20, "forwarding"}, {0x40, "agreement"}, {0x80, "topology_change_ack"}}, uint32(b[4]&^0x0c))
		if b[2] >= 2 {
			j.number("port_role", uint64(b[4]>>2&3))
		}
		j.number("root_priority", be16(b[5:]))
		j.mac("root", b[7:13])
		j.number("root_cost", be32(b[13:]))
		j.number("bridge_priority", be16(b[17:]))
		j.mac("bridge", b[19:25])
		j.number("port", be16(b[25:]))
		for i, name := range []string{"message_age_ms", "max_age_ms", "hello_ms", "forward_delay_ms"} {
			j.number(name, be16(b[27+2*i:])*1000/256)
		}
	}
	j.endLayer()
	return true
}

// lldp prints IEEE 802.1AB's parts.
func (j *JSON) lldp(b []byte, off, level, length int) bool {
	whole := false // to the end mark
	for at := 0; at+2 <= len(b) && !whole; {
		v := be16(b[at:])
		whole = v == 0
		at += 2 + int(v&0x1ff)
		if at > len(b) {
			break
		}
	}
	if !whole {
		return false
	}
	j.startLayer("lldp", level, off, length)
	var addresses, others [][]byte
	seen := [9]bool{}
	for at := 0; ; {
		v := be16(b[at:])
		kind, value := int(v>>9), b[at+2:at+2+int(v&0x1ff)]
		at += 2 + len(value)
		if kind == 0 {
			break
		}
		if kind < len(seen) && seen[kind] && kind != 8 { // a second one is no field
			kind = 127
		}
		switch {
		case kind == 1 && len(value) > 1:
			j.lldpID("chassis_id", value, 4, 5)
		case kind == 2 && len(value) > 1:
			j.lldpID("port_id", value, 3, 4)
		case kind == 3 && len(value) >= 2:
			j.number("ttl", be16(value))
		case kind == 4:
			j.bytes("port_description", value)
		case kind == 5:
			j.bytes("system_name", value)
		case kind == 6:
			j.bytes("system_description", value)
		case kind == 8 && len(value) > 1 && int(value[0]) < len(value) && (value[0] == 5 && value[1] == 1 || value[0] == 17 && value[1] == 2):
			addresses = append(addresses, value[2:1+value[0]])
		default:
			others = append(others, b[at-2-len(value):at])
			continue
		}
		if kind < len(seen) {
			seen[kind] = true
		}
	}
	j.key("management_addresses")
	j.open('[')
	for _, a := range addresses {
		j.address(a)
	}
	j.close(']')
	j.key("tlvs")
	j.open('[')
	for _, o := range others {
		j.open('{')
		j.number("type", uint64(o[0]>>1))
		j.hex("data", o[2:])
		j.close('}')
	}
	j.close(']')
	j.endLayer()
	return true
}

// lldpID prints an identifier whose first byte says what it is: a MAC address, a network address
// or text.
func (j *JSON) lldpID(name string, value []byte, mac, network byte) {
	kind, v := value[0], value[1:]
	switch {
	case kind == mac && len(v) == 6:
		j.mac(name, v)
	case kind == network && (len(v) == 5 && v[0] == 1 || len(v) == 17 && v[0] == 2):
		j.addr(name, v[1:])
	default:
		j.bytes(name, v)
	}
}

// lacp prints IEEE 802.1AX's messages; other slow protocols it leaves to others.
func (j *JSON) lacp(b []byte, off, level, length int) bool {
	if len(b) < 58 || b[0] != 1 || b[2] != 1 || b[3] != 20 || b[22] != 2 || b[23] != 20 || b[42] != 3 || b[43] != 16 {
		return false
	}
	j.startLayer("lacp", level, off, length)
	j.number("version", uint64(b[1]))
	states := []flag{{1, "active"}, {2, "short_timeout"}, {4, "aggregation"}, {8, "synchronization"}, {16, "collecting"}, {32, "distributing"}, {64, "defaulted"}, {128, "expired"}}
	for i, who := range []string{"actor_", "partner_"} {
		p := b[4+20*i:]
		j.number(who+"system_priority", be16(p))
		j.mac(who+"system", p[2:8])
		j.number(who+"key", be16(p[8:]))
		j.number(who+"port_priority", be16(p[10:]))
		j.number(who+"port", be16(p[12:]))
		j.flags(who+"state", states, uint32(p[14]))
	}
	j.number("collector_max_delay", be16(b[44:]))
	j.endLayer()
	return true
}

// ntp prints RFC 5905's messages between clocks; control messages it leaves to others.
func (j *JSON) ntp(b []byte, off, level, length int) bool {
	if len(b) < 48 {
		return false
	}
	mode, version := b[0]&7, b[0]>>3&7
	if mode == 0 || mode > 5 || version == 0 || version > 4 {
		return false
	}
	j.startLayer("ntp", level, off, length)
	j.number("leap", uint64(b[0]>>6))
	j.number("version", uint64(version))
	j.number("mode", uint64(mode))
	j.number("stratum", uint64(b[1]))
	if b[2] < 128 {
		j.number("poll", uint64(b[2]))
	}
	if reference := bytes.TrimRight(b[12:16], "\x00"); b[1] <= 1 {
		j.bytes("reference_id", reference)
	} else {
		j.addr("reference_id", b[12:16])
	}
	for i, name := range []string{"reference_time", "origin_time", "receive_time", "transmit_time"} {
		if t := b[16+8*i : 24+8*i]; be32(t) != 0 || be32(t[4:]) != 0 {
			j.text(name, ntpTime(t))
		}
	}
	j.endLayer()
	return true
}

// ntpTime returns a time of RFC 5905 as RFC 3339 has it: of the era that began in 2036, if it is less than
// half an era after it.
func ntpTime(b []byte) string {
	const from1900 = 2208988800 // to 1970, seconds
	seconds := int64(be32(b)) - from1900
	if b[0] < 0x80 {
		seconds += 1 << 32
	}
	return time.Unix(seconds, int64(be32(b[4:])*1e9>>32)).UTC().Format("2006-01-02T15:04:05.000000000Z")
}

// vrrp prints RFC 3768's and RFC 9568's advertisements in packets of that version of IP.
func (j *JSON) vrrp(ip header.ID, b []byte, off, level, length int) bool {
	if len(b) < 8 {
		return false
	}
	version, size := b[0]>>4, 4
	if ip == header.IP6 {
		size = 16
	}
	if version < 2 || version > 3 || len(b) < 8+size*int(b[3]) {
		return false
	}
	j.startLayer("vrrp", level, off, length)
	j.number("version", uint64(version))
	j.number("type", uint64(b[0]&15))
	j.number("vrid", uint64(b[1]))
	j.number("priority", uint64(b[2]))
	if version == 2 {
		j.number("interval_ms", uint64(b[5])*1000)
	} else {
		j.number("interval_ms", be16(b[4:])&0xfff*10)
	}
	j.number("sum", be16(b[6:]))
	j.key("addresses")
	j.open('[')
	for i := range int(b[3]) {
		j.address(b[8+size*i : 8+size*(i+1)])
	}
	j.close(']')
	j.endLayer()
	return true
}

// bfd prints RFC 5880's control packets.
func (j *JSON) bfd(b []byte, off, level, length int) bool {
	if len(b) < 24 || b[0]>>5 != 1 || b[3] < 24 || int(b[3]) > len(b) {
		return false
	}
	j.startLayer("bfd", level, off, length)
	j.number("version", uint64(b[0]>>5))
	j.number("diagnostic", uint64(b[0]&31))
	j.number("state", uint64(b[1]>>6))
	j.flags("flags", []flag{{0x20, "poll"}, {0x10, "final"}, {0x08, "control_plane_independent"}, {0x04, "authentication"}, {0x02, "demand"}, {0x01, "multipoint"}}, uint32(b[1]&0x3f))
	j.number("detect_mult", uint64(b[2]))
	for i, name := range []string{"my_discriminator", "your_discriminator", "min_tx_us", "min_rx_us", "min_echo_rx_us"} {
		j.number(name, be32(b[4+4*i:]))
	}
	j.endLayer()
	return true
}

// ospf prints the header of RFC 2328's and RFC 5340's messages.
func (j *JSON) ospf(b []byte, off, level, length int) bool {
	if len(b) < 16 || b[0] != 2 && b[0] != 3 {
		return false
	}
	j.startLayer("ospf", level, off, length)
	j.number("version", uint64(b[0]))
	j.number("type", uint64(b[1]))
	j.number("len", be16(b[2:]))
	j.addr("router", b[4:8])
	j.addr("area", b[8:12])
	j.number("sum", be16(b[12:]))
	j.endLayer()
	return true
}

// bgp prints which messages of RFC 4271 a segment has, if it begins with one and ends with one.
func (j *JSON) bgp(b []byte, off, level, length int) bool {
	marker := bytes.Repeat([]byte{0xff}, 16)
	end := 0
	for end < len(b) {
		m := b[end:]
		if len(m) < bgpHeaderSize || !bytes.Equal(m[:16], marker) {
			return false
		}
		size := int(be16(m[16:]))
		if size < bgpHeaderSize || size > len(m) {
			return false
		}
		end += size
	}
	j.startLayer("bgp", level, off, length)
	j.key("messages")
	j.open('[')
	for at := 0; at < end; at += int(be16(b[at+16:])) {
		j.open('{')
		j.number("type", uint64(b[at+18]))
		if name := pick(int(b[at+18]), "", "open", "update", "notification", "keepalive", "route_refresh"); name != "" {
			j.text("name", name)
		} else {
			j.text("name", strconv.Itoa(int(b[at+18])))
		}
		j.number("len", be16(b[at+16:]))
		j.close('}')
	}
	j.close(']')
	j.endLayer()
	return true
}
