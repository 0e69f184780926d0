package filter

import (
	"testing"

	"github.com/gopacket/gopacket/layers"

	"github.com/tundump/tundump/filter/ir"
	"github.com/tundump/tundump/testdata/oracle"
	"github.com/tundump/tundump/testdata/random"
)

// TestTcpdump compares expressions without extensions with what the real tcpdump
// selects: random ones, and some that the generator does not make.
func TestTcpdump(t *testing.T) {
	g := random.New(2)
	var packets [][]byte
	var lengths []int
	for range 2000 {
		p := g.Packet(2)
		packets, lengths = append(packets, p), append(lengths, len(p)+g.IntN(2)*g.IntN(100))
	}
	file := oracle.Write(t, layers.LinkTypeEthernet, packets, lengths)
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
		want, plain := oracle.Tcpdump(t, file, text), oracle.Tcpdump(t, file, text, "-O")
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
