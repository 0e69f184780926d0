package decode_test

import (
	"bytes"
	"encoding/binary"
	"flag"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/tundump/tundump/capture"
	"github.com/tundump/tundump/decode"
)

var updateWritten = flag.Bool("update-written", false, "write testdata/written.* anew")

var (
	options = decode.PcapngOptions{Application: "tundump 1", OS: "Linux 6.18", Hardware: "amd64", Filter: "inner host 10.5.5.5"}
	eth1    = capture.Interface{Name: "eth1", Description: "to the world", LinkType: 1, SnapLen: 262144, Nanoseconds: true}
	tun0    = capture.Interface{Name: "tun0", LinkType: 101, Nanoseconds: true}
	// begin is a time with different digits everywhere.
	begin = time.Date(2026, 11, 22, 3, 20, 1, 123456789, time.UTC)
)

// udp is an Ethernet frame of n bytes, at least 42, with a UDP packet for the
// discard port.
func udp(n int) []byte {
	eth := &layers.Ethernet{SrcMAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}, DstMAC: net.HardwareAddr{2, 0, 0, 0, 0, 2}, EthernetType: layers.EthernetTypeIPv4}
	ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolUDP, SrcIP: net.IP{192, 0, 2, 1}, DstIP: net.IP{192, 0, 2, 2}}
	u := &layers.UDP{SrcPort: 40000, DstPort: 9}
	u.SetNetworkLayerForChecksum(ip)
	buf := gopacket.NewSerializeBuffer()
	err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true},
		eth, ip, u, gopacket.Payload(bytes.Repeat([]byte{0xa5}, n-42)))
	if err != nil {
		panic(err)
	}
	return buf.Bytes()
}

// packets are of every length modulo 4, every direction, both interfaces, cut
// and whole.
func packets() []capture.Packet {
	var ps []capture.Packet
	for i := range 12 {
		p := capture.Packet{
			Time:      begin.UnixNano() + int64(i)*1_000_000_001,
			Interface: i % 2,
			Direction: capture.Direction(i % 3),
			Data:      udp(60 + i),
		}
		if p.Interface == 1 {
			p.Data = p.Data[14:]
		}
		p.Len = len(p.Data)
		if i >= 8 {
			p.Len += 1000
		}
		ps = append(ps, p)
	}
	// No bytes at all, and a direction.
	return append(ps, capture.Packet{Time: begin.UnixNano(), Len: 1, Direction: capture.DirectionOut})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// writePcapng writes the packets, with statistics; the second interface is
// added when its first packet comes.
func writePcapng(t *testing.T, w io.Writer) {
	t.Helper()
	f, err := decode.NewPcapng(w, options)
	must(t, err)
	ins := []capture.Interface{eth1, tun0}
	ins[0].MAC, ins[0].Speed = net.HardwareAddr{2, 0, 0, 0, 0, 9}, 10_000_000_000
	ins[1].Nanoseconds = false
	added := 0
	for _, p := range packets() {
		for ; added <= p.Interface; added++ {
			must(t, f.AddInterface(ins[added]))
		}
		must(t, f.Packet(&p, &ins[p.Interface]))
	}
	must(t, f.Stats(0, capture.Stats{Received: 9, Dropped: 2}, begin, begin.Add(time.Minute)))
	must(t, f.Stats(1, capture.Stats{Received: 6}, begin, begin.Add(time.Minute)))
	must(t, f.Close())
}

// TestPcapngLikeNgWriter compares what we write with what gopacket's writer
// does, byte for byte.
func TestPcapngLikeNgWriter(t *testing.T) {
	var ours, theirs bytes.Buffer
	f, err := decode.NewPcapng(&ours, options)
	must(t, err)
	must(t, f.AddInterface(eth1))
	must(t, f.AddInterface(tun0))

	ngInterface := func(in capture.Interface) pcapgo.NgInterface {
		return pcapgo.NgInterface{Name: in.Name, Description: in.Description, LinkType: layers.LinkType(in.LinkType),
			SnapLength: in.SnapLen, Filter: options.Filter, OS: options.OS}
	}
	ng, err := pcapgo.NewNgWriterInterface(&theirs, ngInterface(eth1), pcapgo.NgWriterOptions{
		SectionInfo: pcapgo.NgSectionInfo{Application: options.Application, OS: options.OS, Hardware: options.Hardware}})
	must(t, err)
	_, err = ng.AddInterface(ngInterface(tun0))
	must(t, err)

	for _, p := range packets() {
		must(t, f.Packet(&p, nil))
		ci := gopacket.CaptureInfo{Timestamp: time.Unix(0, p.Time), CaptureLength: len(p.Data), Length: p.Len, InterfaceIndex: p.Interface}
		var opts pcapgo.NgPacketOptions
		switch p.Direction {
		case capture.DirectionIn:
			opts.Flags = &pcapgo.NgEpbFlags{Direction: pcapgo.NgEpbFlagDirectionInbound}
		case capture.DirectionOut:
			opts.Flags = &pcapgo.NgEpbFlags{Direction: pcapgo.NgEpbFlagDirectionOutbound}
		}
		must(t, ng.WritePacketWithOptions(ci, p.Data, opts))
	}
	must(t, f.Close())
	must(t, ng.Flush())
	if !bytes.Equal(ours.Bytes(), theirs.Bytes()) {
		t.Error(cmp.Diff(theirs.Bytes(), ours.Bytes()))
	}
}

// TestPcapngNothingToTell writes a file without any option that can be left out.
func TestPcapngNothingToTell(t *testing.T) {
	var ours, theirs bytes.Buffer
	f, err := decode.NewPcapng(&ours, decode.PcapngOptions{})
	must(t, err)
	must(t, f.AddInterface(capture.Interface{LinkType: 1, Nanoseconds: true}))
	must(t, f.Close())
	ng, err := pcapgo.NewNgWriterInterface(&theirs, pcapgo.NgInterface{LinkType: 1}, pcapgo.NgWriterOptions{})
	must(t, err)
	must(t, ng.Flush())
	if !bytes.Equal(ours.Bytes(), theirs.Bytes()) {
		t.Error(cmp.Diff(theirs.Bytes(), ours.Bytes()))
	}
}

// TestPcapngStats reads the statistics and everything about the interfaces
// with gopacket's reader.
func TestPcapngStats(t *testing.T) {
	var file bytes.Buffer
	writePcapng(t, &file)
	r, err := pcapgo.NewNgReader(&file, pcapgo.NgReaderOptions{WantMixedLinkType: true})
	must(t, err)
	for i, p := range packets() {
		data, ci, err := r.ReadPacketData()
		must(t, err)
		want := p.Time
		if p.Interface == 1 {
			want -= want % 1000
		}
		if !bytes.Equal(data, p.Data) || ci.Timestamp.UnixNano() != want || ci.Length != p.Len || ci.InterfaceIndex != p.Interface {
			t.Errorf("packet %d: %+v", i, ci)
		}
	}
	if _, _, err := r.ReadPacketData(); err != io.EOF {
		t.Errorf("at the end: %v", err)
	}
	for i, want := range []pcapgo.NgInterfaceStatistics{
		{StartTime: begin, EndTime: begin.Add(time.Minute), LastUpdate: begin.Add(time.Minute), PacketsReceived: 9, PacketsDropped: 2},
		{StartTime: begin.Truncate(time.Microsecond), EndTime: begin.Add(time.Minute).Truncate(time.Microsecond),
			LastUpdate: begin.Add(time.Minute).Truncate(time.Microsecond), PacketsReceived: 6},
	} {
		in, err := r.Interface(i)
		must(t, err)
		got := in.Statistics
		want.Comment = got.Comment
		if !got.StartTime.Equal(want.StartTime) || !got.EndTime.Equal(want.EndTime) || !got.LastUpdate.Equal(want.LastUpdate) ||
			got.PacketsReceived != want.PacketsReceived || got.PacketsDropped != want.PacketsDropped {
			t.Errorf("interface %d: %+v, want %+v", i, got, want)
		}
	}
}

// TestPcapngStatsBlock has the bytes of a statistics block, for what no
// reader here shows.
func TestPcapngStatsBlock(t *testing.T) {
	var file bytes.Buffer
	f, err := decode.NewPcapng(&file, decode.PcapngOptions{})
	must(t, err)
	must(t, f.AddInterface(capture.Interface{LinkType: 1}))
	must(t, f.Flush())
	file.Reset()
	// More drops than packets can be if the two are read one after the other.
	must(t, f.Stats(0, capture.Stats{Received: 1, Dropped: 2}, time.Time{}, time.UnixMicro(0x3_0000_0004)))
	must(t, f.Close())
	want := []byte{5, 0, 0, 0, 100, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0,
		3, 0, 8, 0, 3, 0, 0, 0, 4, 0, 0, 0, // isb_endtime
		4, 0, 8, 0, 1, 0, 0, 0, 0, 0, 0, 0, // isb_ifrecv
		5, 0, 8, 0, 2, 0, 0, 0, 0, 0, 0, 0, // isb_ifdrop
		6, 0, 8, 0, 1, 0, 0, 0, 0, 0, 0, 0, // isb_filteraccept
		7, 0, 8, 0, 2, 0, 0, 0, 0, 0, 0, 0, // isb_osdrop
		8, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, // isb_usrdeliv
		0, 0, 0, 0, 100, 0, 0, 0}
	if diff := cmp.Diff(want, file.Bytes()); diff != "" {
		t.Error(diff)
	}
}

// TestPcapngLongOption cuts what does not fit into an option.
func TestPcapngLongOption(t *testing.T) {
	var file bytes.Buffer
	f, err := decode.NewPcapng(&file, decode.PcapngOptions{Filter: strings.Repeat("x", 1<<17)})
	must(t, err)
	must(t, f.AddInterface(eth1))
	must(t, f.Close())
	r, err := pcapgo.NewNgReader(&file, pcapgo.NgReaderOptions{})
	must(t, err)
	in, err := r.Interface(0)
	must(t, err)
	if n := strings.Count(in.Filter, "x"); n != 65534 || in.Name != eth1.Name {
		t.Errorf("filter of %d bytes, interface %q", n, in.Name)
	}
}

// TestPcapngOdd writes what no honest source would give.
func TestPcapngOdd(t *testing.T) {
	var file bytes.Buffer
	f, err := decode.NewPcapng(&file, decode.PcapngOptions{})
	must(t, err)
	if err := f.AddInterface(capture.Interface{Name: "x", LinkType: 1 << 16}); err == nil {
		t.Error("link type 65536: no error")
	}
	// A refused interface has left nothing behind.
	must(t, f.AddInterface(eth1))
	must(t, f.Packet(&capture.Packet{Time: -1, Len: -5, Data: []byte{1, 2, 3}}, nil))
	for _, i := range []int{-1, 1} {
		if err := f.Packet(&capture.Packet{Interface: i}, nil); err == nil {
			t.Errorf("packet of interface %d: no error", i)
		}
		if err := f.Stats(i, capture.Stats{}, begin, begin); err == nil {
			t.Errorf("statistics of interface %d: no error", i)
		}
	}
	// Much larger than the buffer.
	large := bytes.Repeat([]byte{7}, 1<<20)
	must(t, f.Packet(&capture.Packet{Len: len(large), Data: large}, nil))
	must(t, f.Close())
	r, err := pcapgo.NewNgReader(&file, pcapgo.NgReaderOptions{})
	must(t, err)
	data, ci, err := r.ReadPacketData()
	must(t, err)
	if ci.Timestamp.UnixNano() != 0 || ci.Length != 3 || len(data) != 3 {
		t.Errorf("got %+v", ci)
	}
	if data, _, err := r.ReadPacketData(); err != nil || !bytes.Equal(data, large) {
		t.Errorf("large packet: %d bytes, %v", len(data), err)
	}
}

// TestPcapngPadding writes where the buffer has held something else.
func TestPcapngPadding(t *testing.T) {
	var file bytes.Buffer
	f, err := decode.NewPcapng(&file, decode.PcapngOptions{})
	must(t, err)
	must(t, f.AddInterface(eth1))
	must(t, f.Packet(&capture.Packet{Data: bytes.Repeat([]byte{0xff}, 1000)}, nil))
	must(t, f.Flush())
	file.Reset()
	must(t, f.Packet(&capture.Packet{Data: []byte{1}, Direction: capture.DirectionIn}, nil))
	must(t, f.Close())
	want := []byte{6, 0, 0, 0, 48, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0,
		1, 0, 0, 0, 2, 0, 4, 0, 1, 0, 0, 0, 0, 0, 0, 0, 48, 0, 0, 0}
	if diff := cmp.Diff(want, file.Bytes()); diff != "" {
		t.Error(diff)
	}
}

// TestPcapngCommon compares blocks without a comment, which are written by a shorter way, with those
// that have one.
func TestPcapngCommon(t *testing.T) {
	var file bytes.Buffer
	f, err := decode.NewPcapng(&file, decode.PcapngOptions{})
	must(t, err)
	must(t, f.AddInterface(eth1))
	must(t, f.AddInterface(capture.Interface{LinkType: 1})) // of microseconds
	written := func(p capture.Packet) []byte {
		must(t, f.Flush())
		file.Reset()
		must(t, f.Packet(&p, nil))
		must(t, f.Flush())
		return bytes.Clone(file.Bytes())
	}
	r := rand.New(rand.NewPCG(1, 1))
	for n := range 2000 {
		p := capture.Packet{
			Time: r.Int64() >> r.IntN(64), Interface: n % 2, Direction: capture.DirectionIn,
			Len: r.IntN(200), Data: bytes.Repeat([]byte{0xff}, r.IntN(100)),
		}
		if r.IntN(2) == 0 {
			p.Time = -p.Time
		}
		if r.IntN(2) == 0 {
			p.Direction = capture.DirectionOut
		}
		got := written(p)
		p.Comment = []byte("text")
		want := written(p)
		at := 28 + (len(p.Data)+3)&^3
		want = slices.Delete(want, at, at+8)
		binary.LittleEndian.PutUint32(want[4:], uint32(len(want)))
		binary.LittleEndian.PutUint32(want[len(want)-4:], uint32(len(want)))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%+v: %s", p, diff)
		}
	}
}

// TestWritten compares the writers' output with files that other readers have
// been seen to read, here and in oldreader.
func TestWritten(t *testing.T) {
	for name, write := range map[string]func(*testing.T, io.Writer){
		"written.pcapng": writePcapng,
		"written.pcap":   func(t *testing.T, w io.Writer) { writePcap(t, w, true) },
	} {
		var file bytes.Buffer
		write(t, &file)
		path := filepath.Join("testdata", name)
		if *updateWritten {
			must(t, os.WriteFile(path, file.Bytes(), 0o644))
		}
		want, err := os.ReadFile(path)
		must(t, err)
		if !bytes.Equal(file.Bytes(), want) {
			t.Errorf("%s is different; go test -update-written writes it anew", path)
		}
	}
}

// run runs another program that reads a file, and fails if it complains.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed: apt install tshark tcpdump", name)
	}
	cmd := exec.Command(path, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, stderr.String())
	}
	return stdout.String()
}

func TestPcapngTshark(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.pcapng")
	w, err := os.Create(path)
	must(t, err)
	writePcapng(t, w)
	must(t, w.Close()) // Close of the writer has left it open
	got := run(t, "tshark", "-r", path, "-T", "fields", "-e", "frame.time_epoch", "-e", "frame.interface_name",
		"-e", "frame.interface_description", "-e", "frame.packet_flags_direction", "-e", "frame.len", "-e", "frame.cap_len", "-e", "udp.dstport")
	want := strings.ReplaceAll(strings.TrimPrefix(`
1795317601.123456789|eth1|to the world||60|60|9
1795317602.123456000|tun0||0x00000001|47|47|9
1795317603.123456791|eth1|to the world|0x00000002|62|62|9
1795317604.123456000|tun0|||49|49|9
1795317605.123456793|eth1|to the world|0x00000001|64|64|9
1795317606.123456000|tun0||0x00000002|51|51|9
1795317607.123456795|eth1|to the world||66|66|9
1795317608.123456000|tun0||0x00000001|53|53|9
1795317609.123456797|eth1|to the world|0x00000002|1068|68|9
1795317610.123456000|tun0|||1055|55|9
1795317611.123456799|eth1|to the world|0x00000001|1070|70|9
1795317612.123456000|tun0||0x00000002|1057|57|9
1795317601.123456789|eth1|to the world|0x00000002|1|0|
`, "\n"), "|", "\t")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestPcapngCapinfos(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.pcapng")
	w, err := os.Create(path)
	must(t, err)
	writePcapng(t, w)
	must(t, w.Close())
	got := run(t, "capinfos", "-M", path)
	for _, want := range []string{
		"Number of interfaces in file: 2",
		"Capture hardware:    amd64",
		"Capture oper-sys:    Linux 6.18",
		"Capture application: tundump 1",
		"Name = eth1", "Name = tun0",
		"Description = to the world",
		"Filter string = inner host 10.5.5.5",
		"Operating system = Linux 6.18",
		"Capture length = 262144",
		"Speed = 10000000000",
		"Time precision = nanoseconds (9)",
		"Time precision = microseconds (6)",
		"Number of stat entries = 1",
		"Number of packets = 7", "Number of packets = 6",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("capinfos does not say %q", want)
		}
	}
	if t.Failed() {
		t.Log(got)
	}
}

// TestPcapngTcpdump reads with libpcap, which refuses several link types in one file.
func TestPcapngTcpdump(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.pcapng")
	w, err := os.Create(path)
	must(t, err)
	f, err := decode.NewPcapng(w, options)
	must(t, err)
	must(t, f.AddInterface(eth1))
	for _, p := range packets()[:12] {
		if p.Interface == 0 {
			must(t, f.Packet(&p, &eth1))
		}
	}
	must(t, f.Stats(0, capture.Stats{Received: 6}, begin, begin))
	must(t, f.Close())
	must(t, w.Close())
	got := run(t, "tcpdump", "--nano", "-ttnr", path)
	want := `1795317601.123456789 IP 192.0.2.1.40000 > 192.0.2.2.9: UDP, length 18
1795317603.123456791 IP 192.0.2.1.40000 > 192.0.2.2.9: UDP, length 20
`
	if !strings.HasPrefix(got, want) || strings.Count(got, "\n") != 6 {
		t.Error(got)
	}
}

func TestPacketAllocates(t *testing.T) {
	ng, err := decode.NewPcapng(io.Discard, options)
	must(t, err)
	must(t, ng.AddInterface(eth1))
	pcap, err := decode.NewPcap(io.Discard, 1, 0, true)
	must(t, err)
	p := capture.Packet{Time: begin.UnixNano(), Len: 1400, Direction: capture.DirectionIn, Data: make([]byte, 1400)}
	for name, sink := range map[string]decode.Sink{"pcapng": ng, "pcap": pcap} {
		// The first packet allocates the buffer.
		must(t, sink.Packet(&p, &eth1))
		if n := testing.AllocsPerRun(1000, func() {
			if err := sink.Packet(&p, &eth1); err != nil {
				t.Error(err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations per packet", name, n)
		}
	}
}

func BenchmarkPcapng(b *testing.B) {
	p := capture.Packet{Time: begin.UnixNano(), Len: 60, Direction: capture.DirectionIn, Data: make([]byte, 60)}
	f, err := decode.NewPcapng(io.Discard, options)
	if err == nil {
		err = f.AddInterface(eth1)
	}
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := f.Packet(&p, &eth1); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkNgWriter(b *testing.B) {
	p := make([]byte, 60)
	f, err := pcapgo.NewNgWriter(io.Discard, 1)
	if err != nil {
		b.Fatal(err)
	}
	ci := gopacket.CaptureInfo{Timestamp: begin, CaptureLength: 60, Length: 60}
	opts := pcapgo.NgPacketOptions{Flags: &pcapgo.NgEpbFlags{Direction: pcapgo.NgEpbFlagDirectionInbound}}
	b.ReportAllocs()
	for b.Loop() {
		if err := f.WritePacketWithOptions(ci, p, opts); err != nil {
			b.Fatal(err)
		}
	}
}
