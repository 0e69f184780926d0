package main

import (
	"bytes"
	"fmt"
	"os/exec"
	"strings"

	"golang.org/x/net/bpf"
)

// layoutsExpression finds the chosen host in the layouts that somebody thought of: IPv4 and
// Ethernet in GRE without and with a key, and VXLAN without and with a tag inside.
func layoutsExpression() string {
	layout := func(condition string, src int) string {
		return fmt.Sprintf("(%s and (ether[%d:4] = %#x or ether[%d:4] = %#x))", condition, src, chosen, src+4, chosen)
	}
	gre := strings.Join([]string{
		layout("ether[34:4] = 0x00000800", 50),
		layout("ether[34:4] = 0x20000800", 54),
		layout("ether[34:4] = 0x00006558 and ether[50:2] = 0x800", 64),
		layout("ether[34:4] = 0x20006558 and ether[54:2] = 0x800", 68),
	}, " or ")
	vxlan := strings.Join([]string{
		layout("ether[62:2] = 0x800", 76),
		layout("ether[62:2] = 0x8100 and ether[66:2] = 0x800", 80),
	}, " or ")
	return fmt.Sprintf("ether[12:2] = 0x800 and ((ether[23] = 47 and (%s)) or (ether[23] = 17 and ether[36:2] = 4789 and ether[42] & 8 != 0 and (%s)))", gre, vxlan)
}

// greExpression finds the chosen host in the one layout that the live captures use.
func greExpression() string {
	return fmt.Sprintf("ip proto 47 and (ip[40:4] = %#x or ip[44:4] = %#x)", chosen, chosen)
}

// libpcap compiles an expression with the libpcap that tcpdump uses.
func libpcap(expression string) ([]bpf.RawInstruction, error) {
	cmd := exec.Command("tcpdump", "-ddd", "-y", "EN10MB", expression)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("tcpdump -ddd %q: %w: %s", expression, err, stderr.String())
	}
	r := bytes.NewReader(out)
	var n int
	if _, err := fmt.Fscan(r, &n); err != nil {
		return nil, err
	}
	prog := make([]bpf.RawInstruction, n)
	for i := range prog {
		if _, err := fmt.Fscan(r, &prog[i].Op, &prog[i].Jt, &prog[i].Jf, &prog[i].K); err != nil {
			return nil, err
		}
	}
	return prog, nil
}

// step is an instruction, or a conditional jump to labels; an empty one is the next step.
type step struct {
	label       string
	instruction bpf.Instruction
	yes, no     string
}

// vxlanHost does what libpcap 1.11 makes of "vxlan and host A", in 46 instructions where that
// has 49, and so is rather a little cheaper. No stable Debian has that version; this is put together from what the installed one makes of
// "geneve and host A", with the port, the flags and the constant length of VXLAN: the UDP
// header over IPv4 or IPv6, the place of what is inside in memory and X, then IPv4, ARP and RARP.
func vxlanHost() ([]bpf.RawInstruction, error) {
	is := func(v uint32) bpf.Instruction { return bpf.JumpIf{Cond: bpf.JumpEqual, Val: v} }
	load := func(off, size int) bpf.Instruction { return bpf.LoadAbsolute{Off: uint32(off), Size: size} }
	index := func(off, size int) bpf.Instruction { return bpf.LoadIndirect{Off: uint32(off), Size: size} }
	headerLength := bpf.LoadMemShift{Off: 14}
	flags := bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: 8}
	return assemble([]step{
		{"", load(12, 2), "", ""},
		{"", is(0x800), "", "6"},
		{"", load(23, 1), "", ""},
		{"", is(17), "", "6"},
		{"", load(20, 2), "", ""},
		{"", bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: 0x1fff}, "6", ""},
		{"", headerLength, "", ""},
		{"", index(16, 2), "", ""},
		{"", is(4789), "", "6"},
		{"", headerLength, "", ""},
		{"", index(22, 1), "", ""},
		{"", flags, "", ""},
		{"", is(8), "", "6"},
		{"", headerLength, "", ""},
		{"", bpf.TXA{}, "", ""},
		{"", bpf.JumpIfX{Cond: bpf.JumpEqual}, "inside", "6"},

		{"6", load(12, 2), "", ""},
		{"", is(0x86dd), "", "no"},
		{"", load(20, 1), "", ""},
		{"", is(17), "", "no"},
		{"", load(56, 2), "", ""},
		{"", is(4789), "", "no"},
		{"", load(62, 1), "", ""},
		{"", flags, "", ""},
		{"", is(8), "", "no"},
		{"", bpf.LoadConstant{Dst: bpf.RegA, Val: 40}, "", ""},
		{"", bpf.TAX{}, "", ""},
		{"", bpf.JumpIfX{Cond: bpf.JumpEqual}, "inside", "no"},

		{"inside", bpf.ALUOpConstant{Op: bpf.ALUOpAdd, Val: 14 + 8 + 8}, "", ""},
		{"", bpf.StoreScratch{Src: bpf.RegA, N: 0}, "", ""},
		{"", bpf.LoadScratch{Dst: bpf.RegX, N: 0}, "", ""},
		{"", index(12, 2), "", ""},
		{"", is(0x800), "", "arp"},
		{"", index(26, 4), "", ""},
		{"", is(chosen), "yes", ""},
		{"", index(30, 4), "", ""},
		{"", is(chosen), "yes", "arp"},
		{"arp", index(12, 2), "", ""},
		{"", is(0x806), "addresses", ""},
		{"", is(0x8035), "addresses", "no"},
		{"addresses", index(28, 4), "", ""},
		{"", is(chosen), "yes", ""},
		{"", index(38, 4), "", ""},
		{"", is(chosen), "yes", "no"},
		{"yes", bpf.RetConstant{Val: 262144}, "", ""},
		{"no", bpf.RetConstant{Val: 0}, "", ""},
	})
}

// assemble puts the distances of jumps in.
func assemble(steps []step) ([]bpf.RawInstruction, error) {
	labels := map[string]int{}
	for i, s := range steps {
		if s.label != "" {
			labels[s.label] = i
		}
	}
	prog := make([]bpf.Instruction, len(steps))
	for i, s := range steps {
		distance := func(label string) uint8 {
			if label == "" {
				return 0
			}
			return uint8(labels[label] - i - 1)
		}
		prog[i] = s.instruction
		switch jump := s.instruction.(type) {
		case bpf.JumpIf:
			jump.SkipTrue, jump.SkipFalse = distance(s.yes), distance(s.no)
			prog[i] = jump
		case bpf.JumpIfX:
			jump.SkipTrue, jump.SkipFalse = distance(s.yes), distance(s.no)
			prog[i] = jump
		}
	}
	return bpf.Assemble(prog)
}

// rejecting makes a filter return 0 where it accepts, so that nothing but the filter is
// measured: a packet that is accepted is queued as well.
func rejecting(prog []bpf.RawInstruction) []bpf.RawInstruction {
	out := make([]bpf.RawInstruction, len(prog))
	const returnConstant = 0x06
	for i, ins := range prog {
		if ins.Op == returnConstant {
			ins.K = 0
		}
		out[i] = ins
	}
	return out
}

// accepts runs a filter on a packet, in Go.
func accepts(prog []bpf.RawInstruction, packet []byte) (bool, error) {
	instructions, _ := bpf.Disassemble(prog)
	vm, err := bpf.NewVM(instructions)
	if err != nil {
		return false, err
	}
	n, err := vm.Run(packet)
	return n > 0, err
}
