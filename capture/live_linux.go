package capture

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"unsafe"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Live is a capture from network interfaces. One goroutine calls Next and, at the
// end, Close; Stop and Stats may be called from any.
type Live struct {
	opt        LiveOptions
	places     []*place
	interfaces []Interface
	rings      []*ring       // of one interface stand together, LiveOptions.Fanout of them
	active     []*ring       // those that are not closed
	polls      []unix.PollFd // one for each active ring, one for each place, and the last for wake
	last       *ring         // whose packet the last Next returned
	wake       *waker
	mapped     bool         // the rings that OpenLive has made
	settle     func() error // nil if nobody keeps packets

	stopped  atomic.Bool
	draining bool // stopped, and the kernel writes to no ring any more

	// mu is for what follows, the statistics of the rings, their filters, and to change draining.
	mu     sync.Mutex
	closed bool
}

// OpenLive starts to capture from the named interfaces: from its return on, whatever passes the
// filter is captured. A name may be a pattern (see IsPattern); then interfaces that match
// and come up later are picked up as well, and that they are none yet is no error. Unless
// LiveOptions.Namespaces are given, Next must then be called in the network namespace that
// OpenLive was called in. It needs CAP_NET_RAW. An error starts with the name of the interface.
func OpenLive(names []string, opt LiveOptions) (*Live, error) {
	if len(names) == 0 {
		return nil, errors.New("no interface to capture from")
	}
	setDefaults(&opt.SnapLen, &opt.BufferSize, &opt.Namespaces)
	if opt.BlockTimeout <= 0 {
		opt.BlockTimeout = DefaultBlockTimeout
	}
	if opt.Fanout == 0 {
		opt.Fanout = 1
	}
	if opt.Fanout < 1 || opt.Fanout > MaxFanout {
		return nil, fmt.Errorf("%d rings for each interface: 1 to %d are possible", opt.Fanout, MaxFanout)
	}
	if opt.Fanout > 1 {
		opt.BlockTimeout = min(opt.BlockTimeout, fanoutTimeout)
	}
	wake, err := newWaker()
	if err != nil {
		return nil, err
	}
	l := &Live{opt: opt, wake: wake}
	if err := l.openAll(names); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// openAll opens the interfaces in all namespaces: first those that are named, then those that
// match patterns.
func (l *Live) openAll(names []string) error {
	var exact, patterns []string
	for _, name := range names {
		if IsPattern(name) {
			patterns = append(patterns, name)
		} else {
			exact = append(exact, name)
		}
	}
	for _, n := range l.opt.Namespaces {
		p, err := newPlace(n, patterns)
		if err != nil {
			return err
		}
		l.places = append(l.places, p)
		for _, name := range exact {
			rings, err := p.open(name, &l.opt)
			if err != nil {
				return fmt.Errorf("%s: %w", p.interfaceName(name), err)
			}
			p.known[rings[0].ifindex] = true
			l.add(rings, p)
		}
		if len(patterns) == 0 {
			continue
		}
		if _, err := l.pickUp(p); err != nil {
			return err
		}
	}
	l.watchFiles()
	return nil
}

// add takes over the rings of an interface.
func (l *Live) add(rings []*ring, p *place) {
	for _, r := range rings {
		r.index, r.place = len(l.interfaces), p
	}
	l.rings = append(l.rings, rings...)
	l.active = append(l.active, rings...)
	l.interfaces = append(l.interfaces, rings[0].iface)
}

// pickUp opens the interfaces of a place that match its patterns, and returns how many.
func (l *Live) pickUp(p *place) (int, error) {
	found, err := p.scan(&l.opt, maxInterfaces-len(l.interfaces), func(name string, err error) {
		if l.opt.OnDown != nil {
			l.opt.OnDown(Interface{Name: name}, err)
		}
	})
	if err != nil {
		return 0, err
	}
	for _, rings := range found {
		l.add(rings, p)
	}
	return len(found), nil
}

// watchFiles lists what poll waits for.
func (l *Live) watchFiles() {
	l.polls = l.polls[:0]
	for _, r := range l.active {
		l.polls = append(l.polls, unix.PollFd{Fd: int32(r.fd), Events: unix.POLLIN})
	}
	for _, p := range l.places { // poll(2) skips a descriptor of -1
		l.polls = append(l.polls, unix.PollFd{Fd: int32(p.events), Events: unix.POLLIN})
	}
	l.polls = append(l.polls, l.wake.poll())
}

// Interfaces returns the interfaces in the order in which OpenLive was given them; Next may add
// some that match a pattern.
func (l *Live) Interfaces() []Interface { return l.interfaces }

// BufferSize returns the size in bytes of the rings of interface i together. It is less than was
// asked for if the kernel did not have that much memory.
func (l *Live) BufferSize(i int) (size int) {
	for _, r := range l.rings {
		if r.index == i {
			size += r.size
		}
	}
	return size
}

// Next waits for the next packet. Of the packets that are there on several
// interfaces it returns the earliest first. The error is ctx.Err() when ctx is done, and Next
// may then be called again; io.EOF after Stop, when all that had passed the filter
// was returned; ErrInterfaceGone, with the interface's name in front, when the last
// interface was removed.
func (l *Live) Next(ctx context.Context) (Packet, error) {
	if r := l.last; r != nil {
		l.last = nil
		r.ready = false
	}
	if !l.mapped {
		for _, r := range l.active {
			if err := mapRings([]*ring{r}); err != nil {
				return Packet{}, fmt.Errorf("%s: %w", r.iface.Name, err)
			}
		}
		l.mapped = true
	}
	l.wake.watch(ctx)
	for {
		select {
		case <-l.wake.done:
			return Packet{}, ctx.Err()
		default:
		}
		if !l.draining && l.stopped.Load() {
			if err := l.quiesce(); err != nil {
				return Packet{}, err
			}
		}
		var first *ring
		for _, r := range l.active {
			if err := l.advance(r); err != nil {
				return Packet{}, err
			}
			if r.ready && (first == nil || r.head.Time < first.head.Time) {
				first = r
			}
		}
		if first != nil && (l.opt.Fanout == 1 || l.mayGo(first)) {
			l.last = first
			return first.head, nil
		}
		if l.draining {
			return Packet{}, io.EOF
		}
		if err := l.poll(); err != nil {
			return Packet{}, err
		}
	}
}

// Keep is that of Keeper.
func (l *Live) Keep(settle func() error) { l.settle = settle }

// giveBack lets the kernel fill the blocks that were read, which nobody keeps then.
func (l *Live) giveBack() error {
	if !slices.ContainsFunc(l.active, func(r *ring) bool { return r.kept > 0 }) {
		return nil
	}
	if l.settle != nil {
		if err := l.settle(); err != nil {
			return err
		}
	}
	for _, r := range l.active {
		r.giveBack()
	}
	return nil
}

// Ready calls take with the packets that the next calls of Next would return, as far as they are in blocks
// that are being read already.
func (l *Live) Ready(take func(*Packet) error) error {
	r := l.last
	if r == nil {
		return nil
	}
	if len(l.active) > 1 {
		return l.merge(take)
	}
	p := &r.head
	for range readyAtMost {
		if ok, _ := r.read.next(p); !ok { // follow does the same, but its calls cost as much as all this
			l.last, r.ready = nil, false
			return nil
		}
		if r.only != DirectionUnknown && p.Direction != r.only {
			continue
		}
		if err := take(p); err != nil {
			return err
		}
	}
	return nil
}

// merge is Ready for several rings. The order is that of Next, which looks for the next block of a ring.
func (l *Live) merge(take func(*Packet) error) error {
	l.last.ready = l.last.follow()
	ended := !l.last.ready
	l.last = nil
	may := -1 // the interface whose packets may go
	for range readyAtMost {
		if ended {
			return nil
		}
		var first *ring
		for _, r := range l.active {
			if !r.ready {
				if r.filled() {
					return nil
				}
			} else if first == nil || r.head.Time < first.head.Time {
				first = r
			}
		}
		// What may go may do so until another block is read.
		if l.opt.Fanout > 1 && first.index != may {
			if !l.mayGo(first) {
				return nil
			}
			may = first.index
		}
		err := take(&first.head)
		first.ready = first.follow()
		ended = !first.ready
		if err != nil {
			return err
		}
	}
	return nil
}

// quiesce makes the kernel write no more to the rings.
func (l *Live) quiesce() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range l.active {
		if err := r.quiesce(); err != nil {
			return fmt.Errorf("%s: stopping the capture: %w", r.iface.Name, err)
		}
	}
	l.draining = true
	return nil
}

// SetFilter replaces the filters of all interfaces by what attach, which is like
// LiveOptions.Filter, attaches. The kernel switches each socket from one packet to the next:
// each packet is judged by the old filter or by the new one. It may be called from any goroutine;
// after Stop there is nothing to replace, and after Close it returns net.ErrClosed.
func (l *Live) SetFilter(attach func(conn syscall.RawConn, iface Interface) error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return net.ErrClosed
	}
	if l.draining { // and a filter would let packets in again
		return nil
	}
	l.opt.Filter = attach
	for _, r := range l.active {
		if err := attach(rawConn{r.fd}, r.iface); err != nil {
			return fmt.Errorf("%s: replacing the filter: %w", r.iface.Name, err)
		}
	}
	return nil
}

// Stop ends the capture: Next returns what had passed the filters until now, and
// then io.EOF. It may be called from any goroutine, more than once, and after Close.
func (l *Live) Stop() {
	l.stopped.Store(true)
	l.wake.signal()
}

// downCheck is how often, in milliseconds, we look whether an interface that went down
// has been removed: the kernel reports only the first of the two.
const downCheck = 500

// poll waits until there may be something to do.
func (l *Live) poll() error {
	if err := l.giveBack(); err != nil { // poll(2) does not wait while the block before the next one is ours
		return err
	}
	if err := l.retire(); err != nil {
		return err
	}
	timeout := -1
	alive := false
	for i, r := range l.active {
		l.polls[i].Revents, l.polls[i].Events = 0, unix.POLLIN
		if r.ready { // we wait for what another ring of its interface keeps
			l.polls[i].Events = 0
		}
		if r.gone {
			l.polls[i].Fd = -1
			continue
		}
		alive = true
		if r.wasDown {
			timeout = downCheck
		}
	}
	places := l.polls[len(l.active) : len(l.polls)-1]
	for i := range places {
		places[i].Revents = 0
		alive = alive || places[i].Fd >= 0
	}
	if !alive { // and what they had captured was returned
		return fmt.Errorf("%s: %w", l.rings[len(l.rings)-1].iface.Name, ErrInterfaceGone)
	}
	_, err := unix.Poll(l.polls, timeout)
	if err != nil && err != unix.EINTR {
		return fmt.Errorf("waiting for packets: %w", err)
	}
	if err != nil {
		return nil
	}
	if l.polls[len(l.polls)-1].Revents != 0 {
		l.wake.reset()
	}
	for i, r := range l.active {
		if r.gone || !r.wasDown && l.polls[i].Revents&(unix.POLLERR|unix.POLLHUP|unix.POLLNVAL) == 0 {
			continue
		}
		lost, err := r.check()
		if err != nil {
			return fmt.Errorf("%s: %w", r.iface.Name, err)
		}
		if lost != nil && r.reports && l.opt.OnDown != nil {
			l.opt.OnDown(r.iface, lost)
		}
	}
	for i, p := range l.places {
		if places[i].Revents != 0 && !l.stopped.Load() {
			if err := l.changed(p); err != nil {
				return err
			}
		}
	}
	return nil
}

// changed looks which interfaces have come to a place.
func (l *Live) changed(p *place) error {
	if err := p.drain(); err != nil {
		return err
	}
	l.mu.Lock() // or SetFilter would miss a ring that is being opened
	n, err := l.pickUp(p)
	l.watchFiles()
	l.mu.Unlock()
	if err != nil {
		return err
	}
	for _, in := range l.interfaces[len(l.interfaces)-n:] {
		if l.opt.OnUp != nil {
			l.opt.OnUp(in)
		}
	}
	return nil
}

// retire frees the rings of interfaces that were removed, when all that they had captured was
// returned: where interfaces come and go they would become ever more.
func (l *Live) retire() error {
	for i := 0; i < len(l.active); i++ {
		r := l.active[i]
		if !r.gone || !r.begun || r.ready || r.held || len(l.active) == 1 && l.places[0].events < 0 {
			continue
		}
		l.mu.Lock()
		err := errors.Join(r.count(), r.close())
		l.active = append(l.active[:i], l.active[i+1:]...)
		if !slices.ContainsFunc(l.active, func(other *ring) bool { return other.index == r.index }) {
			delete(r.place.known, r.ifindex)
		}
		l.watchFiles()
		l.mu.Unlock()
		if err != nil {
			return fmt.Errorf("%s: %w", r.iface.Name, err)
		}
		i--
	}
	return nil
}

// Stats returns the counts of each interface since OpenLive. After Close it returns
// net.ErrClosed.
func (l *Live) Stats() ([]Stats, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, net.ErrClosed
	}
	all := make([]Stats, len(l.interfaces))
	for _, r := range l.rings {
		if err := r.count(); err != nil {
			return nil, fmt.Errorf("%s: %w", r.iface.Name, err)
		}
		all[r.index].Received += r.stats.Received
		all[r.index].Dropped += r.stats.Dropped
	}
	return all, nil
}

// Close ends the capture at once and frees the rings: the last packet's data is no
// longer valid.
func (l *Live) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return net.ErrClosed
	}
	l.closed = true
	errs := []error{l.wake.close()}
	for _, r := range l.active {
		errs = append(errs, r.close())
	}
	for _, p := range l.places {
		errs = append(errs, p.close())
	}
	return errors.Join(errs...)
}

// ring is a socket and a packet ring of one interface.
type ring struct {
	iface     Interface
	ifindex   int
	place     *place
	only      Direction // which packets are taken, DirectionUnknown is all
	index     int       // in Live.Interfaces
	fd        int
	size      int // of the ring, in bytes
	blockSize int
	mem       []byte // the ring; nil until it is mapped

	block int  // the block that we read, or wait for
	held  bool // that block is being read
	kept  int  // how many blocks before it were, and are not given back
	read  blockReader
	head  Packet // the next packet to return
	ready bool   // there is one

	// These are of interfaces that have several rings.
	grouped   bool     // the kernel fills them in turn
	sorted    []Packet // of the current block, if they were not in order
	next      int      // of these
	barrier   int      // socket of waitForPackets; -1 but in the last ring
	barrierAt uint16   // its protocol

	reports bool // what becomes of the interface
	wasDown bool // and so may have been removed since
	gone    bool
	final   bool // the kernel writes no more
	begun   bool // final, and block is, or was, the one that the kernel had begun

	stats Stats
}

// openRings opens a capture of one interface of the calling thread's network namespace, which
// place is the name of. From then on it captures; the rings are yet to be mapped.
func openRings(name, place string, opt *LiveOptions) (rings []*ring, err error) {
	link, linkType, sockType, err := lookUp(name)
	if err != nil {
		return nil, err
	}
	attrs := link.Attrs()
	iface, err := describe(link, linkType, place, opt.SnapLen, opt.Accept)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = closeRings(rings)
			rings = nil
		}
	}()
	if opt.Prepare != nil {
		opt.Prepare(iface)
	}
	loopback := attrs.Flags&net.FlagLoopback != 0
	for range opt.Fanout {
		r := &ring{
			ifindex: attrs.Index, only: opt.Direction, iface: iface, barrier: -1,
			read: blockReader{snapLen: int(opt.SnapLen), ethernet: linkType == linkEthernet},
		}
		if loopback && opt.Fanout > 1 { // before Linux 5.11 a group does not ignore outgoing packets
			r.only = DirectionIn
		}
		// Protocol 0: the socket receives nothing until it is bound. A socket of ETH_P_ALL
		// would at once queue the packets of all interfaces, unfiltered.
		r.fd, err = unix.Socket(unix.AF_PACKET, sockType|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if errors.Is(err, unix.EPERM) {
			return rings, fmt.Errorf("capturing needs the capability CAP_NET_RAW (run as root, or setcap cap_net_raw+ep on the program): %w", err)
		}
		if err != nil {
			return rings, fmt.Errorf("opening a packet socket: %w", err)
		}
		rings = append(rings, r)
		if err := r.setUp(attrs.Name, opt, loopback); err != nil {
			return rings, err
		}
	}
	rings[len(rings)-1].reports = true
	if len(rings) > 1 {
		return rings, fanout(rings, opt, loopback || opt.Direction == DirectionIn)
	}
	return rings, nil
}

// describe returns what we know of an interface that is up and, if accept is not nil, accepted.
func describe(link netlink.Link, linkType uint32, place string, snapLen uint32, accept func(Interface) error) (Interface, error) {
	attrs := link.Attrs()
	if attrs.Flags&net.FlagUp == 0 {
		return Interface{}, fmt.Errorf("%w (ip link set %s up)", ErrInterfaceDown, attrs.Name)
	}
	iface := Interface{
		Name: placeName(place, attrs.Name), Description: attrs.Alias, LinkType: linkType, SnapLen: snapLen,
		Nanoseconds: true, MAC: attrs.HardwareAddr, Speed: speed(attrs.Name), Netmask: netmask(link),
	}
	if accept != nil {
		if err := accept(iface); err != nil {
			return Interface{}, err
		}
	}
	return iface, nil
}

func closeRings(rings []*ring) error {
	var errs []error
	for _, r := range rings {
		errs = append(errs, r.close())
	}
	return errors.Join(errs...)
}

// setUp makes a new socket receive into its ring.
func (r *ring) setUp(name string, opt *LiveOptions, loopback bool) error {
	if err := unix.SetsockoptInt(r.fd, unix.SOL_PACKET, unix.PACKET_VERSION, unix.TPACKET_V3); err != nil {
		return fmt.Errorf("asking for TPACKET_V3: %w", err)
	}
	// Room for a VLAN tag in front of each packet. (The kernel's padding would do; this
	// does not depend on it.)
	if err := unix.SetsockoptInt(r.fd, unix.SOL_PACKET, unix.PACKET_RESERVE, vlanTagLen); err != nil {
		return fmt.Errorf("reserving room for VLAN tags: %w", err)
	}
	// On a loopback interface each packet passes twice, out and in; like libpcap
	// we take the second.
	if loopback || opt.Direction == DirectionIn {
		if err := unix.SetsockoptInt(r.fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1); err != nil {
			return fmt.Errorf("ignoring outgoing packets: %w", err)
		}
	}
	if err := r.setTimeStamps(name, opt.TimeStamps); err != nil {
		return err
	}
	if err := r.allocate(opt); err != nil {
		return err
	}
	// The filter comes before bind, so that it sees every packet that the socket sees; but late, to
	// leave time for Prepare. Until several sockets are a group, each would get every packet.
	if opt.Fanout > 1 {
		if err := attachReturn(r.fd, 0); err != nil {
			return fmt.Errorf("attaching a filter that lets nothing pass: %w", err)
		}
	} else if err := r.attach(opt); err != nil {
		return err
	}
	if opt.Promiscuous && !loopback {
		if err := r.promiscuous(); err != nil {
			return err
		}
	}
	if err := bind(r.fd, unix.ETH_P_ALL, r.ifindex); err != nil {
		return fmt.Errorf("binding the packet socket: %w", err)
	}
	return r.bound()
}

// promiscuous asks for packets to other stations as well. That ends with the socket.
func (r *ring) promiscuous() error {
	mreq := &unix.PacketMreq{Ifindex: int32(r.ifindex), Type: unix.PACKET_MR_PROMISC}
	if err := unix.SetsockoptPacketMreq(r.fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, mreq); err != nil {
		return fmt.Errorf("setting promiscuous mode: %w", err)
	}
	return nil
}

// attach attaches the filter.
func (r *ring) attach(opt *LiveOptions) error {
	if opt.Filter != nil {
		if err := opt.Filter(rawConn{r.fd}, r.iface); err != nil {
			return fmt.Errorf("attaching the filter: %w", err)
		}
	} else if err := attachReturn(r.fd, opt.SnapLen); err != nil {
		return fmt.Errorf("setting the snapshot length: %w", err)
	}
	return nil
}

// bound finds out whether the socket is bound to an interface that is up.
func (r *ring) bound() error {
	// bind accepts an interface that went down meanwhile, and leaves an error behind.
	if soerr, err := unix.GetsockoptInt(r.fd, unix.SOL_SOCKET, unix.SO_ERROR); err != nil {
		return fmt.Errorf("binding the packet socket: %w", err)
	} else if soerr == int(unix.ENETDOWN) {
		return ErrInterfaceDown
	} else if soerr != 0 {
		return fmt.Errorf("binding the packet socket: %w", unix.Errno(soerr))
	}
	return nil
}

// allocate sets up the ring, in as many blocks as the kernel has memory for.
func (r *ring) allocate(opt *LiveOptions) error {
	const frame = 2048 // TPACKET_V3 does no more than check it
	var blocks int
	r.blockSize, blocks = ringSize(opt.BufferSize, int(opt.SnapLen))
	timeout := min(max(1, opt.BlockTimeout.Milliseconds()), math.MaxUint16) // the kernel keeps 16 bits
	blocks, err := withFewer(blocks, func(n int) error {
		return unix.SetsockoptTpacketReq3(r.fd, unix.SOL_PACKET, unix.PACKET_RX_RING, &unix.TpacketReq3{
			Block_size: uint32(r.blockSize), Block_nr: uint32(n),
			Frame_size: frame, Frame_nr: uint32(r.blockSize / frame * n),
			Retire_blk_tov: uint32(timeout),
		})
	})
	r.size = blocks * r.blockSize
	if err != nil {
		return fmt.Errorf("allocating a ring of %d KiB: %w", r.size>>10, err)
	}
	return nil
}

// mapRings lets us read rings, those that we cannot yet. For 64 MiB the kernel takes 5 ms, and writes to
// them already.
func mapRings(rings []*ring) (err error) {
	for _, r := range rings {
		if r.mem != nil {
			continue
		}
		if r.mem, err = unix.Mmap(r.fd, 0, r.size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
			return fmt.Errorf("mapping a ring of %d KiB: %w", r.size>>10, err)
		}
	}
	return nil
}

// ringSize divides a buffer into blocks. A packet never spans two and is cut if it is longer
// than one, so that a block holds at least the longest packet. Otherwise it has 2 MiB: waking up for
// each block is dear, so that with 1 MiB a packet of 128 bytes costs a tenth more. But a block that is handed over
// at its timeout takes its place however little is in it: the 32 of the default buffer last for three
// seconds in which nobody reads. A smaller buffer has at least eight, if that is possible.
func ringSize(buffer, snapLen int) (block, blocks int) {
	const overhead = 4096 // of a block and its packet, amply
	block = 2 << 20
	for 8*block > buffer && block/2 >= snapLen+overhead {
		block /= 2
	}
	return block, max(2, buffer/block)
}

// withFewer calls f with n, and while that lacks memory, with half of it, down to 2.
func withFewer(n int, f func(n int) error) (int, error) {
	for {
		err := f(n)
		if !errors.Is(err, unix.ENOMEM) || n <= 2 {
			return n, err
		}
		n = max(2, n/2)
	}
}

// blockMem returns the block that we read, or wait for.
func (r *ring) blockMem() []byte {
	return r.mem[r.block*r.blockSize:][:r.blockSize]
}

// following returns the block after the one that we read, or wait for.
func (r *ring) following() int { return (r.block + 1) % (r.size / r.blockSize) }

// status returns the word through which the kernel and we hand each other the block.
func (r *ring) status() *uint32 {
	return (*uint32)(unsafe.Pointer(&r.blockMem()[blockStatus]))
}

// filled reports whether advance has a block to read.
func (r *ring) filled() bool {
	return !r.begun && (r.final || atomic.LoadUint32(r.status())&unix.TP_STATUS_USER != 0)
}

// follow makes the next packet of the block that is being read the head, if there is one. If not, advance comes
// to the same, and handles it.
func (r *ring) follow() bool {
	for {
		if ok, _ := r.nextPacket(); !ok {
			return false
		}
		r.head.Interface = r.index
		if r.only == DirectionUnknown || r.head.Direction == r.only {
			return true
		}
	}
}

// advance makes the next packet of a ring ready, if there is one.
func (l *Live) advance(r *ring) error {
	for !r.ready {
		if !r.held {
			if l.settle == nil {
				r.giveBack()
			} else if r.kept > r.size/r.blockSize/keptPart {
				if err := l.giveBack(); err != nil {
					return err
				}
			}
			if r.begun {
				return nil
			}
			if atomic.LoadUint32(r.status())&unix.TP_STATUS_USER == 0 {
				if !r.final {
					return nil
				}
				// The kernel has begun to fill this block, would hand it over at its
				// timeout, and has no other: take it now.
				r.begun = true
			}
			if err := r.startBlock(); err != nil {
				return fmt.Errorf("%s: %w", r.iface.Name, err)
			}
			r.held = true
		}
		var err error
		if r.ready, err = r.nextPacket(); err != nil {
			return fmt.Errorf("%s: %w", r.iface.Name, err)
		}
		r.head.Interface = r.index
		if r.ready {
			r.ready = r.only == DirectionUnknown || r.head.Direction == r.only
		} else {
			r.held = false
			r.kept++
			r.block = r.following()
		}
	}
	return nil
}

// keptPart is which part of a ring, one in so many of its blocks, may be kept: the kernel needs the rest.
const keptPart = 8

// giveBack lets the kernel fill the blocks that were read.
func (r *ring) giveBack() {
	blocks := r.size / r.blockSize
	for ; r.kept > 0; r.kept-- {
		mem := r.mem[(r.block+blocks-r.kept)%blocks*r.blockSize:][:r.blockSize]
		// The kernel sets the count of packets to 0 only when it begins the
		// block. We do so now, or a block that it never begins again before the
		// stop would look begun, with packets that we have had.
		binary.NativeEndian.PutUint32(mem[blockPackets:], 0)
		atomic.StoreUint32((*uint32)(unsafe.Pointer(&mem[blockStatus])), unix.TP_STATUS_KERNEL)
	}
}

// quiesce makes the kernel write no more to the ring, so that the block it has begun
// can be read as well.
func (r *ring) quiesce() error {
	if r.gone {
		return nil
	}
	// After this no packet passes; but one that has passed may still be on its way into the ring.
	if err := attachReturn(r.fd, 0); err != nil {
		return err
	}
	r.final = true
	if r.grouped { // the last ring waits for all of them
		if r.barrier < 0 {
			return nil
		}
		return r.waitForPackets()
	}
	// A bind to something else unhooks the socket and waits for those packets
	// (synchronize_net in __unregister_prot_hook, net/packet/af_packet.c). Linux
	// before 6.5 takes protocol 0 for "as before" and hooks it to all interfaces: hence
	// the filter.
	return bind(r.fd, 0, 0)
}

// check finds out what has happened to the interface: lost is nil if nothing has.
func (r *ring) check() (lost, err error) {
	soerr, err := unix.GetsockoptInt(r.fd, unix.SOL_SOCKET, unix.SO_ERROR) // and resets it
	if err != nil {
		return nil, fmt.Errorf("reading the socket's error: %w", err)
	}
	addr, err := unix.Getsockname(r.fd)
	if err != nil {
		return nil, fmt.Errorf("reading the socket's address: %w", err)
	}
	// packet_notifier sets the index of an unregistered interface to -1; receivers have
	// finished by then (unregister_netdevice_many, net/core/dev.c).
	if ll, ok := addr.(*unix.SockaddrLinklayer); ok && ll.Ifindex != r.ifindex {
		r.gone, r.final = true, true
		return ErrInterfaceGone, nil
	}
	switch unix.Errno(soerr) {
	case 0:
		return nil, nil
	case unix.ENETDOWN:
		r.wasDown = true
		return ErrInterfaceDown, nil
	}
	return nil, fmt.Errorf("receiving: %w", unix.Errno(soerr))
}

// count adds what the kernel has counted since the last time.
func (r *ring) count() error {
	if r.fd < 0 { // it was closed, and counted before
		return nil
	}
	// Reading resets the kernel's counters. With TPACKET_V3 tp_packets
	// includes the dropped ones (packet_getsockopt in net/packet/af_packet.c:
	// "tp_packets += drops").
	s, err := unix.GetsockoptTpacketStatsV3(r.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS)
	if err != nil {
		return fmt.Errorf("reading the statistics: %w", err)
	}
	r.stats.Received += uint64(s.Packets)
	r.stats.Dropped += uint64(s.Drops)
	return nil
}

func (r *ring) close() error {
	fd := r.fd
	r.fd = -1
	var err error
	if r.barrier >= 0 {
		err = unix.Close(r.barrier)
		r.barrier = -1
	}
	if r.mem != nil {
		err = errors.Join(err, unix.Munmap(r.mem))
		r.mem = nil
	}
	r.size = 0
	return errors.Join(err, unix.Close(fd))
}

// bind binds a packet socket; ifindex 0 stands for all interfaces.
func bind(fd int, protocol uint16, ifindex int) error {
	var be [2]byte
	binary.BigEndian.PutUint16(be[:], protocol)
	return unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: binary.NativeEndian.Uint16(be[:]), Ifindex: ifindex})
}

// attachReturn replaces the socket's filter by one that keeps the first n bytes of every
// packet, none at all if n is 0.
func attachReturn(fd int, n uint32) error {
	ret := unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: n}
	return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &ret})
}

// rawConn gives a filter access to a socket that Go's poller does not know.
type rawConn struct{ fd int }

func (c rawConn) Control(f func(fd uintptr)) error {
	f(uintptr(c.fd))
	return nil
}

func (rawConn) Read(func(fd uintptr) bool) error  { return errors.ErrUnsupported }
func (rawConn) Write(func(fd uintptr) bool) error { return errors.ErrUnsupported }

// LINKTYPE_ values, https://www.tcpdump.org/linktypes.html
const (
	linkEthernet = 1
	linkRaw      = 101
)

// mapLinkType returns the link type of what a socket of type sockType receives from
// an interface of the type arphrd.
func mapLinkType(arphrd uint16) (linkType uint32, sockType int, ok bool) {
	switch arphrd {
	case unix.ARPHRD_ETHER, unix.ARPHRD_LOOPBACK:
		return linkEthernet, unix.SOCK_RAW, true
	case unix.ARPHRD_NONE, unix.ARPHRD_RAWIP, unix.ARPHRD_PPP, unix.ARPHRD_TUNNEL, unix.ARPHRD_TUNNEL6,
		unix.ARPHRD_SIT, unix.ARPHRD_IPGRE, unix.ARPHRD_IP6GRE:
		// Most have no link header, but some (GRE without a remote address) put the
		// outer IP header there. SOCK_DGRAM gives the network packet in either case.
		return linkRaw, unix.SOCK_DGRAM, true
	}
	return 0, 0, false
}

// LinkType returns the LINKTYPE_ value of what OpenLive captures from the named
// interface. It needs no privileges. An error starts with the name of the interface.
func LinkType(name string) (uint32, error) {
	_, linkType, _, err := lookUp(name)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", name, err)
	}
	return linkType, nil
}

// netmask returns that of the interface's first IPv4 address; 0 if it has none.
func netmask(link netlink.Link) uint32 {
	addrs, _, err := listed(func() ([]netlink.Addr, error) { return netlink.AddrList(link, netlink.FAMILY_V4) })
	if err != nil || len(addrs) == 0 || len(addrs[0].Mask) != net.IPv4len {
		return 0
	}
	return binary.BigEndian.Uint32(addrs[0].Mask)
}

// lookUp finds an interface, its link type, and the type of the socket for it.
func lookUp(name string) (link netlink.Link, linkType uint32, sockType int, err error) {
	link, err = netlink.LinkByName(name)
	if errors.As(err, new(netlink.LinkNotFoundError)) {
		return nil, 0, 0, fmt.Errorf("no such interface: %w", unix.ENODEV)
	}
	if err != nil {
		return nil, 0, 0, fmt.Errorf("looking up the interface: %w", err)
	}
	ifr, err := unix.NewIfreq(link.Attrs().Name)
	if err != nil {
		return nil, 0, 0, fmt.Errorf("looking up the interface: %w", err)
	}
	err = withSocket(func(fd int) error { return unix.IoctlIfreq(fd, unix.SIOCGIFHWADDR, ifr) })
	if err != nil {
		return nil, 0, 0, fmt.Errorf("reading the interface's type: %w", err)
	}
	arphrd := ifr.Uint16() // ifr_hwaddr.sa_family
	linkType, sockType, ok := mapLinkType(arphrd)
	if !ok {
		return nil, 0, 0, fmt.Errorf("interfaces of the type %s (ARPHRD %d) are not supported", link.Attrs().EncapType, arphrd)
	}
	return link, linkType, sockType, nil
}

// withSocket calls f with a socket on which every interface ioctl works.
func withSocket(f func(fd int) error) error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return f(fd)
}

// speed returns an interface's speed in bits per second, 0 if it has none.
func speed(name string) uint64 {
	// struct ethtool_cmd of include/uapi/linux/ethtool.h: 44 bytes, the command at 0,
	// the speed in Mbit/s at 12 (lower half) and 28 (upper half).
	var cmd [11]uint32
	cmd[0] = unix.ETHTOOL_GSET
	var ifr struct {
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [16]byte
	}
	copy(ifr.name[:unix.IFNAMSIZ-1], name)
	ifr.data = unsafe.Pointer(&cmd)
	err := withSocket(func(fd int) error {
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&ifr)))
		if errno != 0 {
			return errno
		}
		return nil
	})
	if err != nil {
		return 0 // many virtual interfaces have none
	}
	b := (*[44]byte)(unsafe.Pointer(&cmd))
	mbit := uint32(binary.NativeEndian.Uint16(b[28:]))<<16 | uint32(binary.NativeEndian.Uint16(b[12:]))
	if mbit == 1<<32-1 { // SPEED_UNKNOWN
		return 0
	}
	return uint64(mbit) * 1e6
}

// Interfaces lists the interfaces of the calling thread's network namespace in the order of
// tcpdump -D: those that are up and running first, loopback after others.
func Interfaces() ([]DeviceInfo, error) {
	links, _, err := listed(netlink.LinkList)
	if err != nil {
		return nil, fmt.Errorf("listing the interfaces: %w", err)
	}
	addrs, _, err := listed(func() ([]netlink.Addr, error) { return netlink.AddrList(nil, netlink.FAMILY_ALL) })
	if err != nil {
		return nil, fmt.Errorf("listing the addresses: %w", err)
	}
	devices := make([]DeviceInfo, len(links))
	for i, link := range links {
		a := link.Attrs()
		devices[i] = DeviceInfo{
			Name: a.Name, Index: a.Index, Description: a.Alias,
			Up: a.Flags&net.FlagUp != 0, Running: a.RawFlags&unix.IFF_RUNNING != 0, Loopback: a.Flags&net.FlagLoopback != 0,
		}
		for _, addr := range addrs {
			ip, ok := netip.AddrFromSlice(addr.IP)
			if ok && addr.LinkIndex == a.Index {
				ones, _ := addr.Mask.Size()
				devices[i].Addresses = append(devices[i].Addresses, netip.PrefixFrom(ip.Unmap(), ones))
			}
		}
	}
	sortDevices(devices)
	return devices, nil
}
