package filter

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

	"github.com/tundump/tundump/filter/ir"
	"github.com/tundump/tundump/testdata/random"
)

// tcpdump runs the real one on a capture file, and returns the numbers of the packets
// that the expression selects. Packet n has the time n seconds.
func tcpdump(t *testing.T, file, text string, flags ...string) map[int]bool {
	t.Helper()
	cmd := exec.Command("tcpdump", append(flags, "-r", file, "-w", "-", "--", text)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if bytes.Contains(stderr.Bytes(), []byte("expression rejects all packets")) {
		return nil
	}
	if err != nil {
		t.Fatalf("tcpdump %q: %v\n%s", text, err, stderr.Bytes())
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

// writePackets writes packets to a file, some of them longer on the wire than captured.
func writePackets(t *testing.T, packets [][]byte, lengths []int) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "packets.pcap")
	var b bytes.Buffer
	w := pcapgo.NewWriter(&b)
	if err := w.WriteFileHeader(262144, layers.LinkTypeEthernet); err != nil {
		t.Fatal(err)
	}
	for n, p := range packets {
		ci := gopacket.CaptureInfo{Timestamp: time.Unix(int64(n), 0), CaptureLength: len(p), Length: lengths[n]}
		if err := w.WritePacket(ci, p); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(name, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// TestTcpdump compares expressions without extensions with what the real tcpdump
// selects: random ones, and some that the generator does not make.
func TestTcpdump(t *testing.T) {
	if _, err := exec.LookPath("tcpdump"); err != nil {
		t.Skip("tcpdump is not installed: make setup")
	}
	g := random.New(2)
	var packets [][]byte
	var lengths []int
	for range 2000 {
		p := g.Packet(2)
		packets, lengths = append(packets, p), append(lengths, len(p)+g.IntN(2)*g.IntN(100))
	}
	file := writePackets(t, packets, lengths)
	g.Tunnels = false
	texts := []string{
		"", " \n", "host 10.0.0", "net 10.0.0.0 mask 255.255.0.0", "host 0x0a000001", "host 167772161", "portrange 100-50", "portrange 80-80",
		"host 10.0.0.1 or 10.0.0.2 and port 80 or 443", "not host 10.0.0.1 or 10.0.0.2", "host 10.0.0.1 and (port 80 or 443)",
		"host (10.0.0.1 or not 10.0.0.2)", "tcp or udp and not port 80", "! tcp && ! udp", "ether host 52:54:0:0:0:1 or 52:54:0:0:1:2",
		"ether proto 0x88cc", `ether proto \ip`, "ether host 5254.0000.0001", "ether src 525400000001", "ip proto 6 or 17", "5 < len", "100 >= len",
		"host 10.0.0.1 and (tcp) or 10.0.0.2", "link host 52-54-00-00-00-01",
	}
	opt := testOptions()
	matched := 0
	for range random.Rounds(400) {
		texts = append(texts, g.Expr(1+g.IntN(5)))
	}
	for _, text := range texts {
		p, err := Compile(text, opt)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		// libpcap's optimiser leaves out loads and changes their order, and with that
		// which packets are too short for the expression. Either of its answers is right.
		want, plain := tcpdump(t, file, text), tcpdump(t, file, text, "-O")
		matched += len(want)
		for n, data := range packets {
			if got := p.Match(data, ir.Meta{Len: uint32(lengths[n])}); got != want[n] && got != plain[n] {
				t.Fatalf("%q\non %x, %d bytes on the wire\nis %v, tcpdump says %v", text, data, lengths[n], got, want[n])
			}
		}
	}
	if missing := g.Missing(); missing != nil {
		t.Errorf("never generated: %q", missing)
	}
	if total := len(texts) * len(packets); matched < total/20 {
		t.Errorf("only %d of %d matched: the test says little", matched, total)
	}
}
