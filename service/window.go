package service

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"ackbox/model"

	"github.com/redis/go-redis/v9"
)

// Window is the one-second idempotency window: of several sends with one key that
// race, one goes on and the others wait for it. It saves work and is never an answer:
// send_keys has the last word, also when Redis is gone.
//
// What this node is sending it knows itself, and while it is alone also what it has sent within the
// window. Other nodes are asked by a key in Redis. Those claims are pipelined: what piled up while one round trip was under way goes in the next.
type Window struct {
	redis        redis.UniversalClient
	length       time.Duration
	installation string
	queue        *batcher[*claim]
	shared       func() bool // says whether there are other nodes

	rest rest // of Redis

	mu      sync.Mutex
	flights map[windowKey]*flight // keys that are being sent by this node
	sent    sentKeys              // while it is alone
}

// sentMost bounds the keys of one generation: beyond it they are forgotten early, and the row decides.
const sentMost = 65_536

// sentKeys are keys that this node has sent, for one to two windows.
type sentKeys struct {
	newer, older map[windowKey]struct{}
	turned       time.Time
}

func (s *sentKeys) add(k windowKey, window time.Duration) {
	if now := time.Now(); now.Sub(s.turned) >= window || len(s.newer) >= sentMost {
		s.older, s.newer = s.newer, make(map[windowKey]struct{}, len(s.newer))
		if now.Sub(s.turned) >= 2*window {
			s.older = nil
		}
		s.turned = now
	}
	s.newer[k] = struct{}{}
}

func (s *sentKeys) has(k windowKey, window time.Duration) bool {
	_, newer := s.newer[k]
	_, older := s.older[k]
	return (newer || older) && time.Since(s.turned) < 2*window
}

type windowKey struct {
	sender model.UserID
	key    string
}

// in is the key's name in Redis: other installations may use the same one.
func (k windowKey) in(installation string) string {
	return "ackbox:" + installation + ":idem:{" + strconv.FormatInt(int64(k.sender), 10) + "}:" + k.key
}

type flight struct{ done chan struct{} }

type claim struct {
	key  windowKey
	drop bool
	won  bool
	err  error
	done chan struct{}
}

// windowTimeout is how long a claim may take before the send goes on without it.
const windowTimeout = 100 * time.Millisecond

// NewWindow starts the two pipelines.
func NewWindow(client redis.UniversalClient, installation string, length time.Duration) *Window {
	w := &Window{redis: client, installation: installation, length: length, shared: func() bool { return true }, flights: map[windowKey]*flight{}}
	w.queue = newBatcher(2, 256, 16_384, w.run)
	return w
}

// SharedWhen says when there are other nodes, which is always if it is not said. Set before use.
func (w *Window) SharedWhen(others func() bool) { w.shared = others }

// Stop ends the pipelines; claims that come later are lost races with nobody.
func (w *Window) Stop() { w.queue.stop() }

// Enter says whether this caller goes on with the key. When it does, it calls leave
// with the outcome once the send has ended: a failed one frees the key. When it does
// not, another send of the key was under way and has ended, or the window has
// passed: the store knows the rest.
func (w *Window) Enter(ctx context.Context, sender model.UserID, key string) (leave func(ok bool), won bool, err error) {
	k, alone := windowKey{sender, key}, !w.shared()
	w.mu.Lock()
	if f, busy := w.flights[k]; busy {
		w.mu.Unlock()
		select {
		case <-f.done:
			return nil, false, nil
		case <-ctx.Done():
			return nil, false, fmt.Errorf("waiting for the same key: %w", ctx.Err())
		}
	}
	if alone && w.sent.has(k, w.length) {
		w.mu.Unlock()
		return nil, false, nil
	}
	f := &flight{done: make(chan struct{})}
	w.flights[k] = f
	w.mu.Unlock()

	c := &claim{key: k, done: make(chan struct{})}
	if alone {
		c.won, c.err = true, errAlone
	} else if !w.rest.ask() {
		c.won, c.err = true, errRedisRests
	} else if w.queue.put(c) == nil {
		timer := time.NewTimer(windowTimeout)
		select {
		case <-c.done:
		case <-timer.C: // Redis is slow: the row decides
			w.rest.answered(false)
			c = &claim{key: k, won: true}
		}
		timer.Stop()
	} else {
		c.won = true
	}
	if c.err != nil {
		c.won = true // Redis is away
	}
	leave = func(ok bool) {
		if !ok && c.won && c.err == nil {
			if w.queue.put(&claim{key: k, drop: true, done: make(chan struct{})}) != nil {
				metrics.redisErrors.Inc() // the key ends by itself within the window
			}
		}
		w.mu.Lock()
		delete(w.flights, k)
		if ok && alone {
			w.sent.add(k, w.length)
		}
		w.mu.Unlock()
		close(f.done)
	}
	return leave, c.won, nil
}

var errAlone = errors.New("there are no other nodes")

var errRedisRests = errors.New("redis failed a moment ago")

// Length is how long the window holds a key.
func (w *Window) Length() time.Duration { return w.length }

func (w *Window) run(batch []*claim) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	pipe := w.redis.Pipeline()
	answers := make([]*redis.StatusCmd, len(batch))
	for i, c := range batch {
		if c.drop {
			pipe.Del(ctx, c.key.in(w.installation))
			continue
		}
		answers[i] = pipe.SetArgs(ctx, c.key.in(w.installation), 1, redis.SetArgs{Mode: "NX", TTL: w.length})
	}
	// Exec gives the first command's error; each is read below.
	asked := time.Now()
	_, err := pipe.Exec(ctx)
	if err != nil && !errors.Is(err, redis.Nil) {
		metrics.redisErrors.Inc()
	}
	w.rest.answered((err == nil || errors.Is(err, redis.Nil)) && time.Since(asked) < windowTimeout)
	for i, c := range batch {
		if answers[i] != nil {
			err := answers[i].Err()
			if c.won = err == nil; !c.won && !errors.Is(err, redis.Nil) { // Nil: the key was set already
				c.err = err
			}
		}
		close(c.done)
	}
}
