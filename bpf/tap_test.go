package bpf

import (
	"encoding/binary"
	"os"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"github.com/tundump/tundump/filter"
	"github.com/tundump/tundump/filter/ir"
	"github.com/tundump/tundump/testdata/random"
)

// runsAtTCX reports whether BPF_PROG_TEST_RUN takes a packet for a program at tcx: it must have
// more than an Ethernet header, and all of an IP header in place.
func runsAtTCX(data []byte) bool {
	if len(data) < 15 {
		return false
	}
	switch binary.BigEndian.Uint16(data[12:]) {
	case unix.ETH_P_IP:
		return len(data) >= 34
	case unix.ETH_P_IPV6:
		return len(data) >= 54
	}
	return true
}

// metaAtTCX returns what BPF_PROG_TEST_RUN says of a packet: it comes from the loopback interface.
func metaAtTCX(data []byte) ir.Meta {
	m := ir.Meta{Len: uint32(len(data)), Type: ir.PacketOtherHost}
	switch dst := [6]byte(data); {
	case dst == [6]byte{}:
		m.Type = ir.PacketHost
	case dst == [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}:
		m.Type = ir.PacketBroadcast
	case dst[0]&1 == 1:
		m.Type = ir.PacketMulticast
	}
	return m
}

// tapRun is a program for tcx, which says 1 of what it accepts.
type tapRun struct{ prog *ebpf.Program }

func (r tapRun) match(t *testing.T, data []byte) bool {
	t.Helper()
	says, err := r.prog.Run(&ebpf.RunOptions{Data: data})
	if err != nil {
		t.Fatal(err)
	}
	switch int32(says) {
	case 1:
		return true
	case next:
		return false
	}
	t.Fatalf("a program at tcx returns %d", int32(says))
	return false
}

// addTaps adds the program for tcx; and of every fourth expression once more as if packets were
// hardly ever in one piece, so that what comes behind is loaded by calls.
func (b *backends) addTaps(t *testing.T, text string) {
	t.Helper()
	if os.Geteuid() != 0 {
		return
	}
	b.taps = map[string]*tapRun{}
	for what, reach := range map[string]int32{"tcx": near, "tcx with calls": 16} {
		if reach != near && len(text)%4 > 0 {
			continue
		}
		f, err := loadTaps(b.prog, nil, reach)
		if err != nil {
			t.Fatalf("%s\n%+v", text, err)
		}
		defer f.Close()
		prog, err := f.Tap(false, sayAccepted())
		if err == nil {
			prog, err = prog.Clone() // the other is the filter's
		}
		if err != nil {
			t.Fatalf("%s\n%s: %+v", text, what, err)
		}
		b.taps[what] = &tapRun{prog}
	}
}

// sayAccepted returns a program's output that tapRun understands.
func sayAccepted() asm.Instructions {
	return asm.Instructions{asm.Mov.Imm(asm.R0, 1), asm.Return()}
}

// TestTapFragments runs random sequences of fragments through programs for tcx, as TestFragments
// does through socket filters.
func TestTapFragments(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, for eBPF: sudo make test")
	}
	g := random.New(33)
	accepted, late := map[bool]int{}, uint64(0)
	for _, text := range fragmentFilters() {
		opt := options(3)
		opt.Fragments = filter.FollowAll
		p, err := filter.Compile(text, opt)
		if err != nil {
			t.Fatal(err)
		}
		for what, reach := range map[string]int32{"tcx": near, "tcx with calls": 16} {
			f, err := loadTaps(p, nil, reach)
			if err != nil {
				t.Fatalf("%s\n%+v", text, err)
			}
			prog, err := f.Tap(false, sayAccepted())
			if err != nil {
				t.Fatalf("%s\n%+v", text, err)
			}
			var memory ir.Fragments
			for range random.Rounds(300) {
				data := g.Fragment()
				if !runsAtTCX(data) {
					continue
				}
				want := p.MatchFragments(data, ir.Meta{Len: uint32(len(data))}, &memory)
				if got := (tapRun{prog}).match(t, data); got != want {
					t.Fatalf("%s\non %x\n%s says %v, MatchFragments says %v\n%v", text, data, what, got, want, p)
				}
				accepted[want]++
			}
			if n, err := f.own.Late(); err != nil || n != memory.Late() {
				t.Errorf("%s: %s counts %d late fragments, MatchFragments %d: %v", text, what, n, memory.Late(), err)
			}
			late += memory.Late()
			f.Close()
		}
	}
	if accepted[true] < 1000 || accepted[false] < 1000 || late < 100 {
		t.Errorf("%d accepted, %d not, %d late: the test says little", accepted[true], accepted[false], late)
	}
}

// TestTapOutgoing asks for the kind of a packet, which it does not say itself before it is sent.
func TestTapOutgoing(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, for eBPF: sudo make test")
	}
	for text, want := range map[string]bool{"inbound": false, "outbound": true, "outbound and len = 60": true, "inbound or ip": false} {
		opt := options(3)
		opt.Origin = filter.OriginLive
		p, err := filter.Compile(text, opt)
		if err != nil {
			t.Fatal(err)
		}
		f, err := LoadTaps(p, nil)
		if err != nil {
			t.Fatalf("%+v", err)
		}
		defer f.Close()
		for _, outgoing := range []bool{false, true} {
			prog, err := f.Tap(outgoing, sayAccepted())
			if err != nil {
				t.Fatalf("%s\n%+v", text, err)
			}
			if got := (tapRun{prog}).match(t, append(make([]byte, 59), 1)); got != (outgoing == want) {
				t.Errorf("%s: outgoing %v: %v", text, outgoing, got)
			}
		}
	}
}
