// Tundump is tcpdump for overlay networks: it captures packets, or reads them from
// a file, and selects them with tcpdump's expressions, also inside of tunnels.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	// Writing to a closed pipe is an error like any other, so that the capture is
	// finished in order.
	signal.Ignore(syscall.SIGPIPE)
	ctx, restore := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, restore) // the second signal ends the program at once
	os.Exit(run(ctx, stdio{os.Stdin, os.Stdout, os.Stderr}, os.Args[1:]))
}
