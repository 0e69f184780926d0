package capture

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// tapTestType returns a filter that accepts the tests' own frames. Its programs are closed at the end
// of the test.
func tapTestType(t testing.TB) TapFilter {
	return func(_ Interface, _ bool, output asm.Instructions) (*ebpf.Program, error) {
		insns := asm.Instructions{
			asm.Mov.Reg(asm.R6, asm.R1),
			asm.LoadAbs(12, asm.Half),
			asm.JEq.Imm(asm.R0, testType, "accept"),
			asm.Mov.Imm(asm.R0, -1),
			asm.Return(),
			asm.Mov.Reg(asm.R1, asm.R6).WithSymbol("accept"),
		}
		prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.SchedCLS, Instructions: append(insns, output...), License: "Apache-2.0"})
		if err == nil {
			t.Cleanup(func() { prog.Close() })
		}
		return prog, err
	}
}

// noTapped is a filter that accepts nothing.
func noTapped(t testing.TB) TapFilter {
	return func(Interface, bool, asm.Instructions) (*ebpf.Program, error) {
		prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.SchedCLS, Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, -1), asm.Return()}, License: "Apache-2.0"})
		if err == nil {
			t.Cleanup(func() { prog.Close() })
		}
		return prog, err
	}
}

func openTaps(t testing.TB, opt TapOptions, names ...string) *Taps {
	t.Helper()
	l, err := OpenTaps(names, opt)
	if err != nil {
		t.Fatalf("%+v", err)
	}
	closeAtEnd(t, l)
	return l
}

// flows divides packets by interface and direction, as text that shows a difference.
func flows(packets []Packet) map[string][]string {
	all := map[string][]string{}
	for _, p := range packets {
		flow := fmt.Sprintf("interface %d, direction %d", p.Interface, p.Direction)
		all[flow] = append(all[flow], fmt.Sprintf("%d: %x", p.Len, p.Data))
	}
	return all
}

// compareFlows compares what both kinds of capture have of the same packets, times included, as
// far as those can be the same.
func compareFlows(t *testing.T, what string, taps, live []Packet) {
	t.Helper()
	got, want := flows(taps), flows(live)
	for flow := range want {
		if len(got[flow]) != len(want[flow]) {
			t.Errorf("%s, %s: %d packets, a packet socket has %d", what, flow, len(got[flow]), len(want[flow]))
			continue
		}
		for i := range want[flow] {
			if got[flow][i] != want[flow][i] {
				t.Fatalf("%s, %s, packet %d:\n%.200s\na packet socket has\n%.200s", what, flow, i, got[flow][i], want[flow][i])
			}
		}
	}
	if len(got) != len(want) {
		t.Errorf("%s: %d flows, a packet socket has %d", what, len(got), len(want))
	}
	sorted := func(packets []Packet) []int64 {
		var times []int64
		for _, p := range packets {
			times = append(times, p.Time)
		}
		slices.Sort(times)
		return times
	}
	a, b := sorted(taps), sorted(live)
	for i := range min(len(a), len(b)) {
		if d := time.Duration(a[i] - b[i]).Abs(); d > 500*time.Millisecond {
			t.Fatalf("%s: packet %d was captured %v apart", what, i, d)
		}
	}
}

// pushTag lets whatever is sent on an interface have a VLAN tag more, beside the packet and not in it.
func pushTag(t *testing.T, name string) {
	t.Helper()
	dev, err := net.InterfaceByName(name)
	if err != nil {
		t.Fatal(err)
	}
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.SchedCLS, License: "Apache-2.0", Instructions: asm.Instructions{
		asm.Mov.Imm(asm.R2, int32(binary.NativeEndian.Uint16([]byte{0x81, 0}))),
		asm.Mov.Imm(asm.R3, 9),
		asm.FnSkbVlanPush.Call(),
		asm.Mov.Imm(asm.R0, -1),
		asm.Return(),
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer prog.Close()
	l, err := link.AttachTCX(link.TCXOptions{Interface: dev.Index, Program: prog, Attach: ebpf.AttachTCXEgress})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
}

// TestTapsAsLive captures the same frames at tcx and with packet sockets: with and without tags, longer
// and shorter than the snapshot length, in each direction.
func TestTapsAsLive(t *testing.T) {
	newNamespace(t)
	// The kernel is to send nothing of its own.
	if err := os.WriteFile("/proc/sys/net/ipv6/conf/default/disable_ipv6", []byte("1"), 0); err != nil {
		t.Fatal(err)
	}
	newVeth(t, "a", "b", 65535)
	tagged := func(number uint32, size int, tags string) []byte {
		f := testFrame(number, size)
		return []byte(string(f[:12]) + tags + string(f[12:]))
	}
	pushTag(t, "b")
	senders := []*sender{newSender(t, "a"), newSender(t, "b")}
	tags := []string{"", "\x81\x00\x00\x07", "\x81\x00\xf0\x07", "\x81\x00\x00\x00", "\x88\xa8\xa0\x64", "\x88\xa8\x00\x64\x81\x00\x60\x05"}
	for _, direction := range []Direction{DirectionUnknown, DirectionIn, DirectionOut} {
		for _, snapLen := range []uint32{0, 1, 13, 14, 17, 100, 1000} {
			// Without filters, since those would have to know where a tag is.
			live := openLive(t, LiveOptions{SnapLen: snapLen, Direction: direction, Promiscuous: true, BufferSize: 4 << 20}, "a", "b")
			taps := openTaps(t, TapOptions{SnapLen: snapLen, Direction: direction, Promiscuous: true, BufferSize: 4 << 20}, "a", "b")
			for n := range uint32(60) {
				size := 60 + int(n)*23
				if n%20 == 19 {
					size = 30_000 + int(n)*500
				}
				f := tagged(n, size, tags[n%uint32(len(tags))])
				if n%7 == 6 { // to another station
					f[0] = 2
				}
				senders[n%2].send(f)
			}
			live.Stop()
			taps.Stop()
			got := collect(t, taps, everything)
			what := fmt.Sprintf("direction %d, snapshot length %d", direction, snapLen)
			compareFlows(t, what, got, collect(t, live, everything))
			if want := map[Direction]int{DirectionUnknown: 120}[direction]; len(got) < max(want, 60) {
				t.Errorf("%s: only %d packets", what, len(got))
			}
			pushed := func(p Packet) bool {
				return p.Interface == 1 && p.Direction == DirectionOut && len(p.Data) > 16 && string(p.Data[12:16]) == "\x81\x00\x00\x09"
			}
			if snapLen == 100 && direction != DirectionIn && !slices.ContainsFunc(got, pushed) {
				t.Errorf("%s: no packet has the tag that it is sent with", what)
			}
			stats, err := taps.Stats()
			if err != nil || int(stats[0].Received+stats[1].Received) != len(got) || stats[0].Dropped+stats[1].Dropped != 0 {
				t.Errorf("%s: %d packets, statistics %+v, %v", what, len(got), stats, err)
			}
			live.Close()
			taps.Close()
		}
	}
}

// TestTapsGSO captures super-packets of TCP, which are not in one piece.
func TestTapsGSO(t *testing.T) {
	var live *Live
	var taps *Taps
	sendTCP(t, 8<<20, func() {
		live = openLive(t, LiveOptions{}, "a")
		taps = openTaps(t, TapOptions{}, "a")
	})
	live.Stop()
	taps.Stop()
	tcp := func(packets []Packet) []Packet {
		return slices.DeleteFunc(packets, func(p Packet) bool { return len(p.Data) < 34 || p.Data[23] != unix.IPPROTO_TCP })
	}
	got := tcp(collect(t, taps, everything))
	compareFlows(t, "TCP", got, tcp(collect(t, live, everything)))
	longest := 0
	for _, p := range got {
		longest = max(longest, p.Len)
	}
	if longest <= 1514 {
		t.Errorf("longest packet %d: segmentation offload is off here", longest)
	}
}

// TestTapsAll sends 200,000 numbered frames, and reads them meanwhile: none may be lost.
func TestTapsAll(t *testing.T) {
	newNamespace(t)
	newVeth(t, "a", "b", 1500)
	taps := openTaps(t, TapOptions{Filter: tapTestType(t)}, "a", "b")
	s := newSender(t, "a")
	const n = 200_000
	var sending sync.WaitGroup
	sending.Go(func() {
		f := testFrame(0, 60)
		for i := range uint32(n) {
			binary.BigEndian.PutUint32(f[14:], i)
			if err := unix.Sendto(s.fd, f, 0, &s.addr); err != nil {
				t.Error(err)
				return
			}
		}
		taps.Stop()
	})
	var next [2]uint32 // out of a, into b
	check := func(p *Packet) error {
		if number := frameNumber(p.Data); number != next[p.Interface] || p.Direction == DirectionOut != (p.Interface == 0) {
			return fmt.Errorf("frame %d of interface %d, direction %d; want %d", number, p.Interface, p.Direction, next[p.Interface])
		}
		next[p.Interface]++
		return nil
	}
	for {
		p, err := taps.Next(t.Context())
		if err == io.EOF {
			break
		}
		if err == nil {
			err = check(&p)
		}
		if err == nil {
			err = taps.Ready(check)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	sending.Wait()
	if next[0] != n || next[1] < n-1000 { // a few may be still on their way to b
		t.Errorf("%d frames from a, %d frames at b, of %d", next[0], next[1], n)
	}
	stats, err := taps.Stats()
	if want := []Stats{{Received: uint64(next[0])}, {Received: uint64(next[1])}}; err != nil || !slices.Equal(stats, want) {
		t.Errorf("statistics %+v, %v; want %+v", stats, err, want)
	}
}

// TestTapsLoopback captures on the loopback interface, where packets go out and come in.
func TestTapsLoopback(t *testing.T) {
	newNamespace(t)
	setUp(t, "lo")
	for _, direction := range []Direction{DirectionUnknown, DirectionIn, DirectionOut} {
		live := openLive(t, LiveOptions{Promiscuous: true, Direction: direction}, "lo")
		taps := openTaps(t, TapOptions{Promiscuous: true, Direction: direction}, "lo")
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
		live.Stop()
		taps.Stop()
		got := collect(t, taps, everything)
		compareFlows(t, fmt.Sprintf("direction %d", direction), got, collect(t, live, everything))
		if direction != DirectionOut && len(got) < 5 {
			t.Errorf("direction %d: %d packets", direction, len(got))
		}
	}
}

// TestOpenTapsNotEthernet opens an interface that only a packet socket can capture from.
func TestOpenTapsNotEthernet(t *testing.T) {
	newNamespace(t)
	newTun(t)
	setUp(t, "tun0")
	l, err := OpenTaps([]string{"tun0"}, TapOptions{})
	if err == nil {
		l.Close()
		t.Fatal("no error")
	}
	if want := "tun0: of its kind of interface tcx does not show"; !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "\n") {
		t.Error(err)
	}
}

// FuzzTapsRecord reads records that no program has written.
func FuzzTapsRecord(f *testing.F) {
	f.Add(make([]byte, recordData), uint32(60))
	f.Add(append(bytes.Repeat([]byte{1}, recordData), testFrame(0, 60)...), uint32(60))
	f.Fuzz(func(t *testing.T, record []byte, snapLen uint32) {
		l := &Taps{opt: TapOptions{SnapLen: snapLen%MaxSnapLen + 1}}
		before := bytes.Clone(record)
		var p Packet
		err := l.packet(record, &p)
		if !bytes.Equal(record, before) {
			t.Error("the record was written to")
		}
		if err == nil && len(p.Data) > len(record) {
			t.Errorf("%d bytes of a record of %d", len(p.Data), len(record))
		}
	})
}

// TestReadEvery: a ring is looked at before what comes at 10 Gbit/s fills half of it, if that is a millisecond.
func TestReadEvery(t *testing.T) {
	for size, want := range map[int]time.Duration{
		4 << 10: time.Millisecond, 8 << 20: 3355443 * time.Nanosecond, 32 << 20: 13421772 * time.Nanosecond, DefaultBufferSize: 25 * time.Millisecond, 1 << 31: 25 * time.Millisecond,
	} {
		if got := readEvery(size); got != want {
			t.Errorf("%d bytes: every %v, want %v", size, got, want)
		}
	}
}
