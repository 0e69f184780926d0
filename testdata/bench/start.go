package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// startUp tells how long tools take until they listen, and how much memory they have then.
func (b *bench) startUp() error {
	tools := b.capturers()
	tools[0].ready = "listening on" // as tcpdump says it; the filter is the next line
	if b.slowTools && installed("tshark") {
		tools = append(tools, capturer{"tshark", "Capturing on", func(file string) []string {
			return []string{"tshark", "-i", "eth1", "-w", file + ".pcapng", "-f", greExpression()}
		}})
	}
	times, memory := make([][]float64, len(tools)), make([][]float64, len(tools))
	frames := mixed(100, 128)
	for round := range b.starts {
		for n := range tools {
			i := (n + round) % len(tools)
			if tools[i].name == "netsniff-ng" && round >= max(b.starts/5, 1) {
				continue // seconds each
			}
			base := filepath.Join(b.dir, "start")
			t, err := b.start(b.lab.B, true, tools[i].ready, nil, tools[i].arguments(base)...)
			if err != nil {
				return err
			}
			took, err := t.whenReady()
			if err != nil {
				return err
			}
			times[i] = append(times[i], float64(took)/float64(time.Millisecond))
			time.Sleep(50 * time.Millisecond)
			if _, err := b.transmit(frames, 10*len(frames)); err != nil {
				return err
			}
			time.Sleep(50 * time.Millisecond)
			used, err := memoryBesideRing(t.pid)
			if err != nil {
				return err
			}
			memory[i] = append(memory[i], used/1e6)
			if _, err := t.interrupt(); err != nil {
				return err
			}
			for _, name := range []string{base + ".pcap", base + ".pcapng"} {
				if err := os.Remove(name); err != nil && !os.IsNotExist(err) {
					return err
				}
			}
		}
	}
	t := table{
		title: "Start and memory",
		note: "Milliseconds from the start of the process to \"listening on\" or what the tool says instead, on all CPUs, medians; and megabytes of memory while it captures, " +
			"its peak without the ring. tshark's are those of tshark without its dumpcap.",
		header: []string{"tool", "starts", "ms to listening", "MB"},
	}
	for i, c := range tools {
		t.rows = append(t.rows, []string{c.name, fmt.Sprint(len(times[i])), number(median(times[i])), number(median(memory[i]))})
	}
	b.report.table(t)
	tcpdump := -1
	for i, c := range tools {
		if c.name == "tcpdump" {
			tcpdump = i
		}
	}
	start, limit := median(times[0]), median(times[tcpdump])
	b.report.goal("P8", "start to \"listening on\"", "at most tcpdump's", start <= limit, "%s ms, tcpdump %s ms", number(start), number(limit))
	used := median(memory[0])
	b.report.goal("P9", "memory besides ring and sets", "at most 25 MB", used <= 25, "%s MB", number(used))
	return nil
}

// memoryBesideRing returns the most memory that a process has had, but for what it has mapped of
// sockets and of eBPF maps, as which tcx has its ring, in bytes. The kernel starts to count it anew when a process runs another program, so
// that it is not that of the parent, as ru_maxrss is.
func memoryBesideRing(pid int) (float64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	var peak, ring float64
	for line := range strings.Lines(string(status)) {
		var kib float64
		if n, _ := fmt.Sscanf(line, "VmHWM: %f kB", &kib); n == 1 {
			peak = kib
		}
	}
	smaps, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps", pid))
	if err != nil {
		return 0, err
	}
	inRing := false
	for line := range strings.Lines(string(smaps)) {
		if name, _, _ := strings.Cut(line, " "); !strings.HasSuffix(name, ":") { // a mapping begins
			inRing = strings.Contains(line, "socket:") || strings.Contains(line, "bpf-map")
		}
		var kib float64
		if n, _ := fmt.Sscanf(line, "Rss: %f kB", &kib); n == 1 && inRing {
			ring += kib
		}
	}
	return max(peak-ring, 0) * 1024, nil
}
