package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"maps"

	"github.com/tundump/tundump/filter/header"
)

// completed is an option as a shell completes it.
type completed struct {
	letter, name, arg, help string
}

// completions returns the options of tundump, for "", and of its subcommands.
func completions(table []flag) map[string][]completed {
	all := map[string][]completed{}
	for _, f := range table {
		if !f.usable() {
			continue
		}
		all[""] = append(all[""], completed{f.letter, f.name, f.arg, f.help})
		if f.negative != nil {
			all[""] = append(all[""], completed{"", "no-" + f.name, "", "not: " + f.help})
		}
	}
	// The subcommands have no such table: what their help lists.
	option := regexp.MustCompile(`(?:-(\w), )?--([a-z][a-z0-9-]*)(?: ([A-Z]+))?`)
	for name, text := range subcommandUsage() {
		seen := map[string]bool{}
		for line := range strings.Lines(text) {
			if !regexp.MustCompile(`^ +-`).MatchString(line) { // an example
				continue
			}
			for _, m := range option.FindAllStringSubmatch(line, -1) {
				if _, help, ok := strings.Cut(line, m[0]+"  "); !seen[m[2]] {
					if !ok {
						help = ""
					}
					all[name] = append(all[name], completed{m[1], m[2], m[3], strings.TrimSpace(help)})
				}
				seen[m[2]] = true
			}
		}
	}
	return all
}

// choices are the values that a shell offers for an option, or what they are.
func (c *completed) choices() (values []string, kind string) {
	switch {
	case c.name == "interface":
		return nil, "interface"
	case c.name == "netns":
		return nil, "netns"
	case c.arg == "FILE":
		return nil, "file"
	case c.arg == "USER":
		return nil, "user"
	case c.arg == "":
		return nil, ""
	case regexp.MustCompile(`^[a-z]+(\|[a-z]+)+$`).MatchString(c.arg):
		return strings.Split(c.arg, "|"), "words"
	}
	return nil, "other"
}

// expressionWords are the words of an expression that a shell offers.
func expressionWords() []string {
	words := []string{"inner", "outer", "any", "and", "or", "not", "host", "net", "port", "portrange", "src", "dst",
		"tcp", "udp", "sctp", "icmp", "icmp6", "arp", "ip", "ip6", "ether", "vlan", "tunnel"}
	for _, h := range header.New(header.DefaultPorts()).All() {
		if h.Word != "" && !slices.Contains(words, h.Word) {
			words = append(words, h.Word)
		}
	}
	return words
}

// names returns the forms of the options.
func names(options []completed) (all []string) {
	for _, c := range options {
		if c.letter != "" {
			all = append(all, "-"+c.letter)
		}
		all = append(all, "--"+c.name)
	}
	return all
}

const madeBy = "# Made from the table of options: go test ./cmd/tundump -run TestDocs -update-docs\n"

func bashCompletion(table []flag) string {
	var b strings.Builder
	all := completions(table)
	subs := slices.Sorted(maps.Keys(subcommands()))
	b.WriteString("# tundump(1) completion for bash\n" + madeBy + `
_tundump() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} sub= words=
	COMPREPLY=()
	# In --read=FILE the = is a word.
	if [[ $cur == = ]]; then
		cur=
	elif [[ $prev == = ]] && ((COMP_CWORD > 1)); then
		prev=${COMP_WORDS[COMP_CWORD-2]}
	fi
`)
	fmt.Fprintf(&b, "\tif ((COMP_CWORD > 1)); then\n\t\tcase ${COMP_WORDS[1]} in\n\t\t%s) sub=${COMP_WORDS[1]} ;;\n\t\tesac\n\tfi\n", strings.Join(subs, "|"))
	b.WriteString("\tcase $sub:$prev in\n")
	for _, sub := range append([]string{""}, subs...) {
		for _, c := range all[sub] {
			values, kind := c.choices()
			action := ""
			switch kind {
			case "":
				continue
			case "words":
				action = `words="` + strings.Join(values, " ") + `"`
			case "interface":
				action = `words=$(command ls /sys/class/net 2>/dev/null)`
				if sub == "" {
					action = `words="any $(command ls /sys/class/net 2>/dev/null)"`
				}
			case "netns":
				action = `words=$(command ls /run/netns 2>/dev/null)`
			case "file":
				action = `compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$cur")); return`
			case "user":
				action = `COMPREPLY=($(compgen -u -- "$cur")); return`
			default:
				action = "return"
			}
			pattern := sub + ":--" + c.name
			if c.letter != "" {
				pattern = sub + ":-" + c.letter + "|" + pattern
			}
			if strings.Contains(pattern, "#") {
				pattern = strings.ReplaceAll(pattern, "#", `\#`)
			}
			fmt.Fprintf(&b, "\t%s) %s ;;\n", pattern, action)
		}
	}
	b.WriteString("\tesac\n\tif [[ -z $words ]]; then\n\t\tcase $sub:$cur in\n")
	for _, sub := range append([]string{""}, subs...) {
		fmt.Fprintf(&b, "\t\t%s:-*) words='%s' ;;\n", sub, strings.Join(names(all[sub]), " "))
	}
	fmt.Fprintf(&b, "\t\t:*|expr:*)\n\t\t\twords='%s'\n\t\t\t((COMP_CWORD > 1)) || words+=' %s' ;;\n", strings.Join(expressionWords(), " "), strings.Join(subs, " "))
	b.WriteString("\t\tesac\n\tfi\n\tCOMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n}\ncomplete -F _tundump tundump\n")
	return b.String()
}

func zshCompletion(table []flag) string {
	var b strings.Builder
	all := completions(table)
	subs := slices.Sorted(maps.Keys(subcommands()))
	quote := func(s string) string {
		return strings.NewReplacer(`\`, `\\`, `[`, `\[`, `]`, `\]`, `:`, `\:`, `'`, `'\''`).Replace(s)
	}
	b.WriteString("#compdef tundump\n" + madeBy + "\n_tundump() {\n\tlocal -a options words\n")
	fmt.Fprintf(&b, "\twords_of_expressions=(%s)\n", strings.Join(expressionWords(), " "))
	b.WriteString("\tcase $words[2] in\n")
	for _, sub := range append(slices.Clone(subs), "") {
		pattern := sub
		if sub == "" {
			pattern = "*"
		}
		fmt.Fprintf(&b, "\t%s)\n\t\toptions=(\n", pattern)
		for _, c := range all[sub] {
			values, kind := c.choices()
			action := ""
			switch kind {
			case "words":
				action = ":" + quote(c.arg) + ":(" + strings.Join(values, " ") + ")"
			case "interface":
				action = ":interface:_net_interfaces"
			case "netns":
				action = ":" + quote(c.arg) + ":_files -W /run/netns"
			case "file":
				action = ":file:_files"
			case "user":
				action = ":user:_users"
			case "other":
				action = ":" + quote(c.arg) + ": "
			}
			equals, plus := "", ""
			if kind != "" {
				equals, plus = "=", "+"
			}
			if c.letter != "" {
				fmt.Fprintf(&b, "\t\t\t'*-%s%s[%s]%s'\n", c.letter, plus, quote(c.help), action)
			}
			fmt.Fprintf(&b, "\t\t\t'*--%s%s[%s]%s'\n", c.name, equals, quote(c.help), action)
		}
		b.WriteString("\t\t)\n")
		switch sub {
		case "":
			fmt.Fprintf(&b, "\t\t((CURRENT > 2)) || words_of_expressions+=(%s)\n\t\t_arguments -s $options '*:expression:(${words_of_expressions})' ;;\n", strings.Join(subs, " "))
		case "expr":
			b.WriteString("\t\tshift words; ((CURRENT--))\n\t\t_arguments -s $options '*:expression:(${words_of_expressions})' ;;\n")
		default:
			b.WriteString("\t\tshift words; ((CURRENT--))\n\t\t_arguments -s $options '*:stack:()' ;;\n")
		}
	}
	b.WriteString("\tesac\n}\n\n_tundump \"$@\"\n")
	return strings.Replace(b.String(), "local -a options words\n", "local -a options words_of_expressions\n", 1)
}

func fishCompletion(table []flag) string {
	var b strings.Builder
	all := completions(table)
	subs := slices.Sorted(maps.Keys(subcommands()))
	quote := func(s string) string { return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'" }
	b.WriteString("# tundump(1) completion for fish\n" + madeBy + "\ncomplete -c tundump -f\n")
	list := strings.Join(subs, " ")
	for _, sub := range subs {
		first, _, _ := strings.Cut(subcommandUsage()[sub], "\n")
		fmt.Fprintf(&b, "complete -c tundump -n __fish_use_subcommand -a %s -d %s\n", sub, quote(strings.TrimPrefix(first, "tundump "+sub+" ")))
	}
	fmt.Fprintf(&b, "complete -c tundump -n 'not __fish_seen_subcommand_from mtu offset' -a %s\n", quote(strings.Join(expressionWords(), " ")))
	for _, sub := range append([]string{""}, subs...) {
		condition := "__fish_seen_subcommand_from " + sub
		if sub == "" {
			condition = "not __fish_seen_subcommand_from " + list
		}
		for _, c := range all[sub] {
			fmt.Fprintf(&b, "complete -c tundump -n %s", quote(condition))
			if c.letter != "" {
				fmt.Fprintf(&b, " -s %s", quote(c.letter))
			}
			fmt.Fprintf(&b, " -l %s", c.name)
			values, kind := c.choices()
			switch kind {
			case "words":
				fmt.Fprintf(&b, " -x -a %s", quote(strings.Join(values, " ")))
			case "interface":
				b.WriteString(" -x -a '(command ls /sys/class/net)'")
			case "netns":
				b.WriteString(" -x -a '(command ls /run/netns)'")
			case "file":
				b.WriteString(" -r -F")
			case "user":
				b.WriteString(" -x -a '(__fish_complete_users)'")
			case "other":
				b.WriteString(" -x")
			}
			if c.help != "" {
				fmt.Fprintf(&b, " -d %s", quote(c.help))
			}
			b.WriteString("\n")
		}
	}
	return b.String()
}

// TestSubcommandOptions checks that what was read out of the help of the subcommands
// are options of theirs.
func TestSubcommandOptions(t *testing.T) {
	for sub, options := range completions(flagTable()) {
		if len(options) < 4 {
			t.Errorf("%s has only the options %v", sub, options)
		}
		for _, name := range names(options) {
			if sub == "" {
				continue
			}
			out, _ := exec.Command("tundump", sub, name, "x").CombinedOutput()
			if strings.Contains(string(out), "unknown option") {
				t.Errorf("%s has no option %s", sub, name)
			}
		}
	}
}

// completionCases are what somebody types before the tab key, what is then offered, and what is not.
func completionCases(dir string) []struct{ typed, want, not string } {
	return []struct{ typed, want, not string }{
		{"tundump --dec", "--decap", "--depth"},
		{"tundump -r " + dir + "/cap", "capture.pcapng", ""},
		{"tundump --interface l", "lo", ""},
		{"tundump off", "offset", ""},
		{"tundump offset ip/gre --exa", "--exact", ""},
		{"tundump mtu --under", "--underlay", ""},
		{"tundump -e vx", "vxlan", ""},
	}
}

// TestCompletion has the shells complete.
func TestCompletion(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "capture.pcapng"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Abs("../../docs/completion")
	if err != nil {
		t.Fatal(err)
	}
	// bash and zsh complete only what somebody types.
	for _, shell := range []struct {
		command []string
		setUp   string
	}{
		{[]string{"bash", "--norc", "--noprofile", "-i"}, "bind 'set bell-style none'; source " + files + "/tundump.bash"},
		{[]string{"zsh", "-f", "-i"}, "unsetopt beep; fpath=(" + files + " $fpath); autoload -U compinit; compinit -u -D"},
	} {
		for _, c := range completionCases(dir) {
			t.Run(shell.command[0]+" "+filepath.Base(c.typed), func(t *testing.T) {
				term := newTerminal(t, 250)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				cmd := exec.CommandContext(ctx, shell.command[0], shell.command[1:]...)
				cmd.Env = append(os.Environ(), "PS1=ready$ ", "TERM=xterm", "HOME="+dir)
				term.control(cmd)
				term.waitFor(`ready\$ `)
				term.typed(shell.setUp + "; PS1='set$ '\n")
				term.waitFor(`[^']set\$ `)
				term.typed("\x15" + c.typed + "\t#end")
				term.waitFor(`#end`)
				screen := term.String()
				screen = screen[strings.LastIndex(screen, c.typed):]
				if !strings.Contains(screen, strings.TrimPrefix(c.want, filepath.Base(c.typed))) || c.not != "" && strings.Contains(screen, c.not) {
					t.Errorf("%s: %q completes to %q, want %s", shell.command[0], c.typed, screen, c.want)
				}
				cancel()
				_ = cmd.Wait() // killed
			})
		}
	}
	for _, c := range completionCases(dir) {
		out, err := exec.Command("fish", "--no-config", "-c", "source "+files+"/tundump.fish; complete -C "+`"`+c.typed+`"`).CombinedOutput()
		if err != nil || !strings.Contains(string(out), c.want) || c.not != "" && strings.Contains(string(out), c.not) {
			t.Errorf("fish: %q completes to %q, %v, want %s", c.typed, out, err, c.want)
		}
	}
	for _, c := range [][]string{
		{"bash", "-n", files + "/tundump.bash"}, {"zsh", "-n", files + "/_tundump"}, {"fish", "-n", files + "/tundump.fish"},
	} {
		if out, err := exec.Command(c[0], c[1:]...).CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%v: %v\n%s", c, err, out)
		}
	}
}
