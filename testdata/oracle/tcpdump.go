// Package oracle asks the real tcpdump which packets an expression selects, for
// tests that compare with it.
package oracle

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// NeedTcpdump skips the test if there is none.
func NeedTcpdump(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("tcpdump"); err != nil {
		t.Skip("tcpdump is not installed: make setup")
	}
}

// Tcpdump runs tcpdump on a capture file in which packet n has the time n seconds,
// and returns which of them the expression selects.
func Tcpdump(t *testing.T, file, expression string, flags ...string) map[int]bool {
	t.Helper()
	NeedTcpdump(t)
	cmd := exec.Command("tcpdump", append(flags, "-r", file, "-w", "-", "--", expression)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	// libpcap's optimiser refuses what it finds to select nothing.
	if bytes.Contains(stderr.Bytes(), []byte("expression rejects all packets")) {
		return map[int]bool{}
	}
	if err != nil {
		t.Fatalf("tcpdump %q: %v\n%s", expression, err, stderr.Bytes())
	}
	r, err := pcapgo.NewReader(bytes.NewReader(out))
	if err != nil {
		t.Fatal(err)
	}
	selected := map[int]bool{}
	for {
		_, ci, err := r.ReadPacketData()
		if err != nil {
			return selected
		}
		selected[int(ci.Timestamp.Unix())] = true
	}
}

// Write writes a file for Tcpdump. lengths has the packets' lengths on the wire, and
// is nil if all was captured.
func Write(t *testing.T, link layers.LinkType, packets [][]byte, lengths []int) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "packets.pcap")
	var b bytes.Buffer
	w := pcapgo.NewWriter(&b)
	if err := w.WriteFileHeader(262144, link); err != nil {
		t.Fatal(err)
	}
	for n, p := range packets {
		ci := gopacket.CaptureInfo{Timestamp: time.Unix(int64(n), 0), CaptureLength: len(p), Length: len(p)}
		if lengths != nil {
			ci.Length = lengths[n]
		}
		if err := w.WritePacket(ci, p); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(name, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}
