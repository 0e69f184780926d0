package capture

import (
	"cmp"
	"errors"
	"net/netip"
	"slices"
	"syscall"
	"time"
)

// LiveOptions says how OpenLive captures. The zero value keeps packets up to
// MaxSnapLen, not promiscuous, in a ring of DefaultBufferSize.
type LiveOptions struct {
	// SnapLen is the most bytes of a packet that are kept, a VLAN tag that the
	// kernel had taken out included. 0 means MaxSnapLen.
	SnapLen uint32
	// Promiscuous asks for packets to other stations as well.
	Promiscuous bool
	// BufferSize is the size of the ring in bytes, for each interface, with Fanout for each of its
	// rings. 0 means
	// DefaultBufferSize. The kernel may not have that much: see Live.BufferSize.
	BufferSize int
	// BlockTimeout is the longest that a packet waits in the ring for others to
	// come, in whole milliseconds from 1 to 65535. 0 means DefaultBlockTimeout.
	BlockTimeout time.Duration
	// Fanout is how many rings an interface has, up to MaxFanout; 0 means 1. The kernel
	// divides the flows among them (PACKET_FANOUT, with PACKET_FANOUT_FLAG_UNIQUEID: Linux 4.12).
	// Next returns the packets in the order of time
	// all the same; for that, none waits in a ring for longer than 50 ms, whatever BlockTimeout is.
	Fanout int
	// Filter attaches a filter to the socket of one interface, through
	// SO_ATTACH_BPF or SO_ATTACH_FILTER. The socket is not bound yet, so no packet
	// that the filter would reject is ever captured. The filter should return
	// SnapLen for a packet that it accepts, so that the kernel copies no more, and must
	// not be locked (SO_LOCK_FILTER): Stop replaces it.
	// With no Filter, every packet is captured.
	Filter func(conn syscall.RawConn, iface Interface) error
	// Prepare, if not nil, is told of an interface before its ring is made, for which the kernel takes
	// longer than it computes: what Filter will attach can be made meanwhile. Filter is not
	// called if the interface cannot be opened.
	Prepare func(iface Interface)
	// Namespaces are where the interfaces are, each in all of them; none is the calling
	// thread's network namespace. They need CAP_SYS_ADMIN.
	Namespaces []Namespace
	// Direction is which packets are captured; DirectionUnknown is all.
	Direction Direction
	// TimeStamps is whose clock tells the time of packets; "" is TimeStampHost.
	TimeStamps TimeStampType
	// Accept, if not nil, is asked before an interface is opened. An error is like any
	// other of that interface.
	Accept func(iface Interface) error
	// OnUp is called, from within Next, when an interface that matches a pattern has
	// appeared, and is captured from now on.
	OnUp func(iface Interface)
	// OnDown is called, from within Next, when an interface was lost: err is
	// ErrInterfaceDown or ErrInterfaceGone. The capture goes on with the others. It is also
	// called, and from within OpenLive too, when an interface matches a pattern
	// but cannot be captured.
	OnDown func(iface Interface, err error)
}

// Namespace is a network namespace.
type Namespace struct {
	Path string // a file that stands for it
	Name string // goes in front of the names of interfaces, with a slash; "" does not
}

// TimeStampType is whose clock tells the time of packets, by libpcap's names.
type TimeStampType string

const (
	// TimeStampHost is the kernel's clock.
	TimeStampHost TimeStampType = "host"
	// TimeStampAdapter is the adapter's clock, which goes with the kernel's.
	TimeStampAdapter TimeStampType = "adapter"
	// TimeStampAdapterUnsynced is the adapter's clock, which does not.
	TimeStampAdapterUnsynced TimeStampType = "adapter_unsynced"
)

const (
	// MaxSnapLen is the longest packet that is captured, in bytes: tcpdump's default,
	// and more than a GSO super-packet.
	MaxSnapLen = 262144
	// DefaultBufferSize is in bytes, for each interface. It holds what comes at
	// 10 Gbit/s in 50 ms: longer than a busy machine, or a disk that is being flushed, keeps
	// us from reading.
	DefaultBufferSize = 64 << 20
	// MaxFanout is the most rings of an interface.
	MaxFanout = 16
	// DefaultBlockTimeout is short enough for output that somebody watches.
	DefaultBlockTimeout = 100 * time.Millisecond
)

// setDefaults replaces what was not said of options that all captures from interfaces have.
func setDefaults(snapLen *uint32, bufferSize *int, namespaces *[]Namespace) {
	if *snapLen == 0 || *snapLen > MaxSnapLen {
		*snapLen = MaxSnapLen
	}
	if *bufferSize <= 0 {
		*bufferSize = DefaultBufferSize
	}
	if len(*namespaces) == 0 {
		*namespaces = []Namespace{{}} // the calling thread's
	}
}

var (
	// ErrInterfaceDown tells that an interface was set down. It stays part of the
	// capture, which goes on by itself when the interface is up again.
	ErrInterfaceDown = errors.New("the interface is down")
	// ErrInterfaceGone tells that an interface was removed, or moved to another
	// network namespace.
	ErrInterfaceGone = errors.New("the interface was removed")
	// ErrTimeStampType tells that an interface has no such time stamps.
	ErrTimeStampType = errors.New("the interface has no time stamps")
)

// DeviceInfo describes an interface of the network namespace.
type DeviceInfo struct {
	Name        string
	Index       int
	Description string // the alias that the administrator gave it (ip link set ... alias)
	Up          bool   // IFF_UP
	Running     bool   // IFF_RUNNING: up, and has a carrier
	Loopback    bool
	Addresses   []netip.Prefix
}

// sortDevices sorts like libpcap's get_figure_of_merit: what is up and running first,
// loopback after others, else by index.
func sortDevices(devices []DeviceInfo) {
	rank := func(d DeviceInfo) (n int) {
		if !d.Running {
			n += 4
		}
		if !d.Up {
			n += 2
		}
		if d.Loopback {
			n++
		}
		return n
	}
	slices.SortFunc(devices, func(a, b DeviceInfo) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.Index, b.Index))
	})
}
