package ir

import (
	"encoding/binary"
	"testing"
)

// fragments4 accepts an IPv4 packet whose byte 20 is 7, and follows its fragments. Byte 6
// and 7 are as in the header.
func fragments4() *Prog {
	at := []Instr{{Op: Mov, Dst: L3, A: NoReg, B: Imm(0)}}
	offset := []Instr{{Op: Load, Dst: T1, A: L3, B: Imm(6), Size: 2}}
	return &Prog{Blocks: []Block{
		{Code: at, Cond: Within, A: L3, B: Imm(20), True: 1, False: Reject},
		{Code: offset, Cond: Set, A: T1, B: Imm(0x1fff), True: 2, False: 3},
		{Cond: Follows, A: L3, B: Imm(0), True: Accept, False: Reject},
		{Cond: Set, A: T1, B: Imm(0x2000), True: 4, False: 5},
		{Cond: First, A: L3, B: Imm(0), True: 5, False: 5},
		{Cond: Within, A: L3, B: Imm(21), True: 6, False: Reject},
		{Code: []Instr{{Op: Load, Dst: T0, A: L3, B: Imm(20), Size: 1}}, Cond: Eq, A: T0, B: Imm(7), True: 7, False: Reject},
		{Cond: Keep, A: NoReg, B: Imm(0), True: Accept, False: Accept},
	}}
}

// piece returns a fragment with the identification id: the offset is in units of 8 bytes.
func piece(id, offset int, more bool, payload byte) []byte {
	p := make([]byte, 21)
	p[0], p[9], p[15], p[19], p[20] = 0x45, 47, 1, 2, payload
	binary.BigEndian.PutUint16(p[4:], uint16(id))
	if more {
		offset |= 0x2000
	}
	binary.BigEndian.PutUint16(p[6:], uint16(offset))
	return p
}

func TestFragments(t *testing.T) {
	p := fragments4()
	if err := p.Verify(); err != nil {
		t.Fatal(err)
	}
	var f Fragments
	for n, c := range []struct {
		data []byte
		want bool
		late uint64
	}{
		{piece(1, 0, true, 7), true, 0},
		{piece(1, 5, true, 0), true, 0},
		{piece(1, 9, false, 0), true, 0},
		{piece(2, 0, true, 8), false, 0}, // another one
		{piece(2, 5, false, 7), false, 0},
		{piece(3, 9, false, 0), false, 0}, // before its first one
		{piece(3, 5, true, 0), false, 0},
		{piece(3, 0, true, 7), true, 2},
		{piece(3, 7, true, 0), true, 2},
		{piece(3, 0, true, 8), false, 2}, // the identification is used again
		{piece(3, 5, false, 0), false, 2},
		{piece(3, 0, true, 7), true, 3},  // and again
		{piece(4, 0, false, 7), true, 3}, // no fragment at all
		{piece(4, 5, false, 7), false, 3},
	} {
		if got := p.MatchFragments(c.data, Meta{}, &f); got != c.want || f.Late() != c.late {
			t.Errorf("packet %d is %v, %d late, want %v and %d", n, got, f.Late(), c.want, c.late)
		}
		if c.data[7] > 0 && p.Match(c.data, Meta{}) {
			t.Errorf("packet %d: Match remembers", n)
		}
	}
	q := p.WithoutFragments()
	if err := q.Verify(); err != nil || q.FollowsFragments() || !p.FollowsFragments() {
		t.Fatalf("%v\n%v", err, q)
	}
	if !q.Match(piece(5, 0, true, 7), Meta{}) || q.Match(piece(5, 5, true, 7), Meta{}) {
		t.Errorf("without fragments it does something else:\n%v", q)
	}
	if u := p.Unroll(); u.String() == "" || !u.FollowsFragments() {
		t.Error("unrolled, it does not follow fragments")
	}
}

// TestFragmentsFlood checks that memory is bounded, and that what is asked about stays in it.
func TestFragmentsFlood(t *testing.T) {
	p := fragments4()
	var f Fragments
	p.MatchFragments(piece(0, 0, true, 7), Meta{}, &f)
	for n := range 4 * MaxFragments {
		first, later := piece(1+n%60000, 0, true, 7), piece(1+n%60000, 5, false, 0)
		first[12], later[13] = byte(n/60000), byte(1+n/60000) // of different packets
		if !p.MatchFragments(first, Meta{}, &f) || p.MatchFragments(later, Meta{}, &f) {
			t.Fatalf("packet %d", n)
		}
		if n%1000 == 0 && !p.MatchFragments(piece(0, 9, true, 0), Meta{}, &f) {
			t.Fatalf("after %d packets the first one is forgotten", n)
		}
	}
	if n := len(f.kept.at); n != MaxFragments || f.kept.order.Len() != n {
		t.Errorf("%d fragments are kept", n)
	}
	if n := len(f.early.at); n != MaxFragments || f.early.order.Len() != n {
		t.Errorf("%d early fragments are kept", n)
	}
}

func TestVerifyFragments(t *testing.T) {
	for name, change := range map[string]func(p *Prog){
		"beyond the packet": func(p *Prog) { p.Blocks[0].B = Imm(19) },
		"slot":              func(p *Prog) { p.Blocks[2].B = Imm(Slots) },
		"undefined":         func(p *Prog) { p.Blocks[2].A = S2 },
		"IPv6":              func(p *Prog) { p.Blocks[4].B = R(L3) },
	} {
		p := fragments4()
		change(p)
		if p.Verify() == nil {
			t.Errorf("%s: Verify finds nothing wrong", name)
		}
	}
}
