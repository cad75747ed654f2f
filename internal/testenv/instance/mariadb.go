package instance

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/go-sql-driver/mysql"
)

// stopPatience is how long a server may take to end in order; MariaDB flushes its buffer pool then.
const stopPatience = 60 * time.Second

// MariaDB is a database server with a data directory and a port of its own. It is as durable as a production server
// (innodb_flush_log_at_trx_commit=1, doublewrite), only small. One goroutine may use it at a time.
type MariaDB struct {
	dir     string
	port    *Port
	server  string // path of mariadbd
	options []string
	process *Process
}

// StartMariaDB makes a data directory under dir and starts a server on it, with options added to the server's own.
func StartMariaDB(ctx context.Context, dir string, options ...string) (*MariaDB, error) {
	server, err := program(ctx, "mariadbd", "mysqld")
	if err != nil {
		return nil, err
	}
	installer, err := program(ctx, "mariadb-install-db", "mysql_install_db")
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Join(dir, "tmp"), 0o700); err != nil {
		return nil, fmt.Errorf("start MariaDB: %w", err)
	}
	m := &MariaDB{dir: dir, server: server, options: options}
	// --force: a container may not know its own host name, which nobody needs here.
	args := append([]string{"--no-defaults", "--force", "--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve",
		"--datadir=" + m.dataDir(), "--tmpdir=" + filepath.Join(dir, "tmp")}, asUser()...)
	if out, err := exec.CommandContext(ctx, installer, args...).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", installer, err, out)
	}
	if m.port, err = ReservePort(); err != nil {
		return nil, err
	}
	if err := m.Start(ctx); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

// Start starts the stopped or killed server again, on the same port and data, and returns when it answers.
func (m *MariaDB) Start(ctx context.Context) error {
	if m.process != nil && m.process.Running() {
		return errors.New("start MariaDB: it is running")
	}
	// The socket's path stays relative to the data directory: an absolute one may exceed the 107 bytes of a socket address.
	args := append([]string{"--no-defaults", "--datadir=" + m.dataDir(), "--tmpdir=" + filepath.Join(m.dir, "tmp"),
		"--socket=mariadb.sock", "--pid-file=mariadb.pid", "--log-error=" + m.logFile(),
		"--bind-address=127.0.0.1", "--port=" + strconv.Itoa(m.port.Number), "--skip-name-resolve",
		"--max-connections=500", "--max-allowed-packet=64M", "--character-set-server=utf8mb4",
		"--innodb-flush-log-at-trx-commit=1", "--innodb-buffer-pool-size=64M", "--innodb-log-file-size=64M",
		"--innodb-fast-shutdown=1", "--performance-schema=OFF"}, asUser()...)
	args = append(args, m.options...)
	process, err := StartProcess(exec.Command(m.server, args...))
	if err != nil {
		return err
	}
	m.process = process
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	if err := AwaitReady(ctx, process, m.logFile(), m.ping); err != nil {
		return errors.Join(fmt.Errorf("MariaDB on %s: %w", m.port.Addr(), err), process.Kill())
	}
	return nil
}

// DSN is the go-sql-driver data source name of a database on this server, for a user who may do everything. An empty
// name selects no database.
func (m *MariaDB) DSN(database string) string {
	cfg := mysql.NewConfig()
	cfg.User, cfg.Net, cfg.Addr, cfg.DBName = "root", "tcp", m.port.Addr(), database
	return cfg.FormatDSN()
}

// Addr is the server's host:port.
func (m *MariaDB) Addr() string { return m.port.Addr() }

// Process is the server's process, for signals of one's own.
func (m *MariaDB) Process() *Process { return m.process }

// Kill ends the server with SIGKILL, as a crash would, and waits until it is gone.
func (m *MariaDB) Kill() error { return m.process.Kill() }

// Stop ends the server in order.
func (m *MariaDB) Stop() error { return m.process.Terminate(stopPatience) }

// Close kills the server and gives its port back; the directory stays.
func (m *MariaDB) Close() error {
	var err error
	if m.process != nil {
		err = m.process.Kill()
	}
	return errors.Join(err, m.port.Release())
}

func (m *MariaDB) dataDir() string { return filepath.Join(m.dir, "data") }
func (m *MariaDB) logFile() string { return filepath.Join(m.dir, "mariadb.log") }

func (m *MariaDB) ping(ctx context.Context) (err error) {
	cfg, err := mysql.ParseDSN(m.DSN(""))
	if err != nil {
		return err
	}
	cfg.Timeout, cfg.ReadTimeout, cfg.Logger = 2*time.Second, 5*time.Second, &mysql.NopLogger{}
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return err
	}
	db := sql.OpenDB(connector)
	defer func() { err = errors.Join(err, db.Close()) }()
	return db.PingContext(ctx)
}

// asUser is the option without which the server refuses to run as root.
func asUser() []string {
	if os.Getuid() != 0 {
		return nil
	}
	return []string{"--user=root"}
}
