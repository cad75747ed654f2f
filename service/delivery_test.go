package service

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"ackbox/model"
)

func seq(n int64) *int64 { return &n }

// inbox is a node on SQLite with one who writes and one who reads, and a clock that
// only the test moves.
type inbox struct {
	*node
	t        tester
	clock    *handClock
	audience *model.Audience
	writes   model.UserID
	reads    model.UserID
}

func newInbox(t *testing.T, options DeliveryOptions) *inbox {
	t.Helper()
	clock := newHandClock()
	n := newNode(t, sqliteStore(t), options, clock.now)
	i := &inbox{node: n, t: t, clock: clock}
	i.audience, i.writes, i.reads = n.pair(t)
	return i
}

// say writes messages through the writer's transaction, without its batches, and
// hands them on.
func (i *inbox) say(count int) {
	i.t.Helper()
	i.node.delivery.Committed(i.store1(count))
}

// store1 makes messages durable and tells nobody.
func (i *inbox) store1(count int) (list []Committed) {
	i.t.Helper()
	var batch []*send
	for range count {
		msg := i.text(i.t, i.audience, i.writes, "")
		msg.ClientMsgID = fmt.Sprint(msg.ID)
		batch = append(batch, newSend(msg, i.audience))
	}
	for len(batch) > 0 {
		part := batch[:min(len(batch), 50)]
		batch = batch[len(part):]
		must(i.t, i.writer.transact(within(i.t), part))
		for _, s := range part {
			list = append(list, Committed{Message: s.msg, JSON: s.msg.AppendJSON(nil), Entries: s.entries})
		}
	}
	return list
}

func (i *inbox) device(name model.DeviceID) model.DeviceKey {
	return model.DeviceKey{UserID: i.reads, DeviceID: name}
}

// tick moves the clock and does what the jobs do.
func (i *inbox) tick(d time.Duration) {
	i.t.Helper()
	i.clock.step(d)
	must(i.t, i.delivery.Retry(i.t.Context()))
	must(i.t, i.delivery.Tick(i.t.Context()))
}

// TestConnect: what waits is pushed, up to 100; with more the client is told to pull.
func TestConnect(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		waiting int
		behind  bool
	}{{0, false}, {1, false}, {100, false}, {101, true}, {130, true}} {
		t.Run(fmt.Sprint(c.waiting), func(t *testing.T) {
			t.Parallel()
			i := newInbox(t, standard)
			i.store1(c.waiting)
			phone := i.connect(t, i.device("phone"), seq(0))
			head := int64(c.waiting)
			phone.expect(fmt.Sprint("hello 0 of ", head))
			phone.expectMessages(1, min(head, 100))
			if !c.behind {
				phone.expect(fmt.Sprint("synced ", head))
				phone.silent()
				i.say(1)
				phone.expectMessages(head+1, head+1)
				return
			}
			phone.expect(fmt.Sprint("behind ", head))
			i.say(2)
			phone.ack(head - 1)
			phone.silent() // nothing is pushed before it has caught up to what it was told
			phone.ack(head)
			phone.expectMessages(head+1, head+2)
			phone.expect(fmt.Sprint("synced ", head+2))
			phone.silent()
		})
	}
}

// TestConnectWithoutAPosition starts where the device stands, or for a new one at the
// newest 100.
func TestConnectWithoutAPosition(t *testing.T) {
	t.Parallel()
	i := newInbox(t, standard)
	i.store1(130)
	phone := i.connect(t, i.device("phone"), nil)
	phone.expect("hello 30 of 130")
	phone.expectMessages(31, 130)
	phone.expect("synced 130")
	phone.ack(128)
	phone.leave()
	phone = i.connect(t, i.device("phone"), nil)
	phone.expect("hello 128 of 130", "message 129", "message 130", "synced 130")
	phone.leave()
	// A device that lost what it had gets it again, although its position is further.
	phone = i.connect(t, i.device("phone"), seq(126))
	phone.expect("hello 128 of 130", "message 127", "message 128", "message 129", "message 130", "synced 130")
	// A device that says more than there is is told so, and nothing is acked.
	phone.leave()
	o, err := i.mailboxes.Open(within(t), i.device("phone"), 0, seq(131), 0)
	must(t, err)
	equal(t, "reset", o.Reset, true)
	equal(t, "acked", o.Acked, 128)
}

// TestLive: a live session is pushed each entry as it comes; one that comes before its
// turn waits for its predecessor, and a hole that stays is read from the mailbox.
func TestLive(t *testing.T) {
	t.Parallel()
	i := newInbox(t, standard)
	phone, laptop := i.connect(t, i.device("phone"), seq(0)), i.connect(t, i.device("laptop"), seq(0))
	for _, e := range []*end{phone, laptop} {
		e.expect("hello 0 of 0", "synced 0")
	}
	i.say(3)
	list := i.store1(6) // 4 to 9
	i.delivery.Committed(list[2:4])
	i.delivery.Committed(list[0:1])
	i.delivery.Committed(list[1:2])
	i.delivery.Committed(list[0:2]) // told twice
	for _, e := range []*end{phone, laptop} {
		e.expectMessages(1, 7)
		e.silent()
	}
	i.delivery.Committed(list[5:6]) // 8 was lost on the way
	for _, e := range []*end{phone, laptop} {
		e.expectMessages(8, 9)
		e.silent()
	}
	i.store1(1) // 10: nobody was told
	must(t, i.delivery.Sweep(t.Context()))
	for _, e := range []*end{phone, laptop} {
		e.expectMessages(10, 10)
		e.silent()
	}
	// More before their turn than are kept.
	list = i.store1(80)
	i.delivery.Committed(list[1:])
	for _, e := range []*end{phone, laptop} {
		e.expectMessages(11, 90)
		e.silent()
	}
}

// TestMoreThanTheStash: of entries that come before their turn, those that are too many to keep are read from the mailbox
// as soon as the hole is filled, and do not wait for the sweep.
func TestMoreThanTheStash(t *testing.T) {
	t.Parallel()
	i := newInbox(t, standard)
	phone := i.connect(t, i.device("phone"), seq(0))
	phone.expect("hello 0 of 0", "synced 0")
	list := i.store1(maxStash + 20)
	i.delivery.Committed(list[1:]) // another worker's batch has overtaken
	i.delivery.Committed(list[:1])
	phone.expectMessages(1, maxStash+20)
	phone.silent()
}

// TestInFlight: with 256 pushes un-acked a session goes behind, and comes back.
func TestInFlight(t *testing.T) {
	t.Parallel()
	i := newInbox(t, standard)
	phone := i.connect(t, i.device("phone"), seq(0))
	phone.expect("hello 0 of 0", "synced 0")
	for from := int64(1); from <= maxUnacked; from += 64 {
		i.say(64)
		phone.expectMessages(from, from+63)
	}
	i.say(2)
	phone.expect("behind 257") // told at the first one too many
	phone.silent()
	equal(t, "state", phone.session.state, stateBehind)
	phone.ack(256)
	phone.silent()
	phone.ack(257)
	phone.expect("message 258", "synced 258")
	i.say(1)
	phone.expect("message 259")
	phone.ack(259)
	equal(t, "un-acked pushes", i.delivery.queue.Len(), 0)
}

// TestRetry pushes again what is not acked, and closes with 4008 after the last attempt.
func TestRetry(t *testing.T) {
	t.Parallel()
	i := newInbox(t, standard)
	phone := i.connect(t, i.device("phone"), seq(0))
	phone.expect("hello 0 of 0", "synced 0")
	i.say(3)
	phone.expectMessages(1, 3)
	i.tick(standard.AckTimeout - 1)
	phone.silent()
	phone.ack(1)
	_, err := i.acker.Ack(within(t), Ack{Key: phone.session.Key, MessageIDs: []model.MessageID{mailboxID(t, i, 3)}})
	must(t, err)
	i.tick(1)
	phone.expect("message 2 again 2")
	for attempt := 3; attempt <= standard.MaxAttempts; attempt++ {
		i.tick(standard.AckTimeout)
		phone.expect(fmt.Sprint("message 2 again ", attempt))
		phone.silent()
	}
	i.tick(standard.AckTimeout - 1)
	phone.silent()
	i.tick(1)
	phone.closedWith(CloseUnacked)
	phone.leave()
	equal(t, "un-acked pushes", i.delivery.queue.Len(), 0)
	phone = i.connect(t, i.device("phone"), seq(1))
	phone.expect("hello 1 of 3", "message 2", "synced 3") // 3 was acked before its turn
	phone.ack(2)
	equal(t, "position", deviceOf(t, i.node, phone.session.Key).Acked, 3)
}

func mailboxID(t tester, i *inbox, at int64) model.MessageID {
	t.Helper()
	id, err := i.store.EntryID(t.Context(), i.reads, at)
	must(t, err)
	return id
}

func deviceOf(t tester, n *node, key model.DeviceKey) model.Device {
	t.Helper()
	d, err := n.store.DeviceByKey(t.Context(), key)
	must(t, err)
	return d
}

// TestEviction: pushes that a full ack queue forgot come again with the sweep, and end
// with 4008 like others.
func TestEviction(t *testing.T) {
	t.Parallel()
	options := standard
	options.QueueSize = 3
	i := newInbox(t, options)
	phone := i.connect(t, i.device("phone"), seq(0))
	phone.expect("hello 0 of 0", "synced 0")
	i.say(5)
	phone.expectMessages(1, 5)
	equal(t, "un-acked pushes", i.delivery.queue.Len(), 3)
	for attempt := 2; attempt <= options.MaxAttempts; attempt++ {
		must(t, i.delivery.Sweep(t.Context()))
		for s := 1; s <= 5; s++ {
			phone.expect(fmt.Sprintf("message %d again %d", s, attempt))
		}
		i.settled(t)
	}
	must(t, i.delivery.Sweep(t.Context()))
	phone.closedWith(CloseUnacked)
	phone.leave()

	phone = i.connect(t, i.device("phone"), seq(0))
	phone.expect("hello 0 of 5")
	phone.expectMessages(1, 5)
	phone.expect("synced 5")
	phone.ack(5)
	must(t, i.delivery.Sweep(t.Context()))
	phone.silent()
	i.say(1)
	phone.expect("message 6")
}

// TestSlowSocket: who takes nothing gets no more than fits, is closed with 4009, and
// holds up nobody.
func TestSlowSocket(t *testing.T) {
	t.Parallel()
	i := newInbox(t, standard)
	slow, quick := i.connect(t, i.device("slow"), seq(0)), i.connect(t, i.device("quick"), seq(0))
	quick.expect("hello 0 of 0", "synced 0")
	slow.expect("hello 0 of 0", "synced 0")
	i.say(40)
	quick.expectMessages(1, 40)
	i.tick(standard.SlowTimeout)
	closed, _ := slow.line.state()
	equal(t, "closed within its time", closed, false)
	slow.expectMessages(1, 1) // it does read, if slowly
	i.tick(time.Second)
	i.tick(standard.SlowTimeout - time.Second)
	closed, _ = slow.line.state()
	equal(t, "closed although it reads", closed, false)
	i.clock.step(time.Second)
	must(t, i.delivery.Tick(t.Context()))
	slow.closedWith(CloseSlow)
	if slow.line.full {
		t.Error("more was pushed than the socket's buffer holds")
	}
	equal(t, "frames in the buffer", len(slow.line.frames), socketFrames)
}

// TestOutboxIsBounded: a client that reads next to nothing from its socket, and pulls and
// acks by REST all the time, is told to pull instead of being pushed without end.
func TestOutboxIsBounded(t *testing.T) {
	t.Parallel()
	i := newInbox(t, standard)
	phone := i.connect(t, i.device("phone"), seq(0))
	phone.expect("hello 0 of 0", "synced 0")
	for n := int64(1); n <= 10*maxOutbox; n++ {
		i.delivery.Entry(i.reads, n, []byte(`{}`))
		i.delivery.Settle(phone.session.Key, n, nil)
		i.delivery.Frame(i.reads, []byte(`{"type":"receipt"}`))
	}
	i.settled(t)
	phone.session.mu.Lock()
	waiting := len(phone.session.outbox)
	phone.session.mu.Unlock()
	if waiting > maxOutbox+2 {
		t.Errorf("%d frames wait for the socket, want at most %d and a word about it", waiting, maxOutbox)
	}
}

// TestRetryOfAStuckSocket: what waits for a socket is not joined by copies of itself.
func TestRetryOfAStuckSocket(t *testing.T) {
	t.Parallel()
	i := newInbox(t, standard)
	phone := i.connect(t, i.device("phone"), seq(0))
	phone.expect("hello 0 of 0", "synced 0")
	i.say(40)
	waiting := func() int {
		phone.session.mu.Lock()
		defer phone.session.mu.Unlock()
		return len(phone.session.outbox)
	}
	equal(t, "frames that wait", waiting(), 40-socketFrames)
	for range 2 { // not long enough to be taken for dead
		i.tick(standard.AckTimeout)
	}
	equal(t, "frames that wait after two retries", waiting(), 40-socketFrames)
	phone.expectMessages(1, 40)
	i.tick(standard.AckTimeout)
	phone.expect("message 1 again 4")
}

// TestClosedByTheClock: ping frames, expired tokens.
func TestClosedByTheClock(t *testing.T) {
	t.Parallel()
	i := newInbox(t, standard)
	o, err := i.mailboxes.Open(within(t), i.device("phone"), 0, nil, 0)
	must(t, err)
	o.ExpiresAt = i.clock.now().Add(time.Minute)
	phone := i.join(t, o)
	phone.expect("hello 0 of 0", "synced 0")
	i.say(1)
	phone.expect("message 1")
	phone.ack(1)
	i.tick(standard.Heartbeat - 1)
	phone.silent()
	i.tick(1)
	phone.expect("ping 1")
	i.tick(standard.Heartbeat)
	phone.expect("ping 1")
	i.tick(10*time.Second - 1)
	phone.silent()
	i.tick(1)
	bye := phone.closedWith(CloseToken)
	equal(t, "retry_after_ms", bye.RetryMS, 0)
}

// TestReplaced: the same device connecting again closes its older connection, and only that.
func TestReplaced(t *testing.T) {
	t.Parallel()
	i := newInbox(t, standard)
	first, other := i.connect(t, i.device("phone"), nil), i.connect(t, i.device("laptop"), nil)
	second := i.connect(t, i.device("phone"), nil)
	first.closedWith(CloseReplaced)
	for _, e := range []*end{second, other} {
		e.expect("hello 0 of 0", "synced 0")
	}
	i.say(1) // before the old one has left
	first.leave()
	i.say(1)
	for _, e := range []*end{second, other} {
		e.expect("message 1", "message 2")
	}
	second.ack(2)
	other.ack(2)
	equal(t, "un-acked pushes", i.delivery.queue.Len(), 0)
	equal(t, "sessions", i.delivery.countByState(stateLive), 2)
}

func (d *Delivery) countByState(state sessionState) (n int) {
	d.each(func(s *Session) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.state == state {
			n++
		}
	})
	return n
}

// TestKicks: each reason to close has its code, and closes whom it means.
func TestKicks(t *testing.T) {
	t.Parallel()
	i := newInbox(t, standard)
	connect := func(name model.DeviceID, family model.FamilyID) *end {
		o, err := i.mailboxes.Open(within(t), i.device(name), 0, nil, 0)
		must(t, err)
		o.Family = family
		return i.join(t, o)
	}
	a, b, c := connect("a", 1), connect("b", 2), connect("c", 2)
	i.delivery.Revoke(i.reads, 1)
	a.closedWith(CloseToken)
	must(t, NewDevices(i.store, nil, i.delivery, nil).Forget(t.Context(), i.device("b"), 0))
	b.closedWith(CloseToken)
	closed, _ := c.line.state()
	equal(t, "another device closed", closed, false)
	i.delivery.Ban(i.reads)
	c.closedWith(CloseBanned)
	a.leave()
	b.leave()
	c.leave()
	d := connect("d", 3)
	i.delivery.Drain(3 * time.Second)
	if bye := d.closedWith(CloseRestart); bye.RetryMS < 0 || bye.RetryMS >= 3_000 {
		t.Errorf("retry_after_ms %d, want below 3,000", bye.RetryMS)
	}
	d.leave()
	equal(t, "users known", len(i.delivery.sessionsOf(i.reads)), 0)
}

// TestPositionLost: a head that went back closes with 4010.
func TestPositionLost(t *testing.T) {
	t.Parallel()
	i := newInbox(t, standard)
	phone := i.connect(t, i.device("phone"), nil)
	phone.expect("hello 0 of 0", "synced 0")
	i.say(2)
	phone.expectMessages(1, 2)
	i.delivery.Entry(i.reads, 3, []byte(`{}`)) // was visible, and is gone
	phone.expect("message 3")
	must(t, i.delivery.Sweep(t.Context()))
	phone.closedWith(ClosePositionLost)
}

// TestAnotherDatabase: who holds something of a database that was put back is pushed nothing of what came in its place, and
// who has read where they stand in it and connects after that is told as well.
func TestAnotherDatabase(t *testing.T) {
	t.Parallel()
	clock := newHandClock()
	i := &inbox{node: newNode(t, openStore(t, backends["MySQL"](t)), standard, clock.now), t: t, clock: clock}
	if _, err := i.store.Installation(t.Context(), "here"); err != nil {
		t.Fatal(err)
	}
	i.audience, i.writes, i.reads = i.pair(t)
	must(t, i.delivery.Sweep(t.Context()))
	phone := i.connect(t, i.device("phone"), nil)
	phone.expect("hello 0 of 0", "synced 0")
	i.say(1)
	phone.expectMessages(1, 1)
	before := i.store.Run()
	must(t, MarkRestored(t.Context(), i.store, 0, time.Now))
	if _, err := i.store.Identity(t.Context()); err != nil { // a new connection asks too
		t.Fatal(err)
	}
	i.say(1) // the next one of what it holds
	phone.closedWith(ClosePositionLost)
	phone.silent()
	i.join(t, Opening{Key: i.device("tablet"), Run: before}).closedWith(ClosePositionLost)
}

// TestAckOnAnotherNode: the sweep learns from the store what the relay lost.
func TestAckOnAnotherNode(t *testing.T) {
	t.Parallel()
	i := newInbox(t, standard)
	other := newNode(t, i.store, standard, i.clock.now)
	phone := i.connect(t, i.device("phone"), nil)
	phone.expect("hello 0 of 0", "synced 0")
	i.say(3)
	phone.expectMessages(1, 3)
	_, err := other.acker.Ack(within(t), Ack{Key: phone.session.Key, UpTo: seq(2)})
	must(t, err)
	equal(t, "un-acked pushes", i.delivery.queue.Len(), 3)
	must(t, i.delivery.Sweep(t.Context()))
	equal(t, "un-acked pushes after the sweep", i.delivery.queue.Len(), 1)
	i.tick(standard.AckTimeout)
	phone.expect("message 3 again 2")
	phone.silent()
}

// passedOn is a relay that keeps the acks it is given.
type passedOn struct {
	alone
	acks, logs int
}

func (p *passedOn) Acked(model.DeviceKey, int64, []int64)       { p.acks++ }
func (p *passedOn) AckedLog(model.DeviceKey, model.LogPosition) { p.logs++ }

// TestAckBesideAClosedSocket: a device has moved to another node and acks on the one it came from, whose socket is still on its
// way out: the other node is told.
func TestAckBesideAClosedSocket(t *testing.T) {
	t.Parallel()
	i := newInbox(t, standard)
	relay := &passedOn{}
	i.delivery.SetRelay(relay)
	phone := i.connect(t, i.device("phone"), seq(0))
	*relay = passedOn{} // connecting acks, before it is here
	log := model.LogPosition{ConversationID: 7, Acked: 1}
	i.delivery.Acked(phone.session.Key, 0, 1, nil)
	i.delivery.AckedLog(phone.session.Key, log)
	equal(t, "told of a device that is here", *relay, passedOn{})
	i.delivery.Kick(i.reads, func(*Session) bool { return true }, CloseReplaced, "the same device connected again")
	i.delivery.Acked(phone.session.Key, 0, 1, nil)
	i.delivery.AckedLog(phone.session.Key, log)
	equal(t, "told of a device that is not", *relay, passedOn{acks: 1, logs: 1})
}

// TestManyConnectAtOnce: those that the pumps have no room for are asked to come later.
func TestManyConnectAtOnce(t *testing.T) {
	t.Parallel()
	options := standard
	options.PumpWorkers, options.PumpCapacity = 0, 2
	i := newInbox(t, options)
	for n := range 4 {
		e := i.connect(t, i.device(model.DeviceID(fmt.Sprint("d", n))), nil)
		if n < 2 {
			e.expect("hello 0 of 0")
			continue
		}
		if bye := e.closedWith(CloseTryLater); bye.RetryMS < 0 || bye.RetryMS >= 10_000 {
			t.Errorf("retry_after_ms %d, want below 10,000", bye.RetryMS)
		}
	}
}

// TestManyDevicesOfAUser: device ids are the client's own, and yet a user has no more sockets than devices; who connects
// last is let in, and a device that comes again closes no other.
func TestManyDevicesOfAUser(t *testing.T) {
	t.Parallel()
	options := standard
	options.UserSessions = 3
	i := newInbox(t, options)
	connect := func(n int) *end {
		e := i.connect(t, i.device(model.DeviceID(fmt.Sprint("d", n))), nil)
		e.expect("hello 0 of 0", "synced 0")
		return e
	}
	var list []*end
	for n := range 3 {
		list = append(list, connect(n))
	}
	again := connect(2)
	list[2].closedWith(CloseReplaced)
	list[2] = again
	for n := 3; n < 8; n++ {
		list = append(list, connect(n))
		if bye := list[n-3].closedWith(CloseTryLater); bye.RetryMS < 0 || bye.RetryMS >= 10_000 {
			t.Errorf("retry_after_ms %d, want below 10,000", bye.RetryMS)
		}
	}
	i.say(1)
	for _, e := range list[5:] {
		e.expectMessages(1, 1)
	}
}

// TestJobsEnd with their ctx.
func TestJobsEnd(t *testing.T) {
	t.Parallel()
	i := newInbox(t, standard)
	i.connect(t, i.device("phone"), nil)
	ended, end := context.WithCancel(t.Context())
	end()
	if i.delivery.Retry(ended) == nil || i.delivery.Sweep(ended) == nil {
		t.Error("a job went on after its end")
	}
}

// TestPumpReadsNoHole: a statement that sees an entry and not the one in front of it, as MariaDB's can (see model.UpTo),
// pushes nothing from above the head that was known before; what it has shown is read again. Entry 3 is out of sight for
// the first reading, and there for the second.
func TestPumpReadsNoHole(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.db")
	clock := newHandClock()
	i := &inbox{node: newNode(t, openStore(t, model.Options{SQLitePath: path}), standard, clock.now), t: t, clock: clock}
	i.audience, i.writes, i.reads = i.pair(t)
	i.store1(4)
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(10000)")
	must(t, err)
	t.Cleanup(func() { must(t, db.Close()) })
	const nobody = 1
	move := func(from, to model.UserID) {
		result, err := db.ExecContext(t.Context(), "UPDATE mailboxes SET user_id = ? WHERE user_id = ? AND seq = 3", to, from)
		must(t, err)
		n, err := result.RowsAffected()
		must(t, err)
		equal(t, "rows moved", n, 1)
	}
	o, err := i.mailboxes.Open(within(t), i.device("phone"), 0, nil, 0)
	must(t, err)
	o.Head, o.ExpiresAt = 2, clock.now().Add(time.Hour)
	move(i.reads, nobody)
	phone := &end{t: t, node: i.node, line: &line{}}
	back := sync.OnceFunc(func() { move(nobody, i.reads) })
	phone.line.pushes = func(frames [][]byte) {
		for _, frame := range frames {
			if decodeFrame(t, frame).Seq == 2 {
				back()
			}
		}
	}
	phone.session = i.delivery.Join(phone.line, o)
	t.Cleanup(phone.leave)
	phone.expect("hello 0 of 2")
	phone.expectMessages(1, 4)
	phone.expect("synced 4")
}
