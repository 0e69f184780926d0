package decode

// lldpMED prints a part of ANSI/TIA-1057, for telephones.
func (t *Text) lldpMED(o, n int) bool {
	if n < 4 {
		return true
	}
	kind := t.u8(o + 3)
	t.lldpSubtype(medName(kind), kind)
	switch kind {
	case 1:
		if n < 7 {
			break
		}
		able, device := t.u16(o+4), t.u8(o+6)
		t.s("\n\t    Media capabilities [")
		t.flags([]flag{{0x01, "LLDP-MED capabilities"}, {0x02, "network policy"}, {0x04, "location identification"},
			{0x08, "extended power via MDI-PSE"}, {0x10, "extended power via MDI-PD"}, {0x20, "Inventory"}}, uint32(able), ", ", "none")
		t.s("] (0x")
		t.x(uint32(able), 4)
		t.s(")\n\t    Device type [")
		switch {
		case device >= 1 && device <= 3:
			t.numbers("endpoint class ", device)
		case device == 4:
			t.s("network connectivity")
		default:
			t.s("unknown")
		}
		t.s("] (0x")
		t.x(uint32(device), 2)
		t.s(")")
	case 2:
		if n >= 8 {
			t.medPolicy(o + 4)
		}
	case 3:
		if n >= 5 {
			t.medLocation(o+4, n-4)
		}
	case 4:
		if n >= 7 {
			t.medPower(o + 4)
		}
	case 5, 6, 7, 8, 9, 10, 11:
		t.s("\n\t  ")
		t.s([...]string{"Hardware revision", "Firmware revision", "Software revision", "Serial number", "Manufacturer name", "Model name", "Asset ID"}[kind-5])
		t.s(" ")
		t.padding(o+4, n-4)
	default:
		return false
	}
	return true
}

func (t *Text) medPolicy(o int) {
	application := t.u8(o)
	name := "none"
	if application >= 1 && application <= 8 {
		name = [...]string{"voice", "voice signaling", "guest voice", "guest voice signaling", "softphone voice", "video conferencing",
			"streaming video", "video signaling"}[application-1]
	}
	t.s("\n\t    Application type [")
	t.s(name)
	t.s("] (0x")
	t.x(uint32(application), 2)
	t.s("), Flags [")
	t.flags([]flag{{0x80, "Unknown"}, {0x40, "Tagged"}, {0x20, "reserved"}}, uint32(t.u8(o+1)), ", ", "none")
	t.numbers("]\n\t    Vlan id ", t.u16(o+1)>>1&0xfff, ", L2 priority ", t.u16(o+2)>>6&7, ", DSCP value ", t.u16(o+2)&63)
}

func (t *Text) medPower(o int) {
	v, power := t.u8(o), t.u16(o+1)
	t.s("\n\t    Power type [")
	if v&3 != 0 { // as tcpdump reads it
		t.s("PD device")
	} else {
		t.s("PSE device")
	}
	t.s("], Power source [")
	t.s([...]string{"none", "PSE - primary power source", "local - backup power source", "PSE+local - reserved"}[v>>4&3])
	t.s("]\n\t    Power priority [")
	if priority := v & 15; priority >= 1 && priority <= 3 {
		t.s(word("critical high low", priority-1))
	} else {
		t.s("none")
	}
	t.s("] (0x")
	t.x(uint32(v&15), 2)
	t.s("), Power ")
	if power < 1024 {
		t.numbers("", power/10, ".", power%10, " Watts")
	} else {
		t.numbers("", power, " (Reserved)")
	}
}

func (t *Text) medLocation(o, n int) {
	format := t.u8(o)
	t.s("\n\t    Location data format ")
	switch format {
	case 1:
		t.s("coordinate-based LCI")
	case 2:
		t.s("civic address LCI")
	case 3:
		t.s("ECS ELIN")
	default:
		t.s("unknown")
	}
	t.s(" (0x")
	t.x(uint32(format), 2)
	t.s(")")
	switch format {
	case 1:
		if n >= 17 {
			t.medCoordinates(o + 1)
		}
	case 2:
		t.medCivic(o+1, n-1)
	case 3:
		t.s("\n\t    ECS ELIN id ")
		t.padding(o+1, n-1)
	default:
		t.s("\n\t    Location ID ")
		t.unknownData("\n\t      ", o+1, n-1)
	}
}

// medCoordinates prints RFC 3825's coordinates.
func (t *Text) medCoordinates(o int) {
	for i, title := range []string{"\n\t    Latitude resolution ", "\n\t    Longitude resolution "} {
		v := t.u8(o + 5*i)
		t.s(title)
		t.u(v >> 2)
		t.s([...]string{", latitude value ", ", longitude value "}[i])
		t.u64(uint64(v&3)<<32 | uint64(t.u32(o+5*i+1)))
	}
	kind := t.u8(o+10) >> 4
	t.s("\n\t    Altitude type ")
	switch kind {
	case 1:
		t.s("meters")
	case 2:
		t.s("floors")
	default:
		t.s("unknown")
	}
	t.numbers(" (", kind, ")\n\t    Altitude resolution ", t.u16(o+10)>>6&0x3f, ", altitude value 0x")
	t.x(t.u32(o+11)&0x3fffffff, 1)
	datum := t.u8(o + 15)
	t.s("\n\t    Datum ")
	if datum >= 1 && datum <= 3 {
		t.s([...]string{"World Geodesic System 1984", "North American Datum 1983 (NAVD88)", "North American Datum 1983 (MLLW)"}[datum-1])
	} else {
		t.s("unknown")
	}
	t.s(" (0x")
	t.x(uint32(datum), 2)
	t.s(")")
}

// medCivic prints RFC 4776's address.
func (t *Text) medCivic(o, n int) {
	if n < 1 {
		return
	}
	size := t.u8(o)
	if size < 3 || n < 2+size {
		return
	}
	what := t.u8(o + 1)
	t.numbers("\n\t    LCI length ", size, ", LCI what ")
	if what < 3 {
		t.s([...]string{"location of DHCP server", "location of the network element believed to be closest to the client", "location of the client"}[what])
	} else {
		t.s("unknown")
	}
	t.s(" (0x")
	t.x(uint32(what), 2)
	t.s("), Country-code ")
	t.padding(o+2, 2)
	o, size = o+4, size-3
	for size >= 2 && !t.stopped() {
		kind, length := t.u8(o), t.u8(o+1)
		o, size = o+2, size-2
		name := "unknown"
		if kind >= 1 && kind <= 6 {
			name = [...]string{"national subdivisions (state,canton,region,province,prefecture)", "county, parish, gun, district", "city, township, shi",
				"city division, borough, city district, ward chou", "neighborhood, block", "street"}[kind-1]
		}
		t.s("\n\t      CA type '")
		t.s(name)
		t.numbers("' (", kind, "), length ", length, ": ")
		if kind == 0 || length == 0 || size < length {
			return
		}
		t.padding(o, length)
		o, size = o+length, size-length
	}
}

func medName(kind int) string {
	if kind < 1 || kind > 11 {
		return ""
	}
	return [...]string{"LLDP-MED Capabilities", "Network policy", "Location identification", "Extended power-via-MDI", "Inventory - hardware revision",
		"Inventory - firmware revision", "Inventory - software revision", "Inventory - serial number", "Inventory - manufacturer name",
		"Inventory - model name", "Inventory - asset ID"}[kind-1]
}
