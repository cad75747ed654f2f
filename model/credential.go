package model

import (
	"context"
	"errors"
	"fmt"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
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
	Networks  string // from where it has been used lately, as package service marks it; at most 255 of ASCII
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

// CredentialByUsername is the credential of the account of a name in lower case, or CodeNotFound: it takes one
// statement whether the name has an account, one without a password, or none.
func (s *Store) CredentialByUsername(ctx context.Context, username string) (*Credential, error) {
	if !ValidUsername(username) { // also keeps what is not ASCII away from the ASCII column
		return nil, NotFound("credential")
	}
	var c Credential
	err := s.read(ctx).Joins("JOIN users ON users.id = credentials.user_id").Where("users.username = ?", username).Take(&c).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return nil, NotFound("credential")
	}
	if err != nil {
		return nil, fmt.Errorf("read credential by username: %w", err)
	}
	return &c, nil
}

// SetCredential gives an account another hash, or its first one. The networks stay.
func (s *Store) SetCredential(ctx context.Context, c *Credential) error {
	replace := clause.OnConflict{Columns: []clause.Column{{Name: "user_id"}}, DoUpdates: clause.AssignmentColumns([]string{"hash", "updated_at"})}
	if err := s.write(ctx).Clauses(replace).Create(c).Error; err != nil {
		return fmt.Errorf("set credential: %w", err)
	}
	return nil
}

// SetNetworks replaces from where an account's credential has been used.
func (s *Store) SetNetworks(ctx context.Context, id UserID, networks string) error {
	if err := s.write(ctx).Model(&Credential{}).Where("user_id = ?", id).Update("networks", networks).Error; err != nil {
		return fmt.Errorf("set networks: %w", err)
	}
	return nil
}
