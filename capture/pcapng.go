package capture

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"math/bits"
	"net"
	"slices"
)

// A pcapng file (draft-ietf-opsawg-pcapng) is a sequence of blocks, in sections, each
// of which has its own byte order and interfaces. Lengths are in bytes.
//
//	block     0 type   4 total length   8 body, padded to 4   total length again
//	section   8 byte-order magic   12 major (2)   14 minor (2)   16 section length (8)   24 options
//	interface 8 link type (2)   12 snaplen   16 options
//	enhanced  8 interface   12 time, upper half   16 lower half   20 captured   24 on the wire
//	         28 packet, padded to 4, options
//	obsolete  the same, but 8 interface (2)   10 drops (2)
//	simple    8 on the wire   12 packet
//	option    0 code (2)   2 length (2)   4 value, padded to 4
const (
	blockSection   = 0x0a0d0d0a // the same in both byte orders
	blockInterface = 1
	blockObsolete  = 2 // "packet block"
	blockSimple    = 3
	blockEnhanced  = 6

	byteOrderMagic        = 0x1a2b3c4d
	byteOrderMagicSwapped = 0x4d3c2b1a

	optionFlags = 2 // of both kinds of packet block

	optionIfName        = 2
	optionIfDescription = 3
	optionIfMAC         = 6
	optionIfSpeed       = 8
	optionIfTsResol     = 9
	optionIfTsOffset    = 14

	// maxBlock is the longest block that we look into: a packet, and options.
	maxBlock = maxPacket + 1<<20
)

type pcapng struct {
	order  order
	first  int     // index in File.Interfaces of the section's first interface
	clocks []clock // of the section's interfaces
}

func (f *File) openPcapng() error {
	c := &pcapng{}
	f.format = c
	// The first interface follows at once in the files of all programs, so that
	// this does not wait for packets.
	var p Packet
	for len(f.interfaces) == 0 {
		if _, err := c.block(&f.parser, &p); err == io.EOF {
			return nil // a file without interfaces is whole, and has no packets
		} else if err != nil {
			return err
		}
	}
	return nil
}

func (c *pcapng) next(f *parser, p *Packet) error {
	for {
		ok, err := c.block(f, p)
		if ok || err != nil {
			return err
		}
	}
}

func (c *pcapng) scan(f *parser) error {
	for {
		b := f.in.buf[f.in.start:f.in.end]
		if len(b) < 12 {
			return nil
		}
		kind, order := c.order.uint32(b), c.order
		if kind == blockSection {
			order = b[8] == byteOrderMagic>>24 // or else block finds that out
		}
		total := order.uint32(b[4:])
		if total < 12 || total%4 != 0 || uint64(total) > uint64(len(b)) {
			return nil
		}
		switch kind {
		case blockSection, blockInterface:
			var p Packet
			if _, err := c.block(f, &p); err != nil {
				return err
			}
			continue
		case blockSimple, blockObsolete, blockEnhanced:
			f.packets++
		}
		f.in.start += int(total)
	}
}

func (c *pcapng) clone() format {
	return &pcapng{order: c.order, first: c.first, clocks: slices.Clone(c.clocks)}
}

// block reads one block, into p if it is a packet: then ok is true.
func (c *pcapng) block(f *parser, p *Packet) (ok bool, err error) {
	h, err := f.in.peek(12) // the shortest block
	if err != nil {
		return false, f.cut(err, len(h) > 0, "a block")
	}
	kind := c.order.uint32(h)
	if kind == blockSection {
		switch order(false).uint32(h[8:]) {
		case byteOrderMagic:
			c.order = false
		case byteOrderMagicSwapped:
			c.order = true
		default:
			return false, f.damaged("a section with the byte-order magic % x", h[8:12])
		}
	}
	total := c.order.uint32(h[4:])
	if total < 12 || total%4 != 0 {
		return false, f.damaged("a block of %d bytes", total)
	}
	var (
		what  string
		least uint32
	)
	switch kind {
	case blockSection:
		what, least = "a section header", 28
	case blockInterface:
		what, least = "an interface description", 20
	case blockSimple:
		what, least = "a packet", 16
	case blockObsolete, blockEnhanced:
		what, least = "a packet", 32
	default:
		f.in.discard(int(total))
		return false, nil
	}
	if total < least || total > maxBlock {
		return false, f.damaged("%s of %d bytes", what, total)
	}
	b, err := f.in.peek(int(total))
	if err != nil {
		return false, f.cut(err, true, what)
	}
	if again := c.order.uint32(b[total-4:]); again != total {
		return false, f.damaged("%s of %d bytes that ends as one of %d", what, total, again)
	}
	body := b[8 : total-4]
	switch kind {
	case blockSection:
		err = c.section(f, body)
	case blockInterface:
		err = c.iface(f, body)
	case blockSimple:
		err = c.simple(f, p, body)
		ok = err == nil
	case blockObsolete:
		err = c.packet(f, p, body, uint32(c.order.uint16(body)))
		ok = err == nil
	case blockEnhanced:
		err = c.packet(f, p, body, c.order.uint32(body))
		ok = err == nil
	}
	f.in.discard(int(total))
	return ok, err
}

func (c *pcapng) section(f *parser, body []byte) error {
	if major, minor := c.order.uint16(body[4:]), c.order.uint16(body[6:]); major != 1 {
		return fmt.Errorf("pcapng version %d.%d is not supported", major, minor)
	}
	c.first = len(f.interfaces)
	c.clocks = c.clocks[:0]
	return nil
}

func (c *pcapng) iface(f *parser, body []byte) error {
	if len(f.interfaces) == maxInterfaces {
		return f.damaged("more than %d interfaces", maxInterfaces)
	}
	iface := Interface{LinkType: normalLinkType(uint32(c.order.uint16(body))), SnapLen: c.order.uint32(body[4:]), BigEndian: bool(c.order)}
	resolution := byte(6)
	var offset int64
	for options := body[8:]; ; {
		code, value, rest, ok := c.option(options)
		if !ok {
			break
		}
		switch {
		case code == optionIfName:
			iface.Name = text(value)
		case code == optionIfDescription:
			iface.Description = text(value)
		case code == optionIfMAC && len(value) == 6:
			iface.MAC = net.HardwareAddr(bytes.Clone(value))
		case code == optionIfSpeed && len(value) == 8:
			iface.Speed = c.order.uint64(value)
		case code == optionIfTsResol && len(value) == 1:
			resolution = value[0]
		case code == optionIfTsOffset && len(value) == 8:
			offset = int64(c.order.uint64(value))
		}
		options = rest
	}
	var k clock
	k, iface.Nanoseconds = newClock(resolution, offset)
	c.clocks = append(c.clocks, k)
	f.interfaces = append(f.interfaces, iface)
	return nil
}

// simple reads a simple packet block: it belongs to the section's first interface, is cut
// to its snapshot length, and has no time.
func (c *pcapng) simple(f *parser, p *Packet, body []byte) error {
	if len(c.clocks) == 0 {
		return f.damaged("a packet of a section without interfaces")
	}
	wire := c.order.uint32(body)
	captured := wire
	if snapLen := f.interfaces[c.first].SnapLen; snapLen > 0 {
		captured = min(captured, snapLen)
	}
	data := body[4:]
	if uint64(captured) > uint64(len(data)) {
		return f.damaged("a packet of %d bytes in a block of %d", captured, len(body)+12)
	}
	*p = Packet{Interface: c.first, Len: int(wire), Data: data[:captured:captured]}
	return nil
}

// packet reads an enhanced or an obsolete packet block of the section's interface id.
func (c *pcapng) packet(f *parser, p *Packet, body []byte, id uint32) error {
	if uint64(id) >= uint64(len(c.clocks)) {
		return f.damaged("a packet of interface %d, and the section has %d", id, len(c.clocks))
	}
	captured, wire, data := c.order.uint32(body[12:]), c.order.uint32(body[16:]), body[20:]
	if uint64(captured) > uint64(len(data)) {
		return f.damaged("a packet of %d bytes in a block of %d", captured, len(body)+12)
	}
	*p = Packet{
		Time:      c.clocks[id].time(uint64(c.order.uint32(body[4:]))<<32 | uint64(c.order.uint32(body[8:]))),
		Interface: c.first + int(id),
		Len:       int(max(captured, wire)),
		Data:      data[:captured:captured],
	}
	for options := data[min(len(data), (int(captured)+3)&^3):]; ; {
		code, value, rest, ok := c.option(options)
		if !ok {
			return nil
		}
		if code == optionFlags && len(value) == 4 {
			switch c.order.uint32(value) & 3 {
			case 1:
				p.Direction = DirectionIn
			case 2:
				p.Direction = DirectionOut
			}
		}
		options = rest
	}
}

// option splits the first option off; ok is false at the end of the options, also where they
// are cut.
func (c *pcapng) option(b []byte) (code uint16, value, rest []byte, ok bool) {
	if len(b) < 4 {
		return 0, nil, nil, false
	}
	code = c.order.uint16(b)
	n := int(c.order.uint16(b[2:]))
	if code == 0 || n > len(b)-4 {
		return 0, nil, nil, false
	}
	return code, b[4 : 4+n], b[min(len(b), 4+(n+3)&^3):], true
}

// text returns a string option, which some programs end with a NUL.
func text(b []byte) string {
	return string(bytes.TrimRight(b, "\x00"))
}

// clock turns the times of one interface into nanoseconds since 1970: ticks * mul / div, shifted
// right, plus offset.
type clock struct {
	mul, div uint64
	shift    uint
	offset   int64 // seconds
}

// newClock returns the clock of if_tsresol (10^-n, or 2^-n with the top bit set) and
// if_tsoffset (seconds), and whether it is finer than a microsecond.
func newClock(resolution byte, offset int64) (k clock, nanoseconds bool) {
	n := uint(resolution & 0x7f)
	k = clock{mul: 1, div: 1, offset: offset}
	switch {
	case resolution&0x80 != 0:
		k.mul, k.shift = 1e9, n
		return k, n > 19
	case n <= 9:
		k.mul = pow10(9 - n)
	case n <= 9+19:
		k.div = pow10(n - 9)
	default:
		k.mul = 0 // 2^64 ticks are less than a nanosecond
	}
	return k, n > 6
}

func pow10(n uint) uint64 {
	p := uint64(1)
	for range n {
		p *= 10
	}
	return p
}

// time returns the nanoseconds; a time beyond the years that they can hold becomes the last one
// that they can.
func (k *clock) time(ticks uint64) int64 {
	const second = int64(1e9)
	hi, lo := bits.Mul64(ticks, k.mul)
	switch {
	case k.shift >= 64:
		hi, lo = 0, hi>>(k.shift-64)
	case k.shift > 0:
		hi, lo = hi>>k.shift, hi<<(64-k.shift)|lo>>k.shift
	}
	if k.div > 1 {
		lo /= k.div // mul is 1, and hi 0
	}
	if hi != 0 || lo > math.MaxInt64 {
		lo = math.MaxInt64
	}
	t := int64(lo)
	switch {
	case k.offset == 0:
		return t
	case k.offset > math.MaxInt64/second || k.offset > 0 && t > math.MaxInt64-k.offset*second:
		return math.MaxInt64
	case k.offset < math.MinInt64/second:
		return math.MinInt64
	}
	return t + k.offset*second
}
