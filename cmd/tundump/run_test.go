package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestCollectLess: memory is not collected while the program starts, unless the user wants it.
func TestCollectLess(t *testing.T) {
	file := filepath.Join("..", "..", "testdata", "plain.pcap")
	for _, c := range []struct {
		gogc    string
		collect bool
	}{{"", false}, {"20", true}} {
		cmd := exec.Command("tundump", "-r", file, "-w", os.DevNull, "inner host 10.0.0.1")
		cmd.Env = append(os.Environ(), "GODEBUG=gctrace=1", "GOGC="+c.gogc)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if got := strings.Contains(string(out), "gc 1 @"); got != c.collect {
			t.Errorf("with GOGC=%s memory is collected: %v: %s", c.gogc, got, out)
		}
	}
}
