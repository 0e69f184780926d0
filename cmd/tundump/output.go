package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tundump/tundump/capture"
	"github.com/tundump/tundump/decode"
	"github.com/tundump/tundump/filter/header"
)

// output is where packets go: lines of text or a capture file.
type output struct {
	decode.Sink
	pcapng *decode.Pcapng // the Sink, if that is what it is
	added  int            // how many interfaces pcapng has
	file   *os.File       // to be closed, nil if it is the standard output
	failed bool           // nothing more can be written, and somebody was told

	annotate *decode.Annotator // nil without --annotate
	comment  []byte            // its text of a packet
	decap    *decode.Decap     // nil without --decap
}

// open creates the output for the packets of src, which are read from the file
// in, or are live if that is nil.
func (s *session) open(src capture.Source, in *os.File) (*output, error) {
	interfaces := src.Interfaces()
	o := &output{}
	if s.opt.Annotate {
		o.annotate = decode.NewAnnotator(s.table, s.opt.Depth)
	}
	if s.opt.Decap {
		o.decap = decode.NewDecap(s.table, s.opt.Depth)
	}
	if s.opt.Write == "" {
		o.Sink = s.printer(interfaces)
		return o, nil
	}
	to := s.std.out
	if s.opt.Write != "-" {
		if err := sameFile(in, s.opt.Write); err != nil {
			return nil, err
		}
		var err error
		if o.file, err = os.Create(s.opt.Write); err != nil {
			return nil, err
		}
		to = o.file
	}
	var err error
	if s.opt.writesPcap() {
		first := capture.Interface{LinkType: uint32(header.LinkEthernet)} // of a file with none
		if len(interfaces) > 0 {
			first = interfaces[0]
		}
		o.Sink, err = decode.NewPcap(to, first.LinkType, first.SnapLen, first.Nanoseconds)
	} else {
		o.pcapng, err = decode.NewPcapng(to, decode.PcapngOptions{
			Application: version(), OS: system(), Hardware: runtime.GOARCH, Filter: s.opt.Expression,
		})
		o.Sink = o.pcapng
	}
	if err == nil && o.decap == nil {
		err = o.describe(interfaces)
	}
	if err != nil {
		if o.file != nil {
			err = errors.Join(err, o.file.Close())
		}
		return nil, err
	}
	return o, nil
}

// printer returns what prints packets of these interfaces.
func (s *session) printer(interfaces []capture.Interface) decode.Sink {
	if s.opt.JSON {
		return decode.NewJSON(s.std.out, decode.JSONOptions{Table: s.table, Depth: s.opt.Depth})
	}
	return decode.NewText(s.std.out, decode.TextOptions{
		Table: s.table, Depth: s.opt.Depth, LinkHeader: s.opt.LinkLevel, Verbose: s.opt.Verbose,
		Quiet: s.opt.Quiet, ShowInterface: len(interfaces) > 1 || s.opt.Decap, Bright: s.bright(),
	})
}

// sameFile returns an error if name is the file that is being read.
func sameFile(in *os.File, name string) error {
	if in == nil {
		return nil
	}
	a, err := in.Stat()
	if err != nil {
		return err
	}
	b, err := os.Stat(name)
	if err == nil && os.SameFile(a, b) && b.Mode().IsRegular() {
		return fmt.Errorf("%s: it would be overwritten while it is read", name)
	}
	return nil
}

// packet puts out a packet of one of the interfaces, which may have become more.
func (o *output) packet(p *capture.Packet, interfaces []capture.Interface) error {
	if o.annotate != nil {
		o.comment = o.annotate.Append(o.comment[:0], header.LinkType(interfaces[p.Interface].LinkType), p.Data)
		p.Comment = o.comment
	}
	if o.decap != nil {
		inner := o.decap.Packet(p, &interfaces[p.Interface])
		p, interfaces = &inner, o.decap.Interfaces()
	}
	err := o.describe(interfaces)
	if err == nil {
		err = o.Packet(p, &interfaces[p.Interface])
	}
	o.failed = err != nil
	return err
}

// flush writes what is buffered.
func (o *output) flush() error {
	err := o.Flush()
	o.failed = err != nil
	return err
}

// describe adds new interfaces to a pcapng file.
func (o *output) describe(interfaces []capture.Interface) error {
	for ; o.pcapng != nil && o.added < len(interfaces); o.added++ {
		if err := o.pcapng.AddInterface(interfaces[o.added]); err != nil {
			return err
		}
	}
	return nil
}

// finish completes the output, with the counters of a live capture that began at start.
func (o *output) finish(interfaces []capture.Interface, stats []capture.Stats, start time.Time) (err error) {
	if !o.failed {
		index := make([]int, len(interfaces)) // in the output
		for i := range interfaces {
			if index[i] = i; o.decap != nil {
				index[i] = o.decap.Outer(i, &interfaces[i])
			}
		}
		if o.decap != nil {
			interfaces = o.decap.Interfaces()
		}
		err = o.describe(interfaces)
		for i := 0; i < len(stats) && o.pcapng != nil && err == nil; i++ {
			err = o.pcapng.Stats(index[i], stats[i], start, time.Now())
		}
	}
	err = errors.Join(err, o.Close())
	if o.file != nil {
		err = errors.Join(err, o.file.Close())
	}
	return err
}

// system names the operating system, as in uname -sr.
func system() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return runtime.GOOS
	}
	return unix.ByteSliceToString(u.Sysname[:]) + " " + unix.ByteSliceToString(u.Release[:])
}
