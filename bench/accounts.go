package bench

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// Accounts are the users and groups that runs share. Making them is slow: hashing a password is costly by design.
type Accounts struct {
	users  []*User // of send, rate and group
	groups []Party
	crowd  *Party // the large group
}

// clients are the users of send, rate and group.
func (a *Accounts) clients(ctx context.Context, o Options) ([]*User, error) {
	if a.users == nil {
		users, err := o.population(ctx, o.Clients)
		if err != nil {
			return nil, err
		}
		a.users = users
	}
	return a.users, nil
}

// gathered are the groups of the clients.
func (a *Accounts) gathered(ctx context.Context, o Options) ([]Party, error) {
	if a.groups == nil {
		if err := renew(ctx, a.users, time.Now().Add(time.Minute), o.Timeout); err != nil {
			return nil, err
		}
		groups, err := gather(ctx, o, a.users)
		if err != nil {
			return nil, err
		}
		a.groups = groups
	}
	return a.groups, nil
}

// large is the large group. Its members are users of their own, whose mailboxes are empty.
func (a *Accounts) large(ctx context.Context, o Options) (Party, error) {
	if a.crowd != nil {
		return *a.crowd, nil
	}
	members, err := o.population(ctx, o.LogMembers)
	if err != nil {
		return Party{}, err
	}
	if err := renew(ctx, members[:1], time.Now().Add(time.Minute), o.Timeout); err != nil {
		return Party{}, err
	}
	var grown atomic.Int64
	stop := o.progress(func() string { return fmt.Sprintf("log: %d of %d members added", grown.Load(), len(members)) })
	party, err := makeGroup(ctx, o, members, func(n int) { grown.Store(int64(n)) })
	stop()
	if err != nil {
		return Party{}, err
	}
	if !party.log {
		return Party{}, fmt.Errorf("log-members: the service delivers a group of %d by mailbox, not by log", len(members))
	}
	a.crowd = &party
	return party, nil
}
