package bpf

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/tundump/tundump/filter/ir"
	"github.com/tundump/tundump/testdata/random"
)

// setSample is a random set, and numbers in and next to its spans.
type setSample struct {
	set   *ir.Members
	tries []ir.U128
}

// randomSet returns a set of n prefixes of the given lengths.
func randomSet(r *rand.Rand, long bool, n int, lengths ...int) setSample {
	var s setSample
	var short []ir.Span[uint32]
	var wide []ir.Span[ir.U128]
	add := func(v ir.U128) { s.tries = append(s.tries, v) }
	for range n {
		length := lengths[r.IntN(len(lengths))]
		v := ir.U128{Hi: r.Uint64(), Lo: r.Uint64()}
		if r.IntN(2) == 0 { // some near to each other
			v.Hi, v.Lo = 0x20010db8<<32, v.Lo&0xffff|0x0a000000
		}
		if !long {
			host := uint32(ir.Ones(32 - length).Lo)
			lo := uint32(v.Lo) &^ host
			short = append(short, ir.Span[uint32]{Lo: lo, Hi: lo | host})
			for _, w := range []uint32{lo, lo | host, lo - 1, (lo | host) + 1, lo | host&r.Uint32()} {
				add(ir.U128{Lo: uint64(w)})
			}
			continue
		}
		host := ir.Ones(128 - length)
		lo := ir.U128{Hi: v.Hi &^ host.Hi, Lo: v.Lo &^ host.Lo}
		hi := lo.Or(host)
		wide = append(wide, ir.Span[ir.U128]{Lo: lo, Hi: hi})
		add(lo)
		add(hi)
		add(hi.Next())
		add(ir.U128{Hi: lo.Hi, Lo: lo.Lo - 1})
		add(lo.Or(ir.U128{Hi: host.Hi & r.Uint64(), Lo: host.Lo & r.Uint64()}))
	}
	s.set = ir.NewMembers(short, wide)
	return s
}

// lookUpProgram accepts a packet whose number at the offset in byte 0 is in set 0.
// Registers have to survive the look-up: bytes 1 to 7 have to be 1 to 7.
func lookUpProgram(set *ir.Members, long bool) *ir.Prog {
	load := func(to, base ir.Reg, off uint32, size uint8) ir.Instr {
		return ir.Instr{Op: ir.Load, Dst: to, A: base, B: ir.Imm(off), Size: size}
	}
	kept := []ir.Reg{ir.L2, ir.L3, ir.Kind, ir.Type, ir.Proto, ir.Cur, ir.S2}
	first := []ir.Instr{load(ir.L4, ir.NoReg, 0, 1)}
	sum := []ir.Instr{{Op: ir.Mov, Dst: ir.T2, A: ir.NoReg, B: ir.Imm(0)}}
	for n, r := range kept {
		first = append(first, load(r, ir.NoReg, uint32(1+n), 1))
		sum = append(sum, ir.Instr{Op: ir.Shl, Dst: ir.T2, A: ir.T2, B: ir.Imm(4)}, ir.Instr{Op: ir.Add, Dst: ir.T2, A: ir.T2, B: ir.R(r)})
	}
	find := ir.Block{Cond: ir.InLong, A: ir.L4, B: ir.Imm(0), True: 3, False: 4}
	if !long {
		find.Code = []ir.Instr{load(ir.T0, ir.L4, 0, 4)}
		find.Cond, find.A = ir.In, ir.T0
	}
	return &ir.Prog{Sets: []*ir.Members{set}, Blocks: []ir.Block{
		{Cond: ir.Within, A: ir.NoReg, B: ir.Imm(8), True: 1, False: ir.Reject},
		{Code: first, Cond: ir.Within, A: ir.L4, B: ir.Imm(16), True: 2, False: ir.Reject},
		find,
		{Code: sum, Cond: ir.Eq, A: ir.T2, B: ir.Imm(0x1234567), True: ir.Accept, False: ir.Reject},
		{Code: sum, Cond: ir.Eq, A: ir.T2, B: ir.Imm(0x1234567), True: ir.Reject, False: ir.Accept},
	}}
}

// crowdedSet returns addresses that have no room in buckets.
func crowdedSet(r *rand.Rand) (s setSample) {
	var spans []ir.Span[uint32]
	f := factors()
	for len(spans) < 4*perBucket {
		if v := r.Uint32(); v*f[0]>>26 == 1 && v*f[1]>>26 == 2 {
			spans = append(spans, ir.Span[uint32]{Lo: v, Hi: v})
			s.tries = append(s.tries, ir.U128{Lo: uint64(v)}, ir.U128{Lo: uint64(v + 1)})
		}
	}
	s.set = ir.NewMembers(spans, nil)
	return s
}

// TestSets looks numbers up in random sets in every back end, and fails if a way to
// do so was never used.
func TestSets(t *testing.T) {
	defer sayLeftOut(t)
	r := rand.New(rand.NewPCG(11, 0))
	used := map[string]int{}
	for round := range random.Rounds(24) {
		for _, long := range []bool{false, true} {
			width := 32
			if long {
				width = 128
			}
			samples := map[string]setSample{
				"none":      randomSet(r, long, 0, width),
				"inline":    randomSet(r, long, 1+r.IntN(inlineSet), width),
				"addresses": randomSet(r, long, 6+r.IntN(60), width),
				"two":       randomSet(r, long, 6+r.IntN(600), width, width-8-r.IntN(12)),
				"many":      randomSet(r, long, 300, width, width-3, width-7, width-9, width-11, width-13, width-14, width-16, width-18, width-20),
			}
			if !long {
				var ports setSample
				var spans []ir.Span[uint32]
				for range 5 + r.IntN(100) {
					lo := uint32(r.IntN(1 << 16))
					hi := min(lo+uint32(r.IntN(100)), 1<<16-1)
					spans = append(spans, ir.Span[uint32]{Lo: lo, Hi: hi})
					for _, v := range []uint32{lo, hi, lo - 1, hi + 1, lo + 1<<16} {
						ports.tries = append(ports.tries, ir.U128{Lo: uint64(v)})
					}
				}
				ports.set = ir.NewMembers(spans, nil)
				samples["ports"] = ports
				samples["crowded"] = crowdedSet(r)
				// The number that is in entries that are free.
				all := samples["addresses"]
				all.tries = append(all.tries, ir.U128{Lo: math.MaxUint32}, ir.U128{Lo: math.MaxUint32 - 1})
				samples["addresses"] = all
			}
			for name, s := range samples {
				p := lookUpProgram(s.set, long)
				text := fmt.Sprintf("round %d, %s, long %v, %d and %d spans", round, name, long, len(s.set.Short), len(s.set.Long))
				b := newBackendsOf(t, text, p)
				b.addTaps(t, text)
				if os.Geteuid() == 0 {
					tables, err := loadTables(p.Expand(inlineSet))
					if err != nil {
						t.Fatal(err)
					}
					way := fmt.Sprint("long ", long, ": inline")
					if table := tables[half{0, long}]; table != nil {
						way = fmt.Sprintf("long %v: %v of %d lengths", long, [...]string{"array", "bucket", "hash", "trie"}[table.kind], min(len(table.bits), 2))
					}
					used[way]++
					if err := closeTables(tables); err != nil {
						t.Error(err)
					}
				}
				if b.classic != nil {
					used["classic"]++
				}
				for range 40 {
					data := make([]byte, 300)
					data[0] = byte(8 + r.IntN(240)) // in the header area or behind it
					if r.IntN(8) == 0 {
						data = data[:20+r.IntN(200)]
					}
					copy(data[1:], []byte{1, 2, 3, 4, 5, 6, 7})
					var v ir.U128
					if len(s.tries) > 0 {
						v = s.tries[r.IntN(len(s.tries))]
					}
					var number [16]byte
					binary.BigEndian.PutUint64(number[:], v.Hi)
					binary.BigEndian.PutUint64(number[8:], v.Lo)
					if long {
						copy(data[min(int(data[0]), len(data)):], number[:])
					} else {
						copy(data[min(int(data[0]), len(data)):], number[12:])
					}
					if b.check(t, text, data) {
						used["matched"]++
					} else {
						used["not matched"]++
					}
				}
				b.close()
			}
		}
	}
	want := []string{"classic", "matched", "not matched"}
	if os.Geteuid() == 0 {
		want = append(want, "long false: inline", "long true: inline", "long false: array of 0 lengths", "long false: bucket of 1 lengths", "long false: bucket of 2 lengths", "long false: hash of 1 lengths", "long false: trie of 2 lengths",
			"long true: hash of 1 lengths", "long true: hash of 2 lengths", "long true: trie of 2 lengths")
	}
	for _, way := range want {
		if used[way] < 5 {
			t.Errorf("%s: %d times in %v", way, used[way], used)
		}
	}
}

// TestSetExpressions runs expressions with sets in every back end, plain, shifted and in scopes.
func TestSetExpressions(t *testing.T) {
	defer sayLeftOut(t)
	g := random.New(12)
	matched, total := 0, 0
	for range random.Rounds(14) {
		text, _ := g.Set(12)
		// The verifier comes near to its limit at "inner tunnel 42", and beyond it with a set.
		if scope := []string{"", "not ", "inner ", "any ", "inner 2 ", "vxlan and ", "gre and "}[g.IntN(7)]; !strings.HasPrefix(text, "tunnel") {
			text = scope + text
		}
		b := newBackends(t, text, options(3))
		for range 60 {
			if total++; b.check(t, text, g.Packet(4)) {
				matched++
			}
		}
		b.close()
	}
	if matched < total/20 {
		t.Errorf("of %d packets %d matched: the test says little", total, matched)
	}
	for _, name := range []string{"set of ports", "set of addresses", "large set"} {
		if g.Made[name] == 0 {
			t.Errorf("never generated: %s", name)
		}
	}
}

// TestSetTooLarge asks the kernel for a map that is larger than it allows any to be.
func TestSetTooLarge(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to make maps: sudo make test")
	}
	m, err := newMap(&ebpf.MapSpec{Type: ebpf.Hash, KeySize: 20, ValueSize: 1, MaxEntries: 1<<32 - 1}, 1<<32-1)
	if err == nil {
		m.Close()
	}
	if want := "the kernel has not enough memory for a set of 4294967295 entries"; err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("%v, not %s", err, want)
	}
}
