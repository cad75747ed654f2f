package service

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"golang.org/x/sync/errgroup"
	"pgregory.net/rapid"

	"ackbox/model"
)

// location is the field that an error of validation names.
func location(t tester, err error) string {
	t.Helper()
	var e *model.Error
	if model.CodeOf(err) == model.CodeValidation {
		e, _ = err.(*model.Error) //nolint:errorlint // the checks answer it bare
	}
	if e == nil || len(e.Fields) != 1 {
		t.Fatalf("got %v, want one bad field", err)
	}
	return e.Fields[0].Location
}

func TestCheckMentions(t *testing.T) {
	t.Parallel()
	many := make(model.Mentions, model.MaxMentions+1)
	for i := range many {
		many[i] = model.UserID(i + 1)
	}
	for _, good := range []model.Mentions{nil, {model.Everybody}, {1}, {2, 1}, many[1:]} {
		must(t, checkMentions(good))
	}
	for _, c := range []struct {
		bad  model.Mentions
		want string
	}{
		{model.Mentions{}, "body.mentions"}, {many, "body.mentions"},
		{model.Mentions{1, model.Everybody}, "body.mentions[1]"}, {model.Mentions{model.Everybody, model.Everybody}, "body.mentions[0]"},
		{model.Mentions{1, 2, 1}, "body.mentions[2]"}, {model.Mentions{-1}, "body.mentions[0]"},
	} {
		if got := location(t, checkMentions(c.bad)); got != c.want {
			t.Errorf("%v: %s, want %s", c.bad, got, c.want)
		}
	}
	group := &model.Audience{Kind: model.Group, Members: []model.UserID{3, 5, 9}}
	direct := &model.Audience{Kind: model.Direct, Members: []model.UserID{3, 5}}
	for _, good := range []model.Mentions{nil, {model.Everybody}, {9, 3}} {
		must(t, mayMention(group, good))
	}
	equal(t, "a stranger", location(t, mayMention(group, model.Mentions{9, 4})), "body.mentions[1]")
	must(t, mayMention(direct, nil))
	for _, bad := range []model.Mentions{{3}, {model.Everybody}} {
		equal(t, "in a direct conversation", location(t, mayMention(direct, bad)), "body.mentions")
	}
}

// TestMentionsInTheHash: they are content, and who mentions nobody has the hash of old.
func TestMentionsInTheHash(t *testing.T) {
	t.Parallel()
	hash := func(m model.Mentions) string {
		return fmt.Sprintf("%x", contentHash(&model.Message{ConversationID: 1, Type: model.TypeText, Body: `{"text":"hi"}`, Ext: "{}", Mentions: m}))
	}
	equal(t, "of a message without mentions", hash(nil), "a9a1ea9b9da538cdc62a032a20a0d13e")
	seen := map[string]model.Mentions{}
	for _, m := range []model.Mentions{nil, {model.Everybody}, {1}, {1, 2}, {2, 1}, {12}} {
		if other, twice := seen[hash(m)]; twice {
			t.Errorf("%v and %v have one hash", m, other)
		}
		seen[hash(m)] = m
	}
}

// TestMentionOfANewMember: a member whom this node does not know yet can be mentioned.
func TestMentionOfANewMember(t *testing.T) {
	t.Parallel()
	n := newNode(t, sqliteStore(t), standard, time.Now)
	m := n.messages(t, miniredis.RunT(t))
	owner, late := n.user(t), n.user(t)
	id := n.group(t, owner)
	draft := Draft{Sender: owner, ClientMsgID: "k", Conversation: id, Type: model.TypeText, Body: `{"text":"hi"}`, Mentions: model.Mentions{late}}
	_, err := m.Send(within(t), draft)
	equal(t, "a stranger", location(t, err), "body.mentions[0]")
	stale, err := n.audiences.Get(t.Context(), id)
	must(t, err)
	must(t, n.groups().Add(within(t), owner, id, []model.UserID{late}))
	n.audiences.Put(stale) // as on a node that has not written into the group since
	sent, err := m.Send(within(t), draft)
	must(t, err)
	equal(t, "mentioned", sent.Message.Mentions[0], late)
}

func (n *node) groups() *Groups {
	return NewGroups(n.store, n.ids, n.writer, n.conversations, n.delivery, 100, 1_000, n.clock)
}

// group makes a group.
func (n *node) group(t tester, owner model.UserID, others ...model.UserID) model.ConversationID {
	t.Helper()
	view, _, err := n.groups().Create(within(t), owner, "", "a group", others)
	must(t, err)
	return view.Conversation.ID
}

// TestUnreadMentions: whatever people send, mention, quote, recall, read, join and leave, the
// counter is what a recount of the history gives, and no quote shows what was recalled.
func TestUnreadMentions(t *testing.T) {
	t.Parallel()
	onBothBackends(t, func(t *testing.T, store *model.Store) {
		server := miniredis.RunT(t)
		n := newNode(t, store, standard, newHandClock().now)
		m := n.messages(t, server)
		groups := n.groups()
		people := []model.UserID{n.user(t), n.user(t), n.user(t), n.user(t)}
		rapid.Check(t, func(t *rapid.T) { mentionHistory(t, n, m, groups, people) })
	})
}

func mentionHistory(t *rapid.T, n *node, m *Messages, groups *Groups, people []model.UserID) {
	owner := people[0]
	id := n.group(t, owner, people[1:]...)
	members := slices.Clone(people)
	var sent []*model.Message
	texts := map[model.MessageID]string{} // what was said and not recalled
	one := func(t *rapid.T) model.UserID { return rapid.SampledFrom(members).Draw(t, "who") }
	t.Repeat(map[string]func(*rapid.T){
		"send": func(t *rapid.T) {
			text := rapid.SampledFrom([]string{"hm", `a "quote" \`, "\n<&>\x00!", strings.Repeat("🦊", 121)}).Draw(t, "text")
			body, err := json.Marshal(map[string]string{"text": text})
			must(t, err)
			d := Draft{Sender: one(t), ClientMsgID: fmt.Sprint(n.id(t)), Conversation: id, Type: model.TypeText, Body: model.JSON(body)}
			switch rapid.SampledFrom([]string{"nobody", "some", "some", "all"}).Draw(t, "mentions") {
			case "some":
				d.Mentions = rapid.SliceOfNDistinct(rapid.SampledFrom(members), 1, len(members), rapid.ID).Draw(t, "mentioned")
			case "all":
				d.Mentions = model.Mentions{model.Everybody}
			}
			if visible := slices.DeleteFunc(slices.Clone(sent), func(m *model.Message) bool { return m.ConversationSeq <= n.joined(t, id, d.Sender) }); len(visible) > 0 && rapid.Bool().Draw(t, "is a reply") {
				d.ReplyTo = rapid.SampledFrom(visible).Draw(t, "reply to").ID
			}
			answer, err := m.Send(within(t), d)
			must(t, err)
			sent = append(sent, answer.Message)
			texts[answer.Message.ID] = text
			checkQuote(t, answer.Message, texts)
		},
		"recall": func(t *rapid.T) {
			if len(sent) == 0 {
				return
			}
			target := rapid.SampledFrom(sent).Draw(t, "target")
			if target.ConversationSeq <= n.joined(t, id, owner) {
				return
			}
			_, err := m.Recall(within(t), owner, target.ID)
			must(t, err)
			delete(texts, target.ID)
		},
		"read": func(t *rapid.T) {
			_, err := n.conversations.Read(within(t), one(t), id, rapid.Int64Range(0, int64(2*len(sent)+3)).Draw(t, "up to"))
			must(t, err)
		},
		"leave or come back": func(t *rapid.T) {
			who := rapid.SampledFrom(people[1:]).Draw(t, "who")
			if i := slices.Index(members, who); i >= 0 {
				must(t, groups.Remove(within(t), who, id, who))
				members = slices.Delete(members, i, i+1)
				return
			}
			must(t, groups.Add(within(t), owner, id, []model.UserID{who}))
			members = append(members, who)
		},
		"": func(t *rapid.T) {
			for _, me := range members {
				view, err := n.conversations.Get(within(t), me, id)
				must(t, err)
				list, err := n.store.History(within(t), id, max(view.ReadSeq, view.JoinedSeq), 0, view.Head, true, 1_000)
				must(t, err)
				recount := int64(0)
				for _, message := range list {
					if message.SenderID != me && (message.Mentions.Everybody() || slices.Contains(message.Mentions, me)) {
						recount++
					}
					checkQuote(t, message, texts)
				}
				if view.UnreadMentions != recount || view.UnreadMentions > view.Unread {
					t.Fatalf("unread_mentions of %d: %d, a recount gives %d (%d unread)", me, view.UnreadMentions, recount, view.Unread)
				}
			}
		},
	})
}

func (n *node) joined(t tester, id model.ConversationID, user model.UserID) int64 {
	t.Helper()
	member, err := n.store.MemberOf(within(t), id, user)
	must(t, err)
	return member.JoinedSeq
}

// checkQuote: a reply quotes its target as it is now; nothing else has a quote.
func checkQuote(t tester, m *model.Message, texts map[model.MessageID]string) {
	t.Helper()
	if m.ReplyTo == 0 || m.RecalledAt != 0 || m.Type == model.TypeRecall {
		if m.Quote != nil {
			t.Fatalf("%+v has a quote", m)
		}
		return
	}
	said, there := texts[m.ReplyTo]
	var shown struct {
		Quote model.Quote `json:"quote"`
	}
	must(t, json.Unmarshal(m.AppendJSON(nil), &shown))
	want := []rune(said) // "" when it was recalled
	if shown.Quote.MessageID != m.ReplyTo || shown.Quote.Recalled == there || shown.Quote.Text != string(want[:min(len(want), model.MaxQuote)]) {
		t.Fatalf("%s: want a quote of %q", m.AppendJSON(nil), said)
	}
}

// TestQuoteInTheAckQueue: what is pushed again quotes nothing that was recalled.
func TestQuoteInTheAckQueue(t *testing.T) {
	t.Parallel()
	queue, err := NewAckQueue(10)
	must(t, err)
	clock := newHandClock()
	s := &Session{}
	target := &model.Message{ID: 5, ConversationID: 1, ConversationSeq: 1, SenderID: 2, ClientMsgID: "k", Type: model.TypeText, Body: "{}", Ext: "{}", RecalledAt: 1}
	reply := func(id, to model.MessageID) *model.Message {
		return &model.Message{
			ID: id, ConversationID: 1, ConversationSeq: 2, SenderID: 2, ClientMsgID: "k", Type: model.TypeCustom, Ext: "{}", ReplyTo: to,
			Body:  `{"x":{"y":1,"quote":{"message_id":"5","text":"mine","recalled":false}}}`,
			Quote: &model.Quote{MessageID: to, ConversationSeq: 1, SenderID: 2, Type: model.TypeText, Text: `secret,"quote":{"message_id":"7","text":"`},
		}
	}
	of5, of6 := reply(8, 5), reply(9, 6)
	none := reply(10, 0)
	none.Quote = nil
	for i, m := range []*model.Message{of5, of6, none} {
		queue.Add(s, int64(i+1), 1, m.AppendJSON(nil), clock.now())
	}
	untouched := []string{string(of6.AppendJSON(nil)), string(none.AppendJSON(nil))}
	queue.Recall("5", target.AppendJSON(nil))
	of5.Quote.Text, of5.Quote.Recalled = "", true
	for range 2 { // again and again
		clock.step(time.Minute)
		due := queue.Overdue(clock.now(), time.Second, 10)
		equal(t, "due", len(due), 3)
		equal(t, "a reply to what was recalled", string(due[0].Message), string(of5.AppendJSON(nil)))
		equal(t, "another reply", string(due[1].Message), untouched[0])
		equal(t, "no reply", string(due[2].Message), untouched[1])
	}
}

// TestReplyRacesRecall: a reply that comes after a recall in the order quotes nothing any more.
func TestReplyRacesRecall(t *testing.T) {
	t.Parallel()
	onBothBackends(t, func(t *testing.T, store *model.Store) {
		server := miniredis.RunT(t)
		nodes := []*node{newNode(t, store, standard, newHandClock().now), newNode(t, store, standard, time.Now)}
		a, b := nodes[0].user(t), nodes[0].user(t)
		sends := []*Messages{nodes[0].messages(t, server), nodes[1].messages(t, server)}
		after := 0
		for round := range 40 {
			target, err := sends[0].Send(within(t), hi(a, b, fmt.Sprint("target-", round)))
			must(t, err)
			replies := make([]*model.Message, 4)
			group, ctx := errgroup.WithContext(within(t))
			for i := range replies {
				group.Go(func() error {
					reply := hi(b, a, fmt.Sprintf("reply-%d-%d", round, i))
					reply.ReplyTo = target.Message.ID
					sent, err := sends[i%2].Send(ctx, reply)
					replies[i] = sent.Message
					return err
				})
			}
			group.Go(func() error {
				_, err := sends[0].Recall(ctx, a, target.Message.ID)
				return err
			})
			must(t, group.Wait())
			list, err := store.History(within(t), target.Message.ConversationID, target.Message.ConversationSeq, 0, 1<<62, true, 10)
			must(t, err)
			recall := list[slices.IndexFunc(list, func(m *model.Message) bool { return m.Type == model.TypeRecall })]
			for _, reply := range replies {
				later := reply.ConversationSeq > recall.ConversationSeq
				if later {
					after++
				}
				if reply.Quote == nil || reply.Quote.Recalled != later || (reply.Quote.Text == "") != later {
					t.Errorf("message %d, recalled at %d, was sent with the quote %+v", reply.ConversationSeq, recall.ConversationSeq, reply.Quote)
				}
			}
			for _, m := range list {
				if m.ReplyTo == target.Message.ID && m.Type != model.TypeRecall && (m.Quote == nil || !m.Quote.Recalled) {
					t.Errorf("history has the quote %+v", m.Quote)
				}
			}
		}
		t.Logf("%d of 160 replies came after the recall", after)
	})
}

// TestQuotedFields: a quote looks at the known fields only; whatever the others are, one can reply.
func TestQuotedFields(t *testing.T) {
	t.Parallel()
	onBothBackends(t, func(t *testing.T, store *model.Store) {
		n := newNode(t, store, standard, newHandClock().now)
		m := n.messages(t, miniredis.RunT(t))
		a, b := n.user(t), n.user(t)
		for i, c := range []struct {
			kind model.MessageType
			body model.JSON
			want string
		}{
			{model.TypeFile, `{"url":"/f","name":"plan.pdf","text":"no"}`, "plan.pdf"},
			{model.TypeImage, `{"url":"/f","text":5}`, ""},
			{model.TypeImage, `{"url":"/f","NAME":{"a":1},"Text":["no"]}`, ""},
			{model.TypeAudio, `{"url":"/f","NAME":"no","name":"yes","nAme":"no"}`, "yes"},
			{model.TypeCustom, `{"text":5,"name":6}`, ""},
			{model.TypeText, model.JSON(`{"text":"` + strings.Repeat("ü", model.MaxQuote+1) + `"}`), strings.Repeat("ü", model.MaxQuote)},
		} {
			draft := hi(a, b, fmt.Sprint("target", i))
			draft.Type, draft.Body = c.kind, c.body
			target, err := m.Send(within(t), draft)
			must(t, err)
			reply := hi(b, a, fmt.Sprint("reply", i))
			reply.ReplyTo = target.Message.ID
			sent, err := m.Send(within(t), reply)
			if err != nil {
				t.Errorf("a reply to %s: %v", c.body, err)
				continue
			}
			equal(t, "quote of "+string(c.body), sent.Message.Quote.Text, c.want)
		}
	})
}
