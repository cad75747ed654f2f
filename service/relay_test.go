package service

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"ackbox/internal/testenv"
	"ackbox/model"
)

// heard is what a node was told beside its sessions' frames.
type heard struct {
	mu           sync.Mutex
	revoked      []model.FamilyID
	banned       map[model.UserID]bool
	resubscribed int
}

// breaks is how often the subscription came back.
func (h *heard) breaks() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.resubscribed
}

// relayed joins a node to the others of an installation.
func relayed(t *testing.T, n *node, url, installation string) *heard {
	t.Helper()
	return relayedBy(t, n, redisClient(t, url), installation, false)
}

func relayedBy(t *testing.T, n *node, client redis.UniversalClient, installation string, sharded bool) *heard {
	t.Helper()
	h := &heard{banned: map[model.UserID]bool{}}
	hooks := RelayHooks{
		Revoked:      func(f model.FamilyID) { h.mu.Lock(); defer h.mu.Unlock(); h.revoked = append(h.revoked, f) },
		Banned:       func(u model.UserID, banned bool) { h.mu.Lock(); defer h.mu.Unlock(); h.banned[u] = banned },
		Resubscribed: func() { h.mu.Lock(); defer h.mu.Unlock(); h.resubscribed++ },
	}
	r := NewRedisRelay(client, installation, fmt.Sprint("process-", n.ids.Node()), sharded, n.delivery, hooks, quiet)
	t.Cleanup(r.Stop)
	r.SetPeers(1)
	n.delivery.SetRelay(r)
	return h
}

// hears returns when what a node says to all nodes reaches a session: subscribing takes a
// moment, in which the sweep would have to do.
func hears(from *node, e *end) {
	e.t.Helper()
	mark := rand.Int64N(1 << 50) // of others something may be under way still
	eventually(e.t, "the subscription", func() bool {
		from.delivery.Notify([]model.UserID{e.session.Key.UserID}, encodeFrame(Ping{Type: "ping", Head: mark}))
		text := e.line.read()
		if text == nil {
			return false
		}
		e.session.Written()
		return decodeFrame(e.t, text).Head == mark
	})
}

// TestRelay: what happens on one node reaches the sessions of another: entries, receipts,
// acks, connections of the same device, and the ends of logins and accounts.
func TestRelay(t *testing.T) {
	t.Parallel()
	store := sqliteStore(t)
	redis := testenv.StartRedis(t)
	clock := newHandClock()
	one := &inbox{node: newNode(t, store, standard, clock.now), t: t, clock: clock}
	two := newNode(t, store, standard, clock.now)
	one.audience, one.writes, one.reads = one.pair(t)
	relayed(t, one.node, redis.URL(), "here")
	told := relayed(t, two, redis.URL(), "here")

	connect := func(name model.DeviceID, family model.FamilyID) *end {
		t.Helper()
		o, err := two.mailboxes.Open(within(t), one.device(name), 0, nil, 0)
		must(t, err)
		o.Family = family
		return two.join(t, o)
	}
	phone := connect("phone", 5)
	phone.expect("hello 0 of 0", "synced 0")
	hears(one.node, phone)

	list := one.store1(3)
	one.delivery.Committed(list)
	for n := int64(1); n <= 3; {
		if f := phone.next(); f.Type == "message" { // and not one more of the asking
			equal(t, "pushed", f.Seq, n)
			equal(t, "message", f.Message.ID, list[n-1].Message.ID)
			n++
		}
	}
	equal(t, "un-acked pushes", two.delivery.queue.Len(), 3)
	one.acked(Ack{Key: phone.session.Key, UpTo: seq(2)})
	eventually(t, "the ack to be heard", func() bool { return two.delivery.queue.Len() == 1 })

	clock.step(time.Millisecond)
	again := one.connect(t, one.device("phone"), nil) // on the other node
	phone.closedWith(CloseReplaced)
	again.expect("hello 2 of 3", "message 3", "synced 3")
	phone.leave()
	again.leave()

	back := connect("back", 9)
	hears(one.node, back)
	one.delivery.relay.Connected(back.session.Key, "from before it came back", back.session.joined-1) // heard late
	one.delivery.relay.Connected(back.session.Key, "0, of the same millisecond", back.session.joined) // whose node closes it
	one.delivery.Notify([]model.UserID{one.reads}, encodeFrame(Ping{Type: "ping", Head: 54_321}))
	for back.next().Head != 54_321 { // it is still there
	}
	one.delivery.relay.Connected(back.session.Key, "after it", back.session.joined+1)
	back.closedWith(CloseReplaced)
	twin := connect("twin", 9)
	hears(one.node, twin)
	one.delivery.relay.Connected(twin.session.Key, "~, of the same millisecond", twin.session.joined)
	twin.closedWith(CloseReplaced)

	a, b := connect("a", 6), connect("b", 7)
	hears(one.node, a)
	one.delivery.Revoke(one.reads, 6)
	a.closedWith(CloseToken)
	must(t, NewDevices(store, nil, one.delivery, nil).Forget(t.Context(), one.device("b"), 0))
	b.closedWith(CloseToken)
	c := connect("c", 8)
	hears(one.node, c)
	one.delivery.Ban(one.reads)
	c.closedWith(CloseBanned)
	told.mu.Lock()
	defer told.mu.Unlock()
	if len(told.revoked) != 1 || told.revoked[0] != 6 || !told.banned[one.reads] {
		t.Errorf("told of %v and %v", told.revoked, told.banned)
	}
}

// TestRelayBreaks: Redis gone holds nobody up; when it is back the subscriptions are too,
// and the node is told that it may have missed something.
func TestRelayBreaks(t *testing.T) {
	t.Parallel()
	store := sqliteStore(t)
	redis := testenv.StartRedis(t)
	clock := newHandClock()
	one := &inbox{node: newNode(t, store, standard, clock.now), t: t, clock: clock}
	two := newNode(t, store, standard, clock.now)
	one.audience, one.writes, one.reads = one.pair(t)
	relayed(t, one.node, redis.URL(), "here")
	told := relayed(t, two, redis.URL(), "here")
	relayed(t, newNode(t, store, standard, clock.now), redis.URL(), "elsewhere") // another installation hears nothing
	phone := two.connect(t, one.device("phone"), nil)
	phone.expect("hello 0 of 0", "synced 0")

	redis.Kill()
	list := one.store1(20)
	for _, c := range list {
		one.delivery.Committed([]Committed{c})
	}
	must(t, two.delivery.Sweep(t.Context()))
	phone.expectMessages(1, 20)
	phone.ack(20)
	redis.Start()
	eventually(t, "the node to be told", func() bool { return told.breaks() > 0 })
	eventually(t, "an entry by the relay", func() bool {
		one.say(1)
		two.settled(t)
		return phone.line.read() != nil
	})
}

// TestRelayOverloaded: while a node has more to tell than Redis takes, others are told now and then that events are missing,
// and not with each batch: they look at every session each time, which would be one more load.
func TestRelayOverloaded(t *testing.T) {
	t.Parallel()
	store := sqliteStore(t)
	redis := testenv.StartRedis(t)
	clock := newHandClock()
	one, two := newNode(t, store, standard, clock.now), newNode(t, store, standard, clock.now)
	relayed(t, one, redis.URL(), "here")
	told := relayed(t, two, redis.URL(), "here")
	phone := two.connect(t, model.DeviceKey{UserID: one.user(t), DeviceID: "phone"}, nil)
	phone.expect("hello 0 of 0", "synced 0")
	relay := one.delivery.relay.(*RedisRelay) //nolint:forcetypeassert // it is one
	times := func() int {
		told.mu.Lock()
		defer told.mu.Unlock()
		return told.resubscribed
	}
	for n := range 3 {
		for range 10 {
			relay.lost.Store(true) // there was no room for an event
			hears(one, phone)
		}
		eventually(t, "word of it", func() bool { return times() > n })
		hears(one, phone) // what was told before it has been heard
		equal(t, "times told", times(), n+1)
		clock.step(lostPace)
	}
}

// TestForeignEvents: positions of another run of the database are not taken for one's own.
func TestForeignEvents(t *testing.T) {
	t.Parallel()
	now := model.MillisOf(time.Now())
	for _, c := range []struct {
		kind        string
		theirs, own model.Millis
		want        bool
	}{
		{"entry", now, now, false}, {"entry", now, now + 1_000, false}, {"entry", now, now + 60_000, true}, {"entry", now + 60_000, now, true},
		{"log", now, now + 60_000, true}, {"ack", now, now + 60_000, true}, {"acklog", now, now + 60_000, true}, {"frame", now, now + 60_000, true}, {"left", now, now + 60_000, true},
		{"revoke", now, now + 60_000, false}, {"ban", now, now + 60_000, false}, {"connect", now, now + 60_000, false},
		{"entry", 0, now, false}, {"entry", now, 0, false}, // a node of before, a database that does not say
	} {
		e := event{Kind: c.kind, Started: c.theirs}
		if got := e.foreign(c.own); got != c.want {
			t.Errorf("%s of %d at %d: foreign %t", c.kind, c.theirs, c.own, got)
		}
	}
}

// TestRelayStops: a Redis that takes connections and answers nothing does not keep a node from ending, however much
// waits for it.
func TestRelayStops(t *testing.T) {
	t.Parallel()
	server := testenv.StartRedis(t)
	n := newNode(t, sqliteStore(t), standard, newHandClock().now)
	relay := NewRedisRelay(redisClient(t, server.URL()), "here", "process", false, n.delivery, RelayHooks{Resubscribed: func() {}}, quiet)
	server.Pause()
	defer server.Resume()
	for range 60 * relayBatch { // minutes, at some seconds a batch
		relay.put(relay.nodes(0), event{Kind: "join"})
	}
	start := time.Now()
	relay.Stop()
	if took := time.Since(start); took > time.Minute {
		t.Errorf("stopping took %s", took)
	}
}

// TestRelaySharded: over sharded Pub/Sub of a cluster users of all parts are heard, what concerns
// all nodes too, nothing goes over channels that the whole cluster carries, and when a slot moves or a master dies the
// node is told and hears again, soon after the cluster serves.
func TestRelaySharded(t *testing.T) {
	t.Parallel()
	store := sqliteStore(t)
	server := testenv.StartRedisCluster(t)
	clock := newHandClock()
	one, two := newNode(t, store, standard, clock.now), newNode(t, store, standard, clock.now)
	clients := []redis.UniversalClient{onCluster(t, server), onCluster(t, server)}
	relayedBy(t, one, clients[0], "here", true)
	told := relayedBy(t, two, clients[1], "here", true)

	var ends []*end
	parts := map[int]bool{}
	relay := two.delivery.relay.(*RedisRelay) //nolint:forcetypeassert // it is one
	for len(parts) < relayParts {
		in := &inbox{node: one, t: t, clock: clock}
		in.audience, in.writes, in.reads = in.pair(t)
		if part := relay.partOf(in.reads); !parts[part] {
			parts[part] = true
			e := two.connect(t, in.device("phone"), nil)
			e.expect("hello 0 of 0", "synced 0")
			ends = append(ends, e)
		}
	}
	for _, e := range ends {
		hears(one, e)
	}
	channels := server.Channels()
	equal(t, "channels", len(channels), 2*relayParts)
	slots := map[int64]int{}
	for channel := range channels {
		if !strings.HasPrefix(channel, "ackbox:here:{") {
			t.Errorf("%s is not sharded", channel)
		}
		slot, err := clients[0].ClusterKeySlot(t.Context(), channel).Result()
		must(t, err)
		slots[slot]++
	}
	if len(slots) != relayParts { // each part's channels are in one slot, and no two parts in the same
		t.Errorf("the channels are in %d slots, want %d", len(slots), relayParts)
	}
	one.delivery.Ban(ends[3].session.Key.UserID)
	ends[3].closedWith(CloseBanned)

	broken := func(breakIt func()) {
		t.Helper()
		before := told.breaks()
		breakIt()
		eventually(t, "the node to be told", func() bool { return told.breaks() > before })
		for i, e := range ends {
			if i != 3 {
				hears(one, e)
			}
		}
	}

	asker, asked := callable(t, store, clients[0]), callable(t, store, clients[1])
	answered := func() {
		t.Helper()
		eventually(t, "the other node's answer", func() bool {
			_, missing, err := AskAll[doubled](within(t), asker, "double", 21, asked.Node())
			must(t, err)
			return len(missing) == 0
		})
	}
	answered()
	victim := server.Channels()[asked.questions()] // where the nodes' questions go
	for moved := false; !moved || server.OwnerURL(relay.nodes(5)) != victim; moved = true {
		broken(func() { server.MoveSlot(relay.nodes(5)) })
	}
	broken(func() { server.KillOwner(relay.nodes(5)) }) // its replica stands in
	answered()
}
