package decode

// Ports of RFC 951.
const (
	portBootpServer = 67
	portBootpClient = 68
)

// bootp prints a message of RFC 951, with the options of RFC 2132.
func (t *Text) bootp(o, length int) {
	t.proto = "bootp"
	op := t.u8(o)
	t.s("BOOTP/DHCP, ")
	switch op {
	case 1:
		t.s("Request")
	case 2:
		t.s("Reply")
	default:
		t.s("unknown (0x")
		t.x(uint32(op), 2)
		t.s(")")
	}
	if !t.need(o, 3) {
		return
	}
	hardware, size := t.u8(o+1), t.u8(o+2)
	ether := hardware == 1 && size == 6
	if ether && t.u8(o) == 1 {
		if !t.need(o+28, 6) {
			return
		}
		t.s(" from ")
		t.mac(o + 28)
	}
	t.s(", length ")
	t.u(length)
	if t.opt.Verbose == 0 || !t.need(o+8, 2) {
		return
	}
	if hardware != 1 {
		t.s(", htype ")
		t.u(hardware)
	}
	if !ether {
		t.s(", hlen ")
		t.u(size)
	}
	if hops := t.u8(o + 3); hops != 0 {
		t.s(", hops ")
		t.u(hops)
	}
	if xid := t.u32(o + 4); xid != 0 {
		t.s(", xid 0x")
		t.x(xid, 1)
	}
	if secs := t.u16(o + 8); secs != 0 {
		t.s(", secs ")
		t.u(secs)
	}
	flags := t.u16(o + 10)
	if t.stopped() {
		return
	}
	t.s(", Flags [")
	t.flags([]flag{{0x8000, "Broadcast"}}, uint32(flags), ", ", "none")
	t.s("]")
	if t.opt.Verbose > 1 {
		t.s(" (0x")
		t.x(uint32(flags), 4)
		t.s(")")
	}
	for i, title := range []string{"\n\t  Client-IP ", "\n\t  Your-IP ", "\n\t  Server-IP ", "\n\t  Gateway-IP "} {
		if t.u32(o+12+4*i) != 0 {
			t.s(title)
			t.ip4Addr(o + 12 + 4*i)
		}
	}
	if ether {
		if !t.need(o+28, 6) {
			return
		}
		t.s("\n\t  Client-Ethernet-Address ")
		t.mac(o + 28)
	}
	if !t.bootpName("\n\t  sname \"", o+44, 64) || !t.bootpName("\n\t  file \"", o+108, 128) {
		return
	}
	switch cookie := t.u32(o + 236); cookie {
	case 0x63825363: // RFC 1048
		t.s("\n\t  Vendor-rfc1048 Extensions\n\t    Magic Cookie 0x63825363")
		t.dhcpOptions(o + 240)
	case 0x434d5500:
		t.bootpCMU(o + 240)
	case 0:
	default:
		t.s("\n\t  Vendor-#0x")
		t.x(cookie, 1)
	}
}

// bootpName prints a string of at most n bytes, if there is one, and returns false if
// it has no end.
func (t *Text) bootpName(title string, o, n int) bool {
	if t.u8(o) == 0 {
		return !t.stopped()
	}
	t.s(title)
	for i := o; i < min(o+n, t.end); i++ {
		if t.data[i] == 0 {
			t.s("\"")
			return true
		}
		t.char(t.data[i])
	}
	t.s("\"")
	t.trunc()
	return false
}

// bootpCMU prints the extensions of Carnegie Mellon University, which were before those
// of RFC 1048. The addresses are behind the flags.
func (t *Text) bootpCMU(o int) {
	t.s(" vend-cmu")
	if !t.need(o, 4) {
		return
	}
	flags := t.u8(o)
	if flags&^1 != 0 {
		t.s(" F:0x")
		t.x(uint32(flags), 1)
	}
	mask := " SM:"
	if flags&1 == 0 {
		mask = " SM*:"
	}
	for _, f := range []struct {
		at    int
		title string
	}{{8, " DG:"}, {4, mask}, {12, " NS1:"}, {16, " NS2:"}, {20, " IEN1:"}, {24, " IEN2:"}, {28, " TS1:"}, {32, " TS2:"}} {
		if t.u32(o+f.at) != 0 {
			t.s(f.title)
			t.ip4Addr(o + f.at)
		}
	}
}

// dhcpOptions prints the options, a line each.
func (t *Text) dhcpOptions(o int) {
	for o < t.end && !t.stopped() {
		code, n := t.u8(o), 0
		o++
		ends := code == 0 || code == 255
		if ends && t.opt.Verbose < 3 {
			if code == 255 {
				return
			}
			continue
		}
		if !ends {
			n = t.u8(o)
			o++
		}
		format, name := dhcpOption(code)
		if t.stopped() {
			return
		}
		t.s("\n\t    ")
		t.s(name)
		t.s(" (")
		t.u(code)
		t.s("), length ")
		t.u(n)
		if n > 0 {
			t.s(": ")
		}
		if code == 0 {
			same := 1
			for ; o < t.end && t.data[o] == 0; o++ {
				same++
			}
			if same > 1 {
				t.s(", occurs ")
				t.u(same)
			}
		}
		if !t.need(o, n) {
			return
		}
		switch {
		case code == 53 && n == 1:
			typ := t.u8(o)
			t.nameOr(dhcpMessageName(typ), typ, "Unknown (", ")")
		case code == 55:
			for i := range n {
				if i%4 == 0 {
					t.s("\n\t      ")
				} else {
					t.s(", ")
				}
				wanted := t.u8(o + i)
				_, name := dhcpOption(wanted)
				t.s(name)
				t.s(" (")
				t.u(wanted)
				t.s(")")
			}
		default:
			if rest := t.dhcpData(code, format, o, n); rest > 0 {
				t.s("\n\t  trailing data length ")
				t.u(rest)
			}
		}
		o += n
	}
}

// dhcpData prints an option's data, and returns how many bytes it left out.
func (t *Text) dhcpData(code int, format byte, o, n int) int {
	list := func(size int, print func(o int)) int {
		for i := 0; i+size <= n; i += size {
			if i > 0 {
				t.s(",")
			}
			print(o + i)
		}
		return n % size
	}
	if format == '?' { // by length
		switch {
		case n%2 != 0:
			format = 'b'
		case n%4 != 0:
			format = 's'
		default:
			format = 'l'
		}
	}
	switch format {
	case 'a':
		t.quoted(o, n)
		return 0
	case 'i':
		return list(4, t.ip4Addr)
	case 'l':
		return list(4, func(o int) { t.u(int(t.u32(o))) })
	case 'L':
		return list(4, func(o int) {
			v := int(int32(t.u32(o)))
			if v < 0 {
				t.s("-")
				v = -v
			}
			t.u(v)
		})
	case 'p':
		return list(8, func(o int) {
			t.s("(")
			t.ip4Addr(o)
			t.s(":")
			t.ip4Addr(o + 4)
			t.s(")")
		})
	case 's':
		return list(2, func(o int) { t.u(t.u16(o)) })
	case 'B':
		return list(1, func(o int) {
			switch v := t.u8(o); v {
			case 0:
				t.s("N")
			case 1:
				t.s("Y")
			default:
				t.u(v)
				t.s("?")
			}
		})
	case '$':
		return t.dhcpSpecial(code, o, n)
	}
	for i := range n {
		if i > 0 {
			t.s(".")
		}
		t.u(t.u8(o + i))
	}
	return 0
}

// quoted prints n bytes as text between quotation marks.
func (t *Text) quoted(o, n int) {
	t.s("\"")
	t.chars(o, n)
	t.s("\"")
}

func (t *Text) dhcpSpecial(code, o, n int) int {
	least := 0
	switch code {
	case 46, 52, 61:
		least = 1
	case 77:
		least = 2
	case 81:
		least = 3
	case 121, 249:
		least = 5
	}
	if n < least {
		t.s("[ERROR: length < ")
		t.u(least)
		t.s(" bytes]")
		return 0
	}
	switch code {
	case 46, 52:
		v := t.u8(o)
		t.nameOr(dhcpChoice(code, v), v, "#", "")
		return n - 1
	case 61:
		t.dhcpClient(o, n)
	case 77: // RFC 3004
		t.dhcpUserClass(o, n)
	case 81: // RFC 4702
		flags := t.u8(o)
		if flags>>4 != 0 {
			t.s("[ERROR: MBZ nibble 0x")
			t.x(uint32(flags>>4), 1)
			t.s(" != 0] ")
		}
		if flags&15 != 0 {
			t.s("[")
			t.flags([]flag{{1, "S"}, {2, "O"}, {4, "E"}, {8, "N"}}, uint32(flags), "", "")
			t.s("] ")
		}
		if t.u16(o+1) != 0 {
			t.u(t.u8(o + 1))
			t.s("/")
			t.u(t.u8(o + 2))
			t.s(" ")
		}
		t.quoted(o+3, n-3)
	case 82: // RFC 3046
		return t.dhcpAgent(o, n)
	case 121, 249: // RFC 3442
		t.dhcpRoutes(o, n)
	}
	return 0
}

// dhcpChoice names a NetBIOS node type and what the options overload.
func dhcpChoice(code, v int) string {
	switch {
	case code == 46 && v == 1:
		return "b-node"
	case code == 46 && v == 2:
		return "p-node"
	case code == 46 && v == 4:
		return "m-node"
	case code == 46 && v == 8:
		return "h-node"
	case code == 52 && v >= 1 && v <= 3:
		return word("file sname file+sname", v-1)
	}
	return ""
}

func (t *Text) dhcpClient(o, n int) {
	typ := t.u8(o)
	if typ == 0 {
		t.quoted(o+1, n-1)
		return
	}
	name := ""
	switch typ {
	case 1:
		name = "ether"
	case 6:
		name = "ieee802"
	case 7:
		name = "arcnet"
	case 15:
		name = "frelay"
	case 23:
		name = "strip"
	case 24:
		name = "ieee1394"
	}
	t.nameOr(name, typ, "hardware-type ", ",")
	t.s(" ")
	t.hex(o+1, n-1, ":")
}

func (t *Text) dhcpUserClass(o, n int) {
	for i := 1; n > 0 && !t.stopped(); i++ {
		size := t.u8(o)
		o, n = o+1, n-1
		t.s("\n\t      instance#")
		t.u(i)
		t.s(": ")
		if size == 0 {
			t.s("[ERROR: suboption length must be non-zero]")
			return
		}
		if n < size {
			t.s("[ERROR: invalid option]")
			return
		}
		t.quoted(o, size)
		t.s(", length ")
		t.u(size)
		o, n = o+size, n-size
	}
}

func (t *Text) dhcpAgent(o, n int) int {
	for n >= 2 && !t.stopped() {
		code, size := t.u8(o), t.u8(o+1)
		o, n = o+2, n-2
		name := ""
		switch code {
		case 1:
			name = "Circuit-ID"
		case 2:
			name = "Remote-ID"
		case 6: // RFC 3993
			name = "Subscriber-ID"
		}
		t.s("\n\t      ")
		t.name(name, "Unknown")
		t.s(" SubOption ")
		t.u(code)
		t.s(", length ")
		t.u(size)
		t.s(": ")
		if size > n {
			t.s("length goes past end of option")
			return 0
		}
		if name != "" {
			t.chars(o, size)
		} else {
			t.unknownData("\n\t\t", o, size)
		}
		o, n = o+size, n-size
	}
	return n
}

func (t *Text) dhcpRoutes(o, n int) {
	for first := true; n > 0 && !t.stopped(); first = false {
		if !first {
			t.s(",")
		}
		width := t.u8(o)
		o, n = o+1, n-1
		if width > 32 {
			t.s("[ERROR: Mask width (")
			t.u(width)
			t.s(") > 32]")
			return
		}
		size := (width + 7) / 8
		if n < size+4 {
			t.s("[ERROR: Remaining length (")
			t.u(n)
			t.s(") < ")
			t.u(size + 4)
			t.s(" bytes]")
			return
		}
		t.s("(")
		if width == 0 {
			t.s("default")
		} else {
			var net [4]byte
			copy(net[:], t.data[o:o+size])
			t.dotted(net)
			t.s("/")
			t.u(width)
		}
		t.s(":")
		t.ip4Addr(o + size)
		t.s(")")
		o, n = o+size+4, n-size-4
	}
}

func dhcpMessageName(typ int) string {
	switch {
	case typ >= 1 && typ <= 8:
		return word("Discover Offer Request Decline ACK NACK Release Inform", typ-1)
	case typ >= 10 && typ <= 13: // RFC 4388
		return word("LeaseQuery LeaseUnassigned LeaseUnknown LeaseActive", typ-10)
	}
	return ""
}

// dhcpOption returns tcpdump's name of an option, and a letter for its data: addresses,
// pairs of them, numbers of 4 (l, or L with a sign), 2 and 1 bytes (s, b), a string,
// Booleans; $ is for something else, ? if it is not known.
func dhcpOption(code int) (format byte, name string) {
	const (
		first = "-PAD iSubnet-Mask LTime-Zone iDefault-Gateway iTime-Server iIEN-Name-Server iDomain-Name-Server iLOG iCS iLPR-Server " +
			"iIM iRL aHostname sBS aDP aDomain-Name iSS aRP aEP BIPF BSRT pPF sRSZ bTTL lMTU-Timeout sMTU-Table sMTU BLSN iBR BMD BMS " +
			"BRouter-Discovery iRSA pStatic-Route BUT lAT BIE bTT lKI BKG aYD iYS iNTP bVendor-Option iNetbios-Name-Server iWDD " +
			"$Netbios-Node aNetbios-Scope iXFS iXDM iRequested-IP lLease-Time $OO -DHCP-Message iServer-ID bParameter-Request aMSG sMSZ " +
			"lRN lRB aVendor-Class $Client-ID ? ? sN+D iN+S aTFTP aBF iMH iSMTP iPOP3 iNNTP iWWW iFG iIRC iSTS iSTDA $User-Class bSLP-DA " +
			"bSLP-SCOPE aSLP-NA $FQDN $Agent-Information bARMT ? ? ? ? aTZSTR bFQDNS bAUTH LLast-Transaction-Time iAssociated-IP sARCH " +
			"bNDI aLDAP ? bGUID aUAP ? aPOSIX-TZ aTZ-Name ? ? ? ? ? ? ? ? ? ? iNI aNITAG aURL ? BNOAUTO sNSSEARCH iSUBNET ? ? " +
			"$Classless-Static-Route"
		last = 121
	)
	s := "?"
	switch {
	case code <= last:
		s = word(first, code)
	case code == 150:
		s = "iTFTP-Server-Address"
	case code == 161:
		s = "aMUD-URL"
	case code == 249:
		s = "$Classless-Static-Route-Microsoft"
	case code == 255:
		s = "-END"
	}
	if s == "?" {
		return '?', "Unknown"
	}
	return s[0], s[1:]
}
