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
	"testing"
	"testing/iotest"
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

// chunkSteps reads a file in chunks of about so many bytes. What is in two of them is read only when the next one has been, as
// others may do.
func chunkSteps(t testing.TB, r io.Reader, size int) (all []step, chunks int) {
	t.Helper()
	f, err := NewFile(r)
	if err != nil {
		return []step{{err: err.Error()}}, 0
	}
	defer f.Close()
	f.chunk = size
	var c [3]Chunk
	ready := -1
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
	for n := 0; ; n++ {
		err := f.ReadChunk(&c[n%3])
		if ready >= 0 && !finish(&c[ready]) {
			return all, n
		}
		if err != nil {
			if again := f.ReadChunk(&c[n%3]); again != err {
				t.Errorf("the error %v, and then %v", err, again)
			}
			return append(all, step{err: err.Error()}), n
		}
		ready = n % 3
	}
}

// pieces is a reader that returns as many bytes as it likes.
type pieces struct {
	r    io.Reader
	rand *rand.Rand
	most int
}

func (p *pieces) Read(b []byte) (int, error) {
	return p.r.Read(b[:min(len(b), 1+p.rand.IntN(p.most))])
}

// sameInChunks checks that chunks, wherever they end, make no difference.
func sameInChunks(t testing.TB, file []byte) (chunks int) {
	t.Helper()
	want := steps(t, bytes.NewReader(file))
	r := rand.New(rand.NewPCG(uint64(len(file)), 1))
	for name, in := range map[string]io.Reader{
		"whole": bytes.NewReader(file), "with the end": iotest.DataErrReader(bytes.NewReader(file)), "small pieces": &pieces{bytes.NewReader(file), r, 50},
		"pieces": &pieces{bytes.NewReader(file), r, 1 + len(file)/3},
	} {
		got, n := chunkSteps(t, in, 1+r.IntN(3000))
		if chunks += n; !slices.EqualFunc(got, want, step.equal) {
			t.Fatalf("in chunks, %s, the file is not the same: %d steps, %d one by one; the last %+v and %+v", name, len(got), len(want), got[len(got)-1], want[len(want)-1])
		}
	}
	return chunks
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
		got, chunks := chunkSteps(t, bytes.NewReader(file), chunkSize)
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
	f, err := NewFile(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	var c Chunk
	var p Packet
	if err := f.ReadChunk(&c); err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(packets/2, func() {
		err := c.Next(&p)
		if err == io.EOF {
			if err = f.ReadChunk(&c); err == nil {
				err = c.Next(&p)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations for a packet", n)
	}
}
