package verify

import "ackbox/client"

// stored: every send that was answered with a message is stored under its key, once, as it was answered, and in the
// mailbox of everybody for whom it is. What a loss of the store may have undone is there as it was answered, or not at all
// until it is sent again.
func (c *check) stored() {
	for _, k := range c.keys {
		first, doubtful := c.latest(k)
		if first == nil {
			continue
		}
		told := first.answer()
		show := []*Event{first.invoke, first.end}
		if told.Sender != k.sender || told.Key != k.name {
			c.broken(RuleStored, show, "the send with key %s of %s was answered with another's: %v", k.name, k.sender, *told)
		}
		if told.Hash != first.invoke.Hash && (!told.Recalled || !told.empty()) {
			c.broken(RuleStored, show, "the send with key %s of %s was answered with other content", k.name, k.sender)
		}
		rows := c.storedKeys[k.key]
		if doubtful && (len(rows) == 0 || rows[0].Message != told.Message && c.repeated(k)) {
			c.result.Stats.Undone++
			continue
		}
		_, read := c.run.Tables.Conversations[told.Conversation]
		if !read && c.run.Tables.Conversations != nil { // all were read
			c.lost[told.Message] = true
			c.broken(RuleStored, show, "lost: %v was accepted, and its conversation is not there", *told)
			continue
		}
		if read {
			if len(rows) == 0 {
				c.lost[told.Message] = true
				c.broken(RuleStored, show, "lost: %v was accepted and is not stored", *told)
				continue
			}
			c.asTold(show, told, rows[0])
		}
		if m, read := c.run.Tables.Mailboxes[k.sender]; read && told.Seq >= max(m.Floor, 1) {
			if entry := c.storedSlot[slot{k.sender, told.Seq}]; entry == nil || entry.Message != told.Message {
				c.broken(RuleStored, show, "%v was answered with mailbox_seq %d, where the sender's mailbox has something else", *told, told.Seq)
			}
		}
	}
	for id := range c.run.Tables.Conversations {
		c.copied(id)
	}
}

// asTold compares a stored message with the answer to its send.
func (c *check) asTold(show []*Event, told, row *Sight) {
	switch {
	case row.Message != told.Message || row.Conversation != told.Conversation || row.ConversationSeq != told.ConversationSeq:
		c.broken(RuleStored, show, "answered as %v, stored as %v", *told, *row)
	case row.Hash != told.Hash && !row.Recalled:
		c.broken(RuleStored, show, "%v is stored with other content than was answered", *told)
	}
}

// copied checks that each message of a conversation is in the mailboxes of its audience. In a conversation that has become
// a log that ends somewhere, for all at once.
func (c *check) copied(id client.ConversationID) {
	conversation, members := c.run.Tables.Conversations[id], c.members[id]
	if !members.known || c.run.Tables.Mailboxes == nil {
		return
	}
	boxes := map[client.UserID]map[client.MessageID]int{}
	kept := map[client.UserID]int64{} // the lowest conversation_seq that a pruned mailbox still has
	for user := range members.stays {
		box, read := c.run.Tables.Mailboxes[user]
		if !read {
			continue
		}
		boxes[user] = map[client.MessageID]int{}
		for i := range box.Entries {
			if e := &box.Entries[i]; e.Conversation == id {
				boxes[user][e.Message]++
				if kept[user] == 0 {
					kept[user] = e.ConversationSeq
				}
			}
		}
		if box.Floor <= 1 {
			kept[user] = 0
		}
	}
	logged := false
	for i := range conversation.Messages {
		s := &conversation.Messages[i]
		var with, without []client.UserID
		for user, box := range boxes {
			if !members.in(user, s.ConversationSeq) || s.ConversationSeq < kept[user] || (kept[user] == 0 && c.run.Tables.Mailboxes[user].Floor > 1) {
				continue
			}
			switch box[s.Message] {
			case 0:
				without = append(without, user)
			case 1:
				with = append(with, user)
			default:
				with = append(with, user)
				c.broken(RuleOnce, nil, "%v is %d times in the mailbox of %s", *s, box[s.Message], user)
			}
		}
		switch {
		case len(without) == 0 && len(with) == 0:
		case conversation.Delivery == "log" && len(with) == 0:
			logged = true
		case logged:
			c.broken(RuleStored, nil, "%v is in mailboxes, after the conversation became a log", *s)
		case len(without) > 0:
			c.lost[s.Message] = true
			c.broken(RuleStored, nil, "lost: %v is not in the mailbox of %d of its %d readers: %.5v", *s, len(without), len(with)+len(without), without)
		}
	}
}
