package capture

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/ringbuf"
)

// TestRingBuffer writes records as the kernel does, around the ring many times: of all lengths, some that are
// discarded, some that are still being written when they are come to.
func TestRingBuffer(t *testing.T) {
	const size = 4096
	r := rand.New(rand.NewPCG(1, 2))
	start := ^uintptr(64<<10 - 1) // the positions overflow
	consumed, produced := start, start
	data := make([]byte, size)
	b := newRingBuffer(&consumed, &produced, data)
	header := func(at uintptr) []byte { return data[at%size:][:4] }
	var wrapped, busy, discarded, emptied int
	var want [][]byte
	for range 20000 {
		n := uintptr(r.IntN(500))
		whole := (ringHeader + n + 7) &^ 7
		for produced-consumed+whole > size-ringHeader || r.IntN(3) == 0 { // read
			got, err := b.next()
			if err != nil {
				t.Fatal(err)
			}
			if got == nil {
				emptied++
				if b.release(); len(want) > 0 || b.read() != 0 || consumed != produced {
					t.Fatalf("%d records are missing, read to %d of %d", len(want), consumed, produced)
				}
				break
			}
			if len(want) == 0 || !bytes.Equal(got, want[0]) {
				t.Fatalf("record %x, want %x", got, want)
			}
			want = want[1:]
			if b.read() > size/2 || r.IntN(2) == 0 || !b.waiting() {
				b.release()
			}
		}
		if produced-consumed+whole > size-ringHeader {
			continue
		}
		record := make([]byte, n)
		for i := range record {
			record[i] = byte(r.Uint32())
			data[(produced+ringHeader+uintptr(i))%size] = record[i]
		}
		if produced%size+ringHeader+n > size {
			wrapped++
		}
		at := produced
		switch r.IntN(8) {
		case 0:
			binary.NativeEndian.PutUint32(header(at), uint32(n)|ringDiscard)
			discarded++
		case 1:
			binary.NativeEndian.PutUint32(header(at), uint32(n)|ringBusy)
			produced += whole
			for {
				got, err := b.next()
				if err != nil {
					t.Fatal(err)
				}
				if got == nil {
					break
				}
				if len(want) == 0 || !bytes.Equal(got, want[0]) {
					t.Fatalf("record %x before one that is busy, want %x", got, want)
				}
				want = want[1:]
			}
			if len(want) > 0 {
				t.Fatalf("%d records are missing before one that is busy", len(want))
			}
			busy++
			fallthrough
		default:
			binary.NativeEndian.PutUint32(header(at), uint32(n))
			want = append(want, record)
		}
		produced = at + whole
	}
	if wrapped < 100 || busy < 100 || discarded < 100 || emptied < 100 {
		t.Errorf("%d records went on at the start, %d were busy, %d discarded; %d times there were no more", wrapped, busy, discarded, emptied)
	}
}

// TestRingBufferOfKernel compares what the kernel has written with what cilium/ebpf reads of the same: a program
// writes records of its packet into two ring buffers, one for each reader.
func TestRingBufferOfKernel(t *testing.T) {
	newNamespace(t) // for its check of the rights
	const size = 16 << 10
	var maps [2]*ebpf.Map
	insns := asm.Instructions{ // the helper wants the record on the stack
		asm.Mov.Imm(asm.R2, 0),
		asm.Mov.Reg(asm.R3, asm.RFP),
		asm.Add.Imm(asm.R3, -64),
		asm.Mov.Imm(asm.R4, 64),
		asm.FnSkbLoadBytes.Call(),
		asm.JNE.Imm(asm.R0, 0, "end"),
	}
	for i := range maps {
		m, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.RingBuf, MaxEntries: size})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		maps[i] = m
		insns = append(insns,
			asm.LoadMapPtr(asm.R1, m.FD()),
			asm.Mov.Reg(asm.R2, asm.RFP),
			asm.Add.Imm(asm.R2, -64),
			asm.LoadMem(asm.R3, asm.R2, 0, asm.Byte), // the length is in the packet's first byte
			asm.And.Imm(asm.R3, 63),
			asm.Add.Imm(asm.R3, 1),
			asm.Mov.Imm(asm.R4, 0),
			asm.FnRingbufOutput.Call(),
		)
	}
	insns = append(insns, asm.Mov.Imm(asm.R0, 0).WithSymbol("end"), asm.Return())
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.SchedCLS, Instructions: insns, License: "Apache-2.0"})
	if err != nil {
		t.Fatal(err)
	}
	defer prog.Close()
	ours, err := mapRingBuffer(maps[0].FD(), size)
	if err != nil {
		t.Fatal(err)
	}
	defer ours.close()
	theirs, err := ringbuf.NewReader(maps[1])
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	r := rand.New(rand.NewPCG(3, 4))
	read := 0
	for round := range 60 {
		for range r.IntN(150) {
			packet := make([]byte, 64)
			for i := range packet {
				packet[i] = byte(r.Uint32())
			}
			if _, err := prog.Run(&ebpf.RunOptions{Data: packet}); err != nil {
				t.Fatal(err)
			}
		}
		for {
			got, err := ours.next()
			if err != nil {
				t.Fatal(err)
			}
			if got == nil {
				break
			}
			want, err := theirs.Read()
			if err != nil || !slices.Equal(got, want.RawSample) {
				t.Fatalf("round %d: record %x, cilium/ebpf reads %x, %v", round, got, want.RawSample, err)
			}
			read++
		}
		ours.release()
		if n := theirs.AvailableBytes(); n != 0 {
			t.Fatalf("round %d: cilium/ebpf has %d bytes more", round, n)
		}
	}
	if read < 2000 {
		t.Errorf("%d records were compared", read)
	}
}

// FuzzRingBuffer reads what no kernel has written.
func FuzzRingBuffer(f *testing.F) {
	f.Add(make([]byte, 64), uint64(0), uint64(64))
	f.Add(bytes.Repeat([]byte{16, 0, 0, 0}, 16), uint64(40), uint64(104))
	f.Fuzz(func(t *testing.T, content []byte, from, to uint64) {
		consumed, produced := uintptr(from), uintptr(to)
		data := make([]byte, 64)
		copy(data, content)
		b := newRingBuffer(&consumed, &produced, data)
		for range 100 { // each takes eight of at most 64 bytes
			got, err := b.next()
			if err != nil || got == nil {
				return
			}
			if len(got) > len(data) {
				t.Fatalf("a record of %d bytes", len(got))
			}
		}
		t.Error("there is no end")
	})
}
