package decode

import (
	"regexp"
	"strings"
	"testing"

	"github.com/tundump/tundump/capture"
	"github.com/tundump/tundump/filter/header"
)

var sgr = regexp.MustCompile(`\x1b\[[0-9]*m`)

// TestTextColours checks which parts of a line are dim ({) and bright (<), and where that ends.
func TestTextColours(t *testing.T) {
	inner := eth(header.TypeIP, ip4(protoUDP, udp(9, nil)))
	keyed := eth(header.TypeIP, ip4(protoGRE, gre(0x2000, header.TypeTEB, bytesOf("0000002a"), inner)))
	nested := eth(header.TypeIP, ip4(protoUDP, udp(4789, vxlan(1, keyed))))
	mirrored := eth(header.TypeIP, ip4(protoGRE, gre(0x1000, 0x88be, bytesOf("00000001"), bytesOf("10010005", "00000000", inner))))
	quoting := eth(header.TypeIP, ip4(protoICMP, bytesOf("03010000", "00000000", keyed[14:])))
	const one, two = "IP 10.0.0.1 > 10.0.0.2: ", "IP 10.0.0.1.40000 > 10.0.0.2.9: UDP, length 0"
	const gre0 = "GREv0, key=0x2a, length 50: "
	for _, c := range []struct {
		frame  []byte
		bright uint
		want   string
	}{
		{keyed, 0, one + gre0 + two},
		{keyed, 1 << 1, "{" + one + gre0 + "}<" + two + "}"},
		{keyed, 1 << 0, "<" + one + gre0 + "}{" + two + "}"},
		{keyed, 1<<0 | 1<<1, "<" + one + gre0 + "}<" + two + "}"},
		{mirrored, 1 << 1, "{" + one + "GREv0, seq 1, length 58: ERSPAN type II, session 5: }<" + two + "}"},
		{inner, 1 << 1, "{" + two + "}"},
		{inner[:20], 1 << 1, "{IP  [|ip]}"},
		{nested[:80], 1 << 1, ""},
		{nested, 1 << 2, ""},
		{quoting, 1 << 1, ""},
	} {
		plain := printFrame(t, TextOptions{}, c.frame)
		got := printFrame(t, TextOptions{Bright: func(*capture.Packet, header.LinkType) uint { return c.bright }}, c.frame)
		if without := sgr.ReplaceAllString(got, ""); without != plain {
			t.Errorf("without colours it is %q, should be %q", without, plain)
		}
		got = strings.NewReplacer(sgrPlain, "}", sgrDim, "{", sgrBright, "<").Replace(got)
		got = strings.TrimSuffix(strings.TrimPrefix(got, "00:00:00.000000 "), "\n")
		if want := strings.NewReplacer("}<", "}<", "}{", "}{").Replace(c.want); c.want != "" {
			if strings.HasSuffix(want, ".") {
				want = strings.TrimSuffix(want, ".") + "}"
			}
			if got != want {
				t.Errorf("bright %b:\n%q, want\n%q", c.bright, got, want)
			}
		}
		if strings.ContainsAny(got, "{<") && !strings.HasSuffix(got, "}") {
			t.Errorf("the colour does not end: %q", got)
		}
	}
}

// printFrame prints a frame.
func printFrame(t *testing.T, opt TextOptions, frame []byte) string {
	return one(t, opt, capture.Interface{LinkType: ethernet}, capture.Packet{Data: frame})
}
