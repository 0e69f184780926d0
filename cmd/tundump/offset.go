package main

import (
	"bytes"
	"cmp"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/pflag"

	"github.com/tundump/tundump/filter/header"
	"github.com/tundump/tundump/filter/stack"
)

//go:embed offset.txt
var offsetUsage string

// offsetOptions is what the command line of offset says.
type offsetOptions struct {
	Stack            string
	Read             string // -r, "-" is the standard input
	JSON, SVG, Map   bool
	Help             bool
	Ports            header.Ports
	stack.Conditions // of the expression
}

// offset prints where the fields of a stack are, and how to select packets by them.
func offset(ctx context.Context, std stdio, args []string) int {
	opt, err := parseOffsetFlags(args)
	if err != nil {
		report(std.err, err)
		return wrong
	}
	table := header.New(opt.Ports)
	switch {
	case opt.Help:
		_, err = io.WriteString(std.out, offsetUsage)
		return finish(std, err)
	case opt.Read != "":
		return finish(std, offsetFile(ctx, std, table, opt))
	}
	s, err := stack.Parse(table, opt.Stack)
	if err != nil {
		return finish(std, err)
	}
	var expression string
	if !opt.Empty() {
		if expression, err = s.Expression(opt.Conditions); err != nil {
			report(std.err, err)
			return wrong
		}
	}
	var out bytes.Buffer
	switch d := describe(s, expression); {
	case opt.JSON:
		err = writeJSON(&out, d)
	case opt.SVG:
		writeSVG(&out, d)
	case opt.Map:
		writeMap(&out, d)
	default:
		writeOffsets(&out, d)
	}
	if err == nil {
		_, err = out.WriteTo(std.out)
	}
	return finish(std, err)
}

// parseOffsetFlags reads the command line behind "offset".
func parseOffsetFlags(args []string) (offsetOptions, error) {
	o := offsetOptions{Ports: header.DefaultPorts()}
	fs := pflag.NewFlagSet("offset", pflag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.StringVarP(&o.Read, "read", "r", "", "")
	fs.BoolVar(&o.JSON, "json", false, "")
	fs.BoolVar(&o.SVG, "svg", false, "")
	fs.BoolVar(&o.Map, "map", false, "")
	fs.BoolVar(&o.Exact, "exact", false, "")
	fs.BoolVarP(&o.Help, "help", "h", false, "")
	addPortFlags(fs, &o.Ports)
	fs.Func("host", "", each(&o.Hosts, parseHost))
	fs.Func("net", "", each(&o.Nets, parseNet))
	fs.Func("mac", "", each(&o.MACs, parseMAC))
	fs.Func("port", "", each(&o.Conditions.Ports, number[uint16](16)))
	fs.Func("proto", "", each(&o.Protos, number[uint8](8)))
	for name, bits := range identifierBits() {
		fs.Func(name, "", func(text string) error {
			n, err := number[uint32](bits)(text)
			o.IDs = append(o.IDs, stack.Identifier{Name: name, Value: n})
			return err
		})
	}
	if err := fs.Parse(args); err != nil {
		return o, flagError(err)
	}
	forms := 0
	for _, set := range []bool{o.JSON, o.SVG, o.Map} {
		if set {
			forms++
		}
	}
	switch reads := fs.Changed("read"); {
	case o.Help:
		return o, nil
	case reads && o.Read == "":
		return o, errors.New("option -r: the file name is empty")
	case reads && fs.NArg() > 0:
		return o, errors.New("option -r: the stacks are those in the file, and none is given")
	case reads && (o.SVG || o.Map):
		return o, errors.New("option -r: a map is drawn of one stack, which is given instead of a file")
	case reads && !o.Empty():
		return o, errors.New("option -r: an expression is made for one stack, which is given instead of a file")
	case !reads && fs.NArg() != 1:
		return o, fmt.Errorf("offset: it needs one stack, not %d: see tundump offset --help", fs.NArg())
	case forms > 1:
		return o, errors.New("options --json, --svg and --map: only one of them can be had at once")
	}
	o.Stack = fs.Arg(0)
	return o, nil
}

// identifierBits returns how many bits the identifiers of tunnels have, by the options
// for them, which are named as in the table of headers.
func identifierBits() map[string]int {
	return map[string]int{"vni": 24, "key": 32, "teid": 32, "session": 32, "spi": 24, "isid": 24, "call": 16}
}

// each returns the value of an option that may be repeated.
func each[T any](to *[]T, parse func(string) (T, error)) func(string) error {
	return func(text string) error {
		v, err := parse(text)
		*to = append(*to, v)
		return err
	}
}

func parseHost(text string) (netip.Addr, error) {
	a, err := netip.ParseAddr(text)
	if err != nil || a.Zone() != "" {
		return a, fmt.Errorf("%q is not an IPv4 or IPv6 address", text)
	}
	return a, nil
}

func parseNet(text string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(text)
	switch {
	case err != nil:
		return p, fmt.Errorf("%q is not a network like 10.0.0.0/8 or 2001:db8::/32", text)
	case p != p.Masked():
		return p, fmt.Errorf("%q has bits set behind the prefix: %v is the network", text, p.Masked())
	}
	return p, nil
}

func parseMAC(text string) (mac [6]byte, err error) {
	b, err := net.ParseMAC(text)
	if err != nil || len(b) != len(mac) {
		return mac, fmt.Errorf("%q is not an Ethernet address", text)
	}
	return [6]byte(b), nil
}

// number returns a parser of numbers of so many bits.
func number[T uint8 | uint16 | uint32](bits int) func(string) (T, error) {
	return func(text string) (T, error) {
		v, err := strconv.ParseUint(text, 0, bits)
		if err != nil {
			return 0, fmt.Errorf("%q is not a number from 0 to %d", text, uint32(1<<bits-1))
		}
		return T(v), nil
	}
}

// stackInfo is what is printed about a stack. As JSON it is a contract: names are
// added, but neither changed nor removed.
type stackInfo struct {
	Packets int         `json:"packets,omitempty"` // with -r
	Example int         `json:"example,omitempty"` // with -r: the number of a packet, from 1
	Stack   string      `json:"stack"`
	Layers  []layerInfo `json:"layers"`
	// Expression selects the packets that meet the conditions.
	Expression string `json:"expression,omitempty"`

	accessors []string // what Offsets may have, in the order of the columns
	bases     []int    // where each counts from, in the frame
}

// offset returns a place in the frame as one of the accessors has it, if it can.
func (d *stackInfo) offset(accessor, off int) string {
	if off < d.bases[accessor] {
		return ""
	}
	return strconv.Itoa(off - d.bases[accessor])
}

// layerInfo is a layer that the stack names.
type layerInfo struct {
	Name  string `json:"name"`
	Level int    `json:"level"` // 0 is what is on the wire
	// StartsAt is in bytes from the start of the outer network header.
	StartsAt int `json:"starts_at"`
	// Bytes is the length, extension headers and options included.
	Bytes  int         `json:"bytes"`
	Fields []fieldInfo `json:"fields"`

	rows [][]cell // of the map
}

// fieldInfo is a field of a layer.
type fieldInfo struct {
	Name string `json:"name"`
	Size int    `json:"size"`           // bytes
	Mask uint32 `json:"mask,omitempty"` // the bits of them that are the field
	// Offsets has the place for each accessor of pcap-filter by which the field can
	// be reached: ether; ip, ip6 or arp; udp.
	Offsets map[string]int `json:"offsets"`
}

// describe computes what is printed about a stack.
func describe(s *stack.Stack, expression string) stackInfo {
	d := stackInfo{Stack: s.String(), Expression: expression, accessors: []string{"ether"}, bases: []int{0}}
	start := 0
	if n := s.Network(); n != nil {
		start = n.Off
		d.accessors, d.bases = append(d.accessors, n.Name), append(d.bases, start)
		// In pcap-filter, udp[] is only for UDP right behind an IPv4 header.
		i := slices.IndexFunc(s.Layers, func(l stack.Layer) bool { return l.ID == header.UDP && l.Level == 0 })
		if i > 0 && n.ID == header.IP && !n.Extended() {
			d.accessors, d.bases = append(d.accessors, "udp"), append(d.bases, s.Layers[i].Off)
		}
	}
	for _, l := range s.Layers {
		if l.Implied {
			continue
		}
		info := layerInfo{Name: l.Name, Level: l.Level, StartsAt: l.Off - start, Bytes: l.Bytes(), Fields: []fieldInfo{}, rows: mapRows(&l)}
		for _, f := range l.Fields() {
			field := fieldInfo{Name: f.Name, Size: f.Size, Mask: f.Mask, Offsets: map[string]int{}}
			for i, base := range d.bases {
				if f.Off >= base {
					field.Offsets[d.accessors[i]] = f.Off - base
				}
			}
			info.Fields = append(info.Fields, field)
		}
		// First what one looks for.
		slices.SortStableFunc(info.Fields, func(a, b fieldInfo) int {
			return cmp.Compare(rank(l.Header, a.Name), rank(l.Header, b.Name))
		})
		d.Layers = append(d.Layers, info)
	}
	return d
}

// rank is lower for fields that one looks for more often.
func rank(h *header.Header, field string) int {
	switch {
	case field == h.TunnelID, slices.Contains([]string{"src", "dst", "sha", "spa", "tha", "tpa", "sport", "dport"}, field):
		return 0
	case field == h.Next.By:
		return 1
	}
	return 2
}

func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// writeOffsets prints a line for each field.
func writeOffsets(w io.Writer, d stackInfo) {
	rows := [][]string{{"layer", "starts at", "field"}}
	for _, a := range d.accessors {
		rows[0] = append(rows[0], a+"[]")
	}
	for _, l := range d.Layers {
		name, start := l.Name, strconv.Itoa(l.StartsAt)
		if len(l.Fields) == 0 {
			rows = append(rows, []string{name, start})
		}
		for _, f := range l.Fields {
			row := []string{name, start, f.Name}
			name, start = "", ""
			for _, a := range d.accessors {
				cell := ""
				if off, ok := f.Offsets[a]; ok {
					cell = fmt.Sprintf("%d:%d", off, f.Size)
					if f.Mask != 0 {
						cell += fmt.Sprintf(" & 0x%0*x", 2*f.Size, f.Mask)
					}
				}
				row = append(row, cell)
			}
			rows = append(rows, row)
		}
	}
	writeTable(w, rows)
	if d.Expression != "" {
		fmt.Fprintf(w, "tcpdump: %s\n", d.Expression)
	}
}

// writeTable prints rows with aligned columns.
func writeTable(w io.Writer, rows [][]string) {
	var b bytes.Buffer
	t := tabwriter.NewWriter(&b, 0, 0, 3, ' ', 0)
	for _, row := range rows {
		fmt.Fprintln(t, strings.Join(row, "\t"))
	}
	t.Flush() // a bytes.Buffer takes everything
	for line := range strings.Lines(b.String()) {
		fmt.Fprintln(w, strings.TrimRight(line, " \n"))
	}
}

// maxStacks is how many different stacks of a file are told apart.
const maxStacks = 10000

// fileInfo is what is printed about a file, see stackInfo.
type fileInfo struct {
	Stacks []stackInfo `json:"stacks"` // the most frequent first
	// Other counts packets with no header that is known, and any more than maxStacks.
	Other int `json:"other"`
}

// offsetFile prints the stacks in a file. If that is damaged, those up to there.
func offsetFile(ctx context.Context, std stdio, table *header.Table, opt offsetOptions) error {
	info, err := stacksOf(ctx, std.in, table, opt.Read)
	var out bytes.Buffer
	if opt.JSON {
		err = errors.Join(err, writeJSON(&out, info))
	} else {
		writeStacks(&out, info)
	}
	_, errOut := out.WriteTo(std.out)
	return errors.Join(err, errOut)
}

// stacksOf counts the stacks in a file.
func stacksOf(ctx context.Context, stdin *os.File, table *header.Table, name string) (info fileInfo, err error) {
	f, file, err := openFile(ctx, stdin, name)
	if err != nil {
		return info, err
	}
	defer file.Close()
	defer f.Close()
	index := map[string]int{}
	var layers []header.Layer
	for number := 1; ; number++ {
		p, err := f.Next(ctx)
		if err != nil {
			slices.SortStableFunc(info.Stacks, func(a, b stackInfo) int { return cmp.Compare(b.Packets, a.Packets) })
			if err == io.EOF || errors.Is(err, context.Canceled) {
				return info, nil
			}
			return info, fmt.Errorf("reading %s: %w", name, err)
		}
		link := header.LinkType(f.Interfaces()[p.Interface].LinkType)
		layers = table.Walk(layers[:0], link, p.Data, header.MaxDepth)
		text := stack.Of(table, layers, p.Data)
		i, ok := index[text]
		if !ok {
			if text == "" || len(info.Stacks) == maxStacks {
				info.Other++
				continue
			}
			s, err := stack.Parse(table, text)
			if err != nil {
				return info, fmt.Errorf("packet %d of %s: %w", number, name, err)
			}
			i = len(info.Stacks)
			index[text] = i
			info.Stacks = append(info.Stacks, describe(s, ""))
			info.Stacks[i].Example = number
		}
		info.Stacks[i].Packets++
	}
}

// writeStacks prints a line for each stack.
func writeStacks(w io.Writer, info fileInfo) {
	rows := [][]string{{"packets", "example", "stack", "starts at"}}
	for _, s := range info.Stacks {
		var starts []string
		for _, l := range s.Layers {
			starts = append(starts, fmt.Sprintf("%s %d", l.Name, l.StartsAt))
		}
		rows = append(rows, []string{strconv.Itoa(s.Packets), strconv.Itoa(s.Example), s.Stack, strings.Join(starts, ", ")})
	}
	writeTable(w, rows)
	if info.Other > 0 {
		fmt.Fprintf(w, "%d packets have no stack that could be shown\n", info.Other)
	}
}
