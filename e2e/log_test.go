package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"ackbox/client"
	"ackbox/internal/testenv"
)

// logSettings make pushes repeat soon, and sweeps come soon.
var logSettings = []string{"ACKBOX_ACK_TIMEOUT=1s", "ACKBOX_ACK_MAX_ATTEMPTS=8", "ACKBOX_SWEEP_INTERVAL=500ms"}

// logConversations: what is promised of groups that are too large for mailboxes; here that is more than three members.
func logConversations(t *testing.T, b backend) {
	s := b.start(t, append([]string{"ACKBOX_MAILBOX_GROUP_LIMIT=3"}, logSettings...)...)
	for _, behaviour := range []behaviour{
		{"no mailbox has its messages", logNoMailbox},
		{"the switch loses and doubles nothing", logSwitch},
		{"acks", logAcks},
		{"un-acked is pushed again", logRepeated},
		{"un-acked until the last attempt", logLastAttempt},
		{"a part is acked", logPartlyAcked},
		{"reconnecting", logReconnect},
		{"who leaves hears nothing more", func(t *testing.T, s *system) { logDeparted(t, s, s, s.users(t, 3)) }},
		{"who comes back hears again", func(t *testing.T, s *system) { logRejoined(t, s, s, s.users(t, 3)) }},
		{"people come and go", func(t *testing.T, s *system) { logChurn(t, []*system{s}, s.users(t, 3)) }},
		{"recall", logRecall},
		{"mentions and quotes", logMentions},
		{"typing", logTyping},
	} {
		t.Run(behaviour.name, func(t *testing.T) {
			t.Parallel()
			behaviour.run(t, s)
		})
	}
	t.Run("more than 256 un-acked", func(t *testing.T) { // which takes longer than eight attempts where the machine is busy
		t.Parallel()
		logBehindInFlight(t, b.start(t, "ACKBOX_MAILBOX_GROUP_LIMIT=3", patientWithAcks))
	})
}

// TestTwoNodesGroups runs groups on two servers on one MariaDB and one Redis, where up to twelve members is not too large.
func TestTwoNodesGroups(t *testing.T) {
	t.Parallel()
	stores := storeEnv(testenv.MySQL(t), testenv.StartRedis(t).URL())
	settings := append([]string{"ACKBOX_MAILBOX_GROUP_LIMIT=12"}, logSettings...)
	a := mariaDB.startOn(t, stores, settings...)
	b := mariaDB.startOn(t, stores, settings...)
	crowd := a.crowd(t, 498)
	for _, behaviour := range []struct {
		name string
		run  func(t *testing.T)
	}{
		{"group audience is exact", func(t *testing.T) { raceAudience(t, []*system{a, b}, 6, 40) }},
		{"a log message is pushed there", func(t *testing.T) { crossLog(t, a, b, own(t, crowd[:12])) }},
		{"who leaves here hears nothing more there", func(t *testing.T) { logDeparted(t, a, b, own(t, crowd[:12])) }},
		{"who comes back here hears again there", func(t *testing.T) { logRejoined(t, a, b, own(t, crowd[:12])) }},
		{"people come and go", func(t *testing.T) { logChurn(t, []*system{a, b}, own(t, crowd[:12])) }},
		{"a group of 500", func(t *testing.T) { logOf500(t, a, b, own(t, crowd)) }},
		{"a device forgotten here is closed there", func(t *testing.T) {
			bob := a.user(t)
			phone := bob.at(b).openLive("phone")
			if err := bob.Forget(within(t, patience), "phone"); err != nil {
				t.Fatal(err)
			}
			phone.endsWith(4001)
		}},
	} {
		t.Run(behaviour.name, func(t *testing.T) {
			t.Parallel()
			behaviour.run(t)
		})
	}
}

// crowd registers n people, four at a time.
func (s *system) crowd(t *testing.T, n int) []*actor {
	t.Helper()
	crowd := make([]*actor, n)
	group, ctx := errgroup.WithContext(within(t, 12*patience))
	group.SetLimit(4)
	for i := range crowd {
		group.Go(func() error {
			session, err := s.client.Register(ctx, client.Credentials{Username: freshName(), Password: password})
			crowd[i] = &actor{Session: session, t: t}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatalf("register: %v", err)
	}
	return crowd
}

// own are the same people in another test.
func own(t *testing.T, people []*actor) []*actor {
	list := make([]*actor, len(people))
	for i, one := range people {
		list[i] = &actor{Session: one.Session, t: t}
	}
	return list
}

// logGroup makes a group that is too large for mailboxes.
func (a *actor) logGroup(others ...*actor) client.ConversationID {
	a.t.Helper()
	id := a.group(others...)
	if c := a.conversation(id); c.Delivery != "log" {
		a.t.Fatalf("a group of %d is delivered by %s, want log", c.MemberCount, c.Delivery)
	}
	return id
}

// flow is the next first push of a log conversation, or its behind.
func (l *line) flow(id client.ConversationID, what string) client.Frame {
	l.t.Helper()
	return l.until(what, func(f client.Frame) bool {
		return f.Type == "message" && f.Attempt == 1 && f.Message.ConversationID == id || f.Type == "behind" && f.ConversationID == id
	})
}

// logPush checks that the next of it is the push of a conversation_seq.
func (l *line) logPush(id client.ConversationID, seq int64) client.Message {
	l.t.Helper()
	frame := l.flow(id, fmt.Sprintf("log message %d", seq))
	if frame.Type != "message" || frame.Seq != 0 || frame.Message.ConversationSeq != seq {
		l.t.Fatalf("got %.300s, want log message %d; frames so far: %q", frame.Raw, seq, l.seen)
	}
	return frame.Message
}

// logBehind checks that the next of it says behind at a head.
func (l *line) logBehind(id client.ConversationID, head int64) {
	l.t.Helper()
	if frame := l.flow(id, "behind"); frame.Type != "behind" || frame.Head != head {
		l.t.Fatalf("got %.300s, want behind at %d; frames so far: %q", frame.Raw, head, l.seen)
	}
}

// quiet checks that nothing of a conversation comes.
func (l *line) quiet(d time.Duration, id client.ConversationID) {
	l.t.Helper()
	l.none(d, "frame of the conversation", func(f client.Frame) bool {
		return f.Type == "message" && f.Message.ConversationID == id || f.Type == "behind" && f.ConversationID == id
	})
}

// ackLog acks a log conversation.
func (a *actor) ackLog(device string, id client.ConversationID, upTo int64) {
	a.t.Helper()
	if err := a.AckLog(within(a.t, patience), device, id, upTo); err != nil {
		a.t.Fatalf("ack of the log up to %d: %v", upTo, err)
	}
}

// logNoMailbox: a large group's messages are in no mailbox, are pushed without seq, and a group once large stays so.
func logNoMailbox(t *testing.T, s *system) {
	people := s.users(t, 4)
	alice, bob := people[0], people[1]
	phone := bob.openLive("phone")
	id := alice.logGroup(people[1:]...)
	if phone.logPush(id, 1).Type != "notice" {
		t.Error("the first message is not the notice")
	}
	draft := client.TextIn(id, uuid.NewString(), "hello all")
	sent := alice.sendDraft(draft)
	if sent.MailboxSeq != 0 || sent.Message.ConversationSeq != 2 {
		t.Errorf("answer %+v, want mailbox_seq 0 and conversation_seq 2", sent)
	}
	if d := difference(sent.Message, phone.logPush(id, 2)); d != "" {
		t.Errorf("another message than was sent (-sent +pushed):\n%s", d)
	}
	alice.repeat(draft, sent)
	bob.ackLog("phone", id, 2)
	for _, one := range people[1:] {
		if n := len(one.wholeMailbox()); n != 0 {
			t.Errorf("%d entries in a mailbox, want none", n)
		}
		if c := one.conversation(id); c.Unread != 2 || c.LastMessage == nil || c.Head != 2 {
			t.Errorf("conversation %+v", c)
		}
		if got := one.wholeHistory(id, 0); len(got) != 2 || difference(sent.Message, got[1]) != "" {
			t.Errorf("history %+v", got)
		}
	}
	for _, one := range people[2:] {
		if err := alice.RemoveMember(within(t, patience), id, one.id()); err != nil {
			t.Fatal(err)
		}
	}
	if c := alice.conversation(id); c.Delivery != "log" || c.MemberCount != 2 {
		t.Errorf("a group that was large is %+v, want it to stay log", c)
	}
	phone.logPush(id, 3)
	phone.logPush(id, 4)
	if alice.say(id, "only us two").MailboxSeq != 0 {
		t.Error("the message of a log conversation has a mailbox_seq")
	}
	phone.logPush(id, 5)
}

// logSwitch: while eight send, the group outgrows the mailboxes and goes on growing: at one conversation_seq, for all members alike.
func logSwitch(t *testing.T, s *system) {
	const senders, each = 8, 24
	people := s.users(t, 5)
	first, late := people[:3], people[3:]
	id := first[0].group(first[1:]...)
	const last = 1 + 2 + senders*each // the notices
	group, ctx := errgroup.WithContext(within(t, 3*patience))
	followed := make([]*follower, len(people))
	for i, one := range people {
		followed[i] = &follower{session: one.Session, socket: one.openLive("phone").Socket, id: id}
		if i < len(first) {
			followed[i].held = 1
			one.ack("phone", 1, 1) // the notice was pushed at connecting
		}
		group.Go(func() error { return followed[i].run(ctx, last) })
	}
	accepted := make([][]client.Message, senders)
	for i := range senders {
		one := first[i%len(first)]
		group.Go(func() error {
			for n := range each {
				if i == 0 && n%(each/3) == each/6 && n < 2*each/3 {
					if err := one.AddMembers(ctx, id, late[n/(each/3)].id()); err != nil {
						return err
					}
				}
				sent, err := one.Send(ctx, client.TextIn(id, uuid.NewString(), fmt.Sprint(i, n)))
				if err != nil {
					return err
				}
				accepted[i] = append(accepted[i], sent.Message)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	all := first[0].wholeHistory(id, 0)
	if len(all) != last {
		t.Fatalf("%d messages, want %d", len(all), last)
	}
	for _, list := range accepted {
		for i, m := range list {
			if d := difference(m, all[m.ConversationSeq-1]); d != "" {
				t.Fatalf("another message at %d than was accepted (-accepted +history):\n%s", m.ConversationSeq, d)
			}
			if i > 0 && m.ConversationSeq <= list[i-1].ConversationSeq {
				t.Errorf("%d was sent after %d", m.ConversationSeq, list[i-1].ConversationSeq)
			}
		}
	}
	from := map[client.UserID]int64{} // where the log begins for each
	at := int64(0)
	for _, m := range all {
		if event, users := noticed(m); event == "members_added" {
			if at == 0 {
				at = m.ConversationSeq
			}
			from[users[0]] = m.ConversationSeq
		}
	}
	t.Logf("the switch was at %d of %d", at, last)
	for i, one := range people {
		mailbox := of(id, one.wholeMailbox())
		want := int(at) - 1
		if i >= len(first) {
			want = 0
			if c := one.conversation(id); c.JoinedSeq != from[one.id()]-1 {
				t.Errorf("joined_seq %d, want %d", c.JoinedSeq, from[one.id()]-1)
			}
		} else {
			from[one.id()] = at
		}
		if len(mailbox) != want {
			t.Errorf("%d messages in the mailbox, want %d", len(mailbox), want)
		}
		for n, m := range mailbox {
			if d := difference(all[n], m); d != "" {
				t.Fatalf("mailbox has another message at %d (-history +mailbox):\n%s", n+1, d)
			}
		}
		if f := followed[i]; f.logFrom != from[one.id()] && !f.pulled {
			t.Errorf("the log begins at %d on a device, want %d", f.logFrom, from[one.id()])
		}
		if c := one.conversation(id); c.Delivery != "log" || c.Head != last {
			t.Errorf("conversation %+v", c)
		}
	}
}

// follower does what a device does with a conversation that begins in the mailbox and goes on in the log.
type follower struct {
	session *client.Session
	socket  *client.Socket
	id      client.ConversationID
	held    int64 // of the mailbox part
	seq     int64 // in the mailbox
	logFrom int64 // the first conversation_seq that came by the log
	logHeld int64
	pulled  bool // it came by the history, which has the mailbox part too
}

// run takes pushes until the device holds all up to a conversation_seq. Each part must come in order and without a hole,
// and no first push twice.
func (f *follower) run(ctx context.Context, last int64) error {
	for f.logHeld < last || f.held != 0 && f.held < f.logFrom-1 {
		frame, err := f.socket.Next(ctx)
		if err != nil {
			return fmt.Errorf("after %d and %d: %w", f.held, f.logHeld, err)
		}
		switch {
		case frame.Type == "behind" && frame.ConversationID == f.id:
			err = f.pull(ctx)
		case frame.Type == "behind":
			err = errors.New("behind in a mailbox that is acked")
		case frame.Type == "message" && frame.Message.ConversationID == f.id && frame.Seq != 0:
			err = f.fromMailbox(ctx, frame)
		case frame.Type == "message" && frame.Message.ConversationID == f.id:
			err = f.fromLog(ctx, frame, last)
		}
		if err != nil {
			return err
		}
	}
	return f.session.AckLog(ctx, "phone", f.id, f.logHeld)
}

func (f *follower) fromMailbox(ctx context.Context, frame client.Frame) error {
	seq := frame.Message.ConversationSeq
	switch {
	case seq <= f.held && frame.Attempt > 1:
		return nil
	case seq != f.held+1 || f.logFrom != 0 && seq >= f.logFrom && !f.pulled:
		return fmt.Errorf("entry with %d after %d, the log began at %d", seq, f.held, f.logFrom)
	}
	f.held, f.seq = seq, frame.Seq
	if _, err := f.session.AckUpTo(ctx, "phone", f.seq); err != nil {
		return fmt.Errorf("ack entry %d: %w", f.seq, err)
	}
	return nil
}

func (f *follower) fromLog(ctx context.Context, frame client.Frame, last int64) error {
	seq := frame.Message.ConversationSeq
	switch {
	case seq <= f.logHeld && frame.Attempt > 1:
		return nil
	case f.logFrom == 0:
		f.logFrom = seq
	case seq != f.logHeld+1:
		return fmt.Errorf("log message %d (attempt %d) after %d", seq, frame.Attempt, f.logHeld)
	}
	f.logHeld = seq
	if seq%8 != 0 && seq != last {
		return nil
	}
	return f.session.AckLog(ctx, "phone", f.id, seq)
}

func (f *follower) pull(ctx context.Context) error {
	for {
		page, err := f.session.After(ctx, f.id, max(f.logHeld, f.held))
		if err != nil {
			return err
		}
		for _, m := range page.Messages {
			if f.logFrom == 0 {
				f.logFrom, f.pulled = m.ConversationSeq, true
			} else if m.ConversationSeq != f.logHeld+1 {
				return fmt.Errorf("pulled %d after %d", m.ConversationSeq, f.logHeld)
			}
			f.logHeld = m.ConversationSeq
		}
		if !page.HasMore {
			return f.session.AckLog(ctx, "phone", f.id, f.logHeld)
		}
	}
}

// logAcks: positions are the device's own, only of one's own conversations, and never beyond the head.
func logAcks(t *testing.T, s *system) {
	people := s.users(t, 4)
	alice, bob, eve := people[0], people[1], s.user(t)
	id := alice.logGroup(people[1:]...)
	alice.say(id, "two")
	ctx := within(t, patience)
	problem := refused(t, bob.AckLog(ctx, "phone", id, 3), "position_lost", http.StatusConflict)
	if problem.Head == nil || *problem.Head != 2 {
		t.Errorf("position_lost tells head %v, want 2", problem.Head)
	}
	refused(t, eve.AckLog(ctx, "phone", id, 1), "", http.StatusNotFound)
	refused(t, bob.AckLog(ctx, "phone", "9007199254740993", 1), "", http.StatusNotFound)
	refused(t, bob.AckLog(ctx, "phone", id, -1), "", http.StatusUnprocessableEntity)
	for _, upTo := range []int64{1, 2, 1, 2, 0} {
		bob.ackLog("phone", id, upTo)
	}
	// Both kinds in one call.
	alice.send(bob, "directly")
	one := int64(1)
	acked, err := bob.Ack(ctx, client.Ack{DeviceID: "phone", UpTo: &one, Conversations: []client.LogAck{{ConversationID: id, UpTo: 2}}})
	if err != nil || acked != 1 {
		t.Errorf("both in one: acked %d, %v", acked, err)
	}
	// What was acked is not told again, on this device.
	phone, laptop := bob.openLive("phone"), bob.open(client.Dial{Device: "laptop"})
	laptop.logBehind(id, 2)
	phone.quiet(300*time.Millisecond, id)
}

// logRepeated: what isn't acked in time is pushed again, and no more once it is.
func logRepeated(t *testing.T, s *system) {
	people := s.users(t, 4)
	alice, bob := people[0], people[1]
	phone := bob.openLive("phone")
	id := alice.logGroup(people[1:]...)
	phone.logPush(id, 1)
	again := func(seq int64) {
		t.Helper()
		phone.until("the second attempt", func(f client.Frame) bool {
			return f.Type == "message" && f.Seq == 0 && f.Message.ConversationID == id && f.Message.ConversationSeq == seq && f.Attempt == 2
		})
	}
	again(1)
	bob.ackLog("phone", id, 1)
	alice.say(id, "two")
	phone.logPush(id, 2)
	bob.ackLog("phone", id, 2)
	phone.quiet(2500*time.Millisecond, id)
	alice.say(id, "three")
	phone.logPush(id, 3)
	again(3)
}

// logLastAttempt: after the last attempt the socket is closed; the device comes back and is told.
func logLastAttempt(t *testing.T, s *system) {
	people := s.users(t, 4)
	alice, bob := people[0], people[1]
	silent, careful := bob.openLive("silent"), bob.openLive("careful")
	id := alice.logGroup(people[1:]...)
	careful.logPush(id, 1)
	bob.ackLog("careful", id, 1)
	attempts := 0
	for {
		frame, err := silent.next(within(t, patience))
		if err == nil {
			if frame.Type == "message" {
				if attempts++; frame.Attempt != attempts {
					t.Fatalf("got %.200s, want attempt %d", frame.Raw, attempts)
				}
			}
			continue
		}
		if code := client.EndedWith(err); code != 4008 {
			t.Fatalf("ended with %v, want 4008", err)
		}
		break
	}
	if attempts != 8 {
		t.Errorf("%d attempts, want 8", attempts)
	}
	careful.alive()
	back := bob.open(client.Dial{Device: "silent"})
	back.logBehind(id, 1)
}

// logPartlyAcked: an ack of a part leaves the rest un-acked, and that is pushed again.
func logPartlyAcked(t *testing.T, s *system) {
	people := s.users(t, 4)
	alice, bob := people[0], people[1]
	phone := bob.openLive("phone")
	id := alice.logGroup(people[1:]...)
	alice.say(id, "two")
	alice.say(id, "three")
	for seq := int64(1); seq <= 3; seq++ {
		phone.logPush(id, seq)
	}
	bob.ackLog("phone", id, 2)
	phone.until("another attempt of the rest", func(f client.Frame) bool {
		return f.Type == "message" && f.Attempt > 1 && f.Message.ConversationID == id && f.Message.ConversationSeq == 3
	})
	bob.ackLog("phone", id, 3)
	phone.quiet(2500*time.Millisecond, id)
}

// logBehindInFlight: a device that acks nothing is told behind instead of more than 256 pushes, catches up by the history,
// and gets pushes again once it has acked up to the head.
func logBehindInFlight(t *testing.T, s *system) {
	const messages = 300
	people := s.users(t, 4)
	alice, bob := people[0], people[1]
	phone := bob.openLive("phone")
	id := alice.logGroup(people[1:]...)
	group, ctx := errgroup.WithContext(within(t, 2*patience))
	group.SetLimit(8)
	for range messages - 1 {
		group.Go(func() error {
			_, err := alice.Send(ctx, client.TextIn(id, uuid.NewString(), "more"))
			return err
		})
	}
	pushed := int64(0)
	for {
		frame := phone.flow(id, "behind")
		if frame.Type == "behind" {
			if frame.Head < pushed || frame.Head > messages {
				t.Errorf("behind at %d after %d pushes", frame.Head, pushed)
			}
			break
		}
		if pushed++; frame.Message.ConversationSeq != pushed {
			t.Fatalf("push %d after %d", frame.Message.ConversationSeq, pushed-1)
		}
		if pushed > 256 {
			t.Fatal("more than 256 un-acked messages were pushed")
		}
	}
	t.Logf("behind after %d pushes", pushed)
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	if rest := bob.wholeHistory(id, pushed); int64(len(rest)) != messages-pushed {
		t.Fatalf("%d messages in the history, want %d", len(rest), messages-pushed)
	}
	bob.ackLog("phone", id, messages)
	sent := alice.say(id, "live again")
	phone.until("the next push", func(f client.Frame) bool {
		return f.Type == "message" && f.Message.MessageID == sent.Message.MessageID && f.Attempt == 1
	})
}

// logReconnect: a device that comes back is told what it missed, and only then.
func logReconnect(t *testing.T, s *system) {
	people := s.users(t, 4)
	alice, bob := people[0], people[1]
	id := alice.logGroup(people[1:]...)
	phone := bob.open(client.Dial{Device: "phone"})
	phone.logBehind(id, 1)
	bob.ackLog("phone", id, 1)
	alice.say(id, "two")
	phone.logPush(id, 2)
	bob.ackLog("phone", id, 2)
	if err := phone.Close(); err != nil {
		t.Fatal(err)
	}
	phone = bob.openLive("phone") // nothing missed
	alice.say(id, "three")
	phone.logPush(id, 3)
	bob.ackLog("phone", id, 3)
	if err := phone.Drop(); err != nil {
		t.Fatal(err)
	}
	alice.say(id, "four")
	alice.say(id, "five")
	phone = bob.open(client.Dial{Device: "phone"})
	phone.logBehind(id, 5)
	bob.ackLog("phone", id, 4) // not all
	alice.say(id, "six")
	phone.none(500*time.Millisecond, "push while behind", func(f client.Frame) bool { return f.Type == "message" })
	bob.ackLog("phone", id, 6)
	alice.say(id, "seven")
	phone.until("the next push", func(f client.Frame) bool {
		return f.Type == "message" && f.Message.ConversationSeq == 7 && f.Attempt == 1
	})
}

// logDeparted: who was taken out on one node hears nothing of what comes after on another, not even by a sweep, and is not
// closed for what can't be acked any more.
func logDeparted(t *testing.T, here, there *system, crowd []*actor) {
	alice, bob := here.user(t), here.user(t)
	id := alice.logGroup(append(crowd, bob)...)
	phone := bob.at(there).open(client.Dial{Device: "phone"})
	phone.logBehind(id, 1)
	bob.ackLog("phone", id, 1)
	alice.say(id, "two")
	phone.until("the push", func(f client.Frame) bool { return f.Type == "message" && f.Message.ConversationSeq == 2 })
	if err := alice.RemoveMember(within(t, patience), id, bob.id()); err != nil {
		t.Fatal(err)
	}
	phone.changed(id, "removed")
	for n := range 5 {
		alice.say(id, fmt.Sprintf("without bob %d", n))
	}
	phone.none(3*time.Second, "word of what he is out of", func(f client.Frame) bool {
		return f.Type == "behind" && f.ConversationID == id || f.Type == "message" && f.Message.ConversationID == id && f.Message.ConversationSeq > 2
	})
	phone.none(6*time.Second, "end", func(client.Frame) bool { return false })
	phone.alive()
}

// logRejoined: who comes back while still connected, and behind as it was, hears of what is said from then on.
func logRejoined(t *testing.T, here, there *system, crowd []*actor) {
	alice, bob := here.user(t), here.user(t)
	id := alice.logGroup(append(crowd, bob)...)
	phone := bob.at(there).open(client.Dial{Device: "phone"})
	phone.logBehind(id, 1)
	if err := alice.RemoveMember(within(t, patience), id, bob.id()); err != nil {
		t.Fatal(err)
	}
	phone.changed(id, "removed")
	alice.say(id, "without bob")
	if err := alice.AddMembers(within(t, patience), id, bob.id()); err != nil {
		t.Fatal(err)
	}
	frame := phone.flow(id, "what is said since")
	switch {
	case frame.Type == "behind" && frame.Head < 4, frame.Type == "message" && frame.Message.ConversationSeq != 4:
		t.Fatalf("got %.300s, want what is said from 4 on", frame.Raw)
	}
	bob.ackLog("phone", id, 4)
	alice.say(id, "with bob")
	phone.until("the next message", func(f client.Frame) bool { return f.Type == "message" && f.Message.Body["text"] == "with bob" })

	// Who had all when they left has missed nothing when they are back: what was said meanwhile is not theirs.
	bob.ackLog("phone", id, 5)
	if err := bob.RemoveMember(within(t, patience), id, bob.id()); err != nil {
		t.Fatal(err)
	}
	phone.changed(id, "removed")
	alice.say(id, "without bob again")
	if err := alice.AddMembers(within(t, patience), id, bob.id()); err != nil {
		t.Fatal(err)
	}
	phone.logPush(id, 8)
	bob.ackLog("phone", id, 8)
}

// logChurn: while people come and go, devices are pushed what their people may see and nothing else.
func logChurn(t *testing.T, nodes []*system, crowd []*actor) {
	const rounds = 30
	at := func(i int) *system { return nodes[i%len(nodes)] }
	owner := at(0).user(t)
	id := owner.logGroup(crowd...)
	come := []*actor{at(0).user(t), at(1).user(t)}
	pushed := make([]map[int64]bool, len(come))
	behinds := make([]int, len(come))
	listenCtx := within(t, 3*patience)
	var listening errgroup.Group
	var sockets []*client.Socket
	for i, one := range come {
		socket := one.at(at(i + 1)).openLive("phone").Socket
		sockets = append(sockets, socket)
		pushed[i] = map[int64]bool{}
		listening.Go(func() error {
			for frame := range socket.Frames() {
				var upTo int64
				switch {
				case frame.Type == "message" && frame.Message.ConversationID == id:
					pushed[i][frame.Message.ConversationSeq] = true
					upTo = frame.Message.ConversationSeq
				case frame.Type == "behind" && frame.ConversationID == id:
					behinds[i]++
					upTo = frame.Head
				default:
					continue
				}
				// So that pushes go on; who is out by now is refused.
				if err := one.AckLog(listenCtx, "phone", id, upTo); err != nil {
					if problem, ok := client.AsProblem(err); !ok || problem.Status != http.StatusNotFound {
						return fmt.Errorf("ack %d: %w", upTo, err)
					}
				}
			}
			return nil
		})
	}
	stop := make(chan struct{})
	group, ctx := errgroup.WithContext(within(t, 3*patience))
	for i := range 4 {
		sender := crowd[i%len(crowd)].At(at(i).client)
		group.Go(func() error {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return nil
				default:
				}
				if _, err := sender.Send(ctx, client.TextIn(id, uuid.NewString(), fmt.Sprint(i, n))); err != nil {
					return err
				}
			}
		})
	}
	var churn errgroup.Group
	for i, one := range come {
		churn.Go(func() error {
			for range rounds {
				if err := owner.At(at(i).client).AddMembers(ctx, id, one.User.UserID); err != nil {
					return fmt.Errorf("add: %w", err)
				}
				if err := one.At(at(i).client).RemoveMember(ctx, id, one.User.UserID); err != nil {
					return fmt.Errorf("leave: %w", err)
				}
			}
			return nil
		})
	}
	group.Go(func() error {
		defer close(stop)
		return churn.Wait()
	})
	failed := group.Wait()
	for i, socket := range sockets {
		if err := socket.Close(); err != nil {
			t.Errorf("device %d: %v", i, err)
		}
	}
	if err := errors.Join(failed, listening.Wait()); err != nil {
		t.Fatal(err)
	}
	all := owner.wholeHistory(id, 0)
	wanted := audience(t, all, ids(append([]*actor{owner}, crowd...)))
	for i, one := range come {
		may := map[int64]bool{}
		for _, seq := range wanted[one.id()] {
			may[seq] = true
		}
		for seq := range pushed[i] {
			if !may[seq] {
				t.Errorf("message %d was pushed to somebody who did not belong at it", seq)
			}
		}
		t.Logf("%d of %d pushed, %d times behind, %d messages in all", len(pushed[i]), len(may), behinds[i], len(all))
	}
}

// logRecall: a recall has its place in the log, and what was taken back is gone.
func logRecall(t *testing.T, s *system) {
	people := s.users(t, 4)
	alice, bob, carol := people[0], people[1], people[2]
	id := alice.logGroup(people[1:]...)
	sent := bob.say(id, "oops")
	phone := carol.open(client.Dial{Device: "phone"})
	phone.logBehind(id, 2)
	carol.ackLog("phone", id, 2)
	if err := phone.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := bob.Recall(within(t, patience), sent.Message.MessageID); err != nil {
		t.Fatalf("recall: %v", err)
	}
	phone = carol.open(client.Dial{Device: "phone"}) // was offline
	phone.logBehind(id, 3)
	got := carol.wholeHistory(id, 0)
	if len(got) != 3 || got[2].Type != "recall" || got[2].Body["message_id"] != string(sent.Message.MessageID) {
		t.Fatalf("history %+v", got)
	}
	gone(t, "history", got[1])
	carol.ackLog("phone", id, 3)

	// The repeat of a push has no content any more.
	again := alice.say(id, "oops again")
	phone.logPush(id, 4)
	if _, err := alice.Recall(within(t, patience), again.Message.MessageID); err != nil {
		t.Fatal(err)
	}
	phone.logPush(id, 5)
	phone.none(1500*time.Millisecond, "content that is gone", func(f client.Frame) bool {
		return f.Type == "message" && f.Message.MessageID == again.Message.MessageID && len(f.Message.Body) != 0
	})
}

// crossLog: log messages are pushed on the other node, and acks there count here.
func crossLog(t *testing.T, a, b *system, crowd []*actor) {
	alice, bob := a.user(t), a.user(t)
	here, there := bob.openLive("here"), bob.at(b).openLive("there")
	id := alice.logGroup(append(crowd, bob)...)
	for seq := int64(1); seq <= 20; seq++ {
		if seq > 1 {
			if seq%2 == 0 {
				alice.say(id, fmt.Sprint(seq))
			} else {
				bob.at(b).say(id, fmt.Sprint(seq))
			}
		}
		here.logPush(id, seq)
		there.logPush(id, seq)
		bob.at(b).ackLog("here", id, seq)
		bob.ackLog("there", id, seq)
	}
	here.quiet(2500*time.Millisecond, id)
	there.quiet(100*time.Millisecond, id)

	// What isn't acked is repeated: the silence above means something.
	alice.say(id, "don't ack me")
	there.logPush(id, 21)
	there.until("second attempt", func(f client.Frame) bool {
		return f.Type == "message" && f.Message.ConversationID == id && f.Message.ConversationSeq == 21 && f.Attempt == 2
	})
	bob.ackLog("there", id, 21)
}

// logOf500: a group of 500 is made in one call; all who are online get what is said, in one order, on both nodes.
func logOf500(t *testing.T, a, b *system, crowd []*actor) {
	const online, messages = 24, 20
	alice := a.user(t)
	sockets := make([]*line, online)
	for i := range sockets {
		sockets[i] = crowd[i*20].at([]*system{a, b}[i%2]).openLive("loud")
	}
	id := alice.logGroup(append(crowd, a.user(t))...)
	if c := alice.conversation(id); c.MemberCount != 500 {
		t.Fatalf("member_count %d, want 500", c.MemberCount)
	}
	seen := 0
	for cursor := ""; ; {
		page, err := crowd[7].Members(within(t, patience), id, cursor, 200)
		if err != nil {
			t.Fatal(err)
		}
		seen += len(page.Members)
		if cursor = page.NextCursor; !page.HasMore {
			break
		}
	}
	if seen != 500 {
		t.Errorf("%d members in the list, want 500", seen)
	}
	began := time.Now()
	for n := range messages {
		crowd[n].at([]*system{a, b}[n%2]).say(id, fmt.Sprint(n))
	}
	t.Logf("%d sends took %s", messages, time.Since(began))
	for i, l := range sockets {
		for seq := int64(1); seq <= messages+1; seq++ {
			frame := l.flow(id, fmt.Sprintf("log message %d", seq))
			if frame.Type == "behind" { // the machine was slower than the ack timeout: pull
				if rest := crowd[i*20].wholeHistory(id, seq-1); len(rest) != int(messages+2-seq) {
					t.Fatalf("pulled %d after %d", len(rest), seq-1)
				}
				break
			}
			if frame.Message.ConversationSeq != seq {
				t.Fatalf("device %d: push %d, want %d", i, frame.Message.ConversationSeq, seq)
			}
		}
		crowd[i*20].ackLog("loud", id, messages+1)
	}
}
