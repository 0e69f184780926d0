package bpf

import (
	"github.com/cilium/ebpf/asm"

	"github.com/tundump/tundump/filter/ir"
)

// A shortcut stands in front of the program: a short way through it for packets of the forms that are
// most likely. Other packets, and those whose headers are not in one piece, go on to the program itself.
// [ir.Prog.Shortcut] says what it is; all that it does is to read at constant offsets, which a program may
// do in place if there is a way to (see Kernel and tap), before anything else is done. Where there is none it
// reads the header area.

// nearby is the register that has, while in a shortcut, how many bytes may be read in place; or
// where they end.
const nearby = asm.R8

// reads is where a shortcut reads the packet.
type reads uint8

const (
	inArea reads = iota + 1
	inKernel
	inTap
)

// shortcut returns that of the program, nil if it has none.
func (e *emitter) shortcut() *emitter {
	if e.prog.Likely == nil || e.tap != nil && e.tap.near < headSize {
		return nil
	}
	q := e.prog.Shortcut(e.prog.Likely(), headSize, func(b ir.Block) bool {
		t := e.maps.tables[halfOf(b)]
		return t.kind == array || t.kind == bucket // others need the area
	})
	if q == nil || q.Verify() != nil {
		return nil
	}
	s := &emitter{prog: q, maps: e.maps, snapLen: e.snapLen, tap: e.tap}
	switch {
	case e.tap != nil:
		s.reads = inTap
	case e.maps.Kernel != nil:
		s.reads = inKernel
	default:
		s.reads = inArea
	}
	s.unit = &unit{short: true, tapped: e.tap != nil, blocks: map[int]ir.Block{}, liveAt: q.Live(), loads: map[int]int{}}
	for n, b := range q.Blocks {
		s.blocks[n], s.order = b, append(s.order, n)
	}
	s.assign()
	return s
}

// open emits code that makes the packet readable.
func (e *emitter) open() {
	switch e.reads {
	case inKernel:
		e.maps.Kernel.open(e)
	case inTap:
		e.add(asm.LoadMem(area, ctx, skbData, asm.Word), asm.LoadMem(nearby, ctx, skbDataEnd, asm.Word))
	case inArea:
		e.add(asm.LoadMem(nearby, ctx, skbLen, asm.Word))
	}
}

// whole emits a Within of a shortcut.
func (e *emitter) whole(b ir.Block, next int) {
	far := e.to(ir.Unsure)
	if e.reads == inTap {
		e.add(
			asm.Mov.Reg(asm.R0, area),
			asm.Add.Imm(asm.R0, int32(b.B.Imm)),
			asm.JGT.Reg(asm.R0, nearby, far),
		)
	} else {
		e.add(asm.JLT.Imm(nearby, int32(b.B.Imm), far))
	}
	if b.True != next {
		e.add(asm.Ja.Label(e.to(b.True)))
	}
}

// insert emits a shortcut, which ends where the program goes on.
func (e *emitter) insert(s *emitter) {
	s.open()
	s.body()
	s.leave()
	e.add(s.out...)
	e.slow = append(e.slow, s.slow...)
	e.mark(e.to(ir.Unsure))
}

// leave emits, for the first time only, how a shortcut rejects: close to where it first does.
func (e *emitter) leave() {
	if e.reads == 0 || e.tap != nil || e.left || !e.rejects {
		return
	}
	e.left = true
	e.mark(e.to(ir.Reject))
	e.add(asm.Mov.Imm(asm.R0, 0), asm.Return())
}
