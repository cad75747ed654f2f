package chaos

import (
	"context"
	"errors"
	"fmt"
	"time"
)

func redisFaults() []Fault {
	return []Fault{
		{Name: "redis-down", Help: "Redis killed and away for 30 s (short: 5 s)", Shape: Shape{Nodes: 2}, Strike: redisDown},
		{Name: "redis-flush", Help: "FLUSHALL", Shape: Shape{Nodes: 2}, Strike: redisFlush},
		{Name: "redis-slow", Help: "every answer of Redis 2 s late, for 10 s (short: 5 s)", Shape: Shape{Nodes: 2, RedisProxies: true}, Strike: redisSlow},
	}
}

func redisDown(ctx context.Context, s *Strike) error {
	s.Begin(nil, "kill -9 of Redis")
	if err := s.Redis.Kill(); err != nil {
		return err
	}
	err := wait(ctx, s.long(30*time.Second, 5*time.Second))
	return errors.Join(err, s.Redis.Start(context.WithoutCancel(ctx)), s.AwaitReady(ctx))
}

func redisFlush(ctx context.Context, s *Strike) error {
	s.Begin(nil, "FLUSHALL of Redis")
	if err := s.redis.FlushAll(ctx).Err(); err != nil {
		return fmt.Errorf("flush Redis: %w", err)
	}
	return s.AwaitReady(ctx)
}

func redisSlow(ctx context.Context, s *Strike) error {
	s.Begin(nil, "Redis answers 2 s late")
	for _, proxy := range s.RedisProxies {
		proxy.Delay(2 * time.Second)
	}
	err := wait(ctx, s.long(10*time.Second, 5*time.Second))
	for _, proxy := range s.RedisProxies {
		proxy.Delay(0)
	}
	return errors.Join(err, s.AwaitReady(ctx))
}
