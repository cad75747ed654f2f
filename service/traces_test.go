package service

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"ackbox/model"
	"ackbox/trace"

	"github.com/google/go-cmp/cmp"
)

// traced is an inbox whose node has a trace, and what answers about it.
type traced struct {
	*inbox
	traces *Traces
}

func newTraced(t *testing.T, options DeliveryOptions) *traced {
	t.Helper()
	clock := newHandClock()
	store, err := trace.Open(trace.Options{Dir: t.TempDir(), Retention: time.Hour, Bytes: 16 << 20, Rate: 1_000_000, Node: func() model.NodeID { return 0 }, Clock: clock.now, Log: quiet})
	must(t, err)
	t.Cleanup(func() { must(t, store.Close()) })
	options.Trace = store
	n := newNode(t, sqliteStore(t), options, clock.now)
	i := &inbox{node: n, t: t, clock: clock}
	i.audience, i.writes, i.reads = n.pair(t)
	calls := NewNodeCalls(n.store, nil, "here", "process", n.ids.Node, quiet)
	t.Cleanup(calls.Stop)
	return &traced{i, NewTraces(n.store, store, calls, n.conversations, n.delivery)}
}

// say1 sends one message and answers it. Time goes on.
func (x *traced) say1() *model.Message {
	x.t.Helper()
	x.clock.step(time.Millisecond)
	return x.write(x.t, x.audience, x.writes, 1)[0].Message
}

func (x *traced) of(m *model.Message) *MessageTrace {
	x.t.Helper()
	mt, err := x.traces.Message(within(x.t), m.ID, 0, RecipientPage)
	must(x.t, err)
	return mt
}

// kinds are the events in words: what, on which device, which attempt.
func (mt *MessageTrace) kinds() (list []string) {
	for _, v := range mt.Events {
		word := v.Kind.String()
		if v.Device != "" {
			word += " " + string(v.Device)
		}
		if v.Attempt > 1 {
			word += fmt.Sprint(" ", v.Attempt)
		}
		if v.Kind == trace.Closed || v.Kind == trace.Duplicate {
			word += " " + v.Detail()
		}
		list = append(list, word)
	}
	return list
}

func same(t tester, what string, got, want any) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

// TestTrace follows a message from its acceptance to the last reader, on devices that are pushed to, that are away and that pull.
func TestTrace(t *testing.T) {
	t.Parallel()
	x := newTraced(t, standard)
	phone := x.connect(t, x.device("phone"), seq(0))
	phone.expect("hello 0 of 0", "synced 0")
	_, err := x.mailboxes.Sync(within(t), x.device("laptop"), 0, 0, 0, 10) // known, and not connected
	must(t, err)
	own := x.connect(t, model.DeviceKey{UserID: x.writes, DeviceID: "own"}, seq(0))
	own.expect("hello 0 of 0", "synced 0")

	other := x.say1()
	m := x.say1()
	phone.expectMessages(1, 2)
	own.expectMessages(1, 2)
	own.ack(2)
	before := x.of(m)
	same(t, "events before the ack", before.kinds(), []string{"accepted", "committed", "pushed own", "pushed phone", "acked own"})
	states := func(mt *MessageTrace) (list []string) {
		for _, r := range slices.Concat([]TracedRecipient{mt.Sender}, mt.Recipients) {
			for _, d := range r.Devices {
				list = append(list, fmt.Sprint(d.ID, " ", d.State, " ", d.Acked, " of ", d.Head))
			}
		}
		slices.Sort(list)
		return list
	}
	same(t, "devices before the ack", states(before), []string{"laptop waiting 0 of 2", "own acked 2 of 2", "phone pushed 0 of 2"})

	x.tick(3 * time.Second) // not acked in time
	phone.expect("message 1 again 2", "message 2 again 2")
	x.clock.step(time.Millisecond)
	phone.ack(2)
	x.clock.step(time.Millisecond)
	_, err = x.conversations.Read(within(t), x.reads, x.audience.ConversationID, 2)
	must(t, err)
	x.clock.step(time.Millisecond)
	_, err = x.mailboxes.Sync(within(t), x.device("laptop"), 0, 0, 0, 10)
	must(t, err)
	x.clock.step(time.Millisecond)
	_, err = x.mailboxes.Ack(within(t), Ack{Key: x.device("laptop"), MessageIDs: []model.MessageID{m.ID}})
	must(t, err)
	x.clock.step(time.Millisecond)
	_, err = x.mailboxes.Ack(within(t), Ack{Key: x.device("laptop"), UpTo: seq(2)})
	must(t, err)
	x.clock.step(time.Millisecond)
	_, duplicate, err := x.writer.Write(within(t), &model.Message{ID: model.MessageID(x.id(t)), ConversationID: m.ConversationID, SenderID: m.SenderID, ClientMsgID: m.ClientMsgID, Type: m.Type, Body: m.Body, Ext: m.Ext}, contentHash(m), x.audience)
	must(t, err)
	equal(t, "duplicate", duplicate, true)
	x.clock.step(time.Millisecond)
	x.delivery.Recalled(m)

	got := x.of(m)
	same(t, "events", got.kinds(), []string{
		"accepted", "committed", "pushed own", "pushed phone", "acked own", "retried phone 2", "acked phone 2", "receipt", "read", "synced laptop", "acked_by_position laptop", "acked_by_position laptop",
		"duplicate sent again with the same key 1 times", "recalled",
	})
	same(t, "devices", states(got), []string{"laptop acked 2 of 2", "own acked 2 of 2", "phone acked 2 of 2"})
	a := got.Accepted
	same(t, "acceptance", []any{a.Traced, a.Node, a.Batch, a.BatchSize, a.At >= m.CreatedAt.Time().UnixMicro()-1}, []any{true, model.NodeID(0), m.ID, int64(1), true})
	r := got.Recipients[0]
	same(t, "the recipient", []any{len(got.Recipients), r.UserID, r.Seq, r.Delivered, r.Read, r.DeliveredAt > a.At, r.ReadAt > r.DeliveredAt}, []any{1, x.reads, int64(2), true, true, true, true})
	same(t, "totals", got.Totals, model.ReceiptCounts{Members: 1, Delivered: 1, Read: 1})
	same(t, "complete, sampled, missing", []any{got.Complete, got.Sampled, len(got.Missing)}, []any{true, true, 0})
	if n := len(x.of(other).Events); n < 10 {
		t.Errorf("the message before has %d events", n)
	}

	// One's own: not for others.
	mine, err := x.traces.Own(within(t), x.writes, m.ID, 0, 10)
	must(t, err)
	same(t, "own", mine.Recipients[0].ReadAt, r.ReadAt)
	_, err = x.traces.Own(within(t), x.reads, m.ID, 0, 10)
	wantError(t, err, model.CodeForbidden)
	_, err = x.traces.Own(within(t), x.user(t), m.ID, 0, 10)
	wantError(t, err, model.CodeNotFound)
	for range ownSearches {
		x.traces.own <- struct{}{}
	}
	busy, err := x.traces.Own(within(t), x.writes, m.ID, 0, 10)
	must(t, err)
	same(t, "own when many ask", []any{busy.Recipients[0].Read, busy.Recipients[0].ReadAt, busy.Complete}, []any{true, int64(0), false})
}

// TestTraceOfTrouble: what goes wrong on the way is in the trace of the messages that it concerns.
func TestTraceOfTrouble(t *testing.T) {
	t.Parallel()
	has := func(t *testing.T, x *traced, m *model.Message, want ...string) {
		t.Helper()
		got := x.of(m).kinds()
		for _, w := range want {
			if !slices.Contains(got, w) {
				t.Errorf("no %q in %q", w, strings.Join(got, ", "))
			}
		}
	}
	hasNot := func(t *testing.T, x *traced, m *model.Message, kind string) {
		t.Helper()
		if got := x.of(m).kinds(); slices.ContainsFunc(got, func(s string) bool { return strings.HasPrefix(s, kind) }) {
			t.Errorf("%q in %q", kind, strings.Join(got, ", "))
		}
	}
	live := func(x *traced) *end {
		phone := x.connect(t, x.device("phone"), seq(0))
		phone.expect("hello 0 of 0", "synced 0")
		return phone
	}
	t.Run("a lost connection", func(t *testing.T) {
		t.Parallel()
		x := newTraced(t, standard)
		phone := live(x)
		acked, m := x.say1(), x.say1()
		phone.expectMessages(1, 2)
		phone.ack(1)
		phone.leave()
		has(t, x, m, "closed phone the connection was lost")
		hasNot(t, x, acked, "closed")
	})
	t.Run("no ack to the last attempt", func(t *testing.T) {
		t.Parallel()
		x := newTraced(t, standard)
		phone := live(x)
		m := x.say1()
		phone.expectMessages(1, 1)
		for range standard.MaxAttempts {
			x.tick(3 * time.Second)
			for phone.line.read() != nil {
				phone.session.Written()
			}
		}
		phone.closedWith(CloseUnacked)
		has(t, x, m, "retried phone 2", "retried phone 5", "closed phone 4008")
		s, err := x.traces.Stuck(within(t), StuckByLag, 10)
		must(t, err)
		if s.Closes[CloseUnacked] == 0 {
			t.Errorf("closes %v", s.Closes)
		}
	})
	t.Run("forgotten by the ack queue", func(t *testing.T) {
		t.Parallel()
		options := standard
		options.QueueSize = 1
		x := newTraced(t, options)
		phone := live(x)
		first, last := x.say1(), x.say1()
		phone.expectMessages(1, 2)
		must(t, x.delivery.Sweep(t.Context()))
		phone.expect("message 1 again 2", "message 2 again 2")
		phone.ack(2)
		has(t, x, first, "evicted phone", "sweep_repair phone", "pushed phone 2", "acked_by_position phone")
		has(t, x, last, "sweep_repair phone", "acked phone 2")
	})
	t.Run("told to nobody", func(t *testing.T) {
		t.Parallel()
		x := newTraced(t, standard)
		phone := live(x)
		m := x.store1(1)[0].Message
		must(t, x.delivery.Sweep(t.Context()))
		phone.expectMessages(1, 1)
		phone.expect()
		has(t, x, m, "sweep_repair phone", "pushed phone")
		mt := x.of(m) // transact alone tells nothing
		same(t, "accepted by the tables", []any{mt.Accepted.Traced, mt.Accepted.Node, mt.Accepted.At, mt.Complete}, []any{false, model.NodeID(0), micros(m.CreatedAt), false})
	})
	t.Run("too many in flight", func(t *testing.T) {
		t.Parallel()
		x := newTraced(t, standard)
		phone := live(x)
		for from := int64(1); from <= maxUnacked; from += 64 {
			x.say(64)
			phone.expectMessages(from, from+63)
		}
		m := x.say1()
		phone.expect(fmt.Sprint("behind ", maxUnacked+1))
		has(t, x, m, "behind phone")
		hasNot(t, x, m, "pushed")
	})
	t.Run("a socket that is closed", func(t *testing.T) {
		t.Parallel()
		x := newTraced(t, standard)
		phone := live(x)
		phone.line.Close(nil, 1006, "")
		m := x.say1()
		has(t, x, m, "pushed phone", "push_failed phone")
	})
}

// TestStuck lists who is behind, with what their node knows.
func TestStuck(t *testing.T) {
	t.Parallel()
	x := newTraced(t, standard)
	phone := x.connect(t, x.device("phone"), seq(0))
	phone.expect("hello 0 of 0", "synced 0")
	_, err := x.mailboxes.Sync(within(t), x.device("laptop"), 0, 0, 0, 10)
	must(t, err)
	first := x.say1()
	x.say1()
	last := x.say1()
	phone.expectMessages(1, 3)
	phone.ack(2)
	x.tick(3 * time.Second)
	phone.expect("message 3 again 2")
	for _, order := range []StuckOrder{StuckByLag, StuckByAge} {
		s, err := x.traces.Stuck(within(t), order, 10)
		must(t, err)
		same(t, "devices", len(s.Devices), 2) // the sender has none
		laptop, device := s.Devices[0], s.Devices[1]
		same(t, "the furthest behind", []any{laptop.DeviceID, laptop.Lag, laptop.Oldest, laptop.Connected}, []any{model.DeviceID("laptop"), int64(3), first.ID, false})
		same(t, "the connected one", []any{device.DeviceID, device.Acked, device.Head, device.Lag, device.Oldest, device.Connected, device.Attempts}, []any{model.DeviceID("phone"), int64(2), int64(3), int64(1), last.ID, true, 2})
		same(t, "by attempt", s.ByAttempt[:3], []int64{0, 1, 0})
	}
	phone.ack(3)
	s, err := x.traces.Stuck(within(t), StuckByLag, 10)
	must(t, err)
	same(t, "an answer within two seconds", len(s.Devices), 2)
	x.clock.step(stuckFresh)
	s, err = x.traces.Stuck(within(t), StuckByLag, 1)
	must(t, err)
	same(t, "afterwards", []any{len(s.Devices), s.Devices[0].DeviceID}, []any{1, model.DeviceID("laptop")})
}

// TestTraceOfALargeGroup counts sockets and tells the devices' positions from the tables.
func TestTraceOfALargeGroup(t *testing.T) {
	t.Parallel()
	x := newTraced(t, standard)
	x.delivery.SetAudiences(x.audiences)
	groups := NewGroups(x.store, x.ids, x.writer, x.conversations, x.delivery, 2, 10, x.clock.now)
	third := x.user(t)
	view, _, err := groups.Create(within(t), x.writes, "", "all", []model.UserID{x.reads, third})
	must(t, err)
	id := view.Conversation.ID
	phone := x.connect(t, x.device("phone"), seq(0))
	phone.next() // hello
	for f := phone.next(); f.Type != "synced"; f = phone.next() {
	}
	audience, err := x.audiences.Refresh(within(t), id)
	must(t, err)
	_, err = x.mailboxes.Ack(within(t), Ack{Key: x.device("phone"), Conversations: []model.LogPosition{{ConversationID: id, Acked: view.Conversation.Head}}})
	must(t, err)
	m := x.write(t, audience, x.writes, 1)[0].Message
	if f := phone.next(); f.Type != "message" || f.Message.ID != m.ID {
		t.Fatalf("got %+v", f)
	}
	var mt *MessageTrace
	eventually(t, "the fan-out's count", func() bool {
		mt = x.of(m)
		return slices.Contains(mt.kinds(), "pushed")
	})
	same(t, "delivery", mt.Delivery, model.DeliveryLog)
	same(t, "events", mt.kinds(), []string{"accepted", "committed", "pushed"})
	same(t, "sockets", mt.Events[2].Detail(), "to 1 sockets")
	same(t, "states", []any{mt.Recipients[0].Devices[0].State, mt.Recipients[1].Devices[0].State, mt.Recipients[0].Delivered}, []any{DeviceWaiting, DeviceNever, false})
	_, err = x.mailboxes.Ack(within(t), Ack{Key: x.device("phone"), Conversations: []model.LogPosition{{ConversationID: id, Acked: m.ConversationSeq}}})
	must(t, err)
	mt = x.of(m)
	same(t, "events after the ack", mt.kinds(), []string{"accepted", "committed", "pushed", "acked_by_position phone"})
	same(t, "when it acked", mt.Recipients[0].Devices[0].AckedAt >= mt.Accepted.At, true)
	same(t, "after the ack", []any{mt.Recipients[0].Devices[0].State, mt.Recipients[0].Delivered, mt.Totals}, []any{DeviceAcked, true, model.ReceiptCounts{Members: 2, Delivered: 1}})
}
