package model

import (
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"
)

// TestDeletionsFeed: whoever reads the feed page by page, while deletions race with ids in any order, misses
// none, and sees each once.
func TestDeletionsFeed(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, options Options) {
		const writers, each = 4, 25
		s := open(t, options)
		ok(t, s.Migrate(t.Context()))
		user, conversation := newUser(), newConversation()
		group, ctx := errgroup.WithContext(within(t))
		for w := range writers {
			group.Go(func() error {
				for i := range each {
					m := &Message{ID: newMessageID(), ConversationID: conversation, ConversationSeq: int64(w*each + i + 1)}
					fresh := DeletionID(1000 - 10*w + i) // later writers have lower ids, as a node with a slow clock
					for again := range 2 {
						done, err := s.DeleteForMe(ctx, user, m, fresh)
						if err != nil {
							return err
						}
						if done != (again == 0) {
							return fmt.Errorf("deletion %d of %d: done %t", again, m.ConversationSeq, done)
						}
					}
				}
				return nil
			})
		}
		written := make(chan error, 1)
		go func() { written <- group.Wait() }()
		seen, last := map[int64]bool{}, DeletionID(0)
		read := func() {
			for {
				list, err := s.Deletions(within(t), user, last, 3)
				ok(t, err)
				for _, d := range list {
					if d.ID <= last || seen[d.ConversationSeq] || d.ConversationID != conversation {
						t.Fatalf("got %+v after %d", d, last)
					}
					last, seen[d.ConversationSeq] = d.ID, true
				}
				if len(list) < 3 {
					return
				}
			}
		}
		for racing := true; racing; {
			select {
			case err := <-written:
				ok(t, err)
				racing = false
			default:
			}
			read()
		}
		read()
		want(t, "deletions seen", len(seen), writers*each)
		if list, err := s.Deletions(t.Context(), newUser(), 0, 10); err != nil || len(list) != 0 {
			t.Errorf("somebody else's: %v, %v", list, err)
		}
	})
}

// TestDeletionsAreProbed: a reader looks for each message's deletion by its place, and not through all that a user
// has deleted.
func TestDeletionsAreProbed(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, options Options) {
		s := open(t, options)
		ok(t, s.Migrate(t.Context()))
		user, conversation := newUser(), newConversation()
		var messages []*Message
		for seq := int64(1); seq <= 300; seq++ {
			messages = append(messages, &Message{ID: newMessageID(), ConversationID: conversation, ConversationSeq: seq, SenderID: user, ClientMsgID: fmt.Sprint(seq), Type: TypeText, Body: "{}", Ext: "{}"})
		}
		ok(t, s.Tx(t.Context(), func(tx *Store) error { return tx.InsertMessages(t.Context(), messages, nil) }))
		for i, m := range messages[:200] {
			_, err := s.DeleteForMe(t.Context(), user, m, DeletionID(i+1))
			ok(t, err)
		}
		explain, sought := "EXPLAIN ", "PRIMARY"
		if s.Dialect() == SQLite {
			explain, sought = "EXPLAIN QUERY PLAN ", "SEARCH d USING PRIMARY KEY (user_id=? AND conversation_id=? AND conversation_seq=?)"
		}
		rows := []map[string]any{}
		ok(t, s.read(t.Context()).Raw(explain+"SELECT m.id FROM messages m"+s.withDeleted()+" WHERE m.conversation_id = ? AND d.user_id IS NULL ORDER BY m.conversation_seq LIMIT 100", user, conversation).Scan(&rows).Error)
		plan := ""
		for _, row := range rows {
			if s.Dialect() == SQLite || fmt.Sprint(row["table"]) == "d" {
				plan += fmt.Sprintln(row)
			}
		}
		if !strings.Contains(plan, sought) || s.Dialect() == MySQL && !strings.Contains(plan, "key:PRIMARY") {
			t.Errorf("the plan is\n%s", plan)
		}
	})
}
