package ir_test

import (
	"fmt"
	"testing"

	"github.com/tundump/tundump/filter"
	"github.com/tundump/tundump/filter/header"
	"github.com/tundump/tundump/filter/ir"
	"github.com/tundump/tundump/testdata/random"
)

// TestMatcher compares a Matcher with Match on generated expressions of all productions and
// generated packets of all kinds, for all link types.
func TestMatcher(t *testing.T) {
	table := header.New(random.Ports())
	codes := map[int]int{}
	g := random.New(900)
	var near []byte
	compared, matched, known, looked := 0, 0, 0, 0
	compare := func(text string, opt filter.Options, packets [][]byte) {
		p, err := filter.Compile(text, opt)
		if err != nil {
			return // the generator makes some that say nothing of this link type
		}
		m := p.Matcher()
		j := m.Judge()
		for code, n := range m.Codes() {
			codes[code] += n
		}
		for n, data := range packets {
			meta := ir.Meta{Len: uint32(len(data) + n%3), Tag: uint32(n % 2 * 4), VLAN: uint32(n), Type: uint32(n % 5), Ifindex: uint32(n % 4)}
			want := p.Match(data, meta)
			if got := m.Match(data, &meta, nil); got != want {
				t.Fatalf("%s\non %x\nthe Matcher says %v\n%v", text, data, got, p)
			}
			if got, known := m.Ahead(data, &meta); known && got != want {
				t.Fatalf("%s\non %x\nahead, the Matcher says %v\n%v", text, data, got, p)
			}
			compared++
			if want {
				matched++
			}
			// A packet of the same kind, or nearly: another one with a bit changed.
			if near = append(near[:0], data...); len(near) > 0 {
				near[g.IntN(min(len(near), 80))] ^= 1 << g.IntN(8)
			}
			for _, data := range [][]byte{data, near, data} {
				want := p.Match(data, meta)
				if got, known := j.Ahead(data, &meta); known && got != want {
					t.Fatalf("%s\non %x\nthe Judge says %v\n%v", text, data, got, p)
				}
			}
			n, of := j.Wake()
			known, looked = known+n, looked+of
		}
	}
	for _, link := range random.Links() {
		g = random.New(900 + uint64(link))
		packets := g.Frames(link, 200)
		opt := filter.Options{LinkType: header.LinkType(link), Table: table, Depth: 3, Origin: filter.OriginFile}
		for range random.Rounds(40) {
			opt.NoOptimise = g.IntN(4) == 0
			opt.Fragments = []filter.FollowFragments{filter.FollowNone, filter.FollowTunnels, filter.FollowAll}[g.IntN(3)]
			compare(g.Language(link, 1+g.IntN(7)), opt, packets)
		}
	}
	g = random.New(901)
	g.Tunnels = true
	var packets [][]byte
	for range 150 {
		packets = append(packets, g.Packet(3))
		packets = append(packets, random.Cuts(g.Packet(3))...)
	}
	opt := filter.Options{LinkType: header.LinkEthernet, Table: table, Depth: 3, Origin: filter.OriginLive, Sets: filter.NewSets(nil)}
	for n := range random.Rounds(40) {
		text := g.Expr(1 + n%6)
		if n%3 == 0 {
			text, _ = g.Set(4)
		}
		if n%4 == 0 {
			text = fmt.Sprintf("%s and (ifname 3 or inbound or less %d)", text, 60+n)
		}
		opt.Fragments = []filter.FollowFragments{filter.FollowNone, filter.FollowTunnels, filter.FollowAll}[n%3]
		compare(text, opt, packets)
	}
	for code := range (&ir.Matcher{}).Codes() {
		if codes[code] == 0 && code != ir.CodeRegisters {
			t.Errorf("no operation of the kind %d was made", code)
		}
	}
	if matched < compared/20 || matched > compared*19/20 {
		t.Errorf("%d of %d matched: the test says little", matched, compared)
	}
	if known < looked/3 || known == looked {
		t.Errorf("%d of %d packets were of a kind that the Judge knew: the test says little", known, looked)
	}
	t.Logf("%d comparisons, %d matches, operations %v, %d of %d of a known kind", compared, matched, codes, known, looked)
}

// TestMatcherFragments compares what is remembered of fragments: where Ahead knows the answer,
// nothing is asked when the packet's turn comes.
func TestMatcherFragments(t *testing.T) {
	g := random.New(902)
	ahead, later, accepted := 0, 0, 0
	for _, text := range []string{"inner host 10.0.0.1", "inner port 53", "gre or vxlan", "any (udp and not port 53)", "tcp port 80 or inner 2 tcp", "not inner host 10.0.0.2", "udp"} {
		p, err := filter.Compile(text, filter.Options{
			LinkType: header.LinkEthernet, Table: header.New(random.Ports()), Depth: 3, Origin: filter.OriginFile, Fragments: filter.FollowAll,
		})
		if err != nil {
			t.Fatal(err)
		}
		m := p.Matcher()
		j := m.Judge()
		var slow, fast ir.Fragments
		for range random.Rounds(4000) {
			data := g.Fragment()
			if g.IntN(3) == 0 {
				data = data[:g.IntN(len(data)+1)]
			}
			meta := ir.Meta{Len: uint32(len(data))}
			want := p.MatchFragments(data, meta, &slow)
			got, known := m.Ahead(data, &meta)
			if also, same := j.Ahead(data, &meta); also != got || same != known {
				t.Fatalf("%s\non %x\nthe Judge says %v, %v and the Matcher %v, %v\n%v", text, data, also, same, got, known, p)
			}
			j.Wake()
			if known {
				ahead++
			} else {
				later++
				got = m.Match(data, &meta, &fast)
			}
			if got != want || slow.Late() != fast.Late() {
				t.Fatalf("%s\non %x\nit is %v and %d were late, want %v and %d\n%v", text, data, got, fast.Late(), want, slow.Late(), p)
			}
			if got && !known {
				accepted++
			}
		}
	}
	if ahead == 0 || later == 0 || accepted == 0 {
		t.Errorf("%d ahead, %d later, of which %d accepted: the test says little", ahead, later, accepted)
	}
	t.Logf("%d ahead, %d later, of which %d accepted", ahead, later, accepted)
}

func TestMatcherAllocations(t *testing.T) {
	p, err := filter.Compile("inner host 10.0.0.1", filter.Options{LinkType: header.LinkEthernet, Table: header.New(random.Ports()), Depth: 3})
	if err != nil {
		t.Fatal(err)
	}
	m, data, meta := p.Matcher(), random.New(903).Packet(3), ir.Meta{Len: 100}
	var f ir.Fragments
	j := m.Judge()
	if n := testing.AllocsPerRun(100, func() { m.Match(data, &meta, &f); m.Ahead(data, &meta); j.Ahead(data, &meta) }); n != 0 {
		t.Errorf("%v allocations for a packet", n)
	}
}

func BenchmarkMatcher(b *testing.B) {
	p, err := filter.Compile("inner host 10.5.5.5", filter.Options{
		LinkType: header.LinkEthernet, Table: header.New(random.Ports()), Depth: 3, Fragments: filter.FollowTunnels,
	})
	if err != nil {
		b.Fatal(err)
	}
	m := p.Matcher()
	gre := []byte{2, 0, 0, 0, 9, 9, 2, 0, 0, 0, 9, 8, 8, 0,
		0x45, 0, 0, 100, 0, 0, 0x40, 0, 64, 47, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2,
		0x20, 0, 8, 0, 0, 0, 0, 42,
		0x45, 0, 0, 72, 0, 0, 0x40, 0, 64, 6, 0, 0, 10, 5, 5, 6, 10, 5, 5, 1}
	gre = append(gre, make([]byte, 60)...)
	meta := ir.Meta{Len: uint32(len(gre))}
	b.Run("Prog", func(b *testing.B) {
		for b.Loop() {
			p.Match(gre, meta)
		}
	})
	b.Run("Matcher", func(b *testing.B) {
		for b.Loop() {
			m.Ahead(gre, &meta)
		}
	})
	j := m.Judge()
	b.Run("Judge", func(b *testing.B) {
		for b.Loop() {
			j.Ahead(gre, &meta)
		}
	})
	b.Run("making it", func(b *testing.B) {
		for b.Loop() {
			p.Matcher()
		}
	})
}
