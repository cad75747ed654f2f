package instance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// Keep copies the server's data as they are at one moment, as a snapshot of its disk would, for PutBack. The server stands
// still meanwhile. stopped is called when it does: what has been answered by then is in the copy, and nothing later is.
// Linux only.
func (m *MariaDB) Keep(ctx context.Context, stopped func()) (err error) {
	if err := errors.Join(os.RemoveAll(m.copyDir()), m.process.Signal(syscall.SIGSTOP)); err != nil {
		return fmt.Errorf("copy MariaDB's data: %w", err)
	}
	defer func() { err = errors.Join(err, m.process.Signal(syscall.SIGCONT)) }()
	if err := m.awaitStopped(ctx); err != nil {
		return err
	}
	stopped()
	if out, err := exec.CommandContext(ctx, "cp", "-a", m.dataDir(), m.copyDir()).CombinedOutput(); err != nil {
		return fmt.Errorf("copy MariaDB's data: %w\n%s", err, out)
	}
	return nil
}

// PutBack replaces the data of a server that was killed by the copy that Keep has made, once.
func (m *MariaDB) PutBack() error {
	if m.process.Running() {
		return errors.New("put MariaDB's data back: it is running")
	}
	if err := errors.Join(os.RemoveAll(m.dataDir()), os.Rename(m.copyDir(), m.dataDir())); err != nil {
		return fmt.Errorf("put MariaDB's data back: %w", err)
	}
	return nil
}

// awaitStopped waits until no thread of the server runs, nor waits for a write: the signal is only on its way when it has
// been sent.
func (m *MariaDB) awaitStopped(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	for {
		stats, err := filepath.Glob("/proc/" + strconv.Itoa(m.process.Pid()) + "/task/*/stat")
		if err != nil || len(stats) == 0 {
			return errors.Join(errors.New("the threads of MariaDB cannot be seen"), err)
		}
		stands := true
		for _, path := range stats {
			stat, err := os.ReadFile(path)
			if os.IsNotExist(err) || errors.Is(err, syscall.ESRCH) { // it has ended
				continue
			}
			if err != nil {
				return fmt.Errorf("the threads of MariaDB: %w", err)
			}
			// "pid (name) state …", where the name may have anything in it.
			after := stat[bytes.LastIndexByte(stat, ')')+1:]
			stands = stands && bytes.HasPrefix(after, []byte(" T"))
		}
		if stands {
			return nil
		}
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("MariaDB does not stand still: %w", ctx.Err())
		}
	}
}

func (m *MariaDB) copyDir() string { return filepath.Join(m.dir, "copy") }
