package random

import (
	"fmt"
	"slices"
	"strings"
)

// Language returns an expression of libpcap's language with about size primitives, that
// libpcap accepts for a link type. Expressions whose meaning changed between
// libpcap 1.10 and 1.11 are left out.
func (g *Gen) Language(link uint32, size int) string {
	l := &language{Gen: g, link: link}
	switch g.IntN(12) {
	case 0:
		// Geneve only in front of a group, as what libpcap finds behind a Geneve header that
		// is not there is undefined.
		before := ""
		for g.one(3) && l.labels == 0 && l.link == link {
			before += l.shift() + " and "
		}
		if l.labels > 0 { // they would count in the tunnel, which we do not follow
			return before + l.expr(size, value{})
		}
		s := before + l.geneve() + " and (" + l.expr(size, value{}) + ")"
		if g.one(4) {
			g.made("not ( geneve )")
			return "not (" + s + ")"
		}
		return s
	case 1:
		a, _ := l.term(value{})
		if l.labels > 0 {
			return a
		}
		g.made("or ( geneve )")
		return a + " or (" + l.geneve() + " and (" + l.expr(size, value{}) + "))"
	}
	return l.expr(size, value{})
}

// language is what has to be known of an expression up to some place.
type language struct {
	*Gen
	link              uint32 // of what is looked at
	tags, labels, ppp int    // how many were passed
	variable          bool   // offsets are known only when the filter runs: in a tunnel
}

// value is what a qualified primitive ends with, and a value alone may repeat.
type value struct {
	kind   string
	make   func() string
	labels bool // has a meaning behind MPLS labels
	macs   bool // only where there are MAC addresses
}

func (l *language) usable(v value) bool {
	return v.make != nil && (v.labels || l.labels == 0) && (!v.macs || l.link == Ethernet)
}

// expr makes a chain of terms; before is what stands in front of it and its parentheses.
func (l *language) expr(size int, before value) string {
	s, v := l.group(size/2, before)
	for n := 1; n < size; n++ {
		op := pick(l.Gen, "and", "or", "&&", "||")
		l.made("operator " + op)
		if l.usable(v) && l.one(2) {
			l.made("value alone " + v.kind)
			s += " " + op + " " + l.values(v, 2)
			continue
		}
		t, w := l.group(size/3, v)
		s, v = s+" "+op+" "+t, w
	}
	return s
}

// group makes a term, one in parentheses now and then.
func (l *language) group(size int, before value) (string, value) {
	switch {
	case size > 1 && l.one(3):
		l.made("( expression )")
		not := pick(l.Gen, "", "", "not ", "! ", "!")
		if not != "" {
			l.made("not ( expression )")
		}
		return not + "(" + l.expr(size, before) + ")", before
	case l.one(6):
		l.made("not term")
		t, v := l.term(before)
		return pick(l.Gen, "not ", "! ", "!", "not not ") + t, v
	}
	return l.term(before)
}

// values returns one value, or several in parentheses. The first of several is no
// list itself.
func (l *language) values(v value, depth int) string {
	switch {
	case depth > 0 && l.one(6):
		l.made("value list")
		return "(" + l.single(v) + pick(l.Gen, " or ", " and ") + l.values(v, depth-1) + ")"
	case depth > 0 && l.one(8):
		l.made("not value")
		return pick(l.Gen, "not ", "!") + l.values(v, depth-1)
	}
	return v.make()
}

func (l *language) single(v value) string {
	if l.one(5) {
		return "not " + v.make()
	}
	return v.make()
}

func (l *language) number(n int) string {
	switch l.IntN(6) {
	case 0:
		return fmt.Sprintf("%#x", n)
	case 1:
		return fmt.Sprintf("0%o", n)
	}
	return fmt.Sprint(n)
}

// shift makes a word that moves what the rest of the expression looks at.
func (l *language) shift() string {
	with := func(word string, n int) string {
		l.made("word " + word)
		switch l.IntN(4) {
		case 0, 1:
			return word
		case 2:
			l.made("( number )")
			return word + " (" + l.number(n) + ")"
		}
		l.made("number of " + word)
		return word + " " + l.number(n)
	}
	for {
		switch l.IntN(3) {
		case 0:
			if l.link == Ethernet && l.labels == 0 && l.tags < 3 {
				l.tags++
				return with("vlan", l.vlanID())
			}
		case 1:
			if (l.link == Ethernet || l.link == PPP) && l.labels < 3 {
				l.labels++
				return with("mpls", l.label())
			}
		default:
			if l.labels == 0 && l.ppp < 2 {
				l.ppp++
				l.link = PPP
				return with("pppoes", l.session())
			}
			l.made("word of a length")
			return "len > 20"
		}
	}
}

func (l *language) geneve() string {
	l.made("word geneve")
	s := "geneve"
	if l.one(3) {
		l.made("number of geneve")
		s += " " + l.number(l.id())
	}
	l.link, l.variable = Ethernet, true
	return s
}

func (l *language) word(words ...string) string {
	w := pick(l.Gen, words...)
	l.made("word " + w)
	return w
}

// term makes a primitive, and returns what a value alone behind it would mean.
func (l *language) term(before value) (string, value) {
	quote := func(words ...string) func() string {
		return func() string { return pick(l.Gen, words...) }
	}
	for {
		switch l.IntN(29) {
		case 0, 1:
			addr4 := func() string {
				a := l.addr4().As4()
				return pick(l.Gen, fmt.Sprintf("%d.%d.%d.%d", a[0], a[1], a[2], a[3]), fmt.Sprintf("%d.%d.%d.%d", a[0], a[1], a[2], a[3]),
					fmt.Sprintf("%#x", be(a[:])), fmt.Sprintf("%d.%d", a[0], a[1]), fmt.Sprintf("%d.%d.%d", a[0], a[1], a[2]))
			}
			v := value{"host", addr4, true, false}
			proto := pick(l.Gen, "", "", "ip ", "arp ", "rarp ")
			if v.labels = proto == "" || proto == "ip "; !l.usable(v) {
				continue
			}
			l.made("host of " + proto)
			d, host := l.dir(), "host "
			if d != "" && l.one(3) {
				host = ""
				l.made("direction alone")
			}
			return proto + d + host + l.values(v, 2), v
		case 2:
			v := value{"host of ip6", func() string {
				return pick(l.Gen, l.addr6().String(), l.addr6().StringExpanded(), strings.ToUpper(l.addr6().String()))
			}, true, false}
			l.made("host of ip6")
			d := l.dir()
			return pick(l.Gen, "", "ip6 ") + d + pick(l.Gen, "host ", "host ") + l.values(v, 2), v
		case 3:
			v := value{"net", quote("10", "10.0", "10.1.0", "10.0.0.0/8", "10.1.0.0/16", "10.0.0.2/31", "10.0.0.0 mask 255.255.0.0", "10.0.0.1/32", "10.0/16",
				"0x0a000000", "10.0.0.1 mask 255.0.255.255", "128.0.0.0/1"), true, false}
			proto := pick(l.Gen, "", "", "ip ", "arp ")
			if v.labels = proto != "arp "; !l.usable(v) {
				continue
			}
			l.made("net")
			return proto + l.dir() + "net " + l.values(v, 2), v
		case 4:
			v := value{"net of ip6", quote("2001:db8::/32", "2001:db8:1::/48", "2001:db8::2/127", "2001:db8:1::1/128", "2001:db8::/33", "2001:db8::1"), true, false}
			l.made("net of ip6")
			return pick(l.Gen, "", "ip6 ") + l.dir() + "net " + l.values(v, 2), v
		case 5, 6:
			proto := pick(l.Gen, "", "", "tcp ", "udp ", "sctp ")
			v := value{"port", func() string {
				if proto == "" && l.one(6) {
					l.made("port name")
					return pick(l.Gen, "http", "domain", `\domain`, "https")
				}
				return l.number(l.portNumber())
			}, true, false}
			l.made("port of " + proto)
			return proto + l.dir() + "port " + l.values(v, 2), v
		case 7:
			v := value{"portrange", func() string {
				return pick(l.Gen, fmt.Sprintf("%d-%d", l.portNumber(), l.portNumber()), l.number(l.portNumber()))
			}, true, false}
			l.made("portrange")
			return pick(l.Gen, "", "tcp ", "udp ", "sctp ") + l.dir() + "portrange " + l.values(v, 2), v
		case 8, 9:
			v := value{"proto", func() string {
				if l.one(4) {
					l.made("escape")
					return pick(l.Gen, `\tcp`, `\udp`, `\sctp`, `\icmp`, "gre", `\ah`)
				}
				return l.number(pick(l.Gen, 0, 1, 2, 6, 17, 44, 47, 50, 51, 58, 60, 103, 112, 132))
			}, true, false}
			word := "proto "
			if l.one(4) && !l.variable {
				word, v.kind = "protochain ", "protochain"
			}
			l.made(word)
			return pick(l.Gen, "", "ip ", "ip6 ") + word + l.values(v, 1), v
		case 10, 11, 12:
			return l.word("ip", "ip6", "tcp", "udp", "sctp", "icmp", "icmp6", "igmp", "igrp", "pim", "vrrp", "carp", "ah", "esp"), value{}
		case 13, 14:
			if l.labels == 0 {
				return l.word("arp", "rarp", "atalk", "aarp", "decnet", "lat", "sca", "moprc", "mopdl", "iso", "clnp", "esis", "es-is", "isis", "is-is",
					"l1", "l2", "iih", "lsp", "snp", "csnp", "psnp", "stp", "ipx", "netbeui", "pppoed"), value{}
			}
		case 15:
			v := value{"ether proto", func() string {
				if l.one(3) {
					l.made("escape")
					return pick(l.Gen, `\ip`, `\ip6`, `\arp`, `\rarp`, `\atalk`, `\aarp`, `\decnet`, `\lat`, `\sca`, `\moprc`, `\mopdl`, `\iso`, `\stp`, `\ipx`, `\netbeui`, "loopback")
				}
				return l.number(pick(l.Gen, 0x0800, 0x86dd, 0x0806, 0x88cc, 0x6003, 0x8847, 0x8864, 0x9000, 0x0600, 0x05ff, 0x05dd, 0x21, 0x57, 0x42, 0x04, 0x06, 0xe0, 0xf0, 0xfe, 0xaa))
			}, false, false}
			if l.usable(v) {
				l.made("ether proto")
				return pick(l.Gen, "ether ", "link ", "ppp ") + "proto " + l.values(v, 1), v
			}
		case 16:
			v := value{"iso proto", func() string { return pick(l.Gen, "0x81", "0x82", "0x83", "131", `\clnp`, `\esis`, `\isis`) }, false, false}
			if l.one(2) {
				v = value{"isis proto", func() string { return l.number(15 + l.IntN(13)) }, false, false}
			}
			if l.usable(v) {
				l.made(v.kind)
				return v.kind + " " + l.values(v, 1), v
			}
		case 17:
			v := value{"mac", func() string {
				m := l.mac()
				sep := pick(l.Gen, ":", "-", ".")
				short := pick(l.Gen, "%02x", "%x", "%02X")
				var s []string
				for _, b := range m {
					s = append(s, fmt.Sprintf(short, b))
				}
				return pick(l.Gen, strings.Join(s, sep), strings.Join(s, sep), fmt.Sprintf("%02x%02x.%02x%02x.%02x%02x", m[0], m[1], m[2], m[3], m[4], m[5]), fmt.Sprintf("%x", m))
			}, true, true}
			if l.usable(v) {
				l.made("mac")
				d := l.dir()
				host := "host "
				if d != "" && l.one(2) {
					host = ""
				}
				return pick(l.Gen, "ether ", "link ", "wlan ", "fddi ", "tr ") + d + host + l.values(v, 1), v
			}
		case 18:
			switch {
			case l.one(3):
				return l.word("ip6 multicast"), value{}
			case l.link == Ethernet:
				return l.word("broadcast", "ether broadcast", "multicast", "ether multicast"), value{}
			}
		case 19:
			switch l.IntN(4) {
			case 0:
				return l.word("less", "greater") + " " + l.number(l.IntN(150)), value{}
			case 1:
				l.made("byte")
				return "byte " + l.number(pick(l.Gen, 0, 4, 9, 12, 13, 20, 23, 30)) + " " + pick(l.Gen, "=", "==", "<", ">") + " " + l.number(pick(l.Gen, 0, 1, 6, 8, 17, 0x45, 0x52)), value{}
			}
			l.made("len")
			return pick(l.Gen, "len", "length") + " " + l.relation() + " " + l.number(l.IntN(150)), value{}
		case 20:
			if l.link == SLL || l.link == SLL2 {
				return l.word("inbound", "outbound"), value{}
			}
		case 21:
			if l.link == SLL2 {
				l.made("ifindex")
				return "ifindex " + l.number(1+l.IntN(3)), value{}
			}
		case 24, 25:
			if l.link == Ethernet && l.labels == 0 {
				return l.word("llc", "llc i", "llc s", "llc u", "llc rr", "llc rnr", "llc rej", "llc ui", "llc ua", "llc disc", "llc dm", "llc sabme", "llc test", "llc xid", "llc frmr", "llc XID"), value{}
			}
		case 22:
			if l.labels == 0 {
				v := value{"decnet", func() string { return fmt.Sprint("1.", 1+l.IntN(3)) }, false, false}
				l.made("decnet host")
				d, host := l.dir(), "host "
				if d != "" && l.one(2) {
					host = ""
				}
				return "decnet " + d + host + l.values(v, 1), v
			}
		case 23:
			if l.one(2) {
				return l.shift(), value{}
			}
		default:
			l.made("relation")
			a, b := l.arith(2), l.arith(1)
			if l.one(2) {
				b = l.number(pick(l.Gen, 0, 1, 2, 5, 6, 10, 64, 80, 255, 0x45))
			}
			return a + " " + l.relation() + " " + b, value{}
		}
	}
}

func be(b []byte) uint32 {
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}

func (l *language) relation() string {
	r := pick(l.Gen, "<", "<=", ">", ">=", "=", "==", "!=")
	l.made("relation " + r)
	return r
}

// constants are the names of numbers, with their values.
func constants() []string {
	return strings.Fields("icmptype icmpcode icmp-echoreply icmp-unreach icmp-sourcequench icmp-redirect icmp-echo icmp-routeradvert icmp-routersolicit icmp-timxceed " +
		"icmp-paramprob icmp-tstamp icmp-tstampreply icmp-ireq icmp-ireqreply icmp-maskreq icmp-maskreply icmp6type icmp6code icmp6-destinationunreach icmp6-packettoobig " +
		"icmp6-timeexceeded icmp6-parameterproblem icmp6-echo icmp6-echoreply icmp6-multicastlistenerquery icmp6-multicastlistenerreportv1 icmp6-multicastlistenerdone " +
		"icmp6-routersolicit icmp6-routeradvert icmp6-neighborsolicit icmp6-neighboradvert icmp6-redirect icmp6-routerrenum icmp6-nodeinformationquery " +
		"icmp6-nodeinformationresponse icmp6-ineighbordiscoverysolicit icmp6-ineighbordiscoveryadvert icmp6-multicastlistenerreportv2 icmp6-homeagentdiscoveryrequest " +
		"icmp6-homeagentdiscoveryreply icmp6-mobileprefixsolicit icmp6-mobileprefixadvert icmp6-certpathsolicit icmp6-certpathadvert icmp6-multicastrouteradvert " +
		"icmp6-multicastroutersolicit icmp6-multicastrouterterm tcpflags tcp-fin tcp-syn tcp-rst tcp-push tcp-ack tcp-urg tcp-ece tcp-cwr")
}

// arith makes an arithmetic expression. Nothing in it is a constant zero or more
// than 31 where libpcap refuses that.
func (l *language) arith(depth int) string {
	if depth == 0 {
		switch l.IntN(6) {
		case 0:
			return l.number(l.IntN(300))
		case 1:
			c := pick(l.Gen, constants()...)
			l.made("constant")
			return c
		case 2:
			l.made("arithmetic len")
			return "len"
		}
		return l.load(depth)
	}
	switch op := l.IntN(16); op {
	case 0, 1, 2, 3:
		return l.load(depth)
	case 4:
		l.made("arithmetic minus")
		return "- " + l.arith(depth-1)
	case 5:
		l.made("arithmetic ( )")
		return "(" + l.load(depth) + " " + l.operator() + " " + l.operand(depth-1) + ")"
	case 6, 7, 8:
		return l.arith(depth-1) + " " + l.operator() + " " + l.operand(depth-1)
	case 9:
		l.made("arithmetic shift")
		return l.arith(depth-1) + pick(l.Gen, " << ", " >> ") + fmt.Sprint(l.IntN(32))
	case 10:
		l.made("arithmetic shift by load")
		return l.load(0) + pick(l.Gen, " << ", " >> ") + l.load(0)
	}
	return l.arith(0)
}

func (l *language) operator() string {
	op := pick(l.Gen, "+", "-", "*", "/", "%", "&", "|", "^")
	l.made("arithmetic " + op)
	return op
}

// operand is never a constant zero, nor folded to one.
func (l *language) operand(depth int) string {
	if l.one(2) {
		return l.number(1 + l.IntN(20))
	}
	return l.load(depth)
}

// load makes a byte access.
func (l *language) load(depth int) string {
	protos := strings.Fields("ether link ip ip ip6 tcp tcp udp sctp icmp icmp6 igmp igrp pim vrrp carp")
	if l.labels == 0 {
		protos = append(protos, strings.Fields("ppp arp rarp atalk decnet lat sca moprc mopdl")...)
	}
	p := pick(l.Gen, protos...)
	l.made("access " + p)
	size := pick(l.Gen, "", "", ":1", ":2", ":2", ":4")
	l.made("size " + size)
	off := fmt.Sprint(pick(l.Gen, 0, 1, 2, 4, 6, 8, 9, 12, 13, 16, 19, 20))
	switch {
	case depth > 0 && l.one(4):
		l.made("computed offset")
		off = pick(l.Gen, l.load(0)+" & 15", "("+l.load(0)+" & 0xf) * 4", "len - "+fmt.Sprint(1+l.IntN(40)), off+" + "+off, "("+l.load(0)+" & 0xf0) >> 2")
	case l.one(8):
		off = pick(l.Gen, "tcpflags", "icmptype", "icmpcode")
	case l.one(20):
		off = pick(l.Gen, "1000", "4294967295", "65536")
	}
	return p + "[" + off + size + "]"
}

// LanguageNames returns what many expressions of Language for all link types must have made.
func LanguageNames() []string {
	names := strings.Split("not ( geneve ),or ( geneve ),operator and,operator or,operator &&,operator ||,( expression ),not ( expression ),not term,value list,not value,( number ),"+
		"host of ,host of ip ,host of arp ,host of rarp ,host of ip6,direction alone,net,net of ip6,port name,port of ,port of tcp ,port of udp ,port of sctp ,portrange,escape,proto ,protochain ,"+
		"ether proto,iso proto,isis proto,mac,byte,len,ifindex,decnet host,relation,constant,computed offset,size ,size :1,size :2,size :4", ",")
	for _, w := range strings.Fields("vlan mpls pppoes geneve") {
		names = append(names, "word "+w, "number of "+w)
	}
	for _, w := range strings.Fields("ip ip6 tcp udp sctp icmp icmp6 igmp igrp pim vrrp carp ah esp arp rarp atalk aarp decnet lat sca moprc mopdl iso clnp esis es-is isis is-is " +
		"l1 l2 iih lsp snp csnp psnp stp ipx netbeui pppoed broadcast multicast less greater inbound outbound llc") {
		names = append(names, "word "+w)
	}
	for _, w := range strings.Fields("i s u rr rnr rej ui ua disc dm sabme test xid frmr") {
		names = append(names, "word llc "+w)
	}
	for _, w := range strings.Fields("host net port portrange proto protochain mac decnet") {
		names = append(names, "value alone "+w)
	}
	names = append(names, "value alone host of ip6", "value alone net of ip6", "value alone ether proto", "value alone iso proto", "value alone isis proto",
		"word ip6 multicast", "word ether broadcast", "word ether multicast")
	for _, r := range strings.Fields("< <= > >= = == !=") {
		names = append(names, "relation "+r)
	}
	for _, o := range strings.Fields("+ - * / % & | ^ len minus shift") {
		names = append(names, "arithmetic "+o)
	}
	names = append(names, "arithmetic ( )", "arithmetic shift by load")
	for _, p := range strings.Fields("ether link ppp ip ip6 tcp udp sctp icmp icmp6 igmp igrp pim vrrp carp arp rarp atalk decnet lat sca moprc mopdl") {
		names = append(names, "access "+p)
	}
	for _, d := range []string{"", "src ", "dst ", "src or dst ", "dst or src ", "src and dst ", "dst and src "} {
		names = append(names, "dir "+d)
	}
	slices.Sort(names)
	return slices.Compact(names)
}
