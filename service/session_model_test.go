package service

import (
	"flag"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ackbox/model"
)

// Thirty worlds take some ten seconds with the race detector; -rapid.checks asks for more.
func init() {
	if err := flag.Set("rapid.checks", "30"); err != nil {
		panic(err)
	}
}

// world is a user's devices on one node, driven at random, and what each device has.
// The truth is what was committed: ids[n-1] is the message at seq n.
type world struct {
	t       *rapid.T
	i       *inbox
	ids     []model.MessageID
	late    []Committed // committed, and the node has not heard of them yet
	devices []*deviceModel
}

// deviceModel is a client that keeps the rules of the contract.
type deviceModel struct {
	key  model.DeviceKey
	have map[int64]bool // what it holds
	kept map[int64]bool // what it acked out of order: it keeps that whatever it forgets
	held int64          // all up to here
	base int64          // where it began: a new device starts at the newest 100
	end  *end
}

func (w *world) fail(d *deviceModel, format string, args ...any) {
	s := d.end.session
	s.mu.Lock()
	defer s.mu.Unlock()
	w.t.Fatalf("device %s (held %d of %d; session %s acked %d sent %d head %d, %d un-acked, %d waiting): %s",
		d.key.DeviceID, d.held, len(w.ids), s.state, s.acked, s.sent, s.head, len(s.unacked), len(s.outbox), fmt.Sprintf(format, args...))
}

// storeLightly makes messages durable in the reader's mailbox only, as far as delivery
// looks at them: without keys and in few statements.
func (i *inbox) storeLightly(count int) (list []Committed) {
	i.t.Helper()
	if count == 0 {
		return nil
	}
	ctx := within(i.t)
	must(i.t, i.store.Tx(ctx, func(tx *model.Store) error {
		list = nil
		heads, err := tx.AdvanceMailboxes(ctx, []model.UserCount{{UserID: i.reads, Count: int64(count)}})
		if err != nil {
			return err
		}
		var messages []*model.Message
		var entries []model.Entry
		for n := heads[i.reads] - int64(count) + 1; n <= heads[i.reads]; n++ {
			msg := i.text(i.t, i.audience, i.writes, "k")
			msg.ConversationSeq = n
			entry := model.Entry{UserID: i.reads, Seq: n, MessageID: msg.ID, ConversationID: msg.ConversationID, ConversationSeq: n, SenderID: i.writes}
			messages, entries = append(messages, msg), append(entries, entry)
			list = append(list, Committed{Message: msg, JSON: msg.AppendJSON(nil), Entries: []model.Entry{entry}})
		}
		return tx.InsertMessages(ctx, messages, entries)
	}))
	return list
}

// String is how rapid shows a device that it drew.
func (d *deviceModel) String() string { return string(d.key.DeviceID) }

// GoString is the same.
func (d *deviceModel) GoString() string { return d.String() }

func (d *deviceModel) take(seq int64) {
	d.have[seq] = true
	for d.have[d.held+1] {
		d.held++
	}
}

// read takes at most n frames from the device's line and checks each.
func (w *world) read(d *deviceModel, n int) {
	for range n {
		text := d.end.line.read()
		if text == nil {
			return
		}
		d.end.session.Written()
		f := decodeFrame(w.t, text)
		switch f.Type {
		case "message":
			if f.Seq < 1 || f.Seq > int64(len(w.ids)) || f.Message.ID != w.ids[f.Seq-1] {
				w.fail(d, "at seq %d came message %d, which is not there", f.Seq, f.Message.ID)
			}
			for before := f.Seq - 1; before > d.held; before-- {
				if !d.have[before] {
					w.fail(d, "seq %d came, and %d had not: a hole", f.Seq, before)
				}
			}
			d.take(f.Seq)
		case "synced":
			for seq := d.held + 1; seq <= f.UpTo; seq++ {
				if !d.have[seq] {
					w.fail(d, "synced up to %d, and %d never came", f.UpTo, seq)
				}
			}
		case "behind":
			if f.Head > int64(len(w.ids)) {
				w.fail(d, "behind a head of %d", f.Head)
			}
		case "hello", "ping":
		default:
			w.fail(d, "a frame %s", text)
		}
	}
}

func (w *world) ack(d *deviceModel, upTo int64, ids ...model.MessageID) {
	ack := Ack{Key: d.key, UpTo: &upTo, MessageIDs: ids}
	if upTo > 0 {
		ack.UpToID = w.ids[upTo-1]
	}
	if _, err := w.i.acker.Ack(within(w.t), ack); err != nil {
		w.fail(d, "ack up to %d: %v", upTo, err)
	}
}

// pull is POST /v1/mailbox/sync.
func (w *world) pull(d *deviceModel, limit int) (more bool) {
	page, err := w.i.mailboxes.Sync(within(w.t), d.key, 0, d.held, 0, limit)
	if err != nil {
		w.fail(d, "pull: %v", err)
	}
	for _, e := range page.Entries {
		if e.Message.ID != w.ids[e.Seq-1] {
			w.fail(d, "pulled message %d at seq %d", e.Message.ID, e.Seq)
		}
		d.take(e.Seq)
	}
	return page.More
}

// connect opens the device's socket again; leaves says whether the old one is gone already.
func (w *world) connect(d *deviceModel, leaves bool) {
	old := d.end
	if old != nil && leaves {
		old.leave()
	}
	var last *int64
	if old != nil {
		last = seq(d.held)
	}
	d.end = w.i.connect(w.t, d.key, last)
	if old == nil {
		d.base = max(0, int64(len(w.ids))-model.NewDeviceEntries)
		d.held = d.base
	}
	if old != nil && !leaves {
		if closed, _ := old.line.state(); !closed {
			w.fail(d, "the older connection is still open")
		}
		old.leave()
	}
}

// settle does what time does: jobs run, clients read, pull, ack and come back.
func (w *world) settle() {
	all := func() bool {
		for _, d := range w.devices {
			if d.held != int64(len(w.ids)) {
				return false
			}
			d.end.session.mu.Lock()
			calm := d.end.session.state == stateLive && len(d.end.session.unacked) == 0 && d.end.session.acked == d.held
			d.end.session.mu.Unlock()
			if !calm {
				return false
			}
		}
		return true
	}
	eventually(w.t, "every device to have everything", func() bool {
		if all() {
			return true
		}
		must(w.t, w.i.delivery.Sweep(w.t.Context()))
		w.i.settled(w.t)
		for _, d := range w.devices {
			if closed, _ := d.end.line.state(); closed {
				w.connect(d, true)
			}
			w.read(d, 2*maxOutbox)
			d.end.session.mu.Lock()
			behind := d.end.session.state == stateBehind
			d.end.session.mu.Unlock()
			if behind {
				for w.pull(d, 50) {
				}
			}
			w.ack(d, d.held)
		}
		return all()
	})
	eventually(w.t, "the ack queue to forget what is acked", func() bool { return w.i.delivery.queue.Len() == 0 })
}

// TestDeliveryModel: commits in any order and unheard ones, acks of all kinds and by
// other nodes, evictions, retries, sweeps, sockets that don't read, devices that come and
// go and forget: each device is shown each seq in order, at first sight, without a hole,
// never more than 256 are in flight, and in the end everybody has everything.
func TestDeliveryModel(t *testing.T) {
	t.Parallel()
	store := sqliteStore(t)
	rapid.Check(t, func(t *rapid.T) {
		options := standard
		options.QueueSize = rapid.SampledFrom([]int{5, 60, 10_000}).Draw(t, "ack queue size")
		options.MaxAttempts = rapid.SampledFrom([]int{2, 5}).Draw(t, "attempts")
		clock := newHandClock()
		n := newNode(t, store, options, clock.now)
		i := &inbox{node: n, t: t, clock: clock}
		i.audience, i.writes, i.reads = n.pair(t)
		w := &world{t: t, i: i}
		commit := func(count int) {
			list := i.storeLightly(count)
			for _, c := range list {
				w.ids = append(w.ids, c.Message.ID)
			}
			w.late = append(w.late, list...)
		}
		commit(rapid.SampledFrom([]int{0, 3, 99, 100, 101, 150}).Draw(t, "waiting at first"))
		w.late = nil
		for name := range rapid.IntRange(1, 3).Draw(t, "devices") {
			d := &deviceModel{key: i.device(model.DeviceID(fmt.Sprint("d", name))), have: map[int64]bool{}, kept: map[int64]bool{}}
			w.devices = append(w.devices, d)
			w.connect(d, false)
		}
		one := func(t *rapid.T) *deviceModel { return rapid.SampledFrom(w.devices).Draw(t, "device") }
		t.Repeat(map[string]func(*rapid.T){
			"commit": func(t *rapid.T) {
				commit(rapid.SampledFrom([]int{1, 1, 2, 3, 10, 70}).Draw(t, "messages"))
			},
			"many commits": func(t *rapid.T) {
				commit(rapid.IntRange(200, 300).Draw(t, "messages"))
				i.delivery.Committed(w.late)
				w.late = nil
			},
			"hear": func(t *rapid.T) { // in some order, some never
				order := rapid.Permutation(w.late).Draw(t, "order")
				heard := rapid.IntRange(0, len(order)).Draw(t, "heard")
				i.delivery.Committed(order[:heard])
				w.late = order[heard:]
				if rapid.Bool().Draw(t, "lose the rest") {
					w.late = nil
				}
			},
			"hear in order": func(t *rapid.T) {
				slices.SortFunc(w.late, func(a, b Committed) int { return int(a.Message.ConversationSeq - b.Message.ConversationSeq) })
				i.delivery.Committed(w.late)
				w.late = nil
			},
			"read":     func(t *rapid.T) { w.read(one(t), rapid.IntRange(1, 40).Draw(t, "frames")) },
			"read all": func(t *rapid.T) { w.read(one(t), 2*maxOutbox) },
			"ack": func(t *rapid.T) {
				d := one(t)
				w.ack(d, rapid.Int64Range(d.base, d.held).Draw(t, "up to"))
			},
			"ack all": func(t *rapid.T) { d := one(t); w.ack(d, d.held) },
			"ack out of order": func(t *rapid.T) { // also what it knows from the history only
				d := one(t)
				if d.held == int64(len(w.ids)) {
					return
				}
				one := rapid.Int64Range(d.held+1, int64(len(w.ids))).Draw(t, "seq")
				d.take(one)
				d.kept[one] = true
				w.ack(d, d.base, w.ids[one-1])
			},
			"ack on another node": func(t *rapid.T) {
				d := one(t)
				must(t, store.PutDevices(t.Context(), []model.Device{{UserID: d.key.UserID, DeviceID: d.key.DeviceID, Acked: d.held}}))
			},
			"pull": func(t *rapid.T) { w.pull(one(t), rapid.IntRange(1, 60).Draw(t, "limit")) },
			"time": func(t *rapid.T) {
				i.tick(time.Duration(rapid.IntRange(100, 7_000).Draw(t, "ms")) * time.Millisecond)
			},
			"sweep":     func(*rapid.T) { must(t, i.delivery.Sweep(t.Context())) },
			"reconnect": func(t *rapid.T) { w.connect(one(t), true) },
			"replace":   func(t *rapid.T) { w.connect(one(t), false) },
			"forget": func(t *rapid.T) { // the client lost some of what it had
				d := one(t)
				upTo := rapid.Int64Range(d.base, d.held).Draw(t, "all up to")
				for seq := range d.have {
					if seq > upTo && !d.kept[seq] {
						delete(d.have, seq)
					}
				}
				for d.held = upTo; d.have[d.held+1]; {
					d.held++
				}
				w.connect(d, true)
			},
			"": func(*rapid.T) {
				for _, d := range w.devices {
					s := d.end.session
					s.mu.Lock()
					flight, waiting, full := len(s.unacked), len(s.outbox), d.end.line.full
					sorted := slices.IsSorted(s.unacked)
					s.mu.Unlock()
					if flight > maxUnacked || waiting > maxOutbox+4 || full || !sorted {
						w.fail(d, "in flight %d, waiting %d, buffer overrun %t, in order %t", flight, waiting, full, sorted)
					}
					if closed, code := d.end.line.state(); closed {
						if code != CloseUnacked && code != CloseSlow && code != CloseToken {
							w.fail(d, "closed with %d", code)
						}
						w.connect(d, true)
					}
				}
				if n := i.delivery.queue.Len(); n > options.QueueSize {
					t.Fatalf("the ack queue has %d entries, its size is %d", n, options.QueueSize)
				}
			},
		})
		w.settle()
		commit(3)
		i.delivery.Committed(w.late)
		w.late = nil
		w.settle()
	})
}
