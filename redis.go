package main

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2"
)

// redisLog takes what the Redis client has to say, which is said by the figures too.
type redisLog struct{ log *slog.Logger }

// Printf is the client's way to log.
func (l redisLog) Printf(_ context.Context, format string, args ...any) {
	l.log.Debug("redis client", "says", fmt.Sprintf(format, args...))
}

// embeddedRedis is a Redis in the process, for the default without configuration: the
// same code path as with a real one.
type embeddedRedis struct {
	server *miniredis.Miniredis
	cancel context.CancelFunc
	done   sync.WaitGroup
}

// embeddedTick is how often its keys grow older: it has no clock of its own.
const embeddedTick = 100 * time.Millisecond

func newEmbeddedRedis() (*embeddedRedis, error) {
	server := miniredis.NewMiniRedis()
	if err := server.StartAddr("127.0.0.1:0"); err != nil {
		return nil, fmt.Errorf("start the embedded Redis: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	e := &embeddedRedis{server: server, cancel: cancel}
	e.done.Go(func() { e.age(ctx) })
	return e, nil
}

func (e *embeddedRedis) addr() string { return e.server.Addr() }

func (e *embeddedRedis) age(ctx context.Context) {
	ticker := time.NewTicker(embeddedTick)
	defer ticker.Stop()
	last := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			e.server.FastForward(now.Sub(last))
			last = now
		}
	}
}

func (e *embeddedRedis) stop() {
	e.cancel()
	e.done.Wait()
	e.server.Close()
}
