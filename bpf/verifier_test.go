package bpf

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/tundump/tundump/filter"
	"github.com/tundump/tundump/filter/header"
)

// TestVerifierLoops loads the default walk with loops, as kernels before 5.12 have to take it.
func TestVerifierLoops(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("loading eBPF needs root (sudo make test)")
	}
	opt := options(header.DefaultDepth)
	opt.Fragments, opt.Origin = filter.FollowTunnels, filter.OriginLive
	p, err := filter.Compile("inner host 10.5.5.5", opt)
	if err != nil {
		t.Fatal(err)
	}
	f, err := loadEBPF(p, snap, nil, nil, loops)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
}

// TestVerifier loads what once was more than the verifier looks at. A quarter of what it does look at is the
// most that it should have to do.
func TestVerifier(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("loading eBPF needs root (sudo make test)")
	}
	var clauses []string
	for n := range 60 {
		clauses = append(clauses, []string{
			fmt.Sprintf("inner host 10.1.0.%d", n), fmt.Sprintf("inner (tcp port %d and net 10.%d.0.0/16)", 1000+n, n),
			fmt.Sprintf("inner ip6 host 2001:db8::%x", n), fmt.Sprintf("vxlan %d", 100+n), fmt.Sprintf("inner udp dst port %d", 2000+n),
		}[n%5])
	}
	for _, text := range []string{
		"inner host 10.5.5.5", "inner port 443", "inner tunnel 42", "inner tunnel in { 1, 20, 300, 4000, 50000, 600000 }",
		"inner src host in { 10.0.0.1, 10.0.0.2, 10.0.0.3, 10.0.0.4, 10.0.0.5, 2001:db8::/32 } and inner dst net in { 10.0.0.0/8, 11.1.0.0/16, 12.1.1.0/24, 13.1.1.1, 14.1.1.0/25 }",
		"any host 10.1.1.1 and inner host 10.5.5.5 and inner 2 port 53", strings.Join(clauses, " or "),
	} {
		opt := options(8)
		opt.Fragments, opt.Origin = filter.FollowTunnels, filter.OriginLive
		p, err := filter.Compile(text, opt)
		if err != nil {
			t.Fatal(err)
		}
		f, err := loadEBPF(p, snap, nil, nil, functions)
		if err != nil {
			t.Errorf("%.80s: %v", text, err)
			continue
		}
		defer f.Close()
		info, err := f.prog.Info()
		if err != nil {
			t.Fatal(err)
		}
		n, ok := info.VerifiedInstructions()
		if t.Logf("%.80s: %d of %d instructions", text, n, f.size); ok && n > 250_000 {
			t.Errorf("%.80s: the verifier looks at %d instructions", text, n)
		}
	}
}
