package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"github.com/tundump/tundump/bpf"
	"github.com/tundump/tundump/capture"
	"github.com/tundump/tundump/filter"
	"github.com/tundump/tundump/filter/header"
	"github.com/tundump/tundump/filter/ir"
)

// kind is what a filter depends on, besides its text, of the interface that packets come from.
type kind struct {
	link      header.LinkType
	netmask   uint32 // for ip broadcast
	bigEndian bool   // for LINKTYPE_NULL
}

// kindOf returns the kind of filter for an interface.
func (f *filters) kindOf(in capture.Interface) kind {
	k := kind{link: header.LinkType(in.LinkType)}
	if strings.Contains(f.text, "broadcast") { // so that others share a program
		k.netmask = in.Netmask
	}
	if k.link == header.LinkNull {
		k.bigEndian = in.BigEndian
	}
	return k
}

// filters are what one expression comes to for each kind of interface, with the files of its
// sets as they were when they were first read.
type filters struct {
	ctx     context.Context // ends what waits for the files of sets
	text    string
	options func(kind) filter.Options // but for Sets
	snapLen uint32
	taps    bool // the kernel has them at tcx, not in sockets
	sets    *filter.Sets
	memory  *memory
	kernel  func() *bpf.Kernel // see kernel

	mu       sync.Mutex // for what follows
	programs map[kind]*ir.Prog
	matchers map[kind]*ir.Matcher
	loaded   map[kind]*bpf.Filter
	failed   map[kind]error // why begin could not load a filter, for load to tell
	closed   bool
}

func newFilters(ctx context.Context, text string, snapLen uint32, options func(kind) filter.Options, m *memory) *filters {
	open := func(name string) (io.ReadCloser, error) { return openSet(ctx, name) }
	return &filters{
		ctx: ctx, text: text, options: options, snapLen: snapLen, sets: filter.NewSets(open), memory: m, kernel: sync.OnceValue(kernel),
		programs: map[kind]*ir.Prog{}, matchers: map[kind]*ir.Matcher{}, loaded: map[kind]*bpf.Filter{},
		failed: map[kind]error{},
	}
}

// check returns what is wrong with the expression, wherever packets will come from.
func (f *filters) check() error {
	if strings.TrimSpace(f.text) == "" {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	opt := f.options(kind{link: header.LinkEthernet})
	opt.Sets, opt.Origin = f.sets, filter.OriginUnknown
	_, err := filter.Compile(f.text, opt)
	return err
}

// program returns the filter for packets of an interface.
func (f *filters) program(in capture.Interface) (*ir.Prog, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.compile(f.kindOf(in))
}

// matcher returns the filter for packets of an interface in the form for files, nil if there is no
// expression.
func (f *filters) matcher(in capture.Interface) (*ir.Matcher, error) {
	if strings.TrimSpace(f.text) == "" {
		return nil, nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	k := f.kindOf(in)
	if m := f.matchers[k]; m != nil {
		return m, nil
	}
	p, err := f.compile(k)
	if err != nil {
		return nil, err
	}
	f.matchers[k] = p.Matcher()
	return f.matchers[k], nil
}

func (f *filters) compile(k kind) (*ir.Prog, error) {
	if p := f.programs[k]; p != nil {
		return p, nil
	}
	opt := f.options(k)
	opt.Sets = f.sets
	p, err := filter.Compile(f.text, opt)
	if err != nil {
		return nil, err
	}
	f.programs[k] = p
	return p, nil
}

// load returns the filter for packets of a kind of interface as the kernel has it.
func (f *filters) load(k kind) (*bpf.Filter, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.failed[k]; err != nil {
		delete(f.failed, k)
		return nil, err
	}
	return f.intoKernel(k)
}

// begin starts to load the filter for packets of an interface. Whoever asks for it, or for anything
// else, waits until that is done.
func (f *filters) begin(in capture.Interface) {
	k := f.kindOf(in)
	f.mu.Lock()
	go func() {
		defer f.mu.Unlock()
		delete(f.failed, k)
		if _, err := f.intoKernel(k); err != nil {
			f.failed[k] = err
		}
	}()
	// While it is compiled we make the memory that it will need, in all likelihood, and see what
	// the kernel lets it do.
	opt := f.options(k)
	tunnels := filter.UsesTunnels(f.text, opt)
	if opt.Fragments == filter.FollowAll || opt.Fragments == filter.FollowTunnels && tunnels {
		_, _ = f.memory.live() // intoKernel comes to the same error
	}
	if tunnels && !f.taps {
		f.kernel()
	}
}

// intoKernel is load, for who has locked mu.
func (f *filters) intoKernel(k kind) (*bpf.Filter, error) {
	if b := f.loaded[k]; b != nil {
		return b, nil
	}
	if f.closed {
		return nil, fs.ErrClosed
	}
	p, err := f.compile(k)
	if err != nil {
		return nil, err
	}
	var fragments *bpf.Fragments
	if p.FollowsFragments() {
		if fragments, err = f.memory.live(); err != nil {
			fragments = nil // whoever loads the filter says why there is no eBPF
		}
	}
	var b *bpf.Filter
	if f.taps {
		b, err = bpf.LoadTaps(p, fragments)
	} else {
		var here *bpf.Kernel
		if p.Likely != nil { // else it makes no difference
			here = f.kernel()
		}
		b, err = bpf.Load(p, f.snapLen, fragments, here)
	}
	if err != nil {
		return nil, err
	}
	f.loaded[k] = b
	return b, nil
}

// attach makes the filter that of an interface's socket.
func (f *filters) attach(conn syscall.RawConn, in capture.Interface) error {
	b, err := f.load(f.kindOf(in))
	if err != nil {
		return err
	}
	return b.Attach(conn)
}

// tap returns the filter for one direction of an interface as a program at tcx.
func (f *filters) tap(in capture.Interface, outgoing bool, output asm.Instructions) (*ebpf.Program, error) {
	b, err := f.load(f.kindOf(in))
	if err != nil {
		return nil, err
	}
	return b.Tap(outgoing, output) // several at a time
}

// loadedFor returns what load has returned for an interface, nil if it has not.
func (f *filters) loadedFor(in capture.Interface) *bpf.Filter {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.loaded[f.kindOf(in)]
}

// close releases what was loaded, and the memory of sets. Sockets keep their filters.
func (f *filters) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	f.sets.Forget()
	clear(f.programs)
	clear(f.matchers)
	for k, b := range f.loaded {
		b.Close()
		delete(f.loaded, k)
	}
}

// again returns filters for the same kinds of interfaces with the files of the sets read again: all
// is in the kernel. If anything is wrong, it is an error.
func (f *filters) again() (*filters, error) {
	next := newFilters(f.ctx, f.text, f.snapLen, f.options, f.memory)
	next.taps = f.taps
	f.mu.Lock()
	kinds := map[kind]bool{} // whether it is eBPF
	for k, b := range f.loaded {
		kinds[k] = b.Fallback == nil
	}
	f.mu.Unlock()
	for k, isEBPF := range kinds {
		b, err := next.load(k)
		if err == nil && isEBPF {
			err = b.Fallback // and not as something that can less
		}
		if err != nil {
			next.close()
			return nil, err
		}
	}
	return next, nil
}

// hangUps returns what receives SIGHUP from now on, if the expression has sets of files;
// nil, and the signal ends the capture, if not. Signals that come at the same time count once.
func (s *session) hangUps() <-chan os.Signal {
	if !s.filters.sets.Used() {
		return nil
	}
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGHUP)
	return c
}

// reload reads the files of sets again at each signal, until done is closed.
func (s *session) reload(hangUps <-chan os.Signal, done <-chan struct{}, src liveSource) {
	current := s.filters
	for {
		select {
		case <-done:
			current.close()
			return
		case <-hangUps:
		}
		next, err := current.again()
		if err == nil {
			if err = src.setFilters(next); err != nil {
				next.close()
			}
		}
		var wrong *filter.Error
		switch {
		case errors.Is(err, net.ErrClosed): // the capture has ended meanwhile
		case errors.As(err, &wrong): // a file is, the expression was right before
			fmt.Fprintf(s.std.err, "tundump: reading the sets again: %s; the old ones stay\n", wrong.Msg)
		case err != nil:
			report(s.std.err, fmt.Errorf("reading the sets again: %w; the old ones stay", err))
		default:
			fmt.Fprintf(s.std.err, "tundump: read the sets again: %v\n", next.sets)
			current.close()
			current = next
		}
	}
}

// memory is what the filters remember of fragments. It stays when the sets are read again.
type memory struct {
	file ir.Fragments // when a file is read

	mu     sync.Mutex // for what follows
	kernel *bpf.Fragments
}

// live returns the memory of filters in the kernel.
func (m *memory) live() (f *bpf.Fragments, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.kernel == nil {
		m.kernel, err = bpf.NewFragments()
	}
	return m.kernel, err
}

// late returns how many later fragments came before the first one of a packet that was accepted.
func (m *memory) late() (uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.kernel == nil {
		return m.file.Late(), nil
	}
	return m.kernel.Late()
}

func (m *memory) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.kernel != nil {
		m.kernel.Close()
	}
}

// reportLate says how many fragments were not followed because they came too early.
func (s *session) reportLate(verb string) error {
	switch n, err := s.filters.memory.late(); {
	case errors.Is(err, syscall.EPERM): // before Linux 5.18, without the privileges that were dropped
	case err != nil:
		return err
	case n == 1:
		fmt.Fprintf(s.std.err, "1 later fragment was not %s: it came before the first one of its packet\n", verb)
	case n > 1:
		fmt.Fprintf(s.std.err, "%d later fragments were not %s: they came before the first one of their packet\n", n, verb)
	}
	return nil
}
