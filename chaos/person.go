package chaos

import (
	"context"
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
	owner   *person
	members []*person
}

// person is one account with one device: a client that keeps the contract. The device goes where there is a node; what the
// person sends is tried at home first, and elsewhere when there is no answer.
type person struct {
	*verify.Actor
	who    client.Credentials
	home   int
	rooms  []*room
	churn  float64
	recent []client.Message
	sent   int
}

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
		draft.ToUserID = r.peer.ID()
	} else {
		draft.ConversationID = r.group
	}
	patience := 1_000
	if random.IntN(8) == 0 {
		patience = 1 + random.IntN(3)
	}
	deadline := time.Now().Add(keepTrying)
	for try := range patience {
		sent, err := p.SendAt(ctx, p.home+try, draft)
		if err == nil {
			p.recent = append(p.recent[max(0, len(p.recent)-remembered+1):], sent.Message)
			return
		}
		if problem, ok := client.AsProblem(err); ok && problem.Status < http.StatusInternalServerError && problem.Status != http.StatusTooManyRequests {
			return // refused
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

// change does what decides who may see what. Its errors are in the history: a refusal is no news, and what stays unknown the
// checker knows how to take.
func (p *person) change(ctx context.Context, random *rand.Rand) {
	r := p.rooms[random.IntN(len(p.rooms))]
	switch {
	case random.IntN(3) == 0 && len(p.recent) > 0:
		i := random.IntN(len(p.recent))
		recorded(p.Recall(ctx, p.recent[i]))
		p.recent = slices.Delete(p.recent, i, i+1)
	case r.peer != nil:
		recorded(p.Block(ctx, r.peer.ID()))
		recorded(p.Unblock(ctx, r.peer.ID()))
	case r.owner == p: // somebody leaves and comes back
		if guest := r.members[random.IntN(len(r.members))]; guest != p {
			recorded(p.Leave(ctx, r.group, guest.ID()))
			recorded(p.Join(ctx, r.group, guest.ID()))
		}
	default:
		p.send(ctx, r, random)
	}
}

// recorded takes an end that is in the history already.
func recorded(error) {}
