package main

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/pcapgo"
)

// record is a packet of a capture file.
type record struct {
	Time time.Time
	Len  int
	Data []byte
}

// readCapture reads a capture file with gopacket.
func readCapture(t *testing.T, name string) (all []record) {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var src gopacket.PacketDataSource
	if filepath.Ext(name) == ".pcapng" {
		src, err = pcapgo.NewNgReader(f, pcapgo.NgReaderOptions{WantMixedLinkType: true})
	} else {
		src, err = pcapgo.NewReader(f)
	}
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	for {
		data, ci, err := src.ReadPacketData()
		if err != nil {
			break // the number of packets is checked by the caller
		}
		all = append(all, record{ci.Timestamp.UTC(), ci.Length, data})
	}
	return all
}

// shared is a folder of captures of real kernel tunnels, beside the repository.
const shared = "../../../shared/pcaps"

// captures returns the capture files of the tests, and those of shared if it is there.
func captures(t *testing.T) []string {
	var all []string
	for _, dir := range []string{"../../testdata", shared} {
		for _, ext := range []string{"*.pcap", "*.pcapng"} {
			files, err := filepath.Glob(filepath.Join(dir, ext))
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, files...)
		}
	}
	return append(all, "../../testdata/captures/tunnels.pcap")
}

// innerSources asks tshark for the source addresses on tunnel levels 1 to 3 of
// each packet, and returns for each address the numbers, from 0, of its packets.
func innerSources(t *testing.T, file string) map[string][]int {
	t.Helper()
	tshark := exec.Command("tshark", "-n", "-r", file,
		"-o", "ip.defragment:FALSE", "-o", "ipv6.defragment:FALSE", "-o", "tcp.desegment_tcp_streams:FALSE",
		"-d", "udp.port==8472,vxlan", "-T", "fields", "-E", "occurrence=a", "-E", "separator=/t",
		"-e", "frame.protocols", "-e", "ip.src", "-e", "ipv6.src", "-e", "arp.src.proto_ipv4")
	var stderr bytes.Buffer
	tshark.Stderr = &stderr
	out, err := tshark.Output()
	if err != nil {
		t.Fatalf("%v: %v: %s", tshark.Args, err, &stderr)
	}
	found := map[string][]int{}
	for n, line := range strings.Split(strings.TrimSuffix(string(out), "\n"), "\n") {
		words := strings.Split(line, "\t")
		addresses := map[string][]string{}
		for i, protocol := range []string{"ip", "ipv6", "arp"} {
			addresses[protocol] = strings.Split(words[i+1], ",")
		}
		level := 0
		seen := map[string]bool{}
		for _, protocol := range strings.Split(words[0], ":") {
			if protocol == "icmp" || protocol == "icmpv6" {
				break // what it quotes is no level
			}
			list, ok := addresses[protocol]
			if !ok {
				continue
			}
			if level >= 1 && level <= 3 && len(list) > 0 && list[0] != "" && !seen[list[0]] {
				seen[list[0]] = true
				found[list[0]] = append(found[list[0]], n)
			}
			if len(list) > 0 {
				addresses[protocol] = list[1:]
			}
			level++
		}
	}
	return found
}

// apart are packets, by number from 1, whose inner headers tshark shows and a filter
// does not see, or the other way round, on purpose.
var apart = map[string][]int{
	"testdata/gre.pcap":     {74, 75}, // source routing of RFC 1701; version 1, PPTP
	"testdata/vxlan.pcap":   {43, 44}, // without the I flag; 4789 only as the source port
	"testdata/geneve.pcap":  {33, 35}, // version 1; 6081 only as the source port
	"testdata/ipip.pcap":    {40},     // seven extension headers, header.MaxExtensions is six
	"testdata/mixed.pcapng": {23},     // cut within the inner IPv4 header, behind its addresses
	// A pseudowire without control word right behind Ethernet: its frame is level 1, and what is in it;
	// tshark sees the same, but levels are counted here by IP headers, of which it has one.
	"testdata/mpls.pcap": {7},
	"captures/tunnels.pcap": {
		15, 72, 73, // NSH and PBB right behind Ethernet: no outer IP header, by which levels are counted here
		46, 47, 48, // tshark takes the control word of a pseudowire for an Ethernet address
		49,                     // likewise a tunnel without an outer IP header, a pseudowire without control word
		50, 51, 52, 53, 54, 55, // tshark has to be told what an L2TPv3 session carries
	},
	"testdata/services.pcap": {
		// VXLAN-GPE, draft-ietf-nvo3-vxlan-gpe. Without the P flag it is VXLAN, and carries Ethernet: tshark
		// takes the next protocol 0 for unknown. Without the I flag, and in version 1 and 3, it is none for
		// us: tshark passes over both.
		173, 177, 178, 179,
		// NSH right behind Ethernet, RFC 8300: a tunnel without an outer IP header, which is how levels
		// are counted here. In 190, as in 191, the metadata is of type 1, but its length 5 words: tshark
		// takes it for 6, and finds no IP header.
		185, 187, 189, 190, 191, 193, 195, 197, 199, 217,
		// NSH of version 1, and of a length of one word, less than its header: none for us, tshark passes over
		// both. NSH in NSH, which is not walked.
		200, 204, 206,
		// What is at UDP port 6635 is MPLS (RFC 7510), here a label and an IP packet. After the TFTP requests
		// from port 40000 tshark takes all that comes from there for TFTP.
		279,
	},
}

// TestInnerSources compares, for every capture and every inner source address in
// it, what `inner src host ADDRESS` selects with where tshark sees that address.
// Not in short.pcap, which is cut everywhere: tshark shows a field of a header
// of which the rest is missing, a filter does not walk into such a header.
func TestInnerSources(t *testing.T) {
	if _, err := exec.LookPath("tshark"); err != nil {
		t.Skip("needs tshark: run make setup")
	}
	t.Run("shared", func(t *testing.T) {
		if _, err := os.Stat(shared); err != nil {
			t.Skip("there are no captures of real tunnels: put some into ../shared/pcaps, beside the repository")
		}
	})
	for _, file := range captures(t) {
		name := filepath.Base(filepath.Dir(file)) + "/" + filepath.Base(file)
		if name == "testdata/short.pcap" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all := readCapture(t, file)
			if len(all) == 0 {
				t.Fatal("no packets")
			}
			except := func(numbers []string) []string {
				return slices.DeleteFunc(numbers, func(number string) bool {
					n, err := strconv.Atoi(number)
					return err == nil && slices.Contains(apart[name], n)
				})
			}
			for address, numbers := range innerSources(t, file) {
				var want []record
				for _, n := range numbers {
					want = append(want, all[n])
				}
				out := filepath.Join(t.TempDir(), "out.pcapng")
				expression := "inner src host " + address
				if _, err := netip.ParseAddr(address); err != nil {
					t.Fatalf("tshark names a source %q", address)
				}
				if msg, err := exec.Command("tundump", "--no-follow-fragments", "-r", file, "-w", out, expression).CombinedOutput(); err != nil {
					t.Fatalf("%s: %v: %s", expression, err, msg)
				}
				if d := cmp.Diff(except(numberIn(all, want)), except(numberIn(all, readCapture(t, out)))); d != "" {
					t.Errorf("%s: numbers of the packets (-tshark +tundump):\n%s", expression, d)
				}
			}
		})
	}
}

// numberIn names packets by their numbers, from 1, in the capture all.
func numberIn(all, some []record) (names []string) {
	n := 0
	for _, r := range some {
		for n < len(all) && !cmp.Equal(all[n], r) {
			n++
		}
		if n == len(all) {
			return append(names, fmt.Sprintf("not in the capture: %v, %d bytes, % x", r.Time, r.Len, r.Data))
		}
		n++
		names = append(names, strconv.Itoa(n))
	}
	return names
}
