package capture

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"syscall"
	"testing"
)

// step is what reading a file comes to: a packet, with the interfaces known by then, or the error at
// the end.
type step struct {
	packet     Packet
	interfaces int
	last       Interface
	err        string
}

func stepOf(p Packet, interfaces []Interface) step {
	p.Data = bytes.Clone(p.Data)
	return step{packet: p, interfaces: len(interfaces), last: interfaces[len(interfaces)-1]}
}

func (s step) equal(other step) bool {
	a, b := s.packet, other.packet
	return a.Time == b.Time && a.Interface == b.Interface && a.Len == b.Len && a.Direction == b.Direction && bytes.Equal(a.Data, b.Data) &&
		s.interfaces == other.interfaces && reflect.DeepEqual(s.last, other.last) && s.err == other.err
}

// steps reads a file packet by packet.
func steps(t testing.TB, r io.Reader) (all []step) {
	t.Helper()
	f, err := NewFile(r)
	if err != nil {
		return []step{{err: err.Error()}}
	}
	defer f.Close()
	for {
		p, err := f.Next(t.Context())
		if err != nil {
			return append(all, step{err: err.Error()})
		}
		all = append(all, stepOf(p, f.Interfaces()))
	}
}

// disk is a file on disk, of which the tests have only the bytes.
type disk interface {
	io.Reader
	onDisk
}

// chunkSteps reads a file in chunks of so many bytes, up to three at the same time in any order. What is in one is
// taken only when the next one has been scanned, as others may do.
func chunkSteps(t testing.TB, r *rand.Rand, file disk, size int) (all []step, chunks int) {
	t.Helper()
	f, err := NewFile(file)
	if err != nil {
		return []step{{err: err.Error()}}, 0
	}
	defer f.Close()
	f.onDisk(file)
	f.chunk = size
	var c [4]Chunk
	finish := func(c *Chunk) bool {
		for {
			var p Packet
			err := c.Next(&p)
			if err == io.EOF {
				return true
			}
			if err != nil {
				all = append(all, step{err: err.Error()})
				return false
			}
			all = append(all, stepOf(p, c.Interfaces()))
		}
	}
	read := 0
	for n := 0; ; n++ {
		if n == read {
			more := 1 + r.IntN(3)
			for range more {
				f.NextChunk(&c[read%4])
				read++
			}
			for _, k := range r.Perm(more) {
				f.ReadChunk(&c[(n+k)%4])
			}
		}
		err := f.ScanChunk(&c[n%4])
		if n > 0 && !finish(&c[(n-1)%4]) {
			return all, n
		}
		if err != nil {
			if again := f.ScanChunk(&c[n%4]); again != err {
				t.Errorf("the error %v, and then %v", err, again)
			}
			return append(all, step{err: err.Error()}), n
		}
	}
}

// atEnd is a file that tells with the last byte that it is the last one.
type atEnd struct{ *bytes.Reader }

func (f atEnd) ReadAt(b []byte, at int64) (int, error) {
	n, err := f.Reader.ReadAt(b, at)
	if at+int64(n) == f.Size() {
		err = io.EOF
	}
	return n, err
}

// broken is a file that cannot be read from somewhere on.
type broken struct {
	*bytes.Reader
	from int64
}

func (f broken) ReadAt(b []byte, at int64) (int, error) {
	n, err := f.Reader.ReadAt(b[:max(0, min(int64(len(b)), f.from-at))], at)
	if n < len(b) && err == nil {
		err = syscall.EIO
	}
	return n, err
}

func (f broken) Read(b []byte) (int, error) {
	at, _ := f.Seek(0, io.SeekCurrent)
	n, err := f.ReadAt(b, at)
	_, _ = f.Seek(int64(n), io.SeekCurrent)
	if n > 0 {
		err = nil
	}
	return n, err
}

// growing is a file that grows with each time that it is read.
type growing struct {
	*bytes.Reader
	rand  *rand.Rand
	sizes []int64 // that it has had
}

func (f *growing) ReadAt(b []byte, at int64) (int, error) {
	size := min(f.sizes[len(f.sizes)-1]+int64(f.rand.IntN(500)), f.Size())
	f.sizes = append(f.sizes, size)
	n, err := f.Reader.ReadAt(b[:max(0, min(int64(len(b)), size-at))], at)
	if n < len(b) {
		err = io.EOF
	}
	return n, err
}

// sameInChunks checks that chunks, wherever they end, make no difference.
func sameInChunks(t testing.TB, file []byte) (chunks int) {
	t.Helper()
	r := rand.New(rand.NewPCG(uint64(len(file)), 1))
	want := steps(t, bytes.NewReader(file))
	compare := func(name string, in disk, want []step) {
		t.Helper()
		size := 1 + r.IntN(3000)
		got, n := chunkSteps(t, r, in, size)
		if chunks += n; !slices.EqualFunc(got, want, step.equal) {
			t.Fatalf("%s, in chunks of %d bytes, is not the same: %d steps, %d one by one; the last %+v and %+v", name, size, len(got), len(want), got[len(got)-1], want[len(want)-1])
		}
	}
	compare("the file", bytes.NewReader(file), want)
	compare("the file that tells where its end is", atEnd{bytes.NewReader(file)}, want)
	before := bytes.Repeat([]byte{0xab}, r.IntN(10_000))
	in := bytes.NewReader(append(before, file...))
	_, _ = in.Seek(int64(len(before)), io.SeekStart)
	compare("the file behind others", in, want)
	if at, err := in.Seek(0, io.SeekCurrent); want[len(want)-1].err == io.EOF.Error() && (err != nil || at != in.Size()) {
		t.Errorf("at the end of %d bytes we are at %d: %v", in.Size(), at, err)
	}
	if len(file) > 400 {
		from := int64(400 + r.IntN(len(file)-400))
		compare("the broken file", broken{bytes.NewReader(file), from}, steps(t, broken{bytes.NewReader(file), from}))
	}
	return chunks
}

// TestChunksGrow: a file that somebody else is writing ends where we saw an end, and nowhere else.
func TestChunksGrow(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 8))
	within := 0
	for range 60 {
		content := randomFile(r)
		file := &growing{bytes.NewReader(content), r, []int64{int64(min(len(content), 400+r.IntN(3000)))}}
		got, _ := chunkSteps(t, r, file, 1+r.IntN(2000))
		if !slices.ContainsFunc(file.sizes, func(size int64) bool {
			return slices.EqualFunc(got, steps(t, bytes.NewReader(content[:size])), step.equal)
		}) {
			t.Fatalf("of a growing file we read %d steps, the last %+v, which it has not had at any time", len(got), got[len(got)-1])
		}
		if len(got) > 1 && !slices.EqualFunc(got, steps(t, bytes.NewReader(content)), step.equal) {
			within++
		}
	}
	if within < 20 {
		t.Errorf("%d of 60 files ended before they had grown: the test says little", within)
	}
}

// TestChunksCut cuts files at each byte.
func TestChunksCut(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 9))
	formats := map[bool]int{}
	for len(formats) < 2 {
		file := randomFile(r)
		if len(file) < 1200 || formats[file[0] == 0x0a] > 0 {
			continue
		}
		formats[file[0] == 0x0a]++
		file = file[:1200]
		for n := 24; n <= len(file); n++ {
			want := steps(t, bytes.NewReader(file[:n]))
			if got, _ := chunkSteps(t, r, bytes.NewReader(file[:n]), 1+r.IntN(700)); !slices.EqualFunc(got, want, step.equal) {
				t.Fatalf("cut at %d, in chunks the file is not the same: %d steps, %d one by one; the last %+v and %+v", n, len(got), len(want), got[len(got)-1], want[len(want)-1])
			}
		}
	}
}

// randomFile makes a file of some hundred packets, some large, with all that a format has.
func randomFile(r *rand.Rand) []byte {
	o, other := orders[r.IntN(2)], orders[r.IntN(2)]
	data := make([]byte, 400)
	for n := range data {
		data[n] = byte(r.Uint32())
	}
	if r.IntN(3) == 0 {
		file := pcapHeaderBytes(o, []uint32{magicMicro, magicNano}[r.IntN(2)], 0, 1)
		for range r.IntN(400) {
			file = append(file, pcapRecordBytes(o, r.Uint32(), r.Uint32N(1e9), r.Uint32N(4000), data[:r.IntN(1+r.IntN(len(data)))])...)
		}
		return file
	}
	var file []byte
	for range 1 + r.IntN(3) {
		file = append(file, ngSection(o)...)
		interfaces := 0
		for range r.IntN(200) {
			p := data[:r.IntN(1+r.IntN(len(data)))]
			kind := r.IntN(12)
			if interfaces == 0 {
				kind = 0
			}
			switch kind {
			case 0:
				file = append(file, ngInterface(o, 1, 0, ngOption(o, optionIfName, fmt.Appendf(nil, "if%d", r.IntN(5))), ngOption(o, optionIfTsResol, []byte{byte(r.IntN(12))}))...)
				interfaces++
			case 1:
				file = append(file, ngSimple(o, uint32(len(p)), p)...)
			case 2:
				file = append(file, ngObsolete(o, uint16(r.IntN(interfaces)), 1, r.Uint64()>>10, uint32(len(p)), p, flags(o, r.Uint32N(4)))...)
			case 3:
				file = append(file, ngBlock(o, 0x80000bad, p)...)
			default:
				file = append(file, ngEnhanced(o, uint32(r.IntN(interfaces)), r.Uint64()>>10, uint32(len(p)), p, flags(o, r.Uint32N(4)))...)
			}
		}
		o = other
	}
	return file
}

// TestChunks reads generated files in chunks and packet by packet, also where they are cut and where they
// are damaged.
func TestChunks(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	chunks, damaged, cut := 0, 0, 0
	for range 40 {
		file := randomFile(r)
		chunks += sameInChunks(t, file)
		if len(file) < 100 {
			continue
		}
		chunks += sameInChunks(t, file[:24+r.IntN(len(file)-24)])
		cut++
		file = bytes.Clone(file)
		for range 12 {
			file[24+r.IntN(len(file)-24)] ^= 1 << r.IntN(8)
		}
		chunks += sameInChunks(t, file)
		if all := steps(t, bytes.NewReader(file)); all[len(all)-1].err != io.EOF.Error() {
			damaged++
		}
	}
	if chunks < 1000 || damaged < 10 || cut < 5 {
		t.Errorf("%d chunks, %d files that are damaged, %d that are cut: the test says little", chunks, damaged, cut)
	}
}

// TestChunksLarge has packets that are longer than a chunk, and more than one whole chunk.
func TestChunksLarge(t *testing.T) {
	o := binary.LittleEndian
	for _, ng := range []bool{false, true} {
		file := pcapHeaderBytes(o, magicMicro, 0, 1)
		if ng {
			file = append(ngSection(o), ngInterface(o, 1, 0)...)
		}
		for n := range 2000 {
			data := bytes.Repeat([]byte{byte(n)}, 700)
			if n%500 == 77 {
				data = bytes.Repeat([]byte{byte(n)}, 2*chunkSize+n)
			}
			if ng {
				file = append(file, ngEnhanced(o, 0, uint64(n), uint32(len(data)), data)...)
			} else {
				file = append(file, pcapRecordBytes(o, uint32(n), 0, uint32(len(data)), data)...)
			}
		}
		got, chunks := chunkSteps(t, rand.New(rand.NewPCG(1, 1)), bytes.NewReader(file), chunkSize)
		if want := steps(t, bytes.NewReader(file)); !slices.EqualFunc(got, want, step.equal) || chunks < 5 || chunks > 100 {
			t.Errorf("%d steps in %d chunks, %d one by one", len(got), chunks, len(want))
		}
	}
}

// TestChunked: only what is on disk as it is can be read ahead without waiting.
func TestChunked(t *testing.T) {
	file, _, _ := ngFile(binary.LittleEndian, binary.LittleEndian)
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, file, 0o600); err != nil {
		t.Fatal(err)
	}
	onDisk, err := OpenFile(name)
	if err != nil {
		t.Fatal(err)
	}
	defer onDisk.Close()
	r, w := newPipe(t, false)
	go func() { _, _ = w.Write(file); w.Close() }()
	pipe, err := NewFile(r)
	if err != nil {
		t.Fatal(err)
	}
	defer pipe.Close()
	if !onDisk.Chunked() || pipe.Chunked() {
		t.Errorf("a file is chunked: %v, a pipe: %v", onDisk.Chunked(), pipe.Chunked())
	}
}

func TestChunkAllocs(t *testing.T) {
	o := binary.LittleEndian
	const packets = 20_000
	file := append(pcapHeaderBytes(o, magicMicro, 0, 1), bytes.Repeat(pcapRecordBytes(o, 1, 2, 60, frame), packets)...)
	disk := bytes.NewReader(file)
	f, err := NewFile(disk)
	if err != nil {
		t.Fatal(err)
	}
	f.onDisk(disk)
	f.chunk = 64 << 10
	var c Chunk
	next := func() error {
		f.NextChunk(&c)
		f.ReadChunk(&c)
		return f.ScanChunk(&c)
	}
	if err := next(); err != nil {
		t.Fatal(err)
	}
	var p Packet
	chunks := 0
	if n := testing.AllocsPerRun(packets/2, func() {
		err := c.Next(&p)
		if err == io.EOF {
			chunks++
			if err = next(); err == nil {
				err = c.Next(&p)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}); n != 0 || chunks < 5 {
		t.Errorf("%v allocations for a packet, %d chunks", n, chunks)
	}
}
