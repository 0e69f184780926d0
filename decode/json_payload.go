package decode

import (
	"bytes"
	"fmt"
	"strconv"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/tundump/tundump/filter/header"
)

// payloadDecoder has what gopacket decodes into, to be used again.
type payloadDecoder struct {
	dns   layers.DNS
	dhcp  layers.DHCPv4
	dhcp6 layers.DHCPv6
}

// payload prints what is behind the last layer of the packet in data, which ends at
// end on the wire: as a layer of its own if we know what it is, or else as "payload".
func (j *JSON) payload(data []byte, end int) {
	off, level := 0, 0
	var last header.Layer
	if n := len(j.layers); n > 0 {
		last = j.layers[n-1]
		off, level = int(last.End()), last.Level
		if consumes(last, data) {
			return
		}
	}
	if off >= end {
		return
	}
	there := data[min(off, len(data)):min(end, len(data))]
	if last.Header == nil || last.Later || !j.known(last, data, there, off, level, end-off) {
		j.startLayer("payload", level, off, end-off)
		j.endLayer()
	}
}

// consumes reports whether all that is behind the header was printed with it: SCTP's
// chunks, what an ICMP error quotes, the options of neighbour discovery.
func consumes(l header.Layer, data []byte) bool {
	typ, _ := l.Value(data, "type")
	switch l.ID {
	case header.ICMP:
		return typ == 3 || typ == 4 || typ == 5 || typ == 11 || typ == 12
	case header.ICMP6:
		return typ >= 1 && typ <= 4 || typ >= 133 && typ <= 137
	case header.SCTP:
		return true
	}
	return false
}

// known prints the payload of the layer l, there, as a layer of length bytes, and
// reports whether it can. A message that is cut or damaged it leaves to others.
func (j *JSON) known(l header.Layer, data, there []byte, off, level, length int) bool {
	switch l.ID {
	case header.Ether, header.VLAN:
		typ, _ := l.Value(data, "type")
		if typ <= 1500 { // a length, behind which is padding
			there = there[:min(len(there), int(typ))]
			length = min(length, int(typ))
		}
		return j.control(int(typ), there, off, level, length)
	case header.IP, header.IP6:
		proto, _ := l.Value(data, "proto")
		switch {
		case proto == protoIGMP && l.ID == header.IP:
			return j.igmp(there, off, level, length)
		case proto == protoVRRP:
			return j.vrrp(l.ID, there, off, level, length)
		case proto == protoOSPF:
			return j.ospf(there, off, level, length)
		}
	case header.UDP, header.TCP:
		sport, _ := l.Value(data, "sport")
		dport, _ := l.Value(data, "dport")
		either := func(ports ...uint32) bool {
			for _, p := range ports {
				if sport == p || dport == p {
					return true
				}
			}
			return false
		}
		switch {
		case l.ID == header.TCP:
			// RFC 7766: a length, then the message. Only one that is whole in its segment.
			switch {
			case either(53) && len(there) > 2 && int(be16(there)) == len(there)-2:
				return j.dns(there[2:], off+2, level, length-2)
			case either(portBGP) && len(there) == length:
				return j.bgp(there, off, level, length)
			}
		case either(53, 5353, 5355):
			return j.dns(there, off, level, length)
		case either(67, 68):
			return j.dhcp(there, off, level, length)
		case either(portNTP):
			return j.ntp(there, off, level, length)
		case dport == 3784 || dport == 4784:
			return j.bfd(there, off, level, length)
		case either(546, 547):
			return j.dhcp6(there, off, level, length)
		}
	}
	return false
}

// decodes reports whether gopacket can decode the data, also if it panics.
func decodes(decode func([]byte, gopacket.DecodeFeedback) error, data []byte) (ok bool) {
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	return decode(data, gopacket.NilDecodeFeedback) == nil
}

// igmp prints RFC 2236 and RFC 3376.
func (j *JSON) igmp(b []byte, off, level, length int) bool {
	if len(b) < 8 {
		return false
	}
	j.startLayer("igmp", level, off, length)
	j.number("type", uint64(b[0]))
	response := uint64(b[1])
	if b[0] == 0x11 && len(b) >= 12 && response >= 0x80 { // RFC 3376 section 4.1.1
		response = (response&0xf | 0x10) << (response>>4&7 + 3)
	}
	j.number("max_response", response)
	j.number("sum", be16(b[2:]))
	if b[0] == 0x22 { // a version 3 report
		j.key("groups")
		j.open('[')
		for n, at := be16(b[6:]), 8; n > 0 && at+8 <= len(b); n-- {
			j.open('{')
			j.number("type", uint64(b[at]))
			j.addr("group", b[at+4:at+8])
			j.close('}')
			at += 8 + 4*int(be16(b[at+2:])) + 4*int(b[at+1])
		}
		j.close(']')
	} else {
		j.addr("group", b[4:8])
	}
	j.endLayer()
	return true
}

// dns prints RFC 1035.
func (j *JSON) dns(b []byte, off, level, length int) bool {
	d := &j.decoder.dns
	if !decodes(d.DecodeFromBytes, b) {
		return false
	}
	j.startLayer("dns", level, off, length)
	j.number("id", uint64(d.ID))
	j.bool("response", d.QR)
	j.number("opcode", uint64(d.OpCode))
	j.bool("authoritative", d.AA)
	j.bool("truncated", d.TC)
	j.bool("recursion_desired", d.RD)
	j.bool("recursion_available", d.RA)
	j.number("rcode", uint64(d.ResponseCode))
	j.key("questions")
	j.open('[')
	for i := range d.Questions {
		q := &d.Questions[i]
		j.open('{')
		j.bytes("name", q.Name)
		j.dnsType(q.Type)
		j.number("class", uint64(q.Class))
		j.close('}')
	}
	j.close(']')
	for _, section := range []struct {
		name    string
		records []layers.DNSResourceRecord
	}{{"answers", d.Answers}, {"authorities", d.Authorities}, {"additionals", d.Additionals}} {
		j.key(section.name)
		j.open('[')
		for i := range section.records {
			r := &section.records[i]
			j.open('{')
			j.bytes("name", r.Name)
			j.dnsType(r.Type)
			j.number("class", uint64(r.Class))
			j.number("ttl", uint64(r.TTL))
			j.dnsData(r)
			j.close('}')
		}
		j.close(']')
	}
	j.endLayer()
	return true
}

// dnsType prints a type by its name; RFC 3597 has names for those that have none.
func (j *JSON) dnsType(t layers.DNSType) {
	name := t.String()
	if name == "Unknown" {
		name = "TYPE" + strconv.Itoa(int(t))
	}
	j.text("type", name)
}

// dnsData prints a record's data as zone files have them, or in hexadecimal.
func (j *JSON) dnsData(r *layers.DNSResourceRecord) {
	switch r.Type {
	case layers.DNSTypeA, layers.DNSTypeAAAA:
		if n := len(r.IP); n == 4 || n == 16 {
			j.addr("data", r.IP)
			return
		}
	case layers.DNSTypeNS:
		j.bytes("data", r.NS)
		return
	case layers.DNSTypeCNAME:
		j.bytes("data", r.CNAME)
		return
	case layers.DNSTypePTR:
		j.bytes("data", r.PTR)
		return
	case layers.DNSTypeMX:
		j.text("data", fmt.Sprintf("%d %s", r.MX.Preference, r.MX.Name))
		return
	case layers.DNSTypeSRV:
		j.text("data", fmt.Sprintf("%d %d %d %s", r.SRV.Priority, r.SRV.Weight, r.SRV.Port, r.SRV.Name))
		return
	case layers.DNSTypeSOA:
		s := &r.SOA
		j.text("data", fmt.Sprintf("%s %s %d %d %d %d %d", s.MName, s.RName, s.Serial, s.Refresh, s.Retry, s.Expire, s.Minimum))
		return
	case layers.DNSTypeTXT:
		j.bytes("data", bytes.Join(r.TXTs, []byte(" ")))
		return
	}
	j.hex("data", r.Data)
}

// dhcp prints RFC 2131 with the options of RFC 2132.
func (j *JSON) dhcp(b []byte, off, level, length int) bool {
	d := &j.decoder.dhcp
	if !decodes(d.DecodeFromBytes, b) && (len(b) < 240 || b[0] != 1 && b[0] != 2 || b[2] > 16) {
		return false // else BOOTP's, RFC 951, or options that are damaged: those before are there
	}
	j.startLayer("dhcp", level, off, length)
	j.number("op", uint64(d.Operation))
	j.number("xid", uint64(d.Xid))
	j.number("secs", uint64(d.Secs))
	j.bool("broadcast", d.Flags&0x8000 != 0)
	j.addr("ciaddr", d.ClientIP)
	j.addr("yiaddr", d.YourClientIP)
	j.addr("siaddr", d.NextServerIP)
	j.addr("giaddr", d.RelayAgentIP)
	j.mac("chaddr", d.ClientHWAddr)
	j.key("options")
	j.open('[')
	for i := range d.Options {
		o := &d.Options[i]
		if o.Type == layers.DHCPOptPad || o.Type == layers.DHCPOptEnd {
			continue
		}
		j.open('{')
		j.number("code", uint64(o.Type))
		j.dhcpOption(o)
		j.close('}')
	}
	j.close(']')
	j.endLayer()
	return true
}

func (j *JSON) dhcpOption(o *layers.DHCPOption) {
	v := o.Data
	addresses := func(name string) {
		j.text("name", name)
		j.key("addresses")
		j.open('[')
		for ; len(v) >= 4; v = v[4:] {
			j.address(v[:4])
		}
		j.close(']')
	}
	seconds := func(name string) {
		j.text("name", name)
		j.number("seconds", be32(v))
	}
	text := func(name string) {
		j.text("name", name)
		j.bytes("text", v)
	}
	switch {
	case o.Type == layers.DHCPOptMessageType && len(v) == 1:
		names := [...]string{"", "discover", "offer", "request", "decline", "ack", "nak", "release", "inform"}
		j.text("name", "message_type")
		if int(v[0]) < len(names) && v[0] > 0 {
			j.text("message", names[v[0]])
		} else {
			j.text("message", strconv.Itoa(int(v[0])))
		}
	case o.Type == layers.DHCPOptSubnetMask && len(v) == 4:
		addresses("subnet_mask")
	case o.Type == layers.DHCPOptRouter:
		addresses("router")
	case o.Type == layers.DHCPOptDNS:
		addresses("dns")
	case o.Type == layers.DHCPOptRequestIP && len(v) == 4:
		addresses("requested_address")
	case o.Type == layers.DHCPOptServerID && len(v) == 4:
		addresses("server")
	case o.Type == layers.DHCPOptLeaseTime && len(v) == 4:
		seconds("lease_time")
	case o.Type == layers.DHCPOptT1 && len(v) == 4:
		seconds("renewal_time")
	case o.Type == layers.DHCPOptT2 && len(v) == 4:
		seconds("rebinding_time")
	case o.Type == layers.DHCPOptHostname:
		text("hostname")
	case o.Type == layers.DHCPOptDomainName:
		text("domain_name")
	case o.Type == layers.DHCPOptMessage:
		text("error_message")
	case o.Type == layers.DHCPOptClassID:
		text("vendor_class")
	default:
		j.hex("data", v)
	}
}

// dhcp6 prints RFC 8415.
func (j *JSON) dhcp6(b []byte, off, level, length int) bool {
	d := &j.decoder.dhcp6
	if !decodes(d.DecodeFromBytes, b) {
		return false
	}
	j.startLayer("dhcp6", level, off, length)
	j.number("type", uint64(d.MsgType))
	if len(d.LinkAddr) == 16 && len(d.PeerAddr) == 16 { // from or to a relay
		j.number("hop_count", uint64(d.HopCount))
		j.addr("link_address", d.LinkAddr)
		j.addr("peer_address", d.PeerAddr)
	} else if t := d.TransactionID; len(t) == 3 {
		j.number("transaction_id", uint64(t[0])<<16|be16(t[1:]))
	}
	j.key("options")
	j.open('[')
	for i := range d.Options {
		j.open('{')
		j.number("code", uint64(d.Options[i].Code))
		j.hex("data", d.Options[i].Data)
		j.close('}')
	}
	j.close(']')
	j.endLayer()
	return true
}
