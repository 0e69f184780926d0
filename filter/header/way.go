package header

import (
	"math/bits"
	"slices"
)

// Way is one way for a header to be followed by another: a rule, and what must hold
// so that no rule in front of it decides.
type Way struct {
	Value uint32      // of the field Next.By
	Tests []Test      // of the header; all must hold
	Peek  Test        // of what is behind it
	Not   []Exception // none of them may hold
}

// Exception is a rule in front of another one for the same value. It decides if both
// tests hold: that of the header, and that of what is behind it.
type Exception struct{ Own, Peek Test }

// Ways returns the ways by which the rules of a header lead to the one with the ID; if there
// are values, only by those.
func Ways(rules []Rule, to ID, values ...uint32) (ways []Way) {
	for i, r := range rules {
		if r.To != to || len(values) > 0 && !slices.Contains(values, r.Value) {
			continue
		}
		w := Way{Value: r.Value, Peek: r.Peek}
		if r.If.Size > 0 {
			w.Tests = append(w.Tests, r.If)
		}
		taken := false
		for _, e := range rules[:i] {
			switch {
			case e.Value != r.Value:
			case e.Peek.Size == 0 && e.If.Size == 0:
				taken = true // e is for the same: rules that come together from several headers
			case e.Peek.Size == 0 && bits.OnesCount32(e.If.Mask) == 1:
				w.Tests = append(w.Tests, Test{Off: e.If.Off, Size: e.If.Size, Mask: e.If.Mask, Value: e.If.Value ^ e.If.Mask})
			default:
				w.Not = append(w.Not, Exception{e.If, e.Peek})
			}
		}
		if !taken {
			w.simplify()
			ways = append(ways, w)
		}
	}
	return ways
}

// simplify leaves out exceptions that cannot be where the tests hold, or that others include.
func (w *Way) simplify() {
	all := slices.Clone(w.Not)
	w.Not = slices.DeleteFunc(w.Not, func(x Exception) bool {
		return slices.ContainsFunc(w.Tests, func(t Test) bool {
			return t.Off == x.Own.Off && t.Size == x.Own.Size && t.Mask&x.Own.Mask&(t.Value^x.Own.Value) != 0
		}) || x.Peek.Size > 0 && slices.Contains(all, Exception{Own: x.Own})
	})
}
