package service

import (
	"context"
	"fmt"

	"ackbox/model"
)

// Login checks a password and begins a family. From is the network of who asks, which LoggedInFrom knows afterwards;
// empty: not known. An unknown username and a wrong password are both CodeInvalidCredentials, in the same words after
// the same time. A banned account with the right password is CodeBanned.
func (a *Auth) Login(ctx context.Context, username, password, from string) (*Grant, error) {
	proof, err := a.checkLogin(ctx, username, password, from)
	if err != nil {
		return nil, err
	}
	family, err := a.newFamily(proof.user)
	if err != nil {
		return nil, err
	}
	refresh, row := a.newRefresh(family)
	var user *model.User
	err = a.store.Tx(ctx, func(tx *model.Store) error {
		var err error
		if user, err = a.lockLogin(ctx, tx, proof); err != nil {
			return err
		}
		if user.Banned() {
			return errBanned()
		}
		return storeLogin(ctx, tx, family, row)
	})
	if err != nil {
		return nil, fmt.Errorf("login: %w", err)
	}
	return a.grant(user, family.ID, refresh)
}

// proof is a password that was right: whose it is, by which hash, the hash that replaces it
// if an operator has changed what hashes cost, and from which network it came.
type proof struct {
	user    model.UserID
	hash    string
	renewed string
	from    string
}

// checkLogin says whose username and password these are, or CodeInvalidCredentials.
func (a *Auth) checkLogin(ctx context.Context, username, password, from string) (*proof, error) {
	credential, err := a.store.CredentialByUsername(ctx, foldUsername(username))
	if model.CodeOf(err) == model.CodeNotFound {
		credential, err = &model.Credential{Hash: a.passwords.dummy}, nil // nobody's
	}
	if err != nil {
		return nil, err
	}
	right, err := a.passwords.matches(ctx, password, credential.Hash)
	if err != nil {
		return nil, err
	}
	if !right || credential.UserID == 0 {
		return nil, errCredentials()
	}
	p := &proof{user: credential.UserID, hash: credential.Hash, from: from}
	outdated, err := a.passwords.outdated(p.hash)
	if err != nil {
		return nil, err
	}
	if outdated {
		if p.renewed, err = a.passwords.hash(ctx, password); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func errCredentials() error {
	return model.NewError(model.CodeInvalidCredentials, "the username or the password is wrong")
}

// lockLogin takes turns with a ban and a new password: a login by an old one is not stored after it.
func (a *Auth) lockLogin(ctx context.Context, tx *model.Store, p *proof) (*model.User, error) {
	user, err := tx.LockUser(ctx, p.user)
	if err != nil {
		return nil, err
	}
	credential, err := tx.CredentialOf(ctx, p.user)
	if err != nil {
		return nil, err
	}
	if credential.Hash != p.hash {
		return nil, errCredentials()
	}
	if p.renewed != "" {
		credential.Hash = p.renewed
		if err := tx.SetCredential(ctx, credential); err != nil {
			return nil, err
		}
	}
	if networks := a.withNetwork(credential.Networks, p.user, p.from); networks != credential.Networks {
		if err := tx.SetNetworks(ctx, p.user, networks); err != nil {
			return nil, err
		}
	}
	return user, nil
}

// ChangePassword gives the caller's account a password that they choose, and ends all its other logins: who knew the
// old one is out. Errors: CodeValidation, of the old one if it is wrong.
func (a *Auth) ChangePassword(ctx context.Context, caller Claims, password, chosen string) error {
	if err := checkPassword("body.new_password", chosen); err != nil {
		return err
	}
	wrong := model.Invalid("body.password", "is not the password of this account", nil)
	credential, err := a.store.CredentialOf(ctx, caller.UserID)
	if model.CodeOf(err) == model.CodeNotFound { // nobody logs in to it by a password
		return wrong
	}
	if err != nil {
		return err
	}
	right, err := a.passwords.matches(ctx, password, credential.Hash)
	if err != nil {
		return err
	}
	if !right {
		return wrong
	}
	hash, err := a.passwords.hash(ctx, chosen)
	if err != nil {
		return err
	}
	var ended []model.FamilyID
	err = a.store.Tx(ctx, func(tx *model.Store) error {
		user, err := a.lockLogin(ctx, tx, &proof{user: caller.UserID, hash: credential.Hash})
		if err != nil {
			return err
		}
		if user.Banned() {
			return errBanned()
		}
		now := model.MillisOf(a.now())
		if err := tx.SetCredential(ctx, &model.Credential{UserID: user.ID, Hash: hash, UpdatedAt: now}); err != nil {
			return err
		}
		ended, err = tx.RevokeFamiliesOf(ctx, user.ID, caller.FamilyID, now)
		return err
	})
	if model.CodeOf(err) == model.CodeInvalidCredentials { // another change came first
		return wrong
	}
	if err != nil {
		return fmt.Errorf("change password: %w", err)
	}
	for _, family := range ended {
		a.revoked(ctx, caller.UserID, family)
	}
	return nil
}
