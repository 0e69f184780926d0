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
		r.ahead = newBatches(r.read)
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

// batches reads blocks of a ring in a goroutine of its own, each into a batch of packets. All
// else of the ring is its owner's.
type batches struct {
	blocks  chan []byte // to be read
	done    chan batch  // what was asked for with blocks
	pending bool        // a block was handed over, and its batch not taken
	now     batch       // that is being returned
	next    int         // the first in it that was not
}

// batch is the packets of a block.
type batch struct {
	packets []Packet
	err     error // after them
}

// newBatches starts the goroutine. reader says how blocks are read.
func newBatches(reader blockReader) *batches {
	b := &batches{blocks: make(chan []byte, 1), done: make(chan batch, 1)}
	go func() {
		var spare [2][]Packet // one is being returned while the other is filled
		for mem := range b.blocks {
			packets := spare[0][:0]
			err := reader.reset(mem)
			for ok := err == nil; ok; {
				var p Packet
				if ok, err = reader.next(&p); ok {
					packets = append(packets, p)
				}
			}
			// CPUs that write to the ring at the same time have their place before they have the time.
			byTime := func(a, b Packet) int { return cmp.Compare(a.Time, b.Time) }
			if !slices.IsSortedFunc(packets, byTime) { // most are, and to find that costs less
				slices.SortStableFunc(packets, byTime)
			}
			spare[0], spare[1] = spare[1], packets
			b.done <- batch{packets, err}
		}
	}()
	return b
}

// start hands a block over, if none is.
func (b *batches) start(mem []byte) {
	if !b.pending {
		b.pending = true
		b.blocks <- mem
	}
}

// take makes the block that was handed over the one whose packets are returned.
func (b *batches) take() {
	b.now, b.next, b.pending = <-b.done, 0, false
}

// packet is like blockReader.next.
func (b *batches) packet(p *Packet) (bool, error) {
	if b.next == len(b.now.packets) {
		return false, b.now.err
	}
	*p = b.now.packets[b.next]
	b.next++
	return true, nil
}

// close ends the goroutine; it reads no more when close returns.
func (b *batches) close() {
	if b.pending {
		<-b.done
	}
	close(b.blocks)
}

// readAhead hands the block that comes next to the ring's goroutine, if the kernel has filled it.
func (r *ring) readAhead() {
	if r.ahead == nil || r.ahead.pending || r.begun {
		return
	}
	block := r.block
	if r.held {
		block = r.following()
	}
	mem := r.mem[block*r.blockSize:][:r.blockSize]
	if atomic.LoadUint32((*uint32)(unsafe.Pointer(&mem[blockStatus])))&unix.TP_STATUS_USER != 0 {
		r.ahead.start(mem)
	}
}

// startBlock begins to read the current block.
func (r *ring) startBlock() error {
	if r.ahead == nil {
		return r.read.reset(r.blockMem())
	}
	r.ahead.start(r.blockMem())
	r.ahead.take()
	return nil
}

// nextPacket makes the next packet of the current block the head, like blockReader.next.
func (r *ring) nextPacket() (bool, error) {
	if r.ahead == nil {
		return r.read.next(&r.head)
	}
	return r.ahead.packet(&r.head)
}
