package testenv

import (
	"strings"
	"testing"

	"ackbox/internal/testenv/instance"
)

// RedisCluster is a Redis Cluster of the test's own: three masters with a replica each. It ends with the test.
type RedisCluster struct {
	tb      testing.TB
	cluster *instance.RedisCluster
}

// StartRedisCluster starts an empty cluster; that takes 3 to 5 s, and hardly any CPU.
func StartRedisCluster(tb testing.TB) *RedisCluster {
	tb.Helper()
	cluster, err := instance.StartRedisCluster(tb.Context(), directory(tb))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { closed(tb, "Redis Cluster", cluster.Close) })
	return &RedisCluster{tb: tb, cluster: cluster}
}

// URL is the redis:// URL of one node, as of a configuration endpoint.
func (r *RedisCluster) URL() string { return r.cluster.Nodes[0].URL() }

// URLs are those of the first masters, separated by commas.
func (r *RedisCluster) URLs() string {
	var urls []string
	for _, node := range r.cluster.Nodes[:len(r.cluster.Nodes)/2] {
		urls = append(urls, node.URL())
	}
	return strings.Join(urls, ",")
}

// Addrs are the nodes' host:ports.
func (r *RedisCluster) Addrs() []string {
	var addrs []string
	for _, node := range r.cluster.Nodes {
		addrs = append(addrs, node.Addr())
	}
	return addrs
}

// Channels are those, sharded or not, that somebody is subscribed to, and the URL of the master where.
func (r *RedisCluster) Channels() map[string]string {
	r.tb.Helper()
	masters, err := r.cluster.Masters(r.tb.Context())
	must(r.tb, err)
	channels := map[string]string{}
	for _, master := range masters {
		some, err := master.Channels(r.tb.Context())
		must(r.tb, err)
		for _, channel := range some {
			channels[channel] = master.URL()
		}
	}
	return channels
}

// MoveSlot moves the slot of a key or sharded channel to another master while the cluster serves.
func (r *RedisCluster) MoveSlot(key string) { r.tb.Helper(); r.MoveSlotWhile(key, nil) }

// MoveSlotWhile is MoveSlot that stops in the middle: while between runs, the slot's keys are at the new master and the
// cluster's clients know of the old one.
func (r *RedisCluster) MoveSlotWhile(key string, between func()) {
	r.tb.Helper()
	must(r.tb, r.cluster.MoveSlot(r.tb.Context(), key, between))
}

// OwnerURL is the redis:// URL of the master that has the slot of a key or sharded channel.
func (r *RedisCluster) OwnerURL(key string) string {
	r.tb.Helper()
	owner, err := r.cluster.Owner(r.tb.Context(), key)
	must(r.tb, err)
	return owner.URL()
}

// KillOwner ends the master that has the slot of a key or sharded channel with SIGKILL; its replica stands in some
// seconds later. The cluster does without the killed one from then on.
func (r *RedisCluster) KillOwner(key string) {
	r.tb.Helper()
	owner, err := r.cluster.Owner(r.tb.Context(), key)
	must(r.tb, err)
	must(r.tb, owner.Kill())
}

// KillFirst is KillOwner of the node whose URL is URL.
func (r *RedisCluster) KillFirst() { r.tb.Helper(); must(r.tb, r.cluster.Nodes[0].Kill()) }

// AwaitWhole waits until the nodes that run serve all slots.
func (r *RedisCluster) AwaitWhole() { r.tb.Helper(); must(r.tb, r.cluster.AwaitWhole(r.tb.Context())) }
