package capture

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// compressors are the commands that make what is to be read, each with the end of the file's name.
func compressors() map[string][]string {
	return map[string][]string{
		"gzip":                     {"gzip", "-c"},
		"gzip -1":                  {"gzip", "-1c"},
		"zstd":                     {"zstd", "-qc"},
		"zstd, long":               {"zstd", "-qc", "--long=27", "--no-check"},
		"lz4":                      {"lz4", "-qc"},
		"lz4, small linked blocks": {"lz4", "-qc", "-B4", "-BD"},
		"lz4, block checksums":     {"lz4", "-qc", "-9", "-B4", "-BX"},
		"lz4, independent, size":   {"lz4", "-qc", "-B5", "-BI", "--content-size"},
		"lz4, no checksum":         {"lz4", "-qc", "-B7", "--no-frame-crc"},
	}
}

// compress runs a compressor.
func compress(t *testing.T, command []string, data []byte) []byte {
	t.Helper()
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stdin = bytes.NewReader(data)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v", command, err)
	}
	return out
}

// longPcap makes a pcap file of packets that compress a bit: some repeat each other, some are
// noise.
func longPcap(packets int) []byte {
	rnd := rand.New(rand.NewPCG(1, 2))
	le := binary.LittleEndian
	b := le.AppendUint32(nil, magicMicro)
	b = append(b, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	b = le.AppendUint32(b, 262144)
	b = le.AppendUint32(b, 1)
	noise := make([]byte, 1500)
	for i := range packets {
		if rnd.IntN(3) == 0 {
			for j := range noise {
				noise[j] = byte(rnd.Uint32())
			}
		}
		n := 20 + rnd.IntN(1400)
		for _, v := range []uint32{uint32(i), 7, uint32(n), uint32(n)} {
			b = le.AppendUint32(b, v)
		}
		start := len(b)
		b = append(b, noise[:n]...)
		le.PutUint32(b[start:], uint32(i))
	}
	return b
}

// countPackets reads to the end.
func countPackets(f *File) (n int, err error) {
	for {
		p, err := f.Next(context.Background())
		if err != nil {
			return n, err
		}
		if binary.LittleEndian.Uint32(p.Data) != uint32(n) {
			return n, fmt.Errorf("packet %d is where %d should be", binary.LittleEndian.Uint32(p.Data), n)
		}
		n++
	}
}

func TestCompressed(t *testing.T) {
	const packets = 3000 // 2 MB: several blocks of each compressor
	plain := longPcap(packets)
	for name, command := range compressors() {
		t.Run(name, func(t *testing.T) {
			packed := compress(t, command, plain)
			if len(packed) > len(plain)*9/10 {
				t.Fatalf("%d bytes of %d: nothing was compressed", len(packed), len(plain))
			}
			file := filepath.Join(t.TempDir(), "x")
			if err := os.WriteFile(file, packed, 0o600); err != nil {
				t.Fatal(err)
			}
			f, err := OpenFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if n, err := countPackets(f); n != packets || err != io.EOF {
				t.Errorf("%d packets of %d: %v", n, packets, err)
			}
			if err := f.Close(); err != nil {
				t.Error(err)
			}
			// Two frames, or members, are one file.
			half := len(plain) / 2
			two := append(compress(t, command, plain[:half]), compress(t, command, plain[half:])...)
			if f, err = NewFile(bytes.NewReader(two)); err != nil {
				t.Fatal(err)
			}
			if n, err := countPackets(f); n != packets || err != io.EOF {
				t.Errorf("of two frames %d packets of %d: %v", n, packets, err)
			}
			f.Close()
			// A file that is cut says so, whatever it is cut in.
			for _, end := range []int{4, 5, 7, 10, 20, len(packed) / 3, len(packed) / 2, len(packed) - 5, len(packed) - 1} {
				f, err := NewFile(bytes.NewReader(packed[:end]))
				if err == nil {
					_, err = countPackets(f)
					f.Close()
				}
				if !errors.Is(err, io.ErrUnexpectedEOF) || !strings.Contains(err.Error(), "the compressed data end in the middle") {
					t.Errorf("cut at %d of %d: %v", end, len(packed), err)
				}
			}
			// Damage is found; what comes before is read.
			if name == "zstd, long" || name == "lz4, no checksum" { // they have no checksum
				return
			}
			bad := bytes.Clone(packed)
			bad[len(bad)*3/4] ^= 0x55
			if f, err = NewFile(bytes.NewReader(bad)); err != nil {
				t.Fatal(err)
			}
			if n, err := countPackets(f); n == packets && err == io.EOF {
				t.Errorf("the damage was not found")
			}
			f.Close()
		})
	}
}

// TestCompressedPipe: a packet comes as soon as its bytes are there, a read can be interrupted
// and goes on, and Close ends it.
func TestCompressedPipe(t *testing.T) {
	plain := longPcap(200)
	packed := compress(t, []string{"gzip", "-c"}, plain)
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	defer in.Close()
	if _, err := in.Write(packed[:len(packed)/2]); err != nil {
		t.Fatal(err)
	}
	f, err := NewFile(out)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for interrupted := 0; interrupted < 3; {
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		_, err := f.Next(ctx)
		cancel()
		switch {
		case errors.Is(err, context.DeadlineExceeded):
			interrupted++
		case err != nil:
			t.Fatal(err)
		default:
			n++
		}
	}
	if n == 0 {
		t.Error("half of the file has no packets")
	}
	go func(in *os.File) { // the variable will be another pipe's
		_, _ = in.Write(packed[len(packed)/2:])
		in.Close()
	}(in)
	for err = nil; err == nil; n++ {
		_, err = f.Next(context.Background())
	}
	if n--; n != 200 || err != io.EOF {
		t.Errorf("%d packets of 200: %v", n, err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	// Close while it waits for the writer.
	out, in, err = os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	defer in.Close()
	if _, err := in.Write(packed[:len(packed)/2]); err != nil {
		t.Fatal(err)
	}
	if f, err = NewFile(out); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}

// TestLZ4Damaged: what is wrong in a frame is an error, and no panic.
func TestLZ4Damaged(t *testing.T) {
	good := compress(t, []string{"lz4", "-qc", "-B4", "-BX"}, longPcap(300))
	skipped := append([]byte{0x5f, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3}, good...)
	if _, err := io.Copy(io.Discard, newLZ4(bytes.NewReader(skipped))); err != nil {
		t.Errorf("a frame to be skipped: %v", err)
	}
	for name, change := range map[string]func(b []byte) []byte{
		"version":         func(b []byte) []byte { b[4] ^= 0x80; return b },
		"block size":      func(b []byte) []byte { b[5] = 0x10; return b },
		"header checksum": func(b []byte) []byte { b[6]++; return b },
		"block length":    func(b []byte) []byte { b[9] = 0x7f; return b },
		"block":           func(b []byte) []byte { b[100]++; return b },
		"second frame":    func(b []byte) []byte { return append(b, 1, 2, 3, 4) },
		"content checksum": func(b []byte) []byte {
			b[len(b)-1]++
			return b
		},
	} {
		if _, err := io.Copy(io.Discard, newLZ4(bytes.NewReader(change(bytes.Clone(good))))); !errors.Is(err, errLZ4) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, data := range map[string][]byte{
		"nothing":                 {},
		"too few literals":        {0x50, 1, 2},
		"endless length":          append([]byte{0xf0}, bytes.Repeat([]byte{255}, 1000)...),
		"offset 0":                {0x10, 1, 0, 0, 0},
		"offset before the start": {0x10, 1, 2, 0, 0},
		"ends with a match":       {0x10, 1, 1, 0},
		"too long":                {0x1f, 1, 1, 0, 255, 255, 255, 0, 0x10, 1},
		"half an offset":          {0x10, 1, 1},
	} {
		if out, err := expand(nil, data, 100); err == nil || len(out) > 100 {
			t.Errorf("%s: %d bytes, %v", name, len(out), err)
		}
	}
}

// FuzzLZ4 looks for input that makes the reader panic, or hold more than a block and its window.
func FuzzLZ4(f *testing.F) {
	f.Add([]byte{0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82, 5, 0, 0, 0x80, 1, 2, 3, 4, 5, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		z := newLZ4(bytes.NewReader(b))
		_, err := io.CopyN(io.Discard, z, 64<<20)
		if err == nil {
			t.Skip("it makes more than 64 MiB")
		}
		if len(z.out) > lz4Window+4<<20 {
			t.Errorf("it holds %d bytes", len(z.out))
		}
	})
}
