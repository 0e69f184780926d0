package oracle

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
)

// Names looks names up where tcpdump on this machine finds them without a network: in
// the files of /etc.
type Names struct{}

var errUnknown = errors.New("it is in no file of /etc")

// lines returns the words of the lines of a file that have at least two.
func lines(file string) (all [][]string) {
	text, err := os.ReadFile("/etc/" + file)
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		if words := strings.Fields(line); len(words) >= 2 {
			all = append(all, words)
		}
	}
	return all
}

// Hosts returns the addresses of a host of /etc/hosts.
func (Names) Hosts(name string) (all []netip.Addr, err error) {
	if a, err := netip.ParseAddr(name); err == nil {
		return []netip.Addr{a}, nil
	}
	for _, words := range lines("hosts") {
		if a, err := netip.ParseAddr(words[0]); err == nil && slices.Contains(words[1:], name) && !slices.Contains(all, a) {
			all = append(all, a)
		}
	}
	if all == nil {
		return nil, errUnknown
	}
	return all, nil
}

// Network returns a network of /etc/networks. Leading zero bytes are what is missing at
// the end of a number.
func (Names) Network(name string) (netip.Prefix, error) {
	for _, words := range lines("networks") {
		if words[0] != name {
			continue
		}
		a, err := netip.ParseAddr(words[1])
		if err != nil || a.IsUnspecified() {
			return netip.Prefix{}, errUnknown
		}
		return netip.PrefixFrom(a, 32), nil
	}
	return netip.Prefix{}, errUnknown
}

// Port returns a port of /etc/services.
func (Names) Port(protocol, name string) (uint16, error) {
	for _, words := range lines("services") {
		number, of, _ := strings.Cut(words[1], "/")
		if of == protocol && (words[0] == name || slices.Contains(words[2:], name)) {
			p, err := strconv.ParseUint(number, 10, 16)
			return uint16(p), err
		}
	}
	return 0, errUnknown
}

// Protocol returns a protocol of /etc/protocols.
func (Names) Protocol(name string) (uint8, error) {
	for _, words := range lines("protocols") {
		if words[0] == name || slices.Contains(words[2:], name) {
			p, err := strconv.ParseUint(words[1], 10, 8)
			return uint8(p), err
		}
	}
	return 0, errUnknown
}

// Ether knows no host: there is no /etc/ethers.
func (Names) Ether(string) (net.HardwareAddr, error) { return nil, errUnknown }
