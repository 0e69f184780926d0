package main

import (
	"bytes"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tundump/tundump/testdata/lab"
)

// compareEngines captures what send sends with both engines at both ends of the lab's link, and compares
// the files. It returns how many packets there are.
func compareEngines(t *testing.T, l *lab.Lab, send func(), args ...string) int {
	t.Helper()
	dir := t.TempDir()
	file := func(ns, engine string) string { return filepath.Join(dir, ns+engine+".pcapng") }
	runs := map[string]*running{}
	places, engines := []string{l.A, l.B}, []string{"packet", "tcx"}
	for _, ns := range places {
		for _, engine := range engines {
			name := file(ns, engine)
			runs[name] = start(t, l, ns, append([]string{"tundump", "--engine", engine, "-i", "eth1", "-w", name}, args...)...)
		}
	}
	send()
	n := 0
	for _, ns := range places {
		said := map[string]string{}
		for _, engine := range engines {
			log := runs[file(ns, engine)].stop(syscall.SIGINT)
			captured, received, dropped := counters(t, log)
			if engine == "tcx" && captured != received || dropped > 0 { // packet sockets do not know -Q
				t.Errorf("%v: --engine %s captured %d, received %d, dropped %d", args, engine, captured, received, dropped)
			}
			if tcx := strings.Contains(log, "filter: eBPF at tcx, ") || strings.Contains(log, "filter: none"); engine == "tcx" && !tcx {
				t.Errorf("%v: %s", args, log)
			}
			// An oracle's view of the files: lengths, directions, bytes.
			out, err := exec.Command("tshark", "-nr", file(ns, engine), "-T", "fields", "-e", "frame.len", "-e", "frame.cap_len",
				"-e", "frame.interface_name", "-e", "frame.packet_flags_direction", "-e", "frame.md5_hash", "-o", "frame.generate_md5_hash:TRUE").Output()
			if err != nil {
				t.Fatalf("tshark: %v", err)
			}
			said[engine] = string(out)
			n += captured
		}
		if d := cmp.Diff(said["packet"], said["tcx"]); d != "" {
			t.Errorf("%v in %s (-packet +tcx):\n%.3000s", args, ns, d)
		}
	}
	return n / 2
}

// TestEngines captures the same packets with both engines.
func TestEngines(t *testing.T) {
	l := newLab(t)
	var frames [][]byte
	for _, name := range []string{"gre", "vxlan", "vlan", "geneve", "mpls", "erspan", "dns", "pppoe"} {
		for _, r := range readCapture(t, filepath.Join("../../testdata", name+".pcap")) {
			if len(r.Data) >= 60 && len(r.Data) <= 1500 { // what a veth takes
				frames = append(frames, r.Data)
			}
		}
	}
	send := func() {
		t.Helper()
		if err := l.Transmit(l.A, "eth1", frames); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		args string
		most int // in hundredths of the frames, sent and received
	}{
		{"", 300}, {"inner udp", 190}, {"vlan", 100}, {"-s 80 inner ip", 190}, {"-Q out udp", 99}, {"-Q in gre or vxlan", 99},
		{"inner net 10.0.0.0/8 or port in { 53, 80, 443, 1024-2000, 4789, 5060 }", 199},
	} {
		args := strings.Fields(c.args)
		n := compareEngines(t, l, send, args...)
		if n == 0 || n > 2*len(frames)*c.most/100 {
			t.Errorf("%q: %d packets of %d frames: the test says little", c.args, n, len(frames))
		}
	}
}

// TestEnginePieces captures datagrams of which only the outer headers are in one piece in
// the kernel, as those are that are longer than 16 KiB: the filter has to call for the rest.
func TestEnginePieces(t *testing.T) {
	l := newLab(t)
	for _, ns := range []string{l.A, l.B} {
		if out, err := l.Command(t.Context(), ns, "ip", "link", "set", "eth1", "mtu", "65535").CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	const port = 4790 // VXLAN by option: the lab's own device is not to answer
	if err := l.In(l.B, func() error {
		to, err := net.ListenUDP("udp4", &net.UDPAddr{Port: port}) // or there would be ICMP errors
		if err == nil {
			t.Cleanup(func() { to.Close() })
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	var conn *net.UDPConn
	if err := l.In(l.A, func() (err error) {
		conn, err = net.DialUDP("udp4", nil, &net.UDPAddr{IP: net.IPv4(192, 0, 2, 2), Port: port})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	send := func() {
		for i := range 30 {
			inner := frame(t, ethernet(), ipv4("10.5.5."+fmt.Sprint(1+i%3), "10.5.5.5"), udp(uint16(9000+i%2)), payload(bytes.Repeat([]byte("tundump "), 2500)))
			vxlan := []byte{8, 0, 0, 0, 0, 0, byte(40 + i%5), 0}
			if _, err := conn.Write(append(vxlan, inner...)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for expression, want := range map[string]int{
		"inner (src host 10.5.5.2 and udp dst port 9001)":   5,
		"vxlan 41 and host 10.5.5.5":                        6,
		"inner host in { 10.5.5.1, 10.5.5.3, 10.9.0.0/16 }": 20,
		"len > 20000 and inner udp dst port in { 1, 9001 }": 15,
		"udp port 4790 and ether[20010:4] != 0":             30,
	} {
		if got := compareEngines(t, l, send, "--vxlan-port", fmt.Sprint(port), "--gpe-port", "1", expression); got != 2*want {
			t.Errorf("%s: %d packets, want %d sent and as many received", expression, got, want)
		}
	}
}

// TestEngineNamespaces captures in two namespaces at once.
func TestEngineNamespaces(t *testing.T) {
	l := newLab(t)
	file := filepath.Join(t.TempDir(), "out.pcapng")
	r := start(t, l, l.A, "tundump", "--engine", "tcx", "--netns", l.A, "--netns", l.B, "-i", "eth1", "-i", "vxlan0", "-w", file, "inner src host 10.5.5.2 or udp dst port 9000")
	s := newSender(t, l)
	s.send(300)
	log := r.stop(syscall.SIGINT)
	if c, received, dropped := counters(t, log); c != 800 || received != c || dropped != 0 {
		t.Errorf("captured %d, received %d, dropped %d; want 100 of each eth1, 300 of each vxlan0", c, received, dropped)
	}
	out, err := exec.Command("tshark", "-nr", file, "-T", "fields", "-e", "frame.interface_name").Output()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int{l.A + "/eth1": 100, l.B + "/eth1": 100, l.A + "/vxlan0": 300, l.B + "/vxlan0": 300} {
		if got := len(regexp.MustCompile("(?m)^"+regexp.QuoteMeta(name)+"$").FindAll(out, -1)); got != want {
			t.Errorf("%d packets of %s, want %d", got, name, want)
		}
	}
}

// TestEngineUnprivileged: who may not use tcx is told what to do.
func TestEngineUnprivileged(t *testing.T) {
	l := newLab(t)
	for _, without := range []string{"-bpf,-sys_admin", "-net_admin,-sys_admin", "-net_raw", "-perfmon,-sys_admin"} {
		out, err := l.Command(t.Context(), l.A, "setpriv", "--bounding-set", without, "tundump", "-i", "eth1", "--engine", "tcx", "--duration", "1s", "inner host 10.5.5.5").CombinedOutput()
		want := regexp.MustCompile(`^tundump: .*to capture at tcx needs Linux 6\.6 and the capabilities CAP_BPF, CAP_PERFMON, CAP_NET_ADMIN and CAP_NET_RAW: .* \(leave --engine out, and packet sockets are used\)\n$`)
		if err == nil || !want.Match(out) {
			t.Errorf("without %s: %v\n%s", without, err, out)
		}
	}
}
