package main

import (
	"bytes"
	"encoding/xml"
	"io"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/tundump/tundump/filter/header"
	"github.com/tundump/tundump/filter/stack"
	"github.com/tundump/tundump/testdata/random"
)

// TestMaps checks that the maps show every byte of a stack once, and that a picture's
// boxes lie side by side.
func TestMaps(t *testing.T) {
	table := header.New(random.Ports())
	for _, text := range []string{
		"ether/vlan/qinq/arp", "ip/tcp", "ip,ihl=7,ext=24/gre,csum,key,seq/ether/ip6,ext=8/icmp6", "ip6,ext=2048/udp/geneve,opts=252/ip/sctp",
		"ip/gre,seq/erspan2/ether/ip/icmp", "ip/gre/erspan1/ether", "ip/ip6/udp/vxlan", "ip,ihl=15/ip,ihl=6",
		"mpls/mpls/pw/ether/ip", "vlan/pppoe/ip/gre,seq/erspan3,platform/ether", "pbb/ether/arp", "nsh,context=16/ip", "ip/udp/gpe/nsh,context=244/ether",
		"ip/udp/gtp,ext=8/ip", "ip/udp/gtp,seq/ip6", "ip/etherip/ether", "ip/pptp,seq,ack/hdlc/ppp1/ip", "ip/l2tp/l2spec/ether",
		"ip/udp/teredo/auth,id=3,value=4/origin/ip6", "ip/udp/gue,opts=12/gre/wccp/ip", "ip/mpls/ip",
	} {
		s, err := stack.Parse(table, text)
		if err != nil {
			t.Fatal(err)
		}
		d := describe(s, "")
		end := s.Layers[0].Bytes()
		if strings.HasPrefix(text, "ether") {
			end = 0
		}
		rows := 0
		for _, l := range d.Layers {
			first := end
			for _, row := range l.rows {
				for _, c := range row {
					if c.off != end || c.bytes <= 0 {
						t.Errorf("%s, %s: a box at %d, want %d", text, l.Name, c.off, end)
					}
					end += c.bytes
				}
				rows++
			}
			if end-first != l.Bytes {
				t.Errorf("%s, %s: %d bytes in the map, want %d", text, l.Name, end-first, l.Bytes)
			}
		}

		var out bytes.Buffer
		writeMap(&out, d)
		lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
		if want := rows + len(d.Layers) + 2; len(lines) != want {
			t.Errorf("%s: %d lines, want %d", text, len(lines), want)
		}
		for _, line := range lines {
			if n := utf8.RuneCountInString(line); n > utf8.RuneCountInString(lines[0]) || n > 80 {
				t.Errorf("%s: the line %q is too long", text, line)
			}
		}

		out.Reset()
		writeSVG(&out, d)
		boxes := rectangles(t, &out)
		right := boxes[0].x + boxes[0].width // of the first title
		for i, b := range boxes[1:] {
			if prev := boxes[i]; b.y == prev.y && b.x != prev.x+prev.width || b.y != prev.y && (b.x != boxes[0].x || b.y != prev.y+prev.height) || b.x+b.width > right {
				t.Errorf("%s: the box %+v is behind %+v", text, b, prev)
			}
		}
	}
}

type rectangle struct{ x, y, width, height int }

// rectangles returns the boxes of a picture.
func rectangles(t *testing.T, r io.Reader) []rectangle {
	t.Helper()
	var all []rectangle
	for d := xml.NewDecoder(r); ; {
		token, err := d.Token()
		if err == io.EOF {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		e, ok := token.(xml.StartElement)
		if !ok || e.Name.Local != "rect" {
			continue
		}
		n := map[string]int{}
		for _, a := range e.Attr {
			n[a.Name.Local], _ = strconv.Atoi(a.Value) // the background is in percent
		}
		if n["width"] > 0 {
			all = append(all, rectangle{n["x"], n["y"], n["width"], n["height"]})
		}
	}
}
