package decode

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"

	"github.com/tundump/tundump/capture"
	"github.com/tundump/tundump/filter/header"
)

// packetHeader is the size of what a packet record has in front of the packet.
const packetHeader = 16

// Pcap writes a classic pcap file (version 2.4, little-endian), which has one
// link type and knows neither interfaces nor directions: a Sink.
type Pcap struct {
	out         records
	linkType    uint32
	nanoseconds bool // are the unit of a time's fraction, not microseconds
}

// NewPcap starts a file by writing its header. A snapLen of 0, no limit, is
// written as tcpdump's default of 262,144, as not every reader knows that 0 is none.
func NewPcap(w io.Writer, linkType, snapLen uint32, nanoseconds bool) (*Pcap, error) {
	// The upper bits of the field tell the length of a frame check sequence.
	if linkType > math.MaxUint16 {
		return nil, fmt.Errorf("writing a pcap file: the format cannot express link type %d", linkType)
	}
	if snapLen == 0 {
		snapLen = 262144
	}
	magic := uint32(0xa1b2c3d4)
	if nanoseconds {
		magic = 0xa1b23c4d
	}
	le := binary.LittleEndian
	b := make([]byte, 24)
	le.PutUint32(b, magic)
	le.PutUint16(b[4:], 2)
	le.PutUint16(b[6:], 4)
	le.PutUint32(b[16:], snapLen)
	le.PutUint32(b[20:], linkType)
	if _, err := w.Write(b); err != nil {
		return nil, fmt.Errorf("writing a capture file: %w", err)
	}
	return &Pcap{linkType: linkType, nanoseconds: nanoseconds, out: records{w: w, size: func(b []byte) int {
		return packetHeader + int(le.Uint32(b[8:]))
	}}}, nil
}

// Packet writes a packet record. It is an error if the interface has another
// link type than the file. A time that the format cannot express, before 1970
// or after 2106, becomes the nearest that it can; a p.Len smaller than the data
// becomes their length, as readers refuse such a packet.
func (f *Pcap) Packet(p *capture.Packet, in *capture.Interface) error {
	if err := f.check(p, in); err != nil {
		return err
	}
	b, err := f.out.grow(packetHeader + len(p.Data))
	if err != nil {
		return err
	}
	f.put(b, p)
	return nil
}

func (f *Pcap) check(_ *capture.Packet, in *capture.Interface) error {
	if in.LinkType != f.linkType {
		return fmt.Errorf("writing a packet: interface %q has link type %s, this pcap file has %s, and pcap allows only one: write pcapng instead",
			in.Name, linkName(in.LinkType), linkName(f.linkType))
	}
	return nil
}

func (f *Pcap) append(b []byte, p *capture.Packet) []byte {
	start, size := len(b), packetHeader+len(p.Data)
	b = slices.Grow(b, size)[:start+size]
	f.put(b[start:], p)
	return b
}

func (f *Pcap) records() *records { return &f.out }

// put makes b, which has its size, a packet record.
func (f *Pcap) put(b []byte, p *capture.Packet) {
	const second = 1_000_000_000
	t := min(max(p.Time, 0), math.MaxUint32*second+second-1)
	le := binary.LittleEndian
	le.PutUint32(b, uint32(t/second))
	fraction := uint32(t % second)
	if !f.nanoseconds {
		fraction /= 1000
	}
	le.PutUint32(b[4:], fraction)
	le.PutUint32(b[8:], uint32(len(p.Data)))
	le.PutUint32(b[12:], uint32(max(p.Len, len(p.Data))))
	copy(b[packetHeader:], p.Data)
}

// Buffered returns how many bytes are not yet written.
func (f *Pcap) Buffered() int { return f.out.used }

// Flush writes what is buffered.
func (f *Pcap) Flush() error { return f.out.flush() }

// Close writes what is buffered. It does not close the io.Writer.
func (f *Pcap) Close() error { return f.out.close() }

func linkName(linkType uint32) string {
	if name, _ := header.LinkType(linkType).Name(); name != "" {
		return name
	}
	return strconv.FormatUint(uint64(linkType), 10)
}
