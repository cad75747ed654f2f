package model

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
)

// Recipient is somebody whom a message was for, also when they have left since, and how far they are in its conversation.
type Recipient struct {
	UserID       UserID
	Username     string
	JoinedSeq    int64
	DeliveredSeq int64
	ReadSeq      int64
}

// whom are those whom a message was for: without its sender, with who has left since.
const whom = " FROM members p WHERE p.conversation_id = ? AND p.joined_seq < ? AND (p.left_seq = 0 OR p.left_seq >= ?) AND p.user_id <> ?"

// everybody is whom of an announcement.
const everybody = " FROM users u LEFT JOIN announcement_readers e ON e.user_id = u.id WHERE u.id <> ? AND COALESCE(e.joined_seq, 0) < ?"

func whomArgs(m *Message) []any {
	return []any{m.ConversationID, m.ConversationSeq, m.ConversationSeq, m.SenderID}
}

// Recipients lists whom a message was for by user id, after one, at most limit.
func (s *Store) Recipients(ctx context.Context, m *Message, after UserID, limit int) ([]Recipient, error) {
	query := "SELECT p.user_id, COALESCE(u.username, ''), p.joined_seq, p.delivered_seq, p.read_seq" + strings.Replace(whom, "FROM members p", "FROM members p LEFT JOIN users u ON u.id = p.user_id", 1) + " AND p.user_id > ? ORDER BY p.user_id LIMIT ?"
	args := append(whomArgs(m), after, limit)
	if m.ConversationID == Everyone {
		query, args = "SELECT u.id, u.username, COALESCE(e.joined_seq, 0), COALESCE(e.read_seq, 0), COALESCE(e.read_seq, 0)"+everybody+" AND u.id > ? ORDER BY u.id LIMIT ?", []any{m.SenderID, m.ConversationSeq, after, limit}
	}
	rows, err := s.read(ctx).Raw(query, args...).Rows()
	if err != nil {
		return nil, fmt.Errorf("read recipients: %w", err)
	}
	return scanAll(rows, func(r *sql.Rows) (v Recipient, err error) {
		err = r.Scan(&v.UserID, &v.Username, &v.JoinedSeq, &v.DeliveredSeq, &v.ReadSeq)
		return v, err
	})
}

// CountRecipients counts whom a message was for, and of them those to whom it was delivered and who have read it. In a log
// conversation it is delivered to who has a device that has acked it. Of an announcement that is a walk over all accounts.
func (s *Store) CountRecipients(ctx context.Context, m *Message, delivery Delivery) (c ReceiptCounts, err error) {
	if m.ConversationID == Everyone {
		err = s.read(ctx).Raw(`SELECT COUNT(*), COUNT(CASE WHEN e.read_seq >= ? OR EXISTS (SELECT 1 FROM log_positions l WHERE l.user_id = u.id AND l.conversation_id = ? AND l.acked_seq >= ?) THEN 1 END),
			COUNT(CASE WHEN e.read_seq >= ? THEN 1 END)`+everybody, m.ConversationSeq, m.ConversationID, m.ConversationSeq, m.ConversationSeq, m.SenderID, m.ConversationSeq).Row().Scan(&c.Members, &c.Delivered, &c.Read)
		if err != nil {
			return ReceiptCounts{}, fmt.Errorf("count recipients: %w", err)
		}
		return c, nil
	}
	delivered, args := "p.delivered_seq >= ?", []any{m.ConversationSeq}
	if delivery == DeliveryLog {
		delivered, args = "p.read_seq >= ? OR EXISTS (SELECT 1 FROM log_positions l WHERE l.user_id = p.user_id AND l.conversation_id = p.conversation_id AND l.acked_seq >= ?)", []any{m.ConversationSeq, m.ConversationSeq}
	}
	args = append(append(args, m.ConversationSeq), whomArgs(m)...)
	err = s.read(ctx).Raw("SELECT COUNT(*), COUNT(CASE WHEN "+delivered+" THEN 1 END), COUNT(CASE WHEN p.read_seq >= ? THEN 1 END)"+whom, args...).Row().Scan(&c.Members, &c.Delivered, &c.Read)
	if err != nil {
		return ReceiptCounts{}, fmt.Errorf("count recipients: %w", err)
	}
	return c, nil
}

// maxDevicesRead bounds DevicesOfMany.
const maxDevicesRead = 2_000

// DevicesOfMany lists the devices of at most 500 users by user, the latest seen first, at most 2,000.
func (s *Store) DevicesOfMany(ctx context.Context, users []UserID) ([]Device, error) {
	rows, err := s.read(ctx).Raw("SELECT "+deviceColumns+" FROM devices WHERE user_id IN ? ORDER BY user_id, last_seen_at DESC, device_id LIMIT ?", users, maxDevicesRead).Rows()
	if err != nil {
		return nil, fmt.Errorf("list devices: %w", err)
	}
	return scanAll(rows, scanDevice)
}

// Bounds of looking for a message in mailboxes, which have no index of messages.
const (
	recentEntries = 500    // of the newest, which are looked at first
	nearEntries   = 5_000  // after the first that is about as old
	nearMillis    = 10_000 // how much older or younger than its neighbours a message can be: clocks of nodes differ
)

// PlacesOf finds where a message is in mailboxes (at most 500, by their heads). It is left out where it is not any more. It looks
// among the newest entries first, then by time: the entries of a mailbox are about as old as their order says.
func (s *Store) PlacesOf(ctx context.Context, m *Message, heads []MailboxHead) (map[UserID]int64, error) {
	found := make(map[UserID]int64, len(heads))
	recent := make([]Range, 0, len(heads))
	for _, h := range heads {
		if h.Head > 0 {
			recent = append(recent, Range{UserID: h.UserID, After: max(h.Head-recentEntries, h.Floor-1, 0), UpTo: h.Head})
		}
	}
	if err := s.findIn(ctx, m.ID, recent, found); err != nil {
		return nil, err
	}
	// Of the others: in (low, high] is the first entry that is not much older.
	type search struct {
		user      UserID
		low, high int64
	}
	var searches []search
	for _, r := range recent {
		h := heads[slices.IndexFunc(heads, func(h MailboxHead) bool { return h.UserID == r.UserID })]
		if _, done := found[r.UserID]; !done && r.After > max(h.Floor-1, 0) {
			searches = append(searches, search{r.UserID, max(h.Floor-1, 0), r.After})
		}
	}
	for open := true; open; {
		open = false
		var places []Place
		for _, v := range searches {
			if v.high-v.low > 1 {
				places = append(places, Place{UserID: v.user, Seq: v.low + (v.high-v.low)/2})
			}
		}
		if len(places) == 0 {
			break
		}
		times, err := s.timesAt(ctx, places)
		if err != nil {
			return nil, err
		}
		for i := range searches {
			v := &searches[i]
			if v.high-v.low <= 1 {
				continue
			}
			open = true
			middle := v.low + (v.high-v.low)/2
			if at, there := times[Place{UserID: v.user, Seq: middle}]; there && at >= m.CreatedAt-nearMillis { // not there: pruned meanwhile
				v.high = middle
			} else {
				v.low = middle
			}
		}
	}
	near := make([]Range, 0, len(searches))
	for _, v := range searches {
		near = append(near, Range{UserID: v.user, After: v.low, UpTo: v.low + nearEntries})
	}
	return found, s.findIn(ctx, m.ID, near, found)
}

// findIn looks for a message in parts of mailboxes.
func (s *Store) findIn(ctx context.Context, id MessageID, ranges []Range, found map[UserID]int64) error {
	for part := range slices.Chunk(ranges, 100) {
		q := newStep("find a message in mailboxes", "SELECT d.user_id, d.seq FROM mailboxes d WHERE d.message_id = ", 64+64*len(part)).number(int64(id)).add(" AND (").ranges(part).add(")")
		q.scan = func(r *sql.Rows) error {
			var user UserID
			var seq int64
			err := r.Scan(&user, &seq)
			found[user] = seq
			return err
		}
		if err := s.run(ctx, q); err != nil {
			return err
		}
	}
	return nil
}

// timesAt reads how old the messages at places are.
func (s *Store) timesAt(ctx context.Context, places []Place) (map[Place]Millis, error) {
	found := make(map[Place]Millis, len(places))
	q := newStep("read times of mailbox entries", "SELECT b.user_id, b.seq, m.created_at FROM mailboxes b JOIN messages m ON m.conversation_id = b.conversation_id AND m.conversation_seq = b.conversation_seq WHERE (b.user_id, b.seq) IN ("+s.tuplesOf(), 32*len(places))
	for _, p := range places {
		q.row(int64(p.UserID), p.Seq)
	}
	q.add(")").scan = func(r *sql.Rows) error {
		var p Place
		var at Millis
		err := r.Scan(&p.UserID, &p.Seq, &at)
		found[p] = at
		return err
	}
	return found, s.run(ctx, q)
}
