package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ackbox/config"
	"ackbox/model"
)

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// reserve commits how far ids are reserved, which is what these tests know a database by.
func reserve(t *testing.T, store *model.Store, until int64) {
	t.Helper()
	now := model.MillisOf(time.Now())
	_, _, err := store.AcquireLease(t.Context(), 0, "holder", "here", now, -time.Millisecond, func(int64) int64 { return until })
	ok(t, err)
}

func reserved(t *testing.T, c *config.Config) (until int64) {
	t.Helper()
	ok(t, withStore(t.Context(), c, func(store *model.Store) (err error) {
		until, err = store.IDsReserved(t.Context())
		return err
	}))
	return until
}

func copyTo(t *testing.T, from, to string) {
	t.Helper()
	content, err := os.ReadFile(from)
	ok(t, err)
	ok(t, os.WriteFile(to, content, 0o600))
}

// broken is the data folder of a server that was killed: reserved until 7000 in the log alone, and a database that
// can be read but not written while a folder is in the place of -shm. Another folder is a backup, reserved until 1000.
func broken(t *testing.T) (c *config.Config, backup string) {
	t.Helper()
	c = &config.Config{DataDir: t.TempDir()}
	alive := &config.Config{DataDir: t.TempDir()}
	backup = filepath.Join(t.TempDir(), "backup")
	ok(t, withStore(t.Context(), alive, func(store *model.Store) error {
		ok(t, store.Migrate(t.Context()))
		_, err := store.Installation(t.Context(), "here")
		ok(t, err)
		reserve(t, store, 1000)
		return nil
	}))
	ok(t, os.MkdirAll(filepath.Join(alive.DataDir, filesName, "a"), 0o700))
	for name, content := range map[string]string{"files/a/1": "one", "files/a/2.part": "half", secretName: "secret"} {
		ok(t, os.WriteFile(filepath.Join(alive.DataDir, name), []byte(content), 0o600))
	}
	ok(t, backupCommand{To: backup}.Run(t.Context(), alive, io.Discard))
	ok(t, withStore(t.Context(), alive, func(store *model.Store) error {
		reserve(t, store, 7000)
		for _, part := range []string{"", "-wal"} {
			copyTo(t, sqlitePath(alive)+part, sqlitePath(c)+part)
		}
		return nil
	}))
	ok(t, os.Mkdir(sqlitePath(c)+"-shm", 0o700))
	return c, backup
}

func names(t *testing.T, folder string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(folder)
	ok(t, err)
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

// TestFailedRestore: wherever it fails, the present database has all that was committed, also what is in its log alone.
func TestFailedRestore(t *testing.T) {
	t.Parallel()
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	for name, failure := range map[string]struct {
		ctx   context.Context
		spoil func(t *testing.T, c *config.Config, backup string)
		step  func(c *config.Config) error // instead of the whole
	}{
		"interrupted": {ctx: canceled},
		"no backup": {spoil: func(t *testing.T, _ *config.Config, backup string) {
			ok(t, os.Remove(filepath.Join(backup, databaseName)))
		}},
		"half a backup": {spoil: func(t *testing.T, _ *config.Config, backup string) {
			ok(t, os.Truncate(filepath.Join(backup, databaseName), 64<<10))
		}},
		"a page of the backup is broken": {spoil: func(t *testing.T, _ *config.Config, backup string) {
			path := filepath.Join(backup, databaseName)
			content, err := os.ReadFile(path)
			ok(t, err)
			ok(t, os.WriteFile(path, append(content[:len(content)-2048], bytes.Repeat([]byte{255}, 2048)...), 0o600))
		}},
		"a database of another program": {spoil: func(t *testing.T, _ *config.Config, backup string) {
			empty := &config.Config{DataDir: t.TempDir()}
			ok(t, withStore(t.Context(), empty, func(store *model.Store) error { return store.Migrate(t.Context()) }))
			copyTo(t, sqlitePath(empty), filepath.Join(backup, databaseName))
		}},
		"the files": {spoil: func(t *testing.T, c *config.Config, _ string) {
			ok(t, os.WriteFile(filepath.Join(c.DataDir, filesName), nil, 0o600))
		}},
		"the present one is half kept": {step: func(c *config.Config) error {
			kept := sqlitePath(c) + ".kept"
			return errors.Join(os.Mkdir(kept, 0o700), replaceDatabase(sqlitePath(c)+".next", sqlitePath(c), kept))
		}},
		"the last step": {step: func(c *config.Config) error {
			return replaceDatabase(sqlitePath(c)+".next", sqlitePath(c), sqlitePath(c)+".kept")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, backup := broken(t)
			ctx := failure.ctx
			if ctx == nil {
				ctx = t.Context()
			}
			if failure.spoil != nil {
				failure.spoil(t, c, backup)
			}
			if failure.step == nil {
				failure.step = func(c *config.Config) error { return restoreCommand{From: backup}.Run(ctx, c, io.Discard) }
			}
			if err := failure.step(c); err == nil {
				t.Error("nothing failed")
			}
			ok(t, os.Remove(sqlitePath(c)+"-shm"))
			if until := reserved(t, c); until != 7000 {
				t.Errorf("ids are reserved until %d: the log was lost", until)
			}
			if left := names(t, c.DataDir); slices.Contains(left, "restore.part") {
				t.Errorf("left over: %v", left)
			}
		})
	}
}

// TestRestoreKeepsTheLog: what was there has its log, and what is there now has none but its own, each time.
func TestRestoreKeepsTheLog(t *testing.T) {
	t.Parallel()
	c, backup := broken(t)
	var out strings.Builder
	ok(t, restoreCommand{From: backup}.Run(t.Context(), c, &out))
	_, kept, _ := strings.Cut(strings.TrimSpace(out.String()), "what was there is ")
	if log, err := os.Stat(kept + "-wal"); err != nil || log.Size() == 0 {
		t.Errorf("the log is not beside what was kept: %v", err)
	}
	first := reserved(t, c)
	if first <= 7000 {
		t.Errorf("ids go on above %d: it is not marked as restored", first)
	}
	// Somebody takes the database away, and leaves the log of another.
	ok(t, os.Remove(sqlitePath(c)))
	ok(t, os.Remove(kept+"-shm"))
	copyTo(t, kept+"-wal", sqlitePath(c)+"-wal")
	ok(t, restoreCommand{From: backup}.Run(t.Context(), c, io.Discard))
	if second := reserved(t, c); second < first {
		t.Errorf("ids go on above %d: the restored database has read another's log", second)
	}
	// What is there can be read: how far its ids are counts.
	far := first + (240 * time.Hour).Milliseconds()
	ok(t, withStore(t.Context(), c, func(store *model.Store) error { reserve(t, store, far); return nil }))
	ok(t, restoreCommand{From: backup}.Run(t.Context(), c, io.Discard))
	if third := reserved(t, c); third <= far {
		t.Errorf("ids go on above %d, and were reserved until %d", third, far)
	}
	for name, want := range map[string]string{"files/a/1": "one", secretName: "secret"} {
		if content, err := os.ReadFile(filepath.Join(c.DataDir, name)); err != nil || string(content) != want {
			t.Errorf("%s is %q, %v", name, content, err)
		}
	}
}

// TestRestoreAgain: a file that a killed restore has copied half is copied by the next.
func TestRestoreAgain(t *testing.T) {
	t.Parallel()
	from, to := t.TempDir(), t.TempDir()
	ok(t, os.WriteFile(filepath.Join(from, "1"), []byte("whole"), 0o600))
	ok(t, os.WriteFile(filepath.Join(to, "1.part"), []byte("half of another"), 0o600))
	for _, want := range []int{1, 0} {
		if count, err := copyTree(t.Context(), from, to); err != nil || count != want {
			t.Errorf("%d files, %v; want %d", count, err, want)
		}
	}
	if content, err := os.ReadFile(filepath.Join(to, "1")); err != nil || string(content) != "whole" {
		t.Errorf("got %q, %v", content, err)
	}
	// What cannot be read to its end has no name.
	if err := copyFile(from, filepath.Join(to, "2")); err == nil {
		t.Error("a folder was copied as a file")
	}
	if left := names(t, to); !slices.Equal(left, []string{"1"}) {
		t.Errorf("there are %v, want 1 alone", left)
	}
}

// TestInterruptedBackup: it never has the name of a backup, and is not taken for one.
func TestInterruptedBackup(t *testing.T) {
	t.Parallel()
	c, backup := broken(t)
	to := filepath.Join(t.TempDir(), "second")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := (backupCommand{To: to}).Run(ctx, c, io.Discard); err == nil {
		t.Error("it was not interrupted")
	}
	for _, path := range []string{to, to + partial} {
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is there: %v", path, err)
		}
	}
	if files := names(t, filepath.Join(backup, filesName, "a")); !slices.Equal(files, []string{"1"}) {
		t.Errorf("the backup has %v, want the file that is whole", files)
	}
	if err := (backupCommand{To: backup}).Run(t.Context(), c, io.Discard); err == nil {
		t.Error("a backup was overwritten")
	}
	ok(t, os.Rename(backup, backup+partial)) // as one that was killed
	if err := (restoreCommand{From: backup + partial}).Run(t.Context(), c, io.Discard); err == nil {
		t.Error("an interrupted backup was restored")
	}
	if err := (backupCommand{To: backup}).Run(t.Context(), c, io.Discard); err == nil {
		t.Error("one backup was written into another")
	}
}
