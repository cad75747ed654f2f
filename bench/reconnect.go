package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

const (
	reconnectDevice = "reconnect"
	// backoffStart and backoffMost bound the exponential backoff of a client that was told no time to come back.
	backoffStart = 100 * time.Millisecond
	backoffMost  = 10 * time.Second
	// retrySpread is added at random to a Retry-After, which is in whole seconds.
	retrySpread = time.Second
	// sourceAddresses are the loopback addresses that the sockets come from: who is refused often uses up ports.
	sourceAddresses = 8
)

// Reconnect measures the storm after an outage: every user's device held everything once, messages came while it was away,
// and now all devices open their sockets in the same moment. A device is synced when it holds and has acked all that waited.
// Time counts from the moment of the storm, so a refusal and the wait that it asks for are part of a device's time.
func Reconnect(ctx context.Context, o Options, users []*User, parties []Party) (*Report, error) {
	if err := raiseFileLimit(len(users) + sharedAckers + 2*backlogParallel + 256); err != nil {
		return nil, err
	}
	started := time.Now()
	b := newBacklog(o, reconnectDevice, users, parties)
	if err := b.visit(ctx); err != nil {
		return nil, err
	}
	filling := since()
	if err := b.fill(ctx, o.Waiting); err != nil {
		return nil, err
	}
	filled := since() - filling
	s := newStorm(b)
	if o.Started != nil {
		o.Started()
	}
	before := readUsage(o.Processes)
	stop := o.progress(func() string {
		return fmt.Sprintf("reconnect: %d of %d synced after %.0f s, %d refused", s.synced.Load(), len(s.returners), (since() - s.began).Seconds(), s.refused503.Load())
	})
	err := s.run(ctx)
	stop()
	if err != nil {
		return nil, err
	}
	used := readUsage(o.Processes).minus(before)

	report := &Report{Scenario: "reconnect", Started: started, Errors: b.errors.snapshot()}
	clients, synced, took := len(s.returners), s.synced.Load(), time.Duration(s.last.Load())
	report.add("clients", float64(clients))
	report.add("waiting_each", float64(o.Waiting))
	if synced == int64(clients) {
		report.add("all_synced_s", took.Seconds())
	}
	report.add("unsynced", float64(int64(clients)-synced))
	report.Figures = append(report.Figures, s.latency.figures("synced")...)
	if took > 0 {
		report.add("entries_per_s", float64(synced)*float64(o.Waiting)/took.Seconds())
	}
	report.add("refused_503", float64(s.refused503.Load()))
	report.add("refused_otherwise", float64(s.refusedOther.Load()))
	report.add("sockets_closed", float64(s.closed.Load()))
	report.add("sockets_broken", float64(s.broken.Load()))
	report.add("filled_rows_per_s", float64(clients*o.Waiting)/filled.Seconds())
	b.count(report)
	report.Figures = append(report.Figures, used.figures("client", int64(clients))...)
	return report, nil
}

// storm is the devices of a backlog that come back at once.
type storm struct {
	*backlog
	returners []*returner
	ackers    *ackers
	slots     chan struct{} // pages being pulled at a time
	began     time.Duration // since epoch

	latency                                  *latency
	synced, last                             atomic.Int64 // how many, and when the last one was
	complete                                 chan struct{}
	refused503, refusedOther, closed, broken atomic.Int64
}

// returner is one device of a storm and its socket. It keeps the client's side of the contract.
type returner struct {
	*waiting // its reader's own
	storm    *storm
	goal     int64 // the seq that it is synced at
	turn     ackTurn
	wanted   int64         // an ack of what came up to here has been asked for
	retry    time.Duration // what the server's bye asked for
	log      logPosition   // of a large group that it is in beside

	reached atomic.Int64 // held, for the ackers
	done    atomic.Bool
}

// logPosition is how far a large group is known, of whose messages there is nothing to measure here; they are acked.
type logPosition struct {
	mu  sync.Mutex
	id  string
	seq int64
}

func newStorm(b *backlog) *storm {
	s := &storm{backlog: b, ackers: newAckers(b.run, len(b.devices)), slots: make(chan struct{}, openParallel), latency: newLatency(), complete: make(chan struct{})}
	for _, d := range b.devices {
		r := &returner{waiting: d, storm: s, goal: d.held + int64(b.options.Waiting), wanted: d.held}
		r.reached.Store(d.held)
		r.turn = ackTurn{user: d.user, request: r.ackRequest, done: r.acked}
		s.returners = append(s.returners, r)
	}
	return s
}

// run lets all devices come back, and returns when the last one is synced or the limit is over, with all sockets closed.
func (s *storm) run(ctx context.Context) error {
	sockets, closeSockets := context.WithCancel(ctx)
	var workers sync.WaitGroup
	defer workers.Wait()
	defer closeSockets()
	users := make([]*User, len(s.returners))
	for i, r := range s.returners {
		users[i] = r.user
	}
	workers.Go(func() { s.ackers.send(sockets, users) })
	s.began = since()
	for i, r := range s.returners {
		workers.Go(func() { r.read(sockets, i) })
	}
	patience := time.NewTimer(s.options.ReconnectLimit)
	defer patience.Stop()
	select {
	case <-s.complete:
	case <-patience.C:
	case <-ctx.Done():
	}
	return ctx.Err()
}

// read opens the socket, again whenever it is refused or closed, and takes its frames until the context ends.
func (r *returner) read(ctx context.Context, i int) {
	s := r.storm
	source := r.user.target.source(i % sourceAddresses * portsAnAddress)
	for attempt := 0; ; attempt++ {
		query := url.Values{"device_id": {reconnectDevice}, "last_seq": {strconv.FormatInt(r.held, 10)}}
		if r.held > 0 {
			query.Set("last_id", string(r.heldID))
		}
		r.retry = 0
		socket, err := openPushSocket(ctx, r.user, query, source)
		if err == nil {
			attempt = 0
			err = socket.serve(func(frame []byte) error { return r.frame(ctx, frame, since()) })
			socket.end()
		}
		if ctx.Err() != nil {
			return
		}
		s.errors.add(closed(err))
		if pauseFor(ctx, r.wait(err, attempt)) != nil {
			return
		}
	}
}

// wait counts why a socket could not be opened or has ended, and says when to come back: as the server asks, else after an
// exponential backoff with full jitter.
func (r *returner) wait(err error, attempt int) time.Duration {
	s := r.storm
	asked := r.retry
	if refused, ok := errors.AsType[*refusal](err); ok {
		if refused.answer.Status == 503 {
			s.refused503.Add(1)
		} else {
			s.refusedOther.Add(1)
		}
		if asked = refused.answer.RetryAfter; asked > 0 {
			asked += rand.N(retrySpread)
		}
	} else if _, ok := errors.AsType[*closeError](err); ok {
		s.closed.Add(1)
	} else {
		s.broken.Add(1)
	}
	if asked > 0 {
		return asked
	}
	return rand.N(min(backoffStart<<min(attempt, 10), backoffMost))
}

func (r *returner) frame(ctx context.Context, frame []byte, now time.Duration) error {
	switch string(frameType(frame)) {
	case "message":
		message, ok := rawField(frame, `"message"`)
		if !ok {
			return fmt.Errorf("frame without a message: %.200s", frame)
		}
		seq, ok := seqField(frame[:len(frame)-len(message)])
		switch {
		case !ok:
			r.takeLog(message)
		case seq <= r.held: // pushed again, or pulled already
			r.storm.repushed.Add(1)
			r.storm.ackers.want(&r.turn)
		case seq > r.held+1:
			r.storm.disorder.Add(1)
			return r.catchUp(ctx)
		default:
			r.apply(seq, message, now)
		}
	case "behind":
		if _, ofLog := rawField(frame, `"conversation_id"`); ofLog {
			r.takeLog(frame)
			return nil
		}
		return r.catchUp(ctx)
	case "hello":
		if rest, ok := rawField(frame, `"reset"`); ok && len(rest) > 0 && rest[0] == 't' {
			return errors.New("hello says reset: the mailbox is not the one we know")
		}
	case "synced":
		r.storm.ackers.want(&r.turn)
	case "bye":
		if ms, ok := uintField(frame, `"retry_after_ms"`); ok {
			r.retry = time.Duration(ms) * time.Millisecond
		}
	case "":
		return fmt.Errorf("frame without a type: %.200s", frame)
	}
	return nil
}

// apply takes the entry that follows the last one held, and acks in the contract's batches, the last one at once.
func (r *returner) apply(seq int64, message []byte, now time.Duration) {
	r.take(seq, message, now)
	r.reached.Store(seq)
	if seq-r.wanted >= ackBatch || seq == r.goal {
		r.wanted = seq
		r.storm.ackers.want(&r.turn)
	}
}

// catchUp pulls until there is no more.
func (r *returner) catchUp(ctx context.Context) error {
	s := r.storm
	s.pulled.Add(1)
	select {
	case s.slots <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-s.slots }()
	c := newConn(ctx, r.user.target, s.options.Timeout)
	defer c.Close()
	return s.pull(ctx, c, r.user, reconnectDevice, r.held, r.apply, func(int) {})
}

// takeLog remembers that a large group's message came, or that there are some.
func (r *returner) takeLog(text []byte) {
	id, known := stringField(text, `"conversation_id"`)
	seq, ok := uintField(text, `"conversation_seq"`)
	if !ok {
		seq, ok = uintField(text, `"head"`)
	}
	if !known || !ok {
		return
	}
	r.log.mu.Lock()
	r.log.id, r.log.seq = id, max(r.log.seq, seq)
	r.log.mu.Unlock()
	r.storm.ackers.want(&r.turn)
}

// ackRequest is the body of an ack of all that the device holds.
func (r *returner) ackRequest(body []byte) ([]byte, int64) {
	held := r.reached.Load()
	body = appendAck(body, reconnectDevice, held)
	r.log.mu.Lock()
	defer r.log.mu.Unlock()
	if r.log.id != "" {
		body = append(body[:len(body)-1], `,"conversations":[{"conversation_id":"`+r.log.id+`","up_to":`...)
		body = strconv.AppendInt(body, r.log.seq, 10)
		body = append(body, `}]}`...)
	}
	return body, held
}

// acked is told that everything up to held is acked. What waited is then synced.
func (r *returner) acked(held int64, refused bool) {
	s := r.storm
	if refused || held < r.goal || r.done.Swap(true) {
		return
	}
	took := since() - s.began
	s.latency.record(took)
	for last := s.last.Load(); int64(took) > last && !s.last.CompareAndSwap(last, int64(took)); last = s.last.Load() {
	}
	if s.synced.Add(1) == int64(len(s.returners)) {
		close(s.complete)
	}
}
