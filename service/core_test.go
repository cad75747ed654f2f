package service

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"ackbox/internal/testenv"
	"ackbox/model"
)

// patience bounds every wait of these tests.
const patience = 30 * time.Second

// handClock is a clock that only the test moves. It has no monotonic reading: it may step
// back.
type handClock struct{ at atomic.Int64 }

func newHandClock() *handClock {
	c := &handClock{}
	c.at.Store(time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC).UnixNano())
	return c
}

func (c *handClock) now() time.Time       { return time.Unix(0, c.at.Load()) }
func (c *handClock) step(d time.Duration) { c.at.Add(int64(d)) }

var backends = map[string]func(t testing.TB) model.Options{
	"SQLite": func(t testing.TB) model.Options { t.Helper(); return model.Options{SQLitePath: sqliteFile(t)} },
	"MySQL":  func(t testing.TB) model.Options { t.Helper(); return model.Options{MySQLDSN: testenv.MySQL(t)} },
}

// sqliteFile is in memory where the system has such a folder: these tests commit a lot.
func sqliteFile(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "ackbox-test-") //nolint:usetesting // not on the disk
	if err != nil {
		return filepath.Join(t.TempDir(), "ackbox.db")
	}
	t.Cleanup(func() { must(t, os.RemoveAll(dir)) })
	return filepath.Join(dir, "ackbox.db")
}

// onBothBackends runs a test over each database.
func onBothBackends(t *testing.T, test func(t *testing.T, store *model.Store)) {
	t.Helper()
	for name, options := range backends {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, openStore(t, options(t)))
		})
	}
}

func openStore(t testing.TB, options model.Options) *model.Store {
	t.Helper()
	options.Log = quiet
	store, err := model.Open(t.Context(), options)
	must(t, err)
	t.Cleanup(func() { must(t, store.Close()) })
	must(t, store.Migrate(t.Context()))
	return store
}

var quiet = slog.New(slog.DiscardHandler)

// logged keeps what a part says.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// tester is what a test and each of a property's many runs can do.
type tester interface {
	Helper()
	Error(args ...any)
	Errorf(format string, args ...any)
	Fatal(args ...any)
	Fatalf(format string, args ...any)
	Cleanup(func())
	Context() context.Context
}

func must(t tester, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantError(t tester, err error, code model.Code) {
	t.Helper()
	if model.CodeOf(err) != code {
		t.Fatalf("got error %v, want code %q", err, code)
	}
}

func equal[T comparable](t tester, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func within(t tester) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// eventually looks until done, which is bounded.
func eventually(t tester, what string, done func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("waited too long for %s", what)
		}
	}
}

// node is the delivery core of one process over a store.
type node struct {
	store         *model.Store
	ids           *IDs
	audiences     *Audiences
	delivery      *Delivery
	acker         *Acker
	writer        *Writer
	conversations *Conversations
	mailboxes     *Mailboxes
	log           *logged
	clock         func() time.Time
}

var standard = DeliveryOptions{
	AckTimeout: 3 * time.Second, MaxAttempts: 5, QueueSize: 10_000, Heartbeat: 25 * time.Second, SlowTimeout: 10 * time.Second, PumpWorkers: 2, PumpCapacity: 1_000,
}

func newNode(t tester, store *model.Store, options DeliveryOptions, clock func() time.Time) *node {
	t.Helper()
	n := &node{store: store, log: &logged{}, clock: clock}
	log := slog.New(slog.NewTextHandler(n.log, nil))
	var err error
	n.ids, err = NewIDs(t.Context(), store, -1, "test", clock, log)
	must(t, err)
	t.Cleanup(func() {
		if err := n.ids.Release(context.Background()); !model.Unreachable(err) { // some tests take the database away
			must(t, err)
		}
	})
	n.delivery, err = NewDelivery(store, "0", options, clock, log)
	must(t, err)
	t.Cleanup(n.delivery.Stop)
	n.audiences, err = NewAudiences(store)
	must(t, err)
	n.acker = NewAcker(store, n.delivery, 100, clock, log)
	t.Cleanup(func() { must(t, n.acker.Stop(context.Background())) })
	n.writer = NewWriter(store, n.ids, n.audiences, clock, log, n.delivery.Committed)
	n.writer.TracedBy(n.delivery.trace)
	t.Cleanup(func() { must(t, n.writer.Stop(context.Background())) })
	n.conversations, err = NewConversations(store, n.ids, n.audiences, n.delivery, clock)
	must(t, err)
	n.mailboxes = NewMailboxes(store, n.acker, clock)
	return n
}

func (n *node) id(t tester) int64 {
	t.Helper()
	id, err := n.ids.Next()
	must(t, err)
	return id
}

func (n *node) user(t tester) model.UserID {
	t.Helper()
	id := model.UserID(n.id(t))
	must(t, n.store.CreateUser(t.Context(), &model.User{ID: id, Username: fmt.Sprint("u", id), Role: model.RoleUser}))
	return id
}

// pair is a direct conversation of two new users.
func (n *node) pair(t tester) (audience *model.Audience, a, b model.UserID) {
	t.Helper()
	a, b = n.user(t), n.user(t)
	id, err := n.conversations.Direct(t.Context(), a, b)
	must(t, err)
	audience, err = n.audiences.Get(t.Context(), id)
	must(t, err)
	return audience, a, b
}

// text is a message that has not been written yet.
func (n *node) text(t tester, audience *model.Audience, sender model.UserID, key string) *model.Message {
	t.Helper()
	return &model.Message{ID: model.MessageID(n.id(t)), ConversationID: audience.ConversationID, SenderID: sender, ClientMsgID: key, Type: model.TypeText, Body: `{"text":"hi"}`, Ext: "{}"}
}

// write sends messages one after another and answers them.
func (n *node) write(t tester, audience *model.Audience, sender model.UserID, count int) (list []Committed) {
	t.Helper()
	for range count {
		msg := n.text(t, audience, sender, "")
		msg.ClientMsgID = fmt.Sprint(msg.ID)
		c, _, err := n.writer.Write(within(t), msg, contentHash(msg), audience)
		must(t, err)
		list = append(list, c)
	}
	return list
}

// newSend is a send as the writer's queue holds it.
func newSend(msg *model.Message, audience *model.Audience) *send {
	return &send{msg: msg, hash: contentHash(msg), audience: audience, done: make(chan struct{})}
}

func redisClient(t testing.TB, url string) redis.UniversalClient {
	t.Helper()
	o, err := redis.ParseURL(url)
	must(t, err)
	o.MaxRetries, o.DisableIdentity, o.DialTimeout = -1, true, time.Second
	client := redis.NewClient(o)
	t.Cleanup(func() { must(t, client.Close()) })
	return client
}
