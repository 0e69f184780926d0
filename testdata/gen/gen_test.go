package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestCommitted compares the files in testdata with what gen writes.
func TestCommitted(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	made := map[string]bool{}
	for _, f := range files() {
		var want bytes.Buffer
		if err := f.encode(&want); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join("..", f.name))
		if err != nil {
			t.Error(err)
		} else if !bytes.Equal(got, want.Bytes()) {
			t.Errorf("%s is not what gen writes: go run ./testdata/gen", f.name)
		}
		if !strings.Contains(string(readme), f.name) {
			t.Errorf("README.md does not mention %s", f.name)
		}
		made[f.name] = true
		total += want.Len()
	}
	if total > 1<<20 {
		t.Errorf("%d bytes in all", total)
	}
	captures, err := filepath.Glob("../*.pcap*")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range captures {
		if !made[filepath.Base(path)] {
			t.Errorf("gen does not write %s", path)
		}
	}
}

// TestTshark has tshark check every length and checksum.
func TestTshark(t *testing.T) {
	tshark, err := exec.LookPath("tshark")
	if err != nil {
		t.Skip("tshark is not installed: apt install tshark")
	}
	const cut = "the first fragment has the start of the inner packet"
	// The packets about which tshark may complain.
	odd := map[string]map[int]string{
		"gre.pcap":     {70: cut, 72: cut},
		"vxlan.pcap":   {46: cut, 48: cut},
		"geneve.pcap":  {33: "version 1", 36: cut, 38: cut},
		"ipip.pcap":    {35: cut, 37: cut},
		"erspan.pcap":  {44: "version 3"},
		"mixed.pcapng": {23: "snapped"},
	}
	for _, f := range files() {
		switch f.name {
		case "captures/tunnels.pcap":
			continue // their checksums are those of others; the walk's test compares the addresses
		case "short.pcap", "odd.pcap":
			continue // nothing there is right
		case "dns.pcap", "dhcp.pcap", "ppp.pcap", "pppoe.pcap", "control.pcap", "services.pcap", "headings.pcap":
			continue // every value, also those that mean nothing: tcpdump is the judge, in decode
		}
		cmd := exec.Command(tshark, "-r", filepath.Join("..", f.name), "-d", "udp.port==8472,vxlan",
			"-o", "ip.defragment:FALSE", "-o", "ipv6.defragment:FALSE", "-o", "ip.check_checksum:TRUE",
			"-o", "tcp.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE", "-o", "sctp.checksum:TRUE",
			"-Y", "_ws.expert.severity >= 0x600000 || _ws.malformed || _ws.short || ip.bogus_ip_length", // warnings and errors
			"-T", "fields", "-e", "frame.number", "-e", "frame.protocols", "-e", "_ws.expert.message")
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("tshark: %v", err)
		}
		complaints := map[int]bool{}
		for line := range strings.Lines(string(out)) {
			number, what, _ := strings.Cut(line, "\t")
			n, err := strconv.Atoi(number)
			if err != nil {
				t.Fatal(err)
			}
			complaints[n] = true
			if odd[f.name][n] == "" {
				t.Errorf("%s: packet %d: %s", f.name, n, what)
			}
		}
		for n, reason := range odd[f.name] {
			if !complaints[n] {
				t.Errorf("%s: packet %d is not odd: %s", f.name, n, reason)
			}
		}
	}
}
