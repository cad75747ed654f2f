package model

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"ackbox/migrations"
)

// forbidden is SQL that one of MySQL 8, MariaDB 10.11 and TiDB does not have, or that
// shards cannot keep.
var forbidden = map[string]*regexp.Regexp{
	"AS new upserts (MariaDB has none)":            regexp.MustCompile(`(?i)\)\s*AS\s+new\b`),
	"->> (MariaDB has none)":                       regexp.MustCompile(`->>`),
	"-> on JSON (MariaDB has none)":                regexp.MustCompile(`\w->'`),
	"RETURNING (MySQL and TiDB have none)":         regexp.MustCompile(`(?i)\bRETURNING\b`),
	"0900 collations (MariaDB before 11 has none)": regexp.MustCompile(`(?i)_0900_`),
	"FOR SHARE (MariaDB has none)":                 regexp.MustCompile(`(?i)\bFOR\s+SHARE\b`),
	"SKIP LOCKED (TiDB has none)":                  regexp.MustCompile(`(?i)\bSKIP\s+LOCKED\b`),
	"foreign keys (TiDB, shards)":                  regexp.MustCompile(`(?i)\bFOREIGN\s+KEY\b|\bREFERENCES\b`),
	"triggers (TiDB)":                              regexp.MustCompile(`(?i)\bTRIGGER\b`),
	"auto-increment (hot tables, shards)":          regexp.MustCompile(`(?i)\bAUTO_?INCREMENT\b`),
	"functional indexes (MariaDB has none)":        regexp.MustCompile(`(?i)\b(KEY|INDEX)\s+\w+\s*(ON\s+\w+\s*)?\(\s*\(`),
	"DATETIME and TIMESTAMP columns (SQLite)":      regexp.MustCompile(`(?i)\b(DATETIME|TIMESTAMP)\b`),
	"the database's clock (ours is injected)":      regexp.MustCompile(`(?i)\b(NOW\(\)|CURRENT_TIMESTAMP|UNIX_TIMESTAMP|UTC_TIMESTAMP|UNIXEPOCH)`),
}

func checkSQL(t *testing.T, where, text string) {
	t.Helper()
	clocks := map[string]string{"identity.go": "UNIX_TIMESTAMP", "lease.go": "UTC_TIMESTAMP unixepoch"} // there the database's own clock is meant
	for what, pattern := range forbidden {
		if found := pattern.FindString(text); found != "" && !strings.Contains(clocks[where], found) {
			t.Errorf("%s: %q: %s", where, found, what)
		}
	}
}

// TestForbiddenIsFound: the patterns find what they are for.
func TestForbiddenIsFound(t *testing.T) {
	t.Parallel()
	for what, text := range map[string]string{
		"AS new upserts (MariaDB has none)":            "INSERT INTO t (a) VALUES (?) AS new ON DUPLICATE KEY UPDATE a = new.a",
		"->> (MariaDB has none)":                       "SELECT body->>'$.a'",
		"-> on JSON (MariaDB has none)":                "SELECT body->'$.a'",
		"RETURNING (MySQL and TiDB have none)":         "UPDATE t SET a = 1 returning a",
		"0900 collations (MariaDB before 11 has none)": "COLLATE utf8mb4_0900_bin",
		"FOR SHARE (MariaDB has none)":                 "SELECT 1 FOR SHARE",
		"SKIP LOCKED (TiDB has none)":                  "FOR UPDATE SKIP LOCKED",
		"foreign keys (TiDB, shards)":                  "a BIGINT REFERENCES users (id)",
		"triggers (TiDB)":                              "CREATE TRIGGER x",
		"auto-increment (hot tables, shards)":          "id INTEGER PRIMARY KEY AUTOINCREMENT",
		"functional indexes (MariaDB has none)":        "KEY ix_a ((LOWER(a)))",
		"DATETIME and TIMESTAMP columns (SQLite)":      "at DATETIME NOT NULL",
		"the database's clock (ours is injected)":      "SET at = NOW()",
	} {
		pattern := forbidden[what]
		if pattern == nil || !pattern.MatchString(text) {
			t.Errorf("%q is not found by %q", text, what)
		}
	}
	want := len(forbidden)
	if want != 13 {
		t.Errorf("%d patterns, this test knows 13", want)
	}
}

// TestPortability looks through the migrations and every string of this package's code.
func TestPortability(t *testing.T) {
	t.Parallel()
	err := fs.WalkDir(migrations.Files, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := migrations.Files.ReadFile(path)
		checkSQL(t, path, string(text))
		return err
	})
	ok(t, err)

	files, err := filepath.Glob("*.go")
	ok(t, err)
	statements := 0
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		text, err := os.ReadFile(path)
		ok(t, err)
		file, err := parser.ParseFile(token.NewFileSet(), path, text, 0)
		ok(t, err)
		ast.Inspect(file, func(n ast.Node) bool {
			if field, is := n.(*ast.Field); is && field.Tag != nil {
				return false // struct tags are not SQL
			}
			literal, is := n.(*ast.BasicLit)
			if !is || literal.Kind != token.STRING {
				return true
			}
			value, err := strconv.Unquote(literal.Value)
			ok(t, err)
			checkSQL(t, path, value)
			if strings.Contains(value, "SELECT ") || strings.Contains(value, "INSERT ") || strings.Contains(value, "UPDATE ") {
				statements++
			}
			return true
		})
	}
	if statements < 30 {
		t.Errorf("only %d statements were found in %d files", statements, len(files))
	}
}
