package main

import (
	"fmt"
	"os"
	"strings"
)

// readExpression reads the file of -F. As in tcpdump, # and what follows it in its line
// count as blanks, and so do the ends of lines.
func readExpression(name string) (string, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return "", fmt.Errorf("option -F: %w", err)
	}
	var b strings.Builder
	for line := range strings.Lines(string(text)) {
		code, comment, found := strings.Cut(line, "#")
		b.WriteString(code)
		if found { // as many, so that a column of an error is one of the file
			b.WriteString(strings.Repeat(" ", 1+len(comment)))
		}
	}
	return b.String(), nil
}
