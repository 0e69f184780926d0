package ir

import (
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
	"testing"
)

// sample returns numbers of few different words, so that they often agree in some.
func sample(r *rand.Rand) U128 {
	half := func() uint64 {
		words := [...]uint64{0, 1, 2, 0x20010db8, 0x7fffffff, 0xfffffffe, 0xffffffff}
		return words[r.IntN(len(words))]<<32 | words[r.IntN(len(words))]
	}
	return U128{half(), half()}
}

// randomSpans returns spans of numbers that have the given number of bits: single
// numbers, prefixes, and ranges with any ends.
func randomSpans(r *rand.Rand, width int) []Span[U128] {
	spans := make([]Span[U128], r.IntN(12))
	for n := range spans {
		s := Span[U128]{sample(r), sample(r)}
		if width == 32 {
			s.Lo, s.Hi = U128{0, s.Lo.Lo >> 32}, U128{0, s.Hi.Lo >> 32}
		}
		switch r.IntN(3) {
		case 0:
			s.Hi = s.Lo
		case 1:
			host := Ones(r.IntN(width + 1))
			s.Lo = U128{s.Lo.Hi &^ host.Hi, s.Lo.Lo &^ host.Lo}
			s.Hi = U128{s.Lo.Hi | host.Hi, s.Lo.Lo | host.Lo}
		default:
			if s.Lo.Compare(s.Hi) > 0 {
				s.Lo, s.Hi = s.Hi, s.Lo
			}
		}
		spans[n] = s
	}
	return spans
}

func in(spans []Span[U128], v U128) bool {
	for _, s := range spans {
		if s.Lo.Compare(v) <= 0 && v.Compare(s.Hi) <= 0 {
			return true
		}
	}
	return false
}

// neighbours returns numbers in and around spans.
func neighbours(r *rand.Rand, spans []Span[U128]) []U128 {
	vs := []U128{{}, Ones(128), sample(r), sample(r)}
	for _, s := range spans {
		var before U128
		before.Lo, _ = bits.Sub64(s.Lo.Lo, 1, 0)
		before.Hi = s.Lo.Hi
		if s.Lo.Lo == 0 {
			before.Hi--
		}
		vs = append(vs, before, s.Lo, s.Lo.Next(), s.Hi, s.Hi.Next(), U128{s.Lo.Hi, s.Hi.Lo})
	}
	return vs
}

// TestSets compares sets, and programs that look values up in them, with and
// without comparisons instead, with a search through all spans.
func TestSets(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 0))
	found, missed := 0, 0
	for range 3000 {
		short, long := randomSpans(r, 32), randomSpans(r, 128)
		var words []Span[uint32]
		for _, s := range short {
			words = append(words, Span[uint32]{uint32(s.Lo.Lo), uint32(s.Hi.Lo)})
		}
		m := NewMembers(words, append([]Span[U128]{}, long...))
		for n := 1; n < len(m.Short); n++ {
			if m.Short[n].Lo <= m.Short[n-1].Hi+1 {
				t.Fatalf("spans touch: %v", m.Short)
			}
		}
		for n := 1; n < len(m.Long); n++ {
			if m.Long[n].Lo.Compare(m.Long[n-1].Hi.Next()) <= 0 {
				t.Fatalf("spans touch: %v", m.Long)
			}
		}
		short4 := &Prog{Sets: []*Members{m}, Blocks: []Block{
			{Cond: Within, A: NoReg, B: Imm(4), True: 1, False: Reject},
			{Code: []Instr{{Op: Load, Dst: T0, A: NoReg, Size: 4, B: Imm(0)}}, Cond: In, A: T0, B: Imm(0), True: Accept, False: Reject},
		}}
		long16 := &Prog{Sets: []*Members{m}, Blocks: []Block{
			{Code: []Instr{{Op: Mov, Dst: L2, A: NoReg, B: Imm(3)}, {Op: Mov, Dst: L3, A: NoReg, B: Imm(4)}},
				Cond: Within, A: L3, B: Imm(16), True: 1, False: Reject},
			{Cond: InLong, A: L3, B: Imm(0), True: 2, False: Reject},
			{Cond: Eq, A: L2, B: Imm(3), True: Accept, False: Reject}, // the search has left it alone
		}}
		for _, p := range []*Prog{short4, long16} {
			q := p.Expand(20)
			for _, p := range []*Prog{p, q} {
				if err := p.Verify(); err != nil {
					t.Fatalf("%v\n%v", err, p)
				}
			}
			if q.LargestSet() > 0 {
				t.Fatalf("still has look-ups:\n%v", q)
			}
			if u := p.Expand(2); u.LargestSet() <= 2 && u.LargestSet() > 0 {
				t.Fatalf("not expanded:\n%v", u)
			}
			spans, data := short, make([]byte, 20)
			if p == long16 {
				spans = long
			}
			for _, v := range neighbours(r, spans) {
				binary.BigEndian.PutUint64(data[4:], v.Hi)
				binary.BigEndian.PutUint64(data[12:], v.Lo)
				if p == short4 {
					v = U128{0, v.Lo & 0xffffffff}
					binary.BigEndian.PutUint32(data, uint32(v.Lo))
				}
				want := in(spans, v)
				if got := p.Match(data, Meta{}); got != want {
					t.Fatalf("%x in %x is %v\n%v", v, spans, got, p)
				}
				if got := p.Matcher().Match(data, &Meta{}, nil); got != want {
					t.Fatalf("%x in %x is %v to a Matcher\n%v", v, spans, got, p)
				}
				if got := q.Match(data, Meta{}); got != want {
					t.Fatalf("%x in %x is %v when expanded\n%v", v, spans, got, q)
				}
				if want {
					found++
				} else {
					missed++
				}
			}
		}
	}
	if found < 1000 || missed < 1000 {
		t.Errorf("%d were in a set, %d were not: the test says little", found, missed)
	}
}

func TestVerifySets(t *testing.T) {
	for name, p := range map[string]*Prog{
		"no set":     {Blocks: []Block{{Code: []Instr{{Op: Mov, Dst: T0, A: NoReg, B: Imm(1)}}, Cond: In, A: T0, B: Imm(0), True: Accept, False: Reject}}},
		"undefined":  {Sets: []*Members{{}}, Blocks: []Block{{Cond: In, A: T0, B: Imm(0), True: Accept, False: Reject}}},
		"not within": {Sets: []*Members{{}}, Blocks: []Block{{Code: []Instr{{Op: Mov, Dst: T0, A: NoReg, B: Imm(1)}}, Cond: InLong, A: T0, B: Imm(0), True: Accept, False: Reject}}},
	} {
		if p.Verify() == nil {
			t.Errorf("%s: Verify finds nothing wrong", name)
		}
	}
}
