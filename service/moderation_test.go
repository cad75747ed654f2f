package service

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"ackbox/model"
)

// operated is a node and what operators do there.
type operated struct {
	*node
	t          *testing.T
	hand       *handClock
	sends      *Messages
	groups     *Groups
	moderation *Moderation
}

func newOperated(t *testing.T, store *model.Store) *operated {
	t.Helper()
	hand := newHandClock()
	o := &operated{node: newNode(t, store, standard, hand.now), t: t, hand: hand}
	o.sends = o.messages(t, miniredis.RunT(t))
	o.groups = NewGroups(store, o.ids, o.writer, o.conversations, o.delivery, 100, 200, o.clock)
	o.moderation = NewModeration(store, o.groups, o.sends, o.clock)
	return o
}

// late makes it too late for a recall.
func (o *operated) late() {
	o.t.Helper()
	for range 10 {
		o.hand.step(15 * time.Second)
		must(o.t, o.ids.Renew(within(o.t)))
	}
}

func (o *operated) group(name string, owner model.UserID, others ...model.UserID) model.ConversationID {
	o.t.Helper()
	view, _, err := o.groups.Create(within(o.t), owner, "", name, others)
	must(o.t, err)
	return view.Conversation.ID
}

func (o *operated) say(sender model.UserID, id model.ConversationID, key string) *model.Message {
	o.t.Helper()
	sent, err := o.sends.Send(within(o.t), Draft{Sender: sender, ClientMsgID: key, Conversation: id, Type: model.TypeText, Body: `{"text":"hi"}`})
	must(o.t, err)
	return sent.Message
}

// TestModeration: operators end and quieten groups, take people out and messages back, without being members; the people
// concerned hear of it as if an owner had done it.
func TestModeration(t *testing.T) {
	t.Parallel()
	onBothBackends(t, func(t *testing.T, store *model.Store) {
		o := newOperated(t, store)
		owner, mate, other := o.user(t), o.user(t), o.user(t)
		id := o.group("noisy", owner, mate, other)
		at := o.listen(t, mate)
		old := o.say(mate, id, "old")
		o.late()

		must(t, o.moderation.MuteAll(within(t), id, true))
		_, err := o.sends.Send(within(t), Draft{Sender: mate, ClientMsgID: "muted", Conversation: id, Type: model.TypeText, Body: `{"text":"hi"}`})
		wantError(t, err, model.CodeMuted)
		o.say(owner, id, "owner")
		must(t, o.moderation.MuteAll(within(t), id, false))
		must(t, o.moderation.MuteAll(within(t), id, false)) // is so
		o.say(mate, id, "again")

		removed, err := o.moderation.RemoveMessage(within(t), old.ID) // the sender could not any more
		must(t, err)
		equal(t, "body", removed.Body, "{}")
		equal(t, "recalled", removed.RecalledAt != 0, true)
		again, err := o.moderation.RemoveMessage(within(t), old.ID)
		must(t, err)
		equal(t, "removed once", again.RecalledAt, removed.RecalledAt)
		list, head, more, err := o.moderation.History(within(t), id, seq(0), nil, 50)
		must(t, err)
		equal(t, "more", more, false)
		equal(t, "head", head, int64(len(list)))
		recall := list[len(list)-1]
		equal(t, "the last is", recall.Type, model.TypeRecall)
		equal(t, "of", recall.ReplyTo, old.ID)
		equal(t, "by", recall.SenderID, model.System)
		_, err = o.moderation.RemoveMessage(within(t), recall.ID)
		wantError(t, err, model.CodeForbidden)
		_, err = o.moderation.RemoveMessage(within(t), 12345)
		wantError(t, err, model.CodeNotFound)

		must(t, o.moderation.RemoveMember(within(t), id, owner)) // whose group goes to who is there longest
		c, _, err := o.moderation.Conversation(within(t), id)
		must(t, err)
		equal(t, "inherited", c.OwnerID == mate || c.OwnerID == other, true)
		wantError(t, o.moderation.RemoveMember(within(t), id, owner), model.CodeNotFound)
		members, more, err := o.moderation.Members(within(t), id, 0, 1)
		must(t, err)
		equal(t, "more", more, true)
		equal(t, "name", members[0].Username, fmt.Sprint("u", min(mate, other)))

		must(t, o.moderation.Dissolve(within(t), id))
		wantError(t, o.moderation.Dissolve(within(t), id), model.CodeNotFound)
		_, err = o.conversations.Get(within(t), mate, id)
		wantError(t, err, model.CodeNotFound)
		_, head, _, err = o.moderation.History(within(t), id, nil, nil, 1)
		must(t, err)
		eventually(t, "all that was written", func() bool {
			at.seen.Lock()
			defer at.seen.Unlock()
			return int64(len(at.mailbox)) == head
		})

		direct, err := o.sends.Send(within(t), hi(mate, other, "direct"))
		must(t, err)
		pair := direct.Message.ConversationID
		wantError(t, o.moderation.Dissolve(within(t), pair), model.CodeNotFound)
		wantError(t, o.moderation.MuteAll(within(t), pair, true), model.CodeNotFound)
		o.late()
		removed, err = o.moderation.RemoveMessage(within(t), direct.Message.ID)
		must(t, err)
		equal(t, "body", removed.Body, "{}")
		_, people, err := o.moderation.Conversation(within(t), pair)
		must(t, err)
		equal(t, "people", len(people), 2)

		announcements := NewAnnouncements(store, o.sends, o.clock)
		sent, err := announcements.Publish(within(t), "a", "a mistake")
		must(t, err)
		wantError(t, o.moderation.Dissolve(within(t), model.Everyone), model.CodeNotFound)
		wantError(t, o.moderation.MuteAll(within(t), model.Everyone, false), model.CodeNotFound)
		wantError(t, o.moderation.RemoveMember(within(t), model.Everyone, mate), model.CodeNotFound)
		_, err = o.moderation.RemoveMessage(within(t), sent.Message.ID)
		must(t, err)
		view, err := o.conversations.Get(within(t), mate, model.Everyone)
		must(t, err)
		equal(t, "last is the recall", view.Last.ReplyTo, sent.Message.ID)
		announced, _, err := announcements.List(within(t), 0, 50)
		must(t, err)
		equal(t, "announcements", len(announced), 1)
		equal(t, "without content", announced[0].Body, "{}")
	})
}

// TestLookup: operators find conversations by name, id, member and kind in any order, and messages by key and time.
func TestLookup(t *testing.T) {
	t.Parallel()
	onBothBackends(t, func(t *testing.T, store *model.Store) {
		o := newOperated(t, store)
		ada, bob, eve := o.user(t), o.user(t), o.user(t)
		one := o.group("Chess_50%", ada, bob)
		two := o.group("chess 501", bob, ada, eve)
		three := o.group("Go!", bob)
		direct, err := o.sends.Send(within(t), hi(ada, eve, "k"))
		must(t, err)
		pair := direct.Message.ConversationID
		var times []model.Millis
		for i := range 20 {
			o.hand.step(time.Second)
			times = append(times, o.say(bob, one, fmt.Sprint("k", i)).CreatedAt)
		}
		o.say(bob, three, "k")

		find := func(f model.ConversationFilter, by model.ConversationSort, descending bool, want ...model.ConversationID) {
			t.Helper()
			for _, limit := range []int{1, 3, 50} {
				var got []model.ConversationID
				var after *model.ConversationPlace
				for more := true; more && len(got) <= len(want); {
					var page []*model.Conversation
					var err error
					page, more, err = o.moderation.List(within(t), f, by, descending, after, limit)
					must(t, err)
					for _, c := range page {
						got = append(got, c.ID)
						place := by.PlaceOf(c)
						after = &place
					}
				}
				if !slices.Equal(got, want) {
					t.Errorf("%+v by %s, pages of %d: got %v, want %v", f, by, limit, got, want)
				}
			}
		}
		find(model.ConversationFilter{}, model.ByCreation, false, one, two, three, pair)
		find(model.ConversationFilter{}, model.ByCreation, true, pair, three, two, one)
		find(model.ConversationFilter{}, model.ByHead, true, one, three, pair, two) // 21, 2, 1, 1: the higher id first
		find(model.ConversationFilter{}, model.ByMembers, false, three, one, pair, two)
		find(model.ConversationFilter{Text: "CHESS"}, model.ByCreation, false, one, two)
		find(model.ConversationFilter{Text: "s_50%"}, model.ByCreation, false, one)
		find(model.ConversationFilter{Text: "!"}, model.ByCreation, false, three)
		find(model.ConversationFilter{Text: pair.String()}, model.ByCreation, false, pair)
		find(model.ConversationFilter{Kind: model.Direct}, model.ByCreation, false, pair)
		find(model.ConversationFilter{Delivery: model.DeliveryLog}, model.ByCreation, false)
		find(model.ConversationFilter{Member: eve, Kind: model.Group}, model.ByCreation, false, two)
		_, _, err = o.moderation.List(within(t), model.ConversationFilter{}, "name", false, nil, 50)
		wantError(t, err, model.CodeValidation)

		found, err := o.moderation.Sent(within(t), bob, "k7")
		must(t, err)
		equal(t, "when k7 was sent", found.CreatedAt, times[7])
		found, err = o.moderation.Sent(within(t), eve, "k7")
		must(t, err)
		if found != nil {
			t.Errorf("another's key: %+v", found)
		}
		between := func(from, to model.Millis, want ...int) {
			t.Helper()
			for _, limit := range []int{2, 50} {
				var got []model.Millis
				for before, more := int64(0), true; more && len(got) <= 30; {
					var page []*model.Message
					var err error
					page, more, err = o.moderation.Between(within(t), one, from, to, before, limit)
					must(t, err)
					for _, m := range page {
						before = m.ConversationSeq
						if m.Type == model.TypeText {
							got = append(got, m.CreatedAt)
						}
					}
				}
				var wanted []model.Millis
				for _, i := range want {
					wanted = append(wanted, times[i])
				}
				if !slices.Equal(got, wanted) {
					t.Errorf("from %d to %d in pages of %d: %d messages, want %d", from, to, limit, len(got), len(want))
				}
			}
		}
		between(times[3], times[6], 5, 4, 3)
		between(times[18]+1, 0, 19)
		between(0, times[1], 0)
		between(times[19]+1, 0)
		between(times[6], times[3])
	})
}
