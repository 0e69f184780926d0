package main

import (
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/tundump/tundump/filter/header"
)

// TestDevicePorts has what netlink tells about devices that not every kernel has.
func TestDevicePorts(t *testing.T) {
	links := []netlink.Link{
		&netlink.Dummy{},
		&netlink.Vxlan{Port: 4444}, &netlink.Vxlan{Port: 4444}, &netlink.Vxlan{Port: 0},
		&netlink.Vxlan{LinkAttrs: netlink.LinkAttrs{EncapType: "none"}, Port: 4445},
		&netlink.Geneve{Dport: 7777}, &netlink.Geneve{},
	}
	fous := []netlink.Fou{
		{Port: 5555, EncapType: netlink.FOU_ENCAP_GUE}, {Port: 5556, Protocol: 47, EncapType: netlink.FOU_ENCAP_DIRECT},
		{Port: 5556, Protocol: 47, EncapType: netlink.FOU_ENCAP_DIRECT}, {Port: 5557, Protocol: 6, EncapType: netlink.FOU_ENCAP_DIRECT},
	}
	machine := devicePorts(links, fous)
	if want := (header.Ports{VXLAN: []uint16{4444}, GPE: []uint16{4445}, Geneve: []uint16{7777},
		FOU: []header.FOU{{Port: 5555}, {Port: 5556, Protocol: 47}}}); !reflect.DeepEqual(machine, want) {
		t.Fatalf("%+v, want %+v", machine, want)
	}
	given := header.DefaultPorts()
	given.FOU = []header.FOU{{Port: 5556, Protocol: 4}}
	all, added := withPorts(given, machine)
	if got, want := fmt.Sprint(tunnels{ports: all, added: added}), "VXLAN on 4789, 8472 and 4444, VXLAN-GPE on 4790 and 4445, Geneve on 6081 and 7777, "+
		"FOU on 5556 and 5555, with the ports of devices here, 4444, 4445, 7777 and 5555"; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	if len(given.FOU) != 1 || len(header.DefaultPorts().VXLAN) != 2 || all.FOU[0].Protocol != 4 {
		t.Errorf("%+v has become %+v", given, all)
	}
	if got := fmt.Sprint(newTunnels(header.DefaultPorts(), false)); got != "VXLAN on 4789 and 8472" {
		t.Error(got)
	}
}

// TestLiveDevicePorts captures what a VXLAN device on a port of its own sends.
func TestLiveDevicePorts(t *testing.T) {
	l := newLab(t)
	for _, args := range []string{
		"link add odd0 type vxlan id 7 dev eth1 remote 192.0.2.2 dstport 14789",
		"link set odd0 address 02:00:00:00:00:77 up",
		"address add 10.77.0.1/24 dev odd0",
		"neighbor add 10.77.0.2 lladdr 02:00:00:00:00:78 dev odd0",
	} {
		if out, err := l.Command(t.Context(), l.A, append([]string{"ip"}, strings.Fields(args)...)...).CombinedOutput(); err != nil {
			t.Fatalf("ip %s: %v\n%s", args, err, out)
		}
	}
	r := start(t, l, l.A, "tundump", "-i", "eth1", "-c", "1", "-w", "/dev/null", "vxlan 7 and inner dst host 10.77.0.2")
	// Nobody answers.
	l.Command(t.Context(), l.A, "ping", "-c", "2", "-i", "0.2", "-W", "1", "10.77.0.2").Run()
	log := r.stop(syscall.SIGINT)
	if !strings.Contains(log, "\n1 packet captured\n") {
		t.Errorf("not one packet was captured:\n%s", log)
	}
	if !regexp.MustCompile(`(?m)^tundump: filter: .*, VXLAN on 4789, 8472 and 14789, with the port of a device here, 14789$`).MatchString(log) {
		t.Errorf("the start does not say so:\n%s", log)
	}
}
