package model

import (
	"cmp"
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Identity is which database server answers, and since when it has run. The zero value
// is one that has no identity to compare: SQLite, which lives in this process, and TiDB, where any of
// several servers answers, until it has been restored.
type Identity struct {
	Server   string
	Started  Millis
	Restored string // another one after each Store.Restored
}

// startTolerance is how far two readings of one server's start may lie apart: its uptime has whole seconds.
const startTolerance = 3 * time.Second

// Same says whether two readings are of one run of one server.
func (i Identity) Same(other Identity) bool {
	return i.Server == other.Server && SameStart(i.Started, other.Started) && i.Restored == other.Restored
}

// SameStart says whether two readings of a start, on two nodes perhaps, can be of the same one.
func SameStart(a, b Millis) bool { return b.Time().Sub(a.Time()).Abs() <= startTolerance }

// The statements that tell an identity, first the one for which any server is good, and how long it has run.
const (
	serverQuery = "SELECT VERSION(), CONCAT(@@server_id, '/', @@hostname, '/', @@port), UNIX_TIMESTAMP()" // by the database's clock: ours may step
	uptimeQuery = "SHOW GLOBAL STATUS LIKE 'Uptime'"
)

const tidb = "TiDB" // in its VERSION()

// identityOf puts the answers together.
func identityOf(version, server string, now, uptime int64) Identity {
	if strings.Contains(version, tidb) {
		return Identity{}
	}
	return Identity{Server: server, Started: Millis(now-uptime) * 1000}
}

// Identity reads it. Another one than before is told to those who asked for it by OnAnother.
func (s *Store) Identity(ctx context.Context) (i Identity, err error) {
	if s.dialect == SQLite {
		return Identity{}, nil
	}
	var version, server, name string
	var now, uptime int64
	if err := s.read(ctx).Raw(serverQuery).Row().Scan(&version, &server, &now); err != nil {
		return Identity{}, fmt.Errorf("read the database's identity: %w", err)
	}
	if !strings.Contains(version, tidb) {
		if err := s.read(ctx).Raw(uptimeQuery).Row().Scan(&name, &uptime); err != nil {
			return Identity{}, fmt.Errorf("read the database's uptime: %w", err)
		}
	}
	i = identityOf(version, server, now, uptime)
	if err := s.read(ctx).Raw("SELECT CONCAT('restored ', COALESCE((SELECT restored FROM installation WHERE id = 1), ''))").Row().Scan(&i.Restored); err != nil {
		return Identity{}, fmt.Errorf("read the database's mark: %w", err)
	}
	s.servers.met(i)
	return i, nil
}

// OnAnother has fn called when the database is another one or has started again, before anything of it is answered to
// anybody. fn must not use the store.
func (s *Store) OnAnother(fn func()) { s.servers.tell(fn) }

// Run is which run of the database answers, counted from 0 in this process.
func (s *Store) Run() int64 { return s.servers.runs.Load() }

// Started is since when the database has run, for comparing with what other nodes know (SameStart); 0 is unknown.
func (s *Store) Started() Millis { return Millis(s.servers.started.Load()) }

// servers is which database the connections lead to. Every new connection asks before it is used, so that nothing of a
// database that was restored, or has lost its tail in a crash, is seen before those who keep anything of it know.
type servers struct {
	runs, started atomic.Int64

	mu    sync.Mutex
	known Identity
	fns   []func()
}

func (s *servers) tell(fn func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fns = append(s.fns, fn)
}

// met takes a reading, of which Server or Restored may be empty: unknown. Others wait until those who have to know do.
func (s *servers) met(now Identity) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.known
	another := now.Server != "" && before.Server != "" && (now.Server != before.Server || !SameStart(now.Started, before.Started))
	marked := now.Restored != "" && before.Restored != "" && now.Restored != before.Restored
	if now.Server != "" {
		s.known.Server, s.known.Started = now.Server, now.Started
		s.started.Store(int64(now.Started))
	}
	s.known.Restored = cmp.Or(now.Restored, before.Restored)
	if !another && !marked {
		return
	}
	s.runs.Add(1)
	for _, fn := range s.fns {
		fn()
	}
}

// identify reads the identity of the server at the other end of a new connection.
func identify(ctx context.Context, conn driver.Conn) (Identity, error) {
	server, err := firstRow(ctx, conn, serverQuery, 3)
	if err != nil {
		return Identity{}, err
	}
	if strings.Contains(server[0], tidb) { // it may have no uptime to show
		return Identity{}, nil
	}
	uptime, err := firstRow(ctx, conn, uptimeQuery, 2)
	if err != nil {
		return Identity{}, err
	}
	now, err := strconv.ParseInt(server[2], 10, 64)
	if err != nil {
		return Identity{}, fmt.Errorf("the database's clock: %w", err)
	}
	seconds, err := strconv.ParseInt(uptime[1], 10, 64)
	if err != nil {
		return Identity{}, fmt.Errorf("the database's uptime: %w", err)
	}
	return identityOf(server[0], server[1], now, seconds), nil
}

// firstRow is the first row of an answer, as texts.
func firstRow(ctx context.Context, conn driver.Conn, query string, columns int) (texts []string, err error) {
	queryer, ok := conn.(driver.QueryerContext)
	if !ok {
		return nil, errors.New("the mysql driver has no QueryContext")
	}
	rows, err := queryer.QueryContext(ctx, query, nil)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", query, err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	row := make([]driver.Value, columns)
	if len(rows.Columns()) != columns {
		return nil, fmt.Errorf("%s: %d columns", query, len(rows.Columns()))
	}
	if err := rows.Next(row); err != nil {
		return nil, fmt.Errorf("%s: %w", query, err)
	}
	for _, value := range row {
		if text, is := value.([]byte); is {
			texts = append(texts, string(text))
		} else {
			texts = append(texts, fmt.Sprint(value))
		}
	}
	return texts, nil
}
