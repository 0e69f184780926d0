package filter

import (
	"slices"
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
		q := p.Shortcut(likely, 120, any)
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
		q := p.Shortcut(likely, 120, func(ir.Block) bool { return true })
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
