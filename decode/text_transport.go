package decode

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"

	"github.com/tundump/tundump/filter/header"
)

// transportAddrs prints addresses and ports. Behind an IPv6 extension header or AH
// the addresses are printed already.
func (t *Text) transportAddrs(proto, sport, dport int) {
	version, src, dst, next := t.network()
	addrs := proto == protoSCTP || t.u8(next) == proto
	if addrs {
		t.addr(version, src)
		t.s(".")
	}
	t.port(proto, sport)
	t.s(" > ")
	if addrs {
		t.addr(version, dst)
		t.s(".")
	}
	t.port(proto, dport)
	t.s(": ")
}

func (t *Text) port(proto, port int) {
	if t.opt.Names != nil {
		transport := "udp"
		switch proto {
		case protoTCP:
			transport = "tcp"
		case protoSCTP:
			transport = "sctp"
		}
		if name := t.opt.Names.Port(transport, uint16(port)); name != "" {
			t.s(name)
			return
		}
	}
	t.u(port)
}

const (
	tcpFin = 1 << iota
	tcpSyn
	tcpRst
	tcpPsh
	tcpAck
	tcpUrg
	tcpEce
	tcpCwr
)

// tcp prints a segment, RFC 9293.
func (t *Text) tcp(o, length int, fragment bool) {
	t.proto = "tcp"
	if !t.has(o, 4) {
		version, src, dst, _ := t.network()
		t.addr(version, src)
		t.s(" > ")
		t.addr(version, dst)
		t.s(":")
		t.trunc()
		return
	}
	sport, dport := t.u16(o), t.u16(o+2)
	t.transportAddrs(protoTCP, sport, dport)
	if !t.need(o, 20) {
		return
	}
	size := t.u8(o+12) >> 4 * 4
	if size < 20 {
		t.s(" tcp ")
		t.u(length - size)
		t.s(" [bad hdr length ")
		t.u(size)
		t.s(" - too short, < 20]")
		return
	}
	if t.opt.Quiet {
		t.s("tcp ")
		t.u(length - size)
		if size > length {
			t.headerTooLong(size, length)
		}
		return
	}
	seq, ack := t.u32(o+4), t.u32(o+8)
	flags := t.u8(o + 13)
	t.s("Flags [")
	t.flags([]flag{{tcpFin, "F"}, {tcpSyn, "S"}, {tcpRst, "R"}, {tcpPsh, "P"}, {tcpAck, "."}, {tcpUrg, "U"}, {tcpEce, "E"}, {tcpCwr, "W"}},
		uint32(flags), "", "none")
	t.s("]")
	var peer uint32 // the peer's first sequence number, for SACK
	if flags&tcpAck != 0 && !t.opt.AbsoluteSeq {
		seq, ack, peer = t.relative(seq, ack, sport, dport, flags)
	}
	if size > length {
		t.headerTooLong(size, length)
		return
	}
	if t.opt.Verbose > 0 && !fragment && !t.opt.NoChecksums {
		if sum, ok := t.transportChecksum(protoTCP, o, length); ok {
			given := t.u16(o + 16)
			t.s(", cksum 0x")
			t.x(uint32(given), 4)
			if sum != 0 {
				t.s(" (incorrect -> 0x")
				t.x(shouldBe(given, sum), 4)
				t.s(")")
			} else {
				t.s(" (correct)")
			}
		}
	}
	length -= size
	if t.opt.Verbose > 1 || length > 0 || flags&(tcpSyn|tcpFin|tcpRst) != 0 {
		t.s(", seq ")
		t.u(int(seq))
		if length > 0 {
			t.s(":")
			t.u(int(seq) + length)
		}
	}
	if flags&tcpAck != 0 {
		t.s(", ack ")
		t.u(int(ack))
	}
	t.s(", win ")
	t.u(t.u16(o + 14))
	if flags&tcpUrg != 0 {
		t.s(", urg ")
		t.u(t.u16(o + 18))
	}
	if size > 20 {
		t.s(", options [")
		if !t.tcpOptions(o+20, size-20, flags, peer) {
			return
		}
		t.s("]")
	}
	t.s(", length ")
	t.u(length)
	if length == 0 {
		return
	}
	if !t.has(o, size) {
		t.remaining(o, size)
		return
	}
	if flags&tcpRst != 0 && t.opt.Verbose > 0 {
		t.resetData(o+size, length)
		return
	}
	t.stream(sport, dport, o+size, length)
}

func (t *Text) headerTooLong(size, length int) {
	t.s(" [bad hdr length ")
	t.u(size)
	t.s(" - too long, > ")
	t.u(length)
	t.s("]")
}

// tcpOptions returns false if the line ends with them.
func (t *Text) tcpOptions(o, left, flags int, peer uint32) bool {
	for first := true; left > 0; first = false {
		if !first {
			t.s(",")
		}
		kind, n := t.u8(o), 1
		if kind > 1 {
			n = t.u8(o + 1)
			if n < 2 || n > left {
				if !t.stopped() {
					t.badOption(first)
				}
				return false
			}
		}
		if t.stopped() {
			return false
		}
		t.nameOr(tcpOptionName(kind), kind, "unknown-", "")
		// What the option's kind says its data is, and what there is.
		data, size := o+2, max(0, n-2)
		want := size
		switch kind {
		case 2, 20, 28:
			want = 2
		case 3:
			want = 1
		case 4:
			want = 0
		case 6, 7, 11, 12, 13:
			want = 4
		case 8:
			want = 8
		case 19:
			want = 16
		}
		if want > left-min(n, 2) {
			t.badOption(first)
			return false
		}
		// Of some, what is there is printed first.
		if kind != 5 && kind != 29 && tcpOptionName(kind) != "" && want > 0 && !t.has(data, want) {
			t.truncatedOption(first)
			return false
		}
		switch kind {
		case 0, 1, 4:
		case 2:
			t.s(" ")
			t.u(t.u16(data))
		case 3:
			t.s(" ")
			t.u(t.u8(data))
		case 5:
			if size%8 != 0 {
				t.s(" invalid sack")
				break
			}
			t.s(" ")
			t.u(size / 8)
			t.s(" ")
			for at := data; at < data+size; at += 8 {
				if !t.has(at, 8) {
					t.truncatedOption(first)
					return false
				}
				t.s("{")
				t.u(int(t.u32(at) - peer))
				t.s(":")
				t.u(int(t.u32(at+4) - peer))
				t.s("}")
			}
		case 6, 7, 11, 12, 13:
			t.s(" ")
			t.u(int(t.u32(data)))
		case 8:
			t.s(" val ")
			t.u(int(t.u32(data)))
			t.s(" ecr ")
			t.u(int(t.u32(data + 4)))
		case 19:
			t.s(" ")
			t.hex(data, 16, "")
		case 20:
			t.s(" cap ")
			t.hex(data, 1, "")
			t.s(" id ")
			t.u(t.u8(data + 1))
		case 28:
			v := t.u16(data)
			t.s(" 0x")
			t.x(uint32(v), 1)
			t.s(" ")
			if v&1 != 0 {
				t.u(v >> 1 * 60)
			} else {
				t.u(v >> 1)
			}
		case 29:
			if size < 2 {
				t.invalid()
				break
			}
			if t.has(data, 1) {
				t.s(" keyid ")
				t.u(t.u8(data))
			}
			if t.has(data, 2) {
				t.s(" rnextkeyid ")
				t.u(t.u8(data + 1))
			}
			if t.has(data, 2) && size > 2 {
				t.s(" mac 0x")
				t.hex(data+2, max(0, min(size-2, t.end-data-2)), "")
			}
			if !t.has(data, size) {
				t.truncatedOption(first)
				return false
			}
		case 30:
			if !t.has(data, size) {
				t.truncatedOption(first)
				return false
			}
			if !t.mptcp(o, n, flags) {
				if !t.stopped() {
					t.badOption(first)
				}
				return false
			}
		case 34:
			t.s(" ")
			t.fastOpen(data, size)
		case 254:
			if size < 2 {
				t.badOption(first)
				return false
			}
			t.s("-")
			if t.u16(data) == 0xf989 {
				t.s("tfo")
				t.fastOpen(data+2, size-2)
			} else {
				t.hex(data, 2, "")
			}
		default:
			if size > 0 {
				t.s(" 0x")
				t.hex(data, min(size, t.end-data), "")
				if !t.has(data, size) {
					t.truncatedOption(first)
					return false
				}
			}
		}
		used := min(n, 2) + want
		if used != n {
			t.s("[len ")
			t.u(n)
			t.s("]")
		}
		if kind == 0 {
			break
		}
		o, left = o+used, left-used
	}
	return !t.stopped()
}

func (t *Text) badOption(first bool) {
	t.s("[bad opt]")
	if !first {
		t.s("]")
	}
}

func (t *Text) truncatedOption(first bool) {
	t.s(" [|tcp]")
	if !first {
		t.s(">")
	}
	t.stop()
}

// fastOpen prints RFC 7413.
func (t *Text) fastOpen(o, n int) {
	switch {
	case n == 0:
		t.s(" cookiereq")
	case n%2 != 0 || n < 4 || n > 16:
		t.invalid()
	default:
		t.s(" cookie ")
		t.hex(o, n, "")
	}
}

// resetData prints the text in a reset, RFC 1122 section 4.2.2.12.
func (t *Text) resetData(o, length int) {
	if t.has(o, length) {
		t.s(" [RST")
	} else {
		t.s(" [!RST")
	}
	if length > 30 {
		length = 30
		t.s("+")
	}
	t.s(" ")
	for _, c := range t.data[o:min(o+length, t.end)] {
		t.char(c)
	}
	t.s("]")
}

func tcpOptionName(kind int) string {
	switch kind {
	case 0:
		return "eol"
	case 1:
		return "nop"
	case 2:
		return "mss"
	case 3:
		return "wscale"
	case 4:
		return "sackOK"
	case 5:
		return "sack"
	case 6:
		return "echo"
	case 7:
		return "echoreply"
	case 8:
		return "TS"
	case 11:
		return "cc"
	case 12:
		return "ccnew"
	case 13:
		return "ccecho"
	case 19:
		return "md5"
	case 20:
		return "scps"
	case 28:
		return "uto"
	case 29:
		return "tcp-ao"
	case 30:
		return "mptcp"
	case 34:
		return "tfo"
	case 254:
		return "exp"
	}
	return ""
}

// flows keeps the first sequence numbers of the TCP connections that were seen last: of
// maxFlows at least, of twice as many at most.
type flows struct {
	seed      maphash.Seed
	now, past map[flowKey]flow
}

const maxFlows = 16 << 10

// flowKey names a connection, whichever direction a packet of it goes.
type flowKey struct {
	low, high [16]byte // addresses; IPv4 ones are mapped, RFC 4291 section 2.5.5.2
	ports     uint32
	inside    uint64
}

// flow is the first sequence number of the lower and of the higher end.
type flow struct{ low, high uint32 }

func newFlows() flows {
	return flows{seed: maphash.MakeSeed(), now: map[flowKey]flow{}, past: map[flowKey]flow{}}
}

func (f *flows) get(k *flowKey) (flow, bool) {
	v, ok := f.now[*k]
	if !ok {
		if v, ok = f.past[*k]; ok {
			f.set(k, v)
		}
	}
	return v, ok
}

func (f *flows) set(k *flowKey, v flow) {
	if len(f.now) >= maxFlows {
		f.now, f.past = f.past, f.now
		clear(f.now)
	}
	f.now[*k] = v
}

// relative returns the sequence numbers counted from the connection's first ones, and
// the first one of the end that is acknowledged. The packet that shows a connection
// first, and every SYN, gives the first ones, and keeps its numbers.
func (t *Text) relative(seq, ack uint32, sport, dport, flags int) (uint32, uint32, uint32) {
	src, dst := t.addresses()
	reverse := sport > dport || sport == dport && bytes.Compare(src, dst) > 0
	if reverse {
		src, dst, sport, dport = dst, src, dport, sport
	}
	k := flowKey{ports: uint32(sport)<<16 | uint32(dport), inside: t.inside}
	if len(src) == 4 {
		binary.BigEndian.PutUint16(k.low[10:], 0xffff)
		binary.BigEndian.PutUint16(k.high[10:], 0xffff)
	}
	copy(k.low[16-len(src):], src)
	copy(k.high[16-len(dst):], dst)
	f, ok := t.flows.get(&k)
	fresh := !ok || flags&tcpSyn != 0
	if fresh {
		f = flow{seq, ack - 1}
		if reverse {
			f = flow{ack - 1, seq}
		}
		t.flows.set(&k, f)
	}
	mine, peer := f.low, f.high
	if reverse {
		mine, peer = peer, mine
	}
	if fresh {
		return seq, ack, peer
	}
	return seq - mine, ack - peer, peer
}

// udp prints a datagram, RFC 768, and what is in it.
func (t *Text) udp(o, length int, fragment bool) {
	t.proto = "udp"
	if !t.has(o, 4) {
		if version, _, _, next := t.network(); t.u8(next) == protoUDP {
			t.ipAddrs(version, t.outer)
		}
		t.trunc()
		return
	}
	t.transportAddrs(protoUDP, t.u16(o), t.u16(o+2))
	if length < 8 {
		t.s("truncated-udp ")
		t.u(length)
		return
	}
	if !t.need(o, 6) {
		return
	}
	size := t.u16(o + 4)
	if size == 0 && length > 65535 {
		size = length // a jumbogram, RFC 2675
	}
	if size < 8 {
		t.s("truncated-udplength ")
		t.u(size)
		return
	}
	size, length = size-8, length-8
	left := min(size, length)
	if !t.need(o, 8) {
		return
	}
	if version, _, _, _ := t.network(); !fragment && !t.opt.NoChecksums && (version == 4 && t.opt.Verbose > 1 || version == 6 && t.opt.Verbose > 0) {
		t.udpChecksum(version, o, left+8)
	}
	// Most datagrams need no walk.
	l := header.Layer{Header: t.opt.Table.Header(header.UDP), Off: uint32(o - t.base)}
	switch l.Follows(t.data[t.base:]) {
	case header.VXLAN:
		t.vxlan(o+8, left)
		return
	case header.Geneve:
		t.geneve(o+8, left)
		return
	case header.GPE:
		if !t.opt.Quiet {
			t.gpe(o+8, left)
			return
		}
	}
	if !t.opt.Quiet && t.datagram(t.u16(o), t.u16(o+2), o+8, left) {
		return
	}
	if size > left && !fragment {
		t.s("UDP, bad length ")
		t.u(size)
		t.s(" > ")
		t.u(left)
		return
	}
	t.s("UDP, length ")
	t.u(size)
}

func (t *Text) udpChecksum(version, o, length int) {
	given := t.u16(o + 6)
	if version == 4 && given == 0 {
		t.s("[no cksum] ")
		return
	}
	sum, ok := t.transportChecksum(protoUDP, o, length)
	switch {
	case !ok:
	case sum != 0:
		t.s("[bad udp cksum 0x")
		t.x(uint32(given), 4)
		t.s(" -> 0x")
		t.x(shouldBe(given, sum), 4)
		t.s("!] ")
	default:
		t.s("[udp sum ok] ")
	}
}

// sctp prints a packet of RFC 9260.
func (t *Text) sctp(o, length int) {
	t.proto = "sctp"
	if length < 12 {
		t.s("truncated-sctp - ")
		t.u(12 - length)
		t.s(" bytes missing!")
		return
	}
	if !t.need(o, 12) {
		return
	}
	t.transportAddrs(protoSCTP, t.u16(o), t.u16(o+2))
	t.s("sctp")
	separator := " ("
	if t.opt.Verbose > 1 {
		separator = "\n\t"
	}
	o, length = o+12, length-12
	for i := 1; length != 0 && !t.stopped(); i++ {
		number := func() {
			t.s(separator)
			t.u(i)
			t.s(") ")
		}
		if length < 4 {
			number()
			t.s("[chunk descriptor cut off at end of packet]")
			return
		}
		if !t.need(o, 4) {
			return
		}
		id, chunkFlags, size := t.u8(o), t.u8(o+1), t.u16(o+2)
		padding := -size & 3
		switch {
		case size < 4:
			number()
			t.s("[Bad chunk length ")
			t.u(size)
			t.s(", < size of chunk descriptor]")
			return
		case length < padding:
			number()
			t.s("[Bad chunk length ")
			t.u(size)
			t.s(", > remaining data in packet]")
			return
		}
		if !t.need(o, size) {
			return
		}
		number()
		t.s("[")
		if name := sctpChunkName(id); name != "" {
			t.s(name)
		} else {
			t.s("Unknown chunk type: 0x")
			t.x(uint32(id), 1)
		}
		t.s("] ")
		if !t.sctpChunk(id, chunkFlags, o, size) {
			t.s("bogus chunk length ")
			t.u(size)
			t.s("]")
			return
		}
		if t.opt.Verbose < 2 {
			separator = ", ("
		}
		if padding != 0 && !t.need(o+size, padding) {
			return
		}
		// A chunk that is longer than the packet claims to be leaves nothing.
		o, length = o+size+padding, max(0, length-size-padding)
	}
}

// sctpChunk returns false if the chunk is too short for what it is.
func (t *Text) sctpChunk(id, chunkFlags, o, size int) bool {
	field := func(name string, v uint32) {
		t.s("[")
		t.s(name)
		t.s(" ")
		t.u(int(v))
		t.s("] ")
	}
	switch id {
	case 0:
		t.flags([]flag{{4, "(U)"}, {2, "(B)"}, {1, "(E)"}}, uint32(chunkFlags), "", "")
		if chunkFlags&7 != 0 {
			t.s(" ")
		}
		if size < 16 {
			return false
		}
		field("TSN:", t.u32(o+4))
		field("SID:", uint32(t.u16(o+8)))
		field("SSEQ", uint32(t.u16(o+10)))
		t.s("[PPID ")
		ppid := t.u32(o + 12)
		if name := sctpPayloadName(ppid); name != "" {
			t.s(name)
		} else {
			t.s("0x")
			t.x(ppid, 1)
		}
		t.s("] ")
		if size == 16 {
			return false
		}
		if t.opt.Verbose > 1 {
			t.s("[Payload")
			if t.opt.dumps() {
				t.s(":")
				t.dump(o+16, size-16)
			}
			t.s("]")
		}
	case 1, 2:
		if size < 20 {
			return false
		}
		field("init tag:", t.u32(o+4))
		field("rwnd:", t.u32(o+8))
		field("OS:", uint32(t.u16(o+12)))
		field("MIS:", uint32(t.u16(o+14)))
		field("init TSN:", t.u32(o+16))
	case 3:
		if size < 16 {
			return false
		}
		ack, gaps, dups := t.u32(o+4), t.u16(o+12), t.u16(o+14)
		field("cum ack", ack)
		field("a_rwnd", t.u32(o+8))
		field("#gap acks", uint32(gaps))
		field("#dup tsns", uint32(dups))
		at, end := o+16, o+size
		for i := 1; i <= gaps+dups && at < end; i, at = i+1, at+4 {
			if end-at < 4 {
				return false
			}
			t.s("\n\t\t")
			if i <= gaps {
				t.s("[gap ack block #")
				t.u(i)
				t.s(": start = ")
				t.u(int(ack) + t.u16(at))
				t.s(", end = ")
				t.u(int(ack) + t.u16(at+2))
			} else {
				t.s("[dup TSN #")
				t.u(i - gaps)
				t.s(": ")
				t.u(int(t.u32(at)))
			}
			t.s("] ")
		}
	}
	return true
}

func sctpChunkName(id int) string {
	switch id {
	case 0:
		return "DATA"
	case 1:
		return "INIT"
	case 2:
		return "INIT ACK"
	case 3:
		return "SACK"
	case 4:
		return "HB REQ"
	case 5:
		return "HB ACK"
	case 6:
		return "ABORT"
	case 7:
		return "SHUTDOWN"
	case 8:
		return "SHUTDOWN ACK"
	case 9:
		return "OP ERR"
	case 10:
		return "COOKIE ECHO"
	case 11:
		return "COOKIE ACK"
	case 12:
		return "ECN ECHO"
	case 13:
		return "ECN CWR"
	case 14:
		return "SHUTDOWN COMPLETE"
	case 0xc0:
		return "FOR CUM TSN"
	case 0xc1:
		return "REL CTRL"
	case 0xc2:
		return "REL CTRL ACK"
	}
	return ""
}

// sctpPayloadName returns tcpdump's name of a payload protocol identifier.
func sctpPayloadName(id uint32) string {
	switch id {
	case 1:
		return "ISDN Q.921"
	case 2:
		return "M2UA"
	case 3:
		return "M3UA"
	case 4:
		return "SUA"
	case 5:
		return "M2PA"
	case 18:
		return "S1AP"
	case 25:
		return "NBAP"
	case 27:
		return "X2AP"
	}
	return ""
}
