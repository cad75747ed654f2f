package instance

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// errLocked says that another process (or another open file of this one) holds the lock.
var errLocked = errors.New("locked by another process")

// tryLock locks the file at path, making it if need be. Closing the file, or the end of this process, unlocks it;
// children do not inherit it.
func tryLock(path string) (*os.File, error) { return flock(path, syscall.LOCK_EX|syscall.LOCK_NB) }

// Lock is tryLock that waits for its turn.
func Lock(path string) (*os.File, error) { return flock(path, syscall.LOCK_EX) }

func flock(path string, how int) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err = syscall.Flock(int(file.Fd()), how)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err == nil {
		return file, nil
	}
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = errLocked
	}
	return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), file.Close())
}
