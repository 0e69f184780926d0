package header

import "math/bits"

// Layer is one header found in a packet: Len bytes at Off, on tunnel level
// Level (0 is what is on the wire).
type Layer struct {
	*Header
	Off, Bytes uint32
	Level      int
	// Later is set on an IP or fragment header that is a fragment other than the
	// first: what follows it is payload, not a header.
	Later bool
}

// End returns where the next header starts.
func (l Layer) End() uint32 { return l.Off + l.Bytes }

// Walk appends to layers the headers of the packet in data, from the outside
// in, through at most depth tunnels. It ends at the first header that is cut,
// malformed or not in the table. It never fails: what it returned is there, with at
// least Min bytes each. It does not check that the whole of a header, its
// options, is within data.
func (t *Table) Walk(layers []Layer, link LinkType, data []byte, depth int) []Layer {
	next := link.only()
	if next == None {
		for _, r := range link.First() {
			if ok, there := r.If.holds(data, 0); ok && there {
				next = r.To
				break
			}
		}
	}
	var off uint32
	var level, tags, extensions, repeats int
	for next != None {
		h := t.Header(next)
		l, ok := h.read(data, off)
		if !ok {
			break
		}
		switch h.Class {
		case Tag:
			tags++
		case Extension:
			extensions++
		}
		if tags > MaxTags || extensions > MaxExtensions {
			break
		}
		l.Level = level
		layers = append(layers, l)
		if l.Later {
			break
		}
		next = h.next(data, off, l.End())
		off = l.End()
		switch tunnel := h.Class == Tunnel || h.Class == Part; {
		case next == h.ID && tunnel:
			if repeats++; repeats == MaxRepeats {
				return layers
			}
		case next != None && tunnel && t.Header(next).Starts():
			if level++; level > depth {
				return layers
			}
			tags, extensions, repeats = 0, 0, 0
		default:
			repeats = 0
		}
	}
	return layers
}

// read returns the header at off; ok is false if it is cut or malformed.
func (h *Header) read(data []byte, off uint32) (l Layer, ok bool) {
	if uint64(off)+uint64(h.Min) > uint64(len(data)) {
		return l, false
	}
	for _, v := range h.Valid {
		if holds, _ := v.holds(data, off); !holds {
			return l, false
		}
	}
	n := h.Fixed
	for _, t := range h.Len {
		n += t.value(data, off)
	}
	if n < h.Min {
		return l, false
	}
	l = Layer{Header: h, Off: off, Bytes: n}
	if h.Later.Size > 0 {
		first, _ := h.Later.holds(data, off)
		l.Later = !first
	}
	return l, true
}

// Follows returns what the layer says comes next, whether or not that is there:
// None if it is nothing that the table knows.
func (l Layer) Follows(data []byte) ID { return l.Header.next(data, l.Off, l.End()) }

// Term returns what a term of the header's length adds to the layer.
func (l Layer) Term(data []byte, t LenTerm) uint32 { return t.value(data, l.Off) }

// Holds reports whether the test holds for the layer.
func (l Layer) Holds(data []byte, t Test) bool {
	ok, _ := t.holds(data, l.Off)
	return ok
}

// next returns what follows the header from off to end, or None.
func (h *Header) next(data []byte, off, end uint32) ID {
	var v uint32
	if h.Next.By != "" {
		f, ok := h.Field(h.Next.By)
		if !ok {
			return None
		}
		v, _ = load(data, off+uint32(f.Off), f.Size)
	}
	for _, r := range h.Next.Rules {
		if h.Next.By != "" && r.Value != v {
			continue
		}
		if ok, _ := r.If.holds(data, off); !ok {
			continue
		}
		if ok, _ := r.Peek.holds(data, end); ok {
			return r.To
		}
	}
	return None
}

// holds reports whether the test holds for the header at off, and whether its
// field is within data.
func (t Test) holds(data []byte, off uint32) (ok, there bool) {
	if t.Size == 0 {
		return true, true
	}
	v, there := load(data, off+uint32(t.Off), t.Size)
	return there && v&t.Mask == t.Value, there
}

func (t LenTerm) value(data []byte, off uint32) uint32 {
	v, _ := load(data, off+uint32(t.Off), t.Size)
	return t.Of(v)
}

// Of returns what the term adds if its field is v.
func (t LenTerm) Of(v uint32) uint32 {
	if t.Shift < 0 {
		return v & t.Mask >> -t.Shift
	}
	return v & t.Mask << t.Shift
}

// Value returns a field of at most four bytes of the layer at l, shifted down
// by its mask's trailing zeros; ok is false if the header has no such field,
// if its If does not hold, or if it is beyond data.
func (l Layer) Value(data []byte, name string) (v uint32, ok bool) {
	f, ok := l.Field(name)
	if !ok {
		return 0, false
	}
	return l.Number(data, f)
}

// Number is Value for a field of the layer's header that is at hand.
func (l Layer) Number(data []byte, f *Field) (v uint32, ok bool) {
	b, ok := l.Raw(data, f)
	if !ok || len(b) > 4 {
		return 0, false
	}
	v, _ = load(b, 0, f.Size)
	if f.Mask != 0 {
		v = v & f.Mask >> bits.TrailingZeros32(f.Mask)
	}
	return v, true
}

// Raw returns the bytes that hold a field of the layer's header, which are
// part of data; ok is false if its If does not hold, or if they are beyond data.
func (l Layer) Raw(data []byte, f *Field) (b []byte, ok bool) {
	if holds, _ := f.If.holds(data, l.Off); !holds {
		return nil, false
	}
	off := uint64(l.Off) + uint64(f.Off)
	for _, t := range f.Pos {
		off += uint64(t.value(data, l.Off))
	}
	if off+uint64(f.Size) > uint64(len(data)) {
		return nil, false
	}
	return data[off : off+uint64(f.Size)], true
}

// load returns size bytes at off, most significant first; ok is false if they
// are not all within data.
func load(data []byte, off uint32, size uint8) (v uint32, ok bool) {
	if uint64(off)+uint64(size) > uint64(len(data)) {
		return 0, false
	}
	for _, b := range data[off : off+uint32(size)] {
		v = v<<8 | uint32(b)
	}
	return v, true
}
