package chaos

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"ackbox/internal/testenv/instance"
)

const (
	// readyPatience covers migrations and a recovering database on a busy machine.
	readyPatience = 90 * time.Second
	// metricsPatience is for one read of a node's metrics.
	metricsPatience = 10 * time.Second
	// stopPatience is twice the 10 s in which a node promises to end.
	stopPatience = 20 * time.Second
)

// Node is one ackbox process, on a port that it keeps over its restarts. One goroutine may use it at a time.
type Node struct {
	Name string
	URL  string // http://127.0.0.1:port
	Ops  string // the same of its admin listener

	bin, dir, log string
	env           []string
	port, admin   *instance.Port
	process       *instance.Process
}

// newNode reserves a node's port and makes its folder; nothing runs yet.
func newNode(bin, dir, log, name string, settings []string) (*Node, error) {
	port, err := instance.ReservePort()
	if err != nil {
		return nil, err
	}
	admin, err := instance.ReservePort()
	if err != nil {
		return nil, errors.Join(err, port.Release())
	}
	n := &Node{Name: name, URL: "http://" + port.Addr(), Ops: "http://" + admin.Addr(), bin: bin, dir: dir, log: log, port: port, admin: admin}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, errors.Join(fmt.Errorf("folder of %s: %w", name, err), port.Release(), admin.Release())
	}
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "ACKBOX_") {
			n.env = append(n.env, variable)
		}
	}
	n.env = append(n.env, "ACKBOX_HTTP_ADDR="+port.Addr(), "ACKBOX_ADMIN_ADDR="+admin.Addr(), "ACKBOX_DATA_DIR="+filepath.Join(dir, "data"))
	n.env = append(n.env, settings...) // the last one of a name counts
	return n, nil
}

// Start starts the process and waits until /readyz answers 200.
func (n *Node) Start(ctx context.Context) error {
	// The child writes to the file itself: what it wrote before a kill is there.
	log, err := os.OpenFile(n.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("log of %s: %w", n.Name, err)
	}
	cmd := exec.Command(n.bin, "serve") //nolint:noctx // it outlives the start; Kill and Stop end it
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = n.dir, n.env, log, log
	process, err := instance.StartProcess(cmd)
	if err := errors.Join(err, log.Close()); err != nil {
		return err
	}
	n.process = process
	return n.AwaitReady(ctx)
}

// AwaitReady waits until /readyz answers 200: the node and its database are there.
func (n *Node) AwaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyPatience)
	defer cancel()
	if err := instance.AwaitReady(ctx, n.process, n.log, n.ready); err != nil {
		return fmt.Errorf("%s on %s: %w", n.Name, n.URL, err)
	}
	return nil
}

func (n *Node) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, n.URL+"/readyz", http.NoBody)
	if err != nil {
		return fmt.Errorf("readyz: %w", err)
	}
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("readyz: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		body, err := io.ReadAll(io.LimitReader(response.Body, 1024))
		return errors.Join(fmt.Errorf("readyz: %s: %s", response.Status, body), err)
	}
	return nil
}

// Collect makes the node collect its garbage, so that its heap says what it keeps.
func (n *Node) Collect(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, metricsPatience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, n.Ops+"/debug/pprof/heap?gc=1", http.NoBody)
	if err != nil {
		return fmt.Errorf("collect garbage: %w", err)
	}
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("collect garbage: %w", err)
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return fmt.Errorf("collect garbage of %s: %w", n.Name, err)
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("collect garbage of %s: %s", n.Name, response.Status)
	}
	return nil
}

// Command runs another command of the node's binary beside it, with its settings.
func (n *Node) Command(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, n.bin, args...)
	cmd.Dir, cmd.Env = n.dir, n.env
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w\n%s", n.Name, strings.Join(args, " "), err, out)
	}
	return nil
}

// Kill ends the process with SIGKILL and waits until it is gone.
func (n *Node) Kill() error { return n.process.Kill() }

// Stop sends SIGTERM and waits; a node that does not end in order within 20 s, or not with exit code 0, is an error.
func (n *Node) Stop() error {
	if err := n.process.Terminate(stopPatience); err != nil {
		return fmt.Errorf("stop %s: %w", n.Name, err)
	}
	return nil
}

// Freeze stops the process where it is: its connections and locks stay.
func (n *Node) Freeze() error { return n.process.Signal(syscall.SIGSTOP) }

// Thaw lets a frozen process go on.
func (n *Node) Thaw() error { return n.process.Signal(syscall.SIGCONT) }

func (n *Node) close() error {
	var err error
	if n.process != nil {
		err = n.process.Kill()
	}
	return errors.Join(err, n.port.Release(), n.admin.Release())
}
