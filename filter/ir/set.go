package ir

import (
	"cmp"
	"encoding/binary"
	"math/bits"
	"slices"
)

// U128 is a number of 128 bits: an IPv6 address.
type U128 struct{ Hi, Lo uint64 }

// U128Of returns the number that 16 bytes are in network byte order.
func U128Of(b []byte) U128 {
	return U128{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:16])}
}

// Compare is negative if u is less than v, 0 if it is equal, else positive.
func (u U128) Compare(v U128) int {
	if c := cmp.Compare(u.Hi, v.Hi); c != 0 {
		return c
	}
	return cmp.Compare(u.Lo, v.Lo)
}

// Next returns u + 1, which is 0 behind the largest.
func (u U128) Next() U128 {
	u.Lo++
	if u.Lo == 0 {
		u.Hi++
	}
	return u
}

// word returns 32 of the bits; word 0 is the most significant one.
func (u U128) word(n int) uint32 {
	half := u.Hi
	if n >= 2 {
		half = u.Lo
	}
	return uint32(half >> (32 * (1 - n%2)))
}

// Span is the numbers from Lo to Hi, both included.
type Span[T any] struct{ Lo, Hi T }

// Members is a set that In and InLong look up. It does not change.
type Members struct {
	// Short are IPv4 addresses, ports, or identifiers of tunnels: what fits into a
	// register. Long are IPv6 addresses. Both are in ascending order, and between two
	// spans there is at least one number that is in none.
	Short []Span[uint32]
	Long  []Span[U128]
}

// NewMembers returns the set of what is in the spans, in any order. It keeps the slices.
func NewMembers(short []Span[uint32], long []Span[U128]) *Members {
	return &Members{
		join(short, cmp.Compare[uint32], func(v uint32) uint32 { return v + 1 }),
		join(long, U128.Compare, U128.Next),
	}
}

// join sorts spans, and joins those that overlap or touch.
func join[T comparable](spans []Span[T], compare func(a, b T) int, next func(T) T) []Span[T] {
	slices.SortFunc(spans, func(a, b Span[T]) int { return compare(a.Lo, b.Lo) })
	var zero T
	n := 0
	for _, s := range spans {
		if n > 0 {
			// Behind the largest number comes 0, which no later span can start with.
			last := &spans[n-1]
			if after := next(last.Hi); after == zero || compare(s.Lo, after) <= 0 {
				if compare(s.Hi, last.Hi) > 0 {
					last.Hi = s.Hi
				}
				continue
			}
		}
		spans[n] = s
		n++
	}
	return spans[:n]
}

// Prefixes calls f with the fewest prefixes that are the short or the long half of the set, in
// ascending order: a number, and how many of its 32 or 128 bits count. The others are 0.
func (m *Members) Prefixes(long bool, f func(v U128, length int)) {
	if long {
		for _, s := range m.Long {
			prefixes(s, 128, f)
		}
		return
	}
	for _, s := range m.Short {
		prefixes(Span[U128]{U128{Lo: uint64(s.Lo)}, U128{Lo: uint64(s.Hi)}}, 32, f)
	}
}

func prefixes(s Span[U128], width int, f func(v U128, length int)) {
	for lo := s.Lo; ; {
		// The largest power of two that lo is a multiple of and that does not lead beyond the end.
		host := width
		if lo.Lo != 0 {
			host = min(host, bits.TrailingZeros64(lo.Lo))
		} else if lo.Hi != 0 {
			host = min(host, 64+bits.TrailingZeros64(lo.Hi))
		}
		for lo.Or(Ones(host)).Compare(s.Hi) > 0 {
			host--
		}
		f(lo, width-host)
		last := lo.Or(Ones(host))
		if last == s.Hi {
			return
		}
		lo = last.Next()
	}
}

// Has reports whether a number of 32 bits is in the set.
func (m *Members) Has(v uint32) bool {
	lo, hi := 0, len(m.Short) // the first span that ends at v or behind it is between them
	for lo < hi {
		if mid := int(uint(lo+hi) / 2); m.Short[mid].Hi < v {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo < len(m.Short) && m.Short[lo].Lo <= v
}

// HasLong reports whether a number of 128 bits is in the set.
func (m *Members) HasLong(v U128) bool {
	lo, hi := 0, len(m.Long)
	for lo < hi {
		if mid := int(uint(lo+hi) / 2); m.Long[mid].Hi.Compare(v) < 0 {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo < len(m.Long) && m.Long[lo].Lo.Compare(v) <= 0
}

// Or returns the bits that are set in u or v.
func (u U128) Or(v U128) U128 { return U128{u.Hi | v.Hi, u.Lo | v.Lo} }

// Ones returns the number whose lowest n bits are set.
func Ones(n int) U128 {
	if n < 64 {
		return U128{0, 1<<n - 1}
	}
	return U128{1<<(n-64) - 1, 1<<64 - 1}
}

// spans returns how many spans a condition looks through: the size of the set.
func (p *Prog) spans(b Block) int {
	if b.Cond == InLong {
		return len(p.Sets[b.B.Imm].Long)
	}
	return len(p.Sets[b.B.Imm].Short)
}

// LargestSet returns how many spans the largest set has that a block looks up; 0 if
// none does.
func (p *Prog) LargestSet() int {
	most := 0
	for _, b := range p.Blocks {
		if b.Cond == In || b.Cond == InLong {
			most = max(most, p.spans(b))
		}
	}
	return most
}
