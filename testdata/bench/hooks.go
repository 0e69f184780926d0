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
	sockets := func(c *candidate) func(int, func() error) error {
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
		{"packet socket, `ret 0`", sockets(returnNothing())},
		{"packet socket, tundump `inner host A`", sockets(ours)},
		{"tcx, a program that does nothing", b.withTaps(nothing)},
		{"tcx, tundump `inner host A`", b.withTaps(filters)},
	}
	kinds := kindsOfPackets()
	t := table{
		title: "Where the filter is",
		note: fmt.Sprintf("Nanoseconds a packet: %d packet sockets, or programs at tcx, on a veth, sender time a packet over that without any, divided by %[1]d; "+
			"medians of %d rounds of %d packets. Where the filter matches, nothing is captured.", copies, b.filterRounds, b.filterFrames),
		header: []string{"hook"},
	}
	for _, h := range hooks[1:] {
		t.rows = append(t.rows, []string{h.name})
	}
	for _, k := range kinds {
		t.header = append(t.header, k.name)
		times := make([][]float64, len(hooks))
		for round := range b.filterRounds {
			taken := make([]float64, len(hooks))
			for i := range hooks {
				n := (i + round) % len(hooks) // none is always the first
				err := hooks[n].with(copies, func() (err error) {
					// To warm up.
					if _, err := b.transmit(k.frames, max(b.filterFrames/20, len(k.frames))); err != nil {
						return err
					}
					taken[n], err = b.transmit(k.frames, b.filterFrames)
					return err
				})
				if err != nil {
					return fmt.Errorf("%s: %w", hooks[n].name, err)
				}
			}
			for n := range hooks {
				times[n] = append(times[n], (taken[n]-taken[0])/copies)
			}
		}
		for n := range t.rows {
			t.rows[n] = append(t.rows[n], number(median(times[n+1])))
		}
	}
	b.report.table(t)
	return nil
}

// letGo is a program at tcx that lets packets go on.
func letGo() asm.Instructions {
	const tcxNext = -1
	return asm.Instructions{asm.Mov.Imm(asm.R0, tcxNext), asm.Return()}
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
