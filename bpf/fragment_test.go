package bpf

import (
	"encoding/binary"
	"os"
	"testing"

	"github.com/tundump/tundump/filter"
	"github.com/tundump/tundump/filter/ir"
	"github.com/tundump/tundump/testdata/random"
)

// fragmentFilters are expressions that ask about different levels in different orders.
func fragmentFilters() []string {
	return []string{
		"inner host 10.0.0.1", "inner port 53", "inner src port 53 and not inner tcp", "any udp port 53", "any host 2001:db8::1",
		"gre and host 10.0.0.1", "vxlan and udp port 53", "not inner host 10.0.0.2", "host 10.0.0.1 and inner port 443",
		"inner 2 port 53", "outer dst host 10.0.0.1 and inner (udp and src host 10.0.0.2)", "vxlan or inner tcp", "less 90 or inner 1 port 80",
		"tcp port 80", "outer port 4789", "ip6",
	}
}

// TestFragments runs random sequences of fragments through Match and eBPF, with and without
// loops, and compares what they accept, and how many fragments they count as late.
func TestFragments(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, for eBPF: sudo make test")
	}
	g := random.New(31)
	accepted, lateTotal := map[bool]int{}, uint64(0)
	for _, text := range fragmentFilters() {
		opt := options(3)
		plain, err := filter.Compile(text, opt)
		if err != nil {
			t.Fatal(err)
		}
		opt.Fragments = filter.FollowAll
		p, err := filter.Compile(text, opt)
		if err != nil {
			t.Fatal(err)
		}
		var memory ir.Fragments
		filters := map[string]*Filter{}
		kernels := map[string]*kernel{}
		for name, p := range map[string]*ir.Prog{"eBPF": p, "unrolled eBPF": p.Unroll()} {
			if filters[name], err = LoadEBPF(p, snap, nil); err != nil {
				t.Fatalf("%s\n%+v", text, err)
			}
			defer filters[name].Close()
			if k := newKernel(t, filters[name]); k != nil {
				kernels[name] = k
				defer k.close()
			} else if name == "eBPF" {
				t.Fatalf("%s: the kernel has no room for the program", text)
			}
		}
		if b := loadInPlace(t, text, p); b != nil {
			kernels["eBPF that reads in place"] = b
			defer b.close()
		}
		for range random.Rounds(1500) {
			data := g.Fragment()
			m := ir.Meta{Len: uint32(len(data))}
			want := p.MatchFragments(data, m, &memory)
			for name, k := range kernels {
				if got := k.match(t, data); got != want {
					t.Fatalf("%s\non %x\n%s says %v, MatchFragments says %v\n%v", text, data, name, got, want, p)
				}
			}
			itself := plain.Match(data, m)
			if itself && !want {
				t.Fatalf("%s\non %x\nis accepted without fragments, and not with them", text, data)
			}
			if p.WithoutFragments().Match(data, m) != itself {
				t.Fatalf("%s\non %x\nWithoutFragments is not what is compiled without", text, data)
			}
			if want {
				accepted[itself]++
			}
		}
		for name, f := range filters {
			late, err := f.own.Late()
			if kernels[name] == nil {
				continue
			}
			if err != nil || late != memory.Late() {
				t.Errorf("%s: %s counts %d late fragments, MatchFragments %d: %v", text, name, late, memory.Late(), err)
			}
		}
		lateTotal += memory.Late()
	}
	for _, name := range random.FragmentNames() {
		if g.Made[name] == 0 {
			t.Errorf("never generated: %s", name)
		}
	}
	if accepted[false] < 1000 || accepted[true] < 1000 || lateTotal < 500 {
		t.Errorf("accepted because of their first one %d, by themselves %d, %d late: the test says little", accepted[false], accepted[true], lateTotal)
	}
	t.Logf("accepted because of their first one %d, by themselves %d, %d late", accepted[false], accepted[true], lateTotal)
}

// TestFragmentExpressions runs random expressions, with sets in them, on fragments.
func TestFragmentExpressions(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, for eBPF: sudo make test")
	}
	g := random.New(32)
	accepted, total := map[bool]int{}, 0
	for range random.Rounds(12) {
		text := g.Expr(1 + g.IntN(3))
		if g.IntN(2) == 0 {
			text, _ = g.Set(8)
			text = []string{"inner ", "any ", "inner 1 ", "outer "}[g.IntN(4)] + text
		}
		opt := options(3)
		opt.Fragments = filter.FollowAll
		p, err := filter.Compile(text, opt)
		if err != nil {
			t.Fatalf("%s\n%v", text, err)
		}
		f, err := LoadEBPF(p, snap, nil)
		if err != nil {
			t.Fatalf("%s\n%+v", text, err)
		}
		k := newKernel(t, f)
		var memory ir.Fragments
		for range 100 {
			data := g.Fragment()
			want := p.MatchFragments(data, ir.Meta{Len: uint32(len(data))}, &memory)
			if got := k.match(t, data); got != want {
				t.Fatalf("%s\non %x\neBPF says %v, MatchFragments says %v\n%v", text, data, got, want, p)
			}
			total++
			accepted[want]++
		}
		k.close()
		if late, err := f.own.Late(); err != nil || late != memory.Late() {
			t.Errorf("%s: eBPF counts %d late fragments, MatchFragments %d: %v", text, late, memory.Late(), err)
		}
		f.Close()
	}
	if accepted[true] < total/20 || accepted[false] < total/20 {
		t.Errorf("of %d packets %d were accepted: the test says little", total, accepted[true])
	}
}

// TestFragmentsFlood has the kernel remember more fragments than there is room for.
func TestFragmentsFlood(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, for eBPF: sudo make test")
	}
	opt := options(1)
	opt.Fragments = filter.FollowAll
	p, err := filter.Compile("ip proto 47", opt)
	if err != nil {
		t.Fatal(err)
	}
	f, err := LoadEBPF(p, snap, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	k := newKernel(t, f)
	defer k.close()
	data := make([]byte, 42)
	data[12], data[14], data[23] = 8, 0x45, 47
	send := func(n uint32, first bool) bool {
		binary.BigEndian.PutUint32(data[26:], n)
		data[20], data[21], data[23] = 0x20, 0, 47
		if !first {
			data[21] = 5
		}
		return k.match(t, data)
	}
	for n := range uint32(3 * ir.MaxFragments) {
		if !send(n, true) {
			t.Fatalf("first fragment %d is not accepted", n)
		}
	}
	entries := 0
	var key [keySize]byte
	var value uint64
	all := f.own.kept.Iterate()
	for all.Next(&key, &value) {
		entries++
	}
	if err := all.Err(); err != nil {
		t.Fatal(err)
	}
	// The kernel makes room in batches of up to 128 for each CPU.
	if entries > ir.MaxFragments || entries < ir.MaxFragments/2 {
		t.Errorf("%d fragments are remembered, of at most %d", entries, ir.MaxFragments)
	}
	if !send(3*ir.MaxFragments-1, false) {
		t.Error("the last one is not followed")
	}
}
