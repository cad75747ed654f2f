package instance

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Redis is a Redis server that keeps nothing on disk, on a port of its own. One goroutine may use it at a time.
type Redis struct {
	dir     string
	port    *Port
	server  string // path of redis-server
	process *Process
	bus     *Port // the cluster's own, nil for a server that is in none
}

// StartRedis starts a server that works in dir.
func StartRedis(ctx context.Context, dir string) (*Redis, error) { return startRedis(ctx, dir, false) }

func startRedis(ctx context.Context, dir string, cluster bool) (*Redis, error) {
	server, err := program(ctx, "redis-server")
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("start Redis: %w", err)
	}
	r := &Redis{dir: dir, server: server}
	if r.port, err = ReservePort(); err != nil {
		return nil, err
	}
	if cluster {
		if r.bus, err = ReservePort(); err != nil {
			return nil, errors.Join(err, r.Close())
		}
	}
	if err := r.Start(ctx); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// Start starts the stopped or killed server again on the same port, empty, and returns when it answers.
func (r *Redis) Start(ctx context.Context) error {
	if r.process != nil && r.process.Running() {
		return errors.New("start Redis: it is running")
	}
	args := []string{
		"--bind", "127.0.0.1", "--port", strconv.Itoa(r.port.Number),
		"--dir", r.dir, "--logfile", r.logFile(), "--save", "", "--appendonly", "no", "--daemonize", "no",
	}
	if r.bus != nil {
		args = append(args, "--cluster-enabled", "yes", "--cluster-port", strconv.Itoa(r.bus.Number), "--cluster-config-file", "nodes.conf",
			"--cluster-node-timeout", strconv.Itoa(clusterTimeout), "--repl-diskless-sync-delay", "0")
	}
	process, err := StartProcess(exec.Command(r.server, args...))
	if err != nil {
		return err
	}
	r.process = process
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	if err := AwaitReady(ctx, process, r.logFile(), r.ping); err != nil {
		return errors.Join(fmt.Errorf("Redis on %s: %w", r.port.Addr(), err), process.Kill())
	}
	return nil
}

// URL is the server's redis:// URL, database 0.
func (r *Redis) URL() string { return "redis://" + r.port.Addr() + "/0" }

// Addr is the server's host:port.
func (r *Redis) Addr() string { return r.port.Addr() }

// Process is the server's process, for signals of one's own.
func (r *Redis) Process() *Process { return r.process }

// Kill ends the server with SIGKILL and waits until it is gone; what it held is lost.
func (r *Redis) Kill() error { return r.process.Kill() }

// Stop ends the server in order; what it held is lost too.
func (r *Redis) Stop() error { return r.process.Terminate(stopPatience) }

// Pause freezes the server: connections stay open and nothing is answered.
func (r *Redis) Pause() error { return r.process.Signal(syscall.SIGSTOP) }

// Resume lets a frozen server go on.
func (r *Redis) Resume() error { return r.process.Signal(syscall.SIGCONT) }

// Close kills the server and gives its port back; the directory stays.
func (r *Redis) Close() error {
	var err error
	if r.process != nil {
		err = r.process.Kill()
	}
	if r.bus != nil {
		err = errors.Join(err, r.bus.Release())
	}
	return errors.Join(err, r.port.Release())
}

func (r *Redis) logFile() string { return filepath.Join(r.dir, "redis.log") }

func (r *Redis) ping(ctx context.Context) error {
	answer, err := r.say(ctx, "PING")
	if err == nil && answer != "+PONG" {
		err = fmt.Errorf("answered %q to PING", answer)
	}
	return err
}

// say sends a command and gives the first line of its answer.
func (r *Redis) say(ctx context.Context, command string) (line string, err error) {
	dialer := net.Dialer{Timeout: 2 * time.Second}
	conn, err := dialer.DialContext(ctx, "tcp", r.port.Addr())
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	if err := conn.SetDeadline(time.Now().Add(2 * time.Second)); err != nil {
		return "", err
	}
	if _, err := conn.Write([]byte(command + "\r\n")); err != nil {
		return "", err
	}
	line, err = bufio.NewReader(conn).ReadString('\n')
	return strings.TrimSpace(line), err
}
