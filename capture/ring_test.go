package capture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// ringPacket is what a test puts into a block.
type ringPacket struct {
	sec, nsec uint32
	wire      uint32
	status    uint32
	tci, tpid uint16
	pkttype   byte
	data      []byte
}

// buildBlock lays out a block as the kernel does, with room for a VLAN tag.
func buildBlock(packets ...ringPacket) []byte {
	const mac = packetHeader + vlanTagLen + 10
	ne := binary.NativeEndian
	b := make([]byte, blockHeader)
	ne.PutUint32(b, 1)
	ne.PutUint32(b[blockStatus:], 1)
	ne.PutUint32(b[blockPackets:], uint32(len(packets)))
	ne.PutUint32(b[blockFirst:], blockHeader)
	for i, p := range packets {
		m := make([]byte, (mac+len(p.data)+7)&^7)
		if i < len(packets)-1 {
			ne.PutUint32(m, uint32(len(m)))
		}
		ne.PutUint32(m[packetSec:], p.sec)
		ne.PutUint32(m[packetNsec:], p.nsec)
		ne.PutUint32(m[packetSnapLen:], uint32(len(p.data)))
		ne.PutUint32(m[packetLen:], p.wire)
		ne.PutUint32(m[packetStatus:], p.status)
		ne.PutUint16(m[packetMAC:], mac)
		ne.PutUint32(m[packetTCI:], uint32(p.tci))
		ne.PutUint16(m[packetTPID:], p.tpid)
		m[packetType] = p.pkttype
		copy(m[mac:], p.data)
		b = append(b, m...)
	}
	return b
}

// readBlock returns the packets of a block, with copies of their data.
func readBlock(t testing.TB, block []byte, snapLen int, ethernet bool) ([]Packet, error) {
	t.Helper()
	r := blockReader{snapLen: snapLen, ethernet: ethernet}
	if err := r.reset(block); err != nil {
		return nil, err
	}
	var all []Packet
	for {
		var p Packet
		ok, err := r.next(&p)
		if err != nil {
			if ok, again := r.next(&p); ok || again != err {
				t.Errorf("after an error, the block goes on: %v, %v", ok, again)
			}
			return all, err
		}
		if !ok {
			return all, nil
		}
		p.Data = bytes.Clone(p.Data)
		all = append(all, p)
	}
}

var frame = []byte("\x02\x00\x00\x00\x00\x01\x02\x00\x00\x00\x00\x02\x88\xb5payload of the frame")

func TestBlock(t *testing.T) {
	tagged := func(tag string) []byte { return []byte(string(frame[:12]) + tag + string(frame[12:])) }
	n := uint32(len(frame))
	for _, tt := range []struct {
		name     string
		in       ringPacket
		snapLen  int
		raw      bool
		wantLen  int
		wantDir  Direction
		wantData []byte
	}{
		{name: "plain", in: ringPacket{wire: n, data: frame}, wantLen: int(n), wantDir: DirectionIn, wantData: frame},
		{name: "to another host", in: ringPacket{wire: n, data: frame, pkttype: 3}, wantLen: int(n), wantDir: DirectionIn, wantData: frame},
		{name: "out", in: ringPacket{wire: n, data: frame, pkttype: 4}, wantLen: int(n), wantDir: DirectionOut, wantData: frame},
		{name: "cut by the kernel", in: ringPacket{wire: n, data: frame[:20]}, wantLen: int(n), wantDir: DirectionIn, wantData: frame[:20]},
		{name: "cut here", in: ringPacket{wire: n, data: frame}, snapLen: 18, wantLen: int(n), wantDir: DirectionIn, wantData: frame[:18]},
		{name: "802.1Q", in: ringPacket{wire: n, data: frame, status: statusVLAN | statusTPID, tci: 0xb007, tpid: 0x8100},
			wantLen: int(n) + 4, wantDir: DirectionIn, wantData: tagged("\x81\x00\xb0\x07")},
		{name: "802.1ad", in: ringPacket{wire: n, data: frame, status: statusVLAN | statusTPID, tci: 0x1002, tpid: 0x88a8},
			wantLen: int(n) + 4, wantDir: DirectionIn, wantData: tagged("\x88\xa8\x10\x02")},
		{name: "tag 0", in: ringPacket{wire: n, data: frame, status: statusVLAN | statusTPID, tpid: 0x8100},
			wantLen: int(n) + 4, wantDir: DirectionIn, wantData: tagged("\x81\x00\x00\x00")},
		{name: "tag without TPID", in: ringPacket{wire: n, data: frame, status: statusVLAN, tci: 5, tpid: 0xffff},
			wantLen: int(n) + 4, wantDir: DirectionIn, wantData: tagged("\x81\x00\x00\x05")},
		{name: "TPID without tag", in: ringPacket{wire: n, data: frame, status: statusTPID, tci: 5, tpid: 0x8100},
			wantLen: int(n), wantDir: DirectionIn, wantData: frame},
		{name: "tag and snapshot length", in: ringPacket{wire: n, data: frame[:16], status: statusVLAN | statusTPID, tci: 5, tpid: 0x8100},
			snapLen: 16, wantLen: int(n) + 4, wantDir: DirectionIn, wantData: tagged("\x81\x00\x00\x05")[:16]},
		{name: "tag beyond the snapshot length", in: ringPacket{wire: n, data: frame[:11], status: statusVLAN | statusTPID, tci: 5, tpid: 0x8100},
			wantLen: int(n) + 4, wantDir: DirectionIn, wantData: frame[:11]},
		{name: "tag of a raw packet", in: ringPacket{wire: n, data: frame, status: statusVLAN | statusTPID, tci: 5, tpid: 0x8100},
			raw: true, wantLen: int(n), wantDir: DirectionIn, wantData: frame},
		{name: "empty", in: ringPacket{wire: 0}, wantLen: 0, wantDir: DirectionIn, wantData: []byte{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.in.sec, tt.in.nsec = 4_000_000_000, 123456789
			if tt.snapLen == 0 {
				tt.snapLen = MaxSnapLen
			}
			// A neighbour on either side shows that a tag overwrites none of them.
			other := ringPacket{sec: 1, wire: n, data: frame, status: statusVLAN | statusTPID, tci: 1, tpid: 0x8100}
			got, err := readBlock(t, buildBlock(other, tt.in, other), tt.snapLen, !tt.raw)
			if err != nil || len(got) != 3 {
				t.Fatalf("%d packets, %v", len(got), err)
			}
			want := Packet{Time: 4_000_000_000_123456789, Len: tt.wantLen, Direction: tt.wantDir, Data: tt.wantData}
			if d := cmp.Diff(want, got[1]); d != "" {
				t.Error(d)
			}
			if d := cmp.Diff(got[0], got[2]); d != "" {
				t.Errorf("the neighbours differ: %s", d)
			}
		})
	}
}

func TestBlockEmpty(t *testing.T) {
	if got, err := readBlock(t, buildBlock(), MaxSnapLen, true); len(got) != 0 || err != nil {
		t.Errorf("%d packets, %v", len(got), err)
	}
}

// TestBlockDamaged writes nonsense over one field of the second of three packets.
func TestBlockDamaged(t *testing.T) {
	p := ringPacket{wire: uint32(len(frame)), data: frame, status: statusVLAN, tci: 1}
	size := (len(buildBlock(p, p, p)) - blockHeader) / 3
	for _, tt := range []struct {
		name  string
		at    int
		value uint32
		want  int // packets before the error
	}{
		{"next offset 0", 0, 0, 2},
		{"next offset within the header", 0, 8, 2},
		{"next offset beyond the block", 0, 1 << 20, 2},
		{"next offset that wraps", 0, 0xffffffff, 2},
		{"captured beyond the block", packetSnapLen, 0xfffffff0, 1},
		{"captured more than was there", packetLen, 1, 1},
		{"data in the header", packetMAC, 8, 1},
		{"no room for a tag", packetMAC, packetHeader + 3, 1},
		{"data beyond the block", packetMAC, 0xffff, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := buildBlock(p, p, p)
			binary.NativeEndian.PutUint32(b[blockHeader+size+tt.at:], tt.value)
			got, err := readBlock(t, b, MaxSnapLen, true)
			if !errors.Is(err, errBlock) || len(got) != tt.want {
				t.Errorf("%d packets, %v; want %d and an error", len(got), err, tt.want)
			}
		})
	}
	t.Run("count", func(t *testing.T) {
		b := buildBlock(p)
		binary.NativeEndian.PutUint32(b[blockPackets:], 0xffffffff)
		if got, err := readBlock(t, b, MaxSnapLen, true); !errors.Is(err, errBlock) || len(got) != 1 {
			t.Errorf("%d packets, %v", len(got), err)
		}
	})
	t.Run("short", func(t *testing.T) {
		for n := range buildBlock(p) {
			if _, err := readBlock(t, buildBlock(p)[:n], MaxSnapLen, true); !errors.Is(err, errBlock) && n < blockHeader+packetHeader {
				t.Errorf("%d bytes of a block: %v", n, err)
			}
		}
	})
}

func FuzzBlock(f *testing.F) {
	p := ringPacket{wire: uint32(len(frame)), data: frame, pkttype: 4}
	v := ringPacket{wire: 99, data: frame, status: statusVLAN | statusTPID, tci: 7, tpid: 0x88a8}
	f.Add(buildBlock(), uint16(100))
	f.Add(buildBlock(p, v, p), uint16(100))
	f.Add(buildBlock(v, v)[:200], uint16(10))
	f.Fuzz(func(t *testing.T, b []byte, snapLen uint16) {
		got, _ := readBlock(t, b, int(snapLen), true)
		if len(got) > len(b)/packetHeader {
			t.Errorf("%d packets in %d bytes", len(got), len(b))
		}
		for _, p := range got {
			if len(p.Data) > int(snapLen) || len(p.Data) > p.Len {
				t.Errorf("%d bytes of %d, snapshot length %d", len(p.Data), p.Len, snapLen)
			}
		}
	})
}
