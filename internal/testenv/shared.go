package testenv

import (
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	"ackbox/internal/testenv/instance"
)

// shared is what this process has started for all its tests; Main stops it.
var shared struct {
	sync.Mutex
	directory *instance.Directory
	mariadb   *instance.MariaDB
	redis     *instance.Redis
}

// sharedPath returns a path in this process's own temporary directory. The caller holds the lock.
func sharedPath(name string) (string, error) {
	if shared.directory == nil {
		directory, err := instance.NewDirectory()
		if err != nil {
			return "", err
		}
		shared.directory = directory
	}
	return filepath.Join(shared.directory.Path, name), nil
}

// Addr reserves a free loopback host:port for the test; nothing listens there, and no other test is given it.
func Addr(tb testing.TB) string {
	tb.Helper()
	port, err := instance.ReservePort()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { closed(tb, "port", port.Release) })
	return port.Addr()
}

// directory makes a temporary directory that goes with the test. It is not tb.TempDir, whose path can be too long for a
// socket and whose removal fails the test when a killed server's file is in the way.
func directory(tb testing.TB) string {
	tb.Helper()
	dir, err := instance.NewDirectory()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { closed(tb, dir.Path, dir.Remove) })
	return dir.Path
}

func closed(tb testing.TB, what string, closeIt func() error) {
	tb.Helper()
	if err := closeIt(); err != nil {
		tb.Error(fmt.Errorf("close %s: %w", what, err))
	}
}
