package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"ackbox/client"
	"ackbox/internal/testenv"
)

// clusterPair is two nodes of an installation on a Redis Cluster.
type clusterPair struct {
	a, b *system
	bob  *actor // who gets what the stream sends
}

// TestRedisCluster runs two nodes on a Redis Cluster of three masters, over sharded channels, and over others (and then from
// the URL of one node): what needs Redis works, and while a slot moves and while a master dies nothing is lost, no send fails, and pushes
// come again by the relay; no sweep helps on its own account. After a failover all works again.
func TestRedisCluster(t *testing.T) {
	t.Parallel()
	redis := testenv.StartRedisCluster(t)
	pairs := map[string]*clusterPair{}
	for name, settings := range map[string][]string{
		"sharded":     {"ACKBOX_REDIS_URL=" + redis.URLs()},
		"not sharded": {"ACKBOX_REDIS_URL=" + redis.URL(), "ACKBOX_REDIS_SHARDED=off"},
	} {
		settings = append([]string{"ACKBOX_RATE_LIMIT=on", "ACKBOX_LIMIT_LOGIN=4/1h", "ACKBOX_LIMIT_SEND=off", "ACKBOX_SWEEP_INTERVAL=1h", patientWithAcks}, settings...)
		stores := storeEnv(testenv.MySQL(t), redis.URLs())
		p := &clusterPair{a: mariaDB.startOn(t, stores, settings...), b: mariaDB.startOn(t, stores, settings...)}
		p.bob = p.b.user(t)
		pairs[name] = p
	}
	works := func(t *testing.T) {
		for name, p := range pairs {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				p.works(t)
			})
		}
	}
	t.Run("at first", works)

	var streams []*stream
	for name, p := range pairs {
		streams = append(streams, p.stream(t, name))
	}
	goOn := func(what string) {
		t.Helper()
		for _, s := range streams {
			s.goOn(t, what)
		}
	}
	goOn("at first")
	// The slot of bob's sharded channel is moved to the master where the others' relay is subscribed, which then dies.
	sharded, victim := "", ""
	for channel, at := range redis.Channels() {
		switch {
		case strings.HasSuffix(channel, ":user:"+string(pairs["sharded"].bob.id())):
			sharded = channel
		case strings.HasSuffix(channel, ":user:"+string(pairs["not sharded"].bob.id())):
			victim = at
		}
	}
	for moved := false; !moved || redis.OwnerURL(sharded) != victim; moved = true {
		redis.MoveSlot(sharded)
		goOn("after a slot has moved")
	}
	redis.KillOwner(sharded)
	killed := time.Now()
	redis.AwaitWhole()
	t.Logf("the replica of the killed master serves after %s", time.Since(killed))
	goOn("after a master has died")
	for _, s := range streams {
		s.end(t)
	}
	t.Run("after a failover", works)
}

// works checks what needs Redis.
func (p *clusterPair) works(t *testing.T) {
	awaited(t, "a ticket", func(ctx context.Context) error { _, err := p.bob.Ticket(ctx); return err })
	for _, behaviour := range []struct {
		name string
		run  func(t *testing.T, a, b *system)
	}{
		{"a send there reaches a socket here", crossSend},
		{"the same device connecting there closes here", crossReplace},
		{"a logout there closes here", crossLogout},
		{"a logout there is known here", crossRefusal},
		{"a ticket from there opens here", crossTicket},
		{"racing sends with one key", crossRacingKey},
		{"who comes and goes there is seen here", crossOnline},
		{"guesses count together", func(t *testing.T, a, b *system) {
			together(t, func() error {
				name := freshName()
				for i := range 4 {
					if err := guess(t, []*system{a, b}[i%2], name, "invalid_credentials"); err != nil {
						return err
					}
				}
				return guess(t, b, name, "rate_limited")
			})
		}},
	} {
		t.Run(behaviour.name, func(t *testing.T) {
			t.Parallel()
			behaviour.run(t, p.a, p.b)
		})
	}
}

// crossOnline: who connects there is seen here.
func crossOnline(t *testing.T, a, b *system) {
	alice, bob := a.user(t), b.user(t)
	alice.send(bob, "are you there?")
	bob.openLive("laptop")
	awaited(t, "bob to be online", func(context.Context) error {
		if p := alice.presenceOf(bob); p == nil || !p.Online {
			return fmt.Errorf("alice sees %+v", p)
		}
		return nil
	})
}

// stream is somebody at one node who sends to bob at the other, one message after the other, and bob's socket.
type stream struct {
	name    string
	cancel  context.CancelFunc
	sending chan error // how the sender ended
	reading chan error

	mu       sync.Mutex
	answered []time.Time // when each was answered
	seen     int64       // how many bob has, in order
	slowest  time.Duration
	latest   time.Duration // from the answer to the push, at most
}

// stream begins.
func (p *clusterPair) stream(t *testing.T, name string) *stream {
	t.Helper()
	alice, laptop := p.a.user(t), p.bob.openLive("laptop")
	ctx, cancel := context.WithCancel(t.Context())
	s := &stream{name: name, cancel: cancel, sending: make(chan error, 1), reading: make(chan error, 1)}
	go func() { s.sending <- s.send(ctx, alice.Session, p.bob.id()) }()
	go func() { s.reading <- s.read(ctx, p.bob.Session, laptop) }()
	return s
}

func (s *stream) send(ctx context.Context, alice *client.Session, bob client.UserID) error {
	for n := 0; ctx.Err() == nil; n++ {
		began := time.Now()
		sent, err := alice.Send(ctx, client.Text(bob, uuid.NewString(), fmt.Sprint("number ", n)))
		if ctx.Err() != nil {
			return nil //nolint:nilerr // end has ended it
		}
		if err != nil || sent.Status != http.StatusCreated {
			return fmt.Errorf("send %d: %d %w", n, sent.Status, err)
		}
		s.mu.Lock()
		s.answered = append(s.answered, time.Now())
		s.slowest = max(s.slowest, time.Since(began))
		s.mu.Unlock()
		pause(ctx, 50*time.Millisecond)
	}
	return nil
}

// read takes the pushes in order, and acks.
func (s *stream) read(ctx context.Context, bob *client.Session, laptop *line) error {
	for {
		frame, err := laptop.next(ctx)
		switch {
		case ctx.Err() != nil:
			return nil //nolint:nilerr // end has ended it
		case err != nil:
			return fmt.Errorf("bob's socket: %w", err)
		case frame.Type == "behind":
			return fmt.Errorf("bob is behind: %s", frame.Raw)
		case frame.Type != "message" || frame.Seq <= s.has():
			continue
		case frame.Seq != s.has()+1:
			return fmt.Errorf("message %d after %d", frame.Seq, s.has())
		}
		s.mu.Lock()
		s.seen = frame.Seq
		if int(frame.Seq) <= len(s.answered) {
			s.latest = max(s.latest, time.Since(s.answered[frame.Seq-1]))
		}
		s.mu.Unlock()
		if _, err := bob.AckUpTo(ctx, "laptop", frame.Seq); err != nil && ctx.Err() == nil {
			return fmt.Errorf("ack: %w", err)
		}
	}
}

func (s *stream) has() int64 { s.mu.Lock(); defer s.mu.Unlock(); return s.seen }

// goOn waits until bob has some that were sent from now on, and so all before them.
func (s *stream) goOn(t *testing.T, what string) {
	t.Helper()
	s.mu.Lock()
	target := int64(len(s.answered)) + 10
	s.mu.Unlock()
	awaited(t, s.name+": pushes "+what, func(context.Context) error {
		select {
		case err := <-s.sending:
			t.Fatalf("%s: the sender: %v", s.name, err)
		case err := <-s.reading:
			t.Fatalf("%s: the reader: %v", s.name, err)
		default:
		}
		if has := s.has(); has < target {
			return fmt.Errorf("bob has %d of %d", has, target)
		}
		return nil
	})
}

// end stops, and tells the figures.
func (s *stream) end(t *testing.T) {
	t.Helper()
	s.cancel()
	if err := errors.Join(<-s.sending, <-s.reading); err != nil {
		t.Errorf("%s: %v", s.name, err)
	}
	t.Logf("%s: %d messages; the slowest send took %s, the latest push came %s after the answer", s.name, len(s.answered), s.slowest, s.latest)
}

// crossRefusal: who logged out at one node is refused at the other, by the relay at once and at the latest when it has
// read what ended, every 5 s.
func crossRefusal(t *testing.T, a, b *system) {
	bob := a.user(t)
	there := bob.at(b)
	if _, err := there.Mailbox(within(t, patience), 0, 1); err != nil {
		t.Fatal(err)
	}
	if _, err := bob.Logout(within(t, patience)); err != nil {
		t.Fatalf("logout: %v", err)
	}
	ctx := within(t, patience)
	for {
		_, err := there.Mailbox(ctx, 0, 1)
		if problem, ok := client.AsProblem(err); ok && problem != nil {
			refused(t, err, "token_revoked", http.StatusUnauthorized)
			return
		}
		if err != nil {
			t.Fatalf("the token still works at the other node: %v", err)
		}
	}
}
