package capture

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// testType is the EtherType of the tests' frames, IEEE's local experimental one. The
// tests' filters take nothing else, and so no packet of the kernel's own.
const testType = 0x88b5

// newNamespace makes a network namespace of its own for the test, and removes it at the
// end. The test stays on one thread, which is in that namespace.
func newNamespace(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs network namespaces and packet sockets: run the tests as root (sudo)")
	}
	runtime.LockOSThread()
	before, err := netns.Get()
	if err != nil {
		t.Fatal(err)
	}
	ns, err := netns.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := netns.Set(before); err != nil {
			t.Fatal(err) // the thread stays locked, and ends with the goroutine
		}
		before.Close()
		ns.Close()
		runtime.UnlockOSThread()
	})
}

// newVeth makes a pair of interfaces that are up.
func newVeth(t testing.TB, a, b string, mtu int) {
	t.Helper()
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MTU = a, mtu
	if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: b, PeerMTU: uint32(mtu)}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{a, b} {
		setUp(t, name)
	}
}

func setUp(t testing.TB, name string) netlink.Link {
	t.Helper()
	link, err := netlink.LinkByName(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkSetUp(link); err != nil {
		t.Fatal(err)
	}
	return link
}

// sender sends frames on one interface.
type sender struct {
	t    testing.TB
	fd   int
	addr unix.SockaddrLinklayer
}

func newSender(t testing.TB, name string) *sender {
	t.Helper()
	link, err := netlink.LinkByName(name)
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return &sender{t, fd, unix.SockaddrLinklayer{Ifindex: link.Attrs().Index, Halen: 6}}
}

func (s *sender) send(frame []byte) {
	s.t.Helper()
	if err := unix.Sendto(s.fd, frame, 0, &s.addr); err != nil {
		s.t.Fatal(err)
	}
}

// testFrame returns a broadcast frame of the given size with a number in it.
func testFrame(number uint32, size int) []byte {
	f := make([]byte, max(size, 18))
	copy(f, "\xff\xff\xff\xff\xff\xff\x02\x00\x00\x00\x00\x01")
	binary.BigEndian.PutUint16(f[12:], testType)
	binary.BigEndian.PutUint32(f[14:], number)
	return f
}

func frameNumber(data []byte) uint32 {
	if len(data) < 18 || binary.BigEndian.Uint16(data[12:]) != testType {
		return 0xffffffff
	}
	return binary.BigEndian.Uint32(data[14:])
}

// attach attaches a classic filter.
func attach(conn syscall.RawConn, prog ...unix.SockFilter) error {
	var err error
	if cerr := conn.Control(func(fd uintptr) {
		err = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
			&unix.SockFprog{Len: uint16(len(prog)), Filter: &prog[0]})
	}); cerr != nil {
		return cerr
	}
	return err
}

// onlyTestType accepts the tests' own frames.
func onlyTestType(conn syscall.RawConn, iface Interface) error {
	return attach(conn,
		unix.SockFilter{Code: unix.BPF_LD | unix.BPF_H | unix.BPF_ABS, K: 12},
		unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: testType, Jf: 1},
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: iface.SnapLen},
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K})
}

func openLive(t testing.TB, opt LiveOptions, names ...string) *Live {
	t.Helper()
	l, err := OpenLive(names, opt)
	if err != nil {
		t.Fatal(err)
	}
	closeAtEnd(t, l)
	return l
}

// closeAtEnd closes a capture at the end of the test, if the test has not.
func closeAtEnd(t testing.TB, l io.Closer) {
	t.Cleanup(func() {
		if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
}

// collect reads packets, with copies of their data, until there are n or the
// capture ends. It asks for some without waiting.
func collect(t testing.TB, s Source, n int) []Packet {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	var all []Packet
	ready, _ := s.(Readier)
	enough := errors.New("enough")
	keep := func(p *Packet) {
		all = append(all, *p)
		all[len(all)-1].Data = bytes.Clone(p.Data)
	}
	for len(all) < n {
		if some := min(n, len(all)+len(all)%5); ready != nil && some > len(all) {
			err := ready.Ready(func(p *Packet) error {
				if len(all) >= some {
					t.Error("Ready does not end with an error")
				}
				if keep(p); len(all) == some {
					return enough
				}
				return nil
			})
			if err == enough {
				continue
			}
			if err != nil {
				t.Fatalf("after %d packets that are ready: %v", len(all), err)
			}
		}
		p, err := s.Next(ctx)
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("after %d packets: %v", len(all), err)
		}
		keep(&p)
	}
	return all
}

const everything = 1 << 30 // packets

// TestLiveStopRingInUse stops when blocks have been read and given back before, some of them
// more than once, while frames keep coming: each is seen once.
func TestLiveStopRingInUse(t *testing.T) {
	newNamespace(t)
	newVeth(t, "a", "b", 1500)
	s := newSender(t, "a")
	for round := range 20 {
		l := openLive(t, LiveOptions{Filter: onlyTestType, SnapLen: 1500, BufferSize: 32 << 10, BlockTimeout: time.Millisecond}, "a")
		var sent uint32
		var got []Packet
		for len(got) < 300 { // the ring holds about 20
			for range 1 + round%7 {
				s.send(testFrame(sent, 1400))
				sent++
			}
			got = append(got, collect(t, l, 1)...)
		}
		l.Stop()
		got = append(got, collect(t, l, everything)...)
		stats, err := l.Stats()
		if err != nil {
			t.Fatal(err)
		}
		if stats[0].Received != uint64(sent) || stats[0].Received-stats[0].Dropped != uint64(len(got)) {
			t.Fatalf("round %d: sent %d, got %d, statistics %+v", round, sent, len(got), stats[0])
		}
		for i := 1; i < len(got); i++ {
			if frameNumber(got[i].Data) <= frameNumber(got[i-1].Data) {
				t.Fatalf("round %d: frame %d after frame %d", round, frameNumber(got[i].Data), frameNumber(got[i-1].Data))
			}
		}
		l.Close()
	}
}

// withoutPrivileges calls f on a thread that has no capabilities, in the network
// namespace of the test.
func withoutPrivileges(t *testing.T, f func()) {
	t.Helper()
	ns, err := netns.Get()
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		err := netns.Set(ns)
		if err == nil {
			var none [2]unix.CapUserData
			err = unix.Capset(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &none[0]) // of this thread
		}
		if err == nil {
			f()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// TestLiveSignal ends contexts until a signal that comes too late is used up.
func TestLiveSignal(t *testing.T) {
	newNamespace(t)
	newVeth(t, "a", "b", 1500)
	l := openLive(t, LiveOptions{Filter: onlyTestType, BlockTimeout: time.Millisecond}, "a")
	// A signal is used up by the poll that it ends, or polls would spin from then on.
	for i := 0; ; i++ {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(5*time.Millisecond, cancel)
		if _, err := l.Next(ctx); !errors.Is(err, context.Canceled) {
			t.Fatalf("Next: %v", err)
		}
		l.wake.release()
		if n, _ := unix.Poll([]unix.PollFd{l.wake.poll()}, 0); n == 0 {
			break
		} else if i == 100 {
			t.Fatal("the signal is never used up")
		}
	}
}

// TestLiveVLAN sends tagged frames, whose tag the receiving kernel moves into metadata.
func TestLiveVLAN(t *testing.T) {
	newNamespace(t)
	newVeth(t, "a", "b", 1500)
	const outer = 12 // the tag is behind the addresses
	tag := func(tags string) []byte {
		f := testFrame(1, 60)
		return []byte(string(f[:outer]) + tags + string(f[outer:]))
	}
	frames := [][]byte{
		testFrame(0, 60),
		tag("\x81\x00\x00\x07"),
		tag("\x81\x00\xf0\x07"), // priority 7 and DEI
		tag("\x81\x00\x00\x00"), // priority tag
		tag("\x88\xa8\xa0\x64"),
		tag("\x88\xa8\x00\x64\x81\x00\x60\x05"), // two tags
	}
	inMetadata := []bool{false, true, true, true, true, true}
	for _, snapLen := range []uint32{MaxSnapLen, 17, 14} {
		l := openLive(t, LiveOptions{Promiscuous: true, Filter: nil, SnapLen: snapLen, BlockTimeout: time.Millisecond}, "b")
		s := newSender(t, "a")
		for _, f := range frames {
			s.send(f)
		}
		var got []Packet
		for len(got) < len(frames) {
			for _, p := range collect(t, l, 1) {
				if bytes.HasPrefix(p.Data, frames[0][:12]) { // not one of the kernel's own
					got = append(got, p)
				}
			}
		}
		for i, p := range got {
			want := frames[i][:min(len(frames[i]), int(snapLen))]
			if !bytes.Equal(p.Data, want) || p.Len != len(frames[i]) {
				t.Errorf("snapshot length %d, frame %d: %d bytes % x; want %d bytes % x", snapLen, i, p.Len, p.Data, len(frames[i]), want)
			}
		}
	}
	// The test is worth something only if the kernel did move the tags.
	r := openLive(t, LiveOptions{BlockTimeout: time.Millisecond}, "b")
	r.rings[0].read.ethernet = false
	s := newSender(t, "a")
	for i, f := range frames {
		s.send(f)
		for {
			p := collect(t, r, 1)[0]
			if !bytes.HasPrefix(p.Data, frames[0][:12]) {
				continue
			}
			if moved := p.Len < len(f); moved != inMetadata[i] {
				t.Errorf("frame %d: tag in metadata: %v", i, moved)
			}
			break
		}
	}
}

// TestLivePromiscuousBridge shows the difference on a device that looks at addresses: a
// bridge gets frames to stations that it does not know only when it is promiscuous.
func TestLivePromiscuousBridge(t *testing.T) {
	newNamespace(t)
	newVeth(t, "a", "b", 1500)
	attrs := netlink.NewLinkAttrs()
	attrs.Name = "br"
	bridge := &netlink.Bridge{LinkAttrs: attrs}
	if err := netlink.LinkAdd(bridge); err != nil {
		t.Skipf("needs a bridge (modprobe bridge): %v", err)
	}
	port, err := netlink.LinkByName("b")
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkSetMaster(port, bridge); err != nil {
		t.Fatal(err)
	}
	setUp(t, "br")
	for _, on := range []bool{true, false} {
		l := openLive(t, LiveOptions{Promiscuous: on, Filter: onlyTestType}, "br")
		foreign := testFrame(1, 60)
		copy(foreign, "\x02\x99\x99\x99\x99\x99")
		s := newSender(t, "a")
		s.send(foreign)
		s.send(testFrame(2, 60)) // broadcast: always comes, and after the other
		first := collect(t, l, 1)[0]
		if got := frameNumber(first.Data) == 1; got != on {
			t.Errorf("promiscuous %v: frame for another station captured: %v", on, got)
		}
		l.Close()
	}
}

// TestLiveFilterBeforeBind opens captures under a flood of frames that the filter rejects, and
// of others, on another interface, that it would accept.
func TestLiveFilterBeforeBind(t *testing.T) {
	newNamespace(t)
	newVeth(t, "a", "b", 1500)
	newVeth(t, "c", "d", 1500)
	s, other := newSender(t, "a"), newSender(t, "c")
	var stop atomic.Bool
	var sent atomic.Int64
	var flood sync.WaitGroup
	flood.Go(func() {
		junk, foreign := testFrame(0xdead, 60), testFrame(0xbeef, 60)
		for !stop.Load() {
			if unix.Sendto(s.fd, junk, 0, &s.addr) == nil && unix.Sendto(other.fd, foreign, 0, &other.addr) == nil {
				sent.Add(1)
			}
		}
	})
	defer func() { stop.Store(true); flood.Wait() }()
	onlyMarker := func(conn syscall.RawConn, _ Interface) error {
		return attach(conn,
			unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 14},
			unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: 0xbeef, Jf: 1},
			unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: 0xffff},
			unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K})
	}
	marker := newSender(t, "a")
	for range 15 {
		before := sent.Load()
		l := openLive(t, LiveOptions{Filter: onlyMarker, BufferSize: 2 << 20}, "a")
		for sent.Load() < before+100 {
			runtime.Gosched()
		}
		marker.send(testFrame(0xbeef, 60))
		l.Stop()
		got := collect(t, l, everything)
		stats, err := l.Stats()
		if len(got) != 1 || frameNumber(got[0].Data) != 0xbeef || err != nil || stats[0] != (Stats{Received: 1}) {
			t.Fatalf("%d packets instead of the marker, statistics %+v, %v", len(got), stats, err)
		}
		l.Close()
	}
}

// TestLiveTwoInterfaces captures on both, in the order of time.
func TestLiveTwoInterfaces(t *testing.T) {
	newNamespace(t)
	newVeth(t, "a", "b", 1500)
	newVeth(t, "c", "d", 1500)
	l := openLive(t, LiveOptions{Filter: onlyTestType}, "c", "a")
	if got := []string{l.Interfaces()[0].Name, l.Interfaces()[1].Name}; !slices.Equal(got, []string{"c", "a"}) {
		t.Errorf("interfaces %v", got)
	}
	senders := []*sender{newSender(t, "c"), newSender(t, "a")}
	const n = 1000
	for i := range n {
		senders[i%3%2].send(testFrame(uint32(i), 60))
	}
	l.Stop()
	got := collect(t, l, everything)
	if len(got) != n {
		t.Fatalf("%d packets", len(got))
	}
	for i, p := range got {
		if frameNumber(p.Data) != uint32(i) || p.Interface != i%3%2 {
			t.Fatalf("packet %d is frame %d of interface %d", i, frameNumber(p.Data), p.Interface)
		}
	}
}

func TestLiveLoopback(t *testing.T) {
	newNamespace(t)
	setUp(t, "lo")
	l := openLive(t, LiveOptions{Promiscuous: true, BlockTimeout: time.Millisecond}, "lo")
	if i := l.Interfaces()[0]; i.LinkType != linkEthernet || i.Name != "lo" || !i.Nanoseconds || i.SnapLen != MaxSnapLen {
		t.Errorf("%+v", i)
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	for range 5 {
		if err := unix.Sendto(fd, []byte("hello"), 0, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: 9}); err != nil && err != unix.ECONNREFUSED {
			t.Fatal(err)
		}
	}
	l.Stop()
	udp := 0
	for _, p := range collect(t, l, everything) {
		if p.Direction != DirectionIn {
			t.Errorf("direction %v", p.Direction)
		}
		if len(p.Data) > 23 && p.Data[23] == unix.IPPROTO_UDP {
			udp++
		}
	}
	if udp != 5 {
		t.Errorf("%d UDP packets", udp)
	}
}

// newTun makes the device tun0, and returns the file that is its other end.
func newTun(t *testing.T) int {
	t.Helper()
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skipf("needs the tun driver (modprobe tun): %v", err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	ifr, err := unix.NewIfreq("tun0")
	if err != nil {
		t.Fatal(err)
	}
	ifr.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr); err != nil {
		t.Fatal(err)
	}
	return fd
}

// TestLiveTun captures on a device without link header, both ways.
func TestLiveTun(t *testing.T) {
	newNamespace(t)
	fd := newTun(t)
	link := setUp(t, "tun0")
	addr, err := netlink.ParseAddr("10.9.0.1/24")
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.AddrAdd(link, addr); err != nil {
		t.Fatal(err)
	}
	var sawType uint32
	l := openLive(t, LiveOptions{Promiscuous: true, BlockTimeout: time.Millisecond, Filter: func(conn syscall.RawConn, i Interface) error {
		sawType = i.LinkType
		// IPv4 and UDP: the packet starts with the IP header for the filter too.
		return attach(conn,
			unix.SockFilter{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: 0},
			unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: 0x45, Jf: 3},
			unix.SockFilter{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: 9},
			unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.IPPROTO_UDP, Jf: 1},
			unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: i.SnapLen},
			unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K})
	}}, "tun0")
	if sawType != linkRaw {
		t.Errorf("the filter was told link type %d", sawType)
	}
	in := []byte("\x45\x00\x00\x21\x00\x01\x00\x00\x40\x11\x00\x00\x0a\x09\x00\x02\x0a\x09\x00\x01\x00\x07\x00\x09\x00\x0d\x00\x00hello")
	binary.BigEndian.PutUint16(in[10:], checksum(in[:20]))
	if _, err := unix.Write(fd, in); err != nil {
		t.Fatal(err)
	}
	p := collect(t, l, 1)[0]
	if !bytes.Equal(p.Data, in) || p.Direction != DirectionIn || p.Len != len(in) {
		t.Errorf("in: %+v", p)
	}
	sock, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(sock)
	if err := unix.Sendto(sock, []byte("answer"), 0, &unix.SockaddrInet4{Addr: [4]byte{10, 9, 0, 2}, Port: 9}); err != nil {
		t.Fatal(err)
	}
	p = collect(t, l, 1)[0]
	if p.Direction != DirectionOut || p.Len != 34 || !bytes.HasSuffix(p.Data, []byte("answer")) || p.Data[0] != 0x45 {
		t.Errorf("out: %+v", p)
	}
}

func checksum(b []byte) uint16 {
	var sum uint32
	for i := 0; i+1 < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for sum>>16 != 0 {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}

// sendTCP makes the interface a, whose peer is in another namespace, calls open, and sends so many
// bytes from a to there.
func sendTCP(t *testing.T, total int, open func()) {
	t.Helper()
	newNamespace(t)
	inner, err := netns.Get()
	if err != nil {
		t.Fatal(err)
	}
	defer inner.Close()
	newVeth(t, "a", "b", 1500)
	peer, err := netns.New() // and enters it
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	if err := netns.Set(inner); err != nil {
		t.Fatal(err)
	}
	b, err := netlink.LinkByName("b")
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkSetNsFd(b, int(peer)); err != nil {
		t.Fatal(err)
	}
	address := func(name, cidr string) {
		link := setUp(t, name)
		addr, err := netlink.ParseAddr(cidr)
		if err != nil {
			t.Fatal(err)
		}
		if err := netlink.AddrAdd(link, addr); err != nil {
			t.Fatal(err)
		}
	}
	address("a", "10.9.0.1/24")
	if err := netns.Set(peer); err != nil {
		t.Fatal(err)
	}
	address("b", "10.9.0.2/24")
	listener, err := net.Listen("tcp4", "10.9.0.2:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if err := netns.Set(inner); err != nil {
		t.Fatal(err)
	}
	open()
	conn, err := net.Dial("tcp4", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	var read sync.WaitGroup
	read.Go(func() {
		c, err := listener.Accept()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		if n, err := io.Copy(io.Discard, c); n != int64(total) || err != nil {
			t.Errorf("%d bytes, %v", n, err)
		}
	})
	if _, err := conn.Write(make([]byte, total)); err != nil {
		t.Fatal(err)
	}
	conn.(*net.TCPConn).CloseWrite()
	read.Wait()
}

// TestLiveGSO captures TCP over a veth, which carries super-packets.
func TestLiveGSO(t *testing.T) {
	const total = 8 << 20
	var l *Live
	sendTCP(t, total, func() { l = openLive(t, LiveOptions{}, "a") })
	l.Stop()
	sent, longest := 0, 0
	for _, p := range collect(t, l, everything) {
		if p.Len != len(p.Data) {
			t.Fatalf("%d bytes of %d", len(p.Data), p.Len)
		}
		if p.Direction == DirectionOut && p.Data[23] == unix.IPPROTO_TCP {
			longest = max(longest, p.Len)
			sent += p.Len - 14 - 20 - int(p.Data[46]>>4)*4
		}
	}
	if sent < total {
		t.Errorf("%d bytes of %d in the capture", sent, total)
	}
	if longest <= 1514 {
		t.Skipf("longest packet %d: segmentation offload is off here (ethtool -K a tso on gso on)", longest)
	}
}

func TestOpenLiveErrors(t *testing.T) {
	newNamespace(t)
	newVeth(t, "a", "b", 1500)
	// A tun device may pretend to be of any type.
	if err := unix.IoctlSetInt(newTun(t), unix.TUNSETLINK, unix.ARPHRD_IEEE80211_RADIOTAP); err != nil {
		t.Fatal(err)
	}
	setUp(t, "tun0")
	for _, tt := range []struct {
		name  string
		names []string
		opt   LiveOptions
		is    error
		text  string
	}{
		{"type", []string{"tun0"}, LiveOptions{}, nil, "tun0: interfaces of the type ieee802.11/radiotap (ARPHRD 803) are not supported"},
		{"down meanwhile", []string{"a"}, LiveOptions{Filter: func(syscall.RawConn, Interface) error {
			return netlink.LinkSetDown(setUp(t, "a"))
		}}, ErrInterfaceDown, "a: the interface is down"},
	} {
		// No subtests: they would run on other threads, outside the namespace.
		l, err := OpenLive(tt.names, tt.opt)
		if err == nil {
			l.Close()
			t.Errorf("%s: no error", tt.name)
			continue
		}
		if tt.is != nil && !errors.Is(err, tt.is) || !strings.Contains(err.Error(), tt.text) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

// TestLiveReadyMerges reads the same rings once by Next alone and once with Ready: the packets, their order,
// and what is held back as the kernel may still have something earlier, are the same.
func TestLiveReadyMerges(t *testing.T) {
	const blockSize, blocks = 2048, 4
	var ready, most, held, ended int // of all seeds
	for seed := range uint64(1000) {
		read := func(withReady bool) (all []Packet) {
			r := rand.New(rand.NewPCG(seed, 0))
			l := &Live{opt: LiveOptions{Fanout: 1 + r.IntN(3)}, mapped: true, draining: true} // so that no socket is asked
			l.stopped.Store(true)
			var err error
			if l.wake, err = newWaker(); err != nil {
				t.Fatal(err)
			}
			defer l.wake.close()
			final := r.IntN(2) == 0
			for index := range 1 + r.IntN(3) {
				for range l.opt.Fanout {
					made := &ring{index: index, blockSize: blockSize, size: blocks * blockSize, only: Direction(r.IntN(2)), final: final, read: blockReader{snapLen: 100}, begun: r.IntN(8) == 0}
					now := uint32(r.IntN(30))
					for range blocks {
						var packets []ringPacket
						for range r.IntN(12) {
							now += uint32(r.IntN(8))
							packets = append(packets, ringPacket{nsec: now - uint32(r.IntN(2)), wire: 100, pkttype: byte(r.IntN(2) * pktOutgoing), data: make([]byte, 20)})
						}
						block := make([]byte, blockSize)
						copy(block, buildBlock(packets...))
						block[blockStatus] = 0
						made.mem = append(made.mem, block...)
					}
					for i := range r.IntN(blocks) { // what the kernel has handed over
						made.mem[i*blockSize+blockStatus] = unix.TP_STATUS_USER
					}
					made.grouped = l.opt.Fanout > 1
					l.active = append(l.active, made)
				}
			}
			stop, later := r.IntN(100), r.IntN(100)
			filled := l.active[r.IntN(len(l.active))]
			keep := func(p *Packet) error {
				all = append(all, *p)
				if len(all) == later { // the kernel hands over another block
					for i := range blocks {
						filled.mem[i*blockSize+blockStatus] |= unix.TP_STATUS_USER * byte(1-i/2)
					}
				}
				if len(all) == stop {
					return io.ErrNoProgress
				}
				return nil
			}
			for {
				p, err := l.Next(t.Context())
				if err == io.EOF {
					if l.last != nil || slices.ContainsFunc(l.active, func(r *ring) bool { return r.ready }) {
						held++
					}
					return all
				}
				if err != nil {
					t.Fatal(err)
				}
				if _ = keep(&p); !withReady {
					continue
				}
				before := len(all)
				if err := l.Ready(keep); err != nil {
					if len(all) != stop {
						t.Fatal(err)
					}
					ended++
				}
				ready, most = ready+len(all)-before, max(most, len(all)-before)
			}
		}
		want, got := read(false), read(true)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("seed %d (-Next +Ready):\n%s", seed, diff)
		}
	}
	if ready < 1000 || most < 10 || held < 100 || ended < 100 {
		t.Errorf("%d packets were ready, at most %d at once; %d times some were held back, %d times take ended it", ready, most, held, ended)
	}
}

func TestRingSize(t *testing.T) {
	for _, tt := range []struct{ buffer, snapLen, block, blocks int }{
		{DefaultBufferSize, MaxSnapLen, 2 << 20, 32},
		{15<<20 + 5, MaxSnapLen, 1 << 20, 15},
		{3<<20 + 5, MaxSnapLen, 512 << 10, 6},
		{1 << 20, MaxSnapLen, 512 << 10, 2},
		{1, MaxSnapLen, 512 << 10, 2}, // not less than the longest packet
		{64 << 10, 1500, 8 << 10, 8},
		{1, 68, 8 << 10, 2},
	} {
		block, blocks := ringSize(tt.buffer, tt.snapLen)
		if block != tt.block || blocks != tt.blocks {
			t.Errorf("buffer %d, snapshot length %d: %d blocks of %d", tt.buffer, tt.snapLen, blocks, block)
		}
	}
	// Memory for 5 blocks only.
	var tried []int
	n, err := withFewer(32, func(n int) error {
		if tried = append(tried, n); n > 5 {
			return unix.ENOMEM
		}
		return nil
	})
	if n != 4 || err != nil || !slices.Equal(tried, []int{32, 16, 8, 4}) {
		t.Errorf("%d blocks, %v, after %v", n, err, tried)
	}
	if n, err := withFewer(7, func(int) error { return unix.ENOMEM }); err != unix.ENOMEM {
		t.Errorf("%d blocks, %v", n, err)
	}
	if n, err := withFewer(7, func(int) error { return unix.EINVAL }); n != 7 || err != unix.EINVAL {
		t.Errorf("%d blocks, %v", n, err)
	}
}

func TestLiveBufferSize(t *testing.T) {
	newNamespace(t)
	newVeth(t, "a", "b", 1500)
	l := openLive(t, LiveOptions{BufferSize: 4 << 20}, "a", "b")
	if a, b := l.BufferSize(0), l.BufferSize(1); a != 4<<20 || b != 4<<20 {
		t.Errorf("rings of %d and %d bytes", a, b)
	}
}

func TestMapLinkType(t *testing.T) {
	for arphrd, want := range map[uint16]uint32{
		unix.ARPHRD_ETHER: 1, unix.ARPHRD_LOOPBACK: 1,
		unix.ARPHRD_NONE: 101, unix.ARPHRD_PPP: 101, unix.ARPHRD_TUNNEL: 101, unix.ARPHRD_TUNNEL6: 101,
		unix.ARPHRD_SIT: 101, unix.ARPHRD_IPGRE: 101, unix.ARPHRD_IP6GRE: 101, unix.ARPHRD_RAWIP: 101,
	} {
		if got, _, ok := mapLinkType(arphrd); got != want || !ok {
			t.Errorf("ARPHRD %d: link type %d, %v", arphrd, got, ok)
		}
	}
	if _, _, ok := mapLinkType(unix.ARPHRD_IEEE80211_RADIOTAP); ok {
		t.Error("802.11 is supported")
	}
}

func TestLinkType(t *testing.T) {
	newNamespace(t)
	newVeth(t, "a", "b", 1500)
	newTun(t)
	for name, want := range map[string]uint32{"a": linkEthernet, "lo": linkEthernet, "tun0": linkRaw} {
		if got, err := LinkType(name); got != want || err != nil {
			t.Errorf("%s: link type %d, %v", name, got, err)
		}
	}
	if _, err := LinkType("nosuch"); !errors.Is(err, unix.ENODEV) || !strings.HasPrefix(err.Error(), "nosuch: no such interface") {
		t.Error(err)
	}
}

// TestInterfaces compares with tcpdump -D.
func TestInterfaces(t *testing.T) {
	newNamespace(t)
	newVeth(t, "eth10", "eth9", 1500)
	newVeth(t, "veth", "wan", 1500)
	newVeth(t, "eth0", "zeth1", 1500)
	setUp(t, "lo")
	for _, name := range []string{"eth9", "veth"} {
		link, err := netlink.LinkByName(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := netlink.LinkSetDown(link); err != nil { // and so the peer loses its carrier
			t.Fatal(err)
		}
	}
	link := setUp(t, "eth0")
	if err := netlink.LinkSetAlias(link, "to the core"); err != nil {
		t.Fatal(err)
	}
	addr, err := netlink.ParseAddr("192.0.2.1/24")
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.AddrAdd(link, addr); err != nil {
		t.Fatal(err)
	}
	// The kernel notices a change of the carrier only after a while (net/core/link_watch.c).
	var devices []DeviceInfo
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if devices, err = Interfaces(); err != nil {
			t.Fatal(err)
		}
		var running []string
		for _, d := range devices {
			if d.Running {
				running = append(running, d.Name)
			}
		}
		slices.Sort(running)
		if slices.Equal(running, []string{"eth0", "lo", "zeth1"}) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the carriers never settled: %+v", devices)
		}
	}
	var names []string
	for _, d := range devices {
		names = append(names, d.Name)
		state := fmt.Sprint(d.Up, d.Running, d.Loopback)
		want := map[string]string{"lo": "true true true", "eth0": "true true false", "eth10": "true false false", "veth": "false false false"}[d.Name]
		if want != "" && state != want {
			t.Errorf("%s: %s, want %s", d.Name, state, want)
		}
		if d.Name == "eth0" {
			if d.Description != "to the core" || !slices.ContainsFunc(d.Addresses, func(p netip.Prefix) bool { return p.String() == "192.0.2.1/24" }) {
				t.Errorf("%+v", d)
			}
			if d.Index != link.Attrs().Index {
				t.Errorf("%s: index %d", d.Name, d.Index)
			}
		}
	}
	out, err := exec.Command("tcpdump", "-D").Output()
	if err != nil {
		t.Skipf("needs tcpdump (apt-get install tcpdump): %v", err)
	}
	var want []string
	for _, m := range regexp.MustCompile(`(?m)^\d+\.(\S+)`).FindAllSubmatch(out, -1) {
		name := string(m[1])
		if _, err := netlink.LinkByName(name); err == nil { // not any, nflog and the like
			want = append(want, name)
		}
	}
	if d := cmp.Diff(want, names); d != "" {
		t.Errorf("order: %s\n%s", d, out)
	}
}

// TestOpenWithoutFilter: if the filter cannot be attached nothing is left open, of several rings either, and the
// interface was prepared for once.
func TestOpenWithoutFilter(t *testing.T) {
	newNamespace(t)
	newVeth(t, "a0", "b0", 1500)
	var told []string
	wrong := errors.New("no")
	opt := LiveOptions{
		BufferSize: 1 << 20,
		Prepare:    func(iface Interface) { told = append(told, "prepare "+iface.Name) },
		Filter: func(_ syscall.RawConn, iface Interface) error {
			told = append(told, "filter "+iface.Name)
			return wrong
		},
	}
	open := func() int {
		all, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(all)
	}
	before := open()
	for _, fanout := range []int{1, 3} {
		opt.Fanout, told = fanout, nil
		if l, err := OpenLive([]string{"b0"}, opt); err == nil || !strings.HasPrefix(err.Error(), "b0: ") || !errors.Is(err, wrong) {
			t.Errorf("%d rings without a filter: %v, %v", fanout, l, err)
		}
		if d := cmp.Diff([]string{"prepare b0", "filter b0"}, told); d != "" {
			t.Errorf("%d rings without a filter (-want +got):\n%s", fanout, d)
		}
	}
	if after := open(); after != before {
		t.Errorf("%d descriptors were open before, and %d are afterwards", before, after)
	}
}
