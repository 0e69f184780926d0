package decode

// PPP protocol numbers, https://www.iana.org/assignments/ppp-numbers.
const (
	pppIP     = 0x21
	pppVJC    = 0x2d
	pppVJNC   = 0x2f
	pppML     = 0x3d
	pppIPv6   = 0x57
	pppComp   = 0xfd
	pppMPLS   = 0x281
	pppMPLSM  = 0x283
	pppIPCP   = 0x8021
	pppOSICP  = 0x8023
	pppIPv6CP = 0x8057
	pppCCP    = 0x80fd
	pppMPLSCP = 0x8281
	pppLCP    = 0xc021
	pppPAP    = 0xc023
	pppLQM    = 0xc025
	pppSPAP   = 0xc027
	pppBACP   = 0xc02b
	pppBAP    = 0xc02d
	pppSPAPo  = 0xc123 // the old number
	pppCHAP   = 0xc223
	pppEAP    = 0xc227
)

// ppp prints a frame of RFC 1661, which may begin with an address and a control field.
func (t *Text) ppp(o, length int) {
	t.proto = "ppp"
	total := length
	if length < 2 {
		t.trunc()
		return
	}
	switch t.u16(o) {
	case 0x0003: // pppd's, from the peer
		if t.opt.LinkHeader {
			t.s("In  ")
		}
		o, length = o+2, length-2
	case 0x0103:
		if t.opt.LinkHeader {
			t.s("Out ")
		}
		o, length = o+2, length-2
	case 0xff03:
		o, length = o+2, length-2
	}
	if length < 2 {
		t.trunc()
		return
	}
	proto := t.u8(o)
	if proto%2 != 0 { // compressed
		o, length = o+1, length-1
	} else {
		proto = t.u16(o)
		o, length = o+2, length-2
	}
	if t.opt.LinkHeader {
		t.name(pppName(proto), "unknown")
		t.s(" (0x")
		t.x(uint32(proto), 4)
		t.s("), length ")
		t.u(total)
		if pppName(proto) == "" {
			return
		}
		t.s(": ")
	}
	t.pppProtocol(proto, o, length)
}

func (t *Text) pppProtocol(proto, o, length int) {
	switch proto {
	case pppLCP, pppIPCP, pppOSICP, pppMPLSCP, pppIPv6CP, pppCCP, pppBACP:
		t.pppControl(proto, o, length)
	case pppML:
		t.pppMultilink(o, length)
	case pppCHAP:
		t.chap(o, length)
	case pppPAP:
		t.pap(o, length)
	case pppBAP:
	case pppIP, pppVJNC, 0x0800:
		t.ip(o, length)
	case pppIPv6, 0x86dd:
		t.ip6(o, length)
	case pppMPLS, pppMPLSM:
		t.mpls(o, length)
	case pppComp:
		t.s("compressed PPP data")
	default:
		if name := pppName(proto); name != "" {
			t.s(name)
		} else {
			t.s("unknown PPP protocol (0x")
			t.x(uint32(proto), 4)
			t.s(")")
		}
		t.s(" ")
		t.unknownData("\n\t", o, length)
	}
}

// cutOf marks a truncation with a name that is not the protocol's.
func (t *Text) cutOf(name string) {
	t.s("[|")
	t.s(name)
	t.s("]")
	t.stop()
}

// pppControl prints a message of LCP, or of a protocol that works like it.
func (t *Text) pppControl(proto, o, length int) {
	name := pppName(proto)
	t.s(name)
	t.s(", ")
	if length < 4 || !t.has(o, 2) {
		t.cutOf(name)
		return
	}
	code := t.u8(o)
	t.name(pppCodeName(code), "Unknown Opcode")
	t.s(" (0x")
	t.x(uint32(code), 2)
	t.s("), id ")
	t.u(t.u8(o + 1))
	t.s(", length ")
	t.u(length + 2)
	if t.opt.Verbose == 0 {
		return
	}
	n := t.u16(o + 2)
	if t.stopped() {
		return
	}
	t.s("\n\tencoded length ")
	t.u(n)
	switch {
	case n < 4:
		t.s(" (< 4))")
		return
	case n > length:
		t.s(" (> packet length ")
		t.u(length)
		t.s("))")
		return
	}
	t.s(" (=Option(s) length ")
	t.u(n - 4)
	t.s(")")
	if n == 4 {
		return
	}
	if t.opt.Verbose > 1 {
		t.unknownData("\n\t", o-2, 6)
	}
	at := o + 4
	magic := func(least int) bool {
		if n < least {
			return false
		}
		v := t.u32(at)
		if t.stopped() {
			return false
		}
		t.s("\n\t  Magic-Num 0x")
		t.x(v, 8)
		return true
	}
	switch code {
	case 0: // RFC 2153
		if magic(11) {
			oui := t.u24(at + 4)
			t.s(" Vendor: ")
			t.name(ouiName(oui), "Unknown")
			t.s(" (")
			t.u(oui)
			t.s(")")
		}
	case 1, 2, 3, 4:
		t.pppOptions(proto, at, n)
	case 5, 6, 7:
	case 8:
		if n < 6 {
			break
		}
		rejected := t.u16(at)
		t.s("\n\t  Rejected ")
		t.name(pppName(rejected), "unknown")
		t.s(" Protocol (0x")
		t.x(uint32(rejected), 4)
		t.s(")")
		if n > 6 {
			t.s("\n\t  Rejected Packet")
			t.unknownData("\n\t    ", at+2, n-2)
		}
	case 9, 10, 11:
		if magic(8) && n > 8 {
			t.s("\n\t  -----trailing data-----")
			if !t.has(at+4, n-8) {
				t.cutOf(name)
				return
			}
			t.unknownData("\n\t  ", at+4, n-8)
		}
	case 12: // RFC 1570
		if magic(8) && n > 8 {
			t.s("\n\t  Message\n\t    ")
			if !t.chars(at+4, n-4) {
				t.cutOf(name)
			}
		}
	case 13:
		if magic(12) {
			t.s(", Seconds-Remaining ")
			t.u(int(t.u32(at + 4)))
			t.s("s")
		}
	default:
		if t.opt.Verbose == 1 {
			t.unknownData("\n\t  ", o-2, n+2)
		}
	}
}

// pppOptions prints the options of a configuration of n bytes, its header included, a
// line each.
func (t *Text) pppOptions(proto, o, n int) {
	for left := n - 4; ; {
		size := t.pppOption(proto, o, n)
		if size == 0 || t.stopped() {
			return
		}
		if left < size {
			t.s(" [remaining options length ")
			t.u(left)
			t.s(" < ")
			t.u(size)
			t.s("]")
			t.invalid()
			return
		}
		if o, left = o+size, left-size; left == 0 {
			return
		}
	}
}

// pppOption returns the option's size, or 0 if nothing can follow.
func (t *Text) pppOption(proto, o, most int) int {
	short := ""
	switch proto {
	case pppLCP:
		short = "lcp"
	case pppIPCP:
		short = "ipcp"
	case pppIPv6CP:
		short = "ip6cp"
	case pppCCP:
		short = "ccp"
	case pppBACP:
		short = "bacp"
	default:
		return 0
	}
	if most < 2 {
		return 0
	}
	if !t.has(o, 2) {
		t.cutOf(short)
		return 0
	}
	code, n := t.u8(o), t.u8(o+1)
	if n > most {
		return 0
	}
	name, unknown := pppOptionName(proto, code), "unknown"
	if proto == pppCCP || proto == pppBACP {
		unknown = "Unknown"
	}
	if proto == pppLCP && name == "" {
		t.s("\n\tunknown LCP option 0x")
		t.x(uint32(code), 2)
		if n < 2 {
			return 0
		}
		return n
	}
	t.s("\n\t  ")
	t.name(name, unknown)
	t.s(" Option (0x")
	t.x(uint32(code), 2)
	t.s("), length ")
	t.u(n)
	if n < 2 {
		t.s(" (length bogus, should be >= 2)")
		return 0
	}
	known, goesOn, dump := true, true, o
	switch proto {
	case pppLCP:
		known, goesOn = t.lcpOption(code, o, n)
	case pppIPCP:
		known, goesOn = t.ipcpOption(code, o, n, &dump)
	case pppIPv6CP:
		if known = code == 1; known {
			if !t.bogus(n, 10, true) {
				return n
			}
			if !t.has(o+2, 8) {
				t.cutOf(short)
				return 0
			}
			t.s(": ")
			for i := range 4 {
				if i > 0 {
					t.s(":")
				}
				t.x(uint32(t.u16(o+2+2*i)), 4)
			}
		}
	case pppCCP:
		if known, goesOn = t.ccpOption(code, o, n); !goesOn {
			return n
		}
	case pppBACP:
		if known = code == 1; known {
			if !t.bogus(n, 6, true) {
				return n
			}
			v := t.u32(o + 2)
			t.s(": Magic-Num 0x")
			t.x(v, 8)
		}
	}
	if !goesOn {
		// Of LCP's some leave only themselves out.
		if proto == pppLCP && code <= 3 || proto == pppIPCP && code == 1 {
			return n
		}
		return 0
	}
	if t.opt.Verbose > 1 || !known {
		t.unknownData("\n\t    ", dump+2, n-2)
	}
	return n
}

// bogus returns false, and says so, if the length is less than it should be, or another
// than it should be exactly.
func (t *Text) bogus(n, want int, exactly bool) bool {
	if n == want || n > want && !exactly {
		return true
	}
	t.s(" (length bogus, should be ")
	if exactly {
		t.s("= ")
	} else {
		t.s(">= ")
	}
	t.u(want)
	t.s(")")
	return false
}

func (t *Text) lcpOption(code, o, n int) (known, goesOn bool) {
	number := func(want int) bool {
		if !t.bogus(n, want, true) {
			return false
		}
		t.s(": ")
		t.u(t.u16(o + 2))
		return true
	}
	switch code {
	case 0:
		if !t.bogus(n, 6, false) {
			return true, false
		}
		oui := t.u24(o + 2)
		t.s(": Vendor: ")
		t.name(ouiName(oui), "Unknown")
		t.s(" (")
		t.u(oui)
		t.s(")")
	case 1, 17:
		return true, number(4)
	case 2, 5:
		if !t.bogus(n, 6, true) {
			return true, false
		}
		v := t.u32(o + 2)
		t.s(": 0x")
		t.x(v, 8)
	case 3:
		if !t.bogus(n, 4, false) {
			return true, false
		}
		t.s(": ")
		proto := t.u16(o + 2)
		t.name(pppName(proto), "Unknown Auth Proto (0x04x)")
		switch proto {
		case pppCHAP:
			algorithm, name := t.u8(o+4), ""
			switch algorithm {
			case 5:
				name = "MD5"
			case 128:
				name = "MS-CHAPv1"
			case 129:
				name = "MS-CHAPv2"
			}
			t.s(", ")
			t.nameOr(name, algorithm, "Unknown Auth Alg ", "")
		case pppPAP, pppEAP, pppSPAP, pppSPAPo:
		default:
			t.unknownData("\n\t", o, n)
		}
	case 4:
		if !t.bogus(n, 4, false) {
			return true, false
		}
		if t.u16(o+2) == pppLQM {
			t.s(": LQR")
		} else {
			t.s(": unknown")
		}
	case 7, 8:
	case 23:
		if !t.bogus(n, 4, true) {
			return true, false
		}
		v := t.u16(o + 2)
		t.s(": 0x")
		t.x(uint32(v), 4)
	case 13:
		if !t.bogus(n, 3, false) {
			return true, false
		}
		operation, name := t.u8(o+2), ""
		switch operation {
		case 0, 1, 2, 3, 4:
			name = word("UserAuth DialString LocalID E.164 X.500", operation)
		case 6:
			name = "CBCP"
		}
		t.s(": : Callback Operation ")
		t.name(name, "Unknown")
		t.s(" (")
		t.u(operation)
		t.s(")")
	case 19:
		return true, t.endpointDiscriminator(o, n)
	default:
		return false, true
	}
	return true, true
}

// endpointDiscriminator prints RFC 1990's option.
func (t *Text) endpointDiscriminator(o, n int) bool {
	if !t.bogus(n, 3, false) {
		return false
	}
	switch class := t.u8(o + 2); class {
	case 0:
		t.s(": Null")
	case 1:
		t.s(": Local")
	case 2:
		if !t.bogus(n, 7, true) {
			return false
		}
		t.s(": IPv4 ")
		t.ip4Addr(o + 3)
	case 3:
		if !t.bogus(n, 9, true) {
			return false
		}
		t.s(": MAC ")
		t.mac(o + 3)
	case 4:
		t.s(": Magic-Num-Block")
	case 5:
		t.s(": PSNDN")
	default:
		t.s(": Unknown class ")
		t.u(class)
	}
	return true
}

func (t *Text) ipcpOption(code, o, n int, dump *int) (known, goesOn bool) {
	switch code {
	case 1:
		if !t.bogus(n, 10, true) {
			return true, false
		}
		t.s(": src ")
		t.ip4Addr(o + 2)
		t.s(", dst ")
		t.ip4Addr(o + 6)
	case 2:
		if !t.bogus(n, 4, false) {
			return true, false
		}
		proto := t.u16(o + 2)
		t.s(": ")
		switch proto {
		case pppVJC:
			t.s("VJ-Comp")
		case 0x61:
			t.s("IP Header Compression")
		default:
			t.s("Unknown")
		}
		t.s(" (0x")
		t.x(uint32(proto), 2)
		t.s("):")
		if proto == 0x61 {
			return true, t.headerCompression(o, n, dump)
		}
	case 3, 4, 129, 130, 131, 132:
		if !t.bogus(n, 6, true) {
			return true, false
		}
		t.s(": ")
		t.ip4Addr(o + 2)
	default:
		return false, true
	}
	return true, true
}

// headerCompression prints RFC 3544's option. Of its suboptions tcpdump dumps what is
// behind them.
func (t *Text) headerCompression(o, n int, dump *int) bool {
	if !t.bogus(n, 14, false) {
		return false
	}
	if !t.has(o+2, 14) {
		t.cutOf("ipcp")
		return false
	}
	for i, title := range []string{"\n\t    TCP Space ", ", non-TCP Space ", ", maxPeriod ", ", maxTime ", ", maxHdr "} {
		t.s(title)
		t.u(t.u16(o + 4 + 2*i))
	}
	left := n - 14
	if left == 0 {
		return true
	}
	t.s("\n\t      Suboptions, length ")
	t.u(left)
	for o += 14; left >= 2; {
		*dump = o
		if !t.has(o, 2) {
			t.cutOf("ipcp")
			return false
		}
		code, size := t.u8(o), t.u8(o+1)
		if code == 0 || size == 0 {
			break
		}
		t.s("\n\t\t")
		switch code {
		case 1:
			t.s("RTP-Compression")
		case 2:
			t.s("Enhanced RTP-Compression")
		default:
			t.s("Unknown")
		}
		t.s(" Suboption #")
		t.u(code)
		t.s(", length ")
		t.u(size)
		if left < size {
			t.s(" [remaining suboptions length ")
			t.u(left)
			t.s(" < ")
			t.u(size)
			t.s("]")
			t.invalid()
			break
		}
		o, left = o+size, left-size
		*dump = o
	}
	return true
}

func (t *Text) ccpOption(code, o, n int) (known, goesOn bool) {
	switch code {
	case 21:
		if !t.bogus(n, 3, false) {
			return true, false
		}
		v := t.u8(o + 2)
		t.s(": Version: ")
		t.u(v >> 5)
		t.s(", Dictionary Bits: ")
		t.u(v & 31)
	case 24:
		if !t.bogus(n, 4, false) {
			return true, false
		}
		v := t.u8(o + 2)
		t.s(": Features: ")
		t.u(v >> 6)
		if v&0x20 != 0 {
			t.s(", PxP: Enabled, History: ")
		} else {
			t.s(", PxP: Disabled, History: ")
		}
		t.u(v & 31)
		t.s(", #CTX-ID: ")
		t.u(t.u8(o + 3))
	case 26:
		if !t.bogus(n, 4, false) {
			return true, false
		}
		v := t.u8(o + 2)
		t.s(": Window: ")
		t.u(v >> 4)
		t.s("K, Method: ")
		if v&15 == 8 {
			t.s("zlib (0x")
		} else {
			t.s("unknown (0x")
		}
		t.x(uint32(v&15), 1)
		v = t.u8(o + 3)
		t.s("), MBZ: ")
		t.u(v >> 2)
		t.s(", CHK: ")
		t.u(v & 3)
	default:
		return false, true
	}
	return true, true
}

func (t *Text) pppMultilink(o, length int) {
	if !t.opt.LinkHeader {
		t.s("MLPPP, ")
	}
	if length < 2 || !t.has(o, 2) {
		t.cutOf("mlppp")
		return
	}
	t.s("seq 0x")
	t.x(uint32(t.u16(o)&0xfff), 3)
	t.s(", Flags [")
	t.flags([]flag{{0x80, "begin"}, {0x40, "end"}}, uint32(t.u8(o)&0xc0), ", ", "none")
	t.s("], length ")
	t.u(length)
}

// authentication prints the start of a message of CHAP or PAP, and reports whether
// there is more.
func (t *Text) authentication(title, short, codes string, o, length int) bool {
	if length < 1 {
		t.cutOf(short)
		return false
	}
	code := t.u8(o)
	if length < 4 {
		if !t.stopped() {
			t.s("[|")
			t.s(short)
			t.s(" 0x")
			t.x(uint32(code), 2)
			t.s("]")
		}
		return false
	}
	name := ""
	if code > 0 {
		name = word(codes, code-1)
	}
	t.s(title)
	t.name(name, "unknown")
	t.s(" (0x")
	t.x(uint32(code), 2)
	t.s("), id ")
	t.u(t.u8(o + 1))
	t.need(o+2, 2)
	return !t.stopped()
}

// text8 prints a string of the length that is in front of it, if length bytes have room
// for it, and returns how many it took.
func (t *Text) text8(title string, o, length int) int {
	if length < 1 {
		return length + 1
	}
	n := t.u8(o)
	if length-1 < n {
		return length + 1
	}
	t.s(title)
	if !t.chars(o+1, n) {
		t.trunc()
	}
	return n + 1
}

// chap prints RFC 1994's messages.
func (t *Text) chap(o, length int) {
	if !t.authentication("CHAP, ", "chap", "Challenge Response Success Fail", o, length) {
		return
	}
	n := t.u16(o + 2)
	rest := func(title string, at int) {
		t.s(title)
		size := n - (at - o)
		if size < 0 { // more than any packet has
			size = t.end
		}
		if !t.chars(at, size) {
			t.trunc()
		}
	}
	switch t.u8(o) {
	case 1, 2:
		if length < 5 {
			return
		}
		size := t.u8(o + 4)
		if length-5 < size {
			return
		}
		t.s(", Value ")
		t.hex(o+5, min(size, max(0, t.end-o-5)), "")
		t.need(o+5, size)
		rest(", Name ", o+5+size)
	case 3, 4:
		rest(", Msg ", o+4)
	}
}

// pap prints RFC 1334's messages.
func (t *Text) pap(o, length int) {
	if !t.authentication("PAP, ", "pap", "Auth-Req Auth-ACK Auth-NACK", o, length) {
		return
	}
	n := t.u16(o + 2)
	switch {
	case n > length:
		t.s(", length ")
		t.u(n)
		t.s(" > packet size")
		return
	case n < 4:
		t.s(", length ")
		t.u(n)
		t.s(" < PAP header length")
		return
	}
	switch code := t.u8(o); code {
	case 1:
		if n < 6 {
			t.cutOf("pap")
			return
		}
		at := o + 4
		at += t.text8(", Peer ", at, n-4)
		t.text8(", Name ", at, n-(at-o))
	case 2, 3:
		if n < 5 {
			t.cutOf("pap")
			return
		}
		t.text8(", Msg ", o+4, n-4)
	}
}

// pppName returns tcpdump's name of a protocol number, if it has one.
func pppName(proto int) string {
	switch proto {
	case pppIP:
		return "IP"
	case 0x23:
		return "OSI"
	case 0x25:
		return "NS"
	case 0x27:
		return "DECNET"
	case 0x29:
		return "APPLE"
	case 0x2b:
		return "IPX"
	case pppVJC:
		return "VJC IP"
	case pppVJNC:
		return "VJNC IP"
	case 0x31:
		return "BRPDU"
	case 0x33:
		return "STII"
	case 0x35:
		return "VINES"
	case pppMPLS, pppMPLSM:
		return "MPLS"
	case pppComp:
		return "Compressed"
	case pppML:
		return "MLPPP"
	case pppIPv6:
		return "IP6"
	case 0x201:
		return "HELLO"
	case 0x231:
		return "LUXCOM"
	case 0x233:
		return "SNS"
	case pppIPCP:
		return "IPCP"
	case pppOSICP:
		return "OSICP"
	case 0x8025:
		return "NSCP"
	case 0x8027:
		return "DECNETCP"
	case 0x8029:
		return "APPLECP"
	case 0x802b:
		return "IPXCP"
	case 0x8033:
		return "STIICP"
	case 0x8035:
		return "VINESCP"
	case pppIPv6CP:
		return "IP6CP"
	case pppMPLSCP:
		return "MPLSCP"
	case pppLCP:
		return "LCP"
	case pppPAP:
		return "PAP"
	case pppLQM:
		return "LQM"
	case pppCHAP:
		return "CHAP"
	case pppEAP:
		return "EAP"
	case pppSPAP:
		return "SPAP"
	case pppSPAPo:
		return "Old-SPAP"
	case pppBACP:
		return "BACP"
	case pppBAP:
		return "BAP"
	case 0x803d:
		return "MLPPP-CP"
	case pppCCP:
		return "CCP"
	}
	return ""
}

func pppCodeName(code int) string {
	return word("Vendor-Extension Conf-Request Conf-Ack Conf-Nack Conf-Reject Term-Request Term-Ack Code-Reject Prot-Reject Echo-Request Echo-Reply Disc-Req Ident Time-Rem Reset-Req Reset-Ack", code)
}

func pppOptionName(proto, code int) string {
	switch proto {
	case pppLCP:
		if code == 18 {
			return "12-Bit seq #"
		}
		return word("Vend-Ext MRU ACCM Auth-Prot Qual-Prot Magic-Num deprecated(6) PFC ACFC FCS-Alt SDP Num-Mode deprecated(12) Call-Back deprecated(14) deprecated(15) deprecated(16) MRRU - End-Disc Proprietary DCE-Id MP+ Link-Disc LCP-Auth-Opt COBS Prefix-elision Multilink-header-Form I18N SDL-over-SONET/SDH PPP-Muxing", code)
	case pppIPCP:
		switch {
		case code >= 1 && code <= 4:
			return word("IP-Addrs IP-Comp IP-Addr Home-Addr", code-1)
		case code >= 129 && code <= 132:
			return word("Pri-DNS Pri-NBNS Sec-DNS Sec-NBNS", code-129)
		}
	case pppIPv6CP:
		if code == 1 {
			return "Interface-ID"
		}
	case pppCCP:
		switch {
		case code <= 3:
			return word("OUI Pred-1 Pred-2 Puddle", code)
		case code >= 16 && code <= 21:
			return word("HP-PPC Stac-LZS MPPC Gand-FZA V.42bis BSD-Comp", code-16)
		case code >= 23 && code <= 26:
			return word("LZS-DCP MVRCA DEC Deflate", code-23)
		case code == 255:
			return "Reserved"
		}
	case pppBACP:
		if code == 1 {
			return "Favored-Peer"
		}
	}
	return ""
}
