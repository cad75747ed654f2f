// Package e2e holds the black-box suite: what PROTOCOL promises to clients, checked against the real binary over real
// listeners, on both backends. It imports nothing of the server.
package e2e

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"ackbox/internal/testenv"
)

func TestMain(m *testing.M) {
	flag.Parse()
	// Most behaviours wait (for a re-push, a window, a restart) rather than compute: more of them than there are cores may
	// run side by side, unless the caller chose a number.
	chosen := false
	flag.Visit(func(f *flag.Flag) { chosen = chosen || f.Name == "test.parallel" })
	if !chosen {
		if err := flag.Set("test.parallel", "4"); err != nil {
			fmt.Fprintln(os.Stderr, "e2e:", err)
			os.Exit(2)
		}
	}
	testenv.Main(m)
}
