package service

import (
	"context"
	"sync/atomic"
	"time"

	"ackbox/model"
)

// Clock is the time that all nodes agree on: the database's. What one node writes down and another compares with goes by it
// (when a token ends, a login ended, a device connected, a message was made, a user was last there), so that a node whose
// own clock is wrong does no harm. Between two looks it goes on with this machine's own clock, by its monotonic reading:
// it does not step when that one is set.
type Clock struct {
	store *model.Store
	own   func() time.Time
	start time.Time
	ahead atomic.Int64 // what is to be added to own, in nanoseconds
}

// ClockLook is how often a node looks at the database's clock.
const ClockLook = 5 * time.Second

// clockPatience is how long the database may take to say the time: its answer is right to half of that.
const clockPatience = time.Second

// NewClock looks at the database's clock for the first time. own is this machine's.
func NewClock(ctx context.Context, store *model.Store, own func() time.Time) (*Clock, error) {
	c := &Clock{store: store, own: own, start: own()}
	if err := c.look(ctx, patient); err != nil {
		return nil, err
	}
	return c, nil
}

// patient is the patience of the first look: a time that is a few seconds off is better than none.
const patient = time.Minute

// Now is the time.
func (c *Clock) Now() time.Time {
	return c.start.Add(c.own().Sub(c.start) + time.Duration(c.ahead.Load()))
}

// Look sets the clock by the database's, unless the database takes too long to say. A job calls it every ClockLook.
func (c *Clock) Look(ctx context.Context) error { return c.look(ctx, clockPatience) }

func (c *Clock) look(ctx context.Context, patience time.Duration) error {
	asked := c.own()
	now, err := c.store.Now(ctx)
	if err != nil {
		return err
	}
	took := c.own().Sub(asked)
	if took > patience {
		return nil
	}
	ahead := now.Time().Sub(c.start) - asked.Sub(c.start) - took/2
	if off := ahead - time.Duration(c.ahead.Load()); off.Abs() > took/2+time.Millisecond { // else it may well be right: no steps for nothing
		c.ahead.Store(int64(ahead))
	}
	return nil
}
