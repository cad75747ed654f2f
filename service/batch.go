package service

import (
	"sync"
	"time"

	"ackbox/model"
)

// batcher is a queue whose workers each take everything that has piled up: while
// one batch is being committed the next one grows, so batches are as large as the load
// asks for and nobody waits for a timer. (The idea is group commit; the queue is
// like NATS' ipqueue.)
type batcher[T any] struct {
	capacity int       // most items that may wait
	limit    int       // most items in a batch
	run      func([]T) // one batch; called by several workers at once

	mu      sync.Mutex
	pending []T
	due     bool // something pending is for now
	timed   bool // a timer will make it so
	closed  bool
	wake    chan struct{} // one token a worker that has to look
	done    sync.WaitGroup
}

// newBatcher starts the workers; stop ends and awaits them.
func newBatcher[T any](workers, limit, capacity int, run func([]T)) *batcher[T] {
	b := &batcher[T]{capacity: capacity, limit: limit, run: run, wake: make(chan struct{}, workers)}
	for range workers {
		b.done.Go(b.work)
	}
	return b
}

// put adds an item, or answers CodeUnavailable when too many wait or the process stops.
func (b *batcher[T]) put(item T) error { return b.putWithin(item, 0) }

// putWithin is put of an item that may wait that long for others to share a batch with. It goes with the first that may not.
func (b *batcher[T]) putWithin(item T, patience time.Duration) error {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return &model.Error{Code: model.CodeDraining, Detail: "this node is stopping", RetryAfter: time.Second}
	}
	if len(b.pending) >= b.capacity {
		b.mu.Unlock()
		return &model.Error{Code: model.CodeUnavailable, Detail: "too many requests are waiting for the database", RetryAfter: time.Second}
	}
	b.pending = append(b.pending, item)
	switch {
	case patience == 0:
		b.call()
	case !b.due && !b.timed:
		b.timed = true
		time.AfterFunc(patience, b.ring)
	}
	b.mu.Unlock()
	return nil
}

// call makes what is pending due. The caller holds the lock, and the batcher is not closed.
func (b *batcher[T]) call() {
	b.due = true
	select {
	case b.wake <- struct{}{}:
	default: // every worker has a token that it has not used yet, and will see the items
	}
}

// ring is the end of the first item's patience.
func (b *batcher[T]) ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.timed = false
	if !b.closed && len(b.pending) > 0 {
		b.call()
	}
}

func (b *batcher[T]) work() {
	for range b.wake {
		for {
			b.mu.Lock()
			n := 0
			if b.due {
				n = min(len(b.pending), b.limit)
			}
			batch := append(make([]T, 0, n), b.pending[:n]...)
			rest := copy(b.pending, b.pending[n:])
			clear(b.pending[rest:])
			b.pending = b.pending[:rest]
			b.due = b.due && rest > 0
			b.mu.Unlock()
			if n == 0 {
				break
			}
			b.run(batch)
		}
	}
}

// waiting is how many items are queued.
func (b *batcher[T]) waiting() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.pending)
}

// stop refuses new items, works off what waits and returns when the workers have ended.
func (b *batcher[T]) stop() {
	b.mu.Lock()
	if !b.closed {
		b.call() // also those that have patience
		b.closed = true
		close(b.wake) // tokens that were given before are still used
	}
	b.mu.Unlock()
	b.done.Wait()
}
