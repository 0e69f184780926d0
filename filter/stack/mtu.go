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

// Cost is what a stack costs. An MTU counts from behind the Ethernet header and its VLAN
// tags: that of the underlay from the outermost ones, the inner one from the innermost.
// What is between the two is the overhead, the inner Ethernet header and its tags included.
type Cost struct {
	Parts    []Part // the overhead, from the outside in
	Overhead int    // their sum
	Underlay int    // MTU, in bytes
	Inner    int    // MTU of what is inside
	// IPv6 is set if the underlay is IPv6. Its packets have no DF flag: only the
	// tunnel endpoint can make fragments, and Linux does not.
	IPv6 bool
	// NoIP is set if the underlay has no IP, and so no fragments.
	NoIP bool

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
		if !l.Starts() {
			last = i
		}
	}
	switch {
	case last < 0:
		return nil, &Error{text, 0, len(text), "there is no tunnel in it, so nothing that it costs"}
	case last == len(s.Layers)-1:
		p := parser{s.table, text, words(s.table)}
		can := slices.DeleteFunc(p.candidates(&s.Layers[last], true), func(name string) bool {
			return slices.ContainsFunc(p.words, func(w word) bool { return w.name == name && s.table.Header(w.id).Class == header.Tunnel })
		})
		return nil, &Error{text, len(text), len(text), fmt.Sprintf("what %s carries is missing, and it counts: %s", s.Layers[last].Name, list(can))}
	}
	c := &Cost{Underlay: underlay}
	counts := false
	for i, l := range s.Layers {
		counts = counts || l.ID != header.Ether && l.ID != header.VLAN
		if i > last && l.Class == header.Network {
			break
		}
		if !counts {
			continue
		}
		for _, p := range l.Parts {
			if p.Bytes > 0 {
				c.Parts = append(c.Parts, p)
				c.Overhead += p.Bytes
			}
		}
	}
	name, least := s.outer(c)
	c.Inner = underlay - c.Overhead
	switch {
	case underlay > MaxPacket:
		return nil, fmt.Errorf("an underlay MTU of %d is too large: an IP packet has at most %d bytes", underlay, MaxPacket)
	case underlay < least:
		return nil, fmt.Errorf("an underlay MTU of %d is too small: %s needs at least %d", underlay, name, least)
	case c.Inner < MinMTU:
		return nil, fmt.Errorf("an underlay MTU of %d is too small: %d bytes of overhead and an inner packet of %d need %d", underlay, c.Overhead, MinMTU, c.Overhead+MinMTU)
	}
	return c, nil
}

// outer sets what the outermost network header decides, and returns its name, and the least
// MTU on which it can be.
func (s *Stack) outer(c *Cost) (name string, least int) {
	outer := s.Network()
	if outer == nil {
		c.NoIP = true
		return "", 0
	}
	front := 0 // what an underlay adds to each of its packets: labels, PPPoE
	for _, l := range s.Layers {
		if l.Off < outer.Off && l.ID != header.Ether && l.ID != header.VLAN {
			front += l.Bytes()
		}
	}
	c.headers, c.longest = front+outer.Bytes(), front+MaxPacket
	if outer.ID != header.IP6 {
		c.headers -= outer.ext // an authentication header is cut like what it covers
		return outer.Name, front + MinMTU
	}
	// All extension headers go into each fragment, as Linux does it (ip6_find_1stfragopt):
	// those of a tunnel are destination options.
	c.IPv6 = true
	c.fragment = int(s.table.Header(header.Fragment).Fixed)
	c.longest += int(outer.Fixed)
	return outer.Name, front + MinMTU6
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

// Packets returns the lengths of the packets on the underlay, from where its MTU
// counts, that an inner packet of that many bytes makes: one if it fits, else
// those of its fragments. There are none if the whole is too long for IP, which
// then cannot have fragments of it either, or if the underlay has no IP.
func (c *Cost) Packets(inner int) []int {
	whole := inner + c.Overhead
	switch {
	case whole <= c.Underlay:
		return []int{whole}
	case c.NoIP || whole > c.longest:
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
