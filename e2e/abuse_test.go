package e2e

import (
	"regexp"
	"strings"
	"testing"

	"ackbox/client"
)

// abuses is what somebody does who means harm, each with users of its own, all against one server whose log tells
// everything.
var abuses = []behaviour{
	{"foreign positions", foreignPositions},
	{"tokens", strangeTokens},
	{"foreign pages", foreignPages},
	{"a racing ticket", racingTicket},
	{"broken frames", brokenFrames},
	{"a flood of pings", pingFlood},
	{"markup", markup},
	{"forged lines", forgedLines},
	{"bombs", bombs},
}

// stored is those that a database may answer in its own way; they run on both.
var stored = []behaviour{
	{"foreign objects", foreignObjects},
	{"mass assignment", massAssignment},
	{"patterns", patterns},
	{"secrets", useSecrets},
}

func TestAbuse(t *testing.T) {
	t.Parallel()
	for b, list := range map[*backend][]behaviour{&embedded: append(abuses, stored...), &mariaDB: stored} {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			s := b.start(t, "ACKBOX_LOG_LEVEL=debug")
			t.Run("all", func(t *testing.T) {
				for _, abuse := range list {
					t.Run(abuse.name, func(t *testing.T) {
						t.Parallel()
						abuse.run(t, s)
					})
				}
			})
			log := s.server.Output()
			if !strings.Contains(log, "msg=request") {
				t.Fatal("the log does not tell of the requests")
			}
			tellsNoSecrets(t, log)
			for line := range strings.Lines(log) {
				if strings.Contains(line, "status=500") {
					t.Errorf("an abuse met a mistake of the server: %s", line)
				}
			}
		})
	}
}

const (
	// secretText is in bodies of messages, exts, and wherever else somebody's private words are.
	secretText = "wherethetreasureis"
	// secretPassword is in passwords, right and wrong ones.
	secretPassword = "opensesameopensesame"
)

// secretShapes are what no line of a log may have. Refresh tokens and tickets are 256 bits in base64url.
var secretShapes = map[string]*regexp.Regexp{
	"a message":                   regexp.MustCompile(secretText + `|let me in|between us|while former was here|during the flood`),
	"a password":                  regexp.MustCompile(secretPassword + `|` + password),
	"a part of an access token":   regexp.MustCompile(`eyJ[A-Za-z0-9_-]{8,}`),
	"a refresh token or a ticket": regexp.MustCompile(`(?:^|[^A-Za-z0-9_.%-])[A-Za-z0-9_-]{43}(?:[^A-Za-z0-9_-]|$)`),
	"a password's hash":           regexp.MustCompile(`\$argon2`),
	"the signing secret":          regexp.MustCompile(secret),
}

// tellsNoSecrets checks a server's whole log, in which each line is the server's own.
func tellsNoSecrets(t *testing.T, log string) {
	t.Helper()
	for line := range strings.Lines(log) {
		for what, shape := range secretShapes {
			if shape.MatchString(line) {
				t.Errorf("the log tells %s: %.500s", what, line)
			}
		}
		if !strings.HasPrefix(line, "time=") || strings.HasPrefix(line, forgery) {
			t.Errorf("a line of the log is not the server's own: %.300q", line)
		}
	}
}

// useSecrets uses everything secret in right and in wrong ways, also where a careless log would repeat it.
func useSecrets(t *testing.T, s *system) {
	name := freshName()
	session, err := s.client.Register(within(t, patience), client.Credentials{Username: name, Password: secretPassword})
	if err != nil {
		t.Fatal(err)
	}
	bob := &actor{Session: session, t: t}
	bob.misuseSecrets(t)
	sent := bob.sendDraft(client.Draft{ClientMsgID: "k-" + name, ToUserID: bob.id(), Type: "text", Body: map[string]any{"text": secretText}, Ext: map[string]any{"x": secretText}})
	_, err = bob.Send(within(t, patience), client.Text(bob.id(), "k-"+name, "other "+secretText))
	refused(t, err, "idempotency_key_reused", 422)
	if _, err := bob.Call(within(t, patience), "POST", "/v1/messages/"+string(sent.Message.MessageID)+"/recall", nil, &struct{}{}); err != nil {
		t.Fatal(err)
	}
	ticket, err := bob.Ticket(within(t, patience))
	if err != nil {
		t.Fatal(err)
	}
	for what, sample := range map[string]string{ // that the shapes know what they are to find
		"a part of an access token": "token=" + bob.AccessToken, "a refresh token or a ticket": "token=" + bob.RefreshToken + "\n", "a message": "detail=" + secretText, "a password": secretPassword,
	} {
		if !secretShapes[what].MatchString(sample) {
			t.Errorf("the shape of %s does not match %s", what, sample)
		}
	}
	if !secretShapes["a refresh token or a ticket"].MatchString(`path="/v1/ws?ticket=` + ticket.Ticket + `"`) {
		t.Errorf("the shape of a ticket does not match %s", ticket.Ticket)
	}
	for range 2 {
		if socket, err := s.client.Connect(within(t, patience), "", client.Dial{Device: "laptop", Ticket: ticket.Ticket}); err == nil {
			greeted(t, socket)
		}
	}
	next, err := s.client.Refresh(within(t, patience), bob.RefreshToken)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // reuse ends the family
		_, err = s.client.Refresh(within(t, patience), bob.RefreshToken)
		refused(t, err, "", 401)
	}
	_, err = next.Me(within(t, patience))
	refused(t, err, "token_revoked", 401)
}

// misuseSecrets makes calls with secrets that the server refuses, or cannot answer.
func (a *actor) misuseSecrets(t *testing.T) {
	t.Helper()
	c, ctx := a.Client(), within(t, 2*patience)
	for _, r := range []client.Request{
		{Method: "POST", Path: "/v1/auth/login", Body: map[string]string{"username": a.User.Username, "password": secretPassword + " wrong"}},
		{Method: "POST", Path: "/v1/auth/login", Body: map[string]string{"username": secretPassword, "password": secretPassword}},
		{Method: "POST", Path: "/v1/auth/register", Body: map[string]string{"username": freshName(), "password": secretPassword}},
		{Method: "POST", Path: "/v1/auth/register", Body: map[string]string{"username": "x y", "password": secretPassword + "\x00"}},
		{Method: "POST", Path: "/v1/auth/refresh", Body: map[string]string{"refresh_token": a.RefreshToken + "x"}},
		{Method: "POST", Path: "/v1/auth/password", Body: map[string]string{"password": secretPassword + " wrong", "new_password": secretPassword}},
		{Method: "POST", Path: "/v1/auth/logout", Body: map[string]string{"refresh_token": a.AccessToken}},
		{Method: "GET", Path: "/v1/ws?device_id=laptop&ticket=" + a.RefreshToken},
		{Method: "GET", Path: "/v1/nope?access_token=" + a.AccessToken + "&text=" + secretText},
		{Method: "GET", Path: "/v1/users?username=" + secretText},
		{Method: "POST", Path: "/v1/messages", Raw: []byte(`{"text":"` + secretText)},
		{Method: "POST", Path: "/v1/messages", Raw: []byte(`"` + secretText + strings.Repeat("x", 300<<10) + `"`)},
		{Method: "POST", Path: "/v1/messages", Body: client.Text(absent, "k", secretText)},
		{Method: "POST", Path: "/v1/messages", Body: client.Text(a.id(), "k-"+freshName(), secretText)},
		{Method: "POST", Path: "/v1/groups", Body: map[string]any{"name": secretText, "member_ids": []string{}}},
	} {
		for _, token := range []string{"", a.AccessToken, a.AccessToken + "x"} {
			r.Token = token
			if _, err := c.Do(ctx, r); err != nil {
				t.Fatal(err)
			}
		}
	}
}
