package bench

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// sharedAckers are the connections that carry the acks of thousands of devices, which ack much more seldom than one connection
// each would be worth; as many acks as this are under way at a time.
const sharedAckers = 64

// ackers send the acks of many devices.
type ackers struct {
	run   *run
	queue chan *ackTurn // each at most once
}

// ackTurn is one device's place among the ackers.
type ackTurn struct {
	user    *User
	request func(body []byte) (_ []byte, held int64) // appends an ack of all that the device holds now, and says what that is
	done    func(held int64, refused bool)           // it is acked, or asking again would not help
	queued  atomic.Bool
}

func newAckers(r *run, devices int) *ackers {
	return &ackers{run: r, queue: make(chan *ackTurn, devices)}
}

// want queues a device's ack. It never blocks.
func (a *ackers) want(t *ackTurn) {
	if t.queued.CompareAndSwap(false, true) {
		a.queue <- t
	}
}

// send sends the acks that are queued until the context ends, over connections to the nodes of the users in turn.
func (a *ackers) send(ctx context.Context, users []*User) {
	var connections sync.WaitGroup
	for i := range sharedAckers {
		connections.Go(func() { a.work(ctx, users[i%len(users)].target) })
	}
	connections.Wait()
}

func (a *ackers) work(ctx context.Context, node *target) {
	c := newConn(ctx, node, a.run.options.Timeout)
	defer c.Close()
	var body []byte
	for {
		var t *ackTurn
		select {
		case t = <-a.queue:
		case <-ctx.Done():
			return
		}
		t.queued.Store(false) // before its position is read: what comes now is queued again
		var held int64
		body, held = t.request(body[:0])
		answer, err := c.Do("POST", "/v1/mailbox/ack", t.user.access, body)
		switch {
		case err != nil:
			if ctx.Err() != nil {
				return
			}
			a.run.errors.add("ack broken connection")
		case answer.Status != 200:
			a.run.errors.add("ack " + label(answer))
			if answer.Status != 429 && answer.Status != 503 {
				t.done(held, true)
				continue
			}
		default:
			a.run.acks.Add(1)
			t.done(held, false)
			continue
		}
		if pauseFor(ctx, max(answer.RetryAfter, 20*time.Millisecond)) != nil {
			return
		}
		a.want(t)
	}
}
