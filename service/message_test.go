package service

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"golang.org/x/sync/errgroup"

	"ackbox/model"
)

// messages is a node's send path with a Redis that the test may take away.
func (n *node) messages(t testing.TB, server *miniredis.Miniredis) *Messages {
	t.Helper()
	w := newWindow(t, "redis://"+server.Addr())
	return NewMessages(n.store, n.ids, w, n.writer, n.audiences, n.conversations, 2*time.Minute, n.clock)
}

func hi(from, to model.UserID, key string) Draft {
	return Draft{Sender: from, ClientMsgID: key, To: to, Type: model.TypeText, Body: `{"text":"hi"}`}
}

// TestSendOnce: one key is one message, racing on two nodes, repeated at once, after the
// window, and with Redis gone; the repeats get the first answer.
func TestSendOnce(t *testing.T) {
	t.Parallel()
	onBothBackends(t, func(t *testing.T, store *model.Store) {
		server := miniredis.RunT(t)
		nodes := []*node{newNode(t, store, standard, newHandClock().now), newNode(t, store, standard, time.Now)}
		sends := []*Messages{nodes[0].messages(t, server), nodes[1].messages(t, server)}
		a, b := nodes[0].user(t), nodes[0].user(t)
		race := func(key string) *Sent {
			t.Helper()
			var mu sync.Mutex
			var first *Sent
			fresh := 0
			group, ctx := errgroup.WithContext(within(t))
			for i := range 32 {
				group.Go(func() error {
					sent, err := sends[i%2].Send(ctx, hi(a, b, key))
					if err != nil {
						return err
					}
					mu.Lock()
					defer mu.Unlock()
					if !sent.Duplicate {
						fresh++
					}
					if first == nil {
						first = &sent
					}
					if sent.Message.ID != first.Message.ID || sent.MailboxSeq != first.MailboxSeq || string(sent.JSON) != string(first.JSON) {
						return fmt.Errorf("answers %s and %s to one key", sent.JSON, first.JSON)
					}
					return nil
				})
			}
			must(t, group.Wait())
			equal(t, "answered as new", fresh, 1)
			return first
		}
		repeat := func(what string, first *Sent, key string) {
			t.Helper()
			for _, m := range sends {
				again, err := m.Send(within(t), hi(a, b, key))
				must(t, err)
				if !again.Duplicate || string(again.JSON) != string(first.JSON) || again.MailboxSeq != first.MailboxSeq {
					t.Errorf("%s: got %s, duplicate %t, want %s", what, again.JSON, again.Duplicate, first.JSON)
				}
				other := hi(a, b, key)
				other.Body = `{"text":"something else"}`
				_, err = m.Send(within(t), other)
				wantError(t, err, model.CodeKeyReused)
			}
		}
		first := race("k1") // also the pair's first message: one conversation
		repeat("at once", first, "k1")
		server.FastForward(time.Second)
		repeat("after the window", first, "k1")
		server.Close()
		repeat("without Redis", first, "k1")
		second := race("k2")
		repeat("without Redis", second, "k2")
		once(t, wholeMailbox(t, store, b), 2)
		equal(t, "second's place", second.Message.ConversationSeq, 2)
	})
}

// TestWindowIsNoAnswer: a key that is held in Redis while nothing was stored does not
// keep a send from being made.
func TestWindowIsNoAnswer(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t)
	n := newNode(t, sqliteStore(t), standard, time.Now)
	m := n.messages(t, server)
	a, b := n.user(t), n.user(t)
	must(t, server.Set(windowKey{a, "k"}.in("test"), "1")) // a node that died with it
	sent, err := m.Send(within(t), hi(a, b, "k"))
	must(t, err)
	equal(t, "duplicate", sent.Duplicate, false)
	equal(t, "mailbox_seq", sent.MailboxSeq, 1)
}

// TestFailedSendFreesItsKey: after a refusal the same key may be sent again at once.
func TestFailedSendFreesItsKey(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t)
	n := newNode(t, sqliteStore(t), standard, time.Now)
	m := n.messages(t, server)
	a, b := n.user(t), n.user(t)
	_, err := m.Send(within(t), hi(a, b, "first"))
	must(t, err)
	must(t, n.conversations.SetBlock(t.Context(), b, a, true))
	_, err = m.Send(within(t), hi(a, b, "k"))
	wantError(t, err, model.CodeBlocked)
	// What was accepted before the block stays accepted.
	again, err := m.Send(within(t), hi(a, b, "first"))
	must(t, err)
	equal(t, "duplicate", again.Duplicate, true)
	must(t, n.conversations.SetBlock(t.Context(), b, a, false))
	sent, err := m.Send(within(t), hi(a, b, "k"))
	must(t, err)
	equal(t, "duplicate", sent.Duplicate, false)
	once(t, wholeMailbox(t, n.store, b), 2)
}

// TestSendRefuses what breaks a rule, and keeps nothing of it.
func TestSendRefuses(t *testing.T) {
	t.Parallel()
	n := newNode(t, sqliteStore(t), standard, time.Now)
	m := n.messages(t, miniredis.RunT(t))
	a, b, c := n.user(t), n.user(t), n.user(t)
	first, err := m.Send(within(t), hi(a, b, "first"))
	must(t, err)
	for name, bad := range map[string]struct {
		draft func(d *Draft)
		code  model.Code
	}{
		"no key":                 {func(d *Draft) { d.ClientMsgID = "" }, model.CodeValidation},
		"a key with a space":     {func(d *Draft) { d.ClientMsgID = "k " }, model.CodeValidation},
		"nobody":                 {func(d *Draft) { d.To = 0 }, model.CodeValidation},
		"two places":             {func(d *Draft) { d.Conversation = first.Message.ConversationID }, model.CodeValidation},
		"who does not exist":     {func(d *Draft) { d.To = 404 }, model.CodeNotFound},
		"another's conversation": {func(d *Draft) { d.Sender, d.To, d.Conversation = c, 0, first.Message.ConversationID }, model.CodeNotFound},
		"no such conversation":   {func(d *Draft) { d.To, d.Conversation = 0, 404 }, model.CodeNotFound},
		"a reply to nothing":     {func(d *Draft) { d.ReplyTo = 404 }, model.CodeNotFound},
		"a reply to elsewhere":   {func(d *Draft) { d.To, d.ReplyTo = c, first.Message.ID }, model.CodeNotFound},
		"blank text":             {func(d *Draft) { d.Body = `{"text":" "}` }, model.CodeValidation},
		"a server's type":        {func(d *Draft) { d.Type = model.TypeRecall }, model.CodeValidation},
	} {
		d := hi(a, b, "k")
		bad.draft(&d)
		_, err := m.Send(within(t), d)
		if model.CodeOf(err) != bad.code {
			t.Errorf("%s: %v, want %s", name, err, bad.code)
		}
	}
	// A stranger learns neither of a conversation nor of its messages.
	for _, conversation := range []model.ConversationID{first.Message.ConversationID, 404} {
		for _, target := range []model.MessageID{0, first.Message.ID, 404} {
			d := Draft{Sender: c, ClientMsgID: "k", Conversation: conversation, ReplyTo: target, Type: model.TypeText, Body: `{"text":"hi"}`}
			if _, err := m.Send(within(t), d); err == nil || err.Error() != model.NotFound("conversation").Error() {
				t.Errorf("a stranger who replies to %d in %d: %v", target, conversation, err)
			}
		}
	}
	once(t, wholeMailbox(t, n.store, b), 1)
	reply := hi(a, b, "k")
	reply.ReplyTo = first.Message.ID
	_, err = m.Send(within(t), reply)
	must(t, err)

	note, err := m.Send(within(t), hi(a, a, "note"))
	must(t, err)
	equal(t, "place of a note to self", note.Message.ConversationSeq, 1)
	equal(t, "its mailbox_seq, after two sent ones", note.MailboxSeq, 3)

	ended, end := context.WithCancel(t.Context())
	end()
	_, err = m.Send(ended, hi(a, b, "gone"))
	if err == nil {
		t.Error("a send whose caller had gone was answered")
	}
}
