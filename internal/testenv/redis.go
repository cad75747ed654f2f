package testenv

import (
	"context"
	"os"
	"testing"

	"ackbox/internal/testenv/instance"
)

// Redis returns the redis:// URL of a server that all tests share, that of ACKBOX_TEST_REDIS_URL or a private one of
// this process. It is neither empty nor the test's own: use keys and ids of one's own.
func Redis(tb testing.TB) string {
	tb.Helper()
	url, err := sharedRedis(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	return url
}

func sharedRedis(ctx context.Context) (string, error) {
	if url := os.Getenv(instance.RedisVariable); url != "" {
		return url, nil
	}
	shared.Lock()
	defer shared.Unlock()
	if shared.redis == nil {
		path, err := sharedPath("redis")
		if err != nil {
			return "", err
		}
		if shared.redis, err = instance.StartRedis(ctx, path); err != nil {
			return "", err
		}
	}
	return shared.redis.URL(), nil
}

// RedisServer is a Redis of the test's own, which it may kill, freeze and start again. It ends with the test.
type RedisServer struct {
	tb     testing.TB
	server *instance.Redis
}

// StartRedis starts an empty server; that takes some 50 ms.
func StartRedis(tb testing.TB) *RedisServer {
	tb.Helper()
	server, err := instance.StartRedis(tb.Context(), directory(tb))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { closed(tb, "Redis", server.Close) })
	return &RedisServer{tb: tb, server: server}
}

// URL is the server's redis:// URL.
func (r *RedisServer) URL() string { return r.server.URL() }

// Addr is the server's host:port, for a proxy in front of it.
func (r *RedisServer) Addr() string { return r.server.Addr() }

// Kill ends the server with SIGKILL and waits until it is gone; what it held is lost.
func (r *RedisServer) Kill() { r.tb.Helper(); must(r.tb, r.server.Kill()) }

// Start starts the server again on the same port, empty, and waits until it answers.
func (r *RedisServer) Start() { r.tb.Helper(); must(r.tb, r.server.Start(r.tb.Context())) }

// Stop ends the server in order; what it held is lost.
func (r *RedisServer) Stop() { r.tb.Helper(); must(r.tb, r.server.Stop()) }

// Pause freezes the server: connections stay open and nothing is answered.
func (r *RedisServer) Pause() { r.tb.Helper(); must(r.tb, r.server.Pause()) }

// Resume lets a frozen server go on.
func (r *RedisServer) Resume() { r.tb.Helper(); must(r.tb, r.server.Resume()) }
