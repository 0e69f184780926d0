package bpf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"os"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/features"
	"golang.org/x/sys/unix"

	"github.com/tundump/tundump/filter"
	"github.com/tundump/tundump/testdata/lab"
)

// kernelTypes returns the types of this kernel.
func kernelTypes(t testing.TB) []byte {
	t.Helper()
	types, err := os.ReadFile("/sys/kernel/btf/vmlinux")
	if err != nil {
		t.Skipf("this kernel does not say what types it has: %v", err)
	}
	return types
}

// readsInPlace returns what is to be known of this kernel, nil if it is older than Linux 6.17, which lets
// nobody read packets in place.
func readsInPlace(t *testing.T) *Kernel {
	t.Helper()
	if old(t, 6, 17) {
		return nil
	}
	k, err := NewKernel(kernelTypes(t))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// old reports whether this kernel is older than a version.
func old(t *testing.T, major, minor uint32) bool {
	t.Helper()
	version, err := features.LinuxVersionCode()
	if err != nil {
		t.Fatal(err)
	}
	return version < major<<16|minor<<8
}

// TestKernel compares what is found in the kernel's types with what cilium/ebpf finds.
func TestKernel(t *testing.T) {
	k, err := NewKernel(kernelTypes(t))
	if err != nil && old(t, 6, 2) {
		t.Skip("the function that is looked for came with Linux 6.2")
	} else if err != nil {
		t.Fatal(err)
	}
	spec, err := btf.LoadKernelSpec()
	if err != nil {
		t.Fatal(err)
	}
	var cast *btf.Func
	if err := spec.TypeByName("bpf_cast_to_kern_ctx", &cast); err != nil {
		t.Fatal(err)
	}
	want := Kernel{}
	id, err := spec.TypeID(cast)
	if err != nil {
		t.Fatal(err)
	}
	want.cast = int64(id)
	var skb *btf.Struct
	if err := spec.TypeByName("sk_buff", &skb); err != nil {
		t.Fatal(err)
	}
	for _, m := range skb.Members {
		switch at := int16(m.Offset.Bytes()); m.Name {
		case "data":
			want.data = at
		case "len":
			want.length = at
		case "data_len":
			want.distant = at
		}
	}
	if *k != want {
		t.Errorf("%+v, want %+v", *k, want)
	}
}

// TestKernelTypes has types that are none.
func TestKernelTypes(t *testing.T) {
	types := kernelTypes(t)
	for _, data := range [][]byte{nil, types[:10], types[:24], types[:1000], types[:len(types)/2], make([]byte, 100), bytes.Repeat([]byte{0xff}, 100)} {
		if k, err := NewKernel(data); err == nil {
			t.Errorf("in %d bytes is %+v", len(data), *k)
		}
	}
}

func FuzzNewKernel(f *testing.F) {
	order := binary.NativeEndian
	// A kernel with nothing but a function and a struct with one member.
	all := order.AppendUint16(nil, 0xeb9f)
	all = append(all, 1, 0)
	names := []byte("\x00bpf_cast_to_kern_ctx\x00sk_buff\x00data\x00")
	for _, v := range []uint32{24, 0, 36, 36, uint32(len(names)), 1, 12 << 24, 1, 22, 4<<24 | 1, 232, 30, 1, 200 * 8} {
		all = order.AppendUint32(all, v)
	}
	f.Add(append(all, names...))
	f.Fuzz(func(t *testing.T, types []byte) {
		k, err := NewKernel(types)
		if err == nil && (k.cast == 0 || k.data == 0 || k.length == 0 || k.distant == 0) {
			t.Errorf("%+v", *k)
		}
	})
}

// TestLoadOtherwise has kernels that do not let packets be read in place: the program is loaded without.
func TestLoadOtherwise(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("loading eBPF needs root (sudo make test)")
	}
	p, err := filter.Compile("inner host 10.5.5.5", options(3))
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range []*Kernel{nil, {cast: 1, data: 8, length: 16, distant: 24}} {
		f, err := Load(p, snap, nil, k)
		if err != nil {
			t.Fatal(err)
		}
		if f.Fallback != nil || f.prog == nil {
			t.Errorf("with %+v: %v, %v", k, f, f.Fallback)
		}
		f.Close()
	}
	_, err = loadEBPF(p, snap, nil, &Kernel{cast: 1, data: 8, length: 16, distant: 24}, direct)
	if err == nil {
		t.Error("the kernel knows a function that is none")
	}
}

// TestLoadInPlace: where the kernel lets it, what Load loads is the program that reads packets in place.
func TestLoadInPlace(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("loading eBPF needs root (sudo make test)")
	}
	k := readsInPlace(t)
	if k == nil {
		t.Skip("reading packets in place needs Linux 6.17")
	}
	for _, text := range []string{"inner host 10.5.5.5", "inner host in { 10.0.0.1, 10.0.0.2, 10.0.0.3, 10.0.0.4, 10.0.0.5, 10.0.0.6 }", "vxlan or gre"} {
		p, err := filter.Compile(text, options(3))
		if err != nil {
			t.Fatal(err)
		}
		f, err := Load(p, snap, nil, k)
		if err != nil {
			t.Fatal(err)
		}
		insns, err := f.prog.Info()
		if err != nil {
			t.Fatal(err)
		}
		all, err := insns.Instructions()
		if err != nil {
			t.Fatal(err)
		}
		// It is the main function, and copies no headers: the first call is that of walk.
		for n, i := range all {
			if i.OpCode.JumpOp() == asm.Call && i.OpCode.Class().IsJump() {
				if i.Src != asm.PseudoCall {
					t.Errorf("%s: instruction %d is %v", text, n, i)
				}
				break
			}
		}
		f.Close()
	}
}

// TestPieces captures packets whose headers are not in one piece: what sendfile(2) sends from a file is not
// copied behind the UDP header.
func TestPieces(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("making network namespaces needs root: sudo make test")
	}
	k := readsInPlace(t)
	if k == nil {
		t.Skip("reading packets in place needs Linux 6.17")
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
	p, err := filter.Compile("inner host 10.5.5.5", options(3))
	if err != nil {
		t.Fatal(err)
	}
	f, err := loadEBPF(p, snap, nil, k, direct)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	scattered, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.SocketFilter, License: "GPL", Instructions: onlyPieces(k, 60)})
	if err != nil {
		t.Fatal(err)
	}
	defer scattered.Close()
	match, miss := samples()["vxlan-match"][42:], samples()["vxlan-miss"][42:] // behind the UDP header
	if err := l.In(l.A, func() error {
		got, pieces, err := captureOnLoopback(f, scattered, [][]byte{match, miss, match})
		if err != nil {
			return err
		}
		if got != 2 || pieces != 3 {
			t.Errorf("%d packets match, and %d are in pieces; want 2 and 3", got, pieces)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// onlyPieces returns a program that accepts packets of which fewer bytes than so many are in place.
func onlyPieces(k *Kernel, n int32) asm.Instructions {
	e := &emitter{reads: inKernel}
	_, nearby := e.packetAt()
	e.add(asm.Mov.Reg(ctx, asm.R1))
	k.open(e)
	return append(e.out,
		asm.Mov.Imm(asm.R0, 0),
		asm.JGE.Imm(nearby, n, "end"),
		asm.Mov.Imm(asm.R0, 1),
		asm.Return().WithSymbol("end"),
	)
}

// captureOnLoopback sends datagrams to the VXLAN port from a file, and returns how many of them two
// filters accept.
func captureOnLoopback(f *Filter, pieces *ebpf.Program, datagrams [][]byte) (accepted, inPieces int, err error) {
	listen := func(attach func(fd int) error) (int, error) {
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return -1, err
		}
		lo, err := net.InterfaceByName("lo")
		if err == nil {
			err = attach(fd)
		}
		if err == nil {
			err = unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: 0x0008, Ifindex: lo.Index}) // IPv4, as received only
		}
		return fd, err
	}
	ours, err := listen(func(fd int) error { return f.Attach(rawConn(fd)) })
	defer unix.Close(ours)
	if err != nil {
		return 0, 0, err
	}
	others, err := listen(func(fd int) error { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ATTACH_BPF, pieces.FD()) })
	defer unix.Close(others)
	if err != nil {
		return 0, 0, err
	}
	to, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, 0, err
	}
	defer unix.Close(to)
	if err := unix.Connect(to, &unix.SockaddrInet4{Port: 4789, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return 0, 0, err
	}
	for _, d := range datagrams {
		file, err := unix.MemfdCreate("datagram", unix.MFD_CLOEXEC)
		if err != nil {
			return 0, 0, err
		}
		_, err = unix.Write(file, d)
		var at int64
		if err == nil {
			_, err = unix.Sendfile(to, file, &at, len(d))
		}
		unix.Close(file)
		if err != nil && !errors.Is(err, unix.ECONNREFUSED) { // nobody listens
			return 0, 0, err
		}
	}
	count := func(fd int) (n int) {
		var buf [1]byte
		for {
			if _, _, err := unix.Recvfrom(fd, buf[:], 0); err != nil {
				return n
			}
			n++
		}
	}
	return count(ours), count(others), nil
}
