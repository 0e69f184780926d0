package filter

import (
	"fmt"

	"github.com/tundump/tundump/filter/ir"
)

// CompileLevels returns for each tunnel level, from 0 to opt.Depth, a program that
// tells whether a scope of the expression that may look into tunnels holds at that
// level: where a packet that the expression accepts has what was asked for. It is nil for
// a level that no such scope looks at, and all is nil for an expression that has
// none. Scopes that must not hold do not count.
func CompileLevels(text string, opt Options) ([]*ir.Prog, error) {
	tree, _, err := parse(text, opt)
	if err != nil {
		return nil, err
	}
	wanted := scopes(tree)
	var programs []*ir.Prog
	for level := 0; level <= opt.Depth && len(wanted) > 0; level++ {
		var any node
		for _, s := range wanted {
			switch {
			case level < s.first || level > s.last:
			case any == nil:
				any = s.x
			default:
				any = or{any, s.x}
			}
		}
		var p *ir.Prog
		if any != nil {
			p = lower(scope{level, level, any}, nil, opt)
			if err := p.Verify(); err != nil {
				return nil, fmt.Errorf("compiling %q for level %d: %w", text, level, err)
			}
		}
		programs = append(programs, p)
	}
	return programs, nil
}

// scopes returns those in n that look into tunnels, and that n is not the denial of.
func scopes(n node) []scope {
	switch n := n.(type) {
	case and:
		return append(scopes(n.a), scopes(n.b)...)
	case or:
		return append(scopes(n.a), scopes(n.b)...)
	case scope:
		if n.last > 0 {
			return []scope{n}
		}
	}
	return nil
}
