package decode

import (
	"github.com/tundump/tundump/filter/header"
)

// detail prints what the header table does not have of a header: its options,
// and what depends on its type. The arguments are those of layer.
func (j *JSON) detail(l header.Layer, data []byte, base, end int, quoted bool) {
	if int64(l.Off) > int64(len(data)) {
		return
	}
	all := data[l.Off:] // the header, and what follows
	whole := all[:min(len(all), int(l.Bytes))]
	switch l.ID {
	case header.IP:
		if len(whole) >= 20 {
			j.number("sum", be16(whole[10:]))
			j.ipOptions(whole[20:])
		}
	case header.TCP:
		if len(whole) >= 20 {
			j.number("sum", be16(whole[16:]))
			j.number("urg", be16(whole[18:]))
			j.tcpOptions(whole[20:])
		}
	case header.SCTP:
		if len(whole) >= 12 {
			j.number("sum", be32(whole[8:]))
			if !quoted {
				j.sctpChunks(all[12:min(len(all), max(end-int(l.Off), 12))])
			}
		}
	case header.ICMP:
		j.icmp(all, data, l, quoted)
	case header.ICMP6:
		j.icmp6(all[:min(len(all), max(end-int(l.Off), 0))], data, l, quoted)
	case header.Geneve:
		if len(whole) > 8 {
			j.geneveOptions(whole[8:])
		}
	}
}

// ipOptions prints RFC 791's options, up to one that is cut.
func (j *JSON) ipOptions(b []byte) {
	if len(b) == 0 {
		return
	}
	j.key("options")
	j.open('[')
	for len(b) > 0 && b[0] != 0 {
		n := 1
		if b[0] != 1 {
			if len(b) < 2 || b[1] < 2 || int(b[1]) > len(b) {
				break
			}
			n = int(b[1])
			j.open('{')
			j.number("type", uint64(b[0]))
			j.hex("data", b[2:n])
			j.close('}')
		}
		b = b[n:]
	}
	j.close(']')
}

// tcpOptions prints a segment's options, up to one that is cut. Padding is left out.
func (j *JSON) tcpOptions(b []byte) {
	if len(b) == 0 {
		return
	}
	j.key("options")
	j.open('[')
	for len(b) > 0 && b[0] != 0 {
		kind, n := b[0], 1
		if kind != 1 {
			if len(b) < 2 || b[1] < 2 || int(b[1]) > len(b) {
				break
			}
			n = int(b[1])
			v := b[2:n]
			j.open('{')
			j.number("kind", uint64(kind))
			switch {
			case kind == 2 && len(v) == 2: // RFC 9293
				j.text("name", "mss")
				j.number("mss", be16(v))
			case kind == 3 && len(v) == 1: // RFC 7323
				j.text("name", "window_scale")
				j.number("shift", uint64(v[0]))
			case kind == 4 && len(v) == 0: // RFC 2018
				j.text("name", "sack_permitted")
			case kind == 5 && len(v)%8 == 0:
				j.text("name", "sack")
				j.key("blocks")
				j.open('[')
				for ; len(v) > 0; v = v[8:] {
					j.open('{')
					j.number("left", be32(v))
					j.number("right", be32(v[4:]))
					j.close('}')
				}
				j.close(']')
			case kind == 8 && len(v) == 8: // RFC 7323
				j.text("name", "timestamps")
				j.number("value", be32(v))
				j.number("echo", be32(v[4:]))
			default:
				j.hex("data", v)
			}
			j.close('}')
		}
		b = b[n:]
	}
	j.close(']')
}

// sctpChunks prints the chunks behind an SCTP header, RFC 9260, up to one that is cut.
func (j *JSON) sctpChunks(b []byte) {
	j.key("chunks")
	j.open('[')
	for len(b) >= 4 {
		n := int(be16(b[2:]))
		if n < 4 {
			break
		}
		j.open('{')
		j.number("type", uint64(b[0]))
		if name := jsonChunkName(b[0]); name != "" {
			j.text("name", name)
		}
		j.number("flags", uint64(b[1]))
		j.number("length", uint64(n))
		if b[0] == 0 && len(b) >= 16 && n >= 16 {
			j.number("tsn", be32(b[4:]))
			j.number("stream", be16(b[8:]))
			j.number("ppid", be32(b[12:]))
		}
		j.close('}')
		b = b[min((n+3)&^3, len(b)):]
	}
	j.close(']')
}

func jsonChunkName(typ byte) string {
	names := [...]string{"data", "init", "init_ack", "sack", "heartbeat", "heartbeat_ack", "abort", "shutdown",
		"shutdown_ack", "error", "cookie_echo", "cookie_ack", "ecne", "cwr", "shutdown_complete"}
	if int(typ) < len(names) {
		return names[typ]
	}
	return ""
}

// icmp prints RFC 792 and RFC 1191.
func (j *JSON) icmp(b, data []byte, l header.Layer, quoted bool) {
	if len(b) < 8 {
		return
	}
	j.number("sum", be16(b[2:]))
	switch b[0] {
	case 0, 8, 13, 14, 15, 16, 17, 18:
		j.number("id", be16(b[4:]))
		j.number("seq", be16(b[6:]))
		return
	case 3:
		if b[1] == 4 {
			j.number("mtu", be16(b[6:]))
		}
	case 5:
		j.addr("gateway", b[4:8])
	case 12:
		j.number("pointer", uint64(b[4]))
	case 4, 11:
	default:
		return
	}
	if !quoted && len(b) > 8 {
		j.quote(header.LinkIPv4, data, int(l.Off)+8)
	}
}

// icmp6 prints RFC 4443, and RFC 4861's neighbour discovery. b ends with the packet.
func (j *JSON) icmp6(b, data []byte, l header.Layer, quoted bool) {
	if len(b) < 8 {
		return
	}
	j.number("sum", be16(b[2:]))
	switch b[0] {
	case 2:
		j.number("mtu", be32(b[4:]))
	case 4:
		j.number("pointer", be32(b[4:]))
	case 128, 129:
		j.number("id", be16(b[4:]))
		j.number("seq", be16(b[6:]))
	case 133: // router solicitation
		j.ndOptions(b[8:])
	case 134: // router advertisement
		if len(b) >= 16 {
			j.number("hop_limit", uint64(b[4]))
			j.flags("flags", []flag{{0x80, "managed"}, {0x40, "other"}}, uint32(b[5]))
			j.number("lifetime", be16(b[6:]))
			j.ndOptions(b[16:])
		}
	case 135, 136: // neighbour solicitation and advertisement
		if len(b) >= 24 {
			if b[0] == 136 {
				j.flags("flags", []flag{{0x80, "router"}, {0x40, "solicited"}, {0x20, "override"}}, uint32(b[4]))
			}
			j.addr("target", b[8:24])
			j.ndOptions(b[24:])
		}
	case 137: // redirect
		if len(b) >= 40 {
			j.addr("target", b[8:24])
			j.addr("destination", b[24:40])
			j.ndOptions(b[40:])
		}
	}
	if b[0] >= 1 && b[0] <= 4 && !quoted && len(b) > 8 {
		j.quote(header.LinkIPv6, data, int(l.Off)+8)
	}
}

// ndOptions prints the options of neighbour discovery, up to one that is cut.
func (j *JSON) ndOptions(b []byte) {
	j.key("options")
	j.open('[')
	for len(b) >= 2 {
		n := int(b[1]) * 8
		if n == 0 || n > len(b) {
			break
		}
		v := b[2:n]
		j.open('{')
		j.number("type", uint64(b[0]))
		switch {
		case b[0] == 1 && n == 8:
			j.text("name", "source_link_address")
			j.mac("address", v)
		case b[0] == 2 && n == 8:
			j.text("name", "target_link_address")
			j.mac("address", v)
		case b[0] == 3 && n == 32:
			j.text("name", "prefix")
			j.addr("prefix", b[16:32])
			j.number("bits", uint64(b[2]))
		case b[0] == 5 && n == 8:
			j.text("name", "mtu")
			j.number("mtu", be32(b[4:]))
		default:
			j.hex("data", v)
		}
		j.close('}')
		b = b[n:]
	}
	j.close(']')
}

// geneveOptions prints RFC 8926's options, up to one that is cut.
func (j *JSON) geneveOptions(b []byte) {
	j.key("options")
	j.open('[')
	for len(b) >= 4 {
		n := 4 + int(b[3]&0x1f)*4
		if n > len(b) {
			break
		}
		j.open('{')
		j.number("class", be16(b))
		j.number("type", uint64(b[2]))
		j.hex("data", b[4:n])
		j.close('}')
		b = b[n:]
	}
	j.close(']')
}
