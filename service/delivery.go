package service

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"ackbox/model"
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
}

// gapPatience is how long an entry that came before its turn waits for its
// predecessor before the mailbox is read. Batches of this node overtake each other by
// less than a millisecond.
const gapPatience = 25 * time.Millisecond

// Delivery pushes committed entries to the sockets of this node, in seq order and
// without holes, and takes their acks. It knows each user's sessions; what it does not
// know it reads from the mailbox, which is the truth.
type Delivery struct {
	store *model.Store
	opts  DeliveryOptions
	node  string
	clock func() time.Time
	log   *slog.Logger
	queue *AckQueue
	relay Relay

	shards [64]shard

	pumps chan *Session
	done  sync.WaitGroup
	stop  context.CancelFunc
	ctx   context.Context // of the pumps: ends with Stop

	logs *logFanOut

	database        model.Identity // at the last sweep; only the sweep uses it
	databaseChanged func()

	stopping atomic.Bool // Drain was called

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
		store: store, opts: opts, node: node, clock: clock, log: log, queue: queue, relay: alone{},
		pumps: make(chan *Session, opts.PumpCapacity), ctx: ctx, stop: cancel, gapUp: make(chan struct{}, 1),
	}
	for i := range d.shards {
		d.shards[i].users = map[model.UserID][]*Session{}
	}
	d.logs = newLogFanOut(d)
	d.done.Go(func() { d.logs.run(ctx) })
	for range opts.PumpWorkers {
		d.done.Go(d.pumpLoop)
	}
	d.done.Go(d.gapLoop)
	return d, nil
}

// SetRelay says how other nodes are told.
func (d *Delivery) SetRelay(relay Relay) { d.relay = relay }

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
		sh := &d.shards[i]
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
}

// Join takes a connected socket: hello, then what waits, then live. An older
// connection of the same device, on any node, is closed with 4002. The caller must
// Leave when the socket is gone.
func (d *Delivery) Join(socket Socket, o Opening) *Session {
	now := d.clock()
	s := &Session{
		Key: o.Key, ConnectionID: rand.Text(), Family: o.Family, ExpiresAt: o.ExpiresAt, socket: socket, delivery: d,
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
	var replaced []*Session
	for _, other := range older {
		if other.Key == o.Key {
			replaced = append(replaced, other)
			continue
		}
		list = append(list, other)
	}
	sh.users[o.Key.UserID] = append(list, s)
	first := len(older) == 0
	sh.mu.Unlock()
	for _, other := range replaced {
		other.close(CloseReplaced, "the same device connected again", 0)
	}
	if first {
		d.relay.Subscribe(o.Key.UserID)
	}
	if d.stopping.Load() { // Drain may have passed before the session was in the index
		s.close(CloseRestart, "the node is restarting", spread(s, time.Second))
		return s
	}
	d.relay.Connected(s.Key, s.ConnectionID)
	// In the index before the pump reads the mailbox (to its end: unread): an entry is seen by
	// one or the other.
	if !d.wake(s) {
		s.close(CloseTryLater, "too many devices connect at once", spread(s, 10*time.Second))
	}
	return s
}

// Leave forgets a session whose socket is gone.
func (d *Delivery) Leave(s *Session) {
	s.mu.Lock()
	s.state = stateClosed
	unacked, logs := s.unacked, s.logs
	s.unacked, s.outbox, s.stash, s.logs = nil, nil, nil, nil
	s.mu.Unlock()
	for id := range logs {
		d.queue.AckedLog(s, id)
	}
	for _, seq := range unacked {
		d.queue.Acked(s, seq)
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
	if last {
		d.relay.Unsubscribe(s.Key.UserID, func() bool { return len(d.sessionsOf(s.Key.UserID)) > 0 })
	}
}

// Committed takes a batch of this node's own commits: local sessions first, then the
// other nodes.
func (d *Delivery) Committed(batch []Committed) {
	for i := range batch {
		c := &batch[i]
		for _, e := range c.Entries {
			d.Entry(e.UserID, e.Seq, c.JSON)
		}
		if c.Audience != nil && c.Audience.Delivery == model.DeliveryLog {
			m := logMessage{c.Message.ConversationID, c.Message.ConversationSeq, c.Audience.Version, c.Audience, c.JSON}
			d.logs.offer(m)
			d.relay.Log(m)
		}
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
// nodes.
func (d *Delivery) Acked(key model.DeviceKey, upTo int64, single []int64) {
	if !d.Settle(key, upTo, single) {
		d.relay.Acked(key, upTo, single)
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
			if first, ok := d.queue.Acked(s, seq); ok {
				metrics.ackLatency.Observe(now.Sub(first).Seconds())
			}
		}
		if pump {
			d.wake(s)
		}
		return true
	}
	return false
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
	metrics.closes.WithLabelValues(strconv.Itoa(code)).Inc()
	s.socket.Close(encodeFrame(Bye{Type: "bye", Code: code, RetryAfterMS: retryAfter.Milliseconds()}), code, reason)
}

// wake queues a session for the pump. When the queue is full it answers false, and
// the sweep finds the session.
func (d *Delivery) wake(s *Session) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pumping || s.state != stateOpening {
		return true
	}
	select {
	case d.pumps <- s:
		s.pumping = true
		return true
	default:
		return false
	}
}

func (d *Delivery) pumpLoop() {
	for {
		select {
		case <-d.ctx.Done():
			return
		case s := <-d.pumps:
			if err := d.pump(s); err != nil && d.ctx.Err() == nil {
				d.log.Warn("reading a mailbox for a session", "user", s.Key.UserID, "error", err) // the sweep tries again
			}
		}
	}
}

// pump pushes from the mailbox what a session has not got, until it is live or behind.
func (d *Delivery) pump(s *Session) error {
	for budget := connectPushes; ; {
		s.mu.Lock()
		if s.state == stateOpening && s.head <= s.sent && !s.unread {
			s.goLive()
		}
		if s.state == stateOpening && budget <= 0 {
			s.fallBehind()
		}
		after, head := s.sent, s.head
		if s.state != stateOpening {
			s.pumping = false // in the same breath as the state: whoever opens it again wakes it
			s.mu.Unlock()
			return nil
		}
		s.mu.Unlock()

		ctx, cancel := context.WithTimeout(d.ctx, 10*time.Second)
		entries, err := d.store.Mailbox(ctx, s.Key.UserID, after, budget+1) // one more says whether there is more
		cancel()
		s.mu.Lock()
		if err != nil {
			s.pumping = false
			s.mu.Unlock()
			return fmt.Errorf("read mailbox: %w", err)
		}
		if s.unread = len(entries) > budget; s.unread {
			s.head = max(s.head, entries[budget].Seq)
			entries = entries[:budget]
		}
		if len(entries) == 0 && s.head == head { // and no entry was offered meanwhile
			s.head = min(s.head, after) // nothing there after all
		}
		for _, e := range entries {
			if s.state != stateOpening || e.Seq <= s.sent {
				continue
			}
			// A jump can only be a pruned stretch: what is visible has no holes.
			s.head = max(s.head, e.Seq)
			s.push(e.Seq, e.Message.AppendJSON(make([]byte, 0, 512)))
			budget--
		}
		s.mu.Unlock()
	}
}

// goLive ends the opening. The caller holds the lock.
func (s *Session) goLive() {
	s.state = stateLive
	s.stash = nil
	if s.announce {
		s.announce = false
		s.write(encodeFrame(Synced{Type: "synced", UpTo: s.sent}), false)
	}
}

// gap remembers a session with a hole. The caller holds the session's lock.
func (d *Delivery) gap(s *Session) {
	d.gapMu.Lock()
	d.gaps = append(d.gaps, s)
	d.gapMu.Unlock()
	select {
	case d.gapUp <- struct{}{}:
	default:
	}
}

// gapLoop reads the mailbox for sessions whose hole did not close by itself.
func (d *Delivery) gapLoop() {
	for {
		select {
		case <-d.ctx.Done():
			return
		case <-d.gapUp:
		}
		if pause(d.ctx, gapPatience) != nil {
			return
		}
		d.gapMu.Lock()
		list := d.gaps
		d.gaps = nil
		d.gapMu.Unlock()
		for _, s := range list {
			s.mu.Lock()
			open := s.stash != nil && s.state == stateLive
			if open {
				s.state = stateOpening
				s.stash = nil
			}
			s.mu.Unlock()
			if open {
				d.wake(s)
			}
		}
	}
}

func (d *Delivery) countByState(state sessionState) (n int) {
	d.each(func(s *Session) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.state == state {
			n++
		}
	})
	return n
}

// Retry pushes again what has not been acked in time, oldest first, and closes with 4008
// where the last attempt has passed. A job calls it every second.
func (d *Delivery) Retry(ctx context.Context) error {
	now := d.clock()
	for ctx.Err() == nil {
		due := d.queue.Overdue(now, d.opts.AckTimeout, 1_000)
		for _, push := range due {
			d.retry(push)
		}
		if len(due) < 1_000 {
			return nil
		}
	}
	return ctx.Err()
}

func (d *Delivery) retry(push Due) {
	s := push.Session
	if push.Conversation != 0 {
		d.retryLog(push)
		return
	}
	s.mu.Lock()
	gone := s.state == stateClosed || !slices.Contains(s.unacked, push.Seq)
	exhausted := !gone && push.Attempt >= d.opts.MaxAttempts
	if !gone && !exhausted {
		// Written in order behind what still waits for the socket; a socket that takes
		// nothing is closed by Tick.
		s.write(messageFrame(push.Seq, push.Attempt+1, push.Message), true)
		metrics.retries.Inc()
	}
	s.mu.Unlock()
	switch {
	case gone:
		d.queue.Acked(s, push.Seq)
	case exhausted:
		s.close(CloseUnacked, "entries stayed un-acked after the last attempt", 0)
	}
}

// Tick does what a session needs by the clock: ping frames, expired tokens, sockets
// that take nothing. A job calls it every second.
func (d *Delivery) Tick(ctx context.Context) error {
	now := d.clock()
	var seen []model.DeviceKey
	d.each(func(s *Session) {
		s.mu.Lock()
		expired := !s.ExpiresAt.After(now)
		slow := s.buffered > 0 && len(s.outbox) > 0 && now.Sub(s.stuckSince) > d.opts.SlowTimeout
		if s.state != stateClosed && !now.Before(s.nextPing) {
			s.nextPing = now.Add(d.opts.Heartbeat)
			s.write(encodeFrame(Ping{Type: "ping", At: model.MillisOf(now), Head: s.head}), true)
		}
		if now.Sub(s.lastTouched) > touchInterval {
			s.lastTouched = now
			seen = append(seen, s.Key)
		}
		s.mu.Unlock()
		switch {
		case expired:
			s.close(CloseToken, "the token has expired", 0)
		case slow:
			s.close(CloseSlow, "too slow to read", 0)
		}
	})
	for part := range slices.Chunk(seen, 500) {
		if err := d.store.TouchDevices(ctx, part, model.MillisOf(now)); err != nil {
			return err
		}
	}
	return nil
}

// touchInterval is how often a connected device's last_seen_at is written.
const touchInterval = time.Hour

// Sweep compares the mailboxes of this node's users with what was sent to them and
// repairs: a lost relay event, a crash between commit and push, an evicted push, an
// ack that reached another node. A job calls it every few seconds. A mailbox whose
// head went back means that the database has lost its tail: those sockets are
// closed with 4010, spread over seconds, so that their clients check their positions.
func (d *Delivery) Sweep(ctx context.Context) error {
	if err := d.checkDatabase(ctx); err != nil {
		return err
	}
	byUser := map[model.UserID][]*Session{}
	var users []model.UserID
	d.each(func(s *Session) {
		if byUser[s.Key.UserID] == nil {
			users = append(users, s.Key.UserID)
		}
		byUser[s.Key.UserID] = append(byUser[s.Key.UserID], s)
	})
	for part := range slices.Chunk(users, 500) {
		// What a session had sent before the read: a lower head afterwards is a loss.
		sent := map[*Session]int64{}
		var waiting []model.DeviceKey
		for _, user := range part {
			for _, s := range byUser[user] {
				s.mu.Lock()
				sent[s] = s.sent
				if len(s.unacked) > 0 || s.state == stateBehind {
					waiting = append(waiting, s.Key)
				}
				s.mu.Unlock()
			}
		}
		list, err := d.store.MailboxHeads(ctx, part)
		if err != nil {
			return err
		}
		heads := make(map[model.UserID]int64, len(list)) // a mailbox that is not there has head 0
		for _, h := range list {
			heads[h.UserID] = h.Head
		}
		for _, user := range part {
			for _, s := range byUser[user] {
				d.repair(s, heads[user], sent[s])
			}
		}
		for keys := range slices.Chunk(waiting, 500) {
			devices, err := d.store.Devices(ctx, keys)
			if err != nil {
				return err
			}
			for key, device := range devices {
				d.settleMoved(key, device.Acked)
			}
		}
	}
	return d.sweepLogs(ctx)
}

// OnDatabaseChanged is told when the database is another one or has started again: what is
// cached of it may never have been durable. Set before use.
func (d *Delivery) OnDatabaseChanged(fn func()) { d.databaseChanged = fn }

// checkDatabase compares the database's identity with that of the sweep before.
// What was visible may be gone and its seqs given out again, unnoticed by a comparison
// of heads: the devices check their positions.
func (d *Delivery) checkDatabase(ctx context.Context) error {
	now, err := d.store.Identity(ctx)
	if err != nil {
		return err
	}
	before := d.database
	d.database = now
	if before == (model.Identity{}) || before.Same(now) {
		return nil
	}
	d.log.Warn("the database has started again or is another one: devices check their positions", "sockets", "closed with 4010")
	if d.databaseChanged != nil {
		d.databaseChanged()
	}
	d.closeAll(ClosePositionLost, "the database may have lost its tail", 5*time.Second)
	return nil
}

// settleMoved takes a position read from the store, if it moved since the session
// began: the ack reached another node and the relay lost it.
func (d *Delivery) settleMoved(key model.DeviceKey, acked int64) {
	for _, s := range d.sessionsOf(key.UserID) {
		s.mu.Lock()
		moved := s.Key == key && acked > s.acked && acked > s.floorAck
		s.mu.Unlock()
		if moved {
			d.Settle(key, acked, nil)
		}
	}
}

func (d *Delivery) repair(s *Session, head, sentBefore int64) {
	s.mu.Lock()
	lost := head < sentBefore && s.state != stateClosed
	behindMailbox := s.state == stateLive && head > s.sent && s.stash == nil
	evicted := s.state == stateLive && s.evicted.Load()
	if evicted && len(s.unacked) == 0 { // acked meanwhile
		s.evicted.Store(false)
		evicted = false
	}
	stalled := s.state == stateOpening && !s.pumping
	s.head = max(s.head, head)
	exhausted := false
	switch {
	case lost:
	case evicted:
		if exhausted = s.rounds+1 >= d.opts.MaxAttempts; !exhausted {
			s.rewind()
		}
	case behindMailbox:
		s.state = stateOpening
	}
	s.mu.Unlock()
	switch {
	case lost:
		s.close(ClosePositionLost, "the database has lost its tail", spread(s, 5*time.Second))
	case exhausted:
		s.close(CloseUnacked, "entries stayed un-acked after the last attempt", 0)
	case evicted, behindMailbox:
		metrics.repairs.Inc()
		d.wake(s)
	case stalled:
		d.wake(s)
	}
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
