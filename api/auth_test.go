package api

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"ackbox/model"
)

func TestAccounts(t *testing.T) {
	s := newServer(t, nil)
	post := func(path, body string) request {
		return request{method: http.MethodPost, path: path, body: body, token: "-"}
	}
	var ada, again, next Grant

	a := s.accepted(post("/v1/auth/register", `{"username":"Ada","password":"correct horse","display_name":"Ada L."}`), http.StatusCreated)
	a.into(&ada)
	if ct := a.header.Get("Content-Type"); ct != "application/json; charset=utf-8" {
		t.Errorf("content type %q", ct)
	}
	if ada.User.Username != "ada" || ada.User.DisplayName != "Ada L." || ada.AccessToken == "" || ada.RefreshToken == "" || !ada.ExpiresAt.Time().After(time.Now()) {
		t.Errorf("register: got %s", a.text)
	}
	if strings.Contains(a.text, "$schema") || strings.Contains(a.text, "role") {
		t.Errorf("register shows too much: %s", a.text)
	}
	s.refused(post("/v1/auth/register", `{"username":"ADA","password":"correct horse"}`), model.CodeUsernameTaken)

	s.accepted(post("/v1/auth/login", `{"username":"aDa","password":"correct horse"}`), http.StatusOK).into(&again)
	if again.User != ada.User {
		t.Errorf("login: got %+v, want %+v", again.User, ada.User)
	}
	wrong := s.refused(post("/v1/auth/login", `{"username":"ada","password":"wrong horse"}`), model.CodeInvalidCredentials)
	nobody := s.refused(post("/v1/auth/login", `{"username":"nobody","password":"wrong horse"}`), model.CodeInvalidCredentials)
	odd := s.refused(post("/v1/auth/login", `{"username":"ädä ","password":"wrong horse"}`), model.CodeInvalidCredentials)
	if wrong.problem.Detail != nobody.problem.Detail || wrong.problem.Detail != odd.problem.Detail {
		t.Errorf("a wrong password (%q), an unknown user (%q) and an impossible one (%q) are told apart", wrong.problem.Detail, nobody.problem.Detail, odd.problem.Detail)
	}

	s.accepted(post("/v1/auth/refresh", `{"refresh_token":"`+ada.RefreshToken+`"}`), http.StatusOK).into(&next)
	s.accepted(request{method: http.MethodGet, path: "/v1/users/me", token: next.AccessToken}, http.StatusOK)
	s.refused(post("/v1/auth/refresh", `{"refresh_token":"`+ada.RefreshToken+`"}`), model.CodeRefreshReused)
	s.refused(post("/v1/auth/refresh", `{"refresh_token":"`+next.RefreshToken+`"}`), model.CodeTokenRevoked)
	s.refused(request{method: http.MethodGet, path: "/v1/users/me", token: next.AccessToken}, model.CodeTokenRevoked)
	s.refused(post("/v1/auth/refresh", `{"refresh_token":"nothing"}`), model.CodeUnauthenticated)

	logout := request{method: http.MethodPost, path: "/v1/auth/logout", body: `{"refresh_token":"` + again.RefreshToken + `"}`}
	s.refused(logout, model.CodeUnauthenticated) // by someone else
	logout.token = again.AccessToken
	if a := s.accepted(logout, http.StatusNoContent); a.text != "" {
		t.Errorf("204 with a body %q", a.text)
	}
	s.refused(logout, model.CodeTokenRevoked)
}

func TestTicket(t *testing.T) {
	s := newServer(t, nil)
	q := request{method: http.MethodPost, path: "/v1/auth/ws-ticket"}
	var ticket Ticket
	s.accepted(q, http.StatusOK).into(&ticket)
	c, err := s.api.deps.Auth.RedeemTicket(t.Context(), ticket.Ticket)
	must(t, err)
	if want, err := s.api.deps.Auth.VerifyAccess(s.token); err != nil || c != want {
		t.Errorf("ticket: got %+v, want %+v (%v)", c, want, err)
	}
	s.redis.Close()
	if a := s.refused(q, model.CodeUnavailable); a.header.Get("Retry-After") != "1" {
		t.Errorf("Retry-After %q", a.header.Get("Retry-After"))
	}
}

func TestCredentials(t *testing.T) {
	s := newServer(t, nil)
	for name, header := range map[string]string{
		"none": "", "another scheme": "Basic YTpi", "no token": "Bearer", "an empty token": "Bearer ", "garbage": "Bearer garbage",
		"no signature": "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIiwic2lkIjoiMSIsImlzcyI6ImFja2JveCIsImF1ZCI6ImFja2JveCIsImV4cCI6OTk5OTk5OTk5OX0.",
		"too long":     "Bearer " + strings.Repeat("x", 10000),
	} {
		t.Run(name, func(t *testing.T) {
			a := s.refused(request{method: http.MethodGet, path: "/v1/users/me", token: "-", header: []string{"Authorization", header}}, model.CodeUnauthenticated)
			if a.header.Get("WWW-Authenticate") != `Bearer realm="ackbox"` {
				t.Errorf("WWW-Authenticate %q", a.header.Get("WWW-Authenticate"))
			}
		})
	}
	s.accepted(request{method: http.MethodGet, path: "/v1/users/me", token: "-", header: []string{"Authorization", "bearer " + s.token}}, http.StatusOK)
}

// publicRoutes need no credentials; everything else does.
var publicRoutes = []string{
	"GET /asyncapi.json", "GET /healthz", "GET /metrics", "GET /openapi.json", "GET /readyz",
	"POST /v1/auth/login", "POST /v1/auth/refresh", "POST /v1/auth/register",
}

// pageRoutes are for browsers and not in the description.
var pageRoutes = []string{"GET /", "GET /docs", "GET /docs/:page"}

func TestEveryRouteIsDescribedAndGuarded(t *testing.T) {
	s := newServer(t, nil)
	described := map[string]bool{}
	for path, item := range s.api.huma.OpenAPI().Paths {
		for method, op := range map[string]any{"GET": item.Get, "POST": item.Post, "PUT": item.Put, "PATCH": item.Patch, "DELETE": item.Delete} {
			if !isNil(op) {
				described[method+" "+path] = true
			}
		}
	}
	param := strings.NewReplacer("{user_id}", "7", "{conversation_id}", "7", "{message_id}", "7", "{device_id}", "phone", "{group_id}", "7", "{id}", "7")
	for _, r := range s.api.engine.Routes() {
		name := r.Method + " " + r.Path
		if slices.Contains(pageRoutes, name) {
			continue
		}
		segments := strings.Split(r.Path, "/")
		for i, segment := range segments {
			if strings.HasPrefix(segment, ":") {
				segments[i] = "{" + segment[1:] + "}"
			}
		}
		path := strings.Join(segments, "/")
		if !described[r.Method+" "+path] {
			t.Errorf("%s is not in the description", name)
		}
		delete(described, r.Method+" "+path)
		a := s.do(request{method: r.Method, path: param.Replace(path), token: "-"})
		if open := slices.Contains(publicRoutes, name); open == (a.status == http.StatusUnauthorized) {
			t.Errorf("%s without credentials: got %d, want it public: %v", name, a.status, open)
		}
	}
	for name := range described {
		t.Errorf("%s is described and not there", name)
	}
}

func TestAdmin(t *testing.T) {
	s := newServer(t, nil)
	must(t, s.api.deps.Users.EnsureAdmin(t.Context(), "root", "root's password"))
	var root, bob Grant
	s.accepted(request{method: http.MethodPost, path: "/v1/auth/login", body: `{"username":"root","password":"root's password"}`}, http.StatusOK).into(&root)
	s.accepted(request{method: http.MethodPost, path: "/v1/auth/register", body: `{"username":"bob","password":"bob's password"}`}, http.StatusCreated).into(&bob)
	ban := func(method, token string, id model.UserID) request {
		return request{method: method, path: "/v1/admin/users/" + id.String() + "/ban", token: token}
	}
	login := request{method: http.MethodPost, path: "/v1/auth/login", body: `{"username":"bob","password":"bob's password"}`}
	me := request{method: http.MethodGet, path: "/v1/users/me", token: bob.AccessToken}

	s.refused(ban(http.MethodPut, bob.AccessToken, bob.User.UserID), model.CodeForbidden)
	s.refused(ban(http.MethodPut, root.AccessToken, root.User.UserID), model.CodeForbidden)
	s.refused(ban(http.MethodPut, root.AccessToken, 1), model.CodeNotFound)
	s.accepted(ban(http.MethodPut, root.AccessToken, bob.User.UserID), http.StatusNoContent)
	s.accepted(ban(http.MethodPut, root.AccessToken, bob.User.UserID), http.StatusNoContent)
	s.refused(login, model.CodeBanned)
	s.refused(me, model.CodeBanned)
	s.accepted(ban(http.MethodDelete, root.AccessToken, bob.User.UserID), http.StatusNoContent)
	s.refused(me, model.CodeTokenRevoked) // old sessions stay ended
	s.accepted(login, http.StatusOK)
}

func TestRateLimits(t *testing.T) {
	s := newServer(t, func(d *Deps) { d.RateLimit, d.TrustedProxies = true, []string{"127.0.0.1"} })
	limited := func(q request, after int) {
		t.Helper()
		for i := range after + 2 { // a token may come back while we ask
			if a := s.do(q); a.status == http.StatusTooManyRequests {
				if i < after || a.header.Get("Retry-After") == "" || a.problem.Code != model.CodeRateLimited {
					t.Errorf("limited after %d, want %d: %s", i, after, a.text)
				}
				return
			}
		}
		t.Errorf("%s: not limited after %d", q.path, after+2)
	}
	from := func(ip string) []string { return []string{"X-Forwarded-For", ip} }
	limited(request{method: http.MethodPost, path: "/v1/auth/refresh", body: `{"refresh_token":"x"}`, header: from("10.0.0.1")}, 30)
	s.refused(request{method: http.MethodPost, path: "/v1/auth/refresh", body: `{"refresh_token":"x"}`, header: from("10.0.0.2")}, model.CodeUnauthenticated)
	limited(request{method: http.MethodPost, path: "/v1/auth/login", body: `{"username":"Everyone","password":"wrong password"}`, header: from("2001:db8::1")}, 10)
}

func TestUserLimit(t *testing.T) {
	l := newLimit[model.UserID](200, 400)
	taken := 0
	for l.take(7) == nil {
		taken++
	}
	if taken < 400 || taken > 500 {
		t.Errorf("a burst of %d, want 400", taken)
	}
	if err := l.take(8); err != nil {
		t.Errorf("another user: %v", err)
	}
}
