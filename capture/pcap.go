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
	h, err := f.in.peek(pcapRecord)
	if err != nil {
		return f.cut(err, len(h) > 0, "a packet")
	}
	captured := c.order.uint32(h[8:])
	if captured > maxPacket {
		return f.damaged("a packet of %d bytes", captured)
	}
	size := pcapRecord + int(captured)
	b, err := f.in.peek(size)
	if err != nil {
		return f.cut(err, true, "a packet")
	}
	f.in.discard(size)
	*p = Packet{
		Time: int64(c.order.uint32(b))*1e9 + int64(c.order.uint32(b[4:]))*c.fraction,
		Len:  int(max(captured, c.order.uint32(b[12:]))),
		Data: b[pcapRecord:size:size],
	}
	return nil
}

func (c *pcap) scan(f *parser) error {
	b := f.in.buf[f.in.start:f.in.end]
	n := 0
	for len(b)-n >= pcapRecord {
		captured := c.order.uint32(b[n+8:])
		if captured > maxPacket || int(captured) > len(b)-n-pcapRecord {
			break
		}
		n += pcapRecord + int(captured)
		f.packets++
	}
	f.in.start += n
	return nil
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
