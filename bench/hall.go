package bench

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

const (
	ackStep = 5 * time.Millisecond
	// openPace is the time that opening one more socket may take, on average.
	openPace = 20 * time.Millisecond
)

// hall is a log run: all members of one large group online, and one of them sends.
type hall struct {
	*run
	party   Party
	room    *room
	members []*member
	sender  *sender
	slots   chan struct{} // sockets being opened and pages being pulled at a time
	ackers  *ackers
	singles int // messages before this index are singles, whose latencies are recorded

	arrivals []arrival     // by index of the message
	complete chan struct{} // a message has reached all members
}

// arrival is how many members a message has reached.
type arrival struct{ count, last atomic.Int64 }

func newHall(o Options, party Party) *hall {
	h := &hall{
		run: newRun(o), party: party, room: &room{id: party.ID}, slots: make(chan struct{}, openParallel),
		singles: o.LogSingles,
	}
	h.ackers = newAckers(h.run, len(party.members))
	total := o.LogSingles + o.LogBursts*o.LogBurst
	h.arrivals, h.complete = make([]arrival, total), make(chan struct{}, total)
	for _, u := range party.members {
		m := &member{hall: h, user: u, seat: h.room.sit(h.run, party.head), opened: make(chan struct{}), ended: make(chan struct{})}
		m.turn = ackTurn{user: u, request: m.ackRequest, done: func(held int64, _ bool) { m.acked.Store(held) }}
		m.held.Store(party.head)
		h.members = append(h.members, m)
	}
	h.accounts = []account{h.room}
	h.sender = &sender{run: h.run, user: party.members[0], aims: []aim{{field: `"conversation_id":"` + party.ID + `"`, account: h.room}}}
	return h
}

// arrived counts a message that a member was shown for the first time.
func (h *hall) arrived(k key, now time.Duration) {
	if k.index >= len(h.arrivals) {
		return
	}
	if k.index < h.singles {
		h.pushLatency.record(now - k.due)
	}
	a := &h.arrivals[k.index]
	if a.count.Add(1) == int64(len(h.members)) {
		a.last.Store(int64(now))
		h.complete <- struct{}{}
	}
}

// during runs drive with all members' sockets open, then closes everything it opened.
func (h *hall) during(ctx context.Context, drive func(ctx context.Context) error) error {
	h.begin = since()
	sockets, closeSockets := context.WithCancel(ctx)
	defer closeSockets()
	acks, stopAcks := context.WithCancel(ctx)
	defer stopAcks()
	var readers, ackers sync.WaitGroup
	defer readers.Wait()
	defer closeSockets()
	defer ackers.Wait()
	defer stopAcks()
	for i, m := range h.members {
		readers.Go(func() { m.read(sockets, i) })
	}
	ackers.Go(func() { h.ackers.send(acks, h.party.members) })
	ackers.Go(func() { h.askRound(acks) })
	if err := h.awaitOpen(ctx); err != nil {
		return err
	}
	h.sender.open(ctx)
	defer h.sender.close()
	return drive(ctx)
}

// awaitOpen returns once every member has had its hello, and has acked what it was told it lacked.
func (h *hall) awaitOpen(ctx context.Context) error {
	var open atomic.Int64
	stop := h.options.progress(func() string { return fmt.Sprintf("log: %d of %d sockets open", open.Load(), len(h.members)) })
	defer stop()
	patience, cancel := context.WithTimeout(ctx, openDeadline+time.Duration(len(h.members))*openPace)
	defer cancel()
	for i, m := range h.members {
		select {
		case <-m.opened:
			open.Add(1)
		case <-m.ended:
			return fmt.Errorf("the socket of member %d could not be opened: %s", i, tallyText(h.errors.snapshot()))
		case <-patience.Done():
			return fmt.Errorf("%d of %d sockets are open: %w (%s)", i, len(h.members), patience.Err(), tallyText(h.errors.snapshot()))
		}
	}
	h.awaitAcks(patience)
	return ctx.Err()
}

// awaitAcks returns once nobody has anything to ack any more, or the context ends.
func (h *hall) awaitAcks(ctx context.Context) {
	for _, m := range h.members {
		for m.turn.queued.Load() || m.acked.Load() < m.held.Load() {
			if pauseFor(ctx, pollEvery) != nil {
				return
			}
		}
	}
}

// wantAck queues a member's ack. It never blocks.
func (h *hall) wantAck(m *member) { h.ackers.want(&m.turn) }

// askRound asks all members in turn, each once in the ack delay, and queues those who hold what they have not acked: so their
// acks are spread, as those of people are.
func (h *hall) askRound(ctx context.Context) {
	n := len(h.members)
	started, asked := since(), 0
	for pauseFor(ctx, ackStep) == nil {
		due := int(float64(since()-started) / float64(h.options.LogAckDelay) * float64(n))
		for ; asked < due; asked++ {
			if m := h.members[asked%n]; m.acked.Load() < m.held.Load() {
				h.wantAck(m)
			}
		}
	}
}
