package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tundump/tundump/capture"
	"github.com/tundump/tundump/decode"
	"github.com/tundump/tundump/filter/header"
)

// errEnoughFiles tells that -W allows no further file.
var errEnoughFiles = errors.New("there are as many files as -W says")

// output is where packets go: to capture files, to a reader, or both.
type output struct {
	s      *session
	source capture.Source
	start  time.Time // of a live capture

	save     *savefile // the current file, nil without -w
	rotation *rotation
	print    decode.Sink // nil if nothing is printed
	eachLine bool        // is shown as soon as it is made
	failed   bool        // nothing more can be written, and somebody was told

	annotate *decode.Annotator // nil without --annotate
	comment  []byte            // its text of a packet
	decap    *decode.Decap     // nil without --decap
}

// open creates the output for the packets of src, which began to capture at start if it is live.
func (s *session) open(src capture.Source, start time.Time) (*output, error) {
	o := &output{s: s, source: src, start: start}
	if s.opt.Annotate {
		o.annotate = decode.NewAnnotator(s.tunnels().table, s.opt.Depth)
	}
	if s.opt.Decap {
		o.decap = decode.NewDecap(s.tunnels().table, s.opt.Depth)
	}
	if s.opt.Write == "" && !s.opt.CountOnly || s.opt.Print {
		o.print = s.printer(src.Interfaces())
		o.eachLine = s.opt.PacketBuffered || s.opt.LineBuffered || s.opt.Immediate
	}
	if s.opt.Write != "" {
		o.rotation = newRotation(&s.opt, time.Now)
		if err := o.create(o.interfaces()); err != nil {
			return nil, err
		}
	}
	if keeper, ok := src.(capture.Keeper); ok && s.opt.Fanout > 1 && o.direct() != nil {
		o.save.startWriters(s.opt.Fanout)
		keeper.Keep(func() error {
			err := o.save.writers.Settle()
			o.failed = o.failed || err != nil
			return err
		})
	}
	return o, nil
}

// interfaces returns those that files have.
func (o *output) interfaces() []capture.Interface {
	if o.decap != nil {
		return o.decap.Interfaces()
	}
	return o.source.Interfaces()
}

// create starts the next file.
func (o *output) create(interfaces []capture.Interface) error {
	path := o.rotation.path()
	to, stdout := o.s.std.out, path == "-"
	if !stdout {
		err := o.s.notRead(path)
		if err == nil {
			to, err = o.s.createFile(path)
		}
		if err != nil {
			return err
		}
	}
	save, err := newSavefile(&o.s.opt, to, path, interfaces)
	if err != nil {
		if !stdout {
			err = errors.Join(err, to.Close())
		}
		return err
	}
	save.stdout = stdout
	o.save = save
	if o.s.opt.PacketBuffered {
		return save.flush()
	}
	return nil
}

// complete ends the current file.
func (o *output) complete() error {
	stats, err := o.source.Stats()
	all := o.source.Interfaces()
	var c []fileStats
	for i := range stats {
		index := i
		if o.decap != nil {
			index = o.decap.Outer(i, &all[i])
		}
		c = append(c, fileStats{stats[i], index})
	}
	save := o.save
	o.save = nil
	err = errors.Join(err, save.describe(&o.s.opt, o.interfaces()), save.close(c, o.start))
	return err
}

// rotate starts a new file if it is time for one.
func (o *output) rotate() error {
	if o.rotation.never() {
		return nil
	}
	next, last := o.rotation.due(o.save.size())
	if !next {
		return nil
	}
	path := o.save.path
	if err := o.complete(); err != nil {
		return err
	}
	if o.s.opt.FileCommand != "" {
		o.s.runFor(path)
	}
	if last {
		return errEnoughFiles
	}
	return o.create(o.interfaces())
}

// printer returns what prints packets of these interfaces.
func (s *session) printer(interfaces []capture.Interface) decode.Sink {
	if s.opt.JSON {
		return decode.NewJSON(s.std.out, decode.JSONOptions{Table: s.tunnels().table, Depth: s.opt.Depth})
	}
	var names decode.Names
	if s.opt.Resolve {
		names = newResolver(s.ctx, "/etc", len(s.inputs) > 0, s.opt.NoDomain)
	}
	return decode.NewText(s.std.out, decode.TextOptions{
		Table: s.tunnels().table, Depth: s.opt.Depth, LinkHeader: s.opt.LinkLevel, Verbose: s.opt.Verbose,
		Quiet: s.opt.Quiet, ShowInterface: len(interfaces) > 1 || s.opt.Decap || s.opt.several(), Bright: s.bright(),
		Time: decode.TimeForm(s.opt.TimeFormat), Nanoseconds: s.opt.Precision == nano,
		Number: s.opt.Number, Lengths: s.opt.Lengths, AbsoluteSeq: s.opt.AbsoluteSeq, ASDot: s.opt.ASDot,
		NoChecksums: s.opt.NoChecksums, Names: names,
		Hex: s.opt.Hex, HexASCII: s.opt.HexASCII, ASCII: s.opt.ASCII,
	})
}

// direct returns the file that packets go to if nothing else is done with them, once one of packet's calls
// has described the interfaces; else nil.
func (o *output) direct() decode.Sink {
	if o.save == nil || !o.rotation.never() || o.print != nil || o.annotate != nil || o.decap != nil || o.s.opt.PacketBuffered {
		return nil
	}
	return o.save.to
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
	err := o.put(p, interfaces)
	o.failed = err != nil && !errors.Is(err, errEnoughFiles)
	return err
}

func (o *output) put(p *capture.Packet, interfaces []capture.Interface) error {
	in := &interfaces[p.Interface]
	if o.save != nil {
		if err := o.rotate(); err != nil {
			return err
		}
		if err := o.save.describe(&o.s.opt, interfaces); err != nil {
			return err
		}
		if err := o.save.to.Packet(p, in); err != nil {
			return err
		}
		if o.s.opt.PacketBuffered {
			if err := o.save.flush(); err != nil {
				return err
			}
		}
	}
	if o.print != nil {
		if err := o.print.Packet(p, in); err != nil {
			return err
		}
		if o.eachLine {
			return o.print.Flush()
		}
	}
	return nil
}

// flush writes what is held back.
func (o *output) flush() error {
	var err error
	if o.save != nil {
		err = o.save.flush()
	}
	if err == nil && o.print != nil {
		err = o.print.Flush()
	}
	o.failed = err != nil
	return err
}

// finish completes the output.
func (o *output) finish() error {
	var err error
	if o.save != nil && o.failed { // the rest of the file has nowhere to go
		_ = o.save.flush() // but what came before a packet that has no place in it
		err = o.save.release()
	} else if o.save != nil {
		err = o.complete()
	}
	if o.print != nil {
		err = errors.Join(err, o.print.Close())
	}
	return err
}

// runFor runs the command of -z for a file that is complete, at the lowest priority as
// tcpdump does, while the capture goes on. Like tcpdump we do not wait for its end.
func (s *session) runFor(path string) {
	s.starting.Add(1)
	go func() {
		// A child has the priority of the thread that makes it. It is for this one child:
		// a goroutine that ends locked takes its thread with it.
		runtime.LockOSThread()
		cmd := exec.Command(s.opt.FileCommand, path)
		cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
		err := unix.Setpriority(unix.PRIO_PROCESS, 0, lowestPriority)
		if err == nil {
			err = cmd.Start()
		}
		failed := func(err error) { report(s.std.err, fmt.Errorf("%s %s: %w", s.opt.FileCommand, path, err)) }
		if err != nil {
			failed(err) // before we end, if that is what we are about to do
		}
		s.starting.Done()
		if err != nil {
			return
		}
		if err := cmd.Wait(); err != nil {
			failed(err)
		}
	}()
}

// lowestPriority is the largest nice value.
const lowestPriority = 19

// system names the operating system, as in uname -sr.
func system() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return runtime.GOOS
	}
	return unix.ByteSliceToString(u.Sysname[:]) + " " + unix.ByteSliceToString(u.Release[:])
}
