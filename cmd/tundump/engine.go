package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/tundump/tundump/capture"
)

// liveSource is a capture from interfaces, with either --engine.
type liveSource interface {
	capture.Source
	Stop()
	// setFilters replaces the filters of all interfaces.
	setFilters(next *filters) error
}

// packetSockets is --engine packet.
type packetSockets struct{ *capture.Live }

func (l packetSockets) setFilters(next *filters) error { return l.SetFilter(next.attach) }

// taps is --engine tcx.
type taps struct{ *capture.Taps }

func (t taps) setFilters(next *filters) error { return t.SetFilter(next.tap) }

// openLive starts to capture.
func (s *session) openLive(names []string) (liveSource, error) {
	live := s.liveOptions()
	if s.opt.Engine != engineTCX {
		l, err := capture.OpenLive(names, live)
		if err != nil {
			return nil, err
		}
		return packetSockets{l}, nil
	}
	opt := capture.TapOptions{
		SnapLen: live.SnapLen, Promiscuous: live.Promiscuous, BufferSize: live.BufferSize, Immediate: s.opt.Immediate,
		Namespaces: live.Namespaces, Direction: live.Direction, Accept: live.Accept, OnDown: live.OnDown,
	}
	if strings.TrimSpace(s.opt.Expression) != "" {
		opt.Filter, opt.Prepare = s.filters.tap, live.Prepare
	}
	t, err := capture.OpenTaps(names, opt)
	if errors.Is(err, capture.ErrNoTaps) {
		return nil, fmt.Errorf("%w (leave --engine out, and packet sockets are used)", err)
	}
	if err != nil {
		return nil, err
	}
	return taps{t}, nil
}
