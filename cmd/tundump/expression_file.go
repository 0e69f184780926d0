package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
)

// maxExpression bounds the file of -F, in bytes. Some times as much as a command line has room for.
const maxExpression = 1 << 20

// readExpression reads the file of -F. As in tcpdump, # and what follows it in its line
// count as blanks, and so do the ends of lines.
func readExpression(ctx context.Context, name string) (string, error) {
	text, err := awaited(ctx, func() (string, error) {
		f, err := os.Open(name)
		if err != nil {
			return "", err
		}
		defer f.Close()
		text, err := io.ReadAll(io.LimitReader(f, maxExpression+1))
		return string(text), err
	})
	if err != nil {
		return "", fmt.Errorf("option -F: %w", err)
	}
	if len(text) > maxExpression {
		return "", fmt.Errorf("option -F: %s has more than %d bytes: put addresses into a set, host in @FILE", name, maxExpression)
	}
	var b strings.Builder
	for line := range strings.Lines(text) {
		code, comment, found := strings.Cut(line, "#")
		b.WriteString(code)
		if found { // as many, so that a column of an error is one of the file
			b.WriteString(strings.Repeat(" ", 1+len(comment)))
		}
	}
	return b.String(), nil
}
