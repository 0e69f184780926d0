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
	names, err := awaited(s.ctx, s.fileNames)
	if errors.Is(err, errInterrupted) {
		err = fmt.Errorf("option -V: %w", err)
	}
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
	n, err := s.copy(ctx, src, out)
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

// files is a source of the packets of one file after the other that the filter accepts.
type files struct {
	s     *session
	names []string // still to be opened

	name       string // of the current file
	file       *os.File
	src        *capture.File
	judges     judges // of its interfaces
	ahead      *ahead // what reads it, if nobody has to wait for its packets
	index      []int  // of its interfaces in interfaces
	interfaces []capture.Interface

	one    found    // the current packet, where ahead does not have it
	pieces []*piece // memory for ahead
}

// open opens the next file.
func (f *files) open() error {
	name := f.names[0]
	src, file, err := openFile(f.s.ctx, f.s.std.in, name)
	if err != nil {
		return err
	}
	f.names = f.names[1:]
	f.name, f.src, f.file, f.index, f.judges = name, src, file, nil, judges{s: f.s}
	f.describe(src.Interfaces())
	return nil
}

// announce tells of the current file, as tcpdump does.
func (f *files) announce() {
	if all := f.src.Interfaces(); len(all) > 0 {
		fmt.Fprintf(f.s.std.err, "reading from file %s, link-type %s, snapshot length %d\n", f.name, linkName(all[0].LinkType), all[0].SnapLen)
	}
}

// describe takes over the interfaces of the current file, as far as it has been read. One that an earlier
// file had too, as those of a rotation do, is the same.
func (f *files) describe(all []capture.Interface) {
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
		a.Nanoseconds == b.Nanoseconds && a.Speed == b.Speed && slices.Equal(a.MAC, b.MAC)
}

func (f *files) Interfaces() []capture.Interface { return f.interfaces }

func (f *files) Next(ctx context.Context) (capture.Packet, error) {
	for {
		found, err := f.next(ctx)
		if err == io.EOF { // also those that have no packets
			f.describe(f.src.Interfaces())
		}
		switch {
		case err == io.EOF && len(f.names) > 0:
			if err := f.closeFile(); err != nil {
				return capture.Packet{}, err
			}
			if err := f.open(); err != nil {
				return capture.Packet{}, err
			}
			f.announce()
		case err != nil:
			return capture.Packet{}, err
		case f.take(found):
			return found.packet, nil
		}
	}
}

// next returns the next packet of the file that may be wanted.
func (f *files) next(ctx context.Context) (*found, error) {
	if f.src.Chunked() {
		if f.ahead == nil {
			f.ahead = f.startAhead()
		}
		return f.ahead.next(ctx)
	}
	p := &f.one.packet
	for {
		var err error
		if *p, err = f.src.Next(ctx); err == io.EOF {
			return nil, err
		} else if err != nil {
			return nil, fmt.Errorf("%s: %w", f.name, err)
		}
		if f.s.meter != nil {
			f.s.meter.read.Add(1)
		}
		f.one.interfaces = f.src.Interfaces()
		var may bool
		if may, f.one.ask, err = f.judges.judge(p, f.one.interfaces); may || err != nil {
			return &f.one, err
		}
	}
}

// take reports whether a packet is wanted, and makes its interface one of all files.
func (f *files) take(p *found) bool {
	if p.ask != nil && !p.ask.Match(p.packet.Data, &ir.Meta{Len: uint32(p.packet.Len)}, &f.s.filters.memory.file) {
		return false
	}
	if len(p.interfaces) > len(f.index) {
		f.describe(p.interfaces)
	}
	p.packet.Interface = f.index[p.packet.Interface]
	return true
}

// readyAtMost is how many packets come without a look at the context.
const readyAtMost = 64

// Ready calls take with the next packets that were found already, and have no new interface.
func (f *files) Ready(take func(*capture.Packet) error) error {
	if f.ahead == nil {
		return nil
	}
	for range readyAtMost {
		found := f.ahead.ready(len(f.index))
		if found == nil {
			return nil
		}
		if f.take(found) {
			if err := take(&found.packet); err != nil {
				return err
			}
		}
	}
	return nil
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
	if f.ahead != nil {
		f.pieces = f.ahead.close()
		f.ahead = nil
	}
	src, file := f.src, f.file
	f.src = nil
	return errors.Join(src.Close(), file.Close())
}

// openFile opens a file to be read, and reads its start. That may be a pipe whose
// writer takes his time, which only the end of ctx interrupts.
func openFile(ctx context.Context, stdin *os.File, name string) (*capture.File, *os.File, error) {
	type opened struct {
		src  *capture.File
		file *os.File
	}
	o, err := awaited(ctx, func() (o opened, err error) {
		o.file = stdin
		if name != "-" {
			if o.file, err = os.Open(name); err != nil {
				return o, err
			}
		}
		if o.src, err = capture.NewFile(o.file); err != nil {
			o.file.Close()
			err = fmt.Errorf("%s: %w", name, err)
		}
		return o, err
	})
	if errors.Is(err, errInterrupted) {
		err = fmt.Errorf("%s: %w before anything came", name, err)
	}
	if err != nil {
		return nil, nil, err
	}
	return o.src, o.file, nil
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
