package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"ackbox/config"
	"ackbox/model"
	"ackbox/service"
)

// What a backup's folder has, and the data folder too.
const (
	databaseName = "ackbox.db"
	secretName   = "jwt-secret"
	filesName    = "files"
)

type backupCommand struct {
	To string `required:"" type:"path" help:"Folder for the copy, which must not exist."`
}

type restoreCommand struct {
	From string `required:"" type:"path" help:"Folder that ackbox backup has made."`
}

type restoredCommand struct {
	Above int64 `help:"The highest ids_until of the table nodes before the restore, if it is known."`
}

// errElsewhere sends those with MySQL to the scripts.
var errElsewhere = errors.New("this is for SQLite; with MySQL use deploy/backup and deploy/restore")

// Run copies the database, then the files and the secret, while the server runs.
func (b backupCommand) Run(ctx context.Context, c *config.Config, out io.Writer) error {
	if c.MySQLDSN != "" {
		return errElsewhere
	}
	if _, err := os.Stat(sqlitePath(c)); err != nil {
		return fmt.Errorf("there is no database: %w", err)
	}
	if err := os.Mkdir(b.To, 0o700); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	copied := filepath.Join(b.To, databaseName)
	if err := os.WriteFile(copied, nil, 0o600); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	if err := withStore(ctx, c, func(store *model.Store) error { return store.BackupTo(ctx, copied) }); err != nil {
		return err
	}
	// After the database: bytes without a row are harmless, a row without its bytes is not.
	files, err := copyTree(filepath.Join(c.DataDir, filesName), filepath.Join(b.To, filesName))
	if err != nil {
		return fmt.Errorf("copy the files: %w", err)
	}
	if err := copyFile(filepath.Join(c.DataDir, secretName), filepath.Join(b.To, secretName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("copy the secret: %w", err)
	}
	if err := errors.Join(syncPath(copied), syncPath(b.To)); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	_, err = fmt.Fprintf(out, "%s has the database and %d files\n", b.To, files)
	return err //nolint:wrapcheck // nothing to add
}

// Run puts a backup in the place of the database, which is kept beside it. The server must have stopped.
func (r restoreCommand) Run(ctx context.Context, c *config.Config, out io.Writer) error {
	if c.MySQLDSN != "" {
		return errElsewhere
	}
	from, here := filepath.Join(r.From, databaseName), sqlitePath(c)
	if info, err := os.Stat(from); err != nil || info.Size() == 0 {
		return fmt.Errorf("%s is no backup of ackbox: %w", r.From, errors.Join(err, errors.New("no database in it")))
	}
	if err := os.MkdirAll(c.DataDir, 0o750); err != nil {
		return fmt.Errorf("data folder: %w", err)
	}
	var above int64
	kept := ""
	if _, err := os.Stat(here); err == nil {
		if above, err = retire(ctx, here); err != nil {
			return err
		}
		kept = here + ".before-" + time.Now().UTC().Format("20060102T150405.000")
		if err := os.Rename(here, kept); err != nil {
			return fmt.Errorf("keep the present database: %w", err)
		}
	}
	if err := putInPlace(from, here); err != nil {
		return errors.Join(fmt.Errorf("restore: %w", err), bringBack(kept, here))
	}
	if err := withStore(ctx, c, func(store *model.Store) error { return markRestored(ctx, store, above) }); err != nil {
		return errors.Join(err, os.Rename(here, here+".failed"), bringBack(kept, here))
	}
	files, err := copyTree(filepath.Join(r.From, filesName), filepath.Join(c.DataDir, filesName))
	if err != nil {
		return fmt.Errorf("copy the files: %w", err)
	}
	if err := copyFile(filepath.Join(r.From, secretName), filepath.Join(c.DataDir, secretName)); err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("copy the secret: %w", err)
	}
	_, err = fmt.Fprintf(out, "restored, with %d files that were missing\n", files)
	if err == nil && kept != "" {
		_, err = fmt.Fprintf(out, "what was there is %s\n", kept)
	}
	return err //nolint:wrapcheck // nothing to add
}

func bringBack(kept, here string) error {
	if kept == "" {
		return nil
	}
	return os.Rename(kept, here) //nolint:wrapcheck // joined to what went wrong
}

// retire makes sure that nobody uses a database, leaves no log beside it, and answers how far its ids are reserved. Of one
// that cannot be read, 0.
func retire(ctx context.Context, path string) (above int64, err error) {
	above, err = model.RetireSQLite(ctx, path)
	switch {
	case errors.Is(err, model.ErrInUse):
		return 0, errors.New("a server uses the database: stop it first")
	case err != nil: // broken: which is why it is being restored
		for _, suffix := range []string{"-wal", "-shm"} {
			if err := os.Rename(path+suffix, path+suffix+".before-restore"); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return 0, fmt.Errorf("keep the present database: %w", err)
			}
		}
		return 0, nil
	}
	return above, nil
}

// putInPlace copies a file to a place where none is, whole or not at all.
func putInPlace(from, to string) error {
	part := to + ".part"
	if err := os.Remove(part); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err //nolint:wrapcheck // names the file
	}
	if err := copyFile(from, part); err != nil {
		return err
	}
	if err := os.Rename(part, to); err != nil {
		return err //nolint:wrapcheck // names the files
	}
	return syncPath(filepath.Dir(to))
}

// copyTree copies the files that are not there yet, and answers how many. What is removed meanwhile is left out.
func copyTree(from, to string) (count int, err error) {
	err = filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		inner, err := filepath.Rel(from, path)
		if err != nil {
			return err //nolint:wrapcheck // cannot be
		}
		target := filepath.Join(to, inner)
		if entry.IsDir() {
			return os.MkdirAll(target, 0o700) //nolint:wrapcheck // names the folder
		}
		switch err := copyFile(path, target); {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrExist):
			return nil
		case err != nil:
			return err
		}
		count++
		return nil
	})
	return count, err //nolint:wrapcheck // the caller names it
}

// copyFile copies a file durably to a place where none is.
func copyFile(from, to string) (err error) {
	in, err := os.Open(filepath.Clean(from))
	if err != nil {
		return err //nolint:wrapcheck // names the file
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	out, err := os.OpenFile(filepath.Clean(to), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err //nolint:wrapcheck // names the file
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Sync(), out.Close())
}

func syncPath(path string) (err error) {
	file, err := os.Open(filepath.Clean(path))
	if err != nil {
		return err //nolint:wrapcheck // names the file
	}
	return errors.Join(file.Sync(), file.Close())
}

// Run marks a database that was restored by other means.
func (r restoredCommand) Run(ctx context.Context, c *config.Config, out io.Writer) error {
	return withStore(ctx, c, func(store *model.Store) error {
		if err := markRestored(ctx, store, r.Above); err != nil {
			return err
		}
		_, err := fmt.Fprintln(out, "the database is marked as restored")
		return err //nolint:wrapcheck // nothing to add
	})
}

func markRestored(ctx context.Context, store *model.Store, above int64) error {
	if err := store.Migrate(ctx); err != nil { // the backup of an older version
		return err
	}
	return service.MarkRestored(ctx, store, above, time.Now)
}
