package decode_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tundump/tundump/capture"
	"github.com/tundump/tundump/decode"
)

// newFile starts a file for packets of eth1, and of tun0 if the format allows it.
func newFile(t *testing.T, w io.Writer, format string) (f decode.File, interfaces []capture.Interface) {
	t.Helper()
	if format == "pcap" {
		f, err := decode.NewPcap(w, 1, 0, true)
		must(t, err)
		return f, []capture.Interface{eth1}
	}
	ng, err := decode.NewPcapng(w, options)
	must(t, err)
	must(t, ng.AddInterface(eth1))
	other := eth1
	other.Nanoseconds = !eth1.Nanoseconds
	must(t, ng.AddInterface(other))
	return ng, []capture.Interface{eth1, other}
}

// countedWrites counts them.
type countedWrites struct {
	bytes.Buffer
	calls atomic.Int64
}

func (w *countedWrites) Write(p []byte) (int, error) {
	w.calls.Add(1)
	return w.Buffer.Write(p)
}

// TestWriters gives the same packets to a file and to writers of another one: the files are the same. Where
// the data of packets need not stay, it does not.
func TestWriters(t *testing.T) {
	handed := 0
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 0))
		format := []string{"pcap", "pcapng"}[seed%2]
		random := make([]byte, 100_000)
		for i := range random {
			random[i] = byte(r.Uint32())
		}
		var want bytes.Buffer
		var got countedWrites
		alone, interfaces := newFile(t, &want, format)
		file, _ := newFile(t, &got, format)
		w := decode.NewWriters(file, 1+r.IntN(4))
		var kept [][]byte
		before := got.calls.Load()
		for range 5000 + r.IntN(5000) {
			n := r.IntN(len(interfaces))
			p := capture.Packet{Time: begin.UnixNano() + r.Int64N(1e12), Interface: n, Direction: capture.Direction(r.IntN(3)), Data: make([]byte, r.IntN(100))}
			if r.IntN(20) == 0 {
				p.Data = make([]byte, r.IntN(70_000))
			}
			if format == "pcapng" && r.IntN(50) == 0 {
				p.Comment = []byte("a comment")
			}
			copy(p.Data, random[r.IntN(30_000):])
			p.Len = len(p.Data) + r.IntN(100)
			must(t, alone.Packet(&p, &interfaces[n]))
			must(t, w.Packet(&p, &interfaces[n]))
			kept = append(kept, p.Data)
			calls := got.calls.Load()
			switch r.IntN(3000) {
			case 0:
				must(t, w.Settle())
			case 1:
				must(t, w.Flush())
				must(t, alone.Flush())
				if !bytes.Equal(want.Bytes(), got.Bytes()) {
					t.Fatalf("seed %d: after Flush %d bytes, want %d", seed, got.Len(), want.Len())
				}
			default:
				continue
			}
			if calls > before {
				handed++
			}
			before = got.calls.Load()
			for _, data := range kept {
				clear(data)
			}
			kept = kept[:0]
		}
		must(t, w.Close())
		must(t, file.Close())
		must(t, alone.Close())
		if !bytes.Equal(want.Bytes(), got.Bytes()) {
			t.Fatalf("seed %d, %s: %d bytes, want %d", seed, format, got.Len(), want.Len())
		}
	}
	if handed < 10 {
		t.Errorf("only %d times something was written meanwhile", handed)
	}
}

// TestWritersError lets the disk be full after a number of bytes: the file ends with a whole record, nothing more is
// written, and one call of Close at most tells of the error if no other has.
func TestWritersError(t *testing.T) {
	for _, format := range []string{"pcap", "pcapng"} {
		for limit := 600; limit < 1_000_000; limit += 7919 {
			out := &limitedFile{limited{left: limit}}
			file, interfaces := newFile(t, out, format)
			w := decode.NewWriters(file, 3)
			data := make([]byte, 250)
			var err error
			taken := 0
			for ; err == nil && taken < 10_000; taken++ {
				err = w.Packet(&capture.Packet{Len: 250, Data: data, Direction: capture.DirectionIn}, &interfaces[0])
			}
			if !errors.Is(err, errFull) || strings.Contains(err.Error(), "\n") {
				t.Fatalf("%s, %d bytes: %v after %d packets", format, limit, err, taken)
			}
			for name, call := range map[string]func() error{
				"Settle": w.Settle, "Flush": w.Flush,
				"Packet": func() error { return w.Packet(&capture.Packet{Data: data}, &interfaces[0]) },
			} {
				if again := call(); again != err {
					t.Errorf("%s, %d bytes: %s: %v", format, limit, name, again)
				}
			}
			calls := out.calls
			must(t, w.Close())
			must(t, file.Close())
			if out.calls != calls {
				t.Errorf("%s, %d bytes: written after the error", format, limit)
			}
			n, err := count(bytes.NewReader(out.Bytes()), format)
			if err != io.EOF && !(format == "pcapng" && n == 0) || limit-out.Len() > 300 {
				t.Errorf("%s, %d bytes: %d packets in %d bytes, then %v", format, limit, n, out.Len(), err)
			}
		}
	}
	file, interfaces := newFile(t, &limited{left: 600}, "pcap")
	w := decode.NewWriters(file, 1)
	for range 10 {
		must(t, w.Packet(&capture.Packet{Data: make([]byte, 100)}, &interfaces[0]))
	}
	if err := w.Close(); !errors.Is(err, errFull) {
		t.Errorf("Close, which nobody had told: %v", err)
	}
}

// TestWritersRefuse: what has no place in the file is refused at once, and harms nothing.
func TestWritersRefuse(t *testing.T) {
	for _, format := range []string{"pcap", "pcapng"} {
		var out bytes.Buffer
		file, interfaces := newFile(t, &out, format)
		w := decode.NewWriters(file, 2)
		must(t, w.Packet(&capture.Packet{Data: udp(50)}, &interfaces[0]))
		other := capture.Interface{Name: "tun0", LinkType: 101}
		if err := w.Packet(&capture.Packet{Interface: 7, Data: udp(50)}, &other); err == nil || !strings.HasPrefix(err.Error(), "writing a packet: ") {
			t.Errorf("%s: %v", format, err)
		}
		must(t, w.Packet(&capture.Packet{Data: udp(50)}, &interfaces[0]))
		must(t, w.Close())
		must(t, file.Close())
		if n, err := count(&out, format); n != 2 || err != io.EOF {
			t.Errorf("%s: %d packets, %v", format, n, err)
		}
	}
}
