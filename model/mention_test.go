package model

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// write puts messages at the next places of a group with the given members, as the writer does.
func write(t *testing.T, s *Store, list ...*Message) {
	t.Helper()
	ctx := within(t)
	ok(t, s.Tx(ctx, func(tx *Store) error {
		for _, m := range list {
			heads, err := tx.AdvanceConversations(ctx, []ConversationCount{{m.ConversationID, 1}}, now)
			if err != nil {
				return err
			}
			m.ID, m.ConversationSeq, m.CreatedAt = newMessageID(), heads[m.ConversationID].Head, now
			if m.ClientMsgID, m.Ext = m.ID.String(), "{}"; m.Type == "" {
				m.Type, m.Body = TypeText, `{"text":"hi"}`
			}
		}
		if err := tx.FillQuotes(ctx, list); err != nil {
			return err
		}
		return tx.InsertMessages(ctx, list, nil)
	}))
}

// group is a group of new users; the first is its owner.
func group(t *testing.T, s *Store, size int) (id ConversationID, users []UserID) {
	t.Helper()
	ctx := within(t)
	for range size {
		users = append(users, newUser())
	}
	c := &Conversation{ID: newConversation(), Kind: Group, Name: "group", OwnerID: users[0], Delivery: DeliveryMailbox, History: HistoryJoined, MemberCount: int64(size), CreatedAt: now}
	ok(t, s.InsertGroup(ctx, c))
	ok(t, s.PutMembers(ctx, c.ID, users, RoleGroupMember, 0, now))
	return c.ID, users
}

// mentionsCounted: by name or as everybody, after the position, up to the head, not one's own.
func mentionsCounted(t *testing.T, s *Store) {
	ctx := within(t)
	id, users := group(t, s, 3)
	a, b, c := users[0], users[1], users[2]
	many := Mentions{b}
	for range 2 * MaxMentions { // more than goes into one statement of SQLite
		many = append(many, newUser())
	}
	first := &Message{ConversationID: id, SenderID: a, Mentions: Mentions{b, c}}
	all := &Message{ConversationID: id, SenderID: b, Mentions: Mentions{Everybody}}
	write(t, s, first, all, &Message{ConversationID: id, SenderID: a}, &Message{ConversationID: id, SenderID: b, Mentions: Mentions{b}}, &Message{ConversationID: id, SenderID: a, Mentions: many})
	elsewhere, _ := group(t, s, 1)
	write(t, s, &Message{ConversationID: elsewhere, SenderID: a, Mentions: Mentions{b, c}}, &Message{ConversationID: elsewhere, SenderID: a, Mentions: Mentions{Everybody}})
	counts := func(user UserID, wanted ...int64) { // after 0, 1, 2, …
		t.Helper()
		for after, n := range wanted {
			got, err := s.unreadMentions(ctx, id, user, int64(after), 5)
			ok(t, err)
			if got != n {
				t.Errorf("mentions of %d after %d: %d, want %d", user, after, got, n)
			}
		}
	}
	counts(a, 1, 1, 0, 0, 0, 0)
	counts(b, 2, 1, 1, 1, 1, 0)
	counts(c, 2, 1, 0, 0, 0, 0)
	counts(newUser(), 1, 1, 0, 0, 0, 0)
	got, err := s.unreadMentions(ctx, id, b, 0, 4)
	ok(t, err)
	want(t, "mentions up to 4", got, 1)
	seen := func(user UserID) int64 {
		t.Helper()
		list, err := s.Views(ctx, user, ListCursor{}, []ConversationID{id}, 1)
		ok(t, err)
		return list[0].UnreadMentions
	}
	want(t, "in b's view", seen(b), 2)
	_, _, err = s.RaiseRead(ctx, id, b, 1)
	ok(t, err)
	want(t, "in b's view after reading one", seen(b), 1)

	back, err := s.MessageByID(ctx, all.ID)
	ok(t, err)
	if diff := cmp.Diff(all, back); diff != "" {
		t.Error(diff)
	}
	for _, m := range []*Message{first, all} {
		ok(t, s.Tx(ctx, func(tx *Store) error { return tx.Recall(ctx, m, now+1) }))
		back, err = s.MessageByID(ctx, m.ID)
		ok(t, err)
		if diff := cmp.Diff(m, back); diff != "" || m.Mentions != nil {
			t.Errorf("%v\n%s", m.Mentions, diff)
		}
	}
	counts(a, 0)
	counts(b, 1)
	counts(c, 0)
	want(t, "rows that are left", number(t, s, "SELECT COUNT(*) FROM mentions WHERE conversation_id = ?", id), int64(len(many)+1))
}

// quotesRead: each way to read a reply shows what its target is now.
func quotesRead(t *testing.T, s *Store) {
	ctx := within(t)
	id, a, b := direct(t, s)
	long := strings.Repeat("ß😀", MaxQuote)
	target := &Message{ConversationID: id, SenderID: a, Type: TypeText, Body: JSON(`{"text":"` + long + `"}`)}
	image := &Message{ConversationID: id, SenderID: b, Type: TypeImage, Body: `{"name":"cat.png","url":"/cat"}`}
	card := &Message{ConversationID: id, SenderID: b, Type: TypeCard, Body: `{"name":7,"text":[]}`}
	write(t, s, target, image, card)
	reply, toImage, toCard := &Message{ConversationID: id, SenderID: b, ReplyTo: target.ID}, &Message{ConversationID: id, SenderID: a, ReplyTo: image.ID}, &Message{ConversationID: id, SenderID: a, ReplyTo: card.ID}
	nowhere := &Message{ConversationID: id, SenderID: a, ReplyTo: newMessageID()}
	write(t, s, reply, toImage, toCard, nowhere)
	if diff := cmp.Diff(&Quote{MessageID: target.ID, ConversationSeq: 1, SenderID: a, Type: TypeText, Text: strings.Repeat("ß😀", MaxQuote/2)}, reply.Quote); diff != "" {
		t.Error(diff)
	}
	want(t, "of an image", *toImage.Quote, Quote{MessageID: image.ID, ConversationSeq: 2, SenderID: b, Type: TypeImage, Text: "cat.png"})
	want(t, "of a card", *toCard.Quote, Quote{MessageID: card.ID, ConversationSeq: 3, SenderID: b, Type: TypeCard})
	if nowhere.Quote != nil || target.Quote != nil {
		t.Errorf("quotes %+v and %+v of nothing", nowhere.Quote, target.Quote)
	}
	var entries []Entry
	for i, m := range []*Message{target, reply, toImage} {
		entries = append(entries, Entry{UserID: b, Seq: int64(i + 1), MessageID: m.ID, ConversationID: id, ConversationSeq: m.ConversationSeq, SenderID: m.SenderID})
	}
	ok(t, s.run(ctx, s.insertEntries(entries)...))
	agree := func() {
		t.Helper()
		found := map[string]*Message{}
		for name, ascending := range map[string]bool{"history": true, "history before": false} {
			list, err := s.History(ctx, id, 3, 5, 99, ascending, 1)
			ok(t, err)
			found[name] = list[0]
		}
		pages, err := s.Mailbox(ctx, b, 1, 1)
		ok(t, err)
		found["mailbox"] = pages[0].Message
		found["by id"], err = s.MessageByID(ctx, reply.ID)
		ok(t, err)
		for name, m := range found {
			if diff := cmp.Diff(reply, m); diff != "" {
				t.Errorf("%s: %s", name, diff)
			}
		}
	}
	agree()
	ok(t, s.Tx(ctx, func(tx *Store) error { return tx.Recall(ctx, target, now) }))
	reply.Quote.Text, reply.Quote.Recalled = "", true
	agree()
	ok(t, s.Tx(ctx, func(tx *Store) error { return tx.Recall(ctx, reply, now) }))
	if reply.Quote != nil {
		t.Errorf("a recalled reply quotes %+v", reply.Quote)
	}
	agree()
	recall := &Message{ConversationID: id, SenderID: a, Type: TypeRecall, Body: "{}", ReplyTo: target.ID}
	write(t, s, recall)
	if recall.Quote != nil {
		t.Errorf("a recall quotes %+v", recall.Quote)
	}
}

func TestMentionsText(t *testing.T) {
	t.Parallel()
	for text, m := range map[string]Mentions{`"all"`: {Everybody}, `["7"]`: {7}, `["7","9223372036854775807"]`: {7, 1<<63 - 1}} {
		encoded, err := json.Marshal(m)
		ok(t, err)
		want(t, "in JSON", string(encoded), text)
		want(t, "in the database", m.column(), text)
		var read Mentions
		ok(t, json.Unmarshal([]byte(text), &read))
		for _, column := range []any{text, []byte(text)} {
			var scanned Mentions
			ok(t, scanned.Scan(column))
			if diff := cmp.Diff([]Mentions{m, m}, []Mentions{read, scanned}); diff != "" {
				t.Error(diff)
			}
		}
	}
	read := Mentions{1}
	for _, nobody := range []any{"", []byte{}} {
		if err := read.Scan(nobody); err != nil || read != nil || read.column() != "" {
			t.Errorf("%v, %v", read, err)
		}
	}
	ok(t, json.Unmarshal([]byte("null"), &read))
	for _, bad := range []string{`"some"`, `[7]`, `["0"]`, `["all"]`, `{}`, `7`} {
		if err := json.Unmarshal([]byte(bad), &read); err == nil {
			t.Errorf("%s was read as %v", bad, read)
		}
	}
	if err := read.Scan(7); err == nil {
		t.Error("a number was read from the database")
	}
	longest := make(Mentions, MaxMentions)
	for i := range longest {
		longest[i] = 1<<63 - 1
	}
	if n := len(longest.column()); n > 1200 {
		t.Errorf("the longest has %d characters, more than the column", n)
	}
}
