package verify

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"ackbox/client"
)

// renewBefore is how long before its end an access token is renewed.
const renewBefore = 30 * time.Second

// Account is a user of the deployment, signed in. It is shared by the user's actors, and renews its tokens.
type Account struct {
	cluster *Cluster
	who     client.Credentials

	mu      sync.Mutex
	session *client.Session
}

func newAccount(c *Cluster, who client.Credentials, s *client.Session) *Account {
	return &Account{cluster: c, who: who, session: s}
}

// ID is the account's user id.
func (a *Account) ID() client.UserID {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.session.User.UserID
}

// at is the session at the i-th node, with a token that is good for a while.
func (a *Account) at(ctx context.Context, i int) (*client.Session, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if time.Until(a.session.ExpiresAt) < renewBefore {
		node := a.cluster.node(i)
		s, err := node.Refresh(ctx, a.session.RefreshToken)
		if endOf(err) == Fail && !limited(err) { // a refresh whose answer was lost has used the token up
			s, err = node.Login(ctx, a.who)
		}
		if err != nil {
			return nil, fmt.Errorf("renew the token of %s: %w", a.who.Username, err)
		}
		a.session = s
	}
	return a.session.At(a.cluster.node(i)), nil
}

// spent notes that a token was refused.
func (a *Account) spent(token string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.session.AccessToken == token {
		expired := *a.session
		expired.ExpiresAt = time.Time{}
		a.session = &expired
	}
}

// call makes a recorded call at the i-th node: its invoke, and its end with what do has added to it.
func (a *Account) call(ctx context.Context, i int, e Event, timeout time.Duration, do func(context.Context, *client.Session, *Event) error) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	session, err := a.at(ctx, i)
	if err != nil {
		return err
	}
	e.User, e.Node = session.User.UserID, session.Client().Base()
	e = a.cluster.recorder.Invoke(e)
	err = do(ctx, session, &e)
	if e.Phase = endOf(err); err != nil {
		e.Detail = err.Error()
		if p, ok := client.AsProblem(err); ok {
			e.Code = p.Status
		}
	}
	a.cluster.recorder.Add(e)
	if signedOut(err) {
		a.spent(session.AccessToken)
	}
	return err
}

// again repeats a call that may be repeated until it has an answer that says, on the nodes in turn, or until patience is
// over. A refusal is an answer.
func again(ctx context.Context, patience time.Duration, node int, try func(node int) error) error {
	deadline := time.Now().Add(patience)
	for n := 0; ; n++ {
		err := try(node + n)
		if err == nil || endOf(err) == Fail && !limited(err) && !signedOut(err) {
			return err
		}
		pause := max(jitter(n), retryAfter(err))
		if signedOut(err) {
			pause = 0
		}
		if time.Now().Add(pause).After(deadline) {
			return err
		}
		if waited := wait(ctx, pause); waited != nil {
			return errors.Join(err, waited)
		}
	}
}
