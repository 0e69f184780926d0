package decode

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tundump/tundump/capture"
	"github.com/tundump/tundump/filter/header"
	"github.com/tundump/tundump/testdata/random"
)

// ospf makes a message of OSPF version 2 in an Ethernet frame.
func ospf(kind int, authentication string, parts ...any) []byte {
	body := bytesOf(parts...)
	return eth(header.TypeIP, ip4(protoOSPF, bytesOf(2, kind, uint16(24+len(body)), "01010101 00000000 0000", authentication, body)))
}

// lsa makes a link state.
func lsa(kind int, id string, parts ...any) []byte {
	body := bytesOf(parts...)
	return bytesOf("0001 02", kind, id, "01010101 80000001 abcd", uint16(20+len(body)), body)
}

func ospfExamples() (frames [][]byte) {
	const none = "0000 0000000000000000"
	hello := bytesOf("ffffff00 000a 02 01 00000028 c0a80001 00000000")
	frames = append(frames, ospf(1, none, hello), ospf(1, "0001 7061737377000000", "ffffff00 000a fe 01 00000028 c0a80001 c0a80002 c0a80003 c0a80004"),
		ospf(1, "0001 7061737377018090", hello), ospf(1, "0002 0000 07 10 00001234", hello, make([]byte, 16)), ospf(1, "0003 0000000000000000", hello), ospf(1, none, hello, 1), ospf(6, none, hello))
	// With a block behind the message, which its length does not count.
	for _, block := range []string{"", "fff6", "fff6 0000", "fff6 0003 0001 0004 00000003", "fff6 0008 0001 0004 00000003 0002 0014 00000005 00112233445566778899aabbccddeeff",
		"fff6 0004 0009 0003 010203 00 0001 0004 00000000", "fff6 0009 0001 0004 00000003", "fff6 0002 0001 0000"} {
		for _, message := range [][]byte{ospf(1, none, "ffffff00 000a 12 01 00000028 c0a80001 00000000"), ospf(2, none, "05dc 12 00 00001000"), ospf(1, none, hello)} {
			payload := bytesOf(message[34:], block)
			frames = append(frames, eth(header.TypeIP, ip4(protoOSPF, payload)))
		}
	}
	frames = append(frames, ospf(2, none, "05dc 42 07 00001000"), ospf(2, none, "05dc 42 0f 00001000", lsa(1, "0a000001"), lsa(5, "0a000001"), lsa(99, "0a000001")), ospf(2, none, "05dc 42 00 00001000 00"),
		ospf(5, none), ospf(5, none, lsa(1, "0a000001"), lsa(10, "01000005"), lsa(9, "03000000"), lsa(11, "04000000"), lsa(9, "05000000")))
	requests := []byte(nil)
	for kind := range uint32(14) {
		requests = bytesOf(requests, kind, kind<<24|1, "01010101")
	}
	frames = append(frames, ospf(3, none), ospf(3, none, requests), ospf(3, none, requests, 0))

	update := func(count uint32, lsas ...[]byte) {
		body := bytesOf(count)
		for _, l := range lsas {
			body = append(body, l...)
		}
		frames = append(frames, ospf(4, none, body))
	}
	for _, links := range []string{"00 00 0000", "1f 00 0002 0a000002 0a0000fe 01 00 000a 0a000100 ffffff00 03 02 0001 0100 0014 7f00 ffff", "02 00 0003 0a000002 0a0000fe 02 00 000a 0a000002 0a0000fe 04 00 000a 0a000002 0a0000fe 09 00 000a", "00 00 0001 0a00", "00", "00000001 0a000001 0a000002 01 05 0001"} {
		update(1, lsa(lsaRouter, "0a000001", links))
	}
	update(0)
	update(2, lsa(lsaNetwork, "0a000001", "ffffff00 01010101 02020202"), lsa(lsaNetwork, "0a000001", "ffffff00"))
	update(5, lsa(lsaNetwork, "0a000001", "ffffff00 01010101 02"))
	update(3, lsa(lsaSummary, "0a000001", "ffffff00 00000014 01000005 02ffffff 83000001"), lsa(lsaSummaryASBR, "0a000001", "00000000 00000014"), lsa(lsaSummary, "0a000001", "ffffff00 00"))
	update(3, lsa(lsaExternal, "0a000001", "ffffff00 80000014 0a000009 00000007 05ffffff 00000000 00000000"), lsa(lsaNSSA, "0a000001", "ffffff00 00000014 00000000 00000000"), lsa(lsaExternal, "0a000001", "ffffff00 80000014 0a"))
	update(2, lsa(lsaGroup, "e0000001", "00000001 0a000003 00000002 0a000004"), lsa(lsaGroup, "e0000001", "00000003 0a000003"))
	for _, kind := range []int{lsaOpaqueLink, lsaOpaqueArea, lsaOpaqueDomain, 8, 77} {
		for id, bodies := range map[string][]string{
			"03000000": {"0001 0004 00000078 0002 0001 01000000 0003 0004 0a000001", "0002 0001 00000000 0002 0001 02000000 0002 0001 03000000 0002 0001 04000000", "0001 0002 0102 0000", "0002 0002 0102 0000", "0003 0005 0a000001 01",
				"0009 0003 010203 00", "0009 0000", "0003 0004 010000", "0001", "0001 0004 00000078 00"},
			"04000000": {"0001 0004 0000003f 0001 0004 ffffffff", "0001 0004 b8000000 0002 0004 11223344", "0001 0005 0000000000000000", "0002 0000", "0001 0004 0102", "00"},
			"05000000": {"", "0102030405"},
		} {
			for _, body := range bodies {
				update(2, lsa(kind, id, body), lsa(lsaNetwork, "0a000001", "ffffff00"))
			}
		}
	}
	short := lsa(lsaRouter, "0a000001", "00000000")
	for _, size := range []byte{0, 7, 19, 20, 21, 200} {
		short[19] = size
		update(1, short)
		frames = append(frames, ospf(2, none, "05dc 42 07 00001000", short), ospf(5, none, short))
	}
	return frames
}

func hsrpExamples() (frames [][]byte) {
	for kind := range 4 {
		for _, state := range []int{0, 1, 2, 3, 4, 8, 16, 99} {
			message := bytesOf(0, kind, state, "03 0a 64 01 00", []byte("cisco\x00\x00\x00"), "0a000064")
			frames = append(frames, eth(header.TypeIP, ip4(protoUDP, udp(portHSRP, message))))
		}
	}
	for _, message := range []string{"", "00", "0000", "000010", "01001003", "0000100300640100 6369736301800022 0a000064", "0000ff3cff640107 3132333435363738 0a000064", "0000100000640100 0061620000000000 0a000064 616263",
		"000010030a640100 6369736300000000 0a00"} {
		frames = append(frames, eth(header.TypeIP, ip4(protoUDP, udp(portHSRP, bytesOf(message)))))
	}
	return frames
}

func ripExamples() (frames [][]byte) {
	const route = "00020000 0a000000 ff000000 00000000 00000001"
	for _, message := range []string{"02020000" + route + "00020001 0a010000 ffff0000 0a000001 00000010", "01020000 0000 0000 00000000 00000000 00000000 00000010", "02010000 00020000 0a000000 00000000 00000000 00000001 00020000 0a000000 00000000 00000000 00000002",
		"02020000 ffff 0002 7061737377000000 0000000000000000" + route, "02020000 ffff 0003 0024 01 10 00000001 0000000000000000" + route + "ffff0001 00112233445566778899aabbccddeeff", "02020000 0005 0000 0a000000 ff000000 00000000 00000001" + route,
		"02020000 00020000 0a000000", "02020000" + route + "0002", "02020000 ffff 0009 00000000 00000000 00000000 00000001" + route, "02020000 00020000 ffffffff ffffffff 00000000 ffffffff", "02020000 00020000 0a000000 ffff00ff 00000000 00000001",
		"02010000 00020001 0a000000 01000000 00000000 00000001", "02010000 00020000 0a000000 00000000 00000000 00000001 0002", "02010000 ffff0000 0a000000 00000000 00000000 00000001", "02010000 00000000 0a000000 00000000 00000000 00000001",
		"02020000 0000 0000 0a000000 ff000000 00000000 00000001", "0202", "", "02020000", "01010000 00020000"} {
		frames = append(frames, eth(header.TypeIP, ip4(protoUDP, udp(portRIP, bytesOf(message)))))
	}
	for command := range 9 {
		for version := range 5 {
			frames = append(frames, eth(header.TypeIP, ip4(protoUDP, udp(portRIP, bytesOf(command, version, "0000", route)))))
		}
	}
	return frames
}

// routingExamples are frames of the protocols that routers and servers speak among themselves.
func routingExamples() map[string][][]byte {
	return map[string][][]byte{"ospf": ospfExamples(), "bgp": bgpExamples(), "dhcp6": dhcp6Examples(), "hsrp": hsrpExamples(), "rip": ripExamples()}
}

// routingForms are the ways to print that show what is in messages.
func routingForms() []form {
	return []form{{"v", []string{"-v"}, TextOptions{Verbose: 1}}, {"vv", []string{"-vv"}, TextOptions{Verbose: 2}},
		{"b", []string{"-v", "-b"}, TextOptions{Verbose: 1, ASDot: true}}}
}

// TestTextRouting mutates messages of protocols that have much in them, and demands that
// almost every text is tcpdump's.
func TestTextRouting(t *testing.T) {
	for name, frames := range routingExamples() {
		t.Run(name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(3, 4))
			p := packets{link: header.LinkEthernet}
			for range random.Rounds(6000) {
				frame := slices.Clone(frames[r.IntN(len(frames))])
				p.packets = append(p.packets, mutateFrom(r, frame, 34))
			}
			p.disguise()
			file := p.write(t)
			for _, form := range routingForms() {
				form.opt.Depth, form.opt.AbsoluteSeq = header.MaxDepth, true
				want, got := tcpdump(t, file, append([]string{"-S"}, form.args...)...), p.print(t, form.opt)
				if len(want) != len(got) {
					t.Fatalf("%s: %d packets, tcpdump prints %d", form.name, len(got), len(want))
				}
				differ, allowed := 0, len(got)/1000
				for i := range got {
					if got[i] == want[i] || wanted(want[i], got[i]) {
						continue
					}
					if differ++; differ <= 3 {
						t.Logf("%s: packet %d: %d of %d bytes, % x\n%s", form.name, i+1, len(p.packets[i].Data), p.packets[i].Len, p.packets[i].Data[34:], differing(got[i], want[i]))
					}
				}
				if differ > allowed {
					t.Errorf("%s: %d of %d texts differ", form.name, differ, len(got))
				}
			}
		})
	}
}

// mutateFrom returns the frame with something wrong behind its first bytes.
func mutateFrom(r *rand.Rand, frame []byte, from int) capture.Packet {
	p := mutate(r, frame[from:])
	data := append(slices.Clone(frame[:from]), p.Data...)
	return capture.Packet{Time: 1e9, Len: from + p.Len, Data: data}
}
