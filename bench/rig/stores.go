package rig

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/go-sql-driver/mysql"
	"github.com/redis/go-redis/v9"

	"ackbox/internal/testenv/instance"
)

// Stores are the MariaDB and the Redis of one measurement: a database of its own in the one that the environment names, or
// in one that it started itself.
type Stores struct {
	Settings  []string       // the server's
	Processes map[string]int // whose CPU time is reported, where they run on this machine

	private []string       // options of a MariaDB of this measurement's own; nil: that of the environment will do
	note    func(string)   // tells the person who waits
	closers []func() error // run last to first
}

// roomyBytes is the buffer pool and the redo log for the time of the measurement. Test databases are small, and a minute of
// sends outgrows them: what is measured then is their checkpoints.
const roomyBytes = 512 << 20

// OpenStores opens what a server needs. Where the environment names no server they are started in dir. note is told what is
// measured.
func OpenStores(ctx context.Context, dir string, note func(string)) (*Stores, error) {
	return openStores(ctx, dir, &Stores{note: note})
}

// OpenPrivateStores starts a MariaDB with the given options (--name=value) in dir whatever the environment names: one that is
// to be filled, and thrown away.
func OpenPrivateStores(ctx context.Context, dir string, note func(string), options ...string) (*Stores, error) {
	return openStores(ctx, dir, &Stores{note: note, private: append([]string{}, options...)})
}

func openStores(ctx context.Context, dir string, s *Stores) (_ *Stores, err error) {
	s.Processes = map[string]int{}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if err := s.openMySQL(ctx, dir); err != nil {
		return nil, err
	}
	if err := s.openRedis(ctx, dir); err != nil {
		return nil, err
	}
	return s, nil
}

// Close drops the database, and stops what was started.
func (s *Stores) Close() error {
	var err error
	for len(s.closers) > 0 {
		last := len(s.closers) - 1
		err = errors.Join(err, s.closers[last]())
		s.closers = s.closers[:last]
	}
	return err
}

func (s *Stores) openMySQL(ctx context.Context, dir string) error {
	dsn := os.Getenv(instance.MySQLVariable)
	if dsn == "" || s.private != nil {
		m, err := instance.StartMariaDB(ctx, filepath.Join(dir, "mariadb"), s.private...)
		if err != nil {
			return err
		}
		s.closers = append(s.closers, m.Close)
		dsn = m.DSN("")
	}
	cfg, err := mysql.ParseDSN(dsn)
	if err != nil {
		return fmt.Errorf("%s: %w", instance.MySQLVariable, err)
	}
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return err
	}
	db := sql.OpenDB(connector)
	s.closers = append(s.closers, db.Close)

	name := "ackbox_bench_" + strings.ToLower(rand.Text()[:10])
	if _, err := db.ExecContext(ctx, "CREATE DATABASE "+name); err != nil {
		return fmt.Errorf("create the database %s: %w", name, err)
	}
	s.closers = append(s.closers, func() error {
		_, err := db.ExecContext(context.WithoutCancel(ctx), "DROP DATABASE "+name)
		return err
	})
	if s.private == nil {
		for _, variable := range []string{"innodb_buffer_pool_size", "innodb_log_file_size"} {
			s.enlarge(ctx, db, variable)
		}
	}
	var version, datadir, pidFile, flush, binlog string
	if err := db.QueryRowContext(ctx, "SELECT @@version, @@datadir, @@pid_file, @@innodb_flush_log_at_trx_commit, @@log_bin").
		Scan(&version, &datadir, &pidFile, &flush, &binlog); err != nil {
		return fmt.Errorf("the database's settings: %w", err)
	}
	s.note(fmt.Sprintf("database %s, innodb_flush_log_at_trx_commit=%s, log_bin=%s", version, flush, binlog))
	if !filepath.IsAbs(pidFile) {
		pidFile = filepath.Join(datadir, pidFile)
	}
	if text, err := os.ReadFile(pidFile); err == nil { // elsewhere it is another machine's
		if pid, err := strconv.Atoi(strings.TrimSpace(string(text))); err == nil {
			s.Processes["mariadb"] = pid
		}
	}
	cfg.DBName = name
	s.Settings = append(s.Settings, "ACKBOX_MYSQL_DSN="+cfg.FormatDSN())
	return nil
}

// enlarge sets a size that is below roomyBytes to it, and back at the end. A server that doesn't let us (MySQL 8 has another
// name for its log, a user may lack the privilege) is measured as it is, which is said.
func (s *Stores) enlarge(ctx context.Context, db *sql.DB, variable string) {
	var before int64
	err := db.QueryRowContext(ctx, "SELECT @@GLOBAL."+variable).Scan(&before)
	if err == nil && before >= roomyBytes {
		return
	}
	set := func(ctx context.Context, value int64) error {
		_, err := db.ExecContext(ctx, "SET GLOBAL "+variable+" = "+strconv.FormatInt(value, 10))
		return err
	}
	if err == nil {
		err = set(ctx, roomyBytes)
	}
	if err != nil {
		s.note(fmt.Sprintf("%s stays as it is: %v", variable, err))
		return
	}
	s.closers = append(s.closers, func() error { return set(context.WithoutCancel(ctx), before) })
}

var redisProcess = regexp.MustCompile(`(?m)^process_id:(\d+)`)

func (s *Stores) openRedis(ctx context.Context, dir string) error {
	url := os.Getenv(instance.RedisVariable)
	if url == "" {
		r, err := instance.StartRedis(ctx, filepath.Join(dir, "redis"))
		if err != nil {
			return err
		}
		s.closers = append(s.closers, r.Close)
		url = r.URL()
	}
	options, err := redis.ParseURL(url)
	if err != nil {
		return fmt.Errorf("%s: %w", instance.RedisVariable, err)
	}
	client := redis.NewClient(options)
	info, err := client.Info(ctx, "server").Result()
	if err := errors.Join(err, client.Close()); err != nil {
		return fmt.Errorf("redis: %w", err)
	}
	if found := redisProcess.FindStringSubmatch(info); found != nil {
		if pid, err := strconv.Atoi(found[1]); err == nil && local(options.Addr) {
			s.Processes["redis"] = pid
		}
	}
	s.Settings = append(s.Settings, "ACKBOX_REDIS_URL="+url)
	return nil
}

// local says whether an address is this machine's loopback, so that its process ids are ours.
func local(addr string) bool {
	return strings.HasPrefix(addr, "127.") || strings.HasPrefix(addr, "localhost:") || strings.HasPrefix(addr, "[::1]:")
}
