package bpf

import (
	"bytes"
	"encoding/binary"
	"errors"

	"github.com/cilium/ebpf/asm"
)

// Kernel is what a socket filter has to know of the running kernel to read packets in place (since Linux
// 6.17): it gets the kernel's own struct sk_buff from the function bpf_cast_to_kern_ctx, which is
// translated to a copy of a register, and reads what that points to with loads that the kernel makes
// harmless where there is nothing. It needs CAP_PERFMON, and a program under the GPL.
type Kernel struct {
	cast                  int64 // BTF type of that function
	data, length, distant int16 // offsets of data, len and data_len in the sk_buff
}

// Kinds of BTF types (include/uapi/linux/btf.h).
const (
	btfInt       = 1
	btfArray     = 3
	btfStruct    = 4
	btfUnion     = 5
	btfEnum      = 6
	btfFunc      = 12
	btfFuncProto = 13
	btfVar       = 14
	btfDataSec   = 15
	btfDeclTag   = 17
	btfEnum64    = 19
)

// NewKernel finds it in the kernel's types, as they are in /sys/kernel/btf/vmlinux. (To have cilium/ebpf
// read them takes longer than all the rest of a start: 24 ms. This takes one.)
func NewKernel(types []byte) (*Kernel, error) {
	order := binary.NativeEndian
	bad := errors.New("the kernel's BTF is not understood")
	const header = 24
	if len(types) < header || order.Uint16(types) != 0xeb9f {
		return nil, bad
	}
	part := func(at int) []byte {
		start := uint64(order.Uint32(types[4:])) + uint64(order.Uint32(types[at:]))
		end := start + uint64(order.Uint32(types[at+4:]))
		if end > uint64(len(types)) {
			return nil
		}
		return types[start:end]
	}
	all, names := part(8), part(16)
	is := func(name uint32, what string) bool {
		return uint64(name)+uint64(len(what)) < uint64(len(names)) && names[int(name)+len(what)] == 0 && bytes.HasPrefix(names[name:], []byte(what))
	}
	k := &Kernel{}
	for id := int64(1); len(all) >= 12; id++ {
		name, info := order.Uint32(all), order.Uint32(all[4:])
		kind, count := info>>24&0x1f, int(info&0xffff)
		size := 12
		switch kind {
		case btfInt, btfVar, btfDeclTag:
			size += 4
		case btfArray:
			size += 12
		case btfStruct, btfUnion, btfDataSec, btfEnum64:
			size += 12 * count
		case btfEnum, btfFuncProto:
			size += 8 * count
		}
		if size > len(all) {
			return nil, bad
		}
		switch {
		case kind == btfFunc && is(name, "bpf_cast_to_kern_ctx"):
			k.cast = id
		case kind == btfStruct && k.data == 0 && is(name, "sk_buff"):
			for m := all[12:size]; len(m) > 0; m = m[12:] {
				bits := order.Uint32(m[8:]) & 0xffffff
				for field, to := range map[string]*int16{"data": &k.data, "len": &k.length, "data_len": &k.distant} {
					if is(order.Uint32(m), field) && bits%8 == 0 && bits/8 < 1<<15 {
						*to = int16(bits / 8)
					}
				}
			}
		}
		if k.cast > 0 && k.data > 0 && k.length > 0 && k.distant > 0 {
			return k, nil
		}
		all = all[size:]
	}
	return nil, errors.New("the kernel has no bpf_cast_to_kern_ctx (Linux 6.2)")
}

// open emits code that finds the packet, with the context in R1.
func (k *Kernel) open(e *emitter) {
	start, end := e.packetAt()
	e.add(
		asm.Instruction{OpCode: asm.OpCode(asm.JumpClass).SetJumpOp(asm.Call), Src: asm.PseudoKfuncCall, Constant: k.cast},
		asm.LoadMem(start, asm.R0, k.data, asm.DWord),
		asm.LoadMem(end, asm.R0, k.length, asm.Word),
		asm.LoadMem(asm.R1, asm.R0, k.distant, asm.Word),
		asm.Sub.Reg32(end, asm.R1),
	)
}
