package decode

import (
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/tundump/tundump/filter/header"
)

// bgpMessage makes a message of RFC 4271.
func bgpMessage(kind int, parts ...any) []byte {
	body := bytesOf(parts...)
	return bytesOf(strings.Repeat("ff", 16), uint16(19+len(body)), kind, body)
}

// bgpAttribute makes a path attribute from its flags, kind and value.
func attribute(flags, kind int, value string) []byte {
	v := bytesOf(value)
	if flags&0x10 != 0 {
		return bytesOf(flags, kind, uint16(len(v)), v)
	}
	return bytesOf(flags, kind, len(v), v)
}

// bgpUpdateOf makes an update from routes and attributes.
func bgpUpdateOf(withdrawn, routes string, attributes ...[]byte) []byte {
	var all []byte
	for _, a := range attributes {
		all = append(all, a...)
	}
	w := bytesOf(withdrawn)
	return bgpMessage(bgpUpdate, uint16(len(w)), w, uint16(len(all)), all, routes)
}

func bgpExamples() (frames [][]byte) {
	segment := func(messages ...[]byte) {
		var all []byte
		for _, m := range messages {
			all = append(all, m...)
		}
		frames = append(frames, eth(header.TypeIP, ip4(protoTCP, tcp(40000, portBGP, 1000, 1, tcpAck|tcpPsh, nil, all))))
	}
	update := func(attributes ...[]byte) { segment(bgpUpdateOf("", "", attributes...)) }
	open := func(parameters ...[]byte) {
		var all []byte
		for _, p := range parameters {
			all = append(all, p...)
		}
		segment(bgpMessage(bgpOpen, "04 fde8 00b4 0a000001", len(all), all))
	}
	capability := func(kind int, value string) []byte {
		v := bytesOf(value)
		return bytesOf(2, len(v)+2, kind, len(v), v)
	}
	for kind, values := range map[int][]string{1: {"0001 00 01", "0002 00 80", "0019 00 46", "00", ""}, 2: {"", "00"}, 3: {"0001 00 01 01 40"}, 4: {"", "01"}, 5: {"000100010002"}, 8: {"01", "0001 01 02", "0001 01 02 0002 80 05"}, 64: {"8078 0001 01 80 0002 01 00", "0078", "00", "8078 0001 01", "f123 0001 02 80"},
		65: {"00010000", "0001", "000100000102"}, 67: {"00010203"}, 68: {"01", "0001 01 02", "0001 01 02 0002 80 05"}, 69: {"0001 01 03", "0001 01 01 0002 80 02", "0001 01 00", "0001 01 09", "0001", ""}, 70: {""}, 71: {"0001 01 80 00012c"}, 73: {"05 68656c6c6f"}, 128: {""}, 99: {"0102", ""}} {
		for _, v := range values {
			open(capability(kind, v))
		}
	}
	open(capability(1, "0001 00 01"), capability(2, ""), capability(65, "0000fde8"))
	open(bytesOf(2, 8, 2, 0, 65, 4, "0000fde8"), bytesOf(1, 4, "61626364"), bytesOf(3, 0))
	open(bytesOf(2, 8, 2, 0, 65, 4))
	open(bytesOf(2))
	segment(bgpMessage(bgpOpen, "04 fde8 00b4 0a0000"))

	segment(bgpMessage(4), bgpMessage(4, 1), bgpMessage(9, "0102"), bgpMessage(0))
	for code := range 9 {
		for sub := range 13 {
			segment(bgpMessage(bgpNotify, code, sub), bgpMessage(4))
		}
	}
	segment(bgpMessage(bgpNotify, "0601 0001 01 00000064"), bgpMessage(bgpNotify, "0602 0b", []byte("maintenance")), bgpMessage(bgpNotify, "0604 05", []byte("\x01a\x80b c")), bgpMessage(bgpNotify, "0602 00"),
		bgpMessage(bgpNotify, "0602 81 0102"), bgpMessage(bgpNotify, "0602 05 0102"), bgpMessage(bgpNotify, "06"))
	segment(bgpMessage(bgpRefresh, "0001 00 01"), bgpMessage(bgpRefresh, "0002 02 80"), bgpMessage(bgpRefresh, "0019 00 46"), bgpMessage(bgpRefresh, "0001 00"))

	segment(bgpUpdateOf("", ""), bgpUpdateOf("08 0a 18 0a0101", ""), bgpUpdateOf("00", ""), bgpUpdateOf("", "18 0a0101 13 0affff 20 0a000001"))
	segment(bgpUpdateOf("00000001 08 0a 00000002 18 0a0101", "00000001 08 0a 00000002 18 0a0101"), bgpMessage(bgpUpdate, "00"), bgpMessage(bgpUpdate, "0000 00"))
	segment(bgpUpdateOf("21 0a00000101", "00"), bgpUpdateOf("", "21 0a00000101"), bgpUpdateOf("18 0a", ""), bgpUpdateOf("", "18 0a"), bgpMessage(bgpUpdate, "0009 00"), bgpMessage(bgpUpdate, "0000 0009 00"))
	update(attribute(0x40, 1, "00"), attribute(0x40, 2, "02 02 0000fde8 0000fde9"), attribute(0x40, 3, "0a000001"), attribute(0x80, 4, "00000064"), attribute(0x40, 5, "00000064"), attribute(0x40, 6, ""),
		attribute(0xc0, 7, "fde8 0a000001"), attribute(0xc0, 7, "0001fde8 0a000001"), attribute(0xc0, 8, "fde80064 ffffff01 ffffff02 ffffff03 ffff0000 ffffff04 ffff029a"), attribute(0x80, 9, "0a000005"), attribute(0x80, 10, "0a000001 0a000002"))
	for kind := range 40 {
		for _, value := range []string{"", "01", "0102", "01020304", "010203040506", "0000fde8 0a000001", "0000fde8 00000001 00000002", "0000fde8 00000001 00000002 0000fde8 00000001 00000002"} {
			if kind != 14 && kind != 15 {
				update(attribute(0xc0, kind, value))
			}
		}
	}
	for _, path := range []string{"01 02 0001 0002 02 01 0003 03 01 0004 04 01 0005", "01 02 00000001 00000002 02 01 00000003 03 01 00010004 04 01 00000005", "05 01 0001", "02 01 0001 00", "02 05 0001", "02 02 00010001 0000fde8", "02 00", "02 00 02 01 0001", "02 03 0001 0002 0003", "02 01 0001 02"} {
		update(attribute(0x40, 2, path), attribute(0x40, 17, path))
	}
	update(attribute(0x5f, 5, "00000064"), attribute(0x00, 5, "00000064"), attribute(0x40, 1, "01"), attribute(0x40, 1, "02"), attribute(0x40, 1, "03"), []byte{0x40, 5, 9, 0})
	for _, routes := range []string{"0001 01 04 0a000001 00 18 0a0101 13 0affff", "0002 01 10 20010db8000000000000000000000001 00 20 20010db8 40 20010db800000001", "0002 01 20 20010db8000000000000000000000001 fe800000000000000000000000000001 00 20 20010db8",
		"0001 80 0c 0000000000000000 0a000001 00 70 000641 0000fde800000064 0a0101", "0001 04 04 0a000001 00 30 000641 0a0101 30 000640 0a0101", "0019 46 04 0a000001 00 03 11 0001 0a000001 0064 00000000 20 0a000001", "0019 46 04 0a000001 00",
		"0001 01 05 0a00000101 00 18 0a0101", "0001 01 08 0a000001 0a000002 00 18 0a0101", "0001 01 04 0a000001 01 06 020000000001 18 0a0101", "0001 01 04 0a000001 02 06 020000000001 00 18 0a0101", "0002 01 04 0a000001 00 18 0a0101", "0002 02 00 00 18 0a0101",
		"0002 80 18 0000000000000000 20010db8000000000000000000000001 00 98 000641 0000fde800000064 20010db800000000", "0002 04 10 20010db8000000000000000000000001 00 58 000641 20010db800000000", "0001 01 04 0a000001 00 21 0a0101", "0001 80 04 0a000001 00",
		"0001 80 0c 0000000000000000 0a000001 00 70 000641 00010a0000010064 0a0101 70 000641 0002000100000064 0a0101 70 000641 0003000100000064 0a0101", "0099 01 04 0a000001 00 18 0a0101", "0001 01 04 0a000001 00 00000001 18 0a0101", "0001", "",
		"0002 01 10 20010db8000000000000000000000001 00 00000001 20 20010db8 00000002 40 20010db800000001", "0001 04 04 0a000001 00 17 000641 0a0101", "0001 80 0c 0000000000000000 0a000001 00 50 000641 0000fde800000064 0a0101", "0001 01 04 0a000001 00 18 0a01", "0002 03 10", "0001 01 04 0a000001 00 00"} {
		b := hex.EncodeToString(bytesOf(routes))
		update(attribute(0x80, 14, b))
		if len(b) >= 6 {
			update(attribute(0x90, 15, b[:6]), attribute(0x80, 15, b[:6]+b[max(6, len(b)-8):]))
		}
	}
	for kind, values := range map[int][]string{0x0000: nil, 0x0002: nil, 0x0003: nil, 0x0005: nil, 0x0009: nil, 0x000a: nil, 0x0102: nil, 0x0103: nil, 0x0105: nil, 0x0107: nil, 0x010b: nil, 0x0202: nil, 0x0203: nil, 0x0205: nil, 0x8000: nil, 0x8001: nil, 0x8005: nil,
		0x8800: nil, 0x8801: nil, 0x8802: nil, 0x8803: nil, 0x8804: nil, 0x8805: nil, 0x0600: nil, 0x0602: nil, 0x8006: nil, 0x4300: nil, 0xf10a: nil,
		0x0306: {"0a000001 05 01", "0a000001 01 00", "0a000001 02 00", "0a000001 03 00", "0a000001 07 02", "0a000001 81 00"},
		0x4004: {"0001 49742400", "0001 00000000", "0001 3f800000", "0001 7f800000", "0001 7fc00000", "0001 ff800000", "0001 ffc00000", "0001 c9742401", "0001 7f7fffff", "0001 80000000", "0001 501502f9"}} {
		if values == nil {
			values = []string{"000102030405", "fde849742400"}
		}
		for _, v := range values {
			update(attribute(0xc0, 16, fmt.Sprintf("%04x", kind)+v))
		}
	}
	for v := range 50 {
		update(attribute(0xc0, 16, fmt.Sprintf("030c00000000%04x 800a%02x0205dc0001", v, v)), attribute(0xc0, 22, fmt.Sprintf("%02x%02x000064 0a000001 0a000002 01020304", v%4, v)), attribute(0xc0, 22, fmt.Sprintf("00%02x000064", v)))
	}
	update(attribute(0xc0, 26, "01 000b 0000000000000064"), attribute(0xc0, 26, "02 0004 00 01 000b 0000000000000064"), attribute(0xc0, 26, "01 000b 00"), attribute(0xc0, 26, "01 0002 00"), attribute(0xc0, 26, "01 0005 0000"))
	origin := hex.EncodeToString(attribute(0x40, 1, "00"))
	set := "0000fde8" + origin
	update(attribute(0xc0, 128, set), attribute(0xc0, 128, "0000fde8"), attribute(0xc0, 128, "0000fde8"+hex.EncodeToString(attribute(0xc0, 128, set))), attribute(0xc0, 128, "0000"))
	for range 12 {
		set = "0000fde8" + hex.EncodeToString(attribute(0xd0, 128, set))
	}
	update(attribute(0xd0, 128, set))
	// What was cut, and what is none.
	segment([]byte{1, 2, 3}, bgpMessage(4))
	segment(bgpMessage(4), []byte{0xff, 0xff, 1}, bgpMessage(4), bgpMessage(4)[:18])
	segment(bgpMessage(4)[:12])
	segment(bytesOf(strings.Repeat("ff", 16), uint16(18), 4))
	segment(bytesOf(strings.Repeat("ff", 17), uint16(19), 4))
	return frames
}
