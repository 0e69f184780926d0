package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// TestStrftime compares with GNU date, which formats with the same function.
func TestStrftime(t *testing.T) {
	var format strings.Builder
	for _, c := range "aAbBcCdDeFgGhHIjklmMnpPrRsStTuUVwWxXyYzZ%" {
		for _, flags := range []string{"", "-", "_", "0", "^", "#", "12", "_5", "05"} {
			switch {
			case strings.ContainsRune("nt%", c) && flags != "": // date has no use for them
			case strings.ContainsRune("cDFrRTxXzs", c) && flags != "" && flags != "^" && flags != "#": // parts of them are padded
			default:
				fmt.Fprintf(&format, "[%%%s%c]", flags, c)
			}
		}
	}
	format.WriteString("[%Ey][%Od][plain]")
	for _, at := range []string{
		"2026-11-25 13:06:09", "2027-01-01 00:00:00", "2024-12-30 12:59:59", "2023-01-01 23:00:01",
		"2020-02-29 01:30:00", "2021-01-03 11:11:11", "2016-12-31 00:59:00",
	} {
		when, err := time.ParseInLocation("2006-01-02 15:04:05", at, time.UTC)
		if err != nil {
			t.Fatal(err)
		}
		date := exec.Command("date", "-u", "-d", at, "+"+format.String())
		date.Env = append(os.Environ(), "LC_ALL=C")
		want, err := date.Output()
		if err != nil {
			t.Fatal(err)
		}
		got := strftime(format.String(), when) + "\n"
		for i, w := range strings.SplitAfter(string(want), "]") {
			if g := strings.SplitAfter(got, "]"); i >= len(g) || g[i] != w {
				t.Errorf("%s, %s: %q, date says %q", at, strings.SplitAfter(format.String(), "]")[i], g[min(i, len(g)-1)], w)
			}
		}
	}
	for _, odd := range []string{"", "%", "100%", "a%!b", "%5", "%-"} {
		if got := strftime(odd, time.Unix(0, 0)); got != odd {
			t.Errorf("%q became %q", odd, got)
		}
	}
	if got := strftime("%99999999999999999999d", time.Unix(0, 0).UTC()); len(got) != maxWidth {
		t.Errorf("a width without end made %d bytes", len(got))
	}
}
