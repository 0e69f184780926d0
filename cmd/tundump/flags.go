package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/tundump/tundump/capture"
	"github.com/tundump/tundump/decode"
	"github.com/tundump/tundump/filter"
	"github.com/tundump/tundump/filter/header"
)

// flag is one option of the command line. All that is known of an option is in its
// entry: parsing, --help, the man page and the completions are made from it.
type flag struct {
	name    string // long, without the dashes
	letter  string // "" if it has none
	arg     string // what its value is called; "" if it takes none
	group   group
	help    string // one line, less than 60 columns
	tcpdump bool   // tcpdump has it, under this letter, or under this name if it has no letter

	// set takes the value, each time that the option is given. That of an
	// option that takes no value is "".
	set func(o *Options, value string) error
	// negative, if there is one, makes it --[no-]name.
	negative func(o *Options)
	// refused says why tundump does not have it, and never will.
	refused string
	// later tells that tundump does not have it yet. It is refused too.
	later bool
}

// group is what an option is about.
type group string

const (
	groupCapture group = "Capture"
	groupRead    group = "Read"
	groupWrite   group = "Write"
	groupStop    group = "Stop"
	groupPrint   group = "Print"
	groupFilter  group = "Filter"
	groupTunnel  group = "Tunnels"
	groupOther   group = "Other"
)

// groups returns the groups in the order in which they are shown.
func groups() []group {
	return []group{groupCapture, groupRead, groupWrite, groupStop, groupPrint, groupFilter, groupTunnel, groupOther}
}

// flagTable returns all options, in the order in which they are shown: those of a group
// stand together.
func flagTable() []flag {
	return []flag{
		{name: "interface", letter: "i", arg: "NAME", group: groupCapture, tcpdump: true,
			help: "capture on it; repeatable; 'tap*', any (first that is up)", set: func(o *Options, v string) error {
				if v == "" {
					return errors.New("the interface name is empty")
				}
				o.Interfaces = append(o.Interfaces, v)
				return nil
			}},
		{name: "netns", arg: "NAME|PATH", group: groupCapture,
			help: "capture in that network namespace; repeatable", set: func(o *Options, v string) error {
				if v == "" {
					return errors.New("the name is empty")
				}
				if slices.Contains(o.Netns, v) {
					return fmt.Errorf("%s is given twice", v)
				}
				o.Netns = append(o.Netns, v)
				return nil
			}},
		{name: "list-interfaces", letter: "D", group: groupCapture, tcpdump: true,
			help: "list the interfaces", set: on(func(o *Options) { o.List = true })},
		{name: "no-promiscuous-mode", letter: "p", group: groupCapture, tcpdump: true,
			help: "only what is addressed to this host", set: on(func(o *Options) { o.NoPromisc = true })},
		{name: "snapshot-length", letter: "s", arg: "BYTES", group: groupCapture, tcpdump: true,
			help: "bytes of each packet to keep (262144)", set: func(o *Options, v string) error {
				n, err := decimal(v, 0, maxSnapLen, "bytes, 262144 is the largest snapshot length")
				o.SnapLen = uint32(n)
				if n == 0 {
					o.SnapLen = maxSnapLen
				}
				return err
			}},
		{name: "buffer-size", letter: "B", arg: "SIZE", group: groupCapture, tcpdump: true,
			help: "ring of each interface, in KiB or with M, G", set: func(o *Options, v string) error {
				n, err := byteSize(v, 1<<10)
				if n > maxBuffer {
					return fmt.Errorf("%s is more than 2 GiB", v)
				}
				o.BufferSize = int(n)
				return err
			}},
		{name: "direction", letter: "Q", arg: "in|out|inout", group: groupCapture, tcpdump: true,
			help: "only packets of that direction", set: func(o *Options, v string) error {
				direction, ok := map[string]capture.Direction{
					"in": capture.DirectionIn, "out": capture.DirectionOut, "inout": capture.DirectionUnknown,
				}[v]
				if !ok {
					return fmt.Errorf("%q is not one of in, out, inout", v)
				}
				o.Direction = direction
				return nil
			}},
		{name: "immediate-mode", group: groupCapture, tcpdump: true,
			help: "take each packet as soon as it comes", set: on(func(o *Options) { o.Immediate = true })},
		{name: "time-stamp-type", letter: "j", arg: "TYPE", group: groupCapture, tcpdump: true,
			help: "whose clock: host, adapter, adapter_unsynced", set: func(o *Options, v string) error {
				types := []capture.TimeStampType{capture.TimeStampHost, capture.TimeStampAdapter, capture.TimeStampAdapterUnsynced}
				o.TimeStamps = capture.TimeStampType(v)
				if !slices.Contains(types, o.TimeStamps) {
					return fmt.Errorf("%q is not one of host, adapter, adapter_unsynced", v)
				}
				return nil
			}},
		{name: "list-time-stamp-types", letter: "J", group: groupCapture, tcpdump: true,
			help: "list the interface's time stamp types", set: on(func(o *Options) { o.ListTimeStamps = true })},
		{name: "linktype", letter: "y", arg: "TYPE", group: groupCapture, tcpdump: true,
			help: "the data link type that -d is for", set: func(o *Options, v string) error {
				if _, ok := header.LinkTypeOf(v); !ok {
					return fmt.Errorf("%q is no link type that filters are for", v)
				}
				o.LinkTypeName = v
				return nil
			}},
		{name: "list-data-link-types", letter: "L", group: groupCapture, tcpdump: true,
			help: "list the interface's data link types", set: on(func(o *Options) { o.ListLinkTypes = true })},
		{name: "fanout", arg: "N", group: groupCapture,
			help: "rings per interface, and threads that write the file (1)", set: func(o *Options, v string) error {
				n, err := decimal(v, 1, capture.MaxFanout, fmt.Sprintf("threads, 1 to %d are possible", capture.MaxFanout))
				o.Fanout = int(n)
				return err
			}},
		{name: "engine", arg: "packet|tcx", group: groupCapture,
			help: "tcx costs less where little of much traffic matches", set: oneOf(func(o *Options) *string { return &o.Engine }, "packet", engineTCX)},
		{name: "relinquish-privileges", letter: "Z", arg: "USER", group: groupCapture, tcpdump: true,
			help: "become that user when the sockets are open", set: func(o *Options, v string) error {
				if v == "" {
					return errors.New("the name is empty")
				}
				o.User = v
				return nil
			}},
		{name: "monitor-mode", letter: "I", group: groupCapture, tcpdump: true,
			refused: "it is about the radio of Wi-Fi interfaces, which tundump does not capture"},

		{name: "read", letter: "r", arg: "FILE", group: groupRead, tcpdump: true,
			help: "read packets from a pcap or pcapng file, - is stdin", set: fileName(func(o *Options) *string { return &o.Read })},
		{name: "read-list", letter: "V", arg: "FILE", group: groupRead, tcpdump: true,
			help: "read the files that FILE lists, one a line", set: fileName(func(o *Options) *string { return &o.ReadList })},

		{name: "write", letter: "w", arg: "FILE", group: groupWrite, tcpdump: true,
			help: "write pcapng; pcap if it ends in .pcap; - is stdout", set: fileName(func(o *Options) *string { return &o.Write })},
		{name: "format", arg: "pcap|pcapng", group: groupWrite,
			help: "what -w writes, whatever the file's name", set: oneOf(func(o *Options) *string { return &o.Format }, "pcap", "pcapng")},
		{name: "print", group: groupWrite, tcpdump: true,
			help: "print the packets that -w writes, too", set: on(func(o *Options) { o.Print = true })},
		{name: "packet-buffered", letter: "U", group: groupWrite, tcpdump: true,
			help: "write each packet as soon as it comes", set: on(func(o *Options) { o.PacketBuffered = true })},
		{name: "file-size", letter: "C", arg: "SIZE", group: groupWrite, tcpdump: true,
			help: "next file after so many 10^6 bytes, or with K, M, G", set: func(o *Options, v string) (err error) {
				o.FileSize, err = byteSize(v, 1e6)
				return err
			}},
		{name: "file-seconds", letter: "G", arg: "SECONDS", group: groupWrite, tcpdump: true,
			help: "next file each SECONDS; -w may have strftime's %", set: func(o *Options, v string) error {
				n, err := decimal(v, 1, math.MaxInt32, "seconds, at least 1")
				o.FilePeriod = time.Duration(n) * time.Second
				return err
			}},
		{name: "file-count", letter: "W", arg: "N", group: groupWrite, tcpdump: true,
			help: "with -C overwrite the first after N, with -G stop", set: func(o *Options, v string) error {
				n, err := decimal(v, 1, math.MaxInt32, "files, at least 1")
				o.FileCount = int(n)
				return err
			}},
		{name: "file-command", letter: "z", arg: "COMMAND", group: groupWrite, tcpdump: true,
			help: "run COMMAND FILE for each file that is complete", set: func(o *Options, v string) error {
				if v == "" {
					return errors.New("the command is empty")
				}
				o.FileCommand = v
				return nil
			}},
		{name: "decap", group: groupWrite,
			help: "write the innermost packet instead of the whole", set: on(func(o *Options) { o.Decap = true })},
		{name: "annotate", group: groupWrite,
			help: "pcapng comment per packet: the tunnel path", set: on(func(o *Options) { o.Annotate = true })},

		{name: "packets", letter: "c", arg: "N", group: groupStop, tcpdump: true,
			help: "stop after N packets", set: func(o *Options, v string) (err error) {
				o.Count, err = decimal(v, 1, 1<<63, "packets, at least 1")
				return err
			}},
		{name: "skip", arg: "N", group: groupStop, tcpdump: true,
			help: "leave out the first N packets", set: func(o *Options, v string) (err error) {
				o.Skip, err = decimal(v, 0, 1<<63, "packets")
				return err
			}},
		{name: "duration", arg: "TIME", group: groupStop,
			help: "stop after that time (10s, 5m)", set: duration(func(o *Options) *time.Duration { return &o.Duration })},

		{name: "link-level", letter: "e", group: groupPrint, tcpdump: true,
			help: "print link-level headers as well", set: on(func(o *Options) { o.LinkLevel = true })},
		{name: "verbose", letter: "v", group: groupPrint, tcpdump: true,
			help: "print more; -vv even more", set: on(func(o *Options) { o.Verbose++ })},
		{name: "quiet", letter: "q", group: groupPrint, tcpdump: true,
			help: "print less", set: on(func(o *Options) { o.Quiet = true })},
		{name: "time-format", letter: "t", group: groupPrint, tcpdump: true,
			help: "no time; -tt epoch, -ttt delta, -tttt date, -ttttt first", set: func(o *Options, _ string) error {
				if o.TimeFormat++; o.TimeFormat > int(decode.TimeSinceFirst) {
					return errors.New("there are only -t, -tt, -ttt, -tttt and -ttttt")
				}
				return nil
			}},
		{name: "hex", letter: "x", group: groupPrint, tcpdump: true,
			help: "bytes in hex; -xx with the link-level header", set: on(func(o *Options) { o.Hex++ })},
		{name: "hex-ascii", letter: "X", group: groupPrint, tcpdump: true,
			help: "in hex and ASCII; -XX with the link-level header", set: on(func(o *Options) { o.HexASCII++ })},
		{name: "ascii", letter: "A", group: groupPrint, tcpdump: true,
			help: "bytes in ASCII", set: on(func(o *Options) { o.ASCII++ })},
		{name: "number", letter: "#", group: groupPrint, tcpdump: true,
			help: "number the packets", set: on(func(o *Options) { o.Number = true })},
		{name: "absolute-tcp-sequence-numbers", letter: "S", group: groupPrint, tcpdump: true,
			help: "not relative to the connection's first", set: on(func(o *Options) { o.AbsoluteSeq = true })},
		{name: "asdot", letter: "b", group: groupPrint, tcpdump: true,
			help: "numbers of autonomous systems in two parts, as 1.10", set: on(func(o *Options) { o.ASDot = true })},
		{name: "dont-verify-checksums", letter: "K", group: groupPrint, tcpdump: true,
			help: "don't tell of wrong checksums", set: on(func(o *Options) { o.NoChecksums = true })},
		{name: "lengths", group: groupPrint, tcpdump: true,
			help: "print captured and original lengths", set: on(func(o *Options) { o.Lengths = true })},
		{name: "undecoded-nfs", letter: "u", group: groupPrint, tcpdump: true,
			help: "nothing: handles of NFS are not looked into anyway", set: on(func(o *Options) {})},
		{name: "time-stamp-precision", arg: "micro|nano", group: groupPrint, tcpdump: true,
			help: "digits of times, printed and written", set: oneOf(func(o *Options) *string { return &o.Precision }, micro, nano)},
		{name: "micro", group: groupPrint, tcpdump: true,
			help: "microseconds", set: on(func(o *Options) { o.Precision = micro })},
		{name: "nano", group: groupPrint, tcpdump: true,
			help: "nanoseconds", set: on(func(o *Options) { o.Precision = nano })},
		{name: "numeric", letter: "n", group: groupPrint, tcpdump: true,
			help: "nothing: addresses are numbers anyway", set: on(func(o *Options) {})},
		{name: "resolve", group: groupPrint,
			help: "print names of addresses and ports", set: on(func(o *Options) { o.Resolve = true })},
		{name: "no-domain", letter: "N", group: groupPrint, tcpdump: true,
			help: "with --resolve print only a host's own name", set: on(func(o *Options) { o.NoDomain = true })},
		{name: "line-buffered", letter: "l", group: groupPrint, tcpdump: true,
			help: "print each line as soon as it is made", set: on(func(o *Options) { o.LineBuffered = true })},
		{name: "count", group: groupPrint, tcpdump: true,
			help: "print only how many packets there are", set: on(func(o *Options) { o.CountOnly = true })},
		{name: "json", group: groupPrint,
			help: "one JSON object per packet and line", set: on(func(o *Options) { o.JSON = true })},
		{name: "stats", arg: "TIME", group: groupPrint,
			help: "counters on standard error, again and again", set: duration(func(o *Options) *time.Duration { return &o.StatsEvery })},
		{name: "foreign-numeric", letter: "f", group: groupPrint, tcpdump: true,
			refused: "all addresses are printed as numbers, unless --resolve is given"},
		{name: "mesh", letter: "H", group: groupPrint, tcpdump: true,
			refused: "it is about Wi-Fi frames, which tundump does not print"},
		{name: "decrypt", letter: "E", arg: "SECRET", group: groupPrint, tcpdump: true,
			refused: "tundump does not decrypt ESP"},
		{name: "smi-module", letter: "m", arg: "MODULE", group: groupPrint, tcpdump: true,
			refused: "it is about SNMP, which tundump does not print"},
		{name: "tcp-md5-secret", letter: "M", arg: "SECRET", group: groupPrint, tcpdump: true,
			refused: "tundump does not verify the digests of TCP segments"},
		{name: "interpret-as", letter: "T", arg: "TYPE", group: groupPrint, tcpdump: true,
			refused: "what UDP carries is found by its port; tunnels have options such as --vxlan-port"},

		{name: "expression-file", letter: "F", arg: "FILE", group: groupFilter, tcpdump: true,
			help: "read the expression from FILE", set: fileName(func(o *Options) *string { return &o.ExpressionFile })},
		{name: "dump", letter: "d", group: groupFilter, tcpdump: true,
			help: "print the filter program; -dd as C, -ddd in numbers", set: on(func(o *Options) { o.Dump++ })},
		{name: "no-optimize", letter: "O", group: groupFilter, tcpdump: true,
			help: "don't optimise the filter", set: on(func(o *Options) { o.NoOptimise = true })},
		{name: "follow-fragments", group: groupFilter, help: "match later fragments as their first one",
			set:      on(func(o *Options) { o.Fragments = filter.FollowAll }),
			negative: func(o *Options) { o.Fragments = filter.FollowNone }},

		{name: "depth", arg: "N", group: groupTunnel,
			help: "tunnel levels to walk into (3)", set: func(o *Options, v string) error {
				n, err := decimal(v, 1, maxDepth, fmt.Sprintf("levels, 1 to %d", maxDepth))
				o.Depth = int(n)
				return err
			}},
		{name: "vxlan-port", arg: "LIST", group: groupTunnel,
			help: "UDP ports taken for VXLAN (4789,8472)", set: ports(func(o *Options) *[]uint16 { return &o.Ports.VXLAN })},
		{name: "geneve-port", arg: "LIST", group: groupTunnel,
			help: "UDP ports taken for Geneve (6081)", set: ports(func(o *Options) *[]uint16 { return &o.Ports.Geneve })},
		{name: "gtp-port", arg: "LIST", group: groupTunnel,
			help: "UDP ports taken for GTP-U (2152)", set: ports(func(o *Options) *[]uint16 { return &o.Ports.GTP })},
		{name: "gpe-port", arg: "LIST", group: groupTunnel,
			help: "UDP ports taken for VXLAN-GPE (4790)", set: ports(func(o *Options) *[]uint16 { return &o.Ports.GPE })},
		{name: "fou-port", arg: "PORT=WHAT", group: groupTunnel,
			help: "what follows that UDP port: gue, gre, ipip, ...; repeatable", set: func(o *Options, v string) error {
				return addFOU(&o.Ports.FOU, v, systemNames{context.Background(), "/etc"}.Protocol)
			}},
		{name: "l2tp-cookie", arg: "BYTES", group: groupTunnel,
			help: "length of the cookies in L2TPv3: 4 or 8 (0)", set: func(o *Options, v string) error { return setCookie(&o.Ports, v) }},

		{name: "help", letter: "h", group: groupOther, tcpdump: true,
			help: "this", set: on(func(o *Options) { o.Help = true })},
		{name: "version", group: groupOther, tcpdump: true,
			help: "the version", set: on(func(o *Options) { o.Version = true })},
	}
}

// on sets an option that takes no value.
func on(set func(o *Options)) func(o *Options, value string) error {
	return func(o *Options, _ string) error {
		set(o)
		return nil
	}
}

// decimal reads a number from least to most; what says what of.
func decimal(text string, least, most uint64, what string) (uint64, error) {
	n, err := strconv.ParseUint(text, 10, 64)
	if errors.Is(err, strconv.ErrSyntax) {
		return 0, fmt.Errorf("%q is not a number", text)
	}
	if err != nil || n < least || n > most {
		return 0, fmt.Errorf("%s is no number of %s", text, what)
	}
	return n, nil
}

// maxBuffer is the largest -B in bytes.
const maxBuffer = 2 << 30

// Precisions of times.
const (
	micro = "micro"
	nano  = "nano"
)

// engineTCX is the --engine that captures by programs at tcx, and not with packet sockets.
const engineTCX = "tcx"

// oneOf sets an option whose value is one of a few words.
func oneOf(field func(o *Options) *string, words ...string) func(o *Options, value string) error {
	return func(o *Options, v string) error {
		if !slices.Contains(words, v) {
			return fmt.Errorf("%q is not one of %s", v, strings.Join(words, ", "))
		}
		*field(o) = v
		return nil
	}
}

// duration sets a span of time.
func duration(field func(o *Options) *time.Duration) func(o *Options, value string) error {
	return func(o *Options, v string) error {
		d, err := time.ParseDuration(v)
		if err != nil || d <= 0 {
			return fmt.Errorf("%q is not a span of time such as 500ms, 10s, 5m or 1h30m", v)
		}
		*field(o) = d
		return nil
	}
}

// byteSize reads a size: a number of units of that many bytes, or with K, M or G behind it of
// 2^10, 2^20 or 2^30 bytes.
func byteSize(text string, unit int64) (int64, error) {
	digits := text
	if n := len(text) - 1; n >= 0 {
		if i := strings.IndexByte("kmg", text[n]|0x20); i >= 0 {
			digits, unit = text[:n], 1<<(10*(i+1))
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 1 || n > math.MaxInt64/unit {
		return 0, fmt.Errorf("%q is not a size, a number that may have K, M or G behind it", text)
	}
	return n * unit, nil
}

// fileName sets an option whose value names a file.
func fileName(field func(o *Options) *string) func(o *Options, value string) error {
	return func(o *Options, v string) error {
		if v == "" {
			return errors.New("the file name is empty")
		}
		*field(o) = v
		return nil
	}
}

// ports sets a list of UDP ports. The first one given replaces the default, further
// ones add to it.
func ports(field func(o *Options) *[]uint16) func(o *Options, value string) error {
	given := false
	return func(o *Options, v string) error {
		l := portList{field(o), given}
		err := l.Set(v)
		given = true
		return err
	}
}

// flagSet returns what parses the command line into o.
func flagSet(name string, o *Options) *pflag.FlagSet {
	fs := pflag.NewFlagSet(name, pflag.ContinueOnError)
	for _, f := range flagTable() {
		// An option that is refused is so before its value is looked for.
		v := fs.VarPF(&flagValue{f, o}, f.name, f.letter, f.help)
		if f.arg == "" || f.refused != "" || f.later {
			v.NoOptDefVal = given
		}
		if f.negative != nil {
			no := flag{name: "no-" + f.name, set: on(f.negative)}
			fs.VarPF(&flagValue{no, o}, no.name, "", f.help).NoOptDefVal = given
		}
	}
	return fs
}

// given is what pflag sets an option to that stands without a value.
const given = "given"

// flagValue is the value of an option as pflag knows it.
type flagValue struct {
	flag
	o *Options
}

func (v *flagValue) String() string { return "" }
func (v *flagValue) Type() string   { return v.arg }

func (v *flagValue) Set(text string) error {
	switch {
	case v.refused != "":
		return errors.New(v.refused)
	case v.later && v.tcpdump:
		return errors.New("tcpdump has it, tundump does not have it yet")
	case v.later:
		return errors.New("tundump does not have it yet")
	case v.arg == "" && text != given:
		return errors.New("it takes no value")
	}
	return v.set(v.o, text)
}
