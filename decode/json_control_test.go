package decode

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/tundump/tundump/capture"
	"github.com/tundump/tundump/filter/header"
)

// controlFields are tshark's names for what we print of the protocols of links, routers and clocks.
func controlFields() []struct{ tshark, layer, field string } {
	return []struct{ tshark, layer, field string }{
		{"igmp.type", "igmp", "type"}, {"igmp.max_resp", "igmp", "max_response"}, {"igmp.maddr", "igmp", "group"}, {"igmp.checksum", "igmp", "sum"},
		{"ntp.flags.li", "ntp", "leap"}, {"ntp.flags.vn", "ntp", "version"}, {"ntp.flags.mode", "ntp", "mode"}, {"ntp.stratum", "ntp", "stratum"},
		{"bfd.version", "bfd", "version"}, {"bfd.diag", "bfd", "diagnostic"}, {"bfd.sta", "bfd", "state"}, {"bfd.detect_time_multiplier", "bfd", "detect_mult"},
		{"bfd.my_discriminator", "bfd", "my_discriminator"}, {"bfd.your_discriminator", "bfd", "your_discriminator"},
		{"vrrp.version", "vrrp", "version"}, {"vrrp.type", "vrrp", "type"}, {"vrrp.virt_rtr_id", "vrrp", "vrid"}, {"vrrp.prio", "vrrp", "priority"}, {"vrrp.checksum", "vrrp", "sum"},
		{"ospf.version", "ospf", "version"}, {"ospf.msg", "ospf", "type"}, {"ospf.packet_length", "ospf", "len"}, {"ospf.srcrouter", "ospf", "router"}, {"ospf.area_id", "ospf", "area"},
		{"stp.version", "stp", "version"}, {"stp.type", "stp", "type"}, {"stp.root.hw", "stp", "root"}, {"stp.root.cost", "stp", "root_cost"}, {"stp.bridge.hw", "stp", "bridge"}, {"stp.port", "stp", "port"},
		{"lldp.time_to_live", "lldp", "ttl"}, {"lldp.tlv.system.name", "lldp", "system_name"}, {"lldp.port.desc", "lldp", "port_description"}, {"lldp.chassis.id.mac", "lldp", "chassis_id"},
		{"lacp.version", "lacp", "version"}, {"lacp.actor.sys_priority", "lacp", "actor_system_priority"}, {"lacp.actor.sysid", "lacp", "actor_system"}, {"lacp.actor.key", "lacp", "actor_key"},
		{"lacp.actor.port", "lacp", "actor_port"}, {"lacp.partner.sysid", "lacp", "partner_system"}, {"lacp.partner.port", "lacp", "partner_port"}, {"lacp.collector.max_delay", "lacp", "collector_max_delay"},
	}
}

// TestJSONControl compares what we print of these protocols with what tshark has.
func TestJSONControl(t *testing.T) {
	var frames [][]byte
	for _, name := range []string{"control", "services", "headings"} {
		p := readPcap(t, "../testdata/"+name+".pcap")
		for _, packet := range p.packets {
			if packet.Len == len(packet.Data) {
				if bytes.HasPrefix(packet.Data[min(34, len(packet.Data)):], bytesOf(uint16(40000), uint16(3784))) {
					packet.Data[34] = 0xc0 // RFC 5881 wants such a source port, and so does tshark
				}
				frames = append(frames, packet.Data)
			}
		}
	}
	all := examples()
	for _, name := range []string{"igmp", "sctp", "ospf", "bgp"} {
		frames = append(frames, all[name]...)
	}
	var b bytes.Buffer
	w, err := NewPcapng(&b, PcapngOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.AddInterface(capture.Interface{LinkType: ethernet}); err != nil {
		t.Fatal(err)
	}
	for _, f := range frames {
		if err := w.Packet(&capture.Packet{Len: len(f), Data: f}, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	// Lists in our fields, and what tshark calls what they have.
	lists := []struct{ tshark, layer, field, name string }{
		{"bgp.type", "bgp", "messages", "type"}, {"sctp.chunk_type", "sctp", "chunks", "type"}, {"sctp.chunk_length", "sctp", "chunks", "length"}, {"sctp.data_tsn_raw", "sctp", "chunks", "tsn"},
		{"igmp.record_type", "igmp", "groups", "type"},
	}
	names := []string{"_ws.malformed"}
	for _, l := range lists {
		names = append(names, l.tshark)
	}
	for _, f := range controlFields() {
		names = append(names, f.tshark)
	}
	theirs := tsharkFields(t, b.Bytes(), names)
	if len(theirs) != len(frames) {
		t.Fatalf("%d packets, tshark has %d", len(frames), len(theirs))
	}
	seen := map[string]int{}
	for i, f := range frames {
		if theirs[i]["_ws.malformed"] != nil {
			continue
		}
		ours := parseJSON(t, printJSON(t, capture.Interface{LinkType: ethernet}, capture.Packet{Len: len(f), Data: f})[0])
		for _, l := range ours.Layers {
			for _, field := range controlFields() {
				want, v := theirs[i][field.tshark], l.Fields[field.field]
				if l.Name != field.layer || v == nil || want == nil {
					continue
				}
				seen[field.tshark]++
				if !sameValue(want[0], v) {
					t.Errorf("packet %d: %s is %v, tshark has %v\n% x", i+1, field.tshark, v, want, f)
				}
			}
			for _, list := range lists {
				want, items := theirs[i][list.tshark], l.Fields[list.field]
				if l.Name != list.layer || items == nil || want == nil || slices.Equal(theirs[i]["sctp.chunk_length"], []string{"2"}) { // of less than its own header
					continue
				}
				var values []any
				for _, item := range items.([]any) {
					if v, ok := item.(map[string]any)[list.name]; ok {
						values = append(values, v)
					}
				}
				seen[list.tshark]++
				if !slices.EqualFunc(want, values, sameValue) {
					t.Errorf("packet %d: %s is %v, tshark has %v\n% x", i+1, list.tshark, values, want, f)
				}
			}
		}
	}
	for _, name := range names[1:] {
		if seen[name] == 0 {
			t.Errorf("%s was in no packet", name)
		}
	}
}

// TestJSONControlValues has what tshark prints in other words.
func TestJSONControlValues(t *testing.T) {
	rstp := bytesOf("0180c2000000", "020000000001", uint16(39), "424203", "0000 02 02 3e", "8000020000000001", "00004e20", "9000020000000002", "8001", "0100 1400 0200 0f00", "00")
	ntp := eth(header.TypeIP, ip4(protoUDP, udp(123, bytesOf("24 02 06 e9 00000000 00000000 c0000201", "e9f0a2c480000000", "0000000000000000", "0000000080000000", "e9f0a2c4ffffffff"))))
	lldp := bytesOf("0180c200000e", "020000000001", "88cc", "0207 04 020000000001", "0405 07", []byte("eth0"), "0602 0078", "0a03", []byte("sw\xff"), "100c 0501 0a000001 0200000001 00", "fe06 0080c2 01 0007", "0000")
	for _, c := range []struct {
		frame []byte
		want  string
	}{
		{rstp, `"flags":["proposal","learning","forwarding"],"port_role":3,"root_priority":32768,"root":"02:00:00:00:00:01","root_cost":20000`},
		{rstp, `"message_age_ms":1000,"max_age_ms":20000,"hello_ms":2000,"forward_delay_ms":15000`},
		{ntp, `"reference_id":"192.0.2.1","reference_time":"2024-05-16T15:20:36.500000000Z","receive_time":"2036-02-07T06:28:16.500000000Z","transmit_time":"2024-05-16T15:20:36.999999999Z"}`},
		{lldp, `"fields":{"chassis_id":"02:00:00:00:00:01","port_id":"eth0","ttl":120,"system_name":"sw` + "\ufffd" + `","management_addresses":["10.0.0.1"],"tlvs":[{"type":127,"data":"0080c2010007"}]}`},
	} {
		if line := printJSON(t, capture.Interface{LinkType: ethernet}, capture.Packet{Len: len(c.frame), Data: c.frame})[0]; !strings.Contains(line, c.want) {
			t.Errorf("%s\nis not in %s", c.want, line)
		}
	}
}
