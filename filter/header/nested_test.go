package header_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os/exec"
	"slices"
	"testing"

	"github.com/gopacket/gopacket/layers"

	"github.com/tundump/tundump/filter"
	"github.com/tundump/tundump/filter/header"
	"github.com/tundump/tundump/filter/ir"
	"github.com/tundump/tundump/testdata/oracle"
)

// nest makes packets of tunnels in tunnels, whole and with the right lengths, and notes what
// it has made.
type nest struct {
	*rand.Rand
	tunnels   []string // from the outside in
	addresses []string // source > destination of each IP header, likewise
}

func be(size int, v uint64) []byte { return binary.BigEndian.AppendUint64(nil, v)[8-size:] }

// ip makes the packet of a level whose number is also in its addresses.
func (n *nest) ip(level int, protocol byte, payload []byte) (p []byte, typ uint64) {
	if n.IntN(3) == 0 {
		src, dst := netip.MustParseAddr(fmt.Sprintf("2001:db8:a%d::%d", level, 1+n.IntN(2))), netip.MustParseAddr(fmt.Sprintf("2001:db8:a%d::9", level))
		n.addresses = append(n.addresses, src.String()+" > "+dst.String())
		return cat(be(4, 0x60000000), be(2, uint64(len(payload))), []byte{protocol, 64}, src.AsSlice(), dst.AsSlice(), payload), header.TypeIP6
	}
	src, dst := netip.MustParseAddr(fmt.Sprintf("10.%d.0.%d", level, 1+n.IntN(2))), netip.MustParseAddr(fmt.Sprintf("10.%d.0.9", level))
	n.addresses = append(n.addresses, src.String()+" > "+dst.String())
	options := 4 * n.IntN(3)
	return cat([]byte{0x45 + byte(options/4), 0}, be(2, uint64(20+options+len(payload))), []byte{0, 0, 0, 0, 64, protocol, 0, 0},
		src.AsSlice(), dst.AsSlice(), slices.Repeat([]byte{1}, options), payload), header.TypeIP
}

// frame puts Ethernet in front of a packet, and sometimes a tag.
func (n *nest) frame(p []byte, typ uint64) []byte {
	f := []byte{2, 0, 0, 0, 0, 0xb, 2, 0, 0, 0, 0, 0xa}
	if n.IntN(4) == 0 {
		f = cat(f, be(2, header.TypeVLAN), be(2, 7))
	}
	return cat(f, be(2, typ), p)
}

// level makes the IP packet of a level with so many tunnels in each other in it.
func (n *nest) level(level, tunnels int) (p []byte, typ uint64) {
	if tunnels == 0 {
		tcp := cat(be(2, 40000), be(2, 80), make([]byte, 8), []byte{0x50, 2, 0, 0, 0, 0, 0, 0})
		return n.ip(level, 6, tcp)
	}
	inside, typ := n.level(level+1, tunnels-1)
	frame := func() []byte { return n.frame(inside, typ) }
	datagram := func(port uint64, p ...[]byte) []byte {
		payload := cat(p...)
		return cat(be(2, 49152+n.Uint64N(9999)), be(2, port), be(2, uint64(8+len(payload))), be(2, 0), payload)
	}
	gre := func(flags, typ uint64, p ...[]byte) []byte {
		h := cat(be(2, flags), be(2, typ))
		for bit := uint64(0x8000); bit > 0; bit >>= 1 {
			if flags&bit != 0 {
				h = cat(h, be(4, 7))
			}
		}
		return cat(h, cat(p...))
	}
	label := be(4, 0x00065140)
	next := uint64(1)
	if typ == header.TypeIP6 {
		next = 2
	}
	all := map[string]func() (byte, []byte){
		"gre of ip": func() (byte, []byte) { return 47, gre(n.Uint64N(16)<<12&^0x4000, typ, inside) },
		"gre":       func() (byte, []byte) { return 47, gre(n.Uint64N(16)<<12&^0x4000, header.TypeTEB, frame()) },
		"gre of mpls": func() (byte, []byte) {
			return 47, gre(0x2000, header.TypeMPLS, be(4, 0x00064040), label, inside)
		},
		"erspan2": func() (byte, []byte) { return 47, gre(0x1000, header.TypeERSPAN, be(8, 0x1007_0155_00000000), frame()) },
		"erspan3": func() (byte, []byte) {
			return 47, gre(0x1000, header.TypeERSPAN3, be(8, 0x2007_0155_00000001), be(4, 0x00008000), frame())
		},
		"vxlan": func() (byte, []byte) { return 17, datagram(4789, be(8, 0x08000000_00002a00), frame()) },
		"geneve": func() (byte, []byte) {
			return 17, datagram(6081, be(8, 0x02006558_00002a00), be(8, 0x01080101_01020304), frame())
		},
		"geneve of ip": func() (byte, []byte) {
			return 17, datagram(6081, be(2, 0), be(2, typ), be(4, 0x2a00), inside)
		},
		"gpe":       func() (byte, []byte) { return 17, datagram(4790, be(8, 0x0c000003_00002a00), frame()) },
		"gpe of ip": func() (byte, []byte) { return 17, datagram(4790, be(4, 0x0c000000|next), be(4, 0x2a00), inside) },
		"gpe of nsh": func() (byte, []byte) {
			return 17, datagram(4790, be(8, 0x0c000004_00002a00), be(4, 0x0fc60100|next), be(4, 0x2aff), make([]byte, 16), inside)
		},
		"ip": func() (byte, []byte) {
			return map[uint64]byte{header.TypeIP: 4, header.TypeIP6: 41}[typ], inside
		},
		"gtp": func() (byte, []byte) {
			return 17, datagram(2152, be(2, 0x34ff), be(2, uint64(8+len(inside))), be(4, 0x42), be(4, 0x85), be(4, 0x01000900), inside)
		},
		"etherip":     func() (byte, []byte) { return 97, cat(be(2, 0x3000), frame()) },
		"mpls in ip":  func() (byte, []byte) { return 137, cat(label, inside) },
		"mpls in udp": func() (byte, []byte) { return 17, datagram(6635, be(4, 0x00064040), label, inside) },
	}
	names := make([]string, 0, len(all))
	for name := range all {
		names = append(names, name)
	}
	slices.Sort(names)
	name := names[n.IntN(len(names))]
	n.tunnels = append(n.tunnels, name)
	protocol, payload := all[name]()
	return n.ip(level, protocol, payload)
}

// TestNested puts up to four tunnels into each other, each in each, and compares the addresses
// that Walk and tshark find with those that are there; and of filters, at which levels
// they find them.
func TestNested(t *testing.T) {
	if _, err := exec.LookPath("tshark"); err != nil {
		t.Skip("tshark is not installed: apt install tshark")
	}
	const depth = 4
	table := header.New(header.DefaultPorts())
	r := rand.New(rand.NewPCG(4, 0))
	var nests []*nest
	var packets [][]byte
	pairs, places := map[string]bool{}, map[string]bool{}
	for range 3000 {
		n := &nest{Rand: r}
		p, typ := n.level(0, 1+r.IntN(depth))
		packets = append(packets, n.frame(p, typ))
		slices.Reverse(n.tunnels) // they were made from the inside out
		slices.Reverse(n.addresses)
		nests = append(nests, n)
		for i, name := range n.tunnels {
			places[fmt.Sprint(name, " at level ", i)] = true
			if i > 0 {
				pairs[n.tunnels[i-1]+" / "+name] = true
			}
		}
	}
	const kinds = 16
	if len(pairs) != kinds*kinds || len(places) != kinds*depth {
		t.Errorf("%d pairs and %d places, of %d and %d", len(pairs), len(places), kinds*kinds, kinds*depth)
	}
	theirs := tsharkAddresses(t, oracle.Write(t, layers.LinkTypeEthernet, packets, nil))
	for i, n := range nests {
		if got := addresses(t, table, packet{header.LinkEthernet, packets[i]}); !slices.Equal(got, n.addresses) {
			t.Errorf("%v: %q, want %q", n.tunnels, got, n.addresses)
		}
		if !slices.Equal(theirs[i], n.addresses) {
			t.Errorf("%v: tshark sees %q, want %q", n.tunnels, theirs[i], n.addresses)
		}
	}
	for level := range depth + 1 {
		scope := fmt.Sprintf("inner %d ", level)
		if level == 0 {
			scope = "outer "
		}
		for _, host := range []string{fmt.Sprintf("10.%d.0.1", level), fmt.Sprintf("2001:db8:a%d::2", level)} {
			prog, err := filter.Compile(scope+"src host "+host, filter.Options{LinkType: header.LinkEthernet, Table: table, Depth: depth})
			if err != nil {
				t.Fatal(err)
			}
			found := 0
			for i, n := range nests {
				want := level < len(n.addresses) && n.addresses[level][:len(host)+1] == host+" "
				if got := prog.Match(packets[i], ir.Meta{Len: uint32(len(packets[i]))}); got != want {
					t.Errorf("%s%s in %v, %q: %v", scope, host, n.tunnels, n.addresses, got)
				}
				if want {
					found++
				}
			}
			if found < 30 {
				t.Errorf("%s%s: only %d packets have it", scope, host, found)
			}
		}
	}
}
