package service

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"ackbox/model"
)

const (
	// gatePatience is how long a connect waits for its turn.
	gatePatience = 2 * time.Second
	// gateQueue is how many connects may wait, for each that is under way.
	gateQueue = 16
	// retryAtLeast and retrySpread are the times after which the refused are to come back: each
	// another one, so that a storm does not return as one.
	retryAtLeast = time.Second
	retrySpread  = 8 * time.Second
)

// ErrTooMany is what lies beneath the CodeUnavailable of TooMany.
var ErrTooMany = errors.New("no room for another device")

// Gate bounds how many devices connect at a time: from the request, over the upgrade, to
// the end of the first reading of the mailbox. A storm of reconnects then costs refusals and not
// the database.
type Gate struct {
	slots    chan struct{}
	waiting  atomic.Int64
	patience time.Duration
	closed   chan struct{}
	close    sync.Once
}

// NewGate makes a gate for so many at a time, at least 1.
func NewGate(atATime int) *Gate {
	return &Gate{slots: make(chan struct{}, atATime), patience: gatePatience, closed: make(chan struct{})}
}

// Close turns everybody away, also those who wait: CodeDraining.
func (g *Gate) Close() { g.close.Do(func() { close(g.closed) }) }

// Enter waits its turn, for a bounded time and behind a bounded number of others. The caller
// calls leave once the device is connected or was turned away; again does no harm. Errors:
// CodeUnavailable with a time to come back, CodeDraining.
func (g *Gate) Enter(ctx context.Context) (leave func(), err error) {
	select {
	case <-g.closed:
		return nil, stopping()
	default:
	}
	select {
	case g.slots <- struct{}{}:
		return g.leave(), nil
	default:
	}
	defer g.waiting.Add(-1)
	if g.waiting.Add(1) > int64(gateQueue*cap(g.slots)) {
		return nil, TooMany("too many devices connect at once")
	}
	timer := time.NewTimer(g.patience)
	defer timer.Stop()
	select {
	case g.slots <- struct{}{}:
		return g.leave(), nil
	case <-timer.C:
		return nil, TooMany("too many devices connect at once")
	case <-g.closed:
		return nil, stopping()
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting to connect: %w", ctx.Err())
	}
}

func (g *Gate) leave() func() { return sync.OnceFunc(func() { <-g.slots }) }

// TooMany counts a connect that is refused for want of room and answers CodeUnavailable with a time to come back, 1 to 9
// seconds, that is another one for each who asks.
func TooMany(detail string) error {
	metrics.connectsRefused.Inc()
	wait := retryAtLeast + rand.N(retrySpread)
	return &model.Error{Code: model.CodeUnavailable, Detail: detail, RetryAfter: wait, Cause: ErrTooMany}
}

func stopping() error {
	return &model.Error{Code: model.CodeDraining, Detail: "this node is stopping", RetryAfter: retryAtLeast}
}
