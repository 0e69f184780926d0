package filter

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// TestLong compiles long expressions, of several shapes: four times as long, they must not
// need much more than four times as much memory. What is allocated goes with the work that
// is done, and unlike time it is the same on every run.
func TestLong(t *testing.T) {
	long := func(size int, sep string, term func(i int) string) string {
		var b strings.Builder
		b.WriteString(term(0))
		for i := 1; b.Len() < size; i++ {
			b.WriteString(sep + term(i))
		}
		return b.String()
	}
	for name, shape := range map[string]func(size int) string{
		"hosts": func(size int) string {
			return long(size, " or ", func(i int) string { return fmt.Sprintf("host 10.0.%d.%d", i>>8&255, i&255) })
		},
		"values": func(size int) string { return long(size, " or ", func(i int) string { return "port 80" }) },
		"refusals": func(size int) string {
			return long(size, " and ", func(i int) string { return fmt.Sprintf("not host 10.0.%d.%d", i>>8&255, i&255) })
		},
		"pairs": func(size int) string {
			return long(size, " or ", func(i int) string { return fmt.Sprintf("(host 10.0.0.%d and port %d)", i%256, i) })
		},
		"bytes": func(size int) string {
			return long(size, " or ", func(i int) string { return fmt.Sprintf("tcp[%d] = %d", i, i%256) })
		},
		"sum": func(size int) string {
			return long(size, "+", func(i int) string { return fmt.Sprintf("ip[%d]", i) }) + " = 1"
		},
		"inside": func(size int) string {
			return "inner (" + long(size, " or ", func(i int) string { return fmt.Sprintf("host 10.0.%d.%d", i>>8&255, i&255) }) + ")"
		},
	} {
		allocated := func(size int) uint64 {
			var before, after runtime.MemStats
			text := shape(size)
			runtime.ReadMemStats(&before)
			if _, err := Compile(text, testOptions()); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			runtime.ReadMemStats(&after)
			return after.TotalAlloc - before.TotalAlloc
		}
		short, wide := allocated(2<<10), allocated(8<<10)
		t.Logf("%s: %d KiB for 2 KiB, %d for 8", name, short>>10, wide>>10)
		if wide > 7*short {
			t.Errorf("%s: %d KiB for 2 KiB of text, %d for 8: it grows faster than the text", name, short>>10, wide>>10)
		}
	}
}
