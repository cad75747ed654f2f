package service

import (
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
)

// TestStatistics: however many ask, the tables are read once in a while, and a Redis that is gone is told and is no error.
func TestStatistics(t *testing.T) {
	t.Parallel()
	store := openStore(t, backends["SQLite"](t))
	clock, server := newHandClock(), miniredis.RunT(t)
	n := newNode(t, store, standard, clock.now)
	s := NewStatistics(store, redisClient(t, "redis://"+server.Addr()), clock.now)
	n.user(t)
	users := func(want int64, up bool) {
		t.Helper()
		f, err := s.Get(within(t))
		must(t, err)
		equal(t, "users", f.Users, want)
		equal(t, "Redis is there", f.Redis.Up, up)
	}
	var asking sync.WaitGroup
	for range 8 {
		asking.Go(func() { users(1, true) })
	}
	asking.Wait()
	n.user(t)
	server.Close()
	clock.step(statisticsAge - time.Second)
	users(1, true)
	clock.step(time.Second)
	users(2, false)
	clock.step(-time.Hour) // a clock that steps back
	users(2, false)
}
