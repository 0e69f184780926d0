package capture

import (
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// namespace is a thread in a network namespace. Sockets that are opened there stay there.
type namespace struct {
	calls chan func()
}

// enter starts a thread in the network namespace that the file path stands for. It needs
// CAP_SYS_ADMIN.
func enter(path string) (*namespace, error) {
	n := &namespace{calls: make(chan func())}
	entered := make(chan error)
	go func() {
		// The thread is never unlocked, and so ends with this goroutine.
		runtime.LockOSThread()
		err := setNamespace(path)
		entered <- err
		if err != nil {
			return
		}
		for call := range n.calls {
			call()
		}
	}()
	if err := <-entered; err != nil {
		return nil, fmt.Errorf("entering the network namespace %s: %w", path, err)
	}
	return n, nil
}

func setNamespace(path string) error {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Setns(fd, unix.CLONE_NEWNET)
}

// do calls f in the namespace, or where we are if there is none.
func (n *namespace) do(f func() error) error {
	if n == nil {
		return f()
	}
	done := make(chan error)
	n.calls <- func() { done <- f() }
	return <-done
}

// leave ends the thread.
func (n *namespace) leave() {
	if n != nil {
		close(n.calls)
	}
}

// InNamespace calls f in a thread that is in the network namespace that the file path
// stands for ("/run/netns/blue", "/proc/123/ns/net"). It needs CAP_SYS_ADMIN.
func InNamespace(path string, f func() error) error {
	n, err := enter(path)
	if err != nil {
		return err
	}
	defer n.leave()
	return n.do(f)
}
