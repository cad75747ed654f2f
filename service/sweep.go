package service

import (
	"context"
	"slices"
	"time"

	"ackbox/model"
	"ackbox/trace"
)

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
		// While frames wait for the socket the push before may be among them; a socket
		// that takes nothing is closed by Tick.
		if len(s.outbox) == 0 {
			s.write(messageFrame(push.Seq, push.Attempt+1, push.Message), true)
			if d.spans != nil {
				d.spans.pushed(s, push.Seq, push.Attempt+1)
			}
		}
		s.tell(trace.Retried, push.Message, push.Seq, push.Attempt+1, len(s.outbox) > 0)
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
	now, agreed := d.clock(), d.agreed()
	var seen []model.DeviceKey
	d.each(func(s *Session) {
		s.mu.Lock()
		expired := !s.ExpiresAt.After(agreed)
		slow := s.buffered > 0 && len(s.outbox) > 0 && now.Sub(s.stuckSince) > d.opts.SlowTimeout
		if s.state != stateClosed && !now.Before(s.nextPing) {
			s.nextPing = now.Add(d.opts.Heartbeat)
			s.socket.Ping()
			s.write(encodeFrame(Ping{Type: "ping", At: model.MillisOf(agreed), Head: s.head}), true)
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
	ctx, cancel := context.WithTimeout(ctx, touchPatience)
	defer cancel()
	for part := range slices.Chunk(seen, 500) {
		if err := d.store.TouchDevices(ctx, part, model.MillisOf(agreed)); err != nil {
			return err
		}
	}
	return nil
}

// touchInterval is how often a connected device's last_seen_at is written.
const touchInterval = time.Hour

// touchPatience is how long Tick waits for the database for that: sockets whose pings do not come are
// taken for gone.
const touchPatience = 2 * time.Second

// Sweep compares the mailboxes of this node's users with what was sent to them and
// repairs: a lost relay event, a crash between commit and push, an evicted push, an
// ack that reached another node. A job calls it every few seconds. A mailbox whose
// head went back means that the database has lost its tail: those sockets are
// closed with 4010, spread over seconds, so that their clients check their positions.
func (d *Delivery) Sweep(ctx context.Context) error {
	if _, err := d.store.Identity(ctx); err != nil { // calls anotherDatabase when it was restored
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
	if err := d.refreshLogs(ctx); err != nil {
		return err
	}
	return d.sweepLogs(ctx)
}

// anotherDatabase is called when the database is another one or has started again, before anything of it is seen.
// What was visible may be gone and its seqs given out again, unnoticed by a comparison
// of heads: the devices check their positions. Until they have, they are pushed nothing: the next entry of
// the new mailbox would be taken for the next one of the old.
func (d *Delivery) anotherDatabase() {
	d.log.Warn("the database has started again or is another one: devices check their positions", "sockets", "closed with 4010")
	d.closeAll(ClosePositionLost, "the database may have lost its tail", 5*time.Second)
}

// settleMoved takes a position read from the store, if it moved since the session
// began: the ack reached another node and the relay lost it.
func (d *Delivery) settleMoved(key model.DeviceKey, acked int64) {
	for _, s := range d.sessionsOf(key.UserID) {
		s.mu.Lock()
		moved := s.Key == key && acked > s.acked && acked > s.floorAck && s.acked >= s.floorAck // below, the device gets again what it lost
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
			s.tellRange(trace.SweepRepair, 0, s.acked, s.head, 0)
			s.rewind()
		}
	case behindMailbox:
		s.tellRange(trace.SweepRepair, 0, s.sent, s.head, 0)
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
