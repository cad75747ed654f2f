package api

import (
	"net/http"
	"testing"
	"time"

	"ackbox/config"
	"ackbox/model"
	"ackbox/service"
)

// TestEveryLimitRefuses: each limit that can be set is asked by the calls that it is for, and names itself. One that no
// call here meets fails.
func TestEveryLimitRefuses(t *testing.T) {
	tight := map[service.Limit][]service.Rate{}
	missing := map[string]bool{}
	for name := range new(config.Config).Limits() {
		tight[service.Limit(name)] = []service.Rate{{N: 1, Per: time.Hour}}
		missing[name] = true
	}
	tight[service.LimitRequest] = []service.Rate{{N: 40, Per: time.Hour}}
	for _, address := range []service.Limit{service.LimitLoginAddress, service.LimitRegisterAddress, service.LimitRefreshAddress} {
		tight[address] = []service.Rate{{N: 2, Per: time.Hour}}
	}
	limits, err := service.NewLimits(service.LimitOptions{Rates: tight})
	must(t, err)
	s := newServer(t, func(d *Deps) { d.Limits = limits })
	other, err := s.api.deps.Auth.Register(t.Context(), service.Registration{Username: "other", Password: "everyone's password"})
	must(t, err)

	post := func(path, body string) request { return request{method: http.MethodPost, path: path, body: body} }
	public := func(path, body string) request {
		q := post(path, body)
		q.token = "-"
		return q
	}
	const somebody, nobody = `{"username":"everyone","password":"a wrong password"}`, `{"username":"nobody","password":"a wrong password"}`
	message := post("/v1/messages", `{"client_msg_id":"k","to_user_id":"7","type":"text","body":{"text":"hi"}}`)
	byOther := message
	byOther.token = other.AccessToken
	for _, c := range []struct {
		limit  service.Limit
		passes int // calls before the refusal
		calls  request
	}{
		{service.LimitSend, 1, message},
		{service.LimitSendAddress, 0, byOther},
		{service.LimitSend, 0, request{method: http.MethodPatch, path: "/v1/groups/7", body: `{"name":"g"}`}}, // each writes a message to all members
		{service.LimitSend, 0, post("/v1/groups/7/members", `{"member_ids":["8"]}`)},
		{service.LimitSend, 0, request{method: http.MethodDelete, path: "/v1/groups/7/members/8"}},
		{service.LimitSend, 0, request{method: http.MethodPut, path: "/v1/groups/7/members/8/role", body: `{"role":"admin"}`}},
		{service.LimitSend, 0, request{method: http.MethodPut, path: "/v1/groups/7/members/8/mute", body: `{"seconds":60}`}},
		{service.LimitGroup, 1, post("/v1/groups", `{"name":"g","member_ids":[]}`)},
		{service.LimitTicket, 1, post("/v1/auth/ws-ticket", "")},
		{service.LimitSearch, 1, request{method: http.MethodGet, path: "/v1/users?username=a"}},
		{service.LimitTyping, 1, post("/v1/conversations/7/typing", "")},
		{service.LimitFile, 1, post("/v1/files?name=a", "")},
		{service.LimitTrace, 1, request{method: http.MethodGet, path: "/v1/messages/7/trace"}},
		{service.LimitLogin, 1, post("/v1/auth/password", `{"password":"a wrong password","new_password":"another password"}`)},
		{service.LimitLogin, 1, public("/v1/auth/login", somebody)},
		{service.LimitLoginAddress, 0, public("/v1/auth/login", nobody)},
		{service.LimitLoginAddress, 0, public("/v1/admin/session", nobody)},
		{service.LimitRegister, 1, public("/v1/auth/register", somebody)},
		{service.LimitRegisterAddress, 0, public("/v1/auth/register", nobody)},
		{service.LimitRefreshAddress, 2, public("/v1/auth/refresh", `{"refresh_token":"a"}`)},
		{service.LimitRequest, 40, request{method: http.MethodGet, path: "/v1/users/me", token: other.AccessToken}},
		{service.LimitRequest, 0, request{method: http.MethodGet, path: "/v1/ws?device_id=phone", token: other.AccessToken}},
	} {
		delete(missing, string(c.limit))
		for range c.passes {
			if a := s.do(c.calls); a.status == http.StatusTooManyRequests {
				if c.limit == service.LimitRequest && a.problem.Limit == string(c.limit) {
					break // other calls have taken of it
				}
				t.Errorf("%s %s: refused too early: %s", c.calls.method, c.calls.path, a.text)
			}
		}
		if a := s.refused(c.calls, model.CodeRateLimited); a.problem.Limit != string(c.limit) || a.header.Get("Retry-After") == "" {
			t.Errorf("%s %s: the limit %q refuses, want %q: %s", c.calls.method, c.calls.path, a.problem.Limit, c.limit, a.text)
		}
	}
	delete(missing, string(service.LimitSendConversation)) // members only: of a whole node (TestLimitsOfNodes)
	for name := range missing {
		t.Errorf("no call here meets the limit %s", name)
	}
}
