package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
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

// partial ends the name of what is not there as a whole yet.
const partial = ".part"

// Run copies the database, the files and the secret, while the server runs. What was interrupted keeps another name.
func (b backupCommand) Run(ctx context.Context, c *config.Config, out io.Writer) (err error) {
	if c.MySQLDSN != "" {
		return errElsewhere
	}
	if _, err := os.Stat(sqlitePath(c)); err != nil {
		return fmt.Errorf("there is no database: %w", err)
	}
	if _, err := os.Lstat(b.To); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("backup: %w", errors.Join(err, fmt.Errorf("%s must not exist", b.To)))
	}
	part := b.To + partial
	if err := os.Mkdir(part, 0o700); err != nil {
		return fmt.Errorf("backup (an interrupted one has to be removed): %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(part))
		}
	}()
	// Before and after the database: a row without its bytes is bad, whether they came or went meanwhile. Bytes without a
	// row are harmless.
	here, there := filepath.Join(c.DataDir, filesName), filepath.Join(part, filesName)
	before, err := copyTree(ctx, here, there)
	if err != nil {
		return fmt.Errorf("copy the files: %w", err)
	}
	copied := filepath.Join(part, databaseName)
	if err := os.WriteFile(copied, nil, 0o600); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	if err := withStore(ctx, c, func(store *model.Store) error { return store.BackupTo(ctx, copied) }); err != nil {
		return err
	}
	after, err := copyTree(ctx, here, there)
	if err != nil {
		return fmt.Errorf("copy the files: %w", err)
	}
	if err := copySecret(c.DataDir, part); err != nil {
		return err
	}
	if err := errors.Join(syncPath(copied), syncPath(part)); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	if err := os.Rename(part, b.To); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	if err := syncPath(filepath.Dir(b.To)); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	fmt.Fprintf(out, "%s has the database and %d files\n", b.To, before+after)
	return nil
}

// Run puts a backup in the place of the database, which is kept beside it. The server must have stopped. Everything is
// prepared in a folder of its own first: until the last step, what is there stays in use.
func (r restoreCommand) Run(ctx context.Context, c *config.Config, out io.Writer) (err error) {
	if c.MySQLDSN != "" {
		return errElsewhere
	}
	from, here := filepath.Join(r.From, databaseName), sqlitePath(c)
	if info, err := os.Stat(from); err != nil || info.Size() == 0 {
		return fmt.Errorf("%s is no backup of ackbox: %w", r.From, errors.Join(err, errors.New("no database in it")))
	}
	if strings.HasSuffix(filepath.Clean(r.From), partial) {
		return fmt.Errorf("%s is a backup that was interrupted", r.From)
	}
	if err := os.MkdirAll(c.DataDir, 0o750); err != nil {
		return fmt.Errorf("data folder: %w", err)
	}
	if _, err := retire(ctx, here); err != nil {
		return err
	}
	next := *c
	next.DataDir = filepath.Join(c.DataDir, "restore"+partial)
	if err := errors.Join(os.RemoveAll(next.DataDir), os.Mkdir(next.DataDir, 0o700)); err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(next.DataDir)) }()
	if err := copyFile(from, sqlitePath(&next)); err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	if err := withStore(ctx, &next, func(store *model.Store) error { return store.Check(ctx) }); err != nil {
		return fmt.Errorf("%s: %w", r.From, err)
	}
	files, err := copyTree(ctx, filepath.Join(r.From, filesName), filepath.Join(c.DataDir, filesName))
	if err != nil {
		return fmt.Errorf("copy the files: %w", err)
	}
	if err := copySecret(r.From, c.DataDir); err != nil {
		return err
	}
	above, err := retire(ctx, here) // again: a server may have come and gone
	if err != nil {
		return err
	}
	if err := withStore(ctx, &next, func(store *model.Store) error { return markRestored(ctx, store, above) }); err != nil {
		return err
	}
	if _, err := model.RetireSQLite(ctx, sqlitePath(&next)); err != nil { // all of it is in its one file
		return fmt.Errorf("restore: %w", err)
	}
	kept := here + ".before-" + time.Now().UTC().Format("20060102T150405.000")
	if err := replaceDatabase(sqlitePath(&next), here, kept); err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	if err := syncPath(c.DataDir); err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	fmt.Fprintf(out, "restored, with %d files that were missing\n", files)
	if _, err := os.Stat(kept); err == nil {
		fmt.Fprintf(out, "what was there is %s\n", kept)
	}
	return nil
}

// retire makes sure that nobody uses a database, and answers how far its ids are reserved: 0 of one that is not there or
// cannot be read.
func retire(ctx context.Context, path string) (above int64, err error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return 0, ctx.Err() //nolint:wrapcheck // says it all
	}
	above, err = model.RetireSQLite(ctx, path)
	switch {
	case ctx.Err() != nil:
		return 0, ctx.Err() //nolint:wrapcheck // says it all
	case errors.Is(err, model.ErrInUse):
		return 0, errors.New("a server uses the database: stop it first")
	case err != nil:
		return 0, nil //nolint:nilerr // which is why it is being restored
	}
	return above, nil
}

// replaceDatabase puts a database that is one file in the place of another, which is kept. After an error that one is back.
func replaceDatabase(next, here, kept string) error {
	if err := moveDatabase(here, kept); err != nil {
		return err
	}
	if err := os.Rename(next, here); err != nil {
		return errors.Join(err, moveDatabase(kept, here))
	}
	return nil
}

// moveDatabase gives a database another name, with its logs: committed rows may be nowhere else, and another database
// would take them for its own. A part that is not there is left out. After an error all have their names again.
func moveDatabase(from, to string) error {
	parts := []string{"-wal", "-shm", "-journal", ""}
	for i, part := range parts {
		err := rename(from+part, to+part)
		if err == nil {
			continue
		}
		for _, moved := range parts[:i] {
			err = errors.Join(err, rename(to+moved, from+moved))
		}
		return err
	}
	return nil
}

// rename renames a file that may not be there.
func rename(from, to string) error {
	if err := os.Rename(from, to); !errors.Is(err, fs.ErrNotExist) {
		return err //nolint:wrapcheck // names the files
	}
	return nil
}

// copyTree copies the files that are not there yet, durably, and answers how many. What is not whole yet, or removed
// meanwhile, is left out.
func copyTree(ctx context.Context, from, to string) (count int, err error) {
	var folders []string
	err = filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err := errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		inner, err := filepath.Rel(from, path)
		if err != nil {
			return err //nolint:wrapcheck // cannot be
		}
		target := filepath.Join(to, inner)
		if entry.IsDir() {
			folders = append(folders, target)
			return os.MkdirAll(target, 0o700) //nolint:wrapcheck // names the folder
		}
		if strings.HasSuffix(path, partial) {
			return nil
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
	for _, folder := range folders {
		if err == nil {
			err = syncPath(folder)
		}
	}
	return count, err //nolint:wrapcheck // the caller names it
}

// copySecret copies the generated secret, if there is one and none in its place.
func copySecret(from, to string) error {
	err := copyFile(filepath.Join(from, secretName), filepath.Join(to, secretName))
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("copy the secret: %w", err)
	}
	return nil
}

// copyFile copies a file to a place where none is, whole or not at all.
func copyFile(from, to string) (err error) {
	if _, err := os.Lstat(to); err == nil {
		return fmt.Errorf("%s: %w", to, fs.ErrExist)
	}
	in, err := os.Open(filepath.Clean(from))
	if err != nil {
		return err //nolint:wrapcheck // names the file
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	out, err := os.OpenFile(filepath.Clean(to+partial), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err //nolint:wrapcheck // names the file
	}
	_, err = io.Copy(out, in)
	if err = errors.Join(err, out.Sync(), out.Close()); err != nil {
		return errors.Join(err, os.Remove(to+partial))
	}
	return os.Rename(to+partial, to) //nolint:wrapcheck // names the files
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
