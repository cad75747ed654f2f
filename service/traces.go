package service

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"ackbox/model"
	"ackbox/trace"
)

// Traces answers what happened to a message: what the tables say of it, which is always there, and what the nodes have seen, from
// their traces.
type Traces struct {
	store         *model.Store
	trace         *trace.Store
	calls         *NodeCalls
	conversations *Conversations
	delivery      *Delivery
	own           chan struct{} // holds one for each search for a user
	stuck         stuckMemory
}

// callTrace asks a node for what it has kept of a message.
const callTrace = "trace"

// ownSearches is how many searches for users, not operators, run at a time on this node; one beyond gets what the tables say.
const ownSearches = 4

// RecipientPage is how many recipients a trace has at most.
const RecipientPage = 100

// NewTraces wires the part, and makes this node answer the others.
func NewTraces(store *model.Store, t *trace.Store, calls *NodeCalls, conversations *Conversations, delivery *Delivery) *Traces {
	ts := &Traces{store: store, trace: t, calls: calls, conversations: conversations, delivery: delivery, own: make(chan struct{}, ownSearches)}
	calls.Handle(callTrace, func(ctx context.Context, payload json.RawMessage) (any, error) {
		var q trace.Query
		if err := json.Unmarshal(payload, &q); err != nil || len(q.Seqs) > trace.MaxUsers {
			return nil, model.NewError(model.CodeValidation, "not a question about a message")
		}
		return ts.trace.Find(ctx, q)
	})
	calls.Handle("stuck", ts.answerStuck)
	return ts
}

// DeviceTraceState says how far a device is with a message.
type DeviceTraceState string

// States. History: the device came when the message was older than what a new device is pushed.
const (
	DeviceAcked   DeviceTraceState = "acked"
	DevicePushed  DeviceTraceState = "pushed"
	DeviceWaiting DeviceTraceState = "waiting"
	DeviceNever   DeviceTraceState = "never_connected"
	DeviceHistory DeviceTraceState = "history"
)

// TracedDevice is a device of somebody whom a message was for. A user without devices has one of DeviceNever without an id.
type TracedDevice struct {
	ID          model.DeviceID
	State       DeviceTraceState
	Acked, Head int64 // of the mailbox, or of the log conversation
	AckedAt     int64 // Unix microseconds; 0: not in the traces
}

// TracedRecipient is somebody whom a message was for, or who sent it.
type TracedRecipient struct {
	model.Recipient
	Seq             int64 // in the mailbox; 0: not in it any more, or a log conversation
	Delivered, Read bool
	DeliveredAt     int64 // Unix microseconds; 0: not in the traces
	ReadAt          int64
	Devices         []TracedDevice
}

// TracedEvent is an event and the node that it happened on.
type TracedEvent struct {
	trace.Event
	Node model.NodeID
}

// Acceptance is how a message was taken.
type Acceptance struct {
	At, CommittedAt int64 // Unix microseconds
	Node            model.NodeID
	Batch           model.MessageID // the batch's first message: its name; 0: not in the traces
	BatchSize       int64
	Took            time.Duration // of the transaction
	Traced          bool          // not only from the tables: At is the message's created_at, Node that of its id
}

// MessageTrace is all that is known of a message.
type MessageTrace struct {
	Message    *model.Message
	Delivery   model.Delivery // of this message
	Accepted   Acceptance
	Sender     TracedRecipient   // their own other devices
	Recipients []TracedRecipient // a page, by user id
	More       bool
	Totals     model.ReceiptCounts
	Events     []TracedEvent // by time: of the message, and of the page's recipients and the sender
	MoreEvents bool
	Complete   bool // nothing is missing, as far as can be known
	Sampled    bool // the nodes' traces follow the message
	Missing    []model.NodeID
}

// Message is the trace of any message, for operators. CodeNotFound.
func (t *Traces) Message(ctx context.Context, id model.MessageID, after model.UserID, limit int) (*MessageTrace, error) {
	m, err := t.store.MessageByID(ctx, id)
	if err != nil {
		return nil, err
	}
	c, err := t.store.ConversationByID(ctx, m.ConversationID)
	if err != nil {
		return nil, err
	}
	return t.of(ctx, m, c, after, limit, true, true)
}

// Own is the trace of a message of one's own: what receipts show, and when. CodeNotFound when one does not see it, CodeForbidden
// for another's, CodeReceiptsOff in a large group.
func (t *Traces) Own(ctx context.Context, me model.UserID, id model.MessageID, after model.UserID, limit int) (*MessageTrace, error) {
	m, c, err := t.conversations.visible(ctx, me, id)
	switch {
	case err != nil:
		return nil, err
	case m.SenderID != me:
		return nil, model.NewError(model.CodeForbidden, "only its sender sees the trace of a message")
	}
	if err := t.conversations.checkReceipts(c); err != nil {
		return nil, err
	}
	select {
	case t.own <- struct{}{}:
		defer func() { <-t.own }()
		return t.of(ctx, m, c, after, limit, true, false)
	default:
		return t.of(ctx, m, c, after, limit, false, false)
	}
}

// of reads the tables, with devices also those of the devices, and with ask the nodes' traces.
func (t *Traces) of(ctx context.Context, m *model.Message, c *model.Conversation, after model.UserID, limit int, ask, devices bool) (*MessageTrace, error) {
	mt := &MessageTrace{Message: m, Delivery: c.Delivery, Accepted: Acceptance{At: micros(m.CreatedAt), CommittedAt: micros(m.CreatedAt), Node: model.MadeBy(m.ID)}}
	if m.SenderSeq != 0 { // from before it became a log conversation
		mt.Delivery = model.DeliveryMailbox
	}
	list, err := t.store.Recipients(ctx, m, after, limit+1)
	if err != nil {
		return nil, err
	}
	if mt.More = len(list) > limit; mt.More {
		list = list[:limit]
	}
	if mt.Totals, err = t.store.CountRecipients(ctx, m, mt.Delivery); err != nil {
		return nil, err
	}
	mt.Sender = TracedRecipient{Recipient: model.Recipient{UserID: m.SenderID}, Seq: m.SenderSeq}
	if sender, err := t.store.UserByID(ctx, m.SenderID); err == nil {
		mt.Sender.Username = sender.Username
	} else if model.CodeOf(err) != model.CodeNotFound {
		return nil, err
	}
	for _, r := range list {
		mt.Recipients = append(mt.Recipients, TracedRecipient{Recipient: r, Delivered: r.DeliveredSeq >= m.ConversationSeq, Read: r.ReadSeq >= m.ConversationSeq})
	}
	if devices || mt.Delivery == model.DeliveryLog { // in a mailbox that means a search for the message's place
		if err := t.readDevices(ctx, mt); err != nil {
			return nil, err
		}
	}
	if ask {
		if err := t.askNodes(ctx, mt); err != nil {
			return nil, err
		}
	}
	mt.conclude()
	return mt, nil
}

func micros(m model.Millis) int64 { return int64(m) * 1_000 }

// readDevices fills in what the tables say of the recipients' mailboxes and devices.
func (t *Traces) readDevices(ctx context.Context, mt *MessageTrace) error {
	m := mt.Message
	people := []*TracedRecipient{&mt.Sender}
	for i := range mt.Recipients {
		people = append(people, &mt.Recipients[i])
	}
	users := make([]model.UserID, len(people))
	byUser := make(map[model.UserID]*TracedRecipient, len(people))
	for i, p := range people {
		users[i], byUser[p.UserID] = p.UserID, p
	}
	log := mt.Delivery == model.DeliveryLog
	heads := map[model.UserID]int64{}
	if log {
		list, err := t.store.ConversationHeads(ctx, []model.ConversationID{m.ConversationID})
		if err != nil {
			return err
		}
		for _, user := range users {
			heads[user] = list[m.ConversationID]
		}
	} else {
		list, err := t.store.MailboxHeads(ctx, users)
		if err != nil {
			return err
		}
		for _, h := range list {
			heads[h.UserID] = h.Head
		}
		places, err := t.store.PlacesOf(ctx, m, list)
		if err != nil {
			return err
		}
		for user, seq := range places {
			byUser[user].Seq = seq
		}
	}
	devices, err := t.store.DevicesOfMany(ctx, users)
	if err != nil {
		return err
	}
	positions, selective, err := t.positions(ctx, m.ConversationID, devices, log)
	if err != nil {
		return err
	}
	for _, d := range devices {
		p, key := byUser[d.UserID], model.DeviceKey{UserID: d.UserID, DeviceID: d.DeviceID}
		v := TracedDevice{ID: d.DeviceID, State: DeviceWaiting, Acked: d.Acked, Head: heads[d.UserID]}
		if log {
			var pinned bool
			if v.Acked, pinned = positions[key]; !pinned {
				v.Acked = max(p.JoinedSeq, p.ReadSeq)
			}
			if v.Acked >= m.ConversationSeq {
				v.State = DeviceAcked
				p.Delivered = true
			}
		} else {
			_, single := slices.BinarySearch(selective[key], p.Seq)
			switch {
			case p.Seq == 0 && p.Delivered, p.Seq != 0 && (d.Acked >= p.Seq || single):
				v.State = DeviceAcked // of what was pruned: all devices had acked it
				if p.Seq != 0 && d.ReceiptsFrom >= p.Seq && d.CreatedAt > m.CreatedAt {
					v.State = DeviceHistory
				}
			}
		}
		p.Devices = append(p.Devices, v)
	}
	for _, p := range people {
		if len(p.Devices) == 0 && p != &mt.Sender {
			p.Devices = []TracedDevice{{State: DeviceNever, Head: heads[p.UserID]}}
		}
	}
	return nil
}

// positions are the devices' in a log conversation, or what they have acked out of order.
func (t *Traces) positions(ctx context.Context, id model.ConversationID, devices []model.Device, log bool) (positions map[model.DeviceKey]int64, selective map[model.DeviceKey][]int64, err error) {
	positions, selective = map[model.DeviceKey]int64{}, map[model.DeviceKey][]int64{}
	for some := range slices.Chunk(devices, 500) {
		keys := make([]model.DeviceKey, len(some))
		for i, d := range some {
			keys[i] = model.DeviceKey{UserID: d.UserID, DeviceID: d.DeviceID}
		}
		if log {
			found, err := t.store.LogPositionsIn(ctx, id, keys)
			if err != nil {
				return nil, nil, err
			}
			for key, seq := range found {
				positions[key] = seq
			}
			continue
		}
		found, err := t.store.SelectiveAcks(ctx, keys)
		if err != nil {
			return nil, nil, err
		}
		for key, seqs := range found {
			selective[key] = seqs
		}
	}
	return positions, selective, nil
}

// askNodes puts together what all nodes have seen.
func (t *Traces) askNodes(ctx context.Context, mt *MessageTrace) error {
	m := mt.Message
	q := trace.Query{Message: m.ID, Conversation: m.ConversationID, ConversationSeq: m.ConversationSeq, At: micros(m.CreatedAt), Seqs: map[model.UserID]int64{}}
	shown := map[model.UserID]bool{0: true, m.SenderID: true}
	if m.SenderSeq != 0 {
		q.Seqs[m.SenderID] = m.SenderSeq
	}
	for _, r := range mt.Recipients {
		shown[r.UserID] = true
		if r.Seq != 0 {
			q.Seqs[r.UserID] = r.Seq
		}
	}
	answers, missing, err := AskAll[trace.Found](ctx, t.calls, callTrace, q)
	if err != nil {
		return err
	}
	mt.Sampled, mt.Complete = len(answers) > 0, true
	var have []model.NodeID
	for _, a := range answers {
		f := a.Value
		mt.Sampled = mt.Sampled && f.On && f.Sampled
		mt.Complete = mt.Complete && f.Dropped == 0 && !f.Cut && !f.More
		mt.MoreEvents = mt.MoreEvents || f.More
		have = append(have, f.Nodes...)
		for i, v := range f.Events {
			if i < len(f.By) && shown[v.User] {
				mt.Events = append(mt.Events, TracedEvent{Event: v, Node: f.By[i]})
			}
		}
	}
	if mt.Missing, err = t.absent(ctx, m, have, missing); err != nil {
		return err
	}
	slices.SortStableFunc(mt.Events, func(a, b TracedEvent) int {
		return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Node, b.Node))
	})
	return nil
}

// absent are nodes that may have seen the message and whose trace nobody has: those that did not answer, the one that accepted it, and
// those whose lease ended without a farewell after it was made. A node that is started again with its data folder brings its
// trace, under whatever id; have are the nodes whose traces are there.
func (t *Traces) absent(ctx context.Context, m *model.Message, have, silent []model.NodeID) (list []model.NodeID, err error) {
	nodes, err := t.store.Nodes(ctx)
	if err != nil {
		return nil, err
	}
	if maker := model.MadeBy(m.ID); !slices.Contains(have, maker) {
		list = append(list, maker)
	}
	for _, n := range nodes {
		here := slices.Contains(have, n.ID)
		if here && n.StartedAt > m.CreatedAt { // it was another process
			here = !slices.Contains(silent, n.ID)
		}
		if !here && (slices.Contains(silent, n.ID) || n.ExpiresAt >= m.CreatedAt && !n.Live()) {
			list = append(list, n.ID)
		}
	}
	slices.Sort(list)
	return slices.Compact(list), nil
}

// conclude reads times and states out of the events.
func (mt *MessageTrace) conclude() {
	people := map[model.UserID]*TracedRecipient{mt.Sender.UserID: &mt.Sender}
	for i := range mt.Recipients {
		people[mt.Recipients[i].UserID] = &mt.Recipients[i]
	}
	first := func(at *int64, now int64) {
		if *at == 0 {
			*at = now
		}
	}
	for i := range mt.Events {
		v := &mt.Events[i]
		switch v.Kind {
		case trace.Accepted:
			mt.Accepted.At, mt.Accepted.Node, mt.Accepted.Traced = v.At, v.Node, true
		case trace.Committed:
			mt.Accepted.CommittedAt, mt.Accepted.Batch, mt.Accepted.BatchSize, mt.Accepted.Took = v.At, v.Batch, v.Count, time.Duration(v.Took)*time.Microsecond
		default:
		}
		p := people[v.User]
		if p == nil {
			continue
		}
		switch v.Kind {
		case trace.Receipt:
			first(&p.DeliveredAt, v.At)
		case trace.Read:
			first(&p.ReadAt, v.At)
			first(&p.DeliveredAt, v.At)
		default:
		}
		for d := range p.Devices {
			p.Devices[d].take(v)
		}
	}
	mt.Complete = mt.Complete && mt.Sampled && mt.Accepted.Traced && len(mt.Missing) == 0
}

// take is what an event says of a device.
func (d *TracedDevice) take(v *TracedEvent) {
	if v.Device != d.ID || d.ID == "" {
		return
	}
	switch v.Kind {
	case trace.Acked, trace.AckedByPosition:
		if d.AckedAt == 0 {
			d.AckedAt = v.At
		}
	case trace.Pushed, trace.Retried, trace.Synced:
		if d.State == DeviceWaiting {
			d.State = DevicePushed
		}
	default:
	}
}

// Detail says of an event what its fields do not, in words for operators.
func (v *TracedEvent) Detail() string {
	count := strconv.FormatInt(v.Count, 10)
	took := strconv.FormatFloat(float64(v.Took)/1_000, 'f', 1, 64)
	switch v.Kind {
	case trace.Accepted:
		return "for " + count + " members, the sender among them"
	case trace.Committed:
		return "batch " + v.Batch.String() + " of " + count + ", " + took + " ms"
	case trace.Duplicate:
		return "sent again with the same key " + count + " times"
	case trace.Relayed:
		if v.Count == 0 {
			return "to all nodes"
		}
		return "to the nodes of " + count + " mailboxes"
	case trace.Pushed:
		switch {
		case v.User == 0:
			return "to " + count + " sockets"
		case v.Waits:
			return "waits for the socket"
		}
	case trace.Retried:
		if v.Waits {
			return "the one before waits for the socket"
		}
	case trace.PushFailed:
		return "the socket was closed"
	case trace.Closed:
		if v.Count == 0 {
			return "the connection was lost"
		}
		return count
	case trace.AckedByPosition, trace.Receipt, trace.Read, trace.SweepRepair, trace.Behind:
		return fmt.Sprintf("from %d to %d", v.After, v.Seq)
	default:
	}
	return ""
}
