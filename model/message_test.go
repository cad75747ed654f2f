package model

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// historyPages: ascending after, descending before, never beyond what is asked.
func historyPages(t *testing.T, s *Store) {
	ctx := within(t)
	id, a, b := direct(t, s)
	ids := said(t, s, id, a, 6, a, b)
	for _, c := range []struct {
		after, before, upTo int64
		ascending           bool
		limit               int
		want                []int64
	}{
		{0, 0, 6, false, 3, []int64{6, 5, 4}},
		{0, 4, 6, false, 2, []int64{3, 2}},
		{0, 1, 6, false, 2, nil},
		{0, 99, 6, false, 1, []int64{6}},
		{0, 0, 4, false, 9, []int64{4, 3, 2, 1}},
		{2, 0, 6, true, 2, []int64{3, 4}},
		{5, 0, 6, true, 9, []int64{6}},
		{6, 0, 6, true, 9, nil},
		{3, 0, 6, false, 9, []int64{6, 5, 4}},
	} {
		list, err := s.History(ctx, id, c.after, c.before, c.upTo, c.ascending, c.limit)
		ok(t, err)
		var got []int64
		for _, m := range list {
			got = append(got, m.ConversationSeq)
			want(t, "message", m.ID, ids[m.ConversationSeq-1])
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%+v: %s", c, diff)
		}
	}
	found, err := s.Messages(ctx, append([]MessageID{newMessageID()}, ids...))
	ok(t, err)
	want(t, "messages by id", len(found), 6)
	one, err := s.MessageByID(ctx, ids[2])
	ok(t, err)
	want(t, "message by id", one.ConversationSeq, 3)
	_, err = s.MessageByID(ctx, newMessageID())
	wantCode(t, err, CodeNotFound)

	// What people write comes back as it was, whatever the dialect makes of text.
	text := JSON(`{"text":"` + strings.Repeat("ß€😀\\u0000'\\\"; -- ", 2_000) + `"}`)
	odd := &Message{ID: newMessageID(), ConversationID: id, ConversationSeq: 7, SenderID: a, ClientMsgID: `a'b"c\d`, Type: TypeText, Body: text, Ext: `{"a":1}`, ReplyTo: ids[0], Mentions: Mentions{b, a}, CreatedAt: now}
	ok(t, s.InsertMessages(ctx, []*Message{odd}, nil))
	back, err := s.MessageByID(ctx, odd.ID)
	ok(t, err)
	odd.Quote = &Quote{MessageID: ids[0], ConversationSeq: 1, SenderID: a, Type: TypeText, Text: "hi"}
	if diff := cmp.Diff(odd, back); diff != "" {
		t.Error(diff)
	}
}

// TestMessageJSON: what is written by hand is what encoding/json reads.
func TestMessageJSON(t *testing.T) {
	t.Parallel()
	for _, m := range []Message{
		{ID: 1<<63 - 1, ConversationID: 2, ConversationSeq: 3, SenderID: 4, ClientMsgID: `k"\~!`, Type: TypeText, Body: `{"text":"ä"}`, Ext: `{"x":[1]}`, CreatedAt: now + 7},
		{ID: 1, ConversationID: 2, ConversationSeq: 3, SenderID: 4, ClientMsgID: "k", Type: TypeCustom, ReplyTo: 9, CreatedAt: now, RecalledAt: now + 1},
		{ID: 1, ConversationID: 2, ConversationSeq: 3, SenderID: 4, ClientMsgID: "k", Type: TypeText, Body: `{"text":"@all"}`, Ext: "{}", CreatedAt: now, Mentions: Mentions{Everybody}},
		{ID: 1, ConversationID: 2, ConversationSeq: 3, SenderID: 4, ClientMsgID: "k", Type: TypeText, Body: `{"text":"@you"}`, Ext: "{}", ReplyTo: 9, CreatedAt: now, Mentions: Mentions{7, 1<<63 - 1}, Quote: &Quote{MessageID: 9, ConversationSeq: 2, SenderID: 7, Type: TypeText, Text: "\x00\x1f\x7f\n\"\\ <ä\u2028😀>"}},
	} {
		text, err := json.Marshal(m)
		ok(t, err)
		var fields map[string]any
		ok(t, json.Unmarshal(text, &fields))
		if m.ReplyTo == 0 {
			want[any](t, "reply_to", fields["reply_to"], nil)
			want[any](t, "recalled_at", fields["recalled_at"], nil)
		}
		for _, name := range []string{"message_id", "conversation_id", "conversation_seq", "sender_id", "client_msg_id", "type", "body", "ext", "reply_to", "created_at", "recalled_at"} {
			if _, there := fields[name]; !there {
				t.Errorf("no %s in %s", name, text)
			}
		}
		expected := 11
		for name, there := range map[string]bool{"mentions": m.Mentions != nil, "quote": m.Quote != nil} {
			if _, is := fields[name]; is != there {
				t.Errorf("%s: there is %t in %s", name, is, text)
			}
			if there {
				expected++
			}
		}
		want(t, "fields", len(fields), expected)
		if m.ReplyTo == 0 {
			delete(fields, "reply_to")
		}
		if m.RecalledAt == 0 {
			delete(fields, "recalled_at")
		}
		text, err = json.Marshal(fields)
		ok(t, err)
		var back Message
		ok(t, json.Unmarshal(text, &back))
		if m.Body == "" {
			m.Body, m.Ext = "{}", "{}"
		}
		if diff := cmp.Diff(m, back); diff != "" {
			t.Error(diff)
		}
	}
}

func TestValidClientMsgID(t *testing.T) {
	t.Parallel()
	for id, valid := range map[string]bool{
		"x": true, "6f1c9f6e-3d0e-4c3b-9d4a-0e6f4c1e8a77": true, strings.Repeat("~", 64): true,
		"": false, strings.Repeat("x", 65): false, "a b": false, " a": false, "a ": false, "ä": false, "a\n": false, "a\x7f": false,
	} {
		if ValidClientMsgID(id) != valid {
			t.Errorf("%q: valid is %t", id, !valid)
		}
	}
}
