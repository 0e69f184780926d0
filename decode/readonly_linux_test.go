package decode_test

import (
	"context"
	"io"
	"path/filepath"
	"runtime/debug"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/tundump/tundump/capture"
	"github.com/tundump/tundump/decode"
	"github.com/tundump/tundump/filter/header"
)

// TestReadOnly puts packets out of memory that cannot be written to, as a capture at tcx has it.
func TestReadOnly(t *testing.T) {
	mem, err := unix.Mmap(-1, 0, 1<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	must(t, err)
	defer func() { must(t, unix.Munmap(mem)) }()
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	table := header.New(header.Ports{})
	names, err := filepath.Glob("../testdata/*.pcap*")
	must(t, err)
	packets := 0
	for _, name := range names {
		f, err := capture.OpenFile(name)
		must(t, err)
		ng, err := decode.NewPcapng(io.Discard, options)
		must(t, err)
		sinks := []decode.Sink{
			ng,
			decode.NewText(io.Discard, decode.TextOptions{Table: table, Depth: 3, Verbose: 3, LinkHeader: true, HexASCII: 1}),
			decode.NewJSON(io.Discard, decode.JSONOptions{Table: table, Depth: 3}),
		}
		annotate, decap := decode.NewAnnotator(table, 3), decode.NewDecap(table, 3)
		added := 0
		for {
			p, err := f.Next(context.Background())
			if err == io.EOF {
				break
			}
			must(t, err)
			in := f.Interfaces()[p.Interface]
			must(t, unix.Mprotect(mem, unix.PROT_READ|unix.PROT_WRITE))
			p.Data = mem[:copy(mem, p.Data)]
			must(t, unix.Mprotect(mem, unix.PROT_READ))
			for ; added <= p.Interface; added++ {
				must(t, ng.AddInterface(f.Interfaces()[added]))
			}
			annotate.Append(nil, header.LinkType(in.LinkType), p.Data)
			inner := decap.Packet(&p, &in)
			for i, sink := range sinks {
				must(t, sink.Packet(&p, &in))
				if i > 0 {
					must(t, sink.Packet(&inner, &decap.Interfaces()[inner.Interface]))
				}
			}
			packets++
		}
		must(t, f.Close())
	}
	if packets < 500 {
		t.Errorf("%d packets", packets)
	}
}
