package model

import (
	"context"
	"errors"
	"fmt"
	"regexp"

	"gorm.io/gorm"
)

// Role is what an account may do beyond its own things.
type Role string

// The roles of accounts. (Roles inside a group are another matter.)
const (
	RoleUser  Role = "user"
	RoleAdmin Role = "admin"
)

// DirectMessages is from whom an account takes a first direct message.
type DirectMessages string

// The values of DirectMessages; an empty one in the store is FromEveryone.
const (
	FromEveryone DirectMessages = "everyone"
	FromContacts DirectMessages = "contacts" // whom it wrote to, and with whom it shares a group
)

// Limits of an account's fields, in characters.
const (
	MinUsername    = 3
	MaxUsername    = 32
	MaxDisplayName = 64
	MaxAvatarURL   = 512
)

// User is an account as others see it, and what only the service looks at (role, ban).
type User struct {
	ID          UserID `gorm:"primaryKey;autoIncrement:false"`
	Username    string // 3 to 32 of a-z 0-9 . _ -, unique
	DisplayName string // 1 to 64 characters
	AvatarURL   string // http or https, up to 512 characters, or a file here (PictureFile), or empty
	Role        Role
	// DirectMessages may be empty: FromEveryone.
	DirectMessages DirectMessages
	BannedAt       Millis // 0: not banned
	CreatedAt      Millis `gorm:"autoCreateTime:false"`
}

// Banned says whether the account is shut out.
func (u *User) Banned() bool { return u.BannedAt != 0 }

var usernames = regexp.MustCompile(`^[a-z0-9._-]{3,32}$`)

// ValidUsername says whether name, already in lower case, can be an account's.
func ValidUsername(name string) bool { return usernames.MatchString(name) }

// CreateUser stores a new account. A taken username is CodeUsernameTaken.
func (s *Store) CreateUser(ctx context.Context, u *User) error {
	err := s.write(ctx).Create(u).Error
	if errors.Is(err, gorm.ErrDuplicatedKey) {
		return NewError(CodeUsernameTaken, "the username %q is taken", u.Username)
	}
	if err != nil {
		return fmt.Errorf("create user: %w", err)
	}
	return s.beginAnnouncements(ctx, u.ID)
}

// UserByID is the account of an id, or CodeNotFound.
func (s *Store) UserByID(ctx context.Context, id UserID) (*User, error) {
	return s.oneUser(s.read(ctx).Where("id = ?", id))
}

// LockUser reads an account and holds its row until the transaction ends: a login
// and a ban take their turns. The service's own account (System) is nobody's to change: CodeNotFound.
func (s *Store) LockUser(ctx context.Context, id UserID) (*User, error) {
	if id == System {
		return nil, NotFound("user")
	}
	return s.oneUser(s.locking(s.read(ctx)).Where("id = ?", id))
}

// UserByUsername is the account of a name in lower case, or CodeNotFound.
func (s *Store) UserByUsername(ctx context.Context, username string) (*User, error) {
	if !ValidUsername(username) { // also keeps what is not ASCII away from the ASCII column
		return nil, NotFound("user")
	}
	return s.oneUser(s.read(ctx).Where("username = ?", username))
}

func (s *Store) oneUser(query *gorm.DB) (*User, error) {
	var u User
	if err := query.Take(&u).Error; errors.Is(err, gorm.ErrRecordNotFound) {
		return nil, NotFound("user")
	} else if err != nil {
		return nil, fmt.Errorf("read user: %w", err)
	}
	return &u, nil
}

// UsersByPrefix lists up to limit accounts whose username starts with prefix, in
// order of username: an exact match comes first.
func (s *Store) UsersByPrefix(ctx context.Context, prefix string, limit int) ([]User, error) {
	var users []User
	// '~' is above every character of a username, so the range is the prefix; LIKE
	// would take the underscores of names for wildcards.
	err := s.read(ctx).Where("username >= ? AND username < ?", prefix, prefix+"~").Order("username").Limit(limit).Find(&users).Error
	if err != nil {
		return nil, fmt.Errorf("search users: %w", err)
	}
	return users, nil
}

// BlockedBy lists up to limit accounts that a user has blocked, in order of id, after one.
func (s *Store) BlockedBy(ctx context.Context, user, after UserID, limit int) ([]User, error) {
	var users []User
	err := s.read(ctx).Where("id IN (SELECT blocked_id FROM blocks WHERE user_id = ? AND blocked_id > ?)", user, after).Order("id").Limit(limit).Find(&users).Error
	if err != nil {
		return nil, fmt.Errorf("list blocked users: %w", err)
	}
	return users, nil
}

// UsersByIDs are the accounts of at most 100 ids, in order of id; who does not exist is missing.
func (s *Store) UsersByIDs(ctx context.Context, ids []UserID) ([]User, error) {
	var users []User
	if err := s.read(ctx).Where("id IN ?", ids).Order("id").Find(&users).Error; err != nil {
		return nil, fmt.Errorf("read users: %w", err)
	}
	return users, nil
}

// UpdateProfile stores what an account says of itself; nil leaves a field as it is.
func (s *Store) UpdateProfile(ctx context.Context, id UserID, displayName, avatarURL *string, directMessages *DirectMessages) error {
	set := map[string]any{}
	if displayName != nil {
		set["display_name"] = *displayName
	}
	if avatarURL != nil {
		set["avatar_url"] = *avatarURL
	}
	if directMessages != nil {
		set["direct_messages"] = *directMessages
	}
	if len(set) == 0 {
		return nil
	}
	if err := s.write(ctx).Model(&User{}).Where("id = ?", id).Updates(set).Error; err != nil {
		return fmt.Errorf("update profile: %w", err)
	}
	return nil
}

// SetBanned bans an account at a moment, or with 0 lets it in again.
func (s *Store) SetBanned(ctx context.Context, id UserID, at Millis) error {
	if err := s.write(ctx).Model(&User{}).Where("id = ?", id).Update("banned_at", at).Error; err != nil {
		return fmt.Errorf("ban user: %w", err)
	}
	return nil
}

// BannedAmong picks the banned ones out of a list of ids.
func (s *Store) BannedAmong(ctx context.Context, ids []UserID) ([]UserID, error) {
	var banned []UserID
	if err := s.read(ctx).Model(&User{}).Where("id IN ? AND banned_at > 0", ids).Pluck("id", &banned).Error; err != nil {
		return nil, fmt.Errorf("list bans: %w", err)
	}
	return banned, nil
}
