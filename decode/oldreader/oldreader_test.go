// Package oldreader has the frozen google/gopacket read what tundump writes: a
// reader that nobody can have adapted to our files.
package oldreader

import (
	"io"
	"os"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
)

const (
	begin = 1795317601_123456789
	step  = 1_000_000_001
)

func open(t *testing.T, path string) *os.File {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// TestPcapng reads the file that decode's TestWritten proves to be what
// the writer writes.
func TestPcapng(t *testing.T) {
	r, err := pcapgo.NewNgReader(open(t, "../testdata/written.pcapng"), pcapgo.NgReaderOptions{WantMixedLinkType: true})
	if err != nil {
		t.Fatal(err)
	}
	read := func(wantTime int64, wantIn, wantLen, wantCaptured int) {
		t.Helper()
		data, ci, err := r.ReadPacketData()
		if err != nil {
			t.Fatal(err)
		}
		if ci.Timestamp.UnixNano() != wantTime || ci.InterfaceIndex != wantIn || ci.Length != wantLen || len(data) != wantCaptured {
			t.Errorf("got %+v, want time %d, interface %d, length %d of %d", ci, wantTime, wantIn, wantCaptured, wantLen)
		}
	}
	for i := range 12 {
		in, captured, ns := i%2, 60+i, int64(begin+i*step)
		if in == 1 {
			captured -= 14 // raw IP, and microseconds
			ns -= ns % 1000
		}
		length := captured
		if i >= 8 {
			length += 1000
		}
		read(ns, in, length, captured)
	}
	read(begin, 0, 1, 0)
	if _, _, err := r.ReadPacketData(); err != io.EOF {
		t.Errorf("at the end: %v", err)
	}
	if n := r.NInterfaces(); n != 2 {
		t.Fatalf("%d interfaces", n)
	}
	for i, want := range []struct {
		name              string
		received, dropped uint64
	}{{"eth1", 9, 2}, {"tun0", 6, 0}} {
		in, err := r.Interface(i)
		if err != nil {
			t.Fatal(err)
		}
		if in.Name != want.name || in.Filter != "inner host 10.5.5.5" ||
			in.Statistics.PacketsReceived != want.received || in.Statistics.PacketsDropped != want.dropped {
			t.Errorf("interface %d: %+v", i, in)
		}
	}
}

func TestPcap(t *testing.T) {
	r, err := pcapgo.NewReader(open(t, "../testdata/written.pcap"))
	if err != nil {
		t.Fatal(err)
	}
	if r.Snaplen() != 65535 || r.LinkType() != 1 {
		t.Errorf("snapshot length %d, link type %d", r.Snaplen(), r.LinkType())
	}
	var infos []gopacket.CaptureInfo
	for {
		_, ci, err := r.ReadPacketData()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		infos = append(infos, ci)
	}
	if len(infos) != 7 {
		t.Fatalf("%d packets", len(infos))
	}
	if ci := infos[4]; ci.Timestamp.UnixNano() != begin+8*step || ci.CaptureLength != 68 || ci.Length != 1068 {
		t.Errorf("got %+v", ci)
	}
}

// TestDecap reads what was taken out of tunnels: an interface for each, and comments.
func TestDecap(t *testing.T) {
	r, err := pcapgo.NewNgReader(open(t, "../testdata/decap.pcapng"), pcapgo.NgReaderOptions{WantMixedLinkType: true})
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	for {
		data, ci, err := r.ReadPacketData()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		in, err := r.Interface(ci.InterfaceIndex)
		if err != nil {
			t.Fatal(err)
		}
		counts[in.Name]++
		var first gopacket.Decoder = layers.LayerTypeEthernet
		switch in.LinkType {
		case layers.LinkTypeRaw:
			first = layers.LayerTypeIPv4
		case layers.LinkTypeEthernet:
		default:
			t.Errorf("%s has link type %v", in.Name, in.LinkType)
		}
		if len(data) > 0 && gopacket.NewPacket(data, first, gopacket.NoCopy).Layer(layers.LayerTypeIPv4) == nil && in.Name != "eth1 vxlan 42" {
			t.Errorf("a packet of %s has no IPv4 header", in.Name)
		}
	}
	if counts["eth1"] == 0 || counts["eth1 gre 0x2a"] != 4 || counts["eth1 ipip"] != 1 || len(counts) != 11 {
		t.Errorf("packets of interfaces: %v", counts)
	}
}
