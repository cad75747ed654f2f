package e2e

import (
	"encoding/json"
	"net/http"
	"regexp"
	"testing"
	"time"

	"github.com/google/uuid"

	"ackbox/client"
)

var (
	idPattern   = regexp.MustCompile(`^[1-9][0-9]{0,18}$`)
	timePattern = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$`)
)

// sixPackets follows one message through msg:R, msg:A, msg:N, ack:R, ack:A and ack:N.
func sixPackets(t *testing.T, s *system) {
	alice, bob := s.user(t), s.user(t)
	phone, laptop := alice.openLive("phone"), bob.openLive("laptop")

	key := uuid.NewString()
	var raw json.RawMessage
	answer, err := alice.Call(within(t, patience), http.MethodPost, "/v1/messages", client.Text(bob.id(), key, "hi"), &raw)
	if err != nil {
		t.Fatalf("msg:R: %v", err)
	}
	if answer.Status != http.StatusCreated {
		t.Fatalf("msg:A: %d, want 201", answer.Status)
	}
	checkWireMessage(t, raw)
	var sent client.Sent
	if err := json.Unmarshal(raw, &sent); err != nil {
		t.Fatalf("msg:A: %v", err)
	}
	m := sent.Message
	if m.SenderID != alice.id() || m.ClientMsgID != key || m.ConversationSeq != 1 || m.Type != "text" || m.Body["text"] != "hi" ||
		len(m.Ext) != 0 || m.ReplyTo != nil || m.RecalledAt != nil || sent.MailboxSeq != 1 || sent.Duplicate {
		t.Fatalf("msg:A: got %s", raw)
	}
	if age := time.Since(m.CreatedAt).Abs(); age > time.Minute {
		t.Fatalf("created_at is %s away", age)
	}

	pushed := laptop.pushes(1, 1)[0]
	if d := difference(m, pushed.Message); d != "" {
		t.Fatalf("msg:N: another message than msg:A's (-sent +pushed):\n%s", d)
	}
	own := phone.pushes(1, 1)[0]
	if d := difference(m, own.Message); d != "" {
		t.Fatalf("the sender's own entry: another message than msg:A's (-sent +pushed):\n%s", d)
	}

	bob.ack("laptop", pushed.Seq, 1)
	receipt := phone.receipt(bob, m.ConversationID, 1, 1)
	if age := time.Since(receipt.At).Abs(); age > time.Minute {
		t.Fatalf("ack:N: at is %s away", age)
	}
	alice.ack("phone", 1, 1)

	// A reply takes the same way back, in the same conversation.
	back := bob.sendDraft(client.Draft{
		ClientMsgID: uuid.NewString(), ConversationID: m.ConversationID, Type: "text", Body: map[string]any{"text": "hello"},
		Ext: map[string]any{"color": "blue"}, ReplyTo: m.MessageID,
	})
	if b := back.Message; b.ConversationID != m.ConversationID || b.ConversationSeq != 2 || b.ReplyTo == nil || *b.ReplyTo != m.MessageID || b.Ext["color"] != "blue" {
		t.Fatalf("reply: got %+v", b)
	}
	reply := phone.pushes(2, 2)[0]
	if d := difference(back.Message, reply.Message); d != "" {
		t.Fatalf("reply: another message than was answered (-sent +pushed):\n%s", d)
	}
	alice.ack("phone", 2, 2)
	laptop.receipt(alice, m.ConversationID, 2, 2)
}

// checkWireMessage checks the form of a send's answer: every field present, ids as strings, times with milliseconds.
func checkWireMessage(t *testing.T, raw json.RawMessage) {
	t.Helper()
	var answer map[string]json.RawMessage
	if err := json.Unmarshal(raw, &answer); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"message", "mailbox_seq", "duplicate"} {
		if answer[name] == nil {
			t.Errorf("the answer has no %s: %s", name, raw)
		}
	}
	var message map[string]json.RawMessage
	if err := json.Unmarshal(answer["message"], &message); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]*regexp.Regexp{"message_id": idPattern, "conversation_id": idPattern, "sender_id": idPattern, "created_at": timePattern} {
		var value string
		if err := json.Unmarshal(message[name], &value); err != nil || !want.MatchString(value) {
			t.Errorf("%s is %s, want a string like %s", name, message[name], want)
		}
	}
	for name, want := range map[string]string{"reply_to": "null", "recalled_at": "null", "ext": "{}"} {
		if got := string(message[name]); got != want {
			t.Errorf("%s is %q, want %s", name, got, want)
		}
	}
}

// lostSendAnswer: msg:R or msg:A was lost, the sender retries, there is one message.
func lostSendAnswer(t *testing.T, s *system) {
	alice, bob := s.user(t), s.user(t)
	laptop := bob.openLive("laptop")
	draft := client.Text(bob.id(), uuid.NewString(), "once")
	first := alice.sendDraft(draft)
	laptop.pushes(1, 1)
	bob.ack("laptop", 1, 1)
	for range 3 {
		alice.repeat(draft, first)
	}
	if entries := bob.wholeMailbox(); len(entries) != 1 {
		t.Fatalf("%d entries, want 1", len(entries))
	}
	second := alice.send(bob, "twice")
	if frame := laptop.pushes(2, 2)[0]; frame.Message.MessageID != second.Message.MessageID {
		t.Fatalf("pushed %s, want the second message: a retry was pushed", frame.Raw)
	}
}

// lostPush: msg:N or ack:R was lost, the server pushes again, until the ack comes; also when the connection was lost with it.
func lostPush(t *testing.T, s *system) {
	alice, bob := s.user(t), s.user(t)
	laptop := bob.openLive("laptop")
	sent := alice.send(bob, "are you there?")
	laptop.pushes(1, 1)
	again := laptop.until("the second attempt", func(f client.Frame) bool { return f.Type == "message" && f.Attempt > 1 })
	if again.Attempt != 2 || again.Seq != 1 {
		t.Fatalf("got %.200s, want seq 1 attempt 2", again.Raw)
	}
	if d := difference(sent.Message, again.Message); d != "" {
		t.Fatalf("second attempt: another message (-sent +pushed):\n%s", d)
	}
	if err := laptop.Drop(); err != nil {
		t.Fatal(err)
	}

	laptop = bob.open(client.Dial{Device: "laptop"})
	laptop.pushes(1, 1)
	laptop.synced(1)
	bob.ack("laptop", 1, 1)
	timeout := time.Duration(laptop.hello.AckTimeoutMS) * time.Millisecond
	laptop.none(timeout+2500*time.Millisecond, "push after the ack", func(f client.Frame) bool { return f.Type == "message" })
}

// lostAckAnswer: ack:A was lost, the receiver acks again, nothing changes; the receipt never goes back.
func lostAckAnswer(t *testing.T, s *system) {
	alice, bob := s.user(t), s.user(t)
	phone, laptop := alice.openLive("phone"), bob.openLive("laptop")
	first := alice.send(bob, "one")
	alice.send(bob, "two")
	laptop.pushes(1, 2)
	for range 3 {
		bob.ack("laptop", 2, 2)
	}
	bob.ack("laptop", 1, 2)
	phone.receipt(bob, first.Message.ConversationID, 2, 2)
	alice.send(bob, "three")
	laptop.pushes(3, 3)
	bob.ack("laptop", 3, 3)
	phone.until("receipt up to 3", func(f client.Frame) bool {
		if f.Type == "receipt" && f.UserID == bob.id() && f.UpTo < 2 {
			t.Fatalf("receipt went back: %s", f.Raw)
		}
		return f.Type == "receipt" && f.UserID == bob.id() && f.UpTo == 3
	})
}
