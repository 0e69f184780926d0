package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// burst tells how fast tools catch up: they are halted while packets are sent into their rings, and then
// have all CPUs for themselves until their files have all of them.
func (b *bench) burst() error {
	for _, size := range []int{128, 1400} {
		count := b.burstFrames
		if size == 1400 {
			count /= 6 // they are to fit into the ring
		}
		tools := b.catchers(fmt.Sprint(count))
		times, cpu := make([][]float64, len(tools)), make([][]float64, len(tools))
		frames := flows(size)
		for round := range b.burstRounds {
			for n := range tools {
				i := (n + round) % len(tools)
				took, used, err := b.catchUp(tools[i], frames, count)
				if err != nil {
					return err
				}
				times[i] = append(times[i], float64(took.Nanoseconds())/float64(count))
				cpu[i] = append(cpu[i], float64(used.Nanoseconds())/float64(count))
			}
		}
		t := table{
			title: fmt.Sprintf("Catching up, packets of %d bytes", size),
			note: fmt.Sprintf("Nanoseconds a record until a tool has ended, which was halted while %d packets of %d flows were put into its ring of 256 MiB, or two of 128, "+
				"on all CPUs; medians of %d rounds.", count, len(frames), b.burstRounds),
			header: []string{"tool", "time, ns", "CPU, ns"},
		}
		for i, c := range tools {
			t.rows = append(t.rows, []string{c.name, number(median(times[i])), number(median(cpu[i]))})
		}
		b.report.table(t)
	}
	return nil
}

// catchers are the tools that are installed, with large rings, and end after so many packets.
func (b *bench) catchers(count string) []capturer {
	tundump := func(more ...string) func(string) []string {
		return func(file string) []string {
			return append(append([]string{b.tundump, "-i", "eth1", "-w", file + ".pcapng", "-c", count}, more...), defaultExpression)
		}
	}
	var there []capturer
	for _, c := range []capturer{
		{"tundump -B 262144", "tundump: filter:", tundump("-B", "262144")},
		{"tundump --fanout 2 -B 131072", "tundump: filter:", tundump("--fanout", "2", "-B", "131072")},
		{"tcpdump -B 262144", "listening on", func(file string) []string {
			return []string{"tcpdump", "-n", "-Z", "root", "-i", "eth1", "-w", file + ".pcap", "-c", count, "-B", "262144", greExpression()}
		}},
		{"dumpcap -B 256", "File:", func(file string) []string {
			return []string{"dumpcap", "-q", "-i", "eth1", "-B", "256", "-w", file + ".pcapng", "-c", count, "-f", greExpression()}
		}},
	} {
		if installed(c.arguments("")[0]) {
			there = append(there, c)
		}
	}
	return there
}

// catchUp halts a tool while packets are sent, and returns how long it takes for them from when it may go on.
func (b *bench) catchUp(c capturer, frames [][]byte, count int) (took, cpu time.Duration, err error) {
	base := filepath.Join(b.dir, "burst")
	t, err := b.start(b.lab.B, true, c.ready, nil, c.arguments(base)...)
	if err != nil {
		return 0, 0, err
	}
	if _, err := t.whenReady(); err != nil {
		return 0, 0, err
	}
	time.Sleep(50 * time.Millisecond) // see capture
	if err := unix.Kill(t.pid, unix.SIGSTOP); err != nil {
		return 0, 0, err
	}
	if _, err := b.transmit(frames, count); err != nil {
		t.kill()
		return 0, 0, err
	}
	time.Sleep(200 * time.Millisecond) // the kernel hands over the blocks that it has begun
	before, start := t.cpu(), monotonic()
	if err := unix.Kill(t.pid, unix.SIGCONT); err != nil {
		return 0, 0, err
	}
	used, err := t.wait()
	if err != nil {
		return 0, 0, err
	}
	for _, name := range []string{base + ".pcap", base + ".pcapng"} {
		if err := os.Remove(name); err != nil && !os.IsNotExist(err) {
			return 0, 0, err
		}
	}
	return used.wall - time.Duration(start-t.started), max(used.cpu-before, 0), nil
}

// flows returns packets in GRE that the chosen host sends, each of a flow of its own.
func flows(size int) [][]byte {
	frames := make([][]byte, 499)
	for i := range frames {
		frames[i] = frame(inGRE, chosen, size)
		binary.BigEndian.PutUint16(frames[i][14+20+8+20:], uint16(40000+i)) // the inner source port
	}
	return frames
}
