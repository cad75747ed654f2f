package verify

// contiguous: conversations and mailboxes count from 1 (or from what is still kept) to their head, each number once.
func (c *check) contiguous() {
	for id, conversation := range c.run.Tables.Conversations {
		want := max(conversation.From, 1)
		for i := range conversation.Messages {
			s := &conversation.Messages[i]
			if s.Conversation != id {
				c.broken(RuleContiguous, nil, "conversation %s has a message of another: %v", id, *s)
			}
			if s.ConversationSeq != want {
				c.broken(RuleContiguous, nil, "conversation %s: %d where %d should be: %v", id, s.ConversationSeq, want, *s)
			}
			want = s.ConversationSeq + 1
		}
		if want-1 != conversation.Head {
			c.broken(RuleContiguous, nil, "conversation %s ends at %d, and its head is %d", id, want-1, conversation.Head)
		}
	}
	for user, mailbox := range c.run.Tables.Mailboxes {
		want := max(mailbox.Floor, 1)
		for i := range mailbox.Entries {
			s := &mailbox.Entries[i]
			if s.Seq != want {
				c.broken(RuleContiguous, nil, "mailbox of %s: seq %d where %d should be: %v", user, s.Seq, want, *s)
			}
			want = s.Seq + 1
		}
		if want-1 != mailbox.Head {
			c.broken(RuleContiguous, nil, "mailbox of %s ends at %d, and its head is %d", user, want-1, mailbox.Head)
		}
	}
}
