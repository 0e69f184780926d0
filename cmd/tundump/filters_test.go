package main

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/tundump/tundump/capture"
	"github.com/tundump/tundump/filter"
	"github.com/tundump/tundump/filter/header"
)

// descriptors returns how many files we have open.
func descriptors(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

// TestFiltersBegin loads filters while something else is done, and looks that nothing of them is left in
// the end, also if they are closed at once.
func TestFiltersBegin(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs the right to load eBPF: run the tests as root (sudo)")
	}
	eth1 := capture.Interface{Name: "eth1", LinkType: uint32(header.LinkEthernet)}
	k := kind{link: header.LinkEthernet}
	var m *memory
	begin := func(text string) *filters {
		m = &memory{}
		s := &session{ctx: t.Context(), opt: Options{Depth: 3, Fragments: filter.FollowTunnels, Interfaces: []string{"eth1"}}}
		s.tunnels = func() tunnels { return newTunnels(header.DefaultPorts(), false) }
		f := newFilters(t.Context(), text, capture.MaxSnapLen, s.filterOptions, m)
		f.begin(eth1)
		return f
	}
	loads := func() {
		f := begin("inner host 10.5.5.5")
		b := f.loadedFor(eth1)
		if b == nil || b.Fallback != nil {
			t.Fatalf("loaded %v", b)
		}
		if again, err := f.load(k); again != b || err != nil {
			t.Fatalf("loaded %v again: %v", again, err)
		}
		f.begin(eth1)
		if again, err := f.load(k); again != b || err != nil {
			t.Fatalf("after another beginning loaded %v: %v", again, err)
		}
		f.close()
		m.close()
	}
	loads() // which opens what the runtime and the libraries keep open
	before := descriptors(t)
	loads()

	f := begin("inner host 10.5.5.5")
	f.close()
	m.close()
	if b, err := f.load(k); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("closed, and loaded %v: %v", b, err)
	}
	f.begin(eth1)
	if b := f.loadedFor(eth1); b != nil {
		t.Errorf("closed, and loaded %v", b)
	}
	f.close()

	f = begin("inner host 10.5.5.5 or foo")
	for range 2 { // from begin, and of its own
		var wrong *filter.Error
		if b, err := f.load(k); b != nil || !errors.As(err, &wrong) || wrong.Pos != 23 {
			t.Errorf("loaded %v: %v", b, err)
		}
	}
	f.close()
	m.close()

	if after := descriptors(t); after != before {
		t.Errorf("%d descriptors were open before, and %d are afterwards", before, after)
	}
}

// TestWrongExpressionFirst checks that of what is wrong the expression is told of, also where it is compiled
// while the interface is opened.
func TestWrongExpressionFirst(t *testing.T) {
	for _, device := range []string{"lo", "nosuch0"} {
		cmd := exec.Command("tundump", "-i", device, "-w", "/dev/null", "inner host 10.5.5.5 or foo")
		out, _ := cmd.CombinedOutput() // the exit status tells
		if status := cmd.ProcessState.ExitCode(); status != wrong || !strings.HasPrefix(string(out), "tundump: expression, column 24: ") {
			t.Errorf("%s: exit status %d, want 2:\n%s", device, status, out)
		}
	}
}
