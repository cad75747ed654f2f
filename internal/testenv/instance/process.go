package instance

import (
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// ErrStopTimeout says that a process had to be killed because it did not end in time after SIGTERM.
var ErrStopTimeout = errors.New("process did not end in time and was killed")

// Process is a running child that cannot outlive this process.
type Process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when the child has been reaped
	err  error         // what Wait said; read it only after done
}

// StartProcess starts cmd in a process group of its own, so that a Ctrl-C in the terminal reaches us and not it.
//
// Linux sends the parent-death signal when the *thread* that forked ends, not the process. So one goroutine, locked to
// its thread, forks the child and waits for it: the thread lives exactly as long as the child, and ends with it.
func StartProcess(cmd *exec.Cmd) (*Process, error) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	dieWithParent(cmd.SysProcAttr)
	p := &Process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread must not go on to other work and end early
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		p.err = cmd.Wait()
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	return p, nil
}

// Pid is the child's process id; after Done it may belong to someone else.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Done is closed when the child has ended and been reaped.
func (p *Process) Done() <-chan struct{} { return p.done }

// Wait waits for the child's end and returns its exit error, nil for exit code 0.
func (p *Process) Wait() error {
	<-p.done
	return p.err
}

// Running says whether the child has not been reaped yet.
func (p *Process) Running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// Signal sends sig to the child; a child that has ended is an error (os.ErrProcessDone).
func (p *Process) Signal(sig syscall.Signal) error {
	if err := p.cmd.Process.Signal(sig); err != nil {
		return fmt.Errorf("signal %s to %s: %w", sig, p.cmd.Path, err)
	}
	return nil
}

// Kill sends SIGKILL and waits until the child is gone. A child that has ended already is fine.
func (p *Process) Kill() error {
	if !p.Running() {
		return nil
	}
	if err := p.Signal(syscall.SIGKILL); err != nil && p.Running() {
		return err
	}
	<-p.done
	return nil
}

// Terminate sends SIGTERM and waits at most patience; after that it kills and returns ErrStopTimeout.
// Otherwise it returns the child's exit error, nil for exit code 0.
func (p *Process) Terminate(patience time.Duration) error {
	if p.Running() {
		if err := p.Signal(syscall.SIGTERM); err != nil && p.Running() {
			return err
		}
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-p.done:
		return p.err
	case <-timer.C:
		return errors.Join(fmt.Errorf("%s, %s after SIGTERM: %w", p.cmd.Path, patience, ErrStopTimeout), p.Kill())
	}
}
