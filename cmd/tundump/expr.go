package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/tundump/tundump/filter"
	"github.com/tundump/tundump/filter/header"
	"github.com/tundump/tundump/filter/stack"
)

//go:embed expr.txt
var exprUsage string

// kernelLoads is how many byte accesses are about the 4096 instructions that a kernel
// takes: libpcap makes three to five of each.
const kernelLoads = 900

// exprOptions is what the command line of expr says.
type exprOptions struct {
	Expression string
	Stack      string // --stack, empty if none
	LinkType   header.LinkType
	Depth      int
	Tags       int
	Extensions int
	Tunnels    []string
	OuterOnly  bool
	Ports      header.Ports
	Help       bool
}

// expr prints an expression in plain pcap-filter syntax.
func expr(ctx context.Context, std stdio, args []string) int {
	opt, err := parseExprFlags(args)
	if err != nil {
		report(std.err, err)
		return wrong
	}
	if opt.Help {
		_, err = io.WriteString(std.out, exprUsage)
		return finish(std, err)
	}
	plain := filter.PlainOptions{
		Options: filter.Options{
			LinkType: opt.LinkType, Table: header.New(opt.Ports), Depth: opt.Depth, Names: systemNames{ctx, "/etc"},
		},
		Tags: opt.Tags, Extensions: opt.Extensions, Tunnels: opt.Tunnels, OuterOnly: opt.OuterOnly,
	}
	if opt.Stack != "" {
		if plain.Stack, err = stack.Parse(plain.Table, opt.Stack); err != nil {
			return finish(std, err)
		}
		plain.Depth = max(plain.Stack.Innermost(), 1)
	}
	text, err := filter.Plain(opt.Expression, plain)
	if err != nil {
		report(std.err, err)
		return wrong
	}
	if note := opt.note(plain, text); note != "" {
		fmt.Fprintf(std.err, "tundump: expr: %s\n", note)
	}
	_, err = fmt.Fprintln(std.out, text)
	return finish(std, err)
}

// note says what the text leaves out, and whether it is long.
func (o *exprOptions) note(plain filter.PlainOptions, text string) string {
	if plain.Stack != nil || !filter.UsesTunnels(o.Expression, plain.Options) {
		return ""
	}
	tags, which := "VLAN tag", "all"
	if !slices.Contains(o.Tunnels, "all") {
		which = strings.Join(o.Tunnels, ", ") + " and what the expression names, no others"
	}
	if slices.ContainsFunc(o.Tunnels, func(w string) bool { return slices.Contains([]string{"all", "mpls", "mplsip", "pw", "pppoe"}, w) }) {
		tags = "tag or label"
	}
	note := fmt.Sprintf("tunnels to depth %d: %s; up to %s and %s a level", o.Depth, which,
		count(o.Tags, tags), count(o.Extensions, "extension header"))
	if strings.Count(text, "[") > kernelLoads {
		note += fmt.Sprintf("; %d KiB may be too long for a kernel, then tcpdump filters by itself", len(text)>>10)
	}
	return note
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, strings.Replace(what, " or ", "s or ", 1))
}

// parseExprFlags reads the command line behind "expr".
func parseExprFlags(args []string) (exprOptions, error) {
	o := exprOptions{Ports: header.DefaultPorts(), LinkType: header.LinkEthernet}
	fs := pflag.NewFlagSet("expr", pflag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.StringVar(&o.Stack, "stack", "", "")
	fs.StringSliceVar(&o.Tunnels, "tunnels", filter.PlainTunnels(), "")
	fs.BoolVar(&o.OuterOnly, "outer-only", false, "")
	fs.IntVar(&o.Depth, "depth", 1, "")
	fs.IntVar(&o.Tags, "tags", 1, "")
	fs.IntVar(&o.Extensions, "extensions", 0, "")
	fs.VarP((*linkType)(&o.LinkType), "linktype", "y", "")
	addPortFlags(fs, &o.Ports)
	fs.BoolVarP(&o.Help, "help", "h", false, "")
	if err := fs.Parse(args); err != nil {
		return o, flagError(err)
	}
	o.Expression = strings.Join(fs.Args(), " ")
	bounded := fs.Changed("depth") || fs.Changed("tags") || fs.Changed("extensions") || fs.Changed("tunnels")
	switch {
	case o.Help:
		return o, nil
	case fs.NArg() == 0:
		return o, errors.New("expr: it needs an expression: see tundump expr --help")
	case o.Depth < 1 || o.Depth > header.MaxDepth:
		return o, fmt.Errorf("option --depth: %d is not between 1 and %d levels", o.Depth, header.MaxDepth)
	case o.Tags < 0 || o.Tags > header.MaxTags:
		return o, fmt.Errorf("option --tags: %d is not between 0 and %d", o.Tags, header.MaxTags)
	case o.Extensions < 0 || o.Extensions > header.MaxExtensions:
		return o, fmt.Errorf("option --extensions: %d is not between 0 and %d", o.Extensions, header.MaxExtensions)
	case fs.Changed("stack") && o.Stack == "":
		return o, errors.New("option --stack: the stack is empty")
	case o.Stack != "" && bounded:
		return o, errors.New("option --stack: it says all that may be in a packet, and --depth, --tunnels, --tags and --extensions nothing more")
	case o.Stack != "" && o.OuterOnly:
		return o, errors.New("options --stack and --outer-only: a stack is short with its inside")
	case o.Stack != "" && o.LinkType != header.LinkEthernet:
		return o, errors.New("options --stack and -y: a stack starts with Ethernet")
	}
	return o, nil
}

// linkType is the value of -y.
type linkType header.LinkType

func (l *linkType) String() string { return "" }
func (l *linkType) Type() string   { return "NAME" }

func (l *linkType) Set(text string) error {
	var names []string
	for _, link := range header.Links() {
		name, _ := link.Name()
		if strings.EqualFold(name, text) {
			*l = linkType(link)
			return nil
		}
		names = append(names, name)
	}
	return fmt.Errorf("%q is not one of %s", text, strings.Join(names, ", "))
}
