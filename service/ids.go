// Package service is what the product does: accounts, the send path (message.go,
// window.go, writer.go), the push path (delivery.go, session.go, ackqueue.go), mailboxes and
// their acks, conversations, and the relay to other nodes. It knows neither HTTP nor
// sockets: what it needs of them it declares as small interfaces.
package service

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"ackbox/model"
)

// What an id is made of: see model.IDNodeBits.
const (
	idNodeBits    = model.IDNodeBits
	idCounterBits = model.IDCounterBits
)

var idEpoch = model.IDEpoch

const (
	// LeaseTTL is how long a node id stays ours without renewal.
	LeaseTTL = 30 * time.Second
	// idReserve is how far ahead of now the id service may go on without the
	// database: the high-water mark in the lease. Longer than LeaseTTL, so that a renewal
	// that comes late costs nothing.
	idReserve = 60 * time.Second
)

// IDs gives out ids that are strictly increasing in this process and unique for
// ever in the deployment. Two things make them so: the node id is leased, and the
// time part never passes the mark that the lease reserved, above which the next
// holder starts. Time is monotonic from the start of the process, so a clock that
// steps back changes nothing, and a restart with a clock that is behind starts at
// the mark.
type IDs struct {
	store   *model.Store
	log     *slog.Logger
	address string
	want    model.NodeID
	clock   func() time.Time

	mu      sync.Mutex
	lease   model.Lease
	started time.Time // with its monotonic reading
	base    int64     // ms since idEpoch at started
	last    int64     // last used ms
	counter int64     // next counter within last
}

// NewIDs leases a node id (want, or any with -1). The first error says what to do.
func NewIDs(ctx context.Context, store *model.Store, want model.NodeID, address string, clock func() time.Time, log *slog.Logger) (*IDs, error) {
	ids := &IDs{store: store, log: log, address: address, want: want, clock: clock}
	if err := ids.acquire(ctx); err != nil {
		return nil, err
	}
	return ids, nil
}

// restoreMargin is how far above everything that is known the ids after a restore begin: a node that was killed again
// and again has run ahead of the clock, a minute each time, and what it reserved may be lost with the database.
const restoreMargin = 24 * time.Hour

// MarkRestored says that a database has been brought back to an earlier moment, before or while nodes use it: their ids
// go on above all that were given out since then, and running nodes make their devices check their positions. above is
// the highest mark that the lost state is known to have had, 0 for unknown.
func MarkRestored(ctx context.Context, store *model.Store, above int64, clock func() time.Time) error {
	return store.Restored(ctx, rand.Text(), max(above, clock().UnixMilli()-idEpoch), restoreMargin.Milliseconds())
}

func (g *IDs) acquire(ctx context.Context) error {
	now := g.clock()
	g.mu.Lock()
	base := max(now.UnixMilli()-idEpoch, g.last+1) // above what this process gave out, also when its lease's row is gone
	g.mu.Unlock()
	mark := func(previous int64) int64 { return max(base, previous+1) + idReserve.Milliseconds() }
	lease, previous, err := g.store.AcquireLease(ctx, g.want, rand.Text(), g.address, model.MillisOf(now), LeaseTTL, mark)
	if err != nil {
		return fmt.Errorf("lease a node id: %w", err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.lease, g.started = lease, now
	g.base = max(base, previous+1, g.last+1)
	g.last, g.counter = g.base, 0
	return nil
}

// Node is the leased node id.
func (g *IDs) Node() model.NodeID {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.lease.NodeID
}

// Next is one id. CodeUnavailable when the reservation has run out because the
// database has been away for a minute.
func (g *IDs) Next() (int64, error) {
	ids, err := g.Take(context.Background(), 1)
	if err != nil {
		return 0, err
	}
	return ids[0], nil
}

// Take is n ids, strictly increasing.
func (g *IDs) Take(_ context.Context, n int) ([]int64, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if now := g.base + g.clock().Sub(g.started).Milliseconds(); now > g.last {
		g.last, g.counter = now, 0
	}
	ids := make([]int64, n)
	for i := range ids {
		if g.counter == 1<<idCounterBits { // borrow the next millisecond: it is reserved too
			g.last, g.counter = g.last+1, 0
		}
		if g.last >= g.lease.IDsUntil {
			return nil, &model.Error{Code: model.CodeUnavailable, Detail: "the id service waits for the database", RetryAfter: time.Second}
		}
		ids[i] = g.last<<(idNodeBits+idCounterBits) | int64(g.lease.NodeID)<<idCounterBits | g.counter
		g.counter++
	}
	return ids, nil
}

// Renew extends the lease and its reservation; a job calls it every few seconds. A lease
// that was lost (this process was frozen for longer than LeaseTTL) is replaced by a
// new one; ids made until then stay unique, because they are below the old mark.
func (g *IDs) Renew(ctx context.Context) error {
	now := g.clock()
	g.mu.Lock()
	lease := g.lease
	current := max(g.last, g.base+now.Sub(g.started).Milliseconds())
	g.mu.Unlock()
	lease.IDsUntil = max(lease.IDsUntil, current+idReserve.Milliseconds())
	err := g.store.RenewLease(ctx, lease, LeaseTTL)
	if errors.Is(err, model.ErrLeaseLost) {
		g.log.Warn("node lease was lost, taking another", "node", lease.NodeID)
		return g.acquire(ctx)
	}
	if err != nil {
		return fmt.Errorf("renew node lease: %w", err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.lease.Holder == lease.Holder {
		g.lease = lease
	}
	return nil
}

// Release frees the node id at shutdown.
func (g *IDs) Release(ctx context.Context) error {
	g.mu.Lock()
	lease := g.lease
	g.mu.Unlock()
	return g.store.ReleaseLease(ctx, lease)
}
