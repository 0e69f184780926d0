package decode

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/tundump/tundump/capture"
	"github.com/tundump/tundump/filter/header"
	"github.com/tundump/tundump/testdata/random"
)

// samples are all Ethernet frames that there are in captures and examples.
func samples(t testing.TB) (frames [][]byte) {
	t.Helper()
	for _, file := range captures(t) {
		p := readPcap(t, file)
		p.disguise()
		if p.link != header.LinkEthernet || strings.HasSuffix(file, "short.pcap") || strings.HasSuffix(file, "headings.pcap") {
			continue
		}
		for _, packet := range p.packets {
			frames = append(frames, packet.Data)
		}
	}
	all := examples()
	var names []string
	for name := range all {
		names = append(names, name)
	}
	slices.Sort(names) // the same in every run
	for _, name := range names {
		frames = append(frames, all[name]...)
	}
	return frames
}

// mutate returns the frame with something wrong.
func mutate(r *rand.Rand, frame []byte) capture.Packet {
	b := bytes.Clone(frame)
	for range 1 + r.IntN(3) {
		// Rarely in the Ethernet header: it decides what all of the rest is.
		from := min(14, len(b)-1)
		if from < 0 || r.IntN(20) == 0 {
			from = 0
		}
		if len(b) <= from {
			break
		}
		at := from + r.IntN(len(b)-from)
		switch r.IntN(6) {
		case 0:
			b[at] ^= 1 << r.IntN(8)
		case 1:
			b[at] = byte(r.Uint32())
		case 2:
			b[at] = []byte{0, 1, 0x7f, 0x80, 0xff}[r.IntN(5)]
		case 3:
			b[at]++
		case 4: // shorter on the wire, too
			b = b[:max(1, at)]
		case 5:
			b = slices.Insert(b, at, make([]byte, 1+r.IntN(4))...)
		}
	}
	p := capture.Packet{Time: 1e9, Len: len(b), Data: b}
	if r.IntN(3) == 0 { // cut by the snapshot length
		p.Data = b[:1+r.IntN(len(b))]
	}
	return p
}

// TestTextMutations prints packets with errors of every kind, and counts how many
// lines are not tcpdump's.
func TestTextMutations(t *testing.T) {
	frames := samples(t)
	r := rand.New(rand.NewPCG(1, 2))
	p := packets{link: header.LinkEthernet}
	for range random.Rounds(12000) {
		p.packets = append(p.packets, mutate(r, frames[r.IntN(len(frames))]))
	}
	p.disguise()
	file := p.write(t)
	for _, form := range forms[:formsOfHeaders-1] {
		form.opt.Depth, form.opt.AbsoluteSeq = header.MaxDepth, true
		want, got := tcpdump(t, file, append([]string{"-S"}, form.args...)...), p.print(t, form.opt)
		if len(want) != len(got) {
			t.Fatalf("%s: %d packets, tcpdump prints %d", form.name, len(got), len(want))
		}
		lines, same, shown := 0, 0, map[string]int{}
		for i := range got {
			n := strings.Count(want[i], "\n") + 1
			lines += n
			if got[i] == want[i] || wanted(want[i], got[i]) {
				same += n
				continue
			}
			ours := strings.Split(got[i], "\n")
			for _, line := range strings.Split(want[i], "\n") {
				if slices.Contains(ours, line) {
					same++
				}
			}
			if what := kindOf(want[i], got[i]); shown[what] < 1 && len(shown) < 25 {
				t.Logf("%s: packet %d: %d of %d bytes, % x\n%s", form.name, i+1, len(p.packets[i].Data), p.packets[i].Len, p.packets[i].Data[:min(60, len(p.packets[i].Data))], differing(got[i], want[i]))
			}
			shown[kindOf(want[i], got[i])]++
		}
		percent, least := 100*float64(same)/float64(lines), 99.0
		if form.opt.Verbose > 0 {
			least = 95
		}
		t.Logf("%s: %.2f %% of %d lines are tcpdump's; %v", form.name, percent, lines, shown)
		if percent < least {
			t.Errorf("%s: %.2f %% of the lines are tcpdump's, want %v", form.name, percent, least)
		}
	}
}

// kindOf names the word at which two texts begin to differ.
func kindOf(want, got string) string {
	same := 0
	for same < len(got) && same < len(want) && got[same] == want[same] {
		same++
	}
	words := strings.FieldsFunc(want[:same], func(r rune) bool { return r < 'A' || r > 'z' })
	return fmt.Sprint(words[max(0, len(words)-2):])
}
