package bench

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// Accounts are the users and groups that runs share. Making them is slow: hashing a password is costly by design.
type Accounts struct {
	users   []*User // of send, rate, group, acks and slow
	groups  []Party
	crowd   []*User // of log, reconnect and (those who do not read) slow
	hall    *Party  // the large group, of the first of the crowd
	parted  map[parting][]Party
	visited bool // the crowd's mailboxes have been written to
	filled  bool // the clients' mailboxes have been written to by acks, and their other devices do not know
}

// parting names groups that divide the first so many users of a list among them.
type parting struct {
	crowd   bool
	members int
}

// clients are the users of send, rate, group, acks and slow.
func (a *Accounts) clients(ctx context.Context, o Options) ([]*User, error) {
	if a.users == nil {
		users, err := o.population(ctx, 0, o.Clients)
		if err != nil {
			return nil, err
		}
		a.users = users
	}
	return a.users, nil
}

// caughtUp brings the device that send, rate, group and slow use to the end of the clients' mailboxes, when acks has written to
// them.
func (a *Accounts) caughtUp(ctx context.Context, o Options) error {
	if !a.filled {
		return nil
	}
	b := newBacklog(o, device, a.users, nil)
	if err := b.visit(ctx); err != nil {
		return err
	}
	for _, d := range b.devices {
		d.user.held, d.user.heldID = d.held, string(d.heldID)
	}
	a.filled = false
	return nil
}

// many are the first n of the crowd, who can be reached without new tokens for so long.
func (a *Accounts) many(ctx context.Context, o Options, n int, within time.Duration) ([]*User, error) {
	if missing := n - len(a.crowd); missing > 0 {
		more, err := o.population(ctx, len(a.crowd), missing)
		if err != nil {
			return nil, err
		}
		a.crowd = append(a.crowd, more...)
	}
	users := a.crowd[:n]
	return users, renew(ctx, users, time.Now().Add(within), o.Timeout)
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

// divided are groups delivered by mailbox that have each of the users in one of them.
func (a *Accounts) divided(ctx context.Context, o Options, users []*User) ([]Party, error) {
	name := parting{crowd: len(a.crowd) > 0 && users[0] == a.crowd[0], members: len(users)}
	if parties, made := a.parted[name]; made {
		return parties, nil
	}
	parties, err := divide(ctx, o, users)
	if err != nil {
		return nil, err
	}
	if a.parted == nil {
		a.parted = map[parting][]Party{}
	}
	a.parted[name] = parties
	a.visited = a.visited || name.crowd
	return parties, nil
}

// large is the large group. Its members' devices have nothing waiting in their mailboxes.
func (a *Accounts) large(ctx context.Context, o Options) (Party, error) {
	takes := time.Duration(o.LogSingles)*o.LogSpacing + time.Duration(2*o.LogBursts+1)*o.Settle + time.Duration(o.LogMembers)*openPace
	members, err := a.many(ctx, o, o.LogMembers, min(takes, 10*time.Minute))
	if err != nil {
		return Party{}, err
	}
	if a.visited { // by reconnect or slow
		if err := newBacklog(o, memberDevice, members, nil).visit(ctx); err != nil {
			return Party{}, err
		}
	}
	if a.hall != nil {
		return *a.hall, nil
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
	a.hall = &party
	return party, nil
}
