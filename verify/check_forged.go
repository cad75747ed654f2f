package verify

// forged: what users write is stored only if its sender sent it with that key and content, and was not refused; what was
// shown is stored.
func (c *check) forged() {
	for _, rows := range c.storedKeys {
		for _, row := range rows {
			if row.written() {
				c.sentBy(row, nil, "stored")
			}
		}
	}
	for _, s := range c.sightings {
		if c.phantoms[s.sight] || s.event.Op == OpSend {
			continue
		}
		table, read := c.run.Tables.Conversations[s.sight.Conversation]
		switch stored := c.storedPlace[place{s.sight.Conversation, s.sight.ConversationSeq}]; {
		case !read || s.sight.ConversationSeq < table.From:
			if s.sight.written() {
				c.sentBy(s.sight, s.event, "shown")
			}
		case stored == nil:
			c.broken(RuleForged, []*Event{s.event}, "%v was shown to %s and is not stored", *s.sight, s.event.User)
		}
	}
}

// sentBy checks that a message was sent by its sender.
func (c *check) sentBy(s *Sight, e *Event, what string) {
	k := c.byKey[key{s.Sender, s.Key}]
	switch {
	case k == nil:
		c.broken(RuleForged, []*Event{e}, "%v is %s and nobody sent it", *s, what)
		return
	case k.refused():
		c.broken(RuleForged, []*Event{e, k.tries[0].end}, "%v is %s although its send was refused", *s, what)
		return
	case s.Recalled && s.empty():
		return
	}
	for _, t := range k.tries {
		if t.invoke.Hash == s.Hash {
			return
		}
	}
	c.broken(RuleForged, []*Event{k.tries[0].invoke, e}, "%v is %s with content that its sender did not send", *s, what)
}
