package bpf

import (
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"

	"github.com/tundump/tundump/filter/ir"
)

// A shortcut stands in front of the program: a short way through it for packets of the forms that are
// most likely. Other packets, and those whose headers are not in one piece, go on to the program itself.
// [ir.Prog.Shortcut] says what it is; all that it does is to read at constant offsets from where it is, which a program may
// do in place if there is a way to (see Kernel and tap). Then it is the main function, with few registers to
// save and no stack, and the program is a function that it calls, walk. Where there is no way it
// reads the header area, and is in the function of the program.

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
	q := e.prog.Shortcut(e.prog.Likely(), func(b ir.Block) bool {
		t := e.maps.tables[halfOf(b)]
		return t.kind == array || t.kind == bucket // others need the area
	})
	if q == nil || q.Verify() != nil { // the program alone is right, too
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
	s.unit = &unit{short: true, apart: s.apart(), blocks: map[int]ir.Block{}, liveAt: q.Live(), loads: map[int]int{}}
	for n, b := range q.Blocks {
		s.blocks[n], s.order = b, append(s.order, n)
	}
	s.assign()
	return s
}

// apart reports whether it is a function of its own.
func (e *emitter) apart() bool { return e.reads > inArea }

// packetAt returns the register that points to where the shortcut is in the packet, and the one that has how many bytes may
// be read from there on, or where they end. What looks up sets leaves them alone.
func (e *emitter) packetAt() (start, end asm.Register) {
	if e.apart() {
		return asm.R5, asm.R7
	}
	return asm.R5, asm.R8
}

// free returns the registers that may have one of the program's.
func (e *emitter) free() []asm.Register {
	switch {
	case e.apart():
		return []asm.Register{asm.R2, asm.R3, asm.R4, asm.R8, asm.R9}
	case e.reads == inArea:
		return []asm.Register{asm.R7, asm.R2, asm.R3, asm.R4}
	}
	return []asm.Register{asm.R7, asm.R8, asm.R2, asm.R3, asm.R4, asm.R5}
}

// open emits code that makes the packet readable. It has the context in R1, too.
func (e *emitter) open() {
	start, end := e.packetAt()
	switch e.reads {
	case inKernel:
		e.maps.Kernel.open(e)
	case inTap:
		e.add(asm.LoadMem(start, ctx, skbData, asm.Word), asm.LoadMem(end, ctx, skbDataEnd, asm.Word))
	case inArea:
		e.add(
			asm.Mov.Reg(start, area),
			asm.LoadMem(end, ctx, skbLen, asm.Word),
			asm.JLE.Imm(end, headSize, "short.fits"),
			asm.Mov.Imm(end, headSize),
		)
		e.mark("short.fits")
	}
}

// move emits code that goes on in the packet. There are no instructions with [ir.Start] but this one, loads,
// and Within.
func (e *emitter) move(by uint32) {
	start, end := e.packetAt()
	e.add(asm.Add.Imm(start, int32(by)))
	if e.reads != inTap {
		e.add(asm.Sub.Imm(end, int32(by)))
	}
}

// whole emits a Within of a shortcut.
func (e *emitter) whole(b ir.Block, next int) {
	start, end := e.packetAt()
	far := e.to(ir.Unsure)
	if e.reads == inTap {
		e.add(
			asm.Mov.Reg(asm.R0, start),
			asm.Add.Imm(asm.R0, int32(b.B.Imm)),
			asm.JGT.Reg(asm.R0, end, far),
		)
	} else {
		e.add(asm.JLT.Imm(end, int32(b.B.Imm), far))
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
	if e.reads == 0 || e.left || !e.rejects {
		return
	}
	e.left = true
	e.mark(e.to(ir.Reject))
	rejected, _ := e.ends()
	e.add(rejected...)
}

// ends returns what is done with packets that are rejected, and with those that are accepted.
func (e *emitter) ends() (rejected, accepted asm.Instructions) {
	if e.tap != nil {
		return e.tap.ends()
	}
	return asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()}, asm.Instructions{asm.LoadImm(asm.R0, int64(e.snapLen), asm.DWord), asm.Return()}
}

// alone emits a shortcut as the main function.
func (s *emitter) alone() asm.Instructions {
	s.add(btf.WithFuncMetadata(asm.Mov.Reg(ctx, asm.R1), signature("tundump", false)))
	s.open()
	s.body()
	s.leave()
	s.mark(s.to(ir.Unsure))
	call := asm.Instruction{OpCode: asm.OpCode(asm.JumpClass).SetJumpOp(asm.Call), Src: asm.PseudoCall, Constant: -1}.WithReference("walk")
	s.add(asm.Mov.Reg(asm.R1, ctx), call)
	_, accepted := s.ends()
	if s.tap == nil {
		s.add(asm.Return())
	} else {
		s.rejects = true
		s.add(asm.JEq.Imm(asm.R0, 0, s.to(ir.Reject)))
	}
	if s.tap != nil || leads(s.prog, ir.Accept) {
		s.mark(s.to(ir.Accept))
		s.add(accepted...)
	}
	s.leave()
	return append(s.out, s.slow...)
}
