package api

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"ackbox/model"
)

// operator makes an admin and gives its login.
func (s *server) operator(name string) Grant {
	s.t.Helper()
	must(s.t, s.api.deps.Users.EnsureAdmin(s.t.Context(), name, name+"'s password"))
	var g Grant
	s.accepted(request{method: http.MethodPost, path: "/v1/auth/login", token: "-", body: `{"username":"` + name + `","password":"` + name + `'s password"}`}, http.StatusOK).into(&g)
	return g
}

// auditLog is what a query finds in the audit log.
func (s *server) auditLog(token, query string) (entries []AuditEntry, next string) {
	s.t.Helper()
	var page struct {
		Entries    []AuditEntry `json:"entries"`
		NextCursor string       `json:"next_cursor"`
		HasMore    bool         `json:"has_more"`
	}
	s.accepted(request{method: http.MethodGet, path: "/v1/admin/audit?" + query, token: token}, http.StatusOK).into(&page)
	if page.HasMore != (page.NextCursor != "") {
		s.t.Errorf("has_more %v with the cursor %q", page.HasMore, page.NextCursor)
	}
	return page.Entries, page.NextCursor
}

// TestAudit: what operators do is in the log, with what came of it; what they are refused before it is done is not.
func TestAudit(t *testing.T) {
	s := newServer(t, func(d *Deps) { d.TrustedProxies = []string{"127.0.0.1"} })
	root := s.operator("root")
	var bob Grant
	s.accepted(request{method: http.MethodPost, path: "/v1/auth/register", token: "-", body: `{"username":"bob","password":"bob's password"}`}, http.StatusCreated).into(&bob)
	ban := func(id, token, body string) request {
		return request{method: http.MethodPut, path: "/v1/admin/users/" + id + "/ban", token: token, body: body, header: []string{"X-Forwarded-For", "10.1.2.3"}}
	}
	s.refused(ban(bob.User.UserID.String(), bob.AccessToken, ""), model.CodeForbidden)
	s.refused(ban("x", root.AccessToken, ""), model.CodeValidation)
	if list, _ := s.auditLog(root.AccessToken, ""); len(list) != 0 {
		t.Errorf("what was never done is in the log: %+v", list)
	}
	s.refused(ban("123", root.AccessToken, ""), model.CodeNotFound)
	s.accepted(ban(bob.User.UserID.String(), root.AccessToken, `{"reason":"spam"}`), http.StatusNoContent)
	s.accepted(request{method: http.MethodDelete, path: "/v1/admin/users/" + bob.User.UserID.String() + "/ban", token: root.AccessToken}, http.StatusNoContent)

	list, next := s.auditLog(root.AccessToken, "limit=2")
	if len(list) != 2 || list[0].Action != "user.unban" || list[1].Action != "user.ban" {
		t.Fatalf("the latest first: %+v", list)
	}
	got := list[1]
	if want := (AuditEntry{
		ID: got.ID, At: got.At, ActorID: root.User.UserID.String(), Actor: "root", Action: "user.ban", TargetKind: "user", TargetID: bob.User.UserID.String(),
		Detail: `{"reason":"spam"}`, Address: "10.1.2.3", Node: "7", Outcome: "ok",
	}); got != want || got.At == 0 || got.ID == "" {
		t.Errorf("got %+v, want %+v", got, want)
	}
	list, next = s.auditLog(root.AccessToken, "limit=2&cursor="+next)
	if len(list) != 1 || next != "" || list[0].Outcome != "not_found" || list[0].TargetID != "123" {
		t.Errorf("the second page: %+v, next %q", list, next)
	}
	for query, want := range map[string]int{
		"action=user.ban": 2, "actor_id=" + root.User.UserID.String(): 3, "actor_id=77": 0, "target_kind=user&target_id=123": 1, "target_kind=node": 0,
		"from=1": 3, "to=1": 0, "from=99999999999999": 0,
	} {
		if list, _ := s.auditLog(root.AccessToken, query); len(list) != want {
			t.Errorf("%s: %d entries, want %d", query, len(list), want)
		}
	}
	s.refused(request{method: http.MethodGet, path: "/v1/admin/audit?cursor=x", token: root.AccessToken}, model.CodeValidation)
	s.refused(request{method: http.MethodGet, path: "/v1/admin/audit", token: bob.AccessToken}, model.CodeTokenRevoked)
	s.refused(request{method: http.MethodGet, path: "/v1/admin/audit"}, model.CodeForbidden)
}

// TestAuditLost: an action whose entry cannot be stored is done, and in the log of the process.
func TestAuditLost(t *testing.T) {
	s := newServer(t, nil)
	root := s.operator("root")
	pools, err := s.store.Pools()
	must(t, err)
	_, err = pools["write"].ExecContext(t.Context(), "DROP TABLE audit_log")
	must(t, err)
	s.refused(request{method: http.MethodPut, path: "/v1/admin/users/123/ban", token: root.AccessToken}, model.CodeNotFound)
	me, err := s.api.deps.Users.Get(t.Context(), root.User.UserID)
	must(t, err)
	if text := s.log.String(); !strings.Contains(text, "could not be stored") || !strings.Contains(text, me.ID.String()) || !strings.Contains(text, "user.ban") {
		t.Errorf("the log does not have the entry: %s", text)
	}
}

// TestEveryActionIsAudited: no call of operators that changes something can forget the audit log, and none is open
// to others.
func TestEveryActionIsAudited(t *testing.T) {
	s := newServer(t, nil)
	actions := 0
	for path, item := range s.api.huma.OpenAPI().Paths {
		if !isAdminPath(path) {
			continue
		}
		text, err := json.Marshal(item)
		must(t, err)
		var methods map[string]struct {
			Action   string                `json:"x-audit-action"`
			Tags     []string              `json:"tags"`
			Security []map[string][]string `json:"security"`
		}
		must(t, json.Unmarshal(text, &methods))
		for method, op := range methods {
			if method != "get" && op.Action == "" {
				t.Errorf("%s %s changes something and has no %s: add it with adminRoute", method, path, auditExtension)
			}
			if op.Action != "" {
				actions++
			}
			if len(op.Tags) != 1 || op.Tags[0] != "Admin" {
				t.Errorf("%s %s: tags %v", method, path, op.Tags)
			}
			open := path == "/v1/admin/session" && method == "post"
			if forAll := len(op.Security) != 1 || len(op.Security[0]["bearer"]) != 1; forAll != open {
				t.Errorf("%s %s: security %v", method, path, op.Security)
			}
		}
	}
	if actions < 2 {
		t.Errorf("%d actions", actions)
	}
}

// TestAdminListener: with a listener of their own, operators' paths are nowhere else, and others' are not there.
func TestAdminListener(t *testing.T) {
	s := newServer(t, func(d *Deps) { d.AdminApart = true })
	root := s.operator("root")
	apart := httptest.NewServer(s.api.AdminHandler())
	t.Cleanup(apart.Close)
	get := func(base, path string) int {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+path, nil)
		must(t, err)
		r.Header.Set("Authorization", "Bearer "+root.AccessToken)
		a, err := http.DefaultClient.Do(r)
		must(t, err)
		a.Body.Close()
		return a.StatusCode
	}
	for path, want := range map[string][2]int{ // on the public one, on the other
		"/v1/admin/audit": {404, 200}, "/v1/users/me": {200, 404}, "/": {200, 404}, "/healthz": {200, 200}, "/openapi.json": {200, 200}, "/docs": {200, 200},
		"/v1/admin": {404, 404}, "/admin": {404, 200}, "/admin/users/7": {404, 200}, "//v1/admin/audit": {404, 404}, "/v1//admin/audit": {404, 404}, "/v1/%61dmin/audit": {404, 200}, "/V1/admin/audit": {404, 404},
	} {
		if got := [2]int{get(s.url, path), get(apart.URL, path)}; got != want {
			t.Errorf("%s: public %d, admin %d, want %v", path, got[0], got[1], want)
		}
	}
	s.refused(request{method: http.MethodGet, path: "/v1/admin/audit", token: root.AccessToken}, model.CodeNotFound)
	s.refused(request{method: http.MethodGet, path: "/v1/admin/audit", token: "-"}, model.CodeNotFound)
	s.refused(request{method: http.MethodPost, path: "/v1/admin/audit", token: "-"}, model.CodeNotFound)
}
