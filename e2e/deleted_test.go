package e2e

import (
	"net/http"
	"slices"
	"testing"

	"github.com/google/uuid"

	"ackbox/client"
)

// deleteForMe deletes a message for the actor.
func (a *actor) deleteForMe(id client.MessageID) {
	a.t.Helper()
	if err := a.DeleteForMe(within(a.t, patience), id); err != nil {
		a.t.Fatalf("delete for me: %v", err)
	}
}

// seqs are the conversation_seqs of a page of history.
func (a *actor) seqs(id client.ConversationID, query map[string]int64) (list []int64, more bool) {
	a.t.Helper()
	page, err := a.history(id, query)
	if err != nil {
		a.t.Fatalf("history %v: %v", query, err)
	}
	for _, m := range page.Messages {
		list = append(list, m.ConversationSeq)
	}
	return list, page.HasMore
}

// emptied checks that a message is one that its reader has deleted.
func emptied(t *testing.T, where string, m client.Message) {
	t.Helper()
	if !m.DeletedForMe || len(m.Body) != 0 || len(m.Ext) != 0 || m.Quote != nil || m.Mentions != nil {
		t.Errorf("%s: %+v, want a deleted message without content", where, m)
	}
}

// deletedForMe: what I delete is gone for me, on all my devices, and for nobody else.
func deletedForMe(t *testing.T, s *system) {
	alice, bob, carol := s.user(t), s.user(t), s.user(t)
	id := alice.group(bob)
	old := alice.say(id, "before carol").Message
	if err := alice.AddMembers(within(t, patience), id, carol.id()); err != nil {
		t.Fatal(err)
	}
	draft := client.TextIn(id, uuid.NewString(), "delete me")
	draft.Ext, draft.ReplyTo, draft.Mentions = map[string]any{"deep": true}, old.MessageID, client.Mentions{bob.id()}
	target := alice.sendDraft(draft).Message
	last := carol.say(id, "the last one").Message
	if c := bob.conversation(id); c.Unread != 5 || c.UnreadMentions != 1 {
		t.Fatalf("unread %d, mentions %d; want 5, 1", c.Unread, c.UnreadMentions)
	}
	laptop, others := bob.openLive("laptop"), alice.openLive("phone")

	bob.deleteForMe(target.MessageID)
	bob.deleteForMe(target.MessageID)
	laptop.until("deleted", func(f client.Frame) bool {
		return f.Type == "deleted" && f.ConversationID == id && f.MessageID == target.MessageID && f.ConversationSeq == target.ConversationSeq
	})
	for _, want := range []struct {
		query map[string]int64
		seqs  []int64
		more  bool
	}{
		{map[string]int64{"after_seq": 0}, []int64{1, 2, 3, 5}, false},
		{map[string]int64{"after_seq": 0, "limit": 3}, []int64{1, 2, 3}, true},
		{map[string]int64{"after_seq": 3, "limit": 1}, []int64{5}, false},
		{map[string]int64{}, []int64{5, 3, 2, 1}, false},
		{map[string]int64{"limit": 2}, []int64{5, 3}, true},
		{map[string]int64{"before_seq": 5, "limit": 1}, []int64{3}, true},
	} {
		if got, more := bob.seqs(id, want.query); !slices.Equal(want.seqs, got) || more != want.more {
			t.Errorf("%v: %v, has_more %t; want %v, %t", want.query, got, more, want.seqs, want.more)
		}
	}
	if c := bob.conversation(id); c.Unread != 4 || c.UnreadMentions != 0 || c.LastMessage == nil || c.LastMessage.MessageID != last.MessageID {
		t.Errorf("bob sees %+v, want 4 unread, none of them a mention", c)
	}
	bob.deleteForMe(last.MessageID)
	if c := bob.conversation(id); c.Unread != 3 || c.LastMessage == nil || c.LastMessage.ConversationSeq != 3 || c.Head != 5 {
		t.Errorf("bob sees %+v, want the notice as the last message", c)
	}
	summary, err := bob.Summary(within(t, patience), "tablet")
	if err != nil || len(summary.Conversations) != 1 || summary.Conversations[0].Unread != 3 || summary.Pending != 5 {
		t.Errorf("summary %+v, %v; want 5 pending, 3 unread", summary, err)
	}

	// A mailbox has no holes: the entries stay, pulled and pushed, without their content.
	list := of(id, bob.wholeMailbox())
	synced := bob.sync(client.Pull{DeviceID: "tablet", After: 0})
	pushed := bob.open(client.Dial{Device: "watch"}).pushes(1, 5)
	if len(list) != 5 || len(synced.Entries) != 5 {
		t.Fatalf("%d entries, %d synced; want 5", len(list), len(synced.Entries))
	}
	for i := range list {
		for where, m := range map[string]client.Message{"mailbox": list[i], "sync": synced.Entries[i].Message, "push": pushed[i].Message} {
			if i < 3 {
				if m.DeletedForMe || len(m.Body) == 0 {
					t.Errorf("%s: %+v, want it whole", where, m)
				}
				continue
			}
			emptied(t, where, m)
		}
	}

	// Nobody else is concerned, nor told.
	for _, one := range []*actor{alice, carol} {
		got := one.wholeHistory(id, one.conversation(id).JoinedSeq)
		if tail := got[len(got)-2:]; tail[0].Body["text"] != "delete me" || tail[0].DeletedForMe || tail[1].MessageID != last.MessageID {
			t.Errorf("%s reads %+v", one.id(), tail)
		}
	}
	bob.readAll(id)
	others.until("that bob has read", func(f client.Frame) bool {
		if f.Type == "deleted" {
			t.Fatalf("alice is told: %s", f.Raw)
		}
		return f.Type == "receipt" && f.Kind == "read"
	})

	// Its sender still recalls it; that does not bring it back.
	if _, err := alice.Recall(within(t, patience), target.MessageID); err != nil {
		t.Fatal(err)
	}
	if got, _ := bob.seqs(id, map[string]int64{"after_seq": 0}); !slices.Equal([]int64{1, 2, 3, 6}, got) {
		t.Errorf("bob reads %v", got)
	}
	if entry := of(id, bob.wholeMailbox())[3]; entry.RecalledAt == nil {
		t.Errorf("entry %+v, want it recalled too", entry)
	} else {
		emptied(t, "recalled", entry)
	}

	// Who does not see it: 404. What is deleted is deleted, whoever wrote it.
	stranger := s.user(t)
	for _, one := range []*actor{stranger, carol} {
		refused(t, one.DeleteForMe(within(t, patience), old.MessageID), "not_found", http.StatusNotFound)
	}
	refused(t, bob.DeleteForMe(within(t, patience), "9007199254740993"), "not_found", http.StatusNotFound)
	direct := alice.send(bob, "directly").Message
	alice.deleteForMe(direct.MessageID)
	if c := alice.conversation(direct.ConversationID); c.LastMessage != nil || c.Head != 1 {
		t.Errorf("alice sees %+v, want no last message", c)
	}
	if got, _ := bob.seqs(direct.ConversationID, nil); len(got) != 1 {
		t.Errorf("bob reads %v, want the message", got)
	}
}

// readAll reads a conversation up to its head.
func (a *actor) readAll(id client.ConversationID) {
	a.t.Helper()
	if _, err := a.Read(within(a.t, patience), id, 1<<40); err != nil {
		a.t.Fatalf("read: %v", err)
	}
}

// deletedFeed: a device that was offline reads what was deleted meanwhile, in order and by pages.
func deletedFeed(t *testing.T, s *system) {
	alice, bob := s.user(t), s.user(t)
	empty, err := bob.Deleted(within(t, patience), "", 0)
	if err != nil || empty.Deleted == nil || len(empty.Deleted) != 0 || empty.HasMore {
		t.Fatalf("nothing yet: %+v, %v", empty, err)
	}
	var sent []client.Message
	for range 5 {
		sent = append(sent, alice.send(bob, "hm").Message)
	}
	order := []int{3, 0, 4, 1}
	for _, i := range order {
		bob.deleteForMe(sent[i].MessageID)
		bob.deleteForMe(sent[order[0]].MessageID) // again: no other place
	}
	var got []client.Deletion
	for after := ""; ; {
		page, err := bob.Deleted(within(t, patience), after, 3)
		if err != nil || len(page.Deleted) == 0 {
			t.Fatalf("after %q: %+v, %v", after, page, err)
		}
		got = append(got, page.Deleted...)
		after = got[len(got)-1].ID
		if !page.HasMore {
			break
		}
		if len(page.Deleted) != 3 {
			t.Fatalf("a page of %d that says has_more", len(page.Deleted))
		}
	}
	if len(got) != len(order) {
		t.Fatalf("%d deletions, want %d", len(got), len(order))
	}
	for i, d := range got {
		if want := sent[order[i]]; d.MessageID != want.MessageID || d.ConversationID != want.ConversationID || d.ConversationSeq != want.ConversationSeq {
			t.Errorf("deletion %d is %+v, want %s", i, d, want.MessageID)
		}
	}
	if page, err := bob.Deleted(within(t, patience), got[3].ID, 0); err != nil || len(page.Deleted) != 0 {
		t.Errorf("after the last: %+v, %v", page, err)
	}
	if page, err := alice.Deleted(within(t, patience), "", 0); err != nil || len(page.Deleted) != 0 {
		t.Errorf("alice has deleted nothing: %+v, %v", page, err)
	}
	for _, limit := range []int{-1, 201} {
		_, err := bob.Deleted(within(t, patience), "", limit)
		refused(t, err, "", http.StatusUnprocessableEntity)
	}
	_, err = bob.Deleted(within(t, patience), "x", 0)
	refused(t, err, "", http.StatusUnprocessableEntity)
}

// deletedInLog: in a large group it is gone from the history, and from the counts.
func deletedInLog(t *testing.T, b backend) {
	s := b.start(t, "ACKBOX_MAILBOX_GROUP_LIMIT=2")
	alice, bob, carol := s.user(t), s.user(t), s.user(t)
	id := alice.logGroup(bob, carol)
	target := alice.say(id, "delete me").Message
	laptop := bob.openLive("laptop")
	bob.deleteForMe(target.MessageID)
	laptop.until("deleted", func(f client.Frame) bool { return f.Type == "deleted" && f.MessageID == target.MessageID })
	if got, more := bob.seqs(id, map[string]int64{"after_seq": 0}); !slices.Equal([]int64{1}, got) || more {
		t.Errorf("bob reads %v, has_more %t", got, more)
	}
	if c := bob.conversation(id); c.Unread != 1 || c.Head != 2 || c.LastMessage == nil || c.LastMessage.ConversationSeq != 1 {
		t.Errorf("bob sees %+v", c)
	}
	if got, _ := carol.seqs(id, nil); len(got) != 2 {
		t.Errorf("carol reads %v, want both", got)
	}
	bob.ackLog("laptop", id, 2)
}
