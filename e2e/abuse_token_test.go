package e2e

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"ackbox/client"
)

// strangeTokens: what is not to the byte an access token of this server opens nothing, wherever it is put. What needs the
// server's own secret to be made is in TestForgedTokens.
func strangeTokens(t *testing.T, s *system) {
	bob := s.user(t)
	header, rest, _ := strings.Cut(bob.AccessToken, ".")
	claims, signature, _ := strings.Cut(rest, ".")
	encode := func(v any) string {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(text)
	}
	parsed := jwt.MapClaims{}
	if _, _, err := jwt.NewParser().ParseUnverified(bob.AccessToken, parsed); err != nil {
		t.Fatal(err)
	}
	with := func(name string, value any) string {
		changed := jwt.MapClaims{}
		for k, v := range parsed {
			changed[k] = v
		}
		changed[name] = value
		return encode(changed)
	}
	ticket, err := bob.Ticket(within(t, patience))
	if err != nil {
		t.Fatal(err)
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	rs256, err := jwt.NewWithClaims(jwt.SigningMethodRS256, parsed).SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	wrongKid := jwt.NewWithClaims(jwt.SigningMethodHS256, parsed)
	wrongKid.Header["kid"] = "/dev/null" // an empty file, and so an empty secret
	emptySecret, err := wrongKid.SignedString([]byte{})
	if err != nil {
		t.Fatal(err)
	}
	for name, token := range map[string]string{
		"none":                       encode(map[string]any{"alg": "none", "typ": "JWT"}) + "." + claims + ".",
		"None":                       encode(map[string]any{"alg": "None", "typ": "JWT"}) + "." + claims + "." + signature,
		"no algorithm":               encode(map[string]any{"typ": "JWT"}) + "." + claims + "." + signature,
		"RS256":                      rs256,
		"RS256 by name only":         encode(map[string]any{"alg": "RS256", "typ": "JWT"}) + "." + claims + "." + signature,
		"kid of an empty secret":     emptySecret,
		"kid that is SQL":            encode(map[string]any{"alg": "HS256", "typ": "JWT", "kid": "x' UNION SELECT 'a"}) + "." + claims + "." + signature,
		"jku of mine":                encode(map[string]any{"alg": "HS256", "typ": "JWT", "jku": s.client.Base() + "/mine"}) + "." + claims + "." + signature,
		"critical extension":         encode(map[string]any{"alg": "HS256", "typ": "JWT", "crit": []string{"b64"}, "b64": false}) + "." + claims + "." + signature,
		"an admin by claim":          header + "." + with("role", "admin") + "." + signature,
		"another by claim":           header + "." + with("sub", absent) + "." + signature,
		"longer by claim":            header + "." + with("exp", time.Now().Add(24*time.Hour).Unix()) + "." + signature,
		"for others by claim":        header + "." + with("aud", []string{"ackbox", "others"}) + "." + signature,
		"a fourth part":              bob.AccessToken + ".x",
		"padded signature":           bob.AccessToken + "=",
		"without its last character": bob.AccessToken[:len(bob.AccessToken)-1],
		"refresh token":              bob.RefreshToken,
		"ticket":                     ticket.Ticket,
		"two tokens":                 bob.AccessToken + "," + bob.AccessToken,
		"quoted":                     `"` + bob.AccessToken + `"`,
		"huge":                       header + "." + strings.Repeat("A", 20_000) + "." + signature,
		"many dots":                  strings.Repeat(".", 2000),
	} {
		t.Run(name, func(t *testing.T) {
			answers(t, s.client, client.Request{Method: http.MethodGet, Path: "/v1/users/me", Token: token}, []int{http.StatusUnauthorized})
			_, err := s.client.Connect(within(t, patience), token, client.Dial{Device: "laptop"})
			refused(t, err, "", http.StatusUnauthorized)
			_, err = s.client.Connect(within(t, patience), "", client.Dial{Device: "laptop", Ticket: token})
			if token != ticket.Ticket {
				refused(t, err, "", http.StatusUnauthorized)
			} else if _, again := s.client.Connect(within(t, patience), "", client.Dial{Device: "laptop", Ticket: token}); err != nil {
				t.Errorf("the ticket itself: %v", err) // still good: it was used as a token, where it counts for nothing
			} else {
				refused(t, again, "", http.StatusUnauthorized)
			}
			if token != bob.RefreshToken {
				_, err = s.client.Refresh(within(t, patience), token)
				refused(t, err, "", http.StatusUnauthorized, http.StatusUnprocessableEntity)
			}
		})
	}

	// How the header may be written.
	status := func(values ...string) int {
		t.Helper()
		answer, err := s.client.Do(within(t, patience), client.Request{Method: http.MethodGet, Path: "/v1/users/me", Header: http.Header{"Authorization": values}})
		if err != nil {
			t.Fatal(err)
		}
		return answer.Status
	}
	alice := s.user(t)
	for name, c := range map[string]struct {
		values []string
		status int
	}{
		"lower case":        {[]string{"bearer " + bob.AccessToken}, http.StatusOK},
		"upper case":        {[]string{"BEARER " + bob.AccessToken}, http.StatusOK},
		"no scheme":         {[]string{bob.AccessToken}, http.StatusUnauthorized},
		"Basic":             {[]string{"Basic " + bob.AccessToken}, http.StatusUnauthorized},
		"glued":             {[]string{"Bearer" + bob.AccessToken}, http.StatusUnauthorized},
		"twice":             {[]string{"Bearer " + bob.AccessToken, "Bearer " + bob.AccessToken}, http.StatusUnauthorized},
		"of two people":     {[]string{"Bearer " + bob.AccessToken, "Bearer " + alice.AccessToken}, http.StatusUnauthorized},
		"good after bad":    {[]string{"Bearer x", "Bearer " + bob.AccessToken}, http.StatusUnauthorized},
		"bad after good":    {[]string{"Bearer " + bob.AccessToken, "Basic eDp5"}, http.StatusUnauthorized},
		"empty before good": {[]string{"", "Bearer " + bob.AccessToken}, http.StatusUnauthorized},
	} {
		if got := status(c.values...); got != c.status {
			t.Errorf("Authorization %s: got %d, want %d", name, got, c.status)
		}
	}
	for _, path := range []string{"/v1/users/me?access_token=", "/v1/users/me?token=", "/v1/users/me?ticket="} {
		answers(t, s.client, client.Request{Method: http.MethodGet, Path: path + bob.AccessToken}, []int{http.StatusUnauthorized})
	}

	// Another's refresh token ends nothing.
	answers(t, s.client, client.Request{
		Method: http.MethodPost, Path: "/v1/auth/logout", Token: alice.AccessToken, Body: map[string]string{"refresh_token": bob.RefreshToken},
	}, []int{http.StatusUnauthorized, http.StatusForbidden})
	if _, err := bob.Me(within(t, patience)); err != nil {
		t.Errorf("bob, whom alice tried to log out: %v", err)
	}
	if _, err := s.client.Refresh(within(t, patience), bob.RefreshToken); err != nil {
		t.Errorf("bob's refresh token, with which alice tried to log out: %v", err)
	}
}
