package chaos

import (
	"context"
	"crypto/rand"

	"fmt"
	mathrand "math/rand/v2"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"ackbox/client"
	"ackbox/verify"
)

// Load is a crowd that uses a deployment: each person sends, changes something now and then, and has a device that is
// told of everything. All of it is in the recorder's history.
type Load struct {
	crowd   Crowd
	random  *mathrand.Rand
	cluster *verify.Cluster
	people  []*person
	usual   rate.Limit
	limiter *rate.Limiter

	stopSending, stopDevices context.CancelFunc
	sending                  sync.WaitGroup
}

const (
	// registering is how many accounts are made at a time: each hashes a password in 20 to 60 MiB.
	registering = 4
	// hurry is how many times the usual rate a burst has.
	hurry = 10
	// lull is how long devices stay online after the last send, to be pushed what they have not.
	lull = 1500 * time.Millisecond
)

// NewLoad registers a crowd and makes its groups. Nobody sends yet.
func NewLoad(ctx context.Context, urls []string, crowd Crowd, recorder *verify.Recorder, perSecond float64, random *mathrand.Rand) (_ *Load, err error) {
	l := &Load{crowd: crowd.orUsual(), random: random, usual: rate.Limit(perSecond), limiter: rate.NewLimiter(rate.Limit(perSecond), 16)}
	l.stopSending, l.stopDevices = func() {}, func() {}
	l.cluster = verify.NewCluster(urls, recorder)
	online, stop := context.WithCancel(ctx)
	l.stopDevices = stop
	defer func() {
		if err != nil {
			l.Close()
		}
	}()
	l.people = make([]*person, l.crowd.People)
	group, registerCtx := errgroup.WithContext(ctx)
	group.SetLimit(registering)
	for i := range l.people {
		p := &person{churn: l.crowd.Churn, home: i % len(urls), who: client.Credentials{Username: "chaos." + strings.ToLower(rand.Text()[:16]), Password: rand.Text()}}
		l.people[i] = p
		group.Go(func() error {
			account, err := l.cluster.Register(registerCtx, p.who)
			if err == nil {
				p.Actor = verify.NewActor(online, account, verify.ActorOptions{Device: "phone", Node: p.home, Timeout: tryPatience, Patience: keepTrying})
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return l, fmt.Errorf("register the crowd: %w", err)
	}
	for i, p := range l.people { // pairs: 0 and 1, 2 and 3, …
		if peer := i ^ 1; peer < len(l.people) {
			p.rooms = append(p.rooms, &room{peer: l.people[peer]})
		}
	}
	for range l.crowd.Groups {
		if err := l.group(ctx, l.crowd.GroupSize); err != nil {
			return l, err
		}
	}
	if l.crowd.LogSize > 0 {
		if err := l.group(ctx, l.crowd.LogSize); err != nil {
			return l, err
		}
	}
	return l, nil
}

func (l *Load) fork() *mathrand.Rand {
	return mathrand.New(mathrand.NewPCG(l.random.Uint64(), l.random.Uint64()))
}

// group makes a group of size people by chance.
func (l *Load) group(ctx context.Context, size int) (err error) {
	r := &room{}
	for _, i := range l.random.Perm(len(l.people))[:size] {
		r.members = append(r.members, l.people[i])
	}
	r.owner = r.members[0]
	var guests []client.UserID
	for _, p := range r.members[1:] {
		guests = append(guests, p.ID())
	}
	if r.group, err = r.owner.Create(ctx, "chaos", guests...); err != nil {
		return fmt.Errorf("make a group: %w", err)
	}
	for _, p := range r.members {
		p.rooms = append(p.rooms, r)
	}
	return nil
}

// Hurry begins or ends a burst.
func (l *Load) Hurry(on bool) {
	if on {
		l.limiter.SetLimit(l.usual * hurry)
		return
	}
	l.limiter.SetLimit(l.usual)
}

// Start lets everybody send, until Rest.
func (l *Load) Start(ctx context.Context) {
	var sending context.Context
	sending, l.stopSending = context.WithCancel(ctx)
	for _, p := range l.people {
		random := l.fork()
		l.sending.Go(func() {
			for l.limiter.Wait(sending) == nil { // its only other error is a limit that a burst can't have
				p.act(ctx, random) // what has begun is seen through
			}
		})
	}
	random := l.fork()
	l.sending.Go(func() {
		for wait(sending, l.crowd.Moving) == nil {
			p := l.people[random.IntN(len(l.people))]
			if err := p.Drop(sending); err != nil { // it is busy until the end
				return
			}
		}
	})
}

// Rest ends the sending, and lets every device pull what it has not.
func (l *Load) Rest(ctx context.Context) error {
	l.stopSending()
	l.sending.Wait()
	if err := wait(ctx, lull); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, keepTrying)
	defer cancel()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(8)
	for _, p := range l.people {
		group.Go(func() error { return p.Drain(ctx) })
	}
	if err := group.Wait(); err != nil {
		return fmt.Errorf("the end of a round: %w", err)
	}
	return nil
}

// Close ends what goes on.
func (l *Load) Close() {
	l.stopSending()
	l.stopDevices()
	l.sending.Wait()
	for _, p := range l.people {
		if p != nil && p.Actor != nil {
			p.Stop()
		}
	}
	l.cluster.Close()
}

// IDs are the crowd's accounts.
func (l *Load) IDs() []client.UserID {
	ids := make([]client.UserID, len(l.people))
	for i, p := range l.people {
		ids[i] = p.ID()
	}
	return ids
}
