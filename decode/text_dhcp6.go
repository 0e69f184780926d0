package decode

// Codes of RFC 8415's options that others are in, or that are looked into.
const (
	dhcp6IANA       = 3
	dhcp6IATA       = 4
	dhcp6IAAddr     = 5
	dhcp6IAPD       = 25
	dhcp6IAPrefix   = 26
	dhcp6RelayOf    = 9
	dhcp6LeaseQuery = 44
	dhcp6ClientData = 45
)

// dhcp6 prints RFC 8415's messages, with -v all of it.
func (t *Text) dhcp6(o, length int) { t.dhcp6In(o, length, 0) }

// maxRelays is how many relays a message may have passed: RFC 8415 section 19.1.1 allows 32.
const maxRelays = 32

// dhcp6In prints a message that relays have put into one another.
func (t *Text) dhcp6In(o, length, relays int) {
	t.proto = "dhcp6"
	t.s("dhcp6")
	end := min(t.end, o+length)
	// Of the outermost tcpdump asks only what was captured.
	if !t.has(o, 4) || relays > 0 && end < o+4 {
		t.dhcp6Cut()
		return
	}
	kind := t.u8(o)
	relay := kind == 12 || kind == 13
	t.s(" ")
	t.nameOr(dhcp6Name(kind), kind, "msgtype-", "")
	if t.opt.Verbose == 0 {
		return
	}
	t.s(" (")
	if !relay {
		t.s("xid=")
		t.x(uint32(t.u24(o+1)), 1)
		if o+4 < end {
			t.dhcp6Options(o+4, end, relays)
		}
		t.s(")")
		return
	}
	if !t.need(o+2, 16) {
		return
	}
	t.s("linkaddr=")
	t.ip6Addr(o + 2)
	if !t.need(o+18, 16) {
		return
	}
	t.s(" peeraddr=")
	t.ip6Addr(o + 18)
	if o+34 < end {
		t.dhcp6Options(o+34, end, relays)
	}
	t.s(")")
}

func dhcp6Name(kind int) string {
	if kind < 1 {
		return ""
	}
	return word("solicit advertise request confirm renew rebind reply release decline reconfigure inf-req relay-fwd relay-reply leasequery leasequery-reply", kind-1)
}

// dhcp6Cut marks options that end too early. What encloses them goes on.
func (t *Text) dhcp6Cut() { t.s(" [|dhcp6]") }

func dhcp6OptionName(code int) string {
	switch code {
	case 56:
		return "NTP-server"
	case 64:
		return "AFTR-Name"
	case 112:
		return "MUD-URL"
	}
	return pick(code, "", "client-ID", "server-ID", "IA_NA", "IA_TA", "IA_ADDR", "option-request", "preference", "elapsed-time", "relay-message", "", "authentication", "server-unicast",
		"status-code", "rapid-commit", "user-class", "vendor-class", "vendor-specific-info", "interface-ID", "reconfigure-message", "reconfigure-accept", "SIP-servers-domain",
		"SIP-servers-address", "DNS-server", "DNS-search-list", "IA_PD", "IA_PD-prefix", "NIS-server", "NIS+-server", "NIS-domain-name", "NIS+-domain-name", "SNTP-servers", "lifetime",
		"BCMCS-domain-name", "BCMCS-server", "", "Geoconf-Civic", "Remote-ID", "Subscriber-ID", "Client-FQDN", "PANA-agent", "POSIX-timezone", "POSIX-tz-database", "Echo-request-option",
		"Lease-query", "LQ-client-data", "Clt-time", "LQ-relay-data", "LQ-client-link")
}

// dhcp6Code prints the name of an option.
func (t *Text) dhcp6Code(code int) { t.nameOr(dhcp6OptionName(code), code, "opt_", "") }

// dhcp6Options prints the options between o and end.
func (t *Text) dhcp6Options(o, end, relays int) {
	for o < end && !t.stopped() {
		if end < o+4 {
			t.dhcp6Cut()
			return
		}
		code, n := t.u16(o), t.u16(o+2)
		if end < o+4+n {
			t.dhcp6Cut()
			return
		}
		t.s(" (")
		t.dhcp6Code(code)
		if !t.dhcp6Option(code, o+4, n, relays) {
			t.dhcp6Cut()
			return
		}
		t.s(")")
		o += 4 + n
	}
}

// dhcp6Option prints what an option says, and returns false if it ends too early.
func (t *Text) dhcp6Option(code, o, n, relays int) bool {
	end := o + n
	if least, most := dhcp6Size(code); n < least || n > most {
		t.s(" ?")
		return true
	}
	switch code {
	case 1, 2:
		t.dhcp6Identifier(o, n)
	case dhcp6IANA, dhcp6IAPD:
		t.s(" IAID:")
		t.u(int(t.u32(o)))
		t.s(" T1:")
		t.u(int(t.u32(o + 4)))
		t.s(" T2:")
		t.u(int(t.u32(o + 8)))
		t.dhcp6Options(o+12, end, relays)
	case dhcp6IATA:
		t.s(" IAID:")
		t.u(int(t.u32(o)))
		t.dhcp6Options(o+4, end, relays)
	case dhcp6IAAddr:
		t.s(" ")
		t.ip6Addr(o)
		t.s(" pltime:")
		t.u(int(t.u32(o + 16)))
		t.s(" vltime:")
		t.u(int(t.u32(o + 20)))
		t.dhcp6Options(o+24, end, relays)
	case dhcp6IAPrefix:
		t.s(" ")
		t.ip6Addr(o + 9)
		t.numbers("/", t.u8(o+8), " pltime:", int(t.u32(o)), " vltime:", int(t.u32(o+4)))
		t.dhcp6Options(o+25, end, relays)
	case 6, 43:
		if n%2 != 0 {
			t.s(" ?")
			break
		}
		for ; o < end; o += 2 {
			t.s(" ")
			t.dhcp6Code(t.u16(o))
		}
	case 7:
		t.numbers(" ", t.u8(o))
	case 8:
		t.numbers(" ", t.u16(o))
	case dhcp6RelayOf:
		t.s(" (")
		if relays < maxRelays { // tcpdump does not close the bracket
			t.dhcp6In(o, n, relays+1)
		}
	case 11:
		t.dhcp6Authentication(o, n)
	case 13:
		t.s(" ")
		status := t.u16(o)
		name := word("Success UnspecFail NoAddrsAvail NoBinding NotOnLink UseMulticast NoPrefixAvail UnknownQueryType MalformedQuery NotConfigured NotAllowed", status)
		if status > 255 {
			name = "INVALID code"
		}
		t.nameOr(name, status, "code", "")
	case 18, 38:
		t.s(" ")
		t.dhcp6Start(o, n)
	case 19:
		switch kind := t.u8(o); kind {
		case 5, 11:
			t.s(" for ")
			t.s(dhcp6Name(kind))
		default:
			t.s(" for ???(")
			t.x(uint32(kind), 2)
			t.s(")")
		}
	case 21, 24:
		m := dnsMessage{t, end, false}
		for o < end {
			t.s(" ")
			if o = m.domain(o); o < 0 {
				return false
			}
		}
	case 22, 23, 27, 28, 31, 34, 40, 48:
		if n%16 != 0 {
			t.s(" ?")
			break
		}
		for ; o < end; o += 16 {
			t.s(" ")
			t.ip6Addr(o)
		}
	case 32, 46:
		t.numbers(" ", int(t.u32(o)))
	case 37:
		t.numbers(" ", int(t.u32(o)), " ")
		t.dhcp6Start(o+4, n-4)
	case 41, 42, 112:
		t.s(" ")
		for ; o < end && t.u8(o) != 0; o++ {
			t.char(byte(t.u8(o)))
		}
	case dhcp6LeaseQuery:
		t.s(" ")
		kind := t.u8(o)
		t.nameOr(pick(kind, "", "by-address", "by-clientID"), kind, "type_", "")
		t.s(" ")
		t.ip6Addr(o + 1)
		t.dhcp6Options(o+17, end, relays)
	case dhcp6ClientData:
		if n > 0 {
			t.dhcp6Options(o, end, relays)
		}
	case 47:
		t.s(" ")
		t.ip6Addr(o)
		t.s(" ")
		t.dhcp6Start(o+16, n-16)
	case 56:
		return t.dhcp6TimeServer(o, n)
	case 64:
		t.dhcp6AFTR(o, n)
	}
	return true
}

// dhcp6Size returns how long the value of an option may be.
func dhcp6Size(code int) (least, most int) {
	const any = 0xffff
	sizes := [...]int{1: 2, 2: 2, dhcp6IANA: 12, dhcp6IATA: 4, dhcp6IAAddr: 24, 7: 1, 8: 2, 11: 11, 13: 2, 19: 1, dhcp6IAPD: 12, dhcp6IAPrefix: 25, 32: 4, 37: 4, 41: 5, 42: 5,
		dhcp6LeaseQuery: 17, 46: 4, 47: 16, 56: 4, 64: 3, 112: 5}
	if code < len(sizes) {
		least = sizes[code]
	}
	switch code {
	case 7, 8, 19, 32, 46:
		return least, least
	}
	return least, any
}

// dhcp6Start prints the first ten of n bytes.
func (t *Text) dhcp6Start(o, n int) {
	t.hex(o, min(n, 10), "")
	t.s("...")
}

// dhcp6Identifier prints who somebody is, RFC 8415 section 11.
func (t *Text) dhcp6Identifier(o, n int) {
	kind := t.u16(o)
	switch {
	case kind == 1 && n >= 8:
		t.numbers(" hwaddr/time type ", t.u16(o+2), " time ", int(t.u32(o+4)), " ")
		t.hex(o+8, n-8, "")
	case kind == 2 && n >= 10:
		t.s(" vid ")
		t.hex(o+2, 8, "")
	case kind == 3 && n >= 4:
		t.numbers(" hwaddr type ", t.u16(o+2), " ")
		t.hex(o+4, n-4, "")
	case kind >= 1 && kind <= 3:
		t.s(" ?")
	default:
		t.numbers(" type ", kind)
	}
}

// dhcp6Authentication prints RFC 8415's and RFC 3315's proofs.
func (t *Text) dhcp6Authentication(o, n int) {
	protocol, algorithm, detection := t.u8(o), t.u8(o+1), t.u8(o+2)
	t.s(" proto: ")
	t.nameOr(pick(protocol, "", "", "delayed", "reconfigure"), protocol, "", "")
	t.s(", alg: ")
	t.nameOr(pick(algorithm, "", "HMAC-MD5"), algorithm, "", "")
	t.s(", RDM: ")
	t.nameOr(pick(detection, "mono"), detection, "", "")
	t.s(", RD:")
	for at := o + 3; at < o+11; at += 2 {
		t.s(" ")
		t.hex(at, 2, "")
	}
	o, n = o+11, n-11
	switch {
	case n == 0 && protocol != 2 && protocol != 3:
		t.s(" ??")
	case protocol == 2 && n == 0:
	case protocol == 2:
		if n < 20 {
			t.s(" ??")
			return
		}
		if n > 20 {
			t.s(", realm: ")
			t.hex(o, n-20, "")
		}
		t.s(", key ID: ")
		t.hex(o+n-20, 4, "")
		t.s(", HMAC-MD5:")
		t.digest(o + n - 16)
	case protocol == 3 && n == 17:
		switch t.u8(o) {
		case 1:
			t.s(" reconfig-key")
		case 2:
			t.s(" type: HMAC-MD5")
		default:
			t.s(" type: ??")
		}
		t.s(" value:")
		t.digest(o + 1)
	default:
		t.s(" ??")
	}
}

// digest prints sixteen bytes.
func (t *Text) digest(o int) {
	for at := o; at < o+16; at += 4 {
		t.s(" ")
		t.hex(at, 4, "")
	}
}

// dhcp6TimeServer prints RFC 5908's servers, and returns false if it ends too early.
func (t *Text) dhcp6TimeServer(o, n int) bool {
	for end := o + n - 4; o < end; {
		kind, size := t.u16(o), t.u16(o+2)
		o += 4
		if o+size > end+4 {
			return false
		}
		t.numbers(" subopt:", kind)
		switch {
		case kind == 1 || kind == 2:
			if size != 16 {
				t.s(" ?")
				break
			}
			t.s(" ")
			t.ip6Addr(o)
		case kind == 3:
			t.s(" ")
			if (dnsMessage{t, o + size, false}).domain(o) < 0 {
				return false
			}
		default:
			t.s(" ?")
		}
		o += size
	}
	return true
}

// dhcp6AFTR prints RFC 6334's name.
func (t *Text) dhcp6AFTR(o, n int) {
	t.s(" ")
	for n > 0 {
		size := t.u8(o)
		if size == 0 {
			return
		}
		if size >= n-1 { // the last label, which is empty, must follow
			t.s(" ?")
			return
		}
		for at := o + 1; at <= o+size && t.u8(at) != 0; at++ {
			t.char(byte(t.u8(at)))
		}
		o, n = o+1+size, n-1-size
		if t.u8(o) != 0 {
			t.s(".")
		}
	}
}
