package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/tundump/tundump/capture"
	"github.com/tundump/tundump/filter/ir"
)

// read reads capture files.
func (s *session) read() error {
	names, err := s.fileNames()
	if err != nil {
		return err
	}
	s.inputs = names
	src := &files{s: s, names: names}
	defer src.Close()
	if err := src.open(); err != nil {
		return s.orWrong(err)
	}
	for _, in := range src.Interfaces() { // before the output is made
		if _, err := s.filters.matcher(in); err != nil {
			return s.orWrong(fmt.Errorf("%s: %w", src.name, err))
		}
	}
	if len(src.Interfaces()) == 0 {
		if err := s.filters.check(); err != nil {
			return err
		}
	}
	if err := s.becomeOther(false); err != nil {
		return err
	}
	out, err := s.open(src, time.Time{})
	if err != nil {
		return err
	}
	if err := s.dropPrivileges(false, false); err != nil {
		return errors.Join(err, out.finish())
	}
	src.announce()
	progress := src.file
	if len(names) > 1 {
		progress = nil
	}
	defer s.serve(src)()
	stop := s.watchFile(progress)
	ctx, cancel := s.limited()
	defer cancel()
	n, err := s.copy(ctx, &selection{Source: src, matcher: s.filters.matcher, only: s.opt.Direction, fragments: &s.filters.memory.file, meter: s.meter}, out)
	stop()
	err = errors.Join(err, out.finish(), s.reportLate("selected"))
	return errors.Join(err, s.tellCount(n, err))
}

// limited returns a context that ends when the user or --duration wants it.
func (s *session) limited() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(s.ctx)
	if s.opt.Duration > 0 {
		timer := time.AfterFunc(s.opt.Duration, cancel)
		return ctx, func() { timer.Stop(); cancel() }
	}
	return ctx, cancel
}

// waits reports whether the file that is read first may be a pipe, which makes us wait.
func (s *session) waits() bool {
	if s.opt.ReadList != "" || s.opt.Read == "-" {
		return true
	}
	info, err := os.Stat(s.opt.Read)
	return err == nil && !info.Mode().IsRegular()
}

// fileNames returns the files of -r or -V.
func (s *session) fileNames() ([]string, error) {
	if s.opt.ReadList == "" {
		return []string{s.opt.Read}, nil
	}
	list := s.std.in
	if s.opt.ReadList != "-" {
		var err error
		if list, err = os.Open(s.opt.ReadList); err != nil {
			return nil, fmt.Errorf("option -V: %w", err)
		}
		defer list.Close()
	}
	var names []string
	lines := bufio.NewScanner(list)
	for lines.Scan() {
		if name := lines.Text(); name != "" {
			names = append(names, name)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("option -V: reading %s: %w", s.opt.ReadList, err)
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("option -V: %s lists no file", s.opt.ReadList)
	}
	return names, nil
}

// files is a source of the packets of one file after the other.
type files struct {
	s     *session
	names []string // still to be opened

	name       string // of the current file
	file       *os.File
	src        *capture.File
	index      []int // of its interfaces in interfaces
	interfaces []capture.Interface
}

// open opens the next file.
func (f *files) open() error {
	name := f.names[0]
	src, file, err := f.s.openFile(name)
	if err != nil {
		return err
	}
	f.names = f.names[1:]
	f.name, f.src, f.file, f.index = name, src, file, nil
	f.describe()
	return nil
}

// announce tells of the current file, as tcpdump does.
func (f *files) announce() {
	if all := f.src.Interfaces(); len(all) > 0 {
		fmt.Fprintf(f.s.std.err, "reading from file %s, link-type %s, snapshot length %d\n", f.name, linkName(all[0].LinkType), all[0].SnapLen)
	}
}

// describe takes over the interfaces of the current file. One that an earlier
// file had too, as those of a rotation do, is the same.
func (f *files) describe() {
	all := f.src.Interfaces()
	for i := len(f.index); i < len(all); i++ {
		known := slices.IndexFunc(f.interfaces, func(in capture.Interface) bool { return sameInterface(in, all[i]) })
		if known < 0 || slices.Contains(f.index, known) {
			known = len(f.interfaces)
			f.interfaces = append(f.interfaces, all[i])
		}
		f.index = append(f.index, known)
	}
}

func sameInterface(a, b capture.Interface) bool {
	return a.Name == b.Name && a.Description == b.Description && a.LinkType == b.LinkType && a.SnapLen == b.SnapLen &&
		a.Nanoseconds == b.Nanoseconds && a.BigEndian == b.BigEndian && a.Speed == b.Speed && slices.Equal(a.MAC, b.MAC)
}

func (f *files) Interfaces() []capture.Interface { return f.interfaces }

func (f *files) Next(ctx context.Context) (capture.Packet, error) {
	for {
		p, err := f.src.Next(ctx)
		switch {
		case err == io.EOF && len(f.names) > 0:
			if err := f.closeFile(); err != nil {
				return p, err
			}
			if err := f.open(); err != nil {
				return p, err
			}
			f.announce()
			continue
		case err == io.EOF:
			return p, err
		case err != nil:
			return p, fmt.Errorf("%s: %w", f.name, err)
		}
		if p.Interface >= len(f.index) {
			f.describe()
		}
		p.Interface = f.index[p.Interface]
		return p, nil
	}
}

// Stats returns nil: files have no counters.
func (f *files) Stats() ([]capture.Stats, error) { return nil, nil }

// Close closes the current file.
func (f *files) Close() error {
	if f.src == nil {
		return nil
	}
	return f.closeFile()
}

func (f *files) closeFile() error {
	src, file := f.src, f.file
	f.src = nil
	return errors.Join(src.Close(), file.Close())
}

// openFile opens a file to be read, and reads its start. That may be a pipe whose
// writer takes his time, which only the end of the program interrupts.
func (s *session) openFile(name string) (*capture.File, *os.File, error) {
	file := s.std.in
	if name != "-" {
		var err error
		if file, err = os.Open(name); err != nil {
			return nil, nil, err
		}
	}
	type result struct {
		src *capture.File
		err error
	}
	opened := make(chan result, 1)
	go func() {
		src, err := capture.NewFile(file)
		opened <- result{src, err}
	}()
	select {
	case r := <-opened:
		if r.err != nil {
			file.Close()
			return nil, nil, fmt.Errorf("%s: %w", name, r.err)
		}
		return r.src, file, nil
	case <-s.ctx.Done():
		return nil, nil, fmt.Errorf("%s: interrupted before anything came", name)
	}
}

// notRead returns an error if path is one of the files that are read.
func (s *session) notRead(path string) error {
	to, err := os.Stat(path)
	if err != nil || !to.Mode().IsRegular() {
		return nil
	}
	for _, name := range s.inputs {
		from, err := os.Stat(name)
		if name == "-" {
			from, err = s.std.in.Stat()
		}
		if err == nil && os.SameFile(from, to) {
			return fmt.Errorf("%s: it would be overwritten while it is read", path)
		}
	}
	return nil
}

// selection is a source that passes on the packets of another one that a filter
// accepts.
type selection struct {
	capture.Source
	matcher   func(capture.Interface) (*ir.Matcher, error)
	only      capture.Direction // of the packets whose direction is known, DirectionUnknown is both
	fragments *ir.Fragments
	judges    []judge // by interface
	meter     *meter  // nil if nobody looks
}

// judge judges the packets of one interface.
type judge struct {
	made    bool
	matcher *ir.Matcher // nil if all are wanted
	ahead   *ir.Judge
}

func (f *selection) Next(ctx context.Context) (capture.Packet, error) {
	for {
		p, err := f.Source.Next(ctx)
		if err != nil {
			return p, err
		}
		if f.meter != nil {
			f.meter.read.Add(1)
		}
		if f.only != capture.DirectionUnknown && p.Direction != capture.DirectionUnknown && p.Direction != f.only {
			continue
		}
		for len(f.judges) <= p.Interface {
			f.judges = append(f.judges, judge{})
		}
		j := &f.judges[p.Interface]
		if !j.made {
			if j.matcher, err = f.matcher(f.Interfaces()[p.Interface]); err != nil {
				return p, err
			}
			if j.made = true; j.matcher != nil {
				j.ahead = j.matcher.Judge()
			}
		}
		if j.matcher == nil {
			return p, nil
		}
		meta := ir.Meta{Len: uint32(p.Len)}
		match, known := j.ahead.Ahead(p.Data, &meta)
		if !known {
			match = j.matcher.Match(p.Data, &meta, f.fragments)
		}
		if match {
			return p, nil
		}
	}
}
