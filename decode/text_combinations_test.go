package decode

import (
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/tundump/tundump/filter/header"
	"github.com/tundump/tundump/testdata/random"
)

// combination returns options of tcpdump that are given together, as often as somebody may do, and
// what they are here.
func combination(r *rand.Rand) form {
	// Connections in tunnels are others for us, which TestTextFlows is about.
	f := form{args: []string{"-S"}, opt: TextOptions{AbsoluteSeq: true}}
	give := func(letter string, most int, set func(n int)) {
		if n := r.IntN(3*most+1) - 2*most; n > 0 {
			f.args = append(f.args, "-"+strings.Repeat(letter, n))
			set(n)
		}
	}
	give("e", 1, func(int) { f.opt.LinkHeader = true })
	give("q", 1, func(int) { f.opt.Quiet = true })
	give("v", 3, func(n int) { f.opt.Verbose = n })
	give("t", 5, func(n int) { f.opt.Time = TimeForm(n) })
	give("x", 2, func(n int) { f.opt.Hex = n })
	give("X", 2, func(n int) { f.opt.HexASCII = n })
	give("A", 2, func(n int) { f.opt.ASCII = n })
	give("K", 1, func(int) { f.opt.NoChecksums = true })
	give("b", 1, func(int) { f.opt.ASDot = true })
	if r.IntN(3) == 0 {
		f.args = append(f.args, "--nano")
		f.opt.Nanoseconds = true
	}
	f.name = strings.Join(f.args, " ")
	return f
}

// TestTextCombinations prints one packet of each kind with many combinations of options.
func TestTextCombinations(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	var frames [][]byte
	all := examples()
	for _, name := range slices.Sorted(maps.Keys(all)) { // the same in every run
		frames = append(frames, all[name][0], all[name][len(all[name])/2])
	}
	for _, file := range captures(t) {
		if p := readPcap(t, file); p.link == header.LinkEthernet && !strings.HasSuffix(file, "short.pcap") && !strings.HasSuffix(file, "headings.pcap") {
			for range 10 {
				frames = append(frames, p.packets[r.IntN(len(p.packets))].Data)
			}
		}
	}
	p := packets{link: header.LinkEthernet}
	for i, f := range frames {
		packet := mutate(r, f)
		if i%4 != 0 {
			packet.Len, packet.Data = len(f), f
		}
		packet.Time = 1e9 + int64(i)*1234567891
		p.packets = append(p.packets, packet)
	}
	p.disguise()
	file := p.write(t)
	given := map[string]int{}
	for range random.Rounds(60) {
		form := combination(r)
		form.opt.Depth = header.MaxDepth
		for _, arg := range form.args {
			given[arg]++
		}
		want, got := tcpdump(t, file, form.args...), p.print(t, form.opt)
		if len(want) != len(got) {
			t.Fatalf("%s: %d packets, tcpdump prints %d", form.name, len(got), len(want))
		}
		differ := 0
		for i := range got {
			if got[i] == want[i] || wanted(want[i], got[i]) {
				continue
			}
			if differ++; differ <= 2 {
				t.Logf("%s: packet %d: %d of %d bytes, % x\n%s", form.name, i+1, len(p.packets[i].Data), p.packets[i].Len, p.packets[i].Data[:min(90, len(p.packets[i].Data))], differing(got[i], want[i]))
			}
		}
		if differ > 0 {
			t.Errorf("%s: %d of %d texts differ", form.name, differ, len(got))
		}
	}
	for _, arg := range []string{"-e", "-q", "-v", "-vv", "-vvv", "-t", "-tt", "-ttt", "-tttt", "-ttttt", "-x", "-xx", "-X", "-XX", "-A", "-AA", "-K", "-b", "--nano"} {
		if given[arg] == 0 {
			t.Errorf("%s was never given", arg)
		}
	}
}
