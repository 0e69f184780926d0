package header_test

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gopacket/gopacket/pcapgo"

	"github.com/tundump/tundump/filter/header"
)

// packet is one packet of a capture.
type packet struct {
	link header.LinkType
	data []byte
}

// readCapture returns the packets of a file.
func readCapture(t testing.TB, path string) []packet {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var next func() (packet, error)
	if strings.HasSuffix(path, ".pcapng") {
		r, err := pcapgo.NewNgReader(f, pcapgo.NgReaderOptions{WantMixedLinkType: true})
		if err != nil {
			t.Fatal(path, err)
		}
		next = func() (packet, error) {
			data, ci, err := r.ReadPacketData()
			if err != nil {
				return packet{}, err
			}
			in, err := r.Interface(ci.InterfaceIndex)
			return packet{header.LinkType(in.LinkType), data}, err
		}
	} else {
		r, err := pcapgo.NewReader(bufio.NewReader(f))
		if err != nil {
			t.Fatal(path, err)
		}
		next = func() (packet, error) {
			data, _, err := r.ReadPacketData()
			return packet{header.LinkType(r.LinkType()), data}, err
		}
	}
	var ps []packet
	for {
		p, err := next()
		if errors.Is(err, io.EOF) {
			return ps
		}
		if err != nil {
			t.Fatal(path, err)
		}
		ps = append(ps, p)
	}
}

// captures returns the files of testdata and, if they are there, those of
// real kernel tunnels.
func captures(t testing.TB) []string {
	t.Helper()
	paths, err := filepath.Glob("../../testdata/*.pcap*")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no files in testdata: %v", err)
	}
	paths = append(paths, "../../testdata/captures/tunnels.pcap")
	kernels, err := filepath.Glob("../../../shared/pcaps/*.pcap")
	if err != nil {
		t.Fatal(err)
	}
	return append(paths, kernels...)
}

// addresses returns "source > destination" of each IP header that Walk finds.
func addresses(t *testing.T, table *header.Table, p packet) []string {
	t.Helper()
	var all []string
	for _, l := range table.Walk(nil, p.link, p.data, header.MaxDepth) {
		if l.ID != header.IP && l.ID != header.IP6 {
			continue
		}
		if l.Level < len(all) { // a level may have an Ethernet header only
			t.Errorf("IP header %d is at level %d", len(all), l.Level)
		}
		var pair []string
		for _, name := range []string{"src", "dst"} {
			f, ok := l.Field(name)
			if !ok {
				t.Fatalf("%s has no %s", l.Name, name)
			}
			a, _ := netip.AddrFromSlice(p.data[l.Off+uint32(f.Off):][:f.Size])
			pair = append(pair, a.String())
		}
		all = append(all, strings.Join(pair, " > "))
	}
	return all
}

// tsharkAddresses returns the same for every packet of a file, as tshark sees
// it.
func tsharkAddresses(t *testing.T, path string) [][]string {
	t.Helper()
	out, err := exec.Command("tshark", "-n", "-r", path, "-o", "ip.defragment:FALSE", "-o", "ipv6.defragment:FALSE",
		"-d", "udp.port==8472,vxlan", "-T", "fields", "-e", "frame.protocols",
		"-e", "ip.src", "-e", "ip.dst", "-e", "ipv6.src", "-e", "ipv6.dst").Output()
	if err != nil {
		t.Fatalf("tshark: %v", err)
	}
	var all [][]string
	for line := range strings.Lines(string(out)) {
		columns := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		var fields [4][]string
		for i := range fields {
			if columns[1+i] != "" {
				fields[i] = strings.Split(columns[1+i], ",")
			}
		}
		// The n-th "ip" of the protocols has the n-th addresses.
		packet := []string{}
		take := func(src, dst *[]string) bool {
			if len(*src) == 0 || len(*dst) == 0 {
				return false
			}
			packet = append(packet, (*src)[0]+" > "+(*dst)[0])
			*src, *dst = (*src)[1:], (*dst)[1:]
			return true
		}
	protocols:
		for _, protocol := range strings.Split(columns[0], ":") {
			switch protocol {
			case "ip":
				if !take(&fields[0], &fields[1]) {
					break protocols
				}
			case "ipv6":
				if !take(&fields[2], &fields[3]) {
					break protocols
				}
			case "icmp", "icmpv6":
				break protocols // what these quote is no level
			}
		}
		all = append(all, packet)
	}
	return all
}

// TestWalkLikeTshark compares the IP addresses that Walk finds, level by
// level, with those that tshark finds.
func TestWalkLikeTshark(t *testing.T) {
	if _, err := exec.LookPath("tshark"); err != nil {
		t.Skip("tshark is not installed: apt install tshark")
	}
	const (
		source  = "it takes the source port for the tunnel's, too"
		options = "it shows no addresses if the IPv4 options are cut; we need no options to find them"
		word    = "it takes a control word for an Ethernet address"
		session = "it has to be told what an L2TPv3 session carries"
	)
	// Where tshark looks further than we do, by packet number.
	further := map[string]map[int]string{
		"testdata/geneve.pcap": {33: "it ignores that the version is 1", 35: source},
		"testdata/gre.pcap":    {74: "it skips RFC 1701's source routes"},
		"testdata/vxlan.pcap":  {43: "it ignores that the I flag is missing", 44: source},
		"testdata/plain.pcap":  {36: "it follows more than MaxTags VLAN tags"},
		"testdata/ipip.pcap":   {40: "it follows more than MaxExtensions extension headers"},
	}
	// Where we look further than tshark does.
	nearer := map[string]map[int]string{
		"testdata/short.pcap":   {553: options, 554: options, 555: options, 676: options, 677: options, 678: options},
		"testdata/mpls.pcap":    {7: word},
		"captures/tunnels.pcap": {46: word, 47: word, 48: word, 50: session, 51: session, 52: session, 53: session, 54: session, 55: session},
	}
	// What is in these is odd in other ways, for those who print it.
	others := []string{"testdata/control.pcap", "testdata/odd.pcap", "testdata/ppp.pcap", "testdata/pppoe.pcap", "testdata/services.pcap", "testdata/dns.pcap", "testdata/dhcp.pcap"}
	beyond := func(longer, shorter []string) bool {
		return len(longer) > len(shorter) && slices.Equal(longer[:len(shorter)], shorter)
	}
	table := header.New(header.DefaultPorts())
	for _, path := range captures(t) {
		name := filepath.Base(filepath.Dir(path)) + "/" + filepath.Base(path)
		if slices.Contains(others, name) {
			continue
		}
		packets, theirs := readCapture(t, path), tsharkAddresses(t, path)
		if len(packets) != len(theirs) {
			t.Fatalf("%s: %d packets, tshark has %d", name, len(packets), len(theirs))
		}
		for i, p := range packets {
			ours := addresses(t, table, p)
			var ok bool
			reason := ""
			if reason = further[name][i+1]; reason != "" {
				ok = beyond(theirs[i], ours)
			} else if reason = nearer[name][i+1]; reason != "" {
				ok = beyond(ours, theirs[i])
			} else {
				ok = slices.Equal(ours, theirs[i])
			}
			if !ok {
				t.Errorf("%s: packet %d: %q, tshark has %q; exception: %q", name, i+1, ours, theirs[i], reason)
			}
			delete(further[name], i+1)
			delete(nearer[name], i+1)
		}
		if n := len(further[name]) + len(nearer[name]); n > 0 {
			t.Errorf("%s: %d exceptions are for no packet", name, n)
		}
	}
}

// ids are the headers that were found.
func ids(layers []header.Layer) []header.ID {
	var all []header.ID
	for _, l := range layers {
		all = append(all, l.ID)
	}
	return all
}

// cat joins parts of a packet.
func cat(parts ...[]byte) []byte { return slices.Concat(parts...) }

// The least of each header that Walk looks at; the rest is 0.
func ether(kind uint16) []byte   { return binary.BigEndian.AppendUint16(make([]byte, 12), kind) }
func tag(kind uint16) []byte     { return binary.BigEndian.AppendUint16(make([]byte, 2), kind) }
func ip4(protocol byte) []byte   { return cat([]byte{0x45, 8: 0, 9: protocol}, make([]byte, 10)) }
func ip6(protocol byte) []byte   { return cat([]byte{0x60, 6: protocol}, make([]byte, 33)) }
func extension(next byte) []byte { return []byte{next, 7: 0} }
func udp(dport uint16) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint16([]byte{0, 0}, dport), 0)
}
func vxlan(vni uint32) []byte {
	return binary.BigEndian.AppendUint32([]byte{8, 0, 0, 0}, vni<<8)
}

// TestWalkStacks has what other packets rarely have.
func TestWalkStacks(t *testing.T) {
	const E, I, I6 = header.LinkEthernet, header.LinkIPv4, header.LinkIPv6
	tcp := []byte{12: 0x50, 19: 0}
	for _, c := range []struct {
		name string
		link header.LinkType
		data []byte
		want []header.ID
	}{
		{"nothing", E, nil, nil},
		{"no link type", 9999, make([]byte, 100), nil},
		{"raw, no byte", header.LinkRaw, nil, nil},
		{"raw, no version", header.LinkRaw, make([]byte, 100), nil},
		{"raw, version 4", header.LinkRaw, ip4(255), []header.ID{header.IP}},
		{"raw, version 6", header.LinkRaw, ip6(255), []header.ID{header.IP6}},
		{"IPv6, but version 4", I6, cat(ip4(6), tcp, tcp), nil},
		{"IPv4, but version 6", I, ip6(6), nil},
		{"IPv4 header length 4", I, append([]byte{0x44}, make([]byte, 39)...), nil},
		{"TCP header length 4", I, cat(ip4(6), []byte{12: 0x40, 19: 0}), []header.ID{header.IP}},
		{"three kinds of tags", E, cat(ether(0x8100), tag(0x88a8), tag(0x9100), tag(0x0806), make([]byte, 28)),
			[]header.ID{header.Ether, header.VLAN, header.VLAN, header.VLAN, header.ARP}},
		{"MaxTags", E, cat(ether(0x8100), tag(0x8100), tag(0x8100), tag(0x8100), tag(0x0800), ip4(255)),
			[]header.ID{header.Ether, header.VLAN, header.VLAN, header.VLAN, header.VLAN, header.IP}},
		{"a tag too many", E, cat(ether(0x8100), tag(0x8100), tag(0x8100), tag(0x8100), tag(0x8100), tag(0x0800), ip4(255)),
			[]header.ID{header.Ether, header.VLAN, header.VLAN, header.VLAN, header.VLAN}},
		{"tags are counted per level", E, cat(ether(0x8100), tag(0x8100), tag(0x8100), tag(0x0800), ip4(17), udp(4789), vxlan(1),
			ether(0x8100), tag(0x8100), tag(0x86dd), ip6(255)),
			[]header.ID{header.Ether, header.VLAN, header.VLAN, header.VLAN, header.IP, header.UDP, header.VXLAN,
				header.Ether, header.VLAN, header.VLAN, header.IP6}},
		{"MaxExtensions", I6, cat(ip6(60), extension(60), extension(60), extension(60), extension(60), extension(60), extension(6), tcp),
			[]header.ID{header.IP6, header.DstOpts, header.DstOpts, header.DstOpts, header.DstOpts, header.DstOpts, header.DstOpts, header.TCP}},
		{"an extension too many", I6, cat(ip6(60), extension(60), extension(60), extension(60), extension(60), extension(60), extension(60), extension(6), tcp),
			[]header.ID{header.IP6, header.DstOpts, header.DstOpts, header.DstOpts, header.DstOpts, header.DstOpts, header.DstOpts}},
		{"extensions are counted per level", I6, cat(ip6(60), extension(60), extension(60), extension(60), extension(41), ip6(60), extension(60), extension(60), extension(6), tcp),
			[]header.ID{header.IP6, header.DstOpts, header.DstOpts, header.DstOpts, header.DstOpts, header.IPIP6,
				header.IP6, header.DstOpts, header.DstOpts, header.DstOpts, header.TCP}},
		{"ICMP of the other version", I6, cat(ip6(1), make([]byte, 8)), []header.ID{header.IP6}},
		{"ICMP behind AH", I, cat(ip4(51), []byte{1, 1, 11: 0}, make([]byte, 8)), []header.ID{header.IP, header.AH, header.ICMP}},
		{"AH in AH", I6, cat(ip6(51), []byte{51, 1, 11: 0}, []byte{6, 4, 23: 0}, tcp), []header.ID{header.IP6, header.AH, header.AH, header.TCP}},
		{"ERSPAN I and II", I, cat(ip4(47), []byte{0x10, 0, 0x88, 0xbe, 7: 0}, []byte{0x10, 7: 0}, ether(0x0800),
			ip4(47), []byte{0, 0, 0x88, 0xbe}, ether(0x0806)),
			[]header.ID{header.IP, header.GRE, header.ERSPAN2, header.Ether, header.IP, header.GRE, header.ERSPAN1, header.Ether}},
	} {
		if got := ids(header.New(header.DefaultPorts()).Walk(nil, c.link, c.data, header.MaxDepth)); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// TestWalkLater checks that nothing is read behind a fragment header of a later fragment.
func TestWalkLater(t *testing.T) {
	fragment := func(offset uint16) []byte {
		return cat([]byte{17, 0}, binary.BigEndian.AppendUint16(nil, offset), make([]byte, 4))
	}
	withOffset := func(offset uint16) []byte {
		h := ip4(17)
		binary.BigEndian.PutUint16(h[6:], offset)
		return h
	}
	for _, c := range []struct {
		name  string
		link  header.LinkType
		data  []byte
		later bool
	}{
		{"IPv4, first, more", header.LinkIPv4, withOffset(0x2000), false},
		{"IPv4, all flags", header.LinkIPv4, withOffset(0xe000), false},
		{"IPv4, second", header.LinkIPv4, withOffset(0x2001), true},
		{"IPv4, last", header.LinkIPv4, withOffset(0x1fff), true},
		{"IPv6, first, more", header.LinkIPv6, cat(ip6(44), fragment(1)), false},
		{"IPv6, reserved bits", header.LinkIPv6, cat(ip6(44), fragment(7)), false},
		{"IPv6, second", header.LinkIPv6, cat(ip6(44), fragment(8)), true},
	} {
		layers := header.New(header.DefaultPorts()).Walk(nil, c.link, cat(c.data, udp(4789), vxlan(1), ether(0)), 1)
		var later, more bool
		for _, l := range layers {
			more = more || l.ID == header.UDP
			later = later || l.Later
		}
		if later != c.later || more == c.later {
			t.Errorf("%s: later fragment %v, UDP found %v", c.name, later, more)
		}
	}
}

// TestWalkDepth walks five tunnels.
func TestWalkDepth(t *testing.T) {
	var data []byte
	for range 5 {
		data = cat(data, ether(0x0800), ip4(17), udp(4789), vxlan(1))
	}
	data = cat(data, ether(0x0806), make([]byte, 28))
	table := header.New(header.DefaultPorts())
	for depth := range header.MaxDepth + 1 {
		layers := table.Walk(nil, header.LinkEthernet, data, depth)
		last := layers[len(layers)-1]
		want, level := header.ARP, 5
		if depth < 5 {
			want, level = header.VXLAN, depth
		}
		if last.ID != want || last.Level != level {
			t.Errorf("depth %d: ends with %s at level %d", depth, last.Name, last.Level)
		}
	}
}

// TestWalkPorts checks that the ports of the table count, and only as
// destination.
func TestWalkPorts(t *testing.T) {
	vxlanOn := func(port uint16) []byte { return cat(ip4(17), udp(port), vxlan(1), ether(0)) }
	geneveOn := func(port uint16) []byte {
		return cat(ip4(17), udp(port), []byte{0, 0, 0x65, 0x58, 0, 0, 5, 0}, ether(0))
	}
	from := func(port uint16) []byte {
		data := vxlanOn(9)
		binary.BigEndian.PutUint16(data[20:], port)
		return data
	}
	standard, other := header.DefaultPorts(), header.Ports{VXLAN: []uint16{1}, Geneve: []uint16{2, 3}}
	for _, c := range []struct {
		name  string
		ports header.Ports
		data  []byte
		want  header.ID
	}{
		{"VXLAN", standard, vxlanOn(4789), header.VXLAN},
		{"Linux's VXLAN", standard, vxlanOn(8472), header.VXLAN},
		{"Geneve", standard, geneveOn(6081), header.Geneve},
		{"source port", standard, from(4789), header.UDP},
		{"VXLAN on another port", standard, vxlanOn(1), header.UDP},
		{"VXLAN, set", other, vxlanOn(1), header.VXLAN},
		{"VXLAN, not set", other, vxlanOn(4789), header.UDP},
		{"Geneve, set", other, geneveOn(3), header.Geneve},
		{"Geneve, not set", other, geneveOn(6081), header.UDP},
		{"none", header.Ports{}, vxlanOn(4789), header.UDP},
	} {
		layers := header.New(c.ports).Walk(nil, header.LinkIPv4, c.data, 0)
		if got := layers[len(layers)-1].ID; got != c.want {
			t.Errorf("%s: ends with %v, want %v", c.name, got, c.want)
		}
	}
}

// TestGREFields checks where the fields of a GRE header are, for every
// combination of flags.
func TestGREFields(t *testing.T) {
	const c, k, s = 0x8000, 0x2000, 0x1000
	table := header.New(header.DefaultPorts())
	for n := range 8 {
		var flags uint16
		var words []byte
		if n&1 != 0 {
			flags |= c
			words = append(words, 0xcc, 0xcc, 0, 0)
		}
		if n&2 != 0 {
			flags |= k
			words = append(words, 0x11, 0x22, 0x33, 0x44)
		}
		if n&4 != 0 {
			flags |= s
			words = append(words, 0x55, 0x66, 0x77, 0x88)
		}
		gre := cat(binary.BigEndian.AppendUint16(nil, flags), []byte{0x65, 0x58}, words)
		data := cat(ip4(47), gre, ether(0))
		layers := table.Walk(nil, header.LinkIPv4, data, 1)
		if got := ids(layers); !slices.Equal(got, []header.ID{header.IP, header.GRE, header.Ether}) {
			t.Errorf("flags %#04x: %v", flags, got)
			continue
		}
		l := layers[1]
		if int(l.Bytes) != len(gre) || int(layers[2].Off) != 20+len(gre) || layers[2].Level != 1 {
			t.Errorf("flags %#04x: %d bytes, Ethernet at %d", flags, l.Bytes, layers[2].Off)
		}
		for _, f := range []struct {
			name  string
			flag  uint16
			value uint32
		}{{"flags", 0, uint32(flags)}, {"proto", 0, 0x6558}, {"sum", c, 0xcccc}, {"key", k, 0x11223344}, {"vsid", k, 0x112233}, {"seq", s, 0x55667788}} {
			got, ok := l.Value(data, f.name)
			if there := flags&f.flag == f.flag; ok != there || ok && got != f.value {
				t.Errorf("flags %#04x: %s is %#x, %v", flags, f.name, got, ok)
			}
		}
	}
	for _, bad := range []uint16{0x4000, 1, 7} {
		data := cat(ip4(47), binary.BigEndian.AppendUint16(nil, bad), []byte{0x65, 0x58}, make([]byte, 40))
		if got := ids(table.Walk(nil, header.LinkIPv4, data, 1)); !slices.Equal(got, []header.ID{header.IP}) {
			t.Errorf("flags %#04x: %v", bad, got)
		}
	}
}

func TestValue(t *testing.T) {
	table := header.New(header.DefaultPorts())
	data := cat(ether(0x8100), []byte{0xb1, 0x23, 0x08, 0x00}, // priority 5, DEI, tag 0x123
		[]byte{0x45, 0xb8, 0x12, 0x34, 0x56, 0x78, 0x40, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2},
		[]byte{0x12, 0x34, 0x12, 0xb5, 0x56, 0x78, 0x9a, 0xbc}, vxlan(0xabcdef))
	layers := table.Walk(nil, header.LinkEthernet, data, 1)
	for _, c := range []struct {
		layer int
		field string
		value uint32
	}{
		{0, "type", 0x8100}, {1, "id", 0x123}, {1, "pcp", 5}, {1, "dei", 1}, {1, "type", 0x0800},
		{2, "ihl", 5}, {2, "tos", 0xb8}, {2, "len", 0x1234}, {2, "id", 0x5678}, {2, "flags", 2}, {2, "fragoff", 0}, {2, "ttl", 64},
		{2, "proto", 17}, {2, "src", 0xc0000201}, {2, "dst", 0xc0000202},
		{3, "sport", 0x1234}, {3, "dport", 4789}, {3, "len", 0x5678}, {3, "sum", 0x9abc},
		{4, "flags", 8}, {4, "vni", 0xabcdef},
	} {
		if got, ok := layers[c.layer].Value(data, c.field); !ok || got != c.value {
			t.Errorf("%s %s: %#x, %v, want %#x", layers[c.layer].Name, c.field, got, ok, c.value)
		}
	}
	for _, c := range []struct {
		layer int
		field string
		data  []byte
	}{{0, "none", data}, {0, "src", data}, {4, "vni", data[:len(data)-1]}, {4, "vni", nil}} {
		if got, ok := layers[c.layer].Value(c.data, c.field); ok {
			t.Errorf("%s %s in %d bytes: %#x, should not be there", layers[c.layer].Name, c.field, len(c.data), got)
		}
	}
}

func TestWalkAllocates(t *testing.T) {
	table := header.New(header.DefaultPorts())
	data := cat(ether(0x0800), ip4(17), udp(4789), vxlan(1), ether(0x0800), ip4(47), make([]byte, 40))
	layers := make([]header.Layer, 0, 16)
	if n := testing.AllocsPerRun(100, func() { layers = table.Walk(layers[:0], header.LinkEthernet, data, 3) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzWalk checks what holds for any packet. The seeds are the packets of
// testdata.
func FuzzWalk(f *testing.F) {
	paths, err := filepath.Glob("../../testdata/*.pcap*")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range paths {
		for _, p := range readCapture(f, path) {
			f.Add(uint32(p.link), p.data, 3, len(p.data)/2)
		}
	}
	table := header.New(header.DefaultPorts())
	f.Fuzz(func(t *testing.T, link uint32, data []byte, depth, cut int) {
		depth &= 7
		layers := table.Walk(nil, header.LinkType(link), data, depth)
		var off uint32
		level, networks, tags, extensions, transports := 0, 0, 0, 0, 0
		for i, l := range layers {
			if l.Off != off {
				t.Errorf("layer %d, %s, is at %d, not %d", i, l.Name, l.Off, off)
			}
			if uint64(l.Off)+uint64(l.Min) > uint64(len(data)) || l.Bytes < l.Min || l.End() != l.Off+l.Bytes {
				t.Errorf("layer %d, %s, has %d bytes at %d of %d", i, l.Name, l.Bytes, l.Off, len(data))
			}
			off = l.End()
			if l.Later && i != len(layers)-1 {
				t.Errorf("layer %d, %s, is a later fragment, and something follows", i, l.Name)
			}
			if l.Level != level {
				if l.Level != level+1 || layers[i-1].Starts() || !l.Starts() || l.Level > depth {
					t.Errorf("layer %d, %s, is at level %d, behind %d", i, l.Name, l.Level, level)
				}
				level, networks, tags, extensions, transports = l.Level, 0, 0, 0, 0
			}
			switch l.Class {
			case header.Network:
				networks++
			case header.Tag:
				tags++
			case header.Extension:
				extensions++
			case header.Transport:
				transports++
			}
			if networks > 1 || transports > 1 || tags > header.MaxTags || extensions > header.MaxExtensions {
				t.Errorf("layer %d, %s: too many of its kind at level %d", i, l.Name, level)
			}
			for _, field := range l.Fields {
				l.Value(data, field.Name)
			}
		}
		same := func(a, b header.Layer) bool {
			return a.ID == b.ID && a.Off == b.Off && a.Bytes == b.Bytes && a.Level == b.Level && a.Later == b.Later
		}
		// Deeper, the same and more.
		deeper := table.Walk(nil, header.LinkType(link), data, depth+1)
		if len(deeper) < len(layers) || !slices.EqualFunc(deeper[:len(layers)], layers, same) {
			t.Errorf("depth %d: %v, one more: %v", depth, ids(layers), ids(deeper))
		}
		// In a part of the packet, the layers whose least is within it.
		if cut >= 0 && cut <= len(data) {
			part := table.Walk(nil, header.LinkType(link), data[:cut], depth)
			n := 0
			for n < len(layers) && int(layers[n].Off+layers[n].Min) <= cut {
				n++
			}
			if !slices.EqualFunc(part, layers[:n], same) {
				t.Errorf("cut after %d bytes: %v, whole: %v", cut, ids(part), ids(layers))
			}
		}
	})
}

// TestRaw checks the bytes of fields that are no numbers, and of one that moves.
func TestRaw(t *testing.T) {
	data := cat([]byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x86, 0xdd}, ip6(47), []byte{0xa0, 0, 0x65, 0x58, 1, 2, 0, 0, 0, 0, 0, 42}, ether(0))
	copy(data[14+8:], "sixteen  octets.")
	layers := header.New(header.DefaultPorts()).Walk(nil, header.LinkEthernet, data, 1)
	for _, c := range []struct {
		layer int
		field string
		data  []byte
		want  string
	}{
		{0, "src", data, "\x02\x00\x00\x00\x00\x02"}, {1, "src", data, "sixteen  octets."}, {2, "key", data, "\x00\x00\x00\x2a"},
		{2, "sum", data, "\x01\x02"}, {2, "seq", data, ""}, {1, "src", data[:14+23], ""}, {2, "key", nil, ""},
	} {
		f, ok := layers[c.layer].Field(c.field)
		if !ok {
			t.Fatalf("no field %s", c.field)
		}
		if got, ok := layers[c.layer].Raw(c.data, f); string(got) != c.want || ok != (c.want != "") {
			t.Errorf("%s %s in %d bytes: %q, %v, want %q", layers[c.layer].Name, c.field, len(c.data), got, ok, c.want)
		}
	}
}
