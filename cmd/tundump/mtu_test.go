package main

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/tundump/tundump/filter/header"
	"github.com/tundump/tundump/filter/stack"
	"github.com/tundump/tundump/testdata/lab"
)

func TestTunnelOf(t *testing.T) {
	var (
		near, far   = net.IP{192, 0, 2, 1}, net.IP{192, 0, 2, 2}
		near6, far6 = net.ParseIP("2001:db8::1"), net.ParseIP("2001:db8::2")
		any4, any6  = net.IP{0, 0, 0, 0}, net.IPv6unspecified
	)
	attrs := func(parent int, encap string) netlink.LinkAttrs {
		a := netlink.NewLinkAttrs()
		a.ParentIndex, a.EncapType = parent, encap
		return a
	}
	plain, on7 := attrs(0, "ether"), attrs(7, "ether")
	bare := attrs(0, "none")
	elsewhere := on7
	elsewhere.NetNsID = 0
	const csum, key, seq = nl.GRE_CSUM, nl.GRE_KEY, nl.GRE_SEQ
	const noLimit = 1
	for _, c := range []struct {
		name  string
		link  netlink.Link
		flags uint32
		want  tunnel
	}{
		{"vxlan", &netlink.Vxlan{LinkAttrs: plain, VtepDevIndex: 7, SrcAddr: near, Group: far}, 0, tunnel{"ip/udp/vxlan/ether", false, 7, far}},
		{"vxlan, no device", &netlink.Vxlan{LinkAttrs: plain, Group: far}, 0, tunnel{"ip/udp/vxlan/ether", false, 0, far}},
		{"vxlan, IPv6", &netlink.Vxlan{LinkAttrs: plain, Group: far6}, 0, tunnel{"ip6/udp/vxlan/ether", false, 0, far6}},
		{"vxlan, no remote", &netlink.Vxlan{LinkAttrs: plain, SrcAddr: near}, 0, tunnel{"ip/udp/vxlan/ether", false, 0, nil}},
		{"vxlan, no remote, IPv6", &netlink.Vxlan{LinkAttrs: plain, SrcAddr: near6}, 0, tunnel{"ip6/udp/vxlan/ether", false, 0, nil}},
		{"vxlan, no address", &netlink.Vxlan{LinkAttrs: plain}, 0, tunnel{"ip/udp/vxlan/ether", false, 0, nil}},
		{"vxlan, external", &netlink.Vxlan{LinkAttrs: plain, FlowBased: true}, 0, tunnel{"ip/udp/vxlan/ether", true, 0, nil}},
		{"vxlan, moved", &netlink.Vxlan{LinkAttrs: elsewhere, VtepDevIndex: 7, Group: far}, 0, tunnel{"ip/udp/vxlan/ether", false, 0, nil}},
		{"vxlan-gpe", &netlink.Vxlan{LinkAttrs: bare, Group: far}, 0, tunnel{"ip/udp/gpe/ip", false, 0, far}},
		{"gtp", &netlink.GTP{LinkAttrs: bare}, 0, tunnel{"ip/udp/gtp/ip", false, 0, nil}},
		{"gretap, fou", &netlink.Gretap{LinkAttrs: plain, Local: near, Remote: far, OFlags: key, EncapType: 1}, 0, tunnel{"ip/udp/gre,key/ether", false, 0, far}},
		{"gre, gue", &netlink.Gretun{LinkAttrs: plain, Local: near, Remote: far, EncapType: 2}, 0, tunnel{"ip/udp/gue/gre/ip", false, 0, far}},
		{"ip6gre, gue", &netlink.Gretun{LinkAttrs: plain, Local: near6, Remote: far6, EncapType: 2}, 0, tunnel{"ip6,ext=8/udp/gue/gre/ip", false, 0, far6}},
		{"ipip, gue with remote checksums", &netlink.Iptun{LinkAttrs: plain, Remote: far, EncapType: 2, EncapFlags: 5}, 0, tunnel{"ip/udp/gue,opts=8/ip", false, 0, far}},
		{"sit, fou", &netlink.Sittun{LinkAttrs: plain, Remote: far, EncapType: 1}, 0, tunnel{"ip/udp/ip6", false, 0, far}},
		{"ip6tnl, fou", &netlink.Ip6tnl{LinkAttrs: plain, Remote: far6, Flags: noLimit, EncapType: 1}, 0, tunnel{"ip6/udp/ip6", false, 0, far6}},
		{"geneve", &netlink.Geneve{LinkAttrs: plain, Remote: far}, 0, tunnel{"ip/udp/geneve/ether", false, 0, far}},
		{"geneve, IPv6", &netlink.Geneve{LinkAttrs: plain, Remote: far6}, 0, tunnel{"ip6/udp/geneve/ether", false, 0, far6}},
		{"geneve, no Ethernet", &netlink.Geneve{LinkAttrs: bare, Remote: far6}, 0, tunnel{"ip6/udp/geneve/ip", false, 0, far6}},
		{"geneve, external", &netlink.Geneve{LinkAttrs: plain, FlowBased: true}, 0, tunnel{"ip/udp/geneve/ether", true, 0, nil}},
		{"gretap", &netlink.Gretap{LinkAttrs: on7, Local: near, Remote: far}, 0, tunnel{"ip/gre/ether", false, 7, far}},
		{"gretap, key", &netlink.Gretap{LinkAttrs: plain, Local: near, Remote: far, IFlags: key, OFlags: key}, 0, tunnel{"ip/gre,key/ether", false, 0, far}},
		{"gretap, all", &netlink.Gretap{LinkAttrs: plain, Local: near, Remote: far, OFlags: csum | key | seq}, 0, tunnel{"ip/gre,csum,key,seq/ether", false, 0, far}},
		{"gretap, key received only", &netlink.Gretap{LinkAttrs: plain, Local: near, Remote: far, IFlags: key, OFlags: seq}, 0, tunnel{"ip/gre,seq/ether", false, 0, far}},
		{"gretap, external", &netlink.Gretap{LinkAttrs: plain, Local: any4, Remote: any4, FlowBased: true}, 0, tunnel{"ip/gre/ether", true, 0, any4}},
		{"gre", &netlink.Gretun{LinkAttrs: attrs(0, "gre"), Local: near, Remote: far, OFlags: key}, 0, tunnel{"ip/gre,key/ip", false, 0, far}},
		{"ip6gretap", &netlink.Gretap{LinkAttrs: plain, Local: near6, Remote: far6, OFlags: key}, 0, tunnel{"ip6,ext=8/gre,key/ether", false, 0, far6}},
		{"ip6gretap, encaplimit none", &netlink.Gretap{LinkAttrs: plain, Local: near6, Remote: far6, OFlags: key}, noLimit, tunnel{"ip6/gre,key/ether", false, 0, far6}},
		{"ip6gretap, other flags", &netlink.Gretap{LinkAttrs: plain, Local: near6, Remote: far6}, ^uint32(noLimit), tunnel{"ip6,ext=8/gre/ether", false, 0, far6}},
		{"ip6gretap, external", &netlink.Gretap{LinkAttrs: plain, Local: any6, Remote: any6, FlowBased: true}, 0, tunnel{"ip6/gre/ether", true, 0, any6}},
		{"ip6gre", &netlink.Gretun{LinkAttrs: attrs(0, "gre6"), Local: near6, Remote: far6, OFlags: csum}, 0, tunnel{"ip6,ext=8/gre,csum/ip", false, 0, far6}},
		{"ip6gre, encaplimit none", &netlink.Gretun{LinkAttrs: attrs(0, "gre6"), Local: near6, Remote: far6}, noLimit, tunnel{"ip6/gre/ip", false, 0, far6}},
		{"ip6gre, external", &netlink.Gretun{LinkAttrs: attrs(0, "gre6"), Local: any6, Remote: any6, FlowBased: true}, 0, tunnel{"ip6/gre/ip", true, 0, any6}},
		{"ipip", &netlink.Iptun{LinkAttrs: attrs(7, "ipip"), Local: near, Remote: far}, 0, tunnel{"ip/ip", false, 7, far}},
		{"ipip, external", &netlink.Iptun{LinkAttrs: attrs(0, "ipip"), FlowBased: true}, 0, tunnel{"ip/ip", true, 0, nil}},
		{"sit", &netlink.Sittun{LinkAttrs: attrs(0, "sit"), Local: near, Remote: any4}, 0, tunnel{"ip/ip6", false, 0, any4}},
		{"ip6tnl", &netlink.Ip6tnl{LinkAttrs: attrs(0, "tunnel6"), Local: near6, Remote: far6}, noLimit, tunnel{"ip6,ext=8/ip6", false, 0, far6}},
		{"ip6tnl, encaplimit none", &netlink.Ip6tnl{LinkAttrs: attrs(0, "tunnel6"), Remote: far6, Flags: noLimit}, 0, tunnel{"ip6/ip6", false, 0, far6}},
		{"ip6tnl, external", &netlink.Ip6tnl{LinkAttrs: attrs(0, "tunnel6"), FlowBased: true}, 0, tunnel{"ip6/ip6", true, 0, nil}},
	} {
		got, ok, err := tunnelOf(c.link, c.flags)
		if err != nil || !ok {
			t.Errorf("%s: %v, %v", c.name, ok, err)
			continue
		}
		if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(tunnel{})); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
		s, err := stack.Parse(anyTunnel(0), got.stack)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if _, err := s.Cost(1500); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if got, _, err := tunnelOf(&netlink.Iptun{LinkAttrs: plain, EncapType: 3}, 0); err == nil || !strings.Contains(err.Error(), "not known, 3") {
		t.Errorf("in something new: %+v, %v", got, err)
	}
	for _, link := range []netlink.Link{&netlink.Device{LinkAttrs: plain}, &netlink.Veth{LinkAttrs: on7}, &netlink.GenericLink{LinkType: "erspan"}} {
		if got, ok, err := tunnelOf(link, 0); ok || err != nil {
			t.Errorf("%s: %+v, %v", link.Type(), got, err)
		}
	}
}

// TestTunnelMessage reads what the kernel says of an ip6gretap device, as in
// ip6gre_fill_info of net/ipv6/ip6_gre.c.
func TestTunnelMessage(t *testing.T) {
	for _, c := range []struct {
		flags uint32
		want  string
	}{{0, "ip6,ext=8/gre,csum,key/ether"}, {1, "ip6/gre,csum,key/ether"}} {
		info := nl.NewRtAttr(unix.IFLA_LINKINFO, nil)
		info.AddRtAttr(nl.IFLA_INFO_KIND, nl.ZeroTerminated("ip6gretap"))
		data := info.AddRtAttr(nl.IFLA_INFO_DATA, nil)
		data.AddRtAttr(nl.IFLA_GRE_OFLAGS, []byte{0xa0, 0})
		data.AddRtAttr(nl.IFLA_GRE_LOCAL, net.ParseIP("2001:db8::1"))
		data.AddRtAttr(nl.IFLA_GRE_REMOTE, net.ParseIP("2001:db8::2"))
		data.AddRtAttr(nl.IFLA_GRE_FLAGS, nl.Uint32Attr(c.flags))
		attrs := append(nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated("t0")).Serialize(), info.Serialize()...)
		link, err := netlink.LinkDeserialize(nil, append(nl.NewIfInfomsg(unix.AF_UNSPEC).Serialize(), attrs...))
		if err != nil {
			t.Fatal(err)
		}
		flags, err := attribute(attrs, unix.IFLA_LINKINFO, nl.IFLA_INFO_DATA, nl.IFLA_GRE_FLAGS)
		if err != nil || len(flags) != 4 {
			t.Fatal(flags, err)
		}
		got, ok, err := tunnelOf(link, nl.NativeEndian().Uint32(flags))
		if err != nil || !ok || got.stack != c.want {
			t.Errorf("flags %d: %+v, %v, want %s", c.flags, got, err, c.want)
		}
		if none, err := attribute(attrs, unix.IFLA_LINKINFO, nl.IFLA_INFO_DATA, nl.IFLA_GRE_TTL, 1); none != nil || err != nil {
			t.Errorf("an attribute that is not there: %v, %v", none, err)
		}
		if _, err := attribute(attrs[:len(attrs)-1], unix.IFLA_LINKINFO); err == nil {
			t.Error("no error from a cut message")
		}
	}
}

// TestLinkAttributes asks the kernel for what is known.
func TestLinkAttributes(t *testing.T) {
	l := newUnderlay(t)
	err := l.In(l.A, func() error {
		dev, err := net.InterfaceByName("free4")
		if err != nil {
			return err
		}
		attrs, err := linkAttributes(dev.Index)
		if err != nil {
			return err
		}
		id, err := attribute(attrs, unix.IFLA_LINKINFO, nl.IFLA_INFO_DATA, nl.IFLA_VXLAN_ID)
		if err != nil || len(id) != 4 || nl.NativeEndian().Uint32(id) != 43 {
			t.Errorf("VNI %v, %v, want 43", id, err)
		}
		if _, err := linkAttributes(1 << 30); !errors.Is(err, unix.ENODEV) {
			t.Errorf("an interface that is not there: %v", err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// mtuIn runs tundump mtu in a namespace of the lab and checks the exit status.
func mtuIn(t *testing.T, l *lab.Lab, ns string, status int, arg ...string) string {
	t.Helper()
	cmd := l.Command(t.Context(), ns, append([]string{"tundump", "mtu"}, arg...)...)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if got := cmd.ProcessState.ExitCode(); got != status {
		t.Fatalf("tundump mtu %s: exit status %d, want %d\n%s", strings.Join(arg, " "), got, status, out)
	}
	return string(out)
}

// ipIn runs the ip command in namespaces, once for each line of arguments.
func ipIn(t *testing.T, ns string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if out, err := exec.Command("ip", strings.Fields("-n "+ns+" "+line)...).CombinedOutput(); err != nil {
			t.Fatalf("ip %s: %v: %s", line, err, out)
		}
	}
}

// newUnderlay adds to a lab an IPv6 underlay, and devices that no underlay device
// limits: the kernel lets their MTU be what one likes.
func newUnderlay(t *testing.T) *lab.Lab {
	t.Helper()
	l := newLab(t)
	for n, ns := range []string{l.A, l.B} {
		err := l.In(ns, func() error {
			return os.WriteFile("/proc/sys/net/ipv6/conf/eth1/disable_ipv6", []byte("0"), 0)
		})
		if err != nil {
			t.Skip("needs a kernel with IPv6: ", err)
		}
		near, far := n+1, 2-n
		ipIn(t, ns,
			fmt.Sprintf("address add 2001:db8::%d/64 dev eth1 nodad", near),
			fmt.Sprintf("link add free4 type vxlan id 43 local 192.0.2.%d remote 192.0.2.%d dstport 4789", near, far),
			fmt.Sprintf("link add free6 type vxlan id 44 local 2001:db8::%d remote 2001:db8::%d dstport 4789", near, far),
			fmt.Sprintf("address add 10.6.6.%d/24 dev free6", near),
			"link set free4 up", "link set free6 up")
	}
	return l
}

// TestMTUDevice asks about VXLAN devices of the kernel.
func TestMTUDevice(t *testing.T) {
	l := newUnderlay(t)
	for _, c := range []struct {
		device string
		status int
		want   string
	}{
		{"vxlan0", done, `vxlan0: ip/udp/vxlan/ether over eth1, MTU 1500
overhead 50 bytes: ip 20, udp 8, vxlan 8, ether 14
inner MTU 1450    TCP MSS 1410 (IPv4)  1390 (IPv6)
1450, the MTU of vxlan0, fits exactly: a full inner packet makes 1500 bytes on the underlay.
`},
		{"free4", failed, `free4: ip/udp/vxlan/ether over eth1, MTU 1500
overhead 50 bytes: ip 20, udp 8, vxlan 8, ether 14
inner MTU 1450    TCP MSS 1410 (IPv4)  1390 (IPv6)
1500, the MTU of free4, is 50 too large: a full inner packet makes 1550 bytes on the underlay.
DF clear: two fragments, 1500 and 70 bytes.   DF set: dropped, and the sender inside never hears of it.
`},
		{"free6", failed, `free6: ip6/udp/vxlan/ether over eth1, MTU 1500
overhead 70 bytes: ip6 40, udp 8, vxlan 8, ether 14
inner MTU 1430    TCP MSS 1390 (IPv4)  1370 (IPv6)
1500, the MTU of free6, is 70 too large: a full inner packet makes 1570 bytes on the underlay.
If the tunnel endpoint fragments it: two fragments, 1496 and 130 bytes.   If not, like Linux: dropped, and the sender inside never hears of it.
`},
	} {
		if diff := cmp.Diff(c.want, mtuIn(t, l, l.A, c.status, "-i", c.device)); diff != "" {
			t.Errorf("%s: %s", c.device, diff)
		}
	}
	for _, c := range []struct {
		arg, want string
		status    int
	}{
		{"-i vxlan0 --inner 1400", "vxlan0: ip/udp/vxlan/ether over eth1, MTU 1500\n1400 fits, with 50 to spare: a full inner packet makes 1450 bytes on the underlay.\n", done},
		{"-i free4 --underlay 9000 --inner 8950", "free4: ip/udp/vxlan/ether\n8950 fits exactly: a full inner packet makes 9000 bytes on the underlay.\n", done},
		{"ip/gre,key/ether -i eth1", "over eth1, MTU 1500\noverhead 42 bytes: ip 20, gre 4, key 4, ether 14\ninner MTU 1458    TCP MSS 1418 (IPv4)  1398 (IPv6)\n", done},
		{"-i eth1", "tundump: interface eth1: of type veth, which is no tunnel that tundump knows: a STACK is needed\n", wrong},
	} {
		if diff := cmp.Diff(c.want, mtuIn(t, l, l.A, c.status, strings.Fields(c.arg)...)); diff != "" {
			t.Errorf("%s: %s", c.arg, diff)
		}
	}

	const unknown = "tundump: interface %s: it has neither an underlay device nor a remote address here: --underlay is needed\n"
	ipIn(t, l.A,
		"link add flow0 type vxlan external dstport 4790",
		"link add lone0 type vxlan id 50 dstport 4791",
		"link add bound0 type vxlan id 52 dstport 4791 dev eth1",
		"link add lost0 type vxlan id 51 dstport 4791 remote 198.51.100.1",
		"link add gpe0 type vxlan gpe external dstport 4792")
	if got, want := mtuIn(t, l, l.A, wrong, "-i", "flow0"), fmt.Sprintf(unknown, "flow0"); got != want {
		t.Errorf("external: %s", got)
	}
	want := `flow0: ip/udp/vxlan/ether (assumed: it is external, each packet brings its tunnel)
overhead 50 bytes: ip 20, udp 8, vxlan 8, ether 14
inner MTU 1550    TCP MSS 1510 (IPv4)  1490 (IPv6)
1500, the MTU of flow0, fits, with 50 to spare: a full inner packet makes 1550 bytes on the underlay.
`
	if diff := cmp.Diff(want, mtuIn(t, l, l.A, done, "-i", "flow0", "--underlay", "1600")); diff != "" {
		t.Errorf("external: %s", diff)
	}
	if got, want := mtuIn(t, l, l.A, wrong, "-i", "lone0"), fmt.Sprintf(unknown, "lone0"); got != want {
		t.Errorf("no remote: %s", got)
	}
	if got := mtuIn(t, l, l.A, done, "-i", "bound0"); !strings.HasPrefix(got, "bound0: ip/udp/vxlan/ether over eth1, MTU 1500\n") {
		t.Errorf("no remote, but an underlay device: %s", got)
	}
	if got := mtuIn(t, l, l.A, wrong, "-i", "lost0"); got != "tundump: interface lost0: looking for the route to 198.51.100.1: network is unreachable: --underlay is needed\n" {
		t.Errorf("no route: %s", got)
	}
	if got := mtuIn(t, l, l.A, done, "-i", "gpe0", "--underlay", "1600"); !strings.HasPrefix(got, "gpe0: ip/udp/gpe/ip (assumed: ") || !strings.Contains(got, "\noverhead 36 bytes: ip 20, udp 8, gpe 8\n") {
		t.Errorf("VXLAN-GPE: %s", got)
	}
	// The device goes into the other namespace, its underlay stays.
	ipIn(t, l.A, "link set lost0 netns "+l.B)
	if got, want := mtuIn(t, l, l.B, wrong, "-i", "lost0"), fmt.Sprintf(unknown, "lost0"); got != want {
		t.Errorf("moved: %s", got)
	}
}

// wire is a packet socket on the underlay.
type wire struct {
	fd    int
	table *header.Table
}

// listen opens a socket that sees what goes out of an interface.
func listen(t *testing.T, l *lab.Lab, ns, device string) *wire {
	t.Helper()
	w := &wire{fd: -1, table: header.New(header.DefaultPorts())}
	err := l.In(ns, func() error {
		dev, err := net.InterfaceByName(device)
		if err != nil {
			return err
		}
		all := binary.NativeEndian.Uint16([]byte{0, unix.ETH_P_ALL})
		if w.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0); err != nil {
			return err
		}
		return unix.Bind(w.fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: dev.Index})
	})
	if w.fd >= 0 {
		t.Cleanup(func() { unix.Close(w.fd) })
	}
	if err == nil { // a packet that never comes is an error, not a test that hangs
		err = unix.SetsockoptTimeval(w.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 20})
	}
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// next returns the lengths of the fragments of the next packet through a tunnel with
// that VNI whose inner frame has the EtherType, or of that packet alone if it is whole.
func (w *wire) next(t *testing.T, vni, etherType uint32) []int {
	t.Helper()
	var lengths []int
	var id uint32
	buf := make([]byte, 1<<16)
	for {
		n, from, err := unix.Recvfrom(w.fd, buf, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			t.Fatalf("waiting for a packet of VNI %d: %v; until now %v", vni, err, lengths)
		}
		if sender, ok := from.(*unix.SockaddrLinklayer); !ok || sender.Pkttype != unix.PACKET_OUTGOING {
			continue
		}
		data := buf[:n]
		layers := w.table.Walk(nil, header.LinkEthernet, data, 1)
		if len(layers) < 2 {
			continue
		}
		ip := layers[1]
		value := func(l header.Layer, name string) uint32 {
			v, _ := l.Value(data, name)
			return v
		}
		length := int(value(ip, "len"))
		if ip.ID == header.IP6 {
			length += int(ip.Bytes)
		}
		const more = 1
		switch {
		case ip.Later:
			if lengths == nil || value(ip, "id") != id {
				continue
			}
		case len(layers) >= 5 && layers[3].ID == header.VXLAN && value(layers[3], "vni") == vni && value(layers[4], "type") == etherType:
			id = value(ip, "id")
		default:
			continue
		}
		lengths = append(lengths, length)
		if ip.ID == header.IP6 || value(ip, "flags")&more == 0 {
			return lengths
		}
	}
}

// local is an EtherType for experiments (IEEE 802): nobody else sends it, and no
// protocol of the kernel's shortens what is sent with it.
const local = 0x88b5

// full returns an Ethernet frame to everybody that carries n bytes.
func full(n int) []byte {
	return append([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 0x0a, local >> 8, local & 0xff}, make([]byte, n)...)
}

// TestMTUPackets sends full packets through VXLAN devices of the kernel, and compares
// what the underlay sees with what is computed.
func TestMTUPackets(t *testing.T) {
	l := newUnderlay(t)
	w := listen(t, l, l.A, "eth1")
	fragments := map[int]int{}
	for _, underlay := range []int{1500, 1499, 1493, 1492, 1281} {
		for _, ns := range []string{l.A, l.B} {
			ipIn(t, ns, fmt.Sprintf("link set eth1 mtu %d", underlay))
		}
		for _, inner := range []int{1281 - 50, 1281 - 49, 1440, 1449, 1450, 1451, 1472, 1500, 2921, 2922, 2930, 2931, 9000} {
			ipIn(t, l.A, fmt.Sprintf("link set free4 mtu %d", inner))
			status := done
			if inner+50 > underlay {
				status = failed
			}
			var said mtuReport
			if err := json.Unmarshal([]byte(mtuIn(t, l, l.A, status, "-i", "free4", "--json")), &said); err != nil {
				t.Fatal(err)
			}
			want := said.Fragments
			if status == done {
				want = []int{said.Outer}
			}
			if err := l.Transmit(l.A, "free4", [][]byte{full(inner)}); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, w.next(t, 43, local)); diff != "" {
				t.Errorf("underlay %d, inside %d, the kernel's packets are others: %s", underlay, inner, diff)
			}
			fragments[min(len(want), 3)]++
		}
	}
	for n := range 3 {
		if fragments[n+1] < 5 {
			t.Errorf("%d full packets made %d", fragments[n+1], n+1)
		}
	}
}

// TestMTUPackets6 does the same with an IPv6 underlay, where Linux fragments nothing.
func TestMTUPackets6(t *testing.T) {
	l := newUnderlay(t)
	w := listen(t, l, l.A, "eth1")
	ipIn(t, l.A, "link set free6 mtu 1431")
	mtuIn(t, l, l.A, failed, "-i", "free6")
	mtuIn(t, l, l.A, done, "-i", "free6", "--inner", "1430")
	if err := l.Transmit(l.A, "free6", [][]byte{full(1431), full(1430)}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int{1500}, w.next(t, 44, local)); diff != "" {
		t.Errorf("1431 bytes and 1430: the first packet is not the second one: %s", diff)
	}
}

// TestMTUDontFragment sends UDP with DF through VXLAN devices that have the computed MTU:
// a full packet arrives, and has 1500 bytes on the underlay. One byte more the
// device does not take.
func TestMTUDontFragment(t *testing.T) {
	l := newUnderlay(t)
	for _, c := range []struct {
		device, near, far string
		inner             int
		vni               uint32
	}{
		{"vxlan0", "10.5.5.1", "10.5.5.5", 1450, lab.VNI},
		{"free6", "10.6.6.1", "10.6.6.2", 1430, 44},
	} {
		for _, ns := range []string{l.A, l.B} {
			ipIn(t, ns, fmt.Sprintf("link set %s mtu %d", c.device, c.inner))
		}
		mtuIn(t, l, l.A, done, "-i", c.device)
		mtuIn(t, l, l.A, failed, "-i", c.device, "--inner", fmt.Sprint(c.inner+1))
		w := listen(t, l, l.A, "eth1")
		var to *net.UDPConn
		err := l.In(l.B, func() (err error) {
			to, err = net.ListenUDP("udp4", &net.UDPAddr{IP: net.ParseIP(c.far)})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		defer to.Close()
		err = l.In(l.A, func() error {
			from, err := net.DialUDP("udp4", &net.UDPAddr{IP: net.ParseIP(c.near)}, to.LocalAddr().(*net.UDPAddr))
			if err != nil {
				return err
			}
			defer from.Close()
			raw, err := from.SyscallConn()
			if err != nil {
				return err
			}
			var set error
			if err := raw.Control(func(fd uintptr) {
				set = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_DO)
			}); err != nil || set != nil {
				return errors.Join(err, set)
			}
			const headers = 20 + 8
			if _, err := from.Write(make([]byte, c.inner+1-headers)); !errors.Is(err, unix.EMSGSIZE) {
				return fmt.Errorf("a packet of %d bytes with DF: %v, want %v", c.inner+1, err, unix.EMSGSIZE)
			}
			_, err = from.Write(make([]byte, c.inner-headers))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := to.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		n, err := to.Read(make([]byte, 1<<16))
		if err != nil || n != c.inner-28 {
			t.Errorf("%s: %d bytes arrived, %v", c.device, n, err)
		}
		if diff := cmp.Diff([]int{1500}, w.next(t, c.vni, header.TypeIP)); diff != "" {
			t.Errorf("%s: on the underlay: %s", c.device, diff)
		}
	}
}
