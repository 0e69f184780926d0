package main

import (
	"os"

	"golang.org/x/sys/unix"

	"github.com/tundump/tundump/bpf"
)

// kernel returns what filters have to know of the kernel to read packets in place, nil if it does not say.
func kernel() *bpf.Kernel {
	f, err := os.Open("/sys/kernel/btf/vmlinux")
	if err != nil {
		return nil
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil
	}
	// It is several megabytes, which need not be copied. A kernel that does not let it be mapped
	// (before Linux 6.16) does not let packets be read in place either.
	types, err := unix.Mmap(int(f.Fd()), 0, int(info.Size()), unix.PROT_READ, unix.MAP_PRIVATE)
	if err != nil {
		return nil
	}
	defer unix.Munmap(types)
	k, err := bpf.NewKernel(types)
	if err != nil {
		return nil
	}
	return k
}
