package decode

import (
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/tundump/tundump/filter/header"
)

// dhcp6Option makes an option of RFC 8415.
func dhcp6Option(code int, value string) string {
	v := bytesOf(value)
	return fmt.Sprintf("%04x%04x%x", code, len(v), v)
}

func dhcp6Examples() (frames [][]byte) {
	datagram := func(parts ...any) {
		payload := bytesOf(parts...)
		p := bytesOf(uint16(546), uint16(547), uint16(8+len(payload)), uint16(0), payload)
		frames = append(frames, eth(header.TypeIP6, ip6(protoUDP, p)))
	}
	message := func(options ...string) { datagram("01 123456", strings.Join(options, "")) }
	const (
		addr  = "20010db8000000000000000000000001"
		ia    = "00000001 000003e8 000007d0"
		times = "00000064 000000c8"
	)
	for kind := range 17 {
		datagram(kind, "123456", dhcp6Option(8, "0005"), dhcp6Option(6, "00170018"))
	}
	values := []string{"", "00", "0001", "0102030405060708090a0b0c", "00000001", "000100010000000102000000000a", addr, addr + addr, addr + "00", "054243444546", strings.Repeat("0c", 40)}
	for code := range 66 {
		for _, v := range values {
			message(dhcp6Option(code, v), dhcp6Option(8, "0005"))
		}
	}
	for _, v := range values {
		message(dhcp6Option(112, v), dhcp6Option(300, v))
	}
	message(dhcp6Option(1, "00010001000000010200000000aa"), dhcp6Option(2, "000300010200000000bb"), dhcp6Option(14, ""), dhcp6Option(6, "0017001800270015"), dhcp6Option(3, ia))
	for _, v := range []string{"0001000100000001", "0002000000090102030405060708", "00020000000901020304", "00020000000901", "0003", "00030001", "0004" + addr, "0009"} {
		message(dhcp6Option(1, v), dhcp6Option(2, v))
	}
	address := dhcp6Option(5, addr+times)
	refused := dhcp6Option(5, addr+times+dhcp6Option(13, "0002"+hex.EncodeToString([]byte("no more"))))
	prefix := dhcp6Option(26, times+"38"+addr)
	message(dhcp6Option(3, ia+address), dhcp6Option(3, ia+address+refused), dhcp6Option(4, "00000001"+address), dhcp6Option(25, ia+prefix), dhcp6Option(25, ia+dhcp6Option(13, "0006")),
		dhcp6Option(25, ia+dhcp6Option(26, times+"38"+addr+dhcp6Option(13, "0006"))))
	message(dhcp6Option(3, ia+"0005"), dhcp6Option(8, "0005"))
	message(dhcp6Option(3, ia+"00050018"), dhcp6Option(8, "0005"))
	message(dhcp6Option(3, ia+dhcp6Option(3, ia+dhcp6Option(3, ia+"00"))), dhcp6Option(8, "0005"))
	for v := range 14 {
		message(dhcp6Option(13, fmt.Sprintf("%04x", v)), dhcp6Option(19, fmt.Sprintf("%02x", v)))
	}
	for _, v := range []string{"00 00 00 0000000000000001", "01 01 01 0000000000000001", "02 01 00 0000000000000001", "02 01 00 0000000000000001 72656c6d 00000001 00112233445566778899aabbccddeeff", "02 01 00 0000000000000001 00000001 00112233445566778899aabbccddeeff",
		"02 01 00 0000000000000001 72656c", "03 01 00 0000000000000001", "03 01 00 0000000000000001 01 00112233445566778899aabbccddeeff", "03 01 00 0000000000000001 02 00112233445566778899aabbccddeeff", "03 01 00 0000000000000001 07 00112233445566778899aabbccddeeff",
		"03 01 00 0000000000000001 03 0011", "04 02 00 0000000000000001 0102030405"} {
		message(dhcp6Option(11, v), dhcp6Option(8, "0005"))
	}
	one, two := dhcp6Option(1, addr), dhcp6Option(2, addr)
	for _, v := range []string{one, two, dhcp6Option(3, "0377777700"), dhcp6Option(3, "03777777"), dhcp6Option(9, "00"), one + two, one + "0001", "00010020", dhcp6Option(1, "00"), dhcp6Option(3, "")} {
		message(dhcp6Option(56, v), dhcp6Option(8, "0005"))
	}
	for _, v := range []string{"0377777700", "03777777 0378797a 00", "03777777 00 0378797a 00", "03777777", "0377777703", "00", "3f" + strings.Repeat("41", 63) + "00", "80"} {
		message(dhcp6Option(21, v), dhcp6Option(24, v), dhcp6Option(64, v), dhcp6Option(8, "0005"))
		message(dhcp6Option(64, v), dhcp6Option(8, "0005"))
	}
	for _, v := range []string{"01" + addr, "02" + addr, "07" + addr, "01" + addr + address, "01" + addr + "00"} {
		message(dhcp6Option(44, v), dhcp6Option(45, address), dhcp6Option(47, addr+"0102"), dhcp6Option(8, "0005"))
	}
	inner := "01 00000a" + dhcp6Option(1, "000300010200000000bb")
	relayed := "0c 01" + addr + addr + dhcp6Option(18, "65746830") + dhcp6Option(9, inner)
	datagram(relayed)
	datagram("0d 01" + addr + addr + dhcp6Option(9, relayed) + dhcp6Option(37, "00000009 01020304"))
	datagram("0c 01" + addr + addr)
	datagram("0c 01" + addr)
	for range 8 {
		relayed = "0c 01" + addr + addr + dhcp6Option(9, relayed)
	}
	datagram(relayed)
	for _, v := range []string{"", "01", "010203", "01020304", "0102030400", "010203040001", "01020304000100", "0c", "0102030400080002000500"} {
		datagram(v)
	}
	return frames
}
