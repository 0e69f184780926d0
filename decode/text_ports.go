package decode

// What TCP and UDP carry is known by the ports, as to tcpdump: the first of these
// that is the source or the destination port counts.

// datagram prints what a UDP datagram carries, and reports whether it can.
func (t *Text) datagram(sport, dport, o, length int) bool {
	is := func(port int) bool { return sport == port || dport == port }
	switch {
	case is(portDNS):
		t.dns(o, length, false)
	case is(portMDNS):
		t.dns(o, length, true)
	case is(portTFTP):
		t.tftp(o, length)
	case is(portBootpClient), is(portBootpServer):
		t.bootp(o, length)
	case is(portRIP):
		t.rip(o, length)
	case is(portIKE):
		t.ike(o, length)
	case is(portNATT):
		t.natt(o, length)
	case is(portNTP):
		t.ntp(o, length)
	case is(546), is(547):
		t.dhcp6(o, length)
	case isRadius(sport), isRadius(dport):
		t.radius(o, length)
	case dport == portHSRP:
		t.hsrp(o, length)
	case isBFD(dport):
		t.bfd(dport, o, length)
	case is(5060):
		t.lines("sip", "ACK BYE CANCEL DO INFO INVITE MESSAGE NOTIFY OPTIONS PRACK QAUTH REFER REGISTER SPRACK SUBSCRIBE UPDATE PUBLISH", o, length)
	case is(portSyslog):
		t.syslog(o, length)
	case is(portGPE):
		t.gpe(o, length)
	case is(6635): // MPLS in UDP, RFC 7510
		t.mpls(o, length)
	default:
		return false
	}
	return true
}

// stream prints what a TCP segment carries, if it can.
func (t *Text) stream(sport, dport, o, length int) {
	is := func(ports ...int) bool {
		for _, p := range ports {
			if sport == p || dport == p {
				return true
			}
		}
		return false
	}
	switch {
	case is(25):
		t.s(": ")
		t.lines("smtp", "", o, length)
	case is(43):
		t.s(": ")
		t.lines("whois", "", o, length)
	case is(portBGP):
		t.bgp(o, length)
	case is(22):
		t.ssh(o, length)
	case is(21):
		t.s(": ")
		t.lines("ftp", "", o, length)
	case is(80, 8080):
		t.s(": ")
		t.lines("http", "GET PUT COPY HEAD LOCK MOVE POLL POST BCOPY BMOVE MKCOL TRACE LABEL MERGE DELETE SEARCH UNLOCK REPORT UPDATE NOTIFY BDELETE CONNECT OPTIONS CHECKIN PROPFIND CHECKOUT CCM_POST SUBSCRIBE PROPPATCH BPROPFIND BPROPPATCH UNCHECKOUT MKACTIVITY MKWORKSPACE UNSUBSCRIBE RPC_CONNECT VERSION-CONTROL BASELINE-CONTROL", o, length)
	case is(554, 8554):
		t.s(": ")
		t.lines("rtsp", "DESCRIBE ANNOUNCE GET_PARAMETER OPTIONS PAUSE PLAY RECORD REDIRECT SETUP SET_PARAMETER TEARDOWN", o, length)
	case is(portDNS):
		if length > 2 {
			t.dnsStream(o, length)
		}
	}
}

// ssh prints the line with which RFC 4253's connections begin, if it is whole.
func (t *Text) ssh(o, length int) {
	t.proto = "ssh"
	for at := o; at < o+length; at++ {
		c := t.u8(at)
		switch {
		case t.stopped():
			return
		case at < o+4 && byte(c) != "SSH-"[at-o]:
			return
		case c == '\n', c == '\r' && at+1 < o+length && t.u8(at+1) == '\n':
			t.s(": SSH: ")
			t.verbatim(o, at)
			return
		case c < ' ' || c >= 0x7f:
			return
		}
	}
	if length < 4 {
		t.need(o, 4)
	}
}
