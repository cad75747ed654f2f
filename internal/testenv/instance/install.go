package instance

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// ErrMissing says that a server's program is not on this machine and could not be installed; the message has the hint.
var ErrMissing = errors.New("a program that the tests need is missing")

// systemDirs are searched after PATH: Debian puts servers where an ordinary user's PATH does not reach.
var systemDirs = []string{"/usr/sbin", "/usr/local/sbin", "/usr/bin", "/usr/local/bin", "/sbin"}

const packages = "mariadb-server redis-server"

// policyFile is what Debian's packages ask before they start a service; exit code 101 is "no".
const policyFile = "/usr/sbin/policy-rc.d"

// program returns the path of the first of names that exists, and installs Debian's packages when there is none, this is
// root and the machine has apt-get.
func program(ctx context.Context, names ...string) (string, error) {
	if path, ok := find(names); ok {
		return path, nil
	}
	if err := install(ctx, names, os.Getuid() == 0, policyFile); err != nil {
		return "", err
	}
	if path, ok := find(names); ok {
		return path, nil
	}
	return "", fmt.Errorf("%w: %v, also after installing %s", ErrMissing, names, packages)
}

func find(names []string) (string, bool) {
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path, true
		}
		for _, dir := range systemDirs {
			if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
				return path, true
			}
		}
	}
	return "", false
}

// install installs the packages if root may, policy being the path of Debian's policy for services.
func install(ctx context.Context, names []string, root bool, policy string) (err error) {
	apt, lookErr := exec.LookPath("apt-get")
	if lookErr != nil || !root {
		return fmt.Errorf("%w: %v\n  install them (Debian, Ubuntu: sudo apt-get install --no-install-recommends %s)\n"+
			"  or point ACKBOX_TEST_MYSQL_DSN and ACKBOX_TEST_REDIS_URL at servers that are running", ErrMissing, names, packages)
	}
	lock, err := Lock(filepath.Join(os.TempDir(), "ackbox-testenv-apt.lock"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	if _, ok := find(names); ok {
		return nil // another process has installed them while we waited for the lock
	}
	removePolicy, err := refuseServices(policy)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, removePolicy()) }()
	for _, args := range [][]string{
		{"update", "-q"},
		{"install", "-y", "-q", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=300", "mariadb-server", "redis-server"},
	} {
		cmd := exec.CommandContext(ctx, apt, args...)
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("%w: %v: apt-get %s: %w", ErrMissing, names, args[0], err)
		}
	}
	return nil
}

// refuseServices keeps the packages from starting their system services. A policy that is there already stays.
func refuseServices(policy string) (remove func() error, err error) {
	file, err := os.OpenFile(policy, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755) //nolint:gosec // a script that Debian's tools run
	if errors.Is(err, os.ErrExist) {
		return func() error { return nil }, nil
	}
	if err != nil {
		return nil, fmt.Errorf("keep services from starting: %w", err)
	}
	_, err = file.WriteString("#!/bin/sh\nexit 101\n")
	if err = errors.Join(err, file.Close()); err != nil {
		return nil, errors.Join(fmt.Errorf("keep services from starting: %w", err), os.Remove(policy))
	}
	return func() error { return os.Remove(policy) }, nil
}
