package decode

import (
	"bytes"
	"encoding/binary"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	goflag "flag"

	"github.com/google/go-cmp/cmp"

	"github.com/tundump/tundump/capture"
	"github.com/tundump/tundump/filter/header"
)

var updateDecap = goflag.Bool("update-decap", false, "write testdata/decap.pcapng anew")

// decapsulate writes the innermost packets, with comments, and returns the file.
func decapsulate(t testing.TB, in capture.Interface, depth int, packets []capture.Packet) []byte {
	t.Helper()
	var b bytes.Buffer
	f, err := NewPcapng(&b, PcapngOptions{Application: "tundump"})
	if err != nil {
		t.Fatal(err)
	}
	a, d := NewAnnotator(nil, depth), NewDecap(nil, depth)
	added := 0
	for i := range packets {
		p := packets[i]
		p.Comment = a.Append(nil, header.LinkType(in.LinkType), p.Data)
		p = d.Packet(&p, &in)
		for ; added < len(d.Interfaces()); added++ {
			if err := f.AddInterface(d.Interfaces()[added]); err != nil {
				t.Fatal(err)
			}
		}
		if err := f.Packet(&p, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestDecapTshark has tshark read what is decapsulated, of every capture: the
// addresses are the innermost of those that it sees in the original, no tunnel is
// left, and the comment names the addresses.
func TestDecapTshark(t *testing.T) {
	fields := []string{"ip.src", "ip.dst", "ipv6.src", "ipv6.dst", "arp.src.proto_ipv4", "tcp.srcport", "udp.dstport", "icmp.seq", "eth.src"}
	packets := slices.DeleteFunc(oracle(t, fields), func(p *oraclePacket) bool {
		// Not those that are cut, and cooked ones, whose inner MAC addresses are the first.
		return p.link != header.LinkEthernet || p.name == "testdata/short.pcap" || slices.Contains(apart[p.name], p.number)
	})
	var originals []capture.Packet
	for _, p := range packets {
		originals = append(originals, p.Packet)
	}
	file := decapsulate(t, capture.Interface{Name: "eth1", LinkType: ethernet, Nanoseconds: true}, header.MaxDepth, originals)
	after := tsharkFields(t, file, append(fields, "frame.comment", "frame.interface_name", "frame.protocols"))
	if len(after) != len(packets) {
		t.Fatalf("%d packets have become %d", len(packets), len(after))
	}
	tunnels := 0
	for i, a := range after {
		p := packets[i]
		for _, f := range fields {
			if values, before := a[f], p.theirs[f]; len(values) > len(before) || !slices.Equal(values, before[len(before)-len(values):]) {
				t.Errorf("%v: %s is %v, was %v", p, f, values, before)
			}
		}
		comment, inside := strings.Join(a["frame.comment"], ","), a["frame.interface_name"][0] != "eth1"
		if inside != strings.Contains(comment, " / ") {
			t.Errorf("%v: interface %q, comment %q", p, a["frame.interface_name"], comment)
		}
		if !inside {
			continue
		}
		tunnels++
		for _, protocol := range strings.Split(a["frame.protocols"][0], ":") {
			if protocol == "icmp" || protocol == "icmpv6" {
				break // what it quotes may have tunnels
			}
			if slices.Contains([]string{"gre", "vxlan", "geneve", "erspan"}, protocol) {
				t.Errorf("%v: tunnels are left: %v", p, a["frame.protocols"])
			}
		}
		for _, version := range []string{"ip", "ipv6"} {
			if src, dst := a[version+".src"], a[version+".dst"]; len(src) > 0 && !strings.HasSuffix(comment, src[0]+" > "+dst[0]) {
				t.Errorf("%v: comment %q, addresses %v > %v", p, comment, src, dst)
			}
		}
	}
	if tunnels < 200 {
		t.Errorf("only %d packets were in tunnels", tunnels)
	}
}

// decapCases are packets, with what comes of them.
func decapCases() []struct {
	name     string
	p        capture.Packet
	tunnel   string // the interface
	link     header.LinkType
	comment  string
	off, len int // where the innermost packet starts, and its length on the wire
} {
	whole := func(frame []byte) capture.Packet { return capture.Packet{Len: len(frame), Data: frame} }
	cut := func(frame []byte, n int) capture.Packet { return capture.Packet{Len: len(frame), Data: frame[:n]} }
	inner := eth(header.TypeIP, ip4(protoUDP, udp(9, someData)))
	n := len(inner)
	keyed := eth(header.TypeIP, ip4(protoGRE, gre(0x2000, header.TypeTEB, bytesOf("0000002a"), inner)))
	padded := bytesOf(keyed, make([]byte, 7))
	on := func(port uint16, payload []byte) []byte { return eth(header.TypeIP, ip4(protoUDP, udp(port, payload))) }
	arp := eth(header.TypeARP, bytesOf("0001080006040001", "020000000001", "0a000001", "000000000000", "0a000002"))
	first := slices.Clone(keyed)
	first[14+6] |= 0x20
	binary.BigEndian.PutUint16(first[14+2:], uint16(len(first)-14-16)) // the last 16 bytes are in the next
	later := slices.Clone(keyed)
	later[14+7] = 1
	return []struct {
		name     string
		p        capture.Packet
		tunnel   string
		link     header.LinkType
		comment  string
		off, len int
	}{
		{"no tunnel", whole(inner), "eth1", 1, "", 0, n},
		{"GRE with a key", whole(keyed), "eth1 gre 0x2a", 1, "GRE key 0x2a / 10.0.0.1 > 10.0.0.2", 42, n},
		{"padding", whole(padded), "eth1 gre 0x2a", 1, "GRE key 0x2a / 10.0.0.1 > 10.0.0.2", 42, n},
		{"cut", cut(keyed, 80), "eth1 gre 0x2a", 1, "GRE key 0x2a / 10.0.0.1 > 10.0.0.2", 42, n},
		{"cut within the inner header", cut(keyed, 50), "eth1", 1, "GRE key 0x2a", 0, len(keyed)},
		{"first fragment", whole(first[:len(first)-16]), "eth1 gre 0x2a", 1, "GRE key 0x2a / 10.0.0.1 > 10.0.0.2", 42, n},
		{"later fragment", whole(later), "eth1", 1, "", 0, len(later)},
		{"GRE without a key", whole(eth(header.TypeIP, ip4(protoGRE, gre(0, header.TypeIP, nil, inner[14:])))), "eth1 gre", 101, "GRE / 10.0.0.1 > 10.0.0.2", 38, n - 14},
		{"GRE, unknown", whole(eth(header.TypeIP, ip4(protoGRE, gre(0, 0x88b5, nil, someData)))), "eth1", 1, "GRE", 0, 38 + len(someData)},
		{"VXLAN", whole(on(4789, vxlan(42, inner))), "eth1 vxlan 42", 1, "VXLAN vni 42 / 10.0.0.1 > 10.0.0.2", 50, n},
		{"VXLAN, ARP", whole(on(4789, vxlan(42, arp))), "eth1 vxlan 42", 1, "VXLAN vni 42 / ARP 10.0.0.1 > 10.0.0.2", 50, len(arp)},
		{"VXLAN, unknown", whole(on(4789, vxlan(42, eth(0x88b5, someData)))), "eth1 vxlan 42", 1, "VXLAN vni 42 / 02:00:00:00:0a:01 > 02:00:00:00:0b:01", 50, 14 + len(someData)},
		{"Geneve", whole(on(6081, geneve(7, header.TypeIP, bytesOf("0102800100000000"), inner[14:]))), "eth1 geneve 7", 101, "GENEVE vni 7 / 10.0.0.1 > 10.0.0.2", 58, n - 14},
		{"IPIP", whole(eth(header.TypeIP, ip4(protoIPIP, inner[14:]))), "eth1 ipip", 101, "IPIP / 10.0.0.1 > 10.0.0.2", 34, n - 14},
		{"ERSPAN I", whole(eth(header.TypeIP, ip4(protoGRE, gre(0, 0x88be, nil, inner)))), "eth1 erspan", 1, "ERSPAN / 10.0.0.1 > 10.0.0.2", 38, n},
		{"ERSPAN II", whole(eth(header.TypeIP, ip4(protoGRE, gre(0x1000, 0x88be, bytesOf("00000001"), bytesOf("10010005", "00000000", inner))))),
			"eth1 erspan 5", 1, "ERSPAN session 5 / 10.0.0.1 > 10.0.0.2", 50, n},
		{"ERSPAN in GRE with a key", whole(eth(header.TypeIP, ip4(protoGRE, gre(0x2000, 0x88be, bytesOf("00000001"), inner)))),
			"eth1 gre 0x1 erspan", 1, "GRE key 0x1 / ERSPAN / 10.0.0.1 > 10.0.0.2", 42, n},
		{"GTP-U, sequence numbers", whole(on(2152, bytesOf("32ff", uint16(4+len(inner)-14), "00000007", "00010000", inner[14:]))), "eth1 gtp 7", 101, "GTP teid 7 / 10.0.0.1 > 10.0.0.2", 54, n - 14},
		{"MPLS in GRE", whole(eth(header.TypeIP, ip4(protoGRE, gre(0, header.TypeMPLS, nil, bytesOf("00064140", inner[14:]))))), "eth1 gre", 101, "GRE / 10.0.0.1 > 10.0.0.2", 42, n - 14},
		{"a tunnel in a tunnel", whole(on(4789, vxlan(1, keyed))), "eth1 vxlan 1 gre 0x2a", 1, "VXLAN vni 1 / 10.0.0.1 > 10.0.0.2 / GRE key 0x2a / 10.0.0.1 > 10.0.0.2", 92, n},
		{"nothing", whole(nil), "eth1", 1, "", 0, 0},
	}
}

func TestDecap(t *testing.T) {
	in := capture.Interface{Name: "eth1", LinkType: ethernet, SnapLen: 1000, Nanoseconds: true}
	d, a := NewDecap(nil, 0), NewAnnotator(nil, 0)
	for _, c := range decapCases() {
		c.p.Time, c.p.Direction = 5, capture.DirectionOut
		comment := string(a.Append(nil, header.LinkEthernet, c.p.Data))
		got := d.Packet(&c.p, &in)
		of := d.Interfaces()[got.Interface]
		end := min(c.off+c.len, len(c.p.Data))
		if of.Name != c.tunnel || of.LinkType != uint32(c.link) || comment != c.comment || got.Len != c.len || !bytes.Equal(got.Data, c.p.Data[c.off:end]) {
			t.Errorf("%s: %q, link type %d, %q, length %d: %x\nwant %q, %d, %q, %d: %x", c.name, of.Name, of.LinkType, comment, got.Len, got.Data,
				c.tunnel, c.link, c.comment, c.len, c.p.Data[c.off:end])
		}
		if got.Time != 5 || got.Direction != capture.DirectionOut || of.SnapLen != 1000 || !of.Nanoseconds {
			t.Errorf("%s: %+v on %+v", c.name, got, of)
		}
	}
	var names []string
	for _, of := range d.Interfaces() {
		names = append(names, of.Name)
	}
	want := []string{"eth1", "eth1 gre 0x2a", "eth1 gre", "eth1 vxlan 42", "eth1 geneve 7", "eth1 ipip", "eth1 erspan", "eth1 erspan 5", "eth1 gre 0x1 erspan", "eth1 gtp 7", "eth1 vxlan 1 gre 0x2a"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("interfaces: %s", diff)
	}
}

// TestDecapInterfaces checks that interfaces are told apart, and that there are not too many.
func TestDecapInterfaces(t *testing.T) {
	d := NewDecap(nil, 0)
	inner := eth(header.TypeIP, ip4(protoUDP, udp(9, nil)))
	packet := func(i int, name string, key uint32, proto uint16, payload []byte) (int, capture.Interface) {
		frame := eth(header.TypeIP, ip4(protoGRE, gre(0x2000, proto, bytesOf(key), payload)))
		p := d.Packet(&capture.Packet{Interface: i, Len: len(frame), Data: frame}, &capture.Interface{Name: name, LinkType: ethernet})
		return p.Interface, d.Interfaces()[p.Interface]
	}
	for want, c := range []struct {
		i     int
		name  string
		proto uint16
		inner []byte
	}{{0, "a", header.TypeTEB, inner}, {1, "b", header.TypeTEB, inner}, {1, "b", header.TypeIP, inner[14:]}, {2, "", header.TypeTEB, inner}} {
		for range 2 {
			got, of := packet(c.i, c.name, 1, c.proto, c.inner)
			if got != want || of.Name != strings.TrimSpace(c.name+" gre 0x1") {
				t.Errorf("%v: interface %d, %q, want %d", c, got, of.Name, want)
			}
		}
	}
	if got := d.Outer(1, &capture.Interface{Name: "b", LinkType: ethernet}); got != 4 {
		t.Errorf("the outer interface has become %d", got)
	}
	for key := range uint32(3 * maxTunnels) {
		packet(0, "a", key, header.TypeTEB, inner)
	}
	if n := len(d.Interfaces()); n > maxTunnels+2 {
		t.Errorf("%d interfaces", n)
	}
	if _, of := packet(0, "a", 1<<31, header.TypeTEB, inner); of.Name != "a other tunnels" {
		t.Errorf("one more tunnel is %q", of.Name)
	}
}

// TestDecapWritten compares testdata/decap.pcapng, which the older reader reads as
// well, with what is written.
func TestDecapWritten(t *testing.T) {
	var packets []capture.Packet
	for i, c := range decapCases() {
		c.p.Time, c.p.Direction = 1795317601_123456789+int64(i), capture.DirectionIn
		packets = append(packets, c.p)
	}
	got := decapsulate(t, capture.Interface{Name: "eth1", LinkType: ethernet, SnapLen: 262144, Nanoseconds: true}, 3, packets)
	const path = "testdata/decap.pcapng"
	if *updateDecap {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is different; go test -update-decap writes it anew", path)
	}
	if out, err := exec.Command("capinfos", path).CombinedOutput(); err != nil ||
		!strings.Contains(string(out), "Name = eth1 gre 0x2a") || !strings.Contains(string(out), "Raw IP") {
		t.Errorf("capinfos: %v\n%s", err, out)
	}
}

// TestComment checks comments of all lengths, that of the longest option among them.
func TestComment(t *testing.T) {
	if _, err := exec.LookPath("tshark"); err != nil {
		t.Skip("needs tshark: run make setup")
	}
	var b bytes.Buffer
	f, err := NewPcapng(&b, PcapngOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.AddInterface(capture.Interface{LinkType: ethernet}); err != nil {
		t.Fatal(err)
	}
	lengths := []int{0, 1, 2, 3, 4, 5, 65535, 70000}
	for _, n := range lengths {
		for _, direction := range []capture.Direction{capture.DirectionUnknown, capture.DirectionIn} {
			if err := f.Packet(&capture.Packet{Data: make([]byte, 15), Direction: direction, Comment: bytes.Repeat([]byte("c"), n)}, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	got := tsharkFields(t, b.Bytes(), []string{"frame.comment", "frame.packet_flags_direction"})
	if len(got) != 2*len(lengths) {
		t.Fatalf("%d packets", len(got))
	}
	for i, p := range got {
		want := strings.Repeat("c", min(lengths[i/2], 65535))
		if strings.Join(p["frame.comment"], "") != want || (len(p["frame.packet_flags_direction"]) > 0) != (i%2 == 1) {
			t.Errorf("comment of %d bytes, packet %d: tshark has %.100q", len(want), i, p)
		}
	}
}

// FuzzDecap checks that what comes out is part of the packet.
func FuzzDecap(f *testing.F) {
	for link, packets := range jsonCorpus(f) {
		for i := 0; i < len(packets); i += 11 {
			f.Add(uint32(link), packets[i].Data, packets[i].Len)
		}
	}
	for _, c := range decapCases() {
		f.Add(ethernet, c.p.Data, c.p.Len)
	}
	d, a := NewDecap(nil, header.MaxDepth), NewAnnotator(nil, header.MaxDepth)
	f.Fuzz(func(t *testing.T, link uint32, data []byte, length int) {
		if length < 0 || length > 1<<30 {
			return
		}
		in := capture.Interface{Name: "x", LinkType: link}
		p := capture.Packet{Len: length, Data: data}
		got := d.Packet(&p, &in)
		if !bytes.Contains(data, got.Data) || got.Len < 0 || got.Interface >= len(d.Interfaces()) || len(d.Interfaces()) > maxTunnels+3 {
			t.Errorf("%d bytes of %d on interface %d of %d", len(got.Data), got.Len, got.Interface, len(d.Interfaces()))
		}
		a.Append(nil, header.LinkType(link), data)
	})
}

func TestDecapAllocates(t *testing.T) {
	p := decapCases()[1].p
	in := capture.Interface{Name: "eth1", LinkType: ethernet}
	d, a := NewDecap(nil, 0), NewAnnotator(nil, 0)
	b := make([]byte, 0, 100)
	work := func() {
		b = a.Append(b[:0], header.LinkEthernet, p.Data)
		d.Packet(&p, &in)
	}
	work()
	if n := testing.AllocsPerRun(100, work); n != 0 {
		t.Errorf("%v allocations a packet", n)
	}
}
