package bpf

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"github.com/tundump/tundump/filter/ir"
)

// buckets have the numbers of a set, prefixes of one length, where a program finds them without a
// call, in the value of an array map: each in one of two buckets of four. (Pagh and Rodler, Cuckoo
// Hashing, 2004; Dietzfelbinger and Weidling, 2007, for the buckets.)
type buckets struct {
	at      uint32 // where in the map's value, in bytes
	length  int    // of the prefixes, in bits
	size    int    // there are 1<<size buckets
	free    uint32 // a number that is in no bucket's way: where there is no other, and not in the set
	numbers []uint32
}

const (
	perBucket = 4
	// emptier is up to how many times as many buckets as needed there may be.
	emptier = 3
	// kicks is how many numbers may be moved to make room for one.
	kicks = 500
)

// factors spread the numbers. They are odd, and have as many ones as zeros.
func factors() [2]uint32 { return [2]uint32{0x9e3779b1, 0x85ebca6b} }

// bucket returns the first entry of a number's bucket.
func (b *buckets) bucket(v, factor uint32) int {
	return int(v*factor>>(32-b.size)) * perBucket
}

// newBuckets returns nil if it finds no place for some number.
func newBuckets(length int, set []ir.U128) *buckets {
	b := &buckets{length: length, size: 1}
	for perBucket<<b.size*4 < len(set)*5 { // four fifths full
		b.size++
	}
	for range emptier {
		if b.fill(set) {
			return b
		}
		b.size++
	}
	return nil
}

// fill reports whether there is room for all.
func (b *buckets) fill(set []ir.U128) bool {
	b.numbers = make([]uint32, perBucket<<b.size)
	taken := make([]uint8, 1<<b.size)
	f := factors()
	for _, v := range set {
		x := uint32(v.Lo)
		at := b.bucket(x, f[0])
		if taken[at/perBucket] == perBucket {
			at = b.bucket(x, f[1])
		}
		for kick := 0; taken[at/perBucket] == perBucket; kick++ {
			if kick == kicks {
				return false
			}
			from := &b.numbers[at+kick%perBucket]
			x, *from = *from, x
			other := b.bucket(x, f[0])
			if other == at {
				other = b.bucket(x, f[1])
			}
			at = other
		}
		b.numbers[at+int(taken[at/perBucket])] = x
		taken[at/perBucket]++
	}
	b.free = math.MaxUint32
	for b.has(b.free, taken) {
		b.free--
	}
	for n, count := range taken {
		for i := int(count); i < perBucket; i++ {
			b.numbers[n*perBucket+i] = b.free
		}
	}
	return true
}

// has reports whether a number is in the set; taken tells how many entries of each bucket are.
func (b *buckets) has(v uint32, taken []uint8) bool {
	for _, f := range factors() {
		at := b.bucket(v, f)
		for i := range int(taken[at/perBucket]) {
			if b.numbers[at+i] == v {
				return true
			}
		}
	}
	return false
}

// newBucketMap makes the map for prefixes by their length, the most frequent first. It returns no
// buckets if there is none.
func newBucketMap(groups [][]ir.U128, lengths []int) ([]*buckets, *ebpf.Map, error) {
	var all []*buckets
	var value []byte
	for _, length := range lengths {
		b := newBuckets(length, groups[length])
		if b == nil {
			return nil, nil, nil
		}
		b.at = uint32(len(value))
		for _, v := range b.numbers {
			value = binary.NativeEndian.AppendUint32(value, v)
		}
		b.numbers = nil
		all = append(all, b)
	}
	m, err := ebpf.NewMap(&ebpf.MapSpec{Name: "tundump_set", Type: ebpf.Array, KeySize: 4, ValueSize: uint32(len(value)), MaxEntries: 1})
	if err != nil { // before Linux 5.11 no value is larger than 4 MiB
		return nil, nil, nil
	}
	return all, m, m.Put(uint32(0), value)
}

// inBuckets emits code that leaves 0 in R0 if the number in R0 is in none of the buckets, and 1 if it is. It
// overwrites R1 to R4.
func (e *emitter) inBuckets(t *table) {
	found, asked := e.name("found"), e.name("asked")
	e.add(asm.Mov.Reg32(asm.R3, asm.R0))
	for _, b := range t.buckets {
		next := e.name(fmt.Sprintf("not%d.", b.length))
		e.add(asm.Mov.Reg32(asm.R4, asm.R3))
		if mask := uint32(prefixMask(b.length, 0, false)); mask != math.MaxUint32 {
			e.add(asm.And.Imm32(asm.R4, int32(mask)))
		}
		e.add(asm.JEq.Imm32(asm.R4, int32(b.free), next))
		for _, f := range factors() {
			e.add(
				asm.Mov.Reg32(asm.R1, asm.R4),
				asm.Mul.Imm32(asm.R1, int32(f)),
				asm.RSh.Imm32(asm.R1, int32(32-b.size)),
				asm.LSh.Imm32(asm.R1, 4), // bytes of a bucket
				asm.LoadMapValue(asm.R2, t.m.FD(), b.at),
				asm.Add.Reg(asm.R2, asm.R1),
			)
			for i := range perBucket {
				e.add(asm.LoadMem(asm.R0, asm.R2, int16(4*i), asm.Word), asm.JEq.Reg32(asm.R0, asm.R4, found))
			}
		}
		e.mark(next)
	}
	e.add(asm.Mov.Imm(asm.R0, 0), asm.Ja.Label(asked))
	e.mark(found)
	e.add(asm.Mov.Imm(asm.R0, 1))
	e.mark(asked)
	e.names++
}
