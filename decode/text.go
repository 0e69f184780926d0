package decode

import (
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"io"
	"math"
	"net/netip"
	"strconv"
	"time"

	"github.com/tundump/tundump/capture"
	"github.com/tundump/tundump/filter/header"
)

// TextOptions says how packets are printed. The zero value is tcpdump -n's form.
type TextOptions struct {
	// Table says which tunnels there are; nil is the table of the default ports.
	Table *header.Table
	// Depth is how many tunnels are looked into, at most header.MaxDepth; 0 means
	// header.DefaultDepth. The header of the next one is still printed, what it
	// carries is not.
	Depth int
	// LinkHeader prints the link-layer header as well, tcpdump's -e.
	LinkHeader bool
	// Verbose counts tcpdump's -v. From 1 on a packet may take several lines, as it
	// does there.
	Verbose int
	// Quiet prints less of each protocol, tcpdump's -q.
	Quiet bool
	// ShowInterface prints the interface's name and the packet's direction
	// behind the time, as tcpdump -i any does.
	ShowInterface bool
	// Time is the form of the times.
	Time TimeForm
	// Nanoseconds prints times with nine digits instead of six.
	Nanoseconds bool
	// Bright returns the tunnel levels of a packet, 1<<0 for what is on the wire, that
	// are printed bright on a terminal, the others being dim; 0 means that all are
	// plain. If it is nil, all are.
	Bright func(p *capture.Packet, link header.LinkType) uint
	// Location is the time zone of the times; nil means local time.
	Location *time.Location
	// Number prints the number of the packet in front of the time, counted from 1, -#.
	Number bool
	// Lengths prints how many bytes were captured and how many were on the wire, in
	// front of the time, --lengths.
	Lengths bool
	// AbsoluteSeq prints TCP's sequence numbers as they are, -S, and not from
	// the connection's start.
	AbsoluteSeq bool
	// NoChecksums does not verify the checksums of IPv4, TCP and UDP, -K.
	NoChecksums bool
	// ASDot prints numbers of autonomous systems of more than 16 bits in two parts, RFC 5396, -b.
	ASDot bool
	// Hex counts -x: 1 prints the packet's bytes in hexadecimal below it, 2 those of
	// the link-layer header as well.
	Hex int
	// HexASCII counts -X: as Hex, and as text beside it. It goes before Hex.
	HexASCII int
	// ASCII counts -A: as text alone. Hex goes before it.
	ASCII int
	// Names finds names for addresses and ports; nil prints numbers.
	Names Names
}

// Text prints packets as Debian's tcpdump 4.99.3 does with -n, line for line, but
// through every tunnel: a Sink. The tests list every other difference.
type Text struct {
	w    io.Writer
	opt  TextOptions
	buf  []byte // lines not yet written, and the one being made
	err  error  // the write error
	told bool   // err has been returned

	second    int64 // the time whose text is in clock
	clock     []byte
	reference int64 // what time differences are from, if referred
	referred  bool
	number    uint64 // of the packet, from 1

	flows flows

	// What follows is about the packet being printed. Offsets and lengths are in
	// bytes. A length is what a header claims; what is there ends at end.
	data []byte
	end  int // where what is captured, or the packet that holds us, ends
	room int // buf must not become longer; -1 after a truncation mark
	// resumes tells that what comes behind the truncation mark is printed all the same.
	resumes bool
	proto   string
	inside  uint64 // the tunnels that we are in, as a hash; 0 if in none
	outer   int    // where the network header that we are in starts
	final   int    // where the address of its final destination is
	// linkSize is the length of the packet's own link-layer header, tags included.
	linkSize int

	colours

	layers []header.Layer
	walked bool
	link   header.LinkType // of what is walked, which starts at base
	base   int
	depth  int // levels that may still be entered from there
	level  int // levels entered from there
}

const (
	textBuffer = 64 << 10
	// maxLine is the longest text of one packet. Only a packet made for it comes near.
	maxLine = 64 << 10
)

// NewText returns a sink that prints to w.
func NewText(w io.Writer, opt TextOptions) *Text {
	if opt.Table == nil {
		opt.Table = header.New(header.DefaultPorts())
	}
	if opt.Depth == 0 {
		opt.Depth = header.DefaultDepth
	}
	opt.Depth = min(opt.Depth, header.MaxDepth)
	if opt.Location == nil {
		opt.Location = time.Local
	}
	return &Text{
		w:      w,
		opt:    opt,
		buf:    make([]byte, 0, textBuffer+4096),
		second: math.MinInt64,
		flows:  newFlows(),
	}
}

// Packet prints a packet.
func (t *Text) Packet(p *capture.Packet, in *capture.Interface) error {
	if t.err != nil {
		return t.fail()
	}
	start := len(t.buf)
	t.room = start + maxLine
	t.start(p)
	t.data, t.end = p.Data, len(p.Data)
	t.proto, t.inside, t.linkSize = "", 0, 0
	t.link, t.base, t.depth, t.level, t.walked = header.LinkType(in.LinkType), 0, t.opt.Depth, 0, false

	switch {
	case len(p.Data) == 0 || p.Len < len(p.Data):
		t.invalidHeader(p)
	default:
		t.time(p.Time)
		if t.opt.ShowInterface {
			t.text(in.Name)
			t.pad(len(in.Name), 5)
			t.padded(direction(p.Direction), 3)
		}
		t.startColours(p)
		t.linkLayer(p.Len)
	}
	if t.room >= 0 && len(t.buf) > t.room {
		t.buf = append(t.buf[:t.room], " [...]"...)
	}
	t.endColours()
	t.payload(p.Data)
	t.buf = append(t.buf, '\n')
	t.data = nil
	if len(t.buf) >= textBuffer {
		return t.Flush()
	}
	return nil
}

// Flush writes what is buffered, whole lines.
func (t *Text) Flush() error {
	if t.err == nil && len(t.buf) > 0 {
		if _, err := t.w.Write(t.buf); err != nil {
			t.err = fmt.Errorf("writing packets as text: %w", err)
		}
		t.buf = t.buf[:0]
	}
	return t.fail()
}

// Close writes what is buffered.
func (t *Text) Close() error {
	if t.told {
		return nil
	}
	return t.Flush()
}

func (t *Text) fail() error {
	t.told = t.err != nil
	return t.err
}

func (t *Text) invalidHeader(p *capture.Packet) {
	t.s("[Invalid header:")
	if len(p.Data) == 0 {
		t.s(" caplen==0")
		if p.Len == 0 {
			t.s(", len==0")
		}
	} else {
		t.s(" len(")
		t.u(p.Len)
		t.s(") < caplen(")
		t.u(len(p.Data))
		t.s(")")
	}
	t.s("]")
}

func direction(d capture.Direction) string {
	switch d {
	case capture.DirectionIn:
		return "In"
	case capture.DirectionOut:
		return "Out"
	}
	return "?"
}

// Printing. Nothing is printed any more after a truncation mark, so that who
// met it need not tell its callers.

func (t *Text) s(s string) {
	if len(t.buf) <= t.room {
		t.buf = append(t.buf, s...)
	}
}

func (t *Text) u(v int) {
	if len(t.buf) <= t.room {
		t.buf = strconv.AppendUint(t.buf, uint64(uint32(v)), 10)
	}
}

// i prints a number with its sign.
func (t *Text) i(v int) {
	if len(t.buf) <= t.room {
		t.buf = strconv.AppendInt(t.buf, int64(v), 10)
	}
}

func (t *Text) u64(v uint64) {
	if len(t.buf) <= t.room {
		t.buf = strconv.AppendUint(t.buf, v, 10)
	}
}

// x prints in hexadecimal, with leading zeros up to width.
func (t *Text) x(v uint32, width int) {
	if len(t.buf) > t.room {
		return
	}
	for ; width > 1 && v>>(4*(width-1)) == 0; width-- {
		t.buf = append(t.buf, '0')
	}
	t.buf = strconv.AppendUint(t.buf, uint64(v), 16)
}

func (t *Text) padded(s string, width int) {
	t.s(s)
	t.pad(len(s), width)
}

// pad prints the spaces behind a column that is n bytes long so far.
func (t *Text) pad(n, width int) {
	for ; n < width; n++ {
		t.s(" ")
	}
	t.s(" ")
}

// char prints a byte, visible even if it is a control character.
func (t *Text) char(c byte) {
	if c&0x80 != 0 {
		t.s("M-")
		c &= 0x7f
	}
	if c < 0x20 || c == 0x7f {
		t.s("^")
		c ^= 0x40
	}
	if !t.stopped() {
		t.buf = append(t.buf, c)
	}
}

// text prints a string that somebody else made up.
func (t *Text) text(s string) {
	for i := range len(s) {
		t.char(s[i])
	}
}

// name prints the name, or else unknown.
func (t *Text) name(name, unknown string) {
	if name == "" {
		name = unknown
	}
	t.s(name)
}

// nameOr prints the name, or else v between the other two.
func (t *Text) nameOr(name string, v int, before, after string) {
	if name != "" {
		t.s(name)
		return
	}
	t.s(before)
	t.u(v)
	t.s(after)
}

type flag struct {
	bit  uint32
	name string
}

// flags prints the names of the flags that are set, or else none.
func (t *Text) flags(flags []flag, v uint32, separator, none string) {
	first := true
	for _, f := range flags {
		if v&f.bit != 0 {
			if !first {
				t.s(separator)
			}
			t.s(f.name)
			first = false
		}
	}
	if first {
		t.s(none)
	}
}

const digits = "0123456789abcdef"

// hex prints n bytes.
func (t *Text) hex(o, n int, separator string) {
	if !t.need(o, n) {
		return
	}
	for i, b := range t.data[o : o+n] {
		if len(t.buf) > t.room {
			return
		}
		if i > 0 {
			t.buf = append(t.buf, separator...)
		}
		t.buf = append(t.buf, digits[b>>4], digits[b&15])
	}
}

func (t *Text) mac(o int) { t.hex(o, 6, ":") }

func (t *Text) ip4Addr(o int) {
	if !t.need(o, 4) || t.named(t.data[o:o+4]) {
		return
	}
	t.number4(o)
}

// number4 prints an IPv4 address that is data, and has no name.
func (t *Text) number4(o int) {
	if t.need(o, 4) {
		t.dotted([4]byte(t.data[o : o+4]))
	}
}

func (t *Text) dotted(a [4]byte) {
	if t.stopped() {
		return
	}
	for i, b := range a {
		if i > 0 {
			t.buf = append(t.buf, '.')
		}
		if b >= 100 {
			t.buf = append(t.buf, '0'+b/100)
		}
		if b >= 10 {
			t.buf = append(t.buf, '0'+b/10%10)
		}
		t.buf = append(t.buf, '0'+b%10)
	}
}

// named prints the name of an address, if it has one.
func (t *Text) named(addr []byte) bool {
	if t.opt.Names == nil {
		return false
	}
	a, _ := netip.AddrFromSlice(addr)
	name := t.opt.Names.Addr(a)
	t.text(name)
	return name != ""
}

func (t *Text) ip6Addr(o int) {
	if !t.need(o, 16) || t.named(t.data[o:o+16]) {
		return
	}
	t.prefix([16]byte(t.data[o : o+16]))
}

// prefix prints an IPv6 address.
func (t *Text) prefix(a [16]byte) {
	if t.stopped() {
		return
	}
	if binary.BigEndian.Uint64(a[:]) == 0 && binary.BigEndian.Uint32(a[8:]) == 0 && a[12]|a[13] != 0 {
		// RFC 4291 2.5.5.1: an IPv4 address in the last 4 bytes
		t.s("::")
		t.buf = netip.AddrFrom4([4]byte(a[12:])).AppendTo(t.buf)
		return
	}
	t.buf = netip.AddrFrom16(a).AppendTo(t.buf)
}

// addr prints a network address of version 4 or 6.
func (t *Text) addr(version, o int) {
	if version == 4 {
		t.ip4Addr(o)
	} else {
		t.ip6Addr(o)
	}
}

// trunc prints tcpdump's mark for a packet that is cut within the protocol, and
// ends the line.
func (t *Text) trunc() {
	t.s(" [|")
	t.s(t.proto)
	t.s("]")
	t.stop()
}

// stop lets nothing more be printed of this packet.
func (t *Text) stop() {
	if !t.stopped() {
		t.room = -1
	}
}

func (t *Text) stopped() bool { return len(t.buf) > t.room }

func (t *Text) invalid() { t.s(" (invalid)") }

// Reading. What is beyond end is a truncation.

func (t *Text) has(o, n int) bool { return n >= 0 && o >= 0 && o+n <= t.end }

// need marks the truncation if the n bytes at o are not there.
func (t *Text) need(o, n int) bool {
	if t.has(o, n) {
		return true
	}
	t.trunc()
	return false
}

func (t *Text) u8(o int) int {
	if !t.need(o, 1) {
		return 0
	}
	return int(t.data[o])
}

func (t *Text) i8(o int) int { return int(int8(t.u8(o))) }

func (t *Text) u64At(o int) uint64 {
	if !t.need(o, 8) {
		return 0
	}
	return binary.BigEndian.Uint64(t.data[o:])
}

func (t *Text) u16(o int) int {
	if !t.need(o, 2) {
		return 0
	}
	return int(binary.BigEndian.Uint16(t.data[o:]))
}

func (t *Text) u24(o int) int {
	if !t.need(o, 3) {
		return 0
	}
	return int(t.data[o])<<16 | int(binary.BigEndian.Uint16(t.data[o+1:]))
}

func (t *Text) u32(o int) uint32 {
	if !t.need(o, 4) {
		return 0
	}
	return binary.BigEndian.Uint32(t.data[o:])
}

// cut lets the packet end length bytes from o, if that is before it ends now.
func (t *Text) cut(o, length int) { t.end = min(t.end, o+length) }

// Tunnels.

// layer returns the header of the walk that is at o, in the network header that we are
// in, and is one of ids.
func (t *Text) layer(o int, ids ...header.ID) (l header.Layer, ok bool) {
	if !t.walked {
		t.walk()
	}
	if l, ok = t.find(o, ids); !ok && t.base != t.outer {
		// Behind a header that the table does not have. Another walk starts here.
		t.link, t.base = header.LinkIPv6, t.outer
		if t.data[t.outer]>>4 == 4 {
			t.link = header.LinkIPv4
		}
		t.depth, t.level = t.depth-t.level, 0
		t.walk()
		l, ok = t.find(o, ids)
	}
	return l, ok
}

func (t *Text) walk() {
	t.layers = t.opt.Table.Walk(t.layers[:0], t.link, t.data[t.base:], t.depth)
	t.walked = true
}

func (t *Text) find(o int, ids []header.ID) (l header.Layer, ok bool) {
	for _, l := range t.layers {
		if int(l.Off)+t.base == o {
			for _, id := range ids {
				if l.ID == id {
					return l, true
				}
			}
		}
	}
	return l, false
}

// deeper notes that what follows is inside of a tunnel that the table does not have, and
// reports whether it is to be looked at.
func (t *Text) deeper() bool {
	if t.level >= t.depth {
		return false
	}
	t.level++
	return true
}

// enter notes that what follows is inside of the tunnel, and returns what that is:
// None if it is not to be looked at.
func (t *Text) enter(tunnel header.Layer) header.ID {
	if tunnel.Level >= t.depth {
		return header.None
	}
	t.level = tunnel.Level + 1
	// The same addresses and ports inside another tunnel are another connection. Both
	// directions must give the same hash, so the outer addresses are taken in order.
	var key [8 + 1 + 4 + 16 + 16]byte
	binary.LittleEndian.PutUint64(key[:], t.inside)
	key[8] = byte(tunnel.ID)
	data := t.data[t.base:]
	if id, ok := tunnel.Value(data, tunnel.TunnelID); ok {
		binary.LittleEndian.PutUint32(key[9:], id)
	}
	src, dst := t.addresses()
	if string(src) > string(dst) {
		src, dst = dst, src
	}
	copy(key[13:], src)
	copy(key[29:], dst)
	t.inside = maphash.Bytes(t.flows.seed, key[:]) | 1
	next := tunnel.Follows(data)
	t.enterColour(tunnel, next)
	return next
}

// network returns the version of the network header that we are in, and the
// offsets of its addresses and of the field that says what follows.
func (t *Text) network() (version, src, dst, next int) {
	if t.data[t.outer]>>4 == 4 {
		return 4, t.outer + 12, t.outer + 16, t.outer + 9
	}
	return 6, t.outer + 8, t.outer + 24, t.outer + 6
}

// addresses returns the addresses of the network header that we are in.
func (t *Text) addresses() (src, dst []byte) {
	version, from, to, _ := t.network()
	n := addrLen(version)
	return t.data[from : from+n], t.data[to : to+n]
}

func addrLen(version int) int {
	if version == 4 {
		return 4
	}
	return 16
}

// inner prints what a tunnel carries, and reports whether it can.
func (t *Text) inner(id header.ID, o, length int) bool {
	switch id {
	case header.Ether:
		t.ether(o, length)
	case header.IP:
		t.ip(o, length)
	case header.IP6:
		t.ip6(o, length)
	case header.ERSPAN1, header.ERSPAN2:
		t.erspan(id, o, length)
	case header.MPLS:
		t.mpls(o, length)
	default:
		return false
	}
	return true
}
