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
	crowd    Crowd
	recorder *verify.Recorder
	random   *mathrand.Rand
	clients  []*client.Client
	people   []*person
	usual    rate.Limit
	limiter  *rate.Limiter

	stopSending, stopDevices context.CancelFunc
	sending, devices         sync.WaitGroup
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
func NewLoad(ctx context.Context, urls []string, crowd Crowd, recorder *verify.Recorder, perSecond float64, random *mathrand.Rand) (*Load, error) {
	l := &Load{crowd: crowd.orUsual(), recorder: recorder, random: random, usual: rate.Limit(perSecond), limiter: rate.NewLimiter(rate.Limit(perSecond), 16)}
	l.stopSending, l.stopDevices = func() {}, func() {}
	for _, url := range urls {
		l.clients = append(l.clients, client.New(url))
	}
	l.people = make([]*person, l.crowd.People)
	group, registerCtx := errgroup.WithContext(ctx)
	group.SetLimit(registering)
	for i := range l.people {
		p := &person{recorder: recorder, churn: l.crowd.Churn}
		for n := range l.clients {
			p.nodes = append(p.nodes, l.clients[(i+n)%len(l.clients)])
		}
		p.device = newDevice(p, l.fork())
		l.people[i] = p
		group.Go(func() (err error) {
			p.session, err = p.nodes[0].Register(registerCtx, client.Credentials{Username: "chaos." + strings.ToLower(rand.Text()[:16]), Password: rand.Text()})
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, fmt.Errorf("register the crowd: %w", err)
	}
	for i, p := range l.people { // pairs: 0 and 1, 2 and 3, …
		if peer := i ^ 1; peer < len(l.people) {
			p.rooms = append(p.rooms, &room{peer: l.people[peer]})
		}
	}
	for range l.crowd.Groups {
		if err := l.group(ctx, l.crowd.GroupSize, false); err != nil {
			return nil, err
		}
	}
	if l.crowd.LogSize > 0 {
		if err := l.group(ctx, l.crowd.LogSize, true); err != nil {
			return nil, err
		}
	}
	return l, nil
}

func (l *Load) fork() *mathrand.Rand {
	return mathrand.New(mathrand.NewPCG(l.random.Uint64(), l.random.Uint64())) //nolint:gosec // a plan that can be repeated
}

// group makes a group of size people by chance.
func (l *Load) group(ctx context.Context, size int, log bool) error {
	r := &room{log: log}
	for _, i := range l.random.Perm(len(l.people))[:size] {
		r.members = append(r.members, l.people[i])
	}
	r.owner = r.members[0]
	e := r.owner.event(verify.OpCreate, 0)
	for _, p := range r.members[1:] {
		e.Users = append(e.Users, p.id())
	}
	var failure error
	r.owner.call(ctx, e, func(ctx context.Context, e *verify.Event) error {
		var made client.Conversation
		made, _, failure = r.owner.at(0).CreateGroup(ctx, "chaos", e.Users...)
		r.group, e.Conversation = made.ConversationID, made.ConversationID
		if wanted := map[bool]string{true: "log", false: "mailbox"}[log]; failure == nil && made.Delivery != wanted {
			failure = fmt.Errorf("a group of %d is delivered by %s, want %s", size, made.Delivery, wanted)
		}
		return failure
	})
	if failure != nil {
		return fmt.Errorf("make a group: %w", failure)
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

// Start lets everybody come online and send, until Rest.
func (l *Load) Start(ctx context.Context) {
	var online, sending context.Context
	online, l.stopDevices = context.WithCancel(ctx)
	sending, l.stopSending = context.WithCancel(ctx)
	for _, p := range l.people {
		l.devices.Go(func() { p.device.run(online) })
		random := l.fork()
		l.sending.Go(func() {
			for l.limiter.Wait(sending) == nil { // its only other error is a limit that a burst can't have
				p.act(ctx, random) // what has begun is seen through
			}
		})
	}
}

// Rest ends the sending, lets every device pull what it has not, and leaves nobody online.
func (l *Load) Rest(ctx context.Context) error {
	l.stopSending()
	l.sending.Wait()
	if err := wait(ctx, lull); err != nil {
		return err
	}
	l.stopDevices()
	l.devices.Wait()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(8)
	for _, p := range l.people {
		group.Go(func() error { return p.device.settle(ctx) })
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
	l.devices.Wait()
	for _, c := range l.clients {
		c.Close()
	}
}

// IDs are the crowd's accounts.
func (l *Load) IDs() []client.UserID {
	ids := make([]client.UserID, len(l.people))
	for i, p := range l.people {
		ids[i] = p.id()
	}
	return ids
}
