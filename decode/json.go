package decode

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"net/netip"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/tundump/tundump/capture"
	"github.com/tundump/tundump/filter/header"
)

// JSONOptions says how packets become JSON.
type JSONOptions struct {
	// Table says which tunnels there are; nil is the table of the default ports.
	Table *header.Table
	// Depth is how many tunnels are looked into, at most header.MaxDepth; 0 means
	// header.DefaultDepth.
	Depth int
}

// JSON prints each packet as a JSON object (RFC 8259) in a line of its own: a Sink. The
// objects are described in docs/json.md, and for programs in docs/json.schema.json:
// a contract, to which names are added, but in which none is changed or removed.
//
// The names and places of fields come from the header table; what it does not
// have, options and what lies behind a transport header, is in json_detail.go and
// json_payload.go. Whatever is in a packet, the line is valid JSON in UTF-8.
type JSON struct {
	w    io.Writer
	opt  JSONOptions
	buf  []byte // lines not yet written, and the one being made
	err  error  // the write error
	told bool   // err has been returned

	names  [header.NumIDs][]flag
	second int64 // the time whose text is in clock
	clock  []byte

	layers  []header.Layer
	quoted  []header.Layer // of the packet that an ICMP error quotes, or of a deeper walk
	decoder payloadDecoder
}

// NewJSON returns a sink that prints to w.
func NewJSON(w io.Writer, opt JSONOptions) *JSON {
	opt.Table, opt.Depth = walkOptions(opt.Table, opt.Depth)
	return &JSON{w: w, opt: opt, names: flagNames(), second: math.MinInt64}
}

// walkOptions returns what an empty table and depth mean.
func walkOptions(table *header.Table, depth int) (*header.Table, int) {
	if table == nil {
		table = header.New(header.DefaultPorts())
	}
	if depth == 0 {
		depth = header.DefaultDepth
	}
	return table, min(depth, header.MaxDepth)
}

// Packet prints a packet.
func (j *JSON) Packet(p *capture.Packet, in *capture.Interface) error {
	if j.err != nil {
		return j.fail()
	}
	j.open('{')
	j.time(p.Time)
	j.text("interface", in.Name)
	switch p.Direction {
	case capture.DirectionIn:
		j.text("direction", "in")
	case capture.DirectionOut:
		j.text("direction", "out")
	default:
		j.text("direction", "unknown")
	}
	wire := max(p.Len, len(p.Data))
	j.number("length", uint64(wire))
	j.number("captured", uint64(len(p.Data)))
	j.bool("truncated", len(p.Data) < wire)
	j.key("layers")
	j.open('[')
	e := j.packet(header.LinkType(in.LinkType), p.Data, wire)
	j.close(']')
	if e.reason != "" {
		j.key("error")
		j.open('{')
		j.text("layer", e.layer)
		j.number("offset", uint64(e.offset))
		j.text("reason", e.reason)
		j.close('}')
	}
	j.close('}')
	j.buf = append(j.buf, '\n')
	if len(j.buf) >= textBuffer {
		return j.Flush()
	}
	return nil
}

// Flush writes what is buffered, whole lines.
func (j *JSON) Flush() error {
	if j.err == nil && len(j.buf) > 0 {
		if _, err := j.w.Write(j.buf); err != nil {
			j.err = fmt.Errorf("writing packets as JSON: %w", err)
		}
		j.buf = j.buf[:0]
	}
	return j.fail()
}

// Close writes what is buffered.
func (j *JSON) Close() error {
	if j.told {
		return nil
	}
	return j.Flush()
}

func (j *JSON) fail() error {
	j.told = j.err != nil
	return j.err
}

// stop says why the layers end before the packet does.
type stop struct {
	layer  string // the header that could not be read
	offset int
	reason string // empty: they end where they should
}

// The reasons.
const (
	stopTruncated = "truncated"   // the header is not all there
	stopInvalid   = "invalid"     // its bytes are no such header
	stopDepth     = "depth"       // it is on a deeper level than was to be walked
	stopMany      = "too_many"    // of VLAN tags, extension headers or the like
	stopLink      = "unsupported" // the link type
)

// packet prints the layers of a packet of which wire bytes were on the wire.
func (j *JSON) packet(link header.LinkType, data []byte, wire int) stop {
	j.layers = j.opt.Table.Walk(j.layers[:0], link, data, j.opt.Depth)
	end := wire
	for _, l := range j.layers {
		end = wireEnd(l, data, end)
		j.layer(l, data, 0, end, false)
	}
	e := j.ending(link, data)
	if e.reason == "" || e.reason == stopLink || e.reason == stopDepth {
		j.payload(data, end)
	}
	return e
}

// quote prints the layers of the IP packet at off that an ICMP error has in it.
func (j *JSON) quote(link header.LinkType, data []byte, off int) {
	j.quoted = j.opt.Table.Walk(j.quoted[:0], link, data[off:], j.opt.Depth)
	j.key("quote")
	j.open('[')
	for _, l := range j.quoted {
		j.layer(l, data[off:], off, len(data)-off, true)
	}
	j.close(']')
}

// layer prints a header, which is in data, which are at base in the packet.
// The packet that it belongs to goes on until end.
func (j *JSON) layer(l header.Layer, data []byte, base, end int, quoted bool) {
	j.startLayer(l.Name, l.Level, base+int(l.Off), int(l.Bytes))
	arp := l.ID == header.ARP && !ethernetARP(l, data)
	for i := range l.Fields {
		if f := &l.Fields[i]; !arp || f.Off < 8 { // the fields behind it are of other sizes
			j.field(l, f, data)
		}
	}
	j.detail(l, data, base, end, quoted)
	j.endLayer()
}

func (j *JSON) startLayer(name string, level, offset, length int) {
	j.open('{')
	j.text("name", name)
	j.number("level", uint64(level))
	j.number("offset", uint64(offset))
	j.number("length", uint64(length))
	j.key("fields")
	j.open('{')
}

func (j *JSON) endLayer() {
	j.close('}')
	j.close('}')
}

// field prints a field of a header, if it is there.
func (j *JSON) field(l header.Layer, f *header.Field, data []byte) {
	b, ok := l.Raw(data, f)
	if !ok {
		return
	}
	switch {
	case f.Name == "flags":
		v, _ := l.Number(data, f)
		j.flags("flags", j.names[l.ID], v)
	case f.Size == 6:
		j.mac(f.Name, b)
	case f.Size == 16, f.Size == 4 && isAddress(l, f):
		j.addr(f.Name, b)
	case f.Size <= 4:
		v, _ := l.Number(data, f)
		j.number(f.Name, uint64(v))
	default: // more than the 53 bits that a number of JSON is sure to have
		j.hex(f.Name, b)
	}
}

// isAddress tells an IPv4 address from a number.
func isAddress(l header.Layer, f *header.Field) bool {
	switch f.Name {
	case "src", "dst", "spa", "tpa":
		return l.Class == header.Network
	}
	return false
}

// ethernetARP reports whether the addresses have the sizes of Ethernet's and IPv4's.
func ethernetARP(l header.Layer, data []byte) bool {
	hlen, _ := l.Value(data, "hlen")
	plen, _ := l.Value(data, "plen")
	return hlen == 6 && plen == 4
}

// flagNames returns, by header, the names of the bits in its field flags.
func flagNames() (names [header.NumIDs][]flag) {
	names[header.IP] = []flag{{4, "reserved"}, {2, "df"}, {1, "mf"}}
	names[header.TCP] = []flag{{tcpFin, "fin"}, {tcpSyn, "syn"}, {tcpRst, "rst"}, {tcpPsh, "psh"}, {tcpAck, "ack"},
		{tcpUrg, "urg"}, {tcpEce, "ece"}, {tcpCwr, "cwr"}}
	names[header.GRE] = []flag{{0x8000, "checksum"}, {0x2000, "key"}, {0x1000, "sequence"}}
	names[header.PPTP] = []flag{{0x2000, "key"}, {0x1000, "sequence"}, {0x80, "ack"}}
	names[header.VXLAN] = []flag{{0x08, "vni"}}
	names[header.GPE] = []flag{{0x08, "vni"}, {0x04, "next_protocol"}, {0x02, "bum"}, {0x01, "oam"}}
	names[header.GTP] = []flag{{0x04, "extension"}, {0x02, "sequence"}, {0x01, "npdu"}}
	names[header.Geneve] = []flag{{0x80, "oam"}, {0x40, "critical"}}
	return names
}

// flags prints the names of the bits that are set; those without a name as one
// number in hexadecimal.
func (j *JSON) flags(key string, names []flag, v uint32) {
	j.key(key)
	j.open('[')
	for _, f := range names {
		if v&f.bit != 0 {
			j.comma()
			j.string(f.name)
			v &^= f.bit
		}
	}
	if v != 0 {
		j.comma()
		j.buf = append(j.buf, `"0x`...)
		j.buf = strconv.AppendUint(j.buf, uint64(v), 16)
		j.buf = append(j.buf, '"')
	}
	j.close(']')
}

// wireEnd returns where the packet that the header l is in ends on the wire: at
// end, or where the header says. A length that cannot be is not believed.
func wireEnd(l header.Layer, data []byte, end int) int {
	var least, more uint32
	switch l.ID {
	case header.IP:
		least = l.Bytes
	case header.IP6:
		least, more = 1, 40 // 0 is a jumbogram, or Linux's BIG TCP
	case header.UDP:
		least = 8
	case header.ARP: // what may follow is padding
		return min(end, int(l.End()))
	default:
		return end
	}
	if n, ok := l.Value(data, "len"); ok && n >= least {
		return min(end, int(l.Off)+int(more+n))
	}
	return end
}

// ending returns why the walk through data that found the layers ended.
func (j *JSON) ending(link header.LinkType, data []byte) stop {
	layers, table := j.layers, j.opt.Table
	if len(layers) == 0 {
		first := link.First()
		if len(first) == 0 {
			return stop{"link", 0, stopLink}
		}
		h := table.Header(first[0].To)
		switch {
		case h == nil:
			return stop{"link", 0, stopLink}
		case len(data) < int(h.Min):
			return stop{h.Name, 0, stopTruncated}
		}
		return stop{h.Name, 0, stopInvalid}
	}
	last := layers[len(layers)-1]
	if int64(last.Off)+int64(last.Bytes) > int64(len(data)) {
		return stop{last.Name, int(last.Off), stopTruncated}
	}
	next := table.Header(last.Follows(data))
	if last.Later || next == nil {
		return stop{}
	}
	e := stop{next.Name, int(last.End()), stopInvalid}
	j.quoted = table.Walk(j.quoted[:0], link, data, j.opt.Depth+1)
	switch {
	case len(j.quoted) > len(layers):
		e.reason = stopDepth
	case e.offset+int(next.Min) > len(data):
		e.reason = stopTruncated
	case next.Class != header.Extension && next.ID == last.ID,
		countClass(layers, last.Level, header.Tag) == header.MaxTags && next.Class == header.Tag,
		countClass(layers, last.Level, header.Extension) == header.MaxExtensions && next.Class == header.Extension:
		e.reason = stopMany
	}
	return e
}

// countClass returns how many layers of a class a level has.
func countClass(layers []header.Layer, level int, class header.Class) (n int) {
	for _, l := range layers {
		if l.Level == level && l.Class == class {
			n++
		}
	}
	return n
}

// time prints a time in nanoseconds since 1970: as RFC 3339 has it, in UTC and
// always with nine digits, so that texts sort as times do; and as seconds since
// 1970, a text as well, because as a number it would lose nanoseconds.
func (j *JSON) time(ns int64) {
	second, fraction := ns/1e9, ns%1e9
	if fraction < 0 {
		second, fraction = second-1, fraction+1e9
	}
	if second != j.second || j.clock == nil {
		j.clock = time.Unix(second, 0).UTC().AppendFormat(j.clock[:0], "2006-01-02T15:04:05")
		j.second = second
	}
	j.key("time")
	j.buf = append(j.buf, '"')
	j.buf = append(j.buf, j.clock...)
	j.fraction(fraction)
	j.buf = append(j.buf, 'Z', '"')

	j.key("epoch")
	j.buf = append(j.buf, '"')
	if ns < 0 && fraction != 0 { // the sign is that of the whole
		second, fraction = second+1, 1e9-fraction
		if second == 0 {
			j.buf = append(j.buf, '-')
		}
	}
	j.buf = strconv.AppendInt(j.buf, second, 10)
	j.fraction(fraction)
	j.buf = append(j.buf, '"')
}

func (j *JSON) fraction(ns int64) {
	j.buf = append(j.buf, ".000000000"...)
	for i := len(j.buf) - 1; ns > 0; i-- {
		j.buf[i] += byte(ns % 10)
		ns /= 10
	}
}

// Writing. Names are ASCII and need no escapes.

// comma separates what follows from what is before it, if something is. What is
// before it is complete: a bracket at its end opens something.
func (j *JSON) comma() {
	if len(j.buf) == 0 {
		return
	}
	switch j.buf[len(j.buf)-1] {
	case '{', '[', ':', '\n':
	default:
		j.buf = append(j.buf, ',')
	}
}

func (j *JSON) key(name string) {
	j.comma()
	j.buf = append(j.buf, '"')
	j.buf = append(j.buf, name...)
	j.buf = append(j.buf, '"', ':')
}

// open starts an object or array, as a value or as an element of an array.
func (j *JSON) open(bracket byte) {
	j.comma()
	j.buf = append(j.buf, bracket)
}

func (j *JSON) close(bracket byte) { j.buf = append(j.buf, bracket) }

func (j *JSON) number(name string, v uint64) {
	j.key(name)
	j.buf = strconv.AppendUint(j.buf, v, 10)
}

func (j *JSON) bool(name string, v bool) {
	j.key(name)
	j.buf = strconv.AppendBool(j.buf, v)
}

func (j *JSON) text(name, v string) {
	j.key(name)
	j.string(v)
}

// bytes prints text from a packet, which may be anything.
func (j *JSON) bytes(name string, v []byte) {
	j.key(name)
	j.string(string(v))
}

// hex prints bytes as two hexadecimal digits each.
func (j *JSON) hex(name string, v []byte) {
	j.key(name)
	j.buf = append(j.buf, '"')
	for _, b := range v {
		j.buf = append(j.buf, digits[b>>4], digits[b&15])
	}
	j.buf = append(j.buf, '"')
}

func (j *JSON) mac(name string, v []byte) {
	j.key(name)
	j.buf = append(j.buf, '"')
	for i, b := range v {
		if i > 0 {
			j.buf = append(j.buf, ':')
		}
		j.buf = append(j.buf, digits[b>>4], digits[b&15])
	}
	j.buf = append(j.buf, '"')
}

// addr prints an address of 4 or 16 bytes, as RFC 5952 has it.
func (j *JSON) addr(name string, v []byte) {
	j.key(name)
	j.address(v)
}

func (j *JSON) address(v []byte) {
	j.comma()
	a, _ := netip.AddrFromSlice(v)
	j.buf = append(j.buf, '"')
	if a.IsValid() {
		j.buf = a.AppendTo(j.buf)
	}
	j.buf = append(j.buf, '"')
}

// string prints text. What is not UTF-8 becomes U+FFFD.
func (j *JSON) string(s string) {
	j.buf = append(j.buf, '"')
	for i, r := range s {
		switch {
		case r == '"' || r == '\\':
			j.buf = append(j.buf, '\\', byte(r))
		case r < 0x20 || r == 0x7f:
			j.buf = append(j.buf, '\\', 'u', '0', '0', digits[r>>4], digits[r&15])
		case r == utf8.RuneError:
			j.buf = append(j.buf, "\ufffd"...)
		default:
			j.buf = append(j.buf, s[i:i+utf8.RuneLen(r)]...)
		}
	}
	j.buf = append(j.buf, '"')
}

// be16 and be32 read numbers in network byte order.
func be16(b []byte) uint64 { return uint64(binary.BigEndian.Uint16(b)) }
func be32(b []byte) uint64 { return uint64(binary.BigEndian.Uint32(b)) }
