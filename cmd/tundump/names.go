package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// lookupTimeout bounds one question to the resolver.
const lookupTimeout = 10 * time.Second

// systemNames looks names up where the C library does: in the files of /etc, hosts
// also in the DNS.
type systemNames struct {
	ctx context.Context // ends all look-ups
	etc string          // the folder of the files
}

// Hosts returns a host's addresses, from /etc/hosts and the DNS.
func (n systemNames) Hosts(name string) ([]netip.Addr, error) {
	ctx, cancel := context.WithTimeout(n.ctx, lookupTimeout)
	defer cancel()
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", name)
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns) && dns.IsTimeout:
		return nil, errors.New("the name server does not answer")
	case errors.As(err, &dns):
		return nil, errors.New(dns.Err) // the rest of it is the name and which server was asked
	case err != nil:
		return nil, err
	}
	for i, a := range addrs {
		addrs[i] = a.Unmap()
	}
	return addrs, nil
}

// Network returns a network of /etc/networks. As in libpcap, leading zero bytes of a
// number there are what is missing at its end: 127 is 127.0.0.0/8, but
// 127.0.0.0 is that one address.
func (n systemNames) Network(name string) (netip.Prefix, error) {
	var number string
	err := n.find("networks", func(words []string) bool {
		if !named(words, name) {
			return false
		}
		number = words[1]
		return true
	})
	if err != nil {
		return netip.Prefix{}, err
	}
	var addr uint32
	for word := range strings.SplitSeq(number, ".") {
		b, err := strconv.ParseUint(word, 10, 8)
		if err != nil || addr > 0xffffff {
			return netip.Prefix{}, fmt.Errorf("%s says it is %q, which is no network number", n.file("networks"), number)
		}
		addr = addr<<8 | uint32(b)
	}
	bits := 32
	for addr != 0 && addr <= 0xffffff {
		addr, bits = addr<<8, bits-8
	}
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], addr)
	return netip.PrefixFrom(netip.AddrFrom4(b), bits), nil
}

// Port returns the port of a service of /etc/services.
func (n systemNames) Port(protocol, name string) (port uint16, err error) {
	err = n.find("services", func(words []string) bool {
		number, of, _ := strings.Cut(words[1], "/")
		p, err := strconv.ParseUint(number, 10, 16)
		port = uint16(p)
		return err == nil && of == protocol && named(words, name)
	})
	return port, err
}

// Protocol returns an IP protocol of /etc/protocols.
func (n systemNames) Protocol(name string) (number uint8, err error) {
	err = n.find("protocols", func(words []string) bool {
		p, err := strconv.ParseUint(words[1], 10, 8)
		number = uint8(p)
		return err == nil && named(words, name)
	})
	return number, err
}

// Ether returns the address of a host of /etc/ethers.
func (n systemNames) Ether(name string) (mac net.HardwareAddr, err error) {
	err = n.find("ethers", func(words []string) bool {
		if words[1] != name {
			return false
		}
		mac = nil
		for word := range strings.SplitSeq(words[0], ":") { // bytes may have one digit only
			b, err := strconv.ParseUint(word, 16, 8)
			if err != nil {
				return false
			}
			mac = append(mac, byte(b))
		}
		return len(mac) == 6
	})
	return mac, err
}

// named reports whether a line of /etc/services and its like, which has
// the name first and other names from the third word on, is about name.
func named(words []string, name string) bool {
	for i, w := range words {
		if i != 1 && w == name {
			return true
		}
	}
	return false
}

func (n systemNames) file(name string) string { return filepath.Join(n.etc, name) }

// find calls match with the words of each line of a file, those that have at
// least two, until it returns true. It is an error if it never does.
func (n systemNames) find(file string, match func(words []string) bool) error {
	f, err := os.Open(n.file(file))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no %s to look it up in", n.file(file))
	}
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		line, _, _ := strings.Cut(lines.Text(), "#")
		if words := strings.Fields(line); len(words) >= 2 && match(words) {
			return nil
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("reading %s: %w", n.file(file), err)
	}
	return fmt.Errorf("it is not in %s", n.file(file))
}
