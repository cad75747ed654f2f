package testenv

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
	"testing"
	"time"

	"ackbox/internal/testenv/instance"
)

const (
	// readyPatience covers migrations on a busy machine with the race detector on.
	readyPatience = 60 * time.Second
	// terminatePatience is twice the 10 s in which a server promises to end.
	terminatePatience = 20 * time.Second
	// shownOutput is how much of a failed test's server log is printed, in bytes from its end.
	shownOutput = 32 << 10
)

// CheapPasswords is the setting of a server whose hashes of passwords cost as good as nothing: tests make thousands of accounts,
// and under the race detector each would cost some 60 ms.
const CheapPasswords = "ACKBOX_PASSWORD_MEMORY_KIB=64"

// Server is a real ackbox process. It ends with the test, which fails if the process reported a data race. One goroutine
// may use it at a time.
type Server struct {
	URL   string // http://127.0.0.1:port
	WSURL string // ws://127.0.0.1:port

	tb      testing.TB
	bin     string
	env     []string
	dir     string
	process *instance.Process
}

// StartServer runs `bin serve` with the settings env (NAME=value each; no ACKBOX_ variable of this process reaches it) and
// waits until /readyz answers 200. It listens on a free loopback port, and keeps its data in a fresh directory unless env
// has ACKBOX_DATA_DIR. Its working directory is empty.
func StartServer(tb testing.TB, bin string, env ...string) *Server {
	tb.Helper()
	server := newServer(tb, bin, env)
	server.Restart()
	return server
}

func newServer(tb testing.TB, bin string, env []string) *Server {
	tb.Helper()
	absolute, err := filepath.Abs(bin)
	must(tb, err)
	addr := Addr(tb)
	s := &Server{URL: "http://" + addr, WSURL: "ws://" + addr, tb: tb, bin: absolute, dir: directory(tb)}
	must(tb, os.Mkdir(s.workDir(), 0o700))
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "ACKBOX_") {
			s.env = append(s.env, variable)
		}
	}
	s.env = append(s.env, "ACKBOX_HTTP_ADDR="+addr, "ACKBOX_DATA_DIR="+filepath.Join(s.dir, "data"), CheapPasswords)
	s.env = append(s.env, env...) // the last one of a name counts
	tb.Cleanup(s.end)
	return s
}

// Dir is the data folder that it has unless env names another.
func (s *Server) Dir() string { return filepath.Join(s.dir, "data") }

// Pid is the process id of the running server.
func (s *Server) Pid() int { return s.process.Pid() }

// Done is closed when the server that runs now has ended.
func (s *Server) Done() <-chan struct{} { return s.process.Done() }

// Signal sends the server sig, for instance SIGSTOP.
func (s *Server) Signal(sig syscall.Signal) {
	s.tb.Helper()
	must(s.tb, s.process.Signal(sig))
}

// Kill ends the server with SIGKILL and waits until it is gone.
func (s *Server) Kill() {
	s.tb.Helper()
	must(s.tb, s.process.Kill())
}

// Terminate sends SIGTERM and returns the exit error, nil for exit code 0. A server that has not ended after 20 s is
// killed, and that is an error too.
func (s *Server) Terminate() error { return s.process.Terminate(terminatePatience) }

// Restart starts the server again with the same settings, port and data, and waits until it is ready. One that still
// runs is killed first.
func (s *Server) Restart() {
	s.tb.Helper()
	if s.process != nil {
		s.Kill()
	}
	// The child writes to the file itself: no copying goroutine, and what it wrote before a kill is there.
	log, err := os.OpenFile(s.logFile(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	must(s.tb, err)
	cmd := exec.Command(s.bin, "serve")
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = s.workDir(), s.env, log, log
	process, err := instance.StartProcess(cmd)
	must(s.tb, errors.Join(err, log.Close()))
	s.process = process
	ctx, cancel := context.WithTimeout(s.tb.Context(), readyPatience)
	defer cancel()
	if err := instance.AwaitReady(ctx, process, s.logFile(), s.ready); err != nil {
		s.tb.Fatalf("%s serve on %s: %v", s.bin, s.URL, err)
	}
}

// Output is all that the server has written to stdout and stderr, restarts included.
func (s *Server) Output() string {
	s.tb.Helper()
	text, err := os.ReadFile(s.logFile())
	if errors.Is(err, os.ErrNotExist) {
		return ""
	}
	must(s.tb, err)
	return string(text)
}

func (s *Server) workDir() string { return filepath.Join(s.dir, "work") }
func (s *Server) logFile() string { return filepath.Join(s.dir, "server.log") }

func (s *Server) ready(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/readyz", http.NoBody)
	if err != nil {
		return err
	}
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, response.Body.Close()) }()
	body, err := io.ReadAll(io.LimitReader(response.Body, 4096))
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("/readyz: %s: %s", response.Status, body)
	}
	return nil
}

// end kills the server when its test is over.
func (s *Server) end() {
	if s.process != nil {
		if err := s.process.Kill(); err != nil {
			s.tb.Error(err)
		}
	}
	output := s.Output()
	if strings.Contains(output, "WARNING: DATA RACE") {
		s.tb.Error("the server reported a data race")
	}
	if s.tb.Failed() {
		if len(output) > shownOutput {
			output = "…" + output[len(output)-shownOutput:]
		}
		s.tb.Logf("output of the server on %s:\n%s", s.URL, output)
	}
}
