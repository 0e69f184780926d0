package decode

const protoOSPF = 89

// Kinds of OSPF's messages.
const (
	ospfHello = 1 + iota
	ospfDatabase
	ospfRequest
	ospfUpdate
	ospfAck
)

// ospf prints RFC 2328's messages; of RFC 5340's, which are version 3, only their names.
func (t *Text) ospf(o, length int) {
	network, _, _, _ := t.network()
	if t.proto = "ospf2"; network == 6 {
		t.proto = "ospf3"
	}
	version, kind := t.u8(o), t.u8(o+1)
	if network == 4 && t.u16(o+14) == ospfMD5 {
		// The digest behind the message is none of it.
		length -= ospfDigest
		t.end -= ospfDigest
		t.need(o, 2)
	}
	if t.stopped() {
		return
	}
	t.numbers("OSPFv", version, ", ")
	name := ospfName(kind)
	if network == 6 {
		t.nameOr(name, kind, "unknown packet type (", ")")
	} else {
		t.nameOr(name, kind, "unknown LS-type ", "")
	}
	t.numbers(", length ", length)
	if network == 6 || name == "" || t.opt.Verbose == 0 {
		return
	}
	size := t.u16(o + 2)
	if size != length && !t.stopped() {
		t.numbers(" [len ", size, "]")
	}
	if !t.need(o+4, 4) {
		return
	}
	t.s("\n\tRouter-ID ")
	t.ip4Addr(o + 4)
	if t.u32(o+8) == 0 {
		t.s(", Backbone Area")
	} else {
		t.s(", Area ")
		t.ip4Addr(o + 8)
	}
	if !t.ospfAuthentication(o + 14) {
		return
	}
	if version != 2 {
		t.numbers(" ospf [version ", version, "]")
		return
	}
	at, end := o+24, o+min(length, size)
	switch kind {
	case ospfHello:
		t.ospfHello(at, end)
		t.ospfLLS(at+6, o, size, length)
	case ospfDatabase:
		t.ospfOptions("\n\t", at+2)
		if !t.need(at, 4) {
			return
		}
		t.s(", DD Flags [")
		t.flags([]flag{{4, "Init"}, {2, "More"}, {1, "Master"}, {8, "OOBResync"}}, uint32(t.u8(at+3)), ", ", "none")
		t.s("]")
		if mtu := t.u16(at); mtu != 0 {
			t.numbers(", MTU: ", mtu)
		}
		if t.need(at+4, 4) {
			t.s(", Sequence: 0x")
			t.x(t.u32(at+4), 8)
		}
		for lsa := at + 8; lsa < end && t.lsaHeader(lsa) >= 0; lsa += lsaHeaderSize {
		}
		t.ospfLLS(at+2, o, size, length)
	case ospfRequest:
		for ; at < end && !t.stopped(); at += 12 {
			t.ospfRequest(at)
		}
	case ospfUpdate:
		t.ospfUpdate(at)
	case ospfAck:
		for ; t.lsaHeader(at) >= 0; at += lsaHeaderSize {
		}
	}
}

func ospfName(kind int) string {
	if kind < ospfHello || kind > ospfAck {
		return ""
	}
	return [...]string{"Hello", "Database Description", "LS-Request", "LS-Update", "LS-Ack"}[kind-1]
}

// RFC 2328's cryptographic authentication, and how long the digest is.
const (
	ospfMD5    = 2
	ospfDigest = 16
)

// ospfAuthentication prints how a message proves who it is from, and reports whether that is known.
func (t *Text) ospfAuthentication(o int) bool {
	if !t.need(o, 10) {
		return false
	}
	kind := t.u16(o)
	t.s(", Authentication Type: ")
	t.name(word("none simple MD5", kind), "unknown")
	t.numbers(" (", kind, ")")
	switch kind {
	case 0:
	case 1:
		t.s("\n\tSimple text password: ")
		for at := o + 2; at < o+10 && t.data[at] != 0; at++ {
			t.char(t.data[at])
		}
	case ospfMD5:
		t.numbers("\n\tKey-ID: ", t.u8(o+4), ", Auth-Length: ", t.u8(o+5), ", Crypto Sequence Number: 0x")
		t.x(t.u32(o+6), 8)
	default:
		return false
	}
	return true
}

// ospfOptions prints the capabilities of a router.
func (t *Text) ospfOptions(before string, o int) {
	options := t.u8(o)
	t.s(before)
	t.s("Options [")
	t.ospfOptionNames(options)
	t.s("]")
}

func (t *Text) ospfOptionNames(v int) {
	t.flags([]flag{{1, "MultiTopology"}, {2, "External"}, {4, "Multicast"}, {8, "NSSA"}, {ospfHasLLS, "LLS"}, {0x20, "Demand Circuit"}, {0x40, "Opaque"}, {0x80, "Up/Down"}},
		uint32(v), ", ", "none")
}

func (t *Text) ospfHello(o, end int) {
	t.ospfOptions("\n\t", o+6)
	if !t.need(o, 12) {
		return
	}
	t.numbers("\n\t  Hello Timer ", t.u16(o+4), "s, Dead Timer ")
	t.u(int(t.u32(o + 8)))
	t.s("s, Mask ")
	t.ip4Addr(o)
	t.numbers(", Priority ", t.u8(o+7))
	if t.u32(o+12) != 0 {
		t.s("\n\t  Designated Router ")
		t.ip4Addr(o + 12)
	}
	if t.u32(o+16) != 0 {
		t.s(", Backup Designated Router ")
		t.ip4Addr(o + 16)
	}
	o += 20
	if o < end {
		t.s("\n\t  Neighbor List:")
	}
	for ; o < end && t.need(o, 4); o += 4 {
		t.s("\n\t    ")
		t.ip4Addr(o)
	}
}

// ospfHasLLS is the option of a router that adds RFC 5613's block.
const ospfHasLLS = 0x10

// ospfLLS prints the block of RFC 5613 that is behind a message of size bytes at o and its digest,
// if its options say so and the length of both has room for it.
func (t *Text) ospfLLS(options, o, size, length int) {
	if t.stopped() || t.u8(options)&ospfHasLLS == 0 || length <= size {
		return
	}
	end := o + length // tcpdump does not look at the length that the block has
	if t.u16(o+14) == ospfMD5 {
		o += t.u8(o + 19)
	}
	if o += size; !t.need(o, 2) {
		return
	}
	sum := t.u16(o)
	t.s("\n\t  LLS: checksum: 0x")
	t.x(uint32(sum), 4)
	t.numbers(", length: ", t.u16(o+2))
	for o += 4; o < end && !t.stopped(); {
		kind := t.u16(o)
		if t.stopped() {
			return
		}
		t.s("\n\t    ")
		t.name(pick(kind, "", "Extended Options", "MD5 Authentication"), "Unknown TLV")
		t.numbers(" (", kind, ")")
		n := t.u16(o + 2)
		t.numbers(", length: ", n)
		o += 4
		switch {
		case kind == 1 && n != 4:
			t.s(" [should be 4]")
		case kind == 2 && n != 20:
			t.s(" [should be 20]")
		}
		switch kind {
		case 1:
			v := t.u32(o)
			t.s("\n\t      Options: 0x")
			t.x(v, 8)
			t.s(" [")
			t.flags([]flag{{1, "LSDB resync"}, {2, "Restart"}}, v, ", ", "?")
			t.s("]")
			n = 4
		case 2:
			v := t.u32(o)
			t.s("\n\t      Sequence number: 0x")
			t.x(v, 8)
			n = 20
		}
		o += n // tcpdump does not skip the padding
	}
}

// ospfRequest prints which link state is asked for.
func (t *Text) ospfRequest(o int) {
	if !t.need(o, 12) {
		return
	}
	kind := int(t.u32(o))
	t.s("\n\t  Advertising Router: ")
	t.ip4Addr(o + 8)
	t.s(", ")
	t.lsaName(kind)
	if isOpaque(kind) {
		t.s(", Opaque-Type: ")
		t.opaqueName(t.u8(o + 4))
		t.numbers(", Opaque-ID: ", t.u24(o+5))
		return
	}
	t.s(", LSA-ID: ")
	t.ip4Addr(o + 4)
}

func (t *Text) ospfUpdate(o int) {
	count := t.u32(o)
	t.s(", ")
	t.u(int(count))
	t.s(" LSA")
	if count != 1 {
		t.s("s")
	}
	o += 4
	for n := uint32(1); n <= count && !t.stopped(); n++ {
		t.s("\n\t  LSA #")
		t.u(int(n))
		o = t.lsa(o)
	}
}
