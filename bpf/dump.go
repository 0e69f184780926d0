package bpf

import (
	"bufio"
	"fmt"
	"io"

	"golang.org/x/net/bpf"
)

// Dump writes a classic program in the form that tcpdump -d prints.
func Dump(w io.Writer, prog []bpf.Instruction) error {
	out := bufio.NewWriter(w)
	for n, i := range prog {
		op, arg := mnemonic(i, n)
		switch i := i.(type) {
		case bpf.JumpIf:
			fmt.Fprintf(out, "(%03d) %-8s %-16s jt %d\tjf %d\n", n, op, arg, n+1+int(i.SkipTrue), n+1+int(i.SkipFalse))
		case bpf.JumpIfX:
			fmt.Fprintf(out, "(%03d) %-8s %-16s jt %d\tjf %d\n", n, op, arg, n+1+int(i.SkipTrue), n+1+int(i.SkipFalse))
		default:
			fmt.Fprintf(out, "(%03d) %-8s %s\n", n, op, arg)
		}
	}
	return out.Flush()
}

// mnemonic returns the two columns of instruction n.
func mnemonic(i bpf.Instruction, n int) (op, arg string) {
	sizes := map[int]string{1: "ldb", 2: "ldh", 4: "ld"}
	jumps := map[bpf.JumpTest]string{bpf.JumpEqual: "jeq", bpf.JumpGreaterThan: "jgt", bpf.JumpGreaterOrEqual: "jge", bpf.JumpBitsSet: "jset"}
	alu := map[bpf.ALUOp]string{bpf.ALUOpAdd: "add", bpf.ALUOpSub: "sub", bpf.ALUOpMul: "mul", bpf.ALUOpDiv: "div", bpf.ALUOpMod: "mod",
		bpf.ALUOpAnd: "and", bpf.ALUOpOr: "or", bpf.ALUOpXor: "xor", bpf.ALUOpShiftLeft: "lsh", bpf.ALUOpShiftRight: "rsh"}
	ld, st := "ld", "st"
	switch i := i.(type) {
	case bpf.LoadConstant:
		return ld, fmt.Sprintf("#%#x", i.Val)
	case bpf.LoadScratch:
		if i.Dst == bpf.RegX {
			ld = "ldx"
		}
		return ld, fmt.Sprintf("M[%d]", i.N)
	case bpf.StoreScratch:
		if i.Src == bpf.RegX {
			st = "stx"
		}
		return st, fmt.Sprintf("M[%d]", i.N)
	case bpf.LoadAbsolute:
		return sizes[i.Size], fmt.Sprintf("[%d]", i.Off)
	case bpf.LoadIndirect:
		return sizes[i.Size], fmt.Sprintf("[x + %d]", i.Off)
	case bpf.LoadExtension:
		if i.Num == bpf.ExtLen {
			return ld, "#pktlen"
		}
		return ld, map[bpf.Extension]string{bpf.ExtVLANTagPresent: "vlanp", bpf.ExtVLANTag: "vlan_tci", bpf.ExtType: "pkttype", bpf.ExtInterfaceIndex: "ifidx"}[i.Num]
	case bpf.ALUOpConstant:
		if i.Op == bpf.ALUOpAnd || i.Op == bpf.ALUOpOr || i.Op == bpf.ALUOpXor {
			return alu[i.Op], fmt.Sprintf("#%#x", i.Val)
		}
		return alu[i.Op], fmt.Sprintf("#%d", i.Val)
	case bpf.ALUOpX:
		return alu[i.Op], "x"
	case bpf.TAX:
		return "tax", ""
	case bpf.Jump:
		return "ja", fmt.Sprint(n + 1 + int(i.Skip))
	case bpf.JumpIf:
		return jumps[i.Cond], fmt.Sprintf("#%#x", i.Val)
	case bpf.JumpIfX:
		return jumps[i.Cond], "x"
	case bpf.RetConstant:
		return "ret", fmt.Sprintf("#%d", i.Val)
	}
	return fmt.Sprint(i), ""
}
