package api

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"ackbox/model"
	"ackbox/service"
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

// TestSocketByHTTP2: the path of the sockets answers a request by HTTP/2, which has no upgrades, with a problem that its
// client can read: a header Upgrade would make it one that breaks the protocol.
func TestSocketByHTTP2(t *testing.T) {
	s := newServer(t, nil)
	listener := httptest.NewUnstartedServer(s.api.Handler())
	listener.EnableHTTP2 = true
	listener.StartTLS()
	defer listener.Close()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, listener.URL+"/v1/ws?device_id=phone", nil)
	must(t, err)
	r.Header.Set("Authorization", "Bearer "+s.token)
	got, err := listener.Client().Do(r)
	must(t, err)
	defer got.Body.Close()
	if got.ProtoMajor != 2 || got.StatusCode != http.StatusUnprocessableEntity || got.Header.Get("Upgrade") != "" {
		t.Errorf("got HTTP/%d, %d, Upgrade %q", got.ProtoMajor, got.StatusCode, got.Header.Get("Upgrade"))
	}
	if a := s.refused(request{method: http.MethodGet, path: "/v1/ws?device_id=phone"}, model.CodeValidation); a.header.Get("Upgrade") != "websocket" {
		t.Errorf("by HTTP/1.1: Upgrade %q", a.header.Get("Upgrade"))
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
	"POST /v1/auth/login", "POST /v1/auth/refresh", "POST /v1/auth/register", "POST /v1/admin/session",
}

// pageRoutes are for browsers and not in the description.
var pageRoutes = []string{"GET /", "GET /assets/:name", "GET /docs", "GET /docs/:page", "GET /icon.svg", "GET /NOTICE.md", "GET /admin", "GET /admin/*path"}

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
	param := strings.NewReplacer("{user_id}", "7", "{conversation_id}", "7", "{message_id}", "7", "{device_id}", "phone", "{group_id}", "7", "{file_id}", "7", "{id}", "7", "{node}", "7", "{name}", "sweep")
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

// TestRateLimits: each call is counted by what it names, and its refusal says which limit, in
// the same words for an account that exists and one that does not.
func TestRateLimits(t *testing.T) {
	limits, err := service.NewLimits(service.LimitOptions{Rates: map[service.Limit][]service.Rate{
		service.LimitRequest: {{N: 40, Per: time.Hour}}, service.LimitSearch: {{N: 5, Per: time.Hour}}, service.LimitTicket: {{N: 3, Per: time.Hour}},
		service.LimitLogin: {{N: 3, Per: time.Hour}}, service.LimitLoginAddress: {{N: 8, Per: time.Hour}},
		service.LimitRegister: {{N: 2, Per: time.Hour}}, service.LimitRegisterAddress: {{N: 4, Per: time.Hour}}, service.LimitRefreshAddress: {{N: 6, Per: time.Hour}},
	}})
	must(t, err)
	t.Cleanup(limits.Stop)
	s := newServer(t, func(d *Deps) { d.Limits, d.TrustedProxies = limits, []string{"127.0.0.1"} })
	limited := func(q request, limit string, after int) answer {
		t.Helper()
		for i := range after {
			if a := s.do(q); a.status == http.StatusTooManyRequests {
				t.Fatalf("%s: limited after %d, want %d: %s", q.path, i, after, a.text)
			}
		}
		a := s.refused(q, model.CodeRateLimited)
		if a.header.Get("Retry-After") == "" || a.problem.Limit != limit {
			t.Errorf("%s: limit %q with Retry-After %q, want %s: %s", q.path, a.problem.Limit, a.header.Get("Retry-After"), limit, a.text)
		}
		return a
	}
	post := func(path, ip, body string) request {
		return request{method: http.MethodPost, path: "/v1/auth/" + path, token: "-", body: body, header: []string{"X-Forwarded-For", ip}}
	}
	login := func(name, ip string) request {
		return post("login", ip, fmt.Sprintf(`{"username":%q,"password":"wrong password"}`, name))
	}
	there := limited(login("Everyone", "2001:db8::1"), "login", 3)
	limited(login("everyone", "10.0.0.9"), "login", 0) // from wherever, however spelt
	nobody := limited(login("nobody", "10.0.1.1"), "login", 3)
	if there.problem.Detail != nobody.problem.Detail || there.problem.Detail != "3 logins per 1 h for this account" {
		t.Errorf("an account that exists is told from one that does not: %q, %q", there.problem.Detail, nobody.problem.Detail)
	}
	for i := range 4 { // with the four of above; one customer has a /64
		s.refused(login(fmt.Sprint("other", i), fmt.Sprintf("2001:db8::%d", 2+i)), model.CodeInvalidCredentials)
	}
	limited(login("other9", "2001:db8::ffff"), "login_address", 0)
	s.refused(login("other9", "2001:db8:0:1::1"), model.CodeInvalidCredentials)

	limited(post("register", "10.0.0.1", `{"username":"everyone","password":"a long password"}`), "register", 2)
	limited(post("register", "10.0.0.2", `{"username":"EVERYONE","password":"a long password"}`), "register", 0)
	limited(post("register", "10.0.0.1", `{"username":"x_2","password":"a long password"}`), "register_address", 1)
	limited(post("refresh", "10.0.0.1", `{"refresh_token":"x"}`), "refresh_address", 6)
	for _, spelling := range []string{"::ffff:10.0.0.1", "::FFFF:a00:1"} { // one address, as different proxies write it
		limited(post("refresh", spelling, `{"refresh_token":"x"}`), "refresh_address", 0)
	}
	s.refused(post("refresh", "10.0.0.2", `{"refresh_token":"x"}`), model.CodeUnauthenticated)

	limited(request{method: http.MethodPost, path: "/v1/auth/ws-ticket"}, "ticket", 3)
	limited(request{method: http.MethodGet, path: "/v1/users?username=a"}, "search", 5)
	limited(request{method: http.MethodGet, path: "/v1/users/me"}, "request", 40-4-6)
}
