package service

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"ackbox/internal/testenv"
)

// onCluster is a client as the server has it.
func onCluster(t *testing.T, cluster *testenv.RedisCluster) redis.UniversalClient {
	t.Helper()
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: cluster.Addrs()[:1], MaxRetries: -1, DialTimeout: time.Second, DialerRetries: 1})
	t.Cleanup(func() { must(t, client.Close()) })
	return client
}

// TestClusterMoves: before, while and after a slot moves, what is kept in it works: the window, and a limit that two nodes
// share. While it moves the new owner is asked, which does not have the limits' script yet.
func TestClusterMoves(t *testing.T) {
	t.Parallel()
	cluster := testenv.StartRedisCluster(t)
	one, two := onCluster(t, cluster), onCluster(t, cluster)

	windows := []*Window{NewWindow(one, "here", time.Minute), NewWindow(two, "here", time.Minute)}
	for _, w := range windows {
		t.Cleanup(w.Stop)
	}
	windowed := func(when string) {
		t.Helper()
		whileRedisIsQuick(t, windows[0], func(t *testing.T, again string) string {
			first, won := enter(t, windows[0], when+again)
			if !won {
				return "nobody sends it, and it is being sent"
			}
			defer first(true)
			if _, won := enter(t, windows[1], when+again); won {
				return "the other node sends it too"
			}
			return ""
		})
	}
	cluster.MoveSlotWhile(windowKey{sender, ""}.in("here"), func() { windowed("while") })
	windowed("after")

	o := LimitOptions{Rates: map[Limit][]Rate{LimitLogin: {{6, time.Hour}}}, Installation: "here", Patience: patience}
	limits := make([]*Limits, 2)
	for i, client := range []redis.UniversalClient{one, two} {
		o.Redis = client
		limits[i] = newTestLimits(t, o)
	}
	ask := Ask{LimitLogin, "somebody"}
	both := func(what string, passed int) {
		t.Helper()
		equal(t, what, takes(t, limits[0], ask, 1)+takes(t, limits[1], ask, 1), passed)
	}
	both("before", 2)
	cluster.MoveSlotWhile("ackbox:here:limit:login:3600000:somebody", func() { both("while", 2) })
	both("after", 2)
	both("more than six", 0)
	for _, l := range limits {
		if l.shared.down.Load() {
			t.Error("a node counts for itself")
		}
	}
}
