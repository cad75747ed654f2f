package model

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

// forgetLeases makes all node ids free, for the parts that count them.
func forgetLeases(t *testing.T, s *Store) {
	t.Helper()
	ok(t, s.write(t.Context()).Exec("DELETE FROM nodes").Error)
}

// leases: a node id has one holder at a time, and its next holder starts above the mark.
func leases(t *testing.T, s *Store) {
	ctx := within(t)
	forgetLeases(t, s)
	mark := func(ms int64) func(int64) int64 { return func(previous int64) int64 { return max(previous, ms) + 60 } }
	const hold, ended = time.Hour, -time.Second // a lease of less than no time has ended
	live := func(what string, count int) {
		t.Helper()
		n, err := s.LiveNodes(ctx)
		ok(t, err)
		want(t, what, n, count)
		list, err := s.Nodes(ctx)
		ok(t, err)
		for _, node := range list {
			if node.Live() {
				n--
			}
		}
		want(t, what+" of the list", n, 0)
	}

	first, previous, err := s.AcquireLease(ctx, -1, "one", "a:1", now, hold, mark(1_000))
	ok(t, err)
	want(t, "first lease", first, Lease{0, "one", "a:1", 1_060})
	want(t, "previous mark", previous, 0)
	second, _, err := s.AcquireLease(ctx, -1, "two", "b:1", now, hold, mark(1_000))
	ok(t, err)
	want(t, "second node", second.NodeID, 1)
	year := Millis(365 * 24 * time.Hour.Milliseconds())
	for _, clock := range []Millis{now, 0, now - year, now + year} { // the database's counts, not the node's
		_, _, err = s.AcquireLease(ctx, 0, "three", "c:1", clock, hold, mark(0))
		wantCode(t, err, CodeUnavailable)
	}
	live("live nodes", 2)
	list, err := s.Nodes(ctx)
	ok(t, err)
	if left := list[0].Left; left > hold || left < hold-patience {
		t.Errorf("a lease of %s has %s left", hold, left)
	}

	// Expired: taken over, by name or as the lowest; ids start above the mark even with a clock that is behind.
	ok(t, s.RenewLease(ctx, first, ended))
	ok(t, s.RenewLease(ctx, second, ended))
	live("live nodes later", 0)
	for i, id := range []NodeID{0, -1} {
		lease, previous, err := s.AcquireLease(ctx, id, fmt.Sprint("later", i), "d:1", now, hold, mark(5))
		ok(t, err)
		want(t, "node", lease.NodeID, NodeID(i))
		want(t, "previous mark", previous, 1_060)
		want(t, "mark", lease.IDsUntil, 1_120)
	}
	if err := s.RenewLease(ctx, first, hold); !errors.Is(err, ErrLeaseLost) {
		t.Errorf("renewing a lease that was taken over: %v", err)
	}
	ok(t, s.ReleaseLease(ctx, first)) // not its own any more: changes nothing
	live("live nodes after a stranger's release", 2)

	// Renewed: lives longer, and the mark never goes back.
	before := number(t, s, "SELECT expires_at FROM nodes WHERE id = 0")
	own := Lease{NodeID: 0, Holder: "later0", IDsUntil: 2_000}
	ok(t, s.RenewLease(ctx, own, 2*hold))
	own.IDsUntil = 3
	ok(t, s.RenewLease(ctx, own, 2*hold))
	want(t, "mark after renewals", number(t, s, "SELECT ids_until FROM nodes WHERE id = 0"), 2_000)
	if after := number(t, s, "SELECT expires_at FROM nodes WHERE id = 0"); after < before+hold.Milliseconds() {
		t.Errorf("renewed: from %d to %d", before, after)
	}

	// Released: free at once, the reservation stays.
	ok(t, s.ReleaseLease(ctx, own))
	lease, previous, err := s.AcquireLease(ctx, 0, "next", "e:1", now, hold, mark(0))
	ok(t, err)
	want(t, "node", lease.NodeID, 0)
	want(t, "previous mark", previous, 2_000)

	if _, _, err = s.AcquireLease(ctx, MaxNodeID+1, "x", "f:1", now, hold, mark(0)); CodeOf(err) != CodeUnavailable {
		t.Errorf("a node id that does not exist: %v", err)
	}
}

// racingLeases: nodes that start together get different ids; of those that want the
// same one, one gets it.
func racingLeases(t *testing.T, s *Store) {
	forgetLeases(t, s)
	const nodes = 6
	acquire := func(want NodeID) (map[NodeID]int, int) {
		t.Helper()
		var mu sync.Mutex
		got, refused := map[NodeID]int{}, 0
		group, ctx := errgroup.WithContext(within(t))
		for i := range nodes {
			group.Go(func() error {
				lease, _, err := s.AcquireLease(ctx, want, fmt.Sprint("racer", want, i), "a:1", now, time.Minute, func(p int64) int64 { return p + 1 })
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					got[lease.NodeID]++
				case CodeOf(err) == CodeUnavailable:
					refused++
				default:
					return err
				}
				return nil
			})
		}
		ok(t, group.Wait())
		return got, refused
	}
	got, _ := acquire(-1)
	want(t, "different node ids", len(got), nodes)
	for id, holders := range got {
		if holders != 1 || id >= nodes {
			t.Errorf("node id %d has %d holders", id, holders)
		}
	}
	got, refused := acquire(77)
	want(t, "holders of the wanted id", got[77], 1)
	want(t, "refused", refused, nodes-1)
}

// lostLease: a row that is gone is a lost lease.
func lostLease(t *testing.T, s *Store) {
	forgetLeases(t, s)
	err := s.RenewLease(within(t), Lease{NodeID: 3, Holder: "nobody"}, time.Minute)
	if !errors.Is(err, ErrLeaseLost) {
		t.Errorf("got %v, want ErrLeaseLost", err)
	}
}
