package bpf

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/net/bpf"

	"github.com/tundump/tundump/filter/ir"
	"github.com/tundump/tundump/testdata/oracle"
)

// ask returns what tcpdump prints for an expression.
func ask(t *testing.T, arg ...string) string {
	t.Helper()
	out, err := exec.Command("tcpdump", arg...).CombinedOutput()
	if err != nil {
		t.Fatalf("tcpdump %q: %v\n%s", arg, err, out)
	}
	return string(out)
}

// read returns the program that tcpdump -ddd printed.
func read(t *testing.T, text string) []bpf.Instruction {
	t.Helper()
	var n int
	r := strings.NewReader(text)
	if _, err := fmt.Fscanln(r, &n); err != nil {
		t.Fatal(err)
	}
	prog := make([]bpf.Instruction, n)
	for k := range prog {
		var i bpf.RawInstruction
		if _, err := fmt.Fscanln(r, &i.Op, &i.Jt, &i.Jf, &i.K); err != nil {
			t.Fatal(err)
		}
		prog[k] = i
	}
	return prog
}

// TestDump prints libpcap's programs in each form, and compares with what tcpdump prints.
func TestDump(t *testing.T) {
	oracle.NeedTcpdump(t)
	file := []string{"-y", "EN10MB"}
	live := []string{"-i", "lo"} // what asks for the metadata
	type sample struct {
		flags []string
		expr  string
	}
	var samples []sample
	for _, e := range []string{
		"", "ip", "tcp port 80", "host 10.0.0.1 and not port 22", "ip6 host 2001:db8::1", "portrange 100-200", "ether host 1:2:3:4:5:6",
		"len + 0xffffffff > 3 or ip[0xfffffff0:1] = 4", "ip[0xfffffff0+ip[2]:1] = 4 and len * 0x90000000 = 3", "len - 5 > 70", "len = 0xffffffff",
		"ip[0] / len = 3", "ip[1] * tcp[0] = ip[2] - ip[3]", "ip[1] % ip[4] != ip[2] ^ ip[3]", "ip[1] << tcp[0] > ip[2] | ip[3]", "ip[1] >> tcp[0] >= ip[2] & ip[3]",
		"ip[1] / 7 = 3", "ip[1] * 7 = 3", "ip[1] % 7 = 3", "ip[1] << 7 = 3", "ip[1] >> 7 = 3", "ip[1] | 0xffffff00 = 3", "ip[1] ^ 0xff = 3", "ip[1:4] & 0xff = 3",
		"0 - ip[0] < 5", "-tcp[0] > 9", "ip protochain 6", "vlan 7 and mpls and ip6", "tcp[tcpflags] & (tcp-syn|tcp-fin) != 0 and tcp[((tcp[12:1] & 0xf0) >> 2):4] = 0x47455420",
	} {
		samples = append(samples, sample{file, e}, sample{append([]string{"-O"}, file...), e})
	}
	if os.Geteuid() == 0 {
		for _, e := range []string{"vlan", "vlan 7 and ip", "inbound", "outbound and tcp", "ifindex 3"} {
			samples = append(samples, sample{live, e}, sample{append([]string{"-O"}, live...), e})
		}
	}
	seen := map[string]bool{}
	for _, s := range samples {
		asked := func(d string) string { return ask(t, append(s.flags, d, "--", s.expr)...) }
		numbers := asked("-ddd")
		prog := read(t, numbers)
		for _, form := range []struct {
			flag string
			dump func(io.Writer, []bpf.Instruction) error
			want string
		}{{"-d", Dump, asked("-d")}, {"-dd", DumpC, asked("-dd")}, {"-ddd", DumpNumbers, numbers}} {
			var got bytes.Buffer
			if err := form.dump(&got, prog); err != nil {
				t.Errorf("%v %s %q: %v", s.flags, form.flag, s.expr, err)
			} else if got.String() != form.want {
				t.Errorf("%v %s %q is\n%swant\n%s", s.flags, form.flag, s.expr, got.String(), form.want)
			}
		}
		for n, i := range prog {
			op, arg := mnemonic(i.(bpf.RawInstruction), n)
			seen[op] = true
			if strings.HasPrefix(arg, "[") && strings.ContainsAny(arg, "tvi") || arg == "x" {
				seen[op+arg] = true
			}
		}
	}
	for _, op := range strings.Fields("ld ldh ldb ldx ldxb st tax txa ja jeq jgt jge jset jeqx jgtx jgex add sub mul div mod and or xor lsh rsh neg ret " +
		"addx subx mulx divx modx andx orx xorx lshx rshx") {
		if !seen[op] {
			t.Errorf("%s was never printed", op)
		}
	}
	for _, op := range strings.Fields("ldb[vlanp] ldh[type] ld[ifidx]") {
		if !seen[op] && os.Geteuid() == 0 {
			t.Errorf("%s was never printed", op)
		}
	}
}

// TestDumpFacts prints how our own programs ask for the metadata: as libpcap's do.
func TestDumpFacts(t *testing.T) {
	var got []string
	for _, meta := range []uint32{ir.MetaTag, ir.MetaVLAN, ir.MetaType, ir.MetaIfindex} {
		op, arg := mnemonic(fact(meta).(bpf.RawInstruction), 0)
		got = append(got, op+" "+arg)
	}
	if want := "ldb [vlanp], ldh [vlan_tci], ldh [type], ld [ifidx]"; strings.Join(got, ", ") != want {
		t.Errorf("have %q, want %s", got, want)
	}
}

// TestDumpMore has what libpcap does not use, in the form that it has for it.
func TestDumpMore(t *testing.T) {
	var got bytes.Buffer
	if err := Dump(&got, []bpf.Instruction{bpf.StoreScratch{Src: bpf.RegX, N: 3}, bpf.JumpIfX{Cond: bpf.JumpBitsSet, SkipTrue: 1}, bpf.RetA{}}); err != nil {
		t.Fatal(err)
	}
	if want := "(000) stx      M[3]\n(001) jset     x                jt 3\tjf 2\n(002) ret      \n"; got.String() != want {
		t.Errorf("have\n%swant\n%s", got.String(), want)
	}
}
