package stack_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/gopacket/gopacket/layers"

	"github.com/tundump/tundump/capture"
	"github.com/tundump/tundump/filter"
	"github.com/tundump/tundump/filter/header"
	"github.com/tundump/tundump/filter/ir"
	"github.com/tundump/tundump/filter/stack"
	"github.com/tundump/tundump/testdata/oracle"
)

// TestParse checks where layers start, in bytes from the start of the frame, and
// on which level.
func TestParse(t *testing.T) {
	for text, want := range map[string]string{
		"ether":                        "0@0",
		"vlan":                         "0@0 14@0",
		"ip":                           "0@0 14@0",
		"ether/ip":                     "0@0 14@0",
		"arp":                          "0@0 14@0",
		"vlan/qinq/ip6/tcp":            "0@0 14@0 18@0 22@0 62@0",
		"ip,ihl=15/tcp":                "0@0 14@0 74@0",
		"ip/ip":                        "0@0 14@0 34@0 34@1",
		"ip/ip6/ip/ip6/icmp6":          "0@0 14@0 34@0 34@1 74@1 74@2 94@2 94@3 134@3",
		"ip6,ext=12288/udp":            "0@0 14@0 12342@0",
		"ip,ext=24/icmp":               "0@0 14@0 58@0",
		"ip,ihl=6,ext=24/icmp6":        "0@0 14@0 62@0", // AH does not tell it from IPv6
		"ip,ext=24,ihl=6/sctp":         "0@0 14@0 62@0",
		"ip/gre/erspan1/ether/ip":      "0@0 14@0 34@0 38@0 38@1 52@1",
		"ip/gre,seq,key/erspan2/ether": "0@0 14@0 34@0 46@0 54@1",
		"ip6/udp/geneve,opts=252/ip":   "0@0 14@0 54@0 62@0 322@1",

		"mpls/mpls/ip":                               "0@0 14@0 18@0 22@0",
		"vlan/pppoe/ip6/udp":                         "0@0 14@0 18@0 26@0 66@0",
		"vlan/pbb/ether/vlan/ip":                     "0@0 14@0 18@0 22@1 36@1 40@1",
		"mpls/pw/ether/ip":                           "0@0 14@0 18@0 22@1 36@1",
		"mpls/ether/arp":                             "0@0 14@0 18@0 18@1 32@1",
		"nsh,context=16/ether/ip":                    "0@0 14@0 38@1 52@1",
		"ip/mpls/ip":                                 "0@0 14@0 34@0 34@1 38@1",
		"ip6/udp/mpls/mpls/ip6":                      "0@0 14@0 54@0 62@0 62@1 66@1 70@1",
		"ip/gre,key/mpls/ip":                         "0@0 14@0 34@0 42@1 46@1",
		"ip/udp/gpe/nsh,context=16/ip":               "0@0 14@0 34@0 42@0 50@0 74@1",
		"ip/udp/gtp/ip":                              "0@0 14@0 34@0 42@0 50@1",
		"ip/udp/gtp,seq/ip6":                         "0@0 14@0 34@0 42@0 54@1",
		"ip/udp/gtp,ext=8/ip":                        "0@0 14@0 34@0 42@0 62@1",
		"ip/udp/gtp,seq,npdu,ext=0/ip":               "0@0 14@0 34@0 42@0 54@1",
		"ip/gre,seq/erspan3/ether":                   "0@0 14@0 34@0 42@0 54@1",
		"ip/gre,seq/erspan3,platform/ip":             "0@0 14@0 34@0 42@0 62@1",
		"ip/gre/wccp/ip":                             "0@0 14@0 34@0 38@0 42@1",
		"ip/pptp,seq,ack/hdlc/ppp/ip":                "0@0 14@0 34@0 50@0 52@0 54@1",
		"ip/pptp,seq/ppp1/ip6":                       "0@0 14@0 34@0 46@0 47@1",
		"ip/etherip/ether/ip":                        "0@0 14@0 34@0 36@1 50@1",
		"ip/l2tp/l2spec/ether":                       "0@0 14@0 34@0 38@0 42@1",
		"ip/l2tp/hdlc/ppp/ip":                        "0@0 14@0 34@0 38@0 40@0 42@1",
		"ip/udp/teredo/ip6":                          "0@0 14@0 34@0 42@0 42@1",
		"ip/udp/teredo/auth,id=3,value=4/origin/ip6": "0@0 14@0 34@0 42@0 42@0 62@0 70@1",
		"ip/udp/gue,opts=8/gre/ip":                   "0@0 14@0 34@0 42@0 54@0 58@1",
		"ip/udp/gre,key/ether":                       "0@0 14@0 34@0 42@0 50@1", // FOU
		"ip/udp/ip":                                  "0@0 14@0 34@0 42@0 42@1",
	} {
		s := parse(t, text)
		var got []string
		for _, l := range s.Layers {
			got = append(got, fmt.Sprintf("%d@%d", l.Off, l.Level))
		}
		if got := strings.Join(got, " "); got != want {
			t.Errorf("%s: layers at %s, want %s", text, got, want)
		}
		if s.String() != text {
			t.Errorf("%s has become %s", text, s)
		}
	}
}

// TestParts checks what the lengths are made of.
func TestParts(t *testing.T) {
	s := parse(t, "ip,ihl=6,ext=12/gre,csum,key,seq/ip6/udp/geneve,opts=8")
	var got []string
	for _, l := range s.Layers[1:] {
		got = append(got, fmt.Sprint(l.Bytes(), l.Parts))
	}
	want := "36 [{ip 20} {options 4} {extensions 12}] 16 [{gre 4} {csum 4} {key 4} {seq 4}] 40 [{ip6 40}] 8 [{udp 8}] 16 [{geneve 8} {options 8}]"
	if got := strings.Join(got, " "); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

// TestFields checks fields whose place depends on options, or which only they bring.
func TestFields(t *testing.T) {
	gre := parse(t, "ip/gre,csum,seq").Layers[2]
	if f, ok := gre.Field("seq"); !ok || f.Off != 14+20+8 || f.Size != 4 {
		t.Errorf("seq is %+v, %v", f, ok)
	}
	if f, ok := gre.Field("key"); ok {
		t.Errorf("there is a key: %+v", f)
	}
	if f, ok := parse(t, "ip/udp/vxlan").Layers[3].Field("vni"); !ok || f.Off != 14+20+8+4 || f.Mask != 0xffffff00 {
		t.Errorf("vni is %+v, %v", f, ok)
	}
}

func TestErrors(t *testing.T) {
	const udpCarries = "mpls, ip, ip6, gre, pptp, vxlan, gpe, geneve, gtp, teredo or gue can stand here"
	for _, test := range []struct{ text, place, msg string }{
		{"tcp/ip", "ip", "ip cannot follow tcp: nothing can"},
		{"gre,key=7/vxlan", "vxlan", "vxlan cannot follow gre: ether, mpls, ip, ip6, erspan1, erspan2, erspan3, wccp or nsh can stand here"},
		{"gre/ip", "gre", "a stack cannot start with gre: ether, vlan, qinq, mpls, pppoe, ip, ip6, arp, nsh or pbb can stand here"},
		{"ip,ihl=3", "ihl=3", `option "ihl=3" of ip: 5 to 15 can stand here`},
		{"ip,ihl=16", "ihl=16", `option "ihl=16" of ip: 5 to 15 can stand here`},
		{"ip,ihl", "ihl", `option "ihl" of ip: 5 to 15 can stand here`},
		{"ip,ihl=+6", "ihl=+6", `option "ihl=+6" of ip: 5 to 15 can stand here`},
		{"ip,ihl=", "ihl=", `option "ihl=" of ip: 5 to 15 can stand here`},
		{"ip6,ext=6", "ext=6", `option "ext=6" of ip6: 8 to 12288 in steps of 4 can stand here`},
		{"ip/udp/geneve,opts=5/ether", "opts=5", `option "opts=5" of geneve: 0 to 252 in steps of 4 can stand here`},
		{"ip/gre,key=7/ip", "key=7", "option key of gre has no value: it says that the field is there"},
		{"ip/gre,key,seq,key", "key", "option key of gre is given twice"},
		{"ip/gre,crc", "crc", `unknown option "crc" of gre: csum, key or seq can stand here`},
		{"ip/tcp,mss=5", "mss=5", `unknown option "mss=5" of tcp: nothing can`},
		{"ip,", "", `unknown option "" of ip: ihl=N or ext=BYTES can stand here`},
		{"ip/gre/erspan2", "erspan2", "erspan2 cannot follow gre: ether, mpls, ip, ip6, erspan1, erspan3, wccp or nsh can stand here; it can follow gre,seq"},
		{"ip/gre,seq/erspan1", "erspan1", "erspan1 cannot follow gre,seq: ether, mpls, ip, ip6, erspan2, erspan3, wccp or nsh can stand here; it can follow gre"},
		{"ip/icmp6", "icmp6", "icmp6 cannot follow ip: mpls, ip, ip6, tcp, udp, sctp, icmp, gre, pptp, etherip or l2tp can stand here"},
		{"ip/quic", "quic", `unknown layer "quic": mpls, ip, ip6, tcp, udp, sctp, icmp, gre, pptp, etherip or l2tp can stand here`},
		{"", "", "a layer is missing: ether, vlan, qinq, mpls, pppoe, ip, ip6, arp, nsh or pbb can stand here"},
		{"ip//tcp", "", "a layer is missing: mpls, ip, ip6, tcp, udp, sctp, icmp, gre, pptp, etherip or l2tp can stand here"},
		{"ip/", "", "a layer is missing: mpls, ip, ip6, tcp, udp, sctp, icmp, gre, pptp, etherip or l2tp can stand here"},
		{"ip6/dstopts/gre", "dstopts", "dstopts is no layer: extension headers are an option of the layer in front, ip6,ext=BYTES"},
		{"ip/pptp/ppp", "ppp", "ppp cannot follow pptp: nothing can; it can follow pptp,seq"}, // without a sequence number there is no payload
		{"ip/gtp", "gtp", "gtp cannot follow ip: mpls, ip, ip6, tcp, udp, sctp, icmp, gre, pptp, etherip or l2tp can stand here"},
		{"ip/udp/gtp/ether", "ether", "ether cannot follow gtp: ip or ip6 can stand here"},
		{"ip/udp/gtp,seq,ext=8/mpls", "mpls", "mpls cannot follow gtp: ip or ip6 can stand here"},
		{"ip/udp/gtp,ext=6", "ext=6", `option "ext=6" of gtp: 0 to 3060 in steps of 4 can stand here`},
		{"ip/udp/gtp,seq=1", "seq=1", "option seq of gtp has no value: it says that the field is there"},
		{"ip/udp/gtpext", "gtpext", `unknown layer "gtpext": ` + udpCarries},
		{"ip/udp/gpe/arp", "arp", "arp cannot follow gpe: ether, mpls, ip, ip6 or nsh can stand here"},
		{"nsh,context=246/ip", "context=246", `option "context=246" of nsh: 0 to 244 in steps of 4 can stand here`},
		{"mpls/arp", "arp", "arp cannot follow mpls: ether, mpls, ip, ip6 or pw can stand here"},
		{"mpls/mpls/mpls/mpls/mpls/ip", "mpls", "mpls is tag number 5: at most 4 can stand in front of a network header"},
		{"pppoe/ether", "ether", "ether cannot follow pppoe: ip or ip6 can stand here"},
		{"ip/l2tp/ip", "ip", "ip cannot follow l2tp: ether, l2spec or hdlc can stand here"},
		{"ip/etherip/ip", "ip", "ip cannot follow etherip: ether can stand here"},
		{"ip/udp/teredo/ip", "ip", "ip cannot follow teredo: ip6, auth or origin can stand here"},
		{"pbb/ip", "ip", "ip cannot follow pbb: ether can stand here"},
		{"vlan/vlan/vlan/vlan/vlan", "vlan", "vlan is tag number 5: at most 4 can stand in front of a network header"},
		{strings.Repeat("ip/", 10000) + "ip", "ip", "ip is inside of more than 8 tunnels"},
		{strings.Repeat("x", 10000), strings.Repeat("x", 10000), `unknown layer "` + strings.Repeat("x", 40) + `...": ether, vlan, qinq, mpls, pppoe, ip, ip6, arp, nsh or pbb can stand here`},
	} {
		s, err := stack.Parse(table(), test.text)
		var wrong *stack.Error
		if !errors.As(err, &wrong) {
			t.Errorf("%.40q: %v, %v", test.text, s, err)
			continue
		}
		if wrong.Msg != test.msg || wrong.Text != test.text || wrong.Text[wrong.Pos:wrong.End] != test.place {
			t.Errorf("%.40q: %q at %d:%d\nwant %q at %q", test.text, wrong.Msg, wrong.Pos, wrong.End, test.msg, test.place)
		}
	}
	_, err := stack.Parse(table(), "größe")
	if err == nil || !strings.HasSuffix(err.Error(), ", at column 1") {
		t.Error(err)
	}
}

// TestConditions checks conditions that a stack cannot meet, and numbers that are all
// there.
func TestConditions(t *testing.T) {
	host := func(a string) stack.Conditions {
		return stack.Conditions{Hosts: []netip.Addr{netip.MustParseAddr(a)}}
	}
	network := func(p string) stack.Conditions {
		return stack.Conditions{Nets: []netip.Prefix{netip.MustParsePrefix(p)}}
	}
	for _, test := range []struct {
		text string
		c    stack.Conditions
		want string
	}{
		{"ip/gre/ip", host("192.168.0.1"), "ip proto 47 and (ip[36:4] = 0xc0a80001 or ip[40:4] = 0xc0a80001)"},
		{"ip", host("0.0.0.0"), "ip and (ip[12:4] = 0x00000000 or ip[16:4] = 0x00000000)"},
		{"ip", network("10.0.0.0/8"), "ip and (ip[12] = 0x0a or ip[16] = 0x0a)"},
		{"ip", network("10.8.0.0/13"), "ip and (ip[12:4] & 0xfff80000 = 0x0a080000 or ip[16:4] & 0xfff80000 = 0x0a080000)"},
		{"ip", network("10.8.0.0/16"), "ip and (ip[12:2] = 0x0a08 or ip[16:2] = 0x0a08)"},
		{"ip", network("0.0.0.0/0"), "ip"},
		{"ip6", network("2001:db8::/48"), "ip6 and ((ip6[8:4] = 0x20010db8 and ip6[12:2] = 0x0000) or (ip6[24:4] = 0x20010db8 and ip6[28:2] = 0x0000))"},
		{"ip6/gre/ip", stack.Conditions{Protos: []uint8{6}}, "ip6[6] = 47 and ip6[53] = 6"},
		{"vlan/vlan/arp", host("10.0.0.1"), "vlan and vlan and arp and (arp[14:4] = 0x0a000001 or arp[24:4] = 0x0a000001)"},
		{"ip", stack.Conditions{MACs: [][6]byte{{2, 0, 0, 0, 0, 1}}},
			"ip and ((ether[6:4] = 0x02000000 and ether[10:2] = 0x0001) or (ether[0:4] = 0x02000000 and ether[4:2] = 0x0001))"},
		{"ip/udp/vxlan", stack.Conditions{IDs: id("vni", 2000), Ports: []uint16{4789}},
			"ip and udp dst port (4789 or 8472) and ip[32:4] & 0xffffff00 = 0x0007d000 and ip[6:2] & 0x1fff = 0 and ip[9] = 17 and (ip[20:2] = 4789 or ip[22:2] = 4789)"},
		{"ip/gre,key", stack.Conditions{IDs: id("key", 7), Exact: true},
			"ip and ip[0] = 0x45 and ip[6:2] & 0x1fff = 0 and ip[9] = 47 and ip[20:2] & 0xf007 = 0x2000 and ip[24:4] = 0x00000007"},
		{"ip/gre", stack.Conditions{Exact: true}, "ip and ip[0] = 0x45 and ip[6:2] & 0x1fff = 0 and ip[9] = 47 and ip[20:2] & 0x4007 = 0"},

		{"ip/gre/ip", host("::1"), "error: the innermost level of ip/gre/ip has no address like ::1"},
		{"ip/gre/ether", host("10.0.0.1"), "error: the innermost level of ip/gre/ether has no address like 10.0.0.1"},
		{"ip/gre/ip", network("::/0"), "error: the innermost level of ip/gre/ip has no address in ::/0"},
		{"ip/gre/ip", stack.Conditions{MACs: [][6]byte{{2, 0, 0, 0, 0, 1}}}, "error: the innermost level of ip/gre/ip has no Ethernet address like 02:00:00:00:00:01"},
		{"ip/gre/ip", stack.Conditions{IDs: id("key", 7)}, "error: no layer of ip/gre/ip has a key"},
		{"ip/gre,key/ip", stack.Conditions{IDs: id("vni", 7)}, "error: no layer of ip/gre,key/ip has a vni"},
		{"ip/udp/vxlan", stack.Conditions{IDs: id("vni", 1<<24)}, "error: vni 16777216 is too large for vxlan: at most 16777215"},
		{"arp", stack.Conditions{Protos: []uint8{6}}, "error: the innermost level of arp has no IP header, and so no protocol"},
		{"ip/icmp", stack.Conditions{Ports: []uint16{80}}, "error: the innermost level of ip/icmp has no ports"},
		{"ip/gre", stack.Conditions{Ports: []uint16{80}}, "error: the innermost level of ip/gre has no ports"},
		{"ip6,ext=40/gre", stack.Conditions{Exact: true}, "error: ip6: an expression can tell at most 32 bytes of extension headers by constant offsets"},
	} {
		got, err := parse(t, test.text).Expression(test.c)
		if err != nil {
			got = "error: " + err.Error()
		}
		if got != test.want {
			t.Errorf("%s: %s\nwant %s", test.text, got, test.want)
		}
	}
}

// id is a condition on an identifier.
func id(name string, value uint32) []stack.Identifier {
	return []stack.Identifier{{Name: name, Value: value}}
}

// each calls f for the packets of a capture file.
func each(t *testing.T, file string, f func(n int, link header.LinkType, data []byte)) {
	t.Helper()
	in, err := capture.OpenFile(file)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	for n := 0; ; n++ {
		p, err := in.Next(context.Background())
		if err == io.EOF {
			return
		} else if err != nil {
			t.Fatal(err)
		}
		f(n, header.LinkType(in.Interfaces()[p.Interface].LinkType), p.Data)
	}
}

// TestCaptures compares, on captures of real kernel tunnels, the expressions for a host with
// what "inner host" selects.
func TestCaptures(t *testing.T) {
	dir := filepath.Join("..", "..", "..", "shared", "pcaps")
	if _, err := os.Stat(dir); err != nil {
		t.Skip("no captures of real tunnels: put them into shared/pcaps next to the checkout")
	}
	for _, test := range []struct{ file, stack, host string }{
		{"gretap-key", "ip/gre,key/ether/ip", "10.1.0.1"},
		{"gretap-csum-key-seq", "ip/gre,csum,key,seq/ether/ip", "10.3.0.1"},
		{"gre-l3-key", "ip/gre,key/ip", "10.4.0.1"},
		{"ip6gretap-key", "ip6,ext=8/gre,key/ether/ip", "10.5.0.1"},
		{"geneve", "ip/udp/geneve/ether/ip", "10.8.0.1"},
		{"vxlan", "ip/udp/vxlan/ether/ip", "10.9.0.1"},
		{"ipip", "ip/ip", "10.10.0.1"},
		{"vlan-gretap-key", "vlan/ip/gre,key/ether/ip", "10.13.0.1"},
		{"erspan2", "ip/gre,seq/erspan2/ether/ip", "10.15.0.1"},
	} {
		t.Run(test.file, func(t *testing.T) {
			tb := table()
			prog, err := filter.Compile("inner host "+test.host, filter.Options{LinkType: header.LinkEthernet, Table: tb, Depth: 3})
			if err != nil {
				t.Fatal(err)
			}
			arp := strings.TrimSuffix(test.stack, "ip") + "arp"
			var packets [][]byte
			want := map[string]map[int]bool{test.stack: {}, arp: {}}
			each(t, filepath.Join(dir, test.file+".pcap"), func(n int, link header.LinkType, data []byte) {
				packets = append(packets, append([]byte(nil), data...))
				if !prog.Match(data, ir.Meta{Len: uint32(len(data))}) {
					return
				}
				got := stack.Of(tb, tb.Walk(nil, link, data, header.MaxDepth), data)
				for text := range want {
					if got == text || strings.HasPrefix(got, text+"/") {
						want[text][n] = true
						return
					}
				}
				t.Errorf("packet %d with the stack %s has the host", n+1, got)
			})
			file := oracle.Write(t, layers.LinkTypeEthernet, packets, nil)
			for text, selected := range want {
				s, err := stack.Parse(tb, text)
				if err != nil { // no ARP right in GRE
					continue
				}
				if len(selected) == 0 {
					t.Errorf("no packet has the stack %s and the host", text)
				}
				for _, exact := range []bool{false, true} {
					c := stack.Conditions{Hosts: []netip.Addr{netip.MustParseAddr(test.host)}, Exact: exact}
					expression, err := s.Expression(c)
					if err != nil {
						t.Fatal(err)
					}
					if got := oracle.Tcpdump(t, file, expression); fmt.Sprint(got) != fmt.Sprint(selected) {
						t.Errorf("%s\nselects %v\nwant    %v", expression, got, selected)
					}
				}
			}
		})
	}
}

// captures returns the files of testdata.
func captures(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "..", "testdata", "*.pcap*"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	return append(files, filepath.Join("..", "..", "testdata", "captures", "tunnels.pcap"))
}

// TestTunnels takes from the captures a packet of every stack of tunnels, gives the expression
// for its stack and its innermost source to tcpdump, which must select it, and asks
// tshark whether what is selected has that address.
func TestTunnels(t *testing.T) {
	want := map[string]bool{ // layers that must have been in a stack
		"vlan": true, "qinq": true, "mpls": true, "pppoe": true, "pbb": true, "nsh": true, "pw": true, "gre": true, "erspan1": true, "erspan2": true,
		"erspan3": true, "wccp": true, "pptp": true, "hdlc": true, "ppp": true, "ppp1": true, "vxlan": true, "gpe": true, "geneve": true,
		"gtp": true, "etherip": true, "l2tp": true, "l2spec": true, "teredo": true, "auth": true, "origin": true, "arp": true,
	}
	tb := header.New(header.DefaultPorts())
	done := map[string]bool{}
	judged := 0
	for _, file := range captures(t) {
		packets := map[int]string{} // stacks that are new, by packets
		hosts := map[int]netip.Addr{}
		var data [][]byte
		each(t, file, func(n int, link header.LinkType, p []byte) {
			data = append(data, slices.Clone(p))
			walked := tb.Walk(nil, link, p, header.MaxDepth)
			i := slices.IndexFunc(walked, func(l header.Layer) bool { return l.Class == header.Network && l.Level == walked[len(walked)-1].Level })
			if link != header.LinkEthernet || i < 0 || walked[i].Level == 0 && !slices.ContainsFunc(walked, func(l header.Layer) bool { return l.ID == header.PPPoE || l.ID == header.MPLS }) {
				return
			}
			for i+1 < len(walked) && walked[i+1].Class == header.Extension {
				i++
			}
			text := stack.Of(tb, walked[:i+1], p)
			if done[text] {
				return
			}
			done[text] = true
			for _, l := range slices.Backward(walked[:i+1]) {
				for _, name := range []string{"src", "spa"} {
					f, ok := l.Field(name)
					if !ok || l.Class != header.Network || hosts[n].IsValid() {
						continue
					}
					if b, there := l.Raw(p, f); there {
						hosts[n], _ = netip.AddrFromSlice(b)
						packets[n] = text
					}
				}
			}
		})
		if len(packets) == 0 {
			continue
		}
		theirs := tsharkAddresses(t, file)
		numbered := oracle.Write(t, layers.LinkTypeEthernet, data, nil)
		type question struct {
			n     int
			exact bool
		}
		var asked []question
		var questions []oracle.Question
		for n, text := range packets {
			for _, name := range strings.Split(text, "/") {
				name, _, _ = strings.Cut(name, ",")
				delete(want, name)
			}
			for _, exact := range []bool{false, true} {
				expression, err := parse(t, text).Expression(stack.Conditions{Hosts: []netip.Addr{hosts[n]}, Exact: exact})
				if err != nil {
					if strings.Contains(err.Error(), "at most 32 bytes") {
						continue
					}
					t.Fatalf("%s: %v", text, err)
				}
				asked = append(asked, question{n, exact})
				questions = append(questions, oracle.Question{File: numbered, Expression: expression})
			}
		}
		for i, answer := range oracle.Ask(t, questions) {
			n, expression := asked[i].n, questions[i].Expression
			if answer.Refused != "" || !answer.Selected[n] {
				t.Errorf("%s, packet %d, %s: %s does not select it: %s", filepath.Base(file), n+1, packets[n], expression, answer.Refused)
			}
			for m := range answer.Selected {
				if judged++; asked[i].exact && seen(packets[n]) && !slices.Contains(theirs[m], hosts[n].String()) {
					t.Errorf("%s, packet %d: %s selects it, but tshark has only %v", filepath.Base(file), m+1, expression, theirs[m])
				}
			}
		}
	}
	t.Logf("%d stacks, %d packets selected", len(done), judged)
	if len(want) > 0 {
		t.Errorf("never seen: %v", want)
	}
	if judged < 300 {
		t.Errorf("only %d packets were selected", judged)
	}
}

// seen reports whether tshark looks into a stack: a pseudowire's frame may have an address that
// it takes for a control word, it has to be told what an L2TPv3 session carries, and NSH with metadata of type 1 that is too
// short it takes for longer than it is.
func seen(text string) bool {
	return !strings.Contains(text, "l2tp") && !strings.Contains(text, "nsh,context=12/") && !strings.Contains(text, "mpls/pw") && !strings.Contains(text, "mpls/ether")
}

// tsharkAddresses returns the addresses that tshark sees in each packet of a file.
func tsharkAddresses(t *testing.T, file string) (all [][]string) {
	t.Helper()
	out, err := exec.Command("tshark", "-n", "-r", file, "-o", "ip.defragment:FALSE", "-o", "ipv6.defragment:FALSE", "-d", "udp.port==8472,vxlan",
		"-T", "fields", "-e", "ip.addr", "-e", "ipv6.addr", "-e", "arp.src.proto_ipv4", "-e", "arp.dst.proto_ipv4").Output()
	if err != nil {
		t.Fatalf("tshark: %v", err)
	}
	for line := range strings.Lines(string(out)) {
		all = append(all, strings.FieldsFunc(line, func(r rune) bool { return strings.ContainsRune("\t,\n", r) }))
	}
	return all
}

// TestOf checks that every packet of the test captures has a stack, with the layers
// where the walk found them.
func TestOf(t *testing.T) {
	tb := table()
	for _, file := range captures(t) {
		each(t, file, func(n int, link header.LinkType, data []byte) {
			walked := tb.Walk(nil, link, data, header.MaxDepth)
			text := stack.Of(tb, walked, data)
			cooked := len(walked) > 0 && slices.Contains([]header.ID{header.SLL, header.SLL2, header.Null, header.Frame}, walked[0].ID)
			if text == "" {
				if len(walked) > 1 || len(walked) == 1 && !cooked {
					t.Errorf("%s, packet %d has no stack", filepath.Base(file), n+1)
				}
				return
			}
			s := parse(t, text)
			first := 0
			if cooked {
				first = 1
			}
			// Ethernet is in front in any case.
			shift := s.Layers[0].Bytes()
			if walked[0].ID == header.Ether {
				shift = 0
			} else if first > 0 {
				shift -= int(walked[0].End())
			}
			off := map[int]header.ID{}
			for _, l := range s.Layers {
				off[l.Off] = l.ID // the last of those at one place has bytes
			}
			for _, l := range walked[first:] {
				if l.Class == header.Extension || l.Bytes == 0 || strings.HasPrefix(l.Name, "gtp") && l.Class == header.Part { // options
					continue
				}
				if got := off[int(l.Off)+shift]; got != l.ID {
					t.Errorf("%s, packet %d, %s: %s is at %d, but not in the stack", filepath.Base(file), n+1, s, l.Name, l.Off)
				}
			}
		})
	}
}

// FuzzParse checks that a stack is what it is written as, and that an error is
// within the text.
func FuzzParse(f *testing.F) {
	for _, text := range []string{
		"ip/gre,key/ether/ip", "vlan/qinq/ip6,ext=8/udp/geneve,opts=8/ip,ihl=6,ext=24/icmp6", "ether/arp", "ip/gre,seq/erspan2/ether",
		"tcp/ip", "gre,key=7/vxlan", "ip,ihl=3", "ip/udp/geneve,opts=5", "ip//ip", ",", "größe/ip",
	} {
		f.Add(text)
	}
	tb := table()
	f.Fuzz(func(t *testing.T, text string) {
		s, err := stack.Parse(tb, text)
		var wrong *stack.Error
		if errors.As(err, &wrong) {
			if wrong.Pos < 0 || wrong.End < wrong.Pos || wrong.End > len(text) || wrong.Column() > utf8.RuneCountInString(text)+1 || strings.Contains(wrong.Error(), "\n") {
				t.Fatalf("%q: %+v", text, wrong)
			}
			return
		}
		if err != nil || s.String() != text {
			t.Fatalf("%q has become %v, %v", text, s, err)
		}
		end := 0
		for _, l := range s.Layers {
			if l.Off != end {
				t.Fatalf("%q: %s starts at %d, want %d", text, l.Name, l.Off, end)
			}
			end += l.Bytes()
			for _, field := range l.Fields() {
				if field.Off < l.Off || field.Off+field.Size > end {
					t.Fatalf("%q: %s.%s is at %d, the header from %d to %d", text, l.Name, field.Name, field.Off, l.Off, end)
				}
			}
		}
		if _, err := s.Expression(stack.Conditions{Exact: true}); err != nil && !strings.Contains(err.Error(), "at most 32 bytes") {
			t.Fatal(err)
		}
	})
}
