package service

import (
	"slices"
	"testing"

	"github.com/alicebob/miniredis/v2"

	"ackbox/model"
)

// town is three nodes of one database: the first two hear of each other, the third hears of nobody.
type town struct {
	t             *testing.T
	nodes         [3]*node
	announcements [2]*Announcements
	groups        *Groups
	sends         *Messages
}

func newTown(t *testing.T, store *model.Store) *town {
	t.Helper()
	w := &town{t: t}
	server, clock := miniredis.RunT(t), newHandClock().now
	for i := range w.nodes {
		w.nodes[i] = newNode(t, store, standard, clock)
		w.nodes[i].delivery.SetAudiences(w.nodes[i].audiences)
	}
	wire(t, w.nodes[0], w.nodes[1])
	wire(t, w.nodes[1], w.nodes[0])
	w.sends = w.nodes[0].messages(t, server)
	w.announcements = [2]*Announcements{NewAnnouncements(store, w.sends, clock), NewAnnouncements(store, w.nodes[1].messages(t, server), clock)}
	w.groups = NewGroups(store, w.nodes[0].ids, w.nodes[0].writer, w.nodes[0].conversations, w.nodes[0].delivery, 100, 200, clock)
	return w
}

func (w *town) announce(i int, key string) *model.Message {
	w.t.Helper()
	sent, err := w.announcements[i].Publish(within(w.t), key, "hear "+key)
	must(w.t, err)
	equal(w.t, "in a mailbox", sent.MailboxSeq, 0)
	equal(w.t, "repeated", sent.Duplicate, false)
	equal(w.t, "sender", sent.Message.SenderID, model.System)
	return sent.Message
}

// heard: a device has exactly the announcements (after, upTo], pulled that often, and has acked them.
func (w *town) heard(l *listener, after, upTo int64, pulls int) {
	w.t.Helper()
	eventually(w.t, "announcements", func() bool {
		l.seen.Lock()
		defer l.seen.Unlock()
		return l.err != nil || l.log(model.Everyone).upTo >= upTo
	})
	must(w.t, l.ackAll(within(w.t)))
	l.settled(w.t)
	l.seen.Lock()
	defer l.seen.Unlock()
	must(w.t, l.err)
	log := l.log(model.Everyone)
	equal(w.t, "pulls", log.pulls, pulls)
	equal(w.t, "announcements that came", int64(len(log.seqs)), upTo-after)
	for seq := after + 1; seq <= upTo; seq++ {
		equal(w.t, "came", log.seqs[seq], true)
	}
	positions, err := l.node.store.LogPositionsIn(w.t.Context(), model.Everyone, []model.DeviceKey{l.key})
	must(w.t, err)
	equal(w.t, "position", positions[l.key], upTo)
}

// listed is the conversation in the user's list, nil when it is not.
func (w *town) listed(user model.UserID) *model.View {
	w.t.Helper()
	list, _, err := w.nodes[1].conversations.List(within(w.t), user, model.ListCursor{}, 50)
	must(w.t, err)
	for _, v := range list {
		if v.Conversation.ID == model.Everyone {
			return v
		}
	}
	return nil
}

func (w *town) refused(err error, code model.Code) {
	w.t.Helper()
	wantError(w.t, err, code)
}

// TestAnnouncements: what the operators say reaches everybody: who is connected, to any node, at once; who was away when they
// come back; who registers later from then on; and a node that heard nothing of it, by its sweep.
func TestAnnouncements(t *testing.T) {
	t.Parallel()
	onBothBackends(t, func(t *testing.T, store *model.Store) {
		w := newTown(t, store)
		away := w.nodes[0].user(t)
		here, there, deaf := w.nodes[0].listen(t, w.nodes[0].user(t)), w.nodes[1].listen(t, w.nodes[0].user(t)), w.nodes[2].listen(t, w.nodes[0].user(t))
		if w.listed(away) != nil {
			t.Error("the list has announcements, and there are none")
		}
		_, err := w.nodes[0].conversations.Get(within(t), away, model.Everyone)
		w.refused(err, model.CodeNotFound)
		_, err = w.sends.Send(within(t), Draft{Sender: away, ClientMsgID: "a", Conversation: model.Everyone, Type: model.TypeText, Body: `{"text":"hi"}`})
		w.refused(err, model.CodeNotFound)

		asks := w.nodes[2].connect(t, model.DeviceKey{UserID: w.nodes[0].user(t), DeviceID: "phone"}, nil)
		asks.expect("hello 0 of 0", "synced 0")
		first := w.announce(0, "one")
		equal(t, "seq", first.ConversationSeq, 1)
		w.heard(here, 0, 1, 0)
		w.heard(there, 0, 1, 0)
		repeat, err := w.announcements[1].Publish(within(t), "one", "hear one")
		must(t, err)
		equal(t, "repeated", repeat.Duplicate, true)
		equal(t, "the first", repeat.Message.ID, first.ID)
		_, err = w.announcements[1].Publish(within(t), "one", "something else")
		w.refused(err, model.CodeKeyReused)
		_, err = w.announcements[1].Publish(within(t), "blank", " \n")
		w.refused(err, model.CodeValidation)

		late := w.nodes[0].user(t)
		if w.listed(late) != nil {
			t.Error("the list of who came later has announcements")
		}
		lately := w.nodes[0].listen(t, late)
		w.announce(1, "two")
		w.heard(here, 0, 2, 0)
		w.heard(there, 0, 2, 0)
		w.heard(lately, 1, 2, 0)
		back := w.nodes[1].listen(t, away)
		w.heard(back, 0, 2, 1)
		equal(t, "unread of who was away", w.listed(away).Unread, 2)
		equal(t, "unread of who came later", w.listed(late).Unread, 1)
		equal(t, "last of who came later", w.listed(late).Last.ConversationSeq, 2)

		_, err = w.nodes[2].acker.Ack(within(t), Ack{Key: asks.session.Key, Conversations: []model.LogPosition{{ConversationID: model.Everyone, Acked: 2}}})
		must(t, err)
		_, err = w.nodes[2].acker.Ack(within(t), Ack{Key: asks.session.Key, Conversations: []model.LogPosition{{ConversationID: model.Everyone, Acked: 3}}})
		w.refused(err, model.CodePositionLost)
		for range 3 { // sees it, sees that it is not on its way, tells
			must(t, w.nodes[2].delivery.Sweep(t.Context()))
		}
		w.heard(deaf, 0, 2, 1)
		asks.silent() // it had read by itself
		w.nodes[0].delivery.LogsMissed()
		for range 4 { // nobody is told of what they have
			must(t, w.nodes[0].delivery.Sweep(t.Context()))
		}
		w.announce(0, "three")
		w.heard(here, 0, 3, 0)
		w.heard(lately, 1, 3, 0)
		w.heard(back, 0, 3, 1)
		for range 3 {
			must(t, w.nodes[2].delivery.Sweep(t.Context()))
		}
		w.heard(deaf, 0, 3, 2)
		here.leave()
		again := w.nodes[0].listen(t, here.key.UserID) // it has acked all
		w.announce(1, "four")
		w.heard(again, 3, 4, 0)

		list, more, err := w.announcements[0].List(within(t), 0, 3)
		must(t, err)
		equal(t, "more", more, true)
		equal(t, "newest first", list[0].ConversationSeq, 4)
		list, more, err = w.announcements[0].List(within(t), list[2].ConversationSeq, 3)
		must(t, err)
		equal(t, "more", more, false)
		equal(t, "the first", list[0].ID, first.ID)
	})
}

// TestAnnouncementsOfOne: what one user does with the conversation is theirs alone: they read, mute, pin, hide and
// delete there as elsewhere, and neither write, leave nor look who else is there.
func TestAnnouncementsOfOne(t *testing.T) {
	t.Parallel()
	onBothBackends(t, func(t *testing.T, store *model.Store) {
		w := newTown(t, store)
		me, other := w.nodes[0].user(t), w.nodes[0].user(t)
		talks := w.nodes[0].conversations
		contacts := model.FromContacts
		must(t, store.UpdateProfile(t.Context(), other, nil, nil, &contacts))
		w.announce(0, "one")
		second := w.announce(0, "two")

		for what, err := range map[string]error{
			"write": failed(w.sends.Send(within(t), Draft{Sender: me, ClientMsgID: "a", Conversation: model.Everyone, Type: model.TypeText, Body: `{"text":"hi"}`})),
			"type":  talks.Typing(within(t), me, model.Everyone),
		} {
			if model.CodeOf(err) != model.CodeMuted {
				t.Errorf("%s: got %v, want %s", what, err, model.CodeMuted)
			}
		}
		for what, err := range map[string]error{
			"leave":    w.groups.Remove(within(t), me, model.Everyone, me),
			"add":      w.groups.Add(within(t), me, model.Everyone, []model.UserID{other}),
			"rename":   failed(w.groups.Update(within(t), me, model.Everyone, GroupChange{Name: new("mine")})),
			"dissolve": failed(w.groups.Dissolve(within(t), me, model.Everyone)),
			"mute":     w.groups.Mute(within(t), me, model.Everyone, other, 1),
		} {
			if model.CodeOf(err) != model.CodeNotFound {
				t.Errorf("%s: got %v, want %s", what, err, model.CodeNotFound)
			}
		}
		members, _, err := w.groups.Members(within(t), me, model.Everyone, 0, 200)
		must(t, err)
		equal(t, "members that are listed", len(members), 0)
		_, _, err = talks.Receipts(within(t), me, model.Everyone, 0, 50)
		w.refused(err, model.CodeReceiptsOff)
		_, err = talks.MessageReceipts(within(t), me, second.ID, model.ReceiptAll, 0, 50)
		w.refused(err, model.CodeReceiptsOff)
		_, err = w.sends.Recall(within(t), me, second.ID)
		w.refused(err, model.CodeForbidden)
		_, err = w.sends.Send(within(t), hi(me, model.System, "b"))
		w.refused(err, model.CodeNotAccepting)

		read, err := talks.Read(within(t), me, model.Everyone, 1)
		must(t, err)
		equal(t, "read", read, 1)
		read, err = talks.Read(within(t), me, model.Everyone, 99)
		must(t, err)
		equal(t, "read", read, 2)
		read, err = talks.Read(within(t), other, model.Everyone, 1)
		must(t, err)
		equal(t, "read by the other", read, 1)
		_, err = w.sends.Send(within(t), hi(me, other, "c")) // both have read: that makes no contacts
		w.refused(err, model.CodeNotAccepting)
		equal(t, "unread", w.listed(me).Unread, 0)
		equal(t, "unread of the other", w.listed(other).Unread, 1)
		phone := w.nodes[1].listen(t, me) // a new device begins where its user has read
		w.announce(0, "three")
		w.heard(phone, 2, 3, 0)

		yes, no := true, false
		view, err := talks.Prefer(within(t), me, model.Everyone, model.Preferences{Muted: &yes, Pinned: &yes})
		must(t, err)
		equal(t, "muted and pinned", view.Muted && view.Pinned, true)
		view, err = talks.Prefer(within(t), me, model.Everyone, model.Preferences{Muted: &no, Hidden: &yes})
		must(t, err)
		equal(t, "muted", view.Muted, false)
		equal(t, "pinned", view.Pinned, true)
		equal(t, "receipts", view.Receipts, false)
		equal(t, "who may write", view.MuteAll, true)
		if w.listed(me) != nil || w.listed(other) == nil || w.listed(other).Pinned {
			t.Error("hidden and pinned are of one user")
		}
		last := w.announce(0, "four")
		equal(t, "unread", w.listed(me).Unread, 2)
		must(t, talks.Delete(within(t), me, last.ID))
		equal(t, "unread without what is deleted", w.listed(me).Unread, 1)
		equal(t, "last", w.listed(me).Last.ConversationSeq, 3)
		equal(t, "last of the other", w.listed(other).Last.ConversationSeq, 4)
	})
}

// TestAnnouncementsInList: the conversation has its place by activity in a list that is read page by page.
func TestAnnouncementsInList(t *testing.T) {
	t.Parallel()
	onBothBackends(t, func(t *testing.T, store *model.Store) {
		clock := newHandClock()
		n := newNode(t, store, standard, clock.now)
		server := miniredis.RunT(t)
		sends := n.messages(t, server)
		announcements := NewAnnouncements(store, sends, clock.now)
		me := n.user(t)
		var want []model.ConversationID
		for i := range 5 {
			clock.step(1_000_000_000)
			if i == 2 {
				_, err := announcements.Publish(within(t), "one", "one")
				must(t, err)
				want = append(want, model.Everyone)
				continue
			}
			sent, err := sends.Send(within(t), hi(n.user(t), me, "a"))
			must(t, err)
			want = append(want, sent.Message.ConversationID)
		}
		slices.Reverse(want)
		for _, limit := range []int{1, 2, 3, 50} {
			var got []model.ConversationID
			for cursor, more := (model.ListCursor{}), true; more && len(got) <= len(want); {
				var page []*model.View
				var err error
				page, more, err = n.conversations.List(within(t), me, cursor, limit)
				must(t, err)
				for _, v := range page {
					got = append(got, v.Conversation.ID)
				}
				last := page[len(page)-1]
				cursor = model.ListCursor{UpdatedAt: last.UpdatedAt, ID: last.Conversation.ID}
			}
			if !slices.Equal(got, want) {
				t.Errorf("pages of %d: got %v, want %v", limit, got, want)
			}
		}
	})
}

// failed is the error of a call whose answer does not matter.
func failed[T any](_ T, err error) error { return err }
