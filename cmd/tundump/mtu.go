package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"

	"github.com/spf13/pflag"
	"github.com/vishvananda/netlink"

	"github.com/tundump/tundump/filter/header"
	"github.com/tundump/tundump/filter/stack"
)

//go:embed mtu.txt
var mtuUsage string

// mtuOptions is what the command line of tundump mtu says.
type mtuOptions struct {
	Stack     string
	Interface string // -i
	Underlay  int    // --underlay, 0 if it is not given
	Inner     int    // --inner, likewise
	JSON      bool
	Help      bool
	// L2TPCookie is the length of cookies in L2TPv3, bytes.
	L2TPCookie uint8
}

// parseMTUFlags reads the command line without the words tundump mtu.
func parseMTUFlags(args []string) (mtuOptions, error) {
	var o mtuOptions
	fs := pflag.NewFlagSet("tundump mtu", pflag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.IntVar(&o.Underlay, "underlay", 0, "")
	fs.IntVar(&o.Inner, "inner", 0, "")
	fs.StringVarP(&o.Interface, "interface", "i", "", "")
	fs.Func("l2tp-cookie", "", func(v string) error {
		var p header.Ports
		err := setCookie(&p, v)
		o.L2TPCookie = p.L2TPCookie
		return err
	})
	fs.BoolVar(&o.JSON, "json", false, "")
	fs.BoolVarP(&o.Help, "help", "h", false, "")
	if err := fs.Parse(args); err != nil {
		return o, flagError(err)
	}
	o.Stack = fs.Arg(0)
	switch {
	case o.Help:
	case fs.NArg() > 1:
		return o, fmt.Errorf("mtu: one STACK at a time, %q is too much", fs.Arg(1))
	case fs.Changed("interface") && o.Interface == "":
		return o, errors.New("option -i: the interface name is empty")
	case fs.NArg() == 0 && o.Interface == "":
		return o, errors.New("mtu: a STACK is missing, or -i and a tunnel device: see tundump mtu --help")
	case fs.NArg() == 1 && o.Interface == "" && !fs.Changed("underlay"):
		return o, errors.New("mtu: the MTU of the underlay is missing: --underlay, or -i and the interface")
	case fs.NArg() == 1 && o.Interface != "" && fs.Changed("underlay"):
		return o, errors.New("options -i and --underlay: behind a STACK both say the MTU of the underlay")
	case fs.Changed("underlay") && o.Underlay <= 0:
		return o, fmt.Errorf("option --underlay: %d is no MTU", o.Underlay)
	case fs.Changed("inner") && (o.Inner < stack.MinMTU || o.Inner > stack.MaxPacket):
		return o, fmt.Errorf("option --inner: %d is no MTU for IP, %d to %d is", o.Inner, stack.MinMTU, stack.MaxPacket)
	}
	return o, nil
}

// mtu says what an encapsulation costs. The exit status is failed if an inner MTU
// is too large, and wrong if there is no answer.
func mtu(_ context.Context, std stdio, args []string) int {
	o, err := parseMTUFlags(args)
	status, text := done, mtuUsage
	if err == nil && !o.Help {
		var r mtuReport
		if r, err = o.report(); err == nil {
			text = r.text()
			if o.JSON {
				text, err = r.json()
			}
		}
		if r.TooLarge > 0 {
			status = failed
		}
	}
	if err == nil {
		_, err = io.WriteString(std.out, text)
	}
	if err != nil && !errors.Is(err, syscall.EPIPE) {
		report(std.err, err)
		return wrong
	}
	return status
}

// mtuReport is the answer. MTUs and lengths are in bytes.
type mtuReport struct {
	// Interface is the tunnel device that the stack is of. If it is External, each
	// packet brings its own tunnel, and the stack is only the usual one.
	Interface    string `json:"interface,omitempty"`
	InterfaceMTU int    `json:"interface_mtu,omitempty"`
	External     bool   `json:"external,omitempty"`

	Stack             string    `json:"stack"`
	UnderlayInterface string    `json:"underlay_interface,omitempty"`
	Underlay          int       `json:"underlay_mtu"`
	Overhead          int       `json:"overhead"`
	Parts             []mtuPart `json:"parts"`
	InnerMTU          int       `json:"inner_mtu"`
	MSS               int       `json:"tcp_mss_ipv4"`
	MSS6              int       `json:"tcp_mss_ipv6,omitempty"` // 0 if there is no room for IPv6

	// Inner is the MTU that shall be inside, 0 if none is asked about. A full packet of
	// it makes Outer bytes on the underlay and, if that is TooLarge, these fragments, of
	// which there are none if it is more than IP can carry, or the underlay has no IP.
	Inner     int   `json:"inner,omitempty"`
	TooLarge  int   `json:"too_large,omitempty"`
	Outer     int   `json:"outer,omitempty"`
	Fragments []int `json:"fragments,omitempty"`

	ip6, noIP bool // the underlay is, and has none
}

type mtuPart struct {
	Name  string `json:"name"`
	Bytes int    `json:"bytes"`
}

// report computes the answer.
func (o mtuOptions) report() (mtuReport, error) {
	r := mtuReport{Stack: o.Stack, Underlay: o.Underlay, Inner: o.Inner}
	var under netlink.Link
	switch {
	case o.Interface != "" && o.Stack != "":
		var err error
		if under, err = findLink(o.Interface); err != nil {
			return r, err
		}
	case o.Interface != "":
		t, own, err := findTunnel(o.Interface)
		if err != nil {
			return r, err
		}
		r.Interface, r.InterfaceMTU, r.External, r.Stack = o.Interface, own, t.external, t.stack
		if r.Inner == 0 {
			r.Inner = own
		}
		if r.Underlay == 0 {
			if under, err = t.underlay(); err != nil {
				return r, fmt.Errorf("interface %s: %w", o.Interface, err)
			}
		}
	}
	if under != nil {
		r.UnderlayInterface = under.Attrs().Name
		r.Underlay = min(under.Attrs().MTU, stack.MaxPacket) // the loopback interface's is more
	}
	s, err := stack.Parse(anyTunnel(o.L2TPCookie), r.Stack)
	if err != nil {
		return r, err
	}
	c, err := s.Cost(r.Underlay)
	if err != nil {
		return r, err
	}
	r.Overhead, r.InnerMTU, r.ip6, r.noIP = c.Overhead, c.Inner, c.IPv6, c.NoIP
	for _, p := range c.Parts {
		r.Parts = append(r.Parts, mtuPart(p))
	}
	r.MSS, r.MSS6 = c.MSS()
	if r.Inner != 0 {
		r.Outer = r.Inner + c.Overhead
	}
	if r.Inner > c.Inner {
		r.TooLarge = r.Inner - c.Inner
		r.Fragments = c.Packets(r.Inner)
	}
	return r, nil
}

// anyTunnel returns a table in which every tunnel that can be in UDP is: what it costs does
// not depend on the port.
func anyTunnel(cookie uint8) *header.Table {
	ports := header.DefaultPorts()
	ports.L2TPCookie = cookie
	for n := range 256 { // 0 is GUE
		if n == 0 || header.TunnelProtocol(uint8(n)) {
			ports.FOU = append(ports.FOU, header.FOU{Port: uint16(1 + n), Protocol: uint8(n)})
		}
	}
	return header.New(ports)
}

func (r mtuReport) json() (string, error) {
	line, err := json.Marshal(r)
	if err != nil {
		return "", fmt.Errorf("writing JSON: %w", err)
	}
	return string(line) + "\n", nil
}

func (r mtuReport) text() string {
	var b strings.Builder
	var about []string // where the numbers come from
	if r.Interface != "" {
		about = append(about, r.Interface+": "+r.Stack)
	}
	if r.External {
		about = append(about, "(assumed: it is external, each packet brings its tunnel)")
	}
	if r.UnderlayInterface != "" {
		about = append(about, fmt.Sprintf("over %s, MTU %d", r.UnderlayInterface, r.Underlay))
	}
	if len(about) > 0 {
		fmt.Fprintln(&b, strings.Join(about, " "))
	}
	if r.Inner == 0 || r.Inner == r.InterfaceMTU {
		var parts []string
		for _, p := range r.Parts {
			parts = append(parts, fmt.Sprintf("%s %d", p.Name, p.Bytes))
		}
		fmt.Fprintf(&b, "overhead %d bytes: %s\n", r.Overhead, strings.Join(parts, ", "))
		ip6 := fmt.Sprintf("%d (IPv6)", r.MSS6)
		if r.MSS6 == 0 {
			ip6 = fmt.Sprintf("no IPv6: it needs an MTU of %d", stack.MinMTU6)
		}
		fmt.Fprintf(&b, "inner MTU %d    TCP MSS %d (IPv4)  %s\n", r.InnerMTU, r.MSS, ip6)
	}
	if r.Inner == 0 {
		return b.String()
	}
	what := fmt.Sprint(r.Inner)
	if r.Inner == r.InterfaceMTU {
		what += fmt.Sprintf(", the MTU of %s,", r.Interface)
	}
	switch spare := r.InnerMTU - r.Inner; {
	case spare > 0:
		what += fmt.Sprintf(" fits, with %d to spare", spare)
	case spare == 0:
		what += " fits exactly"
	default:
		what += fmt.Sprintf(" is %d too large", r.TooLarge)
	}
	fmt.Fprintf(&b, "%s: a full inner packet makes %d bytes on the underlay.\n", what, r.Outer)
	if r.TooLarge == 0 {
		return b.String()
	}
	const lost = "dropped, and the sender inside never hears of it."
	switch fragments := sizes(r.Fragments); {
	case r.noIP:
		fmt.Fprintf(&b, "There is no IP on the underlay, so it cannot be cut: %s\n", lost)
	case fragments == "":
		fmt.Fprintf(&b, "More than an IP packet can be, also in fragments: %s\n", lost)
	case r.ip6: // has no DF
		fmt.Fprintf(&b, "If the tunnel endpoint fragments it: %s.   If not, like Linux: %s\n", fragments, lost)
	default:
		fmt.Fprintf(&b, "DF clear: %s.   DF set: %s\n", fragments, lost)
	}
	return b.String()
}

// sizes says how large fragments are, all but the last of which are equal.
func sizes(fragments []int) string {
	switch n := len(fragments); n {
	case 0:
		return ""
	case 2:
		return fmt.Sprintf("two fragments, %d and %d bytes", fragments[0], fragments[1])
	default:
		return fmt.Sprintf("%d fragments, %d of %d bytes and one of %d", n, n-1, fragments[0], fragments[n-1])
	}
}
