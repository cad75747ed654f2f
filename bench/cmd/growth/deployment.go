package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/redis/go-redis/v9"

	"ackbox/bench"
	"ackbox/bench/rig"
)

// deployment is a MariaDB and a Redis of this measurement's own with people in them, and the nodes that serve them.
type deployment struct {
	growth *growth
	dir    string
	stores *rig.Stores
	db     *sql.DB
	redis  *redis.Client
	nodes  []*rig.Server
	people population

	settings []string
	starts   int     // of nodes, for the names of their logs
	turns    int     // sets of contacts
	sessions int     // that were made
	sent     float64 // messages, by all runs so far
}

// deploy makes an empty database with the server's tables in dir, which it makes. Close has to be called.
func (g *growth) deploy(ctx context.Context, dir string) (_ *deployment, err error) {
	d := &deployment{growth: g, dir: dir}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.close())
		}
	}()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if d.people.era, err = newEra(time.Now()); err != nil {
		return nil, err
	}
	pool := strconv.Itoa(g.BufferPool) + "M"
	if d.stores, err = rig.OpenPrivateStores(ctx, dir, g.note, "--innodb-buffer-pool-size="+pool, "--innodb-log-file-size="+strconv.Itoa(g.RedoLog)+"M",
		"--innodb-io-capacity=5000", "--innodb-io-capacity-max=20000"); err != nil {
		return nil, err
	}
	if d.db, d.redis, err = clients(d.stores.Settings); err != nil {
		return nil, err
	}
	d.db.SetMaxOpenConns(g.FillConnections + 2)
	d.settings = append([]string{"ACKBOX_JWT_SECRET=" + rand.Text() + rand.Text()}, d.stores.Settings...)
	if err := d.serve(ctx, 1); err != nil { // it makes the tables
		return nil, err
	}
	err = d.stopNodes()
	return d, err
}

// clients connects to the stores that a server's settings name.
func clients(settings []string) (*sql.DB, *redis.Client, error) {
	values := map[string]string{}
	for _, s := range settings {
		name, value, _ := strings.Cut(s, "=")
		values[name] = value
	}
	cfg, err := mysql.ParseDSN(values["ACKBOX_MYSQL_DSN"])
	if err != nil {
		return nil, nil, err
	}
	cfg.InterpolateParams = true
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return nil, nil, err
	}
	options, err := redis.ParseURL(values["ACKBOX_REDIS_URL"])
	if err != nil {
		return nil, nil, err
	}
	return sql.OpenDB(connector), redis.NewClient(options), nil
}

func (d *deployment) close() error {
	err := d.stopNodes()
	if d.redis != nil {
		err = errors.Join(err, d.redis.Close())
	}
	if d.db != nil {
		err = errors.Join(err, d.db.Close())
	}
	if d.stores != nil {
		err = errors.Join(err, d.stores.Close())
	}
	return errors.Join(err, os.RemoveAll(d.dir))
}

// serve starts so many nodes anew.
func (d *deployment) serve(ctx context.Context, nodes int) error {
	if err := d.stopNodes(); err != nil {
		return err
	}
	for range nodes {
		d.starts++
		name := fmt.Sprintf("%s-node%d", filepath.Base(d.dir), d.starts)
		server, err := rig.StartServer(ctx, d.growth.Binary, d.dir, filepath.Join(d.growth.Out, name+".log"),
			append(append([]string{"ACKBOX_DATA_DIR=" + filepath.Join(d.dir, name)}, d.settings...), d.growth.Env...))
		if err != nil {
			return err
		}
		d.nodes = append(d.nodes, server)
	}
	return nil
}

func (d *deployment) stopNodes() error {
	var err error
	for _, n := range d.nodes {
		err = errors.Join(err, n.Close())
	}
	d.nodes = nil
	return err
}

// fill brings the people to so many, with no node running, and lets the database come to rest.
func (d *deployment) fill(ctx context.Context, users int) error {
	if err := d.stopNodes(); err != nil {
		return err
	}
	began := time.Now()
	before := d.people.size()
	if err := d.people.fill(ctx, d.db, users, d.growth.FillConnections, d.growth.live); err != nil {
		return err
	}
	if made := d.people.size() - before; made > 0 {
		took := time.Since(began)
		d.growth.note(fmt.Sprintf("filled in %d users with %d messages in %s (%.0f rows/s)", made, made*userMessages, took.Round(100*time.Millisecond), float64(made)*fillRows/took.Seconds()))
	}
	return d.rest(ctx)
}

// restPatience bounds the wait for the database's pages to be written after a fill.
const restPatience = 3 * time.Minute

// rest renews the tables' statistics and lets the database come to rest.
func (d *deployment) rest(ctx context.Context) error {
	if _, err := d.db.ExecContext(ctx, "ANALYZE TABLE "+strings.Join(tables, ", ")); err != nil {
		return err
	}
	return d.flush(ctx)
}

// flush waits until the pages that were changed are written, so that what is measured next does not pay for them.
func (d *deployment) flush(ctx context.Context) (err error) {
	var percent string
	if err := d.db.QueryRowContext(ctx, "SELECT @@GLOBAL.innodb_max_dirty_pages_pct").Scan(&percent); err != nil {
		return err
	}
	if _, err := d.db.ExecContext(ctx, "SET GLOBAL innodb_max_dirty_pages_pct = 0"); err != nil {
		return err
	}
	defer func() {
		_, setErr := d.db.ExecContext(context.WithoutCancel(ctx), "SET GLOBAL innodb_max_dirty_pages_pct = "+percent)
		err = errors.Join(err, setErr)
	}()
	var dirty int64
	stop := bench.Progress(d.growth.live, func() string { return "the database writes its pages" })
	defer stop()
	deadline := time.Now().Add(restPatience)
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		var name string
		if err := d.db.QueryRowContext(ctx, "SHOW GLOBAL STATUS LIKE 'Innodb_buffer_pool_pages_dirty'").Scan(&name, &dirty); err != nil {
			return err
		}
		if dirty < 100 {
			return nil
		}
		if time.Now().After(deadline) {
			d.growth.note(fmt.Sprintf("the database has still %d pages to write after %s; what follows pays for them", dirty, restPatience))
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// join gives the chosen people sessions, and contacts when contacts is above 0, and signs them in.
func (d *deployment) join(ctx context.Context, o bench.Options, chosen []int, number, contacts int) ([]*bench.User, error) {
	var list []contact
	if contacts > 0 {
		var err error
		if list, err = d.people.contacts(chosen, contacts, d.turns); err != nil {
			return nil, err
		}
		d.turns++
		if err := d.people.insertContacts(ctx, d.db, list); err != nil {
			return nil, err
		}
	}
	passes, err := d.people.passes(ctx, d.db, chosen, d.sessions, list)
	if err != nil {
		return nil, err
	}
	d.sessions += len(passes)
	return bench.Adopt(ctx, o, number, passes)
}

// tables are those that grow with people and messages.
var tables = []string{"users", "mailbox_heads", "devices", "conversations", "members", "messages", "send_keys", "mailboxes"}

// weights are the sizes of the tables in bytes, indexes included, by name.
func (d *deployment) weights(ctx context.Context) (_ map[string]float64, err error) {
	rows, err := d.db.QueryContext(ctx, "SELECT table_name, data_length + index_length FROM information_schema.tables WHERE table_schema = DATABASE()")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	weights := map[string]float64{}
	for rows.Next() {
		var name string
		var bytes float64
		if err := rows.Scan(&name, &bytes); err != nil {
			return nil, err
		}
		weights[name] = bytes
	}
	return weights, rows.Err()
}

// options are those of the measurement's runs against the nodes that are running.
func (d *deployment) options() bench.Options {
	g := d.growth
	o := bench.Options{
		Clients: g.Clients, SetupParallel: 4, Duration: g.Duration, Warmup: g.Warmup, Settle: 15 * time.Second, MemorySettle: 5 * time.Second,
		Timeout: 10 * time.Second, Rate: g.Rate, Text: 64, Connections: 1, IdleUsers: 100, Groups: 50, GroupSize: 20,
		LogMembers: 200, LogSingles: 10, LogSpacing: 500 * time.Millisecond, LogBursts: 3, LogBurst: 30, LogAckDelay: time.Second,
		Waiting: 1, FillGroup: 100, ReconnectClients: 2, ReconnectLimit: time.Minute, SlowSockets: 2, SlowRate: 0.5, SlowText: 8000, SlowRounds: 1, AckDevices: 1,
		Processes: map[string]int{}, Live: g.live,
	}
	for name, pid := range d.stores.Processes {
		o.Processes[name] = pid
	}
	for i, n := range d.nodes {
		o.URL = append(o.URL, n.URL())
		if i == 0 {
			o.ServerPID, o.AdminURL = n.PID(), n.AdminURL()
		} else {
			o.Processes["server"+strconv.Itoa(i+1)] = n.PID()
		}
	}
	return o
}

// measure runs scenarios, as often as the flags say, and puts their figures and errors, and what the messages were for Redis, into
// the step. A broken promise is an error.
func (d *deployment) measure(ctx context.Context, s *step, o bench.Options, scenarios ...string) error {
	for _, scenario := range scenarios {
		before, err := d.redisCounts(ctx)
		if err != nil {
			return err
		}
		reports, err := bench.Measure(ctx, o, []string{scenario}, d.growth.Repeat, nil)
		for _, r := range reports {
			s.take(r)
			err = errors.Join(err, r.Err())
		}
		if err != nil {
			return fmt.Errorf("%s at %s: %w", scenario, s.Label, err)
		}
		after, err := d.redisCounts(ctx)
		if err != nil {
			return err
		}
		d.sent += s.Figures[scenario+"/sent"] * float64(d.growth.Repeat)
		for name, count := range after {
			s.takeRedis(scenario, name, count-before[name], d.growth.Repeat)
		}
	}
	return nil
}

// redisCounts are the counters that tell what the load is for Redis.
func (d *deployment) redisCounts(ctx context.Context) (map[string]float64, error) {
	text, err := d.redis.Info(ctx, "stats").Result()
	if err != nil {
		return nil, fmt.Errorf("redis: %w", err)
	}
	counts := map[string]float64{}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		switch name {
		case "total_commands_processed", "total_net_input_bytes", "total_net_output_bytes":
			if counts[name], err = strconv.ParseFloat(value, 64); err != nil {
				return nil, fmt.Errorf("redis: %s: %w", name, err)
			}
		}
	}
	return counts, nil
}
