package model

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
)

// NewDeviceEntries is how many of the newest mailbox entries a device that was
// never seen starts with; older ones are history.
const NewDeviceEntries = 100

// Entry is one row of a user's mailbox. Seq is contiguous from 1 for each user and
// becomes visible in order, because the counter row stays locked until commit.
type Entry struct {
	UserID          UserID
	Seq             int64
	MessageID       MessageID
	ConversationID  ConversationID
	ConversationSeq int64
	SenderID        UserID
}

// MailboxHead is the state of a user's mailbox: Head is the last seq given out (0
// for an empty one), Floor the oldest that is still kept (1 at first).
type MailboxHead struct {
	UserID UserID
	Head   int64
	Floor  int64
}

// UserCount is a number of entries for a user.
type UserCount struct {
	UserID UserID
	Count  int64
}

// AdvanceMailboxes takes Count seqs for each user and answers the new heads. The
// list must be sorted by user: all writers lock in this order. The rows stay locked
// until the transaction ends.
func (s *Store) AdvanceMailboxes(ctx context.Context, list []UserCount) (heads map[UserID]int64, err error) {
	heads = make(map[UserID]int64, len(list))
	return heads, s.run(ctx, s.advanceMailboxes(list, heads)...)
}

func (s *Store) advanceMailboxes(list []UserCount, heads map[UserID]int64) (steps []*step) {
	onDuplicate := " ON DUPLICATE KEY UPDATE head = head + VALUES(head)"
	if s.dialect == SQLite {
		onDuplicate = " ON CONFLICT (user_id) DO UPDATE SET head = head + excluded.head"
	}
	for part := range slices.Chunk(list, s.rows(rowsPerStatement)) {
		users := make([]UserID, 0, len(part))
		advance := newStep("advance mailbox heads", "INSERT INTO mailbox_heads (user_id, head) VALUES ", 32*len(part))
		for _, c := range part {
			advance.row(int64(c.UserID), c.Count)
			users = append(users, c.UserID)
		}
		read := numbers(newStep("read mailbox heads", "SELECT user_id, head FROM mailbox_heads WHERE user_id IN (", 20*len(part)), users).add(")")
		read.scan = func(r *sql.Rows) error {
			var user UserID
			var head int64
			err := r.Scan(&user, &head)
			heads[user] = head
			return err
		}
		steps = append(steps, advance.add(onDuplicate), read)
	}
	return steps
}

// MailboxHeads reads the heads of at most 500 users; those without a mailbox yet
// are left out.
func (s *Store) MailboxHeads(ctx context.Context, users []UserID) (list []MailboxHead, err error) {
	err = s.run(ctx, readMailboxHeads(users, &list))
	return list, err
}

func readMailboxHeads(users []UserID, into *[]MailboxHead) *step {
	q := numbers(newStep("read mailbox heads", "SELECT user_id, head, floor FROM mailbox_heads WHERE user_id IN (", 20*len(users)), users).add(")")
	q.scan = func(r *sql.Rows) error {
		var h MailboxHead
		err := r.Scan(&h.UserID, &h.Head, &h.Floor)
		h.Floor = max(h.Floor, 1)
		*into = append(*into, h)
		return err
	}
	return q
}

// MailboxHead reads one user's; an account without messages has {0, 1}.
func (s *Store) MailboxHead(ctx context.Context, user UserID) (MailboxHead, error) {
	list, err := s.MailboxHeads(ctx, []UserID{user})
	if err != nil {
		return MailboxHead{}, err
	}
	if len(list) == 0 {
		return MailboxHead{UserID: user, Floor: 1}, nil
	}
	return list[0], nil
}

func (s *Store) insertEntries(list []Entry) (steps []*step) {
	for part := range slices.Chunk(list, s.rows(10*rowsPerStatement)) {
		q := newStep("insert mailbox entries", "INSERT INTO mailboxes (user_id, seq, message_id, conversation_id, conversation_seq, sender_id) VALUES ", 96*len(part))
		for i := range part {
			e := &part[i]
			q.row(int64(e.UserID), e.Seq, int64(e.MessageID), int64(e.ConversationID), e.ConversationSeq, int64(e.SenderID))
		}
		steps = append(steps, q)
	}
	return steps
}

// SeqMessage is an entry of a mailbox with its message.
type SeqMessage struct {
	Seq     int64
	Message *Message
}

// Mailbox reads at most limit entries after a seq, ascending, with their messages. Of what the user
// has deleted for themselves the entry stays, without content: a mailbox has no holes. What is read has none up to a head
// that was known before, see UpTo.
func (s *Store) Mailbox(ctx context.Context, user UserID, after int64, limit int) ([]SeqMessage, error) {
	rows, err := s.read(ctx).Raw("SELECT b.seq, d.user_id IS NOT NULL, "+messageColumns+` FROM mailboxes b
		JOIN messages m ON m.conversation_id = b.conversation_id AND m.conversation_seq = b.conversation_seq`+s.withDeleted()+`
		WHERE b.user_id = ? AND b.seq > ? ORDER BY b.seq LIMIT ?`, user, user, after, limit).Rows()
	if err != nil {
		return nil, fmt.Errorf("read mailbox: %w", err)
	}
	var messages []*Message
	list, err := scanAll(rows, func(r *sql.Rows) (e SeqMessage, err error) {
		e.Message = new(Message)
		var deleted bool
		if err = r.Scan(append([]any{&e.Seq, &deleted}, e.Message.targets()...)...); deleted {
			e.Message.deleteForMe()
		}
		messages = append(messages, e.Message)
		return e, err
	})
	if err != nil {
		return nil, err
	}
	return list, s.FillQuotes(ctx, messages)
}

// UpTo is the entries up to a head that was known before they were read: those without a hole. Above it an entry can be
// there before the one in front of it: MariaDB (10.11, lock-free read views since 10.3) collects the running transactions
// one after the other while they commit, so that a statement may see the second of two and not the first, although the
// second waited for the first one's lock. Any 300,000th read did, on two busy cores. What a statement has shown is there,
// with all before it, for statements that begin after it.
func UpTo(entries []SeqMessage, head int64) []SeqMessage {
	for i, e := range entries {
		if e.Seq > head {
			return entries[:i]
		}
	}
	return entries
}

// EntryID is the message found at a mailbox seq, or 0 when the row is not there
// (never written, or pruned).
func (s *Store) EntryID(ctx context.Context, user UserID, seq int64) (id MessageID, err error) {
	err = s.read(ctx).Raw("SELECT message_id FROM mailboxes WHERE user_id = ? AND seq = ?", user, seq).Row().Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read mailbox entry: %w", err)
	}
	return id, nil
}

// Place is a position in one user's mailbox.
type Place struct {
	UserID UserID
	Seq    int64
}

// readEntryIDs reads the message ids at many places, at most 500.
func (s *Store) readEntryIDs(places []Place, found map[Place]MessageID) *step {
	q := newStep("read mailbox entries", "SELECT user_id, seq, message_id FROM mailboxes WHERE (user_id, seq) IN ("+s.tuplesOf(), 32*len(places))
	for _, p := range places {
		q.row(int64(p.UserID), p.Seq)
	}
	q.add(")").scan = func(r *sql.Rows) error {
		var p Place
		var id MessageID
		err := r.Scan(&p.UserID, &p.Seq, &id)
		found[p] = id
		return err
	}
	return q
}

// SeqsOf finds the seqs, above after and up to a bound, of messages in a user's mailbox.
func (s *Store) SeqsOf(ctx context.Context, user UserID, after, upTo int64, ids []MessageID) ([]int64, error) {
	rows, err := s.read(ctx).Raw("SELECT seq FROM mailboxes WHERE user_id = ? AND seq > ? AND seq <= ? AND message_id IN ? ORDER BY seq", user, after, upTo, ids).Rows()
	if err != nil {
		return nil, fmt.Errorf("find mailbox entries: %w", err)
	}
	return scanAll(rows, func(r *sql.Rows) (seq int64, err error) {
		err = r.Scan(&seq)
		return seq, err
	})
}

// Delivered is how far a user has received a conversation's messages of one sender.
type Delivered struct {
	UserID         UserID // who received
	ConversationID ConversationID
	SenderID       UserID // whose messages
	From, UpTo     int64  // lowest and highest conversation_seq among them
	Before         int64  // up to where the membership had nothing that was not delivered; -1: none is active
}

// Range is the entries (After, UpTo] of a user's mailbox.
type Range struct {
	UserID      UserID
	After, UpTo int64
}

// deliveredRows is up to how many entries are read one by one: the database takes twice as long to sum up a few.
const deliveredRows = 1000

// readDelivered sums up ranges of mailboxes, at least one, at most 500 and one a user, by user,
// conversation and sender, without the user's own messages.
func readDelivered(ranges []Range, into *[]Delivered) *step {
	rows := int64(0)
	for _, r := range ranges {
		rows += r.UpTo - r.After
	}
	low, high := "d.low", "d.high"
	if rows <= deliveredRows {
		low, high = "d.conversation_seq", "d.conversation_seq"
	}
	q := newStep("sum up acked entries", "SELECT d.user_id, d.conversation_id, d.sender_id, "+low+", "+high+", CASE WHEN p.left_seq IS NULL OR p.left_seq <> 0 THEN -1 WHEN p.delivered_seq < p.joined_seq THEN p.joined_seq ELSE p.delivered_seq END FROM ", 512+96*len(ranges))
	const members = " LEFT JOIN members p ON p.conversation_id = d.conversation_id AND p.user_id = d.user_id"
	if rows <= deliveredRows {
		q.add("mailboxes d" + members + " WHERE d.sender_id <> d.user_id AND (").ranges(ranges).add(")")
	} else {
		q.add("(SELECT d.user_id, d.conversation_id, d.sender_id, MIN(d.conversation_seq) AS low, MAX(d.conversation_seq) AS high FROM mailboxes d WHERE d.sender_id <> d.user_id AND (").ranges(ranges)
		q.add(") GROUP BY d.user_id, d.conversation_id, d.sender_id) d" + members)
	}
	type part struct {
		user   UserID
		id     ConversationID
		sender UserID
	}
	at := map[part]int{}
	q.scan = func(r *sql.Rows) error {
		var d Delivered
		err := r.Scan(&d.UserID, &d.ConversationID, &d.SenderID, &d.From, &d.UpTo, &d.Before)
		key := part{d.UserID, d.ConversationID, d.SenderID}
		if i, known := at[key]; known {
			sum := &(*into)[i]
			sum.From, sum.UpTo = min(sum.From, d.From), max(sum.UpTo, d.UpTo)
			return err
		}
		at[key] = len(*into)
		*into = append(*into, d)
		return err
	}
	return q
}

func (q *step) ranges(list []Range) *step {
	for i, r := range list {
		if i > 0 {
			q.add(" OR ")
		}
		q.add("(d.user_id = ").number(int64(r.UserID)).add(" AND d.seq > ").number(r.After).add(" AND d.seq <= ").number(r.UpTo).add(")")
	}
	return q
}

// Pending is what waits in one conversation behind a mailbox position.
type Pending struct {
	ConversationID ConversationID
	Unread         int64
}

// PendingByConversation counts the entries after a seq by conversation, without
// the user's own messages and without those that they have deleted for themselves.
func (s *Store) PendingByConversation(ctx context.Context, user UserID, after int64, limit int) ([]Pending, error) {
	some, err := s.hasDeleted(ctx, user)
	if err != nil {
		return nil, err
	}
	query, args := "SELECT m.conversation_id, COUNT(CASE WHEN m.sender_id <> m.user_id THEN 1 END) FROM mailboxes m", []any{}
	if some {
		query, args = "SELECT m.conversation_id, COUNT(CASE WHEN m.sender_id <> m.user_id AND d.user_id IS NULL THEN 1 END) FROM mailboxes m"+s.withDeleted(), []any{user}
	}
	rows, err := s.read(ctx).Raw(query+" WHERE m.user_id = ? AND m.seq > ? GROUP BY m.conversation_id ORDER BY MAX(m.seq) DESC LIMIT ?", append(args, user, after, limit)...).Rows()
	if err != nil {
		return nil, fmt.Errorf("count pending entries: %w", err)
	}
	return scanAll(rows, func(r *sql.Rows) (p Pending, err error) {
		err = r.Scan(&p.ConversationID, &p.Unread)
		return p, err
	})
}

// PruneMailboxes deletes rows that every device seen since the given moment has
// acked, keeping the newest NewDeviceEntries, for at most limit users after the
// given one. A user without such a device keeps everything. It answers the last
// user looked at (0: no more) and how many rows went.
func (s *Store) PruneMailboxes(ctx context.Context, after UserID, seenSince Millis, limit int) (last UserID, pruned int64, err error) {
	rows, err := s.read(ctx).Raw(`SELECT h.user_id, h.head, h.floor, COALESCE((SELECT MIN(d.acked_seq) FROM devices d WHERE d.user_id = h.user_id AND d.last_seen_at >= ?), 0)
		FROM mailbox_heads h WHERE h.user_id > ? ORDER BY h.user_id LIMIT ?`, seenSince, after, limit).Rows()
	if err != nil {
		return 0, 0, fmt.Errorf("find prunable mailboxes: %w", err)
	}
	type candidate struct {
		MailboxHead
		acked int64
	}
	list, err := scanAll(rows, func(r *sql.Rows) (c candidate, err error) {
		err = r.Scan(&c.UserID, &c.Head, &c.Floor, &c.acked)
		return c, err
	})
	if err != nil {
		return 0, 0, err
	}
	for _, c := range list {
		last = c.UserID
		upTo := min(c.acked, c.Head-NewDeviceEntries)
		if upTo < max(c.Floor, 1) {
			continue
		}
		n, err := s.pruneMailbox(ctx, c.UserID, upTo)
		pruned += n
		if err != nil {
			return last, pruned, err
		}
	}
	if len(list) < limit {
		last = 0
	}
	return last, pruned, nil
}

// pruneMailbox deletes a user's rows up to a seq, a thousand a transaction, the
// floor rising with each so that it never names a row that is gone.
func (s *Store) pruneMailbox(ctx context.Context, user UserID, upTo int64) (pruned int64, err error) {
	for {
		var n int64
		err = s.Tx(ctx, func(tx *Store) error {
			var floor int64
			if err := tx.read(ctx).Raw("SELECT floor FROM mailbox_heads WHERE user_id = ?"+tx.forUpdate(), user).Row().Scan(&floor); err != nil {
				return fmt.Errorf("lock mailbox head: %w", err)
			}
			next := min(max(floor, 1)+1000, upTo+1)
			res := tx.write(ctx).Exec("DELETE FROM mailboxes WHERE user_id = ? AND seq < ?", user, next)
			if res.Error != nil {
				return fmt.Errorf("delete mailbox rows: %w", res.Error)
			}
			n = res.RowsAffected
			return tx.write(ctx).Exec("UPDATE mailbox_heads SET floor = ? WHERE user_id = ?", next, user).Error
		})
		pruned += n
		if err != nil || n < 1000 {
			return pruned, err
		}
	}
}
