package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	// backlogParallel is how many devices are prepared, and how many groups are sent to, at a time.
	backlogParallel = 32
	// preparePace is the time that preparing one device may take, on average.
	preparePace = 5 * time.Millisecond
	// rowPace is the time that one more waiting entry may take, on average.
	rowPace = 100 * time.Microsecond
)

// backlog is many devices that have messages waiting in their mailboxes, put there by sends to groups: one send is an entry for
// each member. Its account is kept by the groups' rooms.
type backlog struct {
	*run
	name    string // of the device that each user has
	devices []*waiting
}

// waiting is one of them. One goroutine at a time uses it.
type waiting struct {
	user   *User
	seat   *seat  // nil: in no group
	held   int64  // highest seq of the mailbox that the device holds
	heldID []byte // message_id there
}

// newBacklog makes a device for each of the users; each group's first member will send to it.
func newBacklog(o Options, name string, users []*User, parties []Party) *backlog {
	b := &backlog{run: newRun(o), name: name}
	b.begin = since()
	byUser := make(map[*User]*waiting, len(users))
	for _, u := range users {
		d := &waiting{user: u}
		byUser[u] = d
		b.devices = append(b.devices, d)
	}
	for _, p := range parties {
		m := &room{id: p.ID}
		b.accounts = append(b.accounts, m)
		for _, u := range p.members {
			byUser[u].seat = m.sit(b.run, 0)
		}
		b.senders = append(b.senders, &sender{run: b.run, user: p.members[0], aims: []aim{{field: `"conversation_id":"` + p.ID + `"`, account: m}}})
	}
	return b
}

// divide makes groups of at most FillGroup members, of about the same size, that have each user in one of them.
func divide(ctx context.Context, o Options, users []*User) ([]Party, error) {
	count := (len(users) + o.FillGroup - 1) / o.FillGroup
	parties := make([]Party, count)
	stop := o.progress(func() string { return fmt.Sprintf("setup: %d groups of at most %d members", count, o.FillGroup) })
	defer stop()
	for i := range parties {
		members := users[i*len(users)/count : (i+1)*len(users)/count]
		var err error
		if parties[i], err = makeGroup(ctx, o, members, func(int) {}); err != nil {
			return nil, err
		}
		if parties[i].log {
			return nil, fmt.Errorf("fill-group: the service delivers a group of %d by log, not by mailbox", len(members))
		}
	}
	return parties, nil
}

// each calls do for every device, backlogParallel at a time, with a connection to its user's node.
func (b *backlog) each(ctx context.Context, do func(ctx context.Context, c *conn, d *waiting) error) error {
	var next atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	for range backlogParallel {
		group.Go(func() error {
			nodes := map[*target]*conn{}
			defer func() {
				for _, c := range nodes {
					c.Close()
				}
			}()
			for i := int(next.Add(1)) - 1; i < len(b.devices); i = int(next.Add(1)) - 1 {
				d := b.devices[i]
				c := nodes[d.user.target]
				if c == nil {
					c = newConn(ctx, d.user.target, b.options.Timeout)
					nodes[d.user.target] = c
				}
				if err := do(ctx, c, d); err != nil {
					if ctx.Err() != nil { // it closes the connections
						return ctx.Err()
					}
					return fmt.Errorf("device %s of %s: %w", b.name, d.user.Name, err)
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// visit brings every device to the end of its mailbox, and acks it. Only the newest entry is read: the device held the rest
// before.
func (b *backlog) visit(ctx context.Context) error {
	var done atomic.Int64
	stop := b.options.progress(func() string { return fmt.Sprintf("setup: %d of %d mailboxes read", done.Load(), len(b.devices)) })
	defer stop()
	return b.each(ctx, func(ctx context.Context, c *conn, d *waiting) error {
		defer done.Add(1)
		a, err := c.Do("GET", "/v1/mailbox?after=0&limit=1", d.user.access, nil)
		if err != nil {
			return err
		}
		if a.Status != 200 {
			return fmt.Errorf("read the mailbox: %s", label(a))
		}
		var mailbox struct{ Head int64 }
		if err := json.Unmarshal(a.Body, &mailbox); err != nil {
			return fmt.Errorf("read the mailbox: %w", err)
		}
		if err := b.pull(ctx, c, d.user, b.name, max(0, mailbox.Head-1), d.hold, func(int) {}); err != nil {
			return err
		}
		return b.ackAll(ctx, c, d, b.name)
	})
}

// ackAll acks all that a device holds, under the given name.
func (b *backlog) ackAll(ctx context.Context, c *conn, d *waiting, name string) error {
	if d.held == 0 {
		return nil
	}
	return b.insist(ctx, c, d.user, appendAck(nil, name, d.held))
}

// insist sends an ack until it is taken; 429 and 503 are waited out.
func (b *backlog) insist(ctx context.Context, c *conn, u *User, body []byte) error {
	for range accountAttempts {
		a, err := c.Do("POST", "/v1/mailbox/ack", u.access, body)
		if err != nil {
			return err
		}
		switch a.Status {
		case 200:
			return nil
		case 429, 503:
			b.errors.add("ack " + label(a))
			if err := pauseFor(ctx, max(a.RetryAfter, 100*time.Millisecond)); err != nil {
				return err
			}
		default:
			return fmt.Errorf("ack: %s", label(a))
		}
	}
	return fmt.Errorf("ack: refused %d times", accountAttempts)
}

// appendAck appends the body of an ack up to a seq.
func appendAck(body []byte, device string, upTo int64) []byte {
	body = append(body, `{"device_id":"`...)
	body = append(body, device...)
	body = append(body, `","up_to":`...)
	body = strconv.AppendInt(body, upTo, 10)
	return append(body, '}')
}

// hold takes the entry that follows the last one held.
func (d *waiting) hold(seq int64, entry []byte, _ time.Duration) {
	d.held = seq
	if id, ok := rawString(entry, `"message_id"`); ok {
		d.heldID = append(d.heldID[:0], id...)
	}
}

// take is hold, and the group's account of it.
func (d *waiting) take(seq int64, entry []byte, now time.Duration) {
	d.hold(seq, entry, now)
	if conversationSeq, ok := uintField(entry, `"conversation_seq"`); ok && d.seat != nil {
		d.seat.take(conversationSeq, entry, now)
	}
}

// fill sends n messages to each group. One that is not accepted is an error: then nobody knows how many wait.
func (b *backlog) fill(ctx context.Context, n int) error {
	total := n * len(b.senders)
	stop := b.options.progress(func() string {
		return fmt.Sprintf("setup: %d of %d messages sent that will wait", b.sent.Load(), total)
	})
	defer stop()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(backlogParallel)
	for _, s := range b.senders {
		group.Go(func() error {
			s.open(ctx)
			defer s.close()
			for range n {
				if wait := s.send(ctx, since()); wait > 0 {
					return fmt.Errorf("the service takes no messages: %s", tallyText(b.errors.snapshot()))
				}
			}
			return ctx.Err()
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	if failed := b.failed.Load(); failed > 0 {
		return fmt.Errorf("%d messages were refused: %s", failed, tallyText(b.errors.snapshot()))
	}
	return nil
}
