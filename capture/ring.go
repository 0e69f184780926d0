package capture

import (
	"encoding/binary"
	"errors"
)

// A TPACKET_V3 ring is an array of blocks; a block holds packets of varying
// size. All numbers are in the machine's byte order, all offsets in bytes
// (include/uapi/linux/if_packet.h; Documentation/networking/packet_mmap.rst).
//
//	block  0 version   4 offset_to_priv   8 block_status   12 num_pkts
//	      16 offset_to_first_pkt   20 blk_len   24 seq_num   32 ts_first   40 ts_last
//	packet 0 next_offset   4 sec   8 nsec   12 snaplen   16 len   20 status
//	      24 mac (2)   26 net (2)   28 rxhash   32 vlan_tci   36 vlan_tpid (2)
//	      48 sockaddr_ll: 48 family (2)   50 protocol (2)   52 ifindex   56 hatype (2)   58 pkttype (1)
//	     mac packet data
const (
	blockStatus  = 8
	blockPackets = 12
	blockFirst   = 16
	blockHeader  = 48

	packetSec     = 4
	packetNsec    = 8
	packetSnapLen = 12
	packetLen     = 16
	packetStatus  = 20
	packetMAC     = 24
	packetTCI     = 32
	packetTPID    = 36
	packetType    = 58
	packetHeader  = 68 // TPACKET3_HDRLEN

	statusVLAN = 1 << 4 // TP_STATUS_VLAN_VALID
	statusTPID = 1 << 6 // TP_STATUS_VLAN_TPID_VALID

	pktOutgoing = 4 // PACKET_OUTGOING

	vlanTagLen = 4
)

var errBlock = errors.New("a block of the packet ring is not as the kernel writes them")

// blockReader reads the packets of one block. It trusts nothing in the block: it is
// memory that is shared with the kernel.
type blockReader struct {
	mem  []byte
	left uint32 // packets not yet read
	off  uint64 // where the next one starts
	err  error  // that ended the block

	snapLen  int
	ethernet bool // VLAN tags are put back
}

// reset starts at the first packet of the block mem.
func (b *blockReader) reset(mem []byte) error {
	b.left, b.err = 0, nil
	if len(mem) < blockHeader {
		return b.bad()
	}
	b.mem = mem
	b.left = binary.NativeEndian.Uint32(mem[blockPackets:])
	b.off = uint64(binary.NativeEndian.Uint32(mem[blockFirst:]))
	return nil
}

// inOrder reports whether the packets that are left are in the order of time.
func (b *blockReader) inOrder() bool {
	off, last := b.off, uint64(0)
	for range b.left {
		if off+packetHeader > uint64(len(b.mem)) {
			break // next will say so
		}
		h := b.mem[off:][:packetHeader]
		t := uint64(binary.NativeEndian.Uint32(h[packetSec:]))<<32 | uint64(binary.NativeEndian.Uint32(h[packetNsec:]))
		if t < last {
			return false
		}
		last = t
		off += uint64(binary.NativeEndian.Uint32(h))
	}
	return true
}

// bad ends a block that is not as it must be.
func (b *blockReader) bad() error {
	b.left, b.err = 0, errBlock
	return errBlock
}

// next makes p the block's next packet, but for its interface; ok is false at the end of the block. An
// error ends the block too, and comes again. Data is part of the block.
func (b *blockReader) next(p *Packet) (ok bool, err error) {
	if b.left == 0 {
		return false, b.err
	}
	if b.off+packetHeader > uint64(len(b.mem)) {
		return false, b.bad()
	}
	var (
		m       = b.mem[b.off:]
		h       = (*[packetHeader]byte)(m)
		capLen  = uint64(binary.NativeEndian.Uint32(h[packetSnapLen:]))
		wireLen = uint64(binary.NativeEndian.Uint32(h[packetLen:]))
		start   = uint64(binary.NativeEndian.Uint16(h[packetMAC:]))
	)
	if start < packetHeader || start+capLen > uint64(len(m)) || capLen > wireLen {
		return false, b.bad()
	}
	p.Time = int64(binary.NativeEndian.Uint32(h[packetSec:]))*1e9 + int64(binary.NativeEndian.Uint32(h[packetNsec:]))
	p.Len = int(wireLen)
	p.Comment = nil
	p.Direction = DirectionIn
	if h[packetType] == pktOutgoing {
		p.Direction = DirectionOut
	}
	// The kernel takes the outermost tag out of the packet (skb_vlan_untag, or the
	// NIC did). TCI 0 is a tag too: only the status says whether there is one.
	if binary.NativeEndian.Uint32(h[packetStatus:])&statusVLAN != 0 && b.ethernet {
		p.Len += vlanTagLen
		if capLen >= 12 { // or else the tag is beyond what was captured
			if start < packetHeader+vlanTagLen {
				return false, b.bad()
			}
			start -= vlanTagLen // PACKET_RESERVE made room
			capLen += vlanTagLen
			putTag(m[start:], h)
		}
	}
	end := start + min(capLen, uint64(b.snapLen))
	p.Data = m[start:end:end]

	// The last packet's next_offset is 0, or not yet written in a block that the
	// kernel has not closed; the count is right in both.
	b.left--
	next := uint64(binary.NativeEndian.Uint32(h[:]))
	if next < packetHeader {
		next = uint64(len(b.mem)) // if there are more, they cannot be found
	}
	b.off += next
	return true, nil
}

// putTag puts the VLAN tag that a packet header tells of into the packet, which begins
// with room for it.
func putTag(m []byte, h *[packetHeader]byte) {
	tpid := uint16(0x8100)
	if binary.NativeEndian.Uint32(h[packetStatus:])&statusTPID != 0 {
		tpid = binary.NativeEndian.Uint16(h[packetTPID:])
	}
	copy(m[:12], m[vlanTagLen:])
	binary.BigEndian.PutUint16(m[12:], tpid)
	binary.BigEndian.PutUint16(m[14:], uint16(binary.NativeEndian.Uint32(h[packetTCI:])))
}
