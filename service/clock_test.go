package service

import (
	"crypto/rand"
	"sync/atomic"
	"testing"
	"time"

	"ackbox/internal/testenv"
	"ackbox/model"
)

// skewed is a machine's clock that is wrong.
func skewed(by time.Duration) func() time.Time {
	return func() time.Time { return time.Now().Add(by) }
}

// agreed is the nodes' time on a machine with such a clock.
func agreed(t *testing.T, store *model.Store, by time.Duration) func() time.Time {
	t.Helper()
	c, err := NewClock(within(t), store, skewed(by))
	must(t, err)
	return c.Now
}

// TestClock: machines whose clocks are hours apart agree on the time, also when one is set meanwhile or the database says the
// time late.
func TestClock(t *testing.T) {
	t.Parallel()
	onBothBackends(t, func(t *testing.T, store *model.Store) {
		near := func(what string, a, b time.Time) {
			t.Helper()
			if apart := a.Sub(b).Abs(); apart > 10*time.Second { // a busy machine; the clocks are an hour off
				t.Errorf("%s: %s apart", what, apart)
			}
		}
		for _, by := range []time.Duration{-time.Hour, 0, time.Hour} {
			near("a clock that is "+by.String()+" off", agreed(t, store, by)(), time.Now())
		}
		own := newHandClock()
		c, err := NewClock(within(t), store, own.now)
		must(t, err)
		near("years off", c.Now(), time.Now())
		own.step(time.Hour) // as time goes by: it has no monotonic reading
		near("an hour on", c.Now(), time.Now().Add(time.Hour))
		must(t, c.Look(within(t)))
		near("looked again", c.Now(), time.Now())

		var slow time.Duration
		c, err = NewClock(within(t), store, func() time.Time { own.step(slow); return own.now() })
		must(t, err)
		slow = time.Hour // passes between the question and its answer
		must(t, c.Look(within(t)))
		slow = 0
		near("a late answer", c.Now(), time.Now().Add(2*time.Hour))
	})
}

// TestClocksApart: which of a device's connections is the older one does not depend on the clocks of the nodes.
func TestClocksApart(t *testing.T) {
	t.Parallel()
	for name, by := range map[string]time.Duration{"ahead": time.Hour, "behind": -time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := sqliteStore(t)
			redis := testenv.StartRedis(t)
			right, wrong := agreed(t, store, 0), agreed(t, store, by)
			var passed atomic.Int64 // more than it takes to look at the database's clock
			nodeOf := func(clock func() time.Time) *node {
				options := standard
				options.Agreed = func() time.Time { return clock().Add(time.Duration(passed.Load())) }
				return newNode(t, store, options, time.Now)
			}
			one, two := nodeOf(right), nodeOf(wrong)
			relayed(t, one, redis.URL(), "here")
			relayed(t, two, redis.URL(), "here")
			key := model.DeviceKey{UserID: one.user(t), DeviceID: "phone"}
			before := one.connect(t, key, nil)
			for _, newer := range []*node{two, one, two} {
				hears(newer, before)
				passed.Add(int64(10 * time.Second))
				now := newer.connect(t, key, nil)
				before.closedWith(CloseReplaced)
				before.leave()
				if closed, code := now.line.state(); closed {
					t.Errorf("the newer connection was closed with %d", code)
				}
				before = now
			}
		})
	}
}

// TestLoginsApart: a token of one node is good on another, and a logout there ends it here, by the database alone, whatever
// their clocks say.
func TestLoginsApart(t *testing.T) {
	t.Parallel()
	for name, by := range map[string]time.Duration{"ahead": time.Hour, "behind": -time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := sqliteStore(t)
			ids := newNode(t, store, standard, time.Now).ids
			authOf := func(now func() time.Time) *Auth {
				a, err := NewAuth(AuthOptions{
					Store: store, IDs: ids, Redis: redisClient(t, testenv.Redis(t)), Installation: name, Secret: make([]byte, 32),
					AccessTTL: 15 * time.Minute, RefreshTTL: time.Hour, Now: now, PasswordMemory: 8,
				})
				must(t, err)
				must(t, a.LoadRevoked(within(t)))
				return a
			}
			right, wrong := authOf(agreed(t, store, 0)), authOf(agreed(t, store, by))
			for _, on := range []struct{ login, logout *Auth }{{right, wrong}, {wrong, right}} {
				grant, err := on.login.Register(within(t), Registration{Username: rand.Text(), Password: rand.Text()})
				must(t, err)
				claims, err := on.logout.VerifyAccess(grant.AccessToken)
				must(t, err)
				must(t, on.logout.Logout(within(t), claims, grant.RefreshToken))
				must(t, on.login.LoadRevoked(within(t)))
				_, err = on.login.VerifyAccess(grant.AccessToken)
				wantError(t, err, model.CodeTokenRevoked)
			}
		})
	}
}
