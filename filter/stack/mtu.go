package stack

import (
	"fmt"
	"slices"

	"github.com/tundump/tundump/filter/header"
)

// Limits of IP packets, in bytes.
const (
	MinMTU    = 68    // of a link that carries IPv4 (RFC 791, section 3.2)
	MinMTU6   = 1280  // of a link that carries IPv6 (RFC 8200, section 5)
	MaxPacket = 65535 // IPv4: the whole packet; IPv6: what follows its header
)

// Cost is what a stack costs. An MTU counts from a network header: that of the underlay
// from the outermost one, the inner one from the innermost. What is between the two
// is the overhead, the inner Ethernet header and its tags included.
type Cost struct {
	Parts    []Part // the overhead, from the outside in
	Overhead int    // their sum
	Underlay int    // MTU, in bytes
	Inner    int    // MTU of what is inside
	// IPv6 is set if the underlay is IPv6. Its packets have no DF flag: only the
	// tunnel endpoint can make fragments, and Linux does not.
	IPv6 bool

	headers  int // in front of the part of a packet that can be cut
	fragment int // what a fragment has in addition
	longest  int // packet
}

// Cost returns what the stack costs on an underlay with that MTU, in bytes. It is
// an *Error if the stack is no tunnel, or does not say what the tunnel carries.
func (s *Stack) Cost(underlay int) (*Cost, error) {
	text := s.String()
	last := -1
	for i, l := range s.Layers {
		if l.Class == header.Tunnel {
			last = i
		}
	}
	outer := s.Network()
	switch {
	case last < 0 || outer == nil:
		return nil, &Error{text, 0, len(text), "there is no tunnel in it, so nothing that it costs"}
	case last == len(s.Layers)-1:
		var can []string
		for _, r := range s.Layers[last].Header.Next.Rules {
			if h := s.table.Header(r.To); h.Class != header.Tunnel && !slices.Contains(can, h.Name) {
				can = append(can, h.Name)
			}
		}
		return nil, &Error{text, len(text), len(text), fmt.Sprintf("what %s carries is missing, and it counts: %s", s.Layers[last].Name, list(can))}
	}
	c := &Cost{Underlay: underlay, IPv6: outer.ID == header.IP6, headers: outer.Bytes(), longest: MaxPacket}
	least := MinMTU
	if c.IPv6 {
		// All extension headers go into each fragment, as Linux does it (ip6_find_1stfragopt):
		// those of a tunnel are destination options.
		c.fragment = int(s.table.Header(header.Fragment).Fixed)
		c.longest += int(outer.Fixed)
		least = MinMTU6
	} else {
		c.headers -= outer.ext // an authentication header is cut like what it covers
	}
	inside := false
	for i, l := range s.Layers {
		inside = inside || l.Class == header.Network
		if i > last && l.Class == header.Network {
			break
		}
		if !inside {
			continue
		}
		for _, p := range l.Parts {
			if p.Bytes > 0 {
				c.Parts = append(c.Parts, p)
				c.Overhead += p.Bytes
			}
		}
	}
	c.Inner = underlay - c.Overhead
	switch {
	case underlay > MaxPacket:
		return nil, fmt.Errorf("an underlay MTU of %d is too large: an IP packet has at most %d bytes", underlay, MaxPacket)
	case underlay < least:
		return nil, fmt.Errorf("an underlay MTU of %d is too small: %s needs at least %d", underlay, outer.Name, least)
	case c.Inner < MinMTU:
		return nil, fmt.Errorf("an underlay MTU of %d is too small: %d bytes of overhead and an inner packet of %d need %d", underlay, c.Overhead, MinMTU, c.Overhead+MinMTU)
	}
	return c, nil
}

// MSS returns the largest TCP segments that fit inside, without options, in IPv4 and in IPv6
// packets. ip6 is 0 if the inner MTU is too small for IPv6.
func (c *Cost) MSS() (ip, ip6 int) {
	const headers, headers6 = 20 + 20, 40 + 20
	ip = c.Inner - headers
	if c.Inner >= MinMTU6 {
		ip6 = c.Inner - headers6
	}
	return ip, ip6
}

// Packets returns the lengths of the packets on the underlay, outer network header
// included, that an inner packet of that many bytes makes: one if it fits, else
// those of its fragments. There are none if the whole is too long for IP, which
// then cannot have fragments of it either.
func (c *Cost) Packets(inner int) []int {
	whole := inner + c.Overhead
	switch {
	case whole <= c.Underlay:
		return []int{whole}
	case whole > c.longest:
		return nil
	}
	headers := c.headers + c.fragment
	room := c.Underlay - headers
	var packets []int
	left := whole - c.headers
	for left > room {
		n := room &^ 7 // offsets of fragments count 8 bytes
		packets = append(packets, headers+n)
		left -= n
	}
	return append(packets, headers+left)
}
