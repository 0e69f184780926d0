package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/tundump/tundump/capture"
)

// capturer is a tool that captures to a file, and how it is called.
type capturer struct {
	name  string
	ready string // what it says when it captures
	// arguments for an interface and a file
	arguments func(file string) []string
}

// capturers are the tools that are installed: tundump, with each engine that it has, and the
// peers. All capture the chosen host in the layout of the live packets.
func (b *bench) capturers() []capturer {
	tundump := func(more ...string) func(string) []string {
		return func(file string) []string {
			return append(append([]string{b.tundump, "-i", "eth1", "-w", file + ".pcapng"}, more...), defaultExpression)
		}
	}
	tcpdump := func(more ...string) func(string) []string {
		return func(file string) []string {
			// -Z: it gives up the right to write to our folder otherwise.
			return append(append([]string{"tcpdump", "-n", "-Z", "root", "-i", "eth1", "-w", file + ".pcap"}, more...), greExpression())
		}
	}
	netsniff := []string{"netsniff-ng", "--in", "eth1", "--silent"}
	if !b.slowTools {
		netsniff = append(netsniff, "--ring-size", "64MiB")
	}
	all := []capturer{{"tundump", "tundump: filter:", tundump()}}
	for _, engine := range b.engines() {
		all = append(all, capturer{"tundump --engine " + engine, "tundump: filter:", tundump("--engine", engine)})
	}
	all = append(all,
		capturer{"tcpdump", "listening on", tcpdump()},
		capturer{"tcpdump -B 65536", "listening on", tcpdump("-B", "65536")},
		capturer{"dumpcap -B 64", "File:", func(file string) []string {
			return []string{"dumpcap", "-q", "-i", "eth1", "-B", "64", "-w", file + ".pcapng", "-f", greExpression()}
		}},
		capturer{"netsniff-ng", "Running!", func(file string) []string {
			return append(netsniff, "--out", file+".pcap", "--filter", greExpression())
		}})
	var there []capturer
	for _, c := range all {
		if installed(c.arguments("")[0]) {
			there = append(there, c)
		}
	}
	return there
}

// engines are those that this tundump has besides the default.
func (b *bench) engines() (names []string) {
	help, err := exec.CommandContext(b.ctx, b.tundump, "--help").Output()
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(help)) {
		if _, choice, ok := strings.Cut(line, "--engine "); ok {
			for name := range strings.SplitSeq(strings.Fields(choice)[0], "|") {
				if name != "packet" {
					names = append(names, name)
				}
			}
		}
	}
	return names
}

// captured is what one tool did in one run.
type captured struct {
	records   int
	cpu       time.Duration // from when it was ready
	perPacket float64       // of the sender, in nanoseconds
}

// capture lets a tool capture while packets are sent, and interrupts it some time after the last.
func (b *bench) capture(c capturer, frames [][]byte, count int, drain time.Duration) (got captured, err error) {
	base := filepath.Join(b.dir, "live")
	args := c.arguments(base)
	t, err := b.start(b.lab.B, false, c.ready, nil, args...)
	if err != nil {
		return got, err
	}
	if _, err := t.whenReady(); err != nil {
		return got, err
	}
	time.Sleep(50 * time.Millisecond) // dumpcap says that it is, and does a little more
	before := t.cpu()
	got.perPacket, err = b.transmit(frames, count)
	if err != nil {
		t.kill()
		return got, err
	}
	time.Sleep(drain)
	used, err := t.interrupt()
	if err != nil {
		return got, err
	}
	got.cpu = max(used.cpu-before, 0)
	for _, name := range []string{base + ".pcap", base + ".pcapng"} {
		n, err := records(b.ctx, name)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return got, err
		}
		got.records += n
		if err := os.Remove(name); err != nil {
			return got, err
		}
	}
	return got, nil
}

// records counts the packets of a file.
func records(ctx context.Context, name string) (n int, err error) {
	f, err := capture.OpenFile(name)
	if errors.Is(err, capture.ErrEmpty) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	for {
		if _, err := f.Next(ctx); errors.Is(err, io.EOF) {
			return n, nil
		} else if err != nil {
			return n, fmt.Errorf("%s after %d records: %w", filepath.Base(name), n, err)
		}
		n++
	}
}

// matchingOf returns how many of the packets that are sent match: of each hundred, those that mixed
// has put there.
func matchingOf(matching, count int) int { return count / 100 * matching }

// liveResult is what a tool did in all rounds.
type liveResult struct {
	name       string
	cpu, cost  []float64
	lost, sent int
}

func (b *bench) liveCost() error {
	tools := b.capturers()
	for _, size := range []int{128, 1400} {
		count := b.liveFrames
		if size == 1400 {
			count = b.largeFrames
		}
		count -= count % 100
		t := table{
			title: fmt.Sprintf("Live capture, packets of %d bytes", size),
			note: fmt.Sprintf("%d packets, sent as fast as can be; medians of %d rounds. Missed are matching packets that are not in the file %v after the last; "+
				"CPU is the tool's user and system time per record; added is what a packet costs the sender more than with nobody capturing. "+
				"Each tool has its own ring: tundump 64 MiB, tcpdump 2 MiB.", count, b.liveRounds, b.drain),
			header: []string{"tool"},
		}
		cells := make([][]string, len(tools))
		for i, c := range tools {
			cells[i] = []string{c.name}
		}
		for _, c := range b.live {
			matching := c.matching
			if c.size != size {
				continue
			}
			t.header = append(t.header, fmt.Sprintf("%d %%: missed", matching), "CPU, us", "added, ns")
			results, err := b.liveRoundsOf(tools, mixed(matching, size), matching, count)
			if err != nil {
				return err
			}
			for i, r := range results {
				cells[i] = append(cells[i], percent(r.lost, r.sent), number(median(r.cpu)), number(median(r.cost)))
			}
			b.liveGoals(results, size, matching)
		}
		t.rows = cells
		b.report.table(t)
	}
	return nil
}

// liveRoundsOf runs all tools in turn, in another order each round.
func (b *bench) liveRoundsOf(tools []capturer, frames [][]byte, matching, count int) ([]liveResult, error) {
	results := make([]liveResult, len(tools))
	want := matchingOf(matching, count)
	for round := range b.liveRounds {
		alone, err := b.transmit(frames, count)
		if err != nil {
			return nil, err
		}
		for n := range tools {
			i := (n + round) % len(tools)
			got, err := b.capture(tools[i], frames, count, b.drain)
			if err != nil {
				return nil, err
			}
			if got.records > want {
				return nil, fmt.Errorf("%s has %d records of %d packets", tools[i].name, got.records, want)
			}
			r := &results[i]
			r.name = tools[i].name
			r.sent += want
			r.lost += want - got.records
			r.cpu = append(r.cpu, float64(got.cpu.Nanoseconds())/1000/float64(max(got.records, 1)))
			r.cost = append(r.cost, got.perPacket-alone)
		}
	}
	return results, nil
}

func (b *bench) liveGoals(results []liveResult, size, matching int) {
	of := func(name string) *liveResult {
		for i := range results {
			if results[i].name == name {
				return &results[i]
			}
		}
		return nil
	}
	ours, tcpdump, large := of("tundump"), of("tcpdump"), of("tcpdump -B 65536")
	switch {
	case size == 128 && matching == 100:
		cpu, limit := median(ours.cpu), 0.8*median(tcpdump.cpu)
		b.report.goal("P4", "live 128 B, 100 %: CPU a record", "at most 0.8 of tcpdump's; 0 missed", ours.lost == 0 && cpu <= limit,
			"%s us, 0.8 of tcpdump's is %s us; missed %s", number(cpu), number(limit), percent(ours.lost, ours.sent))
	case size == 1400 && matching == 100:
		cpu, limit := median(ours.cpu), 0.8*median(tcpdump.cpu)
		b.report.goal("P5", "live 1400 B, 100 %: missed and CPU a record", "0 missed with at most 128 MiB of ring; CPU at most 0.8 of tcpdump's", ours.lost == 0 && cpu <= limit,
			"missed %s, tcpdump -B 65536 %s; %s us, 0.8 of tcpdump's is %s us", percent(ours.lost, ours.sent), percent(large.lost, large.sent), number(cpu), number(limit))
	case size == 128 && matching == 1:
		cost, limit := median(ours.cost), median(tcpdump.cost)
		best, engine := cost, "AF_PACKET"
		for _, r := range results {
			if name, ok := strings.CutPrefix(r.name, "tundump --engine "); ok && median(r.cost) < best {
				best, engine = median(r.cost), name
			}
		}
		b.report.goal("P6", "live 128 B, 1 %: added to the sender", "AF_PACKET not above tcpdump's; the best engine at most half", cost <= limit && best <= limit/2,
			"%s ns, tcpdump %s ns; best engine %s %s ns", number(cost), number(limit), engine, number(best))
	}
}

// lostAtStop tells what the tools lose when they are interrupted soon after the last packet.
func (b *bench) lostAtStop() error {
	const wait = 100 * time.Millisecond
	const matching = 1
	count := b.stopFrames - b.stopFrames%100
	want := matchingOf(matching, count)
	frames := mixed(matching, 128)
	tools := b.capturers()
	lost := make([]int, len(tools))
	for round := range b.stopRounds {
		for n := range tools {
			i := (n + round) % len(tools)
			got, err := b.capture(tools[i], frames, count, wait)
			if err != nil {
				return err
			}
			if got.records > want {
				return fmt.Errorf("%s has %d records of %d packets", tools[i].name, got.records, want)
			}
			lost[i] += want - got.records
		}
	}
	t := table{
		title:  "Lost at the stop",
		note:   fmt.Sprintf("Interrupted %v after the last of %d packets of 128 bytes, %d %% matching: records that are not in the file, of %d rounds.", wait, count, matching, b.stopRounds),
		header: []string{"tool", "matching", "lost", ""},
	}
	for i, c := range tools {
		t.rows = append(t.rows, []string{c.name, fmt.Sprint(want * b.stopRounds), fmt.Sprint(lost[i]), percent(lost[i], want*b.stopRounds)})
	}
	b.report.table(t)
	b.report.goal("P10", "lost at the stop", "nothing", lost[0] == 0, "%d of %d records", lost[0], want*b.stopRounds)
	return nil
}
