package e2e

import (
	"net/http"
	"testing"
	"time"

	"ackbox/client"
)

// presenceOf asks about one user; nil when they are left out.
func (a *actor) presenceOf(other *actor) *client.Presence {
	a.t.Helper()
	list, err := a.Presence(within(a.t, patience), other.id())
	if err != nil {
		a.t.Fatalf("presence: %v", err)
	}
	if len(list) == 0 {
		return nil
	}
	if len(list) != 1 || list[0].UserID != other.id() {
		a.t.Fatalf("presence of %s: %+v", other.id(), list)
	}
	return &list[0]
}

// presence waits for the frame that says so of a user; one that says the opposite fails.
func (l *line) presence(of *actor, online bool) client.Frame {
	l.t.Helper()
	frame := l.until("presence", func(f client.Frame) bool { return f.Type == "presence" && f.UserID == of.id() })
	if frame.Online != online || time.Since(frame.LastSeenAt) > time.Hour {
		l.t.Fatalf("got %s, want online=%t", frame.Raw, online)
	}
	return frame
}

// drop ends the connection as a lost network does.
func (l *line) drop() {
	l.t.Helper()
	if err := l.Drop(); err != nil {
		l.t.Fatal(err)
	}
}

func presence(t *testing.T, s *system)         { comeAndGo(t, s, s) }
func crossPresence(t *testing.T, a, b *system) { comeAndGo(t, a, b) }

// comeAndGo has one user look on from a node while another comes and goes on another, or the same.
func comeAndGo(t *testing.T, here, there *system) {
	alice, bob := here.user(t), there.user(t)
	if p := alice.presenceOf(bob); p != nil {
		t.Errorf("a stranger sees %+v", p)
	}
	alice.send(bob, "are you there?")
	if p := alice.presenceOf(bob); p == nil || p.Online || p.LastSeenAt != nil {
		t.Errorf("of who never was: %+v", p)
	}
	watching := alice.openLive("phone")
	alice.ack("phone", 1, 1)
	laptop := bob.openLive("laptop")
	watching.presence(bob, true)
	if p := alice.presenceOf(bob); p == nil || !p.Online || p.LastSeenAt == nil {
		t.Errorf("of who is online: %+v", p)
	}
	if d := bob.at(here).device("laptop"); !d.Online {
		t.Errorf("a device that is connected: %+v", d)
	}

	// From one device and node to another within 10 seconds: the next that is told is the end.
	phone := bob.at(here).openLive("phone")
	laptop.drop()
	laptop = bob.openLive("laptop")
	phone.drop()
	laptop.drop()
	gone := watching.presence(bob, false)
	p := alice.presenceOf(bob)
	if p == nil || p.Online || p.LastSeenAt == nil || p.LastSeenAt.Before(gone.LastSeenAt.Add(-time.Minute)) || p.LastSeenAt.After(time.Now()) {
		t.Errorf("of who has gone (%s): %+v", gone.Raw, p)
	}
	back := bob.openLive("laptop")
	watching.presence(bob, true)

	if err := bob.Block(within(t, patience), alice.id()); err != nil {
		t.Fatal(err)
	}
	if p := alice.presenceOf(bob); p != nil {
		t.Errorf("who is blocked sees %+v", p)
	}
	if p := bob.presenceOf(alice); p == nil || !p.Online {
		t.Errorf("who blocks sees %+v", p)
	}
	back.alive()
}

// badPresence: what is no list of 1 to 100 ids.
func badPresence(t *testing.T, s *system) {
	alice := s.user(t)
	many := make([]client.UserID, 101)
	for i := range many {
		many[i] = alice.id()
	}
	for what, ids := range map[string][]client.UserID{"none": nil, "101": many, "no id": {"alice"}, "zero": {"0"}, "negative": {"-5"}, "an empty one": {alice.id(), ""}} {
		_, err := alice.Presence(within(t, patience), ids...)
		if problem := refused(t, err, "validation_failed", http.StatusUnprocessableEntity); len(problem.Errors) == 0 {
			t.Errorf("%s: %v names no field", what, problem)
		}
	}
	list, err := alice.Presence(within(t, patience), many[:100]...)
	if err != nil || len(list) > 1 {
		t.Errorf("oneself a hundred times: %+v, %v", list, err)
	}
	_, err = (&client.Session{}).At(s.client).Presence(within(t, patience), alice.id())
	refused(t, err, "unauthenticated", http.StatusUnauthorized)
}

// presenceInLog: people who share a log group see each other when they ask, and are told nothing.
func presenceInLog(t *testing.T, b backend) {
	s := b.start(t, "ACKBOX_MAILBOX_GROUP_LIMIT=2")
	bob, friend, member, last := s.user(t), s.user(t), s.user(t), s.user(t)
	friend.send(bob, "hi")
	member.send(last, "hi")
	bob.group(member, last)
	atFriend, atMember := friend.openLive("phone"), member.openLive("phone")
	bob.openLive("phone")
	atFriend.presence(bob, true) // so the worker is at it
	last.openLive("phone")
	told := atMember.until("presence", func(f client.Frame) bool { return f.Type == "presence" })
	if told.UserID != last.id() {
		t.Errorf("a member of a large group was told %s", told.Raw)
	}
	if p := member.presenceOf(bob); p == nil || !p.Online {
		t.Errorf("and sees %+v", p)
	}
}

// presenceOff: nobody is told, and nobody sees.
func presenceOff(t *testing.T, b backend) {
	s := b.start(t, "ACKBOX_PRESENCE=off")
	alice, bob := s.user(t), s.user(t)
	alice.send(bob, "hi")
	phone := alice.openLive("phone")
	bob.openLive("phone")
	if p := alice.presenceOf(bob); p != nil {
		t.Errorf("alice sees %+v", p)
	}
	phone.none(2*time.Second, "presence", func(f client.Frame) bool { return f.Type == "presence" })
}
