package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"runtime"
	"sync"

	"github.com/tundump/tundump/capture"
	"github.com/tundump/tundump/filter/ir"
)

// ahead reads a file, and judges its packets, on all CPUs: each worker does what can be done next, be it to
// read a chunk of the file, or to judge the packets of one. Nobody waits while there is anything to
// do; who takes the packets is one of the workers. What they have found comes in the order of the
// file, and is exactly what one alone would find: a packet whose verdict depends on fragments
// before it is left to whoever takes it.
type ahead struct {
	name   string
	src    *capture.File
	judges judges // of who takes the packets
	gone   sync.WaitGroup
	now    *piece // whose packets are taken

	mu       sync.Mutex // for what follows
	event    sync.Cond  // something can be done, or is done
	waiting  int        // for that
	all      []*piece   // chunk n of the file is in the one that at returns
	claimed  int        // chunks that somebody reads or has read
	scanned  int        // those with known packets
	judging  int        // those that somebody judges or has judged
	taken    int        // those whose packets have been taken
	scanning bool       // somebody is
	ended    bool       // there is nothing more to read
}

// piece is a chunk and what is found in it.
type piece struct {
	chunk  capture.Chunk
	read   bool
	packet capture.Packet // that is judged
	found  []found
	err    error // behind them: io.EOF at the end of the file, nil if the next piece goes on
	judged bool
	next   int // in found
}

// found is a packet that may be wanted.
type found struct {
	packet     capture.Packet
	interfaces []capture.Interface // that had been described when it came
	ask        *ir.Matcher         // is asked, with what is remembered, whether it is; nil if it is
}

const (
	// maxWorkers bounds how much memory the chunks need.
	maxWorkers = 8
	// spareChunks are those beside the ones that somebody works at: with them the others go on while one is held up.
	spareChunks = 4
)

// startAhead starts to read the current file.
func (f *files) startAhead() *ahead {
	workers := min(runtime.GOMAXPROCS(0), maxWorkers)
	for len(f.pieces) < workers+spareChunks {
		f.pieces = append(f.pieces, &piece{})
	}
	a := &ahead{name: f.name, src: f.src, judges: judges{s: f.s}, all: f.pieces}
	a.event.L = &a.mu
	for range workers - 1 {
		a.gone.Go(a.work)
	}
	return a
}

// close ends the workers, and returns the memory.
func (a *ahead) close() []*piece {
	a.mu.Lock()
	a.ended = true
	a.judging = a.scanned
	a.happened()
	a.mu.Unlock()
	a.gone.Wait()
	return a.all
}

// at returns the piece of a chunk.
func (a *ahead) at(chunk int) *piece { return a.all[chunk%len(a.all)] }

// happened wakes those who wait.
func (a *ahead) happened() {
	if a.waiting > 0 {
		a.event.Broadcast()
	}
}

// wait waits for an event.
func (a *ahead) wait() {
	a.waiting++
	a.event.Wait()
	a.waiting--
}

func (a *ahead) work() {
	judges := judges{s: a.judges.s} // each worker learns for itself
	a.mu.Lock()
	defer a.mu.Unlock()
	for {
		switch {
		case a.step(&judges):
		case a.ended && !a.scanning:
			return
		default:
			a.wait()
		}
	}
}

// step does what is to be done next, without the lock. It returns false if there is nothing.
func (a *ahead) step(judges *judges) bool {
	switch {
	case a.judging < a.scanned:
		p := a.at(a.judging)
		a.judging++
		a.mu.Unlock()
		p.judge(judges, a.name)
		a.mu.Lock()
		p.judged = true
	case !a.ended && a.claimed < a.taken+len(a.all):
		p := a.at(a.claimed)
		a.claimed++
		p.read, p.judged = false, false
		a.src.NextChunk(&p.chunk)
		a.mu.Unlock()
		a.src.ReadChunk(&p.chunk)
		a.mu.Lock()
		p.read = true
		a.scan()
	default:
		return false
	}
	a.happened()
	return true
}

// scan scans the chunks that have been read, unless somebody else does.
func (a *ahead) scan() {
	if a.scanning {
		return
	}
	a.scanning = true
	for !a.ended && a.scanned < a.claimed && a.at(a.scanned).read {
		p := a.at(a.scanned)
		a.mu.Unlock()
		p.err = a.src.ScanChunk(&p.chunk)
		a.mu.Lock()
		a.ended = a.ended || p.err != nil
		a.scanned++
		a.happened()
	}
	a.scanning = false
}

// judge finds the packets of the piece that may be wanted.
func (p *piece) judge(judges *judges, name string) {
	p.next, p.found = 0, p.found[:0]
	if p.err == nil {
		p.err = p.judgeAll(judges, name)
	} else if p.err != io.EOF {
		p.err = fmt.Errorf("%s: %w", name, p.err)
	}
}

func (p *piece) judgeAll(judges *judges, name string) error {
	var read uint64
	for {
		err := p.chunk.Next(&p.packet)
		if err != nil {
			if judges.s.meter != nil {
				judges.s.meter.read.Add(read)
			}
			if err == io.EOF { // of the chunk, not of the file
				return nil
			}
			return fmt.Errorf("%s: %w", name, err)
		}
		read++
		may, ask, err := judges.judge(&p.packet, p.chunk.Interfaces())
		if may {
			p.found = append(p.found, found{p.packet, p.chunk.Interfaces(), ask})
		}
		if err != nil { // of the expression
			return err
		}
	}
}

// ready returns the next packet if it has been found already, and if there are no more than so many
// interfaces; nil if not.
func (a *ahead) ready(interfaces int) *found {
	if a.now == nil || a.now.next == len(a.now.found) || len(a.now.found[a.now.next].interfaces) > interfaces {
		return nil
	}
	a.now.next++
	return &a.now.found[a.now.next-1]
}

// next waits for the next packet. At the end of the context it may be called again.
func (a *ahead) next(ctx context.Context) (*found, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("%s: %w", a.name, err)
		}
		if p := a.ready(math.MaxInt); p != nil {
			return p, nil
		}
		if a.now != nil && a.now.err != nil {
			return nil, a.now.err
		}
		a.turn(ctx)
	}
}

// turn makes now the next piece, and works until that is judged, or until the end of the context.
func (a *ahead) turn(ctx context.Context) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.now != nil {
		a.now = nil
		a.taken++
		a.happened()
	}
	for ctx.Err() == nil {
		if p := a.at(a.taken); a.taken < a.judging && p.judged {
			a.now = p
			return
		}
		if !a.step(&a.judges) {
			stop := context.AfterFunc(ctx, func() {
				a.mu.Lock()
				a.event.Broadcast()
				a.mu.Unlock()
			})
			a.wait()
			stop()
		}
	}
}

// judges judge the packets of a file, by interface.
type judges struct {
	s  *session
	of []judge
}

// judge judges the packets of one interface.
type judge struct {
	made    bool
	matcher *ir.Matcher // nil if all are wanted
	ahead   *ir.Judge
}

// judge reports whether a packet may be wanted. If that depends on what is remembered of those before,
// the answer is that of ask.
func (j *judges) judge(p *capture.Packet, interfaces []capture.Interface) (may bool, ask *ir.Matcher, err error) {
	only := j.s.opt.Direction
	if only != capture.DirectionUnknown && p.Direction != capture.DirectionUnknown && p.Direction != only {
		return false, nil, nil
	}
	if p.Interface >= len(j.of) || !j.of[p.Interface].made {
		if err := j.make(p.Interface, &interfaces[p.Interface]); err != nil {
			return false, nil, err
		}
	}
	of := &j.of[p.Interface]
	if of.matcher == nil {
		return true, nil, nil
	}
	match, known := of.ahead.Ahead(p.Data, &ir.Meta{Len: uint32(p.Len)})
	if !known {
		return true, of.matcher, nil
	}
	return match, nil, nil
}

// make makes the judge of an interface.
func (j *judges) make(index int, in *capture.Interface) error {
	for len(j.of) <= index {
		j.of = append(j.of, judge{})
	}
	matcher, err := j.s.filters.matcher(*in)
	if err != nil {
		return err
	}
	j.of[index] = judge{made: true, matcher: matcher}
	if matcher != nil {
		j.of[index].ahead = matcher.Judge()
	}
	return nil
}
