package model

import (
	"context"
	"fmt"

	"gorm.io/gorm/clause"
)

// Block says that UserID wants no direct messages from BlockedID.
type Block struct {
	UserID    UserID `gorm:"primaryKey;autoIncrement:false"`
	BlockedID UserID `gorm:"primaryKey;autoIncrement:false"`
	CreatedAt Millis `gorm:"autoCreateTime:false"`
}

// PutBlock stores a block; one that is there stays. A send decides under the
// conversation's row lock, so call it inside a transaction that holds that lock.
func (s *Store) PutBlock(ctx context.Context, b Block) error {
	if err := s.write(ctx).Clauses(clause.OnConflict{DoNothing: true}).Create(&b).Error; err != nil {
		return fmt.Errorf("block: %w", err)
	}
	return nil
}

// DeleteBlock takes a block away; none is no error.
func (s *Store) DeleteBlock(ctx context.Context, user, blocked UserID) error {
	if err := s.write(ctx).Where("user_id = ? AND blocked_id = ?", user, blocked).Delete(&Block{}).Error; err != nil {
		return fmt.Errorf("unblock: %w", err)
	}
	return nil
}

// Blocked says whether user has blocked other.
func (s *Store) Blocked(ctx context.Context, user, other UserID) (bool, error) {
	var n int64
	if err := s.read(ctx).Model(&Block{}).Where("user_id = ? AND blocked_id = ?", user, other).Limit(1).Count(&n).Error; err != nil {
		return false, fmt.Errorf("read block: %w", err)
	}
	return n > 0, nil
}
