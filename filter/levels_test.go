package filter

import (
	"encoding/binary"
	"testing"

	"github.com/tundump/tundump/filter/ir"
)

// ipip returns an Ethernet frame with IPv4 packets in each other, each from the
// address 10.0.0.n, and a UDP header to port 9 in the innermost.
func ipip(hosts ...byte) []byte {
	frame := append(make([]byte, 12), 0x08, 0)
	for i, h := range hosts {
		proto := byte(4)
		if i == len(hosts)-1 {
			proto = 17
		}
		frame = append(frame, 0x45, 0, 0, 0, 0, 0, 0, 0, 64, proto, 0, 0, 10, 0, 0, h, 10, 0, 0, 0)
	}
	return binary.BigEndian.AppendUint32(frame, 9) // ports 0 and 9
}

func TestCompileLevels(t *testing.T) {
	opt := testOptions()
	for _, c := range []struct {
		text  string
		frame []byte
		want  []int // the levels; nil if the expression has none to tell
	}{
		{"host 10.0.0.1", ipip(1, 2), nil},
		{"outer host 10.0.0.1", ipip(1, 2), nil},
		{"not inner host 10.0.0.2", ipip(1, 3), nil},
		{"inner host 10.0.0.2", ipip(1, 2), []int{1}},
		{"inner host 10.0.0.2", ipip(2, 1), []int{}},
		{"inner host 10.0.0.3", ipip(1, 2, 3), []int{2}},
		{"inner 2 host 10.0.0.3", ipip(1, 3, 3), []int{2}},
		{"any host 10.0.0.1", ipip(1, 2, 1), []int{0, 2}},
		{"outer host 10.0.0.1 and inner host 10.0.0.2", ipip(1, 2), []int{1}},
		{"inner host 10.0.0.2 and inner (host 10.0.0.3 and udp)", ipip(1, 2, 3), []int{1, 2}},
		{"(inner host 10.0.0.9 or inner udp) and not inner host 10.0.0.2", ipip(1, 2, 3), []int{2}},
	} {
		programs, err := CompileLevels(c.text, opt)
		if err != nil {
			t.Fatal(err)
		}
		if (programs == nil) != (c.want == nil) {
			t.Errorf("%s: %d programs", c.text, len(programs))
			continue
		}
		got := []int{}
		for level, p := range programs {
			if p != nil && p.Match(c.frame, ir.Meta{Len: uint32(len(c.frame))}) {
				got = append(got, level)
			}
		}
		if len(got) != len(c.want) {
			t.Errorf("%s: levels %v, want %v", c.text, got, c.want)
			continue
		}
		for i := range got {
			if got[i] != c.want[i] {
				t.Errorf("%s: levels %v, want %v", c.text, got, c.want)
			}
		}
	}
	if _, err := CompileLevels("inner (", opt); err == nil {
		t.Error("a wrong expression is compiled")
	}
}
