package decode_test

import (
	"bytes"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/tundump/tundump/capture"
	"github.com/tundump/tundump/decode"
)

func writePcap(t *testing.T, w io.Writer, nanoseconds bool) {
	t.Helper()
	f, err := decode.NewPcap(w, 1, 65535, nanoseconds)
	must(t, err)
	for _, p := range packets() {
		if p.Interface == 0 {
			must(t, f.Packet(&p, &eth1))
		}
	}
	must(t, f.Close())
}

// TestPcapLikeWriter compares what we write with what gopacket's writer does,
// byte for byte.
func TestPcapLikeWriter(t *testing.T) {
	for _, nanoseconds := range []bool{false, true} {
		var ours, theirs bytes.Buffer
		writePcap(t, &ours, nanoseconds)
		w := pcapgo.NewWriter(&theirs)
		if nanoseconds {
			w = pcapgo.NewWriterNanos(&theirs)
		}
		must(t, w.WriteFileHeader(65535, 1))
		for _, p := range packets() {
			if p.Interface == 0 {
				must(t, w.WritePacket(gopacket.CaptureInfo{Timestamp: time.Unix(0, p.Time), CaptureLength: len(p.Data), Length: p.Len}, p.Data))
			}
		}
		if !bytes.Equal(ours.Bytes(), theirs.Bytes()) {
			t.Error(cmp.Diff(theirs.Bytes(), ours.Bytes()))
		}
	}
}

func TestPcapTcpdump(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.pcap")
	w, err := os.Create(path)
	must(t, err)
	writePcap(t, w, true)
	must(t, w.Close()) // Close of the writer has left it open
	got := run(t, "tcpdump", "--nano", "-ttnr", path)
	if want := "1795317601.123456789 IP 192.0.2.1.40000 > 192.0.2.2.9: UDP, length 18\n"; !strings.HasPrefix(got, want) || strings.Count(got, "\n") != 7 {
		t.Error(got)
	}
	got = run(t, "tshark", "-r", path, "-T", "fields", "-e", "frame.time_epoch", "-e", "frame.len", "-e", "frame.cap_len", "-Y", "frame.number==5")
	if want := "1795317609.123456797\t1068\t68\n"; got != want {
		t.Errorf("tshark reads %q, want %q", got, want)
	}
}

func TestPcapSnapLen(t *testing.T) {
	var file bytes.Buffer
	_, err := decode.NewPcap(&file, 1, 0, true)
	must(t, err)
	r, err := pcapgo.NewReader(&file)
	must(t, err)
	if r.Snaplen() != 262144 {
		t.Errorf("snapshot length %d", r.Snaplen())
	}
}

func TestPcapLinkType(t *testing.T) {
	var file bytes.Buffer
	f, err := decode.NewPcap(&file, 1, 0, true)
	must(t, err)
	p := capture.Packet{Len: 1, Data: []byte{1}}
	must(t, f.Packet(&p, &eth1))
	err = f.Packet(&p, &tun0)
	want := `writing a packet: interface "tun0" has link type RAW, this pcap file has EN10MB, and pcap allows only one: write pcapng instead`
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if err := f.Packet(&p, &capture.Interface{LinkType: 147}); err == nil || !strings.Contains(err.Error(), "link type 147,") {
		t.Error(err)
	}
	must(t, f.Packet(&p, &eth1)) // nothing is broken
	must(t, f.Close())
	if file.Len() != 24+2*17 {
		t.Errorf("the file has %d bytes", file.Len())
	}
	if _, err := decode.NewPcap(io.Discard, 1<<16, 0, true); err == nil {
		t.Error("link type 65536: no error")
	}
}

func TestPcapTimes(t *testing.T) {
	for _, c := range []struct {
		ns   int64
		want time.Time
	}{
		{-1, time.Unix(0, 0)},
		{math.MinInt64, time.Unix(0, 0)},
		{math.MaxUint32*1_000_000_000 + 1, time.Unix(math.MaxUint32, 1)},
		{math.MaxInt64, time.Unix(math.MaxUint32, 999_999_999)},
	} {
		var file bytes.Buffer
		f, err := decode.NewPcap(&file, 1, 0, true)
		must(t, err)
		must(t, f.Packet(&capture.Packet{Time: c.ns, Len: -7, Data: []byte{1, 2}}, &eth1))
		must(t, f.Close())
		r, err := pcapgo.NewReader(&file)
		must(t, err)
		_, ci, err := r.ReadPacketData()
		must(t, err)
		if !ci.Timestamp.Equal(c.want) || ci.Length != 2 {
			t.Errorf("%d: %+v", c.ns, ci)
		}
	}
}
