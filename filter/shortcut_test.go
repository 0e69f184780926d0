package filter

import (
	"encoding/hex"
	"slices"
	"strings"
	"testing"

	"github.com/tundump/tundump/filter/ir"
	"github.com/tundump/tundump/testdata/random"
)

// mutant returns a packet that is nearly a likely one.
func mutant(g *random.Gen, l ir.Likely) []byte {
	data := slices.Clone(l.Data)
	for n, role := range l.Roles {
		if role == ir.Other {
			data[n] = byte(g.IntN(40)) // there are ports of tunnels among them
		}
	}
	return g.Like(data, func(n int) bool { return l.Roles[n] == ir.Free })
}

// TestShortcut compares shortcuts with the programs that they stand in front of, on packets that they
// are for, ones that are nearly such, and others. Fragments are remembered as if there were none.
func TestShortcut(t *testing.T) {
	g := random.New(77)
	any := func(ir.Block) bool { return true }
	opt := testOptions()
	opt.Origin, opt.Fragments = OriginLive, FollowTunnels
	made, sets, sure, accepted, total := 0, 0, 0, 0, 0
	for round := range random.Rounds(250) {
		text := g.Expr(1 + g.IntN(4))
		if round%4 == 0 {
			text, _ = g.Set(12)
			text = "inner " + text
		}
		p, err := Compile(text, opt)
		if err != nil {
			t.Fatalf("%s\n%v", text, err)
		}
		if p.Likely == nil {
			continue
		}
		likely := p.Likely()
		q := p.Shortcut(likely, any)
		if q == nil {
			continue
		}
		if err := q.Verify(); err != nil {
			t.Fatalf("%s\n%v\n%v", text, err, q)
		}
		if made++; slices.ContainsFunc(q.Blocks, func(b ir.Block) bool { return b.Cond == ir.In }) {
			sets++
		}
		var all, some ir.Fragments
		for n := range 300 {
			var data []byte
			switch n % 6 {
			case 0:
				data = g.Packet(4)
			case 1:
				data = g.Fragment()
			default:
				data = mutant(g, likely[g.IntN(len(likely))])
			}
			m := ir.Meta{Len: uint32(len(data))}
			want := p.MatchFragments(data, m, &all)
			got, known := q.Sure(data, m)
			if total++; known {
				sure++
			} else {
				got = p.MatchFragments(data, m, &some)
			}
			if got != want {
				t.Fatalf("%s\non %x\nthe shortcut says %v (sure: %v), MatchFragments says %v\n%v\n%v", text, data, got, known, want, p, q)
			}
			if known && want {
				accepted++
			}
		}
	}
	t.Logf("%d shortcuts, %d with sets: sure of %d of %d packets, accepted %d", made, sets, sure, total, accepted)
	if made < 100 || sets < 20 || sure < total/4 || accepted < sure/20 {
		t.Error("the test says little")
	}
}

// TestLikely has shortcuts that must be sure of all packets that they are made for.
func TestLikely(t *testing.T) {
	opt := testOptions()
	opt.Origin, opt.Fragments = OriginLive, FollowTunnels
	for _, text := range []string{
		"inner host 10.5.5.5", "inner host 2001:db8::5", "inner src net 10.0.0.0/8", "inner port 443", "inner tcp", "not inner udp",
		"inner (host 10.5.5.5 and port 80)", "inner ether host 52:54:00:00:00:01", "any host 10.5.5.5", "vxlan 7 and host 10.5.5.5",
		"inner 1 (src host 10.5.5.5 or dst net 192.168.0.0/16)", "inner tcp[tcpflags] & tcp-syn != 0", "inner 2 host 10.5.5.5",
	} {
		p, err := Compile(text, opt)
		if err != nil {
			t.Fatalf("%s\n%v", text, err)
		}
		likely := p.Likely()
		q := p.Shortcut(likely, func(ir.Block) bool { return true })
		if q == nil {
			t.Errorf("%s has no shortcut", text)
			continue
		}
		for _, l := range likely {
			m := ir.Meta{Len: uint32(len(l.Data))}
			if got, sure := q.Sure(l.Data, m); !sure || got != p.Match(l.Data, m) {
				t.Errorf("%s: the shortcut says %v (sure: %v) on %x\n%v", text, got, sure, l.Data, q)
				break
			}
		}
	}
	for _, text := range []string{"host 10.5.5.5", "tcp port 80"} { // which are short as they are
		if p, err := Compile(text, opt); err != nil || p.Likely != nil {
			t.Errorf("%s: %v, or it has likely packets", text, err)
		}
	}
}

// TestShortcutBound has expressions with more to follow than a shortcut may have: it is unsure of what is left.
func TestShortcutBound(t *testing.T) {
	opt := testOptions()
	opt.Origin, opt.Fragments = OriginLive, FollowTunnels
	for _, text := range []string{
		strings.Repeat("any host 10.5.5.5 and ", 6) + "inner port 80",
		strings.Repeat("(inner host 10.5.5.5 or port 9 or inner port 7) and ", 3) + "inner 2 port 80",
	} {
		p, err := Compile(text, opt)
		if err != nil {
			t.Fatalf("%s\n%v", text, err)
		}
		likely := p.Likely()
		q := p.Shortcut(likely, func(ir.Block) bool { return true })
		if q == nil {
			continue
		}
		if err := q.Verify(); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		left := 0
		for _, l := range likely {
			m := ir.Meta{Len: uint32(len(l.Data))}
			got, sure := q.Sure(l.Data, m)
			if !sure {
				left++
			} else if got != p.Match(l.Data, m) {
				t.Errorf("%s: the shortcut says %v on %x\n%v", text, got, l.Data, q)
			}
		}
		if left == 0 {
			t.Errorf("%s: it is sure of all", text)
		}
	}
}

// TestUnderlays has shortcuts that must be sure of each likely tunnel over IPv4 and IPv6 with each likely frame in it, also
// where no packet that they are made for is put together like that, and right on what is nearly such.
func TestUnderlays(t *testing.T) {
	const (
		ether = "020000000001020000000002"
		tcp   = "1f9001bb00000001000000005010000000000000"
		udp   = "1f90cafe00080000" + "0000000000000000"
		icmp  = "0800000000000000"
		vxlan = "d00012b500000000" + "0800000000000700"
		gnv   = "d00017c100000000" + "0000655800000700"
	)
	ip4 := func(next string) string { return "450000000000000040" + next + "00000a0505050a050506" }
	ip6 := func(next string) string {
		return "600000000000" + next + "40" + "20010db8000000000000000000000005" + "20010db8000000000000000000000006"
	}
	var frames, over4, over6, packets []string
	for _, p := range [][2]string{{"06", tcp}, {"11", udp}, {"01", icmp}} {
		over4 = append(over4, ip4(p[0])+p[1])
	}
	for _, p := range [][2]string{{"06", tcp}, {"11", udp}, {"3a", icmp}} {
		over6 = append(over6, ip6(p[0])+p[1])
	}
	for _, tag := range []string{"", "81000007"} {
		for _, p := range over4 {
			frames = append(frames, ether+tag+"0800"+p)
		}
		for _, p := range over6 {
			frames = append(frames, ether+tag+"86dd"+p)
		}
	}
	for n, ip := range []func(string) string{ip4, ip6} {
		outer := ether + []string{"0800", "86dd"}[n]
		for _, f := range frames {
			for _, tunnel := range []string{ip("11") + vxlan, ip("11") + gnv, ip("2f") + "00006558", ip("2f") + "2000655800000007"} {
				packets = append(packets, outer+tunnel+f)
			}
		}
		for _, p := range over4 {
			packets = append(packets, outer+ip("04")+p, outer+ip("2f")+"00000800"+p)
		}
		for _, p := range over6 {
			packets = append(packets, outer+ip("29")+p)
		}
	}
	g := random.New(78)
	opt := testOptions()
	opt.Origin, opt.Fragments = OriginLive, FollowTunnels
	accepted, sure, total := 0, 0, 0
	for _, text := range []string{
		"inner host 10.5.5.5", "inner host 10.5.5.7", "inner host 2001:db8::5", "inner src net 10.0.0.0/8", "inner dst port 443", "inner tcp",
		"not inner udp", "inner (dst host 10.5.5.6 and port 443)", "inner vlan 7", "inner 1 (src host 10.5.5.5 or dst net 192.168.0.0/16)", "inner 2 host 10.5.5.5",
	} {
		p, err := Compile(text, opt)
		if err != nil {
			t.Fatalf("%s\n%v", text, err)
		}
		q := p.Shortcut(p.Likely(), func(ir.Block) bool { return true })
		if q == nil {
			t.Fatalf("%s has no shortcut", text)
		}
		for _, digits := range packets {
			data, err := hex.DecodeString(digits)
			if err != nil {
				t.Fatal(err)
			}
			m := ir.Meta{Len: uint32(len(data))}
			match, known := q.Sure(data, m)
			if !known || match != p.Match(data, m) {
				t.Fatalf("%s: the shortcut says %v (sure: %v) on %x\n%v", text, match, known, data, q)
			}
			if match {
				accepted++
			}
			for range 20 {
				data := g.Like(data, func(n int) bool { return g.IntN(8) == 0 })
				m := ir.Meta{Len: uint32(len(data))}
				match, known := q.Sure(data, m)
				if total++; known {
					sure++
				}
				if known && match != p.Match(data, m) {
					t.Fatalf("%s: the shortcut says %v on %x\n%v", text, match, data, q)
				}
			}
		}
	}
	t.Logf("accepted %d of %d packets, sure of %d of %d that are nearly such", accepted, 11*len(packets), sure, total)
	if accepted < 300 || sure < total/20 || sure > total*19/20 {
		t.Error("the test says little")
	}
}
