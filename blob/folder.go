// Package blob keeps the contents of files: in a folder of this machine, or in an S3-compatible store.
package blob

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// partial ends the name of a file that is not there as a whole yet.
const partial = ".part"

// Folder keeps each content in a file of its own, two folders deep. It belongs to one node.
type Folder struct{ root string }

// NewFolder makes the folder when it is not there.
func NewFolder(root string) (*Folder, error) {
	if err := os.MkdirAll(root, 0o750); err != nil {
		return nil, fmt.Errorf("folder of files: %w", err)
	}
	return &Folder{root}, nil
}

// path is where a key's content is. Keys are digits: nothing of what users say gets here.
func (f *Folder) path(key string) (string, error) {
	if key == "" || len(key) > 64 {
		return "", fmt.Errorf("%q is no key of a file", key)
	}
	for i := range len(key) {
		if key[i] < '0' || key[i] > '9' {
			return "", fmt.Errorf("%q is no key of a file", key)
		}
	}
	sum := fnv.New32a()
	fmt.Fprint(sum, key)
	fan := sum.Sum32()
	return filepath.Join(f.root, fmt.Sprintf("%02x", fan>>8&0xff), fmt.Sprintf("%02x", fan&0xff), key), nil
}

// Put stores content under another name, and gives it its own when it is on disk as a whole.
func (f *Folder) Put(ctx context.Context, key string, content io.Reader, size int64) error {
	path, err := f.path(key)
	if err != nil {
		return err
	}
	if err := f.makeFolders(filepath.Dir(path)); err != nil {
		return err
	}
	file, err := os.OpenFile(path+partial, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("store file: %w", err)
	}
	n, err := io.Copy(file, io.LimitReader(content, size))
	if err == nil && n != size {
		err = fmt.Errorf("%d bytes of %d: %w", n, size, io.ErrUnexpectedEOF)
	}
	if err == nil {
		err = ctx.Err()
	}
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("store file: %w", err)
	}
	if err := os.Rename(path+partial, path); err != nil {
		return fmt.Errorf("store file: %w", err)
	}
	return syncFolder(filepath.Dir(path))
}

// makeFolders makes the two folders of a path, durably.
func (f *Folder) makeFolders(inner string) error {
	for _, folder := range []string{filepath.Dir(inner), inner} {
		err := os.Mkdir(folder, 0o750)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("folder of files: %w", err)
		}
		if err := syncFolder(filepath.Dir(folder)); err != nil {
			return err
		}
	}
	return nil
}

// syncFolder makes the names in a folder durable.
func syncFolder(path string) error {
	folder, err := os.Open(filepath.Clean(path))
	if err != nil {
		return fmt.Errorf("folder of files: %w", err)
	}
	if err := errors.Join(folder.Sync(), folder.Close()); err != nil {
		return fmt.Errorf("folder of files: %w", err)
	}
	return nil
}

// Open reads a content; fs.ErrNotExist, also when it has another size.
func (f *Folder) Open(_ context.Context, key string, size int64) (io.ReadSeekCloser, error) {
	path, err := f.path(key)
	if err != nil {
		return nil, err
	}
	file, err := os.Open(filepath.Clean(path))
	if err != nil {
		return nil, fmt.Errorf("open file: %w", err)
	}
	info, err := file.Stat()
	if err == nil && info.Size() != size {
		err = fmt.Errorf("%d bytes of %d: %w", info.Size(), size, fs.ErrNotExist)
	}
	if err != nil {
		return nil, fmt.Errorf("open file: %w", errors.Join(err, file.Close()))
	}
	return file, nil
}

// Remove removes a content and what a broken-off Put has left of it.
func (f *Folder) Remove(_ context.Context, key string) error {
	path, err := f.path(key)
	if err != nil {
		return err
	}
	for _, name := range []string{path, path + partial} {
		if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove file: %w", err)
		}
	}
	return nil
}
