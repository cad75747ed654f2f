package model

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"ackbox/migrations"
)

func TestMigrate(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, options Options) {
		s := open(t, options)
		list, err := s.Migrations(t.Context())
		ok(t, err)
		files, err := fs.Glob(migrations.Files, string(s.Dialect())+"/*.sql")
		ok(t, err)
		want(t, "migrations", len(list), len(files))
		for _, m := range list {
			if m.Applied || m.Name == "" {
				t.Errorf("before the first migration: %+v", m)
			}
		}
		for range 2 {
			ok(t, s.Migrate(t.Context()))
			list, err = s.Migrations(t.Context())
			ok(t, err)
			for _, m := range list {
				if !m.Applied {
					t.Errorf("after the migration: %+v", m)
				}
			}
		}
	})
}

// TestMigrateAtOnce: nodes that start together on an empty database, each with a
// connection pool of its own, all come up.
func TestMigrateAtOnce(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, options Options) {
		nodes := []*Store{open(t, options), open(t, options), open(t, options)}
		group, ctx := errgroup.WithContext(within(t))
		for _, s := range nodes {
			group.Go(func() error { return s.Migrate(ctx) })
		}
		ok(t, group.Wait())
		for _, s := range nodes {
			list, err := s.Migrations(t.Context())
			ok(t, err)
			for _, m := range list {
				if !m.Applied {
					t.Errorf("after the migration: %+v", m)
				}
			}
			id, a, b := direct(t, s)
			said(t, s, id, a, 1, a, b)
		}
	})
}

// TestMigrateOverARest: on MySQL, where DDL is not transactional, a node that died
// between a statement and its note leaves a table without a note: the next start goes on.
func TestMigrateOverARest(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, options Options) {
		s := open(t, options)
		ok(t, s.Migrate(t.Context()))
		ok(t, s.writer.Exec("DELETE FROM goose_db_version WHERE version_id > 3").Error)
		ok(t, s.Migrate(t.Context()))
		list, err := s.Migrations(t.Context())
		ok(t, err)
		for _, m := range list {
			if !m.Applied {
				t.Errorf("not applied: %+v", m)
			}
		}
	})
}

// column is what both dialects must agree on. Kind is number, text or bytes.
type column struct {
	Kind     string
	Nullable bool
	Default  string // as SQL says it, without quotes; "" for an empty text or none
}

type table struct {
	Columns    map[string]column
	PrimaryKey []string
	Unique     map[string][]string // by index name
	Index      map[string][]string
}

func kindOf(t *testing.T, sqlType string) string {
	t.Helper()
	switch strings.ToLower(sqlType) {
	case "integer", "bigint":
		return "number"
	case "text", "varchar", "mediumtext":
		return "text"
	case "blob", "binary":
		return "bytes"
	default:
		t.Errorf("a column of type %s: neither dialect's tables use it so far", sqlType)
		return sqlType
	}
}

// TestSchemas compares what the two folders of migrations made.
func TestSchemas(t *testing.T) {
	t.Parallel()
	schemas := map[Dialect]map[string]table{}
	for dialect, options := range stores {
		s := open(t, options(t))
		ok(t, s.Migrate(t.Context()))
		if dialect == SQLite {
			schemas[dialect] = sqliteSchema(t, s)
		} else {
			schemas[dialect] = mysqlSchema(t, s)
		}
	}
	if len(schemas[MySQL]) < 15 {
		t.Errorf("only %d tables were found", len(schemas[MySQL]))
	}
	if diff := cmp.Diff(schemas[MySQL], schemas[SQLite]); diff != "" {
		t.Errorf("the schemas differ (-MySQL +SQLite):\n%s", diff)
	}
	names := map[string]string{}
	for name, table := range schemas[MySQL] {
		for _, indexes := range []map[string][]string{table.Unique, table.Index} {
			for index := range indexes {
				if other := names[index]; other != "" {
					t.Errorf("tables %s and %s both have an index %s: SQLite's names are unique in a database", name, other, index)
				}
				names[index] = name
			}
		}
	}
}

func each(t *testing.T, s *Store, query string, args []any, scan func(*sql.Rows) error) {
	t.Helper()
	rows, err := s.read(t.Context()).Raw(query, args...).Rows()
	ok(t, err)
	_, err = scanAll(rows, func(r *sql.Rows) (struct{}, error) { return struct{}{}, scan(r) })
	ok(t, err)
}

func sqliteSchema(t *testing.T, s *Store) map[string]table {
	t.Helper()
	schema := map[string]table{}
	var names []string
	each(t, s, "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name NOT LIKE 'goose_%'", nil, func(r *sql.Rows) error {
		var name string
		err := r.Scan(&name)
		names = append(names, name)
		return err
	})
	for _, name := range names {
		tab := table{Columns: map[string]column{}, Unique: map[string][]string{}, Index: map[string][]string{}}
		type place struct {
			name string
			n    int
		}
		var primary []place
		each(t, s, "SELECT name, type, \"notnull\", dflt_value, pk FROM pragma_table_info(?)", []any{name}, func(r *sql.Rows) error {
			var col, kind string
			var notNull bool
			var standard sql.NullString
			var pk int
			err := r.Scan(&col, &kind, &notNull, &standard, &pk)
			c := column{Kind: kindOf(t, kind), Nullable: !notNull, Default: strings.Trim(standard.String, "'")}
			if pk > 0 {
				primary = append(primary, place{col, pk})
				c.Default = "" // an INTEGER PRIMARY KEY needs none
			}
			tab.Columns[col] = c
			return err
		})
		slices.SortFunc(primary, func(a, b place) int { return a.n - b.n })
		for _, p := range primary {
			tab.PrimaryKey = append(tab.PrimaryKey, p.name)
		}
		each(t, s, "SELECT l.name, l.\"unique\", i.name FROM pragma_index_list(?) l JOIN pragma_index_info(l.name) i WHERE l.origin = 'c' ORDER BY l.name, i.seqno", []any{name}, func(r *sql.Rows) error {
			var index, col string
			var unique bool
			err := r.Scan(&index, &unique, &col)
			if unique {
				tab.Unique[index] = append(tab.Unique[index], col)
			} else {
				tab.Index[index] = append(tab.Index[index], col)
			}
			return err
		})
		schema[name] = tab
	}
	return schema
}

func mysqlSchema(t *testing.T, s *Store) map[string]table {
	t.Helper()
	schema := map[string]table{}
	each(t, s, "SELECT table_name, column_name, data_type, is_nullable, column_default, column_key FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name NOT LIKE 'goose%'", nil, func(r *sql.Rows) error {
		var name, col, kind, nullable, key string
		var standard sql.NullString
		err := r.Scan(&name, &col, &kind, &nullable, &standard, &key)
		tab, known := schema[name]
		if !known {
			tab = table{Columns: map[string]column{}, Unique: map[string][]string{}, Index: map[string][]string{}}
		}
		c := column{Kind: kindOf(t, kind), Nullable: nullable == "YES", Default: strings.Trim(standard.String, "'")}
		if key == "PRI" || c.Default == "NULL" {
			c.Default = ""
		}
		tab.Columns[col] = c
		schema[name] = tab
		return err
	})
	each(t, s, "SELECT table_name, index_name, non_unique, column_name FROM information_schema.statistics WHERE table_schema = DATABASE() AND table_name NOT LIKE 'goose%' ORDER BY table_name, index_name, seq_in_index", nil, func(r *sql.Rows) error {
		var name, index, col string
		var plain bool
		err := r.Scan(&name, &index, &plain, &col)
		tab := schema[name]
		switch {
		case index == "PRIMARY":
			tab.PrimaryKey = append(tab.PrimaryKey, col)
		case plain:
			tab.Index[index] = append(tab.Index[index], col)
		default:
			tab.Unique[index] = append(tab.Unique[index], col)
		}
		schema[name] = tab
		return err
	})
	// What only MySQL has: bytes compare as bytes, whatever the server's default is.
	each(t, s, "SELECT table_name, column_name, collation_name FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name NOT LIKE 'goose%' AND collation_name IS NOT NULL", nil, func(r *sql.Rows) error {
		var name, col, collation string
		err := r.Scan(&name, &col, &collation)
		if collation != "utf8mb4_bin" && collation != "ascii_bin" {
			t.Errorf("%s.%s has collation %s, want utf8mb4_bin or ascii_bin", name, col, collation)
		}
		return err
	})
	return schema
}

// TestMigrationFiles: both folders have the same steps, each one statement on MySQL.
func TestMigrationFiles(t *testing.T) {
	t.Parallel()
	steps := map[Dialect][]string{}
	for _, dialect := range []Dialect{MySQL, SQLite} {
		files, err := fs.ReadDir(migrations.Files, string(dialect))
		ok(t, err)
		before := ""
		for _, f := range files {
			steps[dialect] = append(steps[dialect], f.Name())
			text, err := migrations.Files.ReadFile(string(dialect) + "/" + f.Name())
			ok(t, err)
			if !strings.HasPrefix(string(text), "-- +goose Up\n") {
				t.Errorf("%s/%s does not begin with -- +goose Up", dialect, f.Name())
			}
			if statements := regexp.MustCompile(`(?m);\s*$`).FindAllString(string(text), -1); dialect == MySQL && len(statements) != 1 {
				t.Errorf("%s has %d statements: a crash between them leaves half a step", f.Name(), len(statements))
			}
			if regexp.MustCompile(`(?im)^\s*(DROP|RENAME|ALTER TABLE .*\b(DROP|RENAME|MODIFY|CHANGE)\b)`).MatchString(string(text)) && !strings.Contains(before, "needs") {
				t.Errorf("%s takes something out, and the step before does not say which programs can live with it: see migrations/README.md", f.Name())
			}
			before = string(text)
		}
	}
	if diff := cmp.Diff(steps[MySQL], steps[SQLite]); diff != "" {
		t.Errorf("the folders differ: %s", diff)
	}
}

// TestMigrateGivesUp when its caller does, and leaves no lock behind.
func TestMigrateGivesUp(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, options Options) {
		s := open(t, options)
		ended, end := context.WithCancel(t.Context())
		end()
		if err := s.Migrate(ended); err == nil {
			t.Error("migrated with a ctx that had ended")
		}
		ok(t, s.Migrate(within(t)))
	})
}

// TestContractedSchema: a program starts on a schema that was added to, and not on one that lacks what it needs.
func TestContractedSchema(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, options Options) {
		s := open(t, options)
		ok(t, s.Migrate(within(t)))
		newest := number(t, s, "SELECT MAX(version_id) FROM goose_db_version")
		needs := func(version int64) error {
			t.Helper()
			ok(t, s.write(within(t)).Exec("REPLACE INTO installation (id, needs) VALUES (2, ?)", version).Error) // as a migration says it
			return s.Migrate(within(t))
		}
		ok(t, needs(newest))
		ok(t, s.write(within(t)).Exec("INSERT INTO goose_db_version (version_id, is_applied) VALUES (?, TRUE)", newest+5).Error)
		ok(t, needs(newest)) // five later ones, which have only added
		if err := needs(newest + 1); !errors.Is(err, ErrSchemaTooNew) {
			t.Errorf("got %v, want %v", err, ErrSchemaTooNew)
		}
	})
}
