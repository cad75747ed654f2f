package service

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"golang.org/x/sync/errgroup"

	"ackbox/model"
)

// large is a group of 5,000 on two nodes: the owner, then the others by user id, brought in 500 at a time.
type large struct {
	t      *testing.T
	nodes  [2]*node
	groups [2]*Groups
	sends  [2]*Messages
	id     model.ConversationID
	users  []model.UserID
	head   int64
}

const largeMembers = 5_000

// TestLargeGroup: what is promised of groups holds for 5,000 members: whole member lists, one order for all who are
// online, a pull for who was not, positions and unread counts of one's own, and nothing for who has left.
func TestLargeGroup(t *testing.T) {
	t.Parallel()
	onBothBackends(t, func(t *testing.T, store *model.Store) {
		g := newLarge(t, store)
		early := []*listener{g.nodes[0].listen(t, g.users[0]), g.nodes[1].listen(t, g.users[1]), g.nodes[0].listen(t, g.users[600])}
		away := g.nodes[1].listen(t, g.users[2_501])
		away.leave()
		g.grow()
		g.list()
		online := slices.Clone(early)
		for i := range 15 { // they are told that they are behind
			online = append(online, g.nodes[i%2].listen(t, g.users[100+300*i]))
		}
		g.reach(online)
		g.say(8, 6)
		g.reach(online)

		back := g.nodes[0].listen(t, away.key.UserID)
		g.reach([]*listener{back})
		equal(t, "pulls of who was away", back.log(g.id).pulls, 1)
		g.unread()
		g.part(online)
	})
}

func newLarge(t *testing.T, store *model.Store) *large {
	t.Helper()
	g := &large{t: t}
	server, clock := miniredis.RunT(t), newHandClock().now // no lease ends, however slow the machine is
	for i := range g.nodes {
		n := newNode(t, store, standard, clock)
		n.delivery.SetAudiences(n.audiences)
		g.nodes[i], g.sends[i] = n, n.messages(t, server)
		g.groups[i] = NewGroups(store, n.ids, n.writer, n.conversations, n.delivery, 100, largeMembers, clock)
	}
	wire(t, g.nodes[0], g.nodes[1])
	wire(t, g.nodes[1], g.nodes[0])
	must(t, store.Tx(t.Context(), func(tx *model.Store) error {
		g.users = nil
		for len(g.users) < largeMembers+1 { // one too many
			id := model.UserID(g.nodes[0].id(t))
			if err := tx.CreateUser(t.Context(), &model.User{ID: id, Username: fmt.Sprint("u", id), Role: model.RoleUser}); err != nil {
				return err
			}
			g.users = append(g.users, id)
		}
		return nil
	}))
	return g
}

func (g *large) owner() model.UserID { return g.users[0] }

// joined is what is before a member's time.
func (g *large) joined(member int) int64 {
	if member == 0 {
		return 0
	}
	return int64((member - 1) / MaxMembersAdd)
}

// grow makes the group, up to the limit.
func (g *large) grow() {
	g.t.Helper()
	view, _, err := g.groups[0].Create(within(g.t), g.owner(), "", "everybody", g.users[1:1+MaxMembersAdd])
	must(g.t, err)
	g.id, g.head = view.Conversation.ID, 1
	for rest := range slices.Chunk(g.users[1+MaxMembersAdd:largeMembers], MaxMembersAdd) {
		must(g.t, g.groups[g.head%2].Add(within(g.t), g.owner(), g.id, rest))
		g.head++
	}
	err = g.groups[0].Add(within(g.t), g.owner(), g.id, g.users[largeMembers:])
	wantError(g.t, err, model.CodeValidation)
	var refusal *model.Error
	if !errors.As(err, &refusal) || len(refusal.Fields) != 1 || !strings.Contains(refusal.Fields[0].Message, fmt.Sprint(largeMembers)) {
		g.t.Errorf("one too many: %v, want the limit in words", err)
	}
	view, err = g.groups[1].Get(within(g.t), g.users[4_999], g.id)
	must(g.t, err)
	equal(g.t, "member_count", view.MemberCount, largeMembers)
	equal(g.t, "delivery", view.Delivery, model.DeliveryLog)
	equal(g.t, "head", view.Head, g.head)
}

// list pages the members.
func (g *large) list() {
	g.t.Helper()
	var listed []model.UserID
	pages := 0
	for after, more := model.UserID(0), true; more; pages++ {
		var page []*model.Member
		var err error
		page, more, err = g.groups[pages%2].Members(within(g.t), g.users[3_000], g.id, after, 200)
		must(g.t, err)
		for _, m := range page {
			listed = append(listed, m.UserID)
		}
		after = listed[len(listed)-1]
	}
	equal(g.t, "pages", pages, largeMembers/200)
	want := slices.Clone(g.users[:largeMembers])
	slices.Sort(want)
	if !slices.Equal(listed, want) {
		g.t.Errorf("%d members are listed, want %d by user id", len(listed), len(want))
	}
}

// say lets several members send at the same time.
func (g *large) say(senders, each int) {
	g.t.Helper()
	group, ctx := errgroup.WithContext(within(g.t))
	for i := range senders {
		group.Go(func() error {
			for n := range each {
				sent, err := g.sends[i%2].Send(ctx, Draft{Sender: g.users[i*611], ClientMsgID: fmt.Sprintf("%d.%d.%d", g.head, i, n), Conversation: g.id, Type: model.TypeText, Body: `{"text":"hi all"}`})
				if err != nil {
					return err
				}
				if sent.MailboxSeq != 0 {
					return fmt.Errorf("a message of a large group is in a mailbox at %d", sent.MailboxSeq)
				}
			}
			return nil
		})
	}
	must(g.t, group.Wait())
	g.head += int64(senders * each)
}

// reach: devices hold all that is theirs, and all of it is acked.
func (g *large) reach(devices []*listener) {
	g.t.Helper()
	for _, l := range devices {
		from := g.joined(slices.Index(g.users, l.key.UserID))
		eventually(g.t, "everything", func() bool {
			l.seen.Lock()
			defer l.seen.Unlock()
			if l.err != nil {
				g.t.Fatal(l.err)
			}
			return int64(len(l.log(g.id).seqs)) >= g.head-from
		})
		must(g.t, l.ackAll(within(g.t)))
		l.settled(g.t)
		l.seen.Lock()
		for s := range l.log(g.id).seqs {
			if s <= from || s > g.head {
				g.t.Errorf("%d was shown %d, want only from %d to %d", l.key.UserID, s, from+1, g.head)
			}
		}
		equal(g.t, "entries in a mailbox", len(l.mailbox), 0)
		l.seen.Unlock()
		positions, err := l.node.store.LogPositionsIn(g.t.Context(), g.id, []model.DeviceKey{l.key})
		must(g.t, err)
		equal(g.t, "position", positions[l.key], g.head)
	}
}

// unread: each counts what others said since they came, until they have read it.
func (g *large) unread() {
	g.t.Helper()
	for i, member := range []int{0, 1, 611, 612, 4_999} {
		list, head, more, err := g.nodes[0].conversations.History(within(g.t), g.users[member], g.id, seq(0), nil, 200)
		must(g.t, err)
		equal(g.t, "head", head, g.head)
		equal(g.t, "more", more, false)
		equal(g.t, "first that is theirs", list[0].ConversationSeq, g.joined(member)+1)
		equal(g.t, "how many are theirs", int64(len(list)), g.head-g.joined(member))
		want := int64(0)
		for _, m := range list {
			if m.SenderID != g.users[member] {
				want++
			}
		}
		view, err := g.groups[i%2].Get(within(g.t), g.users[member], g.id)
		must(g.t, err)
		equal(g.t, "unread", view.Unread, want)
		_, err = g.nodes[i%2].conversations.Read(within(g.t), g.users[member], g.id, g.head)
		must(g.t, err)
		view, err = g.groups[i%2].Get(within(g.t), g.users[member], g.id)
		must(g.t, err)
		equal(g.t, "unread after reading", view.Unread, 0)
	}
}

// part: who leaves and who is taken out is told nothing more.
func (g *large) part(online []*listener) {
	g.t.Helper()
	left, taken, rest := online[3], online[4], append(slices.Clone(online[:3]), online[5:]...)
	must(g.t, g.groups[0].Remove(within(g.t), left.key.UserID, g.id, left.key.UserID))
	must(g.t, g.groups[1].Remove(within(g.t), g.owner(), g.id, taken.key.UserID))
	before := g.head
	g.head += 2
	g.say(4, 2)
	g.reach(rest)
	for i, l := range []*listener{left, taken} {
		l.seen.Lock()
		if got := l.log(g.id).upTo; got > before+int64(i) {
			g.t.Errorf("who is out was shown %d, want nothing after %d", got, before+int64(i))
		}
		l.seen.Unlock()
		_, _, _, err := l.node.conversations.History(within(g.t), l.key.UserID, g.id, nil, nil, 1)
		wantError(g.t, err, model.CodeNotFound)
	}
	view, err := g.groups[0].Get(within(g.t), g.owner(), g.id)
	must(g.t, err)
	equal(g.t, "member_count", view.MemberCount, largeMembers-2)
}
