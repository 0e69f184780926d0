package main

import (
	"fmt"
	"strconv"
	"time"
)

// rotation names the files of -w one after the other, and says when the next one is due,
// exactly as tcpdump does: it looks only when a packet comes, at the wall clock and not at the
// packet's time, and a file becomes longer than -C says by the last packet.
type rotation struct {
	name    string        // -w
	size    int64         // -C in bytes, 0 if files may be of any
	period  time.Duration // -G, 0 is none; whole seconds
	count   int           // -W, 0 is no limit
	now     func() time.Time
	began   int64 // the period, in seconds since 1970
	periods int   // that are over
	number  int   // of the file within the ring of -C, or within the period
}

func newRotation(o *Options, now func() time.Time) *rotation {
	return &rotation{
		name: o.Write, size: o.FileSize, period: o.FilePeriod, count: o.FileCount,
		now: now, began: now().Unix(),
	}
}

// never reports whether there is only one file.
func (r *rotation) never() bool { return r.period == 0 && r.size == 0 }

// due looks whether there must be a next file, when the current one has size bytes. If there is,
// path is its name already. The files are enough if last.
func (r *rotation) due(size int64) (next, last bool) {
	if r.period > 0 {
		if now := r.now().Unix(); now-r.began >= int64(r.period/time.Second) {
			r.began, r.number = now, 0
			r.periods++
			return true, r.size == 0 && r.count > 0 && r.periods >= r.count
		}
	}
	if r.size > 0 && size > r.size {
		r.number++
		if r.count > 0 && r.number >= r.count {
			r.number = 0
		}
		return true, false
	}
	return false, false
}

// path returns the name of the current file.
func (r *rotation) path() string {
	name := r.name
	if r.period > 0 {
		name = strftime(name, time.Unix(r.began, 0))
	}
	digits := 0 // of the largest number
	if r.size > 0 && r.count > 1 {
		digits = len(strconv.Itoa(r.count - 1))
	}
	if r.number == 0 && digits == 0 {
		return name
	}
	return fmt.Sprintf("%s%0*d", name, digits, r.number)
}
