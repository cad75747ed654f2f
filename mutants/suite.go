package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"strings"
)

// suite is something that must be green on Ackbox and red on a mutant: tests of a package (pattern is what -run takes),
// or without a pattern a command line, in which {binary} stands for the server.
type suite struct {
	pkg, pattern string
	line         []string
}

func test(pkg, pattern string) suite { return suite{pkg: pkg, pattern: pattern} }

// chaos is a run of the fault suite.
func chaos(args ...string) suite {
	return suite{line: append([]string{"go", "run", "./chaos/cmd/chaos", "--binary", "{binary}"}, args...)}
}

func (s suite) name() string {
	if s.pattern != "" {
		return s.pkg + " " + s.pattern
	}
	return "chaos " + strings.Join(s.line[5:], " ")
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

// command runs it. Tests of the process itself are compiled with the overlay; those from outside get the binary.
func (s suite) command(ctx context.Context, overlay, binary string) *exec.Cmd {
	line := []string{"go", "test", "-count=1", "-v", "-overlay=" + overlay, "-run", s.pattern, s.pkg}
	if s.pattern == "" {
		line = make([]string, len(s.line))
		for i, word := range s.line {
			line[i] = strings.ReplaceAll(word, "{binary}", binary)
		}
	}
	cmd := exec.CommandContext(ctx, line[0], line[1:]...) //nolint:gosec // our own arguments
	cmd.Env = append(os.Environ(), "ACKBOX_TEST_BINARY="+binary)
	return cmd
}

// ran says whether the output is of a run in which something was tested.
func (s suite) ran(output []byte) bool {
	return s.pattern == "" || bytes.Contains(output, []byte("--- PASS: "))
}
