package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"ackbox/config"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
)

// redisLog takes what the Redis client has to say, which is said by the figures too.
type redisLog struct{ log *slog.Logger }

// Printf is the client's way to log.
func (l redisLog) Printf(_ context.Context, format string, args ...any) {
	l.log.Debug("redis client", "says", fmt.Sprintf(format, args...))
}

const (
	// clusterReload is how often the client asks a cluster who has which slot: so long after a failover it asks a dead node
	// still. (Of its own accord the client would ask once a minute.)
	clusterReload = time.Second
	// redisAsking bounds the questions at the start.
	redisAsking = 5 * time.Second
)

// errNoCluster is of a Redis that is on its own.
var errNoCluster = errors.New("this Redis is no cluster")

// openExternalRedis makes the client of the configured Redis: of a cluster when several URLs are given, when channels shall be
// sharded, or when the only one says that it is one. A Redis that does not answer is a warning; one that can never do what is
// configured is an error.
func openExternalRedis(ctx context.Context, c *config.Config, installation string, log *slog.Logger) (redis.UniversalClient, error) {
	options := &redis.UniversalOptions{
		DialTimeout: 2 * time.Second, ReadTimeout: time.Second, WriteTimeout: time.Second, DisableIdentity: true,
		MaxRetries: -1, DialerRetries: 1, // who asks has a better way to go on
	}
	for i, u := range c.RedisURL {
		o, err := redis.ParseURL(u)
		if err != nil {
			return nil, fmt.Errorf("ACKBOX_REDIS_URL: %w", err)
		}
		options.Addrs = append(options.Addrs, o.Addr)
		if i == 0 {
			options.Username, options.Password, options.DB, options.TLSConfig = o.Username, o.Password, o.DB, o.TLSConfig
		}
	}
	ctx, cancel := context.WithTimeout(ctx, redisAsking)
	defer cancel()
	cluster := c.Sharded() || len(c.RedisURL) > 1
	_, err := slotsOf(ctx, options, options.Addrs)
	switch single := errors.Is(err, errNoCluster); {
	case single && len(c.RedisURL) > 1:
		return nil, errors.New("ACKBOX_REDIS_URL: several are nodes of a Redis Cluster, and this Redis is no cluster: name one")
	case single && cluster:
		return nil, errors.New("ACKBOX_REDIS_SHARDED: this Redis is no Redis Cluster: set it to off")
	case single:
		return redis.NewClient(options.Simple()), nil
	case err != nil:
		log.Warn(redisSilent, "error", err)
		if cluster {
			return newCluster(options, nil), nil
		}
		return undecidedRedis(options), nil
	}
	client := newCluster(options, nil)
	if c.Sharded() {
		err = client.SPublish(ctx, "ackbox:"+installation+":start", "").Err()
	} else {
		log.Info("this Redis is a cluster; with ACKBOX_REDIS_SHARDED=on, on all nodes, an event goes to a part of it only")
		err = client.Ping(ctx).Err()
	}
	switch {
	case refused(err, "ERR") || refused(err, "NOPERM"):
		err = fmt.Errorf("ACKBOX_REDIS_SHARDED: this Redis Cluster has no sharded Pub/Sub, which came with version 7, or does not allow it: set it to off: %w", err)
		return nil, errors.Join(err, client.Close())
	case err != nil: // a cluster tells where its nodes are, which need not be where they are seen from here
		log.Warn(redisSilent, "error", err)
	}
	return client, nil
}

// redisSilent is what an operator reads of a Redis that is away at the start.
const redisSilent = "Redis does not answer; going on without it until it does"

func newCluster(options *redis.UniversalOptions, slots func(context.Context) ([]redis.ClusterSlot, error)) *redis.ClusterClient {
	o := options.Cluster()
	o.ClusterStateReloadInterval, o.ClusterSlots = clusterReload, slots
	return redis.NewClusterClient(o)
}

// undecidedRedis is the client of one URL that did not answer at the start: whether a cluster is behind it is seen when it does.
func undecidedRedis(options *redis.UniversalOptions) redis.UniversalClient {
	if options.DB != 0 { // a cluster has no other
		return redis.NewClient(options.Simple())
	}
	var known atomic.Pointer[[]string] // the cluster's nodes: the first may be gone later
	known.Store(&options.Addrs)
	return newCluster(options, func(ctx context.Context) ([]redis.ClusterSlot, error) {
		addrs := *known.Load()
		slots, err := slotsOf(ctx, options, addrs)
		if errors.Is(err, errNoCluster) {
			return []redis.ClusterSlot{{Start: 0, End: 16_383, Nodes: []redis.ClusterNode{{Addr: addrs[0]}}}}, nil
		}
		if err != nil {
			return nil, err
		}
		addrs = options.Addrs
		for _, slot := range slots {
			for _, node := range slot.Nodes {
				if !slices.Contains(addrs, node.Addr) {
					addrs = append(slices.Clip(addrs), node.Addr)
				}
			}
		}
		known.Store(&addrs)
		return slots, nil
	})
}

// slotsOf is who has which slot, as the first that answers says; errNoCluster: that one is no cluster.
func slotsOf(ctx context.Context, options *redis.UniversalOptions, addrs []string) (slots []redis.ClusterSlot, err error) {
	for _, addr := range addrs {
		o := options.Simple()
		o.Addr = addr
		client := redis.NewClient(o)
		slots, err = client.ClusterSlots(ctx).Result() //nolint:staticcheck // what replaces it is of version 7
		closed := client.Close()
		switch {
		case refused(err, "ERR"): // the command is unknown, or switched off; NOAUTH and LOADING tell nothing
			return nil, errNoCluster
		case err == nil && closed == nil:
			return slots, nil
		}
		err = errors.Join(err, closed)
	}
	return nil, fmt.Errorf("ask Redis for its cluster: %w", err)
}

// refused says whether Redis has answered with this code. (The client's HasErrorPrefix does not see ERR.)
func refused(err error, code string) bool {
	var answer redis.Error
	return errors.As(err, &answer) && strings.HasPrefix(answer.Error(), code+" ")
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
