package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tundump/tundump/capture"
	"github.com/tundump/tundump/filter"
	"github.com/tundump/tundump/filter/header"
)

func TestParseFlags(t *testing.T) {
	for _, tt := range []struct {
		args string
		want func(o *Options) // changes the defaults
	}{
		{"", func(o *Options) {}},
		{"-i eth1", func(o *Options) { o.Interfaces = []string{"eth1"} }},
		{"-ieth1", func(o *Options) { o.Interfaces = []string{"eth1"} }},
		{"--interface=eth1 --interface eth2", func(o *Options) { o.Interfaces = []string{"eth1", "eth2"} }},
		{"-i a,b", func(o *Options) { o.Interfaces = []string{"a,b"} }},
		{"-nni eth0", func(o *Options) { o.Interfaces = []string{"eth0"} }},
		{"-n -n --numeric", func(o *Options) {}},
		{"-ne", func(o *Options) { o.LinkLevel = true }},
		{"-vv -v", func(o *Options) { o.Verbose = 3 }},
		{"-nvvei eth0 -c10", func(o *Options) {
			o.Interfaces, o.Verbose, o.LinkLevel, o.Count = []string{"eth0"}, 2, true, 10
		}},
		{"-q", func(o *Options) { o.Quiet = true }},
		{"-p", func(o *Options) { o.NoPromisc = true }},
		{"-D", func(o *Options) { o.List = true }},
		{"-d", func(o *Options) { o.Dump = 1 }},
		{"-c 7", func(o *Options) { o.Count = 7 }},
		{"-s 96", func(o *Options) { o.SnapLen = 96 }},
		{"-s 0", func(o *Options) {}},
		{"-s 262144", func(o *Options) {}},
		{"-r a.pcap -w b.pcap", func(o *Options) { o.Read, o.Write = "a.pcap", "b.pcap" }},
		{"-w a -C 10", func(o *Options) { o.Write, o.FileSize = "a", 10_000_000 }},
		{"-w a -C 10k", func(o *Options) { o.Write, o.FileSize = "a", 10<<10 }},
		{"-w a -C10M -W5 -z gzip", func(o *Options) { o.Write, o.FileSize, o.FileCount, o.FileCommand = "a", 10<<20, 5, "gzip" }},
		{"-w a -C 1G", func(o *Options) { o.Write, o.FileSize = "a", 1<<30 }},
		{"-w %F -G 60 -W 3 -U --print -l", func(o *Options) {
			o.Write, o.FilePeriod, o.FileCount, o.PacketBuffered, o.Print, o.LineBuffered = "%F", time.Minute, 3, true, true, true
		}},
		{"-w a --format pcap", func(o *Options) { o.Write, o.Format = "a", "pcap" }},
		{"-i any -i tap* --netns a --netns /b -Q in", func(o *Options) {
			o.Interfaces, o.Netns, o.Direction = []string{"any", "tap*"}, []string{"a", "/b"}, capture.DirectionIn
		}},
		{"-Qinout -j adapter --immediate-mode", func(o *Options) { o.TimeStamps, o.Immediate = "adapter", true }},
		{"-JL", func(o *Options) { o.ListTimeStamps, o.ListLinkTypes = true, true }},
		{"--fanout 16", func(o *Options) { o.Fanout = 16 }},
		{"--engine packet --fanout 2 -i any", func(o *Options) { o.Engine, o.Fanout, o.Interfaces = "packet", 2, []string{"any"} }},
		{"--engine tcx -j host --netns a -i b", func(o *Options) {
			o.Engine, o.TimeStamps, o.Netns, o.Interfaces = "tcx", "host", []string{"a"}, []string{"b"}
		}},
		{"-B 4096", func(o *Options) { o.BufferSize = 4 << 20 }},
		{"-B 64M", func(o *Options) { o.BufferSize = 64 << 20 }},
		{"-nnvvXSs0", func(o *Options) { o.Verbose, o.HexASCII, o.AbsoluteSeq = 2, 1, true }},
		{"-xxAA#tttt --lengths", func(o *Options) { o.Hex, o.ASCII, o.Number, o.TimeFormat, o.Lengths = 2, 2, true, 4, true }},
		{"--nano", func(o *Options) { o.Precision = "nano" }},
		{"--time-stamp-precision=micro", func(o *Options) { o.Precision = "micro" }},
		{"--nano --micro", func(o *Options) { o.Precision = "micro" }},
		{"-r a --count --skip 5 -c 7", func(o *Options) { o.Read, o.CountOnly, o.Skip, o.Count = "a", true, 5, 7 }},
		{"-V list -F file", func(o *Options) { o.ReadList, o.ExpressionFile = "list", "file" }},
		{"--duration 5m --stats 1s", func(o *Options) { o.Duration, o.StatsEvery = 5*time.Minute, time.Second }},
		{"-r - -w -", func(o *Options) { o.Read, o.Write = "-", "-" }},
		{"--depth 8", func(o *Options) { o.Depth = 8 }},
		{"--vxlan-port 4790", func(o *Options) { o.Ports.VXLAN = []uint16{4790} }},
		{"--vxlan-port 1,65535 --vxlan-port 3", func(o *Options) { o.Ports.VXLAN = []uint16{1, 65535, 3} }},
		{"--geneve-port=7,8", func(o *Options) { o.Ports.Geneve = []uint16{7, 8} }},
		{"--l2tp-cookie 8", func(o *Options) { o.Ports.L2TPCookie = 8 }},
		{"--gtp-port 9 --gpe-port 10,11", func(o *Options) { o.Ports.GTP, o.Ports.GPE = []uint16{9}, []uint16{10, 11} }},
		{"--fou-port 7=gue --fou-port 8=gre --fou-port=9=0x4 --fou-port 10=ipv6", func(o *Options) {
			o.Ports.FOU = []header.FOU{{Port: 7}, {Port: 8, Protocol: 47}, {Port: 9, Protocol: 4}, {Port: 10, Protocol: 41}}
		}},
		{"--follow-fragments", func(o *Options) { o.Fragments = filter.FollowAll }},
		{"--follow-fragments --no-follow-fragments", func(o *Options) { o.Fragments = filter.FollowNone }},
		{"-h", func(o *Options) { o.Help = true }},
		{"--help", func(o *Options) { o.Help = true }},
		{"--version", func(o *Options) { o.Version = true }},
		{"-i eth0 host 1.2.3.4 and port 80", func(o *Options) {
			o.Interfaces, o.Expression = []string{"eth0"}, "host 1.2.3.4 and port 80"
		}},
		{"-q -- -1 < len", func(o *Options) { o.Quiet, o.Expression = true, "-1 < len" }},
		{"host 10.0.0.1 -ne and tcp --depth 4", func(o *Options) {
			o.LinkLevel, o.Depth, o.Expression = true, 4, "host 10.0.0.1 and tcp"
		}},
		{"len > 4 - 1", func(o *Options) { o.Expression = "len > 4 - 1" }},
	} {
		t.Run(tt.args, func(t *testing.T) {
			want := Options{SnapLen: 262144, Depth: 3, Fragments: filter.FollowTunnels, Ports: header.DefaultPorts()}
			tt.want(&want)
			got, err := parseFlags("tundump", strings.Fields(tt.args))
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("options (-want +got):\n%s", d)
			}
		})
	}
	got, err := parseFlags("tundump", []string{"-n", "inner (host 10.5.5.5 and tcp)"})
	if err != nil || got.Expression != "inner (host 10.5.5.5 and tcp)" {
		t.Errorf("an expression in one argument: %q, %v", got.Expression, err)
	}
}

func TestParseFlagsErrors(t *testing.T) {
	for _, tt := range []struct{ args, want string }{
		{"-F file arp", "option -F: the expression is in that file, and not also on the command line"},
		{"-V list -r a", "option -V: packets come from the files that it lists, and not also from -r or -i"},
		{"--stats 0s", `option --stats: "0s" is not a span of time such as 500ms, 10s, 5m or 1h30m`},
		{"-I", "option -I: it is about the radio of Wi-Fi interfaces, which tundump does not capture"},
		{"-Y", "unknown option -Y: see tundump --help"},
		{"--jason", "unknown option --jason: see tundump --help"},
		{"--jason=yes", "unknown option --jason: see tundump --help"},
		{"-nE secret", "option -E: tundump does not decrypt ESP"},
		{"-i", "option -i: it needs a value"},
		{"--depth", "option --depth: it needs a value"},
		{"-c x", `option -c: "x" is not a number`},
		{"-c -1", `option -c: "-1" is not a number`},
		{"-c 0", "option -c: 0 is no number of packets, at least 1"},
		{"-s 262145", "option -s: 262145 is no number of bytes, 262144 is the largest snapshot length"},
		{"-s 99999999999", "option -s: 99999999999 is no number of bytes, 262144 is the largest snapshot length"},
		{"--fanout 0", "option --fanout: 0 is no number of threads, 1 to 16 are possible"},
		{"--fanout 17", "option --fanout: 17 is no number of threads, 1 to 16 are possible"},
		{"--engine xdp", `option --engine: "xdp" is not one of packet, tcx`},
		{"--engine tcx -r a", "option --engine: it is about interfaces, and packets come from a file"},
		{"--engine tcx -i any", "option --engine tcx: it captures from interfaces that are named: no patterns, and with --netns -i"},
		{"--engine tcx --netns a", "option --engine tcx: it captures from interfaces that are named: no patterns, and with --netns -i"},
		{"--engine tcx --fanout 2", "option --engine tcx: it has no --fanout, and no clock but the host's"},
		{"--engine tcx -j adapter", "option --engine tcx: it has no --fanout, and no clock but the host's"},
		{"--depth 0", "option --depth: 0 is no number of levels, 1 to 8"},
		{"--depth 9", "option --depth: 9 is no number of levels, 1 to 8"},
		{"--depth two", `option --depth: "two" is not a number`},
		{"--vxlan-port 0", `option --vxlan-port: "0" is not a UDP port, 1 to 65535`},
		{"--vxlan-port 4789,", `option --vxlan-port: "" is not a UDP port, 1 to 65535`},
		{"--l2tp-cookie 6", `option --l2tp-cookie: "6" is no length that cookies have: 0, 4 and 8 bytes are`},
		{"--fou-port 7", `option --fou-port: "7" is not PORT=WHAT with a UDP port, 1 to 65535`},
		{"--fou-port 0=gue", `option --fou-port: "0=gue" is not PORT=WHAT with a UDP port, 1 to 65535`},
		{"--fou-port 7=tcp", `option --fou-port: "tcp" is no tunnel that tundump walks through: gue, gre, ipip, ipv6, etherip, l2tp and mpls-in-ip are`},
		{"--fou-port 7=0", `option --fou-port: "0" is no tunnel that tundump walks through: gue, gre, ipip, ipv6, etherip, l2tp and mpls-in-ip are`},
		{"--fou-port 7=nothing", `option --fou-port: "nothing" is neither gue nor an IP protocol`},
		{"--geneve-port 65536", `option --geneve-port: "65536" is not a UDP port, 1 to 65535`},
		{"-Q up", `option -Q: "up" is not one of in, out, inout`},
		{"-j host_hiprec", `option -j: "host_hiprec" is not one of host, adapter, adapter_unsynced`},
		{"--netns a --netns a", "option --netns: a is given twice"},
		{"--netns=", "option --netns: the name is empty"},
		{"-r a --netns b", "option --netns: a network namespace has interfaces, and packets come from a file"},
		{"-tttttt", "option -t: there are only -t, -tt, -ttt, -tttt and -ttttt"},
		{"-w a -C 0", `option -C: "0" is not a size, a number that may have K, M or G behind it`},
		{"-w a -C M", `option -C: "M" is not a size, a number that may have K, M or G behind it`},
		{"-w a -C 1T", `option -C: "1T" is not a size, a number that may have K, M or G behind it`},
		{"-w a -C 9223372036854775807", `option -C: "9223372036854775807" is not a size, a number that may have K, M or G behind it`},
		{"-w a --file-size=", `option -C: "" is not a size, a number that may have K, M or G behind it`},
		{"-B 3G", "option -B: 3G is more than 2 GiB"},
		{"-w a -G 0", "option -G: 0 is no number of seconds, at least 1"},
		{"-w a -C 1 -W 0", "option -W: 0 is no number of files, at least 1"},
		{"-C 1", "options -C, -G, -W and -z: they are about the files of -w, which is not given"},
		{"-w - -C 1", "options -C and -G: the standard output is one file"},
		{"-w a -W 3", "options -W and -z: they are about several files, which -C or -G makes"},
		{"-w - --print", "option --print: -w - writes to the standard output already"},
		{"--format pcap", "option --format: it is about the file of -w, which is not given"},
		{"-w a --format cap", `option --format: "cap" is not one of pcap, pcapng`},
		{"-w a --count", "option --count: it is instead of printing or writing packets"},
		{"-r a -i eth0", "options -i and -r: packets come from interfaces or from a file, not both"},
		{"--read=", "option -r: the file name is empty"},
		{"--write=", "option -w: the file name is empty"},
		{"-i eth0 --interface=", "option -i: the interface name is empty"},
		{"--quiet=maybe", "option -q: it takes no value"},
		{"--=", "options: bad flag syntax: --="},
	} {
		t.Run(tt.args, func(t *testing.T) {
			_, err := parseFlags("tundump", strings.Fields(tt.args))
			if err == nil || err.Error() != tt.want {
				t.Errorf("error %v\nwant  %s", err, tt.want)
			}
		})
	}
}
