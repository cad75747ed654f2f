package e2e

import (
	"net/http"
	"testing"

	"github.com/google/uuid"

	"ackbox/client"
)

// gone checks that a message is a recalled one without content.
func gone(t *testing.T, where string, m client.Message) {
	t.Helper()
	if m.RecalledAt == nil || len(m.Body) != 0 || len(m.Ext) != 0 {
		t.Errorf("%s: %+v, want a recalled message without content", where, m)
	}
}

// recall: what is taken back is gone everywhere, and who was offline hears of it in the order.
func recall(t *testing.T, s *system) {
	alice, bob, carol := s.user(t), s.user(t), s.user(t)
	id := alice.group(bob, carol)
	away := carol.openLive("away") // has seen what came before, then goes offline
	draft := client.TextIn(id, uuid.NewString(), "oops")
	draft.Ext = map[string]any{"oops": true}
	sent := bob.sendDraft(draft)
	away.until("the message", func(f client.Frame) bool { return f.Type == "message" && f.Message.MessageID == sent.Message.MessageID })
	carol.ack("away", 2, 2)
	if err := away.Close(); err != nil {
		t.Fatal(err)
	}
	phone := alice.openLive("phone")
	refused(t, lastError(carol.Recall(within(t, patience), sent.Message.MessageID)), "forbidden", http.StatusForbidden)

	back, err := bob.Recall(within(t, patience), sent.Message.MessageID)
	if err != nil {
		t.Fatalf("recall: %v", err)
	}
	gone(t, "answer", back)
	if back.MessageID != sent.Message.MessageID || back.ConversationSeq != sent.Message.ConversationSeq || back.ClientMsgID != sent.Message.ClientMsgID {
		t.Errorf("answer is %+v, want the message in its place", back)
	}
	isRecall := func(m client.Message) bool {
		return m.Type == "recall" && m.SenderID == bob.id() && m.Body["message_id"] == string(sent.Message.MessageID) && m.ReplyTo != nil && *m.ReplyTo == sent.Message.MessageID
	}
	phone.until("the recall", func(f client.Frame) bool { return f.Type == "message" && isRecall(f.Message) })
	for range 2 { // again is harmless
		if again, err := bob.Recall(within(t, patience), sent.Message.MessageID); err != nil || difference(back, again) != "" {
			t.Errorf("again: %+v, %v", again, err)
		}
	}
	for _, one := range []*actor{alice, bob, carol} {
		for where, list := range map[string][]client.Message{"mailbox": of(id, one.wholeMailbox()), "history": one.wholeHistory(id, 0)} {
			if len(list) != 3 || !isRecall(list[2]) {
				t.Fatalf("%s of %s: %+v, want the notice, the message and its recall", where, one.id(), list)
			}
			gone(t, where, list[1])
		}
	}
	if c := alice.conversation(id); c.LastMessage == nil || !isRecall(*c.LastMessage) {
		t.Errorf("last_message %+v", c.LastMessage)
	}
	// The device that was away gets the recall as an entry; a repeated send is answered with what is left.
	away = carol.open(client.Dial{Device: "away"})
	if frame := away.pushes(3, 3)[0]; !isRecall(frame.Message) {
		t.Errorf("pushed %.300s, want the recall", frame.Raw)
	}
	again, err := bob.Send(within(t, patience), draft)
	if err != nil || !again.Duplicate || again.Message.MessageID != sent.Message.MessageID {
		t.Errorf("repeated send: %+v, %v", again, err)
	}
	gone(t, "repeated send", again.Message)

	// A group's owner and admins recall others' messages; nobody what the server wrote.
	byCarol := carol.say(id, "off topic")
	refused(t, lastError(bob.Recall(within(t, patience), byCarol.Message.MessageID)), "forbidden", http.StatusForbidden)
	if back, err := alice.Recall(within(t, patience), byCarol.Message.MessageID); err != nil {
		t.Errorf("the owner recalls: %v", err)
	} else {
		gone(t, "answer", back)
	}
	for _, m := range alice.wholeHistory(id, 0) {
		if m.Type == "notice" || m.Type == "recall" {
			refused(t, lastError(alice.Recall(within(t, patience), m.MessageID)), "forbidden", http.StatusForbidden)
		}
	}

	// Directly: only by its sender.
	direct := alice.send(bob, "for your eyes only")
	refused(t, lastError(bob.Recall(within(t, patience), direct.Message.MessageID)), "forbidden", http.StatusForbidden)
	refused(t, lastError(carol.Recall(within(t, patience), direct.Message.MessageID)), "", http.StatusNotFound)
	refused(t, lastError(alice.Recall(within(t, patience), "9007199254740993")), "", http.StatusNotFound)
	if _, err := alice.Recall(within(t, patience), direct.Message.MessageID); err != nil {
		t.Errorf("recall of a direct message: %v", err)
	}
	gone(t, "direct history", bob.wholeHistory(direct.Message.ConversationID, 0)[0])
}

func lastError[T any](_ T, err error) error { return err }

// recallRepeatedPush: a push that is repeated after a recall has no content any more.
func recallRepeatedPush(t *testing.T, s *system) {
	alice, bob := s.user(t), s.user(t)
	laptop := bob.openLive("laptop")
	sent := alice.send(bob, "oops")
	laptop.pushes(1, 1)
	if _, err := alice.Recall(within(t, patience), sent.Message.MessageID); err != nil {
		t.Fatal(err)
	}
	again := laptop.until("the second attempt", func(f client.Frame) bool { return f.Type == "message" && f.Seq == 1 && f.Attempt == 2 })
	gone(t, "second push", again.Message)
}

// reply: one replies to what is in the same conversation.
func reply(t *testing.T, s *system) {
	alice, bob := s.user(t), s.user(t)
	id := alice.group(bob)
	first := alice.say(id, "question")
	elsewhere := alice.send(bob, "elsewhere")
	draft := client.TextIn(id, uuid.NewString(), "answer")
	draft.ReplyTo = first.Message.MessageID
	sent := bob.sendDraft(draft)
	if sent.Message.ReplyTo == nil || *sent.Message.ReplyTo != first.Message.MessageID {
		t.Errorf("reply_to %v", sent.Message.ReplyTo)
	}
	if got := alice.wholeHistory(id, 0); difference(sent.Message, got[2]) != "" {
		t.Errorf("history has %+v", got[2])
	}
	bob.repeat(draft, sent)
	for _, target := range []client.MessageID{elsewhere.Message.MessageID, "9007199254740993"} {
		draft := client.TextIn(id, uuid.NewString(), "answer")
		draft.ReplyTo = target
		refused(t, sendError(bob.Send(within(t, patience), draft)), "", http.StatusNotFound)
	}
	draft.ReplyTo = ""
	refused(t, sendError(bob.Send(within(t, patience), draft)), "idempotency_key_reused", http.StatusUnprocessableEntity)
}

func sendError(_ client.Sent, err error) error { return err }

// limits: what a server's settings bound is refused with the bound in words.
func limits(t *testing.T, b backend) {
	s := b.start(t, "ACKBOX_GROUP_MAX_MEMBERS=4", "ACKBOX_RECALL_WINDOW=0s")
	people := s.users(t, 5)
	alice, bob := people[0], people[1]
	names := func(err error) {
		t.Helper()
		problem := refused(t, err, "", http.StatusUnprocessableEntity)
		for _, field := range problem.Errors {
			if field.Location == "body.member_ids" && field.Message == "a group has at most 4 members" {
				return
			}
		}
		t.Errorf("%v %+v: want the limit of 4 in words", problem, problem.Errors)
	}
	_, _, err := alice.CreateGroup(within(t, patience), "five", ids(people[1:])...)
	names(err)
	id := alice.group(bob, people[2])
	names(alice.AddMembers(within(t, patience), id, ids(people[1:])...))
	if err := alice.AddMembers(within(t, patience), id, ids(people[1:4])...); err != nil {
		t.Errorf("up to the limit: %v", err)
	}
	names(alice.AddMembers(within(t, patience), id, people[4].id()))
	if c := alice.conversation(id); c.MemberCount != 4 {
		t.Errorf("member_count %d, want 4", c.MemberCount)
	}

	sent := bob.say(id, "too late to take back")
	bob.say(id, "time passes")
	refused(t, lastError(bob.Recall(within(t, patience), sent.Message.MessageID)), "recall_too_late", http.StatusConflict)
	if got := bob.wholeHistory(id, 0); len(got) != 4 || got[2].RecalledAt != nil || got[2].Body["text"] != "too late to take back" {
		t.Errorf("after a refused recall: %+v", got)
	}
	if err := alice.SetRole(within(t, patience), id, people[2].id(), "admin"); err != nil {
		t.Fatal(err)
	}
	if _, err := people[2].Recall(within(t, patience), sent.Message.MessageID); err != nil {
		t.Errorf("an admin recalls at any time: %v", err)
	}
	if _, err := bob.Recall(within(t, patience), sent.Message.MessageID); err != nil {
		t.Errorf("a recall of what is recalled is harmless: %v", err)
	}
}
