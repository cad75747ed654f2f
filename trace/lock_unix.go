//go:build unix

package trace

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// lock takes a folder for this process, until the file is closed or the process ends. Nil: another has it.
func lock(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock of the trace: %w", err)
	}
	for {
		err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	switch {
	case err == nil:
		return file, nil
	case errors.Is(err, syscall.EWOULDBLOCK):
		return nil, file.Close() //nolint:nilnil // another has it
	}
	return nil, errors.Join(fmt.Errorf("lock of the trace: %w", err), file.Close())
}
