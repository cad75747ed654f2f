package instance

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"
)

// The size of a RedisCluster: clusterMasters masters with a replica each.
const (
	clusterMasters = 3
	clusterSlots   = 16_384
	// clusterTimeout is after how many milliseconds a node that does not answer is taken for dead; its replica stands in
	// some 2 s later. On a machine that is busy with other tests a shorter one ends with masters that live.
	clusterTimeout = 1_500
	// clusterAnswer is how long a node may take to answer a command.
	clusterAnswer = 5 * time.Second
)

// RedisCluster is a Redis Cluster of six servers that keep nothing on disk. One goroutine may use it at a time.
type RedisCluster struct {
	Nodes []*Redis // at the start the masters, then their replicas in the same order
}

// StartRedisCluster starts a cluster that works in dir, and returns when each of its nodes serves all slots and
// each master has its replica.
func StartRedisCluster(ctx context.Context, dir string) (*RedisCluster, error) {
	c := &RedisCluster{Nodes: make([]*Redis, 2*clusterMasters)}
	group, starting := errgroup.WithContext(ctx)
	for i := range c.Nodes {
		group.Go(func() (err error) {
			c.Nodes[i], err = startRedis(starting, filepath.Join(dir, strconv.Itoa(i)), true)
			return err
		})
	}
	err := group.Wait()
	if err == nil {
		err = c.wire(ctx)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("Redis Cluster: %w", err), c.Close())
	}
	return c, nil
}

// wire makes a cluster of the servers.
func (c *RedisCluster) wire(ctx context.Context) error {
	for i, node := range c.Nodes {
		if i < clusterMasters {
			first, last := i*clusterSlots/clusterMasters, (i+1)*clusterSlots/clusterMasters-1
			if err := node.do(ctx, nil, "CLUSTER", "ADDSLOTSRANGE", first, last); err != nil {
				return err
			}
		}
		if err := node.do(ctx, nil, "CLUSTER", "SET-CONFIG-EPOCH", i+1); err != nil {
			return err
		}
		for _, other := range c.Nodes[:i] { // to all at once: word of mouth takes seconds
			if err := node.do(ctx, nil, "CLUSTER", "MEET", "127.0.0.1", other.port.Number, other.bus.Number); err != nil {
				return err
			}
		}
	}
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	for i, replica := range c.Nodes[clusterMasters:] {
		master, err := c.Nodes[i].id(ctx)
		if err != nil {
			return err
		}
		err = AwaitReady(ctx, replica.process, replica.logFile(), func(ctx context.Context) error {
			return replica.do(ctx, nil, "CLUSTER", "REPLICATE", master) // refused until they have met
		})
		if err != nil {
			return err
		}
	}
	return c.AwaitWhole(ctx)
}

// AwaitWhole waits until all nodes that run serve, know of each other as they do, and each master of theirs has its
// replica, if that runs.
func (c *RedisCluster) AwaitWhole(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	var running []*Redis
	for _, node := range c.Nodes {
		if node.process.Running() {
			running = append(running, node)
		}
	}
	for _, node := range running {
		err := AwaitReady(ctx, node.process, node.logFile(), func(ctx context.Context) error { return node.whole(ctx, running) })
		if err != nil {
			return fmt.Errorf("Redis on %s: %w", node.Addr(), err)
		}
	}
	return nil
}

// whole says what a node misses.
func (r *Redis) whole(ctx context.Context, running []*Redis) error {
	var info, replication string
	if err := errors.Join(r.do(ctx, &info, "CLUSTER", "INFO"), r.do(ctx, &replication, "INFO", "replication")); err != nil {
		return err
	}
	nodes, err := r.nodes(ctx)
	if err != nil {
		return err
	}
	masters := 0
	for _, other := range running {
		i := slices.IndexFunc(nodes, func(n clusterNode) bool { return n.addr == other.Addr() })
		switch {
		case i < 0 || nodes[i].has("handshake") || nodes[i].has("fail") || nodes[i].has("fail?"):
			return fmt.Errorf("it does not know %s well", other.Addr())
		case nodes[i].has("master"):
			masters++
		}
	}
	linked := strings.Contains(replication, "role:master\r\n") || strings.Contains(replication, "master_link_status:up")
	switch {
	case !strings.Contains(info, "cluster_state:ok"):
		return fmt.Errorf("it does not serve: %.40q", info)
	case masters != clusterMasters:
		return fmt.Errorf("it knows of %d masters that run, want %d", masters, clusterMasters)
	case !linked:
		return errors.New("it has nothing of its master yet")
	}
	return nil
}

// clusterNode is what a node knows of one of the cluster's.
type clusterNode struct {
	id, addr string
	flags    []string
}

func (n clusterNode) has(flag string) bool { return slices.Contains(n.flags, flag) }

func (r *Redis) nodes(ctx context.Context) (list []clusterNode, err error) {
	var text string
	if err := r.do(ctx, &text, "CLUSTER", "NODES"); err != nil {
		return nil, err
	}
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) < 3 {
			return nil, fmt.Errorf("CLUSTER NODES says %q", line)
		}
		addr, _, _ := strings.Cut(words[1], "@")
		list = append(list, clusterNode{id: words[0], addr: addr, flags: strings.Split(words[2], ",")})
	}
	return list, nil
}

func (r *Redis) id(ctx context.Context) (id string, err error) {
	err = r.do(ctx, &id, "CLUSTER", "MYID")
	return id, err
}

// Masters are the nodes that have slots, as the first node that runs says.
func (c *RedisCluster) Masters(ctx context.Context) (masters []*Redis, err error) {
	teller := slices.IndexFunc(c.Nodes, func(r *Redis) bool { return r.process.Running() })
	if teller < 0 {
		return nil, errors.New("no node of the cluster runs")
	}
	known, err := c.Nodes[teller].nodes(ctx)
	if err != nil {
		return nil, err
	}
	for _, node := range c.Nodes {
		if slices.ContainsFunc(known, func(n clusterNode) bool { return n.addr == node.Addr() && n.has("master") && !n.has("fail") }) {
			masters = append(masters, node)
		}
	}
	return masters, nil
}

// Owner is the node that has the slot of a key or of a sharded channel.
func (c *RedisCluster) Owner(ctx context.Context, key string) (*Redis, error) {
	masters, err := c.Masters(ctx)
	if err != nil {
		return nil, err
	}
	for _, master := range masters {
		err := master.do(ctx, nil, "GET", key) // a wrong node answers MOVED
		if err == nil || errors.Is(err, redis.Nil) {
			return master, nil
		}
		if _, moved := redis.IsMovedError(err); !moved {
			return nil, err
		}
	}
	return nil, fmt.Errorf("no node has the slot of %s", key)
}

// MoveSlot moves the slot of a key or sharded channel, with what is in it, to another master while the cluster serves.
// It calls between, unless that is nil, when the keys are there and the slot is not: what is asked then is answered ASK.
func (c *RedisCluster) MoveSlot(ctx context.Context, key string, between func()) error {
	from, err := c.Owner(ctx, key)
	if err != nil {
		return err
	}
	masters, err := c.Masters(ctx)
	if err != nil {
		return err
	}
	to := masters[(slices.Index(masters, from)+1)%len(masters)]
	var slot int64
	source, err := from.id(ctx)
	if err != nil {
		return err
	}
	target, err := to.id(ctx)
	if err != nil {
		return err
	}
	err = errors.Join(
		from.do(ctx, &slot, "CLUSTER", "KEYSLOT", key),
		to.do(ctx, nil, "CLUSTER", "SETSLOT", slot, "IMPORTING", source),
		from.do(ctx, nil, "CLUSTER", "SETSLOT", slot, "MIGRATING", target))
	for err == nil {
		var keys []string
		if err = from.do(ctx, &keys, "CLUSTER", "GETKEYSINSLOT", slot, 100); err != nil || len(keys) == 0 {
			break
		}
		for _, key := range keys {
			err = errors.Join(err, from.do(ctx, nil, "MIGRATE", "127.0.0.1", to.port.Number, key, 0, 1000))
		}
	}
	if err != nil {
		return err
	}
	if between != nil {
		between()
	}
	return errors.Join(to.do(ctx, nil, "CLUSTER", "SETSLOT", slot, "NODE", target), from.do(ctx, nil, "CLUSTER", "SETSLOT", slot, "NODE", target))
}

// Channels are those, sharded or not, that a node has subscribers of.
func (r *Redis) Channels(ctx context.Context) ([]string, error) {
	var plain, sharded []string
	err := errors.Join(r.do(ctx, &plain, "PUBSUB", "CHANNELS"), r.do(ctx, &sharded, "PUBSUB", "SHARDCHANNELS"))
	return append(plain, sharded...), err
}

// do sends a command over a connection of its own, and reads the answer into a *string, *int64 or *[]string, nil: nowhere.
func (r *Redis) do(ctx context.Context, into any, words ...any) (err error) {
	client := redis.NewClient(&redis.Options{Addr: r.Addr(), Protocol: 2, PoolSize: 1, MaxRetries: -1, DialerRetries: 1, DisableIdentity: true, DialTimeout: clusterAnswer, ReadTimeout: clusterAnswer})
	defer func() { err = errors.Join(err, client.Close()) }()
	answer := client.Do(ctx, words...)
	switch into := into.(type) {
	case *string:
		*into, err = answer.Text()
	case *int64:
		*into, err = answer.Int64()
	case *[]string:
		*into, err = answer.StringSlice()
	default:
		err = answer.Err()
	}
	if err != nil {
		return fmt.Errorf("%v to Redis on %s: %w", words[:2], r.Addr(), err)
	}
	return nil
}

// Close kills all nodes and gives their ports back; the directory stays.
func (c *RedisCluster) Close() error {
	var err error
	for _, node := range c.Nodes {
		if node != nil {
			err = errors.Join(err, node.Close())
		}
	}
	return err
}
