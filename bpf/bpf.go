// Package bpf translates the intermediate form of filters for the kernel: to
// eBPF, to classic BPF where there is none, and to text. It decides nothing: what a
// program means is what [ir.Prog.Match] returns.
package bpf

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/tundump/tundump/filter/ir"
)

// Filter is a filter that the kernel can run: a loaded eBPF program, or a classic
// one, which the kernel translates when it is attached.
type Filter struct {
	prog    *ebpf.Program
	tapped  *tapped // nil for a socket filter
	area    *ebpf.Map
	tables  map[half]*table
	shared  *Fragments
	own     *Fragments // these, if no other filter uses them
	size    int
	classic []bpf.RawInstruction
	// Fallback is why the filter is classic where it should be eBPF.
	Fallback error
}

// Load makes a filter for live capture that keeps snapLen bytes of what it accepts. Short
// programs without loops and sets become classic BPF, in which the kernel reads bytes at constant
// offsets in place, where an eBPF socket filter needs a call, and has nothing to verify.
// Others become eBPF if the kernel takes it, for which CAP_BPF is needed, or CAP_SYS_ADMIN before
// Linux 5.8; else classic BPF too, which does not follow
// fragments. A filter that does remembers them in fragments, or in memory of its own if that is nil.
// With kernel, unless it is nil, packets are read in place where the kernel lets a program do that.
func Load(p *ir.Prog, snapLen uint32, fragments *Fragments, kernel *Kernel) (*Filter, error) {
	if len(p.Heads) == 0 && p.LargestSet() == 0 && !p.FollowsFragments() {
		const short = 256
		if insns, err := Classic(p, snapLen, true); err == nil && len(insns) <= short {
			return assemble(insns)
		}
	}
	f, err := loadEBPF(p, snapLen, fragments, kernel, direct, functions, loops, forgetful)
	if err == nil {
		return f, nil
	}
	insns, classicErr := Classic(p, snapLen, true)
	if classicErr != nil {
		return nil, fmt.Errorf("neither as eBPF (%w) nor as classic BPF (%w)", err, classicErr)
	}
	if f, classicErr = assemble(insns); classicErr != nil {
		return nil, classicErr
	}
	f.Fallback = err
	return f, nil
}

func assemble(insns []bpf.Instruction) (*Filter, error) {
	raw, err := bpf.Assemble(insns)
	if err != nil {
		return nil, fmt.Errorf("assembling classic BPF: %w", err)
	}
	return &Filter{classic: raw, size: len(raw)}, nil
}

// LoadEBPF is Load without the way out, and with memory of its own for fragments. A
// rejection by the kernel's verifier prints its whole log with %+v.
func LoadEBPF(p *ir.Prog, snapLen uint32, kernel *Kernel) (*Filter, error) {
	return loadEBPF(p, snapLen, nil, kernel, direct, functions, loops, forgetful)
}

// loadEBPF loads the program in the first of the forms that the kernel takes.
func loadEBPF(p *ir.Prog, snapLen uint32, fragments *Fragments, kernel *Kernel, forms ...form) (*Filter, error) {
	f, p, err := withMaps(p, fragments)
	if err != nil {
		return nil, err
	}
	for _, form := range forms {
		var insns asm.Instructions
		maps := f.maps()
		if form == direct {
			if maps.Kernel = kernel; kernel == nil || p.Likely == nil {
				continue
			}
		}
		if insns, err = emit(p, snapLen, maps, form, nil); err == nil {
			f.size = len(insns)
			f.prog, err = load(insns, ebpf.SocketFilter, form == direct)
		}
		if err != nil && form == direct {
			continue
		}
		// E2BIG: the verifier has given up, after a million instructions. With loops that are none it
		// has more to do, and less if it is let forget.
		if err == nil || errors.Is(err, unix.EPERM) || errors.Is(err, unix.E2BIG) == (form == functions) {
			break
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("loading the program: %w", brief(err)), f.closeMaps())
	}
	return f, nil
}

// withMaps makes a filter that has its maps, and no program yet, and returns what that is to
// be made of.
func withMaps(p *ir.Prog, fragments *Fragments) (*Filter, *ir.Prog, error) {
	unlimit()
	f := &Filter{}
	var err error
	if f.area, err = ebpf.NewMap(&ebpf.MapSpec{Name: "tundump_head", Type: ebpf.PerCPUArray, KeySize: 4, ValueSize: areaSize, MaxEntries: 1}); err != nil {
		return nil, nil, brief(fmt.Errorf("creating a map: %w", err))
	}
	p = p.Expand(inlineSet)
	if f.tables, err = loadTables(p); err != nil {
		return nil, nil, errors.Join(err, f.closeMaps())
	}
	f.shared = fragments
	if fragments == nil && p.FollowsFragments() {
		if f.own, err = NewFragments(); err != nil {
			return nil, nil, errors.Join(err, f.closeMaps())
		}
		f.shared = f.own
	}
	return f, p, nil
}

// unlimit raises the limit of locked memory: before Linux 5.11 programs and maps count as that. Where
// it cannot be raised, loading says so itself.
func unlimit() {
	_ = unix.Setrlimit(unix.RLIMIT_MEMLOCK, &unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY})
}

func (f *Filter) maps() Maps { return Maps{Area: f.area.FD(), Fragments: f.shared, tables: f.tables} }

func load(insns asm.Instructions, kind ebpf.ProgramType, direct bool) (*ebpf.Program, error) {
	spec := &ebpf.ProgramSpec{Name: "tundump", Type: kind, Instructions: insns, License: "Apache-2.0"}
	if direct {
		spec.License = "GPL"
	}
	// Without the verifier's log, which is worth nothing where it gives up, and takes
	// several times as long.
	prog, err := ebpf.NewProgramWithOptions(spec, ebpf.ProgramOptions{LogDisabled: true})
	if err != nil && !direct && !errors.Is(err, unix.E2BIG) && !errors.Is(err, unix.EPERM) {
		return ebpf.NewProgram(spec)
	}
	return prog, err
}

// brief returns the cause alone where it says all.
func brief(err error) error {
	switch {
	case errors.Is(err, unix.EPERM):
		return errors.New("CAP_BPF is needed")
	case errors.Is(err, unix.E2BIG):
		return errors.New("it is more than the kernel's verifier looks at; with CAP_PERFMON, a smaller depth or fewer scopes it has less to do")
	}
	return err
}

// Attach makes the filter that of a socket. It should be done before the socket is
// bound, so that no packet is queued unfiltered.
func (f *Filter) Attach(conn syscall.RawConn) error {
	var err error
	ctlErr := conn.Control(func(fd uintptr) {
		if f.prog != nil {
			err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_BPF, f.prog.FD())
			return
		}
		code := make([]unix.SockFilter, len(f.classic))
		for n, i := range f.classic {
			code[n] = unix.SockFilter{Code: i.Op, Jt: i.Jt, Jf: i.Jf, K: i.K}
		}
		err = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
			&unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]})
	})
	if f.prog == nil && errors.Is(err, unix.ENOMEM) {
		err = fmt.Errorf("%v is larger than net.core.optmem_max allows: %w", f, err)
	}
	if err = errors.Join(ctlErr, err); err != nil {
		return fmt.Errorf("attaching the filter: %w", err)
	}
	return nil
}

// String says what was loaded: "eBPF, 214 instructions".
func (f *Filter) String() string {
	kind := "eBPF"
	switch {
	case f.tapped != nil:
		kind = "eBPF at tcx"
	case f.prog == nil:
		kind = "classic BPF"
	}
	s := "s"
	if f.size == 1 {
		s = ""
	}
	return fmt.Sprintf("%s, %d instruction%s", kind, f.size, s)
}

// Close releases the program, or those of Tap. What they are attached to keeps them.
func (f *Filter) Close() error {
	if f.area == nil { // classic
		return nil
	}
	var errs []error
	if f.prog != nil {
		errs = append(errs, f.prog.Close())
	}
	if f.tapped != nil {
		for _, prog := range f.tapped.progs {
			errs = append(errs, prog.Close())
		}
	}
	return errors.Join(append(errs, f.closeMaps())...)
}

func (f *Filter) closeMaps() error {
	err := errors.Join(f.area.Close(), closeTables(f.tables))
	if f.own != nil {
		err = errors.Join(err, f.own.Close())
	}
	return err
}
