package bench

import (
	"context"
	"fmt"
	"sync/atomic"
)

// Pass is the way into an account that is there already, for those who fill a deployment with many: no password is hashed for it.
type Pass struct {
	Name    string
	Refresh string // a refresh token that was not used yet
	// Contacts are conversations that the account is in, and that its other members are not online for. Every second
	// message of send and rate goes to one of them, in turn; none of them: all go to the next user.
	Contacts []string
}

// Adopt uses the passes' tokens up and gives their accounts, numbered from first on, on the deployment's nodes in turn.
func Adopt(ctx context.Context, o Options, first int, passes []Pass) ([]*User, error) {
	targets, err := o.targets()
	if err != nil {
		return nil, err
	}
	users := make([]*User, len(passes))
	for i, p := range passes {
		users[i] = &User{Name: p.Name, refresh: p.Refresh, contacts: p.Contacts, number: first + i, target: targets[i%len(targets)]}
	}
	var done atomic.Int64
	stop := o.progress(func() string { return fmt.Sprintf("setup: %d of %d accounts", done.Load(), len(users)) })
	defer stop()
	return users, renewEach(ctx, users, o.Timeout, func() { done.Add(1) })
}

// NewAccounts are accounts of which some are there already: the clients of send, rate, group and acks, as many as the runs have
// of them, and the crowd of log and reconnect. What their mailboxes hold is read before the first run.
func NewAccounts(clients, crowd []*User) *Accounts {
	return &Accounts{users: clients, crowd: crowd, filled: len(clients) > 0, visited: len(crowd) > 0}
}
