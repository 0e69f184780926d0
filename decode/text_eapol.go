package decode

// eapol prints which message of IEEE 802.1X this is.
func (t *Text) eapol(o, length int) {
	t.proto = "eap"
	if !t.need(o, 4) {
		return
	}
	typ := t.u8(o + 1)
	switch typ {
	case 0:
		t.s("EAP packet")
	case 1:
		t.s("EAPOL start")
	case 2:
		t.s("EAPOL logoff")
	case 3:
		t.s("EAPOL key")
	case 4:
		t.s("Encapsulated ASF alert")
	default:
		t.s("unknown")
	}
	t.numbers(" (", typ, ") v", t.u8(o), ", len ", t.u16(o+2))
}
