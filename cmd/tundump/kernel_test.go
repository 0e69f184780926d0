package main

import (
	"os"
	"testing"

	"github.com/cilium/ebpf/features"

	"github.com/tundump/tundump/bpf"
	"github.com/tundump/tundump/filter"
	"github.com/tundump/tundump/filter/header"
)

// TestKernel: from Linux 6.17 on the filters of a capture read packets in place.
func TestKernel(t *testing.T) {
	version, err := features.LinuxVersionCode()
	if err != nil {
		t.Fatal(err)
	}
	if version < 6<<16|17<<8 {
		t.Skip("reading packets in place needs Linux 6.17")
	}
	here := kernel()
	if here == nil {
		t.Fatal("the kernel says nothing")
	}
	if os.Geteuid() != 0 {
		t.Skip("loading eBPF needs root (sudo make test)")
	}
	const text, snapLen = "inner host 10.5.5.5", 262144
	opt := filter.Options{LinkType: header.LinkEthernet, Table: header.New(header.DefaultPorts()), Depth: header.DefaultDepth}
	p, err := filter.Compile(text, opt)
	if err != nil {
		t.Fatal(err)
	}
	says := map[bool]string{}
	for inPlace, k := range map[bool]*bpf.Kernel{true: here, false: nil} {
		b, err := bpf.Load(p, snapLen, nil, k)
		if err != nil {
			t.Fatal(err)
		}
		says[inPlace] = b.String()
		b.Close()
	}
	f := newFilters(t.Context(), text, snapLen, func(kind) filter.Options { return opt }, &memory{})
	defer f.close()
	b, err := f.load(kind{link: header.LinkEthernet})
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != says[true] || says[true] == says[false] {
		t.Errorf("loaded is %v, want %s; without reading in place it is %s", b, says[true], says[false])
	}
}
