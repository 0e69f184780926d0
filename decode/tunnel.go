package decode

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/tundump/tundump/filter/header"
)

// tunnelWord returns the filter language's word for a tunnel.
func tunnelWord(h *header.Header) string {
	if h.Word != "" {
		return h.Word
	}
	return h.Name
}

// appendTunnelID appends the tunnel's identifier, if the header has one: as people
// write them, GRE's key in hexadecimal and all others in decimal.
func appendTunnelID(b []byte, l header.Layer, data []byte, before string) []byte {
	id, ok := l.Value(data, l.TunnelID)
	if !ok {
		return b
	}
	b = append(b, before...)
	if l.ID == header.GRE {
		return strconv.AppendUint(append(b, "0x"...), uint64(id), 16)
	}
	return strconv.AppendUint(b, uint64(id), 10)
}

// named reports whether the tunnel header layers[i] is told of. One that does
// nothing but carry the next, as GRE does with ERSPAN, is not.
func named(layers []header.Layer, i int, data []byte) bool {
	l := layers[i]
	if l.Class != header.Tunnel {
		return false
	}
	if i+1 < len(layers) && layers[i+1].Class == header.Tunnel {
		_, ok := l.Value(data, l.TunnelID)
		return ok
	}
	return true
}

// Annotator describes packets by their tunnels. It is for one goroutine.
type Annotator struct {
	table  *header.Table
	depth  int
	layers []header.Layer
	labels [header.NumIDs]string // of tunnels
}

// NewAnnotator returns an Annotator that looks into at most depth tunnels; a nil
// table and a depth of 0 mean what they do in TextOptions.
func NewAnnotator(table *header.Table, depth int) *Annotator {
	a := &Annotator{}
	a.table, a.depth = walkOptions(table, depth)
	for _, h := range a.table.All() {
		a.labels[h.ID] = strings.ToUpper(tunnelWord(h))
	}
	return a
}

// Append appends the tunnel path of a packet to b: the tunnels from the outside
// in, with their identifiers, each followed by the addresses in it.
//
//	GRE key 0x2a / 10.5.5.5 > 10.5.5.6
//
// It appends nothing for a packet that is in no tunnel.
func (a *Annotator) Append(b []byte, link header.LinkType, data []byte) []byte {
	a.layers = a.table.Walk(a.layers[:0], link, data, a.depth)
	start := len(b)
	separate := func() {
		if len(b) > start {
			b = append(b, " / "...)
		}
	}
	level := 0
	for i, l := range a.layers {
		if l.Level != level { // its addresses stand before the tunnels it carries
			level = l.Level
			separate()
			b = appendAddresses(b, a.layers[i:], data)
		}
		if named(a.layers, i, data) {
			separate()
			b = append(b, a.labels[l.ID]...)
			b = appendTunnelID(b, l, data, " "+l.TunnelID+" ")
		}
	}
	return b
}

// appendAddresses appends the addresses of the level that layers start with: those
// of its network header, or else of its link header.
func appendAddresses(b []byte, layers []header.Layer, data []byte) []byte {
	best := layers[0]
	for _, l := range layers {
		if l.Level == layers[0].Level && l.Class == header.Network {
			best = l
		}
	}
	src, dst := "src", "dst"
	if best.ID == header.ARP {
		b = append(b, "ARP "...)
		src, dst = "spa", "tpa"
	}
	b = appendAddress(b, best, src, data)
	b = append(b, " > "...)
	return appendAddress(b, best, dst, data)
}

func appendAddress(b []byte, l header.Layer, name string, data []byte) []byte {
	f, ok := l.Field(name)
	if !ok {
		return append(b, '?')
	}
	v, ok := l.Raw(data, f)
	if a, isIP := netip.AddrFromSlice(v); ok && isIP {
		return a.AppendTo(b)
	}
	if len(v) == 0 {
		return append(b, '?')
	}
	for i, c := range v {
		if i > 0 {
			b = append(b, ':')
		}
		b = append(b, digits[c>>4], digits[c&15])
	}
	return b
}
