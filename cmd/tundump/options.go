package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/tundump/tundump/filter/header"
)

// maxSnapLen is the largest snapshot length, and what -s 0 means; it is libpcap's.
const maxSnapLen = 262144

// Options is what the command line says.
type Options struct {
	Interfaces []string // -i; empty means: choose one
	List       bool     // -D
	Read       string   // -r, "-" is the standard input
	Write      string   // -w, "-" is the standard output
	Count      uint64   // -c, 0 is no limit
	SnapLen    uint32   // -s, bytes
	NoPromisc  bool     // -p
	Dump       bool     // -d
	LinkLevel  bool     // -e
	Verbose    int      // -v, how often
	Quiet      bool     // -q
	Depth      int      // --depth
	Ports      header.Ports
	Help       bool
	Version    bool
	Expression string
}

// parseFlags reads the command line without the command's name. It neither
// prints nor exits. Options may stand behind words of the expression, as in Debian's
// tcpdump ("tundump host 10.5.5.5 -e"), unless "--" came before.
func parseFlags(name string, args []string) (Options, error) {
	o := Options{SnapLen: maxSnapLen, Ports: header.DefaultPorts()}
	fs := pflag.NewFlagSet(name, pflag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.StringArrayVarP(&o.Interfaces, "interface", "i", nil, "")
	fs.BoolVarP(&o.List, "list-interfaces", "D", false, "")
	fs.StringVarP(&o.Read, "read", "r", "", "")
	fs.StringVarP(&o.Write, "write", "w", "", "")
	fs.Uint64VarP(&o.Count, "packets", "c", 0, "")
	fs.Uint32VarP(&o.SnapLen, "snapshot-length", "s", maxSnapLen, "")
	fs.BoolVarP(&o.NoPromisc, "no-promiscuous-mode", "p", false, "")
	fs.CountP("numeric", "n", "") // addresses are numbers anyway
	dump := fs.CountP("dump", "d", "")
	fs.BoolVarP(&o.LinkLevel, "link-level", "e", false, "")
	fs.CountVarP(&o.Verbose, "verbose", "v", "")
	fs.BoolVarP(&o.Quiet, "quiet", "q", false, "")
	fs.IntVar(&o.Depth, "depth", header.DefaultDepth, "")
	fs.Var(&portList{ports: &o.Ports.VXLAN}, "vxlan-port", "")
	fs.Var(&portList{ports: &o.Ports.Geneve}, "geneve-port", "")
	fs.BoolVarP(&o.Help, "help", "h", false, "")
	fs.BoolVar(&o.Version, "version", false, "")
	if err := fs.Parse(args); err != nil {
		return o, flagError(err)
	}
	switch {
	case o.Help, o.Version:
		return o, nil
	case fs.Changed("read") && o.Read == "":
		return o, errors.New("option -r: the file name is empty")
	case fs.Changed("write") && o.Write == "":
		return o, errors.New("option -w: the file name is empty")
	case slices.Contains(o.Interfaces, ""):
		return o, errors.New("option -i: the interface name is empty")
	case o.Read != "" && len(o.Interfaces) > 0:
		return o, errors.New("options -i and -r: packets come from interfaces or from a file, not both")
	case fs.Changed("packets") && o.Count == 0:
		return o, errors.New("option -c: 0 is no number of packets, at least 1 is")
	case o.SnapLen > maxSnapLen:
		return o, fmt.Errorf("option -s: %d is more than %d bytes, the largest snapshot length", o.SnapLen, maxSnapLen)
	case o.Depth < 1 || o.Depth > header.MaxDepth:
		return o, fmt.Errorf("option --depth: %d is not between 1 and %d levels", o.Depth, header.MaxDepth)
	case *dump > 1:
		return o, errors.New("option -dd: tundump prints filters only as -d does, not yet as C or as numbers")
	}
	if o.SnapLen == 0 {
		o.SnapLen = maxSnapLen
	}
	o.Dump = *dump > 0
	o.Expression = strings.Join(fs.Args(), " ")
	return o, nil
}

// flagError says in one line what pflag found.
func flagError(err error) error {
	var (
		unknown *pflag.NotExistError
		lacking *pflag.ValueRequiredError
		invalid *pflag.InvalidValueError
	)
	switch {
	case errors.As(err, &unknown) && unknown.GetSpecifiedShortnames() != "":
		letter := unknown.GetSpecifiedName()
		switch {
		case strings.Contains("EImMT", letter):
			return fmt.Errorf("unknown option -%s: what it does in tcpdump has no sense in tundump", letter)
		case strings.Contains("#AabBCFGHJjKLlNOQStUuVWxXyzZ", letter):
			return fmt.Errorf("unknown option -%s: tcpdump has it, tundump does not have it yet", letter)
		}
		return fmt.Errorf("unknown option -%s: see tundump --help", letter)
	case errors.As(err, &unknown):
		return fmt.Errorf("unknown option --%s: see tundump --help", unknown.GetSpecifiedName())
	case errors.As(err, &lacking):
		return fmt.Errorf("option %s: it needs a value", optionName(lacking.GetFlag()))
	case errors.As(err, &invalid):
		why := invalid.Unwrap()
		var number *strconv.NumError
		switch {
		case errors.As(why, &number) && number.Func == "ParseBool":
			why = fmt.Errorf("%q is not true or false", number.Num)
		case errors.As(why, &number):
			why = fmt.Errorf("%q is not a number in its range", number.Num)
		}
		return fmt.Errorf("option %s: %w", optionName(invalid.GetFlag()), why)
	}
	return fmt.Errorf("options: %w", err)
}

// optionName returns the name by which the help lists an option.
func optionName(f *pflag.Flag) string {
	if f.Shorthand != "" {
		return "-" + f.Shorthand
	}
	return "--" + f.Name
}

// portList is the value of --vxlan-port and --geneve-port: UDP ports with commas
// between them. The first one given replaces the default, further ones add to it.
type portList struct {
	ports *[]uint16
	given bool
}

func (l *portList) String() string { return "" }
func (l *portList) Type() string   { return "LIST" }

func (l *portList) Set(list string) error {
	var ports []uint16
	if l.given {
		ports = *l.ports
	}
	for word := range strings.SplitSeq(list, ",") {
		p, err := strconv.ParseUint(word, 10, 16)
		if err != nil || p == 0 {
			return fmt.Errorf("%q is not a UDP port, 1 to 65535", word)
		}
		ports = append(ports, uint16(p))
	}
	*l.ports, l.given = ports, true
	return nil
}
