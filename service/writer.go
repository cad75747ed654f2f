package service

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"time"

	otel "go.opentelemetry.io/otel/trace"

	"ackbox/model"
	"ackbox/trace"
)

// Bounds of a batch. 256 messages is where two writers stopped gaining on MariaDB;
// a batch of the largest bodies (64 KiB) is 16 MB, MariaDB's max_allowed_packet, so bytes are bounded too.
const (
	writerBatch    = 256
	writerBytes    = 4 << 20
	writerEntries  = 20_000
	writerCapacity = 8_192
	// writerPatience is how long a batch whose COMMIT has no known outcome is run
	// again before its callers are told so.
	writerPatience = 10 * time.Second
)

// Committed is a message that is durable, encoded once, with its place in every
// mailbox that got it.
type Committed struct {
	Message *model.Message
	JSON    []byte
	Entries []model.Entry

	Audience *model.Audience // who it is for; a log conversation's message has no Entries

	Span *otel.SpanContext // nil: not sampled
}

// Writer is the group commit: it puts what has piled up into one transaction, with
// multi-row statements in one order of locks (files, send_keys, conversations, mailbox heads,
// each sorted), and answers each send when that transaction is durable.
//
// Order promised: conversation_seq and each mailbox's seq are contiguous and commit
// in order, on any number of writers and nodes, because their counters stay locked
// from the moment they are advanced until commit.
type Writer struct {
	store     *model.Store
	ids       *IDs
	audiences *Audiences
	committed func([]Committed) // called after commit, in the worker
	clock     func() time.Time
	log       *slog.Logger
	trace     *trace.Store
	queue     *batcher[*send]
	ctx       context.Context // of the transactions: ends when Stop has waited long enough
	cancel    context.CancelFunc
	spans     *Spans // nil: off
}

// SpannedBy makes spans. Set before use.
func (w *Writer) SpannedBy(spans *Spans) { w.spans = spans }

// send is one message on its way through the writer.
type send struct {
	msg      *model.Message
	hash     []byte
	audience *model.Audience

	attempts []model.MessageID // ids of earlier runs whose COMMIT had no known outcome
	owner    *model.SendKey    // who has the key, when it is not this send
	entries  []model.Entry

	came  time.Time
	twins []*send // later sends of the same key and content in the same batch

	span otel.Span // nil: not sampled

	result sendResult
	done   chan struct{}
}

type sendResult struct {
	committed Committed
	duplicate bool
	err       error
}

// NewWriter starts the workers. committed gets each batch after its commit.
func NewWriter(store *model.Store, ids *IDs, audiences *Audiences, clock func() time.Time, log *slog.Logger, committed func([]Committed)) *Writer {
	w := &Writer{store: store, ids: ids, audiences: audiences, committed: committed, clock: clock, log: log, trace: trace.Off()}
	w.ctx, w.cancel = context.WithCancel(context.Background())
	workers := 2 // measured against MariaDB: 11,300/s with one, 13,300 with two, 14,300 with four
	if store.Dialect() == model.SQLite {
		workers = 1 // one connection writes
	}
	w.queue = newBatcher(workers, writerBatch, writerCapacity, w.run)
	return w
}

// Stop works off what waits and ends the workers; when ctx ends, what is left fails
// with an unknown outcome.
func (w *Writer) Stop(ctx context.Context) error {
	defer w.cancel()
	defer context.AfterFunc(ctx, w.cancel)()
	w.queue.stop()
	return nil
}

// Write makes a message durable and answers its place, or the earlier message of
// the same key (duplicate). The message's ID must be fresh; its seqs are filled in.
//
// Errors: CodeKeyReused; CodeNotFound and CodeBlocked when the audience changed
// meanwhile; CodeUnavailable when nothing was stored; CodeUnknownOutcome when nobody
// can say, also when ctx ends before the answer.
func (w *Writer) Write(ctx context.Context, msg *model.Message, hash []byte, audience *model.Audience) (c Committed, duplicate bool, err error) {
	s := &send{msg: msg, hash: hash, audience: audience, came: w.clock(), done: make(chan struct{})}
	if w.spans != nil {
		s.span = w.spans.write(ctx, msg)
	}
	if err := w.queue.put(s); err != nil {
		endSpan(s.span, err)
		return Committed{}, false, err
	}
	select {
	case <-s.done:
		return s.result.committed, s.result.duplicate, s.result.err
	case <-ctx.Done():
		return Committed{}, false, unknownOutcome(ctx.Err())
	}
}

func unknownOutcome(cause error) error {
	return &model.Error{Code: model.CodeUnknownOutcome, Detail: "the store did not say whether the message was kept; send it again with the same key", RetryAfter: time.Second, Cause: cause}
}

// finish answers the caller, and those that sent the same key at the same time.
func (s *send) finish(r sendResult) {
	s.result = r
	endSpan(s.span, r.err)
	close(s.done)
	for _, twin := range s.twins {
		endSpan(twin.span, r.err)
		twin.result = sendResult{committed: r.committed, duplicate: true, err: r.err}
		if r.err == nil {
			metrics.duplicates.Inc()
		}
		close(twin.done)
	}
}

// run takes a batch to its end: every send is answered exactly once.
func (w *Writer) run(batch []*send) {
	for len(batch) > 0 {
		kept, others := w.coalesce(batch)
		for len(kept) > 0 {
			part := kept[:cut(kept)]
			kept = kept[len(part):]
			w.write(part)
		}
		batch = others
	}
}

// cut is how many of the batch go into one transaction by bytes and rows.
func cut(batch []*send) int {
	size, rows := 0, 0
	for i, s := range batch {
		size += len(s.msg.Body) + len(s.msg.Ext)
		rows += len(s.mailboxes())
		if i > 0 && (size > writerBytes || rows > writerEntries) {
			return i
		}
	}
	return len(batch)
}

// coalesce keeps the first of several sends that say the same with one key; the others get
// its answer. Those that say something else with that key wait for its outcome: it may be
// they who repeat the message that is there, and not the first.
func (w *Writer) coalesce(batch []*send) (kept, others []*send) {
	first := make(map[windowKey]*send, len(batch))
	kept = batch[:0]
	for _, s := range batch {
		k := windowKey{s.msg.SenderID, s.msg.ClientMsgID}
		leader, twice := first[k]
		switch {
		case !twice:
			first[k] = s
			kept = append(kept, s)
		case bytes.Equal(leader.hash, s.hash):
			leader.twins = append(leader.twins, s)
		default:
			others = append(others, s)
		}
	}
	return kept, others
}

// write takes a batch through as many transactions as it needs.
func (w *Writer) write(batch []*send) {
	ctx, cancel := context.WithTimeout(w.ctx, writerPatience)
	defer cancel()
	start := time.Now()
	var span otel.Span
	if w.spans != nil {
		ctx, span = w.spans.commit(ctx, batch)
		defer func() { endSpan(span, nil) }()
	}
	unknown := false
	for attempt := 0; ; attempt++ {
		err := w.transact(ctx, batch)
		var refused refusals
		switch {
		case err == nil:
			metrics.batchSize.Observe(float64(len(batch)))
			took := time.Since(start)
			if span == nil {
				metrics.commitSeconds.Observe(took.Seconds())
			} else {
				observe(metrics.commitSeconds, took.Seconds(), span.SpanContext())
			}
			w.tell(batch, took)
			w.answer(ctx, batch)
			return
		case errors.As(err, &refused):
			batch = w.refuse(batch, refused)
			if len(batch) == 0 {
				return
			}
		case errors.Is(err, model.ErrCommitUnknown) || (unknown && model.Unreachable(err) && ctx.Err() == nil):
			// Whether the rows are there nobody knows. Run the same batch with the same
			// keys and new ids: a key that then belongs to an old id was committed.
			if !unknown || errors.Is(err, model.ErrCommitUnknown) {
				if idErr := w.renumber(batch); idErr != nil {
					w.fail(batch, unknownOutcome(errors.Join(err, idErr)))
					return
				}
			}
			unknown = true
			w.log.Warn("COMMIT without an answer, running the batch again", "messages", len(batch), "error", err)
			if waitErr := pause(ctx, time.Duration(rand.Int64N(int64(20*time.Millisecond)<<min(attempt, 5)))); waitErr != nil {
				w.fail(batch, unknownOutcome(err))
				return
			}
		case model.Unreachable(err):
			w.fail(batch, unavailable(err))
			return
		case len(batch) == 1:
			w.fail(batch, fmt.Errorf("write message: %w", err))
			return
		default:
			// One row is bad. Halve until it is alone; the others are not its fault.
			w.log.Warn("a batch failed, splitting it", "messages", len(batch), "error", err)
			w.write(batch[:len(batch)/2])
			w.write(batch[len(batch)/2:])
			return
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return fmt.Errorf("waiting: %w", ctx.Err())
	case <-timer.C:
		return nil
	}
}

func unavailable(cause error) error {
	return &model.Error{Code: model.CodeUnavailable, Detail: "the database is not available; nothing was stored", RetryAfter: time.Second, Cause: cause}
}

// refusals are sends that turned out, under the lock, to be not allowed.
type refusals map[*send]error

func (r refusals) Error() string { return fmt.Sprintf("%d messages of the batch are refused", len(r)) }

func (w *Writer) refuse(batch []*send, refused refusals) []*send {
	kept := make([]*send, 0, len(batch))
	for _, s := range batch {
		if err, bad := refused[s]; bad {
			s.finish(sendResult{err: err})
			continue
		}
		kept = append(kept, s)
	}
	return kept
}

func (w *Writer) renumber(batch []*send) error {
	ids, err := w.ids.Take(context.Background(), len(batch))
	if err != nil {
		return err
	}
	for i, s := range batch {
		s.attempts = append(s.attempts, s.msg.ID)
		s.msg.ID = model.MessageID(ids[i])
	}
	return nil
}

func (w *Writer) fail(batch []*send, err error) {
	for _, s := range batch {
		metrics.sendErrors.Inc()
		if len(s.attempts) > 0 { // an earlier COMMIT of this send had no answer
			s.finish(sendResult{err: unknownOutcome(err)})
			continue
		}
		s.finish(sendResult{err: err})
	}
}

// transact is the one transaction. It may run several times for one call (deadlock),
// so everything it fills in is set anew each time.
func (w *Writer) transact(ctx context.Context, batch []*send) error {
	now := model.MillisOf(w.clock())
	keys := make([]model.SendKey, len(batch))
	byKey := make(map[windowKey]*send, len(batch))
	for i, s := range batch {
		keys[i] = model.SendKey{SenderID: s.msg.SenderID, ClientMsgID: s.msg.ClientMsgID, MessageID: s.msg.ID, ContentHash: s.hash}
		byKey[windowKey{s.msg.SenderID, s.msg.ClientMsgID}] = s
	}
	slices.SortFunc(keys, func(a, b model.SendKey) int {
		return cmp.Or(cmp.Compare(a.SenderID, b.SenderID), cmp.Compare(a.ClientMsgID, b.ClientMsgID))
	})
	if !slices.ContainsFunc(batch, func(s *send) bool { return len(s.attempts) > 0 }) {
		err := w.store.Pipelined(ctx, func(tx *model.Store) error {
			without, err := lockFiles(ctx, tx, batch)
			if err != nil {
				return err
			}
			return w.placeNew(ctx, tx, batch, keys, without, now)
		})
		if !errors.Is(err, model.ErrKeyTaken) && !errors.Is(err, errOldAudience) {
			return err
		}
	}
	err := w.store.Pipelined(ctx, func(tx *model.Store) error {
		without, err := lockFiles(ctx, tx, batch)
		if err != nil {
			return err
		}
		owners, err := tx.ClaimSendKeys(ctx, keys, now)
		if err != nil {
			return err
		}
		for i := range owners {
			s := byKey[windowKey{owners[i].SenderID, owners[i].ClientMsgID}]
			s.owner = nil
			if owners[i].MessageID != s.msg.ID {
				s.owner = &owners[i]
			}
		}
		fresh := make([]*send, 0, len(batch))
		for _, s := range batch {
			if s.owner == nil {
				fresh = append(fresh, s)
			}
		}
		if len(fresh) == 0 {
			return nil
		}
		return w.place(ctx, tx, fresh, without, now)
	})
	if err != nil {
		return fmt.Errorf("write batch: %w", err)
	}
	return nil
}

// lockFiles keeps the files that messages name, and answers the messages whose file is gone. It is the first of a
// transaction's locks, and no statement when there are no files.
func lockFiles(ctx context.Context, tx *model.Store, batch []*send) (without map[*model.Message]bool, err error) {
	var naming []*model.Message
	for _, s := range batch {
		if s.msg.FileNamed() != 0 {
			naming = append(naming, s.msg)
		}
	}
	if len(naming) == 0 {
		return nil, nil //nolint:nilnil // none is without its file
	}
	return tx.LockFiles(ctx, naming)
}

// mayPlace is why a message is refused under the locks, or nil.
func mayPlace(s *send, without map[*model.Message]bool, now model.Millis) error {
	if without[s.msg] {
		return model.NotFound("file")
	}
	return s.audience.MaySend(s.msg.SenderID, now)
}

var errOldAudience = errors.New("the members of a conversation have changed")

// placeNew is the whole transaction for the usual batch: keys that nobody has used, into conversations whose members are
// still those that were known. Else it is ErrKeyTaken or errOldAudience, and transact goes step by step.
func (w *Writer) placeNew(ctx context.Context, tx *model.Store, batch []*send, keys []model.SendKey, without map[*model.Message]bool, now model.Millis) error {
	conversations, users := countConversations(batch), countMailboxes(batch)
	heads, mailboxes, err := tx.TakePlaces(ctx, keys, conversations, users, now)
	if err != nil {
		return err
	}
	refused := refusals{}
	for _, s := range batch {
		s.owner = nil
		if s.audience.Version != heads[s.msg.ConversationID].MembersVersion {
			return errOldAudience
		}
		if err := mayPlace(s, without, now); err != nil {
			refused[s] = err
		}
	}
	if len(refused) > 0 {
		return refused // rolled back: neither keys nor seqs were taken
	}
	return w.insert(ctx, tx, batch, conversations, heads, users, mailboxes, now)
}

// place gives the messages their seqs and inserts them.
func (w *Writer) place(ctx context.Context, tx *model.Store, fresh []*send, without map[*model.Message]bool, now model.Millis) error {
	conversations := countConversations(fresh)
	heads, err := tx.AdvanceConversations(ctx, conversations, now)
	if err != nil {
		return err
	}
	refused := refusals{}
	for _, s := range fresh {
		// The conversation is locked from here on: its members are who they are.
		if s.audience.Version != heads[s.msg.ConversationID].MembersVersion {
			audience, err := tx.LoadAudience(ctx, s.msg.ConversationID)
			if err != nil {
				return err
			}
			w.audiences.Put(audience)
			for _, other := range fresh {
				if other.msg.ConversationID == audience.ConversationID {
					other.audience = audience
				}
			}
		}
		if err := mayPlace(s, without, now); err != nil {
			refused[s] = err
		}
	}
	if len(refused) > 0 {
		return refused // rolled back: the seqs were never taken
	}
	users := countMailboxes(fresh) // after the check above: audiences may have changed
	mailboxes, err := tx.AdvanceMailboxes(ctx, users)
	if err != nil {
		return err
	}
	return w.insert(ctx, tx, fresh, conversations, heads, users, mailboxes, now)
}

// insert gives the messages their places and stores them.
func (w *Writer) insert(ctx context.Context, tx *model.Store, fresh []*send, conversations []model.ConversationCount, heads map[model.ConversationID]model.ConversationHead, users []model.UserCount, mailboxes map[model.UserID]int64, now model.Millis) error {
	messages := make([]*model.Message, len(fresh))
	for i, s := range fresh {
		messages[i] = s.msg
	}
	if err := tx.FillQuotes(ctx, messages); err != nil { // under the lock: recalls have been, or come after
		return err
	}
	var entries []model.Entry
	nextConversation := firstOf(conversations, func(c model.ConversationCount) (model.ConversationID, int64) {
		return c.ID, heads[c.ID].Head - c.Count
	})
	nextMailbox := firstOf(users, func(c model.UserCount) (model.UserID, int64) { return c.UserID, mailboxes[c.UserID] - c.Count })
	for _, s := range fresh {
		nextConversation[s.msg.ConversationID]++
		s.msg.ConversationSeq = nextConversation[s.msg.ConversationID]
		s.msg.CreatedAt = now
		s.enter(func(user model.UserID) int64 {
			nextMailbox[user]++
			return nextMailbox[user]
		})
		entries = append(entries, s.entries...)
	}
	return tx.InsertMessages(ctx, messages, entries)
}

// mailboxes are those that get the message: none in a log conversation.
func (s *send) mailboxes() []model.UserID {
	if s.audience.Delivery == model.DeliveryLog {
		return nil
	}
	return s.audience.Members
}

// enter puts the message into the mailboxes of its audience, at the seqs that next gives.
func (s *send) enter(next func(model.UserID) int64) {
	users := s.mailboxes()
	s.entries = make([]model.Entry, 0, len(users))
	s.msg.SenderSeq = 0
	for _, user := range users {
		seq := next(user)
		s.entries = append(s.entries, model.Entry{UserID: user, Seq: seq, MessageID: s.msg.ID, ConversationID: s.msg.ConversationID, ConversationSeq: s.msg.ConversationSeq, SenderID: s.msg.SenderID})
		if user == s.msg.SenderID {
			s.msg.SenderSeq = seq
		}
	}
}

func countConversations(batch []*send) []model.ConversationCount {
	counts := map[model.ConversationID]int64{}
	for _, s := range batch {
		counts[s.msg.ConversationID]++
	}
	list := make([]model.ConversationCount, 0, len(counts))
	for id, n := range counts {
		list = append(list, model.ConversationCount{ID: id, Count: n})
	}
	slices.SortFunc(list, func(a, b model.ConversationCount) int { return cmp.Compare(a.ID, b.ID) })
	return list
}

func countMailboxes(batch []*send) []model.UserCount {
	counts := map[model.UserID]int64{}
	for _, s := range batch {
		for _, user := range s.mailboxes() {
			counts[user]++
		}
	}
	list := make([]model.UserCount, 0, len(counts))
	for user, n := range counts {
		list = append(list, model.UserCount{UserID: user, Count: n})
	}
	slices.SortFunc(list, func(a, b model.UserCount) int { return cmp.Compare(a.UserID, b.UserID) })
	return list
}

// firstOf makes a map of running counters from a list.
func firstOf[E any, K comparable](list []E, start func(E) (K, int64)) map[K]int64 {
	next := make(map[K]int64, len(list))
	for _, e := range list {
		k, n := start(e)
		next[k] = n
	}
	return next
}

// answer tells the callers and hands the new messages on. Owners that are not in this batch are read back: a
// duplicate gets the first message, a send whose earlier COMMIT had happened gets its own.
func (w *Writer) answer(ctx context.Context, batch []*send) {
	var earlier []model.MessageID
	for _, s := range batch {
		if s.owner != nil {
			earlier = append(earlier, s.owner.MessageID)
		}
	}
	found := map[model.MessageID]*model.Message{}
	var readErr error
	if len(earlier) > 0 {
		list, err := w.store.Messages(ctx, earlier)
		if err != nil {
			readErr = unknownOutcome(err)
		}
		for _, m := range list {
			found[m.ID] = m
		}
	}
	fresh := make([]Committed, 0, len(batch))
	for _, s := range batch {
		if s.owner == nil {
			c := Committed{Message: s.msg, JSON: s.msg.AppendJSON(make([]byte, 0, 320+len(s.msg.Body)+len(s.msg.Ext))), Entries: s.entries, Audience: s.audience, Span: spanOf(s.span)}
			fresh = append(fresh, c)
			metrics.sends.Inc()
			s.finish(sendResult{committed: c})
			continue
		}
		ours := slices.Contains(s.attempts, s.owner.MessageID)
		first := found[s.owner.MessageID]
		switch {
		case readErr != nil:
			s.finish(sendResult{err: readErr})
		case !ours && !bytes.Equal(s.owner.ContentHash, s.hash):
			s.finish(sendResult{err: keyReused()})
		case first == nil:
			s.finish(sendResult{err: fmt.Errorf("send key of message %d has no message", s.owner.MessageID)})
		default:
			if !ours {
				metrics.duplicates.Inc()
				if w.trace.Takes(first.ID) {
					w.trace.Put(&trace.Event{At: w.clock().UnixMicro(), Kind: trace.Duplicate, Message: first.ID, User: first.SenderID, Count: 1})
				}
			}
			s.finish(sendResult{committed: Committed{Message: first, JSON: first.AppendJSON(nil)}, duplicate: !ours})
		}
	}
	if len(fresh) > 0 {
		w.committed(fresh)
	}
}

func keyReused() error {
	return model.NewError(model.CodeKeyReused, "this client_msg_id was used for other content")
}
