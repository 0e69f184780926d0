package capture

import "io"

// chunkSize is how much is read for one chunk, in bytes: so much that what is done for each no longer
// counts, so little that it stays in the cache of one CPU.
const chunkSize = 256 << 10

// restSize is how much more is read at a time of a packet that goes on behind its chunk.
const restSize = 4 << 10

// pageSize is what chunks are aligned to in the file: the kernel copies whole pages fastest.
const pageSize = 4 << 10

// onDisk is a file of which any part can be read at any time.
type onDisk interface {
	io.ReaderAt
	io.Seeker
}

// Chunk is a part of a file: the packets that start in it. The zero value is empty. A chunk keeps its memory for
// the next use. A file is read in chunks by
//
//	File.NextChunk  says which part it is, in order, one at a time
//	File.ReadChunk  reads it, at any time
//	File.ScanChunk  finds where its packets start and end, in order, one at a time
//	Chunk.Next      returns a packet, at any time
//
// The second and the last step take nearly all of the time, and can be done for all chunks at once.
type Chunk struct {
	parser
	from int64 // in the file
	buf  []byte
	end  int   // what was read is buf[:end]
	err  error // why it was not more

	one  Packet // that goes on behind buf
	only bool   // there is one that Next has not returned
	rest []byte // that has its bytes
	late []Interface
}

// Chunked reports whether chunks can be read: the bytes of the file are there, so that nobody
// waits for a packet until there are enough others.
func (f *File) Chunked() bool { return f.disk != nil }

// NextChunk makes c the next part of the file. File.Next must not be called any more.
func (f *File) NextChunk(c *Chunk) {
	c.from = f.ahead
	f.ahead += int64(f.chunk)
}

// ReadChunk reads the bytes of c. What is wrong with them ScanChunk will say.
func (f *File) ReadChunk(c *Chunk) {
	if len(c.buf) != f.chunk {
		c.buf = make([]byte, f.chunk)
	}
	c.end, c.err = f.disk.ReadAt(c.buf, c.from)
}

// ScanChunk makes the packets of c available to Chunk.Next; there may be none. The errors are those of
// File.Next, and come for the chunk behind the last one that may have packets. But one within a
// chunk may also be returned by Chunk.Next, and then what ScanChunk says of those behind it does not count.
// File.Interfaces is only for who calls ScanChunk.
func (f *File) ScanChunk(c *Chunk) error {
	c.parser = parser{format: f.format.clone(), interfaces: f.interfaces[:len(f.interfaces):len(f.interfaces)], packets: f.packets}
	c.only = false
	if f.err != nil {
		return f.err
	}
	if f.at > c.from+int64(c.end) && c.end < len(c.buf) {
		// A packet reaches beyond what was the end of the file when we read this. It may have grown.
		f.ReadChunk(c)
	}
	start := int(min(f.at-c.from, int64(c.end)))
	f.in = input{buf: c.buf[:c.end], start: start, end: c.end}
	f.err = f.format.scan(&f.parser)
	c.in = input{buf: c.buf[start:f.in.start], end: f.in.start - start}
	f.at += int64(f.in.start - start)
	if f.err == nil && f.at < c.from+int64(len(c.buf)) {
		// The last packet goes on behind the chunk, or is not all there, or is damaged.
		f.err = f.scanRest(c, c.buf[f.in.start:c.end])
	}
	_, _ = f.disk.Seek(f.at, io.SeekStart) // for who wants to know how far we are
	return nil
}

// scanRest reads the packet that starts with rest, the end of the chunk.
func (f *File) scanRest(c *Chunk, rest []byte) error {
	if len(c.rest) < len(rest)+restSize {
		c.rest = make([]byte, 2*(len(rest)+restSize))
	}
	end := c.from + int64(c.end)
	behind := &behind{f: f.disk, at: end, err: c.err}
	f.in = input{r: behind, buf: c.rest, end: copy(c.rest, rest), skip: max(0, f.at-end)}
	err := f.format.next(&f.parser, &c.one)
	if err == nil {
		f.packets++
		c.only, c.late = true, f.interfaces[:len(f.interfaces):len(f.interfaces)]
	}
	f.at = f.in.position(behind.at)
	if c.rest = f.in.buf; len(c.rest) > f.chunk && f.in.end < len(c.rest)/4 { // it was for a packet much longer than others
		c.rest = nil
	}
	return err
}

// behind reads what follows a chunk.
type behind struct {
	f   io.ReaderAt
	at  int64
	err error // that there is nothing
}

func (b *behind) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	n, err := b.f.ReadAt(p[:min(len(p), restSize)], b.at)
	b.at += int64(n)
	return n, err
}

// Interfaces returns the interfaces that had been described where the chunk's last packet is.
func (c *Chunk) Interfaces() []Interface { return c.interfaces }

// Next makes p the next packet, or returns io.EOF at the end of the chunk: what File.Next would have
// done. The packet is valid until the chunk is used again.
func (c *Chunk) Next(p *Packet) error {
	err := c.format.next(&c.parser, p)
	if err == io.EOF && c.only {
		*p, c.only, c.interfaces, err = c.one, false, c.late, nil
	}
	if err != nil {
		return err
	}
	c.packets++
	return nil
}
