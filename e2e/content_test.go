package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"ackbox/client"
)

// everyone is the conversation that all accounts belong to.
const everyone client.ConversationID = "1"

// operate makes a call of operators; out may be nil.
func (a *actor) operate(method, path string, body, out any, wanted int) {
	a.t.Helper()
	answer, err := a.Client().Do(within(a.t, patience), client.Request{Method: method, Path: "/v1/admin/" + path, Token: a.AccessToken, Body: body})
	if err != nil {
		a.t.Fatal(err)
	}
	if answer.Status != wanted {
		a.t.Fatalf("%s %s: got %d %s, want %d", method, path, answer.Status, answer.Body, wanted)
	}
	if out != nil {
		if err := json.Unmarshal(answer.Body, out); err != nil {
			a.t.Fatalf("%s %s: %v in %s", method, path, err, answer.Body)
		}
	}
}

// operatorsContent: operators tell everybody on all nodes, see what people write and end it; who is away finds the
// announcement, also after a kill; everything that they did and read is in the audit log.
func operatorsContent(t *testing.T, b backend) {
	stores := b.env(t)
	settings := []string{"ACKBOX_ADMIN_USERNAME=root", "ACKBOX_ADMIN_PASSWORD=" + password, patientWithAcks, "ACKBOX_SWEEP_INTERVAL=1s"}
	s := b.startOn(t, stores, settings...)
	nodes := []*system{s}
	if stores != nil {
		nodes = append(nodes, b.startOn(t, stores, settings...))
	}
	session, err := s.client.Login(within(t, patience), client.Credentials{Username: "root", Password: password})
	if err != nil {
		t.Fatal(err)
	}
	root := &actor{Session: session, t: t}
	announcementsTellAll(t, nodes, root)
	contentIsModerated(t, s, root)

	var statistics struct {
		Users, Admins, Messages int64
		Conversations           struct{ Direct, Group, Log int64 }
		Database                struct {
			Dialect, Version string
			SizeBytes        int64 `json:"size_bytes"`
		}
		Redis struct{ State string }
	}
	root.operate(http.MethodGet, "statistics", nil, &statistics, http.StatusOK)
	if x := statistics; x.Users != 8 || x.Admins != 1 || x.Conversations.Log != 1 || x.Conversations.Group != 1 || x.Conversations.Direct != 1 || x.Messages < 8 || x.Database.Version == "" || x.Database.SizeBytes == 0 || x.Redis.State != "up" {
		t.Errorf("statistics: %+v", x)
	}
	var audit struct {
		Entries []struct {
			Action, Outcome, Actor string
			TargetID               string `json:"target_id"`
			Detail                 json.RawMessage
		}
	}
	root.operate(http.MethodGet, "audit?limit=200", nil, &audit, http.StatusOK)
	var done []string
	for _, e := range audit.Entries {
		done = append(done, e.Action+" "+e.Outcome)
		if e.Actor != "root" {
			t.Errorf("%+v is not root's", e)
		}
		if strings.Contains(string(e.Detail), "maintenance") {
			t.Errorf("the audit log has what was written: %s", e.Detail)
		}
	}
	slices.Reverse(done)
	want := []string{
		"announcement.publish ok", "announcement.publish ok", "announcement.publish idempotency_key_reused", "announcement.publish ok", "user.ban not_found", "message.remove ok",
		"conversation.look ok", "conversation.read ok", "message.search ok", "message.search ok", "message.search validation_failed", "message.read ok", "message.remove ok", "message.remove not_found",
		"conversation.mute ok", "conversation.remove_member ok", "conversation.dissolve ok", "conversation.dissolve not_found",
	}
	if !slices.Equal(done, want) {
		t.Errorf("the audit log has\n%v, want\n%v", done, want)
	}
}

func announcementsTellAll(t *testing.T, nodes []*system, root *actor) {
	t.Helper()
	s, other := nodes[0], nodes[len(nodes)-1]
	near, far, away := s.user(t), s.user(t), s.user(t)
	phone, laptop := near.openLive("phone"), far.at(other).openLive("laptop")
	announce := func(key, text string, status int) client.Message {
		t.Helper()
		var out struct{ Message client.Message }
		root.operate(http.MethodPost, "announcements", map[string]string{"client_msg_id": key, "text": text}, &out, status)
		return out.Message
	}
	first := announce("one", "maintenance <tonight> & tomorrow", http.StatusCreated)
	for _, l := range []*line{phone, laptop} {
		f := l.flow(everyone, "an announcement")
		if f.Type != "message" || f.Seq != 0 || f.Message.MessageID != first.MessageID || f.Message.SenderID != "1" || f.Message.Body["text"] != "maintenance <tonight> & tomorrow" {
			t.Errorf("pushed: %+v", f)
		}
	}
	near.ackLog("phone", everyone, 1)
	far.at(other).ackLog("laptop", everyone, 1)
	if again := announce("one", "maintenance <tonight> & tomorrow", http.StatusOK); again.MessageID != first.MessageID {
		t.Errorf("the repeat is %s, want %s", again.MessageID, first.MessageID)
	}
	root.operate(http.MethodPost, "announcements", map[string]string{"client_msg_id": "one", "text": "other"}, nil, http.StatusUnprocessableEntity)

	late := s.user(t)
	if n := late.conversationsOf(); n != 0 {
		t.Errorf("who came later has %d conversations", n)
	}
	s.server.Kill() // what was answered is there
	s.server.Restart()
	if len(nodes) == 1 {
		laptop = far.openLive("laptop")
	}
	second := announce("two", "maintenance is over", http.StatusCreated)
	if f := laptop.flow(everyone, "the second"); f.Type == "message" && f.Message.ConversationSeq != 2 || f.Type == "behind" && f.Head != 2 { // behind: a node that has just started may not know its peer yet
		t.Errorf("pushed: %+v", f)
	}
	back := away.open(client.Dial{Device: "phone"})
	if f := back.flow(everyone, "what was announced while away"); f.Type != "behind" || f.Head != 2 {
		t.Errorf("who was away got %+v", f)
	}
	if got, _ := away.seqs(everyone, map[string]int64{"after_seq": 0}); !slices.Equal(got, []int64{1, 2}) {
		t.Errorf("who was away reads %v", got)
	}
	away.ackLog("phone", everyone, 2)
	if c := away.conversation(everyone); c.Kind != "group" || c.Delivery != "log" || c.Unread != 2 || c.Head != 2 || c.Receipts || c.MemberCount != 0 {
		t.Errorf("who was away has %+v", c)
	}
	if got, _ := late.seqs(everyone, nil); !slices.Equal(got, []int64{2}) {
		t.Errorf("who came later reads %v", got)
	}
	var list struct{ Announcements []client.Message }
	root.operate(http.MethodGet, "announcements", nil, &list, http.StatusOK)
	if len(list.Announcements) != 2 || list.Announcements[0].MessageID != second.MessageID {
		t.Errorf("announcements: %+v", list)
	}
	root.operate(http.MethodPut, "users/1/ban", nil, nil, http.StatusNotFound) // nobody bans the service itself
	root.operate(http.MethodPost, "messages/"+string(second.MessageID)+"/remove", map[string]string{"reason": "too early"}, nil, http.StatusOK)
	if f := back.flow(everyone, "the recall"); f.Type != "message" || f.Message.Type != "recall" || f.Message.ConversationSeq != 3 {
		t.Errorf("the recall is %+v", f)
	}
	away.ackLog("phone", everyone, 3)
}

func contentIsModerated(t *testing.T, s *system, root *actor) {
	t.Helper()
	ann, ben, cat := s.user(t), s.user(t), s.user(t)
	id := ann.group(ben, cat)
	said := ben.say(id, "something bad").Message
	whisper := ann.send(ben, "a whisper").Message

	type conversation struct {
		ID          string
		Members     int64
		Head        int64
		CreatedAt   int64 `json:"created_at"`
		DissolvedAt int64 `json:"dissolved_at"`
		People      []struct{ Username string }
	}
	var page struct {
		Conversations []conversation
		NextCursor    string `json:"next_cursor"`
		HasMore       bool   `json:"has_more"`
	}
	root.operate(http.MethodGet, "conversations?kind=group&limit=1&sort=-head", nil, &page, http.StatusOK)
	if len(page.Conversations) != 1 || !page.HasMore {
		t.Fatalf("conversations: %+v", page)
	}
	root.operate(http.MethodGet, "conversations?kind=group&limit=1&sort=-head&cursor="+page.NextCursor, nil, &page, http.StatusOK)
	if len(page.Conversations) != 1 || page.HasMore || page.Conversations[0].ID != string(id) || page.Conversations[0].Members != 3 || page.Conversations[0].Head != 2 || page.Conversations[0].CreatedAt == 0 {
		t.Errorf("conversations: %+v", page)
	}
	root.operate(http.MethodGet, "conversations?cursor=x", nil, nil, http.StatusUnprocessableEntity)
	var one struct{ Conversation conversation }
	root.operate(http.MethodGet, "conversations/"+string(whisper.ConversationID), nil, &one, http.StatusOK)
	if len(one.Conversation.People) != 2 {
		t.Errorf("a direct conversation: %+v", one)
	}
	var members struct {
		Members []struct {
			Username, Role string
			JoinedAt       int64 `json:"joined_at"`
		}
	}
	root.operate(http.MethodGet, "conversations/"+string(id)+"/members", nil, &members, http.StatusOK)
	if len(members.Members) != 3 || members.Members[0].Username != ann.User.Username || members.Members[0].Role != "owner" || members.Members[0].JoinedAt == 0 {
		t.Errorf("members: %+v", members)
	}

	var found struct{ Messages []client.Message }
	shows := func(path string, want ...client.MessageID) {
		t.Helper()
		root.operate(http.MethodGet, path, nil, &found, http.StatusOK)
		var got []client.MessageID
		for _, m := range found.Messages {
			if m.Type == "text" {
				got = append(got, m.MessageID)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", path, got, want)
		}
	}
	shows("conversations/"+string(id)+"/messages", said.MessageID)
	shows(fmt.Sprintf("messages?conversation_id=%s&from=%d&to=%d", id, said.CreatedAt.UnixMilli(), said.CreatedAt.UnixMilli()+1), said.MessageID)
	shows(fmt.Sprintf("messages?sender_id=%s&client_msg_id=%s", ben.id(), said.ClientMsgID), said.MessageID)
	root.operate(http.MethodGet, "messages?from=1", nil, nil, http.StatusUnprocessableEntity)
	var message struct{ Message client.Message }
	root.operate(http.MethodGet, "messages/"+string(said.MessageID), nil, &message, http.StatusOK)
	if message.Message.MessageID != said.MessageID || message.Message.Body["text"] != "something bad" {
		t.Errorf("the message: %+v", message.Message)
	}
	var removed struct{ Message client.Message }
	root.operate(http.MethodPost, "messages/"+string(said.MessageID)+"/remove", map[string]string{"reason": "spam"}, &removed, http.StatusOK)
	if removed.Message.RecalledAt == nil || len(removed.Message.Body) != 0 {
		t.Errorf("removed: %+v", removed.Message)
	}
	root.operate(http.MethodPost, "messages/777/remove", nil, nil, http.StatusNotFound)
	root.operate(http.MethodPut, "conversations/"+string(id)+"/mute", map[string]bool{"mute_all": true}, nil, http.StatusNoContent)
	_, err := ben.Send(within(t, patience), client.TextIn(id, freshName(), "may I?"))
	refused(t, err, "muted", http.StatusForbidden)
	root.operate(http.MethodDelete, "conversations/"+string(id)+"/members/"+string(ben.id()), nil, nil, http.StatusNoContent)
	root.operate(http.MethodPost, "conversations/"+string(id)+"/dissolve", nil, nil, http.StatusNoContent)
	root.operate(http.MethodPost, "conversations/"+string(id)+"/dissolve", nil, nil, http.StatusNotFound)
	if n := cat.conversationsOf(); n != 0 {
		t.Errorf("who belonged to a dissolved group has %d conversations", n)
	}
}
