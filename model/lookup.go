package model

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
)

// What operators look at: any conversation and any message, whoever they belong to.

// ConversationSort is by what a list of all conversations is sorted.
type ConversationSort string

// The sorts of conversations, each ascending or descending. Only the first has an index (the order of ids is
// that of creation): the others read the whole table once a page.
const (
	ByCreation ConversationSort = "created_at"
	ByHead     ConversationSort = "head"
	ByMembers  ConversationSort = "members"
)

// ConversationFilter picks conversations; what is zero picks all.
type ConversationFilter struct {
	Text     string // in the name, in any case; or a whole id
	Kind     Kind
	Delivery Delivery
	Member   UserID // who belongs now; announcements are found without it
}

// ConversationPlace is where a list of all conversations goes on: behind this one.
type ConversationPlace struct {
	Value int64 // of what it is sorted by; the id for ByCreation
	ID    ConversationID
}

// PlaceOf is where a list that is sorted so goes on behind a conversation.
func (by ConversationSort) PlaceOf(c *Conversation) ConversationPlace {
	switch by {
	case ByHead:
		return ConversationPlace{c.Head, c.ID}
	case ByMembers:
		return ConversationPlace{c.MemberCount, c.ID}
	default:
		return ConversationPlace{int64(c.ID), c.ID}
	}
}

var conversationSorts = map[ConversationSort]string{ByCreation: "c.id", ByHead: "c.head", ByMembers: "c.member_count"}

// Conversations lists any conversations, after a place (nil: from the beginning), at most limit.
func (s *Store) Conversations(ctx context.Context, f ConversationFilter, by ConversationSort, descending bool, after *ConversationPlace, limit int) ([]*Conversation, error) {
	column, known := conversationSorts[by]
	if !known {
		return nil, Invalid("query.sort", "want created_at, head or members, with - before it for descending", by)
	}
	query, args := "SELECT "+conversationColumns+" FROM conversations c", []any{}
	where := []string{}
	add := func(condition string, values ...any) {
		where, args = append(where, condition), append(args, values...)
	}
	if f.Member != 0 {
		query += " JOIN members p ON p.conversation_id = c.id"
		add("p.user_id = ? AND p.left_seq = 0", f.Member)
	}
	if f.Text != "" {
		id, err := ParseID[ConversationID](f.Text)
		if err != nil {
			id = 0
		}
		add("(c.id = ? OR LOWER(c.name) LIKE LOWER(?) ESCAPE '!')", id, "%"+likeText(f.Text)+"%")
	}
	if f.Kind != "" {
		add("c.kind = ?", f.Kind)
	}
	if f.Delivery != "" {
		add("c.delivery = ?", f.Delivery)
	}
	order, beyond := "", ">"
	if descending {
		order, beyond = " DESC", "<"
	}
	if after != nil {
		add("("+column+" "+beyond+" ? OR ("+column+" = ? AND c.id "+beyond+" ?))", after.Value, after.Value, after.ID)
	}
	if len(where) > 0 {
		query += " WHERE " + strings.Join(where, " AND ")
	}
	query += " ORDER BY " + column + order
	if by != ByCreation {
		query += ", c.id" + order
	}
	rows, err := s.read(ctx).Raw(query+" LIMIT ?", append(args, limit)...).Rows()
	if err != nil {
		return nil, fmt.Errorf("list all conversations: %w", err)
	}
	return scanAll(rows, func(r *sql.Rows) (c *Conversation, err error) {
		c = new(Conversation)
		err = r.Scan(c.targets()...)
		return c, err
	})
}

// likeText is a text in which LIKE finds no wildcards, with ! as the escape.
func likeText(s string) string {
	return strings.NewReplacer("!", "!!", "%", "!%", "_", "!_").Replace(s)
}

// NamedMember is a member with their names.
type NamedMember struct {
	Member
	Username    string
	DisplayName string
	MutedUntil  Millis
}

// NamedMembers is Members with names.
func (s *Store) NamedMembers(ctx context.Context, id ConversationID, after UserID, limit int) ([]*NamedMember, error) {
	rows, err := s.read(ctx).Raw("SELECT "+memberColumns+", COALESCE(u.username, ''), COALESCE(u.display_name, ''), p.muted_until FROM members p LEFT JOIN users u ON u.id = p.user_id WHERE p.conversation_id = ? AND p.user_id > ? AND p.left_seq = 0 ORDER BY p.user_id LIMIT ?", id, after, limit).Rows()
	if err != nil {
		return nil, fmt.Errorf("read members with names: %w", err)
	}
	return scanAll(rows, func(r *sql.Rows) (m *NamedMember, err error) {
		m = new(NamedMember)
		err = r.Scan(append(m.targets(), &m.Username, &m.DisplayName, &m.MutedUntil)...)
		return m, err
	})
}

// UsersByID reads at most 500 accounts; those that do not exist are left out.
func (s *Store) UsersByID(ctx context.Context, ids []UserID) (list []*User, err error) {
	if err := s.read(ctx).Where("id IN ?", ids).Order("id").Find(&list).Error; err != nil {
		return nil, fmt.Errorf("read users: %w", err)
	}
	return list, nil
}

// SeqAt is the conversation_seq of a conversation's first message from a moment on, or head+1 when all are older. It
// halves the way 63 times at most and reads no more than that, so a conversation of millions costs no more than
// a small one; it takes messages for ordered by time, and the clocks of nodes may differ by some milliseconds.
func (s *Store) SeqAt(ctx context.Context, c *Conversation, at Millis) (int64, error) {
	low, high := int64(1), c.Head+1
	for low < high {
		middle := low + (high-low)/2
		list, err := s.History(ctx, c.ID, middle-1, middle+1, c.Head, true, 1)
		if err != nil {
			return 0, err
		}
		if len(list) > 0 && list[0].CreatedAt >= at {
			high = middle
		} else {
			low = middle + 1
		}
	}
	return low, nil
}
