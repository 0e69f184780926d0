package main

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/tundump/tundump/filter"
)

func TestExcerpt(t *testing.T) {
	for _, tt := range []struct {
		name       string
		text       string
		pos, end   int
		width      int
		line, mark string
	}{
		{"middle", "inner hots 10.5.5.5", 6, 10, 40,
			"inner hots 10.5.5.5",
			"      ^~~~"},
		{"one character", "tcp & udp", 4, 5, 40,
			"tcp & udp",
			"    ^"},
		{"the end", "host", 4, 4, 40,
			"host",
			"    ^"},
		{"nothing at all", "", 0, 0, 40,
			"",
			"^"},
		{"an empty place", "tcp udp", 4, 4, 40,
			"tcp udp",
			"    ^"},
		{"tab and newline are one column", "tcp\tor\nfoo", 7, 10, 40,
			"tcp or foo",
			"       ^~~"},
		{"several bytes, one column", "hôst größe", 6, 13, 40,
			"hôst größe",
			"     ^~~~~"},
		{"two columns", "名前 foo", 7, 10, 40,
			"名前 foo",
			"     ^~~"},
		{"no control characters", "a\x1b[31mb foo", 8, 11, 40,
			"a\ufffd[31mb foo",
			"        ^~~"},
		{"combining marks", "e\u0301 foo", 4, 7, 40,
			"e\ufffd foo",
			"   ^~~"},
		{"no UTF-8", "\xff\xfe foo", 3, 6, 40,
			"\ufffd\ufffd foo",
			"   ^~~"},
		{"long, at the start", "foo " + strings.Repeat("a", 96), 0, 3, 20,
			"foo aaaaaaaaaaaaa...",
			"^~~"},
		{"long, in the middle", strings.Repeat("a", 50) + " foo " + strings.Repeat("b", 50), 51, 54, 20,
			"...aaaaaa foo bbb...",
			"          ^~~"},
		{"long, at the end", strings.Repeat("a", 50) + " foo", 51, 54, 20,
			"...aaaaaaaaaaaaa foo",
			"                 ^~~"},
		{"long, behind the end", strings.Repeat("a", 50) + " or", 53, 53, 20,
			"...aaaaaaaaaaaaa or",
			"                   ^"},
		{"longer than the line", strings.Repeat("a", 50), 0, 50, 20,
			"aaaaaaaaaaaaaaaaa...",
			"^~~~~~~~~~~~~~~~~~~~"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			line, mark := excerpt(tt.text, tt.pos, tt.end, tt.width)
			if line != tt.line || mark != tt.mark {
				t.Errorf("got\n%q\n%q\nwant\n%q\n%q", line, mark, tt.line, tt.mark)
			}
		})
	}
}

func FuzzExcerpt(f *testing.F) {
	f.Add("inner hots 10.5.5.5", 6, 4)
	f.Add("名前\t\x1b\xff", 3, 30)
	f.Fuzz(func(t *testing.T, text string, pos, n int) {
		if pos < 0 || pos > len(text) || n < 0 || n > len(text)-pos {
			return
		}
		line, mark := excerpt(text, pos, pos+n, 20)
		if strings.ContainsAny(line, "\n\t\r\x1b") || len([]rune(line)) > 20 || len(mark) > 20 || !strings.Contains(mark, "^") {
			t.Errorf("%q %d %d:\n%q\n%q", text, pos, pos+n, line, mark)
		}
	})
}

func TestReport(t *testing.T) {
	var b bytes.Buffer
	report(&b, fmt.Errorf("eth1: %w", errors.Join(errors.New("one"), errors.New("two"))))
	report(&b, fmt.Errorf("eth1: %w", &filter.Error{Text: "tcp tcq", Pos: 4, End: 7, Msg: "no such word"}))
	want := "tundump: eth1: one\ntundump: two\n" +
		"tundump: expression, column 5: no such word\n  tcp tcq\n      ^~~\n"
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
}
