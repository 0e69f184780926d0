package main

import (
	"encoding/hex"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain makes the test binary a tundump when it is called by that name, which
// is on the PATH of the tests.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"tundump": main})
}

// TestScripts runs testdata/*.txtar. $TESTDATA is the folder of captures. Commands of their
// own are
//
//	exits STATUS program [args...]    like exec, but demands that exit status
//	packets FILE HEX...               makes a pcap file of Ethernet packets
func TestScripts(t *testing.T) {
	captures, err := filepath.Abs(filepath.Join("..", "..", "testdata"))
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("TESTDATA", captures)
			env.Setenv("TZ", "UTC")
			return nil
		},
		Condition: func(cond string) (bool, error) {
			if cond == "root" {
				return os.Geteuid() == 0, nil
			}
			return false, errors.New("unknown condition " + cond)
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"exits": func(ts *testscript.TestScript, neg bool, args []string) {
				if neg || len(args) < 2 {
					ts.Fatalf("usage: exits STATUS program [args...]")
				}
				err := ts.Exec(args[1], args[2:]...)
				got := 0
				var exit *exec.ExitError
				if errors.As(err, &exit) {
					got = exit.ExitCode()
				} else {
					ts.Check(err)
				}
				if strconv.Itoa(got) != args[0] {
					ts.Fatalf("exit status %d, want %s", got, args[0])
				}
			},
			"packets": func(ts *testscript.TestScript, neg bool, args []string) {
				if neg || len(args) == 0 {
					ts.Fatalf("usage: packets FILE HEX...")
				}
				f, err := os.Create(ts.MkAbs(args[0]))
				ts.Check(err)
				defer f.Close()
				w := pcapgo.NewWriter(f)
				ts.Check(w.WriteFileHeader(262144, layers.LinkTypeEthernet))
				for _, h := range args[1:] {
					data, err := hex.DecodeString(h)
					ts.Check(err)
					ts.Check(w.WritePacket(gopacket.CaptureInfo{CaptureLength: len(data), Length: len(data)}, data))
				}
			},
		},
	})
}
