package main

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/binary"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// numbers returns the numbers of the packets of a capture file, which are numberedPacket's.
func numbers(t *testing.T, file string) (all []uint64) {
	t.Helper()
	for _, r := range readCapture(t, file) {
		if len(r.Data) < numberAt+8 {
			t.Fatalf("%s: a packet of %d bytes", file, len(r.Data))
		}
		all = append(all, binary.BigEndian.Uint64(r.Data[numberAt:]))
	}
	return all
}

// tsharkCounts returns how many packets tshark finds in a file, and what it says of it.
func tsharkCounts(file string) (int, string, error) {
	cmd := exec.Command("tshark", "-nr", file, "-T", "fields", "-e", "frame.len")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	return bytes.Count(out, []byte("\n")), stderr.String(), err
}

// TestRotationUnderLoad captures numbered packets into many files. All are there once, in order,
// and every file is complete in itself.
func TestRotationUnderLoad(t *testing.T) {
	l := newLab(t)
	const total, atLeast = 200_000, 30
	dir := t.TempDir()
	frames := make([][]byte, total)
	for i := range frames {
		frames[i] = numberedPacket(uint64(i), 150)
	}
	r := start(t, l, l.A, "tundump", "-i", "eth1", "-w", filepath.Join(dir, "out.pcapng"), "-C", "1200k", "-W", "100", "-B", "64M",
		"udp and dst port 5000")
	if err := l.Transmit(l.A, "eth1", frames); err != nil {
		t.Fatal(err)
	}
	log := r.stop(syscall.SIGINT)
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) < atLeast {
		t.Fatalf("%d files, want %d at least: %v\n%s", len(files), atLeast, err, log)
	}
	slices.Sort(files)
	next, counts := uint64(0), make([]int, len(files))
	for i, f := range files {
		// The reader goes by the name.
		name := filepath.Join(t.TempDir(), "x.pcapng")
		if err := os.Symlink(f, name); err != nil {
			t.Fatal(err)
		}
		for _, n := range numbers(t, name) {
			if n != next {
				t.Fatalf("%s: packet %d, want %d\n%s", f, n, next, log)
			}
			next++
			counts[i]++
		}
	}
	if c, _, d := counters(t, log); next != total || c != total || d != 0 {
		t.Errorf("%d packets are in the files, %d were captured, %d dropped", next, c, d)
	}
	var wait sync.WaitGroup
	turns := make(chan struct{}, 2)
	for i, f := range files {
		wait.Go(func() {
			turns <- struct{}{}
			if n, said, err := tsharkCounts(f); n != counts[i] || err != nil {
				t.Errorf("%s: tshark finds %d packets of %d: %v %s", f, n, counts[i], err, said)
			}
			<-turns
		})
	}
	wait.Wait()
	out, err := exec.Command("capinfos", files...).CombinedOutput()
	if err != nil {
		t.Fatalf("capinfos: %v\n%s", err, out)
	}
	for _, line := range []string{"Name = eth1", "Number of stat entries = 1", "Filter string = udp and dst port 5000"} {
		if n := strings.Count(string(out), line); n != len(files) {
			t.Errorf("capinfos says %q %d times for %d files", line, n, len(files))
		}
	}
}

// TestRotationBySizeAndTime captures numbered packets for some seconds into files with a time in
// their names, several for each second. All packets are there once, in order.
func TestRotationBySizeAndTime(t *testing.T) {
	l := newLab(t)
	const rounds, each = 12, 2000
	dir := t.TempDir()
	r := start(t, l, l.A, "tundump", "-i", "eth1", "-w", filepath.Join(dir, "%H%M%S.pcapng"), "-G", "1", "-C", "100k", "udp and dst port 5000")
	for i := range rounds {
		frames := make([][]byte, each)
		for j := range frames {
			frames[j] = numberedPacket(uint64(i*each+j), 100)
		}
		if err := l.Transmit(l.A, "eth1", frames); err != nil {
			t.Fatal(err)
		}
		time.Sleep(250 * time.Millisecond)
	}
	log := r.stop(syscall.SIGINT)
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) < 20 {
		t.Fatalf("%d files: %v\n%s", len(files), err, log)
	}
	// 101530.pcapng, 101530.pcapng1, ..., 101531.pcapng: by the time, then by the number.
	slices.SortFunc(files, func(a, b string) int {
		timeA, numberA, _ := strings.Cut(a, ".pcapng")
		timeB, numberB, _ := strings.Cut(b, ".pcapng")
		x, _ := strconv.Atoi(numberA)
		y, _ := strconv.Atoi(numberB)
		return cmp.Or(strings.Compare(timeA, timeB), x-y)
	})
	next, periods := uint64(0), map[string]bool{}
	for _, f := range files {
		period, _, _ := strings.Cut(f, ".pcapng")
		periods[period] = true
		name := filepath.Join(t.TempDir(), "x.pcapng") // the reader goes by the name
		if err := os.Symlink(f, name); err != nil {
			t.Fatal(err)
		}
		for _, n := range numbers(t, name) {
			if n != next {
				t.Fatalf("%s: packet %d, want %d\n%s", f, n, next, log)
			}
			next++
		}
	}
	if c, _, d := counters(t, log); next != rounds*each || c != rounds*each || d != 0 {
		t.Errorf("%d packets are in the files, %d were captured, %d dropped", next, c, d)
	}
	if len(periods) < 3 {
		t.Errorf("%d periods", len(periods))
	}
}

// TestKilled kills a capture under load. What is in the file is a prefix of what was sent.
func TestKilled(t *testing.T) {
	for _, flush := range []bool{false, true} {
		l := newLab(t)
		file := filepath.Join(t.TempDir(), "out.pcapng")
		arg := []string{"tundump", "-i", "eth1", "-w", file, "udp and dst port 5000"}
		if flush {
			arg = append(arg, "-U", "--print")
		}
		r := start(t, l, l.A, arg...)
		printed := make(chan int)
		go func() {
			n := 0
			for lines := bufio.NewScanner(r.stdout); lines.Scan(); {
				n++
			}
			printed <- n
		}()
		frames := make([][]byte, 100_000)
		for i := range frames {
			frames[i] = numberedPacket(uint64(i), 150)
		}
		sent := make(chan error)
		go func() { sent <- l.Transmit(l.A, "eth1", frames) }()
		for { // until some of it is there
			if info, err := os.Stat(file); err == nil && info.Size() > 1<<20 {
				break
			}
			time.Sleep(time.Millisecond)
		}
		if err := r.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		lines := <-printed
		<-r.copied
		_ = r.cmd.Wait() // killed
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
		all := numbers(t, file)
		for i, n := range all {
			if n != uint64(i) {
				t.Fatalf("packet %d is where %d should be", n, i)
			}
		}
		if len(all) < 1000 {
			t.Errorf("the file has %d packets", len(all))
		}
		// A packet is written before it is printed.
		if flush && (len(all) < lines || len(all) > lines+1) {
			t.Errorf("-U: %d packets were printed, and %d are in the file", lines, len(all))
		}
		// The kernel may have been killed within the last write.
		n, said, err := tsharkCounts(file)
		if n != len(all) || err != nil && !strings.Contains(said, "cut short") {
			t.Errorf("tshark finds %d of %d packets: %v %s", n, len(all), err, said)
		}
	}
}

// TestSoonWritten: without -U, too, a packet is in the file a moment later.
func TestSoonWritten(t *testing.T) {
	for _, name := range []string{"out.pcapng", "out.pcap.gz", "out.pcapng.zst"} {
		l := newLab(t)
		file := filepath.Join(t.TempDir(), name)
		r := start(t, l, l.A, "tundump", "-i", "eth1", "-w", file, "udp and dst port 5000")
		if err := l.Transmit(l.A, "eth1", [][]byte{numberedPacket(0, 60), numberedPacket(1, 60)}); err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
			out, _ := exec.Command("tundump", "-r", file, "-t").Output() // a compressed file has no end yet
			if bytes.Count(out, []byte("\n")) == 2 {
				break
			}
			if time.Now().After(deadline) {
				t.Errorf("%s: %q", name, out)
				break
			}
		}
		r.stop(syscall.SIGINT)
	}
}

// TestFullDiskRotation: the disk becomes full in a later file. All files are readable to the
// last packet that fitted.
func TestFullDiskRotation(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to mount a tmpfs: sudo make test")
	}
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=2500k"); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	}()
	var in bytes.Buffer
	numbered(t, &in, 10_000, 500)
	cmd := exec.Command("tundump", "-r", "-", "-w", "out.pcapng", "-C", "1")
	cmd.Dir, cmd.Stdin = dir, &in
	var stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = io.Discard, &stderr
	if err := cmd.Run(); cmd.ProcessState.ExitCode() != failed {
		t.Errorf("%v", err)
	}
	if !regexp.MustCompile(`^reading from .*\ntundump: .*: no space left on device\n$`).Match(stderr.Bytes()) {
		t.Errorf("it said %s", &stderr)
	}
	next := uint64(0)
	for i := 0; ; i++ {
		name := filepath.Join(dir, "out.pcapng")
		if i > 0 {
			name += strconv.Itoa(i)
		}
		if _, err := os.Stat(name); err != nil {
			break
		}
		link := filepath.Join(t.TempDir(), "x.pcapng")
		if err := os.Symlink(name, link); err != nil {
			t.Fatal(err)
		}
		all := numbers(t, link)
		for _, n := range all {
			if n != next {
				t.Fatalf("packet %d, want %d", n, next)
			}
			next++
		}
		if n, said, err := tsharkCounts(name); n != len(all) || err != nil {
			t.Errorf("%s: tshark finds %d packets of %d: %v %s", name, n, len(all), err, said)
		}
	}
	if next < 4000 { // 540 bytes each
		t.Errorf("%d packets are in the files", next)
	}
}
