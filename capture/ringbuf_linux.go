package capture

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ringBuffer reads the records of a BPF ring buffer where they are, from one mapping of it. (cilium/ebpf's reader
// copies each, and maps the data twice, so that a record that goes on at the start is in one piece; here
// only that one is copied.)
//
// The first page has the position up to which we have read, the second the one up to which there are records, both
// growing for ever; then come the data, a power of two (kernel/bpf/ringbuf.c). A record starts at a multiple
// of eight, and has a header of eight bytes: the length, with two flags, and what is the kernel's own.
type ringBuffer struct {
	consumed, produced *uintptr
	data               []byte
	at                 uintptr // the next record
	end                uintptr // of what is known to be there
	wrapped            []byte  // the last record that went on at the start

	pages []([]byte) // mapped
}

const (
	ringBusy    = 1 << 31 // BPF_RINGBUF_BUSY_BIT: it is being written
	ringDiscard = 1 << 30 // BPF_RINGBUF_DISCARD_BIT
	ringHeader  = 8       // BPF_RINGBUF_HDR_SZ
)

// mapRingBuffer maps the ring buffer fd of so many bytes.
func mapRingBuffer(fd, size int) (*ringBuffer, error) {
	page := os.Getpagesize()
	consumer, err := unix.Mmap(fd, 0, page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("mapping the reader's page: %w", err)
	}
	rest, err := unix.Mmap(fd, int64(page), page+size, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("mapping %d KiB: %w", size>>10, err), unix.Munmap(consumer))
	}
	b := newRingBuffer((*uintptr)(unsafe.Pointer(&consumer[0])), (*uintptr)(unsafe.Pointer(&rest[0])), rest[page:])
	b.pages = [][]byte{consumer, rest}
	return b, nil
}

func newRingBuffer(consumed, produced *uintptr, data []byte) *ringBuffer {
	at := atomic.LoadUintptr(consumed)
	return &ringBuffer{consumed: consumed, produced: produced, data: data, at: at, end: at}
}

// next returns the next record, nil if there is none yet. It must not be written to, and is valid until
// release, or until the next one.
func (b *ringBuffer) next() ([]byte, error) {
	mask := uintptr(len(b.data) - 1)
	for {
		if b.at == b.end {
			if b.end = atomic.LoadUintptr(b.produced); b.at == b.end {
				return nil, nil
			}
		}
		left := b.end - b.at
		if left < ringHeader || left > uintptr(len(b.data)) || b.at%ringHeader != 0 {
			return nil, errRecord
		}
		header := atomic.LoadUint32((*uint32)(unsafe.Pointer(&b.data[b.at&mask])))
		if header&ringBusy != 0 {
			return nil, nil
		}
		n := uintptr(header &^ (ringBusy | ringDiscard))
		whole := (ringHeader + n + 7) &^ 7
		if whole > left {
			return nil, errRecord
		}
		start := (b.at + ringHeader) & mask
		b.at += whole
		if header&ringDiscard != 0 {
			continue
		}
		if start+n > uintptr(len(b.data)) {
			b.wrapped = append(append(b.wrapped[:0], b.data[start:]...), b.data[:start+n-uintptr(len(b.data))]...)
			return b.wrapped, nil
		}
		return b.data[start : start+n : start+n], nil
	}
}

// waiting reports whether there may be another record in what was known to be there.
func (b *ringBuffer) waiting() bool { return b.at != b.end }

// read returns how many bytes have been read and not released.
func (b *ringBuffer) read() int { return int(b.at - atomic.LoadUintptr(b.consumed)) }

// release gives the room of all records that were returned back to the kernel.
func (b *ringBuffer) release() { atomic.StoreUintptr(b.consumed, b.at) }

func (b *ringBuffer) close() error {
	var errs []error
	for _, p := range b.pages {
		errs = append(errs, unix.Munmap(p))
	}
	return errors.Join(errs...)
}
