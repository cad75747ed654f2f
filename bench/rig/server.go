package rig

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"ackbox/internal/testenv/instance"
)

const (
	readyPatience = 60 * time.Second
	stopPatience  = 20 * time.Second // twice what the server promises
)

// Server is a measured process, on two reserved loopback ports.
type Server struct {
	bin, dir, log string
	env           []string
	public, admin *instance.Port
	process       *instance.Process
}

// StartServer starts the binary with its data under dir, appending its output to log, and waits until it is ready. Of the
// environment it gets nothing that begins with ACKBOX_; settings (NAME=value) are added to those of a measurement, and win.
func StartServer(ctx context.Context, bin, dir, log string, settings []string) (_ *Server, err error) {
	s := &Server{bin: bin, dir: dir, log: log}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if s.public, err = instance.ReservePort(); err != nil {
		return nil, err
	}
	if s.admin, err = instance.ReservePort(); err != nil {
		return nil, err
	}
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "ACKBOX_") {
			s.env = append(s.env, variable)
		}
	}
	s.env = append(s.env, "ACKBOX_HTTP_ADDR="+s.public.Addr(), "ACKBOX_ADMIN_ADDR="+s.admin.Addr(), "ACKBOX_DATA_DIR="+filepath.Join(dir, "data"),
		"ACKBOX_RATE_LIMIT=off", "ACKBOX_LOG_LEVEL=warn", "ACKBOX_PASSWORD_MEMORY_KIB=64", "ACKBOX_JWT_SECRET="+rand.Text()+rand.Text())
	s.env = append(s.env, settings...) // the last one of a name counts
	if err := os.Remove(log); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	if err := s.start(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// URL is where clients find it.
func (s *Server) URL() string { return "http://" + s.public.Addr() }

// AdminURL is where its metrics and profiles are.
func (s *Server) AdminURL() string { return "http://" + s.admin.Addr() }

// PID is its process id.
func (s *Server) PID() int { return s.process.Pid() }

func (s *Server) start(ctx context.Context) error {
	log, err := os.OpenFile(s.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	cmd := exec.Command(s.bin, "serve") //nolint:noctx // it outlives the start; stop ends it
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = s.dir, s.env, log, log
	process, err := instance.StartProcess(cmd)
	if err := errors.Join(err, log.Close()); err != nil {
		return err
	}
	s.process = process
	ctx, cancel := context.WithTimeout(ctx, readyPatience)
	defer cancel()
	return instance.AwaitReady(ctx, process, s.log, func(ctx context.Context) error {
		return s.get(ctx, s.URL()+"/readyz", io.Discard)
	})
}

// Restart stops the process in order and starts it again, on the same ports and data.
func (s *Server) Restart(ctx context.Context) error {
	if err := s.stop(); err != nil {
		return err
	}
	return s.start(ctx)
}

// stop ends the process in order.
func (s *Server) stop() error {
	if s.process == nil {
		return nil
	}
	process := s.process
	s.process = nil
	if err := process.Terminate(stopPatience); err != nil {
		return fmt.Errorf("stop the server (its log is %s): %w", s.log, err)
	}
	return nil
}

// Close stops the process and gives its ports back; what it wrote stays.
func (s *Server) Close() error {
	err := s.stop()
	for _, port := range []*instance.Port{s.public, s.admin} {
		if port != nil {
			err = errors.Join(err, port.Release())
		}
	}
	return err
}

// Profile writes a CPU profile of so many seconds to a file.
func (s *Server) Profile(ctx context.Context, seconds int, path string) (err error) {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return s.get(ctx, fmt.Sprintf("%s/debug/pprof/profile?seconds=%d", s.AdminURL(), seconds), file)
}

func (s *Server) get(ctx context.Context, url string, into io.Writer) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	request.Close = true // it is asked rarely
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, response.Status)
	}
	_, err = io.Copy(into, response.Body)
	return err
}
