package filter

import (
	"strconv"
	"testing"

	"github.com/tundump/tundump/filter/ir"
)

// TestDeepArithmetic compiles numbers that need many registers, up to one that needs
// too many.
func TestDeepArithmetic(t *testing.T) {
	number := "ip[0]"
	sum := uint32(0x45)
	packet := append(etherBytes(0x0800), ip4Bytes(6)...)
	for depth := range 12 {
		p, err := Compile(number+" = "+strconv.Itoa(int(sum)), testOptions())
		switch {
		case err != nil && depth < maxTemporaries:
			t.Errorf("depth %d: %v", depth, err)
		case err == nil && depth > maxTemporaries:
			t.Errorf("depth %d needs no more registers than there are", depth)
		case err == nil && !p.Match(packet, ir.Meta{Len: uint32(len(packet))}):
			t.Errorf("depth %d: the sum is not %d", depth, sum)
		}
		number, sum = "("+number+" + "+number+")", 2*sum
	}
}
