package decode

import "strings"

// lines prints a protocol of text lines. If commands is not empty, only what
// begins with one of them, or with a response of three digits, is the start of something:
// all of it is printed with -v, else the first line. In a status line the digits are the second word.
func (t *Text) lines(proto, commands string, o, length int) {
	t.proto = proto
	starts := commands == ""
	if !starts {
		first, rest := t.token(o, length)
		for len(first) > 0 && commands != "" && !starts {
			var command string
			command, commands, _ = strings.Cut(commands, " ")
			starts = isWord(first, command)
		}
		if len(first) > 0 && !starts {
			second, _ := t.token(rest, o+length-rest)
			starts = len(second) == 3 && second[0]-'0' < 10 && second[1]-'0' < 10 && second[2]-'0' < 10
		}
	}
	for _, c := range proto {
		t.char(byte(c) &^ 0x20)
	}
	switch {
	case !starts:
	case t.opt.Verbose == 0:
		t.line(": ", o, o+length)
	default:
		t.s(", length: ")
		t.u(length)
		for end := o + length; o > 0 && o < end && !t.stopped(); {
			o = t.line("\n\t", o, end)
		}
	}
}

// line prints the line at o, and returns the offset of the next. It is 0 if there
// is none, or if this is no text.
func (t *Text) line(before string, o, end int) int {
	at := o
	for ; at < min(end, t.end); at++ {
		next := 0
		switch c := t.data[at]; {
		case c == '\n':
			next = at + 1
		case c == '\r':
			if at+1 >= end {
				return 0
			}
			if !t.need(at, 2) {
				return 0
			}
			if t.data[at+1] != '\n' {
				return 0
			}
			next = at + 2
		case (c < ' ' || c >= 0x7f) && c != '\t':
			return 0
		}
		if next > 0 {
			t.s(before)
			t.verbatim(o, at)
			return next
		}
	}
	if at < end { // the end was not captured
		t.trunc()
		return 0
	}
	t.s(before)
	t.verbatim(o, at)
	t.trunc()
	return 0
}

// verbatim prints text that is known to be printable.
func (t *Text) verbatim(from, to int) {
	if !t.stopped() {
		t.buf = append(t.buf, t.data[from:to]...)
	}
}

// maxToken is more than any command has.
const maxToken = 127

// isWord tells whether the text is the word, which is in upper case, in any case.
func isWord(text []byte, word string) bool {
	if len(text) != len(word) {
		return false
	}
	for i, c := range text {
		if c >= 'a' && c <= 'z' {
			c -= 'a' - 'A'
		}
		if c != word[i] {
			return false
		}
	}
	return true
}

// token returns the word at o, and where the next one starts; it is nil if there is none.
func (t *Text) token(o, length int) ([]byte, int) {
	end, at := min(o+length, t.end), o
	for ; at < end && t.data[at] > ' ' && t.data[at] < 0x7f; at++ {
	}
	switch {
	case at == o || at-o > maxToken || at == t.end && at < o+length:
		return nil, at
	case at < end && t.data[at] != ' ' && (t.data[at] < '\t' || t.data[at] > '\r'):
		return nil, at
	}
	word := t.data[o:at]
	for at < end && t.data[at] == ' ' {
		at++
	}
	return word, at
}
