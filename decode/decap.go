package decode

import (
	"github.com/tundump/tundump/capture"
	"github.com/tundump/tundump/filter/header"
)

// maxTunnels is how many tunnels get an interface of their own. Who sends packets
// with ever new identifiers must not make the file's list of interfaces grow
// without end.
const maxTunnels = 1024

// Decap takes packets out of their tunnels. A tunnel becomes an interface, which has
// the name of the outer one, the words and the identifiers of the tunnels:
// "eth1 gre 0x2a", "eth1 vxlan 42 ipip". It is for one goroutine.
//
// What comes out is the innermost packet that is Ethernet or IP. A packet that is in
// no tunnel remains as it is, on its own interface. So does a later fragment of an
// outer packet, in which nothing says what it carries.
type Decap struct {
	table      *header.Table
	depth      int
	layers     []header.Layer
	interfaces []capture.Interface
	outer      []int          // by index in the source; -1 if not described yet
	tunnels    map[string]int // by source, link type and name
	key        []byte         // scratch
}

// NewDecap returns a Decap that looks into at most depth tunnels; a nil table and a
// depth of 0 mean what they do in TextOptions.
func NewDecap(table *header.Table, depth int) *Decap {
	d := &Decap{tunnels: map[string]int{}}
	d.table, d.depth = walkOptions(table, depth)
	return d
}

// Interfaces returns those that packets have had so far; later packets may add to
// them. The caller must not write to it.
func (d *Decap) Interfaces() []capture.Interface { return d.interfaces }

// Outer returns the index in Interfaces of the one that is the source's i-th, in.
func (d *Decap) Outer(i int, in *capture.Interface) int {
	for len(d.outer) <= i {
		d.outer = append(d.outer, -1)
	}
	if d.outer[i] < 0 {
		d.outer[i] = len(d.interfaces)
		d.interfaces = append(d.interfaces, *in)
	}
	return d.outer[i]
}

// Packet returns what is in p, which came from the interface in. Its Data are part
// of p's, its Interface indexes Interfaces.
//
// Its length on the wire ends with what the outer packet says that it carries, so
// padding behind that is left out. In a first fragment it is what the inner IP header says.
func (d *Decap) Packet(p *capture.Packet, in *capture.Interface) capture.Packet {
	inner := *p
	d.layers = d.table.Walk(d.layers[:0], header.LinkType(in.LinkType), p.Data, d.depth)
	start := d.innermost()
	if start == 0 {
		inner.Interface = d.Outer(p.Interface, in)
		return inner
	}
	end, fragment := max(p.Len, len(p.Data)), false
	for _, l := range d.layers[:start] {
		end = wireEnd(l, p.Data, end)
		fragment = fragment || more(l, p.Data)
	}
	off := int(d.layers[start].Off)
	there := max(off, min(end, len(p.Data)))
	inner.Data = p.Data[off:there]
	inner.Len = max(end-off, len(inner.Data))
	if fragment {
		inner.Len = max(inner.Len, d.claims(start, p.Data)-off)
	}
	inner.Interface = d.tunnel(start, p, in)
	return inner
}

// innermost returns which layer the innermost packet starts with, 0 if that is the
// whole or if there is none. Labels in front of an IP packet in a tunnel belong to the tunnel.
func (d *Decap) innermost() int {
	start, level := 0, 0
	for i, l := range d.layers {
		switch l.ID {
		case header.Ether, header.IP, header.IP6:
			if l.Level > level {
				start, level = i, l.Level
			}
		}
	}
	return start
}

// more reports whether the layer makes a packet a fragment that others follow.
func more(l header.Layer, data []byte) bool {
	at := int(l.Off)
	switch l.ID {
	case header.IP:
		return len(data) > at+6 && data[at+6]&0x20 != 0
	case header.Fragment:
		return len(data) > at+3 && data[at+3]&1 != 0
	}
	return false
}

// claims returns where the network header of the level that starts with that layer
// says that its packet ends, 0 if it does not say.
func (d *Decap) claims(start int, data []byte) int {
	const far = 1 << 30
	for _, l := range d.layers[start:] {
		if l.Level != d.layers[start].Level {
			break
		}
		if l.ID == header.IP || l.ID == header.IP6 {
			if end := wireEnd(l, data, far); end < far {
				return end
			}
		}
	}
	return 0
}

// tunnel returns the index of the interface for what starts with that layer of p.
func (d *Decap) tunnel(start int, p *capture.Packet, in *capture.Interface) int {
	link := header.LinkEthernet
	if d.layers[start].ID != header.Ether {
		link = header.LinkRaw
	}
	b := append(d.key[:0], byte(link), byte(p.Interface>>24), byte(p.Interface>>16), byte(p.Interface>>8), byte(p.Interface))
	prefix := len(b)
	b = append(b, in.Name...)
	for i, l := range d.layers[:start] {
		if named(d.layers, i, p.Data) {
			if len(b) > prefix {
				b = append(b, ' ')
			}
			b = append(b, tunnelWord(l.Header)...)
			b = appendTunnelID(b, l, p.Data, " ")
		}
	}
	index, ok := d.tunnels[string(b)]
	if !ok && len(d.tunnels) >= maxTunnels {
		b = append(append(b[:prefix], in.Name...), " other tunnels"...)
		index, ok = d.tunnels[string(b)]
	}
	d.key = b
	if !ok {
		index = len(d.interfaces)
		d.tunnels[string(b)] = index
		d.interfaces = append(d.interfaces, capture.Interface{
			Name: string(b[prefix:]), Description: "what is in this tunnel", LinkType: uint32(link),
			SnapLen: in.SnapLen, Nanoseconds: in.Nanoseconds,
		})
	}
	return index
}
