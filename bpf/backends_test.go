package bpf

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/tundump/tundump/filter"
	"github.com/tundump/tundump/filter/header"
	"github.com/tundump/tundump/filter/ir"
	"github.com/tundump/tundump/testdata/random"
)

// kernel is a socket whose filter the kernel runs on what is sent to it. It needs no
// network: AF_UNIX datagrams go through socket filters as well.
type kernel struct{ in, out int }

// newKernel returns nil for a program that is larger than the kernel allows.
func newKernel(t *testing.T, f *Filter) *kernel {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	k := &kernel{fds[0], fds[1]}
	if err := f.Attach(rawConn(k.out)); errors.Is(err, unix.ENOMEM) {
		k.close()
		return nil
	} else if err != nil {
		t.Fatal(err)
	}
	return k
}

func (k *kernel) close() {
	unix.Close(k.in)
	unix.Close(k.out)
}

func (k *kernel) match(t *testing.T, data []byte) bool {
	t.Helper()
	// A datagram that the filter drops is sent without an error, or with EPERM.
	if err := unix.Send(k.in, data, 0); err != nil && !errors.Is(err, unix.EPERM) {
		t.Fatal(err)
	}
	var buf [1]byte
	_, _, err := unix.Recvfrom(k.out, buf[:], 0)
	if err != nil && !errors.Is(err, unix.EAGAIN) {
		t.Fatal(err)
	}
	return err == nil
}

// rawConn is a descriptor as a syscall.RawConn.
type rawConn int

func (c rawConn) Control(f func(fd uintptr)) error  { f(uintptr(c)); return nil }
func (c rawConn) Read(func(fd uintptr) bool) error  { return syscall.ENOTSUP }
func (c rawConn) Write(func(fd uintptr) bool) error { return syscall.ENOTSUP }

// backends are all the ways to run one program.
type backends struct {
	prog     *ir.Prog
	unrolled *ir.Prog
	vm       *bpf.VM
	classic  *kernel          // nil if the program is too large
	ebpf     *kernel          // nil without the right to load it
	inPlace  *kernel          // likewise, and before Linux 6.17
	older    map[form]*kernel // see addOlder
	taps     map[string]*tapRun
}

// snap is what a filter returns to accept. The kernel cuts the packet to it.
const snap = 262144

func newBackends(t *testing.T, text string, opt filter.Options) *backends {
	t.Helper()
	p, err := filter.Compile(text, opt)
	if err != nil {
		t.Fatalf("%s\n%v", text, err)
	}
	b := newBackendsOf(t, text, p)
	if opt.LinkType == header.LinkEthernet { // others are not captured at tcx
		b.addTaps(t, text)
	}
	return b
}

func newBackendsOf(t *testing.T, text string, p *ir.Prog) *backends {
	t.Helper()
	b := &backends{prog: p, unrolled: p.Unroll()}
	insns, err := Classic(p, snap, false)
	if err == nil {
		if b.vm, err = bpf.NewVM(insns); err != nil {
			t.Fatalf("%s\nx/net/bpf: %v", text, err)
		}
		live, err := Classic(p, snap, true)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := bpf.Assemble(live)
		if err != nil {
			t.Fatalf("%s\n%v", text, err)
		}
		b.classic = newKernel(t, &Filter{classic: raw})
	}
	if os.Geteuid() == 0 {
		b.ebpf = loadKernel(t, text, p)
		b.inPlace = loadInPlace(t, text, p)
	}
	return b
}

// loadInPlace returns the program that reads packets in place, nil where the kernel does not let
// it, or the program is short.
func loadInPlace(t *testing.T, text string, p *ir.Prog) *kernel {
	t.Helper()
	k := readsInPlace(t)
	if k == nil || p.Likely == nil {
		return nil
	}
	f, err := loadEBPF(p, snap, nil, k, direct)
	if err != nil {
		t.Fatalf("%s\n%+v", text, err)
	}
	defer f.Close()
	return newKernel(t, f)
}

// addOlder adds the forms of a program that are for older kernels, and returns how many of them the
// verifier did not give up.
func (b *backends) addOlder(t *testing.T, text string) (loaded int) {
	t.Helper()
	b.older = map[form]*kernel{}
	for _, form := range []form{loops, forgetful} {
		f, err := loadEBPF(b.prog, snap, nil, nil, form)
		if err != nil && strings.Contains(err.Error(), "more than the kernel's verifier looks at") {
			continue
		} else if err != nil {
			t.Fatalf("%s\n%+v", text, err)
		}
		b.older[form] = newKernel(t, f)
		loaded++
		f.Close()
	}
	return loaded
}

func loadKernel(t *testing.T, text string, p *ir.Prog) *kernel {
	t.Helper()
	f, err := loadEBPF(p, snap, nil, nil, functions)
	if err != nil {
		t.Fatalf("%s\n%+v", text, err)
	}
	defer f.Close()
	return newKernel(t, f)
}

func (b *backends) close() {
	for _, k := range []*kernel{b.classic, b.ebpf, b.inPlace, b.older[loops], b.older[forgetful]} {
		if k != nil {
			k.close()
		}
	}
	for _, r := range b.taps {
		r.prog.Close()
	}
}

// check runs a packet in every back end, and fails if one does not agree.
func (b *backends) check(t *testing.T, text string, data []byte) bool {
	t.Helper()
	want := b.prog.Match(data, ir.Meta{Len: uint32(len(data))})
	report := func(what string, got, want bool) {
		if got != want {
			t.Fatalf("%s\non %x\n%s says %v, Match says %v", text, data, what, got, want)
		}
	}
	report("Unroll", b.unrolled.Match(data, ir.Meta{Len: uint32(len(data))}), want)
	if b.vm != nil {
		n, err := b.vm.Run(data)
		if err != nil {
			t.Fatalf("%s\n%v", text, err)
		}
		report("x/net/bpf", n != 0, want)
	}
	for what, k := range map[string]*kernel{"classic BPF in the kernel": b.classic, "eBPF": b.ebpf, "eBPF that reads in place": b.inPlace,
		"eBPF with loops": b.older[loops], "forgetful eBPF": b.older[forgetful]} {
		if k != nil {
			report(what, k.match(t, data), want)
		}
	}
	if runsAtTCX(data) {
		want := b.prog.Match(data, metaAtTCX(data))
		for what, r := range b.taps {
			report(what, r.match(t, data), want)
		}
	}
	return want
}

// like returns a packet like a likely one.
func like(g *random.Gen, l ir.Likely) []byte {
	return g.Like(l.Data, func(n int) bool { return l.Roles[n] == ir.Free })
}

func options(depth int) filter.Options {
	return filter.Options{LinkType: header.LinkEthernet, Table: header.New(random.Ports()), Depth: depth}
}

// sayLeftOut marks a test that has passed, but without eBPF, as skipped.
func sayLeftOut(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 && !t.Failed() {
		t.Skip("passed, but eBPF was left out: loading it needs root (sudo make test)")
	}
}

// TestBackends runs random expressions on random packets in every back end. It
// fails if a header, operator or primitive was never made, or a back end never used.
func TestBackends(t *testing.T) {
	defer sayLeftOut(t)
	g := random.New(3)
	matched, total, looped, classics, longest, older, inPlace := 0, 0, 0, 0, 0, 0, 0
	for round := range random.Rounds(130) {
		text := g.Expr(1 + g.IntN(4))
		b := newBackends(t, text, options(3))
		if round%10 == 0 && os.Geteuid() == 0 {
			older += b.addOlder(t, text)
		}
		var likely []ir.Likely
		if b.prog.Likely != nil {
			likely = b.prog.Likely()
		}
		for n := range 300 {
			data := g.Packet(4)
			if len(likely) > 0 && n%3 > 0 {
				data = like(g, likely[g.IntN(len(likely))])
			}
			if total++; b.check(t, text, data) {
				matched++
			}
		}
		if b.inPlace != nil {
			inPlace++
		}
		if b.classic != nil {
			classics++
		}
		if len(b.prog.Heads) > 0 {
			looped++
		}
		longest = max(longest, len(b.unrolled.Blocks))
		b.close()
	}
	if missing := g.Missing(); missing != nil {
		t.Errorf("never generated: %q", missing)
	}
	if matched < total/20 || classics < 40 || looped < 20 {
		t.Errorf("of %d packets %d matched; %d programs as classic BPF, %d with loops as eBPF: the test says little", total, matched, classics, looped)
	}
	if older < 10 && os.Geteuid() == 0 {
		t.Errorf("only %d programs in the forms for older kernels", older)
	}
	if inPlace < 20 && os.Geteuid() == 0 && readsInPlace(t) != nil {
		t.Errorf("only %d programs that read in place", inPlace)
	}
	t.Logf("%d packets, %d matched; %d programs as classic BPF, %d that read in place, %d with loops, up to %d blocks", total, matched, classics, inPlace, looped, longest)
}

// TestBackendsFar has loads behind the header area and jumps that are too far for
// eight bits.
func TestBackendsFar(t *testing.T) {
	defer sayLeftOut(t)
	g := random.New(4)
	texts := []string{"inner 3 (tcp port 80 or udp port 53)", "inner 3 host 10.0.0.1", "inner 2 ether host 52:54:00:00:00:01", "inner 3 net 2001:db8::/32", "len > 300", "inner len < 40"}
	long := "host 10.9.9.9"
	for i := range 70 {
		long += fmt.Sprintf(" or host 10.9.%d.1", i)
	}
	texts = append(texts, long+" or host 10.0.0.1", "not ("+long+")", "inner ("+long+" or host 10.0.0.1)")
	far := 0
	for _, text := range texts {
		b := newBackends(t, text, options(4))
		for range 400 {
			data := g.Packet(5)
			if b.check(t, text, data) && len(data) > headSize {
				far++
			}
		}
		b.close()
	}
	if far < 200 {
		t.Errorf("only %d matches in long packets", far)
	}
}
