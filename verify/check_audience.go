package verify

// audience: whom a message was shown to, and whose mailbox it is in, belonged to the conversation at its place.
func (c *check) audience() {
	for _, s := range c.sightings {
		if m := c.members[s.sight.Conversation]; m != nil && m.known && !c.phantoms[s.sight] && !m.in(s.event.User, s.sight.ConversationSeq) {
			c.broken(RuleAudience, []*Event{s.event}, "%v was shown to %s, who is not of its audience", *s.sight, s.event.User)
		}
	}
	for at, s := range c.storedSlot {
		if m := c.members[s.Conversation]; m != nil && m.known && !m.in(at.user, s.ConversationSeq) {
			c.broken(RuleAudience, nil, "%v is in the mailbox of %s, who is not of its audience", *s, at.user)
		}
	}
	for i := range c.run.Events {
		e := &c.run.Events[i]
		if e.Op != OpReceipt || e.Phase != OK || len(e.Users) == 0 {
			continue
		}
		if m := c.members[e.Conversation]; m != nil && m.known && !c.undone[member{e.Conversation, e.User}] && !c.undone[member{e.Conversation, e.Users[0]}] && (len(m.stays[e.User]) == 0 || len(m.stays[e.Users[0]]) == 0) {
			c.broken(RuleAudience, []*Event{e}, "%s was told a receipt of %s in %s: one of the two was never there", e.User, e.Users[0], e.Conversation)
		}
	}
}
