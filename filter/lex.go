package filter

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"unicode/utf8"
)

type kind uint8

const (
	end     kind = iota
	symbol       // an operator or parenthesis
	keyword      // a word of the language
	number       // 80, 0x50, 0120
	dotted       // an IPv4 address, or the first bytes of one: 10.0.0.1, 10.0
	colons       // an IPv6 address
	mac          // 52:54:00:12:34:56, and its other notations
	list         // { ... }; the text is what is between the braces
	file         // @FILE; the text is the name
	name         // anything else; a word of the language if a backslash was in front of it
)

// token is a piece of the expression: text[pos:end].
type token struct {
	kind     kind
	text     string // symbols and keywords in their first spelling: and, or, not
	pos, end int
	num      uint32           // number
	addr     netip.Addr       // colons
	mac      net.HardwareAddr // mac
}

// is reports whether the token is the symbol or keyword s.
func (t token) is(s string) bool { return (t.kind == symbol || t.kind == keyword) && t.text == s }

func (t token) String() string {
	if t.kind == end {
		return "the end of the expression"
	}
	return strconv.Quote(t.text)
}

// words returns the words of the language: true for those that this version
// knows, false for those of pcap-filter(7) that it refuses by name.
func words() map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields("and or not inner outer any src dst host net port portrange proto mask ip ip6 arp rarp tcp udp sctp icmp " +
		"icmp6 ether link less greater len") {
		m[w] = true
	}
	for _, w := range tunnelWords() {
		m[w.word] = true
	}
	for _, w := range strings.Fields("gateway broadcast multicast vlan mpls pppoed pppoes inbound outbound ifindex protochain byte " +
		"ppp slip fddi tr wlan igmp igrp pim vrrp carp atalk aarp decnet lat sca moprc mopdl ah esp iso esis es-is isis is-is clnp l1 l2 iih lsp snp csnp psnp " +
		"stp ipx netbeui llc radio type subtype dir direction addr1 addr2 addr3 addr4 ra ta address1 address2 address3 address4 " +
		"ifname on rset ruleset rnr rulenum srnr subrulenum reason action lane metac bcc sc ilmic oamf4ec oamf4sc oam oamf4 " +
		"connectmsg metaconnect vpi vci fisu lssu lsu msu hfisu hlssu hmsu sio opc dpc sls hsio hopc hdpc hsls batadv") {
		m[w] = false
	}
	return m
}

// symbols lists the operators, longest first, each with its first spelling.
var symbols = [...][2]string{
	{"&&", "and"}, {"||", "or"}, {"!=", "!="}, {"<=", "<="}, {">=", ">="}, {"==", "="},
	{"=", "="}, {"<", "<"}, {">", ">"}, {"!", "not"}, {"(", "("}, {")", ")"}, {"/", "/"},
	{"+", "+"}, {"-", "-"}, {"*", "*"}, {"%", "%"}, {"&", "&"}, {"|", "|"}, {"^", "^"}, {"[", "["}, {"]", "]"}, {":", ":"},
}

// lex splits the expression; the last token is an end.
func lex(text string) ([]token, error) {
	known := words()
	var tokens []token
next:
	for at := 0; at < len(text); {
		if strings.IndexByte(" \t\r\n", text[at]) >= 0 {
			at++
			continue
		}
		if text[at] == '{' || text[at] == '@' {
			t, err := lexSet(text, at)
			if err != nil {
				return nil, err
			}
			tokens = append(tokens, t)
			at = t.end
			continue
		}
		if n := wordLength(text[at:]); n > 0 {
			t, err := word(text, at, at+n, known)
			if err != nil {
				return nil, err
			}
			tokens = append(tokens, t)
			at += n
			continue
		}
		for _, s := range symbols {
			if strings.HasPrefix(text[at:], s[0]) {
				tokens = append(tokens, token{kind: symbol, text: s[1], pos: at, end: at + len(s[0])})
				at += len(s[0])
				continue next
			}
		}
		_, n := utf8.DecodeRuneInString(text[at:])
		return nil, &Error{text, at, at + n, fmt.Sprintf("unexpected character %q", text[at:at+n])}
	}
	return append(tokens, token{kind: end, pos: len(text), end: len(text)}), nil
}

func alnum(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// wordLength returns how many bytes of s are a word: letters, digits, and what
// addresses and names have between them.
func wordLength(s string) int {
	n := 0
	if s[0] == '\\' {
		n = 1
	}
	if !strings.HasPrefix(s[n:], "::") && (n == len(s) || !alnum(s[n])) {
		return 0
	}
	for ; n < len(s); n++ {
		switch c := s[n]; {
		case alnum(c) || c == '.' || c == ':' || c == '_':
		case c == '-' && n+1 < len(s) && alnum(s[n+1]):
		default:
			return n
		}
	}
	return n
}

// word makes a token of text[pos:end].
func word(text string, pos, end int, known map[string]bool) (token, error) {
	t := token{kind: name, text: text[pos:end], pos: pos, end: end}
	if escaped, ok := strings.CutPrefix(t.text, `\`); ok {
		t.text = escaped
		return t, nil
	}
	if supported, ok := known[t.text]; ok {
		if !supported {
			return t, &Error{text, pos, end, fmt.Sprintf("%q is not supported yet", t.text)}
		}
		t.kind = keyword
		return t, nil
	}
	if m, ok := parseMAC(t.text); ok {
		t.kind, t.mac = mac, m
		return t, nil
	}
	switch {
	case strings.Contains(t.text, ":"):
		a, err := netip.ParseAddr(t.text)
		if err != nil || !a.Is6() {
			return t, &Error{text, pos, end, fmt.Sprintf("%q is neither an IPv6 nor a MAC address", t.text)}
		}
		t.kind, t.addr = colons, a
	case strings.Trim(t.text, "0123456789.") == "" && strings.Contains(t.text, "."):
		t.kind = dotted
	case t.text[0] >= '0' && t.text[0] <= '9':
		n, err := strconv.ParseUint(t.text, 0, 32)
		switch {
		case err == nil && !strings.Contains(t.text, "_") && !strings.ContainsAny(t.text[:min(2, len(t.text))], "oObB"):
			t.kind, t.num = number, uint32(n)
		case strings.Trim(t.text, "0123456789") == "":
			return t, &Error{text, pos, end, fmt.Sprintf("%s is not a number of 32 bits", t.text)}
		}
	}
	return t, nil
}

// parseMAC reads the notations that pcap-filter has for MAC addresses: six
// bytes between colons, dashes or dots (of one or two digits), three dotted
// groups of four digits, or twelve digits.
func parseMAC(s string) (net.HardwareAddr, bool) {
	var groups []string
	size := 1
	for _, sep := range []string{":", "-", "."} {
		if g := strings.Split(s, sep); len(g) == 6 {
			groups = g
		}
	}
	if g := strings.Split(s, "."); groups == nil && len(g) == 3 {
		groups, size = g, 2
		for _, g := range groups {
			if len(g) != 4 {
				return nil, false
			}
		}
	} else if groups == nil && len(s) == 12 {
		groups, size = []string{s[:4], s[4:8], s[8:]}, 2
	}
	var m net.HardwareAddr
	for _, g := range groups {
		n, err := strconv.ParseUint(g, 16, 8*size)
		if err != nil || len(g) > 2*size {
			return nil, false
		}
		if size == 2 {
			m = append(m, byte(n>>8))
		}
		m = append(m, byte(n))
	}
	return m, len(m) == 6
}
