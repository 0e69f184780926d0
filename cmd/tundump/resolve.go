package main

import (
	"context"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
)

const (
	// maxNames bounds how many addresses are remembered, those without a name too.
	maxNames = 1 << 16
	// maxLookups bounds how many addresses are being looked up at the same time.
	maxLookups = 16
)

// resolver finds the names that --resolve prints: of addresses where the C library does, of ports
// in /etc/services.
type resolver struct {
	ctx    context.Context // ends all look-ups
	wait   bool            // for an answer, and not print numbers until it is there
	short  bool            // -N: without the domain
	ask    func(ctx context.Context, addr string) (names []string, err error)
	ports  map[string]string // by "tcp/80"
	flight chan struct{}     // has something for each look-up

	mu    sync.Mutex
	names map[netip.Addr]string // "" if it has none, or is being looked up
}

// newResolver returns a resolver. One that reads a file waits for answers, as nothing is
// lost meanwhile.
func newResolver(ctx context.Context, etc string, wait, short bool) *resolver {
	r := &resolver{
		ctx: ctx, wait: wait, short: short, ask: net.DefaultResolver.LookupAddr,
		ports: map[string]string{}, flight: make(chan struct{}, maxLookups), names: map[netip.Addr]string{},
	}
	// Without such a file there are no names.
	_ = systemNames{ctx, etc}.find("services", func(words []string) bool {
		number, transport, _ := strings.Cut(words[1], "/")
		key := transport + "/" + number
		if _, known := r.ports[key]; !known {
			r.ports[key] = words[0]
		}
		return false // to the end
	})
	return r
}

// Port returns the name of a service, "" if it has none.
func (r *resolver) Port(transport string, port uint16) string {
	return r.ports[transport+"/"+strconv.Itoa(int(port))]
}

// Addr returns the name of an address; "" if it has none, or it is not known yet.
func (r *resolver) Addr(addr netip.Addr) string {
	r.mu.Lock()
	name, known := r.names[addr]
	if known {
		r.mu.Unlock()
		return name
	}
	select {
	case r.flight <- struct{}{}:
	default: // the next packet asks again
		r.mu.Unlock()
		return ""
	}
	if len(r.names) >= maxNames {
		clear(r.names)
	}
	r.names[addr] = ""
	r.mu.Unlock()
	if r.wait {
		return r.lookUp(addr)
	}
	go r.lookUp(addr)
	return ""
}

// lookUp asks for the name of an address, and remembers it.
func (r *resolver) lookUp(addr netip.Addr) string {
	defer func() { <-r.flight }()
	ctx, cancel := context.WithTimeout(r.ctx, lookupTimeout)
	defer cancel()
	names, err := r.ask(ctx, addr.String())
	if err != nil || len(names) == 0 {
		return ""
	}
	name := strings.TrimSuffix(names[0], ".")
	if r.short {
		name, _, _ = strings.Cut(name, ".")
	}
	r.mu.Lock()
	r.names[addr] = name
	r.mu.Unlock()
	return name
}
