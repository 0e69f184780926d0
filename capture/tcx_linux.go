package capture

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// Taps is a capture by programs at tcx, where the kernel gives packets to traffic control: as
// they come, after packet sockets have seen them, and as they go, before the queueing discipline. It costs a
// packet that is not wanted less than a packet socket does. Not seen is what never comes there: packets
// that are sent past the queueing discipline (PACKET_QDISC_BYPASS), and what XDP takes or, of
// what goes, other programs at tcx drop.
//
// One goroutine calls Next and, at the end, Close; Stop and Stats may be called from any.
type Taps struct {
	opt        TapOptions
	places     []*place
	interfaces []Interface
	taps       []*tapped // one for each interface
	maps       tapMaps
	records    *ringBuffer
	tagged     []byte        // the last packet that a VLAN tag was put back into
	head       Packet        // what Ready has come to
	realTime   int64         // what CLOCK_REALTIME is ahead of CLOCK_TAI, in nanoseconds
	every      time.Duration // how often the ring is looked at
	polls      []unix.PollFd
	wake       *waker
	preparing  sync.WaitGroup // while it is opened

	stopped  atomic.Bool
	draining bool // stopped, and no program runs any more

	// mu is for what follows, and the links.
	mu     sync.Mutex
	closed bool
}

// tapped is an interface with programs.
type tapped struct {
	*ring // a socket that receives nothing, for what becomes of the interface
	links []*tapLink
}

// tapLink is where the program for one direction is attached.
type tapLink struct {
	link.Link // nil if it is not yet
	outgoing  bool
}

// OpenTaps starts to capture from the named interfaces, which are Ethernet and no patterns: from its
// return on, whatever passes the filter is captured. Unless TapOptions.Namespaces are given, it captures
// in the calling thread's network namespace. An error starts with the name of
// the interface, and is ErrNoTaps where the kernel cannot do it, or we may not.
func OpenTaps(names []string, opt TapOptions) (*Taps, error) {
	if len(names) == 0 {
		return nil, errors.New("no interface to capture from")
	}
	setDefaults(&opt.SnapLen, &opt.BufferSize, &opt.Namespaces)
	n := len(names) * len(opt.Namespaces)
	if n > maxInterfaces {
		return nil, fmt.Errorf("%d interfaces: %d are possible", n, maxInterfaces)
	}
	wake, err := newWaker()
	if err != nil {
		return nil, err
	}
	t := &Taps{opt: opt, wake: wake}
	if err := t.open(names, n); err != nil {
		t.Close()
		return nil, err
	}
	return t, nil
}

// open does at the same time what takes the kernel many milliseconds each: to make the ring, to check
// the programs, and to attach one, for which ones that do nothing are enough.
func (t *Taps) open(names []string, interfaces int) error {
	made := make(chan error, 1)
	go func() { made <- t.maps.make(&t.opt, interfaces) }()
	err := t.findAll(names)
	found := err == nil
	loaded := make(chan []tapChange, 1)
	go func() {
		var changes []tapChange
		failed := <-made
		if t.preparing.Wait(); failed == nil && found {
			changes = t.load(t.opt.Filter)
		}
		made <- failed
		loaded <- changes
	}()
	if err == nil {
		err = t.attachAll()
	}
	changes := <-loaded
	defer t.loaded(t.opt.Filter, changes)
	if err := <-made; err != nil {
		return noTaps(fmt.Errorf("making a map: %w", err))
	}
	if err != nil {
		return err
	}
	if err := replace(changes); err != nil {
		return err
	}
	t.every = readEvery(int(t.maps.packets.MaxEntries()))
	for _, tap := range t.taps {
		t.polls = append(t.polls, unix.PollFd{Fd: int32(tap.fd)})
	}
	t.polls = append(t.polls, t.wake.poll())
	if t.opt.Immediate {
		t.polls = append(t.polls, unix.PollFd{Fd: int32(t.maps.packets.FD()), Events: unix.POLLIN})
	}
	return t.readClocks()
}

// findAll looks up the interfaces in all namespaces.
func (t *Taps) findAll(names []string) error {
	for _, n := range t.opt.Namespaces {
		p, err := newPlace(n, nil)
		if err != nil {
			return err
		}
		t.places = append(t.places, p)
		for _, name := range names {
			if err := p.ns.do(func() error { return t.find(name, p) }); err != nil {
				return fmt.Errorf("%s: %w", p.interfaceName(name), err)
			}
		}
	}
	return nil
}

// attachAll attaches a program that does nothing to all interfaces.
func (t *Taps) attachAll() error {
	idle, err := newTap(asm.Instructions{asm.Mov.Imm(asm.R0, tcxNext), asm.Return()})
	if err != nil {
		return noTaps(err)
	}
	defer idle.Close() // the links keep it
	for _, tap := range t.taps {
		if err := tap.place.ns.do(func() error { return tap.attach(idle) }); err != nil {
			return fmt.Errorf("%s: %w", tap.iface.Name, noTaps(err))
		}
	}
	return nil
}

// noTaps makes an error that is about the kernel or rights an ErrNoTaps.
func noTaps(err error) error {
	if errors.Is(err, ebpf.ErrNotSupported) || errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		return fmt.Errorf("%w: %w", ErrNoTaps, err)
	}
	return err
}

// readEvery returns how often a ring buffer is to be looked at, so that it is not half full when 10
// Gbit/s come, but no more often than somebody who watches would notice. To look costs as much as dozens
// of packets: where few match, nearly all that is spent.
func readEvery(size int) time.Duration {
	const bytesPerSecond = 1_250_000_000
	return min(max(time.Duration(size/2)*time.Second/bytesPerSecond, time.Millisecond), 25*time.Millisecond)
}

// find looks up an interface of the calling thread's network namespace, and opens its socket.
func (t *Taps) find(name string, p *place) error {
	dev, linkType, _, err := lookUp(name)
	if err != nil {
		return err
	}
	iface, err := describe(dev, linkType, p.name, t.opt.SnapLen, t.opt.Accept)
	if err != nil {
		return err
	}
	if linkType != linkEthernet {
		return errors.New("of its kind of interface tcx does not show what a packet socket does: only Ethernet can be captured there")
	}
	if t.opt.Prepare != nil {
		t.preparing.Go(func() { t.opt.Prepare(iface) })
	}
	tap := &tapped{ring: &ring{ifindex: dev.Attrs().Index, iface: iface, place: p, index: len(t.taps), barrier: -1}}
	loopback := dev.Attrs().Flags&net.FlagLoopback != 0
	if tap.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0); err != nil {
		return noTaps(fmt.Errorf("opening a packet socket: %w", err))
	}
	t.taps, t.interfaces = append(t.taps, tap), append(t.interfaces, iface)
	if err := tap.watch(t.opt.Promiscuous && !loopback); err != nil {
		return err
	}
	if t.opt.Direction != DirectionOut {
		tap.links = append(tap.links, &tapLink{})
	}
	// On a loopback interface each packet passes twice, out and in; like libpcap we take the second.
	if t.opt.Direction != DirectionIn && !loopback {
		tap.links = append(tap.links, &tapLink{outgoing: true})
	}
	return nil
}

// watch prepares the socket, which is told when the interface goes down.
func (r *ring) watch(promiscuous bool) error {
	if err := attachReturn(r.fd, 0); err != nil {
		return fmt.Errorf("attaching a filter that lets nothing pass: %w", err)
	}
	if promiscuous {
		if err := r.promiscuous(); err != nil {
			return err
		}
	}
	if err := bind(r.fd, barrierProtocol, r.ifindex); err != nil {
		return fmt.Errorf("binding the packet socket: %w", err)
	}
	return r.bound()
}

// attach attaches a program in each direction: in front of others that might drop what comes, and
// behind those that might drop what goes. Each time the kernel waits until all its CPUs have seen that
// (tcx_entry_sync in tcx_link_prog_attach, kernel/bpf/tcx.c), as it does not when a program is replaced.
func (tap *tapped) attach(prog *ebpf.Program) error {
	for _, l := range tap.links {
		o := link.TCXOptions{Interface: tap.ifindex, Program: prog, Attach: ebpf.AttachTCXIngress, Anchor: link.Head()}
		if l.outgoing {
			o.Attach, o.Anchor = ebpf.AttachTCXEgress, link.Tail()
		}
		var err error
		if l.Link, err = link.AttachTCX(o); err != nil {
			l.Link = nil
			return fmt.Errorf("attaching a program: %w", err)
		}
	}
	return nil
}

// program returns the program for one direction of an interface.
func (t *Taps) program(filter TapFilter, tap *tapped, outgoing bool) (*ebpf.Program, error) {
	output := t.output(tap.index, outgoing)
	if filter != nil {
		prog, err := filter(tap.iface, outgoing, output)
		if err != nil {
			return nil, fmt.Errorf("making the filter: %w", err)
		}
		return prog, nil
	}
	all := append(asm.Instructions{asm.Mov.Reg(asm.R6, asm.R1)}, output...)
	return newTap(all)
}

// newTap loads a program for tcx.
func newTap(insns asm.Instructions) (*ebpf.Program, error) {
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{Name: "tundump", Type: ebpf.SchedCLS, Instructions: insns, License: "Apache-2.0"})
	if err != nil {
		return nil, fmt.Errorf("loading a program: %w", err)
	}
	return prog, nil
}

// tapChange is a program that is to take the place of another.
type tapChange struct {
	tap  *tapped
	link *tapLink
	prog *ebpf.Program
	err  error // why there is none
}

// load makes a program for each direction of all interfaces. The kernel checks those of an interface one
// beside the other.
func (t *Taps) load(filter TapFilter) (changes []tapChange) {
	for _, tap := range t.taps {
		first := len(changes)
		for _, l := range tap.links {
			changes = append(changes, tapChange{tap: tap, link: l})
		}
		var loading sync.WaitGroup
		for i := range changes[first:] {
			c := &changes[first+i]
			loading.Go(func() { c.prog, c.err = t.program(filter, tap, c.link.outgoing) })
		}
		loading.Wait()
	}
	return changes
}

// loaded lets go of the programs that load has made, unless they are those of a filter. Links keep theirs.
func (t *Taps) loaded(filter TapFilter, changes []tapChange) {
	for _, c := range changes {
		if filter == nil && c.prog != nil {
			c.prog.Close()
		}
	}
}

// replace makes all changes, or none if one cannot be made.
func replace(changes []tapChange) error {
	for _, c := range changes {
		if c.err != nil {
			return fmt.Errorf("%s: %w", c.tap.iface.Name, noTaps(c.err))
		}
	}
	for _, c := range changes {
		if err := c.link.Update(c.prog); err != nil && !errors.Is(err, unix.ENOLINK) { // the interface is gone
			return fmt.Errorf("%s: replacing a program: %w", c.tap.iface.Name, noTaps(err))
		}
	}
	return nil
}

// Interfaces returns the interfaces in the order in which OpenTaps was given them.
func (t *Taps) Interfaces() []Interface { return t.interfaces }

// Next waits for the next packet. Packets come in the order in which the kernel has written them. Errors
// are as those of Live.Next.
func (t *Taps) Next(ctx context.Context) (Packet, error) {
	t.wake.watch(ctx)
	for {
		select {
		case <-t.wake.done:
			return Packet{}, ctx.Err()
		default:
		}
		if !t.draining && t.stopped.Load() {
			if err := t.quiesce(); err != nil {
				return Packet{}, err
			}
		}
		if t.records == nil {
			if err := t.mapRecords(); err != nil {
				return Packet{}, err
			}
		}
		t.records.release()
		record, err := t.records.next()
		var p Packet
		if record != nil {
			err = t.packet(record, &p)
		}
		switch {
		case err != nil:
			return Packet{}, fmt.Errorf("reading the ring buffer: %w", err)
		case record != nil:
			return p, nil
		case t.draining:
			return Packet{}, io.EOF
		}
		if err := t.poll(); err != nil {
			return Packet{}, err
		}
		if err := t.readClocks(); err != nil {
			return Packet{}, err
		}
	}
}

// mapRecords lets us read the ring. For 64 MiB the kernel takes 5 ms, and programs write to it already.
func (t *Taps) mapRecords() (err error) {
	if t.records, err = mapRingBuffer(t.maps.packets.FD(), int(t.maps.packets.MaxEntries())); err != nil {
		return fmt.Errorf("mapping the ring buffer: %w", err)
	}
	return nil
}

// Ready calls take with the packets that the next calls of Next would return, as far as they are there
// already.
func (t *Taps) Ready(take func(*Packet) error) error {
	for n := 0; n < readyAtMost && t.records != nil && t.records.waiting(); n++ {
		if t.records.read() > len(t.records.data)/16 { // large packets; there must be room for more
			t.records.release()
		}
		record, err := t.records.next()
		if record != nil {
			err = t.packet(record, &t.head)
		}
		if err != nil {
			return fmt.Errorf("reading the ring buffer: %w", err)
		}
		if record == nil {
			return nil
		}
		if err := take(&t.head); err != nil {
			return err
		}
	}
	return nil
}

// readClocks finds out what CLOCK_REALTIME is ahead of CLOCK_TAI, which is whole seconds.
func (t *Taps) readClocks() error {
	var tai, realTime unix.Timespec
	if err := errors.Join(unix.ClockGettime(unix.CLOCK_TAI, &tai), unix.ClockGettime(unix.CLOCK_REALTIME, &realTime)); err != nil {
		return fmt.Errorf("reading the clocks: %w", err)
	}
	t.realTime = int64(time.Duration(realTime.Nano() - tai.Nano()).Round(time.Second))
	return nil
}

// poll waits until there may be something to do.
func (t *Taps) poll() error {
	timeout := int(t.every.Milliseconds())
	alive, wasDown := false, false
	for i, tap := range t.taps {
		t.polls[i].Revents = 0
		if tap.gone {
			t.polls[i].Fd = -1
			continue
		}
		alive, wasDown = true, wasDown || tap.wasDown
	}
	if !alive { // and what they had captured was returned
		return fmt.Errorf("%s: %w", t.taps[len(t.taps)-1].iface.Name, ErrInterfaceGone)
	}
	if t.opt.Immediate {
		timeout = -1
		if wasDown {
			timeout = downCheck
		}
	}
	_, err := unix.Poll(t.polls, timeout)
	if err == unix.EINTR {
		return nil
	}
	if err != nil {
		return fmt.Errorf("waiting for packets: %w", err)
	}
	if t.polls[len(t.taps)].Revents != 0 {
		t.wake.reset()
	}
	for i, tap := range t.taps {
		if tap.gone || !tap.wasDown && t.polls[i].Revents == 0 {
			continue
		}
		lost, err := tap.check()
		if err != nil {
			return fmt.Errorf("%s: %w", tap.iface.Name, err)
		}
		if tap.gone {
			if err := t.detach(tap); err != nil { // it may live on in another namespace
				return err
			}
		}
		if lost != nil && t.opt.OnDown != nil {
			t.opt.OnDown(tap.iface, lost)
		}
	}
	return nil
}

// quiesce detaches all programs.
func (t *Taps) quiesce() error {
	for _, tap := range t.taps {
		if err := t.detach(tap); err != nil {
			return err
		}
	}
	t.draining = true
	return nil
}

// detach detaches the programs of an interface. When it returns they have ended (synchronize_rcu in
// tcx_entry_sync, called by tcx_link_release, kernel/bpf/tcx.c).
func (t *Taps) detach(tap *tapped) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return tap.unlink()
}

func (tap *tapped) unlink() error {
	var errs []error
	for _, l := range tap.links {
		if l.Link == nil {
			continue
		}
		if err := l.Close(); err != nil {
			errs = append(errs, fmt.Errorf("%s: detaching a program: %w", tap.iface.Name, err))
		}
	}
	tap.links = nil
	return errors.Join(errs...)
}

// SetFilter replaces the programs of all interfaces by those that filter, which is like
// TapOptions.Filter, returns. Each packet is judged by the old filter or by the new one. It may be called from
// any goroutine; after Stop there is nothing to replace, and after Close it returns net.ErrClosed.
func (t *Taps) SetFilter(filter TapFilter) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return net.ErrClosed
	}
	changes := t.load(filter)
	defer t.loaded(filter, changes)
	return replace(changes)
}

// Stop ends the capture: Next returns what had passed the filters until now, and
// then io.EOF. It may be called from any goroutine, more than once, and after Close.
func (t *Taps) Stop() {
	t.stopped.Store(true)
	t.wake.signal()
}

// Stats returns the counts of each interface since OpenTaps. After Close it returns
// net.ErrClosed.
func (t *Taps) Stats() ([]Stats, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil, net.ErrClosed
	}
	all := make([]Stats, len(t.interfaces))
	var perCPU []tapCount
	for i, in := range t.interfaces {
		if err := t.maps.counters.Lookup(uint32(i), &perCPU); err != nil {
			return nil, fmt.Errorf("%s: reading the counters: %w", in.Name, err)
		}
		for _, c := range perCPU {
			all[i].Received += c.Received
			all[i].Dropped += c.Dropped
		}
	}
	return all, nil
}

// Close ends the capture at once: the last packet's data is no longer valid.
func (t *Taps) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return net.ErrClosed
	}
	t.closed = true
	errs := []error{t.wake.close()}
	for _, tap := range t.taps {
		errs = append(errs, tap.unlink(), tap.close())
	}
	if t.records != nil {
		errs = append(errs, t.records.close())
	}
	errs = append(errs, t.maps.close())
	for _, p := range t.places {
		errs = append(errs, p.close())
	}
	return errors.Join(errs...)
}
