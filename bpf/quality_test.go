package bpf

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/tundump/tundump/filter"
	"github.com/tundump/tundump/testdata/oracle"
	"github.com/tundump/tundump/testdata/random"
)

// plainExpressions are such as libpcap compiles as well. protochain is not among them: for it
// libpcap makes loops, which the kernel refuses and ours unrolls.
func plainExpressions() []string {
	es := strings.Split(strings.TrimSpace(`
ip
ip6
arp
rarp
tcp
udp
icmp
icmp6
sctp
ip proto 47
ip6 proto 58
ether proto 0x88cc
ether proto \ip
host 10.0.0.1
src host 10.0.0.1
dst host 10.0.0.1
src and dst host 10.0.0.1
ip host 10.0.0.1
arp host 10.0.0.1
host 2001:db8::1
src host 2001:db8::1
dst host 2001:db8::1
net 10
net 10.1
net 10.1.2.0/24
net 10.1.2.128/25
src net 10.1.0.0 mask 255.255.0.0
dst net 192.168.0.0/16
net 2001:db8::/32
net 2001:db8::/48
net 2001:db8:1:2::/64
src net 2001:db8::/60
ether host 52:54:00:00:00:01
ether src 52:54:00:00:00:01
ether dst 52:54:00:00:00:01
port 80
src port 80
dst port 80
src and dst port 80
tcp port 80
udp port 53
sctp port 2905
tcp src port 80
tcp dst port 80
udp dst port 53
portrange 100-200
src portrange 100-200
tcp portrange 100-200
udp dst portrange 100-200
len > 100
len < 100
greater 500
less 60
not ip
not tcp
not host 10.0.0.1
not port 80
not arp
not (tcp port 80)
ip and tcp
tcp or udp
tcp and port 80
tcp or udp or icmp
tcp or udp or icmp or sctp
not tcp and not udp
tcp and not port 22
host 10.0.0.1 and tcp port 80
host 10.0.0.1 and host 10.0.0.2
host 10.0.0.1 or host 10.0.0.2
host 10.0.0.1 and not host 10.0.0.2
src host 10.0.0.1 and dst host 10.0.0.2
src host 10.0.0.1 and dst port 80
src net 10 and dst net 192.168
ip host 10.0.0.1 and tcp port 80
host 10.0.0.1 and port 80
host 10.0.0.1 and not port 22
host 10.0.0.1 and (port 80 or port 443)
host 10.0.0.1 and not (port 80 or port 443)
tcp port 80 or tcp port 443
tcp port 80 or udp port 53
port 80 or port 443
port 80 or port 443 or port 8080 or port 22
tcp and (port 80 or port 443)
udp and port 53
udp port 53 or udp port 5353
tcp src port 80 or tcp dst port 443
tcp port 80 and host 10.0.0.1
tcp port 80 and not src host 10.0.0.1
tcp port 80 and src net 10.0.0.0/8 and dst net 10.0.0.0/8
(tcp or udp) and port 53
(tcp or udp) and host 10.0.0.1
ip and not tcp
ip and not udp and not tcp
ip6 and tcp port 80
ip6 and udp
ip6 host 2001:db8::1 and tcp port 443
host 2001:db8::1 and port 443
host 2001:db8::1 or host 2001:db8::2
host 10.0.0.1 or host 2001:db8::1
net 10.0.0.0/8 or net 192.168.0.0/16 or net 172.16.0.0/12
not net 10.0.0.0/8 and not net 192.168.0.0/16
src net 10.0.0.0/8 and not dst net 10.0.0.0/8
arp or icmp
arp or (icmp and host 10.0.0.1)
arp host 10.0.0.1 or icmp
arp and ether host 52:54:00:00:00:01
ether host 52:54:00:00:00:01 and ip
ether host 52:54:00:00:00:01 and tcp port 80
ether host 52:54:00:00:00:01 or ether host 52:54:00:00:00:02
ether src 52:54:00:00:00:01 and ether dst 52:54:00:00:00:02
ether host 52:54:00:00:00:01 and not arp
tcp portrange 1-1023
portrange 20-21 or portrange 80-90
host 10.0.0.1 and portrange 6000-6010
len > 100 and tcp
len > 100 and tcp port 80
tcp port 80 and len > 100
less 64 and icmp
host 10.0.0.1 and greater 500
host 10.0.0.1 or 10.0.0.2 or 10.0.0.3
host 10.0.0.1 and tcp port 80 or host 10.0.0.2 and udp port 53
host 10.0.0.1 or tcp port 80
icmp or host 10.0.0.1
(host 10.0.0.1 and port 80) or (host 10.0.0.2 and port 443)
(host 10.0.0.1 or host 10.0.0.2) and (port 80 or port 443)
(src host 10.0.0.1 and src port 80) or (dst host 10.0.0.1 and dst port 80)
tcp and not (port 22 or port 80 or port 443)
not port 22 and not port 53 and not arp
not (host 10.0.0.1 and port 22)
not (host 10.0.0.1 or host 10.0.0.2)
ip and not host 10.0.0.1 and not port 22
tcp port 22 or tcp port 80 or udp port 53 or icmp or arp
host 10.0.0.1 and not (tcp port 22 or udp port 53 or icmp)
udp portrange 33434-33534 or icmp
udp and not port 53 and not port 123 and not port 5353
ip proto 47 or ip proto 4 or ip proto 41
udp port 4789 or udp port 6081 or ip proto 47
src host 10.0.0.1 and dst host 10.0.0.2 and tcp and src port 1000 and dst port 80
host 10.0.0.1 and host 10.0.0.2 and tcp port 80
host 10.0.0.1 and (tcp or udp)
net 10.1.2.0/24 and tcp port 80
net 10.1.2.0/24 and not port 22
dst net 10.1.2.0/24 and udp dst port 514
sctp port 2905 or tcp port 2905
ip and tcp and port 80 and host 10.0.0.1 and not host 10.0.0.2 and len > 60
igmp
igrp
pim
vrrp
carp
ah
esp
iso
clnp
esis
isis
l1
l2
iih
lsp
snp
csnp
psnp
stp
ipx
netbeui
atalk
aarp
lat
moprc
mopdl
decnet
llc
llc i
llc s
llc u
llc rr
llc rnr
llc rej
llc ui
llc ua
llc disc
llc sabme
llc test
llc xid
llc frmr
decnet src 10.15
decnet dst 10.15
decnet host 10.15
iso proto 0x81
ether broadcast
ether multicast
broadcast
multicast
ip broadcast
ip multicast
ip6 multicast
ip proto 6
proto 6
ether proto 0x600
vlan
vlan 7
vlan and ip
vlan 7 and ip
vlan 7 and tcp port 80
vlan and host 10.0.0.1
vlan and vlan
vlan 7 and vlan 8 and ip
vlan 7 and vlan 8 and host 10.0.0.1
vlan and not ip
not vlan
vlan or ip
vlan 7 or vlan 8
mpls
mpls 1000
mpls and ip
mpls 1000 and host 10.0.0.1
mpls 1000 and mpls 1024
mpls 1000 and mpls 1024 and host 10.0.0.1
mpls and tcp port 80
vlan and mpls and ip
pppoed
pppoes
pppoes 7
pppoes and ip
pppoes 7 and host 10.0.0.1
pppoes and tcp port 80
pppoes and ip6
vlan and pppoes and ip
geneve
geneve 7
geneve and ip
geneve and host 10.0.0.1
geneve 7 and tcp port 80
tcp[13] & 2 != 0
tcp[tcpflags] & tcp-syn != 0
tcp[tcpflags] & (tcp-syn|tcp-fin) != 0
tcp[tcpflags] & (tcp-syn|tcp-fin) != 0 and not src and dst net 10.0.0.0/24
tcp[tcpflags] == tcp-syn
tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn
tcp[tcpflags] & (tcp-rst|tcp-ack) == (tcp-rst|tcp-ack)
tcp port 80 and (((ip[2:2] - ((ip[0]&0xf)<<2)) - ((tcp[12]&0xf0)>>2)) != 0)
icmp[icmptype] != icmp-echo and icmp[icmptype] != icmp-echoreply
icmp[icmptype] == icmp-unreach and icmp[icmpcode] == 4
icmp6[icmp6type] == icmp6-neighborsolicit
icmp6[icmp6type] >= 133 and icmp6[icmp6type] <= 137
ip[8] < 5
ip[0] & 0xf != 5
ip[6:2] & 0x1fff != 0
ip[6] & 0x20 != 0 or ip[6:2] & 0x1fff != 0
ip[6] = 64
ip[2:2] > 576
ip[12:4] = 0x0a000001
ip[16] >= 224
ether[0] & 1 = 0 and ip[16] >= 224
ether[0] & 1 != 0
ether[12:2] = 0x88cc
ether[6:4] = 0x52540000 and ether[10:2] = 1
link[0:4] = 1
udp[4:2] > 100
udp[8:4] = 0x12345678
udp[10:2] & 0x8000 = 0
udp[(udp[4:2] - 4):4] = 5
tcp[2:2] = 80
tcp[0:2] = tcp[2:2]
tcp[4:4] > 1000
tcp[12] >> 4 > 5
tcp[((tcp[12:1] & 0xf0) >> 2):4] = 0x47455420
tcp port 80 and tcp[((tcp[12:1] & 0xf0) >> 2):4] = 0x47455420
arp[6:2] = 1
arp[6:2] = 2 and arp[14:4] = 0x0a000001
arp[7] = 1 or arp[7] = 2
rarp[6:2] = 3
ip6[6] = 58
ip6[6] = 6 and ip6[53] & 2 != 0
ip6[40] = 135
icmp6[0] = 135
sctp[0:2] = 2905
sctp[12] = 1
igmp[0] = 0x16
pim[0] = 0x20
len > 100 and len < 200
len = 64
len - 14 > 1000
len % 2 = 1
len & 1 = 1
ip[2:2] + 14 != len
ip[2:2] + 14 < len
ip[0] * 4 > 80
ip[2:2] / 4 > 100
ip[2:2] % 8 = 3
ip[9] ^ 6 = 0
ip[9] | 1 = 7
ip[1] << 2 = 8
ip[1] >> 2 = 8
ip[12:4] & 0xffffff00 = 0x0a000000
ip[12:4] = ip[16:4]
ip[12:4] > ip[16:4]
ip[12] + ip[13] + ip[14] + ip[15] = 100
(ip[12] + ip[13]) * (ip[14] + ip[15]) = 100
ip[(ip[0] & 0xf) * 4] = 8
5 + 3 * 2 = 11 and ip
ip[8] = 1 and ip[9] = 6 and ip[1] = 0
ip and ip[8] < 5 and tcp[13] & 2 != 0
tcp[13] = 2 or tcp[13] = 18
tcp[13] & 7 != 0 and not port 22
host 10.0.0.1 and tcp[13] & 2 != 0
udp port 53 and udp[10] & 0x80 = 0
icmp and icmp[0] = 8
icmp[0] = 8 or icmp[0] = 0
vlan and ip[8] < 5
vlan 7 and tcp[13] & 2 != 0
vlan and udp port 53 and udp[10] & 0x80 = 0
mpls and ip[8] < 5
pppoes and tcp[13] & 2 != 0
mpls 7 and udp[8:2] = 3
`), "\n")
	list := "host 10.0.0.1"
	ports := "tcp port 1"
	nets := "net 10.0.0.0/24"
	for i := 2; i <= 20; i++ {
		list += fmt.Sprintf(" or host 10.0.%d.%d", i%3, i)
		ports += fmt.Sprintf(" or %d", i*i)
		nets += fmt.Sprintf(" or net 10.%d.0.0/%d", i, 12+i%4*4+(4-i%4)*4)
	}
	es = append(es, list, "("+list+") and tcp port 80", "not ("+list+")", ports, nets, "src "+list, "src and dst "+list)
	g := random.New(11)
	g.Tunnels = false
	for n := range 60 {
		es = append(es, g.Expr(1+n%12))
	}
	return es
}

// TestQuality compares the size of our classic programs with that of libpcap's optimised
// ones.
func TestQuality(t *testing.T) {
	oracle.NeedTcpdump(t)
	ours, theirs, compared := 0, 0, 0
	for _, e := range plainExpressions() {
		p, err := filter.Compile(e, options(3))
		if err != nil {
			t.Errorf("%s: %v", e, err)
			continue
		}
		prog, err := Classic(p, snap, false)
		if err != nil {
			t.Errorf("%s: %v", e, err)
			continue
		}
		out, err := exec.Command("tcpdump", "-y", "EN10MB", "-d", "--", e).CombinedOutput()
		if strings.Contains(string(out), "expression rejects all packets") {
			continue
		} else if err != nil {
			t.Errorf("tcpdump %q: %v\n%s", e, err, out)
			continue
		}
		n := strings.Count(string(out), "\n")
		ours, theirs, compared = ours+len(prog), theirs+n, compared+1
		ratio := float64(len(prog)) / float64(n)
		t.Logf("%.2f %4d %4d  %s", ratio, len(prog), n, e)
		if ratio > 1.5 {
			t.Errorf("%d instructions, libpcap needs %d: %s", len(prog), n, e)
		}
	}
	ratio := float64(ours) / float64(theirs)
	t.Logf("%d expressions: together %d instructions, libpcap's %d: %.3f", compared, ours, theirs, ratio)
	if ratio > 1.1 || compared < 150 {
		t.Errorf("in %d expressions %d instructions, libpcap needs %d", compared, ours, theirs)
	}
}
