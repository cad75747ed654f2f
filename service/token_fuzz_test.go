package service

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"ackbox/model"
)

// FuzzToken: nothing but what was signed here opens anything, whatever its header says.
func FuzzToken(f *testing.F) {
	now := func() time.Time { return time.Unix(1_700_000_000, 0) }
	tokens, err := newAccessTokens([]byte(strings.Repeat("0123456789abcdef", 2)), time.Minute, now)
	if err != nil {
		f.Fatal(err)
	}
	good, claims, err := tokens.sign(Claims{UserID: 7, FamilyID: 8, Role: model.RoleUser})
	if err != nil {
		f.Fatal(err)
	}
	parts := strings.Split(good, ".")
	encode := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	for _, token := range []string{
		good, "", ".", "..", "...", good + ".", good + "=", good + "\n", " " + good, parts[0] + "." + parts[1] + ".", parts[0] + ".." + parts[2], "." + parts[1] + "." + parts[2],
		encode(`{"alg":"none"}`) + "." + parts[1] + ".", encode(`{"alg":"HS384"}`) + "." + parts[1] + "." + parts[2], encode(`{"alg":["HS256"]}`) + "." + parts[1] + "." + parts[2],
		encode(`{"alg":"HS256","kid":"../../dev/null"}`) + "." + parts[1] + "." + parts[2], encode(`{}`) + "." + encode(`{}`) + "." + encode(""),
		parts[0] + "." + encode(`{"sub":"1","sid":"1","role":"admin","iss":"ackbox","aud":"ackbox","exp":99999999999}`) + "." + parts[2],
		parts[0] + "." + encode(`{"exp":1e400}`) + "." + parts[2], parts[0] + "." + encode(`{"aud":{}}`) + "." + parts[2], strings.Repeat("a", maxToken+1), strings.Repeat(".", 100),
	} {
		f.Add(token)
	}
	f.Fuzz(func(t *testing.T, token string) {
		got, err := tokens.verify(token)
		if err == nil {
			if got != claims {
				t.Fatalf("%q opens %+v", token, got)
			}
			return
		}
		if code := model.CodeOf(err); code != model.CodeUnauthenticated && code != model.CodeTokenExpired {
			t.Fatalf("%q is refused with %v", token, err)
		}
		if token == good {
			t.Fatalf("the good token is refused: %v", err)
		}
	})
}
