package capture

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// wholeBytes makes cmp fast on packets.
var wholeBytes = cmp.Comparer(bytes.Equal)

// The builders below write files by hand, in either byte order.

type appender interface {
	binary.ByteOrder
	binary.AppendByteOrder
}

func pcapHeaderBytes(o appender, magic, snapLen, linkType uint32) []byte {
	b := o.AppendUint32(nil, magic)
	b = o.AppendUint16(b, 2)
	b = o.AppendUint16(b, 4)
	b = append(b, make([]byte, 8)...)
	b = o.AppendUint32(b, snapLen)
	return o.AppendUint32(b, linkType)
}

func pcapRecordBytes(o appender, sec, frac, wire uint32, data []byte) []byte {
	b := o.AppendUint32(nil, sec)
	b = o.AppendUint32(b, frac)
	b = o.AppendUint32(b, uint32(len(data)))
	b = o.AppendUint32(b, wire)
	return append(b, data...)
}

func ngBlock(o appender, kind uint32, body []byte) []byte {
	for len(body)%4 != 0 {
		body = append(body, 0)
	}
	b := o.AppendUint32(nil, kind)
	b = o.AppendUint32(b, uint32(len(body))+12)
	b = append(b, body...)
	return o.AppendUint32(b, uint32(len(body))+12)
}

func ngOption(o appender, code uint16, value []byte) []byte {
	b := o.AppendUint16(nil, code)
	b = o.AppendUint16(b, uint16(len(value)))
	b = append(b, value...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

func ngSection(o appender) []byte {
	b := o.AppendUint32(nil, byteOrderMagic)
	b = o.AppendUint16(b, 1)
	b = o.AppendUint16(b, 0)
	b = o.AppendUint64(b, math.MaxUint64)
	b = append(b, ngOption(o, 4, []byte("a test"))...)
	return ngBlock(o, blockSection, b)
}

func ngInterface(o appender, linkType uint16, snapLen uint32, options ...[]byte) []byte {
	b := o.AppendUint16(nil, linkType)
	b = o.AppendUint16(b, 0)
	b = o.AppendUint32(b, snapLen)
	for _, option := range options {
		b = append(b, option...)
	}
	return ngBlock(o, blockInterface, append(b, 0, 0, 0, 0))
}

func ngEnhanced(o appender, iface uint32, ticks uint64, wire uint32, data []byte, options ...[]byte) []byte {
	b := o.AppendUint32(nil, iface)
	b = o.AppendUint32(b, uint32(ticks>>32))
	b = o.AppendUint32(b, uint32(ticks))
	b = o.AppendUint32(b, uint32(len(data)))
	b = o.AppendUint32(b, wire)
	b = append(b, data...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	for _, option := range options {
		b = append(b, option...)
	}
	return ngBlock(o, blockEnhanced, b)
}

func ngObsolete(o appender, iface, drops uint16, ticks uint64, wire uint32, data []byte, options ...[]byte) []byte {
	b := ngEnhanced(o, 0, ticks, wire, data, options...)
	o.PutUint32(b, blockObsolete)
	o.PutUint16(b[8:], iface)
	o.PutUint16(b[10:], drops)
	return b
}

func ngSimple(o appender, wire uint32, data []byte) []byte {
	return ngBlock(o, blockSimple, append(o.AppendUint32(nil, wire), data...))
}

func flags(o appender, f uint32) []byte { return ngOption(o, optionFlags, o.AppendUint32(nil, f)) }

var orders = []struct {
	name string
	appender
}{{"little-endian", binary.LittleEndian}, {"big-endian", binary.BigEndian}}

// read returns a file's interfaces, its packets with copies of their data, and the error
// that ended it, if it was not io.EOF.
func read(t testing.TB, r io.Reader) ([]Interface, []Packet, error) {
	t.Helper()
	f, err := NewFile(r)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	var all []Packet
	for {
		p, err := f.Next(t.Context())
		if err != nil {
			if _, again := f.Next(t.Context()); again.Error() != err.Error() {
				t.Errorf("error %v, and then %v", err, again)
			}
			if err == io.EOF {
				err = nil
			}
			return f.Interfaces(), all, err
		}
		p.Data = bytes.Clone(p.Data)
		all = append(all, p)
	}
}

func TestPcap(t *testing.T) {
	long := bytes.Repeat([]byte("0123456789abcdef"), 70_000) // more than the first buffer
	for _, o := range orders {
		for _, nano := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s nanoseconds %v", o.name, nano), func(t *testing.T) {
				magic, frac := uint32(magicMicro), uint32(123456)
				if nano {
					magic, frac = magicNano, 123456789
				}
				b := pcapHeaderBytes(o, magic, 0, 276|0xf0000000) // snapshot length 0, FCS length
				b = append(b, pcapRecordBytes(o, 1, frac, 60, frame)...)
				b = append(b, pcapRecordBytes(o, 0xffffffff, 0, 0, nil)...)
				b = append(b, pcapRecordBytes(o, 2, 0, uint32(len(long)), long)...)
				b = append(b, pcapRecordBytes(o, 3, 0, 5, frame)...) // says that it was shorter on the wire
				wantInterfaces := []Interface{{LinkType: 276, Nanoseconds: nano, BigEndian: isBig(o)}}
				want := []Packet{
					{Time: 1e9 + 123456000, Len: 60, Data: frame},
					{Time: 0xffffffff * 1e9, Data: []byte{}},
					{Time: 2e9, Len: len(long), Data: long},
					{Time: 3e9, Len: len(frame), Data: frame},
				}
				if nano {
					want[0].Time = 1e9 + 123456789
				}
				for name, r := range map[string]io.Reader{
					"whole": bytes.NewReader(b), "byte by byte": iotest.OneByteReader(bytes.NewReader(b)),
					"halves": iotest.HalfReader(bytes.NewReader(b)), "error with data": iotest.DataErrReader(bytes.NewReader(b)),
				} {
					interfaces, got, err := read(t, r)
					if err != nil {
						t.Fatal(name, err)
					}
					if d := cmp.Diff(wantInterfaces, interfaces, wholeBytes); d != "" {
						t.Error(name, d)
					}
					if d := cmp.Diff(want, got, wholeBytes); d != "" {
						t.Error(name, d)
					}
				}
			})
		}
	}
}

func TestPcapLinkTypes(t *testing.T) {
	for in, want := range map[uint32]uint32{1: 1, 12: 101, 14: 101, 101: 101, 113: 113, 276: 276, 0x1000000 | 1: 1} {
		interfaces, _, err := read(t, bytes.NewReader(pcapHeaderBytes(binary.LittleEndian, magicMicro, 65535, in)))
		if err != nil {
			t.Fatal(err)
		}
		if got := interfaces[0]; got.LinkType != want || got.SnapLen != 65535 {
			t.Errorf("link type %d: %+v", in, got)
		}
	}
}

func isBig(o appender) bool { return o.AppendUint16(nil, 1)[1] == 1 }

// ngFile is a file with much of what pcapng can have: two sections, the second of the
// other byte order, interfaces of their own, blocks to skip.
func ngFile(o, o2 appender) (file []byte, interfaces []Interface, packets []Packet) {
	const t0 = 1_700_000_000
	mac := net.HardwareAddr{2, 0, 0, 0, 0, 1}
	for _, b := range [][]byte{
		ngSection(o),
		ngInterface(o, 1, 262144, ngOption(o, optionIfName, []byte("eth1")), ngOption(o, optionIfDescription, []byte("core\x00")),
			ngOption(o, optionIfMAC, mac), ngOption(o, optionIfSpeed, o.AppendUint64(nil, 10e9)), ngOption(o, optionIfTsResol, []byte{9})),
		ngInterface(o, 276, 0),
		ngBlock(o, 0x80000bad, []byte("somebody's own")),
		ngEnhanced(o, 0, t0*1e9+1, 60, frame, ngOption(o, 1, []byte("a comment")), flags(o, 0xfffffffd)),
		ngInterface(o, 101, 100, ngOption(o, optionIfTsResol, []byte{0x80 | 10}), ngOption(o, optionIfTsOffset, o.AppendUint64(nil, 1000))),
		ngEnhanced(o, 2, (t0-1000)<<10|512, uint32(len(frame)), frame[:7], flags(o, 2)),
		ngEnhanced(o, 1, t0*1e6+2, 4, frame[:4]),
		ngObsolete(o, 1, 77, t0*1e6+3, 5, frame[:5], flags(o, 1)),
		ngSimple(o, 6, frame[:6]),
		ngBlock(o, 5, make([]byte, 12)), // interface statistics
		ngSection(o2),
		ngBlock(o2, 4, make([]byte, 4)), // name resolution
		ngInterface(o2, 1, 10, ngOption(o2, optionIfName, []byte("eth9"))),
		ngEnhanced(o2, 0, t0*1e6+4, 1000, frame, flags(o2, 1)),
		ngSimple(o2, 1000, frame[:10]),
	} {
		file = append(file, b...)
	}
	interfaces = []Interface{
		{Name: "eth1", Description: "core", LinkType: 1, SnapLen: 262144, Nanoseconds: true, MAC: mac, Speed: 10e9},
		{LinkType: 276},
		{LinkType: 101, SnapLen: 100},
		{Name: "eth9", LinkType: 1, SnapLen: 10},
	}
	for i := range interfaces {
		interfaces[i].BigEndian = isBig(o)
	}
	interfaces[3].BigEndian = isBig(o2)
	packets = []Packet{
		{Time: t0*1e9 + 1, Len: 60, Direction: DirectionIn, Data: frame},
		{Time: t0*1e9 + 5e8, Interface: 2, Len: len(frame), Direction: DirectionOut, Data: frame[:7]},
		{Time: t0*1e9 + 2000, Interface: 1, Len: 4, Data: frame[:4]},
		{Time: t0*1e9 + 3000, Interface: 1, Len: 5, Direction: DirectionIn, Data: frame[:5]},
		{Interface: 0, Len: 6, Data: frame[:6]},
		{Time: t0*1e9 + 4000, Interface: 3, Len: 1000, Direction: DirectionIn, Data: frame},
		{Interface: 3, Len: 1000, Data: frame[:10]},
	}
	return file, interfaces, packets
}

func TestPcapng(t *testing.T) {
	for _, o := range orders {
		for _, o2 := range orders {
			t.Run(o.name+" then "+o2.name, func(t *testing.T) {
				b, wantInterfaces, want := ngFile(o, o2)
				for name, r := range map[string]io.Reader{"whole": bytes.NewReader(b), "byte by byte": iotest.OneByteReader(bytes.NewReader(b))} {
					interfaces, got, err := read(t, r)
					if err != nil {
						t.Fatal(name, err)
					}
					if d := cmp.Diff(wantInterfaces, interfaces, wholeBytes); d != "" {
						t.Error(name, d)
					}
					if d := cmp.Diff(want, got, wholeBytes); d != "" {
						t.Error(name, d)
					}
				}
			})
		}
	}
}

// TestPcapngOpen shows that the first interface is known before there is a packet, and
// no more is waited for.
func TestPcapngOpen(t *testing.T) {
	o := binary.LittleEndian
	r, w := newPipe(t, false)
	if _, err := w.Write(append(ngSection(o), ngInterface(o, 1, 96)...)); err != nil {
		t.Fatal(err)
	}
	f, err := NewFile(r)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]Interface{{LinkType: 1, SnapLen: 96}}, f.Interfaces()); d != "" {
		t.Error(d)
	}
	// A file of a section only is one without packets.
	if interfaces, packets, err := read(t, bytes.NewReader(ngSection(o))); len(interfaces)+len(packets) != 0 || err != nil {
		t.Errorf("%v, %v, %v", interfaces, packets, err)
	}
}

func TestClock(t *testing.T) {
	for _, tt := range []struct {
		resolution byte
		offset     int64
		ticks      uint64
		want       int64
		nano       bool
	}{
		{6, 0, 1_700_000_000_123_456, 1_700_000_000_123_456_000, false},
		{0, 0, 1_700_000_000, 1_700_000_000_000_000_000, false},
		{3, 0, 1_700_000_000_123, 1_700_000_000_123_000_000, false},
		{7, 0, 15, 1500, true},
		{9, 0, 1_700_000_000_123_456_789, 1_700_000_000_123_456_789, true},
		{12, 0, 1_999_999, 1999, true},
		{28, 0, math.MaxUint64, 1, true},
		{29, 0, math.MaxUint64, 0, true},
		{127, 0, math.MaxUint64, 0, true},
		{0x80, 0, 3, 3e9, false},
		{0x80 | 1, 0, 3, 15e8, false},
		{0x80 | 19, 0, 1 << 19, 1e9, false},
		{0x80 | 20, 0, 1 << 19, 5e8, true},
		{0x80 | 32, 0, 1_700_000_000<<32 | 1<<31, 1_700_000_000_500_000_000, true},
		{0x80 | 63, 0, 1 << 63, 1e9, true},
		{0x80 | 64, 0, 1 << 63, 5e8, true},
		{0x80 | 127, 0, math.MaxUint64, 0, true},
		{6, 1_700_000_000, 5, 1_700_000_000_000_005_000, false},
		{6, -1, 5, -999_995_000, false},
		{0, 0, math.MaxUint64, math.MaxInt64, false},
		{6, 0, math.MaxUint64, math.MaxInt64, false},
		{6, math.MaxInt64, 0, math.MaxInt64, false},
		{6, 9_223_372_036, 9e17, math.MaxInt64, false},
		{6, math.MinInt64, 0, math.MinInt64, false},
	} {
		k, nano := newClock(tt.resolution, tt.offset)
		if got := k.time(tt.ticks); got != tt.want || nano != tt.nano {
			t.Errorf("resolution %#x, offset %d, %d ticks: %d, nanoseconds %v; want %d, %v", tt.resolution, tt.offset, tt.ticks, got, nano, tt.want, tt.nano)
		}
	}
}

// TestCut cuts files at every byte.
func TestCut(t *testing.T) {
	o := binary.LittleEndian
	pcapFile := pcapHeaderBytes(o, magicMicro, 100, 1)
	for range 3 {
		pcapFile = append(pcapFile, pcapRecordBytes(o, 1, 2, 3, []byte("abc"))...)
	}
	ng, _, _ := ngFile(o, binary.BigEndian)
	for name, file := range map[string][]byte{"pcap": pcapFile, "pcapng": ng} {
		_, all, err := read(t, bytes.NewReader(file))
		if err != nil {
			t.Fatal(err)
		}
		whole := 0
		for n := range file {
			_, got, err := read(t, bytes.NewReader(file[:n]))
			if d := cmp.Diff(all[:len(got)], append([]Packet{}, got...), wholeBytes); d != "" {
				t.Fatalf("%s cut at %d: %s", name, n, d)
			}
			switch {
			case n == 0:
				if err != ErrEmpty {
					t.Errorf("%s: empty: %v", name, err)
				}
			case n < 4:
				if !errors.Is(err, ErrNotCapture) {
					t.Errorf("%s cut at %d: %v", name, n, err)
				}
			case err == nil:
				whole++
			case !errors.Is(err, io.ErrUnexpectedEOF) || strings.Contains(err.Error(), "\n"):
				t.Errorf("%s cut at %d: %v", name, n, err)
			case len(got) > 0 && !strings.Contains(err.Error(), fmt.Sprintf("packets before that: %d)", len(got))):
				t.Errorf("%s cut at %d, after %d packets: %v", name, n, len(got), err)
			}
		}
		// Between records, or blocks, a file just ends.
		if want := map[string]int{"pcap": 3, "pcapng": 15}[name]; whole != want {
			t.Errorf("%s: whole at %d places, want %d", name, whole, want)
		}
	}
}

func TestDamaged(t *testing.T) {
	o := binary.LittleEndian
	ng := func(blocks ...[]byte) []byte {
		return append(append(ngSection(o), ngInterface(o, 1, 0)...), bytes.Join(blocks, nil)...)
	}
	patch := func(b []byte, at int, v uint32) []byte {
		b = bytes.Clone(b)
		o.PutUint32(b[at:], v)
		return b
	}
	good := ngEnhanced(o, 0, 1, uint32(len(frame)), frame)
	record := pcapRecordBytes(o, 1, 2, 3, []byte("abc"))
	pcapOf := func(records ...[]byte) []byte {
		return append(pcapHeaderBytes(o, magicMicro, 100, 1), bytes.Join(records, nil)...)
	}
	for _, tt := range []struct {
		name    string
		file    []byte
		packets int
		want    string
	}{
		{"text", []byte("hello, world\n"), 0, "not a capture file: it starts with 68 65 6c 6c"},
		{"pcap of another version", patch(pcapOf(), 4, 3), 0, "pcap version 3.0 is not supported"},
		{"pcap packet too long", pcapOf(record, patch(record, 8, 0xffffffff), record), 1, "after packet 1: a packet of 4294967295 bytes"},
		{"byte-order magic", patch(ngSection(o), 8, 1), 0, "after packet 0: a section with the byte-order magic 01 00 00 00"},
		{"pcapng of another version", patch(ngSection(o), 12, 2), 0, "pcapng version 2.0 is not supported"},
		{"block too short", ng(good, patch(good, 4, 8)), 1, "after packet 1: a block of 8 bytes"},
		{"block not of words", ng(good, patch(good, 4, 61)), 1, "after packet 1: a block of 61 bytes"},
		{"packet block too short", ng(good, patch(good, 4, 28)), 1, "a packet of 28 bytes"},
		{"packet block too long", ng(good, patch(good, 4, 0xfffffffc)), 1, "a packet of 4294967292 bytes"},
		{"section too short", append(patch(ngSection(o), 4, 24), good...), 0, "a section header of 24 bytes"},
		{"interface too short", append(ngSection(o), patch(ngInterface(o, 1, 0), 4, 16)...), 0, "an interface description of 16 bytes"},
		{"trailing length", ng(good, patch(good, len(good)-4, 16)), 1, fmt.Sprintf("a packet of %d bytes that ends as one of 16", len(good))},
		{"packet longer than its block", ng(good, patch(good, 20, 1000)), 1, "a packet of 1000 bytes in a block of"},
		{"packet of 4 GiB", ng(good, patch(good, 20, 0xffffffff)), 1, "a packet of 4294967295 bytes in a block of"},
		{"simple packet longer than its block", ng(ngSimple(o, 1000, frame)), 0, "a packet of 1000 bytes in a block of"},
		{"interface unknown", ng(good, patch(good, 8, 1)), 1, "a packet of interface 1, and the section has 1"},
		{"interface of the section before", ng(good, ngSection(o), good), 1, "a packet of interface 0, and the section has 0"},
		{"simple packet without interface", append(ngSection(o), ngSimple(o, 4, frame[:4])...), 0, "a section without interfaces"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, got, err := read(t, bytes.NewReader(tt.file))
			if len(got) != tt.packets || err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%d packets, %v; want %d, %q", len(got), err, tt.packets, tt.want)
			}
			sameInChunks(t, tt.file)
		})
	}
}

// TestDamagedOptions: options that are cut or of the wrong size are passed over.
func TestDamagedOptions(t *testing.T) {
	o := binary.LittleEndian
	cutOption := []byte{2, 0, 0xff, 0xff, 'x', 'x', 'x', 'x'}
	b := bytes.Join([][]byte{
		ngSection(o),
		ngInterface(o, 1, 0, ngOption(o, optionIfTsResol, nil), ngOption(o, optionIfMAC, []byte{1}), ngOption(o, optionIfName, []byte("e")), cutOption),
		ngEnhanced(o, 0, 1, uint32(len(frame)), frame, ngOption(o, optionFlags, []byte{1}), flags(o, 2), cutOption),
		ngEnhanced(o, 0, 1, uint32(len(frame)), frame, []byte{1, 0}),
	}, nil)
	interfaces, got, err := read(t, bytes.NewReader(b))
	if err != nil || len(got) != 2 || got[0].Direction != DirectionOut || got[0].Time != 1000 {
		t.Errorf("%+v, %v", got, err)
	}
	if d := cmp.Diff([]Interface{{Name: "e", LinkType: 1}}, interfaces); d != "" {
		t.Error(d)
	}
}

func TestManyInterfaces(t *testing.T) {
	o := binary.LittleEndian
	b := append(ngSection(o), bytes.Repeat(ngInterface(o, 1, 0), maxInterfaces)...)
	if interfaces, _, err := read(t, bytes.NewReader(b)); len(interfaces) != maxInterfaces || err != nil {
		t.Errorf("%d interfaces, %v", len(interfaces), err)
	}
	if _, _, err := read(t, bytes.NewReader(append(b, ngInterface(o, 1, 0)...))); err == nil {
		t.Error("no limit")
	}
}

// zeros is a reader of n bytes that does not hold them.
type zeros struct{ n int64 }

func (z *zeros) Read(b []byte) (int, error) {
	n := min(int64(len(b)), z.n)
	z.n -= n
	if n == 0 && len(b) > 0 {
		return 0, io.EOF
	}
	clear(b[:n])
	return int(n), nil
}

// TestFileMemory reads what claims to be huge: memory goes with what really comes.
func TestFileMemory(t *testing.T) {
	o := binary.LittleEndian
	for _, tt := range []struct {
		name string
		file []byte
		rest int64 // zeros after it
		most uint64
		err  error
	}{
		{"a packet of which little comes", append(pcapHeaderBytes(o, magicMicro, 0, 1), pcapRecordBytes(o, 0, 0, 0, nil)[:8]...), 0, 1 << 20, io.ErrUnexpectedEOF},
		{"a large packet, cut", append(append(pcapHeaderBytes(o, magicMicro, 0, 1), 0, 0, 0, 0, 0, 0, 0, 0), 0, 0, 0, 1, 0, 0, 0, 1), 1000, 1 << 20, io.ErrUnexpectedEOF},
		{"a block of 256 MiB to skip", append(ngSection(o), 99, 0, 0, 0, 0, 0, 0, 0x10), 0x10000000 - 8, 1 << 20, nil},
		{"a block to skip, cut", append(ngSection(o), 99, 0, 0, 0, 0, 0, 0, 0x10), 0x10000000 - 9, 1 << 20, io.ErrUnexpectedEOF},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, got, err := read(t, io.MultiReader(bytes.NewReader(tt.file), &zeros{tt.rest}))
			runtime.ReadMemStats(&after)
			if len(got) != 0 || !errors.Is(err, tt.err) {
				t.Errorf("%d packets, %v", len(got), err)
			}
			if used := after.TotalAlloc - before.TotalAlloc; used > tt.most {
				t.Errorf("%d bytes were allocated", used)
			}
		})
	}
}

func TestFileAllocs(t *testing.T) {
	o := binary.BigEndian
	pcapFile := pcapHeaderBytes(o, magicNano, 0, 1)
	ng := append(ngSection(o), ngInterface(o, 1, 0)...)
	for range 2002 {
		pcapFile = append(pcapFile, pcapRecordBytes(o, 1, 2, 60, frame)...)
		ng = append(ng, ngEnhanced(o, 0, 1, 60, frame, flags(o, 1))...)
	}
	for name, file := range map[string][]byte{"pcap": pcapFile, "pcapng": ng} {
		f, err := NewFile(bytes.NewReader(file))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		if n := testing.AllocsPerRun(2000, func() {
			if _, err := f.Next(ctx); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations for a packet", name, n)
		}
	}
}

// newPipe makes a pipe, on request one of which Go's poller does not know, like standard input.
func newPipe(t *testing.T, blocking bool) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if blocking {
		name := filepath.Join(t.TempDir(), "fifo")
		if err := syscall.Mkfifo(name, 0o600); err != nil {
			t.Fatal(err)
		}
		fd, err := syscall.Open(name, syscall.O_RDONLY|syscall.O_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		if w, err = os.OpenFile(name, os.O_WRONLY, 0); err != nil {
			t.Fatal(err)
		}
		if err := syscall.SetNonblock(fd, false); err != nil {
			t.Fatal(err)
		}
		r = os.NewFile(uintptr(fd), name)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		r.Close()
		w.Close()
	})
	if pollable := r.SetReadDeadline(time.Time{}) == nil; pollable == blocking {
		t.Fatalf("pollable %v", pollable)
	}
	return r, w
}

// TestPipe reads packets as they are written, and stops waiting when it is told to, from
// a pipe that Go's poller knows and from one, like standard input, that it does not.
func TestPipe(t *testing.T) {
	for _, inherited := range []bool{false, true} {
		t.Run(fmt.Sprintf("inherited %v", inherited), func(t *testing.T) {
			r, w := newPipe(t, inherited)
			o := binary.LittleEndian
			write := func(b []byte) {
				t.Helper()
				if _, err := w.Write(b); err != nil {
					t.Fatal(err)
				}
			}
			write(pcapHeaderBytes(o, magicMicro, 0, 1))
			f, err := NewFile(r)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			record := pcapRecordBytes(o, 1, 2, 60, frame)
			write(append(bytes.Clone(record), record[:20]...)) // one, and the beginning of another
			if p, err := f.Next(t.Context()); err != nil || !bytes.Equal(p.Data, frame) {
				t.Fatalf("%+v, %v", p, err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(10*time.Millisecond, cancel)
			for range 2 {
				if _, err := f.Next(ctx); !errors.Is(err, context.Canceled) {
					t.Fatal(err)
				}
			}
			write(record[20:])
			if p, err := f.Next(t.Context()); err != nil || !bytes.Equal(p.Data, frame) {
				t.Fatalf("%+v, %v", p, err)
			}
			write(record[:5])
			w.Close()
			if _, err := f.Next(t.Context()); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Error(err)
			}
		})
	}
}

// TestPipeWriterGone opens a pipe whose writer has come and gone.
func TestPipeWriterGone(t *testing.T) {
	r, w := newPipe(t, true)
	b := pcapHeaderBytes(binary.LittleEndian, magicMicro, 0, 1)
	if _, err := w.Write(append(b, pcapRecordBytes(binary.LittleEndian, 1, 2, 60, frame)...)); err != nil {
		t.Fatal(err)
	}
	w.Close()
	if _, got, err := read(t, r); len(got) != 1 || err != nil {
		t.Errorf("%d packets, %v", len(got), err)
	}
}

func TestOpenFile(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "x.pcap")
	if _, err := OpenFile(name); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	if _, err := OpenFile(dir); err == nil || !strings.Contains(err.Error(), dir) {
		t.Error(err)
	}
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenFile(name); !errors.Is(err, ErrEmpty) || !strings.Contains(err.Error(), name) {
		t.Error(err)
	}
	if err := os.WriteFile(name, pcapHeaderBytes(binary.LittleEndian, magicMicro, 0, 1), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := OpenFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Next(t.Context()); err != io.EOF {
		t.Error(err)
	}
	if s, err := f.Stats(); s != nil || err != nil {
		t.Error(s, err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	if _, err := f.Next(t.Context()); !errors.Is(err, os.ErrClosed) {
		t.Error(err)
	}
}

// TestAgainstTshark compares what we read with what tshark does, on captures of real
// tunnels, in every format that editcap writes, and on the files built above.
func TestAgainstTshark(t *testing.T) {
	for _, tool := range []string{"tshark", "editcap", "mergecap", "dumpcap", "tcpdump"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("needs %s (apt-get install tshark tcpdump)", tool)
		}
	}
	dir := t.TempDir()
	var files []string
	add := func(name string, b []byte) {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
		files = append(files, name)
	}
	for _, o := range orders {
		b, _, _ := ngFile(o, orders[0])
		add(o.name+".pcapng", b)
		for name, magic := range map[string]uint32{"micro": magicMicro, "nano": magicNano} {
			b := pcapHeaderBytes(o, magic, 65535, 1)
			for i := range uint32(9) {
				b = append(b, pcapRecordBytes(o, 1_700_000_000+i, 999_999-i, 60, frame[:1+i*3])...)
			}
			add(o.name+name+".pcap", b)
		}
	}
	base := filepath.Join(dir, "big-endiannano.pcap")
	for _, format := range []string{"pcap", "nsecpcap", "pcapng"} {
		out := filepath.Join(dir, "editcap."+format)
		if b, err := exec.Command("editcap", "-F", format, base, out).CombinedOutput(); err != nil {
			t.Fatalf("editcap: %v\n%s", err, b)
		}
		files = append(files, out)
	}
	// Files of other programs: tcpdump with nanoseconds, mergecap with interfaces of
	// different link types, dumpcap from a pipe.
	raw := filepath.Join(dir, "raw.pcap")
	if err := os.WriteFile(raw, append(pcapHeaderBytes(binary.LittleEndian, magicMicro, 100, 101), pcapRecordBytes(binary.LittleEndian, 1_700_000_001, 5, 60, frame)...), 0o600); err != nil {
		t.Fatal(err)
	}
	for out, args := range map[string][]string{
		"tcpdump.pcap":    {"tcpdump", "-r", base, "--time-stamp-precision=nano", "-w"},
		"mergecap.pcapng": {"mergecap", "-I", "none", base, raw, "-w"},
		"dumpcap.pcapng":  {"dumpcap", "-q", "-i", "-", "-w"},
		"dumpcap.pcap":    {"dumpcap", "-q", "-P", "-i", "-", "-w"},
	} {
		out = filepath.Join(dir, out)
		cmd := exec.Command(args[0], append(args[1:], out)...)
		b, err := os.ReadFile(base)
		if err != nil {
			t.Fatal(err)
		}
		cmd.Stdin = bytes.NewReader(b)
		if msg, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", args[0], err, msg)
		}
		files = append(files, out)
	}
	shared, err := filepath.Glob(filepath.Join("..", "..", "shared", "pcaps", "*.pcap"))
	if err != nil {
		t.Fatal(err)
	}
	files = append(files, shared...)
	for _, name := range files {
		t.Run(filepath.Base(name), func(t *testing.T) { compareTshark(t, name) })
	}
	if len(shared) == 0 {
		t.Skip("no captures of real tunnels: put some into shared/pcaps beside the repository to compare these too")
	}
}

// compareTshark compares the packets of one file with tshark's.
func compareTshark(t *testing.T, name string) {
	t.Helper()
	f, err := OpenFile(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	out, err := exec.Command("tshark", "-n", "-r", name, "-T", "fields", "-e", "frame.time_epoch", "-e", "frame.len", "-e", "frame.cap_len",
		"-e", "frame.interface_id", "-e", "frame.packet_flags_direction").Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	for i, line := range lines {
		p, err := f.Next(t.Context())
		if err != nil {
			t.Fatalf("packet %d: %v", i, err)
		}
		direction := map[Direction]string{DirectionIn: "0x00000001", DirectionOut: "0x00000002"}[p.Direction]
		at := ""
		if p.Time != 0 {
			at = fmt.Sprintf("%d.%09d", p.Time/1e9, p.Time%1e9)
		}
		id := ""
		if ng, ok := f.format.(*pcapng); ok {
			id = strconv.Itoa(p.Interface - ng.first) // tshark counts anew in each section
		}
		if got := strings.Join([]string{at, strconv.Itoa(p.Len), strconv.Itoa(len(p.Data)), id, direction}, "\t"); got != line {
			t.Errorf("packet %d: %q, tshark has %q", i, got, line)
		}
	}
	if _, err := f.Next(t.Context()); err != io.EOF {
		t.Errorf("after tshark's last packet: %v", err)
	}
}

func FuzzPcap(f *testing.F) {
	for _, o := range orders {
		for _, magic := range []uint32{magicMicro, magicNano} {
			b := append(pcapHeaderBytes(o, magic, 100, 1), pcapRecordBytes(o, 1, 2, 60, frame)...)
			f.Add(append(b, pcapRecordBytes(o, 3, 4, 3, []byte("abc"))...))
		}
	}
	f.Fuzz(fuzzFile)
}

func FuzzPcapng(f *testing.F) {
	for _, o := range orders {
		for _, o2 := range orders {
			b, _, _ := ngFile(o, o2)
			f.Add(b)
		}
		start := append(ngSection(o), ngInterface(o, 1, 0, ngOption(o, optionIfTsResol, []byte{9}))...)
		for _, block := range [][]byte{ngEnhanced(o, 0, 1, 5, frame[:5], flags(o, 1)), ngObsolete(o, 0, 1, 2, 3, frame[:3]), ngSimple(o, 2, frame[:2]), ngSection(o)} {
			f.Add(append(bytes.Clone(start), block...))
		}
	}
	f.Fuzz(fuzzFile)
}

// fuzzFile reads b in one piece and in bytes, which must not make a difference, and checks what
// Packet promises.
func fuzzFile(t *testing.T, b []byte) {
	interfaces, got, err := read(t, bytes.NewReader(b))
	_, again, err2 := read(t, iotest.OneByteReader(bytes.NewReader(b)))
	if d := cmp.Diff(got, again, wholeBytes); d != "" || fmt.Sprint(err) != fmt.Sprint(err2) {
		t.Errorf("%v and %v: %s", err, err2, d)
	}
	sameInChunks(t, b)
	data := 0
	for _, p := range got {
		if data += len(p.Data); p.Interface >= len(interfaces) || p.Len < len(p.Data) || p.Interface < 0 {
			t.Errorf("%+v", p)
		}
	}
	if data > len(b) {
		t.Errorf("%d bytes of packets in %d", data, len(b))
	}
}

func BenchmarkFile(b *testing.B) {
	o := binary.LittleEndian
	data := bytes.Repeat(frame, 12)
	for _, tt := range []struct {
		name         string
		head, record []byte
	}{
		{"pcap", pcapHeaderBytes(o, magicMicro, 0, 1), pcapRecordBytes(o, 1, 2, 60, data)},
		{"pcapng", append(ngSection(o), ngInterface(o, 1, 0)...), ngEnhanced(o, 0, 1, 60, data, flags(o, 1))},
	} {
		b.Run(tt.name, func(b *testing.B) {
			const packets = 20_000
			records := bytes.Repeat(tt.record, packets)
			b.SetBytes(int64(len(tt.record)))
			b.ReportAllocs()
			ctx, cancel := context.WithCancel(b.Context())
			defer cancel()
			for n := 0; n < b.N; n += packets {
				f, err := NewFile(io.MultiReader(bytes.NewReader(tt.head), bytes.NewReader(records)))
				if err != nil {
					b.Fatal(err)
				}
				for range packets {
					if _, err := f.Next(ctx); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}
