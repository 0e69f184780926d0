package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == childCommand {
		os.Exit(child(os.Args[2:]))
	}
	os.Exit(m.Run())
}

// Every measurement runs, with few packets, and every goal has a row. The numbers mean nothing;
// that the records of the tools add up is checked by the measurements themselves.
func TestRun(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("run as root: it captures in namespaces of its own")
	}
	tundump := filepath.Join(t.TempDir(), "tundump")
	if out, err := exec.Command("go", "build", "-o", tundump, "../../cmd/tundump").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	tiny := amounts{
		name: "a test", sockets: 2, filterRounds: 1, filterFrames: 200, testRuns: 100,
		liveRounds: 1, liveFrames: 1000, largeFrames: 500, drain: 1100 * time.Millisecond,
		fileRecords: 4000, fileRounds: 1, textRecords: 500, starts: 1, stopFrames: 1000, stopRounds: 1, burstFrames: 1000, burstRounds: 1,
		sets: []int{1, 1000}, depths: 3, live: []liveCase{{128, 1}, {128, 100}, {1400, 100}},
	}
	var out bytes.Buffer
	if err := run(t.Context(), &out, testWriter{t}, tundump, tiny, ""); err != nil {
		t.Fatal(err)
	}
	text := out.String()
	t.Log(text)
	for n := 1; n <= 12; n++ {
		if !strings.Contains(text, fmt.Sprintf("\n| P%d | ", n)) {
			t.Errorf("there is no row P%d", n)
		}
	}
	for _, want := range []string{
		"\n## Filter cost in the kernel\n", "\n| libpcap `host A` | 14 | ", "\n| libpcap 1.11 `vxlan and host A`, rebuilt | 46 | ",
		"\n## Filter cost by BPF_PROG_TEST_RUN\n", "\n## Where the filter is\n", "\n| tcx, tundump `inner host A` | ",
		"\n## XDP\n", "\n| XDP of the driver, a program that does nothing | ", "\n| generic XDP, a program that does nothing | ", "\n## Sets of addresses\n", "\n| 1000 | ", "\n## Size by depth\n", "\n| 60 clauses | 8 | ",
		"\n## Live capture, packets of 128 bytes\n", "\n## Live capture, packets of 1400 bytes\n", "\n| tcpdump -B 65536 | ", "\n| dumpcap -B 64 | ",
		"\n## Lost at the stop\n", "\n## Catching up, packets of 128 bytes\n", "\n| tundump --fanout 2 -B 131072 | ", "\n| dumpcap -B 256 | ", "\n## Start and memory\n", "\n## File to file\n", "\n## Text output to a file\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the report has no %q", want)
		}
	}
	// So few packets fit into every ring, and we lose nothing at the stop. (dumpcap does when the machine is busy.)
	for _, part := range strings.Split(text, "\n## ") {
		if !strings.HasPrefix(part, "Live capture") {
			continue
		}
		for line := range strings.Lines(part) {
			cells := strings.Split(line, " | ")
			for i := 1; i < len(cells) && strings.Contains(cells[0], "tundump"); i += 3 {
				if cells[i] != "0" {
					t.Errorf("it has missed something: %s", line)
				}
			}
		}
	}
}

// testWriter logs what is written.
type testWriter struct{ t *testing.T }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Logf("%s", bytes.TrimSpace(p))
	return len(p), nil
}
