package service

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"slices"
	"time"

	"ackbox/model"
	"ackbox/trace"
)

// Bounds of acks.
const (
	ackBatch    = 256
	ackCapacity = 8_192
	ackPatience = 10 * time.Second
	// ackLinger is how long a device's ack waits for others, where nothing waits for it but its answer: devices ack in
	// batches of their own, 200 ms apart. Measured, it saves MariaDB 30% of the time it takes for a message and its ack at
	// 300/s and 8% at 8,500/s, and gives it to the sends.
	ackLinger = 8 * time.Millisecond
	// maxSelective is how many entries a device may have acked out of order; beyond,
	// single acks are not remembered and those entries may be pushed again.
	maxSelective = 1_024
	// selectiveReach is how far from its position a device's single acks are looked for; a
	// device that is further away pulls in order.
	selectiveReach = 10_000
)

// Ack is what a device says that it holds. A nil UpTo acks nothing cumulatively.
type Ack struct {
	Key           model.DeviceKey
	Family        model.FamilyID // the login that says it; 0: not known
	UpTo          *int64
	UpToID        model.MessageID // 0: not checked
	MessageIDs    []model.MessageID
	Conversations []model.LogPosition
}

// Acker commits acks in batches, as Writer does sends, and makes the receipts that
// follow from them. Positions only move forward; a batch is one transaction with rows
// locked in the order devices, members, each sorted.
type Acker struct {
	store    *model.Store
	delivery *Delivery
	devices  int // a user's most
	clock    func() time.Time
	log      *slog.Logger
	queue    *batcher[*ackRequest]

	receiptsMax int // members up to which a group's senders hear of deliveries

	ctx    context.Context // of the transactions: ends when Stop has waited long enough
	cancel context.CancelFunc
}

type ackRequest struct {
	Ack
	acked int64   // the position after it
	from  int64   // and before
	seqs  []int64 // entries acked out of order
	err   error
	done  chan struct{}
}

// NewAcker starts the worker. A user has at most devices of them: a new one beyond that
// replaces the longest unseen.
func NewAcker(store *model.Store, delivery *Delivery, devices int, clock func() time.Time, log *slog.Logger) *Acker {
	a := &Acker{store: store, delivery: delivery, devices: devices, clock: clock, log: log, receiptsMax: math.MaxInt}
	a.ctx, a.cancel = context.WithCancel(context.Background())
	a.queue = newBatcher(1, ackBatch, ackCapacity, a.run)
	return a
}

// Stop works off what waits and ends the worker; when ctx ends, what is left fails.
func (a *Acker) Stop(ctx context.Context) error {
	defer a.cancel()
	defer context.AfterFunc(ctx, a.cancel)()
	a.queue.stop()
	return nil
}

// Ack commits an ack and answers the device's position. Going backwards changes
// nothing. Errors: CodePositionLost when UpTo is beyond the mailbox's head or UpToID is
// not what is there; CodeUnavailable (repeating is harmless).
func (a *Acker) Ack(ctx context.Context, ack Ack) (acked int64, err error) {
	return a.within(ctx, ack, 0)
}

// within is Ack of what may wait that long for others to be committed with.
func (a *Acker) within(ctx context.Context, ack Ack, patience time.Duration) (acked int64, err error) {
	r := &ackRequest{Ack: ack, done: make(chan struct{})}
	if err := a.queue.putWithin(r, patience); err != nil {
		return 0, err
	}
	defer a.delivery.acking(r.Key)()
	select {
	case <-r.done:
		return r.acked, r.err
	case <-ctx.Done():
		return 0, unavailable(ctx.Err())
	}
}

// run takes one device of each user at a time: receipts are about a user, and two devices'
// ranges would have a gap between them.
func (a *Acker) run(batch []*ackRequest) {
	for len(batch) > 0 {
		device := make(map[model.UserID]model.DeviceID, len(batch))
		var now, later []*ackRequest
		for _, r := range batch {
			if first, taken := device[r.Key.UserID]; taken && first != r.Key.DeviceID {
				later = append(later, r)
				continue
			}
			device[r.Key.UserID] = r.Key.DeviceID
			now = append(now, r)
		}
		a.write(now)
		batch = later
	}
}

func (a *Acker) write(batch []*ackRequest) {
	ctx, cancel := context.WithTimeout(a.ctx, ackPatience)
	defer cancel()
	start := time.Now()
	receipts, err := a.commit(ctx, batch)
	if err != nil && len(batch) > 1 && !model.Unreachable(err) {
		a.log.Warn("a batch of acks failed, splitting it", "acks", len(batch), "error", err)
		a.write(batch[:len(batch)/2])
		a.write(batch[len(batch)/2:])
		return
	}
	if err != nil && model.Unreachable(err) {
		err = unavailable(err) // an unknown COMMIT too: the device acks again
	}
	metrics.ackBatchSize.Observe(float64(len(batch)))
	metrics.ackSeconds.Observe(time.Since(start).Seconds())
	for _, r := range batch {
		if err != nil {
			r.err = err
		}
		if r.err == nil { // settled before it is answered: what was answered is not pushed again
			metrics.acks.Inc()
			a.delivery.Acked(r.Key, r.from, r.settles(), r.seqs)
			for _, p := range r.Conversations {
				a.delivery.AckedLog(r.Key, p)
			}
		}
		close(r.done)
	}
	if err != nil {
		return
	}
	if receipts, err = a.audible(ctx, receipts); err != nil {
		a.log.Warn("reading the sizes of groups: no receipt frames of these acks", "error", err)
		return
	}
	a.notify(receipts)
}

// settles is up to where this ack settles pushes: what the device said, not its stored
// position. (A device that lost its entries connects with a lower last_seq and gets them
// again; neither its old position nor a single ack just above that must settle those.
// A session moves over its own single acks by itself.)
func (r *ackRequest) settles() int64 {
	if r.UpTo == nil {
		return 0
	}
	return *r.UpTo
}

// receipt is a risen delivered_seq and the senders who want to know.
type receipt struct {
	model.MemberSeq
	before  int64
	senders []model.UserID
}

func (a *Acker) commit(ctx context.Context, batch []*ackRequest) (receipts []receipt, err error) {
	now := model.MillisOf(a.clock())
	keys := make([]model.DeviceKey, 0, len(batch))
	users := make([]model.UserID, 0, len(batch))
	for _, r := range batch {
		keys = append(keys, r.Key)
		users = append(users, r.Key.UserID)
	}
	slices.SortFunc(keys, compareDevices)
	keys = slices.Compact(keys)
	slices.Sort(users)
	users = slices.Compact(users)

	err = a.store.Pipelined(ctx, func(tx *model.Store) error {
		receipts = nil
		state, err := readAckState(ctx, tx, keys, users, batch)
		if err != nil {
			return err
		}
		for _, r := range batch {
			r.acked, r.seqs, r.err = 0, nil, nil
			if err := state.apply(ctx, tx, r, a.devices, now); err != nil {
				return err
			}
		}
		delivered, err := tx.WriteAcks(ctx, state.changes(keys))
		if err != nil {
			return err
		}
		receipts, err = raiseDelivered(ctx, tx, delivered)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("commit acks: %w", err)
	}
	return receipts, nil
}

func compareDevices(a, b model.DeviceKey) int {
	return cmp.Or(cmp.Compare(a.UserID, b.UserID), cmp.Compare(a.DeviceID, b.DeviceID))
}

// ackState is what the batch's devices and mailboxes look like under the locks.
type ackState struct {
	*model.AckState
	before map[model.DeviceKey]int64   // positions before the batch
	fresh  map[model.DeviceKey][]int64 // acked out of order in this batch
	logs   map[logKey]int64            // positions to move to
}

// readAckState reads what the batch is about: mailboxes, devices, the places that it names and the heads of log conversations.
func readAckState(ctx context.Context, tx *model.Store, keys []model.DeviceKey, users []model.UserID, batch []*ackRequest) (*ackState, error) {
	var places []model.Place
	logs := map[model.MemberKey]struct{}{}
	for _, r := range batch {
		if r.UpTo != nil && r.UpToID != 0 {
			places = append(places, model.Place{UserID: r.Key.UserID, Seq: *r.UpTo})
		}
		for _, p := range r.Conversations {
			logs[model.MemberKey{ConversationID: p.ConversationID, UserID: r.Key.UserID}] = struct{}{}
		}
	}
	state, err := tx.ReadAckState(ctx, users, keys, places, slices.Collect(maps.Keys(logs)))
	if err != nil {
		return nil, err
	}
	s := &ackState{AckState: state, before: make(map[model.DeviceKey]int64, len(keys)), fresh: map[model.DeviceKey][]int64{}, logs: map[logKey]int64{}}
	for key, d := range s.Devices {
		s.before[key] = max(d.Acked, d.ReceiptsFrom)
	}
	return s, nil
}

// apply takes one request into the state. A request that is refused is answered and
// changes nothing; an error is the database's.
func (s *ackState) apply(ctx context.Context, tx *model.Store, r *ackRequest, most int, now model.Millis) error {
	head := s.Heads[r.Key.UserID]
	head.Floor = max(head.Floor, 1)
	if r.UpTo != nil {
		if r.err = checkPosition(head, *r.UpTo, r.UpToID, s.Places[model.Place{UserID: r.Key.UserID, Seq: *r.UpTo}]); r.err != nil {
			return nil //nolint:nilerr // this request is answered with it; the batch goes on
		}
	}
	if r.err = s.checkLogs(r); r.err != nil {
		return nil //nolint:nilerr // this request is answered with it; the batch goes on
	}
	for _, p := range r.Conversations {
		key := logKey{r.Key, p.ConversationID}
		s.logs[key] = max(s.logs[key], p.Acked)
	}
	device, known := s.Devices[r.Key]
	if !known {
		if err := tx.MakeRoomForDevice(ctx, r.Key.UserID, most); err != nil {
			return err
		}
		device = model.NewDevice(r.Key.UserID, r.Key.DeviceID, head.Head, now)
		if r.UpTo != nil {
			// What it holds, older than where a new device starts or not: it gets all that is after it.
			device.Acked = *r.UpTo
			device.ReceiptsFrom = min(device.ReceiptsFrom, *r.UpTo)
		}
		s.before[r.Key] = device.ReceiptsFrom
	}
	if r.from = device.Acked; r.UpTo != nil {
		device.Acked = max(device.Acked, *r.UpTo)
	}
	if len(r.MessageIDs) > 0 {
		var err error
		if r.seqs, err = tx.SeqsOf(ctx, r.Key.UserID, device.Acked-selectiveReach, device.Acked+selectiveReach, r.MessageIDs); err != nil {
			return err
		}
		have := slices.Clone(s.Selective[r.Key])
		for _, seq := range r.seqs {
			if _, known := slices.BinarySearch(s.Selective[r.Key], seq); !known && seq > device.Acked && len(have) < maxSelective {
				have = append(have, seq)
				s.fresh[r.Key] = append(s.fresh[r.Key], seq)
			}
		}
		slices.Sort(have)
		s.Selective[r.Key] = have
	}
	for _, seq := range s.Selective[r.Key] { // ascending: move over what is there without a gap, or was pruned
		if seq == max(device.Acked, head.Floor-1)+1 {
			device.Acked = seq
		}
	}
	device.LastSeenAt = now
	device.Family = cmp.Or(r.Family, device.Family)
	s.Devices[r.Key] = device
	r.acked = device.Acked
	return nil
}

// checkLogs says what is wrong with a request's positions in log conversations: CodeNotFound
// for one that is not the user's, CodePositionLost beyond its head.
func (s *ackState) checkLogs(r *ackRequest) error {
	for _, p := range r.Conversations {
		head, member := s.LogHeads[model.MemberKey{ConversationID: p.ConversationID, UserID: r.Key.UserID}]
		switch {
		case !member:
			return model.NotFound("conversation")
		case p.Acked > head:
			return &model.Error{Code: model.CodePositionLost, Detail: "the conversation does not reach that far", Head: head, Floor: 1}
		}
	}
	return nil
}

// logKey names a device's position in a log conversation.
type logKey struct {
	device       model.DeviceKey
	conversation model.ConversationID
}

// checkPosition is CodePositionLost when a mailbox does not have what a device says
// that it holds. found 0 means that the row is not there (pruned), which proves nothing.
func checkPosition(head model.MailboxHead, seq int64, id, found model.MessageID) error {
	switch {
	case seq > head.Head:
		return &model.Error{Code: model.CodePositionLost, Detail: "the mailbox does not reach that far", Head: head.Head, Floor: head.Floor}
	case id != 0 && found != 0 && found != id:
		return &model.Error{Code: model.CodePositionLost, Detail: "the mailbox has another message there", Head: head.Head, Floor: head.Floor}
	}
	return nil
}

// changes are what the batch does to its devices.
func (s *ackState) changes(keys []model.DeviceKey) *model.AckChanges {
	c := &model.AckChanges{Devices: make([]model.Device, 0, len(keys)), Ranges: s.ranges(keys)}
	for _, key := range keys {
		device, touched := s.Devices[key]
		if !touched {
			continue // its only request was refused
		}
		c.Devices = append(c.Devices, device)
		if len(s.Selective[key]) > 0 {
			c.Selective = append(c.Selective, model.SelectiveAcks{Key: key, Seqs: s.fresh[key], UpTo: device.Acked})
		}
	}
	for key, acked := range s.logs {
		c.Logs = append(c.Logs, model.DeviceLogPosition{Key: key.device, LogPosition: model.LogPosition{ConversationID: key.conversation, Acked: acked}})
	}
	slices.SortFunc(c.Logs, func(a, b model.DeviceLogPosition) int {
		return cmp.Or(compareDevices(a.Key, b.Key), cmp.Compare(a.ConversationID, b.ConversationID))
	})
	return c
}

// ranges are the entries that the batch acked for the first time on their device and
// that were no history for it.
func (s *ackState) ranges(keys []model.DeviceKey) (list []model.Range) {
	for _, key := range keys {
		if d, ok := s.Devices[key]; ok && d.Acked > s.before[key] {
			list = append(list, model.Range{UserID: key.UserID, After: s.before[key], UpTo: d.Acked})
		}
	}
	return list
}

// raiseDelivered moves the members' delivered positions over what was acked and
// answers those that rose.
func raiseDelivered(ctx context.Context, tx *model.Store, delivered []model.Delivered) ([]receipt, error) {
	if len(delivered) == 0 {
		return nil, nil
	}
	current := map[model.MemberKey]int64{}
	byMember := map[model.MemberKey]*receipt{}
	keys := make([]model.MemberKey, 0, len(delivered))
	lowest := map[model.MemberKey]int64{}
	for _, d := range delivered {
		if d.Before < 0 {
			continue // not a member any more
		}
		key := model.MemberKey{ConversationID: d.ConversationID, UserID: d.UserID}
		r := byMember[key]
		if r == nil {
			r = &receipt{MemberSeq: model.MemberSeq{MemberKey: key}, before: d.Before}
			byMember[key] = r
			keys = append(keys, key)
			lowest[key], current[key] = d.From, d.Before
		}
		lowest[key] = min(lowest[key], d.From)
		r.Seq = max(r.Seq, d.UpTo)
		r.senders = append(r.senders, d.SenderID)
	}
	slices.SortFunc(keys, func(a, b model.MemberKey) int {
		return cmp.Or(cmp.Compare(a.ConversationID, b.ConversationID), cmp.Compare(a.UserID, b.UserID))
	})
	var risen []receipt
	for part := range slices.Chunk(keys, 500) {
		// A watermark claims all below it. What is older than where a new device
		// began has been delivered to nobody: then there is no receipt until it is read.
		var gaps []model.Between
		for _, key := range part {
			if seq := current[key]; lowest[key] > seq+1 {
				gaps = append(gaps, model.Between{MemberKey: key, After: seq, Before: lowest[key]})
			}
		}
		holes, err := tx.HasOthersBetween(ctx, gaps)
		if err != nil {
			return nil, err
		}
		var raise []model.MemberSeq
		for _, key := range part {
			if byMember[key].Seq > current[key] && !holes[key] {
				raise = append(raise, byMember[key].MemberSeq)
				risen = append(risen, *byMember[key])
			}
		}
		if err := tx.RaiseDelivered(ctx, raise); err != nil {
			return nil, err
		}
	}
	return risen, nil
}

// notify tells the senders: the last of the six packets.
func (a *Acker) notify(receipts []receipt) {
	at := model.MillisOf(a.clock())
	for _, r := range receipts {
		metrics.receipts.Inc()
		a.delivery.tellMember(trace.Receipt, r.ConversationID, r.UserID, r.before, r.Seq)
		a.delivery.Notify(r.senders, encodeFrame(Receipt{Type: "receipt", Kind: "delivered", ConversationID: r.ConversationID, UserID: r.UserID, UpTo: r.Seq, At: at}))
	}
}
