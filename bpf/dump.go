package bpf

import (
	"bufio"
	"fmt"
	"io"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// Dump writes a classic program in the form that tcpdump -d prints.
func Dump(w io.Writer, prog []bpf.Instruction) error {
	return dump(w, prog, func(out *bufio.Writer, n int, i bpf.RawInstruction) {
		op, arg := mnemonic(i, n)
		if i.Op&0x07 == unix.BPF_JMP && i.Op&0xf0 != unix.BPF_JA {
			fmt.Fprintf(out, "(%03d) %-8s %-16s jt %d\tjf %d\n", n, op, arg, n+1+int(i.Jt), n+1+int(i.Jf))
			return
		}
		fmt.Fprintf(out, "(%03d) %-8s %s\n", n, op, arg)
	})
}

// DumpC writes a classic program as an initialiser in C, as tcpdump -dd does.
func DumpC(w io.Writer, prog []bpf.Instruction) error {
	return dump(w, prog, func(out *bufio.Writer, _ int, i bpf.RawInstruction) {
		fmt.Fprintf(out, "{ %#x, %d, %d, 0x%08x },\n", i.Op, i.Jt, i.Jf, i.K)
	})
}

// DumpNumbers writes a classic program as decimal numbers, how many instructions there are
// first, as tcpdump -ddd does. iptables -m bpf and tc take this form.
func DumpNumbers(w io.Writer, prog []bpf.Instruction) error {
	if _, err := fmt.Fprintln(w, len(prog)); err != nil {
		return err
	}
	return dump(w, prog, func(out *bufio.Writer, _ int, i bpf.RawInstruction) {
		fmt.Fprintln(out, i.Op, i.Jt, i.Jf, i.K)
	})
}

// dump writes each instruction of a program.
func dump(w io.Writer, prog []bpf.Instruction, write func(out *bufio.Writer, n int, i bpf.RawInstruction)) error {
	raw, err := bpf.Assemble(prog)
	if err != nil {
		return fmt.Errorf("assembling classic BPF: %w", err)
	}
	out := bufio.NewWriter(w)
	for n, i := range raw {
		write(out, n, i)
	}
	return out.Flush()
}

// mnemonic returns the two columns of instruction n. For libpcap an operand is signed,
// unless it is a mask or what something is compared with.
func mnemonic(i bpf.RawInstruction, n int) (op, arg string) {
	size := map[uint16]string{unix.BPF_W: "", unix.BPF_H: "h", unix.BPF_B: "b"}[i.Op&0x18]
	number := func(format string) string { return fmt.Sprintf(format, int32(i.K)) }
	bits := fmt.Sprintf("#%#x", i.K)
	switch class, mode := i.Op&0x07, i.Op&0xe0; class {
	case unix.BPF_LD, unix.BPF_LDX:
		op = map[uint16]string{unix.BPF_LD: "ld", unix.BPF_LDX: "ldx"}[class] + size
		switch mode {
		case unix.BPF_ABS:
			if name, ok := extensionNames()[bpf.Extension(i.K-extensions)]; ok && i.K >= extensions {
				return op, "[" + name + "]"
			}
			return op, number("[%d]")
		case unix.BPF_IND:
			return op, number("[x + %d]")
		case unix.BPF_LEN:
			return op, "#pktlen"
		case unix.BPF_IMM:
			return op, bits
		case unix.BPF_MEM:
			return op, number("M[%d]")
		case unix.BPF_MSH:
			return op, number("4*([%d]&0xf)")
		}
	case unix.BPF_ST:
		return "st", number("M[%d]")
	case unix.BPF_STX:
		return "stx", number("M[%d]")
	case unix.BPF_ALU:
		op = map[uint16]string{
			unix.BPF_ADD: "add", unix.BPF_SUB: "sub", unix.BPF_MUL: "mul", unix.BPF_DIV: "div", unix.BPF_MOD: "mod",
			unix.BPF_AND: "and", unix.BPF_OR: "or", unix.BPF_XOR: "xor", unix.BPF_LSH: "lsh", unix.BPF_RSH: "rsh", unix.BPF_NEG: "neg",
		}[i.Op&0xf0]
		switch {
		case op == "neg":
			return op, ""
		case i.Op&unix.BPF_X != 0:
			return op, "x"
		case op == "and" || op == "or" || op == "xor":
			return op, bits
		}
		return op, number("#%d")
	case unix.BPF_JMP:
		op = map[uint16]string{unix.BPF_JA: "ja", unix.BPF_JEQ: "jeq", unix.BPF_JGT: "jgt", unix.BPF_JGE: "jge", unix.BPF_JSET: "jset"}[i.Op&0xf0]
		switch {
		case op == "ja":
			return op, fmt.Sprint(n + 1 + int(int32(i.K))) // that of protochain jumps back
		case i.Op&unix.BPF_X != 0:
			return op, "x"
		}
		return op, bits
	case unix.BPF_RET:
		if i.Op&0x18 == unix.BPF_A {
			return "ret", ""
		}
		return "ret", number("#%d")
	case unix.BPF_MISC:
		if i.Op&0xf8 == unix.BPF_TXA {
			return "txa", ""
		}
		return "tax", ""
	}
	return "unimp", fmt.Sprintf("%#x", i.Op)
}

// extensions is the offset from which on loads are of facts about the packet
// (SKF_AD_OFF in linux/filter.h).
const extensions = 1<<32 - 0x1000

// extensionNames has the names that libpcap prints for such loads.
func extensionNames() map[bpf.Extension]string {
	return map[bpf.Extension]string{
		bpf.ExtProto:             "proto",
		bpf.ExtType:              "type",
		bpf.ExtInterfaceIndex:    "ifidx",
		bpf.ExtNetlinkAttr:       "nla",
		bpf.ExtNetlinkAttrNested: "nlan",
		bpf.ExtMark:              "mark",
		bpf.ExtQueue:             "queue",
		bpf.ExtLinkLayerType:     "hatype",
		bpf.ExtRXHash:            "rxhash",
		bpf.ExtCPUID:             "cpu",
		bpf.ExtVLANTag:           "vlan_tci",
		bpf.ExtVLANTagPresent:    "vlanp",
		bpf.ExtPayloadOffset:     "poff",
		bpf.ExtRand:              "random",
		bpf.ExtVLANProto:         "vlan_tpid",
	}
}
