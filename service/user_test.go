package service_test

import (
	"context"
	"fmt"
	"testing"

	"ackbox/model"
	"ackbox/service"
)

func TestBan(t *testing.T) {
	onBothStores(t, func(t *testing.T, a *accounts) {
		bob := a.register("bob")
		second, err := a.auth.Login(t.Context(), "bob", password, "")
		ok(t, err)
		ok(t, a.users.Ban(t.Context(), 0, bob.User.ID))
		ok(t, a.users.Ban(t.Context(), 0, bob.User.ID))
		for _, g := range []*service.Grant{bob, second} {
			_, err = a.auth.VerifyAccess(g.AccessToken)
			wantCode(t, err, model.CodeBanned)
			_, err = a.auth.Refresh(t.Context(), g.RefreshToken)
			wantCode(t, err, model.CodeTokenRevoked)
		}
		_, err = a.auth.Login(t.Context(), "bob", password, "")
		wantCode(t, err, model.CodeBanned)
		_, err = a.auth.Login(t.Context(), "bob", "a wrong password", "")
		wantCode(t, err, model.CodeInvalidCredentials) // who cannot prove it is not told
		if _, banned := a.told(); len(banned) != 1 || banned[0] != bob.User.ID {
			t.Errorf("told of %v", banned)
		}

		var unbanned []model.UserID
		a.auth.OnUnbanned = func(_ context.Context, user model.UserID) { unbanned = append(unbanned, user) }
		ok(t, a.users.Unban(t.Context(), bob.User.ID))
		if len(unbanned) != 1 || unbanned[0] != bob.User.ID {
			t.Errorf("told of the ends of the bans of %v", unbanned)
		}
		again, err := a.auth.Login(t.Context(), "bob", password, "")
		ok(t, err)
		a.claims(again)
		wantCode(t, a.users.Ban(t.Context(), 0, 404), model.CodeNotFound)
		wantCode(t, a.users.Unban(t.Context(), 404), model.CodeNotFound)
	})
}

// TestLoginsThatRaceABan are either refused or ended by it.
func TestLoginsThatRaceABan(t *testing.T) {
	onBothStores(t, func(t *testing.T, a *accounts) {
		for i := range 5 {
			bob := a.register(fmt.Sprintf("bob%d", i))
			grants := make(chan *service.Grant, 16)
			errs := race(9, func() error {
				if len(grants) == 0 { // one of them bans; which one does not matter
					grants <- bob
					return a.users.Ban(t.Context(), 0, bob.User.ID)
				}
				g, err := a.auth.Login(t.Context(), bob.User.Username, password, "")
				if err == nil {
					grants <- g
				}
				return err
			})
			close(grants)
			for _, err := range errs {
				if err != nil {
					wantCode(t, err, model.CodeBanned)
				}
			}
			for g := range grants {
				_, err := a.auth.VerifyAccess(g.AccessToken)
				wantCode(t, err, model.CodeBanned)
				_, err = a.auth.Refresh(t.Context(), g.RefreshToken)
				wantCode(t, err, model.CodeTokenRevoked)
			}
		}
	})
}

func TestEnsureAdmin(t *testing.T) {
	onBothStores(t, func(t *testing.T, a *accounts) {
		for range 2 {
			for _, err := range race(3, func() error { return a.users.EnsureAdmin(t.Context(), "Root", password) }) {
				ok(t, err)
			}
		}
		root, err := a.auth.Login(t.Context(), "root", password, "")
		ok(t, err)
		if a.claims(root).Role != model.RoleAdmin {
			t.Errorf("role %q", a.claims(root).Role)
		}
		wantCode(t, a.users.Ban(t.Context(), 0, root.User.ID), model.CodeForbidden)

		ada := a.register("ada")
		if err := a.users.EnsureAdmin(t.Context(), "ada", "another password"); err == nil {
			t.Error("somebody's account became an admin")
		}
		user, err := a.users.Get(t.Context(), ada.User.ID)
		ok(t, err)
		if user.Role != model.RoleUser {
			t.Errorf("role %q", user.Role)
		}
		if err := a.users.EnsureAdmin(t.Context(), "x", "short"); err == nil {
			t.Error("a bad name and password pass")
		}
	})
}

func TestProfile(t *testing.T) {
	onBothStores(t, func(t *testing.T, a *accounts) {
		ada := a.register("ada")
		name, avatar := "Ada 👋", "https://example.com/ada.png"
		_, err := a.users.Update(t.Context(), ada.User.ID, service.Profile{DisplayName: &name, AvatarURL: &avatar})
		ok(t, err)
		u, err := a.users.Update(t.Context(), ada.User.ID, service.Profile{})
		ok(t, err)
		if u.DisplayName != name || u.AvatarURL != avatar {
			t.Errorf("got %+v", u)
		}
		_, err = a.users.Update(t.Context(), 404, service.Profile{DisplayName: &name})
		wantCode(t, err, model.CodeNotFound)
	})
}

func TestSearchUsers(t *testing.T) {
	onBothStores(t, func(t *testing.T, a *accounts) {
		for i, name := range []string{"a_b", "axb", "a_b2"} {
			ok(t, a.store.CreateUser(t.Context(), &model.User{ID: model.UserID(1000 + i), Username: name, DisplayName: name, Role: model.RoleUser}))
		}
		users, err := a.users.Search(t.Context(), "A_B")
		ok(t, err)
		if len(users) != 2 || users[0].Username != "a_b" || users[1].Username != "a_b2" {
			t.Errorf("got %+v", users)
		}
		for _, prefix := range []string{"", "ä", "a%", "a b"} {
			_, err := a.users.Search(t.Context(), prefix)
			wantCode(t, err, model.CodeValidation)
		}
	})
}
