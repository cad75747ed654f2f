package api

import (
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"

	"ackbox/model"
)

// TestAdminNodes: what an operator sees of nodes, jobs, sockets, queues and settings, and does with them.
func TestAdminNodes(t *testing.T) {
	c := newConsole(t)
	bob, bobs := c.register("bob")
	bea, beas := c.register("bea")
	c.join(bob.User.UserID, bobs.FamilyID, "phone")
	c.join(bob.User.UserID, bobs.FamilyID, "laptop")
	c.join(bea.User.UserID, beas.FamilyID, "phone")

	var nodes struct {
		Nodes   []AdminNode
		Missing []string `json:"missing_nodes"`
	}
	c.get("/nodes", &nodes)
	if len(nodes.Nodes) != 1 || len(nodes.Missing) != 0 {
		t.Fatalf("nodes %+v", nodes)
	}
	if n := nodes.Nodes[0]; n.Node != "7" || !n.Self || n.State != "up" || n.Sessions != 3 || n.Version != "test" || n.Goroutines == 0 || n.HeapBytes == 0 || n.StartedAt == 0 || n.LeaseExpiresAt == 0 {
		t.Errorf("node %+v", n)
	}
	c.accepted(c.as(http.MethodPost, "/nodes/7/drain", ""), http.StatusNoContent)
	c.get("/nodes", &nodes)
	if nodes.Nodes[0].State != "draining" {
		t.Errorf("a draining node is %s", nodes.Nodes[0].State)
	}
	c.accepted(c.as(http.MethodPost, "/nodes/7/undrain", ""), http.StatusNoContent)
	c.refused(c.as(http.MethodPost, "/nodes/8/drain", ""), model.CodeNotFound)
	c.refused(c.as(http.MethodPost, "/nodes/x/drain", ""), model.CodeValidation)
	if !slices.Equal(c.drained, []bool{true, false}) {
		t.Errorf("turned %v", c.drained)
	}

	var jobs struct{ Jobs []AdminJob }
	c.get("/jobs", &jobs)
	if want := (AdminJob{Name: "sweep", Node: "7", EveryMS: 1000, LastDurationMS: 1, LastOutcome: "error", LastError: "what", Runs: 3, Failures: 1}); len(jobs.Jobs) != 1 || jobs.Jobs[0] != want {
		t.Errorf("jobs %+v", jobs.Jobs)
	}
	c.accepted(c.as(http.MethodPost, "/jobs/sweep/run", ""), http.StatusNoContent)
	c.accepted(c.as(http.MethodPost, "/jobs/sweep/run", `{"node":"7"}`), http.StatusNoContent)
	c.refused(c.as(http.MethodPost, "/jobs/nothing/run", ""), model.CodeNotFound)
	c.refused(c.as(http.MethodPost, "/jobs/sweep/run", `{"node":"9999"}`), model.CodeNotFound)
	if len(c.jobs.ran) != 3 {
		t.Errorf("ran %v", c.jobs.ran)
	}

	var sockets struct {
		Sessions   []AdminSocket
		NextCursor string `json:"next_cursor"`
		HasMore    bool   `json:"has_more"`
	}
	seen := map[string]bool{}
	for next, n := "", 0; n == 0 || next != ""; n++ {
		c.get("/sessions?sort=connected_at&limit=2&cursor="+next, &sockets)
		for _, s := range sockets.Sessions {
			if s.Node != "7" || s.ConnectedAt == 0 || seen[s.ConnectionID] {
				t.Errorf("socket %+v", s)
			}
			seen[s.ConnectionID] = true
			if s.Username != map[model.UserID]string{bob.User.UserID: "bob", bea.User.UserID: "bea"}[s.UserID] {
				t.Errorf("whose is %+v", s)
			}
		}
		if next = sockets.NextCursor; n > 3 || sockets.HasMore != (next != "") {
			t.Fatalf("page %d: %+v", n, sockets)
		}
	}
	if len(seen) != 3 {
		t.Errorf("%d sockets in pages", len(seen))
	}
	for query, want := range map[string]int{"user_id=" + bob.User.UserID.String(): 2, "node=7": 3, "state=behind": 0, "sort=-connected_at": 3} {
		if c.get("/sessions?"+query, &sockets); len(sockets.Sessions) != want {
			t.Errorf("%s: %d sockets, want %d", query, len(sockets.Sessions), want)
		}
	}
	c.refused(c.as(http.MethodGet, "/sessions?cursor=1", ""), model.CodeValidation)

	var queue struct{ Nodes []AdminAckQueue }
	c.get("/ack-queue", &queue)
	if len(queue.Nodes) != 1 || queue.Nodes[0].Capacity != 10 || len(queue.Nodes[0].ByAttempt) != 5 || queue.Nodes[0].Entries != 0 {
		t.Errorf("ack queue %+v", queue)
	}

	var series struct {
		StepMS int64 `json:"step_ms"`
		Nodes  []AdminSeries
	}
	must(t, c.series.Sample(t.Context()))
	must(t, c.series.Sample(t.Context()))
	c.get("/series?minutes=1", &series)
	if series.StepMS != 2000 || len(series.Nodes) != 1 || series.Nodes[0].Node != "7" || len(series.Nodes[0].Samples) != 1 || series.Nodes[0].Samples[0].Sessions != 3 {
		t.Errorf("series %+v", series)
	}

	var levels struct{ Nodes []AdminLogLevel }
	c.accepted(c.as(http.MethodPut, "/log-level", `{"level":"debug","for_ms":60000}`), http.StatusNoContent)
	c.get("/log-level", &levels)
	if len(levels.Nodes) != 1 || levels.Nodes[0].Level != "debug" || levels.Nodes[0].Until == 0 || c.level.Level() != slog.LevelDebug {
		t.Errorf("log level %+v", levels)
	}
	c.accepted(c.as(http.MethodPut, "/log-level", `{"level":"warn","node":"7"}`), http.StatusNoContent)
	c.get("/log-level", &levels)
	if levels.Nodes[0].Level != "warn" || levels.Nodes[0].Until != 0 {
		t.Errorf("log level %+v", levels)
	}
	c.refused(c.as(http.MethodPut, "/log-level", `{"level":"loud"}`), model.CodeValidation)
	c.refused(c.as(http.MethodPut, "/log-level", `{"level":"info","node":"8"}`), model.CodeNotFound)

	var config struct{ Settings []AdminSetting }
	c.get("/config", &config)
	if len(config.Settings) != 1 || config.Settings[0].Value != "•••" {
		t.Errorf("settings %+v", config)
	}

	list, _ := c.auditLog(c.root.AccessToken, "")
	var actions []string
	for _, e := range list {
		actions = append(actions, e.Action+" "+e.TargetID+" "+e.Outcome)
	}
	want := "log.level  not_found,log.level  ok,log.level  ok,job.run sweep not_found,job.run nothing not_found,job.run sweep ok,job.run sweep ok,node.drain 8 not_found,node.undrain 7 ok,node.drain 7 ok"
	if got := strings.Join(actions, ","); got != want {
		t.Errorf("audit log:\n got %s\nwant %s", got, want)
	}
	for _, path := range []string{"/nodes", "/jobs", "/sessions", "/ack-queue", "/series", "/config", "/log-level", "/users"} {
		c.refused(request{method: http.MethodGet, path: "/v1/admin" + path, token: bob.AccessToken}, model.CodeForbidden)
	}
}
