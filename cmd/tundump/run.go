package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/tundump/tundump/capture"
	"github.com/tundump/tundump/filter"
	"github.com/tundump/tundump/filter/stack"
)

// Exit statuses.
const (
	done   = 0
	failed = 1 // at run time
	wrong  = 2 // the command line or the expression is
)

// stdio is what the program reads from and prints to.
type stdio struct {
	in, out *os.File
	err     io.Writer // takes whole lines
}

// subcommands returns what a first argument of that name starts with the arguments
// behind it. Each returns the exit status.
func subcommands() map[string]func(ctx context.Context, std stdio, args []string) int {
	return map[string]func(ctx context.Context, std stdio, args []string) int{
		"expr":   expr,
		"mtu":    mtu,
		"offset": offset,
	}
}

// run is the whole program: it does what the arguments, without the program's
// name, say until that is done or ctx is, and returns the exit status.
func run(ctx context.Context, std stdio, args []string) int {
	if len(args) > 0 {
		if sub, ok := subcommands()[args[0]]; ok {
			return sub(ctx, std, args[1:])
		}
	}
	opt, err := parseFlags("tundump", args)
	if err != nil {
		report(std.err, err)
		return wrong
	}
	if opt.ExpressionFile != "" {
		if opt.Expression, err = readExpression(ctx, opt.ExpressionFile); err != nil {
			return finish(std, err)
		}
	}
	switch {
	case opt.Help:
		_, err = io.WriteString(std.out, helpText(flagTable()))
	case opt.Version:
		_, err = fmt.Fprintln(std.out, version())
	case opt.List:
		err = opt.inNamespaces(func() error { return list(std.out) })
	case opt.ListLinkTypes:
		err = opt.listLinkTypes(std.out)
	case opt.ListTimeStamps:
		err = opt.listTimeStampTypes(std.out)
	default:
		opt.collectLess()
		s := newSession(ctx, std, opt)
		defer s.close()
		if opt.Dump > 0 {
			err = s.dump()
		} else {
			err = s.capture()
		}
		err = hinted(err, systemNames{ctx, "/etc"})
	}
	return finish(std, err)
}

// collectLess lets 12 MB come together before memory is collected for the first time. To start leaves
// 5 MB behind, so that the runtime would do so just then, and that takes a third as long as the start. Where
// much more is to be expected it stays as it is.
func (o *Options) collectLess() {
	const percent, longest = 300, 4096
	if os.Getenv("GOGC") == "" && len(o.Expression) < longest && !strings.Contains(o.Expression, "@") {
		debug.SetGCPercent(percent)
	}
}

// finish reports the error, if there is one, and returns the exit status.
func finish(std stdio, err error) int {
	if err == nil || errors.Is(err, syscall.EPIPE) { // who reads our output has seen enough
		return done
	}
	report(std.err, err)
	var badExpression *filter.Error
	var badStack *stack.Error
	if errors.As(err, &badExpression) || errors.As(err, &badStack) {
		return wrong
	}
	return failed
}

// version says what was built, and with what.
func version() string {
	v := "unknown"
	if info, ok := debug.ReadBuildInfo(); ok {
		v = info.Main.Version
	}
	return fmt.Sprintf("tundump %s, %s", v, runtime.Version())
}

// list prints the interfaces, as tcpdump -D does.
func list(w io.Writer) error {
	devices, err := capture.Interfaces()
	if err != nil {
		return fmt.Errorf("listing the interfaces: %w", err)
	}
	for i, d := range devices {
		line := fmt.Sprintf("%d.%s", i+1, d.Name)
		if d.Description != "" {
			line += " (" + d.Description + ")"
		}
		flags := ""
		for _, f := range []struct {
			set  bool
			name string
		}{{d.Up, "Up"}, {d.Running, "Running"}, {d.Loopback, "Loopback"}} {
			if f.set && flags != "" {
				flags += ", "
			}
			if f.set {
				flags += f.name
			}
		}
		if flags == "" {
			flags = "none"
		}
		if _, err := fmt.Fprintf(w, "%s [%s]\n", line, flags); err != nil {
			return fmt.Errorf("listing the interfaces: %w", err)
		}
	}
	return nil
}
