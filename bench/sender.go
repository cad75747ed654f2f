package bench

import (
	"context"
	"math/rand/v2"
	"strings"
	"time"
)

// retryWindow is how long a client repeats a send by itself (the contract's second).
const retryWindow = time.Second

// sender is the sending half of a user: one send in flight, to its recipients in turn. One goroutine uses it.
type sender struct {
	run   *run
	user  *User
	aims  []aim
	conn  *conn
	index int
	head  []byte   // the request body up to the key
	tails [][]byte // what follows it, for each recipient
	body  []byte
}

// aim is one recipient of a sender's messages, a user or a group, and the account that is kept of what it is sent.
type aim struct {
	field string // of the request: "to_user_id":"7" or "conversation_id":"7"
	account
}

// account is what was accepted for somebody and what they were shown. It tells whether something was lost.
type account interface {
	// accept takes the answer to a sender's message that the service accepted.
	accept(index int, answer []byte)
	// race says that a send's outcome is unknown as the next is sent: no order is promised between them.
	race()
	// settled says whether as much was shown as was accepted, which is when waiting for more can end.
	settled() bool
	// lost counts what was accepted and never shown; senders and readers must have stopped.
	lost() int64
}

func (s *sender) open(ctx context.Context) {
	s.conn = newConn(ctx, s.user.target, s.run.options.Timeout)
	text := strings.Repeat("Over the hills and far away. ", s.run.options.Text/29+1)[:s.run.options.Text]
	s.head = []byte(`{"client_msg_id":"`)
	s.tails = s.tails[:0]
	for _, a := range s.aims {
		s.tails = append(s.tails, []byte(`",`+a.field+`,"type":"text","body":{"text":"`+text+`"}}`))
	}
}

func (s *sender) close() { s.conn.Close() }

// send sends the next message, which was due at the given time (since epoch), and returns how long the server asked to be
// left alone, 0 for not at all. Broken connections, 429 and 503 are repeated with the same key for a second.
func (s *sender) send(ctx context.Context, due time.Duration) time.Duration {
	r := s.run
	k := key{sender: s.user.number, index: s.index, due: due}
	turn := s.index % len(s.aims)
	s.index++
	s.body = append(s.body[:0], s.head...)
	s.body = appendKey(s.body, k)
	s.body = append(s.body, s.tails[turn]...)
	r.sent.Add(1)
	first := since()
	r.lateness.record(first - due)
	for {
		a, err := s.conn.Do("POST", "/v1/messages", s.user.access, s.body)
		now := since()
		var wait time.Duration
		switch {
		case err != nil:
			if ctx.Err() != nil {
				return 0
			}
			r.errors.add("broken connection")
		case a.Status == 201, a.Status == 200:
			if a.Status == 200 {
				r.repeats.Add(1)
			}
			s.aims[turn].accept(k.index, a.Body)
			if r.within(now) {
				r.accepted.Add(1)
			}
			if r.within(due) {
				r.sendLatency.record(now - due)
			}
			return 0
		case a.Status == 429, a.Status == 503:
			r.errors.add(label(a))
			wait = a.RetryAfter
		default:
			r.errors.add(label(a))
			r.failed.Add(1)
			return 0
		}
		pause := max(wait, 20*time.Millisecond+rand.N(80*time.Millisecond))
		if now+pause > first+retryWindow {
			s.aims[turn].race() // the server may still be at it when the next one is sent
			r.failed.Add(1)
			return min(pause, retryWindow)
		}
		if pauseFor(ctx, pause) != nil {
			return 0
		}
	}
}
