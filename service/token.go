package service

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"
	lru "github.com/hashicorp/golang-lru/v2"

	"ackbox/model"
)

// issuer is who makes access tokens and whom they are for.
const issuer = "ackbox"

// maxToken bounds what is looked at as a token, in bytes; ours have some 250.
const maxToken = 2048

// verifiedTokens bounds the tokens that are remembered as good: some 200 bytes
// each. One that is forgotten is verified again, at some 10 µs.
const verifiedTokens = 16384

// Claims is what an access token says about its bearer.
type Claims struct {
	UserID    model.UserID
	FamilyID  model.FamilyID
	Role      model.Role
	ExpiresAt time.Time
}

// accessTokens signs and verifies JWTs with HMAC-SHA256, and remembers which it has
// verified.
type accessTokens struct {
	secret   []byte
	ttl      time.Duration
	now      func() time.Time
	parser   *jwt.Parser
	verified *lru.Cache[[sha256.Size]byte, Claims]
}

type jwtClaims struct {
	Session string     `json:"sid"`
	Role    model.Role `json:"role"`
	jwt.RegisteredClaims
}

func newAccessTokens(secret []byte, ttl time.Duration, now func() time.Time) (*accessTokens, error) {
	verified, err := lru.New[[sha256.Size]byte, Claims](verifiedTokens)
	if err != nil {
		return nil, fmt.Errorf("token cache: %w", err)
	}
	return &accessTokens{
		secret: secret, ttl: ttl, now: now, verified: verified,
		parser: jwt.NewParser(
			jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}),
			jwt.WithIssuer(issuer), jwt.WithAudience(issuer), jwt.WithExpirationRequired(), jwt.WithTimeFunc(now)),
	}, nil
}

// sign makes the access token of a claim; its end is set, in whole seconds, and not after the one that
// the claim may have.
func (t *accessTokens) sign(c Claims) (string, Claims, error) {
	now := t.now()
	end := now.Add(t.ttl + time.Second - 1).Truncate(time.Second).UTC()
	if c.ExpiresAt.IsZero() || end.Before(c.ExpiresAt) {
		c.ExpiresAt = end
	}
	c.ExpiresAt = c.ExpiresAt.Truncate(time.Second).UTC()
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwtClaims{
		Session: c.FamilyID.String(),
		Role:    c.Role,
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer: issuer, Audience: jwt.ClaimStrings{issuer}, Subject: c.UserID.String(),
			IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(c.ExpiresAt),
		},
	}).SignedString(t.secret)
	if err != nil {
		return "", Claims{}, fmt.Errorf("sign access token: %w", err)
	}
	return token, c, nil
}

// verify reads an access token. Errors: CodeTokenExpired, CodeUnauthenticated.
func (t *accessTokens) verify(token string) (Claims, error) {
	if len(token) > maxToken {
		return Claims{}, model.NewError(model.CodeUnauthenticated, "this is not an access token of this server")
	}
	key := sha256.Sum256([]byte(token))
	c, known := t.verified.Get(key)
	if !known {
		var err error
		if c, err = t.parse(token); err != nil {
			return Claims{}, err
		}
		t.verified.Add(key, c)
	}
	if !c.ExpiresAt.After(t.now()) {
		t.verified.Remove(key)
		return Claims{}, model.NewError(model.CodeTokenExpired, "the access token has expired")
	}
	return c, nil
}

func (t *accessTokens) parse(token string) (Claims, error) {
	bad := model.NewError(model.CodeUnauthenticated, "this is not an access token of this server")
	var claims jwtClaims
	_, err := t.parser.ParseWithClaims(token, &claims, func(*jwt.Token) (any, error) { return t.secret, nil })
	if errors.Is(err, jwt.ErrTokenExpired) {
		return Claims{}, model.NewError(model.CodeTokenExpired, "the access token has expired")
	}
	if err != nil {
		bad.Cause = err
		return Claims{}, bad
	}
	user, userErr := model.ParseID[model.UserID](claims.Subject)
	family, familyErr := model.ParseID[model.FamilyID](claims.Session)
	if err := errors.Join(userErr, familyErr); err != nil {
		bad.Cause = err
		return Claims{}, bad
	}
	return Claims{UserID: user, FamilyID: family, Role: claims.Role, ExpiresAt: claims.ExpiresAt.UTC()}, nil
}

// newSecret is 256 random bits for a client to keep, and the SHA-256 that the
// server keeps of them. (The random source of the runtime does not fail.)
func newSecret() (value, hash string) {
	raw := make([]byte, 32)
	rand.Read(raw)
	value = base64.RawURLEncoding.EncodeToString(raw)
	return value, hashSecret(value)
}

func hashSecret(value string) string {
	sum := sha256.Sum256([]byte(value))
	return hex.EncodeToString(sum[:])
}
