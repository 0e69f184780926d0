package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSystemNames(t *testing.T) {
	etc := t.TempDir()
	for name, text := range map[string]string{
		"services":  "# a comment\n\nssh\t22/tcp # another\ndomain 53/tcp\ndomain 54/udp nameserver\nodd 70000/tcp\nm3ua 2905/sctp\n",
		"protocols": "gre 47 GRE # Cisco\nbad 256 BAD\n",
		"networks":  "loopback 127.0.0.0\nshort 127 brief\nlab 10.5\nzero 0.0.0.0\nbad 1.2.3.4.5\nworse 1.x\n",
		"ethers":    "52:54:0:12:34:56 here\n52:54:00:12:34 there\n",
	} {
		if err := os.WriteFile(filepath.Join(etc, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	n := systemNames{context.Background(), etc}
	show := func(v any, err error) string {
		if err != nil {
			return strings.ReplaceAll(err.Error(), etc, "ETC")
		}
		return fmt.Sprint(v)
	}
	for _, tt := range []struct{ what, got, want string }{
		{"port ssh", show(n.Port("tcp", "ssh")), "22"},
		{"port udp domain", show(n.Port("udp", "domain")), "54"},
		{"port alias", show(n.Port("udp", "nameserver")), "54"},
		{"port of another protocol", show(n.Port("udp", "ssh")), "it is not in ETC/services"},
		{"port number is no name", show(n.Port("tcp", "22/tcp")), "it is not in ETC/services"},
		{"port in a comment", show(n.Port("tcp", "another")), "it is not in ETC/services"},
		{"port out of range", show(n.Port("tcp", "odd")), "it is not in ETC/services"},
		{"port sctp", show(n.Port("sctp", "m3ua")), "2905"},
		{"protocol", show(n.Protocol("gre")), "47"},
		{"protocol alias", show(n.Protocol("GRE")), "47"},
		{"protocol out of range", show(n.Protocol("bad")), "it is not in ETC/protocols"},
		// as `tcpdump -d net loopback` has it
		{"network of four bytes", show(n.Network("loopback")), "127.0.0.0/32"},
		{"network of one byte", show(n.Network("brief")), "127.0.0.0/8"},
		{"network of two bytes", show(n.Network("lab")), "10.5.0.0/16"},
		{"network zero", show(n.Network("zero")), "0.0.0.0/32"},
		{"network too long", show(n.Network("bad")), `ETC/networks says it is "1.2.3.4.5", which is no network number`},
		{"network no number", show(n.Network("worse")), `ETC/networks says it is "1.x", which is no network number`},
		{"network unknown", show(n.Network("mars")), "it is not in ETC/networks"},
		{"ether", show(n.Ether("here")), "52:54:00:12:34:56"},
		{"ether too short", show(n.Ether("there")), "it is not in ETC/ethers"},
		{"no file", show(systemNames{context.Background(), etc + "/no"}.Protocol("gre")), "there is no ETC/no/protocols to look it up in"},
		{"host", show(n.Hosts("127.0.0.1")), "[127.0.0.1]"},
		{"host unknown", show(n.Hosts("nobody.invalid.")), "no such host"},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: %s, want %s", tt.what, tt.got, tt.want)
		}
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := (systemNames{ended, etc}).Hosts("nobody.invalid."); err == nil {
		t.Error("a look-up goes on although the program should end")
	}
}
