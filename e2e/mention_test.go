package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"ackbox/client"
)

// mention is a draft that calls people in a group.
func mention(id client.ConversationID, who ...client.UserID) client.Draft {
	d := client.TextIn(id, uuid.NewString(), "look here")
	d.Mentions = who
	return d
}

// mentioned checks how many unread mentions a conversation shows.
func (a *actor) mentioned(id client.ConversationID, want int64) {
	a.t.Helper()
	page, err := a.Conversations(within(a.t, patience), "", 0)
	if err != nil {
		a.t.Fatal(err)
	}
	list := slices.Collect(func(yield func(client.Conversation) bool) {
		for _, c := range append(page.Conversations, a.conversation(id)) {
			if c.ConversationID == id && !yield(c) {
				return
			}
		}
	})
	if len(list) != 2 || list[0].UnreadMentions != want || list[1].UnreadMentions != want {
		a.t.Fatalf("unread_mentions: want %d in %+v", want, list)
	}
}

// mentions: who is called sees it everywhere the message is, and has it counted until it is read or taken back.
func mentions(t *testing.T, s *system) {
	people := s.users(t, 4)
	alice, bob, carol, dave := people[0], people[1], people[2], people[3]
	id := alice.group(bob, carol)
	phone := bob.openLive("phone")

	draft := mention(id, carol.id(), bob.id())
	first := alice.sendDraft(draft)
	if !slices.Equal(first.Message.Mentions, draft.Mentions) {
		t.Errorf("mentions %v, want %v", first.Message.Mentions, draft.Mentions)
	}
	pushed := phone.until("the mention", func(f client.Frame) bool {
		return f.Type == "message" && f.Message.MessageID == first.Message.MessageID
	})
	places := map[string][]client.Message{"push": {pushed.Message}, "mailbox": of(id, bob.wholeMailbox())[1:], "history": bob.wholeHistory(id, 1), "list": {*bob.conversation(id).LastMessage}}
	for where, got := range places {
		if len(got) != 1 || difference(first.Message, got[0]) != "" {
			t.Errorf("%s: %+v, want the mention", where, got)
		}
	}
	alice.repeat(draft, first)
	bob.mentioned(id, 1)
	carol.mentioned(id, 1)
	alice.mentioned(id, 0)

	all := alice.sendDraft(mention(id, client.Everybody))
	if !slices.Equal(all.Message.Mentions, client.Mentions{client.Everybody}) {
		t.Errorf("mentions %v, want all", all.Message.Mentions)
	}
	plain := alice.say(id, "nobody in particular")
	pushed = phone.until("the plain message", func(f client.Frame) bool {
		return f.Type == "message" && f.Message.MessageID == plain.Message.MessageID
	})
	if strings.Contains(string(pushed.Raw), "mentions") || strings.Contains(string(pushed.Raw), "quote") {
		t.Errorf("pushed %s: mentions nobody and quotes nothing", pushed.Raw)
	}
	bob.sendDraft(mention(id, bob.id())) // one's own are not counted
	bob.mentioned(id, 2)
	carol.mentioned(id, 2)
	alice.mentioned(id, 0)

	// Who comes later was not called.
	if err := alice.AddMembers(within(t, patience), id, dave.id()); err != nil {
		t.Fatal(err)
	}
	dave.mentioned(id, 0)
	toDave := alice.sendDraft(mention(id, dave.id()))
	dave.mentioned(id, 1)

	// What was taken back calls nobody.
	back, err := alice.Recall(within(t, patience), first.Message.MessageID)
	if err != nil || back.Mentions != nil {
		t.Errorf("recall: %+v, %v", back, err)
	}
	bob.mentioned(id, 1)
	carol.mentioned(id, 1)
	if got := carol.wholeHistory(id, 1)[0]; got.RecalledAt == nil || got.Mentions != nil {
		t.Errorf("history has %+v", got)
	}
	if _, err := bob.Read(within(t, patience), id, all.Message.ConversationSeq); err != nil {
		t.Fatal(err)
	}
	bob.mentioned(id, 0)
	if _, err := alice.Recall(within(t, patience), all.Message.MessageID); err != nil {
		t.Fatal(err)
	}
	carol.mentioned(id, 0)

	// The mentions are part of what a key stands for; and what was accepted stays accepted.
	draft = mention(id, dave.id())
	kept := alice.sendDraft(draft)
	for _, other := range []client.Mentions{nil, {client.Everybody}, {bob.id()}} {
		changed := draft
		changed.Mentions = other
		refused(t, sendError(alice.Send(within(t, patience), changed)), "idempotency_key_reused", http.StatusUnprocessableEntity)
	}
	if err := dave.RemoveMember(within(t, patience), id, dave.id()); err != nil {
		t.Fatal(err)
	}
	alice.repeat(draft, kept)
	field(t, sendError(alice.Send(within(t, patience), mention(id, bob.id(), dave.id()))), "body.mentions[1]")

	// Who comes back begins anew.
	if err := alice.AddMembers(within(t, patience), id, dave.id()); err != nil {
		t.Fatal(err)
	}
	dave.mentioned(id, 0)
	if got := alice.wholeHistory(id, toDave.Message.ConversationSeq-1)[0]; !slices.Equal(got.Mentions, client.Mentions{dave.id()}) {
		t.Errorf("history has %+v", got)
	}
}

// field checks that err is a 422 that names a field.
func field(t *testing.T, err error, location string) {
	t.Helper()
	problem := refused(t, err, "", http.StatusUnprocessableEntity)
	if !slices.ContainsFunc(problem.Errors, func(f client.ProblemField) bool { return f.Location == location }) {
		t.Errorf("%v %+v, want %s", problem, problem.Errors, location)
	}
}

// badMentions: each is refused and stores nothing.
func badMentions(t *testing.T, s *system) {
	people := s.users(t, 3)
	alice, bob, stranger := people[0], people[1], people[2]
	id := alice.group(bob)
	list := func(n int) string {
		ids := make([]string, n)
		for i := range ids {
			ids[i] = fmt.Sprintf(`"%d"`, i+1)
		}
		return "[" + strings.Join(ids, ",") + "]"
	}
	me, other := string(alice.id()), string(bob.id())
	for name, want := range map[string]struct{ mentions, location string }{
		"a stranger":         {`["` + other + `","` + string(stranger.id()) + `"]`, "body.mentions[1]"},
		"nobody's id":        {`["9007199254740993"]`, "body.mentions[0]"},
		"one twice":          {`["` + me + `","` + other + `","` + me + `"]`, "body.mentions"},
		"51":                 {list(51), "body.mentions"},
		"50 that are nobody": {list(50), "body.mentions[0]"},
		"none":               {`[]`, "body.mentions"},
		"all in a list":      {`["all"]`, "body.mentions"},
		"all and one":        {`["all","` + other + `"]`, "body.mentions"},
		"zero":               {`["0"]`, "body.mentions"},
		"negative":           {`["-1"]`, "body.mentions"},
		"empty id":           {`[""]`, "body.mentions"},
		"2^63":               {`["9223372036854775808"]`, ""},
		"an id alone":        {`"` + other + `"`, "body.mentions"},
		"everyone":           {`"everyone"`, "body.mentions"},
		"capitals":           {`"ALL"`, "body.mentions"},
		"empty":              {`""`, "body.mentions"},
		"a number":           {`5`, "body.mentions"},
		"numbers":            {`[5]`, "body.mentions"},
		"null in a list":     {`[null]`, "body.mentions"},
		"lists":              {`[["` + other + `"]]`, "body.mentions"},
		"an object":          {`{"all":true}`, "body.mentions"},
		"true":               {`true`, "body.mentions"},
	} {
		t.Run(name, func(t *testing.T) {
			body := fmt.Sprintf(`{"client_msg_id":%q,"conversation_id":%q,"type":"text","body":{"text":"hi"},"mentions":%s}`, uuid.NewString(), id, want.mentions)
			problem := alice.answers(t, client.Request{Method: http.MethodPost, Path: "/v1/messages", Raw: []byte(body)}, unprocessable)
			if want.location != "" && !slices.ContainsFunc(problem.Errors, func(f client.ProblemField) bool { return strings.HasPrefix(f.Location, want.location) }) {
				t.Errorf("%+v, want %s", problem, want.location)
			}
		})
	}
	// Only in groups; and who does not belong is not told what it is.
	direct := alice.send(bob, "hi")
	draft := client.Text(bob.id(), uuid.NewString(), "hi")
	for _, who := range []client.Mentions{{bob.id()}, {client.Everybody}} {
		draft.Mentions = who
		field(t, sendError(alice.Send(within(t, patience), draft)), "body.mentions")
		field(t, sendError(alice.Send(within(t, patience), mention(direct.Message.ConversationID, who...))), "body.mentions")
		refused(t, sendError(stranger.Send(within(t, patience), mention(direct.Message.ConversationID, who...))), "", http.StatusNotFound)
		refused(t, sendError(stranger.Send(within(t, patience), mention(id, who...))), "", http.StatusNotFound)
	}
	draft.Mentions = nil
	alice.sendDraft(draft) // the key was not used up
	if got := alice.wholeHistory(id, 0); len(got) != 1 {
		t.Errorf("history %+v, want the notice only", got)
	}
	bob.mentioned(id, 0)

	// Fifty is not too many.
	full := make([]client.UserID, 50)
	for i, one := range s.crowd(t, 50) {
		full[i] = one.id()
	}
	c, _, err := alice.CreateGroup(within(t, patience), "fifty", full...)
	if err != nil {
		t.Fatal(err)
	}
	if sent := alice.sendDraft(mention(c.ConversationID, full...)); !slices.Equal(sent.Message.Mentions, full) {
		t.Errorf("mentions %v, want all fifty", sent.Message.Mentions)
	}
}

// replying is a draft that answers a message.
func replying(to client.Sent, text string) client.Draft {
	d := client.TextIn(to.Message.ConversationID, uuid.NewString(), text)
	d.ReplyTo = to.Message.MessageID
	return d
}

// quotes: a reply shows what it answers, everywhere, and nothing of it once it was taken back.
func quotes(t *testing.T, s *system) {
	alice, bob := s.user(t), s.user(t)
	id := alice.group(bob)
	phone := bob.openLive("phone")
	long := "line\n\"two\" \\ <b>\u0001" + strings.Repeat("🦊", 200)
	asked := alice.say(id, long)
	draft := replying(asked, "answer")
	answer := alice.sendDraft(draft)
	want := client.Quote{MessageID: asked.Message.MessageID, ConversationSeq: asked.Message.ConversationSeq, SenderID: alice.id(), Type: "text", Text: string([]rune(long)[:120])}
	// everywhere is the reply as all ways show it; they must agree.
	everywhere := func(what string) client.Message {
		t.Helper()
		seq := answer.Message.ConversationSeq
		again, err := alice.Send(within(t, patience), draft)
		if err != nil || !again.Duplicate {
			t.Fatalf("repeat: %+v, %v", again, err)
		}
		page, err := alice.History(within(t, patience), id, map[string][]string{"before_seq": {fmt.Sprint(seq + 1)}, "limit": {"1"}})
		if err != nil || len(page.Messages) != 1 {
			t.Fatalf("history: %+v, %v", page, err)
		}
		pull := bob.sync(client.Pull{DeviceID: "tablet", After: 2, Limit: 1})
		for where, m := range map[string]client.Message{"mailbox": of(id, bob.wholeMailbox())[seq-1], "sync": pull.Entries[0].Message, "history": bob.wholeHistory(id, 0)[seq-1], "history before": page.Messages[0]} {
			if d := difference(again.Message, m); d != "" {
				t.Errorf("%s: the reply in the %s (-repeated send):\n%s", what, where, d)
			}
		}
		return again.Message
	}
	pushed := phone.until("the reply", func(f client.Frame) bool {
		return f.Type == "message" && f.Message.MessageID == answer.Message.MessageID
	})
	for where, m := range map[string]client.Message{"push": pushed.Message, "answer": answer.Message, "list": *bob.conversation(id).LastMessage, "later": everywhere("at first")} {
		if m.Quote == nil || *m.Quote != want {
			t.Errorf("%s: quote %+v, want %+v", where, m.Quote, want)
		}
	}

	// What is no text shows a file's name, or nothing.
	file := alice.sendDraft(client.Draft{ClientMsgID: uuid.NewString(), ConversationID: id, Type: "file", Body: map[string]any{"url": "/files/1", "name": "plan.pdf", "text": "no"}})
	place := alice.sendDraft(client.Draft{ClientMsgID: uuid.NewString(), ConversationID: id, Type: "location", Body: map[string]any{"latitude": 1, "longitude": 2, "name": "here", "text": "no"}})
	for _, c := range []struct {
		target client.Sent
		text   string
	}{{file, "plan.pdf"}, {place, ""}, {answer, "answer"}} {
		got := bob.sendDraft(replying(c.target, "ok")).Message.Quote
		if got == nil || got.Text != c.text || got.Type != c.target.Message.Type || got.SenderID != alice.id() || got.Recalled {
			t.Errorf("quote %+v, want %q of a %s", got, c.text, c.target.Message.Type)
		}
	}

	if _, err := alice.Recall(within(t, patience), asked.Message.MessageID); err != nil {
		t.Fatal(err)
	}
	want.Text, want.Recalled = "", true
	if got := everywhere("after the recall"); got.Quote == nil || *got.Quote != want || got.Body["text"] != "answer" {
		t.Errorf("after the recall: %+v, want an empty quote %+v", got, want)
	}
	if got := bob.sendDraft(replying(asked, "too late")).Message.Quote; got == nil || *got != want {
		t.Errorf("a reply to what was recalled: %+v, want %+v", got, want)
	}
	// A recalled reply has no content of any kind; a recall names its target and shows nothing.
	back, err := alice.Recall(within(t, patience), answer.Message.MessageID)
	if err != nil || back.Quote != nil || back.ReplyTo == nil {
		t.Errorf("recalled reply: %+v, %v", back, err)
	}
	gone(t, "recalled reply", everywhere("recalled itself"))
	for _, m := range bob.wholeHistory(id, 0) {
		if m.Quote != nil && (m.Type == "recall" || m.RecalledAt != nil) {
			t.Errorf("%+v has a quote", m)
		}
	}
}

// quoteRepeatedPush: a push that is repeated after a recall quotes nothing of it any more.
func quoteRepeatedPush(t *testing.T, s *system) {
	alice, bob := s.user(t), s.user(t)
	laptop := bob.openLive("laptop")
	asked := alice.send(bob, "oops")
	answer := alice.sendDraft(replying(asked, "as I said"))
	frames := laptop.pushes(1, 2)
	if q := frames[1].Message.Quote; q == nil || q.Text != "oops" {
		t.Fatalf("pushed %s", frames[1].Raw)
	}
	if _, err := alice.Recall(within(t, patience), asked.Message.MessageID); err != nil {
		t.Fatal(err)
	}
	again := laptop.until("the second attempt", func(f client.Frame) bool { return f.Type == "message" && f.Seq == 2 && f.Attempt == 2 })
	want := answer.Message
	want.Quote = &client.Quote{MessageID: asked.Message.MessageID, ConversationSeq: 1, SenderID: alice.id(), Type: "text", Recalled: true}
	if d := difference(want, again.Message); d != "" {
		t.Errorf("second push (-want +got):\n%s", d)
	}
}

// logMentions: a large group mentions and quotes as a small one does, and calls everybody by one row.
func logMentions(t *testing.T, s *system) {
	people := s.users(t, 4)
	alice, bob, carol := people[0], people[1], people[2]
	phone := bob.openLive("phone")
	id := alice.logGroup(people[1:]...)
	asked := alice.say(id, "who comes?")
	draft := replying(asked, "all of you")
	draft.Mentions = client.Mentions{client.Everybody}
	sent := alice.sendDraft(draft)
	pushed := phone.until("the mention", func(f client.Frame) bool { return f.Type == "message" && f.Message.MessageID == sent.Message.MessageID })
	if d := difference(sent.Message, pushed.Message); d != "" || pushed.Message.Quote == nil || pushed.Message.Quote.Text != "who comes?" {
		t.Errorf("pushed %s, want %+v", pushed.Raw, sent.Message)
	}
	alice.sendDraft(mention(id, carol.id()))
	bob.mentioned(id, 1)
	carol.mentioned(id, 2)
	if _, err := alice.Recall(within(t, patience), asked.Message.MessageID); err != nil {
		t.Fatal(err)
	}
	if got := bob.wholeHistory(id, sent.Message.ConversationSeq-1)[0]; got.Quote == nil || !got.Quote.Recalled || got.Quote.Text != "" {
		t.Errorf("history has %+v", got)
	}
	if _, err := carol.Read(within(t, patience), id, sent.Message.ConversationSeq); err != nil {
		t.Fatal(err)
	}
	carol.mentioned(id, 1)
}
