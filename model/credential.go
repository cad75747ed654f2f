package model

import (
	"context"
	"errors"
	"fmt"

	"gorm.io/gorm"
)

// Limits of a password, in characters.
const (
	MinPassword = 10
	MaxPassword = 128
)

// Credential is how an account proves who it is: the argon2id hash of its
// password, with its parameters, in PHC string form.
type Credential struct {
	UserID    UserID `gorm:"primaryKey;autoIncrement:false"`
	Hash      string
	UpdatedAt Millis `gorm:"autoUpdateTime:false"`
}

// CreateCredential stores an account's first credential.
func (s *Store) CreateCredential(ctx context.Context, c *Credential) error {
	if err := s.write(ctx).Create(c).Error; err != nil {
		return fmt.Errorf("create credential: %w", err)
	}
	return nil
}

// CredentialOf is an account's credential, or CodeNotFound.
func (s *Store) CredentialOf(ctx context.Context, id UserID) (*Credential, error) {
	var c Credential
	err := s.read(ctx).Where("user_id = ?", id).Take(&c).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return nil, NotFound("credential")
	}
	if err != nil {
		return nil, fmt.Errorf("read credential: %w", err)
	}
	return &c, nil
}

// SetCredential replaces an account's credential.
func (s *Store) SetCredential(ctx context.Context, c *Credential) error {
	if err := s.write(ctx).Save(c).Error; err != nil {
		return fmt.Errorf("set credential: %w", err)
	}
	return nil
}
