// Command withservers runs another command with a MariaDB and a Redis of its own:
//
//	withservers -- go test -race ./...
//
// A server whose variable (ACKBOX_TEST_MYSQL_DSN, ACKBOX_TEST_REDIS_URL) is set already is not started. Signals go on to
// the command, whose exit code becomes this one's; then everything that was started is stopped and removed.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"ackbox/internal/testenv/instance"
)

// Exit codes of our own, as a shell has them: the command was not found; 128 plus the number of the signal that ended it.
const (
	exitUsage    = 2
	exitFailure  = 125
	exitNotFound = 127
	exitSignal   = 128
)

func main() {
	args := os.Args[1:]
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	if len(args) == 0 {
		fmt.Fprintln(os.Stderr, "usage: withservers -- command [argument…]")
		os.Exit(exitUsage)
	}
	code, err := run(args)
	if err != nil {
		fmt.Fprintln(os.Stderr, "withservers:", err)
	}
	os.Exit(code)
}

func run(args []string) (code int, err error) {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
	defer signal.Stop(signals)

	directory, err := instance.NewDirectory()
	if err != nil {
		return exitFailure, err
	}
	defer func() {
		if removeErr := directory.Remove(); removeErr != nil {
			code, err = max(code, exitFailure), errors.Join(err, removeErr)
		}
	}()
	servers := servers{dir: directory.Path}
	defer func() {
		if stopErr := servers.stop(); stopErr != nil {
			code, err = max(code, exitFailure), errors.Join(err, stopErr)
		}
	}()
	if err := servers.startUnless(signals); err != nil {
		return exitFailure, err
	}
	env := append(os.Environ(), instance.RunDirectoryVariable+"="+directory.Path)
	return runCommand(signals, args, append(env, servers.env...))
}

// runCommand runs the command in the foreground and passes signals on to it.
func runCommand(signals <-chan os.Signal, args, env []string) (int, error) {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = env, os.Stdin, os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		return exitNotFound, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case sig := <-signals:
			if err := cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
				return exitFailure, errors.Join(err, cmd.Process.Kill(), <-ended)
			}
		case err := <-ended:
			return exitCode(cmd, err)
		}
	}
}

func exitCode(cmd *exec.Cmd, err error) (int, error) {
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return exitFailure, err
	}
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return exitSignal + int(status.Signal()), nil
	}
	return cmd.ProcessState.ExitCode(), nil
}
