package random

import (
	"fmt"
	"strings"
)

// Set returns an expression with a set, of about size entries, and another one
// without that means the same.
func (g *Gen) Set(size int) (set, plain string) {
	n := 1 + g.IntN(size)
	switch k := g.IntN(4); {
	case k == 0:
		proto, dir := pick(g, "", "tcp ", "udp ", "sctp "), g.direction()
		g.made("set of ports")
		var entries, terms []string
		for range n {
			lo := g.portNumber() + g.IntN(3)
			if hi := lo + g.IntN(3); hi > lo {
				g.made("range in a set")
				entries = append(entries, fmt.Sprintf("%d-%d", lo, hi))
				terms = append(terms, fmt.Sprintf("portrange %d-%d", lo, hi))
			} else {
				entries = append(entries, fmt.Sprint(lo))
				terms = append(terms, fmt.Sprintf("port %d", lo))
			}
		}
		return proto + dir + "port in " + braces(entries), without(proto, dir, terms)
	case k == 1 && g.Tunnels:
		word := pick(g, "gre", "nvgre", "vxlan", "geneve", "gtp", "l2tp", "tunnel")
		g.made("set of " + word)
		var entries, terms []string
		for range n {
			id := g.id() + g.IntN(2)
			entries = append(entries, fmt.Sprintf(pick(g, "%d", "%#x"), id))
			terms = append(terms, fmt.Sprintf("%s %d", word, id))
		}
		return word + " in " + braces(entries), either(terms)
	default:
		proto := pick(g, "", "", "ip ", "ip6 ", "arp ")
		dir := g.direction()
		g.made("set of addresses")
		var entries, terms []string
		for len(terms) == 0 || len(entries) < n {
			entry, term := "", ""
			is6 := g.one(3)
			switch {
			case is6 && g.one(3):
				entry = pick(g, "2001:db8:1::/48", "2001:db8::2/127", "2001:db8::/33", "2001:db8:0:0:8000::/65")
				term = "net " + entry
				g.made("prefix of ip6 in a set")
			case is6:
				entry = g.addr6().String()
				term = "host " + entry
			case g.one(3):
				entry = pick(g, "10.1.0.0/16", "10.0.0.2/31", "10.0.0.0/30", "10.0.0.3/32")
				term = "net " + entry
				g.made("prefix in a set")
			default:
				entry = g.addr4().String()
				term = "host " + entry
			}
			entries = append(entries, entry)
			if is6 && (proto == "ip " || proto == "arp ") || !is6 && proto == "ip6 " {
				g.made("entry that does not fit the protocol")
				continue // the set may have it, the expression may not
			}
			terms = append(terms, term)
		}
		if g.one(3) { // of what is in no packet, so that comparisons are too many
			g.made("large set")
			for i := range 6 {
				for _, v := range [][2]string{{"ip6 ", fmt.Sprintf("2001:db8:77::%x", 2*i)}, {"", fmt.Sprintf("10.77.0.%d", 2*i)}} {
					entries = append(entries, v[1])
					if v[0] == proto || proto == "" || v[0] == "" && proto != "ip6 " {
						terms = append(terms, "host "+v[1])
					}
				}
			}
		}
		return proto + dir + pick(g, "host", "net") + " in " + braces(entries), without(proto, dir, terms)
	}
}

// without returns what qualifiers mean in front of a set, without a set.
func without(proto, dir string, terms []string) string {
	behind := func(qualifiers string) string {
		var all []string
		for _, t := range terms {
			all = append(all, qualifiers+t)
		}
		return either(all)
	}
	if strings.Contains(dir, "and") { // the source and the destination may be different entries
		return "(" + behind(proto+"src ") + " and " + behind(proto+"dst ") + ")"
	}
	return behind(proto + dir)
}

// direction returns a direction that a set or its entries may have.
func (g *Gen) direction() string {
	d := pick(g, "", "src ", "dst ", "src or dst ", "src and dst ")
	g.made("direction of a set " + d)
	return d
}

func braces(entries []string) string { return "{ " + strings.Join(entries, ", ") + " }" }

func either(terms []string) string { return "(" + strings.Join(terms, " or ") + ")" }

// SetNames returns the names of what a long run of Set must have made.
func SetNames() []string {
	return []string{"set of ports", "range in a set", "set of gre", "set of nvgre", "set of vxlan", "set of geneve", "set of gtp", "set of l2tp", "set of tunnel",
		"set of addresses", "prefix of ip6 in a set", "prefix in a set", "entry that does not fit the protocol", "large set",
		"direction of a set ", "direction of a set src ", "direction of a set dst ", "direction of a set src or dst ", "direction of a set src and dst "}
}
