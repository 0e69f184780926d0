// Bench measures tundump side by side with tcpdump, dumpcap, tshark and netsniff-ng, and
// prints what it found as Markdown.
//
//	bench [-quick] [-only NAMES] TUNDUMP
//
// It needs root, and a machine that does nothing else: the tools run on one CPU, the
// sender on another, in network namespaces that it makes and removes. Only ratios within
// one run mean anything, so the tools take turns, and each number is a median.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tundump/tundump/testdata/lab"
)

// childCommand is the first argument of the process that runs a tool: see child.go.
const childCommand = "run-tool"

func main() {
	if len(os.Args) > 1 && os.Args[1] == childCommand {
		os.Exit(child(os.Args[2:]))
	}
	quick := flag.Bool("quick", false, "take two minutes, for numbers that are less exact")
	only := flag.String("only", "", "of the measurements, only these, with commas between")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	amount := full()
	if *quick {
		amount = brief()
	}
	if err := run(ctx, os.Stdout, os.Stderr, flag.Arg(0), amount, *only); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// amounts is how much is measured.
type amounts struct {
	name         string
	sockets      int // with the filter
	filterRounds int
	filterFrames int // in a round
	testRuns     int // of BPF_PROG_TEST_RUN
	liveRounds   int
	liveFrames   int // of 128 bytes
	largeFrames  int // of 1400 bytes
	drain        time.Duration
	fileRecords  int
	fileRounds   int
	textRecords  int
	starts       int
	stopFrames   int
	stopRounds   int
	burstFrames  int // of 128 bytes
	burstRounds  int
	sets         []int
	depths       int // from 1
	live         []liveCase
	slowTools    bool // tshark, and netsniff-ng with the ring that it likes, a tenth of the memory
}

// liveCase is a live capture of packets of so many bytes, so many in a hundred matching.
type liveCase struct{ size, matching int }

// full takes 18 minutes.
func full() amounts {
	return amounts{
		name: "full", sockets: 32, filterRounds: 15, filterFrames: 15000, testRuns: 1e6,
		liveRounds: 3, liveFrames: 1e6, largeFrames: 500_000, drain: 1200 * time.Millisecond,
		fileRecords: 2_700_000, fileRounds: 5, textRecords: 500_000, starts: 15, stopFrames: 1_000_000, stopRounds: 3, burstFrames: 600_000, burstRounds: 7,
		sets: []int{1, 1000, 1_000_000}, depths: 8, slowTools: true,
		live: []liveCase{{128, 1}, {128, 10}, {128, 100}, {1400, 1}, {1400, 10}, {1400, 100}},
	}
}

// brief takes two minutes.
func brief() amounts {
	a := full()
	a.name, a.slowTools = "quick", false
	a.filterRounds, a.filterFrames, a.testRuns = 5, 4000, 100_000
	a.liveRounds, a.liveFrames, a.largeFrames, a.drain = 1, 200_000, 100_000, 1100*time.Millisecond
	a.live = []liveCase{{128, 1}, {128, 10}, {128, 100}, {1400, 1}, {1400, 100}}
	a.fileRecords, a.fileRounds, a.textRecords = 300_000, 3, 100_000
	a.starts, a.stopFrames, a.stopRounds = 5, 200_000, 1
	a.burstFrames, a.burstRounds = 200_000, 1
	return a
}

// bench is one run of all measurements.
type bench struct {
	ctx      context.Context
	progress io.Writer
	tundump  string
	dir      string // for files, removed at the end
	lab      *lab.Lab
	amounts
	report report

	senderCPU, toolCPU int
}

// measurement is a part of the run.
type measurement struct {
	name string
	run  func(*bench) error
}

func measurements() []measurement {
	return []measurement{
		{"filter", (*bench).filterCost},
		{"hooks", (*bench).hookCost},
		{"sets", (*bench).setCost},
		{"depth", (*bench).depthSize},
		{"live", (*bench).liveCost},
		{"stop", (*bench).lostAtStop},
		{"burst", (*bench).burst},
		{"start", (*bench).startUp},
		{"files", (*bench).fileToFile},
		{"text", (*bench).textOutput},
	}
}

// run measures, and writes the report to out, and what it is doing to progress.
func run(ctx context.Context, out, progress io.Writer, tundump string, a amounts, only string) (err error) {
	if os.Geteuid() != 0 {
		return errors.New("this needs root: it makes network namespaces and captures in them")
	}
	if tundump, err = filepath.Abs(tundump); err != nil {
		return err
	}
	b := &bench{ctx: ctx, progress: progress, tundump: tundump, amounts: a, toolCPU: runtime.NumCPU() - 1}
	if b.dir, err = os.MkdirTemp("", "tundump-bench-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.dir)) }()
	if b.lab, err = lab.New(nil, nil); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.lab.Close()) }()

	start := time.Now()
	for _, m := range measurements() {
		if only != "" && !slices.Contains(strings.Split(only, ","), m.name) {
			continue
		}
		fmt.Fprintf(progress, "bench: %4.0f s: %s\n", time.Since(start).Seconds(), m.name)
		if wrong := m.run(b); wrong != nil { // what the others measure is worth something all the same
			err = errors.Join(err, fmt.Errorf("%s: %w", m.name, wrong))
		}
	}
	fmt.Fprintf(progress, "bench: %4.0f s: done\n", time.Since(start).Seconds())
	fmt.Fprintf(out, "%s\n", b.environment(time.Since(start)))
	b.report.write(out)
	return err
}

// environment says where and with what the numbers were taken.
func (b *bench) environment(took time.Duration) string {
	var uts unix.Utsname
	kernel := "unknown"
	if unix.Uname(&uts) == nil {
		kernel = unix.ByteSliceToString(uts.Release[:]) + " " + unix.ByteSliceToString(uts.Machine[:])
	}
	load, _ := os.ReadFile("/proc/loadavg") // it is only printed
	var s strings.Builder
	fmt.Fprintf(&s, "`make bench`, %s, %s in %.0f s. Linux %s, %d CPUs, %s; load average at the end %s.",
		b.name, time.Now().UTC().Format("2006-01-02 15:04 MST"), took.Seconds(), kernel, runtime.NumCPU(), cpuModel(),
		strings.Join(strings.Fields(string(load))[:min(3, len(strings.Fields(string(load))))], " "))
	for _, tool := range []string{b.tundump, "tcpdump", "dumpcap", "tshark", "netsniff-ng"} {
		s.WriteString(" " + version(tool) + ".")
	}
	s.WriteString("\n")
	return s.String()
}

func cpuModel() string {
	text, _ := os.ReadFile("/proc/cpuinfo") // it is only printed
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown CPU"
}

// version is the first line that a tool prints for --version, with the libpcap that it uses.
func version(tool string) string {
	out, err := exec.Command(tool, "--version").CombinedOutput()
	if errors.Is(err, exec.ErrNotFound) {
		return tool + " is not installed"
	}
	var parts []string
	for line := range strings.Lines(string(out)) {
		line = strings.TrimSuffix(strings.TrimSpace(line), ".")
		if len(parts) == 0 || strings.HasPrefix(line, "libpcap ") {
			parts = append(parts, line)
		}
	}
	return strings.Join(parts, ", ")
}
