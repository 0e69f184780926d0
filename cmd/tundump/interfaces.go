package main

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/tundump/tundump/capture"
)

// namespaces returns the network namespaces of --netns.
func (o *Options) namespaces() []capture.Namespace {
	var all []capture.Namespace
	for _, name := range o.Netns {
		path := name
		if !strings.Contains(name, "/") { // as "ip netns" makes them
			path = filepath.Join("/run/netns", name)
		}
		all = append(all, capture.Namespace{Path: path, Name: name})
	}
	return all
}

// inNamespaces calls f in each namespace of --netns, or where we are if there is none.
func (o *Options) inNamespaces(f func() error) error {
	if len(o.Netns) == 0 {
		return f()
	}
	for _, n := range o.namespaces() {
		if err := capture.InNamespace(n.Path, f); err != nil {
			return err
		}
	}
	return nil
}

// interfaces returns the names and patterns of what to capture from.
func (o *Options) interfaces() ([]string, error) {
	switch {
	case len(o.Interfaces) > 0:
		return o.named()
	case len(o.Netns) > 0: // the one that is first there may be no other's
		return []string{capture.Any}, nil
	}
	devices, err := capture.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("choosing an interface: %w", err)
	}
	for _, d := range devices {
		if d.Up && !d.Loopback {
			return []string{d.Name}, nil
		}
	}
	return nil, errors.New("choosing an interface: none is up, besides loopback ones; choose with -i")
}

// named returns the interfaces of -i, which may be numbers of -D.
func (o *Options) named() ([]string, error) {
	var names []string
	for _, name := range o.Interfaces {
		if _, err := filepath.Match(name, ""); err != nil {
			return nil, fmt.Errorf("%s: this is no pattern: %w", name, err)
		}
		if n, err := strconv.ParseUint(name, 10, 31); err == nil && len(o.Netns) == 0 {
			if name, err = byNumber(name, int(n)); err != nil {
				return nil, err
			}
		}
		if slices.Contains(names, name) {
			return nil, fmt.Errorf("%s: the interface is given twice", name)
		}
		names = append(names, name)
	}
	return names, nil
}

// byNumber returns the n-th interface of -D, unless there is one of that name.
func byNumber(name string, n int) (string, error) {
	devices, err := capture.Interfaces()
	switch {
	case err != nil:
		return "", fmt.Errorf("choosing an interface: %w", err)
	case slices.ContainsFunc(devices, func(d capture.DeviceInfo) bool { return d.Name == name }):
		return name, nil
	case n < 1 || n > len(devices):
		return "", fmt.Errorf("%s: no such interface: -D lists %d", name, len(devices))
	}
	return devices[n-1].Name, nil
}

// several reports whether more interfaces may be captured than there are at first.
func (o *Options) several() bool {
	return len(o.Netns) > 0 && (len(o.Interfaces) == 0 || o.Engine != engineTCX) || slices.ContainsFunc(o.Interfaces, capture.IsPattern)
}

// listLinkTypes prints the data link types of the interfaces, as tcpdump -L does.
func (o *Options) listLinkTypes(w io.Writer) error {
	return o.eachInterface(func(name string) error {
		linkType, err := capture.LinkType(name)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(w, "Data link types for %s (use option -y to set):\n  %s\n", name, linkName(linkType))
		return err
	})
}

// listTimeStampTypes prints the time stamp types of the interfaces, as tcpdump -J does.
func (o *Options) listTimeStampTypes(w io.Writer) error {
	return o.eachInterface(func(name string) error {
		types, err := capture.TimeStampTypes(name)
		if err != nil {
			return err
		}
		if len(types) == 0 {
			_, err = fmt.Fprintf(w, "Time stamp type cannot be set for %s\n", name)
			return err
		}
		_, err = fmt.Fprintf(w, "Time stamp types for %s (use option -j to set):\n", name)
		for _, t := range types {
			if err == nil {
				_, err = fmt.Fprintf(w, "  %s (%s)\n", t, timeStampName(t))
			}
		}
		return err
	})
}

// timeStampName returns what libpcap calls a time stamp type.
func timeStampName(t capture.TimeStampType) string {
	switch t {
	case capture.TimeStampAdapter:
		return "Adapter"
	case capture.TimeStampAdapterUnsynced:
		return "Adapter, not synced with system time"
	}
	return "Host"
}

// eachInterface calls f for the interfaces of -i, or the one that would be chosen, which are up if
// they are given by a pattern.
func (o *Options) eachInterface(f func(name string) error) error {
	return o.inNamespaces(func() error {
		names, err := o.interfaces()
		if err != nil {
			return err
		}
		devices, err := capture.Interfaces()
		if err != nil {
			return fmt.Errorf("choosing an interface: %w", err)
		}
		for _, name := range names {
			if !capture.IsPattern(name) {
				if err := f(name); err != nil {
					return err
				}
				continue
			}
			for _, d := range devices {
				if ok, _ := filepath.Match(name, d.Name); d.Up && (ok || name == capture.Any) {
					if err := f(d.Name); err != nil {
						return err
					}
				}
			}
		}
		return nil
	})
}
