// Package decode is where packets go: a line of text for a person, or a capture
// file for the next program.
package decode

import (
	"fmt"
	"io"

	"github.com/tundump/tundump/capture"
)

// Sink takes packets, one after the other. It is for one goroutine.
//
// What it writes to belongs to the caller: Close finishes the output, by
// writing what is still buffered, and leaves the io.Writer open.
//
// After a write error nothing more is written. The call that met it returns it, and so
// does every later call of Packet and Flush; Close returns it only if no other
// call did, so that a caller who reports both errors reports it once.
type Sink interface {
	// Packet takes the packet p, which came from the interface in. It keeps
	// neither of the two, nor p.Data.
	Packet(p *capture.Packet, in *capture.Interface) error
	// Flush writes what is buffered.
	Flush() error
	// Close finishes the output. Nothing may be called after it.
	Close() error
}

// bufferSize is how much a file writer collects for one write: so much that
// the system call itself no longer counts.
const bufferSize = 256 << 10

// records collects whole records (blocks, in pcapng) of a file and writes
// them in large pieces. A record is never split between two writes, so that
// between them, and if we are killed, the file is whole; and if the disk fills up
// within a record, the file is cut back to the last whole one.
type records struct {
	w    io.Writer
	buf  []byte
	used int              // bytes of buf, none after a write error
	size func([]byte) int // of the record that the bytes start with
	err  error            // the write error
	told bool             // err has been returned
}

// grow returns n bytes to be filled, the next record. Their content is undefined.
func (r *records) grow(n int) ([]byte, error) {
	if n > len(r.buf)-r.used {
		if err := r.makeRoom(n); err != nil {
			return nil, err
		}
	}
	b := r.buf[r.used:][:n]
	r.used += n
	return b, nil
}

// put adds a record.
func (r *records) put(record []byte) error {
	b, err := r.grow(len(record))
	copy(b, record)
	return err
}

// makeRoom writes what there is, and has room for n bytes then.
func (r *records) makeRoom(n int) error {
	if err := r.flush(); err != nil {
		return err
	}
	if n > len(r.buf) {
		r.buf = make([]byte, max(n, bufferSize))
	}
	return nil
}

func (r *records) flush() error {
	if r.used > 0 {
		r.write(r.buf[:r.used])
		r.used = 0
	}
	r.told = r.told || r.err != nil
	return r.err
}

// append writes whole records behind what there is.
func (r *records) append(b []byte) error {
	if err := r.flush(); err != nil {
		return err
	}
	r.write(b)
	return r.flush()
}

// write writes whole records.
func (r *records) write(b []byte) {
	n, err := r.w.Write(b)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	if err != nil {
		r.err = fmt.Errorf("writing a capture file: %w", err)
		r.cut(b, n)
		r.buf = nil // nothing fits any more
	}
}

// cut takes the torn record at the end of the first n of the bytes,
// which were written, off the file, if it is one and lets us.
func (r *records) cut(b []byte, n int) {
	whole := 0
	for whole < n {
		size := r.size(b[whole:])
		if size > n-whole {
			break
		}
		whole += size
	}
	f, ok := r.w.(interface {
		io.Seeker
		Truncate(size int64) error
	})
	if !ok || whole == n {
		return
	}
	end, err := f.Seek(int64(whole-n), io.SeekCurrent)
	if err == nil {
		// The write error is what matters: a file that cannot be cut
		// has a torn last record, which every reader copes with.
		_ = f.Truncate(end)
	}
}

func (r *records) close() error {
	if r.told {
		return nil
	}
	return r.flush()
}
