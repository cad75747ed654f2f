package model

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"
)

// MaxNodeID is the highest node id: ids have ten bits for it.
const MaxNodeID NodeID = 1023

// Lease is a node's claim on a node id. IDsUntil is the reserved high-water mark of
// the id service's time part: ids with a later time have never been given out under
// this node id, whoever held it. A new holder starts above it, so two holders can
// never make the same id, whatever their clocks say. How long a lease holds is the
// database's to say, by its own clock: all nodes agree on who lives, whatever theirs say.
type Lease struct {
	NodeID   NodeID
	Holder   string // random, of this process
	Address  string
	IDsUntil int64 // in the id service's time unit
}

// storeClock is the database's clock in an expression, as Unix milliseconds.
func (s *Store) storeClock() string {
	if s.dialect == SQLite {
		return "CAST(unixepoch('subsec') * 1000 AS INTEGER)"
	}
	return "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) DIV 1000"
}

// AcquireLease takes the given node id, or with -1 the lowest free or expired one, for ttl,
// and reserves ids up to `until(previous mark)`. now is the node's own time, for its StartedAt.
// CodeUnavailable when none is free.
func (s *Store) AcquireLease(ctx context.Context, want NodeID, holder, address string, now Millis, ttl time.Duration, until func(previous int64) int64) (lease Lease, previous int64, err error) {
	type row struct {
		Lease
		held bool
	}
	claim := func(tx *Store) error {
		rows, err := tx.read(ctx).Raw("SELECT id, holder, ids_until, expires_at >= " + tx.storeClock() + " FROM nodes ORDER BY id" + tx.forUpdate()).Rows()
		if err != nil {
			return fmt.Errorf("read node leases: %w", err)
		}
		list, err := scanAll(rows, func(r *sql.Rows) (l row, err error) {
			err = r.Scan(&l.NodeID, &l.Holder, &l.IDsUntil, &l.held)
			return l, err
		})
		if err != nil {
			return err
		}
		byID := make(map[NodeID]row, len(list))
		for _, l := range list {
			byID[l.NodeID] = l
		}
		free := func(id NodeID) bool {
			l, taken := byID[id]
			return !taken || !l.held || l.Holder == holder
		}
		var above int64
		if err := tx.read(ctx).Raw("SELECT COALESCE(MAX(ids_above), 0) FROM installation").Row().Scan(&above); err != nil {
			return fmt.Errorf("read what is above all ids: %w", err)
		}
		id := want
		if want < 0 {
			for id = 0; id <= MaxNodeID && !free(id); id++ {
			}
		}
		if id > MaxNodeID || !free(id) {
			return NewError(CodeUnavailable, "node id %d is held by another node until its lease ends; stop that node or choose another ACKBOX_NODE_ID", id)
		}
		previous = max(byID[id].IDsUntil, above)
		lease = Lease{NodeID: id, Holder: holder, Address: address, IDsUntil: until(previous)}
		write := "INSERT INTO nodes (holder, address, ids_until, expires_at, started_at, id) VALUES (?,?,?," + tx.storeClock() + " + ?,?,?)" // two that race for a new row: one gets a duplicate key
		if _, known := byID[id]; known {
			write = "UPDATE nodes SET holder = ?, address = ?, ids_until = ?, expires_at = " + tx.storeClock() + " + ?, started_at = ? WHERE id = ?"
		}
		if err := tx.write(ctx).Exec(write, holder, address, lease.IDsUntil, ttl.Milliseconds(), now, id).Error; err != nil {
			return fmt.Errorf("write node lease: %w", err)
		}
		return nil
	}
	for range maxTxAttempts {
		if err = s.Tx(ctx, claim); !errors.Is(err, gorm.ErrDuplicatedKey) {
			break
		}
	}
	return lease, previous, err
}

// ErrLeaseLost means that another process holds the node id now.
var ErrLeaseLost = errors.New("the node lease is held by another process")

// RenewLease makes a lease hold for ttl from now on and extends its reservation; ErrLeaseLost when it is gone.
func (s *Store) RenewLease(ctx context.Context, lease Lease, ttl time.Duration) error {
	return s.Tx(ctx, func(tx *Store) error {
		var holder string
		err := tx.read(ctx).Raw("SELECT holder FROM nodes WHERE id = ?"+tx.forUpdate(), lease.NodeID).Row().Scan(&holder)
		if errors.Is(err, sql.ErrNoRows) || (err == nil && holder != lease.Holder) {
			return ErrLeaseLost
		}
		if err != nil {
			return fmt.Errorf("read node lease: %w", err)
		}
		if err := tx.write(ctx).Exec("UPDATE nodes SET ids_until = CASE WHEN ids_until < ? THEN ? ELSE ids_until END, expires_at = "+tx.storeClock()+" + ? WHERE id = ?", lease.IDsUntil, lease.IDsUntil, ttl.Milliseconds(), lease.NodeID).Error; err != nil {
			return fmt.Errorf("renew node lease: %w", err)
		}
		return nil
	})
}

// ReleaseLease frees the node id; the reservation stays.
func (s *Store) ReleaseLease(ctx context.Context, lease Lease) error {
	if err := s.write(ctx).Exec("UPDATE nodes SET expires_at = 0 WHERE id = ? AND holder = ?", lease.NodeID, lease.Holder).Error; err != nil {
		return fmt.Errorf("release node lease: %w", err)
	}
	return nil
}

// NodeRow is a node that has ever run here, as its lease says.
type NodeRow struct {
	ID        NodeID
	Address   string // of its public listener
	StartedAt Millis // by its own clock
	ExpiresAt Millis // of its lease, by the database's clock; 0: it stopped in order
	// Left is how much longer the lease holds; negative: it ended so long ago, or was given back.
	Left time.Duration
}

// Live says whether its lease holds.
func (n NodeRow) Live() bool { return n.Left >= 0 }

// Nodes lists all node ids that were ever leased, at most 1,024, in order.
func (s *Store) Nodes(ctx context.Context) ([]NodeRow, error) {
	rows, err := s.read(ctx).Raw("SELECT id, address, started_at, expires_at, expires_at - " + s.storeClock() + " FROM nodes ORDER BY id").Rows()
	if err != nil {
		return nil, fmt.Errorf("list nodes: %w", err)
	}
	return scanAll(rows, func(r *sql.Rows) (n NodeRow, err error) {
		var left int64
		err = r.Scan(&n.ID, &n.Address, &n.StartedAt, &n.ExpiresAt, &left)
		n.Left = time.Duration(left) * time.Millisecond
		return n, err
	})
}

// LiveNodes counts the nodes whose lease holds.
func (s *Store) LiveNodes(ctx context.Context) (n int, err error) {
	if err := s.read(ctx).Raw("SELECT COUNT(*) FROM nodes WHERE expires_at >= " + s.storeClock()).Row().Scan(&n); err != nil {
		return 0, fmt.Errorf("count nodes: %w", err)
	}
	return n, nil
}
