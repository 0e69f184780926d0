// Command gen writes the captures in testdata. It always writes the same bytes:
//
//	go run ./testdata/gen
//
// The files are written with gopacket, and not with tundump's own writers,
// so that they say nothing wrong about these.
package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

func main() {
	dir := "testdata"
	if len(os.Args) == 2 {
		dir = os.Args[1]
	}
	for _, f := range files() {
		if err := f.write(dir); err != nil {
			fmt.Fprintln(os.Stderr, "gen:", err)
			os.Exit(1)
		}
	}
}

// file is a capture; a pcapng file if its name says so.
type file struct {
	name     string
	linkType layers.LinkType
	packets  []packet
}

// packet is a packet as a capture has it.
type packet struct {
	data []byte
	len  int // on the wire, if there was more than data
	// Only for pcapng.
	in        int
	direction pcapgo.NgEpbFlag
}

func files() []file {
	return []file{
		{"plain.pcap", layers.LinkTypeEthernet, plain()},
		{"gre.pcap", layers.LinkTypeEthernet, greTunnels()},
		{"vxlan.pcap", layers.LinkTypeEthernet, vxlanTunnels()},
		{"geneve.pcap", layers.LinkTypeEthernet, geneveTunnels()},
		{"ipip.pcap", layers.LinkTypeEthernet, ipipTunnels()},
		{"vlan.pcap", layers.LinkTypeEthernet, vlanTunnels()},
		{"erspan.pcap", layers.LinkTypeEthernet, erspanTunnels()},
		{"short.pcap", layers.LinkTypeEthernet, short()},
		{"mixed.pcapng", 0, mixed()},
		{"sll.pcap", layers.LinkTypeLinuxSLL, cooked(sll)},
		{"sll2.pcap", layers.LinkTypeLinuxSLL2, cooked(sll2)},
		{"raw.pcap", layers.LinkTypeRaw, cooked(raw)},
		{"dns.pcap", layers.LinkTypeEthernet, dnsPackets()},
		{"dhcp.pcap", layers.LinkTypeEthernet, dhcpPackets()},
		{"ppp.pcap", layers.LinkTypePPP, pppPackets()},
		{"pppoe.pcap", layers.LinkTypeEthernet, pppoePackets()},
		{"mpls.pcap", layers.LinkTypeEthernet, mplsPackets()},
		{"control.pcap", layers.LinkTypeEthernet, control()},
		{"services.pcap", layers.LinkTypeEthernet, services()},
		{"headings.pcap", layers.LinkTypeEthernet, headings()},
		{"odd.pcap", layers.LinkTypeEthernet, odd()},
		{"captures/tunnels.pcap", layers.LinkTypeEthernet, rareTunnels()},
	}
}

func (f file) write(dir string) error {
	var buf bytes.Buffer
	if err := f.encode(&buf); err != nil {
		return fmt.Errorf("%s: %w", f.name, err)
	}
	path := filepath.Join(dir, f.name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, buf.Bytes(), 0o644)
}

// begin is the time of every file's first packet; the next come a millisecond
// and a nanosecond after each other.
var begin = time.Date(2026, 1, 2, 3, 4, 5, 123456789, time.UTC)

func (f file) encode(w io.Writer) error {
	write, flush, err := f.writer(w)
	if err != nil {
		return err
	}
	for i, p := range f.packets {
		ci := gopacket.CaptureInfo{
			Timestamp:      begin.Add(time.Duration(i) * (time.Millisecond + time.Nanosecond)),
			CaptureLength:  len(p.data),
			Length:         max(p.len, len(p.data)),
			InterfaceIndex: p.in,
		}
		if err := write(ci, p); err != nil {
			return err
		}
	}
	return flush()
}

func (f file) writer(w io.Writer) (write func(gopacket.CaptureInfo, packet) error, flush func() error, err error) {
	if !strings.HasSuffix(f.name, ".pcapng") {
		pcap := pcapgo.NewWriterNanos(w)
		write = func(ci gopacket.CaptureInfo, p packet) error { return pcap.WritePacket(ci, p.data) }
		return write, func() error { return nil }, pcap.WriteFileHeader(262144, f.linkType)
	}
	ng, err := pcapgo.NewNgWriterInterface(w,
		pcapgo.NgInterface{Name: "eth1", Description: "underlay", LinkType: layers.LinkTypeEthernet, SnapLength: 262144},
		pcapgo.NgWriterOptions{SectionInfo: pcapgo.NgSectionInfo{Application: "testdata/gen"}})
	if err != nil {
		return nil, nil, err
	}
	if _, err := ng.AddInterface(pcapgo.NgInterface{Name: "tun0", LinkType: layers.LinkTypeRaw}); err != nil {
		return nil, nil, err
	}
	write = func(ci gopacket.CaptureInfo, p packet) error {
		opts := pcapgo.NgPacketOptions{}
		if p.direction != 0 {
			opts.Flags = &pcapgo.NgEpbFlags{Direction: p.direction}
		}
		return ng.WritePacketWithOptions(ci, p.data, opts)
	}
	return write, ng.Flush, nil
}
