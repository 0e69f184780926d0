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

// plainExpressions are such as libpcap compiles as well.
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
