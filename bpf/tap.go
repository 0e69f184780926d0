package bpf

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"github.com/tundump/tundump/filter/ir"
)

// tap is what a program for tcx (BPF_PROG_TYPE_SCHED_CLS, Linux 6.6) is made with. Such a program is
// no judge of packets but looks at them as they pass, and it can read the packet itself, as far
// as that is in one piece: there is no header area. What lies behind is loaded by LD_ABS and LD_IND.
type tap struct {
	outgoing bool  // whether it is for packets that are sent
	near     int32 // the largest register that packets are read at without a call
}

// near is well below what the verifier lets a program add to a pointer to a packet (MAX_PACKET_OFF),
// also with what a Within adds.
const near = 0x7fff

// next is what a program at tcx returns to let a packet go on (TCX_NEXT).
const next = -1

// Fields of struct __sk_buff that a program at tcx has, and a socket filter has not.
const (
	skbData    = 76
	skbDataEnd = 80
)

// LoadTaps makes a filter for tcx, of which Tap makes programs. It needs CAP_BPF and CAP_PERFMON,
// and for Tap CAP_NET_ADMIN; there is no way to do without eBPF. A filter that follows fragments remembers
// them in fragments, or in memory of its own if that is nil.
func LoadTaps(p *ir.Prog, fragments *Fragments) (*Filter, error) { return loadTaps(p, fragments, near) }

func loadTaps(p *ir.Prog, fragments *Fragments, near int32) (*Filter, error) {
	f, p, err := withMaps(p, fragments)
	if err != nil {
		return nil, err
	}
	f.tapped = &tapped{}
	if f.tapped.in, err = emit(p, 0, f.maps(), functions, &tap{false, near}); err == nil {
		f.tapped.out = f.tapped.in
		if readsType(p) {
			f.tapped.out, err = emit(p, 0, f.maps(), functions, &tap{true, near})
		}
	}
	if err != nil {
		return nil, errors.Join(err, f.closeMaps())
	}
	return f, nil
}

// tapped is what Tap makes programs of, but for their output, and those that it has made.
type tapped struct {
	in, out asm.Instructions // for packets that come, and that go

	mu    sync.Mutex // for what follows, and the size of the filter
	progs []*ebpf.Program
}

// readsType reports whether the program is another one for packets that go.
func readsType(p *ir.Prog) bool {
	return slices.ContainsFunc(p.Blocks, func(b ir.Block) bool {
		return slices.ContainsFunc(b.Code, func(i ir.Instr) bool { return i.Op == ir.LoadMeta && i.B.Imm == ir.MetaType })
	})
}

// Tap loads a program for incoming or outgoing packets. It calls nobody but runs output for each packet
// that the filter accepts, with the context in R6; output ends the program, and must return TCX_NEXT
// for packets to go on. Its labels must not be those of the filter: "accept", "reject", or one
// that ends with a digit. The programs of one filter look up the same sets, and are closed with it.
// Several may be loaded at the same time.
func (f *Filter) Tap(outgoing bool, output asm.Instructions) (*ebpf.Program, error) {
	code := f.tapped.in
	if outgoing {
		code = f.tapped.out
	}
	insns, err := withOutput(code, output)
	if err != nil {
		return nil, err
	}
	prog, err := load(insns, ebpf.SchedCLS, false)
	if err != nil && !errors.Is(err, unix.EPERM) { // of which the caller knows more
		err = brief(err)
	}
	if err != nil {
		return nil, fmt.Errorf("loading the program: %w", err)
	}
	f.tapped.mu.Lock()
	defer f.tapped.mu.Unlock()
	f.size = len(insns)
	f.tapped.progs = append(f.tapped.progs, prog)
	return prog, nil
}

// accepted is the label that an instruction refers to which stands for output. Programs have it once at most.
const accepted = "output"

// withOutput puts output into a program.
func withOutput(code, output asm.Instructions) (asm.Instructions, error) {
	at := slices.IndexFunc(code, func(i asm.Instruction) bool { return i.Reference() == accepted })
	if at < 0 { // it accepts nothing
		return code, nil
	}
	// The first instruction of output may have a label of its own.
	first := asm.Mov.Imm(asm.R0, next).WithSymbol(code[at].Symbol())
	all := slices.Concat(code[:at], asm.Instructions{first}, output, code[at+1:])
	return all, check(all)
}

// ends returns what is done with packets that are rejected, and with those that are accepted.
func (t *tap) ends() (rejected, output asm.Instructions) {
	return asm.Instructions{asm.Mov.Imm(asm.R0, next), asm.Return()}, asm.Instructions{asm.Ja.Label(accepted)}
}

// reach emits code that turns an offset in the packet, of 32 bits, into a pointer to what is end
// bytes behind it, or jumps to far if what is in front of that is not all in one piece. It overwrites R0.
func (e *emitter) reach(at asm.Register, end int32, far string) {
	e.add(
		asm.JGT.Imm(at, e.tap.near, far),
		asm.LoadMem(asm.R0, ctx, skbData, asm.Word),
		asm.Add.Reg(at, asm.R0),
	)
	e.reached(at, end, far)
}

// reached is reach for a pointer to the packet. The number comes last: what the verifier learns from
// the comparison is about the pointer before it was added.
func (e *emitter) reached(at asm.Register, end int32, far string) {
	e.add(
		asm.Add.Imm(at, end),
		asm.LoadMem(asm.R0, ctx, skbDataEnd, asm.Word),
		asm.JGT.Reg(at, asm.R0, far),
	)
}

// point emits code that makes R1 point end bytes behind a register, which may be NoReg, or jumps to far.
// If it always does that it returns false: numbers as large are those of expressions such as ether[40000].
func (e *emitter) point(base ir.Reg, end uint64, far string) bool {
	switch {
	case end > uint64(e.tap.near):
		e.add(asm.Ja.Label(far))
		return false
	case base == ir.NoReg:
		e.add(asm.LoadMem(asm.R1, ctx, skbData, asm.Word))
		e.reached(asm.R1, int32(end), far)
	default:
		e.offset(base, 0)
		e.reach(asm.R1, int32(end), far)
	}
	return true
}

// aside emits code off the straight way.
func (e *emitter) aside(label string, emit func()) {
	straight, pending := e.out, e.label
	e.out, e.label = e.slow, label
	emit()
	e.slow = e.out
	e.out, e.label = straight, pending
}

// loadDirect emits a load. Within has made sure that the bytes are there, but not that they are
// in one piece with the start of the packet.
func (e *emitter) loadDirect(i ir.Instr) {
	far, done := e.name("far"), e.name("loaded")
	e.names++
	dst, size := e.target(i.Dst), sizeOf(i)
	if e.point(i.A, uint64(i.B.Imm)+uint64(i.Size), far) {
		e.add(asm.LoadMem(dst, asm.R1, -int16(i.Size), size))
		if i.Size > 1 {
			e.add(asm.HostTo(asm.BE, dst, size))
		}
	}
	e.mark(done)
	e.aside(far, func() {
		insn := asm.LoadAbs(int32(i.B.Imm), size)
		if i.A != ir.NoReg {
			e.offset(i.A, i.B.Imm)
			insn = asm.LoadInd(asm.R0, asm.R1, 0, size)
		}
		e.add(e.packet(i.Dst, insn)...)
		e.add(narrow(dst, i)...)
		e.add(asm.Ja.Label(done))
	})
	e.put(i.Dst, dst)
}

// withinDirect emits the Within that b ends with, and the first n loads of block to, which
// follows: one comparison is enough for all.
func (e *emitter) withinDirect(b, to ir.Block, n int, no string) {
	far, done := e.name("far"), e.name("loaded")
	e.names++
	if e.point(b.A, uint64(b.B.Imm), far) {
		e.loadsBefore(b, to, n)
	}
	e.mark(done)
	e.aside(far, func() {
		e.offset(b.A, b.B.Imm)
		e.add(
			asm.LoadMem(asm.R0, ctx, skbLen, asm.Word),
			asm.JGT.Reg(asm.R1, asm.R0, no),
		)
	})
	e.loadsByCalls(b, to, n, done)
}
