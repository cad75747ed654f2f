package main_test

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"ackbox/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

func TestCommandsFate(t *testing.T) {
	t.Parallel()
	bin := build(t)
	there := []string{"ACKBOX_TEST_MYSQL_DSN=there", "ACKBOX_TEST_REDIS_URL=there too"}
	for _, test := range []struct {
		name   string
		args   []string
		env    []string
		code   int
		output string
	}{
		{"NoCommand", nil, there, 2, "usage"},
		{"Succeeds", []string{"--", "true"}, there, 0, ""},
		{"Fails", []string{"--", "sh", "-c", "exit 7"}, there, 7, ""},
		{"DiesOfASignal", []string{"--", "sh", "-c", "kill -KILL $$"}, there, 128 + 9, ""},
		{"IsMissing", []string{"--", "/no/such/command"}, there, 127, "no such file"},
		{"UsesWhatIsThere", []string{"--", "sh", "-c", `echo "$ACKBOX_TEST_MYSQL_DSN, $ACKBOX_TEST_REDIS_URL"`}, there, 0, "there, there too"},
		{"StartsWhatIsMissing", []string{"--", "sh", "-c", `echo "$ACKBOX_TEST_REDIS_URL"; [ -d "$ACKBOX_TEST_RUN_DIR" ]`}, there[:1], 0, "redis://127.0.0.1:"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), bin, test.args...)
			cmd.Env = append(clean(), test.env...)
			out, err := cmd.CombinedOutput()
			if got := exitCode(t, err); got != test.code || !strings.Contains(string(out), test.output) {
				t.Errorf("got exit code %d and %q, want %d and %q", got, out, test.code, test.output)
			}
		})
	}
}

func TestSignalReachesTheCommand(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), build(t), "--", "sh", "-c", "trap 'exit 9' TERM; echo \"$ACKBOX_TEST_RUN_DIR\"; while :; do read -r line; done")
	cmd.Env = append(clean(), "ACKBOX_TEST_MYSQL_DSN=there")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	dir, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if got := exitCode(t, cmd.Wait()); got != 9 {
		t.Errorf("exit code: got %d, want the command's 9", got)
	}
	if _, err := os.Stat(strings.TrimSpace(dir)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the directory of the servers is still there: %v", err)
	}
	if err := stdin.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		t.Error(err)
	}
}

func build(t *testing.T) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "withservers")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", bin, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return bin
}

// clean is this process's environment without the servers that it was given.
func clean() []string {
	var env []string
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "ACKBOX_") {
			env = append(env, variable)
		}
	}
	return env
}

func exitCode(t *testing.T, err error) int {
	t.Helper()
	var exit *exec.ExitError
	if err == nil {
		return 0
	}
	if !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return exit.ExitCode()
}
