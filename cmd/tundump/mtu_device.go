package main

import (
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// tunnel is what a tunnel device of the kernel's does with a packet.
type tunnel struct {
	stack    string // what it puts around it, as a STACK
	external bool   // it does so as each packet's metadata says: stack is the usual case
	link     int    // index of the device that it sends on, 0 if the route decides
	remote   net.IP // the other end, nil or unspecified if it is not a single one
}

// tunnelOf returns what a device does; ok is false if it is no tunnel, or none whose
// stack we know. flags are the IP6_TNL_F flags of an ip6gre or ip6gretap device,
// which netlink.Link lacks: unless they say no, such a device, and ip6tnl, adds
// destination options of 8 bytes with the tunnel encapsulation limit (RFC 2473, section
// 4.1.1). Of GRE's optional fields those count that are sent.
func tunnelOf(link netlink.Link, flags uint32) (t tunnel, ok bool, err error) {
	attrs := link.Attrs()
	t.link = attrs.ParentIndex
	bare := attrs.EncapType == "none" // what it carries has no Ethernet header
	var encap, flagsInUDP uint16
	switch l := link.(type) {
	case *netlink.Vxlan:
		t.remote, t.external, t.link = l.Group, l.FlowBased, l.VtepDevIndex
		t.stack = outer(isIP6(l.Group) || isIP6(l.SrcAddr), false) + "/udp/vxlan/ether" // either may be absent
		if bare {
			t.stack = outer(isIP6(l.Group) || isIP6(l.SrcAddr), false) + "/udp/gpe/ip"
		}
	case *netlink.Geneve:
		t.remote, t.external = l.Remote, l.FlowBased
		t.stack = outer(isIP6(l.Remote), false) + "/udp/geneve/ether"
		if bare { // innerprotoinherit
			t.stack = outer(isIP6(l.Remote), false) + "/udp/geneve/ip"
		}
	case *netlink.Gretap:
		t.remote, t.external, encap, flagsInUDP = l.Remote, l.FlowBased, l.EncapType, l.EncapFlags
		t.stack = outer(l.Type() == "ip6gretap", limited(flags, l.FlowBased)) + greHeader(l.OFlags) + "/ether"
	case *netlink.Gretun:
		t.remote, t.external, encap, flagsInUDP = l.Remote, l.FlowBased, l.EncapType, l.EncapFlags
		t.stack = outer(l.Type() == "ip6gre", limited(flags, l.FlowBased)) + greHeader(l.OFlags) + "/ip"
	case *netlink.GTP: // the other ends are set for each TEID
		t.stack = "ip/udp/gtp/ip"
	case *netlink.Iptun:
		t.remote, t.external, encap, flagsInUDP = l.Remote, l.FlowBased, l.EncapType, l.EncapFlags
		t.stack = "ip/ip"
	case *netlink.Sittun:
		t.remote, encap, flagsInUDP = l.Remote, l.EncapType, l.EncapFlags
		t.stack = "ip/ip6"
	case *netlink.Ip6tnl:
		t.remote, t.external, encap, flagsInUDP = l.Remote, l.FlowBased, l.EncapType, l.EncapFlags
		t.stack = outer(true, limited(l.Flags, l.FlowBased)) + "/ip6"
	default:
		return tunnel{}, false, nil
	}
	if t.stack, err = inUDP(t.stack, encap, flagsInUDP); err != nil {
		return tunnel{}, true, err
	}
	if attrs.NetNsID >= 0 { // where it sends: our devices and routes mean nothing there
		t.link, t.remote = 0, nil
	}
	return t, true, nil
}

// inUDP puts UDP behind the outer network header of a stack, as the TUNNEL_ENCAP values of
// linux/if_tunnel.h say.
func inUDP(stack string, encap, flags uint16) (string, error) {
	const (
		none, fou, gue = 0, 1, 2
		remoteChecksum = 1 << 2
	)
	network, rest, _ := strings.Cut(stack, "/")
	switch {
	case encap == none:
		return stack, nil
	case encap == fou:
		return network + "/udp/" + rest, nil
	case encap == gue && flags&remoteChecksum != 0: // the most: without a checksum to compute it is left out
		return network + "/udp/gue,opts=8/" + rest, nil
	case encap == gue:
		return network + "/udp/gue/" + rest, nil
	}
	return "", fmt.Errorf("what it puts around its packets is of a kind that is not known, %d: a STACK is needed", encap)
}

func isIP6(a net.IP) bool { return len(a) == net.IPv6len && a.To4() == nil }

// outer returns the outer network header.
func outer(six, limit bool) string {
	switch {
	case !six:
		return "ip"
	case !limit:
		return "ip6"
	}
	return "ip6,ext=8"
}

// limited reports whether packets have the option with the encapsulation limit.
func limited(flags uint32, external bool) bool {
	const ignore = 1 // IP6_TNL_F_IGN_ENCAP_LIMIT, linux/ip6_tunnel.h
	return flags&ignore == 0 && !external
}

// greHeader returns the GRE header with these flags.
func greHeader(flags uint16) string {
	s := "/gre"
	if flags&nl.GRE_CSUM != 0 {
		s += ",csum"
	}
	if flags&nl.GRE_KEY != 0 {
		s += ",key"
	}
	if flags&nl.GRE_SEQ != 0 {
		s += ",seq"
	}
	return s
}

// findLink returns the interface with that name.
func findLink(name string) (netlink.Link, error) {
	link, err := netlink.LinkByName(name)
	var unknown netlink.LinkNotFoundError
	switch {
	case errors.As(err, &unknown):
		return nil, fmt.Errorf("interface %s: there is none of that name", name)
	case err != nil:
		return nil, fmt.Errorf("interface %s: %w", name, err)
	}
	return link, nil
}

// findTunnel returns what the device with that name does, and its MTU.
func findTunnel(name string) (t tunnel, mtu int, err error) {
	link, err := findLink(name)
	if err != nil {
		return t, 0, err
	}
	var flags uint32
	if kind := link.Type(); kind == "ip6gre" || kind == "ip6gretap" {
		if flags, err = tunnelFlags(link.Attrs().Index); err != nil {
			return t, 0, fmt.Errorf("interface %s: %w", name, err)
		}
	}
	t, ok, err := tunnelOf(link, flags)
	switch {
	case err != nil:
		return t, 0, fmt.Errorf("interface %s: %w", name, err)
	case !ok:
		return t, 0, fmt.Errorf("interface %s: of type %s, which is no tunnel that tundump knows: a STACK is needed", name, link.Type())
	}
	return t, link.Attrs().MTU, nil
}

// tunnelFlags returns the IP6_TNL_F flags of an ip6gre or ip6gretap device.
func tunnelFlags(index int) (uint32, error) {
	attrs, err := linkAttributes(index)
	if err != nil {
		return 0, fmt.Errorf("asking for its flags: %w", err)
	}
	value, err := attribute(attrs, unix.IFLA_LINKINFO, nl.IFLA_INFO_DATA, nl.IFLA_GRE_FLAGS)
	if err != nil || len(value) != 4 {
		return 0, err
	}
	return nl.NativeEndian().Uint32(value), nil
}

// linkAttributes asks the kernel for the netlink attributes of an interface.
func linkAttributes(index int) ([]byte, error) {
	req := nl.NewNetlinkRequest(unix.RTM_GETLINK, 0)
	info := nl.NewIfInfomsg(unix.AF_UNSPEC)
	info.Index = int32(index)
	req.AddData(info)
	msgs, err := req.Execute(unix.NETLINK_ROUTE, unix.RTM_NEWLINK)
	if err != nil {
		return nil, err
	}
	if len(msgs) != 1 || len(msgs[0]) < info.Len() {
		return nil, errors.New("the kernel does not answer")
	}
	return msgs[0][info.Len():], nil
}

// attribute returns the netlink attribute that is reached through the types in path,
// nil if there is none.
func attribute(data []byte, path ...uint16) ([]byte, error) {
	for _, kind := range path {
		attrs, err := nl.ParseRouteAttr(data)
		if err != nil {
			return nil, fmt.Errorf("reading the kernel's answer: %w", err)
		}
		data = nil
		for _, a := range attrs {
			if a.Attr.Type == kind {
				data = a.Value
			}
		}
	}
	return data, nil
}

// underlay returns the device that a tunnel sends on.
func (t tunnel) underlay() (netlink.Link, error) {
	index := t.link
	if index == 0 {
		if len(t.remote) == 0 || t.remote.IsUnspecified() {
			return nil, errors.New("it has neither an underlay device nor a remote address here: --underlay is needed")
		}
		routes, err := netlink.RouteGet(t.remote)
		if err != nil {
			return nil, fmt.Errorf("looking for the route to %s: %w: --underlay is needed", t.remote, err)
		}
		if len(routes) == 0 {
			return nil, fmt.Errorf("there is no route to %s: --underlay is needed", t.remote)
		}
		index = routes[0].LinkIndex
	}
	link, err := netlink.LinkByIndex(index)
	if err != nil {
		return nil, fmt.Errorf("its underlay, interface %d: %w", index, err)
	}
	return link, nil
}
