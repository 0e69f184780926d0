package filter

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tundump/tundump/filter/header"
)

// PlainTunnels are the tunnels that the text of Plain looks into if nothing else is said:
// those that many have, so that it does not become longer than a kernel takes.
func PlainTunnels() []string {
	return []string{"gre", "vxlan", "geneve", "ipip", "erspan1", "erspan2"}
}

// choose returns the table with VLAN tags and only those tunnels that the words name: names of
// headers, or primitives of the language. What stands in front of a tunnel's payload is
// there with it, but for the redirect header of WCCP, which GRE rarely has.
func choose(table *header.Table, words []string) (*header.Table, error) {
	if slices.Contains(words, "all") {
		return table, nil
	}
	kept := map[header.ID]bool{header.VLAN: true}
	var names []string
	for _, h := range table.All() {
		switch {
		case h.Class == header.Tunnel:
			names = append(names, h.Word, h.Name)
			kept[h.ID] = slices.Contains(words, h.Word) || slices.Contains(words, h.Name)
		case h.Class == header.Tag, h.ID == header.WCCP:
			names = append(names, h.Name)
			kept[h.ID] = kept[h.ID] || slices.Contains(words, h.Name)
		}
	}
	for _, w := range words {
		if !slices.Contains(names, w) {
			slices.Sort(names)
			return nil, fmt.Errorf("%q is no tunnel: all, or some of %s", w, strings.Join(slices.Compact(names), ", "))
		}
	}
	kept[header.MPLS] = kept[header.MPLS] || kept[header.MPLSIP] || kept[header.PW] || kept[header.PWRaw]
	var parts func(h *header.Header)
	parts = func(h *header.Header) {
		for _, r := range h.Next.Rules {
			if x := table.Header(r.To); x != nil && x.Class == header.Part && x.ID != header.WCCP && !kept[x.ID] {
				kept[x.ID] = true
				parts(x)
			}
		}
	}
	for _, h := range table.All() {
		if h.Class == header.Tunnel && kept[h.ID] {
			parts(h)
		}
	}
	return table.Only(func(h *header.Header) bool { return kept[h.ID] }), nil
}

// named returns the words of the tunnels that primitives below n ask for.
func named(n node) (words []string) {
	anyOf(n, func(n node) bool {
		if t, ok := n.(tunnel); ok {
			switch t.word {
			case "tunnel": // any
			case "nvgre":
				words = append(words, "gre")
			default:
				words = append(words, t.word)
			}
		}
		return false
	})
	return words
}
