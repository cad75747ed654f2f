package api

import (
	"net/http"
	"strings"
	"testing"

	"ackbox/model"
)

// TestAdminSession: the admin page's login is a cookie that no script, no other page and no other call can use, and that
// goes with the session.
func TestAdminSession(t *testing.T) {
	s := newServer(t, func(d *Deps) { d.TrustedProxies = []string{"127.0.0.0/8"} })
	s.operator("root")
	const path = "/v1/admin/session"
	login := request{method: http.MethodPost, path: path, token: "-", body: `{"username":"Root","password":"root's password"}`}
	cookieOf := func(a answer) *http.Cookie {
		t.Helper()
		cookies := (&http.Response{Header: a.header}).Cookies()
		if len(cookies) != 1 || cookies[0].Name != adminCookie {
			t.Fatalf("cookies %v", a.header["Set-Cookie"])
		}
		return cookies[0]
	}
	s.refused(request{method: http.MethodPost, path: path, token: "-", body: `{"username":"root","password":"wrong"}`}, model.CodeInvalidCredentials)
	if a := s.refused(request{method: http.MethodPost, path: path, token: "-", body: `{"username":"everyone","password":"everyone's password"}`}, model.CodeForbidden); a.header.Get("Set-Cookie") != "" {
		t.Error("somebody who is no admin got a cookie")
	}
	for name, header := range map[string][]string{"another site": {"Sec-Fetch-Site", "cross-site"}, "a sibling": {"Sec-Fetch-Site", "same-site"}, "an old browser": {"Origin", "https://evil.example"}} {
		q := login
		q.header = header
		if a := s.refused(q, model.CodeOriginNotAllowed); a.header.Get("Set-Cookie") != "" {
			t.Errorf("%s logged its visitor in", name)
		}
	}

	a := s.accepted(login, http.StatusOK)
	c := cookieOf(a)
	if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/" || c.Secure || c.Domain != "" || c.Expires.IsZero() {
		t.Errorf("cookie %q", a.header.Get("Set-Cookie"))
	}
	var session AdminSession
	a.into(&session)
	if session.User.Username != "root" || session.User.Role != model.RoleAdmin || session.ExpiresAt != c.Expires.UnixMilli() {
		t.Errorf("session %s", a.text)
	}
	if strings.Contains(a.text, c.Value) {
		t.Error("a script can read the token")
	}
	secure := login
	secure.header = []string{"X-Forwarded-Proto", "https"}
	if c := cookieOf(s.accepted(secure, http.StatusOK)); !c.Secure {
		t.Error("a cookie of an https page goes over http")
	}
	direct := newServer(t, nil)
	direct.operator("root")
	if c := cookieOf(direct.accepted(secure, http.StatusOK)); c.Secure {
		t.Error("a client is believed what only a proxy knows")
	}

	with := func(method, path, cookie string, header ...string) request {
		return request{method: method, path: path, token: "-", header: append([]string{"Cookie", adminCookie + "=" + cookie}, header...)}
	}
	s.accepted(with(http.MethodGet, path, c.Value), http.StatusOK).into(&session)
	if session.User.Username != "root" || session.ExpiresAt != c.Expires.UnixMilli() {
		t.Errorf("session %+v", session)
	}
	s.refused(with(http.MethodGet, "/v1/users/me", c.Value), model.CodeUnauthenticated) // for operators' calls only
	s.refused(with(http.MethodPut, "/v1/admin/users/1/ban", c.Value), model.CodeNotFound)
	s.refused(with(http.MethodPut, "/v1/admin/users/1/ban", c.Value, "Sec-Fetch-Site", "same-origin"), model.CodeNotFound)
	for _, header := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "https://evil.example"}} {
		if a := s.refused(with(http.MethodPut, "/v1/admin/users/1/ban", c.Value, header...), model.CodeOriginNotAllowed); a.header.Get("Set-Cookie") != "" {
			t.Error("another page can log the operator out")
		}
	}
	s.accepted(request{method: http.MethodGet, path: path, token: s.operator("root").AccessToken, header: []string{"Cookie", adminCookie + "=" + c.Value}}, http.StatusOK) // the header counts

	if cookieOf(s.accepted(with(http.MethodDelete, path, c.Value), http.StatusNoContent)).MaxAge >= 0 {
		t.Error("a logout leaves the cookie")
	}
	for _, value := range []string{c.Value, "garbage", s.token} { // ended, no token, not an admin's
		a := s.do(with(http.MethodGet, path, value))
		if a.status != http.StatusUnauthorized && a.status != http.StatusForbidden || cookieOf(a).MaxAge >= 0 {
			t.Errorf("%.10s…: got %d, cookie %q", value, a.status, a.header.Get("Set-Cookie"))
		}
	}

	root := s.operator("root")
	list, _ := s.auditLog(root.AccessToken, "action=session.login")
	var got []string
	for _, e := range list {
		got = append(got, e.Actor+" "+e.Outcome)
	}
	if want := "root ok,root ok,everyone forbidden,root invalid_credentials"; strings.Join(got, ",") != want {
		t.Errorf("logins in the log: %v, want %s", got, want)
	}
	if list, _ := s.auditLog(root.AccessToken, "action=session.logout"); len(list) != 1 || list[0].Actor != "root" {
		t.Errorf("logouts in the log: %+v", list)
	}
}
