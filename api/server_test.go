package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
	"github.com/redis/go-redis/v9"

	"ackbox/model"
	"ackbox/service"
)

// counter is an id service that counts.
type counter struct{ n atomic.Int64 }

func (c *counter) Next() (int64, error) { return c.n.Add(1) + 1<<60, nil }

func (c *counter) Take(_ context.Context, n int) ([]int64, error) {
	ids := make([]int64, n)
	for i := range ids {
		ids[i], _ = c.Next() //nolint:errcheck // never fails
	}
	return ids, nil
}

// blockList remembers what it was told.
type blockList struct{ calls []string }

func (b *blockList) SetBlock(_ context.Context, me, other model.UserID, blocked bool) error {
	if other == 404 {
		return model.NotFound("user")
	}
	b.calls = append(b.calls, fmt.Sprint(me, other, blocked))
	return nil
}

// logText is a log in memory.
type logText struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// server is the edge on a real listener, over an SQLite store and a Redis of its own.
type server struct {
	t      *testing.T
	url    string
	api    *API
	store  *model.Store
	redis  *miniredis.Miniredis
	log    *logText
	blocks *blockList
	ready  *atomic.Pointer[[]Dependency] // nil inside: all is well
	router routers.Router
	token  string // of the user everyone is
}

// newServer starts one; set changes what it is built from.
func newServer(t *testing.T, set func(*Deps)) *server {
	t.Helper()
	return newServerWith(t, func(_ *server, d *Deps) {
		if set != nil {
			set(d)
		}
	})
}

// newServerWith is newServer for who needs its store.
func newServerWith(t *testing.T, set func(*server, *Deps)) *server {
	t.Helper()
	s := &server{t: t, blocks: &blockList{}, redis: miniredis.RunT(t), log: &logText{}, ready: &atomic.Pointer[[]Dependency]{}}
	var err error
	s.store, err = model.Open(t.Context(), model.Options{SQLitePath: filepath.Join(t.TempDir(), "a.db")})
	must(t, err)
	t.Cleanup(func() { must(t, s.store.Close()) })
	must(t, s.store.Migrate(t.Context()))
	client := redis.NewClient(&redis.Options{Addr: s.redis.Addr(), MaxRetries: -1, DialTimeout: time.Second})
	t.Cleanup(func() { must(t, client.Close()) })
	ids := &counter{}
	auth, err := service.NewAuth(service.AuthOptions{
		Store: s.store, IDs: ids, Redis: client, Secret: []byte(strings.Repeat("0123456789abcdef", 2)), AccessTTL: time.Minute, RefreshTTL: time.Hour, PasswordMemory: 64,
	})
	must(t, err)
	node := func() model.NodeID { return 7 }
	calls := service.NewNodeCalls(s.store, nil, "test", "test", node, slog.New(slog.DiscardHandler))
	t.Cleanup(calls.Stop)
	deps := Deps{
		Audit: service.NewAudit(s.store, ids, node, time.Now, slog.New(slog.NewTextHandler(s.log, nil))), NodeCalls: calls,
		Auth: auth, Users: service.NewUsers(s.store, auth), Blocks: s.blocks, IDs: ids,
		Ready: func(context.Context) ([]Dependency, bool) {
			if down := s.ready.Load(); down != nil {
				return *down, false
			}
			return []Dependency{{Name: "database", State: StateUp}, {Name: "redis", State: StateUp}}, true
		},
		Log:     slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "up 1") }),
	}
	set(s, &deps)
	s.api, err = New(deps)
	must(t, err)
	listener := httptest.NewServer(s.api.Handler())
	t.Cleanup(listener.Close)
	s.url = listener.URL
	s.router = s.contract()
	grant, err := auth.Register(t.Context(), service.Registration{Username: "everyone", Password: "everyone's password"})
	must(t, err)
	s.token = grant.AccessToken
	return s
}

func (s *server) contract() routers.Router {
	s.t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData([]byte(s.text("/openapi.json")))
	must(s.t, err)
	router, err := gorillamux.NewRouter(doc)
	must(s.t, err)
	return router
}

func (s *server) text(path string) string {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.url+path, nil)
	must(s.t, err)
	answer, err := http.DefaultClient.Do(r)
	must(s.t, err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	must(s.t, err)
	return string(text)
}

// answer is what came back.
type answer struct {
	t       *testing.T
	status  int
	header  http.Header
	text    string
	problem Problem
}

// into decodes the answer.
func (a answer) into(v any) {
	a.t.Helper()
	must(a.t, json.Unmarshal([]byte(a.text), v))
}

// request is one call; Header pairs are name, value.
type request struct {
	method, path, body string
	token              string // "-": none, "": the server's
	header             []string
	raw                io.Reader // instead of body
}

// do sends a request and checks every answer against the OpenAPI description.
func (s *server) do(q request) answer {
	s.t.Helper()
	body := q.raw
	if body == nil {
		body = strings.NewReader(q.body)
	}
	r, err := http.NewRequestWithContext(s.t.Context(), q.method, s.url+q.path, body)
	must(s.t, err)
	if q.body != "" || q.raw != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	switch q.token {
	case "-":
	case "":
		r.Header.Set("Authorization", "Bearer "+s.token)
	default:
		r.Header.Set("Authorization", "Bearer "+q.token)
	}
	for i := 0; i < len(q.header); i += 2 {
		if q.header[i+1] == "" {
			r.Header.Del(q.header[i])
			continue
		}
		r.Header.Set(q.header[i], q.header[i+1])
	}
	got, err := http.DefaultClient.Do(r)
	must(s.t, err)
	defer got.Body.Close()
	text, err := io.ReadAll(got.Body)
	must(s.t, err)
	a := answer{t: s.t, status: got.StatusCode, header: got.Header, text: string(text)}
	if a.header.Get("X-Request-Id") == "" {
		s.t.Errorf("%s %s: no X-Request-Id", q.method, q.path)
	}
	if kept := a.header.Get("Cache-Control"); strings.HasPrefix(q.path, "/v1/") && q.method != http.MethodOptions && kept != "no-store" {
		s.t.Errorf("%s %s: %d with Cache-Control %q, want no-store: it is somebody's", q.method, q.path, a.status, kept)
	}
	if a.status >= 400 {
		s.checkProblem(q, &a)
	}
	if route, params, err := s.router.FindRoute(r); err == nil && q.method != http.MethodOptions {
		err := openapi3filter.ValidateResponse(s.t.Context(), &openapi3filter.ResponseValidationInput{
			RequestValidationInput: &openapi3filter.RequestValidationInput{Request: r, PathParams: params, Route: route},
			Status:                 a.status, Header: a.header, Body: io.NopCloser(bytes.NewReader(text)),
			Options: &openapi3filter.Options{IncludeResponseStatus: true},
		})
		if err != nil {
			s.t.Errorf("%s %s: the answer %d is not what the description says: %v\n%s", q.method, q.path, a.status, err, text)
		}
	}
	return a
}

func (s *server) checkProblem(q request, a *answer) {
	s.t.Helper()
	if got := a.header.Get("Content-Type"); got != "application/problem+json" {
		s.t.Errorf("%s %s: content type of a %d is %q", q.method, q.path, a.status, got)
	}
	a.into(&a.problem)
	p := a.problem
	if p.Status != a.status || p.Title == "" || p.Detail == "" || p.Type != "/docs/errors#"+string(p.Code) || p.RequestID != a.header.Get("X-Request-Id") {
		s.t.Errorf("%s %s: malformed problem %s", q.method, q.path, a.text)
	}
	if m := meanings[p.Code]; m.status != a.status || m.title != p.Title {
		s.t.Errorf("%s %s: code %s with status %d", q.method, q.path, p.Code, a.status)
	}
	for _, leak := range []string{"json:", "Go ", "struct", "model.", "api.", "runtime error", "goroutine"} {
		if strings.Contains(a.text, leak) {
			s.t.Errorf("%s %s: the answer shows %q: %s", q.method, q.path, leak, a.text)
		}
	}
}

// in is the server for a subtest.
func (s *server) in(t *testing.T) *server {
	t.Helper()
	sub := *s
	sub.t = t
	return &sub
}

// refused does a request and wants a code.
func (s *server) refused(q request, want model.Code) answer {
	s.t.Helper()
	a := s.do(q)
	if a.problem.Code != want {
		s.t.Errorf("%s %s %.80s: got %d %s, want %s", q.method, q.path, q.body, a.status, a.text, want)
	}
	return a
}

// accepted does a request and wants a status.
func (s *server) accepted(q request, want int) answer {
	s.t.Helper()
	a := s.do(q)
	if a.status != want {
		s.t.Fatalf("%s %s: got %d %s, want %d", q.method, q.path, a.status, a.text, want)
	}
	return a
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
