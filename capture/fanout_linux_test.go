package capture

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// flowFrame returns a frame of testType's flow number flow, of 60 bytes, with a number in it. It is UDP, which
// the kernel finds the flow of; testFlows takes it.
func flowFrame(number uint32, flow int) []byte {
	f := make([]byte, 60)
	copy(f, "\xff\xff\xff\xff\xff\xff\x02\x00\x00\x00\x00\x01\x08\x00\x45")
	binary.BigEndian.PutUint16(f[16:], 46)
	copy(f[22:], []byte{64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2})
	binary.BigEndian.PutUint16(f[34:], uint16(1024+flow))
	binary.BigEndian.PutUint16(f[36:], testType)
	binary.BigEndian.PutUint16(f[38:], 26)
	binary.BigEndian.PutUint32(f[42:], number)
	return f
}

// testFlows accepts the frames of flowFrame, of even numbers only if asked to.
func testFlows(even bool) func(conn syscall.RawConn, iface Interface) error {
	bit := uint32(0)
	if even {
		bit = 1
	}
	return func(conn syscall.RawConn, iface Interface) error {
		return attach(conn,
			unix.SockFilter{Code: unix.BPF_LD | unix.BPF_H | unix.BPF_ABS, K: 36},
			unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: testType, Jf: 3},
			unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 42},
			unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K, K: bit, Jt: 1},
			unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: iface.SnapLen},
			unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K})
	}
}

// ringsUsed counts the rings that have captured something.
func ringsUsed(l *Live) (n int) {
	for _, r := range l.rings {
		if r.stats.Received > 0 {
			n++
		}
	}
	return n
}

// TestLiveFanout sends numbered frames of many flows: each comes once, in order, and through
// more than one ring.
func TestLiveFanout(t *testing.T) {
	newNamespace(t)
	newVeth(t, "a", "b", 1500)
	const total = 100_000
	for _, n := range []int{2, 4} {
		l := openLive(t, LiveOptions{Filter: testFlows(false), Fanout: n, BufferSize: 64 << 20}, "a")
		if got := l.BufferSize(0); got != n*64<<20 || len(l.rings) != n || len(l.Interfaces()) != 1 {
			t.Fatalf("%d rings of %d bytes, %d interfaces", len(l.rings), got, len(l.Interfaces()))
		}
		s := newSender(t, "a")
		go func() {
			defer l.Stop()
			for i := range total {
				_ = unix.Sendto(s.fd, flowFrame(uint32(i), i*7%251), 0, &s.addr)
			}
		}()
		var got []uint32
		last := int64(0)
		var err error
		for {
			var p Packet
			if p, err = l.Next(t.Context()); err != nil {
				break
			}
			if p.Time < last || p.Interface != 0 || len(p.Data) != 60 {
				t.Fatalf("packet %d is %+v, after one at %d", len(got), p, last)
			}
			last = p.Time
			got = append(got, binary.BigEndian.Uint32(p.Data[42:]))
		}
		if err != io.EOF || len(got) != total {
			stats, _ := l.Stats()
			t.Fatalf("fanout %d: %d packets, %v; statistics %+v", n, len(got), err, stats)
		}
		for i, number := range got {
			if number != uint32(i) {
				t.Fatalf("fanout %d: packet %d has the number %d", n, i, number)
			}
		}
		stats, err := l.Stats()
		if want := []Stats{{Received: total}}; err != nil || !slices.Equal(stats, want) {
			t.Errorf("statistics %+v, %v; want %+v", stats, err, want)
		}
		if used := ringsUsed(l); used != n {
			t.Errorf("fanout %d: %d rings were used", n, used)
		}
		l.Close()
	}
}

// TestLiveFanoutLive reads while several threads send: what the kernel counts comes, once, in the
// order of each thread, and without waiting for the stop.
func TestLiveFanoutLive(t *testing.T) {
	newNamespace(t)
	newVeth(t, "a", "b", 1500)
	const senders, each = 3, 3000
	l := openLive(t, LiveOptions{Filter: testFlows(false), Fanout: 4, BlockTimeout: time.Minute}, "a", "b")
	for i := range senders {
		s := newSender(t, "a")
		go func() {
			// On one CPU, or what it sends first may wait in one's queue while another's is served.
			runtime.LockOSThread() // for good: the thread ends with the goroutine
			var cpu unix.CPUSet
			cpu.Set(i % runtime.NumCPU())
			if err := unix.SchedSetaffinity(0, &cpu); err != nil {
				t.Error(err)
			}
			for n := range each {
				_ = unix.Sendto(s.fd, flowFrame(uint32(i*each+n), n*senders+i), 0, &s.addr)
			}
		}()
	}
	var seen [2]map[uint32]bool
	var last [2][senders]uint32
	late := 0
	for range 2 * senders * each {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		p, err := l.Next(ctx)
		cancel()
		if err != nil {
			t.Fatalf("%v, after %v", err, last)
		}
		number := binary.BigEndian.Uint32(p.Data[42:])
		if seen[p.Interface] == nil {
			seen[p.Interface] = map[uint32]bool{}
		}
		if seen[p.Interface][number] || number >= senders*each {
			t.Fatalf("%s: packet %d comes twice, or is none", l.Interfaces()[p.Interface].Name, number)
		}
		seen[p.Interface][number] = true
		if before := &last[p.Interface][number/each]; number < *before {
			late++
		} else {
			*before = number
		}
	}
	// Only between two blocks may the kernel have stamped one that is earlier later.
	if late > 3 {
		t.Errorf("%d packets are out of order", late)
	}
	stats, err := l.Stats()
	if want := []Stats{{Received: senders * each}, {Received: senders * each}}; err != nil || !slices.Equal(stats, want) {
		t.Errorf("statistics %+v, %v; want %+v", stats, err, want)
	}
}

// TestLiveFanoutStopUnderLoad opens, replaces the filter and stops while another thread sends: no packet
// comes twice, none that no filter lets pass, and all that the kernel counts.
func TestLiveFanoutStopUnderLoad(t *testing.T) {
	newNamespace(t)
	newVeth(t, "a", "b", 1500)
	s := newSender(t, "a")
	var stop atomic.Bool
	var sent atomic.Uint32
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for !stop.Load() {
			n := sent.Add(1)
			_ = unix.Sendto(s.fd, flowFrame(n, int(n%499)), 0, &s.addr)
		}
	}()
	defer func() { stop.Store(true); <-ended }()
	for range 10 {
		l := openLive(t, LiveOptions{Filter: testFlows(true), Fanout: 4, BlockTimeout: time.Minute, Promiscuous: true}, "a")
		for before := sent.Load(); sent.Load() < before+2000; {
			runtime.Gosched()
		}
		from := sent.Load() + 1 // one may be on its way
		if err := l.SetFilter(testFlows(false)); err != nil {
			t.Fatal(err)
		}
		for before := sent.Load(); sent.Load() < before+2000; {
			runtime.Gosched()
		}
		l.Stop()
		last, odd, n := uint32(0), 0, uint64(0)
		var err error
		for {
			var p Packet
			if p, err = l.Next(t.Context()); err != nil {
				break
			}
			number := binary.BigEndian.Uint32(p.Data[42:])
			if number <= last || number < from-1 && number%2 == 1 {
				t.Fatalf("packet %d after %d, the filter takes odd ones from about %d", number, last, from)
			}
			last = number
			odd += int(number % 2)
			n++
		}
		stats, serr := l.Stats()
		if err != io.EOF || serr != nil || odd < 500 || stats[0] != (Stats{Received: n}) {
			t.Fatalf("%d packets, %d odd ones, %v; statistics %+v, %v", n, odd, err, stats, serr)
		}
		l.Close()
	}
}

// TestLiveFanoutInterfaces: interfaces that come, go down and go are told of once each, and
// their packets come.
func TestLiveFanoutInterfaces(t *testing.T) {
	newNamespace(t)
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	l := openLive(t, LiveOptions{
		Filter: testFlows(false), Fanout: 3, BufferSize: 2 << 20,
		OnUp:   func(in Interface) { told = append(told, in.Name+" up") },
		OnDown: func(in Interface, err error) { told = append(told, in.Name+" "+err.Error()) },
	}, "tap*")
	until := func(n int) {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); len(told) < n; {
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			p, err := l.Next(ctx)
			cancel()
			if err == nil || !errors.Is(err, context.DeadlineExceeded) || time.Now().After(deadline) {
				t.Fatalf("%+v, %v; told %q", p, err, told)
			}
		}
	}
	for round := range 3 {
		newVeth(t, "tap0", "peer0", 1500)
		until(3*round + 1)
		s := newSender(t, "tap0")
		for i := range 50 {
			s.send(flowFrame(uint32(i), i))
		}
		for i, p := range collect(t, l, 50) {
			if number := binary.BigEndian.Uint32(p.Data[42:]); number != uint32(i) || p.Interface != round {
				t.Fatalf("packet %d is %d of interface %d", i, number, p.Interface)
			}
		}
		link, err := netlink.LinkByName("tap0")
		if err != nil {
			t.Fatal(err)
		}
		if err := netlink.LinkSetDown(link); err != nil {
			t.Fatal(err)
		}
		until(3*round + 2)
		if err := netlink.LinkDel(link); err != nil {
			t.Fatal(err)
		}
		until(3*round + 3)
	}
	for i, line := range told {
		want := []string{"tap0 up", "tap0 " + ErrInterfaceDown.Error(), "tap0 " + ErrInterfaceGone.Error()}[i%3]
		if line != want {
			t.Errorf("told %q, want %q", line, want)
		}
	}
	stats, err := l.Stats()
	if want := []Stats{{Received: 50}, {Received: 50}, {Received: 50}}; err != nil || !slices.Equal(stats, want) {
		t.Errorf("statistics %+v, %v; want %+v", stats, err, want)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if now, err := os.ReadDir("/proc/self/fd"); err != nil || len(now) > len(files)+3 { // the senders'
		t.Errorf("%d files, %d before: %v", len(now), len(files), err)
	}
}

// TestLiveFanoutLoopback: packets of a loopback interface come once, also in a group.
func TestLiveFanoutLoopback(t *testing.T) {
	newNamespace(t)
	setUp(t, "lo")
	l := openLive(t, LiveOptions{Fanout: 2}, "lo")
	c, err := net.Dial("udp4", "127.0.0.1:9") // the socket is in this thread's namespace
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte("one")); err != nil {
		t.Fatal(err)
	}
	all := collect(t, l, 2) // the second is ICMP's: nobody listens
	l.Stop()
	udp := 0
	for _, p := range append(all, collect(t, l, everything)...) {
		if len(p.Data) > 23 && p.Data[23] == unix.IPPROTO_UDP {
			udp++
		}
	}
	if stats, err := l.Stats(); udp != 1 || err != nil || stats[0].Received != 2 {
		t.Errorf("%d datagrams, statistics %+v, %v", udp, stats, err)
	}
}

// TestLiveFanoutErrors: no more rings than are possible, and an error half-way leaves nothing.
func TestLiveFanoutErrors(t *testing.T) {
	newNamespace(t)
	newVeth(t, "a", "b", 1500)
	for _, n := range []int{-1, MaxFanout + 1} {
		if _, err := OpenLive([]string{"a"}, LiveOptions{Fanout: n}); err == nil || !strings.Contains(err.Error(), "1 to 16 are possible") {
			t.Errorf("%d: %v", n, err)
		}
	}
	l := openLive(t, LiveOptions{Fanout: MaxFanout, BufferSize: 1 << 20}, "a")
	l.Close()
	_, err := OpenLive([]string{"a"}, LiveOptions{Fanout: 2, Filter: func(syscall.RawConn, Interface) error {
		return netlink.LinkSetDown(setUp(t, "a"))
	}})
	if !errors.Is(err, ErrInterfaceDown) {
		t.Errorf("down meanwhile: %v", err)
	}
}

// TestBlockOrder: a block has packets in the order in which they got their place, and is read in that of time.
func TestBlockOrder(t *testing.T) {
	data := make([]byte, 60)
	packets := []ringPacket{{nsec: 1, wire: 60, data: data}, {nsec: 5, wire: 60, data: data}, {nsec: 3, wire: 61, data: data}, {nsec: 3, wire: 62, data: data}}
	mem := buildBlock(packets...)
	r := &ring{read: blockReader{snapLen: 100}, grouped: true, mem: mem, size: len(mem), blockSize: len(mem)}
	for range 2 { // what was sorted is forgotten
		if err := r.startBlock(); err != nil {
			t.Fatal(err)
		}
		var got []int64
		for {
			ok, err := r.nextPacket()
			if err != nil {
				t.Fatal(err)
			}
			if !ok {
				break
			}
			got = append(got, r.head.Time, int64(r.head.Len))
		}
		if want := []int64{1, 60, 3, 61, 3, 62, 5, 60}; !slices.Equal(got, want) {
			t.Errorf("times and lengths %v, want %v", got, want)
		}
	}
}
