package capture

import (
	"fmt"
	"slices"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// TestListed asks again while the list changes, but not for ever, and not after any other error.
func TestListed(t *testing.T) {
	for _, c := range []struct {
		changes int // so often
		then    error
		whole   bool
		want    []int
		err     error
	}{
		{0, nil, true, []int{1}, nil},
		{3, nil, true, []int{4}, nil},
		{3, unix.EPERM, true, []int{4}, unix.EPERM},
		{1000, nil, false, []int{20}, nil},
	} {
		calls := 0
		got, whole, err := listed(func() ([]int, error) {
			if calls++; calls <= c.changes {
				return []int{calls}, fmt.Errorf("listing: %w", netlink.ErrDumpInterrupted)
			}
			return []int{calls}, c.then
		})
		if !slices.Equal(got, c.want) || whole != c.whole || err != c.err {
			t.Errorf("%d changes, then %v: %v %v %v, want %v %v %v", c.changes, c.then, got, whole, err, c.want, c.whole, c.err)
		}
	}
}
