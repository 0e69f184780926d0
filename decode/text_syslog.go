package decode

const portSyslog = 514

// syslog prints RFC 3164's messages.
func (t *Text) syslog(o, length int) {
	t.proto = "syslog"
	if t.u8(o) != '<' {
		t.invalid()
		return
	}
	priority, n := 0, 1
	for ; n <= 3; n++ {
		c := t.u8(o + n)
		if c < '0' || c > '9' {
			break
		}
		priority = priority*10 + c - '0'
	}
	if t.u8(o+n) != '>' {
		t.invalid()
		return
	}
	n++
	facility, severity := priority>>3, priority&7
	print := func(number bool) {
		t.nameOr(word("kernel user mail daemon auth syslog lpr news uucp cron authpriv ftp ntp security console cron local0 local1 local2 local3 local4 local5 local6 local7", facility), facility, "unknown (", ")")
		if number {
			t.numbers(" (", facility, "), Severity ")
		} else {
			t.s(".")
		}
		t.s(word("emergency alert critical error warning notice info debug", severity))
		if number {
			t.numbers(" (", severity, ")")
		}
	}
	if t.opt.Verbose == 0 {
		t.s("SYSLOG ")
		print(false)
		t.numbers(", length: ", length)
		return
	}
	t.numbers("SYSLOG, length: ", length, "\n\tFacility ")
	print(true)
	t.s("\n\tMsg: ")
	if length > n && !t.chars(o+n, length-n) {
		t.trunc()
		return
	}
	if t.opt.Verbose > 1 {
		t.unknownData("\n\t", o, length)
	}
}
