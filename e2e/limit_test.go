package e2e

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/google/uuid"

	"ackbox/client"
	"ackbox/internal/testenv"
)

// TestLimitsOfNodes: what is asked of one node counts on the other, also when Redis goes away
// and comes back.
func TestLimitsOfNodes(t *testing.T) {
	t.Parallel()
	redis := testenv.StartRedis(t)
	stores := storeEnv(testenv.MySQL(t), redis.URL())
	settings := []string{"ACKBOX_RATE_LIMIT=on", "ACKBOX_LIMIT_LOGIN=4/1h,100/24h", "ACKBOX_LIMIT_LOGIN_ADDRESS=1000/1h", "ACKBOX_LIMIT_TICKET=5/1h", "ACKBOX_LIMIT_SEND=40/1h", "ACKBOX_LIMIT_SEND_CONVERSATION=24/1h"}
	a, b := mariaDB.startOn(t, stores, settings...), mariaDB.startOn(t, stores, settings...)
	nodes := []*system{a, b}

	t.Run("guesses at a password", func(t *testing.T) {
		together(t, func() error {
			victim := a.user(t)
			// An account that does not exist is counted and refused alike.
			for _, name := range []string{victim.User.Username, freshName()} {
				for i := range 4 {
					if err := guess(t, nodes[i%2], name, "invalid_credentials"); err != nil {
						return err
					}
				}
				for _, node := range nodes {
					if err := guess(t, node, name, "rate_limited"); err != nil {
						return err
					}
				}
			}
			// Whoever is in stays in.
			_, err := b.client.Refresh(within(t, patience), victim.RefreshToken)
			return err
		})
	})

	t.Run("tickets", func(t *testing.T) {
		together(t, func() error {
			bob := a.user(t)
			for i := range 5 {
				if _, err := bob.at(nodes[i%2]).Ticket(within(t, patience)); err != nil {
					return fmt.Errorf("ticket %d: %w", i, err)
				}
			}
			for _, node := range nodes {
				if _, err := bob.at(node).Ticket(within(t, patience)); !limitedBy(err, "ticket") {
					return fmt.Errorf("a ticket too many: %w", err)
				}
			}
			return nil
		})
	})

	t.Run("sends by user and by conversation", func(t *testing.T) {
		alice, bob, carol := a.user(t), a.user(t), b.user(t)
		send := func(from *actor, at *system, to client.UserID) error {
			_, err := from.At(at.client).Send(within(t, patience), client.Text(to, uuid.NewString(), "again"))
			return err
		}
		// A front end's burst of 20 passes.
		for i := range 20 {
			if err := send(alice, nodes[i%2], bob.id()); err != nil {
				t.Fatalf("send %d: %v", i, err)
			}
		}
		until := func(limit string, most int, one func(i int) error) {
			t.Helper()
			for i := range most + 1 {
				if err := one(i); err != nil {
					if !limitedBy(err, limit) {
						t.Fatalf("send %d: %v, want the limit %s", i, err, limit)
					}
					return
				}
			}
			t.Fatalf("%s: %d sends passed", limit, most+1)
		}
		// The conversation's share is used up from either side and at either node, whatever the nodes know of each other.
		until("send_conversation", 2*24-20, func(i int) error { return send(bob, nodes[i%2], alice.id()) })
		// The other conversations go on, until the user's own share is used up.
		if err := send(bob, a, carol.id()); err != nil {
			t.Fatal(err)
		}
		friends := a.users(t, 4)
		until("send", 2*40-20, func(i int) error { return send(alice, nodes[i%2], friends[i%4].id()) })
	})

	t.Run("without Redis each node counts for itself", func(t *testing.T) {
		redis.Kill()
		for _, node := range nodes {
			name := freshName()
			for range 4 {
				if err := guess(t, node, name, "invalid_credentials"); err != nil {
					t.Fatal(err)
				}
			}
			if err := guess(t, node, name, "rate_limited"); err != nil {
				t.Fatal(err)
			}
		}
		redis.Start()
		together(t, func() error {
			name := freshName()
			for range 4 {
				if err := guess(t, a, name, "invalid_credentials"); err != nil {
					return err
				}
			}
			return guess(t, b, name, "rate_limited")
		})
	})
}

// together tries until the nodes count together: one that has waited for Redis in vain counts
// for itself for a moment, which may happen on a busy machine.
func together(t *testing.T, try func() error) {
	t.Helper()
	ctx := within(t, patience)
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		err := try()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("the nodes do not count together: %v", err)
		}
	}
}

// guess logs in with a wrong password and wants a code.
func guess(t *testing.T, at *system, name, code string) error {
	t.Helper()
	_, err := at.client.Login(within(t, patience), client.Credentials{Username: name, Password: "not the password"})
	p, ok := client.AsProblem(err)
	if !ok || p.Code != code {
		return fmt.Errorf("a guess: %w, want %s", err, code)
	}
	if code != "rate_limited" {
		return nil
	}
	if p.Status != http.StatusTooManyRequests || p.Limit != "login" || p.Detail != "4 logins per 1 h for this account" {
		t.Errorf("%d, limit %q, %q", p.Status, p.Limit, p.Detail)
	}
	if seconds, err := strconv.Atoi(p.RetryAfter); err != nil || seconds < 1 || seconds > 3600 {
		t.Errorf("Retry-After %q", p.RetryAfter)
	}
	return nil
}

func limitedBy(err error, limit string) bool {
	p, ok := client.AsProblem(err)
	return ok && p.Status == http.StatusTooManyRequests && p.Code == "rate_limited" && p.Limit == limit
}

// TestLimitDefaults: nobody who chats meets the default limits; who guesses does.
func TestLimitDefaults(t *testing.T) {
	t.Parallel()
	s := embedded.start(t, "ACKBOX_RATE_LIMIT=on")
	alice, bob := s.user(t), s.user(t)
	done := make(chan error)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for i := range 20 {
		go func() {
			_, err := alice.Send(ctx, client.Text(bob.id(), uuid.NewString(), fmt.Sprint("burst ", i)))
			done <- err
		}()
	}
	for range 20 {
		if err := <-done; err != nil {
			t.Errorf("a burst of 20: %v", err)
		}
	}
	for i := range 30 {
		_, err := s.client.Login(ctx, client.Credentials{Username: alice.User.Username, Password: fmt.Sprint("guess number ", i)})
		p, ok := client.AsProblem(err)
		if !ok {
			t.Fatal(err)
		}
		if p.Status == http.StatusTooManyRequests {
			if i < 10 {
				t.Errorf("refused after %d guesses", i)
			}
			return
		}
	}
	t.Error("30 guesses at a password were answered")
}
