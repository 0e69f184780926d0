package main

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/tundump/tundump/capture"
	"github.com/tundump/tundump/filter"
	"github.com/tundump/tundump/filter/header"
)

// maxSnapLen is the largest snapshot length, and what -s 0 means; it is libpcap's.
const maxSnapLen = 262144

// maxDepth is the largest --depth.
const maxDepth = header.MaxDepth

// Options is what the command line says.
type Options struct {
	Interfaces     []string              // -i; empty means: choose one
	List           bool                  // -D
	SnapLen        uint32                // -s, bytes
	NoPromisc      bool                  // -p
	BufferSize     int                   // -B, bytes; 0 is the default
	Fanout         int                   // --fanout; 0 is 1
	Engine         string                // --engine, "" is packet
	Netns          []string              // --netns
	Direction      capture.Direction     // -Q; DirectionUnknown is both
	TimeStamps     capture.TimeStampType // -j, "" is the host's
	Immediate      bool                  // --immediate-mode
	User           string                // -Z, "" stays who we are
	ListLinkTypes  bool                  // -L
	ListTimeStamps bool                  // -J

	Read     string // -r, "-" is the standard input
	ReadList string // -V, the same

	Write          string        // -w, "-" is the standard output
	Format         string        // --format, "" goes by the file's name
	Print          bool          // --print
	PacketBuffered bool          // -U
	FileSize       int64         // -C, bytes; 0 is any
	FilePeriod     time.Duration // -G, whole seconds; 0 is none
	FileCount      int           // -W, 0 is no limit
	FileCommand    string        // -z
	Decap          bool          // --decap
	Annotate       bool          // --annotate

	Count    uint64        // -c, 0 is no limit
	Skip     uint64        // --skip
	Duration time.Duration // --duration, 0 is no limit

	LinkLevel    bool          // -e
	Verbose      int           // -v, how often
	Quiet        bool          // -q
	TimeFormat   int           // -t, how often
	Hex          int           // -x, how often
	HexASCII     int           // -X, how often
	ASCII        int           // -A, how often
	Number       bool          // -#
	AbsoluteSeq  bool          // -S
	ASDot        bool          // -b
	Lengths      bool          // --lengths
	Resolve      bool          // --resolve
	NoDomain     bool          // -N
	NoChecksums  bool          // -K
	Precision    string        // --time-stamp-precision, "" is what the packets have
	LineBuffered bool          // -l
	StatsEvery   time.Duration // --stats, 0 is never
	CountOnly    bool          // --count
	JSON         bool          // --json

	ExpressionFile string                 // -F
	LinkTypeName   string                 // -y, "" is the interface's own
	Dump           int                    // -d, how often
	NoOptimise     bool                   // -O
	Fragments      filter.FollowFragments // --follow-fragments
	Depth          int                    // --depth
	Ports          header.Ports

	Help       bool
	Version    bool
	Expression string
}

// parseFlags reads the command line without the command's name. It neither
// prints nor exits. Options may stand behind words of the expression, as in Debian's
// tcpdump ("tundump host 10.5.5.5 -e"), unless "--" came before.
func parseFlags(name string, args []string) (Options, error) {
	o := Options{SnapLen: maxSnapLen, Fragments: filter.FollowTunnels, Depth: header.DefaultDepth, Ports: header.DefaultPorts()}
	fs := flagSet(name, &o)
	fs.SetOutput(io.Discard)
	if err := fs.Parse(args); err != nil {
		return o, flagError(err)
	}
	if o.Help || o.Version {
		return o, nil
	}
	o.Expression = strings.Join(fs.Args(), " ")
	return o, o.check()
}

// rotates reports whether there are several files.
func (o *Options) rotates() bool { return o.FileSize > 0 || o.FilePeriod > 0 }

// check returns what makes no sense together.
func (o *Options) check() error {
	rotates := o.rotates()
	switch {
	case o.Read != "" && len(o.Interfaces) > 0:
		return errors.New("options -i and -r: packets come from interfaces or from a file, not both")
	case (o.Read != "" || o.ReadList != "") && len(o.Netns) > 0:
		return errors.New("option --netns: a network namespace has interfaces, and packets come from a file")
	case o.Engine == engineTCX && (o.Read != "" || o.ReadList != ""):
		return errors.New("option --engine: it is about interfaces, and packets come from a file")
	case o.Engine == engineTCX && o.several():
		return errors.New("option --engine tcx: it captures from interfaces that are named: no patterns, and with --netns -i")
	case o.Engine == engineTCX && (o.Fanout > 1 || o.TimeStamps != "" && o.TimeStamps != capture.TimeStampHost):
		return errors.New("option --engine tcx: it has no --fanout, and no clock but the host's")
	case o.ReadList != "" && (o.Read != "" || len(o.Interfaces) > 0):
		return errors.New("option -V: packets come from the files that it lists, and not also from -r or -i")
	case o.Write == "" && (rotates || o.FileCount > 0 || o.FileCommand != ""):
		return errors.New("options -C, -G, -W and -z: they are about the files of -w, which is not given")
	case o.Write == "-" && rotates:
		return errors.New("options -C and -G: the standard output is one file")
	case !rotates && (o.FileCount > 0 || o.FileCommand != ""):
		return errors.New("options -W and -z: they are about several files, which -C or -G makes")
	case o.Write == "-" && o.Print:
		return errors.New("option --print: -w - writes to the standard output already")
	case o.Write == "" && o.Format != "":
		return errors.New("option --format: it is about the file of -w, which is not given")
	case o.CountOnly && (o.Write != "" || o.JSON):
		return errors.New("option --count: it is instead of printing or writing packets")
	case o.JSON && o.Write != "" && !o.Print:
		return errors.New("options --json and -w: packets are printed or written; both with --print")
	case o.Annotate && (o.Write == "" || o.writesPcap()):
		return errors.New("option --annotate: comments are only in pcapng files, which -w writes")
	case o.Decap && o.writesPcap():
		return errors.New("option --decap: what tunnels carry has several link types, and a pcap file has one: write pcapng")
	case o.ExpressionFile != "" && o.Expression != "":
		return errors.New("option -F: the expression is in that file, and not also on the command line")
	}
	return nil
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
		return fmt.Errorf("unknown option -%s: see tundump --help", unknown.GetSpecifiedName())
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

// portList is the value of --vxlan-port and its like: UDP ports with commas
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
