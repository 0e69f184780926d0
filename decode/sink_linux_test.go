package decode_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/tundump/tundump/capture"
)

// TestDiskFull fills a real file system, and reads what is there.
func TestDiskFull(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("mounting a small tmpfs needs root: run the test as root")
	}
	dir := t.TempDir()
	if err := syscall.Mount("tundump-test", dir, "tmpfs", 0, "size=512k"); err != nil {
		t.Skipf("mounting a tmpfs: %v: run the test with CAP_SYS_ADMIN", err)
	}
	defer func() { must(t, syscall.Unmount(dir, 0)) }()
	for _, format := range []string{"pcap", "pcapng"} {
		path := filepath.Join(dir, "x."+format)
		w, err := os.Create(path)
		must(t, err)
		sink, err := newSink(w, format)
		must(t, err)
		taken := 0
		for p := (capture.Packet{Len: 999, Data: udp(999)}); err == nil && taken < 10000; taken++ {
			err = sink.Packet(&p, &eth1)
		}
		if want := fmt.Sprintf("writing a capture file: write %s: no space left on device", path); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
		must(t, sink.Close())
		must(t, w.Close())
		got := run(t, "tcpdump", "-ttnr", path) // fails at a torn record
		if n := strings.Count(got, "\n"); n < 400 || n > taken {
			t.Errorf("%s: %d packets of %d", format, n, taken)
		}
		must(t, os.Remove(path))
	}
}
