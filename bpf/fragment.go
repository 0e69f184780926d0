package bpf

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"github.com/tundump/tundump/filter/ir"
)

// Fragments is what filters in the kernel remember of fragments, as [ir.Fragments] does
// elsewhere. Several filters can share it, and it outlives them.
type Fragments struct {
	kept  *ebpf.Map // first fragments that were accepted
	early *ebpf.Map // how many later fragments came before the first one of their packet
	late  *ebpf.Map // how many of those would have been accepted
}

// NewFragments makes the maps. It needs the same rights as loading eBPF.
func NewFragments() (*Fragments, error) {
	unlimit()
	f := &Fragments{}
	for _, m := range []struct {
		to   **ebpf.Map
		spec ebpf.MapSpec
	}{
		// What is not used for the longest time makes room for what is new.
		{&f.kept, ebpf.MapSpec{Name: "tundump_kept", Type: ebpf.LRUHash, KeySize: keySize, ValueSize: 8, MaxEntries: ir.MaxFragments}},
		{&f.early, ebpf.MapSpec{Name: "tundump_early", Type: ebpf.LRUHash, KeySize: keySize, ValueSize: 8, MaxEntries: ir.MaxFragments}},
		{&f.late, ebpf.MapSpec{Name: "tundump_late", Type: ebpf.PerCPUArray, KeySize: 4, ValueSize: 8, MaxEntries: 1}},
	} {
		made, err := ebpf.NewMap(&m.spec)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("making a map for fragments: %w", brief(err)), f.Close())
		}
		*m.to = made
	}
	return f, nil
}

// Late returns how many later fragments came before the first one of their packet, which then
// was accepted.
func (f *Fragments) Late() (uint64, error) {
	var perCPU []uint64
	if err := f.late.Lookup(uint32(0), &perCPU); err != nil {
		return 0, fmt.Errorf("reading the count of fragments: %w", err)
	}
	var sum uint64
	for _, n := range perCPU {
		sum += n
	}
	return sum, nil
}

// Close releases the maps. Filters that use them keep them.
func (f *Fragments) Close() error {
	var errs []error
	for _, m := range []*ebpf.Map{f.kept, f.early, f.late} {
		if m != nil {
			errs = append(errs, m.Close())
		}
	}
	return errors.Join(errs...)
}

// The name of a fragment, a key of the maps. Of IPv4 it is 16 bytes of the header, from
// the identification on, with zeros for what differs between fragments; of IPv6 the
// addresses, and at 32 the fragment header, likewise. The slot, and 2 if it is IPv6, is where that
// header has a reserved byte.
const (
	keyKind = 33
	keySize = 40
)

// A slot of the map value that has the header area is the name of a first fragment, whether there
// is one, and how many later ones came before it. Behind the slots is room for the name of a later fragment.
const (
	noteAt    = headSize + 8
	noteIs    = keySize
	noteEarly = keySize + 8
	noteSize  = keySize + 16
	laterAt   = noteAt + ir.Slots*noteSize
	oneAt     = laterAt + keySize // a number, 1
	notesEnd  = oneAt + 8
)

// usedSlots calls f for each slot that the program uses.
func usedSlots(p *ir.Prog, f func(at int16)) {
	var used [ir.Slots]bool
	for _, b := range p.Blocks {
		if b.Cond == ir.First {
			used[b.B.Imm] = true
		}
	}
	for n, is := range used {
		if is {
			f(noteAt + int16(n)*noteSize)
		}
	}
}

// beginNotes emits code that forgets what the packet before has noted.
func (e *emitter) beginNotes(p *ir.Prog) {
	usedSlots(p, func(at int16) {
		e.store(0, at+noteIs, at+noteEarly)
	})
}

// store emits code that stores a number in words of 8 bytes of the area, and overwrites R0.
func (e *emitter) store(v int32, at ...int16) {
	e.add(asm.Mov.Imm(asm.R0, v))
	for _, off := range at {
		e.add(asm.StoreMem(area, off, asm.R0, asm.DWord))
	}
}

// fragmentName emits code that writes the name of the fragment of a condition into the area, and
// overwrites R0 to R5. What it needs of them must be in its place on the stack.
func (e *emitter) fragmentName(b ir.Block, at int16) {
	// bytes copies size bytes at off behind a register of the packet, which are there.
	bytes := func(r ir.Reg, off, size int32, to int16) {
		if machine := e.place[r]; machine == onStack || machine <= asm.R5 {
			e.add(asm.LoadMem(asm.R2, asm.RFP, e.stack[r], asm.DWord))
		} else {
			e.add(asm.Mov.Reg(asm.R2, machine))
		}
		if off > 0 {
			e.add(asm.Add.Imm(asm.R2, off))
		}
		e.add(
			asm.Mov.Reg(asm.R1, ctx),
			asm.Mov.Reg(asm.R3, area),
			asm.Add.Imm(asm.R3, int32(at+to)),
			asm.Mov.Imm(asm.R4, size),
			asm.FnSkbLoadBytes.Call(),
		)
	}
	if b.B.Reg == ir.NoReg {
		bytes(b.A, 4, 16, 0)
		e.add(
			asm.StoreImm(area, at+2, 0, asm.Half), // flags and offset
			asm.StoreImm(area, at+4, 0, asm.Byte), // time to live
			asm.StoreImm(area, at+6, 0, asm.Half), // checksum
		)
		e.store(0, at+16, at+24, at+32)
		e.add(asm.StoreImm(area, at+keyKind, int64(b.B.Imm), asm.Byte))
		return
	}
	bytes(b.A, 8, 32, 0)
	bytes(b.B.Reg, 0, 8, 32)
	e.add(
		asm.StoreImm(area, at+34, 0, asm.Half), // offset and flag
		asm.StoreImm(area, at+keyKind, int64(b.B.Imm|2), asm.Byte),
	)
}

// onMap emits a call that has a map and a name in the area as its first arguments.
func (e *emitter) onMap(m *ebpf.Map, at int16, call asm.BuiltinFunc) {
	e.add(
		asm.LoadMapPtr(asm.R1, m.FD()),
		asm.Mov.Reg(asm.R2, area),
		asm.Add.Imm(asm.R2, int32(at)),
		call.Call(),
	)
}

// putOne emits code that stores 1 in a map under a name in the area.
func (e *emitter) putOne(m *ebpf.Map, at int16) {
	e.store(1, oneAt)
	e.add(
		asm.Mov.Reg(asm.R3, area),
		asm.Add.Imm(asm.R3, oneAt),
		asm.Mov.Imm(asm.R4, 0), // BPF_ANY
	)
	e.onMap(m, at, asm.FnMapUpdateElem)
}

// spill puts what a condition reads where fragmentName looks for it.
func (e *emitter) spill(b ir.Block) {
	b.Reads(func(r ir.Reg) {
		if at := e.place[r]; at >= asm.R2 && at <= asm.R5 {
			e.add(asm.StoreMem(asm.RFP, e.stack[r], at, asm.DWord))
		}
	})
}

// first emits code that notes a first fragment.
func (e *emitter) first(b ir.Block, f *Fragments) {
	at := noteAt + int16(b.B.Imm)*noteSize
	e.spill(b)
	e.saved(func() {
		e.fragmentName(b, at)
		e.store(1, at+noteIs)
		// What was known under its name was another packet.
		e.onMap(f.kept, at, asm.FnMapDeleteElem)
		e.onMap(f.early, at, asm.FnMapLookupElem)
		e.add(
			asm.JEq.Imm(asm.R0, 0, e.name("noted")),
			asm.LoadMem(asm.R1, asm.R0, 0, asm.DWord),
			asm.LoadMem(asm.R2, area, at+noteEarly, asm.DWord),
			asm.Add.Reg(asm.R1, asm.R2),
			asm.StoreMem(area, at+noteEarly, asm.R1, asm.DWord),
		)
		e.onMap(f.early, at, asm.FnMapDeleteElem)
		e.mark(e.name("noted"))
	})
	e.names++
}

// follows emits code that leaves 0 in R0 if the first one of a later fragment was not kept.
func (e *emitter) follows(b ir.Block, f *Fragments) {
	e.spill(b)
	e.saved(func() {
		e.fragmentName(b, laterAt)
		e.onMap(f.kept, laterAt, asm.FnMapLookupElem)
		e.add(asm.JNE.Imm(asm.R0, 0, e.name("asked")))
		e.onMap(f.early, laterAt, asm.FnMapLookupElem)
		e.add(
			asm.JEq.Imm(asm.R0, 0, e.name("new")),
			asm.Mov.Imm(asm.R1, 1),
			asm.AddAtomic.Mem(asm.R0, asm.R1, asm.DWord, 0),
			asm.Ja.Label(e.name("counted")),
		)
		e.mark(e.name("new"))
		e.putOne(f.early, laterAt)
		e.mark(e.name("counted"))
		e.add(asm.Mov.Imm(asm.R0, 0))
		e.mark(e.name("asked"))
	})
	e.names++
}

// keep emits code that remembers what was noted.
func (e *emitter) keep(p *ir.Prog, f *Fragments) {
	e.saved(func() {
		usedSlots(p, func(at int16) {
			done := e.name("kept")
			e.add(
				asm.LoadMem(asm.R1, area, at+noteIs, asm.DWord),
				asm.JEq.Imm(asm.R1, 0, done),
			)
			e.putOne(f.kept, at)
			e.add(
				asm.LoadMem(asm.R1, area, at+noteEarly, asm.DWord),
				asm.JEq.Imm(asm.R1, 0, done),
			)
			e.onMap(f.late, headSize, asm.FnMapLookupElem) // where there is a 0
			e.add(
				asm.JEq.Imm(asm.R0, 0, done),
				asm.LoadMem(asm.R1, area, at+noteEarly, asm.DWord),
				asm.LoadMem(asm.R2, asm.R0, 0, asm.DWord),
				asm.Add.Reg(asm.R1, asm.R2),
				asm.StoreMem(asm.R0, 0, asm.R1, asm.DWord),
			)
			e.mark(done)
			e.names++
		})
	})
}
