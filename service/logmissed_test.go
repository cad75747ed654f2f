package service

import (
	"testing"

	"ackbox/model"
)

// TestMissedMemberships: word of a join and of a leave did not reach the node where the two are connected. Its
// sweep finds both: who joined is told that they are behind, who left hears nothing more.
func TestMissedMemberships(t *testing.T) {
	t.Parallel()
	onBothBackends(t, func(t *testing.T, store *model.Store) {
		clock := newHandClock()
		here, there := newNode(t, store, standard, clock.now), newNode(t, store, standard, clock.now) // no relay between them
		groups := NewGroups(store, here.ids, here.writer, here.conversations, here.delivery, 2, 10, clock.now)
		owner, stays, leaves, joins := here.user(t), here.user(t), here.user(t), here.user(t)
		group, _, err := groups.Create(within(t), owner, "", "large", []model.UserID{stays, leaves})
		must(t, err)
		id := group.Conversation.ID
		phone := func(user model.UserID) *end {
			return there.connect(t, model.DeviceKey{UserID: user, DeviceID: "phone"}, nil)
		}
		staying, leaving, joining := phone(stays), phone(leaves), phone(joins)
		staying.expect("hello 0 of 0", "behind 1", "synced 0")
		leaving.expect("hello 0 of 0", "behind 1", "synced 0")
		joining.expect("hello 0 of 0", "synced 0")
		for _, e := range []*end{staying, leaving} {
			there.delivery.SettleLog(e.session.Key, model.LogPosition{ConversationID: id, Acked: 1})
		}
		must(t, groups.Remove(within(t), owner, id, leaves))
		must(t, groups.Add(within(t), owner, id, []model.UserID{joins}))

		there.delivery.LogsMissed()
		for range 3 {
			must(t, there.delivery.Sweep(t.Context()))
		}
		joining.expect("behind 3")
		joining.silent()
		staying.expect("behind 3")
		staying.silent()
		leaving.silent()
		equal(t, "sweeps that still look at memberships", there.delivery.stale.Load(), 0)
	})
}
