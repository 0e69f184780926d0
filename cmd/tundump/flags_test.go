package main

import (
	"os"
	"os/exec"
	"path/filepath"
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

// TestPrintFlags compares what the options of printing do with what tcpdump prints. Each must
// change something.
func TestPrintFlags(t *testing.T) {
	const file = "../../testdata/plain.pcap"
	none := printedBy(t, "tundump", "-r", file)
	for _, options := range []string{
		"-n", "-e", "-q", "-v", "-vv", "-vvv", "-t", "-tt", "-ttt", "-tttt", "-ttttt", "-x", "-xx", "-X", "-XX", "-A", "-AA", "-S", "-#",
		"-K", "-l", "-U", "-u", "--number", "--absolute-tcp-sequence-numbers", "--dont-verify-checksums", "--packet-buffered", "--nano", "--micro",
		"--time-stamp-precision=nano", "-nnvvXSs0", "-qexx#tttt", "-O", "--no-optimize", "-c3", "--print",
	} {
		t.Run(options, func(t *testing.T) {
			want, got := printedBy(t, "tcpdump", "-n", options, "-r", file), printedBy(t, "tundump", options, "-r", file)
			wants, gots := strings.SplitAfter(want, "\n"), strings.SplitAfter(got, "\n")
			if len(wants) != len(gots) {
				t.Errorf("%d lines, want %d", len(gots), len(wants))
			}
			differ := 0
			for i := range min(len(wants), len(gots)) {
				if wants[i] != gots[i] {
					if differ++; differ <= 3 {
						t.Logf("%swant %s", gots[i], wants[i])
					}
				}
			}
			if differ*50 > len(wants) { // decode's tests look closer
				t.Errorf("%d lines of %d differ", differ, len(wants))
			}
			without := []string{"-n", "-l", "-U", "-u", "-K", "--dont-verify-checksums", "--packet-buffered", "--micro", "-O", "--no-optimize", "--print"}
			if same := got == none; same != slices.Contains(without, options) {
				t.Errorf("the same as without: %v", same)
			}
		})
	}
}

// testsOf returns for each option of tcpdump's that we have the test, or the script, of what it does.
func testsOf() map[string]string {
	return map[string]string{
		"interface": "TestLiveVXLAN", "list-interfaces": "usage.txtar", "no-promiscuous-mode": "TestLivePromiscuous",
		"snapshot-length": "TestParseFlags", "buffer-size": "TestBufferSize", "direction": "TestLiveDirection",
		"immediate-mode": "TestImmediateMode", "time-stamp-type": "TestLists", "list-time-stamp-types": "TestLists",
		"linktype": "dump.txtar", "list-data-link-types": "TestLists", "relinquish-privileges": "TestUser",
		"read": "read.txtar", "read-list": "files.txtar", "write": "TestLiveVXLAN", "print": "files.txtar",
		"packet-buffered": "TestKilled", "file-size": "TestRotationOfTcpdump", "file-seconds": "TestRotationByTime",
		"file-count": "TestRotationOfTcpdump", "file-command": "TestFileCommand", "packets": "TestLiveCount", "skip": "files.txtar",
		"link-level": "TestPrintFlags", "verbose": "TestPrintFlags", "quiet": "TestPrintFlags", "time-format": "TestPrintFlags",
		"hex": "TestPrintFlags", "hex-ascii": "TestPrintFlags", "ascii": "TestPrintFlags", "number": "TestPrintFlags",
		"absolute-tcp-sequence-numbers": "TestPrintFlags", "dont-verify-checksums": "TestNoChecksums", "lengths": "TestLengths",
		"time-stamp-precision": "TestPrintFlags", "micro": "files.txtar", "nano": "files.txtar", "numeric": "TestResolve",
		"no-domain": "TestResolver", "line-buffered": "TestLineBuffered", "count": "files.txtar", "expression-file": "files.txtar",
		"undecoded-nfs": "TestPrintFlags", "asdot": "read.txtar", "dump": "dump.txtar", "no-optimize": "TestPrintFlags", "help": "usage.txtar", "version": "usage.txtar",
	}
}

// TestFlagsAreTested checks that the list above is complete, and that the tests are there.
func TestFlagsAreTested(t *testing.T) {
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	var source strings.Builder
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		source.Write(text)
	}
	tests := testsOf()
	for _, f := range flagTable() {
		test := tests[f.name]
		delete(tests, f.name)
		switch {
		case !f.tcpdump || f.refused != "":
		case test == "":
			t.Errorf("--%s has no test", f.name)
		case strings.HasSuffix(test, ".txtar"):
			script, err := os.ReadFile(filepath.Join("testdata", test))
			if err != nil || !strings.Contains(string(script), " --"+f.name) && !strings.Contains(string(script), " "+f.short()) {
				t.Errorf("--%s is not in %s: %v", f.name, test, err)
			}
		case !strings.Contains(source.String(), "func "+test+"("):
			t.Errorf("--%s: there is no %s", f.name, test)
		}
	}
	for name := range tests {
		t.Errorf("--%s is no option", name)
	}
}

// TestLengths: Debian's tcpdump does not have --lengths, nor --skip.
func TestLengths(t *testing.T) {
	got := printedBy(t, "tundump", "-t", "--lengths", "-c1", "-r", "../../testdata/plain.pcap")
	if !strings.HasPrefix(got, "caplen 60, len 60, ARP") {
		t.Errorf("%s", got)
	}
	if got := printedBy(t, "tundump", "-t", "-#", "-c1", "--skip", "2", "-r", "../../testdata/plain.pcap"); !strings.HasPrefix(got, "    1  IP") {
		t.Errorf("%s", got)
	}
}
