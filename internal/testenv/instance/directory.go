package instance

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	directoryPrefix = "ackbox-testenv-run-"
	ownerLock       = "owner.lock"
	// orphanAge keeps the sweep away from a directory whose owner has made it and not yet locked it.
	orphanAge = time.Minute
)

// Directory is a temporary directory with an owner: while its process lives the directory is kept, and what a killed
// process left behind is removed by the next one.
type Directory struct {
	Path string
	lock *os.File
}

// NewDirectory makes an empty directory and removes those whose owners are dead.
func NewDirectory() (*Directory, error) {
	if err := removeOrphans(); err != nil {
		return nil, err
	}
	path, err := os.MkdirTemp("", directoryPrefix)
	if err != nil {
		return nil, fmt.Errorf("make a directory for test servers: %w", err)
	}
	lock, err := tryLock(filepath.Join(path, ownerLock))
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(path))
	}
	return &Directory{Path: path, lock: lock}, nil
}

// Remove deletes the directory with all that is in it. Whoever writes there must have ended.
func (d *Directory) Remove() error {
	err := os.RemoveAll(d.Path)
	return errors.Join(err, d.lock.Close())
}

func removeOrphans() error {
	entries, err := os.ReadDir(os.TempDir())
	if err != nil {
		return fmt.Errorf("look for left test directories: %w", err)
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil || !entry.IsDir() || !strings.HasPrefix(entry.Name(), directoryPrefix) || time.Since(info.ModTime()) < orphanAge {
			continue // an error here: someone else has just removed it
		}
		path := filepath.Join(os.TempDir(), entry.Name())
		lock, err := tryLock(filepath.Join(path, ownerLock))
		if err != nil {
			continue // its owner lives, it belongs to another user, or it is gone by now
		}
		if err := errors.Join(os.RemoveAll(path), lock.Close()); err != nil {
			return fmt.Errorf("remove the left test directory %s: %w", path, err)
		}
	}
	return nil
}
