package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// demo returns the command that make demo runs, in a folder of its own.
func demo(t *testing.T) *exec.Cmd {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, for network namespaces: sudo make test")
	}
	program := filepath.Join(t.TempDir(), "demo")
	if out, err := exec.Command("go", "build", "-o", program, "../../testdata/demo").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	tundump, err := exec.LookPath("tundump")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, tundump)
	cmd.Dir = t.TempDir()
	return cmd
}

// noNamespaces checks that no network namespace is left that the command has made.
func noNamespaces(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	out, err := exec.Command("ip", "netns", "list").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if strings.Contains(string(out), fmt.Sprintf("tundump-%d-", cmd.Process.Pid)) {
		t.Errorf("namespaces of process %d are left over:\n%s", cmd.Process.Pid, out)
	}
}

func TestDemo(t *testing.T) {
	cmd := demo(t)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for text, n := range map[string]int{
		"vni 42\nIP 10.5.5.1 > 10.5.5.5: ICMP echo request":            3,
		"vni 42\nIP 10.5.5.5 > 10.5.5.1: ICMP echo reply":              3,
		"GREv0, key=0x2a, length 68: IP 10.5.5.1.40000 > 10.5.5.5.443": 2,
		"GREv0, key=0x2a, length 68: IP 10.5.5.5.443 > 10.5.5.1.40000": 1,
		"> 10.5.5.6":                    0,
		"9 packets captured\n":          1,
		"0 packets dropped by kernel\n": 1,
	} {
		if got := strings.Count(string(out), text); got != n {
			t.Errorf("%d times %q, want %d", got, text, n)
		}
	}
	readable(t, filepath.Join(cmd.Dir, "out.pcapng"), 9)
	noNamespaces(t, cmd)
	if t.Failed() {
		t.Logf("%s", out)
	}
}

// TestDemoInterrupted: Ctrl-C in the middle leaves nothing behind.
func TestDemoInterrupted(t *testing.T) {
	cmd := demo(t)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // of it and of what it starts
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "tundump: listening") {
			if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGINT); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err == nil {
		t.Error("exit status 0 after an interrupt")
	}
	noNamespaces(t, cmd)
}
