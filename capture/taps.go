package capture

import (
	"errors"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

// TapOptions says how OpenTaps captures. The zero value keeps packets up to MaxSnapLen, not
// promiscuous, with a buffer of DefaultBufferSize for each interface.
type TapOptions struct {
	// SnapLen is as in LiveOptions.
	SnapLen uint32
	// Promiscuous asks for packets to other stations as well.
	Promiscuous bool
	// BufferSize is in bytes, for each interface. All of them share one buffer, whose size is
	// rounded up to a power of two; it is less if the kernel has not that much memory. 0 means DefaultBufferSize.
	BufferSize int
	// Immediate has each packet wake who waits for it, which costs whoever sends it a microsecond. Else
	// packets wait for up to 25 ms.
	Immediate bool
	// Filter returns the program for one direction of one interface (BPF_PROG_TYPE_SCHED_CLS), which
	// stays the caller's. It is called for both at the same time. It must run output for each packet that it accepts, with the context in R6, and
	// return TCX_NEXT for others, as output does. The labels of output start with "output".
	// With no Filter, every packet is captured.
	Filter TapFilter
	// Prepare, if not nil, is told of an interface, by another goroutine, while the ring is made and programs are
	// attached that do nothing yet: what Filter will return can be made meanwhile. Filter is called when all
	// are prepared, and not if an interface cannot be opened.
	Prepare func(iface Interface)
	// Namespaces are where the interfaces are, each in all of them; none is the calling
	// thread's network namespace. They need CAP_SYS_ADMIN.
	Namespaces []Namespace
	// Direction is which packets are captured; DirectionUnknown is all.
	Direction Direction
	// Accept, if not nil, is asked before an interface is opened. An error is like any
	// other of that interface.
	Accept func(iface Interface) error
	// OnDown is called, from within Next, when an interface was lost: err is
	// ErrInterfaceDown or ErrInterfaceGone. The capture goes on with the others.
	OnDown func(iface Interface, err error)
}

// TapFilter is the type of TapOptions.Filter.
type TapFilter func(iface Interface, outgoing bool, output asm.Instructions) (*ebpf.Program, error)

// ErrNoTaps tells that the kernel is too old for OpenTaps, or the rights to it lack.
var ErrNoTaps = errors.New("to capture at tcx needs Linux 6.6 and the capabilities CAP_BPF, CAP_PERFMON, CAP_NET_ADMIN and CAP_NET_RAW")
