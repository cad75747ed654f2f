package verify

import (
	"cmp"
	"slices"

	"ackbox/client"
)

// agreement: everybody, and the tables, have the same message at the same place of a conversation and of a mailbox, and
// a mailbox has a conversation's messages in the conversation's order.
func (c *check) agreement() {
	first := map[place]sighting{}
	for p, s := range c.storedPlace {
		first[p] = sighting{sight: s}
	}
	slots := map[slot]sighting{}
	for at, s := range c.storedSlot {
		slots[at] = sighting{sight: s}
		c.same(first, place{s.Conversation, s.ConversationSeq}, sighting{sight: s})
	}
	for _, s := range c.sightings {
		if c.phantoms[s.sight] {
			continue
		}
		c.same(first, place{s.sight.Conversation, s.sight.ConversationSeq}, s)
		if s.sight.Seq == 0 {
			continue
		}
		at := slot{s.event.User, s.sight.Seq}
		other, ok := slots[at]
		if !ok {
			slots[at] = s
		} else if other.sight.Message != s.sight.Message {
			c.broken(RuleAgreement, []*Event{other.event, s.event}, "mailbox of %s: %v and %v at one seq", at.user, *other.sight, *s.sight)
		}
	}
	c.oneOrder(slots)
}

// same compares a sighting with the first one of its place.
func (c *check) same(first map[place]sighting, at place, s sighting) {
	other, ok := first[at]
	if !ok {
		first[at] = s
		return
	}
	a, b := other.sight, s.sight
	show := []*Event{other.event, s.event}
	switch {
	case a.Message != b.Message || a.Sender != b.Sender || a.Key != b.Key || a.Type != b.Type:
		c.broken(RuleAgreement, show, "conversation %s has two messages at %d: %v and %v", at.conversation, at.seq, *a, *b)
	case a.Hash != b.Hash && !a.Recalled && !b.Recalled:
		c.broken(RuleAgreement, show, "%v was shown with different content", *a)
	}
}

// oneOrder compares the order of the mailboxes with that of the conversations.
func (c *check) oneOrder(slots map[slot]sighting) {
	order := make([]slot, 0, len(slots))
	for at := range slots {
		order = append(order, at)
	}
	slices.SortFunc(order, func(a, b slot) int { return cmp.Or(cmp.Compare(a.user, b.user), cmp.Compare(a.seq, b.seq)) })
	type box struct {
		user         client.UserID
		conversation client.ConversationID
	}
	last := map[box]sighting{}
	for _, at := range order {
		s := slots[at]
		b := box{at.user, s.sight.Conversation}
		if before, ok := last[b]; ok && before.sight.ConversationSeq >= s.sight.ConversationSeq {
			c.broken(RuleAgreement, []*Event{before.event, s.event}, "mailbox of %s has %v after %v", at.user, *s.sight, *before.sight)
		}
		last[b] = s
	}
}
