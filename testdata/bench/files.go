package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// recordSize is how long the packets of the large file are: 1.07 GB are 2.7 million.
const recordSize = 381

// writeFile writes packets in turn to a pcap file, with microseconds, which every tool reads.
func writeFile(name string, frames [][]byte, count int) (err error) {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := bufio.NewWriterSize(f, 1<<20)
	header := binary.LittleEndian.AppendUint32(nil, 0xa1b2c3d4)
	header = binary.LittleEndian.AppendUint16(header, 2)
	header = binary.LittleEndian.AppendUint16(header, 4)
	header = append(header, 0, 0, 0, 0, 0, 0, 0, 0)
	header = binary.LittleEndian.AppendUint32(header, 65535)
	header = binary.LittleEndian.AppendUint32(header, 1)
	if _, err := w.Write(header); err != nil {
		return err
	}
	const start = 1_700_000_000
	for i := range count {
		frame := frames[i%len(frames)]
		record := make([]byte, 0, 16)
		for _, v := range []uint32{uint32(start + i/1_000_000), uint32(i % 1_000_000), uint32(len(frame)), uint32(len(frame))} {
			record = binary.LittleEndian.AppendUint32(record, v)
		}
		if _, err := w.Write(record); err != nil {
			return err
		}
		if _, err := w.Write(frame); err != nil {
			return err
		}
	}
	return w.Flush()
}

// reader is a tool that reads a file.
type reader struct {
	name      string
	arguments func(in, out string) []string
}

// fileToFile filters a large file.
func (b *bench) fileToFile() error {
	// tshark keeps so much of what it has read that the whole file may be too much for a small machine.
	const quarters = "tshark, four times a quarter"

	large, part := filepath.Join(b.dir, "large.pcap"), filepath.Join(b.dir, "part.pcap")
	const matching = 1
	frames := mixed(matching, recordSize)
	count := b.fileRecords - b.fileRecords%100
	partCount := count / 400 * 100
	if err := writeFile(large, frames, count); err != nil {
		return err
	}
	if err := writeFile(part, frames, partCount); err != nil {
		return err
	}
	defer os.Remove(large)
	defer os.Remove(part)
	all := []reader{
		{"tundump", func(in, out string) []string { return []string{b.tundump, "-r", in, "-w", out, defaultExpression} }},
		{"tcpdump", func(in, out string) []string {
			return []string{"tcpdump", "-Z", "root", "-r", in, "-w", out, greExpression()}
		}},
		{"netsniff-ng", func(in, out string) []string {
			return []string{"netsniff-ng", "--in", in, "--out", out, "--silent", "--filter", greExpression()}
		}},
		{quarters, func(in, out string) []string {
			return []string{"tshark", "-n", "-r", in, "-w", out, "-Y", "ip.addr == " + chosenText}
		}},
		{"`cat >/dev/null`", func(in, _ string) []string { return []string{"sh", "-c", "exec cat \"$1\" >/dev/null", "sh", in} }},
	}
	var tools []reader
	for _, r := range all {
		if installed(r.arguments("", "")[0]) && (r.name != quarters || b.slowTools) {
			tools = append(tools, r)
		}
	}
	out := filepath.Join(b.dir, "filtered.pcap")
	once := func(r reader, in string, want int) (usage, error) {
		// All may use all CPUs.
		t, err := b.start("", true, "", nil, r.arguments(in, out)...)
		if err != nil {
			return usage{}, err
		}
		used, err := t.wait()
		if err != nil || want < 0 {
			return used, err
		}
		n, err := records(b.ctx, out)
		if err == nil && n != want {
			err = fmt.Errorf("%s wrote %d records, not %d", r.name, n, want)
		}
		return used, errors.Join(err, os.Remove(out))
	}
	wantOf := func(r reader, count int) int {
		if r.name == all[len(all)-1].name {
			return -1
		}
		return matchingOf(matching, count)
	}
	times, memory, partMemory := make([][]float64, len(tools)), make([]int, len(tools)), make([]int, len(tools))
	if _, err := once(all[len(all)-1], large, -1); err != nil { // into the page cache
		return err
	}
	for round := range b.fileRounds {
		for n := range tools {
			i := (n + round) % len(tools)
			if tools[i].name == quarters {
				continue
			}
			used, err := once(tools[i], large, wantOf(tools[i], count))
			if err != nil {
				return err
			}
			times[i] = append(times[i], float64(used.wall)/float64(time.Second))
			memory[i] = max(memory[i], used.maxRSS)
		}
	}
	t := table{
		title: "File to file",
		note: fmt.Sprintf("%d packets of %d bytes, %.2f GB, from a warm page cache, %d %% matching; medians of %d rounds, the tools on all CPUs. "+
			"Memory is ru_maxrss, at least that of the process that starts them (some 6 MB); the second one is for a quarter of the file.",
			count, recordSize, float64(count*(recordSize+16))/1e9, matching, b.fileRounds),
		header: []string{"tool", "seconds", "of tcpdump's", "MB", "MB for a quarter"},
	}
	for i, r := range tools {
		used, err := once(r, part, wantOf(r, partCount))
		if err != nil {
			return err
		}
		partMemory[i] = used.maxRSS
		if r.name == quarters {
			times[i], memory[i] = []float64{4 * float64(used.wall) / float64(time.Second)}, used.maxRSS
		}
	}
	tcpdump := median(times[1])
	for i, r := range tools {
		t.rows = append(t.rows, []string{r.name, fmt.Sprintf("%.3f", median(times[i])), number(median(times[i]) / tcpdump),
			number(float64(memory[i]) / 1e6), number(float64(partMemory[i]) / 1e6)})
	}
	b.report.table(t)
	ratio := median(times[0]) / tcpdump
	constant := memory[0] <= partMemory[0]+partMemory[0]/4+8<<20 // what a collector of garbage may vary by
	b.report.goal("P7", "file to file, 1 % matching", "at most 0.6 of tcpdump's time; constant memory", ratio <= 0.6 && constant,
		"%s of tcpdump's; %s MB, for a quarter of the file %s MB", number(ratio), number(float64(memory[0])/1e6), number(float64(partMemory[0])/1e6))
	return nil
}

// textOutput prints a file.
func (b *bench) textOutput() error {
	in := filepath.Join(b.dir, "text.pcap")
	var frames [][]byte
	for _, k := range kindsOfPackets() {
		frames = append(frames, k.frames...)
	}
	if err := writeFile(in, frames, b.textRecords); err != nil {
		return err
	}
	defer os.Remove(in)
	tools := []reader{
		{"tundump -n", func(in, _ string) []string { return []string{b.tundump, "-n", "-r", in} }},
		{"tcpdump -n", func(in, _ string) []string { return []string{"tcpdump", "-Z", "root", "-n", "-r", in} }},
		{"tundump -n, plain TCP", func(in, _ string) []string { return []string{b.tundump, "-n", "-r", in, "tcp"} }},
		{"tcpdump -n, plain TCP", func(in, _ string) []string {
			return []string{"tcpdump", "-Z", "root", "-n", "-r", in, "tcp"}
		}},
	}
	rates, lines := make([][]float64, len(tools)), make([]int, len(tools))
	for round := range b.fileRounds {
		for n := range tools {
			i := (n + round) % len(tools)
			took, printed, err := b.print(tools[i].arguments(in, ""))
			if err != nil {
				return err
			}
			lines[i] = printed
			rates[i] = append(rates[i], float64(printed)/took.Seconds())
		}
	}
	for i := 0; i < len(tools); i += 2 {
		if lines[i] != lines[i+1] || lines[i] == 0 {
			return fmt.Errorf("%s printed %d lines, and %s %d", tools[i].name, lines[i], tools[i+1].name, lines[i+1])
		}
	}
	t := table{
		title:  "Text output to a file",
		note:   fmt.Sprintf("%d packets of 128 bytes: plain TCP, and TCP in GRE and VXLAN; medians of %d rounds.", b.textRecords, b.fileRounds),
		header: []string{"tool", "lines", "lines a second"},
	}
	for i, r := range tools {
		t.rows = append(t.rows, []string{r.name, fmt.Sprint(lines[i]), number(median(rates[i]))})
	}
	b.report.table(t)
	ours, tcpdump := median(rates[0]), median(rates[1])
	b.report.goal("P11", "text output to a file, -n", "at least tcpdump's lines a second", ours >= tcpdump, "%s, tcpdump %s", number(ours), number(tcpdump))
	return nil
}

// print runs a tool with its standard output in a file, and counts the lines.
func (b *bench) print(arg []string) (took time.Duration, lines int, err error) {
	name := filepath.Join(b.dir, "text")
	f, err := os.Create(name)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(name)) }()
	t, err := b.start("", true, "", f, arg...)
	if err != nil {
		return 0, 0, err
	}
	used, err := t.wait()
	if err != nil {
		return 0, 0, err
	}
	text, err := os.ReadFile(name)
	return used.wall, bytes.Count(text, []byte("\n")), err
}
