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

// TestUnwilling: who takes messages from contacts only is not brought into a group by a stranger, nor by whom
// they block; those who may do so still can, and a repeat is answered as before.
func TestUnwilling(t *testing.T) {
	t.Parallel()
	onBothBackends(t, func(t *testing.T, store *model.Store) {
		n := newNode(t, store, standard, newHandClock().now)
		groups := n.groups()
		me, open, shy, friend, foe := n.user(t), n.user(t), n.user(t), n.user(t), n.user(t)
		friends, _, err := groups.Create(within(t), me, "first", "friends", []model.UserID{friend, foe})
		must(t, err)
		contacts := model.FromContacts
		for _, user := range []model.UserID{shy, friend, foe} {
			must(t, store.UpdateProfile(t.Context(), user, nil, nil, &contacts))
		}
		must(t, n.conversations.SetBlock(t.Context(), foe, me, true))
		must(t, n.conversations.SetBlock(t.Context(), me, open, true)) // whom I block, I may bring

		mine, _, err := groups.Create(within(t), me, "", "mine", []model.UserID{open, friend})
		must(t, err)
		group := mine.Conversation.ID
		for name, user := range map[string]model.UserID{"a-stranger": shy, "who-blocks-me": foe} {
			if _, _, err := groups.Create(within(t), me, name, "mine", []model.UserID{open, user}); model.CodeOf(err) != model.CodeNotAccepting {
				t.Errorf("a group with %s: %v", name, err)
			}
			if err := groups.Add(within(t), me, group, []model.UserID{open, user}); model.CodeOf(err) != model.CodeNotAccepting {
				t.Errorf("adding %s: %v", name, err)
			}
		}
		list, err := store.Views(t.Context(), shy, model.ListCursor{}, nil, 10)
		must(t, err)
		equal(t, "groups of the stranger", len(list), 0)
		view, err := groups.Get(within(t), me, group)
		must(t, err)
		equal(t, "members", view.MemberCount, 3)
		equal(t, "head", view.Head, 1)

		// What was done once is done: who belongs already is not asked.
		_, again, err := groups.Create(within(t), me, "first", "friends", []model.UserID{friend, foe})
		must(t, err)
		equal(t, "again", again, true)
		must(t, groups.Add(within(t), me, friends.Conversation.ID, []model.UserID{friend, foe}))

		// A word of theirs opens the way; an empty direct conversation does not.
		id, err := n.conversations.Direct(t.Context(), shy, me)
		must(t, err)
		wantError(t, groups.Add(within(t), me, group, []model.UserID{shy}), model.CodeNotAccepting)
		audience, err := n.audiences.Get(t.Context(), id)
		must(t, err)
		n.write(t, audience, shy, 1)
		must(t, groups.Add(within(t), me, group, []model.UserID{shy}))
	})
}
