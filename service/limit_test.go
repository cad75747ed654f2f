package service

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ackbox/internal/testenv"
	"ackbox/model"
)

func newTestLimits(t *testing.T, o LimitOptions) *Limits {
	t.Helper()
	l, err := NewLimits(o)
	must(t, err)
	t.Cleanup(l.Stop)
	return l
}

// takes is how many of n may pass.
func takes(t *testing.T, l *Limits, ask Ask, n int) (passed int) {
	t.Helper()
	for range n {
		err := l.Take(within(t), ask)
		if err != nil {
			wantError(t, err, model.CodeRateLimited)
			continue
		}
		passed++
	}
	return passed
}

// TestLimitLayers: all rates of a limit must agree; what is refused costs nothing; what
// was taken comes back evenly; the refusal says which limit, which rate and how long.
func TestLimitLayers(t *testing.T) {
	t.Parallel()
	clock := newHandClock()
	l := newTestLimits(t, LimitOptions{Clock: clock.now, Rates: map[Limit][]Rate{
		LimitLogin: {{3, 5 * time.Second}, {5, 30 * time.Second}}, LimitSend: {{2, time.Minute}},
	}})
	ask := Ask{LimitLogin, "a"}
	equal(t, "a burst", takes(t, l, ask, 10), 3)
	var refused *model.Error
	if err := l.Take(t.Context(), ask); !errors.As(err, &refused) {
		t.Fatalf("got %v, want a refusal", err)
	}
	equal(t, "limit", refused.Limit, "login")
	equal(t, "detail", refused.Detail, "3 logins per 5 s for this account")
	equal(t, "wait", refused.RetryAfter.Round(time.Millisecond), 1667*time.Millisecond)
	clock.step(refused.RetryAfter - time.Millisecond)
	equal(t, "just before", takes(t, l, ask, 1), 0)
	clock.step(time.Millisecond)
	equal(t, "then", takes(t, l, ask, 3), 1)
	clock.step(5 * time.Second)
	equal(t, "the second layer", takes(t, l, ask, 9), 2) // of five, and one has come back
	if err := l.Take(t.Context(), ask); !errors.As(err, &refused) || refused.Detail != "5 logins per 30 s for this account" {
		t.Errorf("got %v, want the second layer's refusal", err)
	}
	equal(t, "somebody else", takes(t, l, Ask{LimitLogin, "b"}, 9), 3)
	equal(t, "not limited", takes(t, l, Ask{LimitSearch, "a"}, 1_000), 1_000)
	clock.step(time.Hour)
	equal(t, "all is back", takes(t, l, ask, 9), 3)

	// The first that refuses ends it: what comes behind is not taken.
	two := []Ask{{LimitSend, "x"}, {LimitLogin, "c"}}
	for range 9 {
		if err := l.Take(t.Context(), two...); err != nil {
			wantError(t, err, model.CodeRateLimited)
		}
	}
	equal(t, "left behind the refused", takes(t, l, Ask{LimitLogin, "c"}, 9), 1)

	var off *Limits
	must(t, off.Take(t.Context(), ask))
	off.Stop()
}

// TestLimitOptions: what cannot be counted is refused at the start.
func TestLimitOptions(t *testing.T) {
	t.Parallel()
	for name, rates := range map[string]map[Limit][]Rate{
		"unknown": {"nothing": {{1, time.Second}}}, "none": {LimitSend: {{0, time.Second}}}, "no time": {LimitSend: {{1, 0}}},
	} {
		if l, err := NewLimits(LimitOptions{Rates: rates}); err == nil {
			l.Stop()
			t.Errorf("%s: was taken", name)
		}
	}
}

// twoLimits are the limits of two nodes.
func twoLimits(t *testing.T, url string, rates map[Limit][]Rate) (installation string, nodes [2]*Limits) {
	t.Helper()
	installation = rand.Text()
	for i := range nodes {
		nodes[i] = newTestLimits(t, LimitOptions{Rates: rates, Redis: redisClient(t, url), Installation: installation, Patience: patience})
	}
	return installation, nodes
}

// TestLimitNodes: exact limits add the nodes up from the first; the others after a part.
func TestLimitNodes(t *testing.T) {
	t.Parallel()
	const n = 80
	url := testenv.Redis(t)
	rates := map[Limit][]Rate{LimitLogin: {{3, time.Hour}, {n, 10 * time.Hour}}, LimitSend: {{n, time.Hour}}, LimitLoginAddress: {{2, time.Hour}}}
	installation, nodes := twoLimits(t, url, rates)
	passed := 0
	for i := range 10 {
		passed += takes(t, nodes[i%2], Ask{LimitLogin, "a"}, 1)
	}
	equal(t, "exact", passed, 3)

	// Another node's refusal says how long.
	var refused *model.Error
	if err := nodes[1].Take(t.Context(), Ask{LimitLogin, "a"}); !errors.As(err, &refused) || refused.RetryAfter < 10*time.Minute || refused.RetryAfter > time.Hour {
		t.Errorf("got %v, want a refusal that says when", err)
	}

	// Racing guesses are counted one by one.
	var race atomic.Int64
	var group sync.WaitGroup
	for i := range 40 {
		group.Go(func() {
			if nodes[i%2].Take(t.Context(), Ask{LimitLoginAddress, "r"}, Ask{LimitLogin, fmt.Sprint("other", i)}) == nil {
				race.Add(1)
			}
		})
	}
	group.Wait()
	equal(t, "racing", race.Load(), 2)

	ask := Ask{LimitSend, "7"}
	equal(t, "here", takes(t, nodes[0], ask, n), n)
	eventually(t, "the other node to learn", func() bool { return takes(t, nodes[1], ask, 1) == 0 })
	// What the second took before it knew is bounded, and nothing more comes.
	equal(t, "there", takes(t, nodes[1], ask, n), 0)

	client := redisClient(t, url)
	keys, err := client.Keys(t.Context(), "*"+installation+"*").Result()
	must(t, err)
	if len(keys) == 0 {
		t.Fatal("nothing is counted in Redis")
	}
	for _, key := range keys {
		if !strings.HasPrefix(key, "ackbox:"+installation+":limit:") {
			t.Errorf("a key %q", key)
		}
		ttl, err := client.TTL(t.Context(), key).Result()
		must(t, err)
		if ttl <= 0 || ttl > 11*time.Hour {
			t.Errorf("%s stays for %s", key, ttl)
		}
	}
}

// TestLimitOvershoot: what a node that has told nobody can take beyond a limit is a part.
func TestLimitOvershoot(t *testing.T) {
	t.Parallel()
	const n = 80
	_, nodes := twoLimits(t, testenv.Redis(t), map[Limit][]Rate{LimitSend: {{n, time.Hour}}})
	ask := Ask{LimitSend, "7"}
	total := 0
	for i := range 4 * n { // each waits for what it told, as a slow client would
		total += takes(t, nodes[i%2], ask, 1)
		eventually(t, "the telling", func() bool {
			b := nodes[i%2].limits[LimitSend].bucket(ask.Key)
			b.mu.Lock()
			defer b.mu.Unlock()
			return !b.telling
		})
	}
	if total < n || total > n+2*n/tellParts {
		t.Errorf("two nodes allowed %d, want %d and at most a part each more", total, n)
	}
}

// TestLimitRedisAway: without Redis each node counts for itself at once; what it took is told
// when Redis is back.
func TestLimitRedisAway(t *testing.T) {
	t.Parallel()
	server := testenv.StartRedis(t)
	_, nodes := twoLimits(t, server.URL(), map[Limit][]Rate{LimitLogin: {{4, time.Hour}}})
	ask := Ask{LimitLogin, "a"}
	equal(t, "before", takes(t, nodes[0], ask, 2), 2)
	server.Kill()
	equal(t, "here", takes(t, nodes[0], ask, 9), 2)
	equal(t, "there", takes(t, nodes[1], Ask{LimitLogin, "b"}, 9), 4)
	if !nodes[0].shared.down.Load() {
		t.Error("Redis is gone, and still asked by every request")
	}
	server.Start()
	for _, l := range nodes {
		eventually(t, "Redis to be back", func() bool { return !l.shared.down.Load() })
	}
	equal(t, "of others", takes(t, nodes[1], Ask{LimitLogin, "c"}, 9), 4)
	equal(t, "and here", takes(t, nodes[0], Ask{LimitLogin, "c"}, 9), 0)
}

// TestLimitUntold: what was taken while Redis was away is told with the next question.
func TestLimitUntold(t *testing.T) {
	t.Parallel()
	server := testenv.StartRedis(t)
	_, nodes := twoLimits(t, server.URL(), map[Limit][]Rate{LimitLogin: {{4, time.Hour}}})
	ask := Ask{LimitLogin, "a"}
	server.Kill()
	equal(t, "alone", takes(t, nodes[0], ask, 3), 3)
	server.Start()
	eventually(t, "Redis to be back", func() bool { return !nodes[0].shared.down.Load() })
	equal(t, "the last one", takes(t, nodes[0], ask, 1), 1)
	equal(t, "there", takes(t, nodes[1], ask, 9), 0)
}

// TestLimitRedisFrozen: a Redis that does not answer costs one request its patience, not all.
func TestLimitRedisFrozen(t *testing.T) {
	t.Parallel()
	server := testenv.StartRedis(t)
	const length = 300 * time.Millisecond
	l := newTestLimits(t, LimitOptions{Rates: map[Limit][]Rate{LimitLogin: {{1_000, time.Hour}}}, Redis: redisClient(t, server.URL()), Installation: rand.Text(), Patience: length})
	must(t, l.Take(t.Context(), Ask{LimitLogin, "a"}))
	server.Pause()
	defer server.Resume()
	start := time.Now()
	equal(t, "frozen", takes(t, l, Ask{LimitLogin, "a"}, 500), 500)
	if took := time.Since(start); took > 100*length { // each waiting would be 500
		t.Errorf("500 requests took %s", took)
	}
}

// BenchmarkLimitTake is what a send pays: three limits, nobody asked.
func BenchmarkLimitTake(b *testing.B) {
	l, err := NewLimits(LimitOptions{Rates: map[Limit][]Rate{LimitRequest: {{1_000_000, time.Second}}, LimitSend: {{1_000_000, time.Second}, {1_000_000, time.Minute}}, LimitSendAddress: {{1_000_000, time.Second}}}})
	if err != nil {
		b.Fatal(err)
	}
	defer l.Stop()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := l.Take(context.Background(), AskUser(LimitRequest, 7), AskUser(LimitSend, 7), Ask{LimitSendAddress, "x"}); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
