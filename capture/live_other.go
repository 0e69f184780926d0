//go:build !linux

package capture

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"syscall"
)

func errNotLinux(what string) error {
	return fmt.Errorf("%s on %s: %w", what, runtime.GOOS, errors.ErrUnsupported)
}

// Live is a capture from network interfaces. It needs Linux.
type Live struct{}

// OpenLive needs Linux.
func OpenLive([]string, LiveOptions) (*Live, error) { return nil, errNotLinux("live capture") }

// LinkType needs Linux.
func LinkType(string) (uint32, error) { return 0, errNotLinux("live capture") }

// TimeStampTypes needs Linux.
func TimeStampTypes(string) ([]TimeStampType, error) { return nil, errNotLinux("live capture") }

// InNamespace needs Linux.
func InNamespace(string, func() error) error { return errNotLinux("a network namespace") }

// Taps is a capture by programs at tcx. It needs Linux.
type Taps struct{}

// OpenTaps needs Linux.
func OpenTaps([]string, TapOptions) (*Taps, error) { return nil, errNotLinux("live capture") }

func (*Taps) Interfaces() []Interface { return nil }

func (*Taps) Next(context.Context) (Packet, error) { return Packet{}, errNotLinux("live capture") }

// Ready returns the packet that Next would, if it is there already.
func (*Taps) Ready() *Packet { return nil }

func (*Taps) Stats() ([]Stats, error) { return nil, errNotLinux("live capture") }

// SetFilter replaces the programs of all interfaces.
func (*Taps) SetFilter(TapFilter) error { return errNotLinux("live capture") }

// Stop ends the capture.
func (*Taps) Stop() {}

func (*Taps) Close() error { return nil }

// Interfaces needs Linux.
func Interfaces() ([]DeviceInfo, error) { return nil, errNotLinux("listing the interfaces") }

func (*Live) Interfaces() []Interface { return nil }

func (*Live) Next(context.Context) (Packet, error) { return Packet{}, errNotLinux("live capture") }

// Ready returns the packet that Next would, if it is there already.
func (*Live) Ready() *Packet { return nil }

func (*Live) Stats() ([]Stats, error) { return nil, errNotLinux("live capture") }

// BufferSize returns the size of the ring of one interface in bytes.
func (*Live) BufferSize(int) int { return 0 }

// SetFilter replaces the filters of all interfaces.
func (*Live) SetFilter(func(conn syscall.RawConn, iface Interface) error) error {
	return errNotLinux("live capture")
}

// Stop ends the capture.
func (*Live) Stop() {}

func (*Live) Close() error { return nil }
