package service

import (
	"cmp"
	"slices"

	"ackbox/model"
)

// SessionView is a socket as operators see it.
type SessionView struct {
	Node         model.NodeID
	UserID       model.UserID
	DeviceID     model.DeviceID
	ConnectionID string
	State        string // opening, live or behind
	ConnectedAt  model.Millis
	Pushed       int64 // everything up to this seq has been pushed, or acked
	Acked        int64
	Pending      int // pushes that wait for their ack
	Attempts     int // of the oldest of them
}

// SessionSort is what a list of sockets is ordered by.
type SessionSort string

// The orders of sockets.
const (
	SessionsByPending   SessionSort = "pending"
	SessionsByConnected SessionSort = "connected_at"
)

// SessionPlace is where a page of sockets ended.
type SessionPlace struct {
	Value        int64
	ConnectionID string
}

// SessionFilter picks sockets of a node.
type SessionFilter struct {
	UserID     model.UserID `json:",omitzero"` // 0: of everybody
	State      string       // empty: in every state
	Sort       SessionSort
	Descending bool
	After      *SessionPlace // nil: from the start
	Limit      int
}

// value is what a socket is ordered by.
func (f *SessionFilter) value(v *SessionView) int64 {
	if f.Sort == SessionsByConnected {
		return int64(v.ConnectedAt)
	}
	return int64(v.Pending)
}

func (f *SessionFilter) compare(a, b SessionView) int {
	if c := f.order(f.value(&a), f.value(&b)); c != 0 {
		return c
	}
	return cmp.Compare(a.ConnectionID, b.ConnectionID)
}

func (f *SessionFilter) order(a, b int64) int {
	if f.Descending {
		a, b = b, a
	}
	return cmp.Compare(a, b)
}

func (f *SessionFilter) beyond(v *SessionView) bool {
	if f.After == nil {
		return true
	}
	c := f.order(f.value(v), f.After.Value)
	return c > 0 || c == 0 && v.ConnectionID > f.After.ConnectionID
}

// count is how many sockets this node has.
func (d *Delivery) count() int { return int(d.sockets.Load()) }

// view is how a session stands; ok is false when it is closed.
func (s *Session) view() (v SessionView, oldest int64, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == stateClosed {
		return v, 0, false
	}
	if len(s.unacked) > 0 {
		oldest = s.unacked[0]
	}
	return SessionView{
		UserID: s.Key.UserID, DeviceID: s.Key.DeviceID, ConnectionID: s.ConnectionID, State: s.state.String(), ConnectedAt: s.joined, Pushed: s.sent, Acked: s.acked, Pending: len(s.unacked),
	}, oldest, true
}

// Views lists sockets of this node, at most Limit, in order. It walks over all sessions and keeps no more than it answers.
func (d *Delivery) Views(f SessionFilter) []SessionView {
	type found struct {
		SessionView
		session *Session
		oldest  int64
	}
	var list []found
	keep := func() {
		slices.SortFunc(list, func(a, b found) int { return f.compare(a.SessionView, b.SessionView) })
		if len(list) > f.Limit {
			clear(list[f.Limit:])
			list = list[:f.Limit]
		}
	}
	look := func(s *Session) {
		v, oldest, ok := s.view()
		if !ok || f.State != "" && v.State != f.State || !f.beyond(&v) {
			return
		}
		if list = append(list, found{v, s, oldest}); len(list) >= 8*f.Limit {
			keep()
		}
	}
	if f.UserID != 0 {
		for _, s := range d.sessionsOf(f.UserID) {
			look(s)
		}
	} else {
		d.each(look)
	}
	keep()
	views := make([]SessionView, len(list))
	for i := range list {
		views[i] = list[i].SessionView
		if views[i].Pending > 0 {
			views[i].Attempts = d.queue.attemptsOf(list[i].session, list[i].oldest)
		}
	}
	return views
}

// CloseDevice closes a device's socket on this node with 1012, and says whether there was one: its client comes back.
func (d *Delivery) CloseDevice(key model.DeviceKey) (found bool) {
	d.Kick(key.UserID, func(s *Session) bool {
		_, _, open := s.view()
		open = open && s.Key == key
		found = found || open
		return open
	}, CloseRestart, "closed by an operator")
	return found
}

// PushDevice pushes to a device on this node everything that it has not acked, again, from the mailbox, and says whether it
// is connected here.
func (d *Delivery) PushDevice(key model.DeviceKey) (found bool) {
	for _, s := range d.sessionsOf(key.UserID) {
		if s.Key != key {
			continue
		}
		s.mu.Lock()
		open, again := s.state != stateClosed, s.state == stateLive || s.state == stateBehind // while opening it is being pushed
		if again {
			s.rewind()
			s.rounds = 0 // an operator's wish is no attempt of ours
		}
		s.mu.Unlock()
		found = found || open
		if again {
			d.wake(s) // when the pump is full the sweep finds it
		}
	}
	return found
}
