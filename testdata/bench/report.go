package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// report is what was found.
type report struct {
	tables []table
	goals  []goal
}

type table struct {
	title, note string
	header      []string
	rows        [][]string
}

// goal is a row of the table of what we want.
type goal struct {
	row, measure, want, got string
	met                     bool
}

func (r *report) table(t table) { r.tables = append(r.tables, t) }

func (r *report) goal(row, measure, want string, met bool, format string, args ...any) {
	r.goals = append(r.goals, goal{row, measure, want, fmt.Sprintf(format, args...), met})
}

func (r *report) write(w io.Writer) {
	goals := table{title: "Goals", header: []string{"", "measure", "goal", "value", "met or missed"}}
	slices.SortStableFunc(r.goals, func(a, b goal) int {
		if d := len(a.row) - len(b.row); d != 0 { // P9 before P10
			return d
		}
		return strings.Compare(a.row, b.row)
	})
	for _, g := range r.goals {
		verdict := "**missed**"
		if g.met {
			verdict = "met"
		}
		goals.rows = append(goals.rows, []string{g.row, g.measure, g.want, g.got, verdict})
	}
	for _, t := range append([]table{goals}, r.tables...) {
		fmt.Fprintf(w, "## %s\n\n", t.title)
		if t.note != "" {
			fmt.Fprintf(w, "%s\n\n", t.note)
		}
		fmt.Fprintf(w, "| %s |\n|%s\n", strings.Join(t.header, " | "), strings.Repeat("---|", len(t.header)))
		for _, row := range t.rows {
			fmt.Fprintf(w, "| %s |\n", strings.Join(row, " | "))
		}
		fmt.Fprintln(w)
	}
}

// median returns the middle of some numbers, 0 of none.
func median(numbers []float64) float64 {
	if len(numbers) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(numbers))
	if m := len(s) / 2; len(s)%2 == 1 {
		return s[m]
	} else {
		return (s[m-1] + s[m]) / 2
	}
}

// number prints with as many digits as mean something.
func number(x float64) string {
	switch {
	case x >= 100 || x <= -100:
		return fmt.Sprintf("%.0f", x)
	case x >= 10 || x <= -10:
		return fmt.Sprintf("%.1f", x)
	}
	return fmt.Sprintf("%.2f", x)
}

func percent(part, whole int) string {
	if part == 0 {
		return "0"
	}
	if share := 100 * float64(part) / float64(max(whole, 1)); share < 10 {
		return fmt.Sprintf("%.2g %%", share)
	} else {
		return fmt.Sprintf("%.0f %%", share)
	}
}
