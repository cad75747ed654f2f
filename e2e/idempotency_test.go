package e2e

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"ackbox/client"
)

// racingSends is how many sends of one key race.
const racingSends = 32

// racingKey: of 32 racing sends with one key one is the message, the others are answered with it.
func racingKey(t *testing.T, s *system) {
	raceOneKey(t, s.user(t), s.user(t).Session)
}

// raceOneKey lets one sender, at one or several nodes, race with one key to somebody who has got nothing yet.
func raceOneKey(t *testing.T, to *actor, senders ...*client.Session) {
	t.Helper()
	draft := client.Text(to.id(), uuid.NewString(), "me first")
	answers := make([]client.Sent, racingSends)
	start := make(chan struct{})
	group, ctx := errgroup.WithContext(within(t, patience))
	for i := range answers {
		sender := senders[i%len(senders)]
		group.Go(func() (err error) {
			<-start
			answers[i], err = sender.Send(ctx, draft)
			return err
		})
	}
	close(start)
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	created := []client.Sent{}
	for _, answer := range answers {
		if answer.Status == http.StatusCreated {
			created = append(created, answer)
		}
	}
	if len(created) != 1 || created[0].Duplicate {
		t.Fatalf("%d sends were answered with 201, want exactly one: %+v", len(created), created)
	}
	for _, answer := range answers {
		if answer.Status == http.StatusCreated {
			continue
		}
		if err := sameAnswer(answer, created[0]); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(to.wholeMailbox()); n != 1 {
		t.Fatalf("the recipient has %d entries, want 1", n)
	}
}

// reusedKey: a key that comes with other content is refused, now and later, and changes nothing.
func reusedKey(t *testing.T, s *system) {
	alice, bob, carol := s.user(t), s.user(t), s.user(t)
	draft := client.Text(bob.id(), uuid.NewString(), "original")
	first := alice.sendDraft(draft)

	other := map[string]client.Draft{
		"text":      client.Text(bob.id(), draft.ClientMsgID, "changed"),
		"recipient": client.Text(carol.id(), draft.ClientMsgID, "original"),
		"ext":       {ClientMsgID: draft.ClientMsgID, ToUserID: bob.id(), Type: "text", Body: draft.Body, Ext: map[string]any{"a": 1}},
		"reply_to":  {ClientMsgID: draft.ClientMsgID, ToUserID: bob.id(), Type: "text", Body: draft.Body, ReplyTo: first.Message.MessageID},
		"type":      {ClientMsgID: draft.ClientMsgID, ToUserID: bob.id(), Type: "custom", Body: draft.Body},
	}
	for name, changed := range other {
		_, err := alice.Send(within(t, patience), changed)
		problem, ok := client.AsProblem(err)
		if !ok || problem.Status != http.StatusUnprocessableEntity || problem.Code != "idempotency_key_reused" {
			t.Errorf("other %s: got %v, want 422 idempotency_key_reused", name, err)
		}
	}
	alice.repeat(draft, first)
	if n := len(bob.wholeMailbox()); n != 1 {
		t.Errorf("bob has %d entries, want 1", n)
	}
	if n := len(carol.wholeMailbox()); n != 0 {
		t.Errorf("carol has %d entries, want none", n)
	}
}

// headerKey: the key may come as a header, alone or equal to the body's; both and different is refused, and so is none.
func headerKey(t *testing.T, s *system) {
	alice, bob := s.user(t), s.user(t)
	key := uuid.NewString()
	byHeader := client.Text(bob.id(), "", "by header")
	byHeader.HeaderKey = key
	first := alice.sendDraft(byHeader)
	if first.Message.ClientMsgID != key {
		t.Fatalf("client_msg_id is %q, want the header's key %q", first.Message.ClientMsgID, key)
	}
	alice.repeat(byHeader, first)
	alice.repeat(client.Text(bob.id(), key, "by header"), first)
	both := client.Text(bob.id(), key, "by header")
	both.HeaderKey = key
	alice.repeat(both, first)

	both.HeaderKey = uuid.NewString()
	_, err := alice.Send(within(t, patience), both)
	refused(t, err, "", http.StatusUnprocessableEntity)
	_, err = alice.Send(within(t, patience), client.Text(bob.id(), "", "no key at all"))
	refused(t, err, "", http.StatusUnprocessableEntity)
	if n := len(bob.wholeMailbox()); n != 1 {
		t.Errorf("bob has %d entries, want 1", n)
	}
}

// groupKey makes one group of many requests with one key; the key is not a message's as well.
func groupKey(t *testing.T, s *system) {
	alice, bob := s.user(t), s.user(t)
	key := uuid.NewString()
	ids := make([]client.ConversationID, racingSends)
	statuses := make([]int, racingSends)
	group, ctx := errgroup.WithContext(within(t, patience))
	for i := range ids {
		group.Go(func() error {
			c, status, err := alice.CreateGroupOnce(ctx, key, "Hikers", bob.id())
			ids[i], statuses[i] = c.ConversationID, status
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	created := 0
	for i, id := range ids {
		if id != ids[0] {
			t.Errorf("one key made the groups %s and %s", ids[0], id)
		}
		if statuses[i] == http.StatusCreated {
			created++
		}
	}
	if created != 1 {
		t.Errorf("%d requests were answered with 201, want one: %v", created, statuses)
	}
	if entries := bob.wholeMailbox(); len(entries) != 1 {
		t.Errorf("bob has %d entries, want the one notice", len(entries))
	}
	_, _, err := alice.CreateGroupOnce(within(t, patience), key, "Climbers", bob.id())
	refused(t, err, "idempotency_key_reused", http.StatusUnprocessableEntity)
	_, err = alice.Send(within(t, patience), client.Text(bob.id(), key, "the same key"))
	refused(t, err, "idempotency_key_reused", http.StatusUnprocessableEntity)
	_, _, err = alice.CreateGroupOnce(within(t, patience), "a key\twith a tab", "Hikers", bob.id())
	refused(t, err, "", http.StatusUnprocessableEntity)
	if other, _, err := bob.CreateGroupOnce(within(t, patience), key, "Hikers", alice.id()); err != nil || other.ConversationID == ids[0] {
		t.Errorf("bob's own group with that key: %s, %v", other.ConversationID, err)
	}
}

// keyAroundWindow repeats a key just before, at and just after the end of the one-second window.
func keyAroundWindow(t *testing.T, s *system) {
	alice, bob := s.user(t), s.user(t)
	waits := []time.Duration{900 * time.Millisecond, time.Second, 1100 * time.Millisecond}
	group, ctx := errgroup.WithContext(within(t, patience))
	for i, wait := range waits {
		draft := client.Text(bob.id(), uuid.NewString(), fmt.Sprintf("window %d", i))
		group.Go(func() error {
			first, err := alice.Send(ctx, draft)
			if err != nil {
				return err
			}
			timer := time.NewTimer(wait)
			defer timer.Stop()
			select {
			case <-timer.C:
			case <-ctx.Done():
				return ctx.Err()
			}
			again, err := alice.Send(ctx, draft)
			if err != nil {
				return fmt.Errorf("after %s: %w", wait, err)
			}
			if err := sameAnswer(again, first); err != nil {
				return fmt.Errorf("after %s: %w", wait, err)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	if n := len(bob.wholeMailbox()); n != len(waits) {
		t.Errorf("bob has %d entries, want %d", n, len(waits))
	}
}

// keyOfAnother: the same key of two senders is two messages.
func keyOfAnother(t *testing.T, s *system) {
	alice, bob, carol := s.user(t), s.user(t), s.user(t)
	draft := client.Text(carol.id(), uuid.NewString(), "same key")
	if alice.sendDraft(draft).Message.MessageID == bob.sendDraft(draft).Message.MessageID {
		t.Fatal("two senders were given one message")
	}
	if n := len(carol.wholeMailbox()); n != 2 {
		t.Fatalf("carol has %d entries, want 2", n)
	}
}

// racingFirstMessages: whoever writes first, two people have one direct conversation, numbered without holes.
func racingFirstMessages(t *testing.T, s *system) {
	const each = 8
	alice, bob := s.user(t), s.user(t)
	start := make(chan struct{})
	group, ctx := errgroup.WithContext(within(t, patience))
	for range each {
		for _, pair := range [][2]*actor{{alice, bob}, {bob, alice}} {
			group.Go(func() error {
				<-start
				_, err := pair[0].Send(ctx, client.Text(pair[1].id(), uuid.NewString(), "first!"))
				return err
			})
		}
	}
	close(start)
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	atAlice, atBob := alice.wholeMailbox(), bob.wholeMailbox()
	if len(atAlice) != 2*each || len(atBob) != 2*each {
		t.Fatalf("%d and %d entries, want %d each", len(atAlice), len(atBob), 2*each)
	}
	conversation := atAlice[0].Message.ConversationID
	for i := range atAlice {
		a, b := atAlice[i].Message, atBob[i].Message
		if a.ConversationID != conversation || a.ConversationSeq != int64(i)+1 {
			t.Fatalf("entry %d is %s/%d, want %s/%d", i+1, a.ConversationID, a.ConversationSeq, conversation, i+1)
		}
		if a.MessageID != b.MessageID {
			t.Fatalf("entry %d: the two see another order", i+1)
		}
	}
}

// keyAfterRestart: a key holds over an orderly stop and over a crash.
func keyAfterRestart(t *testing.T, b backend) {
	s := b.start(t)
	alice, bob := s.user(t), s.user(t)
	draft := client.Text(bob.id(), uuid.NewString(), "before the restart")
	first := alice.sendDraft(draft)

	if err := s.server.Terminate(); err != nil {
		t.Fatalf("stop: %v", err)
	}
	s.server.Restart()
	alice.repeat(draft, first)

	s.server.Kill()
	s.server.Restart()
	alice.repeat(draft, first)
	_, err := alice.Send(within(t, patience), client.Text(bob.id(), draft.ClientMsgID, "changed"))
	refused(t, err, "idempotency_key_reused", http.StatusUnprocessableEntity)
	if n := len(bob.wholeMailbox()); n != 1 {
		t.Fatalf("bob has %d entries, want 1", n)
	}
}
