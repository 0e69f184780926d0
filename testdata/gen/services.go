package main

import "slices"

// odd are packets that no program should send: the printers must be as robust as
// tcpdump's, and print the same.
func odd() []packet {
	return slices.Concat(oddDNSPackets(), oddPPPPackets(), oddControl())
}
