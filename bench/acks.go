package bench

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

const (
	ackDevice = "ack"
	// ackBlock is how many entries are acked together: half of them singly and out of order, then all by a position.
	ackBlock = 20
)

// Acks measures acks alone. Each user's mailbox is filled before; then all users ack as fast as the answers come, over one
// connection each, for one of their devices after the other. Of every block of entries each second one is acked by its id,
// which leaves the device's position where it was, and then the block by its last seq, which moves it to there; every answer is
// compared with that.
func Acks(ctx context.Context, o Options, users []*User, parties []Party) (*Report, error) {
	started := time.Now()
	a := &ackRun{backlog: newBacklog(o, ackDevice, users, parties), single: newLatency(), position: newLatency()}
	if err := a.prepare(ctx); err != nil {
		return nil, err
	}
	a.start = since() + o.Warmup
	a.end = a.start + o.Duration
	watch := watchUsage(ctx, o.Processes, a.start, a.end)
	if o.Started != nil {
		o.Started()
	}
	stop := o.progress(func() string {
		return fmt.Sprintf("acks: %.0f s left, %d acks", max(a.end-since(), 0).Seconds(), a.acks.Load())
	})
	var devices sync.WaitGroup
	for _, owner := range a.owners {
		devices.Go(func() { owner.drive(ctx) })
	}
	devices.Wait()
	stop()
	usage := watch()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	report := &Report{Scenario: "acks", Started: started, Errors: a.errors.snapshot()}
	seconds := o.Duration.Seconds()
	report.add("acks_per_s", float64(a.accepted.Load())/seconds)
	report.add("entries_per_s", float64(a.entries.Load())/seconds)
	report.Figures = append(report.Figures, a.single.figures("single")...)
	report.Figures = append(report.Figures, a.position.figures("position")...)
	report.add("acks", float64(a.acks.Load()))
	report.add("failed", float64(a.failed.Load()))
	report.add("wrong_positions", float64(a.wrong.Load()))
	report.add("ran_out", float64(a.ranOut.Load()))
	report.add("lost", float64(a.lost()))
	report.add("duplicates", float64(a.duplicates.Load()))
	report.add("disorder", float64(a.disorder.Load()))
	report.Figures = append(report.Figures, usage.figures("ack", a.accepted.Load())...)
	return report, nil
}

// ackRun is a run of acks.
type ackRun struct {
	*backlog
	owners           []*ackOwner
	single, position *latency
	entries          atomic.Int64 // acked by a position, inside start … end
	wrong            atomic.Int64 // answers with another position than the contract's
	ranOut           atomic.Int64 // users who had acked all for all devices before the end
}

// ackOwner is one user, who acks for all their devices.
type ackOwner struct {
	run   *ackRun
	user  *User
	first int64    // seq of the first entry that waits
	ids   []string // message ids of the entries, in order
	body  []byte
}

// deviceName is the name of a user's n-th device.
func deviceName(n int) string { return fmt.Sprintf("%s-%d", ackDevice, n) }

// prepare brings all devices to the ends of their mailboxes, fills the mailboxes, and reads what came.
func (a *ackRun) prepare(ctx context.Context) error {
	if err := a.visit(ctx); err != nil {
		return err
	}
	if err := a.each(ctx, func(ctx context.Context, c *conn, d *waiting) error {
		for n := range a.options.AckDevices {
			if err := a.ackAll(ctx, c, d, deviceName(n)); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return err
	}
	if err := a.fill(ctx, a.options.Waiting); err != nil {
		return err
	}
	var mu sync.Mutex
	return a.each(ctx, func(ctx context.Context, c *conn, d *waiting) error {
		owner := &ackOwner{run: a, user: d.user, first: d.held + 1}
		if err := a.pull(ctx, c, d.user, ackDevice, d.held, func(seq int64, entry []byte, now time.Duration) {
			d.take(seq, entry, now)
			owner.ids = append(owner.ids, string(d.heldID))
		}, func(int) {}); err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		a.owners = append(a.owners, owner)
		return nil
	})
}

// drive acks until the end, or until nothing is left.
func (o *ackOwner) drive(ctx context.Context) {
	a := o.run
	c := newConn(ctx, o.user.target, a.options.Timeout)
	defer c.Close()
	for n := range a.options.AckDevices {
		name := deviceName(n)
		for from := 0; from < len(o.ids); from += ackBlock {
			to := min(from+ackBlock, len(o.ids))
			before, after := o.first+int64(from)-1, o.first+int64(to)-1
			for i := from + 1; i < to; i += 2 {
				o.body = append(o.body[:0], `{"device_id":"`+name+`","message_ids":["`+o.ids[i]+`"]}`...)
				if !o.ack(ctx, c, a.single, before, 0) {
					return
				}
			}
			o.body = appendAck(o.body[:0], name, after)
			if !o.ack(ctx, c, a.position, after, after-before) {
				return
			}
		}
	}
	if since() < a.end {
		a.ranOut.Add(1)
	}
}

// ack sends the body until it is answered, and compares the position that the answer tells; false when the run has ended.
func (o *ackOwner) ack(ctx context.Context, c *conn, took *latency, want, entries int64) bool {
	a := o.run
	for first := since(); first < a.end; {
		answer, err := c.Do("POST", "/v1/mailbox/ack", o.user.access, o.body)
		now := since()
		switch {
		case err != nil && ctx.Err() != nil:
			return false
		case err != nil:
			a.errors.add("ack broken connection")
		case answer.Status == 429 || answer.Status == 503:
			a.errors.add("ack " + label(answer))
		case answer.Status != 200:
			a.errors.add("ack " + label(answer))
			a.failed.Add(1)
			return true
		default:
			a.acks.Add(1)
			if got, ok := uintField(answer.Body, `"acked"`); !ok || got != want {
				a.wrong.Add(1)
			}
			if a.within(now) {
				a.accepted.Add(1)
				a.entries.Add(entries)
			}
			if a.within(first) {
				took.record(now - first)
			}
			return true
		}
		if pauseFor(ctx, max(answer.RetryAfter, 20*time.Millisecond)) != nil {
			return false
		}
	}
	return false
}
