// Demo shows tundump's main job: of an interface full of GRE and VXLAN it
// captures what one inner host sends and receives.
//
//	demo TUNDUMP                as root: live, in namespaces that it makes and removes
//	                            otherwise: from testdata/demo/overlay.pcap
//	demo -record FILE TUNDUMP   as root: makes that file
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/tundump/tundump/testdata/lab"
)

const (
	here   = "10.5.5.1" // the inner host that talks to all others
	chosen = "10.5.5.5"
	file   = "out.pcapng"
	greKey = 0x2a
)

func main() {
	record := flag.String("record", "", "capture everything, to this file")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := demo(ctx, flag.Arg(0), *record); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func demo(ctx context.Context, tundump, record string) error {
	tundump, err := filepath.Abs(tundump)
	if err != nil {
		return err
	}
	expression := []string{"inner", "host", chosen}
	switch {
	case record != "":
		return live(ctx, tundump, "-i", "eth1", "-w", record)
	case os.Geteuid() == 0:
		fmt.Printf("Two network namespaces are joined by a link, eth1. It carries VXLAN and GRE between\n"+
			"%s and %s, and in these tunnels %s talks to 10.5.5.5, .6 and .7.\n", lab.UnderlayA, lab.UnderlayB, here)
		err = live(ctx, tundump, append([]string{"-i", "eth1", "-w", file}, expression...)...)
	default:
		fmt.Printf("Not root, so no live capture: this is a recording of an interface that carries VXLAN and GRE\n"+
			"between %s and %s. In these tunnels %s talks to 10.5.5.5, .6 and .7.\n", lab.UnderlayA, lab.UnderlayB, here)
		recording := filepath.Join("testdata", "demo", "overlay.pcap")
		err = show(exec.CommandContext(ctx, tundump, append([]string{"-r", recording, "-w", file}, expression...)...))
	}
	if err != nil {
		return err
	}
	if err := show(exec.CommandContext(ctx, tundump, "-r", file)); err != nil {
		return err
	}
	fmt.Printf("\nThe packets of %s, and of nobody else: through VXLAN and through GRE, each found by an address\n"+
		"inside the tunnel. tcpdump and Wireshark read the file, too: wireshark %s\n", chosen, file)
	return nil
}

// show prints a command, and runs it.
func show(cmd *exec.Cmd) error {
	fmt.Printf("\n$ %s\n", line(cmd.Args))
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w", line(cmd.Args), err)
	}
	return nil
}

// line is a command as one would type it.
func line(args []string) string {
	return strings.Join(append([]string{filepath.Base(args[0])}, args[1:]...), " ")
}

// live runs tundump with these arguments in a network full of tunnels.
func live(ctx context.Context, tundump string, args ...string) (err error) {
	l, err := lab.New([]string{here}, []string{chosen, "10.5.5.6", "10.5.5.7"})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()

	fmt.Printf("\n$ tundump %s\n", strings.Join(args, " "))
	cmd := l.Command(ctx, l.A, append([]string{tundump}, args...)...)
	// Ctrl-C reaches it anyway, as it does us.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	messages, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	ready := make(chan struct{})
	copied := make(chan struct{})
	go func() {
		defer close(copied)
		for lines := bufio.NewScanner(messages); lines.Scan(); {
			fmt.Println(lines.Text())
			if strings.HasPrefix(lines.Text(), "tundump: filter:") { // its last line before packets
				close(ready)
			}
		}
	}()
	select {
	case <-ready:
		err = traffic(ctx, l)
	case <-copied:
	}
	_ = cmd.Process.Signal(syscall.SIGINT) // it may have ended
	<-copied
	if runErr := cmd.Wait(); runErr != nil {
		return fmt.Errorf("tundump: %w", runErr)
	}
	return err
}

// traffic sends a ping to each inner host through VXLAN, and the start of a TCP
// connection through GRE.
func traffic(ctx context.Context, l *lab.Lab) error {
	for _, host := range []string{chosen, "10.5.5.6", "10.5.5.7"} {
		ping := l.Command(ctx, l.A, "ping", "-q", "-c", "3", "-i", "0.05", host)
		if out, err := ping.CombinedOutput(); err != nil {
			return fmt.Errorf("ping %s: %w: %s", host, err, out)
		}
		syn := layers.TCP{SrcPort: 40000, DstPort: 443, Seq: 1000, SYN: true, Window: 64240}
		synAck := layers.TCP{SrcPort: 443, DstPort: 40000, Seq: 2000, Ack: 1001, SYN: true, ACK: true, Window: 65160}
		ack := layers.TCP{SrcPort: 40000, DstPort: 443, Seq: 1001, Ack: 2001, ACK: true, Window: 64240}
		for _, p := range []struct {
			ns                 string
			outerSrc, outerDst string
			innerSrc, innerDst string
			tcp                layers.TCP
		}{
			{l.A, lab.UnderlayA, lab.UnderlayB, here, host, syn},
			{l.B, lab.UnderlayB, lab.UnderlayA, host, here, synAck},
			{l.A, lab.UnderlayA, lab.UnderlayB, here, host, ack},
		} {
			frame, err := gre(p.outerSrc, p.outerDst, p.innerSrc, p.innerDst, p.tcp)
			if err != nil {
				return err
			}
			if err := l.Transmit(p.ns, "eth1", [][]byte{frame}); err != nil {
				return err
			}
		}
	}
	return nil
}

// gre returns an Ethernet frame with a TCP segment in Ethernet in GRE.
func gre(outerSrc, outerDst, innerSrc, innerDst string, tcp layers.TCP) ([]byte, error) {
	ethernet := layers.Ethernet{
		SrcMAC: net.HardwareAddr{2, 0, 0, 0, 1, 1}, DstMAC: net.HardwareAddr{2, 0, 0, 0, 1, 2},
		EthernetType: layers.EthernetTypeIPv4,
	}
	outer := layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolGRE, SrcIP: net.ParseIP(outerSrc), DstIP: net.ParseIP(outerDst)}
	inner := layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolTCP, SrcIP: net.ParseIP(innerSrc), DstIP: net.ParseIP(innerDst)}
	if err := tcp.SetNetworkLayerForChecksum(&inner); err != nil {
		return nil, err
	}
	buf := gopacket.NewSerializeBuffer()
	err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true},
		&ethernet, &outer, &layers.GRE{KeyPresent: true, Key: greKey, Protocol: layers.EthernetTypeTransparentEthernetBridging},
		&ethernet, &inner, &tcp)
	return buf.Bytes(), err
}
