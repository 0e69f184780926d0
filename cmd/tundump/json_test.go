package main

import (
	"bytes"
	"encoding/json"
	"io"
	"testing"
)

// TestLiveJSON captures inside and outside of a tunnel, less than the packets have.
func TestLiveJSON(t *testing.T) {
	l := newLab(t)
	s := newSender(t, l)
	r := start(t, l, l.A, "tundump", "-i", "vxlan0", "-i", "eth1", "-s", "100", "--json", "-c", "20", "any host 10.5.5.3")
	s.send(30)
	printed, err := io.ReadAll(r.stdout)
	if err != nil {
		t.Fatal(err)
	}
	r.wait(done)
	type packet struct {
		Interface, Direction string
		Length, Captured     int
		Truncated            bool
		Layers               []struct {
			Name   string
			Level  int
			Fields map[string]any
		}
	}
	counts := map[string]int{}
	for line := range bytes.Lines(printed) {
		var p packet
		if err := json.Unmarshal(line, &p); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		counts[p.Interface]++
		inside := map[string]int{"vxlan0": 0, "eth1": 1}[p.Interface]
		if p.Direction != "out" || p.Captured != min(p.Length, 100) || p.Truncated != (p.Length > 100) {
			t.Errorf("%+v", p)
		}
		found := false
		for _, l := range p.Layers {
			found = found || l.Name == "ip" && l.Level == inside && l.Fields["src"] == "10.5.5.3"
		}
		if !found {
			t.Errorf("%s has no packet from 10.5.5.3 on level %d: %+v", p.Interface, inside, p.Layers)
		}
	}
	if counts["vxlan0"] == 0 || counts["eth1"] == 0 || counts["vxlan0"]+counts["eth1"] != 20 {
		t.Errorf("packets: %v", counts)
	}
}
