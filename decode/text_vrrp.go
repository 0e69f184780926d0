package decode

const protoVRRP = 112

// vrrp prints RFC 3768's and RFC 9568's advertisements.
func (t *Text) vrrp(o, length int) {
	t.proto = "vrrp"
	first := t.u8(o)
	if t.stopped() {
		return
	}
	version, typ := first>>4, first&15
	t.numbers("VRRPv", version, ", ")
	if typ == 1 {
		t.s("Advertisement")
	} else {
		t.numbers("unknown type (", typ, ")")
	}
	ip, _, _, _ := t.network()
	limit := t.u8(t.outer + 8)
	if ip == 6 {
		limit = t.u8(t.outer + 7)
	}
	if limit != 255 {
		t.numbers(", (ttl ", limit, ")")
	}
	if version < 2 || version > 3 || typ != 1 || !t.need(o+2, 1) {
		return
	}
	t.numbers(", vrid ", t.u8(o+1), ", prio ", t.u8(o+2))
	if !t.need(o+5, 1) {
		return
	}
	authentication := -1
	if version == 2 {
		authentication = t.u8(o + 4)
		t.s(", authtype ")
		t.nameOr(word("none simple ah", authentication), authentication, "#", "")
		t.numbers(", intvl ", t.u8(o+5), "s")
	} else {
		t.numbers(", intvl ", t.u16(o+4)&0xfff, "cs")
	}
	t.numbers(", length ", length)
	if t.opt.Verbose == 0 {
		return
	}
	if t.has(o, length) {
		sum := uint32(0)
		if version == 2 {
			sum = checksum(0, t.data[o:o+length])
		} else {
			sum, _ = t.transportChecksum(protoVRRP, o, length)
		}
		if sum != 0 {
			t.s(", (bad vrrp cksum ")
			t.x(uint32(t.u16(o+6)), 1)
			t.s(")")
		}
	}
	count := t.u8(o + 3)
	t.s(", addrs")
	if count > 1 {
		t.numbers("(", count, ")")
	}
	t.s(":")
	size := addrLen(ip)
	at := o + 8
	for i := range count {
		if !t.need(at, size) {
			return
		}
		if i == 0 {
			t.s(" ")
		} else {
			t.s(",")
		}
		t.addr(ip, at)
		at += size
	}
	if authentication == 1 && t.need(at, 8) {
		t.s(" auth \"")
		t.padding(at, 8)
		t.s("\"")
	}
}
