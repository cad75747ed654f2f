package model

import (
	"context"
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
