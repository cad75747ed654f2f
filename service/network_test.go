package service_test

import (
	"fmt"
	"strings"
	"testing"

	"ackbox/model"
	"ackbox/service"
)

// TestLoggedInFrom: a network is known for an account after a registration or a login from it that was right, on all
// nodes, and not after any other; the latest are kept, and a new password or hash changes nothing.
func TestLoggedInFrom(t *testing.T) {
	onBothStores(t, func(t *testing.T, a *accounts) {
		other := newAccountsHashing(t, a.store, a.redis, a.ids, a.ahead, 2*cheapPasswords) // its logins renew hashes
		known := func(name, network string) bool {
			t.Helper()
			here, err := a.auth.LoggedInFrom(t.Context(), name, network)
			ok(t, err)
			there, err := other.auth.LoggedInFrom(t.Context(), name, network)
			ok(t, err)
			if here != there {
				t.Errorf("%s from %s: known here %v, there %v", name, network, here, there)
			}
			return here
		}
		expect := func(name, network string, want bool) {
			t.Helper()
			if got := known(name, network); got != want {
				t.Errorf("%s from %s: known %v, want %v", name, network, got, want)
			}
		}
		_, err := a.auth.Register(t.Context(), service.Registration{Username: "Ada", Password: password, From: "home"})
		ok(t, err)
		bob := a.register("bob")
		expect("ada", "home", true)
		expect("ADA", "home", true)
		for _, no := range [][2]string{{"ada", ""}, {"ada", "hom"}, {"bob", "home"}, {"bob", ""}, {"nobody", "home"}, {"ädä", "home"}, {"", "home"}, {"ada ", "home"}} {
			expect(no[0], no[1], false)
		}
		_, err = a.auth.Login(t.Context(), "ada", "a wrong password", "cafe")
		wantCode(t, err, model.CodeInvalidCredentials)
		expect("ada", "cafe", false)
		_, err = other.auth.Login(t.Context(), "ada", password, "cafe")
		ok(t, err)
		expect("ada", "cafe", true)
		expect("ada", "home", true)
		expect("bob", "cafe", false)

		_, err = a.users.SetPassword(t.Context(), bob.User.ID, "another password")
		ok(t, err)
		_, err = a.auth.Login(t.Context(), "bob", "another password", "office")
		ok(t, err)
		_, err = a.users.SetPassword(t.Context(), bob.User.ID, password)
		ok(t, err)
		expect("bob", "office", true)
		ok(t, a.users.EnsureAdmin(t.Context(), "root", password))
		_, err = a.auth.AdminLogin(t.Context(), "bob", password, "basement") // no admin
		wantCode(t, err, model.CodeForbidden)
		expect("bob", "basement", false)
		ok(t, a.users.Ban(t.Context(), 1, bob.User.ID))
		_, err = a.auth.Login(t.Context(), "bob", password, "cell")
		wantCode(t, err, model.CodeBanned)
		expect("bob", "cell", false)
		_, err = a.auth.AdminLogin(t.Context(), "root", password, "bridge")
		ok(t, err)
		expect("root", "bridge", true)

		// Eight are kept; one that is used again is the latest.
		for i := range 7 {
			_, err = a.auth.Login(t.Context(), "ada", password, fmt.Sprint("hotel", i))
			ok(t, err)
			_, err = a.auth.Login(t.Context(), "ada", password, "cafe")
			ok(t, err)
		}
		expect("ada", "home", false)
		expect("ada", "cafe", true)
		for i := range 7 {
			expect("ada", fmt.Sprint("hotel", i), true)
		}
		credential, err := a.store.CredentialByUsername(t.Context(), "ada")
		ok(t, err)
		if strings.Contains(credential.Networks, "cafe") || len(credential.Networks) > 255 {
			t.Errorf("what is kept of networks: %q", credential.Networks)
		}
		mark, _, _ := strings.Cut(credential.Networks, " ")
		_, err = a.auth.Register(t.Context(), service.Registration{Username: "carol", Password: password, From: "cafe"})
		ok(t, err)
		if carol, err := a.store.CredentialByUsername(t.Context(), "carol"); err != nil || carol.Networks == "" || strings.Contains(carol.Networks, mark) {
			t.Errorf("who was at the same place can be read: %+v, %v", carol, err)
		}
	})
}
