package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/tundump/tundump/bpf"
	"github.com/tundump/tundump/capture"
	"github.com/tundump/tundump/filter"
	"github.com/tundump/tundump/filter/header"
	"github.com/tundump/tundump/filter/ir"
)

// filters are what one expression comes to for each link type, with the files of its
// sets as they were when they were first read.
type filters struct {
	text    string
	options func(header.LinkType) filter.Options // but for Sets
	snapLen uint32
	sets    *filter.Sets
	memory  *memory

	mu       sync.Mutex // for what follows
	programs map[header.LinkType]*ir.Prog
	loaded   map[header.LinkType]*bpf.Filter
	closed   bool
}

func newFilters(text string, snapLen uint32, options func(header.LinkType) filter.Options, m *memory) *filters {
	return &filters{
		text: text, options: options, snapLen: snapLen, sets: filter.NewSets(openSet), memory: m,
		programs: map[header.LinkType]*ir.Prog{}, loaded: map[header.LinkType]*bpf.Filter{},
	}
}

// openSet opens the file of a set, "in @FILE".
func openSet(name string) (io.ReadCloser, error) {
	f, err := os.Open(name)
	var path *fs.PathError
	if errors.As(err, &path) {
		return nil, path.Err // who asked knows the name
	}
	return f, err
}

// program returns the filter for packets of a link type.
func (f *filters) program(link header.LinkType) (*ir.Prog, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.compile(link)
}

func (f *filters) compile(link header.LinkType) (*ir.Prog, error) {
	if p := f.programs[link]; p != nil {
		return p, nil
	}
	opt := f.options(link)
	opt.Sets = f.sets
	p, err := filter.Compile(f.text, opt)
	if err != nil {
		return nil, err
	}
	f.programs[link] = p
	return p, nil
}

// load returns the filter for packets of a link type as the kernel has it.
func (f *filters) load(link header.LinkType) (*bpf.Filter, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if b := f.loaded[link]; b != nil {
		return b, nil
	}
	if f.closed {
		return nil, fs.ErrClosed
	}
	p, err := f.compile(link)
	if err != nil {
		return nil, err
	}
	var fragments *bpf.Fragments
	if p.FollowsFragments() {
		if fragments, err = f.memory.live(); err != nil {
			fragments = nil // Load says why there is no eBPF
		}
	}
	b, err := bpf.Load(p, f.snapLen, fragments)
	if err != nil {
		return nil, err
	}
	f.loaded[link] = b
	return b, nil
}

// attach makes the filter that of an interface's socket.
func (f *filters) attach(conn syscall.RawConn, in capture.Interface) error {
	b, err := f.load(header.LinkType(in.LinkType))
	if err != nil {
		return err
	}
	return b.Attach(conn)
}

// loadedFor returns what load has returned for a link type, nil if it has not.
func (f *filters) loadedFor(link header.LinkType) *bpf.Filter {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.loaded[link]
}

// close releases what was loaded, and the memory of sets. Sockets keep their filters.
func (f *filters) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed, f.sets = true, nil
	clear(f.programs)
	for link, b := range f.loaded {
		b.Close()
		delete(f.loaded, link)
	}
}

// again returns filters for the same link types with the files of the sets read again: all
// is in the kernel. If anything is wrong, it is an error.
func (f *filters) again() (*filters, error) {
	next := newFilters(f.text, f.snapLen, f.options, f.memory)
	f.mu.Lock()
	links := map[header.LinkType]bool{} // whether it is eBPF
	for link, b := range f.loaded {
		links[link] = b.Fallback == nil
	}
	f.mu.Unlock()
	for link, isEBPF := range links {
		b, err := next.load(link)
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
// nil, and the signal ends the program, if not. Signals that come at the same time count once.
func (s *session) hangUps() <-chan os.Signal {
	if !s.filters.sets.Used() {
		return nil
	}
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGHUP)
	return c
}

// reload reads the files of sets again at each signal, until done is closed.
func (s *session) reload(hangUps <-chan os.Signal, done <-chan struct{}, src *capture.Live) {
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
			if err = src.SetFilter(next.attach); err != nil {
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
	case err != nil:
		return err
	case n == 1:
		fmt.Fprintf(s.std.err, "1 later fragment was not %s: it came before the first one of its packet\n", verb)
	case n > 1:
		fmt.Fprintf(s.std.err, "%d later fragments were not %s: they came before the first one of their packet\n", n, verb)
	}
	return nil
}
