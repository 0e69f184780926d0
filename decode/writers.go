package decode

import (
	"sync/atomic"

	"github.com/tundump/tundump/capture"
)

// File is a capture file: Pcapng or Pcap.
type File interface {
	Sink
	// Buffered returns how many bytes are not yet written.
	Buffered() int

	check(p *capture.Packet, in *capture.Interface) error // whether there is a record for it
	append(b []byte, p *capture.Packet) []byte            // what Packet writes
	records() *records
}

// Writers are goroutines that write one file: each encodes some packets that follow one another, and then waits until it is
// its turn to write. So the packets are in the file in the order in which they came. They are a Sink that keeps
// packets: their data must stay as it is until Settle returns. Of the file itself only
// they use anything until then.
type Writers struct {
	file File
	todo chan *some
	free chan *some
	now  *some         // that is being collected; nil if there is none
	one  []byte        // a record of these
	last chan struct{} // closed when what was handed over last is written; nil if all is

	err    error // of a write: for who has the turn
	failed atomic.Bool
	told   bool // the error was returned
}

// some are packets that follow one another.
type some struct {
	packets []capture.Packet
	bytes   int
	before  <-chan struct{} // closed when it is the turn of these
	after   chan<- struct{} // is to be closed when they are written
}

// So many packets, or so many bytes, are handed over: so many that what is done for each hand-over no longer counts,
// so few that what they become stays in the cache of one CPU.
const (
	somePackets = 1024
	someBytes   = 128 << 10
)

// NewWriters starts n goroutines for a file, which end with Close.
func NewWriters(file File, n int) *Writers {
	w := &Writers{file: file, todo: make(chan *some, n), free: make(chan *some, 2*n)}
	for range 2 * n {
		w.free <- new(some)
	}
	for range n {
		go w.run()
	}
	return w
}

// run is one of the goroutines.
func (w *Writers) run() {
	var b []byte
	for s := range w.todo {
		b = b[:0]
		for i := range s.packets {
			b = w.file.append(b, &s.packets[i])
		}
		if s.before != nil {
			<-s.before
		}
		if w.err == nil {
			w.err = w.file.records().append(b)
			w.failed.Store(w.err != nil)
		}
		close(s.after)
		w.free <- s
	}
}

// Packet takes a packet, and keeps its data.
func (w *Writers) Packet(p *capture.Packet, in *capture.Interface) error {
	if w.failed.Load() {
		return w.Settle()
	}
	if err := w.file.check(p, in); err != nil {
		return err
	}
	if w.now == nil {
		w.now = <-w.free
		w.now.packets, w.now.bytes = w.now.packets[:0], 0
	}
	w.now.packets = append(w.now.packets, *p)
	w.now.bytes += len(p.Data)
	if len(w.now.packets) < somePackets && w.now.bytes < someBytes {
		return nil
	}
	done := make(chan struct{})
	w.now.before, w.now.after = w.last, done
	w.last = done
	w.todo <- w.now
	w.now = nil
	return nil
}

// Settle waits until no data of packets are needed any more: what was handed over is written, and the rest
// encoded.
func (w *Writers) Settle() error {
	if w.last != nil {
		<-w.last
		w.last = nil
	}
	if w.now != nil {
		for i := range w.now.packets { // too few to be worth another goroutine
			if w.err == nil {
				w.one = w.file.append(w.one[:0], &w.now.packets[i])
				w.err = w.file.records().put(w.one)
			}
		}
		w.now.packets, w.now.bytes = w.now.packets[:0], 0
	}
	w.failed.Store(w.err != nil)
	w.told = w.told || w.err != nil
	return w.err
}

// Flush writes everything.
func (w *Writers) Flush() error {
	if err := w.Settle(); err != nil {
		return err
	}
	w.err = w.file.Flush()
	return w.Settle()
}

// Close ends the goroutines. The file is left open, and has everything.
func (w *Writers) Close() error {
	told := w.told
	err := w.Flush()
	close(w.todo)
	if told {
		return nil
	}
	return err
}
