package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/tundump/tundump/capture"
)

// serve answers SIGUSR1 and SIGUSR2, and --stats, until stop is called.
func (s *session) serve(src capture.Source) (stop func()) {
	signals := make(chan os.Signal, 8) // they may come faster than they are answered
	signal.Notify(signals, syscall.SIGUSR1, syscall.SIGUSR2)
	var tick <-chan time.Time
	stopTicker := func() {}
	if s.opt.StatsEvery > 0 {
		t := time.NewTicker(s.opt.StatsEvery)
		tick, stopTicker = t.C, t.Stop
	}
	quit, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		for {
			select {
			case sig := <-signals:
				if sig == syscall.SIGUSR2 {
					s.flushNow.Store(true) // what nobody adds to is written soon anyway
				} else {
					s.tellCounters(src)
				}
			case <-tick:
				s.tellCounters(src)
			case <-quit:
				return
			}
		}
	}()
	return sync.OnceFunc(func() {
		signal.Stop(signals)
		stopTicker()
		close(quit)
		<-gone
	})
}

// endAtHangUp lets SIGHUP end the capture in order, as the signals of main do, until restore is
// called. Who ignores it, as nohup does, goes on to.
func (s *session) endAtHangUp() (restore func()) {
	if signal.Ignored(syscall.SIGHUP) {
		return func() {}
	}
	ctx, restore := signal.NotifyContext(s.ctx, syscall.SIGHUP)
	context.AfterFunc(ctx, restore) // the second signal ends the program at once
	s.ctx = ctx
	return restore
}

// tellCounters prints the counters in one line, as tcpdump does at SIGUSR1.
func (s *session) tellCounters(src capture.Source) {
	line := packets(s.captured.Load()) + " captured"
	stats, err := src.Stats()
	if err == nil && stats != nil {
		all := sum(stats)
		line += fmt.Sprintf(", %s received by filter, %s dropped by kernel", packets(all.Received), packets(all.Dropped))
	}
	fmt.Fprintf(s.std.err, "tundump: %s\n", line)
}

// sum adds the counters of all interfaces.
func sum(stats []capture.Stats) (all capture.Stats) {
	for _, st := range stats {
		all.Received += st.Received
		all.Dropped += st.Dropped
	}
	return all
}
