// Package model is what Ackbox keeps and how: a type, its rules and its queries
// together, one file a noun. Two dialects (MySQL and its kin, SQLite) answer the
// same behaviour suite.
package model

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"ackbox/migrations"

	sqlitedriver "github.com/glebarez/go-sqlite"
	"github.com/glebarez/sqlite"
	mysqldriver "github.com/go-sql-driver/mysql"
	"github.com/pressly/goose/v3"
	"gorm.io/driver/mysql"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/logger"
)

// Dialect is one of the two ways to say the same SQL.
type Dialect string

// The dialects. MySQL is also MariaDB and TiDB.
const (
	MySQL  Dialect = "mysql"
	SQLite Dialect = "sqlite"
)

// Options says where the data is. Exactly one of MySQLDSN and SQLitePath is set.
type Options struct {
	MySQLDSN   string // go-sql-driver form
	SQLitePath string
	MaxConns   int // pool size on MySQL; 0 means 32. The hot transactions have pipelineConns more
	Log        *slog.Logger
	// OpenDB makes a pool of a connector; nil: database/sql's own. For spans of statements.
	OpenDB func(driver.Connector) *sql.DB
}

// Store is the database. Its methods are the only SQL of the program. A Store
// given to the function of Tx works inside that transaction.
type Store struct {
	dialect Dialect
	reader  *gorm.DB // MySQL: the pool. SQLite: several connections
	writer  *gorm.DB // MySQL: the same pool. SQLite: the one connection that writes
	pipes   *sql.DB  // MySQL: for Pipelined, whose connections take several statements at once. SQLite: nil
	servers *servers
	inTx    bool
	log     *slog.Logger
}

// maxTxAttempts bounds how often a transaction is run again after a deadlock, a
// lock timeout or a connection that was lost before COMMIT.
const maxTxAttempts = 8

// ErrCommitUnknown marks an error of COMMIT after which nobody can say whether the
// transaction is there: the connection was lost between the request and its answer.
var ErrCommitUnknown = errors.New("the outcome of COMMIT is unknown")

// Open connects and checks that the database answers; it does not migrate.
// A database that cannot be reached is an error that says what to look at.
func Open(ctx context.Context, o Options) (*Store, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.OpenDB == nil {
		o.OpenDB = sql.OpenDB
	}
	if o.MySQLDSN != "" {
		return openMySQL(ctx, o)
	}
	return openSQLite(ctx, o)
}

func gormConfig() *gorm.Config {
	return &gorm.Config{
		SkipDefaultTransaction: true,
		TranslateError:         true,
		Logger:                 logger.Discard,
		NowFunc:                func() time.Time { return time.Now().UTC() },
	}
}

func openMySQL(ctx context.Context, o Options) (*Store, error) {
	cfg, err := mysqldriver.ParseDSN(o.MySQLDSN)
	if err != nil {
		return nil, fmt.Errorf("ACKBOX_MYSQL_DSN: %w (want user:password@tcp(host:port)/database)", err)
	}
	if cfg.DBName == "" {
		return nil, errors.New("ACKBOX_MYSQL_DSN names no database (want user:password@tcp(host:port)/database)")
	}
	cfg.InterpolateParams = true // one round trip a statement instead of three
	cfg.ParseTime = true         // for the one DATETIME there is: goose's own table
	cfg.MultiStatements = false
	if cfg.Timeout == 0 {
		cfg.Timeout = 5 * time.Second
	}
	if cfg.ReadTimeout == 0 {
		cfg.ReadTimeout = 30 * time.Second
	}
	if cfg.WriteTimeout == 0 {
		cfg.WriteTimeout = 30 * time.Second
	}
	if cfg.Params == nil {
		cfg.Params = map[string]string{}
	}
	if err := cfg.Apply(mysqldriver.Charset("utf8mb4", "utf8mb4_bin")); err != nil {
		return nil, fmt.Errorf("mysql charset: %w", err)
	}
	cfg.Logger = discardMySQLLog{}
	connector, err := mysqldriver.NewConnector(cfg)
	if err != nil {
		return nil, fmt.Errorf("ACKBOX_MYSQL_DSN: %w", err)
	}
	several := cfg.Clone()
	several.MultiStatements = true
	pipelines, err := mysqldriver.NewConnector(several)
	if err != nil {
		return nil, fmt.Errorf("ACKBOX_MYSQL_DSN: %w", err)
	}
	known := &servers{}
	pool := o.OpenDB(readCommitted{connector, known})
	conns := o.MaxConns
	if conns == 0 {
		conns = 32
	}
	pool.SetMaxOpenConns(conns)
	pool.SetMaxIdleConns(conns)
	pool.SetConnMaxLifetime(30 * time.Minute)
	if err := pool.PingContext(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("the database at %s does not answer: %w (is it running, and does ACKBOX_MYSQL_DSN name the right host, user and database?)", cfg.Addr, err), pool.Close())
	}
	db, err := gorm.Open(mysql.New(mysql.Config{Conn: pool, DisableWithReturning: true}), gormConfig())
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open mysql: %w", err), pool.Close())
	}
	pipes := o.OpenDB(readCommitted{pipelines, known})
	pipes.SetMaxOpenConns(pipelineConns)
	pipes.SetMaxIdleConns(pipelineConns)
	pipes.SetConnMaxLifetime(30 * time.Minute)
	return &Store{dialect: MySQL, reader: db, writer: db, pipes: pipes, servers: known, log: o.Log}, nil
}

// readCommitted sets the isolation level once a connection, which saves the round
// trip that sql.TxOptions costs each transaction. (A DSN parameter cannot: the
// variable has different names in MySQL 8 and MariaDB 10.) It also asks which server it is.
type readCommitted struct {
	driver.Connector
	servers *servers
}

func (c readCommitted) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	execer, ok := conn.(driver.ExecerContext)
	if !ok {
		return nil, errors.Join(errors.New("the mysql driver has no ExecContext"), conn.Close())
	}
	// A waiter gives up before its caller does (writerPatience), and a node that is frozen in
	// a transaction loses its locks: the second variable is MariaDB's only.
	for _, statement := range []string{"SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED", "SET SESSION innodb_lock_wait_timeout = 5", "SET SESSION idle_write_transaction_timeout = 10"} {
		var unknown *mysqldriver.MySQLError
		if _, err := execer.ExecContext(ctx, statement, nil); err != nil && (!errors.As(err, &unknown) || unknown.Number != unknownVariable) {
			return nil, errors.Join(fmt.Errorf("prepare connection: %w", err), conn.Close())
		}
	}
	server, err := identify(ctx, conn)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("which database is it: %w", err), conn.Close())
	}
	c.servers.met(server)
	return conn, nil
}

// unknownVariable is MySQL's ER_UNKNOWN_SYSTEM_VARIABLE.
const unknownVariable = 1193

// discardMySQLLog keeps the driver from writing to stderr: every error it logs is
// also returned, and logged once at the edge.
type discardMySQLLog struct{}

func (discardMySQLLog) Print(...any) {}

// A send changes a row in each of three large tables, on a page of its own: small pages (2 KiB; a file keeps those that it
// was made with) halve what a commit writes, a tenth more sends a second. walPages bounds SQLite's log to 32 MiB. SQLite's
// own bound of 4 MiB costs a fifth, since a page that many commits change is copied into the file, and synced, that much
// more often.
const (
	pageSize = 2 << 10
	walPages = 32 << 20 / pageSize
)

func openSQLite(ctx context.Context, o Options) (*Store, error) {
	if err := os.MkdirAll(filepath.Dir(o.SQLitePath), 0o750); err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	dsn := func(extra string) string {
		// WAL lets readers go on beside the writer; FULL syncs the log at each commit: a 201 is on disk. The log is copied into
		// the file every walPages pages.
		return "file:" + (&url.URL{Path: o.SQLitePath}).EscapedPath() + "?_pragma=busy_timeout(10000)&_pragma=page_size(" + strconv.Itoa(pageSize) + ")&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=foreign_keys(0)&_pragma=wal_autocheckpoint(" + strconv.Itoa(walPages) + ")" + extra
	}
	open := func(dsn string, conns int) (*gorm.DB, error) {
		pool, err := o.openSQLite(dsn)
		if err != nil {
			return nil, fmt.Errorf("open sqlite: %w", err)
		}
		pool.SetMaxOpenConns(conns)
		pool.SetMaxIdleConns(conns)
		if err := pool.PingContext(ctx); err != nil {
			return nil, errors.Join(fmt.Errorf("the SQLite file %s cannot be opened: %w", o.SQLitePath, err), pool.Close())
		}
		db, err := gorm.Open(sqlite.Dialector{Conn: pool}, gormConfig())
		if err != nil {
			return nil, errors.Join(fmt.Errorf("open sqlite: %w", err), pool.Close())
		}
		return db, nil
	}
	writer, err := open(dsn("&_pragma=cache_size(-64000)&_txlock=immediate"), 1) // KB of pages: what keys that come in no order change
	if err != nil {
		return nil, err
	}
	reader, err := open(dsn("&_pragma=cache_size(-16000)&_pragma=query_only(1)"), max(4, runtime.NumCPU()))
	if err != nil {
		return nil, errors.Join(err, closeGorm(writer))
	}
	return &Store{dialect: SQLite, reader: reader, writer: writer, servers: &servers{}, log: o.Log}, nil
}

// openSQLite makes a pool of connections to a file.
func (o Options) openSQLite(dsn string) (*sql.DB, error) {
	named, err := sql.Open(sqlite.DriverName, dsn)
	if err != nil {
		return nil, err //nolint:wrapcheck // the caller names it
	}
	file := sqliteFile{driver: named.Driver(), dsn: dsn}
	if err := named.Close(); err != nil { // it has connected to nothing yet
		return nil, err //nolint:wrapcheck // the caller names it
	}
	return o.OpenDB(file), nil
}

// sqliteFile connects to a file.
type sqliteFile struct {
	driver driver.Driver
	dsn    string
}

// Connect implements driver.Connector.
func (f sqliteFile) Connect(context.Context) (driver.Conn, error) { return f.driver.Open(f.dsn) }

// Driver implements driver.Connector.
func (f sqliteFile) Driver() driver.Driver { return f.driver }

func closeGorm(db *gorm.DB) error {
	pool, err := db.DB()
	if err != nil {
		return fmt.Errorf("pool: %w", err)
	}
	return pool.Close()
}

// Close ends all connections. On SQLite it leaves the log checkpointed.
func (s *Store) Close() error {
	if s.dialect == MySQL {
		return errors.Join(s.pipes.Close(), closeGorm(s.writer))
	}
	return errors.Join(closeGorm(s.reader), closeGorm(s.writer))
}

// Pools are the connection pools by name, for their figures.
func (s *Store) Pools() (map[string]*sql.DB, error) {
	pools := map[string]*sql.DB{}
	for name, db := range map[string]*gorm.DB{"write": s.writer, "read": s.reader} {
		if s.dialect == MySQL {
			name = "all" // one pool for both
		}
		pool, err := db.DB()
		if err != nil {
			return nil, fmt.Errorf("pool: %w", err)
		}
		pools[name] = pool
	}
	if s.pipes != nil {
		pools["pipelined"] = s.pipes
	}
	return pools, nil
}

// Dialect says which database this is.
func (s *Store) Dialect() Dialect { return s.dialect }

// Ping asks the database for a sign of life.
func (s *Store) Ping(ctx context.Context) error {
	var one int
	if err := s.read(ctx).Raw("SELECT 1").Scan(&one).Error; err != nil {
		return fmt.Errorf("ping database: %w", err)
	}
	return nil
}

// read is where a query goes: the transaction, or a connection for reading.
func (s *Store) read(ctx context.Context) *gorm.DB { return s.reader.WithContext(ctx) }

// write is where a single statement that changes something goes.
func (s *Store) write(ctx context.Context) *gorm.DB { return s.writer.WithContext(ctx) }

// locking adds FOR UPDATE where the dialect has it. SQLite's write transactions are
// immediate: whoever is in one is alone.
func (s *Store) locking(db *gorm.DB) *gorm.DB {
	if s.dialect == SQLite {
		return db
	}
	return db.Clauses(clause.Locking{Strength: "UPDATE"})
}

// forUpdate is the same for raw statements.
func (s *Store) forUpdate() string {
	if s.dialect == SQLite {
		return ""
	}
	return " FOR UPDATE"
}

// Tx runs fn in one write transaction, READ COMMITTED (SQLite: serial), and commits.
// fn runs again after a deadlock, a lock timeout or a connection lost before
// COMMIT, so it must have no effect but its SQL. COMMIT itself does not end with
// the caller's ctx. An error of COMMIT with a lost connection is ErrCommitUnknown.
func (s *Store) Tx(ctx context.Context, fn func(tx *Store) error) error {
	return s.transact(ctx, s.begin, fn)
}

func (s *Store) transact(ctx context.Context, begin func(context.Context) (transaction, error), fn func(tx *Store) error) error {
	if s.inTx {
		return fn(s)
	}
	var err error
	for attempt := range maxTxAttempts {
		if attempt > 0 {
			if waitErr := wait(ctx, time.Duration(rand.Int64N(int64(5*time.Millisecond)<<min(attempt, 6)))+time.Millisecond); waitErr != nil {
				return errors.Join(waitErr, err)
			}
		}
		if err = s.tx(ctx, begin, fn); err == nil || !retryable(err) {
			return err
		}
		s.log.Debug("transaction runs again", "attempt", attempt+1, "error", err)
	}
	return fmt.Errorf("transaction given up after %d attempts: %w", maxTxAttempts, err)
}

// transaction is one that has begun.
type transaction struct {
	db               *gorm.DB // its statements go here
	commit, rollback func() error
}

func (s *Store) begin(ctx context.Context) (transaction, error) {
	db := s.writer.WithContext(ctx).Begin()
	if db.Error != nil {
		return transaction{}, fmt.Errorf("begin: %w", db.Error)
	}
	return transaction{db: db, commit: func() error { return db.Commit().Error }, rollback: func() error { return db.Rollback().Error }}, nil
}

func (s *Store) tx(ctx context.Context, begin func(context.Context) (transaction, error), fn func(tx *Store) error) (err error) {
	// The caller's patience bounds waiting for a connection and BEGIN; COMMIT does not end with it.
	txCtx, release := context.WithCancel(context.WithoutCancel(ctx))
	defer release()
	stop := context.AfterFunc(ctx, release)
	defer stop()
	t, err := begin(txCtx)
	if err != nil {
		return err
	}
	ended := false
	defer func() {
		if !ended { // fn failed or panicked
			if rollback := t.rollback(); rollback != nil && !errors.Is(rollback, sql.ErrTxDone) && !connectionLost(rollback) {
				err = errors.Join(err, fmt.Errorf("rollback: %w", rollback))
			}
		}
	}()
	if err := fn(&Store{dialect: s.dialect, reader: t.db, writer: t.db, servers: s.servers, inTx: true, log: s.log}); err != nil {
		return err
	}
	if !stop() { // ctx has ended: the connection is being rolled back
		return fmt.Errorf("before commit: %w", ctx.Err())
	}
	ended = true
	if err := t.commit(); err != nil {
		if connectionLost(err) || s.dialect == SQLite {
			return fmt.Errorf("%w: %w", ErrCommitUnknown, err)
		}
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return fmt.Errorf("waiting to try again: %w", ctx.Err())
	case <-timer.C:
		return nil
	}
}

// retryable says whether the same transaction may simply be run again: nothing of it
// is there and the fault passes.
func retryable(err error) bool {
	if errors.Is(err, ErrCommitUnknown) {
		return false
	}
	var my *mysqldriver.MySQLError
	if errors.As(err, &my) {
		switch my.Number {
		case 1213, 1205, 1020, 8002, 8022, 8028, 9007: // deadlock, lock timeout, record changed; TiDB's conflicts
			return true
		}
		return false
	}
	var lite *sqlitedriver.Error
	if errors.As(err, &lite) {
		return lite.Code()&0xff == 5 || lite.Code()&0xff == 6 // SQLITE_BUSY, SQLITE_LOCKED
	}
	return connectionLost(err)
}

// duplicateKey says whether err is a unique key's, of which there is a row already.
func duplicateKey(err error) bool {
	var my *mysqldriver.MySQLError
	if errors.As(err, &my) {
		return my.Number == 1062
	}
	var lite *sqlitedriver.Error
	return errors.As(err, &lite) && (lite.Code() == 1555 || lite.Code() == 2067) // SQLITE_CONSTRAINT_PRIMARYKEY, _UNIQUE
}

// connectionLost says whether err is the connection's end rather than the
// database's answer.
func connectionLost(err error) bool {
	var netErr net.Error
	return errors.Is(err, driver.ErrBadConn) || errors.Is(err, mysqldriver.ErrInvalidConn) || errors.Is(err, sql.ErrConnDone) || errors.As(err, &netErr)
}

// Unreachable says whether err means that the database is away or refuses for
// now (connection refused or lost, too many connections, read-only, shutting
// down, out of time), rather than that a statement or its data is wrong.
func Unreachable(err error) bool {
	if connectionLost(err) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) || errors.Is(err, ErrCommitUnknown) || retryable(err) {
		return true
	}
	var my *mysqldriver.MySQLError
	if errors.As(err, &my) {
		switch my.Number {
		case 1040, 1047, 1053, 1226, 1290, 1792, 4031, 9001, 9002, 9003, 9004, 9005, 1836, 1927, 3100, 1021, 1114, 1037, 1041, 1203, 1317, 3024, 1969:
			return true
		}
	}
	var lite *sqlitedriver.Error
	if errors.As(err, &lite) {
		switch lite.Code() & 0xff {
		case 8, 10, 13, 14: // READONLY, IOERR, FULL, CANTOPEN
			return true
		}
	}
	return false
}

// Migration is one step of the schema and whether it has been applied.
type Migration struct {
	Version int64
	Name    string
	Applied bool
}

func (s *Store) provider() (*goose.Provider, error) {
	dir, err := fs.Sub(migrations.Files, string(s.dialect))
	if err != nil {
		return nil, fmt.Errorf("embedded migrations: %w", err)
	}
	pool, err := s.writer.DB()
	if err != nil {
		return nil, fmt.Errorf("pool: %w", err)
	}
	dialect := goose.DialectMySQL
	if s.dialect == SQLite {
		dialect = goose.DialectSQLite3
	}
	provider, err := goose.NewProvider(dialect, pool, dir)
	if err != nil {
		return nil, fmt.Errorf("migrations: %w", err)
	}
	return provider, nil
}

// Migrate brings the schema up to date, one node at a time: others wait for its
// lock (MySQL: GET_LOCK on one connection, freed also when that node dies).
func (s *Store) Migrate(ctx context.Context) error {
	provider, err := s.provider()
	if err != nil {
		return err
	}
	if s.dialect == MySQL {
		unlock, err := s.lockMigrations(ctx)
		if err != nil {
			return err
		}
		defer unlock()
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return s.checkSchema(ctx, provider)
}

// ErrSchemaTooNew means that a later version has taken out of the schema what this one works with.
var ErrSchemaTooNew = errors.New("the database was brought up to date by a later version, and this one cannot work with it any more: start that version, or a later one")

// checkSchema looks whether this program can work with a schema that may be of a later version. What was only added
// does not matter (see migrations/README.md); a migration that takes something out says which ones a program must know.
func (s *Store) checkSchema(ctx context.Context, provider *goose.Provider) error {
	var needs int64
	if err := s.read(ctx).Raw("SELECT COALESCE(MAX(needs), 0) FROM installation").Row().Scan(&needs); err != nil {
		return fmt.Errorf("read what the schema needs: %w", err)
	}
	sources := provider.ListSources()
	known := sources[len(sources)-1].Version
	if needs > known {
		return fmt.Errorf("%w (it needs migration %d, this program knows them up to %d)", ErrSchemaTooNew, needs, known)
	}
	applied, err := provider.GetDBVersion(ctx)
	if err != nil {
		return fmt.Errorf("read the schema's version: %w", err)
	}
	if applied > known {
		s.log.Info("the schema is of a later version, which has only added to it", "schema", applied, "known", known)
	}
	return nil
}

func (s *Store) lockMigrations(ctx context.Context) (unlock func(), err error) {
	pool, err := s.writer.DB()
	if err != nil {
		return nil, fmt.Errorf("pool: %w", err)
	}
	conn, err := pool.Conn(ctx)
	if err != nil {
		return nil, fmt.Errorf("migration lock: %w", err)
	}
	var got sql.NullInt64
	if err := conn.QueryRowContext(ctx, "SELECT GET_LOCK(CONCAT('ackbox.migrate.', LEFT(MD5(DATABASE()), 16)), 120)").Scan(&got); err != nil || got.Int64 != 1 {
		return nil, errors.Join(fmt.Errorf("another node has held the migration lock for two minutes: %w", errors.Join(err, errors.New("no lock"))), conn.Close())
	}
	return func() {
		// The lock ends with the connection: make the pool throw it away.
		if err := conn.Raw(func(any) error { return driver.ErrBadConn }); err != nil && !errors.Is(err, driver.ErrBadConn) {
			s.log.Warn("migration lock", "error", err)
		}
		if err := conn.Close(); err != nil && !errors.Is(err, driver.ErrBadConn) && !errors.Is(err, sql.ErrConnDone) {
			s.log.Warn("migration lock", "error", err)
		}
	}, nil
}

// Migrations lists the steps in order.
func (s *Store) Migrations(ctx context.Context) ([]Migration, error) {
	provider, err := s.provider()
	if err != nil {
		return nil, err
	}
	status, err := provider.Status(ctx)
	if err != nil {
		return nil, fmt.Errorf("migration status: %w", err)
	}
	list := make([]Migration, 0, len(status))
	for _, m := range status {
		list = append(list, Migration{Version: m.Source.Version, Name: strings.TrimSuffix(filepath.Base(m.Source.Path), ".sql"), Applied: m.State == goose.StateApplied})
	}
	return list, nil
}
