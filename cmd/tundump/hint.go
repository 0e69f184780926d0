package main

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/tundump/tundump/capture"
	"github.com/tundump/tundump/filter"
)

// hinted returns err with a reason that says what to write instead, if it is about one of the
// mistakes that everybody makes once.
func hinted(err error, names filter.Names) error {
	var e *filter.Error
	if !errors.As(err, &e) {
		return err
	}
	if msg := hint(e, names); msg != "" {
		better := *e
		better.Msg = msg
		return &better
	}
	return err
}

// hint returns what is better than e.Msg, "" if nothing is.
func hint(e *filter.Error, names filter.Names) string {
	start := strings.LastIndexAny(e.Text[:e.Pos], " \t\n(!") + 1
	words := strings.Fields(strings.TrimRight(e.Text[start:], ")"))
	if start != e.Pos || len(words) == 0 {
		return ""
	}
	word, next, before := words[0], "", ""
	if len(words) > 1 {
		next = words[1]
	}
	if all := strings.Fields(e.Text[:e.Pos]); len(all) > 0 {
		before = all[len(all)-1]
	}
	if slices.Contains([]string{"host", "net", "port", "portrange", "src", "dst", "mask", "proto", "gateway"}, before) {
		if p, err := netip.ParsePrefix(word); err == nil && p != p.Masked() {
			return fmt.Sprintf("%s has bits set behind its first %d: write %s", word, p.Bits(), p.Masked())
		}
		if word == "in" && next != "" {
			return fmt.Sprintf("a set has braces, or @ and the name of a file: write %s in { %s }", before, next)
		}
		return ""
	}
	switch _, err := netip.ParseAddr(word); {
	case word == "help":
		return "for help, see tundump --help or man tundump"
	case err == nil:
		return fmt.Sprintf("%s is an address: write host %s", word, word)
	}
	if p, err := netip.ParsePrefix(word); err == nil {
		return fmt.Sprintf("%s is a network: write net %s", word, p.Masked())
	}
	if displayFilter(word, next) {
		return fmt.Sprintf("%s is of Wireshark's display filters: write such as host 10.0.0.1, src net 10.0.0.0/8, tcp port 80", word)
	}
	if isInterface(word) {
		return fmt.Sprintf("%s is an interface: write -i %s", word, word)
	}
	if info, err := os.Stat(word); err == nil && info.Mode().IsRegular() {
		return fmt.Sprintf("%s is a file: write -r %s", word, word)
	}
	for _, protocol := range []string{"tcp", "udp"} {
		if port, err := names.Port(protocol, word); err == nil {
			return fmt.Sprintf("%s is the service of %s port %d: write port %s", word, protocol, port, word)
		}
	}
	return ""
}

// displayFilter reports whether the words look like the start of a condition of Wireshark's.
func displayFilter(word, next string) bool {
	field, rest, _ := strings.Cut(word, "=")
	if rest == "" && !regexp.MustCompile(`^(==|!=|[<>]=?|eq|ne|[gl][te]|contains|matches)`).MatchString(next) {
		return false
	}
	return regexp.MustCompile(`^[a-z][a-z0-9_]*(\.[a-z0-9_]+)+[!<>]?$`).MatchString(field)
}

func isInterface(name string) bool {
	devices, err := capture.Interfaces()
	return err == nil && slices.ContainsFunc(devices, func(d capture.DeviceInfo) bool { return d.Name == name })
}
