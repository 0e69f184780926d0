package capture

import (
	"errors"

	"github.com/vishvananda/netlink"
)

// listed returns what list asks the kernel for. If that changes meanwhile, what the kernel tells may lack something that is
// there all the time (NLM_F_DUMP_INTR in netlink(7)), and it is asked again; whole is false if it changed every time.
func listed[T any](list func() ([]T, error)) (all []T, whole bool, err error) {
	const tries = 20
	for range tries {
		if all, err = list(); !errors.Is(err, netlink.ErrDumpInterrupted) {
			return all, true, err
		}
	}
	return all, false, nil
}
