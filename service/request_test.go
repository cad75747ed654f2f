package service

import (
	"testing"

	"ackbox/model"
)

// TestFirstWord: who may say the first word in a conversation that exists already, and what is
// cached of it.
func TestFirstWord(t *testing.T) {
	t.Parallel()
	onBothBackends(t, func(t *testing.T, store *model.Store) {
		n := newNode(t, store, standard, newHandClock().now)
		stranger, bob := n.user(t), n.user(t)
		contacts := model.FromContacts
		must(t, store.UpdateProfile(t.Context(), bob, nil, nil, &contacts))
		_, err := n.conversations.Direct(t.Context(), stranger, bob)
		wantError(t, err, model.CodeNotAccepting)
		_, err = store.DirectConversation(t.Context(), stranger, bob)
		wantError(t, err, model.CodeNotFound) // nothing was made

		for _, blocked := range []bool{true, false} {
			must(t, n.conversations.SetBlock(t.Context(), bob, stranger, blocked))
		}
		_, err = n.conversations.Direct(t.Context(), stranger, bob)
		wantError(t, err, model.CodeNotAccepting)
		id, err := n.conversations.Direct(t.Context(), bob, stranger) // bob may write
		must(t, err)
		_, err = n.conversations.Direct(t.Context(), stranger, bob) // which has not happened
		wantError(t, err, model.CodeNotAccepting)

		old, err := n.audiences.Get(t.Context(), id)
		must(t, err)
		equal(t, "empty", old.Empty, true)
		messages := NewMessages(store, n.ids, nil, n.writer, n.audiences, n.conversations, 0, n.delivery.clock)
		draft := Draft{Sender: stranger, ClientMsgID: "k", Conversation: id, Type: model.TypeText, Body: `{"text":"by the back door"}`}
		_, err = messages.Send(within(t), draft)
		wantError(t, err, model.CodeNotAccepting)
		third := n.user(t)
		draft.Sender = third
		_, err = messages.Send(within(t), draft)
		wantError(t, err, model.CodeNotFound) // which tells nothing about bob

		n.write(t, old, bob, 1)
		audience, err := n.conversations.Begin(t.Context(), stranger, old)
		must(t, err)
		equal(t, "empty after a message", audience.Empty, false)
		again, err := n.conversations.Direct(t.Context(), stranger, bob)
		must(t, err)
		equal(t, "the conversation", again, id)
		_, cached := n.conversations.direct.Get(pair{min(bob, stranger), max(bob, stranger)})
		equal(t, "cached", cached, true)
	})
}
