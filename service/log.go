package service

import (
	"context"
	"maps"
	"slices"

	"ackbox/model"
	"ackbox/trace"
)

// A log conversation (a large group) is in no mailbox: its messages are rows of their own and
// every device reads them by conversation_seq from a position of its own. A session keeps a
// logState for each such conversation that it heard of; the rules are those of the mailbox:
// pushed in order, at most maxUnacked un-acked, else behind.

// logState is one device's place in one log conversation.
type logState struct {
	acked    int64
	sent     int64
	head     int64
	offered  int64  // the newest message that came; of the head one hears otherwise too
	last     []byte // the newest message that was pushed; shared
	swept    int64  // the conversation's head at the last sweep
	behind   bool
	resumeAt int64 // when behind: acked up to here, pushes resume
}

// offerLogs takes messages of one log conversation, and counts those that it pushes in pushes, which may be nil; false
// when the session has not heard of it.
func (s *Session) offerLogs(list []logMessage, frames [][]byte, pushes []int64) (known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(list) == 0 {
		return true
	}
	if s.logs[list[0].conversation] == nil {
		if list[0].conversation != model.Everyone {
			return false
		}
		s.meetEveryone()
	}
	s.cork()
	defer s.uncork()
	for i, m := range list {
		if s.offerLog(m.conversation, m.seq, frames[i], m.message) && pushes != nil {
			pushes[i]++
		}
	}
	return true
}

// openLogs takes what is known at connect. The caller holds the lock.
func (s *Session) openLogs(list []model.LogHead) {
	for _, h := range list {
		state := s.log(h.ConversationID, h.Acked)
		state.head = h.Head
		if h.Head > h.Acked {
			s.logBehind(h.ConversationID, state)
		}
	}
}

func (s *Session) log(id model.ConversationID, from int64) *logState {
	if s.logs == nil {
		s.logs = map[model.ConversationID]*logState{}
	}
	state := s.logs[id]
	if state == nil {
		state = &logState{acked: from, sent: from, head: from}
		s.logs[id] = state
	}
	return state
}

// logBehind tells the client to pull. The caller holds the lock.
func (s *Session) logBehind(id model.ConversationID, state *logState) {
	state.behind, state.resumeAt = true, state.head
	s.tellRange(trace.Behind, id, state.sent, state.head, 0)
	s.write(encodeFrame(Behind{Type: "behind", ConversationID: id, Head: state.head}), false)
}

// offerLog takes one message of a log conversation and answers whether it pushed it. The caller holds the lock.
func (s *Session) offerLog(id model.ConversationID, seq int64, frame, message []byte) bool {
	if s.state == stateClosed {
		return false
	}
	state := s.logs[id]
	if state == nil {
		return false // closed meanwhile
	}
	state.head, state.offered = max(state.head, seq), max(state.offered, seq)
	if state.behind || seq <= state.sent {
		return false
	}
	if seq > state.sent+1 || state.sent-state.acked >= maxUnacked || len(s.outbox) >= maxOutbox {
		s.logBehind(id, state)
		return false
	}
	state.sent, state.last = seq, message
	s.write(frame, false)
	metrics.pushes.Inc()
	if evicted := s.delivery.queue.AddLog(s, id, message, s.delivery.clock()); evicted != nil {
		metrics.evictions.Inc()
		evicted.evicted.Store(true)
	}
	return true
}

// AckedLog takes a committed ack of a log conversation: here if the device is connected
// here, and on the other nodes.
func (d *Delivery) AckedLog(key model.DeviceKey, p model.LogPosition) {
	if !d.SettleLog(key, p) {
		d.relay.AckedLog(key, p)
	}
}

// SettleLog applies it to the device's session on this node; false when there is none.
func (d *Delivery) SettleLog(key model.DeviceKey, p model.LogPosition) bool {
	for _, s := range d.sessionsOf(key.UserID) {
		if s.Key != key {
			continue
		}
		s.mu.Lock()
		if s.state == stateClosed { // another node may have the device by now
			s.mu.Unlock()
			continue
		}
		state := s.logs[p.ConversationID]
		if state == nil && p.ConversationID == model.Everyone { // pulled before anything was pushed
			state = s.log(p.ConversationID, p.Acked)
		}
		if state != nil && p.Acked > state.acked {
			s.tellRange(trace.AckedByPosition, p.ConversationID, state.acked, p.Acked, 0)
			state.acked = p.Acked
			state.sent = max(state.sent, state.acked)
			state.head = max(state.head, state.acked)
			d.queue.AckedLog(s, p.ConversationID)
			if state.sent > state.acked && len(state.last) > 0 { // the rest waits anew
				d.queue.AddLog(s, p.ConversationID, state.last, d.clock())
			}
			if state.behind && state.acked >= state.resumeAt {
				state.behind = false
				if state.head > state.sent {
					s.logBehind(p.ConversationID, state)
				}
			}
		}
		s.mu.Unlock()
		return true
	}
	return false
}

// retryLog pushes the newest un-acked message of a log conversation again, and from the
// second time on says behind when there are more.
func (d *Delivery) retryLog(push Due) {
	s := push.Session
	s.mu.Lock()
	state := s.logs[push.Conversation]
	gone := s.state == stateClosed || state == nil || state.acked >= state.sent
	exhausted := !gone && push.Attempt >= d.opts.MaxAttempts
	if !gone && !exhausted {
		if len(s.outbox) == 0 { // else the push before may be among what waits
			s.write(messageFrame(0, push.Attempt+1, push.Message), true)
		}
		s.tell(trace.Retried, push.Message, 0, push.Attempt+1, len(s.outbox) > 0)
		metrics.retries.Inc()
		if push.Attempt > 1 && state.sent-state.acked > 1 && !state.behind {
			s.logBehind(push.Conversation, state)
		}
	}
	s.mu.Unlock()
	switch {
	case gone:
		d.queue.AckedLog(s, push.Conversation)
	case exhausted:
		s.close(CloseUnacked, "messages stayed un-acked after the last attempt", 0)
	}
}

// staleLogs is how many sweeps look at the memberships after word of them may have been lost: the
// second one sees who left while the first one read.
const staleLogs = 2

// maxLogs bounds the log conversations of one session; those beyond are heard of by history alone.
const maxLogs = 1_000

// LogsMissed notes that word of other nodes' joins and leaves may have been lost: the next sweeps
// read who belongs to which log conversation.
func (d *Delivery) LogsMissed() { d.stale.Store(staleLogs) }

// refreshLogs compares the log conversations that sessions know with the memberships.
func (d *Delivery) refreshLogs(ctx context.Context) error {
	if d.stale.Load() == 0 {
		return nil
	}
	d.stale.Add(-1)
	known := map[*Session]map[model.ConversationID]*logState{} // before the read: what is newer stays
	byUser := map[model.UserID][]*Session{}
	d.each(func(s *Session) {
		s.mu.Lock()
		known[s] = maps.Clone(s.logs)
		s.mu.Unlock()
		byUser[s.Key.UserID] = append(byUser[s.Key.UserID], s)
	})
	for part := range slices.Chunk(slices.Sorted(maps.Keys(byUser)), 500) {
		memberships, err := d.store.LogMemberships(ctx, part)
		if err != nil {
			d.LogsMissed()
			return err
		}
		var keys []model.DeviceKey
		heads := map[model.MemberKey]model.LogMembership{}
		for _, m := range memberships {
			heads[model.MemberKey{ConversationID: m.ConversationID, UserID: m.UserID}] = m
		}
		for _, user := range part {
			for _, s := range byUser[user] {
				s.mu.Lock()
				for id, state := range s.logs {
					if _, member := heads[model.MemberKey{ConversationID: id, UserID: user}]; !member && id != model.Everyone && known[s][id] == state {
						delete(s.logs, id)
						d.queue.AckedLog(s, id)
					}
				}
				s.mu.Unlock()
				keys = append(keys, s.Key)
			}
		}
		if err := d.meetLogs(ctx, byUser, keys, memberships); err != nil {
			d.LogsMissed()
			return err
		}
	}
	return nil
}

// meetLogs makes the states of log conversations that sessions have not heard of: their clients pull.
func (d *Delivery) meetLogs(ctx context.Context, byUser map[model.UserID][]*Session, keys []model.DeviceKey, memberships []model.LogMembership) error {
	pinned := map[logKey]int64{}
	for part := range slices.Chunk(keys, 500) {
		positions, err := d.store.LogPositions(ctx, part)
		if err != nil {
			return err
		}
		for _, p := range positions {
			pinned[logKey{p.Key, p.ConversationID}] = p.Acked
		}
	}
	for _, m := range memberships {
		for _, s := range byUser[m.UserID] {
			s.mu.Lock()
			if s.logs[m.ConversationID] == nil && len(s.logs) < maxLogs && s.state != stateClosed {
				metrics.repairs.Inc()
				state := s.log(m.ConversationID, max(m.JoinedSeq, pinned[logKey{s.Key, m.ConversationID}]))
				if state.head = max(m.Head, state.acked); state.head > state.acked {
					s.logBehind(m.ConversationID, state)
				}
			}
			s.mu.Unlock()
		}
	}
	return nil
}

// sweepLogs compares the log conversations that sessions know with what they were sent and
// with what their devices have acked on other nodes. What was missing at the sweep before as
// well is lost; what is younger may be on its way.
func (d *Delivery) sweepLogs(ctx context.Context) error {
	sessions := map[model.ConversationID][]*Session{}
	waiting := map[model.DeviceKey]*Session{}
	var ids []model.ConversationID
	anybody := false
	d.each(func(s *Session) {
		anybody = true
		s.mu.Lock()
		defer s.mu.Unlock()
		for id, state := range s.logs {
			if sessions[id] == nil {
				ids = append(ids, id)
			}
			sessions[id] = append(sessions[id], s)
			if state.behind || state.acked < state.sent {
				waiting[s.Key] = s
			}
		}
	})
	if anybody && sessions[model.Everyone] == nil { // announcements are for those too who have not heard of any
		ids = append(ids, model.Everyone)
	}
	for part := range slices.Chunk(ids, 500) {
		heads, err := d.store.ConversationHeads(ctx, part)
		if err != nil {
			return err
		}
		if head := heads[model.Everyone]; head > 0 {
			d.each(func(s *Session) { s.sweepEveryone(head) })
		}
		for id, head := range heads {
			for _, s := range sessions[id] {
				s.sweepLog(id, head)
			}
		}
	}
	keys := slices.SortedFunc(maps.Keys(waiting), compareDevices)
	for part := range slices.Chunk(keys, 500) {
		positions, err := d.store.LogPositions(ctx, part)
		if err != nil {
			return err
		}
		for _, p := range positions {
			d.SettleLog(p.Key, p.LogPosition)
		}
	}
	return nil
}

func (s *Session) sweepLog(id model.ConversationID, head int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	state := s.logs[id]
	if state == nil || s.state == stateClosed {
		return
	}
	if !state.behind && state.sent < state.swept {
		metrics.repairs.Inc()
		state.head = max(state.head, head)
		s.tellRange(trace.SweepRepair, id, state.sent, state.head, 0)
		s.logBehind(id, state)
	}
	state.swept = head
	if state.acked < state.sent && len(state.last) > 0 { // still waiting: put back what the ack queue may have forgotten
		if evicted := s.delivery.queue.AddLog(s, id, state.last, s.delivery.clock()); evicted != nil {
			metrics.evictions.Inc()
			evicted.evicted.Store(true)
		}
	}
}

// Recalled makes sure that no un-acked push repeats content that is gone, on any node.
func (d *Delivery) Recalled(m *model.Message) {
	d.tellMessage(trace.Recalled, m.ID, 0, 0)
	d.replace(m.AppendJSON(nil))
	d.relay.Recalled(m)
}

func (d *Delivery) replace(message []byte) {
	d.queue.Recall(messagePrefix(message), message)
}

// messagePrefix is how the encoding of a message begins, up to its id.
func messagePrefix(message []byte) string {
	const start = len(`{"message_id":"`)
	for i := start; i < len(message); i++ {
		if message[i] == '"' {
			return string(message[start:i])
		}
	}
	return ""
}

// ForgetLog drops a conversation from the sessions of users who left it at a
// conversation_seq, on all nodes.
func (d *Delivery) ForgetLog(users []model.UserID, id model.ConversationID, seq int64) {
	d.dropLog(users, id, seq)
	d.relay.Left(users, id, seq)
}

// dropLog may come late: who is back by then keeps what began after seq.
func (d *Delivery) dropLog(users []model.UserID, id model.ConversationID, seq int64) {
	for _, user := range users {
		d.logs.introducing.leave(user, id, seq)
		for _, s := range d.sessionsOf(user) {
			s.mu.Lock()
			state := s.logs[id]
			back := state != nil && (state.acked >= seq || state.offered > seq)
			if !back {
				delete(s.logs, id)
				d.queue.AckedLog(s, id)
			}
			s.mu.Unlock()
		}
	}
}
