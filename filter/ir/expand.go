package ir

import "slices"

// Expand returns the program with comparisons in place of each look-up in a set of
// at most most spans: a binary search whose numbers are in the instructions. That is
// for classic BPF, which has no tables, and for small sets, where it is faster.
func (p *Prog) Expand(most int) *Prog {
	live := p.Live()
	e := &expander{old: len(p.Blocks)}
	at := make([]int, len(p.Blocks))
	for n, b := range p.Blocks {
		at[n] = len(e.blocks)
		switch {
		case b.Cond == In && p.spans(b) <= most:
			e.yes, e.no = b.True, b.False
			to := e.search(b.Code, b.A, e.numbers(p.Sets[b.B.Imm].Short), 0)
			e.close(b.Code, at[n], to)
			continue
		case b.Cond == InLong && p.spans(b) <= most:
			inUse := b.LiveBefore(len(b.Code), live)
			for e.word = 0; inUse>>e.word&1 == 1; {
				e.word++
			}
			if e.word < NRegs {
				e.yes, e.no, e.base = b.True, b.False, b.A
				to := e.words(b.Code, p.Sets[b.B.Imm].Long, 0)
				e.close(b.Code, at[n], to)
				continue
			}
		}
		e.blocks = append(e.blocks, b)
	}
	q := &Prog{Blocks: e.blocks, Sets: p.Sets, Likely: p.Likely}
	for n := range q.Blocks {
		for _, to := range []*int{&q.Blocks[n].True, &q.Blocks[n].False} {
			switch {
			case *to >= e.old:
				*to -= e.old
			case *to >= 0:
				*to = at[*to]
			}
		}
	}
	for _, h := range p.Heads {
		q.Heads = append(q.Heads, at[h])
	}
	return q.reachable()
}

// reachable returns the program without the blocks that nothing leads to: a search in a
// set of nothing, or of everything, has one end only.
func (p *Prog) reachable() *Prog {
	q := &Prog{Sets: p.Sets, Likely: p.Likely}
	at := make([]int, len(p.Blocks)) // where the block goes, from 1; 0 if nothing leads there
	at[0] = 1
	for n, b := range p.Blocks {
		if at[n] == 0 {
			continue
		}
		q.Blocks = append(q.Blocks, b)
		at[n] = len(q.Blocks)
		for _, to := range []int{b.True, b.False} {
			if to > n {
				at[to] = 1
			}
		}
	}
	for n := range q.Blocks {
		for _, to := range []*int{&q.Blocks[n].True, &q.Blocks[n].False} {
			if *to >= 0 {
				*to = at[*to] - 1
			}
		}
	}
	for _, h := range p.Heads {
		if at[h] > 0 {
			q.Heads = append(q.Heads, at[h]-1)
		}
	}
	return q
}

// expander makes the blocks of searches. Targets below old are blocks of the old
// program, others, less old, are new ones.
type expander struct {
	blocks  []Block
	old     int
	yes, no int
	base    Reg // where the number is in the packet, and
	word    Reg // a register for a word of it, if it is long
}

// segment is a range of numbers that starts at lo and ends where the next one starts, and
// where to go for them: to, or to a search for long in the next word.
type segment struct {
	lo   uint32
	to   int
	long []Span[U128]
}

// cover appends the numbers from lo to hi to segments, which end before.
func (e *expander) cover(segments []segment, lo, hi uint32, to int, long []Span[U128]) []segment {
	last := &segments[len(segments)-1]
	if lo == last.lo {
		*last = segment{lo, to, long}
	} else {
		segments = append(segments, segment{lo, to, long})
	}
	if hi+1 != 0 {
		segments = append(segments, segment{hi + 1, e.no, nil})
	}
	return segments
}

// numbers returns the segments for numbers of one word.
func (e *expander) numbers(spans []Span[uint32]) []segment {
	segments := []segment{{0, e.no, nil}}
	for _, s := range spans {
		segments = e.cover(segments, s.Lo, s.Hi, e.yes, nil)
	}
	return segments
}

// words searches for word n, and those behind it, among spans that agree in the words before.
func (e *expander) words(code []Instr, spans []Span[U128], n int) int {
	spans = slices.Clone(spans) // what is left to do; the first may begin later than it did
	segments := []segment{{0, e.no, nil}}
	rest := Ones(96 - 32*n) // the words behind it
	for len(spans) > 0 {
		s := spans[0]
		w := s.Lo.word(n)
		// The spans that start with the same word, or go on in it.
		end := s.Lo.Or(rest)
		whole := s.Lo.Hi&rest.Hi == 0 && s.Lo.Lo&rest.Lo == 0
		if whole && s.Hi.Compare(end) >= 0 {
			last := s.Hi.word(n)
			if s.Hi.Hi&rest.Hi != rest.Hi || s.Hi.Lo&rest.Lo != rest.Lo {
				last-- // not all of that word
				spans[0].Lo = U128{s.Hi.Hi &^ rest.Hi, s.Hi.Lo &^ rest.Lo}
			} else {
				spans = spans[1:]
			}
			segments = e.cover(segments, w, last, e.yes, nil)
			continue
		}
		var in []Span[U128]
		for len(spans) > 0 && spans[0].Lo.Compare(end) <= 0 {
			s := spans[0]
			if s.Hi.Compare(end) > 0 {
				in = append(in, Span[U128]{s.Lo, end})
				spans[0].Lo = end.Next()
				break
			}
			in = append(in, s)
			spans = spans[1:]
		}
		segments = e.cover(segments, w, w, e.no, in)
	}
	load := Instr{Op: Load, Dst: e.word, A: e.base, B: Imm(uint32(4 * n)), Size: 4}
	return e.search(append(slices.Clip(code), load), e.word, segments, n)
}

// search makes the binary search of a register, which holds word n, in segments, behind
// code. It returns where to go, and makes no block if there is nothing to search.
func (e *expander) search(code []Instr, r Reg, segments []segment, n int) int {
	if len(segments) == 1 {
		if s := segments[0]; s.long == nil {
			return s.to
		}
		return e.words(nil, segments[0].long, n+1)
	}
	at := len(e.blocks)
	e.blocks = append(e.blocks, Block{})
	b := Block{Code: code, Cond: Ge, A: r}
	if one := len(segments) == 3 && segments[1].lo+1 == segments[2].lo; one && segments[0].same(segments[2]) {
		b.Cond, b.B = Eq, Imm(segments[1].lo)
		b.True, b.False = e.search(nil, r, segments[1:2], n), segments[0].to
	} else {
		half := len(segments) / 2
		b.B = Imm(segments[half].lo)
		b.True = e.search(nil, r, segments[half:], n)
		b.False = e.search(nil, r, segments[:half], n)
	}
	e.blocks[at] = b
	return e.old + at
}

// same reports whether both segments lead to the same place without a search.
func (s segment) same(t segment) bool { return s.long == nil && t.long == nil && s.to == t.to }

// close adds a block that runs code and goes to a target, if the search that was to
// begin at block at has made none.
func (e *expander) close(code []Instr, at, to int) {
	if len(e.blocks) == at {
		e.blocks = append(e.blocks, Block{Code: code, A: NoReg, B: Imm(0), True: to, False: to})
	}
}
