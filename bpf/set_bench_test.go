package bpf

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/tundump/tundump/filter"
)

// setFile returns a file of n addresses: 10.5.5.5, and others that the samples do not have. Every
// prefixes'th is a prefix of 24 bits, none if that is 0.
func setFile(n, prefixes int) []byte {
	r := rand.New(rand.NewPCG(1, 0))
	text := []byte("10.5.5.5\n")
	for i := 1; i < n; i++ {
		a := [4]byte{byte(20 + r.IntN(200)), byte(r.Uint32()), byte(r.Uint32()), byte(r.Uint32())}
		length := 32
		if prefixes > 0 && i%prefixes == 0 {
			a[3], length = 0, 24
		}
		text = fmt.Appendln(text, netip.PrefixFrom(netip.AddrFrom4(a), length))
	}
	return text
}

// BenchmarkSets is the cost of "inner host in @FILE" in the kernel, by BPF_PROG_TEST_RUN, and how
// long it takes to read the file and load it. The cost should not depend on the size.
func BenchmarkSets(b *testing.B) {
	for _, kind := range []struct {
		name     string
		prefixes int
	}{{"addresses", 0}, {"with prefixes", 10}} {
		for _, n := range []int{1, 1000, 1_000_000} {
			text := setFile(n, kind.prefixes)
			start := time.Now()
			opt := options(3)
			opt.Sets = filter.NewSets(func(string) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(text)), nil })
			p, err := filter.Compile("inner host in @FILE", opt)
			if err != nil {
				b.Fatal(err)
			}
			f, err := LoadEBPF(p, snap, nil)
			if err != nil {
				b.Skipf("needs root: %v", err)
			}
			took := time.Since(start)
			for name, data := range samples() {
				b.Run(fmt.Sprintf("%s/%d/%s", kind.name, n, name), func(b *testing.B) {
					ret, per, err := f.prog.Benchmark(append(make([]byte, 14), data...), b.N, b.ResetTimer)
					if err != nil {
						b.Fatal(err)
					}
					if want := strings.HasSuffix(name, "match"); (ret != 0) != want {
						b.Fatalf("returns %d", ret)
					}
					b.ReportMetric(float64(per.Nanoseconds()), "ns/op")
					b.ReportMetric(took.Seconds(), "s-to-load")
				})
			}
			f.Close()
		}
	}
}
