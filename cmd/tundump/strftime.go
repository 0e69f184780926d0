package main

import (
	"strconv"
	"strings"
	"time"
)

// strftime formats a time as glibc's strftime does in the C locale, whose flags
// (%-d, %_d, %0e, %^a, %#Z) and widths (%4d) it knows too. What is no conversion remains as
// it is.
func strftime(format string, t time.Time) string {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(format, "%")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		text, after, ok := conversion(rest, t)
		if !ok {
			b.WriteByte('%')
			format = rest
			continue
		}
		b.WriteString(text)
		format = after
	}
}

// maxWidth bounds the width of a conversion: no file name is longer.
const maxWidth = 4096

// conversion formats what a % stands in front of, and returns what follows it.
func conversion(format string, t time.Time) (text, rest string, ok bool) {
	var (
		pad   byte // ' ' or '0', '-' for none, 0 as is usual
		upper bool
		swap  bool
	)
	i := 0
flags:
	for ; i < len(format); i++ {
		switch c := format[i]; c {
		case '_':
			pad = ' '
		case '-', '0':
			pad = c
		case '^':
			upper = true
		case '#':
			swap = true
		default:
			break flags
		}
	}
	width := 0
	for ; i < len(format) && format[i] >= '0' && format[i] <= '9'; i++ {
		width = min(10*width+int(format[i]-'0'), maxWidth)
	}
	if i < len(format) && (format[i] == 'E' || format[i] == 'O') { // other eras and digits: the C locale has none
		i++
	}
	if i == len(format) {
		return "", "", false
	}
	if n, digits, usual, ok := numeric(format[i], t); ok {
		if pad == 0 {
			pad = usual
		}
		return padded(strconv.Itoa(n), max(width, digits), pad), format[i+1:], true
	}
	text, ok = word(format[i], t)
	switch {
	case !ok:
		return "", "", false
	case swap && (format[i] == 'Z' || format[i] == 'p'):
		text = strings.ToLower(text)
	case (upper || swap && format[i] != 'c') && format[i] != 'P':
		text = strings.ToUpper(text)
	}
	if pad != '0' {
		pad = ' '
	}
	return padded(text, width, pad), format[i+1:], true
}

// padded fills a text in front to a width.
func padded(text string, width int, with byte) string {
	if with == '-' || len(text) >= width {
		return text
	}
	return strings.Repeat(string(with), width-len(text)) + text
}

// numeric returns the number that a conversion stands for, in how many digits it is
// printed, and what fills them.
func numeric(c byte, t time.Time) (n, digits int, pad byte, ok bool) {
	hour12 := (t.Hour()+11)%12 + 1
	isoYear, isoWeek := t.ISOWeek()
	switch c {
	case 'C':
		return t.Year() / 100, 2, '0', true
	case 'd':
		return t.Day(), 2, '0', true
	case 'e':
		return t.Day(), 2, ' ', true
	case 'g':
		return isoYear % 100, 2, '0', true
	case 'G':
		return isoYear, 1, '0', true
	case 'H':
		return t.Hour(), 2, '0', true
	case 'I':
		return hour12, 2, '0', true
	case 'j':
		return t.YearDay(), 3, '0', true
	case 'k':
		return t.Hour(), 2, ' ', true
	case 'l':
		return hour12, 2, ' ', true
	case 'm':
		return int(t.Month()), 2, '0', true
	case 'M':
		return t.Minute(), 2, '0', true
	case 's':
		return int(t.Unix()), 1, '0', true
	case 'S':
		return t.Second(), 2, '0', true
	case 'u':
		return (int(t.Weekday())+6)%7 + 1, 1, '0', true
	case 'U': // weeks from the first Sunday
		return (t.YearDay() + 6 - int(t.Weekday())) / 7, 2, '0', true
	case 'V':
		return isoWeek, 2, '0', true
	case 'w':
		return int(t.Weekday()), 1, '0', true
	case 'W': // weeks from the first Monday
		return (t.YearDay() + 6 - (int(t.Weekday())+6)%7) / 7, 2, '0', true
	case 'y':
		return t.Year() % 100, 2, '0', true
	case 'Y':
		return t.Year(), 1, '0', true
	}
	return 0, 0, 0, false
}

// word returns the text that a conversion stands for.
func word(c byte, t time.Time) (text string, ok bool) {
	switch c {
	case '%':
		return "%", true
	case 'n':
		return "\n", true
	case 't':
		return "\t", true
	case 'a':
		return t.Format("Mon"), true
	case 'A':
		return t.Format("Monday"), true
	case 'b', 'h':
		return t.Format("Jan"), true
	case 'B':
		return t.Format("January"), true
	case 'c':
		return t.Format("Mon Jan _2 15:04:05 2006"), true
	case 'D', 'x':
		return t.Format("01/02/06"), true
	case 'F':
		return t.Format("2006-01-02"), true
	case 'p':
		return t.Format("PM"), true
	case 'P':
		return t.Format("pm"), true
	case 'r':
		return t.Format("03:04:05 PM"), true
	case 'R':
		return t.Format("15:04"), true
	case 'T', 'X':
		return t.Format("15:04:05"), true
	case 'z':
		return t.Format("-0700"), true
	case 'Z':
		name, _ := t.Zone()
		return name, true
	}
	return "", false
}
