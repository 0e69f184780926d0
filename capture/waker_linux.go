package capture

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"

	"golang.org/x/sys/unix"
)

// waker ends a poll(2) that waits for its file: at the end of a context, or when somebody says so. All but
// signal is called by the goroutine that polls.
type waker struct {
	done    <-chan struct{} // of the last watch's context
	release func() bool     // ends its hold on the file

	mu sync.Mutex // for what follows
	fd int        // an eventfd, -1 if it is closed
}

func newWaker() (*waker, error) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	return &waker{fd: fd, release: func() bool { return true }}, nil
}

// watch makes the end of ctx end a poll. Callers use one context for many packets, so
// that this does something but for the first.
func (w *waker) watch(ctx context.Context) {
	done := ctx.Done()
	if done == w.done {
		return
	}
	w.release()
	w.done, w.release = done, context.AfterFunc(ctx, w.signal)
}

// signal ends a poll, or the next one. It may be called from any goroutine, and after close.
func (w *waker) signal() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fd >= 0 {
		var one [8]byte
		binary.NativeEndian.PutUint64(one[:], 1)
		// The only possible error is that the counter is full, and so wakes anyway.
		_, _ = unix.Write(w.fd, one[:])
	}
}

// poll returns what to poll.
func (w *waker) poll() unix.PollFd { return unix.PollFd{Fd: int32(w.fd), Events: unix.POLLIN} }

// reset makes the next poll wait again.
func (w *waker) reset() {
	var count [8]byte
	_, _ = unix.Read(w.fd, count[:]) // it is non-blocking
}

func (w *waker) close() error {
	w.release()
	w.mu.Lock()
	defer w.mu.Unlock()
	fd := w.fd
	w.fd = -1
	return unix.Close(fd)
}
