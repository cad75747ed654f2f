package bench

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// User is one registered account with its tokens and, for the device that the send and rate scenarios use, its position.
type User struct {
	ID      string
	Name    string
	access  string
	refresh string
	expires time.Time

	number int
	target *target
	held   int64 // highest mailbox seq that the device holds
	heldID string

	contacts []string // see Pass
}

// device is the stable name of the one device that a user of the send and rate scenarios has.
const device = "bench"

// accountAttempts bounds the tries of a registration or refresh that met 429, 503 or a broken connection.
const accountAttempts = 20

// register makes n fresh accounts, numbered from first on, parallel at a time (hashing a password is costly for the server by
// design), spread over the targets in turn. Their names are random, so that runs don't meet.
func register(ctx context.Context, targets []*target, first, n, parallel int, timeout time.Duration, done *atomic.Int64) ([]*User, error) {
	run := strings.ToLower(rand.Text()[:10])
	users := make([]*User, n)
	var next atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	for range min(parallel, n) {
		group.Go(func() error {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				t := targets[i%len(targets)]
				u := &User{Name: fmt.Sprintf("bench.%s.%d", run, first+i), number: first + i, target: t}
				body, err := json.Marshal(map[string]string{"username": u.Name, "password": rand.Text()})
				if err != nil {
					return err
				}
				c := newConn(ctx, t, timeout)
				err = u.account(ctx, c, "/v1/auth/register", 201, body)
				c.Close()
				if err != nil {
					return fmt.Errorf("register %s: %w", u.Name, err)
				}
				users[i] = u
				done.Add(1)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return users, nil
}

// renewParallel is how many tokens are renewed at a time.
const renewParallel = 16

// renew exchanges the refresh tokens of all users whose access ends before the given time.
func renew(ctx context.Context, users []*User, until time.Time, timeout time.Duration) error {
	var due []*User
	for _, u := range users {
		if !u.expires.After(until) {
			due = append(due, u)
		}
	}
	return renewEach(ctx, due, timeout, func() {})
}

// renewEach exchanges the refresh tokens of all users, and tells of each that is done.
func renewEach(ctx context.Context, users []*User, timeout time.Duration, done func()) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(renewParallel)
	for _, u := range users {
		group.Go(func() error {
			body, err := json.Marshal(map[string]string{"refresh_token": u.refresh})
			if err != nil {
				return err
			}
			c := newConn(ctx, u.target, timeout)
			defer c.Close()
			if err := u.account(ctx, c, "/v1/auth/refresh", 200, body); err != nil {
				return fmt.Errorf("refresh the access of %s: %w", u.Name, err)
			}
			done()
			return nil
		})
	}
	return group.Wait()
}

// account posts to one of the calls that answer with a user and tokens.
func (u *User) account(ctx context.Context, c *conn, path string, want int, body []byte) error {
	var last error
	for attempt := range accountAttempts {
		a, err := c.Do("POST", path, "", body)
		pause := time.Duration(attempt+1) * 50 * time.Millisecond
		switch {
		case err != nil:
			last = err
		case a.Status == want:
			var got struct {
				User struct {
					UserID string `json:"user_id"`
				} `json:"user"`
				AccessToken  string    `json:"access_token"`
				RefreshToken string    `json:"refresh_token"`
				ExpiresAt    time.Time `json:"expires_at"`
			}
			if err := json.Unmarshal(a.Body, &got); err != nil {
				return fmt.Errorf("answer: %w", err)
			}
			if got.User.UserID == "" || got.AccessToken == "" {
				return errors.New("answer has no user_id or access_token")
			}
			u.ID, u.access, u.refresh, u.expires = got.User.UserID, got.AccessToken, got.RefreshToken, got.ExpiresAt
			return nil
		case a.Status == 429 || a.Status == 503:
			last = errors.New(label(a))
			pause = max(pause, min(a.RetryAfter, 5*time.Second))
		default:
			return fmt.Errorf("%s: %.300s", label(a), a.Body)
		}
		if err := pauseFor(ctx, pause); err != nil {
			return err
		}
	}
	return fmt.Errorf("after %d attempts: %w", accountAttempts, last)
}

// label names an answer in the error counts: its status and, for a problem, its code.
func label(a answer) string {
	status := strconv.Itoa(a.Status)
	if code, ok := stringField(a.Body, `"code"`); ok && a.Status >= 400 {
		return status + " " + code
	}
	return status
}

// pauseFor waits, or returns the context's error when that ends first.
func pauseFor(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
