package model

import (
	"context"
	"database/sql"
	"fmt"
)

// ReceiptState chooses among the members whom a message was for.
type ReceiptState string

// States. Who has read a message has received it too.
const (
	ReceiptAll       ReceiptState = ""
	ReceiptRead      ReceiptState = "read"
	ReceiptDelivered ReceiptState = "delivered"
	ReceiptPending   ReceiptState = "pending" // not delivered yet
)

// ReceiptCounts is how many of the members whom a message was for have got it.
type ReceiptCounts struct {
	Members, Delivered, Read int64
}

// audienceOf are the members whom a message was for and who still belong: without its sender
// and without who joined after it. Its arguments are audienceArgs.
const audienceOf = " FROM members p WHERE p.conversation_id = ? AND p.left_seq = 0 AND p.joined_seq < ? AND p.user_id <> ?"

func audienceArgs(m *Message) []any { return []any{m.ConversationID, m.ConversationSeq, m.SenderID} }

// CountReceipts counts from the members' positions, in one pass over them.
func (s *Store) CountReceipts(ctx context.Context, m *Message) (c ReceiptCounts, err error) {
	args := append([]any{m.ConversationSeq, m.ConversationSeq}, audienceArgs(m)...)
	err = s.read(ctx).Raw("SELECT COUNT(*), COUNT(CASE WHEN p.delivered_seq >= ? THEN 1 END), COUNT(CASE WHEN p.read_seq >= ? THEN 1 END)"+audienceOf, args...).Row().Scan(&c.Members, &c.Delivered, &c.Read)
	if err != nil {
		return ReceiptCounts{}, fmt.Errorf("count receipts: %w", err)
	}
	return c, nil
}

// ReceiptsOf lists the members whom a message was for by user id, after one, at most limit.
func (s *Store) ReceiptsOf(ctx context.Context, m *Message, state ReceiptState, after UserID, limit int) ([]*Member, error) {
	query, args := "SELECT "+memberColumns+audienceOf+" AND p.user_id > ?", append(audienceArgs(m), after)
	switch state {
	case ReceiptAll:
	case ReceiptRead:
		query, args = query+" AND p.read_seq >= ?", append(args, m.ConversationSeq)
	case ReceiptDelivered:
		query, args = query+" AND p.delivered_seq >= ?", append(args, m.ConversationSeq)
	case ReceiptPending:
		query, args = query+" AND p.delivered_seq < ?", append(args, m.ConversationSeq)
	}
	rows, err := s.read(ctx).Raw(query+" ORDER BY p.user_id LIMIT ?", append(args, limit)...).Rows()
	if err != nil {
		return nil, fmt.Errorf("read receipts: %w", err)
	}
	return scanAll(rows, func(r *sql.Rows) (m *Member, err error) {
		m = new(Member)
		err = r.Scan(m.targets()...)
		return m, err
	})
}

// GroupsAbove answers which of the conversations are groups of more than limit members.
func (s *Store) GroupsAbove(ctx context.Context, ids []ConversationID, limit int) (above map[ConversationID]bool, err error) {
	above = map[ConversationID]bool{}
	err = chunks(ids, s.rows(rowsPerStatement), func(part []ConversationID) error {
		rows, err := s.read(ctx).Raw("SELECT id FROM conversations WHERE id IN ? AND kind = ? AND member_count > ?", part, Group, limit).Rows()
		if err != nil {
			return fmt.Errorf("read sizes of groups: %w", err)
		}
		_, err = scanAll(rows, func(r *sql.Rows) (struct{}, error) {
			var id ConversationID
			err := r.Scan(&id)
			above[id] = true
			return struct{}{}, err
		})
		return err
	})
	return above, err
}
