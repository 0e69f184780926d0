package main

import (
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"

	"github.com/tundump/tundump/bpf"
	"github.com/tundump/tundump/filter/header"
)

// hook is a place where the kernel can run a filter: with calls f while copies of it are there.
type hook struct {
	name string
	with func(copies int, f func() error) error
}

// hookCost compares what packets cost that no filter wants, by where the filter is: the place itself,
// and with our filter there.
func (b *bench) hookCost() error {
	const copies = 16
	p, err := compile(defaultExpression, header.DefaultDepth)
	if err != nil {
		return err
	}
	ours, err := loadEBPF("", p, copies)
	if err != nil {
		return err
	}
	defer ours.close()
	atTCX, err := bpf.LoadTaps(p, nil)
	if err != nil {
		return err
	}
	defer atTCX.Close()
	var filters, nothing []*ebpf.Program // the kernel attaches one only once
	for range copies {
		filter, err := atTCX.Tap(false, letGo())
		if err != nil {
			return err
		}
		idle, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.SchedCLS, License: "Apache-2.0", Instructions: letGo()})
		if err != nil {
			return fmt.Errorf("loading a program that does nothing: %w", err)
		}
		defer idle.Close()
		filters, nothing = append(filters, filter), append(nothing, idle)
	}
	hooks := []hook{
		{"none", func(_ int, f func() error) error { return f() }},
		{"packet socket, `ret 0`", b.withFilter(returnNothing())},
		{"packet socket, tundump `inner host A`", b.withFilter(ours)},
		{"tcx, a program that does nothing", b.withTaps(nothing)},
		{"tcx, tundump `inner host A`", b.withTaps(filters)},
	}
	kinds := kindsOfPackets()
	note := fmt.Sprintf("Nanoseconds a packet: %d packet sockets, or programs at tcx, on a veth, sender time a packet over that without any, divided by %[1]d; "+
		"medians of %d rounds of %d packets. Where the filter matches, nothing is captured.", copies, b.filterRounds, b.filterFrames)
	if err := b.compareHooks("Where the filter is", note, hooks, kinds, copies, b.filterFrames); err != nil {
		return err
	}
	return b.xdpCost()
}

// xdpCost compares hooks that nobody uses: XDP, of which an interface has only one, with one of the others.
func (b *bench) xdpCost() error {
	idle, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.SchedCLS, License: "Apache-2.0", Instructions: letGo()})
	if err != nil {
		return fmt.Errorf("loading a program that does nothing: %w", err)
	}
	defer idle.Close()
	pass, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.XDP, License: "Apache-2.0", Instructions: xdpPass()})
	if err != nil {
		return fmt.Errorf("loading a program for XDP: %w", err)
	}
	defer pass.Close()
	hooks := []hook{
		{"none", func(_ int, f func() error) error { return f() }},
		{"packet socket, `ret 0`", b.withFilter(returnNothing())},
		{"tcx, a program that does nothing", b.withTaps([]*ebpf.Program{idle})},
		{"XDP of the driver, a program that does nothing", b.withXDP(pass, link.XDPDriverMode)},
		{"generic XDP, a program that does nothing", b.withXDP(pass, link.XDPGenericMode)},
	}
	kinds := []kindOfPacket{
		{name: "128 bytes", frames: [][]byte{frame(plainTCP, 0, 128)}},
		{name: "1400 bytes", frames: [][]byte{frame(plainTCP, 0, 1400)}},
	}
	const times = 8 // as many packets, since nothing is divided
	note := fmt.Sprintf("As above, but one of each, since there can be only one at XDP: sender time a packet over that without it; medians of %d rounds of %d packets, "+
		"which are copied for the program where XDP is the driver's, a veth.", b.filterRounds, times*b.filterFrames)
	return b.compareHooks("XDP", note, hooks, kinds, 1, times*b.filterFrames)
}

// compareHooks reports what so many copies of hooks cost a packet, each over the first one, which is none.
func (b *bench) compareHooks(title, note string, hooks []hook, kinds []kindOfPacket, copies, frames int) error {
	t := table{title: title, note: note, header: []string{"hook"}}
	for _, h := range hooks[1:] {
		t.rows = append(t.rows, []string{h.name})
	}
	for _, k := range kinds {
		t.header = append(t.header, k.name)
		times := make([][]float64, len(hooks))
		for round := range b.filterRounds {
			taken := make([]float64, len(hooks))
			for i := range hooks {
				n := (i + round) % len(hooks)
				err := hooks[n].with(copies, func() (err error) {
					// To warm up.
					if _, err := b.transmit(k.frames, max(frames/20, len(k.frames))); err != nil {
						return err
					}
					taken[n], err = b.transmit(k.frames, frames)
					return err
				})
				if err != nil {
					return fmt.Errorf("%s: %w", hooks[n].name, err)
				}
			}
			for n := range hooks {
				times[n] = append(times[n], (taken[n]-taken[0])/float64(copies))
			}
		}
		for n := range t.rows {
			t.rows[n] = append(t.rows[n], number(median(times[n+1])))
		}
	}
	b.report.table(t)
	return nil
}

// withFilter opens packet sockets with a filter on B's interface.
func (b *bench) withFilter(c *candidate) func(int, func() error) error {
	return func(n int, f func() error) error {
		return b.withSockets(n, func(all []*os.File) error {
			for s, socket := range all {
				if err := c.attach(s, socket); err != nil {
					return err
				}
			}
			return f()
		})
	}
}

// letGo is a program at tcx that lets packets go on.
func letGo() asm.Instructions {
	const tcxNext = -1
	return asm.Instructions{asm.Mov.Imm(asm.R0, tcxNext), asm.Return()}
}

// xdpPass is a program at XDP that lets packets go on.
func xdpPass() asm.Instructions {
	const pass = 2 // XDP_PASS
	return asm.Instructions{asm.Mov.Imm(asm.R0, pass), asm.Return()}
}

// withXDP attaches a program to XDP of B's interface.
func (b *bench) withXDP(prog *ebpf.Program, mode link.XDPAttachFlags) func(int, func() error) error {
	return func(_ int, f func() error) (err error) {
		var l link.Link
		err = b.lab.In(b.lab.B, func() error {
			dev, err := net.InterfaceByName("eth1")
			if err != nil {
				return err
			}
			l, err = link.AttachXDP(link.XDPOptions{Program: prog, Interface: dev.Index, Flags: mode})
			return err
		})
		if err != nil {
			return fmt.Errorf("attaching a program: %w", err)
		}
		defer func() { err = errors.Join(err, l.Close()) }()
		return f()
	}
}

// withTaps attaches programs to what B's interface receives.
func (b *bench) withTaps(progs []*ebpf.Program) func(int, func() error) error {
	return func(_ int, f func() error) (err error) {
		var links []link.Link
		defer func() {
			for _, l := range links {
				err = errors.Join(err, l.Close())
			}
		}()
		err = b.lab.In(b.lab.B, func() error {
			dev, err := net.InterfaceByName("eth1")
			if err != nil {
				return err
			}
			for _, prog := range progs {
				l, err := link.AttachTCX(link.TCXOptions{Interface: dev.Index, Program: prog, Attach: ebpf.AttachTCXIngress})
				if err != nil {
					return fmt.Errorf("attaching a program: %w", err)
				}
				links = append(links, l)
			}
			return nil
		})
		if err != nil {
			return err
		}
		return f()
	}
}
