package service

import (
	"context"
	"fmt"
	"time"

	"ackbox/model"
)

// gapPatience is how long an entry that came before its turn waits for its
// predecessor before the mailbox is read. Batches of this node overtake each other by
// less than a millisecond.
const gapPatience = 25 * time.Millisecond

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
			err := d.pump(s)
			s.wasOpened()
			if err != nil && d.ctx.Err() == nil {
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
		if len(entries) == 0 && s.head == head { // and no entry was offered meanwhile
			s.head = min(s.head, after) // nothing there after all
		}
		ready := model.UpTo(entries, head)
		ready = ready[:min(len(ready), budget)]
		if s.unread = len(ready) < len(entries); s.unread {
			s.head = max(s.head, entries[len(entries)-1].Seq)
		}
		s.cork()
		for _, e := range ready {
			if s.state != stateOpening || e.Seq <= s.sent {
				continue
			}
			// A jump can only be a pruned stretch: up to a head that was known before there are no holes.
			s.head = max(s.head, e.Seq)
			s.push(e.Seq, e.Message.AppendJSON(make([]byte, 0, 512)))
			budget--
		}
		s.uncork()
		s.mu.Unlock()
	}
}

// wasOpened lets the next device connect.
func (s *Session) wasOpened() {
	if s.opened != nil {
		s.opened()
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
