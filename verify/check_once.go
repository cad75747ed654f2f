package verify

import "ackbox/client"

// once: one key is one message: repeats are answered with the first, one answer says that it is new, one row is stored.
// After a loss of the store a repeat of what was lost is a first again.
func (c *check) once() {
	for _, k := range c.keys {
		first := k.answered()
		if first == nil {
			continue
		}
		news, doubled := 0, false
		for _, t := range k.answers() {
			a := t.answer()
			if a.Message != first.answer().Message && c.replaced(first, t) {
				first, news = t, 0
			}
			if !t.end.Duplicate {
				if news++; news == 2 {
					c.broken(RuleOnce, []*Event{first.end, t.end}, "key %s of %s was answered as new twice", k.name, k.sender)
				}
			}
			b := first.answer()
			if a.Message != b.Message || a.Conversation != b.Conversation || a.ConversationSeq != b.ConversationSeq || a.Seq != b.Seq {
				doubled = doubled || a.Message != b.Message
				c.broken(RuleOnce, []*Event{first.end, t.end}, "key %s of %s was answered with %v, and again with %v", k.name, k.sender, *b, *a)
			}
		}
		if doubled {
			c.result.Stats.Doubled++
		}
	}
	ids := map[client.MessageID]*Sight{}
	for k, rows := range c.storedKeys {
		if len(rows) > 1 {
			c.result.Stats.Doubled++
			c.broken(RuleOnce, nil, "doubled: key %s of %s is stored %d times, as %v and %v", k.name, k.sender, len(rows), *rows[0], *rows[1])
		}
		for _, row := range rows {
			if other := ids[row.Message]; other != nil {
				c.broken(RuleOnce, nil, "two messages have one id: %v and %v", *other, *row)
			}
			ids[row.Message] = row
		}
	}
}
