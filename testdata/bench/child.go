package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A tool is started by a process of its own, for two reasons: what a process has used at
// most of memory (ru_maxrss) starts at what its parent has, so that a large parent hides it,
// and a process inherits the namespace and the CPU of the thread that starts it. The
// process runs this program again, with the arguments
//
//	run-tool NAMESPACE CPU TOOL ARGUMENT ...
//
// where the namespace may be empty and the CPU -1. It says on descriptor 3 when it has
// started the tool ("started PID NANOSECONDS", of the monotonic clock) and what the tool
// had used when it ended ("ended NANOSECONDS USER SYSTEM MAXRSS STATUS", in microseconds and KiB).
const childReport = 3

// child is the main function of that process.
func child(args []string) int {
	runtime.LockOSThread() // the namespace and the CPU are the thread's
	report := os.NewFile(childReport, "report")
	unix.CloseOnExec(childReport)
	err := func() error {
		if args[0] != "" {
			fd, err := unix.Open("/run/netns/"+args[0], unix.O_RDONLY|unix.O_CLOEXEC, 0)
			if err != nil {
				return err
			}
			if err := unix.Setns(fd, unix.CLONE_NEWNET); err != nil {
				return err
			}
		}
		if cpu, err := strconv.Atoi(args[1]); err != nil {
			return err
		} else if cpu >= 0 {
			if err := pin(cpu); err != nil {
				return err
			}
		}
		cmd := exec.Command(args[2], args[3:]...)
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		start := monotonic()
		if err := cmd.Start(); err != nil {
			return err
		}
		fmt.Fprintf(report, "started %d %d\n", cmd.Process.Pid, start)
		err := cmd.Wait()
		end := monotonic()
		if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
			return err
		}
		usage := cmd.ProcessState.SysUsage().(*syscall.Rusage)
		fmt.Fprintf(report, "ended %d %d %d %d %d\n", end, time.Duration(usage.Utime.Nano()).Microseconds(),
			time.Duration(usage.Stime.Nano()).Microseconds(), usage.Maxrss, cmd.ProcessState.ExitCode())
		return nil
	}()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		return 1
	}
	return 0
}

// pin keeps the calling thread, and the processes it starts, on a CPU.
func pin(cpu int) error {
	var set unix.CPUSet
	set.Set(cpu)
	return unix.SchedSetaffinity(0, &set)
}

func monotonic() int64 {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) // it cannot fail
	return ts.Nano()
}

// tool is a running tool.
type tool struct {
	cmd     *exec.Cmd
	pid     int
	started int64         // monotonic, in nanoseconds
	ready   chan int64    // gets the time at which it said that it was
	wrote   chan struct{} // closed when it has said all
	report  *bufio.Scanner

	mu  sync.Mutex
	log strings.Builder // what it said, but for standard output that went to a file
}

// usage is what a tool has used.
type usage struct {
	wall, cpu time.Duration
	maxRSS    int // bytes
}

// start starts a tool, on the tools' CPU or, with anyCPU, on all. It is ready when it prints a
// line that contains ready. Its standard output goes to a file if one is given.
func (b *bench) start(ns string, anyCPU bool, ready string, stdout *os.File, arg ...string) (*tool, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cpu := b.toolCPU
	if anyCPU {
		cpu = -1
	}
	t := &tool{ready: make(chan int64, 1), wrote: make(chan struct{})}
	t.cmd = exec.CommandContext(b.ctx, self, append([]string{childCommand, ns, strconv.Itoa(cpu)}, arg...)...)
	report, reportEnd, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer reportEnd.Close()
	messages, messagesEnd, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer messagesEnd.Close()
	t.cmd.ExtraFiles = []*os.File{reportEnd}
	t.cmd.Stdout, t.cmd.Stderr = messagesEnd, messagesEnd
	if stdout != nil {
		t.cmd.Stdout = stdout
	}
	if err := t.cmd.Start(); err != nil {
		return nil, err
	}
	t.report = bufio.NewScanner(report)
	go func() {
		defer close(t.wrote)
		said := false
		for lines := bufio.NewScanner(messages); lines.Scan(); {
			if !said && ready != "" && strings.Contains(lines.Text(), ready) {
				t.ready <- monotonic()
				said = true
			}
			t.mu.Lock()
			t.log.WriteString(lines.Text() + "\n")
			t.mu.Unlock()
		}
	}()
	if !t.report.Scan() {
		_ = t.cmd.Wait() // the log says why
		<-t.wrote
		return nil, fmt.Errorf("%s: it did not start: %s", arg[0], t.said())
	}
	if _, err := fmt.Sscanf(t.report.Text(), "started %d %d", &t.pid, &t.started); err != nil {
		return nil, err
	}
	return t, nil
}

func (t *tool) said() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(t.log.String())
}

// whenReady waits until the tool says that it is, and returns how long it took.
func (t *tool) whenReady() (time.Duration, error) {
	select {
	case at := <-t.ready:
		return time.Duration(at - t.started), nil
	case <-t.wrote:
		return 0, fmt.Errorf("%v ended too early: %s", t.cmd.Args[4:], t.said())
	case <-time.After(time.Minute):
		t.kill()
		return 0, fmt.Errorf("%v was not ready in a minute: %s", t.cmd.Args[4:], t.said())
	}
}

// cpu returns the CPU time that the tool has used so far.
func (t *tool) cpu() time.Duration {
	var ts unix.Timespec
	const scheduled = 2 // CPUCLOCK_SCHED, of the whole process
	if unix.ClockGettime(int32(^t.pid<<3|scheduled), &ts) != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}

func (t *tool) kill() { _ = unix.Kill(t.pid, unix.SIGKILL) }

// interrupt ends a tool as Ctrl-C does.
func (t *tool) interrupt() (usage, error) {
	if err := unix.Kill(t.pid, unix.SIGINT); err != nil {
		return usage{}, err
	}
	return t.wait()
}

// wait waits for the end of the tool, a minute or five at most.
func (t *tool) wait() (usage, error) {
	timer := time.AfterFunc(5*time.Minute, t.kill)
	defer timer.Stop()
	var u usage
	var end, user, system, rss int64
	var status int
	if t.report.Scan() {
		if _, err := fmt.Sscanf(t.report.Text(), "ended %d %d %d %d %d", &end, &user, &system, &rss, &status); err != nil {
			return u, err
		}
	}
	err := t.cmd.Wait()
	<-t.wrote
	if err == nil && status != 0 {
		err = fmt.Errorf("exit status %d", status)
	}
	if err != nil {
		return u, fmt.Errorf("%v: %w: %s", t.cmd.Args[4:], err, t.said())
	}
	return usage{time.Duration(end - t.started), time.Duration(user+system) * time.Microsecond, int(rss) << 10}, nil
}

// installed reports whether a tool is there.
func installed(tool string) bool {
	_, err := exec.LookPath(tool)
	return err == nil
}
