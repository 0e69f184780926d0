package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tundump/tundump/capture"
)

const (
	// statusEvery is how often the status line is written anew.
	statusEvery = 500 * time.Millisecond
	// progressAfter is how long a file must take to read until there is a progress bar.
	progressAfter = time.Second
)

// statusLine is a terminal whose last line tells how things go. What else is written
// to it takes the place of that line, which comes again below.
type statusLine struct {
	f     *os.File
	mu    sync.Mutex
	shown bool
}

// onTerminal returns what is written to w, as a statusLine if it is a terminal.
func onTerminal(w io.Writer) io.Writer {
	if f, ok := w.(*os.File); ok && isTerminal(f) {
		return &statusLine{f: f}
	}
	return w
}

const eraseLine = "\r\x1b[K"

// Write writes whole lines.
func (l *statusLine) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.erase()
	return l.f.Write(b)
}

// Fd makes it a terminal to isTerminal.
func (l *statusLine) Fd() uintptr { return l.f.Fd() }

// show replaces the status line; the empty text removes it. Errors do not matter: who
// closes the terminal does not look at it.
func (l *statusLine) show(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.erase()
	if text == "" {
		return
	}
	width := 80
	if size, err := unix.IoctlGetWinsize(int(l.f.Fd()), unix.TIOCGWINSZ); err == nil && size.Col > 0 {
		width = int(size.Col)
	}
	_, _ = io.WriteString(l.f, text[:min(len(text), width-1)]) // in the last column it would wrap
	l.shown = true
}

func (l *statusLine) erase() {
	if l.shown {
		_, _ = io.WriteString(l.f, eraseLine)
	}
	l.shown = false
}

// meter counts what a status line tells. It may be read while it counts.
type meter struct {
	read     atomic.Uint64 // packets of a file
	selected atomic.Uint64 // packets that were put out
	bytes    atomic.Uint64 // of those
}

// watch shows a status line on standard error, if that is a terminal, from after on
// until stop is called. text makes it, from the time since the start. Packets that are
// printed to a terminal leave no room for it.
func (s *session) watch(after time.Duration, text func(elapsed time.Duration) string) (stop func()) {
	line, ok := s.std.err.(*statusLine)
	prints := s.opt.Write == "" && !s.opt.CountOnly || s.opt.Print
	if !ok || prints && isTerminal(s.std.out) {
		return func() {}
	}
	s.meter = &meter{}
	start, quit, gone := time.Now(), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		wait := time.NewTimer(after)
		defer wait.Stop()
		for {
			select {
			case <-quit:
				return
			case <-wait.C:
				line.show(text(time.Since(start)))
				wait.Reset(statusEvery)
			}
		}
	}()
	return sync.OnceFunc(func() {
		close(quit)
		<-gone
		line.show("")
	})
}

// watchLive shows the counters of a live capture that is written to a file.
func (s *session) watchLive(src capture.Source) (stop func()) {
	if s.opt.Write == "" {
		return func() {}
	}
	var last rate
	return s.watch(statusEvery, func(elapsed time.Duration) string {
		n := s.meter.selected.Load()
		text := fmt.Sprintf("%s, %s, %s", packets(n), size(s.meter.bytes.Load()), last.of(n, elapsed, "packets"))
		stats, err := src.Stats()
		if err != nil { // the capture has ended
			return text
		}
		var dropped uint64
		for _, st := range stats {
			dropped += st.Dropped
		}
		return fmt.Sprintf("%s, %d dropped", text, dropped)
	})
}

// watchFile shows how far a file has been read, or of a pipe, or of several files if
// it is nil, how much.
func (s *session) watchFile(file *os.File) (stop func()) {
	var total int64
	if file != nil {
		if info, err := file.Stat(); err == nil && info.Mode().IsRegular() {
			total = info.Size()
		}
	}
	var last rate
	return s.watch(progressAfter, func(elapsed time.Duration) string {
		if total > 0 {
			if at, err := file.Seek(0, io.SeekCurrent); err == nil {
				return progress(at, total, elapsed)
			}
		}
		n := s.meter.read.Load()
		return fmt.Sprintf("%s read, %d selected, %s", packets(n), s.meter.selected.Load(), last.of(n, elapsed, "packets"))
	})
}

// progress is the text for at bytes of total, read since the start.
func progress(at, total int64, elapsed time.Duration) string {
	const columns = 30
	at = min(max(at, 0), total)
	done := int(at * columns / total)
	bar := strings.Repeat("#", done) + strings.Repeat(".", columns-done)
	perSecond := float64(at) / max(elapsed.Seconds(), 1e-3)
	text := fmt.Sprintf("[%s] %d %% of %s, %s/s", bar, at*100/total, size(uint64(total)), size(uint64(perSecond)))
	if at > 0 {
		left := time.Duration(float64(total-at) / perSecond * float64(time.Second))
		text += ", " + left.Round(time.Second).String() + " left"
	}
	return text
}

// rate tells how fast a count grows, between one call and the next.
type rate struct {
	count uint64
	at    time.Duration
}

func (r *rate) of(count uint64, at time.Duration, what string) string {
	perSecond := float64(count-r.count) / max((at-r.at).Seconds(), 1e-3)
	*r = rate{count, at}
	return fmt.Sprintf("%.0f %s/s", perSecond, what)
}

// size writes a number of bytes with at most four digits.
func size(n uint64) string {
	if n < 1000 {
		return fmt.Sprintf("%d bytes", n)
	}
	v := float64(n)
	units := []string{"kB", "MB", "GB", "TB", "PB", "EB"}
	for {
		if v /= 1000; v < 999.95 || len(units) == 1 {
			return fmt.Sprintf("%.1f %s", v, units[0])
		}
		units = units[1:]
	}
}
