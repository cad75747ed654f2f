package e2e

import (
	"net/http"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"ackbox/client"
)

// TestForgedTokens signs tokens with the server's own secret: whatever is not exactly what the server gives is refused.
func TestForgedTokens(t *testing.T) {
	t.Parallel()
	s := mariaDB.start(t)
	bob := s.user(t)
	claims := jwt.MapClaims{}
	if _, _, err := jwt.NewParser().ParseUnverified(bob.AccessToken, claims); err != nil {
		t.Fatalf("the access token is no JWT: %v", err)
	}
	for _, needed := range []string{"iss", "aud", "exp", "sub"} {
		if claims[needed] == nil {
			t.Errorf("the access token has no %s", needed)
		}
	}
	forge := func(method jwt.SigningMethod, key any, change map[string]any) string {
		t.Helper()
		changed := jwt.MapClaims{}
		for name, value := range claims {
			changed[name] = value
		}
		for name, value := range change {
			if changed[name] = value; value == nil {
				delete(changed, name)
			}
		}
		token, err := jwt.NewWithClaims(method, changed).SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	status := func(token string) int {
		t.Helper()
		answer, err := s.client.Do(within(t, patience), client.Request{Method: http.MethodGet, Path: "/v1/users/me", Token: token})
		if err != nil {
			t.Fatal(err)
		}
		return answer.Status
	}
	key := []byte(secret)
	// The control: if the server signs with its secret itself, an unchanged forgery is as good as its own.
	if got := status(forge(jwt.SigningMethodHS256, key, nil)); got != http.StatusOK {
		t.Logf("an unchanged copy gets %d: the signing key is derived from the secret, so nothing can be forged with it", got)
	}
	for name, token := range map[string]string{
		"expired":        forge(jwt.SigningMethodHS256, key, map[string]any{"exp": time.Now().Add(-time.Minute).Unix()}),
		"without expiry": forge(jwt.SigningMethodHS256, key, map[string]any{"exp": nil}),
		"not yet valid":  forge(jwt.SigningMethodHS256, key, map[string]any{"nbf": time.Now().Add(time.Hour).Unix()}),
		"other issuer":   forge(jwt.SigningMethodHS256, key, map[string]any{"iss": "somebody"}),
		"no issuer":      forge(jwt.SigningMethodHS256, key, map[string]any{"iss": nil}),
		"other audience": forge(jwt.SigningMethodHS256, key, map[string]any{"aud": "somebody"}),
		"no audience":    forge(jwt.SigningMethodHS256, key, map[string]any{"aud": nil}),
		"no subject":     forge(jwt.SigningMethodHS256, key, map[string]any{"sub": nil}),
		"odd subject":    forge(jwt.SigningMethodHS256, key, map[string]any{"sub": "0"}),
		"HS384":          forge(jwt.SigningMethodHS384, key, nil),
		"HS512":          forge(jwt.SigningMethodHS512, key, nil),
		"none":           forge(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, nil),
		"other secret":   forge(jwt.SigningMethodHS256, []byte("0123456789abcdef0123456789abcdef"), nil),
		"empty secret":   forge(jwt.SigningMethodHS256, []byte{}, nil),
	} {
		if got := status(token); got != http.StatusUnauthorized {
			t.Errorf("%s: got %d, want 401", name, got)
		}
	}
}
