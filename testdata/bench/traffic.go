package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The inner host that is looked for, and one that is not.
const (
	chosen  = 0x0a050505 // 10.5.5.5
	another = 0x0a050506
	peer    = 0x0a050501
)

const chosenText = "10.5.5.5"

// packetKind is what a packet carries.
type packetKind int

const (
	plainTCP packetKind = iota
	inGRE               // IPv4 in GRE with a key
	inVXLAN             // Ethernet in VXLAN
)

// frame returns a packet of so many bytes that an inner host sends to the inner peer; a
// plain one is from an outer host to another. The destination's MAC address is nobody's, so
// that the receiving host ends with the packet where the sockets have seen it.
func frame(kind packetKind, innerHost uint32, size int) []byte {
	ethernet := func(etherType uint16) []byte {
		return binary.BigEndian.AppendUint16([]byte{2, 0, 0, 0, 9, 9, 2, 0, 0, 0, 9, 8}, etherType)
	}
	var parts [][]byte
	switch kind {
	case plainTCP:
		parts = [][]byte{ethernet(0x800), ipv4(6, 0xc0000201, 0xc0000202), tcpHeader()}
	case inGRE:
		parts = [][]byte{ethernet(0x800), ipv4(47, 0xc0000201, 0xc0000202), {0x20, 0, 8, 0, 0, 0, 0, 42}, ipv4(6, innerHost, peer), tcpHeader()}
	case inVXLAN:
		parts = [][]byte{ethernet(0x800), ipv4(17, 0xc0000201, 0xc0000202), {0xc3, 0x50, 0x12, 0xb5, 0, 0, 0, 0}, {8, 0, 0, 0, 0, 0, 42, 0},
			ethernet(0x800), ipv4(6, innerHost, peer), tcpHeader()}
	}
	var out []byte
	var lengths []struct{ at, from int } // of the length fields: where, and what they count from
	for _, p := range parts {
		if p[0] == 0x45 {
			lengths = append(lengths, struct{ at, from int }{len(out) + 2, len(out)})
		}
		if len(p) == 8 && p[2] == 0x12 { // UDP
			lengths = append(lengths, struct{ at, from int }{len(out) + 4, len(out)})
		}
		out = append(out, p...)
	}
	out = append(out, make([]byte, max(size-len(out), 0))...)
	for _, l := range lengths {
		binary.BigEndian.PutUint16(out[l.at:], uint16(len(out)-l.from))
	}
	return out
}

func ipv4(protocol byte, src, dst uint32) []byte {
	h := []byte{0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, protocol, 0, 0}
	h = binary.BigEndian.AppendUint32(h, src)
	return binary.BigEndian.AppendUint32(h, dst)
}

func tcpHeader() []byte {
	return []byte{0x9c, 0x40, 1, 0xbb, 0, 0, 3, 0xe8, 0, 0, 0, 1, 0x50, 0x10, 0xfa, 0xf0, 0, 0, 0, 0}
}

// mixed returns a hundred packets in GRE, of which so many are of the chosen host.
func mixed(matching, size int) [][]byte {
	frames := make([][]byte, 100)
	for i := range frames {
		host := uint32(another)
		if i < matching {
			host = chosen
		}
		frames[i*37%100] = frame(inGRE, host, size) // spread
	}
	return frames
}

// message is struct mmsghdr.
type message struct {
	header unix.Msghdr
	length uint32
}

// sender sends packets from one namespace to the other, without queueing, as fast as it can.
// What the receiver's sockets do with a packet happens before the next is sent, on the same CPU.
type sender struct {
	fd       int
	messages []message
	buffers  []unix.Iovec
}

const maxMessages = 1024 // UIO_MAXIOV

// openSender opens the socket; it must be called in the namespace.
func openSender(device string) (*sender, error) {
	dev, err := net.InterfaceByName(device)
	if err != nil {
		return nil, err
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1); err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Ifindex: dev.Index}); err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	return &sender{fd: fd}, nil
}

func (s *sender) close() error { return unix.Close(s.fd) }

// load says which packets are sent, in turn.
func (s *sender) load(frames [][]byte) {
	n := len(frames)
	for n < 500 { // many for each system call
		n += len(frames)
	}
	s.messages, s.buffers = make([]message, n), make([]unix.Iovec, n)
	for i := range s.messages {
		f := frames[i%len(frames)]
		s.buffers[i].Base = &f[0]
		s.buffers[i].SetLen(len(f))
		s.messages[i].header.Iov = &s.buffers[i]
		s.messages[i].header.SetIovlen(1)
	}
}

// send sends so many packets.
func (s *sender) send(count int) error {
	for at := 0; count > 0; {
		batch := min(len(s.messages)-at, count, maxMessages)
		n, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(s.fd), uintptr(unsafe.Pointer(&s.messages[at])), uintptr(batch), 0, 0, 0)
		if errno == unix.EINTR || errno == unix.ENOBUFS || errno == unix.EAGAIN {
			continue
		}
		if errno != 0 {
			return fmt.Errorf("sendmmsg: %w", errno)
		}
		count -= int(n)
		if at += int(n); at == len(s.messages) {
			at = 0
		}
	}
	return nil
}

// transmit sends so many packets from A to B, and returns how long one took.
func (b *bench) transmit(frames [][]byte, count int) (perPacket float64, err error) {
	before, err := b.received()
	if err != nil {
		return 0, err
	}
	err = b.lab.In(b.lab.A, func() (err error) {
		if err := pin(b.senderCPU); err != nil { // the thread ends with this
			return err
		}
		s, err := openSender("eth1")
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, s.close()) }()
		s.load(frames)
		start := time.Now()
		err = s.send(count)
		perPacket = float64(time.Since(start).Nanoseconds()) / float64(count)
		return err
	})
	if err != nil {
		return 0, err
	}
	after, err := b.received()
	if err == nil && after-before != count {
		err = fmt.Errorf("of %d packets sent %d were received", count, after-before)
	}
	return perPacket, err
}

// received returns how many packets the kernel has counted on B's interface.
func (b *bench) received() (n int, err error) {
	err = b.lab.In(b.lab.B, func() error {
		text, err := os.ReadFile("/proc/thread-self/net/dev")
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(text)) {
			if name, counters, ok := strings.Cut(strings.TrimSpace(line), ":"); ok && name == "eth1" {
				var bytes int
				_, err := fmt.Sscan(counters, &bytes, &n)
				return err
			}
		}
		return errors.New("there is no eth1")
	})
	return n, err
}
