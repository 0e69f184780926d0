package capture

import "fmt"

// A pcap file (draft-ietf-opsawg-pcap) is a header of 24 bytes and records of 16 bytes
// and a packet each:
//
//	file   0 magic   4 major (2)   6 minor (2)   8 reserved   16 snaplen   20 link type
//	record 0 seconds   4 micro- or nanoseconds   8 captured   12 on the wire
const (
	magicMicro        = 0xa1b2c3d4
	magicMicroSwapped = 0xd4c3b2a1
	magicNano         = 0xa1b23c4d
	magicNanoSwapped  = 0x4d3cb2a1

	pcapHeader = 24
	pcapRecord = 16
)

type pcap struct {
	order    order
	fraction int64 // nanoseconds in the unit of the second half of a time
}

func (f *File) openPcap(o order, nano bool) error {
	h, err := f.in.peek(pcapHeader)
	if err != nil {
		return f.cut(err, true, "its header")
	}
	if major, minor := o.uint16(h[4:]), o.uint16(h[6:]); major != 2 {
		return fmt.Errorf("pcap version %d.%d is not supported", major, minor)
	}
	c := &pcap{order: o, fraction: 1000}
	if nano {
		c.fraction = 1
	}
	f.format = c
	// The upper bits tell the length of a frame check sequence.
	f.interfaces = []Interface{{
		LinkType: normalLinkType(o.uint32(h[20:]) & 0xffff), SnapLen: o.uint32(h[16:]), Nanoseconds: nano, BigEndian: bool(o),
	}}
	f.in.discard(pcapHeader)
	return nil
}

func (c *pcap) next(f *parser, p *Packet) error {
	// Nearly always it is in the buffer.
	in := &f.in
	b, size, ok := c.record(in.buf[in.start:in.end])
	if !ok {
		h, err := in.peek(pcapRecord)
		if err != nil {
			return f.cut(err, len(h) > 0, "a packet")
		}
		captured := c.order.uint32(h[8:])
		if captured > maxPacket {
			return f.damaged("a packet of %d bytes", captured)
		}
		size = pcapRecord + int(captured)
		if b, err = in.peek(size); err != nil {
			return f.cut(err, true, "a packet")
		}
	}
	in.start += size
	// One by one, which is faster than a Packet that is made and copied.
	p.Time = int64(c.order.uint32(b[:4]))*1e9 + int64(c.order.uint32(b[4:8]))*c.fraction
	p.Interface, p.Direction = 0, DirectionUnknown
	p.Len = max(size-pcapRecord, int(c.order.uint32(b[12:16])))
	p.Data, p.Comment = b[pcapRecord:size:size], nil
	return nil
}

// record returns the first packet in b, and its header, if it is there.
func (c *pcap) record(b []byte) (record []byte, size int, ok bool) {
	if len(b) < pcapRecord {
		return nil, 0, false
	}
	size = pcapRecord + int(c.order.uint32(b[8:12]))
	return b, size, size <= min(len(b), pcapRecord+maxPacket)
}

func (c *pcap) scan(f *parser) error {
	for b := f.in.buf[f.in.start:f.in.end]; ; f.packets++ {
		_, size, ok := c.record(b)
		if !ok {
			return nil
		}
		b = b[size:]
		f.in.start += size
	}
}

func (c *pcap) clone() format { return c }

// normalLinkType maps the platform's own numbers for raw IP (DLT_RAW), which some
// programs write to files, to LINKTYPE_RAW.
func normalLinkType(t uint32) uint32 {
	if t == 12 || t == 14 {
		return 101
	}
	return t
}
