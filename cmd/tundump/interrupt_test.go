package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// pipe makes a named pipe that nobody has opened, and frees who still waits for that at the test's end.
func pipe(t *testing.T) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for range 2 { // whoever reads waits for who opens it, and then for bytes or the end
			if f, err := os.OpenFile(name, os.O_RDWR|syscall.O_NONBLOCK, 0); err == nil {
				f.Close()
			}
		}
	})
	return name
}

// TestInterruptWaiting ends what waits for the other end of a pipe.
func TestInterruptWaiting(t *testing.T) {
	file := filepath.Join("..", "..", "testdata", "plain.pcap")
	for _, c := range []struct {
		name   string
		args   func(pipe string) []string
		writer bool // of the pipe, who writes nothing
		want   string
		status int
	}{
		{"read", func(p string) []string { return []string{"-r", p} }, false, "PIPE: interrupted before anything came", failed},
		{"read, open", func(p string) []string { return []string{"-r", p} }, true, "PIPE: interrupted before anything came", failed},
		{"list", func(p string) []string { return []string{"-V", p} }, false, "option -V: interrupted", failed},
		{"list, open", func(p string) []string { return []string{"-V", p} }, true, "option -V: interrupted", failed},
		{"expression", func(p string) []string { return []string{"-r", file, "-F", p} }, false, "option -F: interrupted", failed},
		{"expression, open", func(p string) []string { return []string{"-r", file, "-F", p} }, true, "option -F: interrupted", failed},
		{"set", func(p string) []string { return []string{"-r", file, "host in @" + p} }, false, "PIPE: interrupted", wrong},
		{"set, open", func(p string) []string { return []string{"-r", file, "host in @" + p} }, true, "PIPE: interrupted", wrong},
		{"offset", func(p string) []string { return []string{"offset", "-r", p} }, false, "PIPE: interrupted before anything came", failed},
		{"offset, open", func(p string) []string { return []string{"offset", "-r", p} }, true, "PIPE: interrupted before anything came", failed},
		{"write", func(p string) []string { return []string{"-r", file, "-w", p} }, false, "PIPE: interrupted before anybody read it", failed},
	} {
		t.Run(c.name, func(t *testing.T) {
			name := pipe(t)
			if c.writer {
				w, err := os.OpenFile(name, os.O_RDWR, 0)
				if err != nil {
					t.Fatal(err)
				}
				defer w.Close()
			}
			out, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer out.Close()
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			var messages bytes.Buffer
			status := make(chan int, 1)
			go func() { status <- run(ctx, stdio{os.Stdin, out, &messages}, c.args(name)) }()
			select {
			case got := <-status:
				if text := strings.ReplaceAll(messages.String(), name, "PIPE"); got != c.status || !strings.Contains(text, c.want) {
					t.Errorf("exit status %d, want %d; it says %q, want %q", got, c.status, text, c.want)
				}
			case <-time.After(30 * time.Second):
				t.Fatal("it goes on")
			}
		})
	}
}

// TestWriteToPipe writes to a named pipe: all packets wait for a reader, and one that goes away is noticed.
func TestWriteToPipe(t *testing.T) {
	file := filepath.Join("..", "..", "testdata", "dns.pcap")
	t.Run("late reader", func(t *testing.T) {
		name := pipe(t)
		writer := exec.CommandContext(t.Context(), "tundump", "-r", file, "--format", "pcap", "-w", name)
		if err := writer.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(200 * time.Millisecond)
		reader, err := exec.CommandContext(t.Context(), "tcpdump", "--count", "-r", name).Output()
		if err != nil {
			t.Fatal(err)
		}
		if err := writer.Wait(); err != nil {
			t.Fatal(err)
		}
		want, err := exec.Command("tcpdump", "--count", "-r", file).Output()
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(reader, want) {
			t.Errorf("who reads the pipe gets %q, want %q", reader, want)
		}
	})
	t.Run("reader goes away", func(t *testing.T) {
		name := pipe(t)
		list := filepath.Join(t.TempDir(), "list") // of more than fits into a pipe
		if err := os.WriteFile(list, []byte(strings.Repeat(file+"\n", 20)), 0o600); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		writer := exec.CommandContext(ctx, "tundump", "-V", list, "-w", name)
		if err := writer.Start(); err != nil {
			t.Fatal(err)
		}
		reader, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		reader.Close()
		if err := writer.Wait(); err != nil { // as if it were tundump -w - | true
			t.Fatal(err)
		}
	})
}
