package model

import (
	"context"
	"fmt"
	"strings"
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
	apart := other.Started.Time().Sub(i.Started.Time()).Abs()
	return i.Server == other.Server && apart <= startTolerance && i.Restored == other.Restored
}

// Identity reads it.
func (s *Store) Identity(ctx context.Context) (i Identity, err error) {
	if s.dialect == SQLite {
		return Identity{}, nil
	}
	var version, server, restored string
	var now int64 // by the database's clock: ours may step
	if err := s.read(ctx).Raw("SELECT VERSION(), CONCAT(@@server_id, '/', @@hostname, '/', @@port), UNIX_TIMESTAMP(), COALESCE((SELECT restored FROM installation WHERE id = 1), '')").Row().Scan(&version, &server, &now, &restored); err != nil {
		return Identity{}, fmt.Errorf("read the database's identity: %w", err)
	}
	if strings.Contains(version, "TiDB") {
		return Identity{Restored: "restored " + restored}, nil
	}
	var name string
	var uptime int64
	if err := s.read(ctx).Raw("SHOW GLOBAL STATUS LIKE 'Uptime'").Row().Scan(&name, &uptime); err != nil {
		return Identity{}, fmt.Errorf("read the database's uptime: %w", err)
	}
	return Identity{Server: server, Started: Millis(now-uptime) * 1000, Restored: restored}, nil
}
