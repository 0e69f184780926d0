package main

import (
	"errors"
	"io"
	"io/fs"
	"os"
)

// openSet opens the file of a set, "in @FILE".
func openSet(name string) (io.ReadCloser, error) {
	f, err := os.Open(name)
	var path *fs.PathError
	if errors.As(err, &path) {
		return nil, path.Err // who asked knows the name
	}
	return f, err
}
