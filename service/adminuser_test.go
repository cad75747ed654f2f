package service_test

import (
	"fmt"
	"testing"

	"ackbox/model"
	"ackbox/service"
)

// TestLastAdmin: admins that take each other's power at once leave one.
func TestLastAdmin(t *testing.T) {
	onBothStores(t, func(t *testing.T, a *accounts) {
		for round := range 3 {
			var ids [2]model.UserID
			for i := range ids {
				u, err := a.users.Create(t.Context(), service.Registration{Username: fmt.Sprintf("root%d_%d", round, i), Password: password}, model.RoleAdmin)
				ok(t, err)
				ids[i] = u.ID
			}
			next := make(chan int, 2)
			next <- 0
			next <- 1
			refused := 0
			for _, err := range race(2, func() error {
				i := <-next
				if round == 0 {
					return a.users.Ban(t.Context(), ids[i], ids[1-i])
				}
				return a.users.SetRole(t.Context(), ids[1-i], model.RoleUser)
			}) {
				if err != nil {
					wantCode(t, err, model.CodeForbidden)
					refused++
				}
			}
			left, err := a.store.LockAdmins(t.Context())
			ok(t, err)
			if refused != 1 || len(left) != 1 {
				t.Errorf("round %d: %d refused, %d admins left", round, refused, len(left))
			}
			spare, err := a.users.Create(t.Context(), service.Registration{Username: fmt.Sprintf("spare%d", round), Password: password}, model.RoleUser)
			ok(t, err)
			ok(t, a.users.SetRole(t.Context(), spare.ID, model.RoleAdmin)) // so that the last one can go
			for _, id := range left {
				ok(t, a.users.SetRole(t.Context(), id, model.RoleUser))
			}
			ok(t, a.store.SetUserRole(t.Context(), spare.ID, model.RoleUser))
		}
	})
}

// TestLoginsThatRaceAPassword: what began with the old password has ended when the new one is there.
func TestLoginsThatRaceAPassword(t *testing.T) {
	onBothStores(t, func(t *testing.T, a *accounts) {
		bob := a.register("bob")
		first := make(chan bool, 1)
		first <- true
		grants := make(chan *service.Grant, 8)
		for _, err := range race(6, func() error {
			select {
			case <-first:
				_, err := a.users.SetPassword(t.Context(), bob.User.ID, "another password")
				return err
			default:
			}
			g, err := a.auth.Login(t.Context(), "bob", password, "")
			if err == nil {
				grants <- g
			}
			return err
		}) {
			if err != nil {
				wantCode(t, err, model.CodeInvalidCredentials)
			}
		}
		close(grants)
		for g := range grants {
			_, err := a.auth.Refresh(t.Context(), g.RefreshToken)
			wantCode(t, err, model.CodeTokenRevoked)
		}
		_, err := a.auth.Login(t.Context(), "bob", "another password", "")
		ok(t, err)
	})
}
