package main

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"
)

//go:embed usage.txt
var usage string

// often returns the options that --help explains. They must leave room on the
// screen for the rest.
func often() []string {
	return []string{
		"interface", "list-interfaces", "engine", "read", "write", "file-size", "decap", "packets", "duration",
		"link-level", "verbose", "quiet", "time-format", "hex-ascii", "json", "expression-file", "dump", "depth", "vxlan-port",
	}
}

// helpText returns what --help prints: the options that are used often, and
// the names of all others, from the table of options.
func helpText(table []flag) string {
	const columns = 80
	var b strings.Builder
	var known, ours []string
	for _, name := range often() {
		if i := slices.IndexFunc(table, func(f flag) bool { return f.name == name }); i >= 0 && table[i].usable() {
			f := table[i]
			fmt.Fprintf(&b, "  %-19s %s\n", strings.TrimSpace(f.short()+" "+f.arg), f.help)
		}
	}
	for _, f := range table {
		switch {
		case !f.usable() || slices.Contains(often(), f.name):
		case f.tcpdump:
			known = append(known, f.short())
		default:
			ours = append(ours, f.short())
		}
	}
	for _, list := range [][]string{append([]string{"As in tcpdump:"}, known...), append([]string{"Also:"}, append(ours, "(see man tundump)")...)} {
		line := " "
		for _, word := range list {
			if len(line)+1+len(word) >= columns {
				fmt.Fprintln(&b, line)
				line = " "
			}
			line += " " + word
		}
		fmt.Fprintln(&b, line)
	}
	return strings.Replace(usage, "@OPTIONS@\n", b.String(), 1)
}

// usable reports whether tundump has the option.
func (f *flag) usable() bool { return f.refused == "" && !f.later }

// short returns the shortest form of the option.
func (f *flag) short() string {
	switch {
	case f.letter != "":
		return "-" + f.letter
	case f.negative != nil:
		return "--[no-]" + f.name
	}
	return "--" + f.name
}
