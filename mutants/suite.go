package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// suite is something that must be green on Ackbox and red on a mutant: tests of a package (pattern is what -run takes),
// or, without a pattern, the checker's judgement of a deployment that is broken by a fault (args are those of chaos).
type suite struct {
	pkg, pattern string
	args         []string
}

func test(pkg, pattern string) suite { return suite{pkg: pkg, pattern: pattern} }

// chaos is a run of the fault suite: one fault, so many times, with the same plan each time.
func chaos(fault string, cycles int) suite {
	return suite{args: []string{"--fault", fault, "--cycles", strconv.Itoa(cycles), "--seed", "7", "--rate", "200", "--short"}}
}

func (s suite) name() string {
	if s.pattern != "" {
		return s.pkg + " " + s.pattern
	}
	return "chaos " + strings.Join(s.args[:4], " ")
}

// file is the name without what file names do not like.
func (s suite) file() string {
	return strings.Trim(strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, s.name()), "-")
}

// builds are the files that a mutant's suites run with: the list of its broken sources, the server that has been made of them,
// the unbroken fault suite, and a folder for what that leaves.
type builds struct{ overlay, server, chaos, left string }

// outside says whether it needs the server as a process.
func (s suite) outside() bool { return s.pkg != "./service" }

// command runs it. Tests of the process itself are compiled with the overlay; those from outside get the server.
func (s suite) command(ctx context.Context, b builds) *exec.Cmd {
	line := []string{"go", "test", "-count=1", "-v", "-timeout=" + (suiteTime - 30*time.Second).String(), "-overlay=" + b.overlay, "-run", s.pattern, s.pkg}
	if s.pattern == "" {
		line = append([]string{b.chaos, "--binary", b.server, "--out", b.left}, s.args...)
	}
	cmd := exec.CommandContext(ctx, line[0], line[1:]...)
	cmd.Env = append(os.Environ(), "ACKBOX_TEST_BINARY="+b.server)
	return cmd
}

// ran says whether the output is of a run in which something was tested.
func (s suite) ran(output []byte) bool {
	return s.pattern == "" || bytes.Contains(output, []byte("--- PASS: "))
}

// judged says whether a run that failed has judged: the suite could be compiled, and the checker could do its run.
func (s suite) judged(exit *exec.ExitError, output []byte) bool {
	if s.pattern == "" {
		return exit.ExitCode() == 1
	}
	return !bytes.Contains(output, []byte("[build failed]")) && !bytes.Contains(output, []byte("[setup failed]"))
}
