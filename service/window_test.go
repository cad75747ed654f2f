package service

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"

	"ackbox/internal/testenv"
	"ackbox/model"
)

const sender = model.UserID(7)

func newWindow(t testing.TB, url string) *Window {
	t.Helper()
	w := NewWindow(redisClient(t, url), "test", time.Second)
	t.Cleanup(w.Stop)
	return w
}

// enter is Enter by a caller who has to be answered.
func enter(t testing.TB, w *Window, key string) (leave func(bool), won bool) {
	t.Helper()
	leave, won, err := w.Enter(within(t), sender, key)
	must(t, err)
	if won && leave == nil {
		t.Fatal("won, and nobody to tell")
	}
	return leave, won
}

// whileRedisIsQuick runs a test that needs each claim answered by Redis within the
// window's patience; on a machine too busy for that it runs again with another key.
func whileRedisIsQuick(t *testing.T, w *Window, test func(t *testing.T, key string) string) {
	t.Helper()
	var wrong string
	for i := range 10 {
		before := w.rest.until.Load()
		wrong = test(t, fmt.Sprint(t.Name(), i))
		if w.rest.until.Load() == before {
			if wrong != "" {
				t.Error(wrong)
			}
			return
		}
		must(t, pause(t.Context(), redisRest+10*time.Millisecond))
	}
	t.Errorf("Redis never answered in time, and: %s", wrong)
}

// TestWindowRace: of 32 racing sends of a key one goes on, and the others wait until
// it has ended.
func TestWindowRace(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t)
	w := newWindow(t, "redis://"+server.Addr())
	whileRedisIsQuick(t, w, func(t *testing.T, key string) (wrong string) {
		var ended atomic.Bool
		var won, waited, early atomic.Int64
		var group sync.WaitGroup
		inside := make(chan func(bool), 32)
		for range 32 {
			group.Go(func() {
				leave, first := enter(t, w, key)
				switch {
				case first:
					won.Add(1)
					inside <- leave
				case leave != nil: // came after the winner had left
					leave(true)
					waited.Add(1)
				default:
					if !ended.Load() {
						early.Add(1)
					}
					waited.Add(1)
				}
			})
		}
		leave := <-inside
		ended.Store(true)
		leave(true)
		group.Wait()
		if won.Load() != 1 || waited.Load() != 31 || early.Load() != 0 {
			return fmt.Sprintf("%d won, %d waited, %d of them not long enough", won.Load(), waited.Load(), early.Load())
		}
		return ""
	})
	equal(t, "keys in flight", len(w.flights), 0)
}

// TestWindowHoldsAKey for its length after a send that succeeded; a failed one frees it.
func TestWindowHoldsAKey(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t)
	w := newWindow(t, "redis://"+server.Addr())
	equal(t, "length", w.Length(), time.Second)
	whileRedisIsQuick(t, w, func(t *testing.T, key string) string {
		leave, won := enter(t, w, key)
		if !won {
			return "a fresh key was not won"
		}
		leave(true)
		server.FastForward(999 * time.Millisecond)
		leave, won = enter(t, w, key)
		if won || leave == nil {
			return "within the window the key was won again"
		}
		leave(true)
		server.FastForward(time.Millisecond)
		leave, won = enter(t, w, key)
		if !won {
			return "after the window the key was not free"
		}
		leave(false)
		eventually(t, "the failed winner's key to be free", func() bool {
			leave, won = enter(t, w, key)
			leave(!won) // who lost does not free it
			return won
		})
		if other, won, err := w.Enter(within(t), sender+1, key); err != nil || !won {
			return fmt.Sprint("the key of another sender: ", won, err)
		} else {
			other(true)
		}
		return ""
	})
}

// TestWindowAlone: a node that is alone asks nobody, and knows what it has sent within the window.
func TestWindowAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := NewWindow(nil, "test", time.Second) // Redis would be a panic
		defer w.Stop()
		var peers bool
		w.SharedWhen(func() bool { return peers })
		for round := range 3 {
			leave, won := enter(t, w, "k")
			if !won {
				t.Fatalf("round %d: a new key was not won", round)
			}
			leave(true)
			for _, wait := range []time.Duration{0, 900 * time.Millisecond} {
				must(t, pause(t.Context(), wait))
				if leave, won, err := w.Enter(t.Context(), sender, "k"); won || leave != nil || err != nil {
					t.Errorf("round %d: sent %s ago and won again", round, wait)
				}
			}
			must(t, pause(t.Context(), 2*time.Second))
		}
		leave, _ := enter(t, w, "failed")
		leave(false)
		if _, won := enter(t, w, "failed"); !won {
			t.Error("a key whose send failed was not free")
		}
		for i := range 10_000 { // a window each: what is remembered is bounded
			leave, _ := enter(t, w, fmt.Sprint(i))
			leave(true)
			must(t, pause(t.Context(), time.Second))
		}
		if n := len(w.sent.newer) + len(w.sent.older); n > 3 {
			t.Errorf("%d keys are remembered", n)
		}
		for i := range 3 * sentMost { // in one window
			w.sent.add(windowKey{sender, fmt.Sprint("burst", i)}, w.length)
		}
		if n := len(w.sent.newer) + len(w.sent.older); n > 2*sentMost {
			t.Errorf("%d keys of a burst are remembered, want at most %d", n, 2*sentMost)
		}
	})
}

// TestWindowOfTwoNodes: the key that one node holds is not won on another, and the
// loser does not free it.
func TestWindowOfTwoNodes(t *testing.T) {
	t.Parallel()
	url := testenv.Redis(t)
	a, b := newWindow(t, url), newWindow(t, url)
	whileRedisIsQuick(t, a, func(t *testing.T, key string) string {
		key += fmt.Sprint(time.Now().UnixNano()) // the server is shared
		leaveA, wonA := enter(t, a, key)
		leaveB, wonB := enter(t, b, key)
		if !wonA || wonB {
			return fmt.Sprintf("won by a: %t, by b: %t", wonA, wonB)
		}
		leaveB(false)
		if ttl := a.redis.PTTL(t.Context(), windowKey{sender, key}.in("test")).Val(); ttl <= 0 || ttl > time.Second {
			return fmt.Sprintf("the key lives %s, want at most a second", ttl)
		}
		leaveA(true)
		return ""
	})
}

// TestWindowWithoutRedis: nobody waits for what is not there: sends go on, and
// send_keys decides.
func TestWindowWithoutRedis(t *testing.T) {
	t.Parallel()
	server := testenv.StartRedis(t)
	w := newWindow(t, server.URL())
	goesOn := func(what string) {
		t.Helper()
		start := time.Now()
		for i := range 200 {
			leave, won := enter(t, w, fmt.Sprint(what, i))
			if !won {
				t.Fatalf("%s: a send waited for nobody", what)
			}
			leave(i%2 == 0)
		}
		if took := time.Since(start); took > 10*time.Second { // 200 patiences are 20 s: only the first waits
			t.Errorf("%s: 200 sends took %s", what, took)
		}
	}
	server.Pause()
	goesOn("frozen")
	server.Resume()
	server.Kill()
	goesOn("gone")
	server.Start()
	eventually(t, "the window with Redis back", func() bool {
		key := fmt.Sprint("back", time.Now().UnixNano())
		leave, _ := enter(t, w, key)
		leave(true)
		leave, won := enter(t, w, key)
		leave(true)
		return !won
	})
}

// TestWindowGivesUpWithItsCaller: who waits for another send goes when his own ends.
func TestWindowGivesUpWithItsCaller(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t)
	w := newWindow(t, "redis://"+server.Addr())
	leave, _ := enter(t, w, "k")
	ended, end := context.WithCancel(t.Context())
	end()
	if _, _, err := w.Enter(ended, sender, "k"); err == nil {
		t.Error("did not give up")
	}
	leave(true)
}

// TestWindowStopped takes no claims any more, and stops nobody.
func TestWindowStopped(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t)
	w := NewWindow(redisClient(t, "redis://"+server.Addr()), "test", time.Second)
	leave, _ := enter(t, w, "k")
	w.Stop()
	leave(false)
	leave, won := enter(t, w, "k")
	if !won {
		t.Error("a stopped window holds a send up")
	}
	leave(true)
}
