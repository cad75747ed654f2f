package service

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"ackbox/model"
)

// clockSkew is how far the clocks of two nodes may be apart without a revocation
// being missed.
const clockSkew = time.Minute

// pageOfTokens bounds one reading or deleting of token rows.
const pageOfTokens = 500

// AuthOptions is what Auth needs. All fields but Now are required.
type AuthOptions struct {
	Store *model.Store
	IDs   interface{ Next() (int64, error) }
	Redis redis.Cmdable // keeps tickets; nothing else

	Installation string // names this deployment's keys in Redis

	Secret     []byte // signs access tokens, at least 32 bytes, the same on all nodes
	AccessTTL  time.Duration
	RefreshTTL time.Duration
	Now        func() time.Time // nil: time.Now

	PasswordMemory uint32 // of one hash, in KiB, at least 8; see the constant
}

// Auth says who someone is: it makes accounts, logs in and out, and verifies access
// tokens. Refresh tokens work once; their second use ends the whole family.
type Auth struct {
	// OnRevoked is told of a family that was ended here, or that another node ended
	// and this one found in the store. The user's sockets of that family are to close
	// with 4001 and the other nodes to be told. Set before use; nil does nothing.
	OnRevoked func(ctx context.Context, user model.UserID, family model.FamilyID)
	// OnBanned is told of a banned account in the same way: its sockets close with 4003.
	OnBanned func(ctx context.Context, user model.UserID)
	// OnUnbanned is told of an account that may log in again; the other nodes are to be told.
	OnUnbanned func(ctx context.Context, user model.UserID)

	store        *model.Store
	ids          interface{ Next() (int64, error) }
	redis        redis.Cmdable
	ticketRest   rest // of Redis
	installation string
	now          func() time.Time
	refreshTTL   time.Duration
	passwords    *passwords
	tokens       *accessTokens
	revocations  *Revocations

	loading  sync.Mutex   // one LoadRevoked at a time
	loadedTo model.Millis // what has been read from the store
}

// NewAuth checks its options and makes an Auth.
func NewAuth(o AuthOptions) (*Auth, error) {
	if o.Store == nil || o.IDs == nil || o.Redis == nil || len(o.Secret) < 32 || o.AccessTTL <= 0 || o.RefreshTTL <= 0 || o.PasswordMemory < 8 {
		return nil, errors.New("auth: a store, ids, redis, a secret of 32 bytes, two lifetimes and 8 KiB for a hash are needed")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	passwords, err := newPasswords(o.PasswordMemory)
	if err != nil {
		return nil, err
	}
	tokens, err := newAccessTokens(o.Secret, o.AccessTTL, o.Now)
	if err != nil {
		return nil, err
	}
	return &Auth{
		store: o.Store, ids: o.IDs, redis: o.Redis, installation: o.Installation, now: o.Now, refreshTTL: o.RefreshTTL,
		passwords: passwords, tokens: tokens, revocations: newRevocations(),
	}, nil
}

// Grant is what a register, login or refresh gives: an access token until ExpiresAt
// and the refresh token for the time after.
type Grant struct {
	User         *model.User
	AccessToken  string
	RefreshToken string
	ExpiresAt    time.Time
}

// Registration is who wants an account. An empty DisplayName means the username.
type Registration struct {
	Username    string // 3 to 32 of a-z A-Z 0-9 . _ -; folded to lower case
	Password    string // 10 to 128 characters
	DisplayName string // 1 to 64 characters
	From        string // the network of who asks, as for Login
}

// Register makes an account and logs it in. Errors: CodeValidation, CodeUsernameTaken.
func (a *Auth) Register(ctx context.Context, r Registration) (*Grant, error) {
	user, credential, err := a.newAccount(ctx, r, model.RoleUser)
	if err != nil {
		return nil, err
	}
	family, err := a.newFamily(user.ID)
	if err != nil {
		return nil, err
	}
	refresh, row := a.newRefresh(family)
	err = a.store.Tx(ctx, func(tx *model.Store) error {
		if err := storeAccount(ctx, tx, user, credential); err != nil {
			return err
		}
		return storeLogin(ctx, tx, family, row)
	})
	if err != nil {
		return nil, fmt.Errorf("register: %w", err)
	}
	return a.grant(user, family.ID, refresh)
}

// newAccount checks a registration and hashes its password; nothing is stored yet.
func (a *Auth) newAccount(ctx context.Context, r Registration, role model.Role) (*model.User, *model.Credential, error) {
	name := foldUsername(r.Username)
	if r.DisplayName == "" {
		r.DisplayName = name
	}
	if err := joinInvalid(checkUsername(name), checkPassword("body.password", r.Password), checkDisplayName(r.DisplayName)); err != nil {
		return nil, nil, err
	}
	switch _, err := a.store.UserByUsername(ctx, name); {
	case err == nil: // the unique key has the last word; this saves the hash
		return nil, nil, model.NewError(model.CodeUsernameTaken, "the username %q is taken", name)
	case model.CodeOf(err) != model.CodeNotFound:
		return nil, nil, err
	}
	hash, err := a.passwords.hash(ctx, r.Password)
	if err != nil {
		return nil, nil, err
	}
	id, err := a.ids.Next()
	if err != nil {
		return nil, nil, fmt.Errorf("user id: %w", err)
	}
	user := &model.User{ID: model.UserID(id), Username: name, DisplayName: r.DisplayName, Role: role, CreatedAt: model.MillisOf(a.now())}
	return user, &model.Credential{UserID: user.ID, Hash: hash, UpdatedAt: user.CreatedAt, Networks: a.withNetwork("", user.ID, r.From)}, nil
}

func storeAccount(ctx context.Context, tx *model.Store, user *model.User, credential *model.Credential) error {
	if err := tx.CreateUser(ctx, user); err != nil {
		return err
	}
	return tx.CreateCredential(ctx, credential)
}

func storeLogin(ctx context.Context, tx *model.Store, family *model.TokenFamily, refresh *model.RefreshToken) error {
	if err := tx.CreateFamily(ctx, family); err != nil {
		return err
	}
	return tx.CreateRefreshToken(ctx, refresh)
}

// Refresh uses a refresh token up and gives the family's next tokens. Errors:
// CodeUnauthenticated (not ours), CodeRefreshReused (second use: the family has
// ended now), CodeTokenRevoked, CodeTokenExpired, CodeBanned.
func (a *Auth) Refresh(ctx context.Context, refreshToken string) (*Grant, error) {
	hash := hashSecret(refreshToken)
	var (
		user    *model.User
		family  *model.TokenFamily
		refresh string
		refused error // the answer of a transaction that is committed all the same
	)
	err := a.store.Tx(ctx, func(tx *model.Store) error {
		refused = nil
		old, of, err := tx.LockRefreshToken(ctx, hash)
		if err != nil {
			return err
		}
		family = of
		now := model.MillisOf(a.now())
		switch {
		case old.UsedAt != 0:
			refused = model.NewError(model.CodeRefreshReused, "this refresh token has been used before; the whole session has ended")
			return tx.RevokeFamily(ctx, family.ID, now)
		case family.RevokedAt != 0:
			return model.NewError(model.CodeTokenRevoked, "the session has ended")
		case old.ExpiresAt <= now:
			return model.NewError(model.CodeTokenExpired, "the refresh token has expired")
		}
		if user, err = tx.UserByID(ctx, family.UserID); err != nil {
			return err
		}
		if user.Banned() {
			return errBanned()
		}
		if err := tx.UseRefreshToken(ctx, hash, now); err != nil {
			return err
		}
		var row *model.RefreshToken
		refresh, row = a.newRefresh(family)
		return tx.CreateRefreshToken(ctx, row)
	})
	switch {
	case model.CodeOf(err) == model.CodeNotFound:
		return nil, model.NewError(model.CodeUnauthenticated, "this is not a refresh token of this server")
	case err != nil:
		return nil, fmt.Errorf("refresh: %w", err)
	case refused != nil:
		a.revoked(ctx, family.UserID, family.ID)
		return nil, refused
	}
	return a.grant(user, family.ID, refresh)
}

// Logout ends the family of a refresh token of the caller's. Repeating it changes
// nothing; somebody else's token, or none of ours, is CodeUnauthenticated.
func (a *Auth) Logout(ctx context.Context, caller Claims, refreshToken string) error {
	var family *model.TokenFamily
	err := a.store.Tx(ctx, func(tx *model.Store) error {
		_, of, err := tx.LockRefreshToken(ctx, hashSecret(refreshToken))
		if err != nil {
			return err
		}
		if of.UserID != caller.UserID {
			return model.NotFound("refresh token")
		}
		family = of
		return tx.RevokeFamily(ctx, family.ID, model.MillisOf(a.now()))
	})
	if model.CodeOf(err) == model.CodeNotFound {
		return model.NewError(model.CodeUnauthenticated, "this is not a refresh token of yours")
	}
	if err != nil {
		return fmt.Errorf("logout: %w", err)
	}
	a.revoked(ctx, family.UserID, family.ID)
	return nil
}

// VerifyAccess says whose access token this is. It does no I/O. Errors:
// CodeUnauthenticated, CodeTokenExpired, CodeTokenRevoked, CodeBanned.
func (a *Auth) VerifyAccess(token string) (Claims, error) {
	c, err := a.tokens.verify(token)
	if err != nil {
		return Claims{}, err
	}
	if err := a.revocations.check(c); err != nil {
		return Claims{}, err
	}
	return c, nil
}

// Ended is nil, or why the tokens of a login are no good any more (CodeTokenRevoked,
// CodeBanned). It does no I/O. Whoever has taken a token asks it again after making
// something that a revocation must find.
func (a *Auth) Ended(user model.UserID, family model.FamilyID) error {
	return a.revocations.check(Claims{UserID: user, FamilyID: family})
}

// Revoked takes another node's word that a family has ended, and says whether that
// is news. It calls no hook: the caller closes the sockets.
func (a *Auth) Revoked(family model.FamilyID) bool {
	return a.revocations.revoke(family, a.remember())
}

// Banned takes another node's word that an account is banned, like Revoked.
func (a *Auth) Banned(user model.UserID) bool { return a.revocations.ban(user, a.remember()) }

// Unbanned takes another node's word that an account may log in again.
func (a *Auth) Unbanned(user model.UserID) { a.revocations.unban(user) }

// LoadRevoked reads from the store which families have ended since it last looked
// (at first: in the last access token's life) and calls the hooks for what is news.
// A job calls it every few seconds, and main once before the server listens.
func (a *Auth) LoadRevoked(ctx context.Context) error {
	a.loading.Lock()
	defer a.loading.Unlock()
	now := a.now()
	since := max(model.MillisOf(now.Add(-a.tokens.ttl-clockSkew)), a.loadedTo.Add(-clockSkew))
	for after := model.FamilyID(0); ; {
		page, err := a.store.RevokedSince(ctx, since, after, pageOfTokens)
		if err != nil {
			return err
		}
		if err := a.learn(ctx, page); err != nil {
			return err
		}
		if len(page) < pageOfTokens {
			break
		}
		since, after = page[len(page)-1].RevokedAt, page[len(page)-1].ID
	}
	if err := a.recheckBans(ctx); err != nil {
		return err
	}
	a.loadedTo = model.MillisOf(now)
	a.revocations.forget(now)
	return nil
}

// recheckBans forgets the bans that have been lifted on another node.
func (a *Auth) recheckBans(ctx context.Context) error {
	known := a.revocations.bans()
	if len(known) == 0 {
		return nil
	}
	still, err := a.store.BannedAmong(ctx, known)
	if err != nil {
		return err
	}
	for _, id := range known {
		if !slices.Contains(still, id) {
			a.Unbanned(id)
		}
	}
	return nil
}

func (a *Auth) learn(ctx context.Context, families []model.TokenFamily) error {
	var users []model.UserID
	var news []model.TokenFamily
	for _, f := range families {
		if a.Revoked(f.ID) {
			news = append(news, f)
			users = append(users, f.UserID)
		}
	}
	if len(news) == 0 {
		return nil
	}
	banned, err := a.store.BannedAmong(ctx, users)
	if err != nil {
		for _, f := range news { // so that the next reading finds them new
			a.revocations.unrevoke(f.ID)
		}
		return err
	}
	out := map[model.UserID]bool{}
	for _, id := range banned {
		out[id] = true
		a.banned(ctx, id)
	}
	for _, f := range news {
		if !out[f.UserID] && a.OnRevoked != nil {
			a.OnRevoked(ctx, f.UserID, f.ID)
		}
	}
	return nil
}

// PruneTokens deletes the refresh tokens that have expired, and the families that
// no access token can belong to any more, in pages. A job calls it.
func (a *Auth) PruneTokens(ctx context.Context) error {
	now := a.now()
	for n := pageOfTokens; n == pageOfTokens; {
		var err error
		if n, err = a.store.PruneRefreshTokens(ctx, model.MillisOf(now), pageOfTokens); err != nil {
			return err
		}
	}
	for n := pageOfTokens; n == pageOfTokens; {
		var err error
		if n, err = a.store.PruneFamilies(ctx, model.MillisOf(now.Add(-a.tokens.ttl-clockSkew)), pageOfTokens); err != nil {
			return err
		}
	}
	return nil
}

// revoked makes a family's end, which is committed, known here and tells the hook.
func (a *Auth) revoked(ctx context.Context, user model.UserID, family model.FamilyID) {
	a.Revoked(family)
	if a.OnRevoked != nil {
		a.OnRevoked(context.WithoutCancel(ctx), user, family)
	}
}

// banned does the same for a banned account.
func (a *Auth) banned(ctx context.Context, user model.UserID) {
	if a.Banned(user) && a.OnBanned != nil {
		a.OnBanned(context.WithoutCancel(ctx), user)
	}
}

// remember is until when a revocation matters: the end of the last access token
// that a node could have made before it heard of it.
func (a *Auth) remember() time.Time { return a.now().Add(a.tokens.ttl + clockSkew) }

func (a *Auth) newFamily(user model.UserID) (*model.TokenFamily, error) {
	id, err := a.ids.Next()
	if err != nil {
		return nil, fmt.Errorf("family id: %w", err)
	}
	now := a.now()
	return &model.TokenFamily{ID: model.FamilyID(id), UserID: user, CreatedAt: model.MillisOf(now), ExpiresAt: model.MillisOf(now.Add(a.refreshTTL))}, nil
}

func (a *Auth) newRefresh(family *model.TokenFamily) (string, *model.RefreshToken) {
	value, hash := newSecret()
	return value, &model.RefreshToken{Hash: hash, FamilyID: family.ID, ExpiresAt: model.MillisOf(a.now().Add(a.refreshTTL))}
}

func (a *Auth) grant(user *model.User, family model.FamilyID, refresh string) (*Grant, error) {
	access, claims, err := a.tokens.sign(Claims{UserID: user.ID, FamilyID: family, Role: user.Role})
	if err != nil {
		return nil, err
	}
	return &Grant{User: user, AccessToken: access, RefreshToken: refresh, ExpiresAt: claims.ExpiresAt}, nil
}
