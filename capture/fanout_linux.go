package capture

import (
	"cmp"
	"fmt"
	"slices"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// fanoutTimeout bounds LiveOptions.BlockTimeout where an interface has several rings: for so
// long, packets in the others wait for those that one ring still keeps. Were it much less, a ring would
// soon be full of blocks that are nearly empty when nobody reads for a moment.
const fanoutTimeout = 50 * time.Millisecond

// fanout makes several bound sockets, which let nothing pass yet, one group (PACKET_FANOUT):
// the kernel gives each packet to one of them, by the hash of its flow, or while that one's ring is nearly
// full to another. Then they get their filters.
func fanout(rings []*ring, opt *LiveOptions, ignoreOutgoing bool) error {
	last := rings[len(rings)-1]
	if err := last.openBarrier(); err != nil {
		return err
	}
	mode := unix.PACKET_FANOUT_HASH | unix.PACKET_FANOUT_FLAG_ROLLOVER
	if ignoreOutgoing { // the group does not ask its sockets
		mode |= unix.PACKET_FANOUT_FLAG_IGNORE_OUTGOING
	}
	id := 0
	for i, r := range rings {
		arg := mode<<16 | id
		if i == 0 { // a group of our own
			arg |= unix.PACKET_FANOUT_FLAG_UNIQUEID << 16
		}
		if err := unix.SetsockoptInt(r.fd, unix.SOL_PACKET, unix.PACKET_FANOUT, int(int32(arg))); err != nil {
			if down := r.bound(); down != nil {
				return down
			}
			return fmt.Errorf("joining a fanout group: %w", err)
		}
		if i == 0 {
			got, err := unix.GetsockoptInt(r.fd, unix.SOL_PACKET, unix.PACKET_FANOUT)
			if err != nil {
				return fmt.Errorf("reading the number of the fanout group: %w", err)
			}
			id = got & 0xffff
		}
	}
	// A packet that was on its way to each of the sockets is gone after this, and cannot pass
	// more than one filter.
	if err := last.waitForPackets(); err != nil {
		return err
	}
	for _, r := range rings {
		if err := r.attach(opt); err != nil {
			return err
		}
		if err := r.bound(); err != nil {
			return err
		}
		r.grouped = true
	}
	return nil
}

// Protocols of the barrier: both are IEEE's local experimental ones, which are hardly there.
const (
	barrierProtocol = 0x88b5
	barrierOther    = 0x88b6
)

// openBarrier opens a socket that receives nothing: see waitForPackets.
func (r *ring) openBarrier() error {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("opening a packet socket: %w", err)
	}
	r.barrier, r.barrierAt = fd, barrierProtocol
	if err := attachReturn(fd, 0); err != nil {
		return fmt.Errorf("attaching a filter that lets nothing pass: %w", err)
	}
	if err := bind(fd, barrierProtocol, 0); err != nil {
		return fmt.Errorf("binding a packet socket: %w", err)
	}
	return nil
}

// waitForPackets waits until all packets that the kernel is giving to sockets have arrived. A socket
// of a group cannot be bound again; but binding any that is bound waits for all packets
// (synchronize_net in __unregister_prot_hook, net/packet/af_packet.c).
func (r *ring) waitForPackets() error {
	r.barrierAt ^= barrierProtocol ^ barrierOther
	if err := bind(r.barrier, r.barrierAt, 0); err != nil {
		return fmt.Errorf("waiting for packets on their way: %w", err)
	}
	return nil
}

// idle reports whether the kernel keeps no packets in the block that it fills: it counts a packet
// before it takes the time (tpacket_rcv), so that whatever comes is later than what other
// rings have shown before.
func (r *ring) idle() bool {
	count := (*uint32)(unsafe.Pointer(&r.blockMem()[blockPackets]))
	return r.begun || atomic.LoadUint32(r.status())&unix.TP_STATUS_USER == 0 && atomic.LoadUint32(count) == 0
}

// mayGo reports whether no other ring of its interface can have a packet that is earlier than
// the head of r, which is the earliest of those that are ready.
func (l *Live) mayGo(r *ring) bool {
	for _, other := range l.active {
		if other.index == r.index && !other.ready && !other.idle() {
			return false
		}
	}
	return true
}

// startBlock begins to read the current block. Of several rings it must be in the order of time: CPUs that write to
// a ring at the same time have their place before they have the time.
func (r *ring) startBlock() error {
	err := r.read.reset(r.blockMem())
	if err != nil || !r.grouped || r.read.inOrder() {
		return err
	}
	for ok := true; ok; {
		var p Packet
		if ok, _ = r.read.next(&p); ok {
			r.sorted = append(r.sorted, p)
		}
	}
	slices.SortStableFunc(r.sorted, func(a, b Packet) int { return cmp.Compare(a.Time, b.Time) })
	return nil // an error comes again after them
}

// nextPacket makes the next packet of the current block the head, like blockReader.next.
func (r *ring) nextPacket() (bool, error) {
	if r.next < len(r.sorted) {
		r.head = r.sorted[r.next]
		r.next++
		return true, nil
	}
	r.sorted, r.next = r.sorted[:0], 0
	return r.read.next(&r.head)
}
