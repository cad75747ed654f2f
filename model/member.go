package model

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
)

// Member is one person's part in a conversation. LeftSeq is 0 while they belong.
type Member struct {
	ConversationID ConversationID
	UserID         UserID
	Role           string
	JoinedSeq      int64 // head when they joined: they are the audience of what is after it
	LeftSeq        int64 // head when they left: they see nothing after it
	DeliveredSeq   int64 // highest conversation_seq that one of their devices has acked
	ReadSeq        int64 // highest that they have read
	Muted, Pinned  bool
	JoinedAt       Millis
}

const memberColumns = "p.conversation_id, p.user_id, p.role, p.joined_seq, p.left_seq, p.delivered_seq, p.read_seq, p.muted <> 0, p.pinned <> 0, p.joined_at"

func (m *Member) targets() []any {
	return []any{&m.ConversationID, &m.UserID, &m.Role, &m.JoinedSeq, &m.LeftSeq, &m.DeliveredSeq, &m.ReadSeq, &m.Muted, &m.Pinned, &m.JoinedAt}
}

// SeesAfter is the conversation_seq after which the member sees the messages: where they
// joined, or 0 when the group's past is open to all its members.
func (m *Member) SeesAfter(c *Conversation) int64 {
	if c.History == HistoryAll {
		return 0
	}
	return m.JoinedSeq
}

// MemberOf is a user's active membership, or CodeNotFound.
func (s *Store) MemberOf(ctx context.Context, id ConversationID, user UserID) (*Member, error) {
	if id == Everyone {
		return s.readerOf(ctx, user)
	}
	m := new(Member)
	err := s.read(ctx).Raw("SELECT "+memberColumns+" FROM members p WHERE p.conversation_id = ? AND p.user_id = ? AND p.left_seq = 0", id, user).Row().Scan(m.targets()...)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, NotFound("conversation")
	}
	if err != nil {
		return nil, fmt.Errorf("read member: %w", err)
	}
	return m, nil
}

// Members lists active members by user id, after one, at most limit.
func (s *Store) Members(ctx context.Context, id ConversationID, after UserID, limit int) ([]*Member, error) {
	rows, err := s.read(ctx).Raw("SELECT "+memberColumns+" FROM members p WHERE p.conversation_id = ? AND p.user_id > ? AND p.left_seq = 0 ORDER BY p.user_id LIMIT ?", id, after, limit).Rows()
	if err != nil {
		return nil, fmt.Errorf("read members: %w", err)
	}
	return scanAll(rows, func(r *sql.Rows) (m *Member, err error) {
		m = new(Member)
		err = r.Scan(m.targets()...)
		return m, err
	})
}

// Preferences are what a member sets for themselves; nil leaves one as it is.
type Preferences struct {
	Muted, Pinned *bool // no notifications; first in the list
	Hidden        *bool // out of the list until the next message
}

// SetPreferences writes them; CodeNotFound when the user is no member.
func (s *Store) SetPreferences(ctx context.Context, id ConversationID, user UserID, p Preferences) error {
	if id == Everyone {
		return s.preferReader(ctx, user, p)
	}
	return s.Tx(ctx, func(tx *Store) error {
		if _, err := tx.MemberOf(ctx, id, user); err != nil {
			return err
		}
		c, err := tx.ConversationByID(ctx, id)
		if err != nil {
			return err
		}
		if c.DissolvedAt != 0 {
			return NotFound("conversation")
		}
		for column, value := range map[string]*bool{"muted": p.Muted, "pinned": p.Pinned} {
			if value == nil {
				continue
			}
			if err := tx.write(ctx).Table("members").Where("conversation_id = ? AND user_id = ?", id, user).Update(column, *value).Error; err != nil {
				return fmt.Errorf("write preference: %w", err)
			}
		}
		if p.Hidden == nil {
			return nil
		}
		hidden := "0"
		if *p.Hidden {
			hidden = "(SELECT c.head FROM conversations c WHERE c.id = members.conversation_id)"
		}
		if err := tx.write(ctx).Exec("UPDATE members SET hidden_seq = "+hidden+" WHERE conversation_id = ? AND user_id = ?", id, user).Error; err != nil {
			return fmt.Errorf("hide conversation: %w", err)
		}
		return nil
	})
}

// MemberKey names a membership.
type MemberKey struct {
	ConversationID ConversationID
	UserID         UserID
}

// Between asks about the messages of a conversation between two conversation_seqs, both
// excluded, as one member sees them.
type Between struct {
	MemberKey
	After, Before int64
}

// HasOthersBetween answers for which of the questions there are messages of anybody but
// the member.
func (s *Store) HasOthersBetween(ctx context.Context, list []Between) (found map[MemberKey]bool, err error) {
	found = map[MemberKey]bool{}
	err = chunks(list, 100, func(part []Between) error {
		query := ""
		args := make([]any, 0, 6*len(part))
		for i, b := range part {
			if i > 0 {
				query += " UNION ALL "
			}
			query += "SELECT ?, ?, EXISTS (SELECT 1 FROM messages WHERE conversation_id = ? AND conversation_seq > ? AND conversation_seq < ? AND sender_id <> ?)"
			args = append(args, b.ConversationID, b.UserID, b.ConversationID, b.After, b.Before, b.UserID)
		}
		rows, err := s.read(ctx).Raw(query, args...).Rows()
		if err != nil {
			return fmt.Errorf("look for messages between positions: %w", err)
		}
		_, err = scanAll(rows, func(r *sql.Rows) (struct{}, error) {
			var key MemberKey
			var exists bool
			err := r.Scan(&key.ConversationID, &key.UserID, &exists)
			found[key] = exists
			return struct{}{}, err
		})
		return err
	})
	return found, err
}

// MemberHeads reads the heads of conversations for the memberships that are active;
// the others are left out.
func (s *Store) MemberHeads(ctx context.Context, keys []MemberKey) (heads map[MemberKey]int64, err error) {
	heads = make(map[MemberKey]int64, len(keys))
	return heads, s.run(ctx, s.readMemberHeads(keys, heads)...)
}

func (s *Store) readMemberHeads(keys []MemberKey, heads map[MemberKey]int64) (steps []*step) {
	var everybody, members []MemberKey
	for _, k := range keys {
		if k.ConversationID == Everyone {
			everybody = append(everybody, k)
		} else {
			members = append(members, k)
		}
	}
	if len(everybody) > 0 {
		steps = append(steps, readReaderHead(everybody, heads))
	}
	for part := range slices.Chunk(members, s.rows(rowsPerStatement)) {
		q := newStep("read heads of memberships", "SELECT p.conversation_id, p.user_id, c.head FROM members p JOIN conversations c ON c.id = p.conversation_id WHERE p.left_seq = 0 AND c.dissolved_at = 0 AND (p.conversation_id, p.user_id) IN ("+s.tuplesOf(), 48*len(part))
		for _, k := range part {
			q.row(int64(k.ConversationID), int64(k.UserID))
		}
		q.add(")").scan = func(r *sql.Rows) error {
			var k MemberKey
			var head int64
			err := r.Scan(&k.ConversationID, &k.UserID, &head)
			heads[k] = head
			return err
		}
		steps = append(steps, q)
	}
	return steps
}

// MemberSeq is a position of a membership.
type MemberSeq struct {
	MemberKey
	Seq int64
}

// RaiseDelivered moves delivered_seq forward, at most 500 sorted memberships in one
// statement. It never makes a membership.
func (s *Store) RaiseDelivered(ctx context.Context, list []MemberSeq) error {
	if len(list) == 0 {
		return nil
	}
	if len(list) <= 4 { // each is an UPDATE of one row, which takes half as long as a join
		greatest := "GREATEST"
		if s.dialect == SQLite {
			greatest = "MAX"
		}
		steps := make([]*step, len(list))
		for i, m := range list {
			q := newStep("raise delivered position", "UPDATE members SET delivered_seq = "+greatest+"(delivered_seq, ", 96).number(m.Seq)
			steps[i] = q.add(") WHERE conversation_id = ").number(int64(m.ConversationID)).add(" AND user_id = ").number(int64(m.UserID))
		}
		return s.run(ctx, steps...)
	}
	text := "UPDATE members p JOIN ("
	if s.dialect == SQLite {
		text = "UPDATE members SET delivered_seq = v.d FROM ("
	}
	q := newStep("raise delivered positions", text, 128+64*len(list))
	for i, m := range list {
		if i == 0 {
			q.add("SELECT ").number(int64(m.ConversationID)).add(" AS c, ").number(int64(m.UserID)).add(" AS u, ").number(m.Seq).add(" AS d")
			continue
		}
		numbers(q.add(" UNION ALL SELECT "), []int64{int64(m.ConversationID), int64(m.UserID), m.Seq})
	}
	if s.dialect == SQLite {
		q.add(") v WHERE members.conversation_id = v.c AND members.user_id = v.u AND members.delivered_seq < v.d")
	} else {
		q.add(") v ON p.conversation_id = v.c AND p.user_id = v.u SET p.delivered_seq = GREATEST(p.delivered_seq, v.d)")
	}
	return s.run(ctx, q)
}

// RaiseRead moves a member's read_seq forward, never beyond the head, and answers
// where it was and where it is. Having read is having received: delivered_seq
// follows.
func (s *Store) RaiseRead(ctx context.Context, id ConversationID, user UserID, upTo int64) (before, readSeq int64, err error) {
	if id == Everyone {
		return s.raiseReader(ctx, user, upTo)
	}
	err = s.Tx(ctx, func(tx *Store) error {
		var head int64
		err := tx.read(ctx).Raw("SELECT p.read_seq, c.head FROM members p JOIN conversations c ON c.id = p.conversation_id WHERE p.conversation_id = ? AND p.user_id = ? AND p.left_seq = 0 AND c.dissolved_at = 0", id, user).Row().Scan(&before, &head)
		if errors.Is(err, sql.ErrNoRows) {
			return NotFound("conversation")
		}
		if err != nil {
			return fmt.Errorf("read member: %w", err)
		}
		readSeq = max(before, min(upTo, head))
		if readSeq == before {
			return nil
		}
		greatest := "GREATEST"
		if tx.dialect == SQLite {
			greatest = "MAX"
		}
		if err := tx.write(ctx).Exec("UPDATE members SET read_seq = "+greatest+"(read_seq, ?), delivered_seq = "+greatest+"(delivered_seq, ?) WHERE conversation_id = ? AND user_id = ?", readSeq, readSeq, id, user).Error; err != nil {
			return fmt.Errorf("raise read position: %w", err)
		}
		return nil
	})
	return before, readSeq, err
}

// View is a conversation as one member sees it in a list.
type View struct {
	Conversation
	Member
	Last     *Message // nil before the first message
	Unread   int64    // messages after ReadSeq that are not their own
	Receipts bool     // the members see each other's positions; the service says

	UnreadMentions int64 // those of them that mention the member
}

// ListCursor is the place after which a list of conversations goes on: newest
// activity first, ties by id.
type ListCursor struct {
	UpdatedAt Millis
	ID        ConversationID
}

// Views lists a user's conversations that have messages or are groups, newest
// activity first, after a cursor (zero: from the top). only limits it to one.
func (s *Store) Views(ctx context.Context, user UserID, cursor ListCursor, only []ConversationID, limit int) ([]*View, error) {
	var list []*View
	if len(only) != 1 || only[0] != Everyone {
		var err error
		if list, err = s.memberViews(ctx, user, cursor, only, limit); err != nil {
			return nil, err
		}
	}
	if only == nil || slices.Contains(only, Everyone) {
		everyone, err := s.readerView(ctx, user, only == nil, cursor)
		if err != nil {
			return nil, err
		}
		if everyone != nil {
			at := slices.IndexFunc(list, func(v *View) bool { return ListCursor{everyone.UpdatedAt, Everyone}.before(&v.Conversation) })
			if at < 0 {
				at = len(list)
			}
			list = slices.Insert(list, at, everyone)
			list = list[:min(len(list), limit)]
		}
	}
	for _, v := range list {
		if err := s.fillView(ctx, v); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// memberViews are those of the conversations that the user is a member of by name, still without what
// fillView adds.
func (s *Store) memberViews(ctx context.Context, user UserID, cursor ListCursor, only []ConversationID, limit int) ([]*View, error) {
	query := "SELECT " + conversationColumns + ", " + memberColumns + `
		FROM members p JOIN conversations c ON c.id = p.conversation_id
		WHERE p.user_id = ? AND p.left_seq = 0 AND c.dissolved_at = 0`
	args := []any{user}
	if only != nil {
		query += " AND c.id IN ?"
		args = append(args, only)
	} else {
		query += " AND (c.head > 0 OR c.kind <> 'direct') AND (p.hidden_seq = 0 OR c.head > p.hidden_seq)"
	}
	if cursor.ID != 0 {
		query += " AND (c.updated_at < ? OR (c.updated_at = ? AND c.id < ?))"
		args = append(args, cursor.UpdatedAt, cursor.UpdatedAt, cursor.ID)
	}
	rows, err := s.read(ctx).Raw(query+" ORDER BY c.updated_at DESC, c.id DESC LIMIT ?", append(args, limit)...).Rows()
	if err != nil {
		return nil, fmt.Errorf("list conversations: %w", err)
	}
	return scanAll(rows, func(r *sql.Rows) (v *View, err error) {
		v = new(View)
		err = r.Scan(append(v.Conversation.targets(), v.Member.targets()...)...)
		return v, err
	})
}

// fillView adds the last message and the unread count. Unread is counted from
// positions, so it cannot drift.
func (s *Store) fillView(ctx context.Context, v *View) error {
	last, err := s.HistoryFor(ctx, v.UserID, v.Conversation.ID, v.SeesAfter(&v.Conversation), 0, v.Head, false, 1)
	if err != nil {
		return err
	}
	if len(last) > 0 {
		v.Last = last[0]
	}
	from := max(v.ReadSeq, v.JoinedSeq)
	if v.Unread, err = s.countUnread(ctx, v.Conversation.ID, v.UserID, from, v.Head); err != nil {
		return err
	}
	if v.Kind == Group && v.Unread > 0 {
		v.UnreadMentions, err = s.unreadMentions(ctx, v.Conversation.ID, v.UserID, from, v.Head)
	}
	return err
}
