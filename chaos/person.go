package chaos

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"

	"ackbox/client"
	"ackbox/verify"
)

const (
	// tryPatience is how long a person's client waits for one answer; a frozen node gives none.
	tryPatience = 5 * time.Second
	// keepTrying bounds the tries of one send, over the longest of faults.
	keepTrying = 90 * time.Second
	// remembered is how many own messages a person can recall.
	remembered = 20
)

// room is where a person sends: to another person, or into a group.
type room struct {
	peer    *person
	group   client.ConversationID
	log     bool // delivered by log
	owner   *person
	members []*person
}

// person is one account with its client: a home node, others when that one does not answer, and one device.
type person struct {
	recorder *verify.Recorder
	session  *client.Session
	nodes    []*client.Client // the home node first
	rooms    []*room
	churn    float64
	device   *device
	recent   []client.Message
	sent     int
}

func (p *person) id() client.UserID { return p.session.User.UserID }

// event is the beginning of a history's line about the person, at the i-th of their nodes.
func (p *person) event(op verify.Op, i int) verify.Event {
	return verify.Event{Op: op, User: p.id(), Node: p.nodes[i%len(p.nodes)].Base()}
}

// at is the session at the i-th node.
func (p *person) at(i int) *client.Session { return p.session.At(p.nodes[i%len(p.nodes)]) }

// act does one thing. It returns when that is done, or was given up; ctx is of the whole load, not of the sending.
func (p *person) act(ctx context.Context, random *rand.Rand) {
	if random.Float64() < p.churn {
		p.change(ctx, random)
		return
	}
	r := p.rooms[random.IntN(len(p.rooms))]
	p.send(ctx, r, random)
}

// send sends a message and repeats it with its key until it is answered; now and then a person gives up after some tries
// without an answer.
func (p *person) send(ctx context.Context, r *room, random *rand.Rand) {
	p.sent++
	draft := client.Draft{ClientMsgID: uuid.NewString(), Type: "text", Body: map[string]any{"text": "number " + strconv.Itoa(p.sent)}}
	if r.peer != nil {
		draft.ToUserID = r.peer.id()
	} else {
		draft.ConversationID = r.group
	}
	patience := 1_000
	if random.IntN(8) == 0 {
		patience = 1 + random.IntN(3)
	}
	deadline := time.Now().Add(keepTrying)
	for try := range patience {
		e := p.event(verify.OpSend, try)
		e.Key, e.Type, e.Hash, e.To, e.Conversation = draft.ClientMsgID, draft.Type, verify.Content(draft.Type, draft.Body, nil), draft.ToUserID, draft.ConversationID
		var sent client.Sent
		answered := p.call(ctx, e, func(ctx context.Context, e *verify.Event) (err error) {
			if sent, err = p.at(try).Send(ctx, draft); err == nil {
				e.Code, e.Duplicate, e.Sights = sent.Status, sent.Duplicate, []verify.Sight{verify.See(sent.MailboxSeq, sent.Message)}
			}
			return err
		})
		if answered {
			if sent.Status != 0 {
				p.recent = append(p.recent[max(0, len(p.recent)-remembered):], sent.Message)
			}
			return
		}
		if time.Now().After(deadline) || wait(ctx, pause(random, try)) != nil {
			return
		}
	}
}

// pause is the exponential backoff with full jitter between 10 ms and 1 s.
func pause(random *rand.Rand, try int) time.Duration {
	return time.Duration(random.Int64N(int64(min(time.Second, 20*time.Millisecond<<min(try, 6))))) + 10*time.Millisecond
}

// call does a request within its time and takes it down; it says whether there was an answer that says what has happened.
func (p *person) call(ctx context.Context, e verify.Event, do func(ctx context.Context, e *verify.Event) error) bool {
	e = p.recorder.Invoke(e)
	ctx, cancel := context.WithTimeout(ctx, tryPatience)
	defer cancel()
	err := do(ctx, &e)
	problem, refused := client.AsProblem(err)
	switch {
	case err == nil:
		e.Phase = verify.OK
	case refused && problem.Status < http.StatusInternalServerError && problem.Status != http.StatusTooManyRequests:
		e.Phase, e.Code, e.Detail = verify.Fail, problem.Status, problem.Code
	case refused: // 5xx: whatever it says, it may be there
		e.Phase, e.Code, e.Detail = verify.Unknown, problem.Status, problem.Code
	default:
		e.Phase, e.Detail = verify.Unknown, err.Error()
	}
	p.recorder.Add(e)
	return e.Phase != verify.Unknown
}

// change does what decides who may see what.
func (p *person) change(ctx context.Context, random *rand.Rand) {
	r := p.rooms[random.IntN(len(p.rooms))]
	switch {
	case random.IntN(3) == 0 && len(p.recent) > 0:
		m := p.recent[random.IntN(len(p.recent))]
		p.recent = slices.DeleteFunc(p.recent, func(n client.Message) bool { return n.MessageID == m.MessageID })
		e := p.event(verify.OpRecall, 0)
		e.Conversation, e.Message = m.ConversationID, m.MessageID
		p.call(ctx, e, func(ctx context.Context, _ *verify.Event) error {
			_, err := p.at(0).Recall(ctx, m.MessageID)
			return err
		})
	case r.peer != nil:
		block := p.event(verify.OpBlock, 0)
		block.Users = []client.UserID{r.peer.id()}
		p.call(ctx, block, func(ctx context.Context, _ *verify.Event) error { return p.at(0).Block(ctx, r.peer.id()) })
		p.insist(ctx, random, verify.Event{Op: verify.OpUnblock, Users: block.Users}, func(ctx context.Context, try int) error { return p.at(try).Unblock(ctx, r.peer.id()) })
	case r.owner == p: // somebody leaves and comes back
		guest := r.members[random.IntN(len(r.members))]
		if guest == p {
			return
		}
		leave := verify.Event{Op: verify.OpLeave, Conversation: r.group, Users: []client.UserID{guest.id()}}
		p.insist(ctx, random, leave, func(ctx context.Context, try int) error { return p.at(try).RemoveMember(ctx, r.group, guest.id()) })
		join := verify.Event{Op: verify.OpJoin, Conversation: r.group, Users: leave.Users}
		p.insist(ctx, random, join, func(ctx context.Context, try int) error { return p.at(try).AddMembers(ctx, r.group, guest.id()) })
	default:
		p.send(ctx, r, random)
	}
}

// insist repeats a call until it is answered.
func (p *person) insist(ctx context.Context, random *rand.Rand, e verify.Event, do func(ctx context.Context, try int) error) {
	deadline := time.Now().Add(keepTrying)
	for try := 0; time.Now().Before(deadline); try++ {
		at := p.event(e.Op, try)
		at.Conversation, at.Users = e.Conversation, e.Users
		if p.call(ctx, at, func(ctx context.Context, _ *verify.Event) error { return do(ctx, try) }) || wait(ctx, pause(random, try)) != nil {
			return
		}
	}
}

// errNoAnswer says that a person's client got no answer from any node in its time.
var errNoAnswer = errors.New("no answer from any node")
