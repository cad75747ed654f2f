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

	"github.com/gorilla/websocket"
)

const (
	ackBatch      = 20                     // the contract's batch: this many entries …
	ackDelay      = 200 * time.Millisecond // … or this long after the first
	maxReconnects = 20
	maxPullPages  = 1000
	pullLimit     = 200
)

// session is the receiving half of a user: the socket of its one device, read by read, and its acks, sent by ack. It keeps
// the client's side of the contract: entries are applied in order of seq, known ones are dropped, gaps are pulled.
type session struct {
	run   *run
	user  *User
	check checker

	opened     chan struct{} // closed at the first hello
	ended      chan struct{} // closed when read has returned
	openedOnce sync.Once

	held   atomic.Int64 // highest seq held; written by read
	heldID []byte       // message_id there; read's own

	unacked atomic.Int64
	dirty   chan struct{} // there is something to ack
	full    chan struct{} // a batch is complete
	pull    *conn
}

// checker is told of every entry that a session shows, once and in the order of the mailbox.
type checker interface {
	show(entry []byte, now time.Duration)
}

func newSession(r *run, u *User, check checker) *session {
	s := &session{
		run: r, user: u, check: check, heldID: []byte(u.heldID),
		opened: make(chan struct{}), ended: make(chan struct{}), dirty: make(chan struct{}, 1), full: make(chan struct{}, 1),
	}
	s.held.Store(u.held)
	return s
}

// read keeps the socket open and takes its frames until the context ends or the reconnects are used up.
func (s *session) read(ctx context.Context, slots chan struct{}) {
	defer close(s.ended)
	s.pull = newConn(ctx, s.user.target, s.run.options.Timeout)
	defer s.pull.Close()
	defer func() { s.user.held, s.user.heldID = s.held.Load(), string(s.heldID) }()
	var buf []byte
	for attempt := range maxReconnects {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		query := url.Values{"device_id": {device}}
		if held := s.held.Load(); held > 0 {
			query.Set("last_seq", strconv.FormatInt(held, 10))
			query.Set("last_id", string(s.heldID))
		}
		ws, end, err := openSocket(ctx, s.user, query, nil)
		<-slots
		if err == nil {
			buf, err = s.serve(ctx, ws, buf)
			end()
		}
		if ctx.Err() != nil {
			return
		}
		s.run.errors.add(closed(err))
		if pauseFor(ctx, rand.N(time.Duration(min(attempt+1, 10))*200*time.Millisecond)) != nil {
			return
		}
	}
}

// serve takes frames until the socket ends, and returns why it did.
func (s *session) serve(ctx context.Context, ws *websocket.Conn, buf []byte) ([]byte, error) {
	for {
		var err error
		if buf, err = readFrame(ws, buf); err != nil {
			return buf, err
		}
		if err := s.frame(ctx, buf, since()); err != nil {
			return buf, err
		}
	}
}

func (s *session) frame(ctx context.Context, frame []byte, now time.Duration) error {
	switch string(frameType(frame)) {
	case "message":
		seq, ok := seqField(frame)
		if !ok { // of a log conversation: not ours
			return nil
		}
		held := s.held.Load()
		if seq > held+1 {
			s.run.disorder.Add(1)
			if err := s.catchUp(ctx); err != nil {
				return err
			}
			held = s.held.Load()
		}
		if seq <= held { // pushed again, or pulled already
			s.run.repushed.Add(1)
			s.wantAck(1)
			return nil
		}
		s.apply(seq, frame, now)
		s.wantAck(1)
	case "hello":
		if rest, ok := rawField(frame, `"reset"`); ok && len(rest) > 0 && rest[0] == 't' {
			return errors.New("hello says reset: the mailbox is not the one we know")
		}
		s.openedOnce.Do(func() { close(s.opened) })
	case "behind":
		return s.catchUp(ctx)
	case "receipt":
		s.run.receipts.Add(1)
	case "":
		return fmt.Errorf("frame without a type: %.200s", frame)
	}
	return nil
}

// apply takes the entry that follows the last one held.
func (s *session) apply(seq int64, entry []byte, now time.Duration) {
	if id, ok := rawString(entry, `"message_id"`); ok {
		s.heldID = append(s.heldID[:0], id...)
	}
	s.held.Store(seq)
	s.check.show(entry, now)
}

// catchUp pulls until there is no more.
func (s *session) catchUp(ctx context.Context) error {
	s.run.pulled.Add(1)
	return s.run.pull(ctx, s.pull, s.user, device, s.held.Load(), s.apply, s.wantAck)
}

// wantAck tells the acker of n more entries. It never blocks.
func (s *session) wantAck(n int) {
	if n == 0 {
		return
	}
	unacked := s.unacked.Add(int64(n))
	if unacked == int64(n) {
		signal(s.dirty)
	}
	if unacked >= ackBatch && unacked-int64(n) < ackBatch {
		signal(s.full)
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// ack sends cumulative acks in the contract's batches until stop is closed, the last one then at once. Its connection is its
// own, so that a slow ack delays no push.
func (s *session) ack(ctx context.Context, stop <-chan struct{}) {
	c := newConn(ctx, s.user.target, s.run.options.Timeout)
	defer c.Close()
	timer := time.NewTimer(ackDelay)
	defer timer.Stop()
	var body []byte
	for stopped := false; !stopped; {
		select {
		case <-s.dirty:
		case <-stop:
			stopped = true
		case <-ctx.Done():
			return
		}
		if !stopped {
			timer.Reset(ackDelay)
			select {
			case <-s.full:
			case <-timer.C:
			case <-stop:
				stopped = true
			case <-ctx.Done():
				return
			}
		}
		if s.unacked.Swap(0) == 0 {
			continue
		}
		body = append(body[:0], `{"device_id":"`+device+`","up_to":`...)
		body = strconv.AppendInt(body, s.held.Load(), 10)
		body = append(body, '}')
		a, err := c.Do("POST", "/v1/mailbox/ack", s.user.access, body)
		switch {
		case err != nil:
			if ctx.Err() != nil {
				return
			}
			s.run.errors.add("ack broken connection")
			s.wantAck(1)
		case a.Status != 200:
			s.run.errors.add("ack " + label(a))
			if a.Status == 429 || a.Status == 503 {
				s.wantAck(1)
			}
		default:
			s.run.acks.Add(1)
		}
	}
}
