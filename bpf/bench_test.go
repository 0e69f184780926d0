package bpf

import (
	"testing"

	"github.com/tundump/tundump/filter"
	"github.com/tundump/tundump/filter/ir"
)

// samples are the packets of the performance table: plain TCP, GRE with a key and
// VXLAN, each with an inner packet of 10.5.5.5.
func samples() map[string][]byte {
	ether := append(make([]byte, 12), 0x08, 0)
	ip := func(proto byte, src byte) []byte {
		return []byte{0x45, 0, 0, 0, 0, 0, 0, 0, 64, proto, 0, 0, 10, 5, 5, src, 10, 5, 5, 6}
	}
	join := func(parts ...[]byte) (p []byte) {
		for _, b := range parts {
			p = append(p, b...)
		}
		return append(p, make([]byte, max(0, 128-len(p)))...)
	}
	gre := []byte{0x20, 0, 0x65, 0x58, 0, 0, 0, 0x2a}
	vxlan := []byte{0xd0, 0, 4789 >> 8, 4789 & 0xff, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 42, 0}
	return map[string][]byte{
		"plain":       join(ether, ip(6, 5)),
		"gre-miss":    join(ether, ip(47, 1), gre, ether, ip(6, 7)),
		"gre-match":   join(ether, ip(47, 1), gre, ether, ip(6, 5)),
		"vxlan-miss":  join(ether, ip(17, 1), vxlan, ether, ip(6, 7)),
		"vxlan-match": join(ether, ip(17, 1), vxlan, ether, ip(6, 5)),
	}
}

// BenchmarkEBPF is the cost of "inner host A" in the kernel, by BPF_PROG_TEST_RUN.
func BenchmarkEBPF(b *testing.B) {
	p, err := filter.Compile("inner host 10.5.5.5", options(3))
	if err != nil {
		b.Fatal(err)
	}
	f, err := LoadEBPF(p, snap, nil)
	if err != nil {
		b.Skipf("needs root: %v", err)
	}
	defer f.Close()
	for name, data := range samples() {
		b.Run(name, func(b *testing.B) {
			// A socket filter is given the packet behind its first 14 bytes.
			ret, per, err := f.prog.Benchmark(append(make([]byte, 14), data...), b.N, b.ResetTimer)
			if err != nil {
				b.Fatal(err)
			}
			if want := len(name) > 5 && name[len(name)-5:] == "match"; (ret != 0) != want {
				b.Fatalf("returns %d", ret)
			}
			b.ReportMetric(float64(per.Nanoseconds()), "ns/op")
		})
	}
}

// BenchmarkMatch is the same in Match, which filters files.
func BenchmarkMatch(b *testing.B) {
	p, err := filter.Compile("inner host 10.5.5.5", options(3))
	if err != nil {
		b.Fatal(err)
	}
	for name, data := range samples() {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				p.Match(data, ir.Meta{Len: uint32(len(data))})
			}
		})
	}
}
