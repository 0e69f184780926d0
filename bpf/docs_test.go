package bpf

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tundump/tundump/filter"
	"github.com/tundump/tundump/filter/header"
)

// filtersDocument is a page with some filters and what they compile to.
const filtersDocument = "../docs/filters.md"

// TestFiltersDocument checks that the page shows today's programs.
func TestFiltersDocument(t *testing.T) {
	page := filtersPage(t)
	if *updateFilters {
		if err := os.WriteFile(filtersDocument, page, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(filtersDocument)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(page), string(have)); d != "" {
		t.Errorf("%s is not what filters compile to; make docs writes it anew (-want +have):\n%s", filtersDocument, d)
	}
}

var updateFilters = flag.Bool("update-filters", false, "write "+filtersDocument+" anew")

func filtersPage(t *testing.T) []byte {
	var page bytes.Buffer
	fmt.Fprint(&page, `# Twelve filters and what they compile to

Made by `+"`make docs`"+`; a test compares. Each filter is shown as classic BPF, what `+"`tundump -y EN10MB -d`"+` prints, and as the
eBPF program that a live capture loads. A program for which this is too long to be read is only counted.

The meaning of a filter is decided once, on the way to an intermediate form (package filter/ir); both back ends only translate it.
Three things to look for:

- What is beyond the packet rejects it in classic BPF by itself, and in a program without scopes that is what libpcap means by it. eBPF
  compares with the length first.
- Each load from the packet is a call in eBPF. So a program copies the start of the packet once into memory that it may
  read at any offset.
- Inside scopes (`+"`inner`"+`, `+"`any`"+`) classic BPF has the walk through the tunnels once for each level; eBPF has a loop.
`)
	for n, f := range []struct{ text, why string }{
		{"ip", "One load, one comparison."},
		{"host 10.5.5.5", "The source, then the destination, of IP, and of ARP and RARP at other offsets; the type is loaded once."},
		{"tcp port 80", "The length of the IPv4 header comes from the packet; fragments other than the first have no ports."},
		{"tcp[tcpflags] & (tcp-syn|tcp-fin) != 0", "A byte of TCP is looked for behind IPv4 only, as in libpcap; bits are tested in one instruction."},
		{"ip[2:2] - ((ip[0] & 0xf) << 2) - ((tcp[12] & 0xf0) >> 2) != 0", "Arithmetic: TCP packets that carry data, from the manual of libpcap."},
		{"vlan 100 and host 10.5.5.5", "A tag moves everything behind it by four bytes."},
		{"mpls 1000 and mpls and host 10.5.5.5", "Two labels; behind the bottom of the stack the version tells what it is."},
		{"pppoes 7 and ip6", "PPP has protocol numbers of its own."},
		{"net 10.0.0.0/8 and not port 22", "A mask, and a condition that is turned around without a jump more."},
		{"geneve 42 and host 10.5.5.5", "libpcap's tunnel primitive: the length of the options is in the packet, and so is what they are followed by."},
		{"ip6 protochain 17", "A walk along extension headers: at most 32, where libpcap's program may turn for ever. Classic BPF has a copy for each."},
		{"inner host 10.5.5.5", "At any of three tunnel levels, through every tunnel that is known."},
	} {
		p, err := filter.Compile(f.text, filter.Options{LinkType: header.LinkEthernet, Table: header.New(header.DefaultPorts()), Depth: header.DefaultDepth})
		if err != nil {
			t.Fatal(err)
		}
		classic, err := Classic(p, 262144, false)
		if err != nil {
			t.Fatal(err)
		}
		e, err := EBPF(p, 262144, Maps{})
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&page, "\n## %d. `%s`\n\n%s\n", n+1, f.text, f.why)
		const longest = 120
		if len(classic) <= longest {
			var text bytes.Buffer
			if err := Dump(&text, classic); err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&page, "\nClassic BPF, %d instructions:\n\n%s", len(classic), indented(text.String()))
		} else {
			fmt.Fprintf(&page, "\nClassic BPF: %d instructions.\n", len(classic))
		}
		if len(e) <= longest {
			fmt.Fprintf(&page, "\neBPF, %d instructions:\n\n%s", len(e), indented(fmt.Sprint(e)))
		} else {
			fmt.Fprintf(&page, "\neBPF: %d instructions.\n", len(e))
		}
	}
	return page.Bytes()
}

// indented returns text as Markdown shows it literally.
func indented(text string) string {
	var s strings.Builder
	for line := range strings.Lines(text) {
		s.WriteString("    " + strings.TrimRight(strings.ReplaceAll(line, "\t", "    "), " \n") + "\n")
	}
	return s.String()
}
