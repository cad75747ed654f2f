package verify

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"ackbox/client"
)

const (
	groupSize   = 8                      // members of a group
	perGroup    = 5                      // users for each group that is made
	addAtATime  = 500                    // as the contract allows
	burst       = 5                      // sends that may follow at once
	churnEvery  = 400 * time.Millisecond // a join or a leave
	cutEvery    = 500 * time.Millisecond // a socket is cut
	lookEvery   = 300 * time.Millisecond // receipts are read by REST
	blockEvery  = 2 * time.Second
	repeatEvery = 8  // sends: the same key again, at every node
	readEvery   = 4  // sends: the sender reads up to there
	recallEvery = 20 // sends: it is recalled
	groupShare  = 0.40
	logShare    = 0.05
)

// group is a group of the run. Its first member made it and stays.
type group struct {
	id      client.ConversationID
	members []*Actor // who may belong: joins and leaves are among them
}

// traffic is what the actors do to each other.
type traffic struct {
	r      *run
	people []*Actor // one a user
	groups []group
	large  *group
	sends  atomic.Int64
}

// newTraffic makes the groups.
func newTraffic(ctx context.Context, r *run) (*traffic, error) {
	t := &traffic{r: r}
	seen := map[client.UserID]bool{}
	for _, a := range r.actors {
		if !seen[a.ID()] {
			seen[a.ID()] = true
			t.people = append(t.people, a)
		}
	}
	for i := range max(len(t.people)/perGroup, 1) {
		g := group{}
		for j := range min(groupSize, len(t.people)) {
			g.members = append(g.members, t.people[(i*perGroup+j)%len(t.people)])
		}
		id, err := g.members[0].Create(ctx, fmt.Sprintf("%s group %d", r.report.Run, i), ids(g.members[1:])...)
		if err != nil {
			return nil, fmt.Errorf("make a group: %w", err)
		}
		g.id = id
		t.groups = append(t.groups, g)
	}
	r.report.Groups = len(t.groups)
	if r.o.LogGroup > 0 {
		if err := t.gather(ctx); err != nil {
			return nil, fmt.Errorf("make the large group: %w", err)
		}
	}
	return t, nil
}

func ids(actors []*Actor) []client.UserID {
	list := make([]client.UserID, len(actors))
	for i, a := range actors {
		list[i] = a.ID()
	}
	return list
}

// gather makes the large group of all the run's accounts.
func (t *traffic) gather(ctx context.Context) error {
	all := ids(t.people)[1:]
	for _, a := range t.r.crowd {
		all = append(all, a.ID())
	}
	owner := t.people[0]
	id, err := owner.Create(ctx, t.r.report.Run+" large group")
	if err != nil {
		return err
	}
	for len(all) > 0 {
		n := min(len(all), addAtATime)
		if err := owner.Join(ctx, id, all[:n]...); err != nil {
			return err
		}
		all = all[n:]
	}
	t.large = &group{id: id, members: t.people}
	t.r.report.Groups++
	return owner.account.ask(ctx, owner.at(), func(s *client.Session) error {
		c, err := s.Conversation(ctx, id)
		if t.r.report.LogGroup = c.Delivery == "log"; err == nil && !t.r.report.LogGroup {
			t.r.report.Notes = append(t.r.report.Notes, fmt.Sprintf("the large group of %d is delivered by mailbox here: a larger --log-group is needed to check delivery by log", c.MemberCount))
		}
		return err
	})
}

// run makes traffic until a time.
func (t *traffic) run(ctx context.Context, until time.Time) {
	ctx, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	var all sync.WaitGroup
	pace := rate.NewLimiter(rate.Limit(t.r.o.Rate), burst)
	for _, a := range t.people {
		all.Go(func() {
			for pace.Wait(ctx) == nil {
				t.send(ctx, a)
			}
		})
	}
	every := func(d time.Duration, do func(context.Context)) {
		all.Go(func() {
			for wait(ctx, d) == nil {
				do(ctx)
			}
		})
	}
	every(churnEvery, t.churn)
	every(cutEvery, func(ctx context.Context) { t.done(pick(t.r.actors).Drop(ctx)) })
	every(lookEvery, t.look)
	every(blockEvery, t.block)
	all.Wait()
}

func pick[T any](list []T) T { return list[rand.IntN(len(list))] }

func chance(share float64) bool { return rand.Float64() < share }

// done takes an end that is in the history already: refusals are part of the traffic, and what stays unknown is checked.
func (t *traffic) done(error) {}

// send sends one message somewhere, and sometimes repeats, reads or recalls it. What is under way when the time is over
// is ended properly.
func (t *traffic) send(ctx context.Context, a *Actor) {
	ctx = context.WithoutCancel(ctx)
	n := t.sends.Add(1)
	d := client.Draft{Type: "text", Body: map[string]any{"text": t.r.report.Run + " " + strconv.FormatInt(n, 10)}}
	switch {
	case t.large != nil && chance(logShare):
		d.ConversationID = t.large.id
	case chance(groupShare):
		g := pick(t.groups)
		a, d.ConversationID = pick(g.members), g.id
	default:
		if d.ToUserID = pick(t.people).ID(); d.ToUserID == a.ID() {
			return
		}
	}
	sent, err := a.Send(ctx, d)
	if err != nil {
		t.done(err)
		return
	}
	if n%repeatEvery == 0 {
		d.ClientMsgID = sent.Message.ClientMsgID
		for i := range t.r.cluster.nodes {
			_, err := a.SendAt(ctx, i, d)
			t.done(err)
		}
	}
	if n%readEvery == 1 {
		t.done(a.Read(ctx, sent.Message.ConversationID, sent.Message.ConversationSeq))
	}
	if n%recallEvery == 3 {
		t.done(a.Recall(ctx, sent.Message))
	}
}

// churn takes somebody into a group, or out of it, or lets them leave.
func (t *traffic) churn(ctx context.Context) {
	ctx = context.WithoutCancel(ctx)
	g := pick(t.groups)
	if len(g.members) < 2 {
		return
	}
	who := pick(g.members[1:])
	var err error
	switch rand.IntN(4) {
	case 0:
		err = g.members[0].Leave(ctx, g.id, who.ID())
	case 1:
		err = who.Leave(ctx, g.id, who.ID())
	default:
		err = g.members[0].Join(ctx, g.id, who.ID())
	}
	t.done(err)
}

// look reads receipts by REST.
func (t *traffic) look(ctx context.Context) {
	g := pick(t.groups)
	t.done(g.members[0].Positions(context.WithoutCancel(ctx), g.id))
}

// block blocks somebody, lets them write, and takes it back.
func (t *traffic) block(ctx context.Context) {
	ctx = context.WithoutCancel(ctx)
	a, b := pick(t.people), pick(t.people)
	if a == b {
		return
	}
	if err := a.Block(ctx, b.ID()); err != nil {
		t.done(err)
		return
	}
	_, err := b.Send(ctx, client.Text(a.ID(), "", t.r.report.Run+" blocked"))
	if p, ok := client.AsProblem(err); ok && p.Status == http.StatusForbidden {
		err = nil
	}
	t.done(errors.Join(err, a.Unblock(ctx, b.ID())))
}
