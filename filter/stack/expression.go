package stack

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"net/netip"
	"slices"
	"strings"

	"github.com/tundump/tundump/filter/header"
)

// Conditions are what an expression selects packets by; all of them must hold.
// They are about the stack's innermost level: that of its last layer.
type Conditions struct {
	Hosts  []netip.Addr   // source or destination; in ARP, sender or target
	Nets   []netip.Prefix // likewise
	MACs   [][6]byte      // source or destination of the Ethernet header
	Ports  []uint16       // source or destination; of any transport if the stack has none
	IDs    []Identifier   // each of the innermost tunnel that has one
	Protos []uint8        // what the IP header carries, extension headers aside
	// Exact demands the whole layout: what follows each header, and every length
	// that offsets depend on. Otherwise the expression is short, and right for
	// packets that have the layout; it may take others for them.
	Exact bool
}

// Identifier is that of a tunnel: Name is header.Header.TunnelID.
type Identifier struct {
	Name  string
	Value uint32
}

// Empty reports whether there are no conditions.
func (c *Conditions) Empty() bool {
	return len(c.Hosts)+len(c.Nets)+len(c.MACs)+len(c.Ports)+len(c.IDs)+len(c.Protos) == 0 && !c.Exact
}

// maxExpressionExt is how many bytes of extension headers an expression can
// list all forms of: their number doubles every 8 bytes.
const maxExpressionExt = 32

// Expression returns an expression in plain pcap-filter syntax for Ethernet
// packets that start with the stack and meet the conditions. The length of the
// last layer is left open if the stack does not state it. VLAN tags in front of the
// outer network header may be of either kind, because that is how vlan works. If the
// stack has no network header outside of tunnels, offsets count from the frame's start,
// and tags must be in the packet. A condition on something that the stack does not
// have is an error.
func (s *Stack) Expression(c Conditions) (string, error) {
	e := expression{Stack: s, network: s.Network()}
	for _, l := range s.Layers {
		if l.ext > maxExpressionExt {
			return "", fmt.Errorf("%s: an expression can tell at most %d bytes of extension headers by constant offsets", l.Name, maxExpressionExt)
		}
		if l.Level == 0 && l.Class == header.Tag {
			e.tag(&l, c.Exact)
		}
	}
	if c.Exact {
		e.layout(len(c.Ports)+len(c.Protos) > 0)
	} else {
		e.start()
	}
	for _, n := range c.Protos {
		if err := e.proto(n); err != nil {
			return "", err
		}
	}
	for _, id := range c.IDs {
		if err := e.identifier(id.Name, id.Value); err != nil {
			return "", err
		}
	}
	for _, m := range c.MACs {
		if err := e.address(header.Link, m[:], 48, "Ethernet address like "+formatMAC(m)); err != nil {
			return "", err
		}
	}
	for _, p := range c.Nets {
		if err := e.address(header.Network, p.Addr().AsSlice(), p.Bits(), "address in "+p.String()); err != nil {
			return "", err
		}
	}
	for _, a := range c.Hosts {
		if err := e.address(header.Network, a.AsSlice(), a.BitLen(), "address like "+a.String()); err != nil {
			return "", err
		}
	}
	for _, p := range c.Ports {
		if err := e.port(p); err != nil {
			return "", err
		}
	}
	return strings.Join(append(e.front, e.all...), " and "), nil
}

// tag adds the test for a tag on the wire. Each of these words is for the next tag, and moves
// what comes after it.
func (e *expression) tag(l *Layer, exact bool) {
	switch {
	case l.ID == header.VLAN:
		e.all = append(e.all, "vlan")
	case e.network == nil:
	case l.ID == header.PPPoE:
		// Behind it, ether[] is what pppoes has found. What of the header it does not look at is
		// where a tag that the NIC took out of the packet has not moved it.
		if exact && len(e.all) == 0 {
			for _, t := range l.Valid {
				e.front = append(e.front, e.test(l.Off, t))
			}
		}
		e.all = append(e.all, "pppoes")
	case !slices.Contains(e.all, firstLabel):
		e.all = append(e.all, firstLabel)
	default:
		e.all = append(e.all, "mpls")
	}
}

// firstLabel finds an MPLS label: mpls alone does not know labels that were assigned upstream,
// header.TypeMPLSM.
const firstLabel = "(ether proto 0x8848 or mpls)"

// formatMAC formats an Ethernet address.
func formatMAC(m [6]byte) string {
	return strings.ReplaceAll(fmt.Sprintf("% x", m[:]), " ", ":")
}

// expression is under construction: all of its parts must hold.
type expression struct {
	*Stack
	network *Layer            // what offsets count from, nil if it is the frame
	front   []string          // in front of what moves it
	all     []string          // behind that
	facts   map[int]byteFacts // what the tests of layers say of the packet's bytes
}

// byteFacts are the bits of a byte that are known.
type byteFacts struct{ mask, value byte }

// add adds a part, if it says something that is not yet there.
func (e *expression) add(parts ...string) {
	for _, p := range parts {
		if p != "" && !slices.Contains(e.all, p) {
			e.all = append(e.all, p)
		}
	}
}

// In pcap-filter, "and" binds no tighter than "or".
func and(parts []string) string { return group(parts, " and ") }
func or(parts []string) string  { return group(parts, " or ") }

func group(parts []string, op string) string {
	if len(parts) == 1 {
		return parts[0]
	}
	return "(" + strings.Join(parts, op) + ")"
}

// load returns the pcap-filter text for size bytes, 1, 2 or 4, at off from the start of
// the frame.
func (e *expression) load(off, size int) string {
	name := "ether"
	if e.network != nil && off >= e.network.Off {
		name, off = e.network.Name, off-e.network.Off
	}
	if size == 1 {
		return fmt.Sprintf("%s[%d]", name, off)
	}
	return fmt.Sprintf("%s[%d:%d]", name, off, size)
}

// fullMask has all bits of size bytes.
func fullMask(size int) uint32 { return 1<<(8*size) - 1 }

// masked returns the test that size bytes at off, masked, have the value: all
// digits of it, so that none can be lost.
func (e *expression) masked(off, size int, mask, value uint32) string {
	return e.compare(off, size, mask, "=", value)
}

func (e *expression) compare(off, size int, mask uint32, op string, value uint32) string {
	and := ""
	if mask != fullMask(size) {
		and = fmt.Sprintf(" & 0x%0*x", 2*size, mask)
	}
	return fmt.Sprintf("%s%s %s 0x%0*x", e.load(off, size), and, op, 2*size, value)
}

// test returns a test of the header at off.
func (e *expression) test(off int, t header.Test) string { return e.relation(off, t, "=") }

// relation is test with another operator.
func (e *expression) relation(off int, t header.Test, op string) string {
	if t.Value == 0 && t.Mask != fullMask(int(t.Size)) {
		return fmt.Sprintf("%s & 0x%x %s 0", e.load(off+int(t.Off), int(t.Size)), t.Mask, op)
	}
	return e.compare(off+int(t.Off), int(t.Size), t.Mask, op, t.Value)
}

// numbers returns the test that size bytes at off are one of the values: decimal
// for ports and IP protocols, hexadecimal for what is longer.
func (e *expression) numbers(off, size int, decimal bool, values []uint32) string {
	var any []string
	for _, v := range values {
		if decimal {
			any = append(any, fmt.Sprintf("%s = %d", e.load(off, size), v))
		} else {
			any = append(any, e.masked(off, size, fullMask(size), v))
		}
	}
	return or(any)
}

// start adds the shortest test for the outer part of the stack.
func (e *expression) start() {
	n := e.network
	i := slices.IndexFunc(e.Layers, func(l Layer) bool { return l.Level == 0 && l.Class == header.Network })
	switch {
	case n == nil:
		for i := range e.Layers {
			if l := &e.Layers[i]; l.ID == header.Ether && l.Level == 0 || l.ID == header.VLAN && l.Level == 0 {
				e.add(e.next(i))
			}
		}
	case len(n.Next) == 0:
		e.add(n.Name)
		if n.ext > 0 {
			e.add(e.carries(n, nil))
		}
	case n.ext == 0 && e.Layers[i+1].ID == header.UDP && len(e.Layers[i+1].Next) > 0:
		var ports []string
		for _, p := range e.Layers[i+1].Next {
			ports = append(ports, fmt.Sprint(p))
		}
		e.add(n.Name, "udp dst port "+or(ports))
	case n.ext == 0 && n.ID == header.IP:
		e.add(fmt.Sprintf("ip proto %d", n.Next[0]))
	default:
		// "ip6 proto" is no good: it also finds what is behind a fragment header,
		// where the offsets are not these, and nothing behind other extension headers.
		e.add(e.carries(n, leads(e.Layers[i+1].ID)))
		if e.Layers[i+1].ID == header.UDP {
			e.add(e.next(i + 1))
		}
	}
}

// layout adds the tests for all of the stack; full says whether the length of the
// last layer matters.
func (e *expression) layout(full bool) {
	start := 0
	if e.network != nil {
		e.add(e.network.Name)
		start = e.network.Off
	}
	e.facts = map[int]byteFacts{}
	for i := range e.Layers {
		l := &e.Layers[i]
		if l.Off < start {
			continue
		}
		for _, t := range e.stated(l, full) {
			e.know(l.Off+int(t.Off), t.Size, t.Mask, t.Value)
		}
		if f, ok := l.Field(l.Header.Next.By); ok && len(l.Next) == 1 && l.ext == 0 {
			e.know(f.Off, uint8(f.Size), fullMask(f.Size), l.Next[0])
		}
	}
	for i := range e.Layers {
		l := &e.Layers[i]
		last := i == len(e.Layers)-1
		if l.Off < start {
			continue
		}
		for _, t := range e.stated(l, full) {
			e.add(e.test(l.Off, t))
		}
		if last && l.Fixed < l.Min && (l.open && !full || len(l.tests) == 0) {
			e.add(e.longEnough(l))
		}
		switch {
		case l.ID == header.GTP:
			if l.chained {
				e.add(e.messages(l.Off+l.Bytes()-l.ext-1, l.ext, header.MaxRepeats))
			}
			e.add(e.next(i))
		case !last && l.Class == header.Network:
			e.add(e.first(l), e.carries(l, leads(e.Layers[i+1].ID)))
		case !last:
			e.add(e.next(i))
		case l.ext > 0:
			e.add(e.first(l), e.carries(l, nil))
		}
	}
}

// stated returns the tests of a layer that are made: of one whose length is open, only
// those that always hold.
func (e *expression) stated(l *Layer, full bool) []header.Test {
	if l.open && !full {
		return l.Valid
	}
	return l.tests
}

// know adds to what is known of size bytes at off.
func (e *expression) know(off int, size uint8, mask, value uint32) {
	for i := int(size) - 1; i >= 0; i-- {
		f := e.facts[off+i]
		f.value = f.value&^byte(mask) | byte(value&mask)
		f.mask |= byte(mask)
		e.facts[off+i] = f
		mask, value = mask>>8, value>>8
	}
}

// tells reports whether it is known that the test holds for what is at off, and whether it is
// known that it does not. In the short form nothing is known.
func (e *expression) tells(off int, t header.Test) (holds, fails bool) {
	holds = true
	mask, value := t.Mask, t.Value
	for i := int(t.Size) - 1; i >= 0; i-- {
		f := e.facts[off+int(t.Off)+i]
		holds = holds && byte(mask)&^f.mask == 0
		fails = fails || byte(mask)&f.mask&(byte(value)^f.value) != 0
		mask, value = mask>>8, value>>8
	}
	return holds && !fails, fails
}

// messages returns the test that the byte at off, which says what GTP extension header comes
// next, starts so many of them that they have size bytes, and no more than most.
func (e *expression) messages(off, size, most int) string {
	none := header.Test{Size: 1, Mask: 0xff}
	if size == 0 {
		return e.test(off, none)
	}
	x := e.table.Header(header.GTPExt)
	var forms []string
	for n := unit(x.Len[0]); n <= size; n += unit(x.Len[0]) {
		length, ok := lengthTest(x, n)
		if !ok || most == 1 && n < size {
			continue
		}
		forms = append(forms, and([]string{e.relation(off, none, "!="), e.test(off, length), e.messages(off+n, size-n, most-1)}))
	}
	return or(forms)
}

// longEnough returns the test that a header, whose length is not known, is no shorter
// than it can be.
func (e *expression) longEnough(l *Layer) string {
	t, _ := lengthTest(l.Header, int(l.Min))
	return fmt.Sprintf("%s & 0x%0*x >= 0x%0*x", e.load(l.Off+int(t.Off), int(t.Size)), 2*t.Size, t.Mask, 2*t.Size, t.Value)
}

// first returns the test that a network header is no fragment other than the
// first, "" if it has no such fields.
func (e *expression) first(l *Layer) string {
	if l.Later.Size == 0 {
		return ""
	}
	return e.test(l.Off, l.Later)
}

// next returns the test for what follows a layer in the stack, "" if it follows
// always.
func (e *expression) next(i int) string {
	l := &e.Layers[i]
	f, by := l.Field(l.Header.Next.By)
	if i+1 < len(e.Layers) && e.Layers[i+1].ID == header.VLAN && l.Level == 0 && (e.network == nil || l.Off < e.network.Off) {
		return "" // the word is there
	}
	end := l.Off + l.Bytes()
	var rests []string
	values := map[string][]uint32{} // with which the same rest leads to what follows
	for _, w := range l.ways {
		var parts []string
		for _, t := range w.Tests {
			if holds, _ := e.tells(l.Off, t); !holds {
				parts = append(parts, e.test(l.Off, t))
			}
		}
		if holds, _ := e.tells(end, w.Peek); !holds {
			parts = append(parts, e.test(end, w.Peek))
		}
		for _, x := range w.Not {
			if text := e.except(l.Off, end, x); text != "" {
				parts = append(parts, text)
			}
		}
		_, fails := e.tells(end, w.Peek)
		for _, t := range w.Tests {
			_, f := e.tells(l.Off, t)
			fails = fails || f
		}
		if fails {
			continue
		}
		rest := strings.Join(parts, " and ")
		if _, ok := values[rest]; !ok {
			rests = append(rests, rest)
		}
		values[rest] = append(values[rest], w.Value)
	}
	var forms []string
	for _, rest := range rests {
		var parts []string
		if by {
			parts = append(parts, e.numbers(f.Off, f.Size, l.ID == header.UDP, values[rest]))
		}
		if rest != "" {
			parts = append(parts, rest)
		}
		switch {
		case len(parts) == 0:
			return ""
		case len(rests) == 1:
			return strings.Join(parts, " and ")
		}
		forms = append(forms, and(parts))
	}
	if len(forms) == 0 {
		return ""
	}
	return or(forms)
}

// except returns the test that an exception does not hold for the header at off, which ends
// at end; "" if that is known.
func (e *expression) except(off, end int, x header.Exception) string {
	var parts []string
	var single string
	for _, c := range []struct {
		at int
		t  header.Test
	}{{off, x.Own}, {end, x.Peek}} {
		holds, fails := e.tells(c.at, c.t)
		if fails {
			return ""
		}
		if !holds {
			parts, single = append(parts, e.test(c.at, c.t)), e.relation(c.at, c.t, "!=")
		}
	}
	switch len(parts) {
	case 0:
		return ""
	case 1:
		return single
	}
	return "not " + and(parts)
}

// carried is what is wanted behind an IP header and its extension headers: one of the
// headers in to, which must be there, or else any payload with the number proto. Nil
// stands for anything.
type carried struct {
	to    []header.ID
	proto uint32
}

// leads says that one of the headers is wanted.
func leads(ids ...header.ID) *carried { return &carried{to: ids} }

// numbers returns the IP protocol numbers with which it follows the header h: the
// IP header, or the last extension header.
func (c *carried) numbers(h *header.Header) []uint32 {
	if c.to == nil {
		return []uint32{c.proto}
	}
	var values []uint32
	for _, r := range h.Next.Rules {
		if slices.Contains(c.to, r.To) {
			values = append(values, r.Value)
		}
	}
	return values
}

// carries returns the test for what a network header carries behind its extension
// headers.
func (e *expression) carries(l *Layer, what *carried) string {
	return e.chain(l.Header, l.Off, l.Off+l.Bytes()-l.ext, l.ext, header.MaxExtensions, what)
}

// chain returns the test that extension headers of size bytes, at most so many, follow
// the header at off, which ends at end, and what comes behind them. It lists every way
// to make up that size; the result is "" if that is impossible, or anything will do.
func (e *expression) chain(h *header.Header, off, end, size, most int, what *carried) string {
	f, ok := h.Field(h.Next.By)
	if !ok {
		return ""
	}
	at := off + int(f.Off)
	if size == 0 {
		if what == nil {
			return ""
		}
		values := what.numbers(h)
		if len(values) == 0 {
			return ""
		}
		return e.numbers(at, int(f.Size), true, values)
	}
	if most == 0 {
		return ""
	}
	var forms []string
	kinds := map[string][]uint32{} // the headers by which a form can begin
	for _, r := range h.Next.Rules {
		x := e.table.Header(r.To)
		if x.Class != header.Extension {
			continue
		}
		for n := int(x.Min); n <= size; n += 4 {
			length, ok := lengthTest(x, n)
			if !ok {
				continue
			}
			var parts []string
			if length.Size > 0 {
				parts = append(parts, e.test(end, length))
			}
			if x.Later.Size > 0 && (n < size || what != nil && what.to != nil) { // what follows another fragment is no header
				parts = append(parts, e.test(end, x.Later))
			}
			rest := e.chain(x, end, end+n, size-n, most-1, what)
			if rest == "" && (n < size || what != nil) {
				continue
			}
			if rest != "" {
				parts = append(parts, rest)
			}
			form := strings.Join(parts, " and ")
			if kinds[form] == nil {
				forms = append(forms, form)
			}
			kinds[form] = append(kinds[form], r.Value)
		}
	}
	for i, form := range forms {
		parts := []string{e.numbers(at, int(f.Size), true, kinds[form])}
		if form != "" {
			parts = append(parts, form)
		}
		forms[i] = and(parts)
	}
	if len(forms) == 0 {
		return ""
	}
	return or(forms)
}

// address adds the test that one of the level's addresses starts with the first
// n bits of b.
func (e *expression) address(class header.Class, b []byte, n int, what string) error {
	l := e.find(e.Innermost(), class)
	var either []string
	for _, name := range []string{"src", "dst", "spa", "tpa"} {
		if l == nil {
			break
		}
		if f, ok := l.Field(name); ok && f.Size == len(b) {
			either = append(either, e.prefix(f.Off, b, n))
		}
	}
	if len(either) == 0 {
		return fmt.Errorf("the innermost level of %s has no %s", e, what)
	}
	switch {
	case n == 0:
	case e.network != nil && l.Off < e.network.Off && slices.Contains(e.all, "pppoes"):
		e.front = append(e.front, or(either))
	default:
		e.add(or(either))
	}
	return nil
}

// prefix returns the test that the bytes at off start with the first n bits of b,
// in loads of 4, 2 and 1 bytes, which are all there are.
func (e *expression) prefix(off int, b []byte, n int) string {
	var parts []string
	for n > 0 {
		size := 4
		switch {
		case n == 8 || len(b) == 1:
			size = 1
		case n == 16 || len(b) < 4:
			size = 2
		}
		var word [4]byte
		copy(word[4-size:], b[:size])
		mask := fullMask(size)
		if n < 8*size {
			mask &^= 1<<(8*size-n) - 1
		}
		parts = append(parts, e.masked(off, size, mask, binary.BigEndian.Uint32(word[:])&mask))
		off, b, n = off+size, b[size:], n-8*size
	}
	return and(parts)
}

// identifier adds the test of the innermost tunnel identifier with that name.
func (e *expression) identifier(name string, n uint32) error {
	for i := range slices.Backward(e.Layers) {
		l := &e.Layers[i]
		f, ok := l.Field(name)
		if !ok || l.TunnelID != name {
			continue
		}
		mask := f.Mask
		if mask == 0 {
			mask = fullMask(f.Size)
		}
		low := bits.TrailingZeros32(mask)
		if n > mask>>low {
			return fmt.Errorf("%s %d is too large for %s: at most %d", name, n, l.Name, mask>>low)
		}
		e.add(e.masked(f.Off, f.Size, mask, n<<low))
		return nil
	}
	return fmt.Errorf("no layer of %s has a %s", e, name)
}

// proto adds the test of the level's IP protocol.
func (e *expression) proto(n uint8) error {
	l := e.find(e.Innermost(), header.Network)
	if l != nil {
		if _, ok := l.Field("proto"); ok {
			e.add(e.carries(l, &carried{proto: uint32(n)}))
			return nil
		}
	}
	return fmt.Errorf("the innermost level of %s has no IP header, and so no protocol", e)
}

// port adds the test that one of the level's ports is p.
func (e *expression) port(p uint16) error {
	level := e.Innermost()
	network := e.find(level, header.Network)
	var transports []Layer
	if t := e.find(level, header.Transport); t != nil {
		transports = []Layer{*t}
	} else if network != nil {
		for _, r := range network.Header.Next.Rules {
			if h := e.table.Header(r.To); h.Class == header.Transport && len(network.Next) == 0 {
				transports = append(transports, Layer{Header: h, Off: network.Off + network.Bytes()})
			}
		}
	}
	var tests []string
	by := map[string][]header.ID{} // transports with the same test
	for _, t := range transports {
		src, ok := t.Field("sport")
		dst, ok2 := t.Field("dport")
		if !ok || !ok2 {
			continue
		}
		test := or([]string{e.numbers(src.Off, src.Size, true, []uint32{uint32(p)}), e.numbers(dst.Off, dst.Size, true, []uint32{uint32(p)})})
		if by[test] == nil {
			tests = append(tests, test)
		}
		by[test] = append(by[test], t.ID)
	}
	if len(tests) == 0 {
		return fmt.Errorf("the innermost level of %s has no ports", e)
	}
	e.add(e.first(network)) // another fragment has no ports
	if len(tests) == 1 {
		e.add(e.carries(network, leads(by[tests[0]]...)), tests[0])
		return nil
	}
	var either []string
	for _, test := range tests {
		either = append(either, and([]string{e.carries(network, leads(by[test]...)), test}))
	}
	e.add(or(either))
	return nil
}
