package service

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"ackbox/model"
)

func sqliteStore(t testing.TB) *model.Store {
	t.Helper()
	return openStore(t, model.Options{SQLitePath: sqliteFile(t)})
}

func newIDs(t testing.TB, store *model.Store, clock *handClock) *IDs {
	t.Helper()
	ids, err := NewIDs(t.Context(), store, -1, "test", clock.now, quiet)
	must(t, err)
	return ids
}

// lapse makes the lease end, which the database's clock decides.
func lapse(t testing.TB, g *IDs) {
	t.Helper()
	must(t, g.store.RenewLease(t.Context(), g.lease, -time.Second))
}

// distinct fails when an id comes twice.
type distinct map[int64]string

func (d distinct) add(t testing.TB, who string, ids ...int64) {
	t.Helper()
	for _, id := range ids {
		if other, twice := d[id]; twice {
			t.Fatalf("id %d from %s, and before from %s", id, who, other)
		}
		if id <= 0 {
			t.Fatalf("id %d", id)
		}
		d[id] = who
	}
}

// TestIDsWithAClockThatSteps: whatever the clock does, ids rise.
func TestIDsWithAClockThatSteps(t *testing.T) {
	t.Parallel()
	clock := newHandClock()
	g := newIDs(t, sqliteStore(t), clock)
	var last int64
	take := func(what string) {
		t.Helper()
		ids, err := g.Take(t.Context(), 3)
		must(t, err)
		for _, id := range ids {
			if id <= last {
				t.Fatalf("%s: id %d after %d", what, id, last)
			}
			last = id
		}
	}
	take("at first")
	for _, step := range []time.Duration{0, time.Millisecond, 20 * time.Second, -time.Hour, -24 * time.Hour, time.Second, 24 * time.Hour, time.Hour, 30 * time.Second} {
		clock.step(step)
		take(step.String())
		must(t, g.Renew(t.Context()))
		take(step.String() + " and a renewal")
	}
	// The parts of an id: this node's number and a time that is not before the clock's.
	id := last
	equal(t, "node in the id", model.NodeID(id>>idCounterBits&(1<<idNodeBits-1)), g.Node())
	if ms := id>>(idNodeBits+idCounterBits) + idEpoch; ms < clock.now().UnixMilli() {
		t.Errorf("the id's time is %v, the clock's %v", time.UnixMilli(ms), clock.now())
	}
}

// TestIDsAfterARestart: a restart with a clock an hour behind never repeats an id,
// whether the node ended in order or not.
func TestIDsAfterARestart(t *testing.T) {
	t.Parallel()
	store := sqliteStore(t)
	seen := distinct{}
	clock := newHandClock()
	var last int64
	for i := range 6 {
		g, err := NewIDs(t.Context(), store, 7, "test", clock.now, quiet)
		must(t, err)
		ids, err := g.Take(t.Context(), 10_000)
		must(t, err)
		seen.add(t, fmt.Sprint("start ", i), ids...)
		if ids[0] <= last {
			t.Errorf("start %d: id %d after %d", i, ids[0], last)
		}
		last = ids[len(ids)-1]
		clock.step(time.Second)
		must(t, g.Renew(t.Context()))
		if i%2 == 0 {
			must(t, g.Release(t.Context()))
		} else {
			clock.step(LeaseTTL + time.Second) // it died, and its clock says nothing about its lease
			_, err := NewIDs(t.Context(), store, 7, "test", clock.now, quiet)
			wantError(t, err, model.CodeUnavailable)
			lapse(t, g)
		}
		if i < 4 {
			clock.step(-time.Hour)
		}
	}
}

// TestIDsOfNodesAtOnce: nodes that start together, and goroutines in them, never give
// the same id; each goroutine sees its ids rise.
func TestIDsOfNodesAtOnce(t *testing.T) {
	t.Parallel()
	onBothBackends(t, func(t *testing.T, store *model.Store) {
		var mu sync.Mutex
		seen := distinct{}
		nodes := map[model.NodeID]int{}
		group, ctx := errgroup.WithContext(within(t))
		for n := range 4 {
			group.Go(func() error {
				g, err := NewIDs(ctx, store, -1, "test", time.Now, quiet)
				if err != nil {
					return err
				}
				mu.Lock()
				nodes[g.Node()]++
				mu.Unlock()
				inner, ctx := errgroup.WithContext(ctx)
				for range 3 {
					inner.Go(func() error {
						var mine []int64
						for range 40 {
							ids, err := g.Take(ctx, 100)
							if err != nil {
								return err
							}
							mine = append(mine, ids...)
						}
						if !slices.IsSorted(mine) {
							return fmt.Errorf("node %d: ids do not rise", g.Node())
						}
						mu.Lock()
						defer mu.Unlock()
						seen.add(t, fmt.Sprint("node ", n), mine...)
						return nil
					})
				}
				return inner.Wait()
			})
		}
		must(t, group.Wait())
		equal(t, "node ids", len(nodes), 4)
		equal(t, "ids", len(seen), 4*3*40*100)
	})
}

// TestIDsRunOut: without the database ids go on for the reserved minute, then there are
// none; with it back they go on.
func TestIDsRunOut(t *testing.T) {
	t.Parallel()
	clock := newHandClock()
	g := newIDs(t, sqliteStore(t), clock)
	clock.step(idReserve - time.Millisecond)
	_, err := g.Next()
	must(t, err)
	clock.step(time.Millisecond)
	_, err = g.Next()
	wantError(t, err, model.CodeUnavailable)
	must(t, g.Renew(t.Context()))
	_, err = g.Next()
	must(t, err)

	// A burst may borrow what is reserved, and no more.
	seen := distinct{}
	for {
		ids, err := g.Take(t.Context(), 1<<idCounterBits)
		if err != nil {
			wantError(t, err, model.CodeUnavailable)
			break
		}
		if len(seen) < 100_000 {
			seen.add(t, "burst", ids...)
		}
		if ms := ids[len(ids)-1] >> (idNodeBits + idCounterBits); ms >= g.lease.IDsUntil {
			t.Fatalf("an id of %d ms, reserved are those below %d", ms, g.lease.IDsUntil)
		}
	}
}

// TestLeasesOfClocksApart: nodes whose clocks are hours apart see each other live, and none takes another's node id.
func TestLeasesOfClocksApart(t *testing.T) {
	t.Parallel()
	onBothBackends(t, func(t *testing.T, store *model.Store) {
		before, err := store.LiveNodes(t.Context())
		must(t, err)
		var nodes []*IDs
		for _, step := range []time.Duration{0, -2 * time.Hour, 2 * time.Hour, -365 * 24 * time.Hour} {
			clock := newHandClock()
			clock.step(step)
			nodes = append(nodes, newIDs(t, store, clock))
		}
		for range 2 {
			for i, g := range nodes {
				equal(t, fmt.Sprintf("node %d", i), g.Node(), nodes[0].Node()+model.NodeID(i))
				must(t, g.Renew(t.Context()))
			}
			live, err := store.LiveNodes(t.Context())
			must(t, err)
			equal(t, "live nodes", live-before, len(nodes))
		}
	})
}

// TestIDsAfterALostLease: a node that was frozen takes another node id; one whose row
// is gone (a database restored) may get its own again. Neither repeats an id.
func TestIDsAfterALostLease(t *testing.T) {
	t.Parallel()
	for _, gone := range []bool{false, true} {
		t.Run(fmt.Sprintf("row gone %t", gone), func(t *testing.T) {
			store := sqliteStore(t)
			clock := newHandClock()
			frozen := newIDs(t, store, clock)
			seen := distinct{}
			ids, err := frozen.Take(t.Context(), 5_000) // more than a millisecond's
			must(t, err)
			seen.add(t, "before", ids...)
			last := ids[len(ids)-1]
			if gone {
				fresh := openStore(t, model.Options{SQLitePath: sqliteFile(t)}) // as after a restore from before the first start
				frozen.store = fresh
			} else {
				clock.step(LeaseTTL + time.Second)
				lapse(t, frozen)
				other := newIDs(t, store, clock)
				equal(t, "who took the id over", other.Node(), frozen.Node())
				ids, err = other.Take(t.Context(), 5_000)
				must(t, err)
				seen.add(t, "the other", ids...)
				ids, err = frozen.Take(t.Context(), 10) // it does not know yet
				must(t, err)
				seen.add(t, "frozen", ids...)
				last = ids[len(ids)-1]
			}
			must(t, frozen.Renew(t.Context()))
			ids, err = frozen.Take(t.Context(), 5_000)
			must(t, err)
			seen.add(t, "after", ids...)
			if ids[0] <= last {
				t.Errorf("id %d after %d", ids[0], last)
			}
		})
	}
}

// TestIDsAfterARestore: a node that is killed again and again runs ahead of the clock, by what each reserved; after a
// restore of an older state, which knows nothing of that, its ids are above them all, and the database is another one.
func TestIDsAfterARestore(t *testing.T) {
	t.Parallel()
	clock, store := newHandClock(), sqliteStore(t)
	var last int64
	take := func(from *model.Store) {
		t.Helper()
		g := newIDs(t, from, clock)
		id, err := g.Next()
		must(t, err)
		lapse(t, g) // it was killed, long ago
		if id <= last {
			t.Fatalf("id %d after %d", id, last)
		}
		last = id
	}
	take(store)
	file := sqliteFile(t)
	must(t, store.BackupTo(t.Context(), file))
	for range 10 {
		clock.step(LeaseTTL + time.Millisecond)
		take(store)
	}
	old := openStore(t, model.Options{SQLitePath: file})
	if _, err := old.Installation(t.Context(), "here"); err != nil {
		t.Fatal(err)
	}
	must(t, MarkRestored(t.Context(), old, 0, clock.now))
	take(old)
	clock.step(LeaseTTL + time.Millisecond)
	must(t, MarkRestored(t.Context(), old, last>>(idNodeBits+idCounterBits)+5*restoreMargin.Milliseconds(), clock.now)) // somebody knows better
	take(old)
	if ahead := time.Duration(last>>(idNodeBits+idCounterBits)-clock.now().UnixMilli()+idEpoch) * time.Millisecond; ahead < 5*restoreMargin {
		t.Errorf("ids are %s ahead of the clock, and not above what was known", ahead)
	}
}

// TestRestoredIsAnotherDatabase: nodes that run notice.
func TestRestoredIsAnotherDatabase(t *testing.T) {
	t.Parallel()
	store := openStore(t, backends["MySQL"](t))
	if _, err := store.Installation(t.Context(), "here"); err != nil {
		t.Fatal(err)
	}
	before, err := store.Identity(t.Context())
	must(t, err)
	must(t, MarkRestored(t.Context(), store, 0, time.Now))
	now, err := store.Identity(t.Context())
	must(t, err)
	if before.Same(now) || !now.Same(now) {
		t.Errorf("%v and %v: want two", before, now)
	}
}
