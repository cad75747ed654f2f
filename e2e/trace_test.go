package e2e

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"ackbox/client"
	"ackbox/internal/testenv"
)

// traceAnswer is what the test looks at of a trace.
type traceAnswer struct {
	Accepted struct {
		Node, Source string
		BatchSize    int64 `json:"batch_size"`
		At           int64
		CommittedAt  int64 `json:"committed_at"`
	}
	Recipients []struct {
		UserID  client.UserID `json:"user_id"`
		Seq     int64
		Read    bool
		ReadAt  int64 `json:"read_at"`
		Devices []struct {
			DeviceID string `json:"device_id"`
			State    string
		}
	}
	Events       []traceEvent
	Complete     bool
	MissingNodes []string `json:"missing_nodes"`
}

type traceEvent struct {
	At         int64
	Node, Kind string
}

// kinds are the events as "kind node".
func (a *traceAnswer) kinds() (list []string) {
	for _, e := range a.Events {
		list = append(list, e.Kind+" "+e.Node)
	}
	return list
}

func (a *traceAnswer) has(t *testing.T, want ...string) {
	t.Helper()
	kinds := a.kinds()
	for _, w := range want {
		if !slices.Contains(kinds, w) {
			t.Errorf("no %q among the events: %s", w, strings.Join(kinds, ", "))
		}
	}
}

// operator signs the first admin in.
func (s *system) operator(t *testing.T) *actor {
	t.Helper()
	session, err := s.client.Login(within(t, patience), client.Credentials{Username: "root", Password: password})
	if err != nil {
		t.Fatalf("login of the operator: %v", err)
	}
	return &actor{Session: session, t: t}
}

func (a *actor) get(path string, out any) {
	a.t.Helper()
	if _, err := a.Call(within(a.t, patience), http.MethodGet, path, nil, out); err != nil {
		a.t.Fatalf("GET %s: %v", path, err)
	}
}

// TestTraceAcrossAKill: a node accepts a message and is killed, another delivers it. The trace read from the other says by the tables
// who accepted it, and once the first is back with its data folder, under another node id, by its trace.
func TestTraceAcrossAKill(t *testing.T) {
	t.Parallel()
	stores := storeEnv(testenv.MySQL(t), testenv.StartRedis(t).URL())
	admin := []string{"ACKBOX_ADMIN_USERNAME=root", "ACKBOX_ADMIN_PASSWORD=" + password}
	b := mariaDB.startOn(t, stores, admin...)
	a := mariaDB.startOn(t, stores, admin...)
	alice, bob := a.user(t), b.user(t)
	root := b.operator(t)

	first := alice.openLive("phone")
	before := a.metric(t, "ackbox_trace_events_total")
	sent := alice.send(bob, "before the kill")
	first.pushes(1, 1)
	alice.ack("phone", 1, 1)
	untilTraced(t, a, before+5) // accepted, committed, relayed, pushed, acked: in the file, however hard the process ends
	a.server.Kill()

	laptop := bob.open(client.Dial{Device: "laptop"})
	laptop.pushes(1, 1)
	bob.ack("laptop", 1, 1)
	if _, err := bob.Read(within(t, patience), sent.Message.ConversationID, 1); err != nil {
		t.Fatal(err)
	}
	killed, other := first.hello.Node, laptop.hello.Node
	path := "/v1/admin/messages/" + string(sent.Message.MessageID) + "/trace"

	var dead traceAnswer
	root.get(path, &dead)
	if dead.Accepted.Node != killed || dead.Accepted.Source != "tables" || dead.Complete || !slices.Equal(dead.MissingNodes, []string{killed}) {
		t.Errorf("while the node is dead: accepted %+v, complete %v, missing %v; want node %s by the tables, and missing", dead.Accepted, dead.Complete, dead.MissingNodes, killed)
	}
	delivered := []string{"pushed " + other, "acked " + other, "receipt " + other, "read " + other}
	dead.has(t, delivered...)
	checkReader(t, &dead, bob)

	a.server.Restart()
	var back traceAnswer
	root.get(path, &back)
	if back.Accepted.Node != killed || back.Accepted.Source != "trace" || back.Accepted.BatchSize != 1 || !back.Complete || len(back.MissingNodes) != 0 {
		t.Errorf("once it is back: accepted %+v, complete %v, missing %v; want node %s by its trace, and nothing missing", back.Accepted, back.Complete, back.MissingNodes, killed)
	}
	back.has(t, append(delivered, "accepted "+killed, "committed "+killed, "relayed "+killed, "pushed "+killed, "acked "+killed)...)
	if again := alice.at(b).openLive("phone"); again.hello.Node != other {
		t.Errorf("node %s, want %s", again.hello.Node, other)
	}
	checkReader(t, &back, bob)
	if !slices.IsSortedFunc(back.Events, func(x, y traceEvent) int { return int(x.At - y.At) }) {
		t.Errorf("the events are not in order of time: %+v", back.Events)
	}

	var own struct {
		Recipients []struct {
			UserID client.UserID `json:"user_id"`
			State  string
			ReadAt *time.Time `json:"read_at"`
		}
	}
	alice.at(b).get("/v1/messages/"+string(sent.Message.MessageID)+"/trace", &own)
	if len(own.Recipients) != 1 || own.Recipients[0].UserID != bob.id() || own.Recipients[0].State != "read" || own.Recipients[0].ReadAt == nil {
		t.Errorf("the sender's own trace: %+v", own)
	}

	var stuck struct {
		Devices []struct {
			UserID client.UserID `json:"user_id"`
		}
		RetryHistogram []struct{ Attempt, Entries int64 } `json:"retry_histogram"`
		MissingNodes   []string                           `json:"missing_nodes"`
	}
	root.get("/v1/admin/stuck?sort=oldest", &stuck)
	if len(stuck.Devices) != 0 || len(stuck.RetryHistogram) == 0 {
		t.Errorf("nobody is stuck, and the answer is %+v", stuck)
	}
}

func checkReader(t *testing.T, a *traceAnswer, bob *actor) {
	t.Helper()
	if len(a.Recipients) != 1 {
		t.Fatalf("recipients %+v", a.Recipients)
	}
	r := a.Recipients[0]
	if r.UserID != bob.id() || r.Seq != 1 || !r.Read || r.ReadAt == 0 || len(r.Devices) != 1 || r.Devices[0].DeviceID != "laptop" || r.Devices[0].State != "acked" {
		t.Errorf("the recipient: %+v", r)
	}
}

// untilTraced waits until a node has written so many events.
func untilTraced(t *testing.T, s *system, events float64) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for s.metric(t, "ackbox_trace_events_total") < events {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("the node has not written %v events", events)
		}
	}
}
