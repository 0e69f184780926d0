package decode

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tundump/tundump/capture"
	"github.com/tundump/tundump/filter/header"
)

// jsonPacket is the part of docs/json.md that tests look at.
type jsonPacket struct {
	Time      string
	Epoch     string
	Interface string
	Direction string
	Length    int
	Captured  int
	Truncated bool
	Layers    []jsonLayer
	Error     *struct {
		Layer  string
		Offset int
		Reason string
	}
}

type jsonLayer struct {
	Name                  string
	Level, Offset, Length int
	Fields                map[string]any
}

// printJSON returns the line of each packet.
func printJSON(t testing.TB, in capture.Interface, packets ...capture.Packet) []string {
	t.Helper()
	var b bytes.Buffer
	j := NewJSON(&b, JSONOptions{Depth: header.MaxDepth})
	for i := range packets {
		if err := j.Packet(&packets[i], &in); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(b.String(), "\n")
	if len(lines) != len(packets)+1 || lines[len(packets)] != "" {
		t.Fatalf("%d packets make %d lines", len(packets), len(lines)-1)
	}
	return lines[:len(packets)]
}

func parseJSON(t testing.TB, line string) (p jsonPacket) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(line))
	d.UseNumber()
	if err := d.Decode(&p); err != nil {
		t.Fatalf("%v in %s", err, line)
	}
	return p
}

// flatten returns the layers from the outside in, with those that ICMP errors quote.
func flatten(t testing.TB, layers []jsonLayer) (all []jsonLayer) {
	for _, l := range layers {
		all = append(all, l)
		if q, ok := l.Fields["quote"]; ok {
			text, err := json.Marshal(q)
			if err != nil {
				t.Fatal(err)
			}
			var quoted []jsonLayer
			d := json.NewDecoder(bytes.NewReader(text))
			d.UseNumber()
			if err := d.Decode(&quoted); err != nil {
				t.Fatal(err)
			}
			all = append(all, quoted...)
		}
	}
	return all
}

// oracleFields are tshark's names for what we print: of a field, or of the header's length if that is empty.
var oracleFields = []struct{ tshark, layer, field string }{
	{"eth.src", "ether", "src"}, {"eth.dst", "ether", "dst"}, {"eth.type", "ether", "type"},
	{"vlan.id", "vlan", "id"}, {"vlan.priority", "vlan", "pcp"},
	{"ip.src", "ip", "src"}, {"ip.dst", "ip", "dst"}, {"ip.ttl", "ip", "ttl"}, {"ip.proto", "ip", "proto"}, {"ip.len", "ip", "len"},
	{"ip.hdr_len", "ip", ""}, {"ip.checksum", "ip", "sum"}, {"ip.id", "ip", "id"},
	{"ipv6.src", "ip6", "src"}, {"ipv6.dst", "ip6", "dst"}, {"ipv6.plen", "ip6", "len"}, {"ipv6.hlim", "ip6", "hlim"}, {"ipv6.flow", "ip6", "flow"},
	{"arp.src.proto_ipv4", "arp", "spa"}, {"arp.dst.proto_ipv4", "arp", "tpa"}, {"arp.src.hw_mac", "arp", "sha"}, {"arp.opcode", "arp", "op"},
	{"gre.key", "gre", "key"}, {"gre.proto", "gre", "proto"}, {"gre.sequence_number", "gre", "seq"},
	{"vxlan.vni", "vxlan", "vni"}, {"geneve.vni", "geneve", "vni"}, {"erspan.spanid", "erspan2", "session"},
	{"udp.srcport", "udp", "sport"}, {"udp.dstport", "udp", "dport"}, {"udp.length", "udp", "len"},
	{"tcp.srcport", "tcp", "sport"}, {"tcp.dstport", "tcp", "dport"}, {"tcp.hdr_len", "tcp", ""}, {"tcp.seq_raw", "tcp", "seq"},
	{"tcp.ack_raw", "tcp", "ack"}, {"tcp.window_size_value", "tcp", "win"}, {"tcp.urgent_pointer", "tcp", "urg"}, {"tcp.checksum", "tcp", "sum"},
	{"sctp.srcport", "sctp", "sport"}, {"sctp.verification_tag", "sctp", "tag"}, {"sctp.checksum", "sctp", "sum"},
	{"icmp.type", "icmp", "type"}, {"icmp.ident", "icmp", "id"}, {"icmp.seq", "icmp", "seq"}, {"icmp.mtu", "icmp", "mtu"},
	{"icmpv6.type", "icmp6", "type"}, {"icmpv6.echo.identifier", "icmp6", "id"}, {"icmpv6.checksum", "icmp6", "sum"},
	{"icmpv6.nd.ns.target_address", "icmp6", "target"},
}

// tsharkFields returns, for each packet and field, what tshark has, outside in.
func tsharkFields(t *testing.T, file string, fields []string) (packets [][][]string) {
	t.Helper()
	args := []string{"-n", "-r", file, "-o", "ip.defragment:FALSE", "-o", "ipv6.defragment:FALSE", "-o", "tcp.desegment_tcp_streams:FALSE",
		"-d", "udp.port==8472,vxlan", "-T", "fields", "-E", "occurrence=a", "-E", "separator=/t"}
	for _, f := range fields {
		args = append(args, "-e", f)
	}
	out, err := exec.Command("tshark", args...).Output()
	if err != nil {
		t.Fatalf("tshark: %v", err)
	}
	for line := range strings.Lines(string(out)) {
		var p [][]string
		for _, values := range strings.Split(strings.TrimSuffix(line, "\n"), "\t") {
			var list []string
			if values != "" {
				list = strings.Split(values, ",")
			}
			p = append(p, list)
		}
		packets = append(packets, p)
	}
	return packets
}

// sameValue compares tshark's text, which may have a number in hexadecimal, with ours.
func sameValue(theirs string, ours any) bool {
	text := ""
	switch v := ours.(type) {
	case json.Number:
		text = v.String()
	case string:
		text = v
	}
	if theirs == text {
		return true
	}
	n, err := strconv.ParseUint(theirs, 0, 64)
	return err == nil && strconv.FormatUint(n, 10) == text
}

// jsonApart are packets, by number from 1, in which tshark sees headers that the
// walk does not see, or the other way round, on purpose.
var jsonApart = map[string][]int{
	"testdata/gre.pcap":    {74, 75}, // source routing of RFC 1701; version 1, PPTP
	"testdata/vxlan.pcap":  {43, 44}, // without the I flag; 4789 only as the source port
	"testdata/geneve.pcap": {33, 35}, // version 1; 6081 only as the source port
	"testdata/ipip.pcap":   {40},     // seven extension headers, header.MaxExtensions is six
	"testdata/plain.pcap":  {36},     // five VLAN tags, header.MaxTags is four
}

// TestJSONTshark compares the fields of every header, on every level, with what
// tshark has of them.
func TestJSONTshark(t *testing.T) {
	if _, err := exec.LookPath("tshark"); err != nil {
		t.Skip("needs tshark: run make setup")
	}
	var names []string
	for _, f := range oracleFields {
		names = append(names, f.tshark)
	}
	var files []string
	for _, pattern := range []string{"../testdata/*.pcap", "../../shared/pcaps/*.pcap"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	seen := map[string]int{}
	for _, file := range files {
		name := filepath.Base(filepath.Dir(file)) + "/" + filepath.Base(file)
		p := readPcap(t, file)
		lines := printJSON(t, capture.Interface{LinkType: uint32(p.link)}, p.packets...)
		theirs := tsharkFields(t, file, names)
		if len(theirs) != len(lines) {
			t.Fatalf("%s: %d packets, tshark has %d", name, len(lines), len(theirs))
		}
		for i, line := range lines {
			if slices.Contains(jsonApart[name], i+1) {
				continue
			}
			ours := parseJSON(t, line)
			layers := flatten(t, ours.Layers)
			for k, f := range oracleFields {
				var values []any
				for i, l := range layers {
					switch {
					case l.Name != f.layer,
						l.Name == "vlan" && sameValue("0x88a8", layers[i-1].Fields["type"]), // another protocol for tshark
						strings.HasPrefix(f.tshark, "icmpv6.nd.ns.") && !sameValue("135", l.Fields["type"]):
						continue
					}
					if f.field == "" {
						values = append(values, json.Number(strconv.Itoa(l.Length)))
					} else if v, ok := l.Fields[f.field]; ok {
						values = append(values, v)
					}
				}
				want := theirs[i][k]
				if ours.Error != nil && ours.Error.Reason == "truncated" {
					// Of a header that is cut tshark shows other fields than we do.
					n := min(len(want), len(values))
					want, values = want[:n], values[:n]
				}
				if !slices.EqualFunc(want, values, sameValue) {
					t.Errorf("%s: packet %d: %s is %v, tshark has %v", name, i+1, f.field, values, want)
					continue
				}
				seen[f.tshark] += len(values)
			}
		}
	}
	for _, name := range names {
		if seen[name] == 0 {
			t.Errorf("%s was in no packet", name)
		}
	}
}
