package ir

import "slices"

// repeat returns what the pass makes of the graph, again and again, until that changes
// nothing any more.
func (g *Graph) repeat(pass func(*Graph) *Graph) *Graph {
	const passes = 12 // three are nearly always enough
	for range passes {
		h := pass(g)
		done := slices.Equal(h.tests, g.tests) && h.start == g.start
		if g = h; done {
			break
		}
	}
	return g
}

// fact is what is known of a number.
type fact struct {
	Range
	ones, zeros uint32 // bits that are set, and that are not
	within      uint32 // how many bytes are there from it on
	lacks       uint32 // how many are not, if not 0
}

// facts are those that hold at one place of a graph.
type facts struct {
	*Graph
	of   []fact             // by Expr
	not  map[[2]uint32]bool // numbers, and what they are not
	is   map[question]bool  // the outcome of tests
	sets map[Expr][]uint32  // numbers that are one of a few
	log  []func()           // how to forget, the latest last

	latest *lesson // what has been learnt, the latest first
}

// question is a test without its targets.
type question struct {
	cond Cond
	a, b Expr
}

func (t test) question() question { return question{t.cond, t.a, t.b} }

// lesson is something that was learnt on the way to a place in a graph.
type lesson struct {
	before  *lesson
	test    question
	outcome bool     // of the test,
	oneOf   []uint32 // or what A is one of
}

func newFacts(g *Graph) *facts {
	k := &facts{Graph: g, of: make([]fact, len(g.all)), not: map[[2]uint32]bool{}, is: map[question]bool{}, sets: map[Expr][]uint32{}}
	for e, r := range g.ranges {
		k.of[e].Range = r
	}
	return k
}

// follow returns where a way through test n leads to, past up to so many tests whose outcome
// is known.
func (k *facts) follow(n, steps int) int {
	for ; n >= 0 && steps > 0; steps-- {
		outcome, ok := k.decide(k.tests[n])
		switch {
		case !ok:
			return n
		case outcome:
			n = k.tests[n].yes
		default:
			n = k.tests[n].no
		}
	}
	return n
}

func (k *facts) fact(e Expr) fact {
	if int(e) >= len(k.of) { // it is newer than these facts
		return fact{Range: k.ranges[e]}
	}
	return k.of[e]
}

func (k *facts) set(e Expr, f fact) {
	if int(e) >= len(k.of) {
		return
	}
	if old := k.of[e]; old != f {
		k.of[e] = f
		k.log = append(k.log, func() { k.of[e] = old })
	}
}

// forget goes back to what was known when the log had n entries.
func (k *facts) forget(n int) {
	for _, undo := range slices.Backward(k.log[n:]) {
		undo()
	}
	k.log = k.log[:n]
}

// loaded adds that what is loaded for an expression is there.
func (k *facts) loaded(e Expr, left *int) {
	t := k.all[e]
	if *left--; *left < 0 || t.Op == Mov || t.Op == LoadMeta {
		return
	}
	k.loaded(t.A, left)
	if t.Op != Load {
		k.loaded(t.B, left)
		return
	}
	k.within(t.A, t.Imm+uint32(t.Size))
}

// within adds that bytes from a base on are there.
func (k *facts) within(base Expr, size uint32) {
	base, size = k.inner(base, size)
	f := k.fact(base)
	f.within = max(f.within, size)
	k.set(base, f)
}

// isWithin reports whether bytes from a base on are known to be there.
func (k *facts) isWithin(base Expr, size uint32) bool {
	base, size = k.inner(base, size)
	within := k.fact(base).within
	return within >= size && within > 0
}

// there reports whether all that would be loaded for an expression is known to be there.
func (k *facts) there(e Expr, left *int) bool {
	t := k.all[e]
	if t.Op == Mov || t.Op == LoadMeta {
		return true
	}
	if *left--; *left < 0 || !k.there(t.A, left) {
		return false
	}
	switch t.Op {
	case Load:
		return k.isWithin(t.A, t.Imm+uint32(t.Size))
	case Div, Mod:
		return k.there(t.B, left) && k.fact(t.B).Lo > 0
	}
	return k.there(t.B, left)
}

// value returns what an expression may be.
func (k *facts) value(e Expr, depth int) Range {
	t, r := k.all[e], k.fact(e).Range
	if t.Op >= Load || t.Op == Mov || depth == 0 || r.Lo == r.Hi {
		return r
	}
	s := (Instr{Op: t.Op}).Result(k.value(t.A, depth-1), k.value(t.B, depth-1))
	if s = (Range{max(r.Lo, s.Lo), min(r.Hi, s.Hi)}); s.isNone() {
		return r
	}
	return s
}

// decide returns the outcome of a test, if it is known.
func (k *facts) decide(t test) (outcome, ok bool) {
	f := k.fact(t.a)
	if t.cond == Within {
		n := k.all[t.b].Imm
		switch {
		case k.isWithin(t.a, n), t.a == Zero && n == 0:
			return true, true
		case f.lacks > 0 && n >= f.lacks, f.Lo >= Absent:
			return false, true
		}
		return false, false
	}
	left := patience
	if !k.there(t.a, &left) || !k.there(t.b, &left) {
		return false, false // it might reject the packet
	}
	if outcome, ok := k.is[t.question()]; ok {
		return outcome, true
	}
	if k.loose && t.cond != Eq { // libpcap does not see more
		return false, false
	}
	if t.cond == In {
		return false, false
	}
	if outcome, ok := k.ofSet(t); ok {
		return outcome, true
	}
	if f.Lo == f.Hi && k.all[t.b].Op == Mov {
		return t.cond.holds(f.Lo, k.all[t.b].Imm), true
	}
	if k.loose {
		return false, false
	}
	const depth = 4
	r, s := k.value(t.a, depth), k.value(t.b, depth)
	same := s.Lo == s.Hi
	v := s.Lo
	switch t.cond {
	case Eq:
		switch {
		case same && r == s:
			return true, true
		case r.Hi < s.Lo || s.Hi < r.Lo:
			return false, true
		case same && (k.not[[2]uint32{uint32(t.a), v}] || f.zeros&v != 0 || f.ones&^v != 0):
			return false, true
		}
	case Gt:
		switch {
		case r.Lo > s.Hi:
			return true, true
		case r.Hi <= s.Lo:
			return false, true
		}
	case Ge:
		switch {
		case r.Lo >= s.Hi:
			return true, true
		case r.Hi < s.Lo:
			return false, true
		}
	case Set:
		if !same {
			break
		}
		switch {
		case r.Lo == r.Hi:
			return r.Lo&v != 0, true
		case f.ones&v != 0:
			return true, true
		case v&^f.zeros == 0:
			return false, true
		}
	}
	return false, false
}

// ofSet returns the outcome of a comparison with a constant, if it is the same for all
// that the number may be.
func (k *facts) ofSet(t test) (outcome, ok bool) {
	v, constant := k.Const(t.b)
	if !constant {
		return false, false
	}
	f, some := k.fact(t.a), 0
	for _, n := range k.sets[t.a] {
		if n < f.Lo || n > f.Hi || k.not[[2]uint32{uint32(t.a), n}] {
			continue
		}
		holds := t.cond.holds(n, v)
		if some++; some > 1 && holds != outcome {
			return false, false
		}
		outcome = holds
	}
	return outcome, some > 0
}

// remember adds a lesson, until it is forgotten.
func (k *facts) remember(l lesson) {
	was := k.latest
	l.before = was
	k.latest = &l
	k.log = append(k.log, func() { k.latest = was })
}

// learnSet adds that a number is one of a few.
func (k *facts) learnSet(e Expr, oneOf []uint32) {
	was, ok := k.sets[e]
	if ok && len(was) <= len(oneOf) {
		return
	}
	k.sets[e] = oneOf
	k.remember(lesson{test: question{a: e}, oneOf: oneOf})
	k.log = append(k.log, func() {
		if delete(k.sets, e); ok {
			k.sets[e] = was
		}
	})
}

// learnCommon adds what was learnt on each of several ways to a place.
func (k *facts) learnCommon(ways []*lesson) {
	const far = 32 // lessons that are looked at
	back := func(l *lesson, f func(*lesson)) {
		for n := 0; n < far && l != nil && l != k.latest; n++ {
			f(l)
			l = l.before
		}
	}
	sets, outcomes := map[Expr][]uint32{}, map[question]bool{}
	var learnt []*lesson // those of the first way, for a fixed order
	numbers := func(l *lesson) []uint32 {
		if v, ok := k.Const(l.test.b); ok && l.test.cond == Eq && l.outcome {
			return []uint32{v}
		}
		return l.oneOf
	}
	back(ways[0], func(l *lesson) {
		learnt = append(learnt, l)
		if of := numbers(l); of != nil {
			if _, ok := sets[l.test.a]; !ok {
				sets[l.test.a] = of
			}
		}
		if l.oneOf == nil {
			outcomes[l.test] = l.outcome
		}
	})
	for _, way := range ways[1:] {
		if len(sets) == 0 && len(outcomes) == 0 {
			return
		}
		seen := map[Expr][]uint32{}
		same := map[question]bool{}
		back(way, func(l *lesson) {
			if of := numbers(l); of != nil {
				if _, ok := seen[l.test.a]; !ok {
					seen[l.test.a] = of
				}
			}
			if outcome, ok := outcomes[l.test]; ok && l.oneOf == nil && outcome == l.outcome {
				same[l.test] = outcome
			}
		})
		outcomes = same
		for e, of := range sets {
			of = slices.Compact(slices.Sorted(slices.Values(slices.Concat(of, seen[e]))))
			if sets[e] = of; seen[e] == nil || len(of) > 8 {
				delete(sets, e)
			}
		}
	}
	for _, l := range learnt {
		if of, ok := sets[l.test.a]; ok {
			k.learnSet(l.test.a, of)
			delete(sets, l.test.a)
		}
		if outcome, ok := outcomes[l.test]; ok && l.oneOf == nil {
			k.learn(test{cond: l.test.cond, a: l.test.a, b: l.test.b}, outcome)
			delete(outcomes, l.test)
		}
	}
}

// learn adds the outcome of a test.
func (k *facts) learn(t test, outcome bool) {
	k.remember(lesson{test: t.question(), outcome: outcome})
	f := k.fact(t.a)
	v, same := k.Const(t.b)
	if t.cond == Within {
		if outcome {
			k.within(t.a, v)
		} else if f.lacks == 0 || v < f.lacks {
			f.lacks = v
			k.set(t.a, f)
		}
		return
	}
	key := t.question()
	if _, ok := k.is[key]; !ok {
		k.is[key] = outcome
		k.log = append(k.log, func() { delete(k.is, key) })
	}
	if !same {
		return
	}
	if r := f.Range.Where(t.cond, v, outcome); !r.isNone() {
		f.Range = r
	}
	switch {
	case t.cond == Eq && outcome:
		f.ones, f.zeros = v, ^v
	case t.cond == Eq:
		if not := [2]uint32{uint32(t.a), v}; !k.not[not] {
			k.not[not] = true
			k.log = append(k.log, func() { delete(k.not, not) })
		}
	case t.cond == Set && !outcome:
		f.zeros |= v
	case t.cond == Set && v&(v-1) == 0:
		f.ones |= v
	}
	k.set(t.a, f)
}

// thread leads edges past tests whose outcome is known on them. What is known at a test is
// what the tests and the edges say that are on every way to it: those above it in
// the tree of dominators.
func (g *Graph) thread() *Graph {
	order := g.reach()
	tree := g.dominators(order)
	out := slices.Clone(g.tests)
	k := newFacts(g)
	lessons := make([]*lesson, 3*len(g.tests)) // that were learnt on the way to each edge
	into := g.into(order)
	var visit func(place int)
	visit = func(place int) {
		since := len(k.log)
		switch n := place / 3; {
		case place < 0:
		case place%3 == atTest:
			if edges := into[n]; len(edges) > 1 {
				ways := make([]*lesson, len(edges))
				for i, edge := range edges {
					ways[i] = lessons[edge]
				}
				k.learnCommon(ways)
			}
			if g.tests[n].cond != Within {
				left := patience
				k.loaded(g.tests[n].a, &left)
				k.loaded(g.tests[n].b, &left)
			}
		case place%3 == ifTrue:
			k.learn(g.tests[n], true)
			lessons[place] = k.latest
			out[n].yes = k.follow(g.tests[n].yes, patience)
		default:
			k.learn(g.tests[n], false)
			lessons[place] = k.latest
			out[n].no = k.follow(g.tests[n].no, patience)
		}
		for _, below := range tree[place+1] {
			visit(below)
		}
		k.forget(since)
	}
	visit(-1)
	return g.rebuild(func(n int) test { return out[n] })
}

// bypass leaves out tests that make no difference, such as the first of a == 1 and a == 2
// if one leads to where both fail.
func (g *Graph) bypass() *Graph {
	k := newFacts(g)
	return g.rebuild(func(n int) test {
		t := g.tests[n]
		for _, outcome := range []bool{true, false} {
			left := patience
			if t.cond != Within {
				k.loaded(t.a, &left)
				k.loaded(t.b, &left)
			}
			k.learn(t, outcome)
			same := k.follow(t.yes, patience) == k.follow(t.no, patience)
			k.forget(0)
			// Then one may go on as if it had the other outcome.
			switch {
			case same && outcome:
				t.yes = t.no
			case same:
				t.no = t.yes
			}
			if same {
				return t
			}
		}
		return t
	})
}

// Places in a graph: a test, its true edge, and its false edge. Place n is that of test
// n/3; -1 is the start.
const (
	atTest = iota
	ifTrue
	ifFalse
)

// into returns the edges that lead to each test.
func (g *Graph) into(order []int) [][]int {
	into := make([][]int, len(g.tests))
	for _, n := range order {
		if to := g.tests[n].yes; to >= 0 {
			into[to] = append(into[to], 3*n+ifTrue)
		}
		if to := g.tests[n].no; to >= 0 {
			into[to] = append(into[to], 3*n+ifFalse)
		}
	}
	return into
}

// dominators returns for each place, and the start at 0, those right below it in the
// tree of dominators: those that are reached over it only.
func (g *Graph) dominators(order []int) [][]int {
	above := make([]int, 3*len(g.tests)+1) // counted from 1, as are depth and jump
	depth := make([]int, len(above))
	jump := make([]int, len(above)) // a place farther above, to get there fast
	tree := make([][]int, len(above))
	seen := make([]bool, len(above))
	put := func(place, under int) {
		above[place+1], depth[place+1], seen[place+1] = under, depth[under+1]+1, true
		// Jumps double, as in a skew binary number.
		jump[place+1] = under
		if j := jump[under+1]; depth[under+1]-depth[j+1] == depth[j+1]-depth[jump[j+1]+1] {
			jump[place+1] = jump[j+1]
		}
	}
	above[0], jump[0] = -1, -1
	common := func(a, b int) int {
		for depth[a+1] > depth[b+1] {
			if j := jump[a+1]; depth[j+1] >= depth[b+1] {
				a = j
			} else {
				a = above[a+1]
			}
		}
		for depth[b+1] > depth[a+1] {
			if j := jump[b+1]; depth[j+1] >= depth[a+1] {
				b = j
			} else {
				b = above[b+1]
			}
		}
		for a != b {
			if jump[a+1] != jump[b+1] {
				a, b = jump[a+1], jump[b+1]
			} else {
				a, b = above[a+1], above[b+1]
			}
		}
		return a
	}
	enter := func(n, from int) {
		switch {
		case n < 0:
		case !seen[3*n+1]:
			seen[3*n+1], above[3*n+1] = true, from
		default:
			above[3*n+1] = common(above[3*n+1], from)
		}
	}
	enter(g.start, -1)
	for _, n := range order {
		t, at := g.tests[n], 3*n
		put(at, above[at+1])
		put(at+ifTrue, at)
		put(at+ifFalse, at)
		enter(t.yes, at+ifTrue)
		enter(t.no, at+ifFalse)
	}
	for _, n := range order {
		for place := 3 * n; place < 3*n+3; place++ {
			tree[above[place+1]+1] = append(tree[above[place+1]+1], place)
		}
	}
	return tree
}

// cluster puts tests of the same number next to each other where that can be done: in a
// chain in which the first that holds, or the first that does not, decides. So it need not
// be loaded again. If one decides before another that stood in front of it, what that would
// have loaded must be there still.
func (g *Graph) cluster() *Graph {
	// Where that is worth most, libpcap's optimiser, too, lets a test of what is there decide
	// before one of what is not; elsewhere it often does not.
	const few = 8
	decides := make([]int, len(g.tests))
	needs := make([]Expr, len(g.tests)) // what must be there where a test decides, else Zero
	k := newFacts(g)
	order := g.reach()
	out := slices.Clone(g.tests)
	edges := make([]int, len(out))   // how many lead to each test
	before := make([]Expr, len(out)) // what all that lead to it have tested, else Zero
	enter := func(n int, from Expr) {
		if n < 0 {
			return
		}
		if edges[n]++; edges[n] == 1 {
			before[n] = from
		} else if before[n] != from {
			before[n] = Zero
		}
	}
	enter(g.start, Zero)
	for _, n := range order {
		t := out[n]
		from := t.a
		if t.cond == Within {
			from = Zero
		}
		enter(t.yes, from)
		enter(t.no, from)
	}
	done := make([]bool, len(out))    // tests that have changed their place
	seen := make([][2]bool, len(out)) // tests of chains that were looked at, of each kind
	for _, first := range order {
		for kind, next := range []func(n int) (next, decided int){
			func(n int) (int, int) { return g.tests[n].no, g.tests[n].yes },
			func(n int) (int, int) { return g.tests[n].yes, g.tests[n].no },
		} {
			if done[first] || seen[first][kind] || g.tests[first].cond == Within {
				continue
			}
			chain := []int{first}
			to, decided := next(first)
			for to >= 0 && edges[to] == 1 && !done[to] && g.tests[to].cond != Within {
				follow, d := next(to)
				if d != decided {
					break
				}
				chain = append(chain, to)
				seen[to][kind] = true
				to = follow
			}
			var sorted []int
			rank := map[Expr]int{before[first]: -1}
			for i, n := range chain {
				a := g.tests[n].a
				if _, ok := rank[a]; !ok {
					rank[a] = i
				}
				sorted = append(sorted, n)
			}
			of := func(i, n int) int {
				if _, constant := g.Const(g.tests[n].b); !constant {
					return i
				}
				return rank[g.tests[n].a]
			}
			place := map[int]int{}
			for i, n := range chain {
				place[n] = of(i, n)
			}
			slices.SortStableFunc(sorted, func(a, b int) int { return place[a] - place[b] })
			if slices.Equal(sorted, chain) {
				continue
			}
			if !(g.loose && len(chain) > few) && !k.early(chain, sorted) {
				need, ok := g.overtaken(chain, sorted)
				if g.loose || !ok {
					continue
				}
				for i, n := range chain {
					needs[n], decides[n] = need[i], decided
				}
			}
			for i, n := range chain {
				t := g.tests[sorted[i]]
				out[n].cond, out[n].a, out[n].b = t.cond, t.a, t.b
				done[n] = true
			}
			// The chain's edges are still those of its places: the tests of one kind differ
			// in nothing else.
		}
	}
	return g.rebuildWith(func(h *Graph, n int, to func(int) int) int {
		t := out[n]
		t.yes, t.no = to(t.yes), to(t.no)
		switch need := needs[n]; {
		case need == Zero:
		case g.tests[n].yes == decides[n]:
			t.yes = h.without(t.yes, need)
		default:
			t.no = h.without(t.no, need)
		}
		return h.add(t)
	})
}

// overtaken returns for each place in the sorted chain what the tests compare that stood in front
// of its test and now come after it, else Zero; false if that is several things.
func (g *Graph) overtaken(chain, sorted []int) (need []Expr, ok bool) {
	const most = 1000 // each is compared with each
	if len(chain) > most {
		return nil, false
	}
	at := map[int]int{} // where tests stood
	for i, n := range chain {
		at[n] = i
	}
	need = make([]Expr, len(chain))
	for i, n := range sorted {
		for _, m := range sorted[i+1:] {
			if at[m] > at[n] {
				continue
			}
			t := g.tests[m]
			if _, constant := g.Const(t.b); !constant || need[i] != Zero && need[i] != t.a {
				return nil, false
			}
			need[i] = t.a
		}
	}
	return need, true
}

// early reports whether tests can change their order without one being left out that would
// reject the packet: whether all that is loaded is known to be there after the first.
func (k *facts) early(chain, sorted []int) bool {
	g := k.Graph
	for _, tests := range [][]int{chain, sorted} {
		left := patience
		k.loaded(g.tests[tests[0]].a, &left)
		for _, n := range tests {
			if !k.there(g.tests[n].a, &left) || !k.there(g.tests[n].b, &left) {
				return false
			}
		}
		k.forget(0)
	}
	return true
}
