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

// run is one pass of a scenario that sends. In send and rate every user has one socket open and sends to the next user; in
// group they send to the groups that they are in.
type run struct {
	options Options
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
	accounts []account
}

func newRun(o Options) *run {
	return &run{options: o, sendLatency: newLatency(), pushLatency: newLatency(), lateness: newLatency()}
}

// newPairs makes a run in which every user sends to the next.
func newPairs(o Options, users []*User) *run {
	r := newRun(o)
	n := len(users)
	ledgers := make([]*ledger, n)
	for i := range ledgers {
		ledgers[i] = new(ledger)
	}
	for i, u := range users {
		r.senders = append(r.senders, &sender{run: r, user: u, aims: u.aims(users[(i+1)%n], ledgers[i])})
		peer := (i + n - 1) % n
		r.sessions = append(r.sessions, newSession(r, u, &pair{run: r, peer: peer, from: ledgers[peer], newest: -1}))
		r.accounts = append(r.accounts, ledgers[i])
	}
	return r
}

// aims are whom a user of a run of pairs sends to: the next one, and between those messages the contacts in turn.
func (u *User) aims(next *User, of *ledger) []aim {
	near := aim{field: `"to_user_id":"` + next.ID + `"`, account: of}
	if len(u.contacts) == 0 {
		return []aim{near}
	}
	var list []aim
	for _, c := range u.contacts {
		list = append(list, near, aim{field: `"conversation_id":"` + c + `"`, account: unseen{}})
	}
	return list
}

// unseen is the account of what nobody is online for: nothing of it is waited for.
type unseen struct{}

func (unseen) accept(int, []byte) {}
func (unseen) race()              {}
func (unseen) settled() bool      { return true }
func (unseen) lost() int64        { return 0 }

// pair checks what one user gets from the one who sends to them.
type pair struct {
	run    *run
	peer   int     // the sender whose messages are counted
	from   *ledger // that sender's
	newest int     // index of the peer's newest message shown
}

func (p *pair) show(entry []byte, now time.Duration) {
	k, ok := p.run.keyOf(entry)
	if !ok || k.sender != p.peer {
		return // our own message
	}
	if !p.from.show(k.index) {
		p.run.duplicates.Add(1)
		return
	}
	if k.index < p.newest && !p.from.racing.Load() {
		p.run.disorder.Add(1)
	}
	p.newest = max(p.newest, k.index)
	p.run.shown(k, now)
}

// keyOf reads a message's key; false means that it is not this run's.
func (r *run) keyOf(message []byte) (key, bool) {
	text, ok := rawString(message, `"client_msg_id"`)
	if !ok {
		return key{}, false
	}
	k, ok := parseKey(text)
	return k, ok && k.due >= r.begin
}

// shown takes a message that was shown for the first time into the figures.
func (r *run) shown(k key, now time.Duration) {
	if r.within(now) {
		r.pushed.Add(1)
	}
	if r.within(k.due) {
		r.pushLatency.record(now - k.due)
	}
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
	for _, a := range r.accounts {
		for !a.settled() {
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
	for _, a := range r.accounts {
		n += a.lost()
	}
	return n
}
