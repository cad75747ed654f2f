package verify

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"ackbox/client"
)

// Cluster is the nodes of one deployment, with the recorder of what its actors do.
type Cluster struct {
	nodes    []*client.Client
	recorder *Recorder
}

// NewCluster makes a cluster of the nodes at the addresses (http://host:port). Close it when its actors have stopped.
func NewCluster(urls []string, r *Recorder) *Cluster {
	c := &Cluster{recorder: r}
	for _, url := range urls {
		c.nodes = append(c.nodes, client.New(url))
	}
	return c
}

// Close drops the kept-alive connections.
func (c *Cluster) Close() {
	for _, n := range c.nodes {
		n.Close()
	}
}

// node is the i-th node, counted round.
func (c *Cluster) node(i int) *client.Client { return c.nodes[i%len(c.nodes)] }

// Register makes an account, on the nodes in turn until one has answered or ctx is done. A name that is taken is signed
// in to: the answer of an earlier try may have been lost.
func (c *Cluster) Register(ctx context.Context, who client.Credentials) (*Account, error) {
	session, err := c.anywhere(ctx, func(n *client.Client) (*client.Session, error) {
		s, err := n.Register(ctx, who)
		if p, ok := client.AsProblem(err); ok && p.Code == "username_taken" {
			return n.Login(ctx, who)
		}
		return s, err
	})
	if err != nil {
		return nil, fmt.Errorf("register %s: %w", who.Username, err)
	}
	return newAccount(c, who, session), nil
}

// Login signs in to an account that exists.
func (c *Cluster) Login(ctx context.Context, who client.Credentials) (*Account, error) {
	session, err := c.anywhere(ctx, func(n *client.Client) (*client.Session, error) { return n.Login(ctx, who) })
	if err != nil {
		return nil, fmt.Errorf("log in as %s: %w", who.Username, err)
	}
	return newAccount(c, who, session), nil
}

// signInTries bounds how often a sign-in without any answer is tried again.
const signInTries = 20

// anywhere asks the nodes in turn until one gives an answer that a repeat wouldn't change.
func (c *Cluster) anywhere(ctx context.Context, ask func(*client.Client) (*client.Session, error)) (*client.Session, error) {
	var err error
	start := rand.IntN(len(c.nodes))
	for i := range signInTries {
		var s *client.Session
		if s, err = ask(c.node(start + i)); err == nil {
			return s, nil
		}
		if endOf(err) == Fail && !limited(err) {
			return nil, err
		}
		if waited := wait(ctx, max(jitter(i), retryAfter(err))); waited != nil {
			return nil, errors.Join(waited, err)
		}
	}
	return nil, err
}

// endOf is the phase that an error ends a call with: a refusal has changed nothing, anything else can't say.
func endOf(err error) Phase {
	if err == nil {
		return OK
	}
	if p, ok := client.AsProblem(err); ok && p.Status/100 == 4 && p.Status != http.StatusRequestTimeout {
		return Fail
	}
	return Unknown
}

// limited says whether an error asks to come back later.
func limited(err error) bool {
	p, ok := client.AsProblem(err)
	return ok && (p.Status == http.StatusTooManyRequests || p.Status == http.StatusServiceUnavailable)
}

// signedOut says whether an error asks for a new token.
func signedOut(err error) bool {
	p, ok := client.AsProblem(err)
	return ok && p.Status == http.StatusUnauthorized
}

// retryAfter is how long the server asks to wait; 0 when it doesn't.
func retryAfter(err error) time.Duration {
	if p, ok := client.AsProblem(err); ok {
		if seconds, err := strconv.Atoi(p.RetryAfter); err == nil {
			return time.Duration(seconds) * time.Second
		}
	}
	return 0
}

const (
	backoffFirst = 100 * time.Millisecond
	backoffMost  = 5 * time.Second
)

// jitter is the wait before the try that follows n failures: exponential, with full jitter.
func jitter(n int) time.Duration {
	return rand.N(min(backoffFirst<<min(n, 10), backoffMost))
}

// wait waits, or returns why ctx was done.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait: %w", context.Cause(ctx))
	}
}
