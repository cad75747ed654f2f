package model

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
)

// MaxMentions bounds the users that one message mentions by name.
const MaxMentions = 50

// Everybody stands in Mentions, alone, for all members; no user has this id.
const Everybody UserID = 0

// Mentions are the members whom a message calls by name, in the order given: 1 to
// MaxMentions distinct users, or Everybody alone. nil is nobody. In JSON they are a list of ids, or
// "all"; the database keeps that text, and "" for nobody.
type Mentions []UserID

// Everybody says whether all members are mentioned.
func (m Mentions) Everybody() bool { return len(m) == 1 && m[0] == Everybody }

// AppendJSON appends them as the contract shows them.
func (m Mentions) AppendJSON(b []byte) []byte {
	if m.Everybody() {
		return append(b, `"all"`...)
	}
	b = append(b, '[')
	for i, user := range m {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '"')
		b = strconv.AppendInt(b, int64(user), 10)
		b = append(b, '"')
	}
	return append(b, ']')
}

// MarshalJSON is AppendJSON.
func (m Mentions) MarshalJSON() ([]byte, error) { return m.AppendJSON(nil), nil }

// UnmarshalJSON reads "all", a list of ids, or null.
func (m *Mentions) UnmarshalJSON(text []byte) error {
	if string(text) == `"all"` {
		*m = Mentions{Everybody}
		return nil
	}
	var users []UserID
	if err := json.Unmarshal(text, &users); err != nil {
		return fmt.Errorf(`want "all" or a list of user ids: %w`, err)
	}
	*m = users
	return nil
}

// column is what the database keeps.
func (m Mentions) column() string {
	if len(m) == 0 {
		return ""
	}
	return string(m.AppendJSON(nil))
}

// Scan reads what the database keeps.
func (m *Mentions) Scan(column any) error {
	*m = nil
	switch text := column.(type) {
	case string:
		if text != "" {
			return m.UnmarshalJSON([]byte(text))
		}
	case []byte:
		if len(text) > 0 {
			return m.UnmarshalJSON(text)
		}
	default:
		return fmt.Errorf("mentions are kept as text, not as %T", column)
	}
	return nil
}

// insertMentions notes whom messages mention, so that it can be counted. Without mentions it
// is nothing.
func (s *Store) insertMentions(list []*Message) (steps []*step) {
	var q *step
	rows := 0
	for _, m := range list {
		for _, user := range m.Mentions {
			if rows%s.rows(10*rowsPerStatement) == 0 {
				q = newStep("insert mentions", "INSERT INTO mentions (conversation_id, user_id, conversation_seq, sender_id) VALUES ", 64)
				steps = append(steps, q)
			}
			q.row(int64(m.ConversationID), int64(user), m.ConversationSeq, int64(m.SenderID))
			rows++
		}
	}
	return steps
}

// deleteMentions forgets whom a message mentions.
func (s *Store) deleteMentions(ctx context.Context, m *Message) error {
	if len(m.Mentions) == 0 {
		return nil
	}
	if err := s.write(ctx).Exec("DELETE FROM mentions WHERE conversation_id = ? AND user_id IN ? AND conversation_seq = ?", m.ConversationID, []UserID(m.Mentions), m.ConversationSeq).Error; err != nil {
		return fmt.Errorf("delete mentions: %w", err)
	}
	return nil
}

// unreadMentions counts the messages of others in (after, upTo] of a conversation that
// mention a user, by name or as everybody.
func (s *Store) unreadMentions(ctx context.Context, id ConversationID, user UserID, after, upTo int64) (n int64, err error) {
	err = s.read(ctx).Raw("SELECT COUNT(*) FROM mentions m"+s.withDeleted()+" WHERE m.conversation_id = ? AND m.user_id IN (?, ?) AND m.conversation_seq > ? AND m.conversation_seq <= ? AND m.sender_id <> ? AND d.user_id IS NULL",
		user, id, Everybody, user, after, upTo, user).Row().Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("count unread mentions: %w", err)
	}
	return n, nil
}
