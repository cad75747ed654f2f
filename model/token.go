package model

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"gorm.io/gorm"
)

// FamilyID names a family of tokens: everything that descends from one login.
type FamilyID int64

func (id FamilyID) String() string { return strconv.FormatInt(int64(id), 10) }

// TokenFamily is one login and what came of it. Refreshing makes the family's next
// tokens; a refresh token that comes twice, or a logout, ends the family.
//
//	login ──▶ live ──refresh──▶ live … ──logout, or a token's second use──▶ revoked
type TokenFamily struct {
	ID         FamilyID `gorm:"primaryKey;autoIncrement:false"`
	UserID     UserID
	DeviceName string // what the client calls itself, up to 128 characters; may be empty
	CreatedAt  Millis `gorm:"autoCreateTime:false"`
	ExpiresAt  Millis // of its youngest refresh token
	RevokedAt  Millis // 0: live
}

// RefreshToken is kept as the SHA-256 of its value, in hex: who reads the table
// cannot log in with it.
type RefreshToken struct {
	Hash      string `gorm:"primaryKey"`
	FamilyID  FamilyID
	ExpiresAt Millis
	UsedAt    Millis // 0: not used yet
}

// CreateFamily stores a login's family.
func (s *Store) CreateFamily(ctx context.Context, f *TokenFamily) error {
	if err := s.write(ctx).Create(f).Error; err != nil {
		return fmt.Errorf("create token family: %w", err)
	}
	return nil
}

// Family is a login's family, or CodeNotFound.
func (s *Store) Family(ctx context.Context, id FamilyID) (*TokenFamily, error) {
	var f TokenFamily
	if err := s.read(ctx).Where("id = ?", id).Take(&f).Error; errors.Is(err, gorm.ErrRecordNotFound) {
		return nil, NotFound("session")
	} else if err != nil {
		return nil, fmt.Errorf("read token family: %w", err)
	}
	return &f, nil
}

// CreateRefreshToken stores a family's next refresh token and lets the family live
// as long as it.
func (s *Store) CreateRefreshToken(ctx context.Context, t *RefreshToken) error {
	if err := s.write(ctx).Create(t).Error; err != nil {
		return fmt.Errorf("create refresh token: %w", err)
	}
	if err := s.write(ctx).Model(&TokenFamily{}).Where("id = ?", t.FamilyID).Update("expires_at", t.ExpiresAt).Error; err != nil {
		return fmt.Errorf("extend token family: %w", err)
	}
	return nil
}

// LockRefreshToken reads a refresh token and its family, and holds the token's row
// until the transaction ends: of two refreshes with one token, the second sees the
// first. A token that is not there is CodeNotFound.
func (s *Store) LockRefreshToken(ctx context.Context, hash string) (*RefreshToken, *TokenFamily, error) {
	var t RefreshToken
	err := s.locking(s.read(ctx)).Where("hash = ?", hash).Take(&t).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return nil, nil, NotFound("refresh token")
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read refresh token: %w", err)
	}
	var f TokenFamily
	err = s.locking(s.read(ctx)).Where("id = ?", t.FamilyID).Take(&f).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return nil, nil, NotFound("token family")
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read token family: %w", err)
	}
	return &t, &f, nil
}

// UseRefreshToken marks a refresh token as used.
func (s *Store) UseRefreshToken(ctx context.Context, hash string, at Millis) error {
	if err := s.write(ctx).Model(&RefreshToken{}).Where("hash = ?", hash).Update("used_at", at).Error; err != nil {
		return fmt.Errorf("use refresh token: %w", err)
	}
	return nil
}

// RevokeFamily ends a family; one that has ended keeps its moment.
func (s *Store) RevokeFamily(ctx context.Context, id FamilyID, at Millis) error {
	if err := s.write(ctx).Model(&TokenFamily{}).Where("id = ? AND revoked_at = 0", id).Update("revoked_at", at).Error; err != nil {
		return fmt.Errorf("revoke token family: %w", err)
	}
	return nil
}

// RevokeFamiliesOf ends all live families of an account but one (0: all) and says which they were.
func (s *Store) RevokeFamiliesOf(ctx context.Context, user UserID, but FamilyID, at Millis) ([]FamilyID, error) {
	var ids []FamilyID
	if err := s.locking(s.read(ctx)).Model(&TokenFamily{}).Where("user_id = ? AND id <> ? AND revoked_at = 0 AND expires_at >= ?", user, but, at).Pluck("id", &ids).Error; err != nil {
		return nil, fmt.Errorf("list token families: %w", err)
	}
	if len(ids) == 0 {
		return nil, nil
	}
	if err := s.write(ctx).Model(&TokenFamily{}).Where("id IN ?", ids).Update("revoked_at", at).Error; err != nil {
		return nil, fmt.Errorf("revoke token families: %w", err)
	}
	return ids, nil
}

// RevokedSince lists the families that were ended at or after a moment, ordered by
// that moment and id: the page of at most limit that follows (since, after).
func (s *Store) RevokedSince(ctx context.Context, since Millis, after FamilyID, limit int) ([]TokenFamily, error) {
	var families []TokenFamily
	err := s.read(ctx).Where("revoked_at > 0 AND revoked_at >= ? AND (revoked_at > ? OR id > ?)", since, since, after).
		Order("revoked_at, id").Limit(limit).Find(&families).Error
	if err != nil {
		return nil, fmt.Errorf("list revoked families: %w", err)
	}
	return families, nil
}

// PruneRefreshTokens deletes up to limit refresh tokens that ended before a moment
// and says how many there were.
func (s *Store) PruneRefreshTokens(ctx context.Context, before Millis, limit int) (int, error) {
	var hashes []string // two statements: DELETE … LIMIT is not in SQLite
	if err := s.read(ctx).Model(&RefreshToken{}).Where("expires_at < ?", before).Limit(limit).Pluck("hash", &hashes).Error; err != nil {
		return 0, fmt.Errorf("find expired refresh tokens: %w", err)
	}
	if len(hashes) == 0 {
		return 0, nil
	}
	if err := s.write(ctx).Where("hash IN ?", hashes).Delete(&RefreshToken{}).Error; err != nil {
		return 0, fmt.Errorf("delete expired refresh tokens: %w", err)
	}
	return len(hashes), nil
}

// PruneFamilies deletes up to limit families whose youngest refresh token ended
// before a moment and says how many there were.
func (s *Store) PruneFamilies(ctx context.Context, before Millis, limit int) (int, error) {
	var ids []FamilyID
	if err := s.read(ctx).Model(&TokenFamily{}).Where("expires_at < ?", before).Limit(limit).Pluck("id", &ids).Error; err != nil {
		return 0, fmt.Errorf("find expired token families: %w", err)
	}
	if len(ids) == 0 {
		return 0, nil
	}
	if err := s.write(ctx).Where("id IN ? AND expires_at < ?", ids, before).Delete(&TokenFamily{}).Error; err != nil {
		return 0, fmt.Errorf("delete expired token families: %w", err)
	}
	return len(ids), nil
}
