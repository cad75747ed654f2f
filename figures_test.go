package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"ackbox/config"

	"github.com/alecthomas/kong"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// serve runs a whole server in this process, over SQLite.
func serve(t *testing.T, args ...string) *server {
	t.Helper()
	var c config.Config
	parser, err := kong.New(&c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse(append([]string{"--http-addr=127.0.0.1:0", "--data-dir=" + t.TempDir(), "--log-level=error"}, args...)); err != nil {
		t.Fatal(err)
	}
	if err := c.Check(); err != nil {
		t.Fatal(err)
	}
	s, err := newServer(t.Context(), &c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return s
}

func (s *server) url(path string) string { return "http://" + s.listener.Addr().String() + path }

// call asks a server, wants a status, and answers the body.
func call(t *testing.T, method, url, token string, body any, status int) map[string]any {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var answer map[string]any
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != status {
		t.Fatalf("%s %s: got %d %v, want %d", method, url, response.StatusCode, answer, status)
	}
	return answer
}

// register makes an account and answers its token and id.
func register(t *testing.T, s *server, name string) (token, id string) {
	t.Helper()
	grant := call(t, http.MethodPost, s.url("/v1/auth/register"), "", map[string]any{"username": name, "password": "a long password"}, http.StatusCreated)
	user, _ := grant["user"].(map[string]any)
	token, _ = grant["access_token"].(string)
	id, _ = user["user_id"].(string)
	return token, id
}

// TestMetricsAreDocumented compares docs/metrics.md with what a server that has done some work registers: name, type, labels and help.
func TestMetricsAreDocumented(t *testing.T) {
	s := serve(t)
	token, _ := register(t, s, "sender")
	_, receiver := register(t, s, "receiver")
	call(t, http.MethodPost, s.url("/v1/messages"), token, map[string]any{"client_msg_id": "one", "to_user_id": receiver, "type": "text", "body": map[string]any{"text": "hello"}}, http.StatusCreated)

	text, err := os.ReadFile("docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]string{}
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(line, "|")
		if len(cells) < 6 || !strings.HasPrefix(strings.TrimSpace(cells[1]), "`ackbox_") {
			continue
		}
		var row []string
		for _, cell := range cells[1:5] {
			row = append(row, strings.TrimSpace(cell))
		}
		documented[strings.Trim(row[0], "`")] = "| " + strings.Join(row, " | ") + " |"
	}
	families := s.settled(t)
	registered := map[string]bool{}
	for _, family := range families {
		if !strings.HasPrefix(family.GetName(), "ackbox_") {
			continue
		}
		registered[family.GetName()] = true
		if got, want := documented[family.GetName()], row(family); got != want {
			t.Errorf("docs/metrics.md says of %s:\n%s\nwant\n%s", family.GetName(), got, want)
		}
	}
	for name := range documented {
		if !registered[name] {
			t.Errorf("docs/metrics.md lists %s, which the server does not have", name)
		}
	}
	for _, name := range described(s.registry) {
		if strings.HasPrefix(name, "ackbox_") && !registered[name] {
			t.Errorf("%s has no series after some work: its first event would be lost", name)
		}
	}
	if len(registered) < 30 {
		t.Errorf("got %d metrics", len(registered))
	}
}

// settled gathers once the send has been counted, which may be after its answer.
func (s *server) settled(t *testing.T) []*dto.MetricFamily {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; {
		families, err := s.registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, family := range families {
			if family.GetName() == "ackbox_http_requests_total" && len(family.GetMetric()) >= 2 {
				return families
			}
		}
		if time.Now().After(deadline) {
			t.Fatal("no request was counted")
		}
	}
}

func row(family *dto.MetricFamily) string {
	labels := map[string]bool{}
	for _, m := range family.GetMetric() {
		for _, pair := range m.GetLabel() {
			labels[pair.GetName()] = true
		}
	}
	names := make([]string, 0, len(labels))
	for name := range labels {
		names = append(names, "`"+name+"`")
	}
	slices.Sort(names)
	return fmt.Sprintf("| %#q | %s | %s | %s |", family.GetName(), strings.ToLower(family.GetType().String()), strings.Join(names, ", "), family.GetHelp())
}

// described are the names that a registry's collectors announce.
func described(registry *prometheus.Registry) (names []string) {
	descs := make(chan *prometheus.Desc)
	go func() { registry.Describe(descs); close(descs) }()
	for desc := range descs {
		_, rest, _ := strings.Cut(desc.String(), `fqName: "`)
		name, _, _ := strings.Cut(rest, `"`)
		names = append(names, name)
	}
	return names
}
