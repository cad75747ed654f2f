package model

import (
	"context"
	"fmt"
)

// UserSort is what a list of accounts is ordered by.
type UserSort string

// The orders of accounts; each has an index.
const (
	UsersByUsername UserSort = "username"
	UsersByCreation UserSort = "created_at"
	UsersByID       UserSort = "id"
)

// UserFilter picks accounts; zero values pick all.
type UserFilter struct {
	ID     UserID
	Prefix string // of the username
	Role   Role
	Banned *bool
}

// UserPlace is where a page of accounts ended: the value of what they are ordered by, and the id.
type UserPlace struct {
	Value any // string for UsersByUsername, otherwise int64
	ID    UserID
}

// UserPage lists up to limit accounts that come after a place (nil: from the start).
func (s *Store) UserPage(ctx context.Context, f UserFilter, by UserSort, descending bool, after *UserPlace, limit int) ([]User, error) {
	column, beyond, direction := string(UsersByID), ">", ""
	if by == UsersByUsername || by == UsersByCreation {
		column = string(by)
	}
	if descending {
		beyond, direction = "<", " DESC"
	}
	query := s.read(ctx).Order(column + direction + ", id" + direction).Limit(limit)
	if f.ID != 0 {
		query = query.Where("id = ?", f.ID)
	}
	if f.Prefix != "" { // see UsersByPrefix
		query = query.Where("username >= ? AND username < ?", f.Prefix, f.Prefix+"~")
	}
	if f.Role != "" {
		query = query.Where("role = ?", f.Role)
	}
	switch {
	case f.Banned != nil && *f.Banned:
		query = query.Where("banned_at > 0")
	case f.Banned != nil:
		query = query.Where("banned_at = 0")
	}
	if after != nil {
		query = query.Where(column+" "+beyond+"= ? AND ("+column+" "+beyond+" ? OR id "+beyond+" ?)", after.Value, after.Value, after.ID)
	}
	var users []User
	if err := query.Find(&users).Error; err != nil {
		return nil, fmt.Errorf("list users: %w", err)
	}
	return users, nil
}

// LockAdmins lists the admins that are not banned and holds their rows until the transaction ends: who takes an admin's
// power away knows who is left.
func (s *Store) LockAdmins(ctx context.Context) ([]UserID, error) {
	var users []User
	if err := s.locking(s.read(ctx)).Where("role = ?", RoleAdmin).Order("id").Find(&users).Error; err != nil {
		return nil, fmt.Errorf("lock admins: %w", err)
	}
	var ids []UserID
	for i := range users {
		if !users[i].Banned() {
			ids = append(ids, users[i].ID)
		}
	}
	return ids, nil
}

// SetUserRole changes what an account may do.
func (s *Store) SetUserRole(ctx context.Context, id UserID, role Role) error {
	if err := s.write(ctx).Model(&User{}).Where("id = ?", id).Update("role", role).Error; err != nil {
		return fmt.Errorf("set role: %w", err)
	}
	return nil
}

// UserCounts is how much an account has.
type UserCounts struct {
	Devices, Conversations, Files, FileBytes int64
}

// CountsOf adds up what an account has.
func (s *Store) CountsOf(ctx context.Context, id UserID) (c UserCounts, err error) {
	for _, q := range []struct {
		sql string
		to  []any
	}{
		{"SELECT COUNT(*) FROM devices WHERE user_id = ?", []any{&c.Devices}},
		{"SELECT COUNT(*) FROM members WHERE user_id = ? AND left_seq = 0", []any{&c.Conversations}},
		{"SELECT COUNT(*), COALESCE(SUM(size), 0) FROM files WHERE owner_id = ?", []any{&c.Files, &c.FileBytes}},
	} {
		if err := s.read(ctx).Raw(q.sql, id).Row().Scan(q.to...); err != nil {
			return UserCounts{}, fmt.Errorf("count what a user has: %w", err)
		}
	}
	return c, nil
}

// Usernames are the names of accounts, of those that there are.
func (s *Store) Usernames(ctx context.Context, ids []UserID) (map[UserID]string, error) {
	names := make(map[UserID]string, len(ids))
	if len(ids) == 0 {
		return names, nil
	}
	var users []User
	if err := s.read(ctx).Select("id", "username").Where("id IN ?", ids).Find(&users).Error; err != nil {
		return nil, fmt.Errorf("read usernames: %w", err)
	}
	for i := range users {
		names[users[i].ID] = users[i].Username
	}
	return names, nil
}
