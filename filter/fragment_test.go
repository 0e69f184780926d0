package filter

import (
	"testing"

	"github.com/tundump/tundump/filter/ir"
	"github.com/tundump/tundump/testdata/random"
)

// FuzzFragments runs two packets, one after the other, through programs that follow fragments.
// They must not panic, and accept at least what they accept without.
func FuzzFragments(f *testing.F) {
	g := random.New(41)
	for n := range 60 {
		f.Add(byte(n), g.Fragment(), g.Fragment())
	}
	type pair struct{ with, without *ir.Prog }
	var all []pair
	for _, text := range []string{"inner host 10.0.0.1", "inner port 53", "gre or vxlan", "any (udp and not port 53)", "tcp port 80 or inner 2 tcp", "not inner host 10.0.0.2"} {
		opt := testOptions()
		without, err := Compile(text, opt)
		if err != nil {
			f.Fatal(err)
		}
		opt.Fragments = FollowAll
		with, err := Compile(text, opt)
		if err != nil {
			f.Fatal(err)
		}
		all = append(all, pair{with, without})
	}
	f.Fuzz(func(t *testing.T, which byte, a, b []byte) {
		p := all[int(which)%len(all)]
		var memory ir.Fragments
		for _, data := range [][]byte{a, b, a} {
			m := ir.Meta{Len: uint32(len(data))}
			if got := p.with.MatchFragments(data, m, &memory); !got && p.without.Match(data, m) {
				t.Fatalf("%x is accepted without fragments only", data)
			}
		}
	})
}

// TestFollowFragments says which programs follow fragments.
func TestFollowFragments(t *testing.T) {
	for _, c := range []struct {
		text string
		f    FollowFragments
		want bool
	}{
		{"inner host 10.0.0.1", FollowNone, false},
		{"inner host 10.0.0.1", FollowTunnels, true},
		{"outer port 53", FollowTunnels, true},
		{"tcp or vxlan", FollowTunnels, true},
		{"port 53", FollowTunnels, false},
		{"port 53", FollowNone, false},
		{"port 53", FollowAll, true},
	} {
		opt := testOptions()
		opt.Fragments = c.f
		p, err := Compile(c.text, opt)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.FollowsFragments(); got != c.want {
			t.Errorf("%s with %d follows fragments: %v", c.text, c.f, got)
		}
	}
}
