package service

import (
	"testing"
	"time"

	"ackbox/model"
)

// TestLargeAudience: who reads or writes in a log conversation does not make the node read its
// members again.
func TestLargeAudience(t *testing.T) {
	t.Parallel()
	n := newNode(t, sqliteStore(t), standard, time.Now)
	owner, member, stranger := n.user(t), n.user(t), n.user(t)
	groups := NewGroups(n.store, n.ids, n.writer, n.conversations, n.delivery, 1, 10, n.clock) // a log from two members on
	view, _, err := groups.Create(within(t), owner, "", "large", []model.UserID{member})
	must(t, err)
	id := view.Conversation.ID
	equal(t, "delivery", view.Delivery, model.DeliveryLog)
	n.audiences.Forget()

	readSeq, err := n.conversations.Read(within(t), owner, id, 1) // of what is not known it is read once
	must(t, err)
	equal(t, "read", readSeq, 1)
	before, cached := n.audiences.cache.Get(id)
	equal(t, "cached", cached, true)

	readSeq, err = n.conversations.Read(within(t), member, id, 1)
	must(t, err)
	equal(t, "read", readSeq, 1)
	must(t, n.conversations.Typing(within(t), member, id))
	after, _ := n.audiences.cache.Get(id)
	equal(t, "the audience", after, before)

	wantError(t, n.conversations.Typing(within(t), stranger, id), model.CodeNotFound)
	must(t, groups.Add(within(t), owner, id, []model.UserID{stranger}))
	n.audiences.Put(before) // as on a node that has not heard of it
	must(t, n.conversations.Typing(within(t), stranger, id))
	must(t, groups.Remove(within(t), owner, id, stranger))
	wantError(t, n.conversations.Typing(within(t), stranger, id), model.CodeNotFound)
	_, err = n.conversations.Read(within(t), stranger, id, 1)
	wantError(t, err, model.CodeNotFound)
}

// TestGroupKey: the key that makes a group once is not shown to its members.
func TestGroupKey(t *testing.T) {
	t.Parallel()
	onBothBackends(t, func(t *testing.T, store *model.Store) {
		n := newNode(t, store, standard, newHandClock().now)
		owner := n.user(t)
		first, again, err := n.groups().Create(within(t), owner, "key", "a group", nil)
		must(t, err)
		equal(t, "again", again, false)
		equal(t, "key of the first notice", first.Last.ClientMsgID, "server-"+first.Last.ID.String())
		second, again, err := n.groups().Create(within(t), owner, "key", "a group", nil)
		must(t, err)
		equal(t, "again", again, true)
		equal(t, "group", second.Conversation.ID, first.Conversation.ID)
		_, _, err = n.groups().Create(within(t), owner, "key", "another", nil)
		wantError(t, err, model.CodeKeyReused)
	})
}

// TestPreferencesOfADissolvedGroup: what is answered with 404 has not been done.
func TestPreferencesOfADissolvedGroup(t *testing.T) {
	t.Parallel()
	onBothBackends(t, func(t *testing.T, store *model.Store) {
		n := newNode(t, store, standard, newHandClock().now)
		owner, yes := n.user(t), true
		id := n.group(t, owner)
		_, err := n.groups().Dissolve(within(t), owner, id)
		must(t, err)
		_, err = n.conversations.Prefer(within(t), owner, id, model.Preferences{Pinned: &yes})
		wantError(t, err, model.CodeNotFound)
		member, err := store.MemberOf(t.Context(), id, owner)
		must(t, err)
		equal(t, "pinned", member.Pinned, false)
	})
}
