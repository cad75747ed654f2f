package e2e

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"ackbox/client"
)

// accept sets from whom the actor takes a first direct message.
func (a *actor) accept(whom string) {
	a.t.Helper()
	me, err := a.PatchMe(within(a.t, patience), map[string]any{"direct_messages": whom})
	if err != nil {
		a.t.Fatalf("set direct_messages: %v", err)
	}
	if me.DirectMessages != whom {
		a.t.Fatalf("direct_messages is %q, want %q", me.DirectMessages, whom)
	}
}

// notAccepted checks that a text to somebody is refused, and that the sender's mailbox and list show nothing of it.
func (a *actor) notAccepted(to *actor) {
	a.t.Helper()
	for range 2 { // the first refusal makes nothing that lets the second through
		_, err := a.Send(within(a.t, patience), client.Text(to.id(), uuid.NewString(), "hello, stranger"))
		refused(a.t, err, "not_accepting", http.StatusForbidden)
	}
}

// conversationsOf counts the actor's list.
func (a *actor) conversationsOf() int {
	a.t.Helper()
	page, err := a.Conversations(within(a.t, patience), "", 0)
	if err != nil {
		a.t.Fatal(err)
	}
	return len(page.Conversations)
}

// messagesFromStrangers: who takes messages from contacts only hears nothing of strangers.
func messagesFromStrangers(t *testing.T, s *system) {
	bob, stranger, colleague, friend, earlier := s.user(t), s.user(t), s.user(t), s.user(t), s.user(t)

	// Only oneself sees the setting.
	if me, err := bob.Me(within(t, patience)); err != nil || me.DirectMessages != "everyone" {
		t.Fatalf("at first: %+v, %v", me, err)
	}
	earlier.send(bob, "before")
	bob.accept("contacts")
	if me, err := bob.PatchMe(within(t, patience), map[string]any{"display_name": "Bob"}); err != nil || me.DirectMessages != "contacts" {
		t.Errorf("after another change: %+v, %v", me, err)
	}
	for _, path := range []string{"/v1/users/" + string(bob.id()), "/v1/users?username=" + bob.User.Username} {
		var seen json.RawMessage
		if _, err := stranger.Call(within(t, patience), http.MethodGet, path, nil, &seen); err != nil || strings.Contains(string(seen), "direct_messages") {
			t.Errorf("%s shows %s, %v", path, seen, err)
		}
	}
	_, err := bob.PatchMe(within(t, patience), map[string]any{"direct_messages": "nobody"})
	refused(t, err, "validation_failed", http.StatusUnprocessableEntity)

	stranger.notAccepted(bob)
	_, _, err = stranger.CreateGroup(within(t, patience), "round the corner", bob.id())
	refused(t, err, "not_accepting", http.StatusForbidden)
	if n := stranger.conversationsOf(); n != 0 {
		t.Errorf("refused messages and a refused group made %d conversations", n)
	}
	earlier.send(bob, "after: it was begun") // and again, from what is cached
	earlier.send(bob, "and again")

	// Who shares a group may write; who shared one, not for the first time.
	group, _, err := bob.CreateGroup(within(t, patience), "work", colleague.id(), friend.id())
	if err != nil {
		t.Fatal(err)
	}
	colleague.send(bob, "we work together")
	if err := bob.RemoveMember(within(t, patience), group.ConversationID, friend.id()); err != nil {
		t.Fatal(err)
	}
	friend.notAccepted(bob)
	if _, err := bob.Dissolve(within(t, patience), group.ConversationID); err != nil {
		t.Fatal(err)
	}
	colleague.send(bob, "we worked together")

	// What one writes oneself opens the way.
	bob.send(friend, "write me")
	friend.send(bob, "gladly")

	// A conversation that a block has made is none that was begun.
	if err := bob.Block(within(t, patience), stranger.id()); err != nil {
		t.Fatal(err)
	}
	if err := bob.Unblock(within(t, patience), stranger.id()); err != nil {
		t.Fatal(err)
	}
	stranger.notAccepted(bob)

	// Two who both keep strangers away never begin; back to everyone, they do, also by the conversation's id.
	stranger.accept("contacts")
	_, err = bob.Send(within(t, patience), client.Text(stranger.id(), uuid.NewString(), "hello?"))
	refused(t, err, "not_accepting", http.StatusForbidden)
	bob.accept("everyone")
	first := stranger.send(bob, "at last")
	bob.accept("contacts")
	draft := client.Text("", uuid.NewString(), "by its id")
	draft.ConversationID = first.Message.ConversationID
	stranger.sendDraft(draft)
	if entries := bob.wholeMailbox(); len(entries) == 0 || entries[len(entries)-1].Message.Body["text"] != "by its id" {
		t.Errorf("bob's mailbox ends with %+v", entries)
	}
	stranger.send(stranger, "a note to self is always welcome")
	_, err = stranger.Send(within(t, patience), client.Text("9007199254740993", uuid.NewString(), "nobody"))
	refused(t, err, "not_found", http.StatusNotFound)
}

// racingStrangers: many first messages at once, and none comes through.
func racingStrangers(t *testing.T, s *system) {
	bob := s.user(t)
	bob.accept("contacts")
	group, ctx := errgroup.WithContext(within(t, patience))
	stranger := s.user(t)
	for range 20 {
		group.Go(func() error {
			_, err := stranger.Send(ctx, client.Text(bob.id(), uuid.NewString(), "let me in"))
			if problem, ok := client.AsProblem(err); ok && problem.Code == "not_accepting" {
				return nil
			}
			t.Errorf("got %v, want not_accepting", err)
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	if n := len(bob.wholeMailbox()); n != 0 {
		t.Errorf("bob has %d entries, want none", n)
	}
}
