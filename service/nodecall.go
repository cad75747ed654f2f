package service

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"ackbox/model"

	"github.com/redis/go-redis/v9"
)

// Bounds of asking other nodes.
const (
	// nodeCallTime is how long an asker waits, and how long a node may take to answer.
	nodeCallTime = 2 * time.Second
	// maxNodeAnswer is how many bytes one node may answer.
	maxNodeAnswer = 2 << 20
	// maxNodePayload is how many bytes a question may have.
	maxNodePayload = 64 << 10
	// maxNodeCalls is how many questions a node answers at a time; one beyond is refused.
	maxNodeCalls = 16
	// maxSearches is how many of them may be searches of the trace, which users cause too: they keep no operator out.
	maxSearches = 4
	// liveTime is how long the database has to say which nodes there are; then those count that it named last.
	liveTime = 500 * time.Millisecond
	// maxNodeAsks is how many questions of this node may be open at a time.
	maxNodeAsks = 64
)

// NodeHandler answers a question of an operator's: its result becomes JSON. A *model.Error travels to the asker with
// its code and detail, of any other error only that there was one. ctx ends after two seconds.
type NodeHandler = func(ctx context.Context, payload json.RawMessage) (any, error)

// NodeAnswer is what one node answered: a payload, or an error (a *model.Error).
type NodeAnswer struct {
	Node    model.NodeID
	Payload json.RawMessage
	Err     error
}

// NodeCalls asks all nodes, or some, the same question, over Redis Pub/Sub: for what only a node itself knows (its sessions,
// its ack queue, its trace). It is for operators and never on the way of a message. Without Redis, or on SQLite, only
// this node answers.
type NodeCalls struct {
	store   *model.Store
	client  redis.UniversalClient // nil: there is no way to other nodes
	node    func() model.NodeID
	prefix  string
	process string // this process, not only its node id
	log     *slog.Logger

	pubsub *redis.PubSub
	ctx    context.Context
	cancel context.CancelFunc
	done   sync.WaitGroup
	busy   chan struct{} // holds one for each question that is being answered, but for searches
	search chan struct{} // and for each search

	mu       sync.Mutex
	handlers map[string]NodeHandler
	asks     map[string]*nodeAsk
	others   []model.NodeID // that the database named last
	stopped  bool
}

// nodeAsk is a question that waits for its answers.
type nodeAsk struct {
	waits   map[model.NodeID]bool
	answers chan NodeAnswer // has room for one of each
}

// nodeQuestion and nodeReply are what travels.
type nodeQuestion struct {
	ID      string          `json:"id"`
	From    string          `json:"from"` // the asker's process: names its channel
	Kind    string          `json:"kind"`
	Nodes   []model.NodeID  `json:"nodes"`
	Payload json.RawMessage `json:"payload"`
}

type nodeReply struct {
	ID      string          `json:"id"`
	Node    model.NodeID    `json:"node"`
	Payload json.RawMessage `json:"payload,omitempty"`
	Code    model.Code      `json:"code,omitempty"`
	Detail  string          `json:"detail,omitempty"`
}

// NewNodeCalls makes the calls of one process of an installation. client may be nil. Stop it.
func NewNodeCalls(store *model.Store, client redis.UniversalClient, installation, process string, node func() model.NodeID, log *slog.Logger) *NodeCalls {
	ctx, cancel := context.WithCancel(context.Background())
	c := &NodeCalls{
		store: store, client: client, node: node, prefix: "ackbox:" + installation + ":calls:", process: process, log: log,
		ctx: ctx, cancel: cancel, busy: make(chan struct{}, maxNodeCalls), search: make(chan struct{}, maxSearches), handlers: map[string]NodeHandler{}, asks: map[string]*nodeAsk{},
	}
	if client != nil {
		c.pubsub = client.Subscribe(ctx, c.questions(), c.replies(process))
		c.done.Go(c.read)
	}
	return c
}

// Stop ends the subscription and awaits what is being answered.
func (c *NodeCalls) Stop() {
	c.mu.Lock()
	c.stopped = true
	pubsub := c.pubsub
	c.mu.Unlock()
	c.cancel()
	if pubsub != nil {
		if err := pubsub.Close(); err != nil {
			c.log.Debug("node calls", "error", err)
		}
	}
	c.done.Wait()
}

func (c *NodeCalls) questions() string             { return c.prefix + "questions" }
func (c *NodeCalls) replies(process string) string { return c.prefix + "replies:" + process }

// Node is this node's id.
func (c *NodeCalls) Node() model.NodeID { return c.node() }

// Handle says who answers a kind of question, on this node; all nodes have the same.
func (c *NodeCalls) Handle(kind string, handler NodeHandler) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.handlers[kind] = handler
}

// Ask puts a question to the named nodes, or to all that live when none is named, this one among them. It takes at most two
// seconds. answers are in order of node; missing are the nodes that should have answered and did not. While the database,
// which knows the nodes, does not answer, they are those that it named last. The error is of a question that is too large, or
// of too many at once.
func (c *NodeCalls) Ask(ctx context.Context, kind string, payload any, nodes ...model.NodeID) (answers []NodeAnswer, missing []model.NodeID, err error) {
	text, err := json.Marshal(payload)
	if err != nil {
		return nil, nil, fmt.Errorf("ask nodes: %w", err)
	}
	if len(text) > maxNodePayload {
		return nil, nil, fmt.Errorf("ask nodes: a question of %d bytes", len(text))
	}
	ctx, cancel := context.WithTimeout(ctx, nodeCallTime)
	defer cancel()
	live := c.live(ctx)
	if len(nodes) == 0 {
		nodes = live
	}
	self, others := false, []model.NodeID{}
	for _, node := range nodes {
		switch {
		case node == c.node():
			self = true
		case c.client != nil && slices.Contains(live, node):
			others = append(others, node)
		default:
			missing = append(missing, node)
		}
	}
	ask, id, err := c.open(others)
	if err != nil {
		return nil, nil, err
	}
	defer c.close(id)
	if len(others) > 0 {
		question, err := json.Marshal(nodeQuestion{ID: id, From: c.process, Kind: kind, Nodes: others, Payload: text})
		if err != nil {
			return nil, nil, fmt.Errorf("ask nodes: %w", err)
		}
		if err := c.client.Publish(ctx, c.questions(), question).Err(); err != nil {
			metrics.redisErrors.Inc()
			missing, others = append(missing, others...), nil
		}
	}
	if self {
		answers = append(answers, c.answer(ctx, kind, text))
	}
	for len(others) > 0 && ctx.Err() == nil {
		select {
		case a := <-ask.answers:
			answers = append(answers, a)
			others = slices.DeleteFunc(others, func(node model.NodeID) bool { return node == a.Node })
		case <-ctx.Done():
		}
	}
	for len(others) > 0 { // this node's own answer may have taken all of the time
		select {
		case a := <-ask.answers:
			answers = append(answers, a)
			others = slices.DeleteFunc(others, func(node model.NodeID) bool { return node == a.Node })
			continue
		default:
		}
		break
	}
	missing = append(missing, others...)
	slices.Sort(missing)
	slices.SortFunc(answers, func(a, b NodeAnswer) int { return int(a.Node - b.Node) })
	return answers, missing, nil
}

// live are this node and those whose lease holds, as the database says, or said when it last answered.
func (c *NodeCalls) live(ctx context.Context) []model.NodeID {
	ctx, cancel := context.WithTimeout(ctx, liveTime)
	defer cancel()
	list, err := c.store.Nodes(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		c.others = c.others[:0]
		for _, n := range list {
			if n.Live() && n.ID != c.node() {
				c.others = append(c.others, n.ID)
			}
		}
	}
	return append([]model.NodeID{c.node()}, c.others...)
}

func (c *NodeCalls) open(nodes []model.NodeID) (*nodeAsk, string, error) {
	ask := &nodeAsk{waits: map[model.NodeID]bool{}, answers: make(chan NodeAnswer, len(nodes))}
	for _, node := range nodes {
		ask.waits[node] = true
	}
	id := rand.Text()
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.asks) >= maxNodeAsks || c.stopped {
		return nil, "", &model.Error{Code: model.CodeUnavailable, Detail: "this node asks the others too much at once", RetryAfter: time.Second}
	}
	c.asks[id] = ask
	return ask, id, nil
}

func (c *NodeCalls) close(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.asks, id)
}

// answer is this node's. A panic is an error.
func (c *NodeCalls) answer(ctx context.Context, kind string, payload json.RawMessage) (a NodeAnswer) {
	a.Node = c.node()
	defer func() {
		if cause := recover(); cause != nil {
			a.Err = c.refused(kind, fmt.Errorf("panic: %v\n%s", cause, debug.Stack()))
		}
	}()
	c.mu.Lock()
	handler := c.handlers[kind]
	c.mu.Unlock()
	if handler == nil { // an older or newer version
		a.Err = model.NewError(model.CodeUnavailable, "this node does not know the question %s", kind)
		return a
	}
	result, err := handler(ctx, payload)
	if err == nil {
		a.Payload, err = json.Marshal(result)
	}
	if err == nil && len(a.Payload) > maxNodeAnswer {
		a.Payload, err = nil, fmt.Errorf("an answer of %d bytes", len(a.Payload))
	}
	if err != nil {
		a.Err = c.refused(kind, err)
	}
	return a
}

// refused is an error as it may travel.
func (c *NodeCalls) refused(kind string, err error) error {
	var ours *model.Error
	if errors.As(err, &ours) {
		return &model.Error{Code: ours.Code, Detail: ours.Detail}
	}
	c.log.Error("a question of another node failed", "kind", kind, "error", err)
	return model.NewError(model.CodeInternal, "an internal error; its cause is in the node's log")
}

// read loops on Receive rather than Channel, which drops messages when it is full.
func (c *NodeCalls) read() {
	asked := false
	for c.ctx.Err() == nil {
		message, err := c.pubsub.ReceiveTimeout(c.ctx, relayPatience)
		var timeout net.Error
		switch {
		case err != nil && c.ctx.Err() != nil:
			return
		case errors.As(err, &timeout) && timeout.Timeout():
			// A connection that is half open is silent for ever: one that does not take or answer a ping is given up by the client.
			if err := c.pubsub.Ping(c.ctx); err != nil || asked {
				c.renew()
			}
			asked = !asked
		case err != nil:
			if pause(c.ctx, 200*time.Millisecond) != nil {
				return
			}
		default:
			asked = false
			if m, ok := message.(*redis.Message); ok {
				c.heard(m)
			}
		}
	}
}

// renew subscribes anew over another connection.
func (c *NodeCalls) renew() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped {
		return
	}
	old := c.pubsub
	c.pubsub = c.client.Subscribe(c.ctx, c.questions(), c.replies(c.process))
	if err := old.Close(); err != nil {
		c.log.Debug("node calls", "error", err)
	}
}

func (c *NodeCalls) heard(m *redis.Message) {
	var err error
	if m.Channel == c.questions() {
		var q nodeQuestion
		if err = json.Unmarshal([]byte(m.Payload), &q); err == nil {
			c.asked(q)
		}
	} else {
		var r nodeReply
		if err = json.Unmarshal([]byte(m.Payload), &r); err == nil {
			c.replied(r)
		}
	}
	if err != nil {
		c.log.Warn("node calls: what cannot be read", "error", err)
	}
}

// asked answers a question in a goroutine of its own.
func (c *NodeCalls) asked(q nodeQuestion) {
	if q.From == c.process || !slices.Contains(q.Nodes, c.node()) {
		return
	}
	slots := c.busy
	if q.Kind == callTrace {
		slots = c.search
	}
	select {
	case slots <- struct{}{}:
	default: // the asker counts this node among the missing
		c.log.Warn("node calls: too many questions at once", "kind", q.Kind)
		return
	}
	c.done.Go(func() {
		defer func() { <-slots }()
		ctx, cancel := context.WithTimeout(c.ctx, nodeCallTime)
		defer cancel()
		a := c.answer(ctx, q.Kind, q.Payload)
		reply := nodeReply{ID: q.ID, Node: a.Node, Payload: a.Payload}
		var ours *model.Error
		if errors.As(a.Err, &ours) {
			reply.Code, reply.Detail = ours.Code, ours.Detail
		}
		if err := c.client.Publish(ctx, c.replies(q.From), encodeFrame(reply)).Err(); err != nil && c.ctx.Err() == nil {
			metrics.redisErrors.Inc()
			c.log.Warn("node calls: an answer could not be sent", "kind", q.Kind, "error", err)
		}
	})
}

// replied hands an answer to who waits for it, once a node.
func (c *NodeCalls) replied(r nodeReply) {
	c.mu.Lock()
	defer c.mu.Unlock()
	ask := c.asks[r.ID]
	if ask == nil || !ask.waits[r.Node] {
		return
	}
	delete(ask.waits, r.Node)
	a := NodeAnswer{Node: r.Node, Payload: r.Payload}
	if r.Code != "" {
		a.Payload, a.Err = nil, &model.Error{Code: r.Code, Detail: r.Detail}
	}
	ask.answers <- a // there is room
}

// Told is what a node answered, read.
type Told[T any] struct {
	Node  model.NodeID
	Value T
}

// AskAll is Ask with the answers read. Nodes that answered with an error, or something else, are logged and among the missing:
// for what is shown and merged. Who does something on a node uses AskOne.
func AskAll[T any](ctx context.Context, c *NodeCalls, kind string, payload any, nodes ...model.NodeID) (list []Told[T], missing []model.NodeID, err error) {
	answers, missing, err := c.Ask(ctx, kind, payload, nodes...)
	if err != nil {
		return nil, nil, err
	}
	list = make([]Told[T], 0, len(answers))
	for _, a := range answers {
		told := Told[T]{Node: a.Node}
		err := a.Err
		if err == nil {
			err = json.Unmarshal(a.Payload, &told.Value)
		}
		if err != nil {
			c.log.Warn("a node could not answer", "node", a.Node, "kind", kind, "error", err)
			missing = append(missing, a.Node)
			continue
		}
		list = append(list, told)
	}
	slices.Sort(missing)
	return list, missing, nil
}

// AskOne asks one node and gives its answer, or its error. A node that is not there or does not answer is
// CodeUnavailable; whether it has done what it was asked is not known then.
func AskOne[T any](ctx context.Context, c *NodeCalls, kind string, payload any, node model.NodeID) (value T, err error) {
	answers, _, err := c.Ask(ctx, kind, payload, node)
	if err != nil {
		return value, err
	}
	if len(answers) == 0 {
		return value, &model.Error{Code: model.CodeUnavailable, Detail: fmt.Sprintf("node %d does not answer", node), RetryAfter: time.Second}
	}
	if answers[0].Err != nil {
		return value, answers[0].Err
	}
	if err := json.Unmarshal(answers[0].Payload, &value); err != nil {
		return value, fmt.Errorf("answer of node %d: %w", node, err)
	}
	return value, nil
}
