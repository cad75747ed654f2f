package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"slices"
	"strings"
	"testing"
	"time"

	"ackbox/client"
	"ackbox/internal/testenv"
)

// desk is an operator's browser: it has a cookie and calls the admin API of one listener.
type desk struct {
	t      *testing.T
	base   string
	client *http.Client
}

// do is a call; a status that is not wanted fails the test. The answer goes into `into`, unless that is nil.
func (d *desk) do(method, path, body string, want int, into any) {
	d.t.Helper()
	r, err := http.NewRequestWithContext(within(d.t, patience), method, d.base+"/v1/admin"+path, strings.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	answer, err := d.client.Do(r)
	if err != nil {
		d.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	if answer.StatusCode != want {
		d.t.Fatalf("%s %s: got %d %s, want %d", method, path, answer.StatusCode, text, want)
	}
	if into != nil {
		if err := json.NewDecoder(bytes.NewReader(text)).Decode(into); err != nil {
			d.t.Fatalf("%s %s: %v: %s", method, path, err, text)
		}
	}
}

type nodesAnswer struct {
	Nodes []struct {
		Node, State string
		Self        bool
		Sessions    int
	}
	Missing []string `json:"missing_nodes"`
}

func (n nodesAnswer) state(node string) string {
	for _, one := range n.Nodes {
		if one.Node == node {
			return one.State
		}
	}
	return "unknown"
}

// eventually asks until the answer is as it must become.
func (d *desk) eventually(what string, done func() bool) {
	d.t.Helper()
	ctx := within(d.t, patience)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			d.t.Fatalf("waited too long for %s", what)
		}
	}
}

// TestOperator: from one of two nodes, on a listener of its own, an operator sees both, and what they do to a user, a device or a
// node happens on the other.
func TestOperator(t *testing.T) {
	t.Parallel()
	stores := append(storeEnv(testenv.MySQL(t), testenv.StartRedis(t).URL()), "ACKBOX_ACK_TIMEOUT=30s", "ACKBOX_ADMIN_USERNAME=root", "ACKBOX_ADMIN_PASSWORD="+password)
	listener := testenv.Addr(t)
	a, b := mariaDB.startOn(t, stores, "ACKBOX_ADMIN_ADDR="+listener), mariaDB.startOn(t, stores)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	d := &desk{t: t, base: "http://" + listener, client: &http.Client{Jar: jar}}
	t.Cleanup(d.client.CloseIdleConnections)
	login := fmt.Sprintf(`{"username":"root","password":%q}`, password)
	onPublic := &desk{t: t, base: a.server.URL, client: d.client}
	onPublic.do(http.MethodPost, "/session", login, http.StatusNotFound, nil)
	d.do(http.MethodGet, "/nodes", "", http.StatusUnauthorized, nil)
	d.do(http.MethodPost, "/session", login, http.StatusOK, nil)
	onPublic.do(http.MethodGet, "/session", "", http.StatusNotFound, nil)

	alice, bob := a.user(t), b.user(t)
	laptop := bob.openLive("laptop")
	there := laptop.hello.Node
	var nodes nodesAnswer
	d.eventually("both nodes to answer", func() bool { // a node that has just started subscribes
		d.do(http.MethodGet, "/nodes", "", http.StatusOK, &nodes)
		return len(nodes.Nodes) == 2 && len(nodes.Missing) == 0
	})
	if nodes.state(there) != "up" || nodes.Nodes[0].Self == nodes.Nodes[1].Self {
		t.Errorf("nodes %+v", nodes)
	}
	asBob := func(t *testing.T, path string) client.Answer {
		t.Helper()
		answer, err := b.client.Do(within(t, patience), client.Request{Method: http.MethodGet, Path: path, Token: bob.AccessToken})
		if err != nil {
			t.Fatal(err)
		}
		return answer
	}
	device := "/users/" + string(bob.id()) + "/devices"

	t.Run("a device there is seen and pushed to again", func(t *testing.T) {
		laptop.t, d.t = t, t
		alice.send(bob, "again, please")
		laptop.pushes(1, 1)
		var devices struct {
			Devices []struct {
				DeviceID  string `json:"device_id"`
				Node      string
				Connected bool
				Pending   int
				Lag       int64
			}
		}
		d.do(http.MethodGet, device, "", http.StatusOK, &devices)
		if len(devices.Devices) != 1 || devices.Devices[0].Node != there || devices.Devices[0].Pending != 1 || devices.Devices[0].Lag != 1 {
			t.Errorf("devices %+v", devices)
		}
		d.do(http.MethodPost, device+"/laptop/push", "", http.StatusNoContent, nil)
		laptop.until("the push again", func(f client.Frame) bool { return f.Type == "message" && f.Seq == 1 })
		bob.ack("laptop", 1, 1)
		var sessions struct {
			Sessions []struct{ Node, Username string }
		}
		d.do(http.MethodGet, "/sessions?user_id="+string(bob.id()), "", http.StatusOK, &sessions)
		if len(sessions.Sessions) != 1 || sessions.Sessions[0].Node != there || sessions.Sessions[0].Username != bob.User.Username {
			t.Errorf("sessions %+v", sessions)
		}
		d.do(http.MethodPost, device+"/laptop/close", "", http.StatusNoContent, nil)
		laptop.endsWith(1012)
	})

	t.Run("jobs and the log level there", func(t *testing.T) {
		d.t = t
		d.do(http.MethodPost, "/jobs/prune-tokens/run", `{"node":"`+there+`"}`, http.StatusNoContent, nil) // by itself it runs after ten minutes
		d.eventually("the job to have run there", func() bool {
			var jobs struct {
				Jobs []struct {
					Name, Node string
					Runs       int
				}
			}
			d.do(http.MethodGet, "/jobs", "", http.StatusOK, &jobs)
			ran := []string{}
			for _, j := range jobs.Jobs {
				if j.Name == "prune-tokens" && j.Runs > 0 {
					ran = append(ran, j.Node)
				}
			}
			return slices.Equal(ran, []string{there})
		})
		d.do(http.MethodPut, "/log-level", `{"level":"debug","for_ms":60000}`, http.StatusNoContent, nil)
		asBob(t, "/v1/users/me")
		if !strings.Contains(b.server.Output(), "path=/v1/users/me") {
			t.Error("the other node's log does not tell of requests")
		}
	})

	t.Run("a node there is drained and comes back", func(t *testing.T) {
		laptop, d.t = bob.openLive("laptop"), t
		laptop.t = t
		d.do(http.MethodPost, "/nodes/"+there+"/drain", "", http.StatusNoContent, nil)
		laptop.endsWith(1012)
		if answer := asBob(t, "/readyz"); answer.Status != http.StatusServiceUnavailable {
			t.Errorf("/readyz of a draining node: %d", answer.Status)
		}
		_, err := bob.Connect(within(t, patience), client.Dial{Device: "laptop"})
		refused(t, err, "draining", http.StatusServiceUnavailable)
		if d.do(http.MethodGet, "/nodes", "", http.StatusOK, &nodes); nodes.state(there) != "draining" {
			t.Errorf("nodes %+v", nodes)
		}
		d.do(http.MethodPost, "/nodes/"+there+"/undrain", "", http.StatusNoContent, nil)
		if answer := asBob(t, "/readyz"); answer.Status != http.StatusOK {
			t.Errorf("/readyz of a node that is back: %d", answer.Status)
		}
		laptop = bob.openLive("laptop")
		laptop.alive()
	})

	t.Run("a ban here is a ban there", func(t *testing.T) {
		laptop.t, d.t = t, t
		d.do(http.MethodPut, "/users/"+string(bob.id())+"/ban", `{"reason":"a test"}`, http.StatusNoContent, nil)
		laptop.endsWith(4003)
		d.eventually("the ban to be known there", func() bool { return asBob(t, "/v1/users/me").Status == http.StatusForbidden })
		d.do(http.MethodDelete, "/users/"+string(bob.id())+"/ban", "", http.StatusNoContent, nil)
		d.eventually("the end of the ban to be known there", func() bool {
			return asBob(t, "/v1/users/me").Status == http.StatusUnauthorized // an ended session, and no ban
		})
	})

	t.Run("a node that is dead is named", func(t *testing.T) {
		d.t = t
		b.server.Kill()
		var series struct {
			Nodes   []struct{ Node string }
			Missing []string `json:"missing_nodes"`
		}
		d.do(http.MethodGet, "/series?minutes=1", "", http.StatusOK, &series)
		if len(series.Nodes) != 1 || !slices.Equal(series.Missing, []string{there}) {
			t.Errorf("series of %+v, missing %v", series.Nodes, series.Missing)
		}
		if d.do(http.MethodGet, "/nodes", "", http.StatusOK, &nodes); nodes.state(there) != "down" {
			t.Errorf("nodes %+v", nodes)
		}
		d.do(http.MethodPost, "/nodes/"+there+"/drain", "", http.StatusServiceUnavailable, nil)
	})

	d.t = t
	var audit struct {
		Entries []struct{ Action, Outcome, Actor string }
	}
	d.do(http.MethodGet, "/audit", "", http.StatusOK, &audit)
	var actions []string
	for _, e := range audit.Entries {
		actions = append(actions, e.Actor+" "+e.Action+" "+e.Outcome)
	}
	want := "root node.drain unavailable,root user.unban ok,root user.ban ok,root node.undrain ok,root node.drain ok,root log.level ok,root job.run ok,root device.close ok,root device.push ok,root session.login ok"
	if got := strings.Join(actions, ","); got != want {
		t.Errorf("audit log:\n got %s\nwant %s", got, want)
	}
	d.do(http.MethodDelete, "/session", "", http.StatusNoContent, nil)
	d.do(http.MethodGet, "/session", "", http.StatusUnauthorized, nil)
}
