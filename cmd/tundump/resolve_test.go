package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// printedBy returns what a program prints of a file.
func printedBy(t *testing.T, arg ...string) string {
	t.Helper()
	out, err := exec.Command(arg[0], arg[1:]...).Output()
	if err != nil {
		t.Fatalf("%v: %v", arg, err)
	}
	return string(out)
}

// TestResolve compares with tcpdump, which resolves without being asked to. The only address is
// one that is in every /etc/hosts.
func TestResolve(t *testing.T) {
	file := filepath.Join(t.TempDir(), "in.pcap")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	w := pcapgo.NewWriter(f)
	if err := w.WriteFileHeader(262144, layers.LinkTypeEthernet); err != nil {
		t.Fatal(err)
	}
	named := 0
	for _, proto := range []byte{6, 17} {
		for port := uint16(1); port < 1200; port++ {
			data := make([]byte, 14+20+20)
			data[12], data[14], data[17], data[22], data[23] = 8, 0x45, 40, 64, proto
			copy(data[26:], []byte{127, 0, 0, 1, 127, 0, 0, 1})
			binary.BigEndian.PutUint16(data[34:], 60000)
			binary.BigEndian.PutUint16(data[36:], port)
			binary.BigEndian.PutUint16(data[38:], 20) // the length of the UDP datagram
			data[46] = 0x50                           // and that of the TCP header
			if err := w.WritePacket(gopacket.CaptureInfo{CaptureLength: len(data), Length: len(data)}, data); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	for _, options := range []string{"-qt", "-qtN"} {
		want, got := printedBy(t, "tcpdump", options, "-r", file), printedBy(t, "tundump", options, "--resolve", "-r", file)
		wants, gots := strings.Split(want, "\n"), strings.Split(got, "\n")
		if len(wants) != len(gots) {
			t.Fatalf("%d lines, want %d", len(gots), len(wants))
		}
		for i := range wants {
			if gots[i] != wants[i] {
				t.Errorf("%s\ntcpdump prints %s", gots[i], wants[i])
			}
			if strings.Contains(wants[i], "localhost.http:") || strings.Contains(wants[i], "localhost.snmp:") {
				named++
			}
		}
	}
	if named == 0 {
		t.Error("no port had a name")
	}
	if got := printedBy(t, "tundump", "-qt", "-c1", "-r", file); !strings.HasPrefix(got, "IP 127.0.0.1.60000 > 127.0.0.1.1: ") {
		t.Errorf("without --resolve: %s", got)
	}
}

// TestResolver: an answer that takes its time holds nothing up, and what is remembered and asked is
// bounded.
func TestResolver(t *testing.T) {
	r := newResolver(t.Context(), t.TempDir(), false, true)
	release := make(chan struct{})
	var asked atomic.Int64
	r.ask = func(ctx context.Context, addr string) ([]string, error) {
		asked.Add(1)
		<-release
		if addr == "10.0.0.9" {
			return nil, &net.DNSError{IsNotFound: true}
		}
		return []string{"host-" + addr + ".example.org."}, nil
	}
	for range 3 {
		for i := range 2 * maxLookups {
			if name := r.Addr(netip.AddrFrom4([4]byte{10, 0, 0, byte(i)})); name != "" {
				t.Fatalf("%s before there is an answer", name)
			}
		}
	}
	for deadline := time.Now().Add(20 * time.Second); asked.Load() != maxLookups; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) || asked.Load() > maxLookups {
			t.Fatalf("asked %d times, at the same time at most %d", asked.Load(), maxLookups)
		}
	}
	close(release)
	name := ""
	for deadline := time.Now().Add(20 * time.Second); name == ""; name = r.Addr(netip.MustParseAddr("10.0.0.31")) {
		if time.Now().After(deadline) {
			t.Fatal("no answer ever comes")
		}
	}
	if name != "host-10" { // -N
		t.Errorf("%q", name)
	}
	// Who waits gets the answer, and nobody asks twice.
	r = newResolver(t.Context(), t.TempDir(), true, false)
	var count int
	r.ask = func(_ context.Context, addr string) ([]string, error) {
		count++
		return []string{fmt.Sprintf("h%s.", addr)}, nil
	}
	for range 2 {
		if name := r.Addr(netip.MustParseAddr("10.0.0.1")); name != "h10.0.0.1" {
			t.Errorf("%q", name)
		}
	}
	for i := range maxNames + 10 {
		r.Addr(netip.AddrFrom4([4]byte{11, byte(i >> 16), byte(i >> 8), byte(i)}))
	}
	if len(r.names) > maxNames || count != maxNames+11 {
		t.Errorf("%d names are remembered, %d were asked for", len(r.names), count)
	}
	if name := r.Port("tcp", 80); name != "" {
		t.Errorf("a port is called %s without /etc/services", name)
	}
}

// TestNoChecksums compares -K with tcpdump.
func TestNoChecksums(t *testing.T) {
	for _, file := range []string{"plain", "vxlan", "gre"} {
		file = "../../testdata/" + file + ".pcap"
		for _, v := range []string{"-ntv", "-ntvv"} {
			plain, quiet := printedBy(t, "tundump", v, "-r", file), printedBy(t, "tundump", v+"K", "-r", file)
			if !strings.Contains(plain, "(correct)") || strings.Contains(quiet, "(correct)") || strings.Contains(quiet, "udp sum ok") {
				t.Errorf("%s %s: checksums without -K, none with it: is not so", file, v)
			}
			// As many lines are tcpdump's as without it.
			same := func(a, b string) (n int) {
				all := map[string]bool{}
				for line := range strings.Lines(a) {
					all[line] = true
				}
				for line := range strings.Lines(b) {
					if all[line] {
						n++
					}
				}
				return n
			}
			want := same(printedBy(t, "tcpdump", v, "-r", file), plain)
			if got := same(printedBy(t, "tcpdump", v+"K", "-r", file), quiet); got < want || want == 0 {
				t.Errorf("%s %s: %d lines are tcpdump's, without -K %d", file, v, got, want)
			}
		}
	}
}
