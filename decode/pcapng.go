package decode

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"slices"
	"time"

	"github.com/tundump/tundump/capture"
)

// Blocks and options of draft-ietf-opsawg-pcapng; names as there.
const (
	blockSection    = 0x0a0d0d0a
	blockInterface  = 1
	blockStatistics = 5
	blockPacket     = 6

	shbHardware = 2
	shbOS       = 3
	shbUserAppl = 4

	ifName        = 2
	ifDescription = 3
	ifMACaddr     = 6
	ifSpeed       = 8
	ifTSResol     = 9
	ifFilter      = 11
	ifOS          = 12

	optComment = 1
	epbFlags   = 2

	isbStartTime    = 2
	isbEndTime      = 3
	isbIfRecv       = 4
	isbIfDrop       = 5
	isbFilterAccept = 6
	isbOSDrop       = 7
	isbUsrDeliv     = 8
)

// PcapngOptions says what a pcapng file tells about its making. What is empty
// is left out; what is longer than an option can be, 65,535 bytes, is cut.
type PcapngOptions struct {
	Application string // shb_userappl
	OS          string // shb_os and if_os
	Hardware    string // shb_hardware
	Filter      string // if_filter of every interface: the expression's text
}

// Pcapng writes a pcapng file of one section, little-endian: a Sink.
//
// All four kinds of blocks are written here. gopacket's NgWriter could write
// one of them, the section header: its interface blocks have no speed and MAC
// address and always nanoseconds, its statistics no operating system's drops,
// its packet blocks with flags allocate. Where both can write the same, a test
// compares every byte.
type Pcapng struct {
	out    records
	opt    PcapngOptions
	ticks  []int64 // nanoseconds in a unit of time, for each interface
	option []byte  // scratch
}

// NewPcapng starts a file by writing its section header.
func NewPcapng(w io.Writer, opt PcapngOptions) (*Pcapng, error) {
	f := &Pcapng{opt: opt, out: records{w: w, size: func(b []byte) int {
		return int(binary.LittleEndian.Uint32(b[4:]))
	}}}
	fixed := make([]byte, 16)
	le := binary.LittleEndian
	le.PutUint32(fixed, 0x1a2b3c4d) // byte-order magic
	le.PutUint16(fixed[4:], 1)      // version 1.0
	le.PutUint16(fixed[6:], 0)
	le.PutUint64(fixed[8:], math.MaxUint64) // the section's length is not known
	f.text(shbUserAppl, opt.Application)
	f.text(shbHardware, opt.Hardware)
	f.text(shbOS, opt.OS)
	if err := f.block(blockSection, fixed); err != nil {
		return nil, err
	}
	if err := f.Flush(); err != nil {
		return nil, err
	}
	return f, nil
}

// AddInterface describes the next interface: the first call that with
// Packet.Interface 0. It may be called between packets, but before the first
// packet of that interface.
func (f *Pcapng) AddInterface(in capture.Interface) error {
	if in.LinkType > math.MaxUint16 {
		return fmt.Errorf("describing interface %q: pcapng cannot express link type %d", in.Name, in.LinkType)
	}
	tick, resolution := int64(1000), byte(6)
	if in.Nanoseconds {
		tick, resolution = 1, 9
	}
	fixed := make([]byte, 8)
	binary.LittleEndian.PutUint16(fixed, uint16(in.LinkType))
	binary.LittleEndian.PutUint32(fixed[4:], in.SnapLen) // 0 is no limit here, too
	f.text(ifName, in.Name)
	f.text(ifDescription, in.Description)
	if len(in.MAC) == 6 {
		f.put(ifMACaddr, in.MAC)
	}
	if in.Speed != 0 {
		f.put(ifSpeed, binary.LittleEndian.AppendUint64(nil, in.Speed))
	}
	if f.opt.Filter != "" {
		f.text(ifFilter, "\x00"+f.opt.Filter) // 0: the filter's text
	}
	f.text(ifOS, f.opt.OS)
	f.put(ifTSResol, []byte{resolution})
	if err := f.block(blockInterface, fixed); err != nil {
		return err
	}
	f.ticks = append(f.ticks, tick)
	return nil
}

// Packet writes an enhanced packet block. The interface that p.Interface
// names must have been added. A time before 1970 becomes 1970; a p.Len smaller than
// the data becomes their length, as readers refuse such a packet; a comment is
// cut like any option.
func (f *Pcapng) Packet(p *capture.Packet, in *capture.Interface) error {
	if err := f.check(p, in); err != nil {
		return err
	}
	b, err := f.out.grow(packetBlockSize(p))
	if err != nil {
		return err
	}
	putPacketBlock(b, p, f.ticks[p.Interface])
	return nil
}

func (f *Pcapng) check(p *capture.Packet, _ *capture.Interface) error {
	if uint(p.Interface) >= uint(len(f.ticks)) {
		return f.unknown("writing a packet", p.Interface)
	}
	return nil
}

func (f *Pcapng) append(b []byte, p *capture.Packet) []byte {
	start, size := len(b), packetBlockSize(p)
	b = slices.Grow(b, size)[:start+size]
	putPacketBlock(b[start:], p, f.ticks[p.Interface])
	return b
}

func (f *Pcapng) records() *records { return &f.out }

// packetBlockSize returns how many bytes an enhanced packet block has.
func packetBlockSize(p *capture.Packet) int {
	size := 32 + (len(p.Data)+3)&^3
	if epbFlagsOf(p.Direction) != 0 {
		size += 8
	}
	if len(p.Comment) > 0 {
		size += 4 + (min(len(p.Comment), math.MaxUint16)+3)&^3
	}
	if size > 32+(len(p.Data)+3)&^3 {
		size += 4 // the end of the options
	}
	return size
}

// putPacketBlock makes b, which has its size, an enhanced packet block.
func putPacketBlock(b []byte, p *capture.Packet, tick int64) {
	flags := epbFlagsOf(p.Direction)
	if flags == 0 || len(p.Comment) > 0 {
		putAnyPacketBlock(b, p, flags, tick)
		return
	}
	// This is what most packets are, and half the work.
	padded, size := (len(p.Data)+3)&^3, len(b)
	le := binary.LittleEndian
	t := units(p.Time, tick)
	end := b[24+padded:] // the padding is in the first four bytes
	le.PutUint32(end, 0)
	le.PutUint64(end[4:], epbFlags|4<<16|uint64(flags)<<32)
	le.PutUint64(end[12:], uint64(size)<<32) // behind the end of the options
	le.PutUint64(b, blockPacket|uint64(size)<<32)
	le.PutUint64(b[8:], uint64(uint32(p.Interface))|t&^math.MaxUint32)
	le.PutUint64(b[16:], t&math.MaxUint32|uint64(len(p.Data))<<32)
	le.PutUint32(b[24:], uint32(max(p.Len, len(p.Data))))
	copy(b[28:], p.Data)
}

// epbFlagsOf returns what epb_flags says of a direction, 0 if there is nothing to say.
func epbFlagsOf(d capture.Direction) uint32 {
	switch d { // bits 0 and 1
	case capture.DirectionIn:
		return 1
	case capture.DirectionOut:
		return 2
	}
	return 0
}

// putAnyPacketBlock is like putPacketBlock, for any kind.
func putAnyPacketBlock(b []byte, p *capture.Packet, flags uint32, tick int64) {
	size := len(b)
	comment := p.Comment[:min(len(p.Comment), math.MaxUint16)]
	le := binary.LittleEndian
	le.PutUint32(b, blockPacket)
	le.PutUint32(b[4:], uint32(size))
	le.PutUint32(b[8:], uint32(p.Interface))
	putTime(b[12:], p.Time, tick)
	le.PutUint32(b[20:], uint32(len(p.Data)))
	le.PutUint32(b[24:], uint32(max(p.Len, len(p.Data))))
	end := 28 + copy(b[28:], p.Data)
	for ; end&3 != 0; end++ {
		b[end] = 0
	}
	if len(comment) > 0 {
		le.PutUint16(b[end:], optComment)
		le.PutUint16(b[end+2:], uint16(len(comment)))
		end += 4
		end += copy(b[end:], comment)
		for ; end&3 != 0; end++ {
			b[end] = 0
		}
	}
	if flags != 0 {
		le.PutUint16(b[end:], epbFlags)
		le.PutUint16(b[end+2:], 4)
		le.PutUint32(b[end+4:], flags)
		end += 8
	}
	if end < size-4 {
		le.PutUint32(b[end:], 0) // the end of the options
	}
	le.PutUint32(b[size-4:], uint32(size))
}

// Stats writes the statistics block of the interface with that index, for the
// capture between start and end (either may be zero: not known). Call it last,
// before Close. The counters go where the format has a place for each, and
// also, as libpcap's programs do, into isb_ifrecv and isb_ifdrop, the only
// ones that Wireshark shows.
func (f *Pcapng) Stats(index int, s capture.Stats, start, end time.Time) error {
	if uint(index) >= uint(len(f.ticks)) {
		return f.unknown("writing statistics", index)
	}
	fixed := make([]byte, 12)
	binary.LittleEndian.PutUint32(fixed, uint32(index))
	for _, t := range []struct {
		code uint16
		time time.Time
	}{{isbStartTime, start}, {isbEndTime, end}} {
		if !t.time.IsZero() {
			var v [8]byte
			putTime(v[:], t.time.UnixNano(), f.ticks[index])
			f.put(t.code, v[:])
		}
	}
	if !end.IsZero() {
		putTime(fixed[4:], end.UnixNano(), f.ticks[index])
	}
	for _, c := range []struct {
		code  uint16
		value uint64
	}{
		{isbIfRecv, s.Received}, {isbIfDrop, s.Dropped},
		{isbFilterAccept, s.Received}, {isbOSDrop, s.Dropped},
		{isbUsrDeliv, s.Received - min(s.Dropped, s.Received)},
	} {
		f.put(c.code, binary.LittleEndian.AppendUint64(nil, c.value))
	}
	return f.block(blockStatistics, fixed)
}

// Buffered returns how many bytes are not yet written.
func (f *Pcapng) Buffered() int { return f.out.used }

// Flush writes what is buffered.
func (f *Pcapng) Flush() error { return f.out.flush() }

// Close writes what is buffered. It does not close the io.Writer.
func (f *Pcapng) Close() error { return f.out.close() }

func (f *Pcapng) unknown(doing string, index int) error {
	return fmt.Errorf("%s: interface %d has not been added, there are %d", doing, index, len(f.ticks))
}

// putTime encodes a time in units of so many nanoseconds: its high half comes first.
func putTime(b []byte, ns, tick int64) {
	t := units(ns, tick)
	binary.LittleEndian.PutUint32(b, uint32(t>>32))
	binary.LittleEndian.PutUint32(b[4:], uint32(t))
}

// units returns a time in units of so many nanoseconds.
func units(ns, tick int64) uint64 {
	t := uint64(max(ns, 0))
	if tick > 1 { // the division would cost as much as all the rest of a block
		t /= uint64(tick)
	}
	return t
}

// text adds an option to the next block, unless value is empty.
func (f *Pcapng) text(code uint16, value string) {
	if value != "" {
		f.put(code, []byte(value[:min(len(value), math.MaxUint16)]))
	}
}

// put adds an option to the next block.
func (f *Pcapng) put(code uint16, value []byte) {
	f.option = binary.LittleEndian.AppendUint16(f.option, code)
	f.option = binary.LittleEndian.AppendUint16(f.option, uint16(len(value)))
	f.option = append(f.option, value...)
	f.option = append(f.option, make([]byte, -len(value)&3)...)
}

// block writes a block with this fixed part and the options put before, and
// forgets these.
func (f *Pcapng) block(kind uint32, fixed []byte) error {
	if len(f.option) > 0 {
		f.option = append(f.option, 0, 0, 0, 0) // opt_endofopt
	}
	size := 12 + len(fixed) + len(f.option)
	b, err := f.out.grow(size)
	if err != nil {
		return err
	}
	binary.LittleEndian.PutUint32(b, kind)
	binary.LittleEndian.PutUint32(b[4:], uint32(size))
	copy(b[8:], fixed)
	copy(b[8+len(fixed):], f.option)
	binary.LittleEndian.PutUint32(b[size-4:], uint32(size))
	f.option = f.option[:0]
	return nil
}
