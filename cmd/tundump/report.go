package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"

	"github.com/tundump/tundump/filter"
	"github.com/tundump/tundump/filter/stack"
)

// columns is how wide a line about an expression or a stack may be.
const columns = 79

// report writes an error as one line; below an error in an expression or a stack,
// the place.
func report(w io.Writer, err error) {
	var expression *filter.Error
	var layers *stack.Error
	switch {
	case errors.As(err, &expression):
		e := expression
		line, mark := excerpt(e.Text, e.Pos, e.End, columns-2)
		fmt.Fprintf(w, "tundump: expression, column %d: %s\n  %s\n  %s\n", e.Column(), e.Msg, line, mark)
	case errors.As(err, &layers):
		e := layers
		line, mark := excerpt(e.Text, e.Pos, e.End, columns-2)
		fmt.Fprintf(w, "tundump: stack, column %d: %s\n  %s\n  %s\n", e.Column(), e.Msg, line, mark)
	default:
		for what := range strings.Lines(err.Error()) { // several, if joined
			fmt.Fprintf(w, "tundump: %s\n", strings.TrimSpace(what))
		}
	}
}

// excerpt returns an expression on one line, of a long one the part of at most
// width columns around the bytes text[pos:end], and a second line that marks them.
func excerpt(text string, pos, end, width int) (line, mark string) {
	var cells []string // what each column shows
	from, to := 0, 0
	for i, r := range text {
		if i <= pos {
			from = len(cells)
		}
		switch {
		case unicode.IsSpace(r):
			cells = append(cells, " ")
		case !unicode.IsPrint(r) || unicode.Is(unicode.M, r): // would move the cursor, or not move it
			cells = append(cells, "\ufffd")
		case unicode.In(r, unicode.Han, unicode.Hangul, unicode.Hiragana, unicode.Katakana):
			cells = append(cells, string(r), "") // two columns wide
		default:
			cells = append(cells, string(r))
		}
		if i < end {
			to = len(cells)
		}
	}
	if pos >= len(text) { // the expression ends too early
		from = len(cells)
		cells = append(cells, " ")
	}
	to = max(to, from+1)
	if len(cells) > width {
		first := min(max(from-width/2, 0), len(cells)-width)
		last := first + width
		const dots = "..."
		cut := cells[first:last:last]
		if first > 0 {
			copy(cut, strings.Split(dots, ""))
		}
		if last < len(cells) {
			copy(cut[width-len(dots):], strings.Split(dots, ""))
		}
		cells, from, to = cut, from-first, min(to, last)-first
	}
	line = strings.TrimRight(strings.Join(cells, ""), " ")
	return line, strings.Repeat(" ", from) + "^" + strings.Repeat("~", to-from-1)
}
