// Package capture brings packets in: live from network interfaces, through an
// AF_PACKET ring, and from capture files. It knows no filter language: a live
// capture takes a function that attaches a filter to its socket before the socket
// sees its first packet.
package capture

import (
	"context"
	"net"
)

// Direction says which way a packet went, as seen by the interface.
type Direction uint8

const (
	DirectionUnknown Direction = iota
	DirectionIn
	DirectionOut
)

// Packet is one captured packet.
type Packet struct {
	// Time is in nanoseconds since 1970-01-01 00:00 UTC.
	Time int64
	// Interface indexes Source.Interfaces.
	Interface int
	// Len is the packet's length on the wire in bytes; Data may hold less.
	Len       int
	Direction Direction
	// Data starts with the link-layer header, VLAN tag included. It is valid until the
	// next call of Next (but see Keeper), and must not be written to: it may be memory that only the kernel can.
	Data []byte
	// Comment is text for people, to be kept with the packet where a format can; it
	// is valid as long as Data.
	Comment []byte
}

// Interface describes where packets come from.
type Interface struct {
	Name        string
	Description string
	// LinkType is a LINKTYPE_ value (https://www.tcpdump.org/linktypes.html).
	LinkType uint32
	// SnapLen is the most bytes of a packet that are kept; 0 means no limit.
	SnapLen uint32
	// Nanoseconds tells that times are known to the nanosecond, not the microsecond.
	Nanoseconds bool
	MAC         net.HardwareAddr
	// Netmask is that of its first IPv4 address, 0 if it has none or it is not known.
	Netmask uint32
	// BigEndian tells that the machine that captured was: in packets of LINKTYPE_NULL
	// something is in its byte order.
	BigEndian bool
	// Speed is in bits per second, 0 if not known.
	Speed uint64
}

// Stats counts the packets of one interface since the capture began.
type Stats struct {
	// Received counts the packets that passed the filter, dropped ones included.
	Received uint64
	// Dropped counts those of Received that were lost because the ring was full.
	Dropped uint64
}

// Source is a live capture or a file.
type Source interface {
	// Interfaces returns what is known so far; a pcapng file may add to it as
	// it is read. The caller must not write to it.
	Interfaces() []Interface
	// Next waits for the next packet. The error is io.EOF at the end of a file, or of
	// a live capture that was stopped and has been drained.
	Next(ctx context.Context) (Packet, error)
	// Stats returns one entry per interface. A file has none, and returns nil.
	Stats() ([]Stats, error)
	Close() error
}

// Readier is a Source that can say more cheaply what the next packets are as long as they are there
// already. Ready calls take with each that the next calls of Next would return, until Next is to be asked: at the
// latest after readyAtMost. It ends with the error of take, whose packet will not come again. A packet
// is valid until take returns. Interfaces are not added by Ready.
type Readier interface {
	Ready(take func(*Packet) error) error
}

// Keeper is a Source whose packets can stay valid for longer. Keep, which is to be called before Next, makes them so until
// settle has returned, which Next calls when it has to wait, or needs their memory, and whose error it returns.
type Keeper interface {
	Keep(settle func() error)
}

// readyAtMost bounds for how many packets Ready looks neither for the end of a context nor for Stop.
const readyAtMost = 1000
