package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tundump/tundump/bpf"
	"github.com/tundump/tundump/capture"
	"github.com/tundump/tundump/decode"
	"github.com/tundump/tundump/filter"
	"github.com/tundump/tundump/filter/header"
	"github.com/tundump/tundump/filter/ir"
)

// flushAfter is how long output is held back at most when no more comes.
const flushAfter = 100 * time.Millisecond

// session is one run: packets from a source, through a filter, to an output.
type session struct {
	ctx        context.Context // done when the user wants to stop
	std        stdio
	opt        Options
	tunnels    func() tunnels // waits for the kernel to tell, the first time
	filters    *filters
	meter      *meter         // nil if nobody looks
	starting   sync.WaitGroup // commands of -z
	captured   atomic.Uint64  // packets that were put out
	flushNow   atomic.Bool    // SIGUSR2 has asked
	privileges *privileges    // that are left; nil before they are dropped
	inputs     []string       // the files that are read
}

func newSession(ctx context.Context, std stdio, opt Options) *session {
	std.err = onTerminal(std.err)
	s := &session{ctx: ctx, std: std, opt: opt}
	machine := opt.Read == "" && opt.ReadList == "" && opt.Dump == 0
	s.tunnels = sync.OnceValue(func() tunnels { return newTunnels(opt.Ports, machine) })
	if machine {
		go s.tunnels() // while the capture is prepared: with many devices it takes a while
	}
	s.filters = newFilters(ctx, opt.Expression, opt.SnapLen, s.filterOptions, &memory{})
	s.filters.taps = opt.Engine == engineTCX
	return s
}

func (s *session) close() {
	s.starting.Wait()
	s.filters.close()
	s.filters.memory.close()
}

// program returns the filter for packets of an interface, nil if there is no
// expression.
func (s *session) program(in capture.Interface) (*ir.Prog, error) {
	if strings.TrimSpace(s.opt.Expression) == "" {
		return nil, nil
	}
	return s.filters.program(in)
}

func (s *session) filterOptions(k kind) filter.Options {
	o := filter.Options{LinkType: k.link, Netmask: k.netmask, BigEndian: k.bigEndian, Table: s.tunnels().table, Depth: s.opt.Depth, Fragments: s.opt.Fragments, Names: systemNames{s.ctx, "/etc"}, NoOptimise: s.opt.NoOptimise}
	switch {
	case s.opt.Read != "" || s.opt.ReadList != "":
		o.Origin = filter.OriginFile
	case s.opt.Dump == 0 || len(s.opt.Interfaces) > 0:
		o.Origin = filter.OriginLive
	}
	return o
}

// capture captures or reads until there is no more, or the user wants no more.
func (s *session) capture() error {
	read := s.opt.Read != "" || s.opt.ReadList != ""
	// Of a wrong expression we tell before asking for privileges, before waiting for a pipe,
	// and once. To find out takes as long as to compile it: where nothing of the kind can come
	// first, that is done only when something goes wrong. And whether it has sets, which SIGHUP
	// is about, is known from then on.
	sets := strings.Contains(s.opt.Expression, "@")
	if sets || read && s.waits() || !read && slices.ContainsFunc(s.opt.Interfaces, capture.IsPattern) {
		if err := s.filters.check(); err != nil {
			return err
		}
	}
	if read || !s.filters.sets.Used() {
		defer s.endAtHangUp()()
	}
	if read {
		return s.read()
	}
	return s.live()
}

// orWrong returns what is wrong with the expression, or else err.
func (s *session) orWrong(err error) error {
	if wrong := s.filters.check(); wrong != nil {
		return wrong
	}
	return err
}

// live captures from interfaces.
func (s *session) live() error {
	names, err := s.opt.interfaces()
	if err != nil {
		return s.orWrong(err)
	}
	hangUps := s.hangUps()
	ctx, cancel := s.limited()
	defer cancel()
	start := time.Now()
	src, err := s.openLive(names)
	if err != nil {
		return s.orWrong(err)
	}
	defer src.Close()
	served := s.serve(src)
	defer served()
	interfaces := src.Interfaces()
	if len(interfaces) == 0 { // then the filter is for Ethernet, in all likelihood
		interfaces = []capture.Interface{{LinkType: uint32(header.LinkEthernet)}}
		if s.attach() != nil {
			if _, err := s.filters.load(s.filters.kindOf(interfaces[0])); err != nil {
				return err
			}
		}
	}
	if err := s.becomeOther(true); err != nil {
		return err
	}
	out, err := s.open(src, start)
	if err != nil {
		return err
	}
	for _, in := range src.Interfaces() {
		s.listening(in)
	}
	if len(src.Interfaces()) == 0 {
		fmt.Fprintln(s.std.err, "tundump: no interface matches yet")
	}
	s.describeFilter(interfaces)
	if err := s.dropPrivileges(true, false); err != nil {
		return errors.Join(err, out.finish())
	}
	if hangUps != nil {
		done := make(chan struct{})
		defer close(done)
		go s.reload(hangUps, done, src)
	}
	defer context.AfterFunc(ctx, src.Stop)()
	stop := s.watchLive(src)
	n, err := s.copy(context.Background(), src, out) // after Stop there are still packets
	served()
	stop()
	if errors.Is(err, capture.ErrInterfaceGone) { // which one OnDown has said
		err = errors.New("no interface is left")
	}

	stats, statsErr := src.Stats()
	err = errors.Join(err, statsErr, out.finish())
	if errors.Is(err, syscall.EPIPE) {
		return err
	}
	if s.ctx.Err() != nil && isTerminal(s.std.err) && s.meter == nil {
		fmt.Fprintln(s.std.err) // ends the line with ^C, which takes a status line with it
	}
	all := sum(stats)
	fmt.Fprintf(s.std.err, "%s captured\n%s received by filter\n%s dropped by kernel\n",
		packets(n), packets(all.Received), packets(all.Dropped))
	return errors.Join(err, s.reportLate("captured"), s.tellCount(n, err))
}

// liveOptions returns how interfaces are opened.
func (s *session) liveOptions() capture.LiveOptions {
	o := capture.LiveOptions{
		SnapLen: s.opt.SnapLen, Promiscuous: !s.opt.NoPromisc, Filter: s.attach(), BufferSize: s.opt.BufferSize, Fanout: s.opt.Fanout,
		Namespaces: s.opt.namespaces(), Direction: s.opt.Direction, TimeStamps: s.opt.TimeStamps,
		OnUp:   s.listening,
		OnDown: func(in capture.Interface, err error) { report(s.std.err, fmt.Errorf("%s: %w", in.Name, err)) },
	}
	if o.Filter != nil {
		o.Prepare = s.filters.begin
	}
	if s.opt.Immediate || s.opt.Write == "" && isTerminal(s.std.out) {
		o.BlockTimeout = time.Millisecond
	}
	if s.opt.writesPcap() {
		var file *uint32 // the link type of the file
		o.Accept = func(in capture.Interface) error {
			if file == nil {
				file = &in.LinkType
			}
			if *file != in.LinkType {
				return fmt.Errorf("its link type is %s, this pcap file has %s, and pcap allows only one: write pcapng instead",
					linkName(in.LinkType), linkName(*file))
			}
			return nil
		}
	}
	return o
}

// listening tells of an interface, as tcpdump does.
func (s *session) listening(in capture.Interface) {
	fmt.Fprintf(s.std.err, "tundump: listening on %s, link-type %s, snapshot length %d bytes\n",
		in.Name, linkName(in.LinkType), in.SnapLen)
}

// tellCount prints how many packets there were, for --count, unless err ended it.
func (s *session) tellCount(n uint64, err error) error {
	if !s.opt.CountOnly || err != nil {
		return nil
	}
	_, err = fmt.Fprintln(s.std.out, packets(n))
	return err
}

// packets counts as tcpdump does.
func packets(n uint64) string {
	if n == 1 {
		return "1 packet"
	}
	return fmt.Sprintf("%d packets", n)
}

// attach returns what attaches the filter to the socket of an interface, nil
// if there is no expression.
func (s *session) attach() func(syscall.RawConn, capture.Interface) error {
	if strings.TrimSpace(s.opt.Expression) == "" {
		return nil
	}
	return s.filters.attach
}

// describeFilter says what was loaded for the interfaces, once for each link type.
func (s *session) describeFilter(interfaces []capture.Interface) {
	tunnels := ""
	opt := s.filterOptions(kind{link: header.LinkEthernet})
	opt.Sets = s.filters.sets
	if filter.UsesTunnels(s.opt.Expression, opt) {
		tunnels = fmt.Sprintf(", tunnels to depth %d, %v", s.opt.Depth, s.tunnels())
	}
	var told []uint32
	for _, in := range interfaces {
		f := s.filters.loadedFor(in)
		if f == nil || slices.Contains(told, in.LinkType) {
			continue
		}
		told = append(told, in.LinkType)
		if f.Fallback != nil {
			fmt.Fprintf(s.std.err, "tundump: filter: not as eBPF: %v\n", f.Fallback)
		}
		fmt.Fprintf(s.std.err, "tundump: filter: %v%s\n", f, tunnels)
		if p, err := s.program(in); err == nil && f.Fallback != nil && p.FollowsFragments() {
			fmt.Fprintln(s.std.err, "tundump: filter: later fragments are not followed without eBPF")
		}
	}
	if len(told) == 0 {
		fmt.Fprintln(s.std.err, "tundump: filter: none, every packet is captured")
	}
}

// enumerate joins numbers as one does in a sentence.
func enumerate(numbers []uint16) string {
	text := ""
	for i, n := range numbers {
		switch {
		case i > 0 && i == len(numbers)-1:
			text += " and "
		case i > 0:
			text += ", "
		}
		text += strconv.Itoa(int(n))
	}
	return text
}

// copy moves packets until the source ends, there are enough, or ctx is done, and
// returns how many.
func (s *session) copy(ctx context.Context, src capture.Source, out *output) (n uint64, err error) {
	// While something is held back we wait for the next packet with a deadline. It
	// is the same for many packets.
	wait, cancel := ctx, func() {}
	defer func() { cancel() }()
	c := &copier{out: out, direct: out.direct(), skip: s.opt.Skip, left: s.opt.Count}
	defer func() { s.captured.Store(c.copied) }()
	ready, _ := src.(capture.Readier)
	take := c.take
	var p capture.Packet // outside of the loop: c.put lets it escape
	for {
		s.captured.Store(c.copied)
		p, err = src.Next(wait)
		if wait != ctx && errors.Is(err, context.DeadlineExceeded) {
			cancel()
			wait = ctx
			if err := out.flush(); err != nil {
				return c.copied, err
			}
			continue
		}
		if err == nil {
			c.interfaces = src.Interfaces()
			err = c.put(&p)
		}
		if err == nil && ready != nil {
			err = ready.Ready(take)
		}
		if s.meter != nil {
			s.meter.selected.Store(c.copied)
			s.meter.bytes.Store(c.bytes)
		}
		switch {
		case err == nil:
		case err == io.EOF, err == errEnough, errors.Is(err, context.Canceled): // the end, or the user wants no more
			return c.copied, nil
		case errors.Is(err, errEnoughFiles): // the packet has no file any more
			fmt.Fprintf(s.std.err, "Maximum file limit reached: %d\n", s.opt.FileCount)
			return c.copied, nil
		default:
			return c.copied, err
		}
		if s.flushNow.Load() {
			s.captured.Store(c.copied)
			s.flushNow.Store(false)
			if err := out.flush(); err != nil {
				return c.copied, err
			}
		}
		if wait == ctx {
			deadline, release := context.WithTimeout(ctx, flushAfter)
			wait, cancel = deadline, release
		}
	}
}

// errEnough tells that there are as many packets as --count says.
var errEnough = errors.New("there are as many packets as --count says")

// copier moves packets to an output.
type copier struct {
	out        *output
	direct     decode.Sink // takes packets of interfaces that have been described to it; nil if out must
	described  int         // those interfaces
	interfaces []capture.Interface
	skip       uint64 // packets still to be left out
	left       uint64 // how many more there may be; 0 at the start is any number
	copied     uint64
	bytes      uint64 // of those
}

// put moves a packet.
func (c *copier) put(p *capture.Packet) error {
	if c.skip > 0 {
		c.skip--
		return nil
	}
	size := uint64(len(p.Data))
	if err := c.out.packet(p, c.interfaces); err != nil {
		return err
	}
	c.described = len(c.interfaces)
	return c.count(size)
}

// take moves a packet, at less cost if it can.
func (c *copier) take(p *capture.Packet) error {
	if c.direct == nil || p.Interface >= c.described {
		return c.put(p)
	}
	if err := c.direct.Packet(p, &c.interfaces[p.Interface]); err != nil {
		c.out.failed = true
		return err
	}
	return c.count(uint64(len(p.Data)))
}

func (c *copier) count(bytes uint64) error {
	c.copied++
	c.bytes += bytes
	if c.left--; c.left == 0 {
		return errEnough
	}
	return nil
}

// dump prints the filter program, tcpdump's -d.
func (s *session) dump() error {
	in := capture.Interface{LinkType: uint32(header.LinkEthernet)} // as tcpdump without an interface
	switch {
	case s.opt.LinkTypeName != "":
		link, _ := header.LinkTypeOf(s.opt.LinkTypeName)
		in.LinkType = uint32(link)
	case s.opt.Read != "":
		src, file, err := openFile(s.ctx, s.std.in, s.opt.Read)
		if err != nil {
			return err
		}
		defer file.Close()
		defer src.Close()
		if all := src.Interfaces(); len(all) > 0 {
			in = all[0]
		}
	case len(s.opt.Interfaces) > 0:
		of, err := capture.LinkType(s.opt.Interfaces[0])
		if err != nil {
			return err
		}
		in.LinkType = of
	}
	p, err := s.filters.program(in)
	if err != nil {
		return err
	}
	classic := bpf.Classic
	if s.opt.NoOptimise {
		classic = bpf.ClassicUnoptimised
	}
	program, err := classic(p, s.opt.SnapLen, len(s.opt.Interfaces) > 0)
	if err != nil {
		return fmt.Errorf("printing the filter as classic BPF: %w", err)
	}
	switch s.opt.Dump {
	case 1:
		return bpf.Dump(s.std.out, program)
	case 2:
		return bpf.DumpC(s.std.out, program)
	}
	return bpf.DumpNumbers(s.std.out, program)
}

// linkName returns a link type as tcpdump prints it.
func linkName(linkType uint32) string {
	name, description := header.LinkType(linkType).Name()
	if name == "" {
		return strconv.Itoa(int(linkType))
	}
	return name + " (" + description + ")"
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(interface{ Fd() uintptr })
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}
