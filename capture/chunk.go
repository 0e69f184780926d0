package capture

// chunkSize is how much is read for one chunk: so much that what is done for each no longer counts,
// so little that it stays in the cache of one CPU.
const chunkSize = 512 << 10

// Chunk is a part of a file: whole packets, which can be read while others read other chunks. The zero
// value is empty. A chunk keeps its memory for the next use.
type Chunk struct {
	parser
	buf  []byte // that has all of its bytes
	one  Packet // that is the whole chunk
	only bool   // one is
}

// Chunked reports whether ReadChunk can be used: the bytes of the file are there, so that nobody
// waits for a packet until there are enough others.
func (f *File) Chunked() bool { return f.regular }

// ReadChunk makes c the next packets of the file, as many as are read at a time; there may be none in
// what is read. The errors are those of Next, which must not be called any more. An error within a chunk
// is one of its Next, and what ReadChunk returns after that chunk does not count. Chunks are read one after the
// other; Interfaces is for who reads them, before and after.
func (f *File) ReadChunk(c *Chunk) error {
	if f.err != nil {
		return f.err
	}
	// The rest of the chunk before goes to the start of this one.
	in := &f.in
	rest := in.buf[in.start:in.end]
	if size := len(c.buf); size < max(f.chunk, 2*len(rest)) || size > 4*max(f.chunk, len(rest)) {
		c.buf = make([]byte, max(f.chunk, 2*len(rest)))
	}
	in.start, in.end = 0, copy(c.buf, rest)
	in.buf = c.buf
	_ = in.fill() // an error comes again when next wants more
	c.only = false
	c.parser = parser{format: f.format.clone(), interfaces: f.interfaces[:len(f.interfaces):len(f.interfaces)], packets: f.packets}
	start := in.start
	f.err = f.format.scan(&f.parser)
	c.buf = in.buf
	if in.start > start {
		c.in = input{buf: in.buf[start:in.start], end: in.start - start}
		return nil
	}
	if f.err == nil {
		// There is not even one whole packet: it is longer, or the last one, or damaged.
		if f.err = f.format.next(&f.parser, &c.one); f.err == nil {
			f.packets++
		}
		c.only, c.buf = f.err == nil, in.buf
		c.interfaces = f.interfaces[:len(f.interfaces):len(f.interfaces)]
	}
	return f.err
}

// Interfaces returns the interfaces that had been described where the chunk's last packet is.
func (c *Chunk) Interfaces() []Interface { return c.interfaces }

// Next makes p the next packet, or returns io.EOF at the end of the chunk: what File.Next would have
// done. The packet is valid until the chunk is used again.
func (c *Chunk) Next(p *Packet) error {
	if c.only {
		*p, c.only = c.one, false
		return nil
	}
	if err := c.format.next(&c.parser, p); err != nil {
		return err
	}
	c.packets++
	return nil
}
