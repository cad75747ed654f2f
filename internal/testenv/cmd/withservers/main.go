// Command withservers runs another command with a MariaDB and a Redis of its own:
//
//	withservers -- go test -race ./...
//
// A server whose variable (ACKBOX_TEST_MYSQL_DSN, ACKBOX_TEST_REDIS_URL) is set already is not started. Signals go on to
// the command, whose exit code becomes this one's; then everything that was started is stopped and removed.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
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
	env := append(os.Environ(), "ACKBOX_TEST_RUN_DIR="+directory.Path)

	started, stop, err := startServers(signals, directory.Path)
	defer func() {
		if stopErr := stop(); stopErr != nil {
			code, err = max(code, exitFailure), errors.Join(err, stopErr)
		}
	}()
	if err != nil {
		return exitFailure, err
	}
	return runCommand(signals, args, append(env, started...))
}

// startServers starts what the environment does not already name and returns the variables to add. stop is never nil.
// A signal ends the start.
func startServers(signals <-chan os.Signal, dir string) (env []string, stop func() error, err error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	var closers []func() error
	stop = func() error {
		var err error
		for _, closer := range closers {
			err = errors.Join(err, closer())
		}
		return err
	}
	go func() {
		defer close(done)
		if os.Getenv("ACKBOX_TEST_MYSQL_DSN") == "" {
			var server *instance.MariaDB
			if server, err = instance.StartMariaDB(ctx, filepath.Join(dir, "mariadb")); err != nil {
				return
			}
			closers = append(closers, server.Close)
			env = append(env, "ACKBOX_TEST_MYSQL_DSN="+server.DSN(""))
		}
		if os.Getenv("ACKBOX_TEST_REDIS_URL") == "" {
			var server *instance.Redis
			if server, err = instance.StartRedis(ctx, filepath.Join(dir, "redis")); err != nil {
				return
			}
			closers = append(closers, server.Close)
			env = append(env, "ACKBOX_TEST_REDIS_URL="+server.URL())
		}
	}()
	select {
	case <-done:
	case sig := <-signals:
		cancel()
		<-done
		err = errors.Join(fmt.Errorf("interrupted: %s", sig), err)
	}
	cancel()
	return env, stop, err
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
