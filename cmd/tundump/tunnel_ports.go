package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/tundump/tundump/filter/header"
)

// addFOU adds the value of --fou-port: PORT=WHAT.
func addFOU(to *[]header.FOU, text string, protocol func(name string) (uint8, error)) error {
	port, what, ok := strings.Cut(text, "=")
	n, err := strconv.ParseUint(port, 10, 16)
	if !ok || err != nil || n == 0 {
		return fmt.Errorf("%q is not PORT=WHAT with a UDP port, 1 to 65535", text)
	}
	f := header.FOU{Port: uint16(n)}
	if what != "gue" {
		if f.Protocol, err = fouProtocol(what, protocol); err != nil {
			return err
		}
		if !header.TunnelProtocol(f.Protocol) {
			return fmt.Errorf("%q is no tunnel that tundump walks through: gue, gre, ipip, ipv6, etherip, l2tp and mpls-in-ip are", what)
		}
	}
	*to = append(*to, f)
	return nil
}

// setCookie sets the value of --l2tp-cookie.
func setCookie(p *header.Ports, text string) error {
	n, err := strconv.ParseUint(text, 10, 8)
	if err != nil || n != 0 && n != 4 && n != 8 { // RFC 3931, section 4.1
		return fmt.Errorf("%q is no length that cookies have: 0, 4 and 8 bytes are", text)
	}
	p.L2TPCookie = uint8(n)
	return nil
}

// addPortFlags adds the options that say what packets do not, for the calculators.
func addPortFlags(fs *pflag.FlagSet, p *header.Ports) {
	fs.Var(&portList{ports: &p.VXLAN}, "vxlan-port", "")
	fs.Var(&portList{ports: &p.Geneve}, "geneve-port", "")
	fs.Var(&portList{ports: &p.GPE}, "gpe-port", "")
	fs.Var(&portList{ports: &p.GTP}, "gtp-port", "")
	fs.Func("fou-port", "", func(v string) error {
		return addFOU(&p.FOU, v, systemNames{context.Background(), "/etc"}.Protocol)
	})
	fs.Func("l2tp-cookie", "", func(v string) error { return setCookie(p, v) })
}

// fouProtocol returns the IP protocol with a name or number.
func fouProtocol(what string, protocol func(name string) (uint8, error)) (uint8, error) {
	if n, err := strconv.ParseUint(what, 0, 8); err == nil {
		return uint8(n), nil
	}
	names := map[string]uint8{"ipip": 4, "ipv6": 41, "gre": 47, "etherip": 97, "l2tp": 115, "mpls-in-ip": 137}
	if n, ok := names[what]; ok { // also where there is no /etc/protocols
		return n, nil
	}
	n, err := protocol(what)
	if err != nil {
		return 0, fmt.Errorf("%q is neither gue nor an IP protocol", what)
	}
	return n, nil
}

// tunnels are what is taken for tunnels.
type tunnels struct {
	ports header.Ports
	added []uint16 // of the machine's devices, those that are not taken for tunnels anyway
	table *header.Table
}

// newTunnels returns those with the given ports and, with machine, those of the machine's devices.
func newTunnels(ports header.Ports, machine bool) (t tunnels) {
	t.ports = ports
	if machine {
		t.ports, t.added = withPorts(ports, machinePorts())
	}
	t.table = header.New(t.ports)
	return t
}

// machinePorts returns the UDP ports of the tunnels that the kernel has here. What the
// kernel does not know, or does not tell, there is none of.
func machinePorts() header.Ports {
	links, err := netlink.LinkList()
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) { // devices that come or go meanwhile may be missed
		links = nil
	}
	fous, err := netlink.FouList(unix.AF_INET) // of both families
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
		fous = nil
	}
	return devicePorts(links, fous)
}

// devicePorts returns the UDP ports of devices, and those at which the kernel takes out
// foo-over-UDP.
func devicePorts(links []netlink.Link, fous []netlink.Fou) (p header.Ports) {
	for _, link := range links {
		switch l := link.(type) {
		case *netlink.Vxlan:
			to := &p.VXLAN
			if l.EncapType == "none" { // what it carries has no Ethernet header: VXLAN-GPE
				to = &p.GPE
			}
			addPort(to, uint16(l.Port))
		case *netlink.Geneve:
			addPort(&p.Geneve, l.Dport)
		}
	}
	for _, f := range fous {
		gue := f.EncapType == netlink.FOU_ENCAP_GUE
		if !gue && !header.TunnelProtocol(uint8(f.Protocol)) {
			continue
		}
		fou := header.FOU{Port: uint16(f.Port)}
		if !gue {
			fou.Protocol = uint8(f.Protocol)
		}
		if !slices.Contains(p.FOU, fou) {
			p.FOU = append(p.FOU, fou)
		}
	}
	return p
}

func addPort(to *[]uint16, port uint16) (added bool) {
	if port == 0 || slices.Contains(*to, port) {
		return false
	}
	*to = append(slices.Clip(*to), port)
	return true
}

// withPorts returns ports with those of the machine's own devices added, and which
// these are.
func withPorts(ports, machine header.Ports) (all header.Ports, added []uint16) {
	add := func(to *[]uint16, more []uint16) {
		for _, p := range more {
			if addPort(to, p) {
				added = append(added, p)
			}
		}
	}
	add(&ports.VXLAN, machine.VXLAN)
	add(&ports.GPE, machine.GPE)
	add(&ports.Geneve, machine.Geneve)
	for _, f := range machine.FOU {
		// What the command line says of a port counts.
		if !slices.ContainsFunc(ports.FOU, func(g header.FOU) bool { return g.Port == f.Port }) {
			ports.FOU = append(slices.Clip(ports.FOU), f)
			added = append(added, f.Port)
		}
	}
	return ports, added
}

// String says which ports are taken for tunnels: those for VXLAN, others that are
// not the usual ones, and which come from the machine's devices.
func (t tunnels) String() string {
	ports, added := t.ports, t.added
	text := "VXLAN on " + enumerate(ports.VXLAN)
	usual := header.DefaultPorts()
	for _, p := range []struct {
		name       string
		has, usual []uint16
	}{{"VXLAN-GPE", ports.GPE, usual.GPE}, {"Geneve", ports.Geneve, usual.Geneve}, {"GTP-U", ports.GTP, usual.GTP}} {
		if !slices.Equal(p.has, p.usual) {
			text += fmt.Sprintf(", %s on %s", p.name, enumerate(p.has))
		}
	}
	var fou []uint16
	for _, f := range ports.FOU {
		fou = append(fou, f.Port)
	}
	if len(fou) > 0 {
		text += ", FOU on " + enumerate(fou)
	}
	switch len(added) {
	case 0:
		return text
	case 1:
		return text + ", with the port of a device here, " + enumerate(added)
	}
	return text + ", with the ports of devices here, " + enumerate(added)
}
