package e2e

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"ackbox/client"
)

// get reads a page without authorisation; it must be there.
func (s *system) get(t *testing.T, path string) client.Answer {
	t.Helper()
	answer, err := s.client.Do(within(t, patience), client.Request{Method: http.MethodGet, Path: path})
	if err != nil {
		t.Fatal(err)
	}
	if answer.Status != http.StatusOK {
		t.Fatalf("GET %s: %d: %.200s", path, answer.Status, answer.Body)
	}
	return answer
}

// attribute finds what a page loads, links or is sent from.
var attribute = regexp.MustCompile(`(?i)\b(?:src|href|action|data|poster)\s*=\s*["']?([^"'\s>]+)`)

// healthAndDocs: who watches and who reads needs no token, and reading needs no other host.
func healthAndDocs(t *testing.T, s *system) {
	s.get(t, "/healthz")
	ready := s.get(t, "/readyz")
	var state map[string]any
	if err := json.Unmarshal(ready.Body, &state); err != nil || len(state) == 0 {
		t.Errorf("/readyz: %v: %s", err, ready.Body)
	}
	metrics := string(s.get(t, "/metrics").Body)
	for _, want := range []string{"# HELP ackbox_", "# TYPE ackbox_", " histogram\n", "_bucket{"} {
		if !strings.Contains(metrics, want) {
			t.Errorf("/metrics has no %q", want)
		}
	}

	for path, want := range map[string]int{"/healthz": http.StatusOK, "/readyz": http.StatusOK, "/docs": http.StatusOK, "/v1/users/me": http.StatusUnauthorized, "/v1/ws": http.StatusMethodNotAllowed, "/nowhere": http.StatusNotFound} {
		answer, err := s.client.Do(within(t, patience), client.Request{Method: http.MethodHead, Path: path})
		if err != nil || answer.Status != want || len(answer.Body) != 0 {
			t.Errorf("HEAD %s: %d, %d bytes, %v; want %d and no body", path, answer.Status, len(answer.Body), err, want)
		}
	}

	docs := s.get(t, "/docs")
	if got := docs.Header.Get("Content-Type"); !strings.HasPrefix(got, "text/html") {
		t.Errorf("/docs is %q, want text/html", got)
	}
	loaded := 0
	for _, found := range attribute.FindAllStringSubmatch(string(docs.Body), -1) {
		target := found[1]
		switch {
		case strings.HasPrefix(target, "#"), strings.HasPrefix(target, "data:"):
			continue
		case strings.Contains(target, "//"):
			t.Errorf("/docs refers to %s", target)
			continue
		}
		path := target
		if !strings.HasPrefix(path, "/") {
			path = "/" + strings.TrimPrefix(path, "./")
		}
		s.get(t, path)
		loaded++
	}
	if loaded == 0 {
		t.Errorf("/docs loads nothing: %.300s", docs.Body)
	}
	if found := regexp.MustCompile(`https?://[^\s"'<>]+`).FindAllString(string(docs.Body), -1); len(found) != 0 {
		t.Errorf("/docs names other hosts: %q", found)
	}
}

// descriptions: the OpenAPI and AsyncAPI documents have this contract's calls and frames, and say truly which calls are public.
func descriptions(t *testing.T, s *system) {
	type operation struct {
		Security *[]map[string][]string `json:"security"`
	}
	var openAPI struct {
		OpenAPI  string                                `json:"openapi"`
		Security []map[string][]string                 `json:"security"`
		Paths    map[string]map[string]json.RawMessage `json:"paths"`
	}
	if err := json.Unmarshal(s.get(t, "/openapi.json").Body, &openAPI); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(openAPI.OpenAPI, "3.1.") {
		t.Errorf("openapi is %q, want 3.1", openAPI.OpenAPI)
	}
	for _, call := range []string{
		"post /v1/auth/register", "post /v1/auth/login", "post /v1/auth/refresh", "post /v1/auth/logout", "post /v1/auth/ws-ticket",
		"get /v1/users/me", "patch /v1/users/me", "get /v1/users/{user_id}", "get /v1/users", "put /v1/users/{user_id}/block", "delete /v1/users/{user_id}/block",
		"post /v1/messages", "get /v1/mailbox", "get /v1/mailbox/summary", "post /v1/mailbox/sync", "post /v1/mailbox/ack", "get /v1/ids",
	} {
		method, path, _ := strings.Cut(call, " ")
		if openAPI.Paths[path][method] == nil {
			t.Errorf("openapi.json has no %s", call)
		}
	}
	public := []string{
		"post /v1/auth/register", "post /v1/auth/login", "post /v1/auth/refresh", "post /v1/admin/session", "get /healthz", "get /readyz", "get /metrics",
		"get /openapi.json", "get /asyncapi.json", "get /docs",
	}
	parameter := regexp.MustCompile(`\{[^}]+\}`)
	for path, methods := range openAPI.Paths {
		for method, raw := range methods {
			if !slices.Contains([]string{"get", "put", "post", "delete", "patch"}, method) {
				continue
			}
			var op operation
			if err := json.Unmarshal(raw, &op); err != nil {
				t.Fatalf("%s %s: %v", method, path, err)
			}
			security := openAPI.Security
			if op.Security != nil {
				security = *op.Security
			}
			open := len(security) == 0 || slices.ContainsFunc(security, func(way map[string][]string) bool { return len(way) == 0 })
			// The socket's other way in is a ticket, a parameter and no security scheme: it may be described as optional.
			ticketed := method+" "+path == "get /v1/ws"
			if listed := slices.Contains(public, method+" "+path); open != listed && !ticketed {
				t.Errorf("%s %s: described as public: %t, want %t", method, path, open, listed)
			}
			if open && !ticketed {
				continue
			}
			request := client.Request{Method: strings.ToUpper(method), Path: parameter.ReplaceAllString(path, "1")}
			if method != "get" && method != "delete" {
				request.Raw = []byte("{}")
			}
			t.Run(method+" "+path+" without a token", func(t *testing.T) {
				answers(t, s.client, request, []int{http.StatusUnauthorized})
			})
		}
	}

	asyncAPI := s.get(t, "/asyncapi.json").Body
	var async struct {
		AsyncAPI string `json:"asyncapi"`
	}
	if err := json.Unmarshal(asyncAPI, &async); err != nil || !strings.HasPrefix(async.AsyncAPI, "3.") {
		t.Errorf("asyncapi is %q, %v; want 3", async.AsyncAPI, err)
	}
	for _, frame := range []string{"hello", "message", "behind", "synced", "receipt", "conversation", "ping", "bye"} {
		if !strings.Contains(string(asyncAPI), `"`+frame+`"`) {
			t.Errorf("asyncapi.json has no frame %q", frame)
		}
	}
}
