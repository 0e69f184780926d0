package decode

// radius prints which message of RFC 2865 this is; its attributes it leaves out.
func (t *Text) radius(o, length int) {
	t.proto = "radius"
	if !t.need(o, 20) {
		return
	}
	code, size := t.u8(o), t.u16(o+2)
	if size < 20 || size > length {
		t.invalid()
		return
	}
	id := t.u8(o + 1)
	if t.opt.Verbose == 0 {
		t.s("RADIUS, ")
	} else {
		t.numbers("RADIUS, length: ", size, "\n\t")
	}
	t.name(radiusName(code), "Unknown Command")
	t.numbers(" (", code, "), id: 0x")
	t.x(uint32(id), 2)
	if t.opt.Verbose == 0 {
		t.numbers(" length: ", size)
		return
	}
	t.s(", Authenticator: ")
	t.hex(o+4, 16, "")
}

func radiusName(code int) string {
	switch code {
	case 1:
		return "Access-Request"
	case 2:
		return "Access-Accept"
	case 3:
		return "Access-Reject"
	case 4:
		return "Accounting-Request"
	case 5:
		return "Accounting-Response"
	case 11:
		return "Access-Challenge"
	case 12:
		return "Status-Server"
	case 13:
		return "Status-Client"
	case 40:
		return "Disconnect-Request"
	case 41:
		return "Disconnect-ACK"
	case 42:
		return "Disconnect-NAK"
	case 43:
		return "CoA-Request"
	case 44:
		return "CoA-ACK"
	case 45:
		return "CoA-NAK"
	case 255:
		return "Reserved"
	}
	return ""
}

func isRadius(port int) bool {
	switch port {
	case 1645, 1646, 1700, 1812, 1813, 3799:
		return true
	}
	return false
}
