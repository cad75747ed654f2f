package web_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"ackbox/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// patience bounds one npm command, so that its end is told and not only the whole run's.
const patience = 10 * time.Minute

var (
	installing sync.Mutex
	clientOnce sync.Once
)

// What the tests run is not checked on the way; all types are here: of the client package, the pages and the tests. Like
// the builds that are compared with what is committed, `make lint` runs it and `make test` does not: once is enough.
func TestTypes(t *testing.T) {
	buildClient(t)
	npm(t, nil, "run", "--workspaces", "check")
}

// buildClient builds, and so checks, the client package, which the pages need: once a process.
func buildClient(t *testing.T) {
	t.Helper()
	clientOnce.Do(func() { npm(t, nil, "run", "--workspace", "sdk", "build") })
}

// shots is where the screenshots of a page's tests are kept, to be looked at: .cache/shots/PAGE.
func shots(t *testing.T, page string) string {
	t.Helper()
	folder, err := filepath.Abs(filepath.Join("..", ".cache", "shots", page))
	if err != nil {
		t.Fatal(err)
	}
	return folder
}

// npm runs an npm command in this directory, with env (NAME=value each), and fails the test with its output. The packages
// of the lock file are installed first, unless they are there.
func npm(t *testing.T, env []string, args ...string) {
	t.Helper()
	if _, err := exec.LookPath("npm"); err != nil {
		t.Fatal("npm is missing; install Node 20.11 or newer (https://nodejs.org, or on Debian 13 and Ubuntu 25.04: sudo apt-get install nodejs npm)")
	}
	installing.Lock()
	install(t)
	installing.Unlock()
	if out, err := run(t, env, "npm", args...); err != nil {
		t.Fatalf("npm %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// install makes node_modules what the lock file says. A file in it names the lock file that it was made from.
func install(t *testing.T) {
	t.Helper()
	lock, err := os.ReadFile("package-lock.json")
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(lock)
	want := hex.EncodeToString(sum[:])
	mark := filepath.Join("node_modules", ".installed-from")
	have, err := os.ReadFile(mark)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	if string(have) == want {
		return
	}
	cache, err := filepath.Abs("../.cache/npm")
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", "--cache", cache}
	if out, err := run(t, nil, "npm", args...); err != nil {
		t.Fatalf("npm %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	if err := os.WriteFile(mark, []byte(want), 0o600); err != nil {
		t.Fatal(err)
	}
}

// run runs a program in a process group of its own, which ends with it: servers and browsers too.
func run(t *testing.T, env []string, name string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.Env = append(os.Environ(), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 10 * time.Second
	err := cmd.Run()
	return out.String(), err
}
