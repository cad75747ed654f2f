package testenv

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"ackbox/internal/testenv/instance"
)

// statementPatience bounds CREATE and DROP DATABASE. A DROP waits for transactions on the database's tables: one that
// the test left open fails it here.
const statementPatience = 30 * time.Second

// MySQL returns the go-sql-driver DSN of an empty database (utf8mb4) that is dropped when the test ends; whoever has it
// open must have closed it by then. The server is that of ACKBOX_TEST_MYSQL_DSN, whose user must be allowed to create
// databases, or a private MariaDB of this process.
func MySQL(tb testing.TB) string {
	tb.Helper()
	server, err := sharedMySQL(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	cfg, err := mysql.ParseDSN(server)
	if err != nil {
		tb.Fatalf("%s: %v", instance.MySQLVariable, err)
	}
	cfg.DBName = ""
	name := "ackbox_test_" + strings.ToLower(rand.Text())
	if err := execute(tb.Context(), cfg, "CREATE DATABASE `"+name+"` CHARACTER SET utf8mb4"); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := execute(context.Background(), cfg, "DROP DATABASE `"+name+"`"); err != nil {
			tb.Error(err)
		}
	})
	database := cfg.Clone()
	database.DBName = name
	return database.FormatDSN()
}

func sharedMySQL(ctx context.Context) (string, error) {
	if dsn := os.Getenv(instance.MySQLVariable); dsn != "" {
		return dsn, nil
	}
	shared.Lock()
	defer shared.Unlock()
	if shared.mariadb == nil {
		path, err := sharedPath("mariadb")
		if err != nil {
			return "", err
		}
		if shared.mariadb, err = instance.StartMariaDB(ctx, path); err != nil {
			return "", err
		}
	}
	return shared.mariadb.DSN(""), nil
}

func execute(ctx context.Context, cfg *mysql.Config, statement string) (err error) {
	ctx, cancel := context.WithTimeout(ctx, statementPatience)
	defer cancel()
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return fmt.Errorf("%s: %w", statement, err)
	}
	db := sql.OpenDB(connector)
	defer func() { err = errors.Join(err, db.Close()) }()
	if _, err := db.ExecContext(ctx, statement); err != nil {
		return fmt.Errorf("%s on %s: %w", statement, cfg.Addr, err)
	}
	return nil
}

// MariaDB is a database server of the test's own, which it may kill and start again. It ends with the test.
type MariaDB struct {
	tb     testing.TB
	server *instance.MariaDB
}

// StartMariaDB starts an empty server; that takes 1 to 4 s.
func StartMariaDB(tb testing.TB) *MariaDB {
	tb.Helper()
	server, err := instance.StartMariaDB(tb.Context(), directory(tb))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { closed(tb, "MariaDB", server.Close) })
	return &MariaDB{tb: tb, server: server}
}

// DSN is the go-sql-driver DSN of a database on this server; it is made (utf8mb4) if it does not exist and the server
// is running. An empty name selects no database.
func (m *MariaDB) DSN(database string) string {
	m.tb.Helper()
	if database == "" || !m.server.Process().Running() {
		return m.server.DSN(database)
	}
	cfg, err := mysql.ParseDSN(m.server.DSN(""))
	if err != nil {
		m.tb.Fatal(err)
	}
	if err := execute(m.tb.Context(), cfg, "CREATE DATABASE IF NOT EXISTS `"+database+"` CHARACTER SET utf8mb4"); err != nil {
		m.tb.Fatal(err)
	}
	return m.server.DSN(database)
}

// Addr is the server's host:port, for a proxy in front of it.
func (m *MariaDB) Addr() string { return m.server.Addr() }

// Kill ends the server with SIGKILL, as a crash would, and waits until it is gone.
func (m *MariaDB) Kill() { m.tb.Helper(); must(m.tb, m.server.Kill()) }

// Start starts the server again on the same port and data, and waits until it answers.
func (m *MariaDB) Start() { m.tb.Helper(); must(m.tb, m.server.Start(m.tb.Context())) }

// Stop ends the server in order.
func (m *MariaDB) Stop() { m.tb.Helper(); must(m.tb, m.server.Stop()) }

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}
