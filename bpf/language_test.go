package bpf

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/net/bpf"

	"github.com/tundump/tundump/filter"
	"github.com/tundump/tundump/filter/header"
	"github.com/tundump/tundump/filter/ir"
	"github.com/tundump/tundump/testdata/oracle"
	"github.com/tundump/tundump/testdata/random"
)

// TestBackendsLanguage runs the table of libpcap's expressions that package filter compares
// with tcpdump, and generated ones, in every back end: each for Ethernet and for one more
// link type, in turn.
func TestBackendsLanguage(t *testing.T) {
	defer sayLeftOut(t)
	table, err := os.ReadFile("../filter/testdata/primitives.txt")
	if err != nil {
		t.Fatal(err)
	}
	links := random.Links()
	g := random.New(21)
	packets := map[uint32][][]byte{}
	for _, link := range links {
		packets[link] = g.Frames(link, 120)
	}
	matched, programs, classics := 0, 0, 0
	run := func(text string, link uint32) {
		b := newBackends(t, text, filter.Options{LinkType: header.LinkType(link), Table: header.New(header.DefaultPorts()), Depth: 1, Names: oracle.Names{}})
		defer b.close()
		programs++
		if b.classic != nil {
			classics++
		}
		// Unoptimised, it is what Match says of the program that was not optimised either.
		opt := filter.Options{LinkType: header.LinkType(link), Table: header.New(header.DefaultPorts()), Depth: 1, Names: oracle.Names{}, NoOptimise: true}
		raw, err := filter.Compile(text, opt)
		if err != nil {
			t.Fatal(err)
		}
		var unoptimised *bpf.VM // nil if the program is too large
		if insns, err := ClassicUnoptimised(raw, snap, false); err == nil {
			if unoptimised, err = bpf.NewVM(insns); err != nil {
				t.Fatalf("%s\n%v", text, err)
			}
		} else if b.classic != nil && !strings.Contains(err.Error(), "classic BPF has room for") {
			t.Fatalf("%s\n%v", text, err)
		}
		for range 25 {
			of := packets[link]
			data := of[g.IntN(len(of))]
			if b.check(t, text, data) {
				matched++
			}
			if unoptimised == nil {
				continue
			}
			n, err := unoptimised.Run(data)
			if want := raw.Match(data, ir.Meta{Len: uint32(len(data))}); err != nil || (n != 0) != want {
				t.Fatalf("%s\non %x\nunoptimised: %d, %v; Match says %v", text, data, n, err, want)
			}
		}
	}
	for line := range strings.Lines(string(table)) {
		says, text, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		if !ok || len(says) != len(links) || strings.Trim(says, "+.-") != "" || strings.Contains(text, "bound") || strings.Contains(text, "ifindex") {
			continue // a comment, or about the capture and not the packet
		}
		tried := 0
		for i := range links {
			n := (programs + i) % len(links)
			if i == 0 {
				n = 0 // Ethernet
			}
			if says[n] != '-' && tried < 2 {
				tried++
				run(text, links[n])
			}
		}
	}
	for range random.Rounds(150) {
		link := links[g.IntN(len(links))]
		text := g.Language(link, 1+g.IntN(5))
		if _, err := filter.Compile(text, filter.Options{LinkType: header.LinkType(link), Table: header.New(header.DefaultPorts()), Depth: 1, Names: oracle.Names{}}); err == nil &&
			!strings.Contains(text, "bound") && !strings.Contains(text, "ifindex") {
			run(text, link)
		}
	}
	if programs < 1500 || classics < programs*9/10 || matched < 25*programs/50 {
		t.Errorf("%d programs, %d as classic BPF, %d packets matched: the test says little", programs, classics, matched)
	}
	t.Logf("%d programs, %d as classic BPF, %d packets matched", programs, classics, matched)
}
