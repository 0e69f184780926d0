package bpf

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"testing"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/tundump/tundump/filter/ir"
	"github.com/tundump/tundump/testdata/lab"
)

// TestMeta asks the kernel for each fact about packets that are not in their bytes: on a
// real interface, since a socket pair has neither tags nor an index.
func TestMeta(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("making network namespaces needs root: sudo make test")
	}
	l, err := lab.New(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}()
	device := map[string]*net.Interface{}
	for _, ns := range []string{l.A, l.B} {
		if err := l.In(ns, func() (err error) {
			device[ns], err = net.InterfaceByName("eth1")
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}

	// Frames from A to B, the last byte is their number. What they are for B:
	frames := []struct {
		dst  net.HardwareAddr
		tag  []byte
		meta ir.Meta
	}{
		{device[l.B].HardwareAddr, nil, ir.Meta{Type: ir.PacketHost}},
		{net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, nil, ir.Meta{Type: ir.PacketBroadcast}},
		{net.HardwareAddr{1, 0, 0x5e, 0, 0, 5}, nil, ir.Meta{Type: ir.PacketMulticast}},
		{net.HardwareAddr{2, 0, 0, 0, 0, 0x77}, nil, ir.Meta{Type: ir.PacketOtherHost}},
		{device[l.B].HardwareAddr, []byte{0x81, 0, 0x60, 7}, ir.Meta{Type: ir.PacketHost, Tag: 4, VLAN: 0x6007}},
		{device[l.B].HardwareAddr, []byte{0x81, 0, 0, 0}, ir.Meta{Type: ir.PacketHost, Tag: 4}},
	}
	var data [][]byte
	for n, f := range frames {
		p := slices.Concat(f.dst, net.HardwareAddr{2, 0, 0, 0, 0, 1}, f.tag, []byte{0x88, 0xb5}, make([]byte, 46))
		p[len(p)-1] = byte(n)
		data = append(data, p)
	}
	type question struct {
		fact, v uint32
	}
	var questions []question
	for v := range uint32(5) {
		questions = append(questions, question{ir.MetaType, v}, question{ir.MetaTag, v})
	}
	for _, v := range []uint32{0, 7, 0x6007} {
		questions = append(questions, question{ir.MetaVLAN, v})
	}
	for v := range uint32(4) {
		questions = append(questions, question{ir.MetaLen, 60 + 2*v})
	}
	for _, ns := range []string{l.A, l.B} {
		questions = append(questions, question{ir.MetaIfindex, uint32(device[ns].Index)}, question{ir.MetaIfindex, 1})
	}

	type listener struct {
		question
		prog     *ir.Prog
		ns, kind string
		fd       int
	}
	var listeners []listener
	for _, q := range questions {
		p := &ir.Prog{Blocks: []ir.Block{{
			Code: []ir.Instr{{Op: ir.LoadMeta, Dst: ir.T0, A: ir.NoReg, B: ir.Imm(q.fact)}},
			Cond: ir.Eq, A: ir.T0, B: ir.Imm(q.v), True: ir.Accept, False: ir.Reject,
		}}}
		insns, err := Classic(p, snap, true)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := bpf.Assemble(insns)
		if err != nil {
			t.Fatal(err)
		}
		fast, err := LoadEBPF(p, snap, nil)
		if err != nil {
			t.Fatalf("%+v", err)
		}
		defer fast.Close()
		for kind, f := range map[string]*Filter{"classic BPF": {classic: raw}, "eBPF": fast} {
			for _, ns := range []string{l.A, l.B} {
				fd, err := listen(l, ns, device[ns].Index, f)
				if err != nil {
					t.Fatal(err)
				}
				defer unix.Close(fd)
				listeners = append(listeners, listener{q, p, ns, kind, fd})
			}
		}
	}
	if err := l.Transmit(l.A, "eth1", data); err != nil {
		t.Fatal(err)
	}
	matched := map[uint32]int{}
	for _, s := range listeners {
		var want []int
		for n, f := range frames {
			m := f.meta
			m.Len, m.Ifindex = 60, uint32(device[s.ns].Index)
			if s.ns == l.A { // where they leave, with their tags
				m = ir.Meta{Type: ir.PacketOutgoing, Len: 60 + uint32(len(f.tag)), Ifindex: m.Ifindex}
			}
			if s.prog.Match(nil, m) {
				want = append(want, n)
				matched[s.fact]++
			}
		}
		got, err := received(s.fd, len(want))
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: fact %d is %d for frames %v, want %v, at %s", s.kind, s.fact, s.v, got, want, map[string]string{l.A: "the sender", l.B: "the receiver"}[s.ns])
		}
	}
	for fact := range uint32(5) {
		if matched[fact] == 0 {
			t.Errorf("fact %d never holds: the test says nothing", fact)
		}
	}
}

// listen opens a packet socket with a filter.
func listen(l *lab.Lab, ns string, ifindex int, f *Filter) (int, error) {
	fd := -1
	err := l.In(ns, func() (err error) {
		if fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0); err != nil {
			return fmt.Errorf("opening a packet socket: %w", err)
		}
		if err := f.Attach(rawConn(fd)); err != nil {
			return err
		}
		all := uint16(unix.ETH_P_ALL)<<8 | unix.ETH_P_ALL>>8
		return unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: ifindex})
	})
	return fd, err
}

// received returns the numbers of the test's frames that a socket has, in order. It waits
// for n of them.
func received(fd, n int) ([]int, error) {
	var got []int
	buf := make([]byte, 256)
	for deadline := time.Now().Add(5 * time.Second); ; {
		size, _, err := unix.Recvfrom(fd, buf, 0)
		switch {
		case err == nil:
			// IPv6's own packets may be there as well.
			if i := size - 48; i >= 0 && buf[i] == 0x88 && buf[i+1] == 0xb5 {
				got = append(got, int(buf[size-1]))
			}
		case !errors.Is(err, unix.EAGAIN):
			return nil, fmt.Errorf("receiving: %w", err)
		case len(got) >= n || time.Now().After(deadline):
			return got, nil
		default:
			time.Sleep(time.Millisecond)
		}
	}
}
