package service

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"ackbox/model"
)

// acked is an ack that has to be taken, and the position after it.
func (i *inbox) acked(a Ack) int64 {
	i.t.Helper()
	position, err := i.acker.Ack(within(i.t), a)
	must(i.t, err)
	return position
}

// TestAckPositions move forward only, and not beyond what there is.
func TestAckPositions(t *testing.T) {
	t.Parallel()
	i := newInbox(t, standard)
	list := i.store1(10)
	phone := i.device("phone")
	for _, c := range []struct{ upTo, want int64 }{{3, 3}, {3, 3}, {1, 3}, {0, 3}, {7, 7}} {
		equal(t, fmt.Sprint("ack up to ", c.upTo), i.acked(Ack{Key: phone, UpTo: seq(c.upTo)}), c.want)
	}
	equal(t, "an ack of nothing", i.acked(Ack{Key: phone}), 7)
	equal(t, "an ack that proves where it stands", i.acked(Ack{Key: phone, UpTo: seq(8), UpToID: list[7].Message.ID}), 8)
	for what, a := range map[string]Ack{
		"beyond the head": {Key: phone, UpTo: seq(11)},
		"another message": {Key: phone, UpTo: seq(9), UpToID: list[7].Message.ID},
	} {
		_, err := i.acker.Ack(within(t), a)
		var lost *model.Error
		if !errors.As(err, &lost) || lost.Code != model.CodePositionLost || lost.Head != 10 || lost.Floor != 1 {
			t.Errorf("%s: %#v, want %s with head 10 and floor 1", what, err, model.CodePositionLost)
		}
		equal(t, what+": position", deviceOf(t, i.node, phone).Acked, 8)
	}
	equal(t, "another device", i.acked(Ack{Key: i.device("laptop"), UpTo: seq(2)}), 2)
	equal(t, "the first one", deviceOf(t, i.node, phone).Acked, 8)
}

// TestAckOutOfOrder: single entries are remembered, and the position moves over them
// once the gap before them is filled.
func TestAckOutOfOrder(t *testing.T) {
	t.Parallel()
	i := newInbox(t, standard)
	list := i.store1(10)
	phone := i.device("phone")
	ids := func(seqs ...int) (ids []model.MessageID) {
		for _, n := range seqs {
			ids = append(ids, list[n-1].Message.ID)
		}
		return ids
	}
	equal(t, "first", i.acked(Ack{Key: phone, UpTo: seq(1)}), 1)
	equal(t, "3, 6 and 5", i.acked(Ack{Key: phone, MessageIDs: ids(3, 6, 5)}), 1)
	equal(t, "again, and what is not there", i.acked(Ack{Key: phone, MessageIDs: append(ids(5, 1), 12345)}), 1)
	other := i.device("laptop")
	equal(t, "another device", i.acked(Ack{Key: other, UpTo: seq(0), MessageIDs: ids(4)}), 0)
	equal(t, "2 closes one gap", i.acked(Ack{Key: phone, MessageIDs: ids(2)}), 3)
	equal(t, "up to 4 closes the other", i.acked(Ack{Key: phone, UpTo: seq(4)}), 6)
	left, err := i.store.SelectiveAcks(t.Context(), []model.DeviceKey{phone, other})
	must(t, err)
	if len(left[phone]) != 0 || !slices.Equal(left[other], []int64{4}) {
		t.Errorf("remembered %v, want 4 of the other device only", left)
	}
	equal(t, "all at once", i.acked(Ack{Key: phone, UpTo: seq(7), MessageIDs: ids(10, 9, 8)}), 10)
	stranger := model.DeviceKey{UserID: i.writes, DeviceID: "phone"} // has all of them too, at seqs of its own
	equal(t, "another user", i.acked(Ack{Key: stranger, UpTo: seq(0), MessageIDs: ids(2)}), 0)
}

// TestAcksInOneBatch: who is refused is answered, and harms nobody.
func TestAcksInOneBatch(t *testing.T) {
	t.Parallel()
	i := newInbox(t, standard)
	list := i.store1(5)
	var batch []*ackRequest
	add := func(device model.DeviceID, upTo int64, ids ...model.MessageID) {
		batch = append(batch, &ackRequest{Ack: Ack{Key: i.device(device), UpTo: &upTo, MessageIDs: ids}, done: make(chan struct{})})
	}
	add("a", 2)
	add("a", 9) // lost
	add("b", 1, list[2].Message.ID)
	add("a", 4)
	add("c", 7) // lost, and never seen before
	add("a", 3)
	add("b", 2)
	want := []struct {
		acked int64
		code  model.Code
	}{{2, ""}, {0, model.CodePositionLost}, {1, ""}, {4, ""}, {0, model.CodePositionLost}, {4, ""}, {3, ""}}
	i.acker.run(batch)
	for n, r := range batch {
		<-r.done
		equal(t, fmt.Sprint("outcome of ", n), model.CodeOf(r.err), want[n].code)
		if r.err == nil {
			equal(t, fmt.Sprint("position of ", n), r.acked, want[n].acked)
		}
	}
	_, err := i.store.DeviceByKey(t.Context(), i.device("c"))
	wantError(t, err, model.CodeNotFound)
}

// delivered is the stored watermark of the reader.
func (i *inbox) delivered() int64 {
	i.t.Helper()
	m, err := i.store.MemberOf(i.t.Context(), i.audience.ConversationID, i.reads)
	must(i.t, err)
	return m.DeliveredSeq
}

// TestReceipts: an ack tells the sender, once, up to where; never more than was acked.
func TestReceipts(t *testing.T) {
	t.Parallel()
	i := newInbox(t, standard)
	alice := i.connect(t, model.DeviceKey{UserID: i.writes, DeviceID: "alice"}, nil)
	alice.expect("hello 0 of 0", "synced 0")
	i.store1(5)
	phone, laptop := i.device("phone"), i.device("laptop")
	i.acked(Ack{Key: phone, UpTo: seq(0)})
	i.acked(Ack{Key: laptop, UpTo: seq(0)})
	alice.silent()
	i.acked(Ack{Key: phone, UpTo: seq(2)})
	alice.expect("receipt delivered 2")
	i.acked(Ack{Key: phone, UpTo: seq(2)})
	i.acked(Ack{Key: laptop, UpTo: seq(1)})
	i.acked(Ack{Key: laptop, UpTo: seq(2)})
	alice.silent()
	list := i.store1(2)
	i.acked(Ack{Key: laptop, MessageIDs: []model.MessageID{list[1].Message.ID}}) // 7, out of order
	alice.silent()
	equal(t, "delivered", i.delivered(), 2)
	i.acked(Ack{Key: laptop, UpTo: seq(6)})
	alice.expect("receipt delivered 7")
	equal(t, "delivered", i.delivered(), 7)
	i.acked(Ack{Key: model.DeviceKey{UserID: i.writes, DeviceID: "alice"}, UpTo: seq(7)}) // her own messages
	alice.silent()
	sender, err := i.store.MemberOf(t.Context(), i.audience.ConversationID, i.writes)
	must(t, err)
	equal(t, "the sender's own", sender.DeliveredSeq, 0)
}

// TestNewDeviceForgesNoReceipts: what is older than where a new device begins was
// delivered to nobody by it.
func TestNewDeviceForgesNoReceipts(t *testing.T) {
	t.Parallel()
	i := newInbox(t, standard)
	i.store1(130)
	alice := i.connect(t, model.DeviceKey{UserID: i.writes, DeviceID: "alice"}, seq(130))
	alice.expect("hello 130 of 130", "synced 130")
	phone := i.connect(t, i.device("phone"), nil)
	phone.expect("hello 30 of 130")
	phone.ack(130)
	alice.silent() // 1 to 30 never reached anybody: a watermark of 130 would say so
	equal(t, "delivered", i.delivered(), 0)
	// A device that comes with what it has gets, and confirms, all that is after it.
	i.acked(Ack{Key: i.device("tablet"), UpTo: seq(0)})
	i.acked(Ack{Key: i.device("tablet"), UpTo: seq(30)})
	alice.expect("receipt delivered 30")
	i.acked(Ack{Key: i.device("tablet"), UpTo: seq(130)})
	alice.expect("receipt delivered 130")
	equal(t, "delivered", i.delivered(), 130)
}

// TestRacingAcks: devices of some users ack on two nodes at once, in and out of order;
// each ends at its highest, and the watermarks with them.
func TestRacingAcks(t *testing.T) {
	t.Parallel()
	onBothBackends(t, func(t *testing.T, store *model.Store) {
		nodes := []*node{newNode(t, store, standard, newHandClock().now), newNode(t, store, standard, time.Now)}
		const entries, devices = 40, 3
		type mailbox struct {
			user         model.UserID
			conversation model.ConversationID
			ids          []model.MessageID
		}
		var mailboxes []mailbox
		for range 4 {
			audience, a, b := nodes[0].pair(t)
			var batch []*send
			m := mailbox{user: b, conversation: audience.ConversationID}
			for k := range entries {
				msg := nodes[0].text(t, audience, a, fmt.Sprint("k", k))
				m.ids = append(m.ids, msg.ID)
				batch = append(batch, newSend(msg, audience))
			}
			must(t, nodes[0].writer.transact(within(t), batch))
			mailboxes = append(mailboxes, m)
		}
		group, ctx := errgroup.WithContext(within(t))
		for _, m := range mailboxes {
			for d := range devices {
				key := model.DeviceKey{UserID: m.user, DeviceID: model.DeviceID(fmt.Sprint("d", d))}
				group.Go(func() error {
					// The device begins at 0: it says so first.
					if _, err := nodes[d%2].acker.Ack(ctx, Ack{Key: key, UpTo: seq(0)}); err != nil {
						return err
					}
					inner, ctx := errgroup.WithContext(ctx)
					for _, n := range rand.Perm(entries) {
						inner.Go(func() error {
							a := Ack{Key: key, MessageIDs: []model.MessageID{m.ids[n]}}
							if n%3 == 0 {
								a = Ack{Key: key, UpTo: seq(int64(n) + 1), UpToID: m.ids[n]}
							}
							_, err := nodes[n%2].acker.Ack(ctx, a)
							return err
						})
					}
					return inner.Wait()
				})
			}
		}
		must(t, group.Wait())
		for _, m := range mailboxes {
			for d := range devices {
				key := model.DeviceKey{UserID: m.user, DeviceID: model.DeviceID(fmt.Sprint("d", d))}
				equal(t, "position", deviceOf(t, nodes[0], key).Acked, entries)
				left, err := store.SelectiveAcks(t.Context(), []model.DeviceKey{key})
				must(t, err)
				equal(t, "remembered single acks", len(left[key]), 0)
			}
			member, err := store.MemberOf(t.Context(), m.conversation, m.user)
			must(t, err)
			equal(t, "delivered", member.DeliveredSeq, entries)
		}
	})
}

// TestSyncAndSummary: the next page's pull is the last page's ack; a summary counts
// first.
func TestSyncAndSummary(t *testing.T) {
	t.Parallel()
	i := newInbox(t, standard)
	list := i.store1(7)
	phone := i.device("phone")
	var got []int64
	var after int64
	var afterID model.MessageID
	for more := true; more; {
		page, err := i.mailboxes.Sync(within(t), phone, 0, after, afterID, 3)
		must(t, err)
		equal(t, "head", page.Head, 7)
		equal(t, "position", deviceOf(t, i.node, phone).Acked, after)
		for _, e := range page.Entries {
			got = append(got, e.Seq)
			after, afterID = e.Seq, e.Message.ID
		}
		more = page.More
	}
	if !slices.Equal(got, []int64{1, 2, 3, 4, 5, 6, 7}) {
		t.Errorf("pulled %v", got)
	}
	_, err := i.mailboxes.Sync(within(t), phone, 0, 7, list[0].Message.ID, 3)
	wantError(t, err, model.CodePositionLost)
	equal(t, "position after a lost one", deviceOf(t, i.node, phone).Acked, 6)

	summary, err := i.mailboxes.Summary(within(t), phone)
	must(t, err)
	if summary.Head != 7 || summary.Acked != 6 || summary.Pending != 1 || len(summary.Conversations) != 1 || summary.Conversations[0].Unread != 1 {
		t.Errorf("summary %+v", summary)
	}
	unseen, err := i.mailboxes.Summary(within(t), i.device("new"))
	must(t, err)
	equal(t, "pending for a device that was never seen", unseen.Pending, 7)
	_, err = i.store.DeviceByKey(t.Context(), i.device("new"))
	wantError(t, err, model.CodeNotFound)
}

// TestForgetfulDevice: a device that lost what it had acked connects with a lower last_seq
// and gets it again until it acks that; what else it acks settles nothing of it.
func TestForgetfulDevice(t *testing.T) {
	t.Parallel()
	for name, elsewhere := range map[string]bool{"here": false, "on another node, learned by the sweep": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := newInbox(t, standard)
			list := i.store1(6)
			phone := i.device("phone")
			equal(t, "position", i.acked(Ack{Key: phone, UpTo: seq(3)}), 3)
			e := i.connect(t, phone, seq(1))
			e.expect("hello 3 of 6", "message 2", "message 3", "message 4", "message 5", "message 6", "synced 6")
			acker := i.acker
			if elsewhere {
				acker = newNode(t, i.store, standard, i.clock.now).acker
			}
			position, err := acker.Ack(within(t), Ack{Key: phone, MessageIDs: []model.MessageID{list[3].Message.ID}})
			must(t, err)
			equal(t, "position", position, 4)
			must(t, i.delivery.Sweep(t.Context()))
			i.tick(standard.AckTimeout)
			e.expect("message 2 again 2", "message 3 again 2")
			if elsewhere {
				e.expect("message 4 again 2")
			}
			e.expect("message 5 again 2", "message 6 again 2")
			// It moves over its single acks when the gap before them is filled.
			e.ack(3)
			i.acked(Ack{Key: phone, MessageIDs: []model.MessageID{list[3].Message.ID, list[4].Message.ID}})
			i.tick(standard.AckTimeout)
			e.expect("message 6 again 3")
			e.session.mu.Lock()
			defer e.session.mu.Unlock()
			equal(t, "the session's position", e.session.acked, 5)
		})
	}
}
