package decode

import (
	"bytes"
	"encoding/json"
	"errors"
	goflag "flag"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/tundump/tundump/capture"
	"github.com/tundump/tundump/filter/header"
)

var _ Sink = (*JSON)(nil)

var updateJSON = goflag.Bool("update-json", false, "write what is generated in docs/json.md anew")

const ethernet = uint32(header.LinkEthernet)

// schema is the part of JSON Schema that docs/json.schema.json uses.
type schema struct {
	Ref                  string `json:"$ref"`
	Type                 any
	Pattern              string
	Enum                 []string
	Required             []string
	Properties           map[string]*schema
	PatternProperties    map[string]*schema
	AdditionalProperties *bool
	Items                *schema
	Defs                 map[string]*schema `json:"$defs"`
	Schema               string             `json:"$schema"`
	Title                string
}

func readSchema(t testing.TB) *schema {
	t.Helper()
	text, err := os.ReadFile("../docs/json.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields() // or a keyword would be ignored
	var s schema
	if err := d.Decode(&s); err != nil {
		t.Fatal(err)
	}
	return &s
}

// validate returns what is wrong with v, whose place is at.
func (root *schema) validate(s *schema, v any, at string) error {
	if s.Ref != "" {
		s = root.Defs[strings.TrimPrefix(s.Ref, "#/$defs/")]
	}
	typ := ""
	switch v := v.(type) {
	case string:
		typ = "string"
		if s.Pattern != "" && !regexp.MustCompile(s.Pattern).MatchString(v) {
			return fmt.Errorf("%s: %q is not %s", at, v, s.Pattern)
		}
		if s.Enum != nil && !slices.Contains(s.Enum, v) {
			return fmt.Errorf("%s: %q is not one of %q", at, v, s.Enum)
		}
	case bool:
		typ = "boolean"
	case float64:
		if typ = "integer"; v != math.Trunc(v) || v < 0 || v > 1<<53 {
			return fmt.Errorf("%s: %v is not a natural number", at, v)
		}
	case []any:
		typ = "array"
		for i, item := range v {
			if s.Items != nil {
				if err := root.validate(s.Items, item, fmt.Sprintf("%s[%d]", at, i)); err != nil {
					return err
				}
			}
		}
	case map[string]any:
		typ = "object"
		for _, name := range s.Required {
			if _, ok := v[name]; !ok {
				return fmt.Errorf("%s: no %s", at, name)
			}
		}
		for name, item := range v {
			known := false
			if p := s.Properties[name]; p != nil {
				known = true
				if err := root.validate(p, item, at+"."+name); err != nil {
					return err
				}
			}
			for pattern, p := range s.PatternProperties {
				if regexp.MustCompile(pattern).MatchString(name) {
					known = true
					if err := root.validate(p, item, at+"."+name); err != nil {
						return err
					}
				}
			}
			if !known && s.AdditionalProperties != nil && !*s.AdditionalProperties {
				return fmt.Errorf("%s: unknown name %q", at, name)
			}
		}
	}
	switch want := s.Type.(type) {
	case nil:
	case string:
		if want != typ {
			return fmt.Errorf("%s: a %s, not a %s", at, typ, want)
		}
	case []any:
		if !slices.Contains(want, any(typ)) {
			return fmt.Errorf("%s: a %s, not one of %v", at, typ, want)
		}
	}
	return nil
}

// applications are packets of the protocols that are decoded behind the header table.
func applications() [][]byte {
	const query = "1234 0100 0001 0000 0000 0000" + "03777777 076578616d706c65 03636f6d 00 0001 0001"
	const reply = "1234 8180 0001 0006 0000 0001" + "03777777 076578616d706c65 03636f6d 00 00ff 0001" +
		"c00c 0001 0001 0000003c 0004 c0000207" + "c00c 001c 0001 0000003c 0010 20010db8000000000000000000000007" +
		"c00c 000f 0001 0000003c 0009 000a 046d61696c c010" + "c00c 0010 0001 0000003c 0006 05 ff22 5c0a41" +
		"c00c 0005 0001 0000003c 0002 c010" + "c00c fffe 0001 00000001 0002 abcd" + "00 0029 1000 00000000 0000"
	clean := func(s string) []byte { return bytesOf(strings.ReplaceAll(s, " ", "")) }
	dhcp := bytesOf("01010600"+"3903f326"+"0005"+"8000"+"00000000"+"00000000"+"00000000"+"0a000001", "020000000001", make([]byte, 10+64+128),
		"63825363", "350101", "3204c0000209", "0c04686f7374", "0604c0000201", "3304000007d0", "2b020102", "ff")
	dhcp6 := bytesOf("01102030", "0001000a00030001020000000001", "00060004001700f3")
	relay := bytesOf("0c01", make([]byte, 15), "01", "20010db8000000000000000000000001", "00090004", dhcp6[:4])
	return [][]byte{
		eth(header.TypeIP, ip4(protoUDP, udp(53, clean(query)))),
		eth(header.TypeIP, ip4(protoUDP, udp(5353, clean(reply)))),
		eth(header.TypeIP, ip4(protoTCP, tcp(40000, 53, 1, 1, tcpAck, nil, bytesOf(uint16(len(clean(query))), clean(query))))),
		eth(header.TypeIP, ip4(protoUDP, udp(67, dhcp))),
		eth(header.TypeIP6, ip6(protoUDP, udp(547, dhcp6))),
		eth(header.TypeIP6, ip6(protoUDP, udp(547, relay))),
		eth(header.TypeIP, ip4(protoIGMP, bytesOf("16000000", "e0010203"))),
		eth(header.TypeIP, ip4(protoIGMP, bytesOf("22000000", "00000002", "01000001e00102030a000001", "04000000e0010204"))),
	}
}

// jsonCorpus are packets of every kind: the captures, and the examples of the text's tests.
func jsonCorpus(t testing.TB) map[header.LinkType][]capture.Packet {
	t.Helper()
	all := map[header.LinkType][]capture.Packet{}
	files, err := filepath.Glob("../testdata/*.pcap")
	if err != nil || len(files) == 0 {
		t.Fatal("no captures", err)
	}
	for _, file := range files {
		p := readPcap(t, file)
		all[p.link] = append(all[p.link], p.packets...)
	}
	add := func(frames [][]byte) {
		for _, f := range frames {
			all[header.LinkEthernet] = append(all[header.LinkEthernet], capture.Packet{Len: len(f), Data: f})
		}
	}
	m := examples()
	for _, name := range slices.Sorted(maps.Keys(m)) {
		add(m[name])
	}
	add(applications())
	return all
}

// TestJSONSchema validates the line of every packet, and of every start of it, and
// checks that the document names every layer and every field.
func TestJSONSchema(t *testing.T) {
	s := readSchema(t)
	document, err := os.ReadFile("../docs/json.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]string{} // what the document says about a layer
	for line := range strings.Lines(string(document)) {
		if words := strings.SplitN(line, "|", 3); len(words) == 3 {
			documented[strings.Trim(words[1], " `")] += words[2]
		}
	}
	reasons := map[string]int{}
	check := func(line string) {
		t.Helper()
		var v any
		if err := json.Unmarshal([]byte(line), &v); err != nil || !utf8.ValidString(line) {
			t.Fatalf("%v in %q", err, line)
		}
		if err := s.validate(s, v, ""); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		p := parseJSON(t, line)
		if p.Error != nil {
			reasons[p.Error.Reason]++
		}
		for _, l := range flatten(t, p.Layers) {
			for name := range l.Fields {
				if !strings.Contains(documented[l.Name], "`"+name+"`") {
					t.Errorf("docs/json.md does not know %s of %s", name, l.Name)
				}
			}
			if documented[l.Name] == "" {
				t.Errorf("docs/json.md does not know the layer %s", l.Name)
			}
		}
	}
	for link, packets := range jsonCorpus(t) {
		in := capture.Interface{Name: "et\x00h\"\\\xff1", LinkType: uint32(link)}
		for _, line := range printJSON(t, in, packets...) {
			check(line)
		}
	}
	for _, frame := range applications() {
		for n := range frame {
			check(printJSON(t, capture.Interface{LinkType: ethernet}, capture.Packet{Len: len(frame), Data: frame[:n]})[0])
		}
	}
	for _, packet := range readPcap(t, "../testdata/control.pcap").packets {
		for n := 14; n < len(packet.Data); n += 5 {
			check(printJSON(t, capture.Interface{LinkType: ethernet}, capture.Packet{Len: n, Data: packet.Data[:n]})[0])
		}
	}
	check(printJSON(t, capture.Interface{LinkType: 9999}, capture.Packet{Len: 4, Data: make([]byte, 4)})[0])
	deep := bytesOf()
	for range header.MaxDepth + 2 {
		deep = ip4(protoIPIP, deep)
	}
	check(printJSON(t, capture.Interface{LinkType: ethernet}, capture.Packet{Len: 14 + len(deep), Data: eth(header.TypeIP, deep)})[0])
	for _, reason := range []string{stopTruncated, stopInvalid, stopDepth, stopMany, stopLink} {
		if reasons[reason] == 0 {
			t.Errorf("no packet had the reason %q", reason)
		}
	}
}

// TestJSONDocument compares the generated parts of docs/json.md with what they
// should be: the example, and the table of layers.
func TestJSONDocument(t *testing.T) {
	const path = "../docs/json.md"
	document, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	p := readPcap(t, "../testdata/vxlan.pcap")
	line := printJSON(t, capture.Interface{LinkType: uint32(p.link)}, p.packets[0])[0]
	var layers strings.Builder
	for _, h := range header.New(header.DefaultPorts()).All() {
		fields := make([]string, len(h.Fields))
		for i, f := range h.Fields {
			fields[i] = "`" + f.Name + "`"
		}
		if len(fields) == 0 {
			fields = []string{"none"}
		}
		fmt.Fprintf(&layers, "| `%s` | %s |\n", h.Name, strings.Join(fields, ", "))
	}
	want := string(document)
	for _, part := range []struct{ before, text, after string }{
		{"```json\n", breakLines(line), "```\n"},
		{"-update-json -->\n| layer | fields |\n|---|---|\n", layers.String(), "<!-- end -->\n"},
	} {
		before, rest, ok := strings.Cut(want, part.before)
		_, after, ok2 := strings.Cut(rest, part.after)
		if !ok || !ok2 {
			t.Fatalf("%s has no part between %q and %q", path, part.before, part.after)
		}
		want = before + part.before + part.text + part.after + after
	}
	if *updateJSON {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if d := cmp.Diff(string(document), want); d != "" {
		t.Errorf("%s (-is +should be); go test ./decode -run TestJSONDocument -update-json writes it anew:\n%s", path, d)
	}
	var got, again any
	if json.Unmarshal([]byte(line), &got) != nil || json.Unmarshal([]byte(breakLines(line)), &again) != nil || !cmp.Equal(got, again) {
		t.Error("the example is not the packet")
	}
}

// breakLines puts each layer on a line of its own.
func breakLines(line string) string {
	line = strings.Replace(line, `"layers":[`, "\n \"layers\":[\n  ", 1)
	line = strings.ReplaceAll(line, `}},{"name"`, "}},\n  {\"name\"")
	return line + "\n"
}

// TestJSONValues checks the values that the oracle's test does not.
func TestJSONValues(t *testing.T) {
	at := func(v any, path ...any) any {
		for _, p := range path {
			switch p := p.(type) {
			case string:
				m, _ := v.(map[string]any)
				v = m[p]
			case int:
				a, _ := v.([]any)
				if p >= len(a) {
					return nil
				}
				v = a[p]
			}
		}
		return v
	}
	frames := applications()
	syn := eth(header.TypeIP, ip4(protoTCP, tcp(1, 2, 3, 4, tcpSyn|tcpEce, bytesOf("020405b4", "0402", "080a0000000100000002", "01", "030307", "050a0000000100000009", "fe040102", "0000"), nil)))
	for _, c := range []struct {
		frame []byte
		layer string
		want  any
		path  []any
	}{
		{frames[0], "dns", false, []any{"response"}},
		{frames[0], "dns", "www.example.com", []any{"questions", 0, "name"}},
		{frames[0], "dns", "A", []any{"questions", 0, "type"}},
		{frames[1], "dns", "192.0.2.7", []any{"answers", 0, "data"}},
		{frames[1], "dns", "2001:db8::7", []any{"answers", 1, "data"}},
		{frames[1], "dns", "10 mail.example.com", []any{"answers", 2, "data"}},
		{frames[1], "dns", "\ufffd\"\\\nA", []any{"answers", 3, "data"}},
		{frames[1], "dns", "example.com", []any{"answers", 4, "data"}},
		{frames[1], "dns", "TYPE65534", []any{"answers", 5, "type"}},
		{frames[1], "dns", "abcd", []any{"answers", 5, "data"}},
		{frames[1], "dns", "OPT", []any{"additionals", 0, "type"}},
		{frames[2], "dns", "www.example.com", []any{"questions", 0, "name"}},
		{frames[3], "dhcp", "discover", []any{"options", 0, "message"}},
		{frames[3], "dhcp", "192.0.2.9", []any{"options", 1, "addresses", 0}},
		{frames[3], "dhcp", "host", []any{"options", 2, "text"}},
		{frames[3], "dhcp", 2000.0, []any{"options", 4, "seconds"}},
		{frames[3], "dhcp", "0102", []any{"options", 5, "data"}},
		{frames[3], "dhcp", "02:00:00:00:00:01", []any{"chaddr"}},
		{frames[3], "dhcp", "10.0.0.1", []any{"giaddr"}},
		{frames[3], "dhcp", true, []any{"broadcast"}},
		{frames[4], "dhcp6", float64(0x102030), []any{"transaction_id"}},
		{frames[4], "dhcp6", "001700f3", []any{"options", 1, "data"}},
		{frames[5], "dhcp6", "2001:db8::1", []any{"peer_address"}},
		{frames[6], "igmp", "224.1.2.3", []any{"group"}},
		{frames[7], "igmp", "224.1.2.4", []any{"groups", 1, "group"}},
		{syn, "tcp", []any{"syn", "ece"}, []any{"flags"}},
		{syn, "tcp", 1460.0, []any{"options", 0, "mss"}},
		{syn, "tcp", "sack_permitted", []any{"options", 1, "name"}},
		{syn, "tcp", 2.0, []any{"options", 2, "echo"}},
		{syn, "tcp", 7.0, []any{"options", 3, "shift"}},
		{syn, "tcp", 9.0, []any{"options", 4, "blocks", 0, "right"}},
		{syn, "tcp", "0102", []any{"options", 5, "data"}},
		{eth(header.TypeIP, ip4(protoUDP, udp(6081, geneve(1, header.TypeTEB, bytesOf("010280010a0b0c0d"), nil)))), "geneve", "0a0b0c0d", []any{"options", 0, "data"}},
		{eth(header.TypeIP, ip4(protoUDP, udp(4789, bytesOf("89000000", "00002a00")))), "vxlan", []any{"vni", "0x81"}, []any{"flags"}},
		{eth(header.TypeIP6, ip6(protoICMP6, bytesOf("86000000", "40c00708", "00000000", "00000000", "0101020000000001", "05010000000005dc"))), "icmp6", 1500.0, []any{"options", 1, "mtu"}},
		{eth(header.TypeIP6, ip6(protoICMP6, bytesOf("86000000", "40c00708", "00000000", "00000000", "0101020000000001"))), "icmp6", "02:00:00:00:00:01", []any{"options", 0, "address"}},
		{eth(header.TypeIP, ip4(protoICMP, bytesOf("03040000", "000005dc", ip4(protoUDP, udp(9, nil))))), "icmp", 1500.0, []any{"mtu"}},
		{eth(header.TypeIP, ip4(protoICMP, bytesOf("03040000", "000005dc", ip4(protoUDP, udp(9, nil))))), "icmp", 62.0, []any{"quote", 1, "offset"}},
		{eth(header.TypeIP, ip4(protoSCTP, bytesOf(uint16(1), uint16(2), "0000000a00000000", "00030014", "00000007", "00010002", "0000003c", "01020304"))), "sctp", 7.0, []any{"chunks", 0, "tsn"}},
	} {
		line := printJSON(t, capture.Interface{LinkType: ethernet}, capture.Packet{Len: len(c.frame), Data: c.frame})[0]
		var v map[string]any
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatal(err)
		}
		found := false
		for _, l := range v["layers"].([]any) {
			if at(l, "name") == c.layer {
				found = true
				if got := at(l, append([]any{"fields"}, c.path...)...); !cmp.Equal(got, c.want) {
					t.Errorf("%s %v is %v, not %v", c.layer, c.path, got, c.want)
				}
			}
		}
		if !found {
			t.Errorf("no layer %s in %s", c.layer, line)
		}
	}
}

// TestJSONPacket checks what is not about layers.
func TestJSONPacket(t *testing.T) {
	for _, c := range []struct {
		p    capture.Packet
		want string
	}{
		{capture.Packet{Time: 1795317601_000000001, Len: 99, Direction: capture.DirectionIn},
			`{"time":"2026-11-22T03:20:01.000000001Z","epoch":"1795317601.000000001","interface":"a\"b\\c\u0001\u007f�é","direction":"in","length":99,"captured":0,"truncated":true,"layers":[],"error":{"layer":"ether","offset":0,"reason":"truncated"}}`},
		{capture.Packet{Time: -1, Data: make([]byte, 14), Direction: capture.DirectionOut}, // says that it is shorter than it is
			`{"time":"1969-12-31T23:59:59.999999999Z","epoch":"-0.000000001","interface":"a\"b\\c\u0001\u007f�é","direction":"out","length":14,"captured":14,"truncated":false,"layers":[{"name":"ether","level":0,"offset":0,"length":14,"fields":{"dst":"00:00:00:00:00:00","src":"00:00:00:00:00:00","type":0}}]}`},
		{capture.Packet{Time: -1_500000000, Len: 20, Data: make([]byte, 16)},
			`{"time":"1969-12-31T23:59:58.500000000Z","epoch":"-1.500000000","interface":"a\"b\\c\u0001\u007f�é","direction":"unknown","length":20,"captured":16,"truncated":true,"layers":[{"name":"ether","level":0,"offset":0,"length":14,"fields":{"dst":"00:00:00:00:00:00","src":"00:00:00:00:00:00","type":0}},{"name":"payload","level":0,"offset":14,"length":6,"fields":{}}]}`},
	} {
		if d := cmp.Diff(c.want, printJSON(t, capture.Interface{Name: "a\"b\\c\x01\x7f\xffé", LinkType: ethernet}, c.p)[0]); d != "" {
			t.Error(d)
		}
	}
	for _, ns := range []int64{math.MinInt64, math.MaxInt64, 0} {
		got := parseJSON(t, printJSON(t, capture.Interface{}, capture.Packet{Time: ns})[0])
		if when, err := time.Parse(time.RFC3339Nano, got.Time); err != nil || when.UnixNano() != ns {
			t.Errorf("%d: %s, %v", ns, got.Time, err)
		}
	}
}

func TestJSONWriteError(t *testing.T) {
	full := errors.New("full")
	j := NewJSON(brokenWriter{full}, JSONOptions{})
	if err := j.Packet(&capture.Packet{}, &capture.Interface{}); err != nil {
		t.Fatal(err)
	}
	if err := j.Flush(); !errors.Is(err, full) {
		t.Errorf("flush: %v", err)
	}
	if err := j.Packet(&capture.Packet{}, &capture.Interface{}); !errors.Is(err, full) {
		t.Errorf("packet: %v", err)
	}
	if err := j.Close(); err != nil {
		t.Errorf("close after the error was told: %v", err)
	}
}

type brokenWriter struct{ err error }

func (w brokenWriter) Write([]byte) (int, error) { return 0, w.err }

// TestJSONAllocates checks that what comes from the header table costs no memory.
func TestJSONAllocates(t *testing.T) {
	p := readPcap(t, "../testdata/vxlan.pcap").packets[0]
	in := capture.Interface{Name: "eth1", LinkType: ethernet}
	j := NewJSON(discard{}, JSONOptions{})
	for range 100 { // until the buffer has its size
		if err := j.Packet(&p, &in); err != nil {
			t.Fatal(err)
		}
	}
	if n := testing.AllocsPerRun(200, func() { _ = j.Packet(&p, &in) }); n != 0 {
		t.Errorf("%v allocations a packet", n)
	}
}

type discard struct{}

func (discard) Write(b []byte) (int, error) { return len(b), nil }

// FuzzJSON checks that any packet makes one line that the schema allows.
func FuzzJSON(f *testing.F) {
	for link, packets := range jsonCorpus(f) {
		for i := 0; i < len(packets); i += 7 {
			f.Add(uint32(link), packets[i].Data, packets[i].Len, "eth1")
		}
	}
	for _, frame := range applications() {
		f.Add(ethernet, frame, len(frame), "\xff")
	}
	s := readSchema(f)
	f.Fuzz(func(t *testing.T, link uint32, data []byte, length int, name string) {
		if length < 0 || length > 1<<30 {
			return
		}
		line := printJSON(t, capture.Interface{Name: name, LinkType: link}, capture.Packet{Len: length, Data: data})[0]
		var v any
		if err := json.Unmarshal([]byte(line), &v); err != nil || !utf8.ValidString(line) {
			t.Fatalf("%v in %q", err, line)
		}
		if err := s.validate(s, v, ""); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
	})
}
