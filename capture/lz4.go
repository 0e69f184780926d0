package capture

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
)

// An LZ4 file is a sequence of frames, numbers little-endian, lengths in bytes
// (lz4_Frame_format.md and lz4_Block_format.md of the LZ4 library):
//
//	frame   magic (4)   flags   block size   [content size (8)]   [dictionary (4)]   header checksum
//	        block ...   0 (4)   [checksum of the content (4)]
//	block   length, top bit set if not compressed (4)   data   [checksum (4)]
//	data    token   [more literals]   literals   offset (2)   [more match]   ... and ends after literals
//
// A checksum is the xxHash32 of what stands before it, that of the header one byte of it. A block
// may refer to the 64 KiB before it unless the flags say that blocks are independent.
//
// This reader is our own: the library that others use is a dependency of three thousand
// lines, most of them for writing.
const (
	lz4Magic      = 0x184d2204
	lz4Skippable  = 0x184d2a50 // and the 15 that follow
	lz4Window     = 64 << 10
	lz4Version    = 0xc0
	lz4VersionOne = 0x40

	lz4BlockChecksum   = 1 << 4
	lz4ContentSize     = 1 << 3
	lz4ContentChecksum = 1 << 2
	lz4Dictionary      = 1 << 0
)

var errLZ4 = errors.New("the lz4 data are damaged")

// lz4Reader decompresses an LZ4 file. It holds a block, and what a block may refer to.
type lz4Reader struct {
	r       io.Reader
	flags   byte
	largest int    // block of the frame
	in      []byte // a compressed block
	out     []byte // window of the frame, and the last block
	next    int    // in out, where what has not been read starts
	sum     *xxHash32
	err     error
}

func newLZ4(r io.Reader) *lz4Reader { return &lz4Reader{r: r} }

func (z *lz4Reader) Read(b []byte) (int, error) {
	for z.next == len(z.out) {
		if z.err == nil {
			z.err = z.block()
		}
		if z.err != nil {
			return 0, z.err
		}
	}
	n := copy(b, z.out[z.next:])
	z.next += n
	return n, nil
}

// word reads a number of 4 bytes.
func (z *lz4Reader) word() (uint32, error) {
	var b [4]byte
	if _, err := io.ReadFull(z.r, b[:]); err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint32(b[:]), nil
}

// frame reads the header of a frame. The error is io.EOF if there is none.
func (z *lz4Reader) frame() error {
	magic, err := z.word()
	for err == nil && magic&^15 == lz4Skippable {
		var n uint32
		if n, err = z.word(); err == nil {
			if _, err = io.CopyN(io.Discard, z.r, int64(n)); err == nil {
				magic, err = z.word()
				continue
			}
		}
		return unexpected(err)
	}
	if err != nil {
		return err
	}
	if magic != lz4Magic {
		return fmt.Errorf("%w: a frame starts with %08x", errLZ4, magic)
	}
	h := make([]byte, 2, 15)
	if _, err := io.ReadFull(z.r, h); err != nil {
		return unexpected(err)
	}
	z.flags = h[0]
	size := 2 + 1
	if z.flags&lz4ContentSize != 0 {
		size += 8
	}
	if z.flags&lz4Dictionary != 0 {
		size += 4
	}
	h = h[:size]
	if _, err := io.ReadFull(z.r, h[2:]); err != nil {
		return unexpected(err)
	}
	blockSize := h[1] >> 4
	switch last := size - 1; {
	case z.flags&lz4Version != lz4VersionOne || blockSize < 4 || blockSize > 7:
		return fmt.Errorf("%w: flags %02x, block size %02x", errLZ4, h[0], h[1])
	case byte(sumXXHash32(h[:last])>>8) != h[last]:
		return fmt.Errorf("%w: the checksum of a header is wrong", errLZ4)
	case z.flags&lz4Dictionary != 0:
		return errors.New("lz4 data that need a dictionary are not supported")
	}
	z.largest = 1 << (8 + 2*blockSize) // 64 KiB, 256 KiB, 1 MiB or 4 MiB
	z.out, z.next = z.out[:0], 0
	z.sum = newXXHash32()
	return nil
}

// block decompresses the next block. The error is io.EOF behind the last frame.
func (z *lz4Reader) block() error {
	if z.sum == nil { // between frames
		if err := z.frame(); err != nil {
			return err
		}
	}
	n, err := z.word()
	if err != nil {
		return unexpected(err)
	}
	if n == 0 {
		sum := z.sum.sum()
		z.sum = nil
		if z.flags&lz4ContentChecksum == 0 {
			return nil
		}
		want, err := z.word()
		if err == nil && want != sum {
			return fmt.Errorf("%w: the checksum of the content is wrong", errLZ4)
		}
		return unexpected(err)
	}
	stored := n>>31 != 0
	n &^= 1 << 31
	if int64(n) > int64(z.largest) {
		return fmt.Errorf("%w: a block of %d bytes, the largest is %d", errLZ4, n, z.largest)
	}
	if cap(z.in) < int(n) {
		z.in = make([]byte, z.largest)
	}
	data := z.in[:n]
	if _, err := io.ReadFull(z.r, data); err != nil {
		return unexpected(err)
	}
	if z.flags&lz4BlockChecksum != 0 {
		want, err := z.word()
		if err != nil {
			return unexpected(err)
		}
		if sumXXHash32(data) != want {
			return fmt.Errorf("%w: the checksum of a block is wrong", errLZ4)
		}
	}
	// What was read stays only as far as the block may refer to it.
	if window := len(z.out) - lz4Window; window > 0 {
		z.out = z.out[:copy(z.out, z.out[window:])]
	}
	z.next = len(z.out)
	if stored {
		z.out = append(z.out, data...)
	} else if z.out, err = expand(z.out, data, len(z.out)+z.largest); err != nil {
		return err
	}
	if z.flags&lz4ContentChecksum != 0 {
		z.sum.write(z.out[z.next:])
	}
	return nil
}

// expand appends what is compressed in data to out, which must not become longer than limit.
func expand(out, data []byte, limit int) ([]byte, error) {
	// length reads the rest of a length that is in four bits of a token.
	length := func(n int) (int, bool) {
		for more := n == 15; more; {
			if len(data) == 0 || n > limit {
				return 0, false
			}
			more = data[0] == 255
			n += int(data[0])
			data = data[1:]
		}
		return n, true
	}
	for len(data) > 0 {
		token := data[0]
		data = data[1:]
		literals, ok := length(int(token >> 4))
		if !ok || literals > len(data) || len(out)+literals > limit {
			return out, errLZ4
		}
		out = append(out, data[:literals]...)
		data = data[literals:]
		if len(data) == 0 {
			return out, nil
		}
		if len(data) < 2 {
			return out, errLZ4
		}
		offset := int(binary.LittleEndian.Uint16(data))
		data = data[2:]
		match, ok := length(int(token & 15))
		match += 4
		if !ok || offset == 0 || offset > len(out) || len(out)+match > limit {
			return out, errLZ4
		}
		for match > 0 { // it may overlap itself
			n := min(match, offset)
			out = append(out, out[len(out)-offset:len(out)-offset+n]...)
			match -= n
		}
	}
	return out, errLZ4 // it ended with a match
}

func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// xxHash32 computes the hash of that name, with seed 0
// (https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md).
type xxHash32 struct {
	lanes  [4]uint32
	total  uint32
	rest   [16]byte // what does not yet make a stripe
	unused int      // bytes of rest
}

const (
	prime1 uint32 = 0x9e3779b1
	prime2 uint32 = 0x85ebca77
	prime3 uint32 = 0xc2b2ae3d
	prime4 uint32 = 0x27d4eb2f
	prime5 uint32 = 0x165667b1
)

func newXXHash32() *xxHash32 {
	p := prime1 // the sums wrap, which constants may not
	return &xxHash32{lanes: [4]uint32{p + prime2, prime2, 0, -p}}
}

func sumXXHash32(b []byte) uint32 {
	h := newXXHash32()
	h.write(b)
	return h.sum()
}

func (h *xxHash32) write(b []byte) {
	h.total += uint32(len(b))
	if h.unused > 0 {
		n := copy(h.rest[h.unused:], b)
		h.unused += n
		b = b[n:]
		if h.unused < len(h.rest) {
			return
		}
		h.stripe(h.rest[:])
		h.unused = 0
	}
	for ; len(b) >= len(h.rest); b = b[len(h.rest):] {
		h.stripe(b)
	}
	h.unused = copy(h.rest[:], b)
}

func (h *xxHash32) stripe(b []byte) {
	for i := range h.lanes {
		h.lanes[i] = bits.RotateLeft32(h.lanes[i]+binary.LittleEndian.Uint32(b[4*i:])*prime2, 13) * prime1
	}
}

func (h *xxHash32) sum() uint32 {
	acc := prime5
	if h.total >= 16 || h.lanes != newXXHash32().lanes {
		acc = bits.RotateLeft32(h.lanes[0], 1) + bits.RotateLeft32(h.lanes[1], 7) +
			bits.RotateLeft32(h.lanes[2], 12) + bits.RotateLeft32(h.lanes[3], 18)
	}
	acc += h.total
	b := h.rest[:h.unused]
	for ; len(b) >= 4; b = b[4:] {
		acc = bits.RotateLeft32(acc+binary.LittleEndian.Uint32(b)*prime3, 17) * prime4
	}
	for _, c := range b {
		acc = bits.RotateLeft32(acc+uint32(c)*prime5, 11) * prime1
	}
	acc = (acc ^ acc>>15) * prime2
	acc = (acc ^ acc>>13) * prime3
	return acc ^ acc>>16
}
