package e2e

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"

	"ackbox/client"
	"ackbox/internal/testenv"
)

// awaited asks check until it is content, at most for patience.
func awaited(t *testing.T, what string, check func(ctx context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := check(ctx)
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("waiting for %s: %v", what, err)
		}
	}
}

// TestRedisKilled takes Redis away in the middle of sending, and gives it back.
func TestRedisKilled(t *testing.T) {
	t.Parallel()
	redis := testenv.StartRedis(t)
	s := mariaDB.startOn(t, storeEnv(testenv.MySQL(t), redis.URL()))
	alice, bob, carol := s.user(t), s.user(t), s.user(t)
	laptop := carol.openLive("laptop")
	before := client.Text(carol.id(), uuid.NewString(), "before")
	first := alice.sendDraft(before)
	laptop.pushes(1, 1)
	carol.ack("laptop", 1, 1)

	l := underLoad(t, bob, s.users(t, 4), false)
	l.reach(t, 100)
	redis.Kill()
	l.reach(t, 100)

	// Sends, the dedup of old and new keys, acks and this node's pushes go on.
	alice.repeat(before, first)
	during := client.Text(carol.id(), uuid.NewString(), "during")
	second := alice.sendDraft(during)
	alice.repeat(during, second)
	laptop.pushes(2, 2)
	carol.ack("laptop", 2, 2)
	raceOneKey(t, s.user(t), s.user(t).Session)
	if _, err := s.client.Login(within(t, patience), client.Credentials{Username: alice.User.Username, Password: password}); err != nil {
		t.Errorf("login without Redis: %v", err)
	}
	_, err := alice.Ticket(within(t, patience))
	if problem := refused(t, err, "", http.StatusServiceUnavailable); problem.RetryAfter == "" {
		t.Error("503 without Retry-After")
	}

	redis.Start()
	awaited(t, "a ticket with Redis back", func(ctx context.Context) error {
		_, err := alice.Ticket(ctx)
		return err
	})
	l.reach(t, 100)
	l.stop()
	if refusals := l.refused(); len(refusals) != 0 {
		t.Errorf("%d sends were refused, the first with %v", len(refusals), refusals[0])
	}
	if n := l.lostConnections(); n != 0 {
		t.Errorf("%d sends lost their connection", n)
	}
	l.settle(t, bob)
	alice.repeat(during, second)
	alice.send(carol, "after")
	laptop.pushes(3, 3)
}

// TestDatabaseKilled takes the database away: nothing is acknowledged that is not stored, sockets stay, and with the
// database back everything accepted is there once.
func TestDatabaseKilled(t *testing.T) {
	t.Parallel()
	database := testenv.StartMariaDB(t)
	s := mariaDB.startOn(t, storeEnv(database.DSN("ackbox"), testenv.StartRedis(t).URL()))
	alice, bob, carol := s.user(t), s.user(t), s.user(t)
	laptop := carol.openLive("laptop")
	before := client.Text(carol.id(), uuid.NewString(), "before")
	first := alice.sendDraft(before)
	laptop.pushes(1, 1)
	carol.ack("laptop", 1, 1)

	l := underLoad(t, bob, s.users(t, 2), true)
	l.reach(t, 100)
	database.Kill()
	during := client.Text(carol.id(), uuid.NewString(), "during")
	_, err := alice.Send(within(t, patience), during)
	if problem := refused(t, err, "", http.StatusServiceUnavailable); problem.RetryAfter == "" {
		t.Error("503 to a send without Retry-After")
	}
	_, err = carol.Mailbox(within(t, patience), 0, 0)
	if problem := refused(t, err, "", http.StatusServiceUnavailable); problem.RetryAfter == "" {
		t.Error("503 to a read without Retry-After")
	}
	laptop.alive()
	for path, want := range map[string]int{"/healthz": http.StatusOK, "/readyz": http.StatusServiceUnavailable} {
		answer, err := s.client.Do(within(t, patience), client.Request{Method: http.MethodGet, Path: path})
		if err != nil {
			t.Fatal(err)
		}
		if answer.Status != want {
			t.Errorf("%s: %d, want %d: %s", path, answer.Status, want, answer.Body)
		}
	}
	l.stop()
	for _, refusal := range l.refused() {
		if problem, ok := client.AsProblem(refusal); !ok || problem.Status != http.StatusServiceUnavailable {
			t.Errorf("without the database: %v, want only 503", refusal)
		}
	}

	database.Start()
	awaited(t, "the server to be ready again", func(ctx context.Context) error {
		answer, err := s.client.Do(ctx, client.Request{Method: http.MethodGet, Path: "/readyz"})
		if err == nil && answer.Status != http.StatusOK {
			err = errors.New(string(answer.Body))
		}
		return err
	})
	l.settle(t, bob)
	alice.repeat(before, first)
	again, err := alice.Send(within(t, patience), during)
	if err != nil {
		t.Fatalf("the retry: %v", err)
	}
	alice.repeat(during, again)
	if n := len(carol.wholeMailbox()); n != 2 {
		t.Errorf("carol has %d entries, want 2", n)
	}
}
