// Package lab makes a small overlay network for the demo and the tests: two
// network namespaces, a veth between them, named eth1 at both ends, and over it a
// VXLAN device of the kernel's at each end. It needs root and the ip command.
package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// The underlay's addresses and what the tunnel is called.
const (
	UnderlayA = "192.0.2.1"
	UnderlayB = "192.0.2.2"
	VNI       = 42
)

// Lab is the network. A and B are the names of the namespaces, as ip netns knows
// them.
type Lab struct {
	A, B string
}

// New makes a network of which the inner hosts innerA are on A's side and innerB on B's.
// A host is an address on the VXLAN device, in one network of 24 bits. Nobody but
// the inner hosts says anything on it: neighbours are known, IPv6 is off.
func New(innerA, innerB []string) (*Lab, error) {
	// The process that made it, to tell whose it is.
	name := fmt.Sprintf("tundump-%d-%08x", os.Getpid(), rand.Uint32())
	l := &Lab{A: name + "-a", B: name + "-b"}
	if err := l.setUp(innerA, innerB); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

func (l *Lab) setUp(innerA, innerB []string) error {
	if err := ip("netns add "+l.A, "netns add "+l.B, "-n "+l.A+" link add eth1 type veth peer name eth1 netns "+l.B); err != nil {
		return err
	}
	const macA, macB = "02:00:00:00:00:0a", "02:00:00:00:00:0b" // of the VXLAN devices
	for _, end := range []struct {
		ns, local, remote, mac, peerMAC string
		inner, peers                    []string
	}{
		{l.A, UnderlayA, UnderlayB, macA, macB, innerA, innerB},
		{l.B, UnderlayB, UnderlayA, macB, macA, innerB, innerA},
	} {
		if err := l.In(end.ns, disableIPv6); err != nil {
			return err
		}
		commands := []string{
			"address add " + end.local + "/24 dev eth1",
			"link set lo up",
			"link set eth1 up",
			fmt.Sprintf("link add vxlan0 address %s type vxlan id %d local %s remote %s dstport 4789 dev eth1 nolearning", end.mac, VNI, end.local, end.remote),
			"link set vxlan0 up",
		}
		for _, host := range end.inner {
			commands = append(commands, "address add "+host+"/24 dev vxlan0")
		}
		for _, host := range end.peers {
			commands = append(commands, "neighbour add "+host+" lladdr "+end.peerMAC+" dev vxlan0 nud permanent")
		}
		for _, c := range commands {
			if err := ip("-n " + end.ns + " " + c); err != nil {
				return err
			}
		}
	}
	return nil
}

// ip runs the ip command, once for each line of arguments.
func ip(lines ...string) error {
	for _, line := range lines {
		if out, err := exec.Command("ip", strings.Fields(line)...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %s: %w: %s", line, err, bytes.TrimSpace(out))
		}
	}
	return nil
}

func disableIPv6() error {
	for _, of := range []string{"all", "default"} {
		err := os.WriteFile("/proc/sys/net/ipv6/conf/"+of+"/disable_ipv6", []byte("1"), 0)
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // a kernel without IPv6
			return err
		}
	}
	return nil
}

// Close removes the network and everything in it.
func (l *Lab) Close() error {
	var errs []error
	for _, ns := range []string{l.A, l.B} {
		if _, err := os.Stat("/run/netns/" + ns); err != nil {
			continue
		}
		errs = append(errs, ip("netns delete "+ns))
	}
	return errors.Join(errs...)
}

// Command returns a command to be run in a namespace.
func (l *Lab) Command(ctx context.Context, ns string, arg ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "ip", append([]string{"netns", "exec", ns}, arg...)...)
}

// In calls f in a thread that is in the namespace. Sockets that f opens stay there.
func (l *Lab) In(ns string, f func() error) error {
	errs := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked, so that the thread ends with us
		errs <- func() error {
			fd, err := unix.Open("/run/netns/"+ns, unix.O_RDONLY|unix.O_CLOEXEC, 0)
			if err != nil {
				return fmt.Errorf("opening namespace %s: %w", ns, err)
			}
			defer unix.Close(fd)
			if err := unix.Setns(fd, unix.CLONE_NEWNET); err != nil {
				return fmt.Errorf("entering namespace %s: %w", ns, err)
			}
			return f()
		}()
	}()
	return <-errs
}

// Transmit sends frames, link-layer header included, out of an interface of a namespace.
func (l *Lab) Transmit(ns, device string, frames [][]byte) error {
	return l.In(ns, func() error {
		dev, err := net.InterfaceByName(device)
		if err != nil {
			return err
		}
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("opening a packet socket: %w", err)
		}
		defer unix.Close(fd)
		for i, f := range frames {
			if err := unix.Sendto(fd, f, 0, &unix.SockaddrLinklayer{Ifindex: dev.Index}); err != nil {
				return fmt.Errorf("sending frame %d out of %s: %w", i, device, err)
			}
		}
		return nil
	})
}
