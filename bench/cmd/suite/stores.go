package main

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

// stores are the MariaDB and the Redis of one measurement: a database of its own in the one that the environment names, or
// in one that it started itself.
type stores struct {
	settings  []string       // the server's
	processes map[string]int // whose CPU time is reported, where they run on this machine

	closers []func() error // run last to first
}

// roomyBytes is the buffer pool and the redo log for the time of the measurement. Test databases are small, and a minute of
// sends outgrows them: what is measured then is their checkpoints.
const roomyBytes = 512 << 20

func openStores(ctx context.Context, dir string) (_ *stores, err error) {
	s := &stores{processes: map[string]int{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
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

func (s *stores) close() error {
	var err error
	for len(s.closers) > 0 {
		last := len(s.closers) - 1
		err = errors.Join(err, s.closers[last]())
		s.closers = s.closers[:last]
	}
	return err
}

func (s *stores) openMySQL(ctx context.Context, dir string) error {
	dsn := os.Getenv(instance.MySQLVariable)
	if dsn == "" {
		m, err := instance.StartMariaDB(ctx, filepath.Join(dir, "mariadb"))
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
	for _, variable := range []string{"innodb_buffer_pool_size", "innodb_log_file_size"} {
		s.enlarge(ctx, db, variable)
	}
	var version, datadir, pidFile, flush, binlog string
	if err := db.QueryRowContext(ctx, "SELECT @@version, @@datadir, @@pid_file, @@innodb_flush_log_at_trx_commit, @@log_bin").
		Scan(&version, &datadir, &pidFile, &flush, &binlog); err != nil {
		return fmt.Errorf("the database's settings: %w", err)
	}
	note(fmt.Sprintf("database %s, innodb_flush_log_at_trx_commit=%s, log_bin=%s", version, flush, binlog))
	if !filepath.IsAbs(pidFile) {
		pidFile = filepath.Join(datadir, pidFile)
	}
	if text, err := os.ReadFile(pidFile); err == nil { // elsewhere it is another machine's
		if pid, err := strconv.Atoi(strings.TrimSpace(string(text))); err == nil {
			s.processes["mariadb"] = pid
		}
	}
	cfg.DBName = name
	s.settings = append(s.settings, "ACKBOX_MYSQL_DSN="+cfg.FormatDSN())
	return nil
}

// enlarge sets a size that is below roomyBytes to it, and back at the end. A server that doesn't let us (MySQL 8 has another
// name for its log, a user may lack the privilege) is measured as it is, which is said.
func (s *stores) enlarge(ctx context.Context, db *sql.DB, variable string) {
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
		note(fmt.Sprintf("%s stays as it is: %v", variable, err))
		return
	}
	s.closers = append(s.closers, func() error { return set(context.WithoutCancel(ctx), before) })
}

var redisProcess = regexp.MustCompile(`(?m)^process_id:(\d+)`)

func (s *stores) openRedis(ctx context.Context, dir string) error {
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
			s.processes["redis"] = pid
		}
	}
	s.settings = append(s.settings, "ACKBOX_REDIS_URL="+url)
	return nil
}

// local says whether an address is this machine's loopback, so that its process ids are ours.
func local(addr string) bool {
	return strings.HasPrefix(addr, "127.") || strings.HasPrefix(addr, "localhost:") || strings.HasPrefix(addr, "[::1]:")
}
