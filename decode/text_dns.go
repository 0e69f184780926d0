package decode

import "encoding/binary"

// Ports of DNS and of multicast DNS, RFC 1035 and RFC 6762.
const (
	portDNS  = 53
	portMDNS = 5353
)

// dns prints a message of RFC 1035, or RFC 6762 if it is multicast.
func (t *Text) dns(o, length int, multicast bool) {
	t.proto = "domain"
	if length < 12 {
		t.s("domain [length ")
		t.u(length)
		t.s(" < 12]")
		t.invalid()
		return
	}
	if !t.need(o, 12) {
		return
	}
	m := dnsMessage{t, o, multicast}
	flags := t.u16(o + 2)
	count := [4]int{t.u16(o + 4), t.u16(o + 6), t.u16(o + 8), t.u16(o + 10)}
	at := 0
	if flags&0x8000 != 0 {
		at = m.response(flags, &count)
	} else {
		at = m.query(flags, &count)
	}
	// The other records than questions and answers are for those who want to know.
	if at >= 0 && t.opt.Verbose > 1 {
		if flags&0x8000 == 0 {
			at = m.records(at, count[1], "")
		}
		at = m.records(at, count[2], " ns:")
		at = m.records(at, count[3], " ar:")
	}
	if at < 0 {
		t.trunc()
		return
	}
	t.s(" (")
	t.u(length)
	t.s(")")
}

// dnsStream prints a message in a TCP segment, RFC 7766, if it fills it.
func (t *Text) dnsStream(o, length int) {
	t.proto = "domain"
	length -= 2
	if n := t.u16(o); n != length {
		t.s(" [prefix length(")
		t.u(n)
		t.s(") != length(")
		t.u(length)
		t.s(")]")
		t.invalid()
		return
	}
	t.s(" ")
	t.dns(o+2, length, false)
}

// dnsMessage prints the parts of a message that starts at start. Its methods return the
// offset behind what they printed, or -1 if it is cut or cannot be right.
type dnsMessage struct {
	*Text
	start     int
	multicast bool
}

func (m dnsMessage) response(flags int, count *[4]int) int {
	m.u(m.u16(m.start))
	m.s(dnsOperation(flags >> 11 & 15))
	m.dnsResult(flags&15 | m.extendedResult(count)<<4)
	if flags&0x400 != 0 {
		m.s("*")
	}
	if flags&0x80 == 0 {
		m.s("-")
	}
	if flags&0x200 != 0 {
		m.s("|")
	}
	if flags&0x20 != 0 {
		m.s("$")
	}
	if count[0] != 1 {
		m.counted(count[0], "q")
	}
	at := m.start + 12
	for i := 0; i < count[0] && at >= 0 && !m.stopped(); i++ {
		if i > 0 {
			m.s(",")
		}
		if m.opt.Verbose > 1 {
			m.s(" q:")
			at = m.question(at)
		} else if at = m.skipName(at); at >= 0 {
			at += 4
		}
	}
	if at < 0 {
		return -1
	}
	m.s(" ")
	m.u(count[1])
	m.s("/")
	m.u(count[2])
	m.s("/")
	m.u(count[3])
	return m.records(at, count[1], "")
}

func (m dnsMessage) query(flags int, count *[4]int) int {
	m.u(m.u16(m.start))
	m.s(dnsOperation(flags >> 11 & 15))
	if flags&0x100 != 0 {
		m.s("+")
	}
	if flags&0x10 != 0 {
		m.s("%")
	}
	if flags&0x6cf != 0 {
		m.s(" [b2&3=0x")
		m.x(uint32(flags), 1)
		m.s("]")
	}
	if flags>>11&15 == 1 { // an inverse query, RFC 1035 section 6.4
		if count[0] != 0 {
			m.counted(count[0], "q")
		}
		if count[1] != 1 {
			m.counted(count[1], "a")
		}
	} else {
		if count[1] != 0 {
			m.counted(count[1], "a")
		}
		if count[0] != 1 {
			m.counted(count[0], "q")
		}
	}
	if count[2] != 0 {
		m.counted(count[2], "n")
	}
	if count[3] != 0 {
		m.counted(count[3], "au")
	}
	at := m.start + 12
	for i := range count[0] {
		if m.stopped() || i > 0 && at >= m.end {
			return -1
		}
		if at = m.question(at); at < 0 {
			return -1
		}
	}
	return at
}

func (m dnsMessage) counted(n int, what string) {
	m.s(" [")
	m.u(n)
	m.s(what)
	m.s("]")
}

// records prints n records behind the title.
func (m dnsMessage) records(at, n int, title string) int {
	if at < 0 || n == 0 {
		return at
	}
	if title != "" && at >= m.end {
		return -1
	}
	m.s(title)
	for i := range n {
		if i > 0 {
			if at >= m.end {
				return -1
			}
			m.s(",")
		}
		if at = m.record(at); at < 0 || m.stopped() {
			return -1
		}
	}
	return at
}

func (m dnsMessage) question(at int) int {
	name := at
	if at = m.skipName(at); at < 0 || !m.has(at, 4) {
		return -1
	}
	typ, class := m.u16(at), m.u16(at+2)
	m.s(" ")
	m.nameOr(dnsTypeName(typ), typ, "Type", "")
	top := class & 0x8000
	if m.multicast {
		class &= 0x7fff
	}
	m.class(class)
	if m.multicast {
		if top != 0 {
			m.s(" (QU)")
		} else {
			m.s(" (QM)")
		}
	}
	m.s("? ")
	if at = m.domain(name); at < 0 {
		return -1
	}
	return at + 4
}

func (m dnsMessage) class(class int) {
	if class != 1 {
		m.s(" ")
		m.nameOr(dnsClassName(class), class, "(Class ", ")")
	}
}

func (m dnsMessage) record(at int) int {
	if m.opt.Verbose > 0 {
		m.s(" ")
		if at = m.domain(at); at < 0 {
			return -1
		}
	} else if at = m.skipName(at); at < 0 {
		return m.end // as if it were the last
	}
	if !m.has(at, 10) {
		return m.end
	}
	typ, class := m.u16(at), m.u16(at+2)
	flush := m.multicast && class&0x8000 != 0
	if m.multicast {
		class &= 0x7fff
	}
	if typ != dnsOPT {
		m.class(class)
	}
	if flush {
		m.s(" (Cache flush)")
	}
	if typ != dnsOPT && m.opt.Verbose > 2 {
		m.s(" [")
		m.relative32(m.u32(at + 4))
		m.s("]")
	}
	flags, length := m.u16(at+6), m.u16(at+8)
	at += 10
	m.s(" ")
	m.nameOr(dnsTypeName(typ), typ, "Type", "")
	if !m.has(at, length) {
		return -1
	}
	if !m.data(typ, class, flags, at, length) {
		return -1
	}
	return at + length
}

const (
	dnsA      = 1
	dnsNS     = 2
	dnsCNAME  = 5
	dnsSOA    = 6
	dnsPTR    = 12
	dnsMX     = 15
	dnsTXT    = 16
	dnsAAAA   = 28
	dnsSRV    = 33
	dnsA6     = 38
	dnsDNAME  = 39
	dnsOPT    = 41
	dnsUNSPEC = 104 // as text
	dnsTSIG   = 250
	dnsURI    = 256
)

// data prints what a record is about, and returns false if it is cut.
func (m dnsMessage) data(typ, class, flags, at, length int) bool {
	end := at + length
	switch typ {
	case dnsA:
		if !m.has(at, 4) {
			return false
		}
		m.s(" ")
		m.number4(at)
	case dnsAAAA:
		if !m.has(at, 16) {
			return false
		}
		m.s(" ")
		m.prefix([16]byte(m.Text.data[at : at+16]))
	case dnsNS, dnsCNAME, dnsPTR, dnsDNAME:
		m.s(" ")
		return m.domain(at) >= 0
	case dnsSOA:
		if m.opt.Verbose == 0 {
			return true
		}
		for range 2 {
			m.s(" ")
			if at = m.domain(at); at < 0 {
				return false
			}
		}
		if !m.has(at, 20) {
			return false
		}
		for i := range 5 {
			m.s(" ")
			m.u(int(m.u32(at + 4*i)))
		}
	case dnsMX:
		m.s(" ")
		if !m.has(at, 2) || m.domain(at+2) < 0 {
			return false
		}
		m.s(" ")
		m.u(m.u16(at))
	case dnsTXT:
		for at < end && !m.stopped() {
			n := m.u8(at)
			m.s(" \"")
			if !m.chars(at+1, n) {
				return false
			}
			m.s("\"")
			at += 1 + n
		}
	case dnsSRV: // RFC 2782
		m.s(" ")
		if !m.has(at, 6) || m.domain(at+6) < 0 {
			return false
		}
		m.s(":")
		m.u(m.u16(at + 4))
		m.s(" ")
		m.u(m.u16(at))
		m.s(" ")
		m.u(m.u16(at + 2))
	case dnsA6: // RFC 2874
		return m.a6(at)
	case dnsOPT: // RFC 6891
		m.s(" UDPsize=")
		m.u(class)
		if flags&0x8000 != 0 {
			m.s(" DO")
		}
		if at < end {
			m.s(" [")
			for at < end && !m.stopped() {
				if at = m.option(at); at < 0 {
					return false
				}
				if at < end {
					m.s(",")
				}
			}
			m.s("]")
		}
	case dnsUNSPEC:
		return m.chars(at, length)
	case dnsURI: // RFC 7553
		if !m.has(at, 4) {
			return false
		}
		m.s(" ")
		m.u(m.u16(at))
		m.s(" ")
		m.u(m.u16(at + 2))
		m.s(" ")
		if length < 4 {
			m.chars(at+4, m.end-at-4)
			return false
		}
		return m.chars(at+4, length-4)
	case dnsTSIG:
		return m.opt.Verbose == 0 || m.tsig(at)
	}
	return true
}

func (m dnsMessage) a6(at int) bool {
	if !m.has(at, 1) {
		return false
	}
	bits := m.u8(at)
	if bits > 128 {
		m.s(" ")
		m.u(bits)
		m.s("(bad plen)")
		return true
	}
	known := bits / 8
	if bits < 128 {
		if !m.need(at+1, 16-known) {
			return false
		}
		var a [16]byte
		copy(a[known:], m.Text.data[at+1:at+1+16-known])
		m.s(" ")
		m.u(bits)
		m.s(" ")
		m.prefix(a)
	}
	if bits == 0 {
		return true
	}
	m.s(" ")
	return m.domain(at+1+16-known) >= 0
}

// tsig prints RFC 8945's record, but neither when nor what it signs.
func (m dnsMessage) tsig(at int) bool {
	m.s(" ")
	if at = m.domain(at); at < 0 {
		return false
	}
	at += 6
	for i, title := range []string{" fudge=", " maclen=", " origid=", " error=", " otherlen="} {
		if !m.has(at, 2) {
			return false
		}
		v := m.u16(at)
		m.s(title)
		m.u(v)
		at += 2
		if i == 1 {
			at += v
		}
	}
	return true
}

// option prints an option of the OPT record.
func (m dnsMessage) option(at int) int {
	if !m.has(at, 2) {
		return -1
	}
	code := m.u16(at)
	m.nameOr(dnsOptionName(code), code, "Opt", "")
	if !m.has(at+2, 2) {
		return -1
	}
	n := m.u16(at + 2)
	if at += 4; !m.has(at, n) {
		return -1
	}
	if n > 0 {
		m.s(" ")
		m.optionData(code, at, n)
	}
	return at + n
}

func (m dnsMessage) optionData(code, at, n int) {
	list := func(name func(int) string) {
		for i := range n {
			if i > 0 {
				m.s(" ")
			}
			v := m.u8(at + i)
			m.nameOr(name(v), v, "Alg_", "")
		}
	}
	switch code {
	case 5: // RFC 6975
		list(dnsAlgorithmName)
	case 6:
		list(dnsDigestName)
	case 7:
		list(func(v int) string {
			if v == 1 {
				return "SHA-1"
			}
			return ""
		})
	case 8: // RFC 7871
		m.subnet(at, n)
	case 9: // RFC 7314
		if n != 4 {
			m.invalid()
			return
		}
		m.u(int(m.u32(at)))
		m.s(" sec")
	case 10: // RFC 7873
		if n < 8 || n > 8 && n < 16 || n > 40 {
			m.invalid()
			return
		}
		m.hex(at, 8, "")
		if n > 8 {
			m.s(" ")
			m.hex(at+8, n-8, "")
		}
	case 11: // RFC 7828, in tenths of a second
		if n != 2 {
			m.invalid()
			return
		}
		v := m.u16(at)
		m.u(v / 10)
		m.s(".")
		m.u(v % 10)
		m.s(" sec")
	case 12: // RFC 7830
		m.s("(")
		m.u(n)
		m.s(")")
	case 13: // RFC 7901
		// The name is not compressed: no pointer can be right.
		dnsMessage{m.Text, at + n, false}.domain(at)
	case 14: // RFC 8145
		if n%2 != 0 {
			m.invalid()
			return
		}
		for i := 0; i < n; i += 2 {
			if i > 0 {
				m.s(" ")
			}
			m.u(m.u16(at + i))
		}
	default:
		m.hex(at, n, "")
	}
}

func (m dnsMessage) subnet(at, n int) {
	if n < 4 {
		m.invalid()
		return
	}
	family, source, scope := m.u16(at), m.u8(at+2), m.u8(at+3)
	size := 0
	switch family {
	case 1:
		size = 4
	case 2:
		size = 16
	}
	if n -= 4; size == 0 || n > size || source > 8*size || scope > 8*size || (source+7)/8 != n {
		m.invalid()
		return
	}
	var a [16]byte
	copy(a[:], m.Text.data[at+4:at+4+n])
	if size == 4 {
		m.dotted([4]byte(a[:4]))
	} else {
		m.prefix(a)
	}
	m.s("/")
	m.u(source)
	m.s("/")
	m.u(scope)
}

// extendedResult returns the upper bits of the response code: those in the OPT record, RFC
// 6891, if there is one.
func (m dnsMessage) extendedResult(count *[4]int) int {
	if count[3] == 0 {
		return 0
	}
	at := m.start + 12
	for range count[0] {
		if at = m.skipName(at); at < 0 || at+4 >= m.end {
			return 0
		}
		at += 4
	}
	for i := range count[1] + count[2] + count[3] {
		if at = m.skipName(at); at < 0 || !m.has(at, 10) {
			if at >= 0 && i >= count[1]+count[2] && m.has(at, 5) && m.u16(at) == dnsOPT {
				return m.u8(at + 4)
			}
			return 0
		}
		if i >= count[1]+count[2] && m.u16(at) == dnsOPT {
			return m.u8(at + 4)
		}
		at += 10 + m.u16(at+8)
		if at >= m.end {
			return 0
		}
	}
	return 0
}

// skipName returns the offset behind the name at o, or -1.
func (m dnsMessage) skipName(o int) int {
	for m.has(o, 1) {
		n := int(m.Text.data[o])
		o++
		switch n >> 6 {
		case 0:
			if n == 0 {
				return o
			}
			o += n
		case 1: // a bit string, RFC 2673
			if n != 0x41 || !m.has(o, 1) {
				return -1
			}
			o += 1 + bitBytes(int(m.Text.data[o]))
		case 2:
			return -1
		case 3:
			return o + 1
		}
	}
	return -1
}

func bitBytes(bits int) int {
	if bits == 0 {
		bits = 256
	}
	return (bits + 7) / 8
}

// maxName is how many characters of a name are printed, RFC 1035 section 2.3.4.
const maxName = 255

// domain prints the name at o, and returns the offset behind it.
func (m dnsMessage) domain(o int) int {
	next, limit, printed := -1, o-m.start, 0
	if m.labelLength(o) < 0 {
		return -1
	}
	if m.Text.data[o] == 0 {
		m.s(".")
		return o + 1
	}
	for !m.stopped() {
		if !m.has(o, 1) {
			return -1
		}
		n := m.labelLength(o)
		if n < 0 {
			return -1
		}
		kind := m.Text.data[o]
		o++
		if kind != 0 && o == m.Text.end && (kind < 0xc0 || printed > 0) {
			// tcpdump does not miss a label of which there is nothing.
			if next < 0 {
				next = o + n
			}
			return next
		}
		switch kind >> 6 {
		case 0:
			if kind == 0 {
				if printed > maxName {
					m.s("<DOMAIN NAME TOO LONG>")
				}
				if next < 0 {
					next = o
				}
				return next
			}
			if printed < maxName && !m.chars(o, min(n, maxName-printed)) {
				return -1
			}
			printed += n
		case 1:
			if !m.bitLabel(o) {
				return -1
			}
		case 2:
			return -1
		case 3:
			if !m.has(o, 1) {
				return -1
			}
			if next < 0 {
				next = o + 1
			}
			// Only back, or it never ends.
			to := int(binary.BigEndian.Uint16(m.Text.data[o-1:]) & 0x3fff)
			if to >= limit {
				m.s("<BAD PTR>")
				return -1
			}
			limit, o = to, m.start+to
			continue
		}
		o += n
		if printed <= maxName {
			m.s(".")
		}
		printed++
	}
	return -1
}

// labelLength returns how many bytes follow the first one of the label at o, or -1.
func (m dnsMessage) labelLength(o int) int {
	if !m.has(o, 1) {
		return -1
	}
	n := int(m.Text.data[o])
	switch n >> 6 {
	case 1:
		if n != 0x41 {
			m.s("<ELT ")
			m.u(n & 0x3f)
			m.s(">")
			return -1
		}
		if !m.has(o+1, 1) {
			return -1
		}
		return bitBytes(int(m.Text.data[o+1])) + 1
	case 2:
		m.s("<BAD LABEL TYPE>")
		return -1
	}
	return n
}

// bitLabel prints the bits of RFC 2673's label; their number is at o.
func (m dnsMessage) bitLabel(o int) bool {
	if !m.has(o, 1) {
		return false
	}
	bits := m.u8(o)
	if bits == 0 {
		bits = 256
	}
	m.s("\\[x")
	left := bits
	for o++; left > 7; left -= 8 {
		if !m.has(o, 1) {
			m.s("...")
			return false
		}
		m.x(uint32(m.u8(o)), 2)
		o++
	}
	switch {
	case left > 4:
		m.x(uint32(m.u8(o)&(0xff<<(8-left))&0xff), 2)
	case left > 0:
		m.x(uint32(m.u8(o)>>4&(0x0f<<(4-left))&0x0f), 1)
	}
	m.s("/")
	m.u(bits)
	m.s("]")
	return true
}

func (t *Text) dnsResult(code int) {
	names := [...]string{"", " FormErr", " ServFail", " NXDomain", " NotImp", " Refused", " YXDomain", " YXRRSet",
		" NXRRSet", " NotAuth", " NotZone", " Resp11", " Resp12", " Resp13", " Resp14", " NoChange",
		" BadVers", "Resp17", " Resp18", " Resp19", " Resp20", "Resp21", " Resp22", " BadCookie"}
	if code < len(names) {
		t.s(names[code])
		return
	}
	t.s(" Resp")
	t.u(code)
}

func dnsOperation(op int) string {
	return [...]string{"", " inv_q", " stat", " op3", " notify", " update", " op6", " op7",
		" op8", " updateA", " updateD", " updateDA", " updateM", " updateMA", " zoneInit", " zoneRef"}[op]
}

func dnsClassName(class int) string {
	switch class {
	case 3:
		return "CHAOS"
	case 4:
		return "HS"
	case 255:
		return "ANY"
	}
	return ""
}

// dnsTypeName returns tcpdump's name of a type of record, if it has one.
func dnsTypeName(typ int) string {
	const first = "A NS MD MF CNAME SOA MB MG MR NULL WKS PTR HINFO MINFO MX TXT RP AFSDB X25 ISDN RT NSAP NSAP_PTR SIG KEY PX GPOS AAAA LOC NXT EID NIMLOC SRV ATMA NAPTR KX CERT A6 DNAME SINK OPT APL DS SSHFP IPSECKEY RRSIG NSEC DNSKEY"
	if typ >= 1 && typ <= 48 {
		return word(first, typ-1)
	}
	switch typ {
	case 99:
		return "SPF"
	case 100:
		return "UINFO"
	case 101:
		return "UID"
	case 102:
		return "GID"
	case 103:
		return "UNSPEC"
	case dnsUNSPEC:
		return "UNSPECA"
	case 249:
		return "TKEY"
	case dnsTSIG:
		return "TSIG"
	case 251:
		return "IXFR"
	case 252:
		return "AXFR"
	case 253:
		return "MAILB"
	case 254:
		return "MAILA"
	case 255:
		return "ANY"
	case dnsURI:
		return "URI"
	}
	return ""
}

// word returns the word n of words, which spaces separate.
func word(words string, n int) string {
	start := 0
	for i := range len(words) {
		if words[i] != ' ' {
			continue
		}
		if n == 0 {
			return words[start:i]
		}
		n--
		start = i + 1
	}
	if n > 0 {
		return ""
	}
	return words[start:]
}

func dnsOptionName(code int) string {
	switch code {
	case 15: // Extended DNS Errors, RFC 8914, have none
		return ""
	case 16:
		return "CLIENT-TAG"
	case 17:
		return "SERVER-TAG"
	}
	if code < 1 || code > 14 {
		return ""
	}
	name := word("LLQ UL NSID - DAU DHU N3U ECS EXPIRE COOKIE KEEPALIVE PADDING CHAIN KEY-TAG", code-1)
	if name == "-" {
		return ""
	}
	return name
}

// dnsAlgorithmName names the algorithms of RFC 8624, as tcpdump does.
func dnsAlgorithmName(v int) string {
	switch v {
	case 252:
		return "INDIRECT"
	case 253:
		return "PRIVATEDNS"
	case 254:
		return "PRIVATEOID"
	}
	if v > 16 {
		return ""
	}
	name := word("DELETE RSAMD5 DH DS - RSASHA1 DSA-NSEC3-SHA1 RSASHA1-NSEC3-SHA1 RSASHA256 - RSASHA512 - ECC-GOST ECDSAP256SHA256 ECDSAP384SHA384 ED25519 ED448", v)
	if name == "-" {
		return ""
	}
	return name
}

func dnsDigestName(v int) string {
	switch v {
	case 1:
		return "SHA-1"
	case 2:
		return "SHA-256"
	case 3:
		return "GOST_R_34.11-94"
	case 4:
		return "SHA-384"
	}
	return ""
}
