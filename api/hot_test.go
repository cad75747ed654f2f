package api

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"ackbox/model"
	"ackbox/service"
)

// hotEdge is the edge with everything that a send and an ack go through, over SQLite, and two
// users of it.
type hotEdge struct {
	handler  http.Handler
	token    string // of the first user
	userID   model.UserID
	otherID  model.UserID
	requests atomic.Int64
}

func newHotEdge(t testing.TB) *hotEdge {
	t.Helper()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	log := slog.New(slog.DiscardHandler)
	dir, err := os.MkdirTemp("/dev/shm", "ackbox-test-") //nolint:usetesting // not on the disk: every send is a commit
	if err != nil {
		dir = t.TempDir()
	}
	t.Cleanup(func() { check(os.RemoveAll(dir)) })
	store, err := model.Open(t.Context(), model.Options{SQLitePath: filepath.Join(dir, "a.db"), Log: log})
	check(err)
	t.Cleanup(func() { check(store.Close()) })
	check(store.Migrate(t.Context()))
	redisServer := miniredis.RunT(t)
	client := redis.NewClient(&redis.Options{Addr: redisServer.Addr(), MaxRetries: -1, DialTimeout: time.Second, DisableIdentity: true})
	t.Cleanup(func() { check(client.Close()) })
	ids, err := service.NewIDs(t.Context(), store, -1, "test", time.Now, log)
	check(err)
	t.Cleanup(func() { check(ids.Release(context.Background())) })
	auth, err := service.NewAuth(service.AuthOptions{Store: store, IDs: ids, Redis: client, Secret: []byte(strings.Repeat("0123456789abcdef", 2)), AccessTTL: time.Hour, RefreshTTL: time.Hour, PasswordMemory: 64})
	check(err)
	delivery, err := service.NewDelivery(store, "0", service.DeliveryOptions{AckTimeout: time.Minute, MaxAttempts: 5, QueueSize: 1_000, Heartbeat: time.Minute, SlowTimeout: time.Minute, PumpWorkers: 1, PumpCapacity: 10}, time.Now, log)
	check(err)
	t.Cleanup(delivery.Stop)
	audiences, err := service.NewAudiences(store)
	check(err)
	acker := service.NewAcker(store, delivery, 10, time.Now, log)
	t.Cleanup(func() { check(acker.Stop(context.Background())) })
	writer := service.NewWriter(store, ids, audiences, time.Now, log, delivery.Committed)
	t.Cleanup(func() { check(writer.Stop(context.Background())) })
	window := service.NewWindow(client, "test", time.Second)
	t.Cleanup(window.Stop)
	conversations, err := service.NewConversations(store, ids, audiences, delivery, time.Now)
	check(err)
	edge, err := New(Deps{
		Auth: auth, Users: service.NewUsers(store, auth), Blocks: conversations, IDs: ids, Ready: func(context.Context) ([]Dependency, bool) { return nil, true },
		Messages:  service.NewMessages(store, ids, window, writer, audiences, conversations, time.Minute, time.Now),
		Mailboxes: service.NewMailboxes(store, acker, time.Now), Conversations: conversations, Delivery: delivery, Log: log, Registry: prometheus.NewRegistry(),
	})
	check(err)
	h := &hotEdge{handler: edge.Handler()}
	for _, name := range []string{"other", "everyone"} {
		grant, err := auth.Register(t.Context(), service.Registration{Username: name, Password: "everyone's password"})
		check(err)
		h.otherID, h.userID, h.token = h.userID, grant.User.ID, grant.AccessToken
	}
	return h
}

// post is a request as net/http would hand it over.
func (h *hotEdge) post(path string, body []byte) *http.Request {
	path, query, _ := strings.Cut(path, "?")
	return &http.Request{
		Method: http.MethodPost, URL: &url.URL{Path: path, RawQuery: query}, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Host: "127.0.0.1", RemoteAddr: "127.0.0.1:1",
		Header:        http.Header{"Authorization": {"Bearer " + h.token}, "Content-Type": {"application/json"}},
		ContentLength: int64(len(body)), Body: io.NopCloser(bytes.NewReader(body)),
	}
}

// sendBody is a text to the other user, with a key of its own.
func (h *hotEdge) sendBody() []byte {
	return fmt.Appendf(nil, `{"client_msg_id":"0193a7c4-8f6e-7d2a-9f35-%012d","to_user_id":"%d","type":"text","body":{"text":"Shall we meet at the station at half past seven, or is that too early for you?"}}`, h.requests.Add(1), h.otherID)
}

// discarded is an answer of which only the status is kept.
type discarded struct {
	header http.Header
	status int
	text   []byte
}

func (d *discarded) Header() http.Header             { return d.header }
func (d *discarded) WriteHeader(status int)          { d.status = status }
func (d *discarded) SetReadDeadline(time.Time) error { return nil }
func (d *discarded) Write(p []byte) (int, error) {
	d.text = append(d.text[:0], p...)
	return len(p), nil
}

// BenchmarkHot is what the hot calls cost from the handler on, with the store's part of it; cpu-ns is
// what the process used for one, also in other goroutines.
func BenchmarkHot(b *testing.B) {
	for _, call := range []struct {
		name, path string
		status     int
		body       func(h *hotEdge) []byte
	}{
		{"Send", "/v1/messages", http.StatusCreated, (*hotEdge).sendBody},
		{"Ack", "/v1/mailbox/ack", http.StatusOK, func(*hotEdge) []byte { return []byte(`{"device_id":"browser-1","up_to":0}`) }},
		{"Sync", "/v1/mailbox/sync", http.StatusOK, func(*hotEdge) []byte { return []byte(`{"device_id":"browser-1","after":0,"limit":10}`) }},
	} {
		b.Run(call.name, func(b *testing.B) {
			h := newHotEdge(b)
			for range 20 { // for Sync to find
				h.handler.ServeHTTP(&discarded{header: http.Header{}}, h.post("/v1/messages", h.sendBody()))
			}
			b.SetParallelism(64)
			b.ReportAllocs()
			b.ResetTimer()
			before := cpuTime(b)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					answer := &discarded{header: http.Header{}}
					h.handler.ServeHTTP(answer, h.post(call.path, call.body(h)))
					if answer.status != call.status {
						b.Errorf("got %d %s", answer.status, answer.text)
						return
					}
				}
			})
			b.ReportMetric(float64((cpuTime(b)-before).Nanoseconds())/float64(b.N), "cpu-ns/op")
		})
	}
}

func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
