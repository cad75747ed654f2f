package bench

import (
	"context"
	"math/rand/v2"
	"strings"
	"time"
)

// retryWindow is how long a client repeats a send by itself (the contract's second).
const retryWindow = time.Second

// sender is the sending half of a user: one send in flight, all to the same recipient. One goroutine uses it.
type sender struct {
	run    *run
	user   *User
	to     string
	ledger *ledger
	conn   *conn
	index  int
	head   []byte // the request body up to the key, and what follows it
	tail   []byte
	body   []byte
}

func (s *sender) open(ctx context.Context) {
	s.conn = newConn(ctx, s.user.target, s.run.options.Timeout)
	text := strings.Repeat("Over the hills and far away. ", s.run.options.Text/29+1)[:s.run.options.Text]
	s.head = []byte(`{"client_msg_id":"`)
	s.tail = []byte(`","to_user_id":"` + s.to + `","type":"text","body":{"text":"` + text + `"}}`)
}

func (s *sender) close() { s.conn.Close() }

// send sends the next message, which was due at the given time (since epoch), and returns how long the server asked to be
// left alone, 0 for not at all. Broken connections, 429 and 503 are repeated with the same key for a second.
func (s *sender) send(ctx context.Context, due time.Duration) time.Duration {
	r := s.run
	k := key{sender: s.user.number, index: s.index, due: due}
	s.index++
	s.body = append(s.body[:0], s.head...)
	s.body = appendKey(s.body, k)
	s.body = append(s.body, s.tail...)
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
			s.ledger.accept(k.index)
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
			s.ledger.racing.Store(true) // the server may still be at it when the next one is sent
			r.failed.Add(1)
			return min(pause, retryWindow)
		}
		if pauseFor(ctx, pause) != nil {
			return 0
		}
	}
}
