package model

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"

	"github.com/glebarez/sqlite"
)

// ErrNoSQLite means that something is done only with SQLite, and here is another database.
var ErrNoSQLite = errors.New("only with SQLite")

// BackupTo writes a consistent copy of a SQLite database to a file, which must not exist or be empty, while others
// read and write. The copy needs no log beside it.
func (s *Store) BackupTo(ctx context.Context, path string) error {
	if s.dialect != SQLite {
		return ErrNoSQLite
	}
	if err := s.write(ctx).Exec("VACUUM INTO ?", path).Error; err != nil {
		return fmt.Errorf("copy the database: %w", err)
	}
	return nil
}

// Check reads a whole SQLite database: an error says what is broken in it.
func (s *Store) Check(ctx context.Context) error {
	if s.dialect != SQLite {
		return ErrNoSQLite
	}
	var found string
	if err := s.read(ctx).Raw("PRAGMA quick_check(1)").Row().Scan(&found); err != nil {
		return fmt.Errorf("check the database: %w", err)
	}
	if found != "ok" {
		return fmt.Errorf("the database is broken: %s", found)
	}
	return nil
}

// Restored marks a database that has been brought back to an earlier moment: it is another one from now on (see
// Identity), and ids begin by margin above everything it knows of, and above the given one. In the id service's time unit.
func (s *Store) Restored(ctx context.Context, mark string, above, margin int64) error {
	return s.Tx(ctx, func(tx *Store) error {
		known, err := tx.IDsReserved(ctx)
		if err != nil {
			return err
		}
		done := tx.write(ctx).Exec("UPDATE installation SET restored = ?, ids_above = ? WHERE id = 1", mark, max(known, above)+margin)
		if done.Error != nil {
			return fmt.Errorf("mark the database as restored: %w", done.Error)
		}
		if done.RowsAffected != 1 {
			return errors.New("no server has ever used this database")
		}
		return nil
	})
}

const reservedQuery = "SELECT COALESCE(MAX(ids_until), 0) FROM (SELECT ids_until FROM nodes UNION ALL SELECT ids_above FROM installation) AS marks"

// IDsReserved is the highest mark below which some node may have given out ids, in the id service's time unit.
func (s *Store) IDsReserved(ctx context.Context) (until int64, err error) {
	if err := s.read(ctx).Raw(reservedQuery).Row().Scan(&until); err != nil {
		return 0, fmt.Errorf("read how far ids are reserved: %w", err)
	}
	return until, nil
}

// ErrInUse means that another process has a database open.
var ErrInUse = errors.New("the database is in use")

// RetireSQLite writes everything of a database into its one file, which fails with ErrInUse while anybody has it open,
// and answers IDsReserved of it.
func RetireSQLite(ctx context.Context, path string) (idsReserved int64, err error) {
	pool, err := sql.Open(sqlite.DriverName, "file:"+(&url.URL{Path: path}).EscapedPath()+"?_pragma=busy_timeout(0)")
	if err != nil {
		return 0, fmt.Errorf("open sqlite: %w", err)
	}
	defer func() {
		if closeErr := pool.Close(); closeErr != nil && err == nil {
			err = fmt.Errorf("close sqlite: %w", closeErr)
		}
	}()
	pool.SetMaxOpenConns(1)
	var mode string
	if err := pool.QueryRowContext(ctx, "PRAGMA journal_mode = DELETE").Scan(&mode); err != nil {
		if retryable(err) { // it is busy
			return 0, ErrInUse
		}
		return 0, fmt.Errorf("close the log: %w", err)
	}
	if mode != "delete" {
		return 0, ErrInUse
	}
	if err := pool.QueryRowContext(ctx, reservedQuery).Scan(&idsReserved); err != nil {
		return 0, fmt.Errorf("read how far ids are reserved: %w", err)
	}
	return idsReserved, nil
}
