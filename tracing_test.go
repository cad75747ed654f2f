package main

import (
	"crypto/rand"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"ackbox/internal/testenv"

	"github.com/gorilla/websocket"
	"go.opentelemetry.io/otel/trace"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	spans "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// otlp is a collector that keeps what it gets.
type otlp struct {
	*httptest.Server
	mu   sync.Mutex
	list []*spans.Span
}

func newOTLP(t *testing.T) *otlp {
	t.Helper()
	o := &otlp{}
	o.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var request collector.ExportTraceServiceRequest
		if err != nil || r.URL.Path != "/v1/traces" || proto.Unmarshal(body, &request) != nil {
			http.Error(w, "no spans", http.StatusBadRequest)
			return
		}
		o.mu.Lock()
		defer o.mu.Unlock()
		for _, resource := range request.GetResourceSpans() {
			for _, scope := range resource.GetScopeSpans() {
				o.list = append(o.list, scope.GetSpans()...)
			}
		}
	}))
	t.Cleanup(o.Close)
	return o
}

// trace are the spans of one trace, by name with their parent's name: "message write < POST /v1/messages".
func (o *otlp) trace(id string) (paths map[string]int, names map[string]*spans.Span) {
	o.mu.Lock()
	defer o.mu.Unlock()
	byID, paths, names := map[string]*spans.Span{}, map[string]int{}, map[string]*spans.Span{}
	for _, span := range o.list {
		if hex.EncodeToString(span.GetTraceId()) == id {
			byID[string(span.GetSpanId())] = span
			names[span.GetName()] = span
		}
	}
	for _, span := range byID {
		path := span.GetName()
		if parent := byID[string(span.GetParentSpanId())]; parent != nil {
			path += " < " + parent.GetName()
		}
		paths[path]++
	}
	return paths, names
}

// traceID is one that every ratio samples, or none.
const traceID = "00000000000000000000000000000001"

// send sends a text as part of the trace traceID.
func send(t *testing.T, s *server, token, to, key string) {
	t.Helper()
	body := strings.NewReader(`{"client_msg_id":"` + key + `","to_user_id":"` + to + `","type":"text","body":{"text":"a secret"}}`)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url("/v1/messages"), body)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Traceparent", "00-"+traceID+"-00000000000000ff-01")
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusCreated {
		t.Fatalf("send: got %s", response.Status)
	}
}

// listen connects a device and answers its socket after the frame synced.
func listen(t *testing.T, s *server, token string) *websocket.Conn {
	t.Helper()
	socket, response, err := websocket.DefaultDialer.DialContext(t.Context(), "ws"+strings.TrimPrefix(s.url("/v1/ws?device_id=phone"), "http"), http.Header{"Authorization": {"Bearer " + token}})
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	t.Cleanup(func() { closed(t, socket) })
	await(t, socket, "synced")
	return socket
}

// await reads frames up to one of a type, and answers its seq.
func await(t *testing.T, socket *websocket.Conn, kind string) int64 {
	t.Helper()
	if err := socket.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	for {
		var frame struct {
			Type string `json:"type"`
			Seq  int64  `json:"seq"`
		}
		if err := socket.ReadJSON(&frame); err != nil {
			t.Fatalf("waiting for the frame %s: %v", kind, err)
		}
		if frame.Type == kind {
			return frame.Seq
		}
	}
}

// TestTraces follows a message from its send to its ack, to a collector.
func TestTraces(t *testing.T) {
	o := newOTLP(t)
	s := serve(t, "--otlp-endpoint="+o.URL, "--otlp-ratio=1")
	sender, _ := register(t, s, "sender")
	receiver, to := register(t, s, "receiver")
	socket := listen(t, s, receiver)
	send(t, s, sender, to, "one")
	seq := await(t, socket, "message")
	call(t, http.MethodPost, s.url("/v1/mailbox/ack"), receiver, map[string]any{"device_id": "phone", "up_to": seq}, http.StatusOK)
	if err := s.tracing.provider.ForceFlush(t.Context()); err != nil {
		t.Fatal(err)
	}
	paths, names := o.trace(traceID)
	for _, path := range []string{
		"POST /v1/messages", "message write < POST /v1/messages", "message commit < message write", "message push < message write", "message ack < message push",
	} {
		if paths[path] != 1 {
			t.Errorf("%d spans %q, want one; there are %v", paths[path], path, paths)
		}
	}
	statements := 0
	for path, n := range paths {
		if strings.HasSuffix(path, " < message commit") {
			statements += n
		}
	}
	if statements < 2 {
		t.Errorf("got %d spans of statements below the commit: %v", statements, paths)
	}
	for _, span := range names {
		if strings.Contains(span.String(), "a secret") {
			t.Errorf("a span tells what was written: %v", span)
		}
	}
	if push, ack := names["message push"], names["message ack"]; push != nil && ack != nil && ack.GetEndTimeUnixNano() < push.GetStartTimeUnixNano() {
		t.Error("the ack ends before the push")
	}

	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url("/metrics"), http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Accept", "application/openmetrics-text")
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, histogram := range []string{"ackbox_commit_seconds", "ackbox_ack_latency_seconds", "ackbox_http_request_seconds"} {
		found := false
		for line := range strings.Lines(string(text)) {
			found = found || strings.HasPrefix(line, histogram+"_bucket") && strings.Contains(line, `# {trace_id="`)
		}
		if !found {
			t.Errorf("%s has no exemplar", histogram)
		}
	}
}

// TestTracesAreSampledByUs: a client that says that its request is sampled does not decide it, and without a collector nothing is traced.
func TestTracesAreSampledByUs(t *testing.T) {
	o := newOTLP(t)
	s := serve(t, "--otlp-endpoint="+o.URL, "--otlp-ratio=0")
	sender, _ := register(t, s, "sender")
	_, to := register(t, s, "receiver")
	send(t, s, sender, to, "one")
	if err := s.tracing.provider.ForceFlush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if paths, _ := o.trace(traceID); len(paths) > 0 {
		t.Errorf("got %v, want nothing", paths)
	}
	if off := serve(t); off.tracing != nil || off.tracing.tracer() != trace.Tracer(nil) {
		t.Error("traced without a collector")
	}
}

// TestTracesOfABatch: one commit serves many sends; each of them leads to it. On MySQL, whose batches travel several
// statements at a time.
func TestTracesOfABatch(t *testing.T) {
	o := newOTLP(t)
	s := serve(t, "--otlp-endpoint="+o.URL, "--otlp-ratio=1", "--mysql-dsn="+testenv.MySQL(t), "--jwt-secret="+rand.Text()+rand.Text())
	sender, _ := register(t, s, "sender")
	_, to := register(t, s, "receiver")
	var sends sync.WaitGroup
	for n := range 40 {
		sends.Go(func() { send(t, s, sender, to, strconv.Itoa(n)) })
	}
	sends.Wait()
	if err := s.tracing.provider.ForceFlush(t.Context()); err != nil {
		t.Fatal(err)
	}
	commits, own, linked := map[string]int{}, 0, map[string]int{}
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, span := range o.list {
		if span.GetName() == "message commit" {
			commits[string(span.GetSpanId())] = len(span.GetLinks())
			own++
		}
	}
	for _, span := range o.list {
		if span.GetName() != "message write" {
			continue
		}
		for _, link := range span.GetLinks() {
			linked[string(link.GetSpanId())]++
		}
	}
	total := own
	for commit, n := range commits {
		if linked[commit] != n {
			t.Errorf("a commit is linked with %d sends, and %d with it", n, linked[commit])
		}
		total += n
	}
	if total != 40 {
		t.Errorf("%d commits with their links have %d sends, want 40", own, total)
	}
}
