// Package oracle asks the real tcpdump which packets an expression selects, for
// tests that compare with it.
package oracle

import (
	"bytes"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/gopacket/gopacket/layers"
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
	return times(out)
}

// times returns the seconds of the times of the packets in a capture file that tcpdump has
// written: in the byte order of the machine.
func times(file []byte) map[int]bool {
	const header, record = 24, 16
	all := map[int]bool{}
	order := binary.NativeEndian
	for at := header; at+record <= len(file); {
		all[int(order.Uint32(file[at:]))] = true
		at += record + int(order.Uint32(file[at+8:]))
	}
	return all
}

// Write writes a file for Tcpdump. lengths has the packets' lengths on the wire, and
// is nil if all was captured. They may be less than what was.
func Write(t *testing.T, link layers.LinkType, packets [][]byte, lengths []int) string {
	t.Helper()
	le := binary.LittleEndian
	b := le.AppendUint32(nil, 0xa1b2c3d4) // draft-ietf-opsawg-pcap, version 2.4
	b = append(b, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	b = le.AppendUint32(le.AppendUint32(b, 262144), uint32(link))
	for n, p := range packets {
		length := len(p)
		if lengths != nil {
			length = lengths[n]
		}
		b = le.AppendUint32(le.AppendUint32(b, uint32(n)), 0)
		b = append(le.AppendUint32(le.AppendUint32(b, uint32(len(p))), uint32(length)), p...)
	}
	name := filepath.Join(t.TempDir(), "packets.pcap")
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}
