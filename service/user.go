package service

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"ackbox/model"
)

// MaxSearch is how many accounts a search gives.
const MaxSearch = 20

// Users is what accounts show of themselves, and who may use theirs.
type Users struct {
	store *model.Store
	auth  *Auth
}

// NewUsers makes a Users; auth makes the accounts.
func NewUsers(store *model.Store, auth *Auth) *Users { return &Users{store: store, auth: auth} }

// Get is the account of an id, or CodeNotFound.
func (s *Users) Get(ctx context.Context, id model.UserID) (*model.User, error) {
	return s.store.UserByID(ctx, id)
}

// GetAll is the accounts of at most 100 ids, by id; who does not exist is missing.
func (s *Users) GetAll(ctx context.Context, ids []model.UserID) ([]model.User, error) {
	return s.store.UsersByIDs(ctx, ids)
}

// Profile is a change of what an account says of itself; nil leaves a field as it is.
type Profile struct {
	DisplayName *string // 1 to 64 characters
	AvatarURL   *string // http or https, up to 512 characters, or an image that one has uploaded (checkPicture); empty takes it away
	// DirectMessages is from whom it takes a first direct message.
	DirectMessages *model.DirectMessages
}

// Update changes one's own profile and gives the account as it is then.
func (s *Users) Update(ctx context.Context, me model.UserID, p Profile) (*model.User, error) {
	var errs []error
	if p.DisplayName != nil {
		errs = append(errs, checkDisplayName(*p.DisplayName))
	}
	if p.AvatarURL != nil {
		errs = append(errs, checkAvatarURL(*p.AvatarURL))
	}
	if d := p.DirectMessages; d != nil && *d != model.FromEveryone && *d != model.FromContacts {
		errs = append(errs, model.Invalid("body.direct_messages", "expected everyone or contacts", *d))
	}
	if err := joinInvalid(errs...); err != nil {
		return nil, err
	}
	var user *model.User
	err := s.store.Tx(ctx, func(tx *model.Store) error {
		if p.AvatarURL != nil {
			if err := s.replacePicture(ctx, tx, me, *p.AvatarURL); err != nil {
				return err
			}
		}
		if err := tx.UpdateProfile(ctx, me, p.DisplayName, p.AvatarURL, p.DirectMessages); err != nil {
			return err
		}
		var err error
		user, err = tx.UserByID(ctx, me)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("update profile: %w", err)
	}
	return user, nil
}

// replacePicture is the files' part of a new picture.
func (s *Users) replacePicture(ctx context.Context, tx *model.Store, me model.UserID, fresh string) error {
	before, err := tx.LockUser(ctx, me)
	if err != nil {
		return err
	}
	if err := tx.LockPictures(ctx, before.AvatarURL, fresh); err != nil {
		return err
	}
	return tx.ReplacePicture(ctx, model.Picture{User: me}, before.AvatarURL, fresh, checkPicture(me), model.MillisOf(s.auth.now()))
}

// Search lists up to MaxSearch accounts whose username is, or begins with, prefix;
// the exact one first.
func (s *Users) Search(ctx context.Context, prefix string) ([]model.User, error) {
	prefix = foldUsername(prefix)
	if prefix == "" || len(prefix) > model.MaxUsername || strings.Trim(prefix, "abcdefghijklmnopqrstuvwxyz0123456789._-") != "" {
		return nil, model.Invalid("query.username", "expected 1 to 32 of a-z 0-9 . _ -", prefix)
	}
	return s.store.UsersByPrefix(ctx, prefix, MaxSearch)
}

// Blocked is a page of the accounts whose direct messages me refuses, by id, after one.
func (s *Users) Blocked(ctx context.Context, me, after model.UserID, limit int) (list []model.User, more bool, err error) {
	if list, err = s.store.BlockedBy(ctx, me, after, limit+1); err != nil {
		return nil, false, err
	}
	if more = len(list) > limit; more {
		list = list[:limit]
	}
	return list, more, nil
}

// Unban lets an account log in again; its old sessions stay ended.
func (s *Users) Unban(ctx context.Context, id model.UserID) error {
	err := s.store.Tx(ctx, func(tx *model.Store) error {
		if _, err := tx.LockUser(ctx, id); err != nil {
			return err
		}
		return tx.SetBanned(ctx, id, 0)
	})
	if err != nil {
		return fmt.Errorf("unban: %w", err)
	}
	s.auth.Unbanned(id)
	if s.auth.OnUnbanned != nil {
		s.auth.OnUnbanned(context.WithoutCancel(ctx), id)
	}
	return nil
}

// EnsureAdmin makes the first admin account when nobody has its name yet. Another
// account of that name that is no admin is an error: it must not become one.
func (s *Users) EnsureAdmin(ctx context.Context, username, password string) error {
	user, credential, err := s.auth.newAccount(ctx, Registration{Username: username, Password: password}, model.RoleAdmin)
	if err == nil {
		err = s.store.Tx(ctx, func(tx *model.Store) error { return storeAccount(ctx, tx, user, credential) })
	}
	if model.CodeOf(err) != model.CodeUsernameTaken {
		if err != nil {
			return fmt.Errorf("admin account: %w", err)
		}
		return nil
	}
	there, err := s.store.UserByUsername(ctx, foldUsername(username))
	if err != nil {
		return fmt.Errorf("admin account: %w", err)
	}
	if there.Role != model.RoleAdmin {
		return fmt.Errorf("the account %q exists and is no admin; choose another name for the admin", there.Username)
	}
	return nil
}

// foldUsername puts A-Z into lower case. It leaves letters beyond ASCII alone: some
// of them fold into ASCII.
func foldUsername(name string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, name)
}

func checkUsername(name string) error {
	if !model.ValidUsername(name) {
		return model.Invalid("body.username", "expected 3 to 32 of a-z 0-9 . _ -", name)
	}
	return nil
}

func checkDisplayName(name string) error {
	if n := utf8.RuneCountInString(name); n < 1 || n > model.MaxDisplayName {
		return model.Invalid("body.display_name", fmt.Sprintf("expected 1 to %d characters", model.MaxDisplayName), name)
	}
	if strings.TrimSpace(name) == "" || strings.ContainsFunc(name, unicode.IsControl) || !utf8.ValidString(name) {
		return model.Invalid("body.display_name", "expected something to read, without control characters", name)
	}
	return nil
}

func checkAvatarURL(raw string) error {
	if raw == "" || model.PictureFile(raw) != 0 {
		return nil
	}
	u, err := url.Parse(raw)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || utf8.RuneCountInString(raw) > model.MaxAvatarURL {
		return model.Invalid("body.avatar_url", fmt.Sprintf("expected an http or https URL of up to %d characters, %s and the id of an uploaded image, or nothing", model.MaxAvatarURL, model.PicturePath), raw)
	}
	return nil
}

// maxPicture bounds an uploaded image that is a picture, in bytes: everybody loads it.
const maxPicture = 1 << 20

// checkPicture says whether a file can be a picture that me chooses.
func checkPicture(me model.UserID) func(*model.File) error {
	return func(f *model.File) error {
		switch {
		case f.OwnerID != me:
			return model.NotFound("file")
		case !strings.HasPrefix(f.Type, "image/") || !Shown(f.Type):
			return model.Invalid("body.avatar_url", "the file is no JPEG, PNG, GIF or WebP image", nil)
		case f.Size > maxPicture:
			return model.Invalid("body.avatar_url", fmt.Sprintf("a picture may have %d bytes, this one has %d", maxPicture, f.Size), nil)
		}
		return nil
	}
}

// joinInvalid makes one CodeValidation error of several, nil of none.
func joinInvalid(errs ...error) error {
	var all *model.Error
	for _, err := range errs {
		var e *model.Error
		if !errors.As(err, &e) {
			continue
		}
		if all == nil {
			all = e
			continue
		}
		all.Fields = append(all.Fields, e.Fields...)
	}
	if all == nil {
		return nil
	}
	return all
}
