package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gopacket/gopacket/pcapgo"

	"github.com/tundump/tundump/capture"
	"github.com/tundump/tundump/filter/header"
)

// fixed is a source of one interface.
type fixed struct{ capture.Source }

func (fixed) Interfaces() []capture.Interface {
	return []capture.Interface{{Name: "eth1", LinkType: uint32(header.LinkEthernet)}}
}

func (fixed) Stats() ([]capture.Stats, error) {
	return []capture.Stats{{Received: 7, Dropped: 3}}, nil
}

// TestDecapStats checks that a live capture's counters go to the interface that it
// captured from, though a tunnel's is the first in the file.
func TestDecapStats(t *testing.T) {
	name := filepath.Join(t.TempDir(), "out.pcapng")
	s := newSession(context.Background(), stdio{os.Stdin, os.Stdout, os.Stderr}, Options{Write: name, Decap: true, Depth: 3, Ports: header.DefaultPorts()})
	o, err := s.open(fixed{}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	data := readCapture(t, "../../testdata/gre.pcap")[0].Data
	if err := o.packet(&capture.Packet{Len: len(data), Data: data}, fixed{}.Interfaces()); err != nil {
		t.Fatal(err)
	}
	if err := o.finish(); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := pcapgo.NewNgReader(f, pcapgo.NgReaderOptions{WantMixedLinkType: true})
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, _, err = r.ReadPacketData()
	}
	if err != io.EOF || r.NInterfaces() != 2 {
		t.Fatalf("%v, %d interfaces", err, r.NInterfaces())
	}
	for i, want := range []struct {
		name     string
		received uint64
	}{{"eth1 gre", 0}, {"eth1", 7}} {
		in, err := r.Interface(i)
		if err != nil || in.Name != want.name || in.Statistics.PacketsReceived != want.received {
			t.Errorf("interface %d: %+v, %v", i, in, err)
		}
	}
}
