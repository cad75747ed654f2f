package bench

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

const (
	openParallel = 32               // sockets being opened at a time
	openDeadline = 60 * time.Second // for all of a run's sockets together
	pollEvery    = 20 * time.Millisecond
)

// run is one pass of the send or the rate scenario: every user has one socket open and sends to the next user.
type run struct {
	options Options
	users   []*User
	begin   time.Duration // since epoch; older messages belong to an earlier run
	start   time.Duration // figures count from here …
	end     time.Duration // … to here

	sendLatency, pushLatency, lateness     *latency
	accepted, pushed                       atomic.Int64 // inside start … end
	sent, failed, repeats, dropped         atomic.Int64
	acks, receipts                         atomic.Int64
	duplicates, disorder, repushed, pulled atomic.Int64
	errors                                 tally

	sessions []*session
	senders  []*sender
}

func newRun(o Options, users []*User) *run {
	r := &run{options: o, users: users, sendLatency: newLatency(), pushLatency: newLatency(), lateness: newLatency()}
	n := len(users)
	ledgers := make([]*ledger, n)
	for i := range ledgers {
		ledgers[i] = new(ledger)
	}
	for i, u := range users {
		r.senders = append(r.senders, &sender{run: r, user: u, to: users[(i+1)%n].ID, ledger: ledgers[i]})
		peer := (i + n - 1) % n
		r.sessions = append(r.sessions, newSession(r, u, peer, ledgers[peer]))
	}
	return r
}

// during runs drive (which sends, and returns when it has stopped sending) with all sockets open, then waits until what was
// accepted has been shown or the settle time is over, lets the last acks out and closes everything it opened.
func (r *run) during(ctx context.Context, drive func(ctx context.Context)) error {
	r.begin = since()
	sockets, closeSockets := context.WithCancel(ctx)
	defer closeSockets()
	stopAcks := make(chan struct{})
	slots := make(chan struct{}, openParallel)
	var readers, ackers sync.WaitGroup
	for _, s := range r.sessions {
		readers.Go(func() { s.read(sockets, slots) })
		ackers.Go(func() { s.ack(sockets, stopAcks) })
	}
	err := r.awaitOpen(ctx)
	if err == nil {
		drive(ctx)
		r.settle(ctx)
	}
	close(stopAcks)
	ackers.Wait()
	closeSockets()
	readers.Wait()
	if err == nil {
		err = ctx.Err()
	}
	return err
}

// awaitOpen returns once every session has had its hello.
func (r *run) awaitOpen(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, openDeadline)
	defer cancel()
	for i, s := range r.sessions {
		select {
		case <-s.opened:
		case <-s.ended:
			return fmt.Errorf("the socket of user %d could not be opened: %s", i, tallyText(r.errors.snapshot()))
		case <-ctx.Done():
			return fmt.Errorf("%d of %d sockets are open: %w (%s)", i, len(r.sessions), ctx.Err(), tallyText(r.errors.snapshot()))
		}
	}
	return nil
}

func (r *run) settle(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, r.options.Settle)
	defer cancel()
	for _, s := range r.senders {
		for !s.ledger.settled() {
			if pauseFor(ctx, pollEvery) != nil {
				return
			}
		}
	}
}

// within says whether a moment counts for the figures.
func (r *run) within(at time.Duration) bool { return at >= r.start && at < r.end }

func (r *run) lost() int64 {
	var n int64
	for _, s := range r.senders {
		n += s.ledger.lost()
	}
	return n
}
