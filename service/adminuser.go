package service

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"

	"ackbox/model"
)

// Create makes an account without logging it in. Errors: CodeValidation, CodeUsernameTaken.
func (s *Users) Create(ctx context.Context, r Registration, role model.Role) (*model.User, error) {
	user, credential, err := s.auth.newAccount(ctx, r, role)
	if err == nil {
		err = s.store.Tx(ctx, func(tx *model.Store) error { return storeAccount(ctx, tx, user, credential) })
	}
	if err != nil {
		return nil, fmt.Errorf("create account: %w", err)
	}
	return user, nil
}

// Page lists accounts, and says whether there are more.
func (s *Users) Page(ctx context.Context, f model.UserFilter, by model.UserSort, descending bool, after *model.UserPlace, limit int) (users []model.User, more bool, err error) {
	if users, err = s.store.UserPage(ctx, f, by, descending, after, limit+1); err != nil {
		return nil, false, err
	}
	if len(users) > limit {
		return users[:limit], true, nil
	}
	return users, false, nil
}

// UserDetail is an account with how much it has.
type UserDetail struct {
	User *model.User
	model.UserCounts
	Head, Floor int64 // of its mailbox
}

// Detail is an account with how much it has, or CodeNotFound.
func (s *Users) Detail(ctx context.Context, id model.UserID) (d UserDetail, err error) {
	if d.User, err = s.store.UserByID(ctx, id); err != nil {
		return d, err
	}
	if d.UserCounts, err = s.store.CountsOf(ctx, id); err != nil {
		return d, err
	}
	head, err := s.store.MailboxHead(ctx, id)
	d.Head, d.Floor = head.Head, head.Floor
	return d, err
}

// Ban shuts an account out: its sessions end, its sockets close, it cannot log in. Repeating it
// changes nothing. CodeForbidden: oneself, or the last admin.
func (s *Users) Ban(ctx context.Context, by, id model.UserID) error {
	if by == id {
		return model.NewError(model.CodeForbidden, "you cannot ban yourself")
	}
	var ended []model.FamilyID
	err := s.store.Tx(ctx, func(tx *model.Store) error {
		if err := notTheLastAdmin(ctx, tx, id); err != nil {
			return err
		}
		user, err := tx.LockUser(ctx, id)
		if err != nil {
			return err
		}
		now := model.MillisOf(s.auth.now())
		if !user.Banned() {
			if err := tx.SetBanned(ctx, id, now); err != nil {
				return err
			}
		}
		// The families carry the ban to the other nodes, which read what has ended.
		ended, err = tx.RevokeFamiliesOf(ctx, id, 0, now)
		return err
	})
	if err != nil {
		return fmt.Errorf("ban: %w", err)
	}
	for _, family := range ended {
		s.auth.Revoked(family)
	}
	s.auth.banned(ctx, id)
	return nil
}

// notTheLastAdmin refuses to take power from the only admin. It locks all admins, in order, before anything else.
func notTheLastAdmin(ctx context.Context, tx *model.Store, id model.UserID) error {
	admins, err := tx.LockAdmins(ctx)
	if err != nil {
		return err
	}
	if slices.Contains(admins, id) && len(admins) == 1 {
		return model.NewError(model.CodeForbidden, "this is the last admin")
	}
	return nil
}

// SetRole changes what an account may do. Who is no admin any more is signed out everywhere; who becomes one has the role with the
// next refresh or login. CodeForbidden: the last admin.
func (s *Users) SetRole(ctx context.Context, id model.UserID, role model.Role) error {
	var ended []model.FamilyID
	err := s.store.Tx(ctx, func(tx *model.Store) error {
		ended = nil
		if role != model.RoleAdmin {
			if err := notTheLastAdmin(ctx, tx, id); err != nil {
				return err
			}
		}
		user, err := tx.LockUser(ctx, id)
		if err != nil || user.Role == role {
			return err
		}
		if err := tx.SetUserRole(ctx, id, role); err != nil {
			return err
		}
		if role != model.RoleAdmin { // tokens say the role
			ended, err = tx.RevokeFamiliesOf(ctx, id, 0, model.MillisOf(s.auth.now()))
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("set role: %w", err)
	}
	s.ended(ctx, id, ended)
	return nil
}

// SignOut ends all logins of an account, on all nodes.
func (s *Users) SignOut(ctx context.Context, id model.UserID) error {
	var ended []model.FamilyID
	err := s.store.Tx(ctx, func(tx *model.Store) error {
		if _, err := tx.LockUser(ctx, id); err != nil {
			return err
		}
		var err error
		ended, err = tx.RevokeFamiliesOf(ctx, id, 0, model.MillisOf(s.auth.now()))
		return err
	})
	if err != nil {
		return fmt.Errorf("sign out: %w", err)
	}
	s.ended(ctx, id, ended)
	return nil
}

// SetPassword gives an account a new password, an empty one means: make one, and signs it out everywhere. It
// answers the password.
func (s *Users) SetPassword(ctx context.Context, id model.UserID, password string) (string, error) {
	if password == "" {
		password = rand.Text() // 128 bits
	}
	if err := checkPassword("body.password", password); err != nil {
		return "", err
	}
	if _, err := s.store.UserByID(ctx, id); err != nil { // before the hash, which costs
		return "", err
	}
	hash, err := s.auth.passwords.hash(ctx, password)
	if err != nil {
		return "", err
	}
	var ended []model.FamilyID
	err = s.store.Tx(ctx, func(tx *model.Store) error {
		if _, err := tx.LockUser(ctx, id); err != nil {
			return err
		}
		now := model.MillisOf(s.auth.now())
		if err := tx.SetCredential(ctx, &model.Credential{UserID: id, Hash: hash, UpdatedAt: now}); err != nil {
			return err
		}
		ended, err = tx.RevokeFamiliesOf(ctx, id, 0, now)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("set password: %w", err)
	}
	s.ended(ctx, id, ended)
	return password, nil
}

func (s *Users) ended(ctx context.Context, id model.UserID, families []model.FamilyID) {
	for _, family := range families {
		s.auth.revoked(ctx, id, family)
	}
}
