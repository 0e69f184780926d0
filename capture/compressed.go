package capture

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// maxWindow is how far back in its output a zstd file may refer, in bytes: as much as
// the command zstd takes without being asked for more.
const maxWindow = 128 << 20

// decompressor returns what reads compressed data that start with these bytes, nil if
// they do not.
func decompressor(start []byte) func(r io.Reader) (io.Reader, error) {
	switch {
	case bytes.HasPrefix(start, []byte{0x1f, 0x8b}):
		return func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) }
	case bytes.HasPrefix(start, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		return func(r io.Reader) (io.Reader, error) {
			z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
			if err != nil {
				return nil, err
			}
			return z.IOReadCloser(), nil
		}
	case bytes.HasPrefix(start, []byte{0x04, 0x22, 0x4d, 0x18}):
		return func(r io.Reader) (io.Reader, error) { return newLZ4(r), nil }
	}
	return nil
}

// decompressed is what comes out of a decompressor that runs in a goroutine of its own. It is
// a pipe, so that a read can be interrupted, which would break a decompressor.
type decompressed struct {
	*os.File
	from deadliner // what is compressed; nil if it cannot be interrupted
	done chan struct{}
	err  error // why it ended, once done is closed; nil at the end of the data
}

// decompress starts to decompress what from has.
func decompress(from io.Reader, deadline deadliner, open func(r io.Reader) (io.Reader, error)) (*decompressed, error) {
	out, in, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("making a pipe for decompressed data: %w", err)
	}
	d := &decompressed{File: out, from: deadline, done: make(chan struct{})}
	go func() {
		defer close(d.done)
		defer in.Close()
		r, err := open(from)
		if err == nil {
			_, err = io.Copy(in, r)
		}
		if c, ok := r.(io.Closer); ok && err == nil {
			err = c.Close()
		}
		if err == io.EOF { // while it was opened
			err = io.ErrUnexpectedEOF
		}
		if errors.Is(err, io.ErrUnexpectedEOF) {
			err = fmt.Errorf("the compressed data end in the middle: %w", io.ErrUnexpectedEOF)
		} else if err != nil {
			err = fmt.Errorf("decompressing: %w", err)
		}
		d.err = err
	}()
	return d, nil
}

// Read reads what was decompressed, and at its end says why there is no more.
func (d *decompressed) Read(b []byte) (int, error) {
	n, err := d.File.Read(b)
	if err == io.EOF {
		<-d.done
		if d.err != nil {
			err = d.err
		}
	}
	return n, err
}

// Close ends the decompressor. What it reads from stays open.
func (d *decompressed) Close() error {
	err := d.File.Close() // a write to the other end fails now
	if d.from != nil {
		err = errors.Join(err, d.from.SetReadDeadline(time.Unix(1, 0)))
		<-d.done
	}
	return err
}
