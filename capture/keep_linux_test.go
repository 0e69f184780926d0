package capture

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestLiveKeep reads much more than the rings hold without copying anything: what is kept is as it was when settle
// is called, and settle is called as often as the kernel needs it.
func TestLiveKeep(t *testing.T) {
	newNamespace(t)
	newVeth(t, "a", "b", 1500)
	const total, ahead = 30_000, 300
	for _, n := range []int{1, 2} {
		l := openLive(t, LiveOptions{Filter: testFlows(false), Fanout: n, BufferSize: 512 << 10, SnapLen: 1500}, "a")
		var kept []Packet
		var seen atomic.Uint32
		settled, most := 0, 0
		l.Keep(func() error {
			for _, p := range kept {
				number := binary.BigEndian.Uint32(p.Data[42:])
				if number != seen.Load() || !bytes.Equal(p.Data[:60], flowFrame(number, int(number%251))) {
					t.Fatalf("fanout %d: packet %d is %x", n, seen.Load(), p.Data)
				}
				seen.Add(1)
			}
			settled, most = settled+1, max(most, len(kept))
			kept = kept[:0]
			return nil
		})
		s := newSender(t, "a")
		go func() {
			defer l.Stop()
			for i := range uint32(total) {
				for i > seen.Load()+ahead && !t.Failed() { // or the ring is full
					runtime.Gosched()
				}
				_ = unix.Sendto(s.fd, append(flowFrame(i, int(i%251)), make([]byte, 400)...), 0, &s.addr)
			}
		}()
		keep := func(p *Packet) error {
			kept = append(kept, *p)
			return nil
		}
		var err error
		for err == nil {
			var p Packet
			if p, err = l.Next(t.Context()); err == nil {
				err = errors.Join(keep(&p), l.Ready(keep))
			}
		}
		if err := l.settle(); err != nil { // as whoever keeps them does at the end
			t.Fatal(err)
		}
		if stats, serr := l.Stats(); err != io.EOF || seen.Load() != total || serr != nil || stats[0] != (Stats{Received: total}) {
			t.Errorf("fanout %d: %d packets, %v; statistics %+v, %v", n, seen.Load(), err, stats, serr)
		}
		if settled < 50 || most < 10 {
			t.Errorf("fanout %d: settled %d times, at most %d packets at once", n, settled, most)
		}
		l.Close()
	}
}

// TestLiveKeepFull reads a full ring: only a part of it is kept from the kernel.
func TestLiveKeepFull(t *testing.T) {
	newNamespace(t)
	newVeth(t, "a", "b", 1500)
	l := openLive(t, LiveOptions{Filter: onlyTestType, BufferSize: 1 << 20, SnapLen: 1500}, "a")
	s := newSender(t, "a")
	for i := range 2000 {
		s.send(testFrame(uint32(i), 400))
	}
	l.Stop()
	kept, most := 0, 0
	l.Keep(func() error {
		most = max(most, kept)
		kept = 0
		return nil
	})
	all := 0
	for {
		if _, err := l.Next(t.Context()); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		all++
		kept++
	}
	if all != 2000 || most < 100 || most > 700 {
		t.Errorf("%d packets, at most %d of them kept", all, most)
	}
}

// TestLiveKeepWaits: before Next waits nothing is kept, or it would not wait; and it returns the error of settle.
func TestLiveKeepWaits(t *testing.T) {
	newNamespace(t)
	newVeth(t, "a", "b", 1500)
	for _, n := range []int{1, 2} {
		l := openLive(t, LiveOptions{Filter: testFlows(false), Fanout: n, BlockTimeout: time.Millisecond}, "a")
		settled := 0
		var fail error
		l.Keep(func() error { settled++; return fail })
		s := newSender(t, "a")
		for i := range 10 {
			s.send(flowFrame(uint32(i), i))
		}
		collect(t, l, 10)
		for range 2 {
			before := settled
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			_, err := l.Next(ctx)
			cancel()
			if !errors.Is(err, context.DeadlineExceeded) || settled > before+1 {
				t.Fatalf("fanout %d: %v, settled %d times", n, err, settled-before)
			}
			for _, r := range l.rings {
				if r.kept > 0 {
					t.Errorf("fanout %d: %d blocks are kept", n, r.kept)
				}
			}
		}
		if settled == 0 {
			t.Errorf("fanout %d: nothing was settled", n)
		}
		fail = errors.New("no more")
		s.send(flowFrame(10, 0))
		collect(t, l, 1)
		if _, err := l.Next(t.Context()); err != fail {
			t.Errorf("fanout %d: %v, want the error of settle", n, err)
		}
		l.Close()
	}
}
