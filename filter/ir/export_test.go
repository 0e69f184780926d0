package ir

// Codes counts the operations of each kind, of as many as there are.
func (m *Matcher) Codes() (counts [opReject + 1]int) {
	for _, o := range m.ops {
		counts[o.code]++
	}
	return counts
}

// CodeRegisters is the kind of the operations that test bits of a register that another one has:
// the filter language has none.
const CodeRegisters = int(opAny)

// Wake makes a Judge look for kinds of packets, if its program lets it, and tells how many of the last
// packets it had one for.
func (j *Judge) Wake() (known, looked int) {
	known, looked = j.looked-j.missed, j.looked
	j.looked, j.missed = 0, 0
	if j.rest <= judgeRest {
		j.rest = 0
	}
	return known, looked
}
