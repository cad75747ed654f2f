package chaos

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

func databaseFaults() []Fault {
	return []Fault{
		{Name: "kill-mariadb", Help: "kill -9 of MariaDB (binary log synced at every commit)", Shape: Shape{Nodes: 2}, Strike: killMariaDB},
		{Name: "kill-mariadb-unsafe", Help: "kill -9 of MariaDB without a binary log: positions may be lost", Shape: Shape{Nodes: 2, Unsafe: true}, Strike: killMariaDB},
		{Name: "mariadb-down", Help: "MariaDB killed and away for 75 s, longer than nodes have ids in reserve (short: 5 s)", Shape: Shape{Nodes: 2}, Strike: mariaDBDown},
		{
			Name: "lost-tail", Help: "MariaDB killed, and put back to what it held a moment before: accepted sends are gone", Shape: Shape{Nodes: 2},
			Crowd: Crowd{People: 24, Groups: 4, GroupSize: 6, LogSize: 16, Moving: time.Second, Churn: 0.02}, Strike: loseTail, // few are cut: they shall be told
		},
		{Name: "cut-commit", Help: "connections cut exactly in COMMIT, before it arrives or before its answer does", Shape: Shape{Nodes: 2, DatabaseProxies: true}, Strike: cutCommit},
		{Name: "db-readonly", Help: "MariaDB set read-only", Shape: Shape{Nodes: 2}, Strike: readOnly},
		{Name: "pool-exhausted", Help: "MariaDB has two connections left for all nodes", Shape: Shape{Nodes: 2}, Strike: exhaust},
	}
}

func killMariaDB(ctx context.Context, s *Strike) error {
	s.Begin(nil, "kill -9 of MariaDB")
	if err := s.MariaDB.Kill(); err != nil {
		return err
	}
	s.Done(nil)
	if err := s.MariaDB.Start(ctx); err != nil {
		return err
	}
	return s.AwaitReady(ctx)
}

func mariaDBDown(ctx context.Context, s *Strike) error {
	s.Begin(nil, "kill -9 of MariaDB, which stays away")
	if err := s.MariaDB.Kill(); err != nil {
		return err
	}
	err := wait(ctx, s.long(75*time.Second, 5*time.Second))
	return errors.Join(err, s.MariaDB.Start(context.WithoutCancel(ctx)), s.AwaitReady(ctx))
}

// loseTail puts the database back to what it held some hundred milliseconds before it was killed. Every other time an
// operator tells it so, as docs/operations.md asks for after a restore; the nodes have to notice without that too.
func loseTail(ctx context.Context, s *Strike) error {
	told, what := s.Rand.IntN(2) == 0, "the database is killed and loses its last moments"
	if told {
		what += ", and is marked as restored"
	}
	// Two starts within three seconds are one to the nodes, which know them by the database's uptime in whole seconds.
	if err := s.until(ctx, "SELECT variable_value >= 5 FROM information_schema.global_status WHERE variable_name = 'UPTIME'"); err != nil {
		return err
	}
	s.Begin(nil, what)
	copied, lose := s.Keep()
	if err := s.MariaDB.Keep(ctx, copied); err != nil {
		return err
	}
	var newest int64
	if err := s.admin.QueryRowContext(ctx, "SELECT COALESCE(MAX(id), 0) FROM "+database+".messages").Scan(&newest); err != nil {
		return fmt.Errorf("what the database has: %w", err)
	}
	if err := s.until(ctx, "SELECT COALESCE(MAX(id), 0) > ? FROM "+database+".messages", newest); err != nil { // there is something to lose
		return err
	}
	if err := wait(ctx, 200*time.Millisecond+time.Duration(s.Rand.Int64N(int64(time.Second)))); err != nil {
		return err
	}
	if err := s.MariaDB.Kill(); err != nil {
		return err
	}
	s.Done(nil)
	lose()
	if err := s.MariaDB.PutBack(); err != nil {
		return err
	}
	if err := s.MariaDB.Start(ctx); err != nil {
		return err
	}
	if told {
		if err := s.Nodes[0].Command(ctx, "restored"); err != nil {
			return err
		}
	}
	if err := s.AwaitReady(ctx); err != nil {
		return err
	}
	// The nodes close sockets for some seconds; now and then the next blow comes before they have closed all.
	return wait(ctx, time.Duration(s.Rand.Int64N(int64(s.long(10*time.Second, time.Second)))))
}

// until waits until a query answers 1.
func (s *Strike) until(ctx context.Context, query string, args ...any) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		var is bool
		if err := s.admin.QueryRowContext(ctx, query, args...).Scan(&is); err != nil {
			return fmt.Errorf("%s: %w", query, err)
		}
		if is {
			return nil
		}
		if err := wait(ctx, 20*time.Millisecond); err != nil {
			return fmt.Errorf("%s: %w", query, err)
		}
	}
}

// cutCommit cuts up to 8 commits of one node, half of the times before and half after the database has got them.
func cutCommit(ctx context.Context, s *Strike) error {
	node, i := s.node()
	proxy, n := s.DatabaseProxies[i], 1+s.Rand.IntN(8)
	where, what := CutBefore, "before it arrives"
	if s.Rand.IntN(2) == 0 {
		where, what = CutAfter, "before its answer arrives"
	}
	target := proxy.Cuts() + n
	s.Begin(node, fmt.Sprintf("%d connections of %s cut in COMMIT, %s", n, node.Name, what))
	proxy.CutCommits(where, n)
	deadline := time.Now().Add(20 * time.Second)
	for proxy.Cuts() < target {
		if time.Now().After(deadline) {
			return fmt.Errorf("only %d of %d commits came to be cut in 20 s", n-target+proxy.Cuts(), n)
		}
		if err := wait(ctx, 5*time.Millisecond); err != nil {
			return err
		}
	}
	return s.AwaitReady(ctx)
}

func readOnly(ctx context.Context, s *Strike) error {
	s.Begin(nil, "MariaDB is read-only")
	if err := s.execute(ctx, "SET GLOBAL read_only = 1"); err != nil { // it waits for open transactions, which wait for it: up to innodb_lock_wait_timeout
		return err
	}
	s.Done(nil)
	err := wait(ctx, s.long(5*time.Second, 2*time.Second))
	return errors.Join(err, s.execute(context.WithoutCancel(ctx), "SET GLOBAL read_only = 0"), s.AwaitReady(ctx))
}

// minConnections is the lowest max_connections that MariaDB takes.
const minConnections = 10

// exhaust leaves the nodes two connections, and takes those that they had.
func exhaust(ctx context.Context, s *Strike) (err error) {
	s.Begin(nil, "MariaDB refuses all but two connections")
	var ours []*sql.Conn
	defer func() {
		for i, conn := range ours {
			if i == 0 { // no new one would be let in
				_, back := conn.ExecContext(context.WithoutCancel(ctx), "SET GLOBAL max_connections = 500")
				err = errors.Join(err, back)
			}
			err = errors.Join(err, conn.Close())
		}
		err = errors.Join(err, s.AwaitReady(ctx))
	}()
	for range minConnections - 2 {
		conn, err := s.admin.Conn(ctx)
		if err != nil {
			return fmt.Errorf("take a connection: %w", err)
		}
		ours = append(ours, conn)
	}
	for _, statement := range []string{fmt.Sprintf("SET GLOBAL max_connections = %d", minConnections), "KILL USER " + database} {
		if _, err := ours[0].ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	return wait(ctx, s.long(5*time.Second, 2*time.Second))
}
