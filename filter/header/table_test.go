package header_test

import (
	"math/bits"
	"slices"
	"testing"

	"github.com/tundump/tundump/filter/header"
	"github.com/tundump/tundump/testdata/random"
)

// TestReachable checks that there is a way to every header of the table.
func TestReachable(t *testing.T) {
	table := header.New(random.Ports())
	found := map[header.ID]bool{}
	var visit func(rules []header.Rule)
	visit = func(rules []header.Rule) {
		for _, r := range rules {
			if h := table.Header(r.To); h == nil && r.To != header.None {
				t.Errorf("a rule leads to ID %d", r.To)
			} else if h == nil {
				continue
			} else if !found[r.To] {
				found[r.To] = true
				visit(h.Next.Rules)
			}
		}
	}
	for _, link := range header.Links() {
		visit(link.First())
	}
	all := table.All()
	if len(all) != int(header.NumIDs)-1 {
		t.Errorf("All has %d headers", len(all))
	}
	for i, h := range all {
		if int(h.ID) != i+1 || table.Header(h.ID) != h {
			t.Errorf("header %d is %q with ID %d", i+1, h.Name, h.ID)
		}
		if !found[h.ID] {
			t.Errorf("%s cannot be reached", h.Name)
		}
	}
	for _, id := range []header.ID{header.None, header.NumIDs, 255} {
		if table.Header(id) != nil {
			t.Errorf("ID %d has a header", id)
		}
	}
}

// longest has the most bytes that the variable headers can have, from their
// RFCs.
var longest = map[header.ID]uint32{
	header.IP: 60, header.HopOpts: 2048, header.Routing: 2048, header.DstOpts: 2048, header.AH: 1028,
	header.TCP: 60, header.GRE: 16, header.Geneve: 260, header.ERSPAN3: 20, header.PPTP: 16, header.NSH: 252, header.GTPExt: 1020,
	header.TeredoAuth: 523, header.GUE: 128,
}

// TestTable checks what the documentation of the types promises.
func TestTable(t *testing.T) {
	names := map[string]bool{}
	for _, h := range header.New(random.Ports()).All() {
		if h.Name == "" || names[h.Name] {
			t.Errorf("%q is no name, or used twice", h.Name)
		}
		names[h.Name] = true
		// within checks that Min covers a field.
		within := func(what string, off, size uint8) {
			if uint32(off)+uint32(size) > h.Min {
				t.Errorf("%s: %s, %d bytes at %d, is not within Min = %d", h.Name, what, size, off, h.Min)
			}
		}
		test := func(what string, v header.Test) {
			within(what, v.Off, v.Size)
			if v.Size > 4 || v.Value&^v.Mask != 0 || bits.Len32(v.Mask) > 8*int(v.Size) || v.Size > 0 && v.Mask == 0 {
				t.Errorf("%s: %s can never hold, or always: %+v", h.Name, what, v)
			}
		}
		term := func(what string, l header.LenTerm) uint32 {
			within(what, l.Off, l.Size)
			if !slices.Contains([]uint8{1, 2, 4}, l.Size) || l.Mask == 0 || bits.Len32(l.Mask) > 8*int(l.Size) ||
				l.Shift < 0 && bits.TrailingZeros32(l.Mask) < int(-l.Shift) {
				t.Errorf("%s: %s: %+v", h.Name, what, l)
			}
			return l.Of(l.Mask)
		}
		most := h.Fixed
		for _, l := range h.Len {
			most += term("Len", l)
		}
		want, variable := longest[h.ID]
		if !variable {
			want = h.Min
		}
		if h.Constant() == variable || most != want {
			t.Errorf("%s: Min %d, Fixed %d, at most %d bytes, want %d", h.Name, h.Min, h.Fixed, most, want)
		}
		for _, v := range h.Valid {
			test("Valid", v)
		}
		test("Later", h.Later)

		fields := map[string]bool{}
		for i, f := range h.Fields {
			if fields[f.Name] {
				t.Errorf("%s has two fields %s", h.Name, f.Name)
			}
			fields[f.Name] = true
			if got, ok := h.Field(f.Name); !ok || got != &h.Fields[i] {
				t.Errorf("%s: Field does not find %s", h.Name, f.Name)
			}
			if !slices.Contains([]uint8{1, 2, 4, 6, 16}, f.Size) || f.Size > 4 && f.Mask != 0 || bits.Len32(f.Mask) > 8*int(f.Size) {
				t.Errorf("%s %s: size %d, mask %#x", h.Name, f.Name, f.Size, f.Mask)
			}
			if f.If == (header.Test{}) {
				// What is always there is so in the shortest header.
				within(f.Name, f.Off, f.Size)
				if len(f.Pos) != 0 {
					t.Errorf("%s %s is always there, but not always at the same place", h.Name, f.Name)
				}
				continue
			}
			test(f.Name, f.If)
			end := uint32(f.Off) + uint32(f.Size)
			for _, l := range f.Pos {
				end += term(f.Name, l)
			}
			if end > most {
				t.Errorf("%s %s ends at %d, the header at %d", h.Name, f.Name, end, most)
			}
		}
		if _, ok := h.Field("no such field"); ok {
			t.Errorf("%s has every field", h.Name)
		}

		// Walk and the lowering compare all of the field By.
		if f, ok := h.Field(h.Next.By); h.Next.By != "" && (!ok || f.Mask != 0 || len(f.Pos) != 0 || f.If != (header.Test{}) || f.Size > 4) {
			t.Errorf("%s: Next.By %q", h.Name, h.Next.By)
		}
		seen := map[header.Rule]bool{}
		for _, r := range h.Next.Rules {
			test("Next", r.If)
			if h.Next.By == "" && r.Value != 0 {
				t.Errorf("%s: a rule compares %d with nothing", h.Name, r.Value)
			}
			if p := r.Peek; p.Size > 4 || p.Value&^p.Mask != 0 || bits.Len32(p.Mask) > 8*int(p.Size) || p.Size > 0 && p.Mask == 0 {
				t.Errorf("%s: what follows can never be that, or is always: %+v", h.Name, p)
			}
			r.To = header.None
			if seen[r] || seen[header.Rule{Value: r.Value}] || seen[header.Rule{Value: r.Value, If: r.If}] {
				t.Errorf("%s: the rule for %#x is not the first", h.Name, r.Value)
			}
			seen[r] = true
		}
	}
}

// TestClasses checks that the headers make levels: link, tags, network,
// extensions, transport, tunnel, in this order.
func TestClasses(t *testing.T) {
	table := header.New(random.Ports())
	may := map[header.Class][]header.Class{
		header.Link:      {header.Tag, header.Network, header.Tunnel},
		header.Tag:       {header.Tag, header.Network, header.Tunnel},
		header.Network:   {header.Extension, header.Transport, header.Tunnel},
		header.Extension: {header.Extension, header.Transport, header.Tunnel},
		header.Transport: {header.Tunnel},
		header.Tunnel:    {header.Tunnel, header.Part, header.Link, header.Tag, header.Network},
		header.Part:      {header.Part, header.Link, header.Network},
	}
	for _, h := range table.All() {
		for _, r := range h.Next.Rules {
			next := table.Header(r.To)
			if next == nil {
				continue
			}
			if !slices.Contains(may[h.Class], next.Class) {
				t.Errorf("%s, %v, is followed by %s, %v", h.Name, h.Class, next.Name, next.Class)
			} else if h.Class == header.Tunnel && next.Class == header.Tunnel && len(next.Next.Rules) == 0 {
				t.Errorf("%s carries %s, which carries nothing", h.Name, next.Name)
			}
		}
		if tunnel := h.Class == header.Tunnel; tunnel != (h.Word != "") || tunnel && len(h.Next.Rules) == 0 {
			t.Errorf("%s: a %v with the word %q", h.Name, h.Class, h.Word)
		}
		if _, ok := h.Field(h.TunnelID); h.TunnelID != "" && (!ok || h.Class != header.Tunnel) {
			t.Errorf("%s: tunnel ID %q", h.Name, h.TunnelID)
		}
		if h.Repeats() && (h.Class != header.Tag && h.Class != header.Extension && h.Class != header.Part || h.Min == 0) {
			t.Errorf("%s, %v, may follow itself", h.Name, h.Class)
		}
		if h.Min == 0 && (h.Class != header.Tunnel || h.Fixed != 0) {
			t.Errorf("%s takes no room", h.Name)
		}
	}
}

func TestLinkTypes(t *testing.T) {
	for _, l := range header.Links() {
		name, description := l.Name()
		if name == "" || description == "" || len(l.First()) == 0 {
			t.Errorf("link type %d: %q, %q, %d rules", l, name, description, len(l.First()))
		}
	}
	if name, description := header.LinkType(147).Name(); name != "" || description != "" || header.LinkType(147).First() != nil {
		t.Errorf("link type 147 is %q, %q", name, description)
	}
}
