package filter

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/tundump/tundump/filter/header"
	"github.com/tundump/tundump/testdata/oracle"
	"github.com/tundump/tundump/testdata/random"
)

// TestLanguage compares with tcpdump on generated expressions of all productions and
// generated packets of all kinds, for all link types.
func TestLanguage(t *testing.T) {
	made := map[string]int{}
	compared, matched := 0, 0
	for _, link := range random.Links() {
		f := testFile(t, link, 30, 400)
		g := random.New(40 + uint64(link))
		n := 40
		if link == random.Ethernet {
			n = 240
		}
		var texts []string
		for range random.Rounds(n) {
			texts = append(texts, g.Language(link, 1+g.IntN(7)))
		}
		for _, selected := range f.compare(t, texts) {
			compared += len(f.packets)
			matched += selected
		}
		for name, n := range g.Made {
			made[name] += n
		}
	}
	for _, name := range random.LanguageNames() {
		if made[name] == 0 {
			t.Errorf("never generated: %q", name)
		}
	}
	if matched < compared/20 || matched > compared*19/20 {
		t.Errorf("%d of %d matched: the test says little", matched, compared)
	}
	t.Logf("%d comparisons, %d matches", compared, matched)
}

// TestFrames checks that the packets of the other tests have all headers on all link types.
func TestFrames(t *testing.T) {
	want := map[uint32][]string{
		random.Raw: {"ip", "ip6", "anything"}, random.IPv4: {"ip", "anything"}, random.IPv6: {"ip6", "anything"},
	}
	all := []string{"ip", "ip6", "arp", "rarp", "decnet", "mopdl", "moprc", "lat", "sca", "atalk", "aarp", "ipx", "unknown type", "pppoed", "pppoes", "mpls", "vlan",
		"stp", "iso", "netbeui", "novell", "snap", "llc"}
	for _, link := range random.Links() {
		g := random.New(50)
		cuts := map[int]bool{}
		for range 3000 {
			cuts[len(g.Frame(link))] = true
		}
		if want[link] == nil {
			want[link] = all
		}
		for _, name := range want[link] {
			if g.Made[name+" on link type "+fmt.Sprint(link)] == 0 {
				t.Errorf("%s: no %s", linkName(link), name)
			}
		}
		names := []string{"cut frame", "tcp flags", "ah frame", "any protocol", "vxlan frame", "geneve frame"}
		if link != random.IPv6 {
			names = append(names, "icmp type", "ip group")
		}
		if link != random.IPv4 {
			names = append(names, "icmp6 type", "ip6 group")
		}
		for _, name := range names {
			if g.Made[name] == 0 {
				t.Errorf("%s: no %s", linkName(link), name)
			}
		}
		for n := range 60 {
			if !cuts[n] {
				t.Errorf("%s: no packet has %d bytes", linkName(link), n)
			}
		}
	}
}

// captured are packets of a capture file, by link type.
func captured(t *testing.T, name string) map[uint32][][]byte {
	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	all := map[uint32][][]byte{}
	var src gopacket.PacketDataSource
	var link func(gopacket.CaptureInfo) layers.LinkType
	if filepath.Ext(name) == ".pcapng" {
		r, err := pcapgo.NewNgReader(file, pcapgo.NgReaderOptions{WantMixedLinkType: true})
		if err != nil {
			t.Fatal(err)
		}
		src = r
		link = func(ci gopacket.CaptureInfo) layers.LinkType { return ci.AncillaryData[0].(layers.LinkType) }
	} else {
		r, err := pcapgo.NewReader(file)
		if err != nil {
			t.Fatal(err)
		}
		src = r
		link = func(gopacket.CaptureInfo) layers.LinkType { return r.LinkType() }
	}
	for {
		data, ci, err := src.ReadPacketData()
		if err != nil {
			return all
		}
		l := uint32(link(ci))
		all[l] = append(all[l], data)
	}
}

// TestCaptures compares with tcpdump on captures, made ones and some of real tunnels.
func TestCaptures(t *testing.T) {
	expressions := table(t, "testdata/primitives.txt")
	for _, dir := range []string{"../testdata", "../../shared/pcaps"} {
		files, err := filepath.Glob(filepath.Join(dir, "*.pcap*"))
		if err != nil {
			t.Fatal(err)
		}
		if len(files) == 0 {
			t.Logf("there are no captures in %s: put some of real tunnels there", dir)
		}
		for _, file := range files {
			t.Run(filepath.Base(file), func(t *testing.T) {
				for link, packets := range captured(t, file) {
					i := slices.Index(random.Links(), link)
					if i < 0 {
						t.Fatalf("link type %d", link)
					}
					f := tested{opt: testOptions(), packets: packets}
					f.opt.LinkType, f.opt.Names, f.opt.Origin = header.LinkType(link), oracle.Names{}, OriginFile
					for _, p := range packets {
						f.lengths = append(f.lengths, len(p))
					}
					f.file = oracle.Write(t, layers.LinkType(link), f.packets, f.lengths)
					var texts []string
					for _, e := range expressions {
						if e.says[i] == '+' && one(40, link, file+e.text) {
							texts = append(texts, e.text)
						}
					}
					f.compare(t, texts)
				}
			})
		}
	}
}
