package model

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sync/errgroup"
	"gorm.io/gorm"
)

// transactions are all or nothing: after an error, a panic, or a ctx that ended,
// nothing is there; a deadlock's victim runs again. Pipelined ones too.
func transactions(t *testing.T, s *Store) {
	for name, run := range map[string]func(context.Context, func(*Store) error) error{"Tx": s.Tx, "Pipelined": s.Pipelined} {
		t.Run(name, func(t *testing.T) { transactionsOf(t, s, run) })
	}
}

func transactionsOf(t *testing.T, s *Store, run func(context.Context, func(*Store) error) error) {
	ctx := within(t)
	user := newUser()
	add := func(tx *Store) error {
		_, err := tx.AdvanceMailboxes(ctx, []UserCount{{user, 1}})
		return err
	}
	head := func() int64 {
		h, err := s.MailboxHead(ctx, user)
		ok(t, err)
		return h.Head
	}

	ok(t, run(ctx, add))
	want(t, "head after a commit", head(), 1)

	err := run(ctx, func(tx *Store) error { return errors.Join(add(tx), errRefused) })
	if !errors.Is(err, errRefused) {
		t.Fatalf("got %v, want the error of the function", err)
	}
	want(t, "head after an error", head(), 1)

	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		ok(t, run(ctx, func(tx *Store) error {
			ok(t, add(tx))
			panic("in the middle")
		}))
	}()
	want(t, "head after a panic", head(), 1)

	ending, end := context.WithCancel(ctx)
	err = run(ending, func(tx *Store) error {
		err := add(tx)
		end()
		return err
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want context.Canceled", err)
	}
	want(t, "head after the caller went away", head(), 1)

	ok(t, run(ctx, func(tx *Store) error {
		return tx.Tx(ctx, add) // a transaction inside is part of the outer one
	}))
	want(t, "head after a transaction in a transaction", head(), 2)

	err = run(ctx, func(tx *Store) error {
		return tx.write(ctx).Exec("INSERT INTO mailbox_heads (user_id, head) VALUES (?, 1)", user).Error
	})
	if !errors.Is(err, gorm.ErrDuplicatedKey) {
		t.Fatalf("got %v, want gorm.ErrDuplicatedKey", err)
	}
	if Unreachable(err) {
		t.Error("a duplicate key counts as an unreachable database")
	}

	// Two that lock in opposite orders: on MySQL one is a deadlock's victim, and runs again.
	a, b := newUser(), newUser()
	var met atomic.Int64
	both := make(chan struct{})
	group, ctx := errgroup.WithContext(ctx)
	for _, order := range [][2]UserID{{a, b}, {b, a}} {
		group.Go(func() error {
			return run(ctx, func(tx *Store) error {
				if _, err := tx.AdvanceMailboxes(ctx, []UserCount{{order[0], 1}}); err != nil {
					return err
				}
				if s.dialect == MySQL { // SQLite lets only one in
					if met.Add(1) == 2 {
						close(both)
					}
					select {
					case <-both:
					case <-ctx.Done():
						return ctx.Err()
					}
				}
				_, err := tx.AdvanceMailboxes(ctx, []UserCount{{order[1], 1}})
				return err
			})
		})
	}
	ok(t, group.Wait())
	for _, user := range []UserID{a, b} {
		h, err := s.MailboxHead(t.Context(), user)
		ok(t, err)
		want(t, "head after two opposite transactions", h.Head, 2)
	}
	if s.dialect == MySQL && met.Load() < 3 {
		t.Error("the two never met: this was no deadlock")
	}
}

// TestOpenSaysWhatIsWrong names the setting, not only the driver's error.
func TestOpenSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		options Options
		want    string
	}{
		"malformed DSN":    {Options{MySQLDSN: "mysql://root@localhost"}, "ACKBOX_MYSQL_DSN"},
		"no database name": {Options{MySQLDSN: "root@tcp(127.0.0.1:3306)/"}, "names no database"},
		"nobody listens":   {Options{MySQLDSN: "root@tcp(127.0.0.1:1)/ackbox"}, "127.0.0.1:1"},
		"no folder":        {Options{SQLitePath: "/proc/nothing/a.db"}, "data folder"},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := Open(within(t), c.options)
			if err == nil {
				t.Fatal(errors.Join(errors.New("it opened"), s.Close()))
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v: does not say %q", err, c.want)
			}
		})
	}
}

// TestRestart: what was committed is there when the store is opened again.
func TestRestart(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, options Options) {
		s, err := Open(t.Context(), options)
		ok(t, err)
		ok(t, s.Migrate(t.Context()))
		id, a, b := direct(t, s)
		said(t, s, id, a, 3, a, b)
		ok(t, s.Close())

		s = open(t, options)
		ok(t, s.Ping(t.Context()))
		ok(t, s.Migrate(t.Context()))
		page, err := s.Mailbox(t.Context(), b, 0, 10)
		ok(t, err)
		want(t, "entries after a restart", len(page), 3)
		warnings, err := s.Warnings(t.Context())
		ok(t, err)
		for _, w := range warnings {
			if strings.Contains(w, "innodb_flush_log_at_trx_commit") {
				t.Error("the test's own database is set unsafely: ", w)
			}
		}
		if s.dialect == SQLite {
			var mode string
			ok(t, s.writer.Raw("PRAGMA journal_mode").Row().Scan(&mode))
			want(t, "journal mode", mode, "wal")
			want(t, "synchronous (2 is FULL)", number(t, &Store{reader: s.writer}, "PRAGMA synchronous"), 2)
			want(t, "bytes of a page", number(t, &Store{reader: s.writer}, "PRAGMA page_size"), pageSize)
			want(t, "pages of a log", number(t, &Store{reader: s.writer}, "PRAGMA wal_autocheckpoint"), walPages)
		} else {
			var level string
			ok(t, s.read(t.Context()).Raw("SELECT "+isolationVariable(t, s)).Row().Scan(&level))
			want(t, "isolation", level, "READ-COMMITTED")
		}
	})
}

// isolationVariable is named differently in MySQL 8 and in MariaDB before 11.
func isolationVariable(t *testing.T, s *Store) string {
	t.Helper()
	var version string
	ok(t, s.read(t.Context()).Raw("SELECT VERSION()").Row().Scan(&version))
	if strings.Contains(version, "MariaDB") {
		return "@@tx_isolation"
	}
	return "@@transaction_isolation"
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	for _, err := range []error{context.DeadlineExceeded, context.Canceled, fmt.Errorf("commit: %w", ErrCommitUnknown)} {
		if !Unreachable(err) {
			t.Errorf("%v: want unreachable", err)
		}
	}
	for _, err := range []error{errRefused, NotFound("message"), gorm.ErrDuplicatedKey} {
		if Unreachable(err) {
			t.Errorf("%v: want not unreachable", err)
		}
	}
}
