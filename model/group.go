package model

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
)

// Roles in a group.
const (
	RoleOwner       = "owner"
	RoleGroupAdmin  = "admin"
	RoleGroupMember = "member"
)

// InsertGroup makes a group without members; it takes its first conversation_seqs in
// the same transaction.
func (s *Store) InsertGroup(ctx context.Context, c *Conversation) error {
	err := s.write(ctx).Exec("INSERT INTO conversations (id, kind, name, avatar_url, owner_id, delivery, members_version, member_count, created_at, updated_at) VALUES (?,?,?,?,?,?,?,?,?,?)",
		c.ID, Group, c.Name, c.AvatarURL, c.OwnerID, c.Delivery, 1, 0, c.CreatedAt, c.CreatedAt).Error
	if err != nil {
		return fmt.Errorf("insert group: %w", err)
	}
	return nil
}

// UpdateGroup writes a group's own fields. The caller holds its lock.
func (s *Store) UpdateGroup(ctx context.Context, c *Conversation) error {
	err := s.write(ctx).Exec("UPDATE conversations SET name = ?, avatar_url = ?, announcement = ?, mute_all = ?, history = ?, owner_id = ?, delivery = ?, members_version = ?, member_count = ?, dissolved_at = ? WHERE id = ?",
		c.Name, c.AvatarURL, c.Announcement, c.MuteAll, c.History, c.OwnerID, c.Delivery, c.MembersVersion, c.MemberCount, c.DissolvedAt, c.ID).Error
	if err != nil {
		return fmt.Errorf("update group: %w", err)
	}
	return nil
}

// ActiveMembers answers which of the users belong to a conversation, with their roles.
func (s *Store) ActiveMembers(ctx context.Context, id ConversationID, users []UserID) (roles map[UserID]string, err error) {
	roles = make(map[UserID]string, len(users))
	err = chunks(users, s.rows(rowsPerStatement), func(part []UserID) error {
		rows, err := s.read(ctx).Raw("SELECT user_id, role FROM members WHERE conversation_id = ? AND left_seq = 0 AND user_id IN ?", id, part).Rows()
		if err != nil {
			return fmt.Errorf("read members: %w", err)
		}
		_, err = scanAll(rows, func(r *sql.Rows) (struct{}, error) {
			var user UserID
			var role string
			err := r.Scan(&user, &role)
			roles[user] = role
			return struct{}{}, err
		})
		return err
	})
	return roles, err
}

// KnownUsers answers which of the users exist.
func (s *Store) KnownUsers(ctx context.Context, users []UserID) (known []UserID, err error) {
	err = chunks(users, s.rows(rowsPerStatement), func(part []UserID) error {
		rows, err := s.read(ctx).Raw("SELECT id FROM users WHERE id IN ?", part).Rows()
		if err != nil {
			return fmt.Errorf("read users: %w", err)
		}
		found, err := scanAll(rows, func(r *sql.Rows) (id UserID, err error) {
			err = r.Scan(&id)
			return id, err
		})
		known = append(known, found...)
		return err
	})
	return known, err
}

// PutMembers makes users members from joinedSeq on; who had left comes back as new. The caller
// holds the conversation's lock and keeps member_count.
func (s *Store) PutMembers(ctx context.Context, id ConversationID, users []UserID, role string, joinedSeq int64, now Millis) error {
	onDuplicate := " ON DUPLICATE KEY UPDATE role = VALUES(role), joined_seq = VALUES(joined_seq), left_seq = 0, muted_until = 0, delivered_seq = VALUES(delivered_seq), read_seq = VALUES(read_seq), joined_at = VALUES(joined_at)"
	if s.dialect == SQLite {
		onDuplicate = " ON CONFLICT (conversation_id, user_id) DO UPDATE SET role = excluded.role, joined_seq = excluded.joined_seq, left_seq = 0, muted_until = 0, delivered_seq = excluded.delivered_seq, read_seq = excluded.read_seq, joined_at = excluded.joined_at"
	}
	users = slices.Clone(users)
	slices.Sort(users)
	return chunks(users, s.rows(rowsPerStatement), func(part []UserID) error {
		args := make([]any, 0, 7*len(part))
		for _, user := range part {
			args = append(args, id, user, role, joinedSeq, joinedSeq, joinedSeq, now)
		}
		if err := s.write(ctx).Exec("INSERT INTO members (conversation_id, user_id, role, joined_seq, delivered_seq, read_seq, joined_at) VALUES "+values(len(part), 7)+onDuplicate, args...).Error; err != nil {
			return fmt.Errorf("write members: %w", err)
		}
		return nil
	})
}

// EndMember takes a member out: what is after leftSeq is not theirs.
func (s *Store) EndMember(ctx context.Context, id ConversationID, user UserID, leftSeq int64) error {
	if err := s.write(ctx).Exec("UPDATE members SET left_seq = ?, role = '' WHERE conversation_id = ? AND user_id = ?", leftSeq, id, user).Error; err != nil {
		return fmt.Errorf("end membership: %w", err)
	}
	return nil
}

// SetMemberRole writes a role. An owner is not muted: nobody could let them write again.
func (s *Store) SetMemberRole(ctx context.Context, id ConversationID, user UserID, role string) error {
	if err := s.write(ctx).Exec("UPDATE members SET role = ?, muted_until = CASE WHEN ? = 'owner' THEN 0 ELSE muted_until END WHERE conversation_id = ? AND user_id = ? AND left_seq = 0", role, role, id, user).Error; err != nil {
		return fmt.Errorf("write role: %w", err)
	}
	return nil
}

// MuteMember says until when a member may not write; 0 ends it.
func (s *Store) MuteMember(ctx context.Context, id ConversationID, user UserID, until Millis) error {
	if err := s.write(ctx).Exec("UPDATE members SET muted_until = ? WHERE conversation_id = ? AND user_id = ? AND left_seq = 0", until, id, user).Error; err != nil {
		return fmt.Errorf("mute member: %w", err)
	}
	return nil
}

// Successor is who inherits a group: the admin that joined first, else the member;
// 0 when nobody but the owner is left.
func (s *Store) Successor(ctx context.Context, id ConversationID, owner UserID) (user UserID, err error) {
	rows, err := s.read(ctx).Raw("SELECT user_id FROM members WHERE conversation_id = ? AND left_seq = 0 AND user_id <> ? ORDER BY CASE role WHEN 'admin' THEN 0 ELSE 1 END, joined_at, user_id LIMIT 1", id, owner).Rows()
	if err != nil {
		return 0, fmt.Errorf("find successor: %w", err)
	}
	list, err := scanAll(rows, func(r *sql.Rows) (id UserID, err error) {
		err = r.Scan(&id)
		return id, err
	})
	if err != nil || len(list) == 0 {
		return 0, err
	}
	return list[0], nil
}

// Recall empties a message, which the caller has just read, for good, here and in the database; its
// place in the order stays. Whom it mentioned, it does no more.
func (s *Store) Recall(ctx context.Context, m *Message, now Millis) error {
	if err := s.deleteMentions(ctx, m); err != nil {
		return err
	}
	if err := s.deleteFileRef(ctx, m, now); err != nil {
		return err
	}
	if err := s.write(ctx).Exec("UPDATE messages SET body = '{}', ext = '{}', mentions = '', recalled_at = ? WHERE id = ?", now, m.ID).Error; err != nil {
		return fmt.Errorf("recall message: %w", err)
	}
	m.RecalledAt, m.Body, m.Ext, m.Mentions, m.Quote = now, "{}", "{}", nil, nil
	return nil
}
