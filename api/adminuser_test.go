package api

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"ackbox/model"
	"ackbox/service"
)

// jobs is a runner of one job.
type jobs struct{ ran []string }

func (j *jobs) States() []service.JobState {
	return []service.JobState{{Name: "sweep", Every: time.Second, LastOutcome: "error", LastError: "what", LastDuration: time.Millisecond, Runs: 3, Failures: 1}}
}

func (j *jobs) RunNow(name string) bool {
	j.ran = append(j.ran, name)
	return name == "sweep"
}

// pipe is a socket that keeps how it was closed.
type pipe struct {
	frames []string
	code   int
}

func (p *pipe) Push(frames [][]byte) (int, bool) {
	for _, f := range frames {
		p.frames = append(p.frames, string(f))
	}
	return 0, true
}
func (p *pipe) Ping()                              {}
func (p *pipe) Close(_ []byte, code int, _ string) { p.code = code }

// console is a server with what operators look at.
type console struct {
	*server
	jobs     *jobs
	delivery *service.Delivery
	level    *slog.LevelVar
	series   *service.Series
	drained  []bool
	root     Grant
}

func newConsole(t *testing.T) *console {
	t.Helper()
	c := &console{jobs: &jobs{}, level: new(slog.LevelVar)}
	c.server = newServerWith(t, func(s *server, d *Deps) {
		store := s.store
		var err error
		c.delivery, err = service.NewDelivery(store, "7", service.DeliveryOptions{AckTimeout: time.Hour, MaxAttempts: 5, QueueSize: 10, Heartbeat: time.Hour, SlowTimeout: time.Hour, PumpWorkers: 1, PumpCapacity: 10}, time.Now, d.Log)
		must(t, err)
		t.Cleanup(c.delivery.Stop)
		d.Delivery = c.delivery
		d.Auth.OnBanned = func(_ context.Context, user model.UserID) { c.delivery.Ban(user) }
		d.Auth.OnRevoked = func(_ context.Context, user model.UserID, family model.FamilyID) { c.delivery.Revoke(user, family) }
		d.Devices = service.NewDevices(store, d.Auth, c.delivery, nil)
		audiences, err := service.NewAudiences(store)
		must(t, err)
		ids, err := service.NewIDs(t.Context(), store, 7, "127.0.0.1:1", time.Now, d.Log)
		must(t, err)
		writer := service.NewWriter(store, ids, audiences, time.Now, d.Log, c.delivery.Committed)
		t.Cleanup(func() { must(t, writer.Stop(context.Background())) })
		level := service.NewLogLevel(c.level, time.Now)
		t.Cleanup(level.Stop)
		c.series = service.NewSeries(writer, c.delivery, time.Now)
		d.Settings = []AdminSetting{{Name: "jwt-secret", Env: "ACKBOX_JWT_SECRET", Value: "•••", Secret: true, Changed: true}}
		d.Nodes = service.NewNodes(service.NodesOptions{
			Store: store, Calls: d.NodeCalls, Delivery: c.delivery, Jobs: c.jobs, Level: level, Series: c.series, Version: "test", StartedAt: time.Now(), Clock: time.Now,
			Drain: func(drain bool) { c.drained = append(c.drained, drain) }, Draining: func() bool { return len(c.drained) > 0 && c.drained[len(c.drained)-1] },
		})
		d.Nodes.Answer()
	})
	c.root = c.operator("root")
	return c
}

// as is a call of the operator's.
func (c *console) as(method, path, body string) request {
	return request{method: method, path: "/v1/admin" + path, body: body, token: c.root.AccessToken}
}

func (c *console) get(path string, into any) {
	c.t.Helper()
	c.accepted(c.as(http.MethodGet, path, ""), http.StatusOK).into(into)
}

// join connects a device.
func (c *console) join(user model.UserID, family model.FamilyID, device model.DeviceID) *pipe {
	c.t.Helper()
	p := &pipe{}
	must(c.t, c.store.PutDevices(c.t.Context(), []model.Device{{UserID: user, DeviceID: device, LastSeenAt: 5, CreatedAt: 4}}))
	session := c.delivery.Join(p, service.Opening{Key: model.DeviceKey{UserID: user, DeviceID: device}, Family: family, ExpiresAt: time.Now().Add(time.Hour), Floor: 1})
	c.t.Cleanup(func() { c.delivery.Leave(session) })
	return p
}

func (c *console) register(name string) (Grant, service.Claims) {
	c.t.Helper()
	var g Grant
	c.accepted(request{method: http.MethodPost, path: "/v1/auth/register", token: "-", body: fmt.Sprintf(`{"username":%q,"password":"%s's password"}`, name, name)}, http.StatusCreated).into(&g)
	claims, err := c.api.deps.Auth.VerifyAccess(g.AccessToken)
	must(c.t, err)
	return g, claims
}

// TestAdminUsers: an operator finds accounts, makes them, shuts them out and signs them out, and can take the power neither from
// themselves nor from the last admin.
func TestAdminUsers(t *testing.T) {
	c := newConsole(t)
	var made struct{ User AdminUser }
	c.accepted(c.as(http.MethodPost, "/users", `{"username":"Second","password":"a long password","role":"admin"}`), http.StatusCreated).into(&made)
	if made.User.Role != model.RoleAdmin || made.User.Username != "second" || made.User.ID == 0 {
		t.Errorf("made %+v", made.User)
	}
	c.refused(c.as(http.MethodPost, "/users", `{"username":"second","password":"a long password"}`), model.CodeUsernameTaken)
	c.refused(c.as(http.MethodPost, "/users", `{"username":"third","password":"a long password","role":"owner"}`), model.CodeValidation)
	for _, name := range []string{"bob", "bea", "carl"} {
		c.register(name)
	}

	var page struct {
		Users      []AdminUser
		NextCursor string `json:"next_cursor"`
		HasMore    bool   `json:"has_more"`
	}
	list := func(query string) string {
		t.Helper()
		var names []string
		for next, n := "", 0; n == 0 || next != ""; n++ {
			c.get("/users?"+query+"&cursor="+next, &page)
			for _, u := range page.Users {
				names = append(names, u.Username)
			}
			if next = page.NextCursor; page.HasMore != (next != "") || n > 10 {
				t.Fatalf("%s: page %d: %+v", query, n, page)
			}
		}
		return strings.Join(names, " ")
	}
	for query, want := range map[string]string{
		"limit=2": "bea bob carl everyone root second", "limit=4&sort=-username": "second root everyone carl bob bea", "limit=1&q=B": "bea bob", "role=admin": "root second",
		"sort=created_at&limit=3": "everyone root second bob bea carl", "sort=-id&limit=2": "carl bea bob second root everyone", "banned=true": "", "banned=false&q=root": "root", "q=%25": "", "q=" + made.User.ID.String(): "second",
	} {
		if got := list(query); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
	for _, bad := range []string{"cursor=x", "sort=id&cursor=a.5", "sort=password", "limit=201", "cursor=x'y.5"} {
		c.refused(c.as(http.MethodGet, "/users?"+bad, ""), model.CodeValidation)
	}

	var second Grant
	c.accepted(request{method: http.MethodPost, path: "/v1/auth/login", token: "-", body: `{"username":"second","password":"a long password"}`}, http.StatusOK).into(&second)
	secondClaims, err := c.api.deps.Auth.VerifyAccess(second.AccessToken)
	must(t, err)
	root, other := "/users/"+c.root.User.UserID.String(), "/users/"+made.User.ID.String()
	c.refused(c.as(http.MethodPut, root+"/ban", ""), model.CodeForbidden) // oneself
	socket := c.join(made.User.ID, secondClaims.FamilyID, "phone")
	c.accepted(c.as(http.MethodPut, other+"/ban", `{"reason":"left us"}`), http.StatusNoContent)
	if socket.code != service.CloseBanned {
		t.Errorf("the socket of a banned account: %d", socket.code)
	}
	audit := request{method: http.MethodGet, path: "/v1/admin/audit", token: second.AccessToken}
	c.refused(audit, model.CodeBanned) // a banned admin is none
	if got := list("banned=true"); got != "second" {
		t.Errorf("banned: %s", got)
	}
	c.refused(c.as(http.MethodPut, root+"/role", `{"role":"user"}`), model.CodeForbidden) // the last one who is not banned
	c.accepted(c.as(http.MethodDelete, other+"/ban", ""), http.StatusNoContent)
	c.accepted(request{method: http.MethodPost, path: "/v1/auth/login", token: "-", body: `{"username":"second","password":"a long password"}`}, http.StatusOK).into(&second)
	audit.token = second.AccessToken
	c.accepted(audit, http.StatusOK)
	c.accepted(c.as(http.MethodPut, other+"/role", `{"role":"user"}`), http.StatusNoContent)
	c.refused(audit, model.CodeTokenRevoked) // at once
	c.refused(c.as(http.MethodPut, root+"/role", `{"role":"user"}`), model.CodeForbidden)
	c.refused(c.as(http.MethodPut, "/users/77/role", `{"role":"admin"}`), model.CodeNotFound)
	bob, _ := c.register("bob2")
	c.accepted(c.as(http.MethodPut, "/users/"+bob.User.UserID.String()+"/role", `{"role":"admin"}`), http.StatusNoContent)
	c.accepted(request{method: http.MethodPost, path: "/v1/auth/refresh", token: "-", body: `{"refresh_token":"` + bob.RefreshToken + `"}`}, http.StatusOK).into(&bob)
	audit.token = bob.AccessToken
	c.accepted(audit, http.StatusOK)
}

// TestAdminPasswords: a new password ends what the old one began, and is in no log.
func TestAdminPasswords(t *testing.T) {
	c := newConsole(t)
	bob, claims := c.register("bob")
	path := "/users/" + bob.User.UserID.String()
	login := func(password string) request {
		return request{method: http.MethodPost, path: "/v1/auth/login", token: "-", body: fmt.Sprintf(`{"username":"bob","password":%q}`, password)}
	}
	socket := c.join(bob.User.UserID, claims.FamilyID, "phone")
	var made struct{ Password string }
	c.accepted(c.as(http.MethodPut, path+"/password", ""), http.StatusOK).into(&made)
	if len(made.Password) < 20 || socket.code != service.CloseToken {
		t.Errorf("made %q, socket closed with %d", made.Password, socket.code)
	}
	c.refused(request{method: http.MethodGet, path: "/v1/users/me", token: bob.AccessToken}, model.CodeTokenRevoked)
	c.refused(login("bob's password"), model.CodeInvalidCredentials)
	c.accepted(login(made.Password), http.StatusOK).into(&bob)

	given := struct{ Password string }{"unset"}
	c.accepted(c.as(http.MethodPut, path+"/password", `{"password":"chosen for bob"}`), http.StatusOK).into(&given)
	if given.Password != "" {
		t.Errorf("a given password is repeated: %q", given.Password)
	}
	c.accepted(login("chosen for bob"), http.StatusOK).into(&bob)
	c.refused(c.as(http.MethodPut, path+"/password", `{"password":"short"}`), model.CodeValidation)
	c.refused(c.as(http.MethodPut, "/users/77/password", ""), model.CodeNotFound)

	c.accepted(c.as(http.MethodPost, path+"/sign-out", ""), http.StatusNoContent)
	c.refused(request{method: http.MethodGet, path: "/v1/users/me", token: bob.AccessToken}, model.CodeTokenRevoked)
	c.refused(request{method: http.MethodPost, path: "/v1/auth/refresh", token: "-", body: `{"refresh_token":"` + bob.RefreshToken + `"}`}, model.CodeTokenRevoked)
	c.accepted(login("chosen for bob"), http.StatusOK)

	log := c.accepted(c.as(http.MethodGet, "/audit", ""), http.StatusOK).text + c.log.String()
	for _, secret := range []string{made.Password, "chosen for bob", bob.RefreshToken} {
		if strings.Contains(log, secret) {
			t.Errorf("a log has %q", secret)
		}
	}
	if !strings.Contains(log, `"action":"user.password"`) {
		t.Errorf("the audit log lacks it: %s", log)
	}
}

// TestAdminDevices: an operator sees where a device stands, closes its socket, has everything pushed again and forgets it.
func TestAdminDevices(t *testing.T) {
	c := newConsole(t)
	bob, claims := c.register("bob")
	id := bob.User.UserID
	path := "/users/" + id.String()
	phone := c.join(id, claims.FamilyID, "phone")
	must(t, c.store.PutDevices(t.Context(), []model.Device{{UserID: id, DeviceID: "laptop", LastSeenAt: 9, CreatedAt: 4}}))
	var devices struct {
		Devices []AdminDevice
		Missing []string `json:"missing_nodes"`
	}
	c.get(path+"/devices", &devices)
	if len(devices.Devices) != 2 || len(devices.Missing) != 0 {
		t.Fatalf("devices %+v", devices)
	}
	laptop, there := devices.Devices[0], devices.Devices[1]
	if laptop.Connected || laptop.DeviceID != "laptop" || laptop.Node != "" || laptop.LastSeenAt != 9 {
		t.Errorf("laptop %+v", laptop)
	}
	if !there.Connected || there.DeviceID != "phone" || there.Node != "7" || there.ConnectionID == "" || there.ConnectedAt == 0 || there.State == "" {
		t.Errorf("phone %+v", there)
	}
	var detail struct {
		User    AdminUser
		Devices int
		Online  bool
		Mailbox AdminMailbox
	}
	c.get(path, &detail)
	if detail.User.ID != id || detail.Devices != 2 || !detail.Online || detail.Mailbox.Floor != 1 {
		t.Errorf("detail %+v", detail)
	}
	c.accepted(c.as(http.MethodPost, path+"/devices/phone/push", ""), http.StatusNoContent)
	c.accepted(c.as(http.MethodPost, path+"/devices/phone/close", ""), http.StatusNoContent)
	if phone.code != service.CloseRestart {
		t.Errorf("the socket was closed with %d", phone.code)
	}
	for _, what := range []string{"phone/close", "phone/push", "laptop/push", "nothing/close"} {
		c.refused(c.as(http.MethodPost, path+"/devices/"+what, ""), model.CodeNotFound)
	}
	c.accepted(c.as(http.MethodDelete, path+"/devices/laptop", ""), http.StatusNoContent)
	c.refused(c.as(http.MethodDelete, path+"/devices/laptop", ""), model.CodeNotFound)
	for _, what := range []string{"", "/devices"} {
		c.refused(c.as(http.MethodGet, "/users/77"+what, ""), model.CodeNotFound)
	}
	if list, _ := c.auditLog(c.root.AccessToken, "action=device.close&target_id="+id.String()); len(list) != 3 || !strings.Contains(string(list[2].Detail), `"phone"`) {
		t.Errorf("audit log %+v", list)
	}
}
