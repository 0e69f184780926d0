package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/cilium/ebpf"

	"github.com/tundump/tundump/filter/header"
)

// manyClauses is an expression of 60 clauses, of different kinds.
func manyClauses() string {
	var clauses []string
	for n := range 60 {
		kinds := []string{
			fmt.Sprintf("inner host 10.1.0.%d", n), fmt.Sprintf("inner (tcp port %d and net 10.%d.0.0/16)", 1000+n, n),
			fmt.Sprintf("inner ip6 host 2001:db8::%x", n), fmt.Sprintf("vxlan %d", 100+n), fmt.Sprintf("inner udp dst port %d", 2000+n),
		}
		clauses = append(clauses, kinds[n%len(kinds)])
	}
	return strings.Join(clauses, " or ")
}

// depthSize tells how large programs are, and what the verifier has to do.
func (b *bench) depthSize() error {
	t := table{
		title:  "Size by depth",
		note:   "eBPF instructions, those that the verifier processed, and the time from the text to the loaded program.",
		header: []string{"expression", "depth", "instructions", "processed", "milliseconds"},
	}
	var defaultSize, most int
	add := func(name, expression string, depth int) (err error) {
		start := time.Now()
		p, err := compile(expression, depth)
		if err != nil {
			return err
		}
		err = withProgram(p, func(_ *ebpf.Program, size int, processed uint32) error {
			took := time.Since(start)
			if depth == header.DefaultDepth && expression == defaultExpression {
				defaultSize = size
			}
			most = int(processed)
			t.rows = append(t.rows, []string{name, fmt.Sprint(depth), fmt.Sprint(size), fmt.Sprint(processed), number(float64(took.Microseconds()) / 1000)})
			return nil
		})
		if err != nil {
			return fmt.Errorf("%s, depth %d: %w", name, depth, err)
		}
		return nil
	}
	for depth := 1; depth <= b.depths; depth++ {
		if err := add("`"+defaultExpression+"`", defaultExpression, depth); err != nil {
			return err
		}
	}
	loadErr := add("60 clauses", manyClauses(), header.MaxDepth)
	if loadErr != nil {
		t.rows = append(t.rows, []string{"60 clauses", fmt.Sprint(header.MaxDepth), "refused", "", ""})
	}
	b.report.table(t)
	b.report.goal("P12", "eBPF size and verifier work", "default under 1,000 instructions; depth 8 and 60 clauses under 250,000 processed",
		defaultSize < 1000 && loadErr == nil && most < 250_000, "%d instructions; %s", defaultSize, processedText(most, loadErr))
	return nil
}

func processedText(processed int, err error) string {
	if err != nil {
		first, _, _ := strings.Cut(err.Error(), "\n")
		return "refused: " + first
	}
	return fmt.Sprintf("%d processed", processed)
}
