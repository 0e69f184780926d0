package filter

import (
	"bytes"
	"encoding/binary"
	"errors"
	"maps"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/tundump/tundump/filter/header"
	"github.com/tundump/tundump/filter/ir"
	"github.com/tundump/tundump/filter/stack"
	"github.com/tundump/tundump/testdata/oracle"
	"github.com/tundump/tundump/testdata/random"
)

func plainOptions(depth, tags, extensions int) PlainOptions {
	opt := testOptions()
	opt.Table = header.New(header.DefaultPorts()).Only(common)
	opt.Depth = depth
	return PlainOptions{Options: opt, Tags: tags, Extensions: extensions}
}

// within reports whether the packet is one that the text of Plain is for: no more tags
// and extension headers a level than the options say, none of them malformed, and no
// header cut.
func within(opt PlainOptions, data []byte) bool {
	found := opt.Table.Walk(nil, opt.LinkType, data, header.MaxDepth)
	var tags, extensions [header.MaxDepth + 1]int
	messages := 0
	for _, l := range found {
		switch {
		case l.Class == header.Tag:
			tags[l.Level]++
		case l.Class == header.Extension:
			extensions[l.Level]++
		case l.ID == header.GTP:
			messages = 0
		case l.ID == header.GTPExt:
			if messages++; messages > opt.Extensions {
				return false
			}
		}
		if tags[l.Level] > opt.Tags || extensions[l.Level] > opt.Extensions {
			return false
		}
	}
	if len(found) == 0 {
		return false
	}
	last := found[len(found)-1]
	next := opt.Table.Header(last.Follows(data))
	switch {
	case last.Later:
		return true
	case next != nil && next.Fixed < next.Min:
		return false // it says that it is shorter than it can be
	case slices.ContainsFunc(last.Next.Rules, func(r header.Rule) bool { return int(last.End())+int(r.Peek.Off+r.Peek.Size) > len(data) }):
		return false // what decides is not there
	case next == nil:
		if typ, ok := last.Value(data, "type"); ok && last.Class <= header.Tag && typ == typeRARP {
			next = opt.Table.Header(header.ARP)
			return int(last.End()+next.Min) <= len(data)
		}
		return int(last.End()) <= len(data)
	}
	return int(last.End()+next.Min) <= len(data) && (next.Class == header.Tunnel || next.ID == header.PPPoE)
}

// toLink gives an Ethernet frame the link header of another link type; ok is false
// if it cannot have that.
func toLink(link header.LinkType, frame []byte) (data []byte, ok bool) {
	typ := binary.BigEndian.Uint16(frame[12:])
	payload := frame[14:]
	switch link {
	case header.LinkEthernet:
		return frame, true
	case header.LinkSLL:
		return append(append(make([]byte, 14), frame[12:14]...), payload...), true
	case header.LinkSLL2:
		return append(append(slices.Clone(frame[12:14]), make([]byte, 18)...), payload...), true
	case header.LinkNull, header.LinkLoop: // AF_INET, and AF_INET6 of macOS: on Linux it is another for files
		family := map[uint16][]byte{header.TypeIP: {2, 0, 0, 0}, header.TypeIP6: {30, 0, 0, 0}}[typ]
		if link == header.LinkLoop {
			family = map[uint16][]byte{header.TypeIP: {0, 0, 0, 2}, header.TypeIP6: {0, 0, 0, 30}}[typ]
		}
		return append(slices.Clone(family), payload...), family != nil
	case header.LinkPPP:
		proto := map[uint16][]byte{header.TypeIP: {0xff, 3, 0, 0x21}, header.TypeIP6: {0xff, 3, 0, 0x57}, header.TypeMPLS: {0xff, 3, 2, 0x81}}[typ]
		return append(slices.Clone(proto), payload...), proto != nil
	case header.LinkRaw:
		return payload, typ == header.TypeIP || typ == header.TypeIP6
	case header.LinkIPv4:
		return payload, typ == header.TypeIP
	}
	return payload, typ == header.TypeIP6
}

// selects runs the real tcpdump with an expression of Plain's.
func selects(t *testing.T, file, plain string, flags ...string) map[int]bool {
	t.Helper()
	name := filepath.Join(t.TempDir(), "expression")
	if err := os.WriteFile(name, []byte(plain), 0o600); err != nil { // too long for an argument
		t.Fatal(err)
	}
	return oracle.Tcpdump(t, file, "", append(flags, "-F", name)...)
}

// tooLong reports whether the bounds leave no text.
func tooLong(err error) bool {
	return err != nil && strings.HasPrefix(err.Error(), "the text would be")
}

// selectsNothing reports whether Plain could tell that no packet is selected.
func selectsNothing(err error) bool {
	var e *Error
	return errors.As(err, &e) && strings.HasPrefix(e.Msg, "no packet is selected")
}

// TestPlain compares what the real tcpdump selects by the text of Plain with the
// compiled expression, on random expressions and packets. It fails if a header,
// operator or primitive never occurred in what was compared.
func TestPlain(t *testing.T) {
	if _, err := exec.LookPath("tcpdump"); err != nil {
		t.Skip("tcpdump is not installed: make setup")
	}
	g := random.New(11)
	made := map[string]int{}
	count := func() {
		for n := range g.Made {
			made[n]++
		}
		g.Made = map[string]int{}
	}
	all, matched, compared, long := 0, 0, 0, 0
	const few = "vlan,gre,vxlan,geneve,ipip,erspan1,erspan2"
	for _, c := range []struct {
		link                    header.LinkType
		tunnels                 string
		depth, tags, extensions int
		packets, expressions    int
	}{
		{header.LinkEthernet, few, 1, 1, 1, 2000, 4},
		{header.LinkEthernet, few, 1, 1, 0, 1500, 15},
		{header.LinkEthernet, few, 1, 0, 1, 1500, 8},
		{header.LinkEthernet, few, 1, 0, 0, 1000, 80},
		{header.LinkEthernet, few, 1, 2, 2, 500, 2},
		{header.LinkEthernet, few, 2, 0, 0, 500, 15},
		{header.LinkSLL, few, 1, 1, 0, 500, 20},
		{header.LinkSLL2, few, 1, 1, 0, 500, 20},
		{header.LinkRaw, few, 1, 0, 0, 500, 20},
		{header.LinkIPv4, few, 1, 0, 1, 500, 20},
		{header.LinkIPv6, few, 1, 0, 0, 500, 20},
		{header.LinkNull, few, 1, 0, 0, 500, 15},
		{header.LinkLoop, few, 1, 0, 0, 500, 10},
		{header.LinkPPP, few + ",mpls", 1, 1, 0, 500, 15},
		{header.LinkEthernet, "gtp,teredo,etherip", 1, 1, 1, 1000, 8},
		{header.LinkEthernet, "gtp", 1, 0, 3, 1000, 5},
		{header.LinkEthernet, "gpe,nsh,pbb,l2tp", 1, 1, 0, 1000, 10},
		{header.LinkEthernet, "gre,mplsip,pw,pppoe", 1, 2, 0, 1000, 5},
		{header.LinkEthernet, "pptp,gre,erspan,wccp,gue", 1, 0, 0, 1000, 10},
		{header.LinkEthernet, "gpe,nsh,pbb,pw,mplsip", 2, 1, 0, 500, 2},
		{header.LinkEthernet, "all", 1, 0, 0, 1000, 4},
	} {
		opt := plainOptions(c.depth, c.tags, c.extensions)
		opt.LinkType, opt.Table, opt.Tunnels = c.link, header.New(header.DefaultPorts()), strings.Split(c.tunnels, ",")
		opt.Origin = OriginFile
		if c.tunnels != few { // foo-over-UDP makes the text much longer
			opt.Table = header.New(random.Ports())
		}
		var packets [][]byte
		for len(packets) < c.packets {
			g.Made = map[string]int{}
			frame := g.Packet(c.depth + g.IntN(2))
			if len(frame) < 14 {
				continue
			}
			if p, ok := toLink(c.link, frame); ok && within(opt, p) {
				packets = append(packets, p)
				count()
			}
		}
		all += len(packets)
		file := oracle.Write(t, layers.LinkType(c.link), packets, nil)
		g.Made = map[string]int{}
		for done := 0; done < random.Rounds(c.expressions); {
			g.Made = map[string]int{}
			text := g.Expr(1 + g.IntN(4))
			known := opt.Options
			tree, _, err := parse(text, known)
			if err != nil {
				continue // a level that is too deep, or MAC addresses on another link type
			}
			if known.Table, err = choose(opt.Table, append(strings.Split(c.tunnels, ","), named(tree)...)); err != nil {
				t.Fatal(err)
			}
			p, err := Compile(text, known)
			if err != nil {
				continue
			}
			plain, err := Plain(text, opt)
			if tooLong(err) {
				long++
				continue
			}
			done++
			count()
			var want, plainest map[int]bool
			switch {
			case selectsNothing(err):
			case err != nil:
				t.Fatalf("%s: %v", text, err)
			default:
				want, plainest = selects(t, file, plain), selects(t, file, plain, "-O")
				if c.link == header.LinkNull || c.link == header.LinkLoop {
					want = plainest // the optimiser of libpcap 1.10 loses the store of an offset here
				}
			}
			for n, data := range packets {
				got := p.Match(data, ir.Meta{Len: uint32(len(data))})
				if got {
					matched++
				}
				compared++
				if got != want[n] || got != plainest[n] {
					t.Errorf("%+v %s\n%s\non %x\nis %v, tcpdump says %v, with -O %v", c, text, plain, data, got, want[n], plainest[n])
					break
				}
			}
		}
	}
	t.Logf("%d packets, %d comparisons, %d matches, %d expressions too long", all, compared, matched, long)
	for _, n := range g.Names() {
		switch n {
		case "cut", "bad version or length", "inner 3", "tags 3", "tags 4", "tags 5", "extensions 3",
			"extensions 4", "extensions 5", "extensions 6", "extensions 7", "extensions 8":
			continue // outside of the bounds
		}
		if made[n] == 0 {
			t.Errorf("never compared: %q", n)
		}
	}
	if all < 10000 || matched < compared/20 || matched > compared*19/20 {
		t.Errorf("%d of %d matched, on %d packets: the test says little", matched, compared, all)
	}
}

// TestPlainOfStack compares the text for the stack of a packet with the compiled
// expression, on all packets that have that stack.
func TestPlainOfStack(t *testing.T) {
	if _, err := exec.LookPath("tcpdump"); err != nil {
		t.Skip("tcpdump is not installed: make setup")
	}
	g := random.New(12)
	opt := plainOptions(1, 2, 3)
	opt.Table = header.New(random.Ports())
	var packets [][]byte
	stacks := map[string][]int{}
	for len(packets) < 3000 {
		p := g.Packet(1)
		if !within(opt, p) {
			continue
		}
		s := stack.Of(opt.Table, opt.Table.Walk(nil, opt.LinkType, p, 1), p)
		if s == "" {
			continue
		}
		stacks[s] = append(stacks[s], len(packets))
		packets = append(packets, p)
	}
	file := oracle.Write(t, layers.LinkType(opt.LinkType), packets, nil)
	matched, compared := 0, 0
	seen := map[header.ID]bool{}
	for _, name := range slices.Sorted(maps.Keys(stacks)) { // the same expressions each time
		members := stacks[name]
		if random.Rounds(1) == 1 && len(members) < 3 && !rare(name) {
			continue
		}
		var err error
		if opt.Stack, err = stack.Parse(opt.Table, name); err != nil {
			t.Fatal(err)
		}
		for _, l := range opt.Stack.Layers {
			seen[l.ID] = true
		}
		for range 2 {
			text := strings.NewReplacer("inner 2", "inner 1", "inner 3", "inner").Replace(g.Expr(1 + g.IntN(3)))
			p, err := Compile(text, opt.Options)
			if err != nil {
				t.Fatal(err)
			}
			plain, err := Plain(text, opt)
			var want map[int]bool
			switch {
			case err != nil && strings.Contains(err.Error(), "at most 32 bytes of extension headers"), err != nil && strings.Contains(err.Error(), "in front of pppoe"):
				continue
			case err != nil && strings.HasPrefix(err.Error(), "no packet with the stack"):
			case err != nil:
				t.Fatalf("%s, %s: %v", name, text, err)
			default:
				want = selects(t, file, plain)
			}
			for _, n := range members {
				got := p.Match(packets[n], ir.Meta{Len: uint32(len(packets[n]))})
				if compared++; got {
					matched++
				}
				if got != want[n] {
					t.Errorf("%s: %s\n%s\non %x\nis %v, tcpdump says %v", name, text, plain, packets[n], got, want[n])
					break
				}
			}
		}
	}
	t.Logf("%d stacks, %d comparisons, %d matches", len(stacks), compared, matched)
	for _, h := range opt.Table.All() {
		if (h.Class == header.Tag || h.Class == header.Tunnel) && !seen[h.ID] {
			t.Errorf("never compared: %s", h.Name)
		}
	}
	if matched < compared/20 {
		t.Errorf("%d of %d matched: the test says little", matched, compared)
	}
}

// rare reports whether a stack has what few have, but not too much of it.
func rare(stack string) bool {
	return strings.Count(stack, "/") < 6 && regexp.MustCompile(`mpls|pppoe|pbb|nsh|pw|erspan|wccp|pptp|gpe|gtp|etherip|l2tp|teredo|gue|udp/(gre|ip)`).MatchString(stack)
}

// TestPlainOuterOnly holds the wider filter to being wider: what the expression selects
// it selects, and what it selects depends on nothing inside of tunnels.
func TestPlainOuterOnly(t *testing.T) {
	if _, err := exec.LookPath("tcpdump"); err != nil {
		t.Skip("tcpdump is not installed: make setup")
	}
	g := random.New(13)
	opt := plainOptions(1, 1, 0)
	opt.OuterOnly = true
	var packets [][]byte
	for len(packets) < 1000 {
		if p := g.Packet(1); within(opt, p) {
			packets = append(packets, p)
		}
	}
	file := oracle.Write(t, layers.LinkType(opt.LinkType), packets, nil)
	wider, all := 0, 0
	for range random.Rounds(60) {
		text := strings.NewReplacer("inner 2", "inner 1", "inner 3", "inner").Replace(g.Expr(1 + g.IntN(4)))
		p, err := Compile(text, opt.Options)
		if err != nil {
			t.Fatal(err)
		}
		plain, err := Plain(text, opt)
		if err != nil && !selectsNothing(err) {
			t.Fatalf("%s: %v", text, err)
		}
		var got map[int]bool
		if err == nil {
			got = selects(t, file, plain)
		}
		for n, data := range packets {
			if p.Match(data, ir.Meta{Len: uint32(len(data))}) {
				if all++; !got[n] {
					t.Fatalf("%s\n%s\nleaves out %x", text, plain, data)
				}
			} else if got[n] {
				wider++
			}
		}
	}
	if wider == 0 || all == 0 {
		t.Errorf("%d packets were selected, and %d more: the test says little", all, wider)
	}
}

// TestPlainOfCaptures compares `inner host` for every inner address of the captures.
func TestPlainOfCaptures(t *testing.T) {
	if _, err := exec.LookPath("tcpdump"); err != nil {
		t.Skip("tcpdump is not installed: make setup")
	}
	var files []string
	for _, dir := range []string{"../testdata", "../../shared/pcaps"} {
		found, err := filepath.Glob(filepath.Join(dir, "*.pcap"))
		if err != nil {
			t.Fatal(err)
		}
		if len(found) == 0 {
			t.Logf("there are no captures in %s: put some of real tunnels there", dir)
		}
		files = append(files, found...)
	}
	type run struct {
		file, tunnels string
		tags          int
	}
	tunnels := filepath.Join("..", "testdata", "captures", "tunnels.pcap")
	runs := []run{{tunnels, "all", 0}, {tunnels, "mplsip,pw,pppoe", 2}, {tunnels, "gpe,nsh,pbb,gtp,etherip,l2tp", 1}}
	for _, file := range files {
		runs = append(runs, run{file, strings.Join(PlainTunnels(), ","), 1})
	}
	for _, c := range runs {
		file := c.file
		t.Run(filepath.Base(file)+" "+c.tunnels, func(t *testing.T) {
			t.Parallel()
			f, err := os.Open(file)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			r, err := pcapgo.NewReader(f)
			if err != nil {
				t.Fatal(err)
			}
			opt := plainOptions(1, c.tags, 1)
			opt.LinkType = header.LinkType(r.LinkType())
			if opt.Table, err = choose(header.New(header.DefaultPorts()), strings.Split(c.tunnels, ",")); err != nil {
				t.Fatal(err)
			}
			var packets [][]byte
			addresses := map[string]bool{}
			for {
				data, _, err := r.ReadPacketData()
				if err != nil {
					break
				}
				if !within(opt, data) {
					continue
				}
				packets = append(packets, data)
				for _, l := range opt.Table.Walk(nil, opt.LinkType, data, 1) {
					for _, name := range []string{"src", "dst"} {
						if f, ok := l.Field(name); ok && l.Level == 1 && l.Class == header.Network {
							a, _ := netip.AddrFromSlice(data[l.Off+uint32(f.Off):][:f.Size])
							addresses[a.String()] = true
						}
					}
				}
			}
			copied := oracle.Write(t, layers.LinkType(opt.LinkType), packets, nil)
			done := 0
			for a := range addresses {
				if done++; done > random.Rounds(6) {
					break
				}
				text := "inner host " + a
				p, err := Compile(text, opt.Options)
				if err != nil {
					t.Fatal(err)
				}
				plain, err := Plain(text, opt)
				if err != nil {
					t.Fatal(err)
				}
				want := selects(t, copied, plain)
				for n, data := range packets {
					if got := p.Match(data, ir.Meta{Len: uint32(len(data))}); got != want[n] {
						t.Fatalf("%s\non %x\nis %v, tcpdump says %v", text, data, got, want[n])
					}
				}
			}
		})
	}
}

// TestPlainText has some texts in full.
func TestPlainText(t *testing.T) {
	gre := plainOptions(1, 0, 0)
	for _, c := range []struct{ text, stack, want string }{
		{"", "", ""},
		{"host 10.0.0.1 and not (tcp port http or ip6 net 2001:db8::/32)", "", "host 10.0.0.1 and not (tcp port 80 or ip6 net 2001:db8::/32)"},
		{"src and dst net 10", "", "src and dst net 10.0.0.0/8"},
		{"host both", "", "(host 10.0.0.1 or host 2001:db8::1)"},
		{"ether src router and less 100 or udp portrange 5-9 or proto 50", "", "(ether src host 02:00:00:00:00:01 and less 100) or udp portrange 5-9 or proto 50"},
		{"outer host 10.0.0.1", "", "(ether[12:2] = 0x0800 and (ether[26:4] = 0x0a000001 or ether[30:4] = 0x0a000001)) or " +
			"((ether[12:2] = 0x0806 or ether[12:2] = 0x8035) and (ether[28:4] = 0x0a000001 or ether[38:4] = 0x0a000001))"},
		{"gre", "", "(ether[12:2] = 0x0800 and ether[20:4] & 0x1fff00ff = 0x0000002f and ether[14+((ether[14]&0xf)<<2):2] & 0x4007 = 0) or " +
			"(ether[12:2] = 0x86dd and ether[20] = 47 and ether[54:2] & 0x4007 = 0)"},
		// In front of it stands what Stack.Expression writes.
		{"inner host 10.5.5.5", "ip/gre,key/ether/ip", " and (ip[54:4] = 0x0a050505 or ip[58:4] = 0x0a050505)"},
		{"inner tcp port 443 or len > 100", "vlan/ip/udp/vxlan/ether/ip/tcp", " and (ip[70:2] = 443 or ip[72:2] = 443 or len > 100)"},
	} {
		opt := gre
		opt.Names = names{}
		if c.stack != "" {
			var err error
			if opt.Stack, err = stack.Parse(opt.Table, c.stack); err != nil {
				t.Fatal(err)
			}
		}
		got, err := Plain(c.text, opt)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
		} else if got != c.want && (c.stack == "" || !strings.HasSuffix(got, c.want)) {
			t.Errorf("%s: %s\n%s, want\n%s", c.text, c.stack, got, c.want)
		}
	}
}

// TestPlainErrors has what there is no text for.
func TestPlainErrors(t *testing.T) {
	opt := plainOptions(1, 1, 1)
	for _, c := range []struct {
		text string
		set  func(o *PlainOptions)
		want string
	}{
		{"inner foo", func(*PlainOptions) {}, `unexpected "foo": host, net, port, a protocol, inner, outer or another primitive should stand here, at column 7`},
		{"inner 2 tcp", func(*PlainOptions) {}, "level 2 is deeper than the 1 levels that are walked; --depth sets them, at column 7"},
		{"gre and tunnel and ipip and host 10.0.0.1", func(o *PlainOptions) { o.Tags = 4 }, "the text would be"},
		{"inner tcp", func(o *PlainOptions) { o.Depth, o.Tags, o.Extensions = 8, 4, 6 }, "the text would be far too long"},
		{"tcp", func(o *PlainOptions) { o.Depth = 9 }, "depth 9 is not between 1 and 8"},
		{"tcp", func(o *PlainOptions) { o.Tags = 5 }, "5 VLAN tags are not between 0 and 4"},
		{"tcp", func(o *PlainOptions) { o.Extensions = -1 }, "-1 extension headers are not between 0 and 6"},
		{"tcp", func(o *PlainOptions) { o.LinkType = 99 }, "link type 99 is not supported by filters"},
		{"inner (arp and tcp)", func(*PlainOptions) {}, "no packet is selected by this, within the bounds, at column 1"},
		{"inner tcp", func(o *PlainOptions) { o.Stack, _ = stack.Parse(o.Table, "ip/udp") }, "no packet with the stack ip/udp is selected by the expression"},
	} {
		o := opt
		c.set(&o)
		if _, err := Plain(c.text, o); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.text, err, c.want)
		}
	}
}

// TestPlainCompiles holds libpcap to compiling every primitive, with the bounds that
// the command has by default; and the kernel to taking what the command does not
// warn of, 4096 instructions for 900 byte accesses.
func TestPlainCompiles(t *testing.T) {
	if _, err := exec.LookPath("tcpdump"); err != nil {
		t.Skip("tcpdump is not installed: make setup")
	}
	for _, text := range []string{
		"gre 7", "nvgre 7", "vxlan 7", "geneve 7", "ipip", "erspan 7", "tunnel 7", "gre and host 10.0.0.1", "not tunnel", "outer tunnel",
		"inner host 10.5.5.5", "inner src and dst net 10", "inner host 2001:db8::1", "inner arp", "inner ip", "inner ip6", "inner ether proto 0x88cc", "inner ether host 52:54:00:00:00:01",
		"inner tcp", "inner ip proto 50", "inner port 53", "inner portrange 5000-6000", "inner gre", "inner vxlan 7", "inner len > 1400", "inner not tcp",
		"inner (tcp port 443 and net 10.0.0.0/8)", "any host 10.5.5.5",
		"gpe 7", "nsh 7", "gtp 7", "etherip", "mplsip", "l2tp 7", "pptp 7", "teredo", "gue", "pbb 7", "gtp 7 and host 10.0.0.1", "outer nsh",
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			for _, opt := range []PlainOptions{plainOptions(1, 1, 0), plainOptions(1, 0, 1)} { // the default, and for Linux's tunnels over IPv6
				opt.Table, opt.Tunnels = header.New(header.DefaultPorts()), PlainTunnels()
				if text == "gue" {
					opt.Table = header.New(random.Ports())
				}
				plain, err := Plain(text, opt)
				if err != nil {
					t.Fatal(err)
				}
				name := filepath.Join(t.TempDir(), "expression")
				if err := os.WriteFile(name, []byte(plain), 0o600); err != nil {
					t.Fatal(err)
				}
				for _, flag := range []string{"-d", "-Od"} {
					out, err := exec.Command("tcpdump", "-y", "EN10MB", flag, "-F", name).Output()
					if err != nil {
						t.Fatalf("%s: %v", flag, err)
					}
					instructions := bytes.Count(out, []byte("\n"))
					t.Logf("%d tags, %d extension headers, %s: %d bytes, %d instructions", opt.Tags, opt.Extensions, flag, len(plain), instructions)
					if flag == "-d" && strings.Count(plain, "[") <= 900 && instructions > 4096 {
						t.Errorf("%d bytes are %d instructions", len(plain), instructions)
					}
				}
			}
		})
	}
}

// FuzzPlain looks for panics, and for text that is too long.
func FuzzPlain(f *testing.F) {
	g := random.New(14)
	for range 50 {
		f.Add(g.Expr(4), byte(g.IntN(8)))
	}
	f.Fuzz(func(t *testing.T, text string, bounds byte) {
		opt := plainOptions(1+int(bounds>>4&1), int(bounds&1), int(bounds>>1&1))
		opt.OuterOnly = bounds&4 != 0
		if bounds&8 != 0 {
			var err error
			if opt.Stack, err = stack.Parse(opt.Table, "ip/gre,key/ether/ip"); err != nil {
				t.Fatal(err)
			}
		}
		plain, err := Plain(text, opt)
		if len(plain) > maxPlain {
			t.Errorf("%d bytes", len(plain))
		}
		if _, wrong := Compile(text, opt.Options); wrong != nil && err == nil {
			t.Errorf("%q: Compile says %v", text, wrong)
		}
	})
}

// common is a short choice of headers.
func common(h *header.Header) bool {
	return slices.Contains([]header.ID{header.VLAN, header.GRE, header.VXLAN, header.Geneve, header.IPIP, header.IPIP6, header.ERSPAN1, header.ERSPAN2}, h.ID)
}
