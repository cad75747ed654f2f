package model

import (
	"context"
	"database/sql"
	"fmt"
)

// ShareGroup says whether two users are members of one group that is not dissolved.
func (s *Store) ShareGroup(ctx context.Context, a, b UserID) (shared bool, err error) {
	err = s.read(ctx).Raw(`SELECT EXISTS (SELECT 1 FROM members p JOIN members o ON o.conversation_id = p.conversation_id JOIN conversations c ON c.id = p.conversation_id
		WHERE p.user_id = ? AND o.user_id = ? AND p.left_seq = 0 AND o.left_seq = 0 AND c.kind = 'group' AND c.dissolved_at = 0)`, a, b).Row().Scan(&shared)
	if err != nil {
		return false, fmt.Errorf("look for a common group: %w", err)
	}
	return shared, nil
}

// Unwilling picks out of users those whom by may not bring into a group: they take messages from contacts
// only, and block by, or by is none (no common group, and nothing said in their direct conversation).
func (s *Store) Unwilling(ctx context.Context, by UserID, users []UserID) (list []UserID, err error) {
	err = chunks(users, s.rows(rowsPerStatement), func(part []UserID) error {
		var found []UserID
		err := s.read(ctx).Raw(`SELECT u.id FROM users u WHERE u.id IN ? AND u.direct_messages = 'contacts' AND (EXISTS (SELECT 1 FROM blocks b WHERE b.user_id = u.id AND b.blocked_id = ?)
			OR (NOT EXISTS (SELECT 1 FROM members p JOIN members o ON o.conversation_id = p.conversation_id JOIN conversations c ON c.id = p.conversation_id
					WHERE p.user_id = ? AND o.user_id = u.id AND p.left_seq = 0 AND o.left_seq = 0 AND c.dissolved_at = 0 AND (c.kind = 'group' OR c.head > 0)))) ORDER BY u.id`, part, by, by).Scan(&found).Error
		list = append(list, found...)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("look for who is not to be brought into a group: %w", err)
	}
	return list, nil
}

// presenceShared is what makes two users (p and o) see each other's presence: a conversation
// c that both belong to, that is not dissolved, and in which, when it is direct, something has
// been said. Who blocks somebody shows them nothing.
const presenceShared = ` FROM members p JOIN conversations c ON c.id = p.conversation_id JOIN members o ON o.conversation_id = p.conversation_id
	WHERE p.user_id = ? AND p.left_seq = 0 AND o.left_seq = 0 AND c.dissolved_at = 0 AND (c.kind = 'group' OR c.head > 0)`

// SeenBy picks out of at most 100 users those whose presence a user may see.
func (s *Store) SeenBy(ctx context.Context, user UserID, others []UserID) (list []UserID, err error) {
	err = s.read(ctx).Raw("SELECT DISTINCT o.user_id"+presenceShared+" AND o.user_id IN ? AND NOT EXISTS (SELECT 1 FROM blocks b WHERE b.user_id = o.user_id AND b.blocked_id = p.user_id)", user, others).Scan(&list).Error
	if err != nil {
		return nil, fmt.Errorf("look for common conversations: %w", err)
	}
	return list, nil
}

// PresenceAudience are at most limit users who are told when a user comes and goes: those in a
// direct conversation or a mailbox group with them; never those who share only a log group.
func (s *Store) PresenceAudience(ctx context.Context, user UserID, limit int) (list []UserID, err error) {
	err = s.read(ctx).Raw("SELECT DISTINCT o.user_id"+presenceShared+" AND c.delivery = 'mailbox' AND o.user_id <> p.user_id AND NOT EXISTS (SELECT 1 FROM blocks b WHERE b.user_id = p.user_id AND b.blocked_id = o.user_id) LIMIT ?", user, limit).Scan(&list).Error
	if err != nil {
		return nil, fmt.Errorf("read who is told of a presence: %w", err)
	}
	return list, nil
}

// LastSeen reads when any device of at most 500 users was last seen; who has none is missing.
func (s *Store) LastSeen(ctx context.Context, users []UserID) (map[UserID]Millis, error) {
	rows, err := s.read(ctx).Raw("SELECT user_id, MAX(last_seen_at) FROM devices WHERE user_id IN ? GROUP BY user_id", users).Rows()
	if err != nil {
		return nil, fmt.Errorf("read when users were last seen: %w", err)
	}
	seen := make(map[UserID]Millis, len(users))
	_, err = scanAll(rows, func(r *sql.Rows) (struct{}, error) {
		var user UserID
		var at Millis
		err := r.Scan(&user, &at)
		seen[user] = at
		return struct{}{}, err
	})
	return seen, err
}
