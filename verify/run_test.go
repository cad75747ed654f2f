package verify

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ackbox/client"
	"ackbox/internal/testenv"
)

// quick are the options of a short run; the limit on delays is what a busy machine never needs.
func quick(urls ...string) Options {
	return Options{URL: urls, Duration: 2 * time.Second, Users: 6, Rate: 60, Timeout: 10 * time.Second, Settle: 60 * time.Second, DelayLimit: 30 * time.Second, Capacity: 500_000}
}

func server(t *testing.T, env ...string) *testenv.Server {
	t.Helper()
	return testenv.StartServer(t, testenv.Binary(t), append([]string{"ACKBOX_RATE_LIMIT=off", "ACKBOX_ACK_TIMEOUT=1s"}, env...)...)
}

// clean fails the test unless the report is of a run that had something to check and found nothing.
func clean(t *testing.T, report *Report, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range report.Violations {
		shown, err := json.MarshalIndent(v.Events, "", " ")
		t.Errorf("%v\n%s (%v)", v, shown, err)
	}
	s := report.Stats
	if s.Accepted == 0 || s.Deliveries <= s.Accepted || s.Recalls+s.Refused == 0 || s.Connects <= report.Devices || len(report.Notes) != 0 {
		t.Errorf("too little to conclude from: %+v, notes %v", s, report.Notes)
	}
	t.Logf("%+v", s)
}

// TestVerifyNodes: two nodes on MariaDB and Redis keep their promises, with a large group too.
func TestVerifyNodes(t *testing.T) {
	t.Parallel()
	stores := []string{"ACKBOX_MYSQL_DSN=" + testenv.MySQL(t), "ACKBOX_REDIS_URL=" + testenv.StartRedis(t).URL(), "ACKBOX_JWT_SECRET=b3f1c6a07d5e4c2f9a8b1d0e6f7c4a35", "ACKBOX_MAILBOX_GROUP_LIMIT=8"}
	stores = append(stores, "ACKBOX_ADMIN_USERNAME=root", "ACKBOX_ADMIN_PASSWORD=a password of an operator")
	a, b := server(t, stores...), server(t, stores...)
	o := quick(a.URL, b.URL)
	o.LogGroup = 9
	o.AdminURL, o.AdminToken = b.URL, adminToken(t, a.URL)
	o.Metrics = []string{a.URL + "/metrics", b.URL + "/metrics"}
	report, err := Verify(t.Context(), o, nil)
	clean(t, report, err)
	if !report.LogGroup || len(report.Stats.Paths) != 4 {
		t.Errorf("delivered by log %t, between %d pairs of nodes; want true, 4", report.LogGroup, len(report.Stats.Paths))
	}
	if len(report.Met) != 2 || report.Met[0].Sockets+report.Met[1].Sockets != report.Devices || report.Met[0].Sockets == 0 || report.Met[1].Sockets == 0 {
		t.Errorf("met %+v with %d devices; want both nodes and all", report.Met, report.Devices)
	}
	operator := client.New(b.URL)
	defer operator.Close()
	for _, done := range []string{"user.create", "user.ban"} { // the accounts of the run are an operator's, and shut out
		answer, err := operator.Do(t.Context(), client.Request{Method: http.MethodGet, Path: "/v1/admin/audit?limit=200&action=" + done, Token: o.AdminToken})
		if err != nil {
			t.Fatal(err)
		}
		var found struct {
			Entries []struct {
				Outcome string `json:"outcome"`
			} `json:"entries"`
		}
		if err := json.Unmarshal(answer.Body, &found); err != nil {
			t.Fatal(err)
		}
		if len(found.Entries) != o.LogGroup || strings.Count(string(answer.Body), `"outcome":"ok"`) != o.LogGroup {
			t.Errorf("%s of %d accounts: %s", done, o.LogGroup, answer.Body)
		}
	}

	o = quick(a.URL)
	o.AdminToken = adminToken(t, a.URL)
	report, err = Verify(t.Context(), o, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(report.Notes) != 1 || !strings.Contains(report.Notes[0], "had no socket of this run") {
		t.Errorf("of a node whose address was not given: %q", report.Notes)
	}
}

// adminToken logs in as the server's first admin.
func adminToken(t *testing.T, url string) string {
	t.Helper()
	c := client.New(url)
	defer c.Close()
	session, err := c.Login(t.Context(), client.Credentials{Username: "root", Password: "a password of an operator"})
	if err != nil {
		t.Fatal(err)
	}
	return session.AccessToken
}

// TestVerifyBadNetwork: a network that loses and doubles requests, answers and frames costs nothing but duplicates, which are dropped.
func TestVerifyBadNetwork(t *testing.T) {
	t.Parallel()
	n, url := newNetwork(t, server(t).URL, false)
	o := quick(url)
	o.History = filepath.Join(t.TempDir(), "history.jsonl")
	report, err := Verify(t.Context(), o, nil)
	clean(t, report, err)
	if n.lost.Load() == 0 || n.twice.Load() == 0 || report.Stats.Duplicates == 0 || report.Stats.Tries <= report.Stats.Sends {
		t.Errorf("lost %d, doubled %d, duplicates dropped %d, %d tries of %d sends; want some of each", n.lost.Load(), n.twice.Load(), report.Stats.Duplicates, report.Stats.Tries, report.Stats.Sends)
	}

	file, err := os.Open(o.History)
	if err != nil {
		t.Fatal(err)
	}
	events, err := Load(file)
	if err := errors.Join(err, file.Close()); err != nil {
		t.Fatal(err)
	}
	if again := Check(Run{Events: events}); !again.OK() || again.Stats.Accepted != report.Stats.Accepted {
		t.Errorf("the written history, checked again: %d accepted, want %d; %v", again.Stats.Accepted, report.Stats.Accepted, again.Violations)
	}
}

// TestVerifyLiar: an answer 201 for a message that is nowhere is found.
func TestVerifyLiar(t *testing.T) {
	t.Parallel()
	_, url := newNetwork(t, server(t).URL, true)
	report, err := Verify(t.Context(), quick(url), nil)
	if err != nil {
		t.Fatal(err)
	}
	wantRule(t, report.Result, RuleStored)
}

// TestVerifyNothing: a run in which nothing was accepted, or nothing was pushed, proves nothing.
func TestVerifyNothing(t *testing.T) {
	t.Parallel()
	node := server(t)
	for says, broken := range map[string]struct{ shut, mute bool }{"no send was accepted": {shut: true}, "nothing was pushed": {mute: true}} {
		t.Run(says, func(t *testing.T) {
			n, url := newNetwork(t, node.URL, false)
			n.shut, n.mute = broken.shut, broken.mute
			o := quick(url)
			o.Duration, o.Settle = time.Second, time.Second
			report, err := Verify(t.Context(), o, nil)
			if err == nil || !strings.Contains(err.Error(), says) {
				t.Errorf("got error %v and %+v, want an error with %q", err, report, says)
			}
		})
	}
}

// TestCommand: the exit codes, the table and the file of the real command.
func TestCommand(t *testing.T) {
	t.Parallel()
	bin, s := testenv.Binary(t), server(t)
	_, liar := newNetwork(t, s.URL, true)
	file := filepath.Join(t.TempDir(), "report.json")
	for _, test := range []struct {
		name string
		code int
		says string
		args []string
	}{
		{"clean", 0, "violations  0", []string{"--url", s.URL, "--json", file}},
		{"broken", ExitBroken, "VIOLATION stored", []string{"--url", liar}},
		{"nobody there", ExitNoResult, "does not answer", []string{"--url", "http://" + testenv.Addr(t)}},
		{"no address", ExitNoResult, "is no address", []string{"--url", "example"}},
		{"not Ackbox", ExitNoResult, "not as Ackbox does", []string{"--url", s.URL + "/docs"}},
		{"a bad admin token", ExitNoResult, "does not take the admin token (unauthenticated)", []string{"--url", s.URL, "--admin-token", "mine"}},
		{"an admin's address without a token", ExitNoResult, "without admin-token", []string{"--url", s.URL, "--admin-url", s.URL}},
		{"a bad file", ExitNoResult, "line 1", []string{"--url", s.URL, "--users-file", written(t, "alice\n")}},
		{"a wrong password", ExitNoResult, "users file", []string{"--url", s.URL, "--users-file", written(t, strings.Repeat("nobody-here wrong-password\n", 3))}},
	} {
		t.Run(test.name, func(t *testing.T) {
			cmd := exec.Command(bin, append([]string{"verify", "--duration=1s", "--users=4", "--delay-limit=30s"}, test.args...)...)
			var out bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &out
			err := cmd.Run()
			var exit *exec.ExitError
			if err != nil && !errors.As(err, &exit) {
				t.Fatal(err)
			}
			if code := cmd.ProcessState.ExitCode(); code != test.code || !strings.Contains(out.String(), test.says) {
				t.Errorf("exit code %d, want %d and %q in:\n%s", code, test.code, test.says, out.String())
			}
		})
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var report Report
	if err := json.Unmarshal(data, &report); err != nil {
		t.Fatal(err)
	}
	if report.Stats.Accepted == 0 || len(report.Violations) != 0 {
		t.Errorf("the file says %+v", report)
	}
}

func written(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "users")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
