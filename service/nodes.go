package service

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	runtimemetrics "runtime/metrics"
	"slices"
	"time"

	"ackbox/model"
)

// States of a node.
const (
	NodeUp       = "up"
	NodeDraining = "draining"
	NodeDown     = "down" // its lease has ended, or it does not answer
)

// deadNodes is how long a node that ended without a word is listed.
const deadNodes = 24 * time.Hour

// JobState is a job on a node and how its last run went.
type JobState struct {
	Name         string
	Node         model.NodeID
	Every        time.Duration
	Running      bool
	LastRunAt    model.Millis // when it began; 0: not yet
	LastDuration time.Duration
	LastOutcome  string // ok, error, panic; empty: not yet
	LastError    string
	Runs         int64
	Failures     int64
}

// Jobs is the runner of this node's jobs.
type Jobs interface {
	States() []JobState
	// RunNow begins a run soon, and says whether there is such a job.
	RunNow(name string) bool
}

// NodesOptions is what Nodes needs.
type NodesOptions struct {
	Store     *model.Store
	Calls     *NodeCalls
	Delivery  *Delivery
	Jobs      Jobs
	Level     *LogLevel
	Series    *Series
	Version   string
	StartedAt time.Time
	// Drain makes this node turn clients away, or take them again.
	Drain    func(drain bool)
	Draining func() bool
	Clock    func() time.Time
}

// Nodes is what operators see of all nodes, and do on one. Everything is asked of the nodes themselves, see NodeCalls; what
// could not be asked is named as missing.
type Nodes struct{ NodesOptions }

// What nodes ask each other.
const (
	callInfo     = "node.info"
	callDrain    = "node.drain"
	callSessions = "sessions"
	callClose    = "device.close"
	callPush     = "device.push"
	callQueue    = "ackqueue"
	callJobs     = "jobs"
	callRunJob   = "jobs.run"
	callLevel    = "log.level"
	callSetLevel = "log.set"
	callSeries   = "series"
)

// answering makes a NodeHandler of a function of a question.
func answering[Q, A any](fn func(ctx context.Context, q Q) (A, error)) NodeHandler {
	return func(ctx context.Context, payload json.RawMessage) (any, error) {
		var q Q
		if err := json.Unmarshal(payload, &q); err != nil {
			return nil, fmt.Errorf("a question that cannot be read: %w", err)
		}
		return fn(ctx, q)
	}
}

type nothing struct{}

// NewNodes makes the view.
func NewNodes(o NodesOptions) *Nodes { return &Nodes{o} }

// Answer begins to answer the questions of operators, this node's and the other ones', when everything is built.
func (n *Nodes) Answer() {
	n.Calls.Handle(callInfo, answering(func(context.Context, nothing) (NodeInfo, error) { return n.info(), nil }))
	n.Calls.Handle(callDrain, answering(func(_ context.Context, drain bool) (nothing, error) {
		n.NodesOptions.Drain(drain)
		return nothing{}, nil
	}))
	n.Calls.Handle(callSessions, answering(func(_ context.Context, f SessionFilter) ([]SessionView, error) {
		f.Limit = min(f.Limit, maxSessionViews)
		return n.Delivery.Views(f), nil
	}))
	n.Calls.Handle(callClose, answering(func(_ context.Context, key model.DeviceKey) (bool, error) { return n.Delivery.CloseDevice(key), nil }))
	n.Calls.Handle(callPush, answering(func(_ context.Context, key model.DeviceKey) (bool, error) { return n.Delivery.PushDevice(key), nil }))
	n.Calls.Handle(callQueue, answering(func(context.Context, nothing) (AckQueueFigures, error) { return n.Delivery.queueFigures(), nil }))
	n.Calls.Handle(callJobs, answering(func(context.Context, nothing) ([]JobState, error) { return n.NodesOptions.Jobs.States(), nil }))
	n.Calls.Handle(callRunJob, answering(func(_ context.Context, name string) (nothing, error) {
		if !n.NodesOptions.Jobs.RunNow(name) {
			return nothing{}, model.NotFound("job")
		}
		return nothing{}, nil
	}))
	n.Calls.Handle(callLevel, answering(func(context.Context, nothing) (LevelView, error) { return n.Level.View(), nil }))
	n.Calls.Handle(callSetLevel, answering(func(_ context.Context, w LevelWish) (nothing, error) { return nothing{}, n.Level.Set(w) }))
	n.Calls.Handle(callSeries, answering(func(_ context.Context, last time.Duration) ([]Sample, error) {
		return n.NodesOptions.Series.Last(last), nil
	}))
}

// NodeInfo is what a node says of itself.
type NodeInfo struct {
	Version    string
	StartedAt  model.Millis
	Uptime     time.Duration
	Draining   bool
	Sessions   int
	Goroutines int
	HeapBytes  int64
}

// NodeView is a node as its lease and its own answer show it.
type NodeView struct {
	model.NodeRow
	NodeInfo
	State string // up, draining or down
	Self  bool
}

func (n *Nodes) info() NodeInfo {
	return NodeInfo{
		Version: n.Version, StartedAt: model.MillisOf(n.StartedAt), Uptime: n.Clock().Sub(n.StartedAt), Draining: n.Draining(), Sessions: n.Delivery.count(),
		Goroutines: runtime.NumGoroutine(), HeapBytes: heapBytes(),
	}
}

// heapBytes is the memory of living objects, without stopping anything.
func heapBytes() int64 {
	sample := []runtimemetrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	runtimemetrics.Read(sample)
	return int64(sample[0].Value.Uint64())
}

// List is all nodes that live, and those of the last day that ended without a word, in order.
func (n *Nodes) List(ctx context.Context) (list []NodeView, missing []model.NodeID, err error) {
	rows, err := n.Store.Nodes(ctx)
	if err != nil {
		return nil, nil, err
	}
	told, missing, err := AskAll[NodeInfo](ctx, n.Calls, callInfo, nothing{})
	if err != nil {
		return nil, nil, err
	}
	for _, row := range rows {
		if row.Left < -deadNodes {
			continue
		}
		view := NodeView{NodeRow: row, State: NodeDown, Self: row.ID == n.Calls.Node()}
		for _, t := range told {
			if t.Node == row.ID {
				view.NodeInfo, view.State = t.Value, NodeUp
				if t.Value.Draining {
					view.State = NodeDraining
				}
			}
		}
		list = append(list, view)
	}
	return list, missing, nil
}

// Drain makes a node turn clients away, or take them again. CodeNotFound: there never was such a node.
func (n *Nodes) Drain(ctx context.Context, node model.NodeID, drain bool) error {
	if err := n.known(ctx, node); err != nil {
		return err
	}
	_, err := AskOne[nothing](ctx, n.Calls, callDrain, drain, node)
	return err
}

func (n *Nodes) known(ctx context.Context, node model.NodeID) error {
	if node == n.Calls.Node() { // also without the database
		return nil
	}
	rows, err := n.Store.Nodes(ctx)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(rows, func(r model.NodeRow) bool { return r.ID == node }) {
		return model.NotFound("node")
	}
	return nil
}

// maxSessionViews bounds the sockets that one node tells at a time.
const maxSessionViews = 201

// Sessions is a page of the sockets of some nodes (none: all), and whether there are more.
func (n *Nodes) Sessions(ctx context.Context, f SessionFilter, nodes ...model.NodeID) (list []SessionView, more bool, missing []model.NodeID, err error) {
	limit := min(f.Limit, maxSessionViews-1)
	f.Limit = limit + 1
	told, missing, err := AskAll[[]SessionView](ctx, n.Calls, callSessions, f, nodes...)
	if err != nil {
		return nil, false, nil, err
	}
	for _, t := range told {
		for _, v := range t.Value {
			v.Node = t.Node
			list = append(list, v)
		}
	}
	slices.SortFunc(list, f.compare)
	if len(list) > limit {
		return list[:limit], true, missing, nil
	}
	return list, false, missing, nil
}

// SessionsOf are the sockets of a user, on all nodes.
func (n *Nodes) SessionsOf(ctx context.Context, user model.UserID) (list []SessionView, missing []model.NodeID, err error) {
	list, _, missing, err = n.Sessions(ctx, SessionFilter{UserID: user, Sort: SessionsByConnected, Limit: maxSessionViews - 1})
	return list, missing, err
}

// Usernames are the names of the users of sockets.
func (n *Nodes) Usernames(ctx context.Context, list []SessionView) (map[model.UserID]string, error) {
	ids := make([]model.UserID, len(list))
	for i := range list {
		ids[i] = list[i].UserID
	}
	slices.Sort(ids)
	return n.Store.Usernames(ctx, slices.Compact(ids))
}

// CloseDevice closes a device's socket, on whichever node it is. CodeNotFound: there is none.
func (n *Nodes) CloseDevice(ctx context.Context, key model.DeviceKey) error {
	return n.onSocket(ctx, callClose, key)
}

// PushDevice pushes to a device again what it has not acked. CodeNotFound: it is not connected.
func (n *Nodes) PushDevice(ctx context.Context, key model.DeviceKey) error {
	return n.onSocket(ctx, callPush, key)
}

func (n *Nodes) onSocket(ctx context.Context, kind string, key model.DeviceKey) error {
	told, missing, err := AskAll[bool](ctx, n.Calls, kind, key)
	if err != nil {
		return err
	}
	for _, t := range told {
		if t.Value {
			return nil
		}
	}
	if len(missing) > 0 {
		return &model.Error{Code: model.CodeUnavailable, Detail: fmt.Sprintf("the device is on none of the nodes that answer; %d do not", len(missing)), RetryAfter: time.Second}
	}
	return model.NewError(model.CodeNotFound, "the device is not connected")
}

// AckQueueFigures is an ack queue and what has become of its entries since the node started.
type AckQueueFigures struct {
	AckQueueView
	Evictions, Retries int64
}

func (d *Delivery) queueFigures() AckQueueFigures {
	v := d.queue.View()
	if most := min(d.opts.MaxAttempts, maxAttempts); most > 0 { // an entry has no more pushes than that
		for i := most; i < len(v.ByAttempt); i++ {
			v.ByAttempt[most-1] += v.ByAttempt[i]
		}
		v.ByAttempt = v.ByAttempt[:most]
	}
	return AckQueueFigures{AckQueueView: v, Evictions: valueOf(metrics.evictions), Retries: valueOf(metrics.retries)}
}

// AckQueues is the ack queue of each node.
func (n *Nodes) AckQueues(ctx context.Context) ([]Told[AckQueueFigures], []model.NodeID, error) {
	return AskAll[AckQueueFigures](ctx, n.Calls, callQueue, nothing{})
}

// Jobs lists the jobs of all nodes.
func (n *Nodes) Jobs(ctx context.Context) (list []JobState, missing []model.NodeID, err error) {
	told, missing, err := AskAll[[]JobState](ctx, n.Calls, callJobs, nothing{})
	for _, t := range told {
		for _, j := range t.Value {
			j.Node = t.Node
			list = append(list, j)
		}
	}
	return list, missing, err
}

// RunJob begins a run of a job on a node, nil: on this one. CodeNotFound: there is no such job, or node.
func (n *Nodes) RunJob(ctx context.Context, name string, node *model.NodeID) error {
	if node == nil {
		self := n.Calls.Node()
		node = &self
	}
	if err := n.known(ctx, *node); err != nil {
		return err
	}
	_, err := AskOne[nothing](ctx, n.Calls, callRunJob, name, *node)
	return err
}

// Levels is the log level of each node.
func (n *Nodes) Levels(ctx context.Context) ([]Told[LevelView], []model.NodeID, error) {
	return AskAll[LevelView](ctx, n.Calls, callLevel, nothing{})
}

// SetLevel changes the log level of a node, nil: of all. CodeUnavailable: a node did not take it, and others may have.
func (n *Nodes) SetLevel(ctx context.Context, w LevelWish, node *model.NodeID) error {
	if node != nil {
		if err := n.known(ctx, *node); err != nil {
			return err
		}
		_, err := AskOne[nothing](ctx, n.Calls, callSetLevel, w, *node)
		return err
	}
	answers, missing, err := n.Calls.Ask(ctx, callSetLevel, w)
	if err != nil {
		return err
	}
	for _, a := range answers {
		if a.Err != nil {
			return a.Err
		}
	}
	if len(missing) > 0 {
		return &model.Error{Code: model.CodeUnavailable, Detail: fmt.Sprintf("nodes %v do not answer; the others have the level", missing), RetryAfter: time.Second}
	}
	return nil
}

// Series is the figures of each node in the last minutes.
func (n *Nodes) Series(ctx context.Context, last time.Duration) ([]Told[[]Sample], []model.NodeID, error) {
	return AskAll[[]Sample](ctx, n.Calls, callSeries, last)
}
