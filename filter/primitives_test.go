package filter

import (
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/gopacket/gopacket/layers"

	"github.com/tundump/tundump/filter/header"
	"github.com/tundump/tundump/filter/ir"
	"github.com/tundump/tundump/testdata/oracle"
	"github.com/tundump/tundump/testdata/random"
)

// tested is a capture file of a link type, and its packets.
type tested struct {
	opt     Options
	file    string
	packets [][]byte
	lengths []int
}

// testFile makes a capture file of packets of a link type, whole ones and ones cut at every
// place, some of them longer on the wire.
func testFile(t *testing.T, link uint32, seed uint64, n int) tested {
	f := tested{opt: testOptions(), packets: random.New(seed+uint64(link)).Frames(link, n)}
	f.opt.LinkType, f.opt.Names, f.opt.Origin = header.LinkType(link), oracle.Names{}, OriginFile
	for n, p := range f.packets {
		f.lengths = append(f.lengths, len(p)+n%2*(n%100))
	}
	f.file = oracle.Write(t, layers.LinkType(link), f.packets, f.lengths)
	return f
}

// meta is what a file says of packet n.
func (f tested) meta(n int) ir.Meta { return ir.Meta{Len: uint32(f.lengths[n])} }

// expression is a line of a table: an expression, and what libpcap says about it for
// each link type of random.Links.
type expression struct {
	text string
	says string // '+' if some packets are to be selected, '.' if it is accepted, '-' if it is refused
}

// table reads a table of expressions.
func table(t testing.TB, name string) (all []expression) {
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		if line == "" || strings.HasPrefix(line, "# ") {
			continue
		}
		says, text, ok := strings.Cut(line, " ")
		if !ok || len(says) != len(random.Links()) || strings.Trim(says, "+.-") != "" {
			t.Fatalf("%s: %q is no line of the table", name, line)
		}
		all = append(all, expression{text, says})
	}
	return all
}

// checkError checks that an expression is refused with one line and a place in it.
func checkError(text string, err error) error {
	var e *Error
	switch {
	case err == nil:
		return errors.New("is accepted")
	case !errors.As(err, &e):
		return fmt.Errorf("is refused without a place: %w", err)
	case e.Text != text || e.Pos < 0 || e.Pos > e.End || e.End > len(text):
		return fmt.Errorf("is refused at a place that is not there: %#v", e)
	case e.Msg == "" || strings.ContainsAny(err.Error(), "\r\n"):
		return fmt.Errorf("the reason is not one line: %q", err)
	}
	return nil
}

// compare asks tcpdump about many expressions for packets of one link type, and compares
// which of them it accepts and which packets each selects with what Compile
// makes of them. It returns how many packets each expression selects.
func (f tested) compare(t *testing.T, texts []string) []int {
	t.Helper()
	var questions []oracle.Question
	for _, text := range texts {
		questions = append(questions, oracle.Question{File: f.file, Expression: text})
	}
	answers := oracle.Ask(t, questions)
	programs := make([]*ir.Prog, len(texts))
	var again []oracle.Question // what the optimiser may be the reason of
	var which []int
	for i, text := range texts {
		p, err := Compile(text, f.opt)
		programs[i] = p
		switch a := answers[i]; {
		case err != nil && a.Refused != "":
			if err := checkError(text, err); err != nil {
				t.Errorf("link type %d: %s\n%v", f.opt.LinkType, text, err)
			}
			continue
		case err != nil:
			t.Errorf("link type %d: %s\nis refused: %v, tcpdump accepts it", f.opt.LinkType, text, err)
			continue
		case a.Refused != "":
			again, which = append(again, oracle.Question{File: f.file, Expression: text, Plain: true}), append(which, i)
			continue
		}
		for n, data := range f.packets {
			if p.Match(data, f.meta(n)) != answers[i].Selected[n] {
				again, which = append(again, oracle.Question{File: f.file, Expression: text, Plain: true}), append(which, i)
				break
			}
		}
	}
	// libpcap's optimiser leaves out loads and changes their order, and with that which
	// packets are too short for the expression; and there are expressions that it gets
	// wrong or refuses, as it finds a division by zero. Either of the answers is right.
	for k, plain := range oracle.Ask(t, again) {
		i := which[k]
		if plain.Refused != "" {
			t.Errorf("link type %d: %s\nis accepted, tcpdump says: %s", f.opt.LinkType, texts[i], plain.Refused)
			continue
		}
		optimised := answers[i]
		var short []int // packets that are selected, as it seems for what they lack not mattering
		for n, data := range f.packets {
			got := programs[i].Match(data, f.meta(n))
			if got != plain.Selected[n] && (optimised.Refused != "" || got != optimised.Selected[n]) {
				if got && len(data) < 100 {
					short = append(short, n)
					continue
				}
				t.Errorf("link type %d: %s\non %x (packet %d), %d bytes on the wire\nis %v, tcpdump says %v", f.opt.LinkType, texts[i], data, n, f.lengths[n], got, plain.Selected[n])
				break
			}
		}
		if n, ok := f.matters(t, texts[i], short); ok {
			t.Errorf("link type %d: %s\non %x (packet %d), %d bytes on the wire\nis true, tcpdump says false", f.opt.LinkType, texts[i], f.packets[n], n, f.lengths[n])
		}
	}
	var selected []int
	for i := range texts {
		selected = append(selected, len(answers[i].Selected))
	}
	return selected
}

// matters reports whether it matters to an expression what the packets lack: whether
// tcpdump selects not each of them whatever follows. Our optimiser, as libpcap's, may leave
// out loads of bytes that make no difference, but not always the same ones.
func (f tested) matters(t *testing.T, text string, packets []int) (first int, ok bool) {
	if len(packets) == 0 {
		return 0, false
	}
	g := random.New(80)
	var whole [][]byte
	var lengths []int
	fill := []func() byte{func() byte { return 0 }, func() byte { return 0xff }, func() byte { return byte(g.IntN(256)) }, func() byte { return byte(g.IntN(8)) }, func() byte { return byte(g.IntN(256)) }}
	for _, n := range packets {
		for _, next := range fill {
			p := slices.Clone(f.packets[n])
			for len(p) < 1500 {
				p = append(p, next())
			}
			whole, lengths = append(whole, p), append(lengths, f.lengths[n])
		}
	}
	selected := oracle.Tcpdump(t, oracle.Write(t, layers.LinkType(f.opt.LinkType), whole, lengths), text, "-O")
	for i := range whole {
		if !selected[i] {
			return packets[i/len(fill)], true
		}
	}
	return 0, false
}

// one reports whether a question belongs to one part in n of all, by its text: which part
// of the tables tcpdump is asked about if not TUNDUMP_LONG wants all of them.
func one(n uint32, link uint32, text string) bool {
	h := fnv.New32a()
	fmt.Fprint(h, link, " ", text)
	return random.Rounds(1) > 1 || h.Sum32()%n == 0
}

// TestPrimitives goes through a table of expressions with every primitive, qualifier,
// operator, named constant and notation of libpcap's language, and one of expressions that
// libpcap refuses, for all link types: what is accepted is as the table says, for
// which tcpdump was asked; it is asked again for a part, and about the packets
// that are selected.
func TestPrimitives(t *testing.T) {
	accepted, refused := table(t, "testdata/primitives.txt"), table(t, "testdata/refused.txt")
	if len(accepted) < 600 || len(refused) < 300 {
		t.Errorf("only %d and %d expressions", len(accepted), len(refused))
	}
	for i, link := range random.Links() {
		f := testFile(t, link, 20, 500)
		t.Run(linkName(link), func(t *testing.T) {
			var texts, sense []string
			for _, e := range append(accepted, refused...) {
				says := e.says[i]
				_, err := Compile(e.text, f.opt)
				if says == '-' {
					if err := checkError(e.text, err); err != nil {
						t.Errorf("%s\n%v", e.text, err)
					}
				} else if err != nil {
					t.Errorf("%s\nis refused: %v", e.text, err)
				}
				part := map[byte]uint32{'+': 5, '.': 20, '-': 40}[says]
				if link == random.Ethernet && says == '+' {
					part = 2
				}
				if one(part, link, e.text) {
					texts = append(texts, e.text)
					sense = append(sense, string(says))
				}
			}
			nothing := 0
			for n, selected := range f.compare(t, texts) {
				if sense[n] == "+" && selected == 0 {
					nothing++
				}
			}
			if nothing > len(texts)/10 {
				t.Errorf("%d of %d expressions select nothing: the test says little", nothing, len(texts))
			}
		})
	}
}

func linkName(link uint32) string {
	n, _ := header.LinkType(link).Name()
	return n
}

// FuzzLanguage compiles any text for any link type: an error has a place in the text, and
// is one line; what is accepted holds what programs promise, which Compile checks.
func FuzzLanguage(f *testing.F) {
	for _, name := range []string{"testdata/primitives.txt", "testdata/refused.txt"} {
		for i, e := range table(f, name) {
			f.Add(byte(i), e.text)
		}
	}
	packets := map[uint32][]byte{}
	for _, link := range random.Links() {
		packets[link] = random.New(70).Frame(link)
		g := random.New(71)
		for range 10 {
			f.Add(byte(link), g.Language(link, 4))
		}
	}
	f.Fuzz(func(t *testing.T, n byte, text string) {
		if len(text) > 1<<12 {
			return
		}
		link := random.Links()[int(n)%len(random.Links())]
		opt := testOptions()
		opt.LinkType, opt.Names = header.LinkType(link), names{}
		p, err := Compile(text, opt)
		if err != nil {
			if err := checkError(text, err); err != nil {
				t.Fatalf("%s: %q\n%v", linkName(link), text, err)
			}
			return
		}
		p.Match(packets[link], ir.Meta{Len: uint32(len(packets[link]))})
	})
}
