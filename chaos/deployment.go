package chaos

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	_ "github.com/glebarez/go-sqlite" // database/sql's "sqlite"
	"github.com/go-sql-driver/mysql"
	"github.com/redis/go-redis/v9"

	"ackbox/internal/testenv/instance"
)

// Shape says what a fault needs around it.
type Shape struct {
	Nodes  int      // at least 1
	SQLite bool     // one node on a file of its own; no MariaDB, no Redis
	Env    []string // further settings of every node, NAME=value
	// Proxies stand between each node and its stores, where a fault needs them.
	DatabaseProxies, RedisProxies bool
	// Unsafe is MariaDB without a binary log: after kill -9 it may take back what others have already read.
	Unsafe bool
	// Clock gives the nodes' binary a clock that can be stepped, see clock.go.
	Clock bool
}

// Deployment is what a run breaks: nodes and their stores, all on 127.0.0.1. One goroutine may use it at a time.
type Deployment struct {
	Nodes   []*Node
	MariaDB *instance.MariaDB // nil with SQLite
	Redis   *instance.Redis   // nil with SQLite
	// One for each node, where the shape asks for them.
	DatabaseProxies, RedisProxies []*Proxy

	admin   *sql.DB // as root, which nothing refuses; the file with SQLite
	redis   *redis.Client
	closers []func() error // run last to first
}

const database = "ackbox"

// NewDeployment starts everything with fresh data under dir, which must be short enough for a socket's path; logs go to logs.
func NewDeployment(ctx context.Context, shape Shape, crowd Crowd, bin, dir, logs string) (_ *Deployment, err error) {
	d := &Deployment{}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.Close())
		}
	}()
	if err := os.MkdirAll(logs, 0o700); err != nil {
		return nil, fmt.Errorf("folder of the logs: %w", err)
	}
	if !shape.SQLite {
		if err := d.startStores(ctx, shape, dir); err != nil {
			return nil, err
		}
	}
	secret := rand.Text() + rand.Text()
	for i := range shape.Nodes {
		settings := []string{"ACKBOX_RATE_LIMIT=off", "ACKBOX_JWT_SECRET=" + secret, "ACKBOX_ACCESS_TOKEN_TTL=24h", "ACKBOX_SWEEP_INTERVAL=2s", "ACKBOX_PASSWORD_MEMORY_KIB=64"}
		if !shape.SQLite {
			stores, err := d.stores(shape)
			if err != nil {
				return nil, err
			}
			settings = append(settings, stores...)
		}
		name := fmt.Sprintf("node%d", i+1)
		if shape.Clock {
			settings = append(settings, stepVariable+"="+filepath.Join(dir, name, stepFile))
		}
		node, err := newNode(bin, filepath.Join(dir, name), filepath.Join(logs, name+".log"), name, append(append(settings, shape.Env...), crowd.settings()...))
		if err != nil {
			return nil, err
		}
		d.Nodes = append(d.Nodes, node)
		d.closers = append(d.closers, node.close)
		if err := node.Start(ctx); err != nil {
			return nil, err
		}
	}
	if shape.SQLite {
		if d.admin, err = sql.Open("sqlite", "file:"+filepath.Join(d.Nodes[0].dir, "data", "ackbox.db")+"?mode=ro&_pragma=busy_timeout(5000)"); err != nil {
			return nil, fmt.Errorf("open the node's file: %w", err)
		}
		d.closers = append(d.closers, d.admin.Close)
	}
	return d, nil
}

func (d *Deployment) startStores(ctx context.Context, shape Shape, dir string) (err error) {
	var options []string
	if !shape.Unsafe {
		options = []string{"--log-bin=binlog", "--sync-binlog=1", "--binlog-format=ROW", "--expire-logs-days=1", "--max-binlog-size=64M"}
	}
	if d.MariaDB, err = instance.StartMariaDB(ctx, filepath.Join(dir, "mariadb"), options...); err != nil {
		return err
	}
	d.closers = append(d.closers, d.MariaDB.Close)
	if d.Redis, err = instance.StartRedis(ctx, filepath.Join(dir, "redis")); err != nil {
		return err
	}
	d.closers = append(d.closers, d.Redis.Close)
	d.redis = redis.NewClient(&redis.Options{Addr: d.Redis.Addr(), MaxRetries: -1, DisableIdentity: true})
	d.closers = append(d.closers, d.redis.Close)

	cfg, err := mysql.ParseDSN(d.MariaDB.DSN(""))
	if err != nil {
		return fmt.Errorf("the database's address: %w", err)
	}
	cfg.Logger = &mysql.NopLogger{}
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return fmt.Errorf("the database's address: %w", err)
	}
	d.admin = sql.OpenDB(connector)
	d.admin.SetMaxIdleConns(0) // a fault that closes connections closes ours too
	d.closers = append(d.closers, d.admin.Close)
	return d.execute(ctx,
		"CREATE DATABASE "+database+" CHARACTER SET utf8mb4",
		// The nodes' own user: root would write to a read-only server too.
		"CREATE USER "+database+" IDENTIFIED BY ''", "GRANT ALL ON "+database+".* TO "+database)
}

// stores are the settings that lead the next node to its database and its Redis.
func (d *Deployment) stores(shape Shape) ([]string, error) {
	mariadb, redisAddr := d.MariaDB.Addr(), d.Redis.Addr()
	if shape.DatabaseProxies {
		proxy, err := NewProxy(mariadb, true)
		if err != nil {
			return nil, err
		}
		d.closers = append(d.closers, proxy.Close)
		d.DatabaseProxies, mariadb = append(d.DatabaseProxies, proxy), proxy.Addr()
	}
	if shape.RedisProxies {
		proxy, err := NewProxy(redisAddr, false)
		if err != nil {
			return nil, err
		}
		d.closers = append(d.closers, proxy.Close)
		d.RedisProxies, redisAddr = append(d.RedisProxies, proxy), proxy.Addr()
	}
	cfg := mysql.NewConfig()
	cfg.User, cfg.Net, cfg.Addr, cfg.DBName = database, "tcp", mariadb, database
	return []string{"ACKBOX_MYSQL_DSN=" + cfg.FormatDSN(), "ACKBOX_REDIS_URL=redis://" + redisAddr + "/0"}, nil
}

// execute runs statements as the database's root.
func (d *Deployment) execute(ctx context.Context, statements ...string) error {
	for _, statement := range statements {
		if _, err := d.admin.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	return nil
}

// AwaitReady waits until every node is ready.
func (d *Deployment) AwaitReady(ctx context.Context) error {
	for _, node := range d.Nodes {
		if err := node.AwaitReady(ctx); err != nil {
			return err
		}
	}
	return nil
}

// URLs are the nodes' addresses.
func (d *Deployment) URLs() []string {
	urls := make([]string, len(d.Nodes))
	for i, node := range d.Nodes {
		urls[i] = node.URL
	}
	return urls
}

// Close kills what runs and gives the ports back.
func (d *Deployment) Close() error {
	var err error
	for len(d.closers) > 0 {
		last := len(d.closers) - 1
		err = errors.Join(err, d.closers[last]())
		d.closers = d.closers[:last]
	}
	return err
}
