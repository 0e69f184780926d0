package main

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// TestFlagsOfTcpdump takes every option that tcpdump's own help lists, and demands that
// it does something here, or is refused with a reason.
func TestFlagsOfTcpdump(t *testing.T) {
	help, err := exec.Command("tcpdump", "--help").CombinedOutput()
	if err != nil {
		t.Fatal(err)
	}
	_, usage, _ := strings.Cut(string(help), "Usage:")
	var letters, long []string
	for _, word := range strings.FieldsFunc(usage, func(r rune) bool { return strings.ContainsRune(" []\n\t", r) }) {
		if name, ok := strings.CutPrefix(word, "--"); ok {
			long = append(long, name)
		} else if bundle, ok := strings.CutPrefix(word, "-"); ok {
			letters = append(letters, strings.Split(bundle, "")...)
		}
	}
	if len(letters) < 40 || len(long) < 8 { // or else the help was not understood
		t.Fatalf("letters %q, names %q", letters, long)
	}
	table := flagTable()
	for _, letter := range letters {
		i := slices.IndexFunc(table, func(f flag) bool { return f.letter == letter })
		if i < 0 || !table[i].tcpdump {
			t.Errorf("-%s is not in the table, or not as tcpdump's", letter)
		}
	}
	for _, name := range long {
		i := slices.IndexFunc(table, func(f flag) bool { return f.name == name })
		if i < 0 || !table[i].tcpdump {
			t.Errorf("--%s is not in the table, or not as tcpdump's", name)
		}
	}
}

// TestFlagTable checks what is made from the table: each option is described, and
// does something or is refused.
func TestFlagTable(t *testing.T) {
	names, letters := map[string]bool{}, map[string]bool{}
	var order []group
	for _, f := range flagTable() {
		if f.name == "" || names[f.name] || f.letter != "" && letters[f.letter] || len(f.letter) > 1 {
			t.Errorf("-%s --%s: the name or the letter is missing, or used twice", f.letter, f.name)
		}
		names[f.name], letters[f.letter] = true, true
		if len(order) == 0 || order[len(order)-1] != f.group {
			order = append(order, f.group)
		}
		switch {
		case f.refused != "":
			arg := "--" + f.name
			if f.letter != "" {
				arg = "-" + f.letter
			}
			if _, err := parseFlags("tundump", []string{arg}); err == nil || err.Error() != "option "+arg+": "+f.refused {
				t.Errorf("%s: error %v", arg, err)
			}
		case f.help == "" || utf8.RuneCountInString(f.help) >= 60:
			t.Errorf("--%s: the help has %d columns", f.name, utf8.RuneCountInString(f.help))
		case f.set == nil && !f.later:
			t.Errorf("--%s does nothing", f.name)
		}
	}
	if !slices.Equal(order, groups()) {
		t.Errorf("groups in the order %q, want %q", order, groups())
	}
}
