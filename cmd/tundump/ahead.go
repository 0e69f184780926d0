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

// ahead reads a file, and judges its packets, on all CPUs: each worker in turn reads a chunk of the
// file, and judges what is in it while the others go on. What the workers have found comes in the order of
// the file, and is exactly what one alone would find: a packet whose verdict depends on fragments
// before it is left to whoever takes it.
type ahead struct {
	name  string
	s     *session
	quit  chan struct{}
	gone  sync.WaitGroup
	free  chan *piece
	order chan *piece // in that of the file; closed behind the last one
	all   []*piece
	now   *piece // whose packets are taken

	reading sync.Mutex // for what follows
	src     *capture.File
	ended   bool
}

// piece is what a worker finds in a chunk.
type piece struct {
	chunk  capture.Chunk
	one    found // that is judged
	found  []found
	err    error         // behind them: io.EOF at the end of the file, nil if the next piece goes on
	judged chan struct{} // gets one when all is found
	next   int           // in found
}

// found is a packet that may be wanted.
type found struct {
	packet     capture.Packet
	interfaces []capture.Interface // that had been described when it came
	ask        *ir.Matcher         // is asked, with what is remembered, whether it is; nil if it is
}

// maxWorkers bounds how much memory the chunks need.
const maxWorkers = 8

// startAhead starts to read the current file.
func (f *files) startAhead() *ahead {
	workers := min(runtime.GOMAXPROCS(0), maxWorkers)
	for len(f.pieces) < workers+2 {
		f.pieces = append(f.pieces, &piece{judged: make(chan struct{}, 1)})
	}
	a := &ahead{
		name: f.name, s: f.s, src: f.src, quit: make(chan struct{}), all: f.pieces,
		free: make(chan *piece, len(f.pieces)), order: make(chan *piece, len(f.pieces)),
	}
	for _, p := range a.all {
		a.free <- p
	}
	a.gone.Add(workers)
	for range workers {
		go a.work()
	}
	return a
}

// close ends the workers, and returns the memory.
func (a *ahead) close() []*piece {
	close(a.quit)
	a.gone.Wait()
	for _, p := range a.all {
		select {
		case <-p.judged:
		default:
		}
	}
	return a.all
}

func (a *ahead) work() {
	defer a.gone.Done()
	judges := judges{s: a.s} // each worker learns for itself
	for {
		var p *piece
		select {
		case <-a.quit:
			return
		case p = <-a.free:
		}
		if !a.read(p) {
			return
		}
		p.judge(&judges, a.name)
		p.judged <- struct{}{}
	}
}

// read reads the next chunk. It returns false if there is none.
func (a *ahead) read(p *piece) bool {
	a.reading.Lock()
	defer a.reading.Unlock()
	if a.ended {
		return false
	}
	p.next, p.found = 0, p.found[:0]
	if p.err = a.src.ReadChunk(&p.chunk); p.err != nil {
		a.ended = true
	}
	a.order <- p
	return true
}

// judge finds the packets of the piece.
func (p *piece) judge(judges *judges, name string) {
	var read uint64
	err := p.err
	for err == nil {
		if err = p.chunk.Next(&p.one.packet); err != nil {
			if err == io.EOF { // of the chunk, not of the file
				err = nil
			}
			break
		}
		read++
		p.one.interfaces = p.chunk.Interfaces()
		var may bool
		may, p.one.ask, p.err = judges.judge(&p.one.packet, p.one.interfaces)
		if may {
			p.found = append(p.found, p.one)
		}
		if p.err != nil { // of the expression
			return
		}
	}
	if p.err = err; err != nil && err != io.EOF {
		p.err = fmt.Errorf("%s: %w", name, err)
	}
	if judges.s.meter != nil {
		judges.s.meter.read.Add(read)
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
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", a.name, err)
	}
	for {
		if p := a.ready(math.MaxInt); p != nil {
			return p, nil
		}
		if a.now != nil {
			if a.now.err != nil {
				return nil, a.now.err
			}
			a.free <- a.now
			a.now = nil
		}
		var p *piece
		select {
		case p = <-a.order:
		case <-ctx.Done():
			return nil, fmt.Errorf("%s: %w", a.name, ctx.Err())
		}
		// It will not take long: a worker is at it.
		<-p.judged
		a.now = p
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
	for len(j.of) <= p.Interface {
		j.of = append(j.of, judge{})
	}
	of := &j.of[p.Interface]
	if !of.made {
		if of.matcher, err = j.s.filters.matcher(interfaces[p.Interface]); err != nil {
			return false, nil, err
		}
		if of.made = true; of.matcher != nil {
			of.ahead = of.matcher.Judge()
		}
	}
	if of.matcher == nil {
		return true, nil, nil
	}
	match, known := of.ahead.Ahead(p.Data, &ir.Meta{Len: uint32(p.Len)})
	if !known {
		return true, of.matcher, nil
	}
	return match, nil, nil
}
