package verify

import (
	"cmp"
	"slices"
	"time"

	"ackbox/client"
)

// member is a user in a conversation.
type member struct {
	conversation client.ConversationID
	user         client.UserID
}

// receiver is one kind of a member's receipts on one connection ("" for the answers of REST).
type receiver struct {
	connection string
	member     member
	kind       string
}

// receipts: a receipt never claims more than the user's devices had acked or the user had read, and never falls.
func (c *check) receipts() {
	did := c.newClaims()
	frames, rest := map[receiver]told{}, map[receiver][]told{}
	highest := newTally[receiver](c.losses)
	for i := range c.run.Events {
		e := &c.run.Events[i]
		did.note(e)
		highest.pass(e.At)
		switch {
		case e.Op == OpLoss:
			before := did
			did = c.newClaims()
			did.lost = &before
			c.surviving(i, did.note)
			for of, list := range rest {
				rest[of] = slices.DeleteFunc(list, func(t told) bool { return c.mayUndo(t.event) })
			}
		case e.Op == OpReceipt && e.Phase == OK && len(e.Users) > 0:
			who := member{e.Conversation, e.Users[0]}
			c.claimed(e, who, e.Kind, e.UpTo, did)
			c.frameRises(frames, e, who)
			if all := (receiver{member: who, kind: e.Kind}); e.UpTo > highest.best[all].figure && !c.spans(c.asked(e), e.At) {
				highest.best[all] = told{e.UpTo, e}
			}
		case e.Op == OpPositions && e.Phase == OK:
			for _, p := range e.Positions {
				who := member{e.Conversation, p.User}
				for kind, figure := range p.kinds() {
					c.claimed(e, who, kind, figure, did)
					c.answerRises(rest, e, receiver{member: who, kind: kind}, figure)
				}
			}
		}
	}
	for id, table := range c.run.Tables.Conversations {
		for _, p := range table.Positions {
			who := member{id, p.User}
			for kind, figure := range p.kinds() {
				c.claimed(nil, who, kind, figure, did)
				best, ok := highest.best[receiver{member: who, kind: kind}]
				if ok && figure < best.figure && !c.beganAnew(who) && !c.lossBetween(best.event.At, c.last) {
					c.broken(RuleReceipts, []*Event{best.event}, "%s of %s in %s was told as %d and is stored as %d", kind, who.user, id, best.figure, figure)
				}
			}
		}
	}
}

func (p Position) kinds() map[string]int64 {
	return map[string]int64{"delivered": p.Delivered, "read": p.Read}
}

// frameRises checks that a receipt frame is not below one that the same socket had got well before. Frames of two nodes
// may overtake each other a little.
func (c *check) frameRises(frames map[receiver]told, e *Event, who member) {
	at := receiver{e.Connection, who, e.Kind}
	before, ok := frames[at]
	if !ok || e.UpTo > before.figure {
		frames[at] = told{e.UpTo, e}
		return
	}
	if e.UpTo < before.figure && e.At-before.event.At > c.limits.Reorder && !c.disturbed(before.event.At, e.At) && !c.beganAnew(who) && !c.lossBetween(before.event.At, e.At) && !c.spans(before.event.At, e.At) {
		c.broken(RuleReceipts, []*Event{before.event, e}, "%s of %s in %s fell from %d to %d", e.Kind, who.user, who.conversation, before.figure, e.UpTo)
	}
}

// answerRises checks an answer of REST against the answers that had come before it was asked for.
func (c *check) answerRises(rest map[receiver][]told, e *Event, of receiver, figure int64) {
	list := rest[of]
	asked := e.At
	if invoke := c.invokes[e.Call]; invoke != nil {
		asked = invoke.At
	}
	n, _ := slices.BinarySearchFunc(list, asked, func(t told, at time.Duration) int { return cmp.Compare(t.event.At, at) })
	if n > 0 && list[n-1].figure > figure && !c.beganAnew(of.member) && !c.lossBetween(list[n-1].event.At, e.At) {
		c.broken(RuleReceipts, []*Event{list[n-1].event, e}, "%s of %s in %s fell from %d to %d", of.kind, of.member.user, of.member.conversation, list[n-1].figure, figure)
	}
	if (len(list) == 0 || figure > list[len(list)-1].figure) && !c.spans(asked, e.At) {
		rest[of] = append(list, told{figure, e})
	}
}

// claims is what the users have done that a receipt may tell of.
type claims struct {
	delivered, read map[member]int64
	acked           map[client.UserID]int64 // the highest mailbox seq that a device of the user has acked
	entries         map[slot][]place        // several where a lost store gave a seq out again
	places          map[client.MessageID]place
	lost            *claims // what they had done of a store that was lost, for what was still on its way
}

// newClaims is before anything was done.
func (c *check) newClaims() claims {
	d := claims{delivered: map[member]int64{}, read: map[member]int64{}, acked: map[client.UserID]int64{}, entries: map[slot][]place{}, places: map[client.MessageID]place{}}
	see := func(user client.UserID, s *Sight) {
		if s.Seq == 0 {
			return
		}
		at, is := slot{user, s.Seq}, place{s.Conversation, s.ConversationSeq}
		if !slices.Contains(d.entries[at], is) {
			d.entries[at] = append(d.entries[at], is)
		}
		d.places[s.Message] = is
	}
	for _, s := range c.sightings {
		see(s.event.User, s.sight)
	}
	for at, s := range c.storedSlot {
		see(at.user, s)
	}
	return d
}

// note follows what a user's devices do. What they have begun may have happened.
func (d claims) note(e *Event) {
	if e.Phase != Invoke {
		return
	}
	switch e.Op {
	case OpAck:
		d.ackUpTo(e.User, e.UpTo)
		for _, id := range e.Messages { // the position moves over them when the gap before them is filled
			if at, ok := d.places[id]; ok {
				raise(d.delivered, member{at.conversation, e.User}, at.seq)
			}
		}
	case OpConnect:
		d.ackUpTo(e.User, e.After)
	case OpPull:
		if e.Acks {
			d.ackUpTo(e.User, e.After)
		}
	case OpRead:
		raise(d.read, member{e.Conversation, e.User}, e.UpTo)
		raise(d.delivered, member{e.Conversation, e.User}, e.UpTo)
	default:
	}
}

func (d claims) ackUpTo(user client.UserID, upTo int64) {
	for seq := d.acked[user] + 1; seq <= upTo; seq++ {
		for _, at := range d.entries[slot{user, seq}] {
			raise(d.delivered, member{at.conversation, user}, at.seq)
		}
	}
	d.acked[user] = max(d.acked[user], upTo)
}

// of is how far a member has received or read.
func (d claims) of(who member, kind string) int64 {
	if kind == "delivered" {
		return d.delivered[who]
	}
	return d.read[who]
}

func raise(figures map[member]int64, of member, to int64) { figures[of] = max(figures[of], to) }

// claimed checks what is told of a member; e is nil for what the tables have. A member's positions begin where they joined.
func (c *check) claimed(e *Event, who member, kind string, upTo int64, did claims) {
	m := c.members[who.conversation]
	if m == nil || !m.known || c.undone[who] {
		return
	}
	may := did.of(who, kind)
	if e != nil && did.lost != nil && c.spans(c.asked(e), e.At) {
		may = max(may, did.lost.of(who, kind))
	}
	if upTo > max(may, m.begin(who.user)) {
		c.broken(RuleReceipts, []*Event{e}, "%s is said to have %s up to %d of conversation %s; the user's own devices have said so of %d", who.user, kind, upTo, who.conversation, may)
	}
}

// beganAnew says whether a member has left, after which positions begin anew.
func (c *check) beganAnew(who member) bool {
	m := c.members[who.conversation]
	return m != nil && m.left(who.user) || c.undone[who]
}

// disturbed says whether a fault was on between two times, or its after-effects were.
func (c *check) disturbed(from, to time.Duration) bool {
	for _, f := range c.faults {
		if f.begin <= to && from <= f.end+f.limit {
			return true
		}
	}
	return false
}
