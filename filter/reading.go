package filter

import (
	"cmp"
	"slices"

	"github.com/tundump/tundump/filter/header"
	"github.com/tundump/tundump/filter/ir"
)

// reading is how a walk reads a header at an offset: what its tests and lengths
// depend on lies close together, and one load gets several of these.
type reading struct {
	addr
	h      *header.Header
	l      *lowerer
	chunks []chunk
	known  uint32 // how many bytes are known to be there, and the chunks loaded
}

// chunk is a load: size bytes at off from the start of the header, into reg.
type chunk struct {
	off, size uint8
	reg       ir.Reg
}

// read returns how the header at a is read.
func (l *lowerer) read(h *header.Header, a addr) reading {
	type span struct{ from, to uint8 }
	var spans []span
	need := func(off, size uint8) {
		if size > 0 {
			spans = append(spans, span{off, off + size})
		}
	}
	for _, t := range h.Valid {
		need(t.Off, t.Size)
	}
	for _, t := range h.Len {
		need(t.Off, t.Size)
	}
	for _, r := range h.Next.Rules {
		need(r.If.Off, r.If.Size)
	}
	need(h.Later.Off, h.Later.Size)
	if f, ok := h.Field(h.Next.By); ok {
		need(f.Off, f.Size)
	}
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	r := reading{addr: a, h: h, l: l}
	regs := []ir.Reg{ir.T3, ir.T4, ir.T5}
	for len(spans) > 0 {
		w := spans[0]
		for len(spans) > 0 && max(w.to, spans[0].to)-w.from <= 4 {
			w.to = max(w.to, spans[0].to)
			spans = spans[1:]
		}
		if w.to-w.from == 3 { // no load has three bytes
			if w.to++; uint32(w.to) > h.Min {
				w = span{w.from - 1, w.to - 1}
			}
		}
		r.chunks = append(r.chunks, chunk{w.from, w.to - w.from, regs[len(r.chunks)]})
	}
	return r
}

// short reports whether all that matters is in the header's first four bytes.
func (r reading) short() bool {
	return r.h.Min >= 4 && !slices.ContainsFunc(r.chunks, func(c chunk) bool { return c.off+c.size > 4 })
}

// share returns how the header's first four bytes are read, and with them those of
// others at the same place.
func (r reading) share() reading {
	r.chunks = []chunk{{0, 4, ir.T3}}
	return r
}

// of returns how another header at the same place is read behind r.loaded, if all that
// matters of it is in its first four bytes.
func (r reading) of(h *header.Header) reading {
	r.known = r.h.Min
	r.h = h
	return r
}

// part returns the register with size bytes at off of the header, and by how many
// bits they are shifted up in it.
func (r reading) part(off, size uint8) (w chunk, shift uint8) {
	i := slices.IndexFunc(r.chunks, func(w chunk) bool { return w.off <= off && off+size <= w.off+w.size })
	w = r.chunks[i]
	return w, 8 * (w.off + w.size - off - size)
}

// there builds the test that the header is there and valid, in front of what
// else reads it.
func (r reading) there(yes, no block) block {
	for _, v := range slices.Backward(r.h.Valid) {
		yes = r.test(v, yes, no)
	}
	return r.loaded(yes, no)
}

// loaded builds the test that the header's least is there, and loads its chunks.
func (r reading) loaded(yes, no block) block {
	switch {
	case r.known >= r.h.Min && r.known > 0:
		return yes
	case r.known > 0:
		return r.l.within(r.addr, r.h.Min, yes, no)
	}
	var code []ir.Instr
	for _, w := range r.chunks {
		code = append(code, load(w.reg, r.plus(uint32(w.off)), w.size))
	}
	return r.l.within(r.addr, r.h.Min, r.l.do(yes, code...), no)
}

// test builds a test of the header.
func (r reading) test(t header.Test, yes, no block) block {
	if t.Size == 0 {
		return yes
	}
	w, shift := r.part(t.Off, t.Size)
	mask, v := t.Mask<<shift, t.Value<<shift
	switch {
	case v == 0:
		return r.l.add(nil, ir.Set, w.reg, ir.Imm(mask), no, yes)
	case v == mask && v&(v-1) == 0:
		return r.l.add(nil, ir.Set, w.reg, ir.Imm(mask), yes, no)
	case mask == full(w.size):
		return r.l.add(nil, ir.Eq, w.reg, ir.Imm(v), yes, no)
	}
	return r.l.add([]ir.Instr{op(ir.And, ir.T1, w.reg, mask)}, ir.Eq, ir.T1, ir.Imm(v), yes, no)
}

// field returns the code that puts all of a field into a register.
func (r reading) field(to ir.Reg, f *header.Field) []ir.Instr {
	w, shift := r.part(f.Off, f.Size)
	code := []ir.Instr{op(ir.Shr, to, w.reg, uint32(shift))}
	if shift == 0 {
		code[0] = move(to, w.reg)
	}
	if f.Off > w.off {
		code = append(code, op(ir.And, to, to, full(f.Size)))
	}
	return code
}

// terms returns the code that adds length terms of the header to sum.
func (r reading) terms(ts []header.LenTerm, sum ir.Reg) []ir.Instr {
	var code []ir.Instr
	for _, t := range ts {
		w, shift := r.part(t.Off, t.Size)
		from := w.reg
		if t.Mask<<shift != full(w.size) {
			code = append(code, op(ir.And, ir.T1, from, t.Mask<<shift))
			from = ir.T1
		}
		switch by := t.Shift - int8(shift); {
		case by < 0:
			code = append(code, op(ir.Shr, ir.T1, from, uint32(-by)))
		case by > 0:
			code = append(code, op(ir.Shl, ir.T1, from, uint32(by)))
		case from != ir.T1:
			code = append(code, move(ir.T1, from))
		}
		code = append(code, ir.Instr{Op: ir.Add, Dst: sum, A: sum, B: ir.R(ir.T1)})
	}
	return code
}
