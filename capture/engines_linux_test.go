package capture

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Here is what all captures from interfaces must do, whatever they are made of.

// liveCapture is what Live and Taps have in common.
type liveCapture interface {
	Source
	Readier
	Stop()
}

// verdict is a filter of the tests.
type verdict int

const (
	acceptTests  verdict = iota + 1 // the tests' own frames
	acceptNone                      // nothing
	acceptCannot                    // it cannot be made: errVerdict
)

var errVerdict = errors.New("boom")

// engineOptions are the options that both have, and what stands for those that each has.
type engineOptions struct {
	SnapLen     uint32
	Promiscuous bool
	BufferSize  int
	Direction   Direction
	Immediate   bool    // packets are not to wait for others
	Filter      verdict // 0 is none
	OnFilter    func(Interface)
	Prepare     func(Interface)
	Accept      func(Interface) error
	OnDown      func(Interface, error)
}

// engine is a kind of capture.
type engine struct {
	name      string
	try       func(t *testing.T, names []string, opt engineOptions) (liveCapture, error)
	setFilter func(t *testing.T, l liveCapture, f verdict, onFilter func(Interface)) error
	mapped    string // how /proc/self/maps calls what it maps
	// In errors:
	filtering string // what it is doing when it cannot make a filter
	needs     string // what it says to whom capabilities lack
}

// open opens a capture, and closes it at the end of the test.
func (e engine) open(t *testing.T, opt engineOptions, names ...string) liveCapture {
	t.Helper()
	l, err := e.try(t, names, opt)
	if err != nil {
		t.Fatalf("%+v", err)
	}
	closeAtEnd(t, l)
	return l
}

// forEngines runs a test with each engine, in a network namespace of its own that has the interfaces a and b.
func forEngines(t *testing.T, test func(t *testing.T, e engine)) {
	for _, e := range []engine{packetEngine(), tapEngine()} {
		t.Run(e.name, func(t *testing.T) {
			newNamespace(t)
			newVeth(t, "a", "b", 1500)
			test(t, e)
		})
	}
}

func packetEngine() engine {
	filter := func(f verdict, onFilter func(Interface)) func(syscall.RawConn, Interface) error {
		return func(conn syscall.RawConn, iface Interface) error {
			if onFilter != nil {
				onFilter(iface)
			}
			switch f {
			case acceptTests:
				return onlyTestType(conn, iface)
			case acceptNone:
				return attach(conn, unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K})
			}
			return errVerdict
		}
	}
	return engine{
		name: "packet", mapped: "socket:", filtering: "attaching the filter", needs: "a: capturing needs the capability CAP_NET_RAW",
		try: func(_ *testing.T, names []string, o engineOptions) (liveCapture, error) {
			opt := LiveOptions{
				SnapLen: o.SnapLen, Promiscuous: o.Promiscuous, BufferSize: o.BufferSize, Direction: o.Direction,
				Prepare: o.Prepare, Accept: o.Accept, OnDown: o.OnDown,
				BlockTimeout: time.Minute, // longer than a test: the kernel would not hand over the last block in time
			}
			if o.Immediate {
				opt.BlockTimeout = time.Millisecond
			}
			if o.Filter != 0 {
				opt.Filter = filter(o.Filter, o.OnFilter)
			}
			l, err := OpenLive(names, opt)
			if err != nil {
				return nil, err
			}
			return l, nil
		},
		setFilter: func(_ *testing.T, l liveCapture, f verdict, onFilter func(Interface)) error {
			return l.(*Live).SetFilter(filter(f, onFilter))
		},
	}
}

func tapEngine() engine {
	filter := func(t *testing.T, f verdict, onFilter func(Interface)) TapFilter {
		return func(iface Interface, outgoing bool, output asm.Instructions) (*ebpf.Program, error) {
			if onFilter != nil {
				onFilter(iface)
			}
			switch f {
			case acceptTests:
				return tapTestType(t)(iface, outgoing, output)
			case acceptNone:
				return noTapped(t)(iface, outgoing, output)
			}
			return nil, errVerdict
		}
	}
	return engine{
		name: "tcx", mapped: "bpf", filtering: "making the filter", needs: ErrNoTaps.Error(),
		try: func(t *testing.T, names []string, o engineOptions) (liveCapture, error) {
			opt := TapOptions{
				SnapLen: o.SnapLen, Promiscuous: o.Promiscuous, BufferSize: o.BufferSize, Direction: o.Direction,
				Prepare: o.Prepare, Accept: o.Accept, OnDown: o.OnDown, Immediate: o.Immediate,
			}
			if o.Filter != 0 {
				opt.Filter = filter(t, o.Filter, o.OnFilter)
			}
			l, err := OpenTaps(names, opt)
			if err != nil {
				return nil, err
			}
			return l, nil
		},
		setFilter: func(t *testing.T, l liveCapture, f verdict, onFilter func(Interface)) error {
			return l.(*Taps).SetFilter(filter(t, f, onFilter))
		},
	}
}

// TestStop sends and stops at once. Frames are captured where they are sent, within
// the sender's system call, so that all have passed the filter before the stop.
func TestStop(t *testing.T) {
	forEngines(t, func(t *testing.T, e engine) {
		for _, n := range []int{0, 1, 7, 10_000} {
			l := e.open(t, engineOptions{Filter: acceptTests}, "a")
			s := newSender(t, "a")
			before := time.Now()
			for i := range n {
				s.send(testFrame(uint32(i), 60+i%1400))
			}
			l.Stop()
			s.send(testFrame(99, 60)) // after the stop; may or may not come
			got := collect(t, l, everything)
			after := time.Now()
			if len(got) != n && len(got) != n+1 {
				t.Fatalf("%d packets of %d", len(got), n)
			}
			last := before.UnixNano()
			for i, p := range got[:n] {
				if want := testFrame(uint32(i), 60+i%1400); !bytes.Equal(p.Data, want) || p.Len != len(want) || p.Direction != DirectionOut || p.Interface != 0 {
					t.Fatalf("packet %d is %+v", i, p)
				}
				if p.Time < last || p.Time > after.UnixNano() {
					t.Fatalf("packet %d at %d, after one at %d", i, p.Time, last)
				}
				last = p.Time
			}
			stats, err := l.Stats()
			if want := []Stats{{Received: uint64(len(got))}}; err != nil || !slices.Equal(stats, want) {
				t.Errorf("statistics %+v, %v; want %+v", stats, err, want)
			}
			if _, err := l.Next(t.Context()); err != io.EOF {
				t.Errorf("after the end: %v", err)
			}
			l.Close()
			l.Stop() // does nothing
			if _, err := l.Stats(); !errors.Is(err, net.ErrClosed) {
				t.Errorf("statistics after Close: %v", err)
			}
		}
	})
}

// TestStopUnderLoad stops while another thread sends: what was counted as received, and not as
// dropped, is what we get, also what was on its way at that moment.
func TestStopUnderLoad(t *testing.T) {
	forEngines(t, func(t *testing.T, e engine) {
		s := newSender(t, "a")
		var stop atomic.Bool
		var sent atomic.Int64
		var flood sync.WaitGroup
		flood.Go(func() {
			f := testFrame(1, 60)
			for !stop.Load() {
				if unix.Sendto(s.fd, f, 0, &s.addr) == nil {
					sent.Add(1)
				}
			}
		})
		defer func() { stop.Store(true); flood.Wait() }()
		for round := range 16 {
			l := e.open(t, engineOptions{Filter: acceptTests, BufferSize: 64 << 20, Immediate: e.name == "tcx" && round%2 == 1}, "a")
			for before := sent.Load(); sent.Load() < before+500; {
				runtime.Gosched()
			}
			l.Stop()
			got := collect(t, l, everything)
			stats, err := l.Stats()
			if err != nil || stats[0] != (Stats{Received: uint64(len(got))}) || len(got) < 500 {
				t.Fatalf("%d packets, statistics %+v, %v", len(got), stats, err)
			}
			for i, p := range got {
				if !bytes.Equal(p.Data, testFrame(1, 60)) {
					t.Fatalf("packet %d of %d: % x", i, len(got), p.Data)
				}
			}
			l.Close()
		}
	})
}

// TestStopWhileReading stops from other goroutines, while Next waits.
func TestStopWhileReading(t *testing.T) {
	forEngines(t, func(t *testing.T, e engine) {
		for _, immediate := range []bool{false, true} {
			l := e.open(t, engineOptions{Filter: acceptTests, Immediate: immediate}, "a", "b")
			var stops sync.WaitGroup
			for range 3 {
				stops.Go(func() { time.Sleep(10 * time.Millisecond); l.Stop() })
			}
			if got := collect(t, l, everything); len(got) != 0 {
				t.Errorf("%d packets", len(got))
			}
			stops.Wait()
		}
	})
}

// TestUnprivileged reads, counts and stops when all privileges have been dropped since the start, and
// cannot start without.
func TestUnprivileged(t *testing.T) {
	forEngines(t, func(t *testing.T, e engine) {
		l := e.open(t, engineOptions{Filter: acceptTests, Promiscuous: true}, "a")
		newSender(t, "a").send(testFrame(1, 60))
		var err error
		var n int
		var stats []Stats
		withoutPrivileges(t, func() {
			if stats, err = l.Stats(); err != nil {
				return
			}
			l.Stop()
			for err == nil {
				if _, err = l.Next(context.Background()); err == nil {
					n++
				}
			}
		})
		if n != 1 || err != io.EOF || stats[0].Received != 1 {
			t.Errorf("%d packets, %v, statistics %v", n, err, stats)
		}
		withoutPrivileges(t, func() { _, err = e.try(t, []string{"a"}, engineOptions{}) })
		if !errors.Is(err, os.ErrPermission) || !strings.Contains(err.Error(), e.needs) {
			t.Errorf("without privileges: %v", err)
		}
	})
}

// TestContext ends the context of a Next that waits, and of one that need not.
func TestContext(t *testing.T) {
	forEngines(t, func(t *testing.T, e engine) {
		for _, immediate := range []bool{false, true} {
			l := e.open(t, engineOptions{Filter: acceptTests, Immediate: immediate}, "a")
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(30*time.Millisecond, cancel)
			for range 2 {
				if _, err := l.Next(ctx); !errors.Is(err, context.Canceled) {
					t.Errorf("Next: %v", err)
				}
			}
			// The capture goes on under another context.
			newSender(t, "a").send(testFrame(5, 60))
			if immediate {
				if got := collect(t, l, 1); frameNumber(got[0].Data) != 5 {
					t.Errorf("got %v", got)
				}
			}
			time.AfterFunc(30*time.Millisecond, l.Stop)
			if got := collect(t, l, everything); !immediate && (len(got) != 1 || frameNumber(got[0].Data) != 5) || immediate && len(got) != 0 {
				t.Errorf("got %v until the stop", got)
			}
			if _, err := l.Next(t.Context()); err != io.EOF {
				t.Errorf("Next after Stop: %v", err)
			}
		}
	})
}

// TestDrops fills a small buffer that nobody reads.
func TestDrops(t *testing.T) {
	forEngines(t, func(t *testing.T, e engine) {
		l := e.open(t, engineOptions{Filter: acceptTests, SnapLen: 1500, BufferSize: 64 << 10}, "a")
		s := newSender(t, "a")
		const n = 1000
		for i := range n {
			if i == n/2 {
				if _, err := l.Stats(); err != nil { // the kernel's counters may start anew
					t.Fatal(err)
				}
			}
			s.send(testFrame(uint32(i), 1500))
		}
		l.Stop()
		got := collect(t, l, everything)
		stats, err := l.Stats()
		if err != nil || stats[0].Received != n || stats[0].Dropped == 0 || stats[0].Dropped+uint64(len(got)) != n || len(got) < 15 {
			t.Errorf("%d sent, %d captured, statistics %+v, %v", n, len(got), stats[0], err)
		}
		for i, p := range got { // what is there is the beginning
			if frameNumber(p.Data) != uint32(i) {
				t.Fatalf("packet %d is frame %d", i, frameNumber(p.Data))
			}
		}
	})
}

// TestSetFilter replaces filters between frames, and while they come: those that all filters accept
// are all there. When the capture has stopped nothing is let in again.
func TestSetFilter(t *testing.T) {
	forEngines(t, func(t *testing.T, e engine) {
		s := newSender(t, "a")
		l := e.open(t, engineOptions{Filter: acceptTests}, "a")
		var want []uint32
		number := uint32(0)
		for ; number < 40; number++ {
			if number%4 == 0 {
				f := acceptTests
				if number%8 == 4 {
					f = acceptNone
				}
				if err := e.setFilter(t, l, f, nil); err != nil {
					t.Fatal(err)
				}
			}
			s.send(testFrame(number, 60))
			if number%8 < 4 {
				want = append(want, number)
			}
		}
		if err := e.setFilter(t, l, acceptCannot, nil); !errors.Is(err, errVerdict) {
			t.Errorf("a filter that cannot be made: %v", err)
		}
		if err := e.setFilter(t, l, acceptTests, nil); err != nil {
			t.Fatal(err)
		}
		var replacing sync.WaitGroup
		var stop atomic.Bool
		replaced := 0
		replacing.Go(func() {
			for ; !stop.Load(); replaced++ {
				if err := e.setFilter(t, l, acceptTests, nil); err != nil {
					t.Error(err)
				}
			}
		})
		for ; number < 20_000; number++ {
			s.send(testFrame(number, 60))
			want = append(want, number)
		}
		stop.Store(true)
		replacing.Wait()
		l.Stop()
		var got []uint32
		for _, p := range collect(t, l, everything) {
			got = append(got, frameNumber(p.Data))
		}
		if !slices.Equal(got, want) || replaced < 3 {
			t.Errorf("%d frames, want %d; the filter was replaced %d times", len(got), len(want), replaced)
		}
		if err := e.setFilter(t, l, acceptTests, func(Interface) { t.Error("a filter was made after the stop") }); err != nil {
			t.Errorf("after the stop: %v", err)
		}
		l.Close()
		if err := e.setFilter(t, l, acceptTests, nil); !errors.Is(err, net.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	})
}

// TestInterfaceRemoved removes the interfaces of a capture one after the other.
func TestInterfaceRemoved(t *testing.T) {
	forEngines(t, func(t *testing.T, e engine) {
		newVeth(t, "c", "d", 1500)
		var gone []string
		l := e.open(t, engineOptions{Filter: acceptTests, OnDown: func(i Interface, err error) {
			if errors.Is(err, ErrInterfaceGone) {
				gone = append(gone, i.Name)
			} else if !errors.Is(err, ErrInterfaceDown) { // which comes first, if we were quick
				t.Errorf("%s: %v", i.Name, err)
			}
		}}, "a", "c")
		remove := func(name string) {
			dev, err := netlink.LinkByName(name)
			if err != nil {
				t.Fatal(err)
			}
			if err := netlink.LinkDel(dev); err != nil {
				t.Fatal(err)
			}
		}
		a, c := newSender(t, "a"), newSender(t, "c")
		a.send(testFrame(0, 60))
		a.send(testFrame(1, 60))
		remove("a")
		// What was captured, and perhaps not handed over, still comes; and c goes on.
		if got := collect(t, l, 2); frameNumber(got[0].Data) != 0 || frameNumber(got[1].Data) != 1 {
			t.Errorf("got %v", got)
		}
		if err := e.setFilter(t, l, acceptTests, nil); err != nil { // also where the one is gone, which we may not know yet
			t.Error(err)
		}
		c.send(testFrame(2, 60))
		c.send(testFrame(3, 60))
		remove("c")
		if got := collect(t, l, 2); frameNumber(got[0].Data) != 2 || got[1].Interface != 1 {
			t.Errorf("got %v", got)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		for range 2 {
			if _, err := l.Next(ctx); !errors.Is(err, ErrInterfaceGone) {
				t.Errorf("after the last interface: %v", err)
			}
		}
		if slices.Sort(gone); !slices.Equal(gone, []string{"a", "c"}) {
			t.Errorf("gone: %v", gone)
		}
		if stats, err := l.Stats(); err != nil || !slices.Equal(stats, []Stats{{Received: 2}, {Received: 2}}) {
			t.Errorf("statistics %+v, %v", stats, err)
		}
		l.Stop()
		if _, err := l.Next(ctx); err != io.EOF {
			t.Errorf("after Stop: %v", err)
		}
	})
}

// TestInterfaceDown sets an interface down and up again: the capture goes on. Then it goes down once
// more, and is removed when that has been noticed.
func TestInterfaceDown(t *testing.T) {
	downAndUp := func(t *testing.T, e engine, name string, immediate bool) {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		reported, report := context.WithCancel(ctx)
		defer report()
		again := report
		l := e.open(t, engineOptions{Filter: acceptTests, Immediate: immediate, OnDown: func(i Interface, err error) {
			if i.Name != name || !errors.Is(err, ErrInterfaceDown) && !errors.Is(err, ErrInterfaceGone) {
				t.Errorf("%s: %v", i.Name, err)
			}
			again()
		}}, name)
		dev, err := netlink.LinkByName(name)
		if err != nil {
			t.Fatal(err)
		}
		down := func(reported context.Context) {
			if err := netlink.LinkSetDown(dev); err != nil {
				t.Fatal(err)
			}
			if _, err := l.Next(reported); !errors.Is(err, context.Canceled) || ctx.Err() != nil {
				t.Fatalf("Next: %v", err)
			}
		}
		down(reported)
		setUp(t, name)
		newSender(t, name).send(testFrame(4, 60))
		if got := collect(t, l, 1); frameNumber(got[0].Data) != 4 {
			t.Errorf("got %v", got)
		}
		second, report := context.WithCancel(ctx)
		defer report()
		again = report
		down(second)
		handle, err := netlink.NewHandle() // in this namespace, for another thread
		if err != nil {
			t.Fatal(err)
		}
		defer handle.Close()
		deleted := make(chan error, 1)
		time.AfterFunc(50*time.Millisecond, func() { deleted <- handle.LinkDel(dev) })
		if _, err := l.Next(ctx); !errors.Is(err, ErrInterfaceGone) {
			t.Errorf("Next: %v", err)
		}
		if err := <-deleted; err != nil {
			t.Error(err)
		}
	}
	forEngines(t, func(t *testing.T, e engine) {
		downAndUp(t, e, "a", true)
		if e.name == "tcx" { // which then waits for nothing but the time; packet sockets do for their blocks
			newVeth(t, "c", "d", 1500)
			downAndUp(t, e, "c", false)
		}
	})
}

// TestOpenErrors opens what cannot be captured.
func TestOpenErrors(t *testing.T) {
	forEngines(t, func(t *testing.T, e engine) {
		boom := errors.New("bang")
		for _, tt := range []struct {
			name  string
			names []string
			opt   engineOptions
			is    error
			text  string
		}{
			{"none", nil, engineOptions{}, nil, "no interface"},
			{"absent", []string{"a", "nosuch"}, engineOptions{}, unix.ENODEV, "nosuch: no such interface"},
			{"name too long", []string{"this-name-is-much-too-long"}, engineOptions{}, unix.ENODEV, "this-name-is-much-too-long: no such interface"},
			{"empty name", []string{""}, engineOptions{}, nil, ": no such interface"},
			{"down", []string{"lo"}, engineOptions{}, ErrInterfaceDown, "lo: the interface is down"},
			{"accept", []string{"b"}, engineOptions{Accept: func(Interface) error { return boom }}, boom, "b: bang"},
			{"filter", []string{"b"}, engineOptions{Filter: acceptCannot}, errVerdict, "b: " + e.filtering + ": boom"},
		} {
			// No subtests: they would run on other threads, outside the namespace.
			l, err := e.try(t, tt.names, tt.opt)
			if err == nil {
				l.Close()
				t.Errorf("%s: no error", tt.name)
				continue
			}
			if tt.is != nil && !errors.Is(err, tt.is) || !strings.Contains(err.Error(), tt.text) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s: %v", tt.name, err)
			}
		}
	})
}

// held returns how many files are open, and how many mappings have a name in them.
func held(t *testing.T, name string) (files, maps int) {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries), bytes.Count(text, []byte(name))
}

// TestOpenLeaks opens, reads and closes captures, also such that fail half-way.
func TestOpenLeaks(t *testing.T) {
	forEngines(t, func(t *testing.T, e engine) {
		s := newSender(t, "a")
		open := func() {
			l := e.open(t, engineOptions{Immediate: true}, "a", "b")
			s.send(testFrame(0, 60))
			collect(t, l, 1)
			if _, maps := held(t, e.mapped); maps == 0 {
				t.Error("there is nothing mapped: the test says little")
			}
			l.Close()
			if _, err := e.try(t, []string{"a", "nosuch"}, engineOptions{}); err == nil {
				t.Error("no error")
			}
			if _, err := e.try(t, []string{"a", "b"}, engineOptions{Filter: acceptCannot}); !errors.Is(err, errVerdict) {
				t.Errorf("a filter that cannot be made: %v", err)
			}
		}
		open() // a library may keep what it has found out of the kernel
		files, maps := held(t, e.mapped)
		for range 3 {
			open()
		}
		if f, m := held(t, e.mapped); f != files || m != maps {
			t.Errorf("%d files and %d mappings before, %d and %d after", files, maps, f, m)
		}
	})
}

// TestPrepareEngines checks that interfaces are prepared for before their filters are made, and not if one is
// down; and that packets which come before the first Next are captured.
func TestPrepareEngines(t *testing.T) {
	forEngines(t, func(t *testing.T, e engine) {
		newVeth(t, "c", "d", 1500)
		var mu sync.Mutex
		var told []string
		tell := func(what string) func(Interface) {
			return func(iface Interface) {
				mu.Lock()
				defer mu.Unlock()
				if text := what + " " + iface.Name; !slices.Contains(told, text) { // of each direction
					told = append(told, text)
				}
			}
		}
		opt := engineOptions{Filter: acceptTests, BufferSize: 1 << 20, Immediate: true, Prepare: tell("prepare"), OnFilter: tell("filter")}
		l := e.open(t, opt, "b", "d")
		for _, name := range []string{"b", "d"} {
			prepared, filtered := slices.Index(told, "prepare "+name), slices.Index(told, "filter "+name)
			if prepared < 0 || filtered < prepared || len(told) != 4 {
				t.Errorf("order: %q", told)
			}
		}
		s := newSender(t, "a")
		for n := range uint32(3) {
			s.send(testFrame(n, 60))
		}
		for n, p := range collect(t, l, 3) {
			if frameNumber(p.Data) != uint32(n) {
				t.Errorf("packet %d is number %d", n, frameNumber(p.Data))
			}
		}
		dev, err := netlink.LinkByName("b")
		if err != nil {
			t.Fatal(err)
		}
		if err := netlink.LinkSetDown(dev); err != nil {
			t.Fatal(err)
		}
		told = nil
		if _, err := e.try(t, []string{"b"}, opt); !errors.Is(err, ErrInterfaceDown) || told != nil {
			t.Errorf("of an interface that is down: %v, told %q", err, told)
		}
	})
}

// TestAllocs reads packets without memory for each.
func TestAllocs(t *testing.T) {
	forEngines(t, func(t *testing.T, e engine) {
		newVeth(t, "c", "d", 1500)
		l := e.open(t, engineOptions{Filter: acceptTests}, "a", "c")
		s := newSender(t, "a")
		for i := range uint32(2001) {
			s.send(testFrame(i, 60))
		}
		l.Stop()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		if _, err := l.Next(ctx); err != nil {
			t.Fatal(err)
		}
		if n := testing.AllocsPerRun(1999, func() {
			if _, err := l.Next(ctx); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%v allocations for a packet", n)
		}
	})
}

// TestLongest captures frames as long as IP allows, with a buffer that holds several and with one that
// is asked to be smaller than one: they are neither cut nor lost at its end.
func TestLongest(t *testing.T) {
	forEngines(t, func(t *testing.T, e engine) {
		newVeth(t, "c", "d", 65535)
		for _, size := range []int{1, 8 << 20} {
			l := e.open(t, engineOptions{Filter: acceptTests, BufferSize: size, Immediate: true}, "d", "c")
			s := newSender(t, "c")
			want := testFrame(0, 65535+14)
			for i := range want[18:] {
				want[18+i] = byte(i * 7)
			}
			const rounds = 20
			each := 1
			if size > 1 {
				each = 2
			}
			for range rounds {
				for range each {
					s.send(want)
				}
				for i, p := range collect(t, l, 2*each) {
					if !bytes.Equal(p.Data, want) || p.Len != len(want) {
						t.Fatalf("buffer of %d, packet %d: %d bytes of %d", size, i, len(p.Data), p.Len)
					}
				}
			}
		}
	})
}

// TestDescription compares what a capture says of an interface with what the kernel does.
func TestDescription(t *testing.T) {
	forEngines(t, func(t *testing.T, e engine) {
		dev, err := netlink.LinkByName("a")
		if err != nil {
			t.Fatal(err)
		}
		for _, snapLen := range []uint32{96, 0} {
			l := e.open(t, engineOptions{SnapLen: snapLen}, "b", "a")
			// The veth driver says 10 Gbit/s (veth_get_link_ksettings, drivers/net/veth.c).
			want := Interface{Name: "a", LinkType: linkEthernet, SnapLen: snapLen, Nanoseconds: true, MAC: dev.Attrs().HardwareAddr, Speed: 10e9}
			if snapLen == 0 {
				want.SnapLen = MaxSnapLen
			}
			if d := cmp.Diff(want, l.Interfaces()[1]); d != "" {
				t.Error(d)
			}
		}
	})
}

// TestPromiscuous looks at what the interface was asked for: a veth has no address filter.
func TestPromiscuous(t *testing.T) {
	forEngines(t, func(t *testing.T, e engine) {
		is := func() bool {
			dev, err := netlink.LinkByName("b")
			if err != nil {
				t.Fatal(err)
			}
			return dev.Attrs().Promisc != 0
		}
		for _, on := range []bool{true, false} {
			l := e.open(t, engineOptions{Promiscuous: on, Filter: acceptTests, Immediate: true}, "b")
			if got := is(); got != on {
				t.Errorf("promiscuous %v, interface says %v", on, got)
			}
			foreign := testFrame(1, 60)
			copy(foreign, "\x02\x99\x99\x99\x99\x99")
			newSender(t, "a").send(foreign)
			if got := collect(t, l, 1); !bytes.Equal(got[0].Data, foreign) {
				t.Errorf("frame for another station: % x", got[0].Data)
			}
			l.Close()
		}
		if is() {
			t.Error("the interface is promiscuous after Close")
		}
	})
}

// TestReceive captures 10,000 frames where they arrive.
func TestReceive(t *testing.T) {
	forEngines(t, func(t *testing.T, e engine) {
		l := e.open(t, engineOptions{Filter: acceptTests, SnapLen: 100, Immediate: true}, "b")
		s := newSender(t, "a")
		const n, batch = 10_000, 500 // the kernel's backlog is 1000 (netdev_max_backlog)
		var got []Packet
		for i := range n {
			s.send(testFrame(uint32(i), 60+i%1400))
			if i%batch == batch-1 {
				got = append(got, collect(t, l, batch)...)
			}
		}
		for i, p := range got {
			want := testFrame(uint32(i), 60+i%1400)
			if !bytes.Equal(p.Data, want[:min(len(want), 100)]) || p.Len != len(want) || p.Direction != DirectionIn {
				t.Fatalf("packet %d is %+v", i, p)
			}
		}
		l.Stop()
		if got := collect(t, l, everything); len(got) != 0 {
			t.Errorf("%d packets more than were sent", len(got))
		}
		if stats, err := l.Stats(); err != nil || stats[0] != (Stats{Received: n}) {
			t.Errorf("statistics %+v, %v", stats, err)
		}
	})
}

// TestReady checks that Ready comes to what Next would, without an end before its time.
func TestReady(t *testing.T) {
	forEngines(t, func(t *testing.T, e engine) {
		for _, only := range []Direction{DirectionUnknown, DirectionIn} {
			const n = 3000
			l := e.open(t, engineOptions{Filter: acceptTests, Direction: only}, "b")
			out, in := newSender(t, "b"), newSender(t, "a")
			none := func(p *Packet) error { return fmt.Errorf("%+v is ready before it is asked for", p) }
			if err := l.Ready(none); err != nil {
				t.Error(err)
			}
			for i := range uint32(n) {
				out.send(testFrame(2*i, 60))
				in.send(testFrame(2*i+1, 60))
			}
			// All have been sent, and the kernel may still be handing some over.
			for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
				stats, err := l.Stats()
				if err != nil || time.Now().After(deadline) {
					t.Fatalf("%+v, %v", stats, err)
				}
				if stats[0].Received >= n && (only == DirectionIn || stats[0].Received == 2*n) {
					break
				}
			}
			l.Stop()
			var numbers []uint32
			most := 0
			for {
				p, err := l.Next(t.Context())
				if err == io.EOF {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				numbers = append(numbers, frameNumber(p.Data))
				ready := 0
				if err := l.Ready(func(p *Packet) error {
					numbers = append(numbers, frameNumber(p.Data))
					if ready++; p.Interface != 0 || p.Direction != DirectionIn && only == DirectionIn {
						return fmt.Errorf("ready is %+v", p)
					}
					return nil
				}); err != nil {
					t.Fatal(err)
				}
				most = max(most, ready)
			}
			var want []uint32
			for i := range uint32(2 * n) {
				if only == DirectionUnknown || i%2 == 1 {
					want = append(want, i)
				}
			}
			if !slices.Equal(numbers, want) || most != readyAtMost {
				t.Errorf("%d packets of %d, %d of them ready at once", len(numbers), len(want), most)
			}
		}
	})
}
