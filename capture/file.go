package capture

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"os"
	"syscall"
	"time"
)

// ErrNotCapture tells that a file is neither pcap nor pcapng.
var ErrNotCapture = errors.New("not a capture file")

// ErrEmpty tells that a file has no bytes at all.
var ErrEmpty = errors.New("the file is empty")

// maxPacket is the most bytes of a packet that a file may hold: as much as libpcap
// takes in one pcapng block. More than that is no packet, but a damaged length.
const maxPacket = 16 << 20

// maxInterfaces bounds what a file can make us keep.
const maxInterfaces = 1 << 16

// File reads a capture file: pcap, with microseconds or nanoseconds, or pcapng, of
// either byte order. Next never seeks, and returns a packet as soon as its last byte
// is there; a file on disk can also be read in chunks by several goroutines, see Chunk.
// Interface.Nanoseconds tells the resolution that the file declares.
//
// The reader is our own and not gopacket's pcapgo, because pcapgo takes the flags of
// packets in big-endian files for little-endian, allocates for each packet that has
// flags, lets a packet reach beyond its block, and refuses a pcap packet that is longer
// than its wire length.
type File struct {
	parser
	err     error // of the last next; nothing follows it
	closers []io.Closer
	last    Packet // that Next has returned

	disk  onDisk // nil if its bytes are not there, or not as they are on disk
	chunk int    // size of chunks, in bytes
	ahead int64  // where the next chunk starts
	at    int64  // where the next packet starts that no chunk has

	deadline deadliner       // nil if reads cannot be interrupted
	done     <-chan struct{} // of the last Next's context
	release  func() bool     // ends its hold on deadline
}

// parser is what has been understood of a file so far, and what comes next.
type parser struct {
	in         input
	format     format
	interfaces []Interface
	packets    int64 // so far
}

// format is one of the two kinds of files.
type format interface {
	// next reads the next packet.
	next(f *parser, p *Packet) error
	// scan passes over whole packets that are in the buffer, as next would, without reading more. What
	// is wrong in a packet is not its business. Of an error, of what it has passed over, next would
	// return the same.
	scan(f *parser) error
	// clone returns what does the same from here on.
	clone() format
}

type deadliner interface{ SetReadDeadline(time.Time) error }

// OpenFile opens the named capture file, which may be compressed by gzip, zstd or
// lz4. The error wraps ErrEmpty, ErrNotCapture, or
// io.ErrUnexpectedEOF if the file is cut within its header.
func OpenFile(name string) (*File, error) {
	r, err := os.Open(name)
	if err != nil {
		return nil, err // "open NAME: no such file or directory"
	}
	f, err := NewFile(r)
	if err != nil {
		r.Close()
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	f.closers = append(f.closers, r)
	return f, nil
}

// NewFile reads a capture file from r, up to the description of the first interface,
// and fails like OpenFile. Close leaves r open.
//
// The end of Next's context interrupts a read if r is a pipe, or any other reader
// whose SetReadDeadline works.
func NewFile(r io.Reader) (*File, error) {
	f := &File{chunk: chunkSize, release: func() bool { return true }}
	if file, ok := r.(*os.File); ok {
		if pipe := reopenPipe(file); pipe != nil {
			f.closers = append(f.closers, pipe)
			r = pipe
		}
	}
	if d, ok := r.(deadliner); ok && d.SetReadDeadline(time.Time{}) == nil {
		f.deadline = d
	}
	f.in.r = r
	err := f.decompress()
	if err == nil {
		err = f.open()
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	if file, ok := r.(*os.File); ok && f.in.r == r {
		if info, err := file.Stat(); err == nil && info.Mode().IsRegular() {
			f.onDisk(file)
		}
	}
	return f, nil
}

// onDisk makes it possible to read chunks, if disk, which is what f reads, knows where it is.
func (f *File) onDisk(disk onDisk) {
	if at, err := disk.Seek(0, io.SeekCurrent); err == nil {
		f.disk, f.at = disk, f.in.position(at)
		f.ahead = f.at &^ (pageSize - 1)
	}
}

// reopenPipe opens a pipe a second time, so that Go's poller knows it and a read can be
// interrupted; standard input's cannot. (To make it non-blocking would do so for every
// process that shares it.) It returns nil if that is not needed, or not possible.
func reopenPipe(f *os.File) *os.File {
	info, err := f.Stat()
	if err != nil || info.Mode()&os.ModeNamedPipe == 0 || f.SetReadDeadline(time.Time{}) == nil {
		return nil
	}
	conn, err := f.SyscallConn()
	if err != nil {
		return nil
	}
	var pipe *os.File
	// Without O_NONBLOCK the open would wait for a writer, who may have come and gone.
	err = conn.Control(func(fd uintptr) {
		pipe, err = os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", fd), os.O_RDONLY|syscall.O_NONBLOCK, 0)
	})
	if err != nil {
		return nil
	}
	return pipe
}

// decompress puts a decompressor in front if the file is compressed.
func (f *File) decompress() error {
	start, err := f.in.peek(4)
	open := decompressor(start)
	if open == nil { // no error is lost: to peek again fails again
		return nil
	}
	if err != nil {
		return f.cut(err, true, "a compressed stream")
	}
	d, err := decompress(io.MultiReader(bytes.NewReader(bytes.Clone(f.in.buf[f.in.start:f.in.end])), f.in.r), f.deadline, open)
	if err != nil {
		return err
	}
	f.in = input{r: d}
	f.deadline = d
	f.closers = append([]io.Closer{d}, f.closers...) // before what it reads from
	return nil
}

// open reads up to the first interface.
func (f *File) open() error {
	magic, err := f.in.peek(4)
	if err != nil && err != io.EOF {
		return err
	}
	if len(magic) == 0 {
		return ErrEmpty
	}
	if len(magic) == 4 {
		switch m := binary.LittleEndian.Uint32(magic); m {
		case magicMicro, magicNano:
			return f.openPcap(order(false), m == magicNano)
		case magicMicroSwapped, magicNanoSwapped:
			return f.openPcap(order(true), m == magicNanoSwapped)
		case blockSection:
			return f.openPcapng()
		}
	}
	return fmt.Errorf("%w: it starts with % x", ErrNotCapture, magic)
}

// Interfaces returns the interfaces that have been described so far. A new section of a
// pcapng file adds its own to those of the sections before.
func (f *File) Interfaces() []Interface { return f.interfaces }

// Next returns the next packet. Of a file that is cut, the packets before the cut come first,
// then an error that wraps io.ErrUnexpectedEOF. After any error but that of ctx, Next
// returns it again. A packet's Len is never less than its data, even where the file says so;
// a pcapng simple packet has no time, and gets 0.
func (f *File) Next(ctx context.Context) (Packet, error) {
	if done := ctx.Done(); done != f.done {
		f.done = done
		if f.deadline != nil {
			f.release()
			f.release = context.AfterFunc(ctx, func() { _ = f.deadline.SetReadDeadline(time.Unix(1, 0)) })
		}
	}
	select {
	case <-f.done:
		return Packet{}, ctx.Err()
	default:
	}
	if f.err != nil {
		return Packet{}, f.err
	}
	err := f.format.next(&f.parser, &f.last)
	for f.deadline != nil && errors.Is(err, os.ErrDeadlineExceeded) {
		// A deadline of an earlier context, or of this one. Nothing was lost: what has
		// been read is still in the buffer.
		if ctx.Err() != nil {
			return Packet{}, ctx.Err()
		}
		if err := f.deadline.SetReadDeadline(time.Time{}); err != nil {
			return Packet{}, err
		}
		err = f.format.next(&f.parser, &f.last)
	}
	if err != nil {
		f.err = err
		return Packet{}, err
	}
	f.packets++
	return f.last, nil
}

// Stats returns nil: a file has no counters.
func (f *File) Stats() ([]Stats, error) { return nil, nil }

// Close closes what OpenFile has opened.
func (f *File) Close() error {
	f.release()
	var errs []error
	for _, c := range f.closers {
		errs = append(errs, c.Close())
	}
	f.closers = nil
	f.err = os.ErrClosed
	return errors.Join(errs...)
}

// cut explains why no more bytes came while what was being read, of which some had come already
// if begun.
func (f *parser) cut(err error, begun bool, what string) error {
	if err == io.EOF && !begun {
		return io.EOF
	}
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return fmt.Errorf("the file ends in the middle of %s (packets before that: %d): %w", what, f.packets, io.ErrUnexpectedEOF)
	}
	if errors.Is(err, io.ErrUnexpectedEOF) { // of compressed data
		return fmt.Errorf("%w (packets before that: %d)", err, f.packets)
	}
	return err
}

// damaged returns the error of a file whose bytes make no sense.
func (f *parser) damaged(format string, args ...any) error {
	return fmt.Errorf("the file is damaged after packet %d: %s", f.packets, fmt.Sprintf(format, args...))
}

// order is a byte order: true for big-endian. It is faster than binary.ByteOrder because
// its calls are inlined.
type order bool

func (big order) uint16(b []byte) uint16 {
	if big {
		return binary.BigEndian.Uint16(b)
	}
	return binary.LittleEndian.Uint16(b)
}

func (big order) uint32(b []byte) uint32 {
	v := binary.LittleEndian.Uint32(b)
	if big {
		v = bits.ReverseBytes32(v)
	}
	return v
}

func (big order) uint64(b []byte) uint64 {
	if big {
		return binary.BigEndian.Uint64(b)
	}
	return binary.LittleEndian.Uint64(b)
}

// input is a buffer in front of a reader. It hands out its own memory.
type input struct {
	r          io.Reader // nil if buf is all
	buf        []byte
	start, end int   // what has been read and not been used is buf[start:end]
	skip       int64 // bytes still to be dropped from r
	err        error // that r returned together with its last bytes
}

const firstBuffer = 256 << 10

// peek returns the next n bytes, or fewer and an error: io.EOF, or
// io.ErrUnexpectedEOF if it came within what was discarded.
func (in *input) peek(n int) ([]byte, error) {
	if in.end-in.start >= n {
		return in.buf[in.start : in.start+n], nil
	}
	return in.wait(n)
}

// wait is peek where that has to read.
func (in *input) wait(n int) ([]byte, error) {
	for in.end-in.start < n {
		if err := in.fill(); err != nil {
			return in.buf[in.start:in.end], err
		}
	}
	return in.buf[in.start : in.start+n], nil
}

// discard drops the next n bytes, whether they have been peeked at or not.
func (in *input) discard(n int) {
	have := min(n, in.end-in.start)
	in.start += have
	in.skip += int64(n - have)
}

// position returns where its next byte is, if the next byte of its reader is at at.
func (in *input) position(at int64) int64 { return at - int64(in.end-in.start) + in.skip }

// fill reads once.
func (in *input) fill() error {
	if in.r == nil {
		return io.EOF
	}
	if in.start > 0 {
		in.end = copy(in.buf, in.buf[in.start:in.end])
		in.start = 0
	}
	// The buffer grows only when it is full of bytes that have really come.
	if in.end == len(in.buf) {
		in.buf = append(in.buf, make([]byte, max(firstBuffer, len(in.buf)))...)
	}
	for range 100 {
		var n int
		err := in.err
		if err == nil {
			n, err = in.r.Read(in.buf[in.end:])
		}
		if n > 0 {
			in.err = err
			if dropped := min(int64(n), in.skip); dropped > 0 {
				in.skip -= dropped // skip is 0 unless the buffer was empty
				in.start, in.end = int(dropped), n
			} else {
				in.end += n
			}
			return nil
		}
		if err == io.EOF && in.skip > 0 {
			return io.ErrUnexpectedEOF
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}
