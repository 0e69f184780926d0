package main

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// layer is a part of a test packet. What it says about the next one is filled in.
type layer = gopacket.SerializableLayer

func ethernet() layer {
	return &layers.Ethernet{SrcMAC: net.HardwareAddr{2, 0, 0, 0, 1, 1}, DstMAC: net.HardwareAddr{2, 0, 0, 0, 1, 2}, EthernetType: layers.EthernetTypeIPv4}
}

func ipv4(src, dst string) layer {
	return &layers.IPv4{Version: 4, TTL: 64, SrcIP: net.ParseIP(src), DstIP: net.ParseIP(dst)}
}

func arp(src, dst string) layer {
	return &layers.ARP{AddrType: layers.LinkTypeEthernet, Protocol: layers.EthernetTypeIPv4, HwAddressSize: 6, ProtAddressSize: 4, Operation: 1,
		SourceHwAddress: make([]byte, 6), SourceProtAddress: net.ParseIP(src).To4(), DstHwAddress: make([]byte, 6), DstProtAddress: net.ParseIP(dst).To4()}
}

func gre(key uint32) layer {
	return &layers.GRE{KeyPresent: true, Key: key, Protocol: layers.EthernetTypeTransparentEthernetBridging}
}

func udp(port uint16) layer { return &layers.UDP{SrcPort: 50000, DstPort: layers.UDPPort(port)} }

func tcp(port uint16) layer {
	return &layers.TCP{SrcPort: 50000, DstPort: layers.TCPPort(port), SYN: true}
}

func vxlan(vni uint32) layer { return &layers.VXLAN{ValidIDFlag: true, VNI: vni} }

func payload(b []byte) layer { return gopacket.Payload(b) }

// frame returns the bytes of a packet.
func frame(t *testing.T, ls ...layer) []byte {
	t.Helper()
	for i, l := range ls {
		if i+1 == len(ls) {
			break
		}
		switch next := ls[i+1].(type) {
		case *layers.Dot1Q, *layers.ARP:
			of := layers.EthernetTypeARP
			if _, ok := next.(*layers.Dot1Q); ok {
				of = layers.EthernetTypeDot1Q
			}
			switch l := l.(type) {
			case *layers.Ethernet:
				l.EthernetType = of
			case *layers.Dot1Q:
				l.Type = of
			}
		case *layers.IPv4:
			switch l := l.(type) {
			case *layers.Dot1Q:
				l.Type = layers.EthernetTypeIPv4
			case *layers.IPv4:
				l.Protocol = layers.IPProtocolIPv4
			}
		case *layers.IPv6:
			l.(*layers.Ethernet).EthernetType = layers.EthernetTypeIPv6
		case *layers.TCP:
			carry(l, layers.IPProtocolTCP)
		case *layers.UDP:
			carry(l, layers.IPProtocolUDP)
		case *layers.GRE:
			carry(l, layers.IPProtocolGRE)
		case *layers.ICMPv4:
			carry(l, layers.IPProtocolICMPv4)
		}
	}
	buf := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true}, ls...); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// carry says in a network header what follows it.
func carry(l layer, protocol layers.IPProtocol) {
	switch l := l.(type) {
	case *layers.IPv4:
		l.Protocol = protocol
	case *layers.IPv6:
		l.NextHeader = protocol
	}
}

// TestScopes runs the expressions that tundump is made for. Which packets each one
// selects was written down by hand.
func TestScopes(t *testing.T) {
	const a, b, c = "10.5.5.5", "192.0.2.1", "10.9.9.9"
	outer := func(ls ...layer) []byte {
		return frame(t, append([]layer{ethernet(), ipv4(b, "192.0.2.2")}, ls...)...)
	}
	packets := []struct {
		name string
		data []byte
	}{
		{"01 A plain, TCP 80", frame(t, ethernet(), ipv4(a, c), tcp(80))},
		{"02 A in VXLAN 42, TCP 80", outer(udp(4789), vxlan(42), ethernet(), ipv4(c, a), tcp(80))},
		{"03 A in VXLAN 42, TCP 81", outer(udp(4789), vxlan(42), ethernet(), ipv4(a, c), tcp(81))},
		{"04 C in VXLAN 42, TCP 80", outer(udp(4789), vxlan(42), ethernet(), ipv4(c, c), tcp(80))},
		{"05 A in GRE 0x2a, UDP 80", outer(gre(0x2a), ethernet(), ipv4(a, c), udp(80))},
		{"06 A asks by ARP in GRE 7", outer(gre(7), ethernet(), arp(a, c))},
		{"07 A in VXLAN 2 in VXLAN 1", outer(udp(4789), vxlan(1), ethernet(), ipv4("172.16.0.1", "172.16.0.2"), udp(8472), vxlan(2), ethernet(), ipv4(a, c), tcp(80))},
		{"08 A in GRE 0x2a in VXLAN 1", outer(udp(4789), vxlan(1), ethernet(), ipv4("172.16.0.1", "172.16.0.2"), gre(0x2a), ethernet(), ipv4(a, c), tcp(22))},
		{"09 A on level 1, TCP on level 2", outer(udp(4789), vxlan(1), ethernet(), ipv4(a, "172.16.0.2"), gre(0x2a), ethernet(), ipv4(c, c), tcp(80))},
		{"10 A quoted by ICMP", outer(&layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(3, 4)},
			ipv4(b, "192.0.2.2"), udp(4789), vxlan(42), ethernet(), ipv4(a, c), tcp(80))},
		{"11 A in VXLAN 42, from C's side", frame(t, ethernet(), ipv4(c, "192.0.2.2"), udp(4789), vxlan(42), ethernet(), ipv4(a, c), udp(53))},
		{"12 A in GRE behind two tags", frame(t, ethernet(), &layers.Dot1Q{VLANIdentifier: 100}, &layers.Dot1Q{VLANIdentifier: 7}, ipv4(b, "192.0.2.2"), gre(7), ethernet(), ipv4(a, c), udp(53))},
		{"13 A in IPIP", outer(ipv4(a, c), tcp(80))},
		{"14 plain ARP", frame(t, ethernet(), arp(c, b))},
	}
	file := filepath.Join(t.TempDir(), "in.pcap")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := pcapgo.NewWriterNanos(f)
	if err := w.WriteFileHeader(262144, layers.LinkTypeEthernet); err != nil {
		t.Fatal(err)
	}
	for i, p := range packets {
		// The times tell the packets apart.
		ci := gopacket.CaptureInfo{Timestamp: time.Unix(int64(i), 0), CaptureLength: len(p.data), Length: len(p.data)}
		if err := w.WritePacket(ci, p.data); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct{ expression, want string }{
		{"inner host 10.5.5.5", "02 03 05 06 07 08 09 11 12 13"},
		{"any host 10.5.5.5", "01 02 03 05 06 07 08 09 11 12 13"},
		{"outer host 10.5.5.5", "01"},
		{"host 10.5.5.5", "01"},
		{"not inner host 10.5.5.5", "01 04 10 14"},
		{"inner (host 10.5.5.5 and tcp port 80)", "02 07 13"},
		{"inner host 10.5.5.5 and inner tcp port 80", "02 07 09 13"},
		{"outer host 192.0.2.1 and inner host 10.5.5.5", "02 03 05 06 07 08 09 12 13"},
		{"outer arp", "14"},
		{"inner arp", "06"},
		{"inner 1 host 10.5.5.5", "02 03 05 06 09 11 12 13"},
		{"inner 2 host 10.5.5.5", "07 08"},
		{"inner vxlan 2 and inner 2 host 10.5.5.5", "07"},
		{"outer vxlan 1 and inner gre 0x2a", "08 09"},
		{"outer vxlan 1 and inner 2 tcp port 22", "08"},
		{"gre 0x2a and host 10.5.5.5", "05"},
		{"vxlan 42 and src host 10.5.5.5 and tcp", "03"},
		{"vxlan or gre", "02 03 04 05 06 07 08 09 11"},
		{"any tunnel", "02 03 04 05 06 07 08 09 11 12 13"},
		{"any tunnel 42", "02 03 04 05 08 09 11"},
		{"inner udp dst port 53 or inner ether host 02:00:00:00:01:01 and inner arp", "06"}, // "and" binds no tighter than "or"
		{"ipip", "13"},
		{"inner host 10.5.5.5 and less 74", "13"},
	} {
		t.Run(tt.expression, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "out.pcapng")
			if msg, err := exec.Command("tundump", "-r", file, "-w", out, tt.expression).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, msg)
			}
			want, got := []string{}, []string{}
			for _, p := range packets {
				if strings.Contains(" "+tt.want+" ", " "+p.name[:2]+" ") {
					want = append(want, p.name)
				}
			}
			for _, r := range readCapture(t, out) {
				got = append(got, packets[r.Time.Unix()].name)
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("packets (-want +got):\n%s", d)
			}
		})
	}
}
