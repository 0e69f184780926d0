package capture

import (
	"path"
	"strings"
)

// Any stands for every interface that is up. As in tcpdump none of them is set promiscuous.
const Any = "any"

// IsPattern reports whether a name stands for several interfaces, those that appear later
// too: Any, or a pattern of the shell with *, ? or [.
func IsPattern(name string) bool {
	return name == Any || strings.ContainsAny(name, "*?[")
}

// matches reports whether a pattern is about an interface.
func matches(pattern, name string) bool {
	if pattern == Any {
		return true
	}
	ok, err := path.Match(pattern, name)
	return ok && err == nil
}
