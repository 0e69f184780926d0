package capture

import (
	"errors"
	"fmt"
	"net"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// place is a network namespace in which Live captures.
type place struct {
	name     string     // in front of interfaces' names, "" if not
	ns       *namespace // nil is that of the calling thread
	patterns []string   // which interfaces to pick up; none if empty
	events   int        // netlink socket that tells when interfaces change; -1 without patterns
	known    map[int]bool
}

// newPlace prepares a namespace.
func newPlace(n Namespace, patterns []string) (*place, error) {
	p := &place{name: n.Name, patterns: patterns, events: -1, known: map[int]bool{}}
	if n.Path != "" {
		var err error
		if p.ns, err = enter(n.Path); err != nil {
			return nil, err
		}
	}
	if len(patterns) > 0 {
		// Before the interfaces are listed, so that none is missed.
		if err := p.ns.do(p.subscribe); err != nil {
			p.ns.leave()
			return nil, fmt.Errorf("watching for interfaces: %w", err)
		}
	}
	return p, nil
}

// subscribe opens the netlink socket.
func (p *place) subscribe() error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: unix.RTMGRP_LINK}); err != nil {
		return errors.Join(err, unix.Close(fd))
	}
	p.events = fd
	return nil
}

// drain throws away what the netlink socket tells: all that matters is that there was something,
// also if there was too much of it.
func (p *place) drain() error {
	buf := make([]byte, 32<<10)
	for {
		_, err := unix.Read(p.events, buf)
		switch err {
		case nil, unix.EINTR, unix.ENOBUFS:
		case unix.EAGAIN:
			return nil
		default:
			return fmt.Errorf("watching for interfaces: %w", err)
		}
	}
}

func (p *place) close() error {
	p.ns.leave()
	if p.events < 0 {
		return nil
	}
	return unix.Close(p.events)
}

// open opens the rings of an interface.
func (p *place) open(name string, opt *LiveOptions) (rings []*ring, err error) {
	err = p.ns.do(func() error {
		rings, err = openRings(name, p.name, opt)
		return err
	})
	return rings, err
}

// scan opens the rings of at most room interfaces that match the patterns, are up, and are not yet
// known. failed is told of those that cannot be captured, once for each.
func (p *place) scan(opt *LiveOptions, room int, failed func(name string, err error)) (found [][]*ring, err error) {
	var links []netlink.Link
	var whole bool
	err = p.ns.do(func() error {
		links, whole, err = listed(netlink.LinkList)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listing the interfaces: %w", err)
	}
	there := make(map[int]bool, len(links))
	for _, link := range links {
		a := link.Attrs()
		there[a.Index] = true
		promiscuous, ok := p.wants(a.Name)
		if !ok || p.known[a.Index] || a.Flags&net.FlagUp == 0 || len(found) >= room {
			continue
		}
		o := *opt
		o.Promiscuous = opt.Promiscuous && promiscuous
		rings, err := p.open(a.Name, &o)
		if err == nil {
			if err = mapRings(rings); err != nil {
				_ = closeRings(rings)
			}
		}
		switch {
		case err == nil:
			p.known[a.Index] = true
			found = append(found, rings)
		case errors.Is(err, ErrInterfaceDown), errors.Is(err, unix.ENODEV):
			// Another event will tell of it.
		case errors.Is(err, unix.EPERM):
			for _, rings := range found {
				_ = closeRings(rings)
			}
			return nil, fmt.Errorf("%s: %w", a.Name, err)
		default:
			p.known[a.Index] = true
			failed(p.interfaceName(a.Name), err)
		}
	}
	// An index may come again, if an interface is moved away and back. Of a list that is not whole we cannot
	// know; the changes that made it so come as events yet.
	for index := range p.known {
		if whole && !there[index] {
			delete(p.known, index)
		}
	}
	return found, nil
}

// wants reports whether a pattern is about an interface, and whether one besides Any is.
func (p *place) wants(name string) (promiscuous, ok bool) {
	for _, pattern := range p.patterns {
		if matches(pattern, name) {
			ok = true
			promiscuous = promiscuous || pattern != Any
		}
	}
	return promiscuous, ok
}

// interfaceName returns the name by which an interface is known to the user.
func (p *place) interfaceName(name string) string { return placeName(p.name, name) }

func placeName(place, name string) string {
	if place == "" {
		return name
	}
	return place + "/" + name
}
