package decode

// dhcp6 prints which message of RFC 8415 this is; its options it leaves out.
func (t *Text) dhcp6(o, length int) {
	t.proto = "dhcp6"
	t.s("dhcp6")
	typ := t.u8(o)
	if t.stopped() || length < 4 {
		t.trunc()
		return
	}
	t.s(" ")
	t.nameOr(dhcp6Name(typ), typ, "msgtype-", "")
}

func dhcp6Name(typ int) string {
	if typ < 1 {
		return ""
	}
	return word("solicit advertise request confirm renew rebind reply release decline reconfigure inf-req relay-fwd relay-reply leasequery leasequery-reply", typ-1)
}
