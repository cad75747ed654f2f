package service_test

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/golang-jwt/jwt/v5"
	"github.com/redis/go-redis/v9"

	"ackbox/internal/testenv"
	"ackbox/model"
	"ackbox/service"
)

const (
	jwtSecret  = "3c1f5d0a9e7b2486af10d2c4b6e89753"
	accessTTL  = time.Minute
	refreshTTL = time.Hour
)

// steps is an id source that counts.
type steps struct{ n atomic.Int64 }

func (s *steps) Next() (int64, error) { return int64(model.System) + s.n.Add(1), nil } // ids of the server are above the system's

// accounts is a node's Auth and Users with a clock that the test turns.
type accounts struct {
	t     *testing.T
	store *model.Store
	auth  *service.Auth
	users *service.Users
	redis *miniredis.Miniredis
	ids   *steps
	ahead *atomic.Int64 // of the real clock, in nanoseconds

	mu      sync.Mutex
	revoked []model.FamilyID // what OnRevoked was told
	banned  []model.UserID   // what OnBanned was told
}

// onBothStores runs a test over each database.
func onBothStores(t *testing.T, test func(t *testing.T, a *accounts)) {
	t.Helper()
	for name, options := range map[string]func(t *testing.T) model.Options{
		"SQLite": func(t *testing.T) model.Options {
			t.Helper()
			return model.Options{SQLitePath: filepath.Join(t.TempDir(), "a.db")}
		},
		"MySQL": func(t *testing.T) model.Options { t.Helper(); return model.Options{MySQLDSN: testenv.MySQL(t)} },
	} {
		t.Run(name, func(t *testing.T) {
			store, err := model.Open(t.Context(), options(t))
			ok(t, err)
			t.Cleanup(func() { ok(t, store.Close()) })
			ok(t, store.Migrate(t.Context()))
			test(t, newAccounts(t, store, miniredis.RunT(t), &steps{}, &atomic.Int64{}))
		})
	}
}

// cheapPasswords is what a hash takes in tests, in KiB: nearly nothing.
const cheapPasswords = 64

func newAccounts(t *testing.T, store *model.Store, server *miniredis.Miniredis, ids *steps, ahead *atomic.Int64) *accounts {
	t.Helper()
	return newAccountsHashing(t, store, server, ids, ahead, cheapPasswords)
}

// newAccountsHashing is newAccounts on a node whose hashes of passwords take memory KiB.
func newAccountsHashing(t *testing.T, store *model.Store, server *miniredis.Miniredis, ids *steps, ahead *atomic.Int64, memory uint32) *accounts {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: server.Addr(), MaxRetries: -1, DialTimeout: time.Second})
	t.Cleanup(func() { ok(t, client.Close()) })
	a := &accounts{t: t, store: store, redis: server, ids: ids, ahead: ahead}
	var err error
	a.auth, err = service.NewAuth(service.AuthOptions{
		Store: store, IDs: ids, Redis: client, Secret: []byte(jwtSecret), AccessTTL: accessTTL, RefreshTTL: refreshTTL, PasswordMemory: memory,
		Now: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) },
	})
	ok(t, err)
	a.auth.OnRevoked = func(_ context.Context, _ model.UserID, family model.FamilyID) {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.revoked = append(a.revoked, family)
	}
	a.auth.OnBanned = func(_ context.Context, user model.UserID) {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.banned = append(a.banned, user)
	}
	a.users = service.NewUsers(store, a.auth)
	return a
}

// otherNode is another process over the same databases.
func (a *accounts) otherNode() *accounts {
	a.t.Helper()
	return newAccounts(a.t, a.store, a.redis, a.ids, a.ahead)
}

// pass lets time go by, for Redis too.
func (a *accounts) pass(d time.Duration) {
	a.ahead.Add(int64(d))
	a.redis.FastForward(d)
}

const password = "correct horse battery"

func (a *accounts) register(name string) *service.Grant {
	a.t.Helper()
	g, err := a.auth.Register(a.t.Context(), service.Registration{Username: name, Password: password})
	ok(a.t, err)
	return g
}

func (a *accounts) claims(g *service.Grant) service.Claims {
	a.t.Helper()
	c, err := a.auth.VerifyAccess(g.AccessToken)
	ok(a.t, err)
	return c
}

func (a *accounts) told() (revoked []model.FamilyID, banned []model.UserID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.revoked), slices.Clone(a.banned)
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantCode(t *testing.T, err error, want model.Code) {
	t.Helper()
	if got := model.CodeOf(err); got != want {
		t.Errorf("got %q (%v), want %q", got, err, want)
	}
}

func TestRegister(t *testing.T) {
	onBothStores(t, func(t *testing.T, a *accounts) {
		g := a.register("Ada.L-1_x")
		if g.User.Username != "ada.l-1_x" || g.User.DisplayName != "ada.l-1_x" || g.User.Role != model.RoleUser {
			t.Errorf("got %+v", g.User)
		}
		if c := a.claims(g); c.UserID != g.User.ID || c.Role != model.RoleUser || !c.ExpiresAt.Equal(g.ExpiresAt) || c.FamilyID == 0 {
			t.Errorf("claims: got %+v", c)
		}
		stored, err := a.store.UserByID(t.Context(), g.User.ID)
		ok(t, err)
		if *stored != *g.User {
			t.Errorf("stored %+v, answered %+v", stored, g.User)
		}
		_, err = a.auth.Register(t.Context(), service.Registration{Username: "ADA.L-1_X", Password: password})
		wantCode(t, err, model.CodeUsernameTaken)

		_, err = a.auth.Register(t.Context(), service.Registration{Username: "a b", Password: "short", DisplayName: " "})
		wantCode(t, err, model.CodeValidation)
		if text := fmt.Sprint(err); strings.Contains(text, "short") {
			t.Errorf("the password is in the error: %s", text)
		}
		for _, bad := range []service.Registration{
			{Username: "ab", Password: password}, {Username: strings.Repeat("a", 33), Password: password}, {Username: "\u212aelvin", Password: password},
			{Username: "eve", Password: "nine char"}, {Username: "eve", Password: strings.Repeat("é", 129)}, {Username: "eve", Password: "not UTF-8 \xff"},
			{Username: "eve", Password: password, DisplayName: strings.Repeat("é", 65)}, {Username: "eve", Password: password, DisplayName: "\x00"},
		} {
			_, err = a.auth.Register(t.Context(), bad)
			wantCode(t, err, model.CodeValidation)
		}
		_, err = a.auth.Register(t.Context(), service.Registration{Username: "eve", Password: strings.Repeat("é", 128), DisplayName: strings.Repeat("👋", 64)})
		ok(t, err)
	})
}

func TestRacingRegistrationsMakeOneAccount(t *testing.T) {
	onBothStores(t, func(t *testing.T, a *accounts) {
		errs := race(8, func() error {
			_, err := a.auth.Register(t.Context(), service.Registration{Username: "ada", Password: password})
			return err
		})
		won := 0
		for _, err := range errs {
			if err == nil {
				won++
				continue
			}
			wantCode(t, err, model.CodeUsernameTaken)
		}
		if won != 1 {
			t.Errorf("%d of 8 won", won)
		}
	})
}

// race runs f n times at once.
func race(n int, f func() error) []error {
	errs := make([]error, n)
	var all sync.WaitGroup
	for i := range errs {
		all.Go(func() { errs[i] = f() })
	}
	all.Wait()
	return errs
}

func TestLogin(t *testing.T) {
	onBothStores(t, func(t *testing.T, a *accounts) {
		ada := a.register("ada")
		g, err := a.auth.Login(t.Context(), "ADA", password, "")
		ok(t, err)
		if g.User.ID != ada.User.ID || a.claims(g).FamilyID == a.claims(ada).FamilyID {
			t.Errorf("got %+v in family %s", g.User, a.claims(g).FamilyID)
		}
		_, wrong := a.auth.Login(t.Context(), "ada", password+"!", "")
		wantCode(t, wrong, model.CodeInvalidCredentials)
		for _, nobody := range []string{"nobody", "", "ä", "x' or 1=1", strings.Repeat("a", 1000)} {
			_, err := a.auth.Login(t.Context(), nobody, password, "")
			if fmt.Sprint(err) != fmt.Sprint(wrong) {
				t.Errorf("%q: got %v, want %v", nobody, err, wrong)
			}
		}
	})
}

// TestLoginDoesTheSameWork: an unknown name costs a hash, as a wrong password does, so that
// the time of the answer tells nothing. What is compared is the memory that argon2id fills (tens of MiB),
// because time is as noisy as the machine.
func TestLoginDoesTheSameWork(t *testing.T) {
	store, err := model.Open(t.Context(), model.Options{SQLitePath: filepath.Join(t.TempDir(), "a.db")})
	ok(t, err)
	t.Cleanup(func() { ok(t, store.Close()) })
	ok(t, store.Migrate(t.Context()))
	a := newAccountsHashing(t, store, miniredis.RunT(t), &steps{}, &atomic.Int64{}, service.PasswordMemory)
	a.register("ada")
	filled := func(name string) uint64 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := a.auth.Login(t.Context(), name, "a wrong password", "")
		wantCode(t, err, model.CodeInvalidCredentials)
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	if known, unknown := filled("ada"), filled("nobody"); known < 10<<20 || unknown < known/2 || unknown > known*2 {
		t.Errorf("a wrong password fills %d bytes, an unknown name %d", known, unknown)
	}
}

// TestLoginRenewsHashes: an operator changes what hashes cost; the next login makes the account's again, a wrong
// password does not, and both passwords and other nodes' older hashes go on working.
func TestLoginRenewsHashes(t *testing.T) {
	onBothStores(t, func(t *testing.T, a *accounts) {
		ada := a.register("ada").User.ID
		hash := func() string {
			t.Helper()
			c, err := a.store.CredentialOf(t.Context(), ada)
			ok(t, err)
			return c.Hash
		}
		old := hash()
		_, err := a.auth.Login(t.Context(), "ada", password, "")
		ok(t, err)
		if hash() != old {
			t.Error("a hash of the same cost was made again")
		}
		later := newAccountsHashing(t, a.store, a.redis, a.ids, a.ahead, 2*cheapPasswords)
		_, err = later.auth.Login(t.Context(), "ada", password+"!", "")
		wantCode(t, err, model.CodeInvalidCredentials)
		if hash() != old {
			t.Error("a wrong password renewed the hash")
		}
		_, err = later.auth.Login(t.Context(), "ada", password, "")
		ok(t, err)
		if renewed := hash(); renewed == old || !strings.Contains(renewed, "$m=128,t=2,p=1$") {
			t.Errorf("the hash is %s, was %s", renewed, old)
		}
		_, err = later.auth.Login(t.Context(), "ada", password, "")
		ok(t, err)
	})
}

func TestRefreshRotates(t *testing.T) {
	onBothStores(t, func(t *testing.T, a *accounts) {
		first := a.register("ada")
		family := a.claims(first).FamilyID
		second, err := a.auth.Refresh(t.Context(), first.RefreshToken)
		ok(t, err)
		third, err := a.auth.Refresh(t.Context(), second.RefreshToken)
		ok(t, err)
		if a.claims(third).FamilyID != family || third.RefreshToken == second.RefreshToken {
			t.Errorf("family %s, want %s", a.claims(third).FamilyID, family)
		}
		if revoked, _ := a.told(); len(revoked) != 0 {
			t.Errorf("revoked %v", revoked)
		}

		_, err = a.auth.Refresh(t.Context(), first.RefreshToken)
		wantCode(t, err, model.CodeRefreshReused)
		_, err = a.auth.VerifyAccess(third.AccessToken)
		wantCode(t, err, model.CodeTokenRevoked)
		_, err = a.auth.Refresh(t.Context(), third.RefreshToken)
		wantCode(t, err, model.CodeTokenRevoked)
		if revoked, _ := a.told(); !slices.Equal(revoked, []model.FamilyID{family}) {
			t.Errorf("told of %v, want %s", revoked, family)
		}
		_, err = a.auth.Refresh(t.Context(), first.RefreshToken)
		wantCode(t, err, model.CodeRefreshReused)

		_, err = a.auth.Refresh(t.Context(), "nothing")
		wantCode(t, err, model.CodeUnauthenticated)
		_, err = a.auth.Login(t.Context(), "ada", password, "")
		ok(t, err)
	})
}

func TestRefreshExpires(t *testing.T) {
	onBothStores(t, func(t *testing.T, a *accounts) {
		g := a.register("ada")
		a.pass(refreshTTL - time.Second)
		g, err := a.auth.Refresh(t.Context(), g.RefreshToken)
		ok(t, err)
		a.pass(refreshTTL)
		_, err = a.auth.Refresh(t.Context(), g.RefreshToken)
		wantCode(t, err, model.CodeTokenExpired)
	})
}

func TestRacingRefreshesEndTheFamily(t *testing.T) {
	onBothStores(t, func(t *testing.T, a *accounts) {
		for range 5 {
			g, err := a.auth.Login(t.Context(), a.register(fmt.Sprintf("ada%d", a.ids.n.Load())).User.Username, password, "")
			ok(t, err)
			var won atomic.Pointer[service.Grant]
			errs := race(4, func() error {
				next, err := a.auth.Refresh(t.Context(), g.RefreshToken)
				if err == nil {
					won.Store(next)
				}
				return err
			})
			wins := 0
			for _, err := range errs {
				if err == nil {
					wins++
					continue
				}
				wantCode(t, err, model.CodeRefreshReused)
			}
			if wins != 1 {
				t.Fatalf("%d of 4 refreshes with one token won", wins)
			}
			_, err = a.auth.VerifyAccess(won.Load().AccessToken)
			wantCode(t, err, model.CodeTokenRevoked)
		}
	})
}

func TestLogout(t *testing.T) {
	onBothStores(t, func(t *testing.T, a *accounts) {
		g, other := a.register("ada"), a.register("bob")
		c := a.claims(g)
		wantCode(t, a.auth.Logout(t.Context(), a.claims(other), g.RefreshToken), model.CodeUnauthenticated)
		wantCode(t, a.auth.Logout(t.Context(), c, "nothing"), model.CodeUnauthenticated)
		a.claims(g)
		ok(t, a.auth.Logout(t.Context(), c, g.RefreshToken))
		ok(t, a.auth.Logout(t.Context(), c, g.RefreshToken))
		_, err := a.auth.VerifyAccess(g.AccessToken)
		wantCode(t, err, model.CodeTokenRevoked)
		_, err = a.auth.Refresh(t.Context(), g.RefreshToken)
		wantCode(t, err, model.CodeTokenRevoked)
		a.claims(other)
	})
}

func TestVerifyAccess(t *testing.T) {
	store, err := model.Open(t.Context(), model.Options{SQLitePath: filepath.Join(t.TempDir(), "a.db")})
	ok(t, err)
	t.Cleanup(func() { ok(t, store.Close()) })
	a := newAccounts(t, store, miniredis.RunT(t), &steps{}, &atomic.Int64{})
	good := func() jwt.MapClaims {
		return jwt.MapClaims{"iss": "ackbox", "aud": "ackbox", "sub": "7", "sid": "8", "role": "user", "exp": time.Now().Add(time.Minute).Unix()}
	}
	sign := func(method jwt.SigningMethod, key any, change func(jwt.MapClaims)) string {
		c := good()
		change(c)
		token, err := jwt.NewWithClaims(method, c).SignedString(key)
		ok(t, err)
		return token
	}
	secret := []byte(jwtSecret)
	c, err := a.auth.VerifyAccess(sign(jwt.SigningMethodHS256, secret, func(jwt.MapClaims) {}))
	ok(t, err)
	if c.UserID != 7 || c.FamilyID != 8 || c.Role != model.RoleUser {
		t.Errorf("got %+v", c)
	}
	for name, tt := range map[string]struct {
		token string
		want  model.Code
	}{
		"no algorithm":      {sign(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, func(jwt.MapClaims) {}), model.CodeUnauthenticated},
		"another algorithm": {sign(jwt.SigningMethodHS512, secret, func(jwt.MapClaims) {}), model.CodeUnauthenticated},
		"another secret":    {sign(jwt.SigningMethodHS256, []byte(strings.Repeat("x", 32)), func(jwt.MapClaims) {}), model.CodeUnauthenticated},
		"another issuer":    {sign(jwt.SigningMethodHS256, secret, func(c jwt.MapClaims) { c["iss"] = "other" }), model.CodeUnauthenticated},
		"no issuer":         {sign(jwt.SigningMethodHS256, secret, func(c jwt.MapClaims) { delete(c, "iss") }), model.CodeUnauthenticated},
		"another audience":  {sign(jwt.SigningMethodHS256, secret, func(c jwt.MapClaims) { c["aud"] = "other" }), model.CodeUnauthenticated},
		"no audience":       {sign(jwt.SigningMethodHS256, secret, func(c jwt.MapClaims) { delete(c, "aud") }), model.CodeUnauthenticated},
		"no end":            {sign(jwt.SigningMethodHS256, secret, func(c jwt.MapClaims) { delete(c, "exp") }), model.CodeUnauthenticated},
		"no user":           {sign(jwt.SigningMethodHS256, secret, func(c jwt.MapClaims) { c["sub"] = "me" }), model.CodeUnauthenticated},
		"no family":         {sign(jwt.SigningMethodHS256, secret, func(c jwt.MapClaims) { delete(c, "sid") }), model.CodeUnauthenticated},
		"expired":           {sign(jwt.SigningMethodHS256, secret, func(c jwt.MapClaims) { c["exp"] = time.Now().Add(-time.Second).Unix() }), model.CodeTokenExpired},
		"expired and false": {sign(jwt.SigningMethodHS256, []byte(strings.Repeat("x", 32)), func(c jwt.MapClaims) { c["exp"] = 1 }), model.CodeUnauthenticated},
		"garbage":           {"a.b.c", model.CodeUnauthenticated},
		"nothing":           {"", model.CodeUnauthenticated},
		"too long":          {strings.Repeat("a", 1<<20), model.CodeUnauthenticated},
	} {
		t.Run(name, func(t *testing.T) {
			for range 2 { // the second time from what is remembered
				_, err := a.auth.VerifyAccess(tt.token)
				wantCode(t, err, tt.want)
			}
		})
	}
	t.Run("remembered and then expired", func(t *testing.T) {
		token := sign(jwt.SigningMethodHS256, secret, func(jwt.MapClaims) {})
		_, err := a.auth.VerifyAccess(token)
		ok(t, err)
		a.pass(time.Minute + time.Second)
		_, err = a.auth.VerifyAccess(token)
		wantCode(t, err, model.CodeTokenExpired)
	})
}

func TestTickets(t *testing.T) {
	onBothStores(t, func(t *testing.T, a *accounts) {
		g := a.register("ada")
		c := a.claims(g)
		fresh := func() string {
			t.Helper()
			ticket, err := a.auth.Ticket(t.Context(), c)
			ok(t, err)
			return ticket.Value
		}
		value := fresh()
		got, err := a.otherNode().auth.RedeemTicket(t.Context(), value)
		ok(t, err)
		if got != c {
			t.Errorf("got %+v, want %+v", got, c)
		}
		_, err = a.auth.RedeemTicket(t.Context(), value)
		wantCode(t, err, model.CodeUnauthenticated)
		_, err = a.auth.RedeemTicket(t.Context(), "nothing")
		wantCode(t, err, model.CodeUnauthenticated)

		value = fresh()
		wins := 0
		for _, err := range race(8, func() error { _, err := a.auth.RedeemTicket(t.Context(), value); return err }) {
			if err == nil {
				wins++
			}
		}
		if wins != 1 {
			t.Errorf("a ticket was good for %d sockets", wins)
		}

		value = fresh()
		a.pass(service.TicketTTL + time.Second)
		_, err = a.auth.RedeemTicket(t.Context(), value)
		wantCode(t, err, model.CodeUnauthenticated)

		value = fresh()
		ok(t, a.auth.Logout(t.Context(), c, g.RefreshToken))
		_, err = a.auth.RedeemTicket(t.Context(), value)
		wantCode(t, err, model.CodeTokenRevoked)

		a.redis.Close()
		_, err = a.auth.Ticket(t.Context(), c)
		wantCode(t, err, model.CodeUnavailable)
		_, err = a.auth.RedeemTicket(t.Context(), value)
		wantCode(t, err, model.CodeUnavailable)
	})
}

func TestAnotherNodeLearnsOfRevocations(t *testing.T) {
	onBothStores(t, func(t *testing.T, a *accounts) {
		b := a.otherNode()
		ada, bob := a.register("ada"), a.register("bob")
		family := a.claims(ada).FamilyID
		ok(t, b.auth.LoadRevoked(t.Context()))
		ok(t, a.auth.Logout(t.Context(), a.claims(ada), ada.RefreshToken))
		ok(t, a.users.Ban(t.Context(), 0, bob.User.ID))
		b.claims(ada) // it has not heard yet

		ok(t, b.auth.LoadRevoked(t.Context()))
		ok(t, b.auth.LoadRevoked(t.Context()))
		_, err := b.auth.VerifyAccess(ada.AccessToken)
		wantCode(t, err, model.CodeTokenRevoked)
		_, err = b.auth.VerifyAccess(bob.AccessToken)
		wantCode(t, err, model.CodeBanned)
		revoked, banned := b.told()
		if !slices.Equal(revoked, []model.FamilyID{family}) || !slices.Equal(banned, []model.UserID{bob.User.ID}) {
			t.Errorf("told of %v and %v", revoked, banned)
		}

		ok(t, a.users.Unban(t.Context(), bob.User.ID))
		ok(t, b.auth.LoadRevoked(t.Context()))
		again, err := b.auth.Login(t.Context(), "bob", password, "")
		ok(t, err)
		b.claims(again)
		_, err = b.auth.VerifyAccess(bob.AccessToken)
		wantCode(t, err, model.CodeTokenRevoked)

		if b.auth.Revoked(family) {
			t.Error("an old revocation is news")
		}
		a.pass(accessTTL + 2*time.Minute)
		ok(t, b.auth.LoadRevoked(t.Context()))
		if !b.auth.Revoked(family) {
			t.Error("a revocation is remembered for longer than any access token lives")
		}
	})
}

func TestAFreshNodeLearnsAllRevocations(t *testing.T) {
	onBothStores(t, func(t *testing.T, a *accounts) {
		now := model.MillisOf(time.Now())
		const families = 1203 // more than two pages, all of one moment
		for i := range families {
			ok(t, a.store.CreateFamily(t.Context(), &model.TokenFamily{ID: model.FamilyID(i + 1), UserID: 7, CreatedAt: now, ExpiresAt: now.Add(refreshTTL), RevokedAt: now}))
		}
		ok(t, a.auth.LoadRevoked(t.Context()))
		if revoked, _ := a.told(); len(revoked) != families {
			t.Errorf("learnt of %d, want %d", len(revoked), families)
		}
	})
}

func TestPruneTokens(t *testing.T) {
	onBothStores(t, func(t *testing.T, a *accounts) {
		old := a.register("ada")
		now := model.MillisOf(time.Now())
		for i := range 1100 {
			ok(t, a.store.CreateFamily(t.Context(), &model.TokenFamily{ID: model.FamilyID(1e6 + i), UserID: 7, CreatedAt: now, ExpiresAt: now}))
		}
		a.pass(refreshTTL + accessTTL + 2*time.Minute)
		young, err := a.auth.Login(t.Context(), "ada", password, "")
		ok(t, err)
		ok(t, a.auth.PruneTokens(t.Context()))
		_, err = a.auth.Refresh(t.Context(), old.RefreshToken)
		wantCode(t, err, model.CodeUnauthenticated) // not even expired: gone
		_, err = a.auth.Refresh(t.Context(), young.RefreshToken)
		ok(t, err)
		left, err := a.store.PruneFamilies(t.Context(), model.MillisOf(time.Now().Add(time.Duration(a.ahead.Load())+24*time.Hour)), 5000)
		ok(t, err)
		if left != 1 {
			t.Errorf("%d families were left, want 1", left)
		}
	})
}
