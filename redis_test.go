package main

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"ackbox/config"
	"ackbox/internal/testenv"
	"ackbox/service"

	"github.com/redis/go-redis/v9"
)

// openedRedis is the client of these URLs, or the sentence why there is none.
func openedRedis(t *testing.T, sharded string, urls ...string) (redis.UniversalClient, error) {
	t.Helper()
	client, err := openExternalRedis(t.Context(), &config.Config{RedisURL: urls, RedisSharded: sharded}, "here", slog.New(slog.DiscardHandler))
	if err == nil {
		t.Cleanup(func() {
			if err := client.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	return client, err
}

// keysAllOver are in slots of all masters.
var keysAllOver = []string{"a", "b", "c", "d", "e", "f", "g", "h"}

// serves waits until all slots can be written.
func serves(t *testing.T, client redis.UniversalClient) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		pipe := client.Pipeline()
		for _, key := range keysAllOver {
			pipe.Set(ctx, key, key, time.Minute)
		}
		_, err := pipe.Exec(ctx)
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("Redis does not serve: %v", err)
		}
	}
}

// TestOneRedis: a Redis that is no cluster gets a plain client, also when it was away at the start, and is refused as a
// cluster with a sentence.
func TestOneRedis(t *testing.T) {
	t.Parallel()
	server := testenv.StartRedis(t)
	client, err := openedRedis(t, "auto", server.URL())
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := client.(*redis.Client); !ok {
		t.Errorf("the client is a %T", client)
	}
	serves(t, client)
	for name, want := range map[string]struct {
		sharded string
		urls    []string
		named   string
	}{
		"several URLs": {"auto", []string{server.URL(), server.URL()}, "ACKBOX_REDIS_URL"},
		"sharded":      {"on", []string{server.URL()}, "ACKBOX_REDIS_SHARDED"},
	} {
		if _, err := openedRedis(t, want.sharded, want.urls...); err == nil || !strings.Contains(err.Error(), want.named) {
			t.Errorf("%s: got %v, want a sentence about %s", name, err, want.named)
		}
	}

	server.Kill()
	client, err = openedRedis(t, "auto", server.URL())
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Ping(t.Context()).Err(); err == nil {
		t.Error("a Redis that is away answers")
	}
	server.Start()
	serves(t, client)
}

// TestOneURLOfCluster: the URL of one node is enough, also when the cluster was away at the start, and also after that
// node has died. A cluster without sharded Pub/Sub is refused for it with a sentence.
func TestOneURLOfCluster(t *testing.T) {
	t.Parallel()
	cluster := testenv.StartRedisCluster(t)
	client, err := openedRedis(t, "auto", cluster.URL())
	if err != nil {
		t.Fatal(err)
	}
	serves(t, client)
	late := undecidedRedis(&redis.UniversalOptions{Addrs: cluster.Addrs()[:1], MaxRetries: -1, DialerRetries: 1})
	t.Cleanup(func() {
		if err := late.Close(); err != nil {
			t.Error(err)
		}
	})
	serves(t, late)

	err = client.(*redis.ClusterClient).ForEachMaster(t.Context(), func(ctx context.Context, master *redis.Client) error { //nolint:forcetypeassert // it serves all slots
		return master.Do(ctx, "ACL", "SETUSER", "default", "-spublish").Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := openedRedis(t, "on", cluster.URL()); err == nil || !strings.Contains(err.Error(), "ACKBOX_REDIS_SHARDED") {
		t.Errorf("got %v, want a sentence about ACKBOX_REDIS_SHARDED", err)
	}

	part := ""
	for _, key := range keysAllOver {
		if cluster.OwnerURL(key) == cluster.URL() {
			part = key
		}
	}
	cluster.KillFirst()
	for _, client := range []redis.UniversalClient{client, late} {
		serves(t, client)
	}
	if err := service.AskRedis(t.Context(), client); err != nil {
		t.Error(err)
	}
	cluster.KillOwner(part) // which was its replica
	for range 6 {
		if err := service.AskRedis(t.Context(), client); err == nil {
			t.Error("a cluster without a third of its slots is said to serve")
		}
	}
}
