package trace

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// segment is a file of blocks. One is written to; the others are only read, and removed as a whole.
type segment struct {
	path string
	size int64
	last time.Time // of its last write: nothing in it is younger
}

const (
	segmentSuffix = ".trace"
	lockName      = "lock"
	// folders bounds how many processes can share a data folder.
	folders = 64
)

// take makes the first numbered folder below dir that no process has this one's. Segments of folders that nobody has
// any more come with it, so that they are found, counted and removed too.
func take(dir string) (folder string, held *os.File, err error) {
	for n := range folders {
		path := filepath.Join(dir, strconv.Itoa(n))
		if held == nil {
			if err := os.MkdirAll(path, 0o700); err != nil {
				return "", nil, fmt.Errorf("folder of the trace: %w", err)
			}
		} else if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			break
		}
		file, err := lock(filepath.Join(path, lockName))
		switch {
		case err != nil:
			return "", nil, errors.Join(err, closed(held))
		case file == nil:
		case held == nil:
			folder, held = path, file
		default:
			if err := errors.Join(adopt(path, folder), file.Close()); err != nil {
				return "", nil, errors.Join(err, closed(held))
			}
		}
	}
	if held == nil {
		return "", nil, fmt.Errorf("%d processes have the trace in %s", folders, dir)
	}
	return folder, held, nil
}

func closed(file *os.File) error {
	if file == nil {
		return nil
	}
	return file.Close()
}

// adopt moves the segments of a folder that no process has.
func adopt(from, to string) error {
	list, err := segments(from)
	if err != nil {
		return err
	}
	for _, s := range list {
		if err := os.Rename(s.path, filepath.Join(to, filepath.Base(s.path))); err != nil {
			return fmt.Errorf("take over a trace: %w", err)
		}
	}
	return nil
}

// segments lists a folder's, oldest first: their names begin with the time.
func segments(folder string) ([]segment, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, fmt.Errorf("folder of the trace: %w", err)
	}
	var list []segment
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), segmentSuffix) || !e.Type().IsRegular() {
			continue
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("segment of the trace: %w", err)
		}
		list = append(list, segment{path: filepath.Join(folder, e.Name()), size: info.Size(), last: info.ModTime()})
	}
	slices.SortFunc(list, func(a, b segment) int { return strings.Compare(a.path, b.path) })
	return list, nil
}

// segmentName is unique in a folder: a process names them by its clock, and a name that is taken is refused when the file is made.
func segmentName(now time.Time, process int64) string {
	return fmt.Sprintf("%016d-%016x%s", now.UnixMicro(), uint64(process), segmentSuffix)
}
