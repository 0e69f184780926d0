package capture

import (
	"encoding/binary"
	"errors"
	"math/bits"
	"os"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"
)

// tapMaps are what the programs write to.
type tapMaps struct {
	packets  *ebpf.Map // a ring buffer of records
	scratch  *ebpf.Map // room for one record for each CPU: nothing else runs there meanwhile
	counters *ebpf.Map // two numbers for each interface and CPU: see tapCount
}

// tapCount is a value of the counters.
type tapCount struct{ Received, Dropped uint64 }

// A record is what a program writes of one packet, in the machine's byte order.
//
//	0 time (8, of CLOCK_TAI)   8 length on the wire (4)   12 VLAN tag (2)   14 its protocol (2, in network order)
//	16 interface (2)   18 direction (1)   19 whether there is a VLAN tag (1)   20 unused (4)   24 bytes
const (
	recordLen       = 8
	recordTCI       = 12
	recordTPID      = 14
	recordInterface = 16
	recordDirection = 18
	recordTag       = 19
	recordData      = 24
)

// make makes the maps.
func (m *tapMaps) make(opt *TapOptions, interfaces int) (err error) {
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		return err
	}
	record := recordData + int(opt.SnapLen)
	// The kernel wants a power of two, and there has to be room for the longest packet.
	size := 1 << bits.Len(uint(max(interfaces*opt.BufferSize, 2*record, os.Getpagesize())-1))
	for {
		m.packets, err = ebpf.NewMap(&ebpf.MapSpec{Name: "tundump_packets", Type: ebpf.RingBuf, MaxEntries: uint32(min(size, 1<<31))})
		if !errors.Is(err, unix.ENOMEM) || size/2 < 2*record {
			break
		}
		size /= 2
	}
	if err != nil {
		return err
	}
	// No per-CPU array, whose values can have 32 KiB.
	if m.scratch, err = ebpf.NewMap(&ebpf.MapSpec{Name: "tundump_scratch", Type: ebpf.Array, KeySize: 4, ValueSize: uint32(record), MaxEntries: uint32(cpus)}); err != nil {
		return err
	}
	m.counters, err = ebpf.NewMap(&ebpf.MapSpec{Name: "tundump_counts", Type: ebpf.PerCPUArray, KeySize: 4, ValueSize: 16, MaxEntries: uint32(interfaces)})
	return err
}

func (m *tapMaps) close() error {
	var errs []error
	for _, made := range []*ebpf.Map{m.packets, m.scratch, m.counters} {
		if made != nil {
			errs = append(errs, made.Close())
		}
	}
	return errors.Join(errs...)
}

// tcxNext is what a program returns to let a packet go on (TCX_NEXT).
const tcxNext = -1

// output returns what a program does with a packet that it has accepted: it counts it, and writes
// a record. (bpf_ringbuf_reserve takes no size that is not known before; so it is made in
// the scratch memory.)
func (t *Taps) output(index int, outgoing bool) asm.Instructions {
	// Fields of struct __sk_buff (include/uapi/linux/bpf.h).
	const (
		skbLen         = 0
		skbVLANPresent = 20
		skbVLANTCI     = 24
		skbVLANProto   = 28
	)
	direction := DirectionIn
	if outgoing {
		direction = DirectionOut
	}
	wakeUp := int32(unix.BPF_RB_NO_WAKEUP)
	if t.opt.Immediate {
		wakeUp = 0
	}
	snapLen := int32(t.opt.SnapLen)
	return asm.Instructions{
		asm.FnGetSmpProcessorId.Call(),
		asm.StoreMem(asm.RFP, -4, asm.R0, asm.Word),
		asm.LoadMapPtr(asm.R1, t.maps.scratch.FD()),
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, -4),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "output.end"), // cannot be, but the verifier wants to see it
		asm.Mov.Reg(asm.R7, asm.R0),

		asm.FnKtimeGetTaiNs.Call(),
		asm.StoreMem(asm.R7, 0, asm.R0, asm.DWord),
		asm.LoadMem(asm.R8, asm.R6, skbLen, asm.Word),
		asm.StoreMem(asm.R7, recordLen, asm.R8, asm.Word),
		asm.LoadMem(asm.R1, asm.R6, skbVLANTCI, asm.Word),
		asm.StoreMem(asm.R7, recordTCI, asm.R1, asm.Half),
		asm.LoadMem(asm.R1, asm.R6, skbVLANProto, asm.Word),
		asm.StoreMem(asm.R7, recordTPID, asm.R1, asm.Half),
		asm.StoreImm(asm.R7, recordInterface, int64(int16(index)), asm.Half),
		asm.StoreImm(asm.R7, recordDirection, int64(direction), asm.Byte),
		asm.LoadMem(asm.R1, asm.R6, skbVLANPresent, asm.Word),
		asm.StoreMem(asm.R7, recordTag, asm.R1, asm.Byte),

		asm.JLE.Imm(asm.R8, snapLen, "output.fits"),
		asm.Mov.Imm(asm.R8, snapLen),
		asm.JLT.Imm(asm.R8, 1, "output.end").WithSymbol("output.fits"), // cannot be either
		asm.Mov.Reg(asm.R1, asm.R6),
		asm.Mov.Imm(asm.R2, 0),
		asm.Mov.Reg(asm.R3, asm.R7),
		asm.Add.Imm(asm.R3, recordData),
		asm.Mov.Reg(asm.R4, asm.R8),
		asm.FnSkbLoadBytes.Call(),
		asm.Mov.Reg(asm.R9, asm.R0),

		asm.StoreImm(asm.RFP, -4, int64(index), asm.Word),
		asm.LoadMapPtr(asm.R1, t.maps.counters.FD()),
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, -4),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "output.end"),
		asm.Mov.Reg(asm.R6, asm.R0),
		asm.LoadMem(asm.R1, asm.R6, 0, asm.DWord),
		asm.Add.Imm(asm.R1, 1),
		asm.StoreMem(asm.R6, 0, asm.R1, asm.DWord),
		asm.JNE.Imm(asm.R9, 0, "output.dropped"),

		asm.LoadMapPtr(asm.R1, t.maps.packets.FD()),
		asm.Mov.Reg(asm.R2, asm.R7),
		asm.Mov.Reg(asm.R3, asm.R8),
		asm.Add.Imm(asm.R3, recordData),
		asm.Mov.Imm(asm.R4, wakeUp),
		asm.FnRingbufOutput.Call(),
		asm.JEq.Imm(asm.R0, 0, "output.end"),
		asm.LoadMem(asm.R1, asm.R6, 8, asm.DWord).WithSymbol("output.dropped"),
		asm.Add.Imm(asm.R1, 1),
		asm.StoreMem(asm.R6, 8, asm.R1, asm.DWord),

		asm.Mov.Imm(asm.R0, tcxNext).WithSymbol("output.end"),
		asm.Return(),
	}
}

var errRecord = errors.New("a record of the ring buffer is not as our program writes them")

// packet makes p the packet of a record. Its data are those of the record, or t.tagged.
func (t *Taps) packet(b []byte, p *Packet) error {
	if len(b) <= recordData {
		return errRecord
	}
	*p = Packet{
		Time:      int64(binary.NativeEndian.Uint64(b)) + t.realTime,
		Interface: int(binary.NativeEndian.Uint16(b[recordInterface:])),
		Len:       int(binary.NativeEndian.Uint32(b[recordLen:])),
		Direction: Direction(b[recordDirection]),
	}
	data := b[recordData:]
	if b[recordTag] != 0 {
		p.Len += vlanTagLen
		if len(data) >= 12 { // or else the tag is beyond what was captured
			tci, tpid := binary.NativeEndian.Uint16(b[recordTCI:]), b[recordTPID:recordTPID+2]
			t.tagged = append(append(t.tagged[:0], data[:12]...), tpid...)
			t.tagged = append(binary.BigEndian.AppendUint16(t.tagged, tci), data[12:]...)
			data = t.tagged
		}
	}
	end := min(len(data), int(t.opt.SnapLen))
	p.Data = data[:end:end]
	return nil
}
