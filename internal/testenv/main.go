package testenv

import (
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// Main is the TestMain of every package: it runs the tests, stops the servers that they shared, fails when a goroutine
// is left over, and exits. Fuzzing is not checked for goroutines, because its engine keeps some.
func Main(m *testing.M) {
	code := m.Run()
	if err := stopShared(); err != nil {
		fmt.Fprintln(os.Stderr, "testenv: stop the shared servers:", err)
		code = max(code, 1)
	}
	if code == 0 && !fuzzing() {
		http.DefaultClient.CloseIdleConnections()
		if err := goleak.Find(knownGoroutines()...); err != nil {
			fmt.Fprintln(os.Stderr, "testenv: goroutines left after the last test:", err)
			code = 1
		}
	}
	os.Exit(code)
}

func fuzzing() bool {
	for _, name := range []string{"test.fuzz", "test.fuzzworker"} {
		if f := flag.Lookup(name); f != nil && f.Value.String() != "" && f.Value.String() != "false" {
			return true
		}
	}
	return false
}

// stopShared ends what this process started for all its tests.
func stopShared() error {
	shared.Lock()
	defer shared.Unlock()
	var err error
	if shared.mariadb != nil {
		err = errors.Join(err, shared.mariadb.Close())
	}
	if shared.redis != nil {
		err = errors.Join(err, shared.redis.Close())
	}
	if shared.directory != nil {
		err = errors.Join(err, shared.directory.Remove())
	}
	shared.mariadb, shared.redis, shared.directory = nil, nil, nil
	return err
}
