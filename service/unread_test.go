package service

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"pgregory.net/rapid"

	"ackbox/model"
)

// talk is what ought to be in a conversation, and in what way each of its people sees it: the
// plain model that the database's answers are compared with.
type talk struct {
	id       model.ConversationID
	open     bool // its past is open to who joined later
	messages []talked
	people   map[model.UserID]*part
}

// talked is a message: the one at index i has conversation_seq i+1.
type talked struct {
	id       model.MessageID
	sender   model.UserID
	said     bool // by a user, not by the server
	recalled bool
}

// part is one person's part in a talk.
type part struct {
	belongs      bool
	joined, read int64
	deleted      map[int64]bool // for themselves; it holds when they leave and come back
}

func (c *talk) head() int64 { return int64(len(c.messages)) }

// sees says whether a member may see a message, deleted or not.
func (c *talk) sees(user model.UserID, seq int64) bool { return c.open || seq > c.people[user].joined }

// members are the people who belong, ascending.
func (c *talk) members() (list []model.UserID) {
	for user, p := range c.people {
		if p.belongs {
			list = append(list, user)
		}
	}
	slices.Sort(list)
	return list
}

// visible are the conversation_seqs that a member's history has.
func (c *talk) visible(user model.UserID) (list []int64) {
	for seq := int64(1); seq <= c.head(); seq++ {
		if c.sees(user, seq) && !c.people[user].deleted[seq] {
			list = append(list, seq)
		}
	}
	return list
}

func (c *talk) unread(user model.UserID) (n int64) {
	p := c.people[user]
	for seq := max(p.read, p.joined) + 1; seq <= c.head(); seq++ {
		if c.messages[seq-1].sender != user && !p.deleted[seq] {
			n++
		}
	}
	return n
}

// TestUnreadAndLastMessage: whatever people send, read, recall and delete for themselves, and however they
// leave and come back, the list's unread and last_message, and the history, are what a
// recount gives.
func TestUnreadAndLastMessage(t *testing.T) {
	t.Parallel()
	onBothBackends(t, func(t *testing.T, store *model.Store) {
		n := newNode(t, store, standard, newHandClock().now)
		m := n.messages(t, miniredis.RunT(t))
		runs, began := 0, time.Now()
		rapid.Check(t, func(t *rapid.T) {
			if runs++; runs > 10 && (store.Dialect() == model.MySQL || time.Since(began) > 10*time.Second) {
				return // the rules are tried on SQLite, which is faster, but with the race detector; MySQL is for the SQL
			}
			must(t, n.ids.Renew(within(t))) // as a job does: with the race detector it takes long
			people := []model.UserID{n.user(t), n.user(t), n.user(t)}
			limit := rapid.SampledFrom([]int{1, 2, 100}).Draw(t, "mailbox limit") // a log, one that becomes a log, mailboxes
			groups := NewGroups(store, n.ids, n.writer, n.conversations, n.delivery, limit, 100, n.clock)
			view, _, err := groups.Create(within(t), people[0], "", "a group", people[1:2])
			must(t, err)
			group := &talk{id: view.Conversation.ID, people: map[model.UserID]*part{}}
			for i, user := range people {
				group.people[user] = &part{belongs: i < 2, deleted: map[int64]bool{}}
			}
			group.messages = []talked{{view.Last.ID, people[0], false, false}}
			id, err := n.conversations.Direct(within(t), people[0], people[1])
			must(t, err)
			direct := &talk{id: id, people: map[model.UserID]*part{}}
			for _, user := range people[:2] {
				direct.people[user] = &part{belongs: true, deleted: map[int64]bool{}}
			}
			w := &unreadWorld{node: n, m: m, groups: groups, people: people, group: group, talks: []*talk{group, group, direct}}
			t.Repeat(map[string]func(*rapid.T){
				"send": w.send, "send more": w.send, "read": w.read, "recall": w.recall, "delete": w.deletes,
				"leave or join": w.leaveOrJoin, "open or close": w.openOrClose, "": w.check,
			})
		})
	})
}

type unreadWorld struct {
	node   *node
	m      *Messages
	groups *Groups
	people []model.UserID
	group  *talk
	talks  []*talk
	checks int
}

// draw chooses a conversation and one who belongs to it.
func (w *unreadWorld) draw(t *rapid.T) (*talk, model.UserID) {
	c := w.talks[rapid.IntRange(0, len(w.talks)-1).Draw(t, "conversation")]
	return c, rapid.SampledFrom(c.members()).Draw(t, "who")
}

func (w *unreadWorld) send(t *rapid.T) {
	c, who := w.draw(t)
	sent, err := w.m.Send(within(t), Draft{Sender: who, ClientMsgID: fmt.Sprint(w.node.id(t)), Conversation: c.id, Type: model.TypeText, Body: `{"text":"hi"}`})
	must(t, err)
	c.messages = append(c.messages, talked{sent.Message.ID, who, true, false})
}

func (w *unreadWorld) read(t *rapid.T) {
	c, who := w.draw(t)
	upTo := rapid.Int64Range(0, c.head()+1).Draw(t, "up to")
	p := c.people[who]
	p.read = max(p.read, min(upTo, c.head()))
	got, err := w.node.conversations.Read(within(t), who, c.id, upTo)
	must(t, err)
	if got != p.read {
		t.Fatalf("read_seq %d, want %d", got, p.read)
	}
}

func (w *unreadWorld) recall(t *rapid.T) {
	c, who := w.draw(t)
	var own []int64
	for i, message := range c.messages {
		if message.said && message.sender == who && c.sees(who, int64(i)+1) {
			own = append(own, int64(i)+1)
		}
	}
	if len(own) == 0 {
		return
	}
	target := &c.messages[rapid.SampledFrom(own).Draw(t, "target")-1]
	_, err := w.m.Recall(within(t), who, target.id)
	must(t, err)
	if !target.recalled {
		target.recalled = true
		w.wrote(t, c, who)
	}
}

func (w *unreadWorld) deletes(t *rapid.T) {
	c, who := w.draw(t)
	if c.head() == 0 {
		return
	}
	// Mostly near the end, where last_message and unread are.
	seq := max(1, c.head()-rapid.SampledFrom([]int64{0, 0, 0, 1, 1, 2, 5, 20}).Draw(t, "back"))
	err := w.node.conversations.Delete(within(t), who, c.messages[seq-1].id)
	if !c.sees(who, seq) {
		wantError(t, err, model.CodeNotFound)
		return
	}
	must(t, err)
	c.people[who].deleted[seq] = true
}

func (w *unreadWorld) leaveOrJoin(t *rapid.T) {
	c, owner := w.group, w.people[0]
	who := rapid.SampledFrom(w.people[1:]).Draw(t, "who")
	p := c.people[who]
	if p.belongs {
		must(t, w.groups.Remove(within(t), who, c.id, who))
		p.belongs = false
		w.wrote(t, c, who)
		return
	}
	must(t, w.groups.Add(within(t), owner, c.id, []model.UserID{who}))
	p.belongs, p.joined, p.read = true, c.head(), c.head()
	w.wrote(t, c, owner)
}

func (w *unreadWorld) openOrClose(t *rapid.T) {
	c, owner := w.group, w.people[0]
	history := rapid.SampledFrom([]string{model.HistoryJoined, model.HistoryAll}).Draw(t, "history")
	_, err := w.groups.Update(within(t), owner, c.id, GroupChange{History: &history})
	must(t, err)
	if open := history == model.HistoryAll; open != c.open {
		c.open = open
		w.wrote(t, c, owner)
	}
}

// wrote takes in the message that the server has written for somebody's doing.
func (w *unreadWorld) wrote(t *rapid.T, c *talk, by model.UserID) {
	list, err := w.node.store.History(within(t), c.id, c.head(), 0, c.head()+1, true, 1)
	must(t, err)
	if len(list) != 1 || list[0].SenderID != by {
		t.Fatalf("after %d is %v, want a message by %d", c.head(), list, by)
	}
	c.messages = append(c.messages, talked{list[0].ID, by, false, false})
}

func (w *unreadWorld) check(t *rapid.T) {
	w.checks++
	for i, user := range w.people {
		views := map[model.ConversationID]*model.View{}
		list, more, err := w.node.conversations.List(within(t), user, model.ListCursor{}, 10_000)
		must(t, err)
		if more {
			t.Fatal("the list has more")
		}
		for _, view := range list {
			views[view.Conversation.ID] = view
		}
		for _, c := range w.talks[1:] {
			p, there := c.people[user]
			view := views[c.id]
			if listed := there && p.belongs && c.head() > 0; listed != (view != nil) {
				t.Fatalf("conversation %d is listed for %d: %t, want %t", c.id, user, view != nil, listed)
			}
			if view != nil {
				w.compare(t, c, user, view)
				if w.checks%len(w.people) == i { // one's history at a time: it is long
					w.compareHistory(t, c, user)
				}
			}
		}
	}
}

func (w *unreadWorld) compare(t *rapid.T, c *talk, user model.UserID, view *model.View) {
	if want := c.unread(user); view.Unread != want {
		t.Fatalf("unread of %d in %d: %d, a recount gives %d", user, c.id, view.Unread, want)
	}
	visible := c.visible(user)
	var last, want int64
	if view.Last != nil {
		last = view.Last.ConversationSeq
	}
	if len(visible) > 0 {
		want = visible[len(visible)-1]
	}
	if last != want || view.Head != c.head() {
		t.Fatalf("last_message of %d in %d: %d of %d, want %d of %d", user, c.id, last, view.Head, want, c.head())
	}
	if last != 0 && (view.Last.ID != c.messages[last-1].id || (view.Last.RecalledAt != 0) != c.messages[last-1].recalled) {
		t.Fatalf("last_message %+v, want %+v", view.Last, c.messages[last-1])
	}
}

func (w *unreadWorld) compareHistory(t *rapid.T, c *talk, user model.UserID) {
	visible, after := c.visible(user), int64(0)
	page, head, more, err := w.node.conversations.History(within(t), user, c.id, &after, nil, 100_000)
	must(t, err)
	got := make([]int64, len(page))
	for i, message := range page {
		got[i] = message.ConversationSeq
	}
	if head != c.head() || more || !slices.Equal(got, visible) {
		t.Fatalf("history of %d in %d up to %d: %v, want %v", user, c.id, head, got, visible)
	}
}
