package service

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"ackbox/model"
	"ackbox/trace"

	"github.com/redis/go-redis/v9"
)

// Relay tells the other nodes what happened here. It is a hint and never the truth: an
// event may be lost, doubled or late, and the sweep covers the rest. None of its methods waits for
// the network.
type Relay interface {
	Subscribe(user model.UserID)
	Unsubscribe(user model.UserID, stillWanted func() bool)
	Entries(batch []Committed)
	Frame(users []model.UserID, frame []byte)
	Log(m logMessage)
	Acked(key model.DeviceKey, upTo int64, single []int64)
	AckedLog(key model.DeviceKey, p model.LogPosition)
	Recalled(m *model.Message)
	Left(users []model.UserID, id model.ConversationID, seq int64)
	Connected(key model.DeviceKey, connectionID string, at model.Millis)
	Forgotten(key model.DeviceKey)
	Revoked(user model.UserID, family model.FamilyID)
	Banned(user model.UserID, banned bool)
}

// alone is the relay of a node that is the only one by construction (SQLite).
type alone struct{}

func (alone) Subscribe(model.UserID)                           {}
func (alone) Unsubscribe(model.UserID, func() bool)            {}
func (alone) Entries([]Committed)                              {}
func (alone) Frame([]model.UserID, []byte)                     {}
func (alone) Acked(model.DeviceKey, int64, []int64)            {}
func (alone) Log(logMessage)                                   {}
func (alone) AckedLog(model.DeviceKey, model.LogPosition)      {}
func (alone) Left([]model.UserID, model.ConversationID, int64) {}
func (alone) Recalled(*model.Message)                          {}
func (alone) Connected(model.DeviceKey, string, model.Millis)  {}
func (alone) Forgotten(model.DeviceKey)                        {}
func (alone) Revoked(model.UserID, model.FamilyID)             {}
func (alone) Banned(model.UserID, bool)                        {}

// event is what travels on a channel. One user's channel carries what concerns that
// user; the channel of all nodes carries the rest.
type event struct {
	Node         string               `json:"n"`
	Kind         string               `json:"k"` // entry, frame, log, ack, acklog, left, recall, connect, forget, revoke, ban, unban, lost, join
	User         model.UserID         `json:"u,omitzero"`
	Device       model.DeviceID       `json:"d,omitempty"`
	Connection   string               `json:"c,omitempty"`
	Seq          int64                `json:"s,omitempty"`
	Seqs         []int64              `json:"l,omitempty"`
	Conversation model.ConversationID `json:"v,omitzero"`
	Version      int64                `json:"m,omitempty"`
	Family       model.FamilyID       `json:"f,omitempty"`
	At           model.Millis         `json:"t,omitzero"` // of a connect
	Payload      json.RawMessage      `json:"p,omitempty"`
	Started      model.Millis         `json:"b,omitzero"`  // since when the database has run that this is of
	Trace        string               `json:"x,omitempty"` // W3C's traceparent of an entry whose send is sampled
}

const (
	// relayCapacity bounds events that wait for Redis; beyond, they are dropped.
	relayCapacity = 65_536
	relayBatch    = 512
	// lostPace is how often the others are told, at most, that events are missing: they look at every session for it.
	lostPace = time.Second
)

// RelayHooks is what a node does with the events that do not concern a session's frames.
type RelayHooks struct {
	Revoked func(family model.FamilyID)
	Banned  func(user model.UserID, banned bool)
	// Resubscribed is called after a break of the subscription, this node's or another's way of
	// publishing: events may be missing.
	Resubscribed func()
}

// RedisRelay is the relay over Redis Pub/Sub: a channel a user, subscribed while the
// node has a session of that user. While the node knows no other node it publishes nothing.
type RedisRelay struct {
	client   redis.UniversalClient
	node     string // this process, not only its node id
	prefix   string // of all channels
	sharded  bool
	delivery *Delivery
	hooks    RelayHooks
	log      *slog.Logger
	peers    atomic.Int64
	lost     atomic.Bool // events that other nodes will not hear
	told     time.Time   // when they were told so; of publish only
	queue    *batcher[published]

	parts  []*relayPart
	ctx    context.Context // ends at Stop, when what waits has had its time
	cancel context.CancelFunc
	done   sync.WaitGroup

	subMu   sync.Mutex
	changes map[model.UserID]bool // wanted subscriptions that Redis has not been told
	changed chan struct{}
}

// relayParts is how many subscriptions, and slots of a cluster, the channels are spread over
// when they are sharded. All nodes must agree on it.
const relayParts = 16

// relayPart is one subscription: all channels of a node, or, when they are sharded, those of
// one slot. It always has a channel of all nodes, which finds the slot's owner.
type relayPart struct {
	index  int
	pubsub atomic.Pointer[redis.PubSub] // replaced when its connection turns out to be dead
}

type published struct {
	channel string
	event   event
}

// NewRedisRelay makes the relay of one process of an installation: it subscribes and starts the readers, the subscriber and the publisher.
// With sharded channels a message goes only to the part of a Redis Cluster that has its slot; all nodes must be set alike.
func NewRedisRelay(client redis.UniversalClient, installation, process string, sharded bool, delivery *Delivery, hooks RelayHooks, log *slog.Logger) *RedisRelay {
	ctx, cancel := context.WithCancel(context.Background())
	r := &RedisRelay{client: client, node: process, prefix: "ackbox:" + installation + ":", sharded: sharded, delivery: delivery, hooks: hooks, log: log, ctx: ctx, cancel: cancel, changes: map[model.UserID]bool{}, changed: make(chan struct{}, 1)}
	r.queue = newBatcher(1, relayBatch, relayCapacity, r.publish)
	r.parts = make([]*relayPart, 1)
	if sharded {
		r.parts = make([]*relayPart, relayParts)
	}
	for i := range r.parts {
		r.parts[i] = &relayPart{index: i}
		r.parts[i].pubsub.Store(r.subscribe(ctx, r.nodes(i)))
		r.done.Go(func() { r.read(ctx, r.parts[i]) })
	}
	r.done.Go(func() { r.subscriptions(ctx) })
	r.put(r.nodes(0), event{Kind: "join"})
	return r
}

// relayFarewell is how long what waits for Redis has at a stop; a Redis that does not answer would take a second a batch.
const relayFarewell = time.Second

// Stop ends all three and closes the subscription. What Redis does not take soon is dropped.
func (r *RedisRelay) Stop() {
	farewell := time.AfterFunc(relayFarewell, r.cancel)
	defer farewell.Stop()
	r.queue.stop()
	r.cancel()
	for _, part := range r.parts {
		if err := part.pubsub.Load().Close(); err != nil {
			r.log.Debug("relay", "error", err)
		}
	}
	r.done.Wait()
}

func (r *RedisRelay) subscribe(ctx context.Context, channels ...string) *redis.PubSub {
	if r.sharded {
		return r.client.SSubscribe(ctx, channels...)
	}
	return r.client.Subscribe(ctx, channels...)
}

// tag puts a part's channels into one slot.
func (r *RedisRelay) tag(part int) string {
	if !r.sharded {
		return r.prefix
	}
	return r.prefix + "{" + strconv.Itoa(part) + "}:"
}

// nodes is a part's channel of all nodes; what concerns all is published on the first's.
func (r *RedisRelay) nodes(part int) string { return r.tag(part) + "nodes" }

func (r *RedisRelay) partOf(user model.UserID) int {
	return int(uint64(user) * 0x9e3779b97f4a7c15 >> 32 % uint64(len(r.parts))) // ids are no even spread
}

func (r *RedisRelay) channel(user model.UserID) string {
	return r.tag(r.partOf(user)) + "user:" + strconv.FormatInt(int64(user), 10)
}

// Waiting is how many events wait for Redis.
func (r *RedisRelay) Waiting() int { return r.queue.waiting() }

// Peers is how many other nodes are known.
func (r *RedisRelay) Peers() int { return int(r.peers.Load()) }

// HasPeers says whether other nodes are known.
func (r *RedisRelay) HasPeers() bool { return r.peers.Load() > 0 }

// SetPeers says how many other nodes are alive; a job reads it from the leases.
func (r *RedisRelay) SetPeers(n int) { r.peers.Store(int64(n)) }

func (r *RedisRelay) put(channel string, e event) {
	e.Node, e.Started = r.node, r.delivery.store.Started()
	if r.queue.put(published{channel, e}) != nil {
		metrics.relayDropped.Inc()
		r.lost.Store(true)
	}
}

func (r *RedisRelay) user(user model.UserID, e event) {
	if r.peers.Load() > 0 {
		e.User = user
		r.put(r.channel(user), e)
	}
}

// Entries tells each mailbox's owner's nodes.
func (r *RedisRelay) Entries(batch []Committed) {
	if r.peers.Load() == 0 {
		return
	}
	for i := range batch {
		if n := len(batch[i].Entries); n > 0 {
			r.delivery.tellMessage(trace.Relayed, batch[i].Message.ID, 0, n)
		}
		span := carried(batch[i].Span)
		for _, e := range batch[i].Entries {
			r.user(e.UserID, event{Kind: "entry", Seq: e.Seq, Payload: batch[i].JSON, Trace: span})
		}
	}
}

// Log tells all nodes of a log conversation's message, once: each knows its own members.
func (r *RedisRelay) Log(m logMessage) {
	if r.peers.Load() > 0 {
		r.delivery.tellMessage(trace.Relayed, messageID(m.message), 0, 0)
		r.put(r.nodes(0), event{Kind: "log", Conversation: m.conversation, Seq: m.seq, Version: m.version, Payload: m.message})
	}
}

// AckedLog tells the node that has the device's socket.
func (r *RedisRelay) AckedLog(key model.DeviceKey, p model.LogPosition) {
	r.user(key.UserID, event{Kind: "acklog", Device: key.DeviceID, Conversation: p.ConversationID, Seq: p.Acked})
}

// Left makes other nodes forget a log conversation that users are out of.
func (r *RedisRelay) Left(users []model.UserID, id model.ConversationID, seq int64) {
	for _, user := range users {
		r.user(user, event{Kind: "left", Conversation: id, Seq: seq})
	}
}

// Recalled tells all nodes that a message's content is gone.
func (r *RedisRelay) Recalled(m *model.Message) {
	if r.peers.Load() > 0 {
		r.put(r.nodes(0), event{Kind: "recall", Payload: m.AppendJSON(nil)})
	}
}

// Frame passes a frame on.
func (r *RedisRelay) Frame(users []model.UserID, frame []byte) {
	for _, user := range users {
		r.user(user, event{Kind: "frame", Payload: frame})
	}
}

// Acked tells the node that has the device's socket.
func (r *RedisRelay) Acked(key model.DeviceKey, upTo int64, single []int64) {
	r.user(key.UserID, event{Kind: "ack", Device: key.DeviceID, Seq: upTo, Seqs: single})
}

// Connected makes other nodes close connections of the device that are older: when Redis is slow it may reach them after
// the device has come back to them.
func (r *RedisRelay) Connected(key model.DeviceKey, connectionID string, at model.Millis) {
	r.user(key.UserID, event{Kind: "connect", Device: key.DeviceID, Connection: connectionID, At: at})
}

// Forgotten makes other nodes close the device's socket.
func (r *RedisRelay) Forgotten(key model.DeviceKey) {
	r.user(key.UserID, event{Kind: "forget", Device: key.DeviceID})
}

// Revoked tells all nodes that a login has ended.
func (r *RedisRelay) Revoked(user model.UserID, family model.FamilyID) {
	r.put(r.nodes(0), event{Kind: "revoke", User: user, Family: family})
}

// Banned tells all nodes about an account.
func (r *RedisRelay) Banned(user model.UserID, banned bool) {
	kind := "unban"
	if banned {
		kind = "ban"
	}
	r.put(r.nodes(0), event{Kind: kind, User: user})
}

func (r *RedisRelay) publish(batch []published) {
	if r.ctx.Err() != nil {
		metrics.relayDropped.Add(float64(len(batch)))
		return
	}
	ctx, cancel := context.WithTimeout(r.ctx, 2*time.Second)
	defer cancel()
	ended := func(error) {}
	if r.delivery.spans != nil {
		ended = r.delivery.spans.relayed(batch)
	}
	pipe := r.client.Pipeline()
	for _, p := range batch {
		if r.sharded {
			pipe.SPublish(ctx, p.channel, encodeFrame(p.event))
		} else {
			pipe.Publish(ctx, p.channel, encodeFrame(p.event))
		}
	}
	_, err := pipe.Exec(ctx)
	ended(err)
	if err != nil {
		metrics.redisErrors.Inc()
		metrics.relayDropped.Add(float64(len(batch)))
		r.lost.Store(true)
		return
	}
	if now := r.delivery.clock(); now.Sub(r.told) >= lostPace && r.lost.CompareAndSwap(true, false) { // the others have not heard all of this node
		r.told = now
		r.put(r.nodes(0), event{Kind: "lost"})
	}
	metrics.relayPublished.Add(float64(len(batch)))
}

// Subscribe wants a user's channel.
func (r *RedisRelay) Subscribe(user model.UserID) { r.want(user, true) }

// Unsubscribe gives it up, unless a session has come meanwhile.
func (r *RedisRelay) Unsubscribe(user model.UserID, stillWanted func() bool) {
	if !stillWanted() {
		r.want(user, false)
	}
	if stillWanted() { // one joined between the question and the note
		r.want(user, true)
	}
}

func (r *RedisRelay) want(user model.UserID, wanted bool) {
	r.subMu.Lock()
	r.changes[user] = wanted // bounded by the node's users
	r.subMu.Unlock()
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

// subscriptions tells Redis what changed, many channels in one command.
func (r *RedisRelay) subscriptions(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.changed:
		}
		r.subMu.Lock()
		changes := r.changes
		r.changes = map[model.UserID]bool{}
		r.subMu.Unlock()
		add, drop := make([][]string, len(r.parts)), make([][]string, len(r.parts))
		for user, wanted := range changes {
			part := r.partOf(user)
			if wanted {
				add[part] = append(add[part], r.channel(user))
			} else {
				drop[part] = append(drop[part], r.channel(user))
			}
		}
		for i, part := range r.parts {
			r.change(ctx, part.pubsub.Load(), add[i], drop[i])
		}
	}
}

// change tells Redis. An error is not the end: the client keeps the list and subscribes
// again when it has connected.
func (r *RedisRelay) change(ctx context.Context, pubsub *redis.PubSub, add, drop []string) {
	subscribe, unsubscribe := pubsub.Subscribe, pubsub.Unsubscribe
	if r.sharded {
		subscribe, unsubscribe = pubsub.SSubscribe, pubsub.SUnsubscribe
	}
	if len(drop) > 0 {
		if err := unsubscribe(ctx, drop...); err != nil {
			metrics.redisErrors.Inc()
		}
	}
	if len(add) > 0 {
		if err := subscribe(ctx, add...); err != nil {
			metrics.redisErrors.Inc()
		}
	}
}

// relayPatience is how long the subscription may be silent before it is asked whether
// it lives.
const relayPatience = 5 * time.Second

// read loops on Receive rather than Channel, which drops messages when it is full.
func (r *RedisRelay) read(ctx context.Context, part *relayPart) {
	broken, asked := false, false
	for ctx.Err() == nil {
		message, err := part.pubsub.Load().ReceiveTimeout(ctx, relayPatience)
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() && ctx.Err() == nil {
			// Silence: a connection that is half open would be silent for ever.
			if asked {
				r.renew(ctx, part)
				broken = true
			}
			asked = !asked && part.pubsub.Load().Ping(ctx) == nil
			broken = broken || !asked // the client may have another connection by now
			continue
		}
		asked = false
		if err != nil {
			if ctx.Err() != nil {
				return
			}
			broken = true
			r.relearn(ctx)
			r.delivery.LogsMissed()
			if pause(ctx, 200*time.Millisecond) != nil {
				return
			}
			var refusal redis.Error
			if errors.As(err, &refusal) { // of a node that does not have the slot any more
				r.renew(ctx, part)
			}
			continue
		}
		switch m := message.(type) {
		case *redis.Subscription:
			switch {
			case r.taken(m):
				broken = true
				r.relearn(ctx)
				r.renew(ctx, part)
			case broken && (m.Kind == "subscribe" || m.Kind == "ssubscribe"):
				broken = false
				r.delivery.LogsMissed()
				r.hooks.Resubscribed()
			}
		case *redis.Message:
			r.handle(m)
		}
	}
}

// relearn makes the client of a cluster ask again who has which slot. It does so of its own accord when a command is sent
// elsewhere, but not when a subscription is, or when the owner is gone.
func (r *RedisRelay) relearn(ctx context.Context) {
	if cluster, ok := r.client.(*redis.ClusterClient); ok {
		cluster.ReloadState(ctx)
	}
}

// taken says whether Redis has ended a subscription of its own accord, as it does when a
// cluster moves the slot.
func (r *RedisRelay) taken(m *redis.Subscription) bool {
	return m.Kind == "sunsubscribe" && strings.HasSuffix(m.Channel, ":nodes")
}

// renew subscribes anew over another connection: at once to all that is known to be wanted, so that who is told of
// the new subscription misses nothing from then on; then again, for those who came meanwhile.
func (r *RedisRelay) renew(ctx context.Context, part *relayPart) {
	channels := []string{r.nodes(part.index)}
	r.delivery.each(func(s *Session) {
		if r.partOf(s.Key.UserID) == part.index {
			channels = append(channels, r.channel(s.Key.UserID))
		}
	})
	old := part.pubsub.Swap(r.subscribe(ctx, channels...))
	if err := old.Close(); err != nil {
		r.log.Debug("relay", "error", err)
	}
	r.delivery.each(func(s *Session) {
		if r.partOf(s.Key.UserID) == part.index {
			r.want(s.Key.UserID, true)
		}
	})
}

// foreign says whether an event is of another run of the database than this node knows, which has lost its tail or is
// about to find out: its positions mean something else here. The sweep repairs what is dropped.
func (e *event) foreign(started model.Millis) bool {
	switch e.Kind {
	case "entry", "frame", "log", "ack", "acklog", "left":
		return e.Started != 0 && started != 0 && !model.SameStart(e.Started, started)
	default:
		return false
	}
}

func (r *RedisRelay) handle(m *redis.Message) {
	var e event
	if err := json.Unmarshal([]byte(m.Payload), &e); err != nil {
		r.log.Warn("relay: an event that cannot be read", "channel", strings.TrimPrefix(m.Channel, "ackbox:"), "error", err)
		return
	}
	if e.Node == r.node {
		return
	}
	d := r.delivery
	if e.foreign(d.store.Started()) {
		d.LogsMissed()
		return
	}
	switch e.Kind {
	case "entry":
		if e.Trace != "" && d.spans != nil {
			defer d.spans.received(e, d.node).End()
		}
		d.Entry(e.User, e.Seq, e.Payload)
	case "frame":
		d.Frame(e.User, e.Payload)
	case "ack":
		d.Settle(model.DeviceKey{UserID: e.User, DeviceID: e.Device}, e.Seq, e.Seqs)
	case "log":
		d.logs.offer(logMessage{conversation: e.Conversation, seq: e.Seq, version: e.Version, message: e.Payload})
	case "acklog":
		d.SettleLog(model.DeviceKey{UserID: e.User, DeviceID: e.Device}, model.LogPosition{ConversationID: e.Conversation, Acked: e.Seq})
	case "left":
		d.dropLog([]model.UserID{e.User}, e.Conversation, e.Seq)
	case "recall":
		d.replace(e.Payload)
	case "connect":
		d.Kick(e.User, func(s *Session) bool {
			// Of two of the same millisecond both nodes keep the same one.
			older := s.joined < e.At || s.joined == e.At && s.ConnectionID < e.Connection
			return s.Key.DeviceID == e.Device && s.ConnectionID != e.Connection && older
		}, CloseReplaced, "the same device connected again")
	case "forget":
		d.Kick(e.User, func(s *Session) bool { return s.Key.DeviceID == e.Device }, CloseToken, "the device was removed")
	case "revoke":
		r.hooks.Revoked(e.Family)
		d.Kick(e.User, func(s *Session) bool { return s.Family == e.Family }, CloseToken, "the token was revoked")
	case "ban", "unban":
		r.hooks.Banned(e.User, e.Kind == "ban")
		if e.Kind == "ban" {
			d.Kick(e.User, func(*Session) bool { return true }, CloseBanned, "the account is banned")
		}
	case "lost":
		d.LogsMissed()
		r.hooks.Resubscribed()
	case "join":
		r.peers.CompareAndSwap(0, 1) // the leases say how many; until they are read, publish
	}
}
