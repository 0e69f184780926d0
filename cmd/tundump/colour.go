package main

import (
	"os"

	"github.com/tundump/tundump/capture"
	"github.com/tundump/tundump/filter"
	"github.com/tundump/tundump/filter/header"
	"github.com/tundump/tundump/filter/ir"
)

// coloured reports whether what is printed to f may have colours: on a terminal, unless
// the environment says otherwise (https://no-color.org, https://bixense.com/clicolors).
func coloured(f *os.File, env func(string) string) bool {
	switch {
	case env("NO_COLOR") != "":
		return false
	case env("CLICOLOR_FORCE") != "" && env("CLICOLOR_FORCE") != "0":
		return true
	}
	return env("TERM") != "dumb" && isTerminal(f)
}

// bright returns what finds the tunnel levels of a packet at which a scope of the
// expression holds, as bits; nil if nothing is to be coloured.
func (s *session) bright() func(p *capture.Packet, link header.LinkType) uint {
	if s.opt.Decap || !coloured(s.std.out, os.Getenv) { // there are no levels any more
		return nil
	}
	if levels, err := filter.CompileLevels(s.opt.Expression, s.filterOptions(kind{link: header.LinkEthernet})); err != nil || levels == nil {
		return nil
	}
	compiled := map[header.LinkType][]*ir.Prog{}
	return func(p *capture.Packet, link header.LinkType) (bits uint) {
		levels, ok := compiled[link]
		if !ok {
			// The expression has been compiled for this link type: it selected the packet. Should
			// it be wrong all the same, nothing is coloured.
			levels, _ = filter.CompileLevels(s.opt.Expression, s.filterOptions(kind{link: link}))
			compiled[link] = levels
		}
		for level, prog := range levels {
			if prog != nil && prog.Match(p.Data, ir.Meta{Len: uint32(p.Len)}) {
				bits |= 1 << level
			}
		}
		return bits
	}
}
