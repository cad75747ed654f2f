package service

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"ackbox/model"
)

// TestBatcher: everything that is put is run once, in batches no larger than the limit,
// never by more workers than there are; a batch grows while another is run.
func TestBatcher(t *testing.T) {
	t.Parallel()
	const workers, limit, items = 3, 16, 2_000
	var running, most atomic.Int64
	var mu sync.Mutex
	seen := make([]int, items)
	b := newBatcher(workers, limit, items, func(batch []int) {
		if n := running.Add(1); n > most.Load() {
			most.Store(n)
		}
		defer running.Add(-1)
		if len(batch) == 0 || len(batch) > limit {
			t.Errorf("a batch of %d", len(batch))
		}
		mu.Lock()
		defer mu.Unlock()
		for _, item := range batch {
			seen[item]++
		}
	})
	var group sync.WaitGroup
	for g := range 8 {
		group.Go(func() {
			for i := g; i < items; i += 8 {
				if err := b.put(i); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	b.stop()
	for item, n := range seen {
		if n != 1 {
			t.Fatalf("item %d was run %d times", item, n)
		}
	}
	if most.Load() > workers {
		t.Errorf("%d batches at once, want at most %d", most.Load(), workers)
	}
	wantError(t, b.put(1), model.CodeDraining)
	b.stop() // again
}

// TestBatcherGrowsAndIsBounded: what comes while a batch is run waits for it, in one
// batch; beyond the capacity it is refused; what waits at the stop is still run.
func TestBatcherGrowsAndIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var batches [][]int
		b := newBatcher(1, 8, 10, func(batch []int) {
			batches = append(batches, batch)
			<-release
		})
		must(t, b.put(0))
		synctest.Wait() // the worker is in the first batch
		for i := 1; i <= 10; i++ {
			must(t, b.put(i))
		}
		equal(t, "waiting", b.waiting(), 10)
		wantError(t, b.put(11), model.CodeUnavailable)
		stopped := make(chan struct{})
		go func() { b.stop(); close(stopped) }()
		synctest.Wait()
		select {
		case <-stopped:
			t.Error("stopped before the work was done")
		default:
		}
		close(release)
		<-stopped
		want := [][]int{{0}, {1, 2, 3, 4, 5, 6, 7, 8}, {9, 10}}
		if !slices.EqualFunc(batches, want, slices.Equal) {
			t.Errorf("batches %v, want %v", batches, want)
		}
	})
}

// TestPause ends early with its ctx.
func TestPause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		must(t, pause(t.Context(), 1))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if pause(ctx, patience) == nil {
			t.Error("paused to its end although the ctx had ended")
		}
	})
}

// TestBatcherPatience: what has patience waits for it alone, goes with the first that has none, and is worked off at the end.
func TestBatcherPatience(t *testing.T) {
	t.Parallel()
	batches := make(chan []int, 10)
	b := newBatcher(1, 10, 10, func(list []int) { batches <- list })
	next := func(want ...int) {
		t.Helper()
		select {
		case got := <-batches:
			if !slices.Equal(got, want) {
				t.Errorf("got batch %v, want %v", got, want)
			}
		case <-within(t).Done():
			t.Fatalf("batch %v never came", want)
		}
	}
	must(t, b.putWithin(1, time.Millisecond)) // the end of its patience
	next(1)
	must(t, b.putWithin(2, time.Hour))
	must(t, b.putWithin(3, time.Hour))
	equal(t, "waiting", b.waiting(), 2)
	must(t, b.put(4))
	next(2, 3, 4)
	must(t, b.putWithin(5, time.Hour))
	b.stop()
	next(5)
	wantError(t, b.putWithin(6, time.Hour), model.CodeDraining)
	equal(t, "batches left", len(batches), 0)
}
