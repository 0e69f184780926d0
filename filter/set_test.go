package filter

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/tundump/tundump/filter/ir"
	"github.com/tundump/tundump/testdata/random"
)

// TestSets compares expressions with sets with ones that say the same without, plain
// and in scopes, on random packets.
func TestSets(t *testing.T) {
	g := random.New(21)
	matched, total := 0, 0
	for range random.Rounds(300) {
		set, plain := g.Set(12)
		if scope := []string{"", "inner ", "any ", "outer ", "inner 2 ", "vxlan and ", "gre and "}[g.IntN(7)]; scope != "" {
			set, plain = scope+set, scope+plain
		}
		if g.IntN(4) == 0 {
			set, plain = "not ("+set+")", "not ("+plain+")"
		}
		p, err := Compile(set, testOptions())
		if err != nil {
			t.Fatalf("%s\n%v", set, err)
		}
		q, err := Compile(plain, testOptions())
		if err != nil {
			t.Fatalf("%s\n%v", plain, err)
		}
		for range 60 {
			data := g.Packet(3)
			m := ir.Meta{Len: uint32(len(data))}
			got, want := p.Match(data, m), q.Match(data, m)
			if got != want && len(data) >= 54 { // a cut packet is rejected by either at its own point
				t.Fatalf("%s is %v\n%s is %v\non %x\n%v", set, got, plain, want, data, p)
			}
			if total++; want {
				matched++
			}
		}
	}
	for _, name := range random.SetNames() {
		if g.Made[name] == 0 {
			t.Errorf("never generated: %s", name)
		}
	}
	if matched < total/20 {
		t.Errorf("of %d packets %d matched: the test says little", total, matched)
	}
}

// memory has files for sets.
type memory map[string]string

func (m memory) open(name string) (io.ReadCloser, error) {
	text, ok := m[name]
	if !ok {
		return nil, errors.New("no such file")
	}
	return io.NopCloser(strings.NewReader(text)), nil
}

func TestSetFiles(t *testing.T) {
	files := memory{
		"hosts":  "# who is watched\r\n10.0.0.1\r\n\n  10.1.0.0/16 # all of them\n2001:db8::1\n2001:db8:1::/48",
		"ports":  "80\n8000-8100\n0x1bb",
		"my ids": "7\n42\n", "empty": "#nothing\n",
	}
	opened := map[string]int{}
	opt := testOptions()
	opt.Sets = NewSets(func(name string) (io.ReadCloser, error) {
		opened[name]++
		return files.open(name)
	})
	for text, plain := range map[string]string{
		"host in @hosts":                    "host 10.0.0.1 or net 10.1.0.0/16 or host 2001:db8::1 or net 2001:db8:1::/48",
		"inner (src in @hosts and tcp)":     "inner ((src host 10.0.0.1 or src net 10.1.0.0/16 or src host 2001:db8::1 or src net 2001:db8:1::/48) and tcp)",
		"(port in @ports)":                  "port 80 or portrange 8000-8100 or port 443",
		`inner 1 vxlan in @"my ids" or arp`: "inner 1 (vxlan 7 or vxlan 42) or arp",
		"host in @empty":                    "less 0",
		"net in @hosts or 10.0.0.3":         "host 10.0.0.1 or net 10.1.0.0/16 or host 2001:db8::1 or net 2001:db8:1::/48 or net 10.0.0.3",
	} {
		p, err := Compile(text, opt)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		q, err := Compile(plain, opt)
		if err != nil {
			t.Fatal(err)
		}
		g := random.New(22)
		matched := 0
		for range 2000 {
			data := g.Packet(2)
			if len(data) < 54 {
				continue
			}
			m := ir.Meta{Len: uint32(len(data))}
			if got, want := p.Match(data, m), q.Match(data, m); got != want {
				t.Fatalf("%s is %v\n%s is %v\non %x", text, got, plain, want, data)
			} else if got {
				matched++
			}
		}
		if matched == 0 && text != "host in @empty" {
			t.Errorf("%s: nothing matched", text)
		}
	}
	if opened["hosts"] != 1 {
		t.Errorf("hosts was read %d times", opened["hosts"])
	}
	opt.Sets.Forget()
	if !opt.Sets.Used() || NewSets(nil).Used() {
		t.Error("Used is wrong")
	}
	if s := opt.Sets.String(); s != "9 entries of 4 sets" {
		t.Errorf("it says that it has read %s", s)
	}
}

func TestSetErrors(t *testing.T) {
	files := memory{
		"bad":    "10.0.0.1\n\n10.0.0.300 # no such\n",
		"prefix": "10.0.0.1/8\n", "length": "10.0.0.0/33\n", "zone": "fe80::1%eth0\n", "two": "10.0.0.1 10.0.0.2\n", "name": "localhost\n",
		"long": strings.Repeat("x", 5000), "binary": "\x00\xff\n", "mapped": "::ffff:10.0.0.1\n",
		"ports": "80\n65536\n", "reversed": "90-80\n", "octal": "080\n", "half": "80-\n", "negative": "-1\n", "huge": "99999999999999999999\n",
	}
	opt := testOptions()
	opt.Sets = NewSets(files.open)
	for _, c := range []struct{ text, mark, want string }{
		{"host in @bad", "@bad", `bad, line 3: "10.0.0.300" is neither an address nor a prefix`},
		{"inner host in @prefix or tcp", "@prefix", "prefix, line 1: 10.0.0.1 has bits set behind its first 8"},
		{"host in @length", "@length", `length, line 1: "10.0.0.0/33" is neither an address nor a prefix`},
		{"host in @zone", "@zone", `zone, line 1: "fe80::1%eth0" is neither an address nor a prefix`},
		{"host in @two", "@two", `two, line 1: "10.0.0.1 10.0.0.2" is neither an address nor a prefix`},
		{"host in @name", "@name", `name, line 1: "localhost" is neither an address nor a prefix`},
		{"host in @long", "@long", "long, line 1: it has more than 4096 bytes"},
		{"host in @binary", "@binary", `binary, line 1: "\x00\xff" is neither an address nor a prefix`},
		{"host in @none", "@none", "none: no such file"},
		{"host in @\"\a\n\"", "@\"\a\n\"", `"\a\n": no such file`},
		{"port in @ports", "@ports", `ports, line 2: port "65536" is larger than 65535`},
		{"port in @reversed", "@reversed", `reversed, line 1: the range "90-80" ends before it begins`},
		{"port in @octal", "@octal", `octal, line 1: port "080" starts with 0: it might be meant as octal`},
		{"port in @half", "@half", `half, line 1: "80-" is not a port: a number, or a range such as 10-19`},
		{"gre in @negative", "@negative", `negative, line 1: "-1" is not a key: a number, or a range such as 10-19`},
		{"gre in @huge", "@huge", `huge, line 1: key "99999999999999999999" is larger than 4294967295`},
		{"vxlan in { 7, 16777216 }", "16777216", `VNI "16777216" is larger than 16777215`},
		{"host in { 10.0.0.1, x }", "x", `"x" is neither an address nor a prefix`},
		{"host in { 10.0.0.1,, 10.0.0.2 }", ",", "an entry of the set should stand here"},
		{"host in { }", "{ }", "there is nothing in the set"},
		{"host in { 10.0.0.1", "{ 10.0.0.1", "the expression ends where } should stand"},
		{`host in @"x`, `@"x`, `the expression ends where " should stand`},
		{"(host in @)", "@", "the name of a file should stand behind @"},
		{"proto in { 6 }", "in", "sets have IP addresses, ports, or identifiers of tunnels"},
		{"ether host in { 10.0.0.1 }", "in", "sets have IP addresses, ports, or identifiers of tunnels"},
		{"portrange in { 80 }", "in", "a set may have ranges of ports, and stands behind port: port in { 80, 8000-8100 }"},
		{"ipip in { 80 }", "in", "ipip has no identifier"},
	} {
		_, err := Compile(c.text, opt)
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		if mark := c.text[e.Pos:e.End]; e.Msg != c.want || mark != c.mark {
			t.Errorf("%s: %q at %q, not %q at %q", c.text, e.Msg, mark, c.want, c.mark)
		}
	}
	if _, err := Compile("host in @mapped", opt); err != nil {
		t.Error(err)
	}
	if _, err := Compile("host in @bad", testOptions()); err == nil {
		t.Error("a file was read without Sets")
	}
}

// TestSetTooLarge gives a set one entry more than it has room for.
func TestSetTooLarge(t *testing.T) {
	opt := testOptions()
	opt.Sets = NewSets(func(string) (io.ReadCloser, error) {
		return io.NopCloser(io.LimitReader(lines{}, 2*(maxEntries+1))), nil
	})
	_, err := Compile("gre in @endless", opt)
	if want := fmt.Sprintf("endless, line %d: a set has room for %d entries", maxEntries+1, maxEntries); err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("%v, not %s", err, want)
	}
}

// lines is an endless file of lines with a 1.
type lines struct{}

func (lines) Read(p []byte) (int, error) {
	for i := range p[:len(p)&^1] {
		p[i] = "1\n"[i%2]
	}
	return len(p) &^ 1, nil
}

// FuzzSet reads anything as a set: it must not panic, and what it takes has to be in the set.
func FuzzSet(f *testing.F) {
	f.Add("10.0.0.1\n2001:db8::/32 # x\r\n", false)
	f.Add("80\n8000-8100\n0x10", true)
	f.Fuzz(func(t *testing.T, text string, numbers bool) {
		e := entries{numbers: numbers, most: 0xffff, what: "port"}
		if e.lines(strings.NewReader(text)) != nil {
			return
		}
		short, long := append([]ir.Span[uint32](nil), e.short...), append([]ir.Span[ir.U128](nil), e.long...)
		m := ir.NewMembers(e.short, e.long)
		for _, s := range short {
			if !m.Has(s.Lo) || !m.Has(s.Hi) {
				t.Errorf("%x is not in %x", s, m.Short)
			}
		}
		for _, s := range long {
			if !m.HasLong(s.Lo) || !m.HasLong(s.Hi) {
				t.Errorf("%x is not in %x", s, m.Long)
			}
		}
	})
}
