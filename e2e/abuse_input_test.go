package e2e

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/google/uuid"

	"ackbox/client"
)

// massAssignment: a field that is not the caller's to set refuses the whole call, whatever else it says.
func massAssignment(t *testing.T, s *system) {
	bob, alice := s.user(t), s.user(t)
	group := bob.group(alice)
	before, err := bob.Me(within(t, patience))
	if err != nil {
		t.Fatal(err)
	}
	fields := []string{
		`"role":"admin"`, `"user_id":"` + string(alice.id()) + `"`, `"banned_at":null`, `"created_at":"2020-01-01T00:00:00.000Z"`, `"is_admin":true`, `"hash":"x"`,
		`"id":"1"`, `"owner_id":"` + string(alice.id()) + `"`, `"sender_id":"` + string(alice.id()) + `"`, `"message_id":"1"`, `"conversation_seq":1`,
		`"recalled_at":null`, `"duplicate":true`, `"delivery":"log"`, `"member_count":1`, `"head":99`, `"read_seq":99`, `"acked":99`, `"__proto__":{"role":"admin"}`,
		`"constructor":{}`, `"Username":"other"`, `"$schema":"http://evil.example/x"`,
	}
	for call, good := range map[string]string{
		"POST /v1/auth/register":                            `"username":"` + freshName() + `","password":"` + password + `"`,
		"POST /v1/auth/login":                               `"username":"` + bob.User.Username + `","password":"` + password + `"`,
		"PATCH /v1/users/me":                                `"display_name":"x"`,
		"POST /v1/messages":                                 `"client_msg_id":"` + uuid.NewString() + `","to_user_id":"` + string(alice.id()) + `","type":"text","body":{"text":"x"}`,
		"POST /v1/groups":                                   `"name":"x","member_ids":[]`,
		"PATCH /v1/groups/" + string(group):                 `"name":"x"`,
		"PATCH /v1/conversations/" + string(group):          `"muted":true`,
		"POST /v1/conversations/" + string(group) + "/read": `"up_to":0`,
		"POST /v1/mailbox/ack":                              `"device_id":"laptop","up_to":0`,
		"POST /v1/mailbox/sync":                             `"device_id":"laptop","after":0`,
		"PUT /v1/groups/" + string(group) + "/members/" + absent + "/mute": `"seconds":1`,
		"POST /v1/groups/" + string(group) + "/members":                    `"member_ids":["` + absent + `"]`,
		"POST /v1/auth/logout":   `"refresh_token":"x"`,
		"POST /v1/auth/refresh":  `"refresh_token":"x"`,
		"POST /v1/auth/password": `"password":"x","new_password":"` + password + `"`,
		"PUT /v1/groups/" + string(group) + "/members/" + absent + "/role": `"role":"member"`,
	} {
		method, path, _ := strings.Cut(call, " ")
		for _, field := range fields {
			if strings.HasSuffix(path, "/role") && strings.HasPrefix(field, `"role"`) {
				continue // the call's own
			}
			bob.answers(t, client.Request{Method: method, Path: path, Raw: []byte("{" + good + "," + field + "}")}, unprocessable)
		}
	}
	me, err := bob.Me(within(t, patience))
	if err != nil || me != before {
		t.Errorf("got %+v, %v; want %+v as before", me, err, before)
	}
	bob.answers(t, client.Request{Method: http.MethodPut, Path: "/v1/admin/users/" + string(alice.id()) + "/ban"}, []int{http.StatusForbidden})
	if n := len(alice.wholeMailbox()); n != 1 { // that of the group's making
		t.Errorf("alice has %d entries, want 1", n)
	}
}

// patterns: nothing that a user writes is read as SQL or as a pattern, in searches, cursors, names or keys.
func patterns(t *testing.T, s *system) {
	alice, bob := s.user(t), s.user(t)
	for _, query := range []string{"%", "_", "%%", "a%", `\`, `\%`, "'", "' OR '1'='1", "\" OR 1=1 --", "u' UNION SELECT password FROM users --", "u%25", "*", "u;DROP TABLE users"} {
		found, err := bob.Search(within(t, patience), query)
		if err != nil {
			refused(t, err, "validation_failed", http.StatusUnprocessableEntity)
		} else if len(found) != 0 && query != "_" { // a name may begin with _
			t.Errorf("search %q finds %d", query, len(found))
		}
	}
	// A name is what it is: _ is no pattern, and - sorts by nobody's rule.
	stem := freshName()
	for _, name := range []string{stem + "_x", stem + "ax"} {
		if _, err := s.client.Register(within(t, patience), client.Credentials{Username: name, Password: password}); err != nil {
			t.Fatal(err)
		}
	}
	if found, err := bob.Search(within(t, patience), stem+"_"); err != nil || len(found) != 1 || found[0].Username != stem+"_x" {
		t.Errorf("search with _: got %+v, %v", found, err)
	}
	for _, name := range []string{"' OR 1=1 --", bob.User.Username + "'", bob.User.Username + "%", "%", bob.User.Username + "\x00", bob.User.Username + " ", " " + bob.User.Username, "\t"} {
		_, err := s.client.Login(within(t, patience), client.Credentials{Username: name, Password: password})
		refused(t, err, "", http.StatusUnauthorized, http.StatusUnprocessableEntity)
	}
	group := bob.group(alice)
	raw := base64.RawURLEncoding.EncodeToString
	for _, cursor := range []string{
		"' OR 1=1 --", "%", raw([]byte("1' OR '1'='1.1")), raw([]byte("1.1 OR 1=1")), raw([]byte("-1.1")), raw([]byte("9223372036854775808.1")), raw([]byte("1")),
		raw([]byte("1.1.1")), raw([]byte("0x10.1")), raw([]byte(" 1.1")), "=", "\x00",
	} {
		bob.answers(t, client.Request{Method: http.MethodGet, Path: "/v1/conversations?cursor=" + url.QueryEscape(cursor)}, unprocessable)
		bob.answers(t, client.Request{Method: http.MethodGet, Path: "/v1/groups/" + string(group) + "/members?cursor=" + url.QueryEscape(cursor)}, unprocessable)
	}

	// Keys that a pattern, a collation or a separator would take for one another are keys of their own, for each sender.
	keys := []string{"key", "KEY", "k_y", "k%y", "k*y", "key'", `k\y`, `key"`, "a:b", "a:b:c", "{a}", "}:key", ":", "*", "?", "[k]ey", "key--", "${jndi:ldap://x}", "%0d%0aSET%20x%201"}
	for _, sender := range []*actor{alice, bob} {
		to := bob
		if sender == bob {
			to = alice
		}
		for _, key := range keys {
			draft := client.Text(to.id(), key, "under "+key)
			sender.repeat(draft, sender.sendDraft(draft))
		}
	}
	for _, key := range []string{"key ", " key", "k\r\ny", "k\x00y", "kéy", "k\ty", strings.Repeat("k", 65)} {
		_, err := alice.Send(within(t, patience), client.Text(bob.id(), key, "x"))
		refused(t, err, "", http.StatusUnprocessableEntity)
	}
	if n, want := len(bob.wholeMailbox()), 2*len(keys)+1; n != want { // 1: the notice of the group above
		t.Errorf("bob has %d entries, want %d", n, want)
	}
	// So are devices.
	bob.ack("Laptop", 3, 3)
	bob.acked("laptop", 0)
	bob.acked("LAPTOP", 0)
}

// markup: what a user writes comes back as JSON that no browser runs, also in refusals.
func markup(t *testing.T, s *system) {
	alice, bob := s.user(t), s.user(t)
	const script = `<script>alert(1)</script><img src=x onerror=alert(1)>`
	if _, err := bob.PatchMe(within(t, patience), map[string]any{"display_name": script}); err != nil {
		t.Fatal(err)
	}
	for _, link := range []string{"javascript:alert(1)", "data:text/html,x", "//evil.example/x", `/\evil.example/x`, "/\t/evil.example/x", "vbscript:x", " javascript:alert(1)", "java\nscript:alert(1)", "file:///etc/passwd"} {
		bob.answers(t, client.Request{Method: http.MethodPatch, Path: "/v1/users/me", Body: map[string]string{"avatar_url": link}}, unprocessable)
		bob.answers(t, client.Request{Method: http.MethodPost, Path: "/v1/messages", Body: map[string]any{
			"client_msg_id": uuid.NewString(), "to_user_id": alice.id(), "type": "image", "body": map[string]string{"url": link},
		}}, unprocessable)
	}
	sent := bob.send(alice, script)
	browser := http.Header{"Accept": {"text/html,*/*"}}
	quoted := url.QueryEscape(script)
	for _, path := range []string{
		"/v1/users/me", "/v1/users?username=" + quoted, "/v1/conversations/" + string(sent.Message.ConversationID) + "/messages", "/v1/mailbox",
		"/v1/conversations?cursor=" + quoted, "/" + url.PathEscape(script), "/v1/users/" + url.PathEscape(script), "/v1/nope?x=" + quoted,
		"/v1/mailbox/summary?device_id=" + quoted, "/v1/ws?device_id=" + quoted, "/v1/conversations?callback=alert", "/docs/" + url.PathEscape(script),
	} {
		answer, err := s.client.Do(within(t, patience), client.Request{Method: http.MethodGet, Path: path, Token: bob.AccessToken, Header: browser})
		if err != nil {
			t.Fatal(err)
		}
		if got := answer.Header.Get("Content-Type"); got != "application/json; charset=utf-8" && got != "application/problem+json" {
			t.Errorf("GET %s: content type %q", path, got)
		}
		if got := answer.Header.Get("X-Content-Type-Options"); got != "nosniff" {
			t.Errorf("GET %s: X-Content-Type-Options %q", path, got)
		}
		if !json.Valid(answer.Body) {
			t.Errorf("GET %s: no JSON: %.200s", path, answer.Body)
		}
	}
	// The pages for browsers run their own scripts only, in nobody's frame.
	directive := func(policy, name string) string {
		for part := range strings.SplitSeq(policy, ";") {
			if rest, found := strings.CutPrefix(strings.TrimSpace(part), name+" "); found {
				return rest
			}
		}
		return ""
	}
	pages := []string{"/docs", "/docs/errors", "/docs/push"}
	for _, page := range pages {
		answer := s.get(t, page)
		policy := answer.Header.Get("Content-Security-Policy")
		for name, want := range map[string]string{"default-src": "'none'", "script-src": "'self'", "connect-src": "'self'", "base-uri": "'none'", "form-action": "'none'", "frame-ancestors": "'none'"} {
			if got := directive(policy, name); got != want {
				t.Errorf("%s: %s is %q in %q, want %s", page, name, got, policy, want)
			}
		}
		if answer.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: no nosniff", page)
		}
		if inline := regexp.MustCompile(`(?i)<script(?:\s[^>]*)?>\s*\S|\son[a-z]+\s*=`).Find(answer.Body); inline != nil && !bytes.Contains(inline, []byte("src=")) {
			t.Errorf("%s has an inline script, which its policy forbids: %q", page, inline)
		}
	}
}

// forgery is what somebody would like to read in the log.
const forgery = "time=2020-01-01T00:00:00.000Z level=ERROR msg=forged"

// forgedLines: line breaks in what a user writes begin no line of the log, which is checked when all is over.
func forgedLines(t *testing.T, s *system) {
	bob := s.user(t)
	broken := "x\r\n" + forgery + "\n"
	for _, path := range []string{"/v1/" + url.PathEscape(broken), "/v1/users/" + url.PathEscape(broken), "/v1/conversations/1/" + url.PathEscape(broken), "/docs/" + url.PathEscape(broken)} {
		answer, err := s.client.Do(within(t, patience), client.Request{Method: http.MethodGet, Path: path, Token: bob.AccessToken})
		if err != nil {
			t.Fatal(err)
		}
		if answer.Status != http.StatusNotFound && answer.Status != http.StatusUnprocessableEntity {
			t.Errorf("GET %.20q: %d", path, answer.Status)
		}
	}
	for _, header := range []http.Header{{"X-Request-Id": {forgery}}, {"X-Request-Id": {strings.Repeat("r", 65)}}, {"X-Forwarded-For": {forgery}}, {"User-Agent": {forgery}}, {"Origin": {"http://" + forgery}}} {
		answer, err := s.client.Do(within(t, patience), client.Request{Method: http.MethodGet, Path: "/v1/users/me", Token: bob.AccessToken, Header: header})
		if err != nil {
			t.Fatal(err)
		}
		if id := answer.Header.Get("X-Request-Id"); strings.Contains(id, "forged") || len(id) > 64 {
			t.Errorf("the request is named %q", id)
		}
	}
	_, err := s.client.Login(within(t, patience), client.Credentials{Username: broken, Password: password})
	refused(t, err, "", http.StatusUnauthorized)
	_, err = s.client.Register(within(t, patience), client.Credentials{Username: freshName(), Password: password, DisplayName: broken})
	refused(t, err, "", http.StatusUnprocessableEntity)
	bob.answers(t, client.Request{Method: "GET", Path: "/v1/mailbox/summary?device_id=" + url.QueryEscape(broken)}, unprocessable)
	if _, _, err := bob.CreateGroup(within(t, patience), broken); err != nil {
		refused(t, err, "", http.StatusUnprocessableEntity)
	}
	bob.send(bob, broken)
}

// bombs: bodies that are small to send and large to take in are refused without being taken in.
func bombs(t *testing.T, s *system) {
	alice, bob := s.user(t), s.user(t)
	draft := func(text string) []byte {
		return fmt.Appendf(nil, `{"client_msg_id":%q,"to_user_id":%q,"type":"text","body":{"text":%q}}`, uuid.NewString(), bob.id(), text)
	}
	var zipped bytes.Buffer
	writer := gzip.NewWriter(&zipped)
	if _, err := writer.Write(draft(strings.Repeat("x", 8<<20))); err != nil {
		t.Fatal(err)
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	send := func(name string, r client.Request, statuses ...int) {
		t.Helper()
		r.Method, r.Path = http.MethodPost, "/v1/messages"
		t.Run(name, func(t *testing.T) {
			t.Logf("refused: %v", alice.answers(t, r, statuses))
		})
	}
	encoded := func(encoding string) http.Header { return http.Header{"Content-Encoding": {encoding}} }
	for _, encoding := range []string{"gzip", "GZIP", "deflate", "br", "zstd", "gzip, identity"} {
		send("encoding "+encoding, client.Request{Raw: zipped.Bytes(), Header: encoded(encoding)}, http.StatusUnsupportedMediaType)
	}
	send("gzip untold", client.Request{Raw: zipped.Bytes()}, malformed...)
	deep := strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000)
	inner := strings.TrimSuffix(string(draft("x")), "}")
	send("nested lists", client.Request{Raw: []byte(inner + `,"ext":{"a":` + deep + `}}`)}, malformed...)
	send("nested objects", client.Request{Raw: []byte(inner + `,"ext":` + strings.Repeat(`{"a":`, 40_000) + "1" + strings.Repeat("}", 40_000) + `}`)}, malformed...)
	send("a list of much", client.Request{Raw: []byte(inner + `,"ext":[` + strings.Repeat("0,", 100_000) + `0]}`)}, malformed...)
	send("many fields", client.Request{Raw: []byte(inner + manyFields(20_000) + `}`)}, malformed...)
	send("a huge number", client.Request{Raw: []byte(inner + `,"reply_to":1` + strings.Repeat("0", 100_000) + `}`)}, malformed...)
	send("a huge exponent", client.Request{Raw: []byte(inner + `,"reply_to":1e999999999}`)}, malformed...)
	send("a body twice", client.Request{Raw: []byte(inner + `,"body":{"text":""}}`)}, malformed...)
	send("a target twice", client.Request{Raw: []byte(inner + `,"to_user_id":"` + absent + `"}`)}, malformed...)
	send("a name in two cases", client.Request{Raw: []byte(inner + `,"TO_USER_ID":"` + string(alice.id()) + `"}`)}, malformed...)
	for name, body := range map[string]string{
		"up_to beyond int":    `{"device_id":"laptop","up_to":1e400}`,
		"up_to 2^63":          `{"device_id":"laptop","up_to":9223372036854775808}`,
		"up_to in fractions":  `{"device_id":"laptop","up_to":0.1e-400}`,
		"ids by the thousand": `{"device_id":"laptop","message_ids":["1"` + strings.Repeat(`,"1"`, 20_000) + `]}`,
	} {
		t.Run(name, func(t *testing.T) {
			alice.answers(t, client.Request{Method: http.MethodPost, Path: "/v1/mailbox/ack", Raw: []byte(body)}, malformed)
		})
	}
	for name, body := range map[string]string{"NUL": `"a\u0000b"`, "newline": `"a\nb"`, "escape": `"a\u001bb"`, "delete": `"a\u007fb"`, "half a pair": `"a\ud800b"`} {
		answer, err := s.client.Do(within(t, patience), client.Request{Method: http.MethodPatch, Path: "/v1/users/me", Token: alice.AccessToken, Raw: []byte(`{"display_name":` + body + `}`)})
		if err != nil {
			t.Fatal(err)
		}
		want := http.StatusUnprocessableEntity
		if name == "half a pair" { // no text at all
			want = http.StatusBadRequest
		}
		if answer.Status != want {
			t.Errorf("a display name with %s: got %d, want %d", name, answer.Status, want)
		}
	}
	if n := len(bob.wholeMailbox()); n != 0 {
		t.Errorf("%d entries were stored, want none", n)
	}
	answer, err := s.client.Do(within(t, patience), client.Request{Method: http.MethodGet, Path: "/v1/users/me", Token: alice.AccessToken, Header: http.Header{"X-Bomb": {strings.Repeat("x", 64<<10)}}})
	if err != nil || answer.Status != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("64 KiB of headers: got %d, %v; want 431", answer.Status, err)
	}
}

func manyFields(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"f%d":1`, i)
	}
	return b.String()
}
