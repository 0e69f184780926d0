package random

import (
	"fmt"
	"slices"
	"strings"
)

// Expr returns a filter expression with about size primitives.
func (g *Gen) Expr(size int) string { return g.expr(size, g.Tunnels) }

// expr makes an expression; scopes says whether it may have scopes in it.
func (g *Gen) expr(size int, scopes bool) string {
	if size <= 1 {
		return g.term(scopes)
	}
	left := 1 + g.IntN(size-1)
	op := pick(g, "and", "or", "&&", "||")
	g.made(op)
	a, b := g.expr(left, scopes), g.expr(size-left, scopes)
	if g.one(2) {
		// The right side of an operator is one term.
		b = "(" + b + ")"
		g.made("( )")
	}
	s := a + " " + op + " " + b
	switch g.IntN(6) {
	case 0:
		g.made("not ( )")
		return pick(g, "not", "!") + " (" + s + ")"
	case 1:
		if scopes {
			return g.scope() + " (" + g.expr(size, false) + ")"
		}
	}
	return s
}

func (g *Gen) scope() string {
	s := pick(g, "inner", "inner", "outer", "any", "inner 1", "inner 2", "inner 3")
	g.made(s)
	return s
}

func (g *Gen) term(scopes bool) string {
	switch {
	case g.one(6):
		g.made("not")
		return pick(g, "not ", "! ", "!") + g.term(scopes)
	case scopes && g.one(2):
		return g.scope() + " " + g.primitive()
	}
	return g.primitive()
}

func (g *Gen) dir() string {
	d := pick(g, "", "", "src ", "dst ", "src or dst ", "dst or src ", "src and dst ", "dst and src ")
	g.made("dir " + d)
	return d
}

func (g *Gen) hex() string { return pick(g, "%d", "%#x", "0%o") }

// values returns v, or several values that take over its qualifiers.
func (g *Gen) values(v func() string) string {
	s := v()
	switch g.IntN(6) {
	case 0:
		g.made("value list")
		return s + pick(g, " or ", " and ", " or not ", " and not ") + v()
	case 1:
		g.made("value group")
		return "(" + s + pick(g, " or ", " and ", " or not ") + v() + ")"
	}
	return s
}

func (g *Gen) primitive() string {
	kinds := 15
	if g.Tunnels {
		kinds = 22
	}
	addr4 := func() string { return g.addr4().String() }
	addr6 := func() string { return g.addr6().String() }
	switch k := g.IntN(kinds); k {
	case 0, 1:
		g.made("host")
		return pick(g, "", "ip ", "arp ", "rarp ") + g.dir() + "host " + g.values(addr4)
	case 2:
		g.made("host of ip6")
		return pick(g, "", "ip6 ") + g.dir() + "host " + g.values(addr6)
	case 3:
		d := g.dir()
		if d == "" {
			d = "src "
		}
		g.made("direction alone")
		return d + g.values(addr4)
	case 4:
		g.made("net")
		return pick(g, "", "ip ", "arp ") + g.dir() + "net " + pick(g, "10", "10.0", "10.1.0", "10.0.0.0/8", "10.1.0.0/16", "10.0.0.2/31", "0.0.0.0/0", "10.1.0.0 mask 255.255.0.0", "10.0.0.1/32")
	case 5:
		g.made("net of ip6")
		return pick(g, "", "ip6 ") + g.dir() + "net " + pick(g, "2001:db8::/32", "2001:db8:1::/48", "2001:db8::2/127", "2001:db8:1::1/128", "::/0", "2001:db8::/33")
	case 6, 7:
		g.made("port")
		return pick(g, "", "tcp ", "udp ", "sctp ") + g.dir() + "port " + g.values(func() string { return fmt.Sprintf(g.hex(), g.portNumber()) })
	case 8:
		g.made("portrange")
		lo, hi := g.portNumber(), g.portNumber()
		return pick(g, "", "tcp ", "udp ", "sctp ") + g.dir() + fmt.Sprintf("portrange %d-%d", lo, hi)
	case 9, 10:
		w := pick(g, "ip", "ip6", "arp", "rarp", "tcp", "udp", "sctp", "icmp", "icmp6")
		g.made("word " + w)
		return w
	case 11:
		g.made("ether")
		m := g.mac()
		sep := pick(g, ":", "-")
		s := make([]string, len(m))
		for i, b := range m {
			s[i] = fmt.Sprintf("%02x", b)
		}
		return "ether " + pick(g, "host ", "src ", "dst ", "src host ", "dst host ", "src or dst ") + strings.Join(s, sep)
	case 12:
		g.made("proto")
		return pick(g, "", "ip ", "ip6 ") + "proto " + g.values(func() string {
			return fmt.Sprintf(g.hex(), pick(g, 0, 1, 4, 6, 17, 41, 43, 44, 47, 51, 58, 60, 132))
		})
	case 13:
		g.made("less or greater")
		return pick(g, "less ", "greater ") + fmt.Sprint(g.IntN(200))
	case 14:
		g.made("len")
		return "len " + pick(g, ">", "<", ">=", "<=", "=", "==", "!=") + " " + fmt.Sprint(g.IntN(200))
	}
	w := pick(g, tunnelWords()...)
	g.made("word " + w)
	if slices.Contains(noIDs(), w) || g.one(2) {
		return w
	}
	g.made("id " + w)
	id := g.id()
	switch w {
	case "erspan":
		id &= 0x3ff
	case "pptp":
		id &= 0xffff
	}
	return w + " " + fmt.Sprintf(g.hex(), id)
}

// Names returns what a long run must have made: every header and every piece of
// the language.
func (g *Gen) Names() []string {
	names := strings.Split("ether,arp,rarp,unknown type,ip,ip options,ah behind ip,bad version or length,first fragment,later fragment,ip6,"+
		"later fragment of ip6,frag,ah,extension 0,extension 43,extension 60,tcp,udp,sctp,icmp,icmp6,unknown protocol,ipip,ip6 in ip,vxlan,vxlan without vni,geneve,"+
		"geneve version 1,unknown payload,erspan1,erspan2,gre of another version,cut,"+
		"gre 0x0,gre 0x8000,gre 0x2000,gre 0x1000,gre 0xa000,gre 0x9000,gre 0x3000,gre 0xb000,"+
		"and,or,&&,||,( ),not ( ),not,dir ,dir src ,dir dst ,dir src or dst ,dir dst or src ,dir src and dst ,dir dst and src ,value list,value group,host,host of ip6,direction alone,"+
		"net,net of ip6,port,portrange,word ip,word ip6,word arp,word rarp,word tcp,word udp,word sctp,word icmp,word icmp6,ether,proto,less or greater,len", ",")
	for i := range 6 {
		names = append(names, fmt.Sprint("tags ", i))
	}
	for i := range 9 {
		names = append(names, fmt.Sprint("extensions ", i))
	}
	if g.Tunnels {
		names = append(names, "inner", "outer", "any", "inner 1", "inner 2", "inner 3")
		for _, w := range tunnelWords() {
			names = append(names, "word "+w)
			if !slices.Contains(noIDs(), w) {
				names = append(names, "id "+w)
			}
		}
	}
	return append(names, tunnelNames()...)
}

// tunnelWords are the primitives for tunnels: the last without an identifier.
func tunnelWords() []string {
	return append([]string{"gre", "nvgre", "vxlan", "geneve", "tunnel", "erspan", "gtp", "gpe", "nsh", "pptp", "l2tp", "pbb"}, noIDs()...)
}

func noIDs() []string { return []string{"ipip", "etherip", "mplsip", "pw", "teredo", "gue"} }

// Missing returns those of Names that were never made.
func (g *Gen) Missing() []string {
	var missing []string
	for _, n := range g.Names() {
		if g.Made[n] == 0 {
			missing = append(missing, n)
		}
	}
	return missing
}
