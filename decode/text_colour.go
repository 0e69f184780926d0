package decode

import (
	"github.com/tundump/tundump/capture"
	"github.com/tundump/tundump/filter/header"
)

// Select Graphic Rendition, ECMA-48 8.3.117.
const (
	sgrBright = "\x1b[1m"
	sgrDim    = "\x1b[2m"
	sgrPlain  = "\x1b[0m"
)

// colours of the packet that is printed.
type colours struct {
	bright uint // levels, as bits; 0: nothing is coloured
	on     bool // something is
}

// startColours finds out which levels of the packet are to be bright, and starts level 0.
func (t *Text) startColours(p *capture.Packet) {
	t.colours = colours{}
	if t.opt.Bright != nil {
		t.bright = t.opt.Bright(p, t.link)
		t.colour(0)
	}
}

// colour lets what follows look as its level should: bright if it was asked for,
// dim if another one was.
func (t *Text) colour(level int) {
	if t.bright == 0 || len(t.buf)+len(sgrPlain+sgrDim) > t.room { // never half a sequence
		return
	}
	sgr := sgrDim
	if t.bright>>level&1 != 0 {
		sgr = sgrBright
	}
	if t.on {
		t.s(sgrPlain) // bright and dim may be added to each other
	}
	t.s(sgr)
	t.on = true
}

// enterColour colours what is in the tunnel, unless that is in turn a tunnel header
// of the same level, or quoted by an ICMP error.
func (t *Text) enterColour(tunnel header.Layer, next header.ID) {
	if h := t.opt.Table.Header(next); t.base == 0 && h != nil && h.Class != header.Tunnel {
		t.colour(tunnel.Level + 1)
	}
}

// endColours makes what follows plain, also behind a truncation mark.
func (t *Text) endColours() {
	if t.on {
		t.buf = append(t.buf, sgrPlain...)
		t.on = false
	}
}
