package service

import (
	"context"
	"crypto/rand"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"ackbox/model"
	"ackbox/trace"
)

// DeliveryOptions are the settings of the push path.
type DeliveryOptions struct {
	AckTimeout   time.Duration // a push waits this long for its ack
	MaxAttempts  int           // pushes of one entry before 4008
	QueueSize    int           // un-acked pushes remembered on this node
	Heartbeat    time.Duration // between ping frames
	SlowTimeout  time.Duration // a socket that takes nothing for this long is closed with 4009
	PumpWorkers  int           // mailbox reads for sessions at once: keeps a storm of reconnects off the pool
	PumpCapacity int           // sessions that may wait for them
	UserSessions int           // of one user, here, at once: the next closes the oldest with 1013; 0: any number
	Trace        *trace.Store  // is told what happens to messages; nil: nobody is

	Agreed func() time.Time // the time that all nodes agree on; nil: the clock
}

// Delivery pushes committed entries to the sockets of this node, in seq order and
// without holes, and takes their acks. It knows each user's sessions; what it does not
// know it reads from the mailbox, which is the truth.
type Delivery struct {
	store  *model.Store
	opts   DeliveryOptions
	node   string
	clock  func() time.Time
	agreed func() time.Time // for what other nodes compare with; clock is for how long something takes
	log    *slog.Logger
	queue  *AckQueue
	relay  Relay
	trace  *trace.Store
	spans  *Spans // nil: off

	shards [64]shard

	pumps chan *Session
	done  sync.WaitGroup
	stop  context.CancelFunc
	ctx   context.Context // of the pumps: ends with Stop

	logs  *logFanOut
	stale atomic.Int32 // sweeps that still look at the memberships in log conversations

	watch func(key model.DeviceKey, came bool) // told of every session that comes or goes; it must not wait

	stopping atomic.Bool // Drain was called
	sockets  atomic.Int64

	gapMu sync.Mutex
	gaps  []*Session
	gapUp chan struct{}
}

type shard struct {
	mu    sync.RWMutex
	users map[model.UserID][]*Session // the slices are never changed, only replaced
}

// NewDelivery starts the pumps. SetRelay must be called before the first session.
func NewDelivery(store *model.Store, node string, opts DeliveryOptions, clock func() time.Time, log *slog.Logger) (*Delivery, error) {
	queue, err := NewAckQueue(opts.QueueSize)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	d := &Delivery{
		store: store, opts: opts, node: node, clock: clock, agreed: opts.Agreed, log: log, queue: queue, relay: alone{}, watch: func(model.DeviceKey, bool) {},
		pumps: make(chan *Session, opts.PumpCapacity), ctx: ctx, stop: cancel, gapUp: make(chan struct{}, 1), trace: opts.Trace,
	}
	if d.trace == nil {
		d.trace = trace.Off()
	}
	if d.agreed == nil {
		d.agreed = clock
	}
	queue.forgotten = d.tellForgotten
	for i := range d.shards {
		d.shards[i].users = map[model.UserID][]*Session{}
	}
	d.logs = newLogFanOut(d)
	d.done.Go(func() { d.logs.run(ctx) })
	store.OnAnother(d.anotherDatabase)
	for range opts.PumpWorkers {
		d.done.Go(d.pumpLoop)
	}
	d.done.Go(d.gapLoop)
	return d, nil
}

// SetRelay says how other nodes are told.
func (d *Delivery) SetRelay(relay Relay) { d.relay = relay }

// SpannedBy makes spans. Set before the first session.
func (d *Delivery) SpannedBy(spans *Spans) { d.spans = spans }

// Stop ends the pumps. Sockets must have been closed before.
func (d *Delivery) Stop() {
	d.stop()
	d.done.Wait()
}

func (d *Delivery) shardOf(user model.UserID) *shard {
	return &d.shards[(uint64(user)^uint64(user)>>12)%uint64(len(d.shards))]
}

func (d *Delivery) sessionsOf(user model.UserID) []*Session {
	sh := d.shardOf(user)
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	return sh.users[user]
}

// each runs fn over all sessions, without a lock held.
func (d *Delivery) each(fn func(*Session)) {
	for i := range d.shards {
		d.shards[i].each(fn)
	}
}

func (sh *shard) each(fn func(*Session)) {
	sh.mu.RLock()
	lists := make([][]*Session, 0, len(sh.users))
	for _, list := range sh.users {
		lists = append(lists, list)
	}
	sh.mu.RUnlock()
	for _, list := range lists {
		for _, s := range list {
			fn(s)
		}
	}
}

// Opening is what is known about a device before its socket is upgraded.
type Opening struct {
	Key       model.DeviceKey
	Family    model.FamilyID
	ExpiresAt time.Time
	Start     int64 // what is after it is pushed
	Acked     int64 // the device's position
	Head      int64
	Floor     int64
	Logs      []model.LogHead
	Reset     bool // the device's last_seq is not what the mailbox has
	Selective []int64
	Run       int64  // of the database, when all that was read
	Opened    func() // nil, or called when the mailbox has been read for the first time, or will not be
}

// Join takes a connected socket: hello, then what waits, then live. An older
// connection of the same device, on any node, is closed with 4002. The caller must
// Leave when the socket is gone.
func (d *Delivery) Join(socket Socket, o Opening) *Session {
	now := d.clock()
	s := &Session{
		Key: o.Key, ConnectionID: rand.Text(), Family: o.Family, ExpiresAt: o.ExpiresAt, joined: model.MillisOf(d.agreed()), socket: socket, delivery: d, opened: o.Opened,
		state: stateOpening, acked: o.Start, floorAck: o.Acked, sent: o.Start, head: o.Head, unread: true, announce: true, nextPing: now.Add(d.opts.Heartbeat), lastTouched: now,
	}
	for _, seq := range o.Selective {
		if seq > o.Start {
			if s.selective == nil {
				s.selective = map[int64]struct{}{}
			}
			s.selective[seq] = struct{}{}
		}
	}
	s.mu.Lock()
	s.write(encodeFrame(Hello{
		Type: "hello", ConnectionID: s.ConnectionID, UserID: o.Key.UserID, DeviceID: o.Key.DeviceID, Node: d.node, Acked: o.Acked, Head: o.Head, Floor: o.Floor,
		HeartbeatMS: d.opts.Heartbeat.Milliseconds(), AckTimeoutMS: d.opts.AckTimeout.Milliseconds(), TokenExpiresAt: model.MillisOf(o.ExpiresAt), Reset: o.Reset,
	}), false)
	s.openLogs(o.Logs)
	s.mu.Unlock()

	sh := d.shardOf(o.Key.UserID)
	sh.mu.Lock()
	older := sh.users[o.Key.UserID]
	list := make([]*Session, 0, len(older)+1)
	var replaced, surplus []*Session
	for _, other := range older {
		if other.Key == o.Key {
			replaced = append(replaced, other)
			continue
		}
		list = append(list, other)
	}
	if most := d.opts.UserSessions; most > 0 && len(list) >= most {
		surplus = list[:len(list)-most+1]
	}
	sh.users[o.Key.UserID] = append(list, s)
	first := len(older) == 0
	sh.mu.Unlock()
	d.sockets.Add(1)
	d.watch(o.Key, true)
	for _, other := range replaced {
		other.close(CloseReplaced, "the same device connected again", 0)
	}
	for _, other := range surplus {
		other.close(CloseTryLater, "too many devices of this user are connected", spread(other, laterSpread))
	}
	if first {
		d.relay.Subscribe(o.Key.UserID)
	}
	if d.stopping.Load() { // Drain may have passed before the session was in the index
		s.close(CloseRestart, "the node is restarting", spread(s, time.Second))
		return s
	}
	if d.store.Run() != o.Run { // anotherDatabase may have passed, as above
		s.close(ClosePositionLost, "the database may have lost its tail", spread(s, time.Second))
		return s
	}
	d.relay.Connected(s.Key, s.ConnectionID, s.joined)
	// In the index before the pump reads the mailbox (to its end: unread): an entry is seen by
	// one or the other.
	if !d.wake(s) {
		s.close(CloseTryLater, "too many devices connect at once", spread(s, laterSpread))
	}
	return s
}

// Leave forgets a session whose socket is gone.
func (d *Delivery) Leave(s *Session) {
	s.mu.Lock()
	if s.state != stateClosed && len(s.unacked) > 0 { // the other end is gone
		s.tellRange(trace.Closed, 0, s.acked, s.sent, 0)
	}
	s.state = stateClosed
	unacked, logs := s.unacked, s.logs
	s.unacked, s.outbox, s.stash, s.logs = nil, nil, nil, nil
	s.mu.Unlock()
	s.wasOpened()
	for id := range logs {
		d.queue.AckedLog(s, id)
	}
	for _, seq := range unacked {
		d.queue.Acked(s, seq)
	}
	if d.spans != nil {
		d.spans.left(s, unacked)
	}
	sh := d.shardOf(s.Key.UserID)
	sh.mu.Lock()
	list := slices.DeleteFunc(slices.Clone(sh.users[s.Key.UserID]), func(other *Session) bool { return other == s })
	last := len(list) == 0
	if last {
		delete(sh.users, s.Key.UserID)
	} else {
		sh.users[s.Key.UserID] = list
	}
	sh.mu.Unlock()
	d.sockets.Add(-1)
	d.watch(s.Key, false)
	if last {
		d.relay.Unsubscribe(s.Key.UserID, func() bool { return len(d.sessionsOf(s.Key.UserID)) > 0 })
	}
}

// Committed takes a batch of this node's own commits: local sessions first, then the
// other nodes.
func (d *Delivery) Committed(batch []Committed) {
	var corked []*Session // a batch may have many entries for one user
	if d.spans != nil {
		d.spans.committed(d, batch)
	}
	for i := range batch {
		c := &batch[i]
		for _, e := range c.Entries {
			for _, s := range d.sessionsOf(e.UserID) {
				s.mu.Lock()
				s.cork()
				s.offer(e.Seq, c.JSON)
				s.mu.Unlock()
				corked = append(corked, s)
			}
		}
		if c.Audience != nil && c.Audience.Delivery == model.DeliveryLog {
			m := logMessage{c.Message.ConversationID, c.Message.ConversationSeq, c.Audience.Version, c.Audience, c.JSON}
			d.logs.offer(m)
			d.relay.Log(m)
		}
	}
	for _, s := range corked {
		s.mu.Lock()
		s.uncork()
		s.mu.Unlock()
	}
	if len(corked) > 0 {
		metrics.pushDelay.Observe(max(0, d.agreed().Sub(batch[0].Message.CreatedAt.Time()).Seconds()))
	}
	d.relay.Entries(batch)
}

// Entry offers one committed mailbox entry to the user's sessions on this node.
func (d *Delivery) Entry(user model.UserID, seq int64, message []byte) {
	for _, s := range d.sessionsOf(user) {
		s.mu.Lock()
		s.offer(seq, message)
		s.mu.Unlock()
	}
}

// Notify sends a frame that is in no mailbox (a receipt, an event) to all sessions of
// some users, on all nodes. It may be lost; what it says can be read by REST.
func (d *Delivery) Notify(users []model.UserID, frame []byte) {
	for _, user := range users {
		d.Frame(user, frame)
	}
	d.relay.Frame(users, frame)
}

// Frame sends a frame to the user's sessions on this node.
func (d *Delivery) Frame(user model.UserID, frame []byte) {
	for _, s := range d.sessionsOf(user) {
		s.mu.Lock()
		s.write(frame, true)
		s.mu.Unlock()
	}
}

// Acked takes a committed ack: here if the device is connected here, and on the other
// nodes. before is the position that it has moved.
func (d *Delivery) Acked(key model.DeviceKey, before, upTo int64, single []int64) {
	settled, here := d.settle(key, upTo, single)
	if !here {
		d.relay.Acked(key, upTo, single)
	}
	if int64(settled) < max(0, upTo-before)+int64(len(single)) {
		d.tellPosition(key, before, upTo, single)
	}
}

// acking keeps a device's pushes from being repeated while its ack waits for its commit;
// the answer ends that.
func (d *Delivery) acking(key model.DeviceKey) (done func()) {
	for _, s := range d.sessionsOf(key.UserID) {
		if s.Key == key {
			s.acking.Add(1)
			return func() { s.acking.Add(-1) }
		}
	}
	return func() {}
}

// Settle applies a committed ack to the device's session on this node; false when there is none.
func (d *Delivery) Settle(key model.DeviceKey, upTo int64, single []int64) bool {
	_, here := d.settle(key, upTo, single)
	return here
}

// settle answers also how many pushes the ack was of.
func (d *Delivery) settle(key model.DeviceKey, upTo int64, single []int64) (pushes int, here bool) {
	for _, s := range d.sessionsOf(key.UserID) {
		if s.Key != key {
			continue
		}
		s.mu.Lock()
		if s.state == stateClosed { // another node may have the device by now
			s.mu.Unlock()
			continue
		}
		settled, pump := s.ack(upTo, single)
		s.mu.Unlock()
		now := d.clock()
		for _, seq := range settled {
			if p := d.queue.take(s, seq); p != nil {
				if d.spans == nil {
					metrics.ackLatency.Observe(now.Sub(p.first).Seconds())
				} else {
					observe(metrics.ackLatency, now.Sub(p.first).Seconds(), d.spans.acked(s, seq))
				}
				s.tell(trace.Acked, p.message, seq, p.attempt, false)
				pushes++
			}
		}
		if pump {
			d.wake(s)
		}
		return pushes, true
	}
	return 0, false
}

// Kick closes the sessions of a user that match, with a code.
func (d *Delivery) Kick(user model.UserID, match func(*Session) bool, code int, reason string) {
	for _, s := range d.sessionsOf(user) {
		if match(s) {
			s.close(code, reason, 0)
		}
	}
}

// close says bye and closes. The session stays in the index until its socket is gone.
func (s *Session) close(code int, reason string, retryAfter time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == stateClosed {
		return
	}
	s.state = stateClosed
	s.outbox = nil
	s.tellRange(trace.Closed, 0, s.acked, max(s.sent, s.head), int64(code))
	metrics.closes.WithLabelValues(closeLabel(code)).Inc()
	s.socket.Close(encodeFrame(Bye{Type: "bye", Code: code, RetryAfterMS: retryAfter.Milliseconds()}), code, reason)
}

// spread is a delay below limit that differs by session.
func spread(s *Session, limit time.Duration) time.Duration {
	var sum uint64
	for i := range len(s.ConnectionID) {
		sum = sum*31 + uint64(s.ConnectionID[i])
	}
	return time.Duration(sum % uint64(limit))
}

// Drain closes all sessions, and those that come later: the orderly end of a node.
func (d *Delivery) Drain(over time.Duration) {
	d.stopping.Store(true)
	d.closeAll(CloseRestart, "the node is restarting", over)
}

// Undrain takes sessions again: the node stays.
func (d *Delivery) Undrain() { d.stopping.Store(false) }

// closeAll says bye to every session, spreading the clients' return, and closes with a code.
func (d *Delivery) closeAll(code int, reason string, over time.Duration) {
	d.each(func(s *Session) { s.close(code, reason, spread(s, over)) })
}

// Revoke closes the sockets of a login that has ended, on all nodes.
func (d *Delivery) Revoke(user model.UserID, family model.FamilyID) {
	d.Kick(user, func(s *Session) bool { return s.Family == family }, CloseToken, "the token was revoked")
	d.relay.Revoked(user, family)
}

// Ban closes all sockets of an account, on all nodes.
func (d *Delivery) Ban(user model.UserID) {
	d.Kick(user, func(*Session) bool { return true }, CloseBanned, "the account is banned")
	d.relay.Banned(user, true)
}

// Unban tells the other nodes that an account may come back.
func (d *Delivery) Unban(user model.UserID) { d.relay.Banned(user, false) }
