package main

import (
	"fmt"
	"net"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/tundump/tundump/testdata/lab"
)

// TestLiveTags asks for VLAN tags where they are in the packet, at the sender, and where
// the kernel has taken the outermost one out, at the receiver: the answers are the same, in
// eBPF, in classic BPF and at tcx, outside scopes and inside.
func TestLiveTags(t *testing.T) {
	l := newLab(t)
	const each = 20
	kinds := []struct {
		name string
		tags []uint16
	}{{"none", nil}, {"5", []uint16{5}}, {"7", []uint16{7}}, {"5 in 7", []uint16{7, 5}}, {"7 in 5", []uint16{5, 7}}, {"0", []uint16{0}}}
	var frames [][]byte
	for _, k := range kinds {
		frames = append(frames, greFrames(t, each, k.tags...)...)
	}
	for _, c := range []struct {
		expression string
		want       int // how many kinds
	}{
		{"vlan", 5},
		{"not vlan", 1},
		{"vlan 5", 2},
		{"vlan 0", 1},
		{"vlan 7 and vlan 5", 1},
		{"vlan and vlan", 2},
		{"vlan and vlan 7 and ip", 1},
		{"vlan 5 and ip", 1},
		{"vlan and gre and host 10.5.5.5", 3},
		{"vlan and vlan and gre 0x2a and host 10.5.5.5", 2},
		{"vlan 5 or vlan 7", 2}, // the second is looked for behind a tag, as in libpcap
		{"outer vlan", 5},
		{"outer vlan 5", 3},
		{"outer (vlan 5 and vlan 7)", 2},
		{"inner host 10.5.5.5 and outer vlan 7", 3},
		{"inner vlan", 0},
	} {
		for _, ns := range []string{l.A, l.B} {
			for _, run := range waysToFilter() {
				if got := captureFrames(t, l, ns, run, frames, c.expression); got != c.want*each {
					t.Errorf("%s: %v at %s: %d frames of %d", c.expression, run, ns, got, c.want*each)
				}
			}
		}
	}
}

// waysToFilter returns commands whose filters are eBPF, if that is better, classic BPF, and eBPF at tcx.
func waysToFilter() [][]string {
	return [][]string{{"tundump"}, {"setpriv", "--bounding-set", "-bpf,-sys_admin", "tundump"}, {"tundump", "--engine", "tcx"}}
}

// captureFrames returns how many of the frames, which A sends, a command captures.
func captureFrames(t *testing.T, l *lab.Lab, ns string, command []string, frames [][]byte, expression string) int {
	t.Helper()
	file := filepath.Join(t.TempDir(), "out.pcapng")
	r := start(t, l, ns, append(command[:len(command):len(command)], "-i", "eth1", "-w", file, expression)...)
	if err := l.Transmit(l.A, "eth1", frames); err != nil {
		t.Fatal(err)
	}
	captured, _, dropped := counters(t, r.stop(syscall.SIGINT))
	if dropped > 0 {
		t.Errorf("%s: %d dropped", expression, dropped)
	}
	return captured
}

// TestLiveFacts asks for what is not in the packet: direction, interface, the network's
// broadcast address.
func TestLiveFacts(t *testing.T) {
	l := newLab(t)
	index := map[string]int{}
	for _, ns := range []string{l.A, l.B} {
		if err := l.In(ns, func() error {
			in, err := net.InterfaceByName("eth1")
			if err == nil {
				index[ns] = in.Index
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	var frames [][]byte
	for _, to := range []string{"192.0.2.127", "192.0.2.255", "192.0.2.0", "192.0.3.255", "255.255.255.255"} {
		for range 10 {
			frames = append(frames, frame(t, ethernet(), ipv4("192.0.2.1", to), udp(9000), payload([]byte("x"))))
		}
	}
	for _, c := range []struct {
		expression string
		a, b       int
	}{
		{"inbound and udp dst port 9000", 0, 50},
		{"outbound and udp dst port 9000", 50, 0},
		{"not inbound and udp dst port 9000", 50, 0},
		{fmt.Sprintf("ifindex %d and udp dst port 9000", index[l.A]), 50, 50 * same(index[l.A], index[l.B])},
		{fmt.Sprintf("ifindex %d and udp dst port 9000", index[l.A]+1000), 0, 0},
		{"ip broadcast and udp dst port 9000", 40, 40}, // the last 8 bits all 0 or all 1: the network has 24
	} {
		for _, run := range waysToFilter() {
			for ns, want := range map[string]int{l.A: c.a, l.B: c.b} {
				if got := captureFrames(t, l, ns, run, frames, c.expression); got != want {
					t.Errorf("%s: %v at %s: %d frames of %d", c.expression, run, ns, got, want)
				}
			}
		}
	}
}

func same(a, b int) int {
	if a == b {
		return 1
	}
	return 0
}
