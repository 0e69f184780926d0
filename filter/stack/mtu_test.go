package stack_test

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/tundump/tundump/filter/header"
	"github.com/tundump/tundump/filter/stack"
	"github.com/tundump/tundump/testdata/random"
)

// cost parses a stack and returns what it costs.
func cost(t *testing.T, text string, underlay int) *stack.Cost {
	t.Helper()
	s, err := stack.Parse(header.New(random.Ports()), text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	c, err := s.Cost(underlay)
	if err != nil {
		t.Fatalf("%s on %d: %v", text, underlay, err)
	}
	return c
}

func TestCost(t *testing.T) {
	for _, c := range []struct {
		stack                            string
		underlay, overhead, mtu, ip, ip6 int
		parts                            string
	}{
		{"ip/gre,key/ether", 1500, 42, 1458, 1418, 1398, "ip 20, gre 4, key 4, ether 14"},
		{"ip/udp/vxlan/ether", 1500, 50, 1450, 1410, 1390, "ip 20, udp 8, vxlan 8, ether 14"},
		{"ip/udp/vxlan/ether", 9001, 50, 8951, 8911, 8891, "ip 20, udp 8, vxlan 8, ether 14"},
		{"ip6/udp/vxlan/ether", 1500, 70, 1430, 1390, 1370, "ip6 40, udp 8, vxlan 8, ether 14"},
		{"ip/udp/vxlan/ether/vlan/vlan", 1500, 58, 1442, 1402, 1382, "ip 20, udp 8, vxlan 8, ether 14, vlan 4, vlan 4"},
		{"ip/gre/ip", 1500, 24, 1476, 1436, 1416, "ip 20, gre 4"},
		{"ip/gre,csum,key,seq/ether", 1500, 50, 1450, 1410, 1390, "ip 20, gre 4, csum 4, key 4, seq 4, ether 14"},
		{"ip6,ext=8/gre,key/ether", 1500, 70, 1430, 1390, 1370, "ip6 40, extensions 8, gre 4, key 4, ether 14"},
		{"ip,ihl=6/gre/ip6", 1500, 28, 1472, 1432, 1412, "ip 20, options 4, gre 4"},
		{"ip/udp/geneve/ether", 1500, 50, 1450, 1410, 1390, "ip 20, udp 8, geneve 8, ether 14"},
		{"ip/udp/geneve,opts=8/ip", 1500, 44, 1456, 1416, 1396, "ip 20, udp 8, geneve 8, options 8"},
		{"ip/ip", 1500, 20, 1480, 1440, 1420, "ip 20"},
		{"ip6,ext=8/ip6", 1500, 48, 1452, 1412, 1392, "ip6 40, extensions 8"},
		{"ip/ip6", 1300, 20, 1280, 1240, 1220, "ip 20"},
		{"ip/ip", 1299, 20, 1279, 1239, 0, "ip 20"}, // too little for IPv6
		{"ip/gre,seq/erspan2/ether", 1500, 50, 1450, 1410, 1390, "ip 20, gre 4, seq 4, erspan2 8, ether 14"},
		{"ip/gre/erspan1/ether", 1500, 38, 1462, 1422, 1402, "ip 20, gre 4, ether 14"},
		{"ip/udp/vxlan/ether/ip/gre/ip", 1500, 74, 1426, 1386, 1366, "ip 20, udp 8, vxlan 8, ether 14, ip 20, gre 4"},
		// Neither what is in front of the outer network header counts nor what is behind the inner one's start.
		{"ether/vlan/ip/gre,key/ether/vlan/ip/tcp", 1500, 46, 1454, 1414, 1394, "ip 20, gre 4, key 4, ether 14, vlan 4"},
		{"ip/gre,key/ether/arp", 1500, 42, 1458, 1418, 1398, "ip 20, gre 4, key 4, ether 14"},
		{"ip/ip", 88, 20, 68, 28, 0, "ip 20"},
		// The other tunnels, by their RFCs: 3032 and 4023, 4448, 7510, 8300, 3378, 3931, 2637 with 1662, 4380, 2516;
		// 3GPP TS 29.281; the drafts of VXLAN-GPE, ERSPAN, WCCP and GUE; IEEE 802.1ah.
		{"ip/mpls/mpls/ip", 1500, 28, 1472, 1432, 1412, "ip 20, mpls 4, mpls 4"},
		{"ip/udp/mpls/ip", 1500, 32, 1468, 1428, 1408, "ip 20, udp 8, mpls 4"},
		{"ip/gre/mpls/pw/ether", 1500, 46, 1454, 1414, 1394, "ip 20, gre 4, mpls 4, pw 4, ether 14"},
		{"vlan/mpls/mpls/pw/ether/ip", 1500, 26, 1474, 1434, 1414, "mpls 4, mpls 4, pw 4, ether 14"},
		{"mpls/ether", 1500, 18, 1482, 1442, 1422, "mpls 4, ether 14"},
		{"vlan/pbb/ether", 1500, 18, 1482, 1442, 1422, "pbb 4, ether 14"},
		{"nsh,context=16/ether/ip", 1500, 38, 1462, 1422, 1402, "nsh 8, options 16, ether 14"},
		{"ip/udp/gpe/nsh,context=16/ip", 1500, 60, 1440, 1400, 1380, "ip 20, udp 8, gpe 8, nsh 8, options 16"},
		{"ip/udp/gpe/ip", 1500, 36, 1464, 1424, 1404, "ip 20, udp 8, gpe 8"},
		{"ip/udp/gtp/ip", 1500, 36, 1464, 1424, 1404, "ip 20, udp 8, gtp 8"},
		{"ip/udp/gtp,ext=4/ip", 1500, 44, 1456, 1416, 1396, "ip 20, udp 8, gtp 8, optional 4, extensions 4"}, // 5G's PDU session container
		{"ip6/udp/gtp,seq/ip", 1500, 60, 1440, 1400, 1380, "ip6 40, udp 8, gtp 8, optional 4"},
		{"ip/gre,seq/erspan3/ether", 1500, 54, 1446, 1406, 1386, "ip 20, gre 4, seq 4, erspan3 12, ether 14"},
		{"ip/gre,seq/erspan3,platform/ether", 1500, 62, 1438, 1398, 1378, "ip 20, gre 4, seq 4, erspan3 12, platform 8, ether 14"},
		{"ip/gre/wccp/ip", 1500, 28, 1472, 1432, 1412, "ip 20, gre 4, wccp 4"},
		{"ip/etherip/ether", 1500, 36, 1464, 1424, 1404, "ip 20, etherip 2, ether 14"},
		{"ip/l2tp/l2spec/ether", 1500, 42, 1458, 1418, 1398, "ip 20, l2tp 4, l2spec 4, ether 14"},
		{"ip/pptp,seq,ack/hdlc/ppp/ip", 1500, 40, 1460, 1420, 1400, "ip 20, pptp 8, seq 4, ack 4, hdlc 2, ppp 2"},
		{"ip/udp/teredo/ip6", 1500, 28, 1472, 1432, 1412, "ip 20, udp 8"},
		{"ip/udp/teredo/origin/ip6", 1500, 36, 1464, 1424, 1404, "ip 20, udp 8, origin 8"},
		{"ip/udp/gue,opts=8/ip6", 1500, 40, 1460, 1420, 1400, "ip 20, udp 8, gue 4, options 8"},
		{"ip/udp/gre,key/ether", 1500, 50, 1450, 1410, 1390, "ip 20, udp 8, gre 4, key 4, ether 14"},
		{"vlan/pppoe/ip/gre/ip", 1500, 32, 1468, 1428, 1408, "pppoe 8, ip 20, gre 4"},
		{"ip/ip", 65535, 20, 65515, 65475, 65455, "ip 20"},
	} {
		got := cost(t, c.stack, c.underlay)
		var parts []string
		for _, p := range got.Parts {
			parts = append(parts, fmt.Sprintf("%s %d", p.Name, p.Bytes))
		}
		if text := strings.Join(parts, ", "); text != c.parts {
			t.Errorf("%s: parts %q, want %q", c.stack, text, c.parts)
		}
		ip, ip6 := got.MSS()
		if got.Overhead != c.overhead || got.Inner != c.mtu || ip != c.ip || ip6 != c.ip6 || got.Underlay != c.underlay {
			t.Errorf("%s on %d: overhead %d, inner MTU %d, MSS %d and %d, want %d, %d, %d and %d",
				c.stack, c.underlay, got.Overhead, got.Inner, ip, ip6, c.overhead, c.mtu, c.ip, c.ip6)
		}
	}
}

func TestCostErrors(t *testing.T) {
	for _, c := range []struct {
		stack    string
		underlay int
		err      string
	}{
		{"ip/tcp", 1500, "there is no tunnel in it, so nothing that it costs, at column 1"},
		{"ether", 1500, "there is no tunnel in it, so nothing that it costs, at column 1"},
		{"ip/gre,key", 1500, "what gre carries is missing, and it counts: ether, mpls, ip, ip6 or wccp can stand here, at column 11"},
		{"mpls/ip", 1500, "there is no tunnel in it, so nothing that it costs, at column 1"},
		{"ip/udp/teredo/origin", 1500, "what origin carries is missing, and it counts: ip6 can stand here, at column 21"},
		{"ip/udp/gpe", 1500, "what gpe carries is missing, and it counts: ether, mpls, ip or ip6 can stand here, at column 11"},
		{"pppoe/ip/ip", 75, "an underlay MTU of 75 is too small: ip needs at least 76"},
		{"pbb/ether", 85, "an underlay MTU of 85 is too small: 18 bytes of overhead and an inner packet of 68 need 86"},
		{"ip/udp/vxlan", 1500, "what vxlan carries is missing, and it counts: ether can stand here, at column 13"},
		{"ip/gre,key/ether", 109, "an underlay MTU of 109 is too small: 42 bytes of overhead and an inner packet of 68 need 110"},
		{"ip/gre,key/ether", 67, "an underlay MTU of 67 is too small: ip needs at least 68"},
		{"ip/gre,key/ether", -1, "an underlay MTU of -1 is too small: ip needs at least 68"},
		{"ip6/gre,key/ether", 1279, "an underlay MTU of 1279 is too small: ip6 needs at least 1280"},
		{"ip6,ext=1272/ip", 1280, "an underlay MTU of 1280 is too small: 1312 bytes of overhead and an inner packet of 68 need 1380"},
		{"ip/gre,key/ether", 65536, "an underlay MTU of 65536 is too large: an IP packet has at most 65535 bytes"},
	} {
		s, err := stack.Parse(header.New(random.Ports()), c.stack)
		if err != nil {
			t.Errorf("%s: %v", c.stack, err)
			continue
		}
		if _, err := s.Cost(c.underlay); err == nil || err.Error() != c.err {
			t.Errorf("%s on %d: %v\nwant %s", c.stack, c.underlay, err, c.err)
		}
	}
}

func TestPackets(t *testing.T) {
	for _, c := range []struct {
		stack           string
		underlay, inner int
		want            []int
	}{
		{"ip/gre,key/ether", 1500, 68, []int{110}},
		{"ip/gre,key/ether", 1500, 1458, []int{1500}},
		{"ip/gre,key/ether", 1500, 1459, []int{1500, 21}},
		{"ip/gre,key/ether", 1500, 1472, []int{1500, 34}},
		{"ip/gre,key/ether", 1500, 1476, []int{1500, 38}},
		{"ip/gre,key/ether", 1501, 1460, []int{1500, 22}},
		{"ip/gre,key/ether", 1499, 1458, []int{1492, 28}},
		// The last one need not be a multiple of 8.
		{"ip/gre,key/ether", 1499, 1492 - 20 + 1499 - 42, []int{1492, 1499}},
		{"ip/gre,key/ether", 1499, 1492 - 20 + 1500 - 42, []int{1492, 1492, 28}},
		{"ip/gre,key/ether", 1500, 4398, []int{1500, 1500, 1480}},
		// IPv4 options are in every fragment, what AH adds is not.
		{"ip,ihl=15/gre,key/ether", 1500, 1472, []int{60 + 1440, 60 + 1472 + 82 - 60 - 1440}},
		{"ip,ext=24/gre,key/ether", 1500, 1472, []int{1500, 58}},
		// IPv6: 8 bytes of fragment header, and the extensions, in every fragment.
		{"ip6/udp/vxlan/ether", 1500, 1430, []int{1500}},
		{"ip6/udp/vxlan/ether", 1500, 1431, []int{1496, 48 + 1501 - 40 - 1448}},
		{"ip6,ext=8/gre,key/ether", 1500, 1472, []int{56 + 1440, 56 + 1472 + 70 - 48 - 1440}},
		// What is in front of the outer IP header is in front of each fragment.
		{"pppoe/ip/gre,key/ether", 1500, 1450, []int{1500}},
		{"pppoe/ip/gre,key/ether", 1500, 1451, []int{28 + 1472, 28 + 1}},
		{"mpls/ip6/udp/vxlan/ether", 1500, 1427, []int{52 + 1448, 52 + 1427 + 30 - 1448}},
		// Without IP there are no fragments.
		{"pbb/ether", 1500, 1482, []int{1500}},
		{"pbb/ether", 1500, 1483, nil},
		// What is too long for IP.
		{"ip/ip", 1500, 65516, nil},
		{"ip6/ip6", 65535, 65535, []int{48 + 65480, 48 + 55}},
		{"ip6/udp/vxlan/ether", 1500, 65535 - 29, nil},
	} {
		if got := cost(t, c.stack, c.underlay).Packets(c.inner); !slices.Equal(got, c.want) {
			t.Errorf("%s on %d, %d inside: %v, want %v", c.stack, c.underlay, c.inner, got, c.want)
		}
	}
	if got := len(cost(t, "ip/ip", 1500).Packets(65515)); got != 45 { // 65515 / 1480, rounded up
		t.Errorf("65535 bytes make %d fragments", got)
	}
}

// randomStack returns a stack, what it costs, what of that is at least in each
// fragment, and whether its underlay is IPv6.
func randomStack(r *rand.Rand) (text string, overhead, header int, six bool) {
	option := func(word string, bytes int) string {
		if r.IntN(2) == 0 {
			return ""
		}
		overhead += bytes
		return word
	}
	network := func() {
		switch r.IntN(4) {
		case 0:
			text += "ip"
			overhead += 20
		case 1:
			n := 6 + r.IntN(10)
			text += fmt.Sprintf("ip,ihl=%d", n)
			overhead += 4 * n
		case 2:
			text += "ip6"
			overhead += 40
		case 3:
			n := 8 * (1 + r.IntN(10))
			text += fmt.Sprintf("ip6,ext=%d", n)
			overhead += 40 + n
		}
	}
	network()
	header, six = overhead, strings.HasPrefix(text, "ip6")
	if six {
		header += 8
	}
	for level := 1 + r.IntN(3); ; level-- {
		ether := true
		switch r.IntN(4) {
		case 0:
			text += "/gre"
			overhead += 4
			text += option(",csum", 4) + option(",key", 4) + option(",seq", 4)
			ether = r.IntN(2) == 0
		case 1:
			text += "/udp/vxlan"
			overhead += 16
		case 2:
			n := 4 * r.IntN(64)
			text += fmt.Sprintf("/udp/geneve,opts=%d", n)
			overhead += 16 + n
			ether = r.IntN(2) == 0
		case 3:
			ether = false
		}
		if ether {
			text += "/ether"
			overhead += 14
			text += option("/vlan", 4) + option("/qinq", 4)
		}
		if level == 1 && ether && r.IntN(2) == 0 {
			return text, overhead, header, six
		}
		text += "/"
		before := overhead
		network()
		if level == 1 {
			return text, before, header, six
		}
	}
}

// TestRandomPackets checks what must hold for any stack, underlay and inner packet.
func TestRandomPackets(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	table := header.New(random.Ports())
	var whole, fragmented, many, sixes, tooLong, tooSmall int
	for range 20000 {
		text, overhead, header, six := randomStack(r)
		s, err := stack.Parse(table, text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		underlay := 68 + r.IntN(3000)
		if r.IntN(8) == 0 {
			underlay = 68 + r.IntN(stack.MaxPacket-68+1)
		}
		least := 68
		if six {
			least = 1280
		}
		c, err := s.Cost(underlay)
		if (err != nil) != (underlay < least || underlay-overhead < 68) {
			t.Fatalf("%s on %d: %v", text, underlay, err)
		}
		if err != nil {
			tooSmall++
			continue
		}
		sum := 0
		for _, p := range c.Parts {
			sum += p.Bytes
		}
		if c.Overhead != overhead || sum != overhead || c.Inner != underlay-overhead || c.IPv6 != six {
			t.Fatalf("%s on %d: %+v, overhead should be %d", text, underlay, c, overhead)
		}
		for _, inner := range []int{c.Inner, c.Inner + 1, 68 + r.IntN(3000), 68 + r.IntN(stack.MaxPacket-68+1), stack.MaxPacket - r.IntN(300)} {
			got := c.Packets(inner)
			longest := stack.MaxPacket
			if six {
				longest += 40
			}
			switch {
			case inner <= c.Inner:
				if whole++; !slices.Equal(got, []int{inner + overhead}) {
					t.Fatalf("%s on %d, %d inside: %v", text, underlay, inner, got)
				}
				continue
			case inner+overhead > longest:
				if tooLong++; got != nil {
					t.Fatalf("%s on %d, %d inside: %v", text, underlay, inner, got)
				}
				continue
			}
			fragmented++
			if len(got) > 2 {
				many++
			}
			if six {
				sixes++
			}
			payload := inner + overhead - header
			if six {
				payload += 8 // the whole has no fragment header
			}
			for i, n := range got {
				last := i == len(got)-1
				if n > underlay || n <= header || !last && ((n-header)%8 != 0 || n+8 <= underlay) {
					t.Fatalf("%s on %d, %d inside: %v, fragment %d", text, underlay, inner, got, i)
				}
				payload -= n - header
			}
			if len(got) < 2 || payload != 0 {
				t.Fatalf("%s on %d, %d inside: %v, %d bytes are not there", text, underlay, inner, got, payload)
			}
		}
	}
	for what, n := range map[string]int{"whole": whole, "fragmented": fragmented, "more than two": many, "IPv6": sixes, "too long": tooLong, "too small": tooSmall} {
		if n < 1000 {
			t.Errorf("%s: only %d of the random packets", what, n)
		}
	}
}

// kernelPackets returns the packets of a capture of a real tunnel, with their layers.
func kernelPackets(t *testing.T, name string) (packets [][]byte, walked [][]header.Layer) {
	t.Helper()
	folder := filepath.Join("..", "..", "..", "shared", "pcaps")
	if _, err := os.Stat(folder); err != nil {
		t.Skip("there are no captures of real tunnels: put some into ../shared/pcaps, beside the repository")
	}
	f, err := os.Open(filepath.Join(folder, name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := pcapgo.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	table := header.New(random.Ports())
	for {
		data, _, err := r.ReadPacketData()
		if errors.Is(err, io.EOF) {
			return packets, walked
		}
		if err != nil {
			t.Fatal(err)
		}
		packets = append(packets, data)
		walked = append(walked, table.Walk(nil, header.LinkType(r.LinkType()), data, header.MaxDepth))
	}
}

// TestKernelOverhead compares the overhead with that of the kernel's tunnels: the
// distance of the network headers in their packets.
func TestKernelOverhead(t *testing.T) {
	for name, text := range map[string]string{
		"gretap-key.pcap":          "ip/gre,key/ether",
		"gretap-csum-key-seq.pcap": "ip/gre,csum,key,seq/ether",
		"gre-l3-key.pcap":          "ip/gre,key/ip",
		"ip6gretap-key.pcap":       "ip6,ext=8/gre,key/ether",
		"geneve.pcap":              "ip/udp/geneve/ether",
		"vxlan.pcap":               "ip/udp/vxlan/ether",
		"ipip.pcap":                "ip/ip",
		"vlan-gretap-key.pcap":     "vlan/ip/gre,key/ether",
		"erspan2.pcap":             "ip/gre,seq/erspan2/ether",
	} {
		t.Run(name, func(t *testing.T) {
			want := cost(t, text, 1500).Overhead
			tunnels := 0
			_, walked := kernelPackets(t, name)
			for n, layers := range walked {
				var networks []header.Layer
				for _, l := range layers {
					if l.Class == header.Network {
						networks = append(networks, l)
					}
				}
				if len(networks) < 2 {
					continue
				}
				tunnels++
				if got := int(networks[1].Off - networks[0].Off); got != want {
					t.Errorf("packet %d: %d bytes, %s says %d", n+1, got, text, want)
				}
			}
			if tunnels < 10 {
				t.Errorf("%d packets of the tunnel", tunnels)
			}
		})
	}
}

// TestKernelMTU compares the lengths of full packets with those that the kernel sent
// through GRETAP with a key, on an underlay with an MTU of 1500.
func TestKernelMTU(t *testing.T) {
	for _, c := range []struct {
		name    string
		inner   int
		packets []int // of a full inner packet
	}{
		{"mtu1458-ok.pcap", 1458, []int{1500}},
		{"mtu1476-frag.pcap", 1476, []int{1500, 38}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.packets, cost(t, "ip/gre,key/ether", 1500).Packets(c.inner)); diff != "" {
				t.Errorf("computed: %s", diff)
			}
			got := map[string]int{} // lengths, of all fragments of one packet
			byID := map[uint32][]int{}
			packets, walked := kernelPackets(t, c.name)
			for n, layers := range walked {
				if len(layers) < 2 || layers[1].ID != header.IP {
					continue
				}
				ip, data := layers[1], packets[n]
				length, _ := ip.Value(data, "len")
				id, _ := ip.Value(data, "id")
				offset, _ := ip.Value(data, "fragoff")
				flags, _ := ip.Value(data, "flags")
				const more = 1
				switch {
				case flags&more == 0 && offset == 0:
					if length > 1400 { // a full packet
						got[fmt.Sprint([]int{int(length)})]++
					}
				default:
					source, _ := ip.Value(data, "src")
					key := source<<16 ^ id
					if byID[key] = append(byID[key], int(length)); flags&more == 0 {
						got[fmt.Sprint(byID[key])]++
					}
				}
			}
			if want := fmt.Sprint(c.packets); got[want] < 10 {
				t.Errorf("the kernel's: %v, want many of %s", got, want)
			}
		})
	}
}
