package bpf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"github.com/tundump/tundump/filter/ir"
)

// How sets are looked up. In classic BPF, and in eBPF if they are small, by
// comparisons in the program; else in one of four kinds of maps, whichever is the
// fastest for what is in the set.
const (
	// ClassicSet is the largest set that classic BPF is made of, in addresses or ranges.
	ClassicSet = 64
	// inlineSet is the largest set that is compared with in eBPF.
	inlineSet = 4
	// maxHashes is up to how many lengths of prefixes the hash map is asked for each. A
	// trie costs about as much as this many hashes, more the more there is in it.
	maxHashes = 4
)

// half is what one look-up can find: the short or the long numbers of a set.
type half struct {
	set  int
	long bool
}

// halfOf returns what the block looks up.
func halfOf(b ir.Block) half { return half{int(b.B.Imm), b.Cond == ir.InLong} }

// table is a half of a set in the kernel.
type table struct {
	m    *ebpf.Map
	kind tableKind
	long bool
	bits []int // of a hash: the lengths of prefixes that are in it, the most frequent first
	// buckets are those of bucket, by the length of the prefixes
	buckets []*buckets
}

type tableKind uint8

const (
	// array has a byte for each number up to 65535: for ports, and whatever is as small.
	array tableKind = iota
	// bucket has prefixes of few lengths, mostly whole addresses, if they are short.
	bucket
	// hash has other prefixes of few lengths. Its key is the number, with
	// zeros behind the prefix, and the prefix's length.
	hash
	// trie is a longest-prefix-match trie, for prefixes of many lengths.
	trie
)

// loadTables puts the sets that the program looks up into maps.
func loadTables(p *ir.Prog) (map[half]*table, error) {
	tables := map[half]*table{}
	for _, b := range p.Blocks {
		h := halfOf(b)
		if b.Cond != ir.In && b.Cond != ir.InLong || tables[h] != nil {
			continue
		}
		t, err := newTable(p.Sets[h.set], h.long)
		if err != nil {
			return nil, errors.Join(err, closeTables(tables))
		}
		tables[h] = t
	}
	return tables, nil
}

func closeTables(tables map[half]*table) error {
	var errs []error
	for _, t := range tables {
		errs = append(errs, t.m.Close())
	}
	return errors.Join(errs...)
}

func newTable(set *ir.Members, long bool) (*table, error) {
	t := &table{long: long}
	n := len(set.Short)
	if long {
		n = len(set.Long)
	}
	spec := &ebpf.MapSpec{Name: "tundump_set", KeySize: 4, ValueSize: 1, MaxEntries: 1}
	var groups [][]ir.U128 // by the length of the prefix
	switch {
	case !long && n > 0 && set.Short[n-1].Hi <= 0xffff:
		spec.Type, spec.ValueSize = ebpf.Array, 1<<16
	default:
		groups = prefixes(set, long)
		spec.Type, spec.MaxEntries = ebpf.Hash, 0
		t.kind = hash
		merged := merge(groups)
		if t.bits = lengths(merged); len(t.bits) > maxHashes {
			t.kind, spec.Type, spec.Flags = trie, ebpf.LPMTrie, unix.BPF_F_NO_PREALLOC
		} else {
			groups = merged
		}
		if t.kind == hash && !long {
			var err error
			if t.buckets, t.m, err = newBucketMap(groups, t.bits); err != nil {
				return nil, errors.Join(full(n, err), t.m.Close())
			}
			if t.buckets != nil {
				t.kind = bucket
				return t, nil
			}
		}
		for _, g := range groups {
			spec.MaxEntries += uint32(len(g))
		}
		spec.MaxEntries = max(spec.MaxEntries, 1)
		if spec.KeySize = 8; long {
			spec.KeySize = 20
		}
	}
	var err error
	if t.m, err = newMap(spec, n); err != nil {
		return nil, err
	}
	switch {
	case t.kind == array:
		err = t.m.Put(uint32(0), ports(set.Short))
	case long:
		err = fill(t.m, groups, func(v ir.U128, bits int) (key [5]uint32) {
			at := key[:4]
			if t.kind == trie {
				at = key[1:]
			}
			// In the order of the bytes in a packet.
			for n, w := range [4]uint32{uint32(v.Hi >> 32), uint32(v.Hi), uint32(v.Lo >> 32), uint32(v.Lo)} {
				at[n] = htonl(w)
			}
			if t.kind == trie {
				key[0] = uint32(bits)
			} else {
				key[4] = uint32(bits)
			}
			return key
		})
	default:
		err = fill(t.m, groups, func(v ir.U128, bits int) [2]uint32 {
			if t.kind == trie {
				return [2]uint32{uint32(bits), htonl(uint32(v.Lo))}
			}
			return [2]uint32{uint32(v.Lo), uint32(bits)}
		})
	}
	if err != nil {
		return nil, errors.Join(full(n, err), t.m.Close())
	}
	return t, nil
}

// newMap makes a map for a set of n entries.
func newMap(spec *ebpf.MapSpec, n int) (*ebpf.Map, error) {
	m, err := ebpf.NewMap(spec)
	if err != nil {
		return nil, full(n, err)
	}
	return m, nil
}

// full says why a set of n entries is not in the kernel.
func full(n int, err error) error {
	if errors.Is(err, unix.ENOMEM) || errors.Is(err, unix.E2BIG) || errors.Is(err, unix.ENOSPC) {
		return fmt.Errorf("the kernel has not enough memory for a set of %d entries (a memory limit of this control group or user?): %w", n, err)
	}
	return fmt.Errorf("making a map for a set of %d entries: %w", n, brief(err))
}

func htonl(v uint32) uint32 {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], v)
	return binary.NativeEndian.Uint32(b[:])
}

// ports returns a byte for each number up to 65535: 1 if it is in the spans.
func ports(spans []ir.Span[uint32]) []byte {
	in := make([]byte, 1<<16)
	for _, s := range spans {
		for v := s.Lo; v <= s.Hi; v++ {
			in[v] = 1
		}
	}
	return in
}

// fill puts the prefixes of each length into a map.
func fill[K any](m *ebpf.Map, groups [][]ir.U128, key func(v ir.U128, bits int) K) error {
	const chunk = 1 << 16
	keys := make([]K, 0, chunk)
	values := make([]byte, chunk)
	for i := range values {
		values[i] = 1
	}
	flush := func() error {
		_, err := m.BatchUpdate(keys, values[:len(keys)], nil)
		if errors.Is(err, ebpf.ErrNotSupported) { // before Linux 5.6, and tries before 5.15
			err = nil
			for _, k := range keys {
				if err = m.Put(k, uint8(1)); err != nil {
					break
				}
			}
		}
		keys = keys[:0]
		return err
	}
	for bits, g := range groups {
		for _, v := range g {
			if keys = append(keys, key(v, bits)); len(keys) == chunk {
				if err := flush(); err != nil {
					return err
				}
			}
		}
	}
	if len(keys) == 0 {
		return nil
	}
	return flush()
}

// prefixes returns the fewest prefixes that are the set, by their length.
func prefixes(set *ir.Members, long bool) [][]ir.U128 {
	groups := make([][]ir.U128, 33)
	if long {
		groups = make([][]ir.U128, 129)
	}
	set.Prefixes(long, func(v ir.U128, length int) { groups[length] = append(groups[length], v) })
	return groups
}

// lengths returns the lengths of which there are prefixes, the most frequent first.
func lengths(groups [][]ir.U128) []int {
	var all []int
	for n, g := range groups {
		if len(g) > 0 {
			all = append(all, n)
		}
	}
	slices.SortStableFunc(all, func(a, b int) int { return len(groups[b]) - len(groups[a]) })
	return all
}

// merge returns the same set with prefixes of fewer lengths: some are split into longer ones,
// as long as the number of all does not double.
func merge(groups [][]ir.U128) [][]ir.U128 {
	merged := slices.Clone(groups)
	room := 256
	for _, g := range groups {
		room += len(g)
	}
	for {
		best, to, cost := -1, -1, room+1
		last := -1 // the next longer one
		for n, g := range slices.Backward(merged) {
			if len(g) == 0 {
				continue
			}
			if last >= 0 && last-n < 30 {
				if more := len(g)<<(last-n) - len(g); more < cost {
					best, to, cost = n, last, more
				}
			}
			last = n
		}
		if best < 0 {
			return merged
		}
		room -= cost
		all := slices.Clip(merged[to])
		step := ir.Ones(len(groups) - 1 - to)
		for _, v := range merged[best] {
			for range 1 << (to - best) {
				all = append(all, v)
				v = v.Or(step).Next()
			}
		}
		merged[best], merged[to] = nil, all
	}
}

// Where look-ups have their key in the area, behind the notes about fragments; and where the
// number stays that keys of several prefix lengths are made of. (Not on the stack: what the verifier
// knows of a slot differs with the way that wrote it, of which Linux 6.18 loses
// count in loops, "verifier bug: stack slot".)
const (
	keyAt        int16 = notesEnd + 8 // the length of a trie's prefix is in front of it
	numberAt           = keyAt + 24
	registersAt        = numberAt + 16
	registersEnd       = registersAt + 4*int16(ir.NRegs)
)

// lookUp emits code that leaves 0 in R0 if what the block asks for is not in the set, and
// overwrites R1 to R5.
func (e *emitter) lookUp(b ir.Block, t *table) {
	if t.kind == array {
		e.copy(asm.R1, b.A)
		e.add(
			asm.Mov.Imm(asm.R0, 0),
			asm.JGT.Imm(asm.R1, 0xffff, e.name("large")),
			asm.LoadMapValue(asm.R0, t.m.FD(), 0),
			asm.Add.Reg(asm.R0, asm.R1),
			asm.LoadMem(asm.R0, asm.R0, 0, asm.Byte),
		)
		e.mark(e.name("large"))
		e.names++
		return
	}
	var parts []int16 // of the number, 8 or 4 bytes each
	size, end := asm.Word, int16(4)
	parts = []int16{0}
	if t.long {
		size, end, parts = asm.DWord, 16, []int16{0, 8}
	}
	key, at := keyAt, keyAt
	if t.kind == trie {
		key -= 4 // the length of the prefix comes first
	} else if len(t.bits) > 1 || t.bits[0] < 8*int(end) {
		at = numberAt
	}
	if t.long {
		e.offset(b.A, 0)
	} else {
		e.copy(asm.R0, b.A)
	}
	e.saved(func() {
		if t.kind == bucket {
			e.inBuckets(t)
			return
		}
		if t.long {
			e.number(at)
		} else {
			if t.kind == trie {
				e.add(asm.HostTo(asm.BE, asm.R0, asm.Word))
			}
			e.add(asm.StoreMem(area, at, asm.R0, asm.Word))
		}
		find := func() {
			e.add(
				asm.LoadMapPtr(asm.R1, t.m.FD()),
				asm.Mov.Reg(asm.R2, area),
				asm.Add.Imm(asm.R2, int32(key)),
				asm.FnMapLookupElem.Call(),
			)
		}
		if t.kind == trie {
			e.add(asm.StoreImm(area, key, 8*int64(end), asm.Word))
			find()
			return
		}
		for n, length := range t.bits {
			for _, part := range parts {
				if at == key {
					break
				}
				e.add(asm.LoadMem(asm.R0, area, at+part, size))
				if mask := prefixMask(length, 8*int(part), t.long); mask == 0 {
					e.add(asm.Mov.Imm(asm.R0, 0))
				} else if mask != 1<<64-1 {
					e.add(asm.LoadImm(asm.R1, int64(mask), asm.DWord), asm.And.Reg(asm.R0, asm.R1))
				}
				e.add(asm.StoreMem(area, key+part, asm.R0, size))
			}
			e.add(asm.StoreImm(area, key+end, int64(length), asm.Word))
			find()
			if n < len(t.bits)-1 {
				e.add(asm.JNE.Imm(asm.R0, 0, e.name("found")))
			}
		}
		if len(t.bits) > 1 {
			e.mark(e.name("found"))
		}
	})
	e.names++
}

// prefixMask returns what of the part of a number that starts at bit from is in a prefix: of
// a short number as the number it is, of a long one in the order of the packet's bytes.
func prefixMask(length, from int, long bool) uint64 {
	if !long {
		if length == 32 {
			return 1<<64 - 1
		}
		return uint64(^uint32(0) << (32 - length))
	}
	mask := ^uint64(0)
	if n := length - from; n <= 0 {
		mask = 0
	} else if n < 64 {
		mask <<= 64 - n
	}
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], mask)
	return binary.NativeEndian.Uint64(b[:])
}

// number copies the 16 bytes of the packet at the offset in R1, which are there, into the area.
func (e *emitter) number(at int16) {
	far, there := e.name("far"), e.name("there")
	from, first := asm.R1, int16(0)
	if e.tap != nil {
		from, first = asm.R2, -16
		e.add(asm.Mov.Reg(from, asm.R1))
		e.reach(from, 16, far)
	} else {
		e.add(
			asm.JGT.Imm(asm.R1, headSize-16, far),
			asm.Add.Reg(asm.R1, area),
		)
	}
	e.add(
		asm.LoadMem(asm.R0, from, first, asm.DWord),
		asm.StoreMem(area, at, asm.R0, asm.DWord),
		asm.LoadMem(asm.R0, from, first+8, asm.DWord),
		asm.StoreMem(area, at+8, asm.R0, asm.DWord),
	)
	e.mark(there)
	e.slow = append(e.slow,
		asm.Mov.Reg(asm.R2, asm.R1).WithSymbol(far),
		asm.Mov.Reg(asm.R1, ctx),
		asm.Mov.Reg(asm.R3, area),
		asm.Add.Imm(asm.R3, int32(at)),
		asm.Mov.Imm(asm.R4, 16),
		asm.FnSkbLoadBytes.Call(),
		asm.Ja.Label(there),
	)
}

// name returns a label of the piece of code at hand.
func (e *emitter) name(what string) string {
	if e.reads != 0 {
		what = e.prefix() + what
	}
	return fmt.Sprintf("%s%d", what, e.names)
}

// saved emits code that overwrites R1 to R5, and puts back what is needed of them after the
// instruction or branch at hand.
func (e *emitter) saved(emit func()) {
	var kept []ir.Reg
	for r, at := range e.place {
		if at >= asm.R2 && at <= asm.R5 && e.live>>r&1 == 1 {
			kept = append(kept, ir.Reg(r))
			e.add(asm.StoreMem(asm.RFP, e.stack[r], at, asm.DWord))
		}
	}
	emit()
	for _, r := range kept {
		e.add(asm.LoadMem(e.place[r], asm.RFP, e.stack[r], asm.DWord))
	}
}
