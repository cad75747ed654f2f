package service

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"ackbox/model"
)

const (
	// statisticsAge is how old they may be: however many pages ask, the tables are read once. (With 400,000 accounts, conversations and
	// messages it took SQLite 0.35 s and MariaDB 1.2, on a machine that had ten times as much to do as it could.)
	statisticsAge = 30 * time.Second
	// statisticsPatience bounds reading them.
	statisticsPatience = 20 * time.Second
	redisInfoPatience  = 2 * time.Second
)

// Statistics is how much is kept, for operators. Some seconds old.
type Statistics struct {
	store *model.Store
	redis redis.UniversalClient
	clock func() time.Time

	mu   sync.Mutex // also while they are read
	last *Figures
}

// Figures are what Statistics has read.
type Figures struct {
	*model.Statistics
	Dialect model.Dialect
	Redis   RedisFigures
	At      model.Millis // when they were read
}

// RedisFigures is what a Redis says of itself (one node of a cluster); empty and 0 where it does not.
type RedisFigures struct {
	Up      bool
	Version string
	Bytes   int64 // of memory
	Clients int64
}

// NewStatistics makes a Statistics that has read nothing yet.
func NewStatistics(store *model.Store, client redis.UniversalClient, clock func() time.Time) *Statistics {
	return &Statistics{store: store, redis: client, clock: clock}
}

// Get answers them, at most statisticsAge old.
func (s *Statistics) Get(ctx context.Context) (*Figures, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock()
	if s.last != nil && now.Sub(s.last.At.Time()).Abs() < statisticsAge {
		return s.last, nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), statisticsPatience) // for all who wait
	defer cancel()
	kept, err := s.store.Statistics(ctx, model.MillisOf(now))
	if err != nil {
		return nil, err
	}
	s.last = &Figures{Statistics: kept, Dialect: s.store.Dialect(), Redis: s.info(ctx), At: model.MillisOf(now)}
	return s.last, nil
}

// info asks Redis; one that does not answer is down, and no reason to tell nothing.
func (s *Statistics) info(ctx context.Context) (f RedisFigures) {
	ctx, cancel := context.WithTimeout(ctx, redisInfoPatience)
	defer cancel()
	if s.redis == nil || AskRedis(ctx, s.redis) != nil {
		return f
	}
	f.Up = true
	text, err := s.redis.Info(ctx).Result()
	if err != nil {
		return f // a small one that tells nothing of itself
	}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		number, _ := strconv.ParseInt(value, 10, 64) //nolint:errcheck // 0 is what is told of what is no number
		switch name {
		case "redis_version":
			f.Version = value
		case "used_memory":
			f.Bytes = number
		case "connected_clients":
			f.Clients = number
		}
	}
	return f
}
