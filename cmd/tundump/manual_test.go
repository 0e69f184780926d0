package main

import (
	_ "embed"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	goflag "flag"

	"github.com/google/go-cmp/cmp"

	"github.com/tundump/tundump/capture"
)

var updateDocs = goflag.Bool("update-docs", false, "write the manual and the completions anew")

//go:embed manual.txt
var manualText string

// manualDetails is what the manual says of options beyond their line in the table.
func manualDetails() map[string]string {
	return map[string]string{
		"interface":             "Without it, the first interface that is up and no loopback one. NAME may be a number of -D, any, which is every interface that is up, or a pattern such as 'tap*', which also takes interfaces that appear later. One that goes away is reported, and the capture goes on with the rest. Each interface has its own link type in the file, without cooked headers.",
		"netns":                 "NAME is one of ip netns, PATH any file that stands for a namespace, such as /proc/123/ns/net. The interfaces of -i are captured in each, and named NAME/INTERFACE; without -i all that are up are.",
		"immediate-mode":        "It is the default for what is printed to a terminal. Otherwise packets wait for others, up to 100 ms.",
		"no-promiscuous-mode":   "Interfaces are otherwise put into promiscuous mode, in which they take what is addressed to others, too.",
		"snapshot-length":       "0 means the largest, which is the default. A tunnel header that is cut off cannot be looked into.",
		"buffer-size":           "A plain number is in KiB, as in tcpdump. It must take what comes while the program does something else: the default is 64 MiB, 50 ms of 10 Gbit/s. Less is taken where the kernel does not have that much.",
		"fanout":                fmt.Sprintf("Up to %d. Each has a ring of its own, as large as -B says, and the kernel divides the flows among them. Packets come out in the order of time all the same. As many threads encode packets for the file of -w, and take turns in writing it; one thread does all if packets are printed, changed or spread over several files, or with -U. This is for machines whose kernel receives on several processors: with two in all it costs more than it saves.", capture.MaxFanout),
		"engine":                "packet is AF_PACKET sockets, and the default. tcx is eBPF programs where the kernel gives packets to traffic control, from Linux 6.6 on: they cost a packet that does not match about half as much, or less, and one that matches more. It needs CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN besides CAP_NET_RAW, and interfaces that are Ethernet and named. All share one ring. It does not see packets that are sent past the queueing discipline, nor those that XDP drops or redirects, or on their way out a program at tcx in front of it does; what it sees sent may still be dropped by the queueing discipline.",
		"direction":             "As seen by the interface. With -r it is about packets whose direction the file tells.",
		"time-stamp-type":       "See -J for those that an interface has.",
		"relinquish-privileges": "Capabilities are dropped in any case when the sockets are open, in all threads. What remains: CAP_NET_RAW, CAP_BPF and CAP_PERFMON for interfaces that appear later, CAP_BPF and CAP_PERFMON for sets that are read again, CAP_DAC_READ_SEARCH for the files of -V, and CAP_DAC_OVERRIDE while a file of a rotation is created. Files belong to USER, as in tcpdump.",
		"linktype":              "Packets have the link type that their interface or file gives them.",
		"read":                  "Either byte order, micro- and nanoseconds; also compressed with gzip, zstd or lz4.",
		"read-list":             "If FILE is - the list is read from standard input.",
		"write":                 "Each interface is described with its name, link type and MAC address, each packet has its direction. A name that ends in .gz or .zst, also behind .pcap, compresses. A file is complete when the program ends, also by a signal.",
		"packet-buffered":       "Otherwise packets are written when a buffer is full, or when no more come for a tenth of a second.",
		"file-size":             "A file becomes longer by the packet that exceeds the size. Without -W the second and further files have 1, 2, ... behind their names.",
		"file-seconds":          "Without a % in the name of -w, and without -C, each file overwrites the one before. It is looked at when a packet comes.",
		"file-count":            "With -C, the files have a number behind their names, with as many digits as the last one needs.",
		"file-command":          "The command runs beside the capture.",
		"decap":                 "There is an interface for each tunnel. Without -w the innermost packets are printed. See OUTPUT FOR PROGRAMS.",
		"annotate":              "See OUTPUT FOR PROGRAMS.",
		"packets":               "What the filter refuses does not count.",
		"json":                  "See OUTPUT FOR PROGRAMS.",
		"stats":                 "The line that SIGUSR1 asks for.",
		"ascii":                 "Also -AA, with the link-level header.",
		"expression-file":       "There must be none on the command line then.",
		"dump":                  "Of a filter that looks into tunnels, it is the classic BPF form.",
		"depth":                 fmt.Sprintf("At most %d. A packet that has more is treated as one that ends there.", maxDepth),
		"vxlan-port":            "Ports with commas between them. The first list replaces the default, further ones add to it.",
		"geneve-port":           "Likewise.",
		"gtp-port":              "Likewise.",
		"gpe-port":              "Likewise.",
		"undecoded-nfs":         "NFS is printed as what it is in: TCP or UDP.",
		"numeric":               "It is accepted for the sake of habit.",
	}
}

// roff escapes text for a line of its own.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", `\(ga`, "^", `\(ha`, "~", `\(ti`).Replace(text)
	if strings.HasPrefix(text, ".") {
		text = `\&` + text
	}
	return text
}

// manualPage returns man page tundump(1).
func manualPage(table []flag) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line(`.\" Made from the table of options and manual.txt: go test ./cmd/tundump -run TestDocs -update-docs`)
	line(`.TH TUNDUMP 1 2026-11-25 tundump "User Commands"`)
	line(".SH NAME\ntundump \\- tcpdump for overlay networks")
	line(".SH SYNOPSIS\n.B tundump\n.RI [ options ]\n.RI [ expression ]")
	for _, name := range slices.Sorted(maps.Keys(subcommands())) {
		line(".br\n.B tundump %s\n.RI ...", roff(name))
	}
	as := false // whether lines are shown as they are
	shown := func(on bool) {
		if on != as {
			line("%s", map[bool]string{true: ".PP\n.RS 4\n.nf", false: ".fi\n.RE"}[on])
		}
		as = on
	}
	for text := range strings.Lines(manualText) {
		text = strings.TrimRight(text, "\n")
		shown(strings.HasPrefix(text, "  "))
		switch {
		case strings.HasPrefix(text, "#"):
		case strings.HasPrefix(text, "= "):
			line(".SH %s", roff(text[2:]))
		case text == "@OPTIONS@":
			manualOptions(line, table)
		case text == "@SUBCOMMANDS@":
			for _, name := range slices.Sorted(maps.Keys(subcommands())) {
				line(".SS tundump %s", roff(name))
				shown(true)
				for l := range strings.Lines(subcommandUsage()[name]) {
					line("%s", roff(strings.TrimRight(l, "\n")))
				}
				shown(false)
			}
		case as:
			line("%s", roff(strings.TrimPrefix(text, "  ")))
		case text == "":
			line(".PP")
		default:
			line("%s", roff(text))
		}
	}
	shown(false)
	page := b.String()
	// No paragraph in front of what starts one anyway.
	for _, next := range []string{".SH", ".SS", ".PP"} {
		page = strings.ReplaceAll(page, ".PP\n"+next, next)
	}
	page = regexp.MustCompile(`(\n\.S[HS] .*\n)\.PP\n`).ReplaceAllString(page, "$1")
	return strings.TrimSuffix(page, ".PP\n")
}

// manualOptions writes the section about options, group by group.
func manualOptions(line func(string, ...any), table []flag) {
	line(".SH OPTIONS")
	line("Options may stand behind words of the expression, unless \\-\\- came before.")
	details := manualDetails()
	for _, g := range groups() {
		line(".SS %s", g)
		for _, f := range table {
			if f.group != g || !f.usable() {
				continue
			}
			names := []string{}
			if f.letter != "" {
				names = append(names, `\fB`+roff("-"+f.letter)+`\fR`)
			}
			long := "--" + f.name
			if f.negative != nil {
				long = "--[no-]" + f.name
			}
			names = append(names, `\fB`+roff(long)+`\fR`)
			term := strings.Join(names, ", ")
			if f.arg != "" {
				term += ` \fI` + roff(f.arg) + `\fR`
			}
			line(".TP\n%s", term)
			help := f.help
			if f.name == "help" {
				help = "a summary"
			}
			line("%s.", roff(strings.ToUpper(help[:1])+help[1:]))
			if more := details[f.name]; more != "" {
				line("%s", roff(more))
			}
		}
	}
	line(".PP")
	line("These of tcpdump's options are refused:")
	for _, f := range table {
		if f.refused != "" {
			line(".TP\n\\fB%s\\fR\n%s.", roff("-"+f.letter), roff(strings.ToUpper(f.refused[:1])+f.refused[1:]))
		}
	}
}

// subcommandUsage returns what the subcommands print for --help.
func subcommandUsage() map[string]string {
	return map[string]string{"expr": exprUsage, "mtu": mtuUsage, "offset": offsetUsage}
}

// TestDocs checks that the manual and the completions are what is made from the
// table of options.
func TestDocs(t *testing.T) {
	table := flagTable()
	for name, want := range map[string]string{
		"docs/tundump.1":               manualPage(table),
		"docs/completion/tundump.bash": bashCompletion(table),
		"docs/completion/_tundump":     zshCompletion(table),
		"docs/completion/tundump.fish": fishCompletion(table),
	} {
		path := "../../" + name
		if *updateDocs {
			if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(strings.Split(string(got), "\n"), strings.Split(want, "\n")); d != "" {
			t.Errorf("%s is not what the options make it (-is +should be); make docs writes it anew:\n%s", name, d)
		}
	}
	for name := range subcommands() {
		if subcommandUsage()[name] == "" {
			t.Errorf("the manual does not know the subcommand %s", name)
		}
	}
	names := map[string]bool{}
	for _, f := range table {
		names[f.name] = true
	}
	for name := range manualDetails() {
		if !names[name] {
			t.Errorf("the manual has details of --%s, which is no option", name)
		}
	}
	for _, name := range often() {
		if !names[name] {
			t.Errorf("the help has --%s, which is no option", name)
		}
	}
}

// TestManualPage has groff and mandoc look for mistakes in the page, and checks
// what somebody sees who reads it.
func TestManualPage(t *testing.T) {
	const page = "../../docs/tundump.1"
	for _, c := range [][]string{
		{"groff", "-man", "-Tutf8", "-ww", "-z", page},
		{"mandoc", "-T", "lint", "-W", "warning", page},
	} {
		if out, err := exec.Command(c[0], c[1:]...).CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%s: %v\n%s", c[0], err, out)
		}
	}
	out, err := exec.Command("groff", "-man", "-Tascii", "-P-c", "-P-b", "-P-u", "-rLL=100n", page).Output()
	if err != nil {
		t.Fatal(err)
	}
	text := string(out)
	for _, f := range flagTable() {
		if !f.usable() {
			continue
		}
		long := "--" + f.name
		if f.negative != nil {
			long = "--[no-]" + f.name
		}
		if !regexp.MustCompile(`(?m)^ +(-., )?` + regexp.QuoteMeta(strings.TrimSpace(long+" "+f.arg)) + `( |$)`).MatchString(text) {
			t.Errorf("no option %s in the manual", long)
		}
	}
	for _, want := range []string{"EXIT STATUS\n", "    tundump -i eth1 -w out.pcapng inner host 10.5.5.5\n", "    tundump mtu ip/gre,key/ether --underlay 1500\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("the manual has no %q", want)
		}
	}
}

// TestInstall has make install everything below a folder of its own, where bash and
// man find it.
func TestInstall(t *testing.T) {
	dir := t.TempDir()
	program, err := exec.LookPath("tundump") // so that it need not be built
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("make", "-C", "../..", "-o", "build", "install", "DESTDIR="+dir, "PREFIX=/usr", "PROGRAM="+program).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, name := range []string{"bin/tundump", "share/man/man1/tundump.1", "share/bash-completion/completions/tundump",
		"share/zsh/site-functions/_tundump", "share/fish/vendor_completions.d/tundump.fish"} {
		info, err := os.Stat(dir + "/usr/" + name)
		if err != nil || info.Size() == 0 || info.Mode().Perm()&0o111 != 0 != (name == "bin/tundump") {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	if out, err := exec.Command(dir+"/usr/bin/tundump", "--help").Output(); err != nil || string(out) != helpText(flagTable()) {
		t.Errorf("the installed program: %v, %.100q", err, out)
	}
}

// TestHelp checks that the help fits on a screen, also when tundump has all options that
// it is to have, and names all that it has.
func TestHelp(t *testing.T) {
	table := flagTable()
	text := helpText(table)
	for _, f := range table {
		if f.usable() && !regexp.MustCompile(`(^|\s)`+regexp.QuoteMeta(f.short())+`\s`).MatchString(text) {
			t.Errorf("the help does not name %s", f.short())
		}
		if !f.usable() && strings.Contains(text, "--"+f.name) {
			t.Errorf("the help names --%s", f.name)
		}
	}
	all := slices.Clone(table)
	for i := range all {
		all[i].later = false
	}
	lines := strings.Split(helpText(all), "\n")
	if len(lines) > 50 {
		t.Errorf("the help will have %d lines", len(lines))
	}
	for _, l := range lines {
		if len(l) > 80 {
			t.Errorf("%q has %d columns", l, len(l))
		}
	}
}
