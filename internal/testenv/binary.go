package testenv

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"ackbox/internal/testenv/instance"
)

// BuildArgs begin a go command that builds the program as Binary does: what other builds of it share need not be compiled again.
func BuildArgs() []string {
	if raceEnabled {
		return []string{"build", "-buildvcs=false", "-race"}
	}
	return []string{"build", "-buildvcs=false"}
}

// Binary returns the path of the ackbox binary: that of ACKBOX_TEST_BINARY, or one built from this work tree, once for
// all the processes of a `make test` and else once a process. It has the race detector if the tests have it, and a
// Server fails the test that made it report a race.
func Binary(tb testing.TB) string {
	tb.Helper()
	path, err := binary(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	return path
}

func binary(ctx context.Context) (_ string, err error) {
	if path := os.Getenv(instance.BinaryVariable); path != "" {
		return path, nil
	}
	shared.Lock()
	defer shared.Unlock()
	name := "ackbox"
	if raceEnabled {
		name = "ackbox-race"
	}
	path := filepath.Join(os.Getenv(instance.RunDirectoryVariable), name)
	if os.Getenv(instance.RunDirectoryVariable) == "" {
		if path, err = sharedPath(name); err != nil {
			return "", err
		}
	}
	lock, err := instance.Lock(path + ".lock")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	root, err := moduleRoot()
	if err != nil {
		return "", err
	}
	// Renamed when complete: a build that was interrupted must not be taken for the binary.
	cmd := exec.CommandContext(ctx, "go", append(BuildArgs(), "-o", path+".new", ".")...)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build ackbox in %s: %w\n%s", root, err, out)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return "", fmt.Errorf("build ackbox: %w", err)
	}
	return path, nil
}

// moduleRoot is the directory of go.mod, from the tests' working directory upwards.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("no go.mod above the working directory")
		}
		dir = parent
	}
}
