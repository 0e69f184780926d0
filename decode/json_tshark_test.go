package decode

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
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
	{"dns.id", "dns", "id"}, {"dns.flags.opcode", "dns", "opcode"},
	{"dhcp.id", "dhcp", "xid"}, {"dhcp.ip.your", "dhcp", "yiaddr"}, {"dhcp.ip.relay", "dhcp", "giaddr"}, {"dhcp.secs", "dhcp", "secs"},
}

// oraclePacket is a packet that tshark has read, too.
type oraclePacket struct {
	capture.Packet
	link   header.LinkType
	name   string // of the file
	number int    // in it, from 1
	theirs map[string][]string
}

func (p *oraclePacket) String() string { return fmt.Sprintf("%s, packet %d", p.name, p.number) }

// oracle returns the packets of all pcap files, with tshark's fields. tshark reads
// them as one file, because to start it takes most of the time.
func oracle(t *testing.T, fields []string) (all []*oraclePacket) {
	t.Helper()
	if _, err := exec.LookPath("tshark"); err != nil {
		t.Skip("needs tshark: run make setup")
	}
	for _, pattern := range []string{"../testdata/*.pcap", "../../shared/pcaps/*.pcap"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			name := filepath.Base(filepath.Dir(file)) + "/" + filepath.Base(file)
			if slices.Contains(beyond, name) {
				continue
			}
			p := readPcap(t, file)
			for i, packet := range p.packets {
				all = append(all, &oraclePacket{packet, p.link, name, i + 1, nil})
			}
		}
	}
	// Of which no pcap file of ours has any.
	solicitation := eth(header.TypeIP6, ip6(protoICMP6, bytesOf("8700000000000000", "20010db8000000000000000000000002", "0101020000000001")))
	all = append(all, &oraclePacket{capture.Packet{Len: len(solicitation), Data: solicitation}, header.LinkEthernet, "solicitation", 1, nil})
	var b bytes.Buffer
	w, err := NewPcapng(&b, PcapngOptions{})
	if err != nil {
		t.Fatal(err)
	}
	indexes := map[header.LinkType]int{}
	for _, p := range all {
		index, ok := indexes[p.link]
		if !ok {
			index = len(indexes)
			indexes[p.link] = index
			if err := w.AddInterface(capture.Interface{LinkType: uint32(p.link)}); err != nil {
				t.Fatal(err)
			}
		}
		packet := p.Packet
		packet.Interface = index
		if err := w.Packet(&packet, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	theirs := tsharkFields(t, b.Bytes(), fields)
	if len(theirs) != len(all) {
		t.Fatalf("%d packets, tshark has %d", len(all), len(theirs))
	}
	for i, p := range all {
		p.theirs = theirs[i]
	}
	return all
}

// tsharkFields returns, for each packet of a capture file and field, what tshark has, outside in.
func tsharkFields(t *testing.T, file []byte, fields []string) (packets []map[string][]string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "in.pcapng")
	if err := os.WriteFile(path, file, 0o644); err != nil {
		t.Fatal(err)
	}
	args := []string{"-n", "-r", path, "-o", "ip.defragment:FALSE", "-o", "ipv6.defragment:FALSE", "-o", "tcp.desegment_tcp_streams:FALSE",
		"-d", "udp.port==8472,vxlan", "-T", "fields", "-E", "occurrence=a", "-E", "separator=/t"}
	for _, f := range fields {
		args = append(args, "-e", f)
	}
	tshark := exec.Command("tshark", args...)
	var stderr bytes.Buffer
	tshark.Stderr = &stderr
	out, err := tshark.Output()
	if err != nil {
		t.Fatalf("tshark: %v\n%s", err, &stderr)
	}
	for line := range strings.Lines(string(out)) {
		p := map[string][]string{}
		for i, values := range strings.Split(strings.TrimSuffix(line, "\n"), "\t") {
			if values != "" {
				p[fields[i]] = strings.Split(values, ",")
			}
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

// beyond are captures of headers between which the walk does not get to others, or of what
// is wrong. The text's tests compare them with tcpdump.
var beyond = []string{"testdata/ppp.pcap", "testdata/control.pcap", "testdata/services.pcap", "testdata/headings.pcap", "testdata/odd.pcap"}

// apart are packets, by number from 1, in which tshark sees headers that the
// walk does not see, or the other way round, on purpose.
var apart = map[string][]int{
	"testdata/gre.pcap":    {74, 75},         // source routing of RFC 1701; version 1, PPTP
	"testdata/vxlan.pcap":  {43, 44},         // without the I flag; 4789 only as the source port
	"testdata/geneve.pcap": {33, 35},         // version 1; 6081 only as the source port
	"testdata/ipip.pcap":   {40},             // seven extension headers, header.MaxExtensions is six
	"testdata/dns.pcap":    {121},            // an inverse query of 1987, which gopacket does not decode
	"testdata/mpls.pcap":   {7},              // Ethernet right behind a label, which tshark takes for a control word
	"testdata/pppoe.pcap":  {11, 12, 13, 14}, // PPP's protocol field of one byte, which RFC 2516 does not allow
	"testdata/plain.pcap":  {36},             // five VLAN tags, header.MaxTags is four
}

// TestJSONTshark compares the fields of every header, on every level, with what
// tshark has of them.
func TestJSONTshark(t *testing.T) {
	var names []string
	for _, f := range oracleFields {
		names = append(names, f.tshark)
	}
	seen := map[string]int{}
	for _, p := range oracle(t, names) {
		if slices.Contains(apart[p.name], p.number) {
			continue
		}
		ours := parseJSON(t, printJSON(t, capture.Interface{LinkType: uint32(p.link)}, p.Packet)[0])
		layers := flatten(t, ours.Layers)
		overTCP := slices.ContainsFunc(layers, func(l jsonLayer) bool { return l.Name == "tcp" })
		for _, f := range oracleFields {
			if f.layer == "dns" && overTCP { // tshark does not believe every segment
				continue
			}
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
			want := p.theirs[f.tshark]
			if ours.Error != nil && ours.Error.Reason == "truncated" {
				// Of a header that is cut tshark shows other fields than we do.
				n := min(len(want), len(values))
				want, values = want[:n], values[:n]
			}
			if !slices.EqualFunc(want, values, sameValue) {
				t.Errorf("%v: %s is %v, tshark has %v", p, f.tshark, values, want)
				continue
			}
			seen[f.tshark] += len(values)
		}
	}
	for _, name := range names {
		if seen[name] == 0 {
			t.Errorf("%s was in no packet", name)
		}
	}
}
