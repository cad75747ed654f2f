package verify

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/google/uuid"

	"ackbox/client"
)

// The contract's own numbers for clients.
const (
	ackEvery = 20
	ackAfter = 200 * time.Millisecond
)

// ActorOptions say how an actor behaves; zero values take the defaults.
type ActorOptions struct {
	Device   string        // its name; "actor"
	Node     int           // where it begins, an index of the cluster's addresses
	Timeout  time.Duration // longest wait for one answer (10 s)
	Patience time.Duration // how long a call is repeated that has no answer (30 s)
}

func (o ActorOptions) withDefaults() ActorOptions {
	if o.Device == "" {
		o.Device = "actor"
	}
	if o.Timeout == 0 {
		o.Timeout = 10 * time.Second
	}
	if o.Patience == 0 {
		o.Patience = 30 * time.Second
	}
	return o
}

// Actor is one device of a user that keeps the contract's rules for clients, and records what it does and sees. Its
// methods may be called from any goroutine. It runs from NewActor until Stop.
type Actor struct {
	account *Account
	cluster *Cluster
	o       ActorOptions

	cancel   context.CancelFunc
	loop     sync.WaitGroup
	commands chan command
	ready    chan struct{} // closed at the first hello
	first    sync.Once
	store    *store        // of the loop only
	doubted  bool          // of the loop only: the server has said that positions may have changed
	over     chan struct{} // closed when the loop has ended
	ended    error         // why; to be read after over

	mu     sync.Mutex
	node   int
	queues map[string]*sync.Mutex // a send at a time in each conversation
}

// command is something that the loop does between frames.
type command struct {
	do   func(context.Context) error
	done chan error
}

// NewActor starts a device of the account; ctx bounds its life.
func NewActor(ctx context.Context, account *Account, o ActorOptions) *Actor {
	o = o.withDefaults()
	ctx, cancel := context.WithCancel(ctx)
	a := &Actor{
		account: account, cluster: account.cluster, o: o, cancel: cancel, commands: make(chan command),
		ready: make(chan struct{}), over: make(chan struct{}), store: newStore(), node: o.Node, queues: map[string]*sync.Mutex{},
	}
	a.loop.Go(func() { a.run(ctx) })
	return a
}

// Stop ends the actor and waits for it.
func (a *Actor) Stop() {
	a.cancel()
	a.loop.Wait()
}

// Retire stops the actor for good: the check doesn't ask for what comes later.
func (a *Actor) Retire() {
	a.Stop()
	a.cluster.recorder.Add(Event{Op: OpRetire, Phase: OK, User: a.ID(), Device: a.o.Device})
}

// ID is the actor's user.
func (a *Actor) ID() client.UserID { return a.account.ID() }

// Ready waits for the first hello.
func (a *Actor) Ready(ctx context.Context) error {
	select {
	case <-a.ready:
		return nil
	case <-a.over:
		return fmt.Errorf("%w: %w", errOver, a.ended)
	case <-ctx.Done():
		return fmt.Errorf("no connection yet: %w", ctx.Err())
	}
}

// Drop cuts the socket, as a lost network does; the actor reconnects to the next node.
func (a *Actor) Drop(ctx context.Context) error {
	a.move()
	return a.tell(ctx, func(context.Context) error { return errDropped })
}

// errOver says that an actor doesn't run any more.
var errOver = errors.New("the actor has ended")

// errDropped makes the loop drop its socket.
var errDropped = errors.New("dropped on purpose")

// Drain pulls and acks everything that the device lacks, in the mailbox and in the large groups, repeating until it has
// worked or ctx is done.
func (a *Actor) Drain(ctx context.Context) error {
	for n := 0; ; n++ {
		err := a.tell(ctx, a.drain)
		if err == nil || errors.Is(err, errOver) {
			return err
		}
		a.move()
		if waited := wait(ctx, max(jitter(n), retryAfter(err))); waited != nil {
			return errors.Join(err, waited)
		}
	}
}

// tell lets the loop do something and waits for it.
func (a *Actor) tell(ctx context.Context, do func(context.Context) error) error {
	c := command{do, make(chan error, 1)}
	select {
	case a.commands <- c:
	case <-a.over:
		return fmt.Errorf("%w: %w", errOver, a.ended)
	case <-ctx.Done():
		return fmt.Errorf("the actor is busy: %w", ctx.Err())
	}
	select {
	case err := <-c.done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("the actor is busy: %w", ctx.Err())
	}
}

// at is the node that the actor uses now.
func (a *Actor) at() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.node
}

// move goes to the next node.
func (a *Actor) move() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.node++
}

// record takes down something that the device saw.
func (a *Actor) record(e Event) {
	e.Phase, e.User, e.Device = OK, a.ID(), a.o.Device
	a.cluster.recorder.Add(e)
}

// call makes a recorded call of the device, at a node.
func (a *Actor) call(ctx context.Context, node int, e Event, do func(context.Context, *client.Session, *Event) error) error {
	e.Device = a.o.Device
	return a.account.call(ctx, node, e, a.o.Timeout, do)
}

// persist makes a recorded call that may be repeated, until it has an answer that says.
func (a *Actor) persist(ctx context.Context, e Event, do func(context.Context, *client.Session, *Event) error) error {
	return again(ctx, a.o.Patience, a.at(), func(node int) error { return a.call(ctx, node, e, do) })
}

// Send sends a message under the draft's key, or a fresh one, and repeats it with that key until it has an answer or its
// patience is over. Sends of one actor into one conversation follow one another.
func (a *Actor) Send(ctx context.Context, d client.Draft) (client.Sent, error) {
	if d.ClientMsgID == "" {
		d.ClientMsgID = uuid.NewString()
	}
	queue := a.queue(string(d.ConversationID) + "/" + string(d.ToUserID))
	queue.Lock()
	defer queue.Unlock()
	var sent client.Sent
	err := again(ctx, a.o.Patience, a.at(), func(node int) (err error) {
		sent, err = a.SendAt(ctx, node, d)
		return err
	})
	return sent, err
}

// SendAt sends once, at the i-th node: a repeat of a key that was sent before, or a try.
func (a *Actor) SendAt(ctx context.Context, node int, d client.Draft) (client.Sent, error) {
	var sent client.Sent
	e := Event{Op: OpSend, Key: d.ClientMsgID, To: d.ToUserID, Conversation: d.ConversationID, Type: d.Type, Hash: Content(d.Type, d.Body, d.Ext)}
	err := a.call(ctx, node, e, func(ctx context.Context, s *client.Session, e *Event) (err error) {
		if sent, err = s.Send(ctx, d); err != nil {
			return err
		}
		e.Conversation, e.Duplicate, e.Code = sent.Message.ConversationID, sent.Duplicate, sent.Status
		e.Sights = []Sight{See(sent.MailboxSeq, sent.Message)}
		if (sent.Status == http.StatusOK) != sent.Duplicate {
			return fmt.Errorf("a send was answered with %d and duplicate %t", sent.Status, sent.Duplicate)
		}
		return nil
	})
	return sent, err
}

func (a *Actor) queue(conversation string) *sync.Mutex {
	a.mu.Lock()
	defer a.mu.Unlock()
	q := a.queues[conversation]
	if q == nil {
		q = &sync.Mutex{}
		a.queues[conversation] = q
	}
	return q
}

// Recall takes one of the actor's messages back.
func (a *Actor) Recall(ctx context.Context, m client.Message) error {
	return a.persist(ctx, Event{Op: OpRecall, Conversation: m.ConversationID, Message: m.MessageID}, func(ctx context.Context, s *client.Session, e *Event) error {
		left, err := s.Recall(ctx, m.MessageID)
		if err == nil {
			e.Sights = []Sight{See(0, left)}
		}
		return err
	})
}

// Create makes a group.
func (a *Actor) Create(ctx context.Context, name string, users ...client.UserID) (client.ConversationID, error) {
	var group client.Conversation
	key := uuid.NewString()
	err := a.persist(ctx, Event{Op: OpCreate, Users: users}, func(ctx context.Context, s *client.Session, e *Event) (err error) {
		group, _, err = s.CreateGroupOnce(ctx, key, name, users...)
		e.Conversation = group.ConversationID
		return err
	})
	return group.ConversationID, err
}

// Join takes users into a group of the actor's.
func (a *Actor) Join(ctx context.Context, group client.ConversationID, users ...client.UserID) error {
	return a.persist(ctx, Event{Op: OpJoin, Conversation: group, Users: users}, func(ctx context.Context, s *client.Session, _ *Event) error {
		return s.AddMembers(ctx, group, users...)
	})
}

// Leave takes a user out of a group; oneself leaves. Repeated after a lost answer it may be refused with 404, which is an
// answer too.
func (a *Actor) Leave(ctx context.Context, group client.ConversationID, user client.UserID) error {
	return a.persist(ctx, Event{Op: OpLeave, Conversation: group, Users: []client.UserID{user}}, func(ctx context.Context, s *client.Session, _ *Event) error {
		return s.RemoveMember(ctx, group, user)
	})
}

// Block refuses a user's direct messages, and Unblock takes that back.
func (a *Actor) Block(ctx context.Context, user client.UserID) error {
	return a.persist(ctx, Event{Op: OpBlock, Users: []client.UserID{user}}, func(ctx context.Context, s *client.Session, _ *Event) error {
		return s.Block(ctx, user)
	})
}

// Unblock takes Block back.
func (a *Actor) Unblock(ctx context.Context, user client.UserID) error {
	return a.persist(ctx, Event{Op: OpUnblock, Users: []client.UserID{user}}, func(ctx context.Context, s *client.Session, _ *Event) error {
		return s.Unblock(ctx, user)
	})
}

// Read moves the user's read position of a conversation.
func (a *Actor) Read(ctx context.Context, conversation client.ConversationID, upTo int64) error {
	return a.persist(ctx, Event{Op: OpRead, Conversation: conversation, UpTo: upTo}, func(ctx context.Context, s *client.Session, e *Event) error {
		read, err := s.Read(ctx, conversation, upTo)
		e.Acked = read
		return err
	})
}

// Positions reads how far the members of a conversation are.
func (a *Actor) Positions(ctx context.Context, conversation client.ConversationID) error {
	return a.persist(ctx, Event{Op: OpPositions, Conversation: conversation}, func(ctx context.Context, s *client.Session, e *Event) error {
		list, err := s.Receipts(ctx, conversation)
		e.Positions = positions(list)
		return err
	})
}

func positions(list []client.Position) []Position {
	all := make([]Position, 0, len(list))
	for _, p := range list {
		all = append(all, Position{p.UserID, p.DeliveredSeq, p.ReadSeq})
	}
	return all
}
