package service

import (
	"context"
	"fmt"
	"time"

	"ackbox/model"
)

// AdminSessionTime is how long an operator stays logged in at most; without a call it ends with the access token.
const AdminSessionTime = 12 * time.Hour

// AdminSession is the login of an operator's browser: an access token, which is renewed while it is used, and no refresh token.
type AdminSession struct {
	User      *model.User
	Token     string
	ExpiresAt time.Time // of the token
}

// AdminLogin checks a password like Login. An account that is no admin is CodeForbidden.
func (a *Auth) AdminLogin(ctx context.Context, username, password, from string) (*AdminSession, error) {
	proof, err := a.checkLogin(ctx, username, password, from)
	if err != nil {
		return nil, err
	}
	family, err := a.newFamily(proof.user)
	if err != nil {
		return nil, err
	}
	family.DeviceName = "admin page"
	family.ExpiresAt = family.CreatedAt.Add(AdminSessionTime)
	var user *model.User
	err = a.store.Tx(ctx, func(tx *model.Store) (err error) {
		if user, err = a.lockLogin(ctx, tx, proof); err != nil {
			return err
		}
		if err := stillAdmin(user); err != nil {
			return err
		}
		return tx.CreateFamily(ctx, family)
	})
	if err != nil {
		return nil, fmt.Errorf("admin login: %w", err)
	}
	return a.adminSession(user, family)
}

func stillAdmin(user *model.User) error {
	if user.Banned() {
		return errBanned()
	}
	if user.Role != model.RoleAdmin {
		return model.NewError(model.CodeForbidden, "this needs the role %s", model.RoleAdmin)
	}
	return nil
}

func (a *Auth) adminSession(user *model.User, family *model.TokenFamily) (*AdminSession, error) {
	token, claims, err := a.tokens.sign(Claims{UserID: user.ID, FamilyID: family.ID, Role: user.Role, ExpiresAt: family.ExpiresAt.Time()})
	if err != nil {
		return nil, err
	}
	return &AdminSession{User: user, Token: token, ExpiresAt: claims.ExpiresAt}, nil
}

// RenewAdmin gives a token of an admin's session that ends later, when half of its life is over; else nil. It
// asks the store: CodeTokenRevoked, CodeBanned and CodeForbidden end the session. A login that has refresh tokens
// keeps its own end.
func (a *Auth) RenewAdmin(ctx context.Context, c Claims) (*AdminSession, error) {
	if c.ExpiresAt.Sub(a.now()) > a.tokens.ttl/2 {
		return nil, nil //nolint:nilnil // there is nothing to renew, which is no error
	}
	family, err := a.store.Family(ctx, c.FamilyID)
	if model.CodeOf(err) == model.CodeNotFound || err == nil && (family.RevokedAt != 0 || family.ExpiresAt <= model.MillisOf(a.now())) {
		return nil, model.NewError(model.CodeTokenRevoked, "the session has ended")
	}
	if err != nil {
		return nil, err
	}
	user, err := a.store.UserByID(ctx, c.UserID)
	if err != nil {
		return nil, err
	}
	if err := stillAdmin(user); err != nil {
		return nil, err
	}
	return a.adminSession(user, family)
}

// End ends the login of an access token, on all nodes.
func (a *Auth) End(ctx context.Context, c Claims) error {
	if err := a.store.RevokeFamily(ctx, c.FamilyID, model.MillisOf(a.now())); err != nil {
		return err
	}
	a.revoked(ctx, c.UserID, c.FamilyID)
	return nil
}
