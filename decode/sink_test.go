package decode_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/tundump/tundump/capture"
	"github.com/tundump/tundump/decode"
)

var errFull = errors.New("full")

// limited takes left bytes and then fails.
type limited struct {
	bytes.Buffer
	left  int
	calls int
	short bool // say nothing of the error, as no writer should
}

func (w *limited) Write(p []byte) (int, error) {
	w.calls++
	if len(p) <= w.left {
		w.left -= len(p)
		return w.Buffer.Write(p)
	}
	n, _ := w.Buffer.Write(p[:w.left])
	w.left = 0
	if w.short {
		return n, nil
	}
	return n, errFull
}

// limitedFile is a limited writer that can be cut, as a file can.
type limitedFile struct{ limited }

func (w *limitedFile) Seek(offset int64, whence int) (int64, error) {
	if whence != io.SeekCurrent {
		return 0, errors.New("unexpected")
	}
	return int64(w.Len()) + offset, nil
}

func (w *limitedFile) Truncate(size int64) error {
	w.Buffer.Truncate(int(size))
	return nil
}

func newSink(w io.Writer, format string) (decode.Sink, error) {
	if format == "pcap" {
		return decode.NewPcap(w, 1, 0, true)
	}
	f, err := decode.NewPcapng(w, options)
	if err != nil {
		return nil, err
	}
	return f, f.AddInterface(eth1)
}

// count returns how many packets a file has, and the error at its end, which
// should be io.EOF.
func count(r io.Reader, format string) (n int, err error) {
	var file interface {
		ZeroCopyReadPacketData() ([]byte, gopacket.CaptureInfo, error)
	}
	if format == "pcap" {
		file, err = pcapgo.NewReader(r)
	} else {
		file, err = pcapgo.NewNgReader(r, pcapgo.NgReaderOptions{})
	}
	if err != nil {
		return 0, err
	}
	for {
		if _, _, err := file.ZeroCopyReadPacketData(); err != nil {
			return n, err
		}
		n++
	}
}

// TestWriteError lets the disk be full after every number of bytes.
func TestWriteError(t *testing.T) {
	p := capture.Packet{Time: begin.UnixNano(), Len: 61, Data: udp(61)}
	for _, format := range []string{"pcap", "pcapng"} {
		for limit := 0; limit < 700; limit++ {
			w := &limitedFile{limited{left: limit}}
			sink, err := newSink(w, format)
			if err != nil {
				if !errors.Is(err, errFull) {
					t.Fatal(err)
				}
				continue
			}
			for range 10 {
				must(t, sink.Packet(&p, &eth1))
			}
			err = sink.Flush()
			if !errors.Is(err, errFull) || strings.Count(err.Error(), "\n") != 0 {
				t.Fatalf("%s, %d bytes: %v", format, limit, err)
			}
			calls := w.calls
			w.left = 1 << 20 // there is room again, but the file ends here
			if again := sink.Packet(&p, &eth1); again != err {
				t.Errorf("%s, %d bytes: next packet: %v", format, limit, again)
			}
			if err := sink.Close(); err != nil {
				t.Errorf("%s, %d bytes: the error is told again: %v", format, limit, err)
			}
			if w.calls != calls {
				t.Errorf("%s, %d bytes: written after the error", format, limit)
			}
			record := 16 + 61
			if format == "pcapng" {
				record = 32 + 64
			}
			length := w.Len()
			n, err := count(w, format)
			if err != io.EOF && !(format == "pcapng" && n == 0) {
				t.Errorf("%s, %d bytes: after %d packets: %v", format, limit, n, err)
			}
			if lost := limit - length; lost < 0 || lost >= record && n > 0 {
				t.Errorf("%s, %d bytes: %d cut", format, limit, lost)
			}
		}
	}
}

// TestShortWrite has a writer that breaks its contract.
func TestShortWrite(t *testing.T) {
	w := &limited{left: 100, short: true}
	sink, err := newSink(w, "pcap")
	must(t, err)
	must(t, sink.Packet(&capture.Packet{Data: udp(100)}, &eth1))
	if err := sink.Close(); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("Close: %v", err)
	}
}

// TestWholeRecords checks that no write ends within a packet.
func TestWholeRecords(t *testing.T) {
	for _, format := range []string{"pcap", "pcapng"} {
		r, w := io.Pipe()
		go func() {
			sink, err := newSink(w, format)
			for i := 0; err == nil && i < 2000; i++ {
				err = sink.Packet(&capture.Packet{Len: 1000, Data: udp(600 + i%300)}, &eth1)
			}
			if err == nil {
				err = sink.Close()
			}
			w.CloseWithError(err)
		}()
		// What has been written after each write is a file of its own.
		var file bytes.Buffer
		part := make([]byte, 1<<20) // larger than any write
		for writes := 0; ; writes++ {
			n, err := r.Read(part)
			if err != nil {
				if err != io.EOF || writes < 4 {
					t.Errorf("%s: after %d writes: %v", format, writes, err)
				}
				break
			}
			file.Write(part[:n])
			if packets, err := count(bytes.NewReader(file.Bytes()), format); err != io.EOF {
				t.Errorf("%s: write %d: %d packets, then %v", format, writes, packets, err)
			}
		}
	}
}
