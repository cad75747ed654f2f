package service_test

import (
	"testing"
	"time"

	"ackbox/model"
	"ackbox/service"
)

// TestAdminSession: an operator's token is renewed while it is used, for twelve hours, and no longer than they are an admin.
func TestAdminSession(t *testing.T) {
	onBothStores(t, func(t *testing.T, a *accounts) {
		ok(t, a.users.EnsureAdmin(t.Context(), "root", password))
		a.register("ada")
		_, err := a.auth.AdminLogin(t.Context(), "ada", password, "")
		wantCode(t, err, model.CodeForbidden)
		_, err = a.auth.AdminLogin(t.Context(), "root", "wrong", "")
		wantCode(t, err, model.CodeInvalidCredentials)
		begin := func() (service.Claims, *service.AdminSession) {
			t.Helper()
			s, err := a.auth.AdminLogin(t.Context(), "Root", password, "")
			ok(t, err)
			c, err := a.auth.VerifyAccess(s.Token)
			ok(t, err)
			if c.Role != model.RoleAdmin || !c.ExpiresAt.Equal(s.ExpiresAt) {
				t.Errorf("claims %+v of %+v", c, s)
			}
			return c, s
		}

		c, s := begin()
		next, err := a.auth.RenewAdmin(t.Context(), c)
		ok(t, err)
		if next != nil {
			t.Error("a fresh token is renewed")
		}
		steps := []time.Duration{service.AdminSessionTime - time.Hour - accessTTL/2} // until half a token's life before the end
		for range 3 {
			steps = append([]time.Duration{time.Hour / 3}, steps...)
		}
		for _, step := range steps { // a token is good for a minute: in between there were calls
			a.pass(step)
			next, err := a.auth.RenewAdmin(t.Context(), c)
			ok(t, err)
			if next == nil {
				t.Fatal("not renewed")
			}
			c, err = a.auth.VerifyAccess(next.Token)
			ok(t, err)
		}
		if end := s.ExpiresAt.Add(service.AdminSessionTime - accessTTL); c.ExpiresAt.After(end) || c.ExpiresAt.Before(end.Add(-3*time.Second)) {
			t.Errorf("the session lasts until %v, want %v", c.ExpiresAt, end)
		}
		a.pass(accessTTL)
		_, err = a.auth.RenewAdmin(t.Context(), c)
		wantCode(t, err, model.CodeTokenRevoked)

		late := func(c service.Claims) service.Claims { c.ExpiresAt = c.ExpiresAt.Add(-accessTTL); return c }
		c, _ = begin()
		ok(t, a.auth.End(t.Context(), c))
		_, err = a.auth.RenewAdmin(t.Context(), late(c))
		wantCode(t, err, model.CodeTokenRevoked)
		if revoked, _ := a.told(); len(revoked) != 1 || revoked[0] != c.FamilyID {
			t.Errorf("told of the ends of %v", revoked)
		}
		c, _ = begin()
		ok(t, a.store.SetBanned(t.Context(), c.UserID, 1))
		_, err = a.auth.RenewAdmin(t.Context(), late(c))
		wantCode(t, err, model.CodeBanned)
		_, err = a.auth.AdminLogin(t.Context(), "root", password, "")
		wantCode(t, err, model.CodeBanned)
	})
}
