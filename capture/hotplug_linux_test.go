package capture

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// changes collects what a live capture reports of its interfaces.
type changes struct{ up, down []string }

func (c *changes) watch(opt LiveOptions) LiveOptions {
	opt.OnUp = func(in Interface) { c.up = append(c.up, in.Name) }
	opt.OnDown = func(in Interface, err error) { c.down = append(c.down, in.Name+": "+err.Error()) }
	return opt
}

// until waits for something that only happens while packets are waited for.
func until(t *testing.T, l *Live, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); {
		if time.Now().After(deadline) {
			t.Fatal("it did not happen")
		}
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
		if p, err := l.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("packet %+v, %v", p, err)
		}
		cancel()
	}
}

func removeLink(t *testing.T, name string) {
	t.Helper()
	link, err := netlink.LinkByName(name)
	if err == nil {
		err = netlink.LinkDel(link)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestPattern: of the interfaces that match those are captured that are up, whenever they
// come; one that goes is reported, what it had captured is not lost, and its ring is freed.
func TestPattern(t *testing.T) {
	newNamespace(t)
	newVeth(t, "tap0", "peer0", 1500)
	var c changes
	l := openLive(t, c.watch(LiveOptions{Filter: onlyTestType, BufferSize: 1 << 20}), "tap*", "peer0")
	names := func() (all []string) {
		for _, in := range l.Interfaces() {
			all = append(all, in.Name)
		}
		return all
	}
	if d := cmp.Diff([]string{"peer0", "tap0"}, names()); d != "" {
		t.Fatalf("interfaces (-want +got):\n%s", d)
	}
	for round := 1; round <= 3; round++ {
		newVeth(t, "tap1", "other", 1500) // the other does not match
		until(t, l, func() bool { return len(c.up) == round })
		if n := len(l.Interfaces()); n != 2+round || c.up[round-1] != "tap1" {
			t.Fatalf("round %d: interfaces %q, up %q", round, names(), c.up)
		}
		newSender(t, "tap1").send(testFrame(uint32(round), 60))
		newSender(t, "tap0").send(testFrame(100, 60))
		removeLink(t, "tap1")
		got := map[string]uint32{} // peer0 has the one of tap0 too
		for _, p := range collect(t, l, 3) {
			got[l.Interfaces()[p.Interface].Name+fmt.Sprint(p.Interface)] = frameNumber(p.Data)
		}
		want := map[string]uint32{"tap01": 100, "peer00": 100, fmt.Sprintf("tap1%d", 1+round): uint32(round)}
		if d := cmp.Diff(want, got); d != "" {
			t.Fatalf("round %d: packets (-want +got):\n%s", round, d)
		}
		until(t, l, func() bool { return slices.Contains(c.down, "tap1: "+ErrInterfaceGone.Error()) })
		c.down = nil
		until(t, l, func() bool { return len(l.active) == 2 })
		if l.BufferSize(1+round) != 0 {
			t.Errorf("round %d: the ring was not freed", round)
		}
	}
	stats, err := l.Stats()
	if d := cmp.Diff([]Stats{{Received: 3}, {Received: 3}, {Received: 1}, {Received: 1}, {Received: 1}}, stats); d != "" || err != nil {
		t.Errorf("statistics %v (-want +got):\n%s", err, d)
	}
	l.Stop()
	if rest := collect(t, l, everything); len(rest) != 0 {
		t.Errorf("%d more packets", len(rest))
	}
}

// TestPatternOfNone waits for the first interface, and ends when it is stopped.
func TestPatternOfNone(t *testing.T) {
	newNamespace(t)
	var c changes
	l := openLive(t, c.watch(LiveOptions{Filter: onlyTestType, BufferSize: 1 << 20}), "tap*")
	until(t, l, func() bool { return len(c.up) == 0 })
	newVeth(t, "tap0", "other", 1500)
	until(t, l, func() bool { return len(c.up) == 1 })
	newSender(t, "other").send(testFrame(7, 60))
	l.Stop()
	if all := collect(t, l, everything); len(all) != 1 || frameNumber(all[0].Data) != 7 {
		t.Errorf("%d packets: %+v", len(all), all)
	}
}

// TestAny captures from all that are up, loopback too, and sets none promiscuous.
func TestAny(t *testing.T) {
	newNamespace(t)
	setUp(t, "lo")
	newVeth(t, "a", "b", 1500)
	newVeth(t, "down", "peer", 1500)
	for _, name := range []string{"down", "peer"} {
		link, err := netlink.LinkByName(name)
		if err == nil {
			err = netlink.LinkSetDown(link)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	var c changes
	l := openLive(t, c.watch(LiveOptions{Filter: onlyTestType, BufferSize: 1 << 20, Promiscuous: true}), Any)
	var names []string
	for _, in := range l.Interfaces() {
		names = append(names, in.Name)
	}
	slices.Sort(names)
	if d := cmp.Diff([]string{"a", "b", "lo"}, names); d != "" {
		t.Errorf("interfaces (-want +got):\n%s", d)
	}
	for _, name := range []string{"a", "b"} {
		if link, err := netlink.LinkByName(name); err != nil || link.Attrs().Promisc != 0 {
			t.Errorf("%s is promiscuous: %v", name, err)
		}
	}
	setUp(t, "down") // and picked up
	until(t, l, func() bool { return slices.Equal(c.up, []string{"down"}) })
	newSender(t, "a").send(testFrame(1, 60))
	for _, p := range collect(t, l, 2) {
		if name := l.Interfaces()[p.Interface].Name; name == "a" != (p.Direction == DirectionOut) || frameNumber(p.Data) != 1 {
			t.Errorf("%s: %+v", name, p)
		}
	}
	// A name besides makes it promiscuous.
	l = openLive(t, LiveOptions{Filter: onlyTestType, BufferSize: 1 << 20, Promiscuous: true}, Any, "a*")
	if link, err := netlink.LinkByName("a"); err != nil || link.Attrs().Promisc != 1 {
		t.Errorf("a is not promiscuous: %v", err)
	}
	l.Close()
}

// TestPatternRefused: an interface that matches but cannot be captured is reported once, and the
// others are captured.
func TestPatternRefused(t *testing.T) {
	newNamespace(t)
	newVeth(t, "a1", "a2", 1500)
	var c changes
	opt := c.watch(LiveOptions{Filter: onlyTestType, BufferSize: 1 << 20})
	refused := errors.New("not this one")
	opt.Accept = func(in Interface) error {
		if in.Name == "a2" || in.Name == "a4" {
			return refused
		}
		return nil
	}
	l := openLive(t, opt, "a?")
	newVeth(t, "a3", "a4", 1500)
	until(t, l, func() bool { return len(c.up) == 1 && len(c.down) == 2 })
	if d := cmp.Diff(changes{[]string{"a3"}, []string{"a2: " + refused.Error(), "a4: " + refused.Error()}}, c, cmp.AllowUnexported(changes{})); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// TestNamespaces captures in two network namespaces from one that is neither.
func TestNamespaces(t *testing.T) {
	newNamespace(t)
	here, err := netns.Get()
	if err != nil {
		t.Fatal(err)
	}
	defer here.Close()
	var paths []Namespace
	var handles []netns.NsHandle
	for _, name := range []string{"red", "blue"} {
		ns, err := netns.New()
		if err != nil {
			t.Fatal(err)
		}
		defer ns.Close()
		newVeth(t, "a", "b", 1500)
		handles = append(handles, ns)
		paths = append(paths, Namespace{Path: fmt.Sprintf("/proc/self/fd/%d", int(ns)), Name: name})
	}
	if err := netns.Set(here); err != nil {
		t.Fatal(err)
	}
	var c changes
	l := openLive(t, c.watch(LiveOptions{Filter: onlyTestType, BufferSize: 1 << 20, Namespaces: paths}), "a", "new*")
	send := func(ns netns.NsHandle, name string, number uint32) {
		if err := netns.Set(ns); err != nil {
			t.Fatal(err)
		}
		newSender(t, name).send(testFrame(number, 60))
		if err := netns.Set(here); err != nil {
			t.Fatal(err)
		}
	}
	send(handles[0], "a", 1)
	send(handles[1], "a", 2)
	got := map[string]uint32{}
	for _, p := range collect(t, l, 2) {
		got[l.Interfaces()[p.Interface].Name] = frameNumber(p.Data)
	}
	if d := cmp.Diff(map[string]uint32{"red/a": 1, "blue/a": 2}, got); d != "" {
		t.Errorf("packets (-want +got):\n%s", d)
	}
	if err := netns.Set(handles[1]); err != nil {
		t.Fatal(err)
	}
	newVeth(t, "new", "peer", 1500)
	if err := netns.Set(here); err != nil {
		t.Fatal(err)
	}
	until(t, l, func() bool { return slices.Equal(c.up, []string{"blue/new"}) })
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	// Both have been told which thread to leave; what is wrong has the namespace's name.
	if _, err := OpenLive([]string{"nosuch"}, LiveOptions{Namespaces: paths}); err == nil || !strings.HasPrefix(err.Error(), "red/nosuch: no such interface") {
		t.Errorf("%v", err)
	}
	if _, err := OpenLive([]string{"a"}, LiveOptions{Namespaces: []Namespace{{Path: "/nosuch"}}}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
	if err := InNamespace(paths[0].Path, func() error {
		if _, err := netlink.LinkByName("a"); err != nil {
			return err
		}
		return unix.EDOM
	}); err != unix.EDOM {
		t.Errorf("InNamespace: %v", err)
	}
}

// TestDirection takes only what comes in, or goes out.
func TestDirection(t *testing.T) {
	newNamespace(t)
	newVeth(t, "a", "b", 1500)
	in := openLive(t, LiveOptions{Filter: onlyTestType, BufferSize: 1 << 20, Direction: DirectionIn}, "a")
	out := openLive(t, LiveOptions{Filter: onlyTestType, BufferSize: 1 << 20, Direction: DirectionOut}, "a")
	a, b := newSender(t, "a"), newSender(t, "b")
	for i := range uint32(100) {
		a.send(testFrame(2*i, 60))
		b.send(testFrame(2*i+1, 60))
	}
	for l, first := range map[*Live]uint32{in: 1, out: 0} {
		l.Stop()
		all := collect(t, l, everything)
		if len(all) != 100 {
			t.Errorf("%d packets", len(all))
		}
		for i, p := range all {
			if frameNumber(p.Data) != first+2*uint32(i) {
				t.Fatalf("packet %d is number %d", i, frameNumber(p.Data))
			}
		}
	}
	if stats, err := in.Stats(); err != nil || stats[0].Received != 100 {
		t.Errorf("the counters have what was not asked for: %+v, %v", stats, err)
	}
}

// TestTimeStampTypes lists what tcpdump -J does. No virtual interface has a clock.
func TestTimeStampTypes(t *testing.T) {
	newNamespace(t)
	setUp(t, "lo")
	newVeth(t, "a", "b", 1500)
	for _, name := range []string{"lo", "a"} {
		out, err := exec.Command("tcpdump", "-J", "-i", name).CombinedOutput() // in this thread's namespace
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		var want []TimeStampType
		for _, m := range regexp.MustCompile(`(?m)^  (\w+) \(`).FindAllSubmatch(out, -1) {
			want = append(want, TimeStampType(m[1]))
		}
		got, err := TimeStampTypes(name)
		if err != nil || len(want) == 0 || !slices.Equal(got, want) {
			t.Errorf("%s: %v, %v; tcpdump says %v", name, got, err, want)
		}
	}
	if _, err := OpenLive([]string{"a"}, LiveOptions{TimeStamps: TimeStampAdapter}); !errors.Is(err, ErrTimeStampType) {
		t.Errorf("an adapter's clock: %v", err)
	}
	if _, err := TimeStampTypes("nosuch"); !errors.Is(err, unix.ENODEV) {
		t.Errorf("%v", err)
	}
	// What a driver may say.
	all := uint32(unix.SOF_TIMESTAMPING_SOFTWARE | unix.SOF_TIMESTAMPING_SYS_HARDWARE | unix.SOF_TIMESTAMPING_RAW_HARDWARE)
	for _, tt := range []struct {
		info unix.EthtoolTsInfo
		want []TimeStampType
	}{
		{unix.EthtoolTsInfo{}, nil},
		{unix.EthtoolTsInfo{So_timestamping: all}, []TimeStampType{TimeStampHost}},
		{unix.EthtoolTsInfo{So_timestamping: all, Rx_filters: 1 << unix.HWTSTAMP_FILTER_PTP_V2_L4_EVENT}, []TimeStampType{TimeStampHost}},
		{unix.EthtoolTsInfo{So_timestamping: all, Rx_filters: 1 << unix.HWTSTAMP_FILTER_ALL},
			[]TimeStampType{TimeStampHost, TimeStampAdapter, TimeStampAdapterUnsynced}},
		{unix.EthtoolTsInfo{So_timestamping: unix.SOF_TIMESTAMPING_RAW_HARDWARE, Rx_filters: 1 << unix.HWTSTAMP_FILTER_ALL},
			[]TimeStampType{TimeStampAdapterUnsynced}},
	} {
		if got := timeStampTypes(&tt.info); !slices.Equal(got, tt.want) {
			t.Errorf("%+v: %v, want %v", tt.info, got, tt.want)
		}
	}
}
