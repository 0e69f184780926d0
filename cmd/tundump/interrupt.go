package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"time"
)

// errInterrupted tells that the user wanted no more before what was waited for came.
var errInterrupted = errors.New("interrupted")

// awaited returns what do returns, or errInterrupted at the end of ctx: do may wait for who is at the other end
// of a pipe, or of a terminal, for ever. It is left alone then, and the program ends.
func awaited[T any](ctx context.Context, do func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		value, err := do()
		done <- result{value, err}
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-ctx.Done():
		var none T
		return none, errInterrupted
	}
}

// setFile is the file of a set. Its errors are without its name, which who asked knows.
type setFile struct {
	file    *os.File
	release func() bool
}

// openSet opens the file of a set, "in @FILE". If it is a pipe, the end of ctx ends what waits for it.
func openSet(ctx context.Context, name string) (*setFile, error) {
	f, err := awaited(ctx, func() (*os.File, error) { return os.Open(name) })
	if err != nil {
		return nil, withoutName(err)
	}
	// What is no pipe has no deadline, and keeps nobody waiting.
	return &setFile{f, context.AfterFunc(ctx, func() { _ = f.SetReadDeadline(time.Unix(1, 0)) })}, nil
}

func (s *setFile) Read(b []byte) (int, error) {
	n, err := s.file.Read(b)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = errInterrupted
	}
	return n, withoutName(err)
}

func (s *setFile) Close() error {
	s.release()
	return s.file.Close()
}

// withoutName returns why something could not be done with a file.
func withoutName(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}
