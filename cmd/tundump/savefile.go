package main

import (
	"errors"
	"io"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/tundump/tundump/capture"
	"github.com/tundump/tundump/decode"
	"github.com/tundump/tundump/filter/header"
)

// savefile is one capture file that is being written.
type savefile struct {
	sink     decode.File
	to       decode.Sink     // takes packets: the sink, or writers
	writers  *decode.Writers // nil if there are none
	pcapng   *decode.Pcapng  // the sink, if that is what it is
	added    int             // how many interfaces pcapng has
	compress compressor      // nil if the file is not compressed
	file     *counted
	path     string
	stdout   bool // and is not closed
}

type compressor interface {
	io.WriteCloser
	Flush() error
}

// counted is a file that knows how many bytes were written to it.
type counted struct {
	*os.File
	size int64
}

func (c *counted) Write(b []byte) (int, error) {
	n, err := c.File.Write(b)
	c.size += int64(n)
	return n, err
}

// writesPcap reports whether -w writes the old format.
func (o *Options) writesPcap() bool {
	name, _ := compression(o.Write)
	return o.Format == "pcap" || o.Format == "" && strings.HasSuffix(name, ".pcap")
}

// compression splits off the end of a name that asks for a compressor.
func compression(name string) (rest, suffix string) {
	for _, s := range []string{".gz", ".zst"} {
		if rest, ok := strings.CutSuffix(name, s); ok {
			return rest, s
		}
	}
	return name, ""
}

// newSavefile starts a capture file for packets of these interfaces, which may become more.
func newSavefile(o *Options, to *os.File, path string, interfaces []capture.Interface) (*savefile, error) {
	f := &savefile{file: &counted{File: to}, path: path}
	var (
		w   io.Writer = f.file
		err error
	)
	switch _, suffix := compression(o.Write); suffix {
	case ".gz":
		f.compress = gzip.NewWriter(w)
	case ".zst":
		// Without further goroutines, so that what was flushed is in the file.
		f.compress, err = zstd.NewWriter(w, zstd.WithEncoderConcurrency(1))
	}
	if err != nil {
		return nil, err
	}
	if f.compress != nil {
		w = f.compress
	}
	if o.writesPcap() {
		first := capture.Interface{LinkType: uint32(header.LinkEthernet)} // of a file with none
		if len(interfaces) > 0 {
			first = interfaces[0]
		}
		f.sink, err = decode.NewPcap(w, first.LinkType, first.SnapLen, o.nanoseconds(&first))
	} else {
		f.pcapng, err = decode.NewPcapng(w, decode.PcapngOptions{
			Application: version(), OS: system(), Hardware: runtime.GOARCH, Filter: o.Expression,
		})
		f.sink = f.pcapng
	}
	if err != nil {
		return nil, err
	}
	f.to = f.sink
	return f, f.describe(o, interfaces)
}

// startWriters has n goroutines write the file. They keep packets until f.to.Flush, or writers.Settle, returns.
func (f *savefile) startWriters(n int) {
	f.writers = decode.NewWriters(f.sink, n)
	f.to = f.writers
}

// endWriters ends them.
func (f *savefile) endWriters() error {
	if f.writers == nil {
		return nil
	}
	err := f.writers.Close()
	f.writers, f.to = nil, f.sink
	return err
}

// nanoseconds reports whether the times of an interface are written with nanoseconds.
func (o *Options) nanoseconds(in *capture.Interface) bool {
	if o.Precision != "" {
		return o.Precision == nano
	}
	return in.Nanoseconds
}

// describe adds new interfaces to a pcapng file.
func (f *savefile) describe(o *Options, interfaces []capture.Interface) error {
	if f.pcapng == nil || f.added == len(interfaces) {
		return nil
	}
	if f.writers != nil {
		if err := f.writers.Settle(); err != nil {
			return err
		}
	}
	for ; f.added < len(interfaces); f.added++ {
		in := interfaces[f.added]
		in.Nanoseconds = o.nanoseconds(&in)
		if err := f.pcapng.AddInterface(in); err != nil {
			return err
		}
	}
	return nil
}

// size returns how many bytes the file has, or will have when what is held back is written. Of
// a compressed file they are those that the compressor has let go.
func (f *savefile) size() int64 {
	if f.compress != nil {
		return f.file.size
	}
	return f.file.size + int64(f.sink.Buffered())
}

// flush writes what is held back.
func (f *savefile) flush() error {
	err := f.to.Flush()
	if err == nil && f.compress != nil {
		err = f.compress.Flush()
	}
	return err
}

// close completes the file, with counters of its interfaces if there are.
func (f *savefile) close(stats []fileStats, start time.Time) error {
	err := f.endWriters()
	for i := 0; i < len(stats) && f.pcapng != nil && err == nil; i++ {
		err = f.pcapng.Stats(stats[i].index, stats[i].Stats, start, time.Now())
	}
	if closeErr := f.sink.Close(); err == nil {
		err = closeErr
	}
	if f.compress != nil {
		if closeErr := f.compress.Close(); err == nil {
			err = closeErr
		}
	}
	return errors.Join(err, f.release())
}

// release closes the file as it is.
func (f *savefile) release() error {
	err := f.endWriters()
	if f.stdout {
		return err
	}
	return errors.Join(err, f.file.Close())
}

// fileStats are the counters of one interface of a file.
type fileStats struct {
	capture.Stats
	index int
}
