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
	number       // 80, 0x50, 0120, or a named constant
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

// isOneOf reports whether the token is one of the symbols or keywords.
func (t token) isOneOf(all ...string) bool {
	for _, s := range all {
		if t.is(s) {
			return true
		}
	}
	return false
}

func (t token) String() string {
	if t.kind == end {
		return "the end of the expression"
	}
	const longest = 64 // that is said, in bytes
	if len(t.text) > longest {
		return strconv.Quote(t.text[:longest]) + "..."
	}
	return strconv.Quote(t.text)
}

// words returns the words of the language, each with its first spelling. Those of
// pcap-filter(7) for link types that are not supported, and of packet filters of
// other systems, have none: they are refused by name.
func words() map[string]string {
	m := map[string]string{"link": "ether", "ppp": "ether", "slip": "ether", "fddi": "ether", "tr": "ether", "wlan": "ether",
		"length": "len", "es-is": "esis", "is-is": "isis"}
	for _, w := range strings.Fields("and or not inner outer any src dst host net mask port portrange proto protochain gateway " +
		"ether ip ip6 arp rarp tcp udp sctp icmp icmp6 igmp igrp pim vrrp carp ah esp atalk aarp decnet lat sca moprc mopdl " +
		"iso clnp esis isis l1 l2 iih lsp snp csnp psnp stp ipx netbeui llc rnr radio " +
		"less greater byte len broadcast multicast inbound outbound ifindex vlan mpls pppoed pppoes") {
		m[w] = w
	}
	for _, w := range tunnelWords() {
		m[w.word] = w.word
	}
	for _, w := range strings.Fields("type subtype dir direction addr1 addr2 addr3 addr4 ra ta address1 address2 address3 address4 " +
		"ifname on rset ruleset rulenum srnr subrulenum reason action lane metac bcc sc ilmic oamf4ec oamf4sc oam oamf4 " +
		"batadv connectmsg metaconnect vpi vci fisu lssu lsu msu hfisu hlssu hmsu sio opc dpc sls hsio hopc hdpc hsls") {
		m[w] = ""
	}
	return m
}

// constants returns the named numbers of pcap-filter(7): offsets in ICMP, ICMPv6
// and TCP headers, and values of the fields there.
func constants() map[string]uint32 {
	m := map[string]uint32{
		"icmptype": 0, "icmpcode": 1, "icmp-echoreply": 0, "icmp-unreach": 3, "icmp-sourcequench": 4, "icmp-redirect": 5,
		"icmp-echo": 8, "icmp-routeradvert": 9, "icmp-routersolicit": 10, "icmp-timxceed": 11, "icmp-paramprob": 12,
		"icmp-tstamp": 13, "icmp-tstampreply": 14, "icmp-ireq": 15, "icmp-ireqreply": 16, "icmp-maskreq": 17, "icmp-maskreply": 18,
		"icmp6type": 0, "icmp6code": 1, "icmp6-destinationunreach": 1, "icmp6-packettoobig": 2, "icmp6-timeexceeded": 3,
		"icmp6-parameterproblem": 4, "icmp6-echo": 128, "icmp6-echoreply": 129,
		"tcpflags": 13, "tcp-fin": 0x01, "tcp-syn": 0x02, "tcp-rst": 0x04, "tcp-push": 0x08, "tcp-ack": 0x10, "tcp-urg": 0x20,
		"tcp-ece": 0x40, "tcp-cwr": 0x80,
	}
	for i, w := range strings.Fields("multicastlistenerquery multicastlistenerreportv1 multicastlistenerdone routersolicit routeradvert " +
		"neighborsolicit neighboradvert redirect routerrenum nodeinformationquery nodeinformationresponse ineighbordiscoverysolicit " +
		"ineighbordiscoveryadvert multicastlistenerreportv2 homeagentdiscoveryrequest homeagentdiscoveryreply mobileprefixsolicit " +
		"mobileprefixadvert certpathsolicit certpathadvert") {
		m["icmp6-"+w] = 130 + uint32(i)
	}
	for i, w := range strings.Fields("multicastrouteradvert multicastroutersolicit multicastrouterterm") {
		m["icmp6-"+w] = 151 + uint32(i)
	}
	return m
}

// symbols lists the operators, longest first, each with its first spelling.
var symbols = [...][2]string{
	{"&&", "and"}, {"||", "or"}, {"!=", "!="}, {"<=", "<="}, {">=", ">="}, {"==", "="}, {"<<", "<<"}, {">>", ">>"},
	{"=", "="}, {"<", "<"}, {">", ">"}, {"!", "not"}, {"(", "("}, {")", ")"}, {"/", "/"},
	{"+", "+"}, {"-", "-"}, {"*", "*"}, {"%", "%"}, {"&", "&"}, {"|", "|"}, {"^", "^"}, {"[", "["}, {"]", "]"}, {":", ":"},
}

// lexer splits an expression as libpcap's does: the longest piece that is anything is
// a token, so "len-4" is a name, and "len - 4" are three tokens.
type lexer struct {
	text      string
	words     map[string]string
	constants map[string]uint32
}

// lex splits the expression; the last token is an end.
func lex(text string) ([]token, error) {
	l := lexer{text, words(), constants()}
	var tokens []token
	for at := 0; at < len(text); {
		if strings.IndexByte(" \t\r\n", text[at]) >= 0 {
			at++
			continue
		}
		t, err := l.token(at)
		if err != nil {
			return nil, err
		}
		tokens = append(tokens, t)
		at = t.end
	}
	return append(tokens, token{kind: end, pos: len(text), end: len(text)}), nil
}

func (l *lexer) errorf(pos, end int, format string, a ...any) error {
	return &Error{l.text, pos, end, fmt.Sprintf(format, a...)}
}

// token returns the token at pos.
func (l *lexer) token(pos int) (token, error) {
	rest := l.text[pos:]
	if rest[0] == '{' || rest[0] == '@' {
		return lexSet(l.text, pos)
	}
	if n := escapeLength(rest); n > 1 {
		return token{kind: name, text: rest[1:n], pos: pos, end: pos + n}, nil
	}
	n := nameLength(rest)
	if a, size, ok := ip6Prefix(rest); ok && size > n {
		m, isMAC := parseMAC(rest[:macLength(rest)])
		if !isMAC || macLength(rest) < size {
			return token{kind: colons, text: rest[:size], pos: pos, end: pos + size, addr: a}, nil
		}
		return token{kind: mac, text: rest[:macLength(rest)], pos: pos, end: pos + macLength(rest), mac: m}, nil
	}
	if size := macLength(rest); size >= n {
		if m, ok := parseMAC(rest[:size]); ok {
			return token{kind: mac, text: rest[:size], pos: pos, end: pos + size, mac: m}, nil
		}
		if strings.Count(rest[:size], ":") > 1 {
			return token{}, l.errorf(pos, pos+size, "%q is neither an IPv6 nor a MAC address", rest[:size])
		}
	}
	if n > 0 {
		return l.word(pos, pos+n)
	}
	for _, s := range symbols {
		if strings.HasPrefix(rest, s[0]) {
			// Operators that stand together are one token that means nothing, as in libpcap.
			if run := oddLength(rest); run > len(s[0]) {
				return token{}, l.errorf(pos, pos+run, "%q is no operator", rest[:run])
			}
			return token{kind: symbol, text: s[1], pos: pos, end: pos + len(s[0])}, nil
		}
	}
	_, size := utf8.DecodeRuneInString(rest)
	return token{}, l.errorf(pos, pos+size, "unexpected character %q", rest[:size])
}

func alnum(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

func hexDigit(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

// span returns how many bytes at the start of s are of a class.
func span(s string, class func(byte) bool) int {
	n := 0
	for n < len(s) && class(s[n]) {
		n++
	}
	return n
}

// nameLength returns how many bytes of s are a word: it starts with a letter or
// digit and ends with one or a dot, with dashes and underscores between them.
func nameLength(s string) int {
	if s == "" || !alnum(s[0]) {
		return 0
	}
	n := span(s, func(c byte) bool { return alnum(c) || c == '-' || c == '_' || c == '.' })
	for !alnum(s[n-1]) && s[n-1] != '.' {
		n--
	}
	return n
}

// escapeLength returns how many bytes of s are a backslash and the name behind it.
func escapeLength(s string) int {
	if s == "" || s[0] != '\\' {
		return 0
	}
	return 1 + span(s[1:], func(c byte) bool { return strings.IndexByte(" !()\n\t", c) < 0 })
}

// oddLength returns how many bytes of s are of no word, comparison or parenthesis.
func oddLength(s string) int {
	return span(s, func(c byte) bool { return !alnum(c) && strings.IndexByte(" []\t\r\n-_.!<>()&|=", c) < 0 })
}

// macLength returns how many bytes of s could be a MAC address.
func macLength(s string) int {
	return span(s, func(c byte) bool { return hexDigit(c) || c == ':' || c == '-' || c == '.' })
}

// ip6Prefix returns the longest IPv6 address that s starts with, and its length.
func ip6Prefix(s string) (a netip.Addr, n int, ok bool) {
	const longest = len("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255")
	n = min(span(s, func(c byte) bool { return hexDigit(c) || c == ':' || c == '.' }), longest)
	if !strings.Contains(s[:n], ":") {
		return a, 0, false
	}
	for ; n > 1; n-- {
		if a, err := netip.ParseAddr(s[:n]); err == nil && a.Is6() {
			return a, n, true
		}
	}
	return a, 0, false
}

// word makes a token of text[pos:end], which holds no colons.
func (l *lexer) word(pos, end int) (token, error) {
	t := token{kind: name, text: l.text[pos:end], pos: pos, end: end}
	if w, ok := l.words[t.text]; ok {
		if w == "" {
			return t, l.errorf(pos, end, "%q is about a link type or a system that tundump does not support", t.text)
		}
		t.kind, t.text = keyword, w
		return t, nil
	}
	if v, ok := l.constants[t.text]; ok {
		t.kind, t.num = number, v
		return t, nil
	}
	digits, base := t.text, 10
	switch {
	case strings.HasPrefix(digits, "0x") || strings.HasPrefix(digits, "0X"):
		digits, base = digits[2:], 16
	case strings.HasPrefix(digits, "0"):
		base = 8
	}
	switch {
	case strings.Trim(t.text, "0123456789.") == "" && strings.Contains(t.text, "."):
		if n := strings.Count(t.text, "."); n <= 3 && !strings.HasSuffix(t.text, ".") && !strings.Contains(t.text, "..") {
			t.kind = dotted
		}
	case digits != "" && span(digits, hexDigit) == len(digits) && (base == 16 || strings.Trim(digits, "0123456789") == ""):
		n, err := strconv.ParseUint(digits, base, 32)
		if err != nil && base == 8 && strings.ContainsAny(digits, "89") {
			return t, l.errorf(pos, end, "%s starts with 0, which makes it octal, and has other digits", t.text)
		} else if err != nil {
			return t, l.errorf(pos, end, "%s is not a number of 32 bits", t.text)
		}
		t.kind, t.num = number, uint32(n)
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
		if strings.Count(s, sep) == 5 {
			groups = strings.Split(s, sep)
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
